//! x^y = e^(y log x), f64: the logarithm and the product carry some 64 bits, so that the result stays near half a unit.

use crate::exp::{exp_double, parts};
use crate::lanes::{Double, Lanes, round};
use crate::log::log_precise;

#[inline(always)]
pub fn pow<V: Lanes>(x: V, y: V) -> V {
    let a = x.abs();
    let log = log_precise(a);
    let hi = y * log.hi;
    let lo = y.fma(log.lo, y.fms(log.hi, hi));
    let e = parts(hi, lo);
    let r = (e.hi + e.lo).iadd(e.shift);
    // Results that are subnormal, 0 or infinite.
    let beyond = !hi.abs().lt(V::all(708.0));
    if !V::any(x.odd() | beyond) {
        return r;
    }
    let r = V::select(beyond, far(hi, lo), r);
    let r = V::select(x.lt(V::all(0.0)), signed(y, r), r);
    r.mend2(a.odd() | !y.abs().lt(V::all(f64::INFINITY)), x, y, special)
}

#[inline(always)]
fn far<V: Lanes>(hi: V, lo: V) -> V {
    // Beyond this the result is 0 or infinite, and lo may be anything.
    let near = hi.abs().lt(V::all(800.0));
    exp_double(Double { hi, lo: V::select(near, lo, V::all(0.0)) })
}

/// (-a)^y from a^y.
#[inline(always)]
fn signed<V: Lanes>(y: V, r: V) -> V {
    // From 2^51 on the rounding below fails; numbers that large are integers, from 2^53 on even ones.
    const LARGE: f64 = 2_251_799_813_685_248.0;
    let b = y.abs();
    let far = V::all(LARGE).le(b);
    let b = V::select(far, b - V::all(2.0) * round_down(b * V::all(0.5)), b);
    let whole = round(b).eq(b);
    let half = b * V::all(0.5);
    let even = round(half).eq(half);
    V::select(whole, V::select(even, r, -r), V::all(f64::NAN))
}

/// The integer part of a number that is not negative and has no more than one binary place from 2^51 on.
#[inline(always)]
fn round_down<V: Lanes>(x: V) -> V {
    // 2^52 + x has no places.
    const TWO_52: f64 = 4_503_599_627_370_496.0;
    let n = (x + V::all(TWO_52)) - V::all(TWO_52);
    let n = V::select(V::all(TWO_52).le(x), x, n);
    V::select(x.lt(n), n - V::all(1.0), n)
}

/// Zeros, subnormals, infinities and NaN, by the rules of C99.
#[inline]
pub fn special(x: f64, y: f64) -> f64 {
    if x == 0.0 && y.is_finite() {
        let odd = y.abs() < 9_007_199_254_740_992.0 && y.trunc() == y && (y * 0.5).trunc() != y * 0.5;
        let size = if y > 0.0 {
            0.0
        } else if y < 0.0 {
            f64::INFINITY
        } else {
            return 1.0;
        };
        return if odd { f64::copysign(size, x) } else { size };
    }
    libm::pow(x, y)
}
