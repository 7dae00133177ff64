//! The orders of reduction against what NumPy 2.4 gave, and plans by hand.

use smallvec::smallvec;

use super::*;
use crate::Plan;
use crate::graph::{Order, Reduce, Reducer};
use crate::view::AxisMap;

/// The numbers that were given to NumPy: `((i * 7919) % 1000 - 500) / 7`.
fn numbers(n: usize) -> Vec<f64> {
    (0..n).map(|i| (((i * 7919) % 1000) as f64 - 500.0) / 7.0).collect()
}

fn sum(axes: &[u32], order: Order, a: &Tensor) -> Tensor {
    reduce(&Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes: axes.into(), order }, a).unwrap()
}

#[test]
fn sums_have_numpys_bits() {
    // (n, sum in f64, sum in f32, parts of the sum of x + i·(x reversed))
    let cases: [(usize, u64, u32, [u64; 2]); 7] = [
        (1, 0xc051db6db6db6db7, 0xc28edb6e, [0xc051db6db6db6db7, 0xc051db6db6db6db7]),
        (7, 0x405c892492492491, 0x42e44924, [0x405c892492492491, 0x405c892492492493]),
        (8, 0x405a249249249248, 0x42d12493, [0x405a249249249249, 0x405a249249249249]),
        (100, 0xc060f6db6db6db6c, 0xc307b6dc, [0xc060f6db6db6db6d, 0xc060f6db6db6db6e]),
        (129, 0xc040db6db6db6db6, 0xc206db6e, [0xc040db6db6db6dc0, 0xc040db6db6db6db2]),
        (1000, 0xc051db6db6db6dc2, 0xc28edb74, [0xc051db6db6db6dd0, 0xc051db6db6db6d9b]),
        (20000, 0xc09652492492492c, 0xc4b2924e, [0xc09652492492491e, 0xc09652492492492c]),
    ];
    for (n, in_f64, in_f32, in_c128) in cases {
        let x = numbers(n);
        let real: Vec<Scalar> = x.iter().map(|v| Scalar::f64(*v)).collect();
        let single: Vec<Scalar> = x.iter().map(|v| Scalar::f32(*v as f32)).collect();
        let complex: Vec<Scalar> = x.iter().zip(x.iter().rev()).map(|(re, im)| Scalar::c128(*re, *im)).collect();
        assert_eq!(pairwise_sum(&real).bits[0], in_f64, "{n} f64");
        assert_eq!(pairwise_sum(&single).bits[0] as u32, in_f32, "{n} f32");
        assert_eq!(pairwise_sum(&complex).bits, in_c128, "{n} c128");
    }
}

#[test]
fn sums_over_axes_have_numpys_bits() {
    let a = Tensor::f64(&[7, 3, 130], &numbers(7 * 3 * 130));
    let cases: [(&[u32], u64); 7] = [
        (&[0], 0xcbfb4836b6807823),
        (&[1], 0x398d31dceadf26aa),
        (&[2], 0xebba0d4c0ac19179),
        (&[0, 1], 0x2eb724a535ab9d21),
        (&[0, 2], 0xcd5149b6db63ebfc),
        (&[1, 2], 0xc1dc6a2316f5ee0),
        (&[0, 1, 2], 0xc070d4924924924e),
    ];
    for (axes, want) in cases {
        // All bits of the result in one number.
        let mix = |h: u64, s: Scalar| h.wrapping_mul(1099511628211) ^ s.bits[0];
        assert_eq!(sum(axes, Order::Tree, &a).elements().fold(0, mix), want, "{axes:?}");
    }
}

#[test]
fn a_kept_axis_of_extent_1_parts_nothing() {
    let x = numbers(2100);
    let whole = sum(&[0], Order::Tree, &Tensor::f64(&[2100], &x)).get(0);
    assert_eq!(sum(&[0, 2], Order::Tree, &Tensor::f64(&[7, 1, 300], &x)).get(0), whole);
    assert_eq!(sum(&[0], Order::Tree, &Tensor::f64(&[2100, 1], &x)).get(0), whole);
}

#[test]
fn chunks_are_added_in_order() {
    let x = numbers(1000);
    let a = Tensor::f64(&[10, 100], &x);
    let part =
        |r: std::ops::Range<usize>| pairwise_sum(&x[r].iter().map(|v| Scalar::f64(*v)).collect::<Vec<_>>()).as_f64();
    let want = (part(0..300) + part(300..600)) + part(600..900) + part(900..1000);
    assert_eq!(sum(&[0, 1], Order::Chunked(300), &a).get(0), Scalar::f64(want));
}

#[test]
fn reductions_of_nothing_are_the_identity() {
    let empty = Tensor::f64(&[3, 0], &[]);
    assert_eq!(sum(&[1], Order::Tree, &empty), Tensor::f64(&[3], &[0.0; 3]));
    let max = Reduce { reducer: Reducer::Ufunc(Ufunc::Maximum), axes: smallvec![1], order: Order::Tree };
    assert!(reduce(&max, &empty).is_err());
}

#[test]
fn argmax_is_the_first_nan_or_the_first_largest() {
    let arg = |reducer, x: &[f64]| {
        let r = Reduce { reducer, axes: smallvec![0], order: Order::Tree };
        reduce(&r, &Tensor::f64(&[x.len()], x)).unwrap().get(0).as_i128()
    };
    assert_eq!(arg(Reducer::ArgMax, &[1.0, 3.0, 3.0, 2.0]), 1);
    assert_eq!(arg(Reducer::ArgMin, &[0.0, -0.0, 3.0]), 0);
    assert_eq!(arg(Reducer::ArgMax, &[1.0, f64::NAN, 9.0, f64::NAN]), 1);
    assert_eq!(arg(Reducer::ArgMin, &[f64::NEG_INFINITY, f64::NAN]), 1);
}

fn outputs(graph: &str, inputs: &[Tensor], scalars: &[Scalar]) -> Vec<Tensor> {
    run(&graph.parse().unwrap(), inputs, scalars).unwrap()
}

#[test]
fn a_graph_of_views_and_updates() {
    let out = outputs(
        "graph(%0: f64[5], $0: f64) -> (f64[5], f64[2, 2], i64[2, 3]) {
           %1 = view %0 [4 - 2*d0] : f64[2]
           %2 = $0 : f64
           %3 = view %2 [] : f64[2]
           %4 = multiply %1, %3 : f64[2]
           %5 = update %0, %4 [1 + d0] : f64[5]
           %6 = view %5 [3 - d1] : f64[2, 2]
           %7 = index 1 : i64[2, 3]
           return %5, %6, %7
         }",
        &[Tensor::f64(&[5], &[0.0, 1.0, 2.0, 3.0, 4.0])],
        &[Scalar::f64(10.0)],
    );
    assert_eq!(out[0], Tensor::f64(&[5], &[0.0, 40.0, 20.0, 3.0, 4.0]));
    assert_eq!(out[1], Tensor::f64(&[2, 2], &[3.0, 20.0, 3.0, 20.0]));
    let columns = [0, 1, 2, 0, 1, 2].map(Scalar::i64);
    assert_eq!(out[2], Tensor::from_elements(DType::I64, &[2, 3], columns));
}

#[test]
fn products_and_accumulations() {
    let out = outputs(
        "graph(%0: f64[2, 3], %1: bool[2, 2]) -> (f64[2, 2], f64[2, 3], bool[2, 2]) {
           %2 = view %0 [d1, d0] : f64[3, 2]
           %3 = matmul %0, %2 : f64[2, 2]
           %4 = scan multiply axis 1 %0 : f64[2, 3]
           %5 = matmul %1, %1 : bool[2, 2]
           return %3, %4, %5
         }",
        &[
            Tensor::f64(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            Tensor::from_elements(DType::Bool, &[2, 2], [false, true, true, false].map(Scalar::bool)),
        ],
        &[],
    );
    assert_eq!(out[0], Tensor::f64(&[2, 2], &[14.0, 32.0, 32.0, 77.0]));
    assert_eq!(out[1], Tensor::f64(&[2, 3], &[1.0, 2.0, 6.0, 4.0, 20.0, 120.0]));
    assert_eq!(out[2], Tensor::from_elements(DType::Bool, &[2, 2], [true, false, false, true].map(Scalar::bool)));
}

#[test]
fn logical_reductions_of_numbers_give_bools() {
    let out = outputs(
        "graph(%0: f64[3]) -> (bool, bool) {
           %1 = reduce logical_and %0 [0] : bool
           %2 = reduce logical_or %0 [0] : bool
           return %1, %2
         }",
        &[Tensor::f64(&[3], &[0.0, 2.0, f64::NAN])],
        &[],
    );
    assert_eq!(out, [Tensor::scalar(Scalar::bool(false)), Tensor::scalar(Scalar::bool(true))]);
}

#[test]
fn a_plan_in_place_with_pieces_and_a_stream() {
    // The rim keeps its old values, the window is halved in place, and the squares of the whole are summed on the way.
    let plan: Plan = "
        plan @halve {
          buffer b0: f64[6] = input 0
          buffer b1: f64[6] = takeover b0
          buffer b2: f64[] = fresh
          kernel k0(#0: f64 unit, #1: f64 unit write, #2: f64 unit write) rank 1 {
            %0 = load #0 : f64
            %1 = const 0.5 : f64
            %2 = multiply %0, %1 : f64
            %3 = square %2 : f64
            store #1, %2
            store #2, %3
          }
          kernel k1(#0: f64 unit, #1: f64 unit write) rank 1 {
            %0 = load #0 : f64
            %1 = square %0 : f64
            store #1, %1
          }
          launch [6] {
            target t0 = b0 [d0]
            target t1 = b1 [d0]
            target t2 = stream s0
            stream s0: f64 reduce add [0] -> b2
            piece [0:1] k1(t0, t2)
            piece [1:5] k0(t0, t1, t2)
            piece [5:6] k1(t0, t2)
          }
          free b0
          return b1, b2
        }"
    .parse()
    .unwrap();
    let out = run_plan(&plan, &[Tensor::f64(&[6], &[1.0, 2.0, 4.0, 6.0, 8.0, 3.0])], &[]).unwrap();
    assert_eq!(out[0], Tensor::f64(&[6], &[1.0, 1.0, 2.0, 3.0, 4.0, 3.0]));
    assert_eq!(out[1], Tensor::f64(&[], &[40.0]));
}

#[test]
fn what_a_view_names_is_read() {
    let base = Tensor::f64(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let diagonal = View { shape: smallvec![2], axes: smallvec![AxisMap::along(0, 0, 1), AxisMap::along(1, 0, 1)] };
    assert_eq!(read(&base, &diagonal), Tensor::f64(&[2], &[1.0, 5.0]));
}
