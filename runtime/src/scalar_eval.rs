//! Arithmetic on known numbers: no record, no plan.

use legate_jit_ir::cast::cast;
use legate_jit_ir::promote::ArgType;
use legate_jit_ir::{DType, Scalar, Ufunc};
use smallvec::SmallVec;

use crate::Result;
use crate::array::Operand;
use crate::promote::WeakScalar;
use crate::session::{Session, lock};

/// What is known of an operation on numbers.
pub enum Known {
    Value(Scalar),
    /// NumPy's own scalars might warn (an overflow, a division by zero).
    Warns,
    /// An operand is not computed yet, or the operation has no value here.
    Pending,
}

/// `op` of operands without axes, where all of them are known. Records nothing. A comparison makes them known.
pub fn known(op: Ufunc, operands: &[Operand]) -> Result<Known> {
    if let [x, y] = operands {
        let s = lock();
        let both = f64_of(&s, x).zip(f64_of(&s, y));
        drop(s);
        if let Some((x, y)) = both
            && let Some(value) = op.eval(&[Scalar::f64(x), Scalar::f64(y)])
            && (value.dtype == DType::Bool || value.dtype == DType::F64 && value.as_f64().is_finite())
        {
            return Ok(Known::Value(value));
        }
    }
    let one = match operands {
        [Operand::Weak(WeakScalar::Float(x))] => Some(*x),
        [Operand::Typed(x)] if x.dtype == DType::F64 => Some(f64::from_bits(x.bits[0])),
        _ => None,
    };
    if let Some(x) = one
        && let Some(value) = op.eval(&[Scalar::f64(x)])
        && (value.dtype == DType::Bool || value.dtype == DType::F64 && value.as_f64().is_finite())
    {
        return Ok(Known::Value(value));
    }
    known_generally(op, operands)
}

/// Whether somebody is about to ask which way it is (`while change > tolerance`). Computing the operands then saves recording
/// the comparison, and the rounds of a loop look the same whether the loop has asked for the number before or not.
pub fn asks(op: Ufunc) -> bool {
    matches!(op, Ufunc::Less | Ufunc::LessEqual | Ufunc::Greater | Ufunc::GreaterEqual | Ufunc::Equal | Ufunc::NotEqual)
}

/// The commonest numbers: f64, and Python's floats, which are f64 among themselves and beside it.
#[inline(always)]
fn f64_of(s: &Session, x: &Operand) -> Option<f64> {
    match x {
        Operand::Array(a) if a.dtype == DType::F64 => a.known(s).map(|v| f64::from_bits(v.bits[0])),
        Operand::Typed(v) if v.dtype == DType::F64 => Some(f64::from_bits(v.bits[0])),
        Operand::Weak(WeakScalar::Float(v)) => Some(*v),
        Operand::Array(_) | Operand::Typed(_) | Operand::Weak(_) => None,
    }
}

fn known_generally(op: Ufunc, operands: &[Operand]) -> Result<Known> {
    let mut types = [ArgType::strong(DType::Bool); 3];
    for (t, o) in types.iter_mut().zip(operands) {
        *t = o.arg_type();
    }
    let types = &types[..operands.len()];
    let signature = crate::ufunc::resolve(op, types)?;
    let mut values = [Scalar::bool(false); 3];
    {
        let mut s = None;
        for ((v, o), &to) in values.iter_mut().zip(operands).zip(signature.ins()) {
            *v = match o {
                Operand::Array(a) => match a.known(s.get_or_insert_with(lock)) {
                    Some(v) => cast(v, to),
                    None => return Ok(Known::Pending),
                },
                // NumPy has more to say about integers that do not fit.
                Operand::Weak(w @ WeakScalar::Int(_)) => match w.value(to) {
                    Ok(v) => v,
                    Err(_) => return Ok(Known::Pending),
                },
                Operand::Weak(w) => w.value(to)?,
                Operand::Typed(v) => cast(*v, to),
            };
        }
    }
    let values = &values[..operands.len()];
    let Some(value) = op.eval(values) else { return Ok(Known::Pending) };
    Ok(if may_warn(op, values, value) { Known::Warns } else { Known::Value(value) })
}

fn may_warn(op: Ufunc, values: &[Scalar], value: Scalar) -> bool {
    let d = value.dtype;
    if d.is_float() {
        return !value.as_f64().is_finite();
    }
    if d.is_complex() {
        let (re, im) = value.as_c128();
        return !(re.is_finite() && im.is_finite());
    }
    if d.is_integer() {
        let whole = |i: usize| values[i].as_i128();
        return match op {
            Ufunc::Add => whole(0) + whole(1) != value.as_i128(),
            Ufunc::Subtract => whole(0) - whole(1) != value.as_i128(),
            Ufunc::Multiply => whole(0).checked_mul(whole(1)) != Some(value.as_i128()),
            Ufunc::FloorDivide | Ufunc::Remainder | Ufunc::Fmod => whole(1) == 0 || whole(1) == -1,
            Ufunc::Power => true,
            Ufunc::Negative | Ufunc::Absolute => {
                values[0] == value && whole(0) != 0 && (op == Ufunc::Negative || whole(0) < 0)
            }
            _ => false,
        };
    }
    // A comparison with NaN is silent.
    false
}

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
