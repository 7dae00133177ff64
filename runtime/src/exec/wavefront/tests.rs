//! Wavefronts against one sweep after the other.

use std::sync::Arc;

use legate_jit_ir::graph::{Graph, Op, Order, Reduce, Reducer, Type};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Scalar, Ufunc, Value, View};
use legate_jit_passes::Cx;

use super::super::{Action, Prepared};
use crate::{Store, Tier};

const COLUMNS: usize = 33;

fn window(start: &[i64], shape: &[usize]) -> View {
    View { shape: shape.into(), axes: start.iter().enumerate().map(|(k, &s)| AxisMap::along(s, k, 1)).collect() }
}

fn ty(shape: &[usize]) -> Type {
    Type::new(DType::F64, shape)
}

fn read(g: &mut Graph, v: Value, start: &[i64], shape: &[usize]) -> Value {
    g.push(Op::View(window(start, shape)), &[v], ty(shape))
}

fn times(g: &mut Graph, factor: f64, v: Value, shape: &[usize]) -> Value {
    let factor = g.push(Op::Const(Scalar::f64(factor)), &[], ty(&[]));
    let factor = g.push(Op::View(View::broadcast(&[], shape)), &[factor], ty(shape));
    g.push(Op::Map(Ufunc::Multiply), &[factor, v], ty(shape))
}

/// What is read or written of an array: the row `at` alone.
fn row(at: i64) -> View {
    View { shape: [COLUMNS][..].into(), axes: [AxisMap::at(at), AxisMap::along(0, 0, 1)].into_iter().collect() }
}

/// sqrt(sum((a - b)**2) / sum(b**2))
fn change(g: &mut Graph, a: Value, b: Value, shape: &[usize]) -> Value {
    let difference = g.push(Op::Map(Ufunc::Subtract), &[a, b], ty(shape));
    let sums: Vec<Value> = [difference, b]
        .into_iter()
        .map(|v| {
            let square = g.push(Op::Map(Ufunc::Square), &[v], ty(shape));
            let reducer = Reducer::Ufunc(Ufunc::Add);
            let axes = (0..shape.len() as u32).collect();
            g.push(Op::Reduce(Reduce { reducer, axes, order: Order::Tree }), &[square], ty(&[]))
        })
        .collect();
    let ratio = g.push(Op::Map(Ufunc::Divide), &sums, ty(&[]));
    g.push(Op::Map(Ufunc::Sqrt), &[ratio], ty(&[]))
}

/// Sweeps of a stencil that reaches `reach` rows, each followed by boundary updates of rows and columns, or by a look at how
/// much it has changed.
fn program(rows: usize, steps: usize, reach: i64, boundaries: bool, changes: bool) -> Graph {
    let whole = [rows, COLUMNS];
    let mut g = Graph { donated: vec![true], ..Graph::default() };
    let mut p = g.push(Op::Input(0), &[], ty(&whole));
    let inner = [rows - 2 * reach as usize, COLUMNS - 2];
    let mut outputs = Vec::new();
    for step in 0..steps {
        let before = p;
        let parts: Vec<Value> = [[0, 1], [2 * reach, 1], [reach, 0], [reach, 2]]
            .iter()
            .map(|start| read(&mut g, p, start, &inner))
            .collect();
        let mut sum = parts[0];
        for &part in &parts[1..] {
            sum = g.push(Op::Map(Ufunc::Add), &[sum, part], ty(&inner));
        }
        let value = times(&mut g, 0.26 + step as f64 / 1000.0, sum, &inner);
        p = g.push(Op::Update(window(&[reach, 1], &inner)), &[p, value], ty(&whole));
        if boundaries {
            for (to, from) in [(0, 1), (rows as i64 - 1, rows as i64 - 2)] {
                let value = g.push(Op::View(row(from)), &[p], ty(&[COLUMNS]));
                p = g.push(Op::Update(row(to)), &[p, value], ty(&whole));
            }
            let value = read(&mut g, p, &[0, COLUMNS as i64 - 2], &[rows, 1]);
            p = g.push(Op::Update(window(&[0, 0], &[rows, 1])), &[p, value], ty(&whole));
        }
        if changes {
            outputs.push(change(&mut g, p, before, &whole));
        }
    }
    outputs.push(p);
    g.outputs = outputs;
    g
}

fn run(prepared: &Prepared, rows: usize) -> Vec<Vec<u8>> {
    run_on(prepared, rows * COLUMNS)
}

fn run_on(prepared: &Prepared, elements: usize) -> Vec<Vec<u8>> {
    let data: Vec<u8> = (0..elements).flat_map(|i| (((i * 7919) % 1013) as f64 / 7.0).to_le_bytes()).collect();
    let input: Arc<Store> = Store::from_bytes(&data).unwrap();
    prepared.run(&[input], &[]).unwrap().iter().map(|out| out.as_slice().to_vec()).collect()
}

/// Launches that run by themselves.
fn alone(prepared: &Prepared) -> usize {
    let by_itself = |a: &&Action| matches!(a, Action::Launch(_) | Action::Calls(_));
    prepared.actions.iter().filter(by_itself).map(|a| a.launches().len()).sum()
}

#[test]
fn a_wavefront_has_the_bits_of_one_sweep_after_the_other() {
    for rows in [40, 97, 300] {
        for (steps, reach) in [(2, 1), (7, 1), (9, 2), (25, 1)] {
            for (boundaries, changes) in [(false, false), (true, false), (false, true), (true, true)] {
                let graph = program(rows, steps, reach, boundaries, changes);
                let plan = legate_jit_passes::compile(&graph, &Cx::default()).unwrap();
                let together = Prepared::build(plan.clone(), Tier::Vm, true).unwrap();
                let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
                let case = format!(
                    "{rows} rows, {steps} steps that reach {reach}, boundaries: {boundaries}, changes: {changes}"
                );
                let met = together.actions.iter().filter(|a| matches!(a, Action::Wavefront(_))).count();
                let alone = alone(&together);
                if rows == 300 {
                    assert!(met > 0 && alone <= met + 4, "{case}: {met} wavefronts, {alone} launches apart");
                }
                assert!(run(&together, rows) == run(&apart, rows), "{case}");
            }
        }
    }
}

/// `a` rolled by `shift` along an axis: two windows over a fill, which nobody sees.
fn roll(g: &mut Graph, a: Value, shift: i64, axis: usize, shape: &[usize]) -> Value {
    let n = shape[axis] as i64;
    let fill = g.push(Op::Const(Scalar::f64(0.0)), &[], ty(&[]));
    let mut out = g.push(Op::View(View::broadcast(&[], shape)), &[fill], ty(shape));
    let cut = shift.rem_euclid(n);
    for (from, to, length) in [(n - cut, 0, cut), (0, cut, n - cut)] {
        let (mut part, mut source, mut target) = (shape.to_vec(), vec![0; shape.len()], vec![0; shape.len()]);
        (part[axis], source[axis], target[axis]) = (length as usize, from, to);
        let value = read(g, a, &source, &part);
        out = g.push(Op::Update(window(&target, &part)), &[out, value], ty(shape));
    }
    out
}

/// Sweeps over a ring of rows (and of columns, if there are any) that reach `up` and `down` rows, with a look at how much each
/// has changed.
fn rolled(shape: &[usize], steps: usize, up: i64, down: i64, changes: bool) -> Graph {
    let mut g = Graph { donated: vec![true], ..Graph::default() };
    let mut p = g.push(Op::Input(0), &[], ty(shape));
    let mut outputs = Vec::new();
    for step in 0..steps {
        let before = p;
        let mut sum = p;
        for shift in [up, -down].into_iter().filter(|&s| s != 0) {
            let part = roll(&mut g, p, shift, 0, shape);
            sum = g.push(Op::Map(Ufunc::Add), &[sum, part], ty(shape));
        }
        if shape.len() > 1 {
            let part = roll(&mut g, p, 1, 1, shape);
            sum = g.push(Op::Map(Ufunc::Subtract), &[sum, part], ty(shape));
        }
        p = times(&mut g, 0.4 + step as f64 / 1000.0, sum, shape);
        if changes {
            outputs.push(change(&mut g, p, before, shape));
        }
    }
    outputs.push(p);
    g.outputs = outputs;
    g
}

#[test]
fn periodic_rows_are_a_ring() {
    for shape in [&[40, COLUMNS][..], &[300, COLUMNS], &[9001]] {
        for (steps, up, down) in [(2, 1, 1), (9, 1, 0), (9, 0, 2), (25, 1, 1), (12, 2, 1)] {
            for changes in [false, true] {
                let graph = rolled(shape, steps, up, down, changes);
                let plan = legate_jit_passes::compile(&graph, &Cx::default()).unwrap();
                let together = Prepared::build(plan.clone(), Tier::Vm, true).unwrap();
                let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
                let case = format!("{shape:?}, {steps} steps, {up} up, {down} down, changes: {changes}");
                let rings = together.actions.iter().filter(|a| matches!(a, Action::Wavefront(w) if w.ring)).count();
                let alone = alone(&together);
                assert!(
                    shape[0] == 40 || rings > 0 && alone <= rings + 4,
                    "{case}: {rings} rings, {alone} launches apart"
                );
                let elements = shape.iter().product();
                assert!(run_on(&together, elements) == run_on(&apart, elements), "{case}");
            }
        }
    }
}

/// A program that keeps the outermost rows equal to the ones next to the other edge, as periodic boundaries are written by hand.
#[test]
fn boundaries_that_are_copied_around() {
    for (rows, steps) in [(40, 5), (300, 12)] {
        let (whole, inner) = ([rows, COLUMNS], [rows - 2, COLUMNS - 2]);
        let mut g = Graph { donated: vec![true], ..Graph::default() };
        let mut p = g.push(Op::Input(0), &[], ty(&whole));
        for _ in 0..steps {
            let parts = [[0, 1], [2, 1], [1, 2]].map(|start| read(&mut g, p, &start, &inner));
            let sum = g.push(Op::Map(Ufunc::Add), &parts[..2], ty(&inner));
            let value = g.push(Op::Map(Ufunc::Subtract), &[sum, parts[2]], ty(&inner));
            p = g.push(Op::Update(window(&[1, 1], &inner)), &[p, value], ty(&whole));
            for (to, from) in [(0, rows as i64 - 2), (rows as i64 - 1, 1)] {
                let value = g.push(Op::View(row(from)), &[p], ty(&[COLUMNS]));
                p = g.push(Op::Update(row(to)), &[p, value], ty(&whole));
            }
        }
        g.outputs = vec![p];
        let plan = legate_jit_passes::compile(&g, &Cx::default()).unwrap();
        let together = Prepared::build(plan.clone(), Tier::Vm, true).unwrap();
        let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
        let rings = together.actions.iter().filter(|a| matches!(a, Action::Wavefront(w) if w.ring)).count();
        assert!(rows == 40 || rings > 0);
        assert!(run(&together, rows) == run(&apart, rows), "{rows} rows, {steps} steps");
    }
}

/// Sweeps of a stencil of seven points over arrays of planes, which write some faces between them.
fn of_planes(shape: [usize; 3], steps: usize, faces: bool) -> Graph {
    let mut g = Graph { donated: vec![true], ..Graph::default() };
    let mut u = g.push(Op::Input(0), &[], ty(&shape));
    let inner = shape.map(|n| n - 2);
    for step in 0..steps {
        let starts = [[0, 1, 1], [2, 1, 1], [1, 0, 1], [1, 2, 1], [1, 1, 0], [1, 1, 2], [1, 1, 1]];
        let parts = starts.map(|start| read(&mut g, u, &start, &inner));
        let mut sum = parts[0];
        for &part in &parts[1..] {
            sum = g.push(Op::Map(Ufunc::Add), &[sum, part], ty(&inner));
        }
        let value = times(&mut g, 0.14 + step as f64 / 1000.0, sum, &inner);
        u = g.push(Op::Update(window(&[1, 1, 1], &inner)), &[u, value], ty(&shape));
        for axis in (0..3).filter(|_| faces) {
            let mut face = shape;
            face[axis] = 1;
            let mut from = [0; 3];
            from[axis] = shape[axis] as i64 - 2;
            let value = read(&mut g, u, &from, &face);
            from[axis] += 1;
            u = g.push(Op::Update(window(&from, &face)), &[u, value], ty(&shape));
        }
    }
    g.outputs = vec![u];
    g
}

#[test]
fn bands_of_columns_have_the_bits_of_one_sweep_after_the_other() {
    let mut banded = 0;
    for shape in [[120, 40, 9], [64, 90, 33], [97, 61, 20], [200, 700, 3]] {
        for (steps, faces) in [(2, false), (5, false), (12, false), (4, true)] {
            let plan = legate_jit_passes::compile(&of_planes(shape, steps, faces), &Cx::default()).unwrap();
            let together = Prepared::build(plan.clone(), Tier::Vm, true).unwrap();
            let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
            let in_bands = |a: &&Action| matches!(a, Action::Wavefront(w) if w.bands.is_some());
            banded += together.actions.iter().filter(in_bands).count();
            let of = |prepared| run_on(prepared, shape.iter().product());
            assert!(of(&together) == of(&apart), "{shape:?}, {steps} steps, faces: {faces}");
        }
    }
    assert!(banded > 8, "{banded} wavefronts in bands");
}

/// The largest |a - b|, and how often they differ.
fn largest_change(g: &mut Graph, a: Value, b: Value, shape: &[usize]) -> [Value; 2] {
    let difference = g.push(Op::Map(Ufunc::Subtract), &[a, b], ty(shape));
    let size = g.push(Op::Map(Ufunc::Absolute), &[difference], ty(shape));
    let of = |dtype, shape: &[usize]| Type::new(dtype, shape);
    let differ = g.push(Op::Map(Ufunc::NotEqual), &[a, b], of(DType::Bool, shape));
    let differ = g.push(Op::Cast, &[differ], of(DType::I64, shape));
    let mut reduce = |ufunc, v, dtype| {
        let axes = (0..shape.len() as u32).collect();
        let reduce = Reduce { reducer: Reducer::Ufunc(ufunc), axes, order: Order::Tree };
        g.push(Op::Reduce(reduce), &[v], of(dtype, &[]))
    };
    [reduce(Ufunc::Maximum, size, DType::F64), reduce(Ufunc::Add, differ, DType::I64)]
}

/// Sweeps over wide rows, each with a look at how much it has changed the array, or what lies inside its rim (`rim`).
fn with_changes(shape: &[usize], steps: usize, rim: bool, largest: bool) -> Graph {
    let mut g = Graph { donated: vec![true], ..Graph::default() };
    let mut p = g.push(Op::Input(0), &[], ty(shape));
    let inner: Vec<usize> = shape.iter().map(|n| n - 2).collect();
    let mut outputs = Vec::new();
    for step in 0..steps {
        let before = p;
        let mut starts = vec![vec![1; shape.len()]; 4];
        (starts[0][0], starts[1][0], starts[2][1], starts[3][1]) = (0, 2, 0, 2);
        let parts: Vec<Value> = starts.iter().map(|start| read(&mut g, p, start, &inner)).collect();
        let mut sum = parts[0];
        for &part in &parts[1..] {
            sum = g.push(Op::Map(Ufunc::Add), &[sum, part], ty(&inner));
        }
        let value = times(&mut g, 0.24 + step as f64 / 1000.0, sum, &inner);
        let at = vec![1; shape.len()];
        p = g.push(Op::Update(window(&at, &inner)), &[p, value], ty(shape));
        let (after, before, of) = match rim {
            true => (p, before, shape),
            false => (read(&mut g, p, &at, &inner), read(&mut g, before, &at, &inner), &inner[..]),
        };
        match largest {
            true => outputs.extend(largest_change(&mut g, after, before, of)),
            false => outputs.push(change(&mut g, after, before, of)),
        }
    }
    outputs.push(p);
    g.outputs = outputs;
    g
}

#[test]
fn reductions_go_down_bands_leaf_by_leaf() {
    let mut met = 0;
    let shapes = [&[97, 700][..], &[120, 1501], &[70, 2048], &[300, 513], &[90, 40, 20], &[64, 33, 50]];
    for shape in shapes {
        for (steps, rim, largest) in [(2, true, false), (5, true, false), (6, false, false), (4, true, true)] {
            for tier in [Tier::Vm, Tier::Compiled] {
                let plan =
                    legate_jit_passes::compile(&with_changes(shape, steps, rim, largest), &Cx::default()).unwrap();
                let together = Prepared::build(plan.clone(), tier, true).unwrap();
                let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
                let in_bands = |a: &&Action| matches!(a, Action::Wavefront(w) if w.bands.is_some() && w.room() > 0);
                met += together.actions.iter().filter(in_bands).count();
                // What leaves give is part of what the plan needs.
                for action in together.actions.iter().filter(in_bands) {
                    let Action::Wavefront(wavefront) = action else { continue };
                    let arrays = crate::buffer::mapped_bytes(8 * shape.iter().product::<usize>());
                    assert!(together.need.most().0 >= arrays + wavefront.room(), "{:?}", together.need.most());
                }
                let of = |prepared| run_on(prepared, shape.iter().product());
                let case = format!("{shape:?}, {steps} steps, rim: {rim}, largest: {largest}, {tier:?}");
                assert!(of(&together) == of(&apart), "{case}");
            }
        }
    }
    assert!(met > 24, "{met} wavefronts with reductions in bands");
}

#[test]
fn elements_of_an_array_with_one_axis_are_not_handled_one_by_one() {
    let n = 5000;
    let mut g = Graph { donated: vec![true], ..Graph::default() };
    let mut u = g.push(Op::Input(0), &[], ty(&[n]));
    for _ in 0..6 {
        let parts = [0, 2].map(|start| read(&mut g, u, &[start], &[n - 2]));
        let sum = g.push(Op::Map(Ufunc::Add), &parts, ty(&[n - 2]));
        u = g.push(Op::Update(window(&[1], &[n - 2])), &[u, sum], ty(&[n]));
    }
    g.outputs = vec![u];
    let plan = legate_jit_passes::compile(&g, &Cx::default()).unwrap();
    let prepared = Prepared::new(plan, Tier::Vm).unwrap();
    let steps: Vec<usize> = prepared
        .actions
        .iter()
        .filter_map(|a| if let Action::Wavefront(w) = a { Some(w.step) } else { None })
        .collect();
    assert!(!steps.is_empty() && steps.iter().all(|&step| step >= 16), "steps of {steps:?} elements");
}

/// Sweeps whose results take turns between three types, so that few can have the memory of another.
fn of_three_types(rows: usize, steps: usize) -> Graph {
    let (whole, inner) = ([rows, COLUMNS], [rows - 2, COLUMNS - 2]);
    let mut g = Graph { donated: vec![false], ..Graph::default() };
    let mut p = g.push(Op::Input(0), &[], ty(&whole));
    for step in 0..steps {
        let of = |dtype| move |shape: &[usize]| Type::new(dtype, shape);
        let types = [DType::F64, DType::F32, DType::I16];
        let (from, to) = (of(types[step % 3]), of(types[(step + 1) % 3]));
        let parts: Vec<Value> =
            [[0, 1], [2, 1]].iter().map(|start| g.push(Op::View(window(start, &inner)), &[p], from(&inner))).collect();
        let sum = g.push(Op::Map(Ufunc::Add), &parts, from(&inner));
        let value = g.push(Op::Cast, &[sum], to(&inner));
        let zero = g.push(Op::Const(legate_jit_ir::cast::cast(Scalar::f64(0.0), to(&[]).dtype)), &[], to(&[]));
        let zeros = g.push(Op::View(View::broadcast(&[], &whole)), &[zero], to(&whole));
        p = g.push(Op::Update(window(&[1, 1], &inner)), &[zeros, value], to(&whole));
    }
    g.outputs = vec![p];
    g
}

#[test]
fn what_a_plan_needs_is_known() {
    let rows = 300;
    let prepared = |steps| {
        let plan = legate_jit_passes::compile(&of_three_types(rows, steps), &Cx::default()).unwrap();
        Prepared::build(plan, Tier::Vm, true).unwrap()
    };
    let bytes = |dtype: DType| crate::buffer::mapped_bytes(rows * COLUMNS * dtype.size());
    let (short, narrow, wide) = (bytes(DType::I16), bytes(DType::F32), bytes(DType::F64));
    assert_eq!(prepared(1).need.most(), (narrow, 1));
    // Six sweeps in one pass over three memories.
    let many = prepared(6);
    assert!(many.has_wavefront());
    assert_eq!(many.need.most(), (short + narrow + wide, 3));
}

/// Sweeps of a stencil without a rim: each writes `less` rows and `narrower` columns fewer than the one before.
fn without_a_rim(shape: [usize; 2], steps: usize, less: usize, narrower: usize, changes: bool) -> Graph {
    let mut g = Graph { donated: vec![false], ..Graph::default() };
    let mut p = g.push(Op::Input(0), &[], ty(&shape));
    let (mut rows, mut columns) = (shape[0], shape[1]);
    let mut outputs = Vec::new();
    for step in 0..steps {
        (rows, columns) = (rows - less, columns - narrower);
        let inner = [rows, columns];
        let starts = [[0, 0], [less as i64, 0], [0, narrower as i64], [less as i64 / 2, narrower as i64 / 2]];
        let parts = starts.map(|start| read(&mut g, p, &start, &inner));
        let mut sum = parts[0];
        for &part in &parts[1..] {
            sum = g.push(Op::Map(Ufunc::Add), &[sum, part], ty(&inner));
        }
        let before = parts[3];
        p = times(&mut g, 0.24 + step as f64 / 1000.0, sum, &inner);
        if changes {
            outputs.push(change(&mut g, p, before, &inner));
        }
    }
    outputs.push(p);
    g.outputs = outputs;
    g
}

#[test]
fn windows_of_windows_share_memory_and_go_together() {
    let (mut shared, mut met) = (0, 0);
    for shape in [[300, 60], [301, 400], [700, 130], [2000, 40]] {
        for (steps, less, narrower) in [(3, 2, 2), (9, 2, 2), (9, 2, 0), (9, 0, 2), (6, 4, 1), (5, 1, 6)] {
            for changes in [false, true] {
                let graph = without_a_rim(shape, steps, less, narrower, changes);
                let plan = legate_jit_passes::compile(&graph, &Cx::default()).unwrap();
                let smaller = |b: &legate_jit_ir::plan::Buffer| match b.source {
                    legate_jit_ir::plan::Source::TakeOver(of) => plan.buffer(of).ty.bytes() > b.ty.bytes(),
                    _ => false,
                };
                shared += plan.buffers.iter().filter(|b| smaller(b)).count();
                let together = Prepared::build(plan.clone(), Tier::Vm, true).unwrap();
                let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
                met += together.has_wavefront() as usize;
                let of = |prepared| run_on(prepared, shape.iter().product());
                let case =
                    format!("{shape:?}, {steps} steps, {less} rows less, {narrower} columns, changes: {changes}");
                assert!(of(&together) == of(&apart), "{case}");
            }
        }
    }
    assert!(shared > 100 && met > 20, "{shared} buffers in larger ones' memory, {met} wavefronts");
}
