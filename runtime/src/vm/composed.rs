//! Prebuilt loops of operations that are made of several functions of the vector math library: block by block, with the bits of
//! the table's meaning.
//!
//! This is a boundary file: it takes addresses of elements whose type is known only at run time.

use legate_jit_ir::ufunc::native::Float;
use legate_jit_ir::{DType, Ufunc};
use legate_jit_vmath::{self as vmath, Func, Isa, Slice1, isa, slice1};

use super::loops::{Loop, Loops};

/// Elements that stay in the first-level cache between the functions.
const BLOCK: usize = 256;

/// The loop for arguments of these types, where there is one here.
pub fn find(op: Ufunc, types: &[DType]) -> Option<Loops> {
    let [first, second] = types else { return None };
    if first != second {
        return None;
    }
    let vector: Loop = match (op, first) {
        (Ufunc::Logaddexp, DType::F64) => logaddexp::<f64, false>,
        (Ufunc::Logaddexp, DType::F32) => logaddexp::<f32, false>,
        (Ufunc::Logaddexp2, DType::F64) => logaddexp::<f64, true>,
        (Ufunc::Logaddexp2, DType::F32) => logaddexp::<f32, true>,
        _ => return None,
    };
    Some(Loops { vector, second_scalar: None, first_scalar: None })
}

fn function<T: Float>(func: Func) -> Slice1 {
    let float = if T::DTYPE == DType::F32 { vmath::Float::F32 } else { vmath::Float::F64 };
    slice1(func, float).expect("a function of one argument")
}

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
