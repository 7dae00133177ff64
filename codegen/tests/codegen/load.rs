//! Loading objects: whatever their bytes are, they are loaded or refused; and code that calls outside finds what it calls.

use legate_jit_codegen::{CpuTarget, Object, Workshop, load};
use legate_jit_ir::{DType, InnerStride, Ufunc};

use crate::harness::one_op;

fn object(op: Ufunc) -> Object {
    let target = CpuTarget::host().expect("a machine to compile for");
    Workshop::new(&target).unwrap().compile(&one_op(op, &[DType::F64, DType::F64], DType::F64), &mut ()).unwrap()
}

fn with(object: &Object, bytes: Vec<u8>) -> Object {
    Object { bytes, ..object.clone() }
}

#[test]
fn objects_cut_off_anywhere() {
    let whole = object(Ufunc::Hypot);
    assert!(load(&whole).is_ok());
    // The table of sections comes last, so that none of it is missing without being missed.
    for n in 0..whole.bytes.len() {
        assert!(load(&with(&whole, whole.bytes[..n].to_vec())).is_err(), "cut to {n} of {}", whole.bytes.len());
    }
}

#[test]
fn objects_with_any_bit_turned() {
    // The checksum of the cache keeps such objects away; that none of them leads outside its own bytes is all that is asked.
    let whole = object(Ufunc::Hypot);
    let mut refused = 0;
    for at in 0..whole.bytes.len() {
        for bit in 0..8 {
            let mut bytes = whole.bytes.clone();
            bytes[at] ^= 1 << bit;
            refused += usize::from(load(&with(&whole, bytes)).is_err());
        }
    }
    assert!(refused > 0);
}

/// Sums are taken in eight lanes whatever the vectors' width is; the math library has only vectors of the target.
#[test]
fn functions_are_called_for_vectors_of_the_target() {
    for (name, bytes) in [("x86-64-v2", 16), ("x86-64-v3", 32), ("znver3", 32), ("x86-64-v4", 64)] {
        let target = CpuTarget::named(name).unwrap();
        let workshop = Workshop::new(&target).unwrap();
        for (op, nin) in [(Ufunc::Exp, 1), (Ufunc::Sin, 1), (Ufunc::Hypot, 2)] {
            for dtype in [DType::F32, DType::F64] {
                let mut kernel = one_op(op, &vec![dtype; nin], dtype);
                kernel.accesses[nin].inner = InnerStride::Leaves;
                let object = workshop.compile(&kernel, &mut ()).unwrap();
                assert!(!object.calls.is_empty());
                for call in &object.calls {
                    // As in `legate_jit_exp_f64x4`, or `…x4x2` for two such vectors.
                    let lanes: usize = call.rsplit('_').next().unwrap().split('x').nth(1).unwrap().parse().unwrap();
                    assert!(lanes == 1 || lanes * dtype.size() <= bytes, "{call} in the code for {name}");
                }
                assert!(!target.runs_here() || load(&object).is_ok(), "{op:?} for {name}");
            }
        }
    }
}

#[test]
fn only_the_calls_that_the_object_names_are_resolved() {
    let whole = object(Ufunc::Hypot);
    assert!(!whole.calls.is_empty());
    let none = Object { calls: Default::default(), ..whole.clone() };
    assert!(load(&none).is_err_and(|e| e.to_string().contains("has no function")));
    assert!(load(&Object { name: "another".into(), ..whole }).is_err());
}
