//! The helper: one thread for work that nobody waits for yet, so that it is done while the program goes on recording.
//!
//! Jobs run one after the other, in the order of their coming. They need neither the session nor Python. A fork waits until none
//! runs and the child starts a thread of its own; so does the process's end, because libraries take their data apart then.
//! Who starts a job sees to it that it ends soon once its results are of no use.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, Once};
use std::time::{Duration, Instant};

/// How long the thread looks for the next job before it sleeps.
const SPIN: Duration = Duration::from_micros(40);
/// How long the process's end waits for the job that runs.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) type Job = Box<dyn FnOnce() + Send>;

struct Helper {
    process: u32,
    queue: Mutex<Queue>,
    /// Jobs that ever came, so that the thread can look for one without the lock.
    came: AtomicUsize,
    work: Condvar,
    idle: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    running: bool,
    asleep: bool,
}

static HELPER: Mutex<Option<&'static Helper>> = Mutex::new(None);
static ENDING: AtomicBool = AtomicBool::new(false);

/// Jobs do not panic while they hold a lock, so a poisoned one is as good as any.
fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Has a job run by the helper. False where there is none: one processor only, no thread to be had, or the process ends.
pub(crate) fn start(job: Job) -> bool {
    if crate::pool::threads() < 2 || is_ending() {
        return false;
    }
    let Some(helper) = current() else { return false };
    let mut queue = open(&helper.queue);
    queue.jobs.push_back(job);
    helper.came.fetch_add(1, Ordering::Release);
    if queue.asleep {
        helper.work.notify_one();
    }
    true
}

/// Whether the process ends: jobs are to come to an end as well.
pub(crate) fn is_ending() -> bool {
    ENDING.load(Ordering::Relaxed)
}

/// Waits until every job has ended.
pub(crate) fn wait() {
    if let Some(helper) = *open(&HELPER)
        && helper.process == std::process::id()
    {
        drop(helper.at_rest());
    }
}

/// Waits until every job has ended, and lets none begin while the result lives.
pub(crate) fn hold() -> Box<dyn Any> {
    let slot = open(&HELPER);
    let queue = slot.filter(|h| h.process == std::process::id()).map(Helper::at_rest);
    Box::new((queue, slot))
}

fn current() -> Option<&'static Helper> {
    let mut slot = open(&HELPER);
    let process = std::process::id();
    if slot.is_none_or(|h| h.process != process) {
        // Lives as long as the process: its thread never ends.
        let helper: &'static Helper = Box::leak(Box::new(Helper {
            process,
            queue: Mutex::default(),
            came: AtomicUsize::new(0),
            work: Condvar::new(),
            idle: Condvar::new(),
        }));
        std::thread::Builder::new().name("legate-jit-ahead".into()).spawn(|| helper.serve()).ok()?;
        end_with_the_process();
        *slot = Some(helper);
    }
    *slot
}

fn end_with_the_process() {
    static ONCE: Once = Once::new();
    extern "C" fn at_exit() {
        ENDING.store(true, Ordering::Relaxed);
        let Some(helper) = HELPER.try_lock().ok().and_then(|slot| *slot) else { return };
        let mut queue = open(&helper.queue);
        queue.jobs.clear();
        let start = Instant::now();
        while queue.running && start.elapsed() < PATIENCE && helper.process == std::process::id() {
            queue = match helper.idle.wait_timeout(queue, PATIENCE) {
                Ok((queue, _)) => queue,
                Err(e) => e.into_inner().0,
            };
        }
    }
    ONCE.call_once(|| {
        // SAFETY: the handler is a function that lives as long as this module.
        unsafe { libc::atexit(at_exit) };
    });
}

impl Helper {
    fn serve(&self) {
        let mut seen = 0;
        loop {
            let job = self.next(&mut seen);
            // Whoever waits for a job's results finds out by itself that it has failed.
            let _ = catch_unwind(AssertUnwindSafe(job));
            let mut queue = open(&self.queue);
            queue.running = false;
            if queue.jobs.is_empty() {
                self.idle.notify_all();
            }
        }
    }

    fn next(&self, seen: &mut usize) -> Job {
        let start = Instant::now();
        while self.came.load(Ordering::Acquire) == *seen && start.elapsed() < SPIN {
            (0..64).for_each(|_| std::hint::spin_loop());
        }
        let mut queue = open(&self.queue);
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                queue.running = true;
                *seen += 1;
                return job;
            }
            queue.asleep = true;
            queue = self.work.wait(queue).unwrap_or_else(|e| e.into_inner());
            queue.asleep = false;
        }
    }

    /// The queue, when it is empty and nothing runs.
    fn at_rest(&self) -> MutexGuard<'_, Queue> {
        let mut queue = open(&self.queue);
        while queue.running || !queue.jobs.is_empty() {
            queue = self.idle.wait(queue).unwrap_or_else(|e| e.into_inner());
        }
        queue
    }
}
