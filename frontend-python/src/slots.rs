//! The classes `ndarray` and `scalar`: the slots that Python calls for operators, items, attributes and numbers.
//!
//! Everything they have is in their base classes (`value.rs`), which PyO3 makes. This file derives the final classes from
//! them through Python's C API, with slots of their own for what programs call most: between Python and our code lie no
//! argument tuples, no look-ups and no bookkeeping then, which took more time than the recording itself.
//!
//! A boundary file. What all slots rely on: Python calls them with the interpreter lock held and with live objects; the
//! object that a slot belongs to is of one of the two classes, so `contents` is its value.

use std::ffi::{CStr, CString, c_int, c_void};
use std::mem::{ManuallyDrop, MaybeUninit, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use legate_jit_ir::{DType, Scalar, Ufunc};
use legate_jit_runtime::{self as rt, Array};
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};
use pyo3::{Borrowed, PyTypeInfo, ffi};

use crate::error::{broken, direct};
use crate::quick::Args;
use crate::ufunc::UfuncObject;
use crate::value::{self, NdArray, NdScalar, Value};
use crate::{capi, convertible, dtypes, flags, flat, index, loops, nests, operators, quick};

pub type Object = *mut ffi::PyObject;

/// Where the value lies in an object, behind Python's header; checked in `init`.
const CONTENTS: usize = size_of::<ffi::PyObject>();
/// Where the list of weak references lies, behind the value.
const WEAK_REFS: usize = CONTENTS + size_of::<Value>();
const SIZE: usize = WEAK_REFS + size_of::<Object>();

/// Memory of dead objects, for the next ones. Only touched with the interpreter lock held.
struct Free {
    blocks: [*mut c_void; 64],
    count: usize,
}
static mut FREE: Free = Free { blocks: [ptr::null_mut(); 64], count: 0 };

/// Elements that a loop over an array is about to ask for, read together with one that it has asked for: most of what one costs
/// is to take the session. They hold as long as nobody has taken it since. Only touched with the interpreter lock held.
struct Coming {
    /// Whose they are; never read through, and cleared when that value goes or changes.
    of: *const Value,
    epoch: u64,
    first: usize,
    count: usize,
    dtype: DType,
    bits: [u64; 32],
}
static mut COMING: Coming = Coming { of: ptr::null(), epoch: 0, first: 0, count: 0, dtype: DType::F64, bits: [0; 32] };

/// Forgets elements of a value that goes or becomes another one.
#[inline(always)]
pub fn forget(value: *const Value) {
    // SAFETY: the lock is held by whoever drops or changes a Python object's insides.
    let coming = unsafe { &mut *ptr::addr_of_mut!(COMING) };
    if coming.of == value {
        coming.of = ptr::null();
    }
}

/// Element `i` of an array with one axis, if it is in memory. As long as a loop takes all of them and nothing else happens, more and
/// more elements are read at a time.
#[inline(always)]
fn coming(value: &Value, array: &Array, i: usize) -> Option<Scalar> {
    if array.ndim() != 1 {
        return None;
    }
    // SAFETY: the lock is held, and nothing here runs Python code.
    let coming = unsafe { &mut *ptr::addr_of_mut!(COMING) };
    let k = i.wrapping_sub(coming.first);
    if coming.of != value || coming.epoch != rt::epoch() || k >= coming.count {
        let all_taken = coming.of == value && k == coming.count;
        let count = if all_taken { (2 * k).min(coming.bits.len()) } else { 1 }.min(array.size().saturating_sub(i));
        coming.of = ptr::null();
        coming.epoch = array.peek_some(i, &mut coming.bits[..count])?;
        (coming.of, coming.first, coming.count, coming.dtype) = (value, i, count, array.dtype());
        return Some(Scalar { dtype: coming.dtype, bits: [coming.bits[0], 0] });
    }
    Some(Scalar { dtype: coming.dtype, bits: [coming.bits[k], 0] })
}

/// Writes a value that was put together just before, word by word, as it was put together: what is written in words and read in larger
/// pieces makes the processor wait for as long as a dozen instructions take.
///
/// # Safety
/// As `to.write(value)`.
#[inline(always)]
unsafe fn put(to: *mut Value, value: Value) {
    const WORD: usize = size_of::<u64>();
    const { assert!(size_of::<Value>().is_multiple_of(WORD) && align_of::<Value>() == WORD) };
    let value = ManuallyDrop::new(value);
    let (from, to) = ((&raw const value).cast::<MaybeUninit<u64>>(), to.cast::<MaybeUninit<u64>>());
    for word in 0..size_of::<Value>() / WORD {
        // SAFETY: the caller's promise; a word of the value, some of which may be uninitialised. (Volatile, or all of them would be one
        // read.)
        unsafe { to.add(word).write(from.add(word).read_volatile()) };
    }
}

/// An object of one of the two classes.
#[inline]
pub fn object(py: Python<'_>, class: *mut ffi::PyTypeObject, value: Value) -> PyResult<Py<PyAny>> {
    // SAFETY: the lock is held, so nobody else touches the free list; the memory has room for an object of the class, whose
    // parts are all written before anybody sees it.
    unsafe {
        let free = &mut *ptr::addr_of_mut!(FREE);
        let memory = if free.count > 0 {
            free.count -= 1;
            free.blocks[free.count]
        } else {
            ffi::PyObject_Malloc(SIZE)
        };
        if memory.is_null() {
            return Err(pyo3::exceptions::PyMemoryError::new_err(()));
        }
        let object = ffi::PyObject_Init(memory.cast(), class);
        put(object.byte_add(CONTENTS).cast::<Value>(), value);
        object.byte_add(WEAK_REFS).cast::<Object>().write(ptr::null_mut());
        Ok(Bound::from_owned_ptr(py, object).unbind())
    }
}

unsafe extern "C" fn dealloc(object: Object) {
    // SAFETY: the last reference is gone; the object was made by `object` or by Python's own allocation for its class, which
    // leaves the list of weak references empty. Dropping a value runs no Python code but through `adopt::Keeper`.
    unsafe {
        if !(*object.byte_add(WEAK_REFS).cast::<Object>()).is_null() {
            ffi::PyObject_ClearWeakRefs(object);
        }
        let class = ffi::Py_TYPE(object);
        forget(contents(object));
        let _ = catch_unwind(AssertUnwindSafe(|| ptr::drop_in_place(object.byte_add(CONTENTS).cast::<Value>())));
        let free = &mut *ptr::addr_of_mut!(FREE);
        if free.count < free.blocks.len() {
            free.blocks[free.count] = object.cast();
            free.count += 1;
        } else {
            ffi::PyObject_Free(object.cast());
        }
        ffi::Py_DECREF(class.cast());
    }
}

/// Runs a slot: errors and panics become Python's exceptions, `failed` is what says so.
#[inline(always)]
pub fn enter<T>(failed: T, f: impl FnOnce(Python<'_>) -> PyResult<T>) -> T {
    // SAFETY: see the head of the file.
    let py = unsafe { Python::assume_attached() };
    match catch_unwind(AssertUnwindSafe(|| f(py))) {
        Ok(Ok(done)) => done,
        Ok(Err(e)) => {
            e.restore(py);
            failed
        }
        Err(panic) => {
            broken(panic).restore(py);
            failed
        }
    }
}

#[inline(always)]
pub fn enter_object(f: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) -> Object {
    enter(ptr::null_mut(), |py| f(py).map(Py::into_ptr))
}

/// An object that Python handed to us.
///
/// # Safety
/// It must live as long as it is used.
#[inline(always)]
pub unsafe fn seen<'a, 'py>(py: Python<'py>, object: Object) -> Borrowed<'a, 'py, PyAny> {
    // SAFETY: a live object, which the caller of the slot keeps.
    unsafe { Borrowed::from_ptr(py, object) }
}

#[inline(always)]
pub unsafe fn contents<'a>(object: Object) -> &'a Value {
    // SAFETY: an object of ours, see the head of the file.
    unsafe { &*object.byte_add(CONTENTS).cast::<Value>() }
}

macro_rules! binary_slots {
    ($($name:ident = $op:ident;)*) => { $(
        unsafe extern "C" fn $name(a: Object, b: Object) -> Object {
            // SAFETY: see the head of the file.
            enter_object(|py| unsafe {
                loops::tick(py, a, b)?;
                operators::binary(Ufunc::$op, &seen(py, a), &seen(py, b))
            })
        }
    )* };
}
binary_slots! {
    add = Add; subtract = Subtract; multiply = Multiply; divide = Divide; floor_divide = FloorDivide;
    remainder = Remainder; and = BitwiseAnd; or = BitwiseOr; xor = BitwiseXor;
}

unsafe extern "C" fn power(a: Object, b: Object, modulo: Object) -> Object {
    // SAFETY: see the head of the file.
    enter_object(|py| unsafe {
        if modulo != ffi::Py_None() {
            return Ok(py.NotImplemented());
        }
        operators::power(&seen(py, a), &seen(py, b))
    })
}

unsafe extern "C" fn matmul(a: Object, b: Object) -> Object {
    // SAFETY: see the head of the file.
    enter_object(|py| unsafe { operators::matmul(&seen(py, a), &seen(py, b)) })
}

macro_rules! unary_slots {
    ($($name:ident = $op:ident;)*) => { $(
        unsafe extern "C" fn $name(a: Object) -> Object {
            // SAFETY: see the head of the file.
            enter_object(|py| unsafe { operators::unary(Ufunc::$op, &seen(py, a), contents(a)) })
        }
    )* };
}
unary_slots! { negative = Negative; absolute = Absolute; invert = Invert; }

macro_rules! in_place_slots {
    ($($name:ident = $op:ident;)*) => { $(
        unsafe extern "C" fn $name(a: Object, b: Object) -> Object {
            // SAFETY: see the head of the file; the slot gives a reference of its own.
            enter_object(|py| unsafe {
                loops::tick(py, a, b)?;
                operators::in_place(Ufunc::$op, &seen(py, a), contents(a), &seen(py, b))?;
                Ok(seen(py, a).to_owned().unbind())
            })
        }
    )* };
}
in_place_slots! { add_to = Add; subtract_from = Subtract; multiply_by = Multiply; divide_by = Divide; }

unsafe extern "C" fn compare(a: Object, b: Object, op: c_int) -> Object {
    // SAFETY: see the head of the file.
    enter_object(|py| unsafe {
        let op = CompareOp::from_raw(op).expect("one of Python's six");
        operators::compare(&seen(py, a), &seen(py, b), op)
    })
}

unsafe extern "C" fn get_item(a: Object, key: Object) -> Object {
    // SAFETY: see the head of the file.
    enter_object(|py| unsafe {
        if let Some(now) = nests::tick(py, &[a, key])? {
            let (a, key) = (now.get_item(0)?, now.get_item(1)?);
            return match value::value(&a) {
                Some(contents) => index::get(&a, contents, &key),
                None => Ok(a.get_item(key)?.unbind()),
            };
        }
        index::get(&seen(py, a), contents(a), &seen(py, key))
    })
}

unsafe extern "C" fn set_item(a: Object, key: Object, new: Object) -> c_int {
    enter(-1, |py| {
        if new.is_null() {
            return Err(PyValueError::new_err("cannot delete array elements"));
        }
        if let Some(now) = nests::tick(py, &[new, a, key])? {
            let (new, a, key) = (now.get_item(0)?, now.get_item(1)?, now.get_item(2)?);
            return match value::value(&a) {
                Some(contents) => index::set(&a, contents, &key, &new).map(|()| 0),
                None => a.set_item(key, new).map(|()| 0),
            };
        }
        // SAFETY: see the head of the file.
        unsafe { index::set(&seen(py, a), contents(a), &seen(py, key), &seen(py, new)) }.map(|()| 0)
    })
}

/// Python's own iterator over sequences calls this with 0, 1, … until it raises IndexError.
unsafe extern "C" fn item(a: Object, i: isize) -> Object {
    // SAFETY: see the head of the file.
    let value = unsafe { contents(a) };
    let array = value.get();
    if array.shape().first().is_some_and(|&n| i as usize >= n) {
        // SAFETY: one of Python's own exceptions, which ends the loop.
        unsafe { ffi::PyErr_SetNone(ffi::PyExc_IndexError) };
        return ptr::null_mut();
    }
    enter_object(|py| match coming(value, array, i as usize) {
        Some(number) => capi::scalar(py, number),
        None => index::row(py, array, i as i64),
    })
}

/// Element or row `i`, which is there, of an array that somebody goes through.
pub fn row(py: Python<'_>, a: &Bound<PyAny>, i: usize) -> PyResult<Py<PyAny>> {
    // SAFETY: callers have arrays of ours.
    let value = unsafe { contents(a.as_ptr()) };
    let array = value.get();
    match coming(value, array, i) {
        Some(number) => capi::scalar(py, number),
        None => index::row(py, array, i as i64),
    }
}

unsafe extern "C" fn length(a: Object) -> isize {
    // SAFETY: see the head of the file.
    match unsafe { contents(a) }.length() {
        Some(n) => n as isize,
        None => enter(-1, |_| Err(PyTypeError::new_err("len() of unsized object"))),
    }
}

unsafe extern "C" fn iterate(a: Object) -> Object {
    // SAFETY: see the head of the file.
    enter_object(|py| unsafe {
        index::before_iteration(py, contents(a).get())?;
        Ok(Bound::from_owned_ptr_or_err(py, ffi::PySeqIter_New(a))?.unbind())
    })
}

unsafe extern "C" fn truth(a: Object) -> c_int {
    enter(-1, |py| {
        // SAFETY: see the head of the file; the classes derive from `Value`.
        let (answer, array) = unsafe { (convertible::is_true(&seen(py, a).cast_unchecked())?, contents(a).get()) };
        loops::asking::asked(py, || Ok(answer), |answer| rt::round::asking::is_true(array, answer))?;
        Ok(c_int::from(answer))
    })
}

macro_rules! number_slots {
    ($($name:ident = $function:path;)*) => { $(
        unsafe extern "C" fn $name(a: Object) -> Object {
            // SAFETY: see the head of the file; the classes derive from `Value`.
            enter_object(|py| unsafe { $function(&seen(py, a).cast_unchecked()) })
        }
    )* };
}
number_slots! { float = convertible::to_float; integer = convertible::to_int; place = convertible::to_index; }

unsafe extern "C" fn shape(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file; the tuple is filled before anybody sees it, and takes the references.
    enter_object(|py| unsafe {
        let shape = contents(a).get().shape();
        let tuple = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(shape.len() as isize))?;
        for (i, &n) in shape.iter().enumerate() {
            ffi::PyTuple_SetItem(tuple.as_ptr(), i as isize, ffi::PyLong_FromSsize_t(n as isize));
        }
        Ok(tuple.unbind())
    })
}

unsafe extern "C" fn set_shape(a: Object, new: Object, _: *mut c_void) -> c_int {
    enter(-1, |py| {
        if new.is_null() {
            return Err(pyo3::exceptions::PyAttributeError::new_err("Cannot delete array shape"));
        }
        // SAFETY: see the head of the file; the class derives from `NdArray`.
        unsafe { NdArray::set_shape(&seen(py, a).cast_unchecked::<NdArray>(), &seen(py, new)) }.map(|()| 0)
    })
}

unsafe extern "C" fn ndim(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file.
    unsafe { ffi::PyLong_FromSsize_t(contents(a).get().ndim() as isize) }
}

unsafe extern "C" fn size(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file.
    unsafe { ffi::PyLong_FromSsize_t(contents(a).get().size() as isize) }
}

unsafe extern "C" fn dtype(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file; the descriptor lives as long as the process.
    unsafe {
        let descr = dtypes::descr_ptr(Python::assume_attached(), contents(a).element_type());
        ffi::Py_INCREF(descr);
        descr
    }
}

unsafe extern "C" fn transposed(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file.
    enter_object(|py| value::new_array(py, unsafe { contents(a) }.get().transposed()))
}

unsafe extern "C" fn itemsize(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file.
    unsafe { ffi::PyLong_FromSsize_t(contents(a).element_type().size() as isize) }
}

unsafe extern "C" fn nbytes(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file.
    unsafe { ffi::PyLong_FromSsize_t(contents(a).get().nbytes() as isize) }
}

unsafe extern "C" fn strides(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file; the tuple is filled before anybody sees it, and takes the references.
    enter_object(|py| unsafe {
        let array = contents(a).get();
        let tuple = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(array.ndim() as isize))?;
        for (i, n) in array.strides_in_bytes().enumerate() {
            ffi::PyTuple_SetItem(tuple.as_ptr(), i as isize, ffi::PyLong_FromSsize_t(n as isize));
        }
        Ok(tuple.unbind())
    })
}

unsafe extern "C" fn real(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file; the reference to the object itself is a new one.
    unsafe {
        if !contents(a).element_type().is_complex() {
            ffi::Py_INCREF(a);
            return a;
        }
        enter_object(|py| value::new_array(py, contents(a).get().real()))
    }
}

unsafe extern "C" fn imag(a: Object, _: *mut c_void) -> Object {
    enter_object(|py| {
        // SAFETY: see the head of the file.
        let array = unsafe { contents(a) }.get();
        let dtype = array.dtype();
        if !dtype.is_complex()
            && let Some(mut zeros) = array.full_like_of_few(&Scalar { dtype, bits: [0; 2] })
        {
            zeros.set_writable(false);
            return value::new_array(py, zeros);
        }
        value::new_array(py, direct(py, || array.imag())?)
    })
}

unsafe extern "C" fn set_imag(a: Object, new: Object, _: *mut c_void) -> c_int {
    set_in_base(a, new, "imag")
}

unsafe extern "C" fn set_real(a: Object, new: Object, _: *mut c_void) -> c_int {
    set_in_base(a, new, "real")
}

unsafe extern "C" fn flat_of(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file.
    enter_object(|py| unsafe { flat::new(py, &seen(py, a), contents(a).get()) })
}

unsafe extern "C" fn flags_of(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file.
    enter_object(|py| unsafe { flags::new(&seen(py, a)) })
}

unsafe extern "C" fn base(a: Object, _: *mut c_void) -> Object {
    // SAFETY: see the head of the file; the reference to `None` is a new one.
    unsafe {
        let array = contents(a).get();
        if !array.is_view() {
            let none = ffi::Py_None();
            ffi::Py_INCREF(none);
            return none;
        }
        enter_object(|py| value::new_array(py, contents(a).get().whole_base()))
    }
}

unsafe extern "C" fn set_flat(a: Object, new: Object, _: *mut c_void) -> c_int {
    enter(-1, |py| {
        // SAFETY: see the head of the file.
        let done = !new.is_null() && unsafe { flat::set_all(&seen(py, a), contents(a), &seen(py, new))? };
        Ok(if done { 0 } else { set_in_base(a, new, "flat") })
    })
}

/// The rarer ways to set an attribute, which the class behind this one knows.
fn set_in_base(a: Object, new: Object, name: &str) -> c_int {
    enter(-1, |py| {
        let attribute = Value::type_object(py).getattr(name)?;
        // SAFETY: see the head of the file.
        let a = unsafe { seen(py, a) };
        if new.is_null() {
            attribute.call_method1("__delete__", (a,))?;
        } else {
            // SAFETY: as above.
            attribute.call_method1("__set__", (a, unsafe { seen(py, new) }))?;
        }
        Ok(0)
    })
}

/// A slot of a class: its number and the function.
pub fn slot(slot: c_int, function: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc: function }
}

fn getter(name: &'static CStr, get: ffi::getter, set: Option<ffi::setter>) -> ffi::PyGetSetDef {
    ffi::PyGetSetDef { name: name.as_ptr(), get: Some(get), set, doc: ptr::null(), closure: ptr::null_mut() }
}

unsafe extern "C" fn traverse(_: Object, _: ffi::visitproc, _: *mut c_void) -> c_int {
    0
}

/// Makes a class and keeps its tables for good, as Python demands.
fn class<'py>(
    base: &Bound<'py, PyType>,
    name: &'static CStr,
    getters: Vec<ffi::PyGetSetDef>,
    mut methods: Vec<ffi::PyMethodDef>,
    mut slots: Vec<ffi::PyType_Slot>,
) -> PyResult<Bound<'py, PyType>> {
    let mut getters = getters;
    // SAFETY: an empty definition ends the table.
    getters.push(unsafe { std::mem::zeroed() });
    let getters: &'static mut [ffi::PyGetSetDef] = getters.leak();
    slots.push(slot(ffi::Py_tp_dealloc, dealloc as *mut c_void));
    // The base class takes part in garbage collection, and a class that says nothing of its own inherits that; but `object`
    // makes objects without the collector's header. They hold no Python objects that could lead back to them.
    slots.push(slot(ffi::Py_tp_traverse, traverse as *mut c_void));
    methods.push(ffi::PyMethodDef::zeroed());
    slots.push(slot(ffi::Py_tp_methods, methods.leak().as_mut_ptr().cast()));
    slots.push(slot(ffi::Py_tp_getset, getters.as_mut_ptr().cast()));
    class_with(base, name, SIZE, 0, &[(c"__weaklistoffset__", WEAK_REFS)], slots)
}

/// Makes the classes and puts them into the module.
pub fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    check_layout(py)?;
    let numbers = || {
        vec![
            slot(ffi::Py_nb_add, add as *mut c_void),
            slot(ffi::Py_nb_subtract, subtract as *mut c_void),
            slot(ffi::Py_nb_multiply, multiply as *mut c_void),
            slot(ffi::Py_nb_true_divide, divide as *mut c_void),
            slot(ffi::Py_nb_floor_divide, floor_divide as *mut c_void),
            slot(ffi::Py_nb_remainder, remainder as *mut c_void),
            slot(ffi::Py_nb_and, and as *mut c_void),
            slot(ffi::Py_nb_or, or as *mut c_void),
            slot(ffi::Py_nb_xor, xor as *mut c_void),
            slot(ffi::Py_nb_power, power as *mut c_void),
            slot(ffi::Py_nb_matrix_multiply, matmul as *mut c_void),
            slot(ffi::Py_nb_negative, negative as *mut c_void),
            slot(ffi::Py_nb_absolute, absolute as *mut c_void),
            slot(ffi::Py_nb_invert, invert as *mut c_void),
            slot(ffi::Py_nb_bool, truth as *mut c_void),
            slot(ffi::Py_nb_float, float as *mut c_void),
            slot(ffi::Py_nb_int, integer as *mut c_void),
            slot(ffi::Py_nb_index, place as *mut c_void),
            slot(ffi::Py_tp_richcompare, compare as *mut c_void),
        ]
    };
    let known = || vec![getter(c"ndim", ndim, None), getter(c"size", size, None), getter(c"dtype", dtype, None)];
    let mut slots = numbers();
    slots.extend([
        slot(ffi::Py_nb_inplace_add, add_to as *mut c_void),
        slot(ffi::Py_nb_inplace_subtract, subtract_from as *mut c_void),
        slot(ffi::Py_nb_inplace_multiply, multiply_by as *mut c_void),
        slot(ffi::Py_nb_inplace_true_divide, divide_by as *mut c_void),
        slot(ffi::Py_mp_subscript, get_item as *mut c_void),
        slot(ffi::Py_mp_ass_subscript, set_item as *mut c_void),
        slot(ffi::Py_mp_length, length as *mut c_void),
        slot(ffi::Py_sq_length, length as *mut c_void),
        slot(ffi::Py_sq_item, item as *mut c_void),
        slot(ffi::Py_tp_iter, iterate as *mut c_void),
        slot(ffi::Py_tp_hash, ffi::PyObject_HashNotImplemented as *mut c_void),
    ]);
    let mut getters = known();
    getters.push(getter(c"shape", shape, Some(set_shape)));
    getters.push(getter(c"T", transposed, None));
    getters.push(getter(c"itemsize", itemsize, None));
    getters.push(getter(c"nbytes", nbytes, None));
    getters.push(getter(c"strides", strides, None));
    getters.push(getter(c"real", real, Some(set_real)));
    getters.push(getter(c"imag", imag, Some(set_imag)));
    getters.push(getter(c"flags", flags_of, None));
    getters.push(getter(c"base", base, None));
    getters.push(getter(c"flat", flat_of, Some(set_flat)));
    let array = class(&NdArray::type_object(py), c"numpy.ndarray", getters, quick::methods(), slots)?;
    let mut slots = numbers();
    slots.push(slot(ffi::Py_tp_hash, hash as *mut c_void));
    // One class for scalars of all types; most are of this one.
    let scalar = class(&NdScalar::type_object(py), c"numpy.float64", known(), vec![quick::protocol()], slots)?;
    scalar.setattr("__qualname__", "scalar")?;
    value::init(array.as_type_ptr(), scalar.as_type_ptr());
    m.add("ndarray", array)?;
    m.add("scalar", scalar)
}

unsafe extern "C" fn hash(a: Object) -> isize {
    // SAFETY: see the head of the file; the class derives from `Value`.
    enter(-1, |py| unsafe { convertible::hash(&seen(py, a).cast_unchecked()) })
}

/// What this file takes for granted about the objects of PyO3's classes.
fn check_layout(py: Python<'_>) -> PyResult<()> {
    for base in [Value::type_object(py), NdArray::type_object(py), NdScalar::type_object(py)] {
        check_size(&base, WEAK_REFS)?;
    }
    Ok(())
}

/// Whether a class of PyO3's has objects of this size.
pub fn check_size(class: &Bound<PyType>, expected: usize) -> PyResult<()> {
    let size: usize = class.getattr("__basicsize__")?.extract()?;
    if size != expected {
        return Err(PyRuntimeError::new_err(format!("{class} has objects of {size} bytes, not {expected}")));
    }
    Ok(())
}

/// The class of ufuncs: PyO3's with a place for the address of the function that Python calls without a tuple.
static UFUNC: PyOnceLock<Py<PyType>> = PyOnceLock::new();

const UFUNC_CALL: usize = CONTENTS + size_of::<UfuncObject>();

unsafe extern "C" fn call_ufunc(f: Object, args: *const Object, flags: usize, names: Object) -> Object {
    // SAFETY: Python's protocol: `f` is a ufunc, the highest bit of `flags` is a flag and the rest the number of arguments.
    enter_object(|py| unsafe {
        let args = Args::new(args, flags & (usize::MAX >> 1), names);
        (*f.byte_add(CONTENTS).cast::<UfuncObject>()).call(py, args)
    })
}

unsafe extern "C" fn attribute_of_ufunc(f: Object, name: *mut c_void) -> Object {
    // SAFETY: Python's protocol: `f` is a ufunc, and the name is the one in the table.
    enter_object(|py| unsafe {
        let name = CStr::from_ptr(name.cast()).to_str().expect("a word");
        (*f.byte_add(CONTENTS).cast::<UfuncObject>()).attribute(py, name)
    })
}

/// The ufunc in an object of their class.
///
/// # Safety
/// It must be one, and live.
pub unsafe fn ufunc_in<'a>(f: Object) -> &'a UfuncObject {
    // SAFETY: the caller's promise.
    unsafe { &*f.byte_add(CONTENTS).cast::<UfuncObject>() }
}

/// The class of all ufuncs.
pub fn ufunc_class(py: Python<'_>) -> PyResult<&'static Py<PyType>> {
    /// `Py_TPFLAGS_HAVE_VECTORCALL`
    const HAVE_VECTORCALL: u32 = 1 << 11;
    UFUNC.get_or_try_init(py, || {
        let base = UfuncObject::type_object(py);
        check_size(&base, UFUNC_CALL)?;
        let size = UFUNC_CALL + size_of::<Object>();
        let places = [(c"__vectorcalloffset__", UFUNC_CALL)];
        // Attributes are looked for as in any class, so that Python finds methods without making objects of them. What NumPy's objects
        // know besides (`nin`, `types`, `identity`) is asked for by name.
        let (mut getters, known) = (Vec::new(), base.dir()?);
        for name in py.import("numpy")?.getattr("add")?.dir()? {
            let name: String = name.extract()?;
            if !known.contains(name.as_str())? {
                let name: &'static CStr = Box::leak(CString::new(name)?.into_boxed_c_str());
                let closure = name.as_ptr().cast_mut().cast();
                getters.push(ffi::PyGetSetDef { closure, ..getter(name, attribute_of_ufunc, None) });
            }
        }
        // SAFETY: an empty definition ends the table.
        getters.push(unsafe { std::mem::zeroed() });
        let methods = vec![quick::reduce_method(), ffi::PyMethodDef::zeroed()];
        let slots = vec![
            slot(ffi::Py_tp_getattro, ffi::PyObject_GenericGetAttr as *mut c_void),
            slot(ffi::Py_tp_getset, getters.leak().as_mut_ptr().cast()),
            slot(ffi::Py_tp_methods, methods.leak().as_mut_ptr().cast()),
        ];
        let made = class_with(&base, c"numpy.ufunc", size, HAVE_VECTORCALL, &places, slots)?;
        // Each object has words of its own.
        made.setattr("__doc__", base.getattr("__dict__")?.get_item("__doc__")?)?;
        Ok(made.unbind())
    })
}

/// A ufunc object.
pub fn ufunc(py: Python<'_>, contents: UfuncObject) -> PyResult<Py<PyAny>> {
    let class = ufunc_class(py)?;
    // SAFETY: fresh, zeroed memory for an object of the class, both of whose parts are written here; the base class's
    // deallocation drops the contents.
    unsafe {
        let object = ffi::PyType_GenericAlloc(class.as_ptr().cast(), 0);
        let made = Bound::from_owned_ptr_or_err(py, object)?;
        object.byte_add(CONTENTS).cast::<UfuncObject>().write(contents);
        object.byte_add(UFUNC_CALL).cast::<*mut c_void>().write(call_ufunc as *mut c_void);
        Ok(made.unbind())
    }
}

/// For a class whose objects have attributes of their own: that they can be seen as a dict.
pub fn with_attributes() -> Vec<ffi::PyType_Slot> {
    let attributes = ffi::PyGetSetDef {
        name: c"__dict__".as_ptr(),
        get: Some(ffi::PyObject_GenericGetDict),
        set: Some(ffi::PyObject_GenericSetDict),
        doc: ptr::null(),
        closure: ptr::null_mut(),
    };
    // SAFETY: an empty definition ends the table.
    let table = vec![attributes, unsafe { std::mem::zeroed() }].leak();
    vec![slot(ffi::Py_tp_getset, table.as_mut_ptr().cast())]
}

/// A class derived from another, in whose objects Python has places that it knows by name.
pub fn class_with<'py>(
    base: &Bound<'py, PyType>,
    name: &'static CStr,
    size: usize,
    flags: u32,
    places: &[(&'static CStr, usize)],
    mut slots: Vec<ffi::PyType_Slot>,
) -> PyResult<Bound<'py, PyType>> {
    let py = base.py();
    let mut members: Vec<ffi::PyMemberDef> = Vec::new();
    for &(name, place) in places {
        members.push(ffi::PyMemberDef {
            name: name.as_ptr(),
            type_code: ffi::Py_T_PYSSIZET,
            offset: place as isize,
            flags: ffi::Py_READONLY,
            doc: ptr::null(),
        });
    }
    members.push(ffi::PyMemberDef::default());
    slots.push(slot(ffi::Py_tp_members, members.leak().as_mut_ptr().cast()));
    slots.push(slot(0, ptr::null_mut()));
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: size as c_int,
        itemsize: 0,
        flags: ffi::Py_TPFLAGS_DEFAULT as u32 | flags,
        slots: slots.as_mut_ptr(),
    };
    let bases = PyTuple::new(py, [base])?;
    // SAFETY: the spec, its slots and their tables are as Python's documentation asks; the tables live for good.
    let made = unsafe { ffi::PyType_FromSpecWithBases(&mut spec, bases.as_ptr()) };
    // SAFETY: a new reference, or null with an exception set.
    let made = unsafe { Bound::from_owned_ptr_or_err(py, made)? }.cast_into::<PyType>()?;
    // Messages of Python's say `numpy.ndarray`, as with NumPy; the class itself says what it is.
    made.setattr("__module__", "legate_jit.numpy")?;
    Ok(made)
}
