//! Several ranks: the process that runs the program becomes their controller when the module is imported, the others are workers
//! (`legate-jit run` starts both).

use std::sync::Arc;
use std::sync::OnceLock;
use std::thread::JoinHandle;

use legate_jit_runtime::ranks;
use legate_jit_runtime::transport::mpi::Mpi;
use legate_jit_runtime::transport::threads;
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

static MPI: OnceLock<Arc<Mpi>> = OnceLock::new();
/// Ranks that are threads of this process.
static THREADS: Mutex<Vec<JoinHandle<()>>> = Mutex::new(Vec::new());

fn failed(e: impl std::fmt::Display) -> PyErr {
    PyRuntimeError::new_err(e.to_string())
}

/// Makes this process the controller, if the settings ask for ranks.
pub fn start(py: Python, transport: &str, size: usize, partition_bytes: Option<usize>) -> PyResult<()> {
    let partition_bytes = partition_bytes.unwrap_or(ranks::PARTITION_BYTES);
    match transport {
        "mpi" => {
            let mpi = MPI.get_or_init(|| Arc::new(Mpi::start().unwrap_or_else(|e| fatal(&e.to_string()))));
            ranks::start(mpi.clone(), partition_bytes).map_err(failed)?;
        }
        "threads" if size > 1 => {
            let mut ends = threads::connect(size).into_iter();
            let Some(root) = ends.next() else { return Ok(()) };
            for end in ends {
                let worker = std::thread::Builder::new().name("rank".into());
                let worker = worker.spawn(move || {
                    // What went wrong is told to rank 0 by the transport.
                    let _ = ranks::work(Arc::new(end));
                });
                THREADS.lock().push(worker.map_err(failed)?);
            }
            ranks::start(Arc::new(root), partition_bytes).map_err(failed)?;
        }
        _ => return Ok(()),
    }
    let finish = pyo3::wrap_pyfunction!(finish, py)?;
    py.import("atexit")?.call_method1("register", (finish,))?;
    Ok(())
}

fn fatal(message: &str) -> ! {
    eprintln!("legate-jit: {message}");
    std::process::exit(1)
}

/// Ends the job in peace; called when Python exits.
#[pyfunction]
fn finish() {
    // A job that is lost already has said so.
    if ranks::shutdown().is_err() {
        return;
    }
    for worker in THREADS.lock().drain(..) {
        let _ = worker.join();
    }
    if let Some(mpi) = MPI.get() {
        mpi.finish();
    }
}

/// Works for the controller until the job is over. What `legate-jit run` starts on every rank but the first.
#[pyfunction]
pub fn work(py: Python<'_>) {
    py.detach(|| {
        let mpi = Arc::new(Mpi::start().unwrap_or_else(|e| fatal(&e.to_string())));
        match ranks::work(mpi.clone()) {
            Ok(()) => mpi.finish(),
            Err(e) => fatal(&e.to_string()),
        }
    });
}
