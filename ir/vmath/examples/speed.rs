//! Prints what each function costs: nanoseconds of processor time an element, f64 and f32, over arguments that fit in the
//! first-level caches, at this machine's best width: by the loops over slices, and, on machines with AVX-512, by calls with two
//! vectors, as compiled kernels make them.

use std::arch::x86_64::{__m512, __m512d};

use legate_jit_vmath::{Float, Func, Isa, Vector, isa, slice1, slice2, symbol_of_two};

const N: usize = 4096;

/// Typical arguments: the ranges of each argument.
fn range(func: Func) -> [(f64, f64); 2] {
    let one = match func {
        Func::Exp | Func::Exp2 | Func::Sin | Func::Cos | Func::Tan | Func::Atan | Func::Asinh => (-10.0, 10.0),
        Func::Expm1 | Func::Sinh | Func::Cosh | Func::Tanh => (-5.0, 5.0),
        Func::Log | Func::Log2 | Func::Log10 => (0.01, 100.0),
        Func::Log1p => (-0.9, 10.0),
        Func::Cbrt => (-100.0, 100.0),
        Func::Asin | Func::Acos | Func::Atanh => (-1.0, 1.0),
        Func::Acosh => (1.0, 10.0),
        Func::Erf => (-4.0, 4.0),
        Func::Atan2 | Func::Hypot => (-10.0, 10.0),
        Func::Pow => (0.01, 10.0),
        Func::Fmod => (-1000.0, 1000.0),
    };
    let other = match func {
        Func::Pow => (-5.0, 5.0),
        Func::Fmod => (1.0, 60.0),
        _ => one,
    };
    [one, other]
}

/// The processor time of this thread, in nanoseconds.
fn clock() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on Linux, and the address is that of a timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}

/// The loop of a compiled kernel.
macro_rules! calls {
    ($name:ident, $vec:ty) => {
        #[allow(improper_ctypes_definitions)]
        #[target_feature(enable = "avx512f")]
        unsafe fn $name(func: Func, p: *const (), x: *const u8, y: *const u8, out: *mut u8, n: usize) {
            type One = unsafe extern "C" fn($vec, $vec, *mut $vec) -> $vec;
            type Two = unsafe extern "C" fn($vec, $vec, $vec, $vec, *mut $vec) -> $vec;
            // SAFETY: the caller gives a function of this type, and n bytes, a multiple of two vectors, at each address.
            unsafe {
                let (one, two) = (std::mem::transmute::<*const (), One>(p), std::mem::transmute::<*const (), Two>(p));
                let mut rest = (x as *const $vec).read_unaligned();
                let places = (0..n).step_by(2 * size_of::<$vec>());
                if func.nin() == 1 {
                    for i in places {
                        let [a, b] = (x.add(i) as *const [$vec; 2]).read_unaligned();
                        let first = one(a, b, &mut rest);
                        (out.add(i) as *mut [$vec; 2]).write_unaligned([first, rest]);
                    }
                } else {
                    for i in places {
                        let [a, b] = (x.add(i) as *const [$vec; 2]).read_unaligned();
                        let [c, d] = (y.add(i) as *const [$vec; 2]).read_unaligned();
                        let first = two(a, b, c, d, &mut rest);
                        (out.add(i) as *mut [$vec; 2]).write_unaligned([first, rest]);
                    }
                }
            }
        }
    };
}
calls!(calls_f64, __m512d);
calls!(calls_f32, __m512);

fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    println!("{:8}{:>8}{:>8}{:>8}{:>8}", "", "f64", "calls", "f32", "calls");
    for &func in Func::ALL.iter().filter(|f| only.is_empty() || only.iter().any(|o| o == f.name())) {
        let [x, y] = range(func).map(|(lo, hi)| -> Vec<f64> {
            // Low-discrepancy numbers of an irrational step.
            (0..N).map(|i| lo + (hi - lo) * (i as f64 * 0.618_033_988_749_894_9 + 0.3).fract()).collect()
        });
        let y: Vec<f64> = y.iter().enumerate().map(|(i, _)| y[(i * 17 + 5) % N]).collect();
        let (xs, ys): (Vec<f32>, Vec<f32>) =
            (x.iter().map(|&v| v as f32).collect(), y.iter().map(|&v| v as f32).collect());
        let mut out = vec![0f64; N];
        let at = out.as_mut_ptr() as *mut u8;
        let best = |run: &dyn Fn()| {
            let mut best = f64::INFINITY;
            for _ in 0..400 {
                let start = clock();
                run();
                run();
                best = best.min((clock() - start) / (2 * N) as f64);
            }
            best
        };
        // SAFETY: N elements at each address; the machine has the vectors where the library has their functions.
        let time = |float: Float, x: *const u8, y: *const u8| {
            let slices = best(&|| unsafe {
                match func.nin() {
                    1 => slice1(func, float).expect("one argument")(x, at, N),
                    _ => slice2(func, float).expect("two arguments")(x, 1, y, 1, at, N),
                }
            });
            if isa() < Isa::Avx512 {
                return [slices, f64::NAN];
            }
            let calls = best(&|| unsafe {
                let lanes = if float == Float::F64 { 8 } else { 16 };
                let p = symbol_of_two(func, Vector { float, lanes }).expect("the machine has them");
                match float {
                    Float::F64 => calls_f64(func, p, x, y, at, N * 8),
                    Float::F32 => calls_f32(func, p, x, y, at, N * 4),
                }
            });
            [slices, calls]
        };
        let double = time(Float::F64, x.as_ptr() as *const u8, y.as_ptr() as *const u8);
        let single = time(Float::F32, xs.as_ptr() as *const u8, ys.as_ptr() as *const u8);
        println!("{:8}{:8.3}{:8.3}{:8.3}{:8.3}", func.name(), double[0], double[1], single[0], single[1]);
    }
}
