//! See the meanings' file of this name.

use super::*;
use crate::ufunc::meaning::analytic::{EXP_FAR, SCALING};

/// Which of the constants of `f32` and `f64`.
pub fn of_type(t: DType) -> usize {
    (t != DType::F32) as usize
}

pub fn exp<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let t = t.real();
    let (re, im) = x.pair();
    let (zero, one, inf) = (e.float(t, 0.0), e.float(t, 1.0), e.float(t, f64::INFINITY));
    let bound = EXP_FAR[of_type(t)];
    let power =
        if t == DType::F32 { legate_jit_vmath::exp_f32(bound as f32) as f64 } else { legate_jit_vmath::exp_f64(bound) };
    let (far, power) = (e.float(t, bound), e.float(t, power));
    let is_far = e.cmpf(CmpF::Ogt, re, far);
    let (shift, scale) = (e.select(is_far, far, zero), e.select(is_far, power, one));
    let near = subf(e, re, shift);
    let size = e.vmath(Func::Exp, t, &[near]);
    let (cos, sin) = (e.vmath(Func::Cos, t, &[im]), e.vmath(Func::Sin, t, &[im]));
    let (y_re, y_im) = (mulf(e, size, cos), mulf(e, size, sin));
    let (y_re, y_im) = (mulf(e, y_re, scale), mulf(e, y_im, scale));
    let is_real = e.cmpf(CmpF::Oeq, im, zero);
    let y_im = e.select(is_real, im, y_im);
    // Infinite real parts turned by no angle.
    let (re_inf, im_finite) = (float::isinf(e, t, re), float::isfinite(e, t, im));
    let positive = e.cmpf(CmpF::Ogt, re, zero);
    let nan = e.float(t, f64::NAN);
    let zero_im = e.op2("math.copysign", zero, im);
    let turned = select(e, positive, Val::Pair(inf, nan), Val::Pair(zero, zero_im));
    let turned = select(e, re_inf, turned, Val::Pair(y_re, y_im));
    select(e, im_finite, Val::Pair(y_re, y_im), turned)
}

/// The larger and the smaller of the lengths of the parts.
fn sorted<E: Emit>(e: &mut E, re: E::V, im: E::V) -> (E::V, E::V) {
    let (a, b) = (e.op1("math.absf", re), e.op1("math.absf", im));
    let larger = e.cmpf(CmpF::Ogt, a, b);
    (e.select(larger, a, b), e.select(larger, b, a))
}

/// `of` the exponent of the power of two for a length.
fn scaled<E: Emit>(e: &mut E, t: DType, large: E::V, of: impl Fn(i32) -> f64) -> E::V {
    let k = of_type(t);
    let (huge, tiny) = (e.float(t, SCALING.huge[k]), e.float(t, SCALING.tiny[k]));
    let (down, up, none) = (e.float(t, of(SCALING.down)), e.float(t, of(SCALING.up[k])), e.float(t, of(0)));
    let is_tiny = e.cmpf(CmpF::Olt, large, tiny);
    let is_huge = e.cmpf(CmpF::Ogt, large, huge);
    let up = e.select(is_tiny, up, none);
    e.select(is_huge, down, up)
}

fn two_sum<E: Emit>(e: &mut E, a: E::V, b: E::V) -> (E::V, E::V) {
    let sum = addf(e, a, b);
    let t = subf(e, sum, a);
    let u = subf(e, sum, t);
    let (a_rest, b_rest) = (subf(e, a, u), subf(e, b, t));
    (sum, addf(e, a_rest, b_rest))
}

/// The square, and what it lacks.
fn two_square<E: Emit>(e: &mut E, a: E::V) -> (E::V, E::V) {
    let square = mulf(e, a, a);
    let minus = e.op1("arith.negf", square);
    (square, e.mul_add(a, a, minus))
}

pub fn log<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let t = t.real();
    let (re, im) = x.pair();
    let (large, small) = sorted(e, re, im);
    let factor = scaled(e, t, large, |n| 2f64.powi(n));
    let rest = scaled(e, t, large, |n| -n as f64 * std::f64::consts::LN_2);
    let (p, q) = (mulf(e, large, factor), mulf(e, small, factor));
    let length = e.vmath(Func::Hypot, t, &[p, q]);
    let plain = e.vmath(Func::Log, t, &[length]);
    let plain = addf(e, plain, rest);
    let ((a, a_lo), (b, b_lo)) = (two_square(e, large), two_square(e, small));
    let minus_one = e.float(t, -1.0);
    let (first, first_lo) = two_sum(e, a, minus_one);
    let (sum, sum_lo) = two_sum(e, first, b);
    let lo = addf(e, sum_lo, first_lo);
    let squares_lo = addf(e, a_lo, b_lo);
    let lo = addf(e, lo, squares_lo);
    let square = addf(e, sum, lo);
    let near = e.vmath(Func::Log1p, t, &[square]);
    let (half, two) = (e.float(t, 0.5), e.float(t, 2.0));
    let near = mulf(e, near, half);
    let (above, below) = (e.cmpf(CmpF::Ogt, large, half), e.cmpf(CmpF::Olt, large, two));
    let is_near = e.and(above, below);
    Val::Pair(e.select(is_near, near, plain), e.vmath(Func::Atan2, t, &[im, re]))
}

pub fn sqrt<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let t = t.real();
    let (re, im) = x.pair();
    let (large, _) = sorted(e, re, im);
    let factor = scaled(e, t, large, |n| 2f64.powi(n));
    let back = scaled(e, t, large, |n| 2f64.powi(-n / 2));
    let (p, q) = (mulf(e, re, factor), mulf(e, im, factor));
    let length = e.vmath(Func::Hypot, t, &[p, q]);
    let (p_abs, q_abs) = (e.op1("math.absf", p), e.op1("math.absf", q));
    let sum = addf(e, p_abs, length);
    let (zero, half, inf) = (e.float(t, 0.0), e.float(t, 0.5), e.float(t, f64::INFINITY));
    let mean = mulf(e, sum, half);
    let root = e.op1("math.sqrt", mean);
    let twice = addf(e, root, root);
    let other = divf(e, q_abs, twice);
    let left = e.cmpf(CmpF::Olt, re, zero);
    let (y_re, y_im) = (e.select(left, other, root), e.select(left, root, other));
    let (y_re, y_im) = (mulf(e, y_re, back), mulf(e, y_im, back));
    let y_im = e.op2("math.copysign", y_im, im);
    let (re_zero, im_zero) = (e.cmpf(CmpF::Oeq, re, zero), e.cmpf(CmpF::Oeq, im, zero));
    let is_zero = e.and(re_zero, im_zero);
    let y = select(e, is_zero, Val::Pair(zero, im), Val::Pair(y_re, y_im));
    let im_inf = float::isinf(e, t, im);
    select(e, im_inf, Val::Pair(inf, im), y)
}
