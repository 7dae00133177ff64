//! Other views of the same base: axes moved, added, taken away, merged and cut.

use legate_jit_ir::shape::size;
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Shape, View};
use smallvec::SmallVec;

use super::{Array, Index};
use crate::error::shape_text;
use crate::layout::{Class, Layout};
use crate::session::lock;
use crate::shared::Shared;
use crate::trace::Part;
use crate::{Error, Result};

/// A possibly negative axis, or NumPy's AxisError.
pub fn normalize_axis(axis: i64, ndim: usize) -> Result<usize> {
    let at = if axis < 0 { axis + ndim as i64 } else { axis };
    if at < 0 || at >= ndim as i64 {
        return Err(Error::Axis(format!("axis {axis} is out of bounds for array of dimension {ndim}")));
    }
    Ok(at as usize)
}

impl Array {
    /// Axes in the order of `axes`; `None` reverses them.
    pub fn transpose(&self, axes: Option<&[i64]>) -> Result<Array> {
        let Some(axes) = axes else { return Ok(self.transposed()) };
        if axes.len() != self.ndim() {
            return Err(Error::Value("axes don't match array".into()));
        }
        let mut perm: SmallVec<[u32; 4]> = SmallVec::new();
        for &a in axes {
            let a = normalize_axis(a, self.ndim())? as u32;
            if perm.contains(&a) {
                return Err(Error::Value("repeated axis in transpose".into()));
            }
            perm.push(a);
        }
        Ok(self.permuted(&perm))
    }

    #[inline]
    pub fn transposed(&self) -> Array {
        self.seen(self.layout.reversed())
    }

    pub(crate) fn permuted(&self, perm: &[u32]) -> Array {
        self.seen(crate::layout::in_order(&self.layout, perm))
    }

    pub fn swapaxes(&self, a: i64, b: i64) -> Result<Array> {
        let bad = |e: Error, name: &str| Error::Axis(format!("{name}: {e}"));
        let a = normalize_axis(a, self.ndim()).map_err(|e| bad(e, "axis1"))?;
        let b = normalize_axis(b, self.ndim()).map_err(|e| bad(e, "axis2"))?;
        let mut perm: SmallVec<[u32; 4]> = (0..self.ndim() as u32).collect();
        perm.swap(a, b);
        Ok(self.permuted(&perm))
    }

    /// C order; a view where NumPy gives one. One extent may be -1.
    pub fn reshape(&self, shape: &[i64]) -> Result<Array> {
        let shape = fill_in(shape, self.shape())?;
        match self.layout.reshaped(&shape) {
            Some(layout) => Ok(self.seen(layout)),
            None => {
                let flat = if self.part == Part::Whole { self.copy(false)? } else { self.whole_copy()? };
                let layout = flat.layout.reshaped(&shape).expect("a fresh copy is whole");
                Ok(flat.seen(layout))
            }
        }
    }

    fn whole_copy(&self) -> Result<Array> {
        lock().copied(self, self.dtype, &self.layout.full(), 0)
    }

    /// 1-d, a view where NumPy gives one.
    pub fn ravel(&self) -> Result<Array> {
        if self.c_contiguous()
            && let Some(layout) = self.layout.reshaped(&[self.size()])
        {
            return Ok(self.seen(layout));
        }
        let copy = self.copy(false)?;
        copy.reshape(&[-1])
    }

    /// A read-only view.
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Array> {
        if legate_jit_ir::shape::broadcast(self.shape(), shape).as_deref() != Some(shape) {
            return Err(Error::Value(format!(
                "operands could not be broadcast together with remapped shapes [original->remapped]: {}  and \
                 requested shape {}",
                shape_text(self.shape(), ","),
                shape_text(shape, ",")
            )));
        }
        let mut out = self.seen(self.layout.then(&View::broadcast(self.shape(), shape)));
        out.set_writable(false);
        Ok(out)
    }

    /// Axes of extent 1 taken away; all of them or the named ones.
    pub fn squeeze(&self, axes: Option<&[i64]>) -> Result<Array> {
        let mut drop: SmallVec<[bool; 4]> = self.shape().iter().map(|&n| n == 1 && axes.is_none()).collect();
        for &a in axes.unwrap_or(&[]) {
            let a = normalize_axis(a, self.ndim())?;
            if self.shape()[a] != 1 {
                return Err(Error::Value(
                    "cannot select an axis to squeeze out which has size not equal to one".into(),
                ));
            }
            drop[a] = true;
        }
        let mut view = View { shape: Shape::new(), axes: SmallVec::new() };
        for (d, &n) in self.shape().iter().enumerate() {
            if drop[d] {
                view.axes.push(AxisMap::at(0));
            } else {
                view.axes.push(AxisMap::along(0, view.shape.len(), 1));
                view.shape.push(n);
            }
        }
        Ok(self.seen(self.layout.then(&view)))
    }

    /// A new axis of extent 1 at this place of the result.
    pub fn expand_dims(&self, at: usize) -> Array {
        // Index expressions are remembered.
        let mut items: SmallVec<[Index; 4]> = SmallVec::from_elem(Index::ALL, at);
        items.push(Index::NewAxis);
        self.index(&items).expect("no index is out of bounds")
    }

    /// Every element (of the flat array, or along an axis) so many times.
    pub fn repeat(&self, times: usize, axis: Option<i64>) -> Result<Array> {
        if let &[n] = self.shape()
            && matches!(axis, None | Some(0))
            && let Some(long) = n.checked_mul(times)
            && let Some(done) = lock().repeat_now(self, 0, times, &Layout::identity(&[long]))?
        {
            return Ok(done);
        }
        let flat;
        let (a, axis) = match axis {
            Some(axis) => (self, normalize_axis(axis, self.ndim())?),
            None => {
                flat = self.ravel()?;
                (&flat, 0)
            }
        };
        let mut long: SmallVec<[i64; 4]> = a.shape().iter().map(|&n| n as i64).collect();
        let too_long = || Error::Value("array is too big; the number of its elements overflows".into());
        long[axis] = long[axis].checked_mul(times as i64).ok_or_else(too_long)?;
        let shape = super::check_shape(&long, a.dtype())?;
        if let Some(done) = lock().repeat_now(a, axis, times, &Layout::identity(&shape))? {
            return Ok(done);
        }
        let mut wide: Shape = a.shape().into();
        wide.insert(axis + 1, times);
        a.expand_dims(axis + 1).broadcast_to(&wide)?.copy(false)?.reshape(&long)
    }

    pub(crate) fn trailing_axes(&self, n: usize) -> Array {
        let mut view = View::identity(self.shape());
        view.shape.extend(std::iter::repeat_n(1, n));
        self.seen(self.layout.then(&view))
    }

    pub(crate) fn without_leading(&self, n: usize) -> Array {
        let axes: SmallVec<[AxisMap; 4]> =
            (0..self.ndim()).map(|d| if d < n { AxisMap::at(0) } else { AxisMap::along(0, d - n, 1) }).collect();
        self.seen(self.layout.then(&View { shape: self.shape()[n..].into(), axes }))
    }

    /// The base seen with other strides: `offset` and `strides` in elements of the base from its start. `None` where that is
    /// no view of the base (another type, elements outside).
    pub fn as_strided(&self, shape: &[usize], strides: &[i64], offset: i64, dtype: DType) -> Option<Array> {
        let whole = self.whole_base();
        if whole.dtype != dtype || shape.contains(&0) {
            return None;
        }
        let (mut low, mut high) = (offset, offset);
        for (&n, &s) in shape.iter().zip(strides) {
            let last = s * (n as i64 - 1);
            low += last.min(0);
            high += last.max(0);
        }
        if low < 0 || high >= whole.size() as i64 {
            return None;
        }
        Some(whole.seen(Layout::from_strides(whole.size(), shape, strides, offset)))
    }

    /// `np.diagonal`: a view, read-only as NumPy's.
    pub fn diagonal(&self, offset: i64, axis1: i64, axis2: i64) -> Result<Array> {
        if self.ndim() < 2 {
            return Err(Error::Value("diag requires an array of at least two dimensions".into()));
        }
        let a = normalize_axis(axis1, self.ndim()).map_err(|e| Error::Axis(format!("axis1: {e}")))?;
        let b = normalize_axis(axis2, self.ndim()).map_err(|e| Error::Axis(format!("axis2: {e}")))?;
        if a == b {
            return Err(Error::Value("axis1 and axis2 cannot be the same".into()));
        }
        let layout = match i32::try_from(offset) {
            Ok(short) if self.ndim() == 2 && a == 0 => {
                let key = 1 << 63 | short as u32 as u64;
                crate::layout::remembered(&self.layout, key, || diagonal_of(&self.layout, offset, a, b))
            }
            _ => diagonal_of(&self.layout, offset, a, b),
        };
        let mut out = self.seen(layout);
        out.set_writable(false);
        Ok(out)
    }

    /// `a.real`: a view of a complex array's real parts, the array itself otherwise.
    pub fn real(&self) -> Array {
        self.part_view(Part::Real).unwrap_or_else(|| self.clone())
    }

    /// `a.imag`: a view, or read-only zeros.
    pub fn imag(&self) -> Result<Array> {
        match self.part_view(Part::Imag) {
            Some(a) => Ok(a),
            None => {
                let mut zeros = Array::zeros(self.shape(), self.dtype)?;
                zeros.set_writable(false);
                Ok(zeros)
            }
        }
    }

    fn part_view(&self, part: Part) -> Option<Array> {
        if !self.dtype.is_complex() {
            return None;
        }
        let mut a = self.seen(self.layout.clone());
        a.part = part;
        a.dtype = self.dtype.real();
        Some(a)
    }

    /// The array with the axes that NumPy's iterator would walk outermost first, and their order.
    pub(crate) fn in_memory_order(&self) -> (Array, SmallVec<[u32; 4]>) {
        if self.layout.class == Class::Identity {
            return (self.clone(), (0..self.ndim() as u32).collect());
        }
        let mut strides = self.layout.strides.clone();
        for (s, &n) in strides.iter_mut().zip(self.shape()) {
            if n == 1 {
                *s = 0;
            }
        }
        let perm = crate::layout::k_order(self.ndim(), &[strides]);
        if crate::layout::is_sorted(&perm) {
            return (self.clone(), perm);
        }
        (self.permuted(&perm), perm)
    }
}

/// The elements at `offset` from the diagonal of two axes, along a last axis.
fn diagonal_of(layout: &Layout, offset: i64, a: usize, b: usize) -> Shared<Layout> {
    let shape = layout.shape();
    let (rows, cols) = (shape[a] as i64, shape[b] as i64);
    let n = if offset >= 0 { rows.min(cols - offset) } else { (rows + offset).min(cols) }.max(0);
    let last = shape.len() - 2;
    let mut view = View { shape: Shape::new(), axes: SmallVec::new() };
    for (d, &extent) in shape.iter().enumerate() {
        if d == a {
            view.axes.push(AxisMap::along(if n > 0 { (-offset).max(0) } else { 0 }, last, 1));
        } else if d == b {
            view.axes.push(AxisMap::along(if n > 0 { offset.max(0) } else { 0 }, last, 1));
        } else {
            view.axes.push(AxisMap::along(0, view.shape.len(), 1));
            view.shape.push(extent);
        }
    }
    view.shape.push(n as usize);
    layout.then(&view)
}

/// A reshape's target with -1 replaced.
fn fill_in(shape: &[i64], old: &[usize]) -> Result<Shape> {
    let total = size(old);
    let cannot = || {
        // NumPy leaves unknown extents out at the start and calls later ones newaxis.
        let named = |n: &i64| if *n < 0 { "newaxis".to_string() } else { n.to_string() };
        let text: Vec<String> = shape.iter().skip_while(|n| **n < 0).map(named).collect();
        let text = if text.len() == 1 { format!("({},)", text[0]) } else { format!("({})", text.join(",")) };
        Error::Value(format!("cannot reshape array of size {total} into shape {text}"))
    };
    let mut unknown = None;
    let mut known = 1usize;
    for (k, &n) in shape.iter().enumerate() {
        if n < 0 {
            if unknown.is_some() {
                return Err(Error::Value("can only specify one unknown dimension".into()));
            }
            unknown = Some(k);
        } else {
            known = known.checked_mul(n as usize).ok_or_else(cannot)?;
        }
    }
    let mut out: Shape = shape.iter().map(|&n| n.max(0) as usize).collect();
    match unknown {
        Some(k) => {
            if known == 0 || !total.is_multiple_of(known) {
                return Err(cannot());
            }
            out[k] = total / known;
        }
        None if known != total => return Err(cannot()),
        None => {}
    }
    Ok(out)
}
