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

use smallvec::{SmallVec, smallvec};

use super::Frame;
use super::calls::List;
use super::launch::PreparedLaunch;
use super::pace::Pace;
use super::piece::PreparedPiece;
use super::stream::Partials;
use crate::{Error, Result, pool, prefetch};

/// Nanoseconds of work that a part has at least, with its operands in the second-level cache: several times of what it costs to be
/// in step.
const PART_NS: f64 = if cfg!(test) { 1.0 } else { 500.0 };
/// Nanoseconds of work that can be shared which make up for starting the job.
const WORTHWHILE_NS: f64 = if cfg!(test) { 100.0 } else { 5000.0 };
/// The same for a launch by itself, and how long one is that the pool shares as a job of many tasks, if it is one.
const ONE_NS: f64 = 2000.0;
const ONE_OF_TASKS_NS: f64 = 20_000.0;
/// Launches that take longer than this by themselves are cut into more parts than there are threads, so that one that is held up
/// can be made up for.
const LONG_NS: f64 = 100_000.0;
/// Lines to ask for at an edge, at most.
const MOST_LINES: u64 = 64;
/// Cuts along the innermost axis are multiples of so many points.
const GRAIN: i64 = if cfg!(test) { 1 } else { 64 };

/// Something that one thread does.
enum Item {
    /// Asks for lines that another thread has written: so many from a place in a buffer on.
    Fetch {
        buffer: u32,
        from: i64,
        lines: u32,
    },
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
type Point = SmallVec<[i64; 4]>;

pub struct Team {
    launches: Vec<PreparedLaunch>,
    list: List,
    /// For each phase what each thread does.
    phases: Vec<SmallVec<[Items; 4]>>,
    counts: Vec<u32>,
    chunked: Vec<Chunked>,
    room: usize,
    pace: Pace,
}

/// Whether a launch can be one of a team's.
pub fn takes(launch: &PreparedLaunch) -> bool {
    launch.near_ns() < LONG_NS && !launch.goes_past()
}

/// Whether these launches are worth going through in step, or a single one in parts of microseconds.
pub fn pays<'a>(launches: impl Iterator<Item = &'a PreparedLaunch>) -> bool {
    let threads = pool::threads();
    let (mut shared, mut number, mut most) = (0.0, 0, f64::INFINITY);
    for launch in launches {
        number += 1;
        if launch.is_blocked() {
            most = 0.0;
        } else if !launch.has_streams() && !launch.runs_at_once() {
            most = ONE_OF_TASKS_NS;
        }
        if worth(launch, threads) > 1 {
            shared += launch.near_ns();
        }
    }
    if number > 1 { shared >= WORTHWHILE_NS } else { (ONE_NS..most).contains(&shared) }
}

/// How many threads a launch is worth sharing among.
fn worth(launch: &PreparedLaunch, threads: usize) -> usize {
    let most = if launch.has_streams() { launch.divisible() } else { usize::MAX };
    ((launch.near_ns() / PART_NS) as usize).min(threads).min(most).max(1)
}

/// Whether it goes along a column of some array: its lines are those of many rows, which are different threads'.
fn is_column(launch: &PreparedLaunch, threads: usize) -> bool {
    let is_long = |p: &PreparedPiece| {
        let rank = p.walk.rank();
        let apart = (0..p.places.len()).any(|a| p.walk.strides[a * rank].unsigned_abs() as usize >= prefetch::LINE);
        apart && p.walk.hi[0] - p.walk.lo[0] >= 4 * threads as i64
    };
    !launch.has_streams() && launch.pieces.iter().any(is_long)
}

/// Memories, and whether they are written to.
type Touched = SmallVec<[(u32, bool); 16]>;

/// What a thread's part of a phase touches: memories, from which byte to which, and whether it writes there.
type Reach = SmallVec<[(u32, Range<i64>, bool); 8]>;

const EVERYWHERE: Range<i64> = i64::MIN..i64::MAX;

fn meets(touched: &Touched, reach: &Reach) -> bool {
    touched.iter().any(|&(m, w)| reach.iter().any(|&(n, _, v)| m == n && (w || v)))
}

/// Whether two parts get in each other's way when nobody says which comes first.
fn clash(a: &Reach, b: &Reach) -> bool {
    let clashes = |(m, x, w): &(u32, Range<i64>, bool), (n, y, v): &(u32, Range<i64>, bool)| {
        m == n && (*w || *v) && x.start <= y.end && y.start <= x.end
    };
    a.iter().any(|x| b.iter().any(|y| clashes(x, y)))
}

/// What a part of a launch reads of each buffer, from the first byte to the last, and what it writes.
#[derive(Default)]
struct Spans {
    reads: SmallVec<[(u32, Range<i64>); 8]>,
    writes: Option<Range<i64>>,
}

impl Spans {
    fn add(&mut self, buffer: u32, span: Range<i64>, writes: bool) {
        let with = |range: &mut Range<i64>| *range = range.start.min(span.start)..range.end.max(span.end);
        if writes {
            self.writes.as_mut().map(with).unwrap_or_else(|| self.writes = Some(span.clone()));
            return;
        }
        match self.reads.iter_mut().find(|(b, _)| *b == buffer) {
            Some((_, range)) => with(range),
            None => self.reads.push((buffer, span)),
        }
    }

    /// Lines that are read before or behind where the part writes: in arrays of one shape that is what another thread has written in
    /// the phase before, and what is asked for at once comes while the rest is worked on.
    fn beside(&self) -> impl Iterator<Item = Item> {
        let own = self.writes.clone().unwrap_or(0..i64::MAX);
        let edges = |(buffer, span): &(u32, Range<i64>)| {
            let edge = |from: i64, to: i64| {
                let lines = (to - from).max(0) as u64 / prefetch::LINE as u64 + 1;
                (from < to && lines <= MOST_LINES).then_some(Item::Fetch { buffer: *buffer, from, lines: lines as u32 })
            };
            [edge(span.start, own.start.min(span.end)), edge(own.end.max(span.start), span.end)]
        };
        self.reads.iter().flat_map(edges).flatten().collect::<Vec<_>>().into_iter()
    }
}

#[derive(Default)]
struct Phase {
    parts: SmallVec<[Items; 4]>,
    reach: SmallVec<[Reach; 4]>,
}

struct Builder {
    list: List,
    chunked: Vec<Chunked>,
    room: usize,
    phases: Vec<Phase>,
    /// What one thread is to do before whatever comes next that has to do with it.
    waiting: (Items, Touched),
}

impl Team {
    /// `memory` says in which memory a buffer lies.
    pub fn new(mut launches: Vec<PreparedLaunch>, memory: impl Fn(u32) -> u32) -> Team {
        let threads = pool::threads();
        // All are cut alike, so that a row is always the same thread's.
        let parts = launches.iter().map(|l| worth(l, threads)).max().unwrap_or(1);
        let shared = launches.iter().filter(|l| worth(l, threads) > 1);
        let large: SmallVec<[u32; 16]> = shared.flat_map(|l| l.touches()).map(|&(buffer, _)| memory(buffer)).collect();
        let mut b = Builder {
            list: List::default(),
            chunked: Vec::new(),
            room: 0,
            phases: Vec::new(),
            waiting: Default::default(),
        };
        for (l, launch) in launches.iter_mut().enumerate() {
            let results = |of: &PreparedLaunch| -> SmallVec<[u32; 4]> { of.results().map(&memory).collect() };
            let is_near = |launch: &PreparedLaunch| launch.touches().iter().any(|&(b, _)| large.contains(&memory(b)));
            if worth(launch, threads) == 1 && !(is_near(launch) && is_column(launch, parts)) {
                let items = b.whole(l, launch);
                if let Some(items) = b.beside(items, launch, &memory) {
                    b.waiting.0.extend(items);
                    b.waiting.1.extend(launch.touches().iter().map(|&(buffer, writes)| (memory(buffer), writes)));
                    b.waiting.1.extend(results(launch).into_iter().map(|m| (m, true)));
                }
            } else if launch.has_streams() {
                let parts = parts.min(launch.divisible());
                let (phase, finish) = b.share_streams(l, launch, parts, &memory);
                b.push(phase);
                if let Some(finish) = finish {
                    b.waiting.0.push(finish);
                    b.waiting.1.extend(results(launch).into_iter().map(|m| (m, true)));
                }
            } else {
                let phase = b.share(l, launch, parts, &memory);
                b.push(phase);
            }
        }
        b.flush();
        let phases: Vec<_> = b.phases.into_iter().map(|phase| phase.parts).collect();
        let counts = phases.iter().map(|parts| parts.len() as u32).collect();
        Team { launches, list: b.list, phases, counts, chunked: b.chunked, room: b.room, pace: Pace::default() }
    }

    pub fn run(&self, frame: &Frame) -> Result<()> {
        let scalars = self.list.scalars(frame);
        let partials = Partials::new(self.room);
        let item = |item: &Item| match item {
            Item::Fetch { buffer, from, lines } => {
                let start = frame.bases[*buffer as usize].wrapping_offset(*from as isize);
                (0..*lines as usize).for_each(|k| prefetch::line(start.wrapping_add(k * prefetch::LINE)));
                Ok(())
            }
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
        let part = |phase: usize, part: usize| {
            if let Err(e) = self.phases[phase][part].iter().try_for_each(item) {
                failed.lock().unwrap_or_else(|e| e.into_inner()).get_or_insert(e);
            }
        };
        self.pace
            .run(|together| match together {
                true => pool::in_step(&self.counts, &part),
                false => pool::in_turn(&self.counts, &part),
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

    /// A launch without streams, all pieces cut at the same rows.
    fn share(&mut self, l: usize, launch: &PreparedLaunch, parts: usize, memory: &impl Fn(u32) -> u32) -> Phase {
        let mut phase = Phase::default();
        for part in 0..parts as i64 {
            let (mut items, mut spans, mut reach) = (Items::new(), Spans::default(), Reach::new());
            for (p, piece) in launch.pieces.iter().enumerate() {
                let Some((lo, hi)) = part_of(piece, launch, part, parts as i64) else { continue };
                for (buffer, span) in piece.spans(&lo, &hi) {
                    let writes = launch.touches().contains(&(buffer, true));
                    reach.push((memory(buffer), span.clone(), writes));
                    spans.add(buffer, span, writes);
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
            items.splice(0..0, spans.beside());
            phase.parts.push(items);
            phase.reach.push(reach);
        }
        phase
    }

    /// A launch with streams, by chunks or by outputs; what is left to do with the chunks' results.
    fn share_streams(
        &mut self,
        l: usize,
        launch: &mut PreparedLaunch,
        parts: usize,
        memory: &impl Fn(u32) -> u32,
    ) -> (Phase, Option<Item>) {
        launch.cut_into(parts);
        let ranges = launch.chunks();
        let (of, points) = (self.chunked.len() as u32, ranges.last().map_or(0, |r| r.end));
        // Chunks are not all of one size: each thread has those whose middle lies in its part.
        let owner = |r: &Range<usize>| ((r.start + r.end) / 2 * parts / points.max(1)).min(parts - 1);
        let item = |part: usize| match ranges.is_empty() {
            true => {
                let outer = launch.outer();
                Item::Outputs { launch: l as u32, outer: outer * part / parts..outer * (part + 1) / parts }
            }
            false => {
                let from = ranges.partition_point(|r| owner(r) < part);
                let to = ranges.partition_point(|r| owner(r) <= part);
                Item::Chunks { of, chunks: from..to }
            }
        };
        let touches = launch.touches().iter().map(|&(buffer, writes)| (memory(buffer), EVERYWHERE, writes));
        let mut reach: Reach = touches.collect();
        if ranges.is_empty() {
            // (Different outputs for each part: only for other launches do they count as one.)
            let results = launch.results().map(|buffer| (memory(buffer), EVERYWHERE, true));
            reach.extend(results);
        }
        let phase = Phase {
            parts: (0..parts).map(|part| vec![item(part)]).collect(),
            reach: (0..parts).map(|_| reach.clone()).collect(),
        };
        if ranges.is_empty() {
            return (phase, None);
        }
        let room = ranges.len() * launch.results().count();
        self.chunked.push(Chunked { launch: l as u32, ranges, partials: self.room..self.room + room });
        self.room += room;
        (phase, Some(Item::Finish { of }))
    }

    /// A launch that one thread does goes to the thread of the last phase that has these rows, if all of them are one thread's; else
    /// it is given back.
    fn beside(&mut self, items: Items, launch: &PreparedLaunch, memory: &impl Fn(u32) -> u32) -> Option<Items> {
        let Some(last) = self.phases.last_mut().filter(|_| !launch.has_streams()) else { return Some(items) };
        let mut reach = Reach::new();
        for piece in launch.pieces.iter().filter(|p| p.walk.points() > 0) {
            let spans = piece.spans(&piece.walk.lo, &piece.walk.hi);
            reach.extend(spans.map(|(b, span)| (memory(b), span, launch.touches().contains(&(b, true)))));
        }
        let theirs = |part: &usize| clash(&reach, &last.reach[*part]);
        let mut met = (0..last.parts.len()).filter(theirs);
        let (Some(part), None) = (met.next(), met.next()) else { return Some(items) };
        if meets(&self.waiting.1, &reach) {
            return Some(items);
        }
        last.parts[part].extend(items);
        last.reach[part].extend(reach);
        None
    }

    /// Another phase, or more of the last one where no thread gets in another's way.
    fn push(&mut self, mut phase: Phase) {
        if phase.reach.iter().any(|reach| meets(&self.waiting.1, reach)) {
            self.flush();
        }
        if let Some(last) = self.phases.last_mut() {
            let other = |(t, mine): (usize, &Reach)| {
                last.reach.iter().enumerate().any(|(u, theirs)| t != u && clash(mine, theirs))
            };
            if !phase.reach.iter().enumerate().any(other) {
                let most = last.parts.len().max(phase.parts.len());
                last.parts.resize_with(most, Items::new);
                last.reach.resize_with(most, Reach::new);
                last.parts.iter_mut().zip(phase.parts).for_each(|(items, more)| items.extend(more));
                last.reach.iter_mut().zip(phase.reach).for_each(|(reach, more)| reach.extend(more));
                return;
            }
        }
        self.wait_no_more(&mut phase);
        self.phases.push(phase);
    }

    /// What waits is done by the last of a phase's threads.
    fn wait_no_more(&mut self, phase: &mut Phase) {
        let (items, touched) = std::mem::take(&mut self.waiting);
        if let (Some(part), Some(reach)) = (phase.parts.last_mut(), phase.reach.last_mut()) {
            part.extend(items);
            reach.extend(touched.into_iter().map(|(memory, writes)| (memory, EVERYWHERE, writes)));
        }
    }

    /// A phase of what waits.
    fn flush(&mut self) {
        if !self.waiting.0.is_empty() {
            let mut phase = Phase { parts: smallvec![Items::new()], reach: smallvec![Reach::new()] };
            self.wait_no_more(&mut phase);
            self.phases.push(phase);
        }
    }
}

/// A thread's part of a piece; `None` if there is none.
fn part_of(piece: &PreparedPiece, launch: &PreparedLaunch, part: i64, parts: i64) -> Option<(Point, Point)> {
    let (mut lo, mut hi) = (piece.walk.lo.clone(), piece.walk.hi.clone());
    let rows = launch.pieces.iter().map(|p| p.walk.hi[0] / p.per_axis[0].max(1)).max().unwrap_or(0);
    let last = piece.walk.rank() - 1;
    let extent = |d: usize| piece.walk.hi[d] - piece.walk.lo[d];
    let (axis, cut): (usize, [i64; 2]) = if rows >= 4 * parts {
        let each = piece.per_axis[0].max(1);
        let grain = if last == 0 && each == 1 { GRAIN.min(rows / (4 * parts)).max(1) } else { 1 };
        (0, [part, part + 1].map(|t| if t == parts { i64::MAX } else { rows * t / parts / grain * grain * each }))
    } else {
        let axis = (0..=last).max_by_key(|&d| extent(d))?;
        (axis, [part, part + 1].map(|t| piece.walk.lo[axis] + extent(axis) * t / parts))
    };
    lo[axis] = lo[axis].max(cut[0]);
    hi[axis] = hi[axis].min(cut[1]);
    (0..=last).all(|d| lo[d] < hi[d]).then_some((lo, hi))
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
    fn program(shape: [usize; 2], rounds: usize) -> Graph {
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
            let change = g.push(Op::Map(Ufunc::Subtract), &[next, p], ty(&shape));
            let square = g.push(Op::Map(Ufunc::Square), &[change], ty(&shape));
            let total = reduce(&mut g, square, &[0, 1], ty(&[]));
            let root = g.push(Op::Map(Ufunc::Sqrt), &[total], ty(&[]));
            let rows = reduce(&mut g, next, &[1], ty(&[shape[0]]));
            g.outputs.extend([root, rows]);
            p = next;
        }
        g.outputs.push(p);
        g
    }

    #[test]
    fn launches_in_step_have_the_bits_of_launches_alone() {
        for (shape, rounds) in [([60, 70], 5), ([33, 20], 9), ([300, 9], 4), ([9, 200], 3)] {
            let plan = legate_jit_passes::compile(&program(shape, rounds), &Cx::default()).unwrap();
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

    /// A root of products, or its sum.
    fn one_launch(n: usize, summed: bool) -> Graph {
        let mut g = Graph { donated: vec![false], ..Graph::default() };
        let ty = Type::new(DType::F64, &[n]);
        let x = g.push(Op::Input(0), &[], ty.clone());
        let square = g.push(Op::Map(Ufunc::Multiply), &[x, x], ty.clone());
        let mut value = g.push(Op::Map(Ufunc::Sqrt), &[square], ty);
        if summed {
            let axes = [0].into_iter().collect();
            let sum = Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes, order: Order::Tree };
            value = g.push(Op::Reduce(sum), &[value], Type::new(DType::F64, &[]));
        }
        g.outputs.push(value);
        g
    }

    #[test]
    fn a_launch_of_microseconds_is_shared_by_itself() {
        for (n, summed, shared) in [(900, false, false), (30_000, false, true), (30_001, true, true)] {
            let plan = legate_jit_passes::compile(&one_launch(n, summed), &Cx::default()).unwrap();
            let input = input(DType::F64, n, 5);
            let run = |p: &Prepared| p.run(std::slice::from_ref(&input), &[]).unwrap()[0].as_slice().to_vec();
            let alone = run(&Prepared::stepwise(plan.clone(), Tier::Vm).unwrap());
            for tier in [Tier::Vm, Tier::Compiled] {
                let prepared = Prepared::new(plan.clone(), tier).unwrap();
                let teams = prepared.actions.iter().filter(|a| matches!(a, Action::Team(_))).count();
                assert_eq!(teams == 1, shared && crate::pool::threads() > 1, "{n} elements");
                // As a team and not: both are tried.
                for _ in 0..50 {
                    assert!(run(&prepared) == alone, "{n} elements, {tier:?}");
                }
            }
        }
    }
}
