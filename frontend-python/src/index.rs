//! `a[key]` and `a[key] = value`.
//!
//! Basic indices (integers, slices, `...`, `newaxis`) are views and are recorded; an integer for every axis reads or writes
//! one element, at once where the array is at rest; boolean masks and arrays of integers over the leading axes are the
//! runtime's `pick`; all else NumPy does on its view of our memory.
//!
//! A boundary file: it reads integers, slices and tuples through Python's C API.

use legate_jit_ir::DType;
use legate_jit_runtime::{self as rt, Array, Casting, Element, Index, IndexPart, Operand, WeakScalar};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyInt, PyList, PySlice, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python, ffi};
use smallvec::SmallVec;

use crate::error::{attempt, direct};
use crate::slots::seen;
use crate::value::{self, Value};
use crate::{capi, convert, dtypes, fallback, loops, picked};

type Parts = SmallVec<[Index; 4]>;

/// An int of Python's own or an int64 of NumPy's, which loops over arrays of indices give.
#[inline(always)]
fn plain_int(obj: &Bound<PyAny>) -> Option<i64> {
    if obj.is_exact_instance_of::<PyInt>() { exact_int(obj) } else { capi::int64(obj) }
}

/// An exact int; `None` where it is so large that it is out of bounds anyway, for which NumPy has the words.
#[inline]
fn exact_int(obj: &Bound<PyAny>) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: an exact int; errors cannot occur for one.
    let v = unsafe { ffi::PyLong_AsLongLongAndOverflow(obj.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(v)
}

/// Other parts of a basic index; `None` where it needs NumPy's advanced indexing.
#[inline(never)]
fn rarer_part(obj: &Bound<PyAny>) -> PyResult<Option<Index>> {
    if obj.is_none() {
        return Ok(Some(Index::NewAxis));
    }
    if obj.is_exact_instance_of::<PyEllipsis>() {
        return Ok(Some(Index::Ellipsis));
    }
    integer_like(obj)
}

/// Integers of other kinds: NumPy's scalars and ours, 0-d integer arrays, whatever has `__index__`.
fn integer_like(obj: &Bound<PyAny>) -> PyResult<Option<Index>> {
    let py = obj.py();
    if obj.is_exact_instance_of::<PyBool>() {
        return Ok(None);
    }
    if let Some(v) = value::value(obj) {
        if v.get().ndim() > 0 || !v.get().dtype().is_integer() {
            return Ok(None);
        }
    } else if capi::array_info(obj).is_some_and(|info| !info.shape.is_empty())
        || dtypes::of_scalar_type(py, obj.get_type_ptr()) == Some(DType::Bool)
    {
        return Ok(None);
    }
    // SAFETY: reading a slot of a live object's type.
    if unsafe { ffi::PyIndex_Check(obj.as_ptr()) } == 0 {
        return Ok(None);
    }
    Ok(obj.extract::<i64>().ok().map(Index::Int))
}

/// The parts of a basic index; false for anything else.
#[inline(always)]
fn parts(key: &Bound<PyAny>, out: &mut Parts) -> PyResult<bool> {
    if !key.is_exact_instance_of::<PyTuple>() {
        return add_part(key, out);
    }
    // SAFETY: an exact tuple, which holds its items while the caller holds the key.
    let n = unsafe { ffi::PyTuple_Size(key.as_ptr()) };
    for i in 0..n {
        // SAFETY: as above; `i` is below its length.
        let item = unsafe { seen(key.py(), ffi::PyTuple_GetItem(key.as_ptr(), i)) };
        if !add_part(&item, out)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Slices and integers, of which most indices consist, go straight to their place.
#[inline(always)]
fn add_part(item: &Bound<PyAny>, out: &mut Parts) -> PyResult<bool> {
    if item.is_exact_instance_of::<PySlice>() {
        let (mut start, mut stop, mut step) = (0, 0, 0);
        // SAFETY: an exact slice.
        if unsafe { ffi::PySlice_Unpack(item.as_ptr(), &mut start, &mut stop, &mut step) } < 0 {
            return Err(PyErr::fetch(item.py()));
        }
        out.push(Index::Slice { start: start as i64, stop: stop as i64, step: step as i64 });
        return Ok(true);
    }
    if item.is_exact_instance_of::<PyInt>() {
        return Ok(exact_int(item).map(|i| out.push(Index::Int(i))).is_some());
    }
    match rarer_part(item)? {
        Some(p) => out.push(p),
        None => return Ok(false),
    }
    Ok(true)
}

/// Axes that a full integer index may have to be read without further ado.
const QUICK: usize = 4;

/// A full index of plain ints, the commonest of all: how many there are, or `None` for any other index.
#[inline(always)]
fn exact_ints(key: &Bound<PyAny>, ndim: usize, at: &mut [i64; QUICK]) -> Option<usize> {
    if key.is_exact_instance_of::<PyTuple>() {
        // SAFETY: an exact tuple, which holds its items while the caller holds the key; `i` is below its length.
        unsafe {
            if ndim > QUICK || ffi::PyTuple_Size(key.as_ptr()) != ndim as isize {
                return None;
            }
            for (i, slot) in at[..ndim].iter_mut().enumerate() {
                *slot = plain_int(&seen(key.py(), ffi::PyTuple_GetItem(key.as_ptr(), i as isize)))?;
            }
        }
        return Some(ndim);
    }
    if ndim == 1 {
        at[0] = plain_int(key)?;
        return Some(1);
    }
    None
}

/// The places of a full integer index.
fn places(parts: &[Index], ndim: usize) -> Option<SmallVec<[i64; 4]>> {
    if parts.len() != ndim {
        return None;
    }
    parts.iter().map(|p| if let Index::Int(i) = p { Some(*i) } else { None }).collect()
}

/// `a[key]`
#[inline(always)]
pub fn get(slf: &Bound<PyAny>, v: &Value, key: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    let array = v.get();
    let mut at = [0; QUICK];
    if let Some(n) = exact_ints(key, array.ndim(), &mut at) {
        return element(py, array, &at[..n]);
    }
    get_other(slf, v, key)
}

/// What is no single element by plain ints. (A function of its own: single elements are read in less time than this one takes to begin.)
#[inline(never)]
fn get_other(slf: &Bound<PyAny>, v: &Value, key: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    let (py, array) = (slf.py(), v.get());
    if value::is_array(key)
        && let Some(index) = value::value(key).and_then(Value::array)
        && index.dtype() == DType::I64
        && index.ndim() > 0
        && let Some(taken) = attempt(py, || array.take_at(&[IndexPart::Array(index)]))?
    {
        return value::new_array(py, taken);
    }
    let mut items = Parts::new();
    if !parts(key, &mut items)? {
        return get_advanced(slf, v, key);
    }
    if let Some(at) = places(&items, array.ndim()) {
        return element(py, array, &at);
    }
    let view = direct(py, || array.index(&items))?;
    value::new_array(py, view)
}

/// `a[i]` for iteration.
#[inline]
pub fn row(py: Python<'_>, array: &Array, i: i64) -> PyResult<Py<PyAny>> {
    if array.ndim() == 1 {
        return element(py, array, &[i]);
    }
    let row = direct(py, || array.index(&[Index::Int(i)]))?;
    value::new_array(py, row)
}

/// What comes before a loop over an array: one over many elements asks for their values.
pub fn before_iteration(py: Python<'_>, array: &Array) -> PyResult<()> {
    if array.ndim() == 0 {
        return Err(PyTypeError::new_err("iteration over a 0-d array"));
    }
    if array.ndim() == 1 && array.size() > MANY as usize {
        let array = array.clone();
        crate::adopt::detached(py, || array.item(0))?;
    }
    Ok(())
}

/// Single elements of pending values that are recorded before they are computed. A program that reads more is in a loop over
/// elements, and soon asks for their values: then it is better to compute first.
const MANY: u32 = 8;

/// One element: a NumPy scalar where the value is there, else a scalar of ours that is computed when it is asked for.
#[inline(always)]
pub fn element(py: Python<'_>, array: &Array, at: &[i64]) -> PyResult<Py<PyAny>> {
    if let Some(number) = array.peek(at) {
        return capi::scalar(py, number);
    }
    distant_element(py, array, at)
}

#[cold]
fn distant_element(py: Python<'_>, array: &Array, at: &[i64]) -> PyResult<Py<PyAny>> {
    // Computing it all takes less time than recording a read, which somebody is going to look at.
    if direct(py, rt::sync_if_hardly_pending)?
        && let Some(number) = array.peek(at)
    {
        return capi::scalar(py, number);
    }
    match direct(py, || array.get_item(at))? {
        Element::Value(s) => capi::scalar(py, s),
        Element::Pending(a) => {
            if rt::element_reads() > MANY {
                drop(a);
                let array = array.clone();
                crate::adopt::detached(py, rt::sync_for_a_number)?;
                return match direct(py, || array.get_item(at))? {
                    Element::Value(s) => capi::scalar(py, s),
                    Element::Pending(a) => value::new_scalar(py, a),
                };
            }
            value::new_scalar(py, a)
        }
    }
}

/// `a[key] = new`
pub fn set(slf: &Bound<PyAny>, v: &Value, key: &Bound<PyAny>, new: &Bound<PyAny>) -> PyResult<()> {
    let py = slf.py();
    let array = v.get();
    let mut at = [0; QUICK];
    if let Some(n) = exact_ints(key, array.ndim(), &mut at) {
        let new = convert::quick(new);
        let float = match new {
            Some(Operand::Weak(WeakScalar::Float(v))) => Some(v),
            Some(Operand::Typed(s)) if s.dtype == DType::F64 => Some(s.as_f64()),
            _ => None,
        };
        if float.is_some_and(|v| array.poke_f64(&at[..n], v)) {
            return Ok(());
        }
        match new {
            Some(Operand::Weak(w)) => return direct(py, || array.set_item_weak(&at[..n], w)),
            Some(Operand::Typed(s)) if s.dtype.kind() <= array.dtype().kind() => {
                return direct(py, || array.set_item(&at[..n], s));
            }
            _ => {}
        }
    }
    set_other(slf, v, key, new)
}

/// What is no number for a single element by plain ints.
#[inline(never)]
fn set_other(slf: &Bound<PyAny>, v: &Value, key: &Bound<PyAny>, new: &Bound<PyAny>) -> PyResult<()> {
    let (py, array) = (slf.py(), v.get());
    if value::is_array(key)
        && let Some(index) = value::value(key).and_then(Value::array)
        && index.dtype() == DType::I64
        && index.ndim() > 0
        && let Some(new) = convert::quick(new)
        && attempt(py, || array.put_at(&[IndexPart::Array(index)], new, Casting::Unsafe))?.is_some()
    {
        return Ok(());
    }
    loops::tick_write(py)?;
    let mut items = Parts::new();
    if !parts(key, &mut items)? {
        return set_advanced(slf, v, key, new);
    }
    let parts = items;
    let op = match convert::operand(new) {
        Ok(op) => op,
        // A ragged list and the like: NumPy says what is wrong.
        Err(_) => return fallback::set_item(slf, key, new),
    };
    let Some(op) = op.operand() else { return fallback::set_item(slf, key, new) };
    if let Operand::Typed(s) = op
        && array.dtype().is_integer()
        && s.dtype.is_float()
        && !s.as_f64().is_finite()
    {
        // Python's conversion to an integer refuses.
        return fallback::set_item(slf, key, new);
    }
    let done = if let Some(at) = places(&parts, array.ndim()) {
        match op {
            Operand::Weak(w) => direct(py, || array.set_item_weak(&at, w)).map(Some)?,
            Operand::Typed(s) if !s.dtype.is_complex() || array.dtype().is_complex() => {
                direct(py, || array.set_item(&at, s)).map(Some)?
            }
            // A sequence for one element: NumPy decides.
            Operand::Array(a) if a.ndim() > 0 => None,
            _ => attempt(py, || array.index(&parts)?.assign(op, Casting::Unsafe))?,
        }
    } else {
        attempt(py, || array.index(&parts)?.assign(op, Casting::Unsafe))?
    };
    match done {
        Some(()) => Ok(()),
        None => fallback::set_item(slf, key, new),
    }
}

/// An index that is not basic.
enum Advanced {
    /// A boolean array with axes.
    Mask(Array),
    /// Integer arrays, perhaps among integers, for the leading axes.
    Integers(SmallVec<[Integer; 2]>),
    /// What NumPy is left with.
    Other,
}

enum Integer {
    One(i64),
    Array(Array),
}

/// What is a list of nothing but ints, of which there are some.
fn ints_of(obj: &Bound<PyAny>) -> Option<SmallVec<[i64; 16]>> {
    let list = obj.cast_exact::<PyList>().ok()?;
    let mut all = SmallVec::new();
    for k in 0..list.len() {
        // SAFETY: the list holds its items, and no Python code runs here that could change it.
        let item = unsafe { seen(list.py(), ffi::PyList_GetItem(list.as_ptr(), k as isize)) };
        all.push(item.is_exact_instance_of::<PyInt>().then(|| exact_int(&item)).flatten()?);
    }
    (!all.is_empty()).then_some(all)
}

fn array_of_ints(ints: &[i64]) -> Result<Array, rt::Error> {
    // SAFETY: integers are bytes.
    let bytes = unsafe { std::slice::from_raw_parts(ints.as_ptr().cast::<u8>(), size_of_val(ints)) };
    Array::from_bytes(bytes, &[ints.len()], DType::I64)
}

/// A list of ints as an array of them.
pub fn int_list(obj: &Bound<PyAny>) -> PyResult<Option<Array>> {
    ints_of(obj).map(|all| direct(obj.py(), || array_of_ints(&all))).transpose()
}

/// Elements of a matrix of which `columns` makes a copy.
const COPIED: usize = 2048;

/// `a[:, [1, 2]]` of a small matrix: rows of the transposed one, and so they lie in NumPy's result.
fn columns(py: Python, a: &Array, key: &Bound<PyAny>) -> PyResult<Option<Py<PyAny>>> {
    let Ok(pair) = key.cast_exact::<PyTuple>() else { return Ok(None) };
    if pair.len() != 2 || a.ndim() != 2 || a.size() > COPIED {
        return Ok(None);
    }
    let (rows, columns) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
    let (mut start, mut stop, mut step) = (0, 0, 0);
    // SAFETY: a slice and three numbers to write to.
    let whole = rows.is_exact_instance_of::<PySlice>()
        && unsafe { ffi::PySlice_Unpack(rows.as_ptr(), &mut start, &mut stop, &mut step) } == 0
        && (start, stop, step) == (0, isize::MAX, 1);
    let Some(columns) = ints_of(&columns).filter(|_| whole) else {
        // (A bound that is no number is an error of NumPy's, too.)
        drop(PyErr::take(py));
        return Ok(None);
    };
    let n = a.shape()[1] as i64;
    if !columns.iter().all(|i| (-n..n).contains(i)) {
        return Ok(None);
    }
    let taken = attempt(py, || {
        let index = array_of_ints(&columns)?;
        Ok(a.transposed().copy(false)?.take_at(&[IndexPart::Array(&index)])?.transposed())
    })?;
    taken.map(|taken| value::new_array(py, taken)).transpose()
}

/// Ours, NumPy's or a list's, but not a tuple's elements, as an array.
fn index_array(obj: &Bound<PyAny>) -> PyResult<Option<Array>> {
    if let Some(ints) = int_list(obj)? {
        return Ok(Some(ints));
    }
    if obj.cast_exact::<PyList>().is_ok_and(|l| l.is_empty()) {
        // NumPy takes it for a list of integers.
        return direct(obj.py(), || Array::zeros(&[0], DType::I64)).map(Some);
    }
    if obj.is_exact_instance_of::<PyTuple>() { Ok(None) } else { convert::array_like(obj) }
}

fn advanced(key: &Bound<PyAny>) -> PyResult<Advanced> {
    rt::say_other();
    if let Ok(tuple) = key.cast_exact::<PyTuple>() {
        let mut all = SmallVec::new();
        for item in tuple.iter_borrowed() {
            if item.is_exact_instance_of::<PyInt>() {
                match exact_int(&item) {
                    Some(i) => all.push(Integer::One(i)),
                    None => return Ok(Advanced::Other),
                }
                continue;
            }
            match index_array(&item)?.filter(|a| a.dtype().is_integer()) {
                Some(a) => all.push(Integer::Array(a)),
                None => return Ok(Advanced::Other),
            }
        }
        let any = all.iter().any(|i| matches!(i, Integer::Array(_)));
        return Ok(if any { Advanced::Integers(all) } else { Advanced::Other });
    }
    Ok(match index_array(key)? {
        Some(a) if a.dtype() == DType::Bool && a.ndim() > 0 => Advanced::Mask(a),
        Some(a) if a.dtype().is_integer() => {
            let mut all = SmallVec::new();
            all.push(Integer::Array(a));
            Advanced::Integers(all)
        }
        _ => Advanced::Other,
    })
}

fn index_parts(integers: &[Integer]) -> SmallVec<[IndexPart<'_>; 2]> {
    integers
        .iter()
        .map(|i| match i {
            Integer::One(i) => IndexPart::Int(*i),
            Integer::Array(a) => IndexPart::Array(a),
        })
        .collect()
}

/// `a[key]` for a mask or for integer arrays.
fn get_advanced(slf: &Bound<PyAny>, v: &Value, key: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    let py = slf.py();
    if let Some(taken) = columns(py, v.get(), key)? {
        rt::say_other();
        return Ok(taken);
    }
    match advanced(key)? {
        Advanced::Mask(mask) => {
            if let Some(picked) = attempt(py, || v.get().pick(&mask))? {
                return value::new_picked(py, picked);
            }
        }
        Advanced::Integers(integers) => {
            if let Some(taken) = attempt(py, || v.get().take_at(&index_parts(&integers)))? {
                return value::new_array(py, taken);
            }
        }
        Advanced::Other => {}
    }
    fallback::get_item(slf, key)
}

/// `a[key] = new` for a mask or for integer arrays.
fn set_advanced(slf: &Bound<PyAny>, v: &Value, key: &Bound<PyAny>, new: &Bound<PyAny>) -> PyResult<()> {
    let py = slf.py();
    match advanced(key)? {
        Advanced::Mask(mask) => {
            if picked::assign(v, &mask, new)? {
                return Ok(());
            }
            let Ok(op) = convert::operand(new) else { return fallback::set_item(slf, key, new) };
            if let Some(op) = op.operand() {
                let array = v.get();
                let done = attempt(py, || {
                    if array.assign_selected(&mask, op, Casting::Unsafe)? {
                        return Ok(());
                    }
                    array.assign_where(&mask, op, Casting::Unsafe)
                })?;
                if done.is_some() {
                    return Ok(());
                }
            }
        }
        Advanced::Integers(integers) => {
            let Ok(op) = convert::operand(new) else { return fallback::set_item(slf, key, new) };
            if let Some(op) = op.operand() {
                let done = attempt(py, || v.get().put_at(&index_parts(&integers), op, Casting::Unsafe))?;
                if done.is_some() {
                    return Ok(());
                }
            }
        }
        Advanced::Other => {}
    }
    fallback::set_item(slf, key, new)
}
