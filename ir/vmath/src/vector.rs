//! The functions at every vector width: one lane, xmm, ymm and zmm registers, and slices of any length.
//!
//! This is where instruction sets are enabled: each function here turns registers into [`Lanes`] and back.

use std::arch::x86_64::*;

use crate::lanes::{F64x4, F64x8, Lanes, Two};
use crate::lanes32::{F32x8, F32x16, Singles};
use crate::powers::Exponent;
use crate::{Float, Func, Isa, functions, isa, remainder, short, single};

/// A vector type: its elements and how many.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Vector {
    pub float: Float,
    pub lanes: usize,
}

/// `dst[i] = f(src[i])` for i < n. `src` and `dst` are equal or do not overlap; no alignment is needed beyond the element's.
pub type Slice1 = unsafe extern "C" fn(src: *const u8, dst: *mut u8, n: usize);

/// `dst[i] = f(x[i * xs], y[i * ys])` for i < n, the steps being 0 or 1 elements. Each source that steps is `dst` or does not
/// overlap it.
pub type Slice2 = unsafe extern "C" fn(x: *const u8, xs: usize, y: *const u8, ys: usize, dst: *mut u8, n: usize);

/// Powers to one exponent that has no way of its own: a loop over these keeps the constants of one way in registers.
const OTHER_POWER: usize = Func::ALL.len();

const fn func(f: usize) -> Func {
    if f == OTHER_POWER { Func::Pow } else { Func::ALL[f] }
}

macro_rules! dispatch {
    (unary { $($u:ident $un:ident $u64:ident $u32:ident $um:ident,)* } binary { $($b:ident $bn:ident $b64:ident $b32:ident $bm:ident,)* }) => {
        /// The function number F of f64.
        #[inline(always)]
        fn double1<V: Lanes, const F: usize>(x: V) -> V {
            match func(F) {
                $(Func::$u => crate::$um::$un(x),)*
                $(Func::$b => unreachable!("two arguments"),)*
            }
        }

        #[inline(always)]
        fn double2<V: Lanes, const F: usize>(x: V, y: V) -> V {
            if F == OTHER_POWER {
                return crate::pow::general(x, y);
            }
            match func(F) {
                $(Func::$b => crate::$bm::$bn(x, y),)*
                $(Func::$u => unreachable!("one argument"),)*
            }
        }
    };
}
functions!(dispatch);

/// The functions of f32 that are computed in f64 lanes; the others are in f32 arithmetic.
const fn is_short(f: usize) -> bool {
    !matches!(func(f), Func::Hypot)
}

/// One lane of it is the C library's, which is exact as well.
const fn is_fmod(f: usize) -> bool {
    matches!(func(f), Func::Fmod)
}

/// The function number F of f32, in f64 lanes.
#[inline(always)]
fn single2<V: Lanes, const F: usize>(x: V, y: V) -> V {
    match func(F) {
        Func::Hypot => single::hypot(x, y),
        _ => unreachable!("is_short knows the one above"),
    }
}

/// The function number F of f32, in f32 lanes.
#[inline(always)]
fn short1<V: Singles, const F: usize>(x: V) -> V {
    match func(F) {
        Func::Exp => short::exp(x),
        Func::Exp2 => short::exp2(x),
        Func::Expm1 => short::expm1(x),
        Func::Log => short::log(x),
        Func::Log2 => short::log2(x),
        Func::Log10 => short::log10(x),
        Func::Log1p => short::log1p(x),
        Func::Cbrt => short::cbrt(x),
        Func::Sin => short::sin(x),
        Func::Cos => short::cos(x),
        Func::Tan => short::tan(x),
        Func::Asin => short::asin(x),
        Func::Acos => short::acos(x),
        Func::Atan => short::atan(x),
        Func::Sinh => short::sinh(x),
        Func::Cosh => short::cosh(x),
        Func::Tanh => short::tanh(x),
        Func::Asinh => short::asinh(x),
        Func::Acosh => short::acosh(x),
        Func::Atanh => short::atanh(x),
        Func::Erf => short::erf(x),
        _ => unreachable!("two arguments"),
    }
}

#[inline(always)]
fn short2<V: Singles, const F: usize>(x: V, y: V) -> V {
    if F == OTHER_POWER {
        return short::other_power(x, y);
    }
    match func(F) {
        Func::Atan2 => short::atan2(x, y),
        Func::Pow => short::pow(x, y),
        Func::Fmod => remainder::fmod_single(x, y),
        _ => unreachable!("is_short knows the other"),
    }
}

/// The function number F of one f64 number.
#[inline(always)]
fn scalar1_f64<const F: usize>(x: f64) -> f64 {
    double1::<f64, F>(x)
}

/// The function number F of one f32 number.
#[inline(always)]
fn scalar1_f32<const F: usize>(x: f32) -> f32 {
    short1::<f32, F>(x)
}

#[inline(always)]
fn scalar2_f64<const F: usize>(x: f64, y: f64) -> f64 {
    if is_fmod(F) {
        return x % y;
    }
    double2::<f64, F>(x, y)
}

#[inline(always)]
fn scalar2_f32<const F: usize>(x: f32, y: f32) -> f32 {
    if is_fmod(F) {
        return x % y;
    }
    if is_short(F) { short2::<f32, F>(x, y) } else { single2::<f64, F>(x as f64, y as f64) as f32 }
}

/// One lane: with FMA instructions, and without.
macro_rules! scalars {
    ($elem:ident, $one:ident, $two:ident, $fma1:ident, $fma2:ident, $plain1:ident, $plain2:ident, $f1:ident, $f2:ident) => {
        #[target_feature(enable = "avx2,fma")]
        fn $fma1<const F: usize>(x: $elem) -> $elem {
            $f1::<F>(x)
        }

        #[target_feature(enable = "avx2,fma")]
        fn $fma2<const F: usize>(x: $elem, y: $elem) -> $elem {
            $f2::<F>(x, y)
        }

        #[inline(never)]
        fn $plain1<const F: usize>(x: $elem) -> $elem {
            $f1::<F>(x)
        }

        #[inline(never)]
        fn $plain2<const F: usize>(x: $elem, y: $elem) -> $elem {
            $f2::<F>(x, y)
        }

        pub extern "C" fn $one<const F: usize>(x: $elem) -> $elem {
            if isa() >= Isa::Avx2 {
                // SAFETY: the machine has these instructions.
                unsafe { $fma1::<F>(x) }
            } else {
                $plain1::<F>(x)
            }
        }

        pub extern "C" fn $two<const F: usize>(x: $elem, y: $elem) -> $elem {
            if isa() >= Isa::Avx2 {
                // SAFETY: the machine has these instructions.
                unsafe { $fma2::<F>(x, y) }
            } else {
                $plain2::<F>(x, y)
            }
        }
    };
}
scalars!(f64, one1_f64, one2_f64, fma1_f64, fma2_f64, plain1_f64, plain2_f64, scalar1_f64, scalar2_f64);
scalars!(f32, one1_f32, one2_f32, fma1_f32, fma2_f32, plain1_f32, plain2_f32, scalar1_f32, scalar2_f32);

/// `unary` and `binary` of one register type, and the loops over slices, which take two registers at a time: while one waits for
/// its results the other goes on, and both take their constants from the same registers.
macro_rules! width {
    ($name:ident, $elem:ident, $log:literal, $vec:ty, $features:literal, $load:ident, $store:ident,
     |$x:ident| $unary:expr, |$a:ident, $b:ident| $binary:expr,
     |$xs:ident| $unary_pair:expr, |$as:ident, $bs:ident| $binary_pair:expr) => {
        // The x86-64 psABI passes these types in registers, and so does rustc under the target feature.
        #[allow(improper_ctypes_definitions)]
        mod $name {
            use super::*;

            const LANES: usize = 1 << $log;
            type Array = [$elem; LANES];

            #[inline(never)]
            #[target_feature(enable = $features)]
            pub extern "C" fn unary<const F: usize>($x: $vec) -> $vec {
                $unary
            }

            #[inline(never)]
            #[target_feature(enable = $features)]
            pub extern "C" fn binary<const F: usize>($a: $vec, $b: $vec) -> $vec {
                $binary
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn unary_pair<const F: usize>($xs: [$vec; 2]) -> [$vec; 2] {
                $unary_pair
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn binary_pair<const F: usize>($as: [$vec; 2], $bs: [$vec; 2]) -> [$vec; 2] {
                $binary_pair
            }

            /// Of two registers; the second's result goes to `rest`, as the calling convention returns only one.
            #[inline(never)]
            #[target_feature(enable = $features)]
            pub unsafe extern "C" fn unary_two<const F: usize>(x: $vec, x2: $vec, rest: *mut $vec) -> $vec {
                let $xs = [x, x2];
                let [r, r2] = $unary_pair;
                // SAFETY: the caller gives room for a register.
                unsafe { rest.write_unaligned(r2) };
                r
            }

            #[inline(never)]
            #[target_feature(enable = $features)]
            pub unsafe extern "C" fn binary_two<const F: usize>(
                x: $vec,
                x2: $vec,
                y: $vec,
                y2: $vec,
                rest: *mut $vec,
            ) -> $vec {
                let ($as, $bs) = ([x, x2], [y, y2]);
                let [r, r2] = $binary_pair;
                // SAFETY: the caller gives room for a register.
                unsafe { rest.write_unaligned(r2) };
                r
            }

            /// m elements, at most a vector of them; what is missing is 1.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn load(p: *const $elem, m: usize) -> $vec {
                // SAFETY: the caller gives m elements.
                unsafe { if m == LANES { (p as *const $vec).read_unaligned() } else { some::$load(p, m) } }
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn store(r: $vec, p: *mut $elem, m: usize) {
                // SAFETY: the caller gives room for m elements.
                unsafe { if m == LANES { (p as *mut $vec).write_unaligned(r) } else { some::$store(r, p, m) } }
            }

            #[target_feature(enable = $features)]
            pub unsafe extern "C" fn slice1<const F: usize>(src: *const u8, dst: *mut u8, n: usize) {
                // SAFETY: the caller gives n elements at both addresses.
                unsafe {
                    let (src, dst) = (src as *const $elem, dst as *mut $elem);
                    let mut i = 0;
                    while n - i >= 2 * LANES {
                        let r = unary_pair::<F>((src.add(i) as *const [$vec; 2]).read_unaligned());
                        (dst.add(i) as *mut [$vec; 2]).write_unaligned(r);
                        i += 2 * LANES;
                    }
                    while i < n {
                        let m = LANES.min(n - i);
                        store(unary::<F>(load(src.add(i), m)), dst.add(i), m);
                        i += m;
                    }
                }
            }

            /// The m elements from number i on, of an array or a number.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn operand(p: *const $elem, step: usize, i: usize, m: usize) -> $vec {
                // SAFETY: the caller gives these elements, or one.
                unsafe {
                    match step {
                        0 => std::mem::transmute::<Array, $vec>([p.read(); LANES]),
                        _ => load(p.add(i), m),
                    }
                }
            }

            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn operands(p: *const $elem, step: usize, i: usize) -> [$vec; 2] {
                // SAFETY: as above.
                unsafe { [operand(p, step, i, LANES), operand(p, step, i + LANES, LANES)] }
            }

            #[target_feature(enable = $features)]
            pub unsafe extern "C" fn slice2<const F: usize>(
                x: *const u8,
                xs: usize,
                y: *const u8,
                ys: usize,
                dst: *mut u8,
                n: usize,
            ) {
                // SAFETY: the caller gives n elements (1 where the step is 0) at each address.
                unsafe {
                    if F == Func::Pow as usize
                        && ys == 0
                        && n > 0
                        && Exponent::of((y as *const $elem).read() as f64).is_none()
                    {
                        return slice2::<OTHER_POWER>(x, xs, y, ys, dst, n);
                    }
                    let (x, y, dst) = (x as *const $elem, y as *const $elem, dst as *mut $elem);
                    let mut i = 0;
                    while n - i >= 2 * LANES {
                        let r = binary_pair::<F>(operands(x, xs, i), operands(y, ys, i));
                        (dst.add(i) as *mut [$vec; 2]).write_unaligned(r);
                        i += 2 * LANES;
                    }
                    while i < n {
                        let m = LANES.min(n - i);
                        store(binary::<F>(operand(x, xs, i, m), operand(y, ys, i, m)), dst.add(i), m);
                        i += m;
                    }
                }
            }
        }
    };
}

/// The first elements of a vector.
mod some {
    use super::*;

    macro_rules! masked {
        ($load_name:ident, $store_name:ident, $elem:ident, $vec:ty, $features:literal, |$m:ident| $mask:expr, |$p:ident, $k:ident| $load:expr,
         |$r:ident, $q:ident, $l:ident| $store:expr) => {
            #[inline]
            #[target_feature(enable = $features)]
            pub unsafe fn $load_name($p: *const $elem, $m: usize) -> $vec {
                let $k = $mask;
                // SAFETY: the caller gives m elements, and the mask keeps to them.
                unsafe { $load }
            }

            #[inline]
            #[target_feature(enable = $features)]
            pub unsafe fn $store_name($r: $vec, $q: *mut $elem, $m: usize) {
                let $l = $mask;
                // SAFETY: the caller gives room for m elements, and the mask keeps to them.
                unsafe { $store }
            }
        };
    }
    masked!(
        load_f64x8,
        store_f64x8,
        f64,
        __m512d,
        "avx512f",
        |m| ((1u32 << m) - 1) as u8,
        |p, k| _mm512_mask_loadu_pd(_mm512_set1_pd(1.0), k, p),
        |r, p, k| _mm512_mask_storeu_pd(p, k, r)
    );
    masked!(
        load_f32x16,
        store_f32x16,
        f32,
        __m512,
        "avx512f",
        |m| ((1u32 << m) - 1) as u16,
        |p, k| _mm512_mask_loadu_ps(_mm512_set1_ps(1.0), k, p),
        |r, p, k| _mm512_mask_storeu_ps(p, k, r)
    );
    masked!(
        load_f64x4,
        store_f64x4,
        f64,
        __m256d,
        "avx2",
        |m| _mm256_cmpgt_epi64(_mm256_set1_epi64x(m as i64), _mm256_setr_epi64x(0, 1, 2, 3)),
        |p, k| _mm256_blendv_pd(_mm256_set1_pd(1.0), _mm256_maskload_pd(p, k), _mm256_castsi256_pd(k)),
        |r, p, k| _mm256_maskstore_pd(p, k, r)
    );
    masked!(
        load_f32x8,
        store_f32x8,
        f32,
        __m256,
        "avx2",
        |m| _mm256_cmpgt_epi32(_mm256_set1_epi32(m as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
        |p, k| _mm256_blendv_ps(_mm256_set1_ps(1.0), _mm256_maskload_ps(p, k), _mm256_castsi256_ps(k)),
        |r, p, k| _mm256_maskstore_ps(p, k, r)
    );

    macro_rules! copied {
        ($load:ident, $store:ident, $elem:ident, $lanes:literal, $vec:ty) => {
            pub unsafe fn $load(p: *const $elem, m: usize) -> $vec {
                let mut a = [1.0; $lanes];
                // SAFETY: the caller gives m elements, fewer than there are lanes; a vector is plain bits.
                unsafe {
                    std::ptr::copy_nonoverlapping(p, a.as_mut_ptr(), m);
                    std::mem::transmute::<[$elem; $lanes], $vec>(a)
                }
            }

            pub unsafe fn $store(r: $vec, p: *mut $elem, m: usize) {
                // SAFETY: the caller gives room for m elements, fewer than there are lanes; a vector is plain bits.
                unsafe {
                    let r: [$elem; $lanes] = std::mem::transmute::<$vec, [$elem; $lanes]>(r);
                    std::ptr::copy_nonoverlapping(r.as_ptr(), p, m);
                }
            }
        };
    }
    copied!(load_f64x2, store_f64x2, f64, 2, __m128d);
    copied!(load_f32x4, store_f32x4, f32, 4, __m128);
}

/// A pair of registers as one vector of lanes, and back.
macro_rules! pair {
    ($lanes:ident, $f:ident($($x:ident),*)) => {{
        let Two(a, b) = $f::<Two<$lanes>, F>($(Two($lanes($x[0]), $lanes($x[1]))),*);
        [a.0, b.0]
    }};
}

width!(
    f64x8,
    f64,
    3,
    __m512d,
    "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma",
    load_f64x8,
    store_f64x8,
    |x| double1::<F64x8, F>(F64x8(x)).0,
    |a, b| double2::<F64x8, F>(F64x8(a), F64x8(b)).0,
    |x| pair!(F64x8, double1(x)),
    |a, b| pair!(F64x8, double2(a, b))
);
width!(
    f64x4,
    f64,
    2,
    __m256d,
    "avx2,fma",
    load_f64x4,
    store_f64x4,
    |x| double1::<F64x4, F>(F64x4(x)).0,
    |a, b| double2::<F64x4, F>(F64x4(a), F64x4(b)).0,
    |x| pair!(F64x4, double1(x)),
    |a, b| pair!(F64x4, double2(a, b))
);
width!(
    f32x16,
    f32,
    4,
    __m512,
    "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma",
    load_f32x16,
    store_f32x16,
    |x| short1::<F32x16, F>(F32x16(x)).0,
    |a, b| if is_short(F) {
        short2::<F32x16, F>(F32x16(a), F32x16(b)).0
    } else {
        join8(single2::<Two<F64x8>, F>(split8(a), split8(b)))
    },
    |x| pair!(F32x16, short1(x)),
    |a, b| if is_short(F) { pair!(F32x16, short2(a, b)) } else { [binary::<F>(a[0], b[0]), binary::<F>(a[1], b[1])] }
);
width!(
    f32x8,
    f32,
    3,
    __m256,
    "avx2,fma",
    load_f32x8,
    store_f32x8,
    |x| short1::<F32x8, F>(F32x8(x)).0,
    |a, b| if is_short(F) {
        short2::<F32x8, F>(F32x8(a), F32x8(b)).0
    } else {
        join4(single2::<Two<F64x4>, F>(split4(a), split4(b)))
    },
    |x| pair!(F32x8, short1(x)),
    |a, b| if is_short(F) { pair!(F32x8, short2(a, b)) } else { [binary::<F>(a[0], b[0]), binary::<F>(a[1], b[1])] }
);

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn split8(x: __m512) -> Two<F64x8> {
    Two(F64x8(_mm512_cvtps_pd(_mm512_castps512_ps256(x))), F64x8(_mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(x))))
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn join8(x: Two<F64x8>) -> __m512 {
    _mm512_insertf32x8::<1>(_mm512_castps256_ps512(_mm512_cvtpd_ps(x.0.0)), _mm512_cvtpd_ps(x.1.0))
}

#[inline]
#[target_feature(enable = "avx2")]
fn split4(x: __m256) -> Two<F64x4> {
    Two(F64x4(_mm256_cvtps_pd(_mm256_castps256_ps128(x))), F64x4(_mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x))))
}

#[inline]
#[target_feature(enable = "avx2")]
fn join4(x: Two<F64x4>) -> __m256 {
    _mm256_set_m128(_mm256_cvtpd_ps(x.1.0), _mm256_cvtpd_ps(x.0.0))
}

/// xmm registers: f64 as half of a ymm register, f32 as f64 in one, and both lane by lane on machines without FMA.
macro_rules! narrow {
    ($elem:ident, $lanes:literal, $half:ty, $one:ident, $two:ident, |$x:ident| $wide1:expr, |$a:ident, $b:ident| $wide2:expr) => {
        #[target_feature(enable = "avx2,fma")]
        fn wide1<const F: usize>($x: $half) -> $half {
            $wide1
        }

        #[target_feature(enable = "avx2,fma")]
        fn wide2<const F: usize>($a: $half, $b: $half) -> $half {
            $wide2
        }

        pub fn narrow1<const F: usize>(x: $half) -> $half {
            // SAFETY: the machine has the instructions where they are used; vectors are plain bits.
            unsafe {
                if isa() >= Isa::Avx2 {
                    return wide1::<F>(x);
                }
                let x: [$elem; $lanes] = std::mem::transmute(x);
                std::mem::transmute::<[$elem; $lanes], $half>(x.map(|x| $one::<F>(x)))
            }
        }

        pub fn narrow2<const F: usize>(x: $half, y: $half) -> $half {
            // SAFETY: as above.
            unsafe {
                if isa() >= Isa::Avx2 {
                    return wide2::<F>(x, y);
                }
                let x: [$elem; $lanes] = std::mem::transmute(x);
                let y: [$elem; $lanes] = std::mem::transmute(y);
                std::mem::transmute::<[$elem; $lanes], $half>(std::array::from_fn(|i| $two::<F>(x[i], y[i])))
            }
        }
    };
}
mod half64 {
    use super::*;
    narrow!(
        f64,
        2,
        __m128d,
        one1_f64,
        one2_f64,
        |x| _mm256_castpd256_pd128(double1::<F64x4, F>(F64x4(_mm256_set_m128d(x, x))).0),
        |a, b| {
            let (a, b) = (F64x4(_mm256_set_m128d(a, a)), F64x4(_mm256_set_m128d(b, b)));
            _mm256_castpd256_pd128(double2::<F64x4, F>(a, b).0)
        }
    );
}
mod half32 {
    use super::*;
    narrow!(
        f32,
        4,
        __m128,
        one1_f32,
        one2_f32,
        |x| _mm256_castps256_ps128(short1::<F32x8, F>(F32x8(_mm256_set_m128(x, x))).0),
        |a, b| if is_short(F) {
            let (a, b) = (F32x8(_mm256_set_m128(a, a)), F32x8(_mm256_set_m128(b, b)));
            _mm256_castps256_ps128(short2::<F32x8, F>(a, b).0)
        } else {
            let (a, b) = (F64x4(_mm256_cvtps_pd(a)), F64x4(_mm256_cvtps_pd(b)));
            _mm256_cvtpd_ps(single2::<F64x4, F>(a, b).0)
        }
    );
}
width!(
    f64x2,
    f64,
    1,
    __m128d,
    "sse2",
    load_f64x2,
    store_f64x2,
    |x| half64::narrow1::<F>(x),
    |a, b| half64::narrow2::<F>(a, b),
    |x| [unary::<F>(x[0]), unary::<F>(x[1])],
    |a, b| [binary::<F>(a[0], b[0]), binary::<F>(a[1], b[1])]
);
width!(
    f32x4,
    f32,
    2,
    __m128,
    "sse2",
    load_f32x4,
    store_f32x4,
    |x| half32::narrow1::<F>(x),
    |a, b| half32::narrow2::<F>(a, b),
    |x| [unary::<F>(x[0]), unary::<F>(x[1])],
    |a, b| [binary::<F>(a[0], b[0]), binary::<F>(a[1], b[1])]
);

macro_rules! tables {
    (unary { $($u:ident $un:ident $u64:ident $u32:ident $um:ident,)* } binary { $($b:ident $bn:ident $b64:ident $b32:ident $bm:ident,)* }) => {
        /// The loop of a function of one argument, at this machine's best width.
        pub fn slice1(func: Func, float: Float) -> Option<Slice1> {
            Some(match (func, float, isa()) {
                $(
                    (Func::$u, Float::F64, Isa::Base) => f64x2::slice1::<{ Func::$u as usize }>,
                    (Func::$u, Float::F64, Isa::Avx2) => f64x4::slice1::<{ Func::$u as usize }>,
                    (Func::$u, Float::F64, Isa::Avx512) => f64x8::slice1::<{ Func::$u as usize }>,
                    (Func::$u, Float::F32, Isa::Base) => f32x4::slice1::<{ Func::$u as usize }>,
                    (Func::$u, Float::F32, Isa::Avx2) => f32x8::slice1::<{ Func::$u as usize }>,
                    (Func::$u, Float::F32, Isa::Avx512) => f32x16::slice1::<{ Func::$u as usize }>,
                )*
                $((Func::$b, ..) => return None,)*
            })
        }

        /// The loop of a function of two arguments, at this machine's best width.
        pub fn slice2(func: Func, float: Float) -> Option<Slice2> {
            Some(match (func, float, isa()) {
                $(
                    (Func::$b, Float::F64, Isa::Base) => f64x2::slice2::<{ Func::$b as usize }>,
                    (Func::$b, Float::F64, Isa::Avx2) => f64x4::slice2::<{ Func::$b as usize }>,
                    (Func::$b, Float::F64, Isa::Avx512) => f64x8::slice2::<{ Func::$b as usize }>,
                    (Func::$b, Float::F32, Isa::Base) => f32x4::slice2::<{ Func::$b as usize }>,
                    (Func::$b, Float::F32, Isa::Avx2) => f32x8::slice2::<{ Func::$b as usize }>,
                    (Func::$b, Float::F32, Isa::Avx512) => f32x16::slice2::<{ Func::$b as usize }>,
                )*
                $((Func::$u, ..) => return None,)*
            })
        }

        /// The function that takes and returns whole vectors in registers (C calling convention: xmm, ymm, zmm; a plain
        /// number for one lane), with a name for it that is the same on every machine. None where this machine lacks the
        /// width; 1 lane and 128 bits exist on all.
        pub fn symbol(func: Func, vector: Vector) -> Option<(&'static str, *const ())> {
            let best = isa();
            Some(match (func, vector.float, vector.lanes) {
                $(
                    (Func::$u, Float::F64, 1) => (concat!("legate_jit_", stringify!($un), "_f64x1"), one1_f64::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F64, 2) => (concat!("legate_jit_", stringify!($un), "_f64x2"), f64x2::unary::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F64, 4) if best >= Isa::Avx2 => (concat!("legate_jit_", stringify!($un), "_f64x4"), f64x4::unary::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F64, 8) if best >= Isa::Avx512 => (concat!("legate_jit_", stringify!($un), "_f64x8"), f64x8::unary::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F32, 1) => (concat!("legate_jit_", stringify!($un), "_f32x1"), one1_f32::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F32, 4) => (concat!("legate_jit_", stringify!($un), "_f32x4"), f32x4::unary::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F32, 8) if best >= Isa::Avx2 => (concat!("legate_jit_", stringify!($un), "_f32x8"), f32x8::unary::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F32, 16) if best >= Isa::Avx512 => (concat!("legate_jit_", stringify!($un), "_f32x16"), f32x16::unary::<{ Func::$u as usize }> as *const ()),
                )*
                $(
                    (Func::$b, Float::F64, 1) => (concat!("legate_jit_", stringify!($bn), "_f64x1"), one2_f64::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F64, 2) => (concat!("legate_jit_", stringify!($bn), "_f64x2"), f64x2::binary::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F64, 4) if best >= Isa::Avx2 => (concat!("legate_jit_", stringify!($bn), "_f64x4"), f64x4::binary::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F64, 8) if best >= Isa::Avx512 => (concat!("legate_jit_", stringify!($bn), "_f64x8"), f64x8::binary::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F32, 1) => (concat!("legate_jit_", stringify!($bn), "_f32x1"), one2_f32::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F32, 4) => (concat!("legate_jit_", stringify!($bn), "_f32x4"), f32x4::binary::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F32, 8) if best >= Isa::Avx2 => (concat!("legate_jit_", stringify!($bn), "_f32x8"), f32x8::binary::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F32, 16) if best >= Isa::Avx512 => (concat!("legate_jit_", stringify!($bn), "_f32x16"), f32x16::binary::<{ Func::$b as usize }> as *const ()),
                )*
                _ => return None,
            })
        }

        /// The function that takes two such vectors in registers, of each argument, and an address to which it writes the second
        /// result; it returns the first. Both are computed side by side, and take their constants from the same registers.
        pub fn symbol_of_two(func: Func, vector: Vector) -> Option<*const ()> {
            let best = isa();
            Some(match (func, vector.float, vector.lanes) {
                $(
                    (Func::$u, Float::F64, 2) => f64x2::unary_two::<{ Func::$u as usize }> as *const (),
                    (Func::$u, Float::F64, 4) if best >= Isa::Avx2 => f64x4::unary_two::<{ Func::$u as usize }> as *const (),
                    (Func::$u, Float::F64, 8) if best >= Isa::Avx512 => f64x8::unary_two::<{ Func::$u as usize }> as *const (),
                    (Func::$u, Float::F32, 4) => f32x4::unary_two::<{ Func::$u as usize }> as *const (),
                    (Func::$u, Float::F32, 8) if best >= Isa::Avx2 => f32x8::unary_two::<{ Func::$u as usize }> as *const (),
                    (Func::$u, Float::F32, 16) if best >= Isa::Avx512 => f32x16::unary_two::<{ Func::$u as usize }> as *const (),
                )*
                $(
                    (Func::$b, Float::F64, 2) => f64x2::binary_two::<{ Func::$b as usize }> as *const (),
                    (Func::$b, Float::F64, 4) if best >= Isa::Avx2 => f64x4::binary_two::<{ Func::$b as usize }> as *const (),
                    (Func::$b, Float::F64, 8) if best >= Isa::Avx512 => f64x8::binary_two::<{ Func::$b as usize }> as *const (),
                    (Func::$b, Float::F32, 4) => f32x4::binary_two::<{ Func::$b as usize }> as *const (),
                    (Func::$b, Float::F32, 8) if best >= Isa::Avx2 => f32x8::binary_two::<{ Func::$b as usize }> as *const (),
                    (Func::$b, Float::F32, 16) if best >= Isa::Avx512 => f32x16::binary_two::<{ Func::$b as usize }> as *const (),
                )*
                _ => return None,
            })
        }
    };
}
functions!(tables);

#[cfg(test)]
mod tests {
    use super::*;

    /// The same bits with FMA instructions and with the C library's `fma`.
    #[test]
    fn machines_without_fma_agree() {
        if isa() < Isa::Avx2 {
            return;
        }
        let numbers: Vec<f64> = (0..400)
            .map(|i| {
                let x = (i as f64 * 0.618_033_988_749_894_9).fract() * 4.0 - 2.0;
                [x, x * 10.0, x * 400.0, x * 1e-3, x * 1e-310, x * 1e300, x * 1e10][i % 7]
            })
            .chain([0.0, -0.0, 1.0, -1.0, 0.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MAX, 5e-324])
            .chain((-16..=16).map(|n| n as f64 / 2.0))
            .collect();
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
        macro_rules! check {
            (unary { $($u:ident $un:ident $u64:ident $u32:ident $um:ident,)* } binary { $($b:ident $bn:ident $b64:ident $b32:ident $bm:ident,)* }) => {
                $({
                    const F: usize = Func::$u as usize;
                    for &x in &numbers {
                        assert!(same(one1_f64::<F>(x), plain1_f64::<F>(x)), "{} of {x:e}", stringify!($un));
                        let x = x as f32;
                        assert!(same(one1_f32::<F>(x) as f64, plain1_f32::<F>(x) as f64), "{} of {x:e}f32", stringify!($un));
                    }
                })*
                $({
                    const F: usize = Func::$b as usize;
                    for (i, &x) in numbers.iter().enumerate() {
                        let y = numbers[i * 13 % numbers.len()];
                        assert!(same(one2_f64::<F>(x, y), plain2_f64::<F>(x, y)), "{} of {x:e}, {y:e}", stringify!($bn));
                        let (x, y) = (x as f32, y as f32);
                        assert!(same(one2_f32::<F>(x, y) as f64, plain2_f32::<F>(x, y) as f64), "{} of {x:e}f32, {y:e}", stringify!($bn));
                    }
                })*
            };
        }
        functions!(check);
    }
}
