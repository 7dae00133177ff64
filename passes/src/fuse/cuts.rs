//! Where long computations at one and the same point are cut into several launches.
//!
//! `for _ in range(100): z = z * z + c; counts += abs(z) < 2` needs no memory between its rounds, but a body of a thousand
//! operations is more than a compiler should be asked for. Where to cut matters more than how often: what is alive at a
//! cut is written and read again. So cuts lie where the fewest bytes are alive, which in a loop is between two rounds.

use legate_jit_ir::Value;
use legate_jit_ir::graph::{Graph, Op};
use legate_jit_ir::shape::Shape;
use rustc_hash::FxHashMap;

use super::cluster::MAX_VALUES;

/// Values of one shape between two cuts, at most; the last of equally good places in the second half is taken.
const SEGMENT: usize = MAX_VALUES / 2;

/// For each shape that needs it, the values after which its computations are cut, in order.
#[derive(Default)]
pub struct Cuts {
    places: FxHashMap<Shape, Vec<usize>>,
}

/// Leaves that cost nothing to repeat never become roots.
pub fn can_be_root(graph: &Graph, v: Value) -> bool {
    matches!(graph.node(v).op, Op::Map(_) | Op::Cast | Op::Update(_))
}

impl Cuts {
    /// In which of the segments over this shape a value lies.
    pub fn segment(&self, shape: &Shape, v: Value) -> usize {
        self.places.get(shape).map_or(0, |places| places.partition_point(|&p| p < v.index()))
    }

    /// Cuts the computations over a shape. False if that was done before.
    pub fn add(&mut self, graph: &Graph, shape: &Shape) -> bool {
        if self.places.contains_key(shape) {
            return false;
        }
        let alive = bytes_alive(graph);
        let at_each_point: Vec<usize> = (0..graph.nodes.len())
            .filter(|&i| graph.nodes[i].ty.shape == *shape && can_be_root(graph, Value(i as u32)))
            .collect();
        let mut places = Vec::new();
        let mut rest = &at_each_point[..];
        while rest.len() > SEGMENT {
            let (best, _) = rest[..SEGMENT]
                .iter()
                .enumerate()
                .skip(SEGMENT / 2)
                .rev()
                .min_by_key(|(_, i)| alive[**i])
                .expect("a segment has values");
            places.push(rest[best]);
            rest = &rest[best + 1..];
        }
        self.places.insert(shape.clone(), places);
        true
    }

    /// The values that are computed before a cut of their shape and used after it.
    pub fn crossing(&self, graph: &Graph) -> Vec<Value> {
        if self.places.is_empty() {
            return Vec::new();
        }
        let last = last_uses(graph);
        let crosses = |i: &usize| {
            let v = Value(*i as u32);
            let shape = &graph.nodes[*i].ty.shape;
            can_be_root(graph, v) && self.segment(shape, v) != self.segment(shape, Value(last[*i] as u32))
        };
        (0..graph.nodes.len()).filter(crosses).map(|i| Value(i as u32)).collect()
    }
}

/// The last node that uses each one, itself or through views; itself where there is none.
fn last_uses(graph: &Graph) -> Vec<usize> {
    let mut last: Vec<usize> = (0..graph.nodes.len()).collect();
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        let at = if matches!(node.op, Op::View(_)) { last[i] } else { i };
        for arg in &node.args {
            last[arg.index()] = last[arg.index()].max(at);
        }
    }
    last
}

/// How much of what each node and those before it compute is used after it.
fn bytes_alive(graph: &Graph) -> Vec<usize> {
    let last = last_uses(graph);
    let mut ends = vec![0; graph.nodes.len()];
    let mut now = 0;
    (0..graph.nodes.len())
        .map(|i| {
            if can_be_root(graph, Value(i as u32)) {
                let bytes = graph.nodes[i].ty.bytes();
                now += bytes;
                ends[last[i]] += bytes;
            }
            now -= ends[i];
            now
        })
        .collect()
}
