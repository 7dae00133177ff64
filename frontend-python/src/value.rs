//! The Python classes of arrays and of their scalars.
//!
//! [`Value`] holds the runtime's handle and everything that both have; `ndarray` and `scalar` derive from it. A scalar is
//! what NumPy returns where the result has no axes (`a.sum()`, `a[0]`): a 0-d array that nothing can write to, not computed
//! until its value is asked for, which says of itself (`__class__`) that it is NumPy's `float64`.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicPtr, Ordering};

use legate_jit_runtime::Array;
use pyo3::prelude::*;
use pyo3::{Bound, Py, PyAny, PyClassInitializer, PyResult, Python, ffi};

use crate::slots;

/// The state of an array handle. The interpreter lock is its lock.
struct Held(UnsafeCell<Array>);
// SAFETY: only reached with the interpreter lock held (through `Bound`), see `Value::get` and `Value::set`.
unsafe impl Send for Held {}
// SAFETY: as above.
unsafe impl Sync for Held {}

/// What arrays and scalars have in common.
#[pyclass(frozen, subclass, name = "value", module = "legate_jit")]
pub struct Value {
    held: Held,
}

/// What only arrays have. The class of the objects themselves derives from it (`slots.rs`).
#[pyclass(frozen, extends = Value, subclass, name = "array", module = "legate_jit")]
pub struct NdArray;

/// What only scalars have; as above.
#[pyclass(frozen, mapping, extends = Value, subclass, name = "generic", module = "legate_jit")]
pub struct NdScalar;

impl Value {
    pub fn new(array: Array) -> Value {
        Value { held: Held(UnsafeCell::new(array)) }
    }

    /// The handle. Not to be kept over a call that may run Python code or give up the lock; clone it there.
    #[inline(always)]
    pub fn get(&self) -> &Array {
        // SAFETY: the lock is held by whoever has a reference to a Python object's insides, and `set` is only called
        // where no reference from `get` is alive.
        unsafe { &*self.held.0.get() }
    }

    /// Another view for the same object (`a.shape = ...`). No reference from `get` may be alive.
    pub fn set(&self, array: Array) {
        // SAFETY: as in `get`.
        unsafe { *self.held.0.get() = array }
    }
}

/// The classes' addresses, known since the module was imported: they are compared in every call.
static ARRAY_TYPE: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());
static SCALAR_TYPE: AtomicPtr<ffi::PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());

pub fn init(array: *mut ffi::PyTypeObject, scalar: *mut ffi::PyTypeObject) {
    ARRAY_TYPE.store(array, Ordering::Relaxed);
    SCALAR_TYPE.store(scalar, Ordering::Relaxed);
}

/// The value inside a Python object, if it is one of ours.
#[inline(always)]
pub fn value<'a>(obj: &'a Bound<'_, PyAny>) -> Option<&'a Value> {
    if is_array(obj) || is_scalar(obj) {
        // SAFETY: both classes derive from `Value`, and nothing derives from them.
        Some(unsafe { obj.cast_unchecked::<Value>() }.get())
    } else {
        None
    }
}

#[inline(always)]
pub fn is_array(obj: &Bound<PyAny>) -> bool {
    obj.get_type_ptr() == ARRAY_TYPE.load(Ordering::Relaxed)
}

#[inline(always)]
pub fn is_scalar(obj: &Bound<PyAny>) -> bool {
    obj.get_type_ptr() == SCALAR_TYPE.load(Ordering::Relaxed)
}

#[inline]
pub fn new_array(py: Python<'_>, array: Array) -> PyResult<Py<PyAny>> {
    slots::object(py, ARRAY_TYPE.load(Ordering::Relaxed), array)
}

#[inline]
pub fn new_scalar(py: Python<'_>, array: Array) -> PyResult<Py<PyAny>> {
    slots::object(py, SCALAR_TYPE.load(Ordering::Relaxed), array)
}

/// What an operation returns: a scalar where there are no axes.
#[inline]
pub fn result(py: Python<'_>, array: Array) -> PyResult<Py<PyAny>> {
    if array.ndim() == 0 { new_scalar(py, array) } else { new_array(py, array) }
}

/// Another view or copy of an object. Of a scalar it is a scalar; if it has got axes, it is an array of its own.
pub fn same_kind(of: &Bound<Value>, array: Array) -> PyResult<Py<PyAny>> {
    let py = of.py();
    if !is_scalar(of) {
        return new_array(py, array);
    }
    if array.ndim() == 0 { new_scalar(py, array) } else { own_array(py, &array) }
}

/// An array that shares nothing with where it came from.
pub fn own_array(py: Python<'_>, array: &Array) -> PyResult<Py<PyAny>> {
    new_array(py, crate::error::guarded(py, || array.copy(true))?)
}

/// An array as the result of `ndarray(...)`.
pub fn init_array(array: Array) -> PyClassInitializer<NdArray> {
    PyClassInitializer::from(Value::new(array)).add_subclass(NdArray)
}
