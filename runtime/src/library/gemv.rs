//! A matrix times a vector at the speed of memory, on the pool's threads, for matrices that are worth it.
//!
//! A BLAS's own threads wait for their next task by spinning, which takes the cores from everything that runs between two
//! products; and it forms sums by the number of its threads. Here a result has one order of additions, which follows from the
//! length of its sum alone: neither threads nor ranks nor the other results show in the bits.
//!
//! A boundary file: it reads and writes operands by address.

pub(super) mod complex;
mod lanes;

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{machine, pool, prefetch};
pub(crate) use lanes::{ROWS, Real};
use lanes::{TOGETHER, one_by_one_bytes};

/// Bytes of a matrix from which on it is cut into narrow strips where it has few parts.
const NARROW_BYTES: usize = 512 << 10;
/// Bytes that a thread reads in a nanosecond from the second-level cache.
const NEAR_BYTES_A_NS: usize = 64;
/// Bytes of a matrix that stays in the second-level caches from one product to the next: it is read in any order equally fast.
const NEAR_BYTES: usize = 4 << 20;
/// Bytes of the matrix that a task should read at least.
const TASK_BYTES: usize = 96 << 10;
/// The most tasks for each thread that are needed for none to wait for others.
const TASKS: usize = 32;
/// Terms of a sum that are added up for themselves where sums are cut: a multiple of the rows that a step takes. As many rows
/// of a matrix fit the second-level cache if they are not long, and the parts need little memory beside the matrix.
pub(crate) const TERMS: usize = 512;
/// Results that one task of the second kind keeps in the first-level cache.
pub(crate) const STRIP: usize = 2048;
/// The same where there are tasks enough: the longer a row is read, the less often the processor's own prefetching begins anew. 8000×8000
/// doubles take 16.2 to 16.8 ms so, and 17.4 to 17.6 in strips of a quarter (two cores of a Zen 4; NumPy 18.8 to 19).
const LONG_STRIP: usize = 8192;
/// Strips of a matrix that has few parts.
const NARROW: usize = 4;

/// What a matrix and a vector are of that are multiplied here.
pub(crate) trait Number: Copy {
    /// See [`times_vector`].
    ///
    /// # Safety
    /// As there.
    unsafe fn times_vector(a: Rows<Self>, x: &[Self], out: Out<Self>);

    /// See [`vector_times`].
    ///
    /// # Safety
    /// As there.
    unsafe fn vector_times(x: &[Self], b: Rows<Self>, out: Out<Self>);
}

impl<T: Real> Number for T {
    unsafe fn times_vector(a: Rows<T>, x: &[T], out: Out<T>) {
        // SAFETY: the caller's promise.
        unsafe { times_vector(a, x, out) }
    }

    unsafe fn vector_times(x: &[T], b: Rows<T>, out: Out<T>) {
        // SAFETY: the caller's promise.
        unsafe { vector_times(x, b, out) }
    }
}

macro_rules! complex {
    ($($t:ident)*) => {
        $(
            impl Number for [$t; 2] {
                unsafe fn times_vector(a: Rows<Self>, x: &[Self], out: Out<Self>) {
                    // SAFETY: the caller's promise.
                    unsafe {
                        match a.rows {
                            1 => out.set(0, complex::inner(a.line(0, 0..a.columns, &mut Vec::new()), x)),
                            _ => complex::times_vector(a, x, out),
                        }
                    }
                }

                unsafe fn vector_times(x: &[Self], b: Rows<Self>, out: Out<Self>) {
                    // SAFETY: the caller's promise.
                    unsafe { complex::vector_times(x, b, out) }
                }
            }
        )*
    };
}
complex!(f32 f64);

/// A matrix in memory: `rows` rows of `columns` elements, `step` elements from row to row and `stride` from one to the next in a
/// row, which is 1 where no row has to be gathered.
#[derive(Clone, Copy)]
pub(crate) struct Rows<T> {
    pub ptr: *const T,
    pub rows: usize,
    pub columns: usize,
    pub step: isize,
    pub stride: isize,
}

// SAFETY: an address of elements that are only read while a product runs.
unsafe impl<T: Sync> Sync for Rows<T> {}

impl<T: Copy> Rows<T> {
    /// Part of a row; `room` is for one that has to be gathered.
    ///
    /// # Safety
    /// The matrix is valid memory, and the indices lie in it.
    unsafe fn line<'a>(&self, row: usize, columns: Range<usize>, room: &'a mut Vec<T>) -> &'a [T] {
        // SAFETY: the caller's promise.
        unsafe {
            let start = self.ptr.offset(row as isize * self.step);
            if self.stride == 1 {
                return std::slice::from_raw_parts(start.add(columns.start), columns.len());
            }
            room.clear();
            room.extend(columns.map(|j| start.offset(j as isize * self.stride).read()));
            room
        }
    }

    /// Whether rows follow each other in memory that is hardly near, and are so short that the processor's own prefetching, which
    /// begins anew with each of them where some are read side by side, comes too late.
    fn is_short(&self) -> bool {
        let (row, page) = (self.columns * size_of::<T>(), prefetch::PAGE);
        self.stride == 1
            && self.step == self.columns as isize
            && row <= page
            && self.bytes() > machine::second_level_cache()
    }

    fn bytes(&self) -> usize {
        self.rows * self.columns * size_of::<T>()
    }
}

/// Results that several tasks write, each its own; `step` elements lie between neighbours.
#[derive(Clone, Copy)]
pub(crate) struct Out<T> {
    pub ptr: *mut T,
    pub step: usize,
}

// SAFETY: tasks write disjoint elements.
unsafe impl<T: Send> Sync for Out<T> {}

impl<T: Copy> Out<T> {
    /// # Safety
    /// There is an element i that nobody else writes or reads now.
    unsafe fn set(&self, i: usize, value: T) {
        // SAFETY: the caller's promise.
        unsafe { self.ptr.add(i * self.step).write(value) }
    }
}

/// Runs task 0..count, each of which reads `bytes` bytes, several at a time if they are small.
fn spread(count: usize, bytes: usize, task: &(dyn Fn(usize) + Sync)) {
    // (Of much, longer pieces: where one ends, the processor's prefetching begins anew.)
    let group = TASK_BYTES.div_ceil(bytes.max(1)).max(count / (TASKS * pool::threads())).max(1);
    let groups = count.div_ceil(group);
    if groups < 2 || !pool::pays(count * bytes / NEAR_BYTES_A_NS) {
        return (0..count).for_each(task);
    }
    // The caller begins in front and the others at the end, so that each finds in its own cache what it read for the product
    // before; who is late has less to do.
    let (front, back) = (AtomicUsize::new(0), AtomicUsize::new(groups));
    let done = pool::run(groups, &|_, thread| {
        let g = match thread {
            0 => front.fetch_add(1, Ordering::Relaxed),
            _ => back.fetch_sub(1, Ordering::Relaxed) - 1,
        };
        (g * group..((g + 1) * group).min(count)).for_each(task);
    });
    if let Err(message) = done {
        panic!("{message}");
    }
}

/// `out = a x`.
///
/// # Safety
/// A valid matrix, whose rows are as long as `x`, and room for as many results as it has rows; they overlap nothing.
pub(crate) unsafe fn times_vector<T: Real>(a: Rows<T>, x: &[T], out: Out<T>) {
    if a.rows == 1 {
        // SAFETY: the caller's promise.
        return unsafe { out.set(0, inner(a.line(0, 0..a.columns, &mut Vec::new()), x)) };
    }
    let groups = (a.rows / TOGETHER).max(1);
    spread(groups, TOGETHER * a.columns * size_of::<T>(), &|g| {
        // The last group has what is left.
        let end = if g + 1 == groups { a.rows } else { (g + 1) * TOGETHER };
        // SAFETY: rows of the matrix; each result is set by one task.
        unsafe { rows_times_vector(a, g * TOGETHER..end, x, out) };
    });
}

/// The sum of the products of two vectors.
fn inner<T: Real>(a: &[T], x: &[T]) -> T {
    let sums = sums_of_parts(a, x, T::ZERO, &T::dot);
    sums[1..].iter().fold(sums[0], |total, &sum| {
        let mut total = [total];
        T::add(&mut total, &[sum]);
        total[0]
    })
}

/// What `dot` gives for each part of two vectors; one part at least.
fn sums_of_parts<T: Copy + Send + Sync>(a: &[T], x: &[T], zero: T, dot: &(dyn Fn(&[T], &[T]) -> T + Sync)) -> Vec<T> {
    const PART: usize = 16 * TERMS;
    let parts = a.len().div_ceil(PART).max(1);
    let mut sums = vec![zero; parts];
    let out = Out { ptr: sums.as_mut_ptr(), step: 1 };
    spread(parts, PART * size_of::<T>(), &|p| {
        let range = p * PART..((p + 1) * PART).min(a.len());
        // SAFETY: each sum is set by one task.
        unsafe { out.set(p, dot(&a[range.clone()], &x[range])) };
    });
    sums
}

/// `out = bᵀ x`: the rows of `b`, each times an element of `x`, added up.
///
/// # Safety
/// A valid matrix, with as many rows as `x` has elements, and room for as many results as it has columns; they overlap nothing.
pub(crate) unsafe fn vector_times<T: Real>(x: &[T], b: Rows<T>, out: Out<T>) {
    let parts = b.rows.div_ceil(TERMS);
    let strip = if b.bytes() < NARROW_BYTES { STRIP } else { strip(parts, b.columns) };
    let strips = b.columns.div_ceil(strip);
    let mut sums = vec![T::ZERO; parts * b.columns];
    let own = Out { ptr: sums.as_mut_ptr(), step: 1 };
    spread(parts * strips, b.bytes() / (parts * strips).max(1), &|task| {
        let (p, s) = (task / strips, task % strips);
        let columns = s * strip..((s + 1) * strip).min(b.columns);
        let own = &own;
        // SAFETY: columns of the matrix; the part of the sums belongs to this task.
        unsafe {
            let y = std::slice::from_raw_parts_mut(own.ptr.add(p * b.columns + columns.start), columns.len());
            add_part(x, b, p, columns, y);
        }
    });
    // SAFETY: an element for each column.
    unsafe { add_parts(&mut sums, b.columns, out) };
}

/// Results of a task: matrices of few parts are cut into narrower strips, so that there is something for every thread.
fn strip(parts: usize, columns: usize) -> usize {
    if parts * columns.div_ceil(LONG_STRIP) >= 4 * pool::threads() {
        return LONG_STRIP;
    }
    if parts * columns.div_ceil(STRIP) >= 2 * NARROW {
        return STRIP;
    }
    columns.div_ceil(NARROW).next_multiple_of(16).clamp(64, STRIP)
}

/// Adds to `y` the part number `p` of the sums in some columns: [`TERMS`] rows, each times its element of `x`.
///
/// # Safety
/// A valid matrix, with as many rows as `x` has elements, that has these columns.
unsafe fn add_part<T: Real>(x: &[T], b: Rows<T>, p: usize, columns: Range<usize>, y: &mut [T]) {
    // SAFETY: the caller's promise.
    unsafe { add_some(x, b, p * TERMS..((p + 1) * TERMS).min(b.rows), columns, y) }
}

/// Adds to `y` some rows of a part, each times its element of `x`: whole steps of [`ROWS`] rows from its first one on, or those
/// that are left. Called for one range after the other, this has the bits of the whole part.
///
/// # Safety
/// As for [`add_part`].
pub(crate) unsafe fn add_some<T: Real>(x: &[T], b: Rows<T>, rows: Range<usize>, columns: Range<usize>, y: &mut [T]) {
    let mut row = rows.start;
    let mut rooms: [Vec<T>; ROWS] = std::array::from_fn(|_| Vec::new());
    // SAFETY: rows and columns of the matrix.
    unsafe {
        let far = b.bytes() > machine::second_level_cache();
        if b.stride == 1 && b.bytes() <= NEAR_BYTES {
            let whole = rows.len() / ROWS * ROWS;
            let first = b.ptr.offset(row as isize * b.step).add(columns.start);
            T::add_steps(y, first, b.step, &x[row..row + whole]);
            row += whole;
        }
        while row + ROWS <= rows.end {
            let mut r = row..;
            let lines = rooms.each_mut().map(|room| b.line(r.next().unwrap_or(row), columns.clone(), room));
            let factors = x[row..].first_chunk().expect("an element of x for each row");
            T::add_rows(y, lines, factors, far);
            row += ROWS;
        }
        for (r, &factor) in x[row..rows.end].iter().enumerate() {
            T::add_row(y, b.line(row + r, columns.clone(), &mut rooms[0]), factor);
        }
    }
}

/// The results from the sums of all parts, each of them `columns` long.
///
/// # Safety
/// Room for as many results as there are columns.
pub(crate) unsafe fn add_parts<T: Real>(sums: &mut [T], columns: usize, out: Out<T>) {
    if columns == 0 {
        return;
    }
    let (first, rest) = sums.split_at_mut(columns);
    rest.chunks(columns).for_each(|part| T::add(first, part));
    for (j, sum) in first.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe { out.set(j, *sum) };
    }
}

/// Some of the results of [`times_vector`] on the calling thread, with the same bits, for a matrix of more than one row.
///
/// # Safety
/// As for `times_vector`; nobody else writes these results.
pub(crate) unsafe fn rows_times_vector<T: Real>(a: Rows<T>, rows: Range<usize>, x: &[T], out: Out<T>) {
    let mut rooms: [Vec<T>; TOGETHER] = std::array::from_fn(|_| Vec::new());
    let (mut row, end) = (rows.start, rows.end);
    // SAFETY: rows of the matrix, and their results.
    unsafe {
        // Short rows are read as they lie, unless most of their time would be the ends of their sums.
        let near = a.bytes() <= machine::second_level_cache();
        let one_by_one = a.is_short() && a.columns * size_of::<T>() >= one_by_one_bytes();
        while !one_by_one && row < end && end - rows.start >= TOGETHER {
            // The last rows are done with some before them once more, rather than one by one.
            row = row.min(end - TOGETHER);
            let mut r = row..;
            if a.is_short() {
                prefetch::ahead_of(a.ptr.wrapping_offset(row as isize * a.step), TOGETHER * a.columns);
            }
            let lines = rooms.each_mut().map(|room| a.line(r.next().unwrap_or(row), 0..a.columns, room));
            for sum in T::dots(lines, x, near) {
                out.set(row, sum);
                row += 1;
            }
        }
        for row in row..end {
            out.set(row, T::dot(a.line(row, 0..a.columns, &mut rooms[0]), x));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        (0..n as u64).map(|i| ((i + seed) * 2654435761 % 1009) as f64 / 64.0 - 7.0).collect()
    }

    /// The products of these numbers and their sums are exact, so that every order gives the same.
    #[test]
    fn every_size_gives_the_exact_sums() {
        for (m, n) in [
            (1, 1),
            (1, 7),
            (3, 16),
            (4, 17),
            (5, 33),
            (9, 600),
            (130, 1),
            (1, 40_000),
            (700, 301),
            (2100, 40),
            (3, 5000),
            // (No cache has it.)
            (2600, 301),
        ] {
            let step = n + 3;
            let (a, x, z) = (numbers(m * step, 1), numbers(n, 5), numbers(m, 9));
            let matrix = Rows { ptr: a.as_ptr(), rows: m, columns: n, step: step as isize, stride: 1 };
            let (mut y, mut w) = (vec![f64::NAN; 2 * m], vec![f64::NAN; n]);
            // SAFETY: the vectors are as long as the matrix says.
            unsafe {
                times_vector(matrix, &x, Out { ptr: y.as_mut_ptr(), step: 2 });
                vector_times(&z, matrix, Out { ptr: w.as_mut_ptr(), step: 1 });
            }
            for i in 0..m {
                let want: f64 = (0..n).map(|j| a[i * step + j] * x[j]).sum();
                assert_eq!(y[2 * i], want, "row {i} of {m} × {n}");
            }
            for j in 0..n {
                let want: f64 = (0..m).map(|i| a[i * step + j] * z[i]).sum();
                assert_eq!(w[j], want, "column {j} of {m} × {n}");
            }
        }
    }

    #[test]
    fn rows_that_are_gathered_have_the_bits_of_those_that_lie_together() {
        let (m, n) = (300, 700);
        let (a, x, z) = (numbers(m * n, 1), numbers(n, 5), numbers(m, 9));
        let apart: Vec<f64> = a.iter().flat_map(|&v| [v, f64::NAN, f64::NAN]).collect();
        let results = [(&a, 1), (&apart, 3)].map(|(a, stride)| {
            let matrix = Rows { ptr: a.as_ptr(), rows: m, columns: n, step: n as isize * stride, stride };
            let (mut y, mut w) = (vec![f64::NAN; m], vec![f64::NAN; n]);
            // SAFETY: the vectors are as long as the matrix says.
            unsafe {
                times_vector(matrix, &x, Out { ptr: y.as_mut_ptr(), step: 1 });
                vector_times(&z, matrix, Out { ptr: w.as_mut_ptr(), step: 1 });
            }
            (y, w)
        });
        assert_eq!(results[0], results[1]);
    }

    /// What is computed beside a result does not show in its bits.
    #[test]
    fn blocks_of_results_have_the_bits_of_the_whole() {
        let (m, n) = (1003, 777);
        let third = |v: Vec<f64>| v.into_iter().map(|x| x / 3.0).collect::<Vec<f64>>();
        let (a, x, z) = (third(numbers(m * n, 1)), third(numbers(n, 5)), third(numbers(m, 9)));
        let rows = |from: usize, to: usize| Rows {
            ptr: a[from * n..].as_ptr(),
            rows: to - from,
            columns: n,
            step: n as isize,
            stride: 1,
        };
        let columns = |from: usize, to: usize| Rows {
            ptr: a[from..].as_ptr(),
            rows: m,
            columns: to - from,
            step: n as isize,
            stride: 1,
        };
        let (mut y, mut w) = (vec![0.0; 2 * m], vec![0.0; 2 * n]);
        let (whole, parts) = y.split_at_mut(m);
        let (whole_w, parts_w) = w.split_at_mut(n);
        // SAFETY: the vectors are as long as the matrices say.
        unsafe {
            times_vector(rows(0, m), &x, Out { ptr: whole.as_mut_ptr(), step: 1 });
            vector_times(&z, rows(0, m), Out { ptr: whole_w.as_mut_ptr(), step: 1 });
            for (from, to) in [(0, 401), (401, 402), (402, m)] {
                times_vector(rows(from, to), &x, Out { ptr: parts[from..].as_mut_ptr(), step: 1 });
            }
            for (from, to) in [(0, 301), (301, 302), (302, n)] {
                vector_times(&z, columns(from, to), Out { ptr: parts_w[from..].as_mut_ptr(), step: 1 });
            }
        }
        assert_eq!(whole, parts);
        assert_eq!(whole_w, parts_w);
    }
}
