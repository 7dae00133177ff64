//! NumPy's C API, as far as it is needed: scalars and arrays made without a detour through Python calls, and arrays read
//! without a copy. This file is a boundary: all of NumPy's pointers stay in it.
//!
//! The functions are looked up in the table that `numpy._core._multiarray_umath._ARRAY_API` points to. Their places in
//! it, and the head of the array struct, are part of NumPy 2's stable binary interface.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use legate_jit_ir::{DType, Scalar};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCapsule, PyCapsuleMethods, PyTuple};
use pyo3::{Borrowed, Bound, Py, PyAny, PyResult, Python, ffi};

use crate::dtypes;

pub mod bits;
pub mod lent;

const ARRAY_TYPE: usize = 2;
const SCALAR: usize = 60;
const SCALAR_AS_CTYPE: usize = 62;
const NEW_FROM_DESCR: usize = 94;
const SORT: usize = 129;
const ARG_SORT: usize = 130;
const SET_BASE_OBJECT: usize = 282;
const PARTITION: usize = 296;
const ARG_PARTITION: usize = 297;

/// NPY_ARRAY_WRITEABLE
pub const WRITEABLE: c_int = 0x0400;

/// The same and NPY_ARRAY_C_CONTIGUOUS
const RUN: c_int = WRITEABLE | 0x0001;
/// NPY_ARRAY_OWNDATA
const OWN_DATA: c_int = 0x0004;

type ScalarFn = unsafe extern "C" fn(*mut c_void, *mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;
type ScalarAsCtypeFn = unsafe extern "C" fn(*mut ffi::PyObject, *mut c_void);
type NewFromDescrFn = unsafe extern "C" fn(
    *mut ffi::PyTypeObject,
    *mut ffi::PyObject,
    c_int,
    *const isize,
    *const isize,
    *mut c_void,
    c_int,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;
/// The array, the axis and the kind, of which 0 is the default.
type SortFn = unsafe extern "C" fn(*mut ffi::PyObject, c_int, c_int) -> c_int;
type ArgSortFn = unsafe extern "C" fn(*mut ffi::PyObject, c_int, c_int) -> *mut ffi::PyObject;
/// The array, the places to put right, the axis and the kind, of which there is but one.
type PartitionFn = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject, c_int, c_int) -> c_int;
type ArgPartitionFn = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject, c_int, c_int) -> *mut ffi::PyObject;
type SetBaseFn = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> c_int;

/// The head of `PyArrayObject`.
#[repr(C)]
struct ArrayHead {
    object: ffi::PyObject,
    data: *mut c_char,
    nd: c_int,
    dimensions: *mut isize,
    strides: *mut isize,
    base: *mut ffi::PyObject,
    descr: *mut ffi::PyObject,
    flags: c_int,
}

/// NumPy's scalar classes whose objects are Python's header and then the number.
struct Made {
    class: *mut ffi::PyTypeObject,
    size: usize,
}

struct Api {
    /// By element type; `None` where NumPy has to make the object (`bool` has but two).
    made: [Option<Made>; 13],
    /// `numpy.False_`, `numpy.True_`
    bools: [*mut ffi::PyObject; 2],
    array_type: *mut ffi::PyTypeObject,
    scalar: ScalarFn,
    scalar_as_ctype: ScalarAsCtypeFn,
    new_from_descr: NewFromDescrFn,
    set_base: SetBaseFn,
    sort: SortFn,
    arg_sort: ArgSortFn,
    partition: PartitionFn,
    arg_partition: ArgPartitionFn,
}
// SAFETY: the pointers name immutable things that live as long as the process.
unsafe impl Send for Api {}
// SAFETY: as above.
unsafe impl Sync for Api {}

static API: PyOnceLock<Api> = PyOnceLock::new();

/// Finds NumPy's table. Called once, when the module is imported.
pub fn init(py: Python) -> PyResult<()> {
    let module = py.import("numpy._core._multiarray_umath")?;
    let capsule = module.getattr("_ARRAY_API")?.cast_into::<PyCapsule>()?;
    let table = capsule.pointer_checked(None)?.as_ptr() as *const *mut c_void;
    // SAFETY: the capsule holds NumPy's function table; the entries have the types given (NumPy's headers).
    let mut api = unsafe {
        Api {
            made: [const { None }; 13],
            bools: [0, 1].map(|_| ptr::null_mut()),
            array_type: *table.add(ARRAY_TYPE) as *mut ffi::PyTypeObject,
            scalar: std::mem::transmute::<*mut c_void, ScalarFn>(*table.add(SCALAR)),
            scalar_as_ctype: std::mem::transmute::<*mut c_void, ScalarAsCtypeFn>(*table.add(SCALAR_AS_CTYPE)),
            new_from_descr: std::mem::transmute::<*mut c_void, NewFromDescrFn>(*table.add(NEW_FROM_DESCR)),
            set_base: std::mem::transmute::<*mut c_void, SetBaseFn>(*table.add(SET_BASE_OBJECT)),
            sort: std::mem::transmute::<*mut c_void, SortFn>(*table.add(SORT)),
            arg_sort: std::mem::transmute::<*mut c_void, ArgSortFn>(*table.add(ARG_SORT)),
            partition: std::mem::transmute::<*mut c_void, PartitionFn>(*table.add(PARTITION)),
            arg_partition: std::mem::transmute::<*mut c_void, ArgPartitionFn>(*table.add(ARG_PARTITION)),
        }
    };
    let numpy = py.import("numpy")?;
    api.bools = [numpy.getattr("False_")?.into_ptr(), numpy.getattr("True_")?.into_ptr()];
    for dtype in DType::ALL {
        api.made[dtype as usize] = plain_objects(py, dtype)?;
    }
    API.set(py, api).map_err(|_| PyImportError::new_err("legate_jit._native was initialised twice"))
}

/// Whether the scalars of this type are made of a header and the number, which is tried on one of them.
fn plain_objects(py: Python, dtype: DType) -> PyResult<Option<Made>> {
    if dtype == DType::Bool {
        return Ok(None);
    }
    let class = dtypes::scalar_type(py, dtype).bind(py);
    let size: usize = class.getattr("__basicsize__")?.extract()?;
    let tried = class.call1((37,))?;
    let expected = legate_jit_ir::cast::cast(Scalar::i64(37), dtype).to_bytes();
    if size < HEADER + dtype.size() || class.getattr("__itemsize__")?.extract::<usize>()? != 0 {
        return Ok(None);
    }
    // SAFETY: the object has at least as many bytes.
    let found = unsafe { std::slice::from_raw_parts(tried.as_ptr().byte_add(HEADER).cast::<u8>(), dtype.size()) };
    Ok((found == &expected[..dtype.size()]).then(|| Made { class: class.as_type_ptr(), size }))
}

/// Of every Python object, before what its class adds.
const HEADER: usize = std::mem::size_of::<ffi::PyObject>();

#[inline(always)]
fn api(py: Python) -> &'static Api {
    API.get(py).expect("initialised at import")
}

unsafe extern "C" {
    /// (All Pythons since 3.9 have it; it belongs to the stable interface since 3.12.)
    fn PyObject_Vectorcall(
        f: *mut ffi::PyObject,
        args: *const *mut ffi::PyObject,
        n: usize,
        names: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject;
}

/// Calls a function with arguments as Python hands them over: those by position, then those by the names.
#[inline]
pub fn call<'py>(
    function: &Bound<'py, PyAny>,
    args: &[Bound<'py, PyAny>],
    names: Option<Borrowed<'_, 'py, PyTuple>>,
) -> PyResult<Bound<'py, PyAny>> {
    let named = names.as_ref().map_or(0, |names| names.len());
    assert!(named <= args.len());
    // SAFETY: live objects, each of which is an address in memory; as many by name as there are names.
    unsafe {
        let names = names.map_or(ptr::null_mut(), |names| names.as_ptr());
        let result = PyObject_Vectorcall(function.as_ptr(), args.as_ptr().cast(), args.len() - named, names);
        Bound::from_owned_ptr_or_err(function.py(), result)
    }
}

/// True for `numpy.ndarray` itself, not for its subclasses.
pub fn is_exact_array(obj: &Bound<PyAny>) -> bool {
    obj.get_type_ptr() == api(obj.py()).array_type
}

/// A NumPy scalar with the element at `data`.
///
/// # Safety
/// `data` must point to a readable element of this type (any alignment).
pub unsafe fn scalar_at(py: Python<'_>, dtype: DType, data: *const u8) -> PyResult<Py<PyAny>> {
    let descr = dtypes::descr_ptr(py, dtype);
    // SAFETY: NumPy copies one element from `data`; the descriptor is a live object.
    let made = unsafe { (api(py).scalar)(data as *mut c_void, descr, ptr::null_mut()) };
    // SAFETY: a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, made) }.map(Bound::unbind)
}

/// A NumPy scalar of this value.
#[inline]
pub fn scalar(py: Python<'_>, value: Scalar) -> PyResult<Py<PyAny>> {
    let api = api(py);
    if let Some(made) = &api.made[value.dtype as usize] {
        // SAFETY: NumPy's scalars are Python objects of a fixed size which Python's allocator gives and takes back; all of
        // the object is written before anybody sees it.
        unsafe {
            let object = ffi::PyObject_Malloc(made.size).cast::<ffi::PyObject>();
            if !object.is_null() {
                let number = object.byte_add(HEADER);
                // (Of most types the number is all there is.)
                if made.size != HEADER + 8 {
                    number.cast::<u8>().write_bytes(0, made.size - HEADER);
                } else if value.dtype.size() != 8 {
                    number.cast::<u64>().write(0);
                }
                match value.dtype.size() {
                    8 => number.cast::<u64>().write(value.bits[0]),
                    4 => number.cast::<u32>().write(value.bits[0] as u32),
                    2 => number.cast::<u16>().write(value.bits[0] as u16),
                    1 => number.cast::<u8>().write(value.bits[0] as u8),
                    n => number.cast::<u8>().copy_from_nonoverlapping(value.to_bytes().as_ptr(), n),
                }
                return Ok(Bound::from_owned_ptr(py, ffi::PyObject_Init(object, made.class)).unbind());
            }
        }
    } else if value.dtype == DType::Bool {
        // SAFETY: the two objects live as long as the process.
        return Ok(unsafe { Bound::from_borrowed_ptr(py, api.bools[(value.bits[0] != 0) as usize]) }.unbind());
    }
    let bytes = value.to_bytes();
    // SAFETY: 16 bytes are enough for every element type.
    unsafe { scalar_at(py, value.dtype, bytes.as_ptr()) }
}

/// The value of a NumPy scalar whose type was found to be `dtype`'s.
pub fn scalar_value(obj: &Bound<PyAny>, dtype: DType) -> Scalar {
    let mut bytes = [0u64; 2];
    if dtype == DType::F64 && api(obj.py()).made[dtype as usize].is_some() {
        // SAFETY: a scalar of this very class, behind whose header the number lies.
        bytes[0] = unsafe { obj.as_ptr().byte_add(HEADER).cast::<u64>().read() };
        return Scalar { dtype, bits: bytes };
    }
    // SAFETY: the scalar is of one of our fixed-size types, at most 16 bytes, and NumPy writes just its value.
    unsafe { (api(obj.py()).scalar_as_ctype)(obj.as_ptr(), bytes.as_mut_ptr() as *mut c_void) };
    Scalar { dtype, bits: bytes }
}

/// The value of a NumPy int64.
#[inline(always)]
pub fn int64(obj: &Bound<PyAny>) -> Option<i64> {
    let made = api(obj.py()).made[DType::I64 as usize].as_ref()?;
    if obj.get_type_ptr() != made.class {
        return None;
    }
    // SAFETY: a scalar of this very class, behind whose header the number lies.
    Some(unsafe { obj.as_ptr().byte_add(HEADER).cast::<i64>().read() })
}

/// The value of a NumPy float64.
#[inline(always)]
pub fn float64(obj: &Bound<PyAny>) -> Option<f64> {
    let made = api(obj.py()).made[DType::F64 as usize].as_ref()?;
    if obj.get_type_ptr() != made.class {
        return None;
    }
    // SAFETY: as above.
    Some(unsafe { obj.as_ptr().byte_add(HEADER).cast::<f64>().read() })
}

/// What a NumPy array says about itself; strides are in bytes.
pub struct ArrayInfo<'a> {
    pub data: *mut u8,
    pub shape: &'a [isize],
    pub strides: &'a [isize],
    pub writeable: bool,
    /// The elements lie one after the other in memory that may be written, and which is the array's own, or that of an array
    /// which nobody else has.
    pub own_run: bool,
    pub descr: *mut ffi::PyObject,
}

/// Whether this is an array of NumPy's own class.
pub fn is_array(obj: &Bound<PyAny>) -> bool {
    obj.get_type_ptr() == api(obj.py()).array_type
}

fn owns(head: &ArrayHead) -> bool {
    head.flags & OWN_DATA != 0 && head.base.is_null()
}

/// Whether the memory is that of an array which nothing but this view has.
///
/// # Safety
/// The head of a live array.
unsafe fn is_only_bases(api: &Api, head: &ArrayHead) -> bool {
    let base = head.base;
    // SAFETY: a base is null or a live object; an array starts with its head.
    unsafe {
        !base.is_null()
            && ffi::Py_TYPE(base) == api.array_type
            && ffi::Py_REFCNT(base) == 1
            && owns(&*base.cast::<ArrayHead>())
    }
}

/// Looks into a NumPy array (or an instance of a subclass); `None` for anything else.
pub fn array_info<'a>(obj: &'a Bound<PyAny>) -> Option<ArrayInfo<'a>> {
    let api = api(obj.py());
    // SAFETY: the type was checked, so the object starts with `ArrayHead`; dimensions and strides hold nd elements and
    // live as long as the array's shape does. No Python code runs while the borrow is used.
    unsafe {
        if obj.get_type_ptr() != api.array_type && ffi::PyType_IsSubtype(obj.get_type_ptr(), api.array_type) == 0 {
            return None;
        }
        let head = &*(obj.as_ptr() as *const ArrayHead);
        let slice =
            |p: *mut isize| if head.nd == 0 { &[][..] } else { std::slice::from_raw_parts(p, head.nd as usize) };
        Some(ArrayInfo {
            data: head.data as *mut u8,
            shape: slice(head.dimensions),
            strides: slice(head.strides),
            writeable: head.flags & WRITEABLE != 0,
            own_run: head.flags & RUN == RUN && (owns(head) || is_only_bases(api, head)),
            descr: head.descr,
        })
    }
}

/// The same for arrays of NumPy's own class alone.
pub fn exact_array_info<'a>(obj: &'a Bound<PyAny>) -> Option<ArrayInfo<'a>> {
    if is_array(obj) { array_info(obj) } else { None }
}

/// The object whose memory a NumPy array uses, if it is not its own.
pub fn array_base<'py>(obj: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    array_info(obj)?;
    // SAFETY: `array_info` found an array; its base is null or a live object.
    unsafe {
        let base = (*(obj.as_ptr() as *const ArrayHead)).base;
        if base.is_null() { None } else { Some(Bound::from_borrowed_ptr(obj.py(), base)) }
    }
}

/// A NumPy array over memory that the caller keeps for as long as this lives.
///
/// # Safety
/// As for [`array_over`], where the caller is the owner.
unsafe fn brief_array<'py>(
    py: Python<'py>,
    dtype: DType,
    shape: &[isize],
    strides: &[isize],
    data: *mut u8,
    writeable: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let api = api(py);
    let descr = dtypes::descr_ptr(py, dtype);
    // SAFETY: NewFromDescr steals the reference to the descriptor.
    unsafe {
        ffi::Py_INCREF(descr);
        let array = (api.new_from_descr)(
            api.array_type,
            descr,
            shape.len() as c_int,
            shape.as_ptr(),
            strides.as_ptr(),
            data as *mut c_void,
            if writeable { WRITEABLE } else { 0 },
            ptr::null_mut(),
        );
        Bound::from_owned_ptr_or_err(py, array)
    }
}

/// Sorts the elements of an array of NumPy's with axes along the last one.
pub fn sort(array: &Bound<PyAny>) -> PyResult<()> {
    let py = array.py();
    // SAFETY: a live array, and an axis of its.
    if unsafe { (api(py).sort)(array.as_ptr(), last_axis(array), 0) } < 0 { Err(PyErr::fetch(py)) } else { Ok(()) }
}

/// The indices that would sort them.
pub fn arg_sort<'py>(array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = array.py();
    // SAFETY: as above; what is made is a new reference, or null with an exception set.
    unsafe { Bound::from_owned_ptr_or_err(py, (api(py).arg_sort)(array.as_ptr(), last_axis(array), 0)) }
}

/// Puts the element that belongs at place `k` of the last axis there, with the smaller ones before it.
pub fn partition(array: &Bound<PyAny>, k: i64) -> PyResult<()> {
    let (py, place) = (array.py(), place(array.py(), k)?);
    // SAFETY: as above.
    let done = unsafe { (api(py).partition)(array.as_ptr(), place.as_ptr(), last_axis(array), 0) };
    if done < 0 { Err(PyErr::fetch(py)) } else { Ok(()) }
}

/// The indices that would do so.
pub fn arg_partition<'py>(array: &Bound<'py, PyAny>, k: i64) -> PyResult<Bound<'py, PyAny>> {
    let (py, place) = (array.py(), place(array.py(), k)?);
    // SAFETY: as above.
    unsafe {
        let order = (api(py).arg_partition)(array.as_ptr(), place.as_ptr(), last_axis(array), 0);
        Bound::from_owned_ptr_or_err(py, order)
    }
}

fn last_axis(array: &Bound<PyAny>) -> c_int {
    array_info(array).map_or(0, |info| info.shape.len() as c_int) - 1
}

/// An array of NumPy's without axes that holds this number until the next one is asked for: NumPy makes a copy before it does anything.
fn place(py: Python<'_>, k: i64) -> PyResult<Bound<'_, PyAny>> {
    static PLACE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let array = PLACE.get_or_try_init(py, || {
        // SAFETY: without an address, NumPy gives the array memory of its own.
        unsafe { brief_array(py, DType::I64, &[], &[], ptr::null_mut(), true).map(Bound::unbind) }
    })?;
    // SAFETY: one element of 8 bytes, which nobody else knows of.
    unsafe { (*array.as_ptr().cast::<ArrayHead>()).data.cast::<i64>().write(k) };
    Ok(array.bind(py).clone())
}

/// A NumPy array over foreign memory. `owner` is kept alive as the array's base.
///
/// # Safety
/// The memory that shape and strides (in bytes) reach from `data` must stay valid while `owner` lives.
pub unsafe fn array_over<'py>(
    py: Python<'py>,
    dtype: DType,
    shape: &[isize],
    strides: &[isize],
    data: *mut u8,
    writeable: bool,
    owner: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the caller's promise; SetBaseObject steals the reference to the owner.
    unsafe {
        let array = brief_array(py, dtype, shape, strides, data, writeable)?;
        if (api(py).set_base)(array.as_ptr(), owner.into_ptr()) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(array)
    }
}
