//! Compiles the kernel of a five-point stencil, says where the time went, and measures the code in the first-level cache.
//! `--asm`, `--llvm` and `--mlir` print a stage.

use std::time::Instant;

use legate_jit_codegen::{CpuTarget, Sink, Stage, Workshop, load};
use legate_jit_ir::kernel::Op;
use legate_jit_ir::{Access, Body, DType, InnerStride, Kernel, Scalar, Ufunc};

struct Print(Vec<Stage>);

impl Sink for Print {
    fn wants(&self, stage: Stage) -> bool {
        self.0.contains(&stage)
    }

    fn take(&mut self, _: Stage, text: &str) {
        println!("{text}");
    }
}

/// `out = 0.25 * (east + west + north + south)`.
fn jacobi() -> Kernel {
    let read = Access { dtype: DType::F64, inner: InnerStride::Unit, write: false };
    let mut body = Body::default();
    let loads: Vec<_> = (0..4).map(|a| body.push(Op::Load(a), DType::F64)).collect();
    let mut sum = loads[0];
    for &r in &loads[1..] {
        sum = body.push(Op::Map(Ufunc::Add, [sum, r].into_iter().collect()), DType::F64);
    }
    let quarter = body.push(Op::Const(Scalar::f64(0.25)), DType::F64);
    let out = body.push(Op::Map(Ufunc::Multiply, [quarter, sum].into_iter().collect()), DType::F64);
    body.stores.push((4, out));
    let accesses = vec![read, read, read, read, Access { write: true, ..read }];
    Kernel { rank: 2, accesses, scalars: vec![], body }
}

/// Seconds that this thread has computed, which other programs on the machine disturb least.
fn clock() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it fills `t`.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 + t.tv_nsec as f64 * 1e-9
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let wanted = [("--mlir", Stage::Mlir), ("--llvm", Stage::Llvm), ("--asm", Stage::Asm)];
    let stages = wanted.iter().filter(|w| args.iter().any(|a| a == w.0)).map(|w| w.1).collect();
    let target = match args.iter().find_map(|a| a.strip_prefix("--cpu=")) {
        Some(name) => CpuTarget::named(name).unwrap(),
        None => CpuTarget::host().unwrap(),
    };
    let kernel = jacobi();
    let start = Instant::now();
    let workshop = Workshop::new(&target).unwrap();
    println!("{target}: workshop {:?}", start.elapsed());
    workshop.compile(&kernel, &mut Print(stages)).unwrap();
    for _ in 0..3 {
        let (start, cpu) = (Instant::now(), clock());
        let object = workshop.compile(&kernel, &mut ()).unwrap();
        let (compiled, cpu) = (start.elapsed(), 1e3 * (clock() - cpu));
        let start = Instant::now();
        let loaded = load(&object).unwrap();
        println!(
            "compiled {compiled:?} ({cpu:.1} ms of processor time) {:?}, {} bytes, loaded {:?}",
            object.times,
            object.bytes.len(),
            start.elapsed()
        );
        drop(loaded);
    }
    let loaded = load(&workshop.compile(&kernel, &mut ()).unwrap()).unwrap();
    for (rows, columns) in [(16, 98), (16, 128), (16, 512), (100, 98), (500, 500), (2000, 2000)] {
        measure(loaded.entry(), rows, columns);
    }
}

fn measure(f: legate_jit_ir::kernel::KernelFn, rows: usize, columns: usize) {
    let pitch = columns + 2;
    let n = (rows + 2) * pitch;
    let a: Vec<f64> = (0..n).map(|i| (i * 7 % 13) as f64).collect();
    let mut b = vec![0.0; n];
    let at = |k: usize| (&raw const a[k]) as *mut u8;
    let ptrs = [at(pitch + 2), at(pitch), at(2 * pitch + 1), at(1), (&raw mut b[pitch + 1]) as *mut u8];
    let strides = [[(pitch * 8) as i64, 8]; 5];
    let extent = [rows as i64, columns as i64];
    let call = || {
        // SAFETY: the pointers name the interior of two arrays of rows + 2 by columns + 2.
        unsafe { f(ptrs.as_ptr(), strides.as_ptr().cast(), std::ptr::null(), [0, 0].as_ptr(), extent.as_ptr()) }
    };
    call();
    for i in 1..=rows {
        for j in 1..=columns {
            let k = i * pitch + j;
            let expected = 0.25 * (a[k + 1] + a[k - 1] + a[k + pitch] + a[k - pitch]);
            assert_eq!(b[k], expected, "{i} {j}");
        }
    }
    let repeat = (40_000_000 / (rows * columns)).max(1);
    let best = (0..5)
        .map(|_| {
            let start = clock();
            (0..repeat).for_each(|_| call());
            (clock() - start) / (repeat * rows * columns) as f64
        })
        .fold(f64::INFINITY, f64::min);
    println!("{rows} x {columns}: {:.3} elements/ns, {:.1} GB/s of 16 bytes an element", 1e-9 / best, 16e-9 / best);
}
