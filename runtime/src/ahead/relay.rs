//! Rounds that the helper computes one by one while the program records the next ones.
//!
//! In a loop on small arrays recording a round takes about as long as computing it. So the helper goes on from what the last
//! round has left, some rounds ahead of the program, and the program finds its round's outputs ready. Every round is computed as
//! it would have been, and all its outputs are kept, so there is nothing to roll back: when the program does something
//! else, the rounds that it did not take are dropped. Nor does it ever have to wait long: a round is computed from arrays that
//! nobody writes, so when the helper is late (its processor is busy elsewhere), the program computes the round itself, and
//! goes on so until the helper, which does nothing else, has caught up.
//!
//! Both sides hold the arrays that the next round reads, so nobody writes to them in place; what foreign code may write is no
//! part of a relay.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use legate_jit_passes::unroll::Link;
use smallvec::SmallVec;

use super::{Links, Scalars};
use crate::helper;
use crate::plan_cache::{Entry, Stores};
use crate::{Config, Store};

/// Bytes of outputs that may wait to be taken, and rounds.
const WAITING_BYTES: usize = 512 << 10;
const WAITING: std::ops::RangeInclusive<usize> = 3..=32;
/// How long the helper looks for room before it sleeps.
const SPIN: Duration = Duration::from_micros(40);
/// Rounds that the helper may be behind the program.
const BEHIND: usize = 64;

type Inputs = SmallVec<[Arc<Store>; 4]>;

/// The program's end.
pub(super) struct Relay {
    line: Arc<Line>,
    links: Links,
    given: usize,
    /// How long the program waits for a round.
    patience: Duration,
    /// The inputs that the next round must have.
    next: Inputs,
}

/// What the program and the helper share.
struct Line {
    /// Outputs of rounds; round n's are at n modulo the length.
    places: Vec<Mutex<Option<Stores>>>,
    made: AtomicUsize,
    given: AtomicUsize,
    /// The program takes no more.
    stopped: AtomicBool,
    /// The helper makes no more.
    ended: AtomicBool,
    /// The helper sleeps until there is room.
    asleep: Mutex<bool>,
    room: Condvar,
}

/// What is computed, and from where on.
pub(super) struct Course<'a> {
    pub(super) entry: &'a Arc<Entry>,
    pub(super) links: &'a Links,
    pub(super) scalars: &'a Scalars,
    pub(super) config: &'a Config,
    /// Inputs and outputs of the round before the first.
    pub(super) inputs: &'a [Arc<Store>],
    pub(super) outputs: &'a [Arc<Store>],
    /// Rounds, at most.
    pub(super) rounds: usize,
    /// How long one takes, measured.
    pub(super) takes: Duration,
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

fn linked(links: &[Link], inputs: &[Arc<Store>], outputs: &[Arc<Store>]) -> Inputs {
    let from = |link: &Link| match *link {
        Link::Output(m) => outputs[m as usize].clone(),
        Link::Input(n) => inputs[n as usize].clone(),
    };
    links.iter().map(from).collect()
}

impl Relay {
    /// `None` where there is no helper.
    pub(super) fn start(course: Course) -> Option<Relay> {
        let bytes: usize = course.outputs.iter().map(|o| o.bytes()).sum();
        let depth = (WAITING_BYTES / bytes.max(1)).clamp(*WAITING.start(), *WAITING.end());
        let line = Arc::new(Line {
            places: (0..depth).map(|_| Mutex::new(None)).collect(),
            made: AtomicUsize::new(0),
            given: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            asleep: Mutex::new(false),
            room: Condvar::new(),
        });
        let next = linked(course.links, course.inputs, course.outputs);
        let (entry, links, scalars) = (course.entry.clone(), course.links.clone(), course.scalars.clone());
        let (config, rounds) = (course.config.clone(), course.rounds);
        let (their, inputs) = (line.clone(), next.clone());
        let job = move || {
            // However this ends, the program must not wait for more.
            let _end = End(&their);
            their.work(&entry, &links, inputs, &scalars, &config, rounds);
        };
        let patience = 2 * course.takes + Duration::from_micros(5);
        helper::start(Box::new(job)).then(|| Relay { line, links: course.links.clone(), given: 0, patience, next })
    }

    /// Whether these are the inputs that the next round must have.
    pub(super) fn expects(&self, inputs: &[Arc<Store>]) -> bool {
        self.next.len() == inputs.len()
            && self.next.iter().zip(inputs).all(|(next, input)| Arc::ptr_eq(next, input) && !input.is_exported())
    }

    /// The outputs of the next round; `None` if they do not come in time.
    pub(super) fn take(&mut self) -> Option<Stores> {
        if !self.line.wait_for(self.given, self.patience) {
            return None;
        }
        let stores = self.line.take(self.given)?;
        self.given += 1;
        self.next = linked(&self.links, &self.next, &stores);
        Some(stores)
    }

    /// The program has computed the next round itself: the same bits, in other arrays. False when the helper does not keep up.
    pub(super) fn skip(&mut self, outputs: &[Arc<Store>]) -> bool {
        self.given += 1;
        self.line.given.store(self.given, Ordering::SeqCst);
        self.next = linked(&self.links, &self.next, outputs);
        self.given <= self.line.made.load(Ordering::Relaxed) + BEHIND && !self.line.ended.load(Ordering::Acquire)
    }

    /// Rounds that were made in vain.
    pub(super) fn wasted(&self) -> usize {
        self.line.made.load(Ordering::Relaxed).saturating_sub(self.given)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.line.stopped.store(true, Ordering::SeqCst);
        self.line.wake();
    }
}

struct End<'a>(&'a Line);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

impl Line {
    /// What the helper does.
    fn work(
        &self,
        entry: &Entry,
        links: &Links,
        mut inputs: Inputs,
        scalars: &Scalars,
        config: &Config,
        rounds: usize,
    ) {
        let Some(plan) = entry.without_donations(config) else { return };
        for round in 0..rounds {
            if !self.wait_for_room(round) {
                return;
            }
            // The program computes a round that fails itself, and gets the error where it belongs.
            let Ok(Ok(outputs)) = catch_unwind(AssertUnwindSafe(|| plan.run(&inputs, scalars))) else { return };
            inputs = linked(links, &inputs, &outputs);
            *open(&self.places[round % self.places.len()]) = Some(outputs);
            self.made.store(round + 1, Ordering::Release);
        }
    }

    /// False when no more rounds are wanted.
    fn wait_for_room(&self, round: usize) -> bool {
        let depth = self.places.len();
        let full = || round.saturating_sub(self.given.load(Ordering::SeqCst)) >= depth;
        let unwanted = || self.stopped.load(Ordering::SeqCst) || helper::is_ending();
        if full() {
            let start = Instant::now();
            while full() && !unwanted() && start.elapsed() < SPIN {
                (0..64).for_each(|_| std::hint::spin_loop());
            }
            let mut asleep = open(&self.asleep);
            while full() && !unwanted() {
                *asleep = true;
                // The end of the process wakes nobody.
                asleep = match self.room.wait_timeout(asleep, Duration::from_millis(50)) {
                    Ok((asleep, _)) => asleep,
                    Err(e) => e.into_inner().0,
                };
            }
            *asleep = false;
        }
        !unwanted()
    }

    fn wake(&self) {
        if *open(&self.asleep) {
            self.room.notify_one();
        }
    }

    /// Waits for a round if the helper is at work on it, but not for long.
    fn wait_for(&self, round: usize, patience: Duration) -> bool {
        let is_made = || self.made.load(Ordering::Acquire) > round;
        if is_made() {
            return true;
        }
        if self.made.load(Ordering::Acquire) < round {
            return false;
        }
        let start = Instant::now();
        loop {
            for _ in 0..64 {
                if is_made() {
                    return true;
                }
                std::hint::spin_loop();
            }
            if self.ended.load(Ordering::Acquire) || start.elapsed() > patience {
                return is_made();
            }
        }
    }

    fn take(&self, round: usize) -> Option<Stores> {
        let stores = open(&self.places[round % self.places.len()]).take();
        let given = round + 1;
        self.given.store(given, Ordering::SeqCst);
        // A helper that sleeps is woken when half of the room is free, so that it does not go back to sleep at once.
        let waiting = self.made.load(Ordering::Relaxed) - given;
        if waiting == self.places.len() / 2 || waiting == 0 {
            self.wake();
        }
        stores
    }
}
