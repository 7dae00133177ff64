//! Which places a boolean mask selects: counted in chunks by all threads, so that every chunk knows where its first element
//! goes, and then visited run by run.
//!
//! A boundary file: it reads masks by address.

use std::arch::x86_64::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use legate_jit_ir::{DType, Shape};
use legate_jit_vmath::{Isa, isa};
use smallvec::SmallVec;

use super::moves::parallel;
use crate::array::Array;
use crate::array::host::gather;
use crate::{HostView, Result, Store};

/// Places in a chunk: a multiple of a word's 64, and small enough that the threads share the work evenly.
const CHUNK: usize = 1 << 15;
/// Masks smaller than this are never called sparse.
const SMALL: usize = 1 << 14;

/// A mask in memory, C order, and how many places each chunk of it selects.
pub(crate) struct Selection {
    /// Of the mask.
    pub(crate) shape: Shape,
    bytes: Bytes,
    /// Selected places before each chunk, and at the end all of them.
    before: SmallVec<[usize; 4]>,
}

/// One byte a place.
enum Bytes {
    Seen(HostView),
    Copied(Arc<Store>),
}

impl Bytes {
    fn ptr(&self) -> *const u8 {
        match self {
            Bytes::Seen(view) => view.ptr,
            Bytes::Copied(store) => store.as_ptr(),
        }
    }
}

impl Selection {
    /// Computes the mask if it is pending.
    pub(crate) fn of(mask: &Array) -> Result<Selection> {
        debug_assert_eq!(mask.dtype(), DType::Bool);
        let view = mask.host()?;
        let shape = view.shape.clone();
        let n = legate_jit_ir::shape::size(&shape);
        let bytes = if mask.c_contiguous() {
            Bytes::Seen(view)
        } else {
            let store = Store::alloc(n)?;
            // SAFETY: the view's address, shape and strides are within its store; the new store holds n bytes.
            unsafe { gather(view.ptr, &view.shape, &view.strides, 1, store.as_mut_ptr()) };
            Bytes::Copied(store)
        };
        let mut selection = Selection { shape, bytes, before: SmallVec::new() };
        let counts: SmallVec<[AtomicUsize; 4]> = (0..n.div_ceil(CHUNK)).map(|_| AtomicUsize::new(0)).collect();
        parallel(counts.len(), &|c| counts[c].store(count(selection.chunk(c)), Ordering::Relaxed))?;
        let mut total = 0;
        selection.before.push(0);
        for c in counts {
            total += c.into_inner();
            selection.before.push(total);
        }
        Ok(selection)
    }

    pub(crate) fn count(&self) -> usize {
        *self.before.last().unwrap_or(&0)
    }

    pub(crate) fn chunks(&self) -> usize {
        self.before.len() - 1
    }

    /// Selected places before a chunk.
    pub(crate) fn before(&self, chunk: usize) -> usize {
        self.before[chunk]
    }

    /// The first place of a chunk.
    pub(crate) fn start(chunk: usize) -> usize {
        chunk * CHUNK
    }

    /// The mask's bytes in a chunk.
    pub(crate) fn chunk(&self, chunk: usize) -> &[u8] {
        let n = legate_jit_ir::shape::size(&self.shape);
        let lo = chunk * CHUNK;
        // SAFETY: the mask is n bytes one after the other, kept by self; nobody writes them (a store is immutable while
        // somebody holds it, and foreign code that shares one may not write it while a call of ours looks at it).
        unsafe { std::slice::from_raw_parts(self.bytes.ptr().wrapping_add(lo), CHUNK.min(n - lo)) }
    }
}

/// The next places of a mask as bits, at most 64; a byte that is not 0 selects.
#[inline(always)]
fn word(mask: &[u8]) -> u64 {
    if mask.len() >= 64 {
        let mut zeros = 0u64;
        for k in 0..4 {
            // SAFETY: SSE2 is part of x86-64; 64 bytes are there.
            let part = unsafe {
                let bytes = _mm_loadu_si128(mask.as_ptr().add(16 * k).cast::<__m128i>());
                _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_setzero_si128())) as u32
            };
            zeros |= (part as u64) << (16 * k);
        }
        return !zeros;
    }
    mask.iter().take(64).enumerate().fold(0, |w, (k, &b)| w | ((b != 0) as u64) << k)
}

#[target_feature(enable = "avx2")]
fn word_avx2(mask: &[u8; 64]) -> u64 {
    let half = |k: usize| {
        // SAFETY: 64 bytes are there.
        let bytes = unsafe { _mm256_loadu_si256(mask.as_ptr().add(32 * k).cast()) };
        !_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_setzero_si256())) as u32 as u64
    };
    half(0) | half(1) << 32
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2")]
fn word_avx512(mask: &[u8; 64]) -> u64 {
    // SAFETY: 64 bytes are there.
    let bytes = unsafe { _mm512_loadu_si512(mask.as_ptr().cast()) };
    _mm512_test_epi8_mask(bytes, bytes)
}

/// Places of a chunk as bits, 64 a word.
pub(crate) struct Words {
    /// Behind those that have places lie empty ones, as many as are announced ahead.
    words: [u64; CHUNK / 64 + AHEAD],
    len: usize,
}

impl Words {
    pub(crate) fn new() -> Words {
        Words { words: [0; CHUNK / 64 + AHEAD], len: 0 }
    }

    /// The places of (a part of) a chunk's mask.
    pub(crate) fn of(&mut self, mask: &[u8]) -> &Words {
        let (whole, rest) = mask.as_chunks::<64>();
        match isa() {
            Isa::Base => self.words.iter_mut().zip(whole).for_each(|(w, m)| *w = word(m)),
            // SAFETY: the processor has it.
            Isa::Avx2 => unsafe { words_avx2(whole, &mut self.words) },
            // SAFETY: as above.
            Isa::Avx512 => unsafe { words_avx512(whole, &mut self.words) },
        }
        self.len = mask.len().div_ceil(64);
        if !rest.is_empty() {
            self.words[whole.len()] = word(rest);
        }
        self.words[self.len..self.len + AHEAD].fill(0);
        self
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words[..self.len]
    }

    /// Calls `f(first, length)` for the runs of selected places, in order. Runs end at words, so a long one comes in pieces.
    #[inline(always)]
    pub(crate) fn runs(&self, mut f: impl FnMut(usize, usize)) {
        for (k, &w) in self.words().iter().enumerate() {
            visit(k, w, &mut f);
        }
    }

    /// The same, with `soon(place)` called some time before the place is visited, where few of its neighbours are selected, so
    /// that the memory's prefetcher has no pattern to see.
    #[inline(always)]
    pub(crate) fn runs_announced(&self, mut f: impl FnMut(usize, usize), mut soon: impl FnMut(usize)) {
        for (k, &w) in self.words().iter().enumerate() {
            let mut later = self.words[k + AHEAD];
            if later.count_ones() < 32 {
                while later != 0 {
                    soon(64 * (k + AHEAD) + later.trailing_zeros() as usize);
                    later &= later - 1;
                }
            }
            visit(k, w, &mut f);
        }
    }
}

#[target_feature(enable = "avx2")]
fn words_avx2(mask: &[[u8; 64]], words: &mut [u64]) {
    words.iter_mut().zip(mask).for_each(|(w, m)| *w = word_avx2(m));
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2")]
fn words_avx512(mask: &[[u8; 64]], words: &mut [u64]) {
    words.iter_mut().zip(mask).for_each(|(w, m)| *w = word_avx512(m));
}

#[inline(always)]
fn visit(k: usize, mut bits: u64, f: &mut impl FnMut(usize, usize)) {
    if bits == u64::MAX {
        return f(64 * k, 64);
    }
    while bits != 0 {
        f(64 * k + bits.trailing_zeros() as usize, 1);
        bits &= bits - 1;
    }
}

fn count(mask: &[u8]) -> usize {
    let (whole, rest) = mask.as_chunks::<64>();
    let whole = match isa() {
        Isa::Base => whole.iter().map(|m| word(m).count_ones() as usize).sum(),
        // SAFETY: the processor has it; those with AVX2 count bits, too.
        Isa::Avx2 => unsafe { count_avx2(whole) },
        // SAFETY: as above.
        Isa::Avx512 => unsafe { count_avx512(whole) },
    };
    whole + word(rest).count_ones() as usize
}

#[target_feature(enable = "avx2,popcnt")]
fn count_avx2(mask: &[[u8; 64]]) -> usize {
    mask.iter().map(|m| word_avx2(m).count_ones() as usize).sum()
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,popcnt")]
fn count_avx512(mask: &[[u8; 64]]) -> usize {
    mask.iter().map(|m| word_avx512(m).count_ones() as usize).sum()
}

/// Words ahead of the one that is visited whose places are announced.
const AHEAD: usize = 6;

/// True where a mask whose values are known selects so little that work on what it selects is cheaper than work on all. A
/// sample decides, so the answer costs next to nothing; being wrong costs time only.
pub(crate) fn is_sparse(mask: &Array) -> bool {
    if mask.size() < SMALL || !mask.c_contiguous() || !mask.at_rest() {
        return false;
    }
    let Ok(view) = mask.host() else { return false };
    const WORDS: usize = 64;
    let step = mask.size() / WORDS;
    let selected: u32 = (0..WORDS)
        .map(|k| {
            // SAFETY: a word of the mask, which is contiguous and of WORDS * step places at least.
            let bytes = unsafe { std::slice::from_raw_parts(view.ptr.wrapping_add(k * step), 64) };
            word(bytes).count_ones()
        })
        .sum();
    selected < (WORDS as u32 * 64) / 12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_selected_places() {
        let mask: Vec<u8> =
            (0..1000u32).map(|i| if (256..400).contains(&i) || i % 7 == 3 { 1 + (i % 2) as u8 } else { 0 }).collect();
        let mut seen = Vec::new();
        let mut words = Words::new();
        let words = words.of(&mask);
        words.runs(|at, n| seen.extend(at..at + n));
        let expect: Vec<usize> = (0..1000).filter(|&i| mask[i] != 0).collect();
        assert_eq!(seen, expect);
        assert_eq!(count(&mask), expect.len());
        let (mut again, mut announced) = (Vec::new(), Vec::new());
        words.runs_announced(|at, n| again.extend(at..at + n), |at| announced.push(at));
        assert_eq!(again, expect);
        // Each at most once, in order, and none that is not selected; where all are, none.
        assert!(announced.windows(2).all(|w| w[0] < w[1]) && announced.iter().all(|at| expect.contains(at)));
        assert!(!announced.is_empty() && !announced.contains(&300));
    }

    #[test]
    fn all_levels_see_the_same_places() {
        let mask: Vec<u8> = (0..640u32).map(|i| (i.wrapping_mul(2654435761) >> 13) as u8 & 0x81).collect();
        let (whole, _) = mask.as_chunks::<64>();
        let expect: Vec<u64> = whole.iter().map(|m| word(m)).collect();
        let each: Vec<u64> =
            mask.chunks(64).map(|m| m.iter().rev().fold(0, |w, &b| w << 1 | (b != 0) as u64)).collect();
        assert_eq!(expect, each);
        let mut seen = vec![0; 10];
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has it.
            unsafe { words_avx2(whole, &mut seen) };
            assert_eq!(seen, expect);
            // SAFETY: as above.
            assert_eq!(unsafe { count_avx2(whole) }, mask.iter().filter(|&&b| b != 0).count());
        }
        assert_eq!(Words::new().of(&mask).words(), expect);
        assert_eq!(count(&mask), mask.iter().filter(|&&b| b != 0).count());
    }

    #[test]
    fn chunks_know_what_comes_before() {
        let n = 3 * CHUNK + 17;
        let bytes: Vec<u8> = (0..n).map(|i| (i % 3 == 0) as u8).collect();
        let mask = Array::from_bytes(&bytes, &[n], DType::Bool).unwrap();
        let s = Selection::of(&mask).unwrap();
        assert_eq!((s.chunks(), s.count()), (4, n.div_ceil(3)));
        for c in 0..4 {
            assert_eq!(s.before(c), Selection::start(c).div_ceil(3));
        }
        let turned = mask.index(&[crate::Index::Slice { start: i64::MAX, stop: i64::MIN, step: -1 }]).unwrap();
        assert_eq!(Selection::of(&turned).unwrap().count(), s.count());
    }

    #[test]
    fn samples_tell_sparse_from_dense() {
        let make = |every: usize| {
            let bytes: Vec<u8> = (0..100_000).map(|i| (i % every == 0) as u8).collect();
            Array::from_bytes(&bytes, &[bytes.len()], DType::Bool).unwrap()
        };
        assert!(is_sparse(&make(50)) && !is_sparse(&make(3)));
    }
}
