//! Functions and methods in the forms that programs call most, without the reading of arguments that the general ones need.
//!
//! Each entry looks whether a call has the plain form that it knows, and does it then; any other call goes on to the general
//! function of the same name (`functions.rs`, `methods.rs`, `reduce.rs`), which also has all the words for what is wrong.
//!
//! A boundary file, for the same reasons as `slots.rs`: Python calls these functions directly.

mod args;
mod create;
mod elements;
mod join;
mod order;
mod reductions;
mod types;
mod ufuncs;
mod views;

use std::ffi::CStr;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{PyTypeInfo, ffi};

pub use args::{Args, int};
use create::{
    array, asarray, ascontiguousarray, diag, empty, empty_like, eye, fromiter, identity, linspace, ones, ones_like,
    zeros, zeros_like,
};
use elements::{as_numpys, byteswap, fill, item, place, put, putmask, take, take_of, tobytes, tolist};
pub use join::indexed_together;
use join::{column_stack_of, concatenate, dstack_of, hstack_of, stack_of, vstack_of};
use order::{
    argpartition, argpartition_of, argsort, argsort_of, bincount, interp, lexsort_of, nonzero, nonzero_of, partition,
    partition_of, searchsorted, searchsorted_of, sort, sort_of,
};
pub use reductions::ufunc_reduce;
use reductions::*;
use types::{can_cast, result_type};
use ufuncs::{array_ufunc, dot, dot_of, round, vdot_of, where_};
pub use ufuncs::{matmul, ufunc};
use views::*;

use crate::slots::{self, Object, enter_object, seen};
use crate::ufunc::UfuncObject;
use crate::value::NdArray;

macro_rules! entries {
    (
        methods { $($method:ident $method_name:literal = $m:path;)* }
        functions { $($function:ident $name:literal = $f:path;)* }
        in_python { $($later:ident $later_name:literal $words:literal = $l:path;)* }
    ) => {
        mod c {
            use super::*;

            $(
                pub unsafe extern "C" fn $method(a: Object, args: *const Object, n: isize, names: Object) -> Object {
                    // SAFETY: Python calls this as a method of `ndarray` with the flags given below.
                    enter_object(|py| unsafe {
                        let (a, args) = (seen(py, a), Args::new(args, n as usize, names));
                        match $m(py, &a, args)? {
                            Some(done) => Ok(done),
                            None => general_method(py, $method_name, &a, args),
                        }
                    })
                }
            )*
            $(
                pub unsafe extern "C" fn $function(_: Object, args: *const Object, n: isize, names: Object) -> Object {
                    // SAFETY: Python calls this with the flags given below.
                    enter_object(|py| unsafe {
                        let args = Args::new(args, n as usize, names);
                        match $f(py, args)? {
                            Some(done) => Ok(done),
                            None => general_function(py, $name, args),
                        }
                    })
                }
            )*
            $(
                pub unsafe extern "C" fn $later(_: Object, args: *const Object, n: isize, names: Object) -> Object {
                    // SAFETY: Python calls this with the flags given below.
                    enter_object(|py| unsafe {
                        let args = Args::new(args, n as usize, names);
                        match $l(py, args)? {
                            Some(done) => Ok(done),
                            None => general_function(py, $later_name, args),
                        }
                    })
                }
            )*
        }

        /// With their arguments in words.
        fn in_python() -> Vec<(ffi::PyMethodDef, &'static str)> {
            vec![$((entry($later_name, c::$later), $words)),*]
        }

        /// The methods of `ndarray`, for its class.
        pub fn methods() -> Vec<ffi::PyMethodDef> {
            vec![$(entry($method_name, c::$method)),*]
        }

        /// The method by which NumPy's own ufuncs come here, for the class of scalars.
        pub fn protocol() -> ffi::PyMethodDef {
            entry(c"__array_ufunc__", c::m_array_ufunc)
        }

        fn functions() -> Vec<ffi::PyMethodDef> {
            vec![$(entry($name, c::$function)),*]
        }
    };
}

entries! {
    methods {
    m_sum c"sum" = sum;
    m_prod c"prod" = prod;
    m_min c"min" = min;
    m_max c"max" = max;
    m_any c"any" = any;
    m_all c"all" = all;
    m_argmin c"argmin" = argmin;
    m_argmax c"argmax" = argmax;
    m_mean c"mean" = mean;
    m_var c"var" = var;
    m_std c"std" = std;
    m_copy c"copy" = copy;
    m_reshape c"reshape" = reshape;
    m_ravel c"ravel" = ravel;
    m_transpose c"transpose" = transpose;
    m_astype c"astype" = astype;
    m_squeeze c"squeeze" = squeeze;
    m_view c"view" = view;
    m_repeat c"repeat" = repeat;
    m_swapaxes c"swapaxes" = swapaxes;
    m_diagonal c"diagonal" = diagonal;
    m_conj c"conj" = conj;
    m_conjugate c"conjugate" = conj;
    m_take c"take" = take;
    m_tobytes c"tobytes" = tobytes;
    m_sort c"sort" = sort;
    m_partition c"partition" = partition;
    m_argpartition c"argpartition" = argpartition;
    m_dot c"dot" = dot;
    m_round c"round" = round;
    m_item c"item" = item;
    m_tolist c"tolist" = tolist;
    m_argsort c"argsort" = argsort;
    m_searchsorted c"searchsorted" = searchsorted;
    m_nonzero c"nonzero" = nonzero;
    m_fill c"fill" = fill;
    m_put c"put" = put;
    m_byteswap c"byteswap" = byteswap;
    m_array c"__array__" = as_numpys;
    m_array_ufunc c"__array_ufunc__" = array_ufunc;
    }
    functions {
    f_sum c"sum" = sum_of;
    f_prod c"prod" = prod_of;
    f_min c"min" = min_of;
    f_max c"max" = max_of;
    f_any c"any" = any_of;
    f_all c"all" = all_of;
    f_argmin c"argmin" = argmin_of;
    f_argmax c"argmax" = argmax_of;
    f_zeros c"zeros" = zeros;
    f_empty c"empty" = empty;
    f_ones c"ones" = ones;
    f_zeros_like c"zeros_like" = zeros_like;
    f_empty_like c"empty_like" = empty_like;
    f_ones_like c"ones_like" = ones_like;
    f_asarray c"asarray" = asarray;
    f_array c"array" = array;
    f_ascontiguousarray c"ascontiguousarray" = ascontiguousarray;
    f_where c"where" = where_;
    f_concatenate c"concatenate" = concatenate;
    }
    in_python {
    p_transpose c"transpose" "(a, axes=None)" = transpose_of;
    p_reshape c"reshape" "(a, /, shape, order='C', *, copy=None)" = reshape_of;
    p_ravel c"ravel" "(a, order='C')" = ravel_of;
    p_squeeze c"squeeze" "(a, axis=None)" = squeeze_of;
    p_repeat c"repeat" "(a, repeats, axis=None)" = repeat_of;
    p_swapaxes c"swapaxes" "(a, axis1, axis2)" = swapaxes_of;
    p_diagonal c"diagonal" "(a, offset=0, axis1=0, axis2=1)" = diagonal_of;
    p_atleast_1d c"atleast_1d" "(*arys)" = atleast_1d_of;
    p_dot c"dot" "(a, b, out=None)" = dot_of;
    p_vdot c"vdot" "(a, b, /)" = vdot_of;
    p_take c"take" "(a, indices, axis=None, out=None, mode='raise')" = take_of;
    p_stack c"stack" "(arrays, axis=0, out=None, *, dtype=None, casting='same_kind')" = stack_of;
    p_vstack c"vstack" "(tup, *, dtype=None, casting='same_kind')" = vstack_of;
    p_hstack c"hstack" "(tup, *, dtype=None, casting='same_kind')" = hstack_of;
    p_mean c"mean" "(a, axis=None, dtype=None, out=None, keepdims=None, *, where=None)" = mean_of;
    p_var c"var" "(a, axis=None, dtype=None, out=None, ddof=0, keepdims=None, *, where=None, mean=None, correction=None)" = var_of;
    p_std c"std" "(a, axis=None, dtype=None, out=None, ddof=0, keepdims=None, *, where=None, mean=None, correction=None)" = std_of;
    p_sort c"sort" "(a, axis=-1, kind=None, order=None, *, stable=None)" = sort_of;
    p_partition c"partition" "(a, kth, axis=-1, kind='introselect', order=None)" = partition_of;
    p_argpartition c"argpartition" "(a, kth, axis=-1, kind='introselect', order=None)" = argpartition_of;
    p_bincount c"bincount" "(x, /, weights=None, minlength=0)" = bincount;
    p_fromiter c"fromiter" "(iter, dtype, count=-1, *, like=None)" = fromiter;
    p_interp c"interp" "(x, xp, fp, left=None, right=None, period=None)" = interp;
    p_argsort c"argsort" "(a, axis=-1, kind=None, order=None, *, stable=None)" = argsort_of;
    p_lexsort c"lexsort" "(keys, axis=-1)" = lexsort_of;
    p_searchsorted c"searchsorted" "(a, v, side='left', sorter=None)" = searchsorted_of;
    p_nonzero c"nonzero" "(a)" = nonzero_of;
    p_diag c"diag" "(v, k=0)" = diag;
    p_identity c"identity" "(n, dtype=None, *, like=None)" = identity;
    p_column_stack c"column_stack" "(tup)" = column_stack_of;
    p_dstack c"dstack" "(tup)" = dstack_of;
    p_result_type c"result_type" "(*arrays_and_dtypes)" = result_type;
    p_can_cast c"can_cast" "(from_, to, casting='safe')" = can_cast;
    p_eye c"eye" "(N, M=None, k=0, dtype=float, order='C', *, device=None, like=None)" = eye;
    p_place c"place" "(arr, mask, vals)" = place;
    p_putmask c"putmask" "(a, /, mask, values)" = putmask;
    p_count_nonzero c"count_nonzero" "(a, axis=None, *, keepdims=False)" = count_nonzero_of;
    p_linspace c"linspace" "(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None)" = linspace;
    }
}

unsafe extern "C" fn ufunc_reduce_method(f: Object, args: *const Object, n: isize, names: Object) -> Object {
    // SAFETY: Python calls this as a method of ufuncs with the flags given in `entry`.
    enter_object(|py| unsafe {
        let args = Args::new(args, n as usize, names);
        if let Some(done) = slots::ufunc_in(f).reduce_quickly(py, args)? {
            return Ok(done);
        }
        let (args, named) = args.general(py, Some(&seen(py, f)))?;
        let method = UfuncObject::type_object(py).getattr("reduce")?;
        Ok(method.call(args, named.as_ref())?.unbind())
    })
}

/// `reduce`, for the class of ufuncs.
pub fn reduce_method() -> ffi::PyMethodDef {
    entry(c"reduce", ufunc_reduce_method)
}

fn entry(name: &'static CStr, function: ffi::PyCFunctionFastWithKeywords) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: function },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: std::ptr::null(),
    }
}

#[cold]
fn general_method(py: Python, name: &CStr, a: &Bound<PyAny>, args: Args) -> PyResult<Py<PyAny>> {
    let (args, named) = args.general(py, Some(a))?;
    let method = NdArray::type_object(py).getattr(name.to_str().expect("a word"))?;
    Ok(method.call(args, named.as_ref())?.unbind())
}

/// The general functions by name.
static GENERAL: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

#[cold]
fn general_function(py: Python, name: &CStr, args: Args) -> PyResult<Py<PyAny>> {
    let (args, named) = args.general(py, None)?;
    general(py, name, &args, named.as_ref())
}

#[cold]
fn general(py: Python, name: &CStr, args: &Bound<PyTuple>, named: Option<&Bound<PyDict>>) -> PyResult<Py<PyAny>> {
    let all = GENERAL.get(py).expect("set at import").bind(py);
    let function = all.get_item(name.to_str().expect("a word"))?.expect("every function has its general form");
    Ok(function.call(args, named)?.unbind())
}

/// A function of Python's for an entry of a table.
fn builtin<'py>(py: Python<'py>, def: &'static mut ffi::PyMethodDef) -> PyResult<Bound<'py, PyAny>> {
    let module = PyString::new(py, "legate_jit.numpy");
    // SAFETY: the table's own strings and functions; Python keeps the pointer to the entry, which lives for good.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyCFunction_NewEx(def, std::ptr::null_mut(), module.as_ptr())) }
}

/// What `help` and `inspect` show.
fn describe(def: &mut ffi::PyMethodDef, name: &str, signature: &str, rest: &str) {
    let doc = std::ffi::CString::new(format!("{name}{signature}\n--\n\n{rest}")).expect("no zero in it");
    def.ml_doc = Box::leak(doc.into_boxed_c_str()).as_ptr();
}

/// Puts the functions in front of the general ones of the module.
pub fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    let general = PyDict::new(py);
    let table: &'static mut [ffi::PyMethodDef] = functions().leak();
    for def in table {
        // SAFETY: the table's own strings.
        let name = unsafe { CStr::from_ptr(def.ml_name) }.to_str().expect("a word");
        let known = m.getattr(name)?;
        general.set_item(name, &known)?;
        if let Ok(words) = known.getattr("__text_signature__")
            && let Ok(words) = words.extract::<String>()
        {
            describe(def, name, &words, &known.getattr("__doc__")?.extract::<String>().unwrap_or_default());
        }
        m.add(name, builtin(py, def)?)?;
    }
    let _ = GENERAL.set(py, general.unbind());
    Ok(())
}

/// The functions that have a plain form here in front of their general ones, which are written in Python: by name.
#[pyfunction]
pub fn in_front<'py>(general: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let py = general.py();
    let (all, made) = (GENERAL.get(py).expect("set at import").bind(py), PyDict::new(py));
    let table: &'static mut [(ffi::PyMethodDef, &str)] = in_python().leak();
    for (def, words) in table {
        // SAFETY: the table's own strings.
        let name = unsafe { CStr::from_ptr(def.ml_name) }.to_str().expect("a word");
        let Some(function) = general.get_item(name)? else { continue };
        let rest = function.getattr("__doc__")?.extract::<String>().unwrap_or_default();
        describe(def, name, words, &rest);
        all.set_item(name, function)?;
        made.set_item(name, builtin(py, def)?)?;
    }
    Ok(made)
}
