//! x^y = e^(y log x), f64: the logarithm and the product carry some 64 bits, so that the result stays near half a unit.

use crate::exp::{exp_double, parts};
use crate::lanes::{Double, Lanes, round, two_product};
use crate::log::log_precise;

/// Programs write few exponents more often than x², which is no power here: 1/r³ as (r²)^-1.5, roots, cubes. These have ways of their
/// own, which take a fifth of the time. A lane's bits depend on its own exponent, whatever stands beside it.
#[inline(always)]
pub fn pow<V: Lanes>(x: V, y: V) -> V {
    let is = |exponent: f64| y.eq(V::all(exponent));
    let short = is(-1.5) | is(-0.5) | is(1.5) | is(3.0);
    if !V::any(short) {
        return general(x, y);
    }
    // The magnitude from which and up to which the short ways neither overflow nor lose bits.
    let (a, least, most) = (x.abs(), V::bits((1023 - 300) << 52), V::bits((1023 + 300) << 52));
    let inside = least.le(a) & a.le(most);
    let all = |mask: V::Mask| !V::any(!mask);
    let positive = V::all(0.0).lt(x) & inside;
    if all(is(-1.5) & positive) {
        return minus_three_halves(x);
    }
    if all(is(3.0) & inside) {
        return cube(x);
    }
    if all(is(1.5) & positive) {
        return three_halves(x);
    }
    if all(is(-0.5) & positive) {
        return minus_half(x);
    }
    let short = is(3.0) & inside | (is(-1.5) | is(-0.5) | is(1.5)) & positive;
    general(x, y).mend2(short, x, y, |x, y| match y {
        -1.5 => minus_three_halves(x),
        -0.5 => minus_half(x),
        1.5 => three_halves(x),
        _ => cube(x),
    })
}

/// y near x^-1/2, and how far 1 is from x y²: at most 2^-12.
#[inline(always)]
fn inverse_root<V: Lanes>(x: V) -> (V, Double<V>, V) {
    // Halving the bits halves the exponent; the constant makes the largest error smallest (3.4 %). Then one step of third order.
    let y = V::bits(0x5fe6_eb50_c7b5_37a9).isub(x.shr::<1>());
    let e = (y * y).fnma(x, V::all(1.0));
    let y = (y * e).fma(e.fma(V::all(0.375), V::all(0.5)), y);
    let square = two_product(y, y);
    let e = x.fnma(square.lo, x.fnma(square.hi, V::all(1.0)));
    (y, square, e)
}

/// y³ (1 - e)^(-3/2).
#[inline(always)]
fn minus_three_halves<V: Lanes>(x: V) -> V {
    let (y, square, e) = inverse_root(x);
    let p = two_product(square.hi, y);
    let series = e.fma(V::all(315.0 / 128.0), V::all(35.0 / 16.0));
    let series = e.fma(e.fma(series, V::all(1.875)), V::all(1.5));
    let lo = square.lo.fma(y, p.lo);
    p.hi + p.hi.fma(e * series, lo)
}

/// (1 - e)^(-1/2) - 1.
#[inline(always)]
fn root_series<V: Lanes>(e: V) -> V {
    let series = e.fma(V::all(35.0 / 128.0), V::all(0.3125));
    e * e.fma(e.fma(series, V::all(0.375)), V::all(0.5))
}

#[inline(always)]
fn minus_half<V: Lanes>(x: V) -> V {
    let (y, _, e) = inverse_root(x);
    y.fma(root_series(e), y)
}

/// x² x^(-1/2).
#[inline(always)]
fn three_halves<V: Lanes>(x: V) -> V {
    let (y, _, e) = inverse_root(x);
    let square = two_product(x, x);
    let p = two_product(square.hi, y);
    let lo = square.lo.fma(y, p.lo);
    p.hi + p.hi.fma(root_series(e), lo)
}

#[inline(always)]
fn cube<V: Lanes>(x: V) -> V {
    let square = two_product(x, x);
    let p = two_product(square.hi, x);
    p.hi + square.lo.fma(x, p.lo)
}

#[inline(always)]
fn general<V: Lanes>(x: V, y: V) -> V {
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
