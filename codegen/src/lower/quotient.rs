//! Quotients by one number for a whole row (a scalar, a constant, an element of a row's own), with the bits of the division but without
//! its time: a division of eight doubles keeps the processor for 16 cycles, of sixteen floats for 10, and what follows for 5.
//!
//! The divisor's reciprocal y is rounded once a row. From q0 = x·y, which is a few units off in the last place, a step
//! q1 = q0 + (x - d·q0)·y leaves less than one unit, and Markstein's theorem says that one more gives the quotient as it is
//! rounded: with y the rounded reciprocal, q1 one of the two numbers around x/d, and x - d·q1 exact (by a fused multiply-add it is
//! where nothing underflows), q1 + (x - d·q1)·y rounds to what x/d rounds to. Within the ranges below all of that holds. Where a lane's
//! result is not within, and so where it is a zero, infinite or NaN, the vector is divided.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::emit::{CmpI, Emit};
use legate_jit_ir::{Body, DType, InnerStride, Kernel, Reg, Ufunc};

use super::build::{Build, Elem, Math, V};
use super::emitter::Emitter;
use super::memory::Row;
use crate::target::Level;

/// Quotients of a body that are worth their code, which is some twenty instructions for each.
const MOST: usize = 12;

/// What a type's numbers are in registers, and in which ranges divisors and quotients may be: powers of two, the upper one beyond.
struct Format {
    float: Elem,
    int: Elem,
    mantissa: u32,
    bias: i64,
    divisors: (i64, i64),
    quotients: (i64, i64),
}

/// The remainder of a quotient within is a multiple of 2^(-460 - 52 - 500 - 52), which is above the smallest number.
const F64: Format = Format {
    float: Elem::F64,
    int: Elem::I64,
    mantissa: 52,
    bias: 1023,
    divisors: (-500, 500),
    quotients: (-460, 500),
};
/// Here of 2^(-60 - 23 - 40 - 23).
const F32: Format =
    Format { float: Elem::F32, int: Elem::I32, mantissa: 23, bias: 127, divisors: (-40, 40), quotients: (-60, 60) };

impl Format {
    fn of(dtype: DType) -> Option<&'static Format> {
        match dtype {
            DType::F64 => Some(&F64),
            DType::F32 => Some(&F32),
            _ => None,
        }
    }

    /// Whether |x| is not within a range, in each lane.
    fn is_beyond<'c>(&self, b: &Build<'c, '_>, x: V<'c>, (low, high): (i64, i64)) -> V<'c> {
        // Bits without the sign count up with the number. Moved down so that those within begin at the smallest integer,
        // one comparison tells both ends.
        let place = |exponent: i64| (exponent + self.bias) << (self.mantissa + 1);
        let smallest = if self.int == Elem::I64 { i64::MIN } else { i32::MIN as i64 };
        let bits = b.op("arith.bitcast", &[x], self.int);
        let twice = b.op("arith.addi", &[bits, bits], self.int);
        let moved = b.op("arith.addi", &[twice, b.int(self.int, smallest.wrapping_sub(place(low)))], self.int);
        let end = b.int(self.int, smallest.wrapping_add(place(high) - place(low)));
        Emitter::new(*b).cmpi(CmpI::Sge, moved, end)
    }
}

/// Which of a body's instructions are such quotients.
pub struct Quotients<'a> {
    kernel: &'a Kernel,
    body: &'a Body,
}

impl<'a> Quotients<'a> {
    /// None where there are none, or too many.
    pub fn of(kernel: &'a Kernel, body: &'a Body) -> Option<Quotients<'a>> {
        let all = Quotients { kernel, body };
        let count = (0..body.insts.len()).filter(|&k| all.operands(k).is_some()).count();
        (1..=MOST).contains(&count).then_some(all)
    }

    /// The dividend and the divisor of instruction k, if it is one.
    fn operands(&self, k: usize) -> Option<(Reg, Reg)> {
        let inst = &self.body.insts[k];
        let Op::Map(Ufunc::Divide, args) = &inst.op else { return None };
        let &[x, d] = &args[..] else { return None };
        let format = Format::of(inst.dtype)?;
        let of_row = match &self.body.insts[d.0 as usize].op {
            Op::Load(a) => self.kernel.accesses[*a as usize].inner == InnerStride::Zero,
            Op::Scalar(_) => true,
            Op::Const(c) => {
                // (By a power of two LLVM multiplies.)
                let bits = if c.dtype == DType::F32 { c.bits[0] & 0xffff_ffff } else { c.bits[0] };
                bits & ((1 << format.mantissa) - 1) != 0
            }
            _ => false,
        };
        let floats = self.body.dtype(x) == inst.dtype && self.body.dtype(d) == inst.dtype;
        (of_row && floats).then_some((x, d))
    }

    /// Instruction k in the lanes of a vector, if it is one, given the values of registers.
    pub fn lower<'c>(&self, b: &Build<'c, '_>, row: &Row<'c>, k: usize, value: impl Fn(Reg) -> V<'c>) -> Option<V<'c>> {
        let fused = matches!(b.math, Math::Cpu(Level::V3 | Level::V4));
        let (x, d) = self.operands(k).filter(|_| fused && b.lanes > 1)?;
        let format = Format::of(self.body.insts[k].dtype)?;
        let (x, one) = (value(x), b.with_lanes(1));
        let divisor = match &self.body.insts[d.0 as usize].op {
            Op::Load(a) => row.fixed[*a as usize]?.one(),
            Op::Scalar(s) => row.scalars[*s as usize].one(),
            Op::Const(c) => one.scalar(c.dtype, c.bits[0]),
            _ => return None,
        };
        // Beyond the range it is NaN, and so is what comes of it. All of this moves out of the loop over the row.
        let e = format.float;
        let reciprocal = one.op("arith.divf", &[one.float(e, 1.0), divisor], e);
        let beyond = format.is_beyond(&one, divisor, format.divisors);
        let reciprocal = one.select(beyond, one.float(e, f64::NAN), reciprocal);
        let (d, y) = (b.splat(e, divisor), b.splat(e, reciprocal));
        let minus_d = b.op("arith.negf", &[d], e);
        let emit = &mut Emitter::new(*b);
        let mut q = emit.op2("arith.mulf", x, y);
        for _ in 0..2 {
            let rest = emit.mul_add(minus_d, q, x);
            q = emit.mul_add(rest, y, q);
        }
        let beyond = b.any(format.is_beyond(b, q, format.quotients));
        Some(b.if_else(beyond, |inner| vec![inner.op("arith.divf", &[x, d], e)], |_| vec![q])[0])
    }
}
