//! How often each function ran in NumPy, by name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString};
use pyo3::{Bound, Py, PyAny, PyResult, Python};

use crate::settings;

static COUNTERS: Mutex<BTreeMap<String, &'static Counter>> = Mutex::new(BTreeMap::new());

/// Of one name. Only written with the interpreter lock held.
pub struct Counter {
    name: String,
    calls: AtomicU64,
}

impl Counter {
    /// The counter of this name, which lives for good: there are as many as NumPy has functions.
    pub fn of(name: &str) -> &'static Counter {
        let mut all = COUNTERS.lock();
        if let Some(known) = all.get(name) {
            return known;
        }
        let new: &'static Counter = Box::leak(Box::new(Counter { name: name.to_string(), calls: AtomicU64::new(0) }));
        all.insert(name.to_string(), new);
        new
    }

    /// Counts a call, or says that it is forbidden.
    #[inline]
    pub fn count(&self, py: Python) -> PyResult<()> {
        if settings::fallback_is_error() {
            return self.forbid(py);
        }
        self.calls.store(self.calls.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(())
    }

    #[cold]
    fn forbid(&self, py: Python) -> PyResult<()> {
        static FORBID: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        FORBID.import(py, "legate_jit._fallback", "forbid")?.call1((&self.name,)).map(drop)
    }
}

/// Counts a call under a name.
#[pyfunction]
pub fn count(name: &Bound<PyString>) -> PyResult<()> {
    Counter::of(name.to_str()?).count(name.py())
}

/// name -> calls, of what was called.
#[pyfunction]
pub fn call_counts(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = PyDict::new(py);
    for (name, counter) in &*COUNTERS.lock() {
        let calls = counter.calls.load(Ordering::Relaxed);
        if calls > 0 {
            all.set_item(name, calls)?;
        }
    }
    Ok(all)
}
