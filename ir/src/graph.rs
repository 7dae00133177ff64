//! The graph: what was recorded, in single assignment form. Every pass reads and writes it; `fuse` turns it into a plan.

use smallvec::SmallVec;

use crate::shape::{Shape, c_strides};
use crate::{DType, Scalar, Ufunc, View};

/// A node's result. Nodes are in topological order: a node's arguments have smaller indices.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Value(pub u32);

impl Value {
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Element type and shape.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Type {
    pub dtype: DType,
    pub shape: Shape,
}

impl Type {
    pub fn new(dtype: DType, shape: &[usize]) -> Type {
        Type { dtype, shape: shape.into() }
    }

    pub fn size(&self) -> usize {
        crate::shape::size(&self.shape)
    }

    pub fn bytes(&self) -> usize {
        self.size() * self.dtype.size()
    }
}

/// How elements are combined.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Reducer {
    /// `ufunc.reduce` of a binary operation; the result has the argument's type (bool for logical operations).
    Ufunc(Ufunc),
    /// First index of the smallest (largest) element in C order over the reduced axes, NaN first; the result is i64.
    ArgMin,
    ArgMax,
}

/// The order in which a reduction combines, which fixes its bits. It depends on the shape alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Order {
    /// NumPy's order for C-contiguous data: the trailing run of reduced axes is one flattened pairwise tree for each
    /// index of the others; those partial results, or whole rows where the last axis is kept, are combined in order of the
    /// remaining reduced axes. Axes of extent 1 count for nothing: what is reduced around a kept one is one run.
    Tree,
    /// NumPy's order for a full reduction over data that it must buffer: flattened in C order, chunks of this many elements
    /// (a multiple of the last axis for 2-D views) are pairwise trees, combined in order.
    Chunked(u32),
    /// The same over blocks of `block` elements: each is cut into chunks of `chunk`, the last one of a block shorter.
    Blocks { block: u64, chunk: u32 },
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Reduce {
    pub reducer: Reducer,
    /// Reduced axes, ascending; they vanish from the shape.
    pub axes: SmallVec<[u32; 4]>,
    pub order: Order,
}

/// Steps from one element to the next along each axis, in elements.
pub type Strides = SmallVec<[i64; 4]>;

/// Operations that a library or a hand-written loop runs, not a generated kernel.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Opaque {
    /// NumPy's matmul for arguments of rank ≥ 1 after broadcasting: (.., m, k) × (.., k, n); vectors are given as
    /// (1, k) or (k, 1) views by the recorder. Same float or complex type on both sides, integers too.
    ///
    /// A BLAS chooses its loops by how operands lie in memory, and with them the order of additions. So each operand's steps
    /// from element to element, as the program has them, are part of the operation: those of all axes, or none where the operand lies
    /// in C order. What passes make of operands changes where their elements come from, and never these.
    Matmul([Strides; 2]),
    /// `ufunc.accumulate` along one axis, strictly in order.
    Scan { ufunc: Ufunc, axis: u32 },
}

/// What a node computes from its arguments.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Op {
    /// The n-th array given to the graph.
    Input(u32),
    /// The n-th scalar given to the graph: 0-d, its value is an argument of the plan and no part of any key.
    Scalar(u32),
    /// A 0-d value that is part of the key.
    Const(Scalar),
    /// The index along one axis of the node's own shape, i64.
    Index(u32),
    /// A view of the argument.
    View(View),
    /// The argument's elements in C order with another shape of the same size.
    Reshape,
    /// An elementwise operation; all arguments have the node's shape (broadcasts are views).
    Map(Ufunc),
    /// NumPy's `astype` to the node's dtype (unsafe casting rules; float to int truncates).
    Cast,
    /// (base, value): the base with the elements that the view names replaced. The view is injective.
    Update(View),
    /// One argument, see [`Reduce`].
    Reduce(Reduce),
    Opaque(Opaque),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Node {
    pub op: Op,
    pub args: SmallVec<[Value; 3]>,
    pub ty: Type,
}

/// A single-assignment program over arrays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Graph {
    pub name: String,
    /// In topological order; inputs and scalars may stand anywhere.
    pub nodes: Vec<Node>,
    /// For the n-th input: nothing but this graph will read it again, so its memory may be taken over.
    pub donated: Vec<bool>,
    pub outputs: Vec<Value>,
}

impl Graph {
    pub fn push(&mut self, op: Op, args: &[Value], ty: Type) -> Value {
        self.nodes.push(Node { op, args: SmallVec::from_slice(args), ty });
        Value(self.nodes.len() as u32 - 1)
    }

    /// A product of matrices, whose operands lie as their views say.
    pub fn push_matmul(&mut self, a: Value, b: Value, ty: Type) -> Value {
        let strides = [self.strides(a), self.strides(b)];
        self.push(Op::Opaque(Opaque::Matmul(strides)), &[a, b], ty)
    }

    /// How a value lies in the memory of what it is a view of; none where that is C order.
    fn strides(&self, v: Value) -> Strides {
        let shape = &self.ty(v).shape;
        let (mut base, mut view) = (v, View::identity(shape));
        while let Op::View(outer) = &self.node(base).op {
            view = outer.then(&view);
            base = self.node(base).args[0];
        }
        let (_, strides) = view.strided(&c_strides(&self.ty(base).shape));
        let steps = |axis: usize| shape[axis] > 1;
        let ordered = c_strides(shape);
        if (0..shape.len()).all(|axis| !steps(axis) || strides[axis] == ordered[axis]) {
            Strides::new()
        } else {
            strides
        }
    }

    pub fn node(&self, v: Value) -> &Node {
        &self.nodes[v.index()]
    }

    pub fn ty(&self, v: Value) -> &Type {
        &self.nodes[v.index()].ty
    }

    /// How often each node is used, outputs included.
    pub fn uses(&self) -> Vec<u32> {
        let mut uses = vec![0; self.nodes.len()];
        for node in &self.nodes {
            for arg in &node.args {
                uses[arg.index()] += 1;
            }
        }
        for out in &self.outputs {
            uses[out.index()] += 1;
        }
        uses
    }

    /// The graph without the nodes that no output needs, numbered anew in the same order. `Input` and `Scalar` numbers
    /// keep their meaning.
    pub fn without_dead(&self) -> Graph {
        let mut live = vec![false; self.nodes.len()];
        for out in &self.outputs {
            live[out.index()] = true;
        }
        for i in (0..self.nodes.len()).rev() {
            if live[i] {
                for arg in &self.nodes[i].args {
                    live[arg.index()] = true;
                }
            }
        }
        let mut new = vec![Value(u32::MAX); self.nodes.len()];
        let mut graph = Graph { name: self.name.clone(), donated: self.donated.clone(), ..Graph::default() };
        for (i, node) in self.nodes.iter().enumerate() {
            if live[i] {
                let args: SmallVec<[Value; 3]> = node.args.iter().map(|a| new[a.index()]).collect();
                new[i] = graph.push(node.op.clone(), &args, node.ty.clone());
            }
        }
        graph.outputs = self.outputs.iter().map(|o| new[o.index()]).collect();
        graph
    }
}
