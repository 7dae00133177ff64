//! Sine, cosine and tangent of f32: the algorithms of [`crate::trig`].

use crate::coefficients::*;
use crate::lanes32::{MAGIC, Singles, horner, poly};
use crate::single;

/// From here on the reduction below loses bits, and f64 takes over.
const FAR: f32 = 32768.0;

/// n in the lowest bits, and r with what it lacks.
#[inline(always)]
fn reduce<V: Singles>(x: V) -> (V, V, V) {
    let bits = x.fma(V::all(TWO_OVER_PI as f32), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    let first = n.fnma(V::all(HALF_PI_F32_0), x);
    let p = n * V::all(HALF_PI_F32_1);
    let p_lo = n.fms(V::all(HALF_PI_F32_1), p);
    let r = first - p;
    (bits, r, n.fnma(V::all(HALF_PI_F32_2), ((first - r) - p) - p_lo))
}

/// n in the lowest bits, sin r and cos r of x = n π/2 + r.
#[inline(always)]
fn angle<V: Singles>(x: V) -> (V, V, V) {
    let (bits, r, r_lo) = reduce(x);
    let z = r * r;
    let s = r + (r * z).fma(poly(z, &SIN_F32), r_lo);
    let half = z * V::all(0.5);
    let one = V::all(1.0);
    let c = one - half;
    let c_lo = (one - c) - half;
    let c = c + (z * z).fma(poly(z, &COS_F32), r.fnma(r_lo, c_lo));
    (bits, s, c)
}

/// sin(r + n π/2)
#[inline(always)]
fn turned<V: Singles>(n: V, s: V, c: V) -> V {
    V::select(n.is_odd(), c, s).xor(n.shl::<30>().and(V::all(-0.0)))
}

#[inline(always)]
pub fn sin<V: Singles>(x: V) -> V {
    let (n, s, c) = angle(x);
    let r = turned(n, s, c);
    let r = V::select(x.abs().lt(V::all(1e-6)), x, r);
    r.mend(x.abs().not_lt(V::all(FAR)), x, single::sin::<f64>)
}

#[inline(always)]
pub fn cos<V: Singles>(x: V) -> V {
    let (n, s, c) = angle(x);
    turned(n.iadd(V::bits(1)), s, c).mend(x.abs().not_lt(V::all(FAR)), x, single::cos::<f64>)
}

/// Below this, two products of a reduction are exact.
const NEAR: f32 = 512.0;

/// As [`reduce`], but what r has too much. Of a zero, r is that zero, and the rest +0.
#[inline(always)]
fn reduce_near<V: Singles>(x: V) -> (V, V, V) {
    let bits = x.fma(V::all(TWO_OVER_PI as f32), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    let first = n.fnma(V::all(HALF_PI_NEAR_F32_0), x);
    let second = V::all(HALF_PI_NEAR_F32_1);
    let r = n.fnma(second, first);
    (bits, r, n.fma(V::all(HALF_PI_NEAR_F32_2), n.fma(second, r - first)))
}

#[inline(always)]
pub fn tan<V: Singles>(x: V) -> V {
    let (n, r, excess) = reduce_near(x);
    let far = x.abs().not_lt(V::all(NEAR));
    if !V::any(far) {
        return tan_of(n, r, excess);
    }
    let (_, r_far, r_lo) = reduce(x);
    let r = tan_of(n, V::select(far, r_far, r), V::select(far, r_lo.xor(V::all(-0.0)), excess));
    r.mend(x.abs().not_lt(V::all(FAR)), x, single::tan::<f64>)
}

/// tan(r - excess), or -1 / tan(r - excess). Of r = -0, all that is taken off is +0.
#[inline(always)]
fn tan_of<V: Singles>(n: V, r: V, excess: V) -> V {
    let z = r * r;
    let h = r * z;
    let p = horner(z, &TAN_F32);
    // The derivatives: 1 + tan² r is nearly 1 + 1.6 z where r is large; that by z is nearly constant there.
    let rest = (z * excess).fma(V::all(1.6), excess);
    let minus = h.fnma(p, r.fnma(r, z).fma(r * V::all(0.65), rest));
    let t = r - minus;
    let t_lo = (r - t) - minus;
    let y = V::all(-1.0) / t;
    let far = y.fma(y.fma(t, V::all(1.0)) + y * t_lo, y);
    V::select(n.is_odd(), far, t)
}
