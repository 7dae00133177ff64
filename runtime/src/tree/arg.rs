//! The place of the smallest and the largest element: the first of equal ones, and a NaN before all.

use legate_jit_ir::DType;
use legate_jit_ir::ufunc::native::Native;
use legate_jit_vmath::{Isa, isa};

use super::Element;
use super::extreme::{Ordered, beats, extreme};

/// Whether y takes x's place, coming after it.
#[inline(always)]
fn better<T: Ordered, const MAX: bool>(x: T, y: T) -> bool {
    beats::<T, MAX>(x, y) | (y.is_nan() & !x.is_nan())
}

/// Elements that are looked at one after the other.
const FEW: usize = 24;

/// The best of each block, which is then looked for in the first block that has it: it is in the first-level cache.
#[inline(always)]
fn first_best<T: Ordered, const MAX: bool>(x: &[T]) -> usize {
    if let [first, rest @ ..] = x
        && rest.len() < FEW
    {
        // Of few elements the two passes below would be mostly their beginnings and ends. (A search for the next better one, not a choice
        // for each: choices wait for each other.)
        let (mut best, mut at, mut left) = (*first, 0, rest);
        while let Some(k) = left.iter().position(|&v| better::<T, MAX>(best, v)) {
            (best, at, left) = (left[k], at + k + 1, &left[k + 1..]);
        }
        return at;
    }
    let block = 8192 / size_of::<T>();
    let last = if MAX { T::HIGHEST } else { T::LOWEST };
    let (mut best, mut start) = (None, 0);
    for (k, some) in x.chunks(block).enumerate() {
        let (value, nan) = extreme::<T, MAX>(some);
        if nan {
            return k * block + place(some, |v| v.is_nan());
        }
        if !T::NANS && value == last {
            return k * block + place(some, |v| v == last);
        }
        if best.is_none_or(|b| beats::<T, MAX>(b, value)) {
            (best, start) = (Some(value), k * block);
        }
    }
    let Some(best) = best else { return 0 };
    start + place(&x[start..x.len().min(start + block)], |v| v == best)
}

/// The first element of which it is true, or 0. (Loops, because iterators' searches are functions of their own, which have no vectors.)
#[inline(always)]
fn place<T: Copy>(x: &[T], is: impl Fn(T) -> bool) -> usize {
    const LANES: usize = 32;
    let (groups, _) = x.as_chunks::<LANES>();
    let mut from = LANES * groups.len();
    for (k, group) in groups.iter().enumerate() {
        let mut any = false;
        for &v in group {
            any |= is(v);
        }
        if any {
            from = LANES * k;
            break;
        }
    }
    for (i, &v) in x.iter().enumerate().skip(from) {
        if is(v) {
            return i;
        }
    }
    0
}

#[target_feature(enable = "avx2")]
unsafe fn first_best_avx2<T: Ordered, const MAX: bool>(x: &[T]) -> usize {
    first_best::<T, MAX>(x)
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2")]
unsafe fn first_best_avx512<T: Ordered, const MAX: bool>(x: &[T]) -> usize {
    first_best::<T, MAX>(x)
}

/// The functions for one type, in both directions.
#[derive(Clone, Copy)]
pub struct Arg {
    /// The index of the best of n ≥ 1 elements.
    pub find: unsafe fn(x: *const u8, n: usize) -> usize,
    /// Whether the second value takes the first one's place.
    pub better: fn(x: Element, y: Element) -> bool,
    /// For each j where row[j] is better than best[j], which are of its type: takes it, and sets out[j] to `index`.
    pub rows: unsafe fn(out: *mut i64, best: *mut Element, row: *const u8, n: usize, index: i64),
}

unsafe fn find<T: Ordered, const MAX: bool>(x: *const u8, n: usize) -> usize {
    // SAFETY: the caller gives n elements; instructions are used where the machine has them.
    unsafe {
        let x = std::slice::from_raw_parts(x as *const T, n);
        match isa() {
            Isa::Base => first_best::<T, MAX>(x),
            Isa::Avx2 => first_best_avx2::<T, MAX>(x),
            Isa::Avx512 => first_best_avx512::<T, MAX>(x),
        }
    }
}

fn value<T: Native>(e: Element) -> T {
    T::from_scalar(legate_jit_ir::Scalar { dtype: T::DTYPE, bits: e })
}

fn better_bits<T: Ordered + Native, const MAX: bool>(x: Element, y: Element) -> bool {
    better::<T, MAX>(value(x), value(y))
}

unsafe fn rows<T: Ordered + Native, const MAX: bool>(
    out: *mut i64,
    best: *mut Element,
    row: *const u8,
    n: usize,
    index: i64,
) {
    // SAFETY: the caller gives n elements at each address, and more room than that for the best.
    unsafe {
        let out = std::slice::from_raw_parts_mut(out, n);
        let best = std::slice::from_raw_parts_mut(best as *mut T, n);
        let row = std::slice::from_raw_parts(row as *const T, n);
        if index == 0 {
            best.copy_from_slice(row);
            return out.fill(0);
        }
        match isa() {
            Isa::Base => row_of::<T, MAX>(out, best, row, index),
            Isa::Avx2 => row_of_avx2::<T, MAX>(out, best, row, index),
            Isa::Avx512 => row_of_avx512::<T, MAX>(out, best, row, index),
        }
    }
}

#[inline(always)]
fn row_of<T: Ordered, const MAX: bool>(out: &mut [i64], best: &mut [T], row: &[T], index: i64) {
    for ((out, best), &v) in out.iter_mut().zip(best).zip(row) {
        let takes = better::<T, MAX>(*best, v);
        *best = if takes { v } else { *best };
        *out = if takes { index } else { *out };
    }
}

#[target_feature(enable = "avx2")]
unsafe fn row_of_avx2<T: Ordered, const MAX: bool>(out: &mut [i64], best: &mut [T], row: &[T], index: i64) {
    row_of::<T, MAX>(out, best, row, index)
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2")]
unsafe fn row_of_avx512<T: Ordered, const MAX: bool>(out: &mut [i64], best: &mut [T], row: &[T], index: i64) {
    row_of::<T, MAX>(out, best, row, index)
}

/// None for complex numbers, which the front end leaves to NumPy.
pub fn arg(dtype: DType, max: bool) -> Option<Arg> {
    macro_rules! of {
        ($t:ident) => {
            of!($t, $t)
        };
        ($t:ident, $as:ident) => {
            Some(if max {
                Arg { find: find::<$t, true>, better: better_bits::<$as, true>, rows: rows::<$as, true> }
            } else {
                Arg { find: find::<$t, false>, better: better_bits::<$as, false>, rows: rows::<$as, false> }
            })
        };
    }
    match dtype {
        // Side by side they are bytes, of which the compiler makes vectors.
        DType::Bool => of!(bool, u8),
        DType::I8 => of!(i8),
        DType::I16 => of!(i16),
        DType::I32 => of!(i32),
        DType::I64 => of!(i64),
        DType::U8 => of!(u8),
        DType::U16 => of!(u16),
        DType::U32 => of!(u32),
        DType::U64 => of!(u64),
        DType::F32 => of!(f32),
        DType::F64 => of!(f64),
        DType::C64 | DType::C128 => None,
    }
}
