//! What only arrays have: items, length, iteration; and what only scalars have.

use std::sync::atomic::{AtomicUsize, Ordering};

use legate_jit_runtime::Index;
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyEllipsis, PyTuple, PyType};
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};

use crate::error::guarded;
use crate::value::{self, NdArray, NdScalar};
use crate::{adopt, capi, dtypes, index, operators};

type Obj<'a, 'py> = &'a Bound<'py, PyAny>;

#[pymethods]
impl NdArray {
    fn __getitem__(slf: &Bound<'_, Self>, key: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        index::get(slf, slf.as_super().get(), key)
    }

    fn __setitem__(slf: &Bound<'_, Self>, key: Obj<'_, '_>, new: Obj<'_, '_>) -> PyResult<()> {
        index::set(slf, slf.as_super().get(), key, new)
    }

    fn __delitem__(_slf: &Bound<'_, Self>, _key: Obj<'_, '_>) -> PyResult<()> {
        Err(PyValueError::new_err("cannot delete array elements"))
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        match slf.as_super().get().get().shape().first() {
            Some(&n) => Ok(n),
            None => Err(PyTypeError::new_err("len() of unsized object")),
        }
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Rows>> {
        let array = slf.as_super().get().get();
        if array.ndim() == 0 {
            return Err(PyTypeError::new_err("iteration over a 0-d array"));
        }
        if array.ndim() == 1 && array.size() > 8 {
            // A loop over elements asks for their values.
            let array = array.clone();
            adopt::detached(slf.py(), || array.item(0))?;
        }
        Bound::new(slf.py(), Rows { array: slf.clone().unbind(), next: AtomicUsize::new(0) })
    }

    fn __reversed__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let array = slf.as_super().get().get();
        if array.ndim() == 0 {
            return Err(PyTypeError::new_err("len() of unsized object"));
        }
        let back = Index::Slice { start: None, stop: None, step: Some(-1) };
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

/// The iterator over an array's first axis.
#[pyclass(frozen, name = "rows", module = "legate_jit")]
pub struct Rows {
    array: Py<NdArray>,
    next: AtomicUsize,
}

#[pymethods]
impl Rows {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Option<Py<PyAny>>> {
        let py = slf.py();
        let rows = slf.get();
        let array = rows.array.bind(py).as_super().get().get();
        let i = rows.next.fetch_add(1, Ordering::Relaxed);
        if i >= array.shape()[0] {
            return Ok(None);
        }
        if array.ndim() == 1 {
            return index::element(py, array, &[i as i64]).map(Some);
        }
        let row = guarded(py, || array.index(&[Index::Int(i as i64)]))?;
        value::new_array(py, row).map(Some)
    }
}

#[pymethods]
impl NdScalar {
    /// To `isinstance` this is NumPy's own scalar type.
    #[getter]
    fn __class__<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyType> {
        dtypes::scalar_type(slf.py(), slf.as_super().get().get().dtype()).bind(slf.py()).clone()
    }

    /// Python inherits comparison and hash together or not at all.
    fn __richcmp__(slf: &Bound<'_, Self>, other: Obj<'_, '_>, op: CompareOp) -> PyResult<Py<PyAny>> {
        operators::compare(slf, other, op)
    }

    fn __hash__(slf: &Bound<'_, Self>) -> PyResult<isize> {
        adopt::host(slf.as_super())?.hash()
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
}
