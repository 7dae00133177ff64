//! Bodies that end early where no lane can change any more, and comparisons of lengths: the bits of the whole body.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::{Body, DType, InnerStride, Kernel, Reg, Rounds, Scalar, Ufunc};

use crate::harness::{Array, Bench, load_access, read, write};

/// Rounds that are written out, and those that are a loop.
const ROUNDS: [usize; 2] = [12, 40];
const LENGTHS: [usize; 6] = [1, 7, 16, 33, 100, 515];

fn map(body: &mut Body, ufunc: Ufunc, args: &[Reg], dtype: DType) -> Reg {
    body.push(Op::Map(ufunc, args.iter().copied().collect()), dtype)
}

fn constant(body: &mut Body, c: Scalar) -> Reg {
    body.push(Op::Const(c), c.dtype)
}

/// How a program says which points go on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Style {
    /// `z = where(alive, step, z); count = where(alive, count + 1, count)`
    Alive,
    /// `z = where(done, z, step); count = count + !done`
    Done,
    /// `alive = alive & (|z| <= 2)` and then as `Alive`.
    Kept,
}

/// Rounds of z² + c, of complex numbers or of floats. `behind` has the counts computed after everything else.
fn rounds(n: usize, dtype: DType, style: Style, behind: bool) -> Kernel {
    let body = &mut Body::default();
    let mut z = load_access(body, 0, dtype);
    let c = load_access(body, 1, dtype);
    let mut count = constant(body, Scalar::i64(0));
    let one = constant(body, Scalar::i64(1));
    let bound = Scalar::int(dtype.real(), 2);
    let bound = constant(body, bound);
    let mut conditions = Vec::new();
    let mut alive_before = None;
    let counted = |body: &mut Body, condition: Reg, count: Reg| match style {
        Style::Alive | Style::Kept => {
            let more = map(body, Ufunc::Add, &[count, one], DType::I64);
            map(body, Ufunc::Where, &[condition, more, count], DType::I64)
        }
        Style::Done => {
            let goes_on = map(body, Ufunc::LogicalNot, &[condition], DType::Bool);
            let more = body.push(Op::Cast(goes_on), DType::I64);
            map(body, Ufunc::Add, &[count, more], DType::I64)
        }
    };
    for _ in 0..n {
        let length = map(body, Ufunc::Absolute, &[z], dtype.real());
        let comparison = if style == Style::Done { Ufunc::Greater } else { Ufunc::LessEqual };
        let mut condition = map(body, comparison, &[length, bound], DType::Bool);
        if let (Style::Kept, Some(before)) = (style, alive_before) {
            condition = map(body, Ufunc::BitwiseAnd, &[before, condition], DType::Bool);
        }
        alive_before = Some(condition);
        let square = map(body, Ufunc::Multiply, &[z, z], dtype);
        let step = map(body, Ufunc::Add, &[square, c], dtype);
        let [yes, no] = if style == Style::Done { [z, step] } else { [step, z] };
        z = map(body, Ufunc::Where, &[condition, yes, no], dtype);
        conditions.push(condition);
        if !behind {
            count = counted(body, condition, count);
        }
    }
    if behind {
        count = conditions.into_iter().fold(count, |count, condition| counted(body, condition, count));
    }
    body.stores.extend([(2, z), (3, count)]);
    let accesses = vec![
        read(dtype, InnerStride::Unit),
        read(dtype, InnerStride::Unit),
        write(dtype, InnerStride::Unit),
        write(DType::I64, InnerStride::Unit),
    ];
    Kernel { rank: 1, accesses, scalars: vec![], body: std::mem::take(body) }
}

fn number(dtype: DType, re: f64, im: f64) -> Scalar {
    match dtype {
        DType::F32 => Scalar::f32(re as f32),
        DType::F64 => Scalar::f64(re),
        DType::C64 => Scalar::c64(re as f32, im as f32),
        _ => Scalar::c128(re, im),
    }
}

#[test]
fn rounds_that_end() {
    let bench = Bench::all();
    for dtype in [DType::F32, DType::F64, DType::C64, DType::C128] {
        for style in [Style::Alive, Style::Done, Style::Kept] {
            for (n, behind) in ROUNDS.into_iter().flat_map(|n| [(n, false), (n, true)]) {
                check_rounds(&bench, n, dtype, style, behind);
            }
        }
    }
}

fn check_rounds(bench: &Bench, rounds_of: usize, dtype: DType, style: Style, behind: bool) {
    let what = format!("{rounds_of} {dtype} {style:?} {behind}");
    let kernel = rounds(rounds_of, dtype, style, behind);
    assert_eq!(Rounds::of(&kernel.body).is_some(), rounds_of == ROUNDS[1], "{what}");
    let compiled = bench.compile(&what, &kernel);
    for n in LENGTHS {
        // Neighbours are alike, so that whole vectors end; a few are NaN, and some never end.
        let points: Vec<Scalar> = (0..n)
            .map(|k| match k % 97 {
                13 => number(dtype, f64::NAN, 0.0),
                14 => number(dtype, f64::INFINITY, f64::NAN),
                r => number(dtype, (k / 32) as f64 * 0.3 - 2.0, r as f64 * 0.01),
            })
            .collect();
        let start = vec![number(dtype, 0.0, 0.0); n];
        let arrays = [Array::of(&start), Array::of(&points), Array::blank(dtype, n), Array::blank(DType::I64, n)];
        compiled.check(&what, &arrays, &[], &[0], &[n]);
    }
}

/// A polynomial by Horner's rule: its coefficients are scalar arguments, of which each round takes the next one.
#[test]
fn rounds_with_a_scalar_each() {
    let bench = Bench::all();
    for dtype in [DType::F32, DType::F64, DType::C128] {
        let body = &mut Body::default();
        let x = load_access(body, 0, dtype);
        let mut sum = body.push(Op::Scalar(0), dtype);
        for k in 1..90 {
            let coefficient = body.push(Op::Scalar(k), dtype);
            let product = map(body, Ufunc::Multiply, &[sum, x], dtype);
            sum = map(body, Ufunc::Add, &[product, coefficient], dtype);
        }
        body.stores.push((1, sum));
        assert!(Rounds::of(body).is_some());
        let accesses = vec![read(dtype, InnerStride::Unit), write(dtype, InnerStride::Unit)];
        let kernel = Kernel { rank: 1, accesses, scalars: vec![dtype; 90], body: std::mem::take(body) };
        let scalars: Vec<Scalar> = (0..90).map(|k| number(dtype, 1.0 - k as f64 * 0.02, 0.1)).collect();
        for n in LENGTHS {
            let points: Vec<Scalar> = (0..n).map(|k| number(dtype, 0.9 - k as f64 * 0.003, 0.2)).collect();
            let arrays = [Array::of(&points), Array::blank(dtype, n)];
            bench.check(&format!("{dtype}"), &kernel, &arrays, &scalars, &[0], &[n]);
        }
    }
}

#[test]
fn lengths_near_a_bound() {
    let bench = Bench::all();
    for dtype in [DType::C64, DType::C128] {
        let real = dtype.real();
        let eps = if real == DType::F32 { 2f64.powi(-23) } else { 2f64.powi(-52) };
        for bound in [2.0, 0.7, 1e-9, 3e12] {
            let mut points: Vec<Scalar> = (0..4000)
                .map(|k| {
                    let (turn, off) = ((k / 80) as f64 * 0.13, (k % 80) as f64 - 40.0);
                    let r = bound * (1.0 + off * eps / 4.0);
                    number(dtype, r * turn.cos(), r * turn.sin())
                })
                .collect();
            let special = [0.0, -0.0, 1.0, bound, -bound, f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::INFINITY, f64::NAN];
            points.extend(special.iter().flat_map(|&x| special.map(|y| number(dtype, x, y))));
            for comparison in [Ufunc::Less, Ufunc::LessEqual, Ufunc::Greater, Ufunc::GreaterEqual, Ufunc::Equal] {
                for turned in [false, true] {
                    let mut body = Body::default();
                    let z = load_access(&mut body, 0, dtype);
                    let length = map(&mut body, Ufunc::Absolute, &[z], real);
                    let bound = if real == DType::F32 { Scalar::f32(bound as f32) } else { Scalar::f64(bound) };
                    let bound = constant(&mut body, bound);
                    let args = if turned { [bound, length] } else { [length, bound] };
                    let result = map(&mut body, comparison, &args, DType::Bool);
                    body.stores.push((1, result));
                    let accesses = vec![read(dtype, InnerStride::Unit), write(DType::Bool, InnerStride::Unit)];
                    let kernel = Kernel { rank: 1, accesses, scalars: vec![], body };
                    let arrays = [Array::of(&points), Array::blank(DType::Bool, points.len())];
                    let what = format!("{dtype} {comparison:?} {turned}");
                    bench.check(&what, &kernel, &arrays, &[], &[0], &[points.len()]);
                }
            }
        }
    }
}
