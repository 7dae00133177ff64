//! Float operations from MLIR's, with NumPy's NaNs, zeros and signs.

use legate_jit_vmath::Func;

use super::{CmpF, CmpI, Emit, int};
use crate::DType;
use crate::dtype::Kind;

/// The signed integer type of a float type's width.
fn int_of(t: DType) -> DType {
    if t == DType::F32 { DType::I32 } else { DType::I64 }
}

fn mantissa_bits(t: DType) -> i128 {
    if t == DType::F32 { 23 } else { 52 }
}

fn bias(t: DType) -> i128 {
    if t == DType::F32 { 127 } else { 1023 }
}

fn copysign<E: Emit>(e: &mut E, x: E::V, sign: E::V) -> E::V {
    e.op2("math.copysign", x, sign)
}

pub fn isnan<E: Emit>(e: &mut E, _t: DType, x: E::V) -> E::V {
    e.cmpf(CmpF::Uno, x, x)
}

pub fn isinf<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let (magnitude, infinity) = (e.op1("math.absf", x), e.float(t, f64::INFINITY));
    e.cmpf(CmpF::Oeq, magnitude, infinity)
}

pub fn isfinite<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let (magnitude, infinity) = (e.op1("math.absf", x), e.float(t, f64::INFINITY));
    e.cmpf(CmpF::Olt, magnitude, infinity)
}

pub fn signbit<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let bits = e.convert("arith.bitcast", x, int_of(t));
    let zero = e.int(int_of(t), 0);
    e.cmpi(CmpI::Slt, bits, zero)
}

/// As `meaning::divmod_float`.
fn divmod<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> (E::V, E::V) {
    let (zero, one, half) = (e.float(t, 0.0), e.float(t, 1.0), e.float(t, 0.5));
    let rest = e.vmath(Func::Fmod, t, &[x, y]);
    let by_zero = e.cmpf(CmpF::Oeq, y, zero);
    let exact_part = e.op2("arith.subf", x, rest);
    // One division serves both: a quotient by 0 is its own floor, and the rest, which is NaN, stays.
    let dividend = e.select(by_zero, x, exact_part);
    let quotient = e.op2("arith.divf", dividend, y);
    let has_rest = e.cmpf(CmpF::Une, rest, zero);
    let y_negative = e.cmpf(CmpF::Olt, y, zero);
    let rest_negative = e.cmpf(CmpF::Olt, rest, zero);
    let differ = e.xor(y_negative, rest_negative);
    let moved = e.and(has_rest, differ);
    let rest_moved = e.op2("arith.addf", rest, y);
    let quotient_moved = e.op2("arith.subf", quotient, one);
    let quotient = e.select(moved, quotient_moved, quotient);
    let signed_zero = copysign(e, zero, y);
    let rest_fixed = e.select(moved, rest_moved, rest);
    let rest_fixed = e.select(has_rest, rest_fixed, signed_zero);
    let floor = e.op1("math.floor", quotient);
    let gap = e.op2("arith.subf", quotient, floor);
    let too_low = e.cmpf(CmpF::Ogt, gap, half);
    let next = e.op2("arith.addf", floor, one);
    let floor = e.select(too_low, next, floor);
    let (x_bits, y_bits) = (e.convert("arith.bitcast", x, int_of(t)), e.convert("arith.bitcast", y, int_of(t)));
    let signs = e.xor(x_bits, y_bits);
    let signs = e.convert("arith.bitcast", signs, t);
    let zero_floor = copysign(e, zero, signs);
    let nonzero = e.cmpf(CmpF::Une, quotient, zero);
    (e.select(nonzero, floor, zero_floor), rest_fixed)
}

pub fn floor_divide<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    divmod(e, t, x, y).0
}

pub fn remainder<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    divmod(e, t, x, y).1
}

pub fn sign<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let (zero, one, minus_one) = (e.float(t, 0.0), e.float(t, 1.0), e.float(t, -1.0));
    let is_zero = e.cmpf(CmpF::Oeq, x, zero);
    let positive = e.cmpf(CmpF::Ogt, x, zero);
    let negative = e.cmpf(CmpF::Olt, x, zero);
    let result = e.select(is_zero, zero, x);
    let result = e.select(negative, minus_one, result);
    e.select(positive, one, result)
}

pub fn square<E: Emit>(e: &mut E, _t: DType, x: E::V) -> E::V {
    e.op2("arith.mulf", x, x)
}

pub fn reciprocal<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let one = e.float(t, 1.0);
    e.op2("arith.divf", one, x)
}

/// x where the comparison holds or `nan` is NaN, else y.
fn pick<E: Emit>(e: &mut E, predicate: CmpF, x: E::V, y: E::V, nan: E::V) -> E::V {
    let beats = e.cmpf(predicate, x, y);
    let is_nan = e.cmpf(CmpF::Uno, nan, nan);
    let mask = e.or(beats, is_nan);
    e.select(mask, x, y)
}

pub fn maximum<E: Emit>(e: &mut E, _t: DType, x: E::V, y: E::V) -> E::V {
    pick(e, CmpF::Ogt, x, y, x)
}

pub fn minimum<E: Emit>(e: &mut E, _t: DType, x: E::V, y: E::V) -> E::V {
    pick(e, CmpF::Olt, x, y, x)
}

pub fn fmax<E: Emit>(e: &mut E, _t: DType, x: E::V, y: E::V) -> E::V {
    pick(e, CmpF::Ogt, x, y, y)
}

pub fn fmin<E: Emit>(e: &mut E, _t: DType, x: E::V, y: E::V) -> E::V {
    pick(e, CmpF::Olt, x, y, y)
}

fn constant_of<E: Emit>(e: &mut E, t: DType, f64_value: f64, f32_value: f32) -> E::V {
    e.float(t, if t == DType::F32 { f32_value as f64 } else { f64_value })
}

pub fn deg2rad<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let factor = constant_of(e, t, std::f64::consts::PI / 180.0, std::f32::consts::PI / 180.0);
    e.op2("arith.mulf", x, factor)
}

pub fn rad2deg<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let factor = constant_of(e, t, 180.0 / std::f64::consts::PI, 180.0 / std::f32::consts::PI);
    e.op2("arith.mulf", x, factor)
}

pub fn nextafter<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    let i = int_of(t);
    let zero = e.float(t, 0.0);
    let (one_bit, minus_one) = (e.int(i, 1), e.int(i, -1));
    let bits = e.convert("arith.bitcast", x, i);
    let below = e.cmpf(CmpF::Olt, x, y);
    let positive = e.cmpf(CmpF::Ogt, x, zero);
    // Away from zero if both hold or neither does.
    let inwards = e.xor(below, positive);
    let step = e.select(inwards, minus_one, one_bit);
    let bits = e.op2("arith.addi", bits, step);
    let moved = e.convert("arith.bitcast", bits, t);
    let smallest = e.convert("arith.bitcast", one_bit, t);
    let smallest = copysign(e, smallest, y);
    let is_zero = e.cmpf(CmpF::Oeq, x, zero);
    let result = e.select(is_zero, smallest, moved);
    let equal = e.cmpf(CmpF::Oeq, x, y);
    let result = e.select(equal, y, result);
    let nan = e.cmpf(CmpF::Uno, x, y);
    let sum = e.op2("arith.addf", x, y);
    e.select(nan, sum, result)
}

pub fn spacing<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let i = int_of(t);
    let (zero, nan, one_bit) = (e.float(t, 0.0), e.float(t, f64::NAN), e.int(i, 1));
    let bits = e.convert("arith.bitcast", x, i);
    let bits = e.op2("arith.addi", bits, one_bit);
    let next = e.convert("arith.bitcast", bits, t);
    let gap = e.op2("arith.subf", next, x);
    let is_zero = e.cmpf(CmpF::Oeq, x, zero);
    let smallest = e.convert("arith.bitcast", one_bit, t);
    let gap = e.select(is_zero, smallest, gap);
    let finite = isfinite(e, t, x);
    e.select(finite, gap, nan)
}

/// 2ⁿ for n within the normal exponents, as `meaning::ldexp` scales.
fn power_of_two<E: Emit>(e: &mut E, t: DType, n: E::V) -> E::V {
    let i = int_of(t);
    let (bias, shift) = (e.int(i, bias(t)), e.int(i, mantissa_bits(t)));
    let field = e.op2("arith.addi", n, bias);
    let bits = e.op2("arith.shli", field, shift);
    e.convert("arith.bitcast", bits, t)
}

fn clamp<E: Emit>(e: &mut E, t: DType, n: E::V, lo: i128, hi: i128) -> E::V {
    let (lo, hi) = (e.int(t, lo), e.int(t, hi));
    let n = e.op2("arith.maxsi", n, lo);
    e.op2("arith.minsi", n, hi)
}

/// The exponent is in the integer type of the float's width.
fn scale<E: Emit>(e: &mut E, t: DType, x: E::V, n: E::V) -> E::V {
    let i = int_of(t);
    let (bias, digits) = (bias(t), mantissa_bits(t) + 1);
    let n = clamp(e, i, n, -4 * bias, 4 * bias);
    let (high, low) = (e.int(i, bias), e.int(i, 1 - bias));
    let (up, down) = (e.int(i, bias), e.int(i, bias - 1 - digits));
    let (large, small) = (power_of_two(e, t, high), e.int(i, 1 - bias + digits));
    let small = power_of_two(e, t, small);
    let state = e.repeat(3, vec![x, n], &mut |e, state| {
        let (x, n) = (state[0], state[1]);
        let too_high = e.cmpi(CmpI::Sgt, n, high);
        let too_low = e.cmpi(CmpI::Slt, n, low);
        let (x_up, x_down) = (e.op2("arith.mulf", x, large), e.op2("arith.mulf", x, small));
        let (n_up, n_down) = (e.op2("arith.subi", n, up), e.op2("arith.addi", n, down));
        let (x_low, n_low) = (e.select(too_low, x_down, x), e.select(too_low, n_down, n));
        vec![e.select(too_high, x_up, x_low), e.select(too_high, n_up, n_low)]
    });
    let n = clamp(e, i, state[1], 1 - bias, bias);
    let factor = power_of_two(e, t, n);
    e.op2("arith.mulf", state[0], factor)
}

pub fn ldexp<E: Emit>(e: &mut E, t: DType, x: E::V, n: E::V) -> E::V {
    let n = int::resize(e, n, DType::I32, int_of(t), true);
    scale(e, t, x, n)
}

pub fn ldexp_i64<E: Emit>(e: &mut E, t: DType, x: E::V, n: E::V) -> E::V {
    let n = clamp(e, DType::I64, n, -4 * bias(t), 4 * bias(t));
    let n = int::resize(e, n, DType::I64, int_of(t), true);
    scale(e, t, x, n)
}

/// (mantissa, exponent in the integer type of the float's width).
fn frexp<E: Emit>(e: &mut E, t: DType, x: E::V) -> (E::V, E::V) {
    let i = int_of(t);
    let (zero, zero_int) = (e.float(t, 0.0), e.int(i, 0));
    let digits = mantissa_bits(t) + 1;
    let shift = e.int(i, mantissa_bits(t));
    let field_mask = e.int(i, 2 * bias(t) + 1);
    let bits = e.convert("arith.bitcast", x, i);
    let field = e.op2("arith.shrui", bits, shift);
    let field = e.and(field, field_mask);
    let subnormal = e.cmpi(CmpI::Eq, field, zero_int);
    let lift = e.int(i, digits);
    let factor = power_of_two(e, t, lift);
    let lifted = e.op2("arith.mulf", x, factor);
    let normal = e.select(subnormal, lifted, x);
    let bits = e.convert("arith.bitcast", normal, i);
    let field = e.op2("arith.shrui", bits, shift);
    let field = e.and(field, field_mask);
    let offset = e.int(i, bias(t) - 1);
    let exponent = e.op2("arith.subi", field, offset);
    let correction = e.select(subnormal, lift, zero_int);
    let exponent = e.op2("arith.subi", exponent, correction);
    let mantissa_mask = e.int(i, (1 << mantissa_bits(t)) - 1);
    let half = e.int(i, (bias(t) - 1) << mantissa_bits(t));
    let mantissa = e.and(bits, mantissa_mask);
    let mantissa = e.or(mantissa, half);
    let mantissa = e.convert("arith.bitcast", mantissa, t);
    let mantissa = copysign(e, mantissa, x);
    let finite = isfinite(e, t, x);
    let nonzero = e.cmpf(CmpF::One, x, zero);
    let ordinary = e.and(finite, nonzero);
    (e.select(ordinary, mantissa, x), e.select(ordinary, exponent, zero_int))
}

pub fn frexp_mantissa<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    frexp(e, t, x).0
}

pub fn frexp_exponent<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let exponent = frexp(e, t, x).1;
    int::resize(e, exponent, int_of(t), DType::I32, true)
}

pub fn modf_fraction<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let zero = e.float(t, 0.0);
    let whole = e.op1("math.trunc", x);
    let fraction = e.op2("arith.subf", x, whole);
    let infinite = isinf(e, t, x);
    let fraction = e.select(infinite, zero, fraction);
    copysign(e, fraction, x)
}

pub fn heaviside<E: Emit>(e: &mut E, t: DType, x: E::V, at_zero: E::V) -> E::V {
    let (zero, one) = (e.float(t, 0.0), e.float(t, 1.0));
    let negative = e.cmpf(CmpF::Olt, x, zero);
    let step = e.select(negative, zero, one);
    let is_zero = e.cmpf(CmpF::Oeq, x, zero);
    let step = e.select(is_zero, at_zero, step);
    let nan = isnan(e, t, x);
    e.select(nan, x, step)
}

/// The larger argument + log1p(f(-|x - y|)), with the equal and the NaN arguments apart.
fn log_sum<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V, exponential: Func, at_equal: f64, factor: f64) -> E::V {
    let zero = e.float(t, 0.0);
    let d = e.op2("arith.subf", x, y);
    let magnitude = e.op1("math.absf", d);
    let magnitude = e.op1("arith.negf", magnitude);
    let power = e.vmath(exponential, t, &[magnitude]);
    let mut log = e.vmath(Func::Log1p, t, &[power]);
    if factor != 1.0 {
        let factor = e.float(t, factor);
        log = e.op2("arith.mulf", factor, log);
    }
    let x_larger = e.cmpf(CmpF::Ogt, d, zero);
    let larger = e.select(x_larger, x, y);
    let sum = e.op2("arith.addf", larger, log);
    let ordered = e.cmpf(CmpF::Ord, d, d);
    let sum = e.select(ordered, sum, d);
    let equal = e.cmpf(CmpF::Oeq, x, y);
    let at_equal = e.float(t, at_equal);
    let twice = e.op2("arith.addf", x, at_equal);
    e.select(equal, twice, sum)
}

pub fn logaddexp<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    log_sum(e, t, x, y, Func::Exp, std::f64::consts::LN_2, 1.0)
}

pub fn logaddexp2<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    log_sum(e, t, x, y, Func::Exp2, 1.0, std::f64::consts::LOG2_E)
}

/// NumPy's conversion: truncation, by way of the signed type that x86 converts to (which gives its smallest value for NaN and
/// whatever does not fit), then the low bits. u64 has a second half beyond that type.
pub fn to_int<E: Emit>(e: &mut E, x: E::V, from: DType, to: DType) -> E::V {
    if to == DType::U64 {
        let half = e.float(from, 9223372036854775808.0);
        let upper = e.cmpf(CmpF::Oge, x, half);
        let below = e.op2("arith.subf", x, half);
        let x = e.select(upper, below, x);
        let bits = to_signed(e, x, from, DType::I64);
        let (top, zero) = (e.int(DType::U64, 1 << 63), e.int(DType::U64, 0));
        let flip = e.select(upper, top, zero);
        return e.xor(bits, flip);
    }
    let via = if to == DType::I64 || to == DType::U32 { DType::I64 } else { DType::I32 };
    let wide = to_signed(e, x, from, via);
    int::resize(e, wide, via, to, to.kind() == Kind::Int)
}

/// To i32 or i64. MLIR's conversion is undefined for what does not fit, so those lanes convert 0.
fn to_signed<E: Emit>(e: &mut E, x: E::V, from: DType, to: DType) -> E::V {
    let limit = if to == DType::I32 { 2147483648.0 } else { 9223372036854775808.0 };
    // The lowest integer is a float of the type; one below it that truncates to it exists only as f64 for i32.
    let (low, low_is_in) = if to == DType::I32 && from == DType::F64 { (-2147483649.0, false) } else { (-limit, true) };
    let (low, high) = (e.float(from, low), e.float(from, limit));
    let above = e.cmpf(if low_is_in { CmpF::Oge } else { CmpF::Ogt }, x, low);
    let below = e.cmpf(CmpF::Olt, x, high);
    let fits = e.and(above, below);
    let zero = e.float(from, 0.0);
    let x = e.select(fits, x, zero);
    let converted = e.convert("arith.fptosi", x, to);
    let lowest = e.int(to, -(1i128 << (8 * to.size() - 1)));
    e.select(fits, converted, lowest)
}
