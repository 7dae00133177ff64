//! `np.interp` for numbers and arrays of doubles: NumPy's own steps (`arr_interp` in its sources), and so its bits.
//!
//! A boundary file: it reads elements by address.

use legate_jit_ir::{DType, Scalar};
use legate_jit_runtime::{Array, HostView, Operand, WeakScalar};
use pyo3::{Bound, Py, PyAny, PyResult, Python};

use crate::error::direct;
use crate::{capi, convert, value};

/// The doubles of an array that lie in memory, one after the other.
fn doubles(array: &Array) -> Option<HostView> {
    if array.dtype() != DType::F64 || !array.c_contiguous() || array.ndim() == 0 {
        return None;
    }
    array.host_at_rest()
}

/// # Safety
/// A view that [`doubles`] gave.
unsafe fn elements(view: &HostView) -> &[f64] {
    // SAFETY: so many doubles, which nobody writes while the view holds them and the interpreter lock is held.
    unsafe { std::slice::from_raw_parts(view.ptr.cast::<f64>().cast_const(), view.shape.iter().product()) }
}

/// `None` where something else is asked for, or where NumPy has an error to raise.
pub fn interp(py: Python<'_>, x: &Bound<PyAny>, xp: &Array, fp: &Array) -> PyResult<Option<Py<PyAny>>> {
    if xp.ndim() != 1 || fp.ndim() != 1 || xp.size() != fp.size() || xp.size() == 0 {
        return Ok(None);
    }
    let (Some(xs), Some(ys)) = (doubles(xp), doubles(fp)) else { return Ok(None) };
    // SAFETY: views of doubles.
    let line = unsafe { Line { x: elements(&xs), y: elements(&ys) } };
    let number = match convert::quick(x) {
        Some(Operand::Weak(WeakScalar::Float(v))) => v,
        Some(Operand::Weak(WeakScalar::Int(v))) if v.abs() < 1 << 53 => v as f64,
        Some(Operand::Typed(v)) if v.dtype == DType::F64 => v.as_f64(),
        Some(Operand::Array(x)) => {
            let Some(at) = doubles(x) else { return Ok(None) };
            let mut values = Vec::with_capacity(x.size());
            // SAFETY: a view of doubles.
            line.values(unsafe { elements(&at) }, &mut values);
            // SAFETY: doubles are bytes.
            let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), 8 * values.len()) };
            let made = direct(py, || Array::from_bytes(bytes, x.shape(), DType::F64))?;
            return value::new_array(py, made).map(Some);
        }
        _ => return Ok(None),
    };
    let mut place = 0;
    capi::scalar(py, Scalar::f64(line.value(number, &mut place, None))).map(Some)
}

/// The points between which lines are drawn.
struct Line<'a> {
    x: &'a [f64],
    y: &'a [f64],
}

impl Line<'_> {
    fn slope(&self, j: usize) -> f64 {
        (self.y[j + 1] - self.y[j]) / (self.x[j + 1] - self.x[j])
    }

    fn values(&self, at: &[f64], values: &mut Vec<f64>) {
        // Where there are more places than lines, each line's slope is divided for once.
        let slopes: Option<Vec<f64>> =
            (self.x.len() <= at.len()).then(|| (0..self.x.len() - 1).map(|j| self.slope(j)).collect());
        let mut place = 0;
        values.extend(at.iter().map(|&v| self.value(v, &mut place, slopes.as_deref())));
    }

    /// The value at one place. `place` is the point before the last one that was asked for.
    fn value(&self, v: f64, place: &mut isize, slopes: Option<&[f64]>) -> f64 {
        let (x, y) = (self.x, self.y);
        let last = x.len() - 1;
        if last == 0 {
            // (Neither smaller nor larger is also what is no number.)
            return y[0];
        }
        if v.is_nan() {
            return v;
        }
        *place = before(v, x, *place);
        let j = *place;
        if j < 0 {
            return y[0];
        }
        let j = j as usize;
        if j >= last {
            return y[last];
        }
        if x[j] == v {
            return y[j];
        }
        let slope = slopes.map_or_else(|| self.slope(j), |s| s[j]);
        let mut value = slope * (v - x[j]) + y[j];
        // From the other side, where this one is infinite.
        if value.is_nan() {
            value = slope * (v - x[j + 1]) + y[j + 1];
            if value.is_nan() && y[j] == y[j + 1] {
                value = y[j];
            }
        }
        value
    }
}

/// The point before `v`, or -1, or how many there are; searched for around a guess. On points that are in no order it finds
/// what NumPy's search finds.
fn before(v: f64, x: &[f64], guess: isize) -> isize {
    const NEAR: isize = 8;
    let n = x.len() as isize;
    if v > x[x.len() - 1] {
        return n;
    }
    if v < x[0] {
        return -1;
    }
    if n <= 4 {
        return x[1..].iter().take_while(|&&x| v >= x).count() as isize;
    }
    let at = |i: isize| x[i as usize];
    let guess = guess.min(n - 3).max(1);
    let (mut low, mut high) = (0, n);
    if v < at(guess) {
        if v < at(guess - 1) {
            high = guess - 1;
            if guess > NEAR && v >= at(guess - NEAR) {
                low = guess - NEAR;
            }
        } else {
            return guess - 1;
        }
    } else if v < at(guess + 1) {
        return guess;
    } else if v < at(guess + 2) {
        return guess + 1;
    } else {
        low = guess + 2;
        if guess < n - NEAR - 1 && v < at(guess + NEAR) {
            high = guess + NEAR;
        }
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if v >= at(middle) { low = middle + 1 } else { high = middle }
    }
    low - 1
}
