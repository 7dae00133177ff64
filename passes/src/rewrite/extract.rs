//! Chooses one term for each class, so that the whole graph is cheap when what is shared is computed once.
//!
//! Exact extraction of shared terms is NP-hard. Here: an order of the classes in which every allowed term comes after its
//! arguments (which rules cycles out); a first choice by costs that are divided among a value's users; then hill climbing by
//! reference counts, as logic synthesis does: try another term for a class, count what dies and what comes alive, keep it if
//! that is cheaper. Everything is linear in the e-graph, bounded by counts, and the same on every run.

use egg::{Id, Language};
use legate_jit_ir::graph::Op;
use legate_jit_ir::{Graph, Node, Value};
use smallvec::SmallVec;

use super::analysis::EGraph;
use super::cost;
use super::language::Term;
use crate::cx::Math;

/// A class by its number in the order of `EGraph::classes`.
type Class = u32;
const NONE: u32 = u32::MAX;

struct Candidate<'a> {
    /// `None` for a constant, which needs nothing.
    term: Option<&'a Term>,
    cost: f64,
    /// What it costs to have the result in memory if this term makes it.
    in_memory: f64,
    /// Value arguments and whether they are wanted in memory.
    args: SmallVec<[(Class, bool); 3]>,
}

/// The choice: for each class (by canonical id), the term, `None` for a constant.
pub struct Choice<'a> {
    ids: Vec<Class>,
    chosen: Vec<Option<&'a Term>>,
    live: Vec<bool>,
    pub cost: f64,
}

impl<'a> Choice<'a> {
    /// `None` where a constant stands for the class.
    pub fn term(&self, id: Id) -> Option<&'a Term> {
        self.chosen[self.ids[usize::from(id)] as usize]
    }

    pub fn is_live(&self, id: Id) -> bool {
        let class = self.ids[usize::from(id)];
        class != NONE && self.live[class as usize]
    }
}

/// `original` holds the canonical terms of the graph as it came, with their classes; `roots` its outputs.
pub fn extract<'a>(egraph: &'a EGraph, roots: &[Id], original: &[(Id, Term)], math: Math) -> Choice<'a> {
    extract_with(egraph, roots, original, math, None).expect("every class has a term")
}

/// As [`extract`], but for one class with this term of it and no other; `None` if that term would need itself.
pub fn extract_with<'a>(
    egraph: &'a EGraph,
    roots: &[Id],
    original: &[(Id, Term)],
    math: Math,
    forced: Option<(Id, usize)>,
) -> Option<Choice<'a>> {
    let mut ids = vec![NONE; egraph.nodes().len()];
    let mut classes = Vec::with_capacity(egraph.number_of_classes());
    for class in egraph.classes() {
        if class.data.ty().is_some() {
            ids[usize::from(class.id)] = classes.len() as u32;
            classes.push(class.id);
        }
    }
    let mut candidates: Vec<Vec<Candidate>> = classes.iter().map(|&id| terms_of(egraph, id, &ids, math)).collect();
    let rank = rank(&candidates);
    // Only terms whose arguments come earlier, so that no choice closes a circle. The original term, if it is allowed, first:
    // it wins where nothing is gained.
    let mut first: Vec<Option<&Term>> = vec![None; classes.len()];
    let mut users = vec![0u32; classes.len()];
    for (id, term) in original {
        first[ids[usize::from(*id)] as usize].get_or_insert(term);
        for arg in term.children() {
            if ids[usize::from(*arg)] != NONE {
                users[ids[usize::from(*arg)] as usize] += 1;
            }
        }
    }
    for (class, list) in candidates.iter_mut().enumerate() {
        list.retain(|c| c.args.iter().all(|a| rank[a.0 as usize] < rank[class]));
        if let Some(i) = list.iter().position(|c| c.term.is_some() && c.term == first[class]) {
            list.swap(0, i);
        }
    }
    if let Some((id, term)) = forced {
        let term = &egraph[id].nodes[term];
        let list = &mut candidates[ids[usize::from(id)] as usize];
        list.retain(|c| c.term == Some(term));
        if list.is_empty() {
            return None;
        }
    }
    let mut order: Vec<Class> = (0..classes.len() as u32).collect();
    order.sort_unstable_by_key(|&c| rank[c as usize]);

    let shared = by_shared_cost(&candidates, &order, &users);
    let roots: Vec<Class> = roots.iter().map(|r| ids[usize::from(*r)]).collect();
    let mut before = Search::new(&candidates, vec![0; classes.len()], &roots);
    let mut search = Search::new(&candidates, shared, &roots);
    if before.cost <= search.cost {
        std::mem::swap(&mut search, &mut before);
    }
    search.climb(&order);
    let chosen =
        candidates.iter().zip(&search.choice).map(|(list, &i)| list.get(i as usize).and_then(|c| c.term)).collect();
    let live = search.refs.iter().map(|&r| r > 0).collect();
    Some(Choice { chosen, live, cost: search.cost, ids })
}

/// What a constant costs, however large the array that it fills.
const CONSTANT: f64 = 1.0;

/// The cost of a graph as it stands, in the terms of [`Choice::cost`].
pub fn cost_of(egraph: &EGraph, graph: &Graph, original: &[(Id, Term)], math: Math) -> f64 {
    let n = graph.nodes.len();
    let (mut in_memory, mut used) = (vec![false; n], vec![false; n]);
    let constant = |v: Value| matches!(graph.node(v).op, Op::Const(_));
    let fills = |node: &Node| matches!(node.op, Op::View(_)) && constant(node.args[0]);
    for out in &graph.outputs {
        (in_memory[out.index()], used[out.index()]) = (true, true);
    }
    let mut cost = 0.0;
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        let term = &original[i].1;
        // The operation of an opaque node is its term's first argument.
        let skip = matches!(node.op, Op::Opaque(_)) as usize;
        for (k, arg) in node.args.iter().enumerate() {
            let place = if matches!(node.op, Op::Update(_)) { 2 * k } else { k + skip };
            in_memory[arg.index()] |= cost::wants_in_memory(&term.head, place);
            used[arg.index()] |= !fills(node);
        }
        cost += match &node.op {
            Op::Const(_) => CONSTANT * f64::from(used[i]),
            _ if fills(node) => CONSTANT,
            _ => {
                let memory = if in_memory[i] { cost::in_memory(term, &node.ty) } else { 0.0 };
                cost::own(egraph, term, &node.ty, math) + memory
            }
        };
    }
    cost
}

fn terms_of<'a>(egraph: &'a EGraph, id: Id, ids: &[Class], math: Math) -> Vec<Candidate<'a>> {
    let class = &egraph[id];
    let Some(ty) = class.data.ty() else { return Vec::new() };
    if class.data.constant().is_some() {
        return vec![Candidate { term: None, cost: CONSTANT, in_memory: 0.0, args: SmallVec::new() }];
    }
    let candidate = |term: &'a Term| {
        let mut args = SmallVec::new();
        for (i, &arg) in term.args.iter().enumerate() {
            let facts = &egraph[arg].data;
            if facts.ty().is_some() {
                args.push((ids[usize::from(egraph.find(arg))], cost::wants_in_memory(&term.head, i)));
            } else {
                // A term that does not fit its types is no candidate.
                facts.attribute()?;
            }
        }
        let in_memory = cost::in_memory(term, ty);
        Some(Candidate { term: Some(term), cost: cost::own(egraph, term, ty, math), in_memory, args })
    };
    class.iter().filter_map(candidate).collect()
}

/// A rank for each class, such that every class keeps a term whose arguments all rank below it: strongly connected components
/// in the order of dependence, and within one the height of the lowest term.
fn rank(candidates: &[Vec<Candidate>]) -> Vec<u32> {
    let (component, height) = (components(candidates), heights(candidates));
    let mut order: Vec<Class> = (0..candidates.len() as u32).collect();
    order.sort_unstable_by_key(|&c| (component[c as usize], height[c as usize], c));
    // Classes of one height in one component rank alike, since neither may use the other.
    let mut rank = vec![0; candidates.len()];
    let mut next = 0;
    for (i, &c) in order.iter().enumerate() {
        let key = |c: Class| (component[c as usize], height[c as usize]);
        if i > 0 && key(order[i - 1]) != key(c) {
            next += 1;
        }
        rank[c as usize] = next;
    }
    rank
}

/// The height of the lowest term of each class, found in the order of height.
fn heights(candidates: &[Vec<Candidate>]) -> Vec<u32> {
    let mut height = vec![NONE; candidates.len()];
    let mut missing: Vec<Vec<u32>> = Vec::with_capacity(candidates.len());
    let mut users: Vec<Vec<(Class, u32)>> = vec![Vec::new(); candidates.len()];
    let mut ready: Vec<Class> = Vec::new();
    for (c, list) in candidates.iter().enumerate() {
        missing.push(list.iter().map(|t| t.args.len() as u32).collect());
        for (t, candidate) in list.iter().enumerate() {
            for arg in &candidate.args {
                users[arg.0 as usize].push((c as u32, t as u32));
            }
            if candidate.args.is_empty() && height[c] == NONE {
                height[c] = 0;
                ready.push(c as u32);
            }
        }
    }
    let mut next = 0;
    while next < ready.len() {
        let c = ready[next] as usize;
        next += 1;
        for &(user, t) in &users[c] {
            let left = &mut missing[user as usize][t as usize];
            *left -= 1;
            if *left == 0 && height[user as usize] == NONE {
                height[user as usize] = height[c] + 1;
                ready.push(user);
            }
        }
    }
    height
}

/// Tarjan's algorithm without recursion; a component gets a larger number than those it depends on.
fn components(candidates: &[Vec<Candidate>]) -> Vec<u32> {
    let n = candidates.len();
    let edges: Vec<SmallVec<[Class; 6]>> =
        candidates.iter().map(|l| l.iter().flat_map(|c| c.args.iter().map(|a| a.0)).collect()).collect();
    let (mut index, mut low, mut component) = (vec![NONE; n], vec![0; n], vec![NONE; n]);
    let (mut stack, mut path) = (Vec::new(), Vec::new());
    let (mut next_index, mut next_component) = (0, 0);
    for root in 0..n {
        if index[root] != NONE {
            continue;
        }
        path.push((root, 0));
        while let Some(&mut (v, ref mut edge)) = path.last_mut() {
            if *edge == 0 {
                index[v] = next_index;
                low[v] = next_index;
                next_index += 1;
                stack.push(v);
            }
            if let Some(&w) = edges[v].get(*edge) {
                *edge += 1;
                let w = w as usize;
                if index[w] == NONE {
                    path.push((w, 0));
                } else if component[w] == NONE {
                    low[v] = low[v].min(index[w]);
                }
                continue;
            }
            if low[v] == index[v] {
                while let Some(w) = stack.pop() {
                    component[w] = next_component;
                    if w == v {
                        break;
                    }
                }
                next_component += 1;
            }
            path.pop();
            if let Some(&(parent, _)) = path.last() {
                low[parent] = low[parent].min(low[v]);
            }
        }
    }
    component
}

/// The first choice: bottom up, where each user bears its part of what it shares with the users of the original graph.
fn by_shared_cost(candidates: &[Vec<Candidate>], order: &[Class], users: &[u32]) -> Vec<u32> {
    let mut cost = vec![f64::INFINITY; candidates.len()];
    let mut choice = vec![0; candidates.len()];
    for &c in order {
        let c = c as usize;
        for (i, candidate) in candidates[c].iter().enumerate() {
            let mut total = candidate.cost;
            for &(arg, in_memory) in &candidate.args {
                let arg = arg as usize;
                let memory = if in_memory { candidates[arg][choice[arg] as usize].in_memory } else { 0.0 };
                total += (cost[arg] + memory) / f64::from(users[arg].max(1));
            }
            if total < cost[c] {
                cost[c] = total;
                choice[c] = i as u32;
            }
        }
    }
    choice
}

/// The chosen terms that the roots need, counted by reference, with their exact cost.
struct Search<'a, 'b> {
    candidates: &'b [Vec<Candidate<'a>>],
    choice: Vec<u32>,
    refs: Vec<u32>,
    /// How many of the references want the value in memory.
    memory_refs: Vec<u32>,
    cost: f64,
    work: Vec<(Class, bool)>,
    /// References counted so far.
    steps: usize,
}

impl<'a, 'b> Search<'a, 'b> {
    fn new(candidates: &'b [Vec<Candidate<'a>>], choice: Vec<u32>, roots: &[Class]) -> Search<'a, 'b> {
        let n = candidates.len();
        let (refs, memory_refs) = (vec![0; n], vec![0; n]);
        let mut search = Search { candidates, choice, refs, memory_refs, cost: 0.0, work: Vec::new(), steps: 0 };
        search.work.extend(roots.iter().map(|&r| (r, true)));
        search.count_up();
        search
    }

    fn chosen(&self, c: Class) -> &'b Candidate<'a> {
        &self.candidates[c as usize][self.choice[c as usize] as usize]
    }

    /// Adds the references in `work`, and those of what comes alive by them.
    fn count_up(&mut self) {
        while let Some((c, in_memory)) = self.work.pop() {
            self.steps += 1;
            let chosen = self.chosen(c);
            self.refs[c as usize] += 1;
            if self.refs[c as usize] == 1 {
                self.cost += chosen.cost;
                self.work.extend(chosen.args.iter().copied());
            }
            if in_memory {
                self.memory_refs[c as usize] += 1;
                if self.memory_refs[c as usize] == 1 {
                    self.cost += chosen.in_memory;
                }
            }
        }
    }

    /// The reverse.
    fn count_down(&mut self) {
        while let Some((c, in_memory)) = self.work.pop() {
            self.steps += 1;
            let chosen = self.chosen(c);
            self.refs[c as usize] -= 1;
            if self.refs[c as usize] == 0 {
                self.cost -= chosen.cost;
                self.work.extend(chosen.args.iter().copied());
            }
            if in_memory {
                self.memory_refs[c as usize] -= 1;
                if self.memory_refs[c as usize] == 0 {
                    self.cost -= chosen.in_memory;
                }
            }
        }
    }

    /// Makes `to` the term of a live class. References are added before others are dropped, so that what both terms need is not
    /// followed.
    fn switch(&mut self, c: Class, to: u32) {
        let old = self.chosen(c);
        self.choice[c as usize] = to;
        let new = self.chosen(c);
        self.cost += new.cost - old.cost;
        if self.memory_refs[c as usize] > 0 {
            self.cost += new.in_memory - old.in_memory;
        }
        self.work.extend(new.args.iter().copied());
        self.count_up();
        self.work.extend(old.args.iter().copied());
        self.count_down();
    }

    fn climb(&mut self, order: &[Class]) {
        let budget = self.steps + 40 * self.candidates.len() + 1000;
        for _ in 0..3 {
            let before = self.cost;
            for &c in order.iter().rev() {
                let current = self.choice[c as usize];
                if self.refs[c as usize] == 0 || self.candidates[c as usize].len() < 2 {
                    continue;
                }
                let mut best = (self.cost, current);
                for other in 0..self.candidates[c as usize].len() as u32 {
                    if other != self.choice[c as usize] {
                        self.switch(c, other);
                    }
                    // Sums in another order must not look like a gain.
                    if self.cost < best.0 - 1e-6 * (1.0 + best.0.abs()) {
                        best = (self.cost, other);
                    }
                }
                if self.choice[c as usize] != best.1 {
                    self.switch(c, best.1);
                }
                if self.steps > budget {
                    return;
                }
            }
            if self.cost >= before {
                return;
            }
        }
    }
}
