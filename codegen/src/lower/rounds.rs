//! Equal rounds of a body as a loop, see `ir::rounds`.
//!
//! The loop ends early, as the body itself would (`course`), where a condition says that nothing changes any more. One round
//! and the next one are simplified under the assumption that the condition fails (or holds) everywhere; where the second
//! leaves all that it hands on, and all that is used later, as the first has left it, every round after these does so too.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::rounds::{Input, Rounds};
use legate_jit_ir::ufunc::emit;
use legate_jit_ir::{DType, Inst, Kernel, Reg, Ufunc};

use super::Val;
use super::body::{Body, Values, flat};
use super::build::{Build, Elem, V};
use super::course::{Assumed, Code};
use super::emitter::Emitter;
use super::memory::At;
use crate::Result;

/// A loop over equal rounds.
pub struct Loop {
    pub rounds: Rounds,
    /// One round.
    pub code: Code,
    /// The condition of a round after which the others change nothing if all lanes have this value of it.
    exit: Option<(Reg, bool)>,
}

impl Loop {
    /// The loop in a kernel's body, if there is one. `numbered`: scalar arguments can be asked for by number.
    pub fn of(kernel: &Kernel, numbered: bool) -> Option<Loop> {
        let rounds = Rounds::of(&kernel.body)?;
        if !numbered && rounds.inputs.iter().any(|i| matches!(i, Input::Scalar { .. })) {
            return None;
        }
        let exit = exit(&rounds);
        let roots = kept(&rounds).into_iter().chain(exit.map(|e| e.0));
        let code = Code::new(rounds.body.clone(), roots);
        Some(Loop { rounds, code, exit })
    }

    /// Instructions outside that the loop needs.
    pub fn needs(&self) -> impl Iterator<Item = Reg> {
        self.rounds.inputs.iter().filter_map(|input| match input {
            Input::Same(r) | Input::Carried { first: r, .. } => Some(*r),
            Input::Scalar { .. } => None,
        })
    }
}

/// What a round hands on, and what is used later.
fn kept(rounds: &Rounds) -> Vec<Reg> {
    let next = |input: &Input| match input {
        Input::Carried { next, .. } => Some(*next),
        _ => None,
    };
    rounds.inputs.iter().filter_map(next).chain(rounds.results.iter().map(|r| r.0)).collect()
}

fn exit(rounds: &Rounds) -> Option<(Reg, bool)> {
    let body = &rounds.body;
    // Two rounds, one behind the other.
    let mut two = body.clone();
    let mut again: Vec<Reg> = Vec::new();
    for inst in &body.insts {
        let Inst { op, dtype } = inst;
        let next = match op {
            Op::Load(k) => match rounds.inputs[*k as usize] {
                Input::Carried { next, .. } => next,
                Input::Same(_) => two.push(op.clone(), *dtype),
                // Another value, of which nothing is known.
                Input::Scalar { .. } => two.push(Op::Load((rounds.inputs.len() + again.len()) as u32), *dtype),
            },
            op => {
                let op = op.with_args(|_, r| again[r.0 as usize]);
                two.insts.push(Inst { op, dtype: *dtype });
                Reg(two.insts.len() as u32 - 1)
            }
        };
        again.push(next);
    }
    let kept = kept(rounds);
    let settles = |condition: Reg, holds: bool| {
        let known = Assumed::all(&two, condition, holds);
        kept.iter().all(|&r| known.is_same(r, again[r.0 as usize]))
    };
    let conditions = body.insts.iter().filter_map(|inst| match &inst.op {
        Op::Map(Ufunc::Where, args) => Some(args[0]),
        _ => None,
    });
    let mut tried: Vec<Reg> = Vec::new();
    for condition in conditions {
        // One that comes from outside says nothing about a round.
        if !tried.contains(&condition) && !matches!(body.insts[condition.0 as usize].op, Op::Load(_)) {
            tried.push(condition);
            if let Some(holds) = [false, true].into_iter().find(|&holds| settles(condition, holds)) {
                return Some((condition, holds));
            }
        }
    }
    None
}

impl<'c> Body<'c, '_> {
    /// Runs the loop at several vectors, and adds what it leaves to their values.
    pub fn rounds(&self, of: &Loop, parts: &[At<'c>], values: &mut Values<'c>) -> Result<()> {
        const LESS: i64 = 2;
        let b = self.build;
        let Loop { rounds, code, exit } = of;
        let kernel = &self.course.kernel;
        let dtype = |r: Reg| kernel.body.dtype(r);
        let first: Vec<Reg> = rounds
            .inputs
            .iter()
            .filter_map(|input| match input {
                Input::Carried { first, .. } => Some(*first),
                _ => None,
            })
            .collect();
        let value = |values: &[Option<Val<'c>>], r: Reg| values[r.0 as usize].expect("it is ready before the loop");
        let one = b.with_lanes(1);
        let enter: Vec<Vec<Val<'c>>> = values.iter().map(|v| first.iter().map(|&r| value(v, r)).collect()).collect();
        let mut state = vec![one.int(Elem::I64, 0)];
        state.extend(flat(&enter));

        let mut result = Ok(());
        let left = b.do_while(&state, |inner, state| {
            let round = state[0];
            let mut carried = Unflat(state[1..].iter());
            let mut inside: Values<'c> = Vec::new();
            for values in &*values {
                let mut own = vec![None; code.body.insts.len()];
                for (k, inst) in code.body.insts.iter().enumerate() {
                    let Op::Load(input) = inst.op else { continue };
                    own[k] = Some(match rounds.inputs[input as usize] {
                        Input::Same(r) => value(values, r),
                        Input::Carried { first, .. } => carried.next(dtype(first)),
                        Input::Scalar { first, step } => self.row.scalar(inner, inst.dtype, first, step, round),
                    });
                }
                inside.push(own);
            }
            let body = Body { build: inner, ..*self };
            if let Err(e) = body.code(code, parts, &mut inside) {
                // Something that ends the loop's text; it is not used.
                result = Err(e);
                return (inner.with_lanes(1).int(Elem::I1, 0), state.to_vec(), Vec::new());
            }
            let one = inner.with_lanes(1);
            let next = one.op("arith.addi", &[round, one.int(Elem::I64, 1)], Elem::I64);
            let more = one.compare("arith.cmpi", LESS, next, one.int(Elem::I64, rounds.count as i64));
            let goes_on = exit.map(|(condition, holds)| some(inner, &inside, condition, holds));
            let goes_on = goes_on.map_or(more, |some| one.op("arith.andi", &[more, some], Elem::I1));
            let of_each = |regs: &[Reg]| -> Vec<Vec<Val<'c>>> {
                inside.iter().map(|v| regs.iter().map(|&r| value(v, r)).collect()).collect()
            };
            let next_of = |input: &Input| match input {
                Input::Carried { next, .. } => Some(*next),
                _ => None,
            };
            let carry: Vec<Reg> = rounds.inputs.iter().filter_map(next_of).collect();
            let results: Vec<Reg> = rounds.results.iter().map(|r| r.0).collect();
            let mut state = vec![next];
            state.extend(flat(&of_each(&carry)));
            (goes_on, state, flat(&of_each(&results)))
        });
        result?;
        let mut left = Unflat(left.iter());
        for values in values {
            for &(_, r) in &rounds.results {
                values[r.0 as usize] = Some(left.next(dtype(r)));
            }
        }
        Ok(())
    }
}

/// Whether a condition lacks (`holds`) or has the value true in some lane of some vector.
pub fn some<'c>(b: &Build<'c, '_>, values: &Values<'c>, condition: Reg, holds: bool) -> V<'c> {
    let of_vector = |v: &Vec<Option<Val<'c>>>| {
        let condition = v[condition.0 as usize].expect("a condition has been computed").one();
        b.any(if holds { emit::not(&mut Emitter::new(*b), DType::Bool, condition) } else { condition })
    };
    let either = |x, y| b.with_lanes(1).op("arith.ori", &[x, y], Elem::I1);
    values.iter().map(of_vector).reduce(either).expect("a body runs at some vector")
}

/// Puts together again what `flat` took apart.
pub struct Unflat<'a, 'c>(pub std::slice::Iter<'a, V<'c>>);

impl<'c> Unflat<'_, 'c> {
    pub fn next(&mut self, dtype: DType) -> Val<'c> {
        let mut next = || *self.0.next().expect("as many values as were taken apart");
        if dtype.is_complex() { Val::Pair(next(), next()) } else { Val::One(next()) }
    }
}
