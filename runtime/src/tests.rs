//! Tests of the recorder from end to end: aliasing, versions, donation, layouts, plans in loops.

use std::sync::Arc;

use legate_jit_ir::graph::Reducer;
use legate_jit_ir::{DType, Scalar, Ufunc};
use parking_lot::{Mutex, MutexGuard};

use crate::array::Array;
use crate::*;

/// There is one session; tests that look at its counters take turns with all others.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    let guard = TURN.lock();
    set_config(Config { tier: Tier::Vm, ..Config::default() }).unwrap();
    guard
}

fn array(values: &[f64], shape: &[usize]) -> Array {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    Array::from_bytes(&bytes, shape, DType::F64).unwrap()
}

fn values(a: &Array) -> Vec<f64> {
    assert_eq!(a.dtype(), DType::F64);
    a.host().unwrap().to_vec().chunks(8).map(|c| f64::from_le_bytes(c.try_into().unwrap())).collect()
}

fn range(n: usize) -> Vec<f64> {
    (0..n).map(|i| i as f64).collect()
}

fn slice(start: i64, stop: i64) -> Index {
    Index::slice(Some(start), Some(stop), None)
}

fn add(a: &Array, b: &Array) -> Array {
    ufunc(Ufunc::Add, &[Operand::Array(a), Operand::Array(b)], &UfuncArgs::default()).unwrap()
}

fn add_to(a: &Array, b: Operand) {
    ufunc(Ufunc::Add, &[Operand::Array(a), b], &UfuncArgs { out: Some(a), ..UfuncArgs::default() }).unwrap();
}

fn weak(v: f64) -> Operand<'static> {
    Operand::Weak(WeakScalar::Float(v))
}

fn counter(name: &str) -> u64 {
    stats().iter().find(|c| c.0 == name).unwrap().1
}

#[test]
fn a_view_sees_what_is_written_through_another() {
    let _turn = turn();
    let a = array(&range(12), &[3, 4]);
    let row = a.index(&[Index::Int(1)]).unwrap();
    let flat = a.reshape(&[12]).unwrap();
    let column = a.transpose(None).unwrap().index(&[Index::Int(2)]).unwrap();
    add_to(&row, weak(100.0));
    assert_eq!(values(&flat.index(&[slice(3, 9)]).unwrap()), [3.0, 104.0, 105.0, 106.0, 107.0, 8.0]);
    flat.index(&[Index::Int(2)]).unwrap().assign(weak(-1.0), Casting::Unsafe).unwrap();
    assert_eq!(values(&column), [-1.0, 106.0, 10.0]);
    flat.set_item_weak(&[10], WeakScalar::Int(7)).unwrap();
    assert_eq!(values(&column), [-1.0, 106.0, 7.0]);
}

#[test]
fn overlap_acts_as_if_the_right_side_were_copied() {
    let _turn = turn();
    let a = array(&range(6), &[6]);
    let (head, tail) = (a.index(&[slice(0, 5)]).unwrap(), a.index(&[slice(1, 6)]).unwrap());
    add_to(&tail, Operand::Array(&head));
    assert_eq!(values(&a), [0.0, 1.0, 3.0, 5.0, 7.0, 9.0]);
    let back = Index::slice(None, None, Some(-1));
    a.assign(Operand::Array(&a.index(&[back]).unwrap()), Casting::Unsafe).unwrap();
    assert_eq!(values(&a), [9.0, 7.0, 5.0, 3.0, 1.0, 0.0]);
}

#[test]
fn a_copy_is_a_version_until_one_is_written() {
    let _turn = turn();
    let a = array(&range(1000), &[1000]);
    let before = counter("recorded");
    let b = a.copy(false).unwrap();
    assert_eq!(counter("recorded"), before);
    assert_eq!(a.host().unwrap().ptr, b.host().unwrap().ptr);
    a.set_item_weak(&[0], WeakScalar::Float(5.0)).unwrap();
    assert_eq!(b.item(0).unwrap(), Scalar::f64(0.0));
    assert_eq!(a.item(0).unwrap(), Scalar::f64(5.0));
    let c = b.copy(false).unwrap();
    add_to(&b, weak(1.0));
    assert_eq!((c.item(7).unwrap(), b.item(7).unwrap()), (Scalar::f64(7.0), Scalar::f64(8.0)));
}

#[test]
fn a_pending_read_keeps_the_value_it_read() {
    let _turn = turn();
    let a = array(&range(10), &[10]);
    let twice = add(&a, &a);
    a.set_item_weak(&[3], WeakScalar::Float(50.0)).unwrap();
    add_to(&a, weak(1.0));
    assert_eq!(values(&twice)[3], 6.0);
    assert_eq!(values(&a)[3], 51.0);
}

#[test]
fn a_dead_input_gives_its_memory() {
    let _turn = turn();
    let a = array(&range(100_000), &[100_000]);
    let before = a.host().unwrap().ptr;
    for _ in 0..3 {
        add_to(&a, weak(1.0));
        sync().unwrap();
    }
    assert_eq!(a.host().unwrap().ptr, before);
    assert_eq!(a.item(1).unwrap(), Scalar::f64(4.0));
    // While somebody looks on, the memory is left alone.
    let seen = a.host().unwrap();
    add_to(&a, weak(1.0));
    sync().unwrap();
    assert_ne!(a.host().unwrap().ptr, seen.ptr);
    assert_eq!(&seen.to_vec()[8..16], 4f64.to_le_bytes());
}

#[test]
fn results_lie_in_their_operands_order() {
    let _turn = turn();
    let a = array(&range(6), &[2, 3]);
    let t = a.transpose(None).unwrap();
    let s = add(&t, &t);
    assert_eq!((s.shape(), &s.strides()[..]), (&[3, 2][..], &[8, 24][..]));
    assert!(s.f_contiguous() && !s.c_contiguous());
    assert_eq!(values(&s), [0.0, 6.0, 2.0, 8.0, 4.0, 10.0]);
    // C order wins where they disagree.
    let c = array(&range(6), &[3, 2]);
    assert!(add(&t, &c).c_contiguous());
    // A copy in order "C", one in order "K".
    assert!(t.copy(false).unwrap().c_contiguous());
    assert!(t.copy(true).unwrap().f_contiguous());
    assert_eq!(values(&t.copy(false).unwrap()), values(&t.copy(true).unwrap()));
}

#[test]
fn reshape_is_a_view_where_numpy_gives_one() {
    let _turn = turn();
    let a = array(&range(24), &[4, 6]);
    let part = a.index(&[slice(1, 3)]).unwrap().reshape(&[3, 4]).unwrap();
    part.index(&[Index::Int(0)]).unwrap().assign(weak(0.5), Casting::Unsafe).unwrap();
    assert_eq!(values(&a)[5..11], [5.0, 0.5, 0.5, 0.5, 0.5, 10.0]);
    let copied = a.transpose(None).unwrap().reshape(&[24]).unwrap();
    copied.assign(weak(9.0), Casting::Unsafe).unwrap();
    assert_eq!(values(&a)[0], 0.0);
    let e = a.reshape(&[5, -1]).err();
    assert_eq!(e, Some(Error::Value("cannot reshape array of size 24 into shape (5,newaxis)".into())));
}

#[test]
fn parts_of_complex_numbers_alias() {
    let _turn = turn();
    let z = Array::full(&[3], Scalar::c128(1.0, 2.0)).unwrap();
    z.imag().unwrap().index(&[Index::Int(1)]).unwrap().assign(weak(7.0), Casting::Unsafe).unwrap();
    assert_eq!(z.item(1).unwrap(), Scalar::c128(1.0, 7.0));
    add_to(&z.real(), weak(10.0));
    assert_eq!(z.item(2).unwrap(), Scalar::c128(11.0, 2.0));
    assert_eq!(z.imag().unwrap().strides()[..], [16]);
}

#[test]
fn sums_over_any_axes() {
    let _turn = turn();
    let a = array(&range(24), &[2, 3, 4]);
    let sum = |a: &Array, axes: Option<&[i64]>| {
        values(&reduce(Reducer::Ufunc(Ufunc::Add), a, &ReduceArgs { axes, ..ReduceArgs::default() }).unwrap())
    };
    assert_eq!(sum(&a, None), [276.0]);
    assert_eq!(sum(&a, Some(&[1])), [12.0, 15.0, 18.0, 21.0, 48.0, 51.0, 54.0, 57.0]);
    assert_eq!(sum(&a, Some(&[0, 2])), [60.0, 92.0, 124.0]);
    let t = a.transpose(Some(&[2, 0, 1])).unwrap();
    assert_eq!(sum(&t, Some(&[-1])), [12.0, 48.0, 15.0, 51.0, 18.0, 54.0, 21.0, 57.0]);
    let kept = ReduceArgs { axes: Some(&[1]), keepdims: true, ..ReduceArgs::default() };
    assert_eq!(reduce(Reducer::Ufunc(Ufunc::Maximum), &t, &kept).unwrap().shape(), [4, 1, 3]);
    let e = reduce(Reducer::Ufunc(Ufunc::Add), &a, &ReduceArgs { axes: Some(&[3]), ..ReduceArgs::default() });
    assert_eq!(e.err(), Some(Error::Axis("axis 3 is out of bounds for array of dimension 3".into())));
    let empty = Array::zeros(&[0], DType::F64).unwrap();
    let e = reduce(Reducer::Ufunc(Ufunc::Maximum), &empty, &ReduceArgs::default()).err();
    let words = "zero-size array to reduction operation maximum which has no identity";
    assert_eq!(e, Some(Error::Value(words.into())));
    assert_eq!(sum(&empty, None), [0.0]);
    assert_eq!(values(&mean(&a, &ReduceArgs::default()).unwrap()), [11.5]);
    assert_eq!(values(&var(&array(&range(4), &[4]), &ReduceArgs::default(), 0.0, false).unwrap()), [1.25]);
    assert_eq!(values(&accumulate(Ufunc::Add, &t, Some(0), None).unwrap())[6..9], [1.0, 9.0, 17.0]);
}

#[test]
fn the_sums_of_windows_are_cut_as_numpys_buffer_cuts_them() {
    use legate_jit_ir::graph::Order;
    let _turn = turn();
    let order = |a: &Array, axes: Option<&[i64]>| {
        sync().unwrap();
        let r = reduce(Reducer::Ufunc(Ufunc::Add), a, &ReduceArgs { axes, ..ReduceArgs::default() }).unwrap();
        let orders: Vec<Order> = crate::session::lock().trace.reduces.iter().map(|r| r.order).collect();
        (r.shape().to_vec(), orders)
    };
    let window = |shape: &[usize], n: i64| {
        let a = Array::zeros(shape, DType::F64).unwrap();
        a.index(&vec![slice(1, n - 1); shape.len()]).unwrap()
    };
    assert_eq!(order(&window(&[50, 50], 50), None), (vec![], vec![Order::Tree]));
    assert_eq!(order(&window(&[100, 100], 100), None), (vec![], vec![Order::Chunked(83 * 98)]));
    let blocks = Order::Blocks { block: 98 * 98, chunk: 83 * 98 };
    assert_eq!(order(&window(&[100; 3], 100), None), (vec![], vec![blocks]));
    assert_eq!(order(&window(&[100; 3], 100), Some(&[1, 2])), (vec![98], vec![Order::Chunked(83 * 98)]));
    assert_eq!(order(&window(&[100; 3], 100), Some(&[2])), (vec![98, 98], vec![Order::Tree]));
    assert_eq!(order(&window(&[4, 6000], 5000), None), (vec![], vec![Order::Tree, Order::Chunked(1)]));
    let ints = Array::zeros(&[3, 10_000], DType::I64).unwrap();
    let args = ReduceArgs { axes: Some(&[1]), ..ReduceArgs::default() };
    sync().unwrap();
    mean(&ints, &args).unwrap();
    assert_eq!(crate::session::lock().trace.reduces[0].order, Order::Chunked(8192));
}

#[test]
fn products() {
    let _turn = turn();
    let (a, b) = (array(&range(6), &[2, 3]), array(&range(12), &[3, 4]));
    assert_eq!(values(&matmul(&a, &b, None).unwrap()), [20.0, 23.0, 26.0, 29.0, 56.0, 68.0, 80.0, 92.0]);
    let v = array(&range(3), &[3]);
    assert_eq!(values(&dot(&a, &v).unwrap()), [5.0, 14.0]);
    assert_eq!(values(&matmul(&v, &v, None).unwrap()), [5.0]);
    assert_eq!(values(&matmul(&a.transpose(None).unwrap(), &a, None).unwrap())[..4], [9.0, 12.0, 15.0, 12.0]);
    let words = "matmul: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature \
                 (n?,k),(k,m?)->(n?,m?) (size 2 is different from 3)";
    assert_eq!(matmul(&a, &a, None).err(), Some(Error::Value(words.into())));
    let words = "shapes (2,3) and (2,3) not aligned: 3 (dim 1) != 2 (dim 0)";
    assert_eq!(dot(&a, &a).err(), Some(Error::Value(words.into())));
}

#[test]
fn errors_at_the_call_in_numpys_words() {
    let _turn = turn();
    let (a, b) = (array(&range(3), &[3]), array(&range(4), &[4]));
    let e = ufunc(Ufunc::Add, &[Operand::Array(&a), Operand::Array(&b)], &UfuncArgs::default()).err();
    assert_eq!(e, Some(Error::Value("operands could not be broadcast together with shapes (3,) (4,) ".into())));
    let e = b.assign(Operand::Array(&a), Casting::Unsafe).err();
    assert_eq!(e, Some(Error::Value("could not broadcast input array from shape (3,) into shape (4,)".into())));
    let words = "index 10 is out of bounds for axis 0 with size 3";
    assert_eq!(a.index(&[Index::Int(10)]).err(), Some(Error::Index(words.into())));
    let words = "too many indices for array: array is 1-dimensional, but 2 were indexed";
    assert_eq!(a.index(&[Index::Int(0), Index::Int(0)]).err(), Some(Error::Index(words.into())));
    let mut fixed = a.clone();
    fixed.set_writable(false);
    let words = "assignment destination is read-only";
    assert_eq!(fixed.assign(weak(1.0), Casting::Unsafe).err(), Some(Error::Value(words.into())));
    let ints = Array::zeros(&[3], DType::I64).unwrap();
    let args = UfuncArgs { out: Some(&ints), ..UfuncArgs::default() };
    let e = ufunc(Ufunc::Add, &[Operand::Array(&ints), weak(0.5)], &args).err();
    let words = "Cannot cast ufunc 'add' output from dtype('float64') to dtype('int64') with casting rule 'same_kind'";
    assert_eq!(e, Some(Error::UfuncType(words.into())));
    let small = Array::zeros(&[3], DType::U8).unwrap();
    let e = ufunc(Ufunc::Add, &[Operand::Array(&small), Operand::Weak(WeakScalar::Int(300))], &UfuncArgs::default());
    assert_eq!(e.err(), Some(Error::Overflow("Python integer 300 out of bounds for uint8".into())));
    // And the session goes on.
    assert_eq!(values(&add(&a, &a)), [0.0, 2.0, 4.0]);
}

#[test]
fn masks() {
    let _turn = turn();
    let a = array(&range(6), &[2, 3]);
    let mask = ufunc(Ufunc::Greater, &[Operand::Array(&a), weak(2.5)], &UfuncArgs::default()).unwrap();
    a.assign_where(&mask, weak(0.0), Casting::Unsafe).unwrap();
    assert_eq!(values(&a), [0.0, 1.0, 2.0, 0.0, 0.0, 0.0]);
    let out = array(&[9.0; 6], &[2, 3]);
    let args = UfuncArgs { out: Some(&out), where_: Some(&mask), ..UfuncArgs::default() };
    ufunc(Ufunc::Add, &[Operand::Array(&a), weak(1.0)], &args).unwrap();
    assert_eq!(values(&out), [9.0, 9.0, 9.0, 1.0, 1.0, 1.0]);
}

#[test]
fn joined() {
    let _turn = turn();
    let (a, b) = (array(&range(4), &[2, 2]), array(&range(2), &[1, 2]));
    let joined = Array::concatenate(&[a.clone(), b], 0, None).unwrap();
    assert_eq!((joined.shape(), values(&joined)), (&[3, 2][..], vec![0.0, 1.0, 2.0, 3.0, 0.0, 1.0]));
    assert_eq!(values(&Array::stack(&[a.clone(), a], 2, None).unwrap())[..4], [0.0, 0.0, 1.0, 1.0]);
    let steps = Array::arange(Scalar::f64(1.0), Scalar::f64(1.1), 4).unwrap();
    let delta = 1.1 - 1.0;
    assert_eq!(values(&steps), [1.0, 1.0 + delta, 1.0 + 2.0 * delta, 1.0 + 3.0 * delta]);
}

#[test]
fn exported_memory_is_always_true() {
    let _turn = turn();
    let a = array(&range(5), &[5]);
    let twice = add(&a, &a);
    let copy = a.copy(false).unwrap();
    let export = a.export().unwrap();
    let seen = |i: usize| f64::from_le_bytes(export.view.to_vec()[8 * i..8 * i + 8].try_into().unwrap());
    add_to(&a, weak(10.0));
    assert_eq!(seen(2), 12.0);
    a.set_item_weak(&[2], WeakScalar::Float(1.0)).unwrap();
    assert_eq!(seen(2), 1.0);
    a.assign(Operand::Array(&copy), Casting::Unsafe).unwrap();
    assert_eq!(seen(2), 2.0);
    let later = add(&a, &a);
    // SAFETY: the export allows foreign writes; the element is in bounds.
    unsafe { export.view.ptr.cast::<f64>().add(2).write(40.0) };
    assert_eq!(values(&a)[2], 40.0);
    assert_eq!((values(&twice)[2], values(&copy)[2], values(&later)[2]), (4.0, 2.0, 4.0));
    assert_eq!(values(&add(&a, &a))[2], 80.0);
}

#[test]
fn lent_memory_is_always_true() {
    let _turn = turn();
    let a = array(&range(6), &[2, 3]);
    let (copy, column) = (a.copy(true).unwrap(), a.index(&[Index::ALL, Index::Int(1)]).unwrap());
    let loan = column.lend().unwrap().unwrap();
    assert_eq!(column.strides_in_bytes().collect::<Vec<_>>(), [24]);
    assert!(loan.is_of(&a) && !loan.is_of(&copy));
    assert_eq!(loan.first(&column) as usize, loan.start() as usize + 8);
    // SAFETY: the loan allows foreign writes; the element is in bounds.
    unsafe { loan.first(&column).cast::<f64>().write(10.0) };
    a.set_item(&[1, 1], Scalar::f64(40.0)).unwrap();
    // SAFETY: as above.
    assert_eq!(unsafe { loan.first(&column).byte_add(24).cast::<f64>().read() }, 40.0);
    assert_eq!((values(&a), values(&copy)), (vec![0.0, 10.0, 2.0, 3.0, 40.0, 5.0], range(6)));
    drop(loan);
    let pending = add(&a, &a);
    assert!(pending.lend().unwrap().is_none() && a.lend().unwrap().is_none());
    assert_eq!(values(&pending)[1], 20.0);
    assert!(pending.lend().unwrap().is_some());
}

#[test]
fn a_result_that_is_an_exported_input_has_memory_of_its_own() {
    let _turn = turn();
    let a = Array::full(&[3], Scalar::int(DType::U8, 5)).unwrap();
    let export = a.export().unwrap();
    let same = ufunc(Ufunc::Absolute, &[Operand::Array(&a)], &UfuncArgs::default()).unwrap();
    same.assign(Operand::Weak(WeakScalar::Int(7)), Casting::Unsafe).unwrap();
    assert_eq!((export.view.to_vec(), same.item(0).unwrap().bits[0]), (vec![5; 3], 7));
    drop(export);
    let same = ufunc(Ufunc::Absolute, &[Operand::Array(&a)], &UfuncArgs::default()).unwrap();
    sync().unwrap();
    same.set_item_weak(&[1], WeakScalar::Int(9)).unwrap();
    assert_eq!((a.item(1).unwrap().bits[0], same.item(1).unwrap().bits[0]), (5, 9));
}

/// One step of a stencil with everything a program does in it.
fn step(p: &Array) -> Array {
    let all = |a: i64, b: i64| slice(a, b);
    let old = p.copy(false).unwrap();
    let left = old.index(&[all(1, -1), all(0, -2)]).unwrap();
    let right = Index::slice(Some(2), None, None);
    let right = old.index(&[all(1, -1), right]).unwrap();
    let both = add(&left, &right);
    let half = ufunc(Ufunc::Multiply, &[Operand::Array(&both), weak(0.5)], &UfuncArgs::default()).unwrap();
    p.index(&[all(1, -1), all(1, -1)]).unwrap().assign(Operand::Array(&half), Casting::Unsafe).unwrap();
    old
}

#[test]
fn a_loop_that_asks_for_values_needs_one_plan() {
    let _turn = turn();
    let p = array(&range(64), &[8, 8]);
    let mut plans = 0;
    for i in 0..20 {
        let old = step(&p);
        let d = ufunc(Ufunc::Subtract, &[Operand::Array(&p), Operand::Array(&old)], &UfuncArgs::default()).unwrap();
        let total = reduce(Reducer::Ufunc(Ufunc::Add), &d, &ReduceArgs::default()).unwrap();
        drop((d, old));
        total.item(0).unwrap();
        if i == 2 {
            plans = counter("plans");
        }
    }
    // One more, perhaps: for rounds whose inputs the helper has as well.
    assert!(counter("plans") <= plans + 1);
}

#[test]
fn a_long_loop_needs_few_plans_and_constant_memory() {
    let _turn = turn();
    set_config(Config { tier: Tier::Vm, max_records: 50, ..Config::default() }).unwrap();
    let p = array(&range(64), &[8, 8]);
    let (mut plans, mut live) = (0, 0);
    for i in 0..3000 {
        step(&p);
        if i == 300 {
            plans = counter("plans");
            live = buffer::bytes_live();
        }
    }
    assert!(counter("plans") <= plans + 1);
    // The helper's results that wait to be taken.
    let ahead = 32 << 10;
    assert!(buffer::bytes_live() <= live + ahead, "{live} then, {} now", buffer::bytes_live());
    let mut expect: Vec<f64> = range(64);
    for _ in 0..3000 {
        let old = expect.clone();
        for y in 1..7 {
            for x in 1..7 {
                expect[8 * y + x] = 0.5 * (old[8 * y + x - 1] + old[8 * y + x + 1]);
            }
        }
    }
    assert_eq!(values(&p), expect);
}

#[test]
fn values_of_scalars_are_arguments() {
    let _turn = turn();
    let a = array(&range(100), &[100]);
    let mut plans = 0;
    for i in 0..10 {
        let b = ufunc(Ufunc::Multiply, &[Operand::Array(&a), weak(3.0 + i as f64)], &UfuncArgs::default()).unwrap();
        assert_eq!(b.item(2).unwrap(), Scalar::f64(2.0 * (3.0 + i as f64)));
        if i == 0 {
            plans = counter("plans");
        }
    }
    assert_eq!(counter("plans"), plans);
}

#[test]
fn a_failed_flush_is_told_to_whoever_asks() {
    let _turn = turn();
    let a = Array::zeros(&[1, 1 << 20], DType::F64).unwrap();
    let b = Array::zeros(&[1 << 20, 1], DType::F64).unwrap();
    let outer = add(&a, &b);
    let e = outer.item(0).unwrap_err();
    assert!(matches!(&e, Error::Memory(_)), "{e}");
    assert!(matches!(outer.item(1), Err(Error::Memory(_))));
    let c = array(&range(3), &[3]);
    assert_eq!(values(&add(&c, &c)), [0.0, 2.0, 4.0]);
}

#[test]
fn handles_are_shared_between_threads() {
    let _turn = turn();
    let a = Arc::new(array(&range(100), &[100]));
    let threads: Vec<_> = (0..4)
        .map(|t| {
            let a = a.clone();
            std::thread::spawn(move || {
                let mut b = a.copy(false).unwrap();
                for _ in 0..50 {
                    b = add(&b, &a);
                }
                (t, values(&b)[1])
            })
        })
        .collect();
    for t in threads {
        assert_eq!(t.join().unwrap().1, 51.0);
    }
}

/// Rounds of a loop that asks for a value in each: what the values are and what is left.
fn rounds(n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut x = array(&range(30), &[30]);
    let values = (0..n)
        .map(|_| {
            let y = ufunc(Ufunc::Multiply, &[Operand::Array(&x), weak(0.5)], &UfuncArgs::default()).unwrap();
            x = add(&y, &y);
            add_to(&x, weak(0.25));
            let sum = reduce(Reducer::Ufunc(Ufunc::Add), &x, &ReduceArgs::default()).unwrap();
            sum.item(0).unwrap().as_f64()
        })
        .collect();
    let left = self::values(&x);
    (values, left)
}

#[test]
fn a_helper_that_comes_late_changes_nothing() {
    let _turn = turn();
    set_config(Config { tier: Tier::Vm, ahead: false, ..Config::default() }).unwrap();
    let want = rounds(600);
    set_config(Config { tier: Tier::Vm, ..Config::default() }).unwrap();
    for late in [0, 0, 1, 5, 20] {
        let wait = std::time::Duration::from_millis(late);
        crate::helper::start(Box::new(move || std::thread::sleep(wait)));
        assert_eq!(rounds(600), want, "{late} ms late");
    }
}

#[test]
fn a_job_that_fails_does_not_end_the_helper() {
    let _turn = turn();
    let done = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = done.clone();
    let mut started = crate::helper::start(Box::new(|| panic!("a job that fails")));
    started &= crate::helper::start(Box::new(move || {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }));
    crate::helper::wait();
    assert_eq!(done.load(std::sync::atomic::Ordering::Relaxed), started as u32);
}
