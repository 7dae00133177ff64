//! Inverse hyperbolic functions of f32: logarithms of sums whose rests are kept.

use super::log::log_of_sum;
use crate::coefficients::*;
use crate::lanes32::{Singles, fast_two_sum, poly};

/// From here on the sum is 2x, and a square might overflow.
const LARGE: f32 = 8192.0;

/// √(t + t_lo) in two parts; t is 0 or normal.
#[inline(always)]
fn root<V: Singles>(t: V, t_lo: V) -> (V, V) {
    let s = t.sqrt();
    // 1/(2s) to 12 % from the bits.
    (s, (s.fnma(s, t) + t_lo) * V::bits(0x7e73_11c1).isub(s))
}

/// log(a + s), where `sum` is a and the root s in the order of `fast_two_sum`, what s lacks is `rest`, and the reciprocal is
/// their difference, as that of their squares is 1; log 2a for a large a, if some may be.
#[inline(always)]
fn log_with_root<V: Singles>(a: V, (hi, lo): (V, V), rest: V, reciprocal: V, some_large: bool) -> V {
    let rest = (lo + rest) * reciprocal;
    if !some_large {
        return log_of_sum(hi, rest, None);
    }
    let large = V::all(LARGE).le(a);
    let zero = V::all(0.0);
    let u = V::select(large, a, hi);
    log_of_sum(u, V::select(large, zero, rest), Some(V::select(large, V::all(1.0), zero)))
}

#[inline(always)]
pub fn asinh<V: Singles>(x: V) -> V {
    let a = x.abs();
    let one = V::all(1.0);
    let t = a.fma(a, one);
    let (s, s_lo) = root(t, a.fma(a, one - t));
    let (sum, reciprocal) = (fast_two_sum(s, a), (s - a) + s_lo);
    let far = if V::any(a.not_lt(V::all(LARGE))) {
        V::select(a.lt(V::all(f32::INFINITY)), log_with_root(a, sum, s_lo, reciprocal, true), a)
    } else {
        log_with_root(a, sum, s_lo, reciprocal, false)
    };
    let z = a * a;
    let near = (a * z).fma(poly(z, &ASINH_F32), a);
    V::select(a.lt(V::all(0.25)), near, far).with_sign(x)
}

#[inline(always)]
pub fn acosh<V: Singles>(x: V) -> V {
    // x² - 1 = e² + 2e, where e is exact.
    let e = x - V::all(1.0);
    let twice = e + e;
    let t = e.fma(e, twice);
    let (s, s_lo) = root(t, e.fma(e, twice - t));
    let (sum, reciprocal) = (fast_two_sum(x, s), (x - s) - s_lo);
    if !V::any(!(V::all(1.0).le(x) & x.lt(V::all(LARGE)))) {
        return log_with_root(x, sum, s_lo, reciprocal, false);
    }
    let infinity = V::all(f32::INFINITY);
    let r = V::select(V::all(1.0).le(x), log_with_root(x, sum, s_lo, reciprocal, true), V::all(f32::NAN));
    V::select(x.eq(infinity), x, r)
}

#[inline(always)]
pub fn atanh<V: Singles>(x: V) -> V {
    let a = x.abs();
    let one = V::all(1.0);
    let (over, over_lo) = fast_two_sum(one, a);
    let under = one - a;
    let under_lo = (one - under) - a;
    let q = over * (one / under);
    let residual = q.fnma(under, over) + q.fnma(under_lo, over_lo);
    // The reciprocal of 1 + a to a third of a; what the quotient lacks matters less and less for larger a.
    let rest = residual * a.fnma(V::all(0.7), one);
    let r = log_of_sum(q, rest, None) * V::all(0.5);
    // The third power is less than a sixth of a unit there, and q's rest not exact enough.
    let r = V::select(a.lt(V::all(1e-4)), a, r).with_sign(x);
    let odd = !a.lt(one);
    if !V::any(odd) {
        return r;
    }
    V::select(odd, V::select(a.eq(one), V::all(f32::INFINITY).with_sign(x), V::all(f32::NAN)), r)
}
