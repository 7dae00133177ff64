//! Rounds of a loop that do the same at other places, run together: `for k in range(n): out[k] = f(a[k])`.
//!
//! Such a loop arrives as many small operations on parts of arrays, of which no two are the same: each round has views of its
//! own. Here rounds that differ only in where they read and write, by the same distance from one to the next, become one round
//! with one more axis in front (what `vmap` does when a program asks for it), so they are planned once, fused, compiled and
//! shared by the threads like any other operation. Numbers may differ from round to round, too.
//!
//! * [`find`] looks for the rounds: none may read what another one writes, and what they compute on the way must be used by
//!   themselves alone.
//! * [`part`] makes a trace of them. What they read is seen through *windows* on the stores, which begin where the first round
//!   reads, so that rounds 100 to 199 are the same trace as rounds 0 to 99 and find the same plan.
//! * [`run`] runs the pieces of a trace one after the other, and puts the results of rounds where the rounds write them.
//!
//! What rounds pass on to the next one (a sum over all of them) is computed round by round behind the rest. A round's own
//! operations keep their order, and reductions their trees: the bits are those of one round after the other.

mod find;
mod part;
mod run;

use smallvec::SmallVec;

pub(crate) use find::{MIN_ROUNDS, Shift, placeless, shift, words};

use crate::Error;
use crate::trace::Src;

/// Where a round's argument comes from.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Role {
    /// What a record of the same round computes (its number in the round).
    Local(u32),
    /// What lies in a store when the rounds begin, seen through the first round's layout moved on by `step` elements a round.
    Store {
        src: Src,
        step: Step,
    },
    /// The value that a record of the same round has written there: the number of that record.
    Written(u32),
    Scalar {
        varies: bool,
    },
    /// The record has no such argument.
    None,
}

/// By how many elements a round's place lies behind that of the round before, and where rounds come in rows, that of a row's round
/// behind that of the same round in the row before.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Step {
    pub(crate) round: i64,
    pub(crate) row: i64,
}

impl Step {
    pub(crate) const NONE: Step = Step { round: 0, row: 0 };
}

/// Rows of rounds, as two loops within each other have them: what one row's rounds do, those of the next do at other places.
pub(crate) struct Rows<'a> {
    pub(crate) count: usize,
    /// Rounds of a row.
    pub(crate) rounds: usize,
    /// For each argument of a round's records by how much it is seen elsewhere in the next row.
    pub(crate) shifts: &'a [Shift],
}

/// Rounds that do the same at other places.
pub(crate) struct Group {
    /// The first record of the first round.
    pub(crate) start: usize,
    /// Records of a round.
    pub(crate) period: usize,
    pub(crate) rounds: usize,
    /// If so many rounds are a row of several, how many rows there are.
    pub(crate) rows: Option<usize>,
    /// Of the rounds, the ones that the trace has. If there are more, every round has the same numbers, and nothing is kept or carried.
    pub(crate) recorded: usize,
    /// Of each record of a round.
    pub(crate) roles: Vec<[Role; 3]>,
    /// The records of a round that write into a store that outlives it.
    pub(crate) writes: SmallVec<[Write; 2]>,
    /// The records of a round whose results are read elsewhere, too: by who holds them, by records behind the rounds, or by the
    /// round's carried ones.
    pub(crate) kept: Vec<u32>,
    /// For each record of a round whether it runs by itself, round by round: because it goes on from the round before, or is
    /// of a kind that has no axis more.
    pub(crate) carried: Vec<bool>,
}

pub(crate) struct Write {
    /// The record's number in the round.
    pub(crate) record: u32,
    /// What it writes to, as it is when the rounds begin.
    pub(crate) base: Src,
    pub(crate) step: Step,
    /// The last write of the round to this base.
    pub(crate) last: bool,
}

/// A fault of the search for rounds: nothing that a program can cause.
fn missing() -> Error {
    Error::Runtime("a value between the parts of a trace is missing".into())
}

impl Group {
    pub(crate) fn end(&self) -> usize {
        self.start + self.period * self.recorded
    }

    /// What the group can be cut into: rows, or rounds; and how many rounds each is.
    fn pieces(&self) -> (usize, usize) {
        match self.rows {
            Some(rows) => (rows, self.rounds),
            None => (self.rounds, 1),
        }
    }

    /// By how much the place of a piece lies behind that of the one before.
    fn between_pieces(&self, step: Step) -> i64 {
        if self.rows.is_some() { step.row } else { step.round }
    }

    /// The axes before those of a round's values, and how far apart their elements lie, for so many pieces.
    fn axes(&self, pieces: usize, step: Step) -> SmallVec<[(usize, i64); 2]> {
        match self.rows {
            Some(_) => SmallVec::from_slice(&[(pieces, step.row), (self.rounds, step.round)]),
            None => SmallVec::from_slice(&[(pieces, step.round)]),
        }
    }
}
