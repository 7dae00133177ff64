//! References that are counted, for what every call makes and drops: bases, versions, layouts.
//!
//! Beside `Arc` they lack weak references, so that dropping the only reference to something takes no atomic operation; and
//! what is used all the time (layouts of common shapes) may be kept for good, after which its references are not counted
//! any more. An atomic operation takes as long as ten others, and a call made two dozen of them.
//!
//! Their memory goes from one to the next by lists of the thread's own: a flush lets go of a thousand versions at once, with
//! which the allocator takes longer than it took to make them.
//!
//! A boundary file: a value lives as long as its count is not 0.

use std::alloc::{self, Layout};
use std::cell::RefCell;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};

/// In the count: the value lives as long as the process.
const FOR_GOOD: u32 = 1 << 31;
/// More references than this there are never.
const MANY: u32 = 1 << 30;

/// Blocks of up to `UNIT * SIZES` bytes are kept (a layout has hundreds), so many of each size, or so many bytes.
const UNIT: usize = 16;
const SIZES: usize = 44;
const KEPT: usize = 1024;
const KEPT_BYTES: usize = 64 << 10;

/// Free blocks by size; each holds the address of the next.
struct Blocks {
    first: [*mut Free; SIZES],
    count: [usize; SIZES],
}

struct Free {
    next: *mut Free,
}

thread_local! {
    static BLOCKS: RefCell<Blocks> =
        const { RefCell::new(Blocks { first: [std::ptr::null_mut(); SIZES], count: [0; SIZES] }) };
}

/// The list for values of this type, and the memory that its blocks have.
const fn place<T>() -> (usize, Layout) {
    let size = size_of::<Counted<T>>().next_multiple_of(UNIT);
    match Layout::from_size_align(size, UNIT) {
        Ok(layout) if align_of::<Counted<T>>() <= UNIT => (size / UNIT - 1, layout),
        _ => panic!("a shared value with an alignment of its own"),
    }
}

impl Blocks {
    #[inline(always)]
    fn take(&mut self, class: usize) -> Option<NonNull<u8>> {
        let block = NonNull::new(self.first[class])?;
        // SAFETY: a block of the list, which holds the next one's address.
        self.first[class] = unsafe { block.as_ref().next };
        self.count[class] -= 1;
        Some(block.cast())
    }

    #[inline(always)]
    fn keep(&mut self, class: usize, block: NonNull<u8>) -> bool {
        if self.count[class] >= KEPT.min(KEPT_BYTES / (UNIT * (class + 1))) {
            return false;
        }
        let block = block.cast::<Free>();
        // SAFETY: nobody else has the block any more, and it has room for an address.
        unsafe { block.write(Free { next: self.first[class] }) };
        self.first[class] = block.as_ptr();
        self.count[class] += 1;
        true
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for class in 0..SIZES {
            let layout = Layout::from_size_align(UNIT * (class + 1), UNIT).expect("a small block");
            while let Some(block) = self.take(class) {
                // SAFETY: allocated with this layout (`allocate`).
                unsafe { alloc::dealloc(block.as_ptr(), layout) };
            }
        }
    }
}

#[inline(always)]
fn allocate<T>() -> NonNull<Counted<T>> {
    let (class, layout) = const { place::<T>() };
    if class < SIZES
        && let Ok(Some(block)) = BLOCKS.try_with(|blocks| blocks.borrow_mut().take(class))
    {
        return block.cast();
    }
    // SAFETY: the layout's size is not zero.
    let block = unsafe { alloc::alloc(layout) };
    NonNull::new(block).unwrap_or_else(|| alloc::handle_alloc_error(layout)).cast()
}

/// # Safety
/// The block is `allocate`'s for the same type, and holds no value any more.
#[inline(always)]
unsafe fn release<T>(block: NonNull<Counted<T>>) {
    let (class, layout) = const { place::<T>() };
    let kept = class < SIZES && BLOCKS.try_with(|b| b.borrow_mut().keep(class, block.cast())).unwrap_or(false);
    if !kept {
        // SAFETY: allocated with this layout.
        unsafe { alloc::dealloc(block.as_ptr().cast(), layout) };
    }
}

struct Counted<T> {
    count: AtomicU32,
    value: T,
}

/// A counted reference.
pub(crate) struct Shared<T>(NonNull<Counted<T>>);

// SAFETY: like `Arc`: references in several threads give shared access, and the last one drops the value.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    #[inline(always)]
    pub(crate) fn new(value: T) -> Shared<T> {
        let block = allocate::<T>();
        // SAFETY: fresh memory for such a value. (Part by part: as a whole, a large value would be put together elsewhere first.)
        unsafe {
            (&raw mut (*block.as_ptr()).count).write(AtomicU32::new(1));
            (&raw mut (*block.as_ptr()).value).write(value);
        }
        Shared(block)
    }

    /// A value whose fields `write` writes where they stay. (What is put together elsewhere, field by field, and then moved in larger pieces
    /// makes the processor wait for as long as a dozen instructions take.)
    ///
    /// # Safety
    /// `write` writes a whole value.
    #[inline(always)]
    pub(crate) unsafe fn written(write: impl FnOnce(*mut T)) -> Shared<T> {
        let block = allocate::<T>();
        // SAFETY: fresh memory for such a value.
        unsafe {
            (&raw mut (*block.as_ptr()).count).write(AtomicU32::new(1));
            write(&raw mut (*block.as_ptr()).value);
        }
        Shared(block)
    }

    #[inline(always)]
    fn count_word(&self) -> &AtomicU32 {
        // SAFETY: the value lives while a reference does.
        unsafe { &self.0.as_ref().count }
    }

    /// How many references there are; of what is kept for good at least two.
    #[inline(always)]
    pub(crate) fn count(this: &Self) -> usize {
        this.count_word().load(Ordering::Acquire) as usize
    }

    #[inline(always)]
    pub(crate) fn ptr_eq(this: &Self, other: &Self) -> bool {
        this.0 == other.0
    }

    pub(crate) fn is_for_good(this: &Self) -> bool {
        this.count_word().load(Ordering::Relaxed) & FOR_GOOD != 0
    }

    /// Keeps the value as long as the process lives.
    pub(crate) fn keep_for_good(this: &Self) {
        this.count_word().fetch_or(FOR_GOOD, Ordering::Relaxed);
    }
}

impl<T> Clone for Shared<T> {
    #[inline(always)]
    fn clone(&self) -> Self {
        let count = self.count_word();
        // Whoever misses that another thread has just kept it for good counts one reference in vain.
        if count.load(Ordering::Relaxed) & FOR_GOOD == 0 && count.fetch_add(1, Ordering::Relaxed) & !FOR_GOOD > MANY {
            std::process::abort();
        }
        Shared(self.0)
    }
}

impl<T> Drop for Shared<T> {
    #[inline(always)]
    fn drop(&mut self) {
        let count = self.count_word();
        let n = count.load(Ordering::Acquire);
        if n & FOR_GOOD != 0 {
            return;
        }
        // With one reference there is nobody else who could make another.
        if n != 1 {
            if count.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
        }
        // SAFETY: made by `new`, and this was the last reference.
        unsafe {
            self.0.drop_in_place();
            release(self.0);
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: the value lives while a reference does.
        unsafe { &self.0.as_ref().value }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_last_reference_drops_the_value() {
        let seen = Arc::new(());
        let a = Shared::new(seen.clone());
        let b = a.clone();
        assert!(Shared::ptr_eq(&a, &b) && Shared::count(&a) == 2);
        drop(a);
        assert_eq!((Arc::strong_count(&seen), Shared::count(&b)), (2, 1));
        drop(b);
        assert_eq!(Arc::strong_count(&seen), 1);
    }

    #[test]
    fn threads_that_share_one_drop_it_once() {
        let seen = Arc::new(());
        let shared = Shared::new(seen.clone());
        std::thread::scope(|s| {
            for _ in 0..4 {
                let mine = shared.clone();
                s.spawn(move || (0..1000).for_each(|_| drop(mine.clone())));
            }
        });
        assert_eq!((Arc::strong_count(&seen), Shared::count(&shared)), (2, 1));
        drop(shared);
        assert_eq!(Arc::strong_count(&seen), 1);
    }

    #[test]
    fn memory_goes_to_the_next_value_and_across_threads() {
        let first = Shared::new([1u64; 5]);
        let place = first.0;
        drop(first);
        let second = Shared::new([2u64; 5]);
        assert!(second.0 == place && *second == [2; 5]);
        let many: Vec<_> = (0..3 * KEPT as u64).map(|i| Shared::new([i; 5])).collect();
        std::thread::spawn(move || assert!(many.iter().enumerate().all(|(i, v)| v[4] == i as u64))).join().unwrap();
        // Larger values than the lists have.
        let large = Shared::new([7u64; 100]);
        assert_eq!(large.clone()[99], 7);
    }

    #[test]
    fn what_is_kept_for_good_stays() {
        let seen = Arc::new(());
        let shared = Shared::new(seen.clone());
        Shared::keep_for_good(&shared);
        assert!(Shared::is_for_good(&shared) && Shared::count(&shared) > 1);
        drop(shared.clone());
        drop(shared);
        assert_eq!(Arc::strong_count(&seen), 2);
    }
}
