//! Which values get memory, and what it would cost to compute one again instead.

use legate_jit_ir::graph::{Graph, Op};
use legate_jit_ir::{Value, View};

use super::cluster::Group;
use super::cuts::{Cuts, can_be_root};
use super::tasks::{Tasks, is_box};
use crate::cost;
use crate::relate::disjoint;
use rustc_hash::FxHashMap;

/// Work (see [`cost`]) that writing a value and reading it back is worth. A cost, not a question of meaning.
const STORE_AND_LOAD: u64 = 8;
/// A window is small if this many of it fit into the base.
pub(super) const SMALL_WINDOW: usize = 8;
/// Operations on the longest way through one body: bounds the depth of our own recursion.
const MAX_DEPTH: u32 = 512;
/// Buffers that may be read again instead of one more write and read.
const FREE_LEAVES: u64 = 3;

pub struct Roots {
    root: Vec<bool>,
    /// Work to compute one element from the roots it reads.
    work: Vec<u64>,
    /// Reads of roots to compute one element.
    leaves: Vec<u64>,
    pub(super) cuts: Cuts,
}

/// Views of one value that are compared pair by pair; more of them surely have elements in common.
const MAX_COMPARED: usize = 20;

/// Whether two of the views may name a common element.
fn overlap(views: &[(View, usize)]) -> bool {
    let pairs = || views.iter().enumerate().flat_map(|(i, a)| views[..i].iter().map(move |b| (&a.0, &b.0)));
    views.len() > MAX_COMPARED || pairs().any(|(a, b)| !disjoint(a, b))
}

impl Roots {
    pub fn new(graph: &Graph, cuts: Cuts) -> Roots {
        let n = graph.nodes.len();
        let mut roots = Roots { root: vec![false; n], work: vec![0; n], leaves: vec![0; n], cuts };
        for v in roots.cuts.crossing(graph) {
            roots.root[v.index()] = true;
        }
        for (i, node) in graph.nodes.iter().enumerate() {
            match &node.op {
                Op::Input(_) | Op::Reduce(_) => roots.root[i] = true,
                Op::Opaque(_) => {
                    roots.root[i] = true;
                    for &arg in &node.args {
                        let (source, _) = roots.through_views(graph, arg, View::identity(&graph.ty(arg).shape));
                        roots.root[source.index()] = true;
                    }
                }
                Op::Reshape => {
                    roots.root[i] = true;
                    roots.root[node.args[0].index()] = true;
                }
                // A window that is no box cannot be inlined: it is written over a copy of its base, or in place.
                Op::Update(window) if !is_box(window) => {
                    roots.root[i] = true;
                    roots.root[node.args[0].index()] = true;
                }
                // A boundary: cheaper to write over the base where it lies than to cut every later pass into more pieces.
                Op::Update(window) if legate_jit_ir::shape::size(&window.shape) * SMALL_WINDOW <= node.ty.size() => {
                    let base = node.args[0];
                    roots.root[i] = true;
                    roots.root[base.index()] |= can_be_root(graph, base);
                }
                _ => {}
            }
        }
        for out in &graph.outputs {
            roots.root[out.index()] = true;
        }
        // What the graph reads through several views, or spread over more elements, is computed once if it is not cheap.
        let mut views: FxHashMap<Value, Vec<(View, usize)>> = FxHashMap::default();
        for (i, node) in graph.nodes.iter().enumerate() {
            if let Op::View(view) = &node.op {
                let (source, view) = roots.through_views(graph, node.args[0], view.clone());
                let seen = views.entry(source).or_default();
                if !seen.iter().any(|(v, _)| *v == view) {
                    let size = legate_jit_ir::shape::size(&view.shape);
                    seen.push((view, size));
                }
            }
            let (work, leaves) = roots.inlined(graph, Value(i as u32));
            roots.work[i] = work;
            roots.leaves[i] = leaves;
        }
        let mut expensive: Vec<Value> = Vec::new();
        for (&v, seen) in &views {
            let size = graph.ty(v).size().max(1) as u64;
            let read: u64 = seen.iter().map(|(_, n)| *n as u64).sum();
            let again = (read / size).max(if overlap(seen) { 2 } else { 1 }) - 1;
            if roots.recomputing(v).saturating_mul(again) > STORE_AND_LOAD {
                expensive.push(v);
            }
        }
        // In order of the graph, so that a user sees the reduced cost of what became a root before it.
        expensive.sort_unstable();
        for v in expensive {
            roots.root[v.index()] |= can_be_root(graph, v);
        }
        roots.cut_long_chains(graph);
        roots.measure(graph);
        roots
    }

    fn cut_long_chains(&mut self, graph: &Graph) {
        let mut depth = vec![0u32; graph.nodes.len()];
        for (i, node) in graph.nodes.iter().enumerate() {
            if self.root[i] {
                continue;
            }
            depth[i] = node.args.iter().map(|a| depth[a.index()] + 1).max().unwrap_or(0);
            if depth[i] > MAX_DEPTH && can_be_root(graph, Value(i as u32)) {
                self.root[i] = true;
                depth[i] = 0;
            }
        }
    }

    pub fn is_root(&self, v: Value) -> bool {
        self.root[v.index()]
    }

    pub fn count(&self) -> usize {
        self.root.iter().filter(|&&r| r).count()
    }

    pub fn add(&mut self, graph: &Graph, v: Value) {
        self.root[v.index()] = true;
        self.measure(graph);
    }

    /// Follows views from `v`, read through `access`, to the first value that is not an inlined view.
    pub fn through_views(&self, graph: &Graph, v: Value, access: View) -> (Value, View) {
        let (mut v, mut access) = (v, access);
        while let Op::View(view) = &graph.node(v).op {
            if self.is_root(v) {
                break;
            }
            access = view.then(&access);
            v = graph.node(v).args[0];
        }
        (v, access)
    }

    /// What computing an element of `v` again costs, compared with loading it.
    fn recomputing(&self, v: Value) -> u64 {
        self.work[v.index()] + self.leaves[v.index()].saturating_sub(FREE_LEAVES) * 4
    }

    fn measure(&mut self, graph: &Graph) {
        for i in 0..graph.nodes.len() {
            let (work, leaves) = self.inlined(graph, Value(i as u32));
            self.work[i] = work;
            self.leaves[i] = leaves;
        }
    }

    /// Work and leaves of one element of `v` computed here, its arguments being inlined unless they are roots.
    fn inlined(&self, graph: &Graph, v: Value) -> (u64, u64) {
        let node = graph.node(v);
        let own = match &node.op {
            Op::Map(ufunc) => cost::work(*ufunc, graph.ty(node.args[0]).dtype),
            Op::Cast => 1,
            Op::Input(_) => return (0, 1),
            _ => 0,
        };
        node.args.iter().fold((own, 0u64), |(work, leaves), a| {
            if self.is_root(*a) {
                (work, leaves.saturating_add(1))
            } else {
                (work.saturating_add(self.work[a.index()]), leaves.saturating_add(self.leaves[a.index()]))
            }
        })
    }

    /// Makes a value a root where several launches would compute it again at too high a price. True if there was one.
    pub fn add_recomputed(&mut self, graph: &Graph, tasks: &Tasks, launches: &[Group]) -> bool {
        const NONE: u32 = u32::MAX;
        let mut last = vec![NONE; graph.nodes.len()];
        let mut count = vec![0u64; graph.nodes.len()];
        for (l, group) in launches.iter().enumerate() {
            let Group::Launch { tasks: members, .. } = group else { continue };
            for &t in members {
                for &v in &tasks.list[t].inlined {
                    if last[v.index()] != l as u32 {
                        last[v.index()] = l as u32;
                        count[v.index()] += 1;
                    }
                }
            }
        }
        // From the end of the graph: what a new root is computed from has one user fewer, so it is looked at again only
        // in the next round.
        let mut settled = vec![true; graph.nodes.len()];
        let mut added = false;
        for i in (0..graph.nodes.len()).rev() {
            let v = Value(i as u32);
            let expensive = count[i] > 1
                && !self.root[i]
                && can_be_root(graph, v)
                && self.recomputing(v).saturating_mul(count[i] - 1) > STORE_AND_LOAD;
            if expensive && settled[i] {
                self.root[i] = true;
                added = true;
            }
            if !settled[i] || (expensive && added) {
                graph.node(v).args.iter().for_each(|a| settled[a.index()] = false);
            }
        }
        if added {
            self.measure(graph);
        }
        added
    }
}
