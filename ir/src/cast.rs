//! NumPy's `astype` for one element (casting rule "unsafe"), as ordinary generic Rust for every pair of types.
//!
//! Float to int truncates. What does not fit is what x86 makes of it: the smallest value of the 32- or 64-bit signed type, and
//! the low bits of that for narrower and unsigned types. (NumPy leaves this to the C compiler, and its vector loops for uint32
//! differ from its scalar ones; we always give the scalar ones' result.)

use crate::ufunc::native::{Complex, Native, c64, c128};
use crate::{DType, Scalar};

/// `T` is a type that this one can be converted to.
pub trait AsType<T>: Native {
    fn astype(self) -> T;
}

/// The conversion instruction: truncates, and gives the smallest value for NaN and whatever does not fit.
#[inline]
fn to_i32(x: f64) -> i32 {
    if x > -2147483649.0 && x < 2147483648.0 { x as i32 } else { i32::MIN }
}

#[inline]
fn to_i64(x: f64) -> i64 {
    if (-9223372036854775808.0..9223372036854775808.0).contains(&x) { x as i64 } else { i64::MIN }
}

/// Two halves, so that the instruction for signed integers serves.
#[inline]
fn to_u64(x: f64) -> u64 {
    const HALF: f64 = 9223372036854775808.0;
    if x >= HALF { to_i64(x - HALF) as u64 ^ 1 << 63 } else { to_i64(x) as u64 }
}

macro_rules! astype {
    ($($from:ident -> $($to:ident)*: |$x:ident, $t:ident| $body:expr;)*) => {
        $($(astype!(@one $from $to |$x, $t| $body);)*)*
    };
    (@one $from:ident $to:ident |$x:ident, $t:ident| $body:expr) => {
        impl AsType<$to> for $from {
            #[inline]
            fn astype(self) -> $to {
                #[allow(dead_code)]
                type $t = $to;
                let $x = self;
                $body
            }
        }
    };
}

macro_rules! all {
    ($($int:ident)*) => {
        $(astype! {
            $int -> i8 i16 i32 i64 u8 u16 u32 u64 f32 f64: |x, T| x as T;
            $int -> bool: |x, T| x != 0;
            $int -> c64: |x, T| Complex { re: x as f32, im: 0.0 };
            $int -> c128: |x, T| Complex { re: x as f64, im: 0.0 };
        })*
    };
}
all! { i8 i16 i32 i64 u8 u16 u32 u64 }

astype! {
    bool -> bool: |x, T| x;
    bool -> i8 i16 i32 i64 u8 u16 u32 u64: |x, T| x as T;
    bool -> f32 f64: |x, T| x as u8 as T;
    bool -> c64: |x, T| Complex { re: x as u8 as f32, im: 0.0 };
    bool -> c128: |x, T| Complex { re: x as u8 as f64, im: 0.0 };
    f32 -> f32: |x, T| x;
    f32 -> f64: |x, T| x as f64;
    f32 -> bool: |x, T| x != 0.0;
    f32 -> i8 i16 i32 u8 u16: |x, T| to_i32(x as f64) as T;
    f32 -> i64 u32: |x, T| to_i64(x as f64) as T;
    f32 -> u64: |x, T| to_u64(x as f64);
    f32 -> c64: |x, T| Complex { re: x, im: 0.0 };
    f32 -> c128: |x, T| Complex { re: x as f64, im: 0.0 };
    f64 -> f64: |x, T| x;
    f64 -> f32: |x, T| x as f32;
    f64 -> bool: |x, T| x != 0.0;
    f64 -> i8 i16 i32 u8 u16: |x, T| to_i32(x) as T;
    f64 -> i64 u32: |x, T| to_i64(x) as T;
    f64 -> u64: |x, T| to_u64(x);
    f64 -> c64: |x, T| Complex { re: x as f32, im: 0.0 };
    f64 -> c128: |x, T| Complex { re: x, im: 0.0 };
    c64 -> bool: |x, T| x.re != 0.0 || x.im != 0.0;
    c64 -> i8 i16 i32 i64 u8 u16 u32 u64 f32 f64: |x, T| AsType::<T>::astype(x.re);
    c64 -> c64: |x, T| x;
    c64 -> c128: |x, T| Complex { re: x.re as f64, im: x.im as f64 };
    c128 -> bool: |x, T| x.re != 0.0 || x.im != 0.0;
    c128 -> i8 i16 i32 i64 u8 u16 u32 u64 f32 f64: |x, T| AsType::<T>::astype(x.re);
    c128 -> c64: |x, T| Complex { re: x.re as f32, im: x.im as f32 };
    c128 -> c128: |x, T| x;
}

/// Runs `$body` with `$T` being the native type of an element type.
#[macro_export]
macro_rules! with_native {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
            $crate::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::U16 => {
                type $T = u16;
                $body
            }
            $crate::DType::U32 => {
                type $T = u32;
                $body
            }
            $crate::DType::U64 => {
                type $T = u64;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::DType::C64 => {
                type $T = $crate::ufunc::native::c64;
                $body
            }
            $crate::DType::C128 => {
                type $T = $crate::ufunc::native::c128;
                $body
            }
        }
    };
}

/// The element converted to another type.
pub fn cast(s: Scalar, to: DType) -> Scalar {
    if s.dtype == to {
        return s;
    }
    with_native!(s.dtype, A => with_native!(to, B => AsType::<B>::astype(A::from_scalar(s)).to_scalar()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_that_do_not_fit_give_what_x86_gives() {
        let cases = [
            (f64::NAN, DType::I32, i32::MIN as i128),
            (f64::INFINITY, DType::I64, i64::MIN as i128),
            (1e20, DType::U64, 0),
            (-1.0, DType::U64, u64::MAX as i128),
            (f64::NEG_INFINITY, DType::U64, 1 << 63),
            (1e10, DType::U32, 1410065408),
            (300.7, DType::U8, 44),
            (f64::NAN, DType::I8, 0),
            (-2147483648.9, DType::I32, i32::MIN as i128),
        ];
        for (x, to, want) in cases {
            assert_eq!(cast(Scalar::f64(x), to).as_i128(), want, "{x} to {to}");
        }
    }

    #[test]
    fn the_imaginary_part_is_dropped_unless_the_result_is_a_bool() {
        assert_eq!(cast(Scalar::c128(0.0, 2.0), DType::F32), Scalar::f32(0.0));
        assert_eq!(cast(Scalar::c64(0.0, 2.0), DType::Bool), Scalar::bool(true));
        assert_eq!(cast(Scalar::f64(f64::NAN), DType::Bool), Scalar::bool(true));
    }
}
