//! NumPy's pairwise sum of a contiguous run of floats, bit for bit.
//!
//! Up to 128 numbers are added into eight accumulators, which are added as a tree, then the rest in order; longer runs are
//! halved, the first half being a multiple of 8. The eight accumulators are one AVX-512 register or two AVX2 ones. A complex
//! run is a run of twice as many floats whose even and odd accumulators are kept apart.
//!
//! A leaf's additions wait for each other, but not for those of the leaf before, which the processor works on at the same time.
//! Leaves side by side in one loop are no faster in the first-level cache, and from memory three times as slow: reads that jump
//! between four places a kilobyte apart are no pattern to the prefetcher. The accumulators are vectors by name: left to itself,
//! the compiler transposes them for the sake of the final tree and needs three times as long.

use legate_jit_vmath::{Isa, isa};

use super::short;

/// The longest run that is not halved.
pub const BLOCK: usize = 128;

/// Where a run of n > 128 floats is cut.
#[inline(always)]
pub const fn half(n: usize) -> usize {
    n / 2 - n / 2 % 8
}

/// The leaves of a run of n > 128 numbers, if they are all on one level: of n = 8 m + r numbers, 8 ⌊m/2⌋ are the first half and
/// 8 ⌈m/2⌉ + r the second, so that on a level of k nodes the shortest are 8 ⌊m/k⌋ and the last, which is the longest, 8 ⌈m/k⌉ + r.
fn full(n: usize) -> Option<usize> {
    let (m, r) = (n / 8, n % 8);
    let longest = |level: u32| 8 * ((m + (1 << level) - 1) >> level) + r;
    let mut level = 1;
    while longest(level) > BLOCK {
        level += 1;
    }
    (level == 1 || 8 * (m >> (level - 1)) > BLOCK).then_some(1 << level)
}

/// Eight accumulators in registers of one kind: `load`, `add` and `lanes`.
macro_rules! accumulators {
    ($name:ident, $t:ident, $features:literal, $register:ident, $count:literal, $load:ident, $add:ident) => {
        mod $name {
            use std::arch::x86_64::{$add, $load, $register};

            pub type Acc = [$register; $count];
            const WIDTH: usize = 8 / $count;

            /// # Safety
            /// `x` must point to eight numbers.
            #[inline]
            #[target_feature(enable = $features)]
            pub unsafe fn load(x: *const $t) -> Acc {
                // SAFETY: the caller's promise.
                std::array::from_fn(|k| unsafe { $load(x.add(k * WIDTH)) })
            }

            #[inline]
            #[target_feature(enable = $features)]
            pub fn add(a: Acc, b: Acc) -> Acc {
                std::array::from_fn(|k| $add(a[k], b[k]))
            }

            #[inline(always)]
            pub fn lanes(a: Acc) -> [$t; 8] {
                // SAFETY: registers and arrays of the same eight numbers.
                unsafe { std::mem::transmute(a) }
            }
        }
    };
}
accumulators!(f64_sse2, f64, "sse2", __m128d, 4, _mm_loadu_pd, _mm_add_pd);
accumulators!(f64_avx2, f64, "avx2", __m256d, 2, _mm256_loadu_pd, _mm256_add_pd);
accumulators!(f64_avx512, f64, "avx512f", __m512d, 1, _mm512_loadu_pd, _mm512_add_pd);
accumulators!(f32_sse2, f32, "sse2", __m128, 2, _mm_loadu_ps, _mm_add_ps);
accumulators!(f32_avx2, f32, "avx2", __m256, 1, _mm256_loadu_ps, _mm256_add_ps);

macro_rules! trees {
    ($isa:ident, $t:ident, $features:literal, $acc:ident) => {
        pub mod $isa {
            use super::super::$acc::{add, lanes, load};
            use super::super::{BLOCK, half};

            /// The accumulators of a run of at least 8 numbers.
            #[inline]
            #[target_feature(enable = $features)]
            fn accumulate(x: &[$t]) -> [$t; 8] {
                // SAFETY: every group read lies in the run, which has at least one.
                unsafe {
                    let mut r = load(x.as_ptr());
                    for g in 1..x.len() / 8 {
                        r = add(r, load(x.as_ptr().add(8 * g)));
                    }
                    lanes(r)
                }
            }

            /// What is left of a run after its groups of 8.
            #[inline(always)]
            fn rest(x: &[$t]) -> &[$t] {
                &x[x.len() / 8 * 8..]
            }

            /// The sum of a run of 8 to 128 numbers.
            #[inline]
            #[target_feature(enable = $features)]
            fn leaf(x: &[$t]) -> $t {
                let r = accumulate(x);
                let sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
                rest(x).iter().fold(sum, |sum, v| sum + v)
            }

            #[target_feature(enable = $features)]
            pub fn tree(x: &[$t]) -> $t {
                if x.len() < 8 {
                    return x.iter().fold(-0.0, |sum, v| sum + v);
                }
                if x.len() <= BLOCK {
                    return leaf(x);
                }
                let (a, b) = x.split_at(half(x.len()));
                tree(a) + tree(b)
            }

            #[target_feature(enable = $features)]
            pub fn tree_complex(x: &[$t]) -> [$t; 2] {
                let plus = |s: [$t; 2], v: &[$t; 2]| [s[0] + v[0], s[1] + v[1]];
                if x.len() < 8 {
                    return x.as_chunks::<2>().0.iter().fold([-0.0; 2], plus);
                }
                if x.len() <= BLOCK {
                    let r = accumulate(x);
                    let sum = [(r[0] + r[2]) + (r[4] + r[6]), (r[1] + r[3]) + (r[5] + r[7])];
                    return rest(x).as_chunks::<2>().0.iter().fold(sum, plus);
                }
                let (a, b) = x.split_at(half(x.len()));
                plus(tree_complex(a), &tree_complex(b))
            }

            /// Of each row of n. 0.0 comes first, as in every sum of NumPy's: it makes -0.0 a 0.0.
            #[target_feature(enable = $features)]
            pub fn rows(x: &[$t], n: usize, out: &mut [$t]) {
                for (row, out) in x.chunks_exact(n).zip(out) {
                    *out = 0.0 + tree(row);
                }
            }

            #[target_feature(enable = $features)]
            pub fn rows_complex(x: &[$t], n: usize, out: &mut [[$t; 2]]) {
                for (row, out) in x.chunks_exact(n).zip(out) {
                    let sum = tree_complex(row);
                    *out = [0.0 + sum[0], 0.0 + sum[1]];
                }
            }
        }
    };
}

macro_rules! float {
    ($t:ident, $base:ident, $avx2:ident, $avx512:ident, $rows:ident, $short:ident, $rows_complex:ident, $join:ident) => {
        /// The sum of a run of n numbers from the sums of its leaves.
        pub fn $join(n: usize, leaves: &[$t]) -> $t {
            fn tree(n: usize, leaves: &mut &[$t]) -> $t {
                if n <= BLOCK {
                    let (sum, rest) = leaves.split_first().expect("a sum for each leaf");
                    *leaves = rest;
                    return *sum;
                }
                if let Some(count) = full(n) {
                    let (own, rest) = leaves.split_at(count);
                    *leaves = rest;
                    return level(own);
                }
                let first = half(n);
                let sum = tree(first, leaves);
                sum + tree(n - first, leaves)
            }
            /// Of two leaves or more, all on one level.
            fn level(leaves: &[$t]) -> $t {
                match *leaves {
                    [a, b] => a + b,
                    [a, b, c, d] => (a + b) + (c + d),
                    [a, b, c, d, e, f, g, h] => ((a + b) + (c + d)) + ((e + f) + (g + h)),
                    _ => {
                        let (first, second) = leaves.split_at(leaves.len() / 2);
                        level(first) + level(second)
                    }
                }
            }
            let mut rest = leaves;
            let sum = 0.0 + tree(n, &mut rest);
            debug_assert!(rest.is_empty(), "more sums than leaves");
            sum
        }

        mod $t {
            trees!(base, $t, "sse2", $base);
            trees!(avx2, $t, "avx2", $avx2);
            trees!(avx512, $t, "avx512f", $avx512);
        }

        /// The sum of each row of n ≥ 1 elements.
        pub fn $rows(x: &[$t], n: usize, out: &mut [$t]) {
            let done = if short::is_short(n) && out.len() >= short::ROWS { $short(x, n, out) } else { 0 };
            let (x, out) = (&x[done * n..], &mut out[done..]);
            // SAFETY: the machine has this instruction set.
            unsafe {
                match isa() {
                    Isa::Base => $t::base::rows(x, n, out),
                    Isa::Avx2 => $t::avx2::rows(x, n, out),
                    Isa::Avx512 => $t::avx512::rows(x, n, out),
                }
            }
        }

        /// The complex sum of each row of n ≥ 2 floats.
        pub fn $rows_complex(x: &[$t], n: usize, out: &mut [[$t; 2]]) {
            // SAFETY: the machine has this instruction set.
            unsafe {
                match isa() {
                    Isa::Base => $t::base::rows_complex(x, n, out),
                    Isa::Avx2 => $t::avx2::rows_complex(x, n, out),
                    Isa::Avx512 => $t::avx512::rows_complex(x, n, out),
                }
            }
        }
    };
}
float!(f32, f32_sse2, f32_avx2, f32_avx2, rows_f32, short_f32, rows_c64, join_f32);
float!(f64, f64_sse2, f64_avx2, f64_avx512, rows_f64, short_f64, rows_c128, join_f64);

/// Sums short rows; how many of them.
fn short_f32(x: &[f32], n: usize, out: &mut [f32]) -> usize {
    match isa() {
        Isa::Base => 0,
        // SAFETY: the machine has this instruction set.
        Isa::Avx2 | Isa::Avx512 => unsafe { short::rows_f32(x, n, out) },
    }
}

fn short_f64(x: &[f64], n: usize, out: &mut [f64]) -> usize {
    match isa() {
        Isa::Base | Isa::Avx2 => 0,
        // SAFETY: the machine has this instruction set.
        Isa::Avx512 => unsafe { short::rows_f64(x, n, out) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same tree, written to be read.
    fn model(x: &[f64]) -> f64 {
        let n = x.len();
        if n < 8 {
            let mut sum = -0.0;
            for v in x {
                sum += v;
            }
            return sum;
        }
        if n <= 128 {
            let mut r: Vec<f64> = x[..8].to_vec();
            let mut i = 8;
            while i < n - n % 8 {
                for k in 0..8 {
                    r[k] += x[i + k];
                }
                i += 8;
            }
            let mut sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
            while i < n {
                sum += x[i];
                i += 1;
            }
            return sum;
        }
        let mut first = n / 2;
        first -= first % 8;
        model(&x[..first]) + model(&x[first..])
    }

    #[test]
    fn short_rows_side_by_side_are_rows() {
        let x: Vec<f64> = (0..130 * 21u64).map(|i| ((i * 2654435761) % 1000003) as f64 * 1e-3 - 300.0).collect();
        let single: Vec<f32> = x.iter().map(|&v| v as f32).collect();
        for n in 1..=130 {
            for rows in [1, 7, 8, 9, 16, 21] {
                let (mut out, mut out32) = (vec![f64::NAN; rows], vec![f32::NAN; rows]);
                rows_f64(&x[..n * rows], n, &mut out);
                rows_f32(&single[..n * rows], n, &mut out32);
                for k in 0..rows {
                    let row = &x[k * n..(k + 1) * n];
                    assert_eq!(out[k].to_bits(), (0.0 + model(row)).to_bits(), "row {k} of {rows} of {n}");
                    // SAFETY: every machine has SSE2.
                    let alone = unsafe { f32::base::tree(&single[k * n..(k + 1) * n]) };
                    assert_eq!(out32[k].to_bits(), (0.0 + alone).to_bits(), "f32, row {k} of {rows} of {n}");
                }
            }
        }
        let mut zeros = [1.0; 8];
        rows_f64(&[-0.0; 16], 2, &mut zeros);
        assert_eq!(zeros.map(f64::to_bits), [0; 8]);
    }

    #[test]
    fn every_length_follows_the_model() {
        let x: Vec<f64> = (0..5000u64).map(|i| ((i * 2654435761) % 1000003) as f64 * 1e-3 - 300.0).collect();
        for n in 1..5000 {
            let mut out = [f64::NAN];
            rows_f64(&x[..n], n, &mut out);
            assert_eq!(out[0].to_bits(), (0.0 + model(&x[..n])).to_bits(), "{n}");
            // A complex sum of the numbers, with a second sequence between them: its tree is over both.
            if n % 2 == 0 {
                let mut pair = [[0.0; 2]];
                rows_c128(&x[..n], n, &mut pair);
                // SAFETY: every machine has SSE2.
                let base = unsafe { f64::base::tree_complex(&x[..n]) };
                assert_eq!(pair[0], base);
            }
        }
        // Put together again from the sums of its leaves.
        let mut n = 129;
        let x: Vec<f64> = (0..70_000u64).map(|i| ((i * 2654435761) % 1000003) as f64 * 1e-3 - 300.0).collect();
        while n < x.len() {
            let leaves: Vec<f64> = super::super::cut(n, BLOCK, false).into_iter().map(|r| model(&x[r])).collect();
            assert_eq!(join_f64(n, &leaves).to_bits(), (0.0 + model(&x[..n])).to_bits(), "{n}");
            n += if n < 3000 { 1 } else { 97 };
        }
        let mut zero = [1.0];
        rows_f64(&[-0.0, -0.0], 2, &mut zero);
        assert_eq!(zero[0].to_bits(), 0);
    }
}
