//! Elementwise operations: types, shapes and errors are settled here as NumPy settles them, then a record is made.

use legate_jit_ir::{DType, Scalar, Shape, Ufunc};
use smallvec::SmallVec;

use crate::array::{Array, Operand};
use crate::backwards::rounds_each_product;
use crate::error::shape_text;
use crate::inline::{alike_now, made};
use crate::layout::Layout;
use crate::promote::WeakScalar;
use crate::session::{Session, lock};
use crate::shared::Shared;
use crate::trace::{Arg, Op, Trace};
use crate::{Casting, Error, Result};
use legate_jit_ir::cast::cast;
use legate_jit_ir::dtype::Kind;
use legate_jit_ir::graph::Reducer;
use legate_jit_ir::promote::{ArgType, can_cast, int_out_of_bounds};
use legate_jit_ir::ufunc::resolve::Signature;

/// The keyword arguments of a ufunc.
#[derive(Clone, Copy, Default)]
pub struct UfuncArgs<'a> {
    pub out: Option<&'a Array>,
    /// Where false, `out` keeps its element (without `out`: zero).
    pub where_: Option<&'a Array>,
    /// The type to compute in.
    pub dtype: Option<DType>,
    /// Default `same_kind`.
    pub casting: Option<Casting>,
}

/// `np.<op>(operands…)`.
pub fn ufunc(op: Ufunc, operands: &[Operand], args: &UfuncArgs) -> Result<Array> {
    debug_assert_eq!(operands.len(), op.nin());
    if op == Ufunc::Power {
        check_integer_power(operands, signature(op, operands)?)?;
    }
    if rounds_each_product(op, operands, args.out, args.where_.is_some()) {
        return Err(Error::Unsupported("complex64 products of what lies backwards".into()));
    }
    let plain = args.out.is_none() && args.where_.is_none() && args.dtype.is_none() && args.casting.is_none();
    let mut s = lock();
    if plain && let Some(done) = alike_now(&mut s, op, operands)? {
        return Ok(done);
    }
    let mut types = [ArgType::strong(DType::Bool); 3];
    let mut weak_int = false;
    for (t, o) in types.iter_mut().zip(operands) {
        *t = o.arg_type();
        weak_int |= matches!(o, Operand::Weak(WeakScalar::Int(_)));
    }
    let types = &types[..operands.len()];
    if !plain || weak_int {
        return general(&mut s, op, operands, types, args);
    }
    let l = resolve(op, types)?;
    let full = common_shape(operands, None, None)?;
    if full.ndim() == 0 {
        if let Some(value) = crate::scalar_eval::evaluate(&mut s, op, operands, l.ins())? {
            drop(s);
            return Ok(Array::scalar(value)?.with_scalar(true));
        }
        return Ok(record(&mut s, op, operands, l, &full)?.with_scalar(true));
    }
    record(&mut s, op, operands, l, &full)
}

/// `np.<op>(operands…, out=out)` in the form that has nothing to look up: results of the shape and type of `out`, all in
/// memory. False where [`ufunc`] has to do it.
#[inline]
pub fn into_now(op: Ufunc, operands: &[Operand], out: &Array) -> Result<bool> {
    if !out.writable()
        || op == Ufunc::Power
        || operands.len() > 2
        || rounds_each_product(op, operands, Some(out), false)
    {
        return Ok(false);
    }
    let mut types = [ArgType::strong(DType::Bool); 2];
    for (t, o) in types.iter_mut().zip(operands) {
        *t = match o {
            Operand::Array(a) if Shared::ptr_eq(&a.layout, &out.layout) => a.dtype.into(),
            Operand::Array(a) if a.shape() == out.shape() || a.ndim() == 0 => a.dtype.into(),
            Operand::Array(_) => return Ok(false),
            Operand::Typed(v) => v.dtype.into(),
            Operand::Weak(w) => w.arg_type(),
        };
    }
    let l = resolve(op, &types[..operands.len()])?;
    // (A comparison has an answer for numbers that the operands' type does not hold.)
    let any_number = |o: &Operand| matches!(o, Operand::Weak(_));
    if l.out != out.dtype || l.out == DType::Bool && operands.iter().any(any_number) {
        return Ok(false);
    }
    lock().map_into(op, operands, l, out)
}

/// The loop that NumPy chooses for these operands.
pub(crate) fn signature(op: Ufunc, operands: &[Operand]) -> Result<&'static Signature> {
    let types: SmallVec<[ArgType; 3]> = operands.iter().map(Operand::arg_type).collect();
    resolve(op, &types)
}

/// Records an operation whose loop and shape are settled.
#[inline]
fn record(s: &mut Session, op: Ufunc, operands: &[Operand], l: &Signature, full: &Shared<Layout>) -> Result<Array> {
    let ordered = operands.iter().all(|o| if let Operand::Array(a) = o { a.layout.c_ordered } else { true });
    let perm = if ordered { 0 } else { order_of(s, operands, full) };
    if let Some(store) = s.map_now(op, operands, l, full, perm)? {
        return Ok(made(store, l.out, full, perm));
    }
    let mut recorded = [Arg::NONE; 3];
    for (k, ((arg, o), &to)) in recorded.iter_mut().zip(operands).zip(l.ins()).enumerate() {
        *arg = match Op::Map(op).has_exponent(k) {
            true => s.operand_by(o, to, Trace::exponent)?,
            false => s.operand(o, to)?,
        };
    }
    s.record(Op::Map(op), l.out, &recorded[..operands.len()], full, perm)
}

#[cold]
fn order_of(s: &Session, operands: &[Operand], full: &Shared<Layout>) -> crate::trace::PackedPerm {
    let layouts: SmallVec<[&Shared<Layout>; 3]> = operands.iter().filter_map(|o| Some(&o.array()?.layout)).collect();
    s.k_perm(&layouts, full.shape())
}

/// With everything that a call can have.
fn general(s: &mut Session, op: Ufunc, operands: &[Operand], types: &[ArgType], args: &UfuncArgs) -> Result<Array> {
    let casting = args.casting.unwrap_or(Casting::SameKind);
    let l = match args.dtype {
        None => resolve(op, types)?,
        // What answers yes or no has no other type, whatever it is asked of.
        Some(DType::Bool) if is_question(op, types.len()) => resolve(op, types)?,
        Some(_) if is_question(op, types.len()) => return Err(no_loop(op)),
        Some(d) => loop_in(op, d, types.len())?,
    };
    if args.dtype.is_some() || args.casting.is_some() {
        for (i, (t, &to)) in types.iter().zip(l.ins()).enumerate() {
            if !t.weak && !can_cast(t.dtype, to, casting) {
                let nth = if types.len() > 1 { format!(" {i}") } else { String::new() };
                return Err(Error::UfuncType(format!(
                    "Cannot cast ufunc '{}' input{nth} from dtype('{}') to dtype('{}') with casting rule '{}'",
                    op.name(),
                    t.dtype.numpy_name(),
                    to.numpy_name(),
                    casting.name()
                )));
            }
        }
    }
    if let Some(constant) = beyond(op, operands, l.ins(), args)? {
        return constant_result(s, operands, constant);
    }
    let full = common_shape(operands, args.out, args.where_)?;
    if let Some(out) = args.out {
        check_out(op, operands, out, full.shape(), l.out, casting)?;
    }
    // Where every operand is a known number there is nothing to record.
    if full.ndim() == 0
        && args.out.is_none()
        && args.where_.is_none()
        && let Some(value) = crate::scalar_eval::evaluate(s, op, operands, l.ins())?
    {
        return Ok(Array::scalar(value)?.with_scalar(true));
    }
    // What is only written somewhere is computed there.
    if let (Some(out), None) = (args.out, args.where_)
        && out.shape() == full.shape()
        && s.map_into(op, operands, l, out)?
    {
        return Ok(out.clone());
    }
    s.more_comes = args.out.is_some() || args.where_.is_some();
    let recorded = record(s, op, operands, l, &full);
    s.more_comes = false;
    let mut result = recorded?;
    if let Some(mask) = args.where_ {
        if mask.dtype() != DType::Bool {
            return Err(Error::Type(format!(
                "Cannot cast array data from dtype('{}') to dtype('bool') according to the rule 'safe'",
                mask.dtype().numpy_name()
            )));
        }
        let old = match args.out {
            Some(out) => Operand::Array(out),
            None => Operand::Typed(Scalar { dtype: l.out, bits: [0; 2] }),
        };
        let d = args.out.map_or(l.out, |o| o.dtype());
        let picked = [s.operand(&Operand::Array(mask), DType::Bool)?, s.arg(&result, d)?, s.operand(&old, d)?];
        result = s.record(Op::Map(Ufunc::Where), d, &picked, &full, 0)?;
    }
    match args.out {
        Some(out) => {
            s.write_array(out, &result)?;
            Ok(out.clone())
        }
        None => Ok(result.with_scalar(true)),
    }
}

impl Session {
    /// An operand as an argument of the type the operation works in. A 0-d array whose value is known is a scalar.
    #[inline(always)]
    pub(crate) fn operand(&mut self, o: &Operand, to: DType) -> Result<Arg> {
        self.operand_by(o, to, Trace::scalar)
    }

    /// The same; `number` makes an argument of a number.
    #[inline(always)]
    fn operand_by(&mut self, o: &Operand, to: DType, number: impl Fn(&mut Trace, Scalar) -> Arg) -> Result<Arg> {
        let value = match o {
            Operand::Array(a) => match if a.ndim() == 0 { a.known(self) } else { None } {
                Some(v) => cast(v, to),
                None => return self.arg(a, to),
            },
            Operand::Weak(w) => w.value(to)?,
            Operand::Typed(v) => cast(*v, to),
        };
        Ok(number(&mut self.trace, value))
    }
}

/// The loop NumPy chooses, or its TypeError.
#[inline]
pub(crate) fn resolve(op: Ufunc, types: &[ArgType]) -> Result<&'static Signature> {
    op.resolve(types).map_err(|e| match e {
        legate_jit_ir::Error::Type(m) => Error::UfuncType(m),
        other => other.into(),
    })
}

/// The loop for `dtype=…`, which names the result's type.
fn loop_in(op: Ufunc, dtype: DType, n: usize) -> Result<&'static Signature> {
    let l = resolve(op, &vec![dtype.into(); n])?;
    if l.out == dtype || l.ins()[0] == dtype {
        return Ok(l);
    }
    Err(no_loop(op))
}

/// Whether its results are truth values, whatever its operands are.
fn is_question(op: Ufunc, n: usize) -> bool {
    resolve(op, &vec![DType::F64.into(); n]).is_ok_and(|l| l.out == DType::Bool)
}

#[cold]
fn no_loop(op: Ufunc) -> Error {
    let words = "No loop matching the specified signature and casting was found for ufunc";
    Error::Type(format!("{words} {}", op.name()))
}

/// A comparison with a Python integer that the array's type cannot hold has the same answer everywhere.
fn beyond(op: Ufunc, operands: &[Operand], ins: &[DType], args: &UfuncArgs) -> Result<Option<bool>> {
    use Ufunc::*;
    if !matches!(op, Greater | GreaterEqual | Less | LessEqual | Equal | NotEqual)
        || args.out.is_some()
        || args.where_.is_some()
    {
        return Ok(None);
    }
    // (Beside truth values NumPy makes a 64-bit integer of it, or says that there is none.)
    let truth = |o: &Operand| match o {
        Operand::Array(a) => a.dtype == DType::Bool,
        Operand::Typed(v) => v.dtype == DType::Bool,
        Operand::Weak(_) => false,
    };
    for (i, o) in operands.iter().enumerate() {
        if let Operand::Weak(WeakScalar::Int(v)) = o
            && ins[i].is_integer()
            && !operands.iter().any(truth)
            && int_out_of_bounds(*v, ins[i]).is_some()
        {
            // The weak operand is above (or below) every value of the type.
            let above = *v > 0;
            let second = i == 1;
            return Ok(Some(match op {
                Equal => false,
                NotEqual => true,
                Less | LessEqual => above == second,
                _ => above != second,
            }));
        }
    }
    Ok(None)
}

fn constant_result(s: &mut Session, operands: &[Operand], value: bool) -> Result<Array> {
    let full = common_shape(operands, None, None)?;
    let arg = s.trace.scalar(Scalar::bool(value));
    Ok(s.record(Op::Copy, DType::Bool, &[arg], &full, 0)?.with_scalar(true))
}

/// NumPy looks at integer exponents before it computes; an array of them is computed for that.
fn check_integer_power(operands: &[Operand], l: &Signature) -> Result<()> {
    if !l.out.is_integer() {
        return Ok(());
    }
    let negative = match operands[1] {
        Operand::Weak(WeakScalar::Int(v)) => v < 0,
        Operand::Typed(v) => v.as_i128() < 0,
        Operand::Array(a) if a.dtype.kind() == Kind::Int => {
            let zero = Operand::Weak(WeakScalar::Int(0));
            let below = ufunc(Ufunc::Less, &[Operand::Array(a), zero], &UfuncArgs::default())?;
            let any =
                crate::reduce::reduce(Reducer::Ufunc(Ufunc::LogicalOr), &below, &crate::reduce::ReduceArgs::default())?;
            any.item(0)?.bits[0] != 0
        }
        Operand::Weak(_) | Operand::Array(_) => false,
    };
    if negative {
        return Err(Error::Value("Integers to negative integer powers are not allowed.".into()));
    }
    Ok(())
}

/// The identity layout of the operands' broadcast shape.
#[inline]
fn common_shape(operands: &[Operand], out: Option<&Array>, mask: Option<&Array>) -> Result<Shared<Layout>> {
    let mut full: Option<&Shared<Layout>> = None;
    let arrays = operands.iter().filter_map(Operand::array);
    for a in arrays.chain(mask) {
        match full {
            None => full = Some(&a.layout),
            Some(l) if Shared::ptr_eq(l, &a.layout) || l.shape() == a.shape() || a.ndim() == 0 => {}
            Some(l) if l.ndim() == 0 => full = Some(&a.layout),
            Some(_) => return wider_shape(operands, out, mask),
        }
    }
    Ok(full.map_or_else(|| Layout::identity(&[]), |l| l.full()))
}

fn wider_shape(operands: &[Operand], out: Option<&Array>, mask: Option<&Array>) -> Result<Shared<Layout>> {
    let mut shape = Shape::new();
    let arrays = operands.iter().filter_map(Operand::array);
    for a in arrays.chain(mask) {
        match legate_jit_ir::shape::broadcast(&shape, a.shape()) {
            Some(wider) => shape = wider,
            None => {
                let all: Vec<String> = operands
                    .iter()
                    .map(|o| match o {
                        Operand::Array(a) => shape_text(a.shape(), ","),
                        Operand::Weak(_) | Operand::Typed(_) => "()".into(),
                    })
                    .chain(out.map(|o| shape_text(o.shape(), ",")))
                    .chain(mask.map(|m| shape_text(m.shape(), ",")))
                    .collect();
                return Err(Error::Value(format!(
                    "operands could not be broadcast together with shapes {} ",
                    all.join(" ")
                )));
            }
        }
    }
    Ok(Layout::identity(&shape))
}

fn check_out(
    op: Ufunc,
    operands: &[Operand],
    out: &Array,
    shape: &[usize],
    result: DType,
    casting: Casting,
) -> Result<()> {
    if !out.writable() {
        return Err(Error::Value("output array is read-only".into()));
    }
    if !can_cast(result, out.dtype(), casting) {
        return Err(Error::UfuncType(format!(
            "Cannot cast ufunc '{}' output from dtype('{}') to dtype('{}') with casting rule '{}'",
            op.name(),
            result.numpy_name(),
            out.dtype().numpy_name(),
            casting.name()
        )));
    }
    if *shape == *out.shape() {
        return Ok(());
    }
    match legate_jit_ir::shape::broadcast(shape, out.shape()) {
        Some(wide) if wide[..] == *out.shape() => Ok(()),
        Some(wide) => Err(Error::Value(format!(
            "non-broadcastable output operand with shape {} doesn't match the broadcast shape {}",
            shape_text(out.shape(), ","),
            shape_text(&wide, ",")
        ))),
        None => {
            let all: Vec<String> = operands
                .iter()
                .map(|o| match o {
                    Operand::Array(a) => shape_text(a.shape(), ","),
                    Operand::Weak(_) | Operand::Typed(_) => "()".into(),
                })
                .chain([shape_text(out.shape(), ",")])
                .collect();
            Err(Error::Value(format!("operands could not be broadcast together with shapes {} ", all.join(" "))))
        }
    }
}

/// `a ** b` as the operator does it: a Python number that names a simpler operation records that one.
pub fn power(a: Operand, b: Operand, out: Option<&Array>) -> Result<Array> {
    let base = match a {
        Operand::Array(x) => Some(x.dtype()),
        Operand::Typed(v) => Some(v.dtype),
        Operand::Weak(_) => None,
    };
    let exponent = match b {
        Operand::Weak(WeakScalar::Int(v)) => Some(v as f64),
        Operand::Weak(WeakScalar::Float(v)) => Some(v),
        _ => None,
    };
    let args = UfuncArgs { out, ..UfuncArgs::default() };
    if let (Some(d), Some(e)) = (base, exponent) {
        let inexact = d.is_float() || d.is_complex();
        let fast = if e == 2.0 && (inexact || d.is_integer() && matches!(b, Operand::Weak(WeakScalar::Int(_)))) {
            Some(Ufunc::Square)
        } else if !inexact {
            None
        } else if e == 1.0 {
            Some(Ufunc::Positive)
        } else if e == 0.5 {
            Some(Ufunc::Sqrt)
        } else if e == -1.0 {
            Some(Ufunc::Reciprocal)
        } else {
            None
        };
        if let Some(op) = fast {
            return ufunc(op, &[a], &args);
        }
    }
    ufunc(Ufunc::Power, &[a, b], &args)
}

/// `np.where(mask, a, b)`.
pub fn where_(mask: &Array, a: Operand, b: Operand) -> Result<Array> {
    if mask.dtype() == DType::Bool {
        return ufunc(Ufunc::Where, &[Operand::Array(mask), a, b], &UfuncArgs::default());
    }
    let zero = Operand::Typed(Scalar { dtype: mask.dtype(), bits: [0; 2] });
    let mask = ufunc(Ufunc::NotEqual, &[Operand::Array(mask), zero], &UfuncArgs::default())?;
    ufunc(Ufunc::Where, &[Operand::Array(&mask), a, b], &UfuncArgs::default())
}

/// `where(mask, value, old)` in the type of `old`.
pub(crate) fn select(s: &mut Session, mask: &Array, value: Operand, old: &Array) -> Result<Array> {
    let (full, perm) = (old.layout.full(), s.k_perm(&[&old.layout], old.shape()));
    let l = Signature::new(&[DType::Bool, old.dtype(), old.dtype()], old.dtype());
    let operands = [Operand::Array(mask), value, Operand::Array(old)];
    if let Some(store) = s.map_now(Ufunc::Where, &operands, &l, &full, perm)? {
        return Ok(made(store, l.out, &full, perm));
    }
    let args =
        [s.operand(&Operand::Array(mask), DType::Bool)?, s.operand(&value, old.dtype())?, s.arg(old, old.dtype())?];
    s.record(Op::Map(Ufunc::Where), old.dtype(), &args, &full, perm)
}
