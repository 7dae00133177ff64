//! How large the integers of a nest can be.

use super::code::{Op, Operand};
use super::{Program, SMALL_BITS};

impl Program {
    /// For each register of integers, a power of two that is more than its numbers' absolute values; 64 where nothing is known. `begins`: a round may
    /// begin with anything in registers that are kept; else only what is written is counted.
    pub fn bits(&self, begins: bool) -> Vec<u32> {
        const UNKNOWN: u32 = 64;
        let [written, ..] = self.written();
        let needed = |n: i64| 64 - n.unsigned_abs().leading_zeros();
        let mut bits: Vec<u32> = written.iter().map(|&w| if w { 0 } else { SMALL_BITS }).collect();
        for &(r, n) in &self.int_constants {
            bits[r] = needed(n);
        }
        if begins {
            self.kept_ints.iter().for_each(|&r| bits[r] = UNKNOWN);
        }
        bits[self.variable] = SMALL_BITS;
        // What grows from pass to pass is unknown.
        for pass in 0.. {
            let before = bits.clone();
            let mut set = |r: usize, n: u32| {
                if n > bits[r] {
                    bits[r] = if pass < 8 { n.min(UNKNOWN) } else { UNKNOWN };
                }
            };
            let of = |r: u16| before[r as usize];
            for ins in &self.code {
                let (x, y) = (|| of(ins.b), || of(ins.c));
                match ins.op {
                    Op::MoveInt | Op::NegateInt | Op::AbsoluteInt => set(ins.a as usize, x()),
                    Op::AddInt | Op::SubtractInt => set(ins.a as usize, 1 + x().max(y())),
                    Op::MultiplyInt => set(ins.a as usize, x() + y()),
                    Op::FloorDivideInt => set(ins.a as usize, 1 + x()),
                    Op::RemainderInt => set(ins.a as usize, y()),
                    Op::Length => set(ins.a as usize, SMALL_BITS),
                    Op::LoadSmall => set(ins.a as usize, 32),
                    Op::StartRange => {
                        // (The first register has numbers from one before the start to one before the stop.)
                        let step = of(ins.d);
                        set(ins.a as usize, 1 + x().max(y()).max(step));
                        set(ins.a as usize + 1, step);
                        set(ins.a as usize + 2, 1 + x().max(y()));
                    }
                    Op::NextOfRange | Op::Again => set(ins.b as usize, of(ins.a)),
                    Op::LessInt | Op::LessEqualInt | Op::EqualInt | Op::Not | Op::Less | Op::LessEqual | Op::Equal => {
                        set(ins.a as usize, 1);
                    }
                    Op::LoadBoolAt0 | Op::LoadBoolAt1 | Op::LoadBoolAt2 => set(ins.a as usize, 1),
                    Op::ToInt => set(ins.a as usize, 54),
                    _ => {
                        if let (true, Some((Operand::Int, r))) = (ins.op.writes_first(), ins.named().next()) {
                            set(r, UNKNOWN);
                        }
                    }
                }
            }
            if bits == before {
                break;
            }
        }
        bits
    }
}

/// Whether the result of an operation on integers with so many bits surely has room.
pub fn fits(op: Op, x: u32, y: u32) -> bool {
    let needed = if op == Op::MultiplyInt { x + y } else { 1 + x.max(y) };
    needed < 63
}

#[cfg(test)]
mod tests {
    use super::super::code::Ins;
    use super::*;

    #[test]
    fn what_is_counted_up_is_unknown_and_what_is_near_a_range_is_small() {
        let code: [(&str, &[u32]); 7] = [
            ("start_range", &[3, 6, 1, 7]),
            ("next_of_range", &[3, 2, 6]),
            ("subtract_int", &[8, 2, 7]),
            ("multiply_int", &[9, 8, 8]),
            ("add_int", &[10, 10, 7]),
            ("again", &[3, 2, 2]),
            ("end_round", &[]),
        ];
        let program = Program {
            code: code.iter().map(|(name, operands)| Ins::new(name, operands).unwrap()).collect(),
            ints: 11,
            int_constants: vec![(6, 0), (7, 1)],
            kept_ints: vec![2, 10],
            ..Program::default()
        };
        let bits = program.bits(true);
        assert_eq!((bits[2], bits[10]), (64, 64));
        let bits = program.bits(false);
        assert_eq!((bits[0], bits[1], bits[2], bits[8]), (48, 48, 49, 50));
        assert_eq!((bits[6], bits[7], bits[9], bits[10]), (0, 1, 64, 64));
        assert!(fits(Op::AddInt, 50, 1) && fits(Op::MultiplyInt, 31, 31));
        assert!(!fits(Op::MultiplyInt, 32, 31) && !fits(Op::SubtractInt, 1, 64));
    }
}
