//! Reductions, done at once.
//!
//! A boundary file, as `inline.rs`.

use std::sync::Arc;

use legate_jit_ir::graph::{Reduce, Reducer};
use legate_jit_ir::{DType, Scalar};

use super::at_rest;
use super::pick::GATHERED;
use super::when::ALWAYS;
use crate::array::Array;
use crate::session::Session;
use crate::strided::in_order;
use crate::trace::PackedPerm;
use crate::tree::{self, array};
use crate::{Result, Store};

/// Bools that are looked at before all of them are.
const BOOLS: usize = 1 << 13;

impl Session {
    /// A reduction over the axes of `a`, seen in the order `perm`; gives the elements that are left, in that order.
    pub(crate) fn reduce_now(
        &mut self,
        a: &Array,
        dtype: DType,
        result: DType,
        reduce: &Reduce,
        perm: PackedPerm,
    ) -> Result<Option<Arc<Store>>> {
        self.inline.count();
        if !self.inline.allows(a.size()) {
            return Ok(None);
        }
        let Some(p) = at_rest(self, a) else { return Ok(None) };
        let ordered = if perm == 0 { None } else { Some(in_order(a.shape(), perm)) };
        let shape = ordered.as_deref().unwrap_or(a.shape());
        let direct = a.layout.c_contiguous && perm == 0 && a.dtype == dtype;
        if !array::reduces(reduce, dtype, shape) || !direct && !self.inline.allows_more(a.size()) {
            return Ok(None);
        }
        let feed = if direct { None } else { self.feed(a, dtype, a.shape(), perm) };
        let gathered = feed.map(|feed| self.passed(feed, a.shape(), perm)).transpose()?;
        let from = gathered.as_ref().map_or(p, |g| g.raw_ptr());
        let store = Store::alloc(array::kept(reduce, shape) * result.size())?;
        // SAFETY: all elements lie in C order at `from`; the new memory has room for a result for each kept place.
        unsafe { array::reduce(reduce, dtype, shape, from, result, store.raw_ptr())? };
        self.counters.inline += 1;
        Ok(Some(store))
    }

    /// The reduction of all elements to one number.
    pub(crate) fn reduce_all_now(
        &mut self,
        a: &Array,
        reducer: Reducer,
        dtype: DType,
        result: DType,
    ) -> Option<Scalar> {
        if !a.layout.c_contiguous || a.dtype != dtype {
            return None;
        }
        // (Behind other records it is one of theirs, and of the rounds that they may be.)
        let (n, alone) = (a.size(), self.trace.recs.is_empty());
        let all = self.inline.allows_reduction(n) || alone && self.inline.allows_reading(n * dtype.size());
        // Of many bools the first may be enough.
        if n == 0 || !all && (dtype != DType::Bool || !alone || self.inline.limit == 0) {
            return None;
        }
        let p = at_rest(self, a)?;
        // SAFETY: the elements lie one after the other, and are not more than these.
        let bits = unsafe {
            if all { tree::reduce(reducer, dtype, p, n) } else { tree::decided_by(reducer, p, n.min(BOOLS))? }
        };
        self.inline.count();
        // (Who uses the number does not come back here.)
        if n > ALWAYS {
            self.inline.is_asked();
        }
        self.counters.inline += 1;
        Some(Scalar { dtype: result, bits: low_bits(bits, result) })
    }

    /// How many elements of a boolean array are true.
    pub(crate) fn count_now(&mut self, a: &Array) -> Option<usize> {
        if self.inline.limit == 0 || a.dtype != DType::Bool || a.size() > GATHERED || !a.layout.c_contiguous {
            return None;
        }
        let p = at_rest(self, a)?;
        // SAFETY: so many bytes, one after the other.
        let all = unsafe { std::slice::from_raw_parts(p, a.size()) };
        Some(all.chunks(255).map(|c| c.iter().map(|&b| (b != 0) as u8).sum::<u8>() as usize).sum())
    }
}

/// The lowest bytes that a type has.
fn low_bits(bits: [u64; 2], dtype: DType) -> [u64; 2] {
    match dtype.size() {
        16 => bits,
        8 => [bits[0], 0],
        n => [bits[0] & ((1 << (8 * n)) - 1), 0],
    }
}
