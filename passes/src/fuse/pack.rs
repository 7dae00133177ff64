//! Puts together first what would be read with gaps again and again: the column of a matrix of positions that is spread over all
//! pairs is a few kilobytes as a vector, and vectors of it are loads instead of an element at a time.
//!
//! A view of a view, which canonical graphs do not have, is how the graph says it: the inner one gets memory.

use legate_jit_ir::graph::{Graph, Op, Type};
use legate_jit_ir::shape::{c_strides, size};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{Value, View};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// How often each element is read, from which on a copy pays.
const SPREAD: usize = 8;
/// Reads from which on it is worth a launch.
const READS: usize = 16_384;

/// The graph with its packed views, if there are any.
pub fn pack(graph: &Graph) -> Option<Graph> {
    let worth = |v: &Value| matches!(&graph.node(*v).op, Op::View(view) if is_worth(graph, *v, view));
    if !(0..graph.nodes.len() as u32).map(Value).any(|v| worth(&v)) {
        return None;
    }
    let mut out = Graph { name: graph.name.clone(), donated: graph.donated.clone(), ..Graph::default() };
    let mut new: Vec<Value> = Vec::with_capacity(graph.nodes.len());
    let mut packed: FxHashMap<(Value, View), Value> = FxHashMap::default();
    for (i, node) in graph.nodes.iter().enumerate() {
        let args: SmallVec<[Value; 3]> = node.args.iter().map(|a| new[a.index()]).collect();
        let value = match &node.op {
            Op::View(view) if is_worth(graph, Value(i as u32), view) => {
                let (inner, outer) = split(view);
                let ty = Type { dtype: node.ty.dtype, shape: inner.shape.clone() };
                let inner =
                    *packed.entry((args[0], inner.clone())).or_insert_with(|| out.push(Op::View(inner), &args, ty));
                out.push(Op::View(outer), &[inner], node.ty.clone())
            }
            op => out.push(op.clone(), &args, node.ty.clone()),
        };
        new.push(value);
    }
    out.outputs = graph.outputs.iter().map(|o| new[o.index()]).collect();
    Some(out)
}

/// Whether a view goes along memory with gaps, and names each element many times.
fn is_worth(graph: &Graph, v: Value, view: &View) -> bool {
    let (_, strides) = view.strided(&c_strides(&graph.ty(graph.node(v).args[0]).shape));
    let reads = size(&view.shape);
    let Some(inner) = (0..view.shape.len()).rfind(|&d| view.shape[d] > 1) else { return false };
    let elements: usize = named(view).map(|d| view.shape[d]).product();
    reads >= READS && strides[inner].abs() > 1 && reads >= SPREAD * elements
}

/// The result's axes along which elements differ.
fn named(view: &View) -> impl Iterator<Item = usize> {
    (0..view.shape.len()).filter(|&d| view.axes.iter().any(|m| m.terms.iter().any(|t| t.0 as usize == d)))
}

/// The view's elements, each once, and the view as a spread of them.
fn split(view: &View) -> (View, View) {
    let axes: SmallVec<[usize; 4]> = named(view).collect();
    let place = |d: u32| axes.iter().position(|&a| a == d as usize).expect("an axis that is named") as u32;
    let moved =
        |m: &AxisMap| AxisMap { start: m.start, terms: m.terms.iter().map(|&(d, step)| (place(d), step)).collect() };
    let inner =
        View { shape: axes.iter().map(|&d| view.shape[d]).collect(), axes: view.axes.iter().map(moved).collect() };
    let outer = View { shape: view.shape.clone(), axes: axes.iter().map(|&d| AxisMap::along(0, d, 1)).collect() };
    (inner, outer)
}
