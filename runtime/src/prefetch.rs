//! Asking for lines before they are needed. What comes from memory arrives a tenth sooner so: the processor's own prefetching stops at
//! the end of each page.

use std::arch::x86_64::{_MM_HINT_T0, _MM_HINT_T1, _mm_prefetch};

/// Bytes of a line of the cache.
pub const LINE: usize = 64;
/// How far ahead: two pages, so that the second-level cache has them in time.
const DISTANCE: usize = 8 << 10;

/// Bytes of a page, at whose end the processor's own prefetching stops.
pub const PAGE: usize = 4 << 10;

/// Asks for the line that is `DISTANCE` bytes from here. It need not be there.
#[inline(always)]
pub fn ahead<T>(x: *const T) {
    // SAFETY: every machine has the instruction, which reads nothing that the program sees and never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T1>((x as *const i8).wrapping_add(DISTANCE)) };
}

/// Asks for a line, to have it in the first-level cache. It need not be there.
#[inline(always)]
pub fn line(x: *const u8) {
    // SAFETY: as for `ahead`.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(x as *const i8) };
}

/// Asks for as many bytes as these elements are, `DISTANCE` bytes from here.
#[inline(always)]
pub fn ahead_of<T>(x: *const T, elements: usize) {
    (0..elements * size_of::<T>()).step_by(LINE).for_each(|at| ahead(x.wrapping_byte_add(at)));
}
