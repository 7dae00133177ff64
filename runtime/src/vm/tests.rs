//! The prebuilt loops against the table's meaning, element by element.

use legate_jit_ir::cast::cast;
use legate_jit_ir::kernel::{Access, Body, InnerStride, Op};
use legate_jit_ir::{DType, Kernel, Scalar, Ufunc};
use smallvec::SmallVec;

use super::Program;

/// splitmix64.
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn real(&mut self) -> f64 {
        const SPECIAL: [f64; 20] = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            0.5,
            2.0,
            -2.0,
            3.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            f64::MAX,
            5e-324,
            -1e-310,
            1e-40,
            709.9,
            -745.5,
            1e19,
            2147483648.0,
            -3.5,
        ];
        match self.below(4) {
            0 => SPECIAL[self.below(SPECIAL.len())],
            1 => (self.next() >> 11) as f64 / (1u64 << 53) as f64 * 2.0 - 1.0,
            2 => self.below(41) as f64 - 20.0,
            _ => f64::from_bits(self.next()),
        }
    }

    fn element(&mut self, dtype: DType) -> Scalar {
        match dtype {
            DType::F64 => Scalar::f64(self.real()),
            DType::F32 => Scalar::f32(self.real() as f32),
            DType::C64 => Scalar::c64(self.real() as f32, self.real() as f32),
            DType::C128 => Scalar::c128(self.real(), self.real()),
            DType::Bool => Scalar::bool(self.next() & 1 == 1),
            _ => match self.below(3) {
                0 => Scalar::int(dtype, self.below(9) as i128 - 4),
                1 => Scalar::int(
                    dtype,
                    [i64::MIN as i128, i64::MAX as i128, 1 << 31, -(1 << 31), 127, -128][self.below(6)],
                ),
                _ => Scalar::int(dtype, self.next() as i64 as i128),
            },
        }
    }
}

fn same(a: Scalar, b: Scalar) -> bool {
    let ((a_re, a_im), (b_re, b_im)) = (a.as_c128(), b.as_c128());
    let nan = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    if a.dtype.is_float() || a.dtype.is_complex() { nan(a_re, b_re) && nan(a_im, b_im) } else { a == b }
}

/// An array as an access sees it: its memory, where its first element lies, and byte strides.
#[derive(Clone)]
struct Operand {
    memory: usize,
    offset: i64,
    strides: Vec<i64>,
}

/// What a point computes, by the table's own evaluation.
fn point(kernel: &Kernel, loads: &[Scalar], scalars: &[[u64; 2]], index: &[i64]) -> Vec<Scalar> {
    let mut values: Vec<Scalar> = Vec::new();
    for inst in &kernel.body.insts {
        values.push(match &inst.op {
            Op::Load(a) => loads[*a as usize],
            Op::Scalar(k) => Scalar { dtype: inst.dtype, bits: scalars[*k as usize] },
            Op::Const(c) => *c,
            Op::Index(d) => Scalar::i64(index[*d as usize]),
            Op::Cast(r) => cast(values[r.0 as usize], inst.dtype),
            Op::Map(u, args) => {
                let args: Vec<Scalar> = args.iter().map(|r| values[r.0 as usize]).collect();
                u.eval(&args).expect("the kernel is well typed")
            }
        });
    }
    values
}

/// Memories filled with bytes; 16-byte aligned plus what the test asks for.
type Memory = Vec<u128>;

fn base(m: &Memory) -> *mut u8 {
    m.as_ptr() as *mut u8
}

fn read(m: &Memory, at: i64, dtype: DType) -> Scalar {
    // SAFETY: the tests lay their operands out inside their memories.
    Scalar::from_bytes(dtype, unsafe { std::slice::from_raw_parts(base(m).offset(at as isize), dtype.size()) })
}

fn write(m: &mut Memory, at: i64, value: Scalar) {
    // SAFETY: as above.
    unsafe { base(m).offset(at as isize).copy_from_nonoverlapping(value.to_bytes().as_ptr(), value.dtype.size()) }
}

/// Runs the kernel both ways over a box and compares all memory.
fn check(
    kernel: &Kernel,
    operands: &[Operand],
    memories: &[Memory],
    scalars: &[[u64; 2]],
    lo: &[i64],
    extent: &[i64],
    what: &str,
) {
    let ours = memories.to_vec();
    let mut want = memories.to_vec();
    let total: i64 = extent.iter().product();
    let offset = |o: &Operand, at: &[i64]| o.offset + at.iter().zip(&o.strides).map(|(a, s)| a * s).sum::<i64>();
    for k in 0..total {
        let mut rest = k;
        let mut at = vec![0; extent.len()];
        for d in (0..extent.len()).rev() {
            at[d] = rest % extent[d];
            rest /= extent[d];
        }
        let loads: Vec<Scalar> = kernel
            .accesses
            .iter()
            .zip(operands)
            // Before anything was written: no point reads what another writes.
            .map(|(a, o)| read(&memories[o.memory], offset(o, &at), a.dtype))
            .collect();
        let index: Vec<i64> = at.iter().zip(lo).map(|(a, l)| a + l).collect();
        let values = point(kernel, &loads, scalars, &index);
        for (a, r) in &kernel.body.stores {
            let o = &operands[*a as usize];
            write(&mut want[o.memory], offset(o, &at), values[r.0 as usize]);
        }
    }
    let program = Program::new(kernel).expect("a program");
    let ptrs: Vec<*mut u8> =
        operands.iter().map(|o| base(&ours[o.memory]).wrapping_offset(o.offset as isize)).collect();
    let strides: Vec<i64> = operands.iter().flat_map(|o| o.strides.clone()).collect();
    // SAFETY: the operands lie inside their memories.
    unsafe { program.run(ptrs.as_ptr(), strides.as_ptr(), scalars.as_ptr(), lo.as_ptr(), extent.as_ptr()) };
    for (a, r) in &kernel.body.stores {
        let o = &operands[*a as usize];
        let dtype = kernel.body.dtype(*r);
        for k in 0..total {
            let mut rest = k;
            let mut at = vec![0; extent.len()];
            for d in (0..extent.len()).rev() {
                at[d] = rest % extent[d];
                rest /= extent[d];
            }
            let (got, expected) =
                (read(&ours[o.memory], offset(o, &at), dtype), read(&want[o.memory], offset(o, &at), dtype));
            assert!(same(got, expected), "{what} at {at:?}: {got:?}, expected {expected:?}\n{kernel:#?}");
            // NaNs may differ in their bits; take ours, so that the comparison of all memory below sees the rest.
            write(&mut want[o.memory], offset(o, &at), got);
        }
    }
    assert!(ours == want, "{what}: something else was written\n{kernel:#?}\n{operands:?}", operands = operands.len());
}

/// A layout of n elements: (step in elements, first).
const LAYOUTS: [&str; 4] = ["contiguous", "strided", "reversed", "broadcast"];

fn lay_out(layout: usize, n: usize, size: usize) -> (i64, i64) {
    let size = size as i64;
    match layout {
        0 => (size, 0),
        1 => (3 * size, size),
        2 => (-size, (n as i64 - 1) * size),
        _ => (0, 0),
    }
}

fn inner(stride: i64, size: usize) -> InnerStride {
    match stride {
        0 => InnerStride::Zero,
        s if s == size as i64 => InnerStride::Unit,
        _ => InnerStride::Any,
    }
}

fn filled(rng: &mut Rng, dtype: DType, n: usize) -> Memory {
    let mut m: Memory = vec![0; (n * dtype.size()).div_ceil(16) + 1];
    for i in 0..n {
        write(&mut m, (i * dtype.size()) as i64, rng.element(dtype));
    }
    m
}

#[test]
fn every_loop_gives_the_meaning() {
    let mut rng = Rng(3);
    let mut seen = 0;
    for &ufunc in Ufunc::ALL {
        for signature in ufunc.signatures() {
            seen += 1;
            let ins = signature.ins();
            for n in [1usize, 7, 8, 9, 1000] {
                for (layout, layout_name) in LAYOUTS.iter().enumerate() {
                    // Every argument in this layout but one, which is contiguous, a scalar argument or a constant.
                    for odd in 0..4usize {
                        if odd > 0 && n != 9 || n == 1000 && layout > 1 {
                            continue;
                        }
                        let mut kernel = Kernel { rank: 1, ..Kernel::default() };
                        let mut body = Body::default();
                        let (mut operands, mut memories, mut scalars) = (Vec::new(), Vec::new(), Vec::new());
                        let mut args: SmallVec<[_; 3]> = SmallVec::new();
                        for (k, &dtype) in ins.iter().enumerate() {
                            let special = k == (n + layout) % ins.len();
                            if special && odd == 2 {
                                kernel.scalars.push(dtype);
                                scalars.push(rng.element(dtype).bits);
                                args.push(body.push(Op::Scalar(scalars.len() as u32 - 1), dtype));
                                continue;
                            }
                            if special && odd == 3 {
                                args.push(body.push(Op::Const(rng.element(dtype)), dtype));
                                continue;
                            }
                            let layout = if special && odd == 1 { 0 } else { layout };
                            let (stride, offset) = lay_out(layout, n, dtype.size());
                            let access = Access { dtype, inner: inner(stride, dtype.size()), write: false };
                            kernel.accesses.push(access);
                            memories.push(filled(&mut rng, dtype, 3 * n + 2));
                            operands.push(Operand { memory: memories.len() - 1, offset, strides: vec![stride] });
                            args.push(body.push(Op::Load(kernel.accesses.len() as u32 - 1), dtype));
                        }
                        let result = body.push(Op::Map(ufunc, args), signature.out);
                        let out = signature.out;
                        let (stride, offset) = lay_out(layout % 3, n, out.size());
                        kernel.accesses.push(Access { dtype: out, inner: inner(stride, out.size()), write: true });
                        memories.push(filled(&mut rng, out, 3 * n + 2));
                        operands.push(Operand { memory: memories.len() - 1, offset, strides: vec![stride] });
                        body.stores.push((kernel.accesses.len() as u32 - 1, result));
                        kernel.body = body;
                        let what = format!("{} {signature:?} n={n} {} {odd}", ufunc.name(), layout_name);
                        check(&kernel, &operands, &memories, &scalars, &[0], &[n as i64], &what);
                    }
                }
            }
        }
    }
    assert!(seen > 500, "only {seen} loops");
}

#[test]
fn every_cast() {
    let mut rng = Rng(4);
    for from in DType::ALL {
        for to in DType::ALL {
            let mut kernel = Kernel { rank: 1, ..Kernel::default() };
            let load = kernel.body.push(Op::Load(0), from);
            let value = kernel.body.push(Op::Cast(load), to);
            kernel.accesses.push(Access { dtype: from, inner: InnerStride::Unit, write: false });
            kernel.accesses.push(Access { dtype: to, inner: InnerStride::Unit, write: true });
            kernel.body.stores.push((1, value));
            for n in [1usize, 9, 300] {
                let memories = [filled(&mut rng, from, n), filled(&mut rng, to, n)];
                let operand = |memory: usize, d: DType| Operand { memory, offset: 0, strides: vec![d.size() as i64] };
                let operands = [operand(0, from), operand(1, to)];
                check(&kernel, &operands, &memories, &[], &[0], &[n as i64], &format!("{from} to {to}"));
            }
        }
    }
}

/// A kernel of random instructions, with arrays of random shapes and strides, several results, and work in place.
fn random_case(seed: u64) {
    let mut rng = Rng(seed);
    let rank = 1 + rng.below(3);
    let extent: Vec<i64> = (0..rank)
        .map(|d| match rng.below(4) {
            0 => 1,
            1 => 1 + rng.below(5) as i64,
            2 => 10 + rng.below(30) as i64,
            _ if d + 1 == rank => 600 + rng.below(2500) as i64,
            _ => 2,
        })
        .collect();
    let lo: Vec<i64> = extent.iter().map(|_| rng.below(100) as i64).collect();
    let mut kernel = Kernel { rank: rank as u32, ..Kernel::default() };
    let (mut operands, mut memories): (Vec<Operand>, Vec<Memory>) = (Vec::new(), Vec::new());
    let mut scalars = Vec::new();
    // An array over the box: axes permuted, padded, reversed, some broadcast (for reading).
    let array = |rng: &mut Rng, memories: &mut Vec<Memory>, dtype: DType, broadcast: bool| {
        let size = dtype.size() as i64;
        let mut order: Vec<usize> = (0..rank).collect();
        if rng.below(4) == 0 {
            order.reverse();
        }
        let mut strides = vec![0; rank];
        let mut offset = 0;
        let mut length = size * if rng.below(4) == 0 { 2 } else { 1 };
        for &d in order.iter().rev() {
            if broadcast && rng.below(5) == 0 {
                continue;
            }
            strides[d] = length;
            if rng.below(6) == 0 {
                strides[d] = -length;
                offset += length * (extent[d] - 1);
            }
            length *= extent[d] + if rng.below(4) == 0 { 1 } else { 0 };
        }
        memories.push(filled(rng, dtype, (length / size) as usize + 2));
        Operand { memory: memories.len() - 1, offset, strides }
    };
    let dtypes = [DType::F64, DType::F64, DType::F32, DType::I64, DType::I32, DType::Bool, DType::C128, DType::U8];
    let mut values = Vec::new();
    for _ in 0..1 + rng.below(4) {
        let dtype = dtypes[rng.below(dtypes.len())];
        let operand = array(&mut rng, &mut memories, dtype, true);
        let stride = operand.strides[rank - 1];
        kernel.accesses.push(Access { dtype, inner: inner(stride, dtype.size()), write: false });
        operands.push(operand);
        values.push(kernel.body.push(Op::Load(kernel.accesses.len() as u32 - 1), dtype));
    }
    for _ in 0..1 + rng.below(12) {
        let pick = values[rng.below(values.len())];
        let from = kernel.body.dtype(pick);
        match rng.below(12) {
            0 => values.push(kernel.body.push(Op::Index(rng.below(rank) as u32), DType::I64)),
            1 => {
                let dtype = dtypes[rng.below(dtypes.len())];
                values.push(kernel.body.push(Op::Const(rng.element(dtype)), dtype));
            }
            2 => {
                scalars.push(rng.element(DType::F64).bits);
                kernel.scalars.push(DType::F64);
                values.push(kernel.body.push(Op::Scalar(scalars.len() as u32 - 1), DType::F64));
            }
            3 => {
                let to = dtypes[rng.below(dtypes.len())];
                if to != from {
                    values.push(kernel.body.push(Op::Cast(pick), to));
                }
            }
            _ => {
                let ufunc = Ufunc::ALL[rng.below(Ufunc::ALL.len())];
                let fits = |s: &legate_jit_ir::ufunc::Signature| {
                    s.ins().iter().all(|d| values.iter().any(|v| kernel.body.dtype(*v) == *d))
                };
                let signatures: Vec<_> = ufunc.signatures().filter(fits).collect();
                if signatures.is_empty() {
                    continue;
                }
                let s = signatures[rng.below(signatures.len())];
                let args = s
                    .ins()
                    .iter()
                    .map(|d| {
                        let good: Vec<_> = values.iter().filter(|v| kernel.body.dtype(**v) == *d).collect();
                        *good[rng.below(good.len())]
                    })
                    .collect();
                values.push(kernel.body.push(Op::Map(ufunc, args), s.out));
            }
        }
    }
    let mut taken = Vec::new();
    for _ in 0..1 + rng.below(3) {
        let value = values[rng.below(values.len())];
        let dtype = kernel.body.dtype(value);
        // In place of an array that is read, where that is possible: each element by one point only.
        let same = (0..operands.len()).find(|&a| {
            kernel.accesses[a].dtype == dtype
                && !kernel.accesses[a].write
                && !taken.contains(&operands[a].memory)
                && operands[a].strides.iter().zip(&extent).all(|(s, n)| *s != 0 || *n == 1)
        });
        let operand = match same.filter(|_| rng.below(2) == 0) {
            Some(a) => operands[a].clone(),
            None => array(&mut rng, &mut memories, dtype, false),
        };
        taken.push(operand.memory);
        let stride = operand.strides[rank - 1];
        kernel.accesses.push(Access { dtype, inner: inner(stride, dtype.size()), write: true });
        operands.push(operand);
        kernel.body.stores.push((kernel.accesses.len() as u32 - 1, value));
    }
    check(&kernel, &operands, &memories, &scalars, &lo, &extent, &format!("seed {seed} extent {extent:?}"));
}

#[test]
fn random_kernels() {
    for seed in 0..400 {
        random_case(seed);
    }
}

#[test]
fn two_arrays_change_places() {
    let mut kernel = Kernel { rank: 1, ..Kernel::default() };
    for k in 0..2 {
        let v = kernel.body.push(Op::Load(k), DType::F64);
        kernel.body.stores.push((3 - k, v));
        kernel.accesses.push(Access { dtype: DType::F64, inner: InnerStride::Unit, write: false });
    }
    kernel.accesses.extend([Access { dtype: DType::F64, inner: InnerStride::Unit, write: true }; 2]);
    for n in [1usize, 100, 5000] {
        let mut rng = Rng(n as u64);
        let memories = [filled(&mut rng, DType::F64, n), filled(&mut rng, DType::F64, n)];
        let operand = |memory: usize| Operand { memory, offset: 0, strides: vec![8] };
        check(&kernel, &[operand(0), operand(1), operand(0), operand(1)], &memories, &[], &[0], &[n as i64], "swap");
    }
}

/// Rows that can be read and written where they are: side by side in one array, in place, over a row that all share, out of step with memory.
#[test]
fn straight_rows() {
    let mut rng = Rng(7);
    let unit = |write| Access { dtype: DType::F64, inner: InnerStride::Unit, write };
    for (rows, columns) in [(1i64, 40i64), (7, 33), (5, 100), (3, 3000)] {
        for steps in 1..4 {
            let mut kernel = Kernel { rank: 2, ..Kernel::default() };
            let (x, y) = (kernel.body.push(Op::Load(0), DType::F64), kernel.body.push(Op::Load(1), DType::F64));
            let mut value = y;
            for ufunc in [Ufunc::Subtract, Ufunc::Multiply, Ufunc::Add].into_iter().take(steps) {
                value = kernel.body.push(Op::Map(ufunc, [x, value].into_iter().collect()), DType::F64);
            }
            kernel.body.stores.push((2, value));
            kernel.accesses.extend([unit(false), unit(false), unit(true)]);
            let memories = [filled(&mut rng, DType::F64, (rows * 2 * columns + 2) as usize)];
            let at = |offset: i64, row: i64| Operand { memory: 0, offset, strides: vec![row, 8] };
            let (right, row) = (8 * columns, 16 * columns);
            let cases = [
                ("beside each other", [at(0, row), at(0, row), at(right, row)]),
                ("in place", [at(right, row), at(0, row), at(0, row)]),
                ("one row for all", [at(right, 0), at(0, row), at(0, row)]),
                ("upside down", [at(right, row), at(right + row * (rows - 1), -row), at(0, row)]),
                ("between elements", [at(right + 4, row), at(right + 4, row), at(4, row)]),
            ];
            for (what, operands) in cases {
                // (Above, the row for all is one that is not written.)
                check(&kernel, &operands, &memories, &[], &[0, 0], &[rows, columns], &format!("{what} {rows} {steps}"));
            }
        }
    }
}
