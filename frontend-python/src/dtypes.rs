//! Element types as Python sees them: NumPy's own dtype objects and scalar types, each fetched once.

use legate_jit_ir::DType;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use pyo3::{Bound, Py, PyAny, PyResult, Python, ffi};

use crate::value;

struct Table {
    descrs: [Py<PyAny>; 13],
    /// `numpy.float64` and so on.
    scalars: [Py<PyType>; 13],
    /// `numpy.dtype`
    dtype: Py<PyAny>,
}

static TABLE: PyOnceLock<Table> = PyOnceLock::new();

/// Fetches the objects. Called once, when the module is imported.
pub fn init(py: Python) -> PyResult<()> {
    let dtype = py.import("numpy")?.getattr("dtype")?;
    let mut descrs = Vec::new();
    let mut scalars = Vec::new();
    for d in DType::ALL {
        let descr = dtype.call1((d.numpy_name(),))?;
        scalars.push(descr.getattr("type")?.cast_into::<PyType>()?.unbind());
        descrs.push(descr.unbind());
    }
    let table = Table {
        descrs: descrs.try_into().expect("13 types"),
        scalars: scalars.try_into().expect("13 types"),
        dtype: dtype.unbind(),
    };
    let _ = TABLE.set(py, table);
    Ok(())
}

fn table(py: Python) -> &'static Table {
    TABLE.get(py).expect("initialised at import")
}

/// NumPy's dtype object.
pub fn descr(py: Python<'_>, dtype: DType) -> &'static Py<PyAny> {
    &table(py).descrs[dtype as usize]
}

pub fn descr_ptr(py: Python<'_>, dtype: DType) -> *mut ffi::PyObject {
    descr(py, dtype).as_ptr()
}

/// The class of NumPy's scalars of this type.
pub fn scalar_type(py: Python<'_>, dtype: DType) -> &'static Py<PyType> {
    &table(py).scalars[dtype as usize]
}

/// The type whose NumPy scalar class this is.
pub fn of_scalar_type(py: Python, ty: *mut ffi::PyTypeObject) -> Option<DType> {
    let found = table(py).scalars.iter().position(|s| s.as_ptr() as *mut ffi::PyTypeObject == ty)?;
    Some(DType::ALL[found])
}

/// The type that a dtype object stands for, `None` for those that we do not have (other byte orders included).
pub fn of_descr(py: Python, descr: *mut ffi::PyObject) -> Option<DType> {
    if let Some(found) = table(py).descrs.iter().position(|d| d.as_ptr() == descr) {
        return Some(DType::ALL[found]);
    }
    // Equal but not identical: `long long`, which has a code of its own, or a dtype made with metadata.
    // SAFETY: the pointer is that of a live dtype object.
    let descr = unsafe { Bound::from_borrowed_ptr(py, descr) };
    table(py).descrs.iter().position(|d| descr.eq(d.bind(py)).unwrap_or(false)).map(|i| DType::ALL[i])
}

/// The types that programs name by NumPy's or Python's own objects.
pub fn quick(obj: &Bound<PyAny>) -> Option<DType> {
    let p = obj.as_ptr();
    let (float, int) = (&raw mut ffi::PyFloat_Type, &raw mut ffi::PyLong_Type);
    let (bool, complex) = (&raw mut ffi::PyBool_Type, &raw mut ffi::PyComplex_Type);
    let ty = p.cast::<ffi::PyTypeObject>();
    match ty {
        _ if ty == float => return Some(DType::F64),
        _ if ty == int => return Some(DType::I64),
        _ if ty == bool => return Some(DType::Bool),
        _ if ty == complex => return Some(DType::C128),
        _ => {}
    }
    let t = table(obj.py());
    let found =
        t.scalars.iter().position(|s| s.as_ptr() == p).or_else(|| t.descrs.iter().position(|d| d.as_ptr() == p))?;
    Some(DType::ALL[found])
}

/// What a `dtype=` argument means: `Ok(Err(dtype))` is a NumPy type that we do not have.
pub fn parse<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Result<DType, Bound<'py, PyAny>>> {
    let py = obj.py();
    if let Some(d) = quick(obj) {
        return Ok(Ok(d));
    }
    if value::is_array(obj) {
        return Err(PyTypeError::new_err("Cannot construct a dtype from an array"));
    }
    let descr = table(py).dtype.bind(py).call1((obj,))?;
    Ok(match of_descr(py, descr.as_ptr()) {
        Some(d) => Ok(d),
        None => Err(descr),
    })
}
