//! Python's numbers beside arrays (NEP 50): weak scalars and their values as elements. The rules themselves are the IR's.

use legate_jit_ir::cast::cast;
use legate_jit_ir::promote::{ArgType, int_out_of_bounds};
use legate_jit_ir::{DType, Scalar};

use crate::{Error, Result};

/// A Python number: it takes the type of the arrays around it where its kind allows. (A Python bool is a typed scalar.)
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum WeakScalar {
    Int(i128),
    Float(f64),
    Complex(f64, f64),
}

impl WeakScalar {
    pub(crate) fn arg_type(self) -> ArgType {
        ArgType::weak(match self {
            WeakScalar::Int(_) => DType::I64,
            WeakScalar::Float(_) => DType::F64,
            WeakScalar::Complex(..) => DType::C128,
        })
    }

    /// The type it has on its own.
    pub fn own_type(self) -> DType {
        match self {
            WeakScalar::Int(v) if v > i64::MAX as i128 => DType::U64,
            other => other.arg_type().dtype,
        }
    }

    /// As an element; an integer that does not fit is NumPy's OverflowError.
    pub fn value(self, dtype: DType) -> Result<Scalar> {
        match self {
            WeakScalar::Int(v) if dtype.is_integer() => match int_out_of_bounds(v, dtype) {
                Some(words) => Err(Error::Overflow(words)),
                None => Ok(Scalar::int(dtype, v)),
            },
            WeakScalar::Int(v) => Ok(cast(Scalar::f64(v as f64), dtype)),
            WeakScalar::Float(v) => Ok(cast(Scalar::f64(v), dtype)),
            WeakScalar::Complex(re, im) => Ok(cast(Scalar::c128(re, im), dtype)),
        }
    }

    /// As the new value of an element, where Python's own conversions have their say.
    pub fn assigned(self, dtype: DType) -> Result<Scalar> {
        match self {
            WeakScalar::Complex(..) if !dtype.is_complex() && dtype != DType::Bool => {
                let to = if dtype.is_float() { "float" } else { "int" };
                let words = match dtype.is_float() {
                    true => format!("{to}() argument must be a string or a real number, not 'complex'"),
                    false => {
                        format!("{to}() argument must be a string, a bytes-like object or a real number, not 'complex'")
                    }
                };
                Err(Error::Type(words))
            }
            WeakScalar::Float(v) if dtype.is_integer() && v.is_nan() => {
                Err(Error::Value("cannot convert float NaN to integer".into()))
            }
            WeakScalar::Float(v) if dtype.is_integer() && v.is_infinite() => {
                Err(Error::Overflow("cannot convert float infinity to integer".into()))
            }
            WeakScalar::Float(v) if dtype.is_integer() => WeakScalar::Int(v.trunc() as i128).value(dtype),
            other => other.value(dtype),
        }
    }
}
