//! The iterator that stands in a translated loop's place.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use legate_jit_runtime::Array;
use legate_jit_runtime::nest::{Ran, Stop};
use pyo3::prelude::*;

use super::plan::Plan;
use super::{Fate, TRIES, look_soon};
use crate::error;
use crate::looks;
use crate::loops::numbers::Numbers;
use crate::loops::{self, frame};

/// To take what the interpreter needs less than this for takes longer than Python needs for it; how often in a row that is found
/// before a loop is left alone.
pub(super) const SMALL: Duration = Duration::from_nanos(700);
pub(super) const SMALL_ONES: u32 = 8;
/// Rounds that Python may have to do among so many of ours.
pub(super) const LEAVES: usize = 4;

/// The numbers of a range, as its own iterator gives them; on the way it has the runtime do the rounds.
#[pyclass(frozen, module = "legate_jit")]
pub struct Rounds {
    numbers: Numbers,
    plan: Mutex<Option<Arc<Plan>>>,
    /// Of the loop.
    fate: Arc<Fate>,
    /// It has other loops in it.
    has_others: bool,
    /// Rounds that were done, and how often Python had to do one in between.
    done: AtomicUsize,
    leaves: AtomicUsize,
}

impl Rounds {
    /// In place of an iterator over a range.
    pub(super) fn new(
        iterator: &Bound<'_, PyAny>,
        plan: Arc<Plan>,
        fate: Arc<Fate>,
        has_others: bool,
    ) -> PyResult<Rounds> {
        Ok(Rounds {
            numbers: Numbers::of(iterator)?.0,
            plan: Mutex::new(Some(plan)),
            fate,
            has_others,
            done: AtomicUsize::new(0),
            leaves: AtomicUsize::new(0),
        })
    }

    pub(super) fn plan(&self) -> Option<Arc<Plan>> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn take(&self, plan: Arc<Plan>) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
    }

    fn give_back(&self) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = None;
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
        if !here || error::is_strict() || loops::is_traced(py)? {
            return Ok(());
        }
        loop {
            // The last round is Python's.
            let rounds = self.numbers.left().saturating_sub(1);
            if rounds == 0 {
                return Ok(());
            }
            let Some(mut gathered) = plan.gather(py, &frame, &layout)? else {
                self.give_back();
                return Ok(());
            };
            let arrays: Vec<&Array> = gathered.arrays.iter().collect();
            let start = Instant::now();
            let run =
                error::guarded(py, || plan.program.run(&mut gathered.numbers, &arrays, self.numbers.range(), rounds));
            let Ran { done, stop, compiled } = run?;
            if compiled || start.elapsed() > SMALL || looks::is_eager() {
                self.fate.small.store(0, Ordering::Relaxed);
            } else if self.fate.small.fetch_add(1, Ordering::Relaxed) + 1 == SMALL_ONES {
                self.refuse();
            }
            if done > 0 {
                plan.hand_back(py, &frame, &layout, &gathered.numbers)?;
                self.numbers.advance(done);
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
            if this.has_others {
                // Python's round has loops of its own.
                look_soon();
            }
        }
        Ok(this.numbers.take())
    }

    fn __length_hint__(&self) -> usize {
        self.numbers.left()
    }
}
