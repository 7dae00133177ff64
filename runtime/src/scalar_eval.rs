//! Arithmetic on known numbers: no record, no plan.

use legate_jit_ir::{Scalar, Ufunc};
use smallvec::SmallVec;

use crate::Result;
use crate::array::Operand;
use crate::promote::{Loop, cast, weak_value};
use crate::session::Session;

/// The operation's value where all operands are known 0-d values.
pub(crate) fn evaluate(s: &mut Session, op: Ufunc, operands: &[Operand], l: &Loop) -> Result<Option<Scalar>> {
    let mut values: SmallVec<[Scalar; 3]> = SmallVec::new();
    for (o, &to) in operands.iter().zip(&l.args) {
        let v = match o {
            Operand::Array(a) => match a.known(s) {
                Some(v) => cast(v, to),
                None => return Ok(None),
            },
            Operand::Weak(w) => weak_value(*w, to)?,
            Operand::Typed(v) => cast(*v, to),
        };
        values.push(v);
    }
    let value = apply(op, &values, l);
    s.counters.eager_scalars += value.is_some() as u64;
    Ok(value)
}

/// One element, by the table's meaning.
fn apply(_op: Ufunc, _args: &[Scalar], _l: &Loop) -> Option<Scalar> {
    None
}
