//! The kernel's body at a vector of points.

use melior::ir::Module;

use legate_jit_ir::kernel::Op;
use legate_jit_ir::{DType, Kernel, Scalar, Ufunc};

use super::build::{Build, Common, Elem};
use super::memory::{self, At, Row};
use super::{Calls, Steps, Val};
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

    pub fn declare(_: &Common<'c>, _: &Module<'c>, _: &Kernel, _: Steps) -> Result<Calls> {
        Ok(Calls::new())
    }

    /// Runs the body at several vectors: all loads, then the instructions of each, then all stores.
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
        for (at, values) in parts.iter().zip(&mut values) {
            for (k, inst) in insts.iter().enumerate() {
                if values[k].is_none() {
                    values[k] = Some(self.inst(&inst.op, inst.dtype, values, at)?);
                }
            }
        }
        for (at, values) in parts.iter().zip(&values) {
            for &(a, r) in &self.kernel.body.stores {
                self.row.store(self.build, self.kernel, a, at, values[r.0 as usize].expect("every instruction has run"));
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
                let args: Vec<Val> = args.iter().map(|&r| value(r)).collect();
                let name = match f {
                    Ufunc::Add => "arith.addf",
                    Ufunc::Multiply => "arith.mulf",
                    Ufunc::Subtract => "arith.subf",
                    Ufunc::Divide => "arith.divf",
                    _ => return Err(Error::Kernel(format!("no lowering of {}", f.name()))),
                };
                match (args[0], args[1]) {
                    (Val::One(x), Val::One(y)) => Val::One(b.op(name, &[x, y], Elem::of(dtype))),
                    _ => return Err(Error::Kernel("complex".into())),
                }
            }
            Op::Cast(_) => return Err(Error::Kernel("cast".into())),
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

fn constant<'c>(b: &Build<'c, '_>, c: Scalar) -> Val<'c> {
    let part = |bits: u64| match c.dtype.real() {
        DType::F32 => b.float(Elem::F32, f32::from_bits(bits as u32) as f64),
        DType::F64 => b.float(Elem::F64, f64::from_bits(bits)),
        int => b.int(Elem::of(int), bits as i64),
    };
    match c.dtype {
        DType::C64 => Val::Two(part(c.bits[0]), part(c.bits[0] >> 32)),
        DType::C128 => Val::Two(part(c.bits[0]), part(c.bits[1])),
        _ => Val::One(part(c.bits[0])),
    }
}
