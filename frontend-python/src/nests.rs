//! Loops over single elements and short rows, taken from Python and run by the runtime (`runtime/src/nest.rs`).
//!
//! Now and then an access to an element asks in which loops it stands. `_nests` translates the outermost of them that it can; then
//! the loop's iterator, which lies on the interpreter's stack, is replaced by one of ours ([`Rounds`]). When Python asks that for
//! the next number, it stands between two rounds: everything that the loop knows is in its variables. So this is where rounds are
//! done: from the variables and back to them, as many as there are but one, which is Python's and leaves every name as it should be.
//!
//! A boundary file: it replaces references in frames.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use legate_jit_ir::nest::code::Ins;
use legate_jit_ir::nest::{self as ir, Given, Item};
use legate_jit_ir::{DType, Scalar};
use legate_jit_runtime::nest::{Numbers, Program, Stop, share_short_rounds};
use legate_jit_runtime::{Array, dump, prepare};
use pyo3::exceptions::{PyException, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python, ffi, intern};

use crate::loops::{self, frame};
use crate::{capi, dtypes, error, settings, value};

/// Accesses to elements before the first look, from one that finds a loop to the next, and the least and the most between two that find
/// nothing.
const FIRST: u32 = 512;
const FOUND: u32 = 32;
const PAUSE: (u32, u32) = (8, 1 << 14);
/// Rounds that must be left, of a loop with others in it and of one without: to find and take a loop costs what some thirty accesses
/// cost.
const WORTH: (usize, usize) = (8, 32);
/// What takes us less than this, to take it takes longer than Python needs for it; how often in a row that is found before a loop is
/// left alone.
const SMALL: Duration = Duration::from_nanos(700);
const SMALL_ONES: u32 = 8;
/// How often a loop is translated, and rounds that Python may have to do among so many of ours.
const TRIES: u32 = 4;
const LEAVES: usize = 4;
/// Code objects that are remembered.
const REMEMBERED: usize = 256;

/// Accesses to go until the next look.
static LEFT: AtomicU32 = AtomicU32::new(FIRST);
/// Whether loops are taken for which that does not pay: for tests.
static EAGER: AtomicBool = AtomicBool::new(false);
static SEARCH: Mutex<Search> = Mutex::new(Search::New);

enum Search {
    New,
    /// Somebody is looking, perhaps further up on the stack.
    Busy,
    Here(Box<Searcher>),
    Off,
}

/// Called by accesses to elements before they look at what they are given.
#[inline(always)]
pub fn tick(py: Python<'_>) -> PyResult<()> {
    let left = LEFT.load(Ordering::Relaxed).wrapping_sub(1);
    LEFT.store(left, Ordering::Relaxed);
    if left == 0 { look(py) } else { Ok(()) }
}

/// Looks at the next access, as if nothing were known yet, and takes short loops, too.
pub fn forget() {
    EAGER.store(true, Ordering::Relaxed);
    share_short_rounds();
    let mut search = SEARCH.lock().unwrap_or_else(PoisonError::into_inner);
    if !matches!(*search, Search::Busy | Search::Off) {
        *search = Search::New;
    }
    LEFT.store(1, Ordering::Relaxed);
}

#[cold]
fn look(py: Python<'_>) -> PyResult<()> {
    let take = || std::mem::replace(&mut *SEARCH.lock().unwrap_or_else(PoisonError::into_inner), Search::Busy);
    let put = |search| *SEARCH.lock().unwrap_or_else(PoisonError::into_inner) = search;
    let mut searcher = match take() {
        Search::Here(searcher) => searcher,
        Search::New => match Searcher::new(py)? {
            Some(searcher) => Box::new(searcher),
            None => {
                put(Search::Off);
                return Ok(());
            }
        },
        Search::Busy => {
            LEFT.store(FIRST, Ordering::Relaxed);
            return Ok(());
        }
        Search::Off => {
            put(Search::Off);
            return Ok(());
        }
    };
    let found = searcher.look(py);
    if let Ok(found) = found {
        searcher.pause = if found { FOUND } else { (2 * searcher.pause).min(PAUSE.1) };
    }
    LEFT.store(searcher.pause, Ordering::Relaxed);
    put(Search::Here(searcher));
    found.map(|_| ())
}

/// Where something is found: what a variable holds, or an attribute of it, and so on.
struct Path {
    place: Place,
    attributes: Vec<Py<PyAny>>,
}

/// What must not change.
enum Same {
    Object,
    /// Of the same class.
    Class,
    /// The function that the last attribute finds in the class.
    Method,
}

/// Where a variable is found.
enum Place {
    /// In the frame.
    Slot(usize),
    /// In the dictionary of the module's names.
    Name(Py<PyAny>),
    /// Among the names that are global, or else Python's own.
    Global(Py<PyAny>),
}

/// A loop that was translated.
struct Plan {
    /// Kept, so that its address stays its own.
    code: Py<PyAny>,
    /// The loop's, on the stack.
    place: usize,
    start: u32,
    program: Program,
    inputs: Vec<(Path, char, usize)>,
    arrays: Vec<Path>,
    /// What must be as it was.
    objects: Vec<(Path, Py<PyAny>, Same)>,
    carried: Vec<(Place, char, usize)>,
}

/// What is known of a code object.
struct Code {
    /// Kept, so that its address stays its own.
    _object: Py<PyAny>,
    optimized: bool,
    library: bool,
    slots: usize,
    /// Names that lie in the frame, with where.
    names: Vec<(Py<PyAny>, usize)>,
    loops: Vec<Loop>,
}

struct Loop {
    start: u32,
    end: u32,
    /// Of the source.
    line: u32,
    place: usize,
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
    analyse: Py<PyAny>,
    plan: Py<PyAny>,
    chain: Py<PyAny>,
    range_iterator: Py<PyAny>,
    codes: HashMap<usize, Code>,
    pause: u32,
}

type RawLoop = (u32, u32, usize, Py<PyAny>, bool);
type RawCode = (usize, bool, bool, Py<PyAny>, Py<PyAny>, Vec<RawLoop>);
type RawItem = (String, Option<u16>, Option<u16>, i64);
type RawProgram = (
    Vec<(String, Vec<u32>)>,
    Vec<RawItem>,
    Vec<String>,
    (usize, usize, usize, usize),
    Vec<(usize, i64)>,
    Vec<(usize, f64)>,
    usize,
);
type RawInput = (bool, Vec<Py<PyAny>>, char, usize);
type RawArray = (bool, Vec<Py<PyAny>>, String, usize, usize, bool);
type RawObject = (bool, Vec<Py<PyAny>>, Py<PyAny>, String);
type RawCarried = (Py<PyAny>, char, usize);
type RawPlan = (RawProgram, Vec<RawInput>, Vec<RawArray>, Vec<RawObject>, Vec<RawCarried>);

impl Searcher {
    fn new(py: Python<'_>) -> PyResult<Option<Searcher>> {
        if !settings::loops() || loops::layout(py)?.is_none() {
            return Ok(None);
        }
        prepare();
        let (loops, nests) = (py.import("legate_jit._loops")?, py.import("legate_jit._nests")?);
        let range = py.import("builtins")?.getattr("range")?;
        Ok(Some(Searcher {
            analyse: loops.getattr("analyse")?.unbind(),
            plan: nests.getattr("plan")?.unbind(),
            chain: py.import("collections")?.getattr("ChainMap")?.unbind(),
            range_iterator: range.call1((1,))?.try_iter()?.into_any().get_type().into_any().unbind(),
            codes: HashMap::new(),
            pause: PAUSE.0,
        }))
    }

    /// Whether a loop was found and taken.
    fn look(&mut self, py: Python<'_>) -> PyResult<bool> {
        let (Some(layout), Some(frame)) = (loops::layout(py)?, frame::current(py)) else { return Ok(false) };
        let (address, at) = loops::key(&frame)?;
        if !self.codes.contains_key(&address) {
            let code = self.code(py, frame.getattr(intern!(py, "f_code"))?)?;
            if self.codes.len() >= REMEMBERED {
                self.codes.clear();
            }
            self.codes.insert(address, code);
        }
        let Some(code) = self.codes.get_mut(&address) else { return Ok(false) };
        if code.library || is_traced(py)? {
            return Ok(false);
        }
        // (To ask a function for its `f_locals` makes a dictionary of them.)
        if !code.optimized && !frame.getattr(intern!(py, "f_locals"))?.is(&frame.getattr(intern!(py, "f_globals"))?) {
            return Ok(false);
        }
        for n in 0..code.loops.len() {
            let l = &code.loops[n];
            if !(l.start < at && at < l.end) || l.fate.tries.load(Ordering::Relaxed) >= TRIES {
                continue;
            }
            let place = code.slots + l.place;
            // SAFETY: the loop runs, so its iterator lies there.
            let iterator = unsafe { Bound::from_borrowed_ptr_or_opt(py, layout.slot(&frame, place)) };
            let Some(iterator) = iterator else { continue };
            if let Ok(rounds) = iterator.cast::<Rounds>() {
                // Taken before, and given back to Python: its variables have other types now.
                if rounds.get().plan().is_none()
                    && let Some(plan) = translated(py, &self.plan, &self.chain, &frame, (code, n, true), &layout)?
                {
                    rounds.get().take(plan);
                    return Ok(true);
                }
                continue;
            }
            let inner = |other: &Loop| code.loops[n].start < other.start && other.start < code.loops[n].end;
            let worth = match (EAGER.load(Ordering::Relaxed), code.loops.iter().any(inner)) {
                (true, _) => 2,
                (_, true) => WORTH.0,
                (_, false) => WORTH.1,
            };
            if !iterator.get_type().is(&self.range_iterator) || loops::left(&iterator)? < worth {
                continue;
            }
            let Some(plan) = translated(py, &self.plan, &self.chain, &frame, (code, n, false), &layout)? else {
                continue;
            };
            let rounds = Rounds::new(py, &iterator, plan, code.loops[n].fate.clone())?;
            // SAFETY: as above; no instruction but those of the loop's head uses the iterator.
            unsafe { layout.replace(&frame, place, Bound::new(py, rounds)?.into_any()) };
            return Ok(true);
        }
        Ok(false)
    }

    fn code(&self, py: Python<'_>, object: Bound<'_, PyAny>) -> PyResult<Code> {
        let (slots, optimized, library, _, _, raw): RawCode = self.analyse.bind(py).call1((&object,))?.extract()?;
        let mut lines = HashMap::new();
        for found in object.call_method0(intern!(py, "co_lines"))?.try_iter()? {
            let (start, end, line): (u32, u32, Option<u32>) = found?.extract()?;
            lines.extend((start..end).step_by(2).map(|at| (at, line.unwrap_or(0))));
        }
        let of_loop = |(start, end, place, _, _): RawLoop| Loop {
            start,
            end,
            line: lines.get(&start).copied().unwrap_or(0),
            place,
            plans: Vec::new(),
            fate: Arc::default(),
        };
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
        Ok(Code { _object: object.unbind(), optimized, library, slots, names, loops })
    }
}

/// A plan for what the variables hold now: one that was made before, or a new one; `again` where one of those did not fit. If
/// something goes wrong, Python runs the loop as it always did, and whoever reads the messages can tell.
fn translated(
    py: Python<'_>,
    plan: &Py<PyAny>,
    chain: &Py<PyAny>,
    frame: &Bound<'_, PyAny>,
    (code, n, again): (&mut Code, usize, bool),
    layout: &frame::Layout,
) -> PyResult<Option<Arc<Plan>>> {
    match translate(py, plan, chain, frame, (code, n, again), layout) {
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
    plan: &Py<PyAny>,
    chain: &Py<PyAny>,
    frame: &Bound<'_, PyAny>,
    (code, n, again): (&mut Code, usize, bool),
    layout: &frame::Layout,
) -> PyResult<Option<Arc<Plan>>> {
    let plans = &code.loops[n].plans;
    if let ([plan], false) = (&plans[..], again) {
        // (Whether it fits is seen when it runs.)
        return Ok(Some(plan.clone()));
    }
    for known in plans {
        if known.gather(py, frame, layout)?.is_some() {
            return Ok(Some(known.clone()));
        }
    }
    let l = &mut code.loops[n];
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
    let outside = chain.bind(py).call1((&globals, frame.getattr(intern!(py, "f_builtins"))?))?;
    let of = frame.getattr(intern!(py, "f_code"))?;
    l.fate.tries.fetch_add(1, Ordering::Relaxed);
    let made = plan.bind(py).call1((&of, l.start, code.optimized, variables, outside))?;
    if made.is_none() {
        // (Other types may make another loop of it, but hardly ever do.)
        l.fate.tries.fetch_add(1, Ordering::Relaxed);
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
        for (known, slot) in &code.names {
            if known.bind(py).eq(&name)? {
                return Ok(Place::Slot(*slot));
            }
        }
        Ok(Place::Name(name))
    };
    let Some(made) = Plan::new(py, raw, of.clone().unbind(), (l.place + code.slots, l.start), place)? else {
        return Ok(None);
    };
    let name: String = of.getattr(intern!(py, "co_name"))?.extract()?;
    dump::nest(&name, l.line, || made.program.text());
    let made = Arc::new(made);
    l.plans.push(made.clone());
    // (The types may be those that a later round begins with.)
    Ok(made.gather(py, frame, layout)?.map(|_| made))
}

/// Whether somebody follows the program line by line: a debugger, a profile, a measurement of coverage.
fn is_traced(py: Python<'_>) -> PyResult<bool> {
    static ASK: PyOnceLock<[Py<PyAny>; 2]> = PyOnceLock::new();
    let ask = ASK.get_or_try_init(py, || {
        let sys = py.import("sys")?;
        PyResult::Ok([sys.getattr("gettrace")?.unbind(), sys.getattr("getprofile")?.unbind()])
    })?;
    Ok(!(ask[0].call0(py)?.is_none(py) && ask[1].call0(py)?.is_none(py)))
}

/// A number of ours is what NumPy would have there.
fn as_seen<'py>(py: Python<'py>, object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match number_of_ours(object) {
        Some(known) => Ok(capi::scalar(py, known)?.into_bound(py)),
        None => Ok(object.clone()),
    }
}

/// The value of a number of ours, computed if it is pending.
fn number_of_ours(object: &Bound<'_, PyAny>) -> Option<Scalar> {
    let array = value::value(object).filter(|_| value::is_scalar(object))?.array()?;
    array.known_scalar().or_else(|| error::guarded(object.py(), || array.item(0)).ok())
}

/// The type of elements by its name in `_nests`.
fn element(name: &str) -> Option<DType> {
    DType::parse(name)
}

/// NumPy's type of a number of this kind.
fn type_of(kind: char) -> Option<DType> {
    match kind {
        'F' => Some(DType::F64),
        'S' => Some(DType::F32),
        'I' => Some(DType::I64),
        'B' => Some(DType::Bool),
        _ => None,
    }
}

/// What a plan works on.
struct Gathered {
    numbers: Numbers,
    arrays: Vec<Array>,
}

impl Plan {
    fn new(
        py: Python<'_>,
        (program, inputs, arrays, objects, carried): RawPlan,
        code: Py<PyAny>,
        (place, start): (usize, u32),
        find: impl Fn(bool, Py<PyAny>) -> PyResult<Place>,
    ) -> PyResult<Option<Plan>> {
        let path = |global: bool, mut names: Vec<Py<PyAny>>| -> PyResult<Path> {
            Ok(Path { place: find(global, names.remove(0))?, attributes: names })
        };
        let (code_of, items, functions, counts, int_constants, float_constants, variable) = program;
        let mut given = Vec::new();
        let mut places = Vec::new();
        for (global, names, dtype, axes, register, written) in arrays {
            let Some(dtype) = element(&dtype) else { return Ok(None) };
            given.push(Given { register, dtype, axes, written, unit: false });
            places.push(path(global, names)?);
        }
        let items = items.into_iter().map(|(kind, a, b, step)| match (kind.as_str(), a) {
            ("int", Some(a)) => Item::Int(a),
            ("new", _) => Item::New,
            _ => Item::Slice(a, b, step),
        });
        let of_bank = |floats: bool| {
            let these = carried.iter().filter(move |(_, kind, _)| is_float(*kind) == floats);
            these.map(|(_, _, register)| *register).collect::<Vec<_>>()
        };
        let code_of: Result<Vec<Ins>, _> = code_of.iter().map(|(name, operands)| Ins::new(name, operands)).collect();
        let program = ir::Program {
            code: code_of.map_err(|e| PyRuntimeError::new_err(e.to_string()))?,
            items: items.collect(),
            functions,
            ints: counts.0,
            floats: counts.1,
            views: counts.2,
            memories: counts.3,
            int_constants,
            float_constants: float_constants.into_iter().map(|(r, x): (usize, f64)| (r, x.to_bits())).collect(),
            arrays: given,
            variable,
            kept_ints: of_bank(false),
            kept_floats: of_bank(true),
        };
        let program = Program::new(program).map_err(|e| error::raise(py, e))?;
        let mut plan =
            Plan { code, place, start, program, inputs: vec![], arrays: places, objects: vec![], carried: vec![] };
        for (global, names, kind, register) in inputs {
            plan.inputs.push((path(global, names)?, kind, register));
        }
        for (global, names, object, same) in objects {
            let same = match same.as_str() {
                "object" => Same::Object,
                "class" => Same::Class,
                _ => Same::Method,
            };
            plan.objects.push((path(global, names)?, object, same));
        }
        for (name, kind, register) in carried {
            plan.carried.push((find(false, name)?, kind, register));
        }
        Ok(Some(plan))
    }

    /// What the variables hold, if it is of the kinds that the plan was made for.
    fn gather(&self, py: Python<'_>, frame: &Bound<'_, PyAny>, layout: &frame::Layout) -> PyResult<Option<Gathered>> {
        let names = Names::new(frame)?;
        for (path, object, same) in &self.objects {
            let same = match same {
                Same::Object => names.follow(py, path, layout)?.is_some_and(|now| now.is(object)),
                Same::Class => names.follow(py, path, layout)?.is_some_and(|now| now.get_type().is(object)),
                Same::Method => names.finds_method(py, path, object, layout)?,
            };
            if !same {
                return Ok(None);
            }
        }
        let mut numbers = self.program.numbers();
        for (path, kind, register) in &self.inputs {
            let number = match names.follow(py, path, layout)? {
                Some(object) => number(py, &object, *kind),
                None => None,
            };
            match number {
                Some(Number::Int(n)) => numbers.ints[*register] = n,
                Some(Number::Float(n)) => numbers.floats[*register] = n,
                None => return Ok(None),
            }
        }
        let mut arrays = Vec::new();
        for (path, given) in self.arrays.iter().zip(self.program.given()) {
            let object = names.follow(py, path, layout)?;
            let array = object.as_ref().filter(|o| value::is_array(o)).and_then(|o| value::value(o)?.array());
            match array {
                Some(a) if a.dtype() == given.dtype && a.ndim() == given.axes && (a.writable() || !given.written) => {
                    arrays.push(a.clone());
                }
                _ => return Ok(None),
            }
        }
        Ok(Some(Gathered { numbers, arrays }))
    }

    /// Gives the variables what the rounds left in them.
    fn hand_back(
        &self,
        py: Python<'_>,
        frame: &Bound<'_, PyAny>,
        layout: &frame::Layout,
        numbers: &Numbers,
    ) -> PyResult<()> {
        for (place, kind, register) in &self.carried {
            let object = object_of(py, *kind, numbers, *register)?;
            match place {
                // SAFETY: a name of the code, whose frame is between two rounds.
                Place::Slot(n) => unsafe { layout.replace(frame, *n, object) },
                Place::Name(name) | Place::Global(name) => {
                    frame.getattr(intern!(py, "f_locals"))?.set_item(name, object)?;
                }
            }
        }
        Ok(())
    }
}

/// The names that a frame sees.
struct Names<'a, 'py> {
    frame: &'a Bound<'py, PyAny>,
    globals: Bound<'py, PyDict>,
    builtins: Bound<'py, PyDict>,
}

impl<'a, 'py> Names<'a, 'py> {
    fn new(frame: &'a Bound<'py, PyAny>) -> PyResult<Names<'a, 'py>> {
        let py = frame.py();
        let globals = frame.getattr(intern!(py, "f_globals"))?.cast_into::<PyDict>()?;
        let builtins = frame.getattr(intern!(py, "f_builtins"))?.cast_into::<PyDict>()?;
        Ok(Names { frame, globals, builtins })
    }

    fn follow(&self, py: Python<'py>, path: &Path, layout: &frame::Layout) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.walk(py, &path.place, &path.attributes, layout)
    }

    /// Whether the last attribute is this function of the object's class.
    fn finds_method(
        &self,
        py: Python<'py>,
        path: &Path,
        function: &Py<PyAny>,
        layout: &frame::Layout,
    ) -> PyResult<bool> {
        let Some((name, way)) = path.attributes.split_last() else { return Ok(false) };
        let Some(object) = self.walk(py, &path.place, way, layout)? else { return Ok(false) };
        let own = object.getattr(intern!(py, "__dict__"))?.contains(name)?;
        let of_class = object.get_type().getattr_opt(name.bind(py).cast::<PyString>()?)?;
        Ok(!own && of_class.is_some_and(|found| found.is(function)))
    }

    fn walk(
        &self,
        py: Python<'py>,
        place: &Place,
        attributes: &[Py<PyAny>],
        layout: &frame::Layout,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut object = self.get(py, place, layout)?;
        for name in attributes {
            // (Classes were compared before: their objects keep attributes in a dictionary.)
            let Some(of) = object else { return Ok(None) };
            object = of.getattr_opt(name.bind(py).cast::<PyString>()?)?;
        }
        Ok(object)
    }

    fn get(&self, py: Python<'py>, place: &Place, layout: &frame::Layout) -> PyResult<Option<Bound<'py, PyAny>>> {
        match place {
            // SAFETY: a name of the code; the slot is a reference or null.
            Place::Slot(n) => Ok(unsafe { Bound::from_borrowed_ptr_or_opt(py, layout.slot(self.frame, *n)) }),
            Place::Name(name) => self.globals.get_item(name),
            Place::Global(name) => match self.globals.get_item(name)? {
                Some(object) => Ok(Some(object)),
                None => self.builtins.get_item(name),
            },
        }
    }
}

enum Number {
    Int(i64),
    Float(f64),
}

fn is_float(kind: char) -> bool {
    matches!(kind, 'f' | 'F' | 'S' | 'E')
}

/// The value of a number that is exactly of this kind.
fn number(py: Python<'_>, object: &Bound<'_, PyAny>, kind: char) -> Option<Number> {
    let p = object.as_ptr();
    // SAFETY: a live object, of which only the type is looked at first.
    unsafe {
        match kind {
            'i' if ffi::PyLong_CheckExact(p) != 0 => return object.extract().ok().map(Number::Int),
            'b' if ffi::PyBool_Check(p) != 0 => return Some(Number::Int((p == ffi::Py_True()) as i64)),
            'f' if ffi::PyFloat_CheckExact(p) != 0 => return Some(Number::Float(ffi::PyFloat_AsDouble(p))),
            'i' | 'b' | 'f' => return None,
            _ => {}
        }
    }
    let dtype = type_of(kind)?;
    let value = match number_of_ours(object) {
        Some(value) => value,
        None if dtypes::of_scalar_type(py, object.get_type_ptr()) == Some(dtype) => capi::scalar_value(object, dtype),
        None => return None,
    };
    match (value.dtype == dtype, dtype) {
        (false, _) => None,
        (_, DType::F64) => Some(Number::Float(f64::from_bits(value.bits[0]))),
        (_, DType::F32) => Some(Number::Float(f32::from_bits(value.bits[0] as u32) as f64)),
        (_, DType::Bool) => Some(Number::Int((value.bits[0] != 0) as i64)),
        _ => Some(Number::Int(value.bits[0] as i64)),
    }
}

fn object_of<'py>(py: Python<'py>, kind: char, numbers: &Numbers, register: usize) -> PyResult<Bound<'py, PyAny>> {
    let int = || numbers.ints[register];
    let float = || numbers.floats[register];
    let scalar = |dtype, bits| Ok(capi::scalar(py, Scalar { dtype, bits: [bits, 0] })?.into_bound(py));
    match kind {
        'i' => Ok(int().into_pyobject(py)?.into_any()),
        'b' => Ok((int() != 0).into_pyobject(py)?.to_owned().into_any()),
        'f' => Ok(float().into_pyobject(py)?.into_any()),
        'S' => scalar(DType::F32, (float() as f32).to_bits() as u64),
        'I' => scalar(DType::I64, int() as u64),
        'B' => scalar(DType::Bool, (int() != 0) as u64),
        _ => scalar(DType::F64, float().to_bits()),
    }
}

/// The numbers of a range, as its own iterator gives them; on the way it has the runtime do the rounds.
#[pyclass(frozen, module = "legate_jit")]
pub struct Rounds {
    next: AtomicI64,
    step: i64,
    left: AtomicUsize,
    plan: Mutex<Option<Arc<Plan>>>,
    /// Of the loop.
    fate: Arc<Fate>,
    /// Rounds that were done, and how often Python had to do one in between.
    done: AtomicUsize,
    leaves: AtomicUsize,
}

impl Rounds {
    /// In place of an iterator over a range.
    fn new(py: Python<'_>, iterator: &Bound<'_, PyAny>, plan: Arc<Plan>, fate: Arc<Fate>) -> PyResult<Rounds> {
        let left = loops::left(iterator)?;
        // (iter, (range,), how many were taken)
        let reduced = iterator.call_method0(intern!(py, "__reduce__"))?.cast_into::<PyTuple>()?;
        let range = reduced.get_item(1)?.get_item(0)?;
        let taken: i64 = reduced.get_item(2)?.extract()?;
        let (start, step): (i64, i64) = (range.getattr("start")?.extract()?, range.getattr("step")?.extract()?);
        Ok(Rounds {
            next: AtomicI64::new(start.wrapping_add(step.wrapping_mul(taken))),
            step,
            left: AtomicUsize::new(left),
            plan: Mutex::new(Some(plan)),
            fate,
            done: AtomicUsize::new(0),
            leaves: AtomicUsize::new(0),
        })
    }

    fn plan(&self) -> Option<Arc<Plan>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, plan: Arc<Plan>) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
    }

    fn give_back(&self) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn advance(&self, rounds: usize) {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left - rounds.min(left), Ordering::Relaxed);
        let by = self.step.wrapping_mul(rounds as i64);
        self.next.store(self.next.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }

    /// Does the rounds that can be done before the next one of Python's.
    fn run(&self, slf: &Bound<'_, Rounds>, plan: &Arc<Plan>) -> PyResult<()> {
        let py = slf.py();
        let (Some(layout), Some(frame)) = (loops::layout(py)?, frame::current(py)) else { return Ok(()) };
        // (Whoever found the iterator elsewhere may ask it from anywhere.)
        let (address, at) = loops::key(&frame)?;
        // SAFETY: the same code, at the head of the loop, whose iterator lies there.
        let here = address == plan.code.as_ptr() as usize
            && at == plan.start
            && unsafe { layout.slot(&frame, plan.place) } == slf.as_ptr();
        if !here || error::is_strict() || is_traced(py)? {
            return Ok(());
        }
        loop {
            // The last round is Python's.
            let rounds = self.left.load(Ordering::Relaxed).saturating_sub(1);
            if rounds == 0 {
                return Ok(());
            }
            let Some(mut gathered) = plan.gather(py, &frame, &layout)? else {
                self.give_back();
                return Ok(());
            };
            let arrays: Vec<&Array> = gathered.arrays.iter().collect();
            let range = (self.next.load(Ordering::Relaxed), self.step);
            let start = Instant::now();
            let run = error::guarded(py, || plan.program.run(&mut gathered.numbers, &arrays, range, rounds));
            let (done, stop) = run?;
            if start.elapsed() > SMALL || EAGER.load(Ordering::Relaxed) {
                self.fate.small.store(0, Ordering::Relaxed);
            } else if self.fate.small.fetch_add(1, Ordering::Relaxed) + 1 == SMALL_ONES {
                self.refuse();
            }
            if done > 0 {
                plan.hand_back(py, &frame, &layout, &gathered.numbers)?;
                self.advance(done);
            }
            let done = done + self.done.fetch_add(done, Ordering::Relaxed);
            match stop {
                Stop::Done => return Ok(()),
                Stop::Turn => {
                    // Others may do anything now.
                    drop(gathered);
                    py.detach(std::thread::yield_now);
                    py.check_signals()?;
                }
                Stop::Left => {
                    let leaves = 1 + self.leaves.fetch_add(1, Ordering::Relaxed);
                    if leaves > 2 && leaves * LEAVES > done {
                        self.refuse();
                    }
                    return Ok(());
                }
                Stop::Long | Stop::Elsewhere => {
                    self.refuse();
                    return Ok(());
                }
            }
        }
    }

    /// The loop is none for this.
    fn refuse(&self) {
        self.fate.tries.store(TRIES, Ordering::Relaxed);
        self.give_back();
    }
}

#[pymethods]
impl Rounds {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Option<i64>> {
        let this = slf.get();
        if let Some(plan) = this.plan() {
            this.run(slf, &plan)?;
        }
        if this.left.load(Ordering::Relaxed) == 0 {
            return Ok(None);
        }
        let next = this.next.load(Ordering::Relaxed);
        this.advance(1);
        Ok(Some(next))
    }

    fn __length_hint__(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }
}
