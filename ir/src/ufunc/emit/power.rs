//! The steps of powers with ways of their own (`legate_jit_vmath::powers`) as code.

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Sub};

use legate_jit_vmath::powers::{self, Exponent, Number};

use super::{CmpI, Emit};
use crate::DType;

/// x to an exponent, f32 or f64. It has the library's bits where x is within the exponent's reach.
pub fn power<E: Emit>(e: &mut E, t: DType, x: E::V, exponent: Exponent) -> E::V {
    let emit = &RefCell::new(e);
    match t {
        DType::F32 => powers::power(Coded::<E, true> { emit, v: x }, exponent).v,
        _ => powers::power(Coded::<E, false> { emit, v: x }, exponent).v,
    }
}

/// Whether x is beyond the exponent's reach.
pub fn is_beyond<E: Emit>(e: &mut E, t: DType, x: E::V, exponent: Exponent) -> E::V {
    let (int, mantissa, bias) = if t == DType::F32 { (DType::I32, 23, 127) } else { (DType::I64, 52, 1023) };
    let reach = exponent.reach(t == DType::F32) as i128;
    // The sign is shifted out, or left where it makes the number a very large one.
    let shift = exponent.is_whole() as u32;
    let place = |exponent: i128| (exponent + bias) << (mantissa + shift);
    let mut bits = e.convert("arith.bitcast", x, int);
    if shift == 1 {
        bits = e.op2("arith.addi", bits, bits);
    }
    let least = e.int(int, wrapped(t, place(-reach)));
    let moved = e.op2("arith.subi", bits, least);
    let end = e.int(int, wrapped(t, place(reach + 1) - place(-reach)));
    e.cmpi(CmpI::Uge, moved, end)
}

/// The signed number that has an unsigned one's bits.
fn wrapped(t: DType, bits: i128) -> i128 {
    if t == DType::F32 { bits as u32 as i32 as i128 } else { bits as u64 as i64 as i128 }
}

/// A value of the code.
struct Coded<'r, 'e, E: Emit, const SINGLE: bool> {
    emit: &'r RefCell<&'e mut E>,
    v: E::V,
}

impl<E: Emit, const SINGLE: bool> Clone for Coded<'_, '_, E, SINGLE> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Emit, const SINGLE: bool> Copy for Coded<'_, '_, E, SINGLE> {}

impl<E: Emit, const SINGLE: bool> Coded<'_, '_, E, SINGLE> {
    const FLOAT: DType = if SINGLE { DType::F32 } else { DType::F64 };
    const INT: DType = if SINGLE { DType::I32 } else { DType::I64 };

    fn by(self, f: impl FnOnce(&mut E, E::V) -> E::V) -> Self {
        let v = f(&mut self.emit.borrow_mut(), self.v);
        Coded { v, ..self }
    }
}

macro_rules! operators {
    ($($trait:ident $op:ident $name:literal;)*) => {
        $(
            impl<E: Emit, const SINGLE: bool> $trait for Coded<'_, '_, E, SINGLE> {
                type Output = Self;
                fn $op(self, y: Self) -> Self {
                    self.by(|e, x| e.op2($name, x, y.v))
                }
            }
        )*
    };
}
operators! { Add add "arith.addf"; Sub sub "arith.subf"; Mul mul "arith.mulf"; Div div "arith.divf"; }

impl<E: Emit, const SINGLE: bool> Number for Coded<'_, '_, E, SINGLE> {
    const SINGLE: bool = SINGLE;

    fn like(self, x: f64) -> Self {
        self.by(|e, _| e.float(Self::FLOAT, x))
    }

    fn fma(self, y: Self, z: Self) -> Self {
        self.by(|e, x| e.mul_add(x, y.v, z.v))
    }

    fn fnma(self, y: Self, z: Self) -> Self {
        self.by(|e, x| {
            let minus = e.op1("arith.negf", x);
            e.mul_add(minus, y.v, z.v)
        })
    }

    fn fms(self, y: Self, z: Self) -> Self {
        self.by(|e, x| {
            let minus = e.op1("arith.negf", z.v);
            e.mul_add(x, y.v, minus)
        })
    }

    fn sqrt(self) -> Self {
        self.by(|e, x| e.op1("math.sqrt", x))
    }

    fn less_half_of_its_bits(self, bits: u64) -> Self {
        self.by(|e, x| {
            let (whole, one) = (e.convert("arith.bitcast", x, Self::INT), e.int(Self::INT, 1));
            let half = e.op2("arith.shrui", whole, one);
            let from = e.int(Self::INT, wrapped(Self::FLOAT, bits as i128));
            let less = e.op2("arith.subi", from, half);
            e.convert("arith.bitcast", less, Self::FLOAT)
        })
    }
}
