//! The commonest operations, done at once: arrays of one shape and type whose elements lie together, among themselves or with
//! a number of that type.
//!
//! There is nothing to settle then: the operation and the type name the loop, and the result has the operand's shape. What is
//! not of this kind goes on to the general way (`ufunc.rs`), which finds loop, shape and order and comes to
//! `Session::map_now`. For ten elements that takes twice as long as the whole call does here.
//!
//! A boundary file, as `inline.rs`.

use std::sync::OnceLock;

use legate_jit_ir::promote::{ArgType, int_out_of_bounds};
use legate_jit_ir::ufunc::resolve::Signature;
use legate_jit_ir::{DType, Scalar, Ufunc};

use super::{at_rest, made, run, takes};
use crate::array::{Array, Operand};
use crate::promote::WeakScalar;
use crate::session::Session;
use crate::shared::Shared;
use crate::vm::{Operation, operation};
use crate::{Result, Store};

/// What runs an operation on arguments of one type.
#[derive(Clone, Copy)]
struct Known {
    operation: Operation,
    out: DType,
    /// Nanoseconds for an element of arrays that the second-level cache holds, about.
    each: f32,
}

#[inline(always)]
fn known(op: Ufunc, dtype: DType) -> Option<&'static Known> {
    static ALL: [[OnceLock<Option<Known>>; DType::ALL.len()]; Ufunc::ALL.len()] =
        [const { [const { OnceLock::new() }; DType::ALL.len()] }; Ufunc::ALL.len()];
    ALL[op as usize][dtype as usize].get_or_init(|| find(op, dtype)).as_ref()
}

/// Finds what is asked for most, so that the first calls need not.
pub(crate) fn find_some() {
    for op in Ufunc::ALL {
        for dtype in [DType::F64, DType::F32, DType::I64, DType::Bool] {
            known(*op, dtype);
        }
    }
}

#[cold]
fn find(op: Ufunc, dtype: DType) -> Option<Known> {
    // (NumPy looks at the exponents of integers before it computes.)
    if op.nin() > 2 || op == Ufunc::Power {
        return None;
    }
    let types = &[ArgType::strong(dtype); 2][..op.nin()];
    let l = op.resolve(types).ok()?;
    if l.ins().iter().any(|t| *t != dtype) {
        return None;
    }
    let bytes = op.nin() * dtype.size() + l.out.size();
    let each = (bytes as f32 * 0.006).max(legate_jit_passes::cost::work(op, dtype) as f32 * 0.06);
    Some(Known { operation: operation(op, l.ins())?, out: l.out, each })
}

/// Nanoseconds for an element, about, of an operation on arguments of one type.
#[inline]
pub(crate) fn each(op: Ufunc, l: &Signature) -> Option<f32> {
    known(op, *l.ins().first()?).filter(|known| known.out == l.out).map(|known| known.each)
}

/// A number as an element beside an array of this type; `None` where the two would meet in another type, or are out of bounds.
#[inline(always)]
fn element(x: &Operand, dtype: DType) -> Option<[u64; 2]> {
    match *x {
        Operand::Typed(v) if v.dtype == dtype => Some(v.bits),
        Operand::Weak(WeakScalar::Float(v)) if dtype == DType::F64 => Some(Scalar::f64(v).bits),
        Operand::Weak(w) => beside(w, dtype),
        Operand::Typed(_) | Operand::Array(_) => None,
    }
}

#[inline(never)]
fn beside(w: WeakScalar, dtype: DType) -> Option<[u64; 2]> {
    let stays = match w {
        WeakScalar::Int(v) if dtype.is_integer() => int_out_of_bounds(v, dtype).is_none(),
        WeakScalar::Int(_) | WeakScalar::Float(_) => dtype.is_float() || dtype.is_complex(),
        WeakScalar::Complex(..) => dtype.is_complex(),
    };
    if stays { Some(w.value(dtype).ok()?.bits) } else { None }
}

/// The result, or `None` where the general way has to be gone.
#[inline]
pub(crate) fn alike_now(s: &mut Session, op: Ufunc, operands: &[Operand]) -> Result<Option<Array>> {
    if !s.inline.is_on() {
        return Ok(None);
    }
    let mut number = [0; 2];
    let (a, b, single) = match operands {
        [Operand::Array(a)] => (*a, None, [false; 3]),
        [Operand::Array(a), Operand::Array(b)] => {
            let alike = a.dtype == b.dtype
                && (Shared::ptr_eq(&a.layout, &b.layout) || b.layout.c_contiguous && a.shape() == b.shape());
            if !alike {
                return Ok(None);
            }
            (*a, Some(*b), [false; 3])
        }
        [Operand::Array(a), x] | [x, Operand::Array(a)] => {
            let Some(bits) = element(x, a.dtype) else { return Ok(None) };
            number = bits;
            let first = matches!(operands[1], Operand::Array(_));
            (*a, None, [first, !first, false])
        }
        _ => return Ok(None),
    };
    let n = a.size();
    if !a.layout.c_contiguous || a.ndim() == 0 {
        return Ok(None);
    }
    let small = s.inline.allows(n);
    if !small && !s.inline.is_by_itself(n) {
        return Ok(None);
    }
    let Some(known) = known(op, a.dtype) else { return Ok(None) };
    if !small && !s.inline.is_short(n, known.each) {
        return Ok(None);
    }
    if !takes(known.operation, &single, operands.len(), n) {
        return Ok(None);
    }
    let Some(p) = at_rest(s, a) else { return Ok(None) };
    let number: *const u8 = number.as_ptr().cast();
    let from = match (b, single) {
        (Some(b), _) => {
            let Some(q) = at_rest(s, b) else { return Ok(None) };
            [p.cast_const(), q, std::ptr::null()]
        }
        (None, [true, ..]) => [number, p, std::ptr::null()],
        (None, _) => [p, number, std::ptr::null()],
    };
    s.inline.count();
    let store = Store::alloc(n * known.out.size())?;
    // SAFETY: each operand is n elements, or one where `single` says so; the memory is new and has room for n results.
    unsafe { run(known.operation, &from, &single, store.raw_ptr(), n) };
    s.counters.inline += 1;
    Ok(Some(made(store, known.out, &a.layout.full(), 0)))
}
