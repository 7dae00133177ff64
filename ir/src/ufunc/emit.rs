//! How an operation becomes vector code, without knowing MLIR: the table's lowering column, and the trait that code generation
//! implements over its builders. An operation that is not one operation of MLIR has a function below this module that builds
//! it from others; all work on vectors of any width and never branch.

pub mod complex;
pub mod float;
pub mod int;
pub mod power;
#[cfg(test)]
mod witness;

use legate_jit_vmath::Func;

use super::Ufunc;
use crate::{DType, Scalar};

/// Predicates of `arith.cmpi`, with MLIR's numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i64)]
pub enum CmpI {
    Eq = 0,
    Ne = 1,
    Slt = 2,
    Sle = 3,
    Sgt = 4,
    Sge = 5,
    Ult = 6,
    Ule = 7,
    Ugt = 8,
    Uge = 9,
}

/// Predicates of `arith.cmpf`, with MLIR's numbers: `O…` is false and `U…` is true if an operand is NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i64)]
pub enum CmpF {
    Oeq = 1,
    Ogt = 2,
    Oge = 3,
    Olt = 4,
    Ole = 5,
    One = 6,
    Ord = 7,
    Ueq = 8,
    Ugt = 9,
    Uge = 10,
    Ult = 11,
    Ule = 12,
    Une = 13,
    Uno = 14,
}

/// One round of [`Emit::repeat`].
pub type Step<'a, E> = &'a mut dyn FnMut(&mut E, Vec<<E as Emit>::V>) -> Vec<<E as Emit>::V>;

/// Builds vector code. A value is a vector of bools (`i1`), of integers (signless, as in MLIR), or of floats; complex values are
/// pairs of float vectors (see [`Val`]). No method takes or gives a complex type.
pub trait Emit {
    type V: Copy;

    /// The constant in every lane.
    fn constant(&mut self, value: Scalar) -> Self::V;
    /// An operation of MLIR of one operand, whose type is the result's.
    fn op1(&mut self, op: &'static str, x: Self::V) -> Self::V;
    /// An operation of MLIR whose operands and result have one type.
    fn op2(&mut self, op: &'static str, x: Self::V, y: Self::V) -> Self::V;
    /// `x * y + z` of floats, rounded once.
    fn mul_add(&mut self, x: Self::V, y: Self::V, z: Self::V) -> Self::V;
    fn cmpi(&mut self, predicate: CmpI, x: Self::V, y: Self::V) -> Self::V;
    fn cmpf(&mut self, predicate: CmpF, x: Self::V, y: Self::V) -> Self::V;
    /// Lane by lane; the mask is a vector of bools.
    fn select(&mut self, mask: Self::V, x: Self::V, y: Self::V) -> Self::V;
    /// A conversion of MLIR (`arith.extsi`, `arith.bitcast`, …) to another element type.
    fn convert(&mut self, op: &'static str, x: Self::V, to: DType) -> Self::V;
    /// A function of the vector math library, for f32 or f64.
    fn vmath(&mut self, function: Func, dtype: DType, args: &[Self::V]) -> Self::V;

    /// The body `n` times over, each time with the values that it returned the last time (as many, of the same types). An
    /// implementation may build a loop.
    fn repeat(&mut self, n: u32, state: Vec<Self::V>, body: Step<Self>) -> Vec<Self::V> {
        (0..n).fold(state, |state, _| body(self, state))
    }

    fn int(&mut self, dtype: DType, v: i128) -> Self::V {
        self.constant(Scalar::int(dtype, v))
    }

    fn float(&mut self, dtype: DType, v: f64) -> Self::V {
        self.constant(if dtype == DType::F32 { Scalar::f32(v as f32) } else { Scalar::f64(v) })
    }

    fn bool(&mut self, v: bool) -> Self::V {
        self.constant(Scalar::bool(v))
    }

    fn and(&mut self, x: Self::V, y: Self::V) -> Self::V {
        self.op2("arith.andi", x, y)
    }

    fn or(&mut self, x: Self::V, y: Self::V) -> Self::V {
        self.op2("arith.ori", x, y)
    }

    fn xor(&mut self, x: Self::V, y: Self::V) -> Self::V {
        self.op2("arith.xori", x, y)
    }
}

/// A value of any element type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Val<V> {
    One(V),
    /// Real and imaginary part.
    Pair(V, V),
}

impl<V: Copy> Val<V> {
    /// The vector of a value that is not complex.
    pub fn one(self) -> V {
        match self {
            Val::One(v) => v,
            Val::Pair(..) => panic!("a complex value where a real one was expected"),
        }
    }

    pub fn pair(self) -> (V, V) {
        match self {
            Val::Pair(re, im) => (re, im),
            Val::One(_) => panic!("a real value where a complex one was expected"),
        }
    }
}

pub fn identity<E: Emit>(_e: &mut E, _t: DType, x: E::V) -> E::V {
    x
}

pub fn always<E: Emit>(e: &mut E, _t: DType, _x: E::V) -> E::V {
    e.bool(true)
}

pub fn never<E: Emit>(e: &mut E, _t: DType, _x: E::V) -> E::V {
    e.bool(false)
}

/// Of bools, or bit by bit.
pub fn not<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let ones = if t == DType::Bool { e.bool(true) } else { e.int(t, -1) };
    e.xor(x, ones)
}

/// x ≠ 0, so NaN is true.
pub fn truth<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    if t == DType::Bool {
        x
    } else if t.is_float() {
        let zero = e.float(t, 0.0);
        e.cmpf(CmpF::Une, x, zero)
    } else {
        let zero = e.int(t, 0);
        e.cmpi(CmpI::Ne, x, zero)
    }
}

pub fn logical_and<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    let (x, y) = (truth(e, t, x), truth(e, t, y));
    e.and(x, y)
}

pub fn logical_or<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    let (x, y) = (truth(e, t, x), truth(e, t, y));
    e.or(x, y)
}

pub fn logical_xor<E: Emit>(e: &mut E, t: DType, x: E::V, y: E::V) -> E::V {
    let (x, y) = (truth(e, t, x), truth(e, t, y));
    e.xor(x, y)
}

pub fn logical_not<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    let x = truth(e, t, x);
    not(e, DType::Bool, x)
}

pub fn choose<E: Emit>(e: &mut E, _t: DType, mask: Val<E::V>, x: Val<E::V>, y: Val<E::V>) -> Val<E::V> {
    let mask = mask.one();
    match (x, y) {
        (Val::One(x), Val::One(y)) => Val::One(e.select(mask, x, y)),
        _ => {
            let ((xr, xi), (yr, yi)) = (x.pair(), y.pair());
            Val::Pair(e.select(mask, xr, yr), e.select(mask, xi, yi))
        }
    }
}

/// NumPy's `astype`, see [`crate::cast`].
pub fn cast<E: Emit>(e: &mut E, x: Val<E::V>, from: DType, to: DType) -> Val<E::V> {
    match x {
        _ if from == to => x,
        Val::Pair(re, im) => match to {
            DType::Bool => {
                let (re, im) = (truth(e, from.real(), re), truth(e, from.real(), im));
                Val::One(e.or(re, im))
            }
            DType::C64 | DType::C128 => {
                Val::Pair(cast_one(e, re, from.real(), to.real()), cast_one(e, im, from.real(), to.real()))
            }
            _ => Val::One(cast_one(e, re, from.real(), to)),
        },
        Val::One(x) if to.is_complex() => {
            let re = cast_one(e, x, from, to.real());
            Val::Pair(re, e.float(to.real(), 0.0))
        }
        Val::One(x) => Val::One(cast_one(e, x, from, to)),
    }
}

fn cast_one<E: Emit>(e: &mut E, x: E::V, from: DType, to: DType) -> E::V {
    use crate::dtype::Kind;
    match (from.kind(), to.kind()) {
        _ if from == to => x,
        (_, Kind::Bool) => truth(e, from, x),
        (Kind::Bool | Kind::UInt, Kind::Float) => e.convert("arith.uitofp", x, to),
        (Kind::Int, Kind::Float) => e.convert("arith.sitofp", x, to),
        (Kind::Float, Kind::Float) => {
            let op = if from.size() < to.size() { "arith.extf" } else { "arith.truncf" };
            e.convert(op, x, to)
        }
        (Kind::Float, _) => float::to_int(e, x, from, to),
        (Kind::Bool, _) => e.convert("arith.extui", x, to),
        (kind, _) => int::resize(e, x, from, to, kind == Kind::Int),
    }
}

/// The lowering column: builds the operation for arguments of these types. `None` where it has no vector form (`native`), and
/// for types that the row lacks.
pub fn lower<E: Emit>(e: &mut E, op: Ufunc, ins: &[DType], args: &[Val<E::V>]) -> Option<Val<E::V>> {
    use crate::ufunc::emit;

    macro_rules! row {
        ($($(#[$doc:meta])* $variant:ident = $name:literal $args:tt $attrs:tt {
            $($class:tt $(-> $out:ident)? : $meaning:expr => $kind:ident $($op:literal)? $($path:path)?;)*
        };)*) => {
            match op {
                $(Ufunc::$variant => {
                    $(if class!($class) {
                        return build!($args $kind $($op)? $($path)?);
                    })*
                })*
            }
        };
    }
    macro_rules! class {
        ((float, $n:ident)) => {
            ins[0].is_float() && ins[1].name() == stringify!($n)
        };
        ((bool, any, any)) => {
            true
        };
        (($a:ident, $b:ident)) => {
            ins[0].name() == stringify!($a) && ins[1].name() == stringify!($b)
        };
        ($class:ident) => {
            ins.iter().all(|d| *d == ins[0]) && super::resolve::class_has(stringify!($class), ins[0])
        };
    }
    macro_rules! build {
        ((x) mlir $op:literal) => {
            Some(Val::One(e.op1($op, args[0].one())))
        };
        ((x, y) mlir $op:literal) => {
            Some(Val::One(e.op2($op, args[0].one(), args[1].one())))
        };
        ((x, y) cmpi $p:path) => {{
            use CmpI::*;
            Some(Val::One(e.cmpi($p, args[0].one(), args[1].one())))
        }};
        ((x, y) cmpf $p:path) => {{
            use CmpF::*;
            Some(Val::One(e.cmpf($p, args[0].one(), args[1].one())))
        }};
        ($args:tt vmath $f:path) => {{
            use Func::*;
            let args: Vec<E::V> = args.iter().map(|a| a.one()).collect();
            Some(Val::One(e.vmath($f, ins[0], &args)))
        }};
        ((x) emit $f:path) => {
            Some(Val::One($f(e, ins[0], args[0].one())))
        };
        ((x, y) emit $f:path) => {
            Some(Val::One($f(e, ins[0], args[0].one(), args[1].one())))
        };
        ((x) pairs $f:path) => {
            Some($f(e, ins[0], args[0]))
        };
        ((x, y) pairs $f:path) => {
            Some($f(e, ins[0], args[0], args[1]))
        };
        ((c, x, y) pairs $f:path) => {
            Some($f(e, ins[1], args[0], args[1], args[2]))
        };
        ($args:tt native) => {
            None
        };
    }
    crate::ufunc_table!(row);
    None
}

impl Ufunc {
    /// The vector math library's function, where the operation is just that (for f32 and f64).
    pub fn vmath(self) -> Option<Func> {
        macro_rules! row {
            ($($(#[$doc:meta])* $variant:ident = $name:literal $args:tt $attrs:tt {
                $($class:tt $(-> $out:ident)? : $meaning:expr => $kind:ident $($op:literal)? $($path:path)?;)*
            };)*) => {
                match self {
                    $(Ufunc::$variant => {
                        $(is_vmath!($kind $($op)? $($path)?);)*
                    })*
                }
            };
        }
        macro_rules! is_vmath {
            (vmath $f:path) => {{
                use Func::*;
                return Some($f);
            }};
            ($($other:tt)*) => {};
        }
        crate::ufunc_table!(row);
        None
    }
}
