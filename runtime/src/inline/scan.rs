//! Accumulations, done at once.
//!
//! A boundary file, as `inline.rs`.

use legate_jit_ir::{DType, Ufunc};

use super::{at_rest, made};
use crate::array::Array;
use crate::layout::Layout;
use crate::library::{Strided, scan};
use crate::session::Session;
use crate::shared::Shared;
use crate::strided::{packed, steps};
use crate::{Result, Store};

impl Session {
    /// An accumulation along an axis whose result lies in C order; `None` where it has to be recorded.
    pub(crate) fn scan_now(
        &mut self,
        op: Ufunc,
        a: &Array,
        axis: usize,
        dtype: DType,
        full: &Shared<Layout>,
    ) -> Result<Option<Array>> {
        self.inline.count();
        let quick = scan::is_native(op, dtype) && a.dtype == dtype && self.inline.allows_more(a.size());
        let (true, Some(p)) = (quick, at_rest(self, a)) else { return Ok(None) };
        let (shape, item) = (a.shape(), dtype.size());
        let store = Store::alloc(a.size() * item)?;
        let from = Strided { ptr: p, dtype, shape, strides: &steps(&a.layout, shape, item) };
        let to = Strided { ptr: store.raw_ptr(), dtype, shape, strides: &packed(shape, item) };
        // (The elements are in memory; the new memory has room for as many.)
        scan::scan(op, axis, &from, &to)?;
        self.counters.inline += 1;
        Ok(Some(made(store, dtype, full, 0)))
    }
}
