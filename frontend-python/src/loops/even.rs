//! Loops whose rounds do the same at places that move on evenly: `for k in range(n): out[k] = f(a[k - 1 : k + 2])`.
//!
//! `_places.py` tells which loops may be such. Their iterator is replaced by one of ours. When Python asks that for the next number, the
//! frame stands between two rounds: all that the loop knows is in the names that a round reads before it binds them. A few
//! rounds are watched so; if they do the same at other places (`runtime/src/round/places.rs`), those that are left are recorded by the
//! runtime, but the last one, which binds every name as it should be.
//!
//! Where another loop does nothing but that one, its iterator is replaced as well ([`outer`]), and what is watched then are whole rows.
//!
//! A boundary file: it replaces references in frames and reads them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use legate_jit_runtime::round::places::rows::{self, Row};
use legate_jit_runtime::round::places::{self, Looked, Places};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFunction, PyString};
use pyo3::{Bound, Py, PyAny, PyResult, intern};

use super::frame::{self, Layout};
use super::gather::{self, Atom, Gathered, Types};
use super::numbers::Numbers;
use super::outer::{Finished, Outer, RawOuter};
use super::reach::{Reach, Tools};
use super::{TRIES, TURN, WORTH, is_traced, key, left};
use crate::{error, nests, value};

/// How often a loop is offered to `nests` before it is taken.
const OFFERS: u32 = 2;
/// Rounds that are watched of a loop that is met for the first time, and of one that went well before.
const WATCHED: (usize, usize) = (3, 2);

/// Local names by their places, and others.
pub(super) type Names = (Vec<usize>, Vec<Py<PyString>>);

pub type Raw = (u32, u32, usize, Names, Names, Option<RawOuter>);

/// A loop that may be of this kind.
pub struct Even {
    pub start: u32,
    pub end: u32,
    /// Of the iterator in the frame.
    place: usize,
    /// What a round reads before it binds it: local names, others.
    reads: Vec<usize>,
    names: Vec<Py<PyString>>,
    /// What must be arrays.
    arrays: Names,
    fate: Fate,
    known: Mutex<Option<Arc<Known>>>,
    /// The loop that does nothing but this one in each of its rounds.
    outer: Option<Outer>,
    /// What is known when the loop ends, for the one around it.
    finished: Mutex<Option<Finished>>,
}

/// What rounds depend on beside local names, and the functions, modules and types for which that was found.
struct Known {
    reach: Reach,
    things: Vec<Py<PyAny>>,
}

/// How the loop did before.
#[derive(Default)]
pub(super) struct Fate {
    /// How often it was left to `nests`, which may have machine code for it.
    offers: AtomicU32,
    went_well: AtomicBool,
    failures: AtomicU32,
}

impl Fate {
    fn is_refused(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= TRIES
    }

    fn fail(&self, weight: u32) {
        self.failures.fetch_add(weight, Ordering::Relaxed);
    }
}

/// Whether what is indexed with places is ours.
fn has_arrays((slots, names): &Names, frame: &Bound<'_, PyAny>, layout: Layout, types: &Types) -> PyResult<bool> {
    let py = frame.py();
    // SAFETY: names of the code.
    let local = |&n: &usize| gather::is_array(py, types, unsafe { layout.slot(frame, n) });
    if !slots.iter().all(local) {
        return Ok(false);
    }
    if names.is_empty() {
        return Ok(true);
    }
    let globals = frame.getattr(intern!(py, "f_globals"))?.cast_into::<PyDict>()?;
    for name in names {
        let ours = globals.get_item(name)?.is_some_and(|o| value::value(&o).is_some_and(|v| v.array().is_some()));
        if !ours {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Even {
    pub fn new((start, end, place, (reads, names), arrays, outer): Raw, slots: usize) -> Even {
        Even {
            start,
            end,
            place: slots + place,
            reads,
            names,
            arrays,
            fate: Fate::default(),
            known: Mutex::new(None),
            outer: outer.map(|raw| Outer::new(raw, slots)),
            finished: Mutex::new(None),
        }
    }

    /// What a round depends on, as it is now; `outer` is for those of the loop around it.
    fn gather(
        &self,
        frame: &Bound<'_, PyAny>,
        layout: Layout,
        types: &Types,
        reach: &Reach,
        outer: Option<&Outer>,
    ) -> Option<Gathered> {
        let py = frame.py();
        let mut all = Gathered::default();
        for &n in self.reads.iter().filter(|n| outer.is_none_or(|o| !o.changes_slot(**n))) {
            // SAFETY: a name of the code.
            all.add_slot(py, types, unsafe { layout.slot(frame, n) })?;
        }
        match outer {
            None => reach.add_to(py, &mut all, types)?,
            Some(outer) => {
                reach.add_others_to(py, &mut all, types, |name| outer.changes(py, name))?;
                // (Functions of the program might read a global name that moves.)
                if outer.changes_globals() && all.things().any(|thing| thing.bind(py).is_instance_of::<PyFunction>()) {
                    return None;
                }
                outer.add_to(frame, layout, &mut all, types)?;
            }
        }
        Some(all)
    }

    fn finished(&self) -> std::sync::MutexGuard<'_, Option<Finished>> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reach, found out anew where it has changed.
    fn known(
        &self,
        frame: &Bound<'_, PyAny>,
        layout: Layout,
        types: &Types,
        find: &Py<PyAny>,
    ) -> PyResult<Option<Arc<Known>>> {
        let py = frame.py();
        let globals = frame.getattr(intern!(py, "f_globals"))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            let same = known.reach.globals.first().is_none_or(|(dict, _)| dict.is(&globals))
                && self
                    .gather(frame, layout, types, &known.reach, None)
                    .is_some_and(|now| now.has_things(&known.things));
            if same {
                return Ok(Some(known.clone()));
            }
        }
        let Some(now) = self.gather(frame, layout, types, &Reach::default(), None) else { return Ok(None) };
        let names: Vec<_> = self.names.iter().map(|n| n.clone_ref(py)).collect();
        let things: Vec<&Py<PyAny>> = now.things().collect();
        let Some(reach) = Reach::find(py, find, vec![(globals, names)], things)? else { return Ok(None) };
        let Some(now) = self.gather(frame, layout, types, &reach, None) else { return Ok(None) };
        let things = now.things().map(|thing| thing.clone_ref(py)).collect();
        let found = Arc::new(Known { reach, things });
        *known = Some(found.clone());
        Ok(Some(found))
    }
}
/// What became of a loop.
pub enum Taken {
    /// It is none for here, or not now.
    No,
    /// Others have a look at it first.
    Offered,
    /// Our iterator stands in place of the range's; whether that is so from the first round on.
    Yes(bool),
}

/// Puts our iterator in place of a range's, if the loop is worth it.
pub fn take(frame: &Bound<'_, PyAny>, even: &Arc<Even>, tools: &Arc<Tools>) -> PyResult<Taken> {
    let py = frame.py();
    if even.fate.is_refused() {
        return Ok(Taken::No);
    }
    // SAFETY: the loop runs, so its iterator lies there.
    let iterator = unsafe { Bound::from_borrowed_ptr_or_opt(py, tools.layout.slot(frame, even.place)) };
    let Some(iterator) = iterator.filter(|i| tools.types.is_range_iterator(i)) else { return Ok(Taken::No) };
    if left(&iterator)? < WORTH + WATCHED.0 || error::is_strict() || is_traced(py)? {
        return Ok(Taken::No);
    }
    if even.fate.offers.load(Ordering::Relaxed) < OFFERS {
        even.fate.offers.fetch_add(1, Ordering::Relaxed);
        nests::look_soon();
        return Ok(Taken::Offered);
    }
    let Some(known) = even.known(frame, tools.layout, &tools.types, &tools.reach)? else {
        even.fate.fail(TRIES);
        return Ok(Taken::No);
    };
    if !has_arrays(&even.arrays, frame, tools.layout, &tools.types)? {
        even.fate.fail(1);
        return Ok(Taken::No);
    }
    let taken = Course::put(frame, even, tools, &known, (&iterator, false))?;
    take_outer(frame, even, tools, &known)?;
    Ok(Taken::Yes(taken == 1))
}

/// The same for the loop around, if it does nothing else.
fn take_outer(frame: &Bound<'_, PyAny>, even: &Arc<Even>, tools: &Arc<Tools>, known: &Arc<Known>) -> PyResult<()> {
    let py = frame.py();
    let Some(outer) = even.outer.as_ref().filter(|outer| !outer.fate.is_refused()) else { return Ok(()) };
    // SAFETY: the loop runs, so its iterator lies there.
    let iterator = unsafe { Bound::from_borrowed_ptr_or_opt(py, tools.layout.slot(frame, outer.place)) };
    let Some(iterator) = iterator.filter(|i| tools.types.is_range_iterator(i)) else { return Ok(()) };
    if left(&iterator)? >= WORTH + WATCHED.1 && has_arrays(&outer.arrays, frame, tools.layout, &tools.types)? {
        Course::put(frame, even, tools, known, (&iterator, true))?;
    }
    Ok(())
}

/// A loop that is watched, and then repeated.
struct Course {
    even: Arc<Even>,
    /// It is the loop around that one.
    is_outer: bool,
    tools: Arc<Tools>,
    /// Address of the code, which the frame keeps.
    code: usize,
    known: Arc<Known>,
    /// What a round's names held, and rounds that were seen since: of a loop around another one, rows.
    atoms: Vec<Atom>,
    seen: Vec<Looked>,
    rows: Vec<Row>,
    watch: Option<rows::Watch>,
    /// The number of the round that was seen first, and of all rounds.
    first: usize,
    all: usize,
    watches: bool,
    tries: u32,
    places: Option<Places>,
}

/// How to go on.
#[derive(PartialEq)]
enum Then {
    Watch,
    /// The rest is Python's.
    Stop,
}

impl Course {
    /// Puts an iterator of ours in place of this one; how many numbers that has given.
    fn put(
        frame: &Bound<'_, PyAny>,
        even: &Arc<Even>,
        tools: &Arc<Tools>,
        known: &Arc<Known>,
        (iterator, is_outer): (&Bound<'_, PyAny>, bool),
    ) -> PyResult<i64> {
        let (numbers, taken) = Numbers::of(iterator)?;
        let course = Course {
            even: even.clone(),
            is_outer,
            tools: tools.clone(),
            code: key(frame)?.0,
            known: known.clone(),
            atoms: Vec::new(),
            seen: Vec::new(),
            rows: Vec::new(),
            watch: None,
            first: 0,
            all: numbers.left() + taken as usize,
            watches: false,
            tries: 0,
            places: None,
        };
        let place = course.place();
        let rounds = Rounds { numbers, course: Mutex::new(Some(Box::new(course))) };
        // SAFETY: the loop runs, and no instruction but those of its head uses the iterator.
        unsafe { tools.layout.replace(frame, place, Bound::new(frame.py(), rounds)?.into_any()) };
        Ok(taken)
    }

    fn outer(&self) -> Option<&Outer> {
        self.even.outer.as_ref().filter(|_| self.is_outer)
    }

    fn fate(&self) -> &Fate {
        self.outer().map_or(&self.even.fate, |outer| &outer.fate)
    }

    /// Where the loop begins, and where its iterator is.
    fn start(&self) -> u32 {
        self.outer().map_or(self.even.start, |outer| outer.start)
    }

    fn place(&self) -> usize {
        self.outer().map_or(self.even.place, |outer| outer.place)
    }

    fn gather(&self, frame: &Bound<'_, PyAny>) -> Option<Gathered> {
        self.even.gather(frame, self.tools.layout, &self.tools.types, &self.known.reach, self.outer())
    }

    /// Looks on from here to the next round.
    fn begin(&mut self, now: Gathered, rounds: &Rounds) {
        if self.is_outer {
            *self.even.finished() = None;
            self.watch = Some(rows::watch());
        } else {
            if self.seen.is_empty() {
                self.first = self.all - rounds.numbers.left();
            }
            places::begin(&now.arrays());
        }
        self.atoms = now.atoms;
        self.watches = true;
    }

    /// The round since `begin` was seen; if it is none to be repeated, it all begins anew.
    fn end(&mut self, frame: &Bound<'_, PyAny>, now: &Gathered) {
        self.watches = false;
        let alike = gather::alike(frame.py(), &now.atoms, &self.atoms);
        let seen = if self.is_outer {
            let row = self.even.finished().take().filter(|row| alike && row.is_of(frame));
            let row = row.zip(self.watch.take()).and_then(|(row, watch)| row.seen(&watch));
            row.map(|row| self.rows.push(row))
        } else {
            places::end(&now.arrays()).filter(|_| alike).map(|looked| self.seen.push(looked))
        };
        if seen.is_none() {
            self.seen.clear();
            self.rows.clear();
            self.tries += 1;
        }
    }

    fn learn(&mut self) {
        self.places = match self.is_outer {
            true => Places::of_rows(std::mem::take(&mut self.rows)),
            false => Places::learn(std::mem::take(&mut self.seen)),
        };
        self.tries += u32::from(self.places.is_none());
    }

    /// The loop has come to its last round.
    fn finish(&mut self, frame: &Bound<'_, PyAny>) {
        if !self.is_outer
            && self.even.outer.is_some()
            && let Some(places) = self.places.take()
        {
            *self.even.finished() = Some(Finished::new(frame, places, self.first, self.all));
        }
    }

    /// Before Python's next round, of `rounds.left`.
    fn step(&mut self, frame: &Bound<'_, PyAny>, rounds: &Rounds) -> PyResult<Then> {
        let py = frame.py();
        let Some(mut now) = self.gather(frame) else {
            self.fate().fail(1);
            return Ok(Then::Stop);
        };
        if self.places.is_none() {
            if self.watches {
                self.end(frame, &now);
            }
            let well = self.fate().went_well.load(Ordering::Relaxed);
            let enough = if well { WATCHED.1 } else { WATCHED.0 };
            if self.seen.len().max(self.rows.len()) == enough {
                self.learn();
            }
            if self.tries >= TRIES {
                self.fate().fail(1);
                return Ok(Then::Stop);
            }
        } else if let Some(places) = &mut self.places {
            places.pass(1);
        }
        let mut start = None;
        while let Some(places) = &mut self.places {
            // The last round is Python's.
            let left = rounds.numbers.left().saturating_sub(1);
            if left == 0 {
                self.finish(frame);
                return Ok(Then::Stop);
            }
            if places.left() == 0 {
                // It goes on in another way, if at all.
                self.places = None;
                break;
            }
            let fits = gather::alike(py, &now.atoms, &self.atoms)
                && places.round().fits(&now.arrays())
                && now.may_replace(places.round());
            if !fits {
                self.fate().fail(1);
                return Ok(Then::Stop);
            }
            let start = *start.get_or_insert_with(Instant::now);
            let mut left = left;
            while left > 0 && places.left() > 0 && start.elapsed() < TURN {
                let done = error::guarded(py, || places.repeat(&now.arrays(), left))?;
                rounds.numbers.advance(done);
                left -= done;
            }
            if places.are_rows_apart() {
                self.fate().fail(TRIES);
                return Ok(Then::Stop);
            }
            if left > 0 && places.left() > 0 {
                // Python's next round lets others have their turn.
                return Ok(Then::Watch);
            }
            self.fate().went_well.store(true, Ordering::Relaxed);
            self.fate().failures.store(0, Ordering::Relaxed);
            let Some(again) = self.gather(frame) else { return Ok(Then::Stop) };
            now = again;
        }
        if rounds.numbers.left() < WORTH + WATCHED.1 {
            return Ok(Then::Stop);
        }
        self.begin(now, rounds);
        Ok(Then::Watch)
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        if self.watches && !self.is_outer {
            places::end(&[]);
        }
    }
}

/// The numbers of a range, as its own iterator gives them; on the way it has the runtime do rounds.
#[pyclass(frozen, name = "EvenRounds", module = "legate_jit")]
pub struct Rounds {
    numbers: Numbers,
    course: Mutex<Option<Box<Course>>>,
}

impl Rounds {
    fn course(&self) -> std::sync::MutexGuard<'_, Option<Box<Course>>> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, slf: &Bound<'_, Rounds>, course: &mut Course) -> PyResult<Then> {
        let py = slf.py();
        let Some(frame) = frame::current(py) else { return Ok(Then::Stop) };
        // (Whoever found the iterator elsewhere may ask it from anywhere.)
        let (address, at) = key(&frame)?;
        // SAFETY: the same code, at the head of the loop, whose iterator lies there.
        let here = address == course.code
            && at == course.start()
            && unsafe { course.tools.layout.slot(&frame, course.place()) } == slf.as_ptr();
        if !here || error::is_strict() || is_traced(py)? {
            return Ok(Then::Stop);
        }
        course.step(&frame, self)
    }
}

#[pymethods]
impl Rounds {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(slf: &Bound<'_, Self>) -> PyResult<Option<i64>> {
        let this = slf.get();
        // (Not locked while it runs: it may come back here.)
        let course = this.course().take();
        if let Some(mut course) = course
            && this.run(slf, &mut course)? == Then::Watch
        {
            *this.course() = Some(course);
        }
        Ok(this.numbers.take())
    }

    fn __length_hint__(&self) -> usize {
        self.numbers.left()
    }
}
