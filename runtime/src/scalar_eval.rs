//! Arithmetic on known numbers: no record, no plan.

use legate_jit_ir::cast::cast;
use legate_jit_ir::{DType, Scalar, Ufunc};
use smallvec::SmallVec;

use crate::Result;
use crate::array::Operand;
use crate::session::Session;

/// The operation's value where all operands are known 0-d values; `ins` are the types it works in.
pub(crate) fn evaluate(s: &mut Session, op: Ufunc, operands: &[Operand], ins: &[DType]) -> Result<Option<Scalar>> {
    let mut values: SmallVec<[Scalar; 3]> = SmallVec::new();
    for (o, &to) in operands.iter().zip(ins) {
        let v = match o {
            Operand::Array(a) => match a.known(s) {
                Some(v) => cast(v, to),
                None => return Ok(None),
            },
            Operand::Weak(w) => w.value(to)?,
            Operand::Typed(v) => cast(*v, to),
        };
        values.push(v);
    }
    let value = op.eval(&values);
    s.counters.eager_scalars += value.is_some() as u64;
    Ok(value)
}
