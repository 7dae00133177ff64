//! In which order BLAS adds the products of two vectors: whether it is the one of `ir::nest::Frame`, in which machine code adds them.
//!
//! A boundary file: it calls BLAS.

use legate_jit_ir::nest::{DOT_ALONE, GAPS, SHORT};

use super::blas::Blas;

/// How far apart the elements are that it is tried out with.
const STEPS: [[usize; 2]; 4] = [[1, 3], [5, 1], [2, 2], [7, 4]];

/// The sum of products of pairs, as `Frame::gaps` says.
fn with_gaps(pairs: &[(f64, f64)]) -> f64 {
    let (mut first, mut second) = (0.0, 0.0);
    let groups = pairs.chunks_exact(GAPS);
    let rest = groups.remainder();
    for group in groups {
        let product = |k: usize| group[k].0 * group[k].1;
        first += product(0) + product(2);
        second += product(1) + product(3);
    }
    in_order(first, rest) + second
}

/// The same as `Frame::short` says.
fn in_order(sum: f64, pairs: &[(f64, f64)]) -> f64 {
    pairs.iter().fold(sum, |sum, &(x, y)| x.mul_add(y, sum))
}

/// Whether all sums that are tried are as `Frame::gaps` and `Frame::short` say.
pub(super) fn are_as_said(blas: &Blas) -> [bool; 2] {
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.4
    };
    let numbers: Vec<f64> = (0..DOT_ALONE * 7).map(|_| random()).collect();
    let same = |n: usize, steps: [usize; 2], sum: fn(&[(f64, f64)]) -> f64| {
        let (x, y) = (&numbers[..], &numbers[numbers.len() - n * steps[1]..]);
        let pairs: Vec<(f64, f64)> = (0..n).map(|i| (x[i * steps[0]], y[i * steps[1]])).collect();
        let [by_x, by_y] = steps.map(|step| step as i64);
        // SAFETY: so many elements so far apart are there.
        let theirs = unsafe { (blas.ddot)(n as i64, x.as_ptr(), by_x, y.as_ptr(), by_y) };
        sum(&pairs).to_bits() == theirs.to_bits()
    };
    let mut lengths = (1..40).chain([127, 1000, 1001, DOT_ALONE - 1, DOT_ALONE]);
    let gaps = lengths.all(|n| STEPS.iter().all(|&steps| same(n, steps, with_gaps)));
    let short = (1..SHORT).all(|n| same(n, [1, 1], |pairs| in_order(0.0, pairs)));
    [gaps, short]
}
