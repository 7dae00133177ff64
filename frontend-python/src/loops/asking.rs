//! Loops that ask for one value in every round: `while change > tol`, `if np.max(error) < eps: break`.
//!
//! Where a program asks whether an array is true, it is looked up now and then (`question`) whether that decides on a loop's going on. If
//! so, the first operator of the next round is where rounds begin, perhaps in a function that the loop calls. `_asking.py` follows
//! the round from there to there: it may count (`step` says what the numbers are after a round, or that another one goes another
//! way), and else may do what the rounds of loops over a range may do. What is recorded and run meanwhile is learned by the
//! runtime (`round/asking.rs`), which then does round after round while the answer is the same and `step` has one. The round
//! with another answer, and rounds that go other ways, are Python's.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Instant;

use legate_jit_runtime::round::{Round, asking};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python, intern};

use super::code::{Place, key};
use super::gather::{self, Atom};
use super::reach::{Own, Reach};
use super::{DEEPEST, LEFT, Mode, PAUSE, REMEMBERED, Spot, TRIES, TURN, Watcher, frame, is_traced, with_watcher};
use crate::slots::Object;
use crate::{error, looks};

/// Questions before the first look, and the least and the most between two that find nothing.
const FIRST: u32 = 32;
const BETWEEN: (u32, u32) = (16, 1 << 12);
/// Operators after a question in which a round may begin, and for which it is waited for to end.
const SOON: u32 = 4;
const PATIENCE: u32 = 1 << 13;
/// How often fewer rounds than two may be done before the loop is given up.
const VAIN: u32 = 8;

/// Questions to go until the next look.
static LEFT_TO_ASK: AtomicU32 = AtomicU32::new(FIRST);
/// A round is watched, whose question is to be noted.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Called where it is asked whether an array is true, or how a number compares; `tell` tells the runtime, if a round is watched.
#[inline(always)]
pub fn asked(py: Python<'_>, answer: impl FnOnce() -> PyResult<bool>, tell: impl FnOnce(bool)) -> PyResult<()> {
    let left = LEFT_TO_ASK.load(Ordering::Relaxed).wrapping_sub(1);
    LEFT_TO_ASK.store(left, Ordering::Relaxed);
    let watched = WATCHED.load(Ordering::Relaxed);
    if left != 0 && !watched {
        return Ok(());
    }
    let answer = answer()?;
    if watched {
        tell(answer);
    }
    note(py, answer, watched)
}

/// See `look_for_loops`.
pub fn look_soon() {
    LEFT_TO_ASK.store(1, Ordering::Relaxed);
}

#[cold]
fn note(py: Python<'_>, answer: bool, watched: bool) -> PyResult<()> {
    LEFT_TO_ASK.store(SOON, Ordering::Relaxed);
    let left = LEFT.load(Ordering::Relaxed);
    let mut soon = false;
    let result = with_watcher(py, |watcher| {
        soon = if watched { watcher.answered(py, answer)? } else { watcher.question(py, answer)? };
        Ok(())
    });
    LEFT.store(if soon { 1 } else { left }, Ordering::Relaxed);
    result
}

/// A place where a value is asked for: the code object, and the offset in it.
type Question = (usize, u32);

/// The loop on whose going on a question decides: its first offset, the one behind, and references on the stack below its body; and
/// the jump that decides.
#[derive(Clone, Copy)]
struct Range {
    first: u32,
    behind: u32,
    base: usize,
    jump: u32,
}

#[derive(Clone, Copy)]
pub(super) struct Asked {
    question: Question,
    answer: bool,
    range: Range,
}

/// What a round does: see `_asking.follow`.
struct Way {
    /// Places of local names.
    slots: Vec<usize>,
    names: Vec<Py<PyString>>,
    /// Numbers that change, with the place of the name if it is a local one.
    moving: Vec<(Py<PyString>, Option<usize>)>,
    /// The loop has an iterator, whose next number `step` is given.
    iterates: bool,
    step: Option<Py<PyAny>>,
}

/// A round that is watched.
pub(super) struct Watched {
    asked: Asked,
    spot: Spot,
    way: Way,
    reach: Reach,
    atoms: Vec<Atom>,
    /// What the numbers that change will be at its end.
    after: Py<PyTuple>,
    ticks: u32,
}

pub(super) enum Stage {
    /// For the first operator after the question.
    Begins(Asked, u32),
    /// For the same one in the next round.
    Watched(Box<Watched>),
}

/// A loop whose round is known.
struct Learned {
    spot: Spot,
    way: Way,
    reach: Reach,
    atoms: Vec<Atom>,
    round: Round,
    vain: u32,
    /// How often in turn the loop was not what it was.
    misses: u32,
}

/// What is known of questions.
pub(super) struct Known {
    question: Py<PyAny>,
    names: Py<PyAny>,
    follow: Py<PyAny>,
    ranges: HashMap<Question, Option<Range>>,
    learned: HashMap<Question, Learned>,
    refused: HashMap<Question, u32>,
    pause: u32,
}

impl Known {
    pub(super) fn new(module: &Bound<'_, PyModule>) -> PyResult<Known> {
        Ok(Known {
            question: module.getattr("question")?.unbind(),
            names: module.getattr("names")?.unbind(),
            follow: module.getattr("follow")?.unbind(),
            ranges: HashMap::new(),
            learned: HashMap::new(),
            refused: HashMap::new(),
            pause: BETWEEN.0,
        })
    }

    /// Code objects are forgotten, whose addresses were all that was known of them.
    pub(super) fn clear(&mut self) {
        self.ranges.clear();
        self.learned.clear();
        self.refused.clear();
    }

    fn refuse(&mut self, question: Question, weight: u32) {
        *self.refused.entry(question).or_default() += weight;
    }
}

impl Watcher {
    /// Looks whether a question that is being asked decides on a loop's going on. If so, the next operator is looked at.
    fn question(&mut self, py: Python<'_>, answer: bool) -> PyResult<bool> {
        if !matches!(self.mode, Mode::Idle | Mode::Following { .. }) {
            return Ok(false);
        }
        let Some(frame) = frame::current(py) else { return Ok(false) };
        let question = key(&frame)?;
        let refused = self.asking.refused.get(&question).is_some_and(|&times| times >= TRIES);
        let place = if refused { None } else { self.place(py, frame)? };
        let range = match place {
            Some(place) => self.range(py, question, &place)?,
            None => None,
        };
        let Some(range) = range else {
            self.asking.pause = (2 * self.asking.pause).min(BETWEEN.1);
            LEFT_TO_ASK.store(self.asking.pause, Ordering::Relaxed);
            return Ok(false);
        };
        self.asking.pause = BETWEEN.0;
        self.mode = Mode::Asking(Stage::Begins(Asked { question, answer, range }, 0));
        Ok(true)
    }

    /// A question was answered while a round is watched. Whether the round may still be one to learn.
    fn answered(&mut self, py: Python<'_>, answer: bool) -> PyResult<bool> {
        let Mode::Asking(Stage::Watched(watched)) = &self.mode else { return Ok(false) };
        let Asked { question, answer: before, .. } = watched.asked;
        let here = frame::current(py).map(|frame| key(&frame)).transpose()? == Some(question);
        if here && answer == before {
            return Ok(true);
        }
        // It was the loop's last round, or one that asks for more.
        self.unwatch();
        self.leave(question, u32::from(!here))?;
        Ok(false)
    }

    fn unwatch(&mut self) {
        WATCHED.store(false, Ordering::Relaxed);
        asking::end(&[]);
    }

    fn range(&mut self, py: Python<'_>, question: Question, place: &Place<'_>) -> PyResult<Option<Range>> {
        if let Some(known) = self.asking.ranges.get(&question) {
            return Ok(*known);
        }
        let found: Option<(u32, u32, usize, u32)> =
            self.asking.question.bind(py).call1((&place.code.object, question.1))?.extract()?;
        let range = found.map(|(first, behind, base, jump)| Range { first, behind, base, jump });
        if self.asking.ranges.len() >= REMEMBERED {
            self.asking.ranges.clear();
        }
        self.asking.ranges.insert(question, range);
        Ok(range)
    }

    /// An operator, while a round is about to begin or to end.
    pub(super) fn asking(&mut self, py: Python<'_>, a: Object, b: Object, stage: Stage) -> PyResult<()> {
        match stage {
            Stage::Begins(asked, ticks) => match self.places_of(py, a, b, &asked)? {
                Some(places) => self.begins(py, &places, asked),
                None if ticks < SOON => {
                    self.mode = Mode::Asking(Stage::Begins(asked, ticks + 1));
                    Ok(())
                }
                None => self.leave(asked.question, 1),
            },
            Stage::Watched(watched) => self.watched(py, a, b, watched),
        }
    }

    /// Goes on without the loop.
    fn leave(&mut self, question: Question, weight: u32) -> PyResult<()> {
        self.asking.refuse(question, weight);
        self.mode = Mode::Idle;
        self.next = PAUSE.0;
        // (Soon, where it is known.)
        LEFT_TO_ASK.store(if weight == 0 { 1 } else { SOON }, Ordering::Relaxed);
        Ok(())
    }

    /// The frames from one in which an operator with these operands runs to the one of the loop.
    fn places_of<'py>(
        &mut self,
        py: Python<'py>,
        a: Object,
        b: Object,
        asked: &Asked,
    ) -> PyResult<Option<Vec<Place<'py>>>> {
        let mut places = Vec::new();
        let mut next = frame::current(py);
        while let Some(frame) = next {
            let Some(place) = self.place(py, frame)? else { return Ok(None) };
            let line = &place.code.lines[place.line];
            let runs = if places.is_empty() { self.is_operator(&place, a, b) } else { line.call };
            if !runs {
                return Ok(None);
            }
            let range = asked.range;
            if place.code.address() == asked.question.0 && range.first <= line.at && line.at < range.behind {
                places.push(place);
                return Ok(Some(places));
            }
            let (whole, back) = (place.code.whole.ok, place.frame.getattr(intern!(py, "f_back"))?);
            places.push(place);
            if !whole || places.len() == DEEPEST || back.is_none() {
                break;
            }
            next = Some(back);
        }
        Ok(None)
    }

    /// A round begins: one of a loop that is known, or one to watch.
    fn begins(&mut self, py: Python<'_>, places: &[Place<'_>], asked: Asked) -> PyResult<()> {
        if let Some(mut learned) = self.asking.learned.remove(&asked.question) {
            let done = self.repeat_asking(py, places, &asked, &mut learned)?;
            if done && learned.vain >= VAIN {
                return self.leave(asked.question, TRIES);
            }
            // (In the first round of a loop names hold what they never do again.)
            learned.misses = if done { 0 } else { learned.misses + 1 };
            if learned.misses < TRIES {
                self.asking.learned.insert(asked.question, learned);
                return if done { Ok(()) } else { self.leave(asked.question, 0) };
            }
        }
        let look = looks::begin();
        if look.is_none() || error::is_strict() || is_traced(py)? {
            return self.leave(asked.question, 0);
        }
        let Some(way) = self.follow_round(py, places, &asked)? else { return self.leave(asked.question, 1) };
        let Some(reach) = self.tools.reach_of(py, places, way.own(&asked))? else {
            return self.leave(asked.question, 1);
        };
        let globals = places[places.len() - 1].frame.getattr(intern!(py, "f_globals"))?;
        // Functions may not see what only the loop knows.
        let seen = |(name, slot): &(Py<PyString>, Option<usize>)| {
            let same = |other: &Py<PyString>| other.bind(py).as_any().eq(name.bind(py)).unwrap_or(true);
            slot.is_none() && reach.globals.iter().any(|(g, other)| g.bind(py).is(&globals) && same(other))
        };
        if way.moving.iter().any(seen) {
            return self.leave(asked.question, TRIES);
        }
        let Some(gathered) = self.tools.gather(py, places, way.own(&asked), &reach) else {
            return self.leave(asked.question, 1);
        };
        let before = self.numbers(py, places, &way)?;
        let mut coming = self.coming(py, places, &asked, &way)?;
        let Some(after) = way.after(before, coming.as_mut())? else { return self.leave(asked.question, 1) };
        if !asking::begin(&gathered.arrays()) {
            return self.leave(asked.question, 1);
        }
        WATCHED.store(true, Ordering::Relaxed);
        let (spot, atoms, after) = (spot(places), gathered.atoms, after.unbind());
        let watched = Watched { asked, spot, way, reach, atoms, after, ticks: 0 };
        self.mode = Mode::Asking(Stage::Watched(Box::new(watched)));
        Ok(())
    }

    fn watched(&mut self, py: Python<'_>, a: Object, b: Object, mut watched: Box<Watched>) -> PyResult<()> {
        watched.ticks += 1;
        let question = watched.asked.question;
        let here = match frame::current(py) {
            Some(frame) if key(&frame)? == watched.spot[0] => self.places_of(py, a, b, &watched.asked)?,
            _ => None,
        };
        let Some(places) = here.filter(|places| spot(places) == watched.spot) else {
            if watched.ticks < PATIENCE {
                self.mode = Mode::Asking(Stage::Watched(watched));
                return Ok(());
            }
            self.unwatch();
            return self.leave(question, 1);
        };
        WATCHED.store(false, Ordering::Relaxed);
        let Watched { asked, spot, way, reach, atoms, after, .. } = *watched;
        let gathered = self.tools.gather(py, &places, way.own(&asked), &reach);
        let round = match &gathered {
            Some(now) => {
                let alike = gather::alike(py, &now.atoms, &atoms);
                asking::end(&now.arrays()).filter(|round| alike && now.may_replace(round))
            }
            None => None,
        };
        let same = self.numbers(py, &places, &way)?.eq(after)?;
        let Some(round) = round.filter(|_| same) else {
            self.unwatch();
            return self.leave(question, 1);
        };
        drop(gathered);
        if self.asking.learned.len() >= REMEMBERED {
            self.asking.learned.clear();
        }
        let mut learned = Learned { spot, way, reach, atoms, round, vain: 0, misses: 0 };
        let done = self.repeat_asking(py, &places, &asked, &mut learned);
        self.asking.learned.insert(question, learned);
        if done? { Ok(()) } else { self.leave(question, 1) }
    }

    /// Asks what a round does.
    fn follow_round(&self, py: Python<'_>, places: &[Place<'_>], asked: &Asked) -> PyResult<Option<Way>> {
        let place = &places[places.len() - 1];
        let code = &place.code;
        let (local, others): (Vec<Py<PyString>>, Vec<Py<PyString>>) =
            self.asking.names.bind(py).call1((&code.object,))?.extract()?;
        let globals = place.frame.getattr(intern!(py, "f_globals"))?.cast_into::<PyDict>()?;
        let (mut of_frame, in_globals) = (PyDict::new(py), PyDict::new(py));
        for (slot, name) in local.iter().enumerate() {
            // SAFETY: a name of the code.
            let object = unsafe { Bound::from_borrowed_ptr_or_opt(py, self.tools.layout.slot(&place.frame, slot)) };
            if let Some(number) = object.filter(is_number) {
                of_frame.set_item(name, number)?;
            }
        }
        for name in &others {
            if let Some(number) = globals.get_item(name)?.filter(is_number) {
                in_globals.set_item(name, number)?;
            }
        }
        if !code.optimized {
            of_frame = in_globals.clone();
        }
        let line = &code.lines[place.line];
        let Asked { answer, range, .. } = *asked;
        let coming = match self.iterator_of(py, place, asked) {
            Some(iterator) => copied(&iterator)?.call_method0(intern!(py, "__next__")).ok(),
            None => None,
        };
        let arguments = (&code.object, line.at, range.jump, answer, range.first, coming, of_frame, in_globals);
        type Found = Option<(Vec<usize>, Vec<Py<PyString>>, Vec<Py<PyString>>, bool, Option<Py<PyAny>>)>;
        let found: Found = self.asking.follow.bind(py).call1(arguments)?.extract()?;
        let Some((slots, names, moving, iterates, step)) = found else { return Ok(None) };
        let with_slot = |name: Py<PyString>| {
            let slot = local.iter().position(|l| l.bind(py).as_any().eq(name.bind(py)).unwrap_or(false));
            let slot = slot.filter(|_| code.optimized);
            (name, slot)
        };
        Ok(Some(Way { slots, names, moving: moving.into_iter().map(with_slot).collect(), iterates, step }))
    }

    /// The loop's iterator, if it goes over a range.
    fn iterator_of<'py>(&self, py: Python<'py>, place: &Place<'py>, asked: &Asked) -> Option<Bound<'py, PyAny>> {
        let top = asked.range.base.checked_sub(1)?;
        // SAFETY: the loop runs, so there is so much on the stack.
        let object = unsafe {
            let object = self.tools.layout.slot(&place.frame, place.code.slots + top);
            Bound::from_borrowed_ptr_or_opt(py, object)?
        };
        self.tools.types.is_range_iterator(&object).then_some(object)
    }

    /// An iterator that gives what the loop's will give, if it has one.
    fn coming<'py>(
        &self,
        py: Python<'py>,
        places: &[Place<'py>],
        asked: &Asked,
        way: &Way,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let iterator = self.iterator_of(py, &places[places.len() - 1], asked).filter(|_| way.iterates);
        iterator.map(|iterator| copied(&iterator)).transpose()
    }

    /// The numbers that change, as they are now.
    fn numbers<'py>(&self, py: Python<'py>, places: &[Place<'py>], way: &Way) -> PyResult<Bound<'py, PyTuple>> {
        let frame = &places[places.len() - 1].frame;
        let mut numbers = Vec::new();
        for (name, slot) in &way.moving {
            let number = match slot {
                // SAFETY: a name of the code.
                Some(slot) => unsafe { Bound::from_borrowed_ptr_or_opt(py, self.tools.layout.slot(frame, *slot)) },
                None => frame.getattr(intern!(py, "f_globals"))?.cast_into::<PyDict>()?.get_item(name)?,
            };
            numbers.push(number.unwrap_or_else(|| py.None().into_bound(py)));
        }
        PyTuple::new(py, numbers)
    }

    fn set_numbers(&self, places: &[Place<'_>], way: &Way, numbers: &Bound<'_, PyTuple>) -> PyResult<()> {
        let frame = &places[places.len() - 1].frame;
        for ((name, slot), number) in way.moving.iter().zip(numbers.iter()) {
            match slot {
                // SAFETY: a name of the code, which an operator does not use.
                Some(slot) => unsafe { self.tools.layout.replace(frame, *slot, number) },
                None => frame.getattr(intern!(frame.py(), "f_globals"))?.set_item(name, number)?,
            }
        }
        Ok(())
    }

    /// Does the rounds that go the known way; false where the loop is not what it was.
    fn repeat_asking(
        &mut self,
        py: Python<'_>,
        places: &[Place<'_>],
        asked: &Asked,
        learned: &mut Learned,
    ) -> PyResult<bool> {
        if learned.spot != spot(places) || error::is_strict() || is_traced(py)? {
            return Ok(false);
        }
        let Learned { way, reach, atoms, round, .. } = learned;
        let Some(now) = self.tools.gather(py, places, way.own(asked), reach) else { return Ok(false) };
        if !gather::alike(py, &now.atoms, atoms) || !round.fits(&now.arrays()) || !now.may_replace(round) {
            return Ok(false);
        }
        let kept = now.keep(py);
        let mut numbers = self.numbers(py, places, way)?;
        let iterator = self.iterator_of(py, &places[places.len() - 1], asked).filter(|_| way.iterates);
        let mut coming = self.coming(py, places, asked, way)?;
        let (mut start, mut rounds) = (Instant::now(), 0);
        let mut result = Ok(());
        // The numbers after each `order` of the rounds to come, as far as they are known.
        let mut afters: VecDeque<Bound<'_, PyTuple>> = VecDeque::new();
        let mut known = true;
        'rounds: loop {
            while known && afters.len() * round.order() < round.several() {
                let last = afters.back().unwrap_or(&numbers).clone();
                match way.after_some(last, coming.as_mut(), round.order()) {
                    Ok(Some(after)) => afters.push_back(after),
                    Ok(None) => known = false,
                    Err(e) => {
                        result = Err(e);
                        break 'rounds;
                    }
                }
            }
            if afters.is_empty() {
                break;
            }
            let (done, goes_on) = match error::guarded(py, || round.ask(&now.arrays(), afters.len() * round.order())) {
                Ok(done) => done,
                Err(e) => {
                    result = Err(e);
                    break;
                }
            };
            if done > 0 {
                numbers = afters.drain(..done / round.order()).next_back().expect("these rounds were foreseen");
            }
            rounds += done;
            if let Some(iterator) = &iterator {
                for _ in 0..done {
                    iterator.call_method0(intern!(py, "__next__"))?;
                }
            }
            if !goes_on {
                break;
            }
            if start.elapsed() < TURN {
                continue;
            }
            // Other threads have their turn, and whoever wants to stop the program may. They may do anything.
            self.set_numbers(places, way, &numbers)?;
            py.detach(std::thread::yield_now);
            py.check_signals()?;
            let same = self.tools.gather(py, places, way.own(asked), reach).is_some_and(|again| {
                gather::alike(py, &again.atoms, atoms) && again.same_arrays(&now) && round.fits(&now.arrays())
            });
            if !same || !self.numbers(py, places, way)?.eq(&numbers)? {
                break;
            }
            start = Instant::now();
        }
        self.set_numbers(places, way, &numbers)?;
        drop(kept);
        learned.vain = if rounds < 2 { learned.vain + 1 } else { 0 };
        self.mode = Mode::Idle;
        (self.pause, self.next) = (PAUSE.0, PAUSE.0);
        LEFT_TO_ASK.store(1, Ordering::Relaxed);
        result.map(|()| true)
    }
}

impl Way {
    /// What runs of the code of the loop's own frame: all but the numbers that change.
    fn own(&self, asked: &Asked) -> Own<'_> {
        Own { reads: &self.slots, names: &self.names, stack: asked.range.base }
    }

    /// What the numbers that change are after a round that begins with these; `None` where it goes another way. `coming` says what
    /// the loop's iterator will give.
    fn after<'py>(
        &self,
        numbers: Bound<'py, PyTuple>,
        coming: Option<&mut Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = numbers.py();
        let mut arguments = numbers.clone();
        if self.iterates {
            let Some(next) = coming.and_then(|c| c.call_method0(intern!(py, "__next__")).ok()) else { return Ok(None) };
            arguments = PyTuple::new(py, numbers.iter().chain([next]).collect::<Vec<_>>())?;
        }
        let Some(step) = &self.step else { return Ok(Some(numbers)) };
        match step.bind(py).call1(&arguments) {
            Ok(after) => Ok(after.cast_into::<PyTuple>().ok()),
            // Python will find the same error where it belongs.
            Err(_) => Ok(None),
        }
    }

    fn after_some<'py>(
        &self,
        mut numbers: Bound<'py, PyTuple>,
        mut coming: Option<&mut Bound<'py, PyAny>>,
        rounds: usize,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        for _ in 0..rounds {
            match self.after(numbers, coming.as_deref_mut())? {
                Some(after) => numbers = after,
                None => return Ok(None),
            }
        }
        Ok(Some(numbers))
    }
}

/// Another iterator that gives the same.
fn copied<'py>(iterator: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    iterator.py().import("copy")?.getattr("copy")?.call1((iterator,))
}

/// Where an operator stands: code objects and offsets, from the innermost.
fn spot(places: &[Place<'_>]) -> Spot {
    places.iter().map(|p| (p.code.address(), p.code.lines[p.line].at)).collect()
}

/// Whether `_asking` knows what is made of it: numbers of Python's own, texts, None.
fn is_number(object: &Bound<'_, PyAny>) -> bool {
    object.is_none()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
        || object.is_exact_instance_of::<PyString>()
}
