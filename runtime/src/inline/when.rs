//! What decides how small is small: which operations run at once, and for how long a program is not recorded at all.

use super::MOVED;
use crate::trace::{TINY, Trace};
use crate::{Config, Tier, pool};

/// Elements of a result that is always computed at once: a pass over them takes less than a record does.
pub(super) const ALWAYS: usize = 256;
/// The same in a program that asks for values after every operation or two: less than a flush.
const ASKING: usize = 2048;
/// The same where records run as soon as they are made: less than what other threads would need to join in.
const IMMEDIATE: usize = 1 << 15;
/// Bytes of what is only read once and asked for at once: beside other threads, which could join in, and without any.
const READ_BESIDE_OTHERS: usize = 1 << 18;
const READ_ALONE: usize = 1 << 22;
/// Nanoseconds that an operation may take at once in a program that asks for all of a result after every one: there is nothing to be
/// fused then, and other threads would hardly have begun. Those that do little with an element would fetch it from another core's cache
/// (20 000 additions take 4.4 us at once, 5 to 6 on two threads). Where there are no others, only a flush is saved.
const BY_ITSELF: f32 = 2000.0;
const LIGHT_BY_ITSELF: f32 = 7000.0;
const WITHOUT_OTHERS: f32 = 100_000.0;
/// Nanoseconds of an element with which little is done.
const LIGHT: f32 = 0.3;
/// Elements of a new array that is filled at once: what comes after it finds an operand in memory then.
const NEW: usize = 2048;
/// What a reduction takes for an element.
const REDUCED: f32 = 0.08;
/// Operations between two looks at how often the program asks.
const WINDOW: u64 = 64;
/// Where the counts of asks are, in units of which the operations never make one.
const ASK: u64 = 1 << 16;
const ASK_FOR_ALL: u64 = 1 << 32;
/// Records between two looks at what recording has been good for.
const RECORDS: usize = 512;
/// Operations that a program is not recorded for, at first and at most.
const SPAN: (u32, u32) = (1 << 11, 1 << 17);

/// What decides how small is small.
#[derive(Default)]
pub(crate) struct Inline {
    /// Elements; 0: nothing is done at once.
    pub(super) limit: usize,
    /// Operations since the last look in the lowest bits, then those before which somebody asked for a value, then those before which
    /// somebody asked for all that was pending, or for all elements of an array.
    counted: u64,
    /// What the next operation adds for who has asked since the last one.
    asked: u64,
    /// The helper has worked ahead of the program since the last look.
    pub(crate) worked_ahead: bool,
    /// Most operations are followed by somebody who asks for all of the result, or for some value.
    by_themselves: bool,
    reduced_by_themselves: bool,
    /// Operations to go for which records run as soon as they are made.
    immediate: u32,
    /// How many they will be the next time.
    span: u32,
    /// Records since the last look, and those of them that had better not been recorded.
    records: usize,
    useless: usize,
    /// The limits to go back to, while everything is recorded.
    paused: Option<(usize, u32)>,
    /// Everything is recorded until this ends, whoever resumes in between.
    held: bool,
}

impl Inline {
    pub(crate) fn new(config: &Config) -> Inline {
        // Dumps show what is recorded, so everything is; ranks and the other tiers are there to run plans.
        let on =
            config.inline && config.tier == Tier::Auto && config.cx.hook.is_none() && crate::ranks::active().is_none();
        Inline { limit: if on { ALWAYS } else { 0 }, ..Inline::default() }
    }

    /// Whether operations may be done at once.
    pub(crate) fn is_on(&self) -> bool {
        self.limit != 0
    }

    /// Whether traces may run without a plan.
    pub(crate) fn needs_no_plans(&self) -> bool {
        let held = self.paused.filter(|_| self.held).map_or(0, |(limit, _)| limit);
        self.limit.max(held) != 0
    }

    pub(crate) fn off(&mut self) {
        (self.limit, self.immediate) = (0, 0);
        self.paused = None;
        self.held = false;
    }

    /// Has everything recorded for a while.
    pub(crate) fn pause(&mut self) {
        if self.paused.is_none() {
            self.paused = Some((self.limit, self.immediate));
            (self.limit, self.immediate) = (0, 0);
        }
    }

    /// Has everything recorded until [`release`](Self::release). Traces need no plans meanwhile.
    pub(crate) fn hold(&mut self) {
        self.pause();
        self.held = true;
    }

    pub(crate) fn release(&mut self) {
        self.held = false;
        self.resume();
    }

    pub(crate) fn resume(&mut self) {
        if !self.held
            && let Some(limits) = self.paused.take()
        {
            (self.limit, self.immediate) = limits;
        }
    }

    /// Whether a record is to run at once. Where a program's traces are tiny, or never the same again, there is nothing to gain
    /// from having several operations in a trace, and all that has a pending operand would be recorded too.
    #[inline]
    pub(crate) fn is_immediate(&self) -> bool {
        self.immediate > 0
    }

    /// Notes what became of a trace; `new` says that none like it was met before.
    pub(crate) fn flushed(&mut self, trace: &Trace, new: bool) {
        if self.limit == 0 || self.is_immediate() {
            return;
        }
        let records = trace.recs.len();
        let all = new || trace.elements < TINY * records;
        self.records += records;
        self.useless += if all { records } else { trace.tiny };
        if self.records < RECORDS {
            return;
        }
        if self.useless > self.records / 4 * 3 {
            self.immediate = self.span.max(SPAN.0);
            self.span = (2 * self.immediate).min(SPAN.1);
            self.limit = IMMEDIATE;
        } else {
            self.span = SPAN.0;
        }
        (self.records, self.useless) = (0, 0);
    }

    /// Somebody looks at a value.
    #[inline(always)]
    pub(crate) fn is_asked(&mut self) {
        self.asked |= ASK;
    }

    /// Somebody wants all elements of an array, or all that is pending.
    #[inline(always)]
    pub(crate) fn is_asked_for_all(&mut self) {
        self.asked |= ASK | ASK_FOR_ALL;
    }

    /// Counts an operation.
    #[inline(always)]
    pub(super) fn count(&mut self) {
        self.counted += self.asked + 1;
        self.asked = 0;
        if self.counted % ASK == WINDOW {
            self.adapt();
        }
    }

    #[cold]
    fn adapt(&mut self) {
        let (asks, asks_for_all) = (self.counted / ASK % ASK, self.counted / ASK_FOR_ALL);
        if self.is_immediate() {
            self.immediate = self.immediate.saturating_sub(WINDOW as u32);
            self.limit = if self.is_immediate() { IMMEDIATE } else { ALWAYS };
        } else if self.limit != 0 {
            // Between the two limits of the ratio all stays as it is, so that plans are not made for both ways.
            match WINDOW / asks.max(1) {
                0..=2 => self.limit = ASKING,
                3..=5 => {}
                _ => self.limit = ALWAYS,
            }
        }
        let most = WINDOW / 4 * 3;
        // (What is a number in the end the helper may as well compute; arrays are dearer to hand over.)
        (self.by_themselves, self.reduced_by_themselves) = (asks_for_all >= most, asks >= most && !self.worked_ahead);
        (self.counted, self.worked_ahead) = (0, false);
    }

    #[inline(always)]
    pub(super) fn allows(&self, n: usize) -> bool {
        n.wrapping_sub(1) < self.limit
    }

    /// Whether an operation may be done at once though it is large, if it does not [take long](Self::is_short).
    #[inline(always)]
    pub(super) fn is_by_itself(&self, n: usize) -> bool {
        self.by_themselves && self.limit != 0 && n != 0
    }

    /// Whether an operation is done before others could help, which takes so many nanoseconds for an element.
    pub(super) fn is_short(&self, n: usize, each: f32) -> bool {
        let most = match () {
            _ if pool::threads() == 1 => WITHOUT_OTHERS,
            _ if each <= LIGHT => LIGHT_BY_ITSELF,
            _ => BY_ITSELF,
        };
        n as f32 * each <= most
    }

    /// The same for a reduction.
    #[inline(always)]
    pub(super) fn allows_reduction(&self, n: usize) -> bool {
        self.allows(n) || self.reduced_by_themselves && self.limit != 0 && n != 0 && n as f32 * REDUCED <= BY_ITSELF
    }

    /// The same for one loop into an array that is there: recorded, it would be an operation and a write.
    #[inline(always)]
    pub(super) fn allows_in_place(&self, n: usize) -> bool {
        n.wrapping_sub(1) < if self.limit == 0 { 0 } else { self.limit.max(ASKING) }
    }

    /// The same for one pass over so many bytes, one after the other, that are only read, while nothing is recorded.
    #[inline(always)]
    pub(super) fn allows_reading(&self, bytes: usize) -> bool {
        self.limit > ALWAYS && bytes <= if pool::threads() == 1 { READ_ALONE } else { READ_BESIDE_OTHERS }
    }

    /// The same for elements that are brought to another place or set to one value, which fusing them with others would hardly save.
    #[inline(always)]
    pub(super) fn allows_move(&self, n: usize) -> bool {
        n.wrapping_sub(1) < if self.is_on() { self.limit.max(MOVED) } else { 0 }
    }

    /// The same for a new array that a program asks for.
    #[inline(always)]
    pub(super) fn allows_new(&self, n: usize) -> bool {
        n.wrapping_sub(1) < if self.is_on() { self.limit.max(NEW) } else { 0 }
    }

    /// The same for what takes more than one pass of a loop over what lies one after the other.
    #[inline(always)]
    pub(super) fn allows_more(&self, n: usize) -> bool {
        n.wrapping_sub(1) < if self.is_immediate() { self.limit } else { self.limit.min(ALWAYS) }
    }
}
