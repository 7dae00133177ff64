//! What ends up in one pass, on graphs built by hand; the file tests show the plans themselves.

use legate_jit_ir::graph::{Graph, Op, Order, Reduce, Reducer, Type};
use legate_jit_ir::plan::{Plan, Source, Step};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Scalar, Ufunc, Value, View};
use smallvec::smallvec;

use super::fuse;

fn f64s(shape: &[usize]) -> Type {
    Type::new(DType::F64, shape)
}

/// A box of unit steps starting at `start`.
fn window(start: &[i64], shape: &[usize]) -> View {
    View { shape: shape.into(), axes: start.iter().enumerate().map(|(k, &s)| AxisMap::along(s, k, 1)).collect() }
}

fn map(g: &mut Graph, op: Ufunc, args: &[Value]) -> Value {
    let ty = g.ty(args[0]).clone();
    g.push(Op::Map(op), args, ty)
}

fn view(g: &mut Graph, v: Value, view: View) -> Value {
    let ty = Type { dtype: g.ty(v).dtype, shape: view.shape.clone() };
    g.push(Op::View(view), &[v], ty)
}

fn sum_all(g: &mut Graph, v: Value) -> Value {
    let axes = (0..g.ty(v).shape.len() as u32).collect();
    g.push(Op::Reduce(Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes, order: Order::Tree }), &[v], f64s(&[]))
}

/// `p[1:-1, 1:-1] = 0.25 * (four neighbours)`, n × n.
fn jacobi_step(g: &mut Graph, p: Value, n: usize) -> Value {
    let inner = [n - 2, n - 2];
    let parts: Vec<Value> =
        [[1, 2], [1, 0], [2, 1], [0, 1]].iter().map(|start| view(g, p, window(start, &inner))).collect();
    let mut sum = parts[0];
    for &part in &parts[1..] {
        sum = map(g, Ufunc::Add, &[sum, part]);
    }
    let quarter = g.push(Op::Const(Scalar::f64(0.25)), &[], f64s(&[]));
    let quarter = view(g, quarter, View::broadcast(&[], &inner));
    let value = map(g, Ufunc::Multiply, &[quarter, sum]);
    let ty = g.ty(p).clone();
    g.push(Op::Update(window(&[1, 1], &inner)), &[p, value], ty)
}

fn launches(plan: &Plan) -> Vec<&legate_jit_ir::plan::Launch> {
    plan.steps.iter().filter_map(|s| if let Step::Launch(l) = s { Some(l) } else { None }).collect()
}

#[test]
fn a_stencil_and_its_rim_are_one_pass_and_both_sums_another() {
    let mut g = Graph { donated: vec![false], ..Graph::default() };
    let p0 = g.push(Op::Input(0), &[], f64s(&[100, 100]));
    let p1 = jacobi_step(&mut g, p0, 100);
    let difference = map(&mut g, Ufunc::Subtract, &[p1, p0]);
    let squared = map(&mut g, Ufunc::Square, &[difference]);
    let old = map(&mut g, Ufunc::Square, &[p0]);
    let (above, below) = (sum_all(&mut g, squared), sum_all(&mut g, old));
    let ratio = map(&mut g, Ufunc::Divide, &[above, below]);
    let l2 = map(&mut g, Ufunc::Sqrt, &[ratio]);
    g.outputs = vec![p1, l2];
    let plan = fuse(&g).unwrap();
    let launches = launches(&plan);
    assert_eq!(launches.len(), 3, "one sweep, the sums, one scalar");
    assert_eq!(launches[0].pieces.len(), 5, "the window and four sides");
    assert_eq!((launches[0].streams.len(), launches[1].streams.len()), (0, 2));
    assert_eq!(launches[1].pieces.len(), 1, "straight along");
    assert_eq!(plan.kernels.len(), 4, "window, rim, sums, l2");
    let points: usize =
        launches[0].pieces.iter().map(|p| p.lo.iter().zip(&p.hi).map(|(l, h)| h - l).product::<usize>()).sum();
    assert_eq!(points, 10_000);
}

#[test]
fn each_sweep_of_a_chain_has_its_own_buffer() {
    let mut g = Graph { donated: vec![true], ..Graph::default() };
    let mut p = g.push(Op::Input(0), &[], f64s(&[50, 50]));
    for _ in 0..3 {
        p = jacobi_step(&mut g, p, 50);
    }
    g.outputs = vec![p];
    let plan = fuse(&g).unwrap();
    assert_eq!(launches(&plan).len(), 3);
    assert!(plan.buffers.iter().skip(1).all(|b| b.source == Source::Fresh), "a stencil does not write what it reads");
}

#[test]
fn boundary_rows_are_written_in_place() {
    let mut g = Graph { donated: vec![false], ..Graph::default() };
    let p0 = g.push(Op::Input(0), &[], f64s(&[41, 41]));
    let p1 = jacobi_step(&mut g, p0, 41);
    let source = view(&mut g, p1, window(&[1, 0], &[1, 41]));
    let p2 = g.push(Op::Update(window(&[0, 0], &[1, 41])), &[p1, source], f64s(&[41, 41]));
    g.outputs = vec![p2];
    let plan = fuse(&g).unwrap();
    let launches = launches(&plan);
    assert_eq!(launches.len(), 2);
    assert_eq!(&launches[1].domain[..], &[1, 41]);
    let in_place = plan.buffer(plan.outputs[0]);
    assert!(matches!(in_place.source, Source::TakeOver(_)));
}

#[test]
fn a_window_with_gaps_over_a_kept_base_is_copied_first() {
    let mut g = Graph { donated: vec![false], ..Graph::default() };
    let a = g.push(Op::Input(0), &[], f64s(&[10]));
    let gaps = View { shape: smallvec![5], axes: smallvec![AxisMap::along(0, 0, 2)] };
    let evens = view(&mut g, a, gaps.clone());
    let twice = map(&mut g, Ufunc::Add, &[evens, evens]);
    let b = g.push(Op::Update(gaps), &[a, twice], f64s(&[10]));
    g.outputs = vec![b];
    let plan = fuse(&g).unwrap();
    assert_eq!(launches(&plan).len(), 2);
}

#[test]
fn an_expensive_value_that_two_views_read_is_computed_once() {
    let mut g = Graph { donated: vec![false], ..Graph::default() };
    let a = g.push(Op::Input(0), &[], f64s(&[100]));
    let e = map(&mut g, Ufunc::Exp, &[a]);
    let (left, right) = (view(&mut g, e, window(&[0], &[99])), view(&mut g, e, window(&[1], &[99])));
    let sum = map(&mut g, Ufunc::Add, &[left, right]);
    g.outputs = vec![sum];
    assert_eq!(launches(&fuse(&g).unwrap()).len(), 2);
}

/// `z = z * z + c; counts += z < c`, which needs no memory between the rounds.
fn rounds_at_one_point(rounds: usize) -> Graph {
    let mut g = Graph { donated: vec![false; 3], ..Graph::default() };
    let c = g.push(Op::Input(0), &[], f64s(&[1000]));
    let mut z = g.push(Op::Input(1), &[], f64s(&[1000]));
    let mut counts = g.push(Op::Input(2), &[], f64s(&[1000]));
    for _ in 0..rounds {
        let squared = map(&mut g, Ufunc::Square, &[z]);
        let alive = g.push(Op::Map(Ufunc::Less), &[z, c], Type::new(DType::Bool, &[1000]));
        z = map(&mut g, Ufunc::Add, &[squared, c]);
        let one = g.push(Op::Cast, &[alive], f64s(&[1000]));
        counts = map(&mut g, Ufunc::Add, &[counts, one]);
    }
    g.outputs = vec![z, counts];
    g
}

#[test]
fn a_loop_at_one_point_is_not_cut() {
    for rounds in [60, 200] {
        assert_eq!(launches(&fuse(&rounds_at_one_point(rounds)).unwrap()).len(), 1);
    }
}

#[test]
fn a_very_long_loop_is_cut_between_two_rounds() {
    let plan = fuse(&rounds_at_one_point(1000)).unwrap();
    let launches = launches(&plan);
    assert!((4..=8).contains(&launches.len()), "{} launches for a chain of 2000 operations", launches.len());
    for launch in &launches {
        assert_eq!(launch.targets.len(), 5, "only c, z and counts are read, z and counts written");
    }
    assert!(plan.kernels.len() <= 3, "the rounds are alike, so {} kernels are too many", plan.kernels.len());
}

#[test]
fn a_long_chain_without_rounds_is_cut_where_little_is_alive() {
    let mut g = Graph { donated: vec![false; 2], ..Graph::default() };
    let c = g.push(Op::Input(0), &[], f64s(&[1000]));
    let mut z = g.push(Op::Input(1), &[], f64s(&[1000]));
    let mut state = 1u32;
    for _ in 0..300 {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        let op =
            [Ufunc::Add, Ufunc::Subtract, Ufunc::Multiply, Ufunc::Maximum, Ufunc::Divide][(state >> 20) as usize % 5];
        let other = map(&mut g, op, &[z, c]);
        let op = [Ufunc::Sin, Ufunc::Sqrt, Ufunc::Negative, Ufunc::Exp][(state >> 10) as usize % 4];
        let step = map(&mut g, op, &[other]);
        z = map(&mut g, Ufunc::Minimum, &[step, z]);
    }
    g.outputs = vec![z];
    let plan = fuse(&g).unwrap();
    let launches = launches(&plan);
    assert_eq!(launches.len(), 5, "900 values in segments of up to 200");
    for launch in &launches {
        assert_eq!(launch.targets.len(), 3, "only c and z are read, z written");
    }
}

/// Differences of all pairs of a column's elements.
fn pairs(columns: usize) -> Graph {
    let mut g = Graph { donated: vec![false], ..Graph::default() };
    let a = g.push(Op::Input(0), &[], f64s(&[200, columns]));
    let along = |axis| View {
        shape: smallvec![200, 200],
        axes: smallvec![AxisMap::along(0, axis, 1), AxisMap::at(columns as i64 - 1)],
    };
    let (rows, cols) = (view(&mut g, a, along(0)), view(&mut g, a, along(1)));
    let difference = map(&mut g, Ufunc::Subtract, &[cols, rows]);
    g.outputs = vec![difference];
    g
}

#[test]
fn a_column_that_is_spread_is_put_together_first() {
    assert_eq!(launches(&fuse(&pairs(3)).unwrap()).len(), 2);
    // What lies together already is read where it is.
    assert_eq!(launches(&fuse(&pairs(1)).unwrap()).len(), 1);
}

/// The differences of a stencil's neighbouring values, where they have the sign of the differences of what it was made from.
fn limited_differences(n: usize) -> Graph {
    let mut g = Graph { donated: vec![false], ..Graph::default() };
    let p = g.push(Op::Input(0), &[], f64s(&[n, n]));
    let inner = [n - 2, n];
    let parts: Vec<Value> =
        [[0, 0], [1, 0], [2, 0]].iter().map(|start| view(&mut g, p, window(start, &inner))).collect();
    let sum = map(&mut g, Ufunc::Add, &[parts[0], parts[2]]);
    let lap = map(&mut g, Ufunc::Subtract, &[sum, parts[1]]);
    let faces = [n - 3, n];
    let (after, before) = (view(&mut g, lap, window(&[1, 0], &faces)), view(&mut g, lap, window(&[0, 0], &faces)));
    let flux = map(&mut g, Ufunc::Subtract, &[after, before]);
    let flux = map(&mut g, Ufunc::Maximum, &[flux, before]);
    let flux = map(&mut g, Ufunc::Minimum, &[flux, after]);
    let cells = [n - 4, n];
    let (after, before) = (view(&mut g, flux, window(&[1, 0], &cells)), view(&mut g, flux, window(&[0, 0], &cells)));
    let flow = map(&mut g, Ufunc::Subtract, &[after, before]);
    g.outputs = vec![flow];
    g
}

#[test]
fn a_few_sweeps_over_large_arrays_are_one_that_computes_more_again() {
    assert_eq!(launches(&fuse(&limited_differences(1000)).unwrap()).len(), 1);
    assert!(
        launches(&fuse(&limited_differences(100)).unwrap()).len() > 1,
        "what stays in the caches is not computed again"
    );
}
