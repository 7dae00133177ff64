//! Products of matrices. The choice of routine is NumPy's, so that the same library gives the same bits: `dot` for a row times
//! a column, `gemv` where one side is a vector (our own where the matrix is large), `syrk` for a matrix times its own transpose, `gemm` else (a matrix that BLAS
//! cannot step through is copied first), and plain loops for integers and for vectors that BLAS cannot step through.
//!
//! A boundary file: it reads and writes operands by address.

use legate_jit_ir::DType;

use super::Strided;
use super::blas::{self, COL_MAJOR, Element, NO_TRANS, ROW_MAJOR, TRANS};
use super::gemv::{self, Out, Real, Rows};
use crate::Result;

/// Elements of a matrix above which a product with a vector does not go to BLAS: there BLAS would wake its threads.
pub(crate) const OWN_MATRIX: usize = 9216;
/// The same for the product of two vectors.
const OWN_VECTOR: usize = 10_000;

/// `rows` are those of the whole result, of which `out` may be some: they decide how a sum is formed.
pub(super) fn matmul(a: &Strided, b: &Strided, out: &Strided, rows: usize) -> Result<()> {
    if out.shape.len() > 2 {
        for i in 0..out.shape[0] {
            let out = out.at(i);
            matmul(&a.at(i), &b.at(i), &out, out.shape[out.shape.len() - 2])?;
        }
        return Ok(());
    }
    // SAFETY: `library::run`'s caller promises valid operands that don't overlap the result.
    let done = unsafe {
        match out.dtype {
            DType::F32 => with_vector::<f32>(a, b, out, rows),
            DType::F64 => with_vector::<f64>(a, b, out, rows),
            _ => false,
        }
    };
    if done {
        return Ok(());
    }
    // SAFETY: `library::run`'s caller promises valid operands that don't overlap the result.
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
    Ok(())
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
unsafe fn with_vector<T: Real>(a: &Strided, b: &Strided, out: &Strided, rows: usize) -> bool {
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
    if !long || m == 0 || !matrix.strides.iter().all(|&s| whole(s)) {
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
        if by_inner == 1 {
            gemv::times_vector(Rows { ptr, rows: count, columns: n, step: by_outer as isize }, x, out);
        } else if by_outer == 1 || count == 1 {
            gemv::vector_times(x, Rows { ptr, rows: n, columns: count, step: by_inner as isize }, out);
        } else {
            return false;
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
            let own_transpose =
                x.ptr == y.ptr && m == p && a.strides[0] == b.strides[1] && a.strides[1] == b.strides[0];
            if own_transpose && x.trans != y.trans {
                blas.syrk(transposition(x.trans), p as i64, n as i64, x.ptr, x.ld, po, ldo);
                for i in 0..m {
                    for j in i + 1..m {
                        po.add(j * ldo as usize + i).write(po.add(i * ldo as usize + j).read());
                    }
                }
            } else {
                let (tx, ty) = (transposition(x.trans), transposition(y.trans));
                blas.gemm(tx, ty, m as i64, p as i64, n as i64, x.ptr, x.ld, y.ptr, y.ld, po, ldo)
            }
        }
    }
}
