//! Runs plans: memory for the buffers, launches on the thread pool, opaque operations through the libraries.
//!
//! [`Prepared`] is a plan made ready once: axes merged, offsets and strides in bytes, kernels looked up (a missing one
//! compiles in the background while the prebuilt loops run it), work cut into tasks. Running it allocates, launches and
//! frees; nothing in it depends on the number of threads but the assignment of tasks to them.

mod banded;
mod calls;
mod launch;
mod need;
mod operand;
mod pace;
mod packing;
mod piece;
mod rowwise;
mod runner;
#[cfg(test)]
mod sample;
mod space;
mod stream;
mod team;
pub(crate) mod wavefront;

use std::sync::Arc;

use legate_jit_ir::graph::Opaque;
use legate_jit_ir::plan::{BufferId, Plan, Source, Step};
use smallvec::SmallVec;

use crate::buffer::Store;
use crate::{Error, Result, Tier};

use operand::OpaqueOperand;

pub use launch::{Division, PreparedLaunch};
pub use runner::Runner;
pub use stream::Element;

/// Addresses and scalars of one run.
pub struct Frame<'a> {
    /// Start of each buffer; null while it has no memory.
    pub bases: &'a [*mut u8],
    pub scalars: &'a [[u64; 2]],
}

// SAFETY: a frame only carries addresses to the pool's threads, which run while `Prepared::run` waits for them; tasks write
// disjoint elements (see `launch` and `stream`).
unsafe impl Sync for Frame<'_> {}

/// One step made ready.
pub(crate) enum Action {
    Launch(PreparedLaunch),
    /// Several small launches as one list of calls.
    Calls(Box<calls::Calls>),
    /// Several launches that the threads go through in step.
    Team(Box<team::Team>),
    /// Several launches, one band of rows after the other.
    Wavefront(wavefront::Wavefront),
    /// Several launches, one block of rows after the other.
    Rowwise(rowwise::Rowwise),
    /// Two products with one matrix and what is between them, block by block of rows.
    Banded(Box<banded::Banded>),
    Opaque {
        op: Opaque,
        args: Vec<OpaqueOperand>,
        out: OpaqueOperand,
    },
    /// Gives a memory slot fresh memory of this many bytes.
    Alloc {
        slot: u32,
        bytes: usize,
    },
    Free {
        slot: u32,
    },
    /// Gives a memory slot the memory of another one, whose contents are of no use any more when something is written to it.
    Reuse {
        slot: u32,
        of: u32,
    },
}

/// The store of each memory slot.
type Memory = SmallVec<[Option<Arc<Store>>; 16]>;

/// A plan ready to run.
pub struct Prepared {
    pub plan: Plan,
    /// In the order of the plan's steps, with allocations before the steps that first write to a slot.
    pub(crate) actions: Vec<Action>,
    /// The memory slot of each buffer: buffers that take over or alias share one.
    pub(crate) slot: Vec<u32>,
    /// And the buffers of each slot.
    of_slot: Vec<SmallVec<[u32; 4]>>,
    pub(crate) slots: usize,
    /// (input number, slot).
    pub(crate) inputs: Vec<(u32, u32)>,
    need: need::Need,
    /// The number by which the ranks know the plan, once they have been told.
    pub(crate) told: std::sync::OnceLock<u64>,
}

impl Action {
    /// Runs a step that computes.
    pub(crate) fn run(&self, frame: &Frame) -> Result<()> {
        match self {
            Action::Alloc { .. } | Action::Free { .. } | Action::Reuse { .. } => Ok(()),
            Action::Launch(launch) => launch.run(frame),
            Action::Team(team) => team.run(frame),
            Action::Calls(calls) => {
                calls.run(frame);
                Ok(())
            }
            Action::Wavefront(wavefront) => wavefront.run(frame),
            Action::Rowwise(rowwise) => rowwise.run(frame),
            Action::Banded(banded) => banded.run(frame),
            Action::Opaque { op, args, out } => {
                let args: SmallVec<[crate::library::Strided; 2]> = args.iter().map(|a| a.at(frame)).collect();
                crate::library::run(op, &args, &out.at(frame))
            }
        }
    }
}

impl Action {
    fn launches(&self) -> &[PreparedLaunch] {
        match self {
            Action::Launch(launch) => std::slice::from_ref(launch),
            Action::Calls(calls) => calls.launches(),
            Action::Team(team) => team.launches(),
            Action::Wavefront(wavefront) => wavefront.launches(),
            Action::Rowwise(rowwise) => rowwise.launches(),
            Action::Banded(banded) => banded.launches(),
            Action::Alloc { .. } | Action::Free { .. } | Action::Reuse { .. } | Action::Opaque { .. } => &[],
        }
    }

    /// Of a product of a matrix and a vector: some rows of the result.
    pub(crate) fn run_matvec_rows(&self, frame: &Frame, rows: &std::ops::Range<usize>) -> Result<()> {
        let Action::Opaque { op, args, out } = self else { return Ok(()) };
        let (matrix, some) = (args[0].rows(rows), out.rows(rows));
        let all = out.at(frame).shape[0];
        crate::library::run_rows(op, &[matrix.at(frame), args[1].at(frame)], &some.at(frame), all)
    }
}

impl Prepared {
    /// A plan to run in this process.
    pub fn new(plan: Plan, tier: Tier) -> Result<Prepared> {
        Prepared::build(plan, tier, crate::ranks::active().is_none())
    }

    /// A plan whose actions follow its steps one by one, as the ranks run them.
    pub fn stepwise(plan: Plan, tier: Tier) -> Result<Prepared> {
        Prepared::build(plan, tier, false)
    }

    fn build(plan: Plan, tier: Tier, wavefronts: bool) -> Result<Prepared> {
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
        let mut s = 0;
        while s < plan.steps.len() {
            let (launches, places) = wavefront::launches_from(&plan, s);
            let shape = if wavefronts { wavefront::find(&plan, &homes, &launches) } else { None };
            let by_rows = if wavefronts { rowwise::find(&plan, &homes, &launches) } else { None };
            let by_rows = by_rows.filter(|r| shape.as_ref().is_none_or(|shape| shape.length() < r.length()));
            // The steps that the next action stands for, with the frees between them.
            let band = if wavefronts { banded::run_length(&plan, &homes, s) } else { None };
            let goes_by_rows = by_rows.is_some();
            let run = by_rows.map(|r| r.length()).or(shape.as_ref().map(wavefront::Shape::length));
            let end = band.map_or(run.map_or(s, |length| places[length - 1]) + 1, |length| s + length);
            let steps = &plan.steps[s..end];
            let by_rows = match by_rows {
                Some(shape) => rowwise::Rowwise::new(&plan, &homes, &launches, shape, tier)?,
                None => None,
            };
            for b in steps.iter().flat_map(|step| legate_jit_passes::schedule::written(&plan, step)) {
                let slot = slot[b.0 as usize];
                let is_near = by_rows.as_ref().is_some_and(|by_rows| by_rows.has_room_for(b));
                if !has_memory[slot as usize] && !is_near {
                    has_memory[slot as usize] = true;
                    actions.push(Action::Alloc { slot, bytes: plan.buffer(b).ty.bytes() });
                }
            }
            let wavefront = match shape {
                Some(shape) if !goes_by_rows => wavefront::Wavefront::new(&plan, &launches, shape, tier)?,
                _ => None,
            };
            let band = match band {
                Some(_) => banded::Banded::new(&plan, steps, tier)?,
                None => None,
            };
            let together = wavefront.is_some() || by_rows.is_some() || band.is_some();
            actions.extend(wavefront.map(Action::Wavefront));
            actions.extend(by_rows.map(Action::Rowwise));
            actions.extend(band.map(Box::new).map(Action::Banded));
            for step in steps {
                match step {
                    Step::Launch(launch) if !together => {
                        let launch = PreparedLaunch::alone(&plan, launch, &homes, tier)?;
                        actions.push(Action::Launch(if wavefronts { launch } else { launch.cut_finely() }));
                    }
                    Step::Launch(_) => {}
                    Step::Opaque { .. } if together => {}
                    Step::Opaque { op, args, out } => actions.push(Action::Opaque {
                        op: op.clone(),
                        args: args.iter().map(|a| OpaqueOperand::new(&plan, a)).collect(),
                        out: OpaqueOperand::whole(&plan, *out),
                    }),
                    Step::Free(b) => {
                        if std::mem::take(&mut has_memory[slot[b.0 as usize] as usize]) {
                            actions.push(Action::Free { slot: slot[b.0 as usize] });
                        }
                    }
                }
            }
            s = end;
        }
        for out in &plan.outputs {
            if !has_memory[slot[out.0 as usize] as usize] {
                return Err(Error::Runtime(format!("plan {}: output {} is never computed", plan.name, out.0)));
            }
        }
        let slots = slots as usize;
        let actions = if wavefronts { together(in_step(actions, &slot)) } else { actions };
        let mut of_slot = vec![SmallVec::new(); slots];
        slot.iter().enumerate().for_each(|(b, &s)| of_slot[s as usize].push(b as u32));
        let need = need::Need::of(&plan, &actions, &slot, slots);
        Ok(Prepared { plan, actions, slot, of_slot, slots, inputs, need, told: Default::default() })
    }

    /// What runs the kernels.
    pub(crate) fn runners(&self) -> impl Iterator<Item = &Runner> {
        self.actions.iter().flat_map(Action::launches).flat_map(PreparedLaunch::runners)
    }

    /// Whether some launches run as one pass over memory.
    pub(crate) fn has_wavefront(&self) -> bool {
        self.actions.iter().any(|a| matches!(a, Action::Wavefront(_)))
    }

    /// Whether one launch, or one run of launches that go row by row, is all that there is.
    pub(crate) fn goes_by_blocks(&self) -> bool {
        let mut steps = self.actions.iter().filter(|a| !matches!(a, Action::Alloc { .. } | Action::Free { .. }));
        matches!((steps.next(), steps.next()), (Some(Action::Rowwise(_) | Action::Launch(_)), None))
    }

    /// The size of the n-th input; 0 if the plan does not use it.
    pub(crate) fn input_bytes(&self, n: usize) -> usize {
        let is_it = |b: &&legate_jit_ir::plan::Buffer| b.source == Source::Input(n as u32);
        self.plan.buffers.iter().find(is_it).map_or(0, |b| b.ty.bytes())
    }

    /// Whether the plan's memory is more than next to nothing for any machine.
    pub(crate) fn needs_much(&self) -> bool {
        self.need.is_much()
    }

    /// An error where there is not enough memory for the plan.
    pub(crate) fn check_memory(&self) -> Result<()> {
        self.need.check(&self.plan)
    }

    /// Runs the plan. `inputs[n]` is the n-th input (a donated one may be overwritten), `scalars[n]` the bits of the n-th
    /// scalar. Gives the outputs' stores, in order.
    pub fn run(&self, inputs: &[Arc<Store>], scalars: &[[u64; 2]]) -> Result<SmallVec<[Arc<Store>; 4]>> {
        match crate::ranks::run(self, inputs, scalars) {
            Some(outputs) => outputs,
            None => {
                let mut memory = Memory::from_elem(None, self.slots);
                self.put(inputs, &mut memory)?;
                self.work(&mut memory, scalars, &[])
            }
        }
    }

    /// The same, with the inputs taken away from the caller, so that the memory of a donated one is free as soon as the plan
    /// needs it no more.
    pub(crate) fn run_taking(
        &self,
        inputs: &mut Vec<Arc<Store>>,
        scalars: &[[u64; 2]],
    ) -> Result<SmallVec<[Arc<Store>; 4]>> {
        if let Some(outputs) = crate::ranks::run(self, inputs, scalars) {
            return outputs;
        }
        self.run_into(inputs, scalars, &[])
    }

    /// The same, with the memory in which some outputs had best be made; `places` has one entry an output, or none at all.
    pub(crate) fn run_into(
        &self,
        inputs: &mut Vec<Arc<Store>>,
        scalars: &[[u64; 2]],
        places: &[Option<Arc<Store>>],
    ) -> Result<SmallVec<[Arc<Store>; 4]>> {
        let mut memory = Memory::from_elem(None, self.slots);
        self.put(inputs, &mut memory)?;
        inputs.clear();
        self.work(&mut memory, scalars, places)
    }

    /// What is in the memory slots at the start.
    #[inline]
    fn put(&self, inputs: &[Arc<Store>], memory: &mut Memory) -> Result<()> {
        for &(n, slot) in &self.inputs {
            inputs[n as usize].keep_promise()?;
            memory[slot as usize] = Some(inputs[n as usize].clone());
        }
        Ok(())
    }

    fn work(
        &self,
        memory: &mut Memory,
        scalars: &[[u64; 2]],
        places: &[Option<Arc<Store>>],
    ) -> Result<SmallVec<[Arc<Store>; 4]>> {
        let place = |slot: u32, bytes: usize| {
            let of = |(o, _): &(&BufferId, _)| self.slot[o.0 as usize] == slot;
            let (_, place) = self.plan.outputs.iter().zip(places).find(of)?;
            place.clone().filter(|p| p.bytes() == bytes)
        };
        let mut bases: SmallVec<[*mut u8; 24]> = self
            .slot
            .iter()
            .map(|&s| memory[s as usize].as_ref().map_or(std::ptr::null_mut(), |m| m.as_mut_ptr()))
            .collect();
        for action in &self.actions {
            match action {
                Action::Alloc { slot, bytes } => {
                    let store = place(*slot, *bytes).map_or_else(|| Store::alloc(*bytes), Ok)?;
                    self.rebase(&mut bases, *slot, store.as_mut_ptr());
                    memory[*slot as usize] = Some(store);
                }
                Action::Free { slot } => {
                    self.rebase(&mut bases, *slot, std::ptr::null_mut());
                    memory[*slot as usize] = None;
                }
                Action::Reuse { slot, of } => {
                    let store = memory[*of as usize].clone().expect("it was given memory before");
                    self.rebase(&mut bases, *slot, store.as_mut_ptr());
                    memory[*slot as usize] = Some(store);
                }
                Action::Launch(_)
                | Action::Calls(_)
                | Action::Team(_)
                | Action::Wavefront(_)
                | Action::Rowwise(_)
                | Action::Banded(_)
                | Action::Opaque { .. } => action.run(&Frame { bases: &bases, scalars })?,
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
        self.of_slot[slot as usize].iter().for_each(|&b| bases[b as usize] = to);
    }
}

/// The actions with runs of launches of some microseconds as teams, where those are worth it.
fn in_step(actions: Vec<Action>, slot: &[u32]) -> Vec<Action> {
    let (mut all, mut run) = (Vec::with_capacity(actions.len()), Vec::new());
    let fits = |action: &Action| match action {
        Action::Launch(launch) => team::takes(launch),
        Action::Alloc { .. } | Action::Free { .. } => true,
        _ => false,
    };
    for action in actions {
        if fits(&action) {
            run.push(action);
        } else {
            all.extend(one_run(std::mem::take(&mut run), slot));
            all.push(action);
        }
    }
    all.extend(one_run(run, slot));
    all
}

/// A run of launches, with what gives them memory and takes it back, as one team if that is worth it. All memory is there before the team
/// begins; so what would have been given back in between goes on to who asks for as much later.
fn one_run(run: Vec<Action>, slot: &[u32]) -> Vec<Action> {
    if !team::pays(run.iter().flat_map(Action::launches)) {
        return run;
    }
    let (mut before, mut launches, mut after) = (Vec::new(), Vec::new(), Vec::new());
    // Of the run's own memories, how large they are; where each one really lies; and which are free again, since which launch.
    let mut bytes_of: Vec<(u32, usize)> = Vec::new();
    let mut lies: Vec<u32> = (0..slot.iter().map(|&s| s + 1).max().unwrap_or(0)).collect();
    let mut free: Vec<(u32, usize, usize)> = Vec::new();
    let mut taken = 0;
    for action in run {
        match action {
            Action::Launch(launch) => launches.push(launch),
            Action::Alloc { slot, bytes } => {
                bytes_of.push((slot, bytes));
                // What the launch just before has read is not written over at once, so that the two can be one phase.
                let plenty = taken + bytes <= wavefront::near_bytes();
                let fits = |&(_, b, since): &(u32, usize, usize)| b == bytes && !(plenty && since == launches.len());
                match free.iter().position(fits) {
                    Some(k) => {
                        let (of, ..) = free.remove(k);
                        lies[slot as usize] = lies[of as usize];
                        before.push(Action::Reuse { slot, of });
                    }
                    None => {
                        taken += bytes;
                        before.push(Action::Alloc { slot, bytes });
                    }
                }
            }
            Action::Free { slot } => {
                if let Some(&(_, bytes)) = bytes_of.iter().find(|(s, _)| *s == slot) {
                    free.push((slot, bytes, launches.len()));
                }
                after.push(Action::Free { slot });
            }
            other => before.push(other),
        }
    }
    before.push(Action::Team(Box::new(team::Team::new(launches, |buffer| lies[slot[buffer as usize] as usize]))));
    before.extend(after);
    before
}

/// The actions with small launches that follow each other as one.
fn together(actions: Vec<Action>) -> Vec<Action> {
    let (mut all, mut small) = (Vec::with_capacity(actions.len()), Vec::new());
    let end = |small: &mut Vec<PreparedLaunch>, all: &mut Vec<Action>| {
        if !small.is_empty() {
            all.push(Action::Calls(Box::new(calls::Calls::new(std::mem::take(small)))));
        }
    };
    for action in actions {
        match action {
            Action::Launch(launch) if calls::Calls::takes(&launch) => small.push(launch),
            other => {
                end(&mut small, &mut all);
                all.push(other);
            }
        }
    }
    end(&mut small, &mut all);
    all
}
