//! Rectangles turned round in registers: what lies along a column in one array lies along a row in the other.
//!
//! Element by element, every one of the accesses along the wrong axis would fetch a cache line for one element. Here a vector is
//! loaded from each of several columns, the vectors are interleaved with each other until they are rows, and whole vectors are
//! stored.

use legate_jit_vmath::{Isa, isa};

/// Bytes of a column that are turned before the next columns are: from so many on memory is read at its speed, and the rows to
/// which they are written stay in the second-level cache.
const COLUMN_BYTES: usize = 1 << 10;
const LINE: usize = 64;

/// Turns whole blocks: element r of column c, at `from + c * by` and r elements further, becomes element c of row r, at
/// `to + r * row`. Rows and columns are multiples of the block's side.
pub type Turn = unsafe fn(from: *const u8, by: isize, to: *mut u8, row: isize, rows: usize, columns: usize);

/// What turns elements of `size` bytes, and the side of its blocks. None for elements that fill a vector.
pub fn turn(size: usize) -> Option<(Turn, usize)> {
    Some(match (size, isa()) {
        (1, _) => (b1::turn, 16),
        (2, _) => (b2::turn, 8),
        (4, Isa::Avx512) => (b4_avx512::turn, 16),
        (4, Isa::Avx2) => (b4_avx2::turn, 8),
        (4, Isa::Base) => (b4::turn, 4),
        (8, Isa::Avx512) => (b8_avx512::turn, 8),
        (8, Isa::Avx2) => (b8_avx2::turn, 4),
        (8, Isa::Base) => (b8::turn, 2),
        _ => return None,
    })
}

macro_rules! version {
    ($name:ident, $features:literal, $register:ident, $size:literal, $side:literal, $load:ident, $store:ident, |$a:ident, $b:ident| $zip:expr) => {
        mod $name {
            use std::arch::x86_64::*;

            /// a0 b0 a1 b1 …, as two vectors.
            #[inline]
            #[target_feature(enable = $features)]
            fn zip($a: $register, $b: $register) -> ($register, $register) {
                $zip
            }

            #[target_feature(enable = $features)]
            pub unsafe fn turn(from: *const u8, by: isize, to: *mut u8, row: isize, rows: usize, columns: usize) {
                const STEP: usize = super::COLUMN_BYTES / $size;
                for start in (0..rows).step_by(STEP) {
                    for c in (0..columns).step_by($side) {
                        for r in (start..rows.min(start + STEP)).step_by($side) {
                            let from = from.wrapping_offset(c as isize * by).wrapping_add(r * $size);
                            let to = to.wrapping_offset(r as isize * row).wrapping_add(c * $size);
                            if (r * $size).is_multiple_of(super::LINE) {
                                for k in 0..$side {
                                    let next = from.wrapping_offset(($side + k) * by);
                                    // To the second level: the first has too few places for lines on their way (10
                                    // GB/s on one core, not 13).
                                    _mm_prefetch::<_MM_HINT_T1>(next as *const i8);
                                }
                            }
                            // SAFETY: the caller's rectangles have whole blocks.
                            unsafe { block(from, by, to, row) };
                        }
                    }
                }
            }

            /// One block. Each of the rounds puts between the vectors of the first half those of the second: after as many as the
            /// side's number has bits the vectors are the rows.
            #[inline]
            #[target_feature(enable = $features)]
            unsafe fn block(from: *const u8, by: isize, to: *mut u8, row: isize) {
                // SAFETY: the caller's promise.
                unsafe {
                    let mut vectors: [$register; $side] =
                        std::array::from_fn(|k| $load(from.wrapping_offset(k as isize * by).cast()));
                    let mut round = 1;
                    while round < $side {
                        let before = vectors;
                        for k in 0..$side / 2 {
                            (vectors[2 * k], vectors[2 * k + 1]) = zip(before[k], before[k + $side / 2]);
                        }
                        round *= 2;
                    }
                    for (k, vector) in vectors.into_iter().enumerate() {
                        $store(to.wrapping_offset(k as isize * row).cast(), vector);
                    }
                }
            }
        }
    };
}

version!(b1, "sse2", __m128i, 1, 16, _mm_loadu_si128, _mm_storeu_si128, |a, b| {
    (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b))
});
version!(b2, "sse2", __m128i, 2, 8, _mm_loadu_si128, _mm_storeu_si128, |a, b| {
    (_mm_unpacklo_epi16(a, b), _mm_unpackhi_epi16(a, b))
});
version!(b4, "sse2", __m128i, 4, 4, _mm_loadu_si128, _mm_storeu_si128, |a, b| {
    (_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b))
});
version!(b8, "sse2", __m128i, 8, 2, _mm_loadu_si128, _mm_storeu_si128, |a, b| {
    (_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b))
});
version!(b4_avx2, "avx2", __m256i, 4, 8, _mm256_loadu_si256, _mm256_storeu_si256, |a, b| {
    let (low, high) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    (_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high))
});
version!(b8_avx2, "avx2", __m256i, 8, 4, _mm256_loadu_si256, _mm256_storeu_si256, |a, b| {
    let (low, high) = (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    (_mm256_permute2x128_si256::<0x20>(low, high), _mm256_permute2x128_si256::<0x31>(low, high))
});
version!(b4_avx512, "avx512f", __m512i, 4, 16, _mm512_loadu_si512, _mm512_storeu_si512, |a, b| {
    let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    let high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    (_mm512_permutex2var_epi32(a, low, b), _mm512_permutex2var_epi32(a, high, b))
});
version!(b8_avx512, "avx512f", __m512i, 8, 8, _mm512_loadu_si512, _mm512_storeu_si512, |a, b| {
    let (low, high) = (_mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15));
    (_mm512_permutex2var_epi64(a, low, b), _mm512_permutex2var_epi64(a, high, b))
});
