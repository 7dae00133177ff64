//! Every operation of the table at every signature and every combination of special values: the compiled code has the
//! interpreter's bits.

use legate_jit_codegen::Error;
use legate_jit_ir::ufunc::special;
use legate_jit_ir::{DType, Scalar, Ufunc};

use crate::harness::{Array, Bench, one_op};

fn check(bench: &Bench, op: Ufunc) {
    for signature in op.signatures() {
        let kernel = one_op(op, signature.ins(), signature.out);
        if let Err(Error::Unsupported(_)) = bench.workshops[0].1.compile(&kernel, &mut ()) {
            assert!(matches!(op, Ufunc::Gcd | Ufunc::Lcm), "{} is not compiled", op.name());
            continue;
        }
        let lists: Vec<Vec<Scalar>> = signature.ins().iter().map(|&d| special::values(d)).collect();
        let rows: Vec<Vec<Scalar>> =
            special::product(&lists).into_iter().filter(|args| op.eval(args).is_some()).collect();
        // An odd number of rounds moves each combination through different lanes, and through the rest of the row.
        let mut arrays: Vec<Array> =
            (0..lists.len()).map(|i| Array::of(&rows.iter().map(|row| row[i]).collect::<Vec<_>>())).collect();
        arrays.push(Array::blank(signature.out, rows.len()));
        let what = format!("{} of {:?}", op.name(), signature.ins());
        bench.check(&what, &kernel, &arrays, &[], &[0], &[rows.len()]);
    }
}

macro_rules! tests {
    ($($name:ident $range:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let bench = Bench::all();
                let range: std::ops::Range<usize> = $range;
                for &op in &Ufunc::ALL[range.start..range.end.min(Ufunc::ALL.len())] {
                    check(&bench, op);
                }
            }
        )*
    };
}

// In parts, so that they run side by side.
tests! {
    arithmetic 0..12;
    rounding_and_parts 12..22;
    exponentials 22..35;
    angles 35..52;
    bits_and_comparisons 52..68;
    the_rest 68..Ufunc::ALL.len();
}

#[test]
fn chains_of_operations_keep_their_order() {
    // (a + b) + c and a + (b + c) differ at these values, and a·b + c is no fused operation.
    use legate_jit_ir::kernel::Op;
    use legate_jit_ir::{Body, InnerStride, Kernel};
    let bench = Bench::all();
    let f = DType::F64;
    let mut body = Body::default();
    let [a, b, c] = [0, 1, 2].map(|i| crate::harness::load_access(&mut body, i, f));
    let map = |body: &mut Body, op, x, y| body.push(Op::Map(op, [x, y].into_iter().collect()), f);
    let ab = map(&mut body, Ufunc::Add, a, b);
    let left = map(&mut body, Ufunc::Add, ab, c);
    let product = map(&mut body, Ufunc::Multiply, a, b);
    let fused = map(&mut body, Ufunc::Add, product, c);
    body.stores = vec![(3, left), (4, fused)];
    let mut accesses = vec![crate::harness::read(f, InnerStride::Unit); 3];
    accesses.extend([crate::harness::write(f, InnerStride::Unit); 2]);
    let kernel = Kernel { rank: 1, accesses, scalars: vec![], body };
    let values = |f: fn(usize) -> f64| Array::of(&(0..67).map(|i| Scalar::f64(f(i))).collect::<Vec<_>>());
    let arrays = [
        values(|i| 1.0 + i as f64 * 1e-9),
        values(|i| 1e16 - i as f64),
        values(|i| -1e16 + 3.0 * i as f64),
        Array::blank(f, 67),
        Array::blank(f, 67),
    ];
    bench.check("chains", &kernel, &arrays, &[], &[0], &[67]);
}

#[test]
fn a_long_chain_runs_several_vectors_side_by_side() {
    use legate_jit_ir::kernel::Op;
    use legate_jit_ir::{Body, InnerStride, Kernel};
    let bench = Bench::all();
    let f = DType::F64;
    let mut body = Body::default();
    let [x, y] = [0, 1].map(|i| crate::harness::load_access(&mut body, i, f));
    let mut z = x;
    for k in 0..100 {
        let op = if k % 2 == 0 { Ufunc::Multiply } else { Ufunc::Add };
        z = body.push(Op::Map(op, [z, y].into_iter().collect()), f);
    }
    body.stores = vec![(2, z)];
    let mut accesses = vec![crate::harness::read(f, InnerStride::Unit); 2];
    accesses.push(crate::harness::write(f, InnerStride::Unit));
    let kernel = Kernel { rank: 1, accesses, scalars: vec![], body };
    for n in [1, 7, 16, 31, 67] {
        let values = |f: fn(usize) -> f64| Array::of(&(0..n).map(|i| Scalar::f64(f(i))).collect::<Vec<_>>());
        let arrays = [values(|i| 1.0 + i as f64 / 7.0), values(|i| 0.9 - i as f64 / 300.0), Array::blank(f, n)];
        bench.check("long chain", &kernel, &arrays, &[], &[0], &[n]);
    }
}
