//! Several jobs as one, for tasks of microseconds: the threads go from phase to phase together.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Looks at another thread's counter before its part is done for it.
const PATIENCE: u32 = 64;
/// Looks after which a thread lets others run.
const LONG: u32 = 20_000;

/// How far the threads are. Phases are counted through all jobs, so that nobody needs to clear the counters.
pub(super) struct Steps {
    members: Box<[Member]>,
    /// Phases of all jobs so far; only who has the pool changes it.
    before: AtomicU64,
}

/// The number of the last phase of which a thread's part was begun, and of the last of which it was done, by whomever. Each in
/// lines of its own: the others look at the second one all the time.
#[derive(Default)]
struct Member {
    begun: Line,
    done: Line,
}

#[repr(align(128))]
#[derive(Default)]
struct Line(AtomicU64);

impl Steps {
    pub(super) fn new(threads: usize) -> Steps {
        Steps { members: (0..threads).map(|_| Member::default()).collect(), before: AtomicU64::new(0) }
    }

    /// The number before that of a job's first phase, of so many.
    pub(super) fn begin(&self, phases: usize) -> u64 {
        let before = self.before.load(Ordering::Relaxed);
        self.before.store(before + phases as u64, Ordering::Relaxed);
        before
    }

    /// Goes through all phases as one of the threads: its own part of each, and the part of who has not begun it some time after
    /// that. A phase has no more parts than there are threads. `failed` ends it.
    pub(super) fn go(&self, me: usize, before: u64, counts: &[u32], failed: &AtomicBool, task: impl Fn(usize, usize)) {
        let do_part = |phase: usize, part: usize, number: u64| {
            task(phase, part);
            self.members[part].done.0.store(number, Ordering::Release);
        };
        // Who was not there the last time is not waited for.
        let mut absent = 0u64;
        for (phase, &count) in counts.iter().enumerate() {
            let (number, count) = (before + phase as u64 + 1, count as usize);
            if me < count && self.claim(me, number) {
                do_part(phase, me, number);
            }
            for part in (0..count).map(|k| (me + k) % count) {
                let bit = 1u64 << (part % 64);
                let mut looks = 0;
                while self.members[part].done.0.load(Ordering::Acquire) < number {
                    if failed.load(Ordering::Relaxed) {
                        return;
                    }
                    if looks == PATIENCE || looks == 0 && absent & bit != 0 {
                        if self.claim(part, number) {
                            absent |= bit;
                            do_part(phase, part, number);
                            break;
                        }
                        absent &= !bit;
                    }
                    looks += 1;
                    if looks < LONG { std::hint::spin_loop() } else { std::thread::yield_now() }
                }
            }
        }
    }

    /// Whether the caller is the one to do a part of a phase.
    fn claim(&self, part: usize, number: u64) -> bool {
        let begun = &self.members[part].begun.0;
        let now = begun.load(Ordering::Relaxed);
        now < number && begun.compare_exchange(now, number, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}
