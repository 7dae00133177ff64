//! The Python classes of arrays and of their scalars.
//!
//! [`Value`] holds the runtime's handle and everything that both have; `ndarray` and `scalar` derive from it. A scalar is
//! what NumPy returns where the result has no axes (`a.sum()`, `a[0]`): a 0-d array that nothing can write to, not computed
//! until its value is asked for, which says of itself (`__class__`) that it is NumPy's `float64`.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicPtr, Ordering};

use legate_jit_ir::DType;
use legate_jit_runtime::{Array, Error, Picked};
use pyo3::prelude::*;
use pyo3::{Bound, Py, PyAny, PyClassInitializer, PyResult, Python, ffi};

use crate::lean::Own;
use crate::{adopt, slots};

/// What a value stands for.
enum Content {
    Array(Array),
    /// What a mask selects, until somebody asks for elements or for how many there are.
    Picked(Picked),
    /// What a function of NumPy's has returned, until somebody wants more of it than its type.
    Made(Made),
}

/// An array of NumPy's, with memory of its own, that nobody else has.
struct Made {
    array: Own,
    dtype: DType,
}

/// The state of a value. The interpreter lock is its lock.
struct Held(UnsafeCell<Content>);
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
        Value { held: Held(UnsafeCell::new(Content::Array(array))) }
    }

    /// The handle. Not to be kept over a call that may run Python code or give up the lock; clone it there.
    #[inline(always)]
    pub fn get(&self) -> &Array {
        match self.array() {
            Some(array) => array,
            None => self.selected(),
        }
    }

    /// The handle, unless nobody knows yet how long the array is.
    #[inline(always)]
    pub fn array(&self) -> Option<&Array> {
        // SAFETY: the lock is held by whoever has a reference to a Python object's insides, and the content is only
        // replaced where no reference to it is alive (`set`, `set_picked`, `selected`, `taken_over`).
        match unsafe { &*self.held.0.get() } {
            Content::Array(array) => Some(array),
            Content::Picked(_) => None,
            Content::Made(_) => Some(self.taken_over()),
        }
    }

    /// The type of the elements, which is always known.
    pub fn element_type(&self) -> DType {
        // SAFETY: as in `array`.
        match unsafe { &*self.held.0.get() } {
            Content::Array(array) => array.dtype(),
            Content::Picked(picked) => picked.dtype(),
            Content::Made(made) => made.dtype,
        }
    }

    /// What a mask selects, while it is no array.
    pub fn picked(&self) -> Option<Picked> {
        // SAFETY: as in `array`.
        match unsafe { &*self.held.0.get() } {
            Content::Array(_) | Content::Made(_) => None,
            Content::Picked(picked) => Some(picked.clone()),
        }
    }

    /// Brings together what a mask selects, which makes it an array.
    #[cold]
    fn selected(&self) -> &Array {
        if let Some(picked) = self.picked() {
            // Those who ask for a length cannot take an error: the array says it when its elements are asked for.
            let array = catch_unwind(AssertUnwindSafe(|| picked.array())).unwrap_or_else(|_| Err(broken()));
            let array = array.unwrap_or_else(|e| picked.failure(e));
            // To compute may have let go of foreign memory, and so have run Python code that asked for the same.
            if self.array().is_none() {
                self.replace(Content::Array(array));
            }
        }
        match self.array() {
            Some(array) => array,
            None => unreachable!("the content has just become an array"),
        }
    }

    /// Makes an array of ours of what a function of NumPy's has returned.
    #[cold]
    fn taken_over(&self) -> &Array {
        // SAFETY: the lock is held, see `array`; no reference to the content is kept.
        let (py, content) = unsafe { (Python::assume_attached(), &*self.held.0.get()) };
        if let Content::Made(made) = content {
            let (found, dtype) = (made.array.bind(py).clone(), made.dtype);
            // (References: the one of the content, and this one.)
            let array = match adopt::adopt_made(&found, false, 2) {
                Ok(Some(array)) => array,
                Ok(None) => Array::failed(broken(), &[0], dtype),
                Err(e) => Array::failed(Error::Memory(e.to_string()), &[0], dtype),
            };
            drop(found);
            self.replace(Content::Array(array));
        }
        match self.array() {
            Some(array) => array,
            None => unreachable!("the content has just become an array"),
        }
    }

    /// The array's length, if it has one.
    #[inline(always)]
    pub fn length(&self) -> Option<usize> {
        match self.array() {
            Some(array) => array.shape().first().copied(),
            None => self.length_of_picked(),
        }
    }

    #[cold]
    fn length_of_picked(&self) -> Option<usize> {
        if let Some(picked) = self.picked()
            && let Ok(Ok(Some(n))) = catch_unwind(AssertUnwindSafe(|| picked.count()))
        {
            return Some(n);
        }
        self.get().shape().first().copied()
    }

    fn replace(&self, content: Content) {
        crate::slots::forget(self);
        // SAFETY: the lock is held, and the callers see to it that no reference to the content is alive.
        let old = unsafe { std::mem::replace(&mut *self.held.0.get(), content) };
        // Only now: dropping it may run Python code that looks at this object.
        drop(old);
    }

    /// Another view for the same object (`a.shape = ...`). No reference from `get` may be alive.
    pub fn set(&self, array: Array) {
        self.replace(Content::Array(array));
    }

    /// Another picked value for an object that holds one (`x[mask] += 1`).
    pub fn set_picked(&self, picked: Picked) {
        self.replace(Content::Picked(picked));
    }
}

#[cold]
fn broken() -> Error {
    Error::Runtime("legate_jit broke one of its own rules while it brought together what a mask selects".into())
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
    slots::object(py, ARRAY_TYPE.load(Ordering::Relaxed), Value::new(array))
}

pub fn new_picked(py: Python<'_>, picked: Picked) -> PyResult<Py<PyAny>> {
    let value = Value { held: Held(UnsafeCell::new(Content::Picked(picked))) };
    slots::object(py, ARRAY_TYPE.load(Ordering::Relaxed), value)
}

/// An array that a function of NumPy's has made: of a type that we have, with memory of its own in C order. Nobody else has it.
pub fn new_made(array: Bound<PyAny>, dtype: DType) -> PyResult<Py<PyAny>> {
    let py = array.py();
    let value = Value { held: Held(UnsafeCell::new(Content::Made(Made { array: Own::new(array), dtype }))) };
    slots::object(py, ARRAY_TYPE.load(Ordering::Relaxed), value)
}

#[inline]
pub fn new_scalar(py: Python<'_>, array: Array) -> PyResult<Py<PyAny>> {
    slots::object(py, SCALAR_TYPE.load(Ordering::Relaxed), Value::new(array))
}

/// What an operation returns: a scalar where there are no axes, NumPy's own where its value is known.
#[inline]
pub fn result(py: Python<'_>, array: Array) -> PyResult<Py<PyAny>> {
    if array.ndim() > 0 {
        return new_array(py, array);
    }
    match array.known_scalar() {
        Some(number) => crate::capi::scalar(py, number),
        None => new_scalar(py, array),
    }
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
