//! Stores: the memory behind arrays. One pool serves them all.
//!
//! A store is a reference-counted run of bytes, 64-byte aligned, that knows nothing of shapes. Its memory comes from the
//! pool below, or is foreign (a NumPy array's) and kept alive by a boxed owner. The pool keeps freed memory, because fresh
//! pages are the largest cost of a temporary: small blocks in size classes, large ones mapped with huge pages and kept as
//! long as the memory in use and the memory kept together stay below the most that was ever in use.
//!
//! A boundary file: whoever reads or writes through `ptr` upholds what `Store` says about sharing.

use std::any::Any;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::unread::Fate;
use crate::{Error, Result};

mod available;
mod fresh;
mod pool;
mod region;
mod reused;

pub(crate) use fresh::Fresh;
pub(crate) use pool::{CHECKED, forget_waiting, hold, mapped_bytes, missing, size_text, touch_some};
pub use pool::{bytes_live, bytes_peak, could_fit, kept_bytes, release_kept};
pub(crate) use reused::let_go;

/// Where the memory goes when the last reference is gone.
enum Owner {
    Pool(pool::Block),
    /// Dropping the box releases the memory.
    Foreign(Option<Box<dyn Any + Send + Sync>>),
    /// Part of another store.
    Window(#[expect(dead_code, reason = "it keeps the memory alive")] Arc<Store>),
    /// What makes the contents when somebody asks for them, and then the store that has them.
    Promise(Mutex<Option<Work>>, OnceLock<Arc<Store>>),
}

/// Makes the contents of a promised store. It may be called again where there was not enough memory.
pub(crate) type Work = Box<dyn Fn() -> Result<Arc<Store>> + Send>;

/// `Store::placed` of a store whose contents are only promised.
const PROMISED: u64 = u64::MAX;

/// A run of bytes.
///
/// Shared and immutable by convention: only the executor (into a store it has just allocated, or whose last reader it
/// is) and the session (for single elements of a store that nobody shares) write through the pointer.
pub struct Store {
    /// Dangling while the contents are only promised.
    ptr: AtomicPtr<u8>,
    bytes: AtomicUsize,
    /// The recorder's note: (trace number, input number) of the store's last use as an input of a trace; 0 if nobody has read
    /// the contents.
    pub(crate) mark: AtomicU64,
    /// How many writable foreign views (NumPy arrays, DLPack capsules) look at this memory.
    pub(crate) exports: AtomicU32,
    /// The number under which the ranks hold blocks of this store; 0 if all of it is here and nowhere else; or `PROMISED`.
    placed: AtomicU64,
    /// Of a large output of a plan: where to note whether anybody read it.
    fate: Mutex<Option<Arc<Fate>>>,
    owner: Owner,
}

// SAFETY: the memory belongs to the store (or to its owner, which is Send + Sync) and moves with it; who may write is
// said at the type.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// Uninitialised memory. Zero bytes are allowed.
    #[inline]
    pub fn alloc(bytes: usize) -> Result<Arc<Store>> {
        if let Some(store) = reused::take(bytes) {
            return Ok(store);
        }
        let block = pool::alloc(bytes)?;
        Ok(Arc::new(Store::new(block.ptr(), bytes, Owner::Pool(block))))
    }

    fn new(ptr: NonNull<u8>, bytes: usize, owner: Owner) -> Store {
        Store {
            ptr: AtomicPtr::new(ptr.as_ptr()),
            bytes: AtomicUsize::new(bytes),
            mark: AtomicU64::new(0),
            exports: AtomicU32::new(0),
            placed: AtomicU64::new(0),
            fate: Mutex::new(None),
            owner,
        }
    }

    /// A store whose contents `work` makes when they are first asked for.
    pub(crate) fn promised(bytes: usize, work: Work) -> Arc<Store> {
        let owner = Owner::Promise(Mutex::new(Some(work)), OnceLock::new());
        let store = Store::new(NonNull::dangling(), bytes, owner);
        store.place(PROMISED);
        Arc::new(store)
    }

    /// The bytes `from..from + bytes` of a store, which must have them, to be read.
    pub(crate) fn window(of: &Arc<Store>, from: usize, bytes: usize) -> Arc<Store> {
        assert!(from + bytes <= of.bytes(), "a window that is larger than its store");
        // SAFETY: the offset lies in the store's memory.
        let ptr = unsafe { of.as_mut_ptr().add(from) };
        let ptr = NonNull::new(ptr).unwrap_or(NonNull::dangling());
        Arc::new(Store::new(ptr, bytes, Owner::Window(of.clone())))
    }

    /// Whether nobody has asked for the contents yet.
    pub(crate) fn is_promised(&self) -> bool {
        self.placed() == PROMISED
    }

    /// Makes the contents if they are only promised. A failure leaves the promise as it was.
    pub(crate) fn keep_promise(&self) -> Result<()> {
        let Owner::Promise(work, made) = &self.owner else { return Ok(()) };
        // Whoever comes second waits for the first, and finds the work gone.
        let mut work = work.lock();
        if let Some(make) = &*work {
            let store = make()?;
            self.ptr.store(store.as_mut_ptr(), Ordering::Release);
            let _ = made.set(store);
            self.placed.store(0, Ordering::Release);
            *work = None;
        }
        Ok(())
    }

    /// Makes the contents be here, all of them: for reading, or for writing too.
    #[cold]
    fn fetch(&self, write: bool) {
        match (self.is_promised(), write) {
            // Whoever may meet a promise keeps it first, where there not being enough memory is an error.
            (true, _) => self.keep_promise().unwrap_or_else(|e| panic!("a value that was put off: {e}")),
            (false, true) => crate::ranks::take_home(self),
            (false, false) => crate::ranks::bring_home(self),
        }
    }

    /// Notes there what becomes of this output of a plan that has just run.
    pub(crate) fn watch(&self, fate: &Arc<Fate>) {
        if let Some(former) = self.fate.lock().replace(fate.clone()) {
            // The plan has read it and written its own output over it.
            former.note(true);
        }
        self.mark.store(0, Ordering::Relaxed);
    }

    /// Somebody reads the contents other than as an input of a trace.
    #[inline]
    pub(crate) fn looked_at(&self) {
        if self.mark.load(Ordering::Relaxed) == 0 {
            self.mark.store(1, Ordering::Relaxed);
        }
    }

    pub fn zeroed(bytes: usize) -> Result<Arc<Store>> {
        let store = Store::alloc(bytes)?;
        // SAFETY: freshly allocated, `bytes` long, nobody else has it.
        unsafe { store.as_mut_ptr().write_bytes(0, bytes) };
        Ok(store)
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Arc<Store>> {
        let store = Store::alloc(bytes.len())?;
        // SAFETY: freshly allocated, of the same length, nobody else has it.
        unsafe { store.as_mut_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(store)
    }

    /// Memory that something else owns; `shared` says that its owner may go on reading and writing it.
    ///
    /// # Safety
    /// `ptr` must be valid for reads and writes of `bytes` bytes for as long as `owner` lives, and aligned for the element
    /// types it is used with. Unless `shared`, nobody else may write it, nor read it after we write.
    pub unsafe fn foreign(
        ptr: *mut u8,
        bytes: usize,
        owner: Box<dyn Any + Send + Sync>,
        shared: bool,
    ) -> Result<Arc<Store>> {
        let ptr = NonNull::new(ptr).or(if bytes == 0 { Some(NonNull::dangling()) } else { None });
        let ptr = ptr.ok_or_else(|| Error::Value("a foreign array has a null pointer".into()))?;
        let mut store = Store::new(ptr, bytes, Owner::Foreign(Some(owner)));
        store.exports = AtomicU32::new(shared as u32);
        Ok(Arc::new(store))
    }

    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    #[inline]
    pub fn as_ptr(&self) -> *const u8 {
        if self.placed() != 0 {
            self.fetch(false);
        }
        self.raw_ptr()
    }

    /// See the type for who may write.
    #[inline]
    pub fn as_mut_ptr(&self) -> *mut u8 {
        if self.placed() != 0 {
            self.fetch(true);
        }
        self.raw_ptr()
    }

    /// The address of this rank's memory, of which perhaps only a block is current.
    #[inline(always)]
    pub(crate) fn raw_ptr(&self) -> *mut u8 {
        self.ptr.load(Ordering::Relaxed)
    }

    #[inline(always)]
    pub(crate) fn placed(&self) -> u64 {
        self.placed.load(Ordering::Relaxed)
    }

    pub(crate) fn place(&self, id: u64) {
        self.placed.store(id, Ordering::Relaxed);
    }

    /// Whether the memory is not this store's own to overwrite.
    #[inline]
    pub fn is_foreign(&self) -> bool {
        matches!(self.owner, Owner::Foreign(_) | Owner::Window(_))
    }

    /// True while a writable foreign view lives: then calls on this store run at once.
    #[inline]
    pub fn is_exported(&self) -> bool {
        self.exports.load(Ordering::Acquire) != 0
    }

    /// The contents. Only for a store that nobody writes meanwhile (every store that is not exported and not being filled).
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the memory is valid for `bytes` bytes as long as self lives; see the type for who may write.
        unsafe { std::slice::from_raw_parts(self.as_ptr(), self.bytes()) }
    }

    /// A copy in memory of its own.
    pub fn duplicate(&self) -> Result<Arc<Store>> {
        self.keep_promise()?;
        let new = Store::alloc(self.bytes())?;
        // SAFETY: two valid runs of the same length; the new one is nobody else's.
        unsafe { new.as_mut_ptr().copy_from_nonoverlapping(self.as_ptr(), self.bytes()) };
        Ok(new)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(fate) = self.fate.get_mut().take() {
            fate.note(match self.owner {
                Owner::Promise(..) => !self.is_promised(),
                Owner::Pool(_) | Owner::Foreign(_) | Owner::Window(_) => *self.mark.get_mut() != 0,
            });
        }
        if self.placed() != 0 && !self.is_promised() {
            crate::ranks::dropped(self.placed());
        }
        match &mut self.owner {
            Owner::Pool(block) => pool::free(*block),
            Owner::Foreign(owner) => owner.take().into_iter().for_each(crate::session::bury),
            Owner::Promise(..) | Owner::Window(_) => {}
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "Store({} bytes)", self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alignment_and_reuse() {
        for bytes in [0, 1, 64, 65, 800, 5000, 100_000, 3 << 20] {
            let a = Store::alloc(bytes).unwrap();
            assert_eq!(a.as_ptr() as usize % 64, 0, "{bytes}");
            // SAFETY: freshly allocated.
            unsafe { a.as_mut_ptr().write_bytes(7, bytes) };
            assert!(a.as_slice().iter().all(|&b| b == 7));
        }
    }

    #[test]
    fn a_promise_is_kept_once_when_somebody_looks() {
        let times = Arc::new(AtomicU32::new(0));
        let counted = times.clone();
        let store = Store::promised(
            3,
            Box::new(move || {
                counted.fetch_add(1, Ordering::Relaxed);
                Store::from_bytes(&[1, 2, 3])
            }),
        );
        assert!(store.is_promised() && times.load(Ordering::Relaxed) == 0);
        std::thread::scope(|s| (0..4).for_each(|_| drop(s.spawn(|| assert_eq!(store.as_slice(), [1, 2, 3])))));
        assert!(!store.is_promised() && times.load(Ordering::Relaxed) == 1);
    }

    #[test]
    fn a_promise_that_failed_can_be_kept_later() {
        let times = Arc::new(AtomicU32::new(0));
        let counted = times.clone();
        let store = Store::promised(
            3,
            Box::new(move || match counted.fetch_add(1, Ordering::Relaxed) {
                0 => Err(Error::Memory("none left".into())),
                _ => Store::from_bytes(&[1, 2, 3]),
            }),
        );
        assert!(matches!(store.duplicate(), Err(Error::Memory(_))) && store.is_promised());
        assert_eq!(store.duplicate().unwrap().as_slice(), [1, 2, 3]);
        assert_eq!(store.as_slice(), [1, 2, 3]);
        assert_eq!(times.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn what_cannot_fit_is_an_error() {
        let e = Store::alloc(1 << 50).unwrap_err();
        assert!(matches!(&e, Error::Memory(m) if m.contains("1.00 PiB")), "{e}");
    }

    #[test]
    fn a_foreign_owner_is_dropped_with_the_store() {
        let data: Arc<Vec<u8>> = Arc::new(vec![1; 100]);
        let ptr = data.as_ptr() as *mut u8;
        // SAFETY: the Vec lives as long as the owner and nobody writes.
        let s = unsafe { Store::foreign(ptr, 100, Box::new(data.clone()), false).unwrap() };
        assert_eq!(s.as_slice()[99], 1);
        assert_eq!(Arc::strong_count(&data), 2);
        drop(s);
        assert_eq!(Arc::strong_count(&data), 1);
    }
}
