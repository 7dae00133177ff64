//! Rank 0: tells the workers what to do and does its own part of it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use smallvec::SmallVec;

use super::executor::{Executor, Placed};
use super::message::{Launch, Message, StoreId};
use crate::buffer::Store;
use crate::exec::Prepared;
use crate::transport::{Tag, Transport};
use crate::{Error, Result, Tier};

pub(super) struct Controller {
    transport: Arc<dyn Transport>,
    executor: Executor,
    partition_bytes: usize,
    /// What the workers have been told, by the hash of the plan's text, ready to run step by step.
    plans: HashMap<u64, Arc<Prepared>>,
}

/// The number of the next store; one for the process, so that no controller takes another's store for its own.
static NEXT_STORE: AtomicU64 = AtomicU64::new(1);

/// Plans that the ranks have run, and stores whose blocks rank 0 has asked for.
static LAUNCHES: AtomicU64 = AtomicU64::new(0);
static FETCHES: AtomicU64 = AtomicU64::new(0);

static ACTIVE: AtomicBool = AtomicBool::new(false);
static CONTROLLER: Mutex<Option<Controller>> = Mutex::new(None);
/// Stores that were dropped since the last launch. A lock of its own: stores are dropped inside launches too.
static DROPPED: Mutex<Vec<StoreId>> = Mutex::new(Vec::new());

impl Controller {
    pub(super) fn new(transport: Arc<dyn Transport>, partition_bytes: usize) -> Result<Controller> {
        let executor = Executor::new(transport.clone(), partition_bytes);
        let controller = Controller { transport, executor, partition_bytes, plans: HashMap::new() };
        controller.tell(&Message::Start { partition_bytes: partition_bytes as u64 })?;
        Ok(controller)
    }

    fn tell(&self, message: &Message) -> Result<()> {
        self.transport.broadcast(0, Tag::Command, message.encode())?;
        Ok(())
    }

    /// Whether this run is worth a message: something lies elsewhere already, or is large enough to.
    fn concerns_workers(&self, plan: &Prepared, inputs: &[Arc<Store>]) -> bool {
        inputs.iter().any(|i| i.placed() != 0)
            || plan.plan.buffers.iter().any(|b| b.ty.bytes() >= self.partition_bytes)
            || plan.plan.steps.iter().any(|s| match s {
                legate_jit_ir::plan::Step::Launch(l) => {
                    legate_jit_ir::shape::size(&l.domain) * 8 >= self.partition_bytes
                }
                _ => false,
            })
    }

    /// Sends a plan, once: its text is all that the workers need.
    fn define(&mut self, plan: &Prepared) -> Result<(u64, Arc<Prepared>)> {
        let text = plan.plan.to_string();
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = *plan.told.get_or_init(|| hasher.finish());
        let stepwise = match self.plans.get(&hash) {
            Some(known) => known.clone(),
            None => {
                let stepwise = Arc::new(Prepared::stepwise(plan.plan.clone(), Tier::Auto)?);
                self.tell(&Message::DefinePlan { plan: hash, text })?;
                self.plans.insert(hash, stepwise.clone());
                stepwise
            }
        };
        Ok((hash, stepwise))
    }

    pub(super) fn run(
        &mut self,
        plan: &Prepared,
        inputs: &[Arc<Store>],
        scalars: &[[u64; 2]],
    ) -> Result<SmallVec<[Arc<Store>; 4]>> {
        let known = plan.told.get().and_then(|hash| Some((*hash, self.plans.get(hash)?.clone())));
        let (hash, plan) = match known {
            Some(known) => known,
            None => self.define(plan)?,
        };
        let frees: Vec<StoreId> = std::mem::take(&mut *DROPPED.lock());
        frees.iter().for_each(|&id| self.executor.forget(id));
        let number = || NEXT_STORE.fetch_add(1, Ordering::Relaxed);
        let inputs_ids = inputs
            .iter()
            .map(|store| match store.placed() {
                // Whoever looks at the memory from outside sees only rank 0's, so nobody else may keep a copy.
                0 if store.is_exported() || store.bytes() < self.partition_bytes => 0,
                0 => number(),
                id => id,
            })
            .collect();
        let outputs = plan.plan.outputs.iter().map(|_| number()).collect();
        let launch = Launch { plan: hash, inputs: inputs_ids, outputs, scalars: scalars.to_vec(), frees };
        self.tell(&Message::Launch(launch.clone()))?;
        LAUNCHES.fetch_add(1, Ordering::Relaxed);
        let done = self.executor.launch(&plan, &launch, inputs);
        for (store, &id) in inputs.iter().zip(&launch.inputs) {
            store.place(id);
        }
        let place = |Placed { store, id }: Placed| {
            store.place(id);
            store
        };
        Ok(done?.into_iter().map(place).collect())
    }

    pub(super) fn fetch(&mut self, id: StoreId, store: &Store) -> Result<()> {
        if !self.executor.is_whole_here(id) {
            self.tell(&Message::Fetch { store: id })?;
            FETCHES.fetch_add(1, Ordering::Relaxed);
            self.executor.fetch(id, store)?;
        }
        Ok(())
    }

    pub(super) fn take(&mut self, id: StoreId, store: &Store) -> Result<()> {
        self.fetch(id, store)?;
        self.executor.forget(id);
        store.place(0);
        self.tell(&Message::Forget { stores: vec![id] })
    }

    pub(super) fn shutdown(self) -> Result<()> {
        self.tell(&Message::Shutdown)
    }
}

/// Makes this process the controller of the ranks at the other ends of the transport.
pub fn start(transport: Arc<dyn Transport>, partition_bytes: usize) -> Result<()> {
    let ranks = transport.size();
    let controller = Controller::new(transport, partition_bytes)?;
    *CONTROLLER.lock() = Some(controller);
    ACTIVE.store(ranks > 1, Ordering::Release);
    if ranks > 1 {
        crate::session::lock().inline.off();
    }
    Ok(())
}

/// The number of ranks, if this process controls several.
pub fn active() -> Option<usize> {
    if !ACTIVE.load(Ordering::Relaxed) {
        return None;
    }
    CONTROLLER.lock().as_ref().map(|c| c.transport.size())
}

/// (plans run by the ranks, stores fetched from them)
pub fn counters() -> (u64, u64) {
    (LAUNCHES.load(Ordering::Relaxed), FETCHES.load(Ordering::Relaxed))
}

/// Sends the workers home. The process goes on alone: what lies on the ranks is lost.
pub fn shutdown() -> Result<()> {
    ACTIVE.store(false, Ordering::Release);
    match CONTROLLER.lock().take() {
        Some(controller) => controller.shutdown(),
        None => Ok(()),
    }
}

/// Runs a plan on the ranks; `None` if there are none or they are not needed.
pub(crate) fn run(
    plan: &Prepared,
    inputs: &[Arc<Store>],
    scalars: &[[u64; 2]],
) -> Option<Result<SmallVec<[Arc<Store>; 4]>>> {
    if !ACTIVE.load(Ordering::Relaxed) {
        return None;
    }
    let mut controller = CONTROLLER.lock();
    let controller = controller.as_mut()?;
    controller.concerns_workers(plan, inputs).then(|| controller.run(plan, inputs, scalars))
}

fn with_controller(f: impl FnOnce(&mut Controller) -> Result<()>) {
    let result = match CONTROLLER.lock().as_mut() {
        Some(controller) => f(controller),
        None => Err(Error::Runtime("an array lies on ranks that have gone".into())),
    };
    // The caller wants an address, and a wrong number must never come out of it.
    if let Err(error) = result {
        eprintln!("legate-jit: {error}");
        std::process::exit(1);
    }
}

/// Makes the whole of a store readable here.
#[cold]
pub(crate) fn bring_home(store: &Store) {
    with_controller(|c| c.fetch(store.placed(), store));
}

/// Makes this process the only one that has the store, because it is going to be written here.
#[cold]
pub(crate) fn take_home(store: &Store) {
    with_controller(|c| c.take(store.placed(), store));
}

/// Nobody needs the store any more.
#[cold]
pub(crate) fn dropped(id: StoreId) {
    DROPPED.lock().push(id);
}
