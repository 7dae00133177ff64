//! Flushes that the helper computes one by one while the program records the next ones.
//!
//! In a loop on small arrays recording takes about as long as computing. So the helper goes on from what the last flushes have
//! left, some flushes ahead of the program, and the program finds its outputs ready. Every flush is computed as it would have
//! been, and all its outputs are kept, so there is nothing to roll back: when the program does something else, what it did
//! not take is dropped. Nor does it ever have to wait long: a flush is computed from arrays that nobody writes, so when the
//! helper is late (its processor is busy elsewhere), the program computes the flush itself, and goes on so until the
//! helper, which does nothing else, has caught up.
//!
//! Whether a program gets along faster so is not to be known before: flushes that take hardly longer than their recording may cost more
//! to hand over than to compute, as what the helper makes lies in another core's cache, and many arrays are alive instead of one or two. So
//! the time is taken ([`Gain`]), and a relay that does not pay ends.
//!
//! Both sides hold the arrays that the next flushes read, so nobody writes to them in place; what foreign code may write is no
//! part of a relay.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::cycle::{Left, Stage};
use crate::helper;
use crate::plan_cache::Stores;
use crate::trace::Key;
use crate::{Config, Result, Store};

/// Bytes of outputs that may wait to be taken, and flushes.
const WAITING_BYTES: usize = 512 << 10;
const WAITING: std::ops::RangeInclusive<usize> = 3..=32;
/// How long the helper looks for room before it sleeps.
const SPIN: Duration = Duration::from_micros(40);
/// How long the program waits for a flush that the helper works on, besides twice the time that it takes.
const PATIENCE: Duration = Duration::from_micros(5);
/// Flushes that the helper may be behind the program.
const BEHIND: usize = 64;
/// Flushes of which the time is taken together, and after how many again once the relay was seen to pay.
const TIMED: usize = 32;
const AGAIN: usize = 1024;
/// How often it may be seen not to pay: other work on the machine holds up one or the other.
const CHANCES: usize = if cfg!(test) { 1 << 30 } else { 6 };

type Inputs = SmallVec<[Arc<Store>; 4]>;
/// Which of some inputs, and of some outputs.
type Wanted = (SmallVec<[bool; 4]>, SmallVec<[bool; 4]>);

/// The program's end.
pub(super) struct Relay {
    line: Arc<Line>,
    cycle: Arc<Cycle>,
    /// Flushes that the program is done with, and those of them that the helper had ready.
    given: usize,
    pub(super) used: usize,
    recent: Recent,
    /// The inputs that the next flush must have.
    next: Inputs,
    gain: Gain,
}

/// Whether the program gets along faster with the helper.
struct Gain {
    /// What a cycle took the program by itself, where that was seen with all code compiled.
    alone: Option<Duration>,
    /// When the time was last taken, and at which flush that is done next.
    since: Instant,
    next: usize,
    /// How often it has not been faster since it last was.
    slower: usize,
    /// It was, and nobody has looked since.
    paused: bool,
    /// Nothing is known of the program by itself with the code that is compiled by now.
    outdated: bool,
}

impl Gain {
    fn new(alone: Option<Duration>) -> Gain {
        Gain { alone, since: Instant::now(), next: 0, slower: 0, paused: false, outdated: false }
    }

    /// Takes the time at a flush. (A tenth of it must be gained, as who does not work ahead does without looking for cycles, too.)
    fn look(&mut self, now: Instant, given: usize, length: usize, is_settled: impl Fn() -> bool) {
        let (cycles, started) = (TIMED.div_ceil(length), self.next > 0);
        self.next = given + cycles * length;
        let took = now - std::mem::replace(&mut self.since, now);
        let Some(alone) = self.alone else {
            self.outdated = given >= AGAIN && is_settled();
            return;
        };
        // (What goes before the first look is no whole number of cycles; what goes before one after a pause is many.)
        if !started || self.paused {
            (self.slower, self.paused) = (0, false);
        } else if 10 * took <= 9 * alone * cycles as u32 {
            (self.paused, self.next) = (true, given + AGAIN);
        } else {
            self.slower += 1;
        }
    }
}

/// The flushes of a cycle.
struct Cycle {
    stages: Vec<Stage>,
    /// For each, which of its inputs and outputs flushes after it read.
    wanted: Vec<Wanted>,
    config: Config,
}

/// What the last flushes have read and made: each side follows the cycle with its own.
struct Recent(VecDeque<Left>);

/// What the program and the helper share.
struct Line {
    /// Outputs of flushes; those of the n-th are at n modulo the length.
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

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Cycle {
    fn new(stages: Vec<Stage>, left: &[Left], config: &Config) -> Cycle {
        let none = |n: usize| SmallVec::from_elem(false, n);
        let mut wanted: Vec<_> = left.iter().map(|l| (none(l.inputs.len()), none(l.outputs.len()))).collect();
        let length = stages.len();
        for (at, stage) in stages.iter().enumerate() {
            for origin in &stage.origins {
                let (inputs, outputs) = &mut wanted[(at + length - origin.back as usize) % length];
                let list = if origin.output { outputs } else { inputs };
                list[origin.number as usize] = true;
            }
        }
        Cycle { stages, wanted, config: config.clone() }
    }

    /// The n-th flush from the start of the relay.
    fn stage(&self, n: usize) -> &Stage {
        &self.stages[n % self.stages.len()]
    }
}

impl Recent {
    /// The inputs of the n-th flush; `None` if some are gone.
    fn inputs(&self, cycle: &Cycle, n: usize) -> Option<Inputs> {
        let from = |origin: &super::cycle::Origin| {
            let left = &self.0[self.0.len() - origin.back as usize];
            let list = if origin.output { &left.outputs } else { &left.inputs };
            list.get(origin.number as usize)?.clone()
        };
        cycle.stage(n).origins.iter().map(from).collect()
    }

    /// The n-th flush was computed.
    fn follow(&mut self, cycle: &Cycle, n: usize, inputs: &[Arc<Store>], outputs: &[Arc<Store>]) {
        let (from_inputs, from_outputs) = &cycle.wanted[n % cycle.stages.len()];
        let keep = |wanted: &SmallVec<[bool; 4]>, list: &[Arc<Store>]| {
            wanted.iter().zip(list).map(|(&wanted, store)| wanted.then(|| store.clone())).collect()
        };
        self.0.pop_front();
        self.0.push_back(Left { inputs: keep(from_inputs, inputs), outputs: keep(from_outputs, outputs) });
    }
}

impl Relay {
    /// Goes on with a cycle from where it has come to; `period` is what one takes the program by itself. `None` where that cannot be.
    pub(super) fn start(
        stages: Vec<Stage>,
        left: Vec<Left>,
        period: Option<Duration>,
        config: &Config,
    ) -> Option<Relay> {
        let gain = Gain::new(period.filter(|_| stages.iter().all(|stage| stage.entry.is_settled())));
        let size = |left: &Left| left.outputs.iter().flatten().map(|o| o.bytes()).sum::<usize>();
        let bytes = left.iter().map(size).sum::<usize>() / left.len();
        let depth = (WAITING_BYTES / bytes.max(1)).clamp(*WAITING.start(), *WAITING.end());
        let cycle = Arc::new(Cycle::new(stages, &left, config));
        let wanted = |list: &[Option<Arc<Store>>], wanted: &[bool]| {
            list.iter().zip(wanted).map(|(store, &wanted)| store.clone().filter(|_| wanted)).collect()
        };
        let recent = |(left, (inputs, outputs)): (&Left, &Wanted)| Left {
            inputs: wanted(&left.inputs, inputs),
            outputs: wanted(&left.outputs, outputs),
        };
        let both = || Recent(left.iter().zip(&cycle.wanted).map(recent).collect());
        let (ours, theirs) = (both(), both());
        // What foreign code writes, what is only promised and what other ranks hold are no part of this.
        let own = |store: &Arc<Store>| !store.is_exported() && store.placed() == 0;
        if !ours.0.iter().all(|left| left.inputs.iter().chain(&left.outputs).flatten().all(own)) {
            return None;
        }
        let next = ours.inputs(&cycle, 0)?;
        let line = Arc::new(Line {
            places: (0..depth).map(|_| Mutex::new(None)).collect(),
            made: AtomicUsize::new(0),
            given: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            asleep: Mutex::new(false),
            room: Condvar::new(),
        });
        let (line_there, cycle_there) = (line.clone(), cycle.clone());
        let job = move || {
            // However this ends, the program must not wait for more.
            let _end = End(&line_there);
            line_there.work(&cycle_there, theirs);
        };
        helper::start(Box::new(job)).then(|| Relay { line, cycle, given: 0, used: 0, recent: ours, next, gain })
    }

    /// Whether this is the flush that comes next in the cycle.
    pub(super) fn expects(&self, key: Key, inputs: &[Arc<Store>], scalars: &[[u64; 2]]) -> bool {
        let stage = self.cycle.stage(self.given);
        stage.key == key
            && stage.scalars[..] == *scalars
            && self.next.len() == inputs.len()
            && self.next.iter().zip(inputs).all(|(next, input)| Arc::ptr_eq(next, input) && !input.is_exported())
    }

    /// The outputs of the next flush, which is as expected.
    pub(super) fn take(&mut self) -> Result<Stores> {
        let patience = 2 * self.cycle.stage(self.given).takes + PATIENCE;
        let ready = if self.line.wait_for(self.given, patience) { self.line.take(self.given) } else { None };
        self.used += ready.is_some() as usize;
        let stores = match ready {
            Some(stores) => stores,
            None => {
                // The helper may be reading what this one reads, so nothing is overwritten.
                let stage = self.cycle.stage(self.given);
                let plan = stage.entry.without_donations(&self.cycle.config);
                let plan = plan.ok_or_else(|| crate::Error::Runtime("a relay has lost its plan".into()))?;
                plan.run(&self.next, &stage.scalars)?
            }
        };
        self.recent.follow(&self.cycle, self.given, &self.next, &stores);
        self.given += 1;
        self.line.given.store(self.given, Ordering::SeqCst);
        self.next = self.recent.inputs(&self.cycle, self.given).unwrap_or_default();
        if self.given >= self.gain.next {
            let stages = &self.cycle.stages;
            let is_settled = || stages.iter().all(|stage| stage.entry.is_settled());
            self.gain.look(Instant::now(), self.given, stages.len(), is_settled);
        }
        Ok(stores)
    }

    /// Whether the helper keeps up, and is of use.
    pub(super) fn is_alive(&self) -> bool {
        let made = self.line.made.load(Ordering::Relaxed);
        let keeps_up = made > self.given || !self.line.ended.load(Ordering::Acquire) && self.given <= made + BEHIND;
        keeps_up && !self.is_slow() && !self.gain.outdated
    }

    /// Whether the program is not faster than by itself.
    pub(super) fn is_slow(&self) -> bool {
        self.gain.slower >= CHANCES
    }

    /// Flushes that were made in vain.
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
    fn work(&self, cycle: &Cycle, mut recent: Recent) {
        for n in 0.. {
            if !self.wait_for_room(n) {
                return;
            }
            let stage = cycle.stage(n);
            let Some(plan) = stage.entry.without_donations(&cycle.config) else { return };
            let Some(inputs) = recent.inputs(cycle, n) else { return };
            // The program computes a flush that fails itself, and gets the error where it belongs.
            let run = || plan.run(&inputs, &stage.scalars);
            let Ok(Ok(outputs)) = catch_unwind(AssertUnwindSafe(run)) else { return };
            recent.follow(cycle, n, &inputs, &outputs);
            *open(&self.places[n % self.places.len()]) = Some(outputs);
            self.made.store(n + 1, Ordering::Release);
        }
    }

    /// False when no more are wanted.
    fn wait_for_room(&self, n: usize) -> bool {
        let depth = self.places.len();
        let full = || n.saturating_sub(self.given.load(Ordering::SeqCst)) >= depth;
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

    /// Waits for a flush if the helper is at work on it, but not for long.
    fn wait_for(&self, n: usize, patience: Duration) -> bool {
        let is_made = || self.made.load(Ordering::Acquire) > n;
        if is_made() {
            return true;
        }
        if self.made.load(Ordering::Acquire) < n {
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

    fn take(&self, n: usize) -> Option<Stores> {
        let stores = open(&self.places[n % self.places.len()]).take();
        let given = n + 1;
        self.given.store(given, Ordering::SeqCst);
        // A helper that sleeps is woken when half of the room is free, so that it does not go back to sleep at once.
        let waiting = self.made.load(Ordering::Relaxed) - given;
        if waiting == self.places.len() / 2 || waiting == 0 {
            self.wake();
        }
        stores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a relay of cycles of three flushes was seen not to pay, after so many flushes.
    fn slower(alone: Option<u64>, flushes: usize, takes: impl Fn(usize) -> u64) -> Gain {
        let (mut gain, mut now) = (Gain::new(alone.map(Duration::from_nanos)), Instant::now());
        for given in 1..=flushes {
            now += Duration::from_nanos(takes(given));
            if given >= gain.next {
                gain.look(now, given, 3, || true);
            }
        }
        gain
    }

    #[test]
    fn a_relay_that_gains_nothing_is_found_out() {
        // (A cycle takes three times as long as a flush.)
        assert!(slower(Some(3000), 300, |_| 1000).slower >= 6);
        assert!(slower(Some(3000), 300, |_| 950).slower >= 6);
        assert_eq!(slower(Some(3000), 300, |_| 800).slower, 0);
        // It is looked at again, and other work on the machine is no reason.
        let later = |given: usize| if given > AGAIN { 1200 } else { 800 };
        assert_eq!(slower(Some(3000), AGAIN, later).slower, 0);
        assert!(slower(Some(3000), 2 * AGAIN, later).slower >= 6);
        assert!(slower(Some(3000), 3000, |given| if given % 200 < 60 { 3000 } else { 800 }).slower < 6);
    }

    #[test]
    fn code_that_came_later_makes_what_is_known_outdated() {
        assert!(!slower(None, AGAIN / 2, |_| 800).outdated);
        assert!(slower(None, 2 * AGAIN, |_| 800).outdated);
    }
}
