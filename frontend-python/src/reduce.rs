//! Reductions: Python's arguments read, the runtime's reduction recorded, or NumPy's run.

use legate_jit_ir::graph::Reducer;
use legate_jit_ir::{DType, Ufunc};
use legate_jit_runtime::{self as rt, Array, Operand, ReduceArgs};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python};

use crate::convert;
use crate::error::supported;
use crate::methods::{Ints, ints_arg};
use crate::value::{self, Value};
use crate::{dtypes, fallback};

type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// The keyword arguments of a reduction as Python gave them.
#[derive(Default, Clone, Copy)]
pub struct Options<'a, 'py> {
    pub axis: Given<'a, 'py>,
    pub dtype: Given<'a, 'py>,
    pub out: Given<'a, 'py>,
    pub keepdims: Given<'a, 'py>,
    pub initial: Given<'a, 'py>,
    pub r#where: Given<'a, 'py>,
}

/// Which reduction a method or function of this name is.
fn reducer(name: &str) -> Reducer {
    match name {
        "sum" => Reducer::Ufunc(Ufunc::Add),
        "prod" => Reducer::Ufunc(Ufunc::Multiply),
        "min" => Reducer::Ufunc(Ufunc::Minimum),
        "max" => Reducer::Ufunc(Ufunc::Maximum),
        "any" => Reducer::Ufunc(Ufunc::LogicalOr),
        "all" => Reducer::Ufunc(Ufunc::LogicalAnd),
        "argmin" => Reducer::ArgMin,
        "argmax" => Reducer::ArgMax,
        other => unreachable!("no reduction is called {other}"),
    }
}

fn is_no_value(obj: &Bound<PyAny>) -> bool {
    // NumPy's marker for "not given".
    static NO_VALUE: pyo3::sync::PyOnceLock<Py<PyAny>> = pyo3::sync::PyOnceLock::new();
    NO_VALUE.import(obj.py(), "numpy", "_NoValue").is_ok_and(|marker: &Bound<PyAny>| obj.is(marker))
}

fn given<'a, 'py>(x: Given<'a, 'py>) -> Given<'a, 'py> {
    x.filter(|x| !x.is_none() && !is_no_value(x))
}

/// The method `name` of an array.
pub fn reduce(name: &str, slf: &Bound<Value>, options: &Options) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    if let Some(done) = record(py, reducer(name), slf.get().get(), options)? {
        return Ok(done);
    }
    fallback::method(slf, name, &PyTuple::empty(py), Some(&to_kwargs(py, options)?))
}

/// A list or an array, and a tuple with a truth value in it, which are iterables of integers elsewhere.
fn are_no_axes(axis: &Bound<PyAny>) -> bool {
    match axis.cast::<PyTuple>() {
        Ok(tuple) => tuple.iter_borrowed().any(|i| i.is_instance_of::<PyBool>()),
        Err(_) => !axis.is_instance_of::<PyInt>() && axis.len().is_ok(),
    }
}

fn to_kwargs<'py>(py: Python<'py>, o: &Options<'_, 'py>) -> PyResult<Bound<'py, PyDict>> {
    let kwargs = PyDict::new(py);
    let all = [
        ("axis", o.axis),
        ("dtype", o.dtype),
        ("out", o.out),
        ("keepdims", o.keepdims),
        ("initial", o.initial),
        ("where", o.r#where),
    ];
    for (name, x) in all {
        if let Some(x) = given(x) {
            kwargs.set_item(name, x)?;
        }
    }
    Ok(kwargs)
}

/// Records a reduction; `None` where NumPy must do it.
pub fn record(py: Python, reducer: Reducer, array: &Array, o: &Options) -> PyResult<Option<Py<PyAny>>> {
    use Ufunc::{Fmax, Fmin, Maximum, Minimum};
    if matches!(reducer, Reducer::ArgMin | Reducer::ArgMax)
        && given(o.axis).is_some_and(|axis| axis.is_instance_of::<PyTuple>())
    {
        // NumPy's error: a place has one axis.
        return Ok(None);
    }
    let no_identity = matches!(reducer, Reducer::Ufunc(Minimum | Maximum | Fmin | Fmax));
    record_with(py, o, array.ndim(), no_identity, |args| rt::reduce(reducer, array, args))
}

/// The same for whatever takes a reduction's arguments (`mean`, `var`).
pub fn record_with(
    py: Python,
    o: &Options,
    ndim: usize,
    no_identity: bool,
    run: impl FnOnce(&ReduceArgs) -> Result<Array, rt::Error>,
) -> PyResult<Option<Py<PyAny>>> {
    if given(o.axis).is_some_and(are_no_axes) {
        // NumPy's error.
        return Ok(None);
    }
    let mut axes: Option<Ints> = given(o.axis).map(ints_arg).transpose()?;
    if ndim == 0 && axes.as_ref().is_some_and(|a| matches!(a[..], [0] | [-1])) {
        // NumPy takes these for a 0-d array, too.
        axes = None;
    }
    let mut dtype: Option<DType> = None;
    if let Some(d) = given(o.dtype) {
        match dtypes::parse(d)? {
            Ok(d) => dtype = Some(d),
            Err(_) => return Ok(None),
        }
    }
    let keepdims = match given(o.keepdims) {
        Some(k) => k.is_truthy()?,
        None => false,
    };
    let out = match given(o.out) {
        None => None,
        Some(obj) if value::is_array(obj) => value::value(obj).map(|v| (obj, v.get())),
        Some(obj) => match obj.cast::<PyTuple>() {
            Ok(_) | Err(_) => return Ok(None),
        },
    };
    let initial = match given(o.initial) {
        None => None,
        Some(x) => match convert::quick(x) {
            Some(Operand::Array(a)) if a.ndim() > 0 => return Ok(None),
            Some(op) => Some(op),
            None => return Ok(None),
        },
    };
    let mask = match given(o.r#where) {
        None => None,
        Some(w) if w.is(pyo3::types::PyBool::new(py, true)) => None,
        Some(w) => match value::value(w) {
            Some(v) if v.get().dtype() == DType::Bool => Some(v.get()),
            _ => return Ok(None),
        },
    };
    if mask.is_some() && initial.is_none() && no_identity {
        // NumPy's error.
        return Ok(None);
    }
    let args = ReduceArgs { axes: axes.as_deref(), keepdims, dtype, out: out.map(|o| o.1), initial, where_: mask };
    match supported(py, || run(&args))? {
        None => Ok(None),
        Some(array) => match out {
            Some((obj, _)) => Ok(Some(obj.clone().unbind())),
            None => value::result(py, array).map(Some),
        },
    }
}

/// `cumsum`, `cumprod`
pub fn accumulate(
    name: &str,
    op: Ufunc,
    slf: &Bound<Value>,
    axis: Given,
    dtype: Given,
    out: Given,
) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let mut of = given(axis).map(crate::methods::index_arg).transpose()?;
    if slf.get().get().ndim() == 0 && matches!(of, Some(0 | -1)) {
        of = None;
    }
    let kind = given(dtype).map(dtypes::parse).transpose()?;
    if given(out).is_none() && !matches!(kind, Some(Err(_))) {
        let kind = kind.and_then(|k| k.ok());
        if let Some(array) = supported(py, || rt::accumulate(op, slf.get().get(), of, kind))? {
            return value::new_array(py, array);
        }
    }
    let options = Options { axis, dtype, out, ..Options::default() };
    fallback::method(slf, name, &PyTuple::empty(py), Some(&to_kwargs(py, &options)?))
}
