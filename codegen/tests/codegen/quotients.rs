//! Quotients by one number for a whole row: the bits of the division, where they are hard to tell and where nothing is in range.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::{Body, DType, InnerStride, Kernel, Scalar, Ufunc};

use crate::harness::{Array, Bench, load_access, read, write};

/// Where the divisor comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Divisor {
    Row,
    Scalar,
    Constant(Scalar),
}

/// What becomes of the quotients.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Stored,
    /// Their nearest integers are.
    Rounded,
    /// Those of the first only; the second is stored.
    OneRounded,
}

/// `out = x / d` and `more = y / d`, over rows. The divisor is access 2, or a scalar, or a constant.
fn kernel(dtype: DType, divisor: Divisor, then: Then) -> Kernel {
    let mut body = Body::default();
    let (x, y) = (load_access(&mut body, 0, dtype), load_access(&mut body, 1, dtype));
    let row = load_access(&mut body, 2, dtype);
    let d = match divisor {
        Divisor::Row => row,
        Divisor::Scalar => body.push(Op::Scalar(0), dtype),
        Divisor::Constant(c) => body.push(Op::Const(c), dtype),
    };
    for (k, x) in [x, y].into_iter().enumerate() {
        let mut quotient = body.push(Op::Map(Ufunc::Divide, [x, d].into_iter().collect()), dtype);
        if then == Then::Rounded || then == Then::OneRounded && k == 0 {
            quotient = body.push(Op::Map(Ufunc::Rint, [quotient].into_iter().collect()), dtype);
        }
        body.stores.push((3 + k as u32, quotient));
    }
    let unit = InnerStride::Unit;
    let accesses = vec![
        read(dtype, unit),
        read(dtype, unit),
        read(dtype, InnerStride::Zero),
        write(dtype, unit),
        write(dtype, unit),
    ];
    let scalars = if divisor == Divisor::Scalar { vec![dtype] } else { vec![] };
    Kernel { rank: 2, accesses, scalars, body }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 11) % n
    }
}

/// A format's bits of mantissa, its bias, and its number of bits.
fn format(dtype: DType) -> (u32, i64, u32) {
    if dtype == DType::F32 { (23, 127, 32) } else { (52, 1023, 64) }
}

fn of_bits(dtype: DType, bits: u64) -> Scalar {
    Scalar { dtype, bits: [bits, 0] }
}

/// ± mantissa · 2^exponent, where the mantissa has all its bits and the exponent is that of its leading one.
fn number(dtype: DType, mantissa: u64, exponent: i64, negative: bool) -> Scalar {
    let (m, bias, bits) = format(dtype);
    let exponent = (exponent + bias).clamp(0, 2 * bias + 1) as u64;
    of_bits(dtype, (negative as u64) << (bits - 1) | exponent << m | mantissa & ((1 << m) - 1))
}

/// A mantissa x for which x / d is next to the middle between two numbers: as near as x can be.
fn near_a_middle(random: &mut Random, dtype: DType, d: u64) -> u64 {
    let (m, ..) = format(dtype);
    let quotient = (1 << m) + random.below(1 << m);
    let product = d as u128 * (2 * quotient as u128 + 1);
    let shift = 128 - product.leading_zeros() - (m + 1);
    let rounded = ((product >> (shift - 1)) + 1) >> 1;
    (rounded as u64).wrapping_add(random.below(3)).wrapping_sub(1)
}

/// What is no ordinary number, and what lies at the ends of any range that code might have.
fn odd_ones(dtype: DType) -> Vec<Scalar> {
    let (m, bias, bits) = format(dtype);
    let mut all: Vec<u64> = vec![0, 1, 2, (1 << m) - 1, 1 << m, (1 << m) + 1];
    let infinite = (2 * bias as u64 + 1) << m;
    all.extend([infinite - 1, infinite, infinite | 1 << (m - 1)]);
    let ends: &[i64] = if dtype == DType::F32 { &[-63, -38, 40, 65] } else { &[-480, -470, 500, 554] };
    let near_an_end = |e: &i64| ends.iter().any(|end| (e - end).abs() < 3);
    for exponent in (-bias + 1..=bias).filter(|e| e % 10 == 0 || (e.abs() < 3) || near_an_end(e)) {
        let one = ((exponent + bias) as u64) << m;
        all.extend([one - 1, one, one + 1]);
    }
    all.iter().flat_map(|&b| [of_bits(dtype, b), of_bits(dtype, b | 1 << (bits - 1))]).collect()
}

fn check(bench: &Bench, dtype: DType, divisor: Divisor, x: &[Scalar], rows: &[Scalar]) {
    check_then(bench, dtype, divisor, Then::Stored, x, rows);
}

fn check_then(bench: &Bench, dtype: DType, divisor: Divisor, then: Then, x: &[Scalar], rows: &[Scalar]) {
    let size = dtype.size() as i64;
    let compiled_for = kernel(dtype, divisor, then);
    let compiled = bench.compile("quotients", &compiled_for);
    for n in [1, 7, 16, 33, x.len()] {
        let with = |values: &[Scalar], strides: [i64; 2]| Array { strides: strides.to_vec(), ..Array::of(values) };
        let backwards: Vec<Scalar> = x[..n].iter().rev().copied().collect();
        let out = Array::blank(dtype, n * rows.len());
        let out = Array { strides: vec![n as i64 * size, size], ..out };
        let arrays = [with(&x[..n], [0, size]), with(&backwards, [0, size]), with(rows, [size, 0]), out.clone(), out];
        match divisor {
            Divisor::Scalar => {
                for &d in rows {
                    let one = [&arrays[..2], &[with(&[d], [size, 0])], &arrays[3..]].concat();
                    compiled.check(&format!("{n} / {d:?}"), &one, &[d], &[0, 0], &[1, n]);
                }
            }
            _ => compiled.check(&format!("{divisor:?}, {n}"), &arrays, &[], &[0, 0], &[rows.len(), n]),
        }
    }
}

#[test]
fn quotients_that_are_hard_to_round() {
    let bench = Bench::new(&["x86-64-v3", "x86-64-v4"]);
    let random = &mut Random(0x1234_5678_9abc_def1);
    for dtype in [DType::F32, DType::F64] {
        let (m, ..) = format(dtype);
        for round in 0..40 {
            // Mantissas of all kinds: few bits, nearly two, anything.
            let d = match round % 4 {
                0 => (1 << m) + 1 + random.below(1 << (m / 2)),
                1 => (2 << m) - 1 - random.below(1 << (m / 2)),
                _ => (1 << m) + random.below(1 << m),
            };
            let exponent = random.below(20) as i64 - 10;
            let divisor = number(dtype, d, exponent, random.below(2) == 1);
            let x: Vec<Scalar> = (0..3000)
                .map(|_| {
                    let x = near_a_middle(random, dtype, d);
                    number(dtype, x, random.below(20) as i64 - 10, random.below(2) == 1)
                })
                .collect();
            check(&bench, dtype, Divisor::Row, &x, &[divisor]);
            // At the ends of the ranges in which nothing is divided, and beyond them.
            let ends: [[i64; 2]; 4] = match dtype {
                DType::F32 => [[-38, -63], [-38, 30], [39, -63], [39, 65]],
                _ => [[-480, -470], [-480, 400], [499, -470], [499, 554]],
            };
            for [of_divisor, of_quotient] in ends {
                let divisor = number(dtype, d, of_divisor + random.below(3) as i64 - 1, random.below(2) == 1);
                let near = of_divisor + of_quotient;
                let mut one = |x: u64| number(dtype, x, near + random.below(5) as i64 - 2, random.below(2) == 1);
                let others = &mut Random(d ^ near as u64 | 1);
                let x: Vec<Scalar> = (0..200).map(|_| one(near_a_middle(others, dtype, d))).collect();
                check(&bench, dtype, Divisor::Row, &x, &[divisor]);
            }
            if round % 8 == 2 {
                check(&bench, dtype, Divisor::Scalar, &x, &[divisor]);
                check(&bench, dtype, Divisor::Constant(divisor), &x, &[divisor]);
            }
        }
    }
}

#[test]
fn quotients_at_the_ends_of_the_ranges() {
    let bench = Bench::all();
    let random = &mut Random(0xfeed_5678_9abc_def1);
    for dtype in [DType::F32, DType::F64] {
        let (m, bias, _) = format(dtype);
        let mut x = odd_ones(dtype);
        // Vectors of nothing but ordinary numbers, and such with one other among them.
        let mut any = |spread: i64| {
            let exponent = random.below(2 * spread as u64 + 1) as i64 - spread;
            number(dtype, random.below(1 << m), exponent, random.below(2) == 1)
        };
        x.extend((0..64).map(|_| any(5)));
        x.extend((0..500).map(|_| any(bias + 1)));
        let mut rows = odd_ones(dtype);
        rows.extend((0..30).map(|_| any(bias + 1)));
        let third = number(dtype, 0x5555_5555_5555_5555, 0, false);
        check(&bench, dtype, Divisor::Row, &x, &rows);
        check(&bench, dtype, Divisor::Scalar, &x, &rows[..60]);
        for c in [third, rows[3], rows[rows.len() - 1], of_bits(dtype, 0), number(dtype, 0, 3, true)] {
            check(&bench, dtype, Divisor::Constant(c), &x, &rows[..1]);
        }
    }
}

/// Quotients whose nearest integer is asked for: next to the middle between two, small and large ones, and what is out of range.
#[test]
fn nearest_integers_of_quotients() {
    let bench = Bench::all();
    let random = &mut Random(0xabcd_5678_9abc_def1);
    for dtype in [DType::F32, DType::F64] {
        let (m, bias, _) = format(dtype);
        let of = |x: f64| if dtype == DType::F32 { Scalar::f32(x as f32) } else { Scalar::f64(x) };
        let mut divisors: Vec<f64> = vec![1.0, 3.0, -0.7, 17.0, 1e-3, 16.9999, 1e30];
        divisors.extend((0..12).map(|_| (random.below(1 << 40) as f64 + 1.0) / 1e9));
        for (k, d) in divisors.into_iter().enumerate() {
            let divisor = of(d);
            let mut x = Vec::new();
            // Ordinary ones first, in whole vectors.
            x.extend((0..128).map(|_| of(d * (random.below(1 << 30) as f64 / 1e8 - 5.0))));
            for _ in 0..600 {
                let digits = (1 + random.below(m as u64 + 4)).min(52);
                let whole = random.below(1 << digits) as f64 - 1.0;
                let half = of((whole + 0.5) * d);
                let near = half.bits[0].wrapping_add(random.below(5)).wrapping_sub(2);
                x.push(of_bits(dtype, if dtype == DType::F32 { near & 0xffff_ffff } else { near }));
            }
            x.extend(odd_ones(dtype));
            for then in [Then::Rounded, Then::OneRounded] {
                check_then(&bench, dtype, Divisor::Row, then, &x, &[divisor, number(dtype, 0, bias + 1, false)]);
                if k < 4 {
                    check_then(&bench, dtype, Divisor::Scalar, then, &x, &[divisor]);
                    check_then(&bench, dtype, Divisor::Constant(divisor), then, &x, &[divisor]);
                }
            }
        }
    }
}
