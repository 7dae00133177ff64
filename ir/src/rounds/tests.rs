use smallvec::SmallVec;

use super::{Input, Rounds};
use crate::kernel::Op;
use crate::{Body, DType, Reg, Scalar, Ufunc};

fn map(body: &mut Body, ufunc: Ufunc, args: &[Reg], dtype: DType) -> Reg {
    body.push(Op::Map(ufunc, args.iter().copied().collect()), dtype)
}

fn float(body: &mut Body, ufunc: Ufunc, args: &[Reg]) -> Reg {
    map(body, ufunc, args, DType::F64)
}

fn load(body: &mut Body, k: u32) -> Reg {
    body.push(Op::Load(k), DType::F64)
}

fn constant(body: &mut Body, value: f64) -> Reg {
    body.push(Op::Const(Scalar::f64(value)), DType::F64)
}

/// The values of a body's instructions, for any values of its leaves.
fn run(body: &Body, leaf: impl Fn(&Op) -> Scalar) -> Vec<Scalar> {
    let mut values: Vec<Scalar> = Vec::new();
    for inst in &body.insts {
        values.push(one(&inst.op, inst.dtype, &leaf, |r| values[r.0 as usize]));
    }
    values
}

fn one(op: &Op, dtype: DType, leaf: &impl Fn(&Op) -> Scalar, value: impl Fn(Reg) -> Scalar) -> Scalar {
    match op {
        Op::Const(c) => *c,
        Op::Map(ufunc, args) => {
            let args: SmallVec<[Scalar; 3]> = args.iter().map(|&r| value(r)).collect();
            ufunc.eval(&args).expect("an operation of these types")
        }
        Op::Cast(r) => crate::cast::cast(value(*r), dtype),
        other => leaf(other),
    }
}

/// Runs the loop as a loop, and compares what is stored with what the body itself gives.
fn check(body: &Body) -> Rounds {
    let leaf = |op: &Op| match op {
        Op::Load(k) => Scalar::f64(0.3 + 0.17 * *k as f64),
        Op::Scalar(k) => Scalar::f64(0.9 - 0.01 * *k as f64),
        other => panic!("no value of {other:?}"),
    };
    let rounds = Rounds::of(body).expect("the body has equal rounds");
    let expected = run(body, leaf);
    let mut values: Vec<Option<Scalar>> = vec![None; body.insts.len()];
    let outside = |values: &mut Vec<Option<Scalar>>, after: bool| {
        for (k, inst) in body.insts.iter().enumerate() {
            if !rounds.inside[k] && rounds.after[k] == after {
                values[k] = Some(one(&inst.op, inst.dtype, &leaf, |r| values[r.0 as usize].expect("it has run")));
            }
        }
    };
    outside(&mut values, false);
    let mut last: Vec<Scalar> = Vec::new();
    for round in 0..rounds.count {
        last = run(&rounds.body, |op| {
            let Op::Load(k) = op else { panic!("a round's leaves are inputs") };
            match rounds.inputs[*k as usize] {
                Input::Same(r) => values[r.0 as usize].expect("it is ready before the loop"),
                Input::Carried { first, .. } if round == 0 => values[first.0 as usize].expect("the same"),
                Input::Carried { next, .. } => last[next.0 as usize],
                Input::Scalar { first, step } => leaf(&Op::Scalar((first as i64 + step * round as i64) as u32)),
            }
        });
    }
    for &(of_round, r) in &rounds.results {
        values[r.0 as usize] = Some(last[of_round.0 as usize]);
    }
    outside(&mut values, true);
    for &(_, r) in &body.stores {
        assert_eq!(values[r.0 as usize], Some(expected[r.0 as usize]));
    }
    rounds
}

/// Two chains, of which one counts in how many rounds the other goes on; the first count is not computed at all.
fn escape(rounds: usize) -> Body {
    let body = &mut Body::default();
    let (c, mut z) = (load(body, 0), load(body, 1));
    let bound = constant(body, 4.0);
    let (one, zero) = (constant(body, 1.0), constant(body, 0.0));
    let mut conditions = Vec::new();
    for _ in 0..rounds {
        let square = float(body, Ufunc::Square, &[z]);
        let alive = map(body, Ufunc::LessEqual, &[square, bound], DType::Bool);
        let step = float(body, Ufunc::Add, &[square, c]);
        z = float(body, Ufunc::Where, &[alive, step, z]);
        conditions.push(alive);
    }
    let mut count = float(body, Ufunc::Where, &[conditions[0], one, zero]);
    for &alive in &conditions[1..] {
        let more = float(body, Ufunc::Add, &[one, count]);
        count = float(body, Ufunc::Where, &[alive, more, count]);
    }
    body.stores = vec![(2, z), (3, count)];
    std::mem::take(body)
}

#[test]
fn a_loop_with_a_count_is_found() {
    let rounds = check(&escape(60));
    assert!(rounds.count >= 57, "{}", rounds.count);
    assert_eq!(rounds.body.insts.iter().filter(|i| !i.op.args().is_empty()).count(), 6);
    assert!(Rounds::rolled(&escape(60)) < 40);
}

#[test]
fn coordinates_that_look_alike_are_told_apart() {
    let body = &mut Body::default();
    let dt = body.push(Op::Scalar(0), DType::F64);
    let mut x: Vec<Reg> = (0..3).map(|k| load(body, k)).collect();
    let mut v: Vec<Reg> = (3..6).map(|k| load(body, k)).collect();
    for _ in 0..20 {
        let squares: Vec<Reg> = x.iter().map(|&x| float(body, Ufunc::Multiply, &[x, x])).collect();
        let sum = float(body, Ufunc::Add, &[squares[0], squares[1]]);
        let sum = float(body, Ufunc::Add, &[sum, squares[2]]);
        for k in 0..3 {
            let force = float(body, Ufunc::Divide, &[x[k], sum]);
            let change = float(body, Ufunc::Multiply, &[force, dt]);
            v[k] = float(body, Ufunc::Subtract, &[v[k], change]);
        }
        for k in 0..3 {
            let way = float(body, Ufunc::Multiply, &[v[k], dt]);
            x[k] = float(body, Ufunc::Add, &[x[k], way]);
        }
    }
    body.stores = x.iter().chain(&v).enumerate().map(|(k, &r)| (6 + k as u32, r)).collect();
    let rounds = check(body);
    assert!(rounds.count >= 18, "{}", rounds.count);
}

#[test]
fn each_round_has_its_scalar() {
    let body = &mut Body::default();
    let x = load(body, 0);
    let mut p = body.push(Op::Scalar(0), DType::F64);
    for k in 1..120 {
        let coefficient = body.push(Op::Scalar(k), DType::F64);
        let product = float(body, Ufunc::Multiply, &[p, x]);
        p = float(body, Ufunc::Add, &[product, coefficient]);
    }
    body.stores = vec![(1, p)];
    let rounds = check(body);
    assert!(rounds.inputs.iter().any(|i| matches!(i, Input::Scalar { step: 1, .. })));
}

#[test]
fn terms_of_a_sum_are_computed_in_their_round() {
    let body = &mut Body::default();
    let x = load(body, 0);
    let mut sum = load(body, 1);
    for k in 0..40 {
        let shift = body.push(Op::Scalar(k), DType::F64);
        let apart = float(body, Ufunc::Subtract, &[x, shift]);
        let square = float(body, Ufunc::Square, &[apart]);
        let root = float(body, Ufunc::Sqrt, &[square]);
        sum = float(body, Ufunc::Add, &[sum, root]);
    }
    body.stores = vec![(2, sum)];
    assert_eq!(check(body).count, 40);
}

#[test]
fn a_shared_start_is_no_contradiction() {
    // Newton's method on two polynomials, both from one computed start.
    let body = &mut Body::default();
    let (a, b) = (load(body, 0), load(body, 1));
    let start = float(body, Ufunc::Add, &[a, b]);
    let (mut x, mut y) = (start, start);
    let half = constant(body, 0.5);
    for _ in 0..30 {
        for (x, of) in [(&mut x, a), (&mut y, b)] {
            let other = float(body, Ufunc::Divide, &[of, *x]);
            let sum = float(body, Ufunc::Add, &[*x, other]);
            *x = float(body, Ufunc::Multiply, &[half, sum]);
        }
    }
    body.stores = vec![(2, x), (3, y)];
    assert!(check(body).count >= 27);
}

#[test]
fn what_is_kept_of_every_round_is_no_loop() {
    let mut body = escape(60);
    let of_some_round = body.insts.iter().position(|i| matches!(i.op, Op::Map(Ufunc::Where, _))).expect("there is one");
    body.stores.extend([(4, Reg(of_some_round as u32 + 24)), (5, Reg(of_some_round as u32 + 120))]);
    assert!(Rounds::of(&body).is_none_or(|r| r.count < 57));
}

#[test]
fn short_bodies_and_those_without_rounds_stay() {
    assert!(Rounds::of(&escape(10)).is_none());
    let body = &mut Body::default();
    let mut values = vec![load(body, 0), load(body, 1)];
    let mut state = 12345u32;
    for _ in 0..300 {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        let at = |shift: u32| (state >> shift) as usize % values.len();
        let op = [Ufunc::Add, Ufunc::Multiply, Ufunc::Subtract][(state >> 28) as usize % 3];
        let operands = [values[at(3)], values[at(13)]];
        values.push(float(body, op, &operands));
    }
    body.stores = vec![(2, *values.last().expect("there are values"))];
    assert!(Rounds::of(body).is_none());
}
