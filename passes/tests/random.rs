//! Random graphs through the passes.

mod support;

use legate_jit_ir::arbitrary::{self, Choices, Options};
use legate_jit_ir::{Graph, verify};
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
