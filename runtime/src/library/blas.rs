//! OpenBLAS, loaded when first needed: the one NumPy has loaded where the front end names it (so products have NumPy's bits),
//! else one given by path.
//!
//! A boundary file: it calls C.

use std::ffi::{CString, c_char, c_int, c_void};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use legate_jit_vmath::{Isa, isa};
use parking_lot::Mutex;

use super::orders;
pub(crate) use super::orders::Orders;
use crate::{Error, Result};

/// CBLAS with 64-bit integers.
pub(super) struct Blas {
    sdot: unsafe extern "C" fn(i64, *const f32, i64, *const f32, i64) -> f32,
    pub(super) ddot: unsafe extern "C" fn(i64, *const f64, i64, *const f64, i64) -> f64,
    cdotu: Dotu,
    zdotu: Dotu,
    cdotc: Dotu,
    zdotc: Dotu,
    gemv: [Gemv; 4],
    gemm: [Gemm; 4],
    syrk: [Syrk; 4],
    threads: Option<Threads>,
}

/// How many threads the library uses.
struct Threads {
    set: SetThreads,
    get: GetThreads,
    /// Whether its own threads are there, and the number itself, where the library shows them.
    server: Option<(*const c_int, *mut c_int)>,
}

impl Threads {
    /// # Safety
    /// The library is one of OpenBLAS's, and only who has `ALONE` sets the number.
    unsafe fn set(&self, n: c_int) {
        // SAFETY: OpenBLAS's own function for this, and its variables, which that would set. It would also start the threads if they are
        // not there.
        unsafe {
            match self.server {
                Some((there, number)) if there.read_volatile() == 0 => number.write_volatile(n),
                _ => (self.set)(n),
            }
        }
    }
}

type SetThreads = unsafe extern "C" fn(c_int);
type GetThreads = unsafe extern "C" fn() -> c_int;

type Dotu = unsafe extern "C" fn(i64, *const c_void, i64, *const c_void, i64, *mut c_void);
/// Scalars travel by value in the real routines and by address in the complex ones, so each kind has its own type.
type Gemv = *const c_void;
type Gemm = *const c_void;
type Syrk = *const c_void;

// SAFETY: addresses of functions.
unsafe impl Send for Blas {}
// SAFETY: as above.
unsafe impl Sync for Blas {}

pub(super) const ROW_MAJOR: c_int = 101;
pub(super) const COL_MAJOR: c_int = 102;
pub(super) const NO_TRANS: c_int = 111;
pub(super) const TRANS: c_int = 112;
const UPPER: c_int = 121;

static CANDIDATES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
/// 0: the library's own choice.
static THREADS: AtomicUsize = AtomicUsize::new(0);
/// How many products are on, and how many threads the library had before them.
static ALONE: Mutex<(usize, c_int)> = Mutex::new((0, 0));
static BLAS: OnceLock<Option<Blas>> = OnceLock::new();

/// Where OpenBLAS may lie, in order of preference. Takes effect before the first product.
pub fn set_paths(paths: Vec<PathBuf>) {
    *CANDIDATES.lock() = paths;
}

/// How many threads the library uses for others than us at most, from now on or from when it is loaded.
pub fn set_threads(n: usize) {
    THREADS.store(n, Ordering::Relaxed);
    if let Some(Some(blas)) = BLAS.get() {
        blas.limit_threads();
    }
}

/// Ends the threads of a BLAS that is loaded already, which look for work for a tenth of a second after they have started, and after each
/// product, on processors that others could use. The next product of its own that is for several threads starts them again, and then they
/// look for as long as the environment says now.
///
/// It is what the library itself does before a fork. Nobody else may be inside the library.
pub fn end_threads() {
    for path in CANDIDATES.lock().iter() {
        let Ok(name) = CString::new(path.as_os_str().as_encoded_bytes()) else { continue };
        // SAFETY: a NUL-terminated path; what is not loaded is not loaded by that.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL | libc::RTLD_NOLOAD) };
        if handle.is_null() {
            continue;
        }
        for name in [c"blas_thread_shutdown_", c"openblas_read_env"] {
            // SAFETY: a live handle and a NUL-terminated name.
            let call = unsafe { libc::dlsym(handle, name.as_ptr()) };
            if !call.is_null() {
                // SAFETY: OpenBLAS's functions of these names take nothing; the caller sees to it that they may be called.
                unsafe { std::mem::transmute::<*mut c_void, unsafe extern "C" fn()>(call)() };
            }
        }
        // SAFETY: the handle, which is one of several.
        unsafe { libc::dlclose(handle) };
    }
}

/// See [`Blas::alone`].
pub(super) struct Alone<'a>(&'a Blas);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let mut alone = ALONE.lock();
        alone.0 -= 1;
        if let (0, Some(threads)) = (alone.0, &self.0.threads) {
            // SAFETY: this has `ALONE`.
            unsafe { threads.set(alone.1) };
        }
    }
}

/// Whether a BLAS is there.
pub fn available() -> bool {
    get().is_some()
}

/// The functions for the sum of products of two vectors, in double and in single precision: `f(n, x, step of x, y, step of y)` with
/// whole numbers of 64 bits.
pub(crate) fn dots() -> Option<[*const c_void; 2]> {
    get().map(|blas| [blas.ddot as *const c_void, blas.sdot as *const c_void])
}

/// How it adds the products of vectors in double precision up: tried out once, on vectors of many lengths.
pub(crate) fn orders() -> Orders {
    static FOUND: OnceLock<Orders> = OnceLock::new();
    *FOUND.get_or_init(|| get().map(orders::found).unwrap_or_default())
}

pub(super) fn get() -> Option<&'static Blas> {
    BLAS.get_or_init(|| {
        let blas = CANDIDATES.lock().iter().find_map(|p| open(p).ok())?;
        blas.limit_threads();
        Some(blas)
    })
    .as_ref()
}

fn open(path: &std::path::Path) -> Result<Blas> {
    let name = CString::new(path.as_os_str().as_encoded_bytes()).map_err(|e| Error::Runtime(e.to_string()))?;
    // SAFETY: a NUL-terminated path; the library stays loaded for the life of the process.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if handle.is_null() {
        return Err(Error::Runtime(format!("cannot load {}", path.display())));
    }
    let find = |stem: &str| -> Result<*const c_void> {
        for name in [format!("scipy_{stem}64_"), format!("{stem}64_")] {
            let c = CString::new(name).expect("a plain name");
            // SAFETY: a live handle and a NUL-terminated name.
            let f = unsafe { libc::dlsym(handle, c.as_ptr() as *const c_char) };
            if !f.is_null() {
                return Ok(f);
            }
        }
        Err(Error::Runtime(format!("{} has no {stem} for 64-bit integers", path.display())))
    };
    let each = |stem: &str| -> Result<[*const c_void; 4]> {
        Ok([
            find(&format!("cblas_s{stem}"))?,
            find(&format!("cblas_d{stem}"))?,
            find(&format!("cblas_c{stem}"))?,
            find(&format!("cblas_z{stem}"))?,
        ])
    };
    // SAFETY: the functions of these names have these signatures (CBLAS, 64-bit integers).
    unsafe {
        Ok(Blas {
            sdot: std::mem::transmute::<
                *const c_void,
                unsafe extern "C" fn(i64, *const f32, i64, *const f32, i64) -> f32,
            >(find("cblas_sdot")?),
            ddot: std::mem::transmute::<
                *const c_void,
                unsafe extern "C" fn(i64, *const f64, i64, *const f64, i64) -> f64,
            >(find("cblas_ddot")?),
            cdotu: std::mem::transmute::<*const c_void, Dotu>(find("cblas_cdotu_sub")?),
            zdotu: std::mem::transmute::<*const c_void, Dotu>(find("cblas_zdotu_sub")?),
            cdotc: std::mem::transmute::<*const c_void, Dotu>(find("cblas_cdotc_sub")?),
            zdotc: std::mem::transmute::<*const c_void, Dotu>(find("cblas_zdotc_sub")?),
            gemv: each("gemv")?,
            gemm: each("gemm")?,
            syrk: each("syrk")?,
            threads: match (find("openblas_set_num_threads"), find("openblas_get_num_threads")) {
                (Ok(set), Ok(get)) => Some(Threads {
                    set: std::mem::transmute::<*const c_void, SetThreads>(set),
                    get: std::mem::transmute::<*const c_void, GetThreads>(get),
                    server: match [c"blas_server_avail", c"blas_cpu_number"].map(|v| libc::dlsym(handle, v.as_ptr())) {
                        [there, number] if !there.is_null() && !number.is_null() => Some((there.cast(), number.cast())),
                        _ => None,
                    },
                }),
                (Err(_), _) | (_, Err(_)) => None,
            },
        })
    }
}

/// An element type that BLAS knows.
pub(super) trait Element: Copy + PartialEq + 'static {
    /// Place in the tables of routines.
    const KIND: usize;
    const ZERO: Self;

    /// # Safety
    /// n elements at both places, `stride` elements apart.
    unsafe fn dot(blas: &Blas, n: i64, x: *const Self, incx: i64, y: *const Self, incy: i64) -> Self;

    /// The same of the conjugates at x.
    ///
    /// # Safety
    /// As above.
    unsafe fn dot_of_conjugates(blas: &Blas, n: i64, x: *const Self, incx: i64, y: *const Self, incy: i64) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::dot(blas, n, x, incx, y, incy) }
    }

    /// The sum in float64, in order, for strides (in bytes) that BLAS does not take.
    ///
    /// # Safety
    /// As above.
    unsafe fn wide_dot(n: usize, x: *const u8, dx: isize, y: *const u8, dy: isize) -> Self;
}

/// Element i of a strided operand.
///
/// # Safety
/// It is there.
unsafe fn element<T: Copy>(p: *const u8, stride: isize, i: usize) -> T {
    // SAFETY: the caller's promise.
    unsafe { p.wrapping_offset(stride * i as isize).cast::<T>().read_unaligned() }
}

macro_rules! real {
    ($t:ty, $kind:expr, $dot:ident) => {
        impl Element for $t {
            const KIND: usize = $kind;
            const ZERO: $t = 0.0;

            unsafe fn dot(blas: &Blas, n: i64, x: *const $t, incx: i64, y: *const $t, incy: i64) -> $t {
                // SAFETY: the caller's promise.
                unsafe { (blas.$dot)(n, x, incx, y, incy) }
            }

            unsafe fn wide_dot(n: usize, x: *const u8, dx: isize, y: *const u8, dy: isize) -> $t {
                // SAFETY: the caller's promise.
                let product = |i| unsafe { element::<$t>(x, dx, i) * element::<$t>(y, dy, i) };
                (0..n).fold(0f64, |sum, i| sum + product(i) as f64) as $t
            }
        }
    };
}

macro_rules! complex {
    ($t:ty, $kind:expr, $dot:ident, $of_conjugates:ident) => {
        impl Element for [$t; 2] {
            const KIND: usize = $kind;
            const ZERO: [$t; 2] = [0.0, 0.0];

            unsafe fn dot(blas: &Blas, n: i64, x: *const Self, incx: i64, y: *const Self, incy: i64) -> Self {
                let mut out = [0.0; 2];
                // SAFETY: the caller's promise.
                unsafe { (blas.$dot)(n, x.cast(), incx, y.cast(), incy, (&raw mut out).cast()) };
                out
            }

            unsafe fn dot_of_conjugates(
                blas: &Blas,
                n: i64,
                x: *const Self,
                incx: i64,
                y: *const Self,
                incy: i64,
            ) -> Self {
                let mut out = [0.0; 2];
                // SAFETY: the caller's promise.
                unsafe { (blas.$of_conjugates)(n, x.cast(), incx, y.cast(), incy, (&raw mut out).cast()) };
                out
            }

            unsafe fn wide_dot(n: usize, x: *const u8, dx: isize, y: *const u8, dy: isize) -> Self {
                let mut sum = [0f64; 2];
                for i in 0..n {
                    // SAFETY: the caller's promise.
                    let (x, y): (Self, Self) = unsafe { (element(x, dx, i), element(y, dy, i)) };
                    sum[0] += (x[0] * y[0] - x[1] * y[1]) as f64;
                    sum[1] += (x[0] * y[1] + x[1] * y[0]) as f64;
                }
                [sum[0] as $t, sum[1] as $t]
            }
        }
    };
}

real!(f32, 0, sdot);
real!(f64, 1, ddot);
complex!(f32, 2, cdotu, cdotc);
complex!(f64, 3, zdotu, zdotc);

/// Some of OpenBLAS's products leave the upper parts of the vector registers in use, after which code that knows only the lower
/// ones waits where it writes to them: in a program of many products of 6×6 complex matrices that was a fifth of the time.
#[inline(always)]
fn leave_wide_registers() {
    #[cfg(target_arch = "x86_64")]
    if isa() != Isa::Base {
        // SAFETY: the processor has AVX; the registers hold nothing that is needed across a call of C's.
        unsafe { std::arch::asm!("vzeroupper", clobber_abi("sysv64"), options(nomem, nostack)) };
    }
}

/// The factors 1 and 0 as a routine of this kind takes them: by value or by address.
macro_rules! call {
    ($kind:expr, $f:expr, |$one:ident, $zero:ident| ($($before:ident: $bt:ty),*; $($middle:ident: $mt:ty),*; $($after:ident: $at:ty),*)) => {
        match $kind {
            0 => {
                let f = std::mem::transmute::<*const c_void, unsafe extern "C" fn($($bt,)* f32, $($mt,)* f32, $($at),*)>($f);
                f($($before,)* 1.0, $($middle,)* 0.0, $($after),*)
            }
            1 => {
                let f = std::mem::transmute::<*const c_void, unsafe extern "C" fn($($bt,)* f64, $($mt,)* f64, $($at),*)>($f);
                f($($before,)* 1.0, $($middle,)* 0.0, $($after),*)
            }
            kind => {
                let single = ([1f32, 0.0], [0f32, 0.0]);
                let double = ([1f64, 0.0], [0f64, 0.0]);
                let ($one, $zero): (*const c_void, *const c_void) = if kind == 2 {
                    ((&raw const single.0).cast(), (&raw const single.1).cast())
                } else {
                    ((&raw const double.0).cast(), (&raw const double.1).cast())
                };
                let f = std::mem::transmute::<
                    *const c_void,
                    unsafe extern "C" fn($($bt,)* *const c_void, $($mt,)* *const c_void, $($at),*),
                >($f);
                f($($before,)* $one, $($middle,)* $zero, $($after),*)
            }
        }
    };
}

impl Blas {
    fn limit_threads(&self) {
        let n = THREADS.load(Ordering::Relaxed);
        let mut alone = ALONE.lock();
        match (&self.threads, n) {
            (_, 0) | (None, _) => {}
            (Some(_), _) if alone.0 > 0 => alone.1 = alone.1.min(n as c_int),
            // (Never more than it has: while its threads are not there, it would wait for some that it does not start.)
            // SAFETY: this has `ALONE`.
            (Some(threads), _) => unsafe { threads.set((threads.get)().min(n as c_int)) },
        }
    }

    /// While this lives, the library computes on the threads that call it. Its own would spin for a while after every product,
    /// on the processors where ours have work by then.
    pub(super) fn alone(&self) -> Alone<'_> {
        let mut alone = ALONE.lock();
        if let (0, Some(threads)) = (alone.0, &self.threads) {
            // SAFETY: OpenBLAS's own function for this; this has `ALONE`.
            unsafe {
                alone.1 = (threads.get)();
                threads.set(1);
            }
        }
        alone.0 += 1;
        Alone(self)
    }

    /// y = op(A) x.
    ///
    /// # Safety
    /// The operands name valid memory in CBLAS's terms.
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn gemv<T: Element>(
        &self,
        order: c_int,
        trans: c_int,
        rows: i64,
        cols: i64,
        a: *const T,
        lda: i64,
        x: *const T,
        incx: i64,
        y: *mut T,
        incy: i64,
    ) {
        // SAFETY: the caller's promise; the signatures are CBLAS's.
        unsafe {
            call!(T::KIND, self.gemv[T::KIND], |one, zero| (
                order: c_int, trans: c_int, rows: i64, cols: i64;
                a: *const T, lda: i64, x: *const T, incx: i64;
                y: *mut T, incy: i64
            ))
        }
    }

    /// C = op(A) op(B), row major.
    ///
    /// # Safety
    /// As above.
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn gemm<T: Element>(
        &self,
        ta: c_int,
        tb: c_int,
        m: i64,
        n: i64,
        k: i64,
        a: *const T,
        lda: i64,
        b: *const T,
        ldb: i64,
        c: *mut T,
        ldc: i64,
    ) {
        let order = ROW_MAJOR;
        // SAFETY: the caller's promise; the signatures are CBLAS's.
        unsafe {
            call!(T::KIND, self.gemm[T::KIND], |one, zero| (
                order: c_int, ta: c_int, tb: c_int, m: i64, n: i64, k: i64;
                a: *const T, lda: i64, b: *const T, ldb: i64;
                c: *mut T, ldc: i64
            ));
            leave_wide_registers();
        }
    }

    /// The upper triangle of C = op(A) op(A)ᵀ, row major.
    ///
    /// # Safety
    /// As above.
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn syrk<T: Element>(
        &self,
        trans: c_int,
        n: i64,
        k: i64,
        a: *const T,
        lda: i64,
        c: *mut T,
        ldc: i64,
    ) {
        let (order, uplo) = (ROW_MAJOR, UPPER);
        // SAFETY: the caller's promise; the signatures are CBLAS's.
        unsafe {
            call!(T::KIND, self.syrk[T::KIND], |one, zero| (
                order: c_int, uplo: c_int, trans: c_int, n: i64, k: i64;
                a: *const T, lda: i64;
                c: *mut T, ldc: i64
            ));
            leave_wide_registers();
        }
    }
}
