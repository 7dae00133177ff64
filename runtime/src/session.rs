//! The session: the one recorder of the process, with its trace, its plans and its counters.
//!
//! Everything that records takes the lock (uncontended: Python calls come one at a time). A flush runs with the lock held, so
//! other threads see it as one long call.
//!
//! A boundary file: who holds the session has its address.

use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};

use crate::ahead::Ahead;
use crate::base::{State, Token, Version};
use crate::batch::Rows;
use crate::eager::Eager;
use crate::exec::Prepared;
use crate::inline::Inline;
use crate::pass::Passes;
use crate::pick::{Found, Labels, Ramps};
use crate::plan_cache::{Entry, PlanCache, Stores};
use crate::shared::Shared;
use crate::trace::{Key, Trace};
use crate::{Config, Error, Result, repeats};

pub(crate) struct Session {
    pub(crate) token: Token,
    pub(crate) trace: Trace,
    /// The trace that runs in parts, while one of its parts is `trace`.
    pub(crate) part: Trace,
    pub(crate) in_part: bool,
    /// The last trace ran by a plan.
    pub(crate) planned_last: bool,
    /// Records of traces of late whose plans were known: the most, but the longer ago the less.
    pub(crate) known_records: usize,
    /// Memory in which some of the part's records had best leave their results.
    pub(crate) places: Vec<(u32, Arc<crate::Store>)>,
    pub(crate) plans: PlanCache,
    pub(crate) ahead: Ahead,
    pub(crate) config: Config,
    pub(crate) inline: Inline,
    eager: Eager,
    pub(crate) passes: Passes,
    pub(crate) counters: Counters,
    /// Flush when the trace has this many records; set anew at each flush that a budget caused.
    pub(crate) limit: usize,
    /// Recorded writes of single elements since one was computed for them.
    pub(crate) single_writes: u32,
    /// Bytes in use after the last flush.
    bytes_then: usize,
    /// Inputs of the trace when the bytes were last looked at.
    inputs_then: usize,
    /// The flush that runs is for somebody who asks for a value.
    asked: bool,
    /// What the program's variables held when a round began that may be repeated.
    pub(crate) seen: Option<crate::round::Seen>,
    /// How often somebody has looked at what is in memory.
    pub(crate) looks: u64,
    pub(crate) ramps: Ramps,
    pub(crate) found: Found,
    pub(crate) labels: Labels,
    /// The next record belongs to the last one: they run together.
    pub(crate) more_comes: bool,
    /// Scratch of `run_trace`.
    outputs: Vec<u32>,
    donated: Vec<bool>,
}

/// What the session counts.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counters {
    pub(crate) recorded: u64,
    /// Small operations done without being recorded.
    pub(crate) inline: u64,
    pub(crate) flushes: u64,
    /// Traces that ran without a plan.
    pub(crate) unplanned: u64,
    pub(crate) plans: u64,
    pub(crate) plan_hits: u64,
    pub(crate) eager_scalars: u64,
    /// Rounds of loops that ran together.
    pub(crate) rounds_together: u64,
    /// Rounds of loops that were recorded without the program.
    pub(crate) rounds_repeated: u64,
    /// Rounds of loops that ran as a code of ours.
    pub(crate) rounds_translated: u64,
    /// Of those, the ones that machine code did, and the ones that threads did beside each other.
    pub(crate) rounds_compiled: u64,
    pub(crate) rounds_shared: u64,
}

static SESSION: Mutex<Option<Box<Session>>> = Mutex::new(None);

/// Grows whenever somebody takes the session: while it stays, no array has been read, written or given away.
static EPOCH: AtomicU64 = AtomicU64::new(0);

/// See [`crate::Array::peek_some`].
#[inline(always)]
pub fn epoch() -> u64 {
    EPOCH.load(Ordering::Relaxed)
}

/// Owners of foreign memory whose last store died while the session was held: dropping one may run foreign code, which may
/// come back to us.
static GRAVEYARD: Mutex<Vec<Box<dyn Any + Send + Sync>>> = Mutex::new(Vec::new());
static BURIED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Drops a foreign owner now or when the session is free.
pub(crate) fn bury(owner: Box<dyn Any + Send + Sync>) {
    // Whoever holds the session (perhaps this thread) empties the graveyard when letting go of it.
    if SESSION.is_locked() {
        GRAVEYARD.lock().push(owner);
        BURIED.store(true, std::sync::atomic::Ordering::Release);
    }
}

/// The session, held.
pub(crate) struct Held {
    guard: Option<MutexGuard<'static, Option<Box<Session>>>>,
    /// The session in the guard, which is asked for again and again.
    session: NonNull<Session>,
}

impl std::ops::Deref for Held {
    type Target = Session;

    #[inline(always)]
    fn deref(&self) -> &Session {
        // SAFETY: the guard holds the session as long as this lives, and hands it to nobody else.
        unsafe { self.session.as_ref() }
    }
}

impl std::ops::DerefMut for Held {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut Session {
        // SAFETY: as above.
        unsafe { self.session.as_mut() }
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        self.guard = None;
        if BURIED.load(std::sync::atomic::Ordering::Acquire) {
            empty_graveyard();
        }
    }
}

#[cold]
fn empty_graveyard() {
    BURIED.store(false, std::sync::atomic::Ordering::Release);
    let dead = std::mem::take(&mut *GRAVEYARD.lock());
    drop(dead);
}

#[inline]
pub(crate) fn lock() -> Held {
    let mut guard = SESSION.lock();
    // Only who holds the session changes it.
    EPOCH.store(epoch() + 1, Ordering::Relaxed);
    let session = NonNull::from(&mut **guard.get_or_insert_with(|| Box::new(Session::new())));
    Held { guard: Some(guard), session }
}

/// The session for who looks at what is in memory, or writes there: a round that does so is no mere recording.
#[inline]
pub(crate) fn lock_to_look() -> Held {
    let mut s = lock();
    s.looks += 1;
    s
}

/// Makes the session, so that forks are looked after from now on, and begins to make ready what the first computation needs.
pub fn prepare() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    drop(lock());
    ONCE.call_once(crate::start::begin);
}

/// Keeps everybody out of the session while the result lives. The helper comes to rest.
pub(crate) fn hold() -> Box<dyn Any> {
    let mut session = SESSION.lock();
    EPOCH.store(epoch() + 1, Ordering::Relaxed);
    if let Some(session) = session.as_mut() {
        session.ahead.end_of_loop();
    }
    Box::new(session)
}

/// See `fork::forget_waiting`.
pub(crate) fn forget_waiting() {
    crate::fork::forget_waiting(&SESSION);
}

impl Session {
    #[cold]
    fn new() -> Session {
        crate::fork::install();
        let config = Config::default();
        let mut trace = Trace::default();
        trace.clear();
        Session {
            // SAFETY: the static above keeps one session for the life of the process.
            token: unsafe { Token::new() },
            trace,
            part: Trace::default(),
            in_part: false,
            planned_last: false,
            known_records: 0,
            places: Vec::new(),
            plans: PlanCache::default(),
            ahead: Ahead::default(),
            limit: config.max_records,
            inline: Inline::new(&config),
            eager: Eager::default(),
            passes: Passes::default(),
            config,
            counters: Counters::default(),
            single_writes: 0,
            bytes_then: 0,
            inputs_then: 0,
            asked: false,
            seen: None,
            looks: 0,
            ramps: Ramps::default(),
            found: Found::default(),
            labels: Labels::default(),
            more_comes: false,
            outputs: Vec::new(),
            donated: Vec::new(),
        }
    }

    /// Called after each record: runs the trace if a budget is spent or foreign code looks on.
    #[inline]
    pub(crate) fn after_record(&mut self) -> Result<()> {
        if self.trace.recs.len() >= self.limit || self.trace.exported || self.trace.inputs.len() != self.inputs_then {
            return self.check_budgets();
        }
        Ok(())
    }

    #[cold]
    fn check_budgets(&mut self) -> Result<()> {
        self.inputs_then = self.trace.inputs.len();
        if self.trace.exported {
            return self.flush();
        }
        if self.inline.is_immediate() && self.trace.elements < LITTLE {
            return if self.more_comes { Ok(()) } else { self.flush() };
        }
        if self.limit == 1 {
            self.limit = self.config.max_records;
        }
        if crate::buffer::bytes_live() > self.bytes_then + self.config.max_new_bytes {
            return self.make_room();
        }
        if self.trace.recs.len() >= self.limit {
            // Cut where a repeat of the program leaves the fewest values alive, so that later cuts fall on the same place
            // and find the same plan.
            // Whatever the stream looks like, a trace does not grow without bound.
            let overdue = self.trace.recs.len() >= 2 * self.config.max_records;
            match repeats::next_cut(&self.trace, self.config.max_records) {
                repeats::Cut::After(_) if overdue => return self.make_room(),
                repeats::Cut::Now { again } => {
                    let result = self.make_room();
                    self.limit = again.unwrap_or(self.config.max_records);
                    return result;
                }
                repeats::Cut::After(n) => self.limit = self.trace.recs.len() + n,
            }
        }
        Ok(())
    }

    /// A flush that nobody asked for: values that there is no memory for are an error for who asks for them.
    pub(crate) fn make_room(&mut self) -> Result<()> {
        match self.flush() {
            Err(Error::Memory(_)) => Ok(()),
            other => other,
        }
    }

    /// Computes every pending value that somebody still holds.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if self.seen.is_some() {
            return self.flush_under_observation();
        }
        if self.trace.is_empty() {
            self.limit = self.records_allowed();
            self.trace.clear();
            self.inputs_then = 0;
            return Ok(());
        }
        let result = self.run(None);
        self.seen = None;
        self.trace.clear();
        self.has_run();
        result
    }

    /// The same while a round is watched. (What is known of it is large, and taken out meanwhile.)
    #[cold]
    fn flush_under_observation(&mut self) -> Result<()> {
        let mut seen = self.seen.take();
        if seen.as_ref().is_some_and(|seen| !seen.may_run()) {
            seen = None;
            self.inline.resume();
        }
        if self.trace.is_empty() {
            self.limit = self.records_allowed();
            self.trace.clear();
            self.inputs_then = 0;
            self.seen = seen;
            return Ok(());
        }
        if let Some(seen) = &mut seen {
            seen.before_it_runs(self);
        }
        let result = self.run(None);
        if let Some(seen) = &mut seen {
            seen.after_it_ran(self);
        }
        self.seen = seen;
        self.trace.clear();
        self.has_run();
        result
    }

    /// `outputs` are the records whose values somebody holds, where that is known.
    fn run(&mut self, outputs: Option<&[u32]>) -> Result<()> {
        self.counters.flushes += 1;
        self.ramps.flushed();
        self.found.flushed();
        self.labels.flushed();
        self.inline.is_asked();
        let result = match outputs {
            Some(outputs) => self.run_for(outputs),
            None => self.run_trace(),
        };
        if let Err(e) = &result {
            self.lose(e);
        }
        result
    }

    /// Everything that was pending is lost; who asks for it later is told why.
    fn lose(&mut self, e: &Error) {
        let e = Arc::new(e.clone());
        for v in &self.trace.versions {
            if let State::Pending(_) = v.state.get(&self.token) {
                v.state.replace(&mut self.token, State::Failed(e.clone()));
            }
        }
    }

    /// See `run_with_more`.
    pub(crate) fn run_rounds(&mut self, first: usize, period: usize, more: usize, rows: Option<&Rows>) -> Result<bool> {
        let result = self.run_with_more(first, period, more, rows);
        if let Err(e) = &result {
            self.lose(e);
        }
        if !matches!(result, Ok(false)) {
            self.spoil_seen();
            self.trace.clear();
            self.has_run();
        }
        match result {
            Err(Error::Memory(_)) => Ok(true),
            other => other,
        }
    }

    /// Something runs that a round under observation cannot be told from.
    fn spoil_seen(&mut self) {
        if let Some(seen) = &mut self.seen {
            seen.spoil();
        }
    }

    /// The same, by itself: the rounds before and after it are no matter of `ahead`.
    pub(crate) fn run_alone(&mut self, kept: &mut Trace, outputs: &[u32]) -> Result<()> {
        self.in_part = true;
        let result = self.run_kept(kept, outputs);
        self.in_part = false;
        result
    }

    fn has_run(&mut self) {
        self.limit = self.records_allowed();
        self.inputs_then = 0;
        self.bytes_then = crate::buffer::bytes_live();
    }

    /// Runs a trace that was recorded before, while nothing is pending. `outputs` are the records whose values somebody holds.
    pub(crate) fn run_kept(&mut self, kept: &mut Trace, outputs: &[u32]) -> Result<()> {
        debug_assert!(self.trace.is_empty());
        self.spoil_seen();
        std::mem::swap(&mut self.trace, kept);
        let result = self.run(Some(outputs));
        std::mem::swap(&mut self.trace, kept);
        self.has_run();
        match result {
            Err(Error::Memory(_)) => Ok(()),
            other => other,
        }
    }

    /// After how many records the budgets are looked at.
    fn records_allowed(&self) -> usize {
        if self.inline.is_immediate() { 1 } else { self.config.max_records }
    }

    pub(crate) fn run_trace(&mut self) -> Result<()> {
        let mut outputs = std::mem::take(&mut self.outputs);
        outputs.clear();
        outputs.extend(self.held());
        let result = self.run_for(&outputs);
        self.outputs = outputs;
        result
    }

    /// The records whose values somebody holds besides the trace.
    fn held(&self) -> impl Iterator<Item = u32> {
        let versions = self.trace.versions.iter().enumerate();
        versions.filter(|(_, version)| Shared::count(version) > 1).map(|(i, _)| i as u32)
    }

    fn run_for(&mut self, outputs: &[u32]) -> Result<()> {
        debug_assert!(self.held().eq(outputs.iter().copied()), "values are held that nobody knows of");
        let mut donated = std::mem::take(&mut self.donated);
        let (key, round) = self.keys(outputs, &mut donated);
        let result = if outputs.is_empty() { Ok(()) } else { self.run_key(key, round, outputs, &donated) };
        self.donated = donated;
        result
    }

    /// Finds the inputs that nobody else has; the key of the trace with them and its outputs, and with the latter alone.
    fn keys(&self, outputs: &[u32], donated: &mut Vec<bool>) -> (Key, Key) {
        let mut key = self.trace.key;
        outputs.iter().for_each(|&i| key.add(i as u64));
        key.add(u64::MAX);
        // What the loop's rounds have in common: which inputs are donated may depend on how far the helper is.
        let round = key;
        donated.clear();
        for (i, store) in self.trace.inputs.iter().enumerate() {
            // Foreign memory is not ours to overwrite, whoever holds it.
            let ours = Arc::strong_count(store) == 1 && !store.is_foreign();
            donated.push(ours);
            if ours {
                key.add(i as u64);
            }
        }
        // Whoever had them has read them.
        std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
        (key, round)
    }

    /// Whether the plan of the trace, which is made if there is none, works on it block by block, so that it may be as long as one
    /// likes.
    pub(crate) fn goes_by_blocks(&mut self) -> Result<bool> {
        let (outputs, mut donated) = (self.held().collect::<Vec<_>>(), Vec::new());
        let (key, _) = self.keys(&outputs, &mut donated);
        let plan = match self.plans.get(key) {
            Some(plan) => plan,
            None => {
                self.counters.plans += 1;
                let graph = crate::capture::graph(&self.trace, &outputs, &donated);
                self.plans.make(key, graph, &self.config)?
            }
        };
        Ok(plan.goes_by_blocks())
    }

    fn run_key(&mut self, key: Key, round: Key, outputs: &[u32], donated: &[bool]) -> Result<()> {
        let at_once =
            !self.in_part && self.inline.is_immediate() && self.trace.elements < LITTLE && !self.trace.exported;
        let at_once = if at_once { self.unplanned(outputs, donated)? } else { None };
        let stores = match at_once {
            Some(stores) => stores,
            None if self.in_part => self.compute(key, round, outputs, donated)?,
            None => match self.ahead.take(round, &self.trace.inputs, &self.trace.scalars)? {
                Some(stores) => {
                    self.inline.worked_ahead = true;
                    stores
                }
                None => self.compute(key, round, outputs, donated)?,
            },
        };
        if stores.len() != outputs.len() {
            return Err(Error::Runtime(format!("a plan gave {} outputs of {}", stores.len(), outputs.len())));
        }
        for (&i, store) in outputs.iter().zip(stores) {
            // A result may be an input as it is. Memory that foreign code writes has one name only.
            let store = if store.is_exported() { store.duplicate()? } else { store };
            self.trace.versions[i as usize].state.replace(&mut self.token, State::Store(store));
        }
        Ok(())
    }

    fn compute(&mut self, key: Key, round: Key, outputs: &[u32], donated: &[bool]) -> Result<Stores> {
        self.planned_last = false;
        let plan = match self.plans.get(key) {
            Some(plan) => {
                self.counters.plan_hits += 1;
                if !self.in_part {
                    self.known_records = self.trace.recs.len().max(self.known_records - self.known_records / 8);
                    self.inline.flushed(&self.trace, false);
                }
                plan
            }
            // (What has run operation by operation had no rounds that go together.)
            None if !self.in_part
                && !self.eager.has_met(key)
                && let Some(stores) = self.run_in_parts(outputs)? =>
            {
                return Ok(stores);
            }
            None => match self.plan(key, outputs, donated)? {
                Planned::Plan(plan) => plan,
                Planned::Ran(stores) => return Ok(stores),
            },
        };
        // Meanwhile the prebuilt loops would run the plan. Over many small pieces they are slower than operation by operation, as they are
        // where fusion has what several results need computed for each of them.
        let is_new = (self.is_long_and_near() || self.trace.elements >= LITTLE) && !plan.is_settled();
        if is_new && self.may_go_unplanned() && (self.is_long_and_near() || plan.is_slower_by_loops()) {
            plan.ask_for_code(self.trace.elements as u64);
            if let Some(stores) = self.unplanned(outputs, donated)? {
                return Ok(stores);
            }
        }
        // What foreign code sees is computed at once.
        if self.config.plan_only && !self.asked && !self.trace.exported {
            let bytes = |&i: &u32| {
                let version = &self.trace.versions[i as usize];
                version.full.size * version.dtype.size()
            };
            let bytes: Vec<usize> = outputs.iter().map(bytes).collect();
            let inputs = std::mem::take(&mut self.trace.inputs);
            return Ok(crate::later::put_off(plan, inputs, self.trace.scalars.clone(), &bytes));
        }
        self.planned_last = true;
        let (inputs, scalars) = (&self.trace.inputs[..], &self.trace.scalars[..]);
        if !self.in_part
            && let Some(stores) = self.ahead.look(round, &plan, inputs, scalars, &self.config)
        {
            return Ok(stores);
        }
        for input in inputs.iter().filter(|i| i.is_promised()) {
            input.keep_promise()?;
        }
        if plan.check_memory().is_err() {
            return self.compute_apart(outputs);
        }
        if self.in_part {
            let place = |o: &u32| self.places.iter().find(|(node, _)| node == o).map(|(_, place)| place.clone());
            let places: Vec<_> = if self.places.is_empty() { Vec::new() } else { outputs.iter().map(place).collect() };
            return plan.run_into(&mut self.trace.inputs, &self.trace.scalars, &places);
        }
        let start = is_new.then(Instant::now);
        let stores = self.ahead.run(&plan, &mut self.trace.inputs, &self.trace.scalars, &self.config);
        start.iter().for_each(|start| plan.took_by_loops(start.elapsed()));
        stores
    }

    /// The plan of a trace that has none yet, or what came of running it without one.
    fn plan(&mut self, key: Key, outputs: &[u32], donated: &[bool]) -> Result<Planned> {
        if let Some(made) = self.plans.made(key) {
            return made.map(Planned::Plan);
        }
        let records = self.trace.recs.len();
        // The first rounds of a loop are new only once.
        let known = self.eager.has_met(key)
            || self.plans.is_coming(key)
            || records > ROUNDS && repeats::has_rounds(&self.trace);
        if !self.in_part {
            self.inline.flushed(&self.trace, !known);
        }
        let unplanned = self.may_go_unplanned();
        let shortest = self.eager.shortest(key);
        if unplanned && let Some(stores) = self.eager.run(key, &self.trace, outputs, donated, &mut self.passes)? {
            self.counters.unplanned += 1;
            self.ahead.forget();
            return Ok(Planned::Ran(stores));
        }
        let graph = |trace: &Trace| crate::capture::graph(trace, outputs, donated);
        if unplanned && self.is_long_and_near() {
            let room = self.plans.has_room();
            if room && !self.plans.is_coming(key) && self.plans.make_later(key, graph(&self.trace), &self.config) {
                self.counters.plans += 1;
            }
            if (self.plans.is_coming(key) || !room)
                && let Some(stores) = self.unplanned(outputs, donated)?
            {
                return Ok(Planned::Ran(stores));
            }
        }
        let start = Instant::now();
        self.counters.plans += 1;
        let plan = self.plans.make(key, graph(&self.trace), &self.config)?;
        self.eager.planned(&self.trace, start.elapsed());
        shortest.iter().for_each(|&ns| plan.took_unplanned(ns));
        Ok(Planned::Plan(plan))
    }

    /// Runs the trace without a plan, if that is possible.
    fn unplanned(&mut self, outputs: &[u32], donated: &[bool]) -> Result<Option<Stores>> {
        let stores = self.eager.run_at_once(&self.trace, outputs, donated, &mut self.passes)?;
        if stores.is_some() {
            self.counters.unplanned += 1;
            self.ahead.forget();
        }
        Ok(stores)
    }

    fn may_go_unplanned(&self) -> bool {
        self.inline.needs_no_plans() && !self.config.plan_only && !self.trace.exported
    }

    /// A trace that takes milliseconds to plan, over arrays that stay in cache from one operation to the next.
    fn is_long_and_near(&self) -> bool {
        let records = self.trace.recs.len();
        records >= LONG && self.trace.elements <= NEAR * records
    }

    /// What there is not enough memory for at once: one output at a time, so that only those are lost that can't be had.
    #[cold]
    fn compute_apart(&mut self, outputs: &[u32]) -> Result<Stores> {
        // What a loop's batch keeps for promises may be had back.
        self.ahead.end_of_loop();
        let kept = vec![false; self.trace.inputs.len()];
        let apart: Vec<Result<Arc<crate::Store>>> = outputs
            .iter()
            .map(|&i| {
                let graph = crate::capture::graph(&self.trace, &[i], &kept);
                let plan = legate_jit_passes::compile(&graph, &self.config.cx)?;
                let plan = Prepared::new(plan, self.config.tier)?;
                plan.check_memory()?;
                let stores = plan.run(&self.trace.inputs, &self.trace.scalars)?;
                stores.into_iter().next().ok_or_else(|| Error::Runtime("a plan gave no output".into()))
            })
            .collect();
        let Some(lost) = apart.iter().find_map(|made| made.as_ref().err().cloned()) else {
            return apart.into_iter().collect();
        };
        for (&i, made) in outputs.iter().zip(apart) {
            let state = match made {
                Ok(store) => State::Store(if store.is_exported() { store.duplicate()? } else { store }),
                Err(e) => State::Failed(Arc::new(e)),
            };
            self.trace.versions[i as usize].state.replace(&mut self.token, state);
        }
        Err(lost)
    }

    /// The store of a version, computed if it is pending.
    pub(crate) fn store_of(&mut self, version: &Shared<Version>) -> Result<Arc<crate::Store>> {
        // What failed may be something else: whoever asks for that is told.
        let flushed = match version.state.get(&self.token) {
            State::Pending(_) => {
                self.asked = true;
                if version.full.size > 1 {
                    self.inline.is_asked_for_all();
                }
                let result = self.flush();
                self.asked = false;
                result
            }
            State::Store(_) | State::Failed(_) => Ok(()),
        };
        match version.state.get(&self.token) {
            State::Store(s) => {
                s.keep_promise()?;
                s.looked_at();
                Ok(s.clone())
            }
            State::Failed(e) => Err((**e).clone()),
            State::Pending(_) => flushed.and(Err(Error::Runtime("a live value was not computed".into()))),
        }
    }
}

/// What came of asking for a plan.
enum Planned {
    Plan(Arc<Entry>),
    /// The trace ran without one.
    Ran(Stores),
}

/// Records of a trace whose plan nobody should wait for.
const LONG: usize = 80;
/// Elements of its arrays, in the mean: they stay in the second-level cache.
const NEAR: usize = 1 << 16;

/// Records of a trace in which a loop would show.
const ROUNDS: usize = 64;

/// Elements that are worked through in less time than it takes other threads to notice.
const LITTLE: usize = 50_000;

/// Elements that are worked through in less time than a few records take.
const HARDLY: usize = 1000;

/// Runs what is pending if that is next to nothing; false if it is more.
pub fn sync_if_hardly_pending() -> Result<bool> {
    let mut s = lock();
    let hardly = s.trace.elements < HARDLY;
    if hardly {
        s.flush()?;
    }
    Ok(hardly)
}

/// Notes that somebody reads a single element of what is pending; how many there were since values were last computed. It
/// begins anew with each trace, so that a program that runs again is cut at the same places and finds its plans.
pub fn element_reads() -> u32 {
    let mut s = lock();
    s.trace.element_reads += 1;
    s.trace.element_reads
}

/// Whether running what is pending takes only microseconds (once its plan is known).
pub fn little_pending() -> bool {
    lock().trace.elements < LITTLE
}

/// Runs everything that is pending.
pub fn sync() -> Result<()> {
    let mut s = lock();
    s.inline.is_asked_for_all();
    s.flush()
}

/// The same for who wants a number of it.
pub fn sync_for_a_number() -> Result<()> {
    lock().flush()
}

/// Replaces the configuration. What is pending runs first, under the old one.
pub fn set_config(config: Config) -> Result<()> {
    let mut s = lock();
    s.flush()?;
    s.limit = config.max_records;
    s.ahead.forget();
    s.plans = PlanCache::default();
    s.inline = Inline::new(&config);
    s.eager = Eager::default();
    crate::later::set_plan_only(config.plan_only);
    s.config = config;
    Ok(())
}

pub fn config() -> Config {
    lock().config.clone()
}
