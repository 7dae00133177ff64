//! Numbers between Python's objects and the registers of a nest.
//!
//! A boundary file: it looks at objects through Python's C interface.

use legate_jit_ir::{DType, Scalar};
use legate_jit_runtime::nest::Numbers;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::{capi, dtypes, error, value};

/// A number of ours is what NumPy would have there.
pub(super) fn as_seen<'py>(py: Python<'py>, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match number_of_ours(object) {
        Some(known) => Ok(capi::scalar(py, known)?.into_bound(py)),
        None => Ok(object.clone()),
    }
}

/// The value of a number of ours, computed if it is pending.
fn number_of_ours(object: &Bound<'_, PyAny>) -> Option<Scalar> {
    let array = value::value(object).filter(|_| value::is_scalar(object))?.array()?;
    array.known_scalar().or_else(|| error::guarded(object.py(), || array.item(0)).ok())
}

/// The type of elements by its name in `_nests`.
pub(super) fn element(name: &str) -> Option<DType> {
    DType::parse(name)
}

/// NumPy's type of a number of this kind.
fn type_of(kind: char) -> Option<DType> {
    match kind {
        'F' => Some(DType::F64),
        'S' => Some(DType::F32),
        'I' => Some(DType::I64),
        'B' => Some(DType::Bool),
        _ => None,
    }
}

pub(super) enum Number {
    Int(i64),
    Float(f64),
}

pub(super) fn is_float(kind: char) -> bool {
    matches!(kind, 'f' | 'F' | 'S' | 'E')
}

/// The value of a number that is exactly of this kind.
pub(super) fn number(py: Python<'_>, object: &Bound<'_, PyAny>, kind: char) -> Option<Number> {
    let p = object.as_ptr();
    // SAFETY: a live object, of which only the type is looked at first.
    unsafe {
        match kind {
            'i' if ffi::PyLong_CheckExact(p) != 0 => return object.extract().ok().map(Number::Int),
            'b' if ffi::PyBool_Check(p) != 0 => return Some(Number::Int((p == ffi::Py_True()) as i64)),
            'f' if ffi::PyFloat_CheckExact(p) != 0 => return Some(Number::Float(ffi::PyFloat_AsDouble(p))),
            'i' | 'b' | 'f' => return None,
            _ => {}
        }
    }
    let dtype = type_of(kind)?;
    let value = match number_of_ours(object) {
        Some(value) => value,
        None if dtypes::of_scalar_type(py, object.get_type_ptr()) == Some(dtype) => capi::scalar_value(object, dtype),
        None => return None,
    };
    match (value.dtype == dtype, dtype) {
        (false, _) => None,
        (_, DType::F64) => Some(Number::Float(f64::from_bits(value.bits[0]))),
        (_, DType::F32) => Some(Number::Float(f32::from_bits(value.bits[0] as u32) as f64)),
        (_, DType::Bool) => Some(Number::Int((value.bits[0] != 0) as i64)),
        _ => Some(Number::Int(value.bits[0] as i64)),
    }
}

pub(super) fn object_of<'py>(
    py: Python<'py>,
    kind: char,
    numbers: &Numbers,
    register: usize,
) -> PyResult<Bound<'py, PyAny>> {
    let int = || numbers.ints[register];
    let float = || numbers.floats[register];
    let scalar = |dtype, bits| Ok(capi::scalar(py, Scalar { dtype, bits: [bits, 0] })?.into_bound(py));
    match kind {
        'i' => Ok(int().into_pyobject(py)?.into_any()),
        'b' => Ok((int() != 0).into_pyobject(py)?.to_owned().into_any()),
        'f' => Ok(float().into_pyobject(py)?.into_any()),
        'S' => scalar(DType::F32, (float() as f32).to_bits() as u64),
        'I' => scalar(DType::I64, int() as u64),
        'B' => scalar(DType::Bool, (int() != 0) as u64),
        _ => scalar(DType::F64, float().to_bits()),
    }
}
