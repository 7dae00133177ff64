//! Boxes and strides: every way in which an access can lie in memory, every length of a row around the vector's, and nothing
//! outside the box touched.

use legate_jit_codegen::load;
use legate_jit_ir::kernel::Op;
use legate_jit_ir::{Body, DType, InnerStride, Kernel, Scalar, Ufunc, cast};

use crate::harness::{Array, Bench, load_access, read, write};

const LENGTHS: [usize; 9] = [1, 2, 7, 8, 9, 16, 33, 64, 130];

fn value(dtype: DType, k: usize) -> Scalar {
    let v = (k * 37 % 101) as i64 - 50;
    match dtype {
        DType::F32 => Scalar::f32(v as f32 / 4.0),
        DType::F64 => Scalar::f64(v as f64 / 4.0),
        DType::C64 => Scalar::c64(v as f32, k as f32),
        DType::C128 => Scalar::c128(v as f64, k as f64),
        int => Scalar::int(int, v as i128),
    }
}

/// (the kernel's class, elements between neighbours)
const WAYS: [(InnerStride, i64); 6] = [
    (InnerStride::Unit, 1),
    (InnerStride::Zero, 0),
    (InnerStride::Two, 2),
    (InnerStride::Any, 3),
    (InnerStride::Any, -1),
    (InnerStride::Any, 1),
];

#[test]
fn every_stride_and_length() {
    let bench = Bench::all();
    for dtype in [DType::Bool, DType::I8, DType::U16, DType::F32, DType::F64, DType::C64, DType::C128] {
        // Gaps of one element are for loads of real numbers.
        for (x_class, x_step) in WAYS.into_iter().filter(|w| w.0 != InnerStride::Two || !dtype.is_complex()) {
            let past = (InnerStride::Past, 1);
            for (out_class, out_step) in WAYS.into_iter().filter(|w| w.1 != 0 && w.0 != InnerStride::Two).chain([past])
            {
                let mut body = Body::default();
                let x = load_access(&mut body, 0, dtype);
                let y = load_access(&mut body, 1, dtype);
                let sum = body.push(Op::Map(Ufunc::Add, [x, y].into_iter().collect()), dtype);
                body.stores.push((2, sum));
                let accesses = vec![read(dtype, x_class), read(dtype, InnerStride::Unit), write(dtype, out_class)];
                let kernel = Kernel { rank: 1, accesses, scalars: vec![], body };
                let compiled = bench.compile(&format!("{dtype}"), &kernel);
                for n in LENGTHS {
                    let array = |step| Array::boxed(dtype, &[n], step, |k| value(dtype, k));
                    let what = format!("{dtype}, steps {x_step} and {out_step}, {n} points");
                    let mut out = array(out_step);
                    out.bytes.fill(0x33);
                    if dtype == DType::Bool {
                        out.bytes.fill(1);
                    }
                    compiled.check(&what, &[array(x_step), array(1), out], &[], &[0], &[n]);
                }
            }
        }
    }
}

/// Mixed element sizes in one body, scalars, constants, and the coordinates of the launch's domain.
fn mixed(rank: u32) -> Kernel {
    let mut body = Body::default();
    let small = load_access(&mut body, 0, DType::I8);
    let mask = load_access(&mut body, 1, DType::Bool);
    let half = load_access(&mut body, 2, DType::F32);
    let weight = body.push(Op::Scalar(0), DType::F64);
    let shift = body.push(Op::Scalar(1), DType::C128);
    let three = body.push(Op::Const(Scalar::f64(3.0)), DType::F64);
    let wide = body.push(Op::Cast(small), DType::F64);
    let float = body.push(Op::Cast(half), DType::F64);
    let map = |body: &mut Body, op, args: &[_], dtype| body.push(Op::Map(op, args.iter().copied().collect()), dtype);
    let mut sum = map(&mut body, Ufunc::Multiply, &[wide, weight], DType::F64);
    for d in 0..rank {
        let index = body.push(Op::Index(d), DType::I64);
        let index = body.push(Op::Cast(index), DType::F64);
        let index = map(&mut body, Ufunc::Multiply, &[index, three], DType::F64);
        sum = map(&mut body, Ufunc::Add, &[sum, index], DType::F64);
    }
    let chosen = map(&mut body, Ufunc::Where, &[mask, sum, float], DType::F64);
    let complex = body.push(Op::Cast(chosen), DType::C128);
    let complex = map(&mut body, Ufunc::Multiply, &[complex, shift], DType::C128);
    let positive = map(&mut body, Ufunc::Greater, &[chosen, three], DType::Bool);
    body.stores = vec![(3, complex), (4, positive), (5, chosen)];
    let unit = InnerStride::Unit;
    Kernel {
        rank,
        accesses: vec![
            read(DType::I8, unit),
            read(DType::Bool, unit),
            read(DType::F32, unit),
            write(DType::C128, unit),
            write(DType::Bool, unit),
            write(DType::F64, unit),
        ],
        scalars: vec![DType::F64, DType::C128],
        body,
    }
}

#[test]
fn boxes_of_one_to_four_axes() {
    let bench = Bench::all();
    let extents: [&[usize]; 8] = [&[33], &[1, 1], &[3, 7], &[2, 17], &[5, 64], &[2, 3, 9], &[3, 1, 31], &[2, 3, 2, 10]];
    for extent in extents {
        let kernel = mixed(extent.len() as u32);
        let arrays: Vec<Array> =
            kernel.accesses.iter().map(|a| Array::boxed(a.dtype, extent, 1, |k| value(a.dtype, k))).collect();
        let lo: Vec<i64> = (0..extent.len() as i64).map(|d| 10 * d + 1).collect();
        bench.check(
            &format!("{extent:?}"),
            &kernel,
            &arrays,
            &[Scalar::f64(0.5), Scalar::c128(1.5, -2.0)],
            &lo,
            extent,
        );
    }
}

#[test]
fn strided_accesses_beside_others_of_every_size() {
    let bench = Bench::all();
    for extent in [vec![9], vec![3, 20], vec![2, 2, 17]] {
        let mut kernel = mixed(extent.len() as u32);
        for a in [0, 1, 3, 4] {
            kernel.accesses[a].inner = InnerStride::Any;
        }
        kernel.accesses[2].inner = InnerStride::Zero;
        let steps = [-2, 3, 0, 2, -1, 1];
        let arrays: Vec<Array> = kernel
            .accesses
            .iter()
            .zip(steps)
            .map(|(a, step)| Array::boxed(a.dtype, &extent, step, |k| value(a.dtype, k)))
            .collect();
        let lo = vec![0; extent.len()];
        bench.check(
            &format!("{extent:?}"),
            &kernel,
            &arrays,
            &[Scalar::f64(0.5), Scalar::c128(1.5, -2.0)],
            &lo,
            &extent,
        );
    }
}

#[test]
fn in_place() {
    // The array is read and written by two accesses that name the same elements.
    let bench = Bench::all();
    let kernel = crate::harness::one_op(Ufunc::Square, &[DType::F64], DType::F64);
    for (target, workshop) in &bench.workshops {
        let loaded = legate_jit_codegen::load(&workshop.compile(&kernel, &mut ()).unwrap()).unwrap();
        for n in LENGTHS {
            let mut a: Vec<f64> = (0..n + 1).map(|i| i as f64 - 3.5).collect();
            let expected: Vec<f64> = a.iter().enumerate().map(|(i, x)| if i < n { x * x } else { *x }).collect();
            let p = a.as_mut_ptr().cast::<u8>();
            let n = n as i64;
            // SAFETY: both accesses name the first n elements of `a`.
            unsafe { loaded.entry()([p, p].as_ptr(), [8i64, 8].as_ptr(), std::ptr::null(), &0, &n) };
            assert_eq!(a, expected, "{target}, {n} points");
        }
    }
}

#[test]
fn zero_strides_along_outer_axes() {
    // A row that every row of the box reads: a broadcast.
    let bench = Bench::all();
    let mut kernel = crate::harness::one_op(Ufunc::Subtract, &[DType::F64, DType::F64], DType::F64);
    kernel.rank = 2;
    let extent = [4, 21];
    let mut arrays: Vec<Array> =
        (0..3).map(|_| Array::boxed(DType::F64, &extent, 1, |k| value(DType::F64, k))).collect();
    arrays[1].strides[0] = 0;
    bench.check("a broadcast row", &kernel, &arrays, &[], &[0, 0], &extent);
    kernel.accesses[1].inner = InnerStride::Zero;
    arrays[1].strides = vec![16, 0];
    bench.check("a broadcast column", &kernel, &arrays, &[], &[0, 0], &extent);
}

/// Loads that share the vectors of one array: some or all of every three to eight elements, the first one not always among the
/// kernel's first.
#[test]
fn accesses_beside_each_other() {
    let bench = Bench::all();
    for dtype in [DType::Bool, DType::U8, DType::I16, DType::F32, DType::F64] {
        for places in
            [&[3, 0][..], &[3, 1, 0, 2], &[4, 0, 3], &[5, 2, 0], &[6, 5, 4, 3, 2, 1, 0], &[7, 0, 6], &[8, 7, 0]]
        {
            let (step, places) = (places[0], &places[1..]);
            let of = places.iter().position(|&p| p == 0).unwrap() as u32;
            let apart = |&at: &u8| read(dtype, InnerStride::Apart { step, at, of });
            let mut body = Body::default();
            let wide = if dtype == DType::U8 { DType::F64 } else { dtype };
            let loads: Vec<_> = (0..places.len() as u32)
                .map(|a| {
                    let x = load_access(&mut body, a, dtype);
                    if wide == dtype { x } else { body.push(Op::Cast(x), wide) }
                })
                .collect();
            // No sum: that would not notice two places that are exchanged.
            let mut accesses: Vec<_> = places.iter().map(apart).collect();
            for &x in &loads {
                body.stores.push((accesses.len() as u32, x));
                accesses.push(write(wide, InnerStride::Unit));
            }
            let kernel = Kernel { rank: 2, accesses, scalars: vec![], body };
            legate_jit_ir::verify::kernel(&kernel).unwrap();
            let compiled = bench.compile(&format!("{dtype}, {step}"), &kernel);
            for n in LENGTHS {
                let mut arrays = Vec::new();
                for &at in places {
                    let mut x = Array::boxed(dtype, &[3, n], step as i64, |k| value(dtype, k));
                    x.offset += at as usize * dtype.size();
                    arrays.push(x);
                }
                arrays.extend(places.iter().map(|_| Array::boxed(wide, &[3, n], 1, |k| value(wide, k + 1))));
                compiled.check(&format!("{dtype}, {places:?} of {step}, {n} points"), &arrays, &[], &[0, 0], &[3, n]);
            }
        }
    }
}

/// Neighbours along a row: near and far ones, on both sides or one, the first not always among the kernel's first, with one in another
/// array. Rows end with the last element that is asked for, and begin at any place of a cache line.
#[test]
fn neighbours_along_a_row() {
    let bench = Bench::all();
    for dtype in [DType::F64, DType::F32, DType::I32, DType::I64] {
        for places in
            [&[0u8, 2][..], &[1, 0, 2], &[2, 0], &[0, 1], &[4, 3, 2, 1, 0], &[0, 8], &[8, 0, 4, 3], &[0, 0, 1]]
        {
            let of = places.iter().position(|&p| p == 0).unwrap() as u32;
            let mut body = Body::default();
            let loads: Vec<_> = (0..=places.len() as u32).map(|a| load_access(&mut body, a, dtype)).collect();
            let mut accesses: Vec<_> = places.iter().map(|&by| read(dtype, InnerStride::Near { by, of })).collect();
            accesses.push(read(dtype, InnerStride::Unit));
            for &x in &loads {
                body.stores.push((accesses.len() as u32, x));
                accesses.push(write(dtype, InnerStride::Unit));
            }
            let kernel = Kernel { rank: 2, accesses, scalars: vec![], body };
            legate_jit_ir::verify::kernel(&kernel).unwrap();
            let compiled = bench.compile(&format!("{dtype}, {places:?}"), &kernel);
            let last = *places.iter().max().unwrap() as usize;
            for n in LENGTHS.into_iter().chain([63, 65, 71, 100]) {
                let read = |by: u8| {
                    let mut x = Array::boxed(dtype, &[3, n + last], 1, |k| value(dtype, k));
                    x.offset += by as usize * dtype.size();
                    x
                };
                let mut arrays: Vec<_> = places.iter().map(|&by| read(by)).collect();
                arrays.push(read(0));
                arrays.extend(loads.iter().map(|_| Array::boxed(dtype, &[3, n], 1, |k| value(dtype, k + 1))));
                compiled.check(&format!("{dtype}, {places:?}, {n} points"), &arrays, &[], &[0, 0], &[3, n]);
            }
        }
    }
}

/// Sums of x·y, y the same all along a row, along the axes between the first and the last, beside the same sums one by one; the
/// last axis in vectors and in parts of one, as many first places as go side by side and others. x is doubled on the way.
#[test]
fn rows_are_added_up_in_order() {
    let bench = Bench::all();
    for dtype in [DType::F64, DType::F32] {
        let mut body = Body::default();
        let (x, y) = (load_access(&mut body, 0, dtype), load_access(&mut body, 1, dtype));
        let product = body.push(Op::Map(Ufunc::Multiply, [x, y].into_iter().collect()), dtype);
        let twice = body.push(Op::Map(Ufunc::Add, [x, x].into_iter().collect()), dtype);
        body.stores.extend([(2, product), (3, twice)]);
        let accesses = vec![
            read(dtype, InnerStride::Unit),
            read(dtype, InnerStride::Zero),
            write(dtype, InnerStride::Down),
            write(dtype, InnerStride::Unit),
        ];
        let kernel = Kernel { rank: 4, accesses, scalars: vec![], body };
        let code: Vec<_> = bench
            .workshops
            .iter()
            .map(|(target, workshop)| (target.to_string(), load(&workshop.compile(&kernel, &mut ()).unwrap()).unwrap()))
            .collect();
        for extent in [[1, 1, 1, 1], [4, 3, 2, 16], [5, 2, 3, 7], [11, 4, 5, 41], [3, 1, 9, 8]] {
            let [a, b, c, d] = extent;
            let (size, n) = (dtype.size(), a * b * c * d);
            let number = |k: usize| cast::cast(Scalar::f64(((k * 7919) % 1000) as f64 / 7.0 - 60.0), dtype);
            let bytes =
                |count: usize| -> Vec<u8> { (0..count).flat_map(|k| number(k).to_bytes()[..size].to_vec()).collect() };
            let (mut x, mut y) = (bytes(n), bytes(a * b * c));
            let at = |bytes: &[u8], k: usize| Scalar::from_bytes(dtype, &bytes[k * size..]).as_f64();
            let mut expected = vec![0x55; (a * d + 1) * size];
            let mut doubled = Vec::new();
            for i in 0..a {
                for j in 0..d {
                    let mut sum = -0.0;
                    for r in 0..b * c {
                        let row = i * b * c + r;
                        let (p, q) = (at(&x, row * d + j), at(&y, row));
                        let product = if dtype == DType::F32 { (p as f32 * q as f32) as f64 } else { p * q };
                        sum = if dtype == DType::F32 { (sum as f32 + product as f32) as f64 } else { sum + product };
                    }
                    let sum = cast::cast(Scalar::f64(sum), dtype);
                    expected[(i * d + j) * size..][..size].copy_from_slice(&sum.to_bytes()[..size]);
                }
            }
            for k in 0..n {
                let twice = cast::cast(Scalar::f64(2.0 * at(&x, k)), dtype);
                doubled.extend_from_slice(&twice.to_bytes()[..size]);
            }
            let s = size as i64;
            let [b, c, d] = [b, c, d].map(|n| n as i64);
            let whole = [b * c * d * s, c * d * s, d * s, s];
            let strides: Vec<i64> = [whole, [b * c * s, c * s, s, 0], [d * s, 77, 77, s], whole].concat();
            let extent = extent.map(|n| n as i64);
            for (target, loaded) in &code {
                let (mut sums, mut twice) = (vec![0x55u8; expected.len()], vec![0u8; n * size]);
                let ptrs = [x.as_mut_ptr(), y.as_mut_ptr(), sums.as_mut_ptr(), twice.as_mut_ptr()];
                // SAFETY: the arrays hold what the strides and the extents say.
                unsafe {
                    loaded.entry()(
                        ptrs.as_ptr(),
                        strides.as_ptr(),
                        std::ptr::null(),
                        [0i64; 4].as_ptr(),
                        extent.as_ptr(),
                    )
                };
                assert!(sums == expected, "{dtype} {extent:?} for {target}");
                assert!(twice == doubled, "{dtype} {extent:?} for {target}: what is stored beside the sums");
            }
        }
    }
}
