//! The arguments of quick calls, as Python hands them over, and the plain kinds of them.
//!
//! A boundary file, as `quick.rs`.

use std::marker::PhantomData;

use legate_jit_runtime::Array;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyTuple};
use pyo3::{Borrowed, ffi};
use smallvec::SmallVec;

use crate::slots::{Object, seen};
use crate::value;

/// The arguments of a call: those by position, then those by name.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    first: *const Object,
    positional: usize,
    /// A tuple of the names, or null.
    names: Object,
    alive: PhantomData<&'a ()>,
}

impl<'a> Args<'a> {
    /// # Safety
    /// As Python gives them to a function with the flags FASTCALL and KEYWORDS, for as long as the call lasts.
    pub unsafe fn new(first: *const Object, positional: usize, names: Object) -> Args<'a> {
        Args { first, positional, names, alive: PhantomData }
    }

    /// Without the first n by position.
    #[inline(always)]
    pub(super) fn behind(self, n: usize) -> Args<'a> {
        assert!(n <= self.positional);
        // SAFETY: that many are there.
        Args { first: unsafe { self.first.add(n) }, positional: self.positional - n, ..self }
    }

    /// The first alone.
    #[inline(always)]
    pub(super) fn only_first(self) -> Args<'a> {
        assert!(self.positional > 0);
        Args { positional: 1, names: std::ptr::null_mut(), ..self }
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.positional
    }

    #[inline(always)]
    pub fn has_names(&self) -> bool {
        !self.names.is_null()
    }

    /// The n-th argument, those by name included.
    #[inline(always)]
    pub fn get<'py>(&self, py: Python<'py>, n: usize) -> Borrowed<'a, 'py, PyAny> {
        // SAFETY: callers stay below the number of arguments; the objects live as long as the call.
        unsafe { seen(py, *self.first.add(n)) }
    }

    /// The only argument by name, with its name; `None` if there are others.
    #[inline(always)]
    pub fn single_name<'py>(&self, py: Python<'py>) -> Option<(Borrowed<'a, 'py, PyAny>, Borrowed<'a, 'py, PyAny>)> {
        // SAFETY: the names are a tuple; there are as many arguments behind those by position.
        unsafe {
            if ffi::PyTuple_Size(self.names) != 1 {
                return None;
            }
            Some((seen(py, ffi::PyTuple_GetItem(self.names, 0)), self.get(py, self.positional)))
        }
    }

    /// The names of the arguments behind those by position.
    pub fn name_tuple<'py>(&self, py: Python<'py>) -> Option<Borrowed<'a, 'py, PyTuple>> {
        // SAFETY: the names are a tuple, or null; it lives as long as the call.
        self.has_names().then(|| unsafe { seen(py, self.names).cast_unchecked() })
    }

    /// The arguments by name, with their names; there are some.
    #[inline(always)]
    pub fn names<'py>(
        self,
        py: Python<'py>,
    ) -> impl Iterator<Item = (Borrowed<'a, 'py, PyAny>, Borrowed<'a, 'py, PyAny>)> {
        // SAFETY: the names are a tuple; there are as many arguments behind those by position.
        let count = unsafe { ffi::PyTuple_Size(self.names) } as usize;
        (0..count).map(move |i| unsafe {
            (seen(py, ffi::PyTuple_GetItem(self.names, i as isize)), self.get(py, self.positional + i))
        })
    }

    /// A tuple and a dict, for the general function.
    pub fn general<'py>(
        &self,
        py: Python<'py>,
        before: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)> {
        let mut all: Vec<Bound<PyAny>> = before.into_iter().cloned().collect();
        all.extend((0..self.positional).map(|i| self.get(py, i).to_owned()));
        let mut named = None;
        if self.has_names() {
            let dict = PyDict::new(py);
            // SAFETY: a tuple of names, see `single_name`.
            let names = unsafe { seen(py, self.names) };
            for (i, name) in names.cast::<PyTuple>()?.iter().enumerate() {
                dict.set_item(name, self.get(py, self.positional + i))?;
            }
            named = Some(dict);
        }
        Ok((PyTuple::new(py, all)?, named))
    }
}

pub(super) type Done = PyResult<Option<Py<PyAny>>>;

pub(super) const NOT_PLAIN: Done = Ok(None);

/// Exact integers: the arguments themselves, or the one tuple among them.
#[inline]
pub(super) fn ints(py: Python, args: Args) -> Option<SmallVec<[i64; 4]>> {
    let mut all = SmallVec::new();
    if args.len() == 1
        && let Ok(tuple) = args.get(py, 0).cast_exact::<PyTuple>()
    {
        for item in tuple.iter_borrowed() {
            all.push(int(&item)?);
        }
        return Some(all);
    }
    for i in 0..args.len() {
        all.push(int(&args.get(py, i))?);
    }
    Some(all)
}

#[inline]
pub fn int(x: &Bound<PyAny>) -> Option<i64> {
    if !x.is_exact_instance_of::<PyInt>() {
        return None;
    }
    let mut overflow = 0;
    // SAFETY: an exact int; errors cannot occur for one.
    let v = unsafe { ffi::PyLong_AsLongLongAndOverflow(x.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(v)
}

/// The array inside an object whose class is `ndarray`.
#[inline(always)]
pub(super) fn array_of<'a>(a: &'a Bound<PyAny>) -> Option<&'a Array> {
    if value::is_array(a) { value::value(a).map(|v| v.get()) } else { None }
}

/// The function that is a method of its first argument, an array.
#[inline]
pub(super) fn as_method(py: Python, args: Args, method: fn(Python, &Bound<PyAny>, Args) -> Done) -> Done {
    if args.len() == 0 || args.has_names() || array_of(&args.get(py, 0)).is_none() {
        return NOT_PLAIN;
    }
    let rest = args.behind(1);
    method(py, &args.get(py, 0), rest)
}
