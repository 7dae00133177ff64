//! The error function of f64: an odd polynomial up to 1, and 1 - erfc(1) e^P(x - 1) above, where P is a
//! polynomial. erfc is at most 0.16 there, so that plain arithmetic is enough for it.

use crate::coefficients::*;
use crate::lanes::{Lanes, poly, round_product};

#[inline(always)]
pub fn erf<V: Lanes>(x: V) -> V {
    let a = V::all(6.0).min(x.abs());
    let z = a * a;
    let start = z.fma(V::all(ERF_1), V::all(TWO_OVER_ROOT_PI_LESS_1));
    let near = a.fma((z * z).fma(poly(z, &ERF), start), a);
    let one = V::all(1.0);
    let t = a.max(one) - one;
    let log = t * poly(t, &ERFC);
    let n = round_product(log, LOG2_E);
    let r = n.fnma(V::all(LN2_LO), n.fnma(V::all(LN2_HI), log));
    let tail = (r * r).fma(poly(r, &EXP), r);
    let start = V::all(ERFC_1);
    let far = V::power(n).fnma(tail.fma(start, start), one);
    V::select(one.lt(a), far, near).with_sign(x)
}
