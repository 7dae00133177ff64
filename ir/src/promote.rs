//! NumPy's promotion of element types (NEP 50): what two types become together, and which conversions are allowed.

use crate::dtype::Kind;
use crate::{DType, Error, Result, Ufunc};

/// The type of an argument. A weak one is a Python `int`, `float` or `complex`, given as I64, F64 or C128: it takes the other
/// arguments' type where its kind allows that.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ArgType {
    pub dtype: DType,
    pub weak: bool,
}

impl ArgType {
    pub const fn strong(dtype: DType) -> ArgType {
        ArgType { dtype, weak: false }
    }

    pub const fn weak(dtype: DType) -> ArgType {
        ArgType { dtype, weak: true }
    }
}

impl From<DType> for ArgType {
    fn from(dtype: DType) -> ArgType {
        ArgType::strong(dtype)
    }
}

/// The smallest type that both convert to safely.
pub const fn promote(a: DType, b: DType) -> DType {
    if a as u8 == b as u8 {
        return a;
    }
    // From here on `low` is of the lower kind, or the kinds are equal.
    let (low, high) = if (a.kind() as u8) <= (b.kind() as u8) { (a, b) } else { (b, a) };
    match (low.kind(), high.kind()) {
        (Kind::Bool, _) => high,
        (Kind::Int, Kind::UInt) => match (low.size(), high.size()) {
            (signed, unsigned) if signed > unsigned => low,
            (_, 1) => DType::I16,
            (_, 2) => DType::I32,
            (_, 4) => DType::I64,
            _ => DType::F64,
        },
        (Kind::Int | Kind::UInt, Kind::Float) => {
            if low.size() <= 2 {
                high
            } else {
                DType::F64
            }
        }
        (Kind::Int | Kind::UInt, Kind::Complex) => {
            if low.size() <= 2 {
                high
            } else {
                DType::C128
            }
        }
        (Kind::Float, Kind::Complex) => {
            if low.size() == 4 {
                high
            } else {
                DType::C128
            }
        }
        _ => {
            if low.size() > high.size() {
                low
            } else {
                high
            }
        }
    }
}

/// `np.result_type` of any number of arguments, at least one.
pub fn result_type(args: &[ArgType]) -> DType {
    let strong = args.iter().filter(|a| !a.weak).map(|a| a.dtype).reduce(promote);
    let weak = args.iter().filter(|a| a.weak).map(|a| a.dtype).reduce(promote);
    match (strong, weak) {
        (Some(s), None) | (None, Some(s)) => s,
        (Some(s), Some(w)) => with_weak(s, w),
        (None, None) => panic!("a result type of no arguments"),
    }
}

/// A strong type together with a weak one.
const fn with_weak(strong: DType, weak: DType) -> DType {
    match (strong.kind(), weak.kind()) {
        (Kind::Float | Kind::Complex, Kind::Int | Kind::Float) | (Kind::Complex, Kind::Complex) => strong,
        (Kind::Int | Kind::UInt, Kind::Int) => strong,
        (Kind::Float, _) => {
            if strong.size() == 4 {
                DType::C64
            } else {
                DType::C128
            }
        }
        _ => weak,
    }
}

/// NumPy's casting rules, from the strictest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Casting {
    No,
    Equiv,
    Safe,
    SameKind,
    Unsafe,
}

impl Casting {
    pub const ALL: [Casting; 5] = [Casting::No, Casting::Equiv, Casting::Safe, Casting::SameKind, Casting::Unsafe];

    pub const fn name(self) -> &'static str {
        match self {
            Casting::No => "no",
            Casting::Equiv => "equiv",
            Casting::Safe => "safe",
            Casting::SameKind => "same_kind",
            Casting::Unsafe => "unsafe",
        }
    }

    pub fn parse(name: &str) -> Option<Casting> {
        Casting::ALL.into_iter().find(|c| c.name() == name)
    }
}

/// `np.can_cast` for types.
pub const fn can_cast(from: DType, to: DType, casting: Casting) -> bool {
    match casting {
        Casting::No | Casting::Equiv => from as u8 == to as u8,
        Casting::Safe => promote(from, to) as u8 == to as u8,
        Casting::SameKind => promote(from, to) as u8 == to as u8 || rank(from.kind()) <= rank(to.kind()),
        Casting::Unsafe => true,
    }
}

/// The order of the kinds under "same_kind".
const fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Bool => 0,
        Kind::UInt => 1,
        Kind::Int => 2,
        Kind::Float => 3,
        Kind::Complex => 4,
    }
}

/// The type in which `ufunc.reduce` and `ufunc.accumulate` work and which they return, for an array of this type and no
/// `dtype=`: sums and products of small integers are made in 64 bits.
pub fn reduce_type(ufunc: Ufunc, dtype: DType) -> Result<DType> {
    let dtype = match (ufunc, dtype.kind()) {
        (Ufunc::Add | Ufunc::Multiply, Kind::Bool | Kind::Int) => DType::I64,
        (Ufunc::Add | Ufunc::Multiply, Kind::UInt) => DType::U64,
        _ => dtype,
    };
    Ok(ufunc.resolve(&[dtype.into(), dtype.into()])?.out)
}

/// NumPy's OverflowError for a Python int that does not fit into the type it must take; `None` if it fits.
pub fn int_out_of_bounds(value: i128, dtype: DType) -> Option<String> {
    let bits = 8 * dtype.size() as u32;
    let fits = match dtype.kind() {
        Kind::Bool => value == 0 || value == 1,
        Kind::Int => (-(1i128 << (bits - 1))..1i128 << (bits - 1)).contains(&value),
        Kind::UInt => (0..1i128 << bits).contains(&value),
        Kind::Float | Kind::Complex => true,
    };
    (!fits).then(|| match i64::try_from(value) {
        Ok(_) => int_out_of_bounds_message(&value.to_string(), dtype),
        // NumPy reads Python's integer as a C long first.
        Err(_) => "Python int too large to convert to C long".into(),
    })
}

/// The same words for an int of any size, given as its decimal digits.
pub fn int_out_of_bounds_message(digits: &str, dtype: DType) -> String {
    format!("Python integer {digits} out of bounds for {}", dtype.numpy_name())
}

/// NumPy's TypeError (UFuncTypeError) where `out=` cannot take the result.
pub fn cannot_cast_output(ufunc: &str, from: DType, to: DType, casting: Casting) -> Error {
    Error::Type(format!(
        "Cannot cast ufunc '{ufunc}' output from dtype('{}') to dtype('{}') with casting rule '{}'",
        from.numpy_name(),
        to.numpy_name(),
        casting.name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promotion_is_symmetric_and_safe() {
        for a in DType::ALL {
            for b in DType::ALL {
                let p = promote(a, b);
                assert_eq!(p, promote(b, a));
                assert!(can_cast(a, p, Casting::Safe) && can_cast(b, p, Casting::Safe), "{a} {b} {p}");
            }
        }
    }

    #[test]
    fn weak_arguments_take_the_others_type_where_their_kind_allows() {
        let of = |s, w| result_type(&[ArgType::strong(s), ArgType::weak(w)]);
        assert_eq!(of(DType::U8, DType::I64), DType::U8);
        assert_eq!(of(DType::Bool, DType::I64), DType::I64);
        assert_eq!(of(DType::F32, DType::F64), DType::F32);
        assert_eq!(of(DType::I8, DType::F64), DType::F64);
        assert_eq!(of(DType::F32, DType::C128), DType::C64);
        assert_eq!(of(DType::F64, DType::C128), DType::C128);
        assert_eq!(result_type(&[ArgType::weak(DType::I64), ArgType::weak(DType::F64)]), DType::F64);
    }

    #[test]
    fn ints_that_do_not_fit_are_refused_in_numpys_words() {
        assert_eq!(int_out_of_bounds(255, DType::U8), None);
        assert_eq!(int_out_of_bounds(300, DType::U8).unwrap(), "Python integer 300 out of bounds for uint8");
        assert_eq!(int_out_of_bounds(1 << 63, DType::I64).unwrap(), "Python int too large to convert to C long");
        assert_eq!(int_out_of_bounds(1 << 63, DType::U64), None);
        assert_eq!(int_out_of_bounds(-129, DType::I8).unwrap(), "Python integer -129 out of bounds for int8");
    }
}
