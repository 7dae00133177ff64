//! Launches worked off row by row against one launch after the other.

use legate_jit_ir::graph::{Graph, Op, Order, Reduce, Reducer, Type};
use legate_jit_ir::plan::Step;
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Ufunc, Value, View};
use legate_jit_passes::Cx;

use super::super::sample::input;
use super::super::{Action, Prepared};
use crate::Tier;

/// What of the array belongs together.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Over {
    /// The last axis: a row knows nothing of the others.
    Last,
    /// All axes but the first.
    AllButFirst,
    /// The axis before the last one.
    BeforeLast,
    /// The first axis: every row is asked for.
    First,
}

impl Over {
    fn axes(self, rank: usize) -> Vec<usize> {
        match self {
            Over::Last => vec![rank - 1],
            Over::AllButFirst => (1..rank).collect(),
            Over::BeforeLast => vec![rank - 2],
            Over::First => vec![0],
        }
    }
}

fn reduce(g: &mut Graph, dtype: DType, op: Ufunc, v: Value, shape: &[usize], over: &[usize]) -> Value {
    let kept: Vec<usize> = (0..shape.len()).filter(|d| !over.contains(d)).collect();
    let small: Vec<usize> = kept.iter().map(|&d| shape[d]).collect();
    let axes = over.iter().map(|&d| d as u32).collect();
    let order = Order::Tree;
    let reduced =
        g.push(Op::Reduce(Reduce { reducer: Reducer::Ufunc(op), axes, order }), &[v], Type::new(dtype, &small));
    // Back to the array's shape.
    let axes = kept.iter().map(|&d| AxisMap::along(0, d, 1)).collect();
    g.push(Op::View(View { shape: shape.into(), axes }), &[reduced], Type::new(dtype, shape))
}

/// d = x − max(x); y = scale · d / sum(d²), where `scale` is one number for each point of the last axis.
fn program(dtype: DType, shape: &[usize], over: Over) -> Graph {
    let ty = Type::new(dtype, shape);
    let last = shape.len() - 1;
    let mut g = Graph { donated: vec![false; 2], ..Graph::default() };
    let x = g.push(Op::Input(0), &[], ty.clone());
    let scale = g.push(Op::Input(1), &[], Type::new(dtype, &shape[last..]));
    let axes = [AxisMap::along(0, last, 1)].into_iter().collect();
    let scale = g.push(Op::View(View { shape: shape.into(), axes }), &[scale], ty.clone());
    let most = reduce(&mut g, dtype, Ufunc::Maximum, x, shape, &over.axes(shape.len()));
    let d = g.push(Op::Map(Ufunc::Subtract), &[x, most], ty.clone());
    let square = g.push(Op::Map(Ufunc::Square), &[d], ty.clone());
    let sum = reduce(&mut g, dtype, Ufunc::Add, square, shape, &over.axes(shape.len()));
    let scaled = g.push(Op::Map(Ufunc::Multiply), &[scale, d], ty.clone());
    let y = g.push(Op::Map(Ufunc::Divide), &[scaled, sum], ty);
    g.outputs.push(y);
    g
}

#[test]
fn blocks_of_rows_have_the_bits_of_one_launch_after_the_other() {
    for dtype in [DType::F64, DType::F32] {
        for shape in [&[700, 33][..], &[5, 101, 20], &[40, 7, 6, 5], &[3, 1, 300, 9], &[64, 500]] {
            for over in [Over::Last, Over::AllButFirst, Over::BeforeLast, Over::First] {
                if over == Over::BeforeLast && shape.len() == 2 {
                    continue;
                }
                let plan = legate_jit_passes::compile(&program(dtype, shape, over), &Cx::default()).unwrap();
                let together = Prepared::build(plan.clone(), Tier::Vm, true).unwrap();
                let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
                let case = format!("{dtype} {shape:?}, over: {over:?}");
                let is_by_rows = |a: &&Action| matches!(a, Action::Rowwise(_) | Action::Wavefront(_));
                let run = together.actions.iter().find(is_by_rows).map_or(0, |a| a.launches().len());
                let all = together.plan.steps.iter().filter(|s| matches!(s, Step::Launch(_))).count();
                match over {
                    Over::First => assert_eq!(run, 0, "{case}"),
                    Over::Last => assert_eq!(run, all, "{case}: {:?}", together.plan.steps),
                    // Few rows, or large ones, are left alone.
                    Over::AllButFirst | Over::BeforeLast => {}
                }
                let inputs = [input(dtype, shape.iter().product(), 1), input(dtype, shape[shape.len() - 1], 5)];
                let run = |p: &Prepared| -> Vec<Vec<u8>> {
                    p.run(&inputs, &[]).unwrap().iter().map(|out| out.as_slice().to_vec()).collect()
                };
                assert!(run(&together) == run(&apart), "{case}");
            }
        }
    }
}
