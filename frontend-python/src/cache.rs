//! The kernel cache as `legate-jit cache` and `legate-jit warm` see it: what it holds, what is damaged, what to throw away, what
//! comes from elsewhere, and what to compile ahead.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use legate_jit_codegen::CpuTarget;
use legate_jit_codegen::cache::{self, Added, Keep};
use legate_jit_codegen::warm::{self, Target};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
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

/// (name, bytes) of every whole entry.
#[pyfunction]
pub fn cache_export<'py>(py: Python<'py>, dir: PathBuf) -> PyResult<Vec<(String, Bound<'py, PyBytes>)>> {
    let all = cache::whole_entries(&dir).map_err(failed)?;
    Ok(all.into_iter().map(|(name, bytes)| (name, PyBytes::new(py, &bytes))).collect())
}

/// Takes the bytes of an entry from elsewhere: ("new", "present" or "other build", its kernel's text).
#[pyfunction]
pub fn cache_import(dir: PathBuf, bytes: &[u8]) -> PyResult<(&'static str, String)> {
    let (added, text) = cache::add(&dir, bytes).map_err(failed)?;
    let word = match added {
        Added::New => "new",
        Added::Present => "present",
        Added::OtherBuild => "other build",
    };
    Ok((word, text))
}

/// The texts of all kernels that this process has asked for.
#[pyfunction]
pub fn kernels() -> Vec<String> {
    legate_jit_runtime::tier::kernels()
}

/// The texts of those that were refused, and why.
#[pyfunction]
pub fn kernels_refused() -> Vec<(String, String)> {
    legate_jit_runtime::tier::refused()
}

/// Compiles kernels, given by their texts, for processors and GPUs by name (`host` is this machine): (compiled, present, what
/// was refused and why).
#[pyfunction]
pub fn cache_compile(
    py: Python<'_>,
    dir: PathBuf,
    kernels: Vec<String>,
    cpus: Vec<String>,
    gpus: Vec<String>,
) -> PyResult<(usize, usize, Vec<String>)> {
    let mut targets = Vec::new();
    for name in cpus {
        let cpu = match name.as_str() {
            "host" => CpuTarget::host().ok_or_else(|| PyValueError::new_err("nothing is compiled for this machine"))?,
            name => CpuTarget::named(name).map_err(|e| PyValueError::new_err(e.to_string()))?,
        };
        targets.push(Target::Cpu(cpu));
    }
    targets.extend(gpus.into_iter().map(Target::Gpu));
    let libdevice = crate::settings::libdevice(py);
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let made =
        py.detach(|| warm::compile_all(&dir, &kernels, &targets, threads, libdevice.as_deref())).map_err(failed)?;
    Ok((made.compiled, made.present, made.refused))
}

/// PTX of a kernel, given by its text, for a GPU such as `sm_90`; its parameters are one word each, in the order of the
/// compiled function's arguments (addresses, strides in bytes, two words a scalar, first point, extents).
#[pyfunction]
pub fn kernel_ptx(py: Python<'_>, text: &str, architecture: &str) -> PyResult<String> {
    let kernel = text.parse().map_err(|e| PyValueError::new_err(format!("{e}")))?;
    let libdevice = crate::settings::libdevice(py);
    py.detach(|| legate_jit_codegen::ptx(&kernel, architecture, libdevice.as_deref()))
        .map_err(|e| PyValueError::new_err(e.to_string()))
}

/// `512M` and the like as a number.
#[pyfunction]
pub fn parse_bytes(text: &str) -> Option<u64> {
    crate::settings::bytes(text)
}
