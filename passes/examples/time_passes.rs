//! The time that each pass takes over a dumped graph: `cargo run --release -p legate-jit-passes --example time_passes -- FILE`.
//! The first round is what a fresh process pays.

use std::time::Instant;

use legate_jit_ir::Graph;
use legate_jit_passes::Cx;
use legate_jit_passes::pipeline::{PASSES, State};

fn main() {
    let path = std::env::args().nth(1).expect("a file with a graph");
    let text = std::fs::read_to_string(path).expect("a file that can be read");
    let graph: Graph = text.parse().expect("a graph");
    let cx = Cx { verify: false, ..Cx::default() };
    for round in 1..=3 {
        let mut state = State { graph: graph.clone(), plan: None };
        for pass in PASSES {
            let t = Instant::now();
            state.run(pass, &cx).expect("valid");
            println!("{round} {:<14}{:8.2} ms", pass.name, t.elapsed().as_secs_f64() * 1e3);
        }
    }
}
