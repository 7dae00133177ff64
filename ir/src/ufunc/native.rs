//! The native types behind the element types, so that the table's meanings are ordinary generic Rust: bool is `bool`, a
//! complex number is [`Complex`], the rest are Rust's own.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

use crate::{DType, Scalar};

/// A complex number with NumPy's arithmetic: the textbook product, Smith's quotient.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
#[repr(C)]
pub struct Complex<T> {
    pub re: T,
    pub im: T,
}

/// The one-word names that the table's loops use for the complex types.
#[allow(non_camel_case_types)]
pub type c64 = Complex<f32>;
#[allow(non_camel_case_types)]
pub type c128 = Complex<f64>;

/// A Rust type that is the element type `DTYPE`.
pub trait Native: Copy + Send + Sync + 'static {
    const DTYPE: DType;
    fn to_scalar(self) -> Scalar;
    /// The value of a scalar that has this very type; other types are a bug of the caller.
    fn from_scalar(s: Scalar) -> Self;
}

macro_rules! native {
    ($($t:ty, $dtype:ident, |$v:ident| $to:expr, |$b:ident| $from:expr;)*) => {
        $(
            impl Native for $t {
                const DTYPE: DType = DType::$dtype;

                #[inline]
                fn to_scalar(self) -> Scalar {
                    let $v = self;
                    Scalar { dtype: DType::$dtype, bits: $to }
                }

                #[inline]
                fn from_scalar(s: Scalar) -> Self {
                    debug_assert_eq!(s.dtype, DType::$dtype);
                    let $b = s.bits;
                    $from
                }
            }
        )*
    };
}

native! {
    bool, Bool, |v| [v as u64, 0], |b| b[0] & 1 != 0;
    i8, I8, |v| [v as u8 as u64, 0], |b| b[0] as i8;
    i16, I16, |v| [v as u16 as u64, 0], |b| b[0] as i16;
    i32, I32, |v| [v as u32 as u64, 0], |b| b[0] as i32;
    i64, I64, |v| [v as u64, 0], |b| b[0] as i64;
    u8, U8, |v| [v as u64, 0], |b| b[0] as u8;
    u16, U16, |v| [v as u64, 0], |b| b[0] as u16;
    u32, U32, |v| [v as u64, 0], |b| b[0] as u32;
    u64, U64, |v| [v, 0], |b| b[0];
    f32, F32, |v| [v.to_bits() as u64, 0], |b| f32::from_bits(b[0] as u32);
    f64, F64, |v| [v.to_bits(), 0], |b| f64::from_bits(b[0]);
    c64, C64, |v| [v.re.to_bits() as u64 | (v.im.to_bits() as u64) << 32, 0],
        |b| Complex { re: f32::from_bits(b[0] as u32), im: f32::from_bits((b[0] >> 32) as u32) };
    c128, C128, |v| [v.re.to_bits(), v.im.to_bits()],
        |b| Complex { re: f64::from_bits(b[0]), im: f64::from_bits(b[1]) };
}

/// What the meanings of float operations need of `f32` and `f64`. The transcendental functions are the vector math library's.
pub trait Float:
    Native
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Rem<Output = Self>
    + Neg<Output = Self>
{
    const ZERO: Self;
    const ONE: Self;
    const NAN: Self;
    const INFINITY: Self;
    const LN_2: Self;
    const LOG2_E: Self;
    /// Width of the significand without the hidden bit, and bias of the exponent.
    const MANTISSA_BITS: u32;
    const BIAS: i32;
    fn of(v: f64) -> Self;
    fn bits(self) -> u64;
    fn from_bits64(bits: u64) -> Self;
    fn abs(self) -> Self;
    fn copysign(self, sign: Self) -> Self;
    fn floor(self) -> Self;
    fn ceil(self) -> Self;
    fn trunc(self) -> Self;
    fn rint(self) -> Self;
    fn sqrt(self) -> Self;
    fn is_nan(self) -> bool;
    fn is_infinite(self) -> bool;
    fn is_finite(self) -> bool;
    fn is_sign_negative(self) -> bool;
    fn exp(self) -> Self;
    fn exp2(self) -> Self;
    fn expm1(self) -> Self;
    fn log(self) -> Self;
    fn log2(self) -> Self;
    fn log10(self) -> Self;
    fn log1p(self) -> Self;
    fn cbrt(self) -> Self;
    fn sin(self) -> Self;
    fn cos(self) -> Self;
    fn tan(self) -> Self;
    fn asin(self) -> Self;
    fn acos(self) -> Self;
    fn atan(self) -> Self;
    fn sinh(self) -> Self;
    fn cosh(self) -> Self;
    fn tanh(self) -> Self;
    fn asinh(self) -> Self;
    fn acosh(self) -> Self;
    fn atanh(self) -> Self;
    fn erf(self) -> Self;
    fn atan2(self, x: Self) -> Self;
    fn hypot(self, y: Self) -> Self;
    /// `self * y + z`, rounded once.
    fn mul_add(self, y: Self, z: Self) -> Self;
    fn pow(self, y: Self) -> Self;
}

macro_rules! float {
    ($t:ident, $bits:ident, $mantissa:literal, $bias:literal; $($f1:ident = $v1:ident),*; $($f2:ident = $v2:ident),*) => {
        impl Float for $t {
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            const NAN: $t = $t::NAN;
            const INFINITY: $t = $t::INFINITY;
            const LN_2: $t = std::$t::consts::LN_2;
            const LOG2_E: $t = std::$t::consts::LOG2_E;
            const MANTISSA_BITS: u32 = $mantissa;
            const BIAS: i32 = $bias;

            #[inline]
            fn of(v: f64) -> $t {
                v as $t
            }

            #[inline]
            fn bits(self) -> u64 {
                self.to_bits() as u64
            }

            #[inline]
            fn from_bits64(bits: u64) -> $t {
                $t::from_bits(bits as $bits)
            }

            #[inline]
            fn rint(self) -> $t {
                self.round_ties_even()
            }

            float!(@std $t copysign(sign););
            float!(@std $t abs(); floor(); ceil(); trunc(); sqrt(););

            #[inline]
            fn mul_add(self, y: $t, z: $t) -> $t {
                $t::mul_add(self, y, z)
            }

            #[inline]
            fn is_nan(self) -> bool {
                $t::is_nan(self)
            }

            #[inline]
            fn is_infinite(self) -> bool {
                $t::is_infinite(self)
            }

            #[inline]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }

            #[inline]
            fn is_sign_negative(self) -> bool {
                $t::is_sign_negative(self)
            }

            $(
                #[inline]
                fn $f1(self) -> $t {
                    legate_jit_vmath::$v1(self)
                }
            )*
            $(
                #[inline]
                fn $f2(self, other: $t) -> $t {
                    legate_jit_vmath::$v2(self, other)
                }
            )*
        }
    };
    (@std $t:ident $($f:ident($($arg:ident)?);)*) => {
        $(
            #[inline]
            fn $f(self $(, $arg: $t)?) -> $t {
                $t::$f(self $(, $arg)?)
            }
        )*
    };
}

float!(f32, u32, 23, 127;
    exp = exp_f32, exp2 = exp2_f32, expm1 = expm1_f32, log = log_f32, log2 = log2_f32, log10 = log10_f32,
    log1p = log1p_f32, cbrt = cbrt_f32, sin = sin_f32, cos = cos_f32, tan = tan_f32, asin = asin_f32, acos = acos_f32,
    atan = atan_f32, sinh = sinh_f32, cosh = cosh_f32, tanh = tanh_f32, asinh = asinh_f32, acosh = acosh_f32,
    atanh = atanh_f32, erf = erf_f32;
    atan2 = atan2_f32, hypot = hypot_f32, pow = pow_f32);
float!(f64, u64, 52, 1023;
    exp = exp_f64, exp2 = exp2_f64, expm1 = expm1_f64, log = log_f64, log2 = log2_f64, log10 = log10_f64,
    log1p = log1p_f64, cbrt = cbrt_f64, sin = sin_f64, cos = cos_f64, tan = tan_f64, asin = asin_f64, acos = acos_f64,
    atan = atan_f64, sinh = sinh_f64, cosh = cosh_f64, tanh = tanh_f64, asinh = asinh_f64, acosh = acosh_f64,
    atanh = atanh_f64, erf = erf_f64;
    atan2 = atan2_f64, hypot = hypot_f64, pow = pow_f64);

/// What the meanings of integer operations need of Rust's integers. Everything wraps.
pub trait Int: Native + Ord {
    const ZERO: Self;
    const ONE: Self;
    const BITS: u32;
    const SIGNED: bool;
    fn wadd(self, y: Self) -> Self;
    fn wsub(self, y: Self) -> Self;
    fn wmul(self, y: Self) -> Self;
    /// Towards zero; MIN / -1 is MIN. The divisor is not 0.
    fn wdiv(self, y: Self) -> Self;
    /// The sign of the dividend; MIN % -1 is 0. The divisor is not 0.
    fn wrem(self, y: Self) -> Self;
    fn wneg(self) -> Self;
    fn and1(self) -> bool;
    fn shl(self, n: u32) -> Self;
    fn shr(self, n: u32) -> Self;
    /// The absolute value as the unsigned number of 64 bits.
    fn magnitude(self) -> u64;
    /// The low bits of a 64-bit number.
    fn truncate(v: u64) -> Self;
    /// As an unsigned 64-bit number, sign extended.
    fn extend(self) -> u64;
}

macro_rules! int {
    ($($t:ident $signed:literal |$v:ident| $magnitude:expr;)*) => {
        $(
            impl Int for $t {
                const ZERO: $t = 0;
                const ONE: $t = 1;
                const BITS: u32 = $t::BITS;
                const SIGNED: bool = $signed;

                #[inline]
                fn wadd(self, y: $t) -> $t {
                    self.wrapping_add(y)
                }

                #[inline]
                fn wsub(self, y: $t) -> $t {
                    self.wrapping_sub(y)
                }

                #[inline]
                fn wmul(self, y: $t) -> $t {
                    self.wrapping_mul(y)
                }

                #[inline]
                fn wdiv(self, y: $t) -> $t {
                    self.wrapping_div(y)
                }

                #[inline]
                fn wrem(self, y: $t) -> $t {
                    self.wrapping_rem(y)
                }

                #[inline]
                fn wneg(self) -> $t {
                    self.wrapping_neg()
                }

                #[inline]
                fn and1(self) -> bool {
                    self & 1 != 0
                }

                #[inline]
                fn shl(self, n: u32) -> $t {
                    self << n
                }

                #[inline]
                fn shr(self, n: u32) -> $t {
                    self >> n
                }

                #[inline]
                fn magnitude(self) -> u64 {
                    let $v = self;
                    $magnitude
                }

                #[inline]
                fn truncate(v: u64) -> $t {
                    v as $t
                }

                #[inline]
                fn extend(self) -> u64 {
                    self as u64
                }
            }
        )*
    };
}

int! {
    i8 true |v| v.unsigned_abs() as u64;
    i16 true |v| v.unsigned_abs() as u64;
    i32 true |v| v.unsigned_abs() as u64;
    i64 true |v| v.unsigned_abs();
    u8 false |v| v as u64;
    u16 false |v| v as u64;
    u32 false |v| v as u64;
    u64 false |v| v;
}

impl<T: Float> Complex<T> {
    #[inline]
    pub fn new(re: T, im: T) -> Complex<T> {
        Complex { re, im }
    }

    #[inline]
    pub fn is_nan(self) -> bool {
        self.re.is_nan() || self.im.is_nan()
    }

    #[inline]
    pub fn is_zero(self) -> bool {
        self.re == T::ZERO && self.im == T::ZERO
    }
}

impl<T: Float> Add for Complex<T> {
    type Output = Complex<T>;

    #[inline]
    fn add(self, y: Complex<T>) -> Complex<T> {
        Complex::new(self.re + y.re, self.im + y.im)
    }
}

impl<T: Float> Sub for Complex<T> {
    type Output = Complex<T>;

    #[inline]
    fn sub(self, y: Complex<T>) -> Complex<T> {
        Complex::new(self.re - y.re, self.im - y.im)
    }
}

impl<T: Float> Mul for Complex<T> {
    type Output = Complex<T>;

    #[inline]
    fn mul(self, y: Complex<T>) -> Complex<T> {
        Complex::new(self.re * y.re - self.im * y.im, self.re * y.im + self.im * y.re)
    }
}

impl<T: Float> Neg for Complex<T> {
    type Output = Complex<T>;

    #[inline]
    fn neg(self) -> Complex<T> {
        Complex::new(-self.re, -self.im)
    }
}

impl<T: Float> Div for Complex<T> {
    type Output = Complex<T>;

    /// Smith's method, as NumPy orders it.
    #[inline]
    fn div(self, y: Complex<T>) -> Complex<T> {
        let (re_abs, im_abs) = (y.re.abs(), y.im.abs());
        if re_abs >= im_abs {
            if re_abs == T::ZERO && im_abs == T::ZERO {
                return Complex::new(self.re / re_abs, self.im / re_abs);
            }
            let ratio = y.im / y.re;
            let scale = T::ONE / (y.re + y.im * ratio);
            Complex::new((self.re + self.im * ratio) * scale, (self.im - self.re * ratio) * scale)
        } else {
            let ratio = y.re / y.im;
            let scale = T::ONE / (y.im + y.re * ratio);
            Complex::new((self.re * ratio + self.im) * scale, (self.im * ratio - self.re) * scale)
        }
    }
}
