//! Two products in one pass against one step after the other.

use legate_jit_ir::graph::{Graph, Op, Order, Reduce, Reducer, Type};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Ufunc, Value, View};
use legate_jit_passes::Cx;

use super::super::sample::input;
use super::super::{Action, Prepared};
use super::{PART_BYTES, TERMS};
use crate::{Tier, pool};

/// What is between the products.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Between {
    Nothing,
    /// e = z − y
    Work,
    /// The same, and the sum of e², and e itself is an output.
    Sum,
    /// e in the opposite order of the rows, so that a row gives no element of its own.
    Turned,
    /// e = y, which knows nothing of z, and work on z.
    Apart,
    /// e = y, and the products the other way round.
    Before,
}

/// z = A w; e = …; Aᵀ e, written as columns, or as rows: wᵀ Aᵀ and eᵀ A.
fn program(dtype: DType, m: usize, n: usize, between: Between, rows: bool) -> Graph {
    let ty = |shape: &[usize]| Type::new(dtype, shape);
    let view = |shape: &[usize], axes: &[AxisMap]| Op::View(View { shape: shape.into(), axes: axes.into() });
    let along = |d: usize| AxisMap::along(0, d, 1);
    let mut g = Graph { donated: vec![false; 3], ..Graph::default() };
    let a = g.push(Op::Input(0), &[], ty(&[m, n]));
    let w = g.push(Op::Input(1), &[], ty(&[n]));
    let y = g.push(Op::Input(2), &[], ty(&[m]));
    // A product with the matrix or its transpose, and its result as a vector.
    let product = |g: &mut Graph, turned: bool, x: Value, length: usize| {
        let other = if turned { m } else { n };
        let vector = |g: &mut Graph, row: bool| {
            let (shape, d) = if row { ([1, other], 1) } else { ([other, 1], 0) };
            g.push(view(&shape, &[along(d)]), &[x], ty(&shape))
        };
        // Times a row, a matrix is the other way round.
        let matrix = if turned != rows { g.push(view(&[n, m], &[along(1), along(0)]), &[a], ty(&[n, m])) } else { a };
        if rows {
            let x = vector(g, true);
            let out = g.push_matmul(x, matrix, ty(&[1, length]));
            return g.push(view(&[length], &[AxisMap::at(0), along(0)]), &[out], ty(&[length]));
        }
        let x = vector(g, false);
        let out = g.push_matmul(matrix, x, ty(&[length, 1]));
        g.push(view(&[length], &[along(0), AxisMap::at(0)]), &[out], ty(&[length]))
    };
    if between == Between::Before {
        let result = product(&mut g, true, y, n);
        let z = product(&mut g, false, w, m);
        g.outputs.extend([z, result]);
        return g;
    }
    let z = product(&mut g, false, w, m);
    let mut e = z;
    if between != Between::Nothing {
        let error = g.push(Op::Map(Ufunc::Subtract), &[z, y], ty(&[m]));
        if between == Between::Sum {
            let square = g.push(Op::Map(Ufunc::Square), &[error], ty(&[m]));
            let reduce =
                Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes: [0].into_iter().collect(), order: Order::Tree };
            let sum = g.push(Op::Reduce(reduce), &[square], ty(&[]));
            g.outputs.extend([sum, error]);
        }
        e = match between {
            Between::Turned => g.push(view(&[m], &[AxisMap::along(m as i64 - 1, 0, -1)]), &[error], ty(&[m])),
            Between::Apart => {
                g.outputs.push(error);
                y
            }
            Between::Nothing | Between::Work | Between::Sum | Between::Before => error,
        };
    }
    let result = product(&mut g, true, e, n);
    g.outputs.push(result);
    g
}

#[test]
fn one_pass_has_the_bits_of_one_step_after_the_other() {
    let all = [Between::Nothing, Between::Work, Between::Sum, Between::Turned, Between::Apart, Between::Before];
    for dtype in [DType::F64, DType::F32] {
        // (Of the last, a part takes several blocks.)
        for (m, n) in [(1024, 32), (5000, 7), (3333, 40), (20_011, 3), (9005, 170)] {
            for (between, rows) in all.into_iter().flat_map(|between| [(between, false), (between, true)]) {
                let plan = legate_jit_passes::compile(&program(dtype, m, n, between, rows), &Cx::default()).unwrap();
                let together = Prepared::build(plan.clone(), Tier::Vm, true).unwrap();
                let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
                let case = format!("{dtype} {m} × {n}, between: {between:?}, rows: {rows}");
                let banded = together.actions.iter().any(|a| matches!(a, Action::Banded(_)));
                let long = TERMS * n * dtype.size() > PART_BYTES;
                let expected = match between {
                    Between::Turned => false,
                    // Chunks end where they like, and threads have whole parts.
                    Between::Sum => !long,
                    _ => !long || m.div_ceil(TERMS) >= 2 * pool::threads(),
                };
                assert_eq!(banded, expected, "{case}: {:?}", together.plan.steps);
                let inputs = [input(dtype, m * n, 1), input(dtype, n, 5), input(dtype, m, 9)];
                let run = |p: &Prepared| -> Vec<Vec<u8>> {
                    p.run(&inputs, &[]).unwrap().iter().map(|out| out.as_slice().to_vec()).collect()
                };
                assert!(run(&together) == run(&apart), "{case}");
            }
        }
    }
}
