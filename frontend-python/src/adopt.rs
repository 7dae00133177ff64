//! Arrays across the border: NumPy's as ours and ours as NumPy's, without copies.
//!
//! A boundary file: it hands addresses over, with something that keeps them good.

use std::ffi::CStr;

use legate_jit_ir::{DType, Scalar};
use legate_jit_runtime::{Array, Error, Export, HostView, Loan};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use pyo3::{Bound, Py, PyAny, PyResult, Python};
use smallvec::SmallVec;

use crate::error::{direct, guarded, raise};
use crate::lean::Lean;
use crate::value::{self, Value};
use crate::{capi, dtypes, lean, lend};

/// Stands behind a NumPy array that looks at our memory, as its `base`.
#[pyclass(frozen, subclass, name = "owner", module = "legate_jit")]
pub struct Owner {
    array: Array,
    /// Where the array's base starts.
    start: usize,
    _memory: Memory,
}

impl Owner {
    /// Behind an array that shows memory which was lent. The loan comes back where the array has another memory now.
    pub fn of(loan: Loan, array: &Array) -> Result<Owner, Loan> {
        if !loan.is_of(array) {
            return Err(loan);
        }
        Ok(Owner { array: array.clone(), start: loan.start() as usize, _memory: Memory::Lent(loan) })
    }
}

impl Lean for Owner {
    const CALLED: &'static CStr = c"legate_jit.owner";

    fn class() -> &'static PyOnceLock<Py<PyType>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        &CLASS
    }
}

#[allow(dead_code)] // Held for what their drop does.
enum Memory {
    Shared(Export),
    Lent(Loan),
    Read(HostView),
}

/// Runs `f`, which computes what is pending: without the interpreter lock, unless that is so little that giving up the lock
/// would take longer.
pub fn detached<T: Send>(py: Python, f: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
    if legate_jit_runtime::little_pending() {
        return guarded(py, f);
    }
    guarded(py, || py.detach(f))
}

/// Keeps a Python object alive for memory of its that we use. May be dropped by any thread.
struct Keeper(Option<Py<PyAny>>);

impl Drop for Keeper {
    fn drop(&mut self) {
        let object = self.0.take();
        // Attached, the object goes at once; when Python is ending, it stays.
        let _ = Python::try_attach(|_| drop(object));
    }
}

/// NumPy's array (0-d for scalars) over the memory of ours, which both share from now on. Computes what is pending.
pub fn host_array<'py>(obj: &Bound<'py, Value>) -> PyResult<Bound<'py, PyAny>> {
    if let Some((shown, loan)) = lend::shown(obj.py(), obj.get().get())? {
        lend::keep(&shown, obj, loan)?;
        return Ok(shown);
    }
    let py = obj.py();
    let array = obj.get().get().clone();
    let export = detached(py, || array.export())?;
    let writable = array.writable();
    let (start, view) = (export.view.store.as_ptr() as usize, &export.view);
    let (shape, strides) = dims(view);
    let (dtype, data) = (view.dtype, view.ptr);
    let owner = Owner { array, start, _memory: Memory::Shared(export) };
    let owner = lean::object(py, owner)?.into_bound(py);
    // SAFETY: the export in the owner keeps the memory that shape and strides reach.
    unsafe { capi::array_over(py, dtype, &shape, &strides, data, writable, owner) }
}

/// NumPy's array for looking only: a later write through ours does not show in it.
pub fn look<'py>(py: Python<'py>, array: &Array) -> PyResult<Bound<'py, PyAny>> {
    let array = array.clone();
    let view = detached(py, || array.host())?;
    let start = view.store.as_ptr() as usize;
    let (shape, strides) = dims(&view);
    let (dtype, data) = (view.dtype, view.ptr);
    let owner = lean::object(py, Owner { array, start, _memory: Memory::Read(view) })?.into_bound(py);
    // SAFETY: the view in the owner keeps the memory that shape and strides reach.
    unsafe { capi::array_over(py, dtype, &shape, &strides, data, false, owner) }
}

fn dims(view: &HostView) -> (SmallVec<[isize; 4]>, SmallVec<[isize; 4]>) {
    (view.shape.iter().map(|&n| n as isize).collect(), view.strides.iter().map(|&s| s as isize).collect())
}

/// What NumPy has in place of ours: an array that shares the memory, or for a scalar a NumPy scalar.
pub fn host<'py>(obj: &Bound<'py, Value>) -> PyResult<Bound<'py, PyAny>> {
    let py = obj.py();
    if value::is_scalar(obj) {
        return Ok(capi::scalar(py, item(py, obj.get().get())?)?.into_bound(py));
    }
    host_array(obj)
}

/// The same for looking only (printing, `tolist`).
pub fn look_at<'py>(obj: &Bound<'py, Value>) -> PyResult<Bound<'py, PyAny>> {
    let py = obj.py();
    if value::is_scalar(obj) {
        return Ok(capi::scalar(py, item(py, obj.get().get())?)?.into_bound(py));
    }
    look(py, obj.get().get())
}

/// The first element's value; this is where a pending computation runs.
pub fn item(py: Python<'_>, array: &Array) -> PyResult<Scalar> {
    if let Some(s) = array.known_scalar() {
        return Ok(s);
    }
    let array = array.clone();
    detached(py, || array.item(0))
}

/// Bytes of an array that are copied sooner than shared.
const SMALL: usize = 1024;

/// How many references to an object there are.
pub fn references(obj: &Bound<PyAny>) -> isize {
    // SAFETY: a live object.
    unsafe { pyo3::ffi::Py_REFCNT(obj.as_ptr()) }
}

/// The type of an array of NumPy's with memory of its own in C order, to which there are no more references than those `held`.
#[inline]
pub fn own_alone(obj: &Bound<PyAny>, held: isize) -> Option<DType> {
    let info = capi::array_info(obj).filter(|info| info.own_run && references(obj) == held)?;
    dtypes::of_descr(obj.py(), info.descr)
}

/// What a function of NumPy's has returned, as ours: as [`adopt`]. A small array that nobody but the caller has, whose references
/// are `held`, is copied, which takes less time than to keep it.
pub fn adopt_made(obj: &Bound<PyAny>, shared: bool, held: isize) -> PyResult<Option<Array>> {
    let py = obj.py();
    let only_here = references(obj) == held;
    if let Some(info) = capi::array_info(obj).filter(|info| info.own_run && only_here)
        && let Some(dtype) = dtypes::of_descr(py, info.descr)
    {
        let mut shape = [0; 4];
        let ndim = info.shape.len().min(shape.len());
        shape.iter_mut().zip(info.shape).for_each(|(to, &n)| *to = n as usize);
        let shape = &shape[..ndim];
        let bytes = shape.iter().product::<usize>() * dtype.size();
        if ndim == info.shape.len() && (1..=SMALL).contains(&bytes) {
            // SAFETY: so many bytes, one after the other, which the array keeps and nobody writes meanwhile.
            let bytes = unsafe { std::slice::from_raw_parts(info.data, bytes) };
            return direct(py, || Array::from_bytes(bytes, shape, dtype)).map(Some);
        }
    }
    adopt(obj, shared)
}

/// A NumPy array as ours, over the same memory. `shared` says that somebody else may go on using it. `None` for types that
/// we lack and for memory that cannot be shared.
pub fn adopt(obj: &Bound<PyAny>, shared: bool) -> PyResult<Option<Array>> {
    let py = obj.py();
    let Some(info) = capi::array_info(obj) else { return Ok(None) };
    let Some(dtype) = dtypes::of_descr(py, info.descr) else { return Ok(None) };
    let shape: SmallVec<[usize; 4]> = info.shape.iter().map(|&n| n as usize).collect();
    let strides: SmallVec<[i64; 4]> = info.strides.iter().map(|&s| s as i64).collect();
    let (data, writeable) = (info.data, info.writeable);
    let of_ours = of_our_memory(obj, data, &shape, &strides, dtype);
    if let Some(Some(mut part)) = of_ours {
        part.set_writable(part.writable() && writeable);
        return Ok(Some(part));
    }
    // Our memory seen with another type: both sides hold it as shared, so that each sees what the other writes.
    let shared = shared || of_ours.is_some();
    let owner = || Box::new(Keeper(Some(obj.clone().unbind())));
    // SAFETY: the NumPy array keeps its memory as long as the owner holds it; `shared` tells whether others use it.
    let made = unsafe { Array::from_foreign(data, &shape, &strides, dtype, owner(), shared) };
    let array = match made {
        Err(Error::Unsupported(_)) => match part_of_whole(obj, data, &shape, &strides, dtype)? {
            Some(part) => Ok(part),
            // It stays NumPy's array.
            None if of_ours.is_some() => return Ok(None),
            // Memory that cannot be shared is copied.
            // SAFETY: as above; what is not shared is only read here, and copied.
            None => unsafe { Array::from_foreign(data, &shape, &strides, dtype, owner(), false) },
        },
        other => other,
    };
    let mut array = array.map_err(|e| raise(py, e))?;
    if !writeable {
        array.set_writable(false);
        array.set_base_writable(false);
    }
    Ok(Some(array))
}

/// What stands at the end of a NumPy array's chain of bases.
fn last_base<'py>(obj: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let mut base = capi::array_base(obj)?;
    loop {
        match capi::array_base(&base) {
            Some(next) => base = next,
            None if capi::array_info(&base).is_some() || base.is_instance_of::<Owner>() => return Some(base),
            // `as_strided` puts an object of its own between.
            None => match base.getattr_opt("base").ok().flatten() {
                Some(next) if !next.is_none() => base = next,
                _ => return Some(base),
            },
        }
    }
}

/// Memory that is shared but not one run of elements: a view of the array that the memory belongs to.
fn part_of_whole(
    obj: &Bound<PyAny>,
    data: *mut u8,
    shape: &[usize],
    strides: &[i64],
    dtype: legate_jit_ir::DType,
) -> PyResult<Option<Array>> {
    let item = dtype.size() as i64;
    let Some(base) = last_base(obj) else { return Ok(None) };
    let Some(info) = capi::array_info(&base) else { return Ok(None) };
    let offset = (data as usize).wrapping_sub(info.data as usize) as i64;
    if dtypes::of_descr(obj.py(), info.descr) != Some(dtype)
        || offset % item != 0
        || strides.iter().any(|s| s % item != 0)
    {
        return Ok(None);
    }
    let Some(whole) = adopt(&base, true)? else { return Ok(None) };
    let elements: SmallVec<[i64; 4]> = strides.iter().map(|s| s / item).collect();
    Ok(whole.as_strided(shape, &elements, offset / item, dtype))
}

/// A NumPy array that looks at memory of ours: the same part of our array. `Some(None)` where it cannot be described so
/// (another type, an odd place).
fn of_our_memory(
    obj: &Bound<PyAny>,
    data: *mut u8,
    shape: &[usize],
    strides: &[i64],
    dtype: legate_jit_ir::DType,
) -> Option<Option<Array>> {
    if shape.contains(&0) {
        return None;
    }
    let base = last_base(obj)?;
    let (array, start) = behind(&base)?;
    let offset = (data as usize).wrapping_sub(start) as i64;
    let item = dtype.size() as i64;
    if offset % item != 0 || strides.iter().any(|s| s % item != 0) {
        return Some(None);
    }
    let elements: SmallVec<[i64; 4]> = strides.iter().map(|s| s / item).collect();
    Some(array.as_strided(shape, &elements, offset / item, dtype))
}

/// Our array whose memory the last of the bases stands for, with the place of its base.
fn behind(base: &Bound<PyAny>) -> Option<(Array, usize)> {
    if let Ok(owner) = base.cast::<Owner>() {
        let owner = owner.get();
        return match owner._memory {
            Memory::Shared(_) | Memory::Lent(_) => Some((owner.array.clone(), owner.start)),
            Memory::Read(_) => None,
        };
    }
    // An array made through `__array_struct__` keeps (our array, capsule); the capsule keeps the memory in place.
    let first = base.cast_exact::<pyo3::types::PyTuple>().ok()?.get_item(0).ok()?;
    let array = value::value(&first)?.get().clone();
    let view = array.whole_base().host().ok()?;
    Some((array, view.store.as_ptr() as usize))
}

/// `numpy.array(obj)`
pub fn numpy_array<'py>(obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    static UNWRAP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = obj.py();
    let plain = UNWRAP.import(py, "legate_jit._fallback", "unwrap")?.call1((obj,))?;
    ARRAY.import(py, "numpy", "array")?.call1((plain,))
}
