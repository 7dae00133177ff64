//! Several rounds of a loop as one graph.
//!
//! A loop that asks for a value in every round is recorded as the same graph again and again, each round's inputs being the
//! round's before. One graph of several rounds is what lets the executor pass over memory once for all of them.

use legate_jit_ir::graph::Op;
use legate_jit_ir::{Graph, Value};

/// What an input of a round is in terms of the round before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    Output(u32),
    /// The same number: what does not change.
    Input(u32),
}

/// The graph of so many rounds (at least one). `links` has one entry for each input. The outputs are those `wanted` says, given
/// a round and the number of an output, in order of the rounds. No input may be overwritten. `None` where a link leads to an
/// input that the graph does not have.
pub fn unroll(graph: &Graph, links: &[Link], rounds: usize, wanted: impl Fn(usize, usize) -> bool) -> Option<Graph> {
    let mut out = Graph { name: format!("{} ×{rounds}", graph.name), ..Graph::default() };
    // The inputs of the round at hand; in the first one they are the graph's own.
    let mut inputs: Vec<Option<Value>> = vec![None; links.len()];
    for (node, n) in graph.nodes.iter().filter_map(|node| match node.op {
        Op::Input(n) => Some((node, n)),
        _ => None,
    }) {
        inputs[n as usize] = Some(out.push(Op::Input(n), &[], node.ty.clone()));
    }
    let mut results: Vec<Value> = Vec::new();
    for round in 0..rounds {
        if round > 0 {
            inputs = links
                .iter()
                .map(|link| match *link {
                    Link::Output(m) => Some(results[m as usize]),
                    Link::Input(n) => inputs[n as usize],
                })
                .collect();
        }
        let mut new: Vec<Value> = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            new.push(match node.op {
                Op::Input(n) => inputs[n as usize]?,
                ref op => {
                    let args: Vec<Value> = node.args.iter().map(|a| new[a.index()]).collect();
                    out.push(op.clone(), &args, node.ty.clone())
                }
            });
        }
        results = graph.outputs.iter().map(|o| new[o.index()]).collect();
        out.outputs.extend((0..results.len()).filter(|&m| wanted(round, m)).map(|m| results[m]));
    }
    out.donated = vec![false; graph.donated.len()];
    Some(out.without_dead())
}

#[cfg(test)]
mod tests {
    use super::*;
    use legate_jit_ir::graph::Type;
    use legate_jit_ir::{DType, Scalar, Tensor, Ufunc, interp};

    #[test]
    fn rounds_follow_each_other() {
        // (a, b) -> (a + b, a): Fibonacci, with an input that is last round's output and one that is last round's input.
        let ty = Type::new(DType::I64, &[2]);
        let mut g = Graph { name: "round".into(), donated: vec![true, false], ..Graph::default() };
        let a = g.push(Op::Input(0), &[], ty.clone());
        let b = g.push(Op::Input(1), &[], ty.clone());
        let sum = g.push(Op::Map(Ufunc::Add), &[a, b], ty.clone());
        g.outputs = vec![sum];
        let links = [Link::Output(0), Link::Input(0)];
        let rounds = unroll(&g, &links, 5, |_, _| true).unwrap();
        let pair = |x: i64, y: i64| Tensor::from_elements(DType::I64, &[2], [x, y].map(Scalar::i64));
        let results = interp::run(&rounds, &[pair(1, 10), pair(1, 20)], &[]).unwrap();
        let expected = [pair(2, 30), pair(3, 40), pair(5, 70), pair(8, 110), pair(13, 180)];
        assert_eq!(results, expected);
        assert_eq!(unroll(&g, &links, 5, |round, _| round == 4).unwrap().outputs.len(), 1);
    }
}
