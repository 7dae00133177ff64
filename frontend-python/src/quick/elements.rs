//! Elements, one or all of them, as Python's objects; elements by their indices.
//!
//! A boundary file, as `quick.rs`.

use legate_jit_ir::{DType, Scalar};
use legate_jit_runtime::{self as rt, Array, Casting, Element, HostView, Operand, WeakScalar};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
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

/// A number that an array takes as it is, or as the float that it is.
fn fitting<'a>(array: &Array, number: &'a Bound<PyAny>) -> Option<Operand<'a>> {
    match (convert::quick(number)?, array.dtype()) {
        (one @ Operand::Weak(WeakScalar::Float(_)), DType::F64 | DType::F32) => Some(one),
        (one @ Operand::Weak(WeakScalar::Int(n)), DType::F64 | DType::I64) if n.unsigned_abs() < 1 << 53 => Some(one),
        (one @ Operand::Typed(n), dtype) if n.dtype == dtype => Some(one),
        _ => None,
    }
}

/// `a.put([1, 2], number)` of an array of one axis
pub(super) fn put(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 2, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    let (at, number) = (args.get(py, 0), args.get(py, 1));
    let Some(number) = fitting(array, &number) else { return NOT_PLAIN };
    if array.ndim() != 1 || !array.writable() {
        return NOT_PLAIN;
    }
    let index = match array_of(&at) {
        Some(index) => index.clone(),
        None => match int_list(&at)? {
            Some(index) => index,
            None => return NOT_PLAIN,
        },
    };
    if index.dtype() != DType::I64 || index.ndim() != 1 || index.size() == 0 {
        return NOT_PLAIN;
    }
    // (For places that are not there NumPy has the words.)
    let done = array.put_at(&[rt::IndexPart::Array(&index)], number, Casting::Unsafe);
    Ok(done.is_ok().then(|| py.None()))
}

/// `np.putmask(a, mask, number)`
pub(super) fn putmask(py: Python, args: Args) -> Done {
    if args.len() != 3 || args.has_names() {
        return NOT_PLAIN;
    }
    let number = args.get(py, 2);
    filled_where(py, args, &number)
}

/// `np.place(a, mask, [number])`
pub(super) fn place(py: Python, args: Args) -> Done {
    if args.len() != 3 || args.has_names() {
        return NOT_PLAIN;
    }
    let numbers = args.get(py, 2);
    match numbers.cast_exact::<PyList>() {
        Ok(list) if list.len() == 1 => filled_where(py, args, &list.get_item(0)?),
        _ => NOT_PLAIN,
    }
}

fn filled_where(py: Python, args: Args, number: &Bound<PyAny>) -> Done {
    let (a, mask) = (args.get(py, 0), args.get(py, 1));
    let (Some(array), Some(mask)) = (array_of(&a), array_of(&mask)) else { return NOT_PLAIN };
    let Some(number) = fitting(array, number) else { return NOT_PLAIN };
    if mask.dtype() != DType::Bool || mask.shape() != array.shape() || array.ndim() == 0 || !array.writable() {
        return NOT_PLAIN;
    }
    match attempt(py, || array.assign_selected(mask, number, Casting::Unsafe))? {
        Some(true) => Ok(Some(py.None())),
        _ => NOT_PLAIN,
    }
}

/// `a.__array__()`
pub(super) fn as_numpys(_: Python, a: &Bound<PyAny>, args: Args) -> Done {
    if args.len() > 0 || args.has_names() || array_of(a).is_none() {
        return NOT_PLAIN;
    }
    Ok(Some(adopt::host_array(a.cast()?)?.unbind()))
}

/// Bytes that are turned round on the stack.
const TURNED: usize = 1024;

/// `a.byteswap()` of few elements that lie together
pub(super) fn byteswap(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 0, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    let (n, dtype) = (array.nbytes(), array.dtype());
    if n > TURNED {
        return NOT_PLAIN;
    }
    let Some((_kept, first)) = array.bytes_at_rest() else { return NOT_PLAIN };
    let mut turned = [0; TURNED];
    // SAFETY: so many bytes, which are kept, and nobody writes them meanwhile.
    turned[..n].copy_from_slice(unsafe { std::slice::from_raw_parts(first, n) });
    // (Of a complex number each part for itself.)
    let unit = if dtype.is_complex() { dtype.size() / 2 } else { dtype.size() };
    turned[..n].chunks_exact_mut(unit).for_each(<[u8]>::reverse);
    value::new_array(py, direct(py, || Array::from_bytes(&turned[..n], array.shape(), dtype))?).map(Some)
}

/// `a.fill(number)`
pub(super) fn fill(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 1, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    let number = args.get(py, 0);
    let Some(number) = convert::quick(&number).filter(|_| value::value(&number).is_none()) else { return NOT_PLAIN };
    Ok(attempt(py, || array.assign(number, Casting::Unsafe))?.map(|()| py.None()))
}
