//! The thread pool. The caller works too. Every thread begins with tasks of its own, the same ones in each job of that many tasks: what
//! a sweep over an array leaves in a thread's caches, the next sweep reads there. Who is done takes tasks of the others, so a slow
//! thread does fewer ([`shares`]).
//!
//! Workers spin for some microseconds after a job, because the next one usually comes at once, and then sleep; where jobs come a little
//! later than that, again and again, they spin as long. A panic in a
//! task is caught and becomes the job's error. After a fork the child, which has only the forking thread, gets a pool of its
//! own on first use.
//!
//! A boundary file: a job lives on its caller's stack, and the caller does not return before every worker has left it.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, OnceLock};
use std::time::{Duration, Instant};

mod place;
mod shares;
mod step;

use shares::Shares;
use step::Steps;

/// How long an idle worker looks for the next job before it sleeps; and how long where the last one came as soon as that. To be woken
/// takes the caller some microseconds and the worker tens: of short jobs that come that often it would do next to nothing.
const SPIN: Duration = Duration::from_micros(40);
const LONG_SPIN: Duration = Duration::from_micros(150);
/// Nanoseconds of work that are shared with workers that are awake, and for which those that are asleep are woken.
const SHARED_NS: usize = 4_000;
const WOKEN_NS: usize = 20_000;
/// How long a worker that gives way sleeps before it looks whether it still has to, where jobs keep coming.
const NAP: Duration = Duration::from_micros(200);

type Task<'a> = &'a (dyn Fn(usize, usize) + Sync);

struct Job {
    task: Task<'static>,
    count: usize,
    /// What `Shared::epoch` is while the job runs.
    epoch: usize,
    failed: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// What the caller and the workers share.
struct Shared {
    /// The job that runs now, or null.
    job: AtomicPtr<Job>,
    /// Grows with every job, so that a worker enters each at most once.
    epoch: AtomicUsize,
    /// Workers inside the job.
    inside: AtomicUsize,
    shares: Shares,
    steps: Steps,
    places: place::Places,
    sleepers: Mutex<usize>,
    wake: Condvar,
}

struct Pool {
    shared: Arc<Shared>,
    threads: usize,
    /// One job at a time; a job started inside a task, or by a second thread meanwhile, runs on its own thread.
    busy: AtomicBool,
}

/// This process's pool, if it has one by now.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(std::ptr::null_mut());
static THREADS: OnceLock<usize> = OnceLock::new();

thread_local! {
    static SHARED: Cell<u64> = const { Cell::new(0) };
}

/// Jobs that the calling thread has shared with others so far.
pub(crate) fn shared_jobs() -> u64 {
    SHARED.get()
}

/// Counts something as a job that several threads share.
pub(crate) fn note_shared() {
    SHARED.with(|n| n.set(n.get() + 1));
}

/// Sets the number of threads (`LEGATE_JIT_THREADS`) before the first job; later calls change nothing.
pub fn set_threads(n: usize) {
    let _ = THREADS.set(n.max(1));
}

/// Threads that work on a job, the caller included: by default those that the process may run on.
pub fn threads() -> usize {
    *THREADS.get_or_init(|| place::processors().min(allowed()))
}

/// Whether there is no other processor, or none to be used.
pub(crate) fn alone() -> bool {
    THREADS.get().copied().unwrap_or_else(|| place::processors().min(allowed())) < 2
}

/// Threads that the control groups allow. To find out takes a tenth of a millisecond.
fn allowed() -> usize {
    static ALLOWED: OnceLock<usize> = OnceLock::new();
    *ALLOWED.get_or_init(|| {
        let all = std::thread::available_parallelism().map_or(1, |n| n.get());
        // (Where the process may run can change before the first job, and counts then.)
        if all < place::processors() { all } else { usize::MAX }
    })
}

/// Other threads of ours that are at work on what the program will need.
static BESIDE: AtomicUsize = AtomicUsize::new(0);

/// While this lives, the pool leaves a processor to the thread that has made it.
pub(crate) struct Beside(());

impl Beside {
    pub(crate) fn begin() -> Beside {
        BESIDE.fetch_add(1, Ordering::Relaxed);
        Beside(())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        BESIDE.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether another thread had better have one of the pool's processors.
pub(crate) fn has_company() -> bool {
    BESIDE.load(Ordering::Relaxed) > 0 || crate::tier::is_compiling()
}

/// Whether work that takes one thread so many nanoseconds is worth sharing now. To share it takes half a microsecond while the
/// workers are awake. To wake them takes several, and they come late: that is for what takes long, or for the last of much that came
/// in a short time.
pub(crate) fn pays(ns: usize) -> bool {
    if ns < SHARED_NS || threads() == 1 {
        return false;
    }
    // SAFETY: null, or a pool that lives as long as the process.
    let pool = unsafe { POOL.load(Ordering::Acquire).as_ref() };
    if ns >= WOKEN_NS || pool.is_some_and(|pool| pool.shared.is_awake()) {
        return true;
    }
    thread_local! {
        /// When the thread last asked for little, and what all of it took since there was nothing for a while.
        static ASKED: Cell<Option<(Instant, usize)>> = const { Cell::new(None) };
    }
    let now = Instant::now();
    let before = ASKED.get().filter(|(last, _)| now - *last < LONG_SPIN).map_or(0, |(_, ns)| ns);
    let enough = before + ns >= WOKEN_NS;
    ASKED.set((!enough).then_some((now, before + ns)));
    enough
}

/// Runs `task(index, thread)` for every index below `count`, on all threads, and returns when all are done. The error is the
/// message of a task that panicked; the others have run or were left out.
pub fn run(count: usize, task: &(dyn Fn(usize, usize) + Sync)) -> Result<(), String> {
    match if count > 1 { free() } else { None } {
        Some(pool) => pool.run(count, task),
        None => catch_unwind(AssertUnwindSafe(|| (0..count).for_each(|i| task(i, 0)))).map_err(message),
    }
}

/// Runs `task(phase, part)` for `counts[phase]` parts of each phase, at most as many as there are threads, and begins none before all
/// of the phase before it are done. As far as threads are there, each does the part of its number.
pub(crate) fn in_step(counts: &[u32], task: &(dyn Fn(usize, usize) + Sync)) -> Result<(), String> {
    let members = counts.iter().copied().max().unwrap_or(0) as usize;
    let Some(pool) = (if members > 1 { free() } else { None }) else { return in_turn(counts, task) };
    let steps = &pool.shared.steps;
    let before = steps.begin(counts.len());
    let failed = AtomicBool::new(false);
    pool.run(members, &|me, _| {
        let member = || steps.go(me, before, counts, &failed, task);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(member)) {
            failed.store(true, Ordering::Relaxed);
            std::panic::resume_unwind(panic);
        }
    })
}

/// The same on the calling thread.
pub(crate) fn in_turn(counts: &[u32], task: &(dyn Fn(usize, usize) + Sync)) -> Result<(), String> {
    let all = || (0..counts.len()).for_each(|phase| (0..counts[phase] as usize).for_each(|part| task(phase, part)));
    catch_unwind(AssertUnwindSafe(all)).map_err(message)
}

/// The pool, if there are several threads and it does nothing. The caller has it until its job is [done](Pool::run).
///
/// While something is compiled or planned elsewhere, the jobs do without the last thread: the compiler, which gives way to everybody, would
/// get a tenth of its processor, and each job would wait for the part that is done beside it.
fn free() -> Option<&'static Pool> {
    let enough = threads() > 2 || threads() == 2 && !has_company();
    let pool = if enough { current() } else { None };
    pool.filter(|p| !p.busy.swap(true, Ordering::Acquire))
}

fn message(panic: Box<dyn Any + Send>) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()))
        .unwrap_or_else(|| "a task failed".into())
}

fn current() -> Option<&'static Pool> {
    // SAFETY: null, or a pool that lives as long as the process.
    unsafe { POOL.load(Ordering::Acquire).as_ref() }.or_else(start)
}

/// Makes the pool, unless another thread has made it meanwhile.
#[cold]
fn start() -> Option<&'static Pool> {
    static MAKING: Mutex<()> = Mutex::new(());
    static AT_FORK: Once = Once::new();
    let _making = MAKING.lock().unwrap_or_else(|e| e.into_inner());
    if POOL.load(Ordering::Acquire).is_null() {
        // SAFETY: the handler is a function of this module, which is never unloaded.
        AT_FORK.call_once(|| _ = unsafe { libc::pthread_atfork(None, None, Some(forget)) });
        let pool = Pool::start_threads()?;
        POOL.store(pool as *const Pool as *mut Pool, Ordering::Release);
    }
    // SAFETY: as above.
    unsafe { POOL.load(Ordering::Acquire).as_ref() }
}

/// In the child of a fork, which has none of the pool's threads.
unsafe extern "C" fn forget() {
    POOL.store(std::ptr::null_mut(), Ordering::Release);
}

impl Pool {
    fn start_threads() -> Option<&'static Pool> {
        let shared = Arc::new(Shared {
            job: AtomicPtr::new(std::ptr::null_mut()),
            epoch: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            shares: Shares::new(threads()),
            steps: Steps::new(threads()),
            places: place::Places::new(threads() - 1),
            sleepers: Mutex::new(0),
            wake: Condvar::new(),
        });
        let mut started = 1;
        for thread in 1..threads() {
            let shared = shared.clone();
            let gives_way = thread + 1 == threads();
            let serve = move || shared.serve(thread, gives_way);
            let spawned = std::thread::Builder::new().name(format!("legate-jit-{thread}")).spawn(serve);
            started += spawned.is_ok() as usize;
        }
        // Lives as long as the process: its threads never end.
        (started > 1).then(|| &*Box::leak(Box::new(Pool { shared, threads: started, busy: AtomicBool::new(false) })))
    }

    /// Runs a job and gives the pool back.
    fn run(&self, count: usize, task: &(dyn Fn(usize, usize) + Sync)) -> Result<(), String> {
        // SAFETY: only the lifetime changes. `finish` below waits until no worker is inside the job, before it and the task's
        // borrows end.
        let task: Task<'static> = unsafe { std::mem::transmute::<Task<'_>, Task<'static>>(task) };
        // (Nobody else starts a job: the pool is busy with this one.)
        let epoch = self.shared.epoch.load(Ordering::Relaxed) + 1;
        let job = Job { task, count, epoch, failed: AtomicBool::new(false), panic: Mutex::new(None) };
        note_shared();
        self.start(&job);
        self.shared.work(&job, 0);
        self.finish();
        self.busy.store(false, Ordering::Release);
        match job.panic.into_inner().unwrap_or_else(|e| e.into_inner()) {
            None => Ok(()),
            Some(panic) => Err(message(panic)),
        }
    }

    fn start(&self, job: &Job) {
        let shared = &self.shared;
        shared.places.keep_off();
        shared.job.store(job as *const Job as *mut Job, Ordering::SeqCst);
        shared.epoch.store(job.epoch, Ordering::SeqCst);
        if *shared.sleepers.lock().unwrap_or_else(|e| e.into_inner()) > 0 {
            if job.count > 2 || self.threads == 2 {
                shared.wake.notify_all();
            } else {
                shared.wake.notify_one();
            }
        }
    }

    /// Takes the job away and waits for the workers that are still inside it.
    fn finish(&self) {
        self.shared.job.store(std::ptr::null_mut(), Ordering::SeqCst);
        let mut rounds = 0u32;
        while self.shared.inside.load(Ordering::SeqCst) != 0 {
            rounds += 1;
            if rounds < 2000 { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
    }
}

impl Shared {
    fn is_awake(&self) -> bool {
        *self.sleepers.lock().unwrap_or_else(|e| e.into_inner()) == 0
    }

    /// A worker's life. One that gives way does nothing while there is company.
    fn serve(&self, thread: usize, gives_way: bool) {
        self.places.enter(thread - 1);
        let (mut seen, mut spin) = (0, SPIN);
        loop {
            let idle = Instant::now();
            seen = self.wait(seen, spin, gives_way);
            let company = has_company();
            if company && gives_way {
                std::thread::sleep(NAP);
                continue;
            }
            // (Other threads have better use for the core.)
            let long = idle.elapsed() < LONG_SPIN && !company;
            spin = if long { LONG_SPIN } else { SPIN };
            // First the mark, then the look: `finish` takes the job away first and then looks at the mark.
            self.inside.fetch_add(1, Ordering::SeqCst);
            let job = self.job.load(Ordering::SeqCst);
            if !job.is_null() {
                // SAFETY: the job is not null after `inside` was raised, so its caller waits in `finish` until it is lowered.
                self.work(unsafe { &*job }, thread);
            }
            self.inside.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Does tasks until none is left: the thread's own, then those of the others.
    fn work(&self, job: &Job, thread: usize) {
        for owner in self.shares.from(thread) {
            while let Some(group) = self.shares.take(owner, job.count, job.epoch) {
                if job.failed.load(Ordering::Relaxed) {
                    return;
                }
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| group.for_each(|index| (job.task)(index, thread))))
                {
                    job.failed.store(true, Ordering::Relaxed);
                    *job.panic.lock().unwrap_or_else(|e| e.into_inner()) = Some(panic);
                }
            }
        }
    }

    /// Waits for a job after the one seen last, awake for so long, or until there is company that it gives way to.
    fn wait(&self, seen: usize, spin: Duration, gives_way: bool) -> usize {
        let start = Instant::now();
        loop {
            for _ in 0..64 {
                let epoch = self.epoch.load(Ordering::SeqCst);
                if epoch != seen {
                    return epoch;
                }
                std::hint::spin_loop();
            }
            if start.elapsed() > spin || gives_way && has_company() {
                break;
            }
        }
        let mut sleepers = self.sleepers.lock().unwrap_or_else(|e| e.into_inner());
        *sleepers += 1;
        while self.epoch.load(Ordering::SeqCst) == seen {
            sleepers = self.wake.wait(sleepers).unwrap_or_else(|e| e.into_inner());
        }
        *sleepers -= 1;
        self.epoch.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn every_index_runs_once() {
        for count in [0, 1, 2, 1000] {
            let hits: Vec<AtomicU32> = (0..count).map(|_| AtomicU32::new(0)).collect();
            run(count, &|i, _| {
                hits[i].fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
            assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn many_short_jobs_end() {
        let total = AtomicUsize::new(0);
        for _ in 0..20_000 {
            run(3, &|i, _| {
                total.fetch_add(i, Ordering::Relaxed);
            })
            .unwrap();
        }
        assert_eq!(total.into_inner(), 60_000);
    }

    #[test]
    fn a_panic_is_an_error_and_the_pool_goes_on() {
        let e = run(10, &|i, _| assert!(i != 7, "task seven")).unwrap_err();
        assert!(e.contains("task seven"), "{e}");
        run(10, &|_, _| ()).unwrap();
    }

    #[test]
    fn jobs_beside_other_threads_end() {
        let total = AtomicUsize::new(0);
        for beside in [true, false, true] {
            let _beside = beside.then(Beside::begin);
            let before = shared_jobs();
            for _ in 0..200 {
                run(5, &|i, _| _ = total.fetch_add(i, Ordering::Relaxed)).unwrap();
                in_step(&[2, 1, 2], &|phase, _| _ = total.fetch_add(phase, Ordering::Relaxed)).unwrap();
            }
            // (Of two threads, one is left.)
            assert!(!beside || threads() != 2 || shared_jobs() == before);
        }
        assert_eq!(total.into_inner(), 3 * 200 * (10 + 5));
    }

    #[test]
    fn a_job_inside_a_task_runs_there() {
        let total = AtomicUsize::new(0);
        run(4, &|_, _| {
            run(5, &|_, _| {
                total.fetch_add(1, Ordering::Relaxed);
            })
            .unwrap();
        })
        .unwrap();
        assert_eq!(total.into_inner(), 20);
    }
}
