//! NumPy's pairwise sum of a contiguous run of floats, bit for bit.
//!
//! Up to 128 numbers are added into eight accumulators, which are added as a tree, then the rest in order; longer runs are
//! halved, the first half being a multiple of 8. The eight accumulators are one AVX-512 register or two AVX2 ones. A complex
//! run is a run of twice as many floats whose even and odd accumulators are kept apart.

use legate_jit_vmath::{Isa, isa};

/// The longest run that is not halved.
pub const BLOCK: usize = 128;

/// Where a run of n > 128 floats is cut.
#[inline(always)]
pub const fn half(n: usize) -> usize {
    n / 2 - n / 2 % 8
}

macro_rules! leaves {
    ($t:ident) => {
        #[inline(always)]
        fn accumulate(x: &[$t]) -> ([$t; 8], &[$t]) {
            let (groups, rest) = x.as_chunks::<8>();
            let mut r = groups[0];
            for g in &groups[1..] {
                for i in 0..8 {
                    r[i] += g[i];
                }
            }
            (r, rest)
        }

        #[inline(always)]
        fn leaf(x: &[$t]) -> $t {
            if x.len() < 8 {
                return x.iter().fold(-0.0, |sum, v| sum + v);
            }
            let (r, rest) = accumulate(x);
            let sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
            rest.iter().fold(sum, |sum, v| sum + v)
        }

        #[inline(always)]
        fn leaf_complex(x: &[$t]) -> [$t; 2] {
            let add = |s: [$t; 2], v: &[$t; 2]| [s[0] + v[0], s[1] + v[1]];
            if x.len() < 8 {
                return x.as_chunks::<2>().0.iter().fold([-0.0; 2], add);
            }
            let (r, rest) = accumulate(x);
            let sum = [(r[0] + r[2]) + (r[4] + r[6]), (r[1] + r[3]) + (r[5] + r[7])];
            rest.as_chunks::<2>().0.iter().fold(sum, add)
        }
    };
}

macro_rules! trees {
    ($isa:ident, $t:ident, $features:literal) => {
        pub mod $isa {
            use super::super::{BLOCK, half};

            leaves!($t);

            #[target_feature(enable = $features)]
            pub unsafe fn tree(x: &[$t]) -> $t {
                if x.len() <= BLOCK {
                    return leaf(x);
                }
                let (a, b) = x.split_at(half(x.len()));
                // SAFETY: the instruction set is the caller's.
                unsafe { tree(a) + tree(b) }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn tree_complex(x: &[$t]) -> [$t; 2] {
                if x.len() <= BLOCK {
                    return leaf_complex(x);
                }
                let (a, b) = x.split_at(half(x.len()));
                // SAFETY: the instruction set is the caller's.
                let (a, b) = unsafe { (tree_complex(a), tree_complex(b)) };
                [a[0] + b[0], a[1] + b[1]]
            }

            /// Of each row of n. 0.0 comes first, as in every sum of NumPy's: it makes -0.0 a 0.0.
            #[target_feature(enable = $features)]
            pub unsafe fn rows(x: &[$t], n: usize, out: &mut [$t]) {
                for (row, out) in x.chunks_exact(n).zip(out) {
                    // SAFETY: the instruction set is the caller's.
                    *out = 0.0 + unsafe { tree(row) };
                }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn rows_complex(x: &[$t], n: usize, out: &mut [[$t; 2]]) {
                for (row, out) in x.chunks_exact(n).zip(out) {
                    // SAFETY: the instruction set is the caller's.
                    let sum = unsafe { tree_complex(row) };
                    *out = [0.0 + sum[0], 0.0 + sum[1]];
                }
            }
        }
    };
}

macro_rules! float {
    ($t:ident, $rows:ident, $rows_complex:ident) => {
        mod $t {
            trees!(base, $t, "sse2");
            trees!(avx2, $t, "avx2");
            trees!(avx512, $t, "avx512f");
        }

        /// The sum of each row of n ≥ 1 elements.
        pub fn $rows(x: &[$t], n: usize, out: &mut [$t]) {
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
float!(f32, rows_f32, rows_c64);
float!(f64, rows_f64, rows_c128);

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
    fn every_length_follows_the_model() {
        let x: Vec<f64> = (0..5000u64).map(|i| ((i * 2654435761) % 1000003) as f64 * 1e-3 - 300.0).collect();
        for n in (1..600).chain([1000, 1023, 1025, 2048, 4097, 5000]) {
            let mut out = [f64::NAN];
            rows_f64(&x[..n], n, &mut out);
            assert_eq!(out[0].to_bits(), (0.0 + model(&x[..n])).to_bits(), "{n}");
            // A complex sum of the numbers, with a second sequence between them: its tree is over both.
            if n % 2 == 0 {
                let mut pair = [[0.0; 2]];
                rows_c128(&x[..n], n, &mut pair);
                // SAFETY: as every machine has SSE2.
                let base = unsafe { f64::base::tree_complex(&x[..n]) };
                assert_eq!(pair[0], base);
            }
        }
        let mut zero = [1.0];
        rows_f64(&[-0.0, -0.0], 2, &mut zero);
        assert_eq!(zero[0].to_bits(), 0);
    }
}
