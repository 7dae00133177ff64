//! Loops that do nothing but another loop whose rounds do the same at other places:
//! `for i in range(n): for j in range(m): out[i, j] = f(a[i : i + 3, j : j + 3])`.
//!
//! Each round is a *row* of rounds. `_places.py` knows that between the rows there are only numbers, and that all that moves does so
//! evenly with both variables. The inner loop is taken in each row that Python does, and leaves here what was learned of it.
//!
//! A boundary file: it reads references in frames.

use legate_jit_runtime::round::places::Places;
use legate_jit_runtime::round::places::rows::{Row, Watch};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{Bound, Py, PyAny, Python, intern};

use super::even::{Fate, Names};
use super::frame::Layout;
use super::gather::{Atom, Gathered, Types};

/// A name that the head of the inner loop reads: its place if it is a local one, and whether it may be an array.
type Size = (Option<usize>, Py<PyString>, bool);

pub(super) type RawOuter = (u32, usize, Names, Vec<Size>, Vec<Py<PyString>>, Names);

pub(super) struct Outer {
    pub(super) start: u32,
    /// Of the iterator in the frame.
    pub(super) place: usize,
    /// What moves from row to row: numbers that a round of the inner loop reads.
    changing: Names,
    sizes: Vec<Size>,
    /// Functions of Python's own, under names that nobody else may have bound.
    functions: Vec<Py<PyString>>,
    /// What must be arrays.
    pub(super) arrays: Names,
    pub(super) fate: Fate,
}

impl Outer {
    pub(super) fn new((start, place, changing, sizes, functions, arrays): RawOuter, slots: usize) -> Outer {
        Outer { start, place: slots + place, changing, sizes, functions, arrays, fate: Fate::default() }
    }

    pub(super) fn changes_slot(&self, slot: usize) -> bool {
        self.changing.0.contains(&slot)
    }

    pub(super) fn changes_globals(&self) -> bool {
        !self.changing.1.is_empty()
    }

    pub(super) fn changes(&self, py: Python<'_>, name: &Py<PyString>) -> bool {
        self.changing.1.iter().any(|n| n.is(name) || n.bind(py).as_any().eq(name.bind(py)).unwrap_or(false))
    }

    /// Adds what the head of the inner loop depends on. Arrays are only noted as such: their names keep them.
    pub(super) fn add_to(
        &self,
        frame: &Bound<'_, PyAny>,
        layout: Layout,
        all: &mut Gathered,
        types: &Types,
    ) -> Option<()> {
        let py = frame.py();
        let globals = frame.getattr(intern!(py, "f_globals")).ok()?.cast_into::<PyDict>().ok()?;
        let mut own = Gathered::default();
        for (slot, name, may_be_array) in &self.sizes {
            let before = own.atoms.len();
            match slot {
                // SAFETY: a name of the code.
                Some(slot) => own.add_slot(py, types, unsafe { layout.slot(frame, *slot) })?,
                None => own.add_global(types, &globals, name.bind(py))?,
            }
            let fits = match own.atoms.get(before)? {
                Atom::Array => *may_be_array,
                Atom::Number(_) | Atom::Tuple(_) => true,
                _ => false,
            };
            if !fits {
                return None;
            }
        }
        for name in &self.functions {
            if globals.contains(name.bind(py)).ok()? {
                return None;
            }
        }
        all.atoms.append(&mut own.atoms);
        Some(())
    }
}

/// An inner loop that has come to its end.
pub(super) struct Finished {
    frame: usize,
    places: Places,
    /// The number of the round that was watched first, and of all rounds.
    first: usize,
    all: usize,
}

impl Finished {
    pub(super) fn new(frame: &Bound<'_, PyAny>, places: Places, first: usize, all: usize) -> Finished {
        Finished { frame: frame.as_ptr() as usize, places, first, all }
    }

    pub(super) fn is_of(&self, frame: &Bound<'_, PyAny>) -> bool {
        self.frame == frame.as_ptr() as usize
    }

    /// The row, if all that was done was its own.
    pub(super) fn seen(self, watch: &Watch) -> Option<Row> {
        Row::of(self.places, self.first, self.all, watch)
    }
}
