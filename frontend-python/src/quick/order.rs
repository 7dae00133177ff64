//! Sorting, counting, the places of elements, and lines between points.

use legate_jit_runtime::{self as rt, Casting, Operand};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::args::{Args, Done, NOT_PLAIN, array_of, as_method, int};
use super::join::arrays;
use crate::error::direct;
use crate::{adopt, interpolate, sort, value};

/// Whether nothing is said but that it goes along the last of so many axes.
fn along_last(py: Python, args: Args, ndim: usize) -> bool {
    let axis = match (args.len(), args.has_names()) {
        (0, false) => return true,
        (1, false) => int(&args.get(py, 0)),
        (0, true) => args.single_name(py).and_then(|(name, axis)| name.is(intern!(py, "axis")).then(|| int(&axis))?),
        _ => None,
    };
    ndim > 0 && axis.is_some_and(|axis| axis == -1 || axis == ndim as i64 - 1)
}

pub(super) fn argsort(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if along_last(py, args, array.ndim()) => sort::order(py, array),
        _ => NOT_PLAIN,
    }
}

pub(super) fn argsort_of(py: Python, args: Args) -> Done {
    of_first(py, args, argsort)
}

/// `np.lexsort((a, b))`
pub(super) fn lexsort_of(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    match arrays(&args.get(py, 0)) {
        Some(keys) => sort::lexsorted(py, &keys),
        None => NOT_PLAIN,
    }
}

pub(super) fn sort_of(py: Python, args: Args) -> Done {
    of_first(py, args, |py, a, args| match array_of(a) {
        Some(array) if along_last(py, args, array.ndim()) => {
            sort::sorted(py, array)?.map(|new| value::new_array(py, new)).transpose()
        }
        _ => NOT_PLAIN,
    })
}

/// The function that is a method of its first argument, with what is said by name.
fn of_first(py: Python, args: Args, method: fn(Python, &Bound<PyAny>, Args) -> Done) -> Done {
    if args.len() == 0 || array_of(&args.get(py, 0)).is_none() {
        return NOT_PLAIN;
    }
    method(py, &args.get(py, 0), args.behind(1))
}

/// `a.sort()`
pub(super) fn sort(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() && array.writable() => {
            if sort::sort(py, array)? {
                return Ok(Some(py.None()));
            }
            let Some(new) = sort::sorted(py, array)? else { return NOT_PLAIN };
            direct(py, || array.assign(Operand::Array(&new), Casting::No))?;
            Ok(Some(py.None()))
        }
        _ => NOT_PLAIN,
    }
}

/// `np.partition(a, k)` along the last axis
pub(super) fn partition_of(py: Python, args: Args) -> Done {
    as_method(py, args, |py, a, args| match (array_of(a), args.len()) {
        (Some(array), 1) => match int(&args.get(py, 0)) {
            Some(k) => sort::partitioned(py, array, k)?.map(|new| value::new_array(py, new)).transpose(),
            None => NOT_PLAIN,
        },
        _ => NOT_PLAIN,
    })
}

/// `a.partition(k)`
pub(super) fn partition(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 1, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    match int(&args.get(py, 0)) {
        Some(k) if sort::partition(py, array, k)? => Ok(Some(py.None())),
        _ => NOT_PLAIN,
    }
}

/// `a.argpartition(k)`
pub(super) fn argpartition(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 1, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    match int(&args.get(py, 0)) {
        Some(k) => sort::partitioned_order(py, array, k),
        None => NOT_PLAIN,
    }
}

pub(super) fn argpartition_of(py: Python, args: Args) -> Done {
    as_method(py, args, argpartition)
}

/// `np.bincount(x)`, with weights and a least length
pub(super) fn bincount(py: Python, args: Args) -> Done {
    if !(1..=3).contains(&args.len()) {
        return NOT_PLAIN;
    }
    let x = args.get(py, 0);
    let mut weights = (args.len() > 1).then(|| args.get(py, 1));
    let mut least = (args.len() > 2).then(|| args.get(py, 2));
    if args.has_names() {
        for (name, value) in args.names(py) {
            let slot = match () {
                _ if name.is(intern!(py, "weights")) => &mut weights,
                _ if name.is(intern!(py, "minlength")) => &mut least,
                _ => return NOT_PLAIN,
            };
            if slot.replace(value).is_some() {
                return NOT_PLAIN;
            }
        }
    }
    let weights = weights.filter(|w| !w.is_none());
    let weights = match &weights {
        None => None,
        Some(w) => match array_of(w) {
            Some(w) if w.ndim() > 0 => Some(w.clone()),
            _ => return NOT_PLAIN,
        },
    };
    let least = match least.map(|n| int(&n)) {
        None => 0,
        Some(Some(n @ 0..)) => n as usize,
        Some(_) => return NOT_PLAIN,
    };
    let Some(array) = array_of(&x).filter(|x| x.ndim() > 0).cloned() else { return NOT_PLAIN };
    match adopt::detached(py, || rt::bincount(&array, weights.as_ref(), least))? {
        Some(counts) => value::new_array(py, counts).map(Some),
        None => NOT_PLAIN,
    }
}

/// `np.interp(x, xp, fp)`
pub(super) fn interp(py: Python, args: Args) -> Done {
    if args.len() != 3 || args.has_names() {
        return NOT_PLAIN;
    }
    let (xp, fp) = (args.get(py, 1), args.get(py, 2));
    match (array_of(&xp), array_of(&fp)) {
        (Some(xp), Some(fp)) => interpolate::interp(py, &args.get(py, 0), xp, fp),
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
