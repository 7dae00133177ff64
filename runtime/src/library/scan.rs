//! Accumulations along an axis, strictly in order.
//!
//! A boundary file: it reads and writes operands by address.

use legate_jit_ir::ufunc::native::{Native, c64, c128};
use legate_jit_ir::{DType, Scalar, Ufunc};

use super::Strided;
use crate::{Error, Result};

pub(super) fn scan(ufunc: Ufunc, axis: usize, a: &Strided, out: &Strided) -> Result<()> {
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
        _ => {
            let eval = |x: Scalar, y: Scalar| ufunc.eval(&[x, y]);
            let zero = Scalar { dtype: out.dtype, bits: [0; 2] };
            if eval(zero, zero).is_none() {
                return Err(Error::Type(format!("no accumulation of {} for {}", ufunc.name(), out.dtype.numpy_name())));
            }
            by_meaning(a, out, axis, &|x, y| eval(x, y).unwrap_or(x));
        }
    }
    Ok(())
}

/// Calls `f(source, its step, result, its step, length)` for each line along the axis.
fn each_line(a: &Strided, out: &Strided, axis: usize, f: &mut dyn FnMut(*const u8, isize, *mut u8, isize, usize)) {
    let mut index = vec![0usize; out.shape.len()];
    let n = out.shape[axis];
    loop {
        let place = |s: &Strided| {
            let at: i64 = index.iter().zip(s.strides).map(|(&i, &s)| i as i64 * s).sum();
            s.ptr.wrapping_offset(at as isize)
        };
        f(place(a), a.strides[axis] as isize, place(out), out.strides[axis] as isize, n);
        let Some(d) = (0..index.len()).rev().find(|&d| d != axis && index[d] + 1 < out.shape[d]) else { return };
        index[d] += 1;
        for (e, at) in index.iter_mut().enumerate().skip(d + 1) {
            if e != axis {
                *at = 0;
            }
        }
    }
}

/// Elements of neighbouring lines that are accumulated side by side: they stay in the first-level cache from step to step.
const SIDE_BY_SIDE: usize = 2048;

fn lines<T: Native>(a: &Strided, out: &Strided, axis: usize, step: impl Fn(T, T) -> T) {
    let last = out.shape.len() - 1;
    let unit = size_of::<T>() as i64;
    if axis != last && a.strides[last] == unit && out.strides[last] == unit && out.shape[last] > 1 {
        return side_by_side(a, out, axis, step);
    }
    each_line(a, out, axis, &mut |from, df, to, dt, n| {
        // SAFETY: valid operands of type T, n elements along the axis (see `library::run`).
        unsafe {
            let mut sum = from.cast::<T>().read_unaligned();
            to.cast::<T>().write_unaligned(sum);
            for i in 1..n as isize {
                sum = step(sum, from.wrapping_offset(i * df).cast::<T>().read_unaligned());
                to.wrapping_offset(i * dt).cast::<T>().write_unaligned(sum);
            }
        }
    });
}

/// Lines whose neighbours lie beside them in memory, along the last axis: row by row, each result from the one above it. One
/// line after the other would take a line of the cache for each element.
fn side_by_side<T: Native>(a: &Strided, out: &Strided, axis: usize, step: impl Fn(T, T) -> T) {
    let last = out.shape.len() - 1;
    // The lines' starts: what is left of the operands without the last axis.
    let (shape, width) = (&out.shape[..last], out.shape[last]);
    let starts = Strided { shape, strides: &out.strides[..last], ..*out };
    let sources = Strided { shape, strides: &a.strides[..last], ..*a };
    each_line(&sources, &starts, axis, &mut |from, df, to, dt, n| {
        for first in (0..width).step_by(SIDE_BY_SIDE) {
            let (from, to) = (from.wrapping_add(first * size_of::<T>()), to.wrapping_add(first * size_of::<T>()));
            let count = SIDE_BY_SIDE.min(width - first);
            // SAFETY: valid operands of type T (see `library::run`), which do not overlap; `count` elements lie beside each
            // other in every row.
            unsafe {
                to.copy_from_nonoverlapping(from, count * size_of::<T>());
                for i in 1..n as isize {
                    let x = from.wrapping_offset(i * df).cast::<T>();
                    let (sum, before) = (to.wrapping_offset(i * dt), to.wrapping_offset((i - 1) * dt));
                    let (sum, before) = (sum.cast::<T>(), before.cast::<T>());
                    for k in 0..count {
                        let next = step(before.add(k).read_unaligned(), x.add(k).read_unaligned());
                        sum.add(k).write_unaligned(next);
                    }
                }
            }
        }
    });
}

fn by_meaning(a: &Strided, out: &Strided, axis: usize, step: &dyn Fn(Scalar, Scalar) -> Scalar) {
    let (dtype, size) = (out.dtype, out.dtype.size());
    each_line(a, out, axis, &mut |from, df, to, dt, n| {
        let mut sum = Scalar { dtype, bits: [0; 2] };
        for i in 0..n as isize {
            // SAFETY: valid operands of this type, n elements along the axis (see `library::run`).
            unsafe {
                let bytes = std::slice::from_raw_parts(from.wrapping_offset(i * df), size);
                let x = Scalar::from_bytes(dtype, bytes);
                sum = if i == 0 { x } else { step(sum, x) };
                to.wrapping_offset(i * dt).copy_from_nonoverlapping(sum.to_bytes().as_ptr(), size);
            }
        }
    });
}
