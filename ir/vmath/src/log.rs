//! Logarithms and inverse hyperbolic functions of f64.
//!
//! x = 2^k m with m in [0.6875, 1.375). A table gives a c near 1/m for each of 16 intervals, so short that r = m c - 1 is
//! exact; then log x = k ln 2 - log c + log(1 + r) with |r| ≤ 1/16 (Tang, *Table-driven implementation of the logarithm
//! function in IEEE floating-point arithmetic*, ACM TOMS 16, 1990). Around 1, c is 1 and the table adds nothing, so that the
//! result keeps its relative accuracy. The leading terms are added without error; -log c is never smaller than r.

use crate::coefficients::*;
use crate::exp::TINY;
use crate::lanes::{Double, Lanes, fast_two_sum, poly, two_product, two_sum};

pub struct Reduced<V> {
    pub k: V,
    pub m: V,
    /// The interval's number in the lowest four bits.
    pub index: V,
}

/// For positive normal numbers.
#[inline(always)]
pub fn reduce<V: Lanes>(x: V) -> Reduced<V> {
    let offset = x.isub(V::all(0.6875));
    let m = x.isub(offset.and(V::bits(0xfff << 52)));
    Reduced { k: offset.high_bits(), m, index: offset.shr::<48>() }
}

impl<V: Lanes> Reduced<V> {
    /// m c - 1, exactly.
    #[inline(always)]
    pub fn rest(&self) -> V {
        self.m.fms(self.index.lookup16(&LOG_C), V::all(1.0))
    }

    /// k ln 2 - log c; the first part is exact.
    #[inline(always)]
    pub fn table(&self) -> Double<V> {
        Double {
            hi: self.k.fma(V::all(LN2_SHORT), self.index.lookup16(&LOG_HI)),
            lo: self.k.fma(V::all(LN2_REST), self.index.lookup16(&LOG_LO)),
        }
    }

    /// log m; the second part is up to a thirtieth of the first.
    #[inline(always)]
    fn log_m(&self) -> Double<V> {
        let r = self.rest();
        let sum = fast_two_sum(self.index.lookup16(&LOG_HI), r);
        let lo = self.index.lookup16(&LOG_LO) + sum.lo;
        Double { hi: sum.hi, lo: (r * r).fma(poly(r, &LOG), lo) }
    }
}

/// The reduced argument of a logarithm, subnormal numbers included, and whether [`finish`] has something to do.
#[inline(always)]
fn prepare<V: Lanes>(x: V) -> (Reduced<V>, bool) {
    let odd = V::any(x.odd());
    if !odd {
        return (reduce(x), odd);
    }
    let small = x.lt(V::all(f64::MIN_POSITIVE));
    let mut parts = reduce(V::select(small, x * V::bits((1023 + 54) << 52), x));
    parts.k = V::select(small, parts.k - V::all(54.0), parts.k);
    (parts, odd)
}

/// Infinity and NaN stay, 0 has minus infinity, negative numbers have no logarithm.
#[inline(always)]
pub fn finish<V: Lanes>(odd: bool, x: V, r: V) -> V {
    if !odd {
        return r;
    }
    let r = V::select(x.lt(V::all(f64::INFINITY)), r, x);
    let r = V::select(x.lt(V::all(0.0)), V::all(f64::NAN), r);
    V::select(x.eq(V::all(0.0)), V::all(f64::NEG_INFINITY), r)
}

#[inline(always)]
pub fn log<V: Lanes>(x: V) -> V {
    let (parts, odd) = prepare(x);
    let r = parts.rest();
    let table = parts.table();
    let sum = fast_two_sum(table.hi, r);
    finish(odd, x, sum.hi + (r * r).fma(poly(r, &LOG), sum.lo + table.lo))
}

/// k + log m / ln 2: exact for powers of two.
#[inline(always)]
pub fn log2<V: Lanes>(x: V) -> V {
    let (parts, odd) = prepare(x);
    let scaled = scale(parts.log_m(), INV_LN2_HI, INV_LN2_LO);
    let sum = fast_two_sum(parts.k, scaled.hi);
    finish(odd, x, sum.hi + (sum.lo + scaled.lo))
}

#[inline(always)]
pub fn log10<V: Lanes>(x: V) -> V {
    let (parts, odd) = prepare(x);
    let scaled = scale(parts.log_m(), INV_LN10_HI, INV_LN10_LO);
    let sum = fast_two_sum(parts.k * V::all(LOG10_2_SHORT), scaled.hi);
    finish(odd, x, sum.hi + parts.k.fma(V::all(LOG10_2_REST), sum.lo + scaled.lo))
}

#[inline(always)]
fn scale<V: Lanes>(m: Double<V>, hi: f64, lo: f64) -> Double<V> {
    let p = two_product(m.hi, V::all(hi));
    Double { hi: p.hi, lo: m.hi.fma(V::all(lo), m.lo.fma(V::all(hi), p.lo)) }
}

/// log(u) + extra ln 2 of a positive u in two parts, with all the relative accuracy of u - 1. Without an `extra` u is below 2^1000.
#[inline(always)]
fn log_double<V: Lanes>(u: Double<V>, extra: Option<V>) -> V {
    let mut parts = reduce(u.hi);
    let exponent = u.hi.isub(parts.m);
    let low = match extra {
        None => u.lo * V::all(1.0).isub(exponent),
        Some(extra) => {
            parts.k = parts.k + extra;
            // 2^(1-k), which exists for all k.
            (u.lo * V::all(0.5)) * V::all(2.0).isub(exponent)
        }
    };
    let exact = parts.rest();
    let low = low * parts.index.lookup16(&LOG_C);
    let r = exact + low;
    let r_lo = (exact - r) + low;
    let table = parts.table();
    let sum = fast_two_sum(table.hi, r);
    sum.hi + (r * r).fma(poly(r, &LOG), (sum.lo + r_lo) + table.lo)
}

#[inline(always)]
pub fn log1p<V: Lanes>(x: V) -> V {
    let sum = two_sum(V::all(1.0), x);
    if !V::any(!(V::all(-1.0).lt(x) & x.lt(V::all(1e300)))) {
        // Zero keeps its sign.
        return log_double(sum, None).with_sign(x);
    }
    let r = log_double(sum, Some(V::all(0.0)));
    let r = V::select(x.abs().lt(V::bits((1023 - 54) << 52)), x, r);
    let r = V::select(x.lt(V::all(f64::INFINITY)), r, x);
    let r = V::select(V::all(-1.0).le(x), r, V::all(f64::NAN));
    V::select(x.eq(V::all(-1.0)), V::all(f64::NEG_INFINITY), r)
}

/// The square root of a number in two parts, itself in two parts.
#[inline(always)]
fn root<V: Lanes>(t: Double<V>) -> Double<V> {
    let s = t.hi.sqrt();
    // The bound keeps 0/0 away.
    let half = V::all(0.5) / s.max(V::all(1e-200));
    Double { hi: s, lo: (s.fnma(s, t.hi) + t.lo) * half }
}

/// Above this x² + 1 and x² - 1 are x².
const LARGE: f64 = 268_435_456.0;

/// log(x + √(x² ± 1)) for x ≥ 0; `some_large` says whether some lane may be [`LARGE`].
#[inline(always)]
fn area<V: Lanes>(x: V, one: f64, some_large: bool) -> V {
    let square = two_product(x, x);
    let sum = two_sum(square.hi, V::all(one));
    let s = root(fast_two_sum(sum.hi, sum.lo + square.lo));
    // x is larger than the root of x² - 1 and smaller than that of x² + 1.
    let u = if one < 0.0 { fast_two_sum(x, s.hi) } else { fast_two_sum(s.hi, x) };
    let u = Double { hi: u.hi, lo: u.lo + s.lo };
    if !some_large {
        return log_double(u, None);
    }
    let large = V::all(LARGE).le(x);
    let u = Double { hi: V::select(large, x, u.hi), lo: V::select(large, V::all(0.0), u.lo) };
    log_double(u, Some(V::select(large, V::all(1.0), V::all(0.0))))
}

#[inline(always)]
pub fn asinh<V: Lanes>(x: V) -> V {
    let a = x.abs();
    if !V::any(!a.lt(V::all(LARGE))) {
        return area(a, 1.0, false).with_sign(x);
    }
    let r = area(a, 1.0, true).with_sign(x);
    let keep = V::all(TINY).le(a) & a.lt(V::all(f64::INFINITY));
    V::select(keep, r, x)
}

#[inline(always)]
pub fn acosh<V: Lanes>(x: V) -> V {
    if !V::any(!(V::all(1.0).le(x) & x.lt(V::all(LARGE)))) {
        return area(x, -1.0, false);
    }
    let r = V::select(V::all(1.0).le(x), area(x, -1.0, true), V::all(f64::NAN));
    V::select(x.eq(V::all(f64::INFINITY)), x, r)
}

/// Half of log((1 + |x|) / (1 - |x|)).
#[inline(always)]
pub fn atanh<V: Lanes>(x: V) -> V {
    let a = x.abs();
    let one = V::all(1.0);
    let u = Double::quotient(fast_two_sum(one, a), fast_two_sum(one, -a));
    let r = log_double(u, None) * V::all(0.5);
    let r = V::select(a.lt(V::all(TINY)), a, r);
    let odd = !a.lt(one);
    if !V::any(odd) {
        return r.with_sign(x);
    }
    let edge = V::select(a.eq(one), V::all(f64::INFINITY), V::all(f64::NAN));
    V::select(odd, edge, r).with_sign(x)
}

/// log x in two parts to some 2^-64 of it, for positive normal x: the first two terms of log(1 + r) are added without error,
/// and 32 intervals keep the others small.
#[inline(always)]
pub fn log_precise<V: Lanes>(x: V) -> Double<V> {
    let parts = reduce(x);
    let i = x.isub(V::all(0.6875)).shr::<47>();
    let r = parts.m.fms(i.lookup32(&LOG32_C), V::all(1.0));
    let table = parts.k.fma(V::all(LN2_SHORT), i.lookup32(&LOG32_HI));
    let table_lo = parts.k.fma(V::all(LN2_REST), i.lookup32(&LOG32_LO));
    let square = two_product(r, r);
    let minus_half = V::all(-0.5);
    let sum = fast_two_sum(table, r);
    let second = fast_two_sum(sum.hi, square.hi * minus_half);
    let lo = (sum.lo + table_lo) + square.lo.fma(minus_half, second.lo);
    fast_two_sum(second.hi, (r * square.hi).fma(poly(r, &LOG_TAIL), lo))
}
