//! What the tests of the passes share.

#![allow(dead_code)]

pub mod instance;
pub mod witness;
