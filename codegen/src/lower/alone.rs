//! Kernels that are one function of the vector math library and nothing else: a row is one call of the library's own loop, which
//! keeps its constants in registers from vector to vector. Calls for two vectors at a time take a tenth longer.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::{DType, InnerStride, Kernel};
use legate_jit_vmath::{Float, Func};

use super::Arguments;
use super::build::{Build, Elem, V};
use super::memory::Row;
use crate::calls::Call;

/// Where the function's argument comes from.
#[derive(Clone, Copy)]
enum From {
    Access(u32),
    Scalar(u32),
}

/// Such a kernel.
pub struct Alone {
    func: Func,
    float: Float,
    args: Vec<From>,
    to: u32,
}

impl Alone {
    pub fn of(kernel: &Kernel) -> Option<Alone> {
        let body = &kernel.body;
        let [(to, result)] = body.stores[..] else { return None };
        let inst = &body.insts[result.0 as usize];
        let Op::Map(ufunc, args) = &inst.op else { return None };
        let func = ufunc.vmath()?;
        let float = match inst.dtype {
            DType::F32 => Float::F32,
            DType::F64 => Float::F64,
            _ => return None,
        };
        if kernel.accesses[to as usize].inner != InnerStride::Unit || args.len() != func.nin() {
            return None;
        }
        let from = args.iter().map(|&r| {
            let arg = &body.insts[r.0 as usize];
            match arg.op {
                _ if arg.dtype != inst.dtype => None,
                Op::Load(a) => match kernel.accesses[a as usize].inner {
                    InnerStride::Unit => Some(From::Access(a)),
                    InnerStride::Zero if func.nin() == 2 => Some(From::Access(a)),
                    _ => None,
                },
                Op::Scalar(s) if func.nin() == 2 => Some(From::Scalar(s)),
                _ => None,
            }
        });
        Some(Alone { func, float, args: from.collect::<Option<_>>()?, to })
    }

    /// The row's points.
    pub fn row<'c>(&self, build: &Build<'c, '_>, kernel: &Kernel, arguments: &Arguments<'c>, row: &Row<'c>, n: V<'c>) {
        let mut values = Vec::new();
        for &from in &self.args {
            let (address, step) = match from {
                From::Access(a) => (row.address(a), (kernel.accesses[a as usize].inner == InnerStride::Unit) as i64),
                From::Scalar(s) => (arguments.scalar(build, s), 0),
            };
            values.push(address);
            if self.args.len() == 2 {
                values.push(build.int(Elem::I64, step));
            }
        }
        values.extend([row.address(self.to), n]);
        build.call_for_effect(&Call::VmathLoop(self.func, self.float).name(), &values);
    }
}
