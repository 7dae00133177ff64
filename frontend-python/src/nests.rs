//! Loops over single elements and short rows, taken from Python and run by the runtime (`runtime/src/nest.rs`).
//!
//! Now and then an access to an element asks in which loops it stands. `_nests` translates the outermost of them that it can; then
//! the loop's iterator, which lies on the interpreter's stack, is replaced by one of ours ([`Rounds`]). When Python asks that for
//! the next number, it stands between two rounds: everything that the loop knows is in its variables. So this is where rounds are
//! done: from the variables and back to them, as many as there are but one, which is Python's and leaves every name as it should be.
//! A `while` loop has no iterator: the access itself is where its rounds are done ([`entry`]).
//!
//! A boundary file: it replaces references in frames.

mod entry;
mod numbers;
mod plan;
mod rounds;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use legate_jit_runtime::nest::share_short_rounds;
use legate_jit_runtime::{dump, prepare};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};

use crate::adopt::references;
use crate::looks;
use crate::loops::{self, frame};
use crate::settings;
use crate::slots::Object;
use entry::{Entry, Follow};
use numbers::as_seen;
use plan::{Place, Plan, RawPlan};
pub use rounds::Rounds;

/// Accesses to elements before the first look, and the least and the most between two that find nothing.
const FIRST: u32 = 512;
const PAUSE: (u32, u32) = (8, 1 << 14);
/// From one that finds a loop to the next, where that has others in it, for the rounds that are left to Python, and where not: what has a
/// loop is often called again. Every look that then finds nothing doubles what follows.
const FOUND: (u32, u32) = (1, 8);
/// Rounds that must be left, of a loop with others in it and of one without: to find and take a loop costs what some thirty accesses
/// cost.
const WORTH: (usize, usize) = (8, 32);
/// How often a loop is translated.
const TRIES: u32 = 4;
/// Code objects that are remembered.
const REMEMBERED: usize = 256;

/// Accesses to go until the next look.
static LEFT: AtomicU32 = AtomicU32::new(FIRST);
static SEARCH: Mutex<Search> = Mutex::new(Search::New);

enum Search {
    New,
    /// Somebody is looking, perhaps further up on the stack.
    Busy,
    Here(Box<Searcher>),
    Off,
}

/// Called by accesses to elements before they look at what they are given: their operands in the order in which they lie on the stack. If
/// there are other ones now, as rounds were done meanwhile, these are the result.
#[inline(always)]
pub fn tick<'py>(py: Python<'py>, operands: &[Object]) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let left = LEFT.load(Ordering::Relaxed).wrapping_sub(1);
    LEFT.store(left, Ordering::Relaxed);
    if left == 0 { look(py, operands) } else { Ok(None) }
}

/// Looks at the next access, because a loop was found that may be one for here.
pub fn look_soon() {
    LEFT.store(1, Ordering::Relaxed);
}

/// Looks at the next access, as if nothing were known yet, and takes short loops, too.
pub fn forget() {
    looks::be_eager();
    share_short_rounds();
    let mut search = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
    if !matches!(*search, Search::Busy | Search::Off) {
        *search = Search::New;
    }
    LEFT.store(1, Ordering::Relaxed);
}

#[cold]
fn look<'py>(py: Python<'py>, operands: &[Object]) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let take = || std::mem::replace(&mut *SEARCH.lock().unwrap_or_else(PoisonError::into_inner), Search::Busy);
    let put = |search| *SEARCH.lock().unwrap_or_else(PoisonError::into_inner) = search;
    let mut searcher = match take() {
        Search::Here(searcher) => searcher,
        Search::New => {
            let Some(_look) = looks::begin() else {
                LEFT.store(FIRST, Ordering::Relaxed);
                put(Search::New);
                return Ok(None);
            };
            match Searcher::new(py)? {
                Some(searcher) => Box::new(searcher),
                None => {
                    put(Search::Off);
                    return Ok(None);
                }
            }
        }
        Search::Busy => {
            LEFT.store(FIRST, Ordering::Relaxed);
            return Ok(None);
        }
        Search::Off => {
            put(Search::Off);
            return Ok(None);
        }
    };
    let found = searcher.look(py, operands);
    let next = match &found {
        Ok(Found::Next) => 1,
        Ok(Found::Nothing) => {
            // (An odd number: what looks at every eighth access of a loop with eight of them sees only one.)
            searcher.pause = (2 * searcher.pause + 1).min(PAUSE.1);
            searcher.pause
        }
        Ok(Found::Taken { .. } | Found::Rounds(_)) => {
            let others = matches!(found, Ok(Found::Taken { has_others: true }));
            searcher.pause = if others { FOUND.0 } else { FOUND.1 };
            if searcher.follow.is_some() { 1 } else { searcher.pause }
        }
        Err(_) => searcher.pause,
    };
    LEFT.store(next, Ordering::Relaxed);
    put(Search::Here(searcher));
    match found? {
        Found::Rounds(operands) => Ok(Some(operands)),
        _ => Ok(None),
    }
}

/// What came of a look.
enum Found<'py> {
    Nothing,
    /// Nothing yet: the next access may be the one to look at.
    Next,
    /// A loop, which was taken, with others in it or without.
    Taken {
        has_others: bool,
    },
    /// A `while` loop, whose rounds were done: what the access is given now.
    Rounds(Bound<'py, PyTuple>),
}

/// What is known of a code object.
struct Code {
    library: bool,
    variables: Variables,
    loops: Vec<Loop>,
    /// Where its `while` loops are entered.
    entries: Vec<Entry>,
}

/// A code object, and where its variables are.
struct Variables {
    /// Kept, so that its address stays its own.
    code: Py<PyAny>,
    optimized: bool,
    slots: usize,
    /// Names that lie in the frame, with where.
    names: Vec<(Py<PyAny>, usize)>,
}

struct Loop {
    start: u32,
    end: u32,
    place: usize,
    known: Known,
}

/// What is known of a loop.
#[derive(Default)]
struct Known {
    /// Of the source.
    line: u32,
    plans: Vec<Arc<Plan>>,
    fate: Arc<Fate>,
}

/// What is known of a loop beside its plans.
#[derive(Default)]
struct Fate {
    /// How often it was translated, or found to be of no use.
    tries: AtomicU32,
    /// How often in a row it was too short.
    small: AtomicU32,
}

struct Searcher {
    tools: Tools,
    range_iterator: Py<PyAny>,
    codes: BTreeMap<usize, Code>,
    pause: u32,
    /// The access for which the next ones are looked at.
    follow: Option<Follow>,
}

/// Functions of `_loops` and `_nests`, and `ChainMap`.
struct Tools {
    analyse: Py<PyAny>,
    entries: Py<PyAny>,
    plan: Py<PyAny>,
    operands: Py<PyAny>,
    function: Py<PyAny>,
    chain: Py<PyAny>,
}

type RawLoop = (u32, u32, usize, Py<PyAny>, bool);
type RawCode = (usize, bool, bool, Py<PyAny>, Py<PyAny>, Vec<RawLoop>);
impl Searcher {
    fn new(py: Python<'_>) -> PyResult<Option<Searcher>> {
        if !settings::loops() || loops::layout(py)?.is_none() {
            return Ok(None);
        }
        prepare();
        let (loops, nests) = (py.import("legate_jit._loops")?, py.import("legate_jit._nests")?);
        let range = py.import("builtins")?.getattr("range")?;
        let tools = Tools {
            analyse: loops.getattr("analyse")?.unbind(),
            entries: nests.getattr("entries")?.unbind(),
            plan: nests.getattr("plan")?.unbind(),
            operands: nests.getattr("operands")?.unbind(),
            function: py.import("types")?.getattr("FunctionType")?.unbind(),
            chain: py.import("collections")?.getattr("ChainMap")?.unbind(),
        };
        Ok(Some(Searcher {
            tools,
            range_iterator: range.call1((1,))?.try_iter()?.into_any().get_type().into_any().unbind(),
            codes: BTreeMap::new(),
            pause: PAUSE.0,
            follow: None,
        }))
    }

    fn look<'py>(&mut self, py: Python<'py>, operands: &[Object]) -> PyResult<Found<'py>> {
        let (Some(layout), Some(frame)) = (loops::layout(py)?, frame::current(py)) else { return Ok(Found::Nothing) };
        let (address, at) = loops::key(&frame)?;
        if let Some(follow) = &mut self.follow {
            if follow.goes_on(address, at) {
                return Ok(Found::Next);
            }
            if follow.is_over() {
                self.in_vain();
            }
        }
        self.know(py, &frame, address)?;
        let Some(code) = self.codes.get_mut(&address) else { return Ok(Found::Nothing) };
        if code.library || loops::is_traced(py)? {
            return Ok(Found::Nothing);
        }
        let variables = &code.variables;
        // (To ask a function for its `f_locals` makes a dictionary of them.)
        if !variables.optimized
            && !frame.getattr(intern!(py, "f_locals"))?.is(&frame.getattr(intern!(py, "f_globals"))?)
        {
            return Ok(Found::Nothing);
        }
        for n in 0..code.loops.len() {
            let l = &code.loops[n];
            if !(l.start < at && at < l.end) || l.known.fate.tries.load(Ordering::Relaxed) >= TRIES {
                continue;
            }
            let place = variables.slots + l.place;
            // SAFETY: the loop runs, so its iterator lies there.
            let iterator = unsafe { Bound::from_borrowed_ptr_or_opt(py, layout.slot(&frame, place)) };
            let Some(iterator) = iterator else { continue };
            let inner = |other: &Loop| code.loops[n].start < other.start && other.start < code.loops[n].end;
            let has_others = code.loops.iter().any(inner);
            let l = &mut code.loops[n];
            let mut translated = |again| {
                let which = Which { start: l.start, within: None, place };
                translated(py, &self.tools, &frame, (variables, &mut l.known), which, again, &layout)
            };
            if let Ok(rounds) = iterator.cast::<Rounds>() {
                // Taken before, and given back to Python: its variables have other types now.
                if rounds.get().plan().is_none()
                    && let Some(plan) = translated(true)?
                {
                    rounds.get().take(plan);
                    return Ok(Found::Taken { has_others });
                }
                continue;
            }
            let worth = match (looks::is_eager(), has_others) {
                (true, _) => 2,
                (_, true) => WORTH.0,
                (_, false) => WORTH.1,
            };
            // (Whoever else has the iterator sees how far it is: the stack has it, and we have.)
            let shared = references(&iterator) > 2;
            if shared || !iterator.get_type().is(&self.range_iterator) || loops::left(&iterator)? < worth {
                continue;
            }
            let Some(plan) = translated(false)? else {
                continue;
            };
            let rounds = Rounds::new(&iterator, plan, l.known.fate.clone(), has_others)?;
            // SAFETY: as above; no instruction but those of the loop's head uses the iterator.
            unsafe { layout.replace(&frame, place, Bound::new(py, rounds)?.into_any()) };
            return Ok(Found::Taken { has_others });
        }
        self.enter(py, &frame, (address, at), operands, &layout)
    }

    /// Finds out what there is to know of a frame's code, if there is time for it.
    fn know(&mut self, py: Python<'_>, frame: &Bound<'_, PyAny>, address: usize) -> PyResult<()> {
        if !self.codes.contains_key(&address)
            && let Some(_look) = looks::begin()
        {
            let code = self.code(py, frame.getattr(intern!(py, "f_code"))?)?;
            if self.codes.len() >= REMEMBERED {
                self.codes.clear();
            }
            self.codes.insert(address, code);
        }
        Ok(())
    }

    fn code(&self, py: Python<'_>, object: Bound<'_, PyAny>) -> PyResult<Code> {
        let (slots, optimized, library, _, _, raw): RawCode =
            self.tools.analyse.bind(py).call1((&object,))?.extract()?;
        let mut lines = HashMap::new();
        for found in object.call_method0(intern!(py, "co_lines"))?.try_iter()? {
            let (start, end, line): (u32, u32, Option<u32>) = found?.extract()?;
            lines.extend((start..end).step_by(2).map(|at| (at, line.unwrap_or(0))));
        }
        let known = |start| Known { line: lines.get(&start).copied().unwrap_or(0), ..Known::default() };
        let of_loop = |(start, end, place, _, _): RawLoop| Loop { start, end, place, known: known(start) };
        let cells = object.getattr(intern!(py, "co_cellvars"))?;
        let mut names = Vec::new();
        for (n, name) in object.getattr(intern!(py, "co_varnames"))?.try_iter()?.enumerate() {
            let name = name?;
            // (What inner functions see lies elsewhere.)
            if !cells.contains(&name)? {
                names.push((name.unbind(), n));
            }
        }
        let loops = raw.into_iter().map(of_loop).collect();
        let entries = if library { Vec::new() } else { entry::of_code(py, &self.tools, &object, known)? };
        Ok(Code { library, variables: Variables { code: object.unbind(), optimized, slots, names }, loops, entries })
    }
}

/// Which loop is translated: the offset where a round begins, between which offsets it lies if it is a `while` loop, and where the
/// iterator of a `for` loop is.
struct Which {
    start: u32,
    within: Option<(u32, u32)>,
    place: usize,
}

/// A plan for what the variables hold now: one that was made before, or a new one; `again` where one of those did not fit. If
/// something goes wrong, Python runs the loop as it always did, and whoever reads the messages can tell.
fn translated(
    py: Python<'_>,
    tools: &Tools,
    frame: &Bound<'_, PyAny>,
    (variables, known): (&Variables, &mut Known),
    which: Which,
    again: bool,
    layout: &frame::Layout,
) -> PyResult<Option<Arc<Plan>>> {
    match translate(py, tools, frame, (variables, known), which, again, layout) {
        Err(e) if e.is_instance_of::<PyException>(py) && is_own(py, &e)? => {
            e.write_unraisable(py, Some(&frame.getattr(intern!(py, "f_code"))?));
            Ok(None)
        }
        done => done,
    }
}

/// Whether an error is one of ours, and not one of a signal's handler.
fn is_own(py: Python<'_>, e: &PyErr) -> PyResult<bool> {
    py.import("legate_jit._nests")?.getattr("is_own")?.call1((e.value(py),))?.is_truthy()
}

fn translate(
    py: Python<'_>,
    tools: &Tools,
    frame: &Bound<'_, PyAny>,
    (code, known): (&Variables, &mut Known),
    Which { start, within, place: on_stack }: Which,
    again: bool,
    layout: &frame::Layout,
) -> PyResult<Option<Arc<Plan>>> {
    if let ([plan], false) = (&known.plans[..], again) {
        // (Whether it fits is seen when it runs.)
        return Ok(Some(plan.clone()));
    }
    for plan in &known.plans {
        if plan.gather(py, frame, layout)?.is_some() {
            return Ok(Some(plan.clone()));
        }
    }
    if known.fate.tries.load(Ordering::Relaxed) >= TRIES {
        return Ok(None);
    }
    let Some(_look) = looks::begin() else { return Ok(None) };
    let globals = frame.getattr(intern!(py, "f_globals"))?;
    let variables = if code.optimized {
        let variables = PyDict::new(py);
        for (name, slot) in &code.names {
            // SAFETY: a name of the code.
            let object = unsafe { Bound::from_borrowed_ptr_or_opt(py, layout.slot(frame, *slot)) };
            if let Some(object) = object {
                variables.set_item(name, as_seen(py, &object)?)?;
            }
        }
        variables.into_any()
    } else {
        globals.clone()
    };
    let outside = tools.chain.bind(py).call1((&globals, frame.getattr(intern!(py, "f_builtins"))?))?;
    let of = frame.getattr(intern!(py, "f_code"))?;
    known.fate.tries.fetch_add(1, Ordering::Relaxed);
    let made = tools.plan.bind(py).call1((&of, start, code.optimized, variables, outside, within))?;
    if made.is_none() {
        // (Other types may make another loop of it, but hardly ever do.)
        known.fate.tries.fetch_add(1, Ordering::Relaxed);
        return Ok(None);
    }
    let raw: RawPlan = made.extract()?;
    let place = |global: bool, name: Py<PyAny>| -> PyResult<Place> {
        if global {
            return Ok(Place::Global(name));
        }
        if !code.optimized {
            return Ok(Place::Name(name));
        }
        for (other, slot) in &code.names {
            if other.bind(py).eq(&name)? {
                return Ok(Place::Slot(*slot));
            }
        }
        Ok(Place::Name(name))
    };
    let Some(mut made) = Plan::new(py, raw, of.clone().unbind(), (on_stack, start), place)? else {
        return Ok(None);
    };
    if within.is_some() {
        made.program.repeats();
    }
    let name: String = of.getattr(intern!(py, "co_name"))?.extract()?;
    dump::nest(&name, known.line, || made.program.text());
    let made = Arc::new(made);
    known.plans.push(made.clone());
    // (The types may be those that a later round begins with.)
    Ok(made.gather(py, frame, layout)?.map(|_| made))
}
