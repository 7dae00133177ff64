//! The first rewrite of a process, when rules are compiled, beside the second.

use std::time::Instant;

use legate_jit_ir::graph::Op;
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Graph, Scalar, Type, Ufunc, View};
use legate_jit_passes::Cx;
use legate_jit_passes::rewrite::rewrite;

fn main() {
    let mut g = Graph::default();
    let ty = Type::new(DType::F64, &[98]);
    let p = g.push(Op::Input(0), &[], Type::new(DType::F64, &[100]));
    let c = g.push(Op::Const(Scalar::f64(4.0)), &[], Type::new(DType::F64, &[]));
    let c = g.push(Op::View(View::broadcast(&[], &[98])), &[c], ty.clone());
    let view = |at| View { shape: ty.shape.clone(), axes: [AxisMap::along(at, 0, 1)].into_iter().collect() };
    let l = g.push(Op::View(view(0)), &[p], ty.clone());
    let r = g.push(Op::View(view(2)), &[p], ty.clone());
    let s = g.push(Op::Map(Ufunc::Add), &[l, r], ty.clone());
    let q = g.push(Op::Map(Ufunc::Divide), &[s, c], ty.clone());
    g.outputs = vec![q];
    let cx = Cx { verify: false, ..Cx::default() };
    for round in ["first", "second", "third"] {
        let t = Instant::now();
        let (_, fired) = rewrite(&g, &cx).expect("valid");
        println!("{round}: {:.0} µs, {fired:?}", t.elapsed().as_secs_f64() * 1e6);
    }
}
