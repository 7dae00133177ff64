//! The interpreter tier: a recorded graph run by the reference interpreter.

use std::sync::Arc;

use legate_jit_ir::{DType, Graph, Op, Scalar, Tensor, interp};

use crate::plan_cache::Stores;
use crate::{Result, Store};

pub(crate) fn run(graph: &Graph, inputs: &[Arc<Store>], scalars: &[[u64; 2]]) -> Result<Stores> {
    // Inputs and scalars that no node reads have no type; nothing looks at what stands in their places.
    let mut arrays = vec![Tensor::zeros(DType::Bool, &[0]); inputs.len()];
    let mut values = vec![Scalar::bool(false); scalars.len()];
    for node in &graph.nodes {
        match node.op {
            Op::Input(n) => {
                let bytes = inputs[n as usize].as_slice()[..node.ty.bytes()].to_vec();
                arrays[n as usize] = Tensor { dtype: node.ty.dtype, shape: node.ty.shape.clone(), bytes };
            }
            Op::Scalar(n) => values[n as usize] = Scalar { dtype: node.ty.dtype, bits: scalars[n as usize] },
            _ => {}
        }
    }
    let outputs = interp::run(graph, &arrays, &values)?;
    outputs.iter().map(|t| Store::from_bytes(&t.bytes)).collect()
}
