//! Which values get memory, and what it would cost to compute one again instead.

use legate_jit_ir::graph::{Graph, Op};
use legate_jit_ir::{Value, View};

use super::cluster::Group;
use super::cuts::{Cuts, can_be_root};
use super::joined::joined;
use super::tasks::{Kind, Tasks, is_box};
use crate::cost;
use crate::relate::disjoint;
use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

/// Work (see [`cost`]) that writing a value and reading it back is worth, if it stays in a cache meanwhile. A cost, not a question
/// of meaning.
pub(super) const STORE_AND_LOAD: u64 = 8;
/// The same where the value is of a large array and nothing keeps its rows near: 24 bytes take a core as long as some fifty
/// operations on a vector's share of them. What is read at several places counts more (see [`Roots::recomputing`]).
pub(super) const STORE_AND_LOAD_FAR: u64 = 200;
/// A window is small if this many of it fit into the base.
pub(super) const SMALL_WINDOW: usize = 8;
/// Operations on the longest way through one body: bounds the depth of our own recursion.
pub(super) const MAX_DEPTH: u32 = 512;
/// Buffers that may be read again instead of one more write and read.
const FREE_LEAVES: u64 = 3;

pub struct Roots {
    root: Vec<bool>,
    /// Work to compute one element from the roots it reads.
    work: Vec<u64>,
    /// Reads of roots to compute one element.
    leaves: Vec<u64>,
    /// Work that writing a value and reading it back is worth.
    worth: u64,
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
    pub fn new(graph: &Graph, worth: u64, cuts: Cuts) -> Roots {
        let n = graph.nodes.len();
        let mut roots = Roots { root: vec![false; n], work: vec![0; n], leaves: vec![0; n], worth, cuts };
        for v in roots.cuts.crossing(graph) {
            roots.root[v.index()] = true;
        }
        let joined = joined(graph);
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
                // See `pack`.
                Op::View(_) if matches!(graph.node(node.args[0]).op, Op::View(_)) => {
                    roots.root[node.args[0].index()] = true;
                }
                // A window that is no box cannot be inlined: it is written over a copy of its base, or in place.
                Op::Update(window) if !is_box(window) => {
                    roots.root[i] = true;
                    roots.root[node.args[0].index()] = true;
                }
                // A boundary: cheaper to write over the base where it lies than to cut every later pass into more pieces.
                Op::Update(window)
                    if !joined[i] && legate_jit_ir::shape::size(&window.shape) * SMALL_WINDOW <= node.ty.size() =>
                {
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
        let mut as_it_is = vec![false; n];
        for node in &graph.nodes {
            if let Op::View(view) = &node.op {
                let (source, view) = roots.through_views(graph, node.args[0], view.clone());
                let seen = views.entry(source).or_default();
                if !seen.iter().any(|(v, _)| *v == view) {
                    let size = legate_jit_ir::shape::size(&view.shape);
                    seen.push((view, size));
                }
            } else {
                node.args.iter().for_each(|a| as_it_is[a.index()] = true);
            }
        }
        // In order of the graph, so that a user sees the reduced cost of what became a root before it.
        for v in (0..n).map(|i| Value(i as u32)) {
            (roots.work[v.index()], roots.leaves[v.index()]) = roots.inlined(graph, v);
            let Some(seen) = views.get_mut(&v).filter(|_| can_be_root(graph, v) && !roots.is_root(v)) else { continue };
            let size = graph.ty(v).size().max(1);
            if as_it_is[v.index()] {
                seen.push((View::identity(&graph.ty(v).shape), size));
            }
            let read: usize = seen.iter().map(|(_, n)| n).sum();
            let once = if overlap(seen) { seen.iter().map(|(_, n)| *n).max().unwrap_or(0) } else { size };
            let again = read.saturating_sub(once) as f64 / size as f64;
            roots.root[v.index()] = roots.recomputing(v) as f64 * again > worth as f64;
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
        self.work[v.index()].saturating_add(self.leaves[v.index()].saturating_sub(FREE_LEAVES).saturating_mul(4))
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

    /// Makes values roots where several launches would compute them again at too high a price. True if there were any.
    ///
    /// From the end of the graph, so that it is known of each value who computes it: the launches of its users, and for a user
    /// that has just become a root, the launch that this one will be in. Which one that is the next round shows; until then, new
    /// roots over one space with as many barriers before them count as one launch. So a chain of such values is found in a
    /// few rounds, however long it is.
    pub fn add_recomputed(&mut self, graph: &Graph, tasks: &Tasks, launches: &[Group]) -> bool {
        let mut launch_of: Vec<Option<(u32, Kind)>> = vec![None; graph.nodes.len()];
        for (l, group) in launches.iter().enumerate() {
            let Group::Launch { tasks: members, .. } = group else { continue };
            for task in members.iter().map(|&t| &tasks.list[t]) {
                launch_of[task.value.index()] = Some((l as u32, task.kind));
            }
        }
        let mut computed_by = vec![Computed::default(); graph.nodes.len()];
        let level = barriers(graph);
        let mut future: FxHashMap<(&[usize], u32), u32> = FxHashMap::default();
        let mut added = false;
        for (i, node) in graph.nodes.iter().enumerate().rev() {
            let v = Value(i as u32);
            let mut by = std::mem::take(&mut computed_by[i]);
            let mut args = &node.args[..];
            if self.root[i] {
                match launch_of[i] {
                    Some((l, _)) => by = Computed::by(l),
                    // Inputs are computed by nobody, and what opaque operations take are roots.
                    None => continue,
                }
            } else if by.times() > 1
                && can_be_root(graph, v)
                && self.recomputing(v).saturating_mul(by.times() as u64 - 1) > self.worth
            {
                self.root[i] = true;
                added = true;
                let next = launches.len() as u32 + future.len() as u32;
                by = Computed::by(*future.entry((&node.ty.shape[..], level[i])).or_insert(next));
            }
            if matches!(launch_of[i], Some((_, Kind::InPlace))) {
                args = &args[1..];
            }
            for arg in args.iter().filter(|a| !self.root[a.index()]) {
                computed_by[arg.index()].merge(&by);
            }
        }
        if added {
            self.measure(graph);
        }
        added
    }
}

/// The launches that compute a value, as far as it matters how many there are.
#[derive(Clone, Default)]
struct Computed(SmallVec<[u32; 4]>);

impl Computed {
    /// More than these are too many for any value.
    const MANY: usize = 2 + STORE_AND_LOAD as usize;

    fn by(launch: u32) -> Computed {
        Computed(smallvec![launch])
    }

    fn times(&self) -> usize {
        self.0.len()
    }

    fn merge(&mut self, other: &Computed) {
        for launch in &other.0 {
            if self.0.len() < Computed::MANY && !self.0.contains(launch) {
                self.0.push(*launch);
            }
        }
    }
}

/// For each value, how many operations lie before it, at most, whose results cannot be had in the same pass.
fn barriers(graph: &Graph) -> Vec<u32> {
    let mut level = vec![0u32; graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        let own = match &node.op {
            Op::Reduce(_) | Op::Opaque(_) | Op::Reshape | Op::Update(_) => 1,
            Op::View(_) => (graph.ty(node.args[0]).size() > 1) as u32,
            _ => 0,
        };
        level[i] = own + node.args.iter().map(|a| level[a.index()]).max().unwrap_or(0);
    }
    level
}
