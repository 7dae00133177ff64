//! One form for each meaning, cheaply: what a single look at a node and its arguments can simplify, with every bit kept.
//! It runs on every plan miss, before and after `rewrite`, so it is a few passes with a bounded amount of work a node.
//!
//! Before: any valid graph. After: no dead nodes and no two equal ones; views are composed and in normal form, and none is
//! the whole of its argument; a reshape that only moves unit axes is a view, and no reshape follows another; what is
//! computed from constants is a constant; values without elements are filled with zero; a view reads through updates where
//! that makes the update dead; an update that is overwritten is gone. The program's order is kept: a node stands where it stood.

use hashbrown::HashTable;
use legate_jit_ir::graph::{Op, Reducer};
use legate_jit_ir::{Graph, Node, Result, Scalar, Type, Ufunc, Value, View};
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use std::hash::BuildHasher;

use crate::cx::Cx;
use crate::fold;
use crate::relate::{disjoint, is_whole, normal, of_reshape, within};

/// Updates that one view or update looks through. A bound keeps long chains of writes linear.
const FUEL: usize = 32;

/// Rounds after which a graph is taken as it is. A round is needed where the one before has left an update without readers
/// that another update or a view may now look through; a handful of them is rare.
const ROUNDS: usize = 8;

/// See the module's documentation.
pub fn canonicalize(graph: &Graph, _cx: &Cx) -> Result<Graph> {
    let mut out = round(graph);
    if out.nodes.iter().any(|node| matches!(node.op, Op::Update(_))) {
        for _ in 1..ROUNDS {
            let next = round(&out);
            if next == out {
                break;
            }
            out = next;
        }
    }
    Ok(out)
}

fn round(graph: &Graph) -> Graph {
    let live = live(graph);
    let mut c = Canon {
        out: Graph { name: graph.name.clone(), donated: graph.donated.clone(), ..Graph::default() },
        known: HashTable::with_capacity(graph.nodes.len()),
        kept: Vec::with_capacity(graph.nodes.len()),
        uses: Vec::with_capacity(graph.nodes.len()),
    };
    let (kept, uses) = readers(graph, &live);
    c.out.nodes.reserve(graph.nodes.len());
    let mut new = vec![Value(u32::MAX); graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        if live[i] {
            let args = node.args.iter().map(|a| new[a.index()]).collect();
            new[i] = c.add(node.op.clone(), args, node.ty.clone());
            c.kept.resize(c.out.nodes.len(), false);
            c.uses.resize(c.out.nodes.len(), 0);
            c.kept[new[i].index()] |= kept[i];
            c.uses[new[i].index()] += uses[i];
        }
    }
    c.out.outputs = graph.outputs.iter().map(|o| new[o.index()]).collect();
    drop_dead(c.out)
}

fn live(graph: &Graph) -> Vec<bool> {
    let mut live = vec![false; graph.nodes.len()];
    for out in &graph.outputs {
        live[out.index()] = true;
    }
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if live[i] {
            for arg in &node.args {
                live[arg.index()] = true;
            }
        }
    }
    live
}

/// Of each value: whether somebody reads it other than through a view, and how many do at all.
fn readers(graph: &Graph, live: &[bool]) -> (Vec<bool>, Vec<u32>) {
    let mut kept = vec![false; graph.nodes.len()];
    let mut uses = vec![0; graph.nodes.len()];
    for out in &graph.outputs {
        kept[out.index()] = true;
        uses[out.index()] += 1;
    }
    for (node, _) in graph.nodes.iter().zip(live).filter(|(_, live)| **live) {
        for arg in &node.args {
            kept[arg.index()] |= !matches!(node.op, Op::View(_));
            uses[arg.index()] += 1;
        }
    }
    (kept, uses)
}

/// `Graph::without_dead`, but nothing moves where nothing is dead.
fn drop_dead(mut graph: Graph) -> Graph {
    let live = live(&graph);
    if live.iter().all(|&l| l) {
        return graph;
    }
    let mut new = vec![Value(u32::MAX); live.len()];
    let mut next = 0;
    for (i, mut node) in std::mem::take(&mut graph.nodes).into_iter().enumerate() {
        if live[i] {
            node.args.iter_mut().for_each(|a| *a = new[a.index()]);
            new[i] = Value(next);
            next += 1;
            graph.nodes.push(node);
        }
    }
    graph.outputs.iter_mut().for_each(|o| *o = new[o.index()]);
    graph
}

type Args = SmallVec<[Value; 3]>;

/// The graph as it grows, with an index of its nodes.
struct Canon {
    out: Graph,
    known: HashTable<u32>,
    /// Of each node: whether it is read other than through views, and how often it is read at all.
    kept: Vec<bool>,
    uses: Vec<u32>,
}

fn hash(node: &Node) -> u64 {
    FxBuildHasher.hash_one(node)
}

impl Canon {
    /// The value of a node whose arguments are canonical.
    fn add(&mut self, op: Op, args: Args, ty: Type) -> Value {
        if ty.size() == 0 && !matches!(op, Op::Input(_)) {
            return self.fill(fold::zero(ty.dtype), &ty);
        }
        match op {
            Op::View(view) => self.view(args[0], view),
            Op::Reshape => self.reshape(args[0], ty),
            Op::Cast => self.cast(args[0], ty),
            Op::Map(ufunc) => self.map(ufunc, args, ty),
            Op::Update(window) => self.update(args[0], window, args[1]),
            Op::Reduce(reduce) => {
                let arg = self.out.ty(args[0]);
                // One element combined with nothing is itself, except that a sum of -0.0 is 0.0.
                let same = arg.dtype == ty.dtype
                    && match reduce.reducer {
                        Reducer::Ufunc(Ufunc::Add) => !(arg.dtype.is_float() || arg.dtype.is_complex()),
                        Reducer::Ufunc(_) => true,
                        _ => false,
                    };
                if same && reduce.axes.iter().all(|&k| arg.shape[k as usize] == 1) {
                    return self.reshape(args[0], ty);
                }
                self.intern(Op::Reduce(reduce), args, ty)
            }
            Op::Input(_) | Op::Scalar(_) | Op::Const(_) | Op::Index(_) | Op::Opaque(_) => self.intern(op, args, ty),
        }
    }

    /// The node, or the equal one that is there already.
    fn intern(&mut self, op: Op, args: Args, ty: Type) -> Value {
        let node = Node { op, args, ty };
        let nodes = &mut self.out.nodes;
        let h = hash(&node);
        if let Some(&i) = self.known.find(h, |&i| nodes[i as usize] == node) {
            return Value(i);
        }
        let i = nodes.len() as u32;
        nodes.push(node);
        self.known.insert_unique(h, i, |&i| hash(&nodes[i as usize]));
        Value(i)
    }

    fn constant(&mut self, value: Scalar) -> Value {
        self.intern(Op::Const(value), Args::new(), Type::new(value.dtype, &[]))
    }

    /// An array of one value.
    fn fill(&mut self, value: Scalar, ty: &Type) -> Value {
        let scalar = self.constant(value);
        self.view(scalar, View::broadcast(&[], &ty.shape))
    }

    /// The constant that every element of the value equals.
    fn uniform(&self, v: Value) -> Option<Scalar> {
        let node = self.out.node(v);
        match &node.op {
            Op::Const(value) => Some(*value),
            Op::View(_) => match self.out.node(node.args[0]).op {
                Op::Const(value) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value and its view that a view of `base` reads, looking through views and updates. An array that stays in memory is
    /// read in its newest version: who read an older one beside it would keep both, and a write to a boundary would become
    /// a copy of the array. So an update is looked through where only views read it (it is gone then, unless one of them
    /// sees both sides of it), or where what is read is no memory at all. Elementwise work is read where the update has
    /// stored it, or else `fuse`, which looks through windows itself, would have to do it twice.
    fn resolve(&self, base: Value, view: View) -> (Value, View) {
        let mut best = self.through_views(base, view);
        let (mut deep, mut seen) = best.clone();
        let mut free = true;
        for _ in 0..FUEL {
            let node = self.out.node(deep);
            let Op::Update(window) = &node.op else { break };
            free &= self.kept.get(deep.index()) == Some(&false);
            (deep, seen) = if disjoint(&seen, window) {
                self.through_views(node.args[0], seen)
            } else if let Some(inner) = within(&seen, window) {
                self.through_views(node.args[1], inner)
            } else {
                break;
            };
            let constant = matches!(self.out.node(deep).op, Op::Scalar(_) | Op::Const(_) | Op::Index(_));
            if constant || free && !matches!(self.out.node(deep).op, Op::Map(_) | Op::Cast) {
                best = (deep, seen.clone());
            }
        }
        best
    }

    fn through_views(&self, mut base: Value, mut view: View) -> (Value, View) {
        loop {
            let node = self.out.node(base);
            if let Some(better) = normal(&view, &node.ty.shape) {
                view = better;
            }
            let Op::View(inner) = &node.op else { return (base, view) };
            view = inner.then(&view);
            base = node.args[0];
        }
    }

    fn view(&mut self, base: Value, view: View) -> Value {
        // The whole of an update is the update; nothing is gained by looking behind it.
        if is_whole(&view, &self.out.ty(base).shape) {
            return base;
        }
        let (base, view) = self.resolve(base, view);
        let of = self.out.ty(base);
        if is_whole(&view, &of.shape) {
            return base;
        }
        let ty = Type { dtype: of.dtype, shape: view.shape.clone() };
        self.intern(Op::View(view), Args::from_slice(&[base]), ty)
    }

    fn reshape(&mut self, mut arg: Value, ty: Type) -> Value {
        let mut node = self.out.node(arg);
        if matches!(node.op, Op::Reshape) {
            arg = node.args[0];
            node = self.out.node(arg);
        }
        if node.ty.shape == ty.shape {
            return arg;
        }
        if let Some(view) = of_reshape(&node.ty.shape, &ty.shape) {
            return self.view(arg, view);
        }
        // All elements are one: of a 0-d value, in any shape.
        if let Op::View(view) = &node.op
            && view.axes.iter().all(|m| m.terms.is_empty())
        {
            let to = View { shape: ty.shape, axes: view.axes.clone() };
            return self.view(node.args[0], to);
        }
        self.intern(Op::Reshape, Args::from_slice(&[arg]), ty)
    }

    fn cast(&mut self, arg: Value, ty: Type) -> Value {
        if self.out.ty(arg).dtype == ty.dtype {
            return arg;
        }
        match self.uniform(arg) {
            Some(value) => self.fill(fold::cast(value, ty.dtype), &ty),
            None => self.intern(Op::Cast, Args::from_slice(&[arg]), ty),
        }
    }

    fn map(&mut self, ufunc: Ufunc, mut args: Args, ty: Type) -> Value {
        let values: Option<SmallVec<[Scalar; 3]>> = args.iter().map(|&a| self.uniform(a)).collect();
        if let Some(values) = values
            && let Some(value) = fold::map(ufunc, &values)
        {
            return self.fill(value, &ty);
        }
        // Of two NaNs a float operation returns the first, so only integers may change places.
        if args.len() == 2 && fold::commutes(ufunc, self.out.ty(args[0]).dtype) {
            args.sort_unstable();
        }
        self.intern(Op::Map(ufunc), args, ty)
    }

    fn update(&mut self, mut base: Value, mut window: View, mut value: Value) -> Value {
        let shape = self.out.ty(base).shape.clone();
        if window.shape.contains(&0) {
            return base;
        }
        if is_whole(&window, &shape) {
            return value;
        }
        for _ in 0..FUEL {
            // Earlier writes that this one covers are not seen by anybody, if nobody else reads them. If somebody does, they
            // happen anyway, and an array that has older ones beside it stays in memory with them.
            if let Op::Update(earlier) = &self.out.node(base).op
                && within(earlier, &window).is_some()
                && self.uses.get(base.index()).is_some_and(|&n| n <= 1)
            {
                base = self.out.node(base).args[0];
                continue;
            }
            // What was written into a window of the array's window before that was written back, is written at once.
            let node = self.out.node(value);
            match &node.op {
                Op::Update(inner) if self.reads(node.args[0], base, &window) => {
                    (window, value) = (window.then(inner), node.args[1]);
                }
                _ => break,
            }
        }
        // Writing what is there already.
        let same = self.uniform(base).is_some() && self.uniform(base) == self.uniform(value);
        if same || self.reads(value, base, &window) {
            return base;
        }
        let ty = self.out.ty(base).clone();
        self.intern(Op::Update(window), Args::from_slice(&[base, value]), ty)
    }

    /// Whether the value is what this view of `base` reads.
    fn reads(&self, value: Value, base: Value, view: &View) -> bool {
        let (base, view) = self.resolve(base, view.clone());
        let node = self.out.node(value);
        match &node.op {
            Op::View(v) if node.args[0] == base => *v == view,
            _ => value == base && is_whole(&view, &self.out.ty(base).shape),
        }
    }
}
