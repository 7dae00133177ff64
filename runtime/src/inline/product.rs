//! Products of matrices and vectors, done at once.
//!
//! A boundary file, as `inline.rs`.

use legate_jit_ir::{DType, Scalar};

use super::{at_rest, made};
use crate::array::Array;
use crate::layout::{Layout, Strides};
use crate::library::Strided;
use crate::session::Session;
use crate::shared::Shared;
use crate::strided::packed;
use crate::{Result, Store};

/// Multiplications of a product that take no longer than its record and flush.
const PRODUCT: usize = 1 << 16;

impl Session {
    /// A product of matrices.
    pub(crate) fn matmul_now(
        &mut self,
        a: &Array,
        b: &Array,
        dtype: DType,
        full: &Shared<Layout>,
    ) -> Result<Option<Array>> {
        self.inline.count();
        let work = full.size * a.shape().last().copied().unwrap_or(1);
        // Vectors have twice as many lanes of them.
        let most = if dtype == DType::F32 { 2 * PRODUCT } else { PRODUCT };
        if !self.inline.allows(full.size) || work > most || work == 0 || a.dtype != dtype || b.dtype != dtype {
            return Ok(None);
        }
        let (Some(p), Some(q)) = (at_rest(self, a), at_rest(self, b)) else { return Ok(None) };
        let item = dtype.size();
        let store = Store::alloc(full.size * item)?;
        let (a_by, b_by, by) = (steps_of(a), steps_of(b), packed(full.shape(), item));
        let a = Strided { ptr: p, dtype, shape: a.shape(), strides: &a_by };
        let b = Strided { ptr: q, dtype, shape: b.shape(), strides: &b_by };
        let out = Strided { ptr: store.raw_ptr(), dtype, shape: full.shape(), strides: &by };
        crate::library::matmul(&a, &b, &out)?;
        self.counters.inline += 1;
        Ok(Some(made(store, dtype, full, 0)))
    }

    /// The sum of products of two vectors.
    pub(crate) fn dot_now(&mut self, a: &Array, b: &Array) -> Result<Option<Scalar>> {
        let (dtype, n) = (a.dtype, a.size());
        if self.inline.limit == 0 || n > PRODUCT || b.dtype != dtype || a.ndim() != 1 || b.shape() != a.shape() {
            return Ok(None);
        }
        if n == 0 {
            return Ok(Some(Scalar { dtype, bits: [0; 2] }));
        }
        let (Some(p), Some(q)) = (at_rest(self, a), at_rest(self, b)) else { return Ok(None) };
        self.inline.count();
        let item = dtype.size() as i64;
        let (by_a, by_b) = (a.layout.strides[0] * item, b.layout.strides[0] * item);
        // SAFETY: vectors of n elements, at rest.
        let bits = unsafe { crate::library::dot(dtype, n, (p, by_a), (q, by_b))? };
        self.counters.inline += 1;
        Ok(Some(Scalar { dtype, bits }))
    }
}

impl Session {
    /// The sum of products of a vector's conjugates with another: of complex ones in memory, however long they are.
    pub(crate) fn vdot_now(&mut self, a: &Array, b: &Array) -> Result<Option<Scalar>> {
        let (dtype, n) = (a.dtype, a.size());
        if !dtype.is_complex() {
            return self.dot_now(a, b);
        }
        if self.inline.limit == 0 || b.dtype != dtype || a.ndim() != 1 || b.shape() != a.shape() {
            return Ok(None);
        }
        let (Some(p), Some(q)) = (at_rest(self, a), at_rest(self, b)) else { return Ok(None) };
        if !p.cast::<u64>().is_aligned() || !q.cast::<u64>().is_aligned() {
            return Ok(None);
        }
        let item = dtype.size() as i64;
        let (by_a, by_b) = (a.layout.strides[0] * item, b.layout.strides[0] * item);
        // SAFETY: vectors of n elements, at rest.
        let Some(bits) = (unsafe { crate::library::vdot(dtype, n, (p, by_a), (q, by_b)) }) else { return Ok(None) };
        self.inline.count();
        self.counters.inline += 1;
        Ok(Some(Scalar { dtype, bits }))
    }
}

fn steps_of(a: &Array) -> Strides {
    a.layout.strides.iter().map(|&s| s * a.dtype.size() as i64).collect()
}
