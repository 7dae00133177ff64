//! Inverse trigonometric functions of f32: the algorithms of [`crate::inverse`], but atan is a polynomial up to 0.55, π/4 and that
//! of (a-1)/(a+1) up to 2, and π/2 less that of the reciprocal above.

use crate::coefficients::*;
use crate::lanes32::{Singles, fast_two_sum, poly};
use crate::single;

/// Whether |x| > 1/2; z = x² or (1 - |x|)/2; its root; and what that lacks.
#[inline(always)]
fn arc<V: Singles>(a: V) -> (V::Mask, V, V, V) {
    let big = V::all(0.5).lt(a);
    let z = V::select(big, a.fnma(V::all(0.5), V::all(0.5)), a * a);
    let s = z.sqrt();
    (big, z, s, s.fnma(s, z) * half_reciprocal(s))
}

/// 1/(2s) to 12 %, from the bits: what the rest of a square root is multiplied by, which is half a unit of it at most.
#[inline(always)]
fn half_reciprocal<V: Singles>(s: V) -> V {
    V::bits(0x7e73_11c1).isub(s)
}

#[inline(always)]
pub fn asin<V: Singles>(x: V) -> V {
    let a = x.abs();
    let (big, z, root, root_lo) = arc(a);
    let s = V::select(big, root, a);
    let tail = (s * z) * poly(z, &ASIN_F32);
    // Above 1/2 the error of the square root counts twice.
    let (half_pi, two) = (V::all(HALF_PI_F32_0), V::all(2.0));
    let hi = s.fnma(two, half_pi);
    let lo = s.fnma(two, half_pi - hi);
    let far = hi + (lo + (tail + root_lo).fma(V::all(-2.0), V::all(HALF_PI_F32_1)));
    V::select(big, far, s + tail).with_sign(x)
}

#[inline(always)]
pub fn acos<V: Singles>(x: V) -> V {
    let (big, z, root, root_lo) = arc(x.abs());
    let zero = V::all(0.0);
    let negative = x.lt(zero);
    // ±2 asin √z, or -asin x.
    let v = V::select(big, (root + root).or(x.sign()), x.xor(V::all(-0.0)));
    let v_lo = V::select(big, (root_lo + root_lo).xor(x.sign()), zero);
    let base = |whole: f32, half: f32| V::select(big, V::select(negative, V::all(whole), zero), V::all(half));
    let (hi, lo) = fast_two_sum(base(PI_F32_HI, HALF_PI_F32_0), v);
    hi + (v * z).fma(poly(z, &ASIN_F32), v_lo + (lo + base(PI_F32_LO, HALF_PI_F32_1)))
}

/// base + atan(t + t_lo) for a t of at most 0.55; base is 0 or larger.
#[inline(always)]
fn turned<V: Singles>(base: V, base_lo: V, t: V, t_lo: V) -> V {
    let z = t * t;
    let (hi, lo) = fast_two_sum(base, t);
    hi + (t * z).fma(poly(z, &ATAN_F32), lo + (base_lo + t_lo))
}

#[inline(always)]
pub fn atan<V: Singles>(x: V) -> V {
    // Beyond this it is π/2 in f32.
    let a = V::all(1e30).min(x.abs());
    let one = V::all(1.0);
    let (low, high) = (a.lt(V::all(0.55)), V::all(2.0).lt(a));
    let choose = |a: V, b: V, c: V| V::select(low, a, V::select(high, c, b));
    let base = choose(V::all(0.0), V::all(PI_1_4_F32_HI), V::all(HALF_PI_F32_0));
    // Where the base is 0 the quotient is exact; elsewhere what it lacks is a quarter of the result's unit at most.
    let t = choose(a, a - one, V::all(-1.0)) / choose(one, a + one, a);
    // Of π/2 and of its half the second part is the same part of the first.
    let z = t * t;
    let (hi, lo) = fast_two_sum(base, t);
    let lo = base.fma(V::all(HALF_PI_F32_1 / HALF_PI_F32_0), lo);
    (hi + (t * z).fma(poly(z, &ATAN_F32), lo)).with_sign(x)
}

#[inline(always)]
pub fn atan2<V: Singles>(y: V, x: V) -> V {
    let (a, b) = (y.abs(), x.abs());
    let zero = V::all(0.0);
    let steep = b.lt(a);
    let (over, under) = (a.min(b), a.max(b));
    let (small, large) = (V::all(1e-15), V::all(1e15));
    // The sum is NaN where one is.
    let plain = (small.le(over) | over.eq(zero)) & (a + b).le(large);
    // Near the diagonals the angle from them.
    let near = (under * V::all(0.55)).lt(over);
    let top = V::select(near, over - under, over);
    // 0/0 is 0 here.
    let bottom = V::select(near, over + under, under.max(small));
    // The axis or the diagonal, and the angle added or taken off.
    let negative = x.sign().or(V::all(1.0)).lt(zero);
    let sign = x.sign().xor(V::select(steep, V::all(-0.0), zero));
    let base_hi = base_of(near, steep, negative, [PI_1_4_F32_HI, PI_3_4_F32_HI, HALF_PI_F32_0, PI_F32_HI]);
    let base_lo = base_of(near, steep, negative, [PI_1_4_F32_LO, PI_3_4_F32_LO, HALF_PI_F32_1, PI_F32_LO]);
    let top = top.xor(sign);
    let reciprocal = V::all(1.0) / bottom;
    let t = top * reciprocal;
    let t_lo = t.fnma(bottom, top) * reciprocal;
    // The derivative is 1/(1 + t²), or nearly 1 - t².
    let r = turned(base_hi, base_lo, t, (t * t).fnma(t_lo, t_lo));
    r.abs().with_sign(y).mend2(!plain, y, x, single::atan2::<f64>)
}

/// π/4 and 3π/4 near the diagonals, π/2 where it is steep, else 0 and π. No closure: one that is not inlined passes its vectors
/// through memory.
#[inline(always)]
fn base_of<V: Singles>(near: V::Mask, steep: V::Mask, left: V::Mask, [quarter, three, half, whole]: [f32; 4]) -> V {
    let diagonal = V::select(left, V::all(three), V::all(quarter));
    let axis = V::select(left, V::all(whole), V::all(0.0));
    V::select(near, diagonal, V::select(steep, V::all(half), axis))
}
