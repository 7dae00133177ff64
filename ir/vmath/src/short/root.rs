//! Cube root of f32.

use crate::coefficients::*;
use crate::lanes32::{Singles, poly, two_product};

/// A third of the bits is near the bits of a^(-1/3); one step of fourth order and, for a^(1/3), a last one of Newton's whose residual is
/// computed without error.
#[inline(always)]
pub fn cbrt<V: Singles>(x: V) -> V {
    let a = x.abs();
    // Smaller numbers would have subnormal residuals.
    let least = V::bits((127 - 90) << 23);
    let infinity = V::all(f32::INFINITY);
    let plain = least.le(a) & a.lt(infinity);
    if !V::any(!plain) {
        return cbrt_of(a).with_sign(x);
    }
    let small = a.lt(least);
    let r = cbrt_of(V::select(small, a * V::bits((127 + 72) << 23), a));
    let r = V::select(small, r * V::bits((127 - 24) << 23), r);
    let keep = a.eq(V::all(0.0)) | !a.lt(infinity);
    V::select(keep, a, r).with_sign(x)
}

#[inline(always)]
fn cbrt_of<V: Singles>(a: V) -> V {
    // The constant makes the largest and the smallest e below alike.
    let third = V::all(1.0 / 3.0);
    let y = a.integer_value().fnma(third, V::all(0x54a1_f800 as f32)).nearest_integer();
    let e = ((a * y) * y).fnma(y, V::all(1.0));
    let y = (y * e).fma(poly(e, &CBRT_F32), y);
    let y2 = y * y;
    let c = a * y2;
    let (square, square_lo) = two_product(c, c);
    let residual = square_lo.fma(c, square.fms(c, a));
    (y2 * third).fnma(residual, c)
}
