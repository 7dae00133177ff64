//! Errors of the runtime as Python exceptions of NumPy's classes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use legate_jit_runtime::Error;
use pyo3::exceptions::{
    PyIndexError, PyMemoryError, PyOverflowError, PyRuntimeError, PyTypeError, PyValueError, PyZeroDivisionError,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use pyo3::{Py, PyErr, PyResult, Python};

static AXIS_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static LINALG_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static UFUNC_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// The exception that NumPy would raise.
#[cold]
pub fn raise(py: Python, e: Error) -> PyErr {
    let numpy = |cell: &PyOnceLock<Py<PyType>>, module: &str, name: &str, message: String| match cell
        .import(py, module, name)
        .and_then(|class| class.call1((message.clone(),)))
    {
        Ok(value) => PyErr::from_value(value),
        Err(_) => PyRuntimeError::new_err(message),
    };
    match e {
        Error::Value(m) => PyValueError::new_err(m),
        Error::Type(m) => PyTypeError::new_err(m),
        Error::Index(m) => PyIndexError::new_err(m),
        Error::Overflow(m) => PyOverflowError::new_err(m),
        Error::Axis(m) => numpy(&AXIS_ERROR, "numpy.exceptions", "AxisError", m),
        Error::LinAlg(m) => numpy(&LINALG_ERROR, "numpy.linalg", "LinAlgError", m),
        Error::UfuncType(m) => numpy(&UFUNC_ERROR, "legate_jit._errors", "UFuncTypeError", m),
        Error::Memory(m) => PyMemoryError::new_err(m),
        Error::ZeroDivision(m) => PyZeroDivisionError::new_err(m),
        Error::Runtime(m) | Error::Unsupported(m) => PyRuntimeError::new_err(m),
    }
}

/// Runs what may take long or may find a broken invariant of ours: a panic becomes a RuntimeError, so that the session
/// goes on.
pub fn guarded<T>(py: Python, f: impl FnOnce() -> Result<T, Error>) -> PyResult<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(e)) => Err(raise(py, e)),
        Err(panic) => Err(broken(panic)),
    }
}

/// What a panic becomes: it found one of our own rules broken.
#[cold]
pub fn broken(panic: Box<dyn Any + Send>) -> PyErr {
    let what = panic
        .downcast_ref::<&str>()
        .map(|s| s.to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown".into());
    PyRuntimeError::new_err(format!(
        "legate_jit broke one of its own rules: {what}. Please report this, with the output of the program run under \
         LEGATE_JIT_DUMP=all"
    ))
}

/// The same for what a slot or a quick function calls: those catch panics themselves, and a result that is caught on its way
/// takes as long to be moved about as a record.
#[inline(always)]
pub fn direct<T>(py: Python, f: impl FnOnce() -> Result<T, Error>) -> PyResult<T> {
    match f() {
        Ok(value) => Ok(value),
        Err(e) => Err(raise(py, e)),
    }
}

/// While `np.errstate` or `np.seterr` ask for exceptions or calls at floating point errors, NumPy does the arithmetic: it
/// looks for them operation by operation, which a fused kernel cannot.
static STRICT: AtomicBool = AtomicBool::new(false);

pub fn is_strict() -> bool {
    STRICT.load(Ordering::Relaxed)
}

#[pyfunction]
pub fn set_strict(strict: bool) {
    STRICT.store(strict, Ordering::Relaxed);
}

/// Runs what the runtime may leave to NumPy: `None` where it does.
#[inline]
pub fn supported<T>(py: Python, f: impl FnOnce() -> Result<T, Error>) -> PyResult<Option<T>> {
    if STRICT.load(Ordering::Relaxed) {
        return Ok(None);
    }
    guarded(py, || match f() {
        Ok(value) => Ok(Some(value)),
        Err(Error::Unsupported(_)) => Ok(None),
        Err(e) => Err(e),
    })
}

/// As [`supported`], where [`direct`] is as good as [`guarded`].
#[inline(always)]
pub fn attempt<T>(py: Python, f: impl FnOnce() -> Result<T, Error>) -> PyResult<Option<T>> {
    if STRICT.load(Ordering::Relaxed) {
        return Ok(None);
    }
    match f() {
        Ok(value) => Ok(Some(value)),
        Err(Error::Unsupported(_)) => Ok(None),
        Err(e) => Err(raise(py, e)),
    }
}
