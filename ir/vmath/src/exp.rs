//! Exponentials and hyperbolic functions of f64.
//!
//! x = n ln 2 + r with |r| ≤ ln 2 / 2 (Cody and Waite, *Software Manual for the Elementary Functions*, 1980): with FMA the
//! first part of n ln 2 is subtracted exactly. A minimax polynomial of e^r and a multiplication by 2^n follow. sinh needs e^r and
//! e^-r: the odd and the even part of one polynomial give both, and no division.

use crate::coefficients::*;
use crate::lanes::{Double, Lanes, MAGIC, fast_two_sum, poly, round, round_product};

/// x within bounds; NaN stays.
#[inline(always)]
pub fn clamp<V: Lanes>(x: V, low: f64, high: f64) -> V {
    V::all(low).max(V::all(high).min(x))
}

/// n, r and what r lacks.
#[inline(always)]
fn reduce<V: Lanes>(x: V) -> (V, Double<V>) {
    let n = round_product(x, LOG2_E);
    let first = n.fnma(V::all(LN2_HI), x);
    let second = n * V::all(LN2_LO);
    let hi = first - second;
    (n, Double { hi, lo: (first - hi) - second })
}

#[inline(always)]
pub fn exp<V: Lanes>(x: V) -> V {
    let x = clamp(x, -746.0, 710.0);
    let n = round_product(x, LOG2_E);
    let r = n.fnma(V::all(LN2_LO), n.fnma(V::all(LN2_HI), x));
    let one = fast_two_sum(V::all(1.0), r);
    (one.hi + (r * r).fma(poly(r, &EXP), one.lo)).scale(n)
}

#[inline(always)]
pub fn exp2<V: Lanes>(x: V) -> V {
    let x = clamp(x, -1080.0, 1030.0);
    let n = round(x);
    let r = x - n;
    let tail = (r * r).fma(poly(r, &EXP2), r * V::all(LN2_LO));
    (V::all(1.0) + r.fma(V::all(LN2_HI), tail)).scale(n)
}

/// e^x = 2^n (hi + lo), where lo is some 2^-5 of hi at most (Tang, *Table-driven implementation of the exponential function in
/// IEEE floating-point arithmetic*, ACM TOMS 15, 1989).
pub struct Parts<V> {
    /// n in the exponent's place, modulo 2^12.
    pub shift: V,
    pub hi: V,
    pub lo: V,
}

/// The parts of e^(x + x_lo), where x_lo is below x's last place.
#[inline(always)]
pub fn parts<V: Lanes>(x: V, x_lo: V) -> Parts<V> {
    // Sixteen times as fine as n.
    let bits = x.fma(V::all(16.0 * LOG2_E), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    let r = n.fnma(V::all(LN2_16_HI), x) + n.fnma(V::all(LN2_16_LO), x_lo);
    let p = (r * r).fma(poly(r, &EXP_16), r);
    let hi = bits.lookup16(&POWER_16_HI);
    Parts { shift: bits.shr::<4>().shl::<52>(), hi, lo: hi.fma(p, bits.lookup16(&POWER_16_LO)) }
}

/// e^(x + low) for any x and a low below its last place, rounded nearly once.
#[inline(always)]
pub fn exp_double<V: Lanes>(x: Double<V>) -> V {
    let hi = clamp(x.hi, -746.0, 710.0);
    let n = round_product(hi, LOG2_E);
    let first = n.fnma(V::all(LN2_HI), hi);
    let second = n.fnma(V::all(LN2_LO), x.lo);
    let r = first + second;
    let rest = (first - r) + second;
    let one = fast_two_sum(V::all(1.0), r);
    (one.hi + (one.lo + (r * r).fma(poly(r, &EXP), rest))).scale(n)
}

/// Half of 2^n (1 + r + q) - 1, for 2^1024; 2^n - 1 and the product with r are added without error.
#[inline(always)]
pub fn expm1<V: Lanes>(x: V) -> V {
    let (n, r) = reduce(clamp(x, -60.0, 710.0));
    let half = V::all(0.5);
    let power = V::power(n - V::all(1.0));
    let base = power - half;
    let base_lo = (power - base) - half;
    // Up to a quarter of the result: its first term is rounded only once.
    let tail = ((r.hi * r.hi) * r.hi).fma(poly(r.hi, &EXPM1), r.lo);
    let q = (r.hi * half).fma(r.hi, tail);
    let sum = power.fma(r.hi, base);
    let sum_lo = power.fma(r.hi, base - sum);
    let y = sum + power.fma(q, sum_lo + base_lo);
    V::select(x.abs().lt(V::bits((1023 - 54) << 52)), x, y + y)
}

/// Below this the functions with f(x) = x + O(x³) are x, but for a hundredth of a unit.
pub const TINY: f64 = 3.725_290_298_461_914e-9;

/// |x| = n ln 2 + b + r, the b being such that their e^b and e^-b are nearly f64 (Gal and Bachelis, *An accurate elementary
/// mathematical library for the IEEE floating point standard*, ACM TOMS 17, 1991). With P = e^(n ln 2 + b), the result is
/// (P - 1/P) cosh r + (P + 1/P) sinh r, both halved. Quarters, for the overflow. r is added last: where the result is smaller than
/// the difference, it is nearly as large.
#[inline(always)]
pub fn sinh<V: Lanes>(x: V) -> V {
    let a = V::all(711.0).min(x.abs());
    let bits = a.fma(V::all(LOG2_E), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    // Exact.
    let first = n.fnma(V::all(LN2_HI), a);
    let index = first.fma(V::all(PER_STEP), V::all(MAGIC));
    let r = n.fnma(V::all(LN2_LO), first - index.lookup16(&HYPERBOLIC_AT));
    let shift = bits.shl::<52>();
    let power = index.lookup16(&HYPERBOLIC_POWER).iadd(shift);
    // 256 times as large as the quarter.
    let inverse = index.lookup16(&HYPERBOLIC_INVERSE).isub(shift);
    let factor = V::all(1.0 / 256.0);
    let plus = inverse.fma(factor, power);
    let minus = inverse.fnma(factor, power);
    let minus_lo = inverse.fnma(factor, power - minus);
    let z = r * r;
    let even = z * poly(z, &COSH);
    let odd = (r * z) * poly(z, &SINH);
    let y = plus.fma(odd, minus.fma(even, minus_lo));
    // Subnormal numbers have no halves.
    minus.fma(V::all(2.0), plus.fma(r + r, y + y)).with_sign(x)
}

/// e^|x| / 2 and its reciprocal's quarter, both halved, for the overflow.
#[inline(always)]
pub fn cosh<V: Lanes>(x: V) -> V {
    let e = parts(V::all(711.0).min(x.abs()), V::all(0.0));
    let power = V::all(0.25).iadd(e.shift);
    let (hi, lo) = (power * e.hi, power * e.lo);
    let r = hi + (lo + V::all(0.0625) / (hi + lo));
    r + r
}

/// E / (E + 2) with E = e^2a - 1 in two parts, from a table as in [`parts`]: the difference of the power and 1 is exact.
#[inline(always)]
pub fn tanh<V: Lanes>(x: V) -> V {
    let a = V::all(20.0).min(x.abs());
    let twice = a + a;
    let bits = a.fma(V::all(32.0 * LOG2_E), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    let first = n.fnma(V::all(LN2_16_HI), twice);
    let r = n.fnma(V::all(LN2_16_LO), first);
    let r_lo = n.fnma(V::all(LN2_16_LO), first - r);
    let tail = (r * r) * poly(r, &EXPM1_16);
    let p = r + tail;
    let rest = r_lo + bits.lookup16(&POWER_16_REST);
    let p_lo = (tail - (p - r)) + p.fma(rest, rest);
    let power = bits.lookup16(&POWER_16_BITS).iadd(bits.shl::<48>());
    let base = power - V::all(1.0);
    let e = power.fma(p, base);
    let e_lo = power.fma(p_lo, power.fma(p, base - e));
    let two = V::all(2.0);
    let under = e + two;
    let under_lo = (e - (under - two)) + e_lo;
    let y = V::all(1.0) / under;
    let q = e * y;
    let rest = q.fnma(under, e) + q.fnma(under_lo, e_lo);
    rest.fma(y, q).with_sign(x)
}
