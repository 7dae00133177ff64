//! In which order BLAS adds the products of two vectors: whether it is one of `ir::nest::Frame`, in which machine code adds them.
//!
//! A boundary file: it calls BLAS.

use legate_jit_ir::nest::{DOT_ALONE, GAPS, PACKED, SHORT};

use super::blas::Blas;

/// How far apart the elements are that it is tried out with.
const STEPS: [[usize; 2]; 4] = [[1, 3], [5, 1], [2, 2], [7, 4]];

/// See the fields of `ir::nest::Frame`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) gaps: bool,
    pub(crate) short: bool,
    pub(crate) packed: i64,
    pub(crate) rounded: bool,
}

/// Numbers to be multiplied.
type Pairs = [(f64, f64)];
/// Adds the products of pairs to a sum, as far as nothing else is said of them.
type LeftOver = fn(f64, &Pairs) -> f64;

/// The sum of products of pairs, as `Frame::gaps` says.
fn with_gaps(pairs: &Pairs, left_over: LeftOver) -> f64 {
    let (mut first, mut second) = (0.0, 0.0);
    let groups = pairs.chunks_exact(GAPS);
    let rest = groups.remainder();
    for group in groups {
        let product = |k: usize| group[k].0 * group[k].1;
        first += product(0) + product(2);
        second += product(1) + product(3);
    }
    left_over(first, rest) + second
}

/// One after the other, without rounding the products.
fn fused(sum: f64, pairs: &Pairs) -> f64 {
    pairs.iter().fold(sum, |sum, &(x, y)| x.mul_add(y, sum))
}

/// The same with rounded ones.
fn rounded(sum: f64, pairs: &Pairs) -> f64 {
    pairs.iter().fold(sum, |sum, &(x, y)| sum + x * y)
}

/// The same as `Frame::packed` says of vectors of eight sums.
fn in_eights(pairs: &Pairs, left_over: LeftOver) -> f64 {
    let (long, rest) = pairs.split_at(pairs.len() & !(8 * PACKED - 1));
    let (half, rest) = rest.split_at(rest.len() & !(4 * PACKED - 1));
    let eights = in_vectors([[0.0; 8]; PACKED], long);
    let fours = in_vectors(eights.map(|v| [0, 1, 2, 3].map(|k| v[k] + v[k + 4])), half);
    let all = [0, 1, 2, 3].map(|k| ((fours[0][k] + fours[1][k]) + fours[2][k]) + fours[3][k]);
    left_over((all[0] + all[2]) + (all[1] + all[3]), rest)
}

/// The same for vectors of four.
fn in_fours(pairs: &Pairs, left_over: LeftOver) -> f64 {
    let (long, rest) = pairs.split_at(pairs.len() & !(4 * PACKED - 1));
    let twos = in_vectors([[0.0; 4]; PACKED], long).map(|v| [v[0] + v[2], v[1] + v[3]]);
    let all = [0, 1].map(|k| (twos[0][k] + twos[1][k]) + (twos[2][k] + twos[3][k]));
    left_over(all[0] + all[1], rest)
}

fn in_vectors<const N: usize>(mut sums: [[f64; N]; PACKED], pairs: &Pairs) -> [[f64; N]; PACKED] {
    for (k, &(x, y)) in pairs.iter().enumerate() {
        let sum = &mut sums[k / N % PACKED][k % N];
        *sum = x.mul_add(y, *sum);
    }
    sums
}

/// Which of these orders all sums have that are tried.
pub(super) fn found(blas: &Blas) -> Orders {
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.4
    };
    let numbers: Vec<f64> = (0..DOT_ALONE * 7).map(|_| random()).collect();
    let same = |n: usize, steps: [usize; 2], sum: &dyn Fn(&Pairs) -> f64| {
        let (x, y) = (&numbers[..], &numbers[numbers.len() - n * steps[1]..]);
        let pairs: Vec<(f64, f64)> = (0..n).map(|i| (x[i * steps[0]], y[i * steps[1]])).collect();
        let [by_x, by_y] = steps.map(|step| step as i64);
        // SAFETY: so many elements so far apart are there.
        let theirs = unsafe { (blas.ddot)(n as i64, x.as_ptr(), by_x, y.as_ptr(), by_y) };
        sum(&pairs).to_bits() == theirs.to_bits()
    };
    let lengths = || (1..40).chain([127, 1000, 1001, DOT_ALONE - 1, DOT_ALONE]);
    let orders = |left_over: LeftOver| {
        let gaps = lengths().all(|n| STEPS.iter().all(|&steps| same(n, steps, &|pairs| with_gaps(pairs, left_over))));
        let short = (1..SHORT).all(|n| same(n, [1, 1], &|pairs| left_over(0.0, pairs)));
        let all = |sum: fn(&Pairs, LeftOver) -> f64| {
            let mut lengths = (SHORT..140).chain(lengths().filter(|&n| n >= SHORT));
            lengths.all(|n| same(n, [1, 1], &|pairs| sum(pairs, left_over)))
        };
        let packed = if all(in_eights) {
            8
        } else if all(in_fours) {
            4
        } else {
            0
        };
        Orders { gaps, short, packed, rounded: false }
    };
    match orders(fused) {
        Orders { gaps: false, short: false, packed: 0, .. } => Orders { rounded: true, ..orders(rounded) },
        found => found,
    }
}
