//! Prebuilt loops of operations that are made of several functions of the vector math library: block by block, with the bits of
//! the table's meaning.
//!
//! This is a boundary file: it takes addresses of elements whose type is known only at run time.

use legate_jit_ir::ufunc::meaning::divmod_of_rest;
use legate_jit_ir::ufunc::native::Float;
use legate_jit_ir::{DType, Ufunc};
use legate_jit_vmath::{self as vmath, Func, Isa, Slice1, Slice2, isa, slice1, slice2};

use super::loops::{Loop, Loops};

/// Elements that stay in the first-level cache between the functions.
const BLOCK: usize = 256;

/// The loop for arguments of these types, where there is one here.
pub fn find(op: Ufunc, types: &[DType]) -> Option<Loops> {
    let [first, second] = types else { return None };
    if first != second {
        return None;
    }
    let only = |vector: Loop| Some(Loops { vector, second_scalar: None, first_scalar: None });
    match (op, first) {
        (Ufunc::Logaddexp, DType::F64) => only(logaddexp::<f64, false>),
        (Ufunc::Logaddexp, DType::F32) => only(logaddexp::<f32, false>),
        (Ufunc::Logaddexp2, DType::F64) => only(logaddexp::<f64, true>),
        (Ufunc::Logaddexp2, DType::F32) => only(logaddexp::<f32, true>),
        (Ufunc::FloorDivide, DType::F64) => Some(divisions::<f64, true>()),
        (Ufunc::FloorDivide, DType::F32) => Some(divisions::<f32, true>()),
        (Ufunc::Remainder, DType::F64) => Some(divisions::<f64, false>()),
        (Ufunc::Remainder, DType::F32) => Some(divisions::<f32, false>()),
        _ => None,
    }
}

fn float<T: Float>() -> vmath::Float {
    if T::DTYPE == DType::F32 { vmath::Float::F32 } else { vmath::Float::F64 }
}

fn function<T: Float>(func: Func) -> Slice1 {
    slice1(func, float::<T>()).expect("a function of one argument")
}

/// Floors of quotients, or else remainders.
fn divisions<T: Float, const FLOOR: bool>() -> Loops {
    Loops {
        vector: divide::<T, FLOOR, true, true>,
        second_scalar: Some(divide::<T, FLOOR, true, false>),
        first_scalar: Some(divide::<T, FLOOR, false, true>),
    }
}

type Rests<T> = unsafe fn(x: &[T], y: &[T], rests: &[T], out: &mut [T]);

/// The arguments step, or are one element.
unsafe fn divide<T: Float, const FLOOR: bool, const X: bool, const Y: bool>(
    args: *const *const u8,
    dst: *mut u8,
    n: usize,
) {
    let fmod: Slice2 = slice2(Func::Fmod, float::<T>()).expect("a function of two arguments");
    let after: Rests<T> = match isa() {
        Isa::Base => fixed::<T, FLOOR, X, Y>,
        Isa::Avx2 => fixed_avx2::<T, FLOOR, X, Y>,
        Isa::Avx512 => fixed_avx512::<T, FLOOR, X, Y>,
    };
    let mut block = [T::ZERO; BLOCK];
    // SAFETY: as `Loop` asks.
    unsafe {
        let (x, y) = (*args as *const T, *args.add(1) as *const T);
        for at in (0..n).step_by(BLOCK) {
            let count = BLOCK.min(n - at);
            let x = std::slice::from_raw_parts(x.add(if X { at } else { 0 }), if X { count } else { 1 });
            let y = std::slice::from_raw_parts(y.add(if Y { at } else { 0 }), if Y { count } else { 1 });
            let rests = &mut block[..count];
            fmod(x.as_ptr().cast(), X as usize, y.as_ptr().cast(), Y as usize, rests.as_mut_ptr().cast(), count);
            after(x, y, rests, std::slice::from_raw_parts_mut((dst as *mut T).add(at), count));
        }
    }
}

#[inline(always)]
fn fixed<T: Float, const FLOOR: bool, const X: bool, const Y: bool>(x: &[T], y: &[T], rests: &[T], out: &mut [T]) {
    let n = out.len();
    let (x, y, rests) = (&x[..if X { n } else { 1 }], &y[..if Y { n } else { 1 }], &rests[..n]);
    for i in 0..n {
        let (floor, rest) = divmod_of_rest(x[if X { i } else { 0 }], y[if Y { i } else { 0 }], rests[i]);
        out[i] = if FLOOR { floor } else { rest };
    }
}

macro_rules! wide {
    ($name:ident, $features:literal) => {
        #[target_feature(enable = $features)]
        fn $name<T: Float, const FLOOR: bool, const X: bool, const Y: bool>(
            x: &[T],
            y: &[T],
            rests: &[T],
            out: &mut [T],
        ) {
            fixed::<T, FLOOR, X, Y>(x, y, rests, out)
        }
    };
}
wide!(fixed_avx2, "avx2");
wide!(fixed_avx512, "avx512f,avx512vl,avx512dq,avx512bw");

type Sums<T> = unsafe fn(x: &[T], y: &[T], terms: &[T], out: &mut [T]);

/// log(eˣ + eʸ), or with powers and the logarithm of 2.
unsafe fn logaddexp<T: Float, const TWO: bool>(args: *const *const u8, dst: *mut u8, n: usize) {
    let (exp, log1p) = (function::<T>(if TWO { Func::Exp2 } else { Func::Exp }), function::<T>(Func::Log1p));
    let wide = isa() != Isa::Base;
    let before: unsafe fn(&[T], &[T], &mut [T]) = if wide { distances_avx2::<T> } else { distances::<T> };
    let after: Sums<T> = if wide { sums_avx2::<T, TWO> } else { sums::<T, TWO> };
    let mut block = [T::ZERO; BLOCK];
    // SAFETY: as `Loop` asks; the library works in place.
    unsafe {
        let x = std::slice::from_raw_parts(*args as *const T, n);
        let y = std::slice::from_raw_parts(*args.add(1) as *const T, n);
        let out = std::slice::from_raw_parts_mut(dst as *mut T, n);
        for ((x, y), out) in x.chunks(BLOCK).zip(y.chunks(BLOCK)).zip(out.chunks_mut(BLOCK)) {
            let terms = &mut block[..x.len()];
            before(x, y, terms);
            let p = terms.as_mut_ptr() as *mut u8;
            exp(p, p, x.len());
            log1p(p, p, x.len());
            after(x, y, terms, out);
        }
    }
}

#[inline(always)]
fn distances<T: Float>(x: &[T], y: &[T], out: &mut [T]) {
    for ((out, &x), &y) in out.iter_mut().zip(x).zip(y) {
        *out = -(x - y).abs();
    }
}

#[target_feature(enable = "avx2")]
fn distances_avx2<T: Float>(x: &[T], y: &[T], out: &mut [T]) {
    distances(x, y, out)
}

#[inline(always)]
fn sums<T: Float, const TWO: bool>(x: &[T], y: &[T], terms: &[T], out: &mut [T]) {
    for (((out, &x), &y), &term) in out.iter_mut().zip(x).zip(y).zip(terms) {
        let term = if TWO { T::LOG2_E * term } else { term };
        let d = x - y;
        let larger = if d > T::ZERO { x + term } else { y + term };
        let sum = if d.is_nan() { d } else { larger };
        *out = if x == y { x + if TWO { T::ONE } else { T::LN_2 } } else { sum };
    }
}

#[target_feature(enable = "avx2")]
fn sums_avx2<T: Float, const TWO: bool>(x: &[T], y: &[T], terms: &[T], out: &mut [T]) {
    sums::<T, TWO>(x, y, terms, out)
}
