//! The operators of arrays and scalars: operands in, one recorded operation out.

use legate_jit_ir::{Scalar, Ufunc};
use legate_jit_runtime::{self as rt, Array, Operand, UfuncArgs, WeakScalar, round};
use pyo3::basic::CompareOp;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};

use crate::error::{attempt, direct, guarded};
use crate::value::{self, Value};
use crate::{adopt, capi, convert, fallback, loops, picked};

/// A ufunc with NumPy's default options; `None` where NumPy must do it.
#[inline]
pub fn plain(py: Python<'_>, op: Ufunc, args: &[Operand]) -> PyResult<Option<Array>> {
    attempt(py, || rt::ufunc(op, args, &UfuncArgs::default()))
}

/// `a op b` with either side ours.
#[inline]
pub fn binary(op: Ufunc, a: &Bound<PyAny>, b: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    let py = a.py();
    if let (Some(x), Some(y)) = (convert::quick(a), convert::quick(b)) {
        let operands = [x, y];
        if is_number(&x) && is_number(&y) {
            if let Some(number) = known(py, op, &operands)? {
                return Ok(number);
            }
            if rt::asks(op) {
                return asked(op, a, b);
            }
        }
        if let Some(array) = plain(py, op, &operands)? {
            return value::result(py, array);
        }
    }
    binary_slowly(op, a, b)
}

/// A comparison of numbers that are not computed yet: they are now.
#[cold]
fn asked(op: Ufunc, a: &Bound<PyAny>, b: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    let py = a.py();
    adopt::detached(py, rt::sync_for_a_number)?;
    if let (Some(x), Some(y)) = (convert::quick(a), convert::quick(b)) {
        let operands = [x, y];
        if let Some(number) = known(py, op, &operands)? {
            let answer = || number.is_truthy(py);
            loops::asking::asked(py, answer, |answer| round::asking::compared(op, &operands, answer))?;
            return Ok(number);
        }
        if let Some(array) = plain(py, op, &operands)? {
            return value::result(py, array);
        }
    }
    binary_slowly(op, a, b)
}

/// An operand without axes.
#[inline(always)]
pub fn is_number(x: &Operand) -> bool {
    match x {
        Operand::Array(a) => a.ndim() == 0,
        Operand::Weak(_) | Operand::Typed(_) => true,
    }
}

/// Arithmetic on numbers whose values are known gives a number at once: NumPy's own scalar. Where NumPy might warn, it does
/// the arithmetic itself.
pub fn known(py: Python<'_>, op: Ufunc, operands: &[Operand]) -> PyResult<Option<Py<PyAny>>> {
    let Some(result) = attempt(py, || rt::known(op, operands))? else { return Ok(None) };
    match result {
        rt::Known::Value(number) => capi::scalar(py, number).map(Some),
        rt::Known::Warns => {
            let numbers: Vec<Py<PyAny>> = operands.iter().map(|o| number_of(py, o)).collect::<PyResult<_>>()?;
            let class = py.import("numpy")?.getattr(op.name())?;
            let done = match numbers.len() {
                2 if !matches!(op, Ufunc::Maximum | Ufunc::Minimum | Ufunc::Fmax | Ufunc::Fmin) => {
                    match py.import("operator")?.getattr_opt(operator_name(op))? {
                        Some(f) => f.call1((&numbers[0], &numbers[1]))?,
                        None => class.call1((&numbers[0], &numbers[1]))?,
                    }
                }
                _ => class.call1(PyTuple::new(py, numbers)?)?,
            };
            Ok(Some(done.unbind()))
        }
        rt::Known::Pending => Ok(None),
    }
}

/// A known number as an object of Python's or NumPy's.
fn number_of(py: Python<'_>, x: &Operand) -> PyResult<Py<PyAny>> {
    match x {
        Operand::Array(a) => capi::scalar(py, direct(py, || a.item(0))?),
        Operand::Typed(s) => capi::scalar(py, *s),
        Operand::Weak(WeakScalar::Int(v)) => Ok(v.into_pyobject(py)?.into_any().unbind()),
        Operand::Weak(WeakScalar::Float(v)) => convert::to_python(py, Scalar::f64(*v)),
        Operand::Weak(WeakScalar::Complex(re, im)) => convert::to_python(py, Scalar::c128(*re, *im)),
    }
}

#[cold]
fn binary_slowly(op: Ufunc, a: &Bound<PyAny>, b: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    let py = a.py();
    if let Some(done) = picked::operation(py, op, &[a, b])? {
        return Ok(done);
    }
    for other in [a, b] {
        if value::value(other).is_none() && refuses(other)? {
            return Ok(py.NotImplemented());
        }
    }
    if op == Ufunc::Multiply && (repeats(a, b) || repeats(b, a)) {
        return Ok(py.NotImplemented());
    }
    let (x, y) = (convert::operand(a)?, convert::operand(b)?);
    if let (Some(x), Some(y)) = (x.operand(), y.operand())
        && let Some(array) = plain(py, op, &[x, y])?
    {
        return value::result(py, array);
    }
    through_numpy(py, operator_name(op), &[a, b])
}

/// `[1, 2] * n` with a scalar of ours repeats the list, as with NumPy's integers.
fn repeats(sequence: &Bound<PyAny>, n: &Bound<PyAny>) -> bool {
    value::is_scalar(n)
        && (sequence.is_instance_of::<PyList>()
            || sequence.is_instance_of::<PyTuple>()
            || sequence.is_instance_of::<PyString>()
            || sequence.is_instance_of::<PyBytes>())
}

/// NumPy's protocol: `__array_ufunc__ = None` says that the other side wants its own operator.
fn refuses(other: &Bound<PyAny>) -> PyResult<bool> {
    Ok(other.getattr_opt(intern!(other.py(), "__array_ufunc__"))?.is_some_and(|f| f.is_none()))
}

/// The function of Python's module `operator` for an operation.
fn operator_name(op: Ufunc) -> &'static str {
    match op {
        Ufunc::Subtract => "sub",
        Ufunc::Multiply => "mul",
        Ufunc::Divide => "truediv",
        Ufunc::FloorDivide => "floordiv",
        Ufunc::Remainder => "mod",
        Ufunc::Power => "pow",
        Ufunc::BitwiseAnd => "and_",
        Ufunc::BitwiseOr => "or_",
        Ufunc::BitwiseXor => "xor",
        Ufunc::LeftShift => "lshift",
        Ufunc::RightShift => "rshift",
        Ufunc::Less => "lt",
        Ufunc::LessEqual => "le",
        Ufunc::Equal => "eq",
        Ufunc::NotEqual => "ne",
        Ufunc::Greater => "gt",
        Ufunc::GreaterEqual => "ge",
        Ufunc::Negative => "neg",
        Ufunc::Positive => "pos",
        Ufunc::Absolute => "abs",
        // `add`, `invert`: the operator has the operation's name.
        other => other.name(),
    }
}

/// Python's operator of this name between NumPy's views of the arguments.
fn through_numpy(py: Python<'_>, name: &str, args: &[&Bound<PyAny>]) -> PyResult<Py<PyAny>> {
    let f = py.import("operator")?.getattr(name)?;
    fallback::run(py, &format!("operator.{name}"), &f, &PyTuple::new(py, args)?, None)
}

#[inline]
pub fn compare(a: &Bound<PyAny>, b: &Bound<PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
    let op = match op {
        CompareOp::Lt => Ufunc::Less,
        CompareOp::Le => Ufunc::LessEqual,
        CompareOp::Eq => Ufunc::Equal,
        CompareOp::Ne => Ufunc::NotEqual,
        CompareOp::Gt => Ufunc::Greater,
        CompareOp::Ge => Ufunc::GreaterEqual,
    };
    binary(op, a, b)
}

pub fn unary(op: Ufunc, a: &Bound<PyAny>, v: &Value) -> PyResult<Py<PyAny>> {
    let py = a.py();
    if v.array().is_none()
        && let Some(done) = picked::operation(py, op, &[a])?
    {
        return Ok(done);
    }
    let operands = [Operand::Array(v.get())];
    if v.get().ndim() == 0
        && let Some(number) = known(py, op, &operands)?
    {
        return Ok(number);
    }
    if op == Ufunc::Absolute && value::is_scalar(a) && v.element_type().is_complex() {
        // NumPy's scalars have the C library's length; its arrays, and its function for anything, have another.
        let (re, im) = (v.get().real(), direct(py, || v.get().imag())?);
        if let Some(array) = plain(py, Ufunc::Hypot, &[Operand::Array(&re), Operand::Array(&im)])? {
            return value::result(py, array);
        }
    }
    match plain(py, op, &operands)? {
        Some(array) => value::result(py, array),
        None => through_numpy(py, operator_name(op), &[a]),
    }
}

/// `a op= b`: NumPy's ufunc with `out=a`.
#[inline]
pub fn in_place(op: Ufunc, a: &Bound<PyAny>, v: &Value, b: &Bound<PyAny>) -> PyResult<()> {
    let py = a.py();
    if let (Some(target), Some(right)) = (v.array(), convert::quick(b))
        && attempt(py, || rt::into_now(op, &[Operand::Array(target), right], target))? == Some(true)
    {
        return Ok(());
    }
    if v.array().is_none() && picked::in_place(op, a, v, &[a, b])? {
        return Ok(());
    }
    let right = convert::operand(b)?;
    if let Some(right) = right.operand() {
        let target = v.get();
        let args = UfuncArgs { out: Some(target), ..UfuncArgs::default() };
        if attempt(py, || rt::ufunc(op, &[Operand::Array(target), right], &args))?.is_some() {
            return Ok(());
        }
    }
    // NumPy's own ufunc on the shared memory.
    let kwargs = PyDict::new(py);
    kwargs.set_item("out", a)?;
    fallback::numpy(py, op.name(), &PyTuple::new(py, [a, b])?, Some(&kwargs))?;
    Ok(())
}

/// `a ** b` with NumPy's short cuts for the exponents 2, -1 and 0.5 of floating point arrays. NumPy's numbers take the C library's `pow`,
/// which rounds one of a thousand squares otherwise than a product: so one that is not computed yet is computed first.
pub fn power(a: &Bound<PyAny>, b: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    let py = a.py();
    if let Some(v) = value::value(a) {
        if value::is_array(a) {
            if let Some(op) = short_power(v, b) {
                return unary(op, a, v);
            }
        } else if let Some(array) = v.array()
            && array.known_scalar().is_none()
            && matches!(convert::quick(b), Some(Operand::Weak(_)))
        {
            let number = guarded(py, || array.item(0))?;
            return Ok(capi::scalar(py, number)?.bind(py).pow(b, py.None())?.unbind());
        }
    }
    binary(Ufunc::Power, a, b)
}

fn short_power(base: &Value, exponent: &Bound<PyAny>) -> Option<Ufunc> {
    let d = base.element_type();
    let inexact = d.is_float() || d.is_complex();
    match convert::quick(exponent)? {
        Operand::Weak(WeakScalar::Int(2)) => Some(Ufunc::Square),
        Operand::Weak(WeakScalar::Int(-1)) if inexact => Some(Ufunc::Reciprocal),
        Operand::Weak(WeakScalar::Float(0.5)) if inexact => Some(Ufunc::Sqrt),
        _ => None,
    }
}

pub fn in_place_power(a: &Bound<PyAny>, v: &Value, b: &Bound<PyAny>) -> PyResult<()> {
    if let Some(op) = short_power(v, b) {
        if v.array().is_none() && picked::in_place(op, a, v, &[a])? {
            return Ok(());
        }
        let target = v.get();
        let args = UfuncArgs { out: Some(target), ..UfuncArgs::default() };
        if attempt(a.py(), || rt::ufunc(op, &[Operand::Array(target)], &args))?.is_some() {
            return Ok(());
        }
    }
    in_place(Ufunc::Power, a, v, b)
}

pub fn matmul(a: &Bound<PyAny>, b: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    let py = a.py();
    if let (Some(Operand::Array(x)), Some(Operand::Array(y))) = (convert::quick(a), convert::quick(b))
        && let Some(Some(number)) = attempt(py, || rt::vecdot_now(x, y))?
    {
        return capi::scalar(py, number);
    }
    for other in [a, b] {
        if value::value(other).is_none() && refuses(other)? {
            return Ok(py.NotImplemented());
        }
    }
    let (x, y) = (convert::operand(a)?, convert::operand(b)?);
    if let (Some(Operand::Array(x)), Some(Operand::Array(y))) = (x.operand(), y.operand())
        && let Some(z) = attempt(py, || rt::matmul(x, y, None))?
    {
        return value::result(py, z);
    }
    through_numpy(py, "matmul", &[a, b])
}

pub fn in_place_matmul(a: &Bound<PyAny>, v: &Value, b: &Bound<PyAny>) -> PyResult<()> {
    let py = a.py();
    let product = matmul(a, b)?;
    let product = product.bind(py);
    match value::value(product) {
        Some(p) if p.get().shape() == v.get().shape() => {
            let (to, from) = (v.get(), Operand::Array(p.get()));
            direct(py, || to.assign(from, rt::Casting::SameKind))
        }
        _ => {
            let kwargs = PyDict::new(py);
            kwargs.set_item("out", a)?;
            fallback::numpy(py, "matmul", &PyTuple::new(py, [a, b])?, Some(&kwargs))?;
            Ok(())
        }
    }
}
