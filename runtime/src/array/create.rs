//! New arrays.

use std::any::Any;

use legate_jit_ir::shape::size;
use legate_jit_ir::{DType, Scalar};

use super::{Array, Operand};
use crate::base::{State, Version};
use crate::error::shape_text;
use crate::layout::{Layout, contiguity};
use crate::promote::WeakScalar;
use crate::session::lock;
use crate::shared::Shared;
use crate::trace::Op;
use crate::{Casting, Error, Result, Store};
use legate_jit_ir::cast::cast;
use legate_jit_ir::promote::{can_cast, promote};

/// Elements that there is memory for.
const FEW: usize = 1 << 16;

impl Array {
    /// The same where few elements are made at once; `None` for [`full`](Array::full) and [`empty`](Array::empty) to do.
    #[inline(always)]
    pub fn full_of_few(shape: &[usize], value: &Scalar) -> Option<Array> {
        Array::few_in(Layout::identity(shape), value)
    }

    /// The same in the shape of this array.
    #[inline(always)]
    pub fn full_like_of_few(&self, value: &Scalar) -> Option<Array> {
        Array::few_in(self.layout.full(), value)
    }

    #[inline(always)]
    fn few_in(full: Shared<Layout>, value: &Scalar) -> Option<Array> {
        if full.size > FEW {
            return None;
        }
        let store = lock().full_store(value, full.size).ok()??;
        Some(Array::fresh(Version::new(State::Store(store), full.clone(), value.dtype), full, value.dtype))
    }

    /// The same with elements that may be anything.
    pub fn unset_of_few(shape: &[usize], dtype: DType) -> Option<Array> {
        let full = Layout::identity(shape);
        if full.size > FEW {
            return None;
        }
        let store = lock().unset_store(dtype, full.size).ok()??;
        Some(Array::fresh(Version::new(State::Store(store), full.clone(), dtype), full, dtype))
    }

    /// Every element the same.
    pub fn full(shape: &[usize], value: Scalar) -> Result<Array> {
        check_memory(shape, value.dtype)?;
        let full = Layout::identity(shape);
        let mut s = lock();
        if let Some(done) = s.full_now(value, &full, 0)? {
            return Ok(done);
        }
        let arg = s.trace.scalar(value);
        s.record(Op::Copy, value.dtype, &[arg], &full, 0)
    }

    pub fn zeros(shape: &[usize], dtype: DType) -> Result<Array> {
        Array::full(shape, Scalar { dtype, bits: [0; 2] })
    }

    pub fn ones(shape: &[usize], dtype: DType) -> Result<Array> {
        Array::full(shape, WeakScalar::Int(1).value(dtype)?)
    }

    /// A matrix with ones on a diagonal.
    pub fn eye(rows: usize, columns: usize, k: i64, dtype: DType) -> Result<Array> {
        let matrix = Array::zeros(&[rows, columns], dtype)?;
        matrix.set_diagonal(k, Operand::Weak(WeakScalar::Int(1)))?;
        Ok(matrix)
    }

    /// The square matrix with the elements of an array of one axis on a diagonal.
    pub fn on_diagonal(&self, k: i64) -> Result<Array> {
        let n = usize::try_from(k.unsigned_abs()).ok().and_then(|k| k.checked_add(self.size())).unwrap_or(usize::MAX);
        let matrix = Array::zeros(&[n, n], self.dtype)?;
        matrix.set_diagonal(k, Operand::Array(self))?;
        Ok(matrix)
    }

    fn set_diagonal(&self, k: i64, value: Operand) -> Result<()> {
        let mut diagonal = self.diagonal(k, 0, 1)?;
        diagonal.set_writable(true);
        if diagonal.size() > 0 { diagonal.assign(value, Casting::Unsafe) } else { Ok(()) }
    }

    /// NumPy leaves the elements undefined, and so do we where rounds of a loop write them (`batch`); elsewhere they are zeros
    /// until written, which costs nothing in one pass with what writes them.
    pub fn empty(shape: &[usize], dtype: DType) -> Result<Array> {
        check_memory(shape, dtype)?;
        let (full, zero) = (Layout::identity(shape), Scalar { dtype, bits: [0; 2] });
        let mut s = lock();
        if let Some(done) = s.full_now(zero, &full, 0)? {
            return Ok(done);
        }
        let arg = s.trace.scalar(zero);
        let made = s.record(Op::Copy, dtype, &[arg], &full, 0)?;
        drop(s);
        made.mark_unset();
        Ok(made)
    }

    /// Notes that the elements of an array that was just made may be anything.
    pub fn mark_unset(&self) {
        let mut s = lock();
        let s = &mut *s;
        if let &State::Pending(record) = self.base.current.get(&s.token).state.get(&s.token) {
            s.trace.unset.push(record);
        }
    }

    /// Notes that all elements of an array that was just made are written before anybody reads them.
    fn mark_covered(&self) {
        let mut s = lock();
        let s = &mut *s;
        if let &State::Pending(record) = self.base.current.get(&s.token).state.get(&s.token) {
            s.trace.covered.push(record);
        }
    }

    /// With axes laid out in memory as `like`'s are (order "K" of the `*_like` functions).
    pub fn full_like(like: &Array, value: Scalar) -> Result<Array> {
        let perm = lock().k_perm(&[&like.layout], like.shape());
        check_memory(like.shape(), value.dtype)?;
        let full = like.layout.full();
        let mut s = lock();
        if let Some(done) = s.full_now(value, &full, perm)? {
            return Ok(done);
        }
        let arg = s.trace.scalar(value);
        s.record(Op::Copy, value.dtype, &[arg], &full, perm)
    }

    /// A whole array in Fortran order.
    pub fn full_fortran(shape: &[usize], value: Scalar) -> Result<Array> {
        let reversed: legate_jit_ir::Shape = shape.iter().rev().copied().collect();
        Ok(Array::full(&reversed, value)?.transposed())
    }

    /// 0, 1, … n-1 as the type.
    pub fn iota(n: usize, dtype: DType) -> Result<Array> {
        let full = Layout::identity(&[n]);
        let mut s = lock();
        let index = s.record(Op::Index(0), DType::I64, &[], &full, 0)?;
        if dtype == DType::I64 {
            return Ok(index);
        }
        s.copied(&index, dtype, &full, 0)
    }

    /// `np.arange` with n elements, computed as NumPy does: element i is `start + i * delta` in the type itself, where
    /// `delta` is the second element minus the first.
    pub fn arange(start: Scalar, next: Scalar, n: usize) -> Result<Array> {
        use legate_jit_ir::Ufunc::{Add, Multiply, Subtract};
        let dtype = start.dtype;
        let next = cast(next, dtype);
        let delta = if dtype.is_integer() {
            Scalar::int(dtype, next.as_i128().wrapping_sub(start.as_i128()))
        } else {
            match dtype {
                DType::F64 => Scalar::f64(next.as_f64() - start.as_f64()),
                _ => {
                    crate::ufunc::ufunc(Subtract, &[Operand::Typed(next), Operand::Typed(start)], &Default::default())?
                        .item(0)?
                }
            }
        };
        if let Some(done) = lock().ramp_now(start, delta, &Layout::identity(&[n]))? {
            return Ok(done);
        }
        let index = Array::iota(n, dtype)?;
        let scaled = if delta == cast(Scalar::i64(1), dtype) {
            index
        } else {
            crate::ufunc::ufunc(Multiply, &[Operand::Array(&index), Operand::Typed(delta)], &Default::default())?
        };
        if start.bits == [0; 2] {
            return Ok(scaled);
        }
        crate::ufunc::ufunc(Add, &[Operand::Typed(start), Operand::Array(&scaled)], &Default::default())
    }

    /// `np.linspace` of two numbers, float64, computed as NumPy does: `i * step + start`, and `stop` itself at the end.
    pub fn linspace(start: f64, stop: f64, n: usize, endpoint: bool) -> Result<Array> {
        check_memory(&[n], DType::F64)?;
        let (delta, div) = (stop - start, (n as f64) - endpoint as u8 as f64);
        let step = delta / div;
        let mut values: Vec<f64> = match (div > 0.0, step == 0.0) {
            (true, false) => (0..n).map(|i| i as f64 * step + start).collect(),
            // (A step that is too small to be told from 0.)
            (true, true) => (0..n).map(|i| i as f64 / div * delta + start).collect(),
            (false, _) => (0..n).map(|i| i as f64 * delta + start).collect(),
        };
        if endpoint && n > 1 {
            values[n - 1] = stop;
        }
        // SAFETY: plain numbers without padding.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), 8 * n) };
        Array::from_bytes(bytes, &[n], DType::F64)
    }

    /// A 0-d array.
    pub fn scalar(value: Scalar) -> Result<Array> {
        let store = Store::from_bytes(&value.to_bytes()[..value.dtype.size()])?;
        Array::from_store(std::sync::Arc::clone(&store), &[], value.dtype)
    }

    /// A whole store, C order.
    pub fn from_store(store: std::sync::Arc<Store>, shape: &[usize], dtype: DType) -> Result<Array> {
        if store.bytes() < size(shape) * dtype.size() {
            return Err(Error::Value(format!(
                "a store of {} bytes is too small for shape {}",
                store.bytes(),
                shape_text(shape, ",")
            )));
        }
        let full = Layout::identity(shape);
        Ok(Array::fresh(Version::new(State::Store(store), full.clone(), dtype), full, dtype))
    }

    /// A copy of bytes in C order.
    pub fn from_bytes(bytes: &[u8], shape: &[usize], dtype: DType) -> Result<Array> {
        Array::from_store(Store::from_bytes(&bytes[..size(shape) * dtype.size()])?, shape, dtype)
    }

    /// Memory of somebody else (a NumPy array), without a copy where it is contiguous in some order of the axes; strides in
    /// bytes, as NumPy's. `shared` says that foreign code may go on reading and writing it: then calls on it run at once.
    ///
    /// # Safety
    /// As for [`Store::foreign`], for all elements that shape and strides reach.
    pub unsafe fn from_foreign(
        ptr: *mut u8,
        shape: &[usize],
        strides: &[i64],
        dtype: DType,
        owner: Box<dyn Any + Send + Sync>,
        shared: bool,
    ) -> Result<Array> {
        let item = dtype.size() as i64;
        let n = size(shape);
        if n == 0 {
            // There is nothing to share, and no order.
            return Array::from_store(Store::alloc(0)?, shape, dtype);
        }
        let elements: crate::layout::Strides = strides.iter().map(|s| s / item).collect();
        let aligned = (ptr as usize).is_multiple_of((item as usize).min(8)) && strides.iter().all(|s| s % item == 0);
        let mut order: crate::layout::Perm = (0..shape.len() as u32).collect();
        order.sort_by_key(|&d| std::cmp::Reverse((elements[d as usize], shape[d as usize])));
        let sorted: legate_jit_ir::Shape = order.iter().map(|&d| shape[d as usize]).collect();
        let sorted_strides: crate::layout::Strides = order.iter().map(|&d| elements[d as usize]).collect();
        if aligned && contiguity(&sorted, &sorted_strides).0 {
            // SAFETY: the caller's promise; the elements are one run of n.
            let store = unsafe { Store::foreign(ptr, n * item as usize, owner, shared)? };
            let whole = Array::from_store(store, &sorted, dtype)?;
            if crate::layout::is_sorted(&order) {
                return Ok(whole);
            }
            return Ok(whole.seen(crate::layout::unpermute(shape, &order)));
        }
        if shared {
            return Err(Error::Unsupported("sharing memory that is not contiguous".into()));
        }
        let store = Store::alloc(n * item as usize)?;
        // SAFETY: the caller's promise for the source; the store is fresh and holds n elements.
        unsafe { super::host::gather(ptr, shape, strides, item as usize, store.as_mut_ptr()) };
        Array::from_store(store, shape, dtype)
    }

    /// NumPy's `np.asarray` of a scalar operand, or the array itself.
    pub fn from_operand(value: Operand) -> Result<Array> {
        match value {
            Operand::Array(a) => Ok(a.clone()),
            Operand::Weak(w) => Array::scalar(w.value(w.own_type())?),
            Operand::Typed(s) => Array::scalar(s),
        }
    }

    /// Elements joined along an existing axis, in the common type.
    pub fn concatenate(parts: &[Array], axis: i64, dtype: Option<DType>) -> Result<Array> {
        let Some(first) = parts.first() else {
            return Err(Error::Value("need at least one array to concatenate".into()));
        };
        let ndim = first.ndim();
        if ndim == 0 {
            return Err(Error::Value("zero-dimensional arrays cannot be concatenated".into()));
        }
        let axis = super::shapes::normalize_axis(axis, ndim)?;
        let mut shape: legate_jit_ir::Shape = first.shape().into();
        shape[axis] = 0;
        let mut common = first.dtype;
        for (i, p) in parts.iter().enumerate() {
            if p.ndim() != ndim {
                return Err(Error::Value(format!(
                    "all the input arrays must have same number of dimensions, but the array at index 0 has {ndim} \
                     dimension(s) and the array at index {i} has {} dimension(s)",
                    p.ndim()
                )));
            }
            for d in 0..ndim {
                if d != axis && p.shape()[d] != shape[d] {
                    return Err(Error::Value(format!(
                        "all the input array dimensions except for the concatenation axis must match exactly, but \
                         along dimension {d}, the array at index 0 has size {} and the array at index {i} has size {}",
                        shape[d],
                        p.shape()[d]
                    )));
                }
            }
            shape[axis] += p.shape()[axis];
            common = promote(common, p.dtype);
        }
        let dtype = dtype.unwrap_or(common);
        if let Some(p) = parts.iter().find(|p| !can_cast(p.dtype, dtype, Casting::SameKind)) {
            return Err(Error::Type(format!(
                "Cannot cast array data from dtype('{}') to dtype('{}') according to the rule 'same_kind'",
                p.dtype.numpy_name(),
                dtype.numpy_name()
            )));
        }
        // NumPy keeps the memory order that all parts share.
        let layouts: Vec<_> = parts.iter().map(|p| &p.layout).collect();
        let fortran = ndim > 1
            && parts.iter().all(|p| p.f_contiguous() && !p.c_contiguous())
            && layouts.iter().all(|l| !l.c_contiguous);
        let zero = Scalar { dtype, bits: [0; 2] };
        if !fortran && let Some(done) = lock().join_now(parts, axis, dtype, &Layout::identity(&shape))? {
            return Ok(done);
        }
        let out = if fortran { Array::full_fortran(&shape, zero)? } else { Array::full(&shape, zero)? };
        out.mark_covered();
        let mut at = 0;
        for p in parts {
            let n = p.shape()[axis];
            out.slice_axis(axis, at, n).assign(Operand::Array(p), Casting::Unsafe)?;
            at += n;
        }
        Ok(out)
    }

    /// Elements joined along a new axis.
    pub fn stack(parts: &[Array], axis: i64, dtype: Option<DType>) -> Result<Array> {
        let Some(first) = parts.first() else {
            return Err(Error::Value("need at least one array to stack".into()));
        };
        if parts.iter().any(|p| p.shape() != first.shape()) {
            return Err(Error::Value("all input arrays must have the same shape".into()));
        }
        let axis = super::shapes::normalize_axis(axis, first.ndim() + 1)?;
        let expanded: Vec<Array> = parts.iter().map(|p| p.expand_dims(axis)).collect();
        Array::concatenate(&expanded, axis as i64, dtype)
    }
}

/// NumPy raises MemoryError where the array is made, so what can't fit is not even recorded.
fn check_memory(shape: &[usize], dtype: DType) -> Result<()> {
    let bytes = shape.iter().try_fold(dtype.size(), |n, &d| n.checked_mul(d));
    match bytes {
        Some(b) if crate::buffer::could_fit(b) => Ok(()),
        Some(_) => Err(Error::no_memory(shape, dtype)),
        None => Err(Error::Value(
            "array is too big; `arr.size * arr.dtype.itemsize` is larger than the maximum possible size.".into(),
        )),
    }
}
