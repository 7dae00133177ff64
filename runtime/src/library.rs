//! Opaque steps: what a library or a hand-written loop runs.

use legate_jit_ir::DType;
use legate_jit_ir::graph::Opaque;

use crate::Result;

pub mod blas;
pub(crate) mod gemv;
pub(crate) mod matmul;
mod scan;
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

/// Computes `out` from `args`. The operands name valid memory; `out` overlaps none of the arguments.
pub fn run(op: &Opaque, args: &[Strided], out: &Strided) -> Result<()> {
    let rows = out.shape.len().checked_sub(2).map_or(1, |k| out.shape[k]);
    run_rows(op, args, out, rows)
}

/// The same where `out` may be some rows of a matrix that has `rows` of them.
pub fn run_rows(op: &Opaque, args: &[Strided], out: &Strided, rows: usize) -> Result<()> {
    match op {
        Opaque::Matmul => matmul::matmul(&args[0], &args[1], out, rows),
        Opaque::Scan { ufunc, axis } => scan::scan(*ufunc, *axis as usize, &args[0], out),
    }
}
