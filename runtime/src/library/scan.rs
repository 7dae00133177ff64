//! Accumulations along an axis, strictly in order.
//!
//! A boundary file: it reads and writes operands by address.

use legate_jit_ir::ufunc::meaning;
use legate_jit_ir::ufunc::native::{Native, c64, c128};
use legate_jit_ir::{DType, Scalar, Ufunc};

use super::Strided;
use crate::{Error, Result, pool};

/// Whether this accumulation runs on native types.
pub(crate) fn is_native(ufunc: Ufunc, dtype: DType) -> bool {
    use DType::{C64, C128, F32, F64, I64, U64};
    match ufunc {
        Ufunc::Add | Ufunc::Multiply => {
            matches!(dtype, F64 | F32 | I64 | U64) || ufunc == Ufunc::Add && matches!(dtype, C64 | C128)
        }
        Ufunc::Maximum | Ufunc::Minimum => matches!(dtype, F64 | I64),
        _ => false,
    }
}

pub(crate) fn scan(ufunc: Ufunc, axis: usize, a: &Strided, out: &Strided) -> Result<()> {
    if out.shape.contains(&0) {
        return Ok(());
    }
    // The common ones run on native types; the table's meaning serves the rest.
    match (ufunc, out.dtype) {
        (Ufunc::Add, DType::F64) => lines(a, out, axis, |x: f64, y: f64| x + y),
        (Ufunc::Add, DType::F32) => lines(a, out, axis, |x: f32, y: f32| x + y),
        (Ufunc::Add, DType::I64) => lines(a, out, axis, |x: i64, y: i64| x.wrapping_add(y)),
        (Ufunc::Add, DType::U64) => lines(a, out, axis, |x: u64, y: u64| x.wrapping_add(y)),
        (Ufunc::Add, DType::C128) => lines(a, out, axis, |x: c128, y: c128| x + y),
        (Ufunc::Add, DType::C64) => lines(a, out, axis, |x: c64, y: c64| x + y),
        (Ufunc::Multiply, DType::F64) => lines(a, out, axis, |x: f64, y: f64| x * y),
        (Ufunc::Multiply, DType::F32) => lines(a, out, axis, |x: f32, y: f32| x * y),
        (Ufunc::Multiply, DType::I64) => lines(a, out, axis, |x: i64, y: i64| x.wrapping_mul(y)),
        (Ufunc::Multiply, DType::U64) => lines(a, out, axis, |x: u64, y: u64| x.wrapping_mul(y)),
        (Ufunc::Maximum, DType::F64) => lines(a, out, axis, meaning::maximum::<f64>),
        (Ufunc::Minimum, DType::F64) => lines(a, out, axis, meaning::minimum::<f64>),
        (Ufunc::Maximum, DType::I64) => lines(a, out, axis, |x: i64, y: i64| x.max(y)),
        (Ufunc::Minimum, DType::I64) => lines(a, out, axis, |x: i64, y: i64| x.min(y)),
        _ => {
            let eval = |x: Scalar, y: Scalar| ufunc.eval(&[x, y]);
            let zero = Scalar { dtype: out.dtype, bits: [0; 2] };
            if eval(zero, zero).is_none() {
                return Err(Error::Type(format!("no accumulation of {} for {}", ufunc.name(), out.dtype.numpy_name())));
            }
            by_meaning(a, out, axis, &|x, y| eval(x, y).unwrap_or(x))
        }
    }
}

/// Elements from which on the lines are shared among threads.
const POOL_ELEMENTS: usize = 1 << 16;
/// Elements of neighbouring lines that are accumulated side by side: they stay in the first-level cache from step to step.
const SIDE_BY_SIDE: usize = 2048;

/// One line along the axis: where it begins and the bytes from one element to the next, in the source and in the result.
struct Line {
    number: usize,
    from: *const u8,
    from_step: isize,
    to: *mut u8,
    to_step: isize,
    n: usize,
}

/// Calls `f` for each line along the axis, on the pool if there is enough to do. Lines are numbered in C order.
fn each_line(a: &Strided, out: &Strided, axis: usize, elements: usize, f: &(dyn Fn(Line) + Sync)) -> Result<()> {
    let others: Vec<usize> = (0..out.shape.len()).filter(|&d| d != axis).collect();
    let lines: usize = others.iter().map(|&d| out.shape[d]).product();
    let line = |number: usize| {
        let (mut rest, mut from, mut to) = (number, 0, 0);
        for &d in others.iter().rev() {
            let i = (rest % out.shape[d]) as i64;
            (from, to) = (from + i * a.strides[d], to + i * out.strides[d]);
            rest /= out.shape[d];
        }
        f(Line {
            number,
            from: a.ptr.wrapping_offset(from as isize),
            from_step: a.strides[axis] as isize,
            to: out.ptr.wrapping_offset(to as isize),
            to_step: out.strides[axis] as isize,
            n: out.shape[axis],
        });
    };
    let tasks = lines.min(8 * pool::threads());
    if tasks < 2 || elements < POOL_ELEMENTS || pool::threads() == 1 {
        (0..lines).for_each(line);
        return Ok(());
    }
    let task = |t: usize, _: usize| (lines * t / tasks..lines * (t + 1) / tasks).for_each(line);
    pool::run(tasks, &task).map_err(Error::Runtime)
}

fn lines<T: Native>(a: &Strided, out: &Strided, axis: usize, step: impl Fn(T, T) -> T + Sync) -> Result<()> {
    let last = out.shape.len() - 1;
    let unit = size_of::<T>() as i64;
    if axis != last && a.strides[last] == unit && out.strides[last] == unit && out.shape[last] > 1 {
        return side_by_side(a, out, axis, step);
    }
    each_line(a, out, axis, out.shape.iter().product(), &|line| {
        // SAFETY: valid operands of type T, n elements along the axis (see `library::run`).
        unsafe {
            let mut sum = line.from.cast::<T>().read_unaligned();
            line.to.cast::<T>().write_unaligned(sum);
            for i in 1..line.n as isize {
                sum = step(sum, line.from.wrapping_offset(i * line.from_step).cast::<T>().read_unaligned());
                line.to.wrapping_offset(i * line.to_step).cast::<T>().write_unaligned(sum);
            }
        }
    })
}

/// Lines whose neighbours lie beside them in memory, along the last axis: row by row, each result from the one above it. One
/// line after the other would take a line of the cache for each element.
fn side_by_side<T: Native>(a: &Strided, out: &Strided, axis: usize, step: impl Fn(T, T) -> T + Sync) -> Result<()> {
    let last = out.shape.len() - 1;
    // The last axis goes in blocks: each is what a line is to `each_line`.
    let width = out.shape[last];
    let blocks = width.div_ceil(SIDE_BY_SIDE).max(if width >= 64 * pool::threads() { pool::threads() } else { 1 });
    let block = width.div_ceil(blocks).next_multiple_of(64 / size_of::<T>());
    let blocks = width.div_ceil(block);
    let apart = (block * size_of::<T>()) as i64;
    let shape = [&out.shape[..last], &[blocks]].concat();
    let (from, to) = ([&a.strides[..last], &[apart]].concat(), [&out.strides[..last], &[apart]].concat());
    let sources = Strided { shape: &shape, strides: &from, ..*a };
    let results = Strided { shape: &shape, strides: &to, ..*out };
    each_line(&sources, &results, axis, out.shape.iter().product(), &|line| {
        let count = block.min(width - line.number % blocks * block);
        // SAFETY: valid operands of type T (see `library::run`), which do not overlap; `count` elements lie beside each other
        // in every row.
        unsafe {
            line.to.copy_from_nonoverlapping(line.from, count * size_of::<T>());
            for i in 1..line.n as isize {
                let x = line.from.wrapping_offset(i * line.from_step).cast::<T>();
                let sum = line.to.wrapping_offset(i * line.to_step).cast::<T>();
                let before = line.to.wrapping_offset((i - 1) * line.to_step).cast::<T>();
                for k in 0..count {
                    sum.add(k).write_unaligned(step(before.add(k).read_unaligned(), x.add(k).read_unaligned()));
                }
            }
        }
    })
}

fn by_meaning(a: &Strided, out: &Strided, axis: usize, step: &(dyn Fn(Scalar, Scalar) -> Scalar + Sync)) -> Result<()> {
    let (dtype, size) = (out.dtype, out.dtype.size());
    each_line(a, out, axis, out.shape.iter().product(), &|line| {
        let mut sum = Scalar { dtype, bits: [0; 2] };
        for i in 0..line.n as isize {
            // SAFETY: valid operands of this type, n elements along the axis (see `library::run`).
            unsafe {
                let bytes = std::slice::from_raw_parts(line.from.wrapping_offset(i * line.from_step), size);
                let x = Scalar::from_bytes(dtype, bytes);
                sum = if i == 0 { x } else { step(sum, x) };
                line.to.wrapping_offset(i * line.to_step).copy_from_nonoverlapping(sum.to_bytes().as_ptr(), size);
            }
        }
    })
}
