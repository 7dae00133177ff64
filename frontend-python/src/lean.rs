//! Small objects that programs make by the thousand (`a.flags`, `a.flat`): PyO3's classes, from which the objects' own class derives,
//! whose objects are made, asked and let go of without PyO3.
//!
//! A boundary file, as `slots.rs`.

use std::ffi::{CStr, c_void};
use std::mem::{ManuallyDrop, size_of};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::prelude::*;
use pyo3::pyclass::PyClass;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use pyo3::{Bound, Py, PyAny, PyResult, Python, ffi};

use crate::slots::{self, Object, enter, enter_object, slot};

/// A reference that another object's contents hold. PyO3's own would be put on a list until somebody attaches to the interpreter, which
/// the slots here do not.
pub struct Own(ManuallyDrop<Py<PyAny>>);

impl Own {
    pub fn new(object: Bound<PyAny>) -> Own {
        Own(ManuallyDrop::new(object.unbind()))
    }
}

impl Deref for Own {
    type Target = Py<PyAny>;

    #[inline(always)]
    fn deref(&self) -> &Py<PyAny> {
        &self.0
    }
}

impl Drop for Own {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the reference is this one's own. It goes when the object does that it is in, and Python lets go of objects with
        // the interpreter lock held.
        unsafe { ffi::Py_DECREF(self.0.as_ptr()) };
    }
}

pub type Get<T> = fn(&T, Python<'_>) -> PyResult<Py<PyAny>>;
pub type Item<T> = fn(&T, &Bound<PyAny>) -> PyResult<Py<PyAny>>;
pub type Next<T> = fn(&T, Python<'_>) -> PyResult<Option<Py<PyAny>>>;

/// A class of PyO3's (frozen, open to subclasses, not to Python's garbage collector) with such objects.
pub trait Lean: PyClass + 'static {
    const CALLED: &'static CStr;
    /// Attributes that are asked for often; PyO3's class knows the others.
    const GETTERS: &'static [(&'static CStr, Get<Self>)] = &[];
    /// `x[key]`
    const ITEM: Option<Item<Self>> = None;
    /// What an iterator gives.
    const NEXT: Option<Next<Self>> = None;

    fn class() -> &'static PyOnceLock<Py<PyType>>;
}

/// Where the contents lie in an object, behind Python's header; checked in `class`.
const CONTENTS: usize = size_of::<ffi::PyObject>();

/// # Safety
/// An object of the class of this type.
unsafe fn contents<'a, T>(object: Object) -> &'a T {
    // SAFETY: the caller's promise.
    unsafe { &*object.byte_add(CONTENTS).cast::<T>() }
}

unsafe extern "C" fn get<T: Lean>(object: Object, which: *mut c_void) -> Object {
    // SAFETY: Python hands over an object of the class, and what the table below has for this attribute.
    enter_object(|py| unsafe { (*which.cast::<Get<T>>())(contents(object), py) })
}

unsafe extern "C" fn next<T: Lean>(object: Object) -> Object {
    enter(ptr::null_mut(), |py| {
        let next = T::NEXT.expect("only iterators have this slot");
        // SAFETY: Python hands over an object of the class. (No object and no error is the end.)
        Ok(next(unsafe { contents(object) }, py)?.map_or(ptr::null_mut(), Py::into_ptr))
    })
}

unsafe extern "C" fn item<T: Lean>(object: Object, key: Object) -> Object {
    enter_object(|py| {
        let item = T::ITEM.expect("only what has items has this slot");
        // SAFETY: Python hands over an object of the class, and another one.
        unsafe { item(contents(object), &slots::seen(py, key)) }
    })
}

unsafe extern "C" fn let_go<T: Lean>(object: Object) {
    // SAFETY: the last reference is gone; the object was made by `object`.
    unsafe {
        let class = ffi::Py_TYPE(object);
        let _ = catch_unwind(AssertUnwindSafe(|| ptr::drop_in_place(object.byte_add(CONTENTS).cast::<T>())));
        ffi::PyObject_Free(object.cast());
        ffi::Py_DECREF(class.cast());
    }
}

unsafe extern "C" fn traverse(_: Object, _: ffi::visitproc, _: *mut c_void) -> std::ffi::c_int {
    0
}

/// The class of the objects.
pub fn class<T: Lean>(py: Python<'_>) -> PyResult<&'static Py<PyType>> {
    T::class().get_or_try_init(py, || {
        let base = T::type_object(py);
        slots::check_size(&base, CONTENTS + size_of::<T>())?;
        let mut getters = Vec::new();
        for (name, get_it) in T::GETTERS {
            getters.push(ffi::PyGetSetDef {
                name: name.as_ptr(),
                get: Some(get::<T>),
                set: None,
                doc: ptr::null(),
                closure: ptr::from_ref(get_it).cast_mut().cast(),
            });
        }
        // SAFETY: an empty definition ends the table.
        getters.push(unsafe { std::mem::zeroed() });
        // (As in `slots.rs`, a class that is walked in its own way is not one of the collector's.)
        let mut all = vec![
            slot(ffi::Py_tp_dealloc, let_go::<T> as *mut c_void),
            slot(ffi::Py_tp_traverse, traverse as *mut c_void),
            slot(ffi::Py_tp_getset, getters.leak().as_mut_ptr().cast()),
        ];
        if T::ITEM.is_some() {
            all.push(slot(ffi::Py_mp_subscript, item::<T> as *mut c_void));
        }
        if T::NEXT.is_some() {
            all.push(slot(ffi::Py_tp_iternext, next::<T> as *mut c_void));
        }
        let made = slots::class_with(&base, T::CALLED, CONTENTS + size_of::<T>(), 0, &[], all)?;
        made.setattr("__module__", base.getattr("__module__")?)?;
        Ok(made.unbind())
    })
}

/// An object with these contents.
pub fn object<T: Lean>(py: Python<'_>, contents: T) -> PyResult<Py<PyAny>> {
    let class = class::<T>(py)?;
    // SAFETY: memory with room for an object of the class, all of which is written before anybody sees it.
    unsafe {
        let memory = ffi::PyObject_Malloc(CONTENTS + size_of::<T>());
        if memory.is_null() {
            return Err(pyo3::exceptions::PyMemoryError::new_err(()));
        }
        let object = ffi::PyObject_Init(memory.cast(), class.as_ptr().cast());
        object.byte_add(CONTENTS).cast::<T>().write(contents);
        Ok(Bound::from_owned_ptr(py, object).unbind())
    }
}
