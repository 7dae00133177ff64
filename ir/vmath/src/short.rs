//! The f32 functions that are computed in f32 arithmetic, which has twice as many lanes: those where f32's range and a few
//! exact sums are enough. The algorithms are those of [`crate::exp`], [`crate::log`] (without tables) and [`crate::trig`].

use crate::coefficients::*;
use crate::lanes32::{MAGIC, Singles, fast_two_sum, poly};
use crate::single;

#[inline(always)]
fn clamp<V: Singles>(x: V, low: f32, high: f32) -> V {
    V::all(low).max(V::all(high).min(x))
}

#[inline(always)]
pub fn exp<V: Singles>(x: V) -> V {
    let x = clamp(x, -105.0, 90.0);
    let n = x.fma(V::all(LOG2_E as f32), V::all(MAGIC)) - V::all(MAGIC);
    let r = n.fnma(V::all(LN2_LO_F32), n.fnma(V::all(LN2_HI_F32), x));
    let (hi, lo) = fast_two_sum(V::all(1.0), r);
    (hi + (r * r).fma(poly(r, &EXP_F32), lo)).scale(n)
}

#[inline(always)]
pub fn exp2<V: Singles>(x: V) -> V {
    let x = clamp(x, -152.0, 130.0);
    let n = (x + V::all(MAGIC)) - V::all(MAGIC);
    let r = x - n;
    let tail = (r * r).fma(poly(r, &EXP2_F32), r * V::all(LN2_LO_F32));
    (V::all(1.0) + r.fma(V::all(LN2_HI_F32), tail)).scale(n)
}

/// k, f = m - 1 and log(1 + f) - f of x = 2^k m, m in [0.6875, 1.375), and whether some lane is no positive normal number.
#[inline(always)]
fn reduce<V: Singles>(x: V) -> (V, V, V, bool) {
    let odd = V::any(x.odd());
    let mut y = x;
    let mut shift = V::all(0.0);
    if odd {
        let small = x.lt(V::all(f32::MIN_POSITIVE));
        y = V::select(small, x * V::bits((127 + 24) << 23), x);
        shift = V::select(small, V::all(24.0), shift);
    }
    let offset = y.isub(V::all(0.6875));
    let m = y.isub(offset.and(V::bits(0x1ff << 23)));
    let mut k = offset.high_bits();
    if odd {
        k = k - shift;
    }
    let f = m - V::all(1.0);
    let square = f * f;
    let factor = f.fma(poly(f, &LOG_F32), V::all(-0.5));
    (k, f, square.fma(factor, f.fms(f, square) * factor), odd)
}

/// Infinity and NaN stay, 0 has minus infinity, negative numbers have no logarithm.
#[inline(always)]
fn finish<V: Singles>(odd: bool, x: V, r: V) -> V {
    if !odd {
        return r;
    }
    let r = V::select(x.lt(V::all(f32::INFINITY)), r, x);
    let r = V::select(x.lt(V::all(0.0)), V::all(f32::NAN), r);
    V::select(x.eq(V::all(0.0)), V::all(f32::NEG_INFINITY), r)
}

#[inline(always)]
pub fn log<V: Singles>(x: V) -> V {
    let (k, f, tail, odd) = reduce(x);
    // The product is exact.
    let (hi, lo) = fast_two_sum(k * V::all(LN2_SHORT_F32), f);
    finish(odd, x, hi + (lo + k.fma(V::all(LN2_REST_F32), tail)))
}

/// k · power + (f + tail) · factor, the factor in two parts.
#[inline(always)]
fn based<V: Singles>(k: V, f: V, tail: V, power: [f32; 2], factor: [f32; 2]) -> V {
    let c = V::all(factor[0]);
    let product = f * c;
    let product_lo = tail.fma(c, f.fma(V::all(factor[1]), f.fms(c, product)));
    let (hi, lo) = fast_two_sum(k * V::all(power[0]), product);
    hi + (lo + k.fma(V::all(power[1]), product_lo))
}

#[inline(always)]
pub fn log2<V: Singles>(x: V) -> V {
    let (k, f, tail, odd) = reduce(x);
    finish(odd, x, based(k, f, tail, [1.0, 0.0], [INV_LN2_F32_HI, INV_LN2_F32_LO]))
}

#[inline(always)]
pub fn log10<V: Singles>(x: V) -> V {
    let (k, f, tail, odd) = reduce(x);
    let power = [LOG10_2_SHORT_F32, LOG10_2_REST_F32];
    finish(odd, x, based(k, f, tail, power, [INV_LN10_F32_HI, INV_LN10_F32_LO]))
}

/// From here on the reduction below loses bits, and f64 takes over.
const FAR: f32 = 32768.0;

/// n in the lowest bits, sin r and cos r of x = n π/2 + r.
#[inline(always)]
fn angle<V: Singles>(x: V) -> (V, V, V) {
    let bits = x.fma(V::all(TWO_OVER_PI as f32), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    let first = n.fnma(V::all(HALF_PI_F32_0), x);
    let p = n * V::all(HALF_PI_F32_1);
    let p_lo = n.fms(V::all(HALF_PI_F32_1), p);
    let r = first - p;
    let r_lo = n.fnma(V::all(HALF_PI_F32_2), ((first - r) - p) - p_lo);
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
    let odd = n.shl::<31>().or(V::all(1.0)).lt(V::all(0.0));
    V::select(odd, c, s).xor(n.shl::<30>().and(V::all(-0.0)))
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
