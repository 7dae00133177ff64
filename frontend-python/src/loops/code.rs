//! What is known of code: its loops, its operators and calls, and what of it can be repeated (`_loops.analyse`).

use std::sync::{Arc, OnceLock};

use pyo3::prelude::*;
use pyo3::types::PyString;
use pyo3::{Bound, Py, PyAny, PyResult, intern};

use super::even::Even;

/// What can be repeated of a code object: see `_loops.analyse`.
pub(super) struct Body {
    pub(super) ok: bool,
    pub(super) reads: Vec<usize>,
    pub(super) names: Vec<Py<PyString>>,
}

pub(super) struct Line {
    pub(super) at: u32,
    pub(super) depth: usize,
    pub(super) operator: bool,
    pub(super) call: bool,
}

pub(super) struct Loop {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Of the iterator on the stack.
    pub(super) place: usize,
    pub(super) body: Body,
    pub(super) unread: bool,
}

pub(super) struct Code {
    /// Kept, so that its address stays its own.
    pub(super) object: Py<PyAny>,
    pub(super) slots: usize,
    pub(super) optimized: bool,
    pub(super) library: bool,
    pub(super) lines: Vec<Line>,
    pub(super) whole: Body,
    pub(super) loops: Vec<Loop>,
    /// Those whose rounds do the same at other places, once somebody asked for them.
    pub(super) evens: OnceLock<Vec<Arc<Even>>>,
}

/// A frame that runs, and where it is.
pub(super) struct Place<'py> {
    pub(super) frame: Bound<'py, PyAny>,
    pub(super) code: Arc<Code>,
    pub(super) line: usize,
}

type RawBody = (bool, Vec<usize>, Vec<Py<PyString>>);
type RawLoop = (u32, u32, usize, RawBody, bool);
pub(super) type RawCode = (usize, bool, bool, Vec<(u32, i64, bool, bool)>, RawBody, Vec<RawLoop>);

impl Code {
    pub(super) fn address(&self) -> usize {
        self.object.as_ptr() as usize
    }

    pub(super) fn new(object: Py<PyAny>, raw: RawCode) -> Code {
        let body = |(ok, reads, names): RawBody| Body { ok, reads, names };
        let (slots, optimized, library, lines, whole, loops) = raw;
        let line = |(at, depth, operator, call): (u32, i64, bool, bool)| Line {
            at,
            depth: depth.max(0) as usize,
            operator,
            call,
        };
        let of_loop = |(start, end, place, raw, unread): RawLoop| Loop { start, end, place, body: body(raw), unread };
        Code {
            object,
            slots,
            optimized,
            library,
            lines: lines.into_iter().map(line).collect(),
            whole: body(whole),
            loops: loops.into_iter().map(of_loop).collect(),
            evens: OnceLock::new(),
        }
    }
}

/// Address of a frame's code, and where in it the frame is.
pub fn key(frame: &Bound<'_, PyAny>) -> PyResult<(usize, u32)> {
    let py = frame.py();
    let code = frame.getattr(intern!(py, "f_code"))?;
    let at: i64 = frame.getattr(intern!(py, "f_lasti"))?.extract()?;
    Ok((code.as_ptr() as usize, u32::try_from(at).unwrap_or(0)))
}
