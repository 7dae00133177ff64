//! The one error type of this crate.

use std::fmt;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// A text form that does not parse: line and column (from 1), what was expected and what came.
    Parse { line: usize, column: usize, message: String },
    /// A graph, kernel or plan that breaks an invariant of its level.
    Invalid(String),
    /// An operation whose arguments do not fit, in NumPy's words.
    Type(String),
    /// Something that NumPy can do and we cannot; NumPy does it then.
    Unsupported(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::Parse { line, column, message } => write!(f, "{line}:{column}: {message}"),
            Error::Invalid(m) | Error::Type(m) | Error::Unsupported(m) => f.write_str(m),
        }
    }
}

impl std::error::Error for Error {}
