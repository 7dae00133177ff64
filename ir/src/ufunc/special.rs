//! The values at which operations go wrong: what tests put through every rule and every tier.

use super::native::{Complex, Native};
use crate::{DType, Scalar};

/// Zeros, ones, halves, ties, limits, infinities and NaN of a type, and some ordinary values.
pub fn values(dtype: DType) -> Vec<Scalar> {
    match dtype {
        DType::Bool => vec![Scalar::bool(false), Scalar::bool(true)],
        DType::F32 => {
            let all =
                [f32::MAX, -f32::MAX, f32::MIN_POSITIVE, f32::from_bits(1), -f32::from_bits(1), 16777217.0, 88.75];
            FLOATS.iter().map(|&v| v as f32).chain(all).map(Scalar::f32).collect()
        }
        DType::F64 => {
            let all = [
                f64::MAX,
                -f64::MAX,
                f64::MIN_POSITIVE,
                f64::from_bits(1),
                -f64::from_bits(1),
                4503599627370497.5,
                710.0,
            ];
            FLOATS.iter().copied().chain(all).map(Scalar::f64).collect()
        }
        DType::C64 | DType::C128 => {
            let parts = [0.0, -0.0, 1.0, -2.5, 0.1, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e30, -3.0];
            let pairs = parts.iter().flat_map(|&re| parts.iter().map(move |&im| Complex { re, im }));
            pairs.map(|c| crate::cast::cast(c.to_scalar(), dtype)).collect()
        }
        _ => {
            let bits = 8 * dtype.size() as i128;
            let signed = dtype.kind() == crate::dtype::Kind::Int;
            let max = if signed { (1 << (bits - 1)) - 1 } else { (1 << bits) - 1 };
            let mut all = vec![0, 1, 2, 3, 7, 10, 100, bits - 1, bits, max, max - 1, max / 2];
            if signed {
                all.extend([-1, -2, -3, -7, -100, -bits, -max, -max - 1]);
            }
            all.into_iter().map(|v| Scalar::int(dtype, v)).collect()
        }
    }
}

const FLOATS: [f64; 27] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.5,
    1.5,
    2.5,
    -2.5,
    3.5,
    2.0,
    -3.0,
    7.25,
    -7.25,
    10.0,
    0.1,
    -0.1,
    1e-3,
    1000.3,
    0.9999999,
    1e8,
    -1e8,
    1e-30,
    1e30,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

/// Every combination of one value from each list.
pub fn product(lists: &[Vec<Scalar>]) -> Vec<Vec<Scalar>> {
    let start = vec![Vec::new()];
    lists.iter().fold(start, |rows, list| {
        let longer = |row: &Vec<Scalar>, v: Scalar| row.iter().copied().chain([v]).collect();
        rows.iter().flat_map(|row| list.iter().map(move |&v| longer(row, v))).collect()
    })
}

/// Equal bits, or both NaN (of which there are many).
pub fn same(a: Scalar, b: Scalar) -> bool {
    let part = |x: f64, y: f64| x.to_bits() == y.to_bits() || x.is_nan() && y.is_nan();
    if a.dtype != b.dtype {
        return false;
    }
    if a.dtype.is_float() || a.dtype.is_complex() {
        let ((ar, ai), (br, bi)) = (a.as_c128(), b.as_c128());
        return part(ar, br) && part(ai, bi);
    }
    a == b
}
