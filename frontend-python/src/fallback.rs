//! The way into NumPy: calls of its functions and methods on real arrays that share our memory, counted by name
//! (`counted.rs`). What is rare is done in the Python module `legate_jit._fallback`.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyEllipsis, PyFloat, PyInt, PyList, PySlice, PyString, PyTuple};
use pyo3::{Borrowed, Bound, Py, PyAny, PyResult, Python};
use smallvec::SmallVec;

use crate::counted::count;
use crate::lend::Lending;
use crate::quick::Args;
use crate::{adopt, capi, dtypes, value};

/// Lists in lists, beyond which Python looks into them: it knows how deep it may go.
const DEEPEST: usize = 32;

type Positional<'py> = SmallVec<[Bound<'py, PyAny>; 6]>;

fn find<'a, 'py>(py: Python<'py>, cell: &'a PyOnceLock<Py<PyAny>>, name: &str) -> PyResult<&'a Bound<'py, PyAny>> {
    cell.import(py, "legate_jit._fallback", name)
}

/// A call that NumPy is given, with its own arrays in the place of ours.
#[derive(Default)]
struct Call<'py> {
    lending: Lending<'py>,
    /// A real array is among the arguments: it may come back, or a view of it, while somebody else uses it.
    shared: bool,
    /// Some argument may be of a class that has its own way to do NumPy's functions.
    strange: bool,
}

impl<'py> Call<'py> {
    /// What NumPy gets in the place of an object. What has no array of ours in it stays the very object.
    fn real(&mut self, x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.real_within(x, 0)
    }

    /// The same within so many lists and tuples.
    fn real_within(&mut self, x: &Bound<'py, PyAny>, depth: usize) -> PyResult<Bound<'py, PyAny>> {
        static UNWRAP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let py = x.py();
        if value::is_array(x) {
            return self.lending.show(x);
        }
        if is_plain(x) || is_simple_slice(x) {
            return Ok(x.clone());
        }
        if value::is_scalar(x) {
            return adopt::host(x.cast()?);
        }
        if let Some(info) = capi::exact_array_info(x) {
            self.shared = true;
            // (Its elements may be objects of any class.)
            self.strange |= dtypes::of_descr(py, info.descr).is_none();
            return Ok(x.clone());
        }
        let mut changed = false;
        let mut items = |found: &mut dyn Iterator<Item = Bound<'py, PyAny>>| -> PyResult<Positional<'py>> {
            let mut all = Positional::new();
            for item in found {
                let real = self.real_within(&item, depth + 1)?;
                changed |= !real.is(&item);
                all.push(real);
            }
            Ok(all)
        };
        match (x.cast_exact::<PyTuple>(), x.cast_exact::<PyList>()) {
            (Ok(tuple), _) if depth < DEEPEST => {
                let all = items(&mut tuple.iter())?;
                return if changed { Ok(PyTuple::new(py, all)?.into_any()) } else { Ok(x.clone()) };
            }
            (_, Ok(list)) if depth < DEEPEST => {
                let all = items(&mut list.iter())?;
                return if changed { Ok(PyList::new(py, all)?.into_any()) } else { Ok(x.clone()) };
            }
            _ => {}
        }
        self.strange = true;
        find(py, &UNWRAP, "unwrap")?.call1((x,))
    }

    /// Calls a function, or what it does without its search for other classes.
    fn run(
        &self,
        function: &Bound<'py, PyAny>,
        direct: Option<&Bound<'py, PyAny>>,
        call: impl Fn(&Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match direct.filter(|_| !self.strange).map(&call) {
            // The search may refuse the arguments first, in words of its own.
            Some(Err(e)) if e.is_instance_of::<PyTypeError>(function.py()) => call(function),
            Some(result) => result,
            None => call(function),
        }
    }

    /// A result of NumPy's as ours; `out` is the array of ours that was meant to be written. The arguments are gone.
    fn ours(
        &mut self,
        result: Bound<'py, PyAny>,
        out: Option<Borrowed<'_, 'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(original) = self.lending.original(&result) {
            return Ok(original);
        }
        if let (Some(out), true) = (out, capi::is_array(&result)) {
            return Ok(out.to_owned());
        }
        // (The result may be a view of ours: that is found out by its base.)
        self.lending.end();
        ours(&result, self.shared, 1, 0)
    }
}

/// Calls a function of NumPy's as Python calls ours. `direct` is the function without its search for other classes; `first` stands in the
/// place of the first argument.
pub fn pass<'py>(
    py: Python<'py>,
    function: &Bound<'py, PyAny>,
    direct: Option<&Bound<'py, PyAny>>,
    first: Option<&Bound<'py, PyAny>>,
    args: Args,
) -> PyResult<Bound<'py, PyAny>> {
    let mut call = Call::default();
    let mut real = Positional::new();
    real.extend(first.cloned());
    for i in real.len()..args.len() {
        real.push(call.real(&args.get(py, i))?);
    }
    let mut out = None;
    if args.has_names() {
        for (name, value) in args.names(py) {
            real.push(call.real(&value)?);
            if value::is_array(&value) && name.is(intern!(py, "out")) {
                out = Some(value);
            }
        }
    }
    let names = args.name_tuple(py);
    let result = call.run(function, direct, |f| capi::call(f, &real, names))?;
    drop(real);
    call.ours(result, out)
}

/// The same with a tuple and a dict.
#[pyfunction]
#[pyo3(signature = (function, args, kwargs=None))]
pub fn call_numpy<'py>(
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = function.py();
    let mut call = Call::default();
    let mut real = Positional::new();
    for a in args.iter_borrowed() {
        real.push(call.real(&a)?);
    }
    let (mut named, mut out) = (None, None);
    if let Some(kwargs) = kwargs.filter(|k| !k.is_empty()) {
        let all = PyDict::new(py);
        for (name, value) in kwargs {
            all.set_item(name, call.real(&value)?)?;
        }
        out = kwargs.get_item(intern!(py, "out"))?.filter(value::is_array);
        named = Some(all);
    }
    let direct = direct(function)?;
    let result = match &named {
        None => call.run(function, direct.as_ref(), |f| capi::call(f, &real, None))?,
        Some(named) => {
            let real = PyTuple::new(py, &real)?;
            call.run(function, direct.as_ref(), |f| f.call(&real, Some(named)))?
        }
    };
    drop((real, named));
    call.ours(result, out.as_ref().map(|out| out.as_borrowed()))
}

/// What a function of NumPy's does once no argument's class has a way of its own to do it.
pub fn direct<'py>(function: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = function.py();
    let class = CLASS
        .get_or_try_init(py, || PyResult::Ok(py.import("numpy")?.getattr("sum")?.get_type().into_any().unbind()))?;
    if !function.get_type().is(class) {
        return Ok(None);
    }
    function.getattr_opt(intern!(py, "_implementation"))
}

/// Calls a function of NumPy's and counts it.
#[pyfunction]
#[pyo3(signature = (name, function, args, kwargs=None))]
pub fn run_in_numpy<'py>(
    name: &Bound<'py, PyString>,
    function: &Bound<'py, PyAny>,
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    count(name)?;
    call_numpy(function, args, kwargs)
}

pub fn run(
    py: Python<'_>,
    name: &str,
    function: &Bound<PyAny>,
    args: &Bound<PyTuple>,
    kwargs: Option<&Bound<PyDict>>,
) -> PyResult<Py<PyAny>> {
    run_in_numpy(&PyString::new(py, name), function, args, kwargs).map(Bound::unbind)
}

/// Calls `numpy.<name>`.
pub fn numpy(py: Python<'_>, name: &str, args: &Bound<PyTuple>, kwargs: Option<&Bound<PyDict>>) -> PyResult<Py<PyAny>> {
    let function = py.import("numpy")?.getattr(name)?;
    run(py, name, &function, args, kwargs)
}

/// Calls a method of NumPy's array (scalar) of the same value.
pub fn method(
    slf: &Bound<PyAny>,
    name: &str,
    args: &Bound<PyTuple>,
    kwargs: Option<&Bound<PyDict>>,
) -> PyResult<Py<PyAny>> {
    static RUN_METHOD: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = slf.py();
    let kwargs = kwargs.cloned().unwrap_or_else(|| PyDict::new(py));
    Ok(find(py, &RUN_METHOD, "run_method")?.call1((name, slf, args, kwargs))?.unbind())
}

pub fn get_item(slf: &Bound<PyAny>, key: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    static GET_ITEM: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = slf.py();
    if !value::is_array(slf) {
        return Ok(find(py, &GET_ITEM, "get_item")?.call1((slf, key))?.unbind());
    }
    count(intern!(py, "ndarray.__getitem__"))?;
    let mut call = Call::default();
    let result = {
        let (target, key) = (call.real(slf)?, call.real(key)?);
        target.get_item(key)?
    };
    call.ours(result, None).map(Bound::unbind)
}

pub fn set_item(slf: &Bound<PyAny>, key: &Bound<PyAny>, new: &Bound<PyAny>) -> PyResult<()> {
    count(intern!(slf.py(), "ndarray.__setitem__"))?;
    let mut call = Call::default();
    let (target, key, new) = (call.real(slf)?, call.real(key)?, call.real(new)?);
    target.set_item(key, new)
}

/// An attribute that only NumPy's arrays and scalars have.
pub fn attribute(slf: &Bound<PyAny>, name: &Bound<PyString>) -> PyResult<Py<PyAny>> {
    static ATTRIBUTE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(find(slf.py(), &ATTRIBUTE, "value_attribute")?.call1((slf, name))?.unbind())
}

/// A result of NumPy's as ours.
pub fn wrap(obj: &Bound<PyAny>) -> PyResult<Py<PyAny>> {
    static WRAP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    Ok(find(obj.py(), &WRAP, "wrap")?.call1((obj,))?.unbind())
}

/// A result of NumPy's as ours, within so many lists and tuples. `held`: how many references our caller has itself.
fn ours<'py>(result: &Bound<'py, PyAny>, shared: bool, held: isize, depth: usize) -> PyResult<Bound<'py, PyAny>> {
    static WRAP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = result.py();
    if capi::is_array(result) {
        if let Some(dtype) = adopt::own_alone(result, held) {
            return Ok(value::new_made(result.clone(), dtype)?.into_bound(py));
        }
        return match adopt::adopt_made(result, shared, held)? {
            Some(array) => Ok(value::new_array(py, array)?.into_bound(py)),
            None => Ok(result.clone()),
        };
    }
    if is_plain(result) {
        return Ok(result.clone());
    }
    // (What is in a tuple or list that others have may be theirs, too.)
    let alone = adopt::references(result) == held;
    let mut changed = false;
    let mut item = |item: &Bound<'py, PyAny>, held: isize| -> PyResult<Bound<'py, PyAny>> {
        let new = ours(item, shared, if alone { held } else { 0 }, depth + 1)?;
        changed |= !new.is(item);
        Ok(new)
    };
    match (result.cast_exact::<PyTuple>(), result.cast_exact::<PyList>()) {
        (Ok(tuple), _) if depth < DEEPEST => {
            let all: Positional = tuple.iter_borrowed().map(|found| item(&found, 1)).collect::<PyResult<_>>()?;
            if changed { Ok(PyTuple::new(py, all)?.into_any()) } else { Ok(result.clone()) }
        }
        (_, Ok(list)) if depth < DEEPEST => {
            let all: Positional = list.iter().map(|found| item(&found, 2)).collect::<PyResult<_>>()?;
            if changed { Ok(PyList::new(py, all)?.into_any()) } else { Ok(result.clone()) }
        }
        _ => find(py, &WRAP, "wrap")?.call1((result, shared)),
    }
}

fn is_number(x: &Bound<PyAny>) -> bool {
    x.is_exact_instance_of::<PyFloat>() || x.is_exact_instance_of::<PyInt>() || x.is_exact_instance_of::<PyBool>()
}

/// What goes to NumPy, and comes from it, as it is.
fn is_plain(x: &Bound<PyAny>) -> bool {
    if is_number(x) || x.is_none() || x.is_exact_instance_of::<PyString>() {
        return true;
    }
    if let Ok(list) = x.cast_exact::<PyList>() {
        return list.iter().all(|item| is_number(&item));
    }
    if let Ok(tuple) = x.cast_exact::<PyTuple>() {
        return tuple.iter_borrowed().all(|item| is_number(&item));
    }
    dtypes::of_scalar_type(x.py(), x.get_type_ptr()).is_some() || dtypes::quick(x).is_some()
}

/// `...`, and a slice of numbers.
fn is_simple_slice(x: &Bound<PyAny>) -> bool {
    let py = x.py();
    let bound = |name| x.getattr(name).is_ok_and(|bound| bound.is_none() || is_number(&bound));
    x.is_exact_instance_of::<PyEllipsis>()
        || x.is_exact_instance_of::<PySlice>()
            && bound(intern!(py, "start"))
            && bound(intern!(py, "stop"))
            && bound(intern!(py, "step"))
}
