//! Random graphs through the passes.

mod support;

use legate_jit_ir::arbitrary::{self, Choices, Options};
use legate_jit_ir::graph::{Graph, Op, Type};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Scalar, Ufunc, View, verify};
use legate_jit_passes::canonicalize::canonicalize;
use legate_jit_passes::rewrite::rewrite;
use legate_jit_passes::{Cx, Math, compile};
use proptest::prelude::*;
use support::witness;

fn graph(bytes: &[u8]) -> Graph {
    let options = Options { nodes: 8 + bytes.len() / 10, ..Options::default() };
    let graph = arbitrary::graph(&mut Choices::new(bytes), &options);
    verify::graph(&graph).unwrap_or_else(|e| panic!("the generator made a bad graph: {e}\n{graph}"));
    graph
}

proptest! {
    #[test]
    fn the_text_form_is_faithful(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let graph = graph(&bytes);
        prop_assert_eq!(graph.to_string().parse::<Graph>().unwrap(), graph);
    }

    #[test]
    fn canonical_graphs_are_valid_and_stay_as_they_are(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let cx = Cx::default();
        let graph = graph(&bytes);
        let once = canonicalize(&graph, &cx).unwrap();
        verify::graph(&once).unwrap_or_else(|e| panic!("{e}\n{once}"));
        witness::same(&graph, &once);
        let twice = canonicalize(&once, &cx).unwrap();
        prop_assert_eq!(once.to_string(), twice.to_string());
    }

    #[test]
    fn rewritten_graphs_are_valid(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for math in [Math::Exact, Math::Relaxed] {
            let cx = Cx { math, ..Cx::default() };
            let graph = canonicalize(&graph(&bytes), &cx).unwrap();
            let (rewritten, _) = rewrite(&graph, &cx).unwrap();
            verify::graph(&rewritten).unwrap_or_else(|e| panic!("{e}\n{rewritten}"));
            if math == Math::Exact {
                witness::same(&graph, &rewritten);
            }
        }
    }

    #[test]
    fn everything_compiles(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let graph = graph(&bytes);
        let plan = compile(&graph, &Cx::default()).unwrap_or_else(|e| panic!("{e}\n{graph}"));
        witness::same_plan(&graph, &plan);
    }
}

/// Windows written over an array one after the other, some of them with what is read of it: what is never seen is left out, and
/// nothing else.
fn windows(bytes: &[u8]) -> Graph {
    let (rows, columns) = (7, 6);
    let whole = Type::new(DType::F64, &[rows, columns]);
    let mut graph = Graph { donated: vec![bytes.len().is_multiple_of(2)], ..Graph::default() };
    let mut array = graph.push(Op::Input(0), &[], whole.clone());
    let mut outputs = Vec::new();
    for chunk in bytes.chunks_exact(5) {
        let along = |byte: u8, n: usize| {
            let length = 1 + (byte as usize / 16) % n;
            (byte as usize % 16 % (n - length + 1), length)
        };
        let ((y, height), (x, width)) = (along(chunk[0], rows), along(chunk[1], columns));
        let shape = [height, width];
        let at = |y: usize, x: usize| View {
            shape: shape.as_slice().into(),
            axes: [y, x].iter().enumerate().map(|(k, &s)| AxisMap::along(s as i64, k, 1)).collect(),
        };
        let ty = Type::new(DType::F64, &shape);
        let (from_y, from_x) = (chunk[2] as usize % (rows - height + 1), chunk[3] as usize % (columns - width + 1));
        let value = graph.push(Op::View(at(from_y, from_x)), &[array], ty.clone());
        let value = match chunk[4] % 4 {
            0 => value,
            1 => graph.push(Op::Map(Ufunc::Add), &[value, value], ty),
            _ => {
                let number = graph.push(Op::Const(Scalar::f64(chunk[4] as f64)), &[], Type::new(DType::F64, &[]));
                graph.push(Op::View(View::broadcast(&[], &shape)), &[number], ty)
            }
        };
        array = graph.push(Op::Update(at(y, x)), &[array, value], whole.clone());
        if chunk[4] > 240 {
            outputs.push(array);
        }
    }
    outputs.push(array);
    graph.outputs = outputs;
    graph
}

proptest! {
    #[test]
    fn windows_over_windows(bytes in prop::collection::vec(any::<u8>(), 5..80)) {
        let graph = windows(&bytes);
        verify::graph(&graph).unwrap();
        // As it is, and in the form in which the passes see it.
        let plan = legate_jit_passes::fuse::fuse(&graph).unwrap();
        verify::plan(&plan).unwrap_or_else(|e| panic!("{e}\n{plan}"));
        witness::same_plan(&graph, &plan);
        witness::same_plan(&graph, &compile(&graph, &Cx::default()).unwrap());
    }
}
