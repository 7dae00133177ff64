//! Exponentials and hyperbolic functions of f32: the algorithms of [`crate::exp`]. Where e^x is needed in two parts it comes from a
//! table of the sixteenth parts of a binade (Tang, *Table-driven implementation of the exponential function in IEEE floating-point
//! arithmetic*, ACM TOMS 15, 1989), which leaves a short polynomial.

use crate::coefficients::*;
use crate::lanes32::{MAGIC, Singles, fast_two_sum, poly};

/// x within bounds; NaN stays.
#[inline(always)]
pub fn clamp<V: Singles>(x: V, low: f32, high: f32) -> V {
    V::all(low).max(V::all(high).min(x))
}

#[inline(always)]
pub fn exp<V: Singles>(x: V) -> V {
    let x = clamp(x, -105.0, 90.0);
    let n = x.fma(V::all(LOG2_E as f32), V::all(MAGIC)) - V::all(MAGIC);
    let r = n.fnma(V::all(LN2_LO_F32), n.fnma(V::all(LN2_HI_F32), x));
    let (hi, lo) = fast_two_sum(V::all(1.0), r);
    (hi + (r * r).fma(poly(r, &EXP_F32), lo)).scale(n)
}

#[inline(always)]
pub fn exp2<V: Singles>(x: V) -> V {
    let x = clamp(x, -152.0, 130.0);
    let n = (x + V::all(MAGIC)) - V::all(MAGIC);
    let r = x - n;
    let tail = (r * r).fma(poly(r, &EXP2_F32), r * V::all(LN2_LO_F32));
    (V::all(1.0) + r.fma(V::all(LN2_HI_F32), tail)).scale(n)
}

/// e^x = 2^n (hi + lo), where lo is some 2^-5 of hi at most.
struct Parts<V> {
    /// n in the exponent's place, modulo 2^9.
    shift: V,
    hi: V,
    lo: V,
}

#[inline(always)]
fn parts<V: Singles>(x: V) -> Parts<V> {
    parts_of(x, None)
}

/// The same of x + x_lo, where x_lo is below 1/32.
#[inline(always)]
fn parts_of<V: Singles>(x: V, x_lo: Option<V>) -> Parts<V> {
    // Sixteen times as fine as n.
    let bits = x.fma(V::all(16.0 * LOG2_E as f32), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    let r = n.fnma(V::all(LN2_16_F32_HI), x);
    let r = match x_lo {
        Some(x_lo) => r + n.fnma(V::all(LN2_16_F32_LO), x_lo),
        None => n.fnma(V::all(LN2_16_F32_LO), r),
    };
    let p = (r * r).fma(poly(r, &EXP_16_F32), r);
    let hi = bits.lookup16(&POWER_16_HI_F32);
    Parts { shift: bits.shr::<4>().shl::<23>(), hi, lo: hi.fma(p, bits.lookup16(&POWER_16_LO_F32)) }
}

/// e^(x + x_lo) for results that are normal.
#[inline(always)]
pub fn exp_double<V: Singles>(x: V, x_lo: V) -> V {
    let e = parts_of(x, Some(x_lo));
    (e.hi + e.lo).iadd(e.shift)
}

/// 2^n ((1 - 2^-n) + (e^r - 1)); the difference and its sum with r are added without error.
#[inline(always)]
pub fn expm1<V: Singles>(x: V) -> V {
    let (one, x0) = (V::all(1.0), clamp(x, -18.0, 89.0));
    let minus_n = x0.fma(V::all(-LOG2_E as f32), V::all(MAGIC)) - V::all(MAGIC);
    // Exact, as n is small and both are multiples of 2^-25; r is this and a bit more, which counts e^r times.
    let r = minus_n.fma(V::all(LN2_HI_F32), x0);
    let more = minus_n * V::all(LN2_LO_F32);
    let power = one.scale(minus_n);
    let base = one - power;
    let base_lo = (one - base) - power;
    let sum = base + r;
    let lo = more.fma(r, (r - (sum - base)) + more) + base_lo;
    let q = r.fma(poly(r, &EXPM1_F32), V::all(0.5));
    let y = sum + (r * r).fma(q, lo);
    // Zero keeps its sign.
    y.scale(V::all(0.0) - minus_n).with_sign(x)
}

/// sinh and cosh grow from e^|x| / 4 and e^-|x| / 4, finite as long as they are.
#[inline(always)]
fn quarters<V: Singles>(a: V) -> (V, V, V) {
    let e = parts(V::all(90.0).min(a));
    let power = V::all(0.25).iadd(e.shift);
    let lo = power * e.lo;
    let reciprocal = V::all(0.0625) / power.fma(e.hi, lo);
    (power * e.hi, lo, reciprocal)
}

#[inline(always)]
pub fn sinh<V: Singles>(x: V) -> V {
    let a = x.abs();
    let (hi, lo, reciprocal) = quarters(a);
    let far = hi + (lo - reciprocal);
    let z = x * x;
    let near = (x * z).fma(poly(z, &SINH_F32), x);
    V::select(a.lt(V::all(1.0)), near, (far + far).with_sign(x))
}

#[inline(always)]
pub fn cosh<V: Singles>(x: V) -> V {
    let (hi, lo, reciprocal) = quarters(x.abs());
    let r = hi + (lo + reciprocal);
    r + r
}
