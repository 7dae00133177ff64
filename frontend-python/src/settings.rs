//! The environment variables, each declared once: name, values, default, and a sentence. The parser, the messages and
//! `legate_jit.config()` follow from the table.

use std::path::PathBuf;
use std::sync::OnceLock;

use legate_jit_codegen::{Options, cache};
use legate_jit_passes::cx::Math;
use legate_jit_runtime::{self as rt, Config, Tier};
use pyo3::exceptions::{PyRuntimeWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use pyo3::{Bound, PyErr, PyResult, Python};

/// What values a variable takes.
enum Kind {
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number of at least this.
    Number(u64),
    /// A number of bytes, with K, M, G or T.
    Bytes,
    /// Anything: another layer reads it.
    Text,
}

struct Variable {
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
}

const VARIABLES: &[Variable] = &[
    Variable {
        name: "LEGATE_JIT_TIER",
        kind: Kind::Word(&["auto", "compiled", "vm", "interp"]),
        default: "auto",
        help: "what runs kernels: compiled code as soon as there is some (auto), compiled code only, the prebuilt loops only, \
               or the reference interpreter",
    },
    Variable {
        name: "LEGATE_JIT_MATH",
        kind: Kind::Word(&["exact", "relaxed"]),
        default: "exact",
        help: "relaxed allows sums in another order and fused multiply-adds",
    },
    Variable {
        name: "LEGATE_JIT_FALLBACK",
        kind: Kind::Word(&["numpy", "error"]),
        default: "numpy",
        help: "what happens to a call that only NumPy has: it runs there, or it is an error",
    },
    Variable {
        name: "LEGATE_JIT_THREADS",
        kind: Kind::Number(1),
        default: "all cores",
        help: "how many threads run kernels",
    },
    Variable {
        name: "LEGATE_JIT_MAX_RECORDS",
        kind: Kind::Number(1),
        default: "1000",
        help: "recorded calls after which a trace runs",
    },
    Variable {
        name: "LEGATE_JIT_MAX_PENDING",
        kind: Kind::Bytes,
        default: "256M",
        help: "bytes of new arrays after which a trace runs",
    },
    Variable {
        name: "LEGATE_JIT_AHEAD",
        kind: Kind::Word(&["on", "off"]),
        default: "on",
        help: "whether several rounds of a loop that asks for a value in each are computed at once, and results that are never read put off",
    },
    Variable {
        name: "LEGATE_JIT_INLINE",
        kind: Kind::Word(&["on", "off"]),
        default: "on",
        help: "whether small operations on what is in memory are done at once, and new traces run without a plan (while nothing is dumped)",
    },
    Variable {
        name: "LEGATE_JIT_BATCH",
        kind: Kind::Word(&["on", "off"]),
        default: "on",
        help: "whether rounds of a loop that do the same to other parts of arrays run together, as one operation over all of them",
    },
    Variable {
        name: "LEGATE_JIT_LOOPS",
        kind: Kind::Word(&["on", "off"]),
        default: "on",
        help: "whether the rounds of a Python loop that does nothing but array operations are recorded without Python, once they are known",
    },
    Variable {
        name: "LEGATE_JIT_CACHE_DIR",
        kind: Kind::Text,
        default: "legate-jit below the user's cache folder",
        help: "where compiled kernels are kept",
    },
    Variable {
        name: "LEGATE_JIT_CACHE",
        kind: Kind::Word(&["on", "off"]),
        default: "on",
        help: "whether compiled kernels outlive the process",
    },
    Variable {
        name: "LEGATE_JIT_CACHE_SIZE",
        kind: Kind::Bytes,
        default: "1G",
        help: "the most that the kernel cache keeps",
    },
    Variable {
        name: "LEGATE_JIT_DUMP",
        kind: Kind::Text,
        default: "",
        help: "stages to show (all, capture, rewrite, fuse, mlir, asm, …), @DIR to write them to files",
    },
    Variable {
        name: "LEGATE_JIT_DUMP_TARGET",
        kind: Kind::Text,
        default: "this machine",
        help: "the processor or GPU whose code a dump shows",
    },
    Variable {
        name: "LEGATE_JIT_RANKS",
        kind: Kind::Number(1),
        default: "1",
        help: "how many ranks share the work (set by `legate-jit run -n`)",
    },
    Variable {
        name: "LEGATE_JIT_TRANSPORT",
        kind: Kind::Word(&["local", "threads", "mpi"]),
        default: "local",
        help: "how ranks talk (set by `legate-jit run`)",
    },
    Variable {
        name: "LEGATE_JIT_PARTITION_BYTES",
        kind: Kind::Bytes,
        default: "64K",
        help: "the size from which arrays are cut into blocks among ranks",
    },
];

/// Names that the project's own build and test scripts use.
const SCRIPTS: &[&str] = &["LEGATE_JIT_ROOT", "LEGATE_JIT_VENV", "LEGATE_JIT_TARGET_DIR"];

static FALLBACK_IS_ERROR: OnceLock<bool> = OnceLock::new();

pub fn bytes(text: &str) -> Option<u64> {
    let (digits, unit) = match text.trim().to_ascii_uppercase().as_bytes() {
        [head @ .., b'K'] => (head.to_vec(), 1 << 10),
        [head @ .., b'M'] => (head.to_vec(), 1 << 20),
        [head @ .., b'G'] => (head.to_vec(), 1 << 30),
        [head @ .., b'T'] => (head.to_vec(), 1u64 << 40),
        all => (all.to_vec(), 1),
    };
    String::from_utf8(digits).ok()?.trim().parse::<u64>().ok()?.checked_mul(unit)
}

fn get(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|v| !v.is_empty())
}

/// Whether loops may be repeated without Python.
pub fn loops() -> bool {
    get("LEGATE_JIT_LOOPS").as_deref() != Some("off")
}

/// Reads the environment when the module is imported: a wrong value is an error, an unknown name a warning.
pub fn init(py: Python) -> PyResult<()> {
    let mut unknown: Vec<String> = std::env::vars_os()
        .filter_map(|(k, _)| k.into_string().ok())
        .filter(|k| {
            k.starts_with("LEGATE_JIT_") && !SCRIPTS.contains(&k.as_str()) && !VARIABLES.iter().any(|v| v.name == k)
        })
        .collect();
    unknown.sort();
    if !unknown.is_empty() {
        let known: Vec<&str> = VARIABLES.iter().map(|v| v.name).collect();
        let message = format!("{} means nothing to legate_jit; it knows {}\0", unknown.join(", "), known.join(", "));
        let message = std::ffi::CString::from_vec_with_nul(message.into_bytes())
            .map_err(|_| PyValueError::new_err("an environment variable with a NUL"))?;
        PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &message, 1)?;
    }
    for v in VARIABLES {
        let Some(value) = get(v.name) else { continue };
        let expected = match &v.kind {
            Kind::Word(words) if !words.contains(&value.as_str()) => format!("one of {}", words.join(", ")),
            Kind::Number(least) if value.parse::<u64>().map_or(true, |n| n < *least) => {
                format!("a number of at least {least}")
            }
            Kind::Bytes if bytes(&value).is_none() => "a number of bytes, such as 512M or 4G".into(),
            _ => continue,
        };
        return Err(PyValueError::new_err(format!("{}={value}: expected {expected} ({})", v.name, v.help)));
    }
    let _ = FALLBACK_IS_ERROR.set(get("LEGATE_JIT_FALLBACK").as_deref() == Some("error"));
    apply(py)
}

fn tier(word: &str) -> Tier {
    match word {
        "interp" => Tier::Interp,
        "vm" => Tier::Vm,
        "compiled" => Tier::Compiled,
        _ => Tier::Auto,
    }
}

/// What runs kernels from now on (`LEGATE_JIT_TIER` says it for a whole process).
#[pyfunction]
pub fn set_tier(py: Python<'_>, word: &str) -> PyResult<()> {
    let mut config: Config = rt::config();
    config.tier = tier(word);
    rt::set_config(config).map_err(|e| crate::error::raise(py, e))
}

/// Whether small operations, and traces that are new, run without a plan from now on (`LEGATE_JIT_INLINE` says it for a whole
/// process). What was learnt of the program is forgotten.
#[pyfunction]
pub fn set_inline(py: Python<'_>, on: bool) -> PyResult<()> {
    let config = Config { inline: on, ..rt::config() };
    rt::set_config(config).map_err(|e| crate::error::raise(py, e))
}

/// From now on plans are made, for small operations too, and run only where a value is asked for.
#[pyfunction]
pub fn plan_only(py: Python<'_>) -> PyResult<()> {
    let config = Config { plan_only: true, inline: false, ..rt::config() };
    rt::set_config(config).map_err(|e| crate::error::raise(py, e))
}

/// OpenBLAS as NumPy brings it (so that products have NumPy's bits), else that of the package scipy-openblas64.
fn blas_paths(py: Python) -> PyResult<Vec<PathBuf>> {
    let numpy: PathBuf = py.import("numpy")?.getattr("__file__")?.extract()?;
    let Some(site) = numpy.parent().and_then(|p| p.parent()) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for folder in ["numpy.libs", "scipy_openblas64/lib"] {
        for entry in std::fs::read_dir(site.join(folder)).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains("openblas") && name.contains(".so") {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Lets the threads of NumPy's BLAS end that look for work, if there is no other thread of Python's that could be inside it.
#[pyfunction]
pub fn end_blas_threads(py: Python<'_>) -> PyResult<()> {
    if py.import("sys")?.call_method0("_current_frames")?.len()? == 1 {
        rt::library::blas::end_threads();
    }
    Ok(())
}

fn apply(py: Python) -> PyResult<()> {
    rt::library::blas::set_paths(blas_paths(py)?);
    let mut config: Config = rt::config();
    config.tier = tier(get("LEGATE_JIT_TIER").as_deref().unwrap_or("auto"));
    if get("LEGATE_JIT_MATH").as_deref() == Some("relaxed") {
        config.cx.math = Math::Relaxed;
    }
    if let Some(n) = get("LEGATE_JIT_MAX_RECORDS").and_then(|v| v.parse().ok()) {
        config.max_records = n;
    }
    if let Some(n) = get("LEGATE_JIT_MAX_PENDING").and_then(|v| bytes(&v)) {
        config.max_new_bytes = n as usize;
    }
    config.ahead = get("LEGATE_JIT_AHEAD").as_deref() != Some("off");
    config.inline = get("LEGATE_JIT_INLINE").as_deref() != Some("off");
    config.batch = get("LEGATE_JIT_BATCH").as_deref() != Some("off");
    if let Some(n) = get("LEGATE_JIT_THREADS").and_then(|v| v.parse().ok()) {
        rt::pool::set_threads(n);
        rt::library::blas::set_threads(n);
    }
    let cache_bytes = bytes(get("LEGATE_JIT_CACHE_SIZE").as_deref().unwrap_or("1G"));
    let mut options = Options { cache: cache_dir(), cache_bytes, ..Options::default() };
    if let Some(text) = get("LEGATE_JIT_DUMP") {
        let request = text.parse().map_err(PyValueError::new_err::<String>)?;
        let target = get("LEGATE_JIT_DUMP_TARGET");
        let target = rt::dump::target(target.as_deref(), libdevice(py), &mut options).map_err(PyValueError::new_err)?;
        rt::dump::install(request, target, &mut config, &mut options);
    }
    rt::tier::set_options(options);
    rt::set_config(config).map_err(|e| crate::error::raise(py, e))?;
    let ranks = get("LEGATE_JIT_RANKS").and_then(|v| v.parse().ok()).unwrap_or(1);
    let transport = get("LEGATE_JIT_TRANSPORT").unwrap_or_default();
    let partition_bytes = get("LEGATE_JIT_PARTITION_BYTES").and_then(|v| bytes(&v));
    crate::ranks::start(py, &transport, ranks, partition_bytes.map(|b| b as usize))
}

/// CUDA's device library, if the Python package that has it is installed.
pub fn libdevice(py: Python) -> Option<PathBuf> {
    let roots: Vec<String> = py
        .import("nvidia")
        .ok()?
        .getattr("__path__")
        .ok()?
        .try_iter()
        .ok()?
        .filter_map(|p| p.ok()?.extract().ok())
        .collect();
    roots
        .iter()
        .flat_map(|root| {
            ["cuda_nvcc/nvvm/libdevice", "cu13/nvvm/libdevice"]
                .map(|d| PathBuf::from(root).join(d).join("libdevice.10.bc"))
        })
        .find(|p| p.is_file())
}

/// The kernel cache's directory, unless it is turned off.
pub fn cache_dir() -> Option<PathBuf> {
    if get("LEGATE_JIT_CACHE").as_deref() == Some("off") {
        return None;
    }
    if let Some(dir) = get("LEGATE_JIT_CACHE_DIR") {
        return Some(PathBuf::from(dir));
    }
    let path = |name: &str| get(name).map(PathBuf::from);
    cache::default_dir(path("XDG_CACHE_HOME").as_deref(), path("HOME").as_deref())
}

#[pyfunction]
pub fn fallback_is_error() -> bool {
    FALLBACK_IS_ERROR.get().copied().unwrap_or(false)
}

/// name -> (value, sentence)
#[pyfunction]
pub fn config(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let all = PyDict::new(py);
    for v in VARIABLES {
        let value = get(v.name).unwrap_or_else(|| v.default.to_string());
        all.set_item(v.name, (value, v.help.split_whitespace().collect::<Vec<_>>().join(" ")))?;
    }
    Ok(all)
}
