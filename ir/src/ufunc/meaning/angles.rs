//! Sines, cosines and tangents of complex numbers, and the hyperbolic ones: C99's special values, with zeros and infinities of the C
//! library's signs. Each pair is one function of a length h along which it grows and an angle a round which it turns: of x + iy,
//! sinh has h = x and a = y, sin has them the other way round. Parts are within 4 ulp.

use super::analytic::ranged;
use super::{Complex, Float};

/// Beyond this hyperbolic functions are made of two factors, as those of the angle may bring them back into range; and what is taken
/// off the length there, which leaves enough for sinh and cosh to be powers of e.
pub const FAR: [f64; 2] = [80.0, 700.0];
pub const SHIFT: [f64; 2] = [40.0, 600.0];
/// Up to here sinh² is in range, and from here on tanh is 1.
pub const LEVEL: [f64; 2] = [40.0, 350.0];

/// cosh h, sinh h, and by what they are to be multiplied.
#[inline]
fn grown<T: Float>(h: T) -> (T, T, T) {
    let shift = ranged::<T>(SHIFT[0], SHIFT[1]);
    let far = h.abs() > ranged(FAR[0], FAR[1]);
    let near = (h.abs() - if far { shift } else { T::ZERO }).copysign(h);
    (near.cosh(), near.sinh(), if far { shift.exp() } else { T::ONE })
}

/// sinh h cos a and cosh h sin a.
#[inline]
fn sine<T: Float>(h: T, a: T) -> (T, T) {
    let (cosh, sinh, scale) = grown(h);
    let (along, across) = ((sinh * a.cos()) * scale, (cosh * a.sin()) * scale);
    // Turned by no angle, the C library's infinity is positive.
    let along = match (a.is_finite(), h.is_infinite()) {
        (false, true) => T::INFINITY,
        (false, false) if h == T::ZERO => h,
        _ => along,
    };
    (along, if a == T::ZERO { a } else { across })
}

/// cosh h cos a and sinh h sin a.
#[inline]
fn cosine<T: Float>(h: T, a: T) -> (T, T) {
    let (cosh, sinh, scale) = grown(h);
    let (along, across) = ((cosh * a.cos()) * scale, (sinh * a.sin()) * scale);
    let along = if !a.is_finite() && h.is_infinite() { T::INFINITY } else { along };
    let across = if !a.is_finite() && h == T::ZERO { T::ZERO } else { across };
    let flat = if h.is_nan() { a } else { a * T::ONE.copysign(h) };
    (along, if a == T::ZERO { flat } else { across })
}

/// sinh h cosh h and sin a cos a, over sinh² h + cos² a.
#[inline]
fn tangent<T: Float>(h: T, a: T) -> (T, T) {
    let level = ranged::<T>(LEVEL[0], LEVEL[1]);
    let length = if h.abs() > level { level } else { h.abs() };
    let beyond = h.abs() - length;
    let (near, shrunk) = (length.copysign(h), (-(beyond + beyond)).exp());
    let (sinh, sin, cos) = (near.sinh(), a.sin(), a.cos());
    let under = sinh.mul_add(sinh, cos * cos);
    let (along, across) = ((sinh * near.cosh()) / under, ((sin * cos) / under) * shrunk);
    let across = if a == T::ZERO { a } else { across };
    if a.is_finite() {
        (along, across)
    } else if h.is_infinite() {
        (T::ONE.copysign(h), T::ZERO.copysign(a))
    } else {
        (if h == T::ZERO { h } else { along }, across)
    }
}

#[inline]
pub fn sinh_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    let (re, im) = sine(x.re, x.im);
    Complex::new(re, im)
}

#[inline]
pub fn cosh_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    let (re, im) = cosine(x.re, x.im);
    Complex::new(re, im)
}

#[inline]
pub fn tanh_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    let (re, im) = tangent(x.re, x.im);
    Complex::new(re, im)
}

#[inline]
pub fn sin_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    let (im, re) = sine(x.im, x.re);
    Complex::new(re, im)
}

#[inline]
pub fn cos_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    let (re, im) = cosine(-x.im, x.re);
    Complex::new(re, im)
}

#[inline]
pub fn tan_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    let (im, re) = tangent(x.im, x.re);
    Complex::new(re, im)
}
