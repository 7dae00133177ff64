//! What is known of an operation besides its meaning: the table's `[…]` column.

use crate::{DType, Scalar};

/// The value that a reduction of nothing has, and that changes nothing when it takes part.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Identity {
    Int(i64),
    Bool(bool),
    NegInfinity,
}

impl Identity {
    /// As an element of this type.
    pub fn scalar(self, dtype: DType) -> Scalar {
        let value = match self {
            Identity::Int(v) => Scalar::i64(v),
            Identity::Bool(v) => Scalar::bool(v),
            Identity::NegInfinity => Scalar::f64(f64::NEG_INFINITY),
        };
        crate::cast::cast(value, dtype)
    }
}

/// One bool or number for each word of the column.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Props {
    pub identity: Option<Identity>,
    /// The arguments can change places without changing a bit (but which of two NaNs or zeros is kept).
    pub commutative: bool,
    /// Exactly associative for integers and bools; for floats only where the meaning says so (`maximum`).
    pub associative: bool,
    /// f(f(x)) = f(x), or f(x, x) = x.
    pub idempotent: bool,
    /// Not correctly rounded: the vector math library's, at most 1 ulp away. All others have NumPy's bits.
    pub transcendental: bool,
    /// An int loop is chosen by the common type of the arguments, and a bool comes out.
    pub compares: bool,
    /// Arguments of different types are all taken as bools.
    pub logical: bool,
    /// Integers and bools are converted to float64, whatever their size.
    pub ints_as_f64: bool,
    /// Everything is converted to float64.
    pub as_f64: bool,
    /// A loop of the arguments' common type, or none: bools are not taken as int8.
    pub one_type: bool,
    /// NumPy has complex loops, which the row lacks; NumPy runs them.
    pub lacks_complex: bool,
    /// The NumPy ufunc of which this is one of the results.
    pub part_of: Option<&'static str>,
    /// Rough work for one element, in additions.
    pub flops: u32,
}

macro_rules! flags {
    ($($flag:ident)*) => {
        $(
            pub(super) const fn $flag(self) -> Props {
                Props { $flag: true, ..self }
            }
        )*
    };
}

impl Props {
    pub(super) const fn new() -> Props {
        Props {
            identity: None,
            commutative: false,
            associative: false,
            idempotent: false,
            transcendental: false,
            compares: false,
            logical: false,
            ints_as_f64: false,
            as_f64: false,
            one_type: false,
            lacks_complex: false,
            part_of: None,
            flops: 1,
        }
    }

    pub(super) const fn identity(self, identity: Identity) -> Props {
        Props { identity: Some(identity), ..self }
    }

    pub(super) const fn part_of(self, name: &'static str) -> Props {
        Props { part_of: Some(name), ..self }
    }

    pub(super) const fn flops(self, flops: u32) -> Props {
        Props { flops, ..self }
    }

    flags! { commutative associative idempotent transcendental compares logical ints_as_f64 as_f64 one_type lacks_complex }
}
