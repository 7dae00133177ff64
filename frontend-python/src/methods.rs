//! Methods of arrays that are recorded: reductions, copies, casts, other views.

use legate_jit_ir::{DType, Ufunc};
use legate_jit_runtime::{Array, Casting, Operand, WeakScalar};
use pyo3::exceptions::{PyAttributeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, ffi};
use smallvec::SmallVec;

use crate::error::{guarded, raise, supported};
use crate::reduce::{self, Options};
use crate::value::{self, NdArray, Value};
use crate::{convert, dtypes, fallback};

type Obj<'a, 'py> = &'a Bound<'py, PyAny>;
pub type Ints = SmallVec<[i64; 4]>;

/// An integer argument.
pub fn index_arg(obj: &Bound<PyAny>) -> PyResult<i64> {
    // SAFETY: a live object; errors are fetched below.
    let n = unsafe { ffi::PyNumber_AsSsize_t(obj.as_ptr(), ffi::PyExc_OverflowError) };
    if n == -1
        && let Some(e) = PyErr::take(obj.py())
    {
        return Err(e);
    }
    Ok(n as i64)
}

/// A shape or a tuple of axes: an integer or a sequence of integers.
pub fn ints_arg(obj: &Bound<PyAny>) -> PyResult<Ints> {
    if let Ok(tuple) = obj.cast::<PyTuple>() {
        return tuple.iter_borrowed().map(|item| index_arg(&item)).collect();
    }
    // SAFETY: reading a slot of a live object's type.
    let one = unsafe { ffi::PyIndex_Check(obj.as_ptr()) } != 0;
    // (NumPy's arrays are both; those without axes have no length.)
    if one && obj.len().is_err() {
        return Ok(SmallVec::from_slice(&[index_arg(obj)?]));
    }
    match obj.try_iter() {
        Ok(items) => items.map(|item| index_arg(&item?)).collect(),
        _ => Err(index_arg(obj).err().unwrap_or_else(|| PyTypeError::new_err("expected a sequence of integers"))),
    }
}

/// The same for shapes, with NumPy's words for what is neither.
pub fn shape_arg(obj: &Bound<PyAny>) -> PyResult<Ints> {
    // SAFETY: reading slots of a live object's type.
    let plain = unsafe { ffi::PyIndex_Check(obj.as_ptr()) != 0 || ffi::PySequence_Check(obj.as_ptr()) != 0 };
    if plain || value::value(obj).is_some() {
        return ints_arg(obj);
    }
    if obj.is_none() {
        return Err(PyTypeError::new_err("Use () not None as shape arguments"));
    }
    Err(PyTypeError::new_err(format!("expected a sequence of integers or a single integer, got '{}'", obj.repr()?)))
}

/// `f(a, b, c)` or `f((a, b, c))`.
fn ints_args(args: &Bound<PyTuple>) -> PyResult<Ints> {
    if args.len() == 1 { shape_arg(&args.get_item(0)?) } else { ints_arg(args.as_any()) }
}

fn no_order(order: Option<&Bound<PyAny>>) -> PyResult<bool> {
    Ok(match order {
        None => true,
        Some(o) => o.is_none() || o.extract::<&str>()? == "C",
    })
}

/// A view or copy of a scalar is a scalar's value again only where NumPy says so; these methods make 0-d arrays.
#[pymethods]
impl Value {
    #[pyo3(signature = (*shape, order=None, copy=None))]
    fn reshape(
        slf: &Bound<'_, Self>,
        shape: &Bound<'_, PyTuple>,
        order: Option<Bound<'_, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        if shape.len() == 1 && shape.get_item(0)?.is_none() {
            // NumPy's reshape(None) is the array itself.
            return value::same_kind(slf, slf.get().get().clone());
        }
        if no_order(order.as_ref())? && copy.is_none() {
            let shape = ints_args(shape)?;
            if let Some(a) = supported(py, || slf.get().get().reshape(&shape))? {
                return value::same_kind(slf, a);
            }
        }
        let kwargs = PyDict::new(py);
        if let Some(order) = order {
            kwargs.set_item("order", order)?;
        }
        if copy.is_some() {
            kwargs.set_item("copy", copy)?;
        }
        fallback::method(slf, "reshape", shape, Some(&kwargs))
    }

    #[pyo3(signature = (order=None))]
    fn ravel(slf: &Bound<'_, Self>, order: Option<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        if no_order(order.as_ref())? {
            return value::same_kind(slf, guarded(py, || slf.get().get().ravel())?);
        }
        fallback::method(slf, "ravel", &PyTuple::new(py, order)?, None)
    }

    #[pyo3(signature = (order=None))]
    fn flatten(slf: &Bound<'_, Self>, order: Option<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        if no_order(order.as_ref())? {
            return value::new_array(py, guarded(py, || slf.get().get().copy(false)?.ravel())?);
        }
        fallback::method(slf, "flatten", &PyTuple::new(py, order)?, None)
    }

    #[pyo3(signature = (*axes))]
    fn transpose(slf: &Bound<'_, Self>, axes: &Bound<'_, PyTuple>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let array = slf.get().get();
        let given = if axes.is_empty() || axes.len() == 1 && axes.get_item(0)?.is_none() {
            None
        } else {
            Some(ints_args(axes)?)
        };
        value::same_kind(slf, guarded(py, || array.transpose(given.as_deref()))?)
    }

    #[getter(mT)]
    fn matrix_transposed(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let array = slf.get().get();
        if array.ndim() < 2 {
            return Err(PyValueError::new_err("matrix transpose with ndim < 2 is undefined"));
        }
        value::new_array(slf.py(), array.swapaxes(-1, -2).map_err(|e| raise(slf.py(), e))?)
    }

    #[pyo3(signature = (axis=None))]
    fn squeeze(slf: &Bound<'_, Self>, axis: Option<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let several = |a: Bound<PyAny>| match a.cast::<PyTuple>() {
            Ok(axes) => ints_arg(axes),
            Err(_) => index_arg(&a).map(|axis| SmallVec::from_slice(&[axis])),
        };
        let axes = axis.map(several).transpose()?;
        let array = guarded(slf.py(), || slf.get().get().squeeze(axes.as_deref()))?;
        value::same_kind(slf, array)
    }

    #[pyo3(signature = (order=None))]
    fn copy(slf: &Bound<'_, Self>, order: Option<Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let order = order.map(|o| o.extract::<String>()).transpose()?;
        match order.as_deref() {
            None | Some("C") => value::same_kind(slf, guarded(py, || slf.get().get().copy(false))?),
            Some("K") => value::same_kind(slf, guarded(py, || slf.get().get().copy(true))?),
            Some(other) => fallback::method(slf, "copy", &PyTuple::new(py, [other])?, None),
        }
    }

    #[pyo3(signature = (dtype, order=None, casting=None, subok=None, copy=None))]
    fn astype(
        slf: &Bound<'_, Self>,
        dtype: Obj<'_, '_>,
        order: Option<Bound<'_, PyAny>>,
        casting: Option<Bound<'_, PyAny>>,
        subok: Option<bool>,
        copy: Option<bool>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let array = slf.get().get();
        let rule = match &casting {
            None => Some(Casting::Unsafe),
            Some(c) => Casting::parse(c.extract::<&str>()?),
        };
        let keep = match &order {
            None => true,
            Some(o) => o.extract::<&str>()? == "K",
        };
        if let (Ok(to), Some(rule), true) = (dtypes::parse(dtype)?, rule, keep) {
            if to == array.dtype() && copy == Some(false) {
                return Ok(slf.clone().into_any().unbind());
            }
            if let Some(a) = supported(py, || array.astype(to, rule))? {
                return value::same_kind(slf, a);
            }
        }
        let kwargs = PyDict::new(py);
        for (name, given) in [("order", order), ("casting", casting)] {
            if let Some(given) = given {
                kwargs.set_item(name, given)?;
            }
        }
        for (name, given) in [("subok", subok), ("copy", copy)] {
            if let Some(given) = given {
                kwargs.set_item(name, given)?;
            }
        }
        fallback::method(slf, "astype", &PyTuple::new(py, [dtype])?, Some(&kwargs))
    }

    #[getter]
    fn get_real(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let array = slf.get().get();
        if !array.dtype().is_complex() {
            return Ok(slf.clone().into_any().unbind());
        }
        value::same_kind(slf, array.real())
    }

    #[getter]
    fn get_imag(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let array = guarded(slf.py(), || slf.get().get().imag())?;
        value::same_kind(slf, array)
    }

    #[setter]
    fn set_real(slf: &Bound<'_, Self>, new: Obj<'_, '_>) -> PyResult<()> {
        only_arrays(slf, "real")?;
        assign(slf, &slf.get().get().real(), new)
    }

    #[setter]
    fn set_imag(slf: &Bound<'_, Self>, new: Obj<'_, '_>) -> PyResult<()> {
        only_arrays(slf, "imag")?;
        let array = slf.get().get();
        if !array.dtype().is_complex() {
            return Err(PyTypeError::new_err("array does not have imaginary part to set"));
        }
        let target = guarded(slf.py(), || array.imag())?;
        assign(slf, &target, new)
    }

    fn _broadcast_to(slf: &Bound<'_, Self>, shape: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let shape = ints_arg(shape)?;
        if shape.len() < slf.get().get().ndim() {
            return Err(PyValueError::new_err("input operand has more dimensions than allowed by the axis remapping"));
        }
        if shape.iter().any(|&n| n < 0) {
            return Err(PyValueError::new_err("all elements of broadcast shape must be non-negative"));
        }
        let shape: SmallVec<[usize; 4]> = shape.iter().map(|&n| n as usize).collect();
        value::new_array(py, guarded(py, || slf.get().get().broadcast_to(&shape))?)
    }

    fn _diagonal(slf: &Bound<'_, Self>, offset: i64, axis1: i64, axis2: i64) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        value::new_array(py, guarded(py, || slf.get().get().diagonal(offset, axis1, axis2))?)
    }

    /// The main diagonal of a matrix, to be written through.
    fn _main_diagonal(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let array = slf.get().get();
        let mut diagonal = guarded(py, || array.diagonal(0, 0, 1))?;
        diagonal.set_writable(array.writable());
        value::new_array(py, diagonal)
    }

    /// (C contiguous, F contiguous, own data, writable)
    fn _layout(&self) -> (bool, bool, bool, bool) {
        let a = self.get();
        (a.c_contiguous(), a.f_contiguous(), !a.is_view(), a.writable())
    }

    #[pyo3(signature = (axis=None, dtype=None, out=None, keepdims=None, initial=None, r#where=None))]
    fn sum(
        slf: &Bound<'_, Self>,
        axis: Option<Obj<'_, '_>>,
        dtype: Option<Obj<'_, '_>>,
        out: Option<Obj<'_, '_>>,
        keepdims: Option<Obj<'_, '_>>,
        initial: Option<Obj<'_, '_>>,
        r#where: Option<Obj<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        reduce::reduce("sum", slf, &Options { axis, dtype, out, keepdims, initial, r#where })
    }

    #[pyo3(signature = (axis=None, dtype=None, out=None, keepdims=None, initial=None, r#where=None))]
    fn prod(
        slf: &Bound<'_, Self>,
        axis: Option<Obj<'_, '_>>,
        dtype: Option<Obj<'_, '_>>,
        out: Option<Obj<'_, '_>>,
        keepdims: Option<Obj<'_, '_>>,
        initial: Option<Obj<'_, '_>>,
        r#where: Option<Obj<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        reduce::reduce("prod", slf, &Options { axis, dtype, out, keepdims, initial, r#where })
    }

    #[pyo3(signature = (axis=None, out=None, keepdims=None, initial=None, r#where=None))]
    fn min(
        slf: &Bound<'_, Self>,
        axis: Option<Obj<'_, '_>>,
        out: Option<Obj<'_, '_>>,
        keepdims: Option<Obj<'_, '_>>,
        initial: Option<Obj<'_, '_>>,
        r#where: Option<Obj<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        reduce::reduce("min", slf, &Options { axis, dtype: None, out, keepdims, initial, r#where })
    }

    #[pyo3(signature = (axis=None, out=None, keepdims=None, initial=None, r#where=None))]
    fn max(
        slf: &Bound<'_, Self>,
        axis: Option<Obj<'_, '_>>,
        out: Option<Obj<'_, '_>>,
        keepdims: Option<Obj<'_, '_>>,
        initial: Option<Obj<'_, '_>>,
        r#where: Option<Obj<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        reduce::reduce("max", slf, &Options { axis, dtype: None, out, keepdims, initial, r#where })
    }

    #[pyo3(signature = (axis=None, out=None, keepdims=None, *, r#where=None))]
    fn any(
        slf: &Bound<'_, Self>,
        axis: Option<Obj<'_, '_>>,
        out: Option<Obj<'_, '_>>,
        keepdims: Option<Obj<'_, '_>>,
        r#where: Option<Obj<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        reduce::reduce("any", slf, &Options { axis, dtype: None, out, keepdims, initial: None, r#where })
    }

    #[pyo3(signature = (axis=None, out=None, keepdims=None, *, r#where=None))]
    fn all(
        slf: &Bound<'_, Self>,
        axis: Option<Obj<'_, '_>>,
        out: Option<Obj<'_, '_>>,
        keepdims: Option<Obj<'_, '_>>,
        r#where: Option<Obj<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        reduce::reduce("all", slf, &Options { axis, dtype: None, out, keepdims, initial: None, r#where })
    }

    #[pyo3(signature = (axis=None, out=None, *, keepdims=None))]
    fn argmin(
        slf: &Bound<'_, Self>,
        axis: Option<Obj<'_, '_>>,
        out: Option<Obj<'_, '_>>,
        keepdims: Option<Obj<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        reduce::reduce("argmin", slf, &Options { axis, dtype: None, out, keepdims, initial: None, r#where: None })
    }

    #[pyo3(signature = (axis=None, out=None, *, keepdims=None))]
    fn argmax(
        slf: &Bound<'_, Self>,
        axis: Option<Obj<'_, '_>>,
        out: Option<Obj<'_, '_>>,
        keepdims: Option<Obj<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        reduce::reduce("argmax", slf, &Options { axis, dtype: None, out, keepdims, initial: None, r#where: None })
    }

    #[pyo3(signature = (axis=None, dtype=None, out=None))]
    fn cumsum(
        slf: &Bound<'_, Self>,
        axis: Option<Obj<'_, '_>>,
        dtype: Option<Obj<'_, '_>>,
        out: Option<Obj<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        reduce::accumulate("cumsum", Ufunc::Add, slf, axis, dtype, out)
    }

    #[pyo3(signature = (axis=None, dtype=None, out=None))]
    fn cumprod(
        slf: &Bound<'_, Self>,
        axis: Option<Obj<'_, '_>>,
        dtype: Option<Obj<'_, '_>>,
        out: Option<Obj<'_, '_>>,
    ) -> PyResult<Py<PyAny>> {
        reduce::accumulate("cumprod", Ufunc::Multiply, slf, axis, dtype, out)
    }
}

#[pymethods]
impl NdArray {
    fn fill(slf: &Bound<'_, Self>, value: Obj<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let op = convert::operand(value)?;
        match op.operand() {
            Some(Operand::Array(a)) if a.ndim() > 0 => {}
            Some(op) => {
                let array = slf.as_super().get().get();
                if supported(py, || array.assign(op, Casting::Unsafe))?.is_some() {
                    return Ok(());
                }
            }
            None => {}
        }
        fallback::method(slf, "fill", &PyTuple::new(py, [value])?, None)?;
        Ok(())
    }

    fn _set_writable(slf: &Bound<'_, Self>, writable: bool) {
        let v = slf.as_super().get();
        let mut array: Array = v.get().clone();
        array.set_writable(writable);
        if !array.is_view() {
            array.set_base_writable(writable);
        }
        v.set(array);
    }

    #[pyo3(signature = (src, casting, r#where))]
    fn _copyto(slf: &Bound<'_, Self>, src: Obj<'_, '_>, casting: Obj<'_, '_>, r#where: Obj<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let array = slf.as_super().get().get();
        let rule = casting.extract::<&str>().ok().and_then(Casting::parse);
        let op = convert::operand(src)?;
        let kinds = |op: &Operand| match op {
            // A number of a higher kind than the array's: NumPy says so.
            Operand::Weak(WeakScalar::Float(_)) => !array.dtype().is_float() && !array.dtype().is_complex(),
            Operand::Weak(WeakScalar::Complex(..)) => !array.dtype().is_complex(),
            Operand::Weak(WeakScalar::Int(_)) => array.dtype() == DType::Bool,
            Operand::Array(_) | Operand::Typed(_) => false,
        };
        let plain = op.operand().filter(|o| rule == Some(Casting::Unsafe) || !kinds(o));
        if let (Some(rule), Some(op)) = (rule, plain) {
            let done = if r#where.is(pyo3::types::PyBool::new(py, true)) {
                supported(py, || array.assign(op, rule))?
            } else {
                match value::value(r#where) {
                    Some(m) if m.get().dtype() == DType::Bool && m.get().shape() == array.shape() => {
                        supported(py, || array.assign_where(m.get(), op, rule))?
                    }
                    _ => None,
                }
            };
            if done.is_some() {
                return Ok(());
            }
        }
        let kwargs = PyDict::new(py);
        kwargs.set_item("casting", casting)?;
        kwargs.set_item("where", r#where)?;
        fallback::numpy(py, "copyto", &PyTuple::new(py, [slf.as_any(), src])?, Some(&kwargs))?;
        Ok(())
    }
}

impl NdArray {
    /// `a.shape = …`: only where no copy is needed.
    pub fn set_shape(slf: &Bound<'_, Self>, shape: Obj<'_, '_>) -> PyResult<()> {
        let py = slf.py();
        let shape = ints_arg(shape)?;
        let v = slf.as_super().get();
        let new = guarded(py, || v.get().reshape(&shape))?;
        if !new.same_base(v.get()) {
            return Err(PyAttributeError::new_err(
                "Incompatible shape for in-place modification. Use `.reshape()` to make a copy with the desired shape.",
            ));
        }
        v.set(new);
        Ok(())
    }
}

fn only_arrays(slf: &Bound<Value>, name: &str) -> PyResult<()> {
    if value::is_array(slf) {
        return Ok(());
    }
    Err(PyAttributeError::new_err(format!("attribute '{name}' of 'numpy.generic' objects is not writable")))
}

fn assign(slf: &Bound<Value>, target: &Array, new: &Bound<PyAny>) -> PyResult<()> {
    let py = slf.py();
    let op = convert::operand(new)?;
    match op.operand() {
        Some(op) => guarded(py, || target.assign(op, Casting::Unsafe)),
        None => Err(PyTypeError::new_err("cannot assign this to a part of a complex array")),
    }
}
