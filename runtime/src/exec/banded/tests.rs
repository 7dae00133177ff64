//! Two products in one pass against one step after the other.

use legate_jit_ir::graph::{Graph, Op, Opaque, Order, Reduce, Reducer, Type};
use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Ufunc, View};
use legate_jit_passes::Cx;

use super::super::sample::input;
use super::super::{Action, Prepared};
use crate::Tier;

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
}

/// z = A w; e = …; Aᵀ e
fn program(dtype: DType, m: usize, n: usize, between: Between) -> Graph {
    let ty = |shape: &[usize]| Type::new(dtype, shape);
    let view = |shape: &[usize], axes: &[AxisMap]| Op::View(View { shape: shape.into(), axes: axes.into() });
    let along = |d: usize| AxisMap::along(0, d, 1);
    let mut g = Graph { donated: vec![false; 3], ..Graph::default() };
    let a = g.push(Op::Input(0), &[], ty(&[m, n]));
    let w = g.push(Op::Input(1), &[], ty(&[n]));
    let y = g.push(Op::Input(2), &[], ty(&[m]));
    let column = g.push(view(&[n, 1], &[along(0)]), &[w], ty(&[n, 1]));
    let z = g.push(Op::Opaque(Opaque::Matmul), &[a, column], ty(&[m, 1]));
    let mut e = z;
    if between != Between::Nothing {
        let z = g.push(view(&[m], &[along(0), AxisMap::at(0)]), &[z], ty(&[m]));
        let error = g.push(Op::Map(Ufunc::Subtract), &[z, y], ty(&[m]));
        if between == Between::Sum {
            let square = g.push(Op::Map(Ufunc::Square), &[error], ty(&[m]));
            let reduce =
                Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes: [0].into_iter().collect(), order: Order::Tree };
            let sum = g.push(Op::Reduce(reduce), &[square], ty(&[]));
            g.outputs.extend([sum, error]);
        }
        let turned = AxisMap::along(m as i64 - 1, 0, -1);
        let axis = if between == Between::Turned { turned } else { along(0) };
        e = g.push(view(&[m, 1], &[axis]), &[error], ty(&[m, 1]));
    }
    let t = g.push(view(&[n, m], &[along(1), along(0)]), &[a], ty(&[n, m]));
    let result = g.push(Op::Opaque(Opaque::Matmul), &[t, e], ty(&[n, 1]));
    g.outputs.push(result);
    g
}

#[test]
fn one_pass_has_the_bits_of_one_step_after_the_other() {
    for dtype in [DType::F64, DType::F32] {
        for (m, n) in [(1024, 32), (5000, 7), (3333, 40), (20_011, 3)] {
            for between in [Between::Nothing, Between::Work, Between::Sum, Between::Turned] {
                let plan = legate_jit_passes::compile(&program(dtype, m, n, between), &Cx::default()).unwrap();
                let together = Prepared::build(plan.clone(), Tier::Vm, true).unwrap();
                let apart = Prepared::build(plan, Tier::Vm, false).unwrap();
                let case = format!("{dtype} {m} × {n}, between: {between:?}");
                let banded = together.actions.iter().any(|a| matches!(a, Action::Banded(_)));
                assert_eq!(banded, between != Between::Turned, "{case}: {:?}", together.plan.steps);
                let inputs = [input(dtype, m * n, 1), input(dtype, n, 5), input(dtype, m, 9)];
                let run = |p: &Prepared| -> Vec<Vec<u8>> {
                    p.run(&inputs, &[]).unwrap().iter().map(|out| out.as_slice().to_vec()).collect()
                };
                assert!(run(&together) == run(&apart), "{case}");
            }
        }
    }
}
