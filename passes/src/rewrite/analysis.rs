//! What is known of each class of the e-graph: its type, and the constant that all its elements equal, if there is one.

use std::sync::Arc;

use egg::{Analysis, DidMerge, Id};
use legate_jit_ir::graph::Reducer;
use legate_jit_ir::{DType, Scalar, Shape, Type};
use smallvec::SmallVec;

use super::language::{Head, Leaf, Term};
use crate::fold;

pub type EGraph = egg::EGraph<Term, Known>;

/// The analysis. It has no state of its own.
#[derive(Default)]
pub struct Known;

/// Facts about a class.
#[derive(Clone, Debug)]
pub enum Facts {
    /// A value, with the constant that each of its elements is.
    Value {
        ty: Type,
        constant: Option<Scalar>,
    },
    Attribute(Arc<Leaf>),
    /// A term that a rule built although its types do not fit; never merged with a value, never extracted.
    Ill,
}

impl Facts {
    pub fn ty(&self) -> Option<&Type> {
        match self {
            Facts::Value { ty, .. } => Some(ty),
            Facts::Attribute(_) | Facts::Ill => None,
        }
    }

    pub fn constant(&self) -> Option<Scalar> {
        match self {
            Facts::Value { constant, .. } => *constant,
            Facts::Attribute(_) | Facts::Ill => None,
        }
    }

    pub fn attribute(&self) -> Option<&Leaf> {
        match self {
            Facts::Attribute(leaf) => Some(leaf),
            Facts::Value { .. } | Facts::Ill => None,
        }
    }
}

fn derive(egraph: &EGraph, term: &Term) -> Option<Facts> {
    let facts = |i: usize| &egraph[term.args[i]].data;
    let value = |dtype: DType, shape: Shape, constant| Some(Facts::Value { ty: Type { dtype, shape }, constant });
    match &term.head {
        Head::Leaf(leaf) => match &**leaf {
            Leaf::Input(_, ty) | Leaf::Scalar(_, ty) | Leaf::Index(_, ty) => {
                Some(Facts::Value { ty: ty.clone(), constant: None })
            }
            Leaf::Const(c) => value(c.dtype, Shape::new(), Some(*c)),
            Leaf::View(_) | Leaf::Reduce(_) | Leaf::DType(_) | Leaf::Shape(_) | Leaf::Opaque(..) => {
                Some(Facts::Attribute(leaf.clone()))
            }
        },
        Head::Map(ufunc) => {
            let shape = &facts(0).ty()?.shape;
            let mut dtypes: SmallVec<[DType; 3]> = SmallVec::new();
            let mut constants: SmallVec<[Scalar; 3]> = SmallVec::new();
            for i in 0..term.args.len() {
                let ty = facts(i).ty()?;
                if ty.shape != *shape {
                    return None;
                }
                dtypes.push(ty.dtype);
                constants.extend(facts(i).constant());
            }
            let dtype = fold::result(*ufunc, &dtypes)?;
            let constant = if constants.len() == dtypes.len() { fold::map(*ufunc, &constants) } else { None };
            value(dtype, shape.clone(), constant)
        }
        Head::View => match facts(1).attribute()? {
            Leaf::View(view) => value(facts(0).ty()?.dtype, view.shape.clone(), facts(0).constant()),
            _ => None,
        },
        Head::Reshape => match facts(1).attribute()? {
            Leaf::Shape(shape) => value(facts(0).ty()?.dtype, shape.clone(), facts(0).constant()),
            _ => None,
        },
        Head::Cast => match facts(1).attribute()? {
            &Leaf::DType(to) => {
                let constant = facts(0).constant().map(|c| fold::cast(c, to));
                value(to, facts(0).ty()?.shape.clone(), constant)
            }
            _ => None,
        },
        Head::Update => {
            let ty = facts(0).ty()?;
            let same = facts(0).constant().filter(|c| facts(2).constant() == Some(*c));
            value(ty.dtype, ty.shape.clone(), same)
        }
        Head::Reduce => match facts(1).attribute()? {
            Leaf::Reduce(reduce) => {
                let ty = facts(0).ty()?;
                let dtype = match reduce.reducer {
                    Reducer::ArgMin | Reducer::ArgMax => DType::I64,
                    Reducer::Ufunc(ufunc) => fold::result(ufunc, &[ty.dtype, ty.dtype])?,
                };
                let kept = |k: &usize| !reduce.axes.contains(&(*k as u32));
                let shape = (0..ty.shape.len()).filter(kept).map(|k| ty.shape[k]).collect();
                value(dtype, shape, None)
            }
            _ => None,
        },
        Head::Opaque => match facts(0).attribute()? {
            Leaf::Opaque(_, ty) => Some(Facts::Value { ty: ty.clone(), constant: None }),
            _ => None,
        },
    }
}

impl Analysis<Term> for Known {
    type Data = Facts;

    fn make(egraph: &mut EGraph, term: &Term, _id: Id) -> Facts {
        derive(egraph, term).unwrap_or(Facts::Ill)
    }

    fn merge(&mut self, to: &mut Facts, from: Facts) -> DidMerge {
        match (&mut *to, from) {
            (Facts::Value { ty, constant }, Facts::Value { ty: other, constant: new }) => {
                debug_assert_eq!(*ty, other, "a rule changed a type");
                match (constant.is_some(), new) {
                    (false, Some(c)) => {
                        *constant = Some(c);
                        DidMerge(true, false)
                    }
                    (known, new) => DidMerge(false, known && new.is_none()),
                }
            }
            (Facts::Ill, from @ Facts::Value { .. }) => {
                *to = from;
                DidMerge(true, false)
            }
            (_, _) => DidMerge(false, false),
        }
    }
}
