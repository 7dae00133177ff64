//! New arrays, made at once.
//!
//! A boundary file, as `inline.rs`.

use std::sync::Arc;

use legate_jit_ir::{DType, Scalar};

use super::{at_rest, made};
use crate::array::Array;
use crate::layout::Layout;
use crate::pass::Code;
use crate::session::Session;
use crate::shared::Shared;
use crate::strided::{copy, packed, steps};
use crate::trace::PackedPerm;
use crate::vm::moves::{self, Rect};
use crate::{Result, Store};

impl Session {
    /// A new array that is the same everywhere.
    #[inline]
    pub(crate) fn full_now(&mut self, value: Scalar, full: &Shared<Layout>, perm: PackedPerm) -> Result<Option<Array>> {
        let few = self.inline.allows_more(full.size);
        let store = if few { self.full_store(&value, full.size)? } else { None };
        Ok(store.map(|store| made(store, value.dtype, full, perm)))
    }

    /// Its memory. (An array that is put together here and handed back is read, on its way, in pieces other than those in which it was
    /// written, which the processor waits for: longer than all of this takes.)
    #[inline(never)]
    pub(crate) fn full_store(&mut self, value: &Scalar, n: usize) -> Result<Option<Arc<Store>>> {
        if !self.inline.allows_new(n) {
            return Ok(None);
        }
        let item = value.dtype.size();
        let store = Store::alloc(n * item)?;
        // SAFETY: the memory is new and of this size.
        unsafe {
            if value.bits == [0; 2] {
                store.raw_ptr().write_bytes(0, n * item);
            } else {
                moves::fill(item, value.bits.as_ptr().cast(), Rect::packed(store.raw_ptr(), item, n), 1, n);
            }
        }
        self.counters.inline += 1;
        Ok(Some(store))
    }

    /// Memory for elements that may be anything. (Few of them are zeros, which costs nothing.)
    pub(crate) fn unset_store(&mut self, dtype: DType, n: usize) -> Result<Option<Arc<Store>>> {
        if self.inline.allows_more(n) {
            return self.full_store(&Scalar { dtype, bits: [0; 2] }, n);
        }
        if !self.inline.allows_new(n) {
            return Ok(None);
        }
        self.counters.inline += 1;
        Store::alloc(n * dtype.size()).map(Some)
    }

    /// Arrays joined along an axis of a new one.
    pub(crate) fn join_now(
        &mut self,
        parts: &[Array],
        axis: usize,
        dtype: DType,
        full: &Shared<Layout>,
    ) -> Result<Option<Array>> {
        if !self.inline.allows_more(full.size) {
            return Ok(None);
        }
        if parts.iter().any(|p| at_rest(self, p).is_none()) {
            return Ok(None);
        }
        let item = dtype.size();
        let store = Store::alloc(full.size * item)?;
        let by = packed(full.shape(), item);
        let mut to = store.raw_ptr();
        for part in parts.iter().filter(|p| p.size() > 0) {
            let Some(p) = at_rest(self, part) else { return Ok(None) };
            let (shape, in_one) = (part.shape(), part.layout.c_contiguous && axis == 0);
            // SAFETY: the parts' places in the new memory; the rooms hold as many elements of any type.
            unsafe {
                if part.dtype != dtype {
                    let Some(feed) = self.feed(part, dtype, shape, 0) else { return Ok(None) };
                    self.passes.run(Code::Copy, &[feed], dtype, shape, (to, &by))?;
                } else if in_one {
                    to.copy_from_nonoverlapping(p, part.size() * item);
                } else {
                    copy(shape, p, &steps(&part.layout, shape, item), to, &by, item);
                }
            }
            to = to.wrapping_offset(part.shape()[axis] as isize * by[axis] as isize);
        }
        self.counters.inline += 1;
        Ok(Some(made(store, dtype, full, 0)))
    }

    /// An array whose elements lie together, with the part behind each place of `axis` so many times.
    pub(crate) fn repeat_now(
        &mut self,
        a: &Array,
        axis: usize,
        times: usize,
        full: &Shared<Layout>,
    ) -> Result<Option<Array>> {
        if !self.inline.allows_more(full.size) || !a.layout.c_contiguous {
            return Ok(None);
        }
        let Some(from) = at_rest(self, a) else { return Ok(None) };
        let item = a.dtype.size();
        let store = Store::alloc(full.size * item)?;
        let part = a.shape()[axis + 1..].iter().product::<usize>() * item;
        let mut to = store.raw_ptr();
        // SAFETY: the new memory has room for each of the parts so many times.
        unsafe {
            for k in 0..a.size() * item / part {
                let from = from.add(k * part);
                if part == 8 {
                    std::slice::from_raw_parts_mut(to.cast::<u64>(), times).fill(from.cast::<u64>().read_unaligned());
                    to = to.add(8 * times);
                    continue;
                }
                for _ in 0..times {
                    to.copy_from_nonoverlapping(from, part);
                    to = to.add(part);
                }
            }
        }
        self.counters.inline += 1;
        Ok(Some(made(store, a.dtype, full, 0)))
    }

    /// `start + i * delta` for each place.
    pub(crate) fn ramp_now(&mut self, start: Scalar, delta: Scalar, full: &Shared<Layout>) -> Result<Option<Array>> {
        if !self.inline.allows_more(full.size) {
            return Ok(None);
        }
        let store = Store::alloc(full.size * 8)?;
        // SAFETY: the memory is new and has room for so many 64-bit numbers.
        unsafe {
            match start.dtype {
                DType::I64 => {
                    let (start, delta) = (start.bits[0] as i64, delta.bits[0] as i64);
                    let out = std::slice::from_raw_parts_mut(store.raw_ptr().cast::<i64>(), full.size);
                    out.iter_mut()
                        .enumerate()
                        .for_each(|(i, o)| *o = start.wrapping_add((i as i64).wrapping_mul(delta)));
                }
                DType::F64 => {
                    let (start, delta) = (start.as_f64(), delta.as_f64());
                    let out = std::slice::from_raw_parts_mut(store.raw_ptr().cast::<f64>(), full.size);
                    out.iter_mut().enumerate().for_each(|(i, o)| *o = start + i as f64 * delta);
                }
                _ => return Ok(None),
            }
        }
        self.counters.inline += 1;
        Ok(Some(made(store, start.dtype, full, 0)))
    }
}
