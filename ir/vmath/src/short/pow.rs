//! x^y of f32 as in [`crate::pow`]: the logarithm and the product carry some 34 bits.

use super::exp::exp_double;
use super::log::log_precise;
use crate::lanes32::{MAGIC, Singles};
use crate::single;

#[inline(always)]
pub fn pow<V: Singles>(x: V, y: V) -> V {
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
    let round = |v: V| (v + V::all(MAGIC)) - V::all(MAGIC);
    let half = b * V::all(0.5);
    // Between them numbers have a place or none: their halves and quarters are below 2^23.
    let whole = V::select(large, to_whole(b), round(b)).eq(b);
    let even = V::select(large, to_whole(half), round(half)).eq(half);
    V::select(whole | far, V::select(even | far, r, r.xor(V::all(-0.0))), V::all(f32::NAN))
}

/// The nearest integer of a number below 2^31.
#[inline(always)]
fn to_whole<V: Singles>(x: V) -> V {
    x.min(V::all(1_073_741_824.0)).nearest_integer().integer_value()
}
