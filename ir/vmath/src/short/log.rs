//! Logarithms of f32: those of [`crate::log`]; log1p, whose m is no f32, without a table.

use crate::coefficients::*;
use crate::lanes32::{Singles, fast_two_sum, poly, two_product, two_sum};

/// m and its difference from y as bits; m in [0.6875, 1.375).
#[inline(always)]
fn split<V: Singles>(y: V) -> (V, V) {
    let offset = y.isub(V::all(0.6875));
    (y.isub(offset.and(V::bits(0x1ff << 23))), offset)
}

/// log(1 + f) - f.
#[inline(always)]
fn tail_of<V: Singles>(f: V) -> V {
    let square = f * f;
    let factor = f.fma(poly(f, &LOG_F32), V::all(-0.5));
    square.fma(factor, f.fms(f, square) * factor)
}

/// The logarithm of one base: k times the base's of 2, the table's of 1/c, and a polynomial of r = m c - 1. All but the polynomial
/// and the rests are added without error.
#[inline(always)]
fn of_base<V: Singles, const K: usize>(x: V, base: &Logarithm<K>) -> V {
    let odd = V::any(x.odd());
    let mut y = x;
    let mut shift = V::all(0.0);
    if odd {
        let small = x.lt(V::all(f32::MIN_POSITIVE));
        y = V::select(small, x * V::bits((127 + 24) << 23), x);
        shift = V::select(small, V::all(24.0), shift);
    }
    let (m, offset) = split(y);
    let mut k = offset.high_bits();
    if odd {
        k = k - shift;
    }
    let i = offset.shr::<19>();
    let r = m.fms(i.lookup16(&LOG_C_F32), V::all(1.0));
    let table = k.fma(V::all(base.power[0]), i.lookup16(&base.hi));
    let mut lo = k.fma(V::all(base.power[1]), i.lookup16(&base.lo));
    let factor = V::all(base.factor[0]);
    let sum = r.fma(factor, table);
    let mut rest = table - sum;
    if base.factor[1] == 0.0 {
        rest = rest + r;
    } else {
        rest = r.fma(factor, rest);
        lo = r.fma(V::all(base.factor[1]), lo);
    }
    let r = sum + (rest + (r * r).fma(poly(r, &base.terms), lo));
    if !odd {
        return r;
    }
    // Infinity and NaN stay, 0 has minus infinity, negative numbers have no logarithm.
    let r = V::select(x.lt(V::all(f32::INFINITY)), r, x);
    let r = V::select(x.lt(V::all(0.0)), V::all(f32::NAN), r);
    V::select(x.eq(V::all(0.0)), V::all(f32::NEG_INFINITY), r)
}

#[inline(always)]
pub fn log<V: Singles>(x: V) -> V {
    of_base(x, &LOG_E_F32)
}

#[inline(always)]
pub fn log2<V: Singles>(x: V) -> V {
    of_base(x, &LOG_2_F32)
}

#[inline(always)]
pub fn log10<V: Singles>(x: V) -> V {
    of_base(x, &LOG_10_F32)
}

#[inline(always)]
pub fn log1p<V: Singles>(x: V) -> V {
    let one = V::all(1.0);
    let (u, u_lo) = two_sum(one, x);
    let (m, offset) = split(u);
    // 2^(1-k).
    let power = V::all(2.0).isub(u.isub(m));
    let exact = m - one;
    let low = (u_lo * V::all(0.5)) * power;
    let f = exact + low;
    let f_lo = (exact - f) + low;
    let k = offset.high_bits();
    let (hi, lo) = fast_two_sum(k * V::all(LN2_SHORT_F32), f);
    let r = hi + (lo + k.fma(V::all(LN2_REST_F32), f_lo + tail_of(f)));
    let r = V::select(x.abs().lt(V::all(1e-7)), x, r);
    let odd = !(V::all(-1.0).lt(x) & x.lt(V::all(f32::INFINITY)));
    if !V::any(odd) {
        return r;
    }
    let r = V::select(odd, V::select(V::all(0.0).lt(x), x, V::all(f32::NAN)), r);
    V::select(x.eq(V::all(-1.0)), V::all(f32::NEG_INFINITY), r)
}

/// log(u + u_lo) + n log 2 for a positive normal u with a rest of its last place's size, and a small integer n; where the sum is
/// near 1 the result is as exact as its distance from 1.
#[inline(always)]
pub fn log_of_sum<V: Singles>(u: V, u_lo: V, n: V) -> V {
    let base = &LOG_E_F32;
    let (m, offset) = split(u);
    let i = offset.shr::<19>();
    let c = i.lookup16(&LOG_C_F32);
    let r = m.fms(c, V::all(1.0));
    // 2^(1-k) is normal for every k.
    let power = V::all(2.0).isub(u.isub(m));
    let rest = ((u_lo * V::all(0.5)) * power) * c;
    let k = offset.high_bits() + n;
    let table = k.fma(V::all(base.power[0]), i.lookup16(&base.hi));
    let lo = k.fma(V::all(base.power[1]), i.lookup16(&base.lo)) + r.fnma(rest, rest);
    let (hi, hi_lo) = fast_two_sum(table, r);
    hi + (hi_lo + (r * r).fma(poly(r, &base.terms), lo))
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
