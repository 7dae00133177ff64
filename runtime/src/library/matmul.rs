//! Products of matrices. The choice of routine is NumPy's, so that the same library gives the same bits: `dot` for a row times
//! a column, `gemv` where one side is a vector (our own where the matrix is large), our own sums for small matrices (`small`),
//! `syrk` for a matrix times its own transpose, `gemm` else (a matrix that BLAS cannot step through is copied first), and plain
//! loops for integers and for vectors that BLAS cannot step through.
//!
//! A boundary file: it reads and writes operands by address.

use std::ops::Range;

use legate_jit_ir::DType;
use parking_lot::Mutex;

use super::Strided;
use super::blas::{self, COL_MAJOR, Element, NO_TRANS, ROW_MAJOR, TRANS};
use super::gemv::{Number, Out, Real, Rows, complex};
use super::small::Small;
use crate::vm::turn::turn;
use crate::{Error, Result, pool};

/// Elements of a matrix above which a product with a vector does not go to BLAS: there BLAS would wake its threads.
pub(crate) const OWN_MATRIX: usize = 9216;
/// The same for the product of two vectors.
const OWN_VECTOR: usize = 10_000;

/// Multiplications and additions up to which BLAS takes one thread anyway.
pub(crate) const VECTOR_ALONE: usize = 4096;
const MATRIX_ALONE: usize = 1 << 18;
/// The same for matrices of complex numbers, and for a matrix times its own transpose.
const OTHER_ALONE: usize = 1 << 14;
/// What is worth a task of its own among several: multiplications and additions of doubles, of which so many take a nanosecond.
const TASK_WORK: usize = 1 << 16;
const WORK_A_NS: usize = 25;

/// Rows at whose multiples a large product can be cut without that showing in its bits: all of OpenBLAS's kernels do so many in whole
/// steps. (They were tried out: those of Nehalem, Sandy Bridge, Haswell and Skylake-X.)
const STEP: usize = 24;
/// Multiplications up to which OpenBLAS has other kernels, for small products, which add up in another order.
const SMALL: usize = 1_000_000;
/// Rows of a tile that are worth packing the whole of the other operand for it once more.
const ROWS: usize = 240;

/// `rows` are those of the whole result, of which `out` may be some: they decide how a sum is formed.
pub(super) fn matmul(a: &Strided, b: &Strided, out: &Strided, rows: usize) -> Result<()> {
    let lead = out.shape.len() - 2;
    let batch: usize = out.shape[..lead].iter().product();
    let rows = if lead == 0 { rows } else { out.shape[lead] };
    let dtype = out.dtype;
    let work = cost(dtype, out.shape[lead], out.shape[lead + 1], a.shape[lead + 1]);
    if (dtype.is_float() || dtype.is_complex())
        && let Some(small) = Small::new(a, b, out, lead, rows)
    {
        let at = |i: usize| [a, b, out].map(|s| s.ptr.wrapping_offset(start(s, lead, i)));
        let some = |range: Range<usize>| {
            // SAFETY: `library::run`'s caller promises valid operands that don't overlap the result.
            unsafe {
                match dtype {
                    DType::F32 | DType::C64 => small.run::<f32>(range, at),
                    _ => small.run::<f64>(range, at),
                }
            }
        };
        if batch == 1 {
            some(0..1);
            return Ok(());
        }
        return spread_ranges(batch, work, &|range| {
            some(range);
            Ok(())
        });
    }
    spread(batch, work, &|i| {
        // SAFETY: `library::run`'s caller promises valid operands that don't overlap the result.
        unsafe { of_matrices(&nth(a, lead, i), &nth(b, lead, i), &nth(out, lead, i), rows) }
    })
}

/// The sum of products of two vectors of floats, whose elements lie so many bytes apart, if BLAS can step through them and takes one
/// thread for it: what `matmul` does then, without its questions.
///
/// # Safety
/// Vectors of `n` elements of this type.
pub(super) unsafe fn dot<T: Element>(n: usize, x: (*const u8, i64), y: (*const u8, i64)) -> Option<T> {
    let item = size_of::<T>() as i64;
    let steps = |s: i64| s > 0 && s % item == 0;
    if n == 0 || n > VECTOR_ALONE || !steps(x.1) || !steps(y.1) {
        return None;
    }
    let blas = blas::get()?;
    // SAFETY: the caller's promise.
    Some(unsafe { T::dot(blas, n as i64, x.0.cast(), x.1 / item, y.0.cast(), y.1 / item) })
}

/// The sum of products of the conjugates of a vector with another, if BLAS is there and can step through both.
///
/// # Safety
/// Vectors of `n` elements of this type, aligned ones.
pub(super) unsafe fn vdot<T: Real>(n: usize, x: (*const u8, i64), y: (*const u8, i64)) -> Option<[T; 2]>
where
    [T; 2]: Element,
{
    let item = size_of::<[T; 2]>() as i64;
    let steps = |s: i64| s > 0 && s % item == 0;
    let blas = blas::get()?;
    let (px, py) = (x.0.cast::<[T; 2]>(), y.0.cast::<[T; 2]>());
    // SAFETY: the caller's promise.
    unsafe {
        if n > VECTOR_ALONE && x.1 == item && y.1 == item {
            let (x, y) = (std::slice::from_raw_parts(px, n), std::slice::from_raw_parts(py, n));
            return Some(complex::in_parts(blas, x, y, <[T; 2]>::dot_of_conjugates));
        }
        let short = n > 0 && n <= VECTOR_ALONE && steps(x.1) && steps(y.1);
        short.then(|| Element::dot_of_conjugates(blas, n as i64, px, x.1 / item, py, y.1 / item))
    }
}

/// Matrix number `i` of a stack with `lead` axes before the matrices'.
fn nth<'a>(s: &Strided<'a>, lead: usize, i: usize) -> Strided<'a> {
    let ptr = s.ptr.wrapping_offset(start(s, lead, i));
    Strided { ptr, dtype: s.dtype, shape: &s.shape[lead..], strides: &s.strides[lead..] }
}

/// Where it begins, in bytes from the first.
#[inline]
fn start(s: &Strided, lead: usize, mut i: usize) -> isize {
    let mut offset = 0;
    for d in (1..lead).rev() {
        offset += (i % s.shape[d]) as i64 * s.strides[d];
        i /= s.shape[d];
    }
    if lead > 0 {
        offset += i as i64 * s.strides[0];
    }
    offset as isize
}

/// What a product of matrices costs, in multiplications and additions of doubles.
fn cost(dtype: DType, m: usize, p: usize, n: usize) -> usize {
    let steps = m.saturating_mul(p).saturating_mul(n);
    match dtype {
        DType::F32 => steps / 2,
        DType::C64 => steps.saturating_mul(2),
        DType::C128 => steps.saturating_mul(4),
        _ => steps,
    }
}

/// Runs task 0..count, each of which costs so much, several at a time if they are small.
fn spread(count: usize, work: usize, task: &(dyn Fn(usize) -> Result<()> + Sync)) -> Result<()> {
    spread_ranges(count, work, &|mut range| range.try_for_each(task))
}

/// The same for ranges of tasks.
fn spread_ranges(count: usize, work: usize, some: &(dyn Fn(Range<usize>) -> Result<()> + Sync)) -> Result<()> {
    let group = TASK_WORK.div_ceil(work.max(1));
    let groups = count.div_ceil(group);
    if groups < 2 || !pool::pays(count.saturating_mul(work) / WORK_A_NS) {
        return some(0..count);
    }
    let failed = Mutex::new(Ok(()));
    let group_of = |g: usize| {
        let done = some(g * group..((g + 1) * group).min(count));
        if done.is_err() {
            *failed.lock() = done;
        }
    };
    pool::run(groups, &|g, _| group_of(g)).map_err(Error::Runtime)?;
    failed.into_inner()
}

/// A matrix product on the pool's threads, if that is worth it.
///
/// # Safety
/// Valid operands; the result overlaps neither of the others.
unsafe fn of_matrices(a: &Strided, b: &Strided, out: &Strided, rows: usize) -> Result<()> {
    let (m, p, n) = (out.shape[0], out.shape[1], a.shape[1]);
    // SAFETY: the caller's promise, here and below.
    let done = unsafe {
        match out.dtype {
            DType::F32 => with_vector::<f32>(a, b, out, rows),
            DType::F64 => with_vector::<f64>(a, b, out, rows),
            DType::C64 => with_vector::<[f32; 2]>(a, b, out, rows),
            DType::C128 => with_vector::<[f64; 2]>(a, b, out, rows),
            _ => false,
        }
    };
    if done {
        return Ok(());
    }
    let own = own_transpose(a, b, m, p);
    let tiles = if own { Tiles::by_shape(out.dtype, m, p, n) } else { Tiles::new(out.dtype, m, p, n) };
    if tiles.count == 1 {
        unsafe { product(a, b, out) };
        return Ok(());
    }
    if own {
        return unsafe { own_product(a, b, out, &tiles) };
    }
    spread(tiles.count, cost(out.dtype, m, p, n) / tiles.count, &|t| {
        let range = tiles.range(t);
        let (rows, columns) = if tiles.by_columns { (0..m, range) } else { (range, 0..p) };
        unsafe { tile(a, b, out, rows, columns) };
        Ok(())
    })
}

/// Some rows and columns of a product, on this thread.
///
/// # Safety
/// As above.
unsafe fn tile(a: &Strided, b: &Strided, out: &Strided, rows: Range<usize>, columns: Range<usize>) {
    let n = a.shape[1];
    let shapes = [[rows.len(), n], [n, columns.len()], [rows.len(), columns.len()]];
    // SAFETY: the caller's promise.
    unsafe {
        product(
            &part(a, [rows.start, 0], &shapes[0]),
            &part(b, [0, columns.start], &shapes[1]),
            &part(out, [rows.start, columns.start], &shapes[2]),
        )
    }
}

/// A matrix times its own transpose: the tiles on the diagonal, of which BLAS computes half, and those right of it. What lies right
/// of it is the square of half the rows, the two squares of a quarter of them and so on, of which each tile takes its rows: so
/// every thread has as much to do, for every number of threads that is a power of two.
///
/// # Safety
/// As above.
unsafe fn own_product(a: &Strided, b: &Strided, out: &Strided, tiles: &Tiles) -> Result<()> {
    let (m, n) = (out.shape[0], a.shape[1]);
    let lines = |from: usize, to: usize| tiles.range(from).start..tiles.range(to).start;
    let mut parts = Vec::new();
    let mut side = tiles.count.next_power_of_two() / 2;
    while side > 0 {
        for t in (0..tiles.count).filter(|t| (t / side).is_multiple_of(2)) {
            let right = (t / side + 1) * side;
            parts.push((lines(t, t + 1), lines(right, right + side)));
        }
        side /= 2;
    }
    parts.extend((0..tiles.count).map(|t| (lines(t, t + 1), lines(t, t + 1))));
    spread(parts.len(), cost(out.dtype, m, m, n) / (2 * parts.len()), &|i| {
        let (rows, columns) = parts[i].clone();
        if !columns.is_empty() {
            // SAFETY: the caller's promise, here and below.
            unsafe { tile(a, b, out, rows, columns) };
        }
        Ok(())
    })?;
    let lines = 64;
    spread(m.div_ceil(lines), lines * m, &|t| {
        unsafe { mirror(out, t * lines..((t + 1) * lines).min(m)) };
        Ok(())
    })
}

/// How a product is cut into tiles, of whole rows or of whole columns. The number of threads shows in no bit (a BLAS's own threads
/// cut anywhere, and theirs does).
struct Tiles {
    by_columns: bool,
    count: usize,
    /// The rows or columns, which are cut at multiples of `step`.
    extent: usize,
    step: usize,
}

impl Tiles {
    /// One large enough is cut for the threads that are there, where it has the bits of a product that is not cut.
    fn new(dtype: DType, m: usize, p: usize, n: usize) -> Tiles {
        let is_large = |count: usize| (m / STEP / count * STEP).saturating_mul(n).saturating_mul(p) > SMALL;
        // A tile packs the whole of the right matrix for itself, which few rows are not worth.
        let most = if m < p.div_ceil(2) { m / ROWS } else { m / STEP };
        if m == 1 || p == 1 || most < 2 || !is_large(2) {
            return Tiles::by_shape(dtype, m, p, n);
        }
        // Each thread has two if they are not thin: another process may take one of the processors for a while.
        let threads = pool::threads();
        let wanted = if threads > 1 && m >= 2 * threads * ROWS { 2 * threads } else { threads };
        let count = (1..=wanted.min(most)).rev().find(|&count| is_large(count)).unwrap_or(1);
        Tiles { by_columns: false, count, extent: m, step: STEP }
    }

    /// What follows from the shape alone.
    fn by_shape(dtype: DType, m: usize, p: usize, n: usize) -> Tiles {
        let by_columns = m < p.div_ceil(2);
        let extent = if by_columns { p } else { m };
        let work = cost(dtype, m, p, n);
        // Of complex numbers, half as many rows are worth packing the other operand. For a vector nothing is packed.
        let is_vector = m == 1 || p == 1;
        let (least, shortest) = match dtype {
            _ if is_vector => (1 << 15, 16),
            DType::C64 | DType::C128 => (1 << 20, 64),
            _ => (1 << 20, 128),
        };
        let mut count = 1;
        while extent / (2 * count) >= shortest && work / (2 * count) >= least {
            count *= 2;
        }
        // (Two halves of small matrices lie in the second-level cache.)
        if count == 1 && !is_vector && extent >= shortest / 2 && work >= least / 4 {
            count = 2;
        }
        Tiles { by_columns, count, extent, step: 8 }
    }

    fn range(&self, i: usize) -> Range<usize> {
        let cut = |i: usize| match i {
            i if i >= self.count => self.extent,
            i => self.extent / self.step * i / self.count * self.step,
        };
        cut(i)..cut(i + 1)
    }
}

/// So many rows and columns of a matrix, from one place on.
fn part<'a>(s: &Strided<'a>, from: [usize; 2], shape: &'a [usize; 2]) -> Strided<'a> {
    let offset = from[0] as isize * s.strides[0] as isize + from[1] as isize * s.strides[1] as isize;
    Strided { ptr: s.ptr.wrapping_offset(offset), dtype: s.dtype, shape, strides: s.strides }
}

/// Whether `b` is `a` transposed.
fn own_transpose(a: &Strided, b: &Strided, m: usize, p: usize) -> bool {
    let item = a.dtype.size() as i64;
    let turned = a.ptr == b.ptr && m == p && a.strides[0] == b.strides[1] && a.strides[1] == b.strides[0];
    turned && (a.strides[0] == item) != (a.strides[1] == item)
}

/// Writes the elements left of the diagonal in some rows of a symmetric matrix.
///
/// # Safety
/// Those right of it are there.
unsafe fn mirror(s: &Strided, rows: Range<usize>) {
    // SAFETY: the caller's promise.
    unsafe {
        match s.dtype.size() {
            4 => mirror_of::<[u8; 4]>(s, rows),
            8 => mirror_of::<[u8; 8]>(s, rows),
            _ => mirror_of::<[u8; 16]>(s, rows),
        }
    }
}

/// The same for elements of the size of T.
///
/// # Safety
/// As above.
unsafe fn mirror_of<T: Copy>(s: &Strided, rows: Range<usize>) {
    /// So many rows at a time, which whole blocks of every turn have.
    const BLOCK: usize = 16;
    let item = size_of::<T>();
    debug_assert_eq!(item, s.dtype.size());
    let (by_row, by_column) = (s.strides[0] as isize, s.strides[1] as isize);
    let at = |i: usize, j: usize| s.ptr.wrapping_offset(i as isize * by_row + j as isize * by_column);
    let turn = turn(item).filter(|_| by_column == item as isize);
    let mut row = rows.start;
    while row < rows.end {
        let end = (row + BLOCK).min(rows.end);
        let turned = match turn {
            Some((turn, side)) if (end - row).is_multiple_of(side) => {
                let columns = row - row % side;
                // SAFETY: whole blocks of the matrix, on either side of the diagonal.
                unsafe { turn(at(0, row), by_row, at(row, 0), by_row, end - row, columns) };
                columns
            }
            _ => 0,
        };
        // By blocks, so that what is read down a column is read again from the cache.
        for block in (turned..end).step_by(BLOCK) {
            for i in row..end {
                for j in block..i.min(block + BLOCK) {
                    // SAFETY: elements of the matrix.
                    unsafe { at(i, j).cast::<T>().write_unaligned(at(j, i).cast::<T>().read_unaligned()) };
                }
            }
        }
        row = end;
    }
}

/// A matrix product on this thread.
///
/// # Safety
/// As above.
unsafe fn product(a: &Strided, b: &Strided, out: &Strided) {
    // SAFETY: the caller's promise.
    unsafe {
        match out.dtype {
            DType::Bool => plain::<bool, _>(a, b, out, false, |s, x, y| s | (x & y)),
            DType::I8 => plain::<i8, _>(a, b, out, 0, |s, x, y| s.wrapping_add(x.wrapping_mul(y))),
            DType::I16 => plain::<i16, _>(a, b, out, 0, |s, x, y| s.wrapping_add(x.wrapping_mul(y))),
            DType::I32 => plain::<i32, _>(a, b, out, 0, |s, x, y| s.wrapping_add(x.wrapping_mul(y))),
            DType::I64 => plain::<i64, _>(a, b, out, 0, |s, x, y| s.wrapping_add(x.wrapping_mul(y))),
            DType::U8 => plain::<u8, _>(a, b, out, 0, |s, x, y| s.wrapping_add(x.wrapping_mul(y))),
            DType::U16 => plain::<u16, _>(a, b, out, 0, |s, x, y| s.wrapping_add(x.wrapping_mul(y))),
            DType::U32 => plain::<u32, _>(a, b, out, 0, |s, x, y| s.wrapping_add(x.wrapping_mul(y))),
            DType::U64 => plain::<u64, _>(a, b, out, 0, |s, x, y| s.wrapping_add(x.wrapping_mul(y))),
            DType::F32 => floating::<f32, _>(a, b, out, |s, x, y| s + x * y),
            DType::F64 => floating::<f64, _>(a, b, out, |s, x, y| s + x * y),
            DType::C64 => floating::<[f32; 2], _>(a, b, out, |s, x, y| {
                [s[0] + (x[0] * y[0] - x[1] * y[1]), s[1] + (x[0] * y[1] + x[1] * y[0])]
            }),
            DType::C128 => floating::<[f64; 2], _>(a, b, out, |s, x, y| {
                [s[0] + (x[0] * y[0] - x[1] * y[1]), s[1] + (x[0] * y[1] + x[1] * y[0])]
            }),
        }
    }
}

/// The sums in order, without BLAS.
///
/// # Safety
/// Valid operands of type T.
unsafe fn plain<T: Copy, F: Fn(T, T, T) -> T>(a: &Strided, b: &Strided, out: &Strided, zero: T, step: F) {
    let (m, n, k) = (out.shape[0], out.shape[1], a.shape[1]);
    let at = |s: &Strided, i: usize, j: usize| {
        s.ptr.wrapping_offset(i as isize * s.strides[0] as isize + j as isize * s.strides[1] as isize).cast::<T>()
    };
    // A row of sums is kept up at a time: the rows of b are then read in order.
    let mut row = vec![zero; n];
    for i in 0..m {
        row.fill(zero);
        for l in 0..k {
            // SAFETY: indices within the operands' shapes.
            unsafe {
                let x = at(a, i, l).read();
                if b.strides[1] == size_of::<T>() as i64 {
                    let line = std::slice::from_raw_parts(at(b, l, 0), n);
                    for (s, &y) in row.iter_mut().zip(line) {
                        *s = step(*s, x, y);
                    }
                } else {
                    for (j, s) in row.iter_mut().enumerate() {
                        *s = step(*s, x, at(b, l, j).read());
                    }
                }
            }
        }
        for (j, s) in row.iter().enumerate() {
            // SAFETY: as above.
            unsafe { at(out, i, j).write(*s) };
        }
    }
}

/// A large matrix times a vector, or a vector times one, or two long vectors; false where it is something else.
///
/// # Safety
/// Valid operands of type T.
unsafe fn with_vector<T: Number>(a: &Strided, b: &Strided, out: &Strided, rows: usize) -> bool {
    let item = size_of::<T>() as i64;
    let (m, p, n) = (out.shape[0], out.shape[1], a.shape[1]);
    let long = match (rows, p) {
        (1, 1) => n >= OWN_VECTOR,
        (_, 1) => rows * n >= OWN_MATRIX,
        (1, _) => p * n >= OWN_MATRIX,
        _ => false,
    };
    let (matrix, vector, (outer, inner)) = if p == 1 { (a, b, (0, 1)) } else { (b, a, (1, 0)) };
    let whole = |s: i64| s % item == 0;
    // BLAS takes no matrix whose elements lie apart both ways.
    let apart = (m == 1) != (p == 1) && matrix.strides.iter().all(|s| s.abs() > item) && n > 1;
    if !(long || apart) || m == 0 || !matrix.strides.iter().all(|&s| whole(s)) {
        return false;
    }
    let x: Vec<T>;
    // SAFETY: the vector's n elements, by its stride; and below the matrix's, by its strides.
    unsafe {
        let stride = if p == 1 { vector.strides[0] } else { vector.strides[1] };
        let x = if stride == item && vector.ptr.cast::<T>().is_aligned() {
            std::slice::from_raw_parts(vector.ptr.cast::<T>(), n)
        } else {
            let element = |i: usize| vector.ptr.wrapping_offset(i as isize * stride as isize).cast::<T>();
            x = (0..n).map(|i| element(i).read_unaligned()).collect();
            &x
        };
        let count = matrix.shape[outer];
        // The only row may lie anywhere.
        let (by_outer, by_inner) = (matrix.strides[outer] / item, matrix.strides[inner] / item);
        let ptr = matrix.ptr.cast::<T>() as *const T;
        let step = if p == 1 { out.strides[0] } else { out.strides[1] };
        let out = Out { ptr: out.ptr.cast::<T>(), step: if count == 1 { 1 } else { (step / item) as usize } };
        if !ptr.is_aligned() {
            return false;
        }
        let (step, stride) = (by_outer as isize, by_inner as isize);
        if by_inner != 1 && (count == 1 || by_outer.abs() < by_inner.abs()) {
            let between = if count == 1 { 1 } else { step };
            T::vector_times(x, Rows { ptr, rows: n, columns: count, step: stride, stride: between }, out);
        } else {
            T::times_vector(Rows { ptr, rows: count, columns: n, step, stride }, x, out);
        }
    }
    true
}

/// Rows of `cols` elements that BLAS can step through: elements side by side, rows at least as far apart as they are long.
fn blasable(row_stride: i64, stride: i64, cols: usize, item: i64) -> bool {
    stride == item && row_stride % item == 0 && row_stride / item >= cols as i64
}

/// A matrix in BLAS's terms: row major, or the transpose of a row major one.
struct Matrix<T> {
    ptr: *const T,
    trans: bool,
    ld: i64,
    /// Keeps a copy.
    _copy: Vec<T>,
}

/// # Safety
/// A valid operand of type T.
unsafe fn matrix<T: Element>(s: &Strided) -> Matrix<T> {
    let item = size_of::<T>() as i64;
    let (rows, cols) = (s.shape[0], s.shape[1]);
    if blasable(s.strides[0], s.strides[1], cols, item) {
        return Matrix { ptr: s.ptr.cast(), trans: false, ld: s.strides[0] / item, _copy: Vec::new() };
    }
    if blasable(s.strides[1], s.strides[0], rows, item) {
        return Matrix { ptr: s.ptr.cast(), trans: true, ld: s.strides[1] / item, _copy: Vec::new() };
    }
    // The copy keeps the axis with the smaller stride innermost.
    let trans = s.strides[0].abs() < s.strides[1].abs();
    let (outer, inner) = if trans { (1, 0) } else { (0, 1) };
    let mut copy = vec![T::ZERO; rows * cols];
    for (i, line) in copy.chunks_mut(s.shape[inner]).enumerate() {
        for (j, to) in line.iter_mut().enumerate() {
            let at = i as i64 * s.strides[outer] + j as i64 * s.strides[inner];
            // SAFETY: an index within the operand's shape.
            *to = unsafe { s.ptr.wrapping_offset(at as isize).cast::<T>().read_unaligned() };
        }
    }
    Matrix { ptr: copy.as_ptr(), trans, ld: s.shape[inner] as i64, _copy: copy }
}

fn transposition(trans: bool) -> std::ffi::c_int {
    if trans { TRANS } else { NO_TRANS }
}

/// # Safety
/// Valid operands of type T.
unsafe fn floating<T: Element, F: Fn(T, T, T) -> T>(a: &Strided, b: &Strided, out: &Strided, step: F) {
    let (m, p, n) = (out.shape[0], out.shape[1], a.shape[1]);
    let item = size_of::<T>() as i64;
    let Some(blas) = blas::get() else {
        // SAFETY: the caller's promise.
        return unsafe { plain(a, b, out, T::ZERO, step) };
    };
    let own = own_transpose(a, b, m, p);
    let alone_up_to = if m == 1 || p == 1 {
        VECTOR_ALONE
    } else if own || out.dtype.is_complex() {
        OTHER_ALONE
    } else {
        MATRIX_ALONE
    };
    let _alone = (m * p * n > alone_up_to).then(|| blas.alone());
    let a_rows = blasable(a.strides[0], a.strides[1], n, item);
    let a_cols = blasable(a.strides[1], a.strides[0], m, item);
    let b_rows = blasable(b.strides[0], b.strides[1], p, item);
    let b_cols = blasable(b.strides[1], b.strides[0], n, item);
    let (pa, pb, po) = (a.ptr.cast::<T>(), b.ptr.cast::<T>(), out.ptr.cast::<T>());
    let steps = |s: i64| s > 0 && s % item == 0;
    // SAFETY: the checks make the operands fit CBLAS's terms; the caller promises that they are valid.
    unsafe {
        if m == 0 || n == 0 || p == 0 {
            plain(a, b, out, T::ZERO, step)
        } else if m == 1 && p == 1 {
            if steps(a.strides[1]) && steps(b.strides[0]) {
                po.write(T::dot(blas, n as i64, pa, a.strides[1] / item, pb, b.strides[0] / item))
            } else {
                po.write(T::wide_dot(n, pa.cast(), a.strides[1] as isize, pb.cast(), b.strides[0] as isize))
            }
        } else if n == 1 && (m == 1 || p == 1) {
            plain(a, b, out, T::ZERO, step)
        } else if m == 1 && (b_rows || b_cols) && steps(a.strides[1]) {
            // A row times a matrix: the matrix transposed times a column.
            let (order, ld) = if b_cols { (COL_MAJOR, b.strides[1] / item) } else { (ROW_MAJOR, b.strides[0] / item) };
            blas.gemv(order, TRANS, n as i64, p as i64, pb, ld, pa, a.strides[1] / item, po, 1)
        } else if p == 1 && (a_rows || a_cols) && steps(b.strides[0]) {
            let (order, ld) = if a_rows { (COL_MAJOR, a.strides[0] / item) } else { (ROW_MAJOR, a.strides[1] / item) };
            let incy = (out.strides[0] / item).max(1);
            blas.gemv(order, TRANS, n as i64, m as i64, pa, ld, pb, b.strides[0] / item, po, incy)
        } else if m == 1 || n == 1 || p == 1 {
            plain(a, b, out, T::ZERO, step)
        } else {
            let (x, y) = (matrix::<T>(a), matrix::<T>(b));
            let ldo = (out.strides[0] / item).max(p as i64);
            if own && x.trans != y.trans {
                blas.syrk(transposition(x.trans), p as i64, n as i64, x.ptr, x.ld, po, ldo);
                mirror(out, 0..m);
            } else {
                let (tx, ty) = (transposition(x.trans), transposition(y.trans));
                blas.gemm(tx, ty, m as i64, p as i64, n as i64, x.ptr, x.ld, y.ptr, y.ld, po, ldo)
            }
        }
    }
}
