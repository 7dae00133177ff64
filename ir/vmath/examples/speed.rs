//! Prints what each function costs: nanoseconds of processor time an element, f64 and f32, over arguments that fit in the
//! first-level caches, at this machine's best width.

use legate_jit_vmath::{Float, Func, slice1, slice2};

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
    };
    [one, if func == Func::Pow { (-5.0, 5.0) } else { one }]
}

/// The processor time of this thread, in nanoseconds.
fn clock() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on Linux, and the address is that of a timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}

fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    println!("{:8}{:>8}{:>8}", "", "f64", "f32");
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
        let time = |float: Float, x: *const u8, y: *const u8| {
            let mut best = f64::INFINITY;
            for _ in 0..400 {
                let start = clock();
                for _ in 0..2 {
                    // SAFETY: N elements at each address.
                    unsafe {
                        match func.nin() {
                            1 => slice1(func, float).expect("one argument")(x, at, N),
                            _ => slice2(func, float).expect("two arguments")(x, 1, y, 1, at, N),
                        }
                    }
                }
                best = best.min((clock() - start) / (2 * N) as f64);
            }
            best
        };
        let double = time(Float::F64, x.as_ptr() as *const u8, y.as_ptr() as *const u8);
        let single = time(Float::F32, xs.as_ptr() as *const u8, ys.as_ptr() as *const u8);
        println!("{:8}{double:8.3}{single:8.3}", func.name());
    }
}
