//! Elementwise functions and products.

use legate_jit_ir::{DType, Ufunc};
use legate_jit_runtime::{self as rt, Operand};
use pyo3::intern;
use pyo3::prelude::*;

use super::args::{Args, Done, NOT_PLAIN, array_of, as_method};
use crate::error::attempt;
use crate::{capi, convert, dtypes, operators, value};

pub(super) fn dot(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(x), 1, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    let other = args.get(py, 0);
    let Some(y) = array_of(&other) else { return NOT_PLAIN };
    if let Some(Some(number)) = attempt(py, || rt::dot_now(x, y))? {
        return capi::scalar(py, number).map(Some);
    }
    if x.ndim() == 0 || x.ndim() > 2 || y.ndim() == 0 || y.ndim() > 2 {
        return NOT_PLAIN;
    }
    match attempt(py, || rt::dot(x, y))? {
        Some(a) => value::result(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

/// `np.matmul` of two arrays.
#[inline]
pub fn matmul(py: Python, args: Args) -> Done {
    if args.len() != 2 || args.has_names() {
        return NOT_PLAIN;
    }
    let (a, b) = (args.get(py, 0), args.get(py, 1));
    let (Some(x), Some(y)) = (array_of(&a), array_of(&b)) else { return NOT_PLAIN };
    if let Some(Some(number)) = attempt(py, || rt::vecdot_now(x, y))? {
        return capi::scalar(py, number).map(Some);
    }
    match attempt(py, || rt::matmul(x, y, None))? {
        Some(z) => value::result(py, z).map(Some),
        None => NOT_PLAIN,
    }
}

pub(super) fn vdot_of(py: Python, args: Args) -> Done {
    if args.len() != 2 || args.has_names() {
        return NOT_PLAIN;
    }
    let (a, b) = (args.get(py, 0), args.get(py, 1));
    let (Some(x), Some(y)) = (array_of(&a), array_of(&b)) else { return NOT_PLAIN };
    match attempt(py, || rt::vdot_now(x, y))? {
        Some(Some(number)) => capi::scalar(py, number).map(Some),
        _ => NOT_PLAIN,
    }
}

/// `a.round()`
pub(super) fn round(_: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match (array_of(a), value::value(a)) {
        (Some(array), Some(v)) if array.dtype().is_float() && args.len() == 0 && !args.has_names() => {
            operators::unary(Ufunc::Rint, a, v).map(Some)
        }
        _ => NOT_PLAIN,
    }
}

pub(super) fn dot_of(py: Python, args: Args) -> Done {
    as_method(py, args, dot)
}

pub(super) fn where_(py: Python, args: Args) -> Done {
    if args.len() == 1 {
        return super::order::nonzero_of(py, args);
    }
    if args.len() != 3 || args.has_names() {
        return NOT_PLAIN;
    }
    let (c, x, y) = (args.get(py, 0), args.get(py, 1), args.get(py, 2));
    let Some(mask) = array_of(&c) else { return NOT_PLAIN };
    let (Some(x), Some(y)) = (convert::quick(&x), convert::quick(&y)) else { return NOT_PLAIN };
    if mask.dtype() != DType::Bool || mask.ndim() == 0 {
        return NOT_PLAIN;
    }
    match attempt(py, || rt::where_(mask, x, y))? {
        Some(a) => value::new_array(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

/// Whether a ufunc's method is the call itself; NumPy's word for it is interned as well.
#[inline]
fn is_call(py: Python, method: &Bound<PyAny>) -> PyResult<bool> {
    let call = intern!(py, "__call__");
    Ok(method.is(call) || method.eq(call)?)
}

/// NumPy's own ufunc, called with an array of ours: `s * a` with a scalar of NumPy's on the left.
pub(super) fn array_ufunc(py: Python, _: &Bound<PyAny>, args: Args) -> Done {
    if args.has_names() || !(3..=4).contains(&args.len()) || !is_call(py, &args.get(py, 1))? {
        return NOT_PLAIN;
    }
    let Some(op) = crate::ufunc::of_numpy(&args.get(py, 0))? else { return NOT_PLAIN };
    let operands = args.behind(2);
    ufunc(py, op, operands)
}

fn of_one(py: Python, op: Ufunc, args: Args) -> Done {
    let x = args.get(py, 0);
    let Some(x) = convert::quick(&x) else { return NOT_PLAIN };
    crate::ufunc::plain(py, op, &[x])
}

/// A call of a ufunc with one or two operands, perhaps with `out=`.
#[inline]
pub fn ufunc(py: Python, op: Ufunc, args: Args) -> Done {
    if args.len() != op.nin() {
        return NOT_PLAIN;
    }
    if !args.has_names() {
        return match op.nin() {
            1 => of_one(py, op, args),
            2 => {
                let (x, y) = (args.get(py, 0), args.get(py, 1));
                match (convert::quick(&x), convert::quick(&y)) {
                    (Some(x), Some(y)) => crate::ufunc::plain(py, op, &[x, y]),
                    _ => NOT_PLAIN,
                }
            }
            _ => NOT_PLAIN,
        };
    }
    let Some((name, target)) = args.single_name(py) else { return named(py, op, args) };
    if !name.is(intern!(py, "out")) {
        return named(py, op, args);
    }
    let Some(out) = array_of(&target) else { return NOT_PLAIN };
    let with_out = rt::UfuncArgs { out: Some(out), ..rt::UfuncArgs::default() };
    let first = args.get(py, 0);
    let Some(x) = convert::quick(&first) else { return NOT_PLAIN };
    let into = |operands: &[Operand]| {
        attempt(py, || Ok(rt::into_now(op, operands, out)? || rt::ufunc(op, operands, &with_out).map(|_| true)?))
    };
    let done = if op.nin() == 1 {
        into(&[x])?
    } else {
        let second = args.get(py, 1);
        let Some(y) = convert::quick(&second) else { return NOT_PLAIN };
        into(&[x, y])?
    };
    Ok(done.map(|_| target.to_owned().unbind()))
}

/// The same with `dtype=`, and `where=` beside `out=`.
#[inline(never)]
fn named(py: Python, op: Ufunc, args: Args) -> Done {
    let (mut out, mut mask, mut dtype) = (None, None, None);
    for (name, value) in args.names(py) {
        match () {
            _ if name.is(intern!(py, "out")) && value::is_array(&value) => out = Some(value),
            _ if name.is(intern!(py, "where")) && value::is_array(&value) => mask = Some(value),
            _ if name.is(intern!(py, "dtype")) => dtype = dtypes::quick(&value),
            _ => return NOT_PLAIN,
        }
        if name.is(intern!(py, "dtype")) && dtype.is_none() {
            return NOT_PLAIN;
        }
    }
    // (Elsewhere the results would be anything, of which NumPy warns.)
    if mask.is_some() && out.is_none() {
        return NOT_PLAIN;
    }
    let options = rt::UfuncArgs {
        out: out.as_deref().and_then(array_of),
        where_: mask.as_deref().and_then(array_of),
        dtype,
        casting: None,
    };
    let first = args.get(py, 0);
    let Some(x) = convert::quick(&first) else { return NOT_PLAIN };
    let made = if op.nin() == 1 {
        attempt(py, || rt::ufunc(op, &[x], &options))?
    } else {
        let second = args.get(py, 1);
        let Some(y) = convert::quick(&second) else { return NOT_PLAIN };
        attempt(py, || rt::ufunc(op, &[x, y], &options))?
    };
    match (made, out) {
        (None, _) => NOT_PLAIN,
        (Some(_), Some(out)) => Ok(Some(out.to_owned().unbind())),
        (Some(made), None) => value::result(py, made).map(Some),
    }
}
