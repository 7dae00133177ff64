//! What only arrays have as sequences, and what only scalars have. Items, length and iteration are in `slots.rs`.

use legate_jit_runtime::Index;
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyEllipsis, PyString, PyTuple, PyType};
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};

use crate::error::guarded;
use crate::value::{self, NdArray, NdScalar};
use crate::{adopt, capi, dtypes, fallback, operators};

type Obj<'a, 'py> = &'a Bound<'py, PyAny>;

#[pymethods]
impl NdArray {
    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let array = slf.as_super().get().get();
        if array.ndim() == 0 {
            return Err(PyTypeError::new_err("len() of unsized object"));
        }
        let back = Index::slice(None, None, Some(-1));
        let turned = guarded(py, || array.index(&[back]))?;
        value::new_array(py, turned)?.into_bound(py).try_iter().map(|i| i.into_any())
    }

    fn __contains__(slf: &Bound<'_, Self>, item: Obj<'_, '_>) -> PyResult<bool> {
        operators::binary(legate_jit_ir::Ufunc::Equal, slf, item)?
            .bind(slf.py())
            .call_method0(intern!(slf.py(), "any"))?
            .is_truthy()
    }

    #[classmethod]
    fn __class_getitem__(cls: &Bound<'_, PyType>, _item: Obj<'_, '_>) -> Py<PyAny> {
        cls.clone().into_any().unbind()
    }

    #[new]
    #[pyo3(signature = (shape, dtype=None, buffer=None, offset=0, strides=None, order=None))]
    fn new(
        py: Python<'_>,
        shape: Bound<'_, PyAny>,
        dtype: Option<Bound<'_, PyAny>>,
        buffer: Option<Bound<'_, PyAny>>,
        offset: isize,
        strides: Option<Bound<'_, PyAny>>,
        order: Option<Bound<'_, PyAny>>,
    ) -> PyResult<PyClassInitializer<NdArray>> {
        let class = py.import("numpy")?.getattr("ndarray")?;
        let dtype = dtype.unwrap_or_else(|| dtypes::descr(py, legate_jit_ir::DType::F64).bind(py).clone());
        let real = class.call1((shape, dtype, buffer, offset, strides, order))?;
        match adopt::adopt(&real, true)? {
            Some(array) => Ok(value::init_array(array)),
            None => Err(PyTypeError::new_err("this type of element is NumPy's alone: use numpy.ndarray")),
        }
    }
}

#[pymethods]
impl NdScalar {
    /// To `isinstance` this is NumPy's own scalar type.
    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyType> {
        dtypes::scalar_type(slf.py(), slf.as_super().get().get().dtype()).bind(slf.py()).clone()
    }

    #[getter]
    fn shape<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyTuple> {
        PyTuple::empty(slf.py())
    }

    fn __getitem__(slf: &Bound<'_, Self>, key: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        let empty = key.cast::<PyTuple>().is_ok_and(|t| t.is_empty());
        if empty {
            return Ok(slf.clone().into_any().unbind());
        }
        let dots = |k: &Bound<PyAny>| k.is_instance_of::<PyEllipsis>() || k.is_none();
        if dots(key) || key.cast::<PyTuple>().is_ok_and(|t| t.iter().all(|k| dots(&k))) {
            let array = slf.as_super().get().get();
            let new = if key.is_none() { 1 } else { 0 };
            if new == 0 && key.is_instance_of::<PyEllipsis>() {
                return value::own_array(slf.py(), array);
            }
            let real = capi::scalar(slf.py(), adopt::item(slf.py(), array)?)?;
            return crate::fallback::wrap(&real.bind(slf.py()).get_item(key)?);
        }
        Err(PyIndexError::new_err("invalid index to scalar variable."))
    }

    #[pyo3(signature = (ndigits=None))]
    fn __round__<'py>(slf: &Bound<'py, Self>, ndigits: Option<Obj<'_, 'py>>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let real = adopt::host(slf.as_super())?;
        match ndigits {
            Some(n) => real.call_method1(intern!(py, "__round__"), (n,)),
            None => real.call_method0(intern!(py, "__round__")),
        }
    }

    fn __bytes__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import("builtins")?.getattr("bytes")?.call1((adopt::host(slf.as_super())?,))
    }

    /// Whatever else NumPy's scalars have.
    fn __getattr__(slf: &Bound<'_, Self>, name: &Bound<'_, PyString>) -> PyResult<Py<PyAny>> {
        fallback::attribute(slf, name)
    }
}
