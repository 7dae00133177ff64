//! The elementwise operations, one row each. See [`table`] for the rows and for how to add one.

pub mod emit;
pub mod loops;
pub mod meaning;
pub mod native;
pub mod props;
pub mod resolve;
pub mod special;
pub mod table;
#[cfg(test)]
mod tests;

pub use props::{Identity, Props};
pub use resolve::{Loop, Signature};
pub use table::Ufunc;
