//! The one error type of this crate.

use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// A kernel that breaks an invariant of its level.
    Kernel(String),
    /// An operation that only the prebuilt loops have.
    Unsupported(String),
    /// A target that does not exist or that this machine cannot run.
    Target(String),
    /// MLIR rejected what was built, or a pass failed: its own words.
    Mlir(String),
    /// LLVM's passes, emission or linking failed: its own words.
    Llvm(String),
    /// Something outside the compiler is missing (the vector math library, libdevice).
    Missing(String),
    /// Reading or writing the kernel cache.
    Cache(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::Kernel(m) => write!(f, "kernel: {m}"),
            Error::Target(m) => write!(f, "target: {m}"),
            Error::Mlir(m) => write!(f, "MLIR: {m}"),
            Error::Llvm(m) => write!(f, "LLVM: {m}"),
            Error::Unsupported(m) | Error::Missing(m) => f.write_str(m),
            Error::Cache(m) => write!(f, "kernel cache: {m}"),
        }
    }
}

impl std::error::Error for Error {}
