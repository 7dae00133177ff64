//! Products of complex numbers that NumPy rounds otherwise than it does elsewhere.
//!
//! NumPy (2.4, `loops_arithm_fp.dispatch.c.src`) multiplies and squares complex numbers by fused multiply-adds. But it divides
//! the steps of its innermost loop as if they were without sign: a step back is a huge one, of which its vectors of
//! eight-byte numbers know nothing, so those numbers are multiplied one by one, each product rounded. That is not worth a second kind of
//! product in the kernels; NumPy does it itself. (Which way a single element lies is not known here.)

use legate_jit_ir::{DType, Ufunc};
use smallvec::SmallVec;

use crate::array::{Array, Operand};
use crate::layout::{Strides, k_order};

/// Whether NumPy's innermost loop of this operation is such a one. With a mask (`where=`) it always goes through its iterator.
#[inline]
pub(crate) fn rounds_each_product(op: Ufunc, operands: &[Operand], out: Option<&Array>, masked: bool) -> bool {
    matches!(op, Ufunc::Multiply | Ufunc::Square)
        && operands.iter().any(|o| o.array().is_some_and(|a| a.dtype == DType::C64))
        && goes_back(operands, out, masked)
}

#[cold]
fn goes_back(operands: &[Operand], out: Option<&Array>, masked: bool) -> bool {
    let arrays: SmallVec<[&Array; 3]> = operands.iter().filter_map(Operand::array).chain(out).collect();
    // What is cast goes through a buffer.
    let back = |a: &Array, step: i64| a.dtype == DType::C64 && step < 0;
    if !arrays.iter().any(|a| a.layout.strides.iter().any(|&s| back(a, s))) {
        return false;
    }
    let ndim = arrays.iter().map(|a| a.ndim()).max().unwrap_or(0);
    let alike = arrays.iter().all(|a| a.ndim() == ndim || a.ndim() == 0);
    // One loop over the arrays as they lie, if each is one row.
    if !masked && alike && ndim == 1 {
        return true;
    }
    if !masked && alike && arrays.iter().all(|a| a.c_contiguous() || a.f_contiguous()) {
        return false;
    }
    let strides: SmallVec<[Strides; 3]> = arrays
        .iter()
        .map(|a| {
            let mut all = Strides::from_elem(0, ndim);
            let own = all[ndim - a.ndim()..].iter_mut().zip(a.shape()).zip(&a.layout.strides);
            own.filter(|((_, n), _)| **n != 1).for_each(|((to, _), s)| *to = *s);
            all
        })
        .collect();
    // Where the iterator does not have to make the result, it turns axes round along which nothing goes forward.
    let order = k_order(ndim, &strides);
    let Some(inner) = order.iter().rev().find(|&&axis| strides.iter().any(|s| s[axis as usize] != 0)) else {
        return false;
    };
    let mut steps = strides.iter().map(|s| s[*inner as usize]);
    let turned = out.is_some() && steps.clone().all(|s| s <= 0);
    !turned && arrays.iter().any(|a| steps.next().is_some_and(|s| back(a, s)))
}
