//! `|z| <= 2` of complex numbers without the root and the quotient that |z| takes.
//!
//! The sum of the parts' squares is compared with the square of the bound. Both |z| and that sum are within a few units in the
//! last place of what they stand for, so only where the sum is as near to the square as that does the comparison need |z|
//! itself, and so it does for NaN. Sums that overflow or underflow are on their side of the bound, which is neither very large
//! nor very small.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::emit::{self, CmpF, Emit};
use legate_jit_ir::{Body, DType, Reg, Scalar, Ufunc};

use super::Val;
use super::build::{Build, V};
use super::emitter::Emitter;

/// A comparison of a complex number's length with a constant.
pub struct Length {
    /// The complex number.
    pub of: Reg,
    /// `|z| comparison bound`.
    comparison: Ufunc,
    bound: Scalar,
}

impl Length {
    /// Whether an instruction of the body is one.
    pub fn of(body: &Body, op: &Op) -> Option<Length> {
        let Op::Map(ufunc, args) = op else { return None };
        let turned = match ufunc {
            Ufunc::Less => Ufunc::Greater,
            Ufunc::LessEqual => Ufunc::GreaterEqual,
            Ufunc::Greater => Ufunc::Less,
            Ufunc::GreaterEqual => Ufunc::LessEqual,
            _ => return None,
        };
        let inst = |r: Reg| &body.insts[r.0 as usize];
        let length = |r: Reg| match &inst(r).op {
            Op::Map(Ufunc::Absolute, args) if body.dtype(args[0]).is_complex() => Some(args[0]),
            _ => None,
        };
        let (of, comparison, bound) = match (length(args[0]), length(args[1])) {
            (Some(of), None) => (of, *ufunc, args[1]),
            (None, Some(of)) => (of, turned, args[0]),
            _ => return None,
        };
        let Op::Const(bound) = inst(bound).op else { return None };
        // Its square is far from the ends of the type's range.
        let (value, range) = match bound.dtype {
            DType::F32 => (f32::from_bits(bound.bits[0] as u32) as f64, 1e-15..1e15),
            _ => (f64::from_bits(bound.bits[0]), 1e-120..1e120),
        };
        range.contains(&value).then_some(Length { of, comparison, bound })
    }

    /// The comparison's result.
    pub fn lower<'c>(&self, b: &Build<'c, '_>, dtype: DType, z: Val<'c>) -> V<'c> {
        let real = dtype.real();
        // Some hundred times what the roundings of either side come to.
        let (bound, apart) = match real {
            DType::F32 => (f32::from_bits(self.bound.bits[0] as u32) as f64, 2f64.powi(-14)),
            _ => (f64::from_bits(self.bound.bits[0]), 2f64.powi(-43)),
        };
        let e = &mut Emitter::new(*b);
        let (re, im) = z.pair();
        let (re, im) = (e.op2("arith.mulf", re, re), e.op2("arith.mulf", im, im));
        let square = e.op2("arith.addf", re, im);
        let (low, high) = (e.float(real, bound * bound * (1.0 - apart)), e.float(real, bound * bound * (1.0 + apart)));
        let shorter = e.cmpf(CmpF::Olt, square, low);
        // Not above and not ordered are one and the same question.
        let not_longer = e.cmpf(CmpF::Ule, square, high);
        let certain = match self.comparison {
            Ufunc::Less | Ufunc::LessEqual => shorter,
            _ => emit::not(e, DType::Bool, not_longer),
        };
        let near = e.xor(shorter, not_longer);
        let exact = |inner: &Build<'c, '_>| {
            let e = &mut Emitter::new(*inner);
            let length = emit::lower(e, Ufunc::Absolute, &[dtype], &[z]).expect("it has a vector form");
            let bound = Val::One(e.constant(self.bound));
            emit::lower(e, self.comparison, &[real; 2], &[length, bound]).expect("it has a vector form").one()
        };
        b.if_else(b.any(near), |inner| vec![exact(inner)], |_| vec![certain])[0]
    }
}
