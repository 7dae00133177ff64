//! Several launches in step: the threads go through a list of launches together, each doing its part of every one.
//!
//! A launch of some ten thousand points takes microseconds, about as long as it takes to start a job on the pool and to wait for its
//! end. Here a whole list of such launches is one job. Each launch is a *phase* (or shares one with what it has nothing to do with),
//! cut into parts when the plan is prepared; the same thread does the same rows in each, so that what a sweep leaves in a core's
//! cache is read there by the next one. Between two phases threads only look at each other's counters (`pool::in_step`).
//!
//! Launches that are too small to be shared are done by one thread between the phases, or beside the next one if that has nothing
//! to do with them: the square root of two sums need not hold up the sweep after it.

use std::ops::Range;

use smallvec::SmallVec;

use super::Frame;
use super::calls::List;
use super::launch::PreparedLaunch;
use super::piece::PreparedPiece;
use super::stream::Partials;
use crate::{Error, Result, pool};

/// Nanoseconds of work that a part has at least, with its operands in the second-level cache: several times of what it costs to be
/// in step.
const PART_NS: f64 = if cfg!(test) { 1.0 } else { 500.0 };
/// Nanoseconds of work that can be shared which make up for starting the job.
const WORTHWHILE_NS: f64 = if cfg!(test) { 100.0 } else { 5000.0 };
/// Launches that take longer than this by themselves are cut into more parts than there are threads, so that one that is held up
/// can be made up for.
const LONG_NS: f64 = 100_000.0;
/// Cuts along the innermost axis are multiples of so many points.
const GRAIN: i64 = if cfg!(test) { 1 } else { 64 };

/// Something that one thread does.
enum Item {
    /// These calls of the list.
    Calls(Range<usize>),
    /// A box of a piece.
    Box {
        launch: u32,
        piece: u32,
        lo: SmallVec<[i64; 4]>,
        hi: SmallVec<[i64; 4]>,
    },
    /// Some chunks of a reduction to one element.
    Chunks {
        of: u32,
        chunks: Range<usize>,
    },
    /// What follows from all chunks.
    Finish {
        of: u32,
    },
    /// Some outputs of a launch with streams, of those that differ in axes before the reduced ones.
    Outputs {
        launch: u32,
        outer: Range<usize>,
    },
    All {
        launch: u32,
    },
}

/// A reduction to one element that is cut into chunks.
struct Chunked {
    launch: u32,
    ranges: Vec<Range<usize>>,
    /// Where its partial results lie among all.
    partials: Range<usize>,
}

type Items = Vec<Item>;

pub struct Team {
    launches: Vec<PreparedLaunch>,
    list: List,
    /// For each phase what each thread does.
    phases: Vec<SmallVec<[Items; 4]>>,
    counts: Vec<u32>,
    chunked: Vec<Chunked>,
    room: usize,
}

/// Whether a launch can be one of a team's.
pub fn takes(launch: &PreparedLaunch) -> bool {
    launch.near_ns() < LONG_NS && !launch.goes_past()
}

/// Whether these launches are worth going through in step.
pub fn pays<'a>(launches: impl Iterator<Item = &'a PreparedLaunch>) -> bool {
    let threads = pool::threads();
    let (mut shared, mut number) = (0.0, 0);
    for launch in launches {
        number += 1;
        if parts(launch, threads) > 1 {
            shared += launch.near_ns();
        }
    }
    number > 1 && shared >= WORTHWHILE_NS
}

/// How many threads share a launch.
fn parts(launch: &PreparedLaunch, threads: usize) -> usize {
    let most = if launch.has_streams() { launch.divisible() } else { usize::MAX };
    ((launch.near_ns() / PART_NS) as usize).min(threads).min(most).max(1)
}

/// What a phase touches in memory.
#[derive(Default)]
struct Touched(SmallVec<[(u32, bool); 16]>);

impl Touched {
    fn meets(&self, other: &Touched) -> bool {
        self.0.iter().any(|&(m, w)| other.0.iter().any(|&(n, v)| m == n && (w || v)))
    }
}

struct Builder {
    list: List,
    chunked: Vec<Chunked>,
    room: usize,
    phases: Vec<(SmallVec<[Items; 4]>, Touched)>,
    /// What one thread is to do before whatever comes next that has to do with it.
    waiting: (Items, Touched),
}

impl Team {
    /// `memory` says in which memory a buffer lies.
    pub fn new(mut launches: Vec<PreparedLaunch>, memory: impl Fn(u32) -> u32) -> Team {
        let threads = pool::threads();
        let mut b = Builder {
            list: List::default(),
            chunked: Vec::new(),
            room: 0,
            phases: Vec::new(),
            waiting: Default::default(),
        };
        for (l, launch) in launches.iter_mut().enumerate() {
            let mut touched =
                Touched(launch.touches().iter().map(|&(buffer, writes)| (memory(buffer), writes)).collect());
            let results: SmallVec<[(u32, bool); 4]> = launch.results().map(|buffer| (memory(buffer), true)).collect();
            let parts = parts(launch, threads);
            if parts == 1 {
                let items = b.whole(l, launch);
                b.waiting.0.extend(items);
                b.waiting.1.0.extend(touched.0.into_iter().chain(results));
                continue;
            }
            let mut shared: SmallVec<[Items; 4]> = (0..parts).map(|_| Items::new()).collect();
            let finish = if launch.has_streams() {
                b.share_streams(l, launch, &mut shared)
            } else {
                b.share(l, launch, &mut shared);
                None
            };
            match finish {
                Some(finish) => {
                    b.phase(shared, touched);
                    b.waiting.0.push(finish);
                    b.waiting.1.0.extend(results);
                }
                None => {
                    touched.0.extend(results);
                    b.phase(shared, touched);
                }
            }
        }
        b.flush();
        let (phases, counts) = b
            .phases
            .into_iter()
            .map(|(parts, _)| {
                let count = parts.len() as u32;
                (parts, count)
            })
            .unzip();
        Team { launches, list: b.list, phases, counts, chunked: b.chunked, room: b.room }
    }

    pub fn run(&self, frame: &Frame) -> Result<()> {
        let scalars = self.list.scalars(frame);
        let partials = Partials::new(self.room);
        let item = |item: &Item| match item {
            Item::Calls(calls) => {
                self.list.run(&self.launches, frame, &scalars, calls.clone());
                Ok(())
            }
            Item::Box { launch, piece, lo, hi } => {
                self.launches[*launch as usize].run_piece_here(frame, *piece as usize, lo, hi);
                Ok(())
            }
            Item::Chunks { of, chunks } => {
                let of = &self.chunked[*of as usize];
                let launch = &self.launches[of.launch as usize];
                launch.run_chunks_here(frame, &of.ranges, chunks.clone(), &partials, of.partials.start);
                Ok(())
            }
            Item::Finish { of } => {
                let of = &self.chunked[*of as usize];
                self.launches[of.launch as usize].finish(frame, partials.of(of.partials.clone()));
                Ok(())
            }
            Item::Outputs { launch, outer } => self.launches[*launch as usize].run_outputs_here(frame, outer.clone()),
            Item::All { launch } => self.launches[*launch as usize].run(frame),
        };
        let failed = std::sync::Mutex::new(None);
        pool::in_step(&self.counts, &|phase, part| {
            if let Err(e) = self.phases[phase][part].iter().try_for_each(item) {
                failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(e);
            }
        })
        .map_err(Error::Runtime)?;
        match failed.into_inner().unwrap_or_else(|e| e.into_inner()) {
            Some(e) => Err(e),
            None => Ok(()),
        }
    }

    pub fn launches(&self) -> &[PreparedLaunch] {
        &self.launches
    }
}

impl Builder {
    /// A launch that one thread does.
    fn whole(&mut self, l: usize, launch: &PreparedLaunch) -> Items {
        if launch.has_streams() || !launch.pieces.iter().all(PreparedPiece::is_plain) {
            return vec![Item::All { launch: l as u32 }];
        }
        let from = self.list.len();
        for (p, piece) in launch.pieces.iter().enumerate() {
            self.list.add(l, p, piece, &piece.walk.lo, &piece.walk.hi);
        }
        vec![Item::Calls(from..self.list.len())]
    }

    /// The pieces of a launch without streams, cut at about the same places of their first axes.
    fn share(&mut self, l: usize, launch: &PreparedLaunch, parts: &mut [Items]) {
        let n = parts.len() as i64;
        let rows = |p: &PreparedPiece, at: i64| at as f64 / p.per_axis[0].max(1) as f64;
        let all = launch.pieces.iter().map(|p| rows(p, p.walk.hi[0])).fold(1.0, f64::max);
        for (part, items) in parts.iter_mut().enumerate() {
            let part = part as i64;
            for (p, piece) in launch.pieces.iter().enumerate().filter(|(_, p)| p.walk.points() > 0) {
                let (mut lo, mut hi) = (piece.walk.lo.clone(), piece.walk.hi.clone());
                let extent = |d: usize| piece.walk.hi[d] - piece.walk.lo[d];
                let last = piece.walk.rank() - 1;
                if piece.near_ns * (piece.walk.points() as f64) < PART_NS / 4.0 {
                    let centre = rows(piece, piece.walk.lo[0] + piece.walk.hi[0]) / 2.0;
                    if part != ((centre / all * n as f64) as i64).min(n - 1) {
                        continue;
                    }
                } else {
                    let widest = (0..=last).max_by_key(|&d| extent(d)).expect("a walk has at least one axis");
                    let axis = (0..=last).find(|&d| extent(d) >= 4 * n).unwrap_or(widest);
                    let grain = if axis == last { GRAIN } else { 1 };
                    let step = ((extent(axis) + n - 1) / n + grain - 1) / grain * grain;
                    lo[axis] = (piece.walk.lo[axis] + part * step).min(piece.walk.hi[axis]);
                    hi[axis] = (lo[axis] + step).min(piece.walk.hi[axis]);
                    if lo[axis] == hi[axis] {
                        continue;
                    }
                }
                match items.last_mut() {
                    _ if !piece.is_plain() => items.push(Item::Box { launch: l as u32, piece: p as u32, lo, hi }),
                    Some(Item::Calls(calls)) if calls.end == self.list.len() => {
                        self.list.add(l, p, piece, &lo, &hi);
                        calls.end += 1;
                    }
                    _ => {
                        let at = self.list.len();
                        self.list.add(l, p, piece, &lo, &hi);
                        items.push(Item::Calls(at..at + 1));
                    }
                }
            }
        }
    }

    /// A launch with streams, by chunks or by outputs; what is left to do with the chunks' results.
    fn share_streams(&mut self, l: usize, launch: &mut PreparedLaunch, parts: &mut [Items]) -> Option<Item> {
        let n = parts.len();
        let launch_number = l as u32;
        launch.cut_into(n);
        let ranges = launch.chunks();
        if ranges.is_empty() {
            let outer = launch.outer();
            for (part, items) in parts.iter_mut().enumerate() {
                let outer = outer * part / n..outer * (part + 1) / n;
                items.push(Item::Outputs { launch: launch_number, outer });
            }
            return None;
        }
        let of = self.chunked.len() as u32;
        // Chunks are not all of one size: each thread has those whose middle lies in its part.
        let points = ranges.last().map_or(0, |r| r.end);
        let owner = |r: &Range<usize>| ((r.start + r.end) / 2 * n / points.max(1)).min(n - 1);
        for (part, items) in parts.iter_mut().enumerate() {
            let from = ranges.partition_point(|r| owner(r) < part);
            let to = ranges.partition_point(|r| owner(r) <= part);
            items.push(Item::Chunks { of, chunks: from..to });
        }
        let room = ranges.len() * launch.results().count();
        self.chunked.push(Chunked { launch: launch_number, ranges, partials: self.room..self.room + room });
        self.room += room;
        Some(Item::Finish { of })
    }

    /// Another phase, or more of the last one if that has nothing to do with it.
    fn phase(&mut self, mut parts: SmallVec<[Items; 4]>, mut touched: Touched) {
        if self.waiting.1.meets(&touched) {
            self.flush();
        }
        if let Some((last, before)) = self.phases.last_mut()
            && last.len() > 1
            && !before.meets(&touched)
        {
            if last.len() < parts.len() {
                last.resize_with(parts.len(), Items::new);
            }
            last.iter_mut().zip(parts).for_each(|(items, more)| items.extend(more));
            before.0.extend(touched.0);
            return;
        }
        let (items, also) = std::mem::take(&mut self.waiting);
        // (The last one to have something: its part may be the smallest.)
        let last = parts.len() - 1;
        parts[last].extend(items);
        touched.0.extend(also.0);
        self.phases.push((parts, touched));
    }

    /// A phase of what waits.
    fn flush(&mut self) {
        let (items, touched) = std::mem::take(&mut self.waiting);
        if !items.is_empty() {
            self.phases.push((SmallVec::from_iter([items]), touched));
        }
    }
}

#[cfg(test)]
mod tests {
    use legate_jit_ir::graph::{Graph, Op, Order, Reduce, Reducer, Type};
    use legate_jit_ir::view::AxisMap;
    use legate_jit_ir::{DType, Ufunc, Value, View};
    use legate_jit_passes::Cx;

    use crate::Tier;
    use crate::exec::{Action, Prepared, sample::input};

    /// Rounds of a stencil in place with a sum of what changed, its root, a sum over each row and the last row written anew.
    fn program(shape: [usize; 2], rounds: usize, results: bool) -> Graph {
        let mut g = Graph { donated: vec![false], ..Graph::default() };
        let ty = |shape: &[usize]| Type::new(DType::F64, shape);
        let window = |start: [i64; 2], shape: &[usize]| View {
            shape: shape.into(),
            axes: start.iter().enumerate().map(|(k, &s)| AxisMap::along(s, k, 1)).collect(),
        };
        let inner = [shape[0] - 2, shape[1] - 2];
        let mut p = g.push(Op::Input(0), &[], ty(&shape));
        for _ in 0..rounds {
            let parts = [[0, 1], [2, 1], [1, 0], [1, 2]];
            let parts = parts.map(|start| g.push(Op::View(window(start, &inner)), &[p], ty(&inner)));
            let mut sum = parts[0];
            for part in &parts[1..] {
                sum = g.push(Op::Map(Ufunc::Add), &[sum, *part], ty(&inner));
            }
            let quarter = g.push(Op::Scalar(0), &[], ty(&[]));
            let quarter = g.push(Op::View(View::broadcast(&[], &inner)), &[quarter], ty(&inner));
            let value = g.push(Op::Map(Ufunc::Multiply), &[quarter, sum], ty(&inner));
            let next = g.push(Op::Update(window([1, 1], &inner)), &[p, value], ty(&shape));
            let row = g.push(Op::View(window([1, 0], &[1, shape[1]])), &[next], ty(&[1, shape[1]]));
            let next = g.push(Op::Update(window([shape[0] as i64 - 1, 0], &[1, shape[1]])), &[next, row], ty(&shape));
            let reduce = |g: &mut Graph, v: Value, axes: &[u32], ty: Type| {
                let axes = axes.iter().copied().collect();
                g.push(Op::Reduce(Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes, order: Order::Tree }), &[v], ty)
            };
            if results {
                let change = g.push(Op::Map(Ufunc::Subtract), &[next, p], ty(&shape));
                let square = g.push(Op::Map(Ufunc::Square), &[change], ty(&shape));
                let total = reduce(&mut g, square, &[0, 1], ty(&[]));
                let root = g.push(Op::Map(Ufunc::Sqrt), &[total], ty(&[]));
                let rows = reduce(&mut g, next, &[1], ty(&[shape[0]]));
                g.outputs.extend([root, rows]);
            }
            p = next;
        }
        g.outputs.push(p);
        g
    }

    #[test]
    fn launches_in_step_have_the_bits_of_launches_alone() {
        for (shape, rounds, results) in
            [([60, 70], 5, true), ([33, 20], 9, true), ([300, 9], 4, true), ([9, 200], 3, true)]
        {
            let plan = legate_jit_passes::compile(&program(shape, rounds, results), &Cx::default()).unwrap();
            let input = input(DType::F64, shape[0] * shape[1], 3);
            let scalars = [[0.25f64.to_bits(), 0]];
            let run = |p: &Prepared| -> Vec<Vec<u8>> {
                let outputs = p.run(std::slice::from_ref(&input), &scalars).unwrap();
                outputs.iter().map(|o| o.as_slice().to_vec()).collect()
            };
            let alone = run(&Prepared::stepwise(plan.clone(), Tier::Vm).unwrap());
            for tier in [Tier::Vm, Tier::Compiled] {
                let prepared = Prepared::new(plan.clone(), tier).unwrap();
                let teams = prepared.actions.iter().filter(|a| matches!(a, Action::Team(_))).count();
                assert!(teams > 0 || crate::pool::threads() == 1, "{shape:?} {tier:?}");
                for _ in 0..50 {
                    assert!(run(&prepared) == alone, "{shape:?} {tier:?}");
                }
            }
        }
    }
}
