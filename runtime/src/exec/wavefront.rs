//! Several sweeps in one pass over memory: runs of launches over the same rows are worked off as a wavefront.
//!
//! A time loop over a stencil is a run of launches, each reading what the one before it wrote, some rows further at most.
//! Instead of sweeping the whole array once a launch, a band of rows moves down the array and every launch does its part of the
//! band, each lagging so many rows behind the one before that what it reads is done and what it overwrites is no longer needed.
//! The rows between the first launch's front and the last one's stay in cache, so memory is read and written once for the
//! whole run. The same points are computed by the same kernels, so the bits are the same.
//!
//! A launch that reduces the whole array to one element (the residual of a sweep) takes part chunk by chunk: the chunks of its
//! tree that lie wholly in the rows it may handle; in bands of columns (below) leaf by leaf. Launches of single elements (the square
//! root of two sums) are put off until all rows are done, where nothing in the run asks for their results.
//!
//! Where so many whole rows do not fit the second-level cache (a row of an array with three axes is a plane), the wavefront
//! goes down one band of columns after the other. Bands lean: a launch that lags behind in rows lags behind in columns too, so
//! what it reads at a band's edge was computed with the band before, and nothing is computed twice.
//!
//! Threads share the rows by split tiling: each works on a segment whose edges draw in by the launches' lags, and then the
//! wedges left between two segments are filled in. In a periodic array (the first row reads the last one) the rows are a ring:
//! the first segment begins where the last one ends, and a wedge is left there too.
//!
//! The legality rule. Launch j handles row y of the array. It must come after every launch i < j in the run has handled the
//! rows that hold what j reads there, that read what j overwrites there, and that write the same row. For constant
//! distances between rows that is: j's front stays at least `lag(j, i)` rows behind i's, upwards and downwards; more by the rows
//! that i's last chunk may leave undone.

mod uses;

use std::collections::BTreeMap;
use std::ops::Range;

use legate_jit_ir::plan::{BufferId, Launch, Plan, Step};
use legate_jit_ir::shape::size;

use super::Frame;
use super::launch::PreparedLaunch;
use super::stream::{Leafwise, Partials, Sums};
use crate::{Error, Result, Tier, pool};
use uses::{Columns, FAR, Parts, Uses, array_columns, array_rows, buffers, distinct, is_single, uses};

/// Bytes that the rows between the fronts may take in the last-level cache: a share that one thread can count on.
const FAR_BYTES: usize = if cfg!(test) { 64 << 10 } else { 6 << 20 };
/// What a sweep costs whose data is in the second-level or the last-level cache, where one over memory costs 1. Measured on two
/// cores (Emerald Rapids): copies run at 140, 55 and 26 GB/s. Of rows too long for the first-level cache to hold a few of them, a
/// stencil reads each from the second level several times.
const NEAR_COST: f64 = 0.2;
const LONG_ROWS_COST: f64 = 0.35;
const FAR_COST: f64 = 0.5;
/// What bands' edges cost, times the part of a band by which the last sweep leans: the columns there are read and written once more, and each
/// sweep reads some that have left the cache. (320³ points on a Zen 4: ten sweeps in bands of the last-level cache take 100 ms, seven in
/// narrower ones of the second level and then three 145.)
const EDGE_COST: f64 = 4.0;
/// Bytes of a row from which on it is long.
const LONG_ROW_BYTES: usize = if cfg!(test) { 1 << 10 } else { 12 << 10 };
/// Bytes of a row of a block, of which the first-level cache has a few, and the fewest columns of one. (Blocks of planes' columns are
/// no faster than whole bands.)
const BLOCK_BYTES: usize = if cfg!(test) { 1 << 9 } else { 5 << 10 };
const FEW_COLUMNS: usize = 64;
/// Costs that are taken to be the same.
const AS_GOOD: f64 = 1.01;
/// The part of the arrays' memory that the leaves of reductions may take beside it. With a residual in every sweep, bands are no faster than
/// whole rows, and take a seventh more memory.
const LITTLE: usize = if cfg!(test) { 1 } else { 16 };
/// Elements of a band's rows, at least: kernels are called for each.
const BAND_ELEMENTS: usize = if cfg!(test) { 4 } else { 512 };
/// Below this many bytes a sweep's data stays in cache anyway. (Tests have small arrays.)
pub(super) const WORTHWHILE_BYTES: usize = if cfg!(test) { 1 << 10 } else { 1 << 20 };
/// Bytes of rows that a launch handles at a time, at least where they are many: calling a kernel for less (the rows of an
/// array with one axis are its elements) takes longer than its work.
const STEP_BYTES: usize = if cfg!(test) { 1 << 10 } else { 64 << 10 };
/// The most launches in one wavefront.
pub(super) const MAX_LAUNCHES: usize = 64;

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
    /// The last row is the first one's neighbour.
    ring: bool,
    bands: Option<Bands>,
}

/// Bands of columns (the arrays' second axis), each worked off from the first row to the last.
#[derive(Clone, Copy)]
struct Bands {
    width: i64,
    /// Columns that a launch works off at a time: of several rows that it reads of them the first-level cache has all.
    block: usize,
    /// Columns of the arrays.
    columns: i64,
    /// How far the last lane's band lies behind the first one's.
    deepest: i64,
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
    /// Where there are bands: how far its columns lag, and which it has.
    across: Option<(i64, Columns)>,
}

/// The parts that a launch can be divided into.
enum Work {
    /// Any rows of its domain.
    Rows(usize),
    /// All of it works on one row of the arrays; the domain's first axis has so many points.
    OneRow(usize),
    /// Chunks of a reduction: ranges of points, of which a row has `width`.
    Chunks { ranges: Vec<Range<usize>>, width: usize },
    /// Leaves of a reduction over so many rows, and the points of a column of one.
    Leaves { leafwise: Leafwise, rows: usize, column: usize },
}

/// Launches that can be one run.
#[derive(Default)]
struct Run {
    parts: Vec<Option<Uses>>,
    /// Lag of each lane in rows, and in columns.
    lags: Vec<[i64; 2]>,
    /// Rows of the arrays that each lane writes.
    heights: Vec<usize>,
}

/// How launches are worked off as one run.
pub struct Shape {
    run: Run,
    rows: usize,
    step: usize,
    ring: bool,
    bands: Option<Bands>,
}

/// One way to work off the first launches of a run.
struct Choice {
    /// Of a sweep, where one over memory costs 1.
    cost: f64,
    /// Launches, and sweeps among them.
    length: usize,
    sweeps: usize,
    /// Bytes that the rows between the fronts may take.
    budget: usize,
    bands: Option<Bands>,
}

/// What a sweep costs whose data is in the second-level cache, with rows of so many bytes.
fn near_cost(row: usize) -> f64 {
    if row > LONG_ROW_BYTES { LONG_ROWS_COST } else { NEAR_COST }
}

/// The run of launches that begins with the first of these; `None` where there is nothing to gain. `memory` names the first
/// buffer of each memory.
pub fn find(plan: &Plan, memory: &[BufferId], launches: &[&Launch]) -> Option<Shape> {
    let first = uses(plan, memory, launches.first()?, Parts::Chunks)?;
    let rows = array_rows(plan, launches[0]);
    if rows * distinct(&first).values().sum::<usize>() < WORTHWHILE_BYTES {
        return None;
    }
    let whole = Run::grow(plan, memory, launches, rows, Parts::Chunks);
    let reduces = whole.parts.iter().flatten().any(|uses| uses.reduces);
    let in_bands = reduces.then(|| Run::grow(plan, memory, launches, rows, Parts::Leaves));
    let mut options = whole.in_rows(rows);
    let banded = in_bands.as_ref().unwrap_or(&whole);
    if banded.room_for_leaves(launches) <= banded.window(banded.parts.len()).1 * rows / LITTLE {
        options.extend(banded.in_bands(plan, launches, rows));
    }
    // With what each of them leaves over. Of those that are as good the longest, which goes over memory least often.
    let sweeps = options.iter().map(|o| o.sweeps).max()?;
    let of = |n: usize| match n {
        0 => 0.0,
        n => n as f64 * options.iter().filter(|o| o.sweeps == n).map(|o| o.cost).fold(1.0, f64::min),
    };
    let in_all = |o: &Choice| (sweeps / o.sweeps * o.sweeps) as f64 * o.cost + of(sweeps % o.sweeps);
    let least = options.iter().map(in_all).fold(f64::INFINITY, f64::min);
    let best = options.iter().rev().find(|o| in_all(o) <= AS_GOOD * least)?;
    let &Choice { length, budget, bands, .. } = best;
    let mut run = if bands.is_some() { in_bands.unwrap_or(whole) } else { whole };
    run.parts.truncate(length);
    run.lags.truncate(run.parts.iter().flatten().count());
    let rows = run.heights[..run.lags.len()].iter().copied().fold(rows, usize::max);
    let (held, moved) = run.window(length);
    let narrow = |bytes: usize| match bands {
        Some(bands) => (bytes as f64 * bands.width as f64 / bands.columns as f64) as usize,
        None => bytes,
    };
    let (held, moved) = (narrow(held), narrow(moved).max(1));
    // Steps no larger than the window behind them, so that the window decides what stays in cache, but worth a call.
    let largest = (run.deepest(length, 0).max(1) as usize + 1).max(STEP_BYTES / moved);
    let step = (budget.saturating_sub(held) / moved).clamp(1, largest);
    let ring = run.parts.iter().flatten().any(|uses| uses.ring);
    Some(Shape { run, rows, step, ring, bands })
}

/// Bytes that one thread may keep in the second-level cache: most of it, as what passes through wants some.
pub(super) fn near_bytes() -> usize {
    if cfg!(test) { 16 << 10 } else { crate::machine::second_level_cache() / 8 * 5 }
}

impl Shape {
    /// Launches of the run.
    pub fn length(&self) -> usize {
        self.run.parts.len()
    }
}

impl Run {
    /// The longest run from the first of these launches on.
    fn grow(plan: &Plan, memory: &[BufferId], launches: &[&Launch], array_rows: usize, parts: Parts) -> Run {
        let mut run = Run::default();
        for (k, launch) in launches.iter().take(MAX_LAUNCHES).enumerate() {
            // Stencils without a rim write fewer rows each time. (A ring's rows are all there.)
            let height = self::array_rows(plan, launch);
            let near = array_rows.abs_diff(height) * 8 <= array_rows;
            let lane = if near { uses(plan, memory, launch, parts) } else { None };
            let rings = run.parts.iter().flatten().chain(&lane).any(|uses| uses.ring);
            if lane.is_some() && rings && run.heights.iter().chain([&height]).any(|&h| h != array_rows) {
                break;
            }
            match lane {
                Some(uses) if !run.asks_for_results(plan, memory, &launches[..k], launch) => {
                    let lag = run.lag(&uses);
                    if lag[0] + uses.slack[0] > array_rows as i64 / 8 {
                        break;
                    }
                    run.lags.push(lag);
                    run.heights.push(height);
                    run.parts.push(Some(uses));
                }
                None if is_single(plan, launch) => run.parts.push(None),
                _ => break,
            }
        }
        run
    }

    /// The lengths at which the run pays, with the number of sweeps, the bytes of the rows between the fronts, and of those by which
    /// they move. What is at the end and waits for the rows anyway gains nothing here.
    fn lengths(&self, rows: usize) -> impl Iterator<Item = (usize, usize, [usize; 2])> {
        (1..=self.parts.len()).filter(|&length| self.parts[length - 1].is_some()).filter_map(move |length| {
            let sweeps = self.sweeps(length, rows);
            let (held, moved) = self.window(length);
            (sweeps >= 2).then_some((length, sweeps, [held, moved.max(1)]))
        })
    }

    /// Bytes that the leaves of its reductions take in bands, at most.
    fn room_for_leaves(&self, launches: &[&Launch]) -> usize {
        let reducing = launches.iter().zip(&self.parts).filter(|(_, part)| part.as_ref().is_some_and(|u| u.reduces));
        reducing.map(|(launch, _)| Leafwise::most_bytes(launch)).sum()
    }

    /// The ways to go down the arrays in whole rows.
    fn in_rows(&self, rows: usize) -> Vec<Choice> {
        let mut choices = Vec::new();
        for (length, sweeps, [held, moved]) in self.lengths(rows) {
            let mut choose = |cost: f64, budget| {
                choices.push(Choice { cost: cost + 1.0 / sweeps as f64, length, sweeps, budget, bands: None });
            };
            if held + moved <= near_bytes() {
                choose(near_cost(8 * self.elements(length)), near_bytes());
            } else if held + moved <= FAR_BYTES {
                choose(FAR_COST, FAR_BYTES);
            }
        }
        choices
    }

    /// The ways to go down in bands of columns, for as many launches as have the same ones; where whole rows are short and fit the
    /// second-level cache there is none.
    fn in_bands(&self, plan: &Plan, launches: &[&Launch], rows: usize) -> Vec<Choice> {
        let width_of = |launch: &&Launch| array_columns(plan, launch);
        let columns = launches[..self.parts.len()].iter().map(width_of).max().unwrap_or(0);
        let banded = launches.iter().zip(&self.parts).take_while(|(launch, part)| match part {
            Some(uses) if uses.reduces => uses.columns.is_some(),
            Some(uses) => uses.columns.is_some() && width_of(launch) == columns,
            None => true,
        });
        let banded = banded.count();
        let mut choices = Vec::new();
        for (length, sweeps, [held, moved]) in
            self.lengths(rows).filter(|&(length, ..)| length <= banded && columns > 0)
        {
            let row = 8 * self.elements(length);
            if held + moved <= near_bytes() && row <= LONG_ROW_BYTES {
                continue;
            }
            let deepest = self.deepest(length, 1);
            let column = (row / columns as usize).max(1);
            let least = BAND_ELEMENTS.div_ceil((column / 8).max(1)).max(2 * deepest as usize + 1);
            // Narrow enough for the first-level cache, where that leaves enough of a band.
            let narrow = LONG_ROW_BYTES / column;
            let narrow = if narrow >= 2 * least { narrow } else { usize::MAX };
            let mut choose = |budget: usize, most: usize, cost: &dyn Fn(usize) -> f64| {
                let width = (budget as f64 * columns as f64 / (held + moved) as f64) as usize;
                let width = width.min(most);
                if width < least || width >= columns as usize {
                    return;
                }
                let edge = EDGE_COST * deepest as f64 / width as f64;
                let cost = cost(column * width) + (edge + 1.0) / sweeps as f64;
                let block = BLOCK_BYTES / column;
                let block = if block >= FEW_COLUMNS { block } else { width };
                let bands = Some(Bands { width: width as i64, block, columns, deepest });
                choices.push(Choice { cost, length, sweeps, budget, bands });
            };
            choose(near_bytes(), narrow, &near_cost);
            choose(FAR_BYTES, usize::MAX, &|_| FAR_COST);
        }
        choices
    }

    /// The lanes among the first parts, with their lags.
    fn lanes(&self, length: usize) -> impl Iterator<Item = (&Uses, [i64; 2])> {
        self.parts[..length].iter().flatten().zip(self.lags.iter().copied())
    }

    /// How many of the first parts go over more than half of the rows.
    fn sweeps(&self, length: usize, rows: usize) -> usize {
        self.lanes(length).filter(|(uses, _)| uses.rows * 2 > rows).count()
    }

    /// How far the last lane lags behind, in rows (0) or columns (1).
    fn deepest(&self, length: usize, axis: usize) -> i64 {
        self.lanes(length).map(|(uses, lag)| lag[axis] + uses.slack[axis]).max().unwrap_or(0)
    }

    /// Bytes of the rows between the fronts, and of the rows that they move on by at a step of one.
    fn window(&self, length: usize) -> (usize, usize) {
        let mut used: BTreeMap<BufferId, (i64, i64, usize)> = BTreeMap::new();
        for (uses, [lag, _]) in self.lanes(length) {
            for (memory, bytes) in distinct(uses) {
                let (first, last, most) = used.entry(memory).or_insert((lag, lag, 0));
                (*first, *last, *most) = (lag.min(*first), (lag + uses.slack[0]).max(*last), bytes.max(*most));
            }
        }
        let held = |(first, last, bytes): &(i64, i64, usize)| (last - first + 1) as usize * bytes;
        (used.values().map(held).sum(), used.values().map(|u| u.2).sum())
    }

    /// Elements of a row.
    fn elements(&self, length: usize) -> usize {
        self.lanes(length).flat_map(|(uses, _)| &uses.list).map(|u| u.bytes / 8).max().unwrap_or(0).max(1)
    }

    /// How far another launch must lag.
    fn lag(&self, later: &Uses) -> [i64; 2] {
        let mut lag = [0; 2];
        for (earlier, &behind) in self.parts.iter().flatten().zip(&self.lags) {
            for mine in &later.list {
                for other in &earlier.list {
                    if mine.memory != other.memory || !(mine.writes || other.writes) {
                        continue;
                    }
                    // The later one at row y touches row y + d of the memory, the earlier at row x touches x + e: they meet at
                    // x = y + d − e. Both directions count, because segments have an upper and a lower edge.
                    let distance = |d: i64, e: i64| if d == FAR || e == FAR { FAR } else { (d - e).abs() };
                    let drift = mine.drift(other);
                    let across = if drift == 0 { distance(mine.columns, other.columns) } else { FAR };
                    lag[0] = lag[0].max(behind[0] + distance(mine.rows, other.rows) + drift + earlier.slack[0]);
                    lag[1] = lag[1].max(behind[1] + across + earlier.slack[1]);
                }
            }
        }
        lag.map(|lag| lag.min(FAR))
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

impl Wavefront {
    pub fn launches(&self) -> &[PreparedLaunch] {
        &self.launches
    }

    /// `None` if one of the launches turns out not to be divisible.
    pub fn new(plan: &Plan, launches: &[&Launch], shape: Shape, tier: Tier) -> Result<Option<Wavefront>> {
        let Shape { run, rows, step, ring, bands } = shape;
        let deepest = run.deepest(run.parts.len(), 0);
        let mut lags = run.lags.into_iter();
        let (mut prepared, mut parts) = (Vec::new(), Vec::new());
        for (&launch, uses) in launches.iter().zip(run.parts) {
            let mut ready = match bands {
                Some(_) => PreparedLaunch::in_bands(plan, launch, tier)?,
                None => PreparedLaunch::new(plan, launch, tier)?,
            };
            parts.push(match uses {
                None => Part::Deferred,
                Some(uses) => {
                    let [lag, behind] = lags.next().expect("one a lane");
                    let work = if uses.reduces && bands.is_some() {
                        let (rows, width) = (launch.domain[0], size(&launch.domain[1..]));
                        let leafwise = Leafwise::new(rows, width);
                        Work::Leaves { leafwise, rows, column: size(&launch.domain[2..]) }
                    } else if uses.reduces {
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
                    let across = bands.and(uses.columns).map(|columns| (behind, columns));
                    Part::Lane(Lane { lag, start: uses.start, work, across })
                }
            });
            prepared.push(ready);
        }
        Ok(Some(Wavefront { launches: prepared, parts, deepest, rows, step, ring, bands }))
    }

    pub fn run(&self, frame: &Frame) -> Result<()> {
        // A segment must be taller than the wedges at its two edges.
        let segments = pool::threads().min(self.rows / (4 * self.deepest as usize + 1)).max(1);
        let cut = |s: usize| (self.rows * s / segments) as i64;
        let results = self.launches.iter().zip(&self.parts).map(|(launch, part)| Results::of(launch, part));
        let results = results.collect::<Result<Vec<Results>>>()?;
        let now = Now { wavefront: self, frame, results: &results };
        pool::run(segments, &|s, _| now.segment(cut(s), cut(s + 1), self.ring || s > 0, self.ring || s + 1 < segments))
            .map_err(Error::Runtime)?;
        let wedge = |s: usize| if s + 1 < segments { now.wedge(&[cut(s + 1)]) } else { now.wedge(&[0, cut(segments)]) };
        pool::run(segments - !self.ring as usize, &|s, _| wedge(s)).map_err(Error::Runtime)?;
        self.finish(frame, &results)
    }

    /// Combines what the rows have given to reductions, and does what was put off.
    fn finish(&self, frame: &Frame, results: &[Results]) -> Result<()> {
        let mut by_leaves = Vec::new();
        for ((l, lane), results) in self.lanes().map(|lane| (lane, &results[lane.0])) {
            match (&lane.work, results) {
                (Work::Leaves { leafwise, .. }, Results::Leaves(sums)) => {
                    by_leaves.extend((0..self.launches[l].results().count()).map(|s| (l, leafwise, s, sums)));
                }
                (_, Results::Chunks(partials)) => self.launches[l].finish(frame, partials.as_slice()),
                _ => {}
            }
        }
        pool::run(by_leaves.len(), &|k, _| {
            let (l, leafwise, s, sums) = by_leaves[k];
            self.launches[l].finish_leaves(frame, leafwise, s, sums);
        })
        .map_err(Error::Runtime)?;
        let put_off = self.launches.iter().zip(&self.parts).filter(|(_, part)| matches!(part, Part::Deferred));
        put_off.map(|(launch, _)| launch).try_for_each(|launch| launch.run(frame))
    }

    /// Bytes of what leaves give, beside the plan's buffers.
    pub fn room(&self) -> usize {
        let of = |(l, lane): (usize, &Lane)| match &lane.work {
            Work::Leaves { leafwise, .. } => self.launches[l].streams().map_or(0, |streams| leafwise.bytes(streams)),
            _ => 0,
        };
        self.lanes().map(of).sum()
    }

    fn lanes(&self) -> impl Iterator<Item = (usize, &Lane)> {
        self.parts.iter().enumerate().filter_map(|(l, part)| match part {
            Part::Lane(lane) => Some((l, lane)),
            Part::Deferred => None,
        })
    }

    /// The columns that a lane with no lag handles in each band; one empty range where there are no bands.
    fn bands(&self) -> impl Iterator<Item = Range<i64>> {
        let Bands { width, columns, deepest, .. } =
            self.bands.unwrap_or(Bands { width: 1, block: 1, columns: 1, deepest: 0 });
        (0..(columns + deepest + width - 1) / width).map(move |k| k * width..(k + 1) * width)
    }
}

/// One run of a wavefront.
struct Now<'a> {
    wavefront: &'a Wavefront,
    frame: &'a Frame<'a>,
    /// For each launch.
    results: &'a [Results],
}

/// What the parts of a reduction have given.
enum Results {
    None,
    Chunks(Partials),
    Leaves(Sums),
}

impl Results {
    fn of(launch: &PreparedLaunch, part: &Part) -> Result<Results> {
        let Part::Lane(lane) = part else { return Ok(Results::None) };
        Ok(match (&lane.work, launch.streams()) {
            (Work::Leaves { leafwise, .. }, Some(streams)) => Results::Leaves(streams.room_for_leaves(leafwise)?),
            (Work::Chunks { .. }, _) => Results::Chunks(launch.room_for_partials()),
            _ => Results::None,
        })
    }
}

impl Now<'_> {
    /// Rows `from..to`, drawn in by each launch's lag at the edges that other segments share.
    fn segment(&self, from: i64, to: i64, above: bool, below: bool) {
        self.wavefront.bands().for_each(|band| self.segment_of_band(band, from, to, above, below));
    }

    fn segment_of_band(&self, band: Range<i64>, from: i64, to: i64, above: bool, below: bool) {
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
                    self.rows(l, lane, begin(lane), *done..next, &band);
                    *done = next;
                }
            }
        }
    }

    /// What two segments left around the row between them, or around the first one and behind the last one of a ring.
    fn wedge(&self, around: &[i64]) {
        self.wavefront.bands().for_each(|band| self.wedge_of_band(band, around));
    }

    fn wedge_of_band(&self, band: Range<i64>, around: &[i64]) {
        let lanes = self.wavefront.lanes();
        for (l, lane, at) in lanes.flat_map(|(l, lane)| around.iter().map(move |&at| (l, lane, at))) {
            match &lane.work {
                Work::Chunks { ranges, width } => {
                    let row = |y: i64| y.max(0) as usize * width;
                    let from = ranges.partition_point(|r| r.end <= row(at - lane.lag));
                    let to = ranges.partition_point(|r| r.start < row(at + lane.lag));
                    self.chunks(l, ranges, from..to);
                }
                _ => self.rows(l, lane, i64::MIN, at - lane.lag..at + lane.lag, &band),
            }
        }
    }

    /// Runs a launch on some rows of a band of the arrays, as far as it has them; of a reduction the chunks that end in these
    /// rows and do not begin before row `first`.
    fn rows(&self, l: usize, lane: &Lane, first: i64, rows: Range<i64>, band: &Range<i64>) {
        let launch = &self.wavefront.launches[l];
        let columns = match &lane.across {
            None => None,
            Some((lag, Columns { start, axis })) => {
                let (from, to) = (band.start - lag - start, band.end - lag - start);
                match *axis {
                    None if (from..to).contains(&0) => None,
                    Some((axis, n)) if from < n as i64 && to > 0 => {
                        Some((axis, from.max(0) as usize..to.min(n as i64) as usize))
                    }
                    _ => return,
                }
            }
        };
        let clamp = |rows: &Range<i64>, n: usize| {
            (rows.start - lane.start).clamp(0, n as i64) as usize..(rows.end - lane.start).clamp(0, n as i64) as usize
        };
        match &lane.work {
            Work::Rows(n) => {
                let rows = clamp(&rows, *n);
                match columns {
                    _ if rows.is_empty() => {}
                    Some((axis, columns)) if rows.len() > 1 => {
                        let block = self.wavefront.bands.map_or(columns.len(), |bands| bands.block);
                        for from in columns.clone().step_by(block.max(1)) {
                            let part = from..columns.end.min(from + block);
                            launch.run_box_here(self.frame, &[Some((0, rows.clone())), Some((axis, part))]);
                        }
                    }
                    columns => launch.run_box_here(self.frame, &[Some((0, rows)), columns]),
                }
            }
            Work::OneRow(n) => {
                if rows.contains(&lane.start) {
                    launch.run_box_here(self.frame, &[Some((0, 0..*n)), columns]);
                }
            }
            Work::Chunks { ranges, width } => {
                let end = |y: i64| ranges.partition_point(|r| r.end <= y.max(0) as usize * width);
                let from = end(rows.start).max(ranges.partition_point(|r| r.start < first.max(0) as usize * width));
                self.chunks(l, ranges, from..end(rows.end).max(from));
            }
            Work::Leaves { leafwise, rows: n, column } => {
                let (Results::Leaves(sums), Some((_, columns))) = (&self.results[l], columns) else { return };
                for row in clamp(&rows, *n) {
                    let part = columns.start * column..columns.end * column;
                    launch.run_leaves_here(self.frame, leafwise, row, part, sums);
                }
            }
        }
    }

    /// Reduces some chunks.
    fn chunks(&self, l: usize, ranges: &[Range<usize>], some: Range<usize>) {
        if let Results::Chunks(partials) = &self.results[l] {
            self.wavefront.launches[l].run_chunks_here(self.frame, ranges, some, partials, 0);
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
