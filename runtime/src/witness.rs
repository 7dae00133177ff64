//! The interpreter tier: a recorded graph run by the reference interpreter.

use std::sync::Arc;

use legate_jit_ir::Graph;

use crate::plan_cache::Stores;
use crate::{Error, Result, Store};

pub(crate) fn run(_graph: &Graph, _inputs: &[Arc<Store>], _scalars: &[[u64; 2]]) -> Result<Stores> {
    Err(Error::Runtime("the interpreter is missing".into()))
}
