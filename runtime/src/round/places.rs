//! Rounds that do the same at other places, which move on evenly: `out[k] = f(a[k - 1 : k + 2])`.
//!
//! Such a round is learned from a few that follow each other ([`begin`], [`end`], [`Places::learn`]): the same records, but that their
//! operands are seen through layouts that begin elsewhere, by the same distance from one round to the next. The front end knows
//! that all numbers in the program's index expressions move on evenly, too; those were noted as they were said, before ends
//! beyond an array's were cut off and what is negative was counted from its end. So it is known until when the layouts go on so:
//! as long as no number crosses zero, or an end of its axis.
//!
//! Where such a loop stands in another one whose rounds do nothing else (`out[i, j] = f(a[i : i + 3, j : j + 3])`), its rounds are a
//! *row*, and the rows that follow are learned from a few in the same way ([`rows`]).

pub mod rows;

use smallvec::SmallVec;

use super::{Array, From, Moved, Operand, Round, Session, Shared, Version, lock};
use crate::Result;
use crate::array::index::{Index, Said, heard, listen};
use crate::batch::{MIN_ROUNDS, Shift, placeless, shift};
use crate::layout::{Class, Layout};
use rows::Others;

/// Records of rounds for which it is worth to run them at once.
const TOGETHER: usize = 96;
/// Elements of what goes together, so that others have their turn, for how many a round counts beside its own, and rounds that do so
/// in any case.
const MUCH: usize = 1 << 26;
const OF_A_ROUND: usize = 128;
const MANY: usize = 32;

/// A round that was looked at.
pub struct Looked {
    round: Round,
    /// The trace that has it, and its first record.
    at: (u32, usize),
    said: Vec<Said>,
}

/// See [`super::begin`]; for a round that may be one of many at other places.
pub fn begin(held: &[&Array]) {
    super::begin(held);
    listen();
}

/// The round since `begin`, if it can be repeated.
pub fn end(held: &[&Array]) -> Option<Looked> {
    let (round, said) = (super::end(held), heard());
    let (round, said, s) = (round?, said?, lock());
    let at = (s.trace.epoch, s.trace.recs.len() - round.steps.len());
    Some(Looked { round, at, said })
}

/// A layout that moves on.
struct Moving {
    layout: Shared<Layout>,
    by: Shift,
    /// From row to row; empty where there is but one.
    by_row: Shift,
}

impl Moving {
    fn after(&self, rounds: i64, rows: i64) -> Shared<Layout> {
        let mut by: Shift = self.by.iter().map(|by| by * rounds).collect();
        by.iter_mut().zip(&self.by_row).for_each(|(by, row)| *by += row * rows);
        self.layout.moved(&by)
    }
}

/// What moves on from round to round and from row to row, of which the operands of a round are given both; and for each operand which
/// one of these its layout is.
fn moving(round: &Round, by: impl Iterator<Item = (Shift, Shift)>) -> Option<(Vec<Moving>, Vec<Option<u32>>)> {
    let (mut moving, mut of): (Vec<Moving>, Vec<Option<u32>>) = (Vec::new(), Vec::new());
    let operands = round.steps.iter().flat_map(|step| &step.operands);
    for (operand, (by, by_row)) in operands.zip(by) {
        if by.iter().chain(&by_row).all(|&by| by == 0) {
            of.push(None);
            continue;
        }
        // What moves has room to do so.
        if operand.layout.class != Class::Partial {
            return None;
        }
        let same = |m: &Moving| m.layout.hash == operand.layout.hash && m.by == by && m.by_row == by_row;
        let known = moving.iter().position(same);
        of.push(Some(known.unwrap_or(moving.len()) as u32));
        if known.is_none() {
            moving.push(Moving { layout: operand.layout.clone(), by, by_row });
        }
    }
    Some((moving, of))
}

/// A round at places that move on.
pub struct Places {
    round: Round,
    moving: Vec<Moving>,
    /// For each operand of the round, which one of `moving` is its layout.
    of: Vec<Option<u32>>,
    /// Rounds (or rows) that were done since the one that was looked at last, and how many there may be.
    done: usize,
    most: usize,
    /// Rounds that were looked at, and how many before those do the same.
    looked: usize,
    before: usize,
    /// What the last two rounds that were looked at said.
    said: [Vec<Said>; 2],
    /// Where these are rows of rounds.
    rows: Option<Others>,
    may_go_together: bool,
    /// The trace that has the first round that was looked at, and that one's first record.
    first: (u32, usize),
    /// Scratch.
    layouts: Vec<Shared<Layout>>,
}

impl Places {
    /// What the rounds, each of which comes right after the one before, have in common.
    pub fn learn(mut rounds: Vec<Looked>) -> Option<Places> {
        let looked = rounds.len();
        let last = rounds.pop()?;
        let before = rounds.pop()?;
        let by = shifts(&before.round, &last.round)?;
        let mut most = reach(&before.said, &last.said)?;
        let mut former_ones = reach(&last.said, &before.said)?;
        let said = [before.said.clone(), last.said];
        let mut next = before;
        let mut first = next.at;
        while let Some(former) = rounds.pop() {
            if shifts(&former.round, &next.round)? != by {
                return None;
            }
            most = most.min(reach(&former.said, &next.said)?.saturating_sub(1));
            former_ones = former_ones.saturating_sub(1).min(reach(&next.said, &former.said)?);
            next = former;
            first = next.at;
        }
        let (moving, of) = moving(&last.round, by.into_iter().map(|by| (by, Shift::new())))?;
        if last.round.order != 1 || moving.is_empty() {
            return None;
        }
        Some(Places {
            round: last.round,
            moving,
            of,
            done: 0,
            most,
            looked,
            before: former_ones,
            said,
            rows: None,
            may_go_together: true,
            first,
            layouts: Vec::new(),
        })
    }

    pub fn round(&self) -> &Round {
        &self.round
    }

    /// Rounds that go on so.
    pub fn left(&self) -> usize {
        self.most - self.done.min(self.most)
    }

    /// The program did so many rounds itself.
    pub fn pass(&mut self, rounds: usize) {
        self.done += rounds;
    }

    /// Does the next rounds, so many at most; how many it were. Rows, where these are such.
    pub fn repeat(&mut self, held: &[&Array], rounds: usize) -> Result<usize> {
        let mut s = lock();
        let s = &mut *s;
        let rounds = rounds.min(self.left());
        if self.rows.is_some() {
            return self.repeat_rows(s, held, rounds);
        }
        if self.may_go_together
            && rounds > MIN_ROUNDS
            && rounds * self.round.steps.len() >= TOGETHER
            && let Some(count) = self.together(s, held, rounds)?
        {
            return Ok(count);
        }
        let room = s.limit.saturating_sub(s.trace.recs.len()) / self.round.steps.len();
        let count = rounds.min(room.max(1));
        self.record_some(s, held, count)?;
        self.count(s, count);
        s.after_record()?;
        Ok(count)
    }

    fn record_some(&mut self, s: &mut Session, held: &[&Array], rounds: usize) -> Result<()> {
        let mut values = self.round.values(s, held)?;
        for _ in 0..rounds {
            self.done += 1;
            values = self.record(s, &values, (self.done as i64, 0));
        }
        self.round.hand_over(s, held, &values);
        Ok(())
    }

    fn count(&self, s: &mut Session, rounds: usize) {
        s.counters.recorded += (rounds * self.round.steps.len()) as u64;
        s.counters.rounds_repeated += rounds as u64;
    }

    /// Records a few of the rounds, and has the trace run as if they were many.
    fn together(&mut self, s: &mut Session, held: &[&Array], rounds: usize) -> Result<Option<usize>> {
        let period = self.round.steps.len();
        // Those that were looked at are perhaps still there.
        let mut known = 0;
        if s.trace.epoch == self.first.0 && (s.trace.recs.len() - self.first.1).is_multiple_of(period) {
            known = (s.trace.recs.len() - self.first.1) / period;
        } else if !s.trace.is_empty() {
            s.make_room()?;
        }
        let some = MIN_ROUNDS.saturating_sub(known).max(1);
        if rounds <= some {
            return Ok(None);
        }
        let (own, elements) = (s.trace.recs.len(), s.trace.elements);
        self.record_some(s, held, some)?;
        self.count(s, some);
        let work = (s.trace.elements - elements) / some;
        let more = |rounds: usize| rounds.min((MUCH / (OF_A_ROUND + work)).max(MANY));
        let mut done = some;
        let mut run = s.run_rounds(own - known * period, period, more(rounds - done), None)?;
        if !run && known > 0 && rounds > MIN_ROUNDS {
            // Names of the program hold what its own rounds have left, so those differ from the others.
            done = MIN_ROUNDS;
            self.record_some(s, held, done - some)?;
            self.count(s, done - some);
            run = s.run_rounds(own, period, more(rounds - done), None)?;
        }
        if run {
            let more = more(rounds - done);
            self.done += more;
            self.count(s, more);
            return Ok(Some(done + more));
        }
        self.may_go_together = false;
        s.after_record()?;
        Ok(Some(done))
    }

    /// Records a round that comes so many rounds and rows after the one that was looked at last.
    fn record(
        &mut self,
        s: &mut Session,
        values: &[Shared<Version>],
        (rounds, rows): (i64, i64),
    ) -> Vec<Shared<Version>> {
        self.layouts.clear();
        self.layouts.extend(self.moving.iter().map(|m| m.after(rounds, rows)));
        self.round.record(s, values, Some(&Moved { layouts: &self.layouts, of: &self.of }))
    }
}

/// By how much each operand of a round is seen elsewhere in the other one; `None` where they do not do the same.
fn shifts(one: &Round, other: &Round) -> Option<Vec<Shift>> {
    let alike = one.shown == other.shown
        && one.ends == other.ends
        && one.order == other.order
        && one.replaced == other.replaced
        && one.numbers == other.numbers
        && one.steps.len() == other.steps.len();
    if !alike {
        return None;
    }
    let mut all = Vec::new();
    for (a, b) in one.steps.iter().zip(&other.steps) {
        let alike = a.op.word() == b.op.word()
            && a.reduce == b.reduce
            && a.dtype == b.dtype
            && a.shape.hash == b.shape.hash
            && a.perm == b.perm
            && a.full.hash == b.full.hash
            && a.operands.len() == b.operands.len();
        if !alike {
            return None;
        }
        for (a, b) in a.operands.iter().zip(&b.operands) {
            all.push(moved(a, b)?);
        }
    }
    Some(all)
}

fn moved(a: &Operand, b: &Operand) -> Option<Shift> {
    if a.from != b.from || a.cast != b.cast || a.part != b.part {
        return None;
    }
    if matches!(a.from, From::Number(_)) || a.layout.hash == b.layout.hash {
        return Some(Shift::new());
    }
    if placeless(&a.layout) != placeless(&b.layout) {
        return None;
    }
    shift(&a.layout, &b.layout)
}

/// For how many rounds after the second one what was said goes on as it did from the first to the second.
fn reach(one: &[Said], other: &[Said]) -> Option<usize> {
    if one.len() != other.len() {
        return None;
    }
    let mut most = usize::MAX;
    for said in one.iter().zip(other) {
        most = most.min(match said {
            (Said::Along(n, a), Said::Along(m, b)) if n == m => along(*n as i64, a, b)?,
            _ => return None,
        });
    }
    Some(most)
}

fn along(n: i64, a: &Index, b: &Index) -> Option<usize> {
    match (*a, *b) {
        (Index::Int(a), Index::Int(b)) => {
            let within = Within::of(b, &[-n, 0, n])?;
            within.has(a).then(|| within.rounds(b, b.checked_sub(a)))?
        }
        (
            Index::Slice { start: from, stop: to, step },
            Index::Slice { start: next_from, stop: next_to, step: next_step },
        ) => {
            if from == next_from && to == next_to && step == next_step {
                return Some(usize::MAX);
            }
            if step != next_step {
                return None;
            }
            // A slice may end behind the last element, or where it goes backwards, before the first.
            let ends = [i64::MIN, -n, 0, if step > 0 { n + 1 } else { n }, i64::MAX];
            let mut shifts: SmallVec<[i64; 2]> = SmallVec::new();
            let mut most = usize::MAX;
            for (a, b) in [(from, next_from), (to, next_to)] {
                let within = Within::of(b, &ends)?;
                let by = b.checked_sub(a)?;
                if !within.has(a) {
                    return None;
                }
                most = most.min(within.rounds(b, Some(by))?);
                // Ends that are cut off stay where they are.
                let cut = within.low == i64::MIN || within.high == i64::MAX;
                shifts.push(if cut { 0 } else { by });
            }
            let at = |v: i64| if v < 0 { v.saturating_add(n).max(-1) } else { v.min(n) };
            let length = if step > 0 { at(next_to) - at(next_from) } else { at(next_from) - at(next_to) };
            // All of it moves, and there is something of it.
            (shifts[0] == shifts[1] && (shifts[0] == 0 || length > 0)).then_some(most)
        }
        _ => None,
    }
}

/// Numbers from `low` to before `high`, which mean the same.
struct Within {
    low: i64,
    high: i64,
}

impl Within {
    fn of(v: i64, ends: &[i64]) -> Option<Within> {
        let found = ends.windows(2).find(|w| w[0] <= v && (v < w[1] || w[1] == i64::MAX))?;
        Some(Within { low: found[0], high: found[1] })
    }

    fn has(&self, v: i64) -> bool {
        self.low <= v && (v < self.high || self.high == i64::MAX)
    }

    /// How often `by` can be added to a number without leaving.
    fn rounds(&self, v: i64, by: Option<i64>) -> Option<usize> {
        let by = by?;
        let room = match by {
            0 => return Some(usize::MAX),
            ..0 => v as i128 - self.low as i128,
            1.. => self.high as i128 - 1 - v as i128,
        };
        Some((room / by.unsigned_abs() as i128) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slices(n: i64, a: (i64, i64), b: (i64, i64), step: i64) -> Option<usize> {
        let slice = |(start, stop): (i64, i64)| Index::Slice { start, stop, step };
        along(n, &slice(a), &slice(b))
    }

    #[test]
    fn integers_go_on_to_the_ends_of_the_axis() {
        let ints = |n, a, b| along(n, &Index::Int(a), &Index::Int(b));
        assert_eq!(ints(10, 0, 1), Some(8));
        assert_eq!(ints(10, 3, 5), Some(2));
        assert_eq!(ints(10, 7, 6), Some(6));
        assert_eq!(ints(10, -1, 0), None);
        assert_eq!(ints(10, -1, -2), Some(8));
        assert_eq!(ints(10, -9, -8), Some(7));
        assert_eq!(ints(10, 4, 4), Some(usize::MAX));
    }

    #[test]
    fn slices_go_on_until_one_is_cut_off() {
        assert_eq!(slices(10, (0, 5), (1, 6), 1), Some(4));
        assert_eq!(slices(10, (-8, -3), (-7, -2), 1), Some(1));
        // What is cut off at the end gets shorter.
        assert_eq!(slices(10, (6, 11), (7, 12), 1), None);
        assert_eq!(slices(10, (6, i64::MAX), (7, i64::MAX), 1), None);
        assert_eq!(slices(10, (2, 4), (2, 5), 1), None);
        // So are empty ones, wherever they begin.
        assert_eq!(slices(10, (5, 5), (6, 6), 1), None);
        assert!(slices(10, (11, 13), (12, 14), 1).is_some());
        assert_eq!(slices(10, (5, 1), (6, 2), -1), Some(3));
        assert_eq!(slices(10, (0, 9), (0, 9), 1), Some(usize::MAX));
    }

    /// What `along` promises is what Python's slices do.
    #[test]
    fn promises_are_kept() {
        let real = |n: i64, (start, stop): (i64, i64), step: i64| {
            let whole = Array::zeros(&[n as usize], legate_jit_ir::DType::I8).unwrap();
            let part = whole.index(&[Index::Slice { start, stop, step }]).unwrap();
            (part.layout.offset, part.layout.size)
        };
        for n in 1..6 {
            for step in [-2, -1, 1, 2] {
                for start in -8..8 {
                    for stop in -8..8 {
                        for (by_start, by_stop) in [(1, 1), (-1, -1), (2, 2), (1, 0), (0, 1), (2, 1), (-2, -2)] {
                            let at = |k: i64| (start + k * by_start, stop + k * by_stop);
                            let Some(most) = slices(n, at(0), at(1), step) else { continue };
                            let (zero, one) = (real(n, at(0), step), real(n, at(1), step));
                            if zero.1 == 0 || one.1 == 0 {
                                continue;
                            }
                            for k in 2..2 + most.min(20) as i64 {
                                let want = (zero.0 + k * (one.0 - zero.0), zero.1);
                                assert_eq!(real(n, at(k), step), want, "{start}:{stop}:{step} of {n}, round {k}");
                            }
                        }
                    }
                }
            }
        }
    }
}
