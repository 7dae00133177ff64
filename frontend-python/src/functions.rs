//! NumPy's functions that make arrays, join them or reduce them.

use legate_jit_ir::cast::cast;
use legate_jit_ir::{DType, Scalar, Ufunc};
use legate_jit_runtime::{self as rt, Array, Operand, WeakScalar};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python};
use smallvec::SmallVec;

use crate::convert::{self, Arg};
use crate::error::{guarded, supported};
use crate::methods::{Ints, index_arg, shape_arg};
use crate::reduce::{self, Options};
use crate::value::{self, Value};
use crate::{adopt, capi, dtypes, fallback};

type Obj<'a, 'py> = &'a Bound<'py, PyAny>;
type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

fn given<'a, 'py>(x: Given<'a, 'py>) -> Given<'a, 'py> {
    x.filter(|x| !x.is_none())
}

/// Keyword arguments that were given, for a call that NumPy runs.
fn keywords<'py>(py: Python<'py>, all: &[(&str, Given<'_, 'py>)]) -> PyResult<Bound<'py, PyDict>> {
    let kwargs = PyDict::new(py);
    for (name, x) in all {
        if let Some(x) = x {
            kwargs.set_item(*name, *x)?;
        }
    }
    Ok(kwargs)
}

fn is_word(x: Given, words: &[&str]) -> bool {
    match given(x) {
        None => true,
        Some(x) => x.cast::<PyString>().is_ok_and(|s| s.to_cow().is_ok_and(|s| words.contains(&s.as_ref()))),
    }
}

/// The `dtype` argument: `None` where NumPy has a type that we lack.
fn dtype_arg(dtype: Given, default: DType) -> PyResult<Option<DType>> {
    match given(dtype) {
        None => Ok(Some(default)),
        Some(d) => Ok(dtypes::parse(d)?.ok()),
    }
}

fn usizes(shape: &Ints, dtype: DType) -> Result<SmallVec<[usize; 4]>, rt::Error> {
    rt::check_shape(shape, dtype)
}

/// `zeros`, `ones`, `empty`: one value everywhere.
// NumPy's own parameters, each once.
#[allow(clippy::too_many_arguments)]
fn filled(
    py: Python,
    name: &str,
    shape: Obj,
    dtype: Given,
    order: Given,
    device: Given,
    like: Given,
    value: i128,
) -> PyResult<Py<PyAny>> {
    let fortran = given(order).is_some() && !is_word(order, &["C", "K", "A"]);
    if let (Some(d), true, true) = (dtype_arg(dtype, DType::F64)?, is_word(device, &["cpu"]), given(like).is_none())
        && is_word(order, &["C", "F", "c", "f"])
    {
        let extents = shape_arg(shape)?;
        if extents.len() <= 16 {
            let scalar = guarded(py, || WeakScalar::Int(value).value(d))?;
            let array = guarded(py, || {
                let extents = usizes(&extents, d)?;
                let made = if fortran { Array::full_fortran(&extents, scalar) } else { Array::full(&extents, scalar) }?;
                if name == "empty" {
                    made.mark_unset();
                }
                Ok(made)
            })?;
            return value::new_array(py, array);
        }
    }
    let kwargs = keywords(py, &[("dtype", dtype), ("order", order), ("device", device), ("like", like)])?;
    made_by_numpy(py, name, &PyTuple::new(py, [shape])?, &kwargs)
}

/// An array that NumPy makes (not a fallback: there is nothing to compute).
fn made_by_numpy(py: Python, name: &str, args: &Bound<PyTuple>, kwargs: &Bound<PyDict>) -> PyResult<Py<PyAny>> {
    let function = py.import("numpy")?.getattr(name)?;
    fallback::call_numpy(&function, args, Some(kwargs)).map(Bound::unbind)
}

#[pyfunction]
#[pyo3(signature = (shape, dtype=None, order=None, *, device=None, like=None))]
pub fn zeros(
    py: Python<'_>,
    shape: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    order: Given<'_, '_>,
    device: Given<'_, '_>,
    like: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    filled(py, "zeros", shape, dtype, order, device, like, 0)
}

#[pyfunction]
#[pyo3(signature = (shape, dtype=None, order=None, *, device=None, like=None))]
pub fn empty(
    py: Python<'_>,
    shape: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    order: Given<'_, '_>,
    device: Given<'_, '_>,
    like: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    filled(py, "empty", shape, dtype, order, device, like, 0)
}

#[pyfunction]
#[pyo3(signature = (shape, dtype=None, order=None, *, device=None, like=None))]
pub fn ones(
    py: Python<'_>,
    shape: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    order: Given<'_, '_>,
    device: Given<'_, '_>,
    like: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    filled(py, "ones", shape, dtype, order, device, like, 1)
}

/// A number as an element of the type (by default its own).
fn element_of(py: Python, fill: &Operand, dtype: Option<DType>) -> PyResult<Scalar> {
    guarded(py, || match fill {
        Operand::Weak(w) => w.value(dtype.unwrap_or_else(|| w.own_type())),
        Operand::Typed(s) => Ok(cast(*s, dtype.unwrap_or(s.dtype))),
        Operand::Array(_) => Err(rt::Error::Unsupported("an array".into())),
    })
}

#[pyfunction]
#[pyo3(signature = (shape, fill_value, dtype=None, order=None, *, device=None, like=None))]
pub fn full(
    py: Python<'_>,
    shape: Obj<'_, '_>,
    fill_value: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    order: Given<'_, '_>,
    device: Given<'_, '_>,
    like: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let kind = given(dtype).map(dtypes::parse).transpose()?;
    let plain = is_word(order, &["C"]) && is_word(device, &["cpu"]) && given(like).is_none();
    if plain && !matches!(kind, Some(Err(_))) {
        let kind = kind.and_then(|k| k.ok());
        let fill = convert::operand(fill_value)?;
        match fill.operand() {
            Some(Operand::Array(a)) => {
                let extents = shape_arg(shape)?;
                let array = guarded(py, || {
                    let d = kind.unwrap_or(a.dtype());
                    let out = Array::empty(&usizes(&extents, d)?, d)?;
                    out.assign(Operand::Array(a), rt::Casting::Unsafe)?;
                    Ok(out)
                })?;
                return value::new_array(py, array);
            }
            Some(op) => {
                let scalar = element_of(py, &op, kind)?;
                let extents = shape_arg(shape)?;
                let array = guarded(py, || Array::full(&usizes(&extents, scalar.dtype)?, scalar))?;
                return value::new_array(py, array);
            }
            None => {}
        }
    }
    let kwargs = keywords(py, &[("dtype", dtype), ("order", order), ("device", device), ("like", like)])?;
    made_by_numpy(py, "full", &PyTuple::new(py, [shape, fill_value])?, &kwargs)
}

#[allow(clippy::too_many_arguments)]
fn like_another(
    py: Python,
    name: &str,
    a: Obj,
    fill: Option<Obj>,
    number: i128,
    dtype: Given,
    order: Given,
    subok: Given,
    shape: Given,
    device: Given,
) -> PyResult<Py<PyAny>> {
    let model = convert::operand(a)?;
    if let (Some(model), true) = (model.operand(), is_word(device, &["cpu"])) {
        let model = guarded(py, || Array::from_operand(model))?;
        let kind = dtype_arg(dtype, model.dtype())?;
        let scalar = match (fill, kind) {
            (_, None) => None,
            (None, Some(d)) => Some(guarded(py, || WeakScalar::Int(number).value(d))?),
            (Some(f), Some(d)) => match convert::quick(f) {
                Some(Operand::Array(_)) | None => None,
                Some(op) => Some(element_of(py, &op, Some(d))?),
            },
        };
        if let Some(scalar) = scalar {
            let unset = |made: Array| {
                if name == "empty_like" {
                    made.mark_unset();
                }
                Ok(made)
            };
            if given(shape).is_none() && is_word(order, &["K"]) {
                return value::new_array(py, guarded(py, || Array::full_like(&model, scalar).and_then(unset))?);
            }
            if is_word(order, &["C", "K"]) {
                let extents: Ints = match given(shape) {
                    Some(s) => shape_arg(s)?,
                    None => model.shape().iter().map(|&n| n as i64).collect(),
                };
                let make = || Array::full(&usizes(&extents, scalar.dtype)?, scalar).and_then(unset);
                return value::new_array(py, guarded(py, make)?);
            }
        }
    }
    let all = [("dtype", dtype), ("order", order), ("subok", subok), ("shape", shape), ("device", device)];
    let kwargs = keywords(py, &all)?;
    let args = match fill {
        Some(f) => PyTuple::new(py, [a, f])?,
        None => PyTuple::new(py, [a])?,
    };
    made_by_numpy(py, name, &args, &kwargs)
}

#[pyfunction]
#[pyo3(signature = (a, dtype=None, order=None, subok=None, shape=None, *, device=None))]
pub fn zeros_like(
    py: Python<'_>,
    a: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    order: Given<'_, '_>,
    subok: Given<'_, '_>,
    shape: Given<'_, '_>,
    device: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    like_another(py, "zeros_like", a, None, 0, dtype, order, subok, shape, device)
}

#[pyfunction]
#[pyo3(signature = (prototype, /, dtype=None, order=None, subok=None, shape=None, *, device=None))]
pub fn empty_like(
    py: Python<'_>,
    prototype: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    order: Given<'_, '_>,
    subok: Given<'_, '_>,
    shape: Given<'_, '_>,
    device: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    like_another(py, "empty_like", prototype, None, 0, dtype, order, subok, shape, device)
}

#[pyfunction]
#[pyo3(signature = (a, dtype=None, order=None, subok=None, shape=None, *, device=None))]
pub fn ones_like(
    py: Python<'_>,
    a: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    order: Given<'_, '_>,
    subok: Given<'_, '_>,
    shape: Given<'_, '_>,
    device: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    like_another(py, "ones_like", a, None, 1, dtype, order, subok, shape, device)
}

#[pyfunction]
#[pyo3(signature = (a, fill_value, dtype=None, order=None, subok=None, shape=None, *, device=None))]
#[allow(clippy::too_many_arguments)]
pub fn full_like(
    py: Python<'_>,
    a: Obj<'_, '_>,
    fill_value: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    order: Given<'_, '_>,
    subok: Given<'_, '_>,
    shape: Given<'_, '_>,
    device: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    like_another(py, "full_like", a, Some(fill_value), 0, dtype, order, subok, shape, device)
}

/// `np.arange`: integers are recorded, floats too where NumPy's formula is ours.
#[pyfunction]
#[pyo3(signature = (*args, **kwargs))]
pub fn arange(py: Python<'_>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
    if kwargs.is_none() && (1..=3).contains(&args.len()) {
        let ops: SmallVec<[Option<i128>; 3]> = args
            .iter_borrowed()
            .map(|a| match convert::quick(&a) {
                Some(Operand::Weak(WeakScalar::Int(v))) => Some(v),
                _ => None,
            })
            .collect();
        let ints: Option<SmallVec<[i128; 3]>> = ops.into_iter().collect();
        if let Some(v) = ints {
            let (start, stop, step) = match v[..] {
                [stop] => (0, stop, 1),
                [start, stop] => (start, stop, 1),
                _ => (v[0], v[1], v[2]),
            };
            let fits = [start, stop, step].iter().all(|n| i64::try_from(*n).is_ok());
            if step != 0 && fits {
                let n = ((stop - start) + step - step.signum()).div_euclid(step).max(0);
                let n = if (stop - start).signum() * step.signum() <= 0 { 0 } else { n };
                let (a, b) = (Scalar::int(DType::I64, start), Scalar::int(DType::I64, start.wrapping_add(step)));
                let array = guarded(py, || {
                    usizes(&SmallVec::from_slice(&[n as i64]), DType::I64)?;
                    Array::arange(a, b, n as usize)
                })?;
                return value::new_array(py, array);
            }
        }
        if let Some((start, next, n)) = float_range(args) {
            return value::new_array(py, guarded(py, || Array::arange(Scalar::f64(start), Scalar::f64(next), n))?);
        }
    }
    let kwargs = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
    made_by_numpy(py, "arange", args, &kwargs)
}

/// The first two of a range of floats, and how many there are; `None` for what NumPy might complain about.
fn float_range(args: &Bound<'_, PyTuple>) -> Option<(f64, f64, usize)> {
    let mut all = SmallVec::<[f64; 3]>::new();
    for a in args.iter_borrowed() {
        all.push(match convert::quick(&a)? {
            Operand::Weak(WeakScalar::Float(v)) => v,
            Operand::Weak(WeakScalar::Int(v)) if v.abs() < 1 << 53 => v as f64,
            _ => return None,
        });
    }
    let (start, stop, step) = match all[..] {
        [stop] => (0.0, stop, 1.0),
        [start, stop] => (start, stop, 1.0),
        _ => (all[0], all[1], all[2]),
    };
    let n = ((stop - start) / step).ceil();
    let next = start + step;
    // NumPy stores the first two as they are, and counts from the first by their difference.
    let plain = next.is_finite() && step != 0.0 && n > 0.0 && n < (1u64 << 31) as f64;
    let exact = start + (next - start) == next && !(start == 0.0 && start.is_sign_negative());
    (plain && exact).then_some((start, next, n as usize))
}

/// Something as an array of ours; what NumPy alone can hold stays NumPy's.
#[pyfunction]
#[pyo3(signature = (a, dtype=None, order=None, *, device=None, copy=None, like=None))]
pub fn asarray(
    py: Python<'_>,
    a: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    order: Given<'_, '_>,
    device: Given<'_, '_>,
    copy: Given<'_, '_>,
    like: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let plain = given(order).is_none() && given(device).is_none() && given(copy).is_none() && given(like).is_none();
    if plain {
        match given(dtype) {
            None => {
                if value::is_array(a) {
                    return Ok(a.clone().unbind());
                }
                match convert::operand(a)? {
                    Arg::Quick(Operand::Array(scalar)) => return value::own_array(py, scalar),
                    Arg::Made(array) => return value::new_array(py, array),
                    Arg::Quick(op) => return value::new_array(py, guarded(py, || Array::from_operand(op))?),
                    Arg::Foreign => {}
                }
            }
            Some(d) => {
                if let (Ok(d), Some(v)) = (dtypes::parse(d)?, value::value(a)) {
                    if v.get().dtype() == d && value::is_array(a) {
                        return Ok(a.clone().unbind());
                    }
                    let made = guarded(py, || v.get().astype(d, rt::Casting::Unsafe))?;
                    return value::new_array(py, made);
                }
            }
        }
    }
    let all = [("dtype", dtype), ("order", order), ("device", device), ("copy", copy), ("like", like)];
    made_by_numpy(py, "asarray", &PyTuple::new(py, [a])?, &keywords(py, &all)?)
}

/// `np.array`: a copy unless told otherwise.
#[pyfunction]
#[pyo3(signature = (object, dtype=None, *, copy=None, order=None, subok=None, ndmin=None, like=None, **kwargs))]
#[allow(clippy::too_many_arguments)]
pub fn array(
    py: Python<'_>,
    object: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    copy: Given<'_, '_>,
    order: Given<'_, '_>,
    subok: Given<'_, '_>,
    ndmin: Given<'_, '_>,
    like: Given<'_, '_>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<Py<PyAny>> {
    let copies = match copy {
        None => true,
        Some(c) => !c.is_none() && c.is_truthy()?,
    };
    let plain = is_word(order, &["K"]) && given(ndmin).is_none() && given(like).is_none() && kwargs.is_none();
    if let (Some(v), true, true) = (value::value(object), copies, plain) {
        let kind = given(dtype).map(dtypes::parse).transpose()?;
        if !matches!(kind, Some(Err(_))) {
            let made = guarded(py, || match kind.and_then(|k| k.ok()) {
                Some(d) => v.get().astype(d, rt::Casting::Unsafe),
                None => v.get().copy(true),
            })?;
            return value::new_array(py, made);
        }
    }
    if let (Ok(list), true, true) = (object.cast_exact::<PyList>(), copies, plain) {
        // A list of arrays of ours is a stack: nothing has to be computed for it.
        if given(dtype).is_none() && list.len() > 0 && list.iter().all(|x| value::is_array(&x)) {
            let parts: Vec<Array> = list.iter().filter_map(|x| value::value(&x).map(|v| v.get().clone())).collect();
            if parts.iter().all(|p| p.shape() == parts[0].shape() && p.dtype() == parts[0].dtype())
                && let Some(a) = supported(py, || Array::stack(&parts, 0, None))?
            {
                return value::new_array(py, a);
            }
        }
    }
    let all = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
    let rest = [("dtype", dtype), ("copy", copy), ("order", order), ("subok", subok), ("ndmin", ndmin), ("like", like)];
    for (name, x) in rest {
        if let Some(x) = x {
            all.set_item(name, x)?;
        }
    }
    if copies && capi::is_exact_array(object) {
        // The copy is nobody else's.
        let made = py.import("numpy")?.getattr("array")?.call((object,), Some(&all))?;
        return adopt_array(py, &made, false);
    }
    made_by_numpy(py, "array", &PyTuple::new(py, [object])?, &all)
}

#[pyfunction]
#[pyo3(signature = (a, dtype=None, *, like=None))]
pub fn ascontiguousarray(
    py: Python<'_>,
    a: Obj<'_, '_>,
    dtype: Given<'_, '_>,
    like: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    let made = asarray(py, a, dtype, None, None, None, like)?;
    let made = made.bind(py);
    match value::value(made) {
        Some(v) if v.get().ndim() == 0 => {
            let one = guarded(py, || v.get().reshape(&[1]))?;
            value::new_array(py, one)
        }
        Some(v) if v.get().c_contiguous() => Ok(made.clone().unbind()),
        Some(v) => value::new_array(py, guarded(py, || v.get().copy(false))?),
        None => made_by_numpy(py, "ascontiguousarray", &PyTuple::new(py, [made])?, &PyDict::new(py)),
    }
}

#[pyfunction]
#[pyo3(signature = (a, order=None, subok=None))]
pub fn copy(py: Python<'_>, a: Obj<'_, '_>, order: Given<'_, '_>, subok: Given<'_, '_>) -> PyResult<Py<PyAny>> {
    if is_word(order, &["K"]) {
        let op = convert::operand(a)?;
        if let Some(op) = op.operand() {
            let made = guarded(py, || Array::from_operand(op)?.copy(true))?;
            return value::new_array(py, made);
        }
    }
    let kwargs = keywords(py, &[("order", order), ("subok", subok)])?;
    made_by_numpy(py, "copy", &PyTuple::new(py, [a])?, &kwargs)
}

#[pyfunction]
#[pyo3(name = "where", signature = (condition, x=None, y=None, /))]
pub fn where_(py: Python<'_>, condition: Obj<'_, '_>, x: Given<'_, '_>, y: Given<'_, '_>) -> PyResult<Py<PyAny>> {
    let mut args: SmallVec<[&Bound<PyAny>; 3]> = SmallVec::from_slice(&[condition]);
    args.extend(x);
    args.extend(y);
    if let (Some(x), Some(y)) = (x, y) {
        let (c, a, b) = (convert::operand(condition)?, convert::operand(x)?, convert::operand(y)?);
        if let (Some(c), Some(a), Some(b)) = (c.operand(), a.operand(), b.operand()) {
            let done = supported(py, || {
                let c = Array::from_operand(c)?;
                rt::where_(&c, a, b)
            })?;
            if let Some(array) = done {
                return value::new_array(py, array);
            }
        }
    }
    if x.is_none()
        && y.is_none()
        && let Some(v) = value::value(condition).filter(|v| v.get().ndim() > 0)
    {
        let all = nonzero_columns(py, v.get())?;
        return Ok(PyTuple::new(py, all)?.into_any().unbind());
    }
    fallback::numpy(py, "where", &PyTuple::new(py, args)?, None)
}

/// The indices of the elements that are not zero, one array an axis.
pub fn nonzero_columns(py: Python<'_>, array: &Array) -> PyResult<Vec<Py<PyAny>>> {
    if let Some(places) = guarded(py, || rt::nonzero_of_line(array))? {
        return Ok(vec![value::new_array(py, places)?]);
    }
    let array = array.clone();
    let all = adopt::detached(py, || rt::nonzero(&array))?;
    (0..array.ndim())
        .map(|k| value::new_array(py, guarded(py, || all.index(&[rt::Index::ALL, rt::Index::Int(k as i64)]))?))
        .collect()
}

/// The same; `a` is an array of ours with axes.
#[pyfunction]
pub fn nonzero_of(py: Python<'_>, a: &Bound<'_, Value>) -> PyResult<Py<PyAny>> {
    let columns = nonzero_columns(py, a.get().get())?;
    Ok(PyTuple::new(py, columns)?.into_any().unbind())
}

/// How often each integer of an array of ours occurs; None where that is NumPy's to say.
#[pyfunction]
pub fn bincount_of(
    py: Python<'_>,
    a: &Bound<'_, Value>,
    weights: Option<&Bound<'_, Value>>,
    minlength: usize,
) -> PyResult<Option<Py<PyAny>>> {
    let (array, weights) = (a.get().get().clone(), weights.map(|w| w.get().get().clone()));
    let counts = adopt::detached(py, || rt::bincount(&array, weights.as_ref(), minlength))?;
    counts.map(|c| value::new_array(py, c)).transpose()
}

/// How many elements of an array of ours with axes are not zero.
#[pyfunction]
pub fn count_of(py: Python<'_>, a: &Bound<'_, Value>) -> PyResult<Py<PyAny>> {
    let array = a.get().get().clone();
    let count = adopt::detached(py, || rt::count_nonzero(&array))?;
    capi::scalar(py, Scalar::i64(count as i64))
}

/// The indices as one array, a row for each element.
#[pyfunction]
pub fn coordinates(py: Python<'_>, a: &Bound<'_, Value>) -> PyResult<Py<PyAny>> {
    let array = a.get().get().clone();
    value::new_array(py, adopt::detached(py, || rt::nonzero(&array))?)
}

#[pyfunction]
#[pyo3(signature = (arrays, /, axis=None, out=None, *, dtype=None, casting=None))]
pub fn concatenate(
    py: Python<'_>,
    arrays: Obj<'_, '_>,
    axis: Option<Obj<'_, '_>>,
    out: Given<'_, '_>,
    dtype: Given<'_, '_>,
    casting: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    join(py, "concatenate", arrays, Some(0), axis, out, dtype, casting)
}

#[allow(clippy::too_many_arguments)]
fn join(
    py: Python,
    name: &str,
    arrays: Obj,
    default: Option<i64>,
    axis: Given,
    out: Given,
    dtype: Given,
    casting: Given,
) -> PyResult<Py<PyAny>> {
    let kind = given(dtype).map(dtypes::parse).transpose()?;
    let plain = given(out).is_none() && is_word(casting, &["same_kind"]) && !matches!(kind, Some(Err(_)));
    let flat = axis.is_some_and(|a| a.is_none());
    if plain && !flat && (arrays.is_instance_of::<PyList>() || arrays.is_instance_of::<PyTuple>()) {
        let objects: Vec<Bound<PyAny>> = arrays.try_iter()?.collect::<PyResult<_>>()?;
        let mut parts: Vec<Array> = Vec::with_capacity(objects.len());
        for o in &objects {
            let op = convert::operand(o)?;
            match op.operand() {
                Some(op) => parts.push(guarded(py, || Array::from_operand(op))?),
                None => break,
            }
        }
        if parts.len() == objects.len() {
            let axis = match axis {
                Some(a) => index_arg(a)?,
                None => default.unwrap_or(0),
            };
            let kind = kind.and_then(|k| k.ok());
            if let Some(a) = supported(py, || Array::concatenate(&parts, axis, kind))? {
                return value::new_array(py, a);
            }
        }
    }
    let kwargs = keywords(py, &[("axis", axis), ("out", out), ("dtype", dtype), ("casting", casting)])?;
    fallback::numpy(py, name, &PyTuple::new(py, [arrays])?, Some(&kwargs))
}

/// `np.matmul` without options.
#[pyfunction]
pub fn matmul(a: Obj<'_, '_>, b: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
    crate::operators::matmul(a, b)
}

/// The argument of a reducing function as a value of ours; `None` where NumPy must do it all.
fn reducible<'py>(py: Python<'py>, a: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, Value>>> {
    if value::value(a).is_some() {
        return Ok(Some(a.clone().cast_into::<Value>()?));
    }
    let made = match convert::operand(a)? {
        Arg::Made(array) => array,
        Arg::Quick(op) => guarded(py, || Array::from_operand(op))?,
        Arg::Foreign => return Ok(None),
    };
    Ok(Some(value::new_array(py, made)?.into_bound(py).cast_into::<Value>()?))
}

fn function(py: Python, name: &str, a: Obj, options: &Options) -> PyResult<Py<PyAny>> {
    if let Some(v) = reducible(py, a)? {
        return reduce::reduce(name, &v, options);
    }
    let o = options;
    let all = [
        ("axis", o.axis),
        ("dtype", o.dtype),
        ("out", o.out),
        ("keepdims", o.keepdims),
        ("initial", o.initial),
        ("where", o.r#where),
    ];
    fallback::numpy(py, name, &PyTuple::new(py, [a])?, Some(&keywords(py, &all)?))
}

#[pyfunction]
#[pyo3(signature = (a, axis=None, dtype=None, out=None, keepdims=None, initial=None, r#where=None))]
#[allow(clippy::too_many_arguments)]
pub fn sum(
    py: Python<'_>,
    a: Obj<'_, '_>,
    axis: Given<'_, '_>,
    dtype: Given<'_, '_>,
    out: Given<'_, '_>,
    keepdims: Given<'_, '_>,
    initial: Given<'_, '_>,
    r#where: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    function(py, "sum", a, &Options { axis, dtype, out, keepdims, initial, r#where })
}

#[pyfunction]
#[pyo3(signature = (a, axis=None, dtype=None, out=None, keepdims=None, initial=None, r#where=None))]
#[allow(clippy::too_many_arguments)]
pub fn prod(
    py: Python<'_>,
    a: Obj<'_, '_>,
    axis: Given<'_, '_>,
    dtype: Given<'_, '_>,
    out: Given<'_, '_>,
    keepdims: Given<'_, '_>,
    initial: Given<'_, '_>,
    r#where: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    function(py, "prod", a, &Options { axis, dtype, out, keepdims, initial, r#where })
}

#[pyfunction]
#[pyo3(signature = (a, axis=None, out=None, keepdims=None, initial=None, r#where=None))]
#[allow(clippy::too_many_arguments)]
pub fn min(
    py: Python<'_>,
    a: Obj<'_, '_>,
    axis: Given<'_, '_>,
    out: Given<'_, '_>,
    keepdims: Given<'_, '_>,
    initial: Given<'_, '_>,
    r#where: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    function(py, "min", a, &Options { axis, out, keepdims, initial, r#where, ..Options::default() })
}

#[pyfunction]
#[pyo3(signature = (a, axis=None, out=None, keepdims=None, initial=None, r#where=None))]
#[allow(clippy::too_many_arguments)]
pub fn max(
    py: Python<'_>,
    a: Obj<'_, '_>,
    axis: Given<'_, '_>,
    out: Given<'_, '_>,
    keepdims: Given<'_, '_>,
    initial: Given<'_, '_>,
    r#where: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    function(py, "max", a, &Options { axis, out, keepdims, initial, r#where, ..Options::default() })
}

#[pyfunction]
#[pyo3(signature = (a, axis=None, out=None, keepdims=None, *, r#where=None))]
#[allow(clippy::too_many_arguments)]
pub fn any(
    py: Python<'_>,
    a: Obj<'_, '_>,
    axis: Given<'_, '_>,
    out: Given<'_, '_>,
    keepdims: Given<'_, '_>,
    r#where: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    function(py, "any", a, &Options { axis, out, keepdims, r#where, ..Options::default() })
}

#[pyfunction]
#[pyo3(signature = (a, axis=None, out=None, keepdims=None, *, r#where=None))]
#[allow(clippy::too_many_arguments)]
pub fn all(
    py: Python<'_>,
    a: Obj<'_, '_>,
    axis: Given<'_, '_>,
    out: Given<'_, '_>,
    keepdims: Given<'_, '_>,
    r#where: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    function(py, "all", a, &Options { axis, out, keepdims, r#where, ..Options::default() })
}

#[pyfunction]
#[pyo3(signature = (a, axis=None, out=None, *, keepdims=None))]
#[allow(clippy::too_many_arguments)]
pub fn argmin(
    py: Python<'_>,
    a: Obj<'_, '_>,
    axis: Given<'_, '_>,
    out: Given<'_, '_>,
    keepdims: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    function(py, "argmin", a, &Options { axis, out, keepdims, ..Options::default() })
}

#[pyfunction]
#[pyo3(signature = (a, axis=None, out=None, *, keepdims=None))]
#[allow(clippy::too_many_arguments)]
pub fn argmax(
    py: Python<'_>,
    a: Obj<'_, '_>,
    axis: Given<'_, '_>,
    out: Given<'_, '_>,
    keepdims: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    function(py, "argmax", a, &Options { axis, out, keepdims, ..Options::default() })
}

#[pyfunction]
#[pyo3(signature = (a, axis=None, dtype=None, out=None))]
pub fn cumsum(
    py: Python<'_>,
    a: Obj<'_, '_>,
    axis: Given<'_, '_>,
    dtype: Given<'_, '_>,
    out: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    match reducible(py, a)? {
        Some(v) => reduce::accumulate("cumsum", Ufunc::Add, &v, axis, dtype, out),
        None => {
            let kwargs = keywords(py, &[("axis", axis), ("dtype", dtype), ("out", out)])?;
            fallback::numpy(py, "cumsum", &PyTuple::new(py, [a])?, Some(&kwargs))
        }
    }
}

#[pyfunction]
#[pyo3(signature = (a, axis=None, dtype=None, out=None))]
pub fn cumprod(
    py: Python<'_>,
    a: Obj<'_, '_>,
    axis: Given<'_, '_>,
    dtype: Given<'_, '_>,
    out: Given<'_, '_>,
) -> PyResult<Py<PyAny>> {
    match reducible(py, a)? {
        Some(v) => reduce::accumulate("cumprod", Ufunc::Multiply, &v, axis, dtype, out),
        None => {
            let kwargs = keywords(py, &[("axis", axis), ("dtype", dtype), ("out", out)])?;
            fallback::numpy(py, "cumprod", &PyTuple::new(py, [a])?, Some(&kwargs))
        }
    }
}

/// A NumPy array as ours over the same memory; what we cannot hold stays NumPy's.
#[pyfunction]
#[pyo3(signature = (array, shared=true))]
pub fn adopt_array(py: Python<'_>, array: Obj<'_, '_>, shared: bool) -> PyResult<Py<PyAny>> {
    match adopt::adopt(array, shared)? {
        Some(a) => value::new_array(py, a),
        None => Ok(array.clone().unbind()),
    }
}

/// NumPy's array over the memory of ours (a NumPy scalar for a scalar).
#[pyfunction]
pub fn host<'py>(a: &Bound<'py, Value>) -> PyResult<Bound<'py, PyAny>> {
    adopt::host(a)
}

#[pyfunction]
pub fn _unpickle_array(py: Python<'_>, array: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
    adopt_array(py, array, false)
}

/// Something as an array of ours, or as a scalar if it is one of NumPy's: what a function that calls a method works on.
#[pyfunction]
pub fn asvalue(py: Python<'_>, a: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
    if value::value(a).is_some() {
        return Ok(a.clone().unbind());
    }
    if dtypes::of_scalar_type(py, a.get_type_ptr()).is_some() {
        return _unpickle_scalar(py, a);
    }
    asarray(py, a, None, None, None, None, None)
}

/// A NumPy scalar as one of ours.
#[pyfunction]
pub fn _unpickle_scalar(py: Python<'_>, real: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
    match dtypes::of_scalar_type(py, real.get_type_ptr()) {
        Some(d) => {
            let s = capi::scalar_value(real, d);
            value::new_scalar(py, guarded(py, || Array::scalar(s))?)
        }
        None => Err(PyTypeError::new_err("not a scalar of ours")),
    }
}
