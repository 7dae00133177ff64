//! The functions at every vector width: one lane, xmm, ymm and zmm registers, and slices of any length.

use std::arch::x86_64::{__m128, __m128d, __m256, __m256d, __m512, __m512d};

use crate::sleef::table;
use crate::{Float, Func, Isa, fix, functions, isa};

/// A vector type: its elements and how many.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Vector {
    pub float: Float,
    pub lanes: usize,
}

/// `dst[i] = f(src[i])` for i < n. `src` and `dst` are equal or do not overlap; no alignment is needed beyond the element's.
pub type Slice1 = unsafe fn(src: *const u8, dst: *mut u8, n: usize);

/// `dst[i] = f(x[i * xs], y[i * ys])` for i < n, the steps being 0 or 1 elements. Each source that steps is `dst` or does not
/// overlap it.
pub type Slice2 = unsafe fn(x: *const u8, xs: usize, y: *const u8, ys: usize, dst: *mut u8, n: usize);

const fn func(f: usize) -> Func {
    Func::ALL[f]
}

macro_rules! width {
    ($name:ident, $elem:ident, $float:expr, $log:literal, $vec:ty, $features:literal, $unusual:ident, $mend:ident, $replaced:ident) => {
        // The x86-64 psABI passes these types in registers, and so does rustc under the target feature.
        #[allow(improper_ctypes_definitions)]
        mod $name {
            use super::*;

            const LANES: usize = 1 << $log;

            #[target_feature(enable = $features)]
            pub unsafe extern "C" fn unary<const F: usize>(x: $vec) -> $vec {
                // SAFETY: the table holds the address of SLEEF's function of this very type; vectors are plain bits.
                unsafe {
                    if fix::replaced(func(F), $float) {
                        let x: [$elem; LANES] = std::mem::transmute(x);
                        return std::mem::transmute::<[$elem; LANES], $vec>(x.map(|x| fix::$replaced(func(F), x)));
                    }
                    let f: extern "C" fn($vec) -> $vec = std::mem::transmute(table().get(func(F), $float, $log));
                    let r = f(x);
                    if !fix::any(func(F)) {
                        return r;
                    }
                    let x: [$elem; LANES] = std::mem::transmute(x);
                    let mut r: [$elem; LANES] = std::mem::transmute(r);
                    if !(0..LANES).fold(false, |odd, i| odd | fix::$unusual(func(F), x[i], x[i], r[i])) {
                        return std::mem::transmute::<[$elem; LANES], $vec>(r);
                    }
                    for i in 0..LANES {
                        if fix::$unusual(func(F), x[i], x[i], r[i]) {
                            r[i] = fix::$mend(func(F), x[i], x[i], r[i]);
                        }
                    }
                    std::mem::transmute(r)
                }
            }

            #[target_feature(enable = $features)]
            pub unsafe extern "C" fn binary<const F: usize>(x: $vec, y: $vec) -> $vec {
                // SAFETY: as above.
                unsafe {
                    let f: extern "C" fn($vec, $vec) -> $vec = std::mem::transmute(table().get(func(F), $float, $log));
                    let r = f(x, y);
                    if !fix::any(func(F)) {
                        return r;
                    }
                    let x: [$elem; LANES] = std::mem::transmute(x);
                    let y: [$elem; LANES] = std::mem::transmute(y);
                    let mut r: [$elem; LANES] = std::mem::transmute(r);
                    if !(0..LANES).fold(false, |odd, i| odd | fix::$unusual(func(F), x[i], y[i], r[i])) {
                        return std::mem::transmute::<[$elem; LANES], $vec>(r);
                    }
                    for i in 0..LANES {
                        if fix::$unusual(func(F), x[i], y[i], r[i]) {
                            r[i] = fix::$mend(func(F), x[i], y[i], r[i]);
                        }
                    }
                    std::mem::transmute(r)
                }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn slice1<const F: usize>(src: *const u8, dst: *mut u8, n: usize) {
                // SAFETY: the caller gives n elements at both addresses; the last, partial vector goes through an array.
                unsafe {
                    let (src, dst) = (src as *const $elem, dst as *mut $elem);
                    let whole = n & !(LANES - 1);
                    let mut i = 0;
                    while i < whole {
                        let r = unary::<F>((src.add(i) as *const $vec).read_unaligned());
                        (dst.add(i) as *mut $vec).write_unaligned(r);
                        i += LANES;
                    }
                    if i < n {
                        let mut x = [1.0; LANES];
                        std::ptr::copy_nonoverlapping(src.add(i), x.as_mut_ptr(), n - i);
                        let r: [$elem; LANES] =
                            std::mem::transmute(unary::<F>(std::mem::transmute::<[$elem; LANES], $vec>(x)));
                        std::ptr::copy_nonoverlapping(r.as_ptr(), dst.add(i), n - i);
                    }
                }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn slice2<const F: usize>(
                x: *const u8,
                xs: usize,
                y: *const u8,
                ys: usize,
                dst: *mut u8,
                n: usize,
            ) {
                // SAFETY: the caller gives n elements (1 where the step is 0) at each address.
                unsafe {
                    let (x, y, dst) = (x as *const $elem, y as *const $elem, dst as *mut $elem);
                    let load = |p: *const $elem, step: usize, i: usize, m: usize| -> [$elem; LANES] {
                        if step == 0 {
                            [p.read(); LANES]
                        } else if m == LANES {
                            (p.add(i) as *const [$elem; LANES]).read_unaligned()
                        } else {
                            let mut a = [1.0; LANES];
                            std::ptr::copy_nonoverlapping(p.add(i), a.as_mut_ptr(), m);
                            a
                        }
                    };
                    let mut i = 0;
                    while i < n {
                        let m = LANES.min(n - i);
                        let (a, b) = (load(x, xs, i, m), load(y, ys, i, m));
                        let r: [$elem; LANES] = std::mem::transmute(binary::<F>(
                            std::mem::transmute::<[$elem; LANES], $vec>(a),
                            std::mem::transmute::<[$elem; LANES], $vec>(b),
                        ));
                        if m == LANES {
                            (dst.add(i) as *mut [$elem; LANES]).write_unaligned(r);
                        } else {
                            std::ptr::copy_nonoverlapping(r.as_ptr(), dst.add(i), m);
                        }
                        i += m;
                    }
                }
            }
        }
    };
}

width!(f64x2, f64, Float::F64, 1, __m128d, "sse2", unusual_f64, mend_f64, replaced_f64);
width!(f64x4, f64, Float::F64, 2, __m256d, "avx2,fma", unusual_f64, mend_f64, replaced_f64);
width!(f64x8, f64, Float::F64, 3, __m512d, "avx512f,avx512vl,avx512dq,avx512bw", unusual_f64, mend_f64, replaced_f64);
width!(f32x4, f32, Float::F32, 2, __m128, "sse2", unusual_f32, mend_f32, replaced_f32);
width!(f32x8, f32, Float::F32, 3, __m256, "avx2,fma", unusual_f32, mend_f32, replaced_f32);
width!(f32x16, f32, Float::F32, 4, __m512, "avx512f,avx512vl,avx512dq,avx512bw", unusual_f32, mend_f32, replaced_f32);

macro_rules! scalars {
    ($one:ident, $two:ident, $elem:ident, $float:expr, $unusual:ident, $mend:ident, $replaced:ident) => {
        #[inline(always)]
        pub(crate) fn $one(func: Func, x: $elem) -> $elem {
            if fix::replaced(func, $float) {
                return fix::$replaced(func, x);
            }
            // SAFETY: the table holds the address of SLEEF's scalar function of one argument of this type.
            let f: extern "C" fn($elem) -> $elem = unsafe { std::mem::transmute(table().get(func, $float, 0)) };
            let r = f(x);
            if fix::any(func) && fix::$unusual(func, x, x, r) { fix::$mend(func, x, x, r) } else { r }
        }

        #[inline(always)]
        pub(crate) fn $two(func: Func, x: $elem, y: $elem) -> $elem {
            // SAFETY: the table holds the address of SLEEF's scalar function of two arguments of this type.
            let f: extern "C" fn($elem, $elem) -> $elem = unsafe { std::mem::transmute(table().get(func, $float, 0)) };
            let r = f(x, y);
            if fix::any(func) && fix::$unusual(func, x, y, r) { fix::$mend(func, x, y, r) } else { r }
        }
    };
}
scalars!(scalar1_f64, scalar2_f64, f64, Float::F64, unusual_f64, mend_f64, replaced_f64);
scalars!(scalar1_f32, scalar2_f32, f32, Float::F32, unusual_f32, mend_f32, replaced_f32);

// One-lane functions with the C calling convention, for compiled kernels that run the last points one by one.
extern "C" fn one_f64<const F: usize>(x: f64) -> f64 {
    scalar1_f64(func(F), x)
}
extern "C" fn two_f64<const F: usize>(x: f64, y: f64) -> f64 {
    scalar2_f64(func(F), x, y)
}
extern "C" fn one_f32<const F: usize>(x: f32) -> f32 {
    scalar1_f32(func(F), x)
}
extern "C" fn two_f32<const F: usize>(x: f32, y: f32) -> f32 {
    scalar2_f32(func(F), x, y)
}

macro_rules! tables {
    (unary { $($u:ident $un:ident $u64:ident $u32:ident $ua:literal,)* } binary { $($b:ident $bn:ident $b64:ident $b32:ident $ba:literal,)* }) => {
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
        /// width. Without AVX2 and FMA only 1 lane and 128 bits exist.
        pub fn symbol(func: Func, vector: Vector) -> Option<(&'static str, *const ())> {
            let best = isa();
            Some(match (func, vector.float, vector.lanes) {
                $(
                    (Func::$u, Float::F64, 1) => (concat!("legate_jit_", stringify!($un), "_f64x1"), one_f64::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F64, 2) => (concat!("legate_jit_", stringify!($un), "_f64x2"), f64x2::unary::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F64, 4) if best >= Isa::Avx2 => (concat!("legate_jit_", stringify!($un), "_f64x4"), f64x4::unary::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F64, 8) if best >= Isa::Avx512 => (concat!("legate_jit_", stringify!($un), "_f64x8"), f64x8::unary::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F32, 1) => (concat!("legate_jit_", stringify!($un), "_f32x1"), one_f32::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F32, 4) => (concat!("legate_jit_", stringify!($un), "_f32x4"), f32x4::unary::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F32, 8) if best >= Isa::Avx2 => (concat!("legate_jit_", stringify!($un), "_f32x8"), f32x8::unary::<{ Func::$u as usize }> as *const ()),
                    (Func::$u, Float::F32, 16) if best >= Isa::Avx512 => (concat!("legate_jit_", stringify!($un), "_f32x16"), f32x16::unary::<{ Func::$u as usize }> as *const ()),
                )*
                $(
                    (Func::$b, Float::F64, 1) => (concat!("legate_jit_", stringify!($bn), "_f64x1"), two_f64::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F64, 2) => (concat!("legate_jit_", stringify!($bn), "_f64x2"), f64x2::binary::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F64, 4) if best >= Isa::Avx2 => (concat!("legate_jit_", stringify!($bn), "_f64x4"), f64x4::binary::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F64, 8) if best >= Isa::Avx512 => (concat!("legate_jit_", stringify!($bn), "_f64x8"), f64x8::binary::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F32, 1) => (concat!("legate_jit_", stringify!($bn), "_f32x1"), two_f32::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F32, 4) => (concat!("legate_jit_", stringify!($bn), "_f32x4"), f32x4::binary::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F32, 8) if best >= Isa::Avx2 => (concat!("legate_jit_", stringify!($bn), "_f32x8"), f32x8::binary::<{ Func::$b as usize }> as *const ()),
                    (Func::$b, Float::F32, 16) if best >= Isa::Avx512 => (concat!("legate_jit_", stringify!($bn), "_f32x16"), f32x16::binary::<{ Func::$b as usize }> as *const ()),
                )*
                _ => return None,
            })
        }
    };
}
functions!(tables);
