//! The plan: the steps that compute a graph's outputs, with every buffer, kernel, piece and reduction fixed.
//!
//! A plan is made once for each recorded structure and then runs with other arrays and scalars of the same types. It is
//! what the controller sends to the other ranks, once, as text. It depends on shapes but on no address, thread or rank.

use smallvec::SmallVec;

use crate::graph::{Opaque, Reduce, Type};
use crate::kernel::Kernel;
use crate::shape::Shape;
use crate::{DType, View};

/// An array that steps read and write: C-contiguous, of its full logical shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BufferId(pub u32);

/// Where a buffer's memory comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Source {
    /// The n-th input array: read only, unless it is donated and another buffer takes it over.
    Input(u32),
    /// Fresh memory, returned to the pool at its `Free` step unless it is an output.
    Fresh,
    /// The memory of another buffer, whose old contents nobody needs from the first step that writes this one on
    /// (a donated input, or a buffer that is dead by then). The element size may differ only if the total fits exactly.
    TakeOver(BufferId),
    /// The memory of another buffer seen with another shape (a reshape): same elements in C order, no copy.
    Alias(BufferId),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Buffer {
    pub ty: Type,
    pub source: Source,
}

/// A buffer seen through an affine map from the launch's domain (or the opaque operand's shape).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Operand {
    pub buffer: BufferId,
    /// Its base is the buffer's shape. Where a launch has several pieces it may leave the buffer outside its own pieces,
    /// so starts can be negative.
    pub view: View,
}

/// What an access of a launch touches.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    Buffer(Operand),
    /// The n-th stream of the launch: one element for each point of the domain, never in memory as a whole.
    Stream(u32),
}

/// A box of the domain with the kernel that runs there. The pieces of a launch do not overlap; together they need not
/// fill the domain unless the launch has streams.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Piece {
    pub lo: Shape,
    pub hi: Shape,
    /// Index into `Plan::kernels`.
    pub kernel: u32,
    /// For each access of the kernel, the launch's target.
    pub accesses: SmallVec<[u32; 8]>,
    /// For each scalar of the kernel, the plan's scalar argument.
    pub scalars: SmallVec<[u32; 4]>,
}

/// A value computed at every point of the domain and reduced on the fly.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Stream {
    pub dtype: DType,
    /// Axes of the launch's domain.
    pub reduce: Reduce,
    /// The reduction's result; its shape is the domain without the reduced axes.
    pub out: BufferId,
}

/// One pass over an iteration space.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Launch {
    pub domain: Shape,
    pub targets: Vec<Target>,
    pub pieces: Vec<Piece>,
    /// All streams of a launch reduce the same axes in the same order.
    pub streams: Vec<Stream>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    Launch(Launch),
    Opaque {
        op: Opaque,
        args: Vec<Operand>,
        out: BufferId,
    },
    /// The buffer's memory goes back to the pool (or to the buffer that took it over).
    Free(BufferId),
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Plan {
    pub name: String,
    pub buffers: Vec<Buffer>,
    /// Types of the scalar arguments.
    pub scalars: Vec<DType>,
    pub kernels: Vec<Kernel>,
    pub steps: Vec<Step>,
    /// For each output of the graph, the buffer that holds it at the end. It may be an input's buffer.
    pub outputs: Vec<BufferId>,
}

impl Plan {
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        &self.buffers[id.0 as usize]
    }
}
