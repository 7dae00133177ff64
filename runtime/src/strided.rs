//! Elements in memory by address, shape and strides: what runs operations without a plan is written in these.
//!
//! A boundary file: it reads and writes by addresses whose validity the callers promise.

use legate_jit_ir::ufunc::meaning::gcd;
use smallvec::SmallVec;

use crate::layout::{Layout, Strides};
use crate::trace::{PackedPerm, unpack};
use crate::vm::moves::{self, Rect};

/// The bytes from an index to the next along each axis of `shape`, to which the layout's own shape is broadcast.
#[inline(always)]
pub(crate) fn steps(layout: &Layout, shape: &[usize], item: usize) -> Strides {
    let mut out = Strides::new();
    for _ in layout.ndim()..shape.len() {
        out.push(0);
    }
    for (&n, &s) in layout.shape().iter().zip(&layout.strides) {
        out.push(if n == 1 { 0 } else { s * item as i64 });
    }
    out
}

pub(crate) fn in_order<T: Copy>(all: &[T], perm: PackedPerm) -> SmallVec<[T; 4]> {
    unpack(perm, all.len()).iter().map(|&d| all[d as usize]).collect()
}

/// Copies elements of `item` bytes from one place to another, each with its own steps in bytes.
///
/// # Safety
/// All elements of both are valid memory; they do not overlap.
pub(crate) unsafe fn copy(shape: &[usize], from: *const u8, by: &[i64], to: *mut u8, to_by: &[i64], item: usize) {
    let rect = |p: *const u8, by: &[i64]| match *by {
        [] => Rect { ptr: p.cast_mut(), row: 0, column: 0 },
        [column] => Rect { ptr: p.cast_mut(), row: 0, column },
        [.., row, column] => Rect { ptr: p.cast_mut(), row, column },
    };
    // SAFETY: the caller's promise.
    unsafe {
        match *shape {
            [] => to.copy_from_nonoverlapping(from, item),
            [n] => moves::copy(item, rect(from, by), rect(to, to_by), 1, n),
            [m, n] => moves::copy(item, rect(from, by), rect(to, to_by), m, n),
            [k, ref rest @ ..] => {
                for i in 0..k as isize {
                    let (from, to) =
                        (from.wrapping_offset(i * by[0] as isize), to.wrapping_offset(i * to_by[0] as isize));
                    copy(rest, from, &by[1..], to, &to_by[1..], item);
                }
            }
        }
    }
}

pub(crate) fn packed(shape: &[usize], item: usize) -> Strides {
    legate_jit_ir::shape::c_strides(shape).iter().map(|&s| s * item as i64).collect()
}

/// The addresses between which elements lie.
pub(crate) fn span(p: *const u8, shape: &[usize], by: &[i64], item: usize) -> (usize, usize) {
    let (mut low, mut high) = (p as isize, p as isize + item as isize);
    for (&n, &s) in shape.iter().zip(by) {
        let far = (n as isize - 1) * s as isize;
        if far < 0 { low += far } else { high += far }
    }
    (low as usize, high as usize)
}

/// The addresses between which a handle's elements lie.
pub(crate) fn reach(p: *const u8, layout: &Layout, item: usize) -> (usize, usize) {
    if layout.c_contiguous {
        return (p as usize, p as usize + layout.size * item);
    }
    let (mut low, mut high) = (p as isize, p as isize + item as isize);
    for (&n, &s) in layout.shape().iter().zip(&layout.strides) {
        let far = (n as isize - 1) * s as isize * item as isize;
        if far < 0 { low += far } else { high += far }
    }
    (low as usize, high as usize)
}

pub(crate) fn apart(a: (usize, usize), b: (usize, usize)) -> bool {
    a.1 <= b.0 || b.1 <= a.0
}

/// Whether elements of so many bytes never meet though they may lie between each other, as two columns of a matrix do: all addresses of
/// one differ from those of the other by the same remainder of what divides all steps.
pub(crate) fn interleaved(a: (*const u8, &[i64], usize), b: (*const u8, &[i64], usize)) -> bool {
    let common = a.1.iter().chain(b.1).fold(0, |common, &step| gcd(common, step.unsigned_abs()));
    if common == 0 {
        return false;
    }
    let behind = (b.0 as usize).wrapping_sub(a.0 as usize) as i64;
    let behind = behind.rem_euclid(common as i64) as usize;
    behind >= a.2 && behind + b.2 <= common as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_between_each_other_do_not_meet() {
        let bytes = [0u8; 400];
        let at = |k: usize| bytes.as_ptr().wrapping_add(k);
        // Every two elements of two are compared, and what is said to lie apart does.
        let meet = |(p, by, n): (usize, &[i64], usize), (q, other, m): (usize, &[i64], usize)| {
            let all = |p: usize, by: &[i64]| -> Vec<i64> {
                (0..4)
                    .flat_map(|i| (0..4).map(move |j| (i, j)))
                    .map(|(i, j)| p as i64 + i * by[0] + j * by[1])
                    .collect()
            };
            let (x, y) = (all(p, by), all(q, other));
            x.iter().any(|&x| y.iter().any(|&y| x < y + m as i64 && y < x + n as i64))
        };
        let mut apart = 0;
        for by in [[80, 8], [80, 16], [80, -16], [24, 0], [16, 48], [0, 0]] {
            for other in [[80, 8], [80, 16], [48, 16], [-24, 0]] {
                for (p, q) in [(100, 100), (100, 108), (108, 100), (100, 104), (100, 116), (124, 100)] {
                    for (n, m) in [(8, 8), (8, 4), (16, 8)] {
                        let said = interleaved((at(p), &by, n), (at(q), &other, m));
                        assert!(!said || !meet((p, &by, n), (q, &other, m)), "{by:?} {other:?} {p} {q} {n} {m}");
                        apart += said as usize;
                    }
                }
            }
        }
        assert!(apart > 20, "{apart}");
        assert!(interleaved((at(8), &[80], 8), (at(16), &[80], 8)));
    }
}
