//! Printing and parsing: round trips of random graphs, snapshots of each form, and what the parser says.

use proptest::prelude::*;
use smallvec::smallvec;

use super::lexer::Lexer;
use super::{parse_maps, write_maps};
use crate::arbitrary::{self, Choices, Options};
use crate::graph::{Order, Reduce, Reducer};
use crate::{DType, Error, Graph, Kernel, Op, Plan, Scalar, Type, Ufunc, View};

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn graphs_parse_back_as_they_are_printed(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let graph = arbitrary::graph(&mut Choices::new(&bytes), &Options::default());
        let text = graph.to_string();
        let back: Graph = text.parse().map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
        prop_assert_eq!(&back, &graph, "{}", text);
        prop_assert_eq!(back.to_string(), text);
    }

    #[test]
    fn constants_keep_their_bits(bits in any::<[u64; 2]>()) {
        for dtype in DType::ALL {
            let mut raw = [0; 16];
            raw[..8].copy_from_slice(&bits[0].to_le_bytes());
            raw[8..].copy_from_slice(&bits[1].to_le_bytes());
            if dtype == DType::Bool {
                raw[0] &= 1;
            }
            let mut graph = Graph::default();
            let v = graph.push(Op::Const(Scalar::from_bytes(dtype, &raw)), &[], Type::new(dtype, &[]));
            graph.outputs.push(v);
            let text = graph.to_string();
            prop_assert_eq!(text.parse::<Graph>().unwrap(), graph, "{}", text);
        }
    }
}

/// One node of each kind.
fn sample() -> Graph {
    let mut g = Graph { name: "sample".into(), donated: vec![true, false, false], ..Graph::default() };
    let f = |shape: &[usize]| Type::new(DType::F64, shape);
    let p = g.push(Op::Input(0), &[], f(&[4, 6]));
    let s = g.push(Op::Scalar(0), &[], f(&[]));
    let n = g.push(Op::Input(2), &[], Type::new(DType::I32, &[3]));
    let window = View {
        shape: smallvec![2, 3],
        axes: smallvec![crate::view::AxisMap::along(1, 0, 1), crate::view::AxisMap::along(5, 1, -2)],
    };
    let w = g.push(Op::View(window.clone()), &[p], f(&[2, 3]));
    let spread = g.push(Op::View(View::broadcast(&[], &[2, 3])), &[s], f(&[2, 3]));
    let c = g.push(Op::Cast, &[n], f(&[3]));
    let rows = g.push(Op::View(View::broadcast(&[3], &[2, 3])), &[c], f(&[2, 3]));
    let sum = g.push(Op::Map(Ufunc::Add), &[w, spread], f(&[2, 3]));
    let test = g.push(Op::Map(Ufunc::Less), &[sum, rows], Type::new(DType::Bool, &[2, 3]));
    let index = g.push(Op::Index(1), &[], Type::new(DType::I64, &[2, 3]));
    let index = g.push(Op::Cast, &[index], f(&[2, 3]));
    let chosen = g.push(Op::Map(Ufunc::Where), &[test, sum, index], f(&[2, 3]));
    let updated = g.push(Op::Update(window), &[p, chosen], f(&[4, 6]));
    let reduce = |reducer, axes: &[u32], order| Op::Reduce(Reduce { reducer, axes: axes.into(), order });
    let total = g.push(reduce(Reducer::Ufunc(Ufunc::Add), &[0, 1], Order::Chunked(6)), &[updated], f(&[]));
    let best = g.push(reduce(Reducer::ArgMax, &[1], Order::Tree), &[chosen], Type::new(DType::I64, &[2]));
    let flat = g.push(Op::Reshape, &[chosen], f(&[3, 2]));
    let product = g.push_matmul(chosen, flat, f(&[2, 2]));
    let scan =
        g.push(Op::Opaque(crate::graph::Opaque::Scan { ufunc: Ufunc::Multiply, axis: 0 }), &[product], f(&[2, 2]));
    let z = g.push(Op::Const(Scalar::c64(-0.0, f32::INFINITY)), &[], Type::new(DType::C64, &[]));
    g.outputs = vec![updated, total, best, scan, z];
    g
}

const PLAN: &str = "
plan @residual {
  scalar $0: f64
  buffer b0: f64[10] = input 0
  buffer b1: f64[] = fresh
  buffer b2: f64[10] = takeover b0
  buffer b3: f64[2, 5] = alias b2
  buffer b4: f64[2, 2] = fresh
  kernel k0(#0: f64 any, #1: f64 unit write, #2: f64 unit write, $0: f64) rank 1 {
    %0 = load #0 : f64
    %1 = $0 : f64
    %2 = multiply %0, %1 : f64
    %3 = const 0.1 : f64
    %4 = subtract %2, %3 : f64
    %5 = index 0 : i64
    %6 = cast %5 : f64
    store #1, %4
    store #2, %2
  }
  launch [10] {
    target t0 = b0 [d0]
    target t1 = b2 [d0]
    target t2 = stream s0
    stream s0: f64 reduce add [0] -> b1
    piece [0:10] k0(t0, t1, t2, $0)
  }
  matmul b3 [d0, d1] : [2, 5], b3 [d1, d0] : [5, 2] -> b4
  free b2
  return b1, b4
}
";

#[test]
fn graph_text() {
    let text = sample().to_string();
    assert_eq!(text.parse::<Graph>().unwrap(), sample());
    insta::assert_snapshot!(text);
}

#[test]
fn plan_and_kernel_text() {
    let plan: Plan = PLAN.parse().unwrap();
    let text = plan.to_string();
    assert_eq!(text.parse::<Plan>().unwrap(), plan);
    let kernel = &plan.kernels[0];
    assert_eq!(kernel.to_string().parse::<Kernel>().unwrap(), *kernel);
    insta::assert_snapshot!(format!("{kernel}\n{text}"));
}

#[test]
fn numbers_may_have_gaps_and_comments_are_skipped() {
    let text =
        "; passes: rewrite\ngraph @cut(%3: f64[2]) -> f64[2] { ; from a dump\n %7 = negative %3 : f64[2]\n return %7 }";
    let graph: Graph = text.parse().unwrap();
    assert_eq!(graph.to_string(), "graph @cut(%0: f64[2]) -> f64[2] {\n  %1 = negative %0 : f64[2]\n  return %1\n}\n");
}

#[test]
fn names_may_be_anything() {
    for name in ["", "step 2", "a\"b\n", "été", "x_1"] {
        let graph = Graph { name: name.into(), ..Graph::default() };
        assert_eq!(graph.to_string().parse::<Graph>().unwrap(), graph);
    }
}

#[test]
fn maps_are_read_in_any_order_of_terms() {
    let read = |text: &str| {
        let axes = parse_maps(&mut Lexer::new(text).unwrap(), Some(3))?;
        let view = View { shape: smallvec![9, 9, 9], axes };
        struct Maps(View);
        impl std::fmt::Display for Maps {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                write_maps(f, &self.0)
            }
        }
        Ok::<_, Error>(Maps(view).to_string())
    };
    assert_eq!(read("[d2 - 3 + 2*d0, -d1, 5, -4 - 2*d1]").unwrap(), "[-3 + 2*d0 + d2, -d1, 5, -4 - 2*d1]");
    assert_eq!(read("[0, d0]").unwrap(), "[0, d0]");
    assert_eq!(read("[d0 + d0]").unwrap_err().to_string(), "1:7: d0 twice, or times 0");
    assert_eq!(read("[d3]").unwrap_err().to_string(), "1:2: d3 where the result has rank 3");
}

/// What the parser says of a graph with this body, whose inputs are `%0: f64[4]` and `%1: i32[3]`.
fn complaint(body: &str) -> String {
    let text = format!("graph(%0: f64[4], %1: i32[3], $0: f64) -> f64[4] {{\n{body}\nreturn %0 }}");
    text.parse::<Graph>().unwrap_err().to_string()
}

#[test]
fn messages_name_the_place() {
    let all = [
        "%2 = add %0, %0 : f64[3]",
        "%2 = add %0, %0 : i64[4]",
        "%2 = add %0, %1 : f64[4]",
        "%2 = invert %0 : f64[4]",
        "%2 = add %0 : f64[4]",
        "%2 = plus %0, %0 : f64[4]",
        "%2 = add %0, %5 : f64[4]",
        "%2 = view %0 [1 + d0] : f64[4]",
        "%2 = view %0 [d0, d0] : f64[4]",
        "%2 = view %0 [d1] : f64[4]",
        "%2 = const 300 : u8",
        "%2 = const nan : i64",
        "%2 = reduce add %0 [1] : f64[4]",
        "%2 = reduce less %0 [0] : bool",
        "%2 = update %0, %0 [0] : f64[4]",
        "%2 = $1 : f64",
        "%2 = matmul %0, %0 : f64[4]",
        "%2 = index 1 : i64[4]",
        "%1 = negative %0 : f64[4]",
        "%2 = add %0, %0 f64[4]",
        "%2 = add %0, %0 : float64[4]",
        "%2 = add %0, ? : f64[4]",
        "}",
    ];
    let said: Vec<String> = all.iter().map(|body| format!("{body}\n    {}\n", complaint(body))).collect();
    insta::assert_snapshot!(said.concat());
}

/// The plan of the other tests with one thing changed.
fn plan_complaint(from: &str, to: &str) -> String {
    assert!(PLAN.contains(from), "the plan has no {from}");
    PLAN.replacen(from, to, 1).parse::<Plan>().unwrap_err().to_string()
}

#[test]
fn plans_that_break_an_invariant_are_refused() {
    let all = [
        ("piece [0:10]", "piece [0:9]"),
        ("piece [0:10]", "piece [0:11]"),
        ("target t0 = b0 [d0]", "target t0 = b0 [1 + d0]"),
        ("target t0 = b0 [d0]", "target t0 = b0 [9 - d0]"),
        ("free b2", "free b2\n  free b2"),
        ("return b1, b4", "return b0"),
        ("return b1, b4", "return b3"),
        ("piece [0:10] k0(t0, t1, t2, $0)", "piece [0:10] k0(t0, t1, t2)"),
        ("piece [0:10] k0(t0, t1, t2, $0)", "piece [0:10] k0(t0, t2, t1, $0)\n    piece [3:4] k0(t0, t1, t2, $0)"),
        ("buffer b2: f64[10] = takeover b0", "buffer b2: f64[11] = takeover b0"),
        ("buffer b4: f64[2, 2] = fresh", "buffer b4: f64[2, 3] = fresh"),
        ("matmul b3", "matmul b4"),
        ("buffer b0: f64[10] = input 0", "buffer b0: f64[10] = fresh"),
        ("#2: f64 unit write", "#2: f64 zero write"),
        ("store #2, %2", "store #1, %2"),
        ("%2 = multiply %0, %1 : f64", "%2 = multiply %0, %3 : f64"),
        ("reduce add [0]", "reduce add [1]"),
        ("b1: f64[]", "b1: f64[1]"),
    ];
    let said: Vec<String> = all.iter().map(|(from, to)| format!("{to}\n    {}\n", plan_complaint(from, to))).collect();
    insta::assert_snapshot!(said.concat());
}
