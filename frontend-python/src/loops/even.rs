//! Loops whose rounds do the same at places that move on evenly: `for k in range(n): out[k] = f(a[k - 1 : k + 2])`.
//!
//! `_places.py` tells which loops may be such. Their iterator is replaced by one of ours. When Python asks that for the next number, the
//! frame stands between two rounds: all that the loop knows is in the names that a round reads before it binds them. A few
//! rounds are watched so; if they do the same at other places (`runtime/src/round/places.rs`), those that are left are recorded by the
//! runtime, but the last one, which binds every name as it should be.
//!
//! A boundary file: it replaces references in frames and reads them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use legate_jit_runtime::round::places::{self, Looked, Places};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use pyo3::{Bound, Py, PyAny, PyResult, intern};

use super::frame::{self, Layout};
use super::gather::{self, Atom, Gathered, Types};
use super::numbers::Numbers;
use super::reach::{Reach, Tools};
use super::{TRIES, TURN, WORTH, is_traced, key, left};
use crate::{error, nests, value};

/// How often a loop is offered to `nests` before it is taken.
const OFFERS: u32 = 2;
/// Rounds that are watched of a loop that is met for the first time, and of one that went well before.
const WATCHED: (usize, usize) = (3, 2);

pub type Raw = (u32, u32, usize, (Vec<usize>, Vec<Py<PyString>>), Vec<usize>, Vec<Py<PyString>>);

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
    arrays: Vec<usize>,
    array_names: Vec<Py<PyString>>,
    fate: Fate,
    known: Mutex<Option<Arc<Known>>>,
}

/// What rounds depend on beside local names, and the functions, modules and types for which that was found.
struct Known {
    reach: Reach,
    things: Vec<Py<PyAny>>,
}

/// How the loop did before.
#[derive(Default)]
struct Fate {
    /// How often it was left to `nests`, which may have machine code for it.
    offers: AtomicU32,
    went_well: AtomicBool,
    failures: AtomicU32,
}

impl Even {
    pub fn new((start, end, place, (reads, names), arrays, array_names): Raw, slots: usize) -> Even {
        let place = slots + place;
        let (fate, known) = (Fate::default(), Mutex::new(None));
        Even { start, end, place, reads, names, arrays, array_names, fate, known }
    }

    fn is_refused(&self) -> bool {
        self.fate.failures.load(Ordering::Relaxed) >= TRIES
    }

    fn fail(&self, weight: u32) {
        self.fate.failures.fetch_add(weight, Ordering::Relaxed);
    }

    /// Whether what is indexed with places is ours.
    fn has_arrays(&self, frame: &Bound<'_, PyAny>, layout: Layout, types: &Types) -> PyResult<bool> {
        let py = frame.py();
        // SAFETY: names of the code.
        let local = |&n: &usize| gather::is_array(py, types, unsafe { layout.slot(frame, n) });
        if !self.arrays.iter().all(local) {
            return Ok(false);
        }
        if self.array_names.is_empty() {
            return Ok(true);
        }
        let globals = frame.getattr(intern!(py, "f_globals"))?.cast_into::<PyDict>()?;
        for name in &self.array_names {
            let ours = globals.get_item(name)?.is_some_and(|o| value::value(&o).is_some_and(|v| v.array().is_some()));
            if !ours {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What a round depends on, as it is now.
    fn gather(&self, frame: &Bound<'_, PyAny>, layout: Layout, types: &Types, reach: &Reach) -> Option<Gathered> {
        let py = frame.py();
        let mut all = Gathered::default();
        for &n in &self.reads {
            // SAFETY: a name of the code.
            all.add_slot(py, types, unsafe { layout.slot(frame, n) })?;
        }
        reach.add_to(py, &mut all, types)?;
        Some(all)
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
                && self.gather(frame, layout, types, &known.reach).is_some_and(|now| now.has_things(&known.things));
            if same {
                return Ok(Some(known.clone()));
            }
        }
        let Some(now) = self.gather(frame, layout, types, &Reach::default()) else { return Ok(None) };
        let names: Vec<_> = self.names.iter().map(|n| n.clone_ref(py)).collect();
        let things: Vec<&Py<PyAny>> = now.things().collect();
        let Some(reach) = Reach::find(py, find, vec![(globals, names)], things)? else { return Ok(None) };
        let Some(now) = self.gather(frame, layout, types, &reach) else { return Ok(None) };
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
    if even.is_refused() {
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
        even.fail(TRIES);
        return Ok(Taken::No);
    };
    if !even.has_arrays(frame, tools.layout, &tools.types)? {
        even.fail(1);
        return Ok(Taken::No);
    }
    let (numbers, taken) = Numbers::of(&iterator)?;
    let course = Course {
        even: even.clone(),
        tools: tools.clone(),
        code: key(frame)?.0,
        known,
        atoms: Vec::new(),
        seen: Vec::new(),
        watches: false,
        tries: 0,
        places: None,
    };
    let rounds = Rounds { numbers, course: Mutex::new(Some(Box::new(course))) };
    // SAFETY: as above; no instruction but those of the loop's head uses the iterator.
    unsafe { tools.layout.replace(frame, even.place, Bound::new(py, rounds)?.into_any()) };
    Ok(Taken::Yes(taken == 1))
}

/// A loop that is watched, and then repeated.
struct Course {
    even: Arc<Even>,
    tools: Arc<Tools>,
    /// Address of the code, which the frame keeps.
    code: usize,
    known: Arc<Known>,
    /// What a round's names held, and rounds that were seen since.
    atoms: Vec<Atom>,
    seen: Vec<Looked>,
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
    fn gather(&self, frame: &Bound<'_, PyAny>) -> Option<Gathered> {
        self.even.gather(frame, self.tools.layout, &self.tools.types, &self.known.reach)
    }

    /// Before Python's next round, of `rounds.left`.
    fn step(&mut self, frame: &Bound<'_, PyAny>, rounds: &Rounds) -> PyResult<Then> {
        let py = frame.py();
        let Some(mut now) = self.gather(frame) else {
            self.even.fail(1);
            return Ok(Then::Stop);
        };
        if self.places.is_none() {
            if self.watches {
                self.watches = false;
                let looked = places::end(&now.arrays());
                match looked.filter(|_| gather::alike(py, &now.atoms, &self.atoms)) {
                    Some(looked) => self.seen.push(looked),
                    None => {
                        self.seen.clear();
                        self.tries += 1;
                    }
                }
            }
            let well = self.even.fate.went_well.load(Ordering::Relaxed);
            let enough = if well { WATCHED.1 } else { WATCHED.0 };
            if self.seen.len() == enough {
                self.places = Places::learn(std::mem::take(&mut self.seen));
                self.tries += u32::from(self.places.is_none());
            }
            if self.tries >= TRIES {
                self.even.fail(1);
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
                self.even.fail(1);
                return Ok(Then::Stop);
            }
            let start = *start.get_or_insert_with(Instant::now);
            let mut left = left;
            while left > 0 && places.left() > 0 && start.elapsed() < TURN {
                let done = error::guarded(py, || places.repeat(&now.arrays(), left))?;
                rounds.numbers.advance(done);
                left -= done;
            }
            if left > 0 && places.left() > 0 {
                // Python's next round lets others have their turn.
                return Ok(Then::Watch);
            }
            self.even.fate.went_well.store(true, Ordering::Relaxed);
            self.even.fate.failures.store(0, Ordering::Relaxed);
            let Some(again) = self.gather(frame) else { return Ok(Then::Stop) };
            now = again;
        }
        if rounds.numbers.left() < WORTH + WATCHED.1 {
            return Ok(Then::Stop);
        }
        places::begin(&now.arrays());
        self.atoms = now.atoms;
        self.watches = true;
        Ok(Then::Watch)
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        if self.watches {
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
            && at == course.even.start
            && unsafe { course.tools.layout.slot(&frame, course.even.place) } == slf.as_ptr();
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
