//! Whether the rounds of a nest have nothing to do with each other, so that several threads may do them at once.

use super::code::{Ins, Op, Operand};
use super::{Item, Program};

/// An integer that no round writes to what it may leave unwritten.
pub const UNWRITTEN: i64 = i64::MIN + 0x51ee9;

/// What is known of a view.
#[derive(Clone, PartialEq, Default)]
struct Origin {
    /// The given arrays whose elements it may have, by their number.
    arrays: Vec<usize>,
    /// It may have elements of other rows than that of the round's number.
    free: bool,
}

impl Program {
    /// Whether no round uses what another one leaves behind: in registers, or in arrays. Of an array that is written all elements
    /// that a round uses are in the row of its number; whoever runs rounds at once has to see to it that the numbers are those of
    /// different rows, and that arrays that are written share no memory with others.
    ///
    /// Then here are the integers that a round may not have written at its end: they keep what an earlier one wrote. What is
    /// written to them is far from [`UNWRITTEN`].
    pub fn independent(&self) -> Option<Vec<usize>> {
        if self.crosses_rows() {
            return None;
        }
        let mut written = self.written();
        written[0][self.variable] = false;
        let carried = |live: &[Vec<bool>; 3]| {
            let of_bank = |(w, l): (&Vec<bool>, &Vec<bool>)| {
                w.iter().zip(l).enumerate().filter(|(_, (w, l))| **w && **l).map(|(r, _)| r).collect::<Vec<_>>()
            };
            [0, 1, 2].map(|bank| of_bank((&written[bank], &live[bank])))
        };
        let [ints, floats, views] = carried(&self.read_first(true));
        let read = carried(&self.read_first(false));
        let bits = self.bits(false);
        let passes = read.iter().all(Vec::is_empty) && floats.is_empty() && views.is_empty();
        (passes && ints.iter().all(|&r| bits[r] < 62 || self.counts_up(r, &bits))).then_some(ints)
    }

    /// Whether all that is written to a register is the numbers of ranges that begin in sight and go up.
    fn counts_up(&self, r: usize, bits: &[u32]) -> bool {
        let constant = |r: u16| self.int_constants.iter().find(|c| c.0 == r as usize).map(|c| c.1);
        let upwards = |range: u16| {
            let mut starts = self.code.iter().filter(|ins| ins.op == Op::StartRange && ins.a == range);
            starts.all(|ins| bits[ins.b as usize] < 62 && constant(ins.d).is_some_and(|step| step > 0))
        };
        self.code.iter().all(|ins| {
            let mut writes = false;
            ins.writes(|bank, to| writes |= bank == 0 && to == r);
            let counts = matches!(ins.op, Op::NextOfRange | Op::Again) && ins.b as usize == r;
            !writes || counts && upwards(ins.a)
        })
    }

    /// The registers that are read in a round before they are written there, or, `kept`, kept without having been.
    fn read_first(&self, kept: bool) -> [Vec<bool>; 3] {
        let counts = [self.ints, self.floats, self.views];
        let nothing = || counts.map(|n| vec![false; n]);
        let mut live: Vec<[Vec<bool>; 3]> = (0..=self.code.len()).map(|_| nothing()).collect();
        loop {
            let mut changed = false;
            for (n, ins) in self.code.iter().enumerate().rev() {
                let mut here = nothing();
                // A range that has no next number leaves the last one.
                let taken = match ins.op {
                    Op::NextOfRange => Some(n + 1),
                    Op::Again => Some(ins.c as usize),
                    _ => None,
                };
                for next in ins.next(n) {
                    let mut there = live[next].clone();
                    if taken.is_some() {
                        there[0][ins.b as usize] &= taken != Some(next);
                    } else {
                        ins.writes(|bank, r| there[bank][r] = false);
                    }
                    for (bank, there) in here.iter_mut().zip(there) {
                        bank.iter_mut().zip(there).for_each(|(here, there)| *here |= there);
                    }
                }
                if kept && ins.op == Op::EndRound {
                    self.kept_ints.iter().for_each(|&r| here[0][r] = true);
                    self.kept_floats.iter().for_each(|&r| here[1][r] = true);
                }
                self.reads(ins, |bank, r| here[bank][r] = true);
                if here != live[n] {
                    live[n] = here;
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        live.swap_remove(0)
    }

    /// The registers that an instruction reads, by their banks: integers, floats, views.
    pub(super) fn reads(&self, ins: &Ins, mut read: impl FnMut(usize, usize)) {
        for (k, (kind, r)) in ins.named().enumerate() {
            let written = k == 0 && ins.op.writes_first() || k == 1 && matches!(ins.op, Op::NextOfRange | Op::Again);
            match kind {
                Operand::Int if !written => read(0, r),
                Operand::Float if !written => read(1, r),
                Operand::View if !written => read(2, r),
                Operand::Range if ins.op != Op::StartRange => (r..r + 3).for_each(|r| read(0, r)),
                Operand::Indices => {
                    for item in &self.items[r..r + ins.d as usize] {
                        match *item {
                            Item::Int(i) => read(0, i as usize),
                            Item::Slice(a, b, _) => a.into_iter().chain(b).for_each(|i| read(0, i as usize)),
                            Item::New => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The registers that always hold the round's number.
    fn numbers_of_round(&self) -> Vec<bool> {
        let mut same = vec![false; self.ints];
        let mut moved = vec![false; self.ints];
        for ins in &self.code {
            ins.writes(|bank, r| {
                if bank == 0 {
                    moved[r] = true;
                }
            });
        }
        if moved[self.variable] {
            return same;
        }
        same.iter_mut().zip(&moved).for_each(|(same, &moved)| *same = moved);
        same[self.variable] = true;
        loop {
            let before = same.clone();
            for ins in &self.code {
                let copies = ins.op == Op::MoveInt && before[ins.b as usize];
                ins.writes(|bank, r| {
                    if bank == 0 && !copies {
                        same[r] = false;
                    }
                });
            }
            if same == before {
                return same;
            }
        }
    }

    /// Whether rounds may use elements of an array that is written in rows that are not their own.
    fn crosses_rows(&self) -> bool {
        let own = self.numbers_of_round();
        let [.., written_views] = self.written();
        let mut origins = vec![Origin::default(); self.views];
        for (n, given) in self.arrays.iter().enumerate() {
            origins[given.register].arrays.push(n);
            origins[given.register].free = true;
        }
        let stays = |v: u16| !written_views[v as usize];
        let first_is_own = |ins: &Ins| {
            let items = &self.items[ins.c as usize..][..ins.d as usize];
            matches!(items.first(), Some(&Item::Int(r)) if own[r as usize])
        };
        loop {
            let before = origins.clone();
            for ins in &self.code {
                let mut made = match ins.op {
                    Op::MoveView | Op::Transpose | Op::Index => before[ins.b as usize].clone(),
                    _ => continue,
                };
                if ins.op == Op::Index && stays(ins.b) && first_is_own(ins) {
                    made.free = false;
                }
                let to = &mut origins[ins.a as usize];
                to.free |= made.free;
                made.arrays.retain(|n| !to.arrays.contains(n));
                to.arrays.extend(made.arrays);
            }
            if origins == before {
                break;
            }
        }
        let (mut free, mut written) = (vec![false; self.arrays.len()], vec![false; self.arrays.len()]);
        for ins in &self.code {
            if matches!(ins.op, Op::MoveView | Op::Transpose | Op::Index | Op::Length) {
                continue;
            }
            let element = ins.op.is_element();
            for (k, (kind, v)) in ins.named().enumerate() {
                if kind != Operand::View || k == 0 && ins.op.writes_first() {
                    continue;
                }
                let own_row = element && stays(v as u16) && ins.op.indices() > 0 && own[ins.c as usize];
                let writes = ins.op.notes_one() || k == 0;
                for &n in &origins[v].arrays {
                    free[n] |= origins[v].free && !own_row;
                    written[n] |= writes;
                }
            }
        }
        written.iter().zip(free).any(|(&written, free)| written && free)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Given;
    use super::*;
    use crate::DType;

    /// Rounds with two arrays, `v0[i0, …]` and `v1[i0]`; `i1` stays, `i2`, `i3` and `f0` to `f2` are written.
    fn independent(code: &[(&str, &[u32])], items: Vec<Item>, kept: &[usize]) -> bool {
        let given = |register, axes| Given { register, dtype: DType::F64, axes, written: true, unit: false };
        let program = Program {
            code: code.iter().map(|(name, operands)| Ins::new(name, operands).unwrap()).collect(),
            items,
            ints: 8,
            floats: 3,
            views: 4,
            memories: 1,
            arrays: vec![given(0, 2), given(1, 1)],
            kept_floats: kept.to_vec(),
            ..Program::default()
        };
        program.check().unwrap();
        program.independent().is_some()
    }

    #[test]
    fn rows_of_the_rounds_own_number_are_apart() {
        let end: (&str, &[u32]) = ("end_round", &[]);
        let load: (&str, &[u32]) = ("load_f64_2", &[0, 0, 0, 1]);
        let store: (&str, &[u32]) = ("store_f64_1", &[0, 1, 0]);
        assert!(independent(&[load, store, end], vec![], &[]));
        // By a copy of the number, and one that is not always a copy.
        let by_copy: (&str, &[u32]) = ("store_f64_1", &[0, 1, 2]);
        assert!(independent(&[("move_int", &[2, 0]), load, by_copy, end], vec![], &[]));
        assert!(!independent(&[("move_int", &[2, 0]), ("move_int", &[2, 1]), load, by_copy, end], vec![], &[]));
        // In another row, where it is written or read; reading alone is no harm.
        assert!(!independent(&[load, ("store_f64_1", &[0, 1, 1]), end], vec![], &[]));
        assert!(!independent(&[("load_f64_1", &[0, 1, 1]), store, end], vec![], &[]));
        assert!(independent(&[("load_f64_2", &[0, 0, 1, 1]), store, end], vec![], &[]));
        // By rows of the number's own, and of another.
        let of_row = |r| vec![Item::Int(r), Item::Slice(None, None, 1)];
        let update: [(&str, &[u32]); 3] = [("index", &[2, 0, 0, 2]), ("update_f64", &[2, 2, 0]), end];
        assert!(independent(&update, of_row(0), &[]));
        assert!(!independent(&update, of_row(1), &[]));
        // A row of a transposed array is none of its rows.
        let transposed: [(&str, &[u32]); 4] =
            [("transpose", &[3, 0]), ("index", &[2, 3, 0, 2]), ("update_f64", &[2, 2, 0]), end];
        assert!(!independent(&transposed, of_row(0), &[]));
    }

    #[test]
    fn what_is_left_in_registers_is_carried() {
        let end: (&str, &[u32]) = ("end_round", &[]);
        let load: (&str, &[u32]) = ("load_f64_1", &[0, 1, 0]);
        let add: (&str, &[u32]) = ("add", &[1, 1, 0]);
        assert!(independent(&[load, end], vec![], &[0]));
        assert!(!independent(&[load, add, end], vec![], &[1]));
        assert!(!independent(&[load, add, end], vec![], &[]));
        // Kept from an earlier round where this one does not come by.
        let sometimes: [(&str, &[u32]); 4] =
            [("less_int", &[2, 0, 1]), ("jump_unless", &[2, 3]), ("load_f64_1", &[0, 1, 0]), end];
        assert!(!independent(&sometimes, vec![], &[0]));
        assert!(independent(&sometimes, vec![], &[]));
        // The number of a loop without rounds is the one it was.
        let code: [(&str, &[u32]); 4] =
            [("start_range", &[3, 1, 1, 6]), ("next_of_range", &[3, 2, 3]), ("again", &[3, 2, 2]), end];
        let program = Program {
            code: code.iter().map(|(name, operands)| Ins::new(name, operands).unwrap()).collect(),
            ints: 8,
            kept_ints: vec![2],
            int_constants: vec![(6, 1)],
            ..Program::default()
        };
        assert_eq!(program.independent(), Some(vec![2]));
        // However far it goes, but not from anywhere, or down from there.
        let far = |start: u32, step: u32| {
            let mut program = program.clone();
            program.code.insert(0, Ins::new("load_i64_1", &[7, 1, 0]).unwrap());
            program.code[1] = Ins::new("start_range", &[3, start, 7, step]).unwrap();
            program.code[2].c += 1;
            program.code[3].c += 1;
            program.views = 2;
            program.independent()
        };
        assert_eq!((far(1, 6), far(7, 6), far(1, 1)), (Some(vec![2]), None, None));
    }
}
