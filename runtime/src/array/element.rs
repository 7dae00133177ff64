//! Single elements: what other people's programs touch most. Read and written straight in memory where nothing is pending
//! for them; a trip through the trace otherwise.
//!
//! A boundary file: it reads and writes elements of stores.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use legate_jit_ir::{DType, Scalar};

use super::index::wrap;
use super::{Array, too_many_indices};
use crate::base::{State, Version};
use crate::promote::WeakScalar;
use crate::session::{Session, epoch, lock, lock_to_look};
use crate::shared::Shared;
use crate::trace::Part;
use crate::{Error, Result, Store};
use legate_jit_ir::cast::cast;

/// What reading one element gives.
pub enum Element {
    Value(Scalar),
    /// The element is pending: a 0-d array to go on with.
    Pending(Array),
}

/// Writes of single elements to a pending value that are recorded before it is computed.
const RECORDED_WRITES: u32 = 8;

impl Array {
    /// The value of one element by its index in C order (0 for a 0-d array); computes it if it is pending.
    pub fn item(&self, flat: usize) -> Result<Scalar> {
        if flat >= self.size() {
            return Err(Error::Index(format!("index {flat} is out of bounds for axis 0 with size {}", self.size())));
        }
        let mut rest = flat;
        let mut at = self.layout.offset;
        for (&n, &s) in self.shape().iter().zip(&self.layout.strides).rev() {
            at += (rest % n) as i64 * s;
            rest /= n;
        }
        self.value_at(at)
    }

    /// `self[i, j, …]` with an integer for every axis. Computes nothing.
    pub fn get_item(&self, index: &[i64]) -> Result<Element> {
        let at = self.place(index)?;
        let s = lock_to_look();
        match self.base.current.get(&s.token).state.get(&s.token) {
            State::Store(store) => {
                store.keep_promise()?;
                Ok(Element::Value(self.load(store, at)))
            }
            State::Failed(e) => Err((**e).clone()),
            State::Pending(_) => {
                drop(s);
                let items: smallvec::SmallVec<[super::Index; 4]> =
                    index.iter().map(|&i| super::Index::Int(i)).collect();
                let view = self.index(&items)?;
                let a = lock().copied(&view, self.dtype, &view.layout.full(), 0)?;
                Ok(Element::Pending(a.with_scalar(true)))
            }
        }
    }

    /// The element `self[i, j, …]` if it is in memory; `None` for what needs more (out of bounds, pending, failed).
    #[inline(always)]
    pub fn peek(&self, index: &[i64]) -> Option<Scalar> {
        let at = self.place_quickly(index)?;
        let mut s = lock_to_look();
        s.inline.is_asked();
        match self.base.current.get(&s.token).state.get(&s.token) {
            State::Store(store) if !store.is_promised() => Some(self.load(store, at)),
            State::Store(_) | State::Pending(_) | State::Failed(_) => None,
        }
    }

    /// The elements from `first` on of an array of one axis, as many as there is room for, where each has 8 bytes at most; and the
    /// epoch as long as which (`session::epoch`) they surely are what the array holds. `None` for what needs more, and for memory
    /// that foreign code may write at any time.
    pub fn peek_some(&self, first: usize, out: &mut [u64]) -> Option<u64> {
        let (&[n], &[step]) = (self.shape(), &self.layout.strides[..]) else { return None };
        if first + out.len() > n || self.dtype.size() > 8 {
            return None;
        }
        let mut s = lock_to_look();
        s.inline.is_asked();
        match self.base.current.get(&s.token).state.get(&s.token) {
            State::Store(store) if !store.is_promised() && !store.is_exported() => {
                let at = |i: usize| self.layout.offset + (first + i) as i64 * step;
                if self.dtype.size() == 8 && self.part == Part::Whole {
                    let bytes = store.bytes() as i64;
                    let ends = [at(0), at(out.len().saturating_sub(1))];
                    assert!(ends.iter().all(|&e| e >= 0 && 8 * e + 8 <= bytes), "elements outside their store");
                    for (i, bits) in out.iter_mut().enumerate() {
                        // SAFETY: between two elements that lie within the store.
                        *bits = unsafe { store.as_ptr().cast::<u64>().offset(at(i) as isize).read_unaligned() };
                    }
                } else {
                    for (i, bits) in out.iter_mut().enumerate() {
                        *bits = self.load(store, at(i)).bits[0];
                    }
                }
                Some(epoch())
            }
            State::Store(_) | State::Pending(_) | State::Failed(_) => None,
        }
    }

    /// Writes an f64 to `self[i, j, …]` of an f64 array whose memory nobody else has; false for what needs more.
    #[inline(always)]
    pub fn poke_f64(&self, index: &[i64], value: f64) -> bool {
        if self.dtype != DType::F64 || self.part != Part::Whole || !self.writable() {
            return false;
        }
        let Some(at) = self.place_quickly(index) else { return false };
        let s = lock_to_look();
        let version = self.base.current.get(&s.token);
        let State::Store(store) = version.state.get(&s.token) else { return false };
        let alone = Shared::count(version) == 1 && Arc::strong_count(store) == 1;
        // Whoever else had it has read it.
        fence(Ordering::Acquire);
        let byte = at as usize * 8;
        if !alone && !store.is_exported() || byte + 8 > store.bytes() || store.is_promised() {
            return false;
        }
        // SAFETY: as in `poke`.
        unsafe { store.as_mut_ptr().add(byte).cast::<f64>().write_unaligned(value) };
        true
    }

    #[inline(always)]
    fn place_quickly(&self, index: &[i64]) -> Option<i64> {
        let (shape, strides) = (self.layout.shape(), &self.layout.strides);
        if index.len() != shape.len() || strides.len() != shape.len() {
            return None;
        }
        let mut at = self.layout.offset;
        for ((&i, &n), &s) in index.iter().zip(shape).zip(strides) {
            let i = if i < 0 { i + n as i64 } else { i };
            if i as u64 >= n as u64 {
                return None;
            }
            at += i * s;
        }
        Some(at)
    }

    /// `self[i, j, …] = value` with an integer for every axis.
    pub fn set_item(&self, index: &[i64], value: Scalar) -> Result<()> {
        let at = self.place(index)?;
        self.check_writable()?;
        self.store_at(index, at, cast(value, self.dtype))
    }

    /// The same for a Python number.
    pub fn set_item_weak(&self, index: &[i64], value: WeakScalar) -> Result<()> {
        let at = self.place(index)?;
        self.check_writable()?;
        self.store_at(index, at, value.assigned(self.dtype)?)
    }

    fn store_at(&self, index: &[i64], at: i64, value: Scalar) -> Result<()> {
        let mut s = lock_to_look();
        if poke(&mut s, self, at, value)? {
            return Ok(());
        }
        drop(s);
        let items: smallvec::SmallVec<[super::Index; 4]> = index.iter().map(|&i| super::Index::Int(i)).collect();
        let view = self.index(&items)?;
        lock().write_scalar(&view, value)
    }

    /// The element's place in the base.
    #[inline]
    fn place(&self, index: &[i64]) -> Result<i64> {
        if index.len() != self.ndim() {
            return Err(too_many_indices(self.ndim(), index.len()));
        }
        let mut at = self.layout.offset;
        for (axis, ((&i, &n), &s)) in index.iter().zip(self.shape()).zip(&self.layout.strides).enumerate() {
            at += wrap(i, axis, n)? * s;
        }
        Ok(at)
    }

    fn value_at(&self, at: i64) -> Result<Scalar> {
        let mut s = lock_to_look();
        let version = self.base.current.get(&s.token);
        if let State::Store(store) = version.state.get(&s.token)
            && !store.is_promised()
        {
            return Ok(self.load(store, at));
        }
        let version = version.clone();
        let store = s.store_of(&version)?;
        Ok(self.load(&store, at))
    }

    /// An element of the base's store as this handle shows it.
    #[inline(always)]
    pub(crate) fn load(&self, store: &Store, at: i64) -> Scalar {
        let (item, skip) = match self.part {
            Part::Whole => (self.dtype.size(), 0),
            Part::Real => (2 * self.dtype.size(), 0),
            Part::Imag => (2 * self.dtype.size(), self.dtype.size()),
        };
        load(store, at as usize * item + skip, self.dtype)
    }

    /// The value of a 0-d array if it is known without computing anything.
    #[inline]
    pub fn known_scalar(&self) -> Option<Scalar> {
        if self.ndim() != 0 {
            return None;
        }
        let s = lock();
        self.known(&s)
    }

    #[inline]
    pub(crate) fn known(&self, s: &Session) -> Option<Scalar> {
        match self.base.current.get(&s.token).state.get(&s.token) {
            State::Store(store) if !store.is_promised() => {
                if let Some(seen) = &s.seen {
                    seen.look(store);
                }
                Some(self.load(store, self.layout.offset))
            }
            _ => None,
        }
    }
}

#[inline(always)]
pub(crate) fn load(store: &Store, byte: usize, dtype: DType) -> Scalar {
    let size = dtype.size();
    assert!(byte + size <= store.bytes(), "an element outside its store");
    // SAFETY: within the store by the assertion; stores are aligned for all element types, foreign ones at least for their
    // own. Foreign code may write at the same time, as it may in NumPy.
    unsafe {
        let p = store.as_ptr().add(byte);
        let bits = match size {
            1 => [p.read() as u64, 0],
            2 => [p.cast::<u16>().read_unaligned() as u64, 0],
            4 => [p.cast::<u32>().read_unaligned() as u64, 0],
            8 => [p.cast::<u64>().read_unaligned(), 0],
            _ => [p.cast::<u64>().read_unaligned(), p.add(8).cast::<u64>().read_unaligned()],
        };
        Scalar { dtype, bits }
    }
}

/// Writes one element in place if nobody but this base has the store; makes the base the store's only owner if that is
/// all that is in the way. False where the write has to be recorded.
pub(crate) fn poke(s: &mut Session, to: &Array, at: i64, value: Scalar) -> Result<bool> {
    let version = to.base.current.get(&s.token);
    let store = match version.state.get(&s.token) {
        State::Store(store) => {
            store.keep_promise()?;
            store
        }
        State::Failed(e) => return Err((**e).clone()),
        State::Pending(_) => {
            s.single_writes += 1;
            if s.single_writes < RECORDED_WRITES {
                return Ok(false);
            }
            s.single_writes = 0;
            s.flush()?;
            return poke(s, to, at, value);
        }
    };
    // Exported memory is written in place: foreign code is to see it. Nothing is pending on it.
    let alone = store.is_exported() || (Shared::count(version) == 1 && Arc::strong_count(store) == 1);
    fence(Ordering::Acquire);
    let store = if alone {
        store.clone()
    } else {
        // Somebody (a copy, a pending read, a foreign view) keeps the old contents.
        let new = store.duplicate()?;
        let fresh = Version::new(State::Store(new.clone()), version.full.clone(), version.dtype);
        to.base.current.replace(&mut s.token, fresh);
        new
    };
    let (item, skip) = match to.part {
        Part::Whole => (to.dtype.size(), 0),
        Part::Real => (2 * to.dtype.size(), 0),
        Part::Imag => (2 * to.dtype.size(), to.dtype.size()),
    };
    let byte = at as usize * item + skip;
    assert!(byte + to.dtype.size() <= store.bytes(), "an element outside its store");
    // SAFETY: within the store; nobody else has it, or it is foreign code's to share, as NumPy's own write would be.
    unsafe {
        store.as_mut_ptr().add(byte).copy_from_nonoverlapping(value.to_bytes().as_ptr(), to.dtype.size());
    }
    Ok(true)
}
