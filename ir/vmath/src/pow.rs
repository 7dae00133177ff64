//! x^y = e^(y log x), f64: the logarithm and the product carry some 64 bits, so that the result stays near half a unit.

use crate::exp::{exp_double, parts};
use crate::lanes::{self, Lanes, round};
use crate::log::log_precise;
use crate::powers::{Double, Exponent, Pair, WHOLE, power};

/// Exponents that have ways of their own take these. A lane's bits depend on its own numbers, whatever stands beside it.
#[inline(always)]
pub fn pow<V: Lanes>(x: V, y: V) -> V {
    let twice = y + y;
    // (To the power of 0 everything is 1.)
    let short = round(twice).eq(twice) & twice.abs().le(V::all(WHOLE as f64)) & V::all(0.0).lt(twice.abs());
    if !V::any(short) {
        return general(x, y);
    }
    let all = |mask: V::Mask| !V::any(!mask);
    let first = y.first();
    if let Some(exponent) = Exponent::of(first)
        && all(y.eq(V::all(first)))
    {
        let (r, inside) = (power(Double(x), exponent).0, within(x, exponent));
        return if all(inside) { r } else { V::select(inside, r, general(x, y)) };
    }
    let whole = round(y).eq(y) & short;
    let inside = whole & near(x, y);
    if all(inside | y.eq(V::all(0.0))) {
        return whole_power(x, y);
    }
    let r = general(x, y);
    let r = if V::any(inside) { V::select(inside, whole_power(x, y), r) } else { r };
    r.mend2(short & !whole, x, y, half)
}

/// Numbers within the reach of an exponent.
#[inline(always)]
fn within<V: Lanes>(x: V, exponent: Exponent) -> V::Mask {
    let reach = exponent.reach(false);
    let x = if exponent.is_whole() { x.abs() } else { x };
    let two_to = |n: i32| V::bits(((1023 + n) as u64) << 52);
    two_to(-reach).le(x) & x.lt(two_to(reach + 1))
}

/// The same of whole exponents that differ from lane to lane, which are in range.
#[inline(always)]
fn near<V: Lanes>(x: V, y: V) -> V::Mask {
    let leading = (x.abs().high_bits() - V::all(1023.0)).abs();
    leading.le(V::all(600.0)) & (leading * y.abs()).le(V::all(900.0))
}

/// x^y for whole numbers y within the range, by the same steps as [`power`].
#[inline(always)]
fn whole_power<V: Lanes>(x: V, y: V) -> V {
    let one = V::all(1.0);
    let mut n = y.abs();
    let mut r = Pair::of(Double(V::select(V::all(8.0).le(n), x, one)));
    n = V::select(V::all(8.0).le(n), n - V::all(8.0), n);
    for bit in [4.0, 2.0, 1.0] {
        r = r.squared();
        let (more, set) = (r.times(Double(x)), V::all(bit).le(n));
        r.hi = Double(V::select(set, more.hi.0, r.hi.0));
        r.lo = Double(V::select(set, more.lo.0, r.lo.0));
        n = V::select(set, n - V::all(bit), n);
    }
    let negative = y.lt(V::all(0.0));
    if V::any(negative) { V::select(negative, r.reciprocal().0, r.sum().0) } else { r.sum().0 }
}

/// One number to the power of a number and a half.
#[inline(always)]
fn half(x: f64, y: f64) -> f64 {
    match Exponent::of(y) {
        Some(exponent) if within(x, exponent) => power(Double(x), exponent).0,
        _ => general(x, y),
    }
}

/// Any other exponent.
#[inline(always)]
pub fn general<V: Lanes>(x: V, y: V) -> V {
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
    exp_double(lanes::Double { hi, lo: V::select(near, lo, V::all(0.0)) })
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
