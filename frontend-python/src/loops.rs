//! Loops over a `range` that do nothing but array operations: after a round has been seen, the others need no Python.
//!
//! `for _ in range(n): un = u.copy(); u[1:-1] = un[2:] + un[:-2]` records the same operations in each of its rounds, and to record them
//! takes longer than to compute them where arrays are small. So now and then an operator asks in which loop it stands. Is it
//! one that can be told to do nothing else (`_loops.py` reads its bytecode, and that of the functions that it calls), what its names and
//! the interpreter's stack hold is noted at the first operator of a round and compared at the same one of the next. If the numbers are the
//! same and the arrays alike, the rounds that are left are recorded by the runtime (`runtime/src/round.rs`), the iterator is moved on,
//! and Python goes on in the last round as if it had run them all. A round that was learned serves the loop again when it is met again.
//!
//! Whatever is not known to be without other effects is left to Python: objects of other types, numbers that change, a look at
//! a value, a debugger, another function of another package.

pub mod asking;
mod code;
mod even;
pub mod frame;
mod gather;
pub mod numbers;
mod outer;
mod reach;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use legate_jit_runtime::round::{self, Round};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};

use crate::slots::Object;
use crate::{error, looks, nests, settings};
pub use code::key;
use code::{Code, Loop, Place, RawCode};
use even::{Even, Taken};
use frame::Layout;
use gather::{Atom, Types};
use reach::{Own, Reach, Tools};

/// Operators before the first look, and the least and the most between two that find nothing.
const FIRST: u32 = 1024;
const PAUSE: (u32, u32) = (64, 1 << 14);
/// Operators until a loop is looked at again that others may take.
const SOON: u32 = 2;
/// Rounds that must be left for a loop to be watched.
const WORTH: usize = 4;
/// Operators for which a round is waited for.
const PATIENCE: u32 = 1024;
/// Rounds that are compared before a loop is given up.
const TRIES: u32 = 3;
/// Functions between a loop and the operator that looks.
const DEEPEST: usize = 4;
/// For how long other threads wait: longer than it takes them to say that they do (`sys.getswitchinterval`).
const TURN: Duration = Duration::from_millis(20);
/// Code objects and loops that are remembered.
const REMEMBERED: usize = 256;

/// Operators to go until the next look.
static LEFT: AtomicU32 = AtomicU32::new(FIRST);
static LAYOUT: OnceLock<Layout> = OnceLock::new();
static WATCHER: Mutex<State> = Mutex::new(State::New);

enum State {
    New,
    /// Somebody is looking, perhaps further up on the stack.
    Busy,
    Here(Box<Watcher>),
    Off,
}

/// Called by operators of arrays before they look at their operands.
#[inline(always)]
pub fn tick(py: Python<'_>, a: Object, b: Object) -> PyResult<()> {
    let left = LEFT.load(Ordering::Relaxed).wrapping_sub(1);
    LEFT.store(left, Ordering::Relaxed);
    if left == 0 { look(py, a, b) } else { Ok(()) }
}

/// Called by writes to parts of arrays: a loop may have no operators.
#[inline(always)]
pub fn tick_write(py: Python<'_>) -> PyResult<()> {
    tick(py, std::ptr::null_mut(), std::ptr::null_mut())
}

#[cold]
fn look(py: Python<'_>, a: Object, b: Object) -> PyResult<()> {
    with_watcher(py, |watcher| watcher.look(py, a, b))
}

/// Calls a function with what is known of loops, if nobody else has it; the next look is when that says.
fn with_watcher(py: Python<'_>, look: impl FnOnce(&mut Watcher) -> PyResult<()>) -> PyResult<()> {
    let take = || std::mem::replace(&mut *WATCHER.lock().unwrap_or_else(PoisonError::into_inner), State::Busy);
    let put = |state| *WATCHER.lock().unwrap_or_else(PoisonError::into_inner) = state;
    let mut watcher = match take() {
        State::Here(watcher) => watcher,
        State::New => {
            let Some(_look) = looks::begin() else {
                LEFT.store(PAUSE.0, Ordering::Relaxed);
                put(State::New);
                return Ok(());
            };
            match Watcher::new(py)? {
                Some(watcher) => Box::new(watcher),
                None => {
                    put(State::Off);
                    return Ok(());
                }
            }
        }
        State::Busy => {
            LEFT.store(FIRST, Ordering::Relaxed);
            return Ok(());
        }
        State::Off => {
            put(State::Off);
            return Ok(());
        }
    };
    let result = look(&mut watcher);
    LEFT.store(watcher.next.max(1), Ordering::Relaxed);
    put(State::Here(watcher));
    result
}

/// Looks for a loop at the next operator or element, as if nothing were known yet, and takes short ones, too: for tests.
#[pyfunction]
pub fn look_for_loops() {
    let mut state = WATCHER.lock().unwrap_or_else(PoisonError::into_inner);
    if !matches!(*state, State::Busy | State::Off) {
        *state = State::New;
    }
    LEFT.store(1, Ordering::Relaxed);
    asking::look_soon();
    nests::forget();
}

/// How the interpreter's frames are laid out, if that is known.
pub fn layout(py: Python<'_>) -> PyResult<Option<Layout>> {
    if LAYOUT.get().is_none() {
        find_layout(py, &py.import("legate_jit._loops")?)?;
    }
    Ok(LAYOUT.get().copied())
}

/// A loop that runs: the frames from the innermost to its own.
struct Here<'py> {
    places: Vec<Place<'py>>,
    /// Number of the loop in the last one's code.
    number: usize,
    iterator: Bound<'py, PyAny>,
}

/// Where an operator stands: code objects and offsets, from the innermost; then those of the loop.
type Spot = Vec<(usize, u32)>;

/// A loop on the way to being learned.
struct Watch {
    iterator: Py<PyAny>,
    left: usize,
    ticks: u32,
    tries: u32,
}

enum Mode {
    Idle,
    /// For the first operator of the next round.
    Waiting(Watch),
    /// For the same operator of the next round.
    Watching(Watch, Spot, Reach, Vec<Atom>),
    /// For a loop that was learned.
    Following {
        last: Option<(usize, u32)>,
        since: u32,
    },
    /// For a round of a loop that asks for a value.
    Asking(asking::Stage),
}

/// A loop whose round is known.
struct Learned {
    spot: Spot,
    atoms: Vec<Atom>,
    reach: Reach,
    round: Round,
    /// Operators from the end of its rounds to the next loop that was learned.
    gap: Option<u32>,
    misses: u32,
}

/// Whether somebody follows the program line by line: a debugger, a profile, a measurement of coverage.
pub(crate) fn is_traced(py: Python<'_>) -> PyResult<bool> {
    static ASK: PyOnceLock<[Py<PyAny>; 2]> = PyOnceLock::new();
    let ask = ASK.get_or_try_init(py, || {
        let sys = py.import("sys")?;
        PyResult::Ok([sys.getattr("gettrace")?.unbind(), sys.getattr("getprofile")?.unbind()])
    })?;
    Ok(!(ask[0].call0(py)?.is_none(py) && ask[1].call0(py)?.is_none(py)))
}

struct Watcher {
    tools: Arc<Tools>,
    analyse: Py<PyAny>,
    places: Py<PyAny>,
    codes: HashMap<usize, Arc<Code>>,
    learned: HashMap<(usize, u32), Learned>,
    /// Operators at which a loop was taken that does the same at other places, each with what `Learned::gap` is.
    taken: HashMap<(usize, u32), Option<u32>>,
    /// By code and loop.
    refused: HashMap<(usize, u32), u32>,
    asking: asking::Known,
    /// A loop that could be taken was left to others for the moment.
    offered: bool,
    mode: Mode,
    /// Operators until the next look.
    next: u32,
    pause: u32,
}

fn find_layout(py: Python<'_>, module: &Bound<'_, PyModule>) -> PyResult<()> {
    let (first, second) = (PyDict::new(py), PyDict::new(py));
    module.getattr("probe")?.call1((first, second, wrap_pyfunction!(find_frame, py)?))?;
    Ok(())
}

/// What `_loops.probe` calls.
#[pyfunction]
fn find_frame(py: Python<'_>, first: &Bound<'_, PyAny>, second: &Bound<'_, PyAny>) -> bool {
    let Some(layout) = Layout::find(py, &[first.as_ptr(), second.as_ptr()]) else { return false };
    let Some(frame) = frame::current(py) else { return false };
    // SAFETY: `probe` has four names, and the iterator of its loop is on the stack.
    let iterator = unsafe { layout.slot(&frame, 4) };
    // SAFETY: a reference on the stack of a frame that runs, or null.
    let iterator = unsafe { Bound::from_borrowed_ptr_or_opt(py, iterator) };
    let found = iterator.is_some_and(|i| i.get_type().name().is_ok_and(|name| name == "range_iterator"));
    found && LAYOUT.set(layout).is_ok()
}

impl Watcher {
    fn new(py: Python<'_>) -> PyResult<Option<Watcher>> {
        if !settings::loops() {
            return Ok(None);
        }
        let module = py.import("legate_jit._loops")?;
        let Some(layout) = layout(py)? else { return Ok(None) };
        let tools = Tools { layout, types: Types::new(py)?, reach: module.getattr("reach")?.unbind() };
        Ok(Some(Watcher {
            tools: Arc::new(tools),
            analyse: module.getattr("analyse")?.unbind(),
            places: py.import("legate_jit._places")?.getattr("places")?.unbind(),
            codes: HashMap::new(),
            learned: HashMap::new(),
            taken: HashMap::new(),
            refused: HashMap::new(),
            asking: asking::Known::new(&py.import("legate_jit._asking")?)?,
            offered: false,
            mode: Mode::Idle,
            next: PAUSE.0,
            pause: PAUSE.0,
        }))
    }

    fn look(&mut self, py: Python<'_>, a: Object, b: Object) -> PyResult<()> {
        let step = std::mem::replace(&mut self.next, 1);
        match std::mem::replace(&mut self.mode, Mode::Idle) {
            Mode::Idle => self.idle(py, a, b),
            Mode::Waiting(watch) => self.waiting(py, a, b, watch),
            Mode::Watching(watch, spot, reach, atoms) => self.watching(py, a, b, watch, (spot, reach, atoms)),
            Mode::Following { last, since } => self.following(py, a, b, last, since + step, step),
            Mode::Asking(stage) => self.asking(py, a, b, stage),
        }
    }

    /// Nothing was found: looks again later.
    fn rest(&mut self) -> PyResult<()> {
        self.mode = Mode::Idle;
        self.pause = (2 * self.pause).min(PAUSE.1);
        self.next = self.pause;
        Ok(())
    }

    fn idle(&mut self, py: Python<'_>, a: Object, b: Object) -> PyResult<()> {
        let Some(here) = self.here(py, a, b, None)? else {
            return match self.take_even(py)? {
                Some((key, _)) => self.follow(key),
                // (It will not be long.)
                None if std::mem::take(&mut self.offered) => {
                    self.next = SOON;
                    Ok(())
                }
                None => self.rest(),
            };
        };
        let left = left(&here.iterator)?;
        let iterator = here.iterator.unbind();
        self.mode = Mode::Waiting(Watch { iterator, left, ticks: 0, tries: 0 });
        Ok(())
    }

    fn waiting(&mut self, py: Python<'_>, a: Object, b: Object, mut watch: Watch) -> PyResult<()> {
        watch.ticks += 1;
        let left = left(watch.iterator.bind(py))?;
        if left < WORTH - 1 || watch.ticks > PATIENCE {
            return self.rest();
        }
        if left < watch.left
            && let Some(here) = self.here(py, a, b, Some(&watch.iterator))?
        {
            if self.learned.contains_key(&here.key()) && self.repeat(py, &here)? {
                return Ok(());
            }
            watch.left = left;
            return self.begin(py, here, watch);
        }
        self.mode = Mode::Waiting(watch);
        Ok(())
    }

    /// Notes what a round begins with.
    fn begin(&mut self, py: Python<'_>, here: Here<'_>, mut watch: Watch) -> PyResult<()> {
        watch.ticks = 0;
        let Some(reach) = self.tools.reach_of(py, &here.places, here.own())? else { return self.refuse(&here, TRIES) };
        let Some(gathered) = self.tools.gather(py, &here.places, here.own(), &reach) else {
            return self.refuse(&here, 1);
        };
        round::begin(&gathered.arrays());
        self.mode = Mode::Watching(watch, here.spot(), reach, gathered.atoms);
        Ok(())
    }

    fn watching(
        &mut self,
        py: Python<'_>,
        a: Object,
        b: Object,
        mut watch: Watch,
        (spot, reach, atoms): (Spot, Reach, Vec<Atom>),
    ) -> PyResult<()> {
        watch.ticks += 1;
        let left = left(watch.iterator.bind(py))?;
        if left == watch.left && watch.ticks <= PATIENCE {
            self.mode = Mode::Watching(watch, spot, reach, atoms);
            return Ok(());
        }
        if left + 1 != watch.left || left == 0 || watch.ticks > PATIENCE {
            round::end(&[]);
            return self.rest();
        }
        let here = self.here(py, a, b, Some(&watch.iterator))?;
        let Some(here) = here.filter(|here| here.spot() == spot) else {
            self.mode = Mode::Watching(watch, spot, reach, atoms);
            return Ok(());
        };
        let gathered = self.tools.gather(py, &here.places, here.own(), &reach);
        let learned = gathered.as_ref().and_then(|now| {
            let round = round::end(&now.arrays())?;
            (gather::alike(py, &now.atoms, &atoms) && now.may_replace(&round)).then_some(round)
        });
        let Some(round) = learned else {
            round::end(&[]);
            watch.tries += 1;
            watch.left = left;
            return if watch.tries < TRIES && left >= WORTH {
                self.begin(py, here, watch)
            } else {
                self.refuse(&here, 1)
            };
        };
        if self.learned.len() >= REMEMBERED {
            self.learned.clear();
        }
        let mut learned = Learned { spot, atoms, reach, round, gap: None, misses: 0 };
        if let Some(before) = self.learned.remove(&here.key()) {
            learned.round.goes_on_from(before.round);
        }
        self.learned.insert(here.key(), learned);
        if !self.repeat(py, &here)? {
            return self.refuse(&here, 1);
        }
        Ok(())
    }

    fn following(
        &mut self,
        py: Python<'_>,
        a: Object,
        b: Object,
        last: Option<(usize, u32)>,
        since: u32,
        step: u32,
    ) -> PyResult<()> {
        let key = match frame::current(py) {
            Some(frame) => key(&frame)?,
            None => return self.rest(),
        };
        if self.taken.contains_key(&key)
            && let Some((key, in_first)) = self.take_even(py)?
        {
            // (Who comes late would come late again.)
            self.set_gap(last, in_first.then_some(since));
            return self.follow(key);
        }
        if self.learned.contains_key(&key)
            && let Some(here) = self.here(py, a, b, None)?
        {
            if self.repeat(py, &here)? {
                self.set_gap(last, Some(since));
                return Ok(());
            }
            // The loop is met in another form.
            let left = left(&here.iterator)?;
            if let Some(learned) = self.learned.get_mut(&key) {
                learned.misses += 1;
                if learned.misses < TRIES && left >= WORTH {
                    let iterator = here.iterator.clone().unbind();
                    return self.begin(py, here, Watch { iterator, left, ticks: 0, tries: 0 });
                }
            }
            return self.rest();
        }
        if step > 1 {
            self.set_gap(last, None);
        }
        if since > PATIENCE {
            self.pause = PAUSE.0;
            return self.rest();
        }
        self.mode = Mode::Following { last, since };
        Ok(())
    }

    /// Notes how many operators came after a loop before the next one that is known.
    fn set_gap(&mut self, last: Option<(usize, u32)>, gap: Option<u32>) {
        let Some(last) = last else { return };
        if let Some(learned) = self.learned.get_mut(&last) {
            learned.gap = gap;
        } else if let Some(known) = self.taken.get_mut(&last) {
            *known = gap;
        }
    }

    /// Waits for the next loop that is known, after one that does the same at other places.
    fn follow(&mut self, key: (usize, u32)) -> PyResult<()> {
        self.pause = PAUSE.0;
        self.next = self.taken.get(&key).copied().flatten().unwrap_or(1);
        self.mode = Mode::Following { last: Some(key), since: 0 };
        Ok(())
    }

    /// Takes the loop in which this operator stands, if it is one that does the same at other places; the operator's key,
    /// and whether the loop is in its first round.
    fn take_even(&mut self, py: Python<'_>) -> PyResult<Option<((usize, u32), bool)>> {
        let mut next = frame::current(py);
        let (mut first, mut depth) = (None, 0);
        while let Some(frame) = next {
            let Some(place) = self.place(py, frame)? else { return Ok(None) };
            let line = &place.code.lines[place.line];
            if first.is_some() && !line.call {
                return Ok(None);
            }
            let (at, code) = (line.at, place.code.clone());
            let key = *first.get_or_insert((code.address(), at));
            if code.loops.iter().any(|l| l.start < at && at < l.end) {
                let evens = match code.evens.get() {
                    Some(evens) => evens,
                    None => {
                        let Some(_look) = looks::begin() else { return Ok(None) };
                        let raw: Vec<even::Raw> = self.places.bind(py).call1((&code.object,))?.extract()?;
                        let evens = raw.into_iter().map(|raw| Arc::new(Even::new(raw, code.slots))).collect();
                        code.evens.get_or_init(|| evens)
                    }
                };
                let Some(even) = evens.iter().find(|e| e.start < at && at < e.end) else { return Ok(None) };
                return Ok(match even::take(&place.frame, even, &self.tools)? {
                    Taken::No => None,
                    Taken::Offered => {
                        self.offered = true;
                        None
                    }
                    Taken::Yes(in_first) => {
                        self.taken.entry(key).or_insert(None);
                        Some((key, in_first))
                    }
                });
            }
            depth += 1;
            let back = place.frame.getattr(intern!(py, "f_back"))?;
            if !code.whole.ok || depth == DEEPEST || back.is_none() {
                return Ok(None);
            }
            next = Some(back);
        }
        Ok(None)
    }

    /// The loop does what cannot be repeated.
    fn refuse(&mut self, here: &Here<'_>, weight: u32) -> PyResult<()> {
        if self.refused.len() >= REMEMBERED {
            self.refused.clear();
        }
        *self.refused.entry(here.of_loop()).or_default() += weight;
        self.rest()
    }

    /// Repeats a learned round for as many as are left; false where that is not possible.
    fn repeat(&mut self, py: Python<'_>, here: &Here<'_>) -> PyResult<bool> {
        let key = here.key();
        let Some(mut learned) = self.learned.remove(&key) else { return Ok(false) };
        let done = self.repeat_learned(py, here, &mut learned);
        self.learned.insert(key, learned);
        done
    }

    fn repeat_learned(&mut self, py: Python<'_>, here: &Here<'_>, learned: &mut Learned) -> PyResult<bool> {
        if learned.spot != here.spot() || error::is_strict() || is_traced(py)? {
            return Ok(false);
        }
        let mut left = left(&here.iterator)?;
        // The last round binds the loop's variable.
        left -= usize::from(!here.the_loop().unread && left > 0);
        let round = &mut learned.round;
        if left < round.order() {
            return Ok(false);
        }
        let Some(now) = self.tools.gather(py, &here.places, here.own(), &learned.reach) else { return Ok(false) };
        if !gather::alike(py, &now.atoms, &learned.atoms) || !round.fits(&now.arrays()) || !now.may_replace(round) {
            return Ok(false);
        }
        let kept = now.keep(py);
        let mut start = Instant::now();
        while left >= round.order() {
            let done = error::guarded(py, || round.repeat(&now.arrays(), left))?;
            for _ in 0..done {
                here.iterator.call_method0(intern!(py, "__next__"))?;
            }
            left -= done;
            if left < round.order() || start.elapsed() < TURN {
                continue;
            }
            // Other threads have their turn, and whoever wants to stop the program may. They may do anything.
            py.detach(std::thread::yield_now);
            py.check_signals()?;
            let same = self.tools.gather(py, &here.places, here.own(), &learned.reach).is_some_and(|again| {
                gather::alike(py, &again.atoms, &learned.atoms) && again.same_arrays(&now) && round.fits(&now.arrays())
            });
            if !same {
                break;
            }
            start = Instant::now();
        }
        drop(kept);
        self.pause = PAUSE.0;
        self.next = learned.gap.unwrap_or(1);
        self.mode = Mode::Following { last: Some(here.key()), since: 0 };
        Ok(true)
    }

    /// What is known of the code of a frame, and where in it the frame is.
    fn place<'py>(&mut self, py: Python<'py>, frame: Bound<'py, PyAny>) -> PyResult<Option<Place<'py>>> {
        let (address, at) = key(&frame)?;
        let code = match self.codes.get(&address) {
            Some(code) => code.clone(),
            None => {
                let Some(_look) = looks::begin() else { return Ok(None) };
                if self.codes.len() >= REMEMBERED {
                    // (Addresses are only good as long as the objects are kept.)
                    self.codes.clear();
                    self.learned.clear();
                    self.taken.clear();
                    self.refused.clear();
                    self.asking.clear();
                }
                let object = frame.getattr(intern!(py, "f_code"))?;
                let raw: RawCode = self.analyse.bind(py).call1((&object,))?.extract()?;
                let code = Arc::new(Code::new(object.unbind(), raw));
                self.codes.insert(address, code.clone());
                code
            }
        };
        let line = code.lines.partition_point(|line| line.at <= at);
        if code.library || line == 0 {
            return Ok(None);
        }
        if !code.optimized && !frame.getattr(intern!(py, "f_locals"))?.is(&frame.getattr(intern!(py, "f_globals"))?) {
            return Ok(None);
        }
        Ok(Some(Place { frame, code, line: line - 1 }))
    }

    /// The loop in which an operator with these operands stands: the innermost that may be repeated, or the one of this iterator.
    fn here<'py>(
        &mut self,
        py: Python<'py>,
        a: Object,
        b: Object,
        iterator: Option<&Py<PyAny>>,
    ) -> PyResult<Option<Here<'py>>> {
        let mut places = Vec::new();
        let mut next = frame::current(py);
        while let Some(frame) = next {
            let Some(place) = self.place(py, frame)? else { return Ok(None) };
            let line = &place.code.lines[place.line];
            if places.is_empty() {
                if !self.is_operator(&place, a, b) {
                    return Ok(None);
                }
            } else if !line.call {
                return Ok(None);
            }
            let at = line.at;
            let around = |(_, l): &(usize, &Loop)| l.start < at && at < l.end;
            let loops: Vec<usize> =
                place.code.loops.iter().enumerate().rev().filter(around).map(|(number, _)| number).collect();
            let (whole, back) = (place.code.whole.ok, place.frame.getattr(intern!(py, "f_back"))?);
            places.push(place);
            for number in loops {
                // What is around a loop that does other things does them, too.
                let Some(found) = self.iterator(py, &places, number) else { return Ok(None) };
                // (A short loop is a part of the rounds of the one around it.)
                let fits = match iterator {
                    Some(i) => i.is(&found),
                    None => left(&found)? >= WORTH,
                };
                if fits {
                    return Ok(Some(Here { places, number, iterator: found }));
                }
            }
            if !whole || places.len() == DEEPEST || back.is_none() {
                break;
            }
            next = Some(back);
        }
        Ok(None)
    }

    /// Whether an operator with these operands runs there.
    fn is_operator(&self, place: &Place<'_>, a: Object, b: Object) -> bool {
        let line = &place.code.lines[place.line];
        let operands = [a, b].iter().enumerate().all(|(k, &operand)| {
            // SAFETY: an operator runs, whose operands are the last two references on the stack.
            line.depth >= 2
                && unsafe { self.tools.layout.slot(&place.frame, place.code.slots + line.depth - 2 + k) } == operand
        });
        line.operator && operands
    }

    /// The iterator of a loop of the last of the frames, if it goes over a range and the loop may be repeated.
    fn iterator<'py>(&self, py: Python<'py>, places: &[Place<'py>], number: usize) -> Option<Bound<'py, PyAny>> {
        let place = places.last()?;
        let the_loop = &place.code.loops[number];
        let refused = self.refused.get(&(place.code.address(), the_loop.start));
        if !the_loop.body.ok || refused.is_some_and(|&times| times >= TRIES) {
            return None;
        }
        // SAFETY: the loop runs, so its iterator lies there.
        let object = unsafe {
            let object = self.tools.layout.slot(&place.frame, place.code.slots + the_loop.place);
            Bound::from_borrowed_ptr_or_opt(py, object)?
        };
        self.tools.types.is_range_iterator(&object).then_some(object)
    }
}

impl Here<'_> {
    fn the_loop(&self) -> &Loop {
        &self.places[self.places.len() - 1].code.loops[self.number]
    }

    /// What runs of the code of the loop's own frame.
    fn own(&self) -> Own<'_> {
        let Loop { body, place, .. } = self.the_loop();
        Own { reads: &body.reads, names: &body.names, stack: place + 1 }
    }

    fn spot(&self) -> Spot {
        let of_loop = std::iter::once(self.of_loop());
        self.places.iter().map(|p| (p.code.address(), p.code.lines[p.line].at)).chain(of_loop).collect()
    }

    fn key(&self) -> (usize, u32) {
        let innermost = &self.places[0];
        (innermost.code.address(), innermost.code.lines[innermost.line].at)
    }

    fn of_loop(&self) -> (usize, u32) {
        let last = &self.places[self.places.len() - 1];
        (last.code.address(), self.the_loop().start)
    }
}

/// Numbers that an iterator over a range has left.
pub fn left(iterator: &Bound<'_, PyAny>) -> PyResult<usize> {
    iterator.call_method0(intern!(iterator.py(), "__length_hint__"))?.extract()
}
