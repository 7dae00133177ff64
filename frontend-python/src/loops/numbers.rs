//! The numbers that a range's iterator has left, for iterators of ours that stand in its place.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{Bound, PyAny, PyResult, intern};

use super::left;

pub struct Numbers {
    next: AtomicI64,
    step: i64,
    left: AtomicUsize,
}

impl Numbers {
    /// Those of a `range_iterator`, and how many it has given already.
    pub fn of(iterator: &Bound<'_, PyAny>) -> PyResult<(Numbers, i64)> {
        let py = iterator.py();
        let left = left(iterator)?;
        // (iter, (range,), how many were taken)
        let reduced = iterator.call_method0(intern!(py, "__reduce__"))?.cast_into::<PyTuple>()?;
        let range = reduced.get_item(1)?.get_item(0)?;
        let taken: i64 = reduced.get_item(2)?.extract()?;
        let start: i64 = range.getattr(intern!(py, "start"))?.extract()?;
        let step: i64 = range.getattr(intern!(py, "step"))?.extract()?;
        let next = AtomicI64::new(start.wrapping_add(step.wrapping_mul(taken)));
        Ok((Numbers { next, step, left: AtomicUsize::new(left) }, taken))
    }

    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    /// The next one, and how far apart they are.
    pub fn range(&self) -> (i64, i64) {
        (self.next.load(Ordering::Relaxed), self.step)
    }

    /// Passes so many.
    pub fn advance(&self, rounds: usize) {
        let left = self.left();
        self.left.store(left - rounds.min(left), Ordering::Relaxed);
        let by = self.step.wrapping_mul(rounds as i64);
        self.next.store(self.range().0.wrapping_add(by), Ordering::Relaxed);
    }

    /// The next one, if there is one left.
    pub fn take(&self) -> Option<i64> {
        let next = self.range().0;
        (self.left() > 0).then(|| {
            self.advance(1);
            next
        })
    }
}
