//! Which places a boolean mask selects: counted in chunks by all threads, so that every chunk knows where its first element
//! goes, and then visited run by run.
//!
//! A boundary file: it reads masks by address.

use std::arch::x86_64::*;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use legate_jit_ir::{DType, Shape};
use legate_jit_vmath::{Isa, isa};
use smallvec::SmallVec;

use super::found;
use super::moves::parallel;
use crate::array::Array;
use crate::array::host::gather;
use crate::buffer::Fresh;
use crate::session::lock;
use crate::{HostView, Result, Store};

/// Places in a chunk: a multiple of a word's 64, and small enough that the threads share the work evenly.
pub(super) const CHUNK: usize = 1 << 15;
/// Masks smaller than this are never called sparse.
const SMALL: usize = 1 << 14;

/// The places that a mask selects, and how many of them are in each of its chunks.
pub(crate) struct Selection {
    /// Of the mask.
    pub(crate) shape: Shape,
    source: Source,
    /// Selected places before each chunk, and at the end all of them.
    before: SmallVec<[usize; 4]>,
}

/// The mask in memory, C order.
enum Source {
    /// One byte a place.
    Seen(HostView),
    Copied(Arc<Store>),
    /// One bit a place.
    Words(Arc<Store>),
}

impl Selection {
    /// Computes the mask if it is pending and says nothing that its places can be found by.
    pub(crate) fn of(mask: &Array) -> Result<Arc<Selection>> {
        debug_assert_eq!(mask.dtype(), DType::Bool);
        if let Some(known) = found::known(mask)? {
            return Ok(known);
        }
        let view = mask.host()?;
        let shape = view.shape.clone();
        let n = legate_jit_ir::shape::size(&shape);
        let source = if mask.c_contiguous() {
            Source::Seen(view)
        } else {
            let store = Store::alloc(n)?;
            // SAFETY: the view's address, shape and strides are within its store; the new store holds n bytes.
            unsafe { gather(view.ptr, &view.shape, &view.strides, 1, store.as_mut_ptr()) };
            Source::Copied(store)
        };
        let mut selection = Selection { shape, source, before: SmallVec::new() };
        let counts: SmallVec<[AtomicUsize; 4]> = (0..n.div_ceil(CHUNK)).map(|_| AtomicUsize::new(0)).collect();
        parallel(counts.len(), &|c| counts[c].store(count(selection.bytes(c)), Ordering::Relaxed))?;
        selection.count_up(counts);
        Ok(Arc::new(selection))
    }

    /// The places of a mask of this shape whose bits `fill` writes, chunk by chunk. Behind the mask's end there are none.
    pub(super) fn of_words(shape: &[usize], fill: impl Fn(usize, &mut [u64]) + Sync) -> Result<Selection> {
        let mut words = Fresh::new(legate_jit_ir::shape::size(shape).div_ceil(64))?;
        let chunks = words.chunks(CHUNK / 64);
        let counts: SmallVec<[AtomicUsize; 4]> = chunks.iter().map(|_| AtomicUsize::new(0)).collect();
        parallel(counts.len(), &|c| {
            let mut out = chunks[c].lock();
            fill(c, &mut out);
            counts[c].store(ones(&out), Ordering::Relaxed);
        })?;
        drop(chunks);
        let source = Source::Words(words.done());
        let mut selection = Selection { shape: shape.into(), source, before: SmallVec::new() };
        selection.count_up(counts);
        Ok(selection)
    }

    fn count_up(&mut self, counts: SmallVec<[AtomicUsize; 4]>) {
        let mut total = 0;
        self.before.push(0);
        for c in counts {
            total += c.into_inner();
            self.before.push(total);
        }
    }

    /// The mask, one byte a place.
    pub(super) fn spread(&self) -> Result<Arc<Store>> {
        let mut mask = Fresh::<u8>::new(legate_jit_ir::shape::size(&self.shape))?;
        let chunks = mask.chunks(CHUNK);
        parallel(chunks.len(), &|c| {
            let (from, mut out) = (c * CHUNK, chunks[c].lock());
            match &self.source {
                Source::Words(words) => {
                    let words = elements::<u64>(words, from / 64..(from + out.len()).div_ceil(64));
                    spread(words, &mut out);
                }
                Source::Seen(_) | Source::Copied(_) => out.copy_from_slice(self.bytes(c)),
            }
        })?;
        drop(chunks);
        Ok(mask.done())
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

    /// Places in a chunk, selected or not.
    pub(crate) fn chunk_size(&self, chunk: usize) -> usize {
        CHUNK.min(legate_jit_ir::shape::size(&self.shape) - chunk * CHUNK)
    }

    /// The places of a part of a chunk, which begins at its place `first` and has `n` of them.
    pub(crate) fn places<'a>(&self, chunk: usize, first: usize, n: usize, words: &'a mut Words) -> &'a Words {
        match &self.source {
            Source::Words(all) => {
                let from = chunk * CHUNK + first;
                let end = legate_jit_ir::shape::size(&self.shape).div_ceil(64);
                words.of_bits(elements(all, from / 64..end.min((from + n).div_ceil(64))), from % 64, n)
            }
            Source::Seen(_) | Source::Copied(_) => words.of(&self.bytes(chunk)[first..first + n]),
        }
    }

    /// The bytes of a mask in a chunk.
    fn bytes(&self, chunk: usize) -> &[u8] {
        let ptr = match &self.source {
            Source::Seen(view) => view.ptr.cast_const(),
            Source::Copied(store) => store.as_ptr(),
            Source::Words(_) => return &[],
        };
        // SAFETY: the mask is so many bytes one after the other, kept by self; nobody writes them (a store is immutable while
        // somebody holds it, and foreign code that shares one may not write it while a call of ours looks at it).
        unsafe { std::slice::from_raw_parts(ptr.wrapping_add(chunk * CHUNK), self.chunk_size(chunk)) }
    }
}

/// Elements of a store, which nobody writes: it holds numbers of this type, one after the other.
pub(super) fn elements<T: Copy>(store: &Store, range: Range<usize>) -> &[T] {
    assert!(range.end * size_of::<T>() <= store.bytes() && range.start <= range.end);
    // SAFETY: the store has so many bytes, aligned as stores are, and numbers may be any bytes; see above.
    unsafe { std::slice::from_raw_parts(store.as_ptr().cast::<T>().add(range.start), range.len()) }
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

    /// `n` places from the bit `first` of these words on.
    fn of_bits(&mut self, bits: &[u64], first: usize, n: usize) -> &Words {
        self.len = n.div_ceil(64);
        let words = &mut self.words[..self.len];
        if first == 0 {
            words.copy_from_slice(&bits[..words.len()]);
        } else {
            for (k, w) in words.iter_mut().enumerate() {
                *w = bits[k] >> first | bits.get(k + 1).map_or(0, |next| next << (64 - first));
            }
        }
        if let (Some(last), rest @ 1..) = (words.last_mut(), n % 64) {
            *last &= (1 << rest) - 1;
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

fn ones(words: &[u64]) -> usize {
    match isa() {
        Isa::Base => words.iter().map(|w| w.count_ones() as usize).sum(),
        // SAFETY: processors with AVX2 count bits, too.
        Isa::Avx2 | Isa::Avx512 => unsafe { ones_popcnt(words) },
    }
}

#[target_feature(enable = "popcnt")]
fn ones_popcnt(words: &[u64]) -> usize {
    words.iter().map(|w| w.count_ones() as usize).sum()
}

/// Bits as bytes.
fn spread(words: &[u64], bytes: &mut [u8]) {
    for (&w, bytes) in words.iter().zip(bytes.chunks_mut(64)) {
        for (k, bytes) in bytes.chunks_mut(8).enumerate() {
            // Each byte of the product has the eight bits; one of them is left in each.
            let eight = ((w >> (8 * k) & 0xff) * 0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
            let eight = (eight + 0x7f7f_7f7f_7f7f_7f7f) >> 7 & 0x0101_0101_0101_0101;
            bytes.copy_from_slice(&eight.to_le_bytes()[..bytes.len()]);
        }
    }
}

/// Words ahead of the one that is visited whose places are announced.
const AHEAD: usize = 6;

/// True where a mask whose values are known selects so little that work on what it selects is cheaper than work on all. A
/// sample decides, so the answer costs next to nothing; being wrong costs time only.
pub(crate) fn is_sparse(mask: &Array) -> bool {
    if mask.size() < SMALL || !mask.c_contiguous() || !mask.at_rest() {
        return false;
    }
    if let Some(known) = found::remembered(&mut lock(), mask) {
        return known.count() < mask.size() / 12;
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
    fn bits_select_what_bytes_do() {
        let n = 2 * CHUNK + 77;
        let bytes: Vec<u8> = (0..n as u32).map(|i| (i.wrapping_mul(2654435761) >> 20 & 5 == 0) as u8).collect();
        let seen = Selection::of(&Array::from_bytes(&bytes, &[n], DType::Bool).unwrap()).unwrap();
        let fill = |c: usize, out: &mut [u64]| out.copy_from_slice(Words::new().of(seen.bytes(c)).words());
        let bits = Selection::of_words(&[n], fill).unwrap();
        assert_eq!((bits.count(), bits.before(2), bits.chunks()), (seen.count(), seen.before(2), 3));
        assert_eq!(bits.spread().unwrap().as_slice(), bytes);
        assert_eq!(seen.spread().unwrap().as_slice(), bytes);
        for (chunk, first, n) in
            [(0, 0, CHUNK), (1, 64, 640), (1, 5, 64), (0, 63, 1), (2, 13, 64), (2, 1, 76), (2, 0, 77)]
        {
            let (mut a, mut b) = (Words::new(), Words::new());
            let (a, b) = (bits.places(chunk, first, n, &mut a), seen.places(chunk, first, n, &mut b));
            assert_eq!(a.words(), b.words(), "{n} places from {first} of chunk {chunk}");
        }
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
