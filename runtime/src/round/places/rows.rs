//! Rows of rounds: a loop at places that move on, in another one of which its places depend as evenly.
//!
//! Of each row that was watched it is known what its rounds do, by the way in which those were learned. If that is the same at other
//! places in the next row, and the front end knows that rows do nothing else, the rows that follow are rounds with two axes in
//! front. For how many that is so follows from what index expressions said in the first and in the last round of a row, as for rounds.

use super::{MANY, MIN_ROUNDS, MUCH, OF_A_ROUND, Places, moving, reach, shifts};
use crate::Result;
use crate::array::index::{Index, Said};
use crate::base::Version;
use crate::batch::{Rows, Shift};
use crate::round::{Array, Session, Shared, lock};

/// A row that is watched: as long as this lives, every operation is recorded.
pub struct Watch {
    recorded: u64,
    others: u64,
}

/// Records so far, and what was done besides recording.
fn done(s: &Session) -> (u64, u64) {
    let c = &s.counters;
    (c.recorded, s.looks + c.inline + c.eager_scalars)
}

/// Before a row.
pub fn watch() -> Watch {
    let mut s = lock();
    s.inline.hold();
    let (recorded, others) = done(&s);
    Watch { recorded, others }
}

impl Watch {
    /// Records since then, if nothing else was done.
    fn records(&self) -> Option<u64> {
        let (recorded, others) = done(&lock());
        (others == self.others).then_some(recorded - self.recorded)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock().inline.release();
    }
}

/// A row that was watched.
pub struct Row {
    places: Places,
    /// The number of the round that was looked at last.
    last: usize,
    rounds: usize,
}

impl Row {
    /// A row of so many rounds, of which `first` is the number of the one that was looked at first; `None` if others may do something
    /// else, or if not all that was done was theirs.
    pub fn of(places: Places, first: usize, rounds: usize, watch: &Watch) -> Option<Row> {
        let last = first + places.looked - 1;
        let all = places.before >= first && places.most >= rounds.checked_sub(1 + last)?;
        let records = (rounds * places.round.steps.len()) as u64;
        (all && rounds >= MIN_ROUNDS && watch.records()? == records).then_some(Row { places, last, rounds })
    }

    /// What the round of this number says.
    fn said(&self, round: usize) -> Option<Vec<Said>> {
        let [before, last] = &self.places.said;
        let more = round as i64 - self.last as i64;
        before.iter().zip(last).map(|(a, b)| further(a, b, more)).collect()
    }
}

/// What is said so many rounds after `b`, which comes right after `a`.
fn further(a: &Said, b: &Said, rounds: i64) -> Option<Said> {
    let on = |a: i64, b: i64| b.checked_add(b.checked_sub(a)?.checked_mul(rounds)?);
    let (Said::Along(n, a), Said::Along(_, b)) = (*a, *b) else { return None };
    Some(Said::Along(
        n,
        match (a, b) {
            (Index::Int(a), Index::Int(b)) => Index::Int(on(a, b)?),
            (Index::Slice { start, stop, .. }, Index::Slice { start: from, stop: to, step }) => {
                Index::Slice { start: on(start, from)?, stop: on(stop, to)?, step }
            }
            _ => return None,
        },
    ))
}

/// The rows that follow.
pub(super) struct Others {
    /// Rounds of each, and the number of the one that was looked at last.
    rounds: usize,
    last: usize,
    /// For each operand of a round by how much it is seen elsewhere in the next row.
    by: Vec<Shift>,
}

impl Places {
    /// What the rows, each of which comes right after the one before, have in common.
    pub fn of_rows(mut rows: Vec<Row>) -> Option<Places> {
        let (last, mut next) = (rows.pop()?, rows.pop()?);
        let from_row_to_row = |one: &Row, other: &Row| {
            let alike = one.last == other.last && one.rounds == other.rounds;
            let same = alike && one.places.of == other.places.of && by_round(&one.places) == by_round(&other.places);
            if same { shifts(&one.places.round, &other.places.round) } else { None }
        };
        // The first and the last round of a row are those that come nearest to the ends.
        let rows_left = |one: &Row, other: &Row| -> Option<usize> {
            let at = |round: usize| reach(&one.said(round)?, &other.said(round)?);
            Some(at(0)?.min(at(one.rounds - 1)?))
        };
        let by = from_row_to_row(&next, &last)?;
        let mut most = rows_left(&next, &last)?;
        while let Some(former) = rows.pop() {
            if from_row_to_row(&former, &next)? != by {
                return None;
            }
            most = most.min(rows_left(&former, &next)?.saturating_sub(1));
            next = former;
        }
        let Row { places, last, rounds } = last;
        let operands = places.round.steps.iter().flat_map(|step| &step.operands);
        let along_all_axes = operands.zip(by).map(|(operand, by)| {
            let axes = operand.layout.view.axes.len();
            if by.is_empty() { Shift::from_elem(0, axes) } else { by }
        });
        let by: Vec<Shift> = along_all_axes.collect();
        let both = places.of.iter().zip(&by).map(|(of, by_row)| {
            let still = || Shift::from_elem(0, by_row.len());
            (of.map_or_else(still, |n| places.moving[n as usize].by.clone()), by_row.clone())
        });
        let (moving, of) = moving(&places.round, both)?;
        let rows = Some(Others { rounds, last, by });
        Some(Places { moving, of, done: 0, most, rows, may_go_together: true, ..places })
    }

    /// Whether rows were found that cannot go together.
    pub fn are_rows_apart(&self) -> bool {
        self.rows.is_some() && !self.may_go_together
    }

    /// Does the next rows, so many at most; how many it were.
    pub(super) fn repeat_rows(&mut self, s: &mut Session, held: &[&Array], rows: usize) -> Result<usize> {
        let Some(Others { rounds, last, by }) = self.rows.take() else { return Ok(0) };
        let result = self.repeat_these(s, held, rows, (rounds, last), &by);
        self.rows = Some(Others { rounds, last, by });
        result
    }

    fn repeat_these(
        &mut self,
        s: &mut Session,
        held: &[&Array],
        rows: usize,
        (rounds, last): (usize, usize),
        shifts: &[Shift],
    ) -> Result<usize> {
        if !s.trace.is_empty() {
            s.make_room()?;
        }
        self.done += 1;
        let first = s.trace.recs.len();
        let elements = s.trace.elements;
        self.record_rounds(s, held, 0..MIN_ROUNDS, last)?;
        let work = (s.trace.elements - elements) / MIN_ROUNDS;
        let count = rows.min((MUCH / (rounds * (OF_A_ROUND + work))).max(MANY / rounds).max(1));
        let period = self.round.steps.len();
        let all = Rows { count, rounds, shifts };
        if s.run_rounds(first, period, rounds - MIN_ROUNDS, Some(&all))? {
            self.done += count - 1;
            self.count(s, count * rounds);
            return Ok(count);
        }
        // One is done as it is; the others are better off by themselves.
        self.may_go_together = false;
        self.most = self.done;
        self.count(s, rounds);
        let mut next = MIN_ROUNDS;
        while next < rounds {
            let room = (s.limit.saturating_sub(s.trace.recs.len()) / period).clamp(1, rounds - next);
            self.record_rounds(s, held, next..next + room, last)?;
            s.after_record()?;
            next += room;
        }
        Ok(1)
    }

    /// Records these rounds of the present row.
    fn record_rounds(
        &mut self,
        s: &mut Session,
        held: &[&Array],
        rounds: std::ops::Range<usize>,
        last: usize,
    ) -> Result<()> {
        let mut values: Vec<Shared<Version>> = self.round.values(s, held)?;
        for round in rounds {
            values = self.record(s, &values, (round as i64 - last as i64, self.done as i64));
        }
        self.round.hand_over(s, held, &values);
        Ok(())
    }
}

/// For each layout that moves from round to round by how much.
fn by_round(places: &Places) -> Vec<&Shift> {
    places.moving.iter().map(|m| &m.by).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_goes_on_evenly() {
        let int = |n, i| Said::Along(n, Index::Int(i));
        let slice = |start, stop| Said::Along(9, Index::Slice { start, stop, step: 1 });
        assert_eq!(further(&int(9, 2), &int(9, 3), 4), Some(int(9, 7)));
        assert_eq!(further(&int(9, 2), &int(9, 3), -3), Some(int(9, 0)));
        assert_eq!(further(&int(9, 5), &int(9, 5), 7), Some(int(9, 5)));
        assert_eq!(further(&slice(1, 3), &slice(2, 4), -2), Some(slice(0, 2)));
        assert_eq!(further(&slice(0, i64::MAX), &slice(0, i64::MAX), 100), Some(slice(0, i64::MAX)));
        assert_eq!(further(&slice(0, i64::MAX - 1), &slice(0, i64::MAX), 1), None);
        assert_eq!(further(&int(9, 1), &slice(2, 4), 1), None);
        assert_eq!(further(&Said::Other, &Said::Other, 1), None);
    }
}
