//! The computed parts of rules: new attributes and constants. Each may decline, and then the rule does not apply.

use egg::Id;
use legate_jit_ir::graph::{Order, Reduce, Reducer};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Scalar, Shape, Type, Ufunc, View};
use smallvec::SmallVec;

use super::when;
use crate::rewrite::analysis::EGraph;
use crate::rewrite::language::{Head, Leaf, Term};
use crate::{fold, relate};

fn leaf(g: &mut EGraph, leaf: Leaf) -> Id {
    g.add(Term::leaf(leaf))
}

fn constant(g: &EGraph, c: Id) -> Option<Scalar> {
    g[c].data.constant()
}

fn ty(g: &EGraph, x: Id) -> Option<Type> {
    g[x].data.ty().cloned()
}

/// An array of one value.
fn fill(g: &mut EGraph, value: Scalar, shape: &[usize]) -> Id {
    let scalar = leaf(g, Leaf::Const(value));
    if shape.is_empty() {
        return scalar;
    }
    let view = leaf(g, Leaf::View(View::broadcast(&[], shape)));
    g.add(Term::new(Head::View, &[scalar, view]))
}

fn fill_int(g: &mut EGraph, x: Id, value: i128, dtype: Option<DType>) -> Option<Id> {
    let ty = ty(g, x)?;
    let one = Scalar::int(DType::I64, value);
    let value = fold::cast(one, dtype.unwrap_or(ty.dtype));
    Some(fill(g, value, &ty.shape))
}

pub fn zeros(g: &mut EGraph, x: Id) -> Option<Id> {
    fill_int(g, x, 0, None)
}

pub fn ones(g: &mut EGraph, x: Id) -> Option<Id> {
    fill_int(g, x, 1, None)
}

pub fn falses(g: &mut EGraph, x: Id) -> Option<Id> {
    fill_int(g, x, 0, Some(DType::Bool))
}

pub fn trues(g: &mut EGraph, x: Id) -> Option<Id> {
    fill_int(g, x, 1, Some(DType::Bool))
}

/// 1/c, where c is a power of two and so is 1/c, neither of them subnormal: then dividing by one and multiplying by the other
/// round the same number once.
pub fn inverse_power_of_two(g: &mut EGraph, c: Id) -> Option<Id> {
    let value = constant(g, c)?;
    let power = match value.dtype {
        DType::F64 => {
            let v = f64::from_bits(value.bits[0]);
            v.is_normal() && v.to_bits() << 12 == 0 && (1.0 / v).is_normal()
        }
        DType::F32 => {
            let v = f32::from_bits(value.bits[0] as u32);
            v.is_normal() && v.to_bits() << 9 == 0 && (1.0 / v).is_normal()
        }
        _ => false,
    };
    if power { inverse(g, c) } else { None }
}

/// 1/c for a constant of a float type.
pub fn inverse(g: &mut EGraph, c: Id) -> Option<Id> {
    let value = constant(g, c)?;
    let inverse = match value.dtype {
        DType::F64 => Scalar::f64(1.0 / f64::from_bits(value.bits[0])),
        DType::F32 => Scalar::f32(1.0 / f32::from_bits(value.bits[0] as u32)),
        _ => return None,
    };
    let shape = ty(g, c)?.shape;
    inverse.as_f64().is_normal().then(|| fill(g, inverse, &shape))
}

fn combined(g: &mut EGraph, ufunc: Ufunc, a: Id, b: Id) -> Option<Id> {
    let value = fold::map(ufunc, &[constant(g, a)?, constant(g, b)?])?;
    let shape = ty(g, a)?.shape;
    Some(fill(g, value, &shape))
}

/// The sum of two constants.
pub fn added(g: &mut EGraph, a: Id, b: Id) -> Option<Id> {
    combined(g, Ufunc::Add, a, b)
}

/// The product of two constants.
pub fn multiplied(g: &mut EGraph, a: Id, b: Id) -> Option<Id> {
    combined(g, Ufunc::Multiply, a, b)
}

/// The constant c in the shape of x.
pub fn like(g: &mut EGraph, c: Id, x: Id) -> Option<Id> {
    let value = constant(g, c)?;
    let shape = ty(g, x)?.shape;
    Some(fill(g, value, &shape))
}

fn normal(view: View, base: &[usize]) -> View {
    relate::normal(&view, base).unwrap_or(view)
}

/// The view of x that reads `a` through `b`.
pub fn compose(g: &mut EGraph, x: Id, a: Id, b: Id) -> Option<Id> {
    let base = ty(g, x)?.shape;
    let view = normal(when::view(g, a)?.then(when::view(g, b)?), &base);
    Some(leaf(g, Leaf::View(view)))
}

/// The constant c in the shape of a reduction of x.
pub fn like_reduced(g: &mut EGraph, c: Id, x: Id, r: Id) -> Option<Id> {
    let shape = reduced_shape(&ty(g, x)?.shape, when::reduction(g, r)?);
    let value = constant(g, c)?;
    Some(fill(g, value, &shape))
}

fn reduced_shape(shape: &[usize], reduce: &Reduce) -> Shape {
    (0..shape.len()).filter(|k| !reduce.axes.contains(&(*k as u32))).map(|k| shape[k]).collect()
}

/// The same reduction by another operation.
fn reduce_by(g: &mut EGraph, r: Id, ufunc: Ufunc) -> Option<Id> {
    let reduce = Reduce { reducer: Reducer::Ufunc(ufunc), ..when::reduction(g, r)?.clone() };
    Some(leaf(g, Leaf::Reduce(reduce)))
}

pub fn all(g: &mut EGraph, r: Id) -> Option<Id> {
    reduce_by(g, r, Ufunc::LogicalAnd)
}

pub fn any(g: &mut EGraph, r: Id) -> Option<Id> {
    reduce_by(g, r, Ufunc::LogicalOr)
}

/// One reduction of x in place of first `r`, then `s` by the same operation.
pub fn both(g: &mut EGraph, x: Id, r: Id, s: Id) -> Option<Id> {
    let rank = ty(g, x)?.shape.len() as u32;
    let (first, second) = (when::reduction(g, r)?, when::reduction(g, s)?);
    if first.reducer != second.reducer || first.order != Order::Tree || second.order != Order::Tree {
        return None;
    }
    let kept: SmallVec<[u32; 4]> = (0..rank).filter(|k| !first.axes.contains(k)).collect();
    let mut axes = first.axes.clone();
    axes.extend(second.axes.iter().map(|&k| kept[k as usize]));
    axes.sort_unstable();
    let reduce = Reduce { reducer: first.reducer, axes, order: Order::Tree };
    Some(leaf(g, Leaf::Reduce(reduce)))
}

/// The reduction of the whole of x, where `r` reduces the whole of a view that only reorders x.
pub fn whole(g: &mut EGraph, x: Id, v: Id, r: Id) -> Option<Id> {
    let shape = ty(g, x)?.shape;
    let (view, reduce) = (when::view(g, v)?, when::reduction(g, r)?);
    if reduce.axes.len() != view.shape.len()
        || legate_jit_ir::shape::size(&view.shape) != legate_jit_ir::shape::size(&shape)
    {
        return None;
    }
    if !view.is_injective() || reduce.order != Order::Tree {
        return None;
    }
    let axes = (0..shape.len() as u32).collect();
    let reduce = Reduce { reducer: reduce.reducer, axes, order: Order::Tree };
    Some(leaf(g, Leaf::Reduce(reduce)))
}

/// The view of x that a reduction `r` over axes along which `v` only repeats leaves.
pub fn unrepeated(g: &mut EGraph, x: Id, v: Id, r: Id) -> Option<Id> {
    let base = ty(g, x)?.shape;
    let (view, reduce) = (when::view(g, v)?, when::reduction(g, r)?);
    let repeats = |k: u32| view.shape[k as usize] > 0 && view.axes.iter().all(|m| m.terms.iter().all(|t| t.0 != k));
    if !reduce.axes.iter().all(|&k| repeats(k)) {
        return None;
    }
    let renumbered = |d: u32| d - reduce.axes.iter().filter(|&&k| k < d).count() as u32;
    let axes = view
        .axes
        .iter()
        .map(|m| AxisMap { start: m.start, terms: m.terms.iter().map(|&(d, s)| (renumbered(d), s)).collect() })
        .collect();
    let view = normal(View { shape: reduced_shape(&view.shape, reduce), axes }, &base);
    Some(leaf(g, Leaf::View(view)))
}

/// How many elements a reduction of a view combines into one, as a constant of x's type in the shape of the result.
pub fn count(g: &mut EGraph, x: Id, v: Id, r: Id) -> Option<Id> {
    let dtype = ty(g, x)?.dtype;
    let (view, reduce) = (when::view(g, v)?, when::reduction(g, r)?);
    let n: usize = reduce.axes.iter().map(|&k| view.shape[k as usize]).product();
    let shape = reduced_shape(&view.shape, reduce);
    Some(fill(g, Scalar::int(dtype, n as i128), &shape))
}

/// For a view `v` of a reduction `r` of x that selects and reorders kept axes: the view of x to reduce instead.
pub fn view_first(g: &mut EGraph, x: Id, r: Id, v: Id) -> Option<Id> {
    let (view, _) = view_then_reduce(g, x, r, v)?;
    Some(leaf(g, Leaf::View(view)))
}

/// The reduction that then follows.
pub fn reduce_then(g: &mut EGraph, x: Id, r: Id, v: Id) -> Option<Id> {
    let (_, reduce) = view_then_reduce(g, x, r, v)?;
    Some(leaf(g, Leaf::Reduce(reduce)))
}

/// The reduced axes come after the view's own. A reduction whose bits depend on the order of its elements keeps them, because
/// only reductions whose reduced axes are the last ones are taken, and they stay the last.
fn view_then_reduce(g: &EGraph, x: Id, r: Id, v: Id) -> Option<(View, Reduce)> {
    let ty = g[x].data.ty()?;
    let (reduce, view) = (when::reduction(g, r)?, when::view(g, v)?);
    let rank = ty.shape.len() as u32;
    let inner = reduce.axes.len() as u32;
    let last = reduce.axes.iter().copied().eq(rank - inner..rank);
    let orderless = when::orderless(g, r) && (ty.dtype.is_integer() || ty.dtype == DType::Bool);
    if !(last || orderless) || reduce.order != Order::Tree {
        return None;
    }
    let own = view.shape.len() as u32;
    let mut shape = view.shape.clone();
    shape.extend(reduce.axes.iter().map(|&k| ty.shape[k as usize]));
    let mut kept = view.axes.iter();
    let mut reduced = 0;
    let mut axes = SmallVec::new();
    for k in 0..rank {
        if reduce.axes.contains(&k) {
            axes.push(AxisMap::along(0, (own + reduced) as usize, 1));
            reduced += 1;
        } else {
            axes.push(kept.next()?.clone());
        }
    }
    let reduce = Reduce { reducer: reduce.reducer, axes: (own..own + inner).collect(), order: Order::Tree };
    Some((normal(View { shape, axes }, &ty.shape), reduce))
}
