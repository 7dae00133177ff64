//! Reductions by any binary operation of the table: in order, or in lanes where the order cannot be seen.

use std::sync::OnceLock;

use legate_jit_ir::ufunc::meaning as m;
use legate_jit_ir::ufunc::native::{Native, c64, c128};
use legate_jit_ir::{DType, Ufunc, ufunc_loops};
use legate_jit_vmath::{Isa, isa};

use super::extreme::extreme;
use crate::prefetch::LINE;

/// What a reduction by one operation over one type needs. The types are erased; the caller looks the entry up by them.
#[derive(Clone, Copy)]
pub struct Fold {
    /// `acc = op(acc, x[i])` for i in 0..n, or what has the same bits. n may be 0.
    pub fold: unsafe fn(acc: *mut u8, x: *const u8, n: usize),
    /// `acc[i] = op(acc[i], x[i * step + j])` for j in 0..n in order (or what has the same bits), for i in 0..rows.
    pub apart: unsafe fn(acc: *mut u8, x: *const u8, n: usize, step: usize, rows: usize),
    /// `acc[j] = op(acc[j], x[i * step + j])` for j in 0..n, for i in 0..rows in order; so many rows are read side by side.
    pub rows: unsafe fn(acc: *mut u8, x: *const u8, n: usize, step: usize, rows: usize, together: usize),
}

/// The operation of a `Fold`.
trait Op: 'static {
    type T: Native;
    const UFUNC: Ufunc;
    fn call(x: Self::T, y: Self::T) -> Self::T;
}

/// Elements that a reduction in lanes can get wrong in bits that the order decides.
trait Lane: Native {
    /// The result that combining acc and x in order gives, when lanes gave `self`. Of floats only the largest and smallest
    /// are reduced in lanes: of several NaNs the first stays, of several zeros the last.
    fn settle(self, acc: Self, x: &[Self]) -> Self;

    /// Whether all operations give the same in any order, which the compiler knows, too.
    const ANY_ORDER: bool = false;

    /// The largest or smallest one in a way of its own, where the type has one and that gives the result.
    #[inline(always)]
    fn extreme(_ufunc: Ufunc, _x: &[Self]) -> Option<Self> {
        None
    }
}

macro_rules! exact {
    ($($t:ident)*) => {
        $(impl Lane for $t {
            const ANY_ORDER: bool = true;

            #[inline(always)]
            fn settle(self, _acc: $t, _x: &[$t]) -> $t {
                self
            }

            #[inline(always)]
            fn extreme(ufunc: Ufunc, x: &[$t]) -> Option<$t> {
                match ufunc {
                    Ufunc::Maximum | Ufunc::Fmax => Some(extreme::<$t, true>(x).0),
                    Ufunc::Minimum | Ufunc::Fmin => Some(extreme::<$t, false>(x).0),
                    _ => None,
                }
            }
        })*
    };
}
exact!(i8 i16 i32 i64 u8 u16 u32 u64);

impl Lane for bool {
    #[inline(always)]
    fn settle(self, _acc: bool, _x: &[bool]) -> bool {
        self
    }

    const ANY_ORDER: bool = true;

    #[inline(always)]
    fn extreme(ufunc: Ufunc, x: &[bool]) -> Option<bool> {
        match ufunc {
            Ufunc::Maximum | Ufunc::Fmax | Ufunc::LogicalOr | Ufunc::BitwiseOr => Some(extreme::<bool, true>(x).0),
            Ufunc::Minimum | Ufunc::Fmin | Ufunc::LogicalAnd | Ufunc::BitwiseAnd => Some(extreme::<bool, false>(x).0),
            _ => None,
        }
    }
}

macro_rules! floats {
    ($($t:ident)*) => {
        $(impl Lane for $t {
            #[inline(always)]
            fn settle(self, acc: $t, x: &[$t]) -> $t {
                if self == 0.0 {
                    x.iter().rev().copied().find(|v| *v == 0.0).unwrap_or(acc)
                } else if self.is_nan() {
                    std::iter::once(acc).chain(x.iter().copied()).find(|v| v.is_nan()).unwrap_or(self)
                } else {
                    self
                }
            }

            #[inline(always)]
            fn extreme(ufunc: Ufunc, x: &[$t]) -> Option<$t> {
                let (value, nan) = match ufunc {
                    Ufunc::Maximum | Ufunc::Fmax => extreme::<$t, true>(x),
                    Ufunc::Minimum | Ufunc::Fmin => extreme::<$t, false>(x),
                    _ => return None,
                };
                // An infinity may stand for no number at all.
                let known = !nan || (matches!(ufunc, Ufunc::Fmax | Ufunc::Fmin) && value.is_finite());
                known.then_some(value)
            }
        })*
    };
}
floats!(f32 f64);

#[inline(always)]
fn in_order<O: Op>(acc: &mut O::T, x: &[O::T]) {
    *acc = x.iter().fold(*acc, |acc, &x| O::call(acc, x));
}

/// Several rows in order, each an element of `acc`. Each operation waits for the one before it in its row, so some rows go along
/// together, a few elements of one after a few of another: the processor does them at the same time. (Of one element of each after
/// another the compiler makes gathers, which take twice as long as a single row.)
///
/// # Safety
/// Each row has n elements, the first row at x, `step` elements from one to the next.
#[inline(always)]
unsafe fn rows_in_order<O: Op>(acc: &mut [O::T], x: *const O::T, n: usize, step: usize) {
    // SAFETY: the caller's promise.
    let row = |i: usize| unsafe { std::slice::from_raw_parts(x.wrapping_add(i * step), n) };
    let (fours, rest) = acc.as_chunks_mut::<4>();
    for (k, acc) in fours.iter_mut().enumerate() {
        let rows: [&[O::T]; 4] = std::array::from_fn(|i| row(4 * k + i));
        let mut results = *acc;
        for start in (0..n / FEW * FEW).step_by(FEW) {
            for (result, row) in results.iter_mut().zip(rows) {
                in_order::<O>(result, &row[start..start + FEW]);
            }
        }
        for (result, row) in results.iter_mut().zip(rows) {
            in_order::<O>(result, &row[n / FEW * FEW..]);
        }
        *acc = results;
    }
    let first = 4 * fours.len();
    for (i, acc) in rest.iter_mut().enumerate() {
        in_order::<O>(acc, row(first + i));
    }
}

/// Elements of a row that are taken together.
const FEW: usize = 16;

/// Bytes from which on vectors had better begin where cache lines do: one that lies in two of them is read twice.
const LONG: usize = 1 << 10;

/// For associative and commutative operations.
#[inline(always)]
fn in_lanes<O: Op<T: Lane>, const LANES: usize>(acc: &mut O::T, x: &[O::T]) {
    let head = if size_of_val(x) < LONG { 0 } else { x.as_ptr().align_offset(LINE) };
    let (head, rest) = x.split_at(head.min(x.len()));
    in_order::<O>(acc, head);
    vectors::<O, LANES>(acc, rest)
}

/// The same, from wherever the elements begin.
#[inline(always)]
fn vectors<O: Op<T: Lane>, const LANES: usize>(acc: &mut O::T, x: &[O::T]) {
    if x.len() >= 8
        && let Some(result) = O::T::extreme(O::UFUNC, x)
    {
        *acc = O::call(*acc, result).settle(*acc, x);
        return;
    }
    // (It makes vectors of this by itself, and of lanes that are given to it gathers of one lane from several groups.)
    if O::T::ANY_ORDER {
        return in_order::<O>(acc, x);
    }
    let (groups, rest) = x.as_chunks::<LANES>();
    let Some((first, groups)) = groups.split_first() else { return in_order::<O>(acc, x) };
    let mut lanes = *first;
    for g in groups {
        for i in 0..LANES {
            lanes[i] = O::call(lanes[i], g[i]);
        }
    }
    let mut result = lanes.iter().skip(1).fold(lanes[0], |a, &b| O::call(a, b));
    result = rest.iter().fold(result, |a, &b| O::call(a, b));
    *acc = O::call(*acc, result).settle(*acc, x);
}

/// Elements of a row from which on the compiler's loop over it pays: what its vectors leave over it does one by one.
const LONG_ROW: usize = 512;

/// Rows of n elements, the first at x, `step` elements from one to the next. A few columns at a time go down some rows together, so
/// that their results stay in registers: where rows are short, loading and storing them would take longer than combining.
///
/// # Safety
/// All rows are valid.
#[inline(always)]
unsafe fn side_by_side<O: Op>(acc: &mut [O::T], x: *const O::T, step: usize, rows: usize, together: usize) {
    let n = acc.len();
    for first in (0..rows).step_by(together) {
        let (x, count) = (x.wrapping_add(first * step), together.min(rows - first));
        if count == 1 && n >= LONG_ROW {
            // SAFETY: the caller's promise.
            let x = unsafe { std::slice::from_raw_parts(x, n) };
            acc.iter_mut().zip(x).for_each(|(acc, &x)| *acc = O::call(*acc, x));
            continue;
        }
        // SAFETY: as above.
        unsafe {
            // (Whole vectors of bytes.)
            let done = if size_of::<O::T>() == 1 { down::<O, 64>(acc, x, step, count, 0) } else { 0 };
            let done = down::<O, 16>(acc, x, step, count, done);
            let done = down::<O, 4>(acc, x, step, count, done);
            down::<O, 1>(acc, x, step, count, done);
        }
    }
}

/// Columns from `j` on, N at a time; the first that is left.
///
/// # Safety
/// As for `side_by_side`.
#[inline(always)]
unsafe fn down<O: Op, const N: usize>(
    acc: &mut [O::T],
    x: *const O::T,
    step: usize,
    rows: usize,
    mut j: usize,
) -> usize {
    while let Some(some) = acc.get_mut(j..).and_then(|rest| rest.first_chunk_mut::<N>()) {
        let mut sums = *some;
        for i in 0..rows {
            // SAFETY: the caller's promise.
            let line = unsafe { x.add(i * step + j).cast::<[O::T; N]>().read() };
            for k in 0..N {
                sums[k] = O::call(sums[k], line[k]);
            }
        }
        *some = sums;
        j += N;
    }
    j
}

macro_rules! versions {
    ($name:ident, $features:literal) => {
        mod $name {
            use super::*;

            #[target_feature(enable = $features)]
            pub unsafe fn in_order<O: Op>(acc: *mut u8, x: *const u8, n: usize) {
                // SAFETY: the caller gives one element at acc and n at x, which do not overlap.
                unsafe {
                    super::in_order::<O>(&mut *(acc as *mut O::T), std::slice::from_raw_parts(x as *const O::T, n))
                }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn in_lanes<O: Op<T: Lane>>(acc: *mut u8, x: *const u8, n: usize) {
                // SAFETY: as above. 128 bytes of lanes are four AVX2 registers.
                unsafe {
                    let (acc, x) = (&mut *(acc as *mut O::T), std::slice::from_raw_parts(x as *const O::T, n));
                    match size_of::<O::T>() {
                        1 => super::in_lanes::<O, 128>(acc, x),
                        2 => super::in_lanes::<O, 64>(acc, x),
                        4 => super::in_lanes::<O, 32>(acc, x),
                        _ => super::in_lanes::<O, 16>(acc, x),
                    }
                }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn rows_in_order<O: Op>(acc: *mut u8, x: *const u8, n: usize, step: usize, rows: usize) {
                // SAFETY: the caller gives an element at acc for each row, and n in each row, which do not overlap.
                unsafe {
                    let acc = std::slice::from_raw_parts_mut(acc as *mut O::T, rows);
                    super::rows_in_order::<O>(acc, x as *const O::T, n, step)
                }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn rows_in_lanes<O: Op<T: Lane>>(
                acc: *mut u8,
                x: *const u8,
                n: usize,
                step: usize,
                rows: usize,
            ) {
                for i in 0..rows {
                    let size = size_of::<O::T>();
                    // SAFETY: as above.
                    unsafe { in_lanes::<O>(acc.add(i * size), x.add(i * step * size), n) }
                }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn side_by_side<O: Op>(
                acc: *mut u8,
                x: *const u8,
                n: usize,
                step: usize,
                rows: usize,
                together: usize,
            ) {
                // SAFETY: the caller gives n elements at acc and in each row, which do not overlap.
                unsafe {
                    let acc = std::slice::from_raw_parts_mut(acc as *mut O::T, n);
                    super::side_by_side::<O>(acc, x as *const O::T, step, rows, together)
                }
            }
        }
    };
}
versions!(base, "sse2");
versions!(avx2, "avx2");
versions!(avx512, "avx512f,avx512vl,avx512dq,avx512bw,avx2");

fn ordered<O: Op>() -> Fold {
    match isa() {
        Isa::Base => Fold { fold: base::in_order::<O>, apart: base::rows_in_order::<O>, rows: base::side_by_side::<O> },
        Isa::Avx2 => Fold { fold: avx2::in_order::<O>, apart: avx2::rows_in_order::<O>, rows: avx2::side_by_side::<O> },
        Isa::Avx512 => {
            Fold { fold: avx512::in_order::<O>, apart: avx512::rows_in_order::<O>, rows: avx512::side_by_side::<O> }
        }
    }
}

fn laned<O: Op<T: Lane>>() -> Fold {
    match isa() {
        Isa::Base => Fold { fold: base::in_lanes::<O>, apart: base::rows_in_lanes::<O>, rows: base::side_by_side::<O> },
        Isa::Avx2 => Fold { fold: avx2::in_lanes::<O>, apart: avx2::rows_in_lanes::<O>, rows: avx2::side_by_side::<O> },
        Isa::Avx512 => {
            Fold { fold: avx512::in_lanes::<O>, apart: avx512::rows_in_lanes::<O>, rows: avx512::side_by_side::<O> }
        }
    }
}

type Table = Vec<[Option<Fold>; 13]>;

/// Looks a reduction up: operations of two arguments whose result has the arguments' type.
pub fn fold(ufunc: Ufunc, dtype: DType) -> Option<&'static Fold> {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(table)[ufunc as usize][dtype as usize].as_ref()
}

/// Whether parts of a sequence may be reduced apart and then combined in order, with the same bits.
pub fn associative(ufunc: Ufunc, dtype: DType) -> bool {
    ufunc.props().associative && (!(dtype.is_float() || dtype.is_complex()) || ufunc.props().idempotent)
}

fn ascribe<T, F: Fn(T, T) -> T>(f: F) -> F {
    f
}

/// Adds the operation to the table if it has the right form.
macro_rules! entry {
    ([$table:ident] $variant:ident ($a:ident, $b:ident) $o:ident $meaning:expr) => { entry! { @same $table $variant $a $b $o $meaning } };
    ([$table:ident] $variant:ident ($($ins:ident),*) $o:ident $meaning:expr) => {};
    (@same $table:ident $variant:ident bool bool bool $meaning:expr) => { entry! { @laned $table $variant bool $meaning } };
    (@same $table:ident $variant:ident i8 i8 i8 $meaning:expr) => { entry! { @laned $table $variant i8 $meaning } };
    (@same $table:ident $variant:ident i16 i16 i16 $meaning:expr) => { entry! { @laned $table $variant i16 $meaning } };
    (@same $table:ident $variant:ident i32 i32 i32 $meaning:expr) => { entry! { @laned $table $variant i32 $meaning } };
    (@same $table:ident $variant:ident i64 i64 i64 $meaning:expr) => { entry! { @laned $table $variant i64 $meaning } };
    (@same $table:ident $variant:ident u8 u8 u8 $meaning:expr) => { entry! { @laned $table $variant u8 $meaning } };
    (@same $table:ident $variant:ident u16 u16 u16 $meaning:expr) => { entry! { @laned $table $variant u16 $meaning } };
    (@same $table:ident $variant:ident u32 u32 u32 $meaning:expr) => { entry! { @laned $table $variant u32 $meaning } };
    (@same $table:ident $variant:ident u64 u64 u64 $meaning:expr) => { entry! { @laned $table $variant u64 $meaning } };
    (@same $table:ident $variant:ident f32 f32 f32 $meaning:expr) => { entry! { @laned $table $variant f32 $meaning } };
    (@same $table:ident $variant:ident f64 f64 f64 $meaning:expr) => { entry! { @laned $table $variant f64 $meaning } };
    (@same $table:ident $variant:ident c64 c64 c64 $meaning:expr) => { entry! { @ordered $table $variant c64 $meaning } };
    (@same $table:ident $variant:ident c128 c128 c128 $meaning:expr) => { entry! { @ordered $table $variant c128 $meaning } };
    (@same $($other:tt)*) => {};
    (@laned $table:ident $variant:ident $t:ident $meaning:expr) => {{
        entry!(@op $variant $t $meaning);
        let lanes = associative(Ufunc::$variant, <$t as Native>::DTYPE) && Ufunc::$variant.flops() < 100;
        $table[Ufunc::$variant as usize][<$t as Native>::DTYPE as usize] = Some(if lanes { laned::<K>() } else { ordered::<K>() });
    }};
    (@ordered $table:ident $variant:ident $t:ident $meaning:expr) => {{
        entry!(@op $variant $t $meaning);
        $table[Ufunc::$variant as usize][<$t as Native>::DTYPE as usize] = Some(ordered::<K>());
    }};
    (@op $variant:ident $t:ident $meaning:expr) => {
        struct K;
        impl Op for K {
            type T = $t;
            const UFUNC: Ufunc = Ufunc::$variant;

            #[inline(always)]
            fn call(x: $t, y: $t) -> $t {
                ascribe::<$t, _>($meaning)(x, y)
            }
        }
    };
}

fn table() -> Table {
    let mut table: Table = vec![[None; 13]; Ufunc::ALL.len()];
    ufunc_loops!(entry, table);
    table
}
