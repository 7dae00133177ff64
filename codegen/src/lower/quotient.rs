//! Quotients by one number for a whole row (a scalar, a constant, an element of a row's own), with the bits of the division but without
//! its time: a division of eight doubles keeps the processor for 16 cycles, of sixteen floats for 10, and what follows for 5.
//!
//! The divisor's reciprocal is had once a row as a sum, y + z, y the rounded one and z the rounded rest (1 - d·y) / d. Then
//! q = x·y + x·z, the product with z rounded first and the other one fused, is x/d but for some 2^-105 of it and its own rounding: one of
//! the two numbers around x/d. Of such a q, Markstein's theorem says that q + (x - d·q)·y rounds to what x/d rounds to, where
//! x - d·q is exact (by a fused multiply-add it is where nothing underflows). Within the ranges below all of that holds. Where a lane's
//! result is not within, and so where it is a zero, infinite or NaN, the vectors are divided.
//!
//! Where the divider is quick and the body has other work to do meanwhile, nothing is gained: see [`pays`].

use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::emit::{CmpI, Emit};
use legate_jit_ir::{Body, DType, InnerStride, Inst, Kernel, Reg, Ufunc};

use super::build::{Build, Elem, Math, V};
use super::emitter::Emitter;
use super::memory::Row;
use crate::target::{CpuTarget, Level};

/// Quotients of a body that are worth their code, which is some twenty instructions for each.
const MOST: usize = 12;

/// What a type's numbers are in registers, and in which ranges divisors and quotients may be: powers of two, the upper one beyond.
/// Quotients begin at `quotients` and have half of all exponents: what is infinite or NaN has none of those.
pub(super) struct Format {
    float: Elem,
    int: Elem,
    mantissa: u32,
    bias: i64,
    pub(super) divisors: (i64, i64),
    quotients: i64,
}

/// The remainder of a quotient within is a multiple of 2^(-470 - 53 - 480 - 52), which is above the smallest number.
const F64: Format =
    Format { float: Elem::F64, int: Elem::I64, mantissa: 52, bias: 1023, divisors: (-480, 500), quotients: -470 };
/// Here of 2^(-63 - 24 - 38 - 23).
const F32: Format =
    Format { float: Elem::F32, int: Elem::I32, mantissa: 23, bias: 127, divisors: (-38, 40), quotients: -63 };

impl Format {
    pub(super) fn of(dtype: DType) -> Option<&'static Format> {
        match dtype {
            DType::F64 => Some(&F64),
            DType::F32 => Some(&F32),
            _ => None,
        }
    }

    /// Whether |x| is not within a range, of a number.
    pub(super) fn is_beyond<'c>(&self, b: &Build<'c, '_>, x: V<'c>, (low, high): (i64, i64)) -> V<'c> {
        // Bits without the sign count up with the number. Moved down so that those within begin at the smallest integer,
        // one comparison tells both ends.
        let place = |exponent: i64| (exponent + self.bias) << (self.mantissa + 1);
        let smallest = if self.int == Elem::I64 { i64::MIN } else { i32::MIN as i64 };
        let bits = b.op("arith.bitcast", &[x], self.int);
        let twice = b.op("arith.addi", &[bits, bits], self.int);
        let moved = b.op("arith.addi", &[twice, b.int(self.int, smallest.wrapping_sub(place(low)))], self.int);
        let end = b.int(self.int, smallest.wrapping_add(place(high).wrapping_sub(place(low))));
        Emitter::new(*b).cmpi(CmpI::Sge, moved, end)
    }

    /// The bits of a quotient moved so that the upper one of its exponent is set where it is not within the range.
    fn moved<'c>(&self, b: &Build<'c, '_>, q: V<'c>) -> V<'c> {
        let bits = b.op("arith.bitcast", &[q], self.int);
        b.op("arith.addi", &[bits, b.int(self.int, -((self.quotients + self.bias) << self.mantissa))], self.int)
    }

    /// Whether that bit is set, in each lane.
    fn is_set<'c>(&self, b: &Build<'c, '_>, moved: V<'c>) -> V<'c> {
        // The exponents are as many as twice the bias and two more.
        let bit = b.int(self.int, (self.bias + 1) << self.mantissa);
        Emitter::new(*b).cmpi(CmpI::Ne, b.op("arith.andi", &[moved, bit], self.int), b.int(self.int, 0))
    }
}

/// Whether quotients of a kernel are worth having without dividing on a processor.
///
/// A Zen 4 divides four doubles in 4.5 cycles and goes on with other work meanwhile, where the way around takes some ten instructions for
/// them. In the first-level cache a quotient alone takes 0.31 ns divided and 0.21 so, a relaxation with one quotient (6 other operations,
/// 6 accesses) 0.34 divided and 0.43 so.
pub fn pays(kernel: &Kernel, target: &CpuTarget) -> bool {
    let Some(hidden) = target.work_beside_a_division() else { return true };
    let is_map = |inst: &&Inst| matches!(inst.op, Op::Map(..));
    let divides = |inst: &&Inst| matches!(inst.op, Op::Map(Ufunc::Divide, _));
    let insts = &kernel.body.insts;
    let quotients = insts.iter().filter(divides).count();
    let others = insts.iter().filter(is_map).count() - quotients + kernel.accesses.len();
    others < hidden as usize * quotients
}

/// Whether a register of floats is one number for a whole row, by which it is worth not to divide.
pub(super) fn of_row(kernel: &Kernel, body: &Body, d: Reg) -> bool {
    match &body.insts[d.0 as usize].op {
        Op::Load(a) => kernel.accesses[*a as usize].inner == InnerStride::Zero,
        Op::Scalar(_) => true,
        Op::Const(c) => {
            // (By a power of two LLVM multiplies.)
            let bits = if c.dtype == DType::F32 { c.bits[0] & 0xffff_ffff } else { c.bits[0] };
            Format::of(c.dtype).is_some_and(|format| bits & ((1 << format.mantissa) - 1) != 0)
        }
        _ => false,
    }
}

/// That number.
pub(super) fn row_number<'c>(one: &Build<'c, '_>, row: &Row<'c>, body: &Body, d: Reg) -> Option<V<'c>> {
    match &body.insts[d.0 as usize].op {
        Op::Load(a) => Some(row.fixed[*a as usize]?.one()),
        Op::Scalar(s) => Some(row.scalars[*s as usize].one()),
        Op::Const(c) => Some(one.scalar(c.dtype, c.bits[0])),
        _ => None,
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
        Format::of(inst.dtype)?;
        let floats = self.body.dtype(x) == inst.dtype && self.body.dtype(d) == inst.dtype;
        (floats && of_row(self.kernel, self.body, d)).then_some((x, d))
    }

    /// Instruction k in the lanes of some vectors, if it is one, given the values of registers in each of them.
    pub fn lower<'c>(
        &self,
        b: &Build<'c, '_>,
        row: &Row<'c>,
        k: usize,
        vectors: usize,
        value: impl Fn(usize, Reg) -> V<'c>,
    ) -> Option<Vec<V<'c>>> {
        let fused = matches!(b.math, Math::Cpu(Level::V3 | Level::V4));
        let (x, d) = self.operands(k).filter(|_| fused && b.lanes > 1)?;
        let format = Format::of(self.body.insts[k].dtype)?;
        let one = b.with_lanes(1);
        let divisor = row_number(&one, row, self.body, d)?;
        // Beyond the range it is NaN, and so is what comes of it. All of this moves out of the loop over the row.
        let e = format.float;
        let reciprocal = one.op("arith.divf", &[one.float(e, 1.0), divisor], e);
        let beyond = format.is_beyond(&one, divisor, format.divisors);
        let reciprocal = one.select(beyond, one.float(e, f64::NAN), reciprocal);
        let minus = one.op("arith.negf", &[divisor], e);
        let rest = Emitter::new(one).mul_add(minus, reciprocal, one.float(e, 1.0));
        let rest = one.op("arith.divf", &[rest, divisor], e);
        let [d, minus_d, y, z] = [divisor, minus, reciprocal, rest].map(|v| b.splat(e, v));
        let emit = &mut Emitter::new(*b);
        let dividends: Vec<V<'c>> = (0..vectors).map(|v| value(v, x)).collect();
        let mut quotient = |&x: &V<'c>| {
            let small = emit.op2("arith.mulf", x, z);
            let near = emit.mul_add(x, y, small);
            let rest = emit.mul_add(minus_d, near, x);
            emit.mul_add(rest, y, near)
        };
        let quotients: Vec<V<'c>> = dividends.iter().map(&mut quotient).collect();
        let moved = quotients.iter().map(|&q| format.moved(b, q));
        let moved = moved.reduce(|m, other| b.op("arith.ori", &[m, other], format.int))?;
        let beyond = b.any(format.is_set(b, moved));
        let divide = |inner: &Build<'c, '_>| dividends.iter().map(|&x| inner.op("arith.divf", &[x, d], e)).collect();
        Some(b.if_else(beyond, divide, |_| quotients.clone()))
    }
}
