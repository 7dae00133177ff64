//! `np.ndenumerate`: the elements of an array with their indices.

use std::ffi::CStr;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};
use pyo3::{Bound, Py, PyAny, PyResult, Python};

use crate::flat::{Flat, coordinates};
use crate::lean::{Lean, Next, Own};
use crate::value;

#[pyclass(frozen, subclass, name = "ndenumerate", module = "numpy")]
pub struct Enumerated(Over);

enum Over {
    Ours(Flat),
    /// NumPy's own iterator, over what we have no array for.
    Real(Own),
}

impl Lean for Enumerated {
    const CALLED: &'static CStr = c"numpy.ndenumerate";
    const NEXT: Option<Next<Enumerated>> = Some(|all, py| {
        let flat = match &all.0 {
            Over::Ours(flat) => flat,
            Over::Real(real) => {
                return real.bind(py).try_iter()?.next().transpose().map(|item| item.map(Bound::unbind));
            }
        };
        let at = flat.index();
        let Some(element) = flat.following(py)? else { return Ok(None) };
        let place = PyTuple::new(py, coordinates(flat.array(py), at))?.into_any();
        Ok(Some(PyTuple::new(py, [place, element.into_bound(py)])?.into_any().unbind()))
    });

    fn class() -> &'static PyOnceLock<Py<PyType>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        &CLASS
    }
}

#[pymethods]
impl Enumerated {
    #[new]
    fn new(arr: &Bound<PyAny>) -> PyResult<Enumerated> {
        static ASARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        static REAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = arr.py();
        if value::is_array(arr) {
            return Ok(Enumerated(Over::Ours(Flat::over(py, arr)?)));
        }
        let made = ASARRAY.import(py, "legate_jit._native", "asarray")?.call1((arr,))?;
        if value::is_array(&made) {
            return Ok(Enumerated(Over::Ours(Flat::over(py, &made)?)));
        }
        let real = REAL.import(py, "numpy", "ndenumerate")?.call1((made,))?;
        Ok(Enumerated(Over::Real(Own::new(real))))
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Enumerated::NEXT.map_or(Ok(None), |next| next(self, py))
    }
}
