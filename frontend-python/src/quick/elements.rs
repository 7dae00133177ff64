//! Elements, one or all of them, as Python's objects; elements by their indices.
//!
//! A boundary file, as `quick.rs`.

use legate_jit_ir::{DType, Scalar};
use legate_jit_runtime::{self as rt, Casting, Element, HostView};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3::{ffi, intern};

use super::args::{Args, Done, NOT_PLAIN, array_of, int, ints};
use crate::error::{attempt, direct};
use crate::index::int_list;
use crate::{adopt, convert, value};

pub(super) fn item(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), false) = (array_of(a), args.has_names()) else { return NOT_PLAIN };
    if args.len() == 0 {
        if array.size() != 1 {
            return NOT_PLAIN;
        }
        return convert::to_python(py, adopt::item(py, array)?).map(Some);
    }
    let Some(at) = ints(py, args) else { return NOT_PLAIN };
    if at.len() != array.ndim() {
        return NOT_PLAIN;
    }
    if let Some(number) = array.peek(&at) {
        return convert::to_python(py, number).map(Some);
    }
    let number = match direct(py, || array.get_item(&at))? {
        Element::Value(number) => number,
        Element::Pending(one) => adopt::detached(py, || one.item(0))?,
    };
    convert::to_python(py, number).map(Some)
}

pub(super) fn tolist(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 0, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    if array.ndim() == 0 {
        return NOT_PLAIN;
    }
    if let Some((_kept, first, step)) = array.line_at_rest() {
        return line(py, array.dtype(), array.size(), first, step).map(Some);
    }
    let view = match array.host_at_rest() {
        Some(view) => view,
        None => {
            let array = array.clone();
            adopt::detached(py, || array.host())?
        }
    };
    list(py, &view, 0, view.ptr).map(Some)
}

/// The elements from `at` on, over the axes from `axis` on, as nested lists.
fn list(py: Python, view: &HostView, axis: usize, at: *const u8) -> PyResult<Py<PyAny>> {
    let (n, step) = (view.shape[axis], view.strides[axis] as isize);
    if axis + 1 == view.shape.len() {
        return line(py, view.dtype, n, at, step);
    }
    filled(py, n, |i| Ok(list(py, view, axis + 1, at.wrapping_offset(i as isize * step))?.into_ptr()))
}

/// So many elements from `at` on, `step` bytes from one to the next, as a list. The caller keeps their memory.
fn line(py: Python, dtype: DType, n: usize, at: *const u8, step: isize) -> PyResult<Py<PyAny>> {
    let place = |i: usize| at.wrapping_offset(i as isize * step);
    // SAFETY: the addresses of elements of this type.
    unsafe {
        match dtype {
            DType::F64 => filled(py, n, |i| Ok(ffi::PyFloat_FromDouble(place(i).cast::<f64>().read_unaligned()))),
            DType::I64 => filled(py, n, |i| Ok(ffi::PyLong_FromLongLong(place(i).cast::<i64>().read_unaligned()))),
            d => filled(py, n, |i| {
                let bytes = std::slice::from_raw_parts(place(i), d.size());
                Ok(convert::to_python(py, Scalar::from_bytes(d, bytes))?.into_ptr())
            }),
        }
    }
}

/// A list of n new objects.
#[inline(always)]
fn filled(py: Python, n: usize, item: impl Fn(usize) -> PyResult<*mut ffi::PyObject>) -> PyResult<Py<PyAny>> {
    // SAFETY: the list takes a reference for each of its n places, all of which are filled before anybody sees it.
    unsafe {
        let made = Bound::from_owned_ptr_or_err(py, ffi::PyList_New(n as isize))?;
        for i in 0..n {
            let one = item(i)?;
            if one.is_null() {
                return Err(PyErr::fetch(py));
            }
            ffi::PyList_SetItem(made.as_ptr(), i as isize, one);
        }
        Ok(made.unbind())
    }
}

/// `a.take(i)`, `a.take(i, 0)`
pub(super) fn take(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let axis = match (args.len(), args.has_names()) {
        (1, false) => None,
        (2, false) => Some(args.get(py, 1)),
        (1, true) => match args.single_name(py) {
            Some((name, axis)) if name.is(intern!(py, "axis")) => Some(axis),
            _ => return NOT_PLAIN,
        },
        _ => return NOT_PLAIN,
    };
    let index = args.get(py, 0);
    let Some(a) = array_of(a) else { return NOT_PLAIN };
    let made;
    let index = match array_of(&index) {
        Some(index) => index,
        None => match int_list(&index)? {
            Some(ints) => {
                made = ints;
                &made
            }
            None => return NOT_PLAIN,
        },
    };
    let axis_is_first = axis.map_or(a.ndim() == 1, |axis| int(&axis) == Some(0));
    if !axis_is_first || a.ndim() == 0 || a.size() == 0 || index.ndim() == 0 || index.dtype() != DType::I64 {
        return NOT_PLAIN;
    }
    match attempt(py, || a.take_at(&[rt::IndexPart::Array(index)]))? {
        Some(a) => value::new_array(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

pub(super) fn take_of(py: Python, args: Args) -> Done {
    if args.len() == 0 || array_of(&args.get(py, 0)).is_none() {
        return NOT_PLAIN;
    }
    take(py, &args.get(py, 0), args.behind(1))
}

/// `a.tobytes()` of elements that are in memory one after the other.
pub(super) fn tobytes(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() => {
            let Some((_kept, first)) = array.bytes_at_rest() else { return NOT_PLAIN };
            // SAFETY: so many bytes, which are kept, and nobody writes them meanwhile.
            let bytes = unsafe { std::slice::from_raw_parts(first, array.nbytes()) };
            Ok(Some(PyBytes::new(py, bytes).into_any().unbind()))
        }
        _ => NOT_PLAIN,
    }
}

/// `a.fill(number)`
pub(super) fn fill(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 1, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    let number = args.get(py, 0);
    let Some(number) = convert::quick(&number).filter(|_| value::value(&number).is_none()) else { return NOT_PLAIN };
    Ok(attempt(py, || array.assign(number, Casting::Unsafe))?.map(|()| py.None()))
}
