//! The kernel's body at a vector of points.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::emit;
use legate_jit_ir::{DType, Inst, Reg, Scalar};

use super::Val;
use super::build::{Build, Elem, V};
use super::course::{Course, Exit, Known};
use super::emitter::Emitter;
use super::memory::{self, At, Row};
use crate::{Error, Result};

pub struct Body<'c, 'b> {
    build: &'b Build<'c, 'b>,
    course: &'b Course,
    row: &'b Row<'c>,
}

/// For each of several vectors, the instructions' values so far.
type Values<'c> = Vec<Vec<Option<Val<'c>>>>;

impl<'c, 'b> Body<'c, 'b> {
    pub fn new(build: &'b Build<'c, 'b>, course: &'b Course, row: &'b Row<'c>) -> Body<'c, 'b> {
        Body { build, course, row }
    }

    /// Runs the body at several vectors: all loads, then each instruction for all of them, then all stores. Chains that wait
    /// for their own results so stand side by side.
    pub fn run(&self, parts: &[At<'c>]) -> Result<()> {
        let kernel = &self.course.kernel;
        let insts = &kernel.body.insts;
        let mut values: Values = vec![vec![None; insts.len()]; parts.len()];
        for (at, values) in parts.iter().zip(&mut values) {
            for (inst, value) in insts.iter().zip(values) {
                if let Op::Load(a) = inst.op {
                    *value = Some(self.row.load(self.build, kernel, a, at));
                }
            }
        }
        let stored = self.rest(parts, 0, &self.course.exits, values)?;
        for (at, stored) in parts.iter().zip(&stored) {
            for (&(a, _), &value) in kernel.body.stores.iter().zip(stored) {
                self.row.store(self.build, kernel, a, at, value);
            }
        }
        Ok(())
    }

    /// The instructions from number `from` on. For each vector, what is stored.
    fn rest(&self, parts: &[At<'c>], from: usize, exits: &[Exit], mut values: Values<'c>) -> Result<Vec<Vec<Val<'c>>>> {
        let body = &self.course.kernel.body;
        let end = exits.first().map_or(body.insts.len(), |e| e.condition.0 as usize + 1);
        for (k, inst) in body.insts.iter().enumerate().take(end).skip(from) {
            for (at, values) in parts.iter().zip(&mut values) {
                if values[k].is_none() && self.course.needed[k] {
                    values[k] = Some(self.inst(k, inst, values, at)?);
                }
            }
        }
        let value = |values: &[Option<Val<'c>>], r: Reg| values[r.0 as usize].expect("every instruction has run");
        let Some((exit, later)) = exits.split_first() else {
            return Ok(values.iter().map(|v| body.stores.iter().map(|&(_, r)| value(v, r)).collect()).collect());
        };
        let b = self.build;
        let some_go_on = values
            .iter()
            .map(|v| {
                let condition = value(v, exit.condition).one();
                b.any(if exit.holds { emit::not(&mut Emitter::new(*b), DType::Bool, condition) } else { condition })
            })
            .reduce(|x, y| b.with_lanes(1).op("arith.ori", &[x, y], Elem::I1))
            .expect("a body runs at some vector");
        let types: Vec<DType> = body.stores.iter().map(|&(_, r)| body.dtype(r)).collect();
        let mut result = Ok(());
        let chosen = b.if_else(
            some_go_on,
            |inner| {
                let body = Body { build: inner, ..*self };
                let stored = body.rest(parts, end, later, values.clone());
                stored.map(|s| flat(&s)).unwrap_or_else(|e| {
                    result = Err(e);
                    Vec::new()
                })
            },
            |inner| {
                let stored = values.iter().map(|v| {
                    let known = exit.stores.iter().map(|known| match *known {
                        Known::Reg(r) => value(v, r),
                        Known::Const(c) => constant(inner, c),
                    });
                    known.collect()
                });
                flat(&stored.collect::<Vec<_>>())
            },
        );
        result?;
        let mut chosen = chosen.into_iter();
        let mut next = || chosen.next().expect("as many values as were yielded");
        let mut of_type = |t: &DType| if t.is_complex() { Val::Pair(next(), next()) } else { Val::One(next()) };
        Ok(parts.iter().map(|_| types.iter().map(&mut of_type).collect()).collect())
    }

    fn inst(&self, k: usize, inst: &Inst, values: &[Option<Val<'c>>], at: &At<'c>) -> Result<Val<'c>> {
        let b = self.build;
        let body = &self.course.kernel.body;
        let dtype = inst.dtype;
        let value = |r: Reg| values[r.0 as usize].expect("operands come first");
        Ok(match &inst.op {
            Op::Load(_) => unreachable!("loads come first"),
            Op::Scalar(s) => memory::splat(b, dtype, self.row.scalars[*s as usize]),
            Op::Const(c) => constant(b, *c),
            Op::Index(d) => self.index(*d, at),
            Op::Map(f, args) => {
                if let Some(length) = &self.course.lengths[k] {
                    return Ok(Val::One(length.lower(b, body.dtype(length.of), value(length.of))));
                }
                let types: Vec<DType> = args.iter().map(|&r| body.dtype(r)).collect();
                let values: Vec<Val> = args.iter().map(|&r| value(r)).collect();
                emit::lower(&mut Emitter::new(*b), *f, &types, &values)
                    .ok_or_else(|| Error::Unsupported(format!("{} of {types:?} has no vector form", f.name())))?
            }
            Op::Cast(r) => emit::cast(&mut Emitter::new(*b), value(*r), body.dtype(*r), dtype),
        })
    }

    fn index(&self, d: u32, at: &At<'c>) -> Val<'c> {
        let b = self.build;
        let one = b.with_lanes(1);
        let start = self.row.index[d as usize].expect("a coordinate that is used");
        if d + 1 < self.course.kernel.rank {
            return Val::One(b.splat(Elem::I64, start));
        }
        let first = b.splat(Elem::I64, one.op("arith.addi", &[start, at.i], Elem::I64));
        Val::One(if b.lanes == 1 { first } else { b.op("arith.addi", &[first, b.iota()], Elem::I64) })
    }
}

/// The values of several vectors one behind the other, complex ones as two.
fn flat<'c>(values: &[Vec<Val<'c>>]) -> Vec<V<'c>> {
    let parts = |v: &Val<'c>| match *v {
        Val::One(v) => vec![v],
        Val::Pair(re, im) => vec![re, im],
    };
    values.iter().flatten().flat_map(parts).collect()
}

/// A constant in every lane; a complex one's parts.
fn constant<'c>(b: &Build<'c, '_>, c: Scalar) -> Val<'c> {
    match c.dtype {
        DType::C64 => Val::Pair(b.scalar(DType::F32, c.bits[0] & 0xffff_ffff), b.scalar(DType::F32, c.bits[0] >> 32)),
        DType::C128 => Val::Pair(b.scalar(DType::F64, c.bits[0]), b.scalar(DType::F64, c.bits[1])),
        dtype => Val::One(b.scalar(dtype, c.bits[0])),
    }
}
