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
    let reach = exponent.reach(t == DType::F32) as i128;
    let moved = moved(e, t, x, exponent, -reach);
    let end = e.int(bits_of(t).0, wrapped(t, place(t, exponent, reach + 1) - place(t, exponent, -reach)));
    e.cmpi(CmpI::Uge, moved, end)
}

/// The most bits for [`from_least`].
pub fn room(t: DType, exponent: Exponent) -> u32 {
    bits_of(t).1 + exponent.is_whole() as u32 + 1 + exponent.reach(t == DType::F32).ilog2()
}

/// An integer that is below 2^bits if x is within the exponent's reach and near one, how near the number of bits says.
pub fn from_least<E: Emit>(e: &mut E, t: DType, x: E::V, exponent: Exponent, bits: u32) -> E::V {
    let least = 1 << (bits - bits_of(t).1 - exponent.is_whole() as u32 - 1);
    moved(e, t, x, exponent, -least)
}

/// The bits of x, less those of 2^least. The sign is shifted out, or left where it makes the number a very large one.
fn moved<E: Emit>(e: &mut E, t: DType, x: E::V, exponent: Exponent, least: i128) -> E::V {
    let int = bits_of(t).0;
    let mut bits = e.convert("arith.bitcast", x, int);
    if exponent.is_whole() {
        bits = e.op2("arith.addi", bits, bits);
    }
    let least = e.int(int, wrapped(t, place(t, exponent, least)));
    e.op2("arith.subi", bits, least)
}

/// The integer with a number's bits, and how many of these are the mantissa's.
fn bits_of(t: DType) -> (DType, u32) {
    if t == DType::F32 { (DType::I32, 23) } else { (DType::I64, 52) }
}

/// The bits of 2^n, or twice these where the sign is shifted out.
fn place(t: DType, exponent: Exponent, n: i128) -> i128 {
    let bias = if t == DType::F32 { 127 } else { 1023 };
    (n + bias) << (bits_of(t).1 + exponent.is_whole() as u32)
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

    fn without_last(self, n: u32) -> Self {
        self.by(|e, x| {
            let bits = e.convert("arith.bitcast", x, Self::INT);
            let mask = e.int(Self::INT, -1 << n);
            let rest = e.op2("arith.andi", bits, mask);
            e.convert("arith.bitcast", rest, Self::FLOAT)
        })
    }
}
