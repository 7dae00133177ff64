//! What `lower` builds, as text: a change of the code that kernels get is seen here first.

use legate_jit_codegen::{CpuTarget, Sink, Stage, Workshop};
use legate_jit_ir::kernel::Op;
use legate_jit_ir::{Access, Body, DType, InnerStride, Kernel, Scalar, Ufunc};

use crate::harness::{load_access, one_op, read, write};

/// Keeps the text of one stage.
struct Text(Stage, String);

impl Sink for Text {
    fn wants(&self, stage: Stage) -> bool {
        stage == self.0
    }

    fn take(&mut self, _: Stage, text: &str) {
        self.1 = text.to_string();
    }
}

fn text(stage: Stage, kernel: &Kernel, target: &str) -> String {
    let mut sink = Text(stage, String::new());
    Workshop::new(&CpuTarget::named(target).unwrap()).unwrap().compile(kernel, &mut sink).unwrap();
    sink.1
}

fn mlir(kernel: &Kernel, target: &str) -> String {
    text(Stage::Mlir, kernel, target)
}

/// A vector that lies across two cache lines comes back from the stack only when it has reached the cache.
#[test]
fn vectors_are_kept_in_whole_cache_lines_during_calls() {
    for (target, align) in [("x86-64-v4", "andq\t$-64, %rsp"), ("x86-64-v3", "andq\t$-32, %rsp")] {
        let code = text(Stage::Asm, &one_op(Ufunc::Logaddexp, &[DType::F64; 2], DType::F64), target);
        assert!(code.contains(align), "{code}");
    }
}

/// `(x[0] + .. + x[n - 1]) / d`
fn mean(n: u32) -> Kernel {
    let unit = read(DType::F64, InnerStride::Unit);
    let mut body = Body::default();
    let loads: Vec<_> = (0..n).map(|a| load_access(&mut body, a, DType::F64)).collect();
    let mut map = |f, x, y| body.push(Op::Map(f, [x, y].into_iter().collect()), DType::F64);
    let sum = loads[1..].iter().fold(loads[0], |sum, &x| map(Ufunc::Add, sum, x));
    let d = body.push(Op::Scalar(0), DType::F64);
    let out = body.push(Op::Map(Ufunc::Divide, [sum, d].into_iter().collect()), DType::F64);
    body.stores.push((n, out));
    let accesses = (0..n).map(|_| unit).chain([Access { write: true, ..unit }]).collect();
    Kernel { rank: 1, accesses, scalars: vec![DType::F64], body }
}

/// A quotient goes by the reciprocal, but where the divider is quick and has other work beside it.
#[test]
fn quotients_are_divided_where_that_is_hidden() {
    for (target, n, fused) in
        [("x86-64-v4", 1, true), ("x86-64-v4", 6, true), ("znver4", 1, true), ("znver4", 6, false)]
    {
        let code = text(Stage::Asm, &mean(n), target);
        assert_eq!(code.contains("vfmadd"), fused, "{target}, {n} operands:\n{code}");
    }
}

/// Calls for numbers beyond a power's reach, and the points behind a leaf's last vector, are out of the way of the leaves' loop.
#[test]
fn what_hardly_ever_happens_is_known_to_llvm() {
    let mut body = Body::default();
    let x = load_access(&mut body, 0, DType::F64);
    let y = body.push(Op::Const(Scalar::f64(-1.5)), DType::F64);
    let power = body.push(Op::Map(Ufunc::Power, [x, y].into_iter().collect()), DType::F64);
    body.stores.push((1, power));
    let accesses = vec![read(DType::F64, InnerStride::Unit), write(DType::F64, InnerStride::Leaves)];
    let code = text(Stage::Llvm, &Kernel { rank: 1, accesses, scalars: vec![], body }, "x86-64-v4");
    // Whether all of a leaf was near, whether it has more points, and whether one of the numbers is beyond reach where they are asked.
    let weighed = code.lines().filter(|line| line.contains("br i1") && line.contains("!prof")).count();
    assert!(weighed >= 3 && code.contains("branch_weights"), "{code}");
    assert!(!code.contains("call i1 @llvm.expect"), "{code}");
}

#[test]
fn a_stencil_with_masks() {
    let unit = read(DType::F64, InnerStride::Unit);
    let mut body = Body::default();
    let loads: Vec<_> = (0..4).map(|a| load_access(&mut body, a, DType::F64)).collect();
    let add = |body: &mut Body, x, y| body.push(Op::Map(Ufunc::Add, [x, y].into_iter().collect()), DType::F64);
    let sum = loads[1..].iter().fold(loads[0], |sum, &r| add(&mut body, sum, r));
    let quarter = body.push(Op::Const(Scalar::f64(0.25)), DType::F64);
    let out = body.push(Op::Map(Ufunc::Multiply, [quarter, sum].into_iter().collect()), DType::F64);
    body.stores.push((4, out));
    let accesses = vec![unit, unit, unit, unit, Access { write: true, ..unit }];
    insta::assert_snapshot!(mlir(&Kernel { rank: 2, accesses, scalars: vec![], body }, "x86-64-v4"));
}

#[test]
fn the_rest_of_a_row_without_masks() {
    let mut body = Body::default();
    let x = load_access(&mut body, 0, DType::F32);
    let mut map = |f, x| body.push(Op::Map(f, [x].into_iter().collect()), DType::F32);
    let minus = map(Ufunc::Negative, x);
    let power = map(Ufunc::Exp, minus);
    body.stores.push((1, power));
    let accesses = vec![read(DType::F32, InnerStride::Unit), write(DType::F32, InnerStride::Unit)];
    insta::assert_snapshot!(mlir(&Kernel { rank: 1, accesses, scalars: vec![], body }, "x86-64-v3"));
}

#[test]
fn a_function_alone_is_the_librarys_loop() {
    let mut kernel = one_op(Ufunc::Power, &[DType::F64; 2], DType::F64);
    kernel.rank = 2;
    insta::assert_snapshot!(mlir(&kernel, "x86-64-v4"));
}

#[test]
fn strided_bools_and_a_scalar_of_a_row() {
    let mut body = Body::default();
    let mask = load_access(&mut body, 0, DType::Bool);
    let x = load_access(&mut body, 1, DType::F64);
    let weight = body.push(Op::Scalar(0), DType::F64);
    let chosen = body.push(Op::Map(Ufunc::Where, [mask, x, weight].into_iter().collect()), DType::F64);
    body.stores.push((2, chosen));
    let accesses = vec![
        read(DType::Bool, InnerStride::Any),
        read(DType::F64, InnerStride::Zero),
        write(DType::F64, InnerStride::Unit),
    ];
    insta::assert_snapshot!(mlir(&Kernel { rank: 1, accesses, scalars: vec![DType::F64], body }, "x86-64-v2"));
}

#[test]
fn complex_numbers_are_taken_apart() {
    insta::assert_snapshot!(mlir(&one_op(Ufunc::Conjugate, &[DType::C128], DType::C128), "x86-64-v4"));
}

/// Newton's method, forty rounds: the text has one.
#[test]
fn equal_rounds_are_a_loop() {
    let mut body = Body::default();
    let (a, start) = (load_access(&mut body, 0, DType::F64), load_access(&mut body, 1, DType::F64));
    let half = body.push(Op::Const(Scalar::f64(0.5)), DType::F64);
    let mut map = |f, x, y| body.push(Op::Map(f, [x, y].into_iter().collect()), DType::F64);
    let root = (0..40).fold(start, |x, _| {
        let other = map(Ufunc::Divide, a, x);
        let sum = map(Ufunc::Add, x, other);
        map(Ufunc::Multiply, half, sum)
    });
    body.stores.push((2, root));
    let unit = read(DType::F64, InnerStride::Unit);
    let accesses = vec![unit, unit, write(DType::F64, InnerStride::Unit)];
    insta::assert_snapshot!(mlir(&Kernel { rank: 1, accesses, scalars: vec![], body }, "x86-64-v4"));
}

/// What is more than the caches hold goes past them, if it lies at a line's boundary after the row's first points.
#[test]
fn stores_past_the_caches() {
    let past = Access { inner: InnerStride::Past, ..write(DType::F64, InnerStride::Unit) };
    let mut kernel = one_op(Ufunc::Add, &[DType::F64; 2], DType::F64);
    kernel.accesses[2] = past;
    let code = text(Stage::Asm, &kernel, "x86-64-v4");
    assert!(code.contains("vmovntp") && code.contains("mfence") | code.contains("lock"), "{code}");
}
