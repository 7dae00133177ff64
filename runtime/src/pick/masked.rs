//! Masked reads and writes that are done at once, in memory.
//!
//! A boundary file: it lets `moves` write into stores that it has made its own.

use std::sync::Arc;

use legate_jit_ir::cast::cast;
use smallvec::SmallVec;

use super::moves::{self, Source};
use super::selection::{Selection, is_sparse};
use crate::array::{Array, Operand};
use crate::base::{State, Version};
use crate::session::lock_to_look;
use crate::shared::Shared;
use crate::{Casting, Error, HostView, Result};

/// An array this small is written sooner than a record of the write is made.
const SMALL: usize = 2048;

/// What a selection over the leading axes picks from an array.
pub(super) fn compressed(a: &Array, selection: &Selection) -> Result<Array> {
    let view = a.host()?;
    let store = moves::compress(&view, selection)?;
    let mut shape: SmallVec<[usize; 4]> = SmallVec::from_slice(&[selection.count()]);
    shape.extend_from_slice(&a.shape()[selection.shape.len()..]);
    Array::from_store(store, &shape, a.dtype())
}

impl Array {
    /// The elements, computed, in memory that nobody else sees (but foreign code that shares it), to be written in place.
    pub(super) fn own_memory(&self) -> Result<HostView> {
        {
            let mut s = lock_to_look();
            let version = self.base.current.get(&s.token).clone();
            let store = s.store_of(&version)?;
            s.forget_found(Some(&store));
            if !store.is_exported() {
                let alone = |v: &Shared<Version>, held: usize| Shared::count(v) == held;
                if Arc::strong_count(&store) > 2 || !alone(&version, 2) {
                    // Perhaps only a pending read holds it.
                    s.flush()?;
                }
                if Arc::strong_count(&store) > 2 || !alone(&version, 2) {
                    let own = State::Store(store.duplicate()?);
                    let own = Version::new(own, version.full.clone(), version.dtype);
                    self.base.current.replace(&mut s.token, own);
                }
            }
        }
        self.host()
    }

    /// `self[mask] = value` at once, where that is better than to choose for every element: for a mask that is known and
    /// selects little or is small, and for a value with an element for each selected place. False where it is neither.
    pub fn assign_selected(&self, mask: &Array, value: Operand, casting: Casting) -> Result<bool> {
        self.check_writable()?;
        self.check_mask(mask)?;
        let rest = &self.shape()[mask.ndim()..];
        if !self.at_rest() && !matches!(value, Operand::Array(v) if v.ndim() > rest.len()) || mask.ndim() == 0 {
            return Ok(false);
        }
        let rows_in_order = self.layout.c_ordered || rest.is_empty();
        let one = match value {
            Operand::Weak(w) => w.assigned(self.dtype)?,
            Operand::Typed(v) => cast(v, self.dtype),
            Operand::Array(v) if v.ndim() > rest.len() && rows_in_order => {
                if !legate_jit_ir::promote::can_cast(v.dtype(), self.dtype, casting) {
                    return Ok(false);
                }
                return self.assign_each(mask, v);
            }
            Operand::Array(_) => return Ok(false),
        };
        if !rest.is_empty() || !mask.at_rest() || self.size() > SMALL && !is_sparse(mask) {
            return Ok(false);
        }
        if lock_to_look().fill_where_now(self, mask, one)? {
            return Ok(true);
        }
        let selection = Selection::of(mask)?;
        let to = self.own_memory()?;
        // SAFETY: the memory is this array's alone; the element is not in it.
        unsafe { moves::scatter(Source::Same(one.to_bytes().as_ptr()), &selection, &to)? };
        Ok(true)
    }

    /// A row of `values` for each selected place.
    fn assign_each(&self, mask: &Array, values: &Array) -> Result<bool> {
        let rest = &self.shape()[mask.ndim()..];
        if values.ndim() != rest.len() + 1 || &values.shape()[1..] != rest {
            return Ok(false);
        }
        let selection = Selection::of(mask)?;
        let (n, count) = (values.shape()[0], selection.count());
        if n != count && n != 1 {
            // NumPy has the words.
            return Err(Error::Unsupported("as many values as places".into()));
        }
        let values =
            if values.dtype() == self.dtype { values.clone() } else { values.astype(self.dtype, Casting::Unsafe)? };
        let values = if values.c_contiguous() && !values.same_base(self) { values } else { values.fresh_copy()? };
        let from = values.host()?;
        let to = self.own_memory()?;
        let source = if n == count { Source::Each(from.ptr) } else { Source::Same(from.ptr) };
        // SAFETY: the memory is this array's alone and `from` is another's; it has a row for each place, or one for all.
        unsafe { moves::scatter(source, &selection, &to)? };
        Ok(true)
    }

    /// The elements in C order in a store that shares nothing with this array's.
    pub(super) fn fresh_copy(&self) -> Result<Array> {
        Array::from_bytes(&self.host()?.to_vec(), self.shape(), self.dtype)
    }
}
