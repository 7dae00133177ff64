//! Complex operations on pairs of float vectors. Each follows its meaning step by step, so that the bits are the same.

mod analytic;
mod angles;

pub use analytic::{exp, log, sqrt};
pub use angles::{cos_of, cosh_of, sin_of, sinh_of, tan_of, tanh_of};

use legate_jit_vmath::Func;

use super::{CmpF, Emit, Val, float};
use crate::DType;

type C<E> = Val<<E as Emit>::V>;

fn addf<E: Emit>(e: &mut E, x: E::V, y: E::V) -> E::V {
    e.op2("arith.addf", x, y)
}

fn subf<E: Emit>(e: &mut E, x: E::V, y: E::V) -> E::V {
    e.op2("arith.subf", x, y)
}

fn mulf<E: Emit>(e: &mut E, x: E::V, y: E::V) -> E::V {
    e.op2("arith.mulf", x, y)
}

fn divf<E: Emit>(e: &mut E, x: E::V, y: E::V) -> E::V {
    e.op2("arith.divf", x, y)
}

fn select<E: Emit>(e: &mut E, mask: E::V, x: C<E>, y: C<E>) -> C<E> {
    super::choose(e, DType::C128, Val::One(mask), x, y)
}

/// The same operation on both parts.
fn each<E: Emit>(e: &mut E, op: &'static str, x: C<E>) -> C<E> {
    let (re, im) = x.pair();
    Val::Pair(e.op1(op, re), e.op1(op, im))
}

pub fn identity<E: Emit>(_e: &mut E, _t: DType, x: C<E>) -> C<E> {
    x
}

pub fn add<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    let ((xr, xi), (yr, yi)) = (x.pair(), y.pair());
    Val::Pair(addf(e, xr, yr), addf(e, xi, yi))
}

pub fn subtract<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    let ((xr, xi), (yr, yi)) = (x.pair(), y.pair());
    Val::Pair(subf(e, xr, yr), subf(e, xi, yi))
}

pub fn multiply<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    let ((xr, xi), (yr, yi)) = (x.pair(), y.pair());
    let (ii, ir) = (mulf(e, xi, yi), mulf(e, xi, yr));
    let ii = e.op1("arith.negf", ii);
    Val::Pair(e.mul_add(xr, yr, ii), e.mul_add(xr, yi, ir))
}

pub fn square<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    multiply(e, t, x, x)
}

/// Smith's method: the two cases exchange the parts of the divisor, so one chain of operations serves both.
pub fn divide<E: Emit>(e: &mut E, t: DType, x: C<E>, y: C<E>) -> C<E> {
    let real = t.real();
    let ((xr, xi), (yr, yi)) = (x.pair(), y.pair());
    let (yr_abs, yi_abs) = (e.op1("math.absf", yr), e.op1("math.absf", yi));
    let real_is_larger = e.cmpf(CmpF::Oge, yr_abs, yi_abs);
    let large = e.select(real_is_larger, yr, yi);
    let small = e.select(real_is_larger, yi, yr);
    let ratio = divf(e, small, large);
    let rest = mulf(e, small, ratio);
    let length = addf(e, large, rest);
    let one = e.float(real, 1.0);
    let scale = divf(e, one, length);
    let (xr_ratio, xi_ratio) = (mulf(e, xr, ratio), mulf(e, xi, ratio));
    let re_if_real = addf(e, xr, xi_ratio);
    let re_if_imag = addf(e, xr_ratio, xi);
    let im_if_real = subf(e, xi, xr_ratio);
    let im_if_imag = subf(e, xi_ratio, xr);
    let re = e.select(real_is_larger, re_if_real, re_if_imag);
    let im = e.select(real_is_larger, im_if_real, im_if_imag);
    let (re, im) = (mulf(e, re, scale), mulf(e, im, scale));
    // By zero: each part is divided by +0.
    let zero = e.float(real, 0.0);
    let larger_abs = e.select(real_is_larger, yr_abs, yi_abs);
    let by_zero = e.cmpf(CmpF::Oeq, larger_abs, zero);
    let by_zero = e.and(by_zero, real_is_larger);
    let (re_zero, im_zero) = (divf(e, xr, yr_abs), divf(e, xi, yr_abs));
    Val::Pair(e.select(by_zero, re_zero, re), e.select(by_zero, im_zero, im))
}

pub fn reciprocal<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let (re, im) = x.pair();
    let (re_abs, im_abs) = (e.op1("math.absf", re), e.op1("math.absf", im));
    let real_is_larger = e.cmpf(CmpF::Ole, im_abs, re_abs);
    let large = e.select(real_is_larger, re, im);
    let small = e.select(real_is_larger, im, re);
    let ratio = divf(e, small, large);
    let rest = mulf(e, small, ratio);
    let length = addf(e, large, rest);
    let one = e.float(t.real(), 1.0);
    let re_top = e.select(real_is_larger, one, ratio);
    let im_top = e.select(real_is_larger, ratio, one);
    let im_top = e.op1("arith.negf", im_top);
    Val::Pair(divf(e, re_top, length), divf(e, im_top, length))
}

pub fn negative<E: Emit>(e: &mut E, _t: DType, x: C<E>) -> C<E> {
    each(e, "arith.negf", x)
}

pub fn rint<E: Emit>(e: &mut E, _t: DType, x: C<E>) -> C<E> {
    each(e, "math.roundeven", x)
}

pub fn conjugate<E: Emit>(e: &mut E, _t: DType, x: C<E>) -> C<E> {
    let (re, im) = x.pair();
    Val::Pair(re, e.op1("arith.negf", im))
}

pub fn real<E: Emit>(_e: &mut E, _t: DType, x: C<E>) -> C<E> {
    Val::One(x.pair().0)
}

pub fn imag<E: Emit>(_e: &mut E, _t: DType, x: C<E>) -> C<E> {
    Val::One(x.pair().1)
}

pub fn complex<E: Emit>(_e: &mut E, _t: DType, re: C<E>, im: C<E>) -> C<E> {
    Val::Pair(re.one(), im.one())
}

pub fn absolute<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let t = t.real();
    let (re, im) = x.pair();
    let (re, im) = (e.op1("math.absf", re), e.op1("math.absf", im));
    let (zero, one, inf) = (e.float(t, 0.0), e.float(t, 1.0), e.float(t, f64::INFINITY));
    let re_larger = e.cmpf(CmpF::Ogt, re, im);
    let (large, small) = (e.select(re_larger, re, im), e.select(re_larger, im, re));
    let ratio = divf(e, small, large);
    let sum = e.mul_add(ratio, ratio, one);
    let root = e.op1("math.sqrt", sum);
    let length = mulf(e, large, root);
    // 0 / 0 is no ratio. A NaN is the smaller part then, and goes on.
    let nothing = e.cmpf(CmpF::Oeq, large, zero);
    let both = addf(e, large, small);
    let length = e.select(nothing, both, length);
    let (re_inf, im_inf) = (e.cmpf(CmpF::Oeq, re, inf), e.cmpf(CmpF::Oeq, im, inf));
    let infinite = e.or(re_inf, im_inf);
    Val::One(e.select(infinite, inf, length))
}

pub fn sign<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let t = t.real();
    let (re, im) = x.pair();
    let (zero, one, nan) = (e.float(t, 0.0), e.float(t, 1.0), e.float(t, f64::NAN));
    let length = e.vmath(Func::Hypot, t, &[re, im]);
    let direction = Val::Pair(divf(e, re, length), divf(e, im, length));
    let is_zero = e.cmpf(CmpF::Oeq, length, zero);
    let result = select(e, is_zero, Val::Pair(zero, zero), direction);
    // An infinite part wins over a finite one; two of them have no direction. Where only the length is infinite NumPy looks at
    // the imaginary part.
    let (re_inf, im_inf) = (float::isinf(e, t, re), float::isinf(e, t, im));
    let length_inf = float::isinf(e, t, length);
    let (re_sign, im_sign) = (e.op2("math.copysign", one, re), e.op2("math.copysign", one, im));
    let result = select(e, length_inf, Val::Pair(zero, im_sign), result);
    let result = select(e, re_inf, Val::Pair(re_sign, zero), result);
    let both = e.and(re_inf, im_inf);
    let length_nan = float::isnan(e, t, length);
    let no_direction = e.or(both, length_nan);
    select(e, no_direction, Val::Pair(nan, nan), result)
}

/// x.re > y.re with no NaN among the imaginary parts, or equal real parts and `predicate` on the imaginary ones.
fn ordered<E: Emit>(e: &mut E, predicate: CmpF, x: C<E>, y: C<E>) -> E::V {
    let ((xr, xi), (yr, yi)) = (x.pair(), y.pair());
    let real_greater = e.cmpf(CmpF::Ogt, xr, yr);
    let no_nan = e.cmpf(CmpF::Ord, xi, yi);
    let by_real = e.and(real_greater, no_nan);
    let real_equal = e.cmpf(CmpF::Oeq, xr, yr);
    let imag = e.cmpf(predicate, xi, yi);
    let by_imag = e.and(real_equal, imag);
    e.or(by_real, by_imag)
}

pub fn greater<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    Val::One(ordered(e, CmpF::Ogt, x, y))
}

pub fn greater_equal<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    Val::One(ordered(e, CmpF::Oge, x, y))
}

pub fn less<E: Emit>(e: &mut E, t: DType, x: C<E>, y: C<E>) -> C<E> {
    greater(e, t, y, x)
}

pub fn less_equal<E: Emit>(e: &mut E, t: DType, x: C<E>, y: C<E>) -> C<E> {
    greater_equal(e, t, y, x)
}

pub fn equal<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    let ((xr, xi), (yr, yi)) = (x.pair(), y.pair());
    let (re, im) = (e.cmpf(CmpF::Oeq, xr, yr), e.cmpf(CmpF::Oeq, xi, yi));
    Val::One(e.and(re, im))
}

pub fn not_equal<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    let ((xr, xi), (yr, yi)) = (x.pair(), y.pair());
    let (re, im) = (e.cmpf(CmpF::Une, xr, yr), e.cmpf(CmpF::Une, xi, yi));
    Val::One(e.or(re, im))
}

fn truth<E: Emit>(e: &mut E, t: DType, x: C<E>) -> E::V {
    let (re, im) = x.pair();
    let (re, im) = (super::truth(e, t.real(), re), super::truth(e, t.real(), im));
    e.or(re, im)
}

pub fn logical_and<E: Emit>(e: &mut E, t: DType, x: C<E>, y: C<E>) -> C<E> {
    let (x, y) = (truth(e, t, x), truth(e, t, y));
    Val::One(e.and(x, y))
}

pub fn logical_or<E: Emit>(e: &mut E, t: DType, x: C<E>, y: C<E>) -> C<E> {
    let (x, y) = (truth(e, t, x), truth(e, t, y));
    Val::One(e.or(x, y))
}

pub fn logical_xor<E: Emit>(e: &mut E, t: DType, x: C<E>, y: C<E>) -> C<E> {
    let (x, y) = (truth(e, t, x), truth(e, t, y));
    Val::One(e.xor(x, y))
}

pub fn logical_not<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let x = truth(e, t, x);
    Val::One(super::not(e, DType::Bool, x))
}

fn is_nan<E: Emit>(e: &mut E, x: C<E>) -> E::V {
    let (re, im) = x.pair();
    e.cmpf(CmpF::Uno, re, im)
}

/// x where it is in order before y (`a` ≥ `b`) or where `nan` is NaN, else y.
fn pick<E: Emit>(e: &mut E, x: C<E>, y: C<E>, (a, b): (C<E>, C<E>), nan: C<E>) -> C<E> {
    let first = ordered(e, CmpF::Oge, a, b);
    let nan = is_nan(e, nan);
    let mask = e.or(first, nan);
    select(e, mask, x, y)
}

pub fn maximum<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    pick(e, x, y, (x, y), x)
}

pub fn minimum<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    pick(e, x, y, (y, x), x)
}

pub fn fmax<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    pick(e, x, y, (x, y), y)
}

pub fn fmin<E: Emit>(e: &mut E, _t: DType, x: C<E>, y: C<E>) -> C<E> {
    pick(e, x, y, (y, x), y)
}

pub fn isfinite<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let (re, im) = x.pair();
    let (re, im) = (float::isfinite(e, t.real(), re), float::isfinite(e, t.real(), im));
    Val::One(e.and(re, im))
}

pub fn isinf<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let (re, im) = x.pair();
    let (re, im) = (float::isinf(e, t.real(), re), float::isinf(e, t.real(), im));
    Val::One(e.or(re, im))
}

pub fn isnan<E: Emit>(e: &mut E, _t: DType, x: C<E>) -> C<E> {
    Val::One(is_nan(e, x))
}
