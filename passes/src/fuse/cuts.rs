//! Where long computations at one and the same point are cut into several launches.
//!
//! `for _ in range(100): z = z * z + c; counts += abs(z) < 2` needs no memory between its rounds, but a body of a thousand
//! operations is more than a compiler should be asked for. Where to cut matters more than how often: what is alive at a
//! cut is written and read again. So cuts lie where the fewest bytes are alive, which in a loop is between two rounds. Rounds
//! that the code runs as a loop (`ir::rounds`) need no cuts: what counts is how long a body is written so.

use std::hash::{Hash, Hasher};

use legate_jit_ir::Value;
use legate_jit_ir::graph::{Graph, Op};
use legate_jit_ir::shape::Shape;
use rustc_hash::{FxHashMap, FxHasher};

use super::cluster::MAX_VALUES;
use super::roots::MAX_DEPTH;

/// Values of one shape between two cuts, at most; the last of equally good places in the second half is taken.
const SEGMENT: usize = MAX_VALUES / 2;

/// Values of a body whose rounds are a loop in the code, at most.
const MAX_IN_ROUNDS: usize = 8000;
/// Values of a round, at most.
const MAX_ROUND: usize = 200;

/// The computations over one shape, where they are too many for one body.
struct Cut {
    /// The values after which they are cut, in order.
    places: Vec<usize>,
    /// Values of one body.
    limit: usize,
}

/// The shapes that need it.
#[derive(Default)]
pub struct Cuts {
    of: FxHashMap<Shape, Cut>,
}

/// Leaves that cost nothing to repeat never become roots.
pub fn can_be_root(graph: &Graph, v: Value) -> bool {
    matches!(graph.node(v).op, Op::Map(_) | Op::Cast | Op::Update(_))
}

impl Cuts {
    /// In which of the segments over this shape a value lies.
    pub fn segment(&self, shape: &Shape, v: Value) -> usize {
        self.of.get(shape).map_or(0, |cut| cut.places.partition_point(|&p| p < v.index()))
    }

    /// Values that one body over this shape computes, about.
    pub fn limit(&self, shape: &Shape) -> usize {
        self.of.get(shape).map_or(MAX_VALUES, |cut| cut.limit)
    }

    /// Cuts the computations over a shape, shorter than before. False if they are as short as they get.
    ///
    /// Those that look like equal rounds are first left together, or cut where the recursion over a body would be too deep:
    /// written as a loop they are short.
    pub fn add(&mut self, graph: &Graph, shape: &Shape) -> bool {
        if self.of.get(shape).is_some_and(|cut| cut.limit <= MAX_VALUES) {
            return false;
        }
        let at_each_point: Vec<usize> = (0..graph.nodes.len())
            .filter(|&i| graph.nodes[i].ty.shape == *shape && can_be_root(graph, Value(i as u32)))
            .collect();
        let repeats = !self.of.contains_key(shape) && repeats(graph, &at_each_point);
        let (segment, limit) = match repeats {
            true => (MAX_IN_ROUNDS.min(within_depth(graph, at_each_point.len())), MAX_IN_ROUNDS),
            false => (SEGMENT, MAX_VALUES),
        };
        let alive = bytes_alive(graph);
        let mut places = Vec::new();
        let mut rest = &at_each_point[..];
        while rest.len() > segment {
            let (best, _) = rest[..segment]
                .iter()
                .enumerate()
                .skip(segment / 2)
                .rev()
                .min_by_key(|(_, i)| alive[**i])
                .expect("a segment has values");
            places.push(rest[best]);
            rest = &rest[best + 1..];
        }
        self.of.insert(shape.clone(), Cut { places, limit });
        true
    }

    /// The values that are computed before a cut of their shape and used after it.
    pub fn crossing(&self, graph: &Graph) -> Vec<Value> {
        if self.of.is_empty() {
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

/// Whether most of the values, taken in the graph's order, are what those some places further on are.
fn repeats(graph: &Graph, values: &[usize]) -> bool {
    let look: Vec<u64> = values
        .iter()
        .map(|&i| {
            let node = &graph.nodes[i];
            let mut hasher = FxHasher::default();
            (node.ty.dtype, &node.op).hash(&mut hasher);
            for arg in &node.args {
                std::mem::discriminant(&graph.node(*arg).op).hash(&mut hasher);
            }
            hasher.finish()
        })
        .collect();
    (1..=MAX_ROUND.min(values.len() / 4)).any(|period| {
        let alike = look.iter().zip(&look[period..]).filter(|(a, b)| a == b).count();
        alike * 4 >= values.len() * 3
    })
}

/// How many of `n` values go into a body whose longest way is no longer than what recursion over it may be.
fn within_depth(graph: &Graph, n: usize) -> usize {
    let mut depth = vec![0; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        depth[i] = node.args.iter().map(|a| depth[a.index()] + 1).max().unwrap_or(0);
    }
    let (deepest, most) = (depth.into_iter().max().unwrap_or(0), MAX_DEPTH as usize);
    if deepest <= most { n } else { (n * most * 3 / 4 / deepest).max(SEGMENT) }
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
