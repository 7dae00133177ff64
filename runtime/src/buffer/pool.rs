//! The pool of the stores' memory.
//!
//! * Blocks of up to [`SMALL`] bytes come from the allocator, rounded up to one of a few sizes a power of two, and go to
//!   that size's free list (LIFO, so that the block used last is still in cache).
//! * The smallest blocks, which small arrays take and give back with every call, pass through a few places of the thread's own,
//!   so that they need no lock.
//! * Larger blocks are mapped, aligned for huge pages, or cut from regions of such pages (`region`), and staggered by some cache
//!   lines, so that the operands of one loop do not all fall into the same cache sets. A freed one is kept for the next request of
//!   about its size.
//! * What is kept of large blocks and what is in use never exceed the most that was in use at any time by more than
//!   [`SPARE`], so a program's peak is its own. The blocks freed last are the ones kept.

use std::alloc::Layout;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr::NonNull;

use parking_lot::Mutex;

use super::available::available;
use super::region::{self, Regions};
use crate::{Error, Result};

const ALIGN: usize = 64;
const SMALL: usize = 256 << 10;
pub(super) const HUGE: usize = 2 << 20;
pub(super) const PAGE: usize = 4096;
/// Cache lines between the starts of neighbouring blocks within their pages.
const STAGGER: usize = 9 * 64;
const CLASSES: usize = 64;
/// Classes of which a thread keeps some blocks to itself (up to 2 KiB), and how many of each.
pub(super) const OWN_CLASSES: usize = 16;
pub(super) const OWN_LARGEST: usize = 2 << 10;
const OWN: usize = 4;
/// Free small blocks that are kept, in bytes a class.
const KEEP_SMALL: usize = 4 << 20;
/// Memory that may be kept beyond the most that was in use: a program that goes from one size of arrays to another must not
/// get fresh pages for each of them.
const SPARE: usize = 8 << 20;
/// A request larger than this is checked against the memory that the machine has left.
pub(crate) const CHECKED: usize = 64 << 20;

/// A piece of memory that the pool gave out.
#[derive(Clone, Copy)]
pub(super) struct Block {
    ptr: NonNull<u8>,
    /// Of a large block: where its pages begin.
    map: *mut u8,
    /// Capacity: of a small block the class's size, of a large one the length of its pages.
    len: usize,
    class: u8,
}

/// `class` of a block with a mapping of its own.
const MAPPED: u8 = u8::MAX;
/// `class` of a block that is part of a region.
const CUT: u8 = u8::MAX - 1;

// SAFETY: a block is a plain address; the pool's lock and the store's ownership order all use.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    pub(super) fn ptr(&self) -> NonNull<u8> {
        self.ptr
    }

    pub(super) fn class(&self) -> usize {
        self.class as usize
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn is_large(&self) -> bool {
        self.class >= CUT
    }
}

struct Pool {
    small: [Vec<NonNull<u8>>; CLASSES],
    /// Kept large blocks by length.
    large: BTreeMap<usize, Vec<Block>>,
    regions: Regions,
    live: usize,
    peak: usize,
    kept: usize,
    /// Of these, bytes of large blocks.
    kept_large: usize,
    seq: usize,
}

impl Pool {
    const EMPTY: Pool = Pool {
        small: [const { Vec::new() }; CLASSES],
        large: BTreeMap::new(),
        regions: Regions::NONE,
        live: 0,
        peak: 0,
        kept: 0,
        kept_large: 0,
        seq: 0,
    };

    /// Drops kept large blocks until so many more bytes can be kept or used, those of `len` bytes last.
    fn make_room(&mut self, len: usize) -> Vec<Block> {
        let mut dropped = Vec::new();
        let ceiling = self.peak.max(self.live + len) + SPARE;
        while self.live + self.kept_large + len > ceiling {
            let mut lengths = self.large.keys().rev();
            let Some(&l) = lengths.find(|&&l| l != len).or_else(|| self.large.keys().next()) else { break };
            dropped.extend(self.take(l));
        }
        dropped
    }

    /// A kept block of this length.
    fn take(&mut self, len: usize) -> Option<Block> {
        let list = self.large.get_mut(&len)?;
        let block = list.pop();
        if list.is_empty() {
            self.large.remove(&len);
        }
        self.kept -= len;
        self.kept_large -= len;
        block
    }
}

// SAFETY: the addresses in the free lists belong to nobody else.
unsafe impl Send for Pool {}

static POOL: Mutex<Pool> = Mutex::new(Pool::EMPTY);

/// Small blocks that this thread has freed. The pool takes them for used.
struct Own {
    blocks: [[*mut u8; OWN]; OWN_CLASSES],
    counts: [u8; OWN_CLASSES],
    bytes: usize,
}

impl Own {
    #[inline(always)]
    fn take(&mut self, class: usize, len: usize) -> Option<NonNull<u8>> {
        let left = self.counts[class].checked_sub(1)?;
        self.counts[class] = left;
        self.bytes -= len;
        NonNull::new(self.blocks[class][left as usize])
    }

    #[inline(always)]
    fn keep(&mut self, block: &Block) -> bool {
        let class = block.class as usize;
        let count = self.counts[class] as usize;
        if count == OWN {
            return false;
        }
        self.blocks[class][count] = block.ptr.as_ptr();
        self.counts[class] = count as u8 + 1;
        self.bytes += block.len;
        true
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        for class in 0..OWN_CLASSES {
            for &ptr in &self.blocks[class][..self.counts[class] as usize] {
                let ptr = NonNull::new(ptr).expect("a block has an address");
                free_to_pool(Block { ptr, map: ptr.as_ptr(), len: length_of(class), class: class as u8 });
            }
        }
    }
}

thread_local! {
    static MINE: RefCell<Own> = const {
        RefCell::new(Own { blocks: [[std::ptr::null_mut(); OWN]; OWN_CLASSES], counts: [0; OWN_CLASSES], bytes: 0 })
    };
}

/// Bytes of the blocks that this thread keeps to itself.
fn mine() -> usize {
    MINE.try_with(|own| own.borrow().bytes).unwrap_or(0) + super::reused::bytes()
}

/// Has the pages of the first large blocks made before somebody needs them.
pub(crate) fn touch_some() {
    let first = POOL.lock().regions.first();
    if let Some(first) = first {
        // SAFETY: a part of a region, which is never unmapped. Nothing is written to it.
        unsafe { libc::madvise(first as *mut _, region::LONGEST, libc::MADV_POPULATE_WRITE) };
    }
}

/// Keeps everybody out of the pool while the result lives.
pub(crate) fn hold() -> Box<dyn std::any::Any> {
    Box::new(POOL.lock())
}

/// See `fork::forget_waiting`.
pub(crate) fn forget_waiting() {
    crate::fork::forget_waiting(&POOL);
}

/// Bytes of memory in use by stores.
pub fn bytes_live() -> usize {
    POOL.lock().live - mine()
}

/// The most that was in use at any time.
pub fn bytes_peak() -> usize {
    POOL.lock().peak
}

/// Bytes kept for reuse.
pub fn kept_bytes() -> usize {
    POOL.lock().kept + mine()
}

/// Gives the kept large blocks back to the system.
pub fn release_kept() {
    let blocks: Vec<Block> = {
        let mut pool = POOL.lock();
        let pool = &mut *pool;
        let large = std::mem::take(&mut pool.large);
        pool.kept -= std::mem::take(&mut pool.kept_large);
        large.into_values().flatten().collect()
    };
    blocks.into_iter().for_each(unmap);
}

/// Class and capacity: multiples of 64 up to 512, then four sizes a power of two.
#[inline]
pub(super) fn class_of(bytes: usize) -> (usize, usize) {
    let units = bytes.div_ceil(ALIGN).max(1);
    if units <= 8 {
        return (units - 1, units * ALIGN);
    }
    let log = usize::BITS - 1 - (units - 1).leading_zeros();
    let step = 1usize << (log - 2);
    let rounded = units.next_multiple_of(step);
    let (log, quarter) = if rounded == 1 << (log + 1) { (log + 1, 0) } else { (log, rounded / step - 4) };
    (8 + (log as usize - 3) * 4 + quarter - 1, rounded * ALIGN)
}

/// The capacity of the smallest classes.
fn length_of(class: usize) -> usize {
    match class {
        0..8 => (class + 1) * ALIGN,
        _ => ((5 + (class - 8) % 4) * ALIGN) << ((class - 8) / 4 + 1),
    }
}

pub(super) fn alloc(bytes: usize) -> Result<Block> {
    if bytes <= SMALL {
        let (class, len) = class_of(bytes);
        if class < OWN_CLASSES
            && let Ok(Some(ptr)) = MINE.try_with(|own| own.borrow_mut().take(class, len))
        {
            return Ok(Block { ptr, map: ptr.as_ptr(), len, class: class as u8 });
        }
        let mut pool = POOL.lock();
        pool.live += len;
        pool.peak = pool.peak.max(pool.live);
        if let Some(ptr) = pool.small[class].pop() {
            pool.kept -= len;
            return Ok(Block { ptr, map: ptr.as_ptr(), len, class: class as u8 });
        }
        drop(pool);
        let layout = Layout::from_size_align(len, ALIGN).expect("a small class");
        // SAFETY: the layout's size is not zero.
        let ptr = unsafe { std::alloc::alloc(layout) };
        match NonNull::new(ptr) {
            Some(ptr) => Ok(Block { ptr, map: ptr.as_ptr(), len, class: class as u8 }),
            None => {
                POOL.lock().live -= len;
                Err(no_memory(bytes))
            }
        }
    } else {
        alloc_large(bytes)
    }
}

fn alloc_large(bytes: usize) -> Result<Block> {
    if bytes > isize::MAX as usize - HUGE - PAGE {
        return Err(no_memory(bytes));
    }
    let len = mapping(bytes);
    let mut pool = POOL.lock();
    let fit = pool.large.range(len..=len + len / 8).next().map(|(&l, _)| l);
    if let Some(block) = fit.and_then(|l| pool.take(l)) {
        pool.live += block.len;
        pool.peak = pool.peak.max(pool.live);
        return Ok(block);
    }
    let dropped = pool.make_room(len);
    pool.seq += 1;
    let seq = pool.seq;
    drop(pool);
    dropped.into_iter().for_each(unmap);
    if len > CHECKED && !fits(len) {
        release_kept();
        if !fits(len) {
            return Err(no_memory(bytes));
        }
    }
    let block = match map(len, seq) {
        Some(b) => b,
        None => {
            release_kept();
            map(len, seq).ok_or_else(|| no_memory(bytes))?
        }
    };
    let mut pool = POOL.lock();
    pool.live += len;
    pool.peak = pool.peak.max(pool.live);
    Ok(block)
}

fn map(len: usize, seq: usize) -> Option<Block> {
    let (start, class) =
        if len <= region::LONGEST { (POOL.lock().regions.take(len)?, CUT) } else { (map_aligned(len)?, MAPPED) };
    let ptr = NonNull::new((start + seq * STAGGER % PAGE) as *mut u8)?;
    Some(Block { ptr, map: start as *mut u8, len, class })
}

/// The address of a new mapping, a multiple of a huge page's size.
pub(super) fn map_aligned(len: usize) -> Option<usize> {
    // SAFETY: an anonymous mapping at an address of the system's choice touches no memory of ours.
    let raw = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            len + HUGE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if raw == libc::MAP_FAILED {
        return None;
    }
    let raw = raw as usize;
    let start = raw.next_multiple_of(HUGE);
    // SAFETY: the cut-off ends lie within the mapping just made and hold nothing.
    unsafe {
        if start > raw {
            libc::munmap(raw as *mut _, start - raw);
        }
        if HUGE > start - raw {
            libc::munmap((start + len) as *mut _, HUGE - (start - raw));
        }
        libc::madvise(start as *mut _, len, libc::MADV_HUGEPAGE);
    }
    Some(start)
}

fn unmap(block: Block) {
    if block.class == CUT {
        POOL.lock().regions.give_back(block.map as usize, block.len);
        return;
    }
    // SAFETY: `map` made this mapping, and no store has it any more.
    unsafe { libc::munmap(block.map as *mut _, block.len) };
}

#[inline]
pub(super) fn free(block: Block) {
    let own =
        (block.class as usize) < OWN_CLASSES && MINE.try_with(|own| own.borrow_mut().keep(&block)).unwrap_or(false);
    if !own {
        free_to_pool(block);
    }
}

fn free_to_pool(block: Block) {
    let mut pool = POOL.lock();
    pool.live -= block.len;
    if block.is_large() {
        let mut dropped = pool.make_room(block.len);
        if pool.live + pool.kept_large + block.len <= pool.peak + SPARE {
            pool.kept += block.len;
            pool.kept_large += block.len;
            pool.large.entry(block.len).or_default().push(block);
        } else {
            dropped.push(block);
        }
        drop(pool);
        dropped.into_iter().for_each(unmap);
    } else if pool.small[block.class as usize].len() * block.len < KEEP_SMALL {
        pool.kept += block.len;
        pool.small[block.class as usize].push(block.ptr);
    } else {
        drop(pool);
        // SAFETY: allocated by `alloc` with this very layout.
        unsafe {
            std::alloc::dealloc(
                block.ptr.as_ptr(),
                Layout::from_size_align(block.len, ALIGN).expect("the class's layout"),
            )
        };
    }
}

/// Whether an array of so many bytes has any chance: false for what is larger than the memory left.
pub fn could_fit(bytes: usize) -> bool {
    missing(bytes).is_none()
}

/// Where so many bytes cannot be had: how many can, with what the pool keeps. To be asked often: no file is read for what is
/// small beside any machine's memory or what the pool has at hand.
pub(crate) fn missing(bytes: usize) -> Option<usize> {
    if bytes <= CHECKED {
        return None;
    }
    let kept = POOL.lock().kept_large;
    if bytes <= kept {
        return None;
    }
    let room = available().saturating_add(kept);
    (bytes > room).then_some(room)
}

fn fits(len: usize) -> bool {
    len <= available()
}

/// The size of a block of so many bytes.
pub(crate) fn mapped_bytes(bytes: usize) -> usize {
    if bytes <= SMALL { class_of(bytes).1 } else { mapping(bytes) }
}

/// The length of the pages of a large block: room for the stagger; whole huge pages where that wastes little.
fn mapping(bytes: usize) -> usize {
    let unit = if bytes >= 8 * HUGE { HUGE } else { PAGE };
    bytes.saturating_add(PAGE).checked_next_multiple_of(unit).unwrap_or(usize::MAX)
}

fn no_memory(bytes: usize) -> Error {
    Error::Memory(format!("Unable to allocate {}", size_text(bytes)))
}

/// NumPy's way of writing a size: `7.28 TiB`.
pub(crate) fn size_text(bytes: usize) -> String {
    const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let log = if bytes == 0 { 0 } else { bytes.ilog2() as usize };
    let mut unit = log / 10;
    let mut n = bytes as f64 / (1u64 << (10 * unit)) as f64;
    if n.round() >= 1024.0 && unit + 1 < UNITS.len() {
        unit += 1;
        n /= 1024.0;
    }
    // NumPy: no decimals for bytes, else three digits and always a point.
    if unit == 0 {
        return format!("{bytes} bytes");
    }
    let decimals = 2usize.saturating_sub(n.log10().max(0.0).floor() as usize);
    let point = if decimals == 0 { "." } else { "" };
    format!("{n:.decimals$}{point} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_dense_and_ordered() {
        let mut last = (usize::MAX, 0);
        for bytes in 1..=SMALL {
            let (class, len) = class_of(bytes);
            assert!(len >= bytes && len % ALIGN == 0 && class < CLASSES);
            assert!(len < bytes + ALIGN || len * 4 <= bytes * 5 + 4 * ALIGN, "{bytes} in {len}");
            if last.0 != class {
                assert_eq!(class, last.0.wrapping_add(1), "{bytes}");
                assert!(len > last.1);
                last = (class, len);
            }
            assert_eq!(len, last.1);
            assert!(class >= OWN_CLASSES || len == length_of(class), "{bytes}");
            assert_eq!(class < OWN_CLASSES, bytes <= OWN_LARGEST);
        }
    }

    /// A pool with kept blocks of these lengths, which are no memory.
    fn pool(peak: usize, lengths: &[usize]) -> Pool {
        let mut pool = Pool { peak, ..Pool::EMPTY };
        for &len in lengths {
            let block = Block { ptr: NonNull::dangling(), map: std::ptr::null_mut(), len, class: MAPPED };
            pool.large.entry(len).or_default().push(block);
            pool.kept += len;
            pool.kept_large += len;
        }
        pool
    }

    #[test]
    fn room_is_made_among_blocks_of_other_sizes_first() {
        let mb = 1 << 20;
        // What small blocks keep is no reason to drop large ones.
        let mut other = pool(16 * mb, &[8 * mb, 8 * mb]);
        other.kept += 100 * mb;
        assert!(other.make_room(8 * mb).is_empty());
        let dropped = |p: &mut Pool, len: usize| p.make_room(len).iter().map(|b| b.len / mb).collect::<Vec<_>>();
        let mut p = pool(20 * mb, &[9 * mb, 9 * mb, 4 * mb, 4 * mb]);
        assert_eq!(dropped(&mut p, 9 * mb), [4, 4]);
        assert_eq!((p.kept, p.kept_large), (18 * mb, 18 * mb));
        // Where the peak grows, what is kept goes.
        assert_eq!(dropped(&mut p, 100 * mb), [9, 9]);
        assert_eq!((p.kept, p.kept_large), (0, 0));
    }

    #[test]
    fn sizes_in_words() {
        assert_eq!(size_text(8_000_000_000_000), "7.28 TiB");
        assert_eq!(size_text(1 << 50), "1.00 PiB");
        assert_eq!(size_text(100), "100 bytes");
        assert_eq!(size_text(1100), "1.07 KiB");
        assert_eq!(size_text(123 << 20), "123. MiB");
        assert_eq!(size_text(1023 << 10), "1023. KiB");
        assert_eq!(size_text(15 << 20), "15.0 MiB");
    }
}
