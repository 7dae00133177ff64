//! A complex matrix times a vector: two real products with the matrix's numbers as they lie, which are read once for both.
//!
//! Of a row a + bi, c + di … and a vector, the real part of the sum of products is that of the numbers a, b, c, d … with the vector's
//! x, -y …, and the imaginary part that with y, x …. Rows added up, each times x + yi, are the rows' numbers times x, and the same times y
//! with the parts exchanged.
//!
//! A boundary file: it reads and writes operands by address.

use std::ops::Range;

use super::lanes::{FEW, Real, TOGETHER};
use super::{NEAR_BYTES, Out, Rows, TERMS, spread, strip, sums_of_parts};
use crate::library::blas::{self, Blas, Element};

/// Numbers of rows that are summed by themselves: both vectors' stay in the first-level cache.
const BLOCK: usize = 1024;
/// Bytes of the strips in which rows are added up, whose sums stay there.
const STRIP_BYTES: usize = 8 << 10;
/// Rows whose numbers are added up in registers: all of some that are in a cache, and of others as many as the processor's prefetching
/// follows.
const NEAR_ROWS: usize = 64;
const FAR_ROWS: usize = 8;

/// The sum of the products of two vectors.
pub(super) fn inner<T: Real>(a: &[[T; 2]], x: &[[T; 2]]) -> [T; 2]
where
    [T; 2]: Element,
{
    let size = size_of::<[T; 2]>();
    match blas::get() {
        Some(blas) => in_parts(blas, a, x, <[T; 2]>::dot),
        // SAFETY: vectors of one length, side by side.
        None => unsafe {
            Element::wide_dot(a.len(), a.as_ptr().cast(), size as isize, x.as_ptr().cast(), size as isize)
        },
    }
}

/// A sum of products of a library's.
type Dot<T> = unsafe fn(&Blas, i64, *const T, i64, *const T, i64) -> T;

/// A sum of products part by part, each in BLAS's order.
pub(in crate::library) fn in_parts<T: Real>(blas: &Blas, a: &[[T; 2]], x: &[[T; 2]], dot: Dot<[T; 2]>) -> [T; 2]
where
    [T; 2]: Element,
{
    let _alone = blas.alone();
    let sums = sums_of_parts(a, x, Element::ZERO, &|a, x| {
        // SAFETY: vectors of one length, side by side.
        unsafe { dot(blas, a.len() as i64, a.as_ptr(), 1, x.as_ptr(), 1) }
    });
    sums[1..].iter().fold(sums[0], |mut total, sum| {
        T::add(&mut total, sum);
        total
    })
}

/// `out = a x`.
///
/// # Safety
/// A valid matrix, whose rows are as long as `x`, and room for as many results as it has rows; they overlap nothing.
pub(crate) unsafe fn times_vector<T: Real>(a: Rows<[T; 2]>, x: &[[T; 2]], out: Out<[T; 2]>) {
    let real: Vec<[T; 2]> = x.iter().map(|&[re, im]| [re, -im]).collect();
    let imaginary: Vec<[T; 2]> = x.iter().map(|&[re, im]| [im, re]).collect();
    let x = [real.as_flattened(), imaginary.as_flattened()];
    spread(a.rows.div_ceil(TOGETHER), TOGETHER * a.columns * size_of::<[T; 2]>(), &|g| {
        let rows = g * TOGETHER..((g + 1) * TOGETHER).min(a.rows);
        for from in rows.clone().step_by(FEW) {
            // SAFETY: rows of the matrix; each result is set by one task.
            unsafe { some_rows(a, from..(from + FEW).min(rows.end), x, out) };
        }
    });
}

/// The results of up to [`FEW`] rows.
///
/// # Safety
/// As above; nobody else writes these results.
unsafe fn some_rows<T: Real>(a: Rows<[T; 2]>, rows: Range<usize>, x: [&[T]; 2], out: Out<[T; 2]>) {
    let mut sums = [[T::ZERO; 2]; FEW];
    let mut rooms: [Vec<[T; 2]>; FEW] = std::array::from_fn(|_| Vec::new());
    for from in (0..2 * a.columns).step_by(BLOCK) {
        let numbers = from..(from + BLOCK).min(2 * a.columns);
        let mut row = rows.clone();
        let lines = rooms.each_mut().map(|room| {
            // (Where there are fewer, the last one some times.)
            let row = row.next().unwrap_or(rows.end - 1);
            // SAFETY: rows and columns of the matrix.
            unsafe { a.line(row, numbers.start / 2..numbers.end / 2, room).as_flattened() }
        });
        let some = T::dots_of_two(lines, x.map(|x| &x[numbers.clone()]));
        T::add(sums.as_flattened_mut(), some.as_flattened());
    }
    for (sum, row) in sums.into_iter().zip(rows) {
        // SAFETY: the caller's promise.
        unsafe { out.set(row, sum) };
    }
}

/// `out = bᵀ x`: the rows of `b`, each times an element of `x`, added up.
///
/// # Safety
/// A valid matrix, with as many rows as `x` has elements, and room for as many results as it has columns; they overlap nothing.
pub(crate) unsafe fn vector_times<T: Real>(x: &[[T; 2]], b: Rows<[T; 2]>, out: Out<[T; 2]>) {
    let [real, imaginary] = [0, 1].map(|part| x.iter().map(|x| x[part]).collect::<Vec<T>>());
    let (parts, columns) = (b.rows.div_ceil(TERMS), 2 * b.columns);
    let strip = strip(parts, columns).min(STRIP_BYTES / size_of::<T>());
    let strips = columns.div_ceil(strip);
    // For each part of the rows two sums of each column.
    let mut sums = vec![T::ZERO; 2 * parts * columns];
    let own = Out { ptr: sums.as_mut_ptr(), step: 1 };
    let bytes = b.rows * columns * size_of::<T>();
    spread(parts * strips, bytes / (parts * strips).max(1), &|task| {
        let (p, s) = (task / strips, task % strips);
        let some = s * strip..((s + 1) * strip).min(columns);
        let own = &own;
        // SAFETY: columns of the matrix; these sums belong to this task.
        let y = [2 * p, 2 * p + 1]
            .map(|sum| unsafe { std::slice::from_raw_parts_mut(own.ptr.add(sum * columns + some.start), some.len()) });
        let rows = p * TERMS..((p + 1) * TERMS).min(b.rows);
        // SAFETY: as above.
        unsafe { add_rows(b, rows, some, [&real, &imaginary], y) };
    });
    let (first, rest) = sums.split_at_mut(2 * columns);
    rest.chunks(2 * columns).for_each(|part| T::add(first, part));
    let (by_real, by_imaginary) = first.split_at(columns);
    for (j, (a, b)) in by_real.as_chunks::<2>().0.iter().zip(by_imaginary.as_chunks::<2>().0).enumerate() {
        // SAFETY: the caller's promise.
        unsafe { out.set(j, [a[0] - b[1], a[1] - -b[0]]) };
    }
}

/// Adds some numbers (two of them are an element) of some rows to `y`, each times the real and the imaginary part of the row's element of
/// the vector.
///
/// # Safety
/// Rows and columns of a valid matrix.
unsafe fn add_rows<T: Real>(
    b: Rows<[T; 2]>,
    rows: Range<usize>,
    numbers: Range<usize>,
    x: [&[T]; 2],
    [y, z]: [&mut [T]; 2],
) {
    let (mut room, mut packed) = (Vec::new(), Vec::new());
    let at_once = if b.stride != 1 || b.bytes() <= NEAR_BYTES { NEAR_ROWS } else { FAR_ROWS };
    for from in rows.clone().step_by(at_once) {
        let block = from..(from + at_once).min(rows.end);
        let factors = x.map(|x| &x[block.clone()]);
        // SAFETY: rows and columns of the matrix (strips begin and end with whole elements), or those just packed.
        unsafe {
            if b.stride == 1 {
                let first = b.ptr.offset(from as isize * b.step).cast::<T>().add(numbers.start);
                T::add_steps_of_two([&mut *y, &mut *z], first, 2 * b.step, factors);
                continue;
            }
            packed.clear();
            for row in block {
                let line = b.line(row, numbers.start / 2..numbers.end / 2, &mut room);
                packed.extend_from_slice(line.as_flattened());
            }
            T::add_steps_of_two([&mut *y, &mut *z], packed.as_ptr(), numbers.len() as isize, factors);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u64) -> Vec<[f64; 2]> {
        let number = |i: u64| (i * 2654435761 % 1009) as f64 / 64.0 - 7.0;
        (0..n as u64).map(|i| [number(2 * i + seed), number(2 * i + 1 + seed)]).collect()
    }

    /// The products of these numbers and their sums are exact, so that every order gives the same.
    #[test]
    fn every_size_gives_the_exact_sums() {
        let sizes =
            [(2, 1), (2, 7), (7, 16), (8, 17), (9, 513), (130, 2), (700, 301), (1100, 40), (3, 2600), (40, 1030)];
        for ((m, n), stride) in sizes.into_iter().flat_map(|size| [(size, 1), (size, 2)]) {
            let step = n * stride + 3;
            let (a, x, z) = (numbers(m * step, 1), numbers(n, 5), numbers(m, 9));
            let matrix = Rows { ptr: a.as_ptr(), rows: m, columns: n, step: step as isize, stride: stride as isize };
            let (mut y, mut w) = (vec![[f64::NAN; 2]; 2 * m], vec![[f64::NAN; 2]; n]);
            // SAFETY: the vectors are as long as the matrix says.
            unsafe {
                times_vector(matrix, &x, Out { ptr: y.as_mut_ptr(), step: 2 });
                vector_times(&z, matrix, Out { ptr: w.as_mut_ptr(), step: 1 });
            }
            let sum = |products: &mut dyn Iterator<Item = ([f64; 2], [f64; 2])>| {
                products.fold([0.0; 2], |s, (a, b)| {
                    [s[0] + (a[0] * b[0] - a[1] * b[1]), s[1] + (a[0] * b[1] + a[1] * b[0])]
                })
            };
            for i in 0..m {
                let want = sum(&mut (0..n).map(|j| (a[i * step + j * stride], x[j])));
                assert_eq!(y[2 * i], want, "row {i} of {m} × {n}, {stride} apart");
            }
            for j in 0..n {
                let want = sum(&mut (0..m).map(|i| (a[i * step + j * stride], z[i])));
                assert_eq!(w[j], want, "column {j} of {m} × {n}, {stride} apart");
            }
        }
    }

    /// What is computed beside a result, and whether elements lie together, does not show in its bits.
    #[test]
    fn blocks_of_results_have_the_bits_of_the_whole() {
        let (m, n) = (1003, 777);
        let third = |v: Vec<[f64; 2]>| v.into_iter().map(|x| x.map(|x| x / 3.0)).collect::<Vec<_>>();
        let (a, x, z) = (third(numbers(m * n, 1)), third(numbers(n, 5)), third(numbers(m, 9)));
        let apart: Vec<[f64; 2]> = a.iter().flat_map(|&v| [v, [f64::NAN; 2]]).collect();
        let part = |rows: Range<usize>, columns: Range<usize>| Rows {
            ptr: a[rows.start * n + columns.start..].as_ptr(),
            rows: rows.len(),
            columns: columns.len(),
            step: n as isize,
            stride: 1,
        };
        let spread = Rows { ptr: apart.as_ptr(), rows: m, columns: n, step: 2 * n as isize, stride: 2 };
        let mut y = [(); 3].map(|()| vec![[0.0; 2]; m]);
        let mut w = [(); 3].map(|()| vec![[0.0; 2]; n]);
        let at = |v: &mut Vec<[f64; 2]>, from: usize| Out { ptr: v[from..].as_mut_ptr(), step: 1 };
        // SAFETY: the vectors are as long as the matrices say.
        unsafe {
            times_vector(part(0..m, 0..n), &x, at(&mut y[0], 0));
            vector_times(&z, part(0..m, 0..n), at(&mut w[0], 0));
            for rows in [0..401, 401..402, 402..m] {
                let from = rows.start;
                times_vector(part(rows, 0..n), &x, at(&mut y[1], from));
            }
            for columns in [0..301, 301..302, 302..n] {
                let from = columns.start;
                vector_times(&z, part(0..m, columns), at(&mut w[1], from));
            }
            times_vector(spread, &x, at(&mut y[2], 0));
            vector_times(&z, spread, at(&mut w[2], 0));
        }
        assert!(y[1] == y[0] && y[2] == y[0]);
        assert!(w[1] == w[0] && w[2] == w[0]);
    }
}
