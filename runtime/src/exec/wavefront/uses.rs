//! How a launch uses memory row by row and column by column: at which distances from the row that it handles.

use std::collections::{BTreeMap, BTreeSet};

use legate_jit_ir::Type;
use legate_jit_ir::plan::{BufferId, Launch, Operand, Plan, Target};
use legate_jit_ir::shape::size;

use crate::exec::launch::PreparedLaunch;
use crate::exec::stream::Leafwise;

/// How a launch uses memory row by row.
pub(super) struct Uses {
    pub(super) rows: usize,
    pub(super) start: i64,
    pub(super) list: Vec<Use>,
    pub(super) one_row: bool,
    /// It reduces what it computes to one element.
    pub(super) reduces: bool,
    /// Rows and columns at the edge of a range that may stay undone, because a chunk or a leaf reaches over it.
    pub(super) slack: [i64; 2],
    /// It reads from the last row to the first or from the first to the last.
    pub(super) ring: bool,
    /// None where the launch does not go column by column at constant distances.
    pub(super) columns: Option<Columns>,
}

pub(super) struct Use {
    pub(super) memory: BufferId,
    /// Array row − launch row.
    pub(super) rows: i64,
    /// Array column − launch column.
    pub(super) columns: i64,
    pub(super) writes: bool,
    /// Bytes of a row of the array; 0 for what is small.
    pub(super) bytes: usize,
    /// Bytes of a row, and how many there are.
    pub(super) pitch: usize,
    pub(super) height: usize,
}

impl Use {
    /// Rows by which the places of equal rows differ, at most, where arrays of different widths have the same memory.
    pub(super) fn drift(&self, other: &Use) -> i64 {
        let apart = self.pitch.abs_diff(other.pitch) * self.height.max(other.height);
        apart.div_ceil(self.pitch.min(other.pitch).max(1)) as i64
    }
}

/// Distances of what is not read at a constant one.
pub(super) const FAR: i64 = i64::MAX / 4;

pub(super) fn height_of(ty: &Type) -> usize {
    ty.shape.first().copied().unwrap_or(1)
}

/// The columns that a launch handles.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    /// Array column of the first one.
    pub(super) start: i64,
    /// The domain's axis along the columns, and its points; none where all of the launch works on one column.
    pub(super) axis: Option<(usize, usize)>,
}

/// Bytes of a row of each memory.
pub(super) fn distinct(uses: &Uses) -> BTreeMap<BufferId, usize> {
    let mut all = BTreeMap::new();
    for u in &uses.list {
        let bytes = all.entry(u.memory).or_insert(0);
        *bytes = u.bytes.max(*bytes);
    }
    all
}

/// A launch of one point, whose time is of no importance.
pub(super) fn is_single(plan: &Plan, launch: &Launch) -> bool {
    launch.streams.is_empty() && size(&launch.domain) == 1 && buffers(launch).all(|b| plan.buffer(b).ty.size() == 1)
}

pub(super) fn buffers(launch: &Launch) -> impl Iterator<Item = BufferId> {
    launch.targets.iter().filter_map(|t| match t {
        Target::Buffer(o) => Some(o.buffer),
        Target::Stream(_) => None,
    })
}

/// Rows of the arrays that a launch writes, or else reduces; 0 if it writes arrays of several heights.
pub(super) fn array_rows(plan: &Plan, launch: &Launch) -> usize {
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

/// In what a reduction to one element is worked off.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Parts {
    /// Chunks, ranges of points that may be several rows.
    Chunks,
    /// Leaves, of which bands of columns have some in every row.
    Leaves,
}

/// `None` where the launch does not go row by row at constant distances.
pub(super) fn uses(plan: &Plan, memory: &[BufferId], launch: &Launch, parts: Parts) -> Option<Uses> {
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
    let by_leaves = parts == Parts::Leaves && Leafwise::takes(launch);
    let columns = columns(launch, axis, by_leaves, operands().filter(|o| written(plan, launch, o)));
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
    let points = |axes: &[usize]| size(axes).max(1);
    let slack = match launch.streams.is_empty() {
        true => [0, 0],
        false if by_leaves => [0, Leafwise::REACH.div_ceil(points(&launch.domain[2..])) as i64],
        false => [PreparedLaunch::FINE_CHUNK.div_ceil(points(&launch.domain[1..])) as i64, 0],
    };
    let reduces = !launch.streams.is_empty();
    Some(Uses { rows, start, list, one_row, reduces, slack, ring, columns })
}

/// The domain's row of each piece that uses an operand; None for one that has several.
fn single_rows<'a>(launch: &'a Launch, operand: &'a Operand) -> impl Iterator<Item = Option<i64>> + 'a {
    let is_it = move |target: u32| matches!(&launch.targets[target as usize], Target::Buffer(o) if o == operand);
    let users = launch.pieces.iter().filter(move |p| p.accesses.iter().any(|&a| is_it(a)));
    users.map(|p| (p.hi[0] == p.lo[0] + 1).then_some(p.lo[0] as i64))
}

/// The columns that a launch writes, where the domain's axis `axis` goes along them or it has one only. Those of a reduction are its
/// domain's, where it is worked off [by leaves](Parts::Leaves); chunks are of whole rows.
fn columns<'a>(
    launch: &Launch,
    axis: usize,
    by_leaves: bool,
    mut written: impl Iterator<Item = &'a Operand>,
) -> Option<Columns> {
    if !launch.streams.is_empty() {
        let fits = by_leaves && written.all(|o| column_of(o, axis, false) == Some(0));
        return fits.then(|| Columns { start: 0, axis: Some((axis, launch.domain[axis])) });
    }
    let first = written.next()?;
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

/// Columns of the arrays that a launch writes, or else reduces; 0 if they have no such axis, or differ.
pub(super) fn array_columns(plan: &Plan, launch: &Launch) -> i64 {
    let mut widths = launch.targets.iter().filter_map(|t| match t {
        Target::Buffer(o) if written(plan, launch, o) => plan.buffer(o.buffer).ty.shape.get(1).copied().or(Some(0)),
        _ => None,
    });
    let Some(first) = widths.next() else { return launch.domain.get(1).map_or(0, |&n| n as i64) };
    if widths.all(|w| w == first) { first as i64 } else { 0 }
}
