//! One launch: pieces made ready, boxes run, and for launches without streams the cut into tasks.

use legate_jit_ir::plan::{BufferId, Launch, Operand, Plan, Target};
use legate_jit_ir::shape::c_strides;
use legate_jit_ir::{InnerStride, Kernel};
use smallvec::SmallVec;

use super::Frame;
use super::packing::Packing;
use super::piece::{Cut, Place, PreparedPiece};
use super::runner::Runner;
use super::space::{Walk, asks_for_index, specialise};
use super::stream::{Direct, Element, Leafwise, Partials, Streams, Sums};
use crate::pool;
use crate::{Error, Result, Tier, later, machine};

/// Nanoseconds of work below which a launch runs on the calling thread.
const INLINE_NS: f64 = 40_000.0;
/// Nanoseconds of work that a task should have at least.
const TASK_NS: f64 = 20_000.0;
/// Tasks for each thread, so that an unlucky one can be made up for.
const TASKS_A_THREAD: usize = 8;
/// Cuts along the innermost axis are multiples of so many points.
const GRAIN: i64 = 512;
/// Bytes that are read again and again by one task, at most: a part of the second-level cache.
const NEAR_BYTES: i64 = 256 << 10;
/// The part of the last cache that a launch writes, from which on its stores go past the caches: with what it reads, little of
/// that would be there when it ends. `np.add(a, b)` takes 68 ms so on two cores for 10⁸ elements, and 97 through the caches; 20
/// and 31 where the arrays are as large as the last cache; at a sixteenth of it nothing is gained.
const PAST: usize = 4;
/// Stores of a kernel for which all that may be is prepared.
const MOST_STORES: usize = 4;
/// Points of a row that is worth bringing its stores to a cache line's boundary.
const LONG_ROW: i64 = 512;
/// Points of a task of a rank's rows, at least.
const TASK_POINTS: i64 = 16_384;

/// How a launch is run.
#[derive(Clone, Copy, PartialEq)]
enum Use<'a> {
    Any,
    /// As a whole, or so that no later one finds what it has written: with the first buffer of each memory.
    Alone(&'a [BufferId]),
    InBands,
}

pub struct PreparedLaunch {
    pub pieces: Vec<PreparedPiece>,
    streams: Option<Streams>,
    /// For launches without streams: (piece, axis, from, to) of each task; empty if the launch runs at once.
    tasks: Vec<(u32, u32, i64, i64)>,
    /// The tasks are cut for the cache's sake too, so that one thread should go from one to the next as well.
    blocked: bool,
    /// Some of what it writes goes past the caches.
    past: bool,
    /// The buffers of its targets, and whether it writes to them.
    touches: SmallVec<[(u32, bool); 8]>,
}

impl PreparedLaunch {
    pub fn new(plan: &Plan, launch: &Launch, tier: Tier) -> Result<PreparedLaunch> {
        PreparedLaunch::build(plan, launch, tier, Use::Any)
    }

    /// One that runs as a whole, so that what it writes first has left the caches before somebody reads it if it is that much.
    /// `memory` names the first buffer of each memory.
    pub fn alone(plan: &Plan, launch: &Launch, memory: &[BufferId], tier: Tier) -> Result<PreparedLaunch> {
        PreparedLaunch::build(plan, launch, tier, Use::Alone(memory))
    }

    /// One that can be divided along the domain's first two axes.
    pub fn in_bands(plan: &Plan, launch: &Launch, tier: Tier) -> Result<PreparedLaunch> {
        PreparedLaunch::build(plan, launch, tier, Use::InBands)
    }

    fn build(plan: &Plan, launch: &Launch, tier: Tier, as_what: Use) -> Result<PreparedLaunch> {
        let mut domain: SmallVec<[i64; 4]> = launch.domain.iter().map(|&n| n as i64).collect();
        let mut drafts: Vec<(Walk, &Kernel, SmallVec<[Place; 8]>)> = Vec::new();
        for piece in &launch.pieces {
            let kernel = &plan.kernels[piece.kernel as usize];
            let mut walk = Walk {
                lo: piece.lo.iter().map(|&x| x as i64).collect(),
                hi: piece.hi.iter().map(|&x| x as i64).collect(),
                offset: SmallVec::new(),
                strides: SmallVec::new(),
                axes: (0..domain.len() as u32).collect(),
            };
            let mut places = SmallVec::new();
            let flat = c_strides(&launch.domain);
            for (&t, access) in piece.accesses.iter().zip(&kernel.accesses) {
                let size = access.dtype.size() as i64;
                let (offset, strides) = match &launch.targets[t as usize] {
                    Target::Buffer(Operand { buffer, view }) => {
                        places.push(Place::Buffer(buffer.0));
                        view.strided(&c_strides(&plan.buffer(*buffer).ty.shape))
                    }
                    // A stream is as if the whole domain lay in memory; chunks of it are rebased when they run.
                    Target::Stream(k) => {
                        places.push(Place::Stream(*k));
                        (0, flat.clone())
                    }
                };
                walk.offset.push(offset * size);
                walk.strides.extend(strides.iter().map(|s| s * size));
            }
            drafts.push((walk, kernel, places));
        }
        let mut reduced: SmallVec<[bool; 4]> = SmallVec::from_elem(false, domain.len());
        if let Some(stream) = launch.streams.first() {
            stream.reduce.axes.iter().for_each(|&a| reduced[a as usize] = true);
        }
        // A kept axis of extent 1 does not part what is reduced around it: NumPy does not see it.
        for d in (0..domain.len()).filter(|&d| domain[d] == 1 && !reduced[d]).collect::<SmallVec<[usize; 4]>>() {
            let wide = |&e: &usize| domain[e] != 1;
            let neighbour = (d + 1..domain.len()).find(wide).or_else(|| (0..d).rev().find(wide));
            reduced[d] = neighbour.is_some_and(|e| reduced[e]);
        }
        let asked = |axis: u32| drafts.iter().any(|(_, k, _)| asks_for_index(k, axis));
        let pinned: Vec<bool> = (0..domain.len() as u32).map(asked).collect();

        if !launch.streams.is_empty() {
            // Axes merge for the launch as a whole, so that chunks of the domain mean the same to every piece.
            let mut d = domain.len();
            while d >= 2 {
                d -= 1;
                let extent = domain[d];
                let axis = |w: &Walk, d: usize| pinned.get(w.axes[d] as usize).copied().unwrap_or(false);
                if reduced[d - 1] == reduced[d]
                    && drafts.iter().all(|(w, ..)| w.can_merge(d - 1, extent) && !axis(w, d - 1) && !axis(w, d))
                {
                    drafts.iter_mut().for_each(|(w, ..)| w.merge(d - 1, extent));
                    domain[d - 1] *= extent;
                    domain.remove(d);
                    reduced.remove(d);
                }
            }
            if domain.is_empty() {
                domain.push(1);
                reduced.push(true);
            }
        }
        let mut streams = match &drafts[..] {
            _ if launch.streams.is_empty() => None,
            [(walk, kernel, places)] => {
                let direct = Direct::new(kernel, walk, places, &domain);
                Some(Streams::new(plan, launch, &domain, &reduced, direct)?)
            }
            _ => Some(Streams::new(plan, launch, &domain, &reduced, None)?),
        };
        let homes = match as_what {
            Use::Alone(memory) => Some(memory).filter(|_| streams.is_none()),
            Use::Any | Use::InBands => None,
        };
        let goes_past = homes.is_some() && written(plan, launch) >= machine::last_level_cache() / PAST;
        let home_of = |b: u32| homes.and_then(|homes| homes.get(b as usize)).map_or(b, |home| home.0);
        let (mut pieces, mut any_past) = (Vec::new(), false);
        for ((mut walk, kernel, places), piece) in drafts.into_iter().zip(&launch.pieces) {
            if launch.streams.is_empty() {
                let extents: SmallVec<[i64; 4]> = launch.domain.iter().map(|&n| n as i64).collect();
                simplify(&mut walk, &extents, &pinned, as_what == Use::InBands);
            }
            walk.at_least_one_axis();
            let per_axis = [0, 1].map(|d| match (walk.hi.get(d), piece.hi.get(d)) {
                (Some(merged), Some(&hi)) => merged / (hi as i64).max(1),
                _ => 1,
            });
            for (a, access) in kernel.accesses.iter().enumerate() {
                if let (Some(streams), Place::Stream(_)) = (&streams, places[a])
                    && let Some(strides) = streams.scratch_strides(access.dtype.size() as i64)
                {
                    walk.strides[a * strides.len()..(a + 1) * strides.len()].copy_from_slice(&strides);
                }
            }
            let mut axes = walk.kernel_axes(kernel);
            if homes.is_some() {
                walk.along_stores(kernel, &mut axes);
            }
            let strides = walk.kernel_strides(kernel, &axes);
            let extent: SmallVec<[i64; 4]> = axes.iter().map(|&d| walk.hi[d as usize] - walk.lo[d as usize]).collect();
            let packing = if streams.is_none() { Packing::of(kernel, &strides, &extent) } else { None };
            let long = extent.last().is_some_and(|&n| n >= LONG_ROW);
            // A line that is read anyway may as well be overwritten where it is, under whichever name it is read: `a += b` reaches
            // 104 % of the copy bandwidth so on one core, and 84 % past the caches.
            let home = |place: Place| match place {
                Place::Buffer(b) => Place::Buffer(home_of(b)),
                stream => stream,
            };
            let is_read = |place: Place| {
                let mut accesses = places.iter().zip(&kernel.accesses);
                accesses.any(|(&p, access)| !access.write && home(p) == home(place))
            };
            let past = |a: usize| goes_past && long && kernel.accesses[a].write && !is_read(places[a]);
            let seen = packing.as_ref().map_or(&strides[..], Packing::strides);
            let special = specialise(kernel, &walk, &axes, seen, &places, past);
            if goes_past && long && later::is_plan_only() {
                // Whether a result takes over the memory of an operand depends on who else holds that when the plan runs.
                let stores: SmallVec<[usize; 4]> =
                    (0..kernel.accesses.len()).filter(|&a| kernel.accesses[a].write).take(MOST_STORES).collect();
                for some in 0..1u32 << stores.len() {
                    let past = |a: usize| stores.iter().position(|&s| s == a).is_some_and(|k| some >> k & 1 == 1);
                    Runner::prepare(&specialise(kernel, &walk, &axes, seen, &places, past), tier);
                }
            }
            any_past |= special.accesses.iter().any(|access| access.inner == InnerStride::Past);
            let adding = match &mut streams {
                Some(streams) if streams.goes_by_rows() => {
                    super::stream::adding(launch, kernel, &walk, &places).filter(|_| streams.expect_leaves())
                }
                Some(streams) => streams.expect_down(launch, &special, &walk, &places),
                None => None,
            };
            let runner = match &adding {
                Some(adding) => Runner::adding(&special, adding, tier)?,
                None => Runner::new(&special, tier)?,
            };
            pieces.push(PreparedPiece {
                walk,
                per_axis,
                runner,
                axes,
                strides,
                packing,
                places,
                scalars: piece.scalars.clone(),
                near_ns: near_ns(kernel),
            });
        }
        let cost: Vec<f64> = launch.pieces.iter().map(|p| point_ns(&plan.kernels[p.kernel as usize])).collect();
        let tasks = if streams.is_none() { cut(&pieces, &cost) } else { Vec::new() };
        let blocked = pieces.iter().any(|p| p.walk.hi.last() > Some(&near(p)));
        let touches = touches(plan, launch);
        Ok(PreparedLaunch { pieces, streams, tasks, blocked, past: any_past, touches })
    }

    /// Whether some of what it writes goes past the caches.
    pub fn goes_past(&self) -> bool {
        self.past
    }

    /// Whether it is cut into tasks for the cache's sake.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether it is never shared by threads and has no streams.
    pub(super) fn runs_at_once(&self) -> bool {
        self.streams.is_none() && self.tasks.is_empty()
    }

    pub(super) fn has_streams(&self) -> bool {
        self.streams.is_some()
    }

    pub(super) fn streams(&self) -> Option<&Streams> {
        self.streams.as_ref()
    }

    /// The buffers that its kernels read or write, and whether they do that. Results of streams are not among them.
    pub(super) fn touches(&self) -> &[(u32, bool)] {
        &self.touches
    }

    /// The buffers of its streams' results.
    pub(super) fn results(&self) -> impl Iterator<Item = u32> {
        self.streams.iter().flat_map(Streams::results)
    }

    /// Nanoseconds that it takes one thread, about, with its operands in the second-level cache.
    pub(super) fn near_ns(&self) -> f64 {
        self.pieces.iter().map(|p| p.near_ns * p.walk.points() as f64).sum()
    }

    /// What runs its kernels.
    pub fn runners(&self) -> impl Iterator<Item = &Runner> {
        self.pieces.iter().map(|piece| &piece.runner)
    }

    pub fn run(&self, frame: &Frame) -> Result<()> {
        if let Some(streams) = &self.streams {
            return streams.run(self, frame);
        }
        if self.tasks.is_empty() || pool::threads() == 1 && !self.blocked {
            for piece in &self.pieces {
                // SAFETY: the plan's views stay inside their buffers on their own pieces (`verify`), and every buffer that a
                // launch touches has memory by now.
                unsafe { piece.run(frame, &piece.walk.lo, &piece.walk.hi, &[]) };
            }
            return Ok(());
        }
        pool::run(self.tasks.len(), &|task, _| {
            let (p, axis, from, to) = self.tasks[task];
            let piece = &self.pieces[p as usize];
            let (mut lo, mut hi) = (piece.walk.lo.clone(), piece.walk.hi.clone());
            lo[axis as usize] = from;
            hi[axis as usize] = to;
            // SAFETY: as above; the tasks' boxes are disjoint, so no two write the same element.
            unsafe { piece.run(frame, &lo, &hi, &[]) };
        })
        .map_err(|e| Error::Runtime(e.to_string()))
    }
}

/// How a launch may be divided among ranks that each do some rows of the domain's first axis.
pub enum Division {
    /// Every row can be done alone.
    Rows,
    /// Everything is reduced to one element: a rank does the chunks (ranges of points in C order) that begin in its rows, and
    /// the root combines their partial results.
    Chunks(Vec<std::ops::Range<usize>>),
    /// One rank must do it all.
    Whole,
}

impl PreparedLaunch {
    /// Made for ranks: as many parts as there can be.
    pub fn cut_finely(mut self) -> PreparedLaunch {
        self.streams.iter_mut().for_each(Streams::cut_finely);
        self
    }

    /// `first_is_reduced` says whether the streams reduce the domain's first axis.
    pub fn division(&self, first_is_reduced: bool) -> Division {
        match &self.streams {
            None => Division::Rows,
            Some(_) if !first_is_reduced => Division::Rows,
            Some(streams) => match streams.chunks() {
                chunks if chunks.is_empty() => Division::Whole,
                chunks => Division::Chunks(chunks),
            },
        }
    }

    /// Runs the launch for some rows of the domain's first axis, which has `all` rows.
    pub fn run_rows(&self, frame: &Frame, rows: std::ops::Range<usize>, all: usize) -> Result<()> {
        if rows == (0..all) {
            return self.run(frame);
        }
        if let Some(streams) = &self.streams {
            let each = streams.outer() / all;
            return streams.run_outputs(self, frame, rows.start * each..rows.end * each);
        }
        // Merging axes has kept the first one first and only multiplied it.
        let mut tasks: Vec<(usize, i64, i64)> = Vec::new();
        for (p, piece) in self.pieces.iter().enumerate().filter(|(_, p)| p.walk.points() > 0) {
            let each = piece.per_axis[0];
            let from = piece.walk.lo[0].max(rows.start as i64 * each);
            let to = piece.walk.hi[0].min(rows.end as i64 * each);
            let inner: i64 = piece.walk.lo[1..].iter().zip(&piece.walk.hi[1..]).map(|(l, h)| h - l).product();
            let step = (TASK_POINTS / inner).max((to - from) / (pool::threads() * TASKS_A_THREAD) as i64).max(1);
            let mut at = from;
            while at < to {
                tasks.push((p, at, (at + step).min(to)));
                at += step;
            }
        }
        let task = |i: usize, _: usize| {
            let (p, from, to) = tasks[i];
            let piece = &self.pieces[p];
            let (mut lo, mut hi) = (piece.walk.lo.clone(), piece.walk.hi.clone());
            (lo[0], hi[0]) = (from, to);
            // SAFETY: as in `run`: the boxes are disjoint and lie in their pieces.
            unsafe { piece.run(frame, &lo, &hi, &[]) };
        };
        if tasks.len() <= 1 {
            (0..tasks.len()).for_each(|i| task(i, 0));
            return Ok(());
        }
        pool::run(tasks.len(), &task).map_err(|e| Error::Runtime(e.to_string()))
    }

    /// Runs a box of a piece of a launch without streams on the calling thread. The box lies in the piece, and no two threads are given
    /// the same points.
    pub(super) fn run_piece_here(&self, frame: &Frame, piece: usize, lo: &[i64], hi: &[i64]) {
        // SAFETY: as in `run`; the caller's promise.
        unsafe { self.pieces[piece].run(frame, lo, hi, &[]) };
    }

    /// Runs some of the outputs of a launch with streams that differ in axes before the reduced ones, on the calling thread if that
    /// is a task of the pool.
    pub(super) fn run_outputs_here(&self, frame: &Frame, outer: std::ops::Range<usize>) -> Result<()> {
        self.streams.as_ref().map_or(Ok(()), |streams| streams.run_outputs(self, frame, outer))
    }

    /// How many parts a launch with streams has at most, whether chunks or outputs.
    pub(super) fn divisible(&self) -> usize {
        self.streams.as_ref().map_or(1, Streams::divisible)
    }

    /// Cuts what is reduced to one element into so many chunks at least, if it can be.
    pub(super) fn cut_into(&mut self, parts: usize) {
        self.streams.iter_mut().for_each(|streams| streams.cut_into(parts));
    }

    /// Outputs that differ in axes before the reduced ones.
    pub(super) fn outer(&self) -> usize {
        self.streams.as_ref().map_or(0, Streams::outer)
    }

    /// Runs a launch without streams for parts of some of the domain's axes, on the calling thread: of the first, and, if it was
    /// made [for that](Self::in_bands), of the second.
    pub fn run_box_here(&self, frame: &Frame, parts: &[Option<(usize, std::ops::Range<usize>)>]) {
        for piece in &self.pieces {
            let of = |(axis, part): &(usize, std::ops::Range<usize>)| {
                let each = piece.per_axis[*axis];
                let from = piece.walk.lo[*axis].max(part.start as i64 * each);
                (*axis, from, piece.walk.hi[*axis].min(part.end as i64 * each))
            };
            // Most boxes have something of one or two pieces.
            if parts.iter().flatten().map(of).any(|(_, from, to)| from >= to) {
                continue;
            }
            let (mut lo, mut hi) = (piece.walk.lo.clone(), piece.walk.hi.clone());
            for (axis, from, to) in parts.iter().flatten().map(of) {
                (lo[axis], hi[axis]) = (from, to);
            }
            // SAFETY: as in `run`; the caller gives no two threads the same points.
            unsafe { piece.run(frame, &lo, &hi, &[]) };
        }
    }

    /// Whether the launch can be cut into so many rows: points of some leading axes of its domain, none of which its streams reduce,
    /// and which are the first one alone where the launch is in pieces. With layers, the first axis counts those, and the second the
    /// rows.
    pub fn divides(&self, rows: usize, layers: usize) -> bool {
        match &self.streams {
            Some(streams) => streams.outer().is_multiple_of(layers * rows),
            None => self.pieces.len() > 1 || self.pieces.iter().all(|p| p.cut(rows, layers).is_some()),
        }
    }

    /// Runs some of the `all` rows that the launch can be [cut into](Self::divides), on the calling thread if that is a task of the
    /// pool.
    pub fn run_rows_here(&self, frame: &Frame, rows: std::ops::Range<usize>, all: usize, layers: usize) -> Result<()> {
        if let Some(streams) = &self.streams {
            let each = streams.outer() / (layers * all);
            return (0..layers).try_for_each(|layer| {
                let at = |row: usize| (layer * all + row) * each;
                streams.run_outputs(self, frame, at(rows.start)..at(rows.end))
            });
        }
        for piece in &self.pieces {
            let cut = if self.pieces.len() == 1 { piece.cut(all, layers) } else { None };
            let Cut { axis, each, runs } = cut.unwrap_or(Cut { axis: 0, each: piece.per_axis[0], runs: 1 });
            for run in 0..runs {
                let (mut lo, mut hi) = (piece.walk.lo.clone(), piece.walk.hi.clone());
                lo[axis] = lo[axis].max((run * all + rows.start) as i64 * each);
                hi[axis] = hi[axis].min((run * all + rows.end) as i64 * each);
                // SAFETY: as in `run`; the caller gives no two threads the same rows.
                unsafe { piece.run(frame, &lo, &hi, &[]) };
            }
        }
        Ok(())
    }

    /// The most elements of a chunk of a launch that is [cut finely](Self::cut_finely).
    pub const FINE_CHUNK: usize = Streams::FINE_CHUNK;

    /// The chunks of a launch that reduces everything to one element; empty if it does not, or cannot be cut.
    pub fn chunks(&self) -> Vec<std::ops::Range<usize>> {
        self.streams.as_ref().map_or(Vec::new(), Streams::chunks)
    }

    /// Room for the partial results of all [`chunks`](Self::chunks).
    pub fn room_for_partials(&self) -> Partials {
        Partials::new(self.streams.as_ref().map_or(0, Streams::room))
    }

    /// Runs some of the chunks `all` of the launch on the calling thread. No other thread may run the same ones. Their partial results
    /// are those from number `first` on.
    pub fn run_chunks_here(
        &self,
        frame: &Frame,
        all: &[std::ops::Range<usize>],
        chunks: std::ops::Range<usize>,
        partials: &Partials,
        first: usize,
    ) {
        if let Some(streams) = &self.streams {
            streams.run_chunks(self, frame, all, chunks, partials, first);
        }
    }

    /// Reduces the [leaves](Leafwise) that end among some points of a row, on the calling thread. No other thread is given the same
    /// points.
    pub fn run_leaves_here(
        &self,
        frame: &Frame,
        leafwise: &Leafwise,
        row: usize,
        part: std::ops::Range<usize>,
        sums: &Sums,
    ) {
        if let Some(streams) = &self.streams {
            streams.run_leaves(self, frame, leafwise, row, part, sums);
        }
    }

    /// Combines what the leaves have given to stream `s` and writes its result.
    pub fn finish_leaves(&self, frame: &Frame, leafwise: &Leafwise, s: usize, sums: &Sums) {
        if let Some(streams) = &self.streams {
            streams.finish_leaves(frame, leafwise, s, sums);
        }
    }

    /// Combines the partial results of all chunks and writes the outputs.
    pub fn finish(&self, frame: &Frame, partials: &[Element]) {
        if let Some(streams) = &self.streams {
            streams.finish(frame, partials);
        }
    }

    /// Runs some of the chunks of a launch that reduces everything to one element, and gives what they leave for the root.
    /// `before` are points that only have to be written to buffers.
    pub fn run_chunks(
        &self,
        frame: &Frame,
        before: std::ops::Range<usize>,
        chunks: std::ops::Range<usize>,
    ) -> Result<Vec<Element>> {
        let Some(streams) = &self.streams else { return Ok(Vec::new()) };
        streams.discard(self, frame, before);
        Ok(streams.contract(&chunks, streams.partials(self, frame, chunks.clone())?))
    }

    /// How many numbers [`run_chunks`](Self::run_chunks) gives.
    pub fn parts(&self, chunks: &std::ops::Range<usize>) -> usize {
        self.streams.as_ref().map_or(0, |s| s.parts(chunks).iter().sum())
    }

    /// Combines what the ranks' chunks have left, and writes the outputs.
    pub fn join(&self, frame: &Frame, owners: &[std::ops::Range<usize>], left: &[Vec<Element>]) {
        if let Some(streams) = &self.streams {
            streams.join(frame, owners, left);
        }
    }
}

/// The buffers of a launch's targets, and whether its kernels write to them.
fn touches(plan: &Plan, launch: &Launch) -> SmallVec<[(u32, bool); 8]> {
    let mut all: SmallVec<[(u32, bool); 8]> = SmallVec::new();
    for piece in &launch.pieces {
        let accesses = &plan.kernels[piece.kernel as usize].accesses;
        for (&t, access) in piece.accesses.iter().zip(accesses) {
            if let Target::Buffer(Operand { buffer, .. }) = &launch.targets[t as usize]
                && !all.contains(&(buffer.0, access.write))
            {
                all.push((buffer.0, access.write));
            }
        }
    }
    all
}

/// Bytes of the buffers that a launch writes.
fn written(plan: &Plan, launch: &Launch) -> usize {
    let mut buffers: SmallVec<[BufferId; 8]> = SmallVec::new();
    for piece in &launch.pieces {
        let accesses = &plan.kernels[piece.kernel as usize].accesses;
        for (&t, _) in piece.accesses.iter().zip(accesses).filter(|(_, access)| access.write) {
            if let Target::Buffer(Operand { buffer, .. }) = &launch.targets[t as usize]
                && !buffers.contains(buffer)
            {
                buffers.push(*buffer);
            }
        }
    }
    buffers.iter().map(|&b| plan.buffer(b).ty.bytes()).sum()
}

/// Drops and merges what one piece of a launch without streams allows; with `bands`, the first two axes stay apart.
fn simplify(walk: &mut Walk, extents: &[i64], pinned: &[bool], bands: bool) {
    let is_pinned = |axis: u32| pinned.get(axis as usize).copied().unwrap_or(false);
    // An axis of one point parts nothing.
    let parts = |d: usize| extents[d] != 1 || walk.hi[d] - walk.lo[d] != 1 || is_pinned(walk.axes[d]) || bands && d < 2;
    let keep: SmallVec<[bool; 4]> = (0..walk.rank()).map(parts).collect();
    walk.retain(&keep);
    let mut extents: SmallVec<[i64; 4]> =
        extents.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(&n, _)| n).collect();
    let mut d = walk.rank();
    while d >= 2 {
        d -= 1;
        if bands && d == 1 {
            break;
        }
        if !is_pinned(walk.axes[d]) && !is_pinned(walk.axes[d - 1]) && walk.can_merge(d - 1, extents[d]) {
            walk.merge(d - 1, extents[d]);
            extents[d - 1] *= extents[d];
            extents.remove(d);
        }
    }
}

/// A rough cost of one point: the larger of its memory traffic and its arithmetic.
fn point_ns(kernel: &Kernel) -> f64 {
    (bytes(kernel) * 0.04).max(work_ns(kernel))
}

/// The same with operands in the second-level cache.
fn near_ns(kernel: &Kernel) -> f64 {
    (bytes(kernel) * 0.006).max(work_ns(kernel))
}

/// What a point reads and writes.
fn bytes(kernel: &Kernel) -> f64 {
    kernel.accesses.iter().map(|a| a.dtype.size()).sum::<usize>() as f64
}

/// Nanoseconds of a point's arithmetic.
fn work_ns(kernel: &Kernel) -> f64 {
    let work: u64 = kernel
        .body
        .insts
        .iter()
        .map(|i| match &i.op {
            legate_jit_ir::kernel::Op::Map(u, _) => legate_jit_passes::cost::work(*u, i.dtype),
            _ => 0,
        })
        .sum();
    work as f64 * 0.06
}

/// Cuts the pieces of a launch into tasks if together they are worth it.
fn cut(pieces: &[PreparedPiece], cost: &[f64]) -> Vec<(u32, u32, i64, i64)> {
    let work: Vec<f64> = pieces.iter().zip(cost).map(|(p, c)| p.walk.points() as f64 * c).collect();
    let total: f64 = work.iter().sum();
    if total < INLINE_NS {
        return Vec::new();
    }
    let share = (total / (pool::threads() * TASKS_A_THREAD) as f64).max(TASK_NS);
    let mut tasks = Vec::new();
    for (p, piece) in pieces.iter().enumerate() {
        let n = (work[p] / share).ceil().max(1.0) as i64;
        let extent = |d: usize| piece.walk.hi[d] - piece.walk.lo[d];
        let axis = (0..piece.walk.rank()).find(|&d| extent(d) >= n).unwrap_or_else(|| {
            (0..piece.walk.rank()).max_by_key(|&d| extent(d)).expect("a walk has at least one axis")
        });
        let last = piece.walk.rank() - 1;
        let near = near(piece);
        let axis = if extent(last) > near { last } else { axis };
        // Along the innermost axis cuts fall on whole pages of the largest elements.
        let grain = if axis == last { GRAIN } else { 1 };
        let step = ((extent(axis) + n - 1) / n + grain - 1) / grain * grain;
        let step = if axis == last { step.min(near) } else { step };
        let mut from = piece.walk.lo[axis];
        while from < piece.walk.hi[axis] {
            let to = (from + step).min(piece.walk.hi[axis]);
            tasks.push((p as u32, axis as u32, from, to));
            from = to;
        }
    }
    tasks
}

/// Points of the innermost axis after which what is read again for every step along some outer axis (a row that is spread over a
/// matrix, say) has left the second-level cache; a multiple of [`GRAIN`].
fn near(piece: &PreparedPiece) -> i64 {
    let walk = &piece.walk;
    let last = walk.rank() - 1;
    let mut again: SmallVec<[(u32, i64); 8]> = SmallVec::new();
    for (a, place) in piece.places.iter().enumerate() {
        let strides = &walk.strides[a * (last + 1)..(a + 1) * (last + 1)];
        let stays = (0..last).any(|d| strides[d] == 0 && walk.hi[d] - walk.lo[d] > 1);
        let Place::Buffer(buffer) = *place else { continue };
        if stays {
            // Several accesses to a buffer mostly touch the same lines.
            match again.iter_mut().find(|(b, _)| *b == buffer) {
                Some((_, bytes)) => *bytes = strides[last].abs().max(*bytes),
                None => again.push((buffer, strides[last].abs())),
            }
        }
    }
    match again.iter().map(|(_, bytes)| bytes).sum::<i64>() {
        0 => i64::MAX,
        bytes => (NEAR_BYTES / bytes / GRAIN * GRAIN).max(GRAIN),
    }
}
