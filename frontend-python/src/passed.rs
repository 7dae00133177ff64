//! Functions and methods that NumPy's own run: `np.histogram`, `a.put`. Python calls them without a tuple of arguments.
//!
//! A boundary file, as `slots.rs`.

use std::ffi::c_void;
use std::mem::size_of;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use pyo3::{Bound, Py, PyAny, PyResult, PyTypeInfo, Python, ffi, intern};

use crate::counted::Counter;
use crate::quick::{Args, int};
use crate::slots::{self, Object, enter_object};
use crate::value;
use crate::{fallback, random, source};

/// What such a function is. The class of the objects themselves derives from it.
#[pyclass(frozen, subclass, name = "function", module = "legate_jit")]
pub struct Passed {
    /// Of its calls, if they are counted.
    counter: Option<&'static Counter>,
    /// NumPy's own.
    real: Py<PyAny>,
    /// See `fallback::direct`.
    direct: Option<Py<PyAny>>,
    /// A method's name.
    method: Option<Py<PyString>>,
    /// It is a method of generators.
    of_sources: bool,
    /// What is asked first where much is wanted.
    many: Option<Many>,
    /// What is drawn here where little is.
    few: Option<random::Few>,
}

/// A Python function that takes the same arguments, and may say `NotImplemented`; and which argument says how many are wanted.
struct Many {
    function: Py<PyAny>,
    /// The object itself counts, for a method.
    at: usize,
}

/// As many as make up for the second function.
const MANY: usize = 1 << 15;

impl Many {
    fn is_wanted(&self, py: Python, args: Args) -> bool {
        if args.len() > self.at {
            return count(&args.get(py, self.at)) >= MANY;
        }
        let named = args.name_tuple(py).map_or(0, |names| names.len());
        (args.len()..args.len() + named).any(|n| count(&args.get(py, n)) >= MANY)
    }
}

/// Elements of a size given as a number or a tuple of numbers; 0 for anything else.
fn count(size: &Bound<PyAny>) -> usize {
    let number = |n: &Bound<PyAny>| int(n).map_or(0, |n| n.max(0) as usize);
    match size.cast_exact::<PyTuple>() {
        Ok(shape) => shape.iter().map(|n| number(&n)).fold(1, usize::saturating_mul),
        Err(_) => number(size),
    }
}

impl Passed {
    #[inline]
    fn call(&self, py: Python, args: Args) -> PyResult<Py<PyAny>> {
        if self.method.is_some() && !(args.len() > 0 && value::is_array(&args.get(py, 0))) {
            let (args, named) = args.general(py, None)?;
            return self.call_of_another(py, &args, named.as_ref());
        }
        if let Some(many) = self.many.as_ref().filter(|many| many.is_wanted(py, args)) {
            let (args, named) = args.general(py, None)?;
            let made = many.function.bind(py).call(args, named.as_ref())?;
            if !made.is(py.NotImplemented()) {
                return Ok(made.unbind());
            }
        }
        self.count(py)?;
        let direct = self.direct.as_ref().map(|f| f.bind(py));
        if self.of_sources && args.len() > 0 {
            let slf = args.get(py, 0);
            if let (Some(few), Some(source)) = (self.few, source::source(&slf))
                && let Some(drawn) = few.draw(py, source, args)?
            {
                return Ok(drawn);
            }
            let slf = source::real(&slf).map(|real| real.bind(py));
            return fallback::pass(py, self.real.bind(py), direct, slf, args).map(Bound::unbind);
        }
        fallback::pass(py, self.real.bind(py), direct, None, args).map(Bound::unbind)
    }

    fn count(&self, py: Python) -> PyResult<()> {
        self.counter.map_or(Ok(()), |counter| counter.count(py))
    }

    /// A method of what is no array of ours.
    #[cold]
    fn call_of_another(&self, py: Python, args: &Bound<PyTuple>, named: Option<&Bound<PyDict>>) -> PyResult<Py<PyAny>> {
        let slf = args.get_item(0).ok().filter(value::is_scalar);
        let (Some(slf), Some(name)) = (slf, &self.method) else {
            return Ok(self.real.bind(py).call(args, named)?.unbind());
        };
        let run = if self.counter.is_some() { "run_method" } else { "look" };
        let run = py.import(intern!(py, "legate_jit._fallback"))?.getattr(run)?;
        let named = named.cloned().unwrap_or_else(|| PyDict::new(py));
        Ok(run.call1((name, slf, args.get_slice(1, args.len()), named))?.unbind())
    }
}

#[pymethods]
impl Passed {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(&self, args: &Bound<PyTuple>, kwargs: Option<&Bound<PyDict>>) -> PyResult<Py<PyAny>> {
        let py = args.py();
        if self.method.is_some() && !args.get_item(0).is_ok_and(|slf| value::is_array(&slf)) {
            return self.call_of_another(py, args, kwargs);
        }
        self.count(py)?;
        if self.of_sources
            && let Ok(slf) = args.get_item(0)
            && let Some(real) = source::real(&slf)
        {
            let rest = args.iter().skip(1);
            let args = PyTuple::new(py, [real.bind(py).clone()].into_iter().chain(rest).collect::<Vec<_>>())?;
            return fallback::call_numpy(self.real.bind(py), &args, kwargs).map(Bound::unbind);
        }
        fallback::call_numpy(self.real.bind(py), args, kwargs).map(Bound::unbind)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let name: String = slf.getattr(intern!(slf.py(), "__name__"))?.extract()?;
        Ok(format!("<function {name} at {:p}>", slf.as_ptr()))
    }

    /// By its name, as functions are pickled.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.getattr(intern!(slf.py(), "__qualname__"))
    }
}

/// Where the contents lie in an object, and what lies behind them: the address of the function that Python calls, the
/// attributes, the weak references.
const CONTENTS: usize = size_of::<ffi::PyObject>();
const CALL: usize = CONTENTS + size_of::<Passed>();
const ATTRIBUTES: usize = CALL + size_of::<Object>();
const WEAK_REFS: usize = ATTRIBUTES + size_of::<Object>();
const SIZE: usize = WEAK_REFS + size_of::<Object>();

unsafe extern "C" fn call(f: Object, args: *const Object, flags: usize, names: Object) -> Object {
    // SAFETY: Python's protocol: `f` is such a function, the highest bit of `flags` is a flag and the rest the number of
    // arguments.
    enter_object(|py| unsafe {
        let args = Args::new(args, flags & (usize::MAX >> 1), names);
        (*f.byte_add(CONTENTS).cast::<Passed>()).call(py, args)
    })
}

/// As a function's: it becomes the method of what it is found in.
unsafe extern "C" fn bind(f: Object, of: Object, _class: Object) -> Object {
    // SAFETY: Python hands over such a function, and an object or null; what is made is a new reference, or null with an exception set.
    unsafe {
        if of.is_null() || of == ffi::Py_None() {
            ffi::Py_INCREF(f);
            return f;
        }
        PyMethod_New(f, of)
    }
}

unsafe extern "C" {
    /// (All Pythons have it, though it is not of the stable interface: what `types.MethodType` calls.)
    fn PyMethod_New(function: Object, of: Object) -> Object;
}

/// The class of all of them.
fn class(py: Python<'_>) -> PyResult<&'static Py<PyType>> {
    /// `Py_TPFLAGS_HAVE_VECTORCALL`, `Py_TPFLAGS_METHOD_DESCRIPTOR`
    const FLAGS: u32 = 1 << 11 | 1 << 17;
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.get_or_try_init(py, || {
        let base = Passed::type_object(py);
        slots::check_size(&base, CALL)?;
        let places =
            [(c"__vectorcalloffset__", CALL), (c"__dictoffset__", ATTRIBUTES), (c"__weaklistoffset__", WEAK_REFS)];
        let mut all = slots::with_attributes();
        all.push(slots::slot(ffi::Py_tp_descr_get, bind as *mut c_void));
        slots::class_with(&base, c"numpy.function", SIZE, FLAGS, &places, all).map(Bound::unbind)
    })
}

/// A function that calls NumPy's: `label` is the name under which calls are counted, `method` the name of a method, `many` a function
/// that is asked first where the argument of the given number says that much is wanted, `of_sources` says that it is a method of generators,
/// and `few` which of those whose few numbers are drawn here.
#[pyfunction]
#[pyo3(signature = (real, label=None, method=None, many=None, of_sources=false, few=None))]
pub fn passed(
    real: &Bound<PyAny>,
    label: Option<&str>,
    method: Option<Py<PyString>>,
    many: Option<(Py<PyAny>, usize)>,
    of_sources: bool,
    few: Option<&str>,
) -> PyResult<Py<PyAny>> {
    let py = real.py();
    let direct = fallback::direct(real)?.map(Bound::unbind);
    let counter = label.map(Counter::of);
    let many = many.map(|(function, at)| Many { function, at });
    let few = few.and_then(random::Few::of);
    let contents = Passed { counter, real: real.clone().unbind(), direct, method, of_sources, many, few };
    // SAFETY: fresh, zeroed memory for an object of the class, whose parts are written here; the base class's deallocation
    // drops the contents, the class's own the attributes.
    unsafe {
        let object = ffi::PyType_GenericAlloc(class(py)?.as_ptr().cast(), 0);
        let made = Bound::from_owned_ptr_or_err(py, object)?;
        object.byte_add(CONTENTS).cast::<Passed>().write(contents);
        object.byte_add(CALL).cast::<*const ()>().write(call as *const ());
        Ok(made.unbind())
    }
}
