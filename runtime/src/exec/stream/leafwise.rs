//! Reductions to one element by any parts of rows: what a wavefront's bands of columns have of them.
//!
//! Of its part of a row a band reduces the leaves of the tree that lie there. What there is of a leaf at the band's end goes on in the
//! next band, from the accumulators that it has left; because these take groups of eight, up to seven points are left to the next
//! band (`REACH`). A leaf that goes over the end of a row is another matter: its second part is met first. The numbers of both
//! parts are kept, and reduced at the end.
//!
//! A boundary file: it writes numbers whose type is known only at run time.

use std::ops::Range;
use std::sync::Arc;

use legate_jit_ir::DType;
use legate_jit_ir::graph::Order;
use legate_jit_ir::plan::Launch;
use legate_jit_ir::shape::size;
use smallvec::SmallVec;

use super::{Element, Info, Streams};
use crate::buffer::Store;
use crate::exec::Frame;
use crate::exec::launch::PreparedLaunch;
use crate::exec::piece::{LeafRun, Short};
use crate::tree::open::{GROUP, Open};
use crate::{Result, tree};

/// The most elements of a chunk, whose leaves are counted together.
const CHUNK: usize = 1 << 14;
/// Leaves in a row, at least.
const LEAVES: usize = 4;
/// Bytes between what belongs to different streams.
const ALIGN: usize = 64;

/// The leaves of the tree over all points of a launch, and its rows.
pub struct Leafwise {
    /// Points of a row, and of all of them.
    width: usize,
    points: usize,
    chunks: Vec<Chunk>,
    shapes: Vec<Shape>,
    leaves: usize,
    /// For each row the leaf that comes over from the row before, and how many numbers these are in all.
    across: Vec<Option<Across>>,
    kept: usize,
}

struct Chunk {
    start: usize,
    /// Number of its first leaf.
    first: usize,
    shape: usize,
}

/// The leaves of chunks of one length.
struct Shape {
    lengths: Vec<i64>,
    /// Where each one ends.
    ends: Vec<usize>,
}

#[derive(Clone, Copy)]
struct Across {
    leaf: usize,
    start: usize,
    len: usize,
    /// Where its numbers are kept.
    at: usize,
}

/// Leaves that follow each other in a row.
struct Which<'a> {
    lengths: &'a [i64],
    /// The first one's number.
    first: usize,
    /// Points of the first one that were met before, and points of the one behind the last one.
    begun: usize,
    open: usize,
    row: usize,
}

/// What the leaves of a launch give in one run, each stream's numbers and what it keeps together.
pub struct Sums {
    /// Numbers that several tasks write, each its own.
    store: Arc<Store>,
    at: SmallVec<[Places; 2]>,
}

/// At which bytes a stream's leaves begin, the kept numbers, and what the rows' leaves that go on have given.
struct Places {
    leaves: usize,
    kept: usize,
    open: usize,
}

impl Sums {
    /// Where a stream has the number of a leaf.
    fn leaf(&self, stream: usize, leaf: usize, size: usize) -> *mut u8 {
        self.store.as_mut_ptr().wrapping_add(self.at[stream].leaves + leaf * size)
    }

    /// Where a stream has the numbers that are kept.
    fn kept(&self, stream: usize, number: usize, size: usize) -> *mut u8 {
        self.store.as_mut_ptr().wrapping_add(self.at[stream].kept + number * size)
    }

    /// Where a stream has what the leaf that goes on in a row has given.
    fn open(&self, stream: usize, row: usize) -> *mut Open {
        self.store.as_mut_ptr().wrapping_add(self.at[stream].open + row * size_of::<Open>()).cast()
    }
}

impl Leafwise {
    /// Whether a launch can be worked off so.
    pub fn takes(launch: &Launch) -> bool {
        let is_one = |s: &legate_jit_ir::plan::Stream| {
            s.reduce.axes.len() == launch.domain.len()
                && s.reduce.order == Order::Tree
                && tree::splits(s.reduce.reducer, s.dtype)
                && !tree::is_arg(s.reduce.reducer)
                && (!tree::is_pairwise(s.reduce.reducer, s.dtype) || matches!(s.dtype, DType::F32 | DType::F64))
                && s.dtype.size() <= size_of::<u64>()
        };
        let width = launch.domain.get(1..).map_or(0, size);
        width >= LEAVES * tree::LEAF && !launch.streams.is_empty() && launch.streams.iter().all(is_one)
    }

    /// Bytes that a run takes for a launch, at most.
    pub fn most_bytes(launch: &Launch) -> usize {
        let (points, rows) = (size(&launch.domain), launch.domain.first().copied().unwrap_or(0));
        let numbers = points / (tree::LEAF / 2) + rows * tree::LEAF;
        launch.streams.iter().map(|s| numbers * s.dtype.size() + rows * size_of::<Open>() + 3 * ALIGN).sum()
    }

    /// Points before the ones of a part of a row that may be read with them.
    pub const REACH: usize = GROUP - 1;

    pub fn new(rows: usize, width: usize) -> Leafwise {
        let points = rows * width;
        let (mut shapes, mut chunks): (Vec<Shape>, Vec<Chunk>) = (Vec::new(), Vec::new());
        let mut leaves = 0;
        for chunk in tree::cut(points, CHUNK, false) {
            let is_it = |s: &Shape| s.ends.last() == Some(&chunk.len());
            let shape = shapes.iter().position(is_it).unwrap_or_else(|| {
                let cut = tree::cut(chunk.len(), tree::LEAF, false);
                let lengths = cut.iter().map(|l| l.len() as i64).collect();
                shapes.push(Shape { lengths, ends: cut.iter().map(|l| l.end).collect() });
                shapes.len() - 1
            });
            chunks.push(Chunk { start: chunk.start, first: leaves, shape });
            leaves += shapes[shape].ends.len();
        }
        let mut all = Leafwise { width, points, chunks, shapes, leaves, across: vec![None; rows], kept: 0 };
        for row in 1..rows {
            let (chunk, leaf) = all.leaf_at(row * width);
            let Range { start, end } = all.range(chunk, leaf);
            if start < row * width {
                let across = Across { leaf: all.chunks[chunk].first + leaf, start, len: end - start, at: all.kept };
                all.across[row] = Some(across);
                all.kept += across.len;
            }
        }
        all
    }

    /// The chunk of a point, and which of its leaves has it. (They are of nearly the same length.)
    fn leaf_at(&self, point: usize) -> (usize, usize) {
        let guess = point * self.chunks.len() / self.points;
        let chunk = near(guess, self.chunks.len(), |c| self.chunks[c].start <= point) - 1;
        let Chunk { start, shape, .. } = self.chunks[chunk];
        let ends = &self.shapes[shape].ends;
        let guess = (point - start) * ends.len() / ends[ends.len() - 1];
        (chunk, near(guess, ends.len(), |leaf| start + ends[leaf] <= point))
    }

    /// The points of a leaf.
    fn range(&self, chunk: usize, leaf: usize) -> Range<usize> {
        let Chunk { start, shape, .. } = self.chunks[chunk];
        let end = self.shapes[shape].ends[leaf];
        start + end - self.shapes[shape].lengths[leaf] as usize..start + end
    }

    /// Bytes that a run takes for these streams.
    pub fn bytes(&self, streams: &Streams) -> usize {
        self.places(streams).1
    }

    /// Where each stream has its numbers, and the bytes of all.
    fn places(&self, streams: &Streams) -> (SmallVec<[Places; 2]>, usize) {
        let mut end = 0;
        let mut room = |bytes: usize| {
            let start = end;
            end = (start + bytes).next_multiple_of(ALIGN);
            start
        };
        let mut of = |info: &Info| Places {
            leaves: room(self.leaves * info.dtype.size()),
            kept: room(self.kept * info.dtype.size()),
            open: room(self.across.len() * size_of::<Open>()),
        };
        (streams.list.iter().map(&mut of).collect(), end)
    }
}

/// The first of n for which this is not so, near `guess`; it is so for all before it.
fn near(guess: usize, n: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let mut at = guess.min(n);
    while at > 0 && !is_before(at - 1) {
        at -= 1;
    }
    while at < n && is_before(at) {
        at += 1;
    }
    at
}

impl Streams {
    pub fn room_for_leaves(&self, leafwise: &Leafwise) -> Result<Sums> {
        let (at, bytes) = leafwise.places(self);
        Ok(Sums { store: Store::alloc(bytes)?, at })
    }

    /// Reduces some points of a row, and up to [`REACH`](Leafwise::REACH) before them: leaves that end there, what there is of those that
    /// go on, and of those that go over the row's ends all numbers, which are kept.
    pub fn run_leaves(
        &self,
        launch: &PreparedLaunch,
        frame: &Frame,
        leafwise: &Leafwise,
        row: usize,
        part: Range<usize>,
        sums: &Sums,
    ) {
        let begin = row * leafwise.width;
        let (mut from, mut to) = (begin + part.start, begin + part.end);
        if let Some(across) = leafwise.across[row] {
            let end = across.start + across.len;
            self.keep(launch, frame, &across, from..end.min(to), sums);
            from = from.max(end);
        }
        if let Some(across) = leafwise.across.get(row + 1).copied().flatten() {
            self.keep(launch, frame, &across, from.max(across.start)..to, sums);
            to = to.min(across.start);
        }
        if from >= to {
            return;
        }
        let (mut chunk, mut leaf) = leafwise.leaf_at(from);
        let start = leafwise.range(chunk, leaf).start;
        let mut at = start + (from - start) / GROUP * GROUP;
        let mut begun = at - start;
        loop {
            let Chunk { start, first, shape } = leafwise.chunks[chunk];
            let Shape { lengths, ends } = &leafwise.shapes[shape];
            let until = leaf + ends[leaf..].iter().take_while(|&&end| start + end <= to).count();
            let done = if until > leaf { start + ends[until - 1] } else { at };
            // Of the leaf that goes on, whole groups from its first point on.
            let open = match ends.get(until) {
                Some(&end) => {
                    let first = start + end - lengths[until] as usize;
                    first + (to - first) / GROUP * GROUP - done
                }
                None => 0,
            };
            if done + open > at {
                let which = Which { lengths: &lengths[leaf..until], first: first + leaf, begun, open, row };
                self.reduce_leaves(launch, frame, at, which, sums);
            }
            if until < ends.len() || done == to {
                return;
            }
            (chunk, leaf, at, begun) = (chunk + 1, 0, done, 0);
        }
    }

    /// Keeps some numbers of a leaf.
    fn keep(&self, launch: &PreparedLaunch, frame: &Frame, across: &Across, points: Range<usize>, sums: &Sums) {
        if points.is_empty() {
            return;
        }
        self.compute(launch, frame, points.clone(), |ptrs| {
            for (s, info) in self.list.iter().enumerate() {
                let size = info.dtype.size();
                let to = sums.kept(s, across.at + points.start - across.start, size);
                // SAFETY: the leaf's numbers have room there, and no two parts of it are the same.
                unsafe { to.copy_from_nonoverlapping(ptrs[s], points.len() * size) };
            }
        });
    }

    /// Reduces leaves that follow each other, from point `at` on, and what comes after them of one that goes on.
    fn reduce_leaves(&self, launch: &PreparedLaunch, frame: &Frame, at: usize, which: Which, sums: &Sums) {
        let Which { lengths, first, begun, open, row } = which;
        let mut states = Short::<_, 4>::of(std::ptr::null_mut());
        let states = states.fill(self.list.len(), |s| sums.open(s, row));
        let to = |s: usize, leaf: usize| sums.leaf(s, first + leaf, self.list[s].dtype.size());
        if self.adds_leaves(launch) {
            let (mut lo, last) = (Short::<_, 4>::of(0), self.domain.len() - 1);
            let lo = lo.fill(last + 1, |d| if d == last { at as i64 } else { 0 });
            let mut out = Short::<_, 4>::of(std::ptr::null_mut());
            let out = out.fill(self.list.len(), |s| to(s, 0));
            let leaves = LeafRun { lengths, begun, fresh: &self.fresh, open, states };
            // SAFETY: the points lie in the one row that such a launch has; there is room for the sum of each leaf, and for what the
            // last one has given, which nobody else touches: it belongs to the row.
            unsafe { launch.pieces[0].run_leaves(frame, lo, leaves, out) };
            return;
        }
        let points = lengths.iter().sum::<i64>() as usize - if lengths.is_empty() { 0 } else { begun } + open;
        self.compute(launch, frame, at..at + points, |ptrs| {
            for (s, info) in self.list.iter().enumerate() {
                let (mut from, size) = (ptrs[s], info.dtype.size());
                // SAFETY: as above; the leaves are what was computed.
                unsafe {
                    let (mut so_far, mut before) = (if begun > 0 { *states[s] } else { *self.fresh[s] }, begun);
                    for (leaf, &length) in lengths.iter().enumerate() {
                        let n = length as usize - before;
                        let partial = tree::open::close(info.reducer, info.dtype, &so_far, from, n);
                        to(s, leaf).copy_from_nonoverlapping(partial.as_ptr() as *const u8, size);
                        (so_far, before) = (*self.fresh[s], 0);
                        from = from.wrapping_add(n * size);
                    }
                    if open > 0 {
                        tree::open::go_on(info.reducer, info.dtype, &mut so_far, from, open);
                        states[s].write(so_far);
                    }
                }
            }
        });
    }

    /// Combines what all leaves have given to one stream, and writes its result.
    pub fn finish_leaves(&self, frame: &Frame, leafwise: &Leafwise, s: usize, sums: &Sums) {
        let info = &self.list[s];
        let size = info.dtype.size();
        for across in leafwise.across.iter().flatten() {
            // SAFETY: all rows are done, so all numbers of the leaf are there.
            unsafe {
                let partial = info.partial(sums.kept(s, across.at, size), across.len, 0);
                sums.leaf(s, across.leaf, size).copy_from_nonoverlapping(partial.as_ptr() as *const u8, size);
            }
        }
        let of_chunk = |chunk: &Chunk| {
            let ends = &leafwise.shapes[chunk.shape].ends;
            let (leaves, n) = (sums.leaf(s, chunk.first, size), ends[ends.len() - 1]);
            // SAFETY: as above; the chunk's leaves follow each other.
            unsafe {
                match tree::is_pairwise(info.reducer, info.dtype) {
                    true => tree::join_leaves(info.dtype, n, leaves, ends.len()),
                    false => tree::reduce(info.reducer, info.dtype, leaves, ends.len()),
                }
            }
        };
        let partials: Vec<Element> = leafwise.chunks.iter().map(of_chunk).collect();
        self.write(frame, info, 0, tree::combine(info.reducer, info.dtype, leafwise.points, CHUNK, &partials));
    }
}
