//! Every width of every function gives the bits of its scalar form.

use std::arch::x86_64::{__m128, __m128d, __m256, __m256d, __m512, __m512d};

use legate_jit_vmath::{Float, Func, Vector, slice1, slice2, symbol, symbol_of_two};

/// Numbers per function; `LEGATE_JIT_VMATH_TEST_COUNT` asks for more.
fn count() -> usize {
    std::env::var("LEGATE_JIT_VMATH_TEST_COUNT").ok().and_then(|s| s.parse().ok()).unwrap_or(20_000)
}

/// A small generator of good bits (splitmix64), so that a failure comes again.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

const SPECIAL: [f64; 22] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    2.0,
    -2.0,
    3.0,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324,
    -5e-324,
    1e-310,
    710.2,
    -745.0,
    88.9,
    1e300,
];

/// Any bits, small numbers, numbers around 1 and large ones.
fn inputs(seed: u64, n: usize) -> Vec<f64> {
    let mut rng = Rng(seed);
    let mut out = Vec::with_capacity(n + SPECIAL.len() * SPECIAL.len());
    for i in 0..n {
        out.push(match i % 5 {
            0 => f64::from_bits(rng.next()),
            1 => rng.unit() * 2.0 - 1.0,
            2 => rng.unit() * 40.0 - 20.0,
            3 => rng.unit() * 1600.0 - 800.0,
            _ => (rng.unit() * 200.0 - 100.0).exp2() * if rng.next() & 1 == 0 { 1.0 } else { -1.0 },
        });
    }
    out
}

fn inputs_f32(seed: u64, n: usize) -> Vec<f32> {
    let mut rng = Rng(seed);
    inputs(seed, n)
        .into_iter()
        .enumerate()
        .map(|(i, x)| if i % 5 == 0 { f32::from_bits(rng.next() as u32) } else { x as f32 })
        .collect()
}

/// Two streams, with all pairs of special values in front.
fn pairs<T: Copy>(special: &[T], x: Vec<T>, y: Vec<T>) -> (Vec<T>, Vec<T>) {
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for &p in special {
        for &q in special {
            a.push(p);
            b.push(q);
        }
    }
    a.extend(x);
    b.extend(y);
    let whole = a.len() & !31;
    a.truncate(whole);
    b.truncate(whole);
    (a, b)
}

fn same_f64(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

fn same_f32(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

macro_rules! width {
    ($run:ident, $elem:ident, $float:expr, $vec:ty, $features:literal) => {
        #[allow(improper_ctypes_definitions)]
        #[target_feature(enable = $features)]
        unsafe fn $run(func: Func, x: &[$elem], y: &[$elem]) -> Option<Vec<$elem>> {
            const LANES: usize = size_of::<$vec>() / size_of::<$elem>();
            let (_, p) = symbol(func, Vector { float: $float, lanes: LANES })?;
            let mut out = Vec::new();
            for (x, y) in x.chunks_exact(LANES).zip(y.chunks_exact(LANES)) {
                // SAFETY: symbol's address is a function of this type, and the chunks have LANES elements.
                let r: [$elem; LANES] = unsafe {
                    let a = (x.as_ptr() as *const $vec).read_unaligned();
                    let b = (y.as_ptr() as *const $vec).read_unaligned();
                    std::mem::transmute(if func.nin() == 1 {
                        std::mem::transmute::<*const (), unsafe extern "C" fn($vec) -> $vec>(p)(a)
                    } else {
                        std::mem::transmute::<*const (), unsafe extern "C" fn($vec, $vec) -> $vec>(p)(a, b)
                    })
                };
                out.extend(r);
            }
            Some(out)
        }
    };
}
width!(f64x2, f64, Float::F64, __m128d, "sse2");
width!(f64x4, f64, Float::F64, __m256d, "avx2,fma");
width!(f64x8, f64, Float::F64, __m512d, "avx512f");
width!(f32x4, f32, Float::F32, __m128, "sse2");
width!(f32x8, f32, Float::F32, __m256, "avx2,fma");
width!(f32x16, f32, Float::F32, __m512, "avx512f");

macro_rules! two {
    ($run:ident, $elem:ident, $float:expr, $vec:ty, $features:literal) => {
        #[allow(improper_ctypes_definitions)]
        #[target_feature(enable = $features)]
        unsafe fn $run(func: Func, x: &[$elem], y: &[$elem]) -> Option<Vec<$elem>> {
            const LANES: usize = size_of::<$vec>() / size_of::<$elem>();
            type One = unsafe extern "C" fn($vec, $vec, *mut $vec) -> $vec;
            type Two = unsafe extern "C" fn($vec, $vec, $vec, $vec, *mut $vec) -> $vec;
            let p = symbol_of_two(func, Vector { float: $float, lanes: LANES })?;
            let mut out = Vec::new();
            for (x, y) in x.chunks_exact(2 * LANES).zip(y.chunks_exact(2 * LANES)) {
                // SAFETY: symbol_of_two's address is a function of this type, and the chunks have twice LANES elements.
                let r: [$elem; 2 * LANES] = unsafe {
                    let [a, a2] = (x.as_ptr() as *const [$vec; 2]).read_unaligned();
                    let [b, b2] = (y.as_ptr() as *const [$vec; 2]).read_unaligned();
                    let mut rest = b2;
                    let first = if func.nin() == 1 {
                        std::mem::transmute::<*const (), One>(p)(a, a2, &mut rest)
                    } else {
                        std::mem::transmute::<*const (), Two>(p)(a, a2, b, b2, &mut rest)
                    };
                    std::mem::transmute([first, rest])
                };
                out.extend(r);
            }
            Some(out)
        }
    };
}
two!(two_f64x2, f64, Float::F64, __m128d, "sse2");
two!(two_f64x4, f64, Float::F64, __m256d, "avx2,fma");
two!(two_f64x8, f64, Float::F64, __m512d, "avx512f");
two!(two_f32x4, f32, Float::F32, __m128, "sse2");
two!(two_f32x8, f32, Float::F32, __m256, "avx2,fma");
two!(two_f32x16, f32, Float::F32, __m512, "avx512f");

macro_rules! check {
    ($test:ident, $elem:ident, $float:expr, $inputs:ident, $same:ident, [$($w:ident)*]) => {
        #[test]
        fn $test() {
            let special = SPECIAL.map(|v| v as $elem);
            let (x, mut y) = pairs(&special, $inputs(1, count()), $inputs(2, count()));
            // Exponents that have ways of their own: whole vectors of one, and vectors of several.
            let halves = |n: usize| (n % 33) as $elem / 2.0 - 8.0;
            for (i, y) in y.iter_mut().enumerate().skip(SPECIAL.len() * SPECIAL.len()) {
                match i / 64 % 8 {
                    0 => *y = halves(i / 512),
                    1 => *y = halves(i),
                    2 => *y = halves(2 * (i % 17)),
                    _ => {}
                }
            }
            for &func in Func::ALL {
                // SAFETY: the address is that of a one-lane function of this type.
                let one: Vec<$elem> = unsafe {
                    let p = symbol(func, Vector { float: $float, lanes: 1 }).unwrap().1;
                    if func.nin() == 1 {
                        let f: extern "C" fn($elem) -> $elem = std::mem::transmute(p);
                        x.iter().map(|&x| f(x)).collect()
                    } else {
                        let f: extern "C" fn($elem, $elem) -> $elem = std::mem::transmute(p);
                        x.iter().zip(&y).map(|(&x, &y)| f(x, y)).collect()
                    }
                };
                let compare = |what: &str, got: &[$elem]| {
                    for i in 0..x.len() {
                        assert!($same(one[i], got[i]), "{} {what} at {:e}, {:e}: {:e} alone, {:e}", func.name(), x[i], y[i], one[i], got[i]);
                    }
                };
                // SAFETY: a width is run only if symbol offers it, and it does so where the machine has the registers.
                $(if let Some(got) = unsafe { $w(func, &x, &y) } { compare(stringify!($w), &got); })*
                let mut got = x.clone();
                let at = got.as_mut_ptr() as *mut u8;
                // SAFETY: in place over x.len() elements.
                unsafe {
                    match func.nin() {
                        1 => slice1(func, $float).unwrap()(at, at, x.len()),
                        _ => slice2(func, $float).unwrap()(at, 1, y.as_ptr() as *const u8, 1, at, x.len()),
                    }
                }
                compare("slice", &got);
                // Short slices, and one argument the same for all.
                for n in [0, 1, 7, 9, 17, 45] {
                    let mut got = vec![7.0 as $elem; n + 1];
                    // SAFETY: n elements (1 where the step is 0) at each address.
                    unsafe {
                        let at = got.as_mut_ptr() as *mut u8;
                        match func.nin() {
                            1 => slice1(func, $float).unwrap()(x.as_ptr() as *const u8, at, n),
                            _ => slice2(func, $float).unwrap()(x.as_ptr() as *const u8, 1, y.as_ptr() as *const u8, 0, at, n),
                        }
                    }
                    assert_eq!(got[n], 7.0, "{} wrote past its {n} elements", func.name());
                    // What was computed alone has another second argument in places.
                    let known = |i: &usize| func.nin() == 1 || y[*i].to_bits() == y[0].to_bits();
                    assert!((0..n).filter(known).all(|i| $same(got[i], one[i])), "{} of {n}", func.name());
                }
            }
        }
    };
}
check!(f64_widths_agree, f64, Float::F64, inputs, same_f64, [f64x2 f64x4 f64x8 two_f64x2 two_f64x4 two_f64x8]);
check!(f32_widths_agree, f32, Float::F32, inputs_f32, same_f32, [f32x4 f32x8 f32x16 two_f32x4 two_f32x8 two_f32x16]);
