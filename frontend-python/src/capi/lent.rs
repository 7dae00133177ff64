//! NumPy arrays that look at our memory for the length of a call. The objects are used over and over: to make one and let it go
//! takes NumPy longer than many a call on few elements.
//!
//! A boundary file, as `capi.rs`.

use std::ffi::{c_char, c_int};
use std::ptr;

use legate_jit_runtime::Array;
use pyo3::{Bound, PyAny, PyResult, Python, ffi};
use smallvec::SmallVec;

use super::{ArrayHead, WRITEABLE, brief_array};
use crate::dtypes;

/// Arrays with more axes are made anew.
const AXES: usize = 4;
/// Objects kept of each number of axes.
const KEPT: usize = 8;

/// NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_F_CONTIGUOUS, NPY_ARRAY_ALIGNED
const C_CONTIGUOUS: c_int = 0x0001;
const F_CONTIGUOUS: c_int = 0x0002;
const ALIGNED: c_int = 0x0100;

/// What follows `ArrayHead` in NumPy's struct.
#[repr(C)]
struct Whole {
    head: ArrayHead,
    weak_refs: *mut ffi::PyObject,
    buffer_info: *mut std::ffi::c_void,
}

/// Objects that nobody uses, by number of axes. Only touched with the interpreter lock held.
struct Rest {
    objects: [[*mut Whole; KEPT]; AXES + 1],
    counts: [usize; AXES + 1],
}
static mut REST: Rest = Rest { objects: [[ptr::null_mut(); KEPT]; AXES + 1], counts: [0; AXES + 1] };

/// An array over memory that was lent, until it has been taken back, or has been given an owner (`own`). Until then its base is
/// `None`, so that it is not taken for an array with memory of its own.
///
/// # Safety
/// `first` is where the elements begin that `array` shows, as its type demands; the caller keeps the loan for so long.
pub unsafe fn show<'py>(py: Python<'py>, array: &Array, first: *mut u8) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: objects at rest are arrays with so many axes that nobody else has; all that says what an array shows is
    // written here. NumPy keeps dimensions and strides in one block that has room for both.
    unsafe {
        let rest = &mut *ptr::addr_of_mut!(REST);
        let (shape, dtype) = (array.shape(), array.dtype());
        let nd = shape.len();
        if nd > AXES || rest.counts[nd] == 0 {
            let shape: SmallVec<[isize; 4]> = shape.iter().map(|&n| n as isize).collect();
            let strides: SmallVec<[isize; 4]> = array.strides_in_bytes().map(|n| n as isize).collect();
            let made = brief_array(py, dtype, &shape, &strides, first, array.writable())?;
            (*made.as_ptr().cast::<ArrayHead>()).base = py.None().into_ptr();
            return Ok(made);
        }
        rest.counts[nd] -= 1;
        let object = rest.objects[nd][rest.counts[nd]];
        let head = &mut (*object).head;
        head.data = first.cast::<c_char>();
        for (d, (&n, stride)) in shape.iter().zip(array.strides_in_bytes()).enumerate() {
            *head.dimensions.add(d) = n as isize;
            *head.strides.add(d) = stride as isize;
        }
        let descr = dtypes::descr_ptr(py, dtype);
        if head.descr != descr {
            ffi::Py_INCREF(descr);
            ffi::Py_DECREF(std::mem::replace(&mut head.descr, descr));
        }
        let (c, f) = (array.c_contiguous(), array.f_contiguous());
        let flag = |is: bool, flag: c_int| if is { flag } else { 0 };
        let order = flag(c, C_CONTIGUOUS) | flag(f, F_CONTIGUOUS);
        head.flags = ALIGNED | order | flag(array.writable(), WRITEABLE);
        Ok(Bound::from_owned_ptr(py, object.cast()))
    }
}

/// Takes back an array of `show`, if nobody else has it; otherwise the array.
pub fn take_back(array: Bound<PyAny>) -> Option<Bound<PyAny>> {
    // SAFETY: an array that `show` has given; with one reference it is the caller's alone.
    unsafe {
        if ffi::Py_REFCNT(array.as_ptr()) != 1 {
            return Some(array);
        }
        let object = array.as_ptr().cast::<Whole>();
        let (rest, nd) = (&mut *ptr::addr_of_mut!(REST), (*object).head.nd as usize);
        // What somebody has changed is not used again.
        let clean = (*object).weak_refs.is_null()
            && (*object).buffer_info.is_null()
            && (*object).head.base == ffi::Py_None()
            && ffi::Py_TYPE(array.as_ptr()) == super::api(array.py()).array_type;
        if clean && nd <= AXES && rest.counts[nd] < KEPT {
            rest.objects[nd][rest.counts[nd]] = array.into_ptr().cast();
            rest.counts[nd] += 1;
        }
        None
    }
}

/// Gives an array of `show` that somebody has kept an owner, which keeps its memory from now on.
pub fn own(array: &Bound<PyAny>, owner: Bound<PyAny>) {
    // SAFETY: as above; the base's reference is the array's.
    unsafe {
        let head = array.as_ptr().cast::<ArrayHead>();
        let none = std::mem::replace(&mut (*head).base, owner.into_ptr());
        ffi::Py_XDECREF(none);
    }
}
