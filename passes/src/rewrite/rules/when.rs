//! The conditions of rules: questions about the types, constants and attributes of classes.

use egg::Id;
use legate_jit_ir::dtype::Kind;
use legate_jit_ir::graph::{Reduce, Reducer};
use legate_jit_ir::{DType, Scalar, Ufunc, View};

use crate::relate;
use crate::rewrite::analysis::EGraph;
use crate::rewrite::language::Leaf;

pub fn dtype(g: &EGraph, x: Id) -> Option<DType> {
    g[x].data.ty().map(|t| t.dtype)
}

pub fn view(g: &EGraph, v: Id) -> Option<&View> {
    match g[v].data.attribute()? {
        Leaf::View(view) => Some(view),
        _ => None,
    }
}

pub fn reduction(g: &EGraph, r: Id) -> Option<&Reduce> {
    match g[r].data.attribute()? {
        Leaf::Reduce(reduce) => Some(reduce),
        _ => None,
    }
}

pub fn integer(g: &EGraph, x: Id) -> bool {
    dtype(g, x).is_some_and(DType::is_integer)
}

pub fn boolean(g: &EGraph, x: Id) -> bool {
    dtype(g, x) == Some(DType::Bool)
}

/// An integer or a bool: no NaN, no rounding.
pub fn discrete(g: &EGraph, x: Id) -> bool {
    dtype(g, x).is_some_and(|d| d.is_integer() || d == DType::Bool)
}

pub fn float(g: &EGraph, x: Id) -> bool {
    dtype(g, x).is_some_and(DType::is_float)
}

/// A real type with negative numbers.
pub fn signed(g: &EGraph, x: Id) -> bool {
    dtype(g, x).is_some_and(|d| matches!(d.kind(), Kind::Int | Kind::Float))
}

/// A type without negative numbers.
pub fn unsigned(g: &EGraph, x: Id) -> bool {
    dtype(g, x).is_some_and(|d| matches!(d.kind(), Kind::UInt | Kind::Bool))
}

/// Float or complex.
pub fn inexact(g: &EGraph, x: Id) -> bool {
    dtype(g, x).is_some_and(|d| d.is_float() || d.is_complex())
}

/// Anything but complex.
pub fn real(g: &EGraph, x: Id) -> bool {
    dtype(g, x).is_some_and(|d| !d.is_complex())
}

fn constant(g: &EGraph, c: Id) -> Option<Scalar> {
    g[c].data.constant()
}

pub fn known(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some()
}

pub fn one(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some_and(|s| s.as_c128() == (1.0, 0.0))
}

pub fn two(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some_and(|s| s.as_c128() == (2.0, 0.0))
}

pub fn half(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some_and(|s| s.as_c128() == (0.5, 0.0))
}

pub fn three(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some_and(|s| s.as_c128() == (3.0, 0.0))
}

/// The value −1, in every type that has it.
pub fn minus_one(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some_and(|s| s.as_c128() == (-1.0, 0.0))
}

/// A zero of either sign.
pub fn zero(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some_and(|s| s.as_c128() == (0.0, 0.0))
}

/// The zero that `x + c` leaves x alone for: −0.0, in both parts of a complex number; 0 of the other types.
pub fn zero_to_add(g: &EGraph, c: Id) -> bool {
    let negative = |v: f64| v == 0.0 && v.is_sign_negative();
    constant(g, c).is_some_and(|s| match s.dtype {
        DType::F32 | DType::F64 => negative(s.as_f64()),
        DType::C64 | DType::C128 => negative(s.as_c128().0) && negative(s.as_c128().1),
        _ => s.as_i128() == 0,
    })
}

/// The zero that `x - c` leaves x alone for: +0.0.
pub fn zero_to_subtract(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some_and(|s| s.bits == [0, 0])
}

/// All bits are set (true, of bools).
pub fn all_ones(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some_and(|s| {
        s.dtype == DType::Bool && s.bits[0] == 1 || s.dtype.is_integer() && s == Scalar::int(s.dtype, -1)
    })
}

pub fn is_true(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some_and(|s| s == Scalar::bool(true))
}

pub fn is_false(g: &EGraph, c: Id) -> bool {
    constant(g, c).is_some_and(|s| s == Scalar::bool(false))
}

/// The view is the whole of x.
pub fn whole(g: &EGraph, x: Id, v: Id) -> bool {
    matches!((g[x].data.ty(), view(g, v)), (Some(ty), Some(v)) if relate::is_whole(v, &ty.shape))
}

/// A view that enlarges: its result has more elements than its base.
pub fn spreads(g: &EGraph, x: Id, v: Id) -> bool {
    matches!((g[x].data.ty(), view(g, v)), (Some(ty), Some(v)) if legate_jit_ir::shape::size(&v.shape) > ty.size())
}

fn reduces_by(g: &EGraph, r: Id, ufuncs: &[Ufunc]) -> bool {
    reduction(g, r).is_some_and(|r| matches!(r.reducer, Reducer::Ufunc(u) if ufuncs.contains(&u)))
}

pub fn sums(g: &EGraph, r: Id) -> bool {
    reduces_by(g, r, &[Ufunc::Add])
}

pub fn any(g: &EGraph, r: Id) -> bool {
    reduces_by(g, r, &[Ufunc::LogicalOr])
}

pub fn all(g: &EGraph, r: Id) -> bool {
    reduces_by(g, r, &[Ufunc::LogicalAnd])
}

/// A reduction for which an element counts once however often it comes.
pub fn idempotent(g: &EGraph, r: Id) -> bool {
    use Ufunc::*;
    reduces_by(g, r, &[Maximum, Minimum, Fmax, Fmin, BitwiseAnd, BitwiseOr, LogicalAnd, LogicalOr])
}

/// A reduction whose result does not depend on the order of its elements, for integers and bools.
pub fn orderless(g: &EGraph, r: Id) -> bool {
    use Ufunc::*;
    let free = [
        Add, Multiply, Maximum, Minimum, Fmax, Fmin, BitwiseAnd, BitwiseOr, BitwiseXor, LogicalAnd, LogicalOr,
        LogicalXor,
    ];
    reduces_by(g, r, &free)
}

/// A view that drops at least half of its base's elements, or only puts them in another order. Computing behind such a view
/// is never more work; pushing the many nearly whole views of a stencil down would copy the whole computation for each.
pub fn narrows(g: &EGraph, x: Id, v: Id) -> bool {
    matches!((g[x].data.ty(), view(g, v)), (Some(ty), Some(v)) if {
        let (from, to) = (ty.size(), legate_jit_ir::shape::size(&v.shape));
        2 * to <= from || (to == from && v.is_injective())
    })
}

/// As [`narrows`], for a view of the reduction `r` of x.
pub fn narrows_reduced(g: &EGraph, x: Id, r: Id, v: Id) -> bool {
    let (Some(ty), Some(reduce), Some(v)) = (g[x].data.ty(), reduction(g, r), view(g, v)) else { return false };
    let combined: usize = reduce.axes.iter().map(|&k| ty.shape[k as usize]).product();
    2 * legate_jit_ir::shape::size(&v.shape) * combined <= ty.size()
}

/// Casting x to `a` on the way to `b` changes nothing: `a` holds every value of x's type and `b` treats them alike, or all
/// are integers and what `a` cuts off, `b` cuts off too.
pub fn passes_through(g: &EGraph, x: Id, a: Id, b: Id) -> bool {
    let (Some(from), Some(Leaf::DType(via)), Some(Leaf::DType(to))) =
        (dtype(g, x), g[a].data.attribute(), g[b].data.attribute())
    else {
        return false;
    };
    let (via, to) = (*via, *to);
    let whole = |d: DType| d.is_integer() || d == DType::Bool;
    if !holds(via, from) {
        return whole(from) && via.is_integer() && to.is_integer() && to.size() <= via.size();
    }
    // From a float type to an integer type the hardware's answer for what does not fit depends on the type.
    let same_way = whole(from) == whole(via) || from == DType::Bool || !to.is_integer() || holds(to, from);
    let floats_agree = !(from.is_float() && to.is_integer());
    same_way && (floats_agree || from == to)
}

/// Every value of type `small` is one of type `large`, NaN and the sign of zero included.
fn holds(large: DType, small: DType) -> bool {
    // Bits of whole numbers that the type holds exactly, and whether it has negative ones.
    let span = |d: DType| match d {
        DType::Bool => (1, false),
        DType::I8 => (7, true),
        DType::I16 => (15, true),
        DType::I32 => (31, true),
        DType::I64 => (63, true),
        DType::U8 => (8, false),
        DType::U16 => (16, false),
        DType::U32 => (32, false),
        DType::U64 => (64, false),
        DType::F32 | DType::C64 => (24, true),
        DType::F64 | DType::C128 => (53, true),
    };
    if large == small {
        return true;
    }
    let ((l, l_signed), (s, s_signed)) = (span(large), span(small));
    let kind = |d: DType| if d.is_complex() { 2 } else { d.is_float() as u8 };
    kind(large) >= kind(small) && large != DType::Bool && l >= s && (l_signed || !s_signed)
}

pub fn has_dtype(g: &EGraph, x: Id, d: Id) -> bool {
    matches!((dtype(g, x), g[d].data.attribute()), (Some(have), Some(Leaf::DType(want))) if have == *want)
}

pub fn has_shape(g: &EGraph, x: Id, s: Id) -> bool {
    matches!((g[x].data.ty(), g[s].data.attribute()), (Some(ty), Some(Leaf::Shape(want))) if ty.shape == *want)
}
