//! Bases and versions: what a handle names, and the value it has at the moment.
//!
//! A base is a variable of n elements; a write through any of its views gives it a new version. A version is a value and
//! never changes: it is a node of the pending trace until a flush gives it a store. Copies of a base share a version until
//! one of them is written. So liveness is plain reference counting: at a flush, a pending version that nobody but the trace
//! holds is dead, and a store that nobody but the trace holds may be overwritten.
//!
//! A boundary file: the cells below are opened with the session's token.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use legate_jit_ir::DType;

use crate::buffer::let_go;
use crate::layout::Layout;
use crate::shared::Shared;
use crate::{Error, Store};

/// There is one, inside the session; whoever holds the session's lock has it.
pub(crate) struct Token(());

impl Token {
    /// # Safety
    /// Once in a process.
    pub(crate) const unsafe fn new() -> Token {
        Token(())
    }
}

/// A cell that only the holder of the session may open.
pub(crate) struct Guarded<T>(UnsafeCell<T>);

// SAFETY: access needs the one token, which the session's lock hands to one thread at a time.
unsafe impl<T: Send + Sync> Sync for Guarded<T> {}

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Guarded<T> {
        Guarded(UnsafeCell::new(value))
    }

    #[inline(always)]
    pub(crate) fn get<'a>(&'a self, _: &'a Token) -> &'a T {
        // SAFETY: while the token is borrowed shared, nobody can call `set` or `replace`.
        unsafe { &*self.0.get() }
    }

    #[inline(always)]
    pub(crate) fn replace(&self, _: &mut Token, value: T) -> T {
        // SAFETY: the token is borrowed exclusively, so no reference made by `get` lives.
        unsafe { std::mem::replace(&mut *self.0.get(), value) }
    }
}

/// Where a version's elements are.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// A record of the pending trace.
    Pending(u32),
    Store(Arc<Store>),
    /// The flush that should have made it failed.
    Failed(Arc<Error>),
}

/// A value of `full.size` elements, C order, of the shape `full`.
pub(crate) struct Version {
    pub(crate) state: Guarded<State>,
    pub(crate) full: Shared<Layout>,
    pub(crate) dtype: DType,
}

impl Drop for Version {
    #[inline(always)]
    fn drop(&mut self) {
        let state = self.state.0.get_mut();
        if let State::Store(_) = state
            && let State::Store(store) = std::mem::replace(state, State::Pending(0))
        {
            let_go(store);
        }
    }
}

impl Version {
    #[inline(always)]
    pub(crate) fn new(state: State, full: Shared<Layout>, dtype: DType) -> Shared<Version> {
        // SAFETY: these are its fields.
        unsafe {
            Shared::written(|v: *mut Version| {
                (&raw mut (*v).state).write(Guarded::new(state));
                (&raw mut (*v).full).write(full);
                (&raw mut (*v).dtype).write(dtype);
            })
        }
    }
}

pub(crate) struct Base {
    pub(crate) current: Guarded<Shared<Version>>,
    /// The whole array was made read-only, so none of its views can be made writable.
    pub(crate) read_only: AtomicBool,
}

impl Base {
    #[inline(always)]
    pub(crate) fn new(version: Shared<Version>) -> Shared<Base> {
        // SAFETY: these are its fields.
        unsafe {
            Shared::written(|b: *mut Base| {
                (&raw mut (*b).current).write(Guarded::new(version));
                (&raw mut (*b).read_only).write(AtomicBool::new(false));
            })
        }
    }
}
