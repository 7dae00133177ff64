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

/// `u = sqrt(u) * u + u[neighbours]`, periodic: each round reads the one before shifted and as it is.
#[test]
fn rounds_that_read_shifted_values_do_not_grow_into_each_other() {
    use legate_jit_ir::View;
    use legate_jit_ir::view::AxisMap;
    let n = 1000;
    let whole = Type::new(DType::F64, &[n]);
    let window = |lo: i64, n: usize| View {
        shape: [n].into_iter().collect(),
        axes: [AxisMap::along(lo, 0, 1)].into_iter().collect(),
    };
    let mut g = Graph { name: "periodic".into(), donated: vec![false], ..Graph::default() };
    let mut u = g.push(Op::Input(0), &[], whole.clone());
    let rounds = 100;
    for _ in 0..rounds {
        let most = g.push(Op::View(window(1, n - 1)), &[u], Type::new(DType::F64, &[n - 1]));
        let first = g.push(Op::View(window(0, 1)), &[u], Type::new(DType::F64, &[1]));
        let shifted = g.push(Op::Update(window(0, n - 1)), &[u, most], whole.clone());
        let shifted = g.push(Op::Update(window(n as i64 - 1, 1)), &[shifted, first], whole.clone());
        let root = g.push(Op::Map(Ufunc::Sqrt), &[u], whole.clone());
        let product = g.push(Op::Map(Ufunc::Multiply), &[root, u], whole.clone());
        u = g.push(Op::Map(Ufunc::Add), &[product, shifted], whole.clone());
    }
    g.outputs = vec![u];
    let plan = compile(&g, &Cx::default()).unwrap();
    let longest = plan.kernels.iter().map(|k| k.body.insts.len()).max().unwrap();
    assert!(longest <= 20, "a body of {longest} instructions is more than a round's");
    assert!(plan.kernels.len() <= 12, "rounds that are alike have few kernels, not {}", plan.kernels.len());
    witness::same_plan(&g, &plan);
}
