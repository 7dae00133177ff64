//! Finds libsleef and the addresses of its functions. Nothing here knows what they compute.

use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::{Float, Func, Isa, isa};

const SONAME: &str = "libsleef.so.3";
const FUNCS: usize = Func::ALL.len();

/// Addresses by function, for each number of lanes 1, 2, 4, 8, 16 (as log2). Null where this machine has no such variant.
pub(crate) struct Table {
    f64: [[*const (); FUNCS]; 4],
    f32: [[*const (); FUNCS]; 5],
}

// SAFETY: the pointers are addresses of code in a library that is never closed.
unsafe impl Send for Table {}
// SAFETY: as above; the table is not changed after it was made.
unsafe impl Sync for Table {}

impl Table {
    #[inline(always)]
    pub fn get(&self, func: Func, float: Float, log_lanes: usize) -> *const () {
        match float {
            Float::F64 => self.f64[log_lanes][func as usize],
            Float::F32 => self.f32[log_lanes][func as usize],
        }
    }
}

static TABLE: OnceLock<Result<Table, String>> = OnceLock::new();

/// Opens the library, once. Call it where an error can be reported; later calls panic if it failed.
pub fn load() -> Result<(), String> {
    TABLE.get_or_init(open).as_ref().map(|_| ()).map_err(String::clone)
}

#[inline(always)]
pub(crate) fn table() -> &'static Table {
    match TABLE.get() {
        Some(Ok(table)) => table,
        _ => first(),
    }
}

#[cold]
fn first() -> &'static Table {
    match TABLE.get_or_init(open) {
        Ok(table) => table,
        Err(e) => panic!("{e}"),
    }
}

fn open() -> Result<Table, String> {
    let handle = own_folder()
        .into_iter()
        .flat_map(|dir| [dir.join(SONAME), dir.join("lib").join(SONAME)])
        .filter(|p| p.exists())
        .chain([PathBuf::from(SONAME)])
        .find_map(|p| dlopen(&p))
        .ok_or_else(|| format!("the vector math library {SONAME} was not found (Debian: apt install libsleef3)"))?;
    let mut table = Table { f64: [[std::ptr::null(); FUNCS]; 4], f32: [[std::ptr::null(); FUNCS]; 5] };
    for &f in Func::ALL {
        for log in 0..4 {
            table.f64[log][f as usize] = find(handle, f, 'd', 1 << log, suffix(log, 1))?;
        }
        for log in 0..5 {
            table.f32[log][f as usize] = find(handle, f, 'f', 1 << log, suffix(log, 2))?;
        }
    }
    Ok(table)
}

/// SLEEF's prefix for the deterministic family and its suffix for the instruction set, for 2^log lanes where 2^`xmm` fill a
/// 128-bit register. `finz` uses FMA, `cinz` does not.
fn suffix(log: usize, xmm: usize) -> Option<(&'static str, &'static str)> {
    let fma = isa() >= Isa::Avx2;
    if log == 0 {
        Some(if fma { ("finz", "purecfma") } else { ("cinz", "purec") })
    } else if log == xmm {
        Some(if fma { ("finz", "avx2128") } else { ("cinz", "sse2") })
    } else if log == xmm + 1 {
        fma.then_some(("finz", "avx2"))
    } else if log == xmm + 2 {
        (isa() == Isa::Avx512).then_some(("finz", "avx512f"))
    } else {
        None
    }
}

fn find(
    handle: *mut c_void,
    func: Func,
    letter: char,
    lanes: usize,
    variant: Option<(&str, &str)>,
) -> Result<*const (), String> {
    let Some((prefix, suffix)) = variant else { return Ok(std::ptr::null()) };
    let name = format!("Sleef_{prefix}_{}{letter}{lanes}_{}{suffix}", func.name(), func.accuracy());
    let c = CString::new(name.as_str()).expect("no zero byte in a function's name");
    // SAFETY: the handle came from dlopen, and the name ends in a zero byte.
    let p = unsafe { libc::dlsym(handle, c.as_ptr()) };
    if p.is_null() {
        Err(format!("{SONAME} has no function {name}; version 3.5 or newer is needed"))
    } else {
        Ok(p as *const ())
    }
}

fn dlopen(path: &Path) -> Option<*mut c_void> {
    let c = CString::new(path.as_os_str().as_bytes()).ok()?;
    // SAFETY: opening SLEEF runs no code of ours; its initialisers have no requirements.
    let handle = unsafe { libc::dlopen(c.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    (!handle.is_null()).then_some(handle)
}

/// The folder of the shared object (or the program) that holds this code.
pub fn own_folder() -> Option<PathBuf> {
    // SAFETY: Dl_info is plain data, dladdr fills it; its file name stays valid as long as the object is loaded.
    let name = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(own_folder as *const c_void, &mut info) == 0 || info.dli_fname.is_null() {
            return None;
        }
        CStr::from_ptr(info.dli_fname)
    };
    let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes())).canonicalize().ok()?;
    path.parent().map(Path::to_path_buf)
}
