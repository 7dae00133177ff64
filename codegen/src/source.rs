//! What is compiled: a kernel, or a nest.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use legate_jit_ir::Kernel;
use legate_jit_ir::nest::Program;

use crate::Error;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    Kernel(Kernel),
    Nest(Arc<Program>),
}

/// The canonical text: what a key of the kernel cache is made from, and what lies beside the code.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Source::Kernel(kernel) => kernel.fmt(f),
            Source::Nest(program) => program.fmt(f),
        }
    }
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Source, Error> {
        let parsed = match text.starts_with("nest ") {
            true => text.parse().map(|program| Source::Nest(Arc::new(program))),
            false => text.parse().map(Source::Kernel),
        };
        parsed.map_err(|e| Error::Kernel(e.to_string()))
    }
}
