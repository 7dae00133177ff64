//! Python objects as operands of the runtime, and values as Python numbers.

use legate_jit_ir::{DType, Scalar};
use legate_jit_runtime::{Array, Operand, WeakScalar};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyComplexMethods, PyFloat, PyInt, PyList, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python, ffi};

use crate::value::value;
use crate::{adopt, capi, dtypes};

/// What an object is to us.
pub enum Arg<'a> {
    Quick(Operand<'a>),
    /// Made for this call: a NumPy array seen as ours, a list converted.
    Made(Array),
    /// Something that only NumPy understands: its types that we lack, subclasses, other libraries' arrays.
    Foreign,
}

impl Arg<'_> {
    pub fn operand(&self) -> Option<Operand<'_>> {
        match self {
            Arg::Quick(op) => Some(*op),
            Arg::Made(array) => Some(Operand::Array(array)),
            Arg::Foreign => None,
        }
    }
}

/// Numbers and arrays as operands, without making anything. `None`: see [`operand`] (and [`crate::picked`] for what a mask
/// selects).
#[inline]
pub fn quick<'a>(obj: &'a Bound<'_, PyAny>) -> Option<Operand<'a>> {
    if let Some(v) = value(obj) {
        return v.array().map(Operand::Array);
    }
    if obj.is_exact_instance_of::<PyFloat>() {
        // SAFETY: an exact float.
        return Some(Operand::Weak(WeakScalar::Float(unsafe { ffi::PyFloat_AsDouble(obj.as_ptr()) })));
    }
    if obj.is_exact_instance_of::<PyInt>() {
        return weak_int(obj);
    }
    if let Some(v) = capi::float64(obj) {
        return Some(Operand::Typed(Scalar::f64(v)));
    }
    rarer(obj)
}

#[inline(never)]
fn rarer<'a>(obj: &'a Bound<'_, PyAny>) -> Option<Operand<'a>> {
    if let Some(dtype) = dtypes::of_scalar_type(obj.py(), obj.get_type_ptr()) {
        return Some(Operand::Typed(capi::scalar_value(obj, dtype)));
    }
    if let Ok(b) = obj.cast_exact::<PyBool>() {
        return Some(Operand::Typed(Scalar::bool(b.is_true())));
    }
    if let Ok(c) = obj.cast_exact::<PyComplex>() {
        return Some(Operand::Weak(WeakScalar::Complex(c.real(), c.imag())));
    }
    None
}

#[inline]
fn weak_int<'a>(obj: &'a Bound<'_, PyAny>) -> Option<Operand<'a>> {
    let mut overflow = 0;
    // SAFETY: an exact int; errors cannot occur for one.
    let v = unsafe { ffi::PyLong_AsLongLongAndOverflow(obj.as_ptr(), &mut overflow) };
    if overflow == 0 {
        return Some(Operand::Weak(WeakScalar::Int(v as i128)));
    }
    obj.extract::<i128>().ok().map(|v| Operand::Weak(WeakScalar::Int(v)))
}

/// Any object as an operand.
pub fn operand<'a>(obj: &'a Bound<'_, PyAny>) -> PyResult<Arg<'a>> {
    if let Some(op) = quick(obj) {
        return Ok(Arg::Quick(op));
    }
    if let Some(v) = value(obj) {
        return Ok(Arg::Quick(Operand::Array(v.get())));
    }
    Ok(match array_like(obj)? {
        Some(array) => Arg::Made(array),
        None => Arg::Foreign,
    })
}

/// NumPy arrays, lists and tuples as arrays of ours; `None` for what only NumPy understands.
pub fn array_like(obj: &Bound<PyAny>) -> PyResult<Option<Array>> {
    if let Some(v) = value(obj) {
        return Ok(Some(v.get().clone()));
    }
    if capi::is_exact_array(obj) {
        return adopt::adopt(obj, true);
    }
    if obj.is_exact_instance_of::<PyList>() || obj.is_exact_instance_of::<PyTuple>() {
        let real = adopt::numpy_array(obj)?;
        return if capi::is_exact_array(&real) { adopt::adopt(&real, false) } else { Ok(None) };
    }
    Ok(None)
}

/// A Python number for a value of ours.
pub fn to_python(py: Python<'_>, s: Scalar) -> PyResult<Py<PyAny>> {
    Ok(match s.dtype {
        DType::Bool => PyBool::new(py, s.bits[0] != 0).to_owned().into_any().unbind(),
        DType::F32 | DType::F64 => PyFloat::new(py, s.as_f64()).into_any().unbind(),
        DType::C64 | DType::C128 => {
            let (re, im) = s.as_c128();
            PyComplex::from_doubles(py, re, im).into_any().unbind()
        }
        DType::U64 => s.bits[0].into_pyobject(py)?.into_any().unbind(),
        _ => (s.as_i128() as i64).into_pyobject(py)?.into_any().unbind(),
    })
}
