//! The kernel's body at a vector of points.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::emit;
use legate_jit_ir::{DType, Kernel, Scalar};

use super::Val;
use super::build::{Build, Elem};
use super::emitter::Emitter;
use super::memory::{self, At, Row};
use crate::{Error, Result};

pub struct Body<'c, 'b> {
    build: &'b Build<'c, 'b>,
    kernel: &'b Kernel,
    row: &'b Row<'c>,
}

impl<'c, 'b> Body<'c, 'b> {
    pub fn new(build: &'b Build<'c, 'b>, kernel: &'b Kernel, row: &'b Row<'c>) -> Body<'c, 'b> {
        Body { build, kernel, row }
    }

    /// Runs the body at several vectors: all loads, then each instruction for all of them, then all stores. Chains that wait
    /// for their own results so stand side by side.
    pub fn run(&self, parts: &[At<'c>]) -> Result<()> {
        let insts = &self.kernel.body.insts;
        let mut values: Vec<Vec<Option<Val<'c>>>> = vec![vec![None; insts.len()]; parts.len()];
        for (at, values) in parts.iter().zip(&mut values) {
            for (inst, value) in insts.iter().zip(values) {
                if let Op::Load(a) = inst.op {
                    *value = Some(self.row.load(self.build, self.kernel, a, at));
                }
            }
        }
        for (k, inst) in insts.iter().enumerate() {
            for (at, values) in parts.iter().zip(&mut values) {
                if values[k].is_none() {
                    values[k] = Some(self.inst(&inst.op, inst.dtype, values, at)?);
                }
            }
        }
        for (at, values) in parts.iter().zip(&values) {
            for &(a, r) in &self.kernel.body.stores {
                self.row.store(
                    self.build,
                    self.kernel,
                    a,
                    at,
                    values[r.0 as usize].expect("every instruction has run"),
                );
            }
        }
        Ok(())
    }

    fn inst(&self, op: &Op, dtype: DType, values: &[Option<Val<'c>>], at: &At<'c>) -> Result<Val<'c>> {
        let b = self.build;
        let value = |r: legate_jit_ir::Reg| values[r.0 as usize].expect("operands come first");
        Ok(match op {
            Op::Load(_) => unreachable!("loads come first"),
            Op::Scalar(s) => memory::splat(b, dtype, self.row.scalars[*s as usize]),
            Op::Const(c) => constant(b, *c),
            Op::Index(d) => self.index(*d, at),
            Op::Map(f, args) => {
                let types: Vec<DType> = args.iter().map(|&r| self.kernel.body.dtype(r)).collect();
                let values: Vec<Val> = args.iter().map(|&r| value(r)).collect();
                emit::lower(&mut Emitter::new(*b), *f, &types, &values)
                    .ok_or_else(|| Error::Unsupported(format!("{} of {types:?} has no vector form", f.name())))?
            }
            Op::Cast(r) => emit::cast(&mut Emitter::new(*b), value(*r), self.kernel.body.dtype(*r), dtype),
        })
    }

    fn index(&self, d: u32, at: &At<'c>) -> Val<'c> {
        let b = self.build;
        let one = b.with_lanes(1);
        let start = self.row.index[d as usize].expect("a coordinate that is used");
        if d + 1 < self.kernel.rank {
            return Val::One(b.splat(Elem::I64, start));
        }
        let first = b.splat(Elem::I64, one.op("arith.addi", &[start, at.i], Elem::I64));
        Val::One(if b.lanes == 1 { first } else { b.op("arith.addi", &[first, b.iota()], Elem::I64) })
    }
}

/// A constant in every lane; a complex one's parts.
fn constant<'c>(b: &Build<'c, '_>, c: Scalar) -> Val<'c> {
    match c.dtype {
        DType::C64 => Val::Pair(b.scalar(DType::F32, c.bits[0] & 0xffff_ffff), b.scalar(DType::F32, c.bits[0] >> 32)),
        DType::C128 => Val::Pair(b.scalar(DType::F64, c.bits[0]), b.scalar(DType::F64, c.bits[1])),
        dtype => Val::One(b.scalar(dtype, c.bits[0])),
    }
}
