//! The kernel cache as `legate-jit cache` sees it: what it holds, what is damaged, what to throw away.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use legate_jit_codegen::cache::{self, Keep};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{Bound, PyErr, PyResult, Python};

fn failed(e: legate_jit_codegen::Error) -> PyErr {
    PyOSError::new_err(e.to_string())
}

/// The directory in use, `None` where the cache is off.
#[pyfunction]
pub fn cache_dir() -> Option<PathBuf> {
    crate::settings::cache_dir()
}

/// One dict for each entry.
#[pyfunction]
pub fn cache_list<'py>(py: Python<'py>, dir: PathBuf) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let mut all = Vec::new();
    for e in cache::list(&dir).map_err(failed)? {
        let d = PyDict::new(py);
        d.set_item("name", e.name)?;
        d.set_item("bytes", e.bytes)?;
        d.set_item("used", e.used.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())?;
        d.set_item("target", e.target)?;
        d.set_item("current", e.current)?;
        d.set_item("kernel", e.kernel)?;
        all.push(d);
    }
    Ok(all)
}

/// The names of damaged and foreign entries.
#[pyfunction]
pub fn cache_verify(dir: PathBuf) -> PyResult<Vec<String>> {
    cache::verify(&dir).map_err(failed)
}

/// Removes what is not to be kept: (files, bytes) removed.
#[pyfunction]
#[pyo3(signature = (dir, max_bytes=None, max_age=None, current_only=false))]
pub fn cache_prune(
    dir: PathBuf,
    max_bytes: Option<u64>,
    max_age: Option<f64>,
    current_only: bool,
) -> PyResult<(u64, u64)> {
    let keep = Keep { bytes: max_bytes, age: max_age.map(Duration::from_secs_f64), current_only };
    let pruned = cache::prune(&dir, keep).map_err(failed)?;
    Ok((pruned.files, pruned.bytes))
}

/// `512M` and the like as a number.
#[pyfunction]
pub fn parse_bytes(text: &str) -> Option<u64> {
    crate::settings::bytes(text)
}
