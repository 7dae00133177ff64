//! Which stencils a graph has: values computed from several neighbours of one array. An analysis; it changes nothing. The dump of
//! `fuse` prints it, and tiling in time needs the radius and the array that a sweep reads.

use std::collections::BTreeMap;
use std::fmt;

use legate_jit_ir::graph::Op;
use legate_jit_ir::{Graph, Value, View};
use smallvec::SmallVec;

/// Reads that one value may have before it counts as something else; also the bound on the work for each value.
const MAX_READS: usize = 256;

/// An index relative to a point, in the source's axes.
pub type Offset = SmallVec<[i64; 4]>;

/// One array that a stencil reads around each of its points.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reads {
    /// Where the reads come from: an input or a value that is no elementwise work itself.
    pub source: Value,
    /// Ascending. They are relative to the point's own index in the result, or, where the result is written to a window of an
    /// array, to that element of the array: a sweep of Jacobi's method has the offsets ±1.
    pub offsets: Vec<Offset>,
}

impl Reads {
    /// How far the reads go along each axis, down and up.
    pub fn radius(&self) -> SmallVec<[(i64, i64); 4]> {
        let rank = self.offsets.first().map_or(0, |o| o.len());
        (0..rank)
            .map(|k| {
                let along = self.offsets.iter().map(|o| o[k]);
                (along.clone().min().unwrap_or(0).min(0), along.max().unwrap_or(0).max(0))
            })
            .collect()
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stencil {
    pub value: Value,
    /// The update that writes the value back, if that is all it is for.
    pub update: Option<Value>,
    /// Only arrays read at more than one offset, or at one that is not 0.
    pub reads: Vec<Reads>,
}

/// All stencils, in the order of the graph. Only values that nothing elementwise uses further are looked at: the ends of chains.
pub fn stencils(graph: &Graph) -> Vec<Stencil> {
    let mut inner = vec![false; graph.nodes.len()];
    let mut updates: Vec<Vec<Value>> = vec![Vec::new(); graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        match node.op {
            Op::Map(_) | Op::Cast => node.args.iter().for_each(|a| inner[a.index()] = true),
            Op::Update(_) => updates[node.args[1].index()].push(Value(i as u32)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (i, node) in graph.nodes.iter().enumerate() {
        if !matches!(node.op, Op::Map(_) | Op::Cast) || inner[i] {
            continue;
        }
        let value = Value(i as u32);
        let update = match updates[i][..] {
            [update] => Some(update),
            _ => None,
        };
        let window = update.and_then(|u| match &graph.node(u).op {
            Op::Update(window) => Some(window),
            _ => None,
        });
        if let Some(reads) = reads(graph, value, window)
            && !reads.is_empty()
        {
            found.push(Stencil { value, update, reads });
        }
    }
    found
}

/// What the elementwise work behind a value reads, as offsets from each point; `None` where it reads too much. Operands whose
/// axes are permuted, strided or missing are no neighbours and left out.
fn reads(graph: &Graph, value: Value, window: Option<&View>) -> Option<Vec<Reads>> {
    let mut offsets: BTreeMap<Value, Vec<Offset>> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut stack = vec![(value, View::identity(&graph.ty(value).shape))];
    while let Some((v, view)) = stack.pop() {
        if !seen.insert((v, view.clone())) {
            continue;
        }
        if seen.len() > MAX_READS {
            return None;
        }
        let node = graph.node(v);
        match &node.op {
            Op::Map(_) | Op::Cast => stack.extend(node.args.iter().map(|&a| (a, view.clone()))),
            Op::View(inner) => stack.push((node.args[0], inner.then(&view))),
            Op::Input(_) | Op::Update(_) | Op::Reduce(_) | Op::Opaque(_) | Op::Reshape => {
                if let Some(offset) = offset(&view, window) {
                    offsets.entry(v).or_default().push(offset);
                }
            }
            Op::Scalar(_) | Op::Const(_) | Op::Index(_) => {}
        }
    }
    let reads = offsets.into_iter().map(|(source, mut offsets)| {
        offsets.sort_unstable();
        offsets.dedup();
        Reads { source, offsets }
    });
    Some(reads.filter(|r| r.offsets.len() > 1 || r.offsets[0].iter().any(|&o| o != 0)).collect())
}

/// The distance between what a view reads and where its point lies, if that is the same for all points.
fn offset(view: &View, window: Option<&View>) -> Option<Offset> {
    if view.axes.is_empty() {
        return None;
    }
    let home = window.filter(|w| w.axes.len() == view.axes.len());
    if home.is_none() && view.shape.len() != view.axes.len() {
        return None;
    }
    view.axes
        .iter()
        .enumerate()
        .map(|(k, m)| match home {
            Some(window) => (m.terms == window.axes[k].terms).then(|| m.start - window.axes[k].start),
            None => (m.terms[..] == [(k as u32, 1)] || view.shape[k] == 1).then_some(m.start),
        })
        .collect()
}

/// A line for each stencil, for a dump's header.
pub fn notes(graph: &Graph) -> Vec<String> {
    stencils(graph).iter().map(Stencil::to_string).collect()
}

impl fmt::Display for Stencil {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "stencil %{}", self.value.0)?;
        if let Some(update) = self.update {
            write!(f, " -> %{}", update.0)?;
        }
        for (i, reads) in self.reads.iter().enumerate() {
            let points = reads.offsets.len();
            write!(f, "{} %{}: {points} points, radius", if i == 0 { " of" } else { "," }, reads.source.0)?;
            for (down, up) in reads.radius() {
                write!(f, " {down}..{up}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legate_jit_ir::view::AxisMap;
    use legate_jit_ir::{DType, Type, Ufunc};

    fn window(lo: [i64; 2], n: usize) -> View {
        View { shape: [n, n].as_slice().into(), axes: (0..2).map(|k| AxisMap::along(lo[k], k, 1)).collect() }
    }

    #[test]
    fn a_sweep_reads_its_neighbours() {
        let mut g = Graph::default();
        let (whole, inner) = (Type::new(DType::F64, &[6, 6]), Type::new(DType::F64, &[4, 4]));
        let p = g.push(Op::Input(0), &[], whole.clone());
        let mut sum = g.push(Op::View(window([0, 1], 4)), &[p], inner.clone());
        for lo in [[2, 1], [1, 0], [1, 2]] {
            let v = g.push(Op::View(window(lo, 4)), &[p], inner.clone());
            sum = g.push(Op::Map(Ufunc::Add), &[sum, v], inner.clone());
        }
        let new = g.push(Op::Update(window([1, 1], 4)), &[p, sum], whole);
        g.outputs = vec![new];
        let found = stencils(&g);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].value, found[0].update), (sum, Some(new)));
        assert_eq!(found[0].reads[0].radius()[..], [(-1, 1), (-1, 1)]);
        assert_eq!(found[0].to_string(), "stencil %7 -> %8 of %0: 4 points, radius -1..1 -1..1");
        // Elementwise work on whole arrays is no stencil.
        let mut g = Graph::default();
        let ty = Type::new(DType::F64, &[6, 6]);
        let p = g.push(Op::Input(0), &[], ty.clone());
        let q = g.push(Op::Map(Ufunc::Add), &[p, p], ty);
        g.outputs = vec![q];
        assert_eq!(stencils(&g), []);
    }
}
