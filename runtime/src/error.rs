//! The one error type of the runtime. Each variant is a Python exception class; the front end raises it with the words
//! given here, which are NumPy's wherever NumPy has any.

use std::fmt;

use legate_jit_ir::DType;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Clone, PartialEq, Debug)]
pub enum Error {
    /// `ValueError`.
    Value(String),
    /// `TypeError`.
    Type(String),
    /// `IndexError`.
    Index(String),
    /// `OverflowError`.
    Overflow(String),
    /// `numpy.exceptions.AxisError`, a `ValueError` and an `IndexError`.
    Axis(String),
    /// `numpy._core._exceptions._UFuncNoLoopError` and its kin, a `TypeError`.
    UfuncType(String),
    /// `MemoryError`.
    Memory(String),
    /// `ZeroDivisionError`.
    ZeroDivision(String),
    /// `numpy.linalg.LinAlgError`.
    LinAlg(String),
    /// `RuntimeError`: a broken installation or a lost rank.
    Runtime(String),
    /// NumPy can do this, we cannot (yet): the front end hands the call to NumPy and counts it.
    Unsupported(String),
}

impl Error {
    /// NumPy's words for an array that there is no memory for.
    #[cold]
    pub fn no_memory(shape: &[usize], dtype: DType) -> Error {
        Error::Memory(format!(
            "Unable to allocate {} for an array with shape {} and data type {}",
            crate::buffer::size_text(shape.iter().product::<usize>().saturating_mul(dtype.size())),
            shape_text(shape, ", "),
            dtype.numpy_name()
        ))
    }

    pub fn message(&self) -> &str {
        match self {
            Error::Value(m)
            | Error::Type(m)
            | Error::Index(m)
            | Error::Overflow(m)
            | Error::Axis(m)
            | Error::UfuncType(m)
            | Error::Memory(m)
            | Error::ZeroDivision(m)
            | Error::LinAlg(m)
            | Error::Runtime(m)
            | Error::Unsupported(m) => m,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Error {}

impl From<legate_jit_ir::Error> for Error {
    fn from(e: legate_jit_ir::Error) -> Error {
        match e {
            legate_jit_ir::Error::Type(m) => Error::Type(m),
            legate_jit_ir::Error::Unsupported(m) => Error::Unsupported(m),
            other => Error::Runtime(other.to_string()),
        }
    }
}

/// NumPy's way of writing a shape: `(3,)`, `(2, 3)`; `sep` is `", "` or `","` (ufunc messages have no blank).
pub fn shape_text(shape: &[usize], sep: &str) -> String {
    match shape {
        [n] => format!("({n},)"),
        _ => format!("({})", shape.iter().map(|n| n.to_string()).collect::<Vec<_>>().join(sep)),
    }
}
