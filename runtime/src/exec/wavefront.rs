//! Several sweeps in one pass over memory: runs of launches over the same rows are worked off as a wavefront.
//!
//! A time loop over a stencil is a run of launches, each reading what the one before it wrote, some rows further at most.
//! Instead of sweeping the whole array once a launch, a band of rows moves down the array and every launch does its part of the
//! band, each lagging so many rows behind the one before that what it reads is done and what it overwrites is no longer needed.
//! The rows between the first launch's front and the last one's stay in cache, so memory is read and written once for the
//! whole run. The same points are computed by the same kernels, so the bits are the same.
//!
//! Threads share the rows by split tiling: each works on a segment whose edges draw in by the launches' lags, and then the
//! wedges left between two segments are filled in.
//!
//! The legality rule. Launch j handles row y of the array. It must come after every launch i < j in the run has handled the
//! rows that hold what j reads there, that read what j overwrites there, and that write the same row. For constant
//! distances between rows that is: j's front stays at least `lag(j, i)` rows behind i's, upwards and downwards.

use std::ops::Range;

use legate_jit_ir::plan::{BufferId, Launch, Operand, Plan, Step, Target};

use super::Frame;
use super::launch::PreparedLaunch;
use crate::{Error, Result, Tier, pool};

/// Bytes that the rows between the fronts may take: a share of the last-level cache that one thread can count on.
const WINDOW_BYTES: usize = if cfg!(test) { 64 << 10 } else { 6 << 20 };
/// Below this many bytes a sweep's data stays in cache anyway. (Tests have small arrays.)
const WORTHWHILE_BYTES: usize = if cfg!(test) { 1 << 10 } else { 3 << 20 };
/// The most launches in one wavefront.
const MAX_LAUNCHES: usize = 64;

/// A run of launches that is worked off together.
pub struct Wavefront {
    launches: Vec<PreparedLaunch>,
    /// For each launch: the domain's rows, the array row of its first one, and how far it lags behind the leading front.
    lanes: Vec<Lane>,
    /// Rows of the arrays.
    rows: usize,
    /// Rows that the leading front moves at a time.
    step: usize,
}

struct Lane {
    rows: usize,
    start: i64,
    lag: i64,
}

/// How a launch uses memory row by row: (memory, array row − launch row, writes).
struct Rows {
    rows: usize,
    start: i64,
    uses: Vec<(BufferId, i64, bool)>,
    /// Bytes of all buffers that it touches, a row.
    bytes: usize,
}

/// The length of the run of launches that begins at `steps[at]` (1 where there is nothing to gain), `Free` steps not counted.
/// `memory` names the first buffer of each memory.
pub fn run_length(plan: &Plan, memory: &[BufferId], launches: &[&Launch]) -> usize {
    let Some(first) = launches.first().and_then(|l| by_rows(plan, memory, l)) else { return 1 };
    let array_rows = array_rows(plan, launches[0]);
    if array_rows * first.bytes < WORTHWHILE_BYTES {
        return 1;
    }
    let mut run = vec![first];
    for launch in launches.iter().skip(1).take(MAX_LAUNCHES - 1) {
        if self::array_rows(plan, launch) != array_rows {
            break;
        }
        let Some(rows) = by_rows(plan, memory, launch) else { break };
        run.push(rows);
        let deepest = *lags(&run).last().expect("there is one");
        let widest = run.iter().map(|r| r.bytes).max().unwrap_or(0);
        if deepest > array_rows as i64 / 8 || (2 * deepest + 2) as usize * widest > WINDOW_BYTES {
            run.pop();
            break;
        }
    }
    // Launches at the end that are not sweeps gain nothing here, but do no harm either.
    if run.iter().filter(|r| r.rows * 2 > array_rows).count() < 2 { 1 } else { run.len() }
}

/// Rows of the arrays that a launch writes; 0 if it writes arrays of several heights.
fn array_rows(plan: &Plan, launch: &Launch) -> usize {
    let mut heights = launch.targets.iter().filter_map(|t| match t {
        Target::Buffer(o) if written(plan, launch, o) => plan.buffer(o.buffer).ty.shape.first().copied(),
        _ => None,
    });
    let first = heights.next().unwrap_or(0);
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
fn by_rows(plan: &Plan, memory: &[BufferId], launch: &Launch) -> Option<Rows> {
    if !launch.streams.is_empty() || launch.domain.is_empty() || launch.domain.contains(&0) {
        return None;
    }
    let rows = launch.domain[0];
    // The array row of a domain row, for a map of the array's first axis.
    let row_of = |o: &Operand| -> Option<Option<i64>> {
        let Some(map) = o.view.axes.first() else { return Some(None) };
        if o.view.axes[1..].iter().any(|m| m.terms.iter().any(|t| t.0 == 0)) {
            return None;
        }
        match map.terms[..] {
            [] if rows == 1 => Some(Some(map.start)),
            [(0, 1)] => Some(Some(map.start)),
            _ => None,
        }
    };
    let mut start = None;
    let mut bytes = 0;
    for target in &launch.targets {
        let Target::Buffer(o) = target else { return None };
        let ty = &plan.buffer(o.buffer).ty;
        if ty.shape.len() >= 2 || ty.shape.first() == Some(&rows) {
            bytes += ty.bytes() / ty.shape[0].max(1);
        }
        if written(plan, launch, o) {
            let row = row_of(o)??;
            if *start.get_or_insert(row) != row {
                return None;
            }
        }
    }
    let start = start?;
    let mut uses = Vec::new();
    for target in &launch.targets {
        let Target::Buffer(o) = target else { return None };
        let home = memory[o.buffer.0 as usize];
        match row_of(o) {
            Some(Some(row)) => uses.push((home, row - start, written(plan, launch, o))),
            // Only what the run does not write may be read in any other way; `i64::MAX` says so.
            _ => uses.push((home, i64::MAX, false)),
        }
    }
    Some(Rows { rows, start, uses, bytes })
}

/// How far each launch's front must stay behind the leading one; `i64::MAX / 4` where no distance would do.
fn lags(run: &[Rows]) -> Vec<i64> {
    let mut lags: Vec<i64> = Vec::with_capacity(run.len());
    for (j, later) in run.iter().enumerate() {
        let mut lag = 0;
        for (i, earlier) in run[..j].iter().enumerate() {
            for &(memory, d, write) in &later.uses {
                for &(other, e, other_writes) in &earlier.uses {
                    if memory != other || !(write || other_writes) {
                        continue;
                    }
                    // j at row y touches row y + d of the memory, i at row x touches x + e: they meet at x = y + d − e. Both
                    // directions count, because segments have an upper and a lower edge.
                    let distance = if d == i64::MAX || e == i64::MAX { i64::MAX / 4 } else { (d - e).abs() };
                    lag = lag.max(lags[i].saturating_add(distance));
                }
            }
        }
        lags.push(lag.min(i64::MAX / 4));
    }
    lags
}

impl Wavefront {
    pub fn new(plan: &Plan, memory: &[BufferId], launches: &[&Launch], tier: Tier) -> Result<Wavefront> {
        let run: Vec<Rows> = launches.iter().filter_map(|l| by_rows(plan, memory, l)).collect();
        let lags = lags(&run);
        let widest = run.iter().map(|r| r.bytes).max().unwrap_or(1).max(1);
        let deepest = *lags.last().unwrap_or(&0) as usize;
        // Steps no larger than the window behind them, so that the window decides what stays in cache.
        let step = (WINDOW_BYTES / 2 / widest).saturating_sub(deepest).clamp(1, deepest.max(1) + 1);
        Ok(Wavefront {
            launches: launches.iter().map(|l| PreparedLaunch::new(plan, l, tier)).collect::<Result<_>>()?,
            lanes: run.iter().zip(lags).map(|(r, lag)| Lane { rows: r.rows, start: r.start, lag }).collect(),
            rows: array_rows(plan, launches[0]),
            step,
        })
    }

    pub fn run(&self, frame: &Frame) -> Result<()> {
        let deepest = self.lanes.last().map_or(0, |l| l.lag) as usize;
        // A segment must be taller than the wedges at its two edges.
        let segments = pool::threads().min(self.rows / (4 * deepest + 1)).max(1);
        let cut = |s: usize| (self.rows * s / segments) as i64;
        let errors = parking_lot::Mutex::new(None);
        let keep = |r: Result<()>| {
            if let Err(e) = r {
                *errors.lock() = Some(e);
            }
        };
        pool::run(segments, &|s, _| keep(self.segment(frame, cut(s), cut(s + 1), s > 0, s + 1 < segments)))
            .map_err(Error::Runtime)?;
        pool::run(segments - 1, &|s, _| keep(self.wedge(frame, cut(s + 1)))).map_err(Error::Runtime)?;
        errors.into_inner().map_or(Ok(()), Err)
    }

    /// Rows `from..to`, drawn in by each launch's lag at the edges that other segments share.
    fn segment(&self, frame: &Frame, from: i64, to: i64, above: bool, below: bool) -> Result<()> {
        let begin = |lane: &Lane| if above { from + lane.lag } else { 0 };
        let end = |lane: &Lane| if below { to - lane.lag } else { self.rows as i64 };
        let mut fronts: Vec<i64> = self.lanes.iter().map(begin).collect();
        let deepest = self.lanes.last().map_or(0, |l| l.lag);
        let mut front = from;
        while front < to + deepest {
            front += self.step as i64;
            for (l, lane) in self.lanes.iter().enumerate() {
                let next = (front - lane.lag).min(end(lane));
                if next > fronts[l] {
                    self.rows_of(frame, l, fronts[l]..next)?;
                    fronts[l] = next;
                }
            }
        }
        Ok(())
    }

    /// What two segments left around the row between them.
    fn wedge(&self, frame: &Frame, at: i64) -> Result<()> {
        for (l, lane) in self.lanes.iter().enumerate() {
            self.rows_of(frame, l, at - lane.lag..at + lane.lag)?;
        }
        Ok(())
    }

    /// Runs a launch on some rows of the arrays, as far as it has them.
    fn rows_of(&self, frame: &Frame, l: usize, rows: Range<i64>) -> Result<()> {
        let lane = &self.lanes[l];
        let from = (rows.start - lane.start).clamp(0, lane.rows as i64) as usize;
        let to = (rows.end - lane.start).clamp(0, lane.rows as i64) as usize;
        if from < to {
            self.launches[l].run_rows_here(frame, from..to);
        }
        Ok(())
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
mod tests {
    use std::sync::Arc;

    use legate_jit_ir::graph::{Graph, Op, Type};
    use legate_jit_ir::view::AxisMap;
    use legate_jit_ir::{DType, Scalar, Ufunc, Value, View};
    use legate_jit_passes::Cx;

    use super::super::{Action, Prepared};
    use crate::{Store, Tier};

    const COLUMNS: usize = 33;

    fn window(start: &[i64], shape: &[usize]) -> View {
        View { shape: shape.into(), axes: start.iter().enumerate().map(|(k, &s)| AxisMap::along(s, k, 1)).collect() }
    }

    fn ty(shape: &[usize]) -> Type {
        Type::new(DType::F64, shape)
    }

    fn read(g: &mut Graph, v: Value, start: &[i64], shape: &[usize]) -> Value {
        g.push(Op::View(window(start, shape)), &[v], ty(shape))
    }

    /// Sweeps of a stencil that reaches `reach` rows, each followed by boundary updates of rows and columns.
    fn program(rows: usize, steps: usize, reach: i64, boundaries: bool) -> Graph {
        let whole = [rows, COLUMNS];
        let mut g = Graph { donated: vec![true], ..Graph::default() };
        let mut p = g.push(Op::Input(0), &[], ty(&whole));
        let inner = [rows - 2 * reach as usize, COLUMNS - 2];
        for step in 0..steps {
            let parts: Vec<Value> = [[0, 1], [2 * reach, 1], [reach, 0], [reach, 2]]
                .iter()
                .map(|start| read(&mut g, p, start, &inner))
                .collect();
            let mut sum = parts[0];
            for &part in &parts[1..] {
                sum = g.push(Op::Map(Ufunc::Add), &[sum, part], ty(&inner));
            }
            let factor = g.push(Op::Const(Scalar::f64(0.26 + step as f64 / 1000.0)), &[], ty(&[]));
            let factor = g.push(Op::View(View::broadcast(&[], &inner)), &[factor], ty(&inner));
            let value = g.push(Op::Map(Ufunc::Multiply), &[factor, sum], ty(&inner));
            p = g.push(Op::Update(window(&[reach, 1], &inner)), &[p, value], ty(&whole));
            if boundaries {
                for (to, from, shape) in [
                    ([0, 0], [1, 0], [1, COLUMNS]),
                    ([rows as i64 - 1, 0], [rows as i64 - 2, 0], [1, COLUMNS]),
                    ([0, 0], [0, COLUMNS as i64 - 2], [rows, 1]),
                ] {
                    let value = read(&mut g, p, &from, &shape);
                    p = g.push(Op::Update(window(&to, &shape)), &[p, value], ty(&whole));
                }
            }
        }
        g.outputs = vec![p];
        g
    }

    fn run(prepared: &Prepared, rows: usize) -> Vec<u8> {
        let data: Vec<u8> =
            (0..rows * COLUMNS).flat_map(|i| (((i * 7919) % 1013) as f64 / 7.0).to_le_bytes()).collect();
        let input: Arc<Store> = Store::from_bytes(&data).unwrap();
        prepared.run(&[input], &[]).unwrap()[0].as_slice()[..data.len()].to_vec()
    }

    #[test]
    fn a_wavefront_has_the_bits_of_one_sweep_after_the_other() {
        let mut met = 0;
        for rows in [40, 97, 300] {
            for (steps, reach) in [(2, 1), (7, 1), (9, 2), (25, 1)] {
                for boundaries in [false, true] {
                    let plan =
                        legate_jit_passes::compile(&program(rows, steps, reach, boundaries), &Cx::default()).unwrap();
                    let together = Prepared::build(plan.clone(), Tier::Vm, true).unwrap();
                    let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
                    met += together.actions.iter().filter(|a| matches!(a, Action::Wavefront(_))).count();
                    assert!(
                        run(&together, rows) == run(&apart, rows),
                        "{rows} rows, {steps} steps that reach {reach}, boundaries: {boundaries}"
                    );
                }
            }
        }
        assert!(met >= 12, "only {met} wavefronts");
    }
}
