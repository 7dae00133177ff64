//! Operands of the steps that libraries do.

use legate_jit_ir::DType;
use legate_jit_ir::plan::{BufferId, Operand, Plan};
use legate_jit_ir::shape::c_strides;
use smallvec::SmallVec;

use super::Frame;

/// An operand of an opaque step, ready but for the address.
pub struct OpaqueOperand {
    buffer: u32,
    offset: i64,
    dtype: DType,
    shape: legate_jit_ir::Shape,
    strides: SmallVec<[i64; 4]>,
}

impl OpaqueOperand {
    pub fn new(plan: &Plan, operand: &Operand) -> OpaqueOperand {
        let ty = &plan.buffer(operand.buffer).ty;
        let (offset, strides) = operand.view.strided(&c_strides(&ty.shape));
        let size = ty.dtype.size() as i64;
        OpaqueOperand {
            buffer: operand.buffer.0,
            offset: offset * size,
            dtype: ty.dtype,
            shape: operand.view.shape.clone(),
            strides: strides.iter().map(|s| s * size).collect(),
        }
    }

    pub fn whole(plan: &Plan, buffer: BufferId) -> OpaqueOperand {
        let view = legate_jit_ir::View::identity(&plan.buffer(buffer).ty.shape);
        OpaqueOperand::new(plan, &Operand { buffer, view })
    }

    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Some rows of the first axis.
    pub fn rows(&self, rows: &std::ops::Range<usize>) -> OpaqueOperand {
        let mut shape = self.shape.clone();
        shape[0] = rows.len();
        let offset = self.offset + rows.start as i64 * self.strides[0];
        OpaqueOperand { buffer: self.buffer, offset, dtype: self.dtype, shape, strides: self.strides.clone() }
    }

    pub fn at(&self, frame: &Frame) -> crate::library::Strided<'_> {
        crate::library::Strided {
            ptr: frame.bases[self.buffer as usize].wrapping_offset(self.offset as isize),
            dtype: self.dtype,
            shape: &self.shape,
            strides: &self.strides,
        }
    }
}
