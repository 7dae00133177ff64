//! Elements in memory by address, shape and strides: what runs operations without a plan is written in these.
//!
//! A boundary file: it reads and writes by addresses whose validity the callers promise.

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
