//! Every second, third … eighth element of a row, forwards or backwards, by whole vectors: those that the row's elements lie in are
//! loaded, and each gives its lanes of the result.

use legate_jit_vmath::{Isa, isa};

/// The most elements from one to the next: there are as many loads and permutations a vector.
const FARTHEST: i64 = 8;
/// Bytes by which lines are asked for before they are needed: one core's own prefetching keeps up with a copy, but not with reading
/// twice of what is written.
const AHEAD: isize = 2048;

/// Packs `n` elements, of which each lies `step` elements behind the one before, and gives the number of those that it has packed:
/// it leaves some at the end, as it reads up to the next element.
pub type Thin = unsafe fn(from: *const u8, step: i64, to: *mut u8, n: usize) -> usize;

/// What packs elements of `size` bytes that lie `stride` bytes apart.
pub fn thin(size: usize, stride: i64) -> Option<Thin> {
    let step = stride / size as i64;
    if isa() != Isa::Avx512 || step * size as i64 != stride || step == 1 || !(1..=FARTHEST).contains(&step.abs()) {
        return None;
    }
    match size {
        2 => Some(b2::thin),
        4 => Some(b4::thin),
        8 => Some(b8::thin),
        _ => None,
    }
}

macro_rules! version {
    ($name:ident, $t:ident, $size:literal, $lanes:literal, $mask:ident, $permute:ident) => {
        mod $name {
            use std::arch::x86_64::*;

            #[target_feature(enable = "avx512f,avx512bw")]
            pub unsafe fn thin(from: *const u8, step: i64, to: *mut u8, n: usize) -> usize {
                // SAFETY: the caller's promise.
                unsafe {
                    match step.abs() {
                        1 => by::<1>(from, step, to, n),
                        2 => by::<2>(from, step, to, n),
                        3 => by::<3>(from, step, to, n),
                        4 => by::<4>(from, step, to, n),
                        5 => by::<5>(from, step, to, n),
                        6 => by::<6>(from, step, to, n),
                        7 => by::<7>(from, step, to, n),
                        _ => by::<8>(from, step, to, n),
                    }
                }
            }

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw")]
            unsafe fn by<const VECTORS: usize>(from: *const u8, step: i64, to: *mut u8, n: usize) -> usize {
                // Backwards, the vectors end with the first element instead of beginning with it.
                let span = VECTORS * $lanes;
                let start = if step < 0 { 1 - span as i64 } else { 0 };
                let place: [usize; $lanes] = std::array::from_fn(|lane| (lane as i64 * step - start) as usize);
                let within: [$t; $lanes] = place.map(|p| (p % $lanes) as $t);
                let masks: [$mask; VECTORS] = std::array::from_fn(|v| {
                    (0..$lanes).fold(0, |mask, lane| mask | ((place[lane] / $lanes == v) as $mask) << lane)
                });
                let mut done = 0;
                // SAFETY: where there is one more element than lanes, all that the vectors hold lies between elements of the row.
                unsafe {
                    let within = _mm512_loadu_si512(within.as_ptr().cast());
                    while done + $lanes < n {
                        let first = from.wrapping_offset(((done as i64 * step + start) * $size) as isize);
                        let mut packed = _mm512_setzero_si512();
                        for (v, &mask) in masks.iter().enumerate() {
                            let line = first.wrapping_add(v * 64);
                            let ahead = line.wrapping_offset(super::AHEAD * step.signum() as isize);
                            _mm_prefetch::<_MM_HINT_T0>(ahead as *const i8);
                            let vector = _mm512_loadu_si512(line.cast());
                            packed = $permute(packed, mask, within, vector);
                        }
                        _mm512_storeu_si512(to.wrapping_add(done * $size).cast(), packed);
                        done += $lanes;
                    }
                }
                done
            }
        }
    };
}
version!(b2, u16, 2, 32, __mmask32, _mm512_mask_permutexvar_epi16);
version!(b4, u32, 4, 16, __mmask16, _mm512_mask_permutexvar_epi32);
version!(b8, u64, 8, 8, __mmask8, _mm512_mask_permutexvar_epi64);
