//! How many records of a loop go into one trace: few at first, as planning takes a time that grows with them, and more where that pays.
//!
//! Longer traces let a stencil's sweeps go over memory together more often, and cost each round less beside its work. Whether they
//! pay is measured: as long as a trace of twice the length takes less for each round, its length is doubled again.

use std::time::Duration;

/// Records of a trace that is planned soon.
const SHORT: usize = 128;
/// Runs of traces after which longer ones are made, if they took no longer than this: what each costs beside its work counts.
const MANY: u32 = 32;
const BRIEF: Duration = Duration::from_micros(100);
/// Runs of other traces that are a measurement, if they took so long for each record of the next length: many times what
/// planning it does.
const FEW: u32 = 6;
const WORTH_PLANNING: Duration = Duration::from_micros(300);
/// What a round of longer traces may take of what it took before.
const BETTER: f64 = 0.95;
/// The longest run of a trace: between them others have a turn, and the user may interrupt.
const LONGEST: Duration = Duration::from_millis(100);

pub(super) struct Length {
    records: usize,
    /// Traces of late, what they took, and whether some were as long as they may be.
    runs: u32,
    takes: Duration,
    full: bool,
    /// Seconds of a round, at least, in these and in traces of half the length. (The first run of a plan takes longer than others.)
    each: f64,
    before: Option<f64>,
    settled: bool,
}

impl Default for Length {
    fn default() -> Length {
        Length {
            records: SHORT,
            runs: 0,
            takes: Duration::ZERO,
            full: false,
            each: f64::INFINITY,
            before: None,
            settled: false,
        }
    }
}

impl Length {
    /// Traces as long as those are that the program has recorded itself until now: theirs were planned too.
    pub fn from(known: usize) -> Length {
        Length { records: known.max(SHORT), ..Length::default() }
    }

    /// Records of a trace, at most.
    pub fn records(&self, most: usize) -> usize {
        self.records.min(most)
    }

    /// Notes how long a trace took that had been planned before. `full` says that it was as long as it may be, which is `most` records
    /// in the end.
    pub fn ran(&mut self, rounds: usize, took: Duration, full: bool, most: usize) {
        if self.settled {
            return;
        }
        (self.runs, self.takes, self.full) = (self.runs + 1, self.takes + took, self.full | full);
        self.each = self.each.min(took.as_secs_f64() / rounds as f64);
        if self.runs >= MANY && self.takes < BRIEF * self.runs {
            (self.records, self.settled) = (most, true);
        }
        if self.settled || self.runs < FEW || self.takes < WORTH_PLANNING * 2 * self.records as u32 {
            return;
        }
        if self.before.is_some_and(|before| self.each > BETTER * before) {
            (self.records, self.settled) = (self.records / 2, true);
        } else if self.records >= most || self.takes / self.runs * 2 > LONGEST {
            self.settled = true;
        } else if !self.full {
            // (The loop may be longer when it is met again.)
            *self = Length { records: self.records, before: self.before, ..Length::default() };
        } else {
            *self = Length { records: 2 * self.records, before: Some(self.each), ..Length::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs traces of a loop whose rounds have ten records and take so many microseconds each in a trace of so many.
    fn after(traces: usize, each: impl Fn(usize) -> u64, left: usize) -> usize {
        let mut length = Length::default();
        run(&mut length, traces, each, left)
    }

    fn run(length: &mut Length, traces: usize, each: impl Fn(usize) -> u64, left: usize) -> usize {
        for _ in 0..traces {
            let most = length.records(1000) / 10;
            let rounds = most.min(left);
            length.ran(rounds, Duration::from_micros(each(rounds) * rounds as u64), rounds == most, 1000);
        }
        length.records(1000)
    }

    #[test]
    fn grows_while_that_pays() {
        // What takes no time is as long as it can be; what takes the same for each round stays short.
        assert_eq!(after(40, |_| 2, 10_000), 1000);
        assert_eq!(after(1000, |_| 400, 10_000), SHORT);
        // Deeper traces are faster, always or up to a length.
        assert_eq!(after(1000, |rounds| 200 + 8000 / rounds as u64, 10_000), 1000);
        assert_eq!(after(1000, |rounds| if rounds < 20 { 900 } else { 700 }, 10_000), 2 * SHORT);
        // Too few are left for longer ones; too slow ones stay short.
        assert_eq!(after(1000, |rounds| 200 + 8000 / rounds as u64, 11), SHORT);
        assert_eq!(after(1000, |_| 50_000, 10_000), SHORT);
        // But when it is met again the loop may be longer.
        let (mut length, deeper) = (Length::default(), |rounds: usize| 200 + 8000 / rounds as u64);
        assert_eq!(run(&mut length, 1000, deeper, 11), SHORT);
        assert_eq!(run(&mut length, 1000, deeper, 10_000), 1000);
        // Code that comes late makes brief what was not.
        let mut length = Length::default();
        run(&mut length, 20, |_| 20, 10_000);
        assert_eq!(run(&mut length, 200, |_| 2, 10_000), 1000);
        // What the program's own traces were is not undercut.
        assert_eq!(Length::from(900).records(1000), 900);
        assert_eq!(Length::from(7).records(1000), SHORT);
        // Not after a few.
        assert_eq!(after(3, |_| 9000, 10_000), SHORT);
    }
}
