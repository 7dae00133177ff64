//! `while` loops, entered where an operation of ours is called in their body (`_nests/entry.py`).
//!
//! At such an instruction nothing has happened since the place where its line begins but that operands were put on the stack. So the
//! variables are what they are at that place, and whole rounds are done from there round to there. What the operation is given then is
//! found by a function of all variables that has just the instructions in between.
//!
//! A boundary file: it reads references in frames, and calls Python's C interface.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

use legate_jit_runtime::Array;
use legate_jit_runtime::nest::{LONG_IF_ALL_ARE_ROWS, Ran, Stop};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyTuple};

use super::plan::Plan;
use super::rounds::{LEAVES, SMALL, SMALL_ONES};
use super::{Found, Known, Searcher, TRIES, Tools, Variables, Which, translated};
use crate::looks;
use crate::loops::{self, frame};
use crate::slots::Object;
use crate::{error, value};

/// Rounds that are done at once, at most: others have their turn long before.
const MOST: usize = 1 << 40;
/// Accesses for which an entry is waited for: after its rounds were done, and where one was seen from a function that its loop calls.
const PATIENCE: (u32, u32) = (64, 1 << 12);
/// How often that may be in vain.
const VAIN: u32 = 8;
/// Entries of one loop that are translated in vain.
const REFUSED: u32 = 4;
/// Functions between a loop and the access that sees it.
const DEEPEST: usize = 4;

/// An instruction of a loop's body at which a round may begin.
pub(super) struct Entry {
    at: u32,
    /// Behind the instructions that put its operands on the stack, how many those are, and the place of the first.
    end: u32,
    operands: usize,
    place: usize,
    /// Where the round begins, and how much is on the stack there.
    start: u32,
    base: usize,
    /// Loops around it, by their first offset and the one behind, the outermost first.
    loops: Vec<(u32, u32)>,
    /// Variables that the outermost of them binds and that the round begins with.
    carried: Vec<usize>,
    /// How often one of the entries of the outermost was translated in vain.
    refused: Arc<AtomicU32>,
    known: Known,
    /// The code that finds the operands.
    again: Option<Py<PyAny>>,
    /// Rounds that were done, and how often they came to an end.
    done: AtomicUsize,
    leaves: AtomicUsize,
    /// How often it was waited for in vain.
    vain: u32,
}

type RawEntry = (u32, u32, usize, usize, u32, usize, Vec<(u32, u32)>, Vec<usize>);

/// The entries of a code object.
pub(super) fn of_code(
    py: Python<'_>,
    tools: &Tools,
    code: &Bound<'_, PyAny>,
    known: impl Fn(u32) -> Known,
) -> PyResult<Vec<Entry>> {
    let raw: Vec<RawEntry> = tools.entries.bind(py).call1((code,))?.extract()?;
    let mut refused = HashMap::new();
    let of_raw = |(at, end, operands, place, start, base, loops, carried): RawEntry| Entry {
        at,
        end,
        operands,
        place,
        start,
        base,
        refused: Arc::clone(refused.entry(loops.first().copied()).or_default()),
        loops,
        carried,
        known: known(start),
        again: None,
        done: AtomicUsize::new(0),
        leaves: AtomicUsize::new(0),
        vain: 0,
    };
    Ok(raw.into_iter().map(of_raw).collect())
}

/// An access that is waited for.
pub(super) struct Follow {
    code: usize,
    /// Any entry of the code where there is none.
    at: Option<u32>,
    patience: u32,
}

impl Follow {
    /// Whether it was none of these.
    pub(super) fn goes_on(&mut self, code: usize, at: u32) -> bool {
        self.patience -= 1;
        self.patience > 0 && (code != self.code || self.at.is_some_and(|this| this != at))
    }

    pub(super) fn is_over(&self) -> bool {
        self.patience == 0
    }
}

impl Entry {
    fn is_open(&self) -> bool {
        self.known.fate.tries.load(Ordering::Relaxed) < TRIES && self.refused.load(Ordering::Relaxed) < REFUSED
    }

    /// How many arrays its rounds have to carry on.
    fn arrays(&self, py: Python<'_>, frame: &Bound<'_, PyAny>, layout: &frame::Layout) -> usize {
        let is_array = |&&slot: &&usize| {
            // SAFETY: a name of the code.
            let object = unsafe { Bound::from_borrowed_ptr_or_opt(py, layout.slot(frame, slot)) };
            object.is_some_and(|object| value::is_array(&object))
        };
        self.carried.iter().filter(is_array).count()
    }

    /// Whether an operation with these operands was called by the instruction, and by nobody else meanwhile.
    fn is_called_with(
        &self,
        frame: &Bound<'_, PyAny>,
        layout: &frame::Layout,
        slots: usize,
        operands: &[Object],
    ) -> bool {
        // (A method lies below its object.)
        let first = slots + self.place + usize::from(self.operands == 1);
        operands.len() == self.operands
            && operands.iter().enumerate().all(|(k, &operand)| {
                // SAFETY: the instruction runs, so there is so much on the stack.
                unsafe { layout.slot(frame, first + k) == operand }
            })
    }

    /// Does the rounds that can be done before Python goes on; whether there were any.
    fn run(
        &self,
        py: Python<'_>,
        frame: &Bound<'_, PyAny>,
        layout: &frame::Layout,
        plan: &Arc<Plan>,
    ) -> PyResult<bool> {
        let fate = &self.known.fate;
        let refuse = || self.refused.store(REFUSED, Ordering::Relaxed);
        let mut any = false;
        while let Some(mut gathered) = plan.gather(py, frame, layout)? {
            let arrays: Vec<&Array> = gathered.arrays.iter().collect();
            let start = Instant::now();
            let run = error::guarded(py, || plan.program.run(&mut gathered.numbers, &arrays, (0, 0), MOST));
            let Ran { done, stop, compiled } = run?;
            if compiled || start.elapsed() > SMALL || looks::is_eager() {
                fate.small.store(0, Ordering::Relaxed);
            } else if fate.small.fetch_add(1, Ordering::Relaxed) + 1 == SMALL_ONES {
                refuse();
            }
            if done > 0 {
                plan.hand_back(py, frame, layout, &gathered.numbers)?;
                any = true;
            }
            let done = done + self.done.fetch_add(done, Ordering::Relaxed);
            match stop {
                Stop::Done | Stop::Turn => {
                    // Others may do anything now.
                    drop(gathered);
                    py.detach(std::thread::yield_now);
                    py.check_signals()?;
                }
                Stop::Left => {
                    let leaves = 1 + self.leaves.fetch_add(1, Ordering::Relaxed);
                    if leaves > 2 * SMALL_ONES as usize && leaves * LEAVES > done {
                        refuse();
                    }
                    break;
                }
                Stop::Long | Stop::Elsewhere => {
                    refuse();
                    break;
                }
            }
        }
        Ok(any)
    }

    /// What the operation is given now. What its line has put on the stack below is exchanged, too.
    fn operands<'py>(
        &mut self,
        py: Python<'py>,
        frame: &Bound<'py, PyAny>,
        layout: &frame::Layout,
        tools: &Tools,
        variables: &Variables,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let code = match &self.again {
            Some(code) => code,
            None => {
                let count = self.place + self.operands - self.base;
                let made = tools.operands.call1(py, (&variables.code, self.start, self.end, count))?;
                self.again.insert(made)
            }
        };
        let globals = frame.getattr(intern!(py, "f_globals"))?;
        let found = if variables.optimized {
            let mut arguments = Vec::new();
            for (_, slot) in &variables.names {
                // SAFETY: a name of the code.
                let object = unsafe { Bound::from_borrowed_ptr_or_opt(py, layout.slot(frame, *slot)) };
                // (What is not bound is not asked for.)
                arguments.push(object.unwrap_or_else(|| py.None().into_bound(py)));
            }
            tools.function.bind(py).call1((code, &globals))?.call1(PyTuple::new(py, arguments)?)
        } else {
            // SAFETY: a code object and a dictionary.
            unsafe {
                Bound::from_owned_ptr_or_err(
                    py,
                    ffi::PyEval_EvalCode(code.as_ptr(), globals.as_ptr(), globals.as_ptr()),
                )
            }
        };
        match found {
            Ok(all) => {
                let all = all.cast_into::<PyTuple>()?;
                let below = self.place - self.base;
                for k in 0..below {
                    // SAFETY: so much is in the tuple, as references or, as on the stack below functions, as nothing; and on the
                    // stack, where the operation that runs does not use it.
                    unsafe {
                        let new = ffi::PyTuple_GetItem(all.as_ptr(), k as isize);
                        layout.exchange(frame, variables.slots + self.base + k, ffi::Py_XNewRef(new));
                    }
                }
                Ok(all.get_slice(below, below + self.operands))
            }
            Err(e) => {
                // It comes from the loop's own line.
                let value = e.into_value(py).into_bound(py).into_any();
                value.setattr(intern!(py, "__traceback__"), py.None())?;
                Err(PyErr::from_value(value))
            }
        }
    }
}

/// Whether an access with these operands is to an element, or to an array that is so small that loops over such are for here.
fn is_short(py: Python<'_>, operands: &[Object]) -> bool {
    let (array, key) = match *operands {
        [array, key] | [_, array, key] => (array, Some(key)),
        [array] => (array, None),
        _ => return false,
    };
    // SAFETY: the operands are there until the access returns.
    let (array, key) =
        unsafe { (Bound::from_borrowed_ptr(py, array), key.map(|key| Bound::from_borrowed_ptr(py, key))) };
    let Some(array) = value::value(&array) else { return false };
    let is_number = |key: &Bound<'_, PyAny>| key.is_instance_of::<PyInt>();
    let numbers = key.map_or(0, |key| match key.cast::<PyTuple>() {
        Ok(parts) if parts.iter().all(|part| is_number(&part)) => parts.len(),
        Ok(_) => 0,
        Err(_) => is_number(&key) as usize,
    });
    let array = array.get();
    numbers > 0 && numbers == array.shape().len() || array.size() <= LONG_IF_ALL_ARE_ROWS as usize
}

impl Searcher {
    /// Enters the `while` loop in which the frame stands, if an operation with these operands is called where one can be.
    pub(super) fn enter<'py>(
        &mut self,
        py: Python<'py>,
        frame: &Bound<'py, PyAny>,
        (address, at): (usize, u32),
        operands: &[Object],
        layout: &frame::Layout,
    ) -> PyResult<Found<'py>> {
        // (To translate a loop takes longer than many a program runs.)
        if !looks::is_eager() && !is_short(py, operands) {
            return Ok(Found::Nothing);
        }
        let Some(code) = self.codes.get_mut(&address) else { return Ok(Found::Nothing) };
        let Some(n) = code.entries.iter().position(|entry| entry.at == at && entry.is_open()) else {
            return self.seek(py, frame);
        };
        if code.entries[n].known.plans.is_empty() {
            // Where the fewest are carried on is the best place to begin.
            let loops = &code.entries[n].loops;
            let others = code.entries.iter().filter(|entry| entry.is_open() && entry.loops.first() == loops.first());
            let least = others.map(|entry| entry.arrays(py, frame, layout)).min();
            if least.is_some_and(|least| least < code.entries[n].arrays(py, frame, layout)) {
                return self.seek(py, frame);
            }
        }
        let entry = &mut code.entries[n];
        if error::is_strict() || !entry.is_called_with(frame, layout, code.variables.slots, operands) {
            return Ok(Found::Nothing);
        }
        self.follow = None;
        let mut plan = None;
        let tries = entry.known.fate.tries.load(Ordering::Relaxed);
        for &within in &entry.loops {
            let which = Which { start: entry.start, within: Some(within), place: 0 };
            plan = translated(py, &self.tools, frame, (&code.variables, &mut entry.known), which, true, layout)?;
            if plan.is_some() {
                break;
            }
        }
        if entry.known.plans.is_empty() && entry.known.fate.tries.load(Ordering::Relaxed) > tries {
            entry.refused.fetch_add(1, Ordering::Relaxed);
        }
        let any = match plan {
            Some(plan) => entry.run(py, frame, layout, &plan)?,
            None => false,
        };
        if entry.is_open() && entry.vain < VAIN {
            self.follow = Some(Follow { code: address, at: Some(at), patience: PATIENCE.0 });
        }
        if any {
            code.entries.iter_mut().for_each(|entry| entry.vain = 0);
        } else {
            return if self.follow.is_some() { Ok(Found::Next) } else { self.seek(py, frame) };
        }
        let entry = &mut code.entries[n];
        let operands = entry.operands(py, frame, layout, &self.tools, &code.variables)?;
        Ok(Found::Rounds(operands))
    }

    /// What was waited for did not come.
    pub(super) fn in_vain(&mut self) {
        let Some(Follow { code, at, .. }) = self.follow.take() else { return };
        if let Some(code) = self.codes.get_mut(&code) {
            let these = code.entries.iter_mut().filter(|entry| at.is_none_or(|at| entry.at == at));
            these.for_each(|entry| entry.vain += 1);
        }
    }

    /// Looks at the next accesses, if there is a loop to enter in this frame or in one that has called it.
    fn seek<'py>(&mut self, py: Python<'py>, frame: &Bound<'py, PyAny>) -> PyResult<Found<'py>> {
        let mut next = Some(frame.clone());
        for _ in 0..DEEPEST {
            let Some(frame) = next else { break };
            let (address, at) = loops::key(&frame)?;
            self.know(py, &frame, address)?;
            let Some(code) = self.codes.get(&address) else { break };
            let here = |entry: &Entry| {
                entry.is_open() && entry.vain < VAIN && entry.loops.iter().any(|l| l.0 <= at && at < l.1)
            };
            if code.entries.iter().any(here) {
                if self.follow.as_ref().is_none_or(|follow| follow.code != address) {
                    self.follow = Some(Follow { code: address, at: None, patience: PATIENCE.1 });
                }
                return Ok(Found::Next);
            }
            let back = frame.getattr(intern!(py, "f_back"))?;
            next = (!back.is_none()).then_some(back);
        }
        Ok(Found::Nothing)
    }
}
