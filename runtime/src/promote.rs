//! NumPy's promotion (NEP 50) as the recorder needs it: common types, weak Python scalars, and the types an operation works in.

use legate_jit_ir::dtype::Kind;
use legate_jit_ir::{DType, Scalar, Ufunc};
use smallvec::SmallVec;

use crate::{Error, Result};

/// A Python number: it takes the type of the arrays around it where its kind allows. (A Python bool is a typed scalar.)
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum WeakScalar {
    Int(i128),
    Float(f64),
    Complex(f64, f64),
}

/// 0 bool, 1 unsigned, 2 signed, 3 float, 4 complex: the order of kinds in "same_kind" casting.
pub(crate) const fn rank(d: DType) -> u8 {
    match d.kind() {
        Kind::Bool => 0,
        Kind::UInt => 1,
        Kind::Int => 2,
        Kind::Float => 3,
        Kind::Complex => 4,
    }
}

/// `np.promote_types`.
pub fn promote(a: DType, b: DType) -> DType {
    use DType::*;
    if a == b {
        return a;
    }
    let (lo, hi) = if rank(a) <= rank(b) { (a, b) } else { (b, a) };
    match (lo.kind(), hi.kind()) {
        (Kind::Bool, _) => hi,
        (x, y) if x == y => {
            if lo.size() >= hi.size() {
                lo
            } else {
                hi
            }
        }
        (Kind::UInt, Kind::Int) => {
            if lo.size() < hi.size() {
                hi
            } else {
                match lo.size() {
                    1 => I16,
                    2 => I32,
                    4 => I64,
                    _ => F64,
                }
            }
        }
        // Two-byte ints fit a float32 exactly.
        (_, Kind::Float) => {
            if lo.size() <= 2 || (lo.is_float() && lo.size() <= hi.size()) {
                hi
            } else {
                F64
            }
        }
        (_, Kind::Complex) => {
            let real = if lo == hi.real() { lo } else { promote(lo, hi.real()) };
            if real == F64 { C128 } else { hi }
        }
        _ => unreachable!("ordered by rank"),
    }
}

/// The type a weak scalar takes beside arrays of the common type `with` (or alone).
pub fn weak_type(w: WeakScalar, with: Option<DType>) -> DType {
    match (w, with) {
        (WeakScalar::Int(v), None | Some(DType::Bool)) => {
            if v > i64::MAX as i128 {
                DType::U64
            } else {
                DType::I64
            }
        }
        (WeakScalar::Int(_), Some(d)) => d,
        (WeakScalar::Float(_), Some(d)) if d.is_float() || d.is_complex() => d,
        (WeakScalar::Float(_), _) => DType::F64,
        (WeakScalar::Complex(..), Some(d)) if d.is_complex() => d,
        (WeakScalar::Complex(..), Some(DType::F32)) => DType::C64,
        (WeakScalar::Complex(..), _) => DType::C128,
    }
}

/// A weak scalar as an element; an integer that does not fit is NumPy's OverflowError.
pub fn weak_value(w: WeakScalar, dtype: DType) -> Result<Scalar> {
    Ok(match w {
        WeakScalar::Int(v) if dtype.is_integer() => {
            let s = Scalar::int(dtype, v);
            if s.as_i128() != v {
                return Err(Error::Overflow(format!("Python integer {v} out of bounds for {}", dtype.numpy_name())));
            }
            s
        }
        WeakScalar::Int(v) => match dtype {
            DType::Bool => Scalar::bool(v != 0),
            _ => from_parts(dtype, v as f64, 0.0),
        },
        WeakScalar::Float(v) => from_parts(dtype, v, 0.0),
        WeakScalar::Complex(re, im) => from_parts(dtype, re, im),
    })
}

fn from_parts(dtype: DType, re: f64, im: f64) -> Scalar {
    match dtype {
        DType::F64 => Scalar::f64(re),
        DType::F32 => Scalar::f32(re as f32),
        DType::C64 => Scalar::c64(re as f32, im as f32),
        DType::C128 => Scalar::c128(re, im),
        DType::Bool => Scalar::bool(re != 0.0 || im != 0.0),
        _ => Scalar::int(dtype, float_to_int(re, dtype)),
    }
}

/// What x86-64 gives for a float outside the type's range, as NumPy does there: the smallest int64 (int32 for the small types),
/// then wrapped.
fn float_to_int(x: f64, dtype: DType) -> i128 {
    let t = x.trunc();
    if dtype == DType::U64 && (9.223372036854775807e18..1.8446744073709552e19).contains(&t) {
        return t as i128;
    }
    if dtype.size() == 8 || dtype == DType::U32 {
        if t >= -9.223372036854775808e18 && t < 9.223372036854775808e18 { t as i128 } else { i64::MIN as i128 }
    } else if t > -2147483649.0 && t < 2147483648.0 {
        t as i128
    } else {
        i32::MIN as i128
    }
}

/// NumPy's `astype` of one element.
pub fn cast(s: Scalar, dtype: DType) -> Scalar {
    if s.dtype == dtype {
        return s;
    }
    match s.dtype.kind() {
        Kind::Bool | Kind::Int | Kind::UInt if dtype.is_integer() || dtype == DType::Bool => {
            Scalar::int(dtype, s.as_i128())
        }
        Kind::Bool | Kind::Int | Kind::UInt if dtype == DType::F32 => Scalar::f32(s.as_i128() as f32),
        _ => {
            let (re, im) = s.as_c128();
            from_parts(dtype, re, im)
        }
    }
}

/// The types that an operation's arguments are converted to, and its result's.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Loop {
    pub(crate) args: [DType; 3],
    pub(crate) result: DType,
}

/// The loop NumPy would choose for arguments of these types.
pub(crate) fn resolve(op: Ufunc, types: &[DType]) -> Result<Loop> {
    use Ufunc::*;
    let mut common = types[0];
    for &t in &types[1..] {
        common = promote(common, t);
    }
    let same = |d: DType| Ok(Loop { args: [d; 3], result: d });
    let float = |d: DType| if d.is_float() || d.is_complex() { d } else { DType::F64 };
    match op {
        Where => {
            let d = promote(types[1], types[2]);
            Ok(Loop { args: [DType::Bool, d, d], result: d })
        }
        Greater | GreaterEqual | Less | LessEqual | Equal | NotEqual => {
            Ok(Loop { args: [common; 3], result: DType::Bool })
        }
        LogicalAnd | LogicalOr | LogicalXor | LogicalNot | Isfinite | Isinf | Isnan => {
            Ok(Loop { args: [common; 3], result: DType::Bool })
        }
        Absolute | Real | Imag => Ok(Loop { args: [common; 3], result: common.real() }),
        Complex => Ok(Loop { args: [common; 3], result: if common == DType::F32 { DType::C64 } else { DType::C128 } }),
        Signbit => Ok(Loop { args: [float(common); 3], result: DType::Bool }),
        Add | Subtract | Multiply | FloorDivide | Remainder | Fmod | Power | Negative | Positive | Sign | Square
        | Conjugate | Maximum | Minimum | Fmax | Fmin | Gcd | Lcm | BitwiseAnd | BitwiseOr | BitwiseXor | Invert
        | LeftShift | RightShift | Floor | Ceil | Trunc | Reciprocal => same(common),
        _ => same(float(common)),
    }
}

pub(crate) type Types = SmallVec<[DType; 3]>;

/// A Python number assigned to an element: an integer that does not fit is an error, everything else is cast.
pub(crate) fn weak_assigned(w: WeakScalar, dtype: DType) -> Result<Scalar> {
    match w {
        WeakScalar::Complex(..) if !dtype.is_complex() => {
            let to = if dtype.is_float() { "float" } else { "int" };
            Err(Error::Type(format!("{to}() argument must be a string or a real number, not 'complex'")))
        }
        WeakScalar::Float(v) if dtype.is_integer() && v.is_nan() => {
            Err(Error::Value("cannot convert float NaN to integer".into()))
        }
        WeakScalar::Float(v) if dtype.is_integer() && v.is_infinite() => {
            Err(Error::Overflow("cannot convert float infinity to integer".into()))
        }
        WeakScalar::Float(v) if dtype.is_integer() => weak_value(WeakScalar::Int(v.trunc() as i128), dtype),
        _ => weak_value(w, dtype),
    }
}
