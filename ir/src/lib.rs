//! The array IR: what a program means, from the recorded graph down to the kernels and the plan that run it.
//!
//! This crate knows neither egg, MLIR, MPI nor Python. It declares the element types and their promotion, the table of
//! elementwise operations, the structural operations, the three levels (graph, kernel, plan) with their text forms and
//! verifiers, and the reference interpreter that defines what each operation means.

#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
pub mod cast;
pub mod dtype;
pub mod dump;
pub mod error;
pub mod graph;
pub mod interp;
pub mod kernel;
pub mod nest;
pub mod plan;
pub mod promote;
pub mod rounds;
pub mod scalar;
pub mod shape;
pub mod text;
pub mod ufunc;
pub mod verify;
pub mod view;

pub use dtype::DType;
pub use error::{Error, Result};
pub use graph::{Graph, Node, Op, Type, Value};
pub use interp::Tensor;
pub use kernel::{Access, Body, InnerStride, Inst, Kernel, Reg};
pub use plan::Plan;
pub use rounds::Rounds;
pub use scalar::Scalar;
pub use shape::Shape;
pub use ufunc::Ufunc;
pub use view::View;
