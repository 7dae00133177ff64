//! The runtime: records array calls, keeps stores and plans, and runs them.

pub mod buffer;
pub mod error;
pub mod transport;

pub use buffer::Store;
pub use error::{Error, Result};
