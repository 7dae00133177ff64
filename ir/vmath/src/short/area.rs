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
    // 1/(2s) to 12 % from the bits, and after one of Newton's steps to 1.5 %.
    let near = V::bits(0x7e73_11c1).isub(s);
    let half = near.fma((s + s).fnma(near, V::all(1.0)), near);
    (s, (s.fnma(s, t) + t_lo) * half)
}

/// log(a + √(t + t_lo)), where the root and a have the order of `fast_two_sum`; log 2a for a large a.
#[inline(always)]
fn log_with_root<V: Singles>(a: V, (hi, lo): (V, V), rest: V) -> V {
    let large = V::all(LARGE).le(a);
    let zero = V::all(0.0);
    let u = V::select(large, a, hi);
    log_of_sum(u, V::select(large, zero, lo + rest), V::select(large, V::all(1.0), zero))
}

#[inline(always)]
pub fn asinh<V: Singles>(x: V) -> V {
    let a = x.abs();
    let one = V::all(1.0);
    let t = a.fma(a, one);
    let (s, s_lo) = root(t, a.fma(a, one - t));
    let far = log_with_root(a, fast_two_sum(s, a), s_lo);
    let far = V::select(a.lt(V::all(f32::INFINITY)), far, a);
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
    let r = log_with_root(x, fast_two_sum(x, s), s_lo);
    let infinity = V::all(f32::INFINITY);
    let odd = !(V::all(1.0).le(x) & x.lt(infinity));
    if !V::any(odd) {
        return r;
    }
    V::select(odd, V::select(x.eq(infinity), x, V::all(f32::NAN)), r)
}

#[inline(always)]
pub fn atanh<V: Singles>(x: V) -> V {
    let a = x.abs();
    let one = V::all(1.0);
    let (over, over_lo) = fast_two_sum(one, a);
    let under = one - a;
    let under_lo = (one - under) - a;
    let y = one / under;
    let q = over * y;
    let q_lo = (q.fnma(under, over) + q.fnma(under_lo, over_lo)) * y;
    let r = log_of_sum(q, q_lo, V::all(0.0)) * V::all(0.5);
    let series = (a * a * a).fma(V::all(1.0 / 3.0), a);
    let r = V::select(a.lt(V::all(1e-3)), series, r).with_sign(x);
    let odd = !a.lt(one);
    if !V::any(odd) {
        return r;
    }
    V::select(odd, V::select(a.eq(one), V::all(f32::INFINITY).with_sign(x), V::all(f32::NAN)), r)
}
