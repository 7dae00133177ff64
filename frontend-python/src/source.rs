//! The classes of generators of random numbers: objects around NumPy's own, whose methods give arrays of ours (`passed.rs`).
//!
//! They have methods like any class of Python's, and no attributes of their own, so that Python finds a method as quickly as NumPy's.
//!
//! A boundary file, as `slots.rs`.

use std::mem::size_of;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};
use pyo3::{Bound, Py, PyAny, PyResult, PyTypeInfo, Python, ffi, intern};

use crate::{capi, slots};

/// What stands for a generator of NumPy's.
#[pyclass(frozen, subclass, name = "source", module = "legate_jit")]
pub struct Source {
    pub real: Py<PyAny>,
    /// See [`Source::words`].
    words: PyOnceLock<Option<Words>>,
}

/// A generator of random bits, as NumPy shows it to foreign code.
struct Words {
    bits: capi::bits::Bits,
    /// Who has this lock draws.
    acquire: Py<PyAny>,
    release: Py<PyAny>,
}

impl Source {
    /// Of NumPy's own `Generator` around a PCG64: a way to its raw numbers.
    fn words(&self, py: Python) -> PyResult<Option<&Words>> {
        static CLASSES: PyOnceLock<[Py<PyAny>; 2]> = PyOnceLock::new();
        let find = || {
            let [generator, pcg64] = CLASSES.get_or_try_init(py, || {
                let random = py.import("numpy.random")?;
                PyResult::Ok([random.getattr("Generator")?.unbind(), random.getattr("PCG64")?.unbind()])
            })?;
            let real = self.real.bind(py);
            if !real.get_type().is(generator) {
                return Ok(None);
            }
            let bits = real.getattr("bit_generator")?;
            if !bits.get_type().is(pcg64) {
                return Ok(None);
            }
            let lock = bits.getattr("lock")?;
            let (acquire, release) = (lock.getattr("acquire")?.unbind(), lock.getattr("release")?.unbind());
            Ok(Some(Words { bits: capi::bits::Bits::of(&bits)?, acquire, release }))
        };
        self.words.get_or_try_init(py, find).map(Option::as_ref)
    }

    /// Calls `draw` with a function that gives the generator's next raw number; `None` where those are another kind's, or somebody else
    /// draws.
    pub fn draw<T>(
        &self,
        py: Python,
        draw: impl FnOnce(&mut dyn FnMut() -> u64) -> PyResult<T>,
    ) -> PyResult<Option<T>> {
        let Some(words) = self.words(py)? else { return Ok(None) };
        if !words.acquire.bind(py).call1((false,))?.is_truthy()? {
            return Ok(None);
        }
        let drawn = words.bits.draw(py, draw);
        words.release.bind(py).call0()?;
        drawn.map(Some)
    }
}

#[pymethods]
impl Source {
    /// Around a new one of the class `_class`.
    #[new]
    #[classmethod]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(class: &Bound<PyType>, args: &Bound<PyTuple>, kwargs: Option<&Bound<PyDict>>) -> PyResult<Source> {
        let py = class.py();
        let real = class.getattr(intern!(py, "_class"))?.call(args, kwargs)?;
        Ok(Source { real: real.unbind(), words: PyOnceLock::new() })
    }

    #[getter]
    fn _real(&self, py: Python) -> Py<PyAny> {
        self.real.clone_ref(py)
    }
}

/// Where the contents lie in an object, behind Python's header.
const CONTENTS: usize = size_of::<ffi::PyObject>();

/// An object of a class that derives from `Source` around what is there already.
#[pyfunction]
pub fn around<'py>(class: &Bound<'py, PyType>, real: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = class.py();
    let base = Source::type_object(py);
    if !class.is_subclass(&base)? {
        return Err(PyTypeError::new_err("a class that stands for one of NumPy's"));
    }
    static CHECKED: PyOnceLock<()> = PyOnceLock::new();
    CHECKED.get_or_try_init(py, || slots::check_size(&base, CONTENTS + size_of::<Source>()))?;
    // SAFETY: fresh, zeroed memory for an object of the class, which begins as those of its base do; the base's deallocation drops
    // the contents.
    unsafe {
        let object = ffi::PyType_GenericAlloc(class.as_type_ptr(), 0);
        let made = Bound::from_owned_ptr_or_err(py, object)?;
        object.byte_add(CONTENTS).cast::<Source>().write(Source { real: real.unbind(), words: PyOnceLock::new() });
        Ok(made)
    }
}

/// A class of such objects, under NumPy's name for it.
#[pyfunction]
pub fn source_class<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyType>> {
    /// `Py_TPFLAGS_BASETYPE`
    const MAY_BE_DERIVED_FROM: u32 = 1 << 10;
    let base = Source::type_object(py);
    let size = CONTENTS + size_of::<Source>();
    slots::check_size(&base, size)?;
    let name = match name {
        "Generator" => c"numpy.random._generator.Generator",
        "RandomState" => c"numpy.random.mtrand.RandomState",
        other => return Err(PyTypeError::new_err(format!("no generators are called {other}"))),
    };
    slots::class_with(&base, name, size, MAY_BE_DERIVED_FROM, &[], Vec::new())
}

/// What stands for a generator of NumPy's.
#[inline]
pub fn source<'a>(object: &'a Bound<PyAny>) -> Option<&'a Source> {
    object.cast::<Source>().ok().map(|source| source.get())
}

/// The generator of NumPy's for which an object stands.
#[inline]
pub fn real<'a>(object: &'a Bound<PyAny>) -> Option<&'a Py<PyAny>> {
    source(object).map(|source| &source.real)
}
