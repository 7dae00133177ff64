//! Large graphs: no recursion that a deep one could overflow, no body that a compiler would choke on.

mod support;

use legate_jit_ir::graph::Op;
use legate_jit_ir::{DType, Graph, Type, Ufunc};
use legate_jit_passes::{Cx, compile};
use support::witness;

#[test]
fn a_deep_chain_is_cut_into_bodies() {
    let mut g = Graph { name: "deep".into(), donated: vec![false], ..Graph::default() };
    let ty = Type::new(DType::F64, &[2]);
    let x = g.push(Op::Input(0), &[], ty.clone());
    let mut y = x;
    for i in 0..10_000 {
        y = match i % 3 {
            0 => g.push(Op::Map(Ufunc::Add), &[y, x], ty.clone()),
            1 => g.push(Op::Map(Ufunc::Sqrt), &[y], ty.clone()),
            _ => g.push(Op::Map(Ufunc::Negative), &[y], ty.clone()),
        };
    }
    g.outputs = vec![y];
    let plan = compile(&g, &Cx::default()).unwrap();
    let longest = plan.kernels.iter().map(|k| k.body.insts.len()).max().unwrap();
    assert!(longest <= 500, "a body of {longest} instructions");
    assert!(plan.kernels.len() <= 10, "a chain that repeats needs few kernels, not {}", plan.kernels.len());
    witness::same_plan(&g, &plan);
}
