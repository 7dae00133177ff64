//! Which updates only put values together, as `concatenate` and `roll` record them: several windows, one after the other, that
//! leave nothing of what was there before.

use legate_jit_ir::graph::{Graph, Op};
use legate_jit_ir::{Value, shape};

use super::tasks::is_box;
use crate::relate::disjoint;

/// More windows than this are written into memory: every reader would have as many pieces.
const MAX_PARTS: usize = 4;

/// For each value, whether it is such an update, or one on the way to it that nobody else sees.
pub fn joined(graph: &Graph) -> Vec<bool> {
    let mut joined = vec![false; graph.nodes.len()];
    let mut users = vec![0u32; graph.nodes.len()];
    let args = graph.nodes.iter().flat_map(|n| &n.args);
    args.chain(&graph.outputs).for_each(|v| users[v.index()] += 1);
    let window = |v: Value| match &graph.node(v).op {
        Op::Update(window) if is_box(window) => Some(window),
        _ => None,
    };
    for top in (0..graph.nodes.len()).rev().map(|i| Value(i as u32)) {
        if joined[top.index()] {
            continue;
        }
        let (mut parts, mut windows, mut left) = (Vec::new(), Vec::new(), graph.ty(top).size());
        let mut v = top;
        while let Some(w) = window(v).filter(|w| parts.len() < MAX_PARTS && windows.iter().all(|x| disjoint(x, w))) {
            left = left.saturating_sub(shape::size(&w.shape));
            parts.push(v);
            windows.push(w.clone());
            v = graph.node(v).args[0];
            if left == 0 || users[v.index()] > 1 {
                break;
            }
        }
        if left == 0 {
            parts.iter().for_each(|v| joined[v.index()] = true);
        }
    }
    joined
}
