//! Tasks: one for each root that is computed and each reduction, with what it reads and whether it can work in place.

use legate_jit_ir::graph::{Graph, Op};
use legate_jit_ir::shape::Shape;
use legate_jit_ir::{Value, View};

use super::roots::{Roots, SMALL_WINDOW};
use rustc_hash::{FxHashMap, FxHashSet};

/// A root that a task reads, and how: from the task's iteration space to the root's index.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Read {
    pub root: Value,
    pub view: View,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Computes every element of a root.
    Whole,
    /// Copies the base of an update whose window is no box (it has gaps, or is a diagonal), then writes the window.
    CopyThenWrite,
    /// Writes the window of an update into the memory of its base.
    InPlace,
    /// Reduces the argument of a `Reduce`; the iteration space is the argument's.
    Reduce,
    /// Runs alone, not as a kernel.
    Opaque,
    Reshape,
}

#[derive(Clone, Debug)]
pub struct Task {
    pub value: Value,
    pub kind: Kind,
    pub domain: Shape,
    pub reads: Vec<Read>,
    /// Values that this task computes on the way, which have no memory.
    pub inlined: Vec<Value>,
}

pub struct Tasks {
    /// In the graph's order.
    pub list: Vec<Task>,
    /// The memory that each root lives in: updates in place share their base's.
    pub memory: Vec<Value>,
}

impl Tasks {
    pub fn new(graph: &Graph, roots: &Roots) -> Tasks {
        let mut list = Vec::new();
        for (i, node) in graph.nodes.iter().enumerate() {
            let value = Value(i as u32);
            if !roots.is_root(value) || matches!(node.op, Op::Input(_)) {
                continue;
            }
            let (kind, domain, starts): (_, _, &[Value]) = match &node.op {
                Op::Reduce(_) => (Kind::Reduce, graph.ty(node.args[0]).shape.clone(), &node.args),
                Op::Opaque(_) => (Kind::Opaque, node.ty.shape.clone(), &node.args),
                Op::Reshape => (Kind::Reshape, node.ty.shape.clone(), &node.args),
                Op::Update(window) if !is_box(window) => (Kind::CopyThenWrite, node.ty.shape.clone(), &node.args),
                _ => (Kind::Whole, node.ty.shape.clone(), &node.args),
            };
            let mut walk = Walk::new(graph, roots);
            match (&node.op, kind) {
                (_, Kind::Whole) => {
                    let whole = walk.number(View::identity(&domain));
                    walk.definition(value, whole);
                }
                _ => starts.iter().for_each(|&a| {
                    let whole = walk.number(View::identity(&graph.ty(a).shape));
                    walk.value(a, whole);
                }),
            }
            let (reads, inlined) = (walk.reads, walk.inlined);
            list.push(Task { value, kind, domain, reads, inlined });
        }
        let mut tasks = Tasks { list, memory: (0..graph.nodes.len() as u32).map(Value).collect() };
        tasks.find_in_place(graph, roots);
        tasks
    }

    /// An update writes into its base's memory where no later task reads the base, the base's memory may be written, and
    /// what the update reads is not in the window (or is exactly the element that it replaces).
    fn find_in_place(&mut self, graph: &Graph, roots: &Roots) {
        let mut last_reader: Vec<Option<usize>> = vec![None; graph.nodes.len()];
        for (t, task) in self.list.iter().enumerate() {
            for read in &task.reads {
                last_reader[read.root.index()] = Some(t);
            }
        }
        let mut writable = vec![true; graph.nodes.len()];
        for (i, node) in graph.nodes.iter().enumerate() {
            if let Op::Input(n) = node.op {
                writable[i] = graph.donated.get(n as usize).copied().unwrap_or(false);
            }
            if node.op == Op::Reshape {
                // Two names for one memory: neither may change.
                writable[i] = false;
                writable[node.args[0].index()] = false;
            }
        }
        graph.outputs.iter().for_each(|o| writable[o.index()] = false);
        for t in 0..self.list.len() {
            let value = self.list[t].value;
            let node = graph.node(value);
            let Op::Update(window) = &node.op else { continue };
            let base = node.args[0];
            let small = legate_jit_ir::shape::size(&window.shape) * SMALL_WINDOW <= node.ty.size();
            if !matches!(self.list[t].kind, Kind::Whole | Kind::CopyThenWrite)
                || !roots.is_root(base)
                || !writable[base.index()]
                || last_reader[base.index()].is_some_and(|last| last > t)
                || !(small || is_input(graph, base) || !is_box(window))
            {
                continue;
            }
            let mut walk = Walk::new(graph, roots);
            let whole = walk.number(View::identity(&window.shape));
            walk.value(node.args[1], whole);
            let memory = self.memory[base.index()];
            let hazard = walk
                .reads
                .iter()
                .any(|r| self.memory[r.root.index()] == memory && !(r.view == *window || apart(&r.view, window)));
            if hazard {
                continue;
            }
            self.memory[value.index()] = memory;
            let (reads, inlined) = (walk.reads, walk.inlined);
            self.list[t] = Task { value, kind: Kind::InPlace, domain: window.shape.clone(), reads, inlined };
        }
    }
}

fn is_input(graph: &Graph, v: Value) -> bool {
    matches!(graph.node(v).op, Op::Input(_))
}

/// Whether a window is a box of its base: steps of one, and an axis of its own for each axis of the base, which a diagonal
/// has not.
pub fn is_box(window: &View) -> bool {
    let mut taken: smallvec::SmallVec<[bool; 4]> = window.shape.iter().map(|_| false).collect();
    window.axes.iter().all(|m| match m.terms[..] {
        [] => true,
        [(axis, 1 | -1)] => !std::mem::replace(&mut taken[axis as usize], true),
        _ => false,
    })
}

/// Whether two views of one base surely touch no common element. A read through a window may reach beyond its base, so this is
/// decided on signed coordinates.
pub fn apart(a: &View, b: &View) -> bool {
    crate::relate::disjoint(a, b)
}

/// Collects what the computation of a value reads. Most of a walk goes on through one and the same view, so views are kept once
/// and go by number.
struct Walk<'a> {
    graph: &'a Graph,
    roots: &'a Roots,
    reads: Vec<Read>,
    inlined: Vec<Value>,
    views: Vec<View>,
    numbers: FxHashMap<View, u32>,
    seen: FxHashSet<(Value, u32)>,
}

impl<'a> Walk<'a> {
    fn new(graph: &'a Graph, roots: &'a Roots) -> Walk<'a> {
        Walk {
            graph,
            roots,
            reads: Vec::new(),
            inlined: Vec::new(),
            views: Vec::new(),
            numbers: FxHashMap::default(),
            seen: FxHashSet::default(),
        }
    }

    fn number(&mut self, view: View) -> u32 {
        if let Some(&number) = self.numbers.get(&view) {
            return number;
        }
        let number = self.views.len() as u32;
        self.views.push(view.clone());
        self.numbers.insert(view, number);
        number
    }

    fn value(&mut self, v: Value, view: u32) {
        let (mut v, mut view) = (v, view);
        if matches!(self.graph.node(v).op, Op::View(_)) {
            let (source, access) = self.roots.through_views(self.graph, v, self.views[view as usize].clone());
            (v, view) = (source, self.number(access));
        }
        if !self.seen.insert((v, view)) {
            return;
        }
        if self.roots.is_root(v) {
            self.reads.push(Read { root: v, view: self.views[view as usize].clone() });
            return;
        }
        self.inlined.push(v);
        self.definition(v, view);
    }

    fn definition(&mut self, v: Value, view: u32) {
        let graph = self.graph;
        let node = graph.node(v);
        match &node.op {
            Op::Map(_) | Op::Cast => node.args.iter().for_each(|&a| self.value(a, view)),
            Op::View(inner) => {
                let view = self.number(inner.then(&self.views[view as usize]));
                self.value(node.args[0], view);
            }
            Op::Update(window) => {
                self.value(node.args[0], view);
                let inner = inside_window(window, &self.views[view as usize]);
                let view = self.number(inner.unwrap_or_else(|| View::identity(&window.shape)));
                self.value(node.args[1], view);
            }
            Op::Const(_) | Op::Scalar(_) | Op::Index(_) => {}
            Op::Input(_) | Op::Reduce(_) | Op::Opaque(_) | Op::Reshape => {
                debug_assert!(false, "{:?} is always a root", node.op)
            }
        }
    }
}

/// For a read of an updated array through `view`: the view of the written value that gives the same elements, where the
/// read falls into the window. `None` where the window's or the view's form does not allow that.
pub fn inside_window(window: &View, view: &View) -> Option<View> {
    use legate_jit_ir::view::AxisMap;
    if !is_box(window) {
        return None;
    }
    let mut axes: smallvec::SmallVec<[AxisMap; 4]> = window.shape.iter().map(|_| AxisMap::at(0)).collect();
    for (w, v) in window.axes.iter().zip(&view.axes) {
        match w.terms[..] {
            [] => {}
            [(axis, step)] => {
                let mut map = v.clone();
                map.start = (v.start - w.start) * step;
                map.terms.iter_mut().for_each(|t| t.1 *= step);
                axes[axis as usize] = map;
            }
            _ => return None,
        }
    }
    Some(View { shape: view.shape.clone(), axes })
}
