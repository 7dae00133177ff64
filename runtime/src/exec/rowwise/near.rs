//! What is only passed on from one launch of a run to the next: it needs room for the rows of a block, not for all of them.
//!
//! Written to an array of its own, such a value would leave the caches, row by row, though nobody asks for it any more, and the lines
//! that it is written over would be read first. Each thread has room for a block, which stays in its second-level cache. The
//! launches do not know: their addresses are those of an array of which only the rows of the block lie in memory.

use std::cell::RefCell;
use std::ops::Range;

use legate_jit_ir::plan::{BufferId, Launch, Plan, Source, Step, Target};
use legate_jit_passes::schedule;
use smallvec::SmallVec;

use super::uses;
use crate::exec::Frame;
use crate::exec::stream::with_room;

thread_local! {
    static ROOM: RefCell<Vec<u128>> = const { RefCell::new(Vec::new()) };
}

/// The values of a run that have room for a block only.
pub struct Near(Vec<Value>);

/// Buffers that name the same elements, as each is written over the one before, and the bytes of a row.
struct Value {
    buffers: SmallVec<[BufferId; 2]>,
    row: usize,
}

impl Near {
    /// Of the launches of a run, which have so many rows.
    pub fn of(plan: &Plan, run: &[&Launch], rows: usize) -> Near {
        let values = values(plan, run);
        let is_of_run = |launch: &Launch| run.iter().any(|&own| std::ptr::eq(own, launch));
        let mut kept = vec![false; plan.buffers.len()];
        for step in &plan.steps {
            match step {
                Step::Launch(launch) if is_of_run(launch) => {}
                Step::Free(_) => {}
                other => schedule::uses(other).into_iter().for_each(|b| kept[values[b.0 as usize].0 as usize] = true),
            }
        }
        plan.outputs.iter().for_each(|b| kept[values[b.0 as usize].0 as usize] = true);
        let mut near: Vec<Value> = Vec::new();
        for b in (0..plan.buffers.len() as u32).map(BufferId).filter(|&b| values[b.0 as usize] == b) {
            let first = run.iter().find(|launch| targets(launch).any(|t| values[t.0 as usize] == b));
            if kept[b.0 as usize] || !first.is_some_and(|launch| is_written_whole(plan, launch, b)) {
                continue;
            }
            // (One layer only: the rows of a block lie one behind the other.)
            let row = run.iter().try_fold(None, |row, launch| {
                let all = uses(plan, &values, launch, rows)?;
                match (row, all.get(&b).map(|memory| memory.row)) {
                    (row, None) => Some(row),
                    (None, Some(Some((1, own)))) => Some(Some(own)),
                    (Some(row), Some(Some((1, own)))) if row == own => Some(Some(own)),
                    _ => None,
                }
            });
            if let Some(Some(row)) = row {
                let buffers = (b.0..values.len() as u32).map(BufferId).filter(|&c| values[c.0 as usize] == b).collect();
                near.push(Value { buffers, row });
            }
        }
        Near(near)
    }

    /// Leaves only those of which `f` says so, given their first buffer.
    pub fn leave(&mut self, f: impl Fn(BufferId) -> bool) {
        self.0.retain(|value| f(value.buffers[0]));
    }

    /// Bytes for each row.
    pub fn row_bytes(&self) -> usize {
        self.0.iter().map(|value| value.row).sum()
    }

    pub fn has(&self, buffer: BufferId) -> bool {
        self.0.iter().any(|value| value.buffers.contains(&buffer))
    }

    /// The first buffer of each memory, given those of a plan that has no such room.
    pub fn homes(&self, memory: &[BufferId]) -> Vec<BufferId> {
        let mut homes: Vec<BufferId> = memory.to_vec();
        for b in (0..memory.len() as u32).map(BufferId) {
            // (Of what is left in a memory the first one stands for it.)
            let alike = |c: &BufferId| match self.0.iter().find(|value| value.buffers.contains(&b)) {
                Some(value) => value.buffers.contains(c),
                None => memory[c.0 as usize] == memory[b.0 as usize] && !self.has(*c),
            };
            homes[b.0 as usize] = (0..b.0).map(BufferId).find(alike).unwrap_or(b);
        }
        homes
    }

    /// Calls `f` with addresses of the calling thread's room for these rows, of which there are `most` at most.
    pub fn with_room(&self, frame: &Frame, rows: Range<usize>, most: usize, f: impl FnOnce(&Frame)) {
        if self.0.is_empty() {
            return f(frame);
        }
        let bytes = |value: &Value| (value.row * most + 63) & !63;
        with_room(&ROOM, self.0.iter().map(bytes).sum(), |room| {
            let mut bases: SmallVec<[*mut u8; 24]> = frame.bases.into();
            let mut next = room;
            for value in &self.0 {
                let base = next.wrapping_sub(rows.start * value.row);
                value.buffers.iter().for_each(|b| bases[b.0 as usize] = base);
                next = next.wrapping_add(bytes(value));
            }
            f(&Frame { bases: &bases, scalars: frame.scalars });
        })
    }
}

/// For each buffer, the first one that names the same elements: a buffer in the memory of another one is something new where the
/// first launch that touches it writes all of it.
fn values(plan: &Plan, run: &[&Launch]) -> Vec<BufferId> {
    let mut values: Vec<BufferId> = Vec::with_capacity(plan.buffers.len());
    for (i, buffer) in plan.buffers.iter().enumerate() {
        let own = BufferId(i as u32);
        values.push(match buffer.source {
            Source::Input(_) | Source::Fresh => own,
            Source::Alias(of) => values[of.0 as usize],
            Source::TakeOver(of) => {
                let first = run.iter().find(|launch| targets(launch).any(|t| t == own));
                let is_new = first.is_some_and(|launch| is_written_whole(plan, launch, own));
                if is_new { own } else { values[of.0 as usize] }
            }
        });
    }
    values
}

fn targets(launch: &Launch) -> impl Iterator<Item = BufferId> {
    let buffers = launch.targets.iter().filter_map(|t| match t {
        Target::Buffer(operand) => Some(operand.buffer),
        Target::Stream(_) => None,
    });
    buffers.chain(launch.streams.iter().map(|s| s.out))
}

/// Whether the launch writes every element of the buffer, and touches it in no other way.
fn is_written_whole(plan: &Plan, launch: &Launch, buffer: BufferId) -> bool {
    let shape = &plan.buffer(buffer).ty.shape;
    let [piece] = &launch.pieces[..] else { return false };
    let mut operands = launch.targets.iter().enumerate().filter_map(|(t, target)| match target {
        Target::Buffer(operand) if operand.buffer == buffer => Some((t as u32, operand)),
        Target::Buffer(_) | Target::Stream(_) => None,
    });
    let (Some((t, operand)), None) = (operands.next(), operands.next()) else { return false };
    let kernel = &plan.kernels[piece.kernel as usize];
    let mut accesses = piece.accesses.iter().zip(&kernel.accesses).filter(|(own, _)| **own == t);
    operand.view.is_identity(shape)
        && launch.domain == *shape
        && piece.lo.iter().all(|&l| l == 0)
        && piece.hi == launch.domain
        && accesses.all(|(_, access)| access.write)
}
