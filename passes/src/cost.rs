//! What an operation costs, for decisions that change speed and never meaning. The unit is one vector addition of an
//! element; a load or a store of an element that is not in cache is worth some eight.

use legate_jit_ir::{DType, Ufunc};

/// Work for one element of an elementwise operation on this type.
pub fn work(ufunc: Ufunc, dtype: DType) -> u64 {
    let flops = ufunc.props().flops as u64;
    if dtype.is_complex() { flops * 4 } else { flops }
}
