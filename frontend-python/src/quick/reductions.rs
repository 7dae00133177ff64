//! Sums and their like, over everything or one axis.

use legate_jit_ir::graph::Reducer;
use legate_jit_ir::{DType, Ufunc};
use legate_jit_runtime::{self as rt, Array, ReduceArgs};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyTuple};
use smallvec::SmallVec;

use super::args::{Args, Done, NOT_PLAIN, array_of, int};
use crate::error::attempt;
use crate::{adopt, capi, value};

/// The plain arguments of a reduction.
#[derive(Default)]
pub(super) struct Plain {
    /// `None` for all of them.
    axes: Option<SmallVec<[i64; 4]>>,
    /// They came as a tuple.
    tuple: bool,
    keepdims: bool,
}

/// Those of `a.sum()`, `a.sum(0)`, `a.sum(axis=0)`, `a.sum(axis=(0, 1))`, each also with `keepdims=True`; `None` for other arguments.
#[inline(always)]
pub(super) fn plain(py: Python, args: Args) -> Option<Plain> {
    let mut plain = Plain::default();
    let mut axis = |x: &Bound<PyAny>| {
        match int(x) {
            Some(axis) => plain.axes = Some(SmallVec::from_slice(&[axis])),
            None => {
                let tuple = x.cast_exact::<PyTuple>().ok()?;
                plain.axes = Some(tuple.iter_borrowed().map(|i| int(&i)).collect::<Option<_>>()?);
                plain.tuple = true;
            }
        }
        Some(())
    };
    match args.len() {
        0 => {}
        1 => axis(&args.get(py, 0))?,
        _ => return None,
    }
    if args.has_names() {
        for (name, x) in args.names(py) {
            if name.is(intern!(py, "axis")) && args.len() == 0 {
                axis(&x)?;
            } else if name.is(intern!(py, "keepdims")) && x.is_exact_instance_of::<PyBool>() {
                plain.keepdims = x.is(PyBool::new(py, true));
            } else {
                return None;
            }
        }
    }
    Some(plain)
}

/// The sum or the mean of the rows that a mask has selected, `points[labels == k].mean(axis=0)`, where they need not be brought together.
fn of_selected_rows(py: Python, value: &value::Value, args: Args, mean: bool) -> Done {
    let (Some(picked), Some(plain)) = (value.picked(), plain(py, args)) else { return NOT_PLAIN };
    if plain.axes.as_deref() != Some(&[0]) || plain.keepdims {
        return NOT_PLAIN;
    }
    match attempt(py, || picked.of_rows(mean))?.flatten() {
        Some(a) => value::result(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

#[inline]
pub(super) fn reduction(py: Python, reducer: Reducer, array: &Array, args: Args) -> Done {
    match plain(py, args) {
        Some(plain) => with(py, reducer, array, plain),
        None => NOT_PLAIN,
    }
}

/// `np.add.reduce(a)`, which goes along the first axis unless an axis is said
#[inline]
pub fn ufunc_reduce(py: Python, op: Ufunc, args: Args) -> Done {
    if args.len() == 0 {
        return NOT_PLAIN;
    }
    let first = args.get(py, 0);
    let (Some(array), Some(mut plain)) = (array_of(&first), plain(py, args.behind(1))) else { return NOT_PLAIN };
    if array.ndim() == 0 {
        return NOT_PLAIN;
    }
    if plain.axes.is_none() && array.ndim() > 1 {
        plain.axes = Some(SmallVec::from_slice(&[0]));
    }
    with(py, Reducer::Ufunc(op), array, plain)
}

#[inline]
fn with(py: Python, reducer: Reducer, array: &Array, plain: Plain) -> Done {
    // (A place has one axis: NumPy says so.)
    let one = matches!(reducer, Reducer::ArgMin | Reducer::ArgMax);
    if array.ndim() == 0 && plain.axes.is_some() || one && plain.tuple {
        return NOT_PLAIN;
    }
    if plain.axes.is_none()
        && !plain.keepdims
        && let Some(Some(number)) = attempt(py, || Ok(rt::reduce_all_now(reducer, array)))?
    {
        return capi::scalar(py, number).map(Some);
    }
    let args = ReduceArgs { axes: plain.axes.as_deref(), keepdims: plain.keepdims, ..ReduceArgs::default() };
    match attempt(py, || rt::reduce(reducer, array, &args))? {
        Some(a) => value::result(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

#[inline]
fn reduction_of(py: Python, reducer: Reducer, v: &value::Value, args: Args) -> Done {
    if v.array().is_none()
        && reducer == Reducer::Ufunc(Ufunc::Add)
        && let Some(done) = of_selected_rows(py, v, args, false)?
    {
        return Ok(Some(done));
    }
    reduction(py, reducer, v.get(), args)
}

macro_rules! reductions {
    ($($method:ident $function:ident = $reducer:expr;)*) => { $(
        pub(super) fn $method(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
            match value::value(a) {
                Some(v) => reduction_of(py, $reducer, v, args),
                None => NOT_PLAIN,
            }
        }

        pub(super) fn $function(py: Python, args: Args) -> Done {
            if args.len() == 0 {
                return NOT_PLAIN;
            }
            match value::value(&args.get(py, 0)) {
                Some(v) => reduction_of(py, $reducer, v, args.behind(1)),
                None => NOT_PLAIN,
            }
        }
    )* };
}

reductions! {
    sum sum_of = Reducer::Ufunc(Ufunc::Add);
    prod prod_of = Reducer::Ufunc(Ufunc::Multiply);
    min min_of = Reducer::Ufunc(Ufunc::Minimum);
    max max_of = Reducer::Ufunc(Ufunc::Maximum);
    any any_of = Reducer::Ufunc(Ufunc::LogicalOr);
    all all_of = Reducer::Ufunc(Ufunc::LogicalAnd);
    argmin argmin_of = Reducer::ArgMin;
    argmax argmax_of = Reducer::ArgMax;
}

/// `a.mean()`, `a.mean(0)`, `a.mean(axis=0)`
pub(super) fn mean(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    if let Some(v) = value::value(a).filter(|v| v.array().is_none())
        && let Some(done) = of_selected_rows(py, v, args, true)?
    {
        return Ok(Some(done));
    }
    moment(py, a, args, rt::mean)
}

/// `a.var()`, `a.var(0)`, `a.var(axis=0)`
pub(super) fn var(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    moment(py, a, args, |array, args| rt::var(array, args, 0.0, false))
}

/// `a.std()`, `a.std(0)`, `a.std(axis=0)`
pub(super) fn std(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    moment(py, a, args, |array, args| rt::var(array, args, 0.0, true))
}

fn moment(
    py: Python,
    a: &Bound<PyAny>,
    args: Args,
    compute: impl FnOnce(&Array, &ReduceArgs) -> rt::Result<Array> + Send,
) -> Done {
    let (Some(array), Some(plain)) = (array_of(a), plain(py, args)) else { return NOT_PLAIN };
    if array.size() == 0 || array.dtype().is_complex() || plain.axes.is_some() && array.ndim() == 0 {
        return NOT_PLAIN;
    }
    let args = ReduceArgs { axes: plain.axes.as_deref(), keepdims: plain.keepdims, ..ReduceArgs::default() };
    match attempt(py, || compute(array, &args))? {
        Some(a) => value::result(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

pub(super) fn mean_of(py: Python, args: Args) -> Done {
    of_first(py, args, mean)
}

pub(super) fn var_of(py: Python, args: Args) -> Done {
    of_first(py, args, var)
}

pub(super) fn std_of(py: Python, args: Args) -> Done {
    of_first(py, args, std)
}

/// The method of a function's first argument.
fn of_first(py: Python, args: Args, method: fn(Python, &Bound<PyAny>, Args) -> Done) -> Done {
    if args.len() == 0 {
        return NOT_PLAIN;
    }
    method(py, &args.get(py, 0), args.behind(1))
}

/// `np.count_nonzero(a)` of truth values.
pub(super) fn count_nonzero_of(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let first = args.get(py, 0);
    match array_of(&first) {
        Some(a) if a.ndim() > 0 && a.dtype() == DType::Bool => {
            let n = adopt::detached(py, || rt::count_nonzero(a))?;
            Ok(Some(n.into_pyobject(py)?.into_any().unbind()))
        }
        _ => NOT_PLAIN,
    }
}
