//! What the rounds of a loop depend on: names in its frames, the stack, and the globals and cells that their code reads.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};

use super::code::Place;
use super::frame::Layout;
use super::gather::{Gathered, Types};

/// What the rounds of a loop depend on beside the names in its frames.
#[derive(Default)]
pub(super) struct Reach {
    pub(super) globals: Vec<(Py<PyDict>, Py<PyString>)>,
    pub(super) cells: Vec<Py<PyAny>>,
}

impl Reach {
    /// Asks `_loops.reach`.
    pub(super) fn find(
        py: Python<'_>,
        find: &Py<PyAny>,
        frames: Vec<(Bound<'_, PyAny>, Vec<Py<PyString>>)>,
        things: Vec<&Py<PyAny>>,
    ) -> PyResult<Option<Reach>> {
        type Found = Option<(Vec<(Py<PyDict>, Py<PyString>)>, Vec<Py<PyAny>>)>;
        let found: Found = find.bind(py).call1((frames, things))?.extract()?;
        Ok(found.map(|(globals, cells)| Reach { globals, cells }))
    }

    /// Adds what is there now.
    pub(super) fn add_to(&self, py: Python<'_>, all: &mut Gathered, types: &Types) -> Option<()> {
        self.add_others_to(py, all, types, |_| false)
    }

    /// The same, but for global names that are left out.
    pub(super) fn add_others_to(
        &self,
        py: Python<'_>,
        all: &mut Gathered,
        types: &Types,
        left_out: impl Fn(&Py<PyString>) -> bool,
    ) -> Option<()> {
        for (globals, name) in self.globals.iter().filter(|(_, name)| !left_out(name)) {
            all.add_global(types, globals.bind(py), name.bind(py))?;
        }
        for cell in &self.cells {
            all.add_cell(py, types, cell.bind(py))?;
        }
        Some(())
    }
}

/// What the loops of a process share.
pub struct Tools {
    pub layout: Layout,
    pub types: Types,
    pub reach: Py<PyAny>,
}

/// What runs of the code of the frame that has the loop.
#[derive(Clone, Copy)]
pub(super) struct Own<'a> {
    /// Local names that are read, by their places, and the others.
    pub(super) reads: &'a [usize],
    pub(super) names: &'a [Py<PyString>],
    /// References on the stack that are not the round's.
    pub(super) stack: usize,
}

impl Tools {
    /// Asks `_loops.reach` what rounds depend on that run through these frames, the last of which has the loop.
    pub(super) fn reach_of(&self, py: Python<'_>, places: &[Place<'_>], own: Own<'_>) -> PyResult<Option<Reach>> {
        let Some(now) = self.gather(py, places, own, &Reach::default()) else { return Ok(None) };
        let mut frames = Vec::new();
        for (n, place) in places.iter().enumerate() {
            let names = if n + 1 == places.len() { own.names } else { &place.code.whole.names };
            let names: Vec<_> = names.iter().map(|n| n.clone_ref(py)).collect();
            frames.push((place.frame.getattr(intern!(py, "f_globals"))?, names));
        }
        Reach::find(py, &self.reach, frames, now.things().collect())
    }

    /// What a round depends on, as it is now; `None` where something is of a kind that may have other effects.
    pub(super) fn gather(&self, py: Python<'_>, places: &[Place<'_>], own: Own<'_>, reach: &Reach) -> Option<Gathered> {
        let mut all = Gathered::default();
        for (n, place) in places.iter().enumerate() {
            let whole = &place.code.whole.reads;
            let (reads, stack) = if n + 1 == places.len() { (own.reads, own.stack) } else { (&whole[..], 0) };
            let line = &place.code.lines[place.line];
            for slot in reads.iter().copied().chain((stack..line.depth).map(|k| place.code.slots + k)) {
                // SAFETY: a name of the code, or on the stack while this instruction runs.
                let slot = unsafe { self.layout.slot(&place.frame, slot) };
                all.add_slot(py, &self.types, slot)?;
            }
        }
        reach.add_to(py, &mut all, &self.types)?;
        Some(all)
    }
}
