//! Plans by the hash of what was recorded.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use legate_jit_ir::Graph;
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::ahead::{self, History, Kind, Unrolled};
use crate::exec::Prepared;
use crate::trace::Key;
use crate::unread::Late;
use crate::{Config, Result, Store, Tier};

pub(crate) type Stores = SmallVec<[Arc<Store>; 4]>;

/// A plan, ready to run, for traces of one key.
pub(crate) struct Entry {
    runner: Runner,
    kind: Kind,
    /// The outputs that need not be computed before somebody reads them.
    late: Option<Late>,
    /// The plan that overwrites no input, if it is not the same, once somebody asked for it.
    careful: OnceLock<Option<Box<Prepared>>>,
    asked: AtomicBool,
    /// How often the plan took next to no time.
    brief: AtomicU32,
    /// All kernels are compiled, or will not be.
    settled: AtomicBool,
    /// Until then: nanoseconds of the shortest run operation by operation before there was the plan, if there was one, and of the
    /// shortest by the prebuilt loops.
    unplanned: AtomicU32,
    by_loops: AtomicU32,
    history: Mutex<Option<History>>,
    /// Several rounds of a loop as one plan, the one made last behind the others.
    unrolled: Mutex<Vec<Arc<Unrolled>>>,
}

enum Runner {
    Interp(Graph),
    Exec(Box<Prepared>),
}

/// The 128 bits of the key are the identity: two structures that share them do not occur.
#[derive(Default)]
pub(crate) struct PlanCache {
    entries: HashMap<Key, Known, BuildKey>,
    /// What the helper makes.
    coming: HashMap<Key, Arc<OnceLock<Result<Arc<Entry>>>>, BuildKey>,
    /// Counts the look-ups.
    clock: u64,
}

struct Known {
    entry: Arc<Entry>,
    used: u64,
}

/// Plans that are kept; beyond it the half that was not used for longest goes.
const KEPT: usize = 4096;

/// Plans of several rounds that are kept with the plan of one.
const KEPT_UNROLLED: usize = 4;

/// Plans that wait for the helper at a time.
const COMING: usize = 4;

/// Nanoseconds from which on it is of interest how a plan runs before its kernels are compiled, and how much longer it must take than its
/// operations one by one.
const SHORT: u32 = 50_000;
const SLOWER: f32 = 1.1;

/// Runs in next to no time before a plan is held to be such.
const BRIEF: u32 = 16;

#[derive(Default, Clone)]
pub(crate) struct BuildKey;

/// The key is a hash already.
pub(crate) struct KeyHasher(u64);

impl std::hash::BuildHasher for BuildKey {
    type Hasher = KeyHasher;
    fn build_hasher(&self) -> KeyHasher {
        KeyHasher(0)
    }
}

impl std::hash::Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys hash as words")
    }
    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }
}

impl PlanCache {
    pub(crate) fn get(&mut self, key: Key) -> Option<Arc<Entry>> {
        self.clock += 1;
        let known = self.entries.get_mut(&key)?;
        known.used = self.clock;
        Some(known.entry.clone())
    }

    pub(crate) fn make(&mut self, key: Key, graph: Graph, config: &Config) -> Result<Arc<Entry>> {
        let entry = Entry::new(graph, config)?;
        self.keep(key, entry.clone());
        Ok(entry)
    }

    /// Has the helper make a plan, if it can; `made` gives it when it is there.
    pub(crate) fn make_later(&mut self, key: Key, graph: Graph, config: &Config) -> bool {
        let (place, config) = (Arc::new(OnceLock::new()), config.clone());
        let there = place.clone();
        let started = crate::helper::start(Box::new(move || {
            let _beside = crate::pool::Beside::begin();
            let _ = there.set(Entry::new(graph, &config));
        }));
        if started {
            self.coming.insert(key, place);
        }
        started
    }

    /// Whether the helper may be given another plan to make. What it has made is put with the others, whether or not somebody has
    /// asked for it again.
    pub(crate) fn has_room(&mut self) -> bool {
        let done: SmallVec<[Key; COMING]> =
            self.coming.iter().filter(|(_, place)| place.get().is_some()).map(|(key, _)| *key).collect();
        for key in done {
            self.made(key);
        }
        self.coming.len() < COMING
    }

    /// Whether the helper makes a plan for this.
    pub(crate) fn is_coming(&self, key: Key) -> bool {
        self.coming.contains_key(&key)
    }

    /// A plan that the helper has made.
    pub(crate) fn made(&mut self, key: Key) -> Option<Result<Arc<Entry>>> {
        let made = self.coming.get(&key)?.get()?.clone();
        self.coming.remove(&key);
        if let Ok(entry) = &made {
            self.keep(key, entry.clone());
        }
        Some(made)
    }

    fn keep(&mut self, key: Key, entry: Arc<Entry>) {
        if self.entries.len() >= KEPT {
            let mut used: Vec<u64> = self.entries.values().map(|k| k.used).collect();
            let (_, &mut median, _) = used.select_nth_unstable(KEPT / 2);
            self.entries.retain(|_, k| k.used > median);
        }
        self.entries.insert(key, Known { entry, used: self.clock });
    }
}

impl Entry {
    fn new(graph: Graph, config: &Config) -> Result<Arc<Entry>> {
        let mut late = None;
        let (runner, kind) = match config.tier {
            Tier::Interp => (Runner::Interp(graph), Kind::Not),
            Tier::Auto | Tier::Vm | Tier::Compiled => {
                let plan = legate_jit_passes::compile(&graph, &config.cx)?;
                let runner = Runner::Exec(Box::new(Prepared::new(plan, config.tier)?));
                late = if config.ahead && crate::ranks::active().is_none() { Late::new(&graph, config) } else { None };
                (runner, ahead::kind(graph, config))
            }
        };
        Ok(Arc::new(Entry {
            runner,
            kind,
            late,
            careful: OnceLock::new(),
            asked: AtomicBool::new(false),
            brief: AtomicU32::new(0),
            settled: AtomicBool::new(false),
            unplanned: AtomicU32::new(u32::MAX),
            by_loops: AtomicU32::new(0),
            history: Mutex::new(None),
            unrolled: Mutex::new(Vec::new()),
        }))
    }

    /// Whether all kernels are compiled, or will not be.
    pub(crate) fn is_settled(&self) -> bool {
        let Runner::Exec(plan) = &self.runner else { return true };
        if !self.settled.load(Ordering::Relaxed) {
            self.settled.store(plan.runners().all(|r| r.is_settled()), Ordering::Relaxed);
        }
        self.settled.load(Ordering::Relaxed)
    }

    /// Notes what the operations one by one took before there was the plan.
    pub(crate) fn took_unplanned(&self, nanoseconds: f32) {
        self.unplanned.store(nanoseconds as u32, Ordering::Relaxed);
    }

    /// Notes a run of the plan before its kernels were compiled.
    pub(crate) fn took_by_loops(&self, time: Duration) {
        let took = u32::try_from(time.as_nanos()).unwrap_or(u32::MAX);
        let before = self.by_loops.load(Ordering::Relaxed);
        self.by_loops.store(if before == 0 { took } else { took.min(before) }, Ordering::Relaxed);
    }

    /// Whether the plan, as long as its kernels are not compiled, takes longer than its operations one by one. (Rounds that may be worked on
    /// ahead had better be: what is brief, and what batches are made of.)
    pub(crate) fn is_slower_by_loops(&self) -> bool {
        let (unplanned, by_loops) = (self.unplanned.load(Ordering::Relaxed), self.by_loops.load(Ordering::Relaxed));
        by_loops > SHORT && by_loops as f32 > SLOWER * unplanned as f32 && !matches!(self.kind, Kind::Batch(_))
    }

    /// Notes that a run did so many operations on single elements without the kernels.
    pub(crate) fn ask_for_code(&self, operations: u64) {
        let Runner::Exec(plan) = &self.runner else { return };
        plan.runners().for_each(|r| r.ask(operations));
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether an output was mostly dropped unread.
    pub(crate) fn is_unread(&self, output: usize) -> bool {
        self.late.as_ref().is_some_and(|late| late.is_unread(output))
    }

    /// Begins to watch what else than a run of the plan gave for an output.
    pub(crate) fn watch(&self, output: usize, store: &Arc<Store>) {
        self.late.iter().for_each(|late| late.watch_one(output, store));
    }

    /// Whether the plan calls libraries.
    pub(crate) fn has_calls(&self) -> bool {
        match &self.runner {
            Runner::Interp(_) => false,
            Runner::Exec(plan) => plan.actions.iter().any(|a| matches!(a, crate::exec::Action::Opaque { .. })),
        }
    }

    /// Whether all that the plan does goes block by block, as far as it is worth speaking of.
    pub(crate) fn goes_by_blocks(&self) -> bool {
        match &self.runner {
            Runner::Interp(_) => false,
            Runner::Exec(plan) => plan.goes_by_blocks(),
        }
    }

    pub(crate) fn was_brief(&self) {
        self.brief.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the plan takes so little time that nobody should look at the clock for it.
    pub(crate) fn is_brief(&self) -> bool {
        self.brief.load(Ordering::Relaxed) > BRIEF
    }

    /// Whether the plan for inputs that somebody else has too is there; if not, the helper makes it.
    pub(crate) fn is_careful(self: &Arc<Entry>, config: &Config) -> bool {
        let Kind::Relay(Some(_)) = &self.kind else { return true };
        if !self.asked.swap(true, Ordering::Relaxed) {
            let (entry, config) = (self.clone(), config.clone());
            crate::helper::start(Box::new(move || {
                let _ = entry.without_donations(&config);
            }));
        }
        self.careful.get().is_some()
    }

    /// The plan for inputs that somebody else has too.
    pub(crate) fn without_donations(&self, config: &Config) -> Option<&Prepared> {
        let Runner::Exec(plan) = &self.runner else { return None };
        let Kind::Relay(Some(graph)) = &self.kind else { return Some(plan) };
        let make = || {
            let graph = Graph { donated: vec![false; graph.donated.len()], ..(**graph).clone() };
            let plan = legate_jit_passes::compile(&graph, &config.cx).ok()?;
            Some(Box::new(Prepared::new(plan, config.tier).ok()?))
        };
        self.careful.get_or_init(make).as_deref()
    }

    pub(crate) fn history(&self) -> Option<History> {
        self.history.lock().clone()
    }

    /// A plan of several rounds that is wanted; of those that `make` has made some are kept.
    pub(crate) fn unrolled(
        &self,
        is_it: impl Fn(&Unrolled) -> bool,
        make: impl FnOnce() -> Result<Option<Unrolled>>,
    ) -> Result<Option<Arc<Unrolled>>> {
        let known = self.unrolled.lock().iter().find(|u| is_it(u)).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let made = make()?.map(Arc::new);
        if let Some(made) = &made {
            let mut all = self.unrolled.lock();
            if all.len() == KEPT_UNROLLED {
                all.remove(0);
            }
            all.push(made.clone());
        }
        Ok(made)
    }

    pub(crate) fn remember(&self, history: History) {
        *self.history.lock() = Some(history);
    }

    /// Whether its memory is worth a look: a plan that takes long.
    pub(crate) fn needs_much(&self) -> bool {
        match &self.runner {
            Runner::Interp(_) => false,
            Runner::Exec(prepared) => prepared.needs_much(),
        }
    }

    /// An error where there is not enough memory for it.
    pub(crate) fn check_memory(&self) -> Result<()> {
        match &self.runner {
            Runner::Interp(_) => Ok(()),
            Runner::Exec(prepared) => prepared.check_memory(),
        }
    }

    pub(crate) fn run(&self, inputs: &[Arc<Store>], scalars: &[[u64; 2]]) -> Result<Stores> {
        match &self.runner {
            Runner::Interp(graph) => crate::witness::run(graph, inputs, scalars),
            Runner::Exec(prepared) => {
                let Some(late) = &self.late else { return prepared.run(inputs, scalars) };
                if let Some(stores) = late.run(inputs, scalars)? {
                    return Ok(stores);
                }
                let stores = prepared.run(inputs, scalars)?;
                late.watch(&stores);
                Ok(stores)
            }
        }
    }

    /// The same where all outputs are read at once. `places` has memory for some of them, or nothing.
    pub(crate) fn run_into(
        &self,
        inputs: &mut Vec<Arc<Store>>,
        scalars: &[[u64; 2]],
        places: &[Option<Arc<Store>>],
    ) -> Result<Stores> {
        match &self.runner {
            Runner::Interp(graph) => crate::witness::run(graph, inputs, scalars),
            Runner::Exec(prepared) if places.is_empty() => prepared.run_taking(inputs, scalars),
            Runner::Exec(prepared) => prepared.run_into(inputs, scalars, places),
        }
    }

    /// Takes the inputs away, so that those that nobody else has are free as soon as they are needed no more.
    pub(crate) fn run_taking(&self, inputs: &mut Vec<Arc<Store>>, scalars: &[[u64; 2]]) -> Result<Stores> {
        let Some(late) = &self.late else { return self.run_into(inputs, scalars, &[]) };
        if let Some(stores) = late.run(inputs, scalars)? {
            return Ok(stores);
        }
        let stores = self.run_into(inputs, scalars, &[])?;
        late.watch(&stores);
        Ok(stores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn until_there_is_code_it_is_known_which_way_took_less_time() {
        let entry = Entry::new(Graph::default(), &Config::default()).unwrap();
        let took = |microseconds| entry.took_by_loops(Duration::from_micros(microseconds));
        // Nothing is known of the other way.
        took(400);
        assert!(!entry.is_slower_by_loops());
        entry.took_unplanned(300e3);
        assert!(entry.is_slower_by_loops());
        // The shortest run counts.
        took(310);
        took(500);
        assert!(!entry.is_slower_by_loops());
        // Of what is brief it does not matter.
        took(40);
        entry.took_unplanned(10e3);
        assert!(!entry.is_slower_by_loops());
    }
}
