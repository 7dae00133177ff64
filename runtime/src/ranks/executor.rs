//! One rank's part of a plan. The controller and every worker run this same code on the same commands, and each decides from
//! what all know alike (plans, tilings) what to compute, what to send and what to expect.
//!
//! A rank reserves the addresses of a whole store and touches only its own block and the copies it reads, so kernels and
//! strides are those of one process, and the memory used is that of the block.
//!
//! A boundary file: it lends blocks of stores to the transport.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use legate_jit_ir::graph::Opaque;
use legate_jit_ir::plan::{BufferId, Launch, Operand, Step};

use super::message::{self, StoreId};
use super::split::{Split, State};
use super::tiling::{Held, Tiling, Transfer};
use crate::buffer::Store;
use crate::exec::{Action, Division, Element, Frame, Prepared, PreparedLaunch};
use crate::transport::{Incoming, Lost, Outgoing, Tag, Transport};
use crate::{Error, Result};

impl From<Lost> for Error {
    fn from(lost: Lost) -> Error {
        Error::Runtime(format!("the ranks are lost: {lost}"))
    }
}

pub struct Executor {
    transport: Arc<dyn Transport>,
    partition_bytes: usize,
    held: HashMap<StoreId, Held>,
}

/// A store that a launch has left behind.
pub struct Placed {
    pub store: Arc<Store>,
    /// 0 if it is rank 0's alone.
    pub id: StoreId,
}

impl Executor {
    pub fn new(transport: Arc<dyn Transport>, partition_bytes: usize) -> Executor {
        Executor { transport, partition_bytes, held: HashMap::new() }
    }

    /// Says how a store is held that this rank has from elsewhere.
    #[cfg(test)]
    pub fn hold(&mut self, store: StoreId, held: Held) {
        self.held.insert(store, held);
    }

    pub fn forget(&mut self, store: StoreId) {
        self.held.remove(&store);
    }

    pub fn is_whole_here(&self, store: StoreId) -> bool {
        self.held.get(&store).is_none_or(|h| h.is_whole_at(self.transport.rank()))
    }

    /// Makes the whole of a store current on rank 0. `memory` is this rank's.
    pub fn fetch(&mut self, id: StoreId, memory: &Store) -> Result<()> {
        let Some(held) = self.held.get_mut(&id) else { return Ok(()) };
        let mut needs = vec![0..0; self.transport.size()];
        needs[0] = 0..memory.bytes();
        exchange(&*self.transport, &mut [(held, memory.raw_ptr(), needs)])
    }

    /// Runs this rank's part of a plan. `inputs` is this rank's memory of each input. Gives the outputs, in order; inputs that
    /// have a number are held under it from now on.
    pub fn launch(&mut self, plan: &Prepared, launch: &message::Launch, inputs: &[Arc<Store>]) -> Result<Vec<Placed>> {
        let ranks = self.transport.size();
        let mut memory: Vec<Option<Arc<Store>>> = vec![None; plan.slots];
        let mut held: Vec<Option<Held>> = vec![None; plan.slots];
        let mut ids: Vec<StoreId> = vec![0; plan.slots];
        for &(n, slot) in &plan.inputs {
            let (n, slot) = (n as usize, slot as usize);
            let bytes = inputs[n].bytes();
            memory[slot] = Some(inputs[n].clone());
            ids[slot] = launch.inputs[n];
            let known = self.held.get(&ids[slot]).cloned();
            held[slot] = Some(known.unwrap_or_else(|| Held::new(Tiling::root(bytes, ranks))));
        }
        let mut run =
            Run { plan, transport: &*self.transport, partition_bytes: self.partition_bytes, held, failed: None };
        let mut steps = plan.plan.steps.iter();
        for action in &plan.actions {
            if let Action::Alloc { slot, bytes } = action {
                memory[*slot as usize] = Some(Store::alloc(*bytes)?);
                run.held[*slot as usize] = None;
                continue;
            }
            let step = steps.next();
            let address = |s: &u32| memory[*s as usize].as_ref().map_or(std::ptr::null_mut(), |m| m.raw_ptr());
            let bases: Vec<*mut u8> = plan.slot.iter().map(address).collect();
            let frame = Frame { bases: &bases, scalars: &launch.scalars };
            match (action, step) {
                (Action::Launch(prepared), Some(step @ Step::Launch(launch))) => {
                    run.launch(prepared, step, launch, &frame)?;
                }
                (Action::Opaque { .. }, Some(Step::Opaque { op, args, out })) => {
                    run.opaque(action, op, args, *out, &frame)?;
                }
                (Action::Free { slot }, Some(Step::Free(_))) => {
                    memory[*slot as usize] = None;
                    run.held[*slot as usize] = None;
                }
                _ => return Err(Error::Runtime("a plan's actions do not follow its steps".into())),
            }
        }
        let Run { mut held, failed, .. } = run;
        let mut outputs = Vec::new();
        for (out, &fresh) in plan.plan.outputs.iter().zip(&launch.outputs) {
            let slot = plan.slot[out.0 as usize] as usize;
            let store = memory[slot].clone().expect("checked when the plan was prepared");
            let home = held[slot].as_ref().is_none_or(|h| h.tiling.single_owner() == Some(0));
            if ids[slot] == 0 && !home {
                ids[slot] = fresh;
            }
            outputs.push(Placed { store, id: ids[slot] });
        }
        for (held, id) in held.iter_mut().zip(ids).filter(|(_, id)| *id != 0) {
            self.held.extend(held.take().map(|h| (id, h)));
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(outputs),
        }
    }
}

/// One run of a plan.
struct Run<'a> {
    plan: &'a Prepared,
    transport: &'a dyn Transport,
    partition_bytes: usize,
    /// How each memory slot is held.
    held: Vec<Option<Held>>,
    /// The first error of this rank's computations. The others do not know of it, so the run goes on to its end.
    failed: Option<Error>,
}

impl Run<'_> {
    fn slot(&self, buffer: BufferId) -> usize {
        self.plan.slot[buffer.0 as usize] as usize
    }

    fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|e| self.failed.get_or_insert(e)).ok()
    }

    /// Makes the bytes of each slot that the ranks need current on them.
    fn gather(&mut self, needs: Vec<(usize, Vec<Range<usize>>)>, frame: &Frame) -> Result<()> {
        let mut wanted: HashMap<usize, Vec<Range<usize>>> = HashMap::new();
        for (slot, need) in needs {
            let old = wanted.entry(slot).or_insert_with(|| vec![0..0; need.len()]);
            old.iter_mut().zip(need).for_each(|(o, n)| *o = super::split::join(o.clone(), n));
        }
        let mut list = Vec::new();
        // In order of the slots, which is the same on all ranks.
        for (slot, held) in self.held.iter_mut().enumerate() {
            if let (Some(held), Some(needs)) = (held, wanted.remove(&slot)) {
                let buffer = self.plan.slot.iter().position(|&s| s as usize == slot).expect("a slot has a buffer");
                list.push((held, frame.bases[buffer], needs));
            }
        }
        exchange(self.transport, &mut list)
    }

    fn launch(&mut self, prepared: &PreparedLaunch, step: &Step, launch: &Launch, frame: &Frame) -> Result<()> {
        let (me, ranks) = (self.transport.rank(), self.transport.size());
        let division = prepared.division(launch.streams.first().is_some_and(|s| s.reduce.axes.contains(&0)));
        let split;
        let mut needs: Vec<(usize, Vec<Range<usize>>)> = Vec::new();
        {
            let held: Vec<Option<&Held>> = self.plan.slot.iter().map(|&s| self.held[s as usize].as_ref()).collect();
            let (plan, partition_bytes) = (&self.plan.plan, self.partition_bytes);
            let state = State { plan, ranks, partition_bytes, held: &held };
            split = state.split(launch, &division);
            for buffer in state.reads(launch) {
                needs.push((self.slot(buffer), state.needs(launch, &split, buffer)));
            }
            for &buffer in &split.bring_home {
                let mut need = vec![0..0; ranks];
                need[0] = 0..plan.buffer(buffer).ty.bytes();
                needs.push((self.slot(buffer), need));
            }
        }
        self.gather(needs, frame)?;
        for &buffer in &split.bring_home {
            let slot = self.slot(buffer);
            self.held[slot] = Some(Held::new(Tiling::root(self.plan.plan.buffer(buffer).ty.bytes(), ranks)));
        }

        let count = launch.domain.first().copied().unwrap_or(1);
        match (split.alone(count), &division) {
            (Some(rank), _) if rank == me => {
                let done = prepared.run(frame);
                self.note(done);
            }
            (Some(_), _) => {}
            (None, Division::Chunks(chunks)) => self.chunks(prepared, (step, launch), frame, &split, chunks, count)?,
            (None, _) if split.rows[me].is_empty() => {}
            (None, _) => {
                let done = prepared.run_rows(frame, split.rows[me].clone(), count);
                self.note(done);
            }
        }
        for buffer in legate_jit_passes::schedule::written(&self.plan.plan, step) {
            let slot = self.slot(buffer);
            match split.tilings.iter().find(|t| t.0 == buffer) {
                Some((_, tiling)) => self.held[slot] = Some(Held::new(tiling.clone())),
                None => self.held[slot].iter_mut().for_each(Held::written),
            }
        }
        Ok(())
    }

    /// A launch that reduces everything to one element: each rank reduces the subtrees that begin in its rows, the root combines.
    fn chunks(
        &mut self,
        prepared: &PreparedLaunch,
        (step, launch): (&Step, &Launch),
        frame: &Frame,
        split: &Split,
        chunks: &[Range<usize>],
        count: usize,
    ) -> Result<()> {
        let me = self.transport.rank();
        let (mine, rows) = (split.chunks[me].clone(), &split.rows[me]);
        let row = legate_jit_ir::shape::size(&launch.domain) / count;
        // Points before the first subtree belong to the last one of the rank before; here they are only written to buffers.
        let first = if mine.is_empty() { rows.end * row } else { chunks[mine.start].start };
        let writes = legate_jit_passes::schedule::written(&self.plan.plan, step).len() > launch.streams.len();
        let before = if writes { rows.start * row..first } else { 0..0 };
        let own = prepared.run_chunks(frame, before, mine.clone());
        let own = self.note(own).unwrap_or_else(|| vec![[0; 2]; prepared.parts(&mine)]);

        if me != 0 {
            let bytes: Vec<u8> = own.iter().flatten().flat_map(|w| w.to_le_bytes()).collect();
            self.transport.exchange(Tag::Partials, &[Outgoing { to: 0, bytes: &bytes }], &mut [], &mut || {})?;
            return Ok(());
        }
        let lengths = split.chunks.iter().map(|c| prepared.parts(c) * size_of::<Element>());
        let mut received: Vec<Vec<u8>> = lengths.map(|n| vec![0; n]).collect();
        let mut recvs: Vec<Incoming> =
            received.iter_mut().enumerate().skip(1).map(|(from, bytes)| Incoming { from, bytes }).collect();
        self.transport.exchange(Tag::Partials, &[], &mut recvs, &mut || {})?;
        let words = |bytes: &[u8]| bytes.as_chunks::<8>().0.iter().map(|w| u64::from_le_bytes(*w)).collect::<Vec<_>>();
        let mut left: Vec<Vec<Element>> = received.iter().map(|b| words(b).as_chunks::<2>().0.to_vec()).collect();
        left[0] = own;
        prepared.join(frame, &split.chunks, &left);
        Ok(())
    }

    /// A library's operation: a matrix times a vector is done in blocks of rows, everything else on rank 0.
    fn opaque(&mut self, action: &Action, op: &Opaque, args: &[Operand], out: BufferId, frame: &Frame) -> Result<()> {
        let (me, ranks) = (self.transport.rank(), self.transport.size());
        let cuts = {
            let held: Vec<Option<&Held>> = self.plan.slot.iter().map(|&s| self.held[s as usize].as_ref()).collect();
            let (plan, partition_bytes) = (&self.plan.plan, self.partition_bytes);
            State { plan, ranks, partition_bytes, held: &held }.matvec(op, args)
        };
        if let Some((cuts, needs)) = cuts {
            let needs = args.iter().zip(needs).map(|(a, n)| (self.slot(a.buffer), n)).collect();
            self.gather(needs, frame)?;
            let rows = cuts[me]..cuts[me + 1];
            if !rows.is_empty() {
                let done = action.run_matvec_rows(frame, &rows);
                self.note(done);
            }
            let item = self.plan.plan.buffer(out).ty.dtype.size();
            let slot = self.slot(out);
            self.held[slot] = Some(Held::new(Tiling::new(cuts.iter().map(|c| c * item).collect())));
            return Ok(());
        }
        let args: Vec<BufferId> = args.iter().map(|a| a.buffer).collect();
        let needs = args.iter().map(|&a| {
            let mut need = vec![0..0; ranks];
            need[0] = 0..self.plan.plan.buffer(a).ty.bytes();
            (self.slot(a), need)
        });
        let needs = needs.collect();
        self.gather(needs, frame)?;
        if me == 0 {
            let done = action.run(frame);
            self.note(done);
        }
        let slot = self.slot(out);
        self.held[slot] = Some(Held::new(Tiling::root(self.plan.plan.buffer(out).ty.bytes(), ranks)));
        Ok(())
    }
}

/// Makes bytes of several stores current: for each, how it is held, where this rank has it, and what each rank needs.
fn exchange(transport: &dyn Transport, list: &mut [(&mut Held, *mut u8, Vec<Range<usize>>)]) -> Result<()> {
    let me = transport.rank();
    let (mut sends, mut recvs) = (Vec::new(), Vec::new());
    for (held, base, needs) in list.iter() {
        for Transfer { peer, bytes } in held.sends(me, needs) {
            // SAFETY: the bytes lie in this rank's block of the store, and nobody writes it before the exchange is over.
            let bytes = unsafe { std::slice::from_raw_parts(base.add(bytes.start), bytes.len()) };
            sends.push(Outgoing { to: peer, bytes });
        }
        for Transfer { peer, bytes } in held.recvs(me, &needs[me]) {
            // SAFETY: the bytes lie in the store but outside this rank's block and of all other receives; nobody else has them.
            let bytes = unsafe { std::slice::from_raw_parts_mut(base.add(bytes.start), bytes.len()) };
            recvs.push(Incoming { from: peer, bytes });
        }
    }
    if !sends.is_empty() || !recvs.is_empty() {
        transport.exchange(Tag::Rows, &sends, &mut recvs, &mut || {})?;
    }
    list.iter_mut().for_each(|(held, _, needs)| held.fetched(needs));
    Ok(())
}
