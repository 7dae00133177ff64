//! Casts between all pairs of types at the special values, what lies outside the target's range included.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::special;
use legate_jit_ir::{Body, DType, InnerStride, Kernel};

use crate::harness::{Array, Bench, load_access, read, write};

#[test]
fn all_pairs_of_types() {
    let bench = Bench::all();
    for from in DType::ALL {
        for to in DType::ALL {
            let mut body = Body::default();
            let x = load_access(&mut body, 0, from);
            let y = body.push(Op::Cast(x), to);
            body.stores.push((1, y));
            let accesses = vec![read(from, InnerStride::Unit), write(to, InnerStride::Unit)];
            let kernel = Kernel { rank: 1, accesses, scalars: vec![], body };
            let values = special::values(from);
            let n = values.len();
            bench.check(
                &format!("{from} to {to}"),
                &kernel,
                &[Array::of(&values), Array::blank(to, n)],
                &[],
                &[0],
                &[n],
            );
        }
    }
}
