//! What lies in the frames of Python functions that run: local names, and the stack of the interpreter.
//!
//! Python tells neither of frames that run in a way that is fast, or at all. Where they lie is found out by a frame of which
//! everything is known ([`Layout::find`]); an interpreter that keeps them otherwise is left alone.
//!
//! A boundary file. The interpreter lock is held, so the frames below the call that is running stand still, and the references in
//! them are alive: the interpreter writes its stack to memory before it calls anything.

use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;

/// Words of the head of an interpreter's frame, at most.
const HEAD: usize = 14;
/// In the frame object: the header of all objects, and the frame before it.
const TO_INTERPRETER: usize = size_of::<PyObject>() + size_of::<*mut PyObject>();

/// Where local names lie in the interpreter's frame.
#[derive(Clone, Copy)]
pub struct Layout {
    /// Words from its beginning.
    names: usize,
}

impl Layout {
    /// Finds the layout by the frame that runs, whose first local names are bound to `known`.
    pub fn find(py: Python<'_>, known: &[*mut PyObject]) -> Option<Layout> {
        // The version that this was tested with: another one may lay its frames out in another way.
        let version = py.version_info();
        let implementation = py.import("sys").ok()?.getattr("implementation").ok()?.getattr("name").ok()?;
        if implementation.to_string() != "cpython"
            || (version.major, version.minor) != (3, 11)
            || size_of::<PyObject>() != 16
        {
            return None;
        }
        let frame = current(py)?;
        // SAFETY: in the version above the frame object names the interpreter's frame there, which is longer than its head; the
        // local names follow.
        unsafe {
            let words = *frame.as_ptr().byte_add(TO_INTERPRETER).cast::<*const *mut PyObject>();
            let at = |start: usize| known.iter().enumerate().all(|(k, &o)| *words.add(start + k) == o);
            if words.is_null() {
                return None;
            }
            (4..HEAD).find(|&start| at(start)).map(|names| Layout { names })
        }
    }

    /// The reference in place `n` of a frame that runs, null for a name that is not bound: local names come first, then the stack.
    ///
    /// # Safety
    /// There is such a name, or so much on the stack.
    pub unsafe fn slot(self, frame: &Bound<PyAny>, n: usize) -> *mut PyObject {
        // SAFETY: see `find`, and the caller for the place.
        unsafe {
            let words = *frame.as_ptr().byte_add(TO_INTERPRETER).cast::<*const *mut PyObject>();
            *words.add(self.names + n)
        }
    }

    /// Puts another reference into a place.
    ///
    /// # Safety
    /// As for `slot`; and the instruction that runs does not use what lies there.
    pub unsafe fn replace(self, frame: &Bound<PyAny>, n: usize, object: Bound<PyAny>) {
        // SAFETY: the caller's promise.
        unsafe { self.exchange(frame, n, object.into_ptr()) }
    }

    /// The same with a reference that is handed over, or null.
    ///
    /// # Safety
    /// As for `replace`; and what uses the place later expects null there, if that is given.
    pub unsafe fn exchange(self, frame: &Bound<PyAny>, n: usize, object: *mut PyObject) {
        // SAFETY: see `find`, and the caller for the place, which owns its reference. (To drop it may run Python code, which finds the
        // new one there.)
        unsafe {
            let words = *frame.as_ptr().byte_add(TO_INTERPRETER).cast::<*mut *mut PyObject>();
            let old = std::mem::replace(&mut *words.add(self.names + n), object);
            ffi::Py_XDECREF(old);
        }
    }
}

/// The frame that runs.
pub fn current(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    // SAFETY: the lock is held; the reference is borrowed.
    unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame().cast()) }
}
