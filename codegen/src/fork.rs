//! Keeps a process that forks in one piece.
//!
//! Only the thread that calls `fork` goes on in the child. Were another one inside LLVM at that moment, its locks would stay
//! shut in the child for ever. So whoever compiles or links holds the gate, and a fork waits until nobody does (a kernel's
//! time at most); the compilers' own locks are taken as well. The child then starts helper threads of its own.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, RwLock, RwLockReadGuard, RwLockWriteGuard};

static GATE: RwLock<()> = RwLock::new(());
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// A lock that must be open in the child. It is always taken after the gate, never before.
pub trait Lockable: Sync {
    fn lock(&'static self) -> Box<dyn Unlock>;
}

/// A lock's guard; dropping it opens the lock.
pub trait Unlock {}

impl<T> Unlock for MutexGuard<'_, T> {}

impl<T: Send> Lockable for Mutex<T> {
    fn lock(&'static self) -> Box<dyn Unlock> {
        Box::new(Mutex::lock(self).unwrap_or_else(|e| e.into_inner()))
    }
}

static LOCKS: Mutex<Vec<&'static dyn Lockable>> = Mutex::new(Vec::new());

/// What the forking thread holds from before the fork until after it.
#[allow(dead_code)]
struct Held {
    locks: Vec<Box<dyn Unlock>>,
    list: MutexGuard<'static, Vec<&'static dyn Lockable>>,
    gate: RwLockWriteGuard<'static, ()>,
}

struct Place(UnsafeCell<Option<Held>>);

// SAFETY: only the handlers below touch it, and they run with the gate held alone.
unsafe impl Sync for Place {}

static HELD: Place = Place(UnsafeCell::new(None));

/// Registers the handlers. Handlers registered later run earlier before a fork, and later after it.
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handlers are functions of this module, which is never unloaded.
        unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
    });
}

/// Held by whoever uses LLVM or MLIR. Not to be taken twice by one thread.
pub fn inside() -> RwLockReadGuard<'static, ()> {
    install();
    GATE.read().unwrap_or_else(|e| e.into_inner())
}

/// Has a lock taken around every fork.
pub fn guard(lock: &'static dyn Lockable) {
    install();
    LOCKS.lock().unwrap_or_else(|e| e.into_inner()).push(lock);
}

/// Another number in each process that came from a fork.
pub fn generation() -> u64 {
    GENERATION.load(Ordering::Acquire)
}

unsafe extern "C" fn before() {
    let gate = GATE.write().unwrap_or_else(|e| e.into_inner());
    let list = LOCKS.lock().unwrap_or_else(|e| e.into_inner());
    let locks = list.iter().map(|l| l.lock()).collect();
    // SAFETY: the gate is held, so no other handler runs.
    unsafe { *HELD.0.get() = Some(Held { locks, list, gate }) };
}

unsafe extern "C" fn in_parent() {
    // SAFETY: this thread took the gate in `before`.
    drop(unsafe { (*HELD.0.get()).take() });
}

unsafe extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Release);
    // SAFETY: as in the parent; the thread that called `fork` is the one that goes on here.
    drop(unsafe { (*HELD.0.get()).take() });
}
