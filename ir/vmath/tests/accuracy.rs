//! The functions are within 1 ulp: of exact results at the hardest arguments known for f64, of the C library's f64 functions for
//! f32.

use legate_jit_vmath::{Float, Func, slice1, slice2};

fn run<T: Copy + Default>(func: Func, float: Float, x: &[T], y: &[T]) -> Vec<T> {
    let mut out = vec![T::default(); x.len()];
    // SAFETY: x.len() elements at each address.
    unsafe {
        let (x8, y8, to) = (x.as_ptr() as *const u8, y.as_ptr() as *const u8, out.as_mut_ptr() as *mut u8);
        match func.nin() {
            1 => slice1(func, float).unwrap()(x8, to, x.len()),
            _ => slice2(func, float).unwrap()(x8, 1, y8, 1, to, x.len()),
        }
    }
    out
}

/// The size of the last place of a number.
fn place(x: f64, digits: i32, smallest: i32) -> f64 {
    let exponent = ((x.to_bits() >> 52 & 0x7ff) as i32 - 1023).max(smallest);
    2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2 - digits / 2) * 2f64.powi(digits / 2 - digits)
}

#[test]
fn hard_arguments_of_f64() {
    let mut seen = 0;
    for line in include_str!("points.txt").lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let func = Func::parse(words[0]).expect("a function's name");
        let bits = |w: &str| f64::from_bits(u64::from_str_radix(w, 16).expect("bits"));
        let n = func.nin();
        let (x, y, want) = (bits(words[1]), bits(words[n]), bits(words[n + 1]));
        let rest: f64 = words[n + 2].parse().expect("a number");
        let got = run(func, Float::F64, &[x], &[y])[0];
        let error = ((got - want) / place(want, 52, -1022) - rest / (1 << 20) as f64).abs();
        assert!(error <= 1.0 + 1e-5, "{} of {x:e}, {y:e}: {got:e} instead of {want:e}, {error} ulp", func.name());
        seen += 1;
    }
    assert!(seen >= 24 * 40);
}

type Single = (Func, fn(f64) -> f64, std::ops::RangeInclusive<f64>);

/// The functions of one argument, the C library's of f64, and where to look.
const FUNCTIONS: [Single; 21] = [
    (Func::Exp, f64::exp, -103.0..=88.7),
    (Func::Exp2, f64::exp2, -149.0..=127.9),
    (Func::Expm1, f64::exp_m1, -30.0..=88.7),
    (Func::Log, f64::ln, 0.0..=3e38),
    (Func::Log2, f64::log2, 0.0..=3.0),
    (Func::Log10, f64::log10, 0.0..=1e4),
    (Func::Log1p, f64::ln_1p, -0.999..=1e6),
    (Func::Cbrt, f64::cbrt, -1e30..=1e30),
    (Func::Sin, f64::sin, -1e6..=1e6),
    (Func::Cos, f64::cos, -40.0..=40.0),
    (Func::Tan, f64::tan, -1e10..=1e10),
    (Func::Asin, f64::asin, -1.0..=1.0),
    (Func::Acos, f64::acos, -1.0..=1.0),
    (Func::Atan, f64::atan, -100.0..=100.0),
    (Func::Sinh, f64::sinh, -89.0..=89.0),
    (Func::Cosh, f64::cosh, -89.0..=89.0),
    (Func::Tanh, f64::tanh, -10.0..=10.0),
    (Func::Asinh, libm::asinh, -1e10..=1e10),
    (Func::Acosh, libm::acosh, 1.0..=1e10),
    (Func::Atanh, libm::atanh, -1.0..=1.0),
    (Func::Erf, libm::erf, -4.5..=4.5),
];

#[test]
fn f32_against_f64() {
    for (func, exact, range) in FUNCTIONS {
        let (low, high) = (*range.start(), *range.end());
        let x: Vec<f32> = (0..40_000)
            .map(|i| {
                let t = (i as f64 * 0.618_033_988_749_894_9).fract();
                // Evenly, and by size.
                let x = if i % 2 == 0 { low + (high - low) * t } else { high * 2f64.powf(-80.0 * t) };
                x as f32
            })
            // And every 9973rd of all.
            .chain(
                (0..u32::MAX / 9973).map(|i| f32::from_bits(i * 9973)).filter(|x| (low..=high).contains(&(*x as f64))),
            )
            .collect();
        for (&x, got) in x.iter().zip(run(func, Float::F32, &x, &x)) {
            let want = exact(x as f64);
            let error = (got as f64 - want).abs() / place(want, 23, -126);
            let same = want == got as f64 || (want.is_nan() && got.is_nan());
            assert!(error <= 1.0 || same, "{} of {x:e}f32: {got:e} instead of {want:e}", func.name());
        }
    }
}

/// Zeros with their signs, infinities, NaN, subnormal and the largest numbers, and the ends of the domains.
#[test]
fn f32_at_the_edges() {
    let positive =
        [0.0, 1e-45, 1e-40, f32::MIN_POSITIVE, 1.2e-38, 1e-20, 0.75, 1.0, 1.5, 88.8, 1e30, 8e37, 2e38, f32::MAX];
    let x: Vec<f32> =
        positive.into_iter().chain([f32::INFINITY, f32::NAN, 0.999_999_94]).flat_map(|x| [x, -x]).collect();
    for (func, exact, _) in FUNCTIONS {
        for (&x, got) in x.iter().zip(run(func, Float::F32, &x, &x)) {
            if func == Func::Acosh && x < 1.0 {
                // libm's makes numbers of some.
                assert!(got.is_nan(), "acosh of {x:e}f32: {got:e}");
                continue;
            }
            let want = exact(x as f64);
            let rounded = want as f32;
            let same = got.to_bits() == rounded.to_bits() || (got.is_nan() && want.is_nan());
            let near = rounded != 0.0
                && rounded.is_finite()
                && (got as f64 - want).abs() <= place(want, 23, -126)
                && got.is_sign_negative() == want.is_sign_negative();
            assert!(same || near, "{} of {x:e}f32: {got:e} instead of {want:e}", func.name());
        }
    }
}

#[test]
fn f32_of_two_arguments_against_f64() {
    type Double = (Func, fn(f64, f64) -> f64, [f64; 2]);
    // The largest power of two of each argument; powers have results of all sizes.
    let functions: [Double; 3] =
        [(Func::Atan2, f64::atan2, [60.0; 2]), (Func::Hypot, f64::hypot, [60.0; 2]), (Func::Pow, f64::powf, [6.0; 2])];
    for (func, exact, [of_x, of_y]) in functions {
        let number = |i: usize, step: f64, places: f64, negative: bool| {
            let t = (i as f64 * step).fract();
            let sign = if negative && i & 1 << (i % 7) != 0 { -1.0 } else { 1.0 };
            // By size, evenly, and whole ones.
            let x = match i % 3 {
                0 => 2f64.powf(places * (2.0 * t - 1.0)),
                1 => 2.0 * t + 1e-3,
                _ => (40.0 * t).floor() + 1.0,
            };
            (sign * x) as f32
        };
        let x: Vec<f32> = (0..60_000).map(|i| number(i, 0.618_033_988_749_894_9, of_x, func != Func::Pow)).collect();
        let y: Vec<f32> = (0..60_000).map(|i| number(i / 2 + i * 7, 0.754_877_666_246_692_7, of_y, true)).collect();
        for ((&x, &y), got) in x.iter().zip(&y).zip(run(func, Float::F32, &x, &y)) {
            let want = exact(x as f64, y as f64);
            let error = (got as f64 - want).abs() / place(want, 23, -126);
            let beyond = want.abs() > f32::MAX as f64 && got.is_infinite() && (got as f64).signum() == want.signum();
            assert!(error <= 1.0 || beyond, "{} of {x:e}f32, {y:e}: {got:e} instead of {want:e}", func.name());
        }
    }
}

/// Quotients next to whole numbers and to the largest that vectors handle, subnormal numbers, and what is no number.
#[test]
fn remainders_are_exact() {
    let far = [2f64.powi(51), 2f64.powi(22), 2f64.powi(53), 1e200];
    let y = [1.0, 3.0, 0.1, 1e-3, 7.5e-310, 5e-324, 1e300, 6.25e-2, 0.0, f64::INFINITY, f64::NAN];
    let mut pairs = Vec::new();
    for y in y {
        for k in (0..60).map(f64::from).chain(far.into_iter().flat_map(|f| [f - 1.0, f, f + 2.0])) {
            let x: f64 = k * y;
            pairs.extend([x, x.next_up(), x.next_down(), k, 0.3 * y, f64::INFINITY, f64::NAN].map(|x| (x, y)));
        }
    }
    let signs = [(1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (-1.0, -1.0)];
    let (x, y): (Vec<f64>, Vec<f64>) = pairs.iter().flat_map(|(x, y)| signs.map(|(s, t)| (s * x, t * y))).unzip();
    for ((&x, &y), got) in x.iter().zip(&y).zip(run(Func::Fmod, Float::F64, &x, &y)) {
        let want = x % y;
        assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{x:e} % {y:e}: {got:e}");
    }
    let (x, y): (Vec<f32>, Vec<f32>) = x.iter().zip(&y).map(|(&x, &y)| (x as f32, y as f32)).unzip();
    for ((&x, &y), got) in x.iter().zip(&y).zip(run(Func::Fmod, Float::F32, &x, &y)) {
        let want = x % y;
        assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{x:e}f32 % {y:e}: {got:e}");
    }
}

/// Whole exponents, large ones too, of negative numbers.
#[test]
fn signs_of_f32_powers() {
    for y in [
        1.0,
        2.0,
        3.0,
        -5.0,
        4_194_303.0,
        4_194_304.5,
        4_194_305.0,
        8_388_607.5,
        8_388_609.0,
        16_777_215.0,
        3e7,
        -3e9,
        0.5,
    ] {
        let x = [-1.0f32, -1.000_000_1];
        let got = run(Func::Pow, Float::F32, &x, &[y, y]);
        for (&x, got) in x.iter().zip(got) {
            let want = f64::powf(x as f64, y as f64) as f32;
            assert!(
                got == want || (got.is_nan() && want.is_nan()) || (got - want).abs() <= want.abs() * 1.2e-7,
                "{x:e} ** {y:e}: {got:e} instead of {want:e}"
            );
        }
    }
}

/// Exponents that have ways of their own: within a hundredth of what rounding takes, the same bits among other exponents, and right
/// where those ways end.
#[test]
fn powers_with_ways_of_their_own() {
    let exponents = (-16..=16i32).filter(|n| n % 2 == 0 || n.abs() <= 7).map(|n| n as f64 / 2.0);
    let exponents: Vec<f64> = exponents.collect();
    let x: Vec<f64> = (0..20_000)
        .map(|i| {
            let t = (i as f64 * 0.618_033_988_749_894_9).fract();
            match i % 4 {
                0 => 1.0 + 3.0 * t,
                1 => (t - 0.5) * 20.0,
                2 => 2f64.powf(2000.0 * t - 1000.0),
                // The ends of all ranges.
                _ => 2f64.powi((i / 4) % 1300 - 650) * (1.0 + (i % 5 - 2) as f64 * f64::EPSILON),
            }
        })
        .chain([0.0, -0.0, 1.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, -1e-310, f64::MAX])
        .collect();
    for (k, &y) in exponents.iter().enumerate() {
        let alike = run(Func::Pow, Float::F64, &x, &vec![y; x.len()]);
        for (&x, &got) in x.iter().zip(&alike) {
            let want = f64::powf(x, y);
            let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
            // The library's own error is half a unit.
            assert!(same || (got - want).abs() <= 1.01 * place(want, 52, -1022), "{x:e} ** {y}: {got:e}, not {want:e}");
        }
        // Vectors with other exponents, with and without ways of their own, and a lane that is beyond the way's range.
        for whole in [true, false] {
            let other = |i: usize| match i % 2 {
                _ if whole => (i % 17) as f64 - 8.0,
                0 => 0.7,
                _ => exponents[(i + k) % exponents.len()],
            };
            let mixed: Vec<f64> = (0..x.len()).map(|i| if i % 3 == 0 { y } else { other(i) }).collect();
            let among = run(Func::Pow, Float::F64, &x, &mixed);
            for i in (0..x.len()).step_by(3) {
                let same = among[i].to_bits() == alike[i].to_bits() || (among[i].is_nan() && alike[i].is_nan());
                assert!(same, "{:e} ** {y}: {:e} and {:e}", x[i], among[i], alike[i]);
            }
        }
        for i in (0..x.len()).step_by(3) {
            let alone = run(Func::Pow, Float::F64, &x[i..=i], &[y])[0];
            let same = alone.to_bits() == alike[i].to_bits() || (alone.is_nan() && alike[i].is_nan());
            assert!(same, "{:e} ** {y}", x[i]);
        }
    }
    let x: Vec<f32> = (0..20_000)
        .map(|i| {
            let t = (i as f32 * 0.618_034).fract();
            match i % 4 {
                0 => 1.0 + 3.0 * t,
                1 => (t - 0.5) * 20.0,
                2 => 2f32.powf(250.0 * t - 124.0),
                _ => 2f32.powi((i / 4) % 160 - 80) * (1.0 + (i % 5 - 2) as f32 * f32::EPSILON),
            }
        })
        .chain([0.0, -0.0, 1.0, -1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-45, -1e-40, f32::MAX])
        .collect();
    for (k, y) in exponents.iter().map(|&y| y as f32).enumerate() {
        let alike = run(Func::Pow, Float::F32, &x, &vec![y; x.len()]);
        for (&x, &got) in x.iter().zip(&alike) {
            let want = f64::powf(x as f64, y as f64);
            let same = got == want as f32 || (got.is_nan() && want.is_nan());
            assert!(same || (got as f64 - want).abs() <= 0.6 * place(want, 23, -126), "{x:e}f32 ** {y}: {got:e}");
        }
        let other = |i: usize| {
            if i.is_multiple_of(2) { (i % 17) as f32 - 8.0 } else { exponents[(i + k) % exponents.len()] as f32 }
        };
        let mixed: Vec<f32> = (0..x.len()).map(|i| if i % 3 == 0 { y } else { other(i) }).collect();
        let among = run(Func::Pow, Float::F32, &x, &mixed);
        for i in (0..x.len()).step_by(3) {
            let alone = run(Func::Pow, Float::F32, &x[i..=i], &[y])[0];
            for other in [among[i], alone] {
                let same = other.to_bits() == alike[i].to_bits() || (other.is_nan() && alike[i].is_nan());
                assert!(same, "{:e}f32 ** {y}: {other:e} and {:e}", x[i], alike[i]);
            }
        }
    }
}

/// The vectors ask the library only where its result is in doubt; then all of theirs are its own.
#[test]
fn sine_and_cosine_of_f64_are_the_librarys() {
    let x: Vec<f64> = (0..300_000)
        .map(|i| {
            let t = (i as f64 * 0.618_033_988_749_894_9).fract() * 2.0 - 1.0;
            match i % 6 {
                0 => 10.0 * t,
                1 => t,
                2 => t * 10f64.powi(i % 41 - 30),
                // Near zeros and extremes.
                3 => std::f64::consts::FRAC_PI_2 * (1e6 * t).round() * (1.0 + (i % 7 - 3) as f64 * f64::EPSILON),
                4 => f64::from_bits((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
                _ => 1e9 * t,
            }
        })
        .chain([0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 5e-324, -1e-310, 1_073_741_824.0, 1.0, -1.0])
        .collect();
    for (func, library) in [(Func::Sin, f64::sin as fn(f64) -> f64), (Func::Cos, f64::cos)] {
        for (&x, got) in x.iter().zip(run(func, Float::F64, &x, &x)) {
            let want = library(x);
            let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
            assert!(same, "{} of {x:e}: {got:e}, the library's is {want:e}", func.name());
        }
    }
}
