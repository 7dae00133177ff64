//! The way into NumPy, through the Python module `legate_jit._fallback`, which counts.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python};

static RUN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static RUN_METHOD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static GET_ITEM: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static SET_ITEM: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

fn find<'a, 'py>(py: Python<'py>, cell: &'a PyOnceLock<Py<PyAny>>, name: &str) -> PyResult<&'a Bound<'py, PyAny>> {
    cell.import(py, "legate_jit._fallback", name)
}

/// Calls a function of NumPy's with the same arguments, in which our arrays are NumPy's views of them.
pub fn run(
    py: Python<'_>,
    name: &str,
    function: &Bound<PyAny>,
    args: &Bound<PyTuple>,
    kwargs: Option<&Bound<PyDict>>,
) -> PyResult<Py<PyAny>> {
    let kwargs = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
    Ok(find(py, &RUN, "run")?.call1((name, function, args, kwargs))?.unbind())
}

/// Calls `numpy.<name>`.
pub fn numpy(py: Python<'_>, name: &str, args: &Bound<PyTuple>, kwargs: Option<&Bound<PyDict>>) -> PyResult<Py<PyAny>> {
    let function = py.import("numpy")?.getattr(name)?;
    run(py, name, &function, args, kwargs)
}

/// Calls a method of NumPy's array.
pub fn method(
    slf: &Bound<PyAny>,
    name: &str,
    args: &Bound<PyTuple>,
    kwargs: Option<&Bound<PyDict>>,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let kwargs = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
    Ok(find(py, &RUN_METHOD, "run_method")?.call1((name, slf, args, kwargs))?.unbind())
}

pub fn get_item(slf: &Bound<PyAny>, key: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    Ok(find(slf.py(), &GET_ITEM, "get_item")?.call1((slf, key))?.unbind())
}

pub fn set_item(slf: &Bound<PyAny>, key: &Bound<PyAny>, new: &Bound<PyAny>) -> PyResult<()> {
    find(slf.py(), &SET_ITEM, "set_item")?.call1((slf, key, new))?;
    Ok(())
}

/// An attribute that only NumPy's arrays and scalars have.
pub fn attribute(slf: &Bound<PyAny>, name: &Bound<pyo3::types::PyString>) -> PyResult<Py<PyAny>> {
    static ATTRIBUTE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(find(slf.py(), &ATTRIBUTE, "value_attribute")?.call1((slf, name))?.unbind())
}

/// A result of NumPy's as ours.
pub fn wrap(obj: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    static WRAP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(find(obj.py(), &WRAP, "wrap")?.call1((obj,))?.unbind())
}

/// The same for what is NumPy's by design (making arrays, drawing numbers).
pub fn run_uncounted(
    py: Python<'_>,
    function: &Bound<PyAny>,
    args: &Bound<PyTuple>,
    kwargs: &Bound<PyDict>,
) -> PyResult<Py<PyAny>> {
    static RUN_UNCOUNTED: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(find(py, &RUN_UNCOUNTED, "run_uncounted")?.call1((function, args, kwargs))?.unbind())
}
