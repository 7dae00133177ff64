//! Which thread does which tasks of a job.
//!
//! The tasks are cut into as many ranges as there are threads. A thread takes its own range in groups, from the first task to the last,
//! and then what is left of the others'. A counter for all of them would move from core to core with every task, and hand the same
//! task to another thread in each job.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread takes what is left of a range divided by this: the last ones to finish then wait for little, however different the
/// threads' speed.
const PARTS: usize = 8;
/// A range is counted in at most so many units.
const UNITS: usize = (1 << UNIT_BITS) - 1;
const UNIT_BITS: u32 = 16;

/// How far each thread's range is taken: the job's number, and below it units of the range. What an earlier job has left there
/// counts for nothing, so nobody needs to clear it (a look at another core's line for each thread, with every job).
pub(super) struct Shares(Box<[Taken]>);

/// (Two lines, as processors fetch them in pairs.)
#[repr(align(128))]
#[derive(Default)]
struct Taken(AtomicU64);

impl Shares {
    pub(super) fn new(threads: usize) -> Shares {
        Shares((0..threads).map(|_| Taken::default()).collect())
    }

    /// All owners of ranges, beginning with one.
    pub(super) fn from(&self, thread: usize) -> impl Iterator<Item = usize> {
        (thread..self.0.len()).chain(0..thread)
    }

    /// The next tasks of a thread's range in job number `epoch` (not 0) of `count` tasks.
    pub(super) fn take(&self, owner: usize, count: usize, epoch: usize) -> Option<Range<usize>> {
        let threads = self.0.len();
        let cut = |t: usize| (count * t).div_ceil(threads);
        let (first, end) = (cut(owner), cut(owner + 1));
        let unit = (end - first).div_ceil(UNITS).max(1);
        let units = (end - first).div_ceil(unit);
        let state = |taken: usize| (epoch as u64) << UNIT_BITS | taken as u64;
        let cell = &self.0[owner].0;
        let mut now = cell.load(Ordering::Relaxed);
        loop {
            let taken = if now >> UNIT_BITS == state(0) >> UNIT_BITS { now as usize & UNITS } else { 0 };
            let left = units - taken;
            if left == 0 {
                return None;
            }
            let group = (left / PARTS).max(1);
            match cell.compare_exchange_weak(now, state(taken + group), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(first + taken * unit..(first + (taken + group) * unit).min(end)),
                Err(other) => now = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One thread after the other takes everything, and each task is there once.
    fn all(shares: &Shares, count: usize, epoch: usize) {
        let mut seen = vec![0u8; count];
        for thread in (0..shares.0.len()).rev() {
            for owner in shares.from(thread) {
                while let Some(group) = shares.take(owner, count, epoch) {
                    group.for_each(|k| seen[k] += 1);
                    if owner == thread && thread % 2 == 1 {
                        break;
                    }
                }
            }
        }
        assert!(seen.iter().all(|&n| n == 1), "{count} tasks");
    }

    #[test]
    fn every_task_is_taken_once_in_every_job() {
        for threads in [1, 2, 3, 16] {
            let shares = Shares::new(threads);
            for (k, count) in [0, 1, 2, 3, 17, 1000, 3, 300_000, 2].into_iter().enumerate() {
                all(&shares, count, k + 1);
            }
        }
    }

    #[test]
    fn a_thread_begins_with_the_same_tasks_in_every_job() {
        let shares = Shares::new(2);
        for epoch in 1..5 {
            assert_eq!(shares.take(1, 8, epoch), Some(4..5));
            assert_eq!(shares.take(0, 8, epoch), Some(0..1));
        }
        // Each has one that nobody else has, if there are as many as threads.
        assert_eq!(shares.take(0, 2, 5), Some(0..1));
        assert_eq!(shares.take(0, 2, 5), None);
        assert_eq!(shares.take(1, 2, 5), Some(1..2));
    }
}
