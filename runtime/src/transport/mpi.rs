//! Ranks that are processes of an MPI job. The MPI library is touched only through a small library of our own that lies
//! beside this one and is opened on demand (`runtime/mpi`), so nothing here needs MPI in order to build or to load.
//!
//! A boundary file: it calls C functions and hands them memory that it keeps valid until they are done with it.

use std::ffi::{CStr, CString, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Incoming, Lost, Outgoing, Result, Tag, Transport};

const LIBRARY: &str = "liblegate_jit_mpi.so";
const VERSION: u32 = 1;
/// MPI counts bytes in an `int`; longer messages are sent in pieces of this length.
const PIECE: usize = 1 << 28;
/// Up to this length a message travels in one piece with its length in front.
const SHORT: usize = 16 << 10;

/// The other library's table of functions, see `runtime/mpi/src/lib.rs`.
#[repr(C)]
struct Table {
    version: u32,
    init: unsafe extern "C" fn(*mut c_int, *mut c_int) -> c_int,
    isend: unsafe extern "C" fn(*const u8, usize, c_int, c_int, *mut *mut c_void) -> c_int,
    irecv: unsafe extern "C" fn(*mut u8, usize, c_int, c_int, *mut *mut c_void) -> c_int,
    test: unsafe extern "C" fn(*mut c_void, *mut c_int) -> c_int,
    probe: unsafe extern "C" fn(c_int, c_int, *mut c_int, *mut usize) -> c_int,
    abort: unsafe extern "C" fn(c_int),
    finalize: unsafe extern "C" fn() -> c_int,
}

pub struct Mpi {
    table: &'static Table,
    rank: usize,
    size: usize,
    /// Held during each call into MPI, never while waiting: one call at a time is all that was asked of MPI.
    calls: Mutex<()>,
}

/// A send or receive under way.
struct Request {
    handle: *mut c_void,
    peer: usize,
}

impl Mpi {
    /// Opens the library and joins the job that `mpirun` started. Once a process.
    pub fn start() -> Result<Mpi> {
        let table = open().map_err(|why| Lost { rank: None, why })?;
        let (mut rank, mut size) = (0, 0);
        // SAFETY: the table's version was checked; the pointers are to our variables.
        let status = unsafe { (table.init)(&mut rank, &mut size) };
        if status != 0 {
            return Err(Lost { rank: None, why: format!("MPI could not be started (error {status})") });
        }
        Ok(Mpi { table, rank: rank as usize, size: size as usize, calls: Mutex::new(()) })
    }

    /// Leaves the job in peace. Every rank must call it, after its last message.
    pub fn finish(&self) {
        let _one = self.calls.lock();
        // SAFETY: MPI is running, and no request is under way: each function here waits for its own.
        unsafe { (self.table.finalize)() };
    }

    fn check(&self, status: c_int, peer: usize, what: &str) -> Result<()> {
        match status {
            0 => Ok(()),
            _ => Err(Lost { rank: Some(peer), why: format!("{what} failed (MPI error {status})") }),
        }
    }

    /// # Safety
    /// `bytes` must stay valid and unchanged until the request is done.
    unsafe fn isend(&self, to: usize, tag: Tag, bytes: *const u8, len: usize) -> Result<Request> {
        let mut handle = std::ptr::null_mut();
        let _one = self.calls.lock();
        // SAFETY: the caller's promise; `handle` is ours.
        let status = unsafe { (self.table.isend)(bytes, len, to as c_int, tag as c_int, &mut handle) };
        self.check(status, to, "a send").map(|()| Request { handle, peer: to })
    }

    /// # Safety
    /// `bytes` must stay valid, and touched by nobody else, until the request is done.
    unsafe fn irecv(&self, from: usize, tag: Tag, bytes: *mut u8, len: usize) -> Result<Request> {
        let mut handle = std::ptr::null_mut();
        let _one = self.calls.lock();
        // SAFETY: the caller's promise; `handle` is ours.
        let status = unsafe { (self.table.irecv)(bytes, len, from as c_int, tag as c_int, &mut handle) };
        self.check(status, from, "a receive").map(|()| Request { handle, peer: from })
    }

    /// Waits until all are done. On an error the rest are waited for no more; the job is ending then.
    fn wait(&self, mut requests: Vec<Request>) -> Result<()> {
        let mut patience = Patience::new();
        loop {
            let mut error = None;
            requests.retain(|r| {
                if error.is_some() {
                    return false;
                }
                let mut done = 0;
                let _one = self.calls.lock();
                // SAFETY: the handle came from isend or irecv and is dropped once it is done.
                let status = unsafe { (self.table.test)(r.handle, &mut done) };
                error = self.check(status, r.peer, "a message").err();
                done == 0
            });
            match error {
                Some(lost) => self.end(&lost.to_string()),
                None if requests.is_empty() => return Ok(()),
                None => patience.wait(),
            }
        }
    }

    /// Ends the job now: memory that a request names cannot be given back while MPI may still write it.
    fn end(&self, message: &str) -> ! {
        self.abort(message);
        std::process::abort();
    }

    /// Starts a receive or send of any length in pieces.
    fn pieces(len: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..len.div_ceil(PIECE)).map(move |i| (i * PIECE, PIECE.min(len - i * PIECE)))
    }
}

impl Transport for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn send(&self, to: usize, tag: Tag, bytes: &[u8]) -> Result<()> {
        let mut first = (bytes.len() as u64).to_le_bytes().to_vec();
        let rest = if bytes.len() <= SHORT {
            first.extend_from_slice(bytes);
            &[]
        } else {
            bytes
        };
        // SAFETY: `first` and `rest` live, unchanged, until `wait` returns.
        let requests = unsafe {
            let mut requests = vec![self.isend(to, tag, first.as_ptr(), first.len())?];
            for (at, len) in Mpi::pieces(rest.len()) {
                requests.push(self.isend(to, tag, rest[at..].as_ptr(), len)?);
            }
            requests
        };
        self.wait(requests)
    }

    fn recv(&self, from: usize, tag: Tag) -> Result<Vec<u8>> {
        let mut patience = Patience::new();
        let first = loop {
            let (mut arrived, mut len) = (0, 0);
            let one = self.calls.lock();
            // SAFETY: the pointers are to our variables.
            let status = unsafe { (self.table.probe)(from as c_int, tag as c_int, &mut arrived, &mut len) };
            drop(one);
            self.check(status, from, "waiting for a message")?;
            if arrived != 0 {
                break len;
            }
            patience.wait();
        };
        let mut bytes = vec![0; first];
        // SAFETY: `bytes` lives, untouched, until `wait` returns.
        let request = unsafe { self.irecv(from, tag, bytes.as_mut_ptr(), first)? };
        self.wait(vec![request])?;
        let Some((len, _)) = bytes.split_first_chunk::<8>() else {
            return Err(Lost { rank: Some(from), why: "sent a message without its length".into() });
        };
        let len = u64::from_le_bytes(*len) as usize;
        bytes.drain(..8);
        if len <= SHORT {
            return Ok(bytes);
        }
        bytes.resize(len, 0);
        let mut requests = Vec::new();
        for (at, n) in Mpi::pieces(len) {
            // SAFETY: as above; the pieces do not overlap.
            requests.push(unsafe { self.irecv(from, tag, bytes.as_mut_ptr().add(at), n)? });
        }
        self.wait(requests)?;
        Ok(bytes)
    }

    fn exchange(
        &self,
        tag: Tag,
        sends: &[Outgoing],
        recvs: &mut [Incoming],
        meanwhile: &mut dyn FnMut(),
    ) -> Result<()> {
        let mut requests = Vec::with_capacity(sends.len() + recvs.len());
        // SAFETY: the slices are borrowed for the whole call, which returns only after `wait`; where it cannot wait, it ends
        // the process instead of returning.
        unsafe {
            for r in recvs.iter_mut() {
                for (at, len) in Mpi::pieces(r.bytes.len()) {
                    match self.irecv(r.from, tag, r.bytes.as_mut_ptr().add(at), len) {
                        Ok(request) => requests.push(request),
                        Err(lost) => self.end(&lost.to_string()),
                    }
                }
            }
            for s in sends {
                for (at, len) in Mpi::pieces(s.bytes.len()) {
                    match self.isend(s.to, tag, s.bytes[at..].as_ptr(), len) {
                        Ok(request) => requests.push(request),
                        Err(lost) => self.end(&lost.to_string()),
                    }
                }
            }
        }
        meanwhile();
        self.wait(requests)
    }

    fn abort(&self, message: &str) {
        eprintln!("legate-jit: rank {} of {}: {message}; the job ends", self.rank, self.size);
        let _one = self.calls.lock();
        // SAFETY: MPI is running.
        unsafe { (self.table.abort)(1) };
    }
}

/// Waiting that is quick to notice what comes soon, and leaves the processor to others when nothing comes.
struct Patience {
    rounds: u32,
}

impl Patience {
    fn new() -> Patience {
        Patience { rounds: 0 }
    }

    fn wait(&mut self) {
        self.rounds += 1;
        match self.rounds {
            0..100 => std::hint::spin_loop(),
            100..1000 => std::thread::yield_now(),
            n => std::thread::sleep(Duration::from_micros((n as u64 / 50).min(200))),
        }
    }
}

fn open() -> std::result::Result<&'static Table, String> {
    let beside = legate_jit_vmath::own_folder().map(|dir| dir.join(LIBRARY)).filter(|p| p.exists());
    let path =
        beside.ok_or_else(|| format!("{LIBRARY} is not installed beside the module, so there are no MPI ranks"))?;
    let library = dlopen(&path)?;
    // SAFETY: the handle is open and the name ends in a zero byte.
    let entry = unsafe { libc::dlsym(library, c"legate_jit_mpi".as_ptr()) };
    if entry.is_null() {
        return Err(format!("{} is not legate-jit's MPI library", path.display()));
    }
    // SAFETY: our library declares the symbol with this type and returns the address of a static table, whose first field
    // is the version in every version.
    let table = unsafe {
        let entry: extern "C" fn() -> *const Table = std::mem::transmute(entry);
        &*entry()
    };
    if table.version != VERSION {
        return Err(format!("{} is of another version of legate-jit", path.display()));
    }
    Ok(table)
}

fn dlopen(path: &Path) -> std::result::Result<*mut c_void, String> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|e| e.to_string())?;
    // SAFETY: opening our own library runs no code but the MPI library's initialisers. MPI loads parts of itself later, which
    // look for its symbols among the global ones.
    unsafe {
        let handle = libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
        if handle.is_null() {
            let why = CStr::from_ptr(libc::dlerror()).to_string_lossy().into_owned();
            return Err(format!("no MPI on this machine (Debian: apt install openmpi-bin): {why}"));
        }
        Ok(handle)
    }
}
