//! Sums and their like, over everything or one axis.

use legate_jit_ir::graph::Reducer;
use legate_jit_ir::{DType, Ufunc};
use legate_jit_runtime::{self as rt, Array, ReduceArgs};
use pyo3::intern;
use pyo3::prelude::*;

use super::args::{Args, Done, NOT_PLAIN, array_of, int};
use crate::error::attempt;
use crate::{adopt, capi, value};

/// The axis of `a.sum()` (none), `a.sum(0)`, `a.sum(axis=0)`; `None` for other arguments.
#[inline(always)]
pub(super) fn axis_of(py: Python, args: Args) -> Option<Option<i64>> {
    match (args.len(), args.has_names()) {
        (0, false) => Some(None),
        (0, true) => match args.single_name(py) {
            Some((name, x)) if name.is(intern!(py, "axis")) => int(&x).map(Some),
            _ => None,
        },
        (1, false) => int(&args.get(py, 0)).map(Some),
        _ => None,
    }
}

#[inline]
pub(super) fn reduction(py: Python, reducer: Reducer, array: &Array, axis: Args) -> Done {
    let Some(axis) = axis_of(py, axis) else { return NOT_PLAIN };
    let mut args = ReduceArgs::default();
    let axes = axis.map(|i| [i]);
    if let Some(axes) = &axes {
        if array.ndim() == 0 {
            return NOT_PLAIN;
        }
        args.axes = Some(axes);
    } else if let Some(Some(number)) = attempt(py, || Ok(rt::reduce_all_now(reducer, array)))? {
        return capi::scalar(py, number).map(Some);
    }
    match attempt(py, || rt::reduce(reducer, array, &args))? {
        Some(a) => value::result(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

macro_rules! reductions {
    ($($method:ident $function:ident = $reducer:expr;)*) => { $(
        pub(super) fn $method(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
            match value::value(a) {
                Some(v) => reduction(py, $reducer, v.get(), args),
                None => NOT_PLAIN,
            }
        }

        pub(super) fn $function(py: Python, args: Args) -> Done {
            if args.len() == 0 {
                return NOT_PLAIN;
            }
            match value::value(&args.get(py, 0)) {
                Some(v) => {
                    let rest = args.behind(1);
                    reduction(py, $reducer, v.get(), rest)
                }
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
    let (Some(array), Some(axis)) = (array_of(a), axis_of(py, args)) else { return NOT_PLAIN };
    if array.size() == 0 || array.dtype().is_complex() || axis.is_some() && array.ndim() == 0 {
        return NOT_PLAIN;
    }
    let axes = axis.map(|i| [i]);
    let args = ReduceArgs { axes: axes.as_ref().map(|axes| &axes[..]), ..ReduceArgs::default() };
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
