//! `a.flat`: the elements of an array one after the other, as an iterator that can be indexed.
//!
//! Elements and slices of what lies in C order, numbers written there and the iteration are done here; all else is NumPy's own
//! iterator over our memory.

use std::ffi::CStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use legate_jit_runtime::Array;
use pyo3::basic::CompareOp;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyEllipsis, PyInt, PySlice, PyTuple, PyType};
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};
use smallvec::SmallVec;

use crate::error::{attempt, direct};
use crate::lean::{self, Item, Lean, Next, Own};
use crate::value::{self, Value};
use crate::{adopt, convert, fallback, index, slots};

#[pyclass(frozen, subclass, name = "flatiter", module = "legate_jit.numpy")]
pub struct Flat {
    array: Own,
    /// The array in one axis, where that is a view.
    line: Option<Own>,
    next: AtomicUsize,
}

impl Lean for Flat {
    const CALLED: &'static CStr = c"legate_jit.numpy.flatiter";
    const ITEM: Option<Item<Flat>> = Some(|flat, key| flat.__getitem__(key.py(), key));
    const NEXT: Option<Next<Flat>> = Some(Flat::following);

    fn class() -> &'static PyOnceLock<Py<PyType>> {
        static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        &CLASS
    }
}

/// `a.flat` of an array of ours.
pub fn new(py: Python<'_>, a: &Bound<PyAny>, array: &Array) -> PyResult<Py<PyAny>> {
    lean::object(py, made(py, a, array)?)
}

fn made(py: Python<'_>, a: &Bound<PyAny>, array: &Array) -> PyResult<Flat> {
    let line = match array.ndim() {
        1 => Some(Own::new(a.clone())),
        _ if array.c_contiguous() => {
            Some(Own::new(value::new_array(py, direct(py, || array.ravel())?)?.into_bound(py)))
        }
        _ => None,
    };
    Ok(Flat { array: Own::new(a.clone()), line, next: AtomicUsize::new(0) })
}

/// `a.flat = new`; false where that is no number.
pub fn set_all(a: &Bound<PyAny>, array: &Value, new: &Bound<PyAny>) -> PyResult<bool> {
    if convert::quick(new).is_none() || value::value(new).is_some() {
        return Ok(false);
    }
    index::set(a, array, &PyEllipsis::get(a.py()).to_owned().into_any(), new)?;
    Ok(true)
}

impl Flat {
    /// Of an array of ours.
    pub fn over(py: Python<'_>, a: &Bound<PyAny>) -> PyResult<Flat> {
        made(py, a, value::value(a).expect("an array of ours").get())
    }

    /// The next element.
    #[inline]
    pub fn following(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let at = self.next.load(Ordering::Relaxed);
        if at >= self.array(py).size() {
            return Ok(None);
        }
        self.next.store(at + 1, Ordering::Relaxed);
        self.element(py, at).map(Some)
    }

    pub fn array<'a>(&'a self, py: Python<'a>) -> &'a Array {
        value::value(self.array.bind(py)).expect("an array of ours").get()
    }

    /// NumPy's iterator over the same elements.
    fn real<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        adopt::host(self.array.bind(py).cast::<Value>()?)?.getattr(intern!(py, "flat"))
    }

    fn place(&self, key: &Bound<PyAny>, size: usize) -> Option<usize> {
        if !key.is_exact_instance_of::<PyInt>() {
            return None;
        }
        let i: i64 = key.extract().ok()?;
        let at = if i < 0 { i + size as i64 } else { i };
        (0..size as i64).contains(&at).then_some(at as usize)
    }

    fn element(&self, py: Python<'_>, at: usize) -> PyResult<Py<PyAny>> {
        match &self.line {
            Some(line) => slots::row(py, line.bind(py), at),
            None => index::element(py, self.array(py), &coordinates(self.array(py), at)),
        }
    }
}

/// The indices of an element by its number in C order.
pub fn coordinates(array: &Array, mut at: usize) -> SmallVec<[i64; 4]> {
    let mut all: SmallVec<[i64; 4]> = SmallVec::from_elem(0, array.ndim());
    for (i, &n) in all.iter_mut().zip(array.shape()).rev() {
        *i = (at % n.max(1)) as i64;
        at /= n.max(1);
    }
    all
}

#[pymethods]
impl Flat {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Flat::NEXT.map_or(Ok(None), |next| next(self, py))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.array(py).size()
    }

    fn __getitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        let array = self.array(py);
        if let Some(at) = self.place(key, array.size()) {
            return self.element(py, at);
        }
        if let (Some(line), true) = (&self.line, key.is_exact_instance_of::<PySlice>()) {
            // (What NumPy gives is a copy.)
            let part = line.bind(py).get_item(key)?;
            let part = value::value(&part).expect("a slice of an array of ours").get();
            return value::new_array(py, direct(py, || part.copy(true))?);
        }
        fallback::wrap(&self.real(py)?.get_item(key)?)
    }

    fn __setitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>, new: &Bound<'_, PyAny>) -> PyResult<()> {
        if let (Some(line), true) = (&self.line, convert::quick(new).is_some() && value::value(new).is_none()) {
            let line = line.bind(py);
            let array = value::value(line).expect("an array of ours");
            if self.place(key, array.get().size()).is_some() || key.is_exact_instance_of::<PySlice>() {
                return index::set(line, array, key, new);
            }
        }
        let new = if value::value(new).is_some() { adopt::host(new.cast::<Value>()?)? } else { new.clone() };
        self.real(py)?.set_item(key, new)
    }

    fn __richcmp__(&self, py: Python<'_>, other: &Bound<'_, PyAny>, op: CompareOp) -> PyResult<Py<PyAny>> {
        let all = self.copy(py)?;
        let other = match other.cast::<Flat>() {
            Ok(flat) => flat.get().copy(py)?.into_bound(py),
            Err(_) => other.clone(),
        };
        Ok(all.bind(py).rich_compare(other, op)?.unbind())
    }

    #[getter]
    fn base(&self, py: Python<'_>) -> Py<PyAny> {
        self.array.clone_ref(py)
    }

    #[getter]
    pub fn index(&self) -> usize {
        self.next.load(Ordering::Relaxed)
    }

    #[getter]
    fn coords<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let array = self.array(py);
        // (Behind the last element, the first axis goes on.)
        let mut at = coordinates(array, self.index());
        if self.index() >= array.size()
            && let Some(first) = at.first_mut()
        {
            *first = array.shape()[0] as i64;
        }
        PyTuple::new(py, at)
    }

    /// The elements as an array of one axis.
    fn copy(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let array = self.array(py);
        let copy = attempt(py, || array.ravel()?.copy(true))?;
        match copy {
            Some(copy) => value::new_array(py, copy),
            None => fallback::wrap(&self.real(py)?.call_method0(intern!(py, "copy"))?),
        }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __array__<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, pyo3::types::PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let all = self.copy(py)?;
        adopt::host(all.bind(py).cast::<Value>()?)?.call_method("__array__", args, kwargs)
    }
}
