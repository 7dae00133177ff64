//! Prebuilt loops of casts from floats and complex numbers to integers: the processor's own conversions, which give for what does
//! not fit what [`legate_jit_ir::cast`] says. Rust's casts mean something else there, so that compilers cannot find them.
//!
//! This is a boundary file: it takes addresses of elements whose type is known only at run time.

use std::arch::x86_64::*;

use legate_jit_ir::DType;
use legate_jit_ir::cast::AsType;
use legate_jit_ir::ufunc::native::{Complex, c64, c128};
use legate_jit_vmath::{Isa, isa};

use super::loops::Loop;

/// Elements that are converted at a time.
const LANES: usize = 16;

/// A float type that a processor converts to a signed integer type `W`, or to u64 by way of it.
trait Convert<W>: Copy + Default {
    /// # Safety
    /// `p` points to as many elements as there are lanes. The machine has AVX-512.
    unsafe fn avx512(p: *const Self) -> [W; LANES];
    /// # Safety
    /// The same. The machine has AVX2.
    unsafe fn avx2(p: *const Self) -> [W; LANES];
}

macro_rules! convert {
    ($($from:ident -> $to:ident { |$p:ident| $wide:expr, |$q:ident| $narrow:expr })*) => {
        $(
            impl Convert<$to> for $from {
                #[inline(always)]
                unsafe fn avx512($p: *const $from) -> [$to; LANES] {
                    // SAFETY: the caller's promise; registers and arrays are plain bits of one size.
                    unsafe { std::mem::transmute($wide) }
                }

                // Some are such arrays already.
                #[allow(clippy::useless_transmute)]
                #[inline(always)]
                unsafe fn avx2($q: *const $from) -> [$to; LANES] {
                    // SAFETY: as above.
                    unsafe { std::mem::transmute($narrow) }
                }
            }
        )*
    };
}
convert! {
    f64 -> i32 {
        |p| [0, 8].map(|k| _mm512_cvttpd_epi32(_mm512_loadu_pd(p.add(k)))),
        |p| [0, 4, 8, 12].map(|k| _mm256_cvttpd_epi32(_mm256_loadu_pd(p.add(k))))
    }
    f32 -> i32 {
        |p| _mm512_cvttps_epi32(_mm512_loadu_ps(p)),
        |p| [0, 8].map(|k| _mm256_cvttps_epi32(_mm256_loadu_ps(p.add(k))))
    }
    f64 -> i64 {
        |p| [0, 8].map(|k| _mm512_cvttpd_epi64(_mm512_loadu_pd(p.add(k)))),
        |p| std::array::from_fn::<i64, LANES, _>(|k| _mm_cvttsd_si64(_mm_load_sd(p.add(k))))
    }
    f32 -> i64 {
        |p| [0, 8].map(|k| _mm512_cvttps_epi64(_mm256_loadu_ps(p.add(k)))),
        |p| std::array::from_fn::<i64, LANES, _>(|k| _mm_cvttss_si64(_mm_load_ss(p.add(k))))
    }
    f64 -> u64 {
        |p| [0, 8].map(|k| halves(_mm512_loadu_pd(p.add(k)))),
        |p| std::array::from_fn::<u64, LANES, _>(|k| {
            let x = *p.add(k);
            let below = if x >= HALF { x - HALF } else { x };
            let bits = _mm_cvttsd_si64(_mm_set_sd(below)) as u64;
            if x >= HALF { bits ^ 1 << 63 } else { bits }
        })
    }
    f32 -> u64 {
        |p| [0, 8].map(|k| halves(_mm512_cvtps_pd(_mm256_loadu_ps(p.add(k))))),
        |p| std::array::from_fn::<u64, LANES, _>(|k| {
            let x = *p.add(k) as f64;
            let below = if x >= HALF { x - HALF } else { x };
            let bits = _mm_cvttsd_si64(_mm_set_sd(below)) as u64;
            if x >= HALF { bits ^ 1 << 63 } else { bits }
        })
    }
}

/// The real part.
impl<F: Convert<W>, W> Convert<W> for Complex<F> {
    #[inline(always)]
    unsafe fn avx512(p: *const Complex<F>) -> [W; LANES] {
        // SAFETY: the caller's promise.
        unsafe { F::avx512(real_parts(p).as_ptr()) }
    }

    #[inline(always)]
    unsafe fn avx2(p: *const Complex<F>) -> [W; LANES] {
        // SAFETY: the caller's promise.
        unsafe { F::avx2(real_parts(p).as_ptr()) }
    }
}

#[inline(always)]
unsafe fn real_parts<F: Copy>(p: *const Complex<F>) -> [F; LANES] {
    // SAFETY: the caller's promise (`Convert`).
    std::array::from_fn(|k| unsafe { (*p.add(k)).re })
}

/// What the signed type has no room for begins here.
const HALF: f64 = 9_223_372_036_854_775_808.0;

/// By way of the signed type, the upper half of the numbers moved down.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn halves(x: __m512d) -> __m512i {
    let half = _mm512_set1_pd(HALF);
    let upper = _mm512_cmp_pd_mask::<_CMP_GE_OQ>(x, half);
    let bits = _mm512_cvttpd_epi64(_mm512_mask_sub_pd(x, upper, x, half));
    _mm512_mask_xor_epi64(bits, upper, bits, _mm512_set1_epi64(i64::MIN))
}

#[inline(always)]
fn narrow<W: AsType<T>, T>(wide: [W; LANES]) -> [T; LANES] {
    std::array::from_fn(|k| wide[k].astype())
}

macro_rules! versions {
    ($name:ident, $features:literal) => {
        #[target_feature(enable = $features)]
        unsafe fn $name<A: Convert<W>, W: AsType<T>, T: Copy>(args: *const *const u8, dst: *mut u8, n: usize) {
            // SAFETY: as `Loop` asks; this version runs where the machine has its instructions.
            unsafe {
                let (src, dst) = (*args as *const A, dst as *mut T);
                let whole = n / LANES * LANES;
                for i in (0..whole).step_by(LANES) {
                    (dst.add(i) as *mut [T; LANES]).write(narrow(A::$name(src.add(i))));
                }
                let rest = n - whole;
                if rest > 0 {
                    let mut last = [A::default(); LANES];
                    last.as_mut_ptr().copy_from_nonoverlapping(src.add(whole), rest);
                    let last: [T; LANES] = narrow(A::$name(last.as_ptr()));
                    dst.add(whole).copy_from_nonoverlapping(last.as_ptr(), rest);
                }
            }
        }
    };
}
versions!(avx512, "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,bmi1,bmi2,lzcnt,popcnt");
versions!(avx2, "avx2,fma,bmi1,bmi2,lzcnt,popcnt");

/// The loop, where there is one here.
pub fn find(from: DType, to: DType) -> Option<Loop> {
    version(isa(), from, to)
}

fn version(isa: Isa, from: DType, to: DType) -> Option<Loop> {
    /// The integer type that each goes through.
    macro_rules! table {
        ($version:ident: $($a:ident $from:ident { $($t:ident $to:ident $w:ident),* })*) => {
            match (from, to) {
                $($((DType::$from, DType::$to) => Some($version::<$a, $w, $t> as Loop),)*)*
                _ => None,
            }
        };
        ($version:ident) => {
            table! {
                $version:
                f64 F64 { i8 I8 i32, i16 I16 i32, i32 I32 i32, u8 U8 i32, u16 U16 i32, u32 U32 i64, i64 I64 i64, u64 U64 u64 }
                f32 F32 { i8 I8 i32, i16 I16 i32, i32 I32 i32, u8 U8 i32, u16 U16 i32, u32 U32 i64, i64 I64 i64, u64 U64 u64 }
                c128 C128 { i8 I8 i32, i16 I16 i32, i32 I32 i32, u8 U8 i32, u16 U16 i32, u32 U32 i64, i64 I64 i64, u64 U64 u64 }
                c64 C64 { i8 I8 i32, i16 I16 i32, i32 I32 i32, u8 U8 i32, u16 U16 i32, u32 U32 i64, i64 I64 i64, u64 U64 u64 }
            }
        };
    }
    match isa {
        Isa::Avx512 => table!(avx512),
        Isa::Avx2 => table!(avx2),
        Isa::Base => None,
    }
}

#[cfg(test)]
mod tests {
    use legate_jit_ir::Scalar;
    use legate_jit_ir::cast::cast;

    use super::*;

    /// Also what a machine with wider vectors never runs.
    #[test]
    fn every_version_gives_the_meaning() {
        let limits = [8, 16, 31, 32, 63, 64].map(|n| 2f64.powi(n));
        let near = limits.into_iter().flat_map(|x| [x, x - 1.0, x + 1.0, x.next_up(), x.next_down()]);
        let plain = [0.0, 0.9, 1.5, 127.5, 255.9, 1e10, 1e19, 1e300, f64::INFINITY, f64::NAN, 5e-324];
        let numbers: Vec<f64> = near.chain(plain).flat_map(|x| [x, -x]).collect();
        let mut seen = 0;
        for isa in [Isa::Avx2, Isa::Avx512].into_iter().filter(|v| *v <= isa()) {
            for from in DType::ALL {
                for to in DType::ALL {
                    let Some(f) = version(isa, from, to) else { continue };
                    seen += 1;
                    let args: Vec<Scalar> = numbers.iter().map(|&x| cast(Scalar::c128(x, 1.0), from)).collect();
                    for n in [args.len(), 16, 5, 1] {
                        let bytes: Vec<u8> =
                            args[..n].iter().flat_map(|a| a.to_bytes()[..from.size()].to_vec()).collect();
                        // Aligned for every type.
                        let mut memory = vec![[0u64; 2]; args.len() + 1];
                        let mut out = vec![[u64::MAX; 2]; args.len() + 1];
                        // SAFETY: both have room for n elements and one more.
                        unsafe {
                            let (source, target) = (memory.as_mut_ptr() as *mut u8, out.as_mut_ptr() as *mut u8);
                            source.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                            f(&(source as *const u8), target, n);
                            let element = |k: usize| std::slice::from_raw_parts(target.add(k * to.size()), to.size());
                            for (k, &arg) in args[..n].iter().enumerate() {
                                let got = Scalar::from_bytes(to, element(k));
                                assert_eq!(got, cast(arg, to), "{isa:?}: {arg:?} to {to}");
                            }
                            assert!(element(n).iter().all(|b| *b == 0xff), "{from} to {to} wrote past {n} elements");
                        }
                    }
                }
            }
        }
        assert!(isa() == Isa::Base || seen >= 32, "{seen}");
    }
}
