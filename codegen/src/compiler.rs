//! The service that turns kernels into code without making anybody wait.
//!
//! `get` answers at once with a slot. Code that the kernel cache has is in it already: reading and loading it takes less than a
//! tenth of a millisecond, and nothing of LLVM is started for it. Else the slot is empty, and the prebuilt loops do the work, with
//! the same bits. Once they have done so much of it that compiling pays, a helper thread of low priority compiles the kernel.
//! One that cannot be compiled leaves its slot empty for ever, and the counters say so.
//!
//! What is worth compiling in this process is worth it in the next one, too: where there is a cache, the process's end waits a
//! moment for what is in the queue, so that the next process compiles nothing.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, OnceLock, RwLockReadGuard, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use legate_jit_ir::Kernel;
use legate_jit_ir::kernel::KernelFn;
use legate_jit_ir::nest::{NestFn, Program};

use crate::cache::Cache;
use crate::{CpuTarget, Error, Loaded, Result, Sink, Source, Workshop, fork};

/// Gives a sink for the stages of a compilation.
pub type SinkFor = Arc<dyn Fn(&Source) -> Box<dyn Sink> + Send + Sync>;

/// Operations on single elements that the prebuilt loops have done for a kernel when it goes to be compiled: about half a
/// millisecond of theirs, where compiling takes 5 to 10 of another thread's.
const WORTH: u64 = 500_000;

/// Operations of the prebuilt loops after which they wait for the compiler: some ten milliseconds of theirs.
const WORTH_WAITING: u64 = 60_000_000;

/// How long they wait, at most.
const LONGEST_WAIT: Duration = Duration::from_millis(80);

/// How long the process's end waits, at most, for kernels that go into the cache.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How a compiler works.
#[derive(Clone)]
pub struct Options {
    /// What to compile for; None compiles nothing.
    pub target: Option<CpuTarget>,
    /// The kernel cache's directory; None keeps nothing.
    pub cache: Option<PathBuf>,
    /// Bytes that the cache may hold; what was used longest ago goes when it is more.
    pub cache_bytes: Option<u64>,
    /// Helper threads at most.
    pub threads: usize,
    /// Where the stages' texts go. With one, cached code is not used, as it has no stages.
    pub sink: Option<SinkFor>,
}

impl Default for Options {
    fn default() -> Options {
        Options { target: CpuTarget::host(), cache: None, cache_bytes: None, threads: 1, sink: None }
    }
}

/// What a compiler has done so far.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    pub kernels_compiled: u64,
    /// Kernels that the compiler refused; the prebuilt loops run them.
    pub kernels_refused: u64,
    pub cache_hits: u64,
    pub cache_misses: u64,
    /// Cache entries or directories that could not be used, whatever the reason.
    pub cache_errors: u64,
    pub compile_ns: u64,
}

#[derive(Default)]
struct Atomics {
    kernels_compiled: AtomicU64,
    kernels_refused: AtomicU64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    cache_errors: AtomicU64,
    compile_ns: AtomicU64,
}

/// A kernel's or nest's place in the compiler.
pub struct Slot {
    /// The function, or null.
    entry: AtomicPtr<()>,
    source: Source,
    /// Somebody waits: it goes first.
    urgent: AtomicBool,
    /// What the prebuilt loops have done for it. The one that needs it most goes first.
    work: AtomicU64,
    /// It has been in the queue.
    queued: AtomicBool,
    /// Somebody has waited for it in vain.
    waited: AtomicBool,
    /// Set once; keeps the code in memory.
    outcome: OnceLock<Result<Loaded>>,
    shared: Weak<Shared>,
}

impl Slot {
    /// The compiled function, once it is there.
    #[inline]
    pub fn entry(&self) -> Option<KernelFn> {
        let p = self.entry.load(Ordering::Acquire);
        if p.is_null() || !matches!(self.source, Source::Kernel(_)) {
            return None;
        }
        // SAFETY: a pointer that is not null is that of a kernel's code, which lives as long as this slot.
        Some(unsafe { std::mem::transmute::<*mut (), KernelFn>(p) })
    }

    /// The same for a nest.
    #[inline]
    pub fn nest(&self) -> Option<NestFn> {
        let p = self.entry.load(Ordering::Acquire);
        if p.is_null() || !matches!(self.source, Source::Nest(_)) {
            return None;
        }
        // SAFETY: as above, of a nest's code.
        Some(unsafe { std::mem::transmute::<*mut (), NestFn>(p) })
    }

    /// Whether it is known what becomes of it: the code is there, or there will be none.
    pub fn is_settled(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// The prebuilt loops do so many operations on single elements in its place. Call it before they begin: if that makes it
    /// worth compiling, it is compiled meanwhile.
    #[inline]
    pub fn worked(self: &Arc<Slot>, operations: u64) {
        let before = self.work.fetch_add(operations, Ordering::Relaxed);
        if before < WORTH && before.saturating_add(operations) >= WORTH {
            self.enqueue();
        }
    }

    /// The same, unless there is code now.
    ///
    /// Where there is only one processor, who has worked for longer than compiling takes waits for it once, not longer than that again:
    /// the compiler is of low priority, and beside the loops it would get a tenth of that processor. Where there are several, the loops
    /// leave it one ([`Compiler::is_at_work`]).
    #[inline]
    pub fn code_or_work(self: &Arc<Slot>, operations: u64) -> Option<KernelFn> {
        self.worked(operations);
        let long = self.work.load(Ordering::Relaxed) - operations >= WORTH_WAITING;
        if long && !self.is_settled() && has_one_processor() { self.wait_once() } else { self.entry() }
    }

    #[cold]
    fn wait_once(self: &Arc<Slot>) -> Option<KernelFn> {
        if self.waited.load(Ordering::Relaxed) {
            return None;
        }
        let entry = self.wait_at_most(LONGEST_WAIT);
        self.waited.store(true, Ordering::Relaxed);
        entry
    }

    /// Puts it into the queue, unless it was there already or needs no compiling.
    #[cold]
    fn enqueue(self: &Arc<Slot>) {
        let Some(shared) = self.shared.upgrade() else { return };
        if self.outcome.get().is_none() && !self.queued.swap(true, Ordering::Relaxed) {
            let mut state = lock(shared.state);
            state.queue.push(self.clone());
            shared.count(&state);
            drop(state);
            watch_main_thread();
            shared.ensure_worker();
        }
    }

    /// Waits until the code is there. None where the kernel cannot be compiled, or the compiler was shut down.
    pub fn wait(self: &Arc<Slot>) -> Option<KernelFn> {
        self.wait_at_most(Duration::MAX)
    }

    /// Waits for the code, but not longer than that.
    pub fn wait_at_most(self: &Arc<Slot>, limit: Duration) -> Option<KernelFn> {
        let since = Instant::now();
        self.urgent.store(true, Ordering::Relaxed);
        self.enqueue();
        while self.outcome.get().is_none() {
            let left = limit.checked_sub(since.elapsed())?;
            let shared = self.shared.upgrade()?;
            if !shared.ensure_worker() {
                return None;
            }
            let state = lock(shared.state);
            if self.outcome.get().is_none() {
                // The time limit is for a compiler that is shut down while this waits.
                let _ = shared.done.wait_timeout(state, left.min(Duration::from_millis(100)));
            }
        }
        self.entry()
    }

    /// Sets what became of it; the first one counts.
    fn fill(&self, outcome: Result<Loaded>) {
        let outcome = self.outcome.get_or_init(|| outcome);
        if let Ok(loaded) = outcome {
            self.entry.store(loaded.address().cast_mut(), Ordering::Release);
        }
    }

    /// Why there is no code, once that is known.
    pub fn error(&self) -> Option<&Error> {
        self.outcome.get().and_then(|o| o.as_ref().err())
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Slot").field("ready", &self.entry().is_some()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    slots: HashMap<Kernel, Arc<Slot>>,
    nests: HashMap<Arc<Program>, Arc<Slot>>,
    queue: Vec<Arc<Slot>>,
    /// In order of their start; those of the process before a fork are forgotten.
    workers: Vec<JoinHandle<()>>,
    idle: usize,
    generation: u64,
    /// Kernels that are being compiled.
    busy: usize,
    stop: bool,
}

struct Shared {
    options: Options,
    cache: OnceLock<Option<Cache>>,
    counters: Atomics,
    /// Something was written to the cache since it was last trimmed.
    untrimmed: AtomicBool,
    /// Lives for ever, so that a fork can hold it.
    state: &'static Mutex<State>,
    /// What is in the queue or being compiled, and in which process: a fork has no threads for it until it asks for code itself.
    at_work: AtomicUsize,
    at_work_in: AtomicU64,
    work: Condvar,
    done: Condvar,
}

/// The service. One a process is enough; dropping it (or the process's end) stops its threads after the kernel at hand.
pub struct Compiler {
    shared: Arc<Shared>,
}

impl Compiler {
    pub fn new(options: Options) -> Compiler {
        let state: &'static Mutex<State> =
            Box::leak(Box::new(Mutex::new(State { generation: fork::generation(), ..State::default() })));
        fork::guard(state);
        let shared = Arc::new(Shared {
            options,
            cache: OnceLock::new(),
            counters: Atomics::default(),
            untrimmed: AtomicBool::new(false),
            state,
            at_work: AtomicUsize::new(0),
            at_work_in: AtomicU64::new(fork::generation()),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        stop_at_exit(&shared);
        Compiler { shared }
    }

    /// Whether something is being compiled or waits for it: loops on all processors had better leave it one.
    #[inline]
    pub fn is_at_work(&self) -> bool {
        self.shared.at_work.load(Ordering::Relaxed) > 0
            && self.shared.at_work_in.load(Ordering::Relaxed) == fork::generation()
    }

    /// The kernel's slot, with its code if the cache has that.
    pub fn get(&self, kernel: &Kernel) -> Arc<Slot> {
        let mut state = lock(self.shared.state);
        if let Some(slot) = state.slots.get(kernel) {
            return slot.clone();
        }
        let slot = self.shared.slot(Source::Kernel(kernel.clone()));
        state.slots.insert(kernel.clone(), slot.clone());
        self.look_up(state, slot)
    }

    /// The same for a nest.
    pub fn get_nest(&self, program: &Arc<Program>) -> Arc<Slot> {
        let mut state = lock(self.shared.state);
        if let Some(slot) = state.nests.get(program) {
            return slot.clone();
        }
        let slot = self.shared.slot(Source::Nest(program.clone()));
        state.nests.insert(program.clone(), slot.clone());
        self.look_up(state, slot)
    }

    /// Fills a new slot from the cache.
    fn look_up(&self, state: MutexGuard<'_, State>, slot: Arc<Slot>) -> Arc<Slot> {
        let stopped = state.stop;
        drop(state);
        if !stopped && let Some(loaded) = self.shared.find(&slot.source, true) {
            slot.fill(Ok(loaded));
        }
        slot
    }

    /// Compiles everything that was asked for, and waits for it.
    pub fn wait_all(&self) {
        let slots = self.shared.all();
        slots.iter().for_each(Slot::enqueue);
        for slot in slots {
            slot.wait();
        }
    }

    /// The texts of all kernels and nests that were asked for, compiled or not, in an order that depends on nothing else.
    pub fn kernels(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.shared.all().iter().map(|slot| slot.source.to_string()).collect();
        texts.sort();
        texts
    }

    /// The texts of those that were refused, and why; in an order that depends on nothing else.
    pub fn refused(&self) -> Vec<(String, String)> {
        let of = |slot: &Arc<Slot>| slot.error().map(|why| (slot.source.to_string(), why.to_string()));
        let mut refused: Vec<_> = self.shared.all().iter().filter_map(of).collect();
        refused.sort();
        refused
    }

    pub fn counters(&self) -> Counters {
        let get = |a: &AtomicU64| a.load(Ordering::Relaxed);
        let c = &self.shared.counters;
        Counters {
            kernels_compiled: get(&c.kernels_compiled),
            kernels_refused: get(&c.kernels_refused),
            cache_hits: get(&c.cache_hits),
            cache_misses: get(&c.cache_misses),
            cache_errors: get(&c.cache_errors),
            compile_ns: get(&c.compile_ns),
        }
    }

    /// Stops the helper threads; code that is there stays usable.
    pub fn shut_down(&self) {
        self.shared.shut_down();
    }
}

impl Drop for Compiler {
    fn drop(&mut self) {
        self.shared.shut_down();
        *lock(self.shared.state) = State { stop: true, ..State::default() };
    }
}

impl Shared {
    /// A new slot.
    fn slot(self: &Arc<Shared>, source: Source) -> Arc<Slot> {
        Arc::new(Slot {
            entry: AtomicPtr::default(),
            source,
            urgent: AtomicBool::new(false),
            work: AtomicU64::new(0),
            queued: AtomicBool::new(false),
            waited: AtomicBool::new(false),
            outcome: OnceLock::new(),
            shared: Arc::downgrade(self),
        })
    }

    /// Counts what there is to do, after that has changed.
    fn count(&self, state: &State) {
        let left = if state.stop { 0 } else { state.queue.len() + state.busy };
        self.at_work_in.store(state.generation, Ordering::Relaxed);
        self.at_work.store(left, Ordering::Relaxed);
    }

    /// All slots.
    fn all(&self) -> Vec<Arc<Slot>> {
        let state = lock(self.state);
        state.slots.values().chain(state.nests.values()).cloned().collect()
    }

    /// Starts a helper thread if there is work for one. False where there never will be one again.
    fn ensure_worker(self: &Arc<Shared>) -> bool {
        let mut state = lock(self.state);
        if state.generation != fork::generation() {
            // The threads stayed in the other process. Their handles must not be joined, nor their threads counted.
            state.generation = fork::generation();
            state.workers.drain(..).for_each(std::mem::forget);
            state.idle = 0;
            state.busy = 0;
            self.count(&state);
        }
        if state.stop {
            return false;
        }
        if state.queue.len() > state.idle && state.workers.len() < self.options.threads.max(1) {
            let shared = self.clone();
            let work = move || {
                lower_priority();
                shared.work();
            };
            match std::thread::Builder::new().name("legate-jit-compile".into()).spawn(work) {
                Ok(worker) => state.workers.push(worker),
                Err(_) => return !state.workers.is_empty(),
            }
        }
        self.work.notify_one();
        true
    }

    /// A helper thread's life.
    fn work(&self) {
        let mut workshop = None;
        while let Some((slot, _inside)) = self.next() {
            let outcome = if crate::load::has_room_to_compile() {
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.make(&slot.source, &mut workshop)))
                    .unwrap_or_else(|_| {
                        workshop = None;
                        Err(Error::Mlir("the compiler panicked".into()))
                    })
            } else {
                Err(Error::Llvm("not enough memory to compile".into()))
            };
            if outcome.is_err() {
                self.counters.kernels_refused.fetch_add(1, Ordering::Relaxed);
            }
            slot.fill(outcome);
            let mut state = lock(self.state);
            state.busy = state.busy.saturating_sub(1);
            self.count(&state);
            let nothing_left = state.queue.is_empty();
            drop(state);
            self.done.notify_all();
            if nothing_left {
                self.trim();
            }
        }
    }

    /// Keeps the cache within its limit, when something was added to it.
    fn trim(&self) {
        if let (Some(dir), Some(limit)) = (&self.options.cache, self.options.cache_bytes)
            && self.untrimmed.swap(false, Ordering::Relaxed)
            && crate::cache::trim(dir, limit).is_err()
        {
            self.counters.cache_errors.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The most urgent kernel; waits for one. None when the service stops. The gate is taken before the kernel leaves the
    /// queue, so that none is lost in a fork.
    fn next(&self) -> Option<(Arc<Slot>, RwLockReadGuard<'static, ()>)> {
        loop {
            let inside = fork::inside();
            let mut state = lock(self.state);
            if state.stop {
                return None;
            }
            // `max_by_key` gives the last of equals, so from the back the oldest.
            let best = (0..state.queue.len()).rev().max_by_key(|&i| {
                let slot = &state.queue[i];
                (slot.urgent.load(Ordering::Relaxed), slot.work.load(Ordering::Relaxed))
            });
            if let Some(i) = best {
                state.busy += 1;
                return Some((state.queue.remove(i), inside));
            }
            drop(inside);
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(|e| e.into_inner());
            state.idle -= 1;
        }
    }

    /// Code from the cache or newly compiled.
    fn make(&self, source: &Source, workshop: &mut Option<Workshop>) -> Result<Loaded> {
        let count = |a: &AtomicU64| a.fetch_add(1, Ordering::Relaxed);
        let counters = &self.counters;
        let Some(target) = self.options.target.as_ref().filter(|t| t.runs_here()) else {
            return Err(Error::Target("nothing is compiled for this machine".into()));
        };
        let mut sink = self.options.sink.as_ref().map(|s| s(source));
        // Another process may have compiled it since this one looked.
        if let Some(loaded) = self.find(source, false) {
            return Ok(loaded);
        }
        let start = Instant::now();
        if workshop.as_ref().is_none_or(|w| w.is_worn()) {
            *workshop = Some(Workshop::new(target)?);
        }
        let workshop = workshop.as_ref().expect("just made");
        let object = match &mut sink {
            Some(sink) => workshop.compile_inside(source, &mut **sink),
            None => workshop.compile_inside(source, &mut ()),
        };
        let made = object.and_then(|object| Ok((crate::load(&object)?, object)));
        if let (Err(why), Some(sink)) = (&made, &mut sink) {
            sink.refused(why);
        }
        let (loaded, object) = made?;
        counters.compile_ns.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        count(&counters.kernels_compiled);
        if let Some(cache) = self.cache() {
            match cache.put(&object, target) {
                Ok(()) => self.untrimmed.store(true, Ordering::Relaxed),
                Err(_) => _ = count(&counters.cache_errors),
            }
        }
        Ok(loaded)
    }

    /// Code from the cache, if it is there and this machine can run it. `first`: nobody has looked yet, so that a miss counts.
    fn find(&self, source: &Source, first: bool) -> Option<Loaded> {
        let count = |a: &AtomicU64| a.fetch_add(1, Ordering::Relaxed);
        let target = self.options.target.as_ref().filter(|t| t.runs_here())?;
        let cache = self.cache()?;
        // Code for this very processor, else what was made for its whole level.
        let level = CpuTarget { level: target.level, tune: String::new() };
        let text = source.to_string();
        for target in [target, &level] {
            match cache.get_text(&text, target).and_then(|found| found.map(|object| crate::load(&object)).transpose()) {
                Ok(Some(loaded)) => {
                    count(&self.counters.cache_hits);
                    return Some(loaded);
                }
                Ok(None) => {}
                Err(_) => _ = count(&self.counters.cache_errors),
            }
        }
        if first {
            count(&self.counters.cache_misses);
        }
        None
    }

    /// The cache, opened when it is first needed. One that cannot be used counts as one error. Who looks at the stages of a
    /// compilation has none.
    fn cache(&self) -> Option<&Cache> {
        if self.options.sink.is_some() {
            return None;
        }
        self.cache
            .get_or_init(|| {
                let dir = self.options.cache.as_ref()?;
                Cache::open(dir).map_err(|_| self.counters.cache_errors.fetch_add(1, Ordering::Relaxed)).ok()
            })
            .as_ref()
    }

    /// Waits for what is in the queue, if that is kept for the next process.
    fn finish(self: &Arc<Shared>) {
        let since = Instant::now();
        let mut state = lock(self.state);
        if state.stop || state.queue.is_empty() && state.busy == 0 || self.cache().is_none() {
            return;
        }
        if state.generation != fork::generation() {
            // The parent's: it compiles them itself.
            return;
        }
        if state.queue.len() > 1 {
            // The program is over: one more may take time from it. Without it, it only lasts longer.
            let shared = self.clone();
            state.workers.extend(std::thread::Builder::new().spawn(move || shared.work()));
        }
        while !(state.queue.is_empty() && state.busy == 0) {
            let Some(left) = LAST_WAIT.checked_sub(since.elapsed()) else { return };
            state = self.done.wait_timeout(state, left).unwrap_or_else(|e| e.into_inner()).0;
        }
    }

    fn shut_down(&self) {
        let mut state = lock(self.state);
        state.stop = true;
        self.count(&state);
        let mut workers = std::mem::take(&mut state.workers);
        if state.generation != fork::generation() {
            workers.drain(..).for_each(std::mem::forget);
        }
        drop(state);
        self.work.notify_all();
        for worker in workers {
            let _ = worker.join();
        }
    }
}

/// Locks are held for a few instructions that do not panic, so a poisoned one is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Whether the process has a single processor.
fn has_one_processor() -> bool {
    static ONE: OnceLock<bool> = OnceLock::new();
    *ONE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|n| n.get() == 1))
}

/// Compiling must not take time from the loops that compute meanwhile.
fn lower_priority() {
    // SAFETY: on Linux this sets the nice value of the calling thread alone.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}

static LIVE: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// A thread inside LLVM while the process takes LLVM's static data apart would crash it, so the process's end stops all
/// compilers. Handlers of `atexit` run last come, first served, and LLVM makes some of its data, and so their destructors,
/// only when it is used; what comes before them all is the end of the main thread's own data.
fn stop_at_exit(shared: &Arc<Shared>) {
    static ONCE: Once = Once::new();
    extern "C" fn at_exit() {
        stop_all();
    }
    ONCE.call_once(|| {
        // SAFETY: the handler is a function that lives as long as this module.
        unsafe { libc::atexit(at_exit) };
    });
    watch_main_thread();
    let mut live = lock(&LIVE);
    live.retain(|s| s.strong_count() > 0);
    live.push(Arc::downgrade(shared));
}

fn stop_all() {
    let live = std::mem::take(&mut *lock(&LIVE));
    for shared in live.iter().filter_map(Weak::upgrade) {
        shared.finish();
        shared.shut_down();
    }
}

struct MainThread;

impl Drop for MainThread {
    fn drop(&mut self) {
        stop_all();
    }
}

fn watch_main_thread() {
    thread_local!(static END: MainThread = const { MainThread });
    // SAFETY: both only ask for a number.
    let main = unsafe { libc::gettid() == libc::getpid() };
    if main {
        END.with(|_| ());
    }
}
