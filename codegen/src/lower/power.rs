//! Powers to exponents that have ways of their own (`legate_jit_vmath::powers`), as code among the other instructions: nothing is
//! spilled for a call, and what does not depend on the base is had once. Vectors with a lane beyond the exponent's reach ask the library.

use legate_jit_ir::ufunc::emit::Emit;
use legate_jit_ir::ufunc::emit::power::{is_beyond, power};
use legate_jit_ir::{Body, Reg};
use legate_jit_vmath::Func;

use super::build::{Build, Elem, Math, V};
use super::emitter::Emitter;
use crate::target::Level;

/// Powers of a body that are worth their code, which is some ten to forty instructions for each.
const MOST: usize = 12;

/// Whether a body's powers are code among the others.
pub fn pays(body: &Body) -> bool {
    (0..body.insts.len()).filter(|&k| body.power(k).is_some()).count() <= MOST
}

/// Instruction k in the lanes of some vectors, if it is such a power, given the values of registers in each of them.
pub fn lower<'c>(
    b: &Build<'c, '_>,
    body: &Body,
    k: usize,
    vectors: usize,
    value: impl Fn(usize, Reg) -> V<'c>,
) -> Option<Vec<V<'c>>> {
    let fused = matches!(b.math, Math::Cpu(Level::V3 | Level::V4));
    let (x, exponent) = body.power(k).filter(|_| fused && b.lanes > 1)?;
    let dtype = body.insts[k].dtype;
    let bases: Vec<V<'c>> = (0..vectors).map(|v| value(v, x)).collect();
    let emit = &mut Emitter::new(*b);
    let near: Vec<V<'c>> = bases.iter().map(|&x| power(emit, dtype, x, exponent)).collect();
    let beyond: Vec<V<'c>> = bases.iter().map(|&x| is_beyond(emit, dtype, x, exponent)).collect();
    let beyond = beyond.into_iter().reduce(|m, other| b.op("arith.ori", &[m, other], Elem::I1))?;
    let ask = |inner: &Build<'c, '_>| {
        let emit = &mut Emitter::new(*inner);
        let y = emit.float(dtype, exponent.value());
        bases.iter().map(|&x| emit.vmath(Func::Pow, dtype, &[x, y])).collect()
    };
    Some(b.if_else(b.any(beyond), ask, |_| near.clone()))
}
