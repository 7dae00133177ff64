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

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use legate_jit_ir::Type;
use legate_jit_ir::plan::{BufferId, Launch, Operand, Plan, Step, Target};
use legate_jit_ir::shape::size;

use super::Frame;
use super::launch::PreparedLaunch;
use super::stream::Partials;
use crate::{Error, Result, Tier, pool};

/// Bytes that the rows between the fronts may take in the last-level cache: a share that one thread can count on.
const FAR_BYTES: usize = if cfg!(test) { 64 << 10 } else { 6 << 20 };
/// What a sweep costs whose data is in the second-level or the last-level cache, where one over memory costs 1. Measured on two
/// cores (Emerald Rapids): copies run at 140, 55 and 26 GB/s. Of rows too long for the first-level cache to hold a few of them, a
/// stencil reads each from the second level several times.
const NEAR_COST: f64 = 0.2;
const LONG_ROWS_COST: f64 = 0.35;
const FAR_COST: f64 = 0.5;
/// Bytes of a row from which on it is long.
const LONG_ROW_BYTES: usize = if cfg!(test) { 1 << 10 } else { 12 << 10 };
/// A run is as short as costs so little more than the best one: what is left over makes up a longer run next.
const NEARLY: f64 = 1.04;
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

/// The columns that a launch handles.
#[derive(Clone, Copy)]
struct Columns {
    /// Array column of the first one.
    start: i64,
    /// The domain's axis along the columns, and its points; none where all of the launch works on one column.
    axis: Option<(usize, usize)>,
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
    list: Vec<Use>,
    one_row: bool,
    /// Rows at the edge of a range that may stay undone, because a chunk reaches over it.
    slack: i64,
    /// It reads from the last row to the first or from the first to the last.
    ring: bool,
    /// None where the launch does not go column by column at constant distances.
    columns: Option<Columns>,
}

struct Use {
    memory: BufferId,
    /// Array row − launch row.
    rows: i64,
    /// Array column − launch column.
    columns: i64,
    writes: bool,
    /// Bytes of a row of the array; 0 for what is small.
    bytes: usize,
    /// Bytes of a row, and how many there are.
    pitch: usize,
    height: usize,
}

impl Use {
    /// Rows by which the places of equal rows differ, at most, where arrays of different widths have the same memory.
    fn drift(&self, other: &Use) -> i64 {
        let apart = self.pitch.abs_diff(other.pitch) * self.height.max(other.height);
        apart.div_ceil(self.pitch.min(other.pitch).max(1)) as i64
    }
}

/// Distances of what is not read at a constant one.
const FAR: i64 = i64::MAX / 4;

fn height_of(ty: &Type) -> usize {
    ty.shape.first().copied().unwrap_or(1)
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

/// The run of launches that begins with the first of these; `None` where there is nothing to gain. `memory` names the first
/// buffer of each memory.
pub fn find(plan: &Plan, memory: &[BufferId], launches: &[&Launch]) -> Option<Shape> {
    let first = uses(plan, memory, launches.first()?)?;
    let rows = array_rows(plan, launches[0]);
    if rows * distinct(&first).values().sum::<usize>() < WORTHWHILE_BYTES {
        return None;
    }
    let mut run = Run::grow(plan, memory, launches, rows);
    let columns = array_columns(plan, launches[0]);
    let widths = launches.iter().map(|l| array_columns(plan, l));
    // Bands of columns are for as many launches as have the same ones.
    let banded = run.parts.iter().zip(widths).take_while(|(part, width)| match part {
        Some(uses) => uses.columns.is_some() && *width == columns,
        None => true,
    });
    let banded = banded.count();
    let mut options = Vec::new();
    for length in 1..=run.parts.len() {
        // What is at the end and waits for the rows anyway gains nothing here.
        if run.parts[length - 1].is_none() || run.sweeps(length, rows) < 2 {
            continue;
        }
        let sweeps = run.sweeps(length, rows) as f64;
        let (held, moved) = run.window(length);
        let (fixed, each) = (held as f64, moved.max(1) as f64);
        let row = 8 * run.elements(length);
        let near = |row: usize| if row > LONG_ROW_BYTES { LONG_ROWS_COST } else { NEAR_COST };
        if fixed + each <= near_bytes() as f64 {
            options.push((near(row) + 1.0 / sweeps, length, near_bytes(), None));
            if row <= LONG_ROW_BYTES {
                continue;
            }
        } else if fixed + each <= FAR_BYTES as f64 {
            options.push((FAR_COST + 1.0 / sweeps, length, FAR_BYTES, None));
        }
        if length <= banded && columns > 0 {
            let deepest = run.deepest(length, 1);
            let column = (row / columns as usize).max(1);
            let least = BAND_ELEMENTS.div_ceil((column / 8).max(1)).max(2 * deepest as usize + 1);
            let width = (near_bytes() as f64 * columns as f64 / (fixed + each)) as i64;
            // Narrow enough for the first-level cache, where that leaves enough of a band.
            let narrow = LONG_ROW_BYTES / column;
            let width = if narrow >= 2 * least { width.min(narrow as i64) } else { width };
            if width >= least as i64 && width < columns {
                // At a band's edge each sweep reads what has left the cache.
                let edge = 2.0 * FAR_COST * deepest as f64 / (sweeps * width as f64);
                let bands = Bands { width, columns, deepest };
                options.push((near(column * width as usize) + edge + 1.0 / sweeps, length, near_bytes(), Some(bands)));
            }
        }
    }
    let best = options.iter().map(|o| o.0).min_by(f64::total_cmp)?;
    let (_, length, budget, bands) = options.into_iter().find(|o| o.0 <= best * NEARLY)?;
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

/// Bytes of a row of each memory.
fn distinct(uses: &Uses) -> BTreeMap<BufferId, usize> {
    let mut all = BTreeMap::new();
    for u in &uses.list {
        let bytes = all.entry(u.memory).or_insert(0);
        *bytes = u.bytes.max(*bytes);
    }
    all
}

impl Shape {
    /// Launches of the run.
    pub fn length(&self) -> usize {
        self.run.parts.len()
    }
}

impl Run {
    /// The longest run from the first of these launches on.
    fn grow(plan: &Plan, memory: &[BufferId], launches: &[&Launch], array_rows: usize) -> Run {
        let mut run = Run::default();
        for (k, launch) in launches.iter().take(MAX_LAUNCHES).enumerate() {
            // Stencils without a rim write fewer rows each time. (A ring's rows are all there.)
            let height = self::array_rows(plan, launch);
            let near = array_rows.abs_diff(height) * 8 <= array_rows;
            let lane = if near { uses(plan, memory, launch) } else { None };
            let rings = run.parts.iter().flatten().chain(&lane).any(|uses| uses.ring);
            if lane.is_some() && rings && run.heights.iter().chain([&height]).any(|&h| h != array_rows) {
                break;
            }
            match lane {
                Some(uses) if !run.asks_for_results(plan, memory, &launches[..k], launch) => {
                    let lag = run.lag(&uses);
                    if lag[0] + uses.slack > array_rows as i64 / 8 {
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
        let slack = |uses: &Uses| if axis == 0 { uses.slack } else { 0 };
        self.lanes(length).map(|(uses, lag)| lag[axis] + slack(uses)).max().unwrap_or(0)
    }

    /// Bytes of the rows between the fronts, and of the rows that they move on by at a step of one.
    fn window(&self, length: usize) -> (usize, usize) {
        let mut used: BTreeMap<BufferId, (i64, i64, usize)> = BTreeMap::new();
        for (uses, [lag, _]) in self.lanes(length) {
            for (memory, bytes) in distinct(uses) {
                let (first, last, most) = used.entry(memory).or_insert((lag, lag, 0));
                (*first, *last, *most) = (lag.min(*first), (lag + uses.slack).max(*last), bytes.max(*most));
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
                    lag[0] = lag[0].max(behind[0] + distance(mine.rows, other.rows) + drift + earlier.slack);
                    lag[1] = lag[1].max(behind[1] + across);
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
    // The array row of the launch's row 0, for a map of the array's first axis. A row of the array that only pieces of single rows
    // use lies at another distance from each of them. None where that depends on the row.
    let rows_of = |o: &Operand| -> Option<BTreeSet<i64>> {
        let map = o.view.axes.first()?;
        match map.terms[..] {
            [] if rows == 1 => Some(BTreeSet::from([map.start])),
            [] if !one_row => single_rows(launch, o).map(|row| Some(map.start - row?)).collect(),
            [(0, 1)] if !one_row && o.view.axes[1..].iter().all(|m| m.terms.iter().all(|t| t.0 != 0)) => {
                Some(BTreeSet::from([map.start]))
            }
            _ => None,
        }
    };
    let mut start = (!launch.streams.is_empty()).then_some(0);
    for o in operands() {
        if written(plan, launch, o) {
            for row in rows_of(o)? {
                if *start.get_or_insert(row) != row {
                    return None;
                }
            }
        }
    }
    let start = start?;
    let height = array_rows(plan, launch) as i64;
    let mut ring = false;
    // More than half of the rows in one direction are fewer in the other.
    let mut around = |distance: i64, o: &Operand| {
        let turns = (2 * distance.abs() > height && plan.buffer(o.buffer).ty.shape[0] as i64 == height) as i64;
        ring |= turns != 0;
        distance - turns * distance.signum() * height
    };
    let axis = !one_row as usize;
    let columns = columns(launch, axis, operands().filter(|o| written(plan, launch, o)));
    let mut list = Vec::new();
    for o in operands() {
        let ty = &plan.buffer(o.buffer).ty;
        let is_large = ty.shape.len() >= 2 || ty.shape.first() == Some(&rows);
        let column = columns.and_then(|c| Some(column_of(o, axis, c.axis.is_none())? - c.start));
        // Only what the run does not write may be read in any other way; `FAR` says so.
        let distances = rows_of(o).map_or(vec![FAR], |rows| rows.iter().map(|row| around(row - start, o)).collect());
        list.extend(distances.into_iter().map(|rows| Use {
            memory: memory[o.buffer.0 as usize],
            rows,
            columns: column.unwrap_or(FAR),
            writes: written(plan, launch, o),
            bytes: if is_large { ty.bytes() / ty.shape[0].max(1) } else { 0 },
            pitch: ty.bytes() / height_of(ty).max(1),
            height: height_of(ty),
        }));
    }
    let width = size(&launch.domain[1..]).max(1);
    let slack = if launch.streams.is_empty() { 0 } else { PreparedLaunch::FINE_CHUNK.div_ceil(width) as i64 };
    Some(Uses { rows, start, list, one_row, slack, ring, columns })
}

/// The domain's row of each piece that uses an operand; None for one that has several.
fn single_rows<'a>(launch: &'a Launch, operand: &'a Operand) -> impl Iterator<Item = Option<i64>> + 'a {
    let is_it = move |target: u32| matches!(&launch.targets[target as usize], Target::Buffer(o) if o == operand);
    let users = launch.pieces.iter().filter(move |p| p.accesses.iter().any(|&a| is_it(a)));
    users.map(|p| (p.hi[0] == p.lo[0] + 1).then_some(p.lo[0] as i64))
}

/// The columns that a launch writes, where the domain's axis `axis` goes along them or it has one only. Chunks of a reduction are
/// of whole rows.
fn columns<'a>(launch: &Launch, axis: usize, mut written: impl Iterator<Item = &'a Operand>) -> Option<Columns> {
    let first = written.next().filter(|_| launch.streams.is_empty())?;
    let is_one = first.view.axes.get(1)?.terms.is_empty();
    let start = column_of(first, axis, is_one)?;
    let axis_points = if is_one { None } else { Some((axis, *launch.domain.get(axis)?)) };
    written.all(|o| column_of(o, axis, is_one) == Some(start)).then_some(Columns { start, axis: axis_points })
}

/// The array column of a launch's first column; of one that works on one column, that one.
fn column_of(operand: &Operand, axis: usize, is_one: bool) -> Option<i64> {
    let map = operand.view.axes.get(1)?;
    let alone = |axis| operand.view.axes.iter().enumerate().all(|(k, m)| k == 1 || m.terms.iter().all(|t| t.0 != axis));
    match map.terms[..] {
        [] if is_one => Some(map.start),
        [(along, 1)] if !is_one && along as usize == axis && alone(along) => Some(map.start),
        _ => None,
    }
}

/// Columns of the arrays that a launch writes; 0 if they have no such axis, or differ.
fn array_columns(plan: &Plan, launch: &Launch) -> i64 {
    let mut widths = launch.targets.iter().filter_map(|t| match t {
        Target::Buffer(o) if written(plan, launch, o) => plan.buffer(o.buffer).ty.shape.get(1).copied().or(Some(0)),
        _ => None,
    });
    let Some(first) = widths.next() else { return 0 };
    if widths.all(|w| w == first) { first as i64 } else { 0 }
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
        let partials: Vec<Partials> = self.launches.iter().map(PreparedLaunch::room_for_partials).collect();
        let now = Now { wavefront: self, frame, partials: &partials };
        pool::run(segments, &|s, _| now.segment(cut(s), cut(s + 1), self.ring || s > 0, self.ring || s + 1 < segments))
            .map_err(Error::Runtime)?;
        let wedge = |s: usize| if s + 1 < segments { now.wedge(&[cut(s + 1)]) } else { now.wedge(&[0, cut(segments)]) };
        pool::run(segments - !self.ring as usize, &|s, _| wedge(s)).map_err(Error::Runtime)?;
        for ((launch, part), partials) in self.launches.iter().zip(&self.parts).zip(&partials) {
            match part {
                Part::Lane(_) => launch.finish(frame, partials.as_slice()),
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

    /// The columns that a lane with no lag handles in each band; one empty range where there are no bands.
    fn bands(&self) -> impl Iterator<Item = Range<i64>> {
        let Bands { width, columns, deepest } = self.bands.unwrap_or(Bands { width: 1, columns: 1, deepest: 0 });
        (0..(columns + deepest + width - 1) / width).map(move |k| k * width..(k + 1) * width)
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
                    self.wavefront.launches[l].run_chunks_here(self.frame, ranges, from..to, &self.partials[l], 0);
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
                if !rows.is_empty() {
                    launch.run_box_here(self.frame, &[Some((0, rows)), columns]);
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
                launch.run_chunks_here(self.frame, ranges, from..end(rows.end).max(from), &self.partials[l], 0);
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
