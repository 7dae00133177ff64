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
                    Over::First if shape.len() == 2 => assert_eq!(run, 0, "{case}"),
                    Over::Last => assert_eq!(run, all, "{case}: {:?}", together.plan.steps),
                    // Few rows, or large ones, are left alone. (Some of the launches may go by those of the second axis.)
                    Over::First | Over::AllButFirst | Over::BeforeLast => {}
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

/// Points in space: the differences d of all pairs in each of their coordinates, made long by a root, w = 1 / |d|² with nothing on
/// its diagonal, and the sums of w d over the second point of each pair.
fn pairs(dtype: DType, layers: usize, n: usize, over: usize) -> Graph {
    let cube = [layers, n, n];
    let ty = |shape: &[usize]| Type::new(dtype, shape);
    let along = |d: usize| AxisMap::along(0, d, 1);
    let view = |shape: &[usize], axes: &[AxisMap]| Op::View(View { shape: shape.into(), axes: axes.into() });
    let mut g = Graph { donated: vec![false; 2], ..Graph::default() };
    let x = g.push(Op::Input(0), &[], ty(&[layers, n]));
    let nothing = g.push(Op::Input(1), &[], ty(&[]));
    let first = g.push(view(&cube, &[along(0), along(1)]), &[x], ty(&cube));
    let second = g.push(view(&cube, &[along(0), along(2)]), &[x], ty(&cube));
    let between = g.push(Op::Map(Ufunc::Subtract), &[first, second], ty(&cube));
    let mut d = between;
    for _ in 0..6 {
        let square = g.push(Op::Map(Ufunc::Square), &[d], ty(&cube));
        let root = g.push(Op::Map(Ufunc::Sqrt), &[square], ty(&cube));
        d = g.push(Op::Map(Ufunc::Arctan2), &[root, between], ty(&cube));
    }
    let mut lengths: Vec<Value> = Vec::new();
    for layer in 0..layers {
        let one = g.push(view(&[n, n], &[AxisMap::at(layer as i64), along(0), along(1)]), &[d], ty(&[n, n]));
        lengths.push(g.push(Op::Map(Ufunc::Square), &[one], ty(&[n, n])));
    }
    let length = lengths.into_iter().reduce(|a, b| g.push(Op::Map(Ufunc::Add), &[a, b], ty(&[n, n]))).unwrap();
    let nothing = g.push(view(&[n], &[]), &[nothing], ty(&[n]));
    let diagonal = View { shape: [n].into_iter().collect(), axes: [along(0), along(0)].into_iter().collect() };
    let length = g.push(Op::Update(diagonal), &[length, nothing], ty(&[n, n]));
    let w = g.push(Op::Map(Ufunc::Reciprocal), &[length], ty(&[n, n]));
    let w = g.push(view(&cube, &[along(1), along(2)]), &[w], ty(&cube));
    let product = g.push(Op::Map(Ufunc::Multiply), &[w, d], ty(&cube));
    let axes = [over as u32].into_iter().collect();
    let reduce = Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes, order: Order::Tree };
    let kept: Vec<usize> = (0..3).filter(|&k| k != over).map(|k| cube[k]).collect();
    let force = g.push(Op::Reduce(reduce), &[product], ty(&kept));
    g.outputs.push(force);
    g
}

#[test]
fn rows_may_lie_in_layers() {
    for dtype in [DType::F64, DType::F32] {
        for (layers, n) in [(3, 131), (2, 200), (5, 97)] {
            // Over the second point, over the layers, and over the first point.
            for over in [2, 0, 1] {
                let plan = legate_jit_passes::compile(&pairs(dtype, layers, n, over), &Cx::default()).unwrap();
                let together = Prepared::build(plan.clone(), Tier::Vm, true).unwrap();
                let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
                let case = format!("{dtype} {layers} × {n}, over axis {over}");
                let by_rows = |a: &Action| matches!(a, Action::Rowwise(_)).then(|| a.launches().len());
                let run = together.actions.iter().find_map(by_rows).unwrap_or(0);
                let all = together.plan.steps.iter().filter(|s| matches!(s, Step::Launch(_))).count();
                assert!(all > 3, "{case}: {:?}", together.plan.steps);
                // Sums over the rows, or over what the rows lie in, are left out.
                let expected = if over == 2 { all } else { all - 1 };
                assert_eq!(run, expected, "{case}: {:?}", together.plan.steps);
                let inputs = [input(dtype, layers * n, 1), input(dtype, 1, 7)];
                let run = |p: &Prepared| -> Vec<Vec<u8>> {
                    p.run(&inputs, &[]).unwrap().iter().map(|out| out.as_slice().to_vec()).collect()
                };
                assert!(run(&together) == run(&apart), "{case}");
            }
        }
    }
}

/// flat = (x - dark) / gain for each row; y = (flat - mean(flat)) / sqrt(sum((flat - mean(flat))²)) in another type.
fn normalised(dtype: DType, rows: usize, n: usize) -> Graph {
    let (shape, ty) = ([rows, n], Type::new(dtype, &[rows, n]));
    let mut g = Graph { donated: vec![false; 3], ..Graph::default() };
    let x = g.push(Op::Input(0), &[], ty.clone());
    let same_in_all_rows = |g: &mut Graph, number: u32| {
        let one = g.push(Op::Input(number), &[], Type::new(dtype, &[n]));
        let axes = [AxisMap::along(0, 1, 1)].into_iter().collect();
        g.push(Op::View(View { shape: shape.into_iter().collect(), axes }), &[one], ty.clone())
    };
    let (dark, gain) = (same_in_all_rows(&mut g, 1), same_in_all_rows(&mut g, 2));
    let light = g.push(Op::Map(Ufunc::Subtract), &[x, dark], ty.clone());
    let flat = g.push(Op::Map(Ufunc::Divide), &[light, gain], ty.clone());
    let total = reduce(&mut g, dtype, Ufunc::Add, flat, &shape, &[1]);
    let count = g.push(Op::Const(legate_jit_ir::Scalar::f64(n as f64)), &[], Type::new(DType::F64, &[]));
    let count = g.push(Op::Cast, &[count], Type::new(dtype, &[]));
    let axes = smallvec::SmallVec::new();
    let count = g.push(Op::View(View { shape: shape.into_iter().collect(), axes }), &[count], ty.clone());
    let mean = g.push(Op::Map(Ufunc::Divide), &[total, count], ty.clone());
    let d = g.push(Op::Map(Ufunc::Subtract), &[flat, mean], ty.clone());
    let square = g.push(Op::Map(Ufunc::Square), &[d], ty.clone());
    let total = reduce(&mut g, dtype, Ufunc::Add, square, &shape, &[1]);
    let root = g.push(Op::Map(Ufunc::Sqrt), &[total], ty.clone());
    let y = g.push(Op::Map(Ufunc::Divide), &[d, root], ty);
    // (In memory of its own, as its elements have another size.)
    let other = if dtype == DType::F64 { DType::F32 } else { DType::F64 };
    let y = g.push(Op::Cast, &[y], Type::new(other, &shape));
    g.outputs.push(y);
    g
}

#[test]
fn what_is_only_passed_on_has_room_for_a_block() {
    for tier in [Tier::Vm, Tier::Compiled] {
        for dtype in [DType::F64, DType::F32] {
            for (rows, n) in [(200, 150), (333, 77), (64, 400)] {
                let plan = legate_jit_passes::compile(&normalised(dtype, rows, n), &Cx::default()).unwrap();
                let together = Prepared::build(plan.clone(), tier, true).unwrap();
                let apart = Prepared::build(plan, tier, false).unwrap();
                let case = format!("{dtype} {rows} × {n}");
                assert!(together.goes_by_blocks(), "{case}: {:?}", together.plan.steps);
                // One array of rows, the result: its rows are read nowhere else.
                let large = |a: &&Action| matches!(a, Action::Alloc { bytes, .. } if *bytes >= rows * n * 4);
                assert_eq!(together.actions.iter().filter(large).count(), 1, "{case}");
                let run_of = |a: &Action| if let Action::Rowwise(run) = a { Some(run.near.row_bytes()) } else { None };
                let near: usize = together.actions.iter().filter_map(run_of).sum();
                assert_eq!(near, n * dtype.size(), "{case}: {:?}", together.plan.steps);
                let inputs = [input(dtype, rows * n, 1), input(dtype, n, 5), input(dtype, n, 9)];
                let run = |p: &Prepared| -> Vec<Vec<u8>> {
                    p.run(&inputs, &[]).unwrap().iter().map(|out| out.as_slice().to_vec()).collect()
                };
                assert!(run(&together) == run(&apart), "{case}");
            }
        }
    }
}
