//! Elementwise operations on views.
//!
//! A boundary file: it reads and writes elements by address.

use std::ops::{Add, Div, Mul, Sub};

use legate_jit_ir::nest::AXES;
use legate_jit_ir::nest::code::Map;
use legate_jit_vmath::{Isa, isa};

use super::view::View;

pub(super) trait Real:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self>
{
}
impl Real for f32 {}
impl Real for f64 {}

/// A row of elements: where it begins, and how many elements the next one is away.
#[derive(Clone, Copy)]
struct Row<T> {
    ptr: *mut T,
    step: isize,
}

/// Calls `f` with where each row of views of one shape begins, and with how long it is.
#[inline(always)]
fn rows<const N: usize>(views: [&View; N], mut f: impl FnMut([*mut u8; N], usize)) {
    let axes = views[0].axes;
    let shape = views[0].shape;
    let ptrs = views.map(|v| v.ptr);
    match axes {
        0 => f(ptrs, 1),
        1 => f(ptrs, shape[0]),
        _ => {
            let outer = axes - 1;
            if shape[..axes].contains(&0) {
                return;
            }
            let mut index = [0usize; AXES];
            let mut at = ptrs;
            loop {
                f(at, shape[outer]);
                let mut axis = outer;
                loop {
                    if axis == 0 {
                        return;
                    }
                    axis -= 1;
                    index[axis] += 1;
                    let back = index[axis] == shape[axis];
                    for (p, v) in at.iter_mut().zip(views) {
                        let step = v.strides[axis];
                        let by = if back { step * (1 - shape[axis] as isize) } else { step };
                        *p = p.wrapping_offset(by);
                    }
                    if !back {
                        break;
                    }
                    index[axis] = 0;
                }
            }
        }
    }
}

/// How far the next element of a row is, in elements.
#[inline(always)]
fn step<T>(view: &View) -> isize {
    if view.axes == 0 { 0 } else { view.strides[view.axes - 1] / size_of::<T>() as isize }
}

/// `out[i] = a[i] op b[i]`.
///
/// # Safety
/// Views of one shape on elements of this type, whose strides are whole elements; `out` overlaps neither of the others.
pub(super) unsafe fn map<T: Real>(out: &View, a: &View, b: &View, op: Map) {
    // SAFETY: the caller's promise, and the machine's instructions.
    unsafe {
        match isa() {
            Isa::Base => map_all::<T>(out, a, b, op),
            Isa::Avx2 => map_avx2::<T>(out, a, b, op),
            Isa::Avx512 => map_avx512::<T>(out, a, b, op),
        }
    }
}

/// `old[i] = out[i]`, then `out[i] = out[i] op b[i]`.
///
/// # Safety
/// As for `map`; or `b` is the same view as `out`. `old` is room for as many elements, one after the other.
pub(super) unsafe fn update<T: Real>(out: &View, b: &View, old: &View, op: Map) {
    // SAFETY: the caller's promise, and the machine's instructions.
    unsafe {
        match isa() {
            Isa::Base => update_all::<T>(out, b, old, op),
            Isa::Avx2 => update_avx2::<T>(out, b, old, op),
            Isa::Avx512 => update_avx512::<T>(out, b, old, op),
        }
    }
}

/// # Safety
/// As for `map`, on a machine with these instructions.
#[target_feature(enable = "avx2")]
unsafe fn map_avx2<T: Real>(out: &View, a: &View, b: &View, op: Map) {
    // SAFETY: the caller's promise.
    unsafe { map_all::<T>(out, a, b, op) }
}

/// # Safety
/// As for `map`, on a machine with these instructions.
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn map_avx512<T: Real>(out: &View, a: &View, b: &View, op: Map) {
    // SAFETY: the caller's promise.
    unsafe { map_all::<T>(out, a, b, op) }
}

/// # Safety
/// As for `update`, on a machine with these instructions.
#[target_feature(enable = "avx2")]
unsafe fn update_avx2<T: Real>(out: &View, b: &View, old: &View, op: Map) {
    // SAFETY: the caller's promise.
    unsafe { update_all::<T>(out, b, old, op) }
}

/// # Safety
/// As for `update`, on a machine with these instructions.
#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn update_avx512<T: Real>(out: &View, b: &View, old: &View, op: Map) {
    // SAFETY: the caller's promise.
    unsafe { update_all::<T>(out, b, old, op) }
}

/// # Safety
/// As for `map`.
#[inline(always)]
unsafe fn map_all<T: Real>(out: &View, a: &View, b: &View, op: Map) {
    // SAFETY: the caller's promise.
    unsafe {
        match op {
            Map::Add => map_with::<T>(out, a, b, |x, y| x + y),
            Map::Subtract => map_with::<T>(out, a, b, |x, y| x - y),
            Map::Multiply => map_with::<T>(out, a, b, |x, y| x * y),
            Map::Divide => map_with::<T>(out, a, b, |x, y| x / y),
        }
    }
}

/// # Safety
/// As for `update`.
#[inline(always)]
unsafe fn update_all<T: Real>(out: &View, b: &View, old: &View, op: Map) {
    // SAFETY: the caller's promise.
    unsafe {
        match op {
            Map::Add => update_with::<T>(out, b, old, |x, y| x + y),
            Map::Subtract => update_with::<T>(out, b, old, |x, y| x - y),
            Map::Multiply => update_with::<T>(out, b, old, |x, y| x * y),
            Map::Divide => update_with::<T>(out, b, old, |x, y| x / y),
        }
    }
}

/// # Safety
/// As for `map`.
#[inline(always)]
unsafe fn map_with<T: Real>(out: &View, a: &View, b: &View, f: impl Fn(T, T) -> T + Copy) {
    let (by_out, by_a, by_b) = (step::<T>(out), step::<T>(a), step::<T>(b));
    rows([out, a, b], |[out, a, b], n| {
        let out = Row { ptr: out.cast::<T>(), step: by_out };
        let (a, b) = (Row { ptr: a.cast::<T>(), step: by_a }, Row { ptr: b.cast::<T>(), step: by_b });
        // SAFETY: the caller's promise: rows of so many elements, of which `out` overlaps no other.
        unsafe { map_row(n, out, a, b, f) }
    });
}

/// # Safety
/// Rows of `n` elements; `out` overlaps neither of the others.
#[inline(always)]
unsafe fn map_row<T: Real>(n: usize, out: Row<T>, a: Row<T>, b: Row<T>, f: impl Fn(T, T) -> T) {
    use std::slice::{from_raw_parts, from_raw_parts_mut};
    // SAFETY: the caller's promise.
    unsafe {
        match (n, out.step, a.step, b.step) {
            (0, ..) => {}
            (_, 1, 1, 1) => {
                let (a, b) = (from_raw_parts(a.ptr, n), from_raw_parts(b.ptr, n));
                for ((o, &x), &y) in from_raw_parts_mut(out.ptr, n).iter_mut().zip(a).zip(b) {
                    *o = f(x, y);
                }
            }
            (_, 1, 1, 0) => {
                let y = b.ptr.read();
                for (o, &x) in from_raw_parts_mut(out.ptr, n).iter_mut().zip(from_raw_parts(a.ptr, n)) {
                    *o = f(x, y);
                }
            }
            (_, 1, 0, 1) => {
                let x = a.ptr.read();
                for (o, &y) in from_raw_parts_mut(out.ptr, n).iter_mut().zip(from_raw_parts(b.ptr, n)) {
                    *o = f(x, y);
                }
            }
            (_, 1, -1, 0) => {
                let (a, y) = (from_raw_parts(a.ptr.sub(n - 1), n), b.ptr.read());
                for (o, &x) in from_raw_parts_mut(out.ptr, n).iter_mut().zip(a.iter().rev()) {
                    *o = f(x, y);
                }
            }
            (_, 1, 0, -1) => {
                let (x, b) = (a.ptr.read(), from_raw_parts(b.ptr.sub(n - 1), n));
                for (o, &y) in from_raw_parts_mut(out.ptr, n).iter_mut().zip(b.iter().rev()) {
                    *o = f(x, y);
                }
            }
            _ => {
                for i in 0..n as isize {
                    let (x, y) = (a.ptr.offset(i * a.step).read(), b.ptr.offset(i * b.step).read());
                    out.ptr.offset(i * out.step).write(f(x, y));
                }
            }
        }
    }
}

/// # Safety
/// As for `update`.
#[inline(always)]
unsafe fn update_with<T: Real>(out: &View, b: &View, old: &View, f: impl Fn(T, T) -> T + Copy) {
    let (by_out, by_b, same) = (step::<T>(out), step::<T>(b), out.same(b));
    rows([out, b, old], |[out, b, old], n| {
        let (out, b) = (Row { ptr: out.cast::<T>(), step: by_out }, Row { ptr: b.cast::<T>(), step: by_b });
        // SAFETY: the caller's promise.
        unsafe { update_row(n, out, b, old.cast::<T>(), same, f) }
    });
}

/// # Safety
/// Rows of `n` elements, the same or apart, and room for `n` more.
#[inline(always)]
unsafe fn update_row<T: Real>(n: usize, out: Row<T>, b: Row<T>, old: *mut T, same: bool, f: impl Fn(T, T) -> T) {
    use std::slice::{from_raw_parts, from_raw_parts_mut};
    // SAFETY: the caller's promise.
    unsafe {
        match (out.step, b.step) {
            (1, 1) if !same && n > 0 => {
                let (out, old) = (from_raw_parts_mut(out.ptr, n), from_raw_parts_mut(old, n));
                for ((o, old), &y) in out.iter_mut().zip(old).zip(from_raw_parts(b.ptr, n)) {
                    *old = *o;
                    *o = f(*o, y);
                }
            }
            (1, 0) if !same && n > 0 => {
                let y = b.ptr.read();
                for (o, old) in from_raw_parts_mut(out.ptr, n).iter_mut().zip(from_raw_parts_mut(old, n)) {
                    *old = *o;
                    *o = f(*o, y);
                }
            }
            _ => {
                for i in 0..n as isize {
                    let (o, y) = (out.ptr.offset(i * out.step), b.ptr.offset(i * b.step).read());
                    let x = o.read();
                    old.offset(i).write(x);
                    o.write(f(x, y));
                }
            }
        }
    }
}

/// `to[i] = from[i]` for elements of 1, 2, 4 or 8 bytes.
///
/// # Safety
/// Views of one shape on elements of so many bytes, the same or apart.
pub(super) unsafe fn strided_copy(to: &View, from: &View, item: usize) {
    // SAFETY: the caller's promise, and the machine's instructions.
    unsafe {
        match (item, isa()) {
            (8, Isa::Base) => copy_of::<u64>(to, from),
            (8, _) => copy_avx2(to, from),
            (4, _) => copy_of::<u32>(to, from),
            (2, _) => copy_of::<u16>(to, from),
            _ => copy_of::<u8>(to, from),
        }
    }
}

/// # Safety
/// As for `strided_copy`, on a machine with these instructions.
#[target_feature(enable = "avx2")]
unsafe fn copy_avx2(to: &View, from: &View) {
    // SAFETY: the caller's promise.
    unsafe { copy_of::<u64>(to, from) }
}

/// # Safety
/// As for `strided_copy`.
#[inline(always)]
unsafe fn copy_of<T: Copy>(to: &View, from: &View) {
    let (by_to, by_from) = (step::<T>(to), step::<T>(from));
    rows([to, from], |[to, from], n| {
        let (to, from) = (to.cast::<T>(), from.cast::<T>());
        // SAFETY: the caller's promise.
        unsafe {
            match (n, by_to, by_from) {
                (_, 1, 1) => return std::ptr::copy(from, to, n),
                // (Two or more that run against each other are apart.)
                (2.., 1, -1) if is_aligned(from) && is_aligned(to) => {
                    let from = std::slice::from_raw_parts(from.sub(n - 1), n);
                    let to = std::slice::from_raw_parts_mut(to, n);
                    to.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = *from);
                    return;
                }
                _ => {}
            }
            for i in 0..n as isize {
                to.offset(i * by_to).write_unaligned(from.offset(i * by_from).read_unaligned());
            }
        }
    });
}

fn is_aligned<T>(p: *mut T) -> bool {
    p.addr().is_multiple_of(align_of::<T>())
}

/// `out[k] = from[of[k]]`; `None` where an index is out of bounds.
///
/// # Safety
/// Vectors of elements of this type (`of` of i64), `out` as long as `of` and in memory of its own, one element after the other.
pub(super) unsafe fn take<T: Copy>(out: &View, from: &View, of: &View) -> Option<()> {
    let out = out.ptr.cast::<T>();
    for k in 0..of.shape[0] {
        // SAFETY: the caller's promise; the index was compared with the axis.
        unsafe {
            let i = of.ptr.offset(k as isize * of.strides[0]).cast::<i64>().read();
            out.add(k).write_unaligned(from.at1(i)?.cast::<T>().read_unaligned());
        }
    }
    Some(())
}
