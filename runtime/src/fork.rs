//! Keeps a process that forks in one piece: a fork waits until nobody computes.
//!
//! Only the thread that forks goes on in the child. Had another one the session or the memory pool at that moment, they would
//! stay locked in the child for ever. So both are taken before a fork and let go of after it, in the parent and in the child; and
//! the helper is brought to rest, as is what the import began. They come before the compilers' locks (`legate_jit_codegen::fork`), which a running flush may take while it has the session.
//!
//! A boundary file: what is held over the fork lies in a static cell.

use std::any::Any;
use std::cell::UnsafeCell;
use std::sync::Once;

use parking_lot::Mutex;

use crate::{buffer, helper, session, start};

/// The guards; dropping them opens the locks.
type Guards = [Box<dyn Any>; 4];

struct Place(UnsafeCell<Option<Guards>>);

// SAFETY: only the handlers below touch it, and they run with the session held.
unsafe impl Sync for Place {}

static HELD: Place = Place(UnsafeCell::new(None));

/// Called when the first session is made.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Handlers that run before a fork run in the reverse order of their registration.
        legate_jit_codegen::fork::install();
        // SAFETY: the handlers are functions of this module, which is never unloaded.
        unsafe { libc::pthread_atfork(Some(before), Some(after), Some(in_child)) };
    });
}

unsafe extern "C" fn before() {
    let guards: Guards = [start::hold(), session::hold(), helper::hold(), buffer::hold()];
    // SAFETY: the session is held, so no other handler runs.
    unsafe { *HELD.0.get() = Some(guards) };
}

unsafe extern "C" fn after() {
    // SAFETY: this thread took the session in `before`, in the child as well.
    let guards = unsafe { (*HELD.0.get()).take() };
    if let Some([start, session, helper, pool]) = guards {
        drop(pool);
        drop(helper);
        drop(session);
        drop(start);
    }
}

unsafe extern "C" fn in_child() {
    // SAFETY: the handler's own conditions.
    unsafe { after() };
    session::forget_waiting();
    buffer::forget_waiting();
}

/// In a child that has one thread, which holds nothing: opens a lock that was handed on, when it was let go of, to a thread that
/// waited for it in the parent.
pub(crate) fn forget_waiting<T>(lock: &Mutex<T>) {
    while lock.is_locked() {
        // SAFETY: the owner is a thread that this process does not have.
        unsafe { lock.force_unlock() };
    }
}
