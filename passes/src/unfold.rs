//! Short reductions become elementwise chains, and products of computed matrices become reductions, so that `fuse` can put both
//! into one pass with what is around them.
//!
//! Before: a canonical graph. After: the same, in which no reduction over a few elements stands whose chain is short, and no
//! product reads a large matrix or long vector that nothing but products reads and that is an elementwise result: what was only
//! written to be multiplied is never written. The chain has the order that [`Order::Tree`] fixes, so it has the reduction's
//! bits. Products promise no order; small ones, which a library forms as it always did, are left alone.

use legate_jit_ir::graph::{Op, Opaque, Order, Reduce, Reducer};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Graph, Result, Scalar, Shape, Type, Ufunc, Value, View};
use smallvec::SmallVec;

use crate::canonicalize::canonicalize;
use crate::cx::Cx;
use crate::pipeline::Notes;

/// Elements of one result that a chain may combine.
const MAX_LENGTH: usize = 16;
/// Operations of one chain, with all that is computed for its elements.
const MAX_OPERATIONS: usize = 160;
/// Results from which a chain is worth a loop of its own.
const MIN_RESULTS: usize = 16;
/// Operations that are looked at to see whether a value has a sign.
const NESTED: u32 = 4;
/// Elements of a matrix (of a vector, where two are multiplied) from which its product is formed on the way.
const MIN_MATRIX: usize = 9216;
const MIN_VECTOR: usize = 10_000;

/// See the module's documentation.
pub fn unfold(graph: &Graph, cx: &Cx) -> Result<(Graph, Notes)> {
    let relevant = |op: &Op| matches!(op, Op::Reduce(_) | Op::Opaque(Opaque::Matmul(_)));
    if !graph.nodes.iter().any(|n| relevant(&n.op)) {
        return Ok((graph.clone(), Notes::new()));
    }
    let users = users(graph);
    let mut u = Unfold {
        out: Graph { name: graph.name.clone(), donated: graph.donated.clone(), ..Graph::default() },
        operations: Vec::new(),
        notes: Notes::new(),
    };
    let mut new: Vec<Value> = Vec::with_capacity(graph.nodes.len());
    for (i, node) in graph.nodes.iter().enumerate() {
        let args: SmallVec<[Value; 3]> = node.args.iter().map(|a| new[a.index()]).collect();
        let unfolded = match &node.op {
            Op::Reduce(reduce) => u.chain(reduce, args[0], &node.ty),
            Op::Opaque(Opaque::Matmul(_)) if fits_product(graph, &users, Value(i as u32)) => {
                u.notes.push(format!("a product of {} on the way", u.out.ty(args[0])));
                Some(u.product(args[0], args[1], &node.ty))
            }
            _ => None,
        };
        let value = unfolded.unwrap_or_else(|| u.push(node.op.clone(), &args, node.ty.clone()));
        // What has memory anyway is loaded by whoever reads it.
        if graph.outputs.contains(&Value(i as u32)) {
            u.operations[value.index()] = 0;
        }
        new.push(value);
    }
    if u.notes.is_empty() {
        return Ok((graph.clone(), u.notes));
    }
    u.out.outputs = graph.outputs.iter().map(|o| new[o.index()]).collect();
    Ok((canonicalize(&u.out, cx)?, u.notes))
}

struct Unfold {
    out: Graph,
    /// For each node, the operations that computing an element from memory takes.
    operations: Vec<usize>,
    notes: Notes,
}

impl Unfold {
    fn push(&mut self, op: Op, args: &[Value], ty: Type) -> Value {
        let own = match op {
            Op::Map(_) | Op::Cast => 1,
            Op::View(_) | Op::Update(_) => 0,
            _ => {
                self.operations.push(0);
                return self.out.push(op, args, ty);
            }
        };
        let below: usize = args.iter().map(|a| self.operations[a.index()]).sum();
        self.operations.push((own + below).min(MAX_OPERATIONS + 1));
        self.out.push(op, args, ty)
    }

    fn map(&mut self, ufunc: Ufunc, args: &[Value]) -> Value {
        let ins: SmallVec<[DType; 3]> = args.iter().map(|&a| self.out.ty(a).dtype).collect();
        let dtype = ufunc.out(&ins).expect("a loop for these types");
        let shape = self.out.ty(args[0]).shape.clone();
        self.push(Op::Map(ufunc), args, Type { dtype, shape })
    }

    fn view(&mut self, of: Value, view: View) -> Value {
        let ty = Type { dtype: self.out.ty(of).dtype, shape: view.shape.clone() };
        self.push(Op::View(view), &[of], ty)
    }

    fn fill(&mut self, value: Scalar, shape: &Shape) -> Value {
        let scalar = self.push(Op::Const(value), &[], Type::new(value.dtype, &[]));
        self.view(scalar, View::broadcast(&[], shape))
    }

    /// A reduction over few elements, as operations on views of its argument.
    fn chain(&mut self, reduce: &Reduce, arg: Value, ty: &Type) -> Option<Value> {
        let of = self.out.ty(arg).clone();
        let reduced: SmallVec<[usize; 4]> = reduce.axes.iter().map(|&k| k as usize).collect();
        let length: usize = reduced.iter().map(|&d| of.shape[d]).product();
        let each = self.operations[arg.index()] + if matches!(reduce.reducer, Reducer::Ufunc(_)) { 1 } else { 5 };
        if reduce.order != Order::Tree
            || !(1..=MAX_LENGTH).contains(&length)
            || ty.size() < MIN_RESULTS
            || length * each > MAX_OPERATIONS
        {
            return None;
        }
        match reduce.reducer {
            // The result has the elements' type, or the reduction converts on the way.
            Reducer::Ufunc(ufunc) if ty.dtype != of.dtype || ufunc.out(&[of.dtype; 2]) != Some(of.dtype) => {
                return None;
            }
            Reducer::ArgMin | Reducer::ArgMax if of.dtype.is_complex() => return None,
            _ => {}
        }
        self.notes.push(format!("{} elements of {of} in a chain", length));
        // Kept axes of one element part nothing.
        let last_kept = (0..of.shape.len()).rfind(|d| !reduced.contains(d) && of.shape[*d] != 1);
        let trailing: usize =
            reduced.iter().filter(|&&d| last_kept.is_none_or(|k| d > k)).map(|&d| of.shape[d]).product();
        let elements: Vec<Value> = (0..length).map(|i| self.element(arg, &of.shape, &reduced, i)).collect();
        Some(match reduce.reducer {
            Reducer::Ufunc(Ufunc::Add) if of.dtype.is_float() || of.dtype.is_complex() => {
                // As in every sum of NumPy's, 0.0 comes first: it makes -0.0 a 0.0, which what has no sign is no sum of.
                if trailing == length && self.has_no_sign(arg, NESTED) {
                    return Some(self.tree(&elements, of.dtype.is_complex()));
                }
                let zero = self.fill(legate_jit_ir::cast::cast(Scalar::i64(0), of.dtype), &ty.shape);
                let trees: Vec<Value> =
                    elements.chunks(trailing).map(|run| self.tree(run, of.dtype.is_complex())).collect();
                trees.into_iter().fold(zero, |sum, tree| self.map(Ufunc::Add, &[sum, tree]))
            }
            Reducer::Ufunc(ufunc) => elements[1..].iter().fold(elements[0], |all, &x| self.map(ufunc, &[all, x])),
            Reducer::ArgMin => self.best(&elements, [Ufunc::Less, Ufunc::GreaterEqual]),
            Reducer::ArgMax => self.best(&elements, [Ufunc::Greater, Ufunc::LessEqual]),
        })
    }

    /// Whether no element is -0.0, which shows in how they are made.
    fn has_no_sign(&self, v: Value, deep: u32) -> bool {
        let node = self.out.node(v);
        if deep == 0 || !node.ty.dtype.is_float() {
            return false;
        }
        match &node.op {
            Op::View(_) => self.has_no_sign(node.args[0], deep - 1),
            Op::Map(Ufunc::Square | Ufunc::Absolute | Ufunc::Exp) => true,
            Op::Map(Ufunc::Multiply) => node.args[0] == node.args[1],
            // (A sum is -0.0 where both of its operands are.)
            Op::Map(Ufunc::Add) => node.args.iter().any(|&a| self.has_no_sign(a, deep - 1)),
            _ => false,
        }
    }

    /// The elements number `index` of what is reduced, one for each result.
    fn element(&mut self, arg: Value, shape: &[usize], reduced: &[usize], mut index: usize) -> Value {
        let mut at: SmallVec<[usize; 4]> = SmallVec::from_elem(0, shape.len());
        for &d in reduced.iter().rev() {
            at[d] = index % shape[d];
            index /= shape[d];
        }
        let kept: SmallVec<[usize; 4]> = (0..shape.len()).filter(|d| !reduced.contains(d)).collect();
        let axis = |d: usize| match kept.iter().position(|&k| k == d) {
            Some(k) => AxisMap::along(0, k, 1),
            None => AxisMap::at(at[d] as i64),
        };
        let axes = (0..shape.len()).map(axis).collect();
        self.view(arg, View { shape: kept.iter().map(|&d| shape[d]).collect(), axes })
    }

    /// NumPy's sum of a run: fewer than a group in order; else an accumulator for each place in a group, added as a tree, then what
    /// is left in order. A group is 8 floats.
    fn tree(&mut self, run: &[Value], complex: bool) -> Value {
        let group = if complex { 4 } else { 8 };
        let in_order = |u: &mut Unfold, first: Value, rest: &[Value]| {
            rest.iter().fold(first, |sum, &x| u.map(Ufunc::Add, &[sum, x]))
        };
        if run.len() < group {
            return in_order(self, run[0], &run[1..]);
        }
        let whole = run.len() / group * group;
        let mut sums: Vec<Value> = run[..group].to_vec();
        for part in run[group..whole].chunks(group) {
            for (sum, &x) in sums.iter_mut().zip(part) {
                *sum = self.map(Ufunc::Add, &[*sum, x]);
            }
        }
        while sums.len() > 1 {
            sums = sums.chunks(2).map(|pair| self.map(Ufunc::Add, pair)).collect();
        }
        in_order(self, sums[0], &run[whole..])
    }

    /// The number of the first element that is NaN, or else that none beats. Halves first, so that few comparisons wait for others.
    fn best(&mut self, elements: &[Value], [beats, is_beaten]: [Ufunc; 2]) -> Value {
        let ty = self.out.ty(elements[0]).clone();
        let numbered = elements.iter().enumerate();
        let mut all: Vec<(Value, Value)> =
            numbered.map(|(i, &x)| (x, self.fill(Scalar::i64(i as i64), &ty.shape))).collect();
        while all.len() > 1 {
            let pairs = all.chunks(2).map(|pair| {
                let &[(best, place), (x, number)] = pair else { return pair[0] };
                let takes = if ty.dtype.is_float() {
                    // Beats it or is the first NaN: a comparison with a NaN fails.
                    let stays = self.map(is_beaten, &[x, best]);
                    let goes = self.map(Ufunc::LogicalNot, &[stays]);
                    let ordered = self.map(Ufunc::Equal, &[best, best]);
                    self.map(Ufunc::LogicalAnd, &[goes, ordered])
                } else {
                    self.map(beats, &[x, best])
                };
                (self.map(Ufunc::Where, &[takes, x, best]), self.map(Ufunc::Where, &[takes, number, place]))
            });
            all = pairs.collect();
        }
        all[0].1
    }

    /// (m, k) times (k, n), where m or n is 1, as a sum of products.
    fn product(&mut self, a: Value, b: Value, ty: &Type) -> Value {
        let (m, k, n) = (self.out.ty(a).shape[0], self.out.ty(a).shape[1], ty.shape[1]);
        let both = |axes: [AxisMap; 2], shape: &[usize]| View { shape: shape.into(), axes: axes.into_iter().collect() };
        let axis = |d: usize| AxisMap::along(0, d, 1);
        // The result's axis before or behind the terms', as the matrix lies.
        let (shape, first, second, reduced): (Shape, _, _, u32) = match (m, n) {
            (1, 1) => ([k].as_slice().into(), [AxisMap::at(0), axis(0)], [axis(0), AxisMap::at(0)], 0),
            (_, 1) => ([m, k].as_slice().into(), [axis(0), axis(1)], [axis(1), AxisMap::at(0)], 1),
            _ => ([k, n].as_slice().into(), [AxisMap::at(0), axis(0)], [axis(0), axis(1)], 0),
        };
        let (a, b) = (self.view(a, both(first, &shape)), self.view(b, both(second, &shape)));
        let terms = self.map(Ufunc::Multiply, &[a, b]);
        let reduce =
            Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes: SmallVec::from_slice(&[reduced]), order: Order::Tree };
        let kept: Shape = (0..shape.len()).filter(|&d| d != reduced as usize).map(|d| shape[d]).collect();
        let rank = kept.len();
        let sum = self.push(Op::Reduce(reduce), &[terms], Type { dtype: ty.dtype, shape: kept });
        let column = n == 1;
        let axes = (0..rank).map(|_| axis(if column { 0 } else { 1 })).collect();
        self.view(sum, View { shape: ty.shape.clone(), axes })
    }
}

/// For each node, who reads it; an output is read by the program (`None`).
fn users(graph: &Graph) -> Vec<SmallVec<[Option<Value>; 2]>> {
    let mut users = vec![SmallVec::new(); graph.nodes.len()];
    for (i, node) in graph.nodes.iter().enumerate() {
        node.args.iter().for_each(|a| users[a.index()].push(Some(Value(i as u32))));
    }
    graph.outputs.iter().for_each(|o| users[o.index()].push(None));
    users
}

type Users = [SmallVec<[Option<Value>; 2]>];

/// Whether a product is large, of floats, with a vector on one side, and what is large in it is only computed for products.
fn fits_product(graph: &Graph, users: &Users, v: Value) -> bool {
    let node = graph.node(v);
    let (a, b) = (node.args[0], node.args[1]);
    let (&[m, k], &[_, n]) = (&graph.ty(a).shape[..], &graph.ty(b).shape[..]) else { return false };
    if !node.ty.dtype.is_float() || m == 0 || n == 0 || k == 0 {
        return false;
    }
    match (m, n) {
        (1, 1) => k >= MIN_VECTOR && (is_transient(graph, users, a) || is_transient(graph, users, b)),
        (_, 1) => m * k >= MIN_MATRIX && is_transient(graph, users, a),
        (1, _) => k * n >= MIN_MATRIX && is_transient(graph, users, b),
        _ => false,
    }
}

/// Whether the value is elementwise work that nothing but products with a vector reads, through whatever views.
fn is_transient(graph: &Graph, users: &Users, v: Value) -> bool {
    let mut base = v;
    while matches!(graph.node(base).op, Op::View(_)) {
        base = graph.node(base).args[0];
    }
    // A vector that is spread over a matrix is no more work to read again than to multiply.
    let spread = graph.ty(base).size() < graph.ty(v).size();
    let elementwise = matches!(graph.node(base).op, Op::Map(_) | Op::Cast);
    !spread && elementwise && only_products(graph, users, base)
}

fn only_products(graph: &Graph, users: &Users, v: Value) -> bool {
    users[v.index()].iter().all(|user| {
        let Some(user) = *user else { return false };
        let node = graph.node(user);
        match node.op {
            Op::View(_) => only_products(graph, users, user),
            Op::Opaque(Opaque::Matmul(_)) => node.ty.shape.len() == 2 && node.ty.shape.contains(&1),
            _ => false,
        }
    })
}
