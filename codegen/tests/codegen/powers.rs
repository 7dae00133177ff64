//! Powers to exponents that have ways of their own: the interpreter's bits, where those ways hold and where they do not.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::special;
use legate_jit_ir::{Body, DType, InnerStride, Kernel, Scalar, Ufunc};

use crate::harness::{Array, Bench, load_access, read, write};

/// `out = x ** c` and `more = y ** c * x`.
fn kernel(op: Ufunc, dtype: DType, c: Scalar) -> Kernel {
    let mut body = Body::default();
    let (x, y) = (load_access(&mut body, 0, dtype), load_access(&mut body, 1, dtype));
    let c = body.push(Op::Const(c), dtype);
    let mut map = |op, x, y| body.push(Op::Map(op, [x, y].into_iter().collect()), dtype);
    let (out, more) = (map(op, x, c), map(op, y, c));
    let more = map(Ufunc::Multiply, more, x);
    body.stores = vec![(2, out), (3, more)];
    let unit = InnerStride::Unit;
    let accesses = vec![read(dtype, unit), read(dtype, unit), write(dtype, unit), write(dtype, unit)];
    Kernel { rank: 1, accesses, scalars: vec![], body }
}

#[test]
fn powers_with_ways_of_their_own() {
    let bench = Bench::all();
    for dtype in [DType::F64, DType::F32] {
        let of = |x: f64| if dtype == DType::F32 { Scalar::f32(x as f32) } else { Scalar::f64(x) };
        // Vectors within all reaches, then such with one other lane, then anything.
        let spread = (0..400).map(|i| {
            let t = (i as f64 * 0.618_033_988_749_894_9).fract();
            let sign = if i % 5 == 4 && i > 160 { -1.0 } else { 1.0 };
            of(sign * (1.0 + t) * if i < 240 && i % 19 != 18 { 1.0 } else { 2f64.powi(7 * (i % 160) - 560) })
        });
        let x: Vec<Scalar> = spread.chain(special::values(dtype)).collect();
        for twice in -17..=17 {
            let exponent = of(twice as f64 / 2.0);
            for op in [Ufunc::Power, Ufunc::FloatPower] {
                if op == Ufunc::FloatPower && (dtype == DType::F32 || twice % 5 != 0) {
                    continue;
                }
                let backwards: Vec<Scalar> = x.iter().rev().copied().collect();
                let arrays =
                    [Array::of(&x), Array::of(&backwards), Array::blank(dtype, x.len()), Array::blank(dtype, x.len())];
                let what = format!("{dtype} ** {}", twice as f64 / 2.0);
                bench.check(&what, &kernel(op, dtype, exponent), &arrays, &[], &[0], &[x.len()]);
            }
        }
    }
}
