//! Functions of f32 computed in f64 lanes and rounded once: short polynomials are enough there, nothing cancels, overflows or
//! is subnormal, and the results are within 0.51 ulp. One is all that f32 needs, the others serve the rare arguments that
//! [`crate::short`] has no room for.

use crate::coefficients::*;
use crate::exp::clamp;
use crate::lanes::{Lanes, MAGIC, poly};
use crate::log::reduce;
use crate::trig::{FAR, is_odd, reduce_far};

/// n = round(x y) as the lowest bits and as a number.
#[inline(always)]
fn nearest<V: Lanes>(x: V, y: f64) -> (V, V) {
    let bits = x.fma(V::all(y), V::all(MAGIC));
    (bits, bits - V::all(MAGIC))
}

/// e^x for |x| below 700.
#[inline(always)]
fn exp_near<V: Lanes>(x: V) -> V {
    let (bits, n) = nearest(x, LOG2_E);
    let r = n.fnma(V::all(LN2_HI), x);
    let y = (r * r).fma(poly(r, &EXP_SINGLE), r + V::all(1.0));
    y.iadd(bits.shl::<52>())
}

/// log x for a positive normal f64 that is no result of cancellation.
#[inline(always)]
fn log_with<V: Lanes, const K: usize>(x: V, c: &[f64; K]) -> V {
    let parts = reduce(x);
    let r = parts.rest();
    let table = parts.k.fma(V::all(LN2_HI), parts.index.lookup16(&LOG_HI));
    table + (r * r).fma(poly(r, c), r)
}

/// n in the lowest bits, sin r and cos r.
#[inline(always)]
fn angle<V: Lanes>(x: V) -> (V, V, V) {
    let (bits, n) = nearest(x, TWO_OVER_PI);
    let r = n.fnma(V::all(HALF_PI_1), n.fnma(V::all(HALF_PI_0), x));
    let (s, c) = sine_cosine(r);
    (bits, s, c)
}

#[inline(always)]
fn sine_cosine<V: Lanes>(r: V) -> (V, V) {
    let z = r * r;
    let one = V::all(1.0);
    (r * z.fma(poly(z, &SIN_SINGLE), one), z.fma(poly(z, &COS_SINGLE), one))
}

/// The same for an angle beyond the reach of [`angle`].
#[inline]
fn angle_far(x: f64) -> (u64, f64, f64) {
    let (n, r) = reduce_far(x);
    let (s, c) = sine_cosine(r.hi);
    (n, s, c)
}

/// sin(r + n π/2)
#[inline(always)]
fn turned<V: Lanes>(n: V, s: V, c: V) -> V {
    V::select(is_odd(n), c, s).xor(n.shl::<62>().sign())
}

#[inline(always)]
pub fn sin<V: Lanes>(x: V) -> V {
    let (n, s, c) = angle(x);
    turned(n, s, c).mend(!x.abs().lt(V::all(FAR)), x, |x| {
        let (n, s, c) = angle_far(x);
        turned(f64::from_bits(n), s, c)
    })
}

#[inline(always)]
pub fn cos<V: Lanes>(x: V) -> V {
    let (n, s, c) = angle(x);
    turned(n.iadd(V::bits(1)), s, c).mend(!x.abs().lt(V::all(FAR)), x, |x| {
        let (n, s, c) = angle_far(x);
        turned(f64::from_bits(n + 1), s, c)
    })
}

#[inline(always)]
pub fn tan<V: Lanes>(x: V) -> V {
    let (n, s, c) = angle(x);
    let odd = is_odd(n);
    let r = V::select(odd, -c, s) / V::select(odd, s, c);
    r.mend(!x.abs().lt(V::all(FAR)), x, |x| {
        let (n, s, c) = angle_far(x);
        if n & 1 == 1 { -c / s } else { s / c }
    })
}

#[inline(always)]
fn atan_of<V: Lanes>(t: V) -> V {
    let z = t * t;
    (t * z).fma(poly(z, &ATAN_SINGLE), t)
}

#[inline(always)]
pub fn atan2<V: Lanes>(y: V, x: V) -> V {
    // Larger than all f32: infinities divide like numbers.
    let bound = V::all(1e290);
    let (a, b) = (bound.min(y.abs()), bound.min(x.abs()));
    let steep = b.lt(a);
    let over = V::select(steep, -b, a);
    let under = V::select(steep, a, b);
    // The smallest number instead of 0 makes 0/0 0.
    let t = over / V::all(1e-100).max(under);
    let r = V::select(steep, V::all(HALF_PI_HI), V::all(0.0)) + atan_of(t);
    let sign = x.sign();
    let base = V::select(sign.or(V::all(1.0)).lt(V::all(0.0)), V::all(PI_HI), V::all(0.0));
    (base + r.xor(sign)).abs().with_sign(y)
}

#[inline(always)]
pub fn hypot<V: Lanes>(x: V, y: V) -> V {
    let (a, b) = (x.abs(), y.abs());
    let infinity = V::all(f64::INFINITY);
    V::select(a.eq(infinity) | b.eq(infinity), infinity, a.fma(a, b * b).sqrt())
}

#[inline(always)]
pub fn pow<V: Lanes>(x: V, y: V) -> V {
    let a = x.abs();
    let mut r = exp_near(clamp(y * log_with(a, &LOG_POWER), -700.0, 700.0));
    if V::any(x.lt(V::all(0.0))) {
        // f32 from 2^24 on are even integers.
        let y = V::all(16_777_216.0).min(y.abs());
        let half = y * V::all(0.5);
        let round = |v: V| (v + V::all(MAGIC)) - V::all(MAGIC);
        let negative = V::select(round(half).eq(half), r, -r);
        let negative = V::select(round(y).eq(y), negative, V::all(f64::NAN));
        r = V::select(x.lt(V::all(0.0)), negative, r);
    }
    r.mend2(a.odd() | !y.abs().lt(V::all(f64::INFINITY)), x, y, crate::pow::special)
}
