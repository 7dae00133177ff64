//! Parts of arrays as the code of a nest sees them: where they begin, and how their elements lie.

use std::mem::offset_of;

use legate_jit_ir::nest::{AXES, Item, view};
use smallvec::SmallVec;

/// Elements in memory, of a type that whoever uses them knows. Machine code reads it, too.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) ptr: *mut u8,
    pub(super) axes: usize,
    pub(super) shape: [usize; AXES],
    /// In bytes.
    pub(super) strides: [isize; AXES],
}

const _: () = {
    assert!(size_of::<View>() == view::BYTES && offset_of!(View, ptr) == view::PTR);
    assert!(offset_of!(View, axes) == view::AXES);
    assert!(offset_of!(View, shape) == view::SHAPE && offset_of!(View, strides) == view::STRIDES);
};

impl View {
    pub(super) const NONE: View = View { ptr: std::ptr::null_mut(), axes: 0, shape: [0; AXES], strides: [0; AXES] };

    pub(super) fn new(ptr: *mut u8, shape: &[usize], strides: &[isize]) -> View {
        let mut view = View { ptr, axes: shape.len(), ..View::NONE };
        view.shape[..shape.len()].copy_from_slice(shape);
        view.strides[..strides.len()].copy_from_slice(strides);
        view
    }

    /// A single element, as a view without axes.
    pub(super) fn single(ptr: *mut u8) -> View {
        View { ptr, ..View::NONE }
    }

    /// New elements in C order.
    pub(super) fn packed(ptr: *mut u8, shape: &[usize], item: usize) -> View {
        let mut view = View::new(ptr, shape, &[]);
        let mut step = item as isize;
        for axis in (0..shape.len()).rev() {
            view.strides[axis] = step;
            step *= shape[axis] as isize;
        }
        view
    }

    pub(super) fn shape(&self) -> &[usize] {
        &self.shape[..self.axes]
    }

    pub(super) fn strides(&self) -> &[isize] {
        &self.strides[..self.axes]
    }

    pub(super) fn size(&self) -> usize {
        self.shape().iter().product()
    }

    /// Where the element of a vector is; `None` out of bounds.
    #[inline(always)]
    pub(super) fn at1(&self, i: i64) -> Option<*mut u8> {
        let i = wrapped(i, self.shape[0])?;
        Some(self.ptr.wrapping_offset(i * self.strides[0]))
    }

    /// The same for a matrix.
    #[inline(always)]
    pub(super) fn at2(&self, i: i64, j: i64) -> Option<*mut u8> {
        let i = wrapped(i, self.shape[0])?;
        let j = wrapped(j, self.shape[1])?;
        Some(self.ptr.wrapping_offset(i * self.strides[0] + j * self.strides[1]))
    }

    /// Whether its elements lie in the order of its indices, perhaps with others between them.
    pub(super) fn is_ordered(&self) -> bool {
        let mut last = usize::MAX;
        self.shape().iter().zip(self.strides()).filter(|(n, _)| **n > 1).all(|(_, step)| {
            let now = step.unsigned_abs();
            now > 0 && now <= std::mem::replace(&mut last, now)
        })
    }

    /// What some indices select; `None` out of bounds, and for too many axes.
    #[inline]
    pub(super) fn index(&self, items: &[Item], numbers: &[i64]) -> Option<View> {
        let mut out = View { ptr: self.ptr, ..View::NONE };
        let (mut from, mut to) = (0, 0);
        for item in items {
            if to == AXES && !matches!(item, Item::Int(_)) {
                return None;
            }
            match *item {
                Item::New => {
                    out.shape[to] = 1;
                    to += 1;
                    continue;
                }
                Item::Int(r) => {
                    let i = wrapped(numbers[r as usize], self.shape[from])?;
                    out.ptr = out.ptr.wrapping_offset(i * self.strides[from]);
                }
                Item::Slice(start, stop, step) => {
                    let n = self.shape[from] as i64;
                    let number = |r: Option<u16>| r.map(|r| numbers[r as usize]);
                    let (start, count) = sliced(number(start), number(stop), step, n);
                    out.shape[to] = count;
                    out.strides[to] = self.strides[from] * step as isize;
                    if count > 0 {
                        out.ptr = out.ptr.wrapping_offset(start as isize * self.strides[from]);
                    }
                    to += 1;
                }
            }
            from += 1;
        }
        while from < self.axes {
            if to == AXES {
                return None;
            }
            out.shape[to] = self.shape[from];
            out.strides[to] = self.strides[from];
            (from, to) = (from + 1, to + 1);
        }
        out.axes = to;
        Some(out)
    }

    pub(super) fn transposed(&self) -> View {
        let mut out = *self;
        out.shape[..self.axes].reverse();
        out.strides[..self.axes].reverse();
        out
    }

    /// The same elements repeated along other axes; `None` where that is not possible.
    #[inline]
    pub(super) fn broadcast(&self, shape: &[usize]) -> Option<View> {
        if self.shape() == shape {
            return Some(*self);
        }
        let lead = shape.len().checked_sub(self.axes)?;
        let mut out = View::new(self.ptr, shape, &[]);
        for axis in 0..self.axes {
            if self.shape[axis] == shape[lead + axis] {
                out.strides[lead + axis] = self.strides[axis];
            } else if self.shape[axis] != 1 {
                return None;
            }
        }
        Some(out)
    }

    /// The bytes from the first to the last of its elements, which have `item` bytes; none where there are no elements.
    pub(super) fn span(&self, item: usize) -> (usize, usize) {
        let (mut low, mut high) = (self.ptr.addr() as isize, self.ptr.addr() as isize + item as isize);
        for (&n, &s) in self.shape().iter().zip(self.strides()) {
            if n == 0 {
                return (0, 0);
            }
            let reach = s * (n as isize - 1);
            (low, high) = (low + reach.min(0), high + reach.max(0));
        }
        (low as usize, high as usize)
    }

    pub(super) fn overlaps(&self, other: &View, item: usize) -> bool {
        let (a, b) = (self.span(item), other.span(item));
        a.0 < b.1 && b.0 < a.1
    }

    /// Whether both name the same elements in the same order.
    pub(super) fn same(&self, other: &View) -> bool {
        let long = |n: usize, axis: usize| n < 2 || self.strides[axis] == other.strides[axis];
        let strides = || self.shape().iter().enumerate().all(|(axis, &n)| long(n, axis));
        self.ptr == other.ptr && self.shape() == other.shape() && strides()
    }

    /// Whether the elements lie one after the other.
    pub(super) fn is_packed(&self, item: usize) -> bool {
        let mut step = item as isize;
        self.shape().iter().zip(self.strides()).rev().all(|(&n, &s)| {
            let here = s == step || n < 2;
            step *= n as isize;
            here
        })
    }
}

/// The shape of an operation on two.
pub(super) fn broadcast(a: &View, b: &View) -> Option<SmallVec<[usize; AXES]>> {
    let (long, short) = if a.axes < b.axes { (b, a) } else { (a, b) };
    let mut shape: SmallVec<[usize; AXES]> = long.shape().into();
    let lead = long.axes - short.axes;
    for (axis, &n) in short.shape().iter().enumerate() {
        match (shape[lead + axis], n) {
            (m, n) if m == n => {}
            (1, n) => shape[lead + axis] = n,
            (_, 1) => {}
            _ => return None,
        }
    }
    Some(shape)
}

/// An index from the front.
#[inline(always)]
fn wrapped(i: i64, n: usize) -> Option<isize> {
    let i = if i < 0 { i + n as i64 } else { i };
    ((i as u64) < n as u64).then_some(i as isize)
}

/// Where a slice of `n` elements begins and how many it has, as `slice.indices` of Python.
#[inline]
fn sliced(start: Option<i64>, stop: Option<i64>, step: i64, n: i64) -> (i64, usize) {
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let clamped = |i: i64| if i < 0 { (i.saturating_add(n)).max(low) } else { i.min(high) };
    let start = start.map_or(if step > 0 { low } else { high }, clamped);
    let stop = stop.map_or(if step > 0 { high } else { low }, clamped);
    let distance = if step > 0 { stop - start } else { start - stop };
    if distance <= 0 { (0, 0) } else { (start, ((distance - 1) / step.abs() + 1) as usize) }
}
