//! Reductions and accumulations, with NumPy's order of combining.

use legate_jit_ir::graph::{Order, Reduce, Reducer};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Scalar, Shape, Ufunc, View};
use smallvec::SmallVec;

mod order;
mod segments;

use order::{Combine, combine};
pub use segments::reduceat;

use crate::array::{Array, Operand, shapes::normalize_axis};
use crate::base::{State, Version};
use crate::layout::{Class, Layout};
use crate::pick::MANY;
use crate::session::lock;
use crate::trace::{Op, pack, unpack};
use crate::ufunc::{UfuncArgs, ufunc};
use crate::{Casting, Error, Result, WeakScalar};

/// The arguments of a reduction.
#[derive(Clone, Copy, Default)]
pub struct ReduceArgs<'a> {
    /// `None` reduces all axes.
    pub axes: Option<&'a [i64]>,
    pub keepdims: bool,
    pub dtype: Option<DType>,
    pub out: Option<&'a Array>,
    pub initial: Option<Operand<'a>>,
    pub where_: Option<&'a Array>,
}

/// The type in which NumPy reduces.
fn working_type(reducer: Reducer, d: DType) -> DType {
    match reducer {
        // Small integers are added up in the widest type of their kind.
        Reducer::Ufunc(Ufunc::Add | Ufunc::Multiply) => match d {
            DType::Bool | DType::I8 | DType::I16 | DType::I32 => DType::I64,
            DType::U8 | DType::U16 | DType::U32 => DType::U64,
            _ => d,
        },
        Reducer::Ufunc(Ufunc::LogicalAnd | Ufunc::LogicalOr | Ufunc::LogicalXor) => DType::Bool,
        Reducer::Ufunc(_) | Reducer::ArgMin | Reducer::ArgMax => d,
    }
}

/// `ufunc.reduce`, `argmin`, `argmax`.
pub fn reduce(reducer: Reducer, a: &Array, args: &ReduceArgs) -> Result<Array> {
    let ndim = a.ndim();
    let mut reduced: SmallVec<[bool; 4]> = SmallVec::from_elem(args.axes.is_none(), ndim);
    for &axis in args.axes.unwrap_or(&[]) {
        let axis = normalize_axis(axis, ndim)?;
        if reduced[axis] {
            return Err(Error::Value("duplicate value in 'axis'".into()));
        }
        reduced[axis] = true;
    }
    let dtype = args.dtype.unwrap_or_else(|| working_type(reducer, a.dtype()));
    let result_type = match reducer {
        Reducer::ArgMin | Reducer::ArgMax => DType::I64,
        Reducer::Ufunc(_) => dtype,
    };
    if !crate::tree::supported(reducer, dtype) {
        return Err(Error::Unsupported(format!("{} over {}", name(reducer), dtype.numpy_name())));
    }
    let plain = args.axes.is_none() && args.where_.is_none() && !args.keepdims && args.out.is_none();
    if plain
        && dtype == DType::Bool
        && let Some(answer) = answered(reducer, a, args)?
    {
        return Ok(answer);
    }
    let mut masked = None;
    if let Some(mask) = args.where_ {
        let neutral = match args.initial {
            Some(_) | None => neutral_of(reducer, dtype)?,
        };
        masked =
            Some(crate::where_(mask, Operand::Array(&a.astype(dtype, Casting::Unsafe)?), Operand::Typed(neutral))?);
    }
    let a = masked.as_ref().unwrap_or(a);
    let empty = a.shape().iter().zip(&reduced).any(|(&n, &r)| r && n == 0);
    if empty {
        check_empty(reducer, a, args)?;
    }
    let mut result = if reduced.iter().any(|&r| r) || ndim == 0 {
        record(reducer, a, &reduced, dtype, result_type)?
    } else {
        // No axis at all: each element is its own reduction.
        a.astype(result_type, Casting::Unsafe)?
    };
    if let Some(initial) = args.initial
        && let Reducer::Ufunc(op) = reducer
    {
        result = ufunc(op, &[initial, Operand::Array(&result)], &UfuncArgs::default())?;
    }
    if args.keepdims {
        for (d, &r) in reduced.iter().enumerate() {
            if r {
                result = result.expand_dims(d);
            }
        }
    }
    match args.out {
        Some(out) => {
            if out.shape() != result.shape() {
                return Err(Error::Value(format!(
                    "output parameter for reduction operation {} has the wrong shape",
                    name(reducer)
                )));
            }
            out.assign(Operand::Array(&result), Casting::SameKind)?;
            Ok(out.clone())
        }
        None => Ok(result.with_scalar(true)),
    }
}

/// Whether any or all elements of a mask are true, where that needs no mask in memory.
fn answered(reducer: Reducer, mask: &Array, args: &ReduceArgs) -> Result<Option<Array>> {
    let Reducer::Ufunc(op @ (Ufunc::LogicalOr | Ufunc::LogicalAnd)) = reducer else { return Ok(None) };
    if mask.dtype() != DType::Bool || mask.size() < MANY || args.initial.is_some() {
        return Ok(None);
    }
    let Some(n) = crate::pick::counted_again(mask)? else { return Ok(None) };
    let answer = if op == Ufunc::LogicalOr { n > 0 } else { n == mask.size() };
    Array::scalar(Scalar::bool(answer)).map(|a| Some(a.with_scalar(true)))
}

/// The reduction of all elements where it is known at once: a small array that is in memory.
pub fn reduce_all_now(reducer: Reducer, a: &Array) -> Option<Scalar> {
    let dtype = working_type(reducer, a.dtype());
    let result = if crate::tree::is_arg(reducer) { DType::I64 } else { dtype };
    if !crate::tree::supported(reducer, dtype) {
        return None;
    }
    lock().reduce_all_now(a, reducer, dtype, result)
}

fn name(reducer: Reducer) -> &'static str {
    match reducer {
        Reducer::Ufunc(u) => u.name(),
        Reducer::ArgMin => "argmin",
        Reducer::ArgMax => "argmax",
    }
}

fn neutral_of(reducer: Reducer, dtype: DType) -> Result<legate_jit_ir::Scalar> {
    let Reducer::Ufunc(op) = reducer else {
        return Err(Error::Unsupported("where= in argmin and argmax".into()));
    };
    let number = match op {
        Ufunc::Add | Ufunc::LogicalOr | Ufunc::BitwiseOr => 0,
        Ufunc::Multiply | Ufunc::LogicalAnd => 1,
        Ufunc::Minimum | Ufunc::Maximum | Ufunc::Fmin | Ufunc::Fmax => return Ok(extreme(op, dtype)),
        _ => {
            return Err(Error::Value(format!(
                "reduction operation '{}' does not have an identity, so to use a where mask one has to specify 'initial'",
                op.name()
            )));
        }
    };
    WeakScalar::Int(number).value(dtype)
}

/// The value that never wins.
fn extreme(op: Ufunc, dtype: DType) -> legate_jit_ir::Scalar {
    let high = matches!(op, Ufunc::Minimum | Ufunc::Fmin);
    if dtype.is_float() || dtype.is_complex() {
        let inf = if high { f64::INFINITY } else { f64::NEG_INFINITY };
        return legate_jit_ir::cast::cast(Scalar::f64(inf), dtype);
    }
    let bits = 8 * dtype.size() as u32;
    let (low, top) = match dtype.kind() {
        legate_jit_ir::dtype::Kind::Int => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        legate_jit_ir::dtype::Kind::Bool => (0, 1),
        _ => (0, (1i128 << bits) - 1),
    };
    Scalar::int(dtype, if high { top } else { low })
}

fn check_empty(reducer: Reducer, a: &Array, args: &ReduceArgs) -> Result<()> {
    if args.initial.is_some() || a.size() != 0 {
        return Ok(());
    }
    match reducer {
        Reducer::ArgMin | Reducer::ArgMax => {
            Err(Error::Value(format!("attempt to get {} of an empty sequence", name(reducer))))
        }
        Reducer::Ufunc(Ufunc::Minimum | Ufunc::Maximum | Ufunc::Fmin | Ufunc::Fmax) => {
            Err(Error::Value(format!("zero-size array to reduction operation {} which has no identity", name(reducer))))
        }
        Reducer::Ufunc(_) => Ok(()),
    }
}

/// Records the reduction over the marked axes, in the order in which NumPy's iterator would meet the elements.
fn record(reducer: Reducer, a: &Array, reduced: &[bool], dtype: DType, result_type: DType) -> Result<Array> {
    let positional = matches!(reducer, Reducer::ArgMin | Reducer::ArgMax);
    if a.layout.class == Class::Identity && (positional || a.dtype() == dtype) {
        return record_in_order(reducer, a, reduced, dtype, result_type, Order::Tree);
    }
    // Positions count in C order; values combine in the order of memory.
    let (seen, perm) = if positional { (a.clone(), (0..a.ndim() as u32).collect()) } else { a.in_memory_order() };
    let axes: SmallVec<[u32; 4]> =
        perm.iter().enumerate().filter(|(_, d)| reduced[**d as usize]).map(|(k, _)| k as u32).collect();
    let in_order: SmallVec<[bool; 4]> = perm.iter().map(|&d| reduced[d as usize]).collect();
    let order = match combine(reducer, &seen, &in_order, dtype) {
        Combine::InOneStep(order) => order,
        Combine::RowsFirst(n) => {
            let inner: SmallVec<[bool; 4]> = (0..a.ndim()).map(|k| k + n >= a.ndim() && in_order[k]).collect();
            let rows = record(reducer, &seen, &inner, dtype, result_type)?;
            let rest: SmallVec<[bool; 4]> = (0..a.ndim()).filter(|&k| !inner[k]).map(|k| in_order[k]).collect();
            let result = record_in_order(reducer, &rows, &rest, dtype, result_type, Order::Chunked(1))?;
            // Back from memory order: the kept axes in their own.
            let kept: SmallVec<[u32; 4]> = perm.iter().filter(|d| !reduced[**d as usize]).copied().collect();
            let mut back: SmallVec<[u32; 4]> = (0..kept.len() as u32).collect();
            back.sort_by_key(|&k| kept[k as usize]);
            return Ok(if crate::layout::is_sorted(&back) { result } else { result.permuted(&back) });
        }
    };
    let kept: SmallVec<[usize; 4]> = perm.iter().filter(|d| !reduced[**d as usize]).map(|&d| d as usize).collect();
    let shape: Shape = kept.iter().map(|&d| a.shape()[d]).collect();
    let mut s = lock();
    let s = &mut *s;
    let full = Layout::identity(&shape);
    let reduce = Reduce { reducer, axes, order };
    let version = match s.reduce_now(a, dtype, result_type, &reduce, pack(&perm))? {
        Some(store) => Version::new(State::Store(store), full.clone(), result_type),
        None => {
            let arg = s.arg(a, dtype)?;
            let op = s.trace.reduce(reduce);
            s.counters.recorded += 1;
            let input = a.layout.full();
            s.trace.push(op, result_type, &[arg], &input, pack(&perm), full.clone())
        }
    };
    // The kept axes lie in memory order; the handle shows them in the array's.
    let mut sorted = kept.clone();
    sorted.sort_unstable();
    let layout = if sorted == kept {
        full
    } else {
        let axes = kept
            .iter()
            .map(|d| AxisMap::along(0, sorted.iter().position(|s| s == d).expect("a kept axis"), 1))
            .collect();
        Layout::new(shape, View { shape: sorted.iter().map(|&d| a.shape()[d]).collect(), axes })
    };
    let out = Array::fresh(version, layout, result_type);
    s.after_record()?;
    Ok(out)
}

/// Records a reduction over the marked axes of an array as it is seen.
fn record_in_order(
    reducer: Reducer,
    a: &Array,
    reduced: &[bool],
    dtype: DType,
    result_type: DType,
    order: Order,
) -> Result<Array> {
    let axes = reduced.iter().enumerate().filter(|(_, r)| **r).map(|(k, _)| k as u32).collect();
    let shape: Shape = (0..a.ndim()).filter(|&d| !reduced[d]).map(|d| a.shape()[d]).collect();
    let full = Layout::identity(&shape);
    let mut s = lock();
    let s = &mut *s;
    let reduce = Reduce { reducer, axes, order };
    if let Some(store) = s.reduce_now(a, dtype, result_type, &reduce, 0)? {
        return Ok(Array::fresh(Version::new(State::Store(store), full.clone(), result_type), full, result_type));
    }
    let arg = s.arg(a, dtype)?;
    let op = s.trace.reduce(reduce);
    s.counters.recorded += 1;
    let version = s.trace.push(op, result_type, &[arg], &a.layout.full(), 0, full.clone());
    let out = Array::fresh(version, full, result_type);
    s.after_record()?;
    Ok(out)
}

/// `ufunc.accumulate` along an axis; `None` flattens first (cumsum, cumprod).
pub fn accumulate(op: Ufunc, a: &Array, axis: Option<i64>, dtype: Option<DType>) -> Result<Array> {
    let flat;
    let (a, axis) = match axis {
        Some(axis) => (a, normalize_axis(axis, a.ndim())?),
        None => {
            flat = a.ravel()?;
            (&flat, 0)
        }
    };
    let dtype = dtype.unwrap_or_else(|| working_type(Reducer::Ufunc(op), a.dtype()));
    let mut s = lock();
    // The result lies in memory as the argument does.
    let perm = s.k_perm(&[&a.layout], a.shape());
    if perm == 0
        && let Some(done) = s.scan_now(op, a, axis, dtype, &a.layout.full())?
    {
        return Ok(done);
    }
    let arg = s.arg(a, dtype)?;
    let place = unpack(perm, a.ndim()).iter().position(|&d| d as usize == axis).expect("a normalized axis");
    s.record(Op::Scan(op, place as u32), dtype, &[arg], &a.layout.full(), perm)
}

/// `np.mean`.
pub fn mean(a: &Array, args: &ReduceArgs) -> Result<Array> {
    let n = count(a, args)?;
    let sum = reduce(Reducer::Ufunc(Ufunc::Add), a, &ReduceArgs { dtype: float_type(a, args), out: None, ..*args })?;
    by_count(&sum, Scalar::i64(n as i64), args.out)
}

/// Integers are averaged as float64.
fn float_type(a: &Array, args: &ReduceArgs) -> Option<DType> {
    let integer = a.dtype().is_integer() || a.dtype() == DType::Bool;
    args.dtype.or(if integer { Some(DType::F64) } else { None })
}

/// NumPy's count is an int64, so a float32 is divided as float64 and converted back.
pub(crate) fn by_count(sum: &Array, n: Scalar, out: Option<&Array>) -> Result<Array> {
    let args = UfuncArgs { casting: Some(Casting::Unsafe), out, ..UfuncArgs::default() };
    let quotient = ufunc(Ufunc::Divide, &[Operand::Array(sum), Operand::Typed(n)], &args)?;
    if out.is_some() || quotient.dtype() == sum.dtype() {
        return Ok(quotient);
    }
    quotient.astype(sum.dtype(), Casting::Unsafe)
}

fn count(a: &Array, args: &ReduceArgs) -> Result<usize> {
    if args.where_.is_some() {
        return Err(Error::Unsupported("a mean of selected elements".into()));
    }
    match args.axes {
        None => Ok(a.size()),
        Some(axes) => axes.iter().try_fold(1, |n, &axis| Ok(n * a.shape()[normalize_axis(axis, a.ndim())?])),
    }
}

/// `np.var`, and `np.std` with `root`.
pub fn var(a: &Array, args: &ReduceArgs, ddof: f64, root: bool) -> Result<Array> {
    let n = count(a, args)?;
    let whole = ReduceArgs { keepdims: true, dtype: float_type(a, args), out: None, ..*args };
    let total = reduce(Reducer::Ufunc(Ufunc::Add), a, &whole)?;
    let center = by_count(&total, Scalar::i64(n as i64), None)?;
    let plain = UfuncArgs::default();
    let x = ufunc(Ufunc::Subtract, &[Operand::Array(a), Operand::Array(&center)], &plain)?;
    let x = if x.dtype().is_complex() {
        let conj = ufunc(Ufunc::Conjugate, &[Operand::Array(&x)], &plain)?;
        ufunc(Ufunc::Multiply, &[Operand::Array(&x), Operand::Array(&conj)], &plain)?.real()
    } else {
        ufunc(Ufunc::Multiply, &[Operand::Array(&x), Operand::Array(&x)], &plain)?
    };
    let total = reduce(Reducer::Ufunc(Ufunc::Add), &x, &ReduceArgs { dtype: None, out: None, ..*args })?;
    let rest = (n as f64 - ddof).max(0.0);
    let rest = if rest.fract() == 0.0 { Scalar::i64(rest as i64) } else { Scalar::f64(rest) };
    let v = by_count(&total, rest, if root { None } else { args.out })?;
    if !root {
        return Ok(v);
    }
    ufunc(Ufunc::Sqrt, &[Operand::Array(&v)], &UfuncArgs { out: args.out, casting: Some(Casting::Unsafe), ..plain })
}
