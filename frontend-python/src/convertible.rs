//! Values leaving the recorder: numbers, text, NumPy arrays, buffers, pickles; and what is known without computing.

use legate_jit_ir::{DType, Scalar};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};

use crate::error::guarded;
use crate::value::{self, Value};
use crate::{adopt, capi, convert};

type Obj<'a, 'py> = &'a Bound<'py, PyAny>;

/// NumPy's rule for `float(a)` and its kin.
fn only_0d(v: &Value) -> PyResult<()> {
    if v.get().ndim() > 0 {
        return Err(PyTypeError::new_err("only 0-dimensional arrays can be converted to Python scalars"));
    }
    Ok(())
}

fn item(slf: &Bound<Value>) -> PyResult<Scalar> {
    adopt::item(slf.py(), slf.get().get())
}

#[inline]
pub fn is_true(slf: &Bound<'_, Value>) -> PyResult<bool> {
    if let Some(number) = slf.get().get().known_scalar() {
        return Ok(truth(number));
    }
    match slf.get().get().size() {
        1 => Ok(truth(item(slf)?)),
        0 => Err(PyValueError::new_err(
            "The truth value of an empty array is ambiguous. Use `array.size > 0` to check that an array is not empty.",
        )),
        _ => Err(PyValueError::new_err(
            "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()",
        )),
    }
}

#[inline]
pub fn to_float(slf: &Bound<'_, Value>) -> PyResult<Py<PyAny>> {
    if let Some(number) = slf.get().get().known_scalar()
        && number.dtype == DType::F64
    {
        return convert::to_python(slf.py(), number);
    }
    only_0d(slf.get())?;
    let s = item(slf)?;
    if s.dtype.is_complex() {
        return complex_number(slf.py(), s, "float");
    }
    convert::to_python(slf.py(), Scalar::f64(s.as_f64()))
}

pub fn to_int(slf: &Bound<'_, Value>) -> PyResult<Py<PyAny>> {
    only_0d(slf.get())?;
    let s = item(slf)?;
    if s.dtype.is_complex() {
        return complex_number(slf.py(), s, "int");
    }
    Ok(convert::to_python(slf.py(), s)?.bind(slf.py()).call_method0(intern!(slf.py(), "__int__"))?.unbind())
}

pub fn to_index(slf: &Bound<'_, Value>) -> PyResult<Py<PyAny>> {
    let array = slf.get().get();
    if value::is_scalar(slf) && !array.dtype().is_integer() {
        let name = array.dtype().numpy_name();
        return Err(PyTypeError::new_err(format!("'numpy.{name}' object cannot be interpreted as an integer")));
    }
    if array.ndim() > 0 || !array.dtype().is_integer() {
        return Err(PyTypeError::new_err("only integer scalar arrays can be converted to a scalar index"));
    }
    convert::to_python(slf.py(), item(slf)?)
}

/// The hash of the number, which is its dtype's own matter.
pub fn hash(slf: &Bound<Value>) -> PyResult<isize> {
    adopt::host(slf)?.hash()
}

#[pymethods]
impl Value {
    fn __complex__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        only_0d(slf.get())?;
        let (re, im) = item(slf)?.as_c128();
        convert::to_python(slf.py(), Scalar::c128(re, im))
    }

    fn __repr__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyString>> {
        adopt::look_at(slf)?.repr()
    }

    fn __str__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyString>> {
        adopt::look_at(slf)?.str()
    }

    fn __format__<'py>(slf: &Bound<'py, Self>, spec: Obj<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
        adopt::look_at(slf)?.call_method1(intern!(slf.py(), "__format__"), (spec,))
    }

    #[pyo3(signature = (dtype=None, *, copy=None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let host = adopt::host_array(slf)?;
        if dtype.is_none() && copy != Some(true) {
            return Ok(host);
        }
        let kwargs = PyDict::new(py);
        kwargs.set_item("copy", copy)?;
        if let Some(d) = dtype {
            kwargs.set_item("dtype", d)?;
        }
        py.import("numpy")?.getattr("array")?.call((host,), Some(&kwargs))
    }

    #[getter]
    fn __array_interface__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        adopt::host_array(slf)?.getattr("__array_interface__")
    }

    #[getter]
    fn __array_struct__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        adopt::host_array(slf)?.getattr("__array_struct__")
    }

    #[classattr]
    fn __array_priority__() -> f64 {
        1000.0
    }

    #[pyo3(signature = (**kwargs))]
    fn __dlpack__<'py>(slf: &Bound<'py, Self>, kwargs: Option<&Bound<'py, PyDict>>) -> PyResult<Bound<'py, PyAny>> {
        adopt::host_array(slf)?.call_method("__dlpack__", (), kwargs)
    }

    /// Our arrays are in the memory of the CPU.
    fn __dlpack_device__(&self) -> (i32, i32) {
        (1, 0)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let name = if value::is_array(slf) { "_unpickle_array" } else { "_unpickle_scalar" };
        let restore = py.import("legate_jit._native")?.getattr(name)?;
        (restore, (adopt::look_at(slf)?,)).into_pyobject(py)
    }

    fn __copy__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        if value::is_scalar(slf) {
            return Ok(slf.clone().into_any().unbind());
        }
        value::new_array(slf.py(), guarded(slf.py(), || slf.get().get().copy(true))?)
    }

    fn __deepcopy__(slf: &Bound<'_, Self>, _memo: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        Self::__copy__(slf)
    }

    #[pyo3(signature = (ufunc, method, *inputs, **kwargs))]
    fn __array_ufunc__(
        slf: &Bound<'_, Self>,
        ufunc: Obj<'_, '_>,
        method: Obj<'_, '_>,
        inputs: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let dispatch = slf.py().import("legate_jit._dispatch")?.getattr("array_ufunc")?;
        Ok(dispatch.call1((ufunc, method, inputs, kwargs))?.unbind())
    }

    fn __array_function__(
        slf: &Bound<'_, Self>,
        func: Obj<'_, '_>,
        types: Obj<'_, '_>,
        args: Obj<'_, '_>,
        kwargs: Obj<'_, '_>,
    ) -> PyResult<Py<PyAny>> {
        let dispatch = slf.py().import("legate_jit._dispatch")?.getattr("array_function")?;
        Ok(dispatch.call1((func, types, args, kwargs))?.unbind())
    }

    #[getter]
    fn itemsize(&self) -> usize {
        self.element_type().size()
    }

    #[getter]
    fn nbytes(&self) -> usize {
        self.get().nbytes()
    }

    #[getter]
    fn strides<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(slf.py(), slf.get().get().strides().iter())
    }

    /// The array that a view is a part of.
    #[getter]
    fn base(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let array = slf.get().get();
        if value::is_scalar(slf) || !array.is_view() {
            return Ok(slf.py().None());
        }
        value::new_array(slf.py(), array.whole_base())
    }

    #[getter]
    fn data<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        adopt::host(slf)?.getattr("data")
    }

    #[getter]
    fn device(&self) -> &'static str {
        "cpu"
    }

    #[pyo3(signature = (*, api_version=None))]
    fn __array_namespace__<'py>(
        slf: &Bound<'py, Self>,
        api_version: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = api_version;
        Ok(slf.py().import("legate_jit.numpy")?.into_any())
    }

    #[pyo3(signature = (*args))]
    fn item(slf: &Bound<'_, Self>, args: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        if args.is_empty() && slf.get().get().size() == 1 {
            return convert::to_python(slf.py(), item(slf)?);
        }
        Ok(adopt::look_at(slf)?.call_method1("item", args)?.unbind())
    }

    fn tolist<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        adopt::look_at(slf)?.call_method0("tolist")
    }

    fn __sizeof__(slf: &Bound<'_, Self>) -> usize {
        let array = slf.get().get();
        112 + if array.is_view() { 0 } else { array.nbytes() }
    }
}

/// NumPy warns, and gives the real part.
fn complex_number(py: Python<'_>, s: Scalar, class: &str) -> PyResult<Py<PyAny>> {
    Ok(py.import("builtins")?.getattr(class)?.call1((capi::scalar(py, s)?,))?.unbind())
}

pub fn truth(s: Scalar) -> bool {
    match s.dtype {
        DType::F32 | DType::F64 | DType::C64 | DType::C128 => {
            let (re, im) = s.as_c128();
            re != 0.0 || im != 0.0
        }
        _ => s.bits[0] != 0,
    }
}
