//! Logarithms of f32. x = 2^k (1 + f) with f in [-1/4, 1/2); log(1 + f) / f is a short polynomial of f whose terms depend on the first
//! four places of 1 + f. Where more than an ulp matters, the algorithms are those of [`crate::log`].

use crate::coefficients::*;
use crate::lanes32::{Singles, fast_two_sum, poly, two_product};

/// m and its difference from y as bits; m in [0.6875, 1.375).
#[inline(always)]
fn split<V: Singles>(y: V) -> (V, V) {
    let offset = y.isub(V::all(0.6875));
    (y.isub(offset.and(V::bits(0x1ff << 23))), offset)
}

/// The logarithm of 1 + f in parts of f, less the base's factor.
#[inline(always)]
fn terms<V: Singles>(f: V, index: V, base: &Logarithm) -> V {
    let [first, second, third, fourth] = &base.terms;
    let q = V::all(base.fourth).fma(f, index.lookup16(fourth)).fma(f, index.lookup16(third));
    q.fma(f, index.lookup16(second)).fma(f, index.lookup16(first))
}

/// The logarithm of 2^k (1 + f); `index` names the interval of f. The products of k and of f with the first parts of their factors
/// are exact, and added without error.
#[inline(always)]
fn of_parts<V: Singles>(k: V, f: V, index: V, base: &Logarithm) -> V {
    let q = terms(f, index, base);
    let factor = V::all(base.factor);
    let power = k * V::all(base.power[0]);
    let sum = f.fma(factor, power);
    let lo = k.fma(V::all(base.power[1]), f.fma(factor, power - sum));
    sum + f.fma(q, lo)
}

#[inline(always)]
fn of_base<V: Singles>(x: V, base: &Logarithm) -> V {
    let (k, m) = x.exponent_and_rest();
    of_parts(k, m - V::all(1.0), m.shr::<19>(), base).log_of_odd(x)
}

#[inline(always)]
pub fn log<V: Singles>(x: V) -> V {
    of_base(x, &LOG_E_F32)
}

/// k + log2 m, as [`of_parts`] but for m in [0.6875, 1.375): where k is -1 the sum is never below 1/2, and so what it lacks is exact.
#[inline(always)]
pub fn log2<V: Singles>(x: V) -> V {
    if V::any(x.odd()) { log2_of(x, true).log_of_odd(x) } else { log2_of(x, false) }
}

#[inline(always)]
fn log2_of<V: Singles>(x: V, odd: bool) -> V {
    let small = x.lt(V::all(f32::MIN_POSITIVE));
    let (m, offset) = split(if odd { V::select(small, x * V::bits((127 + 24) << 23), x) } else { x });
    let k = offset.high_bits();
    let k = if odd { V::select(small, k - V::all(24.0), k) } else { k };
    let base = &LOG_2_F32;
    let f = m - V::all(1.0);
    let q = terms(f, offset.shr::<19>(), base);
    let factor = V::all(base.factor);
    let sum = f.fma(factor, k);
    sum + f.fma(q, f.fma(factor, k - sum))
}

#[inline(always)]
pub fn log10<V: Singles>(x: V) -> V {
    of_base(x, &LOG_10_F32)
}

/// 1 + x = 2^k (1 + f), where f = 2^-k x + (2^-k - 1) is exact but for large k.
#[inline(always)]
pub fn log1p<V: Singles>(x: V) -> V {
    let one = V::all(1.0);
    let u = one + x;
    let offset = u.isub(V::all(0.75));
    let scale = one.isub(offset.and(V::bits(0x1ff << 23)));
    let f = x.fma(scale, scale - one);
    // Zero keeps its sign.
    let r = of_parts(offset.high_bits(), f, u.shr::<19>(), &LOG_E_F32).with_sign(x);
    // From 2^126 on the scale is no normal number.
    let odd = !(V::all(-1.0).lt(x) & x.lt(V::all(8e37)));
    if V::any(odd) { V::select(odd, log(u), r) } else { r }
}

/// log(u (1 + rest)) + n log 2 for a positive normal u, a rest below its last place, and a small integer n; where the number is near
/// 1 the result is as exact as its distance from 1.
#[inline(always)]
pub fn log_of_sum<V: Singles>(u: V, rest: V, n: Option<V>) -> V {
    let (m, offset) = split(u);
    let i = offset.shr::<19>();
    let r = m.fms(i.lookup16(&LOG_C_F32), V::all(1.0));
    let k = offset.high_bits();
    let k = match n {
        Some(n) => k + n,
        None => k,
    };
    let table = k.fma(V::all(LN2_POWER_F32), i.lookup16(&LOG_HI_F32));
    let lo = k.fma(V::all(LN2_POWER_REST_F32), i.lookup16(&LOG_LO_F32)) + rest;
    let (hi, hi_lo) = fast_two_sum(table, r);
    hi + (hi_lo + (r * r).fma(poly(r, &LOG_F32), lo))
}

/// log x in two parts to some 2^-34 of it, for positive normal x, as [`crate::log::log_precise`]; the second part is up to
/// 2^-11 of the first.
#[inline(always)]
pub fn log_precise<V: Singles>(x: V) -> (V, V) {
    let (m, offset) = split(x);
    let k = offset.high_bits();
    let i = offset.shr::<18>();
    let r = m.fms(i.lookup32(&LOG32_C_F32), V::all(1.0));
    let table = k.fma(V::all(LN2_POWER_F32), i.lookup32(&LOG32_HI_F32));
    let table_lo = k.fma(V::all(LN2_POWER_REST_F32), i.lookup32(&LOG32_LO_F32));
    let (square, square_lo) = two_product(r, r);
    let minus_half = V::all(-0.5);
    let (first, first_lo) = fast_two_sum(table, r);
    let (second, second_lo) = fast_two_sum(first, square * minus_half);
    let lo = (first_lo + table_lo) + square_lo.fma(minus_half, second_lo);
    (second, (r * square).fma(poly(r, &LOG_TAIL_F32), lo))
}
