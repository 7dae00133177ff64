//! Sorting and searching in the forms that programs call most. NumPy's own loops sort, on our memory: which of two equal
//! elements comes first is theirs to say.
//!
//! A boundary file: it hands addresses to NumPy, and reads elements by address.

use legate_jit_ir::{DType, Scalar};
use legate_jit_runtime::{self as rt, Array, HostView, Operand, WeakScalar};
use pyo3::{Bound, Py, PyAny, PyResult, Python};

use crate::capi::{self, lent};
use crate::error::{direct, guarded};
use crate::{adopt, convert, value};

/// The elements of an array with axes, one after the other; computed if they are pending.
fn together(py: Python, array: &Array) -> PyResult<Option<HostView>> {
    if array.c_contiguous() { anywhere(py, array) } else { Ok(None) }
}

/// The same wherever they lie.
fn anywhere(py: Python, array: &Array) -> PyResult<Option<HostView>> {
    if array.ndim() == 0 || array.size() == 0 {
        return Ok(None);
    }
    if let Some(view) = array.host_at_rest() {
        return Ok(Some(view));
    }
    let array = array.clone();
    adopt::detached(py, || array.host()).map(Some)
}

/// Calls a function of NumPy's with an array of NumPy's over these elements.
fn shown<'py, T>(
    py: Python<'py>,
    array: &Array,
    elements: &HostView,
    f: impl FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<T> {
    // SAFETY: the view keeps the memory until the array has been taken back, and nobody else knows of either.
    let shown = unsafe { lent::show(py, array, elements.ptr)? };
    let result = f(&shown);
    lent::take_back(shown);
    result
}

/// Elements that are sorted here: NumPy's call takes longer than that.
const FEW: usize = 24;

/// The elements of a view, if they are few, of one axis and of a type whose order is known here.
struct Few {
    n: usize,
    first: *const u8,
    step: isize,
    float: bool,
}

impl Few {
    #[inline(always)]
    fn of(view: &HostView) -> Option<Few> {
        let (&[n], &[step]) = (&view.shape[..], &view.strides[..]) else { return None };
        let float = match view.dtype {
            DType::F64 => true,
            DType::I64 => false,
            _ => return None,
        };
        (n <= FEW).then_some(Few { n, first: view.ptr, step: step as isize, float })
    }

    /// An integer for the k-th of them, a larger one for every larger number; `None` where NumPy's order is more than that of the numbers
    /// (NaN, zeros of both signs).
    ///
    /// # Safety
    /// The view lives, k is below n, and nobody writes meanwhile.
    #[inline(always)]
    unsafe fn key(&self, k: usize) -> Option<i64> {
        // SAFETY: an element of the view, of 8 bytes.
        let word = unsafe { self.first.offset(k as isize * self.step).cast::<i64>().read_unaligned() };
        if !self.float {
            return Some(word);
        }
        let x = f64::from_bits(word as u64);
        // (Negative numbers the other way round.)
        if x.is_nan() || word == i64::MIN { None } else { Some(word ^ ((word >> 63) as u64 >> 1) as i64) }
    }
}

/// The few elements of a view in their order, with the places they come from, in `all`; `None` where they are too many, of another type, or
/// where their order is NumPy's to say.
fn few<'a>(view: &HostView, all: &'a mut [(i64, u32); FEW]) -> Option<&'a [(i64, u32)]> {
    let few = Few::of(view)?;
    for k in 0..few.n {
        // SAFETY: the caller has the view.
        let key = unsafe { few.key(k)? };
        let mut at = k;
        while at > 0 && all[at - 1].0 > key {
            all[at] = all[at - 1];
            at -= 1;
        }
        all[at] = (key, k as u32);
    }
    Some(&all[..few.n])
}

/// The element that a key of [`few`] stands for.
fn word_of(key: i64, dtype: DType) -> i64 {
    if dtype == DType::F64 { key ^ ((key >> 63) as u64 >> 1) as i64 } else { key }
}

/// Elements of 8 bytes as an array.
fn from_words(words: &[i64], dtype: DType) -> rt::Result<Array> {
    // SAFETY: integers are bytes.
    let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), size_of_val(words)) };
    Array::from_bytes(bytes, &[words.len()], dtype)
}

/// `np.sort(a)`; `None` where it is not plain.
pub fn sorted(py: Python<'_>, array: &Array) -> PyResult<Option<Array>> {
    let Some(view) = together(py, array)? else { return Ok(None) };
    if let Some(all) = few(&view, &mut [(0, 0); FEW]) {
        let mut words = [0i64; FEW];
        for (word, &(key, _)) in words.iter_mut().zip(all) {
            *word = word_of(key, view.dtype);
        }
        return direct(py, || from_words(&words[..all.len()], view.dtype)).map(Some);
    }
    drop(view);
    let Some((new, made)) = copied(py, array)? else { return Ok(None) };
    shown(py, &new, &made, capi::sort)?;
    Ok(Some(new))
}

/// `a.sort()` in the array's own memory; false where that is not to be had.
pub fn sort(py: Python<'_>, array: &Array) -> PyResult<bool> {
    let Some(view) = own(py, array)? else { return Ok(false) };
    if let Some(all) = few(&view, &mut [(0, 0); FEW]) {
        for (k, &(key, _)) in all.iter().enumerate() {
            // SAFETY: an element of the view, of 8 bytes.
            unsafe { view.ptr.cast::<i64>().add(k).write(word_of(key, view.dtype)) };
        }
        return Ok(true);
    }
    shown(py, array, &view, capi::sort)?;
    Ok(true)
}

fn own(py: Python, array: &Array) -> PyResult<Option<HostView>> {
    if array.ndim() == 0 || array.size() == 0 {
        return Ok(None);
    }
    direct(py, || array.own_at_rest())
}

/// A copy of an array with axes whose elements lie together, to be rearranged in its memory before anybody sees it.
fn copied(py: Python, array: &Array) -> PyResult<Option<(Array, HostView)>> {
    let Some(view) = together(py, array)? else { return Ok(None) };
    // SAFETY: so many bytes, one after the other, which nobody writes while the view holds them.
    let bytes = unsafe { std::slice::from_raw_parts(view.ptr, array.nbytes()) };
    let new = direct(py, || Array::from_bytes(bytes, array.shape(), array.dtype()))?;
    let made = guarded(py, || new.host())?;
    Ok(Some((new, made)))
}

/// `np.partition(a, k)`; `None` where it is not plain.
pub fn partitioned(py: Python<'_>, array: &Array, k: i64) -> PyResult<Option<Array>> {
    let Some((new, made)) = copied(py, array)? else { return Ok(None) };
    shown(py, &new, &made, |shown| capi::partition(shown, k))?;
    Ok(Some(new))
}

/// `a.partition(k)` in the array's own memory; false where that is not to be had.
pub fn partition(py: Python<'_>, array: &Array, k: i64) -> PyResult<bool> {
    let Some(view) = own(py, array)? else { return Ok(false) };
    shown(py, array, &view, |shown| capi::partition(shown, k))?;
    Ok(true)
}

/// `np.argpartition(a, k)`; `None` where it is not plain.
pub fn partitioned_order(py: Python<'_>, array: &Array, k: i64) -> PyResult<Option<Py<PyAny>>> {
    let Some(view) = anywhere(py, array)? else { return Ok(None) };
    let order = shown(py, array, &view, |shown| capi::arg_partition(shown, k))?;
    adopt::adopt_made(&order, false, 1)?.map(|order| value::new_array(py, order)).transpose()
}

/// `np.argsort(a)`; `None` where it is not plain.
pub fn order(py: Python<'_>, array: &Array) -> PyResult<Option<Py<PyAny>>> {
    let Some(view) = anywhere(py, array)? else { return Ok(None) };
    if let Some(all) = few(&view, &mut [(0, 0); FEW])
        // (Which of two equal ones comes first is NumPy's to say.)
        && all.windows(2).all(|pair| pair[0].0 != pair[1].0)
    {
        let mut places = [0i64; FEW];
        places.iter_mut().zip(all).for_each(|(place, &(_, k))| *place = k as i64);
        let order = direct(py, || from_words(&places[..all.len()], DType::I64))?;
        return value::new_array(py, order).map(Some);
    }
    let order = shown(py, array, &view, capi::arg_sort)?;
    adopt::adopt_made(&order, false, 1)?.map(|order| value::new_array(py, order)).transpose()
}

/// Keys that [`lexsorted`] looks at.
const KEYS: usize = 4;

/// `np.lexsort((a, b))` of few elements: the order by the last key, of equal ones by the one before; `None` for other forms.
pub fn lexsorted(py: Python<'_>, arrays: &[Array]) -> PyResult<Option<Py<PyAny>>> {
    if arrays.len() > KEYS {
        return Ok(None);
    }
    let (mut keys, mut n) = ([[0i64; KEYS]; FEW], None);
    for (at, array) in arrays.iter().rev().enumerate() {
        let Some(view) = anywhere(py, array)? else { return Ok(None) };
        let Some(few) = Few::of(&view).filter(|few| n.is_none_or(|n| n == few.n)) else { return Ok(None) };
        n = Some(few.n);
        for (k, keys) in keys[..few.n].iter_mut().enumerate() {
            // SAFETY: the view is here.
            let Some(key) = (unsafe { few.key(k) }) else { return Ok(None) };
            keys[at] = key;
        }
    }
    let (mut places, n) = ([0i64; FEW], n.unwrap_or(0));
    for k in 0..n {
        // What is equal stays in its order.
        let mut at = k;
        while at > 0 && keys[places[at - 1] as usize] > keys[k] {
            places[at] = places[at - 1];
            at -= 1;
        }
        places[at] = k as i64;
    }
    let order = direct(py, || from_words(&places[..n], DType::I64))?;
    value::new_array(py, order).map(Some)
}

/// The place of a number among those of a view with one axis, of its type: before the first that is not less.
fn place_in(view: &HostView, dtype: DType, word: u64) -> usize {
    let at = |i: usize| view.ptr.wrapping_offset(i as isize * view.strides[0] as isize);
    // NaN comes last.
    let less = |a: f64, b: f64| a < b || b.is_nan() && !a.is_nan();
    let (mut low, mut high) = (0, view.shape[0]);
    while low < high {
        let middle = low + (high - low) / 2;
        // SAFETY: an element of the view.
        let before = unsafe {
            match dtype {
                DType::F64 => less(at(middle).cast::<f64>().read_unaligned(), f64::from_bits(word)),
                _ => at(middle).cast::<i64>().read_unaligned() < word as i64,
            }
        };
        if before { low = middle + 1 } else { high = middle }
    }
    low
}

/// `np.searchsorted(a, v)` for the few numbers of an array of the same type; `None` where it is another form.
fn places(py: Python<'_>, array: &Array, keys: &Array) -> PyResult<Option<Py<PyAny>>> {
    let dtype = array.dtype();
    if keys.ndim() != 1 || keys.size() > FEW || keys.dtype() != dtype || !matches!(dtype, DType::F64 | DType::I64) {
        return Ok(None);
    }
    let (Some(view), Some(keys)) = (array.host_at_rest(), keys.host_at_rest()) else { return Ok(None) };
    let (n, mut found) = (keys.shape[0], [0i64; FEW]);
    for (i, place) in found[..n].iter_mut().enumerate() {
        let key = keys.ptr.wrapping_offset(i as isize * keys.strides[0] as isize);
        // SAFETY: an element of the view, of 8 bytes.
        *place = place_in(&view, dtype, unsafe { key.cast::<u64>().read_unaligned() }) as i64;
    }
    let made = direct(py, || from_words(&found[..n], DType::I64))?;
    value::new_array(py, made).map(Some)
}

/// `np.searchsorted(a, v)` for one number of the array's type; `None` where it is another form.
pub fn place(py: Python<'_>, array: &Array, key: &Bound<PyAny>) -> PyResult<Option<Py<PyAny>>> {
    if array.ndim() != 1 {
        return Ok(None);
    }
    let (dtype, key) = match (array.dtype(), convert::quick(key)) {
        (_, Some(Operand::Array(keys))) => return places(py, array, keys),
        (DType::F64, Some(Operand::Weak(WeakScalar::Float(v)))) => (DType::F64, Scalar::f64(v)),
        (DType::F64 | DType::I64, Some(Operand::Typed(v))) if v.dtype == array.dtype() => (v.dtype, v),
        (DType::I64, Some(Operand::Weak(WeakScalar::Int(v)))) => match i64::try_from(v) {
            Ok(v) => (DType::I64, Scalar::i64(v)),
            Err(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    let Some(view) = array.host_at_rest() else { return Ok(None) };
    capi::scalar(py, Scalar::i64(place_in(&view, dtype, key.bits[0]) as i64)).map(Some)
}
