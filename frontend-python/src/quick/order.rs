//! Sorting, and the places of elements.

use legate_jit_runtime::{Casting, Operand};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::args::{Args, Done, NOT_PLAIN, array_of, as_method};
use crate::error::direct;
use crate::{sort, value};

pub(super) fn argsort(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() => sort::order(py, array),
        _ => NOT_PLAIN,
    }
}

pub(super) fn argsort_of(py: Python, args: Args) -> Done {
    as_method(py, args, argsort)
}

pub(super) fn sort_of(py: Python, args: Args) -> Done {
    as_method(py, args, |py, a, args| match array_of(a) {
        Some(array) if args.len() == 0 => sort::sorted(py, array)?.map(|new| value::new_array(py, new)).transpose(),
        _ => NOT_PLAIN,
    })
}

/// `a.sort()`
pub(super) fn sort(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() && array.writable() => {
            let Some(new) = sort::sorted(py, array)? else { return NOT_PLAIN };
            direct(py, || array.assign(Operand::Array(&new), Casting::No))?;
            Ok(Some(py.None()))
        }
        _ => NOT_PLAIN,
    }
}

pub(super) fn searchsorted(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 1 && !args.has_names() => sort::place(py, array, &args.get(py, 0)),
        _ => NOT_PLAIN,
    }
}

pub(super) fn searchsorted_of(py: Python, args: Args) -> Done {
    as_method(py, args, searchsorted)
}

pub(super) fn nonzero(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() && array.ndim() > 0 => {
            let columns = crate::functions::nonzero_columns(py, array)?;
            Ok(Some(PyTuple::new(py, columns)?.into_any().unbind()))
        }
        _ => NOT_PLAIN,
    }
}

pub(super) fn nonzero_of(py: Python, args: Args) -> Done {
    as_method(py, args, nonzero)
}
