//! Compiles many kernels into the kernel cache, in parallel, for this machine or for others: what `legate-jit warm` does with the
//! kernels of a program, and `legate-jit cache import` with those of another machine.

use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::cache::Cache;
use crate::{CpuTarget, Error, Object, Result, Source, Times, Workshop, gpu};

/// What to compile for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    Cpu(CpuTarget),
    /// An NVIDIA GPU, as `sm_90`. The entry holds PTX.
    Gpu(String),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Target::Cpu(cpu) => cpu.fmt(f),
            Target::Gpu(architecture) => f.write_str(architecture),
        }
    }
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Made {
    pub compiled: usize,
    /// The cache had them already.
    pub present: usize,
    /// What the compiler refused, and why; the prebuilt loops run those.
    pub refused: Vec<String>,
}

/// Compiles kernels, given by their texts, for each target. `libdevice` is CUDA's library of mathematics, where it is known.
pub fn compile_all(
    dir: &Path,
    kernels: &[String],
    targets: &[Target],
    threads: usize,
    libdevice: Option<&Path>,
) -> Result<Made> {
    for target in targets {
        if let Target::Gpu(architecture) = target {
            gpu::check(architecture)?;
        }
    }
    let cache = Cache::open(dir)?;
    let parsed: Vec<Source> = kernels.iter().map(|text| text.parse()).collect::<Result<_>>()?;
    if parsed.is_empty() {
        return Ok(Made::default());
    }
    let next = AtomicUsize::new(0);
    let made = Mutex::new(Made::default());
    let work = || -> Result<()> {
        let mut workshop: Option<(CpuTarget, Workshop)> = None;
        loop {
            // Target by target, so that a thread seldom needs another workshop.
            let n = next.fetch_add(1, Ordering::Relaxed);
            let Some(target) = targets.get(n / parsed.len()) else { return Ok(()) };
            let source = &parsed[n % parsed.len()];
            let count = |change: &mut dyn FnMut(&mut Made)| change(&mut made.lock().unwrap_or_else(|e| e.into_inner()));
            if cache.get_text(&source.to_string(), target).is_ok_and(|found| found.is_some()) {
                count(&mut |m| m.present += 1);
                continue;
            }
            let object = match target {
                Target::Cpu(cpu) => {
                    if workshop.as_ref().is_none_or(|(of, w)| of != cpu || w.is_worn()) {
                        workshop = Some((cpu.clone(), Workshop::new(cpu)?));
                    }
                    workshop.as_ref().expect("just made").1.compile_source(source, &mut ())
                }
                Target::Gpu(architecture) => {
                    // (Loops over single elements are not for a GPU.)
                    let Source::Kernel(kernel) = source else { continue };
                    gpu::ptx(kernel, architecture, libdevice).map(|ptx| Object {
                        name: gpu::ENTRY.to_string(),
                        bytes: ptx.into_bytes(),
                        features: architecture.clone(),
                        calls: Default::default(),
                        ir_text: source.to_string(),
                        times: Times::default(),
                    })
                }
            };
            match object {
                Ok(object) => {
                    cache.put(&object, target)?;
                    count(&mut |m| m.compiled += 1);
                }
                Err(e) => count(&mut |m| m.refused.push(format!("{target}: {e}"))),
            }
        }
    };
    let failed: Vec<Error> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .filter_map(|w| w.join().unwrap_or_else(|_| Err(Error::Mlir("the compiler panicked".into()))).err())
            .collect()
    });
    match failed.into_iter().next() {
        Some(e) => Err(e),
        None => Ok(made.into_inner().unwrap_or_else(|e| e.into_inner())),
    }
}
