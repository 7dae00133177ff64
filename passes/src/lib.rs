//! Graph passes: from the recorded graph to a plan. Knows neither MLIR, MPI nor Python.

pub mod canonicalize;
pub mod cost;
pub mod cx;
pub mod fold;
pub mod fuse;
pub mod pipeline;
pub mod relate;
pub mod rewrite;
pub mod schedule;
pub mod stencil;
pub mod unfold;
pub mod unroll;

pub use cx::{Cx, Math};
pub use pipeline::compile;
