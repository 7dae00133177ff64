//! Powers to exponents that have ways of their own (`legate_jit_vmath::powers`), as code among the other instructions: nothing is
//! spilled for a call, and what does not depend on the base is had once. Vectors with a lane beyond the exponent's reach ask the library.

use std::cell::Cell;

use legate_jit_ir::ufunc::emit::Emit;
use legate_jit_ir::ufunc::emit::power::{from_least, is_beyond, power, room};
use legate_jit_ir::{Body, DType, Reg};
use legate_jit_vmath::Func;

use super::build::{Build, Elem, Math, V};
use super::course::Course;
use super::emitter::Emitter;
use crate::target::Level;

/// Whether the processor multiplies and adds at once.
fn fused(b: &Build) -> bool {
    matches!(b.math, Math::Cpu(Level::V3 | Level::V4))
}

/// Powers of a body that are worth their code, which is some ten to forty instructions for each.
const MOST: usize = 12;

/// Whether a body's powers are code among the others.
pub fn pays(body: &Body) -> bool {
    (0..body.insts.len()).filter(|&k| body.power(k).is_some()).count() <= MOST
}

/// Numbers around one that are within the reach of all exponents of a body: their bits, less those of the least one, are below 2^bits.
/// So whether many numbers are near is asked once, of all these bits together. To ask of every two vectors is a tenth of what
/// forces by (r²)^-1.5 take: comparisons use the multipliers.
#[derive(Clone, Copy)]
pub struct Near {
    dtype: DType,
    bits: u32,
}

/// What has been found while powers are taken to be near: the bits of all numbers so far, less those of the least, one over the other.
pub type Far<'c> = (Near, Cell<V<'c>>);

impl Near {
    /// Of a body that goes straight through and has powers of one type.
    pub fn of(b: &Build, course: &Course) -> Option<Near> {
        let body = &course.code.body;
        if !fused(b) || course.rounds.is_some() || !course.exits.is_empty() || !pays(body) {
            return None;
        }
        let powers = (0..body.insts.len()).filter(|&k| course.code.needed[k]);
        let powers = powers.filter_map(|k| Some((body.insts[k].dtype, body.power(k)?.1)));
        let near = powers.map(|(dtype, exponent)| Some(Near { dtype, bits: room(dtype, exponent) }));
        let least = |a: Option<Near>, b: Option<Near>| {
            let (a, b) = (a?, b?);
            (a.dtype == b.dtype).then_some(Near { bits: a.bits.min(b.bits), ..a })
        };
        near.reduce(least).flatten()
    }

    fn elem(self) -> Elem {
        if self.dtype == DType::F32 { Elem::I32 } else { Elem::I64 }
    }

    /// Nothing found.
    pub fn none<'c>(self, b: &Build<'c, '_>) -> V<'c> {
        b.int(self.elem(), 0)
    }

    /// Whether some number was not near.
    pub fn is_some_far<'c>(self, b: &Build<'c, '_>, found: V<'c>) -> V<'c> {
        const NE: i64 = 1;
        let beyond = b.op("arith.andi", &[found, b.int(self.elem(), -1 << self.bits)], self.elem());
        b.any(b.compare("arith.cmpi", NE, beyond, b.int(self.elem(), 0)))
    }
}

/// Instruction k in the lanes of some vectors, if it is such a power, given the values of registers in each of them. Where `far` is
/// there, numbers are taken to be near, and noted.
pub fn lower<'c>(
    b: &Build<'c, '_>,
    body: &Body,
    k: usize,
    vectors: usize,
    value: impl Fn(usize, Reg) -> V<'c>,
    far: Option<&Far<'c>>,
) -> Option<Vec<V<'c>>> {
    let (x, exponent) = body.power(k).filter(|_| fused(b) && b.lanes > 1)?;
    let dtype = body.insts[k].dtype;
    let bases: Vec<V<'c>> = (0..vectors).map(|v| value(v, x)).collect();
    let emit = &mut Emitter::new(*b);
    let near: Vec<V<'c>> = bases.iter().map(|&x| power(emit, dtype, x, exponent)).collect();
    if let Some((near_one, found)) = far {
        for &x in &bases {
            let bits = from_least(emit, dtype, x, exponent, near_one.bits);
            found.set(b.op("arith.ori", &[found.get(), bits], near_one.elem()));
        }
        return Some(near);
    }
    let beyond: Vec<V<'c>> = bases.iter().map(|&x| is_beyond(emit, dtype, x, exponent)).collect();
    let beyond = beyond.into_iter().reduce(|m, other| b.op("arith.ori", &[m, other], Elem::I1))?;
    let ask = |inner: &Build<'c, '_>| {
        let emit = &mut Emitter::new(*inner);
        let y = emit.float(dtype, exponent.value());
        bases.iter().map(|&x| emit.vmath(Func::Pow, dtype, &[x, y])).collect()
    };
    Some(b.if_else(b.with_lanes(1).rarely(b.any(beyond)), ask, |_| near.clone()))
}
