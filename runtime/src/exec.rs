//! Runs plans: memory for the buffers, launches on the thread pool, opaque operations through the libraries.
//!
//! [`Prepared`] is a plan made ready once: axes merged, offsets and strides in bytes, kernels looked up (a missing one
//! compiles in the background while the prebuilt loops run it), work cut into tasks. Running it allocates, launches and
//! frees; nothing in it depends on the number of threads but the assignment of tasks to them.

mod launch;
mod space;
mod stream;

use std::sync::Arc;

use legate_jit_ir::graph::Opaque;
use legate_jit_ir::plan::{Plan, Source, Step};
use smallvec::SmallVec;

use crate::buffer::Store;
use crate::{Error, Result};

pub use launch::{PreparedLaunch, Runner};

/// Addresses and scalars of one run.
pub struct Frame<'a> {
    /// Start of each buffer; null while it has no memory.
    pub bases: &'a [*mut u8],
    pub scalars: &'a [[u64; 2]],
}

// SAFETY: a frame only carries addresses to the pool's threads, which run while `Prepared::run` waits for them; tasks write
// disjoint elements (see `launch` and `stream`).
unsafe impl Sync for Frame<'_> {}

enum Action {
    Launch(PreparedLaunch),
    Opaque { op: Opaque, args: Vec<launch::OpaqueOperand>, out: launch::OpaqueOperand },
    /// Gives a memory slot fresh memory of this many bytes.
    Alloc { slot: u32, bytes: usize },
    Free { slot: u32 },
}

/// A plan ready to run.
pub struct Prepared {
    pub plan: Plan,
    actions: Vec<Action>,
    /// The memory slot of each buffer: buffers that take over or alias share one.
    slot: Vec<u32>,
    slots: usize,
    /// (input number, slot).
    inputs: Vec<(u32, u32)>,
}

impl Prepared {
    pub fn new(plan: Plan) -> Result<Prepared> {
        let homes = legate_jit_passes::schedule::memories(&plan);
        let mut slot = vec![u32::MAX; plan.buffers.len()];
        let mut slots = 0u32;
        let mut inputs = Vec::new();
        for (i, home) in homes.iter().enumerate() {
            if home.0 as usize == i {
                slot[i] = slots;
                slots += 1;
                if let Source::Input(n) = plan.buffers[i].source {
                    inputs.push((n, slot[i]));
                }
            } else {
                slot[i] = slot[home.0 as usize];
            }
        }
        let mut has_memory = vec![false; slots as usize];
        inputs.iter().for_each(|&(_, s)| has_memory[s as usize] = true);
        let mut actions = Vec::new();
        for step in &plan.steps {
            for b in legate_jit_passes::schedule::written(&plan, step) {
                let s = slot[b.0 as usize];
                if !has_memory[s as usize] {
                    has_memory[s as usize] = true;
                    actions.push(Action::Alloc { slot: s, bytes: plan.buffer(b).ty.bytes() });
                }
            }
            actions.push(match step {
                Step::Launch(launch) => Action::Launch(PreparedLaunch::new(&plan, launch)?),
                Step::Opaque { op, args, out } => Action::Opaque {
                    op: op.clone(),
                    args: args.iter().map(|a| launch::OpaqueOperand::new(&plan, a)).collect(),
                    out: launch::OpaqueOperand::whole(&plan, *out),
                },
                Step::Free(b) => {
                    has_memory[slot[b.0 as usize] as usize] = false;
                    Action::Free { slot: slot[b.0 as usize] }
                }
            });
        }
        for out in &plan.outputs {
            if !has_memory[slot[out.0 as usize] as usize] {
                return Err(Error::Runtime(format!("plan {}: output {} is never computed", plan.name, out.0)));
            }
        }
        Ok(Prepared { plan, actions, slot, slots: slots as usize, inputs })
    }

    /// Runs the plan. `inputs[n]` is the n-th input (a donated one may be overwritten), `scalars[n]` the bits of the n-th
    /// scalar. Gives the outputs' stores, in order.
    pub fn run(&self, inputs: &[Arc<Store>], scalars: &[[u64; 2]]) -> Result<SmallVec<[Arc<Store>; 4]>> {
        let mut memory: SmallVec<[Option<Arc<Store>>; 16]> = SmallVec::from_elem(None, self.slots);
        for &(n, slot) in &self.inputs {
            memory[slot as usize] = Some(inputs[n as usize].clone());
        }
        let mut bases: SmallVec<[*mut u8; 24]> = self
            .slot
            .iter()
            .map(|&s| memory[s as usize].as_ref().map_or(std::ptr::null_mut(), |m| m.as_mut_ptr()))
            .collect();
        for action in &self.actions {
            match action {
                Action::Alloc { slot, bytes } => {
                    let store = Store::alloc(*bytes)?;
                    self.rebase(&mut bases, *slot, store.as_mut_ptr());
                    memory[*slot as usize] = Some(store);
                }
                Action::Free { slot } => {
                    self.rebase(&mut bases, *slot, std::ptr::null_mut());
                    memory[*slot as usize] = None;
                }
                Action::Launch(launch) => launch.run(&Frame { bases: &bases, scalars })?,
                Action::Opaque { op, args, out } => {
                    let frame = Frame { bases: &bases, scalars };
                    let args: SmallVec<[crate::library::Strided; 2]> = args.iter().map(|a| a.at(&frame)).collect();
                    crate::library::run(op, &args, &out.at(&frame))?;
                }
            }
        }
        Ok(self
            .plan
            .outputs
            .iter()
            .map(|o| memory[self.slot[o.0 as usize] as usize].clone().expect("checked when the plan was prepared"))
            .collect())
    }

    fn rebase(&self, bases: &mut [*mut u8], slot: u32, to: *mut u8) {
        for (base, &s) in bases.iter_mut().zip(&self.slot) {
            if s == slot {
                *base = to;
            }
        }
    }
}
