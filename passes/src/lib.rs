//! Graph passes: from the recorded graph to a plan. Knows neither MLIR, MPI nor Python.

pub mod cost;
pub mod fuse;
pub mod schedule;
