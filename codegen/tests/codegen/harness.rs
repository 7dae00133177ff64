//! Runs a compiled kernel and the interpreter on the same arrays and compares every byte that either could touch.

use legate_jit_codegen::{CpuTarget, Loaded, Workshop, load};
use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::special;
use legate_jit_ir::{Access, Body, DType, InnerStride, Kernel, Reg, Scalar, Ufunc, cast};

/// An access's memory: some bytes, and where in them the box's first point and its neighbours lie.
#[derive(Clone)]
pub struct Array {
    pub dtype: DType,
    pub bytes: Vec<u8>,
    pub offset: usize,
    pub strides: Vec<i64>,
}

impl Array {
    /// Elements one behind the other, in a buffer that begins with an odd element, so that vectors are unaligned.
    pub fn of(values: &[Scalar]) -> Array {
        let dtype = values[0].dtype;
        let mut bytes = vec![0x55; dtype.size()];
        values.iter().for_each(|v| bytes.extend_from_slice(&v.to_bytes()[..dtype.size()]));
        bytes.extend([0x55; 64]);
        Array { dtype, bytes, offset: dtype.size(), strides: vec![dtype.size() as i64] }
    }

    pub fn blank(dtype: DType, n: usize) -> Array {
        Array::of(&vec![Scalar::from_bytes(dtype, &[0; 16]); n])
    }

    /// Space for a box with a gap between rows, filled by `value`; innermost neighbours `step` elements apart.
    pub fn boxed(dtype: DType, extent: &[usize], step: i64, mut value: impl FnMut(usize) -> Scalar) -> Array {
        let size = dtype.size() as i64;
        let mut strides = vec![0; extent.len()];
        let mut next = step * size;
        for d in (0..extent.len()).rev() {
            strides[d] = next;
            next = next.abs() * (extent[d] as i64 + 1).max(1);
            if step < 0 && d + 1 == extent.len() {
                next = next.abs();
            }
        }
        let lowest: i64 = strides.iter().zip(extent).map(|(&s, &n)| (s * (n as i64 - 1)).min(0)).sum();
        let highest: i64 = strides.iter().zip(extent).map(|(&s, &n)| (s * (n as i64 - 1)).max(0)).sum();
        let offset = (-lowest + size) as usize;
        let total = offset + highest as usize + size as usize + 64;
        let mut bytes = vec![0x55; total];
        let count = total / dtype.size();
        for k in 0..count {
            bytes[k * dtype.size()..(k + 1) * dtype.size()].copy_from_slice(&value(k).to_bytes()[..dtype.size()]);
        }
        Array { dtype, bytes, offset, strides }
    }

    fn at(&self, index: &[i64]) -> usize {
        (self.offset as i64 + self.strides.iter().zip(index).map(|(s, i)| s * i).sum::<i64>()) as usize
    }

    pub fn get(&self, index: &[i64]) -> Scalar {
        Scalar::from_bytes(self.dtype, &self.bytes[self.at(index)..])
    }

    fn set(&mut self, index: &[i64], v: Scalar) {
        let at = self.at(index);
        self.bytes[at..at + self.dtype.size()].copy_from_slice(&v.to_bytes()[..self.dtype.size()]);
    }
}

/// Compiles for each target that this machine runs.
pub struct Bench {
    pub workshops: Vec<(CpuTarget, Workshop)>,
}

impl Bench {
    pub fn new(names: &[&str]) -> Bench {
        let targets = names.iter().map(|n| CpuTarget::named(n).unwrap()).filter(|t| t.runs_here());
        let workshops: Vec<_> = targets.map(|t| (t.clone(), Workshop::new(&t).unwrap())).collect();
        assert!(!workshops.is_empty(), "this machine runs none of the targets");
        Bench { workshops }
    }

    /// Every level, and the one with masks on half-wide vectors.
    pub fn all() -> Bench {
        Bench::new(&["x86-64-v2", "x86-64-v3", "x86-64-v4", "znver4"])
    }

    /// Compiles the kernel for each target and compares a run over the box with the interpreter.
    pub fn check(
        &self,
        what: &str,
        kernel: &Kernel,
        arrays: &[Array],
        scalars: &[Scalar],
        lo: &[i64],
        extent: &[usize],
    ) {
        self.compile(what, kernel).check(what, arrays, scalars, lo, extent);
    }

    pub fn compile<'k>(&self, what: &str, kernel: &'k Kernel) -> Compiled<'k> {
        let code = self.workshops.iter().map(|(target, workshop)| {
            let object = workshop.compile(kernel, &mut ()).unwrap_or_else(|e| panic!("{what} for {target}: {e}"));
            (target.to_string(), load(&object).unwrap())
        });
        Compiled { kernel, code: code.collect() }
    }
}

/// A kernel's code for several targets.
pub struct Compiled<'k> {
    kernel: &'k Kernel,
    code: Vec<(String, Loaded)>,
}

impl Compiled<'_> {
    pub fn check(&self, what: &str, arrays: &[Array], scalars: &[Scalar], lo: &[i64], extent: &[usize]) {
        let mut expected = arrays.to_vec();
        interpret(self.kernel, &mut expected, scalars, lo, extent);
        for (target, loaded) in &self.code {
            let mut got = arrays.to_vec();
            run(loaded, self.kernel, &mut got, scalars, lo, extent);
            for (a, (got, expected)) in got.iter().zip(&expected).enumerate() {
                compare(&format!("{what} for {target}, access {a}"), got, expected);
            }
        }
    }
}

fn compare(what: &str, got: &Array, expected: &Array) {
    if got.bytes == expected.bytes {
        return;
    }
    let size = got.dtype.size();
    // Elements lie at the offset's phase; bytes before and after belong to nobody and must be untouched.
    let phase = got.offset % size;
    assert_eq!(got.bytes[..phase], expected.bytes[..phase], "{what}: bytes before the array");
    for k in 0..(got.bytes.len() - phase) / size {
        let at = phase + k * size;
        let (g, e) =
            (Scalar::from_bytes(got.dtype, &got.bytes[at..]), Scalar::from_bytes(got.dtype, &expected.bytes[at..]));
        let element = (at as i64 - got.offset as i64) / size as i64;
        assert!(special::same(g, e), "{what}: element {element} is {g:?}, not {e:?}");
    }
}

pub fn run(loaded: &Loaded, kernel: &Kernel, arrays: &mut [Array], scalars: &[Scalar], lo: &[i64], extent: &[usize]) {
    assert_eq!(arrays.len(), kernel.accesses.len());
    let ptrs: Vec<*mut u8> = arrays.iter_mut().map(|a| a.bytes[a.offset..].as_mut_ptr()).collect();
    let strides: Vec<i64> = arrays.iter().flat_map(|a| a.strides.clone()).collect();
    let bits: Vec<[u64; 2]> = scalars.iter().map(|s| s.bits).collect();
    let extent: Vec<i64> = extent.iter().map(|&n| n as i64).collect();
    // SAFETY: the arrays hold every element of the box, as the interpreter found by indexing them.
    unsafe { loaded.entry()(ptrs.as_ptr(), strides.as_ptr(), bits.as_ptr(), lo.as_ptr(), extent.as_ptr()) };
}

fn interpret(kernel: &Kernel, arrays: &mut [Array], scalars: &[Scalar], lo: &[i64], extent: &[usize]) {
    let mut index = vec![0i64; extent.len()];
    loop {
        let mut values: Vec<Scalar> = Vec::new();
        for inst in &kernel.body.insts {
            let value = match &inst.op {
                Op::Load(a) => arrays[*a as usize].get(&index),
                Op::Scalar(s) => scalars[*s as usize],
                Op::Const(c) => *c,
                Op::Index(d) => Scalar::i64(lo[*d as usize] + index[*d as usize]),
                Op::Map(f, args) => {
                    let args: Vec<Scalar> = args.iter().map(|r| values[r.0 as usize]).collect();
                    f.eval(&args).expect("a signature of the operation")
                }
                Op::Cast(r) => cast::cast(values[r.0 as usize], inst.dtype),
            };
            values.push(value);
        }
        for &(a, r) in &kernel.body.stores {
            arrays[a as usize].set(&index, values[r.0 as usize]);
        }
        let Some(d) = (0..index.len()).rev().find(|&d| index[d] + 1 < extent[d] as i64) else { return };
        index[d] += 1;
        index[d + 1..].fill(0);
    }
}

pub fn read(dtype: DType, inner: InnerStride) -> Access {
    Access { dtype, inner, write: false }
}

pub fn write(dtype: DType, inner: InnerStride) -> Access {
    Access { dtype, inner, write: true }
}

/// `out = op(in…)`, all arrays contiguous.
pub fn one_op(op: Ufunc, ins: &[DType], out: DType) -> Kernel {
    let mut body = Body::default();
    let args = (0..ins.len()).map(|i| load_access(&mut body, i as u32, ins[i])).collect();
    let result = body.push(Op::Map(op, args), out);
    body.stores.push((ins.len() as u32, result));
    let mut accesses: Vec<Access> = ins.iter().map(|&d| read(d, InnerStride::Unit)).collect();
    accesses.push(write(out, InnerStride::Unit));
    Kernel { rank: 1, accesses, scalars: vec![], body }
}

pub fn load_access(body: &mut Body, a: u32, dtype: DType) -> Reg {
    body.push(Op::Load(a), dtype)
}
