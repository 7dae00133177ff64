//! Products of small matrices: a call of a BLAS takes longer than their arithmetic, and a stack of matrices is a call for each.
//! Every result is the sum in order, a product added in one step where the machine has that: what a BLAS's kernels do with sums
//! as short as these. Of complex numbers they form two sums in whole vectors of columns, the products with the left factor's real
//! part and those with its imaginary part, which are joined at the end; in the columns that are left, one sum takes both in turn.
//!
//! A boundary file: it reads and writes operands by address.

use std::mem::MaybeUninit;
use std::ops::{Add, Mul, Range, Sub};

use legate_jit_vmath::{Isa, isa};

use super::Strided;

/// Multiplications up to which a product is one of these: 16×16×16. Beyond that a BLAS is as fast.
const STEPS: usize = 4096;
/// Elements of a right matrix, which is put in order first where its rows do not lie together.
const RIGHT: usize = 512;

/// An element type.
pub(super) trait Real: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> {
    const ZERO: Self;
    fn add_product<const FUSED: bool>(self, x: Self, y: Self) -> Self;
}

macro_rules! real {
    ($($t:ident)*) => { $(
        impl Real for $t {
            const ZERO: $t = 0.0;

            #[inline(always)]
            fn add_product<const FUSED: bool>(self, x: $t, y: $t) -> $t {
                if FUSED { x.mul_add(y, self) } else { self + x * y }
            }
        }
    )* };
}
real!(f32 f64);

/// How the matrices of a product lie, in numbers: a complex element is two.
#[derive(Clone, Copy)]
pub(super) struct Small {
    m: usize,
    n: usize,
    p: usize,
    a: [isize; 2],
    b: [isize; 2],
    /// From one row of the result to the next.
    out: isize,
    /// The operands change places: a matrix times a vector is the vector times the matrix the other way round.
    turned: bool,
    complex: bool,
}

impl Small {
    /// For matrices (or stacks of them, `lead` axes before theirs), of which the result has `rows` rows where `out` may be some of
    /// them. `None` for what is large, for vectors that are no stack of them, and for what lies across.
    pub(super) fn new(a: &Strided, b: &Strided, out: &Strided, lead: usize, rows: usize) -> Option<Small> {
        let unit = 1 + out.dtype.is_complex() as usize;
        let item = (out.dtype.size() / unit) as i64;
        let (m, p, n) = (out.shape[lead], out.shape[lead + 1], a.shape[lead + 1]);
        let aligned =
            |s: &Strided| s.ptr.addr().is_multiple_of(item as usize) && s.strides.iter().all(|s| s % item == 0);
        let work = rows.saturating_mul(n).saturating_mul(p).saturating_mul(unit * unit);
        if work > STEPS || m * n * p == 0 || ![a, b, out].into_iter().all(aligned) {
            return None;
        }
        let steps = |s: &Strided| [(s.strides[lead] / item) as isize, (s.strides[lead + 1] / item) as isize];
        let (by_a, by_b, by) = (steps(a), steps(b), steps(out));
        let together = unit as isize;
        let small = match (rows, p) {
            (1, 1) => return None,
            (1, _) | (_, 1) if unit == 2 => return None,
            (_, 1) => {
                let (a, b) = ([by_b[1], by_b[0]], [by_a[1], by_a[0]]);
                if by[0] != 1 && m > 1 {
                    return None;
                }
                Small { m: 1, n, p: m, a, b, out: 0, turned: true, complex: false }
            }
            _ if by[1] != together => return None,
            _ => Small { m, n, p: p * unit, a: by_a, b: by_b, out: by[0], turned: false, complex: unit == 2 },
        };
        let vector = rows == 1 || p == 1;
        (n * small.p <= RIGHT && !(vector && lead == 0)).then_some(small)
    }

    /// Products number `range` of the stacks, which `at` finds in memory.
    ///
    /// # Safety
    /// Addresses of matrices of this type that lie so; the results overlap none of the operands.
    pub(super) unsafe fn run<T: Real>(&self, range: Range<usize>, at: impl Fn(usize) -> [*mut u8; 3]) {
        // SAFETY: the caller's promise, and the machine's instructions.
        unsafe {
            match isa() {
                Isa::Base => all::<T, false>(self, range, at),
                Isa::Avx2 => avx2::<T>(self, range, at),
                Isa::Avx512 => avx512::<T>(self, range, at),
            }
        }
    }
}

/// # Safety
/// As for `Small::run`, on a machine with these instructions.
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<T: Real>(s: &Small, range: Range<usize>, at: impl Fn(usize) -> [*mut u8; 3]) {
    // SAFETY: the caller's promise.
    unsafe { all::<T, true>(s, range, at) }
}

/// # Safety
/// As for `Small::run`, on a machine with these instructions.
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
unsafe fn avx512<T: Real>(s: &Small, range: Range<usize>, at: impl Fn(usize) -> [*mut u8; 3]) {
    // SAFETY: the caller's promise.
    unsafe { all::<T, true>(s, range, at) }
}

/// # Safety
/// As for `Small::run`.
#[inline(always)]
unsafe fn all<T: Real, const FUSED: bool>(s: &Small, range: Range<usize>, at: impl Fn(usize) -> [*mut u8; 3]) {
    let mut room = [const { MaybeUninit::<T>::uninit() }; RIGHT];
    for i in range {
        let [a, b, out] = at(i).map(|p| p.cast::<T>());
        let (a, b) = if s.turned { (b, a) } else { (a, b) };
        // SAFETY: the caller's promise; the room has a place for each element, as `new` saw to.
        unsafe {
            match (s.complex, s.b[1]) {
                (false, 1) => strips::<T, FUSED, TOGETHER>(s, a, b, out),
                (true, 2) => strips::<T, FUSED, COMPLEX>(s, a, b, out),
                (false, _) if s.p == 1 => strips::<T, FUSED, TOGETHER>(s, a, b, out),
                (false, _) if s.m == 1 => strips::<T, FUSED, APART>(s, a, b, out),
                (complex, _) => {
                    let unit = 1 + complex as usize;
                    for k in 0..s.n {
                        for j in 0..s.p {
                            let at = k as isize * s.b[0] + (j / unit) as isize * s.b[1] + (j % unit) as isize;
                            room[k * s.p + j].write(b.offset(at).read());
                        }
                    }
                    let (s, b) = (Small { b: [s.p as isize, unit as isize], ..*s }, room.as_ptr().cast());
                    if complex {
                        strips::<T, FUSED, COMPLEX>(&s, a, b, out);
                    } else {
                        strips::<T, FUSED, TOGETHER>(&s, a, b, out);
                    }
                }
            }
        }
    }
}

/// How a row of the right matrix lies: its numbers side by side, or apart, or side by side as real and imaginary parts, the columns
/// that fill vectors and the last ones.
const TOGETHER: u8 = 0;
const APART: u8 = 1;
const COMPLEX: u8 = 2;
const COMPLEX_REST: u8 = 3;

/// Calls `$f` with where each part begins that 0..n is cut into, of a size each: the last one goes back over what is done already.
/// (No closures: they would not have the instruction set, and would be called.)
macro_rules! by_parts {
    ($size:literal, $n:expr, |$at:ident| $f:expr) => {
        let mut next = 0;
        while next < $n {
            let $at = next.min($n - $size);
            $f;
            next += $size;
        }
    };
}

/// All columns, a vector of them at a time.
///
/// # Safety
/// Matrices as `s` says.
#[inline(always)]
unsafe fn strips<T: Real, const FUSED: bool, const FORM: u8>(s: &Small, a: *const T, b: *const T, out: *mut T) {
    if FORM == COMPLEX {
        // SAFETY: the caller's promise.
        return unsafe { complex_strips::<T, FUSED>(s, a, b, out) };
    }
    // SAFETY: the caller's promise.
    unsafe {
        match s.p {
            0..2 => rows::<T, FUSED, FORM, 1>(s, a, b, out, 0),
            2..4 => {
                by_parts!(2, s.p, |j| rows::<T, FUSED, FORM, 2>(s, a, b, out, j));
            }
            4..=7 => {
                by_parts!(4, s.p, |j| rows::<T, FUSED, FORM, 4>(s, a, b, out, j));
            }
            16.. if size_of::<T>() == 4 => {
                by_parts!(16, s.p, |j| rows::<T, FUSED, FORM, 16>(s, a, b, out, j));
            }
            _ => {
                by_parts!(8, s.p, |j| rows::<T, FUSED, FORM, 8>(s, a, b, out, j));
            }
        }
    }
}

/// The same for complex elements.
///
/// # Safety
/// As for `strips`.
#[inline(always)]
unsafe fn complex_strips<T: Real, const FUSED: bool>(s: &Small, a: *const T, b: *const T, out: *mut T) {
    let vector = 64 / size_of::<T>();
    let whole = s.p - s.p % vector;
    // SAFETY: the caller's promise.
    unsafe {
        for j in (0..whole).step_by(vector) {
            if vector == 16 {
                rows::<T, FUSED, COMPLEX, 16>(s, a, b, out, j);
            } else {
                rows::<T, FUSED, COMPLEX, 8>(s, a, b, out, j);
            }
        }
        let mut j = whole;
        while j + 4 <= s.p {
            rows::<T, FUSED, COMPLEX_REST, 4>(s, a, b, out, j);
            j += 4;
        }
        if j < s.p {
            rows::<T, FUSED, COMPLEX_REST, 2>(s, a, b, out, j);
        }
    }
}

/// W columns from `j` on.
///
/// # Safety
/// As for `strips`.
#[inline(always)]
unsafe fn rows<T: Real, const FUSED: bool, const FORM: u8, const W: usize>(
    s: &Small,
    a: *const T,
    b: *const T,
    out: *mut T,
    j: usize,
) {
    // SAFETY: rows and columns of the matrices.
    unsafe {
        let (by, to_by) = (s.a[0], s.out);
        let (b, out) = (if FORM == APART { b.offset(j as isize * s.b[1]) } else { b.add(j) }, out.add(j));
        match s.m {
            0..2 => tile::<T, FUSED, FORM, 1, W>(s, a, b, out),
            2..4 => {
                by_parts!(2, s.m, |i| {
                    tile::<T, FUSED, FORM, 2, W>(s, a.offset(i as isize * by), b, out.offset(i as isize * to_by));
                });
            }
            _ => {
                by_parts!(4, s.m, |i| {
                    tile::<T, FUSED, FORM, 4, W>(s, a.offset(i as isize * by), b, out.offset(i as isize * to_by));
                });
            }
        }
    }
}

/// # Safety
/// R rows and W columns from these addresses on.
#[inline(always)]
unsafe fn tile<T: Real, const FUSED: bool, const FORM: u8, const R: usize, const W: usize>(
    s: &Small,
    a: *const T,
    b: *const T,
    out: *mut T,
) {
    if FORM >= COMPLEX {
        // SAFETY: the caller's promise.
        return unsafe { complex_tile::<T, FUSED, FORM, R, W>(s, a, b, out) };
    }
    let mut sums = [[T::ZERO; W]; R];
    // SAFETY: the caller's promise.
    unsafe {
        for k in 0..s.n as isize {
            let row = b.offset(k * s.b[0]);
            let mut line = [T::ZERO; W];
            if FORM == APART {
                for (w, y) in line.iter_mut().enumerate() {
                    *y = row.offset(w as isize * s.b[1]).read();
                }
            } else {
                line = row.cast::<[T; W]>().read();
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let x = a.offset(r as isize * s.a[0] + k * s.a[1]).read();
                for w in 0..W {
                    sums[w] = sums[w].add_product::<FUSED>(x, line[w]);
                }
            }
        }
        for (r, sums) in sums.into_iter().enumerate() {
            out.offset(r as isize * s.out).cast::<[T; W]>().write(sums);
        }
    }
}

/// The same for complex elements, of which W numbers are half as many.
///
/// # Safety
/// As for `tile`.
#[inline(always)]
unsafe fn complex_tile<T: Real, const FUSED: bool, const FORM: u8, const R: usize, const W: usize>(
    s: &Small,
    a: *const T,
    b: *const T,
    out: *mut T,
) {
    let mut sums = [[T::ZERO; W]; R];
    let mut by_imaginary = [[T::ZERO; W]; R];
    // SAFETY: the caller's promise.
    unsafe {
        for k in 0..s.n as isize {
            let line = b.offset(k * s.b[0]).cast::<[T; W]>().read();
            for r in 0..R {
                let [x, y] = a.offset(r as isize * s.a[0] + k * s.a[1]).cast::<[T; 2]>().read();
                if FORM == COMPLEX_REST {
                    for w in (0..W).step_by(2) {
                        sums[r][w] = sums[r][w].add_product::<FUSED>(T::ZERO - y, line[w + 1]);
                        sums[r][w + 1] = sums[r][w + 1].add_product::<FUSED>(y, line[w]);
                    }
                }
                for w in 0..W {
                    sums[r][w] = sums[r][w].add_product::<FUSED>(x, line[w]);
                    if FORM == COMPLEX {
                        by_imaginary[r][w] = by_imaginary[r][w].add_product::<FUSED>(y, line[w]);
                    }
                }
            }
        }
        for r in 0..R {
            let mut row = [T::ZERO; W];
            for w in (0..W).step_by(2) {
                let (mut re, mut im) = (sums[r][w], sums[r][w + 1]);
                if FORM == COMPLEX {
                    (re, im) = (re - by_imaginary[r][w + 1], im + by_imaginary[r][w]);
                }
                // A BLAS multiplies by the factor 1 + 0i and adds the result to 0, which shows where it is infinite.
                row[w] = T::ZERO + (re - im * T::ZERO);
                row[w + 1] = T::ZERO + (im + re * T::ZERO);
            }
            out.offset(r as isize * s.out).cast::<[T; W]>().write(row);
        }
    }
}
