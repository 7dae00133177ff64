//! How the time of canonicalisation and rewriting grows with the graph: a table, for graphs of three kinds.
//!
//!     cargo run --release -p legate-jit-passes --example rewrite_curve

use std::time::Instant;

use legate_jit_ir::arbitrary::{self, Choices, Options};
use legate_jit_ir::graph::{Op, Order, Reduce, Reducer};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Graph, Scalar, Type, Ufunc, View};
use legate_jit_passes::canonicalize::canonicalize;
use legate_jit_passes::rewrite::rewrite;
use legate_jit_passes::{Cx, Math, compile};

const SIZES: [usize; 8] = [20, 50, 100, 300, 1000, 3000, 10_000, 20_000];

/// Sweeps of Jacobi's method, each with its boundary writes: nothing to rewrite.
fn sweeps(nodes: usize) -> Graph {
    let mut g = Graph { name: "sweeps".into(), ..Graph::default() };
    let (whole, inner) = (Type::new(DType::F64, &[100, 100]), Type::new(DType::F64, &[98, 98]));
    let window =
        |lo: [i64; 2]| View { shape: inner.shape.clone(), axes: (0..2).map(|k| AxisMap::along(lo[k], k, 1)).collect() };
    let mut p = g.push(Op::Input(0), &[], whole.clone());
    let quarter = g.push(Op::Const(Scalar::f64(0.25)), &[], Type::new(DType::F64, &[]));
    let quarter = g.push(Op::View(View::broadcast(&[], &inner.shape)), &[quarter], inner.clone());
    while g.nodes.len() < nodes {
        let mut sum = g.push(Op::View(window([0, 1])), &[p], inner.clone());
        for lo in [[2, 1], [1, 0], [1, 2]] {
            let v = g.push(Op::View(window(lo)), &[p], inner.clone());
            sum = g.push(Op::Map(Ufunc::Add), &[sum, v], inner.clone());
        }
        let new = g.push(Op::Map(Ufunc::Multiply), &[quarter, sum], inner.clone());
        p = g.push(Op::Update(window([1, 1])), &[p, new], whole.clone());
    }
    g.outputs = vec![p];
    g
}

/// A chain in which every third operation can be simplified, with a sum at the end.
fn chain(nodes: usize) -> Graph {
    let mut g = Graph { name: "chain".into(), ..Graph::default() };
    let ty = Type::new(DType::F64, &[1000]);
    let x = g.push(Op::Input(0), &[], ty.clone());
    let constant = |g: &mut Graph, v: f64| {
        let c = g.push(Op::Const(Scalar::f64(v)), &[], Type::new(DType::F64, &[]));
        g.push(Op::View(View::broadcast(&[], &ty.shape)), &[c], ty.clone())
    };
    let (one, four) = (constant(&mut g, 1.0), constant(&mut g, 4.0));
    let mut y = x;
    while g.nodes.len() < nodes {
        y = g.push(Op::Map(Ufunc::Add), &[y, x], ty.clone());
        y = g.push(Op::Map(Ufunc::Divide), &[y, four], ty.clone());
        y = g.push(Op::Map(Ufunc::Multiply), &[y, one], ty.clone());
        y = g.push(Op::Map(Ufunc::Negative), &[y], ty.clone());
    }
    let sum = Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes: [0].into_iter().collect(), order: Order::Tree };
    let sum = g.push(Op::Reduce(sum), &[y], Type::new(DType::F64, &[]));
    g.outputs = vec![sum];
    g
}

/// Whatever the generator makes, with all operations as outputs' ancestors.
fn random(nodes: usize) -> Graph {
    let options = Options { nodes, ..Options::default() };
    let mut g = arbitrary::graph(&mut Choices::new(&arbitrary::bytes(1, 60 * nodes)), &options);
    g.outputs = (0..g.nodes.len() as u32).rev().step_by(3).map(legate_jit_ir::Value).collect();
    g
}

/// The shortest of some runs, in microseconds.
fn time(mut f: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    let start = Instant::now();
    for round in 0..50 {
        let t = Instant::now();
        f();
        best = best.min(t.elapsed().as_secs_f64() * 1e6);
        if round >= 2 && start.elapsed().as_secs_f64() > 0.3 {
            break;
        }
    }
    best
}

fn main() {
    let exact = Cx { verify: false, ..Cx::default() };
    let relaxed = Cx { math: Math::Relaxed, ..exact.clone() };
    println!(
        "{:8} {:>7} {:>7} {:>14} {:>12} {:>14} {:>14}",
        "graph", "nodes", "after", "canonicalize", "rewrite", "relaxed", "all passes"
    );
    for make in [sweeps, chain, random] {
        for nodes in SIZES {
            let graph = make(nodes);
            let mut canonical = graph.clone();
            let first = time(|| canonical = canonicalize(&graph, &exact).expect("valid"));
            let mut after = 0;
            let second = time(|| after = rewrite(&canonical, &exact).expect("valid").0.nodes.len());
            let third = time(|| drop(rewrite(&canonical, &relaxed)));
            let all = time(|| drop(compile(&graph, &exact)));
            let n = graph.nodes.len();
            println!("{:8} {n:7} {after:7} {first:11.1} µs {second:9.1} µs {third:11.1} µs {all:11.1} µs", graph.name,);
        }
    }
}
