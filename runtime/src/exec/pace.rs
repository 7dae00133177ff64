//! Whether several threads are faster than one, by trying both.
//!
//! What it costs to be in step depends on what nobody tells: how far apart the cores are, whether another program has them, whether the
//! other thread sleeps between two runs. So the same work is timed both ways now and then, and done in the faster one in between.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

/// Runs that are timed in each way; the shortest counts.
const TRIED: u32 = 8;
/// Runs together before that: a thread that sleeps takes as long to wake as a dozen runs of some microseconds.
const WAKING: u32 = 24;
/// Runs from one trial to the next: the first time kernels may not be compiled yet.
const SOON: u32 = 64;
const PERIOD: u32 = 1024;

#[derive(Default)]
pub struct Pace {
    runs: AtomicU32,
    /// The shortest run together and the shortest of one thread, in nanoseconds, since the trial began.
    shortest: [AtomicU64; 2],
}

impl Pace {
    /// Runs `work`, which is told whether it is to be done together. (Of runs at the same time some may count for the wrong trial,
    /// which costs no more than time.)
    pub fn run<R>(&self, work: impl FnOnce(bool) -> R) -> R {
        if crate::pool::has_company() {
            // (Threads have less to do with each other then, or nothing at all.)
            return work(crate::pool::threads() > 2);
        }
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let run = if run < SOON { run } else { (run - SOON) % PERIOD };
        if run < WAKING {
            crate::pool::note_shared();
            return work(true);
        }
        let run = run - WAKING;
        let way = (run / TRIED) as usize;
        let Some(shortest) = self.shortest.get(way) else {
            let [together, alone] = self.shortest.each_ref().map(|s| s.load(Ordering::Relaxed));
            return work(together <= alone);
        };
        // (Until both have been tried, nobody is to take it for the work of one thread.)
        crate::pool::note_shared();
        let start = Instant::now();
        let result = work(way == 0);
        let took = start.elapsed().as_nanos() as u64;
        let before = if run.is_multiple_of(TRIED) { u64::MAX } else { shortest.load(Ordering::Relaxed) };
        shortest.store(took.min(before), Ordering::Relaxed);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::time::Duration;

    #[test]
    fn the_faster_way_is_taken() {
        for slow in [true, false] {
            let (pace, times) = (Pace::default(), Cell::new([0; 2]));
            for _ in 0..SOON {
                pace.run(|together| {
                    let mut n = times.get();
                    n[together as usize] += 1;
                    times.set(n);
                    if together == slow {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                });
            }
            assert_eq!(times.get()[slow as usize], if slow { WAKING + TRIED } else { TRIED });
        }
    }
}
