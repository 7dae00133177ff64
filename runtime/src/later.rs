//! Flushes that are put off, while a program runs only to show what it needs (`Config::plan_only`, for `legate-jit warm`).
//!
//! A flush at which nobody asked for a value is planned, so that its kernels are known, and its results are promises. When
//! somebody asks for one, what it depends on is computed, in the order of the program, and nothing else: so a value that
//! steers the program is the right one, and arithmetic whose results nobody looks at is never done.
//!
//! The flushes stand in a list and name their inputs; a promise names its flush. So neither keeping a promise nor dropping it
//! goes through a chain of others by recursion, however long a loop was.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::plan_cache::{Entry, Stores};
use crate::{Error, Result, Store};

struct Flush {
    plan: Arc<Entry>,
    inputs: Vec<Arc<Store>>,
    scalars: Vec<[u64; 2]>,
    outputs: Vec<Weak<Store>>,
}

#[derive(Default)]
struct List {
    flushes: Vec<Option<Flush>>,
    /// The flush of a promise, by its address. One that is out of date leads to a flush too many, at worst.
    makers: HashMap<usize, usize>,
    /// Results on their way to their promises: of output m of a flush.
    made: HashMap<(usize, usize), Arc<Store>>,
}

/// See `Config::plan_only`.
static PLAN_ONLY: AtomicBool = AtomicBool::new(false);

pub(crate) fn is_plan_only() -> bool {
    PLAN_ONLY.load(Ordering::Relaxed)
}

pub(crate) fn set_plan_only(on: bool) {
    PLAN_ONLY.store(on, Ordering::Relaxed);
}

static LIST: Mutex<Option<List>> = Mutex::new(None);

/// Promises for the outputs, of these sizes.
pub(crate) fn put_off(plan: Arc<Entry>, inputs: Vec<Arc<Store>>, scalars: Vec<[u64; 2]>, bytes: &[usize]) -> Stores {
    let mut guard = LIST.lock();
    let list = guard.get_or_insert_default();
    let id = list.flushes.len();
    let promise = |(m, &bytes): (usize, &usize)| Store::promised(bytes, Box::new(move || compute(id, m)));
    let stores: Stores = bytes.iter().enumerate().map(promise).collect();
    list.makers.extend(stores.iter().map(|s| (Arc::as_ptr(s) as usize, id)));
    let outputs = stores.iter().map(Arc::downgrade).collect();
    list.flushes.push(Some(Flush { plan, inputs, scalars, outputs }));
    // Now and then those go that nobody can ask for any more.
    let dead = if id >= 64 && id.is_power_of_two() { list.dead() } else { Vec::new() };
    drop(guard);
    drop(dead);
    stores
}

impl List {
    /// Takes out the flushes of whose outputs none is left. Later ones first, because they hold their inputs.
    fn dead(&mut self) -> Vec<Arc<Store>> {
        let mut owners = Vec::new();
        for slot in self.flushes.iter_mut().rev() {
            if slot.as_ref().is_some_and(|f| f.outputs.iter().all(|o| o.strong_count() == 0)) {
                for input in slot.take().into_iter().flat_map(|f| f.inputs) {
                    // Promises are dropped here, so that their makers are seen to be dead in turn; memory of others may run
                    // code of theirs when it goes, so that is for the caller.
                    if !input.is_promised() {
                        owners.push(input);
                    }
                }
            }
        }
        let flushes = &self.flushes;
        self.makers.retain(|_, id| flushes[*id].is_some());
        owners
    }

    /// What has to run for a flush, itself included.
    fn needed(&self, id: usize) -> BTreeSet<usize> {
        let (mut needed, mut todo) = (BTreeSet::new(), vec![id]);
        while let Some(id) = todo.pop() {
            if let Some(flush) = &self.flushes[id]
                && needed.insert(id)
            {
                let promised = flush.inputs.iter().filter(|i| i.is_promised());
                todo.extend(promised.filter_map(|i| self.makers.get(&(Arc::as_ptr(i) as usize))));
            }
        }
        needed
    }
}

/// Output m of a flush. Nobody holds the list while a plan runs, because the plan's inputs may be promises, too.
fn compute(id: usize, m: usize) -> Result<Arc<Store>> {
    let needed = match &mut *LIST.lock() {
        Some(list) => match list.made.remove(&(id, m)) {
            Some(store) => return Ok(store),
            None => list.needed(id),
        },
        None => BTreeSet::new(),
    };
    for of in needed {
        let Some(flush) = LIST.lock().as_mut().and_then(|list| list.flushes[of].take()) else { continue };
        let made = match run(&flush) {
            Ok(made) => made,
            Err(e) => {
                LIST.lock().get_or_insert_default().flushes[of] = Some(flush);
                return Err(e);
            }
        };
        let asked: Vec<Arc<Store>> = {
            let mut guard = LIST.lock();
            let list = guard.get_or_insert_default();
            let mut asked = Vec::new();
            for (n, (store, promise)) in made.into_iter().zip(&flush.outputs).enumerate() {
                if let Some(promise) = promise.upgrade() {
                    list.made.insert((of, n), store);
                    // The one that is being kept takes it when this returns.
                    if (of, n) != (id, m) {
                        asked.push(promise);
                    }
                }
            }
            asked
        };
        for promise in asked {
            promise.keep_promise()?;
        }
    }
    let made = LIST.lock().as_mut().and_then(|list| list.made.remove(&(id, m)));
    made.ok_or_else(|| Error::Runtime("a flush that was put off is lost".into()))
}

fn run(flush: &Flush) -> Result<Vec<Arc<Store>>> {
    for input in &flush.inputs {
        input.keep_promise()?;
    }
    flush.plan.check_memory()?;
    let stores = flush.plan.run(&flush.inputs, &flush.scalars)?;
    // A result may be an input, or another result, as it is; who has a promise takes its memory to be its own.
    let alone = |store: Arc<Store>| if Arc::strong_count(&store) > 1 { store.duplicate() } else { Ok(store) };
    stores.into_iter().map(alone).collect()
}
