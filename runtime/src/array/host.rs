//! The elements in memory, for the front end: addresses and strides after everything is computed, and exports to foreign
//! code (NumPy, DLPack) that share the memory for as long as they live.
//!
//! A boundary file.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use legate_jit_ir::{DType, Shape};

use super::Array;
use crate::base::{State, Version};
use crate::layout::Strides;
use crate::session::{lock, lock_to_look};
use crate::shared::Shared;
use crate::trace::Part;
use crate::{Result, Store, inline};

/// The elements of a handle in memory. The address is good as long as this lives.
pub struct HostView {
    pub ptr: *mut u8,
    pub shape: Shape,
    /// In bytes.
    pub strides: Strides,
    pub dtype: DType,
    /// Keeps the memory.
    pub store: Arc<Store>,
}

/// A view given to foreign code that may write through it: until it is dropped, calls on its memory run at once.
pub struct Export {
    pub view: HostView,
    _base: Array,
}

/// Memory that foreign code sees for the length of a call, as an array did: while this lives, calls on it run at once.
pub struct Loan(Arc<Store>);

// SAFETY: the address belongs to the store, which is Send + Sync.
unsafe impl Send for HostView {}
// SAFETY: as above.
unsafe impl Sync for HostView {}

impl Array {
    /// The elements, computed, for reading: a later write through the array leaves them as they are.
    pub fn host(&self) -> Result<HostView> {
        let mut s = lock_to_look();
        let version = self.base.current.get(&s.token).clone();
        let store = s.store_of(&version)?;
        Ok(self.view_of(store))
    }

    /// The elements for reading, if they are in memory.
    pub fn host_at_rest(&self) -> Option<HostView> {
        let mut s = lock_to_look();
        s.inline.is_asked_for_all();
        match self.base.current.get(&s.token).state.get(&s.token) {
            State::Store(store) if !store.is_promised() => Some(self.view_of(store.clone())),
            State::Store(_) | State::Pending(_) | State::Failed(_) => None,
        }
    }

    /// The bytes of an array that lie together for reading, if they are in memory: what keeps them, and where they begin.
    pub fn bytes_at_rest(&self) -> Option<(Arc<Store>, *const u8)> {
        if !self.c_contiguous() {
            return None;
        }
        let mut s = lock_to_look();
        s.inline.is_asked_for_all();
        match self.base.current.get(&s.token).state.get(&s.token) {
            State::Store(store) if !store.is_promised() => {
                Some((store.clone(), store.as_ptr().wrapping_offset(self.offset() as isize)))
            }
            State::Store(_) | State::Pending(_) | State::Failed(_) => None,
        }
    }

    /// The elements of an array of one axis for reading, if they are in memory: what keeps them, where the first one is, and how
    /// many bytes the next one is away.
    pub fn line_at_rest(&self) -> Option<(Arc<Store>, *const u8, isize)> {
        let &[step] = &self.layout.strides[..] else { return None };
        let mut s = lock_to_look();
        s.inline.is_asked_for_all();
        match self.base.current.get(&s.token).state.get(&s.token) {
            State::Store(store) if !store.is_promised() => {
                let first = store.as_ptr().wrapping_offset(self.offset() as isize);
                Some((store.clone(), first, (step * self.base_itemsize()) as isize))
            }
            State::Store(_) | State::Pending(_) | State::Failed(_) => None,
        }
    }

    /// The elements, computed, in memory that foreign code and this array share from now on.
    pub fn export(&self) -> Result<Export> {
        let mut s = lock_to_look();
        s.inline.is_asked_for_all();
        let version = self.base.current.get(&s.token).clone();
        let mut store = s.store_of(&version)?;
        s.ahead.let_go();
        s.ramps.forget();
        s.forget_found(None);
        if !store.is_exported() {
            // Pending reads of the memory come before whatever foreign code will write.
            s.flush()?;
            // Ours, the base's and the version's own; more means that a copy shares the version or the store.
            let shared = Shared::count(&version) > 2 || Arc::strong_count(&store) > 2;
            if shared && self.writable() {
                store = store.duplicate()?;
                let own = Version::new(State::Store(store.clone()), version.full.clone(), version.dtype);
                self.base.current.replace(&mut s.token, own);
            }
        }
        store.exports.fetch_add(1, Ordering::AcqRel);
        Ok(Export { view: self.view_of(store), _base: self.clone() })
    }

    /// The same for foreign code that lets go of the memory when its call ends: of what is in memory while nothing is pending.
    /// `None` where that is not so.
    pub fn lend(&self) -> Result<Option<Loan>> {
        let mut s = lock_to_look();
        if !s.trace.is_empty() || s.seen.is_some() {
            return Ok(None);
        }
        s.ahead.let_go();
        s.ramps.forget();
        s.forget_found(None);
        let first = if self.writable() { inline::own(&mut s, self)? } else { inline::at_rest(&s, self) };
        match self.base.current.get(&s.token).state.get(&s.token) {
            State::Store(store) if first.is_some() => {
                store.exports.fetch_add(1, Ordering::AcqRel);
                let loan = Loan(store.clone());
                s.inline.is_asked_for_all();
                Ok(Some(loan))
            }
            State::Store(_) | State::Pending(_) | State::Failed(_) => Ok(None),
        }
    }

    /// The elements of a writable array for writing, where they lie together in memory that nobody else sees, or that foreign code
    /// is meant to see written.
    pub fn own_at_rest(&self) -> Result<Option<HostView>> {
        if !self.writable() || !self.layout.c_contiguous {
            return Ok(None);
        }
        let mut s = lock_to_look();
        s.inline.is_asked_for_all();
        if inline::own(&mut s, self)?.is_none() {
            return Ok(None);
        }
        match self.base.current.get(&s.token).state.get(&s.token) {
            State::Store(store) => Ok(Some(self.view_of(store.clone()))),
            State::Pending(_) | State::Failed(_) => Ok(None),
        }
    }

    /// The same memory seen with another type; both arrays hold it as shared, so that each sees what the other writes. `None` for
    /// what is not one run of elements of both types, or might hold what is no element of the new one.
    pub fn viewed_as(&self, dtype: DType) -> Result<Option<Array>> {
        let (old, new) = (self.dtype.size(), dtype.size());
        let mut shape: Shape = self.shape().into();
        let Some(last) = shape.last_mut() else { return Ok(None) };
        let plain = self.part == Part::Whole && self.layout.c_contiguous && self.size() > 0 && dtype != DType::Bool;
        if !plain || !(*last * old).is_multiple_of(new) {
            return Ok(None);
        }
        *last = *last * old / new;
        let (ptr, owner): (_, Box<dyn Any + Send + Sync>) = match self.lend()? {
            Some(loan) => (loan.first(self), Box::new(loan)),
            None => {
                let export = self.export()?;
                (export.view.ptr, Box::new(export))
            }
        };
        if !(ptr as usize).is_multiple_of(new.min(8)) {
            return Ok(None);
        }
        // SAFETY: the owner keeps the memory, and says that it is shared.
        let store = unsafe { Store::foreign(ptr, self.size() * old, owner, true)? };
        let mut array = Array::from_store(store, &shape, dtype)?;
        if !self.writable() {
            array.set_writable(false);
            array.set_base_writable(false);
        }
        Ok(Some(array))
    }

    fn view_of(&self, store: Arc<Store>) -> HostView {
        HostView {
            ptr: store.as_mut_ptr().wrapping_offset(self.offset() as isize),
            shape: self.shape().into(),
            strides: self.strides(),
            dtype: self.dtype(),
            store,
        }
    }
}

impl Loan {
    /// Where the elements begin that the array shows which has lent the memory.
    pub fn first(&self, of: &Array) -> *mut u8 {
        self.0.raw_ptr().wrapping_offset(of.offset() as isize)
    }

    /// Where the memory starts of which the array shows a part.
    pub fn start(&self) -> *const u8 {
        self.0.raw_ptr()
    }

    /// Whether it is still the array's memory.
    pub fn is_of(&self, array: &Array) -> bool {
        let s = lock();
        match array.base.current.get(&s.token).state.get(&s.token) {
            State::Store(store) => Arc::ptr_eq(store, &self.0),
            State::Pending(_) | State::Failed(_) => false,
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.0.exports.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.view.store.exports.fetch_sub(1, Ordering::AcqRel);
    }
}

impl HostView {
    /// The elements in C order.
    pub fn to_vec(&self) -> Vec<u8> {
        let n = legate_jit_ir::shape::size(&self.shape);
        let mut out = vec![0u8; n * self.dtype.size()];
        // SAFETY: the view's address and strides stay within its store; `out` holds n elements.
        unsafe { gather(self.ptr, &self.shape, &self.strides, self.dtype.size(), out.as_mut_ptr()) };
        out
    }
}

/// Copies strided elements to C order.
///
/// # Safety
/// `from` with shape and strides (bytes) names readable elements of `item` bytes; `to` has room for all of them elsewhere.
pub(crate) unsafe fn gather(from: *const u8, shape: &[usize], strides: &[i64], item: usize, to: *mut u8) {
    match shape {
        // SAFETY: the caller's promise, here and below.
        [] => unsafe { to.copy_from_nonoverlapping(from, item) },
        [n] if strides[0] == item as i64 => unsafe { to.copy_from_nonoverlapping(from, n * item) },
        [n, rest @ ..] => {
            let step = legate_jit_ir::shape::size(rest) * item;
            for i in 0..*n {
                unsafe {
                    gather(
                        from.wrapping_offset(i as isize * strides[0] as isize),
                        rest,
                        &strides[1..],
                        item,
                        to.add(i * step),
                    )
                };
            }
        }
    }
}
