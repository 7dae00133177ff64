//! Compares the f32 functions of one argument with the C library's f64 functions, over every STEP-th bit pattern (1: all of
//! them, some minutes a function), and prints the largest error in units of the last place.
//!
//!     exhaustive STEP [FUNCTION...]

use legate_jit_vmath::{Float, Func, slice1};

fn reference(func: Func, x: f64) -> f64 {
    match func {
        Func::Exp => x.exp(),
        Func::Exp2 => x.exp2(),
        Func::Expm1 => x.exp_m1(),
        Func::Log => x.ln(),
        Func::Log2 => x.log2(),
        Func::Log10 => x.log10(),
        Func::Log1p => x.ln_1p(),
        Func::Cbrt => x.cbrt(),
        Func::Sin => x.sin(),
        Func::Cos => x.cos(),
        Func::Tan => x.tan(),
        Func::Asin => x.asin(),
        Func::Acos => x.acos(),
        Func::Atan => x.atan(),
        Func::Sinh => x.sinh(),
        Func::Cosh => x.cosh(),
        Func::Tanh => x.tanh(),
        Func::Asinh => libm::asinh(x),
        Func::Acosh if x < 1.0 => f64::NAN,
        Func::Acosh => libm::acosh(x),
        Func::Atanh => libm::atanh(x),
        Func::Erf => libm::erf(x),
        Func::Atan2 | Func::Hypot | Func::Pow | Func::Fmod => unreachable!("two arguments"),
    }
}

/// The distance of `got` from `want` in units of the last place of an f32 near `want`.
fn ulps(got: f32, want: f64) -> f64 {
    let rounded = want as f32;
    if got.is_nan() || want.is_nan() {
        return if got.is_nan() && want.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if got == rounded && (want != 0.0 || got.is_sign_negative() == want.is_sign_negative()) {
        if got.is_infinite() || got == 0.0 {
            return 0.0;
        }
    } else if got.is_infinite() && want.abs() < f32::MAX as f64 || want == 0.0 {
        return f64::INFINITY;
    }
    let exponent = ((want.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(-126);
    (got as f64 - want).abs() / 2f64.powi(exponent - 23)
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let step: usize = args.first().and_then(|s| s.parse().ok()).expect("usage: exhaustive STEP [FUNCTION...]");
    for &func in
        Func::ALL.iter().filter(|f| f.nin() == 1 && (args.len() < 2 || args[1..].iter().any(|a| a == f.name())))
    {
        let f = slice1(func, Float::F32).expect("one argument");
        let (mut worst, mut at) = (0.0, 0f32);
        let mut bits = 0usize;
        while bits < 1 << 32 {
            let x: Vec<f32> =
                (0..1024).map(|k| f32::from_bits((bits + k * step).min(u32::MAX as usize) as u32)).collect();
            let mut y = vec![0f32; x.len()];
            // SAFETY: x.len() elements at both addresses.
            unsafe { f(x.as_ptr() as *const u8, y.as_mut_ptr() as *mut u8, x.len()) };
            for (&x, &y) in x.iter().zip(&y) {
                let error = ulps(y, reference(func, x as f64));
                if error > worst {
                    (worst, at) = (error, x);
                }
            }
            bits += 1024 * step;
        }
        println!("{:6} {worst:.4} at {at:e}", func.name());
    }
}
