//! The rows that are easy to get wrong, against what NumPy 2.4 gives; and what holds for every row.

use super::Ufunc;
use super::special::{product, same, values};
use crate::promote::{ArgType, reduce_type};
use crate::{DType, Error, Scalar};

fn f(v: f64) -> Scalar {
    Scalar::f64(v)
}

fn int(dtype: DType, v: i128) -> Scalar {
    Scalar::int(dtype, v)
}

#[test]
fn floats_as_numpy_computes_them() {
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let cases = [
        // The quotient of 1.0 and 0.1 rounds to 10, but only nine tenths fit.
        ("floor_divide", 1.0, 0.1, 9.0),
        ("floor_divide", -1.0, inf, -1.0),
        ("floor_divide", 1.0, 0.0, inf),
        ("floor_divide", -0.0, 2.0, -0.0),
        ("remainder", 1.0, 0.1, 0.09999999999999995),
        ("remainder", -1.0, 3.0, 2.0),
        ("remainder", 1.0, -inf, -inf),
        ("remainder", -4.0, 2.0, 0.0),
        ("remainder", 1.0, 0.0, nan),
        ("fmod", -1.0, 3.0, -1.0),
        ("power", 0.0, 0.0, 1.0),
        ("power", nan, 0.0, 1.0),
        ("power", 1.0, nan, 1.0),
        ("power", -8.0, 1.0 / 3.0, nan),
        ("maximum", nan, 1.0, nan),
        ("maximum", 1.0, nan, nan),
        ("fmax", nan, 1.0, 1.0),
        ("fmax", 1.0, nan, 1.0),
        ("arctan2", -0.0, -1.0, -std::f64::consts::PI),
        ("copysign", nan, -1.0, nan),
        ("nextafter", 0.0, -1.0, -5e-324),
        ("nextafter", 1.0, 2.0, 1.0000000000000002),
        ("nextafter", inf, 0.0, f64::MAX),
        ("heaviside", 0.0, 0.5, 0.5),
        ("heaviside", nan, 0.5, nan),
        ("logaddexp", -inf, -inf, -inf),
        ("logaddexp", 1000.0, 1000.0, 1000.6931471805599),
        ("logaddexp", inf, -inf, inf),
        ("hypot", inf, nan, inf),
        ("hypot", 1e300, 1e300, 1.4142135623730952e300),
    ];
    for (name, x, y, want) in cases {
        let got = Ufunc::parse(name).unwrap().eval(&[f(x), f(y)]).unwrap();
        assert!(same(got, f(want)), "{name}({x}, {y}) = {}, not {want}", got.as_f64());
    }
    let cases = [
        ("sign", -0.0, 0.0),
        ("sign", nan, nan),
        ("rint", 0.5, 0.0),
        ("rint", 2.5, 2.0),
        ("rint", -0.5, -0.0),
        ("spacing", -1.0, -2.220446049250313e-16),
        ("spacing", 0.0, 5e-324),
        ("spacing", inf, nan),
        ("modf_fraction", -inf, -0.0),
        ("modf_integer", -1.5, -1.0),
        ("frexp_mantissa", -5e-324, -0.5),
        ("expm1", 1e-17, 1e-17),
        ("log1p", -1.0, -inf),
        ("sqrt", -0.0, -0.0),
        ("reciprocal", -0.0, -inf),
    ];
    for (name, x, want) in cases {
        let got = Ufunc::parse(name).unwrap().eval(&[f(x)]).unwrap();
        assert!(same(got, f(want)), "{name}({x}) = {}, not {want}", got.as_f64());
    }
}

#[test]
fn integers_as_numpy_computes_them() {
    use DType::{I8, I16, I32, I64, U8, U32, U64};
    let cases = [
        ("floor_divide", I32, -7, 2, -4),
        ("floor_divide", I32, 7, 0, 0),
        ("floor_divide", I8, -128, -1, -128),
        ("remainder", I32, -7, 2, 1),
        ("remainder", I32, 7, -2, -1),
        ("remainder", I64, i64::MIN as i128, -1, 0),
        ("fmod", I32, -7, 2, -1),
        ("fmod", I32, -7, 0, 0),
        ("power", I8, 2, 7, -128),
        ("power", I64, 3, 100, -2984622845537545263),
        ("power", U8, 0, 0, 1),
        ("left_shift", I32, 1, 32, 0),
        ("left_shift", I32, 1, -1, 0),
        ("right_shift", I16, -5, 100, -1),
        ("right_shift", U32, u32::MAX as i128, 32, 0),
        ("gcd", I8, -128, 0, -128),
        ("gcd", I32, -12, 18, 6),
        ("lcm", I32, -4, 6, 12),
        ("add", I8, 127, 1, -128),
        ("maximum", U64, u64::MAX as i128, 1, u64::MAX as i128),
    ];
    for (name, dtype, x, y, want) in cases {
        let got = Ufunc::parse(name).unwrap().eval(&[int(dtype, x), int(dtype, y)]).unwrap();
        assert_eq!(got, int(dtype, want), "{name}({x}, {y}) of {dtype}");
    }
    let cases = [
        ("absolute", I64, i64::MIN as i128, i64::MIN as i128),
        ("negative", U8, 1, 255),
        ("reciprocal", I32, 0, i32::MIN as i128),
        ("reciprocal", I16, 0, 0),
        ("reciprocal", I16, -1, -1),
        ("reciprocal", U8, 2, 0),
        ("sign", I8, -128, -1),
    ];
    for (name, dtype, x, want) in cases {
        assert_eq!(
            Ufunc::parse(name).unwrap().eval(&[int(dtype, x)]).unwrap(),
            int(dtype, want),
            "{name}({x}) of {dtype}"
        );
    }
    assert_eq!(Ufunc::BitwiseCount.eval(&[int(I16, -32768)]), Some(int(U8, 1)));
    // No common type holds both, so they are compared as the numbers that they are.
    assert_eq!(Ufunc::Less.eval(&[int(I64, -1), int(U64, u64::MAX as i128)]), Some(Scalar::bool(true)));
}

#[test]
fn complex_numbers_as_numpy_computes_them() {
    let c = Scalar::c128;
    let eval = |op: Ufunc, x, y| op.eval(&[x, y]).unwrap();
    assert_eq!(eval(Ufunc::Divide, c(1.0, 2.0), c(3.0, -4.0)), c(-0.2, 0.4));
    // Smith's method keeps what the textbook's denominator would lose.
    assert_eq!(eval(Ufunc::Divide, c(1e300, 1e300), c(1e300, 1e300)), c(1.0, 0.0));
    assert!(same(eval(Ufunc::Divide, c(1.0, 0.0), c(0.0, 0.0)), c(f64::INFINITY, f64::NAN)));
    assert_eq!(eval(Ufunc::Greater, c(1.0, 5.0), c(1.0, 4.0)), Scalar::bool(true));
    assert_eq!(eval(Ufunc::Greater, c(2.0, f64::NAN), c(1.0, 0.0)), Scalar::bool(false));
    assert_eq!(Ufunc::Absolute.eval(&[c(3.0, -4.0)]), Some(f(5.0)));
    assert_eq!(Ufunc::Sign.eval(&[c(0.0, -2.0)]), Some(c(0.0, -1.0)));
    assert_eq!(Ufunc::Conjugate.eval(&[c(1.0, 0.0)]), Some(c(1.0, -0.0)));
}

#[test]
fn numpys_choice_of_loop() {
    let strong = ArgType::strong;
    let weak = ArgType::weak;
    let choose = |op: Ufunc, args: &[ArgType]| op.resolve(args).map(|s| (s.ins().to_vec(), s.out));
    use DType::{Bool, C128, F32, F64, I8, I32, I64, U8, U64};
    assert_eq!(choose(Ufunc::Add, &[strong(I8), strong(U8)]), Ok((vec![DType::I16; 2], DType::I16)));
    assert_eq!(choose(Ufunc::Add, &[strong(I64), strong(U64)]), Ok((vec![F64; 2], F64)));
    assert_eq!(choose(Ufunc::Add, &[strong(F32), weak(F64)]), Ok((vec![F32; 2], F32)));
    assert_eq!(choose(Ufunc::Add, &[strong(U8), weak(I64)]), Ok((vec![U8; 2], U8)));
    assert_eq!(choose(Ufunc::Divide, &[strong(I8), strong(Bool)]), Ok((vec![F64; 2], F64)));
    assert_eq!(choose(Ufunc::Less, &[strong(I8), strong(U64)]), Ok((vec![I64, U64], Bool)));
    assert_eq!(choose(Ufunc::LogicalAnd, &[strong(F64), strong(I32)]), Ok((vec![Bool; 2], Bool)));
    assert_eq!(choose(Ufunc::Sin, &[strong(I32)]), Ok((vec![F64], F64)));
    assert_eq!(choose(Ufunc::Absolute, &[strong(C128)]), Ok((vec![C128], F64)));
    assert_eq!(choose(Ufunc::Where, &[strong(Bool), strong(F32), weak(I64)]), Ok((vec![Bool, F32, F32], F32)));
    // float16 and complex functions are NumPy's.
    assert!(matches!(choose(Ufunc::Sin, &[strong(I8)]), Err(Error::Unsupported(_))));
    assert!(matches!(choose(Ufunc::Arcsin, &[strong(C128)]), Err(Error::Unsupported(_))));
    let words = |op: Ufunc, args: &[ArgType]| choose(op, args).unwrap_err().to_string();
    assert_eq!(
        words(Ufunc::BitwiseAnd, &[strong(F64), strong(I32)]),
        "ufunc 'bitwise_and' not supported for the input types, and the inputs could not be safely coerced to any \
         supported types according to the casting rule ''safe''"
    );
    assert_eq!(
        words(Ufunc::Subtract, &[strong(Bool), strong(Bool)]),
        "numpy boolean subtract, the `-` operator, is not supported, use the bitwise_xor, the `^` operator, or the \
         logical_xor function instead."
    );
    assert_eq!(
        words(Ufunc::Gcd, &[strong(F32), weak(I64)]),
        "ufunc 'gcd' did not contain a loop with signature matching types (<class 'numpy.dtypes.Float32DType'>, <class \
         'numpy.dtypes._PyLongDType'>) -> None"
    );
}

#[test]
fn sums_of_small_integers_are_made_in_64_bits() {
    assert_eq!(reduce_type(Ufunc::Add, DType::Bool), Ok(DType::I64));
    assert_eq!(reduce_type(Ufunc::Multiply, DType::U8), Ok(DType::U64));
    assert_eq!(reduce_type(Ufunc::Add, DType::F32), Ok(DType::F32));
    assert_eq!(reduce_type(Ufunc::Maximum, DType::I8), Ok(DType::I8));
    assert_eq!(reduce_type(Ufunc::LogicalOr, DType::F64), Ok(DType::Bool));
    assert_eq!(reduce_type(Ufunc::Divide, DType::I32), Ok(DType::F64));
}

/// The pairs of values that a property of a row speaks of: those of one loop of two equal types.
fn pairs(dtype: DType) -> Vec<Vec<Scalar>> {
    let list: Vec<Scalar> = values(dtype).into_iter().take(40).collect();
    product(&[list.clone(), list])
}

#[test]
fn commutative_rows_commute() {
    for &op in Ufunc::ALL.iter().filter(|op| op.props().commutative) {
        // Fused multiply-adds round one product of the two (see the row): only the types that are exact swap.
        let fused = |d: DType| op == Ufunc::Multiply && d.is_complex();
        for s in op.signatures().filter(|s| s.ins()[0] == s.ins()[1] && !fused(s.ins()[0])) {
            for row in pairs(s.ins()[0]) {
                let (xy, yx) = (op.eval(&row).unwrap(), op.eval(&[row[1], row[0]]).unwrap());
                assert!(same(xy, yx), "{} {row:?}: {xy:?}, {yx:?}", op.name());
            }
        }
    }
}

#[test]
fn idempotent_rows_change_nothing_the_second_time() {
    for &op in Ufunc::ALL.iter().filter(|op| op.props().idempotent) {
        for s in op.signatures().filter(|s| s.ins().iter().all(|d| *d == s.out)) {
            for v in values(s.out) {
                let twice = match op.nin() {
                    1 => {
                        let once = op.eval(&[v]).unwrap();
                        (once, op.eval(&[once]).unwrap())
                    }
                    _ => (v, op.eval(&[v, v]).unwrap()),
                };
                // The direction of a direction is rounded anew.
                let rounded = op == Ufunc::Sign && s.out.is_complex();
                assert!(rounded || same(twice.0, twice.1), "{} {v:?}: {twice:?}", op.name());
            }
        }
    }
}

#[test]
fn identities_change_nothing() {
    for &op in Ufunc::ALL {
        let Some(identity) = op.props().identity else { continue };
        for s in op.signatures().filter(|s| s.ins().iter().all(|d| *d == s.out)) {
            let e = identity.scalar(s.out);
            for v in values(s.out) {
                let got = op.eval(&[e, v]).unwrap();
                let parts = |s: Scalar| <[f64; 2]>::from(s.as_c128());
                // As numbers, for 0.0 + -0.0 is 0.0.
                let equal = parts(got).iter().zip(parts(v)).all(|(a, b)| *a == b || a.is_nan() && b.is_nan());
                // Distances have no sign, and products with an infinite part are NaN.
                let magnitude = matches!(op, Ufunc::Gcd | Ufunc::Hypot) && v.as_f64() < 0.0;
                let infinite = v.dtype.is_complex() && !parts(v).iter().all(|x| x.is_finite());
                assert!(magnitude || infinite || equal, "{} {e:?} {v:?}: {got:?}", op.name());
            }
        }
    }
}

#[test]
fn names_and_discriminants_are_a_table() {
    for (i, &op) in Ufunc::ALL.iter().enumerate() {
        assert_eq!(op as usize, i);
        assert_eq!(Ufunc::parse(op.name()), Some(op));
        assert!(op.signatures().count() > 0, "{} has no loop", op.name());
        assert!(op.signatures().all(|s| s.ins().len() == op.nin()));
    }
}
