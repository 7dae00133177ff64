//! Exponentials and hyperbolic functions of f64.
//!
//! x = n ln 2 + r with |r| ≤ ln 2 / 2 (Cody and Waite, *Software Manual for the Elementary Functions*, 1980): with FMA the
//! first part of n ln 2 is subtracted exactly. A minimax polynomial of e^r and a multiplication by 2^n follow. The
//! hyperbolic functions need e^r and e^-r: the odd and the even part of one polynomial give both, and no division.

use crate::coefficients::*;
use crate::lanes::{Double, Lanes, fast_two_sum, poly, round, round_product, two_product};

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

/// 2^n (1 + p) - 1, where 2^n - 1 and the first two terms of p are added without error. Half of it is computed, for 2^1024.
#[inline(always)]
pub fn expm1<V: Lanes>(x: V) -> V {
    let (n, r) = reduce(clamp(x, -60.0, 710.0));
    let power = V::power(n - V::all(1.0));
    let one = V::all(0.5);
    let base = power - one;
    let base_lo = (power - base) - one;
    let square = two_product(r.hi, r.hi * one);
    let sum = fast_two_sum(base, power * r.hi);
    let second = fast_two_sum(sum.hi, power * square.hi);
    let tail = (r.hi * (square.hi + square.hi)).fma(poly(r.hi, &EXPM1), square.lo + r.lo);
    let half = second.hi + power.fma(tail, (second.lo + sum.lo) + base_lo);
    V::select(x.abs().lt(V::bits((1023 - 54) << 52)), x, half + half)
}

/// What sinh and cosh of x ≥ 0 are made of: P = 2^(n-3) and Q = 2^(-n-3), their sum and difference, and the odd and the even
/// part of the polynomial. The factor 1/4 keeps everything finite up to the overflow of the functions.
struct Hyperbolic<V> {
    plus: Double<V>,
    minus: Double<V>,
    /// sinh r = r + odd
    r: V,
    odd: V,
    /// cosh r = 1 + even
    even: V,
}

#[inline(always)]
fn hyperbolic<V: Lanes>(x: V) -> Hyperbolic<V> {
    let (n, r) = reduce(x);
    let z = r.hi * r.hi;
    let p = V::power(n - V::all(3.0));
    let q = V::power(V::all(-3.0) - n.min(V::all(500.0)));
    let (plus, minus) = (p + q, p - q);
    Hyperbolic {
        plus: Double { hi: plus, lo: q - (plus - p) },
        minus: Double { hi: minus, lo: (p - minus) - q },
        r: r.hi,
        odd: (r.hi * z).fma(poly(z, &SINH), r.lo),
        even: z * poly(z, &COSH),
    }
}

impl<V: Lanes> Hyperbolic<V> {
    /// a (1 + even) + b (r + odd).
    #[inline(always)]
    fn combine(&self, a: Double<V>, b: Double<V>) -> Double<V> {
        let product = b.hi * self.r;
        let product_lo = b.hi.fms(self.r, product);
        let sum = fast_two_sum(a.hi, product);
        let lo = (sum.lo + product_lo) + b.lo.fma(self.r, a.lo);
        Double { hi: sum.hi, lo: b.hi.fma(self.odd, a.hi.fma(self.even, lo)) }
    }

    #[inline(always)]
    fn sinh(&self) -> Double<V> {
        self.combine(self.minus, self.plus)
    }

    #[inline(always)]
    fn cosh(&self) -> Double<V> {
        self.combine(self.plus, self.minus)
    }

    /// cosh rounded: no term is negative but b r, which is small, so that its rounding and what b lacks are hardly felt.
    #[inline(always)]
    fn rounded_cosh(&self) -> V {
        let (a, b) = (self.plus, self.minus.hi);
        let sum = fast_two_sum(a.hi, b * self.r);
        sum.hi + b.fma(self.odd, a.hi.fma(self.even, sum.lo + a.lo))
    }
}

/// Below this the functions with f(x) = x + O(x³) are x, but for a hundredth of a unit.
pub const TINY: f64 = 3.725_290_298_461_914e-9;

#[inline(always)]
pub fn sinh<V: Lanes>(x: V) -> V {
    let a = V::all(711.0).min(x.abs());
    let r = hyperbolic(a).sinh().sum() * V::all(4.0);
    V::select(a.lt(V::all(TINY)), x, r.with_sign(x))
}

#[inline(always)]
pub fn cosh<V: Lanes>(x: V) -> V {
    hyperbolic(V::all(711.0).min(x.abs())).rounded_cosh() * V::all(4.0)
}

#[inline(always)]
pub fn tanh<V: Lanes>(x: V) -> V {
    let a = V::all(22.0).min(x.abs());
    let h = hyperbolic(a);
    let (s, c) = (h.sinh(), h.cosh());
    let r = Double::quotient(fast_two_sum(s.hi, s.lo), fast_two_sum(c.hi, c.lo)).sum();
    V::select(a.lt(V::all(TINY)), x, r.with_sign(x))
}
