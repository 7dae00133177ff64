//! The MPI transport, a small library of its own that the runtime opens only when a program is started on several ranks;
//! so nothing else needs an MPI on the machine. It knows nothing of the runtime: a table of C functions is all they share
//! (`runtime/src/transport/mpi.rs` holds the other side of it).
//!
//! A boundary file. Every function returns 0 for success, or the MPI error's class. The caller never makes two calls at the same
//! time (`MPI_THREAD_SERIALIZED`).

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::sync::Mutex;

use mpi::Threading;
use mpi::environment::Universe;
use mpi::ffi;

/// The functions of this library. `version` must be [`VERSION`]; the other side checks it before it calls anything else.
#[repr(C)]
pub struct Table {
    pub version: u32,
    /// Starts MPI; gives this rank and the number of ranks.
    pub init: unsafe extern "C" fn(rank: *mut c_int, size: *mut c_int) -> c_int,
    /// Starts sending `len` (≤ i32::MAX) bytes, which must stay as they are until `test` says that it is done.
    pub isend: unsafe extern "C" fn(*const u8, len: usize, to: c_int, tag: c_int, *mut *mut c_void) -> c_int,
    /// Starts receiving exactly `len` bytes.
    pub irecv: unsafe extern "C" fn(*mut u8, len: usize, from: c_int, tag: c_int, *mut *mut c_void) -> c_int,
    /// Whether a request is done; if so it is gone.
    pub test: unsafe extern "C" fn(request: *mut c_void, done: *mut c_int) -> c_int,
    /// Whether a message has arrived, and its length.
    pub probe: unsafe extern "C" fn(from: c_int, tag: c_int, arrived: *mut c_int, len: *mut usize) -> c_int,
    /// Ends all processes of the job.
    pub abort: unsafe extern "C" fn(code: c_int),
    /// Leaves MPI; all ranks must call it.
    pub finalize: unsafe extern "C" fn() -> c_int,
}

pub const VERSION: u32 = 1;

static TABLE: Table = Table { version: VERSION, init, isend, irecv, test, probe, abort, finalize };

/// Between `init` and `finalize`; MPI is left when it is dropped.
static UNIVERSE: Mutex<Option<Universe>> = Mutex::new(None);

/// The one symbol that the runtime looks up.
#[unsafe(no_mangle)]
pub extern "C" fn legate_jit_mpi() -> *const Table {
    &TABLE
}

unsafe extern "C" fn init(rank: *mut c_int, size: *mut c_int) -> c_int {
    let Some((universe, threading)) = mpi::initialize_with_threading(Threading::Serialized) else {
        return ffi::MPI_ERR_OTHER as c_int;
    };
    if threading < Threading::Serialized {
        return ffi::MPI_ERR_UNSUPPORTED_OPERATION as c_int;
    }
    // SAFETY: MPI is running; `rank` and `size` are the caller's variables.
    let status = unsafe {
        // Errors come back as codes, so that the runtime can say what it was doing.
        ffi::MPI_Comm_set_errhandler(ffi::RSMPI_COMM_WORLD, ffi::RSMPI_ERRORS_RETURN);
        match ffi::MPI_Comm_rank(ffi::RSMPI_COMM_WORLD, rank) {
            0 => ffi::MPI_Comm_size(ffi::RSMPI_COMM_WORLD, size),
            error => error,
        }
    };
    *UNIVERSE.lock().unwrap_or_else(|e| e.into_inner()) = Some(universe);
    status
}

fn boxed(request: ffi::MPI_Request) -> *mut c_void {
    Box::into_raw(Box::new(request)).cast()
}

unsafe extern "C" fn isend(bytes: *const u8, len: usize, to: c_int, tag: c_int, out: *mut *mut c_void) -> c_int {
    let mut request = MaybeUninit::uninit();
    // SAFETY: the caller keeps `bytes` valid until the request is done; `out` is its variable.
    unsafe {
        let (world, byte) = (ffi::RSMPI_COMM_WORLD, ffi::RSMPI_UINT8_T);
        let status = ffi::MPI_Isend(bytes.cast(), len as c_int, byte, to, tag, world, request.as_mut_ptr());
        if status == 0 {
            *out = boxed(request.assume_init());
        }
        status
    }
}

unsafe extern "C" fn irecv(bytes: *mut u8, len: usize, from: c_int, tag: c_int, out: *mut *mut c_void) -> c_int {
    let mut request = MaybeUninit::uninit();
    // SAFETY: as for `isend`; MPI writes at most `len` bytes.
    unsafe {
        let (world, byte) = (ffi::RSMPI_COMM_WORLD, ffi::RSMPI_UINT8_T);
        let status = ffi::MPI_Irecv(bytes.cast(), len as c_int, byte, from, tag, world, request.as_mut_ptr());
        if status == 0 {
            *out = boxed(request.assume_init());
        }
        status
    }
}

unsafe extern "C" fn test(request: *mut c_void, done: *mut c_int) -> c_int {
    // SAFETY: `request` came from `boxed` and is given up once `done` is set or the status is an error.
    unsafe {
        let status = ffi::MPI_Test(request.cast(), done, ffi::RSMPI_STATUS_IGNORE);
        if status != 0 || *done != 0 {
            drop(Box::from_raw(request.cast::<ffi::MPI_Request>()));
        }
        status
    }
}

unsafe extern "C" fn probe(from: c_int, tag: c_int, arrived: *mut c_int, len: *mut usize) -> c_int {
    let mut status = MaybeUninit::<ffi::MPI_Status>::zeroed();
    let mut count = 0;
    // SAFETY: all pointers are to variables of ours or of the caller.
    unsafe {
        let error = ffi::MPI_Iprobe(from, tag, ffi::RSMPI_COMM_WORLD, arrived, status.as_mut_ptr());
        if error != 0 || *arrived == 0 {
            return error;
        }
        let error = ffi::MPI_Get_count(status.as_ptr(), ffi::RSMPI_UINT8_T, &mut count);
        *len = count as usize;
        error
    }
}

unsafe extern "C" fn abort(code: c_int) {
    // SAFETY: MPI is running; the call does not return.
    unsafe { ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code) };
}

unsafe extern "C" fn finalize() -> c_int {
    // Dropping the universe leaves MPI.
    drop(UNIVERSE.lock().unwrap_or_else(|e| e.into_inner()).take());
    0
}
