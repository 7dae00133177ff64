//! Exponentials and hyperbolic functions of f32: the algorithms of [`crate::exp`]. Where e^x is needed in two parts it comes from a
//! table of the sixteenth parts of a binade (Tang, *Table-driven implementation of the exponential function in IEEE floating-point
//! arithmetic*, ACM TOMS 15, 1989), which leaves a short polynomial.

use crate::coefficients::*;
use crate::lanes32::{MAGIC, Singles, fast_two_sum, horner, poly};

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

/// e^(x + x_lo) = 2^n (hi + lo) for results that are normal and an x_lo below 1/32; lo is some 2^-5 of hi at most.
#[inline(always)]
pub fn exp_double<V: Singles>(x: V, x_lo: V) -> V {
    // Sixteen times as fine as n.
    let bits = x.fma(V::all(16.0 * LOG2_E as f32), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    let r = n.fnma(V::all(LN2_16_F32_HI), x) + n.fnma(V::all(LN2_16_F32_LO), x_lo);
    let p = (r * r).fma(poly(r, &EXP_16_F32), r);
    let hi = bits.lookup16(&POWER_16_HI_F32);
    let lo = hi.fma(p, bits.lookup16(&POWER_16_LO_F32));
    (hi + lo).iadd(bits.shr::<4>().shl::<23>())
}

/// e^x - 1 = (T 2^n - 1) + T 2^n (e^r - 1), where T is e^b of ten binary places and b nearly an f32 (Gal and Bachelis, *An accurate
/// elementary mathematical library for the IEEE floating point standard*, ACM TOMS 17, 1991), so that the first difference is exact
/// from 2^-14 to 2^24. Halves, for 2^128.
#[inline(always)]
pub fn expm1<V: Singles>(x: V) -> V {
    let near = clamp(x, -18.0, 89.0);
    let bits = near.fma(V::all(LOG2_E as f32), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    // Exact, as n is small and both are multiples of 2^-25.
    let first = n.fnma(V::all(LN2_HI_F32), near);
    let index = first.fma(V::all(16.0), V::all(MAGIC));
    let r = n.fnma(V::all(LN2_LO_F32), first - index.lookup16(&EXPM1_F32_AT));
    let power = index.lookup16(&EXPM1_F32_POWER).iadd(bits.shl::<23>());
    let p = (r * r).fma(horner(r, &EXPM1_F32), r);
    // From 2^24 on the difference is not exact, and the power is larger than 1/2.
    let two = V::all(2.0);
    let base = power - V::all(0.5);
    let base_lo = (power - base).fms(two, V::all(1.0));
    // Subnormal numbers have no halves. Zero keeps its sign.
    base.fma(two, power.fma(p + p, base_lo)).with_sign(x)
}

/// What sinh and cosh of a = n ln 2 + b + r ≥ 0 are made of: a quarter of e^(n ln 2 + b), and of the reciprocal of it, their sum or
/// difference with what it lacks, both times cosh r - 1, sinh r. The b are such that their e^b and e^-b are nearly f32 (Gal and
/// Bachelis, *An accurate elementary mathematical library for the IEEE floating point standard*, ACM TOMS 17, 1991).
struct Hyperbolic<V> {
    power: V,
    /// 256 times as large.
    inverse: V,
    r: V,
    square: V,
}

const OF_INVERSE: f32 = 1.0 / 256.0;

#[inline(always)]
fn hyperbolic<V: Singles>(a: V) -> Hyperbolic<V> {
    // Beyond are infinities; the quarters are finite here.
    let a = V::all(90.0).min(a);
    let bits = a.fma(V::all(LOG2_E as f32), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    // Exact.
    let first = n.fnma(V::all(LN2_HI_F32), a);
    let index = first.fma(V::all(PER_STEP as f32), V::all(MAGIC));
    let r = n.fnma(V::all(LN2_LO_F32), first - index.lookup16(&HYPERBOLIC_F32_AT));
    let shift = bits.shl::<23>();
    Hyperbolic {
        power: index.lookup16(&HYPERBOLIC_F32_POWER).iadd(shift),
        inverse: index.lookup16(&HYPERBOLIC_F32_INVERSE).isub(shift),
        r,
        square: r * r,
    }
}

/// r is added last: where the result is smaller than the difference, it is nearly as large.
#[inline(always)]
pub fn sinh<V: Singles>(x: V) -> V {
    let h = hyperbolic(x.abs());
    let factor = V::all(OF_INVERSE);
    let minus = h.inverse.fnma(factor, h.power);
    let minus_lo = h.inverse.fnma(factor, h.power - minus);
    let plus = h.inverse.fma(factor, h.power);
    // Subnormal numbers have no halves.
    let (two, twice) = (V::all(2.0), h.r + h.r);
    let odd = (h.r * h.square) * V::all(SINH_F32[0]);
    let even = h.square * V::all(COSH_F32[0]);
    let y = plus.fma(odd, minus.fma(even, minus_lo));
    minus.fma(two, plus.fma(twice, y + y)).with_sign(x)
}

/// e^r - 1 and e^-r - 1 times the powers. The larger power is added last.
#[inline(always)]
pub fn cosh<V: Singles>(x: V) -> V {
    let h = hyperbolic(x.abs());
    let (square, cube) = (V::all(COSH_F32[0]), V::all(SINH_F32[0]));
    let up = h.square.fma(h.r.fma(cube, square), h.r);
    let down = h.square.fms(h.r.fnma(cube, square), h.r);
    let inverse = h.inverse * V::all(OF_INVERSE);
    let y = h.power + h.power.fma(up, inverse.fma(down, inverse));
    y + y
}
