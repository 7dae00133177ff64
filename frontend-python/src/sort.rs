//! Sorting and searching in the forms that programs call most. NumPy's own loops sort, on our memory: which of two equal
//! elements comes first is theirs to say.
//!
//! A boundary file: it hands addresses to NumPy, and reads elements by address.

use legate_jit_ir::{DType, Scalar};
use legate_jit_runtime::{Array, HostView, Operand, WeakScalar};
use pyo3::{Bound, Py, PyAny, PyResult, Python};
use smallvec::SmallVec;

use crate::error::{direct, guarded};
use crate::{adopt, capi, convert, value};

/// The elements of an array with axes, one after the other; computed if they are pending.
fn together(py: Python, array: &Array) -> PyResult<Option<HostView>> {
    if array.ndim() == 0 || array.size() == 0 || !array.c_contiguous() {
        return Ok(None);
    }
    if let Some(view) = array.host_at_rest() {
        return Ok(Some(view));
    }
    let array = array.clone();
    adopt::detached(py, || array.host()).map(Some)
}

fn dims(view: &HostView) -> (SmallVec<[isize; 4]>, SmallVec<[isize; 4]>) {
    (view.shape.iter().map(|&n| n as isize).collect(), view.strides.iter().map(|&s| s as isize).collect())
}

/// `np.sort(a)`; `None` where it is not plain.
pub fn sorted(py: Python<'_>, array: &Array) -> PyResult<Option<Array>> {
    let Some(view) = together(py, array)? else { return Ok(None) };
    // SAFETY: so many bytes, one after the other, which nobody writes while the view holds them.
    let bytes = unsafe { std::slice::from_raw_parts(view.ptr, array.nbytes()) };
    let new = direct(py, || Array::from_bytes(bytes, array.shape(), array.dtype()))?;
    let made = guarded(py, || new.host())?;
    let (shape, strides) = dims(&made);
    // SAFETY: the view keeps the new array's memory, which nobody else knows.
    unsafe { capi::sort(py, made.dtype, &shape, &strides, made.ptr)? };
    Ok(Some(new))
}

/// `np.argsort(a)`; `None` where it is not plain.
pub fn order(py: Python<'_>, array: &Array) -> PyResult<Option<Py<PyAny>>> {
    let Some(view) = together(py, array)? else { return Ok(None) };
    let (shape, strides) = dims(&view);
    // SAFETY: the view keeps the memory, and nobody writes it meanwhile.
    let order = unsafe { capi::arg_sort(py, view.dtype, &shape, &strides, view.ptr)? };
    adopt::adopt(&order, false)?.map(|order| value::new_array(py, order)).transpose()
}

/// `np.searchsorted(a, v)` for one number of the array's type; `None` where it is another form.
pub fn place(py: Python<'_>, array: &Array, key: &Bound<PyAny>) -> PyResult<Option<Py<PyAny>>> {
    if array.ndim() != 1 {
        return Ok(None);
    }
    let (dtype, key) = match (array.dtype(), convert::quick(key)) {
        (DType::F64, Some(Operand::Weak(WeakScalar::Float(v)))) => (DType::F64, Scalar::f64(v)),
        (DType::F64 | DType::I64, Some(Operand::Typed(v))) if v.dtype == array.dtype() => (v.dtype, v),
        (DType::I64, Some(Operand::Weak(WeakScalar::Int(v)))) => match i64::try_from(v) {
            Ok(v) => (DType::I64, Scalar::i64(v)),
            Err(_) => return Ok(None),
        },
        _ => return Ok(None),
    };
    let Some(view) = array.host_at_rest() else { return Ok(None) };
    let at = |i: usize| view.ptr.wrapping_offset(i as isize * view.strides[0] as isize);
    // NaN comes last.
    let less = |a: f64, b: f64| a < b || b.is_nan() && !a.is_nan();
    let (mut low, mut high) = (0, view.shape[0]);
    while low < high {
        let middle = low + (high - low) / 2;
        // SAFETY: an element of the view.
        let before = unsafe {
            match dtype {
                DType::F64 => less(at(middle).cast::<f64>().read_unaligned(), key.as_f64()),
                _ => at(middle).cast::<i64>().read_unaligned() < key.bits[0] as i64,
            }
        };
        if before { low = middle + 1 } else { high = middle }
    }
    capi::scalar(py, Scalar::i64(low as i64)).map(Some)
}
