//! Arrays put together.

use legate_jit_runtime::{self as rt, Array};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyTuple};
use smallvec::SmallVec;

use super::args::{Args, Done, NOT_PLAIN, array_of, int};
use crate::counted::count;
use crate::error::attempt;
use crate::{fallback, value};

/// `np.concatenate((a, b))` of arrays of ours, along an axis.
pub(super) fn concatenate(py: Python, args: Args) -> Done {
    let axis = match (args.len(), args.has_names()) {
        (0 | 1, false) => None,
        (_, false) => Some(args.get(py, 1)),
        (_, true) => match args.names(py).find(|(name, _)| name.is(intern!(py, "axis"))) {
            Some((_, axis)) => Some(axis),
            None => return NOT_PLAIN,
        },
    };
    if axis.is_some_and(|axis| axis.is_none()) {
        // All of their elements in one line, which is not what no axis means.
        static FLAT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let function = FLAT.import(py, "numpy", "concatenate")?;
        count(intern!(py, "concatenate"))?;
        return fallback::pass(py, function, None, None, args).map(|made| Some(made.unbind()));
    }
    let plain = args.len() == 1 && (!args.has_names() || args.single_name(py).is_some())
        || args.len() == 2 && !args.has_names();
    let (Some(axis), true) = (axis.map_or(Some(0), |axis| int(&axis)), plain) else { return NOT_PLAIN };
    let Some(parts) = arrays(&args.get(py, 0)) else { return NOT_PLAIN };
    match attempt(py, || Array::concatenate(&parts, axis, None))? {
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

/// `np.column_stack((a, b))` of arrays of one axis, or of two.
pub(super) fn column_stack_of(py: Python, args: Args) -> Done {
    joined(py, args, |p| if p[0].ndim() == 1 { Array::stack(p, 1, None) } else { Array::concatenate(p, 1, None) })
}

/// `np.dstack((a, b))` of arrays of two axes.
pub(super) fn dstack_of(py: Python, args: Args) -> Done {
    joined(py, args, |p| match p[0].ndim() {
        1 => Array::stack(p, 1, None)?.reshape(&[1, p[0].size() as i64, p.len() as i64]),
        2 => Array::stack(p, 2, None),
        _ => Array::concatenate(p, 2, None),
    })
}

/// `np.r_[a, b]`, or `np.c_[a, b]` if they are to be columns, of arrays of ours alone; `None` for other indices.
#[pyfunction]
pub fn indexed_together(py: Python<'_>, key: &Bound<PyAny>, columns: bool) -> PyResult<Option<Py<PyAny>>> {
    let Some(parts) = arrays(key).filter(|_| key.is_exact_instance_of::<PyTuple>()) else { return Ok(None) };
    let (first, rest) = (parts[0].shape(), &parts[1..]);
    // (Of arrays that do not fit, NumPy says so.)
    let fits = |shape: &[usize]| match (columns, first.len()) {
        (false, 1) => shape.len() == 1,
        (false, 2) => shape.len() == 2 && shape[1] == first[1],
        (true, 1) => shape == first,
        (true, 2) => shape.len() == 2 && shape[0] == first[0],
        _ => false,
    };
    if !fits(first) || !rest.iter().all(|p| fits(p.shape())) {
        return Ok(None);
    }
    let join = || match (columns, first.len()) {
        (true, 1) => Array::stack(&parts, 1, None),
        _ => Array::concatenate(&parts, columns as i64, None),
    };
    attempt(py, join)?.map(|array| value::new_array(py, array)).transpose()
}
