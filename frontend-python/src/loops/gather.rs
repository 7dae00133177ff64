//! What the names of a loop and the interpreter's stack hold, in a form that can be compared.
//!
//! A boundary file: objects are named by their addresses, without references of their own, because how many references there
//! are is looked at. They live as long as the frames and dictionaries that they were found in stand still, which they do while
//! the interpreter lock is held and no Python code runs.

use legate_jit_runtime::Array;
use legate_jit_runtime::round::Round;
use pyo3::ffi::{self, PyObject};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};

use crate::value;

/// One thing that a name holds, or a part of one.
pub enum Atom {
    Empty,
    /// The next one of the arrays.
    Array,
    Float(u64),
    /// What never changes, compared by value.
    Number(Py<PyAny>),
    /// A function, a module, a type, None: the same object.
    Thing(Py<PyAny>),
    /// So many atoms follow.
    Tuple(usize),
    /// Three atoms follow.
    Slice,
    /// An iterator over a range, by what it has left.
    Iterator(Py<PyAny>),
}

struct Held {
    object: *mut PyObject,
    /// Whether the place keeps the object alive, and nothing shares the place.
    counted: bool,
}

#[derive(Default)]
pub struct Gathered {
    pub atoms: Vec<Atom>,
    held: Vec<Held>,
}

/// Python's types, compared by their addresses.
pub struct Types {
    things: Vec<Py<PyAny>>,
    descriptor: Py<PyAny>,
    generic: Py<PyAny>,
    range: Py<PyAny>,
    range_iterator: Py<PyAny>,
    module: Py<PyAny>,
    cell: Py<PyAny>,
}

impl Types {
    pub fn new(py: Python<'_>) -> PyResult<Types> {
        let (types, numpy) = (py.import("types")?, py.import("numpy")?);
        let range = py.import("builtins")?.getattr("range")?;
        let thing = |name: &str| types.getattr(name).map(Bound::unbind);
        let iterator = range.call1((1,))?.try_iter()?.into_any();
        Ok(Types {
            things: vec![
                thing("FunctionType")?,
                thing("BuiltinFunctionType")?,
                thing("MethodDescriptorType")?,
                crate::slots::ufunc_class(py)?.clone_ref(py).into_any(),
                py.import("builtins")?.getattr("type")?.unbind(),
            ],
            descriptor: numpy.getattr("dtype")?.unbind(),
            generic: numpy.getattr("generic")?.unbind(),
            range: range.unbind(),
            range_iterator: iterator.get_type().into_any().unbind(),
            module: thing("ModuleType")?,
            cell: thing("CellType")?,
        })
    }

    pub fn is_range_iterator(&self, object: &Bound<'_, PyAny>) -> bool {
        object.get_type().is(&self.range_iterator)
    }

    /// Functions, modules and types, for the same object is the same thing.
    fn is_thing(&self, object: &Bound<'_, PyAny>) -> bool {
        let class = object.get_type();
        object.is_none()
            || self.things.iter().any(|t| class.is(t))
            || object.is_instance(self.module.bind(object.py())).unwrap_or(false)
            || object.is_instance(self.descriptor.bind(object.py())).unwrap_or(false)
    }

    /// Numbers and texts of Python's and NumPy's own, which never change.
    fn is_number(&self, object: &Bound<'_, PyAny>) -> bool {
        let p = object.as_ptr();
        // SAFETY: a live object; only its type is looked at.
        let python = unsafe {
            ffi::PyLong_CheckExact(p) != 0
                || ffi::PyBool_Check(p) != 0
                || ffi::PyUnicode_CheckExact(p) != 0
                || ffi::PyComplex_CheckExact(p) != 0
                || ffi::PyBytes_CheckExact(p) != 0
                || p == ffi::Py_Ellipsis()
        };
        python
            || object.get_type().is(&self.range)
            || !value::is_scalar(object) && object.is_instance(self.generic.bind(object.py())).unwrap_or(false)
    }
}

impl Gathered {
    /// What lies in a place of a frame.
    pub fn add_slot(&mut self, py: Python<'_>, types: &Types, object: *mut PyObject) -> Option<()> {
        if object.is_null() {
            self.atoms.push(Atom::Empty);
            return Some(());
        }
        // SAFETY: a reference in a frame that runs.
        let object = unsafe { Borrowed::from_ptr(py, object) };
        if object.get_type().is(&types.cell) {
            self.add_cell(py, types, &object)
        } else {
            self.add(types, &object, true)
        }
    }

    pub fn add_global(&mut self, types: &Types, globals: &Bound<'_, PyDict>, name: &Bound<'_, PyString>) -> Option<()> {
        match globals.get_item(name).ok()? {
            Some(object) => {
                let object = object.into_ptr();
                // SAFETY: the dictionary keeps the object; our own reference goes, so that only those of the program count.
                let object = unsafe {
                    ffi::Py_DECREF(object);
                    Borrowed::from_ptr(globals.py(), object)
                };
                self.add(types, &object, true)
            }
            // One of Python's own names, as long as nobody binds it.
            None => {
                self.atoms.push(Atom::Empty);
                Some(())
            }
        }
    }

    pub fn add_cell(&mut self, py: Python<'_>, types: &Types, cell: &Bound<'_, PyAny>) -> Option<()> {
        // SAFETY: a cell, whose contents it keeps; our own reference goes at once.
        let contents = unsafe {
            let contents = ffi::PyObject_GetAttr(cell.as_ptr(), intern!(py, "cell_contents").as_ptr());
            if contents.is_null() {
                ffi::PyErr_Clear();
                self.atoms.push(Atom::Empty);
                return Some(());
            }
            ffi::Py_DECREF(contents);
            Borrowed::from_ptr(py, contents)
        };
        self.add(types, &contents, false)
    }

    fn add(&mut self, types: &Types, object: &Bound<'_, PyAny>, counted: bool) -> Option<()> {
        let py = object.py();
        if let Some(value) = value::value(object) {
            value.array()?;
            self.atoms.push(Atom::Array);
            self.held.push(Held { object: object.as_ptr(), counted });
            return Some(());
        }
        let p = object.as_ptr();
        // SAFETY: a live object of the type that is asked for.
        unsafe {
            if ffi::PyFloat_CheckExact(p) != 0 {
                self.atoms.push(Atom::Float(ffi::PyFloat_AsDouble(p).to_bits()));
                return Some(());
            }
        }
        if types.is_number(object) {
            self.atoms.push(Atom::Number(object.clone().unbind()));
        } else if types.is_thing(object) {
            self.atoms.push(Atom::Thing(object.clone().unbind()));
        } else if types.is_range_iterator(object) {
            self.atoms.push(Atom::Iterator(object.call_method0(intern!(py, "__reduce__")).ok()?.unbind()));
        } else if let Ok(tuple) = object.cast_exact::<PyTuple>() {
            self.atoms.push(Atom::Tuple(tuple.len()));
            for item in tuple.iter() {
                // (Who else has the tuple has what is in it.)
                self.add(types, &item, false)?;
            }
        } else if object.get_type().is(py.get_type::<pyo3::types::PySlice>()) {
            self.atoms.push(Atom::Slice);
            for part in [intern!(py, "start"), intern!(py, "stop"), intern!(py, "step")] {
                self.add(types, &object.getattr(part).ok()?, false)?;
            }
        } else {
            return None;
        }
        Some(())
    }

    /// Whether functions, modules and types are those that were found another time.
    pub fn has_things(&self, things: &[Py<PyAny>]) -> bool {
        let mut now = self.things();
        things.iter().all(|thing| now.next().is_some_and(|n| n.is(thing))) && now.next().is_none()
    }

    /// The arrays, in order. Not to be kept over a call that may run Python code.
    pub fn arrays(&self) -> Vec<&Array> {
        // SAFETY: objects of ours, alive as the head of the file says.
        let array = |held: &Held| unsafe { crate::slots::contents(held.object) }.get();
        self.held.iter().map(array).collect()
    }

    /// Whether the arrays are the same objects.
    pub fn same_arrays(&self, other: &Gathered) -> bool {
        self.held.len() == other.held.len() && self.held.iter().zip(&other.held).all(|(a, b)| a.object == b.object)
    }

    /// References of their own to the arrays, so that they outlive whatever runs.
    pub fn keep(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        // SAFETY: alive as the head of the file says.
        self.held.iter().map(|held| unsafe { Bound::from_borrowed_ptr(py, held.object) }.unbind()).collect()
    }

    /// Functions, modules and types among what was found.
    pub fn things(&self) -> impl Iterator<Item = &Py<PyAny>> {
        self.atoms.iter().filter_map(|atom| if let Atom::Thing(thing) = atom { Some(thing) } else { None })
    }

    /// Whether nobody but the names and the stack that were looked at holds what the rounds replace.
    pub fn may_replace(&self, round: &Round) -> bool {
        let arrays = self.arrays();
        let mut replaced = (0..arrays.len()).filter(|&n| round.replaces(n));
        replaced.all(|n| {
            let same = |k: &usize| arrays[*k].same_base(arrays[n]);
            let mut objects: Vec<*mut PyObject> = (0..arrays.len()).filter(same).map(|k| self.held[k].object).collect();
            objects.sort_unstable();
            objects.dedup();
            let known = |object: &*mut PyObject| {
                let here = self.held.iter().filter(|held| held.object == *object);
                let counted = here.filter(|held| held.counted).count() as isize;
                // SAFETY: alive as the head of the file says.
                counted == unsafe { ffi::Py_REFCNT(*object) }
            };
            arrays[n].handles() == objects.len() && objects.iter().all(known)
        })
    }
}

/// Whether an array of ours lies in a place of a frame.
pub fn is_array(py: Python<'_>, types: &Types, object: *mut PyObject) -> bool {
    let mut found = Gathered::default();
    found.add_slot(py, types, object).is_some() && matches!(found.atoms[..], [Atom::Array])
}

/// Whether the same was found twice, arrays aside.
pub fn alike(py: Python<'_>, one: &[Atom], other: &[Atom]) -> bool {
    let same = |(a, b): (&Atom, &Atom)| match (a, b) {
        (Atom::Empty, Atom::Empty) | (Atom::Array, Atom::Array) | (Atom::Slice, Atom::Slice) => true,
        (Atom::Float(a), Atom::Float(b)) => a == b,
        (Atom::Tuple(a), Atom::Tuple(b)) => a == b,
        (Atom::Thing(a), Atom::Thing(b)) => a.is(b),
        (Atom::Number(a), Atom::Number(b)) => {
            let (a, b) = (a.bind(py), b.bind(py));
            a.is(b) || a.get_type().is(b.get_type()) && a.eq(b).unwrap_or(false)
        }
        (Atom::Iterator(a), Atom::Iterator(b)) => a.bind(py).eq(b.bind(py)).unwrap_or(false),
        _ => false,
    };
    one.len() == other.len() && one.iter().zip(other).all(same)
}
