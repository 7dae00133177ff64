//! The runtime: records array calls, keeps stores and plans, and runs them.

mod ahead;
pub mod array;
mod base;
pub mod buffer;
mod capture;
mod config;
pub mod dump;
pub mod error;
pub mod exec;
mod fork;
mod helper;
mod layout;
pub mod library;
mod linalg;
mod pick;
mod plan_cache;
pub mod pool;
mod promote;
pub mod ranks;
mod reduce;
mod repeats;
mod scalar_eval;
mod session;
mod stats;
#[cfg(test)]
mod tests;
pub mod tier;
mod trace;
pub mod transport;
pub mod tree;
mod ufunc;
pub mod vm;
mod witness;

pub use array::{Array, Element, Export, HostView, Index, Operand, check_shape};
pub use buffer::Store;
pub use config::{Config, Tier};
pub use error::{Error, Result};
pub use legate_jit_ir::promote::Casting;
pub use linalg::{dot, matmul};
pub use pick::{IndexPart, Picked, PickedOperand, count_nonzero, nonzero};
pub use promote::WeakScalar;
pub use reduce::{ReduceArgs, accumulate, mean, reduce, var};
pub use scalar_eval::{Known, asks, known};
pub use session::{config, element_reads, hardly_pending, little_pending, prepare, set_config, sync};
pub use stats::stats;
pub use ufunc::{UfuncArgs, power, ufunc, where_};
