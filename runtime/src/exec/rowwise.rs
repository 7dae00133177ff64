//! Launches that go row by row, in one pass over memory: a softmax, a normalisation over the features, columns centred and scaled.
//!
//! Where every launch of a run reads of the others' arrays only what belongs to the rows that it handles, a block of rows can go
//! through all of them before the next one does. What one leaves for the next is then still in the second-level cache, and what
//! several of them read comes from memory once. Rows are points of the domains' leading axes taken together, as many axes as
//! all launches agree on: of 16 batches of 512 rows, 8192. They may lie in layers, too: of the differences between all pairs of
//! points, 3×1000×1000 of them, a row is what belongs to one point in each of the three.
//!
//! The same points are computed by the same kernels and the same sums have the same trees, so the bits are the same.

mod near;

use std::collections::BTreeMap;
use std::ops::Range;

use legate_jit_ir::plan::{BufferId, Launch, Operand, Plan, Target};
use legate_jit_ir::shape::{c_strides, size};
use legate_jit_passes::schedule::written_by;

use super::Frame;
use super::launch::PreparedLaunch;
use super::wavefront::{MAX_LAUNCHES, WORTHWHILE_BYTES, near_bytes};
use crate::{Error, Result, Tier, pool};
use near::Near;

/// Blocks for each thread, at least where there are so many rows.
const BLOCKS_A_THREAD: usize = 8;

/// A run of launches that is worked off block by block.
pub struct Rowwise {
    launches: Vec<PreparedLaunch>,
    /// The layers of each launch's domain.
    layers: Vec<usize>,
    rows: usize,
    /// Rows of a block.
    block: usize,
    /// What nobody reads but the launches of the same block.
    near: Near,
}

/// How launches are worked off as one run.
#[derive(Clone, Copy)]
pub struct Shape {
    length: usize,
    rows: usize,
    /// Bytes of all arrays for a row of the domains, and of what every block reads.
    row_bytes: usize,
    common_bytes: usize,
}

impl Shape {
    /// Launches of the run.
    pub fn length(&self) -> usize {
        self.length
    }
}

/// The run of launches that begins with the first of these; `None` where there is nothing to gain. `memory` names the first
/// buffer of each memory.
pub fn find(plan: &Plan, memory: &[BufferId], launches: &[&Launch]) -> Option<Shape> {
    let first = launches.first()?;
    // A run begins with what is worth one: plans of hundreds of launches on small arrays are not searched through from each on.
    let touched = first.targets.iter().map(|t| match t {
        Target::Buffer(o) => plan.buffer(o.buffer).ty.bytes(),
        Target::Stream(_) => 0,
    });
    if touched.max()? < WORTHWHILE_BYTES {
        return None;
    }
    // Of equally long runs the one with the most rows, which can be cut as one likes.
    (1..=first.domain.len())
        .map(|axes| size(&first.domain[..axes]))
        .chain(first.domain.get(1).copied())
        .filter_map(|rows| grow(plan, memory, launches, rows))
        .max_by_key(|shape| (shape.length, shape.rows))
}

/// The longest run from the first of these launches on, with so many rows.
fn grow(plan: &Plan, memory: &[BufferId], launches: &[&Launch], rows: usize) -> Option<Shape> {
    if rows < BLOCKS_A_THREAD * pool::threads() {
        return None;
    }
    let mut used: BTreeMap<BufferId, Memory> = BTreeMap::new();
    let mut best = None;
    for (k, launch) in launches.iter().take(MAX_LAUNCHES).enumerate() {
        let Some(uses) = uses(plan, memory, launch, rows) else { break };
        for (home, of_launch) in uses {
            used.entry(home).and_modify(|m| m.join(of_launch)).or_insert(of_launch);
        }
        if used.values().any(|m| m.written && m.row.is_none()) {
            break;
        }
        let by_rows = || used.values().filter_map(|m| Some((m.row?.0 * m.row?.1, m.launches)));
        let common_bytes: usize = used.values().filter(|m| m.row.is_none()).map(|m| m.bytes).sum();
        let row_bytes: usize = by_rows().map(|(row, _)| row).sum();
        if common_bytes + row_bytes > near_bytes() {
            break;
        }
        let shared: usize = by_rows().filter(|(_, launches)| *launches > 1).map(|(row, _)| row * rows).sum();
        if shared >= WORTHWHILE_BYTES {
            best = Some(Shape { length: k + 1, rows, row_bytes, common_bytes });
        }
    }
    best
}

/// How launches use a memory.
#[derive(Clone, Copy)]
struct Memory {
    bytes: usize,
    /// Layers, and the bytes that belong to a row in each, where row after row is all that is touched.
    row: Option<(usize, usize)>,
    written: bool,
    launches: usize,
}

impl Memory {
    /// How two accesses of a launch use it.
    fn beside(&mut self, other: Memory) {
        self.bytes = self.bytes.max(other.bytes);
        self.row = self.row.filter(|_| self.row == other.row);
        self.written |= other.written;
    }

    /// How another launch uses it as well.
    fn join(&mut self, other: Memory) {
        self.beside(other);
        self.launches += other.launches;
    }
}

/// How a launch uses memory; `None` if it cannot be cut into so many rows.
fn uses(plan: &Plan, memory: &[BufferId], launch: &Launch, rows: usize) -> Option<BTreeMap<BufferId, Memory>> {
    if launch.domain.contains(&0) {
        return None;
    }
    let Division { layers, axes } = division(&launch.domain, rows)?;
    // Pieces have the rows of an axis behind the first one in any place.
    match &launch.pieces[..] {
        [piece] if piece.hi[..] == launch.domain[..] && piece.lo.iter().all(|&l| l == 0) => {}
        [_, _, ..] if axes == 1 && layers == 1 => {}
        _ => return None,
    }
    let behind = axes + usize::from(layers > 1);
    if launch.streams.iter().any(|s| s.reduce.axes.iter().any(|&a| (a as usize) < behind)) {
        return None;
    }
    let written = written_by(plan, launch);
    let mut all: BTreeMap<BufferId, Memory> = BTreeMap::new();
    let mut note = |buffer: BufferId, row: Option<(usize, usize)>| {
        let bytes = plan.buffer(buffer).ty.bytes();
        let new = Memory { bytes, row, written: written.contains(&buffer), launches: 1 };
        all.entry(memory[buffer.0 as usize]).and_modify(|m| m.beside(new)).or_insert(new);
    };
    for target in &launch.targets {
        if let Target::Buffer(operand) = target {
            let row = if layers == 1 { row_of(plan, operand, &launch.domain, axes, rows) } else { None };
            let single = || row_in_layers(plan, operand, axes + usize::from(layers > 1) - 1, rows);
            note(operand.buffer, row.map(|row| (1, row)).or_else(|| if axes == 1 { single() } else { None }));
        }
    }
    for stream in &launch.streams {
        let bytes = plan.buffer(stream.out).ty.bytes();
        note(stream.out, bytes.is_multiple_of(layers * rows).then_some((layers, bytes / layers / rows)));
    }
    Some(all)
}

/// Which axes of a domain are its rows.
struct Division {
    /// The first axis, if the rows are the second alone.
    layers: usize,
    axes: usize,
}

fn division(domain: &[usize], rows: usize) -> Option<Division> {
    if let Some(axes) = (1..=domain.len()).find(|&k| size(&domain[..k]) == rows) {
        return Some(Division { layers: 1, axes });
    }
    (domain.get(1) == Some(&rows)).then(|| Division { layers: domain[0], axes: 1 })
}

/// The layers of the buffer and the bytes of a row in each, where axis `along` of the domain says which row of the buffer is
/// touched: one of its axes, before which others count the layers.
fn row_in_layers(plan: &Plan, operand: &Operand, along: usize, rows: usize) -> Option<(usize, usize)> {
    let ty = &plan.buffer(operand.buffer).ty;
    let has = |k: &usize| operand.view.axes[*k].terms.iter().any(|t| t.0 as usize == along);
    let k = (0..ty.shape.len()).find(has)?;
    let map = &operand.view.axes[k];
    let one = ty.shape[k] == rows && map.start == 0 && map.terms[..] == [(along as u32, 1)];
    one.then(|| (size(&ty.shape[..k]), size(&ty.shape[k + 1..]) * ty.dtype.size()))
}

/// Bytes of the buffer for each row, if a row of the domain touches nothing else.
fn row_of(plan: &Plan, operand: &Operand, domain: &[usize], axes: usize, rows: usize) -> Option<usize> {
    let ty = &plan.buffer(operand.buffer).ty;
    let each = ty.size() / rows;
    if each * rows != ty.size() {
        return None;
    }
    let (offset, strides) = operand.view.strided(&c_strides(&ty.shape));
    let mut step = each as i64;
    for d in (0..axes).rev().filter(|&d| domain[d] > 1) {
        if strides[d] != step {
            return None;
        }
        step *= domain[d] as i64;
    }
    let (mut first, mut last) = (offset, offset);
    for d in axes..domain.len() {
        let reach = (domain[d] as i64 - 1) * strides[d];
        (first, last) = (first + reach.min(0), last + reach.max(0));
    }
    (first >= 0 && last < each as i64).then_some(each * ty.dtype.size())
}

impl Rowwise {
    pub fn launches(&self) -> &[PreparedLaunch] {
        &self.launches
    }

    /// `None` if one of the launches turns out not to be divisible.
    pub fn new(
        plan: &Plan,
        memory: &[BufferId],
        launches: &[&Launch],
        shape: Shape,
        tier: Tier,
    ) -> Result<Option<Rowwise>> {
        let run = &launches[..shape.length];
        let mut near = Near::of(plan, run, shape.rows);
        // What is near has a place of its own.
        let homes = near.homes(memory);
        let mut prepared = Vec::new();
        let mut layers = Vec::new();
        for (k, &launch) in run.iter().enumerate() {
            let home = |b: BufferId| homes[b.0 as usize];
            let written: Vec<BufferId> = written_by(plan, launch).into_iter().map(home).collect();
            let asks = |later: &Launch| {
                let mut targets = later.targets.iter();
                targets.any(|t| matches!(t, Target::Buffer(o) if written.contains(&home(o.buffer))))
            };
            // What no later one of the run touches may go past the caches.
            layers.push(division(&launch.domain, shape.rows).map_or(1, |division| division.layers));
            let launch = match run[k + 1..].iter().any(|later| asks(later)) {
                true => PreparedLaunch::new(plan, launch, tier)?,
                false => PreparedLaunch::alone(plan, launch, &homes, tier)?,
            };
            if !launch.divides(shape.rows, layers[k]) {
                return Ok(None);
            }
            prepared.push(launch);
        }
        // A result that is written over it all the same had better be written over what is in the cache: where it does not go past
        // that, to fetch its lines for the first time is best done while there is much to compute.
        let goes_past = |b: BufferId| {
            let mut launches = run.iter().zip(&prepared);
            launches.any(|(launch, prepared)| prepared.goes_past() && written_by(plan, launch).contains(&b))
        };
        near.leave(|value| {
            let shares =
                |b: &BufferId| memory[b.0 as usize] == memory[value.0 as usize] && homes[b.0 as usize] != value;
            (0..memory.len() as u32).map(BufferId).filter(shares).all(goes_past)
        });
        let row = (shape.row_bytes + near.row_bytes()).max(1);
        let most = (near_bytes() - shape.common_bytes) / row;
        let block = most.min(shape.rows / (BLOCKS_A_THREAD * pool::threads())).max(1);
        Ok(Some(Rowwise { launches: prepared, layers, rows: shape.rows, block, near }))
    }

    /// Whether the run has room of its own for what is in this buffer.
    pub fn has_room_for(&self, buffer: BufferId) -> bool {
        self.near.has(buffer)
    }

    pub fn run(&self, frame: &Frame) -> Result<()> {
        let block = |k: usize| -> Range<usize> { k * self.block..((k + 1) * self.block).min(self.rows) };
        let failed = std::sync::Mutex::new(None);
        pool::run(self.rows.div_ceil(self.block), &|k, _| {
            self.near.with_room(frame, block(k), self.block, |frame| {
                for (launch, &layers) in self.launches.iter().zip(&self.layers) {
                    if let Err(e) = launch.run_rows_here(frame, block(k), self.rows, layers) {
                        *failed.lock().unwrap_or_else(|e| e.into_inner()) = Some(e);
                    }
                }
            });
        })
        .map_err(Error::Runtime)?;
        failed.into_inner().unwrap_or_else(|e| e.into_inner()).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests;
