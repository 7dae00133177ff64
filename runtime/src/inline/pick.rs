//! Elements by their indices, read and written at once.
//!
//! A boundary file, as `inline.rs`.

use legate_jit_ir::{DType, Scalar};
use smallvec::SmallVec;

use super::{at_rest, made, own, writes_apart};
use crate::array::{Array, Operand};
use crate::base::State;
use crate::layout::Layout;
use crate::session::Session;
use crate::shared::Shared;
use crate::strided::{apart, reach};
use crate::{Result, Store};

/// Elements that are taken one by one in less time than it takes to look for another way.
pub(super) const GATHERED: usize = 1 << 14;

/// Elements that are looked at one by one in less time than it takes to count what a mask selects.
const CHOSEN: usize = 128;

impl Session {
    /// `a[mask] = value` for a mask of the array's shape that says true or false for few elements; false where another way is to be found.
    pub(crate) fn fill_where_now(&mut self, a: &Array, mask: &Array, value: Scalar) -> Result<bool> {
        let n = a.size();
        let plain = a.shape() == mask.shape() && a.layout.c_contiguous && mask.layout.c_contiguous;
        if self.inline.limit == 0 || n > CHOSEN || n == 0 || !plain || Shared::ptr_eq(&mask.base, &a.base) {
            return Ok(false);
        }
        if at_rest(self, mask).is_none() {
            return Ok(false);
        }
        let store = match a.base.current.get(&self.token).state.get(&self.token) {
            State::Store(store) => store.clone(),
            State::Pending(_) | State::Failed(_) => return Ok(false),
        };
        self.forget_found(Some(&store));
        drop(store);
        let Some(to) = own(self, a)? else { return Ok(false) };
        let Some(chosen) = at_rest(self, mask) else { return Ok(false) };
        let (bytes, item) = (value.to_bytes(), a.dtype.size());
        // SAFETY: n elements of the array and as many truth values, which lie one after the other each.
        unsafe {
            for k in 0..n {
                if chosen.add(k).read() == 0 {
                    continue;
                }
                match item {
                    8 => to.cast::<u64>().add(k).write_unaligned(value.bits[0]),
                    _ => to.add(k * item).copy_from_nonoverlapping(bytes.as_ptr(), item),
                }
            }
        }
        self.counters.inline += 1;
        Ok(true)
    }

    /// `a[index]` for one array of 64-bit integers, over the first axis.
    pub(crate) fn take_now(&mut self, a: &Array, index: &Array) -> Result<Option<Array>> {
        let (n, row) = (index.size(), a.shape()[1..].iter().product::<usize>());
        if self.inline.limit == 0 || n * row > GATHERED || n * row == 0 || !index.layout.c_contiguous {
            return Ok(None);
        }
        let item = a.dtype.size();
        let together = a.ndim() == 1 || a.layout.c_contiguous;
        let (Some(from), Some(at), true) = (at_rest(self, a), at_rest(self, index), together) else { return Ok(None) };
        let (extent, by) = (a.shape()[0] as i64, a.layout.strides[0] as isize * item as isize);
        let store = Store::alloc(n * row * item)?;
        let to = store.raw_ptr();
        // SAFETY: an aligned run of n integers: stores are aligned, and so is foreign memory that is not copied.
        let index_at = unsafe { std::slice::from_raw_parts(at.cast::<i64>(), n) };
        let Some(places) = Places::new(index_at, extent) else { return Ok(None) };
        // SAFETY: places within the array, and room for each.
        unsafe {
            match (item * row, places) {
                (8, Places::Plain) => {
                    for (k, &i) in index_at.iter().enumerate() {
                        let p = from.wrapping_offset(i as isize * by);
                        to.cast::<u64>().add(k).write(p.cast::<u64>().read_unaligned());
                    }
                }
                (bytes, _) => {
                    for (k, &i) in index_at.iter().enumerate() {
                        let i = if i < 0 { i + extent } else { i };
                        to.add(k * bytes).copy_from_nonoverlapping(from.wrapping_offset(i as isize * by), bytes);
                    }
                }
            }
        }
        self.counters.inline += 1;
        if a.ndim() == 1 {
            return Ok(Some(made(store, a.dtype, &index.layout.full(), 0)));
        }
        let shape: SmallVec<[usize; 4]> = index.shape().iter().chain(&a.shape()[1..]).copied().collect();
        Ok(Some(made(store, a.dtype, &Layout::identity(&shape), 0)))
    }

    /// `a[index] = value` for one array of 64-bit integers and an array of one axis; false where another way is to be found.
    pub(crate) fn put_now(&mut self, a: &Array, index: &Array, value: &Operand) -> Result<bool> {
        let n = index.size();
        if self.inline.limit == 0 || n > GATHERED || n == 0 || a.ndim() != 1 || !index.layout.c_contiguous {
            return Ok(false);
        }
        if index.dtype != DType::I64 || !writes_apart(a) {
            return Ok(false);
        }
        let item = a.dtype.size();
        let (same, by_each) = match value {
            Operand::Weak(w) => match w.assigned(a.dtype) {
                Ok(v) => (v.bits, None),
                // NumPy has words for what does not fit.
                Err(_) => return Ok(false),
            },
            Operand::Typed(v) if v.dtype == a.dtype => (v.bits, None),
            Operand::Array(v)
                if v.dtype == a.dtype
                    && v.shape() == index.shape()
                    && v.layout.c_contiguous
                    && !Shared::ptr_eq(&v.base, &a.base)
                    && at_rest(self, v).is_some() =>
            {
                ([0; 2], Some(*v))
            }
            Operand::Typed(_) | Operand::Array(_) => return Ok(false),
        };
        if Shared::ptr_eq(&index.base, &a.base) || at_rest(self, index).is_none() {
            return Ok(false);
        }
        let extent = a.shape()[0] as i64;
        let indices = |s: &Session| {
            // SAFETY: as in `take_now`.
            at_rest(s, index).map(|at| unsafe { std::slice::from_raw_parts(at.cast::<i64>(), n) })
        };
        let Some(places) = indices(self).and_then(|i| Places::new(i, extent)) else { return Ok(false) };
        let Some(to) = own(self, a)? else { return Ok(false) };
        let by = a.layout.strides[0] as isize * item as isize;
        let Some(all) = indices(self) else { return Ok(false) };
        let together =
            |p: *const u8, x: &Array| !apart(reach(p, &x.layout, x.dtype.size()), reach(to, &a.layout, item));
        if together(all.as_ptr().cast(), index) {
            return Ok(false);
        }
        let (from, step) = match by_each {
            Some(v) => match at_rest(self, v) {
                Some(p) if !together(p, v) => (p.cast_const(), item),
                Some(_) | None => return Ok(false),
            },
            None => (same.as_ptr().cast::<u8>(), 0),
        };
        // SAFETY: places within the array, which is nobody else's; a value for each of them, or one for all.
        unsafe {
            match (item, by, places) {
                // What is asked for most, without anything to be decided for an element.
                (8, 8, Places::Plain) if step == 8 => {
                    for (k, &i) in all.iter().enumerate() {
                        let v = from.cast::<u64>().add(k).read_unaligned();
                        to.cast::<u64>().wrapping_offset(i as isize).write_unaligned(v);
                    }
                }
                (8, 8, Places::Plain) => {
                    let v = from.cast::<u64>().read_unaligned();
                    all.iter().for_each(|&i| to.cast::<u64>().wrapping_offset(i as isize).write_unaligned(v));
                }
                _ => {
                    for (k, &i) in all.iter().enumerate() {
                        let i = if i < 0 { i + extent } else { i };
                        std::ptr::copy(from.add(k * step), to.wrapping_offset(i as isize * by), item);
                    }
                }
            }
        }
        self.counters.inline += 1;
        Ok(true)
    }
}

/// Indices within an axis.
enum Places {
    /// None of them counts from the end.
    Plain,
    Wrapped,
}

impl Places {
    /// `None` where one is outside.
    fn new(all: &[i64], extent: i64) -> Option<Places> {
        // The sign says whether one is below 0 or beyond the end, for all of them at once.
        if all.iter().fold(0, |bad, &i| bad | i | (extent - 1).wrapping_sub(i)) >= 0 {
            return Some(Places::Plain);
        }
        all.iter().all(|&i| (-extent..extent).contains(&i)).then_some(Places::Wrapped)
    }
}
