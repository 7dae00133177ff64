//! Exponential, logarithm and root of complex numbers: C99's special values, parts within 3 ulp. They are made of functions of real
//! numbers; where the length is near 1 its logarithm is taken of the exact square.

use super::{Complex, Float};

/// A constant that depends on the type's range.
pub fn ranged<T: Float>(single: f64, double: f64) -> T {
    T::of(if T::MANTISSA_BITS == 23 { single } else { double })
}

/// Beyond this an exponential is made of two factors, because a sine or cosine may bring it back into range.
pub const EXP_FAR: [f64; 2] = [80.0, 700.0];

#[inline]
pub fn exp_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    let far = ranged::<T>(EXP_FAR[0], EXP_FAR[1]);
    let shift = if x.re > far { far } else { T::ZERO };
    let scale = if x.re > far { far.exp() } else { T::ONE };
    let size = (x.re - shift).exp();
    let (re, im) = ((size * x.im.cos()) * scale, (size * x.im.sin()) * scale);
    let im = if x.im == T::ZERO { x.im } else { im };
    if x.im.is_finite() || !x.re.is_infinite() {
        Complex::new(re, im)
    } else if x.re > T::ZERO {
        Complex::new(T::INFINITY, T::NAN)
    } else {
        Complex::new(T::ZERO, T::ZERO.copysign(x.im))
    }
}

/// Powers of two that bring large and small lengths into the range where squares are exact enough: above and below which, and the
/// exponents by which.
pub struct Scaling {
    pub huge: [f64; 2],
    pub tiny: [f64; 2],
    pub down: i32,
    pub up: [i32; 2],
}

pub const SCALING: Scaling = Scaling {
    huge: [1.329_227_995_784_916e36, 1.123_558_209_288_947_4e307],
    tiny: [7.888_609_052_210_118e-31, 9.332_636_185_032_189e-302],
    down: -4,
    up: [60, 200],
};

/// The larger and the smaller of the lengths of the parts.
#[inline]
fn sorted<T: Float>(x: Complex<T>) -> (T, T) {
    let (a, b) = (x.re.abs(), x.im.abs());
    if a > b { (a, b) } else { (b, a) }
}

/// The exponent of the power of two for a length, for each type.
#[inline]
fn exponent<T: Float>(large: T) -> i32 {
    if large > ranged(SCALING.huge[0], SCALING.huge[1]) {
        SCALING.down
    } else if large < ranged(SCALING.tiny[0], SCALING.tiny[1]) {
        SCALING.up[(T::MANTISSA_BITS != 23) as usize]
    } else {
        0
    }
}

#[inline]
fn two_sum<T: Float>(a: T, b: T) -> (T, T) {
    let sum = a + b;
    let t = sum - a;
    (sum, (a - (sum - t)) + (b - t))
}

#[inline]
pub fn log_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    let (large, small) = sorted(x);
    let n = exponent(large);
    let factor = T::of(2f64.powi(n));
    let rest = T::of(-n as f64 * std::f64::consts::LN_2);
    let plain = (large * factor).hypot(small * factor).log() + rest;
    // |x|² - 1.
    let (a, b) = (large * large, small * small);
    let (a_lo, b_lo) = (large.mul_add(large, -a), small.mul_add(small, -b));
    let (first, first_lo) = two_sum(a, -T::ONE);
    let (sum, sum_lo) = two_sum(first, b);
    let square = sum + ((sum_lo + first_lo) + (a_lo + b_lo));
    let near = square.log1p() * T::of(0.5);
    let is_near = large > T::of(0.5) && large < T::of(2.0);
    Complex::new(if is_near { near } else { plain }, x.im.atan2(x.re))
}

#[inline]
pub fn sqrt_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    let (large, _) = sorted(x);
    let n = exponent(large);
    let (factor, back) = (T::of(2f64.powi(n)), T::of(2f64.powi(-n / 2)));
    let (re, im) = (x.re * factor, x.im * factor);
    let t = ((re.abs() + re.hypot(im)) * T::of(0.5)).sqrt();
    let other = im.abs() / (t + t);
    let left = x.re < T::ZERO;
    let (re, im) = if left { (other, t) } else { (t, other) };
    let (re, im) = (re * back, (im * back).copysign(x.im));
    if x.im.is_infinite() {
        Complex::new(T::INFINITY, x.im)
    } else if x.is_zero() {
        Complex::new(T::ZERO, x.im)
    } else {
        Complex::new(re, im)
    }
}
