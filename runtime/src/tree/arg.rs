//! The place of the smallest and the largest element: the first of equal ones, and a NaN before all.

use legate_jit_ir::DType;
use legate_jit_ir::ufunc::native::Native;
use legate_jit_vmath::{Isa, isa};

use super::Element;

/// Real numbers in the order that `argmax` sees.
trait Ordered: Native + PartialOrd {
    const LOWEST: Self;
    const HIGHEST: Self;
    fn is_nan(self) -> bool;
}

macro_rules! ordered {
    ($($t:ident $lowest:expr, $highest:expr, |$v:ident| $nan:expr;)*) => {
        $(impl Ordered for $t {
            const LOWEST: $t = $lowest;
            const HIGHEST: $t = $highest;

            #[inline(always)]
            fn is_nan(self) -> bool {
                let $v = self;
                $nan
            }
        })*
    };
}
ordered! {
    bool false, true, |_v| false;
    i8 i8::MIN, i8::MAX, |_v| false;
    i16 i16::MIN, i16::MAX, |_v| false;
    i32 i32::MIN, i32::MAX, |_v| false;
    i64 i64::MIN, i64::MAX, |_v| false;
    u8 u8::MIN, u8::MAX, |_v| false;
    u16 u16::MIN, u16::MAX, |_v| false;
    u32 u32::MIN, u32::MAX, |_v| false;
    u64 u64::MIN, u64::MAX, |_v| false;
    f32 f32::NEG_INFINITY, f32::INFINITY, |v| v.is_nan();
    f64 f64::NEG_INFINITY, f64::INFINITY, |v| v.is_nan();
}

/// Whether y takes x's place, coming after it.
#[inline(always)]
fn better<T: Ordered, const MAX: bool>(x: T, y: T) -> bool {
    let beats = if MAX { y > x } else { y < x };
    beats | (y.is_nan() & !x.is_nan())
}

/// First the value in lanes, then its place: two fast passes over what is in the cache.
#[inline(always)]
fn first_best<T: Ordered, const MAX: bool>(x: &[T]) -> usize {
    const LANES: usize = 32;
    let mut best = [if MAX { T::LOWEST } else { T::HIGHEST }; LANES];
    let mut nan = [false; LANES];
    let (groups, rest) = x.as_chunks::<LANES>();
    for g in groups {
        for i in 0..LANES {
            let beats = if MAX { g[i] > best[i] } else { g[i] < best[i] };
            best[i] = if beats { g[i] } else { best[i] };
            nan[i] |= g[i].is_nan();
        }
    }
    let mut top = best[0];
    for &v in best[1..].iter().chain(rest) {
        if if MAX { v > top } else { v < top } {
            top = v;
        }
    }
    if nan.contains(&true) || rest.iter().any(|v| v.is_nan()) {
        return x.iter().position(|v| v.is_nan()).unwrap_or(0);
    }
    x.iter().position(|v| *v == top).unwrap_or(0)
}

#[target_feature(enable = "avx2")]
unsafe fn first_best_avx2<T: Ordered, const MAX: bool>(x: &[T]) -> usize {
    first_best::<T, MAX>(x)
}

/// The functions for one type, in both directions.
#[derive(Clone, Copy)]
pub struct Arg {
    /// The index of the best of n ≥ 1 elements.
    pub find: unsafe fn(x: *const u8, n: usize) -> usize,
    /// Whether the second value takes the first one's place.
    pub better: fn(x: Element, y: Element) -> bool,
    /// For each j where row[j] is better than best[j] (16 bytes apart): takes it, and sets out[j] to `index`.
    pub rows: unsafe fn(out: *mut i64, best: *mut Element, row: *const u8, n: usize, index: i64),
}

unsafe fn find<T: Ordered, const MAX: bool>(x: *const u8, n: usize) -> usize {
    // SAFETY: the caller gives n elements; AVX2 is used where the machine has it.
    unsafe {
        let x = std::slice::from_raw_parts(x as *const T, n);
        if isa() == Isa::Base { first_best::<T, MAX>(x) } else { first_best_avx2::<T, MAX>(x) }
    }
}

fn value<T: Native>(e: Element) -> T {
    T::from_scalar(legate_jit_ir::Scalar { dtype: T::DTYPE, bits: e })
}

fn better_bits<T: Ordered, const MAX: bool>(x: Element, y: Element) -> bool {
    better::<T, MAX>(value(x), value(y))
}

unsafe fn rows<T: Ordered, const MAX: bool>(out: *mut i64, best: *mut Element, row: *const u8, n: usize, index: i64) {
    // SAFETY: the caller gives n elements at each address.
    let (out, best, row) = unsafe {
        (
            std::slice::from_raw_parts_mut(out, n),
            std::slice::from_raw_parts_mut(best, n),
            std::slice::from_raw_parts(row as *const T, n),
        )
    };
    for j in 0..n {
        if index == 0 || better::<T, MAX>(value(best[j]), row[j]) {
            best[j] = row[j].to_scalar().bits;
            out[j] = index;
        }
    }
}

/// None for complex numbers, which the front end leaves to NumPy.
pub fn arg(dtype: DType, max: bool) -> Option<Arg> {
    macro_rules! of {
        ($t:ident) => {
            Some(if max {
                Arg { find: find::<$t, true>, better: better_bits::<$t, true>, rows: rows::<$t, true> }
            } else {
                Arg { find: find::<$t, false>, better: better_bits::<$t, false>, rows: rows::<$t, false> }
            })
        };
    }
    match dtype {
        DType::Bool => of!(bool),
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
