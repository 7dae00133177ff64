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

fn lines<T: Native>(a: &Strided, out: &Strided, axis: usize, step: impl Fn(T, T) -> T) {
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
