//! Integer operations from MLIR's. What MLIR leaves undefined (division by zero, a shift beyond the width) is undefined there
//! even in lanes that a select drops later, so the operands are made safe first.

use super::{CmpI, Emit};
use crate::DType;
use crate::dtype::Kind;

fn signed(t: DType) -> bool {
    t.kind() == Kind::Int
}

fn bits(t: DType) -> i128 {
    8 * t.size() as i128
}

/// A divisor that neither is zero nor overflows: those lanes divide by 1. Also: is it 0, is it -1 (signed types only)?
fn safe_divisor<E: Emit>(e: &mut E, t: DType, y: E::V) -> (E::V, E::V, Option<E::V>) {
    let (zero, one) = (e.int(t, 0), e.int(t, 1));
    let is_zero = e.cmpi(CmpI::Eq, y, zero);
    if !signed(t) {
        return (e.select(is_zero, one, y), is_zero, None);
    }
    let minus_one = e.int(t, -1);
    let is_minus_one = e.cmpi(CmpI::Eq, y, minus_one);
    let unsafe_ = e.or(is_zero, is_minus_one);
    (e.select(unsafe_, one, y), is_zero, Some(is_minus_one))
}

pub fn floor_divide<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    let (divisor, is_zero, is_minus_one) = safe_divisor(e, t, y);
    let zero = e.int(t, 0);
    let Some(is_minus_one) = is_minus_one else {
        let quotient = e.op2("arith.divui", x, divisor);
        return e.select(is_zero, zero, quotient);
    };
    let quotient = e.op2("arith.divsi", x, divisor);
    let product = e.op2("arith.muli", quotient, divisor);
    let rest = e.op2("arith.subi", x, product);
    let wrong_side = wrong_side(e, t, rest, divisor);
    let one = e.int(t, 1);
    let lower = e.op2("arith.subi", quotient, one);
    let floor = e.select(wrong_side, lower, quotient);
    let negated = e.op2("arith.subi", zero, x);
    let result = e.select(is_minus_one, negated, floor);
    e.select(is_zero, zero, result)
}

/// The remainder is not 0 and its sign is not the divisor's.
fn wrong_side<E: Emit>(e: &mut E, t: DType, rest: E::V, divisor: E::V) -> E::V {
    let zero = e.int(t, 0);
    let inexact = e.cmpi(CmpI::Ne, rest, zero);
    let signs = e.xor(rest, divisor);
    let differ = e.cmpi(CmpI::Slt, signs, zero);
    e.and(inexact, differ)
}

pub fn remainder<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    let rest = fmod(e, t, x, y);
    if !signed(t) {
        return rest;
    }
    let wrong_side = wrong_side(e, t, rest, y);
    let moved = e.op2("arith.addi", rest, y);
    e.select(wrong_side, moved, rest)
}

/// Dividing by 1 in place of 0 and -1 gives the right remainder, 0.
pub fn fmod<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    let (divisor, ..) = safe_divisor(e, t, y);
    e.op2(if signed(t) { "arith.remsi" } else { "arith.remui" }, x, divisor)
}

pub fn power<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    let (zero, one) = (e.int(t, 0), e.int(t, 1));
    let mut exponent = y;
    let mut steps = bits(t) as u32;
    if signed(t) {
        exponent = e.op2("arith.maxsi", y, zero);
        steps -= 1;
    }
    let state = e.repeat(steps, vec![one, x, exponent], &mut |e, state| {
        let [result, base, exponent] = state[..] else { unreachable!("three values go round") };
        let bit = e.and(exponent, one);
        let odd = e.cmpi(CmpI::Ne, bit, zero);
        let product = e.op2("arith.muli", result, base);
        let result = e.select(odd, product, result);
        vec![result, e.op2("arith.muli", base, base), e.op2("arith.shrui", exponent, one)]
    });
    state[0]
}

pub fn negative<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let zero = e.int(t, 0);
    e.op2("arith.subi", zero, x)
}

pub fn absolute<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let negated = negative(e, t, x);
    e.op2("arith.maxsi", x, negated)
}

pub fn sign<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let one = e.int(t, 1);
    if !signed(t) {
        return e.op2("arith.minui", x, one);
    }
    let minus_one = e.int(t, -1);
    let at_most_one = e.op2("arith.minsi", x, one);
    e.op2("arith.maxsi", at_most_one, minus_one)
}

pub fn square<E: Emit>(e: &mut E, _t: DType, x: E::V) -> E::V {
    e.op2("arith.muli", x, x)
}

pub fn reciprocal<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let zero = e.int(t, 0);
    let lowest = if signed(t) && bits(t) >= 32 { e.int(t, 1 << (bits(t) - 1)) } else { zero };
    let one = e.int(t, 1);
    let is_one = e.cmpi(CmpI::Eq, x, one);
    let mut unit = is_one;
    if signed(t) {
        let minus_one = e.int(t, -1);
        let is_minus_one = e.cmpi(CmpI::Eq, x, minus_one);
        unit = e.or(is_one, is_minus_one);
    }
    let is_zero = e.cmpi(CmpI::Eq, x, zero);
    let result = e.select(unit, x, zero);
    e.select(is_zero, lowest, result)
}

/// Compared as unsigned, a negative distance is too large as well.
fn inside<E: Emit>(e: &mut E, t: DType, distance: E::V) -> E::V {
    let width = e.int(t, bits(t));
    e.cmpi(CmpI::Ult, distance, width)
}

pub fn left_shift<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    let inside = inside(e, t, y);
    let zero = e.int(t, 0);
    let distance = e.select(inside, y, zero);
    let shifted = e.op2("arith.shli", x, distance);
    e.select(inside, shifted, zero)
}

pub fn right_shift<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    let inside = inside(e, t, y);
    let most = e.int(t, bits(t) - 1);
    let distance = e.select(inside, y, most);
    if signed(t) {
        return e.op2("arith.shrsi", x, distance);
    }
    let shifted = e.op2("arith.shrui", x, distance);
    let zero = e.int(t, 0);
    e.select(inside, shifted, zero)
}

pub fn bitwise_count<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let magnitude = if signed(t) { absolute(e, t, x) } else { x };
    let count = e.op1("math.ctpop", magnitude);
    resize(e, count, t, DType::U8, false)
}

/// To another width, by sign or by zeros.
pub fn resize<E: Emit>(e: &mut E, x: E::V, from: DType, to: DType, sign: bool) -> E::V {
    match from.size().cmp(&to.size()) {
        std::cmp::Ordering::Equal => x,
        std::cmp::Ordering::Greater => e.convert("arith.trunci", x, to),
        std::cmp::Ordering::Less => e.convert(if sign { "arith.extsi" } else { "arith.extui" }, x, to),
    }
}

/// A comparison of i64 with u64 (or u64 with i64, by `t`, the first argument's type). Where the signed one is negative the
/// answer is `left_is_less`'s or its opposite; elsewhere both are compared as unsigned.
fn mixed<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V, predicate: CmpI, if_x_less: bool, if_y_less: bool) -> E::V {
    let x_is_signed = t == DType::I64;
    let zero = e.int(DType::I64, 0);
    let negative = e.cmpi(CmpI::Slt, if x_is_signed { x } else { y }, zero);
    let answer = e.bool(if x_is_signed { if_x_less } else { if_y_less });
    let compared = e.cmpi(predicate, x, y);
    e.select(negative, answer, compared)
}

pub fn greater_mixed<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    mixed(e, t, x, y, CmpI::Ugt, false, true)
}

pub fn greater_equal_mixed<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    mixed(e, t, x, y, CmpI::Uge, false, true)
}

pub fn less_mixed<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    mixed(e, t, x, y, CmpI::Ult, true, false)
}

pub fn less_equal_mixed<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    mixed(e, t, x, y, CmpI::Ule, true, false)
}

pub fn equal_mixed<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    mixed(e, t, x, y, CmpI::Eq, false, false)
}

pub fn not_equal_mixed<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    mixed(e, t, x, y, CmpI::Ne, true, true)
}
