//! Quotients by one number for a whole row of which only the nearest integer is asked for, as by periodic boundaries:
//! `d - box * rint(d / box)`.
//!
//! The product with the divisor's reciprocal is within two roundings of the quotient. Unless it is as near to the middle between two
//! integers as that, both have the same nearest one; where some lane may be, and where something is infinite or NaN, the vector
//! is divided. Zeros keep the quotient's sign, as the product has it, too.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::emit::{CmpF, Emit};
use legate_jit_ir::{Body, DType, Kernel, Reg, Ufunc};

use super::build::{Build, Elem, Math, V};
use super::emitter::Emitter;
use super::memory::Row;
use super::quotient::{Format, of_row, row_number};
use crate::target::Level;

/// Whether an operation rounds a quotient.
pub fn is_one(body: &Body, op: &Op) -> bool {
    let divides = |r: &Reg| matches!(body.insts[r.0 as usize].op, Op::Map(Ufunc::Divide, _));
    matches!(op, Op::Map(Ufunc::Rint, args) if args.iter().all(divides))
}

/// The quotient that is rounded.
#[derive(Clone, Copy)]
pub struct Rounded {
    dividend: Reg,
    divisor: Reg,
}

impl Rounded {
    /// For each instruction of a body, whether it rounds a quotient that nothing else needs. `roots` are needed anyway.
    pub fn all(kernel: &Kernel, body: &Body, roots: &[Reg]) -> Vec<Option<Rounded>> {
        let quotient = |op: &Op| match op {
            Op::Map(Ufunc::Rint, args) => Some(args[0]),
            _ => None,
        };
        let mut kept = vec![false; body.insts.len()];
        roots.iter().for_each(|r| kept[r.0 as usize] = true);
        for inst in body.insts.iter().filter(|i| quotient(&i.op).is_none()) {
            inst.op.args().iter().for_each(|r| kept[r.0 as usize] = true);
        }
        let of = |op: &Op| {
            let q = quotient(op)?;
            let inst = &body.insts[q.0 as usize];
            let Op::Map(Ufunc::Divide, args) = &inst.op else { return None };
            let &[dividend, divisor] = &args[..] else { return None };
            let floats = [dividend, divisor].iter().all(|&r| body.dtype(r) == inst.dtype) && inst.dtype.is_float();
            (floats && !kept[q.0 as usize] && of_row(kernel, body, divisor)).then_some(Rounded { dividend, divisor })
        };
        body.insts.iter().map(|i| of(&i.op)).collect()
    }

    pub fn args(&self) -> [Reg; 2] {
        [self.dividend, self.divisor]
    }

    /// The nearest integers to the quotients of some vectors.
    pub fn lower<'c>(&self, b: &Build<'c, '_>, row: &Row<'c>, body: &Body, x: &[V<'c>]) -> Vec<V<'c>> {
        let dtype = body.dtype(self.dividend);
        let format = Format::of(dtype).expect("a float");
        let one = b.with_lanes(1);
        let divisor = row_number(&one, row, body, self.divisor).expect("a row's number");
        let e = Elem::of(dtype);
        let d = b.splat(e, divisor);
        let divided = |b: &Build<'c, '_>| -> Vec<V<'c>> {
            x.iter().map(|&x| b.op("math.roundeven", &[b.op("arith.divf", &[x, d], e)], e)).collect()
        };
        if b.lanes == 1 || !matches!(b.math, Math::Cpu(Level::V3 | Level::V4)) {
            return divided(b);
        }
        // Two roundings are 2^-52 (or -23) of the quotient, and that of the bound itself less than what it leaves.
        let (error, bound) = if dtype == DType::F32 {
            (2f64.powi(-21), 0.5 - 2f64.powi(-10))
        } else {
            (2f64.powi(-50), 0.5 - 2f64.powi(-20))
        };
        let reciprocal = one.op("arith.divf", &[one.float(e, 1.0), divisor], e);
        let beyond = format.is_beyond(&one, divisor, format.divisors);
        let reciprocal = b.splat(e, one.select(beyond, one.float(e, f64::NAN), reciprocal));
        let emit = &mut Emitter::new(*b);
        let (error, bound) = (emit.float(dtype, error), emit.float(dtype, bound));
        let (mut nearest, mut uncertain) = (Vec::new(), None);
        for &x in x {
            let quotient = emit.op2("arith.mulf", x, reciprocal);
            let integer = emit.op1("math.roundeven", quotient);
            let rest = emit.op2("arith.subf", quotient, integer);
            let [rest, size] = [rest, quotient].map(|v| emit.op1("math.absf", v));
            let off = emit.mul_add(size, error, rest);
            let here = emit.cmpf(CmpF::Uge, off, bound);
            nearest.push(integer);
            uncertain = Some(uncertain.map_or(here, |other| emit.or(other, here)));
        }
        let uncertain = b.any(uncertain.expect("some vectors"));
        b.if_else(uncertain, |inner| divided(inner), |_| nearest)
    }
}
