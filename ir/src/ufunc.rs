//! The elementwise operations, one row each. See [`table`] for the rows and for how to add one.

pub mod table;

pub use table::Ufunc;
