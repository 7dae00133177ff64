//! Opaque steps: what a library or a hand-written loop runs.

use legate_jit_ir::DType;
use legate_jit_ir::graph::Opaque;

use self::arranged::Arranged;
use crate::Result;

mod arranged;
pub mod blas;
pub(crate) mod gemv;
pub(crate) mod matmul;
mod orders;
pub(crate) mod scan;
mod small;

/// Strided elements in memory.
#[derive(Clone, Copy)]
pub struct Strided<'a> {
    /// The first element.
    pub ptr: *mut u8,
    pub dtype: DType,
    pub shape: &'a [usize],
    /// In bytes.
    pub strides: &'a [i64],
}

// SAFETY: an address; who reads or writes there answers for it.
unsafe impl Sync for Strided<'_> {}

/// The product of matrices that lie as they lie in the program. The operands name valid memory; `out` overlaps none of the arguments.
pub fn matmul(a: &Strided, b: &Strided, out: &Strided) -> Result<()> {
    matmul::matmul(a, b, out, rows_of(out))
}

fn rows_of(out: &Strided) -> usize {
    out.shape.len().checked_sub(2).map_or(1, |k| out.shape[k])
}

/// Computes `out` from `args`. The operands name valid memory; `out` overlaps none of the arguments.
pub fn run(op: &Opaque, args: &[Strided], out: &Strided) -> Result<()> {
    run_rows(op, args, out, rows_of(out))
}

/// The same where `out` may be some rows of a matrix that has `rows` of them.
pub fn run_rows(op: &Opaque, args: &[Strided], out: &Strided, rows: usize) -> Result<()> {
    match op {
        Opaque::Matmul(strides) => {
            let copies = [Arranged::of(&args[0], &strides[0])?, Arranged::of(&args[1], &strides[1])?];
            let operand = |k: usize| copies[k].as_ref().map_or(args[k], |copy| copy.like(&args[k]));
            matmul::matmul(&operand(0), &operand(1), out, rows)
        }
        Opaque::Scan { ufunc, axis } => scan::scan(*ufunc, *axis as usize, &args[0], out),
    }
}

/// The sum of products of two vectors of `n` elements, each with where it begins and how many bytes apart its elements are: the
/// bits of the number.
///
/// # Safety
/// Vectors of so many elements of this type.
pub(crate) unsafe fn dot(dtype: DType, n: usize, x: (*mut u8, i64), y: (*mut u8, i64)) -> Result<[u64; 2]> {
    let (from_x, from_y) = ((x.0.cast_const(), x.1), (y.0.cast_const(), y.1));
    // SAFETY: the caller's promise, here and below.
    let quick = unsafe {
        match dtype {
            DType::F64 => matmul::dot::<f64>(n, from_x, from_y).map(f64::to_bits),
            DType::F32 => matmul::dot::<f32>(n, from_x, from_y).map(|v| v.to_bits() as u64),
            _ => None,
        }
    };
    if let Some(bits) = quick {
        return Ok([bits, 0]);
    }
    let mut bits = [0u64; 2];
    let item = dtype.size() as i64;
    let a = Strided { ptr: x.0, dtype, shape: &[1, n], strides: &[x.1 * n as i64, x.1] };
    let b = Strided { ptr: y.0, dtype, shape: &[n, 1], strides: &[y.1, item] };
    let out = Strided { ptr: bits.as_mut_ptr().cast(), dtype, shape: &[1, 1], strides: &[item, item] };
    matmul(&a, &b, &out)?;
    Ok(bits)
}

/// The same of the conjugates of complex numbers, if that can be done at once.
///
/// # Safety
/// As above; the elements are aligned.
pub(crate) unsafe fn vdot(dtype: DType, n: usize, x: (*mut u8, i64), y: (*mut u8, i64)) -> Option<[u64; 2]> {
    let (x, y) = ((x.0.cast_const(), x.1), (y.0.cast_const(), y.1));
    // SAFETY: the caller's promise.
    unsafe {
        match dtype {
            DType::C128 => matmul::vdot::<f64>(n, x, y).map(|z| z.map(f64::to_bits)),
            // (Its two numbers lie in the first half.)
            DType::C64 => {
                matmul::vdot::<f32>(n, x, y).map(|z| [z[0].to_bits() as u64 | (z[1].to_bits() as u64) << 32, 0])
            }
            _ => None,
        }
    }
}
