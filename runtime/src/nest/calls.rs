//! What machine code calls: instructions that the interpreter does for it, room and fuel, functions.
//!
//! A boundary file: machine code calls it with addresses.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use legate_jit_ir::nest::{DOT_ALONE, Frame, GO_ON, LEFT, LONG, ROWS};
use legate_jit_ir::{DType, Ufunc};

use super::rounds::MORE;
use super::run::{End, JUMPS, NOTED, Run};
use super::view::View;
use crate::library::matmul;

/// A frame with these calls and nothing else.
pub(super) const FRAME: Frame = Frame {
    ints: std::ptr::null_mut(),
    floats: std::ptr::null_mut(),
    views: std::ptr::null_mut(),
    log: std::ptr::null_mut(),
    room: 0,
    fuel: JUMPS,
    next: 0,
    step: 0,
    rounds: 0,
    last: 0,
    apart: 0,
    mapped: 0,
    maps: 0,
    run: std::ptr::null_mut(),
    instruction,
    refuel,
    widen,
    function,
    power,
    dot,
    reduce,
    dots: [std::ptr::null(); 2],
    gaps: 0,
    short: 0,
    packed: 0,
    rounded: 0,
    memory,
};

// (Machine code calls BLAS itself for as many as `library::dot` does.)
const _: () = assert!(DOT_ALONE <= matmul::VECTOR_ALONE);

/// A panic must not cross machine code.
///
/// # Safety
/// `run` is what a frame of `Run::batch` has.
unsafe fn guarded(run: *mut c_void, f: impl FnOnce(&mut Run<'_>) -> u64) -> u64 {
    // SAFETY: the caller's promise; nobody else uses it until the call is over.
    let run = unsafe { &mut *run.cast::<Run<'_>>() };
    match catch_unwind(AssertUnwindSafe(|| f(run))) {
        Ok(how) => how,
        Err(panic) => {
            run.failed = true;
            run.panic = Some(panic);
            LEFT
        }
    }
}

/// [`Frame::instruction`].
unsafe extern "C" fn instruction(run: *mut c_void, n: u64) -> u64 {
    // SAFETY: the caller's promise; the code is that of this program, whose instructions `Program::new` has checked.
    unsafe {
        guarded(run, |run| {
            run.log.take_in(run.frame.log);
            let end = run.round::<true>(n as usize);
            (run.frame.log, run.frame.room) = (run.log.end(run.room()), ROWS as i64);
            match end {
                End::Round => GO_ON,
                End::Leave => LEFT,
                End::Long => LONG,
            }
        })
    }
}

/// [`Frame::refuel`].
unsafe extern "C" fn refuel(run: *mut c_void) -> u64 {
    // SAFETY: the caller's promise; the code has noted what lies before the end of the log.
    unsafe {
        guarded(run, |run| {
            run.log.take_in(run.frame.log);
            run.given += MORE - run.frame.fuel;
            if run.is_long() {
                return LONG;
            }
            (run.frame.fuel, run.frame.last) = (MORE, 1);
            (run.frame.log, run.frame.room) = (run.log.end(run.room()), ROWS as i64);
            GO_ON
        })
    }
}

/// [`Frame::widen`].
unsafe extern "C" fn widen(run: *mut c_void) -> u64 {
    // SAFETY: the caller's promise; the code has noted what lies before the end of the log.
    unsafe {
        guarded(run, |run| {
            run.log.take_in(run.frame.log);
            if run.log.bytes() > NOTED {
                return LONG;
            }
            (run.frame.log, run.frame.room) = (run.log.end(run.room()), ROWS as i64);
            GO_ON
        })
    }
}

/// [`Frame::function`].
unsafe extern "C" fn function(run: *mut c_void, n: u64, x: f64) -> f64 {
    let mut value = f64::NAN;
    // SAFETY: the caller's promise.
    unsafe {
        guarded(run, |run| {
            value = run.program.functions[n as usize].of(x).unwrap_or(f64::NAN);
            GO_ON
        });
    }
    value
}

/// [`Frame::power`].
extern "C" fn power(x: f64, y: f64) -> f64 {
    x.powf(y)
}

/// [`Frame::memory`].
unsafe extern "C" fn memory(
    run: *mut c_void,
    n: u64,
    bytes: u64,
    a: *mut u8,
    b: *mut u8,
    c: *mut u8,
    d: *mut u8,
) -> *mut u8 {
    let mut room = std::ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe {
        guarded(run, |run| {
            room = run.memory(n as usize, bytes as usize, &[a, b, c, d]);
            GO_ON
        });
    }
    room
}

/// [`Frame::dot`].
unsafe extern "C" fn dot(run: *mut c_void, kind: u64, n: u64, x: *mut u8, by_x: isize, y: *mut u8, by_y: isize) -> f64 {
    let mut value = f64::NAN;
    let of = |ptr, by| View::new(ptr, &[n as usize], &[by]);
    // SAFETY: the caller's promise; the vectors are views of the code's.
    unsafe {
        guarded(run, |run| {
            let fuel = run.frame.fuel;
            let dtype = if kind & 2 == 0 { DType::F64 } else { DType::F32 };
            let Some(bits) = run.dot(dtype, of(x, by_x), of(y, by_y), kind & 1 == 1) else {
                run.failed = true;
                return LEFT;
            };
            value = if dtype == DType::F64 { f64::from_bits(bits) } else { f32::from_bits(bits as u32) as f64 };
            // (The code has counted it.)
            run.frame.fuel = fuel;
            GO_ON
        });
    }
    value
}

/// [`Frame::reduce`].
unsafe extern "C" fn reduce(run: *mut c_void, kind: u64, n: u64, x: *mut u8, by_x: isize) -> f64 {
    let mut value = f64::NAN;
    // SAFETY: the caller's promise; the vector is a view of the code's.
    unsafe {
        guarded(run, |run| {
            let fuel = run.frame.fuel;
            let x = View::new(x, &[n as usize], &[by_x]);
            let dtype = if kind & 4 == 0 { DType::F64 } else { DType::F32 };
            let ufunc = [Ufunc::Add, Ufunc::Maximum, Ufunc::Minimum][kind as usize & 3];
            let Some(bits) = run.reduced(ufunc, dtype, &x) else {
                run.failed = true;
                return LEFT;
            };
            value = if dtype == DType::F64 { f64::from_bits(bits) } else { f32::from_bits(bits as u32) as f64 };
            // (The code has counted it.)
            run.frame.fuel = fuel;
            GO_ON
        });
    }
    value
}
