//! `a.flags`, as NumPy shows it.

use std::ffi::CStr;

use legate_jit_runtime::Array;
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyString, PyType};
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};

use crate::lean::{self, Get, Item, Lean, Own};
use crate::value::{self, Value};

#[pyclass(frozen, subclass, name = "flagsobj", module = "numpy._core.multiarray")]
pub struct Flags(Own);

impl Lean for Flags {
    const CALLED: &'static CStr = c"numpy._core.multiarray.flagsobj";
    const GETTERS: &'static [(&'static CStr, Get<Flags>)] = &[
        (c"c_contiguous", |f, py| truth(py, f.array(py).c_contiguous())),
        (c"f_contiguous", |f, py| truth(py, f.array(py).f_contiguous())),
        (c"owndata", |f, py| truth(py, !f.array(py).is_view())),
    ];

    const ITEM: Option<Item<Flags>> = Some(|f, name| truth(name.py(), f.__getitem__(name.py(), name)?));

    fn class() -> &'static PyOnceLock<Py<PyType>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        &CLASS
    }
}

fn truth(py: Python, is: bool) -> PyResult<Py<PyAny>> {
    Ok(PyBool::new(py, is).to_owned().into_any().unbind())
}

/// `a.flags` of an array or a scalar of ours.
pub fn new(a: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    lean::object(a.py(), Flags(Own::new(a.clone())))
}

/// The same for Python.
#[pyfunction]
pub fn flags_of(a: &Bound<Value>) -> PyResult<Py<PyAny>> {
    new(a)
}

impl Flags {
    fn array<'a>(&'a self, py: Python<'a>) -> &'a Array {
        value::value(self.0.bind(py)).expect("an array or a scalar of ours").get()
    }
}

#[pymethods]
impl Flags {
    #[getter]
    fn contiguous(&self, py: Python) -> bool {
        self.array(py).c_contiguous()
    }

    #[getter]
    fn fortran(&self, py: Python) -> bool {
        self.array(py).f_contiguous()
    }

    #[getter]
    fn writeable(&self, py: Python) -> bool {
        self.array(py).writable()
    }

    #[setter]
    fn set_writeable(&self, py: Python, new: &Bound<PyAny>) -> PyResult<()> {
        let (new, array) = (new.is_truthy()?, self.0.bind(py));
        if new {
            let base = array.getattr(intern!(py, "base"))?;
            if value::value(&base).is_some_and(|base: &Value| !base.get().writable()) {
                return Err(PyValueError::new_err("cannot set WRITEABLE flag to True of this array"));
            }
        }
        array.call_method1(intern!(py, "_set_writable"), (new,)).map(drop)
    }

    #[getter]
    fn aligned(&self) -> bool {
        true
    }

    #[getter]
    fn writebackifcopy(&self) -> bool {
        false
    }

    #[getter]
    fn fnc(&self, py: Python) -> bool {
        self.array(py).f_contiguous() && !self.array(py).c_contiguous()
    }

    #[getter]
    fn forc(&self, py: Python) -> bool {
        self.array(py).f_contiguous() || self.array(py).c_contiguous()
    }

    #[getter]
    fn behaved(&self, py: Python) -> bool {
        self.writeable(py)
    }

    #[getter]
    fn carray(&self, py: Python) -> bool {
        self.array(py).c_contiguous() && self.writeable(py)
    }

    /// NumPy asks whether one of F_CONTIGUOUS, ALIGNED and WRITEABLE is set.
    #[getter]
    fn farray(&self, py: Python) -> bool {
        !self.array(py).c_contiguous()
    }

    fn __getitem__(&self, py: Python, name: &Bound<PyAny>) -> PyResult<bool> {
        Ok(match name.extract::<&str>().unwrap_or_default() {
            "C_CONTIGUOUS" | "C" | "CONTIGUOUS" => self.array(py).c_contiguous(),
            "F_CONTIGUOUS" | "F" | "FORTRAN" => self.array(py).f_contiguous(),
            "OWNDATA" | "O" => !self.array(py).is_view(),
            "WRITEABLE" | "W" => self.writeable(py),
            "ALIGNED" | "A" => true,
            "WRITEBACKIFCOPY" | "X" => false,
            "FNC" => self.fnc(py),
            "FORC" => self.forc(py),
            "BEHAVED" | "B" => self.behaved(py),
            "CARRAY" | "CA" => self.carray(py),
            "FARRAY" | "FA" => self.farray(py),
            _ => return Err(PyKeyError::new_err("Unknown flag")),
        })
    }

    fn __setitem__(&self, py: Python, name: &Bound<PyAny>, new: &Bound<PyAny>) -> PyResult<()> {
        match name.extract::<&str>().unwrap_or_default() {
            "WRITEABLE" | "W" => self.set_writeable(py, new),
            _ => Err(PyKeyError::new_err("Unknown flag")),
        }
    }

    fn __repr__(&self, py: Python) -> PyResult<String> {
        let names = ["C_CONTIGUOUS", "F_CONTIGUOUS", "OWNDATA", "WRITEABLE", "ALIGNED", "WRITEBACKIFCOPY"];
        let mut words = String::new();
        for name in names {
            let is = if self.__getitem__(py, PyString::new(py, name).as_any())? { "True" } else { "False" };
            words += &format!("  {name} : {is}\n");
        }
        Ok(words)
    }

    fn __richcmp__<'py>(&self, py: Python<'py>, other: &Bound<'py, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
        let mine = PyString::new(py, &self.__repr__(py)?);
        match op {
            CompareOp::Eq | CompareOp::Ne => Ok(mine.as_any().rich_compare(other.repr()?, op)?.unbind()),
            _ => Ok(py.NotImplemented()),
        }
    }
}
