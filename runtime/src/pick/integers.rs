//! Indexing with arrays of integers, and the integers of what is not zero.
//!
//! A boundary file: it lets `moves` write into stores that it has made its own.

use legate_jit_ir::cast::cast;
use legate_jit_ir::{DType, Scalar, Ufunc};
use smallvec::SmallVec;

use super::moves::{self, Indices, Source};
use super::ramp;
use super::selection::Selection;
use crate::array::{Array, Operand, too_many_indices};
use crate::error::shape_text;
use crate::promote::WeakScalar;
use crate::ufunc::{UfuncArgs, ufunc};
use crate::{Casting, Error, HostView, Result};

/// One of the indices of the leading axes.
#[derive(Clone, Copy)]
pub enum IndexPart<'a> {
    Array(&'a Array),
    Int(i64),
}

/// The indices in memory, broadcast to one shape.
struct Broadcast {
    views: SmallVec<[HostView; 2]>,
    shape: legate_jit_ir::Shape,
}

impl Broadcast {
    fn of(parts: &[IndexPart]) -> Result<Broadcast> {
        if let [IndexPart::Array(a)] = parts
            && a.dtype() == DType::I64
            && a.c_contiguous()
        {
            return Ok(Broadcast { shape: a.shape().into(), views: SmallVec::from_iter([a.host()?]) });
        }
        let mut shape = legate_jit_ir::Shape::new();
        for p in parts {
            let IndexPart::Array(a) = p else { continue };
            if !a.dtype().is_integer() {
                return Err(Error::Index("arrays used as indices must be of integer (or boolean) type".into()));
            }
            shape = legate_jit_ir::shape::broadcast(&shape, a.shape()).ok_or_else(|| {
                let all: Vec<String> = parts
                    .iter()
                    .map(|p| match p {
                        IndexPart::Array(a) => shape_text(a.shape(), ","),
                        IndexPart::Int(_) => "()".into(),
                    })
                    .collect();
                Error::Index(format!(
                    "shape mismatch: indexing arrays could not be broadcast together with shapes {} ",
                    all.join(" ")
                ))
            })?;
        }
        let arrays: Vec<Array> = parts
            .iter()
            .map(|p| {
                let wide = match p {
                    IndexPart::Int(i) => return Array::full(&shape, Scalar::i64(*i)),
                    IndexPart::Array(a) if a.dtype() == DType::I64 => (*a).clone(),
                    IndexPart::Array(a) => a.astype(DType::I64, Casting::Unsafe)?,
                };
                if wide.shape() == &shape[..] && wide.c_contiguous() {
                    return Ok(wide);
                }
                wide.broadcast_to(&shape)?.copy(false)
            })
            .collect::<Result<_>>()?;
        let views = arrays.iter().map(Array::host).collect::<Result<_>>()?;
        Ok(Broadcast { views, shape })
    }

    fn count(&self) -> usize {
        legate_jit_ir::shape::size(&self.shape)
    }

    fn slices(&self) -> SmallVec<[&[i64]; 2]> {
        self.views
            .iter()
            .map(|v| {
                if self.count() == 0 {
                    return &[][..];
                }
                // SAFETY: the views are of this many 64-bit integers, C order, aligned as stores are, and kept by self.
                unsafe { std::slice::from_raw_parts(v.ptr.cast::<i64>(), self.count()) }
            })
            .collect()
    }
}

impl Array {
    fn check_integers(&self, parts: &[IndexPart]) -> Result<()> {
        if parts.len() > self.ndim() {
            return Err(too_many_indices(self.ndim(), parts.len()));
        }
        if !self.layout.c_ordered || parts.iter().any(|p| matches!(p, IndexPart::Array(a) if !aligned(a))) {
            // NumPy keeps the order in memory of the axes that are not indexed.
            return Err(Error::Unsupported("rows in another order".into()));
        }
        Ok(())
    }

    /// `self[i, j, …]` for integer arrays over the leading axes.
    pub fn take_at(&self, parts: &[IndexPart]) -> Result<Array> {
        if let [IndexPart::Array(index)] = parts
            && index.dtype() == DType::I64
            && self.ndim() > 0
            && let Some(taken) = crate::session::lock().take_now(self, index)?
        {
            return Ok(taken);
        }
        self.check_integers(parts)?;
        if let [IndexPart::Array(index)] = parts
            && let Some(slice) = ramp::slice(index, self.shape()[0])?
        {
            return self.index(&[slice])?.copy(false);
        }
        let indices = Broadcast::of(parts)?;
        let view = self.host()?;
        let store = moves::take(&view, &Indices { axes: &indices.slices(), count: indices.count() })?;
        let mut shape: SmallVec<[usize; 4]> = SmallVec::from_slice(&indices.shape);
        shape.extend_from_slice(&self.shape()[parts.len()..]);
        Array::from_store(store, &shape, self.dtype)
    }

    /// `self[i, j, …] = value` for integer arrays over the leading axes.
    pub fn put_at(&self, parts: &[IndexPart], value: Operand, casting: Casting) -> Result<()> {
        self.check_writable()?;
        if let [IndexPart::Array(index)] = parts
            && crate::session::lock().put_now(self, index, &value)?
        {
            return Ok(());
        }
        self.check_integers(parts)?;
        let fits = |v: &Array, wide: &[usize]| {
            legate_jit_ir::promote::can_cast(v.dtype(), self.dtype, casting)
                && legate_jit_ir::shape::broadcast(v.shape(), wide).as_deref() == Some(wide)
        };
        if let [IndexPart::Array(index)] = parts
            && let Some(slice) = ramp::slice(index, self.shape()[0])?
        {
            let part = self.index(&[slice])?;
            if !matches!(value, Operand::Array(v) if !fits(v, part.shape())) {
                return part.assign(value, casting);
            }
        }
        let indices = Broadcast::of(parts)?;
        let rest = &self.shape()[parts.len()..];
        let wide: SmallVec<[usize; 4]> = indices.shape.iter().chain(rest).copied().collect();
        let (bytes, from);
        let source = match value {
            Operand::Weak(w) => {
                bytes = row_of(w.assigned(self.dtype)?, rest);
                Source::Same(bytes.as_ptr())
            }
            Operand::Typed(v) => {
                bytes = row_of(cast(v, self.dtype), rest);
                Source::Same(bytes.as_ptr())
            }
            Operand::Array(v) => {
                if !fits(v, &wide) {
                    return Err(Error::Unsupported("a value that does not fit".into()));
                }
                let v = if v.dtype() == self.dtype { v.clone() } else { v.astype(self.dtype, Casting::Unsafe)? };
                let v = if v.shape() == &wide[..] { v } else { v.broadcast_to(&wide)? };
                let v = if v.c_contiguous() && !v.same_base(self) { v } else { v.fresh_copy()? };
                from = v.host()?;
                Source::Each(from.ptr)
            }
        };
        let to = self.own_memory()?;
        let slices = indices.slices();
        // SAFETY: the memory is this array's alone; the rows are another's, one for each index or one for all.
        unsafe { moves::put(source, &Indices { axes: &slices, count: indices.count() }, &to) }
    }
}

/// `np.add.at(a, index, value)` (or `subtract`) for one array of 64-bit integers over the only axis, in the order of the indices.
/// False where NumPy must do it, whose words those for a wrong index are.
pub fn apply_at(op: Ufunc, a: &Array, index: &Array, value: Operand) -> Result<bool> {
    let plain = a.ndim() == 1 && index.ndim() == 1 && index.dtype() == DType::I64 && aligned(index);
    let known = matches!(op, Ufunc::Add | Ufunc::Subtract) && matches!(a.dtype(), DType::F32 | DType::F64 | DType::I64);
    if !plain || !known || a.check_writable().is_err() || index.same_base(a) || index.size() == 0 {
        return Ok(false);
    }
    let values;
    let number = match value {
        // (NumPy makes arrays of Python's numbers here, of 64 bits.)
        Operand::Weak(WeakScalar::Int(v)) if a.dtype() != DType::F32 && v.unsigned_abs() < 1 << 53 => {
            Some(cast(Scalar::i64(v as i64), a.dtype()))
        }
        Operand::Weak(WeakScalar::Float(v)) if a.dtype() == DType::F64 => Some(Scalar::f64(v)),
        Operand::Typed(v) if v.dtype == a.dtype() => Some(v),
        Operand::Array(v) if v.dtype() == a.dtype() && v.shape() == index.shape() && !v.same_base(a) => None,
        Operand::Weak(_) | Operand::Typed(_) | Operand::Array(_) => return Ok(false),
    };
    let index = if index.c_contiguous() { index.clone() } else { index.copy(false)? };
    if let Some(slice) = ramp::slice(&index, a.size())? {
        let part = a.index(&[slice])?;
        let value = number.map_or(value, Operand::Typed);
        ufunc(op, &[Operand::Array(&part), value], &UfuncArgs { out: Some(&part), ..UfuncArgs::default() })?;
        return Ok(true);
    }
    let (from, step) = match (&number, value) {
        (Some(number), _) => (number.bits.as_ptr().cast::<u8>(), 0),
        (None, Operand::Array(v)) => {
            values = v.host()?;
            (values.ptr.cast_const(), values.strides[0] as isize)
        }
        (None, Operand::Weak(_) | Operand::Typed(_)) => return Ok(false),
    };
    let indices = index.host()?;
    // SAFETY: as in `Broadcast::slices`.
    let keys = unsafe { std::slice::from_raw_parts(indices.ptr.cast::<i64>(), index.size()) };
    let extent = a.size() as i64;
    if !keys.iter().all(|&i| (-extent..extent).contains(&i)) {
        return Ok(false);
    }
    let to = a.own_memory()?;
    let add = op == Ufunc::Add;
    // SAFETY: the memory is this array's alone, the indices lie within it, and there is a value for each or one for all.
    unsafe {
        match a.dtype() {
            DType::F32 => moves::combine(keys, (from, step), &to, |x: f32, y| if add { x + y } else { x - y }),
            DType::F64 => moves::combine(keys, (from, step), &to, |x: f64, y| if add { x + y } else { x - y }),
            _ => moves::combine(
                keys,
                (from, step),
                &to,
                |x: i64, y| {
                    if add { x.wrapping_add(y) } else { x.wrapping_sub(y) }
                },
            ),
        }
    }
    Ok(true)
}

/// A row with the same element everywhere.
fn row_of(value: Scalar, rest: &[usize]) -> Vec<u8> {
    value.to_bytes()[..value.dtype.size()].repeat(legate_jit_ir::shape::size(rest))
}

/// Foreign memory may lie anywhere.
fn aligned(a: &Array) -> bool {
    a.offset() % 8 == 0 || a.dtype() != DType::I64
}

/// The boolean array of what is not zero.
fn truth(a: &Array) -> Result<Array> {
    if a.dtype() == DType::Bool {
        return Ok(a.clone());
    }
    let zero = Operand::Typed(Scalar { dtype: a.dtype(), bits: [0; 2] });
    ufunc(Ufunc::NotEqual, &[Operand::Array(a), zero], &UfuncArgs::default())
}

/// How many elements are not zero. `a` has axes.
pub fn count_nonzero(a: &Array) -> Result<usize> {
    if let Some(n) = crate::session::lock().count_now(a) {
        return Ok(n);
    }
    Ok(Selection::of(&truth(a)?)?.count())
}

/// The indices of the elements of a short line that are not zero; `None` for other arrays.
pub fn nonzero_of_line(a: &Array) -> Result<Option<Array>> {
    crate::session::lock_to_look().places_now(a)
}

/// The indices of the elements that are not zero, (count, ndim), 64-bit integers. `a` has axes.
pub fn nonzero(a: &Array) -> Result<Array> {
    let selection = Selection::of(&truth(a)?)?;
    let store = moves::coordinates(&selection)?;
    Array::from_store(store, &[selection.count(), a.ndim()], DType::I64)
}
