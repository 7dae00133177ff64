//! Several sweeps in one pass over memory: runs of launches over the same rows are worked off as a wavefront.
//!
//! A time loop over a stencil is a run of launches, each reading what the one before it wrote, some rows further at most.
//! Instead of sweeping the whole array once a launch, a band of rows moves down the array and every launch does its part of the
//! band, each lagging so many rows behind the one before that what it reads is done and what it overwrites is no longer needed.
//! The rows between the first launch's front and the last one's stay in cache, so memory is read and written once for the
//! whole run. The same points are computed by the same kernels, so the bits are the same.
//!
//! A launch that reduces the whole array to one element (the residual of a sweep) takes part chunk by chunk: the chunks of its
//! tree that lie wholly in the rows it may handle. Launches of single elements (the square root of two sums) are put off
//! until all rows are done, where nothing in the run asks for their results.
//!
//! Threads share the rows by split tiling: each works on a segment whose edges draw in by the launches' lags, and then the
//! wedges left between two segments are filled in.
//!
//! The legality rule. Launch j handles row y of the array. It must come after every launch i < j in the run has handled the
//! rows that hold what j reads there, that read what j overwrites there, and that write the same row. For constant
//! distances between rows that is: j's front stays at least `lag(j, i)` rows behind i's, upwards and downwards; more by the rows
//! that i's last chunk may leave undone.

use std::ops::Range;

use legate_jit_ir::plan::{BufferId, Launch, Operand, Plan, Step, Target};
use legate_jit_ir::shape::size;

use super::Frame;
use super::launch::PreparedLaunch;
use super::stream::Partials;
use crate::{Error, Result, Tier, pool};

/// Bytes that the rows between the fronts may take: a share of the last-level cache that one thread can count on.
const WINDOW_BYTES: usize = if cfg!(test) { 64 << 10 } else { 6 << 20 };
/// Below this many bytes a sweep's data stays in cache anyway. (Tests have small arrays.)
const WORTHWHILE_BYTES: usize = if cfg!(test) { 1 << 10 } else { 3 << 20 };
/// Bytes of rows that a launch handles at a time, at least where they are many: calling a kernel for less (the rows of an
/// array with one axis are its elements) takes longer than its work.
const STEP_BYTES: usize = if cfg!(test) { 1 << 10 } else { 64 << 10 };
/// The most launches in one wavefront.
const MAX_LAUNCHES: usize = 64;

/// A run of launches that is worked off together.
pub struct Wavefront {
    launches: Vec<PreparedLaunch>,
    /// What each launch does in the run.
    parts: Vec<Part>,
    /// How far the last lane lags behind the leading front.
    deepest: i64,
    /// Rows of the arrays.
    rows: usize,
    /// Rows that the leading front moves at a time.
    step: usize,
}

enum Part {
    Lane(Lane),
    /// Runs when all rows are done.
    Deferred,
}

struct Lane {
    /// How far the launch lags behind the leading front.
    lag: i64,
    /// Array row of the launch's first row.
    start: i64,
    work: Work,
}

/// The parts that a launch can be divided into.
enum Work {
    /// Any rows of its domain.
    Rows(usize),
    /// All of it works on one row of the arrays; the domain's first axis has so many points.
    OneRow(usize),
    /// Chunks of a reduction: ranges of points, of which a row has `width`.
    Chunks { ranges: Vec<Range<usize>>, width: usize },
}

/// How a launch uses memory row by row.
struct Uses {
    rows: usize,
    start: i64,
    /// (memory, array row − launch row, writes).
    list: Vec<(BufferId, i64, bool)>,
    /// Bytes of all buffers that it touches, a row.
    bytes: usize,
    one_row: bool,
    /// Rows at the edge of a range that may stay undone, because a chunk reaches over it.
    slack: i64,
}

/// Launches that can be one run.
#[derive(Default)]
struct Run {
    parts: Vec<Option<Uses>>,
    /// Lag of each lane.
    lags: Vec<i64>,
}

/// The length of the run of launches that begins at `steps[at]` (1 where there is nothing to gain), `Free` steps not counted.
/// `memory` names the first buffer of each memory.
pub fn run_length(plan: &Plan, memory: &[BufferId], launches: &[&Launch]) -> usize {
    let Some(first) = launches.first().and_then(|l| uses(plan, memory, l)) else { return 1 };
    let array_rows = array_rows(plan, launches[0]);
    if array_rows * first.bytes < WORTHWHILE_BYTES {
        return 1;
    }
    let run = Run::grow(plan, memory, launches, array_rows);
    let sweeps = run.parts.iter().flatten().filter(|u| u.rows * 2 > array_rows).count();
    if sweeps < 2 { 1 } else { run.parts.len() }
}

impl Run {
    /// The longest run from the first of these launches on.
    fn grow(plan: &Plan, memory: &[BufferId], launches: &[&Launch], array_rows: usize) -> Run {
        let mut run = Run::default();
        let mut widest = 0;
        for (k, launch) in launches.iter().take(MAX_LAUNCHES).enumerate() {
            let lane = if self::array_rows(plan, launch) == array_rows { uses(plan, memory, launch) } else { None };
            match lane {
                Some(uses) if !run.asks_for_results(plan, memory, &launches[..k], launch) => {
                    let lag = run.lag(&uses);
                    widest = widest.max(uses.bytes);
                    let window = (2 * (lag + uses.slack) + 2) as usize * widest;
                    if lag + uses.slack > array_rows as i64 / 8 || window > WINDOW_BYTES {
                        break;
                    }
                    run.lags.push(lag);
                    run.parts.push(Some(uses));
                }
                None if is_single(plan, launch) => run.parts.push(None),
                _ => break,
            }
        }
        // What is at the end and waits for the rows anyway gains nothing here.
        while run.parts.last().is_some_and(Option::is_none) {
            run.parts.pop();
        }
        run
    }

    /// How far another launch must lag.
    fn lag(&self, later: &Uses) -> i64 {
        let mut lag = 0;
        for (earlier, &behind) in self.parts.iter().flatten().zip(&self.lags) {
            for &(memory, d, write) in &later.list {
                for &(other, e, other_writes) in &earlier.list {
                    if memory != other || !(write || other_writes) {
                        continue;
                    }
                    // The later one at row y touches row y + d of the memory, the earlier at row x touches x + e: they meet at
                    // x = y + d − e. Both directions count, because segments have an upper and a lower edge.
                    let distance = if d == i64::MAX || e == i64::MAX { i64::MAX / 4 } else { (d - e).abs() };
                    lag = lag.max(behind.saturating_add(distance).saturating_add(earlier.slack));
                }
            }
        }
        lag.min(i64::MAX / 4)
    }

    /// Whether a launch that is to go row by row touches what a launch before it in the run has ready at the end only, or
    /// writes what one that is put off reads.
    fn asks_for_results(&self, plan: &Plan, memory: &[BufferId], before: &[&Launch], launch: &Launch) -> bool {
        let home = |b: BufferId| memory[b.0 as usize];
        let mine: Vec<BufferId> = buffers(launch).map(home).chain(launch.streams.iter().map(|s| home(s.out))).collect();
        let written: Vec<BufferId> =
            legate_jit_passes::schedule::written_by(plan, launch).into_iter().map(home).collect();
        before.iter().zip(&self.parts).any(|(earlier, part)| {
            let results = earlier.streams.iter().any(|s| mine.contains(&home(s.out)));
            let put_off = part.is_none()
                && (buffers(earlier).map(home).any(|b| written.contains(&b))
                    || legate_jit_passes::schedule::written_by(plan, earlier)
                        .into_iter()
                        .any(|b| mine.contains(&home(b))));
            results || put_off
        })
    }
}

/// A launch of one point, whose time is of no importance.
fn is_single(plan: &Plan, launch: &Launch) -> bool {
    launch.streams.is_empty() && size(&launch.domain) == 1 && buffers(launch).all(|b| plan.buffer(b).ty.size() == 1)
}

fn buffers(launch: &Launch) -> impl Iterator<Item = BufferId> {
    launch.targets.iter().filter_map(|t| match t {
        Target::Buffer(o) => Some(o.buffer),
        Target::Stream(_) => None,
    })
}

/// Rows of the arrays that a launch writes, or else reduces; 0 if it writes arrays of several heights.
fn array_rows(plan: &Plan, launch: &Launch) -> usize {
    let mut heights = launch.targets.iter().filter_map(|t| match t {
        Target::Buffer(o) if written(plan, launch, o) => plan.buffer(o.buffer).ty.shape.first().copied(),
        _ => None,
    });
    let Some(first) = heights.next() else { return launch.domain.first().copied().unwrap_or(0) };
    if heights.all(|h| h == first) { first } else { 0 }
}

fn written(plan: &Plan, launch: &Launch, operand: &Operand) -> bool {
    launch.pieces.iter().any(|piece| {
        plan.kernels[piece.kernel as usize].body.stores.iter().any(|&(access, _)| {
            matches!(&launch.targets[piece.accesses[access as usize] as usize], Target::Buffer(o) if o == operand)
        })
    })
}

/// `None` where the launch does not go row by row at constant distances.
fn uses(plan: &Plan, memory: &[BufferId], launch: &Launch) -> Option<Uses> {
    if launch.domain.is_empty() || launch.domain.contains(&0) {
        return None;
    }
    if launch.streams.iter().any(|s| s.reduce.axes.len() != launch.domain.len()) {
        return None;
    }
    let operands = || {
        launch.targets.iter().filter_map(|t| match t {
            Target::Buffer(o) => Some(o),
            Target::Stream(_) => None,
        })
    };
    // A launch on one row has no axis that goes along the arrays' rows.
    let along = |o: &Operand| o.view.axes.first().is_some_and(|m| !m.terms.is_empty());
    let one_row = launch.streams.is_empty() && operands().filter(|o| written(plan, launch, o)).all(|o| !along(o));
    let rows = if one_row { 1 } else { launch.domain[0] };
    // The array row of a launch row, for a map of the array's first axis.
    let row_of = |o: &Operand| -> Option<i64> {
        let map = o.view.axes.first()?;
        match map.terms[..] {
            [] if rows == 1 => Some(map.start),
            [(0, 1)] if !one_row && o.view.axes[1..].iter().all(|m| m.terms.iter().all(|t| t.0 != 0)) => {
                Some(map.start)
            }
            _ => None,
        }
    };
    let mut start = (!launch.streams.is_empty()).then_some(0);
    let mut bytes = 0;
    for o in operands() {
        let ty = &plan.buffer(o.buffer).ty;
        if ty.shape.len() >= 2 || ty.shape.first() == Some(&rows) {
            bytes += ty.bytes() / ty.shape[0].max(1);
        }
        if written(plan, launch, o) {
            let row = row_of(o)?;
            if *start.get_or_insert(row) != row {
                return None;
            }
        }
    }
    let start = start?;
    let mut list = Vec::new();
    for o in operands() {
        let home = memory[o.buffer.0 as usize];
        match row_of(o) {
            Some(row) => list.push((home, row - start, written(plan, launch, o))),
            // Only what the run does not write may be read in any other way; `i64::MAX` says so.
            _ => list.push((home, i64::MAX, false)),
        }
    }
    let width = size(&launch.domain[1..]).max(1);
    let slack = if launch.streams.is_empty() { 0 } else { PreparedLaunch::FINE_CHUNK.div_ceil(width) as i64 };
    Some(Uses { rows, start, list, bytes, one_row, slack })
}

impl Wavefront {
    pub fn launches(&self) -> &[PreparedLaunch] {
        &self.launches
    }

    /// Of launches that are a run (see [`run_length`]). `None` if one of them turns out not to be divisible.
    pub fn new(plan: &Plan, memory: &[BufferId], launches: &[&Launch], tier: Tier) -> Result<Option<Wavefront>> {
        let rows = array_rows(plan, launches[0]);
        let run = Run::grow(plan, memory, launches, rows);
        let widest = run.parts.iter().flatten().map(|u| u.bytes).max().unwrap_or(1).max(1);
        let deepest = run.parts.iter().flatten().zip(&run.lags).map(|(u, lag)| lag + u.slack).max().unwrap_or(0);
        // Steps no larger than the window behind them, so that the window decides what stays in cache, but worth a call.
        let largest = (deepest.max(1) as usize + 1).max(STEP_BYTES / widest);
        let step = (WINDOW_BYTES / 2 / widest).saturating_sub(deepest as usize).clamp(1, largest);
        let mut lags = run.lags.into_iter();
        let (mut prepared, mut parts) = (Vec::new(), Vec::new());
        for (&launch, uses) in launches.iter().zip(run.parts) {
            let mut ready = PreparedLaunch::new(plan, launch, tier)?;
            parts.push(match uses {
                None => Part::Deferred,
                Some(uses) => {
                    let lag = lags.next().expect("one a lane");
                    let work = if !launch.streams.is_empty() {
                        ready = ready.cut_finely();
                        let ranges = ready.chunks();
                        if ranges.is_empty() {
                            return Ok(None);
                        }
                        Work::Chunks { ranges, width: size(&launch.domain[1..]) }
                    } else if uses.one_row {
                        Work::OneRow(launch.domain[0])
                    } else {
                        Work::Rows(uses.rows)
                    };
                    Part::Lane(Lane { lag, start: uses.start, work })
                }
            });
            prepared.push(ready);
        }
        Ok((parts.len() == launches.len()).then_some(Wavefront { launches: prepared, parts, deepest, rows, step }))
    }

    pub fn run(&self, frame: &Frame) -> Result<()> {
        // A segment must be taller than the wedges at its two edges.
        let segments = pool::threads().min(self.rows / (4 * self.deepest as usize + 1)).max(1);
        let cut = |s: usize| (self.rows * s / segments) as i64;
        let partials: Vec<Partials> = self.launches.iter().map(PreparedLaunch::room_for_partials).collect();
        let now = Now { wavefront: self, frame, partials: &partials };
        pool::run(segments, &|s, _| now.segment(cut(s), cut(s + 1), s > 0, s + 1 < segments))
            .map_err(Error::Runtime)?;
        pool::run(segments - 1, &|s, _| now.wedge(cut(s + 1))).map_err(Error::Runtime)?;
        for ((launch, part), partials) in self.launches.iter().zip(&self.parts).zip(&partials) {
            match part {
                Part::Lane(_) => launch.finish(frame, partials),
                Part::Deferred => launch.run(frame)?,
            }
        }
        Ok(())
    }

    fn lanes(&self) -> impl Iterator<Item = (usize, &Lane)> {
        self.parts.iter().enumerate().filter_map(|(l, part)| match part {
            Part::Lane(lane) => Some((l, lane)),
            Part::Deferred => None,
        })
    }
}

/// One run of a wavefront.
struct Now<'a> {
    wavefront: &'a Wavefront,
    frame: &'a Frame<'a>,
    /// For each launch.
    partials: &'a [Partials],
}

impl Now<'_> {
    /// Rows `from..to`, drawn in by each launch's lag at the edges that other segments share.
    fn segment(&self, from: i64, to: i64, above: bool, below: bool) {
        let wavefront = self.wavefront;
        let begin = |lane: &Lane| if above { from + lane.lag } else { 0 };
        let end = |lane: &Lane| if below { to - lane.lag } else { wavefront.rows as i64 };
        let mut fronts: Vec<i64> = wavefront.lanes().map(|(_, lane)| begin(lane)).collect();
        let mut front = from;
        while front < to + wavefront.deepest {
            front += wavefront.step as i64;
            for ((l, lane), done) in wavefront.lanes().zip(&mut fronts) {
                let next = (front - lane.lag).min(end(lane));
                if next > *done {
                    // Of a reduction, the chunk that reaches over the segment's first row is not begun here.
                    self.rows(l, lane, begin(lane), *done..next);
                    *done = next;
                }
            }
        }
    }

    /// What two segments left around the row between them.
    fn wedge(&self, at: i64) {
        for (l, lane) in self.wavefront.lanes() {
            match &lane.work {
                Work::Chunks { ranges, width } => {
                    let row = |y: i64| y.max(0) as usize * width;
                    let from = ranges.partition_point(|r| r.end <= row(at - lane.lag));
                    let to = ranges.partition_point(|r| r.start < row(at + lane.lag));
                    self.wavefront.launches[l].run_chunks_here(self.frame, ranges, from..to, &self.partials[l]);
                }
                _ => self.rows(l, lane, i64::MIN, at - lane.lag..at + lane.lag),
            }
        }
    }

    /// Runs a launch on some rows of the arrays, as far as it has them; of a reduction the chunks that end in these rows and
    /// do not begin before row `first`.
    fn rows(&self, l: usize, lane: &Lane, first: i64, rows: Range<i64>) {
        let launch = &self.wavefront.launches[l];
        let clamp = |rows: &Range<i64>, n: usize| {
            (rows.start - lane.start).clamp(0, n as i64) as usize..(rows.end - lane.start).clamp(0, n as i64) as usize
        };
        match &lane.work {
            Work::Rows(n) => {
                let rows = clamp(&rows, *n);
                if !rows.is_empty() {
                    launch.run_rows_here(self.frame, rows);
                }
            }
            Work::OneRow(n) => {
                if rows.contains(&lane.start) {
                    launch.run_rows_here(self.frame, 0..*n);
                }
            }
            Work::Chunks { ranges, width } => {
                let end = |y: i64| ranges.partition_point(|r| r.end <= y.max(0) as usize * width);
                let from = end(rows.start).max(ranges.partition_point(|r| r.start < first.max(0) as usize * width));
                launch.run_chunks_here(self.frame, ranges, from..end(rows.end).max(from), &self.partials[l]);
            }
        }
    }
}

/// The launches among the steps from `at` on, up to the first step that is neither a launch nor a `Free`, and the steps' places.
pub fn launches_from(plan: &Plan, at: usize) -> (Vec<&Launch>, Vec<usize>) {
    let mut launches = Vec::new();
    let mut places = Vec::new();
    for (s, step) in plan.steps.iter().enumerate().skip(at).take(4 * MAX_LAUNCHES) {
        match step {
            Step::Launch(launch) => {
                launches.push(launch);
                places.push(s);
            }
            Step::Free(_) => {}
            Step::Opaque { .. } => break,
        }
    }
    (launches, places)
}

#[cfg(test)]
mod tests;
