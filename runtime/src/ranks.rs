//! Programs on several ranks. Rank 0 runs Python and is the controller; the others are workers, which never see user code.
//!
//! A launch is one short message down a broadcast tree: the number of a plan, which was sent once as text, the numbers of
//! stores, scalars. What each rank computes, sends and receives then follows from the plan and from how the stores are
//! held, which all ranks know alike. Large arrays are cut into blocks of rows; small ones stay on rank 0; what cannot be
//! divided runs there. Which rank computes what never changes a bit: launches run the same kernels on other boxes, and
//! reductions are divided along NumPy's tree.
//!
//! The rest of the runtime touches this in three places: `Prepared::run` asks [`run`] first, a store whose blocks lie on
//! other ranks is fetched when somebody asks for its address, and a dropped store is forgotten.

mod controller;
mod executor;
mod message;
mod split;
#[cfg(test)]
mod tests;
mod tiling;
mod worker;

pub use controller::{active, counters, shutdown, start};
pub(crate) use controller::{bring_home, dropped, run, take_home};
pub use worker::work;

/// Bytes from which an array is cut into blocks, unless the controller says otherwise.
pub const PARTITION_BYTES: usize = 1 << 16;
