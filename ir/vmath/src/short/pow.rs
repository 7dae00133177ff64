//! x^y of f32 as in [`crate::pow`]: the logarithm and the product carry some 34 bits.

use super::exp::exp_double;
use super::log::log_precise;
use crate::lanes32::{MAGIC, Singles};
use crate::powers::{Exponent, Pair, Single, WHOLE, power};
use crate::single;

/// As for f64.
#[inline(always)]
pub fn pow<V: Singles>(x: V, y: V) -> V {
    let twice = y + y;
    let short = rounded(twice).eq(twice) & twice.abs().le(V::all(WHOLE as f32));
    let short = short & V::all(0.0).lt(twice.abs());
    if !V::any(short) {
        return general(x, y);
    }
    let all = |mask: V::Mask| !V::any(!mask);
    let first = y.first();
    if let Some(exponent) = Exponent::of(first as f64)
        && all(y.eq(V::all(first)))
    {
        let (r, inside) = (power(Single(x), exponent).0, within(x, exponent));
        return if all(inside) { r } else { V::select(inside, r, general(x, y)) };
    }
    let whole = rounded(y).eq(y) & short;
    let inside = whole & near(x, y);
    if all(inside | y.eq(V::all(0.0))) {
        return whole_power(x, y);
    }
    let r = general(x, y);
    let r = if V::any(inside) { V::select(inside, whole_power(x, y), r) } else { r };
    r.mend2(short & !whole, x, y, |x, y| half(x as f32, y as f32) as f64)
}

#[inline(always)]
fn within<V: Singles>(x: V, exponent: Exponent) -> V::Mask {
    let reach = exponent.reach(true);
    let x = if exponent.is_whole() { x.abs() } else { x };
    let two_to = |n: i32| V::bits(((127 + n) as u32) << 23);
    two_to(-reach).le(x) & x.lt(two_to(reach + 1))
}

#[inline(always)]
fn near<V: Singles>(x: V, y: V) -> V::Mask {
    let leading = (x.abs().high_bits() - V::all(127.0)).abs();
    leading.le(V::all(60.0)) & (leading * y.abs()).le(V::all(78.0))
}

#[inline(always)]
fn whole_power<V: Singles>(x: V, y: V) -> V {
    let one = V::all(1.0);
    let mut n = y.abs();
    let mut r = Pair::of(Single(V::select(V::all(8.0).le(n), x, one)));
    n = V::select(V::all(8.0).le(n), n - V::all(8.0), n);
    for bit in [4.0, 2.0, 1.0] {
        r = r.squared();
        let (more, set) = (r.times(Single(x)), V::all(bit).le(n));
        r.hi = Single(V::select(set, more.hi.0, r.hi.0));
        r.lo = Single(V::select(set, more.lo.0, r.lo.0));
        n = V::select(set, n - V::all(bit), n);
    }
    let negative = y.lt(V::all(0.0));
    if V::any(negative) { V::select(negative, r.reciprocal().0, r.sum().0) } else { r.sum().0 }
}

#[inline(always)]
fn half(x: f32, y: f32) -> f32 {
    match Exponent::of(y as f64) {
        Some(exponent) if within(x, exponent) => power(Single(x), exponent).0,
        _ => general(x, y),
    }
}

#[inline(always)]
pub fn general<V: Singles>(x: V, y: V) -> V {
    let a = x.abs();
    let (log, log_lo) = log_precise(a);
    let hi = y * log;
    let lo = y.fma(log_lo, y.fms(log, hi));
    let r = exp_double(hi, lo);
    // Results that are subnormal or infinite.
    let beyond = hi.abs().not_lt(V::all(87.0));
    if !V::any(x.odd() | beyond) {
        return r;
    }
    let r = V::select(x.lt(V::all(0.0)), signed(y, r), r);
    r.mend2(beyond | a.odd(), x, y, single::pow::<f64>)
}

/// (-a)^y from a^y.
#[inline(always)]
fn signed<V: Singles>(y: V, r: V) -> V {
    // From 2^22 on the rounding below fails, and from 2^24 on all are even integers.
    let b = y.abs();
    let large = V::all(4_194_304.0).le(b);
    let far = V::all(16_777_216.0).le(b);
    let half = b * V::all(0.5);
    // Between them numbers have a place or none: their halves and quarters are below 2^23.
    let whole = V::select(large, to_whole(b), rounded(b)).eq(b);
    let even = V::select(large, to_whole(half), rounded(half)).eq(half);
    V::select(whole | far, V::select(even | far, r, r.xor(V::all(-0.0))), V::all(f32::NAN))
}

/// The nearest integer of a number below 2^22.
#[inline(always)]
fn rounded<V: Singles>(x: V) -> V {
    (x + V::all(MAGIC)) - V::all(MAGIC)
}

/// The nearest integer of a number below 2^31.
#[inline(always)]
fn to_whole<V: Singles>(x: V) -> V {
    x.min(V::all(1_073_741_824.0)).nearest_integer().integer_value()
}
