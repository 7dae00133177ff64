//! Regions of huge pages, from which blocks that do not fill such a page themselves are cut.
//!
//! A huge page costs what 80 to 200 small ones cost when they are touched first: the first array of a megabyte took 250 µs so, and takes
//! 100, and the next one beside it takes nothing. Whole huge pages of which no part is in use any more go back to the system.
//!
//! A boundary file: it maps memory.

use super::pool::{HUGE, PAGE};

/// Address space of a region. What is not touched costs nothing.
const REGION: usize = 32 << 20;
const PAGES: usize = REGION / PAGE;
/// Blocks are at most this long.
pub(super) const LONGEST: usize = REGION / 8;

/// A region with one bit for each of its small pages: whether that is part of a block.
struct Region {
    start: usize,
    used: [u64; PAGES / 64],
}

pub(super) struct Regions(Vec<Region>);

impl Regions {
    pub(super) const NONE: Regions = Regions(Vec::new());

    /// The address of a new block of `len` bytes, a multiple of the page; `None` where there is no more memory.
    pub(super) fn take(&mut self, len: usize) -> Option<usize> {
        let pages = len / PAGE;
        let found = self.0.iter().enumerate().find_map(|(n, region)| Some((n, region.find(pages)?)));
        let (n, first) = match found {
            Some(place) => place,
            None => {
                self.0.push(Region::new()?);
                (self.0.len() - 1, 0)
            }
        };
        let region = &mut self.0[n];
        region.mark(first, pages, true);
        Some(region.start + first * PAGE)
    }

    /// The address of the first region.
    pub(super) fn first(&mut self) -> Option<usize> {
        if self.0.is_empty() {
            self.0.push(Region::new()?);
        }
        Some(self.0[0].start)
    }

    /// Takes back a block, which nobody reads any more.
    pub(super) fn give_back(&mut self, address: usize, len: usize) {
        let holds = |region: &&mut Region| (region.start..region.start + REGION).contains(&address);
        let region = self.0.iter_mut().find(holds).expect("a block of a region");
        let first = (address - region.start) / PAGE;
        region.mark(first, len / PAGE, false);
        region.discard(first, len / PAGE);
    }
}

impl Region {
    fn new() -> Option<Region> {
        let start = super::pool::map_aligned(REGION)?;
        Some(Region { start, used: [0; PAGES / 64] })
    }

    /// Where so many free pages lie together first.
    fn find(&self, pages: usize) -> Option<usize> {
        let mut at = 0;
        loop {
            at = self.next(at, false);
            if at + pages > PAGES {
                return None;
            }
            let end = self.next(at, true);
            if end - at >= pages {
                return Some(at);
            }
            at = end;
        }
    }

    /// The next page from `at` on that is used, or is free; `PAGES` if there is none.
    fn next(&self, at: usize, used: bool) -> usize {
        let turn = if used { 0 } else { u64::MAX };
        let mut mask = u64::MAX << (at % 64);
        for (n, &word) in self.used.iter().enumerate().skip(at / 64) {
            let word = (word ^ turn) & mask;
            if word != 0 {
                return n * 64 + word.trailing_zeros() as usize;
            }
            mask = u64::MAX;
        }
        PAGES
    }

    fn mark(&mut self, first: usize, pages: usize, used: bool) {
        for page in first..first + pages {
            let bit = 1 << (page % 64);
            let word = &mut self.used[page / 64];
            debug_assert_eq!(*word & bit == 0, used);
            *word ^= bit;
        }
    }

    /// Gives the huge pages around what has become free back to the system, if nothing else of them is used.
    fn discard(&self, first: usize, pages: usize) {
        let whole = HUGE / PAGE;
        for huge in first / whole..(first + pages).div_ceil(whole) {
            if self.used[huge * whole / 64..(huge + 1) * whole / 64].iter().all(|&word| word == 0) {
                // SAFETY: these pages are the region's, and no block has any of them.
                unsafe { libc::madvise((self.start + huge * HUGE) as *mut _, HUGE, libc::MADV_DONTNEED) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_lie_apart_and_what_is_free_is_used_again() {
        let mut regions = Regions::NONE;
        let mut blocks: Vec<(usize, usize)> = Vec::new();
        let mut seed = 1u64;
        for round in 0..2000 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let pages = 1 + (seed >> 33) as usize % (LONGEST / PAGE);
            if blocks.len() > 20 || round % 3 == 2 {
                let (address, len) = blocks.swap_remove(pages % blocks.len());
                regions.give_back(address, len);
                continue;
            }
            let (address, len) = (regions.take(pages * PAGE).unwrap(), pages * PAGE);
            assert!(blocks.iter().all(|&(a, l)| address + len <= a || a + l <= address));
            // SAFETY: the block is ours.
            let bytes = unsafe { std::slice::from_raw_parts_mut(address as *mut u8, len) };
            (bytes[0], bytes[len - 1]) = (1, 1);
            blocks.push((address, len));
        }
        for (address, len) in blocks {
            regions.give_back(address, len);
        }
        assert!(regions.0.iter().all(|region| region.used.iter().all(|&word| word == 0)));
        // Two regions would do for 21 blocks of two megabytes in the mean, but for gaps.
        assert!(regions.0.len() <= 3, "{}", regions.0.len());
        let first = regions.take(REGION / 8).unwrap();
        assert_eq!(first, regions.0[0].start);
    }

    #[test]
    fn pages_that_nobody_has_go_back() {
        let mut regions = Regions::NONE;
        let (a, b) = (regions.take(HUGE / 2).unwrap(), regions.take(HUGE / 2).unwrap());
        assert_eq!(b, a + HUGE / 2);
        // SAFETY: both blocks are ours.
        let first = |at: usize| unsafe { &mut *(at as *mut u8) };
        (*first(a), *first(b)) = (1, 2);
        regions.give_back(a, HUGE / 2);
        assert_eq!(*first(b), 2);
        regions.give_back(b, HUGE / 2);
        let again = regions.take(HUGE).unwrap();
        assert_eq!((again, *first(again), *first(again + HUGE / 2)), (a, 0, 0));
    }
}
