//! Products of arrays: `matmul` and `dot`.

use std::borrow::Cow;

use legate_jit_ir::promote::promote;
use legate_jit_ir::{DType, Scalar, Shape, Ufunc};

use crate::array::{Array, Index, Operand};
use crate::error::shape_text;
use crate::layout::Layout;
use crate::session::lock;
use crate::trace::Op;
use crate::ufunc::{UfuncArgs, ufunc};
use crate::{Casting, Error, Result};

const SIGNATURE: &str = "(n?,k),(k,m?)->(n?,m?)";

/// `np.matmul`, `@`.
pub fn matmul(a: &Array, b: &Array, out: Option<&Array>) -> Result<Array> {
    for (i, x) in [a, b].into_iter().enumerate() {
        if x.ndim() == 0 {
            return Err(Error::Value(format!(
                "matmul: Input operand {i} does not have enough dimensions (has 0, gufunc core with signature \
                 {SIGNATURE} requires 1)"
            )));
        }
    }
    let (row, column) = (a.ndim() == 1, b.ndim() == 1);
    let (k, other) = (a.shape()[a.ndim() - 1], b.shape()[b.ndim().saturating_sub(2)]);
    if k != other {
        return Err(Error::Value(format!(
            "matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature {SIGNATURE} (size \
             {other} is different from {k})"
        )));
    }
    let left = if row { a.expand_dims(0) } else { a.clone() };
    let right = if column { b.expand_dims(1) } else { b.clone() };
    let dtype = promote(a.dtype(), b.dtype());
    let mut result = if left.ndim() == 2 && right.ndim() == 2 {
        record(&left, &right, dtype, &[left.shape()[0], right.shape()[1]])?
    } else {
        batched([a, b], left, right, dtype)?
    };
    match (row, column) {
        (false, false) => {}
        (true, false) => result = result.index(&[Index::Ellipsis, Index::Int(0), Index::ALL])?,
        (false, true) => result = result.index(&[Index::Ellipsis, Index::Int(0)])?,
        (true, true) => result = result.index(&[Index::Int(0), Index::Int(0)])?,
    }
    let Some(out) = out else { return Ok(result.with_scalar(row && column)) };
    if out.shape() != result.shape() {
        return Err(Error::Value(format!(
            "matmul: Output operand 0 has a mismatch in its core dimension 0, with gufunc signature {SIGNATURE} (size {} \
             is different from {})",
            out.shape().first().copied().unwrap_or(0),
            result.shape().first().copied().unwrap_or(0)
        )));
    }
    out.assign(Operand::Array(&result), Casting::SameKind)?;
    Ok(out.clone())
}

/// Stacks of matrices, broadcast against each other.
fn batched(given: [&Array; 2], left: Array, right: Array, dtype: DType) -> Result<Array> {
    let (la, lb) = (left.ndim() - 2, right.ndim() - 2);
    let (m, k, n) = (left.shape()[la], left.shape()[la + 1], right.shape()[lb + 1]);
    let Some(batch) = legate_jit_ir::shape::broadcast(&left.shape()[..la], &right.shape()[..lb]) else {
        let remapped = |x: &Array, l: &Array| {
            let lead: Vec<String> = l.shape()[..l.ndim() - 2].iter().map(|n| n.to_string()).collect();
            let lead = if lead.is_empty() { String::new() } else { format!("{},", lead.join(",")) };
            format!("{}->({lead}newaxis,newaxis)", shape_text(x.shape(), ","))
        };
        return Err(Error::Value(format!(
            "operands could not be broadcast together with remapped shapes [original->remapped]: {} {}  and requested \
             shape ({m},{n})",
            remapped(given[0], &left),
            remapped(given[1], &right)
        )));
    };
    let with = |tail: [usize; 2]| batch.iter().copied().chain(tail).collect::<Shape>();
    record(&left.broadcast_to(&with([m, k]))?, &right.broadcast_to(&with([k, n]))?, dtype, &with([m, n]))
}

fn record(a: &Array, b: &Array, dtype: DType, shape: &[usize]) -> Result<Array> {
    let full = Layout::identity(shape);
    let mut s = lock();
    if let Some(done) = s.matmul_now(a, b, dtype, &full)? {
        return Ok(done);
    }
    let args = [s.arg(a, dtype)?, s.arg(b, dtype)?];
    s.record(Op::Matmul, dtype, &args, &full, 0)
}

/// The product of two vectors by `@` where it is known at once: small ones that are in memory.
pub fn vecdot_now(a: &Array, b: &Array) -> Result<Option<Scalar>> {
    lock().dot_now(a, b)
}

/// The same by `np.vdot`, of complex vectors of any length.
pub fn vdot_now(a: &Array, b: &Array) -> Result<Option<Scalar>> {
    lock().vdot_now(a, b)
}

/// The same by `np.dot`.
pub fn dot_now(a: &Array, b: &Array) -> Result<Option<Scalar>> {
    if a.ndim() != 1 || b.ndim() != 1 {
        return Ok(None);
    }
    let (a, b) = (forwards(a)?, forwards(b)?);
    lock().dot_now(&a, &b)
}

/// An operand of `np.dot`. NumPy copies one of floats that BLAS cannot step through, because it runs backwards or on the spot; `@`
/// adds such products up in order instead (cblas_matrixproduct and matmul in NumPy's sources), which has other bits.
fn forwards(a: &Array) -> Result<Cow<'_, Array>> {
    let backwards = |(&s, &n): (&i64, &usize)| s < 0 || s == 0 && n > 1;
    let copied = (a.dtype.is_float() || a.dtype.is_complex())
        && a.size() > 0
        && a.layout.strides.iter().zip(a.shape()).any(backwards);
    if !copied {
        return Ok(Cow::Borrowed(a));
    }
    let copy = a.copy(false)?;
    // At once: as a part of the plan of the product it would be a view of what it copies.
    let mut s = lock();
    let version = copy.base.current.get(&s.token).clone();
    s.store_of(&version)?;
    drop(s);
    Ok(Cow::Owned(copy))
}

/// `np.dot`: the sum of products over the last axis of `a` and the last but one of `b`.
pub fn dot(a: &Array, b: &Array) -> Result<Array> {
    if a.ndim() == 0 || b.ndim() == 0 {
        return ufunc(Ufunc::Multiply, &[Operand::Array(a), Operand::Array(b)], &UfuncArgs::default());
    }
    let (da, db) = (a.ndim() - 1, b.ndim().saturating_sub(2));
    let (k, other) = (a.shape()[da], b.shape()[db]);
    if k != other {
        return Err(Error::Value(format!(
            "shapes {} and {} not aligned: {k} (dim {da}) != {other} (dim {db})",
            shape_text(a.shape(), ","),
            shape_text(b.shape(), ",")
        )));
    }
    if a.ndim() <= 2 && b.ndim() <= 2 {
        return matmul(&*forwards(a)?, &*forwards(b)?, None);
    }
    // More axes: as one product of matrices, the others flattened.
    let rows: usize = a.shape()[..da].iter().product();
    let mut order: Vec<i64> = (0..b.ndim() as i64).filter(|&d| d != db as i64).collect();
    order.insert(0, db as i64);
    let columns: usize = b.shape().iter().enumerate().filter(|(d, _)| *d != db).map(|(_, n)| n).product();
    let left = a.reshape(&[rows as i64, k as i64])?;
    let right = b.transpose(Some(&order))?.reshape(&[k as i64, columns as i64])?;
    let shape: Vec<i64> = a.shape()[..da]
        .iter()
        .chain(b.shape().iter().enumerate().filter(|(d, _)| *d != db).map(|(_, n)| n))
        .map(|&n| n as i64)
        .collect();
    matmul(&left, &right, None)?.reshape(&shape)
}
