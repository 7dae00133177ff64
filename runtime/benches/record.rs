//! What recording and flushing cost, in nanoseconds of this thread's time: `cargo bench -p legate-jit-runtime`.

use legate_jit_ir::graph::Reducer;
use legate_jit_ir::{DType, Scalar, Ufunc};
use legate_jit_runtime::*;

/// This thread's processor time, so that other processes do not count.
fn now() -> f64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a plain out-parameter.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}

/// The best of several rounds of `calls` calls, each round followed by a flush that is not counted.
fn time(name: &str, calls: usize, mut f: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let start = now();
        (0..calls).for_each(|_| f());
        best = best.min((now() - start) / calls as f64);
        sync().expect("the flush succeeds");
    }
    println!("{name:<32} {best:>8.1} ns");
}

fn main() {
    let bytes: Vec<u8> = (0..100).flat_map(|i| (i as f64).to_le_bytes()).collect();
    let array = || Array::from_bytes(&bytes, &[10, 10], DType::F64).expect("memory");
    let (a, b) = (array(), array());
    let plain = UfuncArgs::default();
    let add = |a: &Array, b: &Array| ufunc(Ufunc::Add, &[Operand::Array(a), Operand::Array(b)], &plain).expect("adds");
    let slice = |start, stop| Index::slice(start, stop, None);
    let (left, right) =
        ([slice(Some(1), Some(-1)), slice(None, Some(-2))], [slice(Some(1), Some(-1)), slice(Some(2), None)]);
    let (x, y) = (a.index(&left).expect("a view"), a.index(&right).expect("a view"));
    let t = a.transpose(None).expect("a view");
    let scalar = Array::scalar(Scalar::f64(2.0)).expect("memory");
    let two = Operand::Weak(WeakScalar::Float(2.5));
    let three = Operand::Weak(WeakScalar::Int(3));

    time("a + b", 500, || drop(add(&a, &b)));
    time("a * 2.5", 500, || drop(ufunc(Ufunc::Multiply, &[Operand::Array(&a), two], &plain)));
    time("a * 3", 500, || drop(ufunc(Ufunc::Multiply, &[Operand::Array(&a), three], &plain)));
    time("sqrt(a)", 500, || drop(ufunc(Ufunc::Sqrt, &[Operand::Array(&a)], &plain)));
    time("x + y (views)", 500, || drop(add(&x, &y)));
    time("a.T + a.T", 500, || drop(add(&t, &t)));
    time("a += b", 500, || {
        ufunc(Ufunc::Add, &[Operand::Array(&a), Operand::Array(&b)], &UfuncArgs { out: Some(&a), ..plain })
            .map(drop)
            .expect("adds")
    });
    time("x[...] = y", 500, || x.assign(Operand::Array(&y), Casting::Unsafe).expect("assigns"));
    time("a[1:-1, 2:]", 500, || drop(a.index(&right)));
    time("a.T", 500, || drop(a.transpose(None)));
    time("a.copy()", 500, || drop(a.copy(false)));
    time("sum(a)", 500, || drop(reduce(Reducer::Ufunc(Ufunc::Add), &a, &ReduceArgs::default())));
    time("a @ b", 500, || drop(matmul(&a, &b, None)));
    time("a[3, 4]", 500, || drop(a.get_item(&[3, 4])));
    time("a[3, 4] = 2.5", 500, || a.set_item_weak(&[3, 4], WeakScalar::Float(2.5)).expect("assigns"));
    time("scalar + scalar", 500, || drop(add(&scalar, &scalar)));
    time("zeros((10, 10))", 500, || drop(Array::zeros(&[10, 10], DType::F64)));
    time("a + b, flushed", 1, || {
        let c = add(&a, &b);
        sync().expect("runs");
        drop(c)
    });
    time("sum(a + b), read", 1, || {
        let c = add(&a, &b);
        let s = reduce(Reducer::Ufunc(Ufunc::Add), &c, &ReduceArgs::default()).expect("sums");
        drop(c);
        s.item(0).expect("runs");
    });
    time("ten operations, flushed", 1, || {
        let mut c = add(&a, &b);
        for _ in 0..9 {
            c = add(&c, &b);
        }
        sync().expect("runs");
    });
}
