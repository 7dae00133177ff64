//! Equality saturation: all forms that the rules lead to are kept side by side in an e-graph, and the cheapest is taken.
//!
//! Before: a canonical graph. After: a canonical graph with the same outputs, bit for bit under `Math::Exact`. Saturation is
//! bounded by e-nodes and rounds alone, and every table is ordered, so that all ranks reach the same program.

pub mod analysis;
pub mod cost;
pub mod extract;
pub mod language;
pub mod rule;
pub mod rules;

use std::collections::BTreeMap;

use egg::{Id, Language, Searcher};
use legate_jit_ir::graph::Op;
use legate_jit_ir::{Graph, Node, Result, Value};
use smallvec::SmallVec;

use crate::canonicalize::canonicalize;
use crate::cx::{Cx, Math};
use analysis::EGraph;
use extract::{Choice, cost_of, extract};
use language::{Head, Leaf, Term};
use rule::{Bits, SLOTS, Slot, bit};

/// The rules that shaped the result, with how often.
pub type Fired = BTreeMap<&'static str, u32>;

/// See the module's documentation.
pub fn rewrite(graph: &Graph, cx: &Cx) -> Result<(Graph, Fired)> {
    let wanted = |slot: &Slot| slot.rule.bits == Bits::Exact || cx.math == Math::Relaxed;
    rewrite_by(graph, cx, &wanted)
}

/// As [`rewrite`], with the rules of this name only; tests look at one rule at a time.
pub fn rewrite_with(graph: &Graph, cx: &Cx, rule: &str) -> Result<(Graph, Fired)> {
    rewrite_by(graph, cx, &|slot| slot.rule.name == rule)
}

/// Every graph that one round of this rule makes of a graph with one output by giving that output another term, cheaper or not:
/// what the rule claims to be equal.
pub fn alternatives(graph: &Graph, cx: &Cx, rule: &str) -> Vec<Graph> {
    let (clock, _hand) = quanta::Clock::mock();
    quanta::with_clock(&clock, || {
        let mut s = Saturation::new(graph);
        let once = Cx { limits: crate::cx::Limits { iterations: 1, ..cx.limits }, ..cx.clone() };
        s.saturate(&once, &|slot| slot.rule.name == rule);
        s.egraph.rebuild();
        let (original, roots) = s.original(graph);
        let root = roots[0];
        let mut found = Vec::new();
        if s.unions.iter().all(|u| s.egraph.find(u.0) != root) {
            return found;
        }
        if s.egraph[root].data.constant().is_some() {
            let choice = extract(&s.egraph, &roots, &original, cx.math);
            return vec![s.build(graph, &choice, &roots)];
        }
        let own = &original[graph.outputs[0].index()].1;
        for (i, term) in s.egraph[root].nodes.iter().enumerate() {
            if term != own
                && let Some(choice) = extract::extract_with(&s.egraph, &roots, &original, cx.math, Some((root, i)))
            {
                found.push(s.build(graph, &choice, &roots));
            }
        }
        found
    })
}

fn rewrite_by(graph: &Graph, cx: &Cx, wanted: &dyn Fn(&Slot) -> bool) -> Result<(Graph, Fired)> {
    // egg looks at a clock after each round. One that stands still costs nothing, where the real one is calibrated first.
    let (clock, _hand) = quanta::Clock::mock();
    quanta::with_clock(&clock, || {
        let mut s = Saturation::new(graph);
        s.saturate(cx, wanted);
        if s.unions.is_empty() { Ok((graph.clone(), Fired::new())) } else { s.result(graph, cx) }
    })
}

struct Saturation {
    egraph: EGraph,
    /// The class of each value of the graph.
    ids: Vec<Id>,
    /// What united with what, by which slot.
    unions: Vec<(Id, u32)>,
}

impl Saturation {
    fn new(graph: &Graph) -> Saturation {
        let mut egraph = EGraph::default();
        let mut ids: Vec<Id> = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let args: SmallVec<[Id; 3]> = node.args.iter().map(|a| ids[a.index()]).collect();
            let mut attribute = |leaf: Leaf| egraph.add(Term::leaf(leaf));
            let term = match &node.op {
                Op::Input(n) => Term::leaf(Leaf::Input(*n, node.ty.clone())),
                Op::Scalar(n) => Term::leaf(Leaf::Scalar(*n, node.ty.clone())),
                Op::Const(value) => Term::leaf(Leaf::Const(*value)),
                Op::Index(axis) => Term::leaf(Leaf::Index(*axis, node.ty.clone())),
                Op::View(view) => Term::new(Head::View, &[args[0], attribute(Leaf::View(view.clone()))]),
                Op::Reshape => Term::new(Head::Reshape, &[args[0], attribute(Leaf::Shape(node.ty.shape.clone()))]),
                Op::Map(ufunc) => Term { head: Head::Map(*ufunc), args },
                Op::Cast => Term::new(Head::Cast, &[args[0], attribute(Leaf::DType(node.ty.dtype))]),
                Op::Update(window) => {
                    Term::new(Head::Update, &[args[0], attribute(Leaf::View(window.clone())), args[1]])
                }
                Op::Reduce(reduce) => Term::new(Head::Reduce, &[args[0], attribute(Leaf::Reduce(reduce.clone()))]),
                Op::Opaque(op) => {
                    let mut all: SmallVec<[Id; 3]> = SmallVec::new();
                    all.push(attribute(Leaf::Opaque(op.clone(), node.ty.clone())));
                    all.extend(args);
                    Term { head: Head::Opaque, args: all }
                }
            };
            let id = egraph.add(term);
            debug_assert_eq!(egraph[id].data.ty(), Some(&node.ty), "the analysis types {node:?} otherwise");
            ids.push(id);
        }
        Saturation { egraph, ids, unions: Vec::new() }
    }

    fn saturate(&mut self, cx: &Cx, wanted: &dyn Fn(&Slot) -> bool) {
        let limit = cx.limits.nodes_base + cx.limits.nodes_per_node * self.ids.len();
        let mut matches_left = cx.limits.matches_base + cx.limits.matches_per_node * self.ids.len();
        let (mut kinds, mut seen) = (0u128, 0);
        for _ in 0..cx.limits.iterations {
            self.egraph.nodes()[seen..].iter().for_each(|t| kinds |= bit(t.discriminant()));
            seen = self.egraph.nodes().len();
            let mut active = SLOTS.iter().enumerate().filter(|(_, s)| s.needs & !kinds == 0 && wanted(s)).peekable();
            if active.peek().is_none() {
                return;
            }
            self.egraph.rebuild();
            let mut found = Vec::new();
            for (i, slot) in active {
                let matches = slot.compiled().lhs.search_with_limit(&self.egraph, matches_left);
                matches_left -= matches.iter().map(|m| m.substs.len()).sum::<usize>().min(matches_left);
                if !matches.is_empty() {
                    found.push((i, slot, matches));
                }
                if matches_left == 0 {
                    break;
                }
            }
            let before = self.unions.len();
            for (i, slot, matches) in found {
                for class in matches {
                    for subst in &class.substs {
                        if slot.apply(&mut self.egraph, class.eclass, subst) {
                            self.unions.push((class.eclass, i as u32));
                        }
                        if self.egraph.total_size() > limit {
                            return;
                        }
                    }
                }
            }
            if self.unions.len() == before || matches_left == 0 {
                return;
            }
        }
    }

    /// The cheapest graph, if it is cheaper than the one that came.
    fn result(mut self, graph: &Graph, cx: &Cx) -> Result<(Graph, Fired)> {
        self.egraph.rebuild();
        let (original, roots) = self.original(graph);
        let choice = extract(&self.egraph, &roots, &original, cx.math);
        if choice.cost >= cost_of(&self.egraph, graph, &original, cx.math) {
            return Ok((graph.clone(), Fired::new()));
        }
        let built = canonicalize(&self.build(graph, &choice, &roots), cx)?;
        Ok((built, self.fired(&choice, &original)))
    }

    /// The terms of the graph as it came, in today's classes, and the classes of its outputs.
    fn original(&self, graph: &Graph) -> (Vec<(Id, Term)>, Vec<Id>) {
        let egraph = &self.egraph;
        let canonical = |term: &Term| term.clone().map_children(|id| egraph.find(id));
        let original: Vec<(Id, Term)> =
            self.ids.iter().map(|&id| (egraph.find(id), canonical(&egraph.nodes()[usize::from(id)]))).collect();
        let roots = graph.outputs.iter().map(|o| original[o.index()].0).collect();
        (original, roots)
    }

    /// The chosen terms as a graph, in the order of the original one as far as it goes.
    fn build(&self, graph: &Graph, choice: &Choice, roots: &[Id]) -> Graph {
        let mut build = Build {
            egraph: &self.egraph,
            choice,
            out: Graph { name: graph.name.clone(), donated: graph.donated.clone(), ..Graph::default() },
            values: vec![None; self.egraph.nodes().len()],
        };
        for &id in &self.ids {
            let id = self.egraph.find(id);
            if choice.is_live(id) {
                build.value(id);
            }
        }
        build.out.outputs = roots.iter().map(|&r| build.value(r)).collect();
        build.out
    }

    /// How often each rule united something that shows: a live class whose term is not what the graph had, or that joins
    /// several of the graph's values.
    fn fired(&self, choice: &Choice, original: &[(Id, Term)]) -> Fired {
        let n = self.egraph.nodes().len();
        let (mut same, mut several) = (vec![false; n], vec![false; n]);
        let mut first: Vec<Option<&Term>> = vec![None; n];
        for (id, term) in original {
            let i = usize::from(*id);
            same[i] |= choice.is_live(*id) && choice.term(*id) == Some(term);
            several[i] |= first[i].get_or_insert(term) != &term;
        }
        let mut fired = Fired::new();
        for &(id, slot) in &self.unions {
            let id = self.egraph.find(id);
            if choice.is_live(id) && (!same[usize::from(id)] || several[usize::from(id)]) {
                *fired.entry(SLOTS[slot as usize].rule.name).or_default() += 1;
            }
        }
        fired
    }
}

struct Build<'a> {
    egraph: &'a EGraph,
    choice: &'a Choice<'a>,
    out: Graph,
    values: Vec<Option<Value>>,
}

impl Build<'_> {
    /// The value of a class, with all that it needs, without recursion: graphs can be deep.
    fn value(&mut self, root: Id) -> Value {
        let mut path = vec![root];
        while let Some(&id) = path.last() {
            if self.values[usize::from(id)].is_some() {
                path.pop();
                continue;
            }
            let missing = path.len();
            if let Some(term) = self.choice.term(id) {
                let needed = term.args.iter().rev().filter(|&&a| self.egraph[a].data.ty().is_some());
                path.extend(needed.filter(|&&a| self.values[usize::from(a)].is_none()));
            }
            if path.len() == missing {
                self.values[usize::from(id)] = Some(self.emit(id));
                path.pop();
            }
        }
        self.values[usize::from(root)].expect("just emitted")
    }

    fn emit(&mut self, id: Id) -> Value {
        let facts = &self.egraph[id].data;
        let ty = facts.ty().expect("only values are chosen").clone();
        let Some(term) = self.choice.term(id) else {
            let value = facts.constant().expect("a class without a term is a constant");
            let scalar = self.out.push(Op::Const(value), &[], legate_jit_ir::Type::new(value.dtype, &[]));
            let view = legate_jit_ir::View::broadcast(&[], &ty.shape);
            return self.out.push(Op::View(view), &[scalar], ty);
        };
        let attribute = |i: usize| self.egraph[term.args[i]].data.attribute();
        let op = match (&term.head, term.args.len()) {
            (Head::Map(ufunc), _) => Op::Map(*ufunc),
            (Head::Cast, _) => Op::Cast,
            (Head::Reshape, _) => Op::Reshape,
            (Head::View | Head::Reduce, _) => match attribute(1) {
                Some(Leaf::View(view)) => Op::View(view.clone()),
                Some(Leaf::Reduce(reduce)) => Op::Reduce(reduce.clone()),
                other => panic!("{term} with {other:?}"),
            },
            (Head::Update, _) => match attribute(1) {
                Some(Leaf::View(view)) => Op::Update(view.clone()),
                other => panic!("{term} with {other:?}"),
            },
            (Head::Opaque, _) => match attribute(0) {
                Some(Leaf::Opaque(op, _)) => Op::Opaque(op.clone()),
                other => panic!("{term} with {other:?}"),
            },
            (Head::Leaf(leaf), _) => match &**leaf {
                Leaf::Input(n, _) => Op::Input(*n),
                Leaf::Scalar(n, _) => Op::Scalar(*n),
                Leaf::Index(axis, _) => Op::Index(*axis),
                Leaf::Const(value) => Op::Const(*value),
                Leaf::View(_) | Leaf::Reduce(_) | Leaf::DType(_) | Leaf::Shape(_) | Leaf::Opaque(..) => {
                    panic!("an attribute is no value")
                }
            },
        };
        let args = term.args.iter().filter_map(|&a| self.values[usize::from(a)]).collect();
        self.out.nodes.push(Node { op, args, ty });
        Value(self.out.nodes.len() as u32 - 1)
    }
}
