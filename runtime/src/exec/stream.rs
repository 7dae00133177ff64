//! Launches with streams: the domain is walked in chunks that stay in the first-level cache; each chunk's stream is reduced
//! as soon as it is computed.
//!
//! Chunks are subtrees of NumPy's summation tree, so the result has NumPy's bits whoever computes which chunk.

mod boxes;
mod chunks;
mod direct;
mod down;
mod in_order;
mod leafwise;
mod leaves;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use legate_jit_ir::DType;
use legate_jit_ir::graph::{Order, Reducer};
use legate_jit_ir::plan::{Launch, Plan};
use smallvec::SmallVec;

use super::Frame;
use super::launch::PreparedLaunch;
use super::piece::Short;
use crate::{Error, Result};
use crate::{machine, pool, tree};
use boxes::boxes;
pub use chunks::Partials;
pub use direct::Direct;
use down::Down;
pub use leafwise::{Leafwise, Sums};
use leaves::Leaves;
pub use leaves::adding;

/// Bytes of all streams of a chunk: half of a first-level cache. What the kernel writes must still be there when it is summed,
/// and a line that is written over in the second-level cache costs as much as the whole stencil.
const CHUNK_BYTES: usize = 16 << 10;
/// Rows of a chunk, if as many elements do.
const ROWS: usize = 16;
/// Elements of a chunk, at least and at most.
const CHUNK: Range<usize> = 512..4096;
/// Bytes of streams that are computed whole before they are reduced.
const WHOLE_BYTES: usize = 192 << 10;
/// The most elements of a chunk of what is in memory already: it needs no room beside it.
const DIRECT_CHUNK: usize = 1 << 15;
/// The most elements of a block of columns where rows are added in order, and the fewest if several threads share a row.
const COLUMNS: usize = 1024;
/// The same of rows in memory, whose results so far stay in the second-level cache.
const DIRECT_COLUMNS: usize = 1 << 14;
const FEW_COLUMNS: usize = 48;
/// Rows that are reduced strictly in order side by side: each by itself would wait for its own last operation.
const ROWS_APART: usize = 8;
/// Elements of rows that a task adds up in registers: between rows a kernel's last results are waited for, so that little should be done there.
const TOGETHER: usize = 16_384;
/// Elements below which a launch runs on the calling thread.
const INLINE_ELEMENTS: usize = 32_768;

struct Info {
    reducer: Reducer,
    dtype: DType,
    out: u32,
    out_size: usize,
}

impl Info {
    /// The partial result of a chunk, whose first element is number `at` of what the reduction counts.
    ///
    /// # Safety
    /// `ptr` must point to `len` elements.
    unsafe fn partial(&self, ptr: *mut u8, len: usize, at: usize) -> Element {
        // SAFETY: the caller's promise; an index found is inside the chunk.
        unsafe {
            let partial = tree::reduce(self.reducer, self.dtype, ptr, len);
            match tree::is_arg(self.reducer) {
                true => tree::arg_partial(self.dtype, ptr, partial, at),
                false => partial,
            }
        }
    }

    /// Takes a chunk's elements: one more partial result, or, where they are combined strictly in order, what the chunks before
    /// have given goes on.
    ///
    /// # Safety
    /// `ptr` must point to as many elements as the range has.
    unsafe fn take(
        &self,
        ptr: *mut u8,
        range: &Range<usize>,
        partials: &mut impl Extend<Element>,
        so_far: &mut Option<Element>,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            if tree::splits(self.reducer, self.dtype) {
                partials.extend([self.partial(ptr, range.len(), range.start)]);
            } else {
                *so_far = Some(tree::reduce_from(self.reducer, self.dtype, *so_far, ptr, range.len()));
            }
        }
    }

    /// The result over no elements.
    fn identity(&self) -> Result<Element> {
        tree::identity(self.reducer, self.dtype)
            .ok_or_else(|| Error::Value("zero-size array to reduction operation which has no identity".into()))
    }
}

/// In which order the domain is reduced.
enum Mode {
    /// Output k is the tree over elements `k·n .. (k+1)·n` of the domain in C order.
    Rows { outputs: usize, n: usize },
    /// One output: chunks (`Streams::cuts`), each a tree, added in order.
    Chunked,
    /// Reduced axes come before kept ones: for each output, trees over the trailing reduced axes (single elements if the last
    /// axis is kept) are combined in order of the other reduced axes.
    InOrder { reduced: SmallVec<[bool; 4]>, blocks: Blocks },
}

/// What is computed at a time where the last axis is kept: some columns of the rows that some reduced axes just before it
/// have; all of the axes behind `axis`, of which there are `inner` rows, and `steps` places along it.
#[derive(Clone, Copy)]
struct Blocks {
    /// 0 where the last axis is reduced.
    columns: usize,
    axis: usize,
    steps: usize,
    inner: usize,
}

impl Blocks {
    fn of(domain: &[i64], reduced: &[bool], columns: usize, rows: usize, direct: bool) -> Blocks {
        let mut blocks = Blocks { columns, axis: domain.len().saturating_sub(2), steps: 1, inner: 1 };
        if columns == 0 || domain.len() < 2 || !reduced[blocks.axis] {
            return blocks;
        }
        // (Rows in memory are one run along one axis.)
        while !direct && blocks.axis > 0 && reduced[blocks.axis - 1] {
            let inner = blocks.inner * domain[blocks.axis].max(1) as usize;
            if inner > rows {
                break;
            }
            (blocks.inner, blocks.axis) = (inner, blocks.axis - 1);
        }
        blocks.steps = (rows / blocks.inner).clamp(1, domain[blocks.axis].max(1) as usize);
        blocks
    }
}

pub struct Streams {
    list: Vec<Info>,
    domain: SmallVec<[i64; 4]>,
    points: usize,
    mode: Mode,
    /// Where the order asks for chunks: blocks of so many elements of an output, each cut into chunks of so many.
    cuts: Option<(usize, usize)>,
    /// Elements of a chunk, and of one that stays in the first-level cache.
    chunk: usize,
    fine: usize,
    /// For each stream what a leaf begins with.
    fresh: SmallVec<[&'static tree::open::Open; 2]>,
    /// The streams are complex sums, whose tree is cut elsewhere.
    complex: bool,
    /// The leaves of the chunks of each length, where the launch's kernel adds them up itself.
    leaves: Vec<Leaves>,
    /// Where the launch's kernel adds up rows itself: how it walks the domain.
    down: Option<Box<Down>>,
    /// The streams are arrays in memory.
    direct: Option<Direct>,
}

thread_local! {
    static SCRATCH: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
}

/// Gives `f` a scratch of at least `bytes` bytes, 64-byte aligned, of the calling thread.
pub(super) fn with_scratch<R>(bytes: usize, f: impl FnOnce(*mut u8) -> R) -> R {
    with_room(&SCRATCH, bytes, f)
}

/// The same, of another thread-local vector.
pub(super) fn with_room<R>(
    room: &'static std::thread::LocalKey<RefCell<Vec<u128>>>,
    bytes: usize,
    f: impl FnOnce(*mut u8) -> R,
) -> R {
    room.with(|room| {
        let mut room = room.borrow_mut();
        let words = bytes / 16 + 4;
        if room.len() < words {
            room.resize(words, 0);
        }
        let start = room.as_mut_ptr() as *mut u8;
        f(start.wrapping_add(start.align_offset(64)))
    })
}

/// An element as bytes, large enough for every type.
pub type Element = [u64; 2];

impl Streams {
    pub fn new(
        plan: &Plan,
        launch: &Launch,
        domain: &[i64],
        reduced: &[bool],
        direct: Option<Direct>,
    ) -> Result<Streams> {
        let list: Vec<Info> = launch
            .streams
            .iter()
            .map(|s| Info {
                reducer: s.reduce.reducer,
                dtype: s.dtype,
                out: s.out.0,
                out_size: plan.buffer(s.out).ty.dtype.size(),
            })
            .collect();
        let points = domain.iter().product::<i64>() as usize;
        let trailing = reduced.iter().rev().take_while(|&&r| r).count();
        let leading = domain.len() - trailing;
        let cuts = match launch.streams[0].reduce.order {
            Order::Tree => None,
            Order::Chunked(len) => Some((usize::MAX, len as usize)),
            Order::Blocks { block, chunk } => Some((block as usize, chunk as usize)),
        };
        let width: usize = list.iter().map(|i| i.dtype.size()).sum::<usize>().max(1);
        // Of short rows several, because every row of a chunk may be cut into pieces. A power of two: the tree over a row of as
        // many is one chunk.
        let rows = ROWS * domain.last().map_or(0, |&n| n as usize);
        // (Of bools so many that a chunk is worth a call.)
        let most = CHUNK.end.max(CHUNK_BYTES / width);
        let fine = (CHUNK_BYTES / width).max(rows).next_power_of_two().clamp(CHUNK.start, most);
        let mode = match cuts {
            Some(_) if points > 0 && reduced.iter().all(|&r| r) => Mode::Chunked,
            _ if !reduced[..leading].contains(&true) => Mode::Rows {
                outputs: domain[..leading].iter().product::<i64>() as usize,
                n: domain[leading..].iter().product::<i64>() as usize,
            },
            _ => {
                // What is in memory needs no room beside it: rows are read on and on.
                let in_memory = direct.is_some() && !list.iter().any(|i| tree::is_arg(i.reducer));
                let limits = match in_memory {
                    true if width * points > machine::second_level_cache() => tree::PART_BYTES / width..DIRECT_COLUMNS,
                    true => FEW_COLUMNS..DIRECT_COLUMNS,
                    // (Of short elements more: the longer a row is read, the less often the prefetching begins anew.)
                    false => FEW_COLUMNS..COLUMNS.max(CHUNK_BYTES / 4 / width),
                };
                let columns = if trailing == 0 { columns(domain, reduced, points, limits) } else { 0 };
                let rows = if in_memory { usize::MAX } else { (fine / columns.max(1)).max(1) };
                let blocks = Blocks::of(domain, reduced, columns, rows, direct.is_some());
                Mode::InOrder { reduced: reduced.into(), blocks }
            }
        };
        let complex = list.iter().any(|i| i.dtype.is_complex());
        // What fits the second-level cache is one chunk: more chunks would cut every piece into more boxes, and small arrays are
        // made of little else.
        let in_place = direct.as_ref().is_some_and(|d| match mode {
            Mode::Rows { n, .. } => d.run >= n,
            _ => d.run == points,
        });
        let chunk = match in_place {
            _ if width * points <= WHOLE_BYTES => points.max(fine),
            true => (points / 64).next_power_of_two().clamp(fine, DIRECT_CHUNK.max(fine)),
            false => fine,
        };
        let cuts = cuts.filter(|_| !matches!(mode, Mode::InOrder { .. }));
        Ok(Streams {
            cuts,
            fresh: list.iter().map(|info| tree::open::fresh(info.reducer, info.dtype)).collect(),
            chunk,
            fine,
            list,
            domain: domain.into(),
            points,
            mode,
            complex,
            leaves: Vec::new(),
            down: None,
            direct,
        })
    }

    /// The byte strides of a stream access along the launch's axes, where they are not those of the domain in C order.
    pub fn scratch_strides(&self, size: i64) -> Option<SmallVec<[i64; 4]>> {
        match &self.mode {
            Mode::InOrder { blocks: Blocks { columns, axis, .. }, .. } if *columns > 0 => {
                let mut strides: SmallVec<[i64; 4]> = SmallVec::from_elem(0, self.domain.len());
                let last = strides.len() - 1;
                strides[last] = size;
                let mut row = *columns as i64 * size;
                for d in (*axis..last).rev() {
                    strides[d] = row;
                    row *= self.domain[d];
                }
                Some(strides)
            }
            _ => None,
        }
    }

    pub fn run(&self, launch: &PreparedLaunch, frame: &Frame) -> Result<()> {
        match &self.mode {
            Mode::Rows { n: 0, outputs } => {
                for info in &self.list {
                    let identity = info.identity()?;
                    (0..*outputs).for_each(|k| self.write(frame, info, k, identity));
                }
                Ok(())
            }
            Mode::Rows { outputs: 1, n } if *n <= self.chunk && self.adds_leaves(launch) => {
                self.sum_leaves(launch, frame, 0..1, 0..*n, |_, s, sum| self.write(frame, &self.list[s], 0, sum));
                Ok(())
            }
            Mode::Rows { outputs: 1, .. } if self.adds_leaves(launch) => {
                let partials = self.partials(launch, frame, 0..self.chunks().len())?;
                self.finish(frame, &partials);
                Ok(())
            }
            Mode::Chunked if self.splits() => {
                let partials = self.partials(launch, frame, 0..self.chunks().len())?;
                self.finish(frame, &partials);
                Ok(())
            }
            Mode::Chunked => {
                self.carried(launch, frame, 0, 0, &self.cut(self.points));
                Ok(())
            }
            _ => self.run_outputs(launch, frame, 0..self.outer()),
        }
    }

    /// Outputs, or groups of them that differ in the kept axes before the reduced ones; in C order, so that those of a block
    /// of rows of the domain's first axis (if it is kept) follow each other.
    pub fn outer(&self) -> usize {
        match &self.mode {
            Mode::Rows { outputs, .. } => *outputs,
            Mode::Chunked => 1,
            Mode::InOrder { reduced, blocks } => {
                let end = self.domain.len() - (blocks.columns > 0) as usize;
                (0..end).filter(|&d| !reduced[d]).map(|d| self.domain[d] as usize).product()
            }
        }
    }

    /// Reduces for some of the outer outputs only.
    pub fn run_outputs(&self, launch: &PreparedLaunch, frame: &Frame, outer: Range<usize>) -> Result<()> {
        match &self.mode {
            Mode::Rows { n, .. } if (*n > self.chunk || self.cuts.is_some()) && self.splits() => {
                self.long_rows(launch, frame, outer, *n)
            }
            Mode::Rows { n, .. } => self.rows(launch, frame, outer, *n),
            Mode::InOrder { reduced, blocks } if blocks.columns > 0 => {
                self.columns(launch, frame, reduced, blocks, outer)
            }
            Mode::InOrder { reduced, .. } => self.trees_in_order(launch, frame, reduced, outer),
            Mode::Chunked => unreachable!("there is one output, see partials"),
        }
    }

    fn splits(&self) -> bool {
        self.list.iter().all(|i| tree::splits(i.reducer, i.dtype))
    }

    /// The parts of an output's n elements that are reduced apart.
    fn cut(&self, n: usize) -> Vec<Range<usize>> {
        match self.cuts {
            Some((block, chunk)) => blocks(n, block, chunk),
            None => tree::cut(n, self.chunk, self.complex),
        }
    }

    /// The result of one output from the partial results of its n elements' chunks.
    fn combine(&self, info: &Info, n: usize, partials: &[Element]) -> Element {
        match self.cuts {
            Some(_) => {
                let pair = |a, b: &Element| tree::pair(info.reducer, info.dtype, a, *b);
                tree::finish(info.reducer, partials[1..].iter().fold(partials[0], pair))
            }
            None => tree::combine(info.reducer, info.dtype, n, self.chunk, partials),
        }
    }

    /// Runs tasks 0..n, on the pool if there is enough to do.
    fn tasks(&self, n: usize, task: &(dyn Fn(usize) + Sync)) -> Result<()> {
        if self.points < INLINE_ELEMENTS || n == 1 || pool::threads() == 1 {
            (0..n).for_each(task);
            return Ok(());
        }
        pool::run(n, &|i, _| task(i)).map_err(|e| Error::Runtime(e.to_string()))
    }

    fn write(&self, frame: &Frame, info: &Info, k: usize, value: Element) {
        let at = frame.bases[info.out as usize].wrapping_add(k * info.out_size);
        // SAFETY: the output has one element for each k of the kept axes; each is written by one task.
        unsafe {
            match info.out_size {
                // (A copy of a length that is not known is a call.)
                8 => (at as *mut u64).write_unaligned(value[0]),
                size => at.copy_from_nonoverlapping(value.as_ptr() as *const u8, size),
            }
        };
    }

    /// Computes elements `range` of all streams (in C order of the domain) and gives the address of the first of each.
    fn compute<R>(
        &self,
        launch: &PreparedLaunch,
        frame: &Frame,
        range: Range<usize>,
        f: impl FnOnce(&[*mut u8]) -> R,
    ) -> R {
        if let Some(direct) = self.direct.as_ref().filter(|d| range.end <= (range.start / d.run + 1) * d.run) {
            return f(&direct.at(frame.bases, &self.domain, range.start));
        }
        // Streams lie one after the other, each at the same place in a cache line as in the whole domain: so vectors that are
        // aligned where the kernel writes to arrays are so here.
        let bytes = |info: &Info| (range.len() * info.dtype.size() + 191) & !63;
        with_scratch(self.list.iter().map(bytes).sum(), |scratch| {
            let mut next = scratch;
            let starts: SmallVec<[*mut u8; 4]> = self
                .list
                .iter()
                .map(|info| {
                    let start = next.wrapping_add(range.start * info.dtype.size() % 64);
                    next = next.wrapping_add(bytes(info));
                    start
                })
                .collect();
            let at = |base: *mut u8, size: usize| base.wrapping_sub(range.start * size);
            let origins: SmallVec<[*mut u8; 4]> =
                starts.iter().zip(&self.list).map(|(&s, info)| at(s, info.dtype.size())).collect();
            boxes(&self.domain, range.clone(), &mut |lo, hi| {
                self.run_box(launch, frame, lo, hi, &origins);
            });
            f(&starts)
        })
    }

    /// Runs every piece on its part of a box of the domain.
    fn run_box(&self, launch: &PreparedLaunch, frame: &Frame, lo: &[i64], hi: &[i64], origins: &[*mut u8]) {
        for piece in &launch.pieces {
            let (first, last) = (&piece.walk.lo, &piece.walk.hi);
            // Most boxes are strips that touch one or two of the pieces.
            if (0..lo.len()).any(|d| lo[d] >= last[d] || hi[d] <= first[d]) {
                continue;
            }
            let (mut from, mut to) = (Short::<_, 4>::of(0), Short::<_, 4>::of(0));
            let from = from.fill(lo.len(), |d| lo[d].max(first[d]));
            let to = to.fill(lo.len(), |d| hi[d].min(last[d]));
            // SAFETY: the box lies in the piece, so its accesses are valid; the streams' addresses are those of this
            // thread's scratch, which is as large as the box needs; boxes of different tasks are disjoint.
            unsafe { piece.run(frame, from, to, origins) };
        }
    }

    /// Rows longer than a chunk: each is cut into subtrees, any thread computes any of them.
    fn long_rows(&self, launch: &PreparedLaunch, frame: &Frame, outputs: Range<usize>, n: usize) -> Result<()> {
        let ranges = self.cut(n);
        let per_row = ranges.len();
        let streams = self.list.len();
        let partials = Partials::new(outputs.len() * per_row * streams);
        let all = outputs.len() * per_row;
        let group = all.div_ceil(pool::threads() * 16).max(1);
        let adds_leaves = self.adds_leaves(launch);
        // The first chunk of each row that decides: those behind it are left out, where nothing else is written by the way.
        let decided: Vec<AtomicUsize> = match self.list[..] {
            [Info { dtype: DType::Bool, .. }] if self.direct.is_some() => {
                (0..outputs.len()).map(|_| AtomicUsize::new(usize::MAX)).collect()
            }
            _ => Vec::new(),
        };
        self.tasks(all.div_ceil(group), &|task| {
            for i in task * group..((task + 1) * group).min(all) {
                let (row, range) = (i / per_row, &ranges[i % per_row]);
                if decided.get(row).is_some_and(|first| i > first.load(Ordering::Relaxed)) {
                    continue;
                }
                let set = |s: usize, partial| {
                    partials.set((row * streams + s) * per_row + i % per_row, partial);
                    let info = &self.list[s];
                    if let Some(first) = decided.get(row)
                        && tree::decides(info.reducer, info.dtype, partial)
                    {
                        first.fetch_min(i, Ordering::Relaxed);
                    }
                };
                if adds_leaves {
                    let output = outputs.start + row;
                    self.sum_leaves(launch, frame, output..output + 1, range.clone(), |_, s, partial| set(s, partial));
                    continue;
                }
                let start = (outputs.start + row) * n + range.start;
                self.compute(launch, frame, start..start + range.len(), |ptrs| {
                    for (s, info) in self.list.iter().enumerate() {
                        // SAFETY: the chunk has `range.len()` elements.
                        set(s, unsafe { info.partial(ptrs[s], range.len(), range.start) });
                    }
                });
            }
        })?;
        let partials = partials.into_vec();
        for row in 0..outputs.len() {
            for (s, info) in self.list.iter().enumerate() {
                let from = (row * streams + s) * per_row;
                let total = self.combine(info, n, &partials[from..from + per_row]);
                self.write(frame, info, outputs.start + row, total);
            }
        }
        Ok(())
    }

    /// Rows of at most a chunk (or of any length where the order leaves nothing to split): several at once.
    fn rows(&self, launch: &PreparedLaunch, frame: &Frame, outputs: Range<usize>, n: usize) -> Result<()> {
        let run = self.direct.as_ref().map_or(0, |d| d.run).max(1);
        let in_memory = run >= n && self.cuts.is_none();
        let adds_leaves = n <= self.chunk && self.adds_leaves(launch);
        let mut group = (self.chunk / n).max(1);
        if in_memory && !self.splits() {
            group = group.max(ROWS_APART);
        }
        if adds_leaves {
            group = group.max((TOGETHER / n).min(outputs.len() / (4 * pool::threads())));
        }
        self.tasks(outputs.len().div_ceil(group), &|task| {
            let start = outputs.start + task * group;
            let rows = start..(start + group).min(outputs.end);
            if adds_leaves {
                let write = |row: usize, s: usize, sum| self.write(frame, &self.list[s], row, sum);
                self.sum_leaves(launch, frame, rows, 0..n, write);
                return;
            }
            if !in_memory && (n > self.chunk || self.cuts.is_some()) {
                let ranges = self.cut(n);
                rows.for_each(|row| self.carried(launch, frame, row, row * n, &ranges));
                return;
            }
            // Rows that do not lie together are reduced one by one where they are.
            let together = if in_memory { run / n } else { group };
            let mut from = rows.start;
            while from < rows.end {
                let to = if in_memory { rows.end.min((from / together + 1) * together) } else { rows.end };
                self.compute(launch, frame, from * n..to * n, |ptrs| {
                    for (s, info) in self.list.iter().enumerate() {
                        let out = frame.bases[info.out as usize].wrapping_add(from * info.out_size);
                        // SAFETY: the chunk holds these rows; the output has one element for each.
                        unsafe { tree::reduce_rows(info.reducer, info.dtype, ptrs[s], n, to - from, out) };
                    }
                });
                from = to;
            }
        })
    }

    /// One output over many elements, of which some stream must be combined one after the other: its next chunk begins with
    /// the result so far. Streams that can be split keep their chunks' partial results until the end.
    fn carried(&self, launch: &PreparedLaunch, frame: &Frame, out: usize, start: usize, ranges: &[Range<usize>]) {
        let mut carried: SmallVec<[Option<Element>; 4]> = SmallVec::from_elem(None, self.list.len());
        let mut partials: Vec<Vec<Element>> = vec![Vec::new(); self.list.len()];
        for range in ranges {
            self.compute(launch, frame, start + range.start..start + range.end, |ptrs| {
                for (s, info) in self.list.iter().enumerate() {
                    // SAFETY: the chunk has `range.len()` elements.
                    unsafe { info.take(ptrs[s], range, &mut partials[s], &mut carried[s]) };
                }
            });
        }
        let n = ranges.last().expect("there are elements").end;
        for (s, info) in self.list.iter().enumerate() {
            let total = carried[s].unwrap_or_else(|| self.combine(info, n, &partials[s]));
            self.write(frame, info, out, total);
        }
    }
}

/// Elements of a block of columns: all blocks alike, and one for each thread at least, where a row is long enough. There are few
/// columns at least, and many at most.
fn columns(domain: &[i64], reduced: &[bool], points: usize, limits: Range<usize>) -> usize {
    let width = domain[domain.len() - 1].max(1) as usize;
    let kept = domain.iter().zip(reduced).rev().skip(1).filter(|(_, r)| !**r);
    let outer: usize = kept.map(|(&n, _)| n as usize).product();
    let mut blocks = width.div_ceil(limits.end);
    if points >= INLINE_ELEMENTS && outer < pool::threads() {
        blocks = blocks.next_multiple_of(pool::threads()).min((width / limits.start).max(1));
    }
    // Whole lines of the cache.
    width.div_ceil(blocks).next_multiple_of(16).min(width)
}

/// 0..n in blocks of `len`.
fn blocks(n: usize, block: usize, chunk: usize) -> Vec<Range<usize>> {
    let parts =
        |from: usize, to: usize, step: usize| (from..to).step_by(step).map(move |x| x..to.min(x.saturating_add(step)));
    parts(0, n, block).flat_map(|b| parts(b.start, b.end, chunk)).collect()
}
