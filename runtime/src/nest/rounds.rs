//! Rounds one after the other, by machine code or by the interpreter, and several at once.
//!
//! A boundary file: it calls machine code.

use std::panic::resume_unwind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use legate_jit_codegen::Slot;
use legate_jit_ir::nest::{GO_ON, LONG as TOO_LONG, NestFn, ROWS, UNWRITTEN};
use smallvec::SmallVec;

use super::Stop;
use super::flags::{clear_flags, flagged};
use super::run::{End, JUMPS, Run};
use crate::pool;

/// Elements of one operation on rows in the mean: longer ones are recorded.
pub(super) const LONG: u64 = 1 << 13;
/// The same in loops that do nothing to single elements. There recording is faster from much fewer on (channel flow takes as long either
/// way on 16×16 points, half of whose operations are on boundaries).
pub const LONG_IF_ALL_ARE_ROWS: u64 = 1 << 7;
/// What a round of the interpreter's counts for, in jumps back.
const ROUND: i64 = 1 << 6;
/// Jumps back and rounds of machine code after which the rounds that were done are done for good, at least; and what short rounds note
/// until then, in bytes: it should stay in the near caches.
const BATCH: i64 = 1 << 10;
const NOTES_OF_BATCH: i64 = 1 << 15;
/// The same for several rounds that each have more, and the nanoseconds that these may take.
const MOST_FUEL: i64 = 1 << 16;
const LONGEST_BATCH: i64 = 1_000_000;
/// Jumps back in a long round before it asks for more.
pub(super) const MORE: i64 = 1 << 13;
/// The same for rounds that several threads do at once, and the least time of each thread's that is worth it, in nanoseconds.
const PART: i64 = 1 << 16;
const WORTH_SHARING: i64 = 10_000;
/// What they note, in bytes: it should stay in the caches.
const NOTES_OF_PART: i64 = 1 << 18;
/// For how long other threads wait.
const TURN: Duration = Duration::from_millis(20);

/// What a round takes: fuel, bytes of the log, and time.
#[derive(Clone, Copy)]
struct Taken {
    fuel: i64,
    noted: i64,
    nanos: i64,
}

/// How many rounds are done for good together that use up more fuel than a batch has. Rows that they write again and again are noted
/// once for all of them; where they write others, the log only grows.
struct Together {
    rounds: i64,
    /// What the last ones noted in all.
    noted: i64,
    most: i64,
}

impl Together {
    const NONE: Together = Together { rounds: 2, noted: 0, most: 8 };

    fn fuel(&self, taken: Option<Taken>) -> i64 {
        taken.map_or(BATCH, |taken| {
            let rounds = if taken.fuel >= BATCH { self.rounds } else { NOTES_OF_BATCH / taken.noted };
            (taken.fuel * rounds.min(LONGEST_BATCH / taken.nanos))
                .clamp(BATCH, if taken.fuel >= BATCH { MOST_FUEL } else { MORE })
        })
    }

    /// So many rounds were done.
    fn learn(&mut self, rounds: i64, taken: Taken) {
        let noted = rounds * taken.noted;
        if rounds < 2 {
            self.noted = noted;
        } else if noted < self.noted / 4 * 5 {
            self.rounds = (2 * self.rounds).min(self.most);
        } else {
            (self.rounds, self.most) = (1, 1);
        }
    }
}

/// Numbers as they were.
struct Kept {
    ints: SmallVec<[i64; 4]>,
    floats: SmallVec<[f64; 4]>,
}

impl Run<'_> {
    /// Does so many rounds at most: how many it did, and why no more. `slot` is where machine code is, or will be.
    pub(super) fn rounds(
        &mut self,
        (mut next, step): (i64, i64),
        rounds: usize,
        slot: Option<&Arc<Slot>>,
    ) -> (usize, Stop) {
        let turn = Instant::now();
        let mut done = 0;
        // Rounds that are done one by one, as one of them has to be left.
        let mut careful = 0;
        // When the interpreter began.
        let mut since = None;
        let mut taken = None;
        let mut batches = Together::NONE;
        while done < rounds {
            self.since = None;
            let code = slot.and_then(|slot| slot.nest());
            let left = i64::try_from(rounds - done).unwrap_or(i64::MAX);
            let (tried, ended) = match code {
                Some(code) => {
                    if let Some(each) = self.share(left, taken, careful) {
                        let together = self.together(code, (next, step), each, &mut taken);
                        next = next.wrapping_add(step.wrapping_mul(together));
                        done += together as usize;
                        (self.compiled, self.shared) = (self.compiled + together, self.shared + together);
                        careful = if together == 0 { each } else { 0 };
                        if turn.elapsed() > TURN {
                            return (done, Stop::Turn);
                        }
                        continue;
                    }
                    let begin = Instant::now();
                    let most = if careful > 0 || self.eager { 1 } else { left };
                    let (tried, ended) = self.batch(code, (next, step), most, batches.fuel(taken));
                    let took = self.taken(tried, begin);
                    if ended.is_none() {
                        batches.learn(tried, took);
                    }
                    taken = Some(took);
                    self.log.clear();
                    (tried, ended)
                }
                None => {
                    since.get_or_insert_with(Instant::now);
                    (1, self.interpreted(next))
                }
            };
            if let Some(stop) = ended {
                if tried > 1 {
                    careful = tried;
                    continue;
                }
                // (LLVM may do an operation before it is known whether it has to be done.)
                let in_vain = code.is_some() && stop == Stop::Left && self.interpreted(next).is_none();
                if !in_vain {
                    self.report(slot, since);
                    return (done, stop);
                }
                self.program.doubts.fetch_add(1, Ordering::Relaxed);
            }
            careful -= tried.min(careful);
            if code.is_some() && ended.is_none() {
                self.compiled += tried;
            }
            done += tried as usize;
            // (The last one is the last number of the range, after which there may be none.)
            next = next.wrapping_add(step.wrapping_mul(tried));
            if self.frame.maps > 0 && self.frame.mapped / self.frame.maps > self.program.long {
                self.report(slot, since);
                return (done, Stop::Long);
            }
            // (To look at the clock takes longer than a short round.)
            if code.is_none() {
                self.frame.fuel -= ROUND;
            }
            if self.frame.fuel <= 0 || self.since.is_some() || code.is_some() {
                self.frame.fuel = JUMPS;
                if code.is_none() {
                    self.report(slot, since.replace(Instant::now()));
                }
                if turn.elapsed() > TURN {
                    return (done, Stop::Turn);
                }
            }
        }
        self.report(slot, since);
        (done, Stop::Done)
    }

    /// Tells the compiler that the interpreter has worked since then.
    fn report(&self, slot: Option<&Arc<Slot>>, since: Option<Instant>) {
        if let (Some(slot), Some(since)) = (slot, since) {
            slot.worked(since.elapsed().as_nanos() as u64);
        }
    }

    /// What rounds leave as it was where they are taken back.
    fn kept(&self) -> Kept {
        let ir = &self.program.ir;
        Kept {
            ints: ir.kept_ints.iter().map(|&r| self.numbers.ints[r]).collect(),
            floats: ir.kept_floats.iter().map(|&r| self.numbers.floats[r]).collect(),
        }
    }

    /// Everything as it was before the rounds that the log has noted.
    fn take_back(&mut self, kept: &Kept) {
        // SAFETY: the arrays are still there.
        unsafe { self.log.undo() };
        self.leave_behind(kept);
    }

    /// Leaves behind what a later one did, but for what it has not written.
    fn take_over(&mut self, later: &Run<'_>, unwritten: &[usize]) {
        let mut kept = later.kept();
        for (value, &r) in kept.ints.iter_mut().zip(&self.program.ir.kept_ints) {
            if *value == UNWRITTEN && unwritten.contains(&r) {
                *value = self.numbers.ints[r];
            }
        }
        self.leave_behind(&kept);
    }

    fn leave_behind(&mut self, kept: &Kept) {
        let ir = &self.program.ir;
        for (&value, &r) in kept.ints.iter().zip(&ir.kept_ints) {
            self.numbers.ints[r] = value;
        }
        for (&value, &r) in kept.floats.iter().zip(&ir.kept_floats) {
            self.numbers.floats[r] = value;
        }
    }

    /// One round by the interpreter; why it was taken back, if it was.
    fn interpreted(&mut self, next: i64) -> Option<Stop> {
        let kept = self.kept();
        self.numbers.ints[self.program.ir.variable] = next;
        clear_flags();
        // SAFETY: `Program::new` has compared every operand with what there is; the views that the code makes lie in the arrays
        // and pieces of memory that it has.
        let end = unsafe { self.round::<false>(0) };
        let stop = match end {
            End::Round if flagged() => Some(Stop::Left),
            End::Round => None,
            End::Leave => Some(Stop::Left),
            End::Long => Some(Stop::Long),
        };
        match stop {
            Some(_) => self.take_back(&kept),
            None => self.log.clear(),
        }
        self.retired.clear();
        stop
    }

    /// Rounds by machine code, so many at most and with so much fuel: how many, and why all of them were taken back, if they were.
    /// The log keeps what they wrote.
    fn batch(&mut self, code: NestFn, (next, step): (i64, i64), most: i64, fuel: i64) -> (i64, Option<Stop>) {
        let kept = self.kept();
        self.since = None;
        let log = self.log.end((fuel as usize + 1) * self.notes);
        let run = std::ptr::from_mut(self).cast();
        let frame = &mut self.frame;
        (frame.ints, frame.floats) = (self.numbers.ints.as_mut_ptr(), self.numbers.floats.as_mut_ptr());
        frame.views = self.views.as_mut_ptr().cast();
        (frame.next, frame.step, frame.rounds) = (next, step, most);
        (frame.log, frame.fuel, frame.last) = (log, fuel, 0);
        frame.apart = i64::from(self.shares);
        frame.room = ROWS as i64;
        frame.run = run;
        self.given = fuel;
        clear_flags();
        // SAFETY: the code was made of this program, for arrays that lie as these do; there is room for what it notes.
        let how = unsafe { code(&raw mut self.frame) };
        let flagged = flagged();
        // SAFETY: the code has noted what lies between the two.
        unsafe { self.log.take_in(self.frame.log) };
        let tried = most - self.frame.rounds;
        let ended = match how {
            GO_ON if !flagged && !self.failed => None,
            TOO_LONG => Some(Stop::Long),
            _ => Some(Stop::Left),
        };
        if ended.is_some() {
            self.take_back(&kept);
        }
        self.retired.clear();
        self.failed = false;
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
        (if how == GO_ON { tried } else { tried + 1 }, ended)
    }

    /// How many rounds each thread should do, if it is worth it that all of them do some.
    fn share(&self, left: i64, taken: Option<Taken>, careful: i64) -> Option<i64> {
        let threads = if self.shares && careful == 0 { pool::threads() as i64 } else { 1 };
        let Taken { fuel, noted, nanos } = taken.filter(|_| threads > 1)?;
        let each = (PART / 4 * 3 / fuel).min(NOTES_OF_PART / noted).max(1).min(left / threads);
        (each > 0 && (each * nanos >= WORTH_SHARING || self.eager)).then_some(each)
    }

    /// What each of the rounds took that were just done, beginning then.
    fn taken(&self, rounds: i64, begin: Instant) -> Taken {
        let each = |n: i64| (n / rounds.max(1)).max(1);
        Taken {
            fuel: each(self.given - self.frame.fuel),
            noted: each(self.log.bytes() as i64),
            nanos: each(begin.elapsed().as_nanos() as i64),
        }
    }

    /// The next rounds on all threads, so many each: how many were done. A thread's rounds only count if those of all before it
    /// were done; else they are taken back. `taken`: what the last ones took.
    fn together(&mut self, code: NestFn, (next, step): (i64, i64), each: i64, taken: &mut Option<Taken>) -> i64 {
        let unwritten = self.program.independent.as_deref().unwrap_or_default();
        let mut begin = self.numbers.clone();
        unwritten.iter().for_each(|&r| begin.ints[r] = UNWRITTEN);
        let mut numbers = vec![begin; pool::threads()];
        let mut rooms = std::mem::take(&mut self.rooms_of_parts).into_iter();
        let mut new = |numbers| {
            let mut run = Run::with_rooms(self.program, numbers, self.arrays, rooms.next().unwrap_or_default());
            run.shares = true;
            Part { run, did: (0, None), taken: None }
        };
        let parts: Vec<Mutex<Part<'_>>> = numbers.iter_mut().map(|numbers| Mutex::new(new(numbers))).collect();
        let ran = pool::run(parts.len(), &|k, _| {
            let mut part = parts[k].lock().unwrap_or_else(PoisonError::into_inner);
            let first = next.wrapping_add(step.wrapping_mul(each).wrapping_mul(k as i64));
            let begin = Instant::now();
            part.did = part.run.batch(code, (first, step), each, PART);
            part.taken = Some(part.run.taken(part.did.0, begin));
        });
        let (mut done, mut counts) = (0, ran.is_ok());
        let (mut mapped, mut maps) = (self.frame.mapped, self.frame.maps);
        for part in parts {
            let Part { mut run, did: (did, ended), taken: took } =
                part.into_inner().unwrap_or_else(PoisonError::into_inner);
            counts &= ended.is_none() && did > 0;
            if counts {
                run.log.clear();
                done += did;
                self.take_over(&run, unwritten);
                *taken = took;
                counts = did == each;
            } else {
                // SAFETY: the arrays are still there.
                unsafe { run.log.undo() };
            }
            (mapped, maps) = (mapped + run.frame.mapped, maps + run.frame.maps);
            self.rooms_of_parts.push(run.rooms());
        }
        if let Err(message) = ran {
            panic!("{message}");
        }
        (self.frame.mapped, self.frame.maps) = (mapped, maps);
        done
    }
}

/// A thread's rounds, and what became of them.
struct Part<'a> {
    run: Run<'a>,
    did: (i64, Option<Stop>),
    taken: Option<Taken>,
}
