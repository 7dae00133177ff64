//! The interpreter as a witness that two programs mean the same.

use legate_jit_ir::arbitrary::{Choices, arguments, bytes, element, special};
use legate_jit_ir::graph::{Op, Reducer};
use legate_jit_ir::interp::{self, Tensor};
use legate_jit_ir::{DType, Graph, Plan, Scalar, Ufunc};

use super::instance::SIDE;

/// Arguments for a graph. In the first round the special values: the first input runs through them along its rows, the next
/// along its columns, so that two of `SIDE` × `SIDE` show all pairs; later rounds mix in ordinary ones.
pub fn inputs(graph: &Graph, round: u64) -> (Vec<Tensor>, Vec<Scalar>) {
    let (arrays, scalars) = arguments(graph);
    let random = bytes(round, 1 << 16);
    let mut c = Choices::new(&random);
    let array = |(k, ty): (usize, Option<legate_jit_ir::Type>)| {
        let ty = ty.unwrap_or(legate_jit_ir::Type::new(DType::F64, &[]));
        let special = special(ty.dtype);
        let one = |i: usize| match round {
            0 if k % 2 == 0 => special[(i + k / 2) % SIDE % special.len()],
            0 => special[(i / SIDE + k / 2) % special.len()],
            _ => element(&mut c, ty.dtype),
        };
        Tensor::from_elements(ty.dtype, &ty.shape, (0..ty.size()).map(one))
    };
    let arrays = arrays.into_iter().enumerate().map(array).collect();
    let scalar = |ty: Option<legate_jit_ir::Type>| element(&mut c, ty.map_or(DType::F64, |t| t.dtype));
    (arrays, scalars.into_iter().map(scalar).collect())
}

/// The element as it is compared: every NaN (of one sign, where `signs` count) is the same. Which of several NaNs an operation returns, and whether a NaN
/// is signalling, is the hardware's affair.
fn compared(s: Scalar, signs: bool) -> Scalar {
    let (sign_f32, sign_f64) = if signs { (0x8000_0000, 1 << 63) } else { (0, 0) };
    let f32_bits = |b: u32| if f32::from_bits(b).is_nan() { b & sign_f32 | 0x7fc0_0000 } else { b } as u64;
    let f64_bits = |b: u64| if f64::from_bits(b).is_nan() { b & sign_f64 | 0x7ff8 << 48 } else { b };
    let bits = match s.dtype {
        DType::F32 => [f32_bits(s.bits[0] as u32), 0],
        DType::C64 => [f32_bits(s.bits[0] as u32) | f32_bits((s.bits[0] >> 32) as u32) << 32, 0],
        DType::F64 => [f64_bits(s.bits[0]), 0],
        DType::C128 => [f64_bits(s.bits[0]), f64_bits(s.bits[1])],
        _ => s.bits,
    };
    Scalar { bits, ..s }
}

/// Whether the graph adds floats up. The compiler of the interpreter may let two floats change places, and where one addition in a
/// tree meets two NaNs that decides whose sign the sum has.
fn sums(graph: &Graph) -> bool {
    let add = Reducer::Ufunc(Ufunc::Add);
    graph.nodes.iter().any(|n| {
        matches!(&n.op, Op::Reduce(r) if r.reducer == add) && (n.ty.dtype.is_float() || n.ty.dtype.is_complex())
    })
}

/// The first difference between two lists of arrays.
pub fn difference(a: &[Tensor], b: &[Tensor], nan_signs: bool) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{} and {} outputs", a.len(), b.len()));
    }
    for (n, (x, y)) in a.iter().zip(b).enumerate() {
        if x.ty() != y.ty() {
            return Some(format!("output {n} is {:?} and {:?}", x.ty(), y.ty()));
        }
        for i in 0..x.len() {
            let (p, q) = (x.get(i), y.get(i));
            if compared(p, nan_signs) != compared(q, nan_signs) {
                return Some(format!(
                    "output {n}, element {i}: {:x?} and {:x?} ({} and {})",
                    p.bits,
                    q.bits,
                    p.as_f64(),
                    q.as_f64()
                ));
            }
        }
    }
    None
}

const ROUNDS: u64 = 3;

/// What differs between the results of two graphs, over several inputs.
pub fn compare(a: &Graph, b: &Graph) -> Option<String> {
    (0..ROUNDS).find_map(|round| {
        let (arrays, scalars) = inputs(a, round);
        let before = interp::run(a, &arrays, &scalars).unwrap_or_else(|e| panic!("{e}\n{a}"));
        let after = interp::run(b, &arrays, &scalars).unwrap_or_else(|e| panic!("{e}\n{b}"));
        difference(&before, &after, !sums(a))
    })
}

pub fn same(a: &Graph, b: &Graph) {
    if let Some(difference) = compare(a, b) {
        panic!("{difference}\n{a}\n{b}");
    }
}

pub fn compare_plan(graph: &Graph, plan: &Plan) -> Option<String> {
    (0..ROUNDS).find_map(|round| {
        let (arrays, scalars) = inputs(graph, round);
        let before = interp::run(graph, &arrays, &scalars).unwrap_or_else(|e| panic!("{e}\n{graph}"));
        let after = interp::run_plan(plan, &arrays, &scalars).unwrap_or_else(|e| panic!("{e}\n{graph}\n{plan}"));
        difference(&before, &after, !sums(graph))
    })
}

pub fn same_plan(graph: &Graph, plan: &Plan) {
    if let Some(difference) = compare_plan(graph, plan) {
        panic!("{difference}\n{graph}\n{plan}");
    }
}

/// Whether reassociation could tell the constants of a graph apart from ordinary numbers.
fn ordinary(graph: &Graph) -> bool {
    graph.nodes.iter().all(|node| match node.op {
        legate_jit_ir::Op::Const(value) => {
            let (re, im) = value.as_c128();
            [re, im].iter().all(|v| *v == 0.0 || (1e-4..1e4).contains(&v.abs()))
        }
        _ => true,
    })
}

/// For relaxed rules: what differs by more than rounding, in double precision, on numbers near 1. `None` too where the graph's types or
/// constants do not allow the question.
pub fn apart(a: &Graph, b: &Graph) -> Option<String> {
    let double = |d: DType| matches!(d, DType::F64 | DType::C128 | DType::Bool);
    if !ordinary(a) || a.nodes.iter().any(|n| !double(n.ty.dtype)) {
        return None;
    }
    let random = bytes(7, 1 << 16);
    let mut c = Choices::new(&random);
    let mut near_one = || 0.75 + f64::from(c.byte()) / 512.0;
    let array = |ty: Option<legate_jit_ir::Type>| {
        let ty = ty.unwrap_or(legate_jit_ir::Type::new(DType::F64, &[]));
        let one = |_| match ty.dtype {
            DType::F64 => Scalar::f64(near_one()),
            DType::C128 => Scalar::c128(near_one(), near_one()),
            _ => Scalar::bool(near_one() < 1.0),
        };
        Tensor::from_elements(ty.dtype, &ty.shape, (0..ty.size()).map(one))
    };
    let arrays: Vec<Tensor> = arguments(a).0.into_iter().map(array).collect();
    let run = |g: &Graph| interp::run(g, &arrays, &[]).unwrap_or_else(|e| panic!("{e}\n{g}"));
    for (x, y) in run(a).iter().zip(&run(b)) {
        for i in 0..x.len() {
            let ((p, q), (r, s)) = (x.get(i).as_c128(), y.get(i).as_c128());
            let finite = [p, q, r, s].iter().all(|v| v.is_finite());
            let scale = 1.0 + p.abs() + q.abs();
            if finite && ((p - r).abs() > 1e-9 * scale || (q - s).abs() > 1e-9 * scale) {
                return Some(format!("element {i}: {p}, {q} and {r}, {s}"));
            }
        }
    }
    None
}
