//! The way into NumPy, through the Python module `legate_jit._fallback`, which counts.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyEllipsis, PyFloat, PyInt, PyList, PySlice, PyString, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python};
use smallvec::SmallVec;

use crate::value::Value;
use crate::{adopt, capi, dtypes, settings, value};

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

/// The same for calls from Python, whose plain forms need no Python here: arrays, numbers, words, and lists and tuples of numbers.
#[pyfunction]
pub fn run_in_numpy<'py>(
    name: &Bound<'py, PyString>,
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = name.py();
    if settings::fallback_is_error() {
        return find(py, &RUN, "run")?.call1((name, function, args, kwargs));
    }
    count(name)?;
    call_numpy(function, args, kwargs)
}

/// A method of NumPy's array (or scalar) of the same value, counted if it has a label.
#[pyfunction]
pub fn call_method<'py>(
    name: &Bound<'py, PyString>,
    label: Option<&Bound<'py, PyString>>,
    slf: &Bound<'py, Value>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = name.py();
    if value::is_scalar(slf) || settings::fallback_is_error() {
        let kind = if label.is_some() { "run_method" } else { "look" };
        let run = py.import(intern!(py, "legate_jit._fallback"))?.getattr(kind)?;
        return run.call1((name, slf, args, kwargs));
    }
    if let Some(label) = label {
        count(label)?;
    }
    let target = adopt::host(slf)?;
    let function = target.getattr(name)?;
    let result = call_real(&function, args, kwargs)?;
    match result {
        Real::Found(result, _) if result.is(&target) => Ok(slf.clone().into_any()),
        Real::Found(result, shared) => {
            // (The result may well be a view of the target, which is ours: that is found out by its base.)
            drop((function, target));
            ours(result, shared)
        }
        Real::Else(result) => Ok(result),
    }
}

fn count(name: &Bound<PyString>) -> PyResult<()> {
    static CALLS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let calls = find(name.py(), &CALLS, "calls")?.cast::<PyDict>()?;
    let before: u64 = calls.get_item(name)?.map_or(Ok(0), |n| n.extract())?;
    calls.set_item(name, before + 1)
}

/// The same without counting.
#[pyfunction]
pub fn call_numpy<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
) -> PyResult<Bound<'py, PyAny>> {
    match call_real(function, args, kwargs)? {
        Real::Found(result, shared) => ours(result, shared),
        Real::Else(result) => Ok(result),
    }
}

/// What a call of NumPy's gave.
enum Real<'py> {
    /// As it is, and whether somebody else may hold its memory.
    Found(Bound<'py, PyAny>, bool),
    /// Ours already.
    Else(Bound<'py, PyAny>),
}

fn call_real<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: &Bound<'py, PyDict>,
) -> PyResult<Real<'py>> {
    let py = function.py();
    if !kwargs.iter().all(|(_, value)| is_plain(&value)) {
        return Ok(Real::Else(run_uncounted(py, function, args, kwargs)?.into_bound(py)));
    }
    let (mut real, mut shared) = (SmallVec::<[Bound<PyAny>; 4]>::new(), false);
    for a in args.iter_borrowed() {
        // A real array among the arguments may come back, or a view of it.
        shared |= capi::is_array(&a);
        real.push(real_of(&a)?);
    }
    let result = function.call(PyTuple::new(py, real)?, Some(kwargs).filter(|k| !k.is_empty()))?;
    Ok(Real::Found(result, shared))
}

/// What NumPy gets in the place of an object: with its own views in the place of our arrays, also of those in it.
fn real_of<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static UNWRAP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = x.py();
    if value::is_array(x) {
        return adopt::host(x.cast()?);
    }
    if is_plain(x) || capi::is_array(x) {
        return Ok(x.clone());
    }
    // (As in Python's `unwrap`, what has no array of ours in it stays the very object.)
    let one = |item: Bound<'py, PyAny>| if value::is_array(&item) { adopt::host(item.cast()?) } else { Ok(item) };
    if let Ok(tuple) = x.cast_exact::<PyTuple>() {
        if tuple.iter_borrowed().all(|item| is_simple(&item)) {
            if !tuple.iter_borrowed().any(|item| value::is_array(&item)) {
                return Ok(x.clone());
            }
            let items = tuple.iter().map(one).collect::<PyResult<SmallVec<[_; 4]>>>()?;
            return Ok(PyTuple::new(py, items)?.into_any());
        }
    } else if let Ok(list) = x.cast_exact::<PyList>()
        && list.iter().all(|item| is_simple(&item))
    {
        if !list.iter().any(|item| value::is_array(&item)) {
            return Ok(x.clone());
        }
        let items = list.iter().map(one).collect::<PyResult<SmallVec<[_; 4]>>>()?;
        return Ok(PyList::new(py, items)?.into_any());
    }
    find(py, &UNWRAP, "unwrap")?.call1((x,))
}

/// An array of ours, or what has none in it.
fn is_simple(x: &Bound<PyAny>) -> bool {
    value::is_array(x) || is_plain(x) || x.is_exact_instance_of::<PyEllipsis>() || {
        let bound = |name| x.getattr(name).is_ok_and(|bound| is_plain(&bound));
        let py = x.py();
        x.is_exact_instance_of::<PySlice>()
            && bound(intern!(py, "start"))
            && bound(intern!(py, "stop"))
            && bound(intern!(py, "step"))
    }
}

/// A result of NumPy's as ours.
fn ours(result: Bound<PyAny>, shared: bool) -> PyResult<Bound<PyAny>> {
    static WRAP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = result.py();
    if capi::is_array(&result) {
        return match adopt::adopt_made(&result, shared)? {
            Some(array) => Ok(value::new_array(py, array)?.into_bound(py)),
            None => Ok(result),
        };
    }
    if is_plain(&result) { Ok(result) } else { find(py, &WRAP, "wrap")?.call1((result, shared)) }
}

/// What goes to NumPy, and comes from it, as it is.
fn is_plain(x: &Bound<PyAny>) -> bool {
    fn number(x: &Bound<PyAny>) -> bool {
        x.is_exact_instance_of::<PyFloat>() || x.is_exact_instance_of::<PyInt>() || x.is_exact_instance_of::<PyBool>()
    }
    number(x)
        || x.is_none()
        || x.is_exact_instance_of::<PyString>()
        || dtypes::of_scalar_type(x.py(), x.get_type_ptr()).is_some()
        || dtypes::quick(x).is_some()
        || x.cast_exact::<PyList>().is_ok_and(|list| list.iter().all(|item| number(&item)))
        || x.cast_exact::<PyTuple>().is_ok_and(|tuple| tuple.iter_borrowed().all(|item| number(&item)))
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
    let py = slf.py();
    if value::is_array(slf) && !settings::fallback_is_error() {
        count(intern!(py, "ndarray.__getitem__"))?;
        let result = adopt::host(slf.cast()?)?.get_item(real_of(key)?)?;
        return ours(result, false).map(Bound::unbind);
    }
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
