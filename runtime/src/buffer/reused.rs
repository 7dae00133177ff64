//! Stores of the smallest blocks, kept whole: a program of small arrays makes and drops one with every call, and what the
//! allocator and the pool do for it takes a fifth of such a call.
//!
//! A boundary file: what is kept belongs to nobody else.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use super::pool::{OWN_CLASSES, OWN_LARGEST, class_of};
use super::{Owner, Store};

/// Of each size.
const KEPT: usize = 4;

/// Stores that this thread was the last to hold. The pool takes their memory for used.
struct Mine {
    stores: [[*const Store; KEPT]; OWN_CLASSES],
    counts: [u8; OWN_CLASSES],
    bytes: usize,
}

impl Mine {
    #[inline(always)]
    fn pop(&mut self, class: usize) -> Option<Arc<Store>> {
        let left = self.counts[class].checked_sub(1)?;
        self.counts[class] = left;
        // SAFETY: an `Arc` that `keep` gave up, taken out of the list once.
        Some(unsafe { Arc::from_raw(self.stores[class][left as usize]) })
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        for class in 0..OWN_CLASSES {
            while let Some(store) = self.pop(class) {
                drop(store);
            }
        }
    }
}

thread_local! {
    static MINE: RefCell<Mine> = const {
        RefCell::new(Mine { stores: [[std::ptr::null(); KEPT]; OWN_CLASSES], counts: [0; OWN_CLASSES], bytes: 0 })
    };
}

/// Bytes of the blocks that this thread keeps so.
pub(super) fn bytes() -> usize {
    MINE.try_with(|mine| mine.borrow().bytes).unwrap_or(0)
}

/// A kept store with room for so many bytes, as if it were new.
#[inline(always)]
pub(super) fn take(bytes: usize) -> Option<Arc<Store>> {
    if bytes > OWN_LARGEST {
        return None;
    }
    let (class, len) = class_of(bytes);
    let popped = MINE.try_with(|mine| {
        let mut mine = mine.borrow_mut();
        let store = mine.pop(class)?;
        mine.bytes -= len;
        Some(store)
    });
    let store = popped.ok()??;
    store.bytes.store(bytes, Ordering::Relaxed);
    store.mark.store(0, Ordering::Relaxed);
    Some(store)
}

/// Lets go of a store: where this was the last reference to one of the smallest blocks, the next array has it.
#[inline(always)]
pub(crate) fn let_go(store: Arc<Store>) {
    if Arc::strong_count(&store) != 1 || Arc::weak_count(&store) != 0 {
        return;
    }
    let Owner::Pool(block) = &store.owner else { return };
    // Whoever else had it has read it.
    fence(Ordering::Acquire);
    let (class, len) = (block.class(), block.len());
    // SAFETY: there is no other reference, so nobody has the lock.
    let watched = unsafe { (*store.fate.data_ptr()).is_some() };
    if class >= OWN_CLASSES || watched || store.placed() != 0 || store.is_exported() {
        return;
    }
    let _ = MINE.try_with(|mine| {
        let mut mine = mine.borrow_mut();
        let count = mine.counts[class] as usize;
        if count < KEPT {
            mine.stores[class][count] = Arc::into_raw(store);
            mine.counts[class] = count as u8 + 1;
            mine.bytes += len;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_store_of_the_size_is_the_last_one_as_new() {
        let first = Store::alloc(100).unwrap();
        let place = first.as_ptr();
        first.looked_at();
        let_go(first);
        let second = Store::alloc(80).unwrap();
        assert_eq!((second.as_ptr(), second.bytes()), (place, 80));
        assert_eq!(second.mark.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_somebody_has_or_remembers_is_not_kept() {
        let (first, second) = (Store::alloc(700).unwrap(), Store::alloc(700).unwrap());
        let remembered = Arc::downgrade(&first);
        let_go(first);
        assert!(remembered.upgrade().is_none());
        let held = second.clone();
        let_go(second);
        let third = Store::alloc(700).unwrap();
        assert!(!Arc::ptr_eq(&held, &third) && held.as_ptr() != third.as_ptr());
    }

    #[test]
    fn kept_bytes_are_not_in_use() {
        std::thread::spawn(|| {
            let stores: Vec<_> = (0..2 * KEPT).map(|_| Store::alloc(64).unwrap()).collect();
            stores.into_iter().for_each(let_go);
            assert_eq!(bytes(), KEPT * 64);
            drop(Store::alloc(64).unwrap());
            assert_eq!(bytes(), (KEPT - 1) * 64);
        })
        .join()
        .unwrap();
    }
}
