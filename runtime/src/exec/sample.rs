//! Numbers for the tests of plans.

use std::sync::Arc;

use legate_jit_ir::DType;

use crate::Store;

/// So many numbers between -60 and 85, of f32 or f64.
pub fn input(dtype: DType, n: usize, seed: usize) -> Arc<Store> {
    let number = |i: usize| ((i * 7919 + seed) % 1013) as f64 / 7.0 - 60.0;
    let bytes: Vec<u8> = match dtype {
        DType::F32 => (0..n).flat_map(|i| (number(i) as f32).to_le_bytes()).collect(),
        _ => (0..n).flat_map(|i| number(i).to_le_bytes()).collect(),
    };
    Store::from_bytes(&bytes).unwrap()
}
