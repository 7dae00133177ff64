//! Graphs that a rule's left side matches: its pattern with random types, shapes, attributes and constants filled in.

use std::collections::BTreeMap;

use egg::{ENodeOrVar, Id, PatternAst, Var};
use legate_jit_ir::arbitrary::{Choices, special};
use legate_jit_ir::graph::{Op, Order, Reduce, Reducer};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Graph, Scalar, Shape, Type, Ufunc, Value, View};
use legate_jit_passes::rewrite::language::{Head, Term};
use legate_jit_passes::rewrite::rule::Slot;

/// Side of the square inputs: two of them side by side show every pair of special values.
pub const SIDE: usize = 24;

struct Make<'a, 'c> {
    pattern: &'a PatternAst<Term>,
    graph: Graph,
    c: &'a mut Choices<'c>,
    /// Most operands have this type.
    dtype: DType,
    values: BTreeMap<Var, Value>,
    /// Views and the shape that each is a view of.
    views: BTreeMap<Var, (Shape, View)>,
    dtypes: BTreeMap<Var, DType>,
    reduces: BTreeMap<Var, Reduce>,
    inputs: u32,
    /// Where given, `?c` is this constant and every other operand an input of its type.
    constant: Option<Scalar>,
}

/// An instance with this constant for `?c`.
pub fn instance_with(slot: &Slot, c: &mut Choices, constant: Scalar) -> Option<Graph> {
    make(slot, c, constant.dtype, Some(constant))
}

/// An instance, or `None` where the choices do not fit together.
pub fn instance(slot: &Slot, c: &mut Choices) -> Option<Graph> {
    let dtype = c.one_of(&DType::ALL);
    make(slot, c, dtype, None)
}

fn make(slot: &Slot, c: &mut Choices, dtype: DType, constant: Option<Scalar>) -> Option<Graph> {
    let pattern = &slot.compiled().lhs.ast;
    let graph = Graph { name: slot.rule.name.replace('-', "_"), ..Graph::default() };
    let mut make = Make {
        pattern,
        graph,
        c,
        dtype,
        values: BTreeMap::new(),
        views: BTreeMap::new(),
        dtypes: BTreeMap::new(),
        reduces: BTreeMap::new(),
        inputs: 0,
        constant,
    };
    let shape = match make.c.below(4) {
        0 => Shape::from_slice(&[4, 6]),
        1 => Shape::from_slice(&[4, 1, 3]),
        _ => Shape::from_slice(&[SIDE, SIDE]),
    };
    let root = make.node(pattern.root(), &shape)?;
    make.graph.outputs = vec![root];
    make.graph.donated = vec![false; make.inputs as usize];
    Some(make.graph)
}

impl Make<'_, '_> {
    fn var(&self, id: Id) -> Option<Var> {
        match &self.pattern[id] {
            ENodeOrVar::Var(var) => Some(*var),
            ENodeOrVar::ENode(_) => None,
        }
    }

    /// The value of a part of the pattern, of this shape where it can choose one.
    fn node(&mut self, id: Id, shape: &Shape) -> Option<Value> {
        let term = match &self.pattern[id] {
            ENodeOrVar::Var(var) => return self.operand(*var, shape),
            ENodeOrVar::ENode(term) => term.clone(),
        };
        match term.head {
            Head::Map(ufunc) => {
                // Operations before variables, which can take the shape of the operations.
                let mut order: Vec<usize> = (0..term.args.len()).collect();
                order.sort_by_key(|&i| self.var(term.args[i]).is_some());
                let mut args = vec![Value(0); order.len()];
                let mut wanted = shape.clone();
                for i in order {
                    args[i] = self.node(term.args[i], &wanted)?;
                    wanted = self.graph.ty(args[i]).shape.clone();
                }
                self.map(ufunc, &args)
            }
            Head::View => {
                let var = self.var(term.args[1])?;
                let base = match self.views.get(&var) {
                    Some((base, _)) => base.clone(),
                    None => shape.clone(),
                };
                let base = self.node(term.args[0], &base)?;
                let ty = self.graph.ty(base).clone();
                let view = match self.views.get(&var) {
                    Some((of, view)) => (*of == ty.shape).then(|| view.clone())?,
                    None => {
                        let view = self.a_view(&ty.shape)?;
                        self.views.insert(var, (ty.shape.clone(), view.clone()));
                        view
                    }
                };
                let shape = view.shape.clone();
                Some(self.graph.push(Op::View(view), &[base], Type { dtype: ty.dtype, shape }))
            }
            Head::Update => {
                let base = self.node(term.args[0], shape)?;
                let ty = self.graph.ty(base).clone();
                let var = self.var(term.args[1])?;
                let window = self.a_view(&ty.shape).filter(View::is_injective)?;
                self.views.insert(var, (ty.shape.clone(), window.clone()));
                let value = self.node(term.args[2], &window.shape)?;
                let fits = self.graph.ty(value).shape == window.shape && self.graph.ty(value).dtype == ty.dtype;
                fits.then(|| self.graph.push(Op::Update(window), &[base, value], ty))
            }
            Head::Cast => {
                let arg = self.node(term.args[0], shape)?;
                let var = self.var(term.args[1])?;
                let dtype = match self.dtypes.get(&var) {
                    Some(&dtype) => dtype,
                    None => self.c.one_of(&DType::ALL),
                };
                self.dtypes.insert(var, dtype);
                let ty = Type { dtype, shape: self.graph.ty(arg).shape.clone() };
                Some(self.graph.push(Op::Cast, &[arg], ty))
            }
            Head::Reshape => {
                let arg = self.node(term.args[0], shape)?;
                let ty = self.graph.ty(arg).clone();
                let shape: Shape = match self.c.below(3) {
                    0 => Shape::from_slice(&[ty.size()]),
                    1 => ty.shape.iter().rev().copied().collect(),
                    _ => ty.shape.clone(),
                };
                Some(self.graph.push(Op::Reshape, &[arg], Type { dtype: ty.dtype, shape }))
            }
            Head::Reduce => {
                let arg = self.node(term.args[0], shape)?;
                let ty = self.graph.ty(arg).clone();
                let var = self.var(term.args[1])?;
                let reduce = match self.reduces.get(&var) {
                    Some(reduce) => reduce.clone(),
                    None => self.a_reduction(ty.shape.len()),
                };
                let Reducer::Ufunc(ufunc) = reduce.reducer else { return None };
                let dtype = ufunc.out(&[ty.dtype, ty.dtype])?;
                if dtype != ty.dtype && !ufunc.props().logical {
                    return None;
                }
                let kept = (0..ty.shape.len()).filter(|k| !reduce.axes.contains(&(*k as u32)));
                let shape = kept.map(|k| ty.shape[k]).collect();
                self.reduces.insert(var, reduce.clone());
                Some(self.graph.push(Op::Reduce(reduce), &[arg], Type { dtype, shape }))
            }
            Head::Opaque | Head::Leaf(_) => None,
        }
    }

    /// The operation on operands whose types it may have to be given first.
    fn map(&mut self, ufunc: Ufunc, args: &[Value]) -> Option<Value> {
        let types: Vec<Type> = args.iter().map(|&a| self.graph.ty(a).clone()).collect();
        if types.iter().any(|t| t.shape != types[0].shape) {
            return None;
        }
        let dtypes: Vec<DType> = types.iter().map(|t| t.dtype).collect();
        let dtype = ufunc.out(&dtypes)?;
        Some(self.graph.push(Op::Map(ufunc), args, Type { dtype, shape: types[0].shape.clone() }))
    }

    fn operand(&mut self, var: Var, shape: &Shape) -> Option<Value> {
        if let Some(&v) = self.values.get(&var) {
            return (self.graph.ty(v).shape == *shape).then_some(v);
        }
        let dtype = match self.c.below(8) {
            _ if self.constant.is_some() => self.dtype,
            0 => DType::Bool,
            1 => self.c.one_of(&DType::ALL),
            _ => self.dtype,
        };
        let value = match self.constant {
            Some(constant) => (var.to_string() == "?c").then_some(constant),
            None => {
                let special = special(dtype);
                self.c.once_in(2).then(|| special[self.c.below(special.len())])
            }
        };
        let v = match value {
            Some(value) => {
                let scalar = self.graph.push(Op::Const(value), &[], Type::new(dtype, &[]));
                let view = View::broadcast(&[], shape);
                self.graph.push(Op::View(view), &[scalar], Type { dtype, shape: shape.clone() })
            }
            None => {
                self.inputs += 1;
                self.graph.push(Op::Input(self.inputs - 1), &[], Type { dtype, shape: shape.clone() })
            }
        };
        self.values.insert(var, v);
        Some(v)
    }

    fn a_view(&mut self, base: &[usize]) -> Option<View> {
        let rank = base.len();
        Some(match self.c.below(7) {
            0 => View::identity(base),
            1 => {
                let mut to = Shape::from_slice(&[3]);
                to.extend_from_slice(base);
                View::broadcast(base, &to)
            }
            2 if rank > 0 => {
                let mut to = Shape::from_slice(base);
                to.push(5);
                View { shape: to, axes: (0..rank).map(|k| AxisMap::along(0, k, 1)).collect() }
            }
            3 => View {
                shape: base.iter().rev().copied().collect(),
                axes: (0..rank).map(|k| AxisMap::along(0, rank - 1 - k, 1)).collect(),
            },
            4 => self.slices(base, &[2, -1, 1]),
            5 => self.slices(base, &[3, 1, -2]),
            _ => {
                let mut view = self.slices(base, &[1, 2]);
                // One index instead of the first axis.
                if rank > 0 && base[0] > 0 {
                    view.shape.remove(0);
                    view.axes[0] = AxisMap::at(self.c.below(base[0]) as i64);
                    for m in view.axes.iter_mut().skip(1) {
                        m.terms.iter_mut().for_each(|t| t.0 -= 1);
                    }
                }
                view
            }
        })
    }

    fn slices(&mut self, base: &[usize], steps: &[i64]) -> View {
        let mut view = View { shape: Shape::new(), axes: Default::default() };
        for (k, &n) in base.iter().enumerate() {
            let step = self.c.one_of(steps);
            let skip = self.c.below(2).min(n.saturating_sub(1));
            let start = if step < 0 { n as i64 - 1 - skip as i64 } else { skip as i64 };
            view.shape.push((n - skip).div_ceil(step.unsigned_abs() as usize));
            view.axes.push(AxisMap::along(start, k, step));
        }
        view
    }

    fn a_reduction(&mut self, rank: usize) -> Reduce {
        use Ufunc::*;
        let axes = match self.c.below(3) {
            0 => (0..rank as u32).collect(),
            1 => (rank as u32).checked_sub(1).into_iter().collect(),
            _ => (0..rank.min(1) as u32).collect(),
        };
        let ufunc = self.c.one_of(&[Add, Add, Multiply, Maximum, Fmin, LogicalAnd, LogicalOr, BitwiseXor]);
        Reduce { reducer: Reducer::Ufunc(ufunc), axes, order: Order::Tree }
    }
}
