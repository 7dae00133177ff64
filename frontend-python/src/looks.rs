//! How much time looking for loops may take: a part of what the program has taken since it first could have been looked at.
//!
//! The first look costs a process some milliseconds, and what is found has to be translated or watched. Whether that pays is only
//! known from how long the program runs: one that is done after five milliseconds is best left alone.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// Looking may take one part of so many.
const SHARE: u32 = 3;
/// What the first look takes: modules are imported, code runs for the first time.
const FIRST: Duration = Duration::from_millis(6);
/// What Python takes to compile a byte of a module whose bytecode it does not find, as where nobody may write it.
const COMPILING: Duration = Duration::from_nanos(400);
/// The modules that looks need.
const MODULES: [&str; 4] = ["_loops", "_nests", "_places", "_asking"];

/// The package's folder, and how bytecode of this Python is marked.
static PACKAGE: OnceLock<(PathBuf, String)> = OnceLock::new();
static BEGAN: OnceLock<Instant> = OnceLock::new();
/// What looks have taken, in nanoseconds.
static SPENT: AtomicU64 = AtomicU64::new(0);
/// Looks may take any time: for tests.
static ALWAYS: AtomicBool = AtomicBool::new(false);

/// A look at something for the first time. Its time counts.
pub struct Look(Instant);

/// Finds out where the modules are.
pub fn init(native: &Bound<'_, PyModule>) -> PyResult<()> {
    let sys = native.py().import("sys")?;
    let package = sys.getattr("modules")?.get_item("legate_jit").and_then(|package| package.getattr("__file__"));
    let tag: Option<String> = sys.getattr("implementation")?.getattr("cache_tag")?.extract()?;
    if let (Ok(Ok(package)), Some(tag)) = (package.map(|p| p.extract::<PathBuf>()), tag)
        && let Some(folder) = package.parent()
    {
        let _ = PACKAGE.set((folder.to_owned(), tag));
    }
    Ok(())
}

/// What the first look is expected to take.
fn first() -> Duration {
    static EXPECTED: OnceLock<Duration> = OnceLock::new();
    *EXPECTED.get_or_init(|| {
        let Some((folder, tag)) = PACKAGE.get() else { return FIRST };
        let bytes: u64 = MODULES.iter().map(|name| uncompiled(&folder.join(name), tag)).sum();
        FIRST + COMPILING * bytes as u32
    })
}

/// Bytes of the sources of a module, or of all in a package's folder, for which there is no bytecode.
fn uncompiled(path: &Path, tag: &str) -> u64 {
    if let Ok(entries) = std::fs::read_dir(path) {
        let sources = entries.flatten().map(|entry| entry.path()).filter(|p| p.extension().is_some_and(|e| e == "py"));
        return sources.map(|source| uncompiled(&source.with_extension(""), tag)).sum();
    }
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str())) else { return 0 };
    let Ok(source) = path.with_extension("py").metadata() else { return 0 };
    let compiled = folder.join("__pycache__").join(format!("{name}.{tag}.pyc")).metadata().and_then(|c| c.modified());
    let is_new = compiled.is_ok_and(|then| source.modified().is_ok_and(|changed| then >= changed));
    if is_new { 0 } else { source.len() }
}

/// Begins a look at something new, unless the program has not run for long enough.
pub fn begin() -> Option<Look> {
    let now = Instant::now();
    let ran = now - *BEGAN.get_or_init(|| now);
    // (Before that nobody asks which bytecode is there: that takes longer than many a program's calls.)
    if ran < SHARE * FIRST && !is_eager() {
        return None;
    }
    let spent = Duration::from_nanos(SPENT.load(Ordering::Relaxed)).max(first());
    (ran >= SHARE * spent || is_eager()).then_some(Look(now))
}

impl Drop for Look {
    fn drop(&mut self) {
        SPENT.fetch_add(self.0.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
}

/// Looks at whatever comes from now on, whether that pays or not.
pub fn be_eager() {
    ALWAYS.store(true, Ordering::Relaxed);
}

/// Whether loops are taken for which that does not pay: for tests.
pub fn is_eager() -> bool {
    ALWAYS.load(Ordering::Relaxed)
}
