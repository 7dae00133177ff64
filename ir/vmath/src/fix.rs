//! Where SLEEF's functions leave the range in which they are right, and what takes their place there.
//!
//! A lane for which `unusual` holds is computed by `mend` instead; `unusual` is a few compares, which vectorise. As it looks
//! only at the lane's own arguments and SLEEF's own result, every vector width gives the same bits. What SLEEF 3.5.1 gets
//! wrong, each found by `accuracy/measure.py`:
//!
//! * sinh and cosh overflow at 710 (f32: 88.7), where the true ones do at 710.48 (89.42);
//! * asinh and acosh are infinite beyond the square root of the largest number, log1p beyond 1e307 (1e38);
//! * sinh, asinh, tanh and atanh of small numbers are a whole unit in the last place off;
//! * tan, asinh and log1p flush the smallest subnormals, or lose their sign; erf and hypot lose bits there;
//! * pow is infinite for some results just below the largest number.
//!
//! sin and cos in f64 are the C library's in every lane ([`replaced_f64`]): NumPy calls them too, and programs whose arrays
//! begin with a sine (boundary values, phases) are to have NumPy's bits from the start. They are within 0.55 ulp; SLEEF's 1.0
//! would be 3 times as fast.

use crate::{Float, Func};

/// True where SLEEF is not asked at all.
pub const fn replaced(func: Func, float: Float) -> bool {
    matches!((func, float), (Func::Sin | Func::Cos, Float::F64))
}

/// The function in SLEEF's place.
#[inline]
pub fn replaced_f64(func: Func, x: f64) -> f64 {
    if matches!(func, Func::Sin) { x.sin() } else { x.cos() }
}

/// No function of f32 is replaced.
#[inline]
pub fn replaced_f32(_func: Func, x: f32) -> f32 {
    x
}

/// True where some arguments of the function need mending at all.
pub const fn any(func: Func) -> bool {
    match func {
        Func::Sinh
        | Func::Cosh
        | Func::Asinh
        | Func::Acosh
        | Func::Log1p
        | Func::Tan
        | Func::Hypot
        | Func::Pow
        | Func::Tanh
        | Func::Erf
        | Func::Atanh => true,
        Func::Exp
        | Func::Exp2
        | Func::Expm1
        | Func::Log
        | Func::Log2
        | Func::Log10
        | Func::Cbrt
        | Func::Sin
        | Func::Cos
        | Func::Asin
        | Func::Acos
        | Func::Atan
        | Func::Atan2 => false,
    }
}

// Ranges as plain compares joined by `|`, which vectorise.
macro_rules! unusual {
    ($name:ident, $t:ident, overflow $overflow:literal, root $root:literal, huge $huge:literal, tiny $tiny:literal, small $small:literal) => {
        #[allow(clippy::manual_range_contains)]
        #[inline(always)]
        pub fn $name(func: Func, x: $t, y: $t, r: $t) -> bool {
            let a = x.abs();
            match func {
                Func::Sinh => (a < $small) | (a > $overflow),
                Func::Cosh => a > $overflow,
                Func::Asinh => (a < $small) | (a > $root),
                Func::Acosh => x > $root,
                Func::Log1p => (a < $tiny) | (x > $huge),
                Func::Tan | Func::Erf => a < $tiny,
                // Just below this, SLEEF loses a whole unit in the last place.
                Func::Tanh | Func::Atanh => a < $small,
                Func::Hypot => (a < $tiny) & (y.abs() < $tiny),
                Func::Pow => (r.abs() == $t::INFINITY) & (a < $t::INFINITY) & (x != 0.0) & (y.abs() < $t::INFINITY),
                _ => false,
            }
        }
    };
}
unusual!(unusual_f64, f64, overflow 709.0, root 1e150, huge 1e300, tiny 1e-290, small 1e-9);
unusual!(unusual_f32, f32, overflow 88.0, root 1e18, huge 1e37, tiny 1e-30, small 1e-4);

#[cold]
pub fn mend_f64(func: Func, x: f64, y: f64, r: f64) -> f64 {
    let a = x.abs();
    match func {
        Func::Sinh if a > 1.0 => half_exp(a).copysign(x),
        Func::Cosh => half_exp(a),
        Func::Asinh if a > 1.0 => log_of_double(a).copysign(x),
        Func::Acosh => log_of_double(a),
        Func::Log1p if a > 1.0 => crate::log_f64(x),
        // So small that the function is its argument, but for less than half a unit in the last place.
        Func::Sinh | Func::Asinh | Func::Log1p | Func::Tan | Func::Tanh | Func::Atanh => x,
        Func::Hypot => {
            // 2^600: exact both ways, but for the rounding of a subnormal result.
            let scale = f64::from_bits((1023 + 600) << 52);
            libm::hypot(x * scale, y * scale) / scale
        }
        Func::Erf => x * std::f64::consts::FRAC_2_SQRT_PI,
        Func::Pow => libm::pow(x, y),
        _ => r,
    }
}

/// In f64, rounded once.
#[cold]
pub fn mend_f32(func: Func, x: f32, y: f32, r: f32) -> f32 {
    let (w, a) = (x as f64, x.abs() as f64);
    (match func {
        Func::Sinh => crate::sinh_f64(w),
        Func::Cosh => crate::cosh_f64(w),
        Func::Asinh => crate::asinh_f64(w),
        Func::Acosh => crate::acosh_f64(w),
        Func::Log1p if a > 1.0 => crate::log_f64(w),
        Func::Tanh => crate::tanh_f64(w),
        Func::Atanh => crate::atanh_f64(w),
        Func::Log1p | Func::Tan => return x,
        Func::Erf => w * std::f64::consts::FRAC_2_SQRT_PI,
        Func::Hypot => crate::hypot_f64(w, y as f64),
        Func::Pow => libm::pow(w, y as f64),
        _ => return r,
    }) as f32
}

/// exp(a) / 2 for a near or beyond the overflow of exp. The argument is reduced by a multiple of ln 2 in two parts, and only the
/// last of the additions is rounded where it is felt, so that the error stays below 0.7 ulp.
fn half_exp(a: f64) -> f64 {
    if a > 711.0 {
        return f64::INFINITY;
    }
    const LN2_HI: f64 = 6.931_471_803_691_238e-1;
    const LN2_LO: f64 = 1.908_214_929_270_587_7e-10;
    let k = (a * std::f64::consts::LOG2_E).round();
    // Exact: LN2_HI has 32 bits, k has 11.
    let hi = a - k * LN2_HI;
    let lo = k * LN2_LO;
    let r = hi - lo;
    let r_lo = (hi - r) - lo;
    // exp(r) - 1 - r by Taylor's series: |r| < 0.35, 14 terms.
    let mut p = 0.0;
    for n in (2..16).rev() {
        p = (p + 1.0) * r / n as f64;
    }
    p *= r;
    let sum = 1.0 + r;
    let rest = r - (sum - 1.0);
    let power = |n: u64| f64::from_bits((1023 + n) << 52);
    (sum + (rest + (r_lo + p))) * power(512) * power(k as u64 - 513)
}

/// log(2a) for a large a, also where 2a is no number any more.
fn log_of_double(a: f64) -> f64 {
    if a < 8e307 {
        return crate::log_f64(2.0 * a);
    }
    // a = m 2^1000, 1001 ln 2 in two parts.
    let m = a * f64::from_bits((1023 - 1000) << 52);
    const HI: f64 = 693.840_327_740_505_2;
    const LO: f64 = 9.779_960_008_637_066e-15;
    HI + (LO + crate::log_f64(m))
}
