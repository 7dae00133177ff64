//! What the table's operations mean where the meaning is longer than a line, in NumPy's terms. Generic over the native types,
//! so that the interpreter and the prebuilt loops run the same code.

pub mod analytic;
pub mod angles;

pub use analytic::{exp_complex, log_complex, sqrt_complex};
pub use angles::{cos_complex, cosh_complex, sin_complex, sinh_complex, tan_complex, tanh_complex};

pub use super::native::{Complex, Float, Int, Native};

// Integers. NumPy warns where it divides by zero and gives 0; what would overflow wraps.

#[inline]
pub fn floor_divide_int<T: Int>(x: T, y: T) -> T {
    if y == T::ZERO {
        return T::ZERO;
    }
    let quotient = x.wdiv(y);
    let inexact = x.wrem(y) != T::ZERO;
    if inexact && (x < T::ZERO) != (y < T::ZERO) { quotient.wsub(T::ONE) } else { quotient }
}

#[inline]
pub fn remainder_int<T: Int>(x: T, y: T) -> T {
    if y == T::ZERO {
        return T::ZERO;
    }
    let rest = x.wrem(y);
    if rest != T::ZERO && (x < T::ZERO) != (y < T::ZERO) { rest.wadd(y) } else { rest }
}

#[inline]
pub fn fmod_int<T: Int>(x: T, y: T) -> T {
    if y == T::ZERO { T::ZERO } else { x.wrem(y) }
}

/// By squaring, wrapping. NumPy raises an error for a negative exponent before it computes anything, and so must whoever
/// records the call; what is returned here for one is never seen.
#[inline]
pub fn power_int<T: Int>(x: T, y: T) -> T {
    let mut exponent = y.extend();
    if T::SIGNED && y < T::ZERO {
        exponent = 0;
    }
    let (mut base, mut result) = (x, T::ONE);
    while exponent != 0 {
        if exponent & 1 != 0 {
            result = result.wmul(base);
        }
        base = base.wmul(base);
        exponent >>= 1;
    }
    result
}

#[inline]
pub fn sign_int<T: Int>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        T::ZERO.wsub(T::ONE)
    } else {
        T::ZERO
    }
}

/// NumPy converts the float 1/x back to the integer type, as x86 converts: 1/0 becomes the smallest 32- or 64-bit integer,
/// and 0 in the other types.
#[inline]
pub fn reciprocal_int<T: Int>(x: T) -> T {
    if x == T::ZERO {
        let lowest = T::SIGNED && T::BITS >= 32;
        return if lowest { T::ONE.shl(T::BITS - 1) } else { T::ZERO };
    }
    T::ONE.wdiv(x)
}

fn gcd_u64(mut x: u64, mut y: u64) -> u64 {
    while y != 0 {
        (x, y) = (y, x % y);
    }
    x
}

#[inline]
pub fn gcd<T: Int>(x: T, y: T) -> T {
    T::truncate(gcd_u64(x.magnitude(), y.magnitude()))
}

#[inline]
pub fn lcm<T: Int>(x: T, y: T) -> T {
    let (x, y) = (x.magnitude(), y.magnitude());
    let g = gcd_u64(x, y);
    T::truncate(x.checked_div(g).unwrap_or(0).wrapping_mul(y))
}

/// A negative distance counts as too large a one.
#[inline]
pub fn left_shift<T: Int>(x: T, y: T) -> T {
    if y >= T::ZERO && y.extend() < T::BITS as u64 { x.shl(y.extend() as u32) } else { T::ZERO }
}

/// What has been shifted out whole leaves the sign.
#[inline]
pub fn right_shift<T: Int>(x: T, y: T) -> T {
    if y >= T::ZERO && y.extend() < T::BITS as u64 {
        x.shr(y.extend() as u32)
    } else if T::SIGNED {
        x.shr(T::BITS - 1)
    } else {
        T::ZERO
    }
}

#[inline]
pub fn bitwise_count<T: Int>(x: T) -> u8 {
    x.magnitude().count_ones() as u8
}

// Floats.

/// Python's `divmod`: the remainder has the divisor's sign, and the quotient is what makes it so.
#[inline]
pub fn divmod_float<T: Float>(x: T, y: T) -> (T, T) {
    divmod_of_rest(x, y, x % y)
}

/// The same from the remainder with x's sign, without branches. A quotient by 0 is its own floor, and the rest, which is NaN, stays.
#[inline(always)]
pub fn divmod_of_rest<T: Float>(x: T, y: T, rest: T) -> (T, T) {
    let quotient = if y == T::ZERO { x } else { x - rest } / y;
    let moved = (rest != T::ZERO) & ((y < T::ZERO) != (rest < T::ZERO));
    let quotient = if moved { quotient - T::ONE } else { quotient };
    let whole = quotient.floor();
    let whole = if quotient - whole > T::of(0.5) { whole + T::ONE } else { whole };
    let sign = if x.is_sign_negative() { -y } else { y };
    let floor = if quotient != T::ZERO { whole } else { T::ZERO.copysign(sign) };
    let fixed = if moved { rest + y } else { rest };
    (floor, if rest != T::ZERO { fixed } else { T::ZERO.copysign(y) })
}

#[inline]
pub fn floor_divide_float<T: Float>(x: T, y: T) -> T {
    divmod_float(x, y).0
}

#[inline]
pub fn remainder_float<T: Float>(x: T, y: T) -> T {
    divmod_float(x, y).1
}

/// The sign of -0.0 is 0.0, that of NaN is NaN.
#[inline]
pub fn sign_float<T: Float>(x: T) -> T {
    if x > T::ZERO {
        T::ONE
    } else if x < T::ZERO {
        -T::ONE
    } else if x == T::ZERO {
        T::ZERO
    } else {
        x
    }
}

/// NaN if either is; of two zeros the second, as NumPy's vector loops give.
#[inline]
pub fn maximum<T: Float>(x: T, y: T) -> T {
    if x > y || x.is_nan() { x } else { y }
}

#[inline]
pub fn minimum<T: Float>(x: T, y: T) -> T {
    if x < y || x.is_nan() { x } else { y }
}

/// NaN only if both are.
#[inline]
pub fn fmax<T: Float>(x: T, y: T) -> T {
    if x > y || y.is_nan() { x } else { y }
}

#[inline]
pub fn fmin<T: Float>(x: T, y: T) -> T {
    if x < y || y.is_nan() { x } else { y }
}

/// The neighbour of x towards y.
#[inline]
pub fn nextafter<T: Float>(x: T, y: T) -> T {
    if x.is_nan() || y.is_nan() {
        x + y
    } else if x == y {
        y
    } else if x == T::ZERO {
        T::from_bits64(1).copysign(y)
    } else if (x < y) == (x > T::ZERO) {
        T::from_bits64(x.bits() + 1)
    } else {
        T::from_bits64(x.bits() - 1)
    }
}

/// The distance to the neighbour that is farther from zero, with x's sign.
#[inline]
pub fn spacing<T: Float>(x: T) -> T {
    if !x.is_finite() {
        T::NAN
    } else if x == T::ZERO {
        T::from_bits64(1)
    } else {
        T::from_bits64(x.bits() + 1) - x
    }
}

/// x · 2ⁿ, rounded once: a product that could become subnormal keeps all its digits until the last step.
#[inline]
pub fn ldexp<T: Float>(x: T, n: i64) -> T {
    let power = |e: i32| T::from_bits64(((e + T::BIAS) as u64) << T::MANTISSA_BITS);
    let (bias, digits) = (T::BIAS, T::MANTISSA_BITS as i32 + 1);
    let mut n = n.clamp(-4 * bias as i64, 4 * bias as i64) as i32;
    let mut x = x;
    // Three steps suffice to cross the whole range of the type.
    for _ in 0..3 {
        if n > bias {
            x = x * power(bias);
            n -= bias;
        } else if n < 1 - bias {
            // Stays above the subnormals: the next factor is still to come.
            x = x * power(1 - bias + digits);
            n += bias - 1 - digits;
        }
    }
    x * power(n.clamp(1 - bias, bias))
}

/// (mantissa in ±[0.5, 1), exponent) with x = mantissa · 2^exponent; zeros, infinities and NaN have the exponent 0.
#[inline]
pub fn frexp<T: Float>(x: T) -> (T, i32) {
    if x == T::ZERO || !x.is_finite() {
        return (x, 0);
    }
    let mask = (1u64 << T::MANTISSA_BITS) - 1;
    let field_mask = 2 * T::BIAS as u64 + 1;
    let mut x = x;
    let mut shift = 0;
    if (x.bits() >> T::MANTISSA_BITS) & field_mask == 0 {
        // A subnormal: bring it into the normal range first.
        shift = T::MANTISSA_BITS as i32 + 1;
        x = x * T::from_bits64(((shift + T::BIAS) as u64) << T::MANTISSA_BITS);
    }
    let exponent = ((x.bits() >> T::MANTISSA_BITS) & field_mask) as i32 - (T::BIAS - 1) - shift;
    let sign = T::ONE.copysign(x);
    let half = ((T::BIAS - 1) as u64) << T::MANTISSA_BITS;
    (T::from_bits64(half | x.bits() & mask).copysign(sign), exponent)
}

/// Both parts have x's sign; the fraction of an infinity is 0.
#[inline]
pub fn modf_fraction<T: Float>(x: T) -> T {
    if x.is_infinite() { T::ZERO.copysign(x) } else { (x - x.trunc()).copysign(x) }
}

#[inline]
pub fn heaviside<T: Float>(x: T, at_zero: T) -> T {
    if x.is_nan() {
        x
    } else if x == T::ZERO {
        at_zero
    } else if x < T::ZERO {
        T::ZERO
    } else {
        T::ONE
    }
}

#[inline]
pub fn logaddexp<T: Float>(x: T, y: T) -> T {
    if x == y {
        // Also infinities of one sign.
        return x + T::LN_2;
    }
    let d = x - y;
    if d > T::ZERO {
        x + (-d).exp().log1p()
    } else if d <= T::ZERO {
        y + d.exp().log1p()
    } else {
        d
    }
}

#[inline]
pub fn logaddexp2<T: Float>(x: T, y: T) -> T {
    if x == y {
        return x + T::ONE;
    }
    let d = x - y;
    if d > T::ZERO {
        x + T::LOG2_E * (-d).exp2().log1p()
    } else if d <= T::ZERO {
        y + T::LOG2_E * d.exp2().log1p()
    } else {
        d
    }
}

// Complex numbers.

/// The order of complex numbers is by the real parts, then by the imaginary ones; a NaN is in no order.
#[inline]
pub fn greater_complex<T: Float>(x: Complex<T>, y: Complex<T>) -> bool {
    x.re > y.re && !x.im.is_nan() && !y.im.is_nan() || x.re == y.re && x.im > y.im
}

#[inline]
pub fn greater_equal_complex<T: Float>(x: Complex<T>, y: Complex<T>) -> bool {
    x.re > y.re && !x.im.is_nan() && !y.im.is_nan() || x.re == y.re && x.im >= y.im
}

#[inline]
pub fn maximum_complex<T: Float>(x: Complex<T>, y: Complex<T>) -> Complex<T> {
    if x.is_nan() || greater_equal_complex(x, y) { x } else { y }
}

#[inline]
pub fn minimum_complex<T: Float>(x: Complex<T>, y: Complex<T>) -> Complex<T> {
    if x.is_nan() || greater_equal_complex(y, x) { x } else { y }
}

#[inline]
pub fn fmax_complex<T: Float>(x: Complex<T>, y: Complex<T>) -> Complex<T> {
    if y.is_nan() || greater_equal_complex(x, y) { x } else { y }
}

#[inline]
pub fn fmin_complex<T: Float>(x: Complex<T>, y: Complex<T>) -> Complex<T> {
    if y.is_nan() || greater_equal_complex(y, x) { x } else { y }
}

#[inline]
pub fn rint_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    Complex::new(x.re.rint(), x.im.rint())
}

#[inline]
pub fn reciprocal_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    if x.im.abs() <= x.re.abs() {
        let ratio = x.im / x.re;
        let d = x.re + x.im * ratio;
        Complex::new(T::ONE / d, -ratio / d)
    } else {
        let ratio = x.re / x.im;
        let d = x.re * ratio + x.im;
        Complex::new(ratio / d, -T::ONE / d)
    }
}

/// As NumPy's loops multiply on machines with fused multiply-adds, but here on every machine: one product of each part is added
/// unrounded to the other. (NumPy's scalars, and the running products of a reduction, round each step.)
#[inline]
pub fn multiply_complex<T: Float>(x: Complex<T>, y: Complex<T>) -> Complex<T> {
    Complex::new(x.re.mul_add(y.re, -(x.im * y.im)), x.re.mul_add(y.im, x.im * y.re))
}

/// The length as NumPy's loops compute it: the larger part times the square root of 1 + (smaller / larger)², which neither
/// overflows nor underflows on the way. Infinite if a part is, whatever the other.
#[inline]
pub fn absolute_complex<T: Float>(x: Complex<T>) -> T {
    let (re, im) = (x.re.abs(), x.im.abs());
    if re == T::INFINITY || im == T::INFINITY {
        return T::INFINITY;
    }
    let (large, small) = if re > im { (re, im) } else { (im, re) };
    if large == T::ZERO {
        // A NaN is the smaller part, and goes on.
        return large + small;
    }
    let ratio = small / large;
    large * ratio.mul_add(ratio, T::ONE).sqrt()
}

/// The direction: x / |x|.
#[inline]
pub fn sign_complex<T: Float>(x: Complex<T>) -> Complex<T> {
    let length = x.re.hypot(x.im);
    if length.is_nan() {
        Complex::new(T::NAN, T::NAN)
    } else if length.is_infinite() {
        match (x.re.is_infinite(), x.im.is_infinite()) {
            (true, true) => Complex::new(T::NAN, T::NAN),
            (true, false) => Complex::new(T::ONE.copysign(x.re), T::ZERO),
            // Also where the length overflowed.
            (false, _) => Complex::new(T::ZERO, T::ONE.copysign(x.im)),
        }
    } else if length == T::ZERO {
        Complex::new(T::ZERO, T::ZERO)
    } else {
        Complex::new(x.re / length, x.im / length)
    }
}

/// `where`.
#[inline]
pub fn choose<T: Native>(condition: bool, x: T, y: T) -> T {
    if condition { x } else { y }
}

/// π/180 is rounded to the type, as NumPy's constant is.
#[inline]
pub fn deg2rad<T: Float>(x: T) -> T {
    x * (T::of(std::f64::consts::PI) / T::of(180.0))
}

#[inline]
pub fn rad2deg<T: Float>(x: T) -> T {
    x * (T::of(180.0) / T::of(std::f64::consts::PI))
}
