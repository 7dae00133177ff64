//! Loading objects: whatever their bytes are, they are loaded or refused; and code that calls outside finds what it calls.

use legate_jit_codegen::{CpuTarget, Object, Workshop, load};
use legate_jit_ir::{DType, Ufunc};

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

#[test]
fn only_the_calls_that_the_object_names_are_resolved() {
    let whole = object(Ufunc::Hypot);
    assert!(!whole.calls.is_empty());
    let none = Object { calls: Default::default(), ..whole.clone() };
    assert!(load(&none).is_err_and(|e| e.to_string().contains("has no function")));
    assert!(load(&Object { name: "another".into(), ..whole }).is_err());
}
