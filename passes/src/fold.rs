//! Computing with constants while compiling: the scalar meanings of `ir`, so that folding has the bits of running.

use legate_jit_ir::{DType, Scalar, Ufunc};

pub fn zero(dtype: DType) -> Scalar {
    Scalar { dtype, bits: [0, 0] }
}

pub fn cast(value: Scalar, to: DType) -> Scalar {
    legate_jit_ir::cast::cast(value, to)
}

/// The operation on constants, if it has a loop for their types.
pub fn map(ufunc: Ufunc, args: &[Scalar]) -> Option<Scalar> {
    ufunc.eval(args)
}

/// The type that the operation makes of arguments of these types, if it has a loop for them.
pub fn result(ufunc: Ufunc, args: &[DType]) -> Option<DType> {
    ufunc.out(args)
}

/// Whether the arguments can change places without changing a bit. Of two NaNs a float operation returns the first, so this is
/// asked for integers and bools only.
pub fn commutes(ufunc: Ufunc, dtype: DType) -> bool {
    (dtype.is_integer() || dtype == DType::Bool) && ufunc.props().commutative
}
