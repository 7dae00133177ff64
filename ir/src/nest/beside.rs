//! Rounds that are done beside each other by one thread: while one waits for what it has just computed, the processor works on another.
//!
//! `for k in range(n): x = 0.5; for _ in range(steps): x = r[k] * x * (1 - x)` is a chain of operations in which each waits for the one
//! before, and a processor that could do several at once has nothing else to do (unroll-and-jam: Callahan, Carr & Kennedy 1990).
//! Rounds of the outer loop that have nothing to do with each other have chains of their own.

use std::collections::BTreeSet;

use super::code::{Ins, Op, Operand};
use super::{Foreseen, Program};

/// Rounds whose inner loop is done for several of them at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    /// The instructions before the inner loop, which write nothing but registers.
    pub before: Vec<usize>,
    /// The inner loop's head.
    pub head: usize,
    pub inner: Foreseen,
    /// The instructions after it, but for the end of the round.
    pub after: Vec<usize>,
    /// How many rounds.
    pub rounds: usize,
}

/// Instructions of a round of the inner loop, at most, so that so many fit beside each other: what they do must be short enough for the
/// processor to see them all, and their numbers few enough for its registers.
const LENGTHS: [(usize, usize); 2] = [(20, 4), (40, 2)];

impl Program {
    /// How rounds can be done beside each other, if they have nothing to do with each other (as [`Program::independent`] says) and
    /// all they do is one inner loop whose rounds wait for each other.
    pub fn beside(&self) -> Option<Beside> {
        let (before, head) = self.straight_to(0, |op| op == Op::NextOfRange)?;
        let Ins { a: range, b: number, c: over, .. } = self.code[head];
        let kept = self.independent()?;
        if !kept.iter().all(|&r| r == number as usize) {
            return None;
        }
        let inner = self.foreseen(head)?;
        let (after, _) = self.straight_to(over as usize, |op| op == Op::EndRound)?;
        let starts = |n: &&usize| self.code[**n].op == Op::StartRange;
        let start = before.iter().find(starts)?;
        let [ever, ..] = self.written();
        let step = self.code[*start].d as usize;
        let constant = !ever[step] && self.int_constants.iter().any(|c| c.0 == step && c.1 != 0 && c.1 != i64::MIN);
        let plain = |&n: &usize| is_plain(self.code[n].op);
        let silent = |&n: &usize| !self.code[n].op.notes_one();
        let no_other = before.iter().filter(starts).count() == 1 && !after.iter().any(|n| starts(&n));
        let inside = |&n: &usize| match self.code[n].op {
            Op::Index | Op::MoveView | Op::Transpose => false,
            Op::Jump | Op::Again => true,
            Op::JumpIf | Op::JumpUnless => inner.flat,
            op => is_plain(op),
        };
        let noted = |n: &usize| !self.code[*n].op.notes_one() || inner.noted.contains_key(n);
        let fine = constant
            && no_other
            && self.code[*start].a == range
            && before.iter().filter(|n| !starts(n)).all(plain)
            && before.iter().all(silent)
            && after.iter().all(plain)
            && inner.body.iter().all(|n| inside(n) && noted(n))
            && self.waits(&inner, number);
        let length = inner.body.iter().filter(|&&n| !is_move(self.code[n].op)).count();
        let rounds = LENGTHS.iter().find(|(most, _)| length <= *most)?.1;
        fine.then_some(Beside { before, head, inner, after, rounds })
    }

    /// The instructions from a place on to one of a kind, if the way there goes straight.
    fn straight_to(&self, mut n: usize, end: impl Fn(Op) -> bool) -> Option<(Vec<usize>, usize)> {
        let mut way = Vec::new();
        loop {
            let ins = &self.code[n];
            match ins.op {
                op if end(op) => return Some((way, n)),
                Op::Jump => n = Some(self.followed(n)).filter(|&on| on > n)?,
                _ if ins.named().any(|(kind, _)| kind == Operand::Target) => return None,
                Op::EndRound | Op::Leave => return None,
                _ => {
                    way.push(n);
                    n += 1;
                }
            }
        }
    }

    /// Whether rounds of a loop wait for a float that the round before has computed.
    fn waits(&self, inner: &Foreseen, number: u16) -> bool {
        let (mut written, mut before) = (BTreeSet::new(), BTreeSet::new());
        for &n in &inner.body {
            let ins = &self.code[n];
            self.reads(ins, |bank, r| {
                if !written.contains(&(bank, r)) && (bank, r) != (0, number as usize) && bank < 2 {
                    before.insert((bank, r));
                }
            });
            ins.writes(|bank, r| {
                written.insert((bank, r));
            });
        }
        inner.carried.is_some() || before.iter().any(|r| r.0 == 1 && written.contains(r))
    }
}

fn is_move(op: Op) -> bool {
    matches!(op, Op::MoveInt | Op::MoveFloat | Op::Jump | Op::JumpIf | Op::JumpUnless | Op::Again)
}

/// Whether an instruction takes but a moment, and asks nobody else.
fn is_plain(op: Op) -> bool {
    use Op::*;
    let of_ints = matches!(
        op,
        MoveInt
            | AddInt
            | SubtractInt
            | MultiplyInt
            | NegateInt
            | AbsoluteInt
            | LessInt
            | LessEqualInt
            | EqualInt
            | Not
    );
    let of_floats = matches!(
        op,
        MoveFloat | Add | Subtract | Multiply | Divide | Negate | Absolute | Sqrt | Less | LessEqual | Equal | Round
    );
    let of_both = matches!(op, ToFloat | ToInt | FloorDivideInt | RemainderInt);
    let of_views = matches!(op, Length | Index | MoveView | Transpose);
    of_ints || of_floats || of_both || of_views || op.is_element()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds with a matrix of integers `v0` that is written, vectors of floats `v1`, and `v2` that is written; `i1` to `i3` stay, `i4` is 1.
    fn beside(code: &[&str]) -> Option<Beside> {
        let code: Vec<String> = code.iter().enumerate().map(|(n, line)| format!("  {n}: {line}\n")).collect();
        let arrays = "  v0 = i64 2 written\n  v1 = f64 1\n  v2 = f64 1 written\n";
        let head = "nest ints 20 floats 9 views 9 memories 1 variable i0 {\n";
        format!("{head}{arrays}  i4 = 1\n{}}}\n", code.concat()).parse::<Program>().unwrap().beside()
    }

    /// Orbits that are counted.
    const ORBITS: [&str; 14] = [
        "move_float f1 f0",
        "start_range i6 i1 i2 i4",
        "next_of_range i6 i9 ->13",
        "load_f64_1 f2 v1 i0",
        "multiply f3 f2 f1",
        "subtract f4 f7 f1",
        "multiply f1 f3 f4",
        "multiply f5 f1 f6",
        "to_int i10 f5",
        "load_i64_2 i11 v0 i0 i10",
        "add_int i11 i11 i4",
        "store_i64_2 i11 v0 i0 i10",
        "again i6 i9 ->3",
        "end_round",
    ];

    fn with(at: usize, line: &'static str) -> [&'static str; 14] {
        let mut code = ORBITS;
        code[at] = line;
        code
    }

    #[test]
    fn rounds_whose_inner_loops_wait() {
        let plan = beside(&ORBITS).unwrap();
        assert_eq!((plan.before, plan.head, plan.after, plan.rounds), (vec![0, 1], 2, vec![], 4));
        // What comes after the inner loop may store.
        let mut stores = ORBITS.to_vec();
        stores[2] = "next_of_range i6 i9 ->13";
        stores.insert(13, "store_f64_1 f1 v2 i0");
        assert_eq!(beside(&stores).unwrap().after, [13]);
    }

    #[test]
    fn others_go_one_after_the_other() {
        // One that reads what the one before has left, in a register or in another row.
        assert_eq!(beside(&with(0, "move_float f2 f0")), None);
        assert_eq!(beside(&with(9, "load_i64_2 i11 v0 i1 i10")), None);
        // One that stores before the inner loop, so that it cannot begin again.
        assert_eq!(beside(&with(0, "store_f64_1 f0 v2 i0")), None);
        // One whose inner loop does not wait, or calls.
        assert_eq!(beside(&with(6, "multiply f8 f3 f4")), None);
        assert_eq!(beside(&with(7, "power f5 f1 f6")), None);
        // One with a step that is not known.
        assert_eq!(beside(&with(1, "start_range i6 i1 i2 i3")), None);
    }
}
