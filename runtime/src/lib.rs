//! The runtime: records array calls, keeps stores and plans, and runs them.

mod ahead;
pub mod array;
mod backwards;
mod base;
mod batch;
pub mod buffer;
mod capture;
mod config;
pub mod dump;
mod eager;
pub mod error;
pub mod exec;
mod fork;
mod helper;
mod inline;
mod later;
mod layout;
pub mod library;
mod linalg;
mod machine;
pub mod nest;
mod pass;
mod pick;
mod plan_cache;
pub mod pool;
mod prefetch;
mod promote;
pub mod random;
pub mod ranks;
mod reduce;
mod repeats;
pub mod round;
mod scalar_eval;
mod session;
mod shared;
mod start;
mod stats;
mod strided;
#[cfg(test)]
mod tests;
pub mod tier;
mod trace;
pub mod transport;
pub mod tree;
mod ufunc;
mod unread;
pub mod vm;
mod witness;

pub use array::{Array, Element, Export, HostView, Index, Loan, Operand, check_shape, say_other};
pub use buffer::Store;
pub use config::{Config, Tier};
pub use error::{Error, Result};
pub use legate_jit_ir::promote::Casting;
pub use linalg::{dot, dot_now, matmul, vdot_now, vecdot_now};
pub use pick::{IndexPart, Picked, PickedOperand, apply_at, bincount, count_nonzero, nonzero, nonzero_of_line};
pub use promote::WeakScalar;
pub use reduce::{ReduceArgs, accumulate, mean, reduce, reduce_all_now, reduceat, var};
pub use scalar_eval::{Known, asks, known};
pub use session::{
    config, element_reads, epoch, little_pending, prepare, set_config, sync, sync_for_a_number, sync_if_hardly_pending,
};
pub use stats::stats;
pub use ufunc::{UfuncArgs, into_now, power, ufunc, where_};
