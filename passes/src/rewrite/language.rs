//! Graphs as terms of an e-graph. An operation is a node whose children are its arguments and, where it has one, its
//! attribute: `(view ?x ?how)`, `(cast ?x ?dtype)`, `(reduce ?x ?how)`, `(update ?base ?where ?value)`. Attributes are leaves, so
//! that a pattern can bind them to a variable and a rule can compute new ones.

use std::fmt;
use std::sync::Arc;

use egg::{FromOp, Id, Language};
use legate_jit_ir::graph::{Opaque, Reduce};
use legate_jit_ir::{DType, Scalar, Shape, Type, Ufunc, View};
use smallvec::SmallVec;

/// A leaf: a value that the graph does not compute, or an attribute.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Leaf {
    Input(u32, Type),
    Scalar(u32, Type),
    Const(Scalar),
    Index(u32, Type),
    View(View),
    Reduce(Reduce),
    DType(DType),
    Shape(Shape),
    /// With the type of its result.
    Opaque(Opaque, Type),
}

/// What a node does with its children.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Head {
    Map(Ufunc),
    /// (argument, view)
    View,
    /// (argument, shape)
    Reshape,
    /// (argument, dtype)
    Cast,
    /// (base, view, value)
    Update,
    /// (argument, reduction)
    Reduce,
    /// (operation, argument …)
    Opaque,
    Leaf(Arc<Leaf>),
}

/// A node of the e-graph.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Term {
    pub head: Head,
    pub args: SmallVec<[Id; 3]>,
}

impl Term {
    pub fn new(head: Head, args: &[Id]) -> Term {
        Term { head, args: SmallVec::from_slice(args) }
    }

    pub fn leaf(leaf: Leaf) -> Term {
        Term { head: Head::Leaf(Arc::new(leaf)), args: SmallVec::new() }
    }
}

/// Kinds of heads, small enough to index a table: structural ones first, then one for each elementwise operation.
pub const KINDS: usize = 7 + Ufunc::ALL.len();

impl Head {
    pub fn kind(&self) -> u8 {
        match self {
            Head::Leaf(_) => 0,
            Head::View => 1,
            Head::Reshape => 2,
            Head::Cast => 3,
            Head::Update => 4,
            Head::Reduce => 5,
            Head::Opaque => 6,
            Head::Map(ufunc) => 7 + *ufunc as u8,
        }
    }
}

impl Language for Term {
    type Discriminant = u8;

    fn discriminant(&self) -> u8 {
        self.head.kind()
    }

    fn matches(&self, other: &Term) -> bool {
        self.head == other.head && self.args.len() == other.args.len()
    }

    fn children(&self) -> &[Id] {
        &self.args
    }

    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.args
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.head {
            Head::Map(ufunc) => f.write_str(ufunc.name()),
            Head::View => f.write_str("view"),
            Head::Reshape => f.write_str("reshape"),
            Head::Cast => f.write_str("cast"),
            Head::Update => f.write_str("update"),
            Head::Reduce => f.write_str("reduce"),
            Head::Opaque => f.write_str("opaque"),
            Head::Leaf(leaf) => write!(f, "{leaf:?}"),
        }
    }
}

/// Patterns name operations as the text form does; leaves are only ever bound to variables.
impl FromOp for Term {
    type Error = String;

    fn from_op(op: &str, children: Vec<Id>) -> Result<Term, String> {
        let (head, arity) = match op {
            "view" => (Head::View, 2),
            "reshape" => (Head::Reshape, 2),
            "cast" => (Head::Cast, 2),
            "update" => (Head::Update, 3),
            "reduce" => (Head::Reduce, 2),
            _ => match Ufunc::ALL.iter().find(|u| u.name() == op) {
                Some(&u) => (Head::Map(u), u.nin()),
                None => return Err(format!("no operation is called {op}")),
            },
        };
        if children.len() != arity {
            return Err(format!("{op} takes {arity} arguments, not {}", children.len()));
        }
        Ok(Term { head, args: children.into() })
    }
}
