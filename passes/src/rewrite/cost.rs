//! What a term costs, to choose between equal ones: the work it does and the bytes it moves. The unit is one vector addition of
//! an f64; see [`crate::cost`]. It assumes that `fuse` computes elementwise work where it is used, so that only what reductions,
//! library calls, updates and reshapes need, and what is read through a view, lies in memory.

use legate_jit_ir::graph::Opaque;
use legate_jit_ir::{Type, Ufunc};

use super::analysis::EGraph;
use super::language::{Head, Leaf, Term};
use crate::cost::work;
use crate::cx::Math;

/// A node costs something even for one element: an instruction, a name, a moment of compilation.
const NODE: f64 = 1.0;
/// Moving a byte to or from memory.
const BYTE: f64 = 1.0;
/// A step of its own in the plan.
const STEP: f64 = 500.0;

/// The cost of a term by itself, given the type of its result.
pub fn own(egraph: &EGraph, term: &Term, ty: &Type, math: Math) -> f64 {
    let facts = |i: usize| &egraph[term.args[i]].data;
    let arg_bytes = |i: usize| facts(i).ty().map_or(0.0, |t| t.bytes() as f64);
    let size = ty.size() as f64;
    NODE + match &term.head {
        Head::Leaf(_) => 0.0,
        Head::Map(ufunc) => {
            let dtype = facts(0).ty().map_or(ty.dtype, |t| t.dtype);
            // Where contraction is allowed, an addition to a product is free.
            let product = |i: usize| egraph[term.args[i]].iter().any(|t| t.head == Head::Map(Ufunc::Multiply));
            let contracted =
                math == Math::Relaxed && matches!(ufunc, Ufunc::Add | Ufunc::Subtract) && (product(0) || product(1));
            if contracted { 0.0 } else { size * work(*ufunc, dtype) as f64 * dtype.size() as f64 / 8.0 }
        }
        Head::Cast => size * 0.5,
        Head::View => size * 0.05,
        Head::Reshape => 0.0,
        Head::Update => arg_bytes(2) * BYTE + STEP,
        Head::Reduce => facts(0).ty().map_or(0.0, |t| t.size() as f64) + STEP,
        Head::Opaque => match facts(0).attribute() {
            Some(Leaf::Opaque(Opaque::Matmul(_), _)) => {
                let inner = facts(1).ty().and_then(|t| t.shape.last().copied()).unwrap_or(1);
                2.0 * size * inner as f64 + STEP
            }
            _ => size * 4.0 + STEP,
        },
    }
}

/// The further cost of holding a value in memory because somebody reads it through a view or needs its address: nothing for what
/// is there anyway.
pub fn in_memory(term: &Term, ty: &Type) -> f64 {
    match term.head {
        Head::Leaf(_) | Head::Reduce | Head::Opaque | Head::Update | Head::Reshape => 0.0,
        Head::View => 0.25 * ty.bytes() as f64 * BYTE,
        Head::Map(_) | Head::Cast => 2.0 * ty.bytes() as f64 * BYTE,
    }
}

/// Whether a term wants its argument in memory.
pub fn wants_in_memory(head: &Head, arg: usize) -> bool {
    match head {
        Head::View | Head::Reshape => arg == 0,
        Head::Opaque => arg > 0,
        Head::Update => arg == 0,
        Head::Leaf(_) | Head::Map(_) | Head::Cast | Head::Reduce => false,
    }
}
