//! Cube root and hypotenuse of f64.

use crate::coefficients::*;
use crate::lanes::{Lanes, MAGIC, poly, two_product};

/// x = 2^(3q + k) m with k = -1, 0, 1: a polynomial for m^(-1/3), one step of third order (no division), and a last step of Newton's whose
/// residual is computed without error.
#[inline(always)]
pub fn cbrt<V: Lanes>(x: V) -> V {
    let a = x.abs();
    if !V::any(a.odd()) {
        return cbrt_of(a).with_sign(x);
    }
    let small = a.lt(V::all(f64::MIN_POSITIVE));
    let r = cbrt_of(V::select(small, a * V::bits((1023 + 54) << 52), a));
    let r = V::select(small, r * V::bits((1023 - 18) << 52), r);
    let keep = a.eq(V::all(0.0)) | !a.lt(V::all(f64::INFINITY));
    V::select(keep, a, r).with_sign(x)
}

#[inline(always)]
fn cbrt_of<V: Lanes>(a: V) -> V {
    let exponent = a.high_bits() - V::all(1023.0);
    let third = V::all(1.0 / 3.0);
    let q = exponent.fma(third, V::all(MAGIC)) - V::all(MAGIC);
    let k = q.fnma(V::all(3.0), exponent);
    let index = k + V::all(MAGIC + 1.0);
    let m = a.and(V::bits((1 << 52) - 1)).or(V::all(1.0));
    let y = poly(m, &CBRT);
    let e = (m * y).fnma(y * y, V::all(1.0));
    let y = y.fma(e * e.fma(V::all(2.0 / 9.0), third), y) * index.lookup16(&CBRT_INVERSE);
    let m = m * V::power(k);
    let y2 = y * y;
    let c = m * y2;
    let square = two_product(c, c);
    let residual = square.lo.fma(c, square.hi.fms(c, m));
    (y2 * third * residual).fnma(V::all(1.0), c) * V::power(q)
}

/// √(x² + y²) with the error of the square root removed (Borges, *An improved algorithm for hypot(a,b)*, 2019).
#[inline(always)]
pub fn hypot<V: Lanes>(x: V, y: V) -> V {
    let (x, y) = (x.abs(), y.abs());
    let (a, b) = (x.max(y), x.min(y));
    let large = V::all(1e150);
    let plain = x.le(large) & y.le(large) & (V::all(1e-140).le(a) | a.eq(V::all(0.0)));
    hypot_of(a, b).mend2(!plain, x, y, far)
}

#[inline(always)]
fn hypot_of<V: Lanes>(a: V, b: V) -> V {
    let h = a.fma(a, b * b).sqrt();
    let (hh, aa) = (h * h, a * a);
    let excess = b.fnma(b, hh - aa) + (h.fms(h, hh) - a.fms(a, aa));
    let half = V::all(0.5) / h.max(V::all(1e-200));
    excess.fnma(half, h)
}

/// Infinities, NaN, and numbers whose squares overflow or lose bits.
#[inline]
fn far(x: f64, y: f64) -> f64 {
    if x == f64::INFINITY || y == f64::INFINITY {
        return f64::INFINITY;
    }
    if x.is_nan() || y.is_nan() {
        return x + y;
    }
    let (a, b) = (x.max(y), x.min(y));
    let power = |n: i64| f64::from_bits(((1023 + n) as u64) << 52);
    let n = if a > 1.0 { -600 } else { 600 };
    hypot_of(a * power(n), b * power(n)) * power(-n)
}
