//! Other views of an array, and copies.

use legate_jit_runtime::Casting;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::args::{Args, Done, NOT_PLAIN, array_of, as_method, int, ints};
use crate::error::{attempt, direct};
use crate::{adopt, dtypes, nests, value};

pub(super) fn copy(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() => {
            if let Some(now) = nests::tick(py, &[a.as_ptr()])? {
                // (Rounds of a loop were done, after which it is this one that is copied.)
                let a = now.get_item(0)?;
                return match array_of(&a) {
                    Some(array) => value::new_array(py, direct(py, || array.copy(false))?).map(Some),
                    None => a.call_method0(intern!(py, "copy")).map(|copied| Some(copied.unbind())),
                };
            }
            value::new_array(py, direct(py, || array.copy(false))?).map(Some)
        }
        _ => NOT_PLAIN,
    }
}

pub(super) fn reshape(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), false) = (array_of(a), args.has_names()) else { return NOT_PLAIN };
    let Some(shape) = ints(py, args) else { return NOT_PLAIN };
    if args.len() == 0 {
        return NOT_PLAIN;
    }
    value::new_array(py, direct(py, || array.reshape(&shape))?).map(Some)
}

pub(super) fn ravel(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() => {
            value::new_array(py, direct(py, || array.ravel())?).map(Some)
        }
        _ => NOT_PLAIN,
    }
}

pub(super) fn transpose(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), false) = (array_of(a), args.has_names()) else { return NOT_PLAIN };
    if args.len() == 0 {
        return value::new_array(py, array.transposed()).map(Some);
    }
    let Some(axes) = ints(py, args) else { return NOT_PLAIN };
    value::new_array(py, direct(py, || array.transpose(Some(&axes)))?).map(Some)
}

pub(super) fn squeeze(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() => {
            if !array.shape().contains(&1) {
                // NumPy gives the array itself.
                return Ok(Some(a.clone().unbind()));
            }
            value::new_array(py, direct(py, || array.squeeze(None))?).map(Some)
        }
        _ => NOT_PLAIN,
    }
}

/// `a.view()`, `a.view(dtype)`
pub(super) fn view(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let Some(array) = array_of(a) else { return NOT_PLAIN };
    let dtype = match (args.len(), args.has_names()) {
        (0, false) => return value::new_array(py, array.clone()).map(Some),
        (1, false) => args.get(py, 0),
        (0, true) => match args.single_name(py) {
            Some((name, x)) if name.is(intern!(py, "dtype")) => x,
            _ => return NOT_PLAIN,
        },
        _ => return NOT_PLAIN,
    };
    let Ok(Ok(dtype)) = dtypes::parse(&dtype) else { return NOT_PLAIN };
    let array = array.clone();
    match adopt::detached(py, || array.viewed_as(dtype))? {
        Some(seen) => value::new_array(py, seen).map(Some),
        None => NOT_PLAIN,
    }
}

/// `a.repeat(n)`, `a.repeat(n, axis)`
pub(super) fn repeat(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 1..=2, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    let Some(times @ 0..) = int(&args.get(py, 0)) else { return NOT_PLAIN };
    let axis = match args.len() {
        1 => None,
        _ => match int(&args.get(py, 1)) {
            Some(axis) if array.ndim() > 0 => Some(axis),
            _ => return NOT_PLAIN,
        },
    };
    value::new_array(py, direct(py, || array.repeat(times as usize, axis))?).map(Some)
}

pub(super) fn swapaxes(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 2, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    let (Some(p), Some(q)) = (int(&args.get(py, 0)), int(&args.get(py, 1))) else { return NOT_PLAIN };
    value::new_array(py, direct(py, || array.swapaxes(p, q))?).map(Some)
}

pub(super) fn diagonal(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), false) = (array_of(a), args.has_names()) else { return NOT_PLAIN };
    let offset = match args.len() {
        0 => Some(0),
        1 => int(&args.get(py, 0)),
        _ => None,
    };
    let Some(offset) = offset else { return NOT_PLAIN };
    value::new_array(py, direct(py, || array.diagonal(offset, 0, 1))?).map(Some)
}

/// `np.atleast_1d(a)` of what has axes is that itself.
pub(super) fn atleast_1d_of(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let a = args.get(py, 0);
    Ok(array_of(&a).is_some_and(|array| array.ndim() > 0).then(|| a.to_owned().unbind()))
}

/// The numbers themselves where they are real.
pub(super) fn conj(_: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() && !array.dtype().is_complex() => {
            Ok(Some(a.clone().unbind()))
        }
        _ => NOT_PLAIN,
    }
}

pub(super) fn astype(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 1) = (array_of(a), args.len()) else { return NOT_PLAIN };
    let Ok(to) = dtypes::parse(&args.get(py, 0))? else { return NOT_PLAIN };
    if args.has_names() {
        let copy = args.single_name(py).filter(|(name, _)| name.is(intern!(py, "copy")));
        match copy.and_then(|(_, copy)| copy.cast_exact::<PyBool>().ok().map(|copy| copy.is_true())) {
            // (What is of this type already is the array itself.)
            Some(false) if to == array.dtype() => return Ok(Some(a.clone().unbind())),
            Some(_) => {}
            None => return NOT_PLAIN,
        }
    }
    match attempt(py, || array.astype(to, Casting::Unsafe))? {
        Some(a) => value::new_array(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

pub(super) fn transpose_of(py: Python, args: Args) -> Done {
    as_method(py, args, transpose)
}

pub(super) fn reshape_of(py: Python, args: Args) -> Done {
    if args.len() == 2 { as_method(py, args, reshape) } else { NOT_PLAIN }
}

pub(super) fn ravel_of(py: Python, args: Args) -> Done {
    as_method(py, args, ravel)
}

pub(super) fn squeeze_of(py: Python, args: Args) -> Done {
    as_method(py, args, squeeze)
}

pub(super) fn repeat_of(py: Python, args: Args) -> Done {
    as_method(py, args, repeat)
}

pub(super) fn swapaxes_of(py: Python, args: Args) -> Done {
    as_method(py, args, swapaxes)
}

pub(super) fn diagonal_of(py: Python, args: Args) -> Done {
    as_method(py, args, diagonal)
}
