//! Arrays put together.

use legate_jit_runtime::{self as rt, Array};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use smallvec::SmallVec;

use super::args::{Args, Done, NOT_PLAIN, array_of};
use crate::error::attempt;
use crate::value;

/// `np.concatenate((a, b))` of arrays of ours.
pub(super) fn concatenate(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let Some(parts) = arrays(&args.get(py, 0)) else { return NOT_PLAIN };
    match attempt(py, || Array::concatenate(&parts, 0, None))? {
        Some(a) => value::new_array(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

/// The arrays of ours in a tuple or list that holds nothing else.
pub(super) fn arrays(all: &Bound<PyAny>) -> Option<SmallVec<[Array; 4]>> {
    let mut parts: SmallVec<[Array; 4]> = SmallVec::new();
    let mut add = |x: &Bound<PyAny>| array_of(x).map(|a| parts.push(a.clone())).is_some();
    let ours = if let Ok(tuple) = all.cast_exact::<PyTuple>() {
        tuple.iter_borrowed().all(|x| add(&x))
    } else if let Ok(list) = all.cast_exact::<PyList>() {
        list.iter().all(|x| add(&x))
    } else {
        false
    };
    (ours && !parts.is_empty()).then_some(parts)
}

/// `np.stack((a, b))`, `np.vstack`, `np.hstack` of arrays of one shape.
pub(super) fn joined(py: Python, args: Args, join: fn(&[Array]) -> Result<Array, rt::Error>) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let Some(parts) = arrays(&args.get(py, 0)) else { return NOT_PLAIN };
    if parts.iter().any(|p| p.shape() != parts[0].shape() || p.ndim() == 0) {
        return NOT_PLAIN;
    }
    match attempt(py, || join(&parts))? {
        Some(a) => value::new_array(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

pub(super) fn stack_of(py: Python, args: Args) -> Done {
    joined(py, args, |parts| Array::stack(parts, 0, None))
}

pub(super) fn vstack_of(py: Python, args: Args) -> Done {
    joined(py, args, |p| if p[0].ndim() == 1 { Array::stack(p, 0, None) } else { Array::concatenate(p, 0, None) })
}

pub(super) fn hstack_of(py: Python, args: Args) -> Done {
    joined(py, args, |parts| Array::concatenate(parts, (parts[0].ndim() > 1) as i64, None))
}
