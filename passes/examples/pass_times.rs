//! The time of each pass on graphs that `LEGATE_JIT_DUMP=capture@DIR` has written.
//!
//!     cargo run --release -p legate-jit-passes --example pass_times -- DIR/0001/00-capture.graph …

use std::time::Instant;

use legate_jit_passes::Cx;
use legate_jit_passes::pipeline::{PASSES, State};

fn main() {
    for path in std::env::args().skip(1) {
        let file = std::fs::read_to_string(&path).expect("a file");
        let graph = file.parse::<legate_jit_ir::Graph>().expect("a graph");
        print!("{path}: {} nodes", graph.nodes.len());
        // The second time is that of a process that has the rules ready.
        for again in [false, true] {
            let mut state = State { graph: graph.clone(), plan: None };
            for pass in PASSES {
                let start = Instant::now();
                state.run(pass, &Cx::default()).expect("a valid graph");
                if again {
                    print!(", {} {:.2} ms", pass.name, start.elapsed().as_secs_f64() * 1e3);
                }
            }
        }
        println!();
    }
}
