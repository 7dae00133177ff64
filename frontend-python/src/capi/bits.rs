//! Raw random numbers of NumPy's bit generators, by the functions that these show to foreign code (`numpy/random/bitgen.h`).
//!
//! A boundary file, as `capi.rs`.

use std::ffi::c_void;
use std::ptr::NonNull;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::{Bound, Py, PyAny, PyResult, Python, ffi};

/// The beginning of `bitgen_t`.
#[repr(C)]
struct Head {
    state: *mut c_void,
    next_uint64: unsafe extern "C" fn(*mut c_void) -> u64,
}

/// A bit generator and its functions.
pub struct Bits {
    _kept: Py<PyAny>,
    head: NonNull<Head>,
}

// SAFETY: the functions are only called with the interpreter lock held (`draw`), and where the head lies never changes.
unsafe impl Send for Bits {}
unsafe impl Sync for Bits {}

impl Bits {
    /// Those of a bit generator of NumPy's.
    pub fn of(generator: &Bound<PyAny>) -> PyResult<Bits> {
        let capsule = generator.getattr("capsule")?;
        // SAFETY: NumPy's name for capsules that hold the address of a `bitgen_t`; null with an exception set if it is another.
        let head = unsafe { ffi::PyCapsule_GetPointer(capsule.as_ptr(), c"BitGenerator".as_ptr()) };
        match NonNull::new(head.cast::<Head>()) {
            Some(head) => Ok(Bits { _kept: generator.clone().unbind(), head }),
            None => Err(PyErr::take(generator.py()).unwrap_or_else(|| PyImportError::new_err("no bit generator"))),
        }
    }

    /// Calls `draw` with what gives the next 64 bits. The caller has the generator's lock.
    pub fn draw<T>(&self, _py: Python, draw: impl FnOnce(&mut dyn FnMut() -> u64) -> T) -> T {
        // SAFETY: the generator, which is kept, has its state and its functions in there; with its lock and the interpreter's, nobody else
        // draws.
        let Head { state, next_uint64 } = unsafe { self.head.read() };
        draw(&mut || unsafe { next_uint64(state) })
    }
}
