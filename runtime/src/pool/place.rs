//! Keeps workers off the processor that their caller runs on.
//!
//! A scheduler wakes a worker where it ran last or beside who woke it. On virtual machines, where an idle processor looks as if
//! the host had taken it away, that is often the caller's own: the worker then waits there until the job is done, or the two
//! share one processor for a third of a second beside an idle one, with every job twice as long. So workers may run anywhere
//! but where their caller is. Only when the caller has moved must that be said again.
//!
//! A boundary file: it asks the operating system.

use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What telling one worker may cost: callers that keep coming from other processors are not followed more often.
const SELDOM: Duration = Duration::from_micros(100);

pub(super) struct Places {
    /// Where the process may run, as when the pool was made.
    allowed: libc::cpu_set_t,
    /// The workers' threads; 0 until they run.
    threads: Vec<AtomicI32>,
    /// The processor that workers are kept off.
    kept_off: AtomicUsize,
    made: Instant,
    /// When they were last told, in nanoseconds after `made`.
    told: AtomicU64,
}

/// Where the calling thread may run; nowhere if that is not known.
fn affinity() -> libc::cpu_set_t {
    // SAFETY: plain bits, of which none set is a value; the call writes no more than their size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            set = std::mem::zeroed();
        }
        set
    }
}

/// How many processors the calling thread may run on.
pub(super) fn processors() -> usize {
    // SAFETY: it reads no more than the bits.
    match unsafe { libc::CPU_COUNT(&affinity()) } {
        // (More processors than there are bits.)
        0 => std::thread::available_parallelism().map_or(1, |n| n.get()),
        n => n as usize,
    }
}

impl Places {
    pub(super) fn new(workers: usize) -> Places {
        Places {
            allowed: affinity(),
            threads: (0..workers).map(|_| AtomicI32::new(0)).collect(),
            kept_off: AtomicUsize::new(usize::MAX),
            made: Instant::now(),
            told: AtomicU64::new(0),
        }
    }

    /// Enters the calling thread as a worker.
    pub(super) fn enter(&self, worker: usize) {
        // SAFETY: no arguments.
        self.threads[worker].store(unsafe { libc::gettid() }, Ordering::Relaxed);
        self.kept_off.store(usize::MAX, Ordering::Relaxed);
    }

    /// Keeps the workers off the processor that the calling thread is on.
    pub(super) fn keep_off(&self) {
        // SAFETY: no arguments.
        let here = unsafe { libc::sched_getcpu() } as usize;
        if here != self.kept_off.load(Ordering::Relaxed) {
            self.tell(here);
        }
    }

    #[cold]
    fn tell(&self, here: usize) {
        let now = self.made.elapsed().as_nanos() as u64;
        let pause = SELDOM.as_nanos() as u64 * self.threads.len() as u64;
        if now < self.told.load(Ordering::Relaxed) + pause || here >= libc::CPU_SETSIZE as usize {
            return;
        }
        self.told.store(now, Ordering::Relaxed);
        self.kept_off.store(here, Ordering::Relaxed);
        let mut free = self.allowed;
        // SAFETY: `here` is a number below that of the bits, and the calls read no more than their size.
        unsafe {
            libc::CPU_CLR(here, &mut free);
            if libc::CPU_COUNT(&free) == 0 {
                return;
            }
            for thread in &self.threads {
                match thread.load(Ordering::Relaxed) {
                    0 => {}
                    id => _ = libc::sched_setaffinity(id, size_of::<libc::cpu_set_t>(), &free),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_kept_off_its_callers_processor() {
        let places = std::sync::Arc::new(Places::new(1));
        let (entered, caller_knows) = std::sync::mpsc::channel();
        let (done, worker_knows) = std::sync::mpsc::channel::<()>();
        let worker = std::thread::spawn({
            let places = places.clone();
            move || {
                places.enter(0);
                entered.send(()).unwrap();
                worker_knows.recv().unwrap();
                // SAFETY: as above.
                unsafe {
                    let mut set: libc::cpu_set_t = std::mem::zeroed();
                    libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set);
                    set
                }
            }
        });
        caller_knows.recv().unwrap();
        std::thread::sleep(2 * SELDOM);
        places.keep_off();
        let kept_off = places.kept_off.load(Ordering::Relaxed);
        done.send(()).unwrap();
        let may = worker.join().unwrap();
        // SAFETY: plain bits.
        unsafe {
            if libc::CPU_COUNT(&places.allowed) > 1 {
                assert!(!libc::CPU_ISSET(kept_off, &may));
                assert_eq!(libc::CPU_COUNT(&may), libc::CPU_COUNT(&places.allowed) - 1);
            }
        }
    }
}
