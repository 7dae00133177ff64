//! The remainder of f64 and f32 with the dividend's sign, exact as the C library's `fmod`: |x| - n |y| for the n next to the
//! quotient, which one fused multiply-add gives without error. Rounded, the quotient of n and a bit is n at least and n + 1 at most,
//! so its nearest integer is one of these; of n + 1, the rest is negative, and |y| too small.

use crate::lanes::{self, Lanes};
use crate::lanes32::{self, Singles};

/// Quotients from here on have no exact integer next to them by [`lanes::MAGIC`].
const FAR: f64 = 2_251_799_813_685_248.0;
const FAR_F32: f32 = 4_194_304.0;

#[inline(always)]
pub fn fmod<V: Lanes>(x: V, y: V) -> V {
    let (a, b) = (x.abs(), y.abs());
    let q = a / b;
    let n = (q + V::all(lanes::MAGIC)) - V::all(lanes::MAGIC);
    let r = n.fnma(b, a);
    let r = V::select(r.lt(V::all(0.0)), r + b, r);
    // Also where one is NaN, x infinite or y 0; nothing times an infinite y is NaN.
    let odd = !(q.lt(V::all(FAR)) & b.lt(V::all(f64::INFINITY)));
    r.with_sign(x).mend2(odd, x, y, |x, y| x % y)
}

/// The same; what f64 makes of two f32 is an f32.
#[inline(always)]
pub fn fmod_single<V: Singles>(x: V, y: V) -> V {
    let (a, b) = (x.abs(), y.abs());
    let q = a / b;
    let n = (q + V::all(lanes32::MAGIC)) - V::all(lanes32::MAGIC);
    let r = n.fnma(b, a);
    let r = V::select(r.lt(V::all(0.0)), r + b, r);
    let odd = !(q.lt(V::all(FAR_F32)) & b.lt(V::all(f32::INFINITY)));
    r.with_sign(x).mend2(odd, x, y, |x, y| x % y)
}
