//! One elementwise operation over elements in memory, run by the prebuilt loops without a plan.
//!
//! A boundary file: it takes addresses whose validity the callers promise.

use std::collections::HashMap;

use legate_jit_ir::kernel::{Access, Body, InnerStride, Kernel, Op as Inst};
use legate_jit_ir::{DType, Ufunc};
use smallvec::SmallVec;

use crate::Result;
use crate::layout::Strides;
use crate::plan_cache::BuildKey;
use crate::strided::{apart, interleaved, span};
use crate::vm::Program;

/// What a pass computes.
#[derive(Clone, Copy)]
pub(crate) enum Code {
    Map(Ufunc),
    Copy,
    /// The index along an axis.
    Index(u32),
}

/// An argument of a pass.
pub(crate) struct Feed {
    pub(crate) source: Source,
    /// The elements' type.
    pub(crate) dtype: DType,
    /// The type in which the operation sees them.
    pub(crate) cast: DType,
}

pub(crate) enum Source {
    /// The first element, and the steps along the pass's axes in bytes.
    Array(*mut u8, Strides),
    Scalar([u64; 2]),
}

impl Feed {
    pub(crate) fn scalar(bits: [u64; 2], dtype: DType) -> Feed {
        Feed { source: Source::Scalar(bits), dtype, cast: dtype }
    }

    /// Whether a pass over this shape may write elements of `item` bytes at `to` while it reads this: it reads elsewhere, or at
    /// each point the element that the point replaces.
    pub(crate) fn lets_write(&self, shape: &[usize], to: *mut u8, by: &[i64], item: usize) -> bool {
        let Source::Array(ptr, steps) = &self.source else { return true };
        let size = self.dtype.size();
        *ptr == to && steps[..] == *by && size == item
            || apart(span(*ptr, shape, steps, size), span(to, shape, by, item))
            || interleaved((*ptr, steps, size), (to, by, item))
    }
}

/// The programs of single operations, made as they are met. There are only so many.
#[derive(Default)]
pub(crate) struct Passes {
    programs: HashMap<u64, Program, BuildKey>,
}

impl Passes {
    /// Runs an operation over a shape; `to` is where the results go, with the steps along the axes in bytes.
    ///
    /// # Safety
    /// All elements that the feeds name are valid memory, and so is the place of every result. Where a result lies over an
    /// element that is read, it is at the same point.
    pub(crate) unsafe fn run(
        &mut self,
        code: Code,
        feeds: &[Feed],
        dtype: DType,
        shape: &[usize],
        to: (*mut u8, &[i64]),
    ) -> Result<()> {
        if shape.contains(&0) {
            return Ok(());
        }
        let rank = shape.len().max(1);
        let mut ptrs: SmallVec<[*mut u8; 4]> = SmallVec::new();
        let mut strides: SmallVec<[i64; 16]> = SmallVec::new();
        let mut scalars: SmallVec<[[u64; 2]; 3]> = SmallVec::new();
        for feed in feeds {
            match &feed.source {
                Source::Array(ptr, by) => {
                    ptrs.push(*ptr);
                    strides.extend_from_slice(by);
                    // Without axes there is one of one point.
                    strides.resize(ptrs.len() * rank, 0);
                }
                Source::Scalar(bits) => scalars.push(*bits),
            }
        }
        ptrs.push(to.0);
        strides.extend_from_slice(to.1);
        strides.resize(ptrs.len() * rank, 0);
        let mut extent: SmallVec<[i64; 4]> = shape.iter().map(|&n| n as i64).collect();
        extent.resize(rank, 1);
        let program = self.program(code, feeds, dtype, rank)?;
        let lo: SmallVec<[i64; 4]> = SmallVec::from_elem(0, rank);
        // SAFETY: the caller's promise; a pointer for each access, and strides and extents for each axis.
        unsafe { program.run(ptrs.as_ptr(), strides.as_ptr(), scalars.as_ptr(), lo.as_ptr(), extent.as_ptr()) };
        Ok(())
    }

    fn program(&mut self, code: Code, feeds: &[Feed], dtype: DType, rank: usize) -> Result<&Program> {
        // All that decides the program, nine bits an argument.
        let mut word = match code {
            Code::Map(ufunc) => ufunc as u64,
            Code::Copy => 0x100,
            Code::Index(axis) => 0x200 + axis as u64,
        };
        for feed in feeds {
            let array = matches!(feed.source, Source::Array(..));
            word = word << 9 | (feed.dtype as u64) << 5 | (feed.cast as u64) << 1 | array as u64;
        }
        word = (word << 2 | feeds.len() as u64) << 9 | (dtype as u64) << 5 | rank as u64;
        // (The table takes low bits as they are: all that differs has to reach them.)
        match self.programs.entry(word.wrapping_mul(0x9e37_79b9_7f4a_7c15).swap_bytes()) {
            std::collections::hash_map::Entry::Occupied(known) => Ok(known.into_mut()),
            std::collections::hash_map::Entry::Vacant(new) => {
                Ok(new.insert(Program::new(&kernel(code, feeds, dtype, rank))?))
            }
        }
    }
}

/// The body of a pass.
fn kernel(code: Code, feeds: &[Feed], dtype: DType, rank: usize) -> Kernel {
    let mut kernel = Kernel { rank: rank as u32, ..Kernel::default() };
    let mut body = Body::default();
    let access = |dtype, write| Access { dtype, inner: InnerStride::Any, write };
    let mut regs = SmallVec::new();
    for feed in feeds {
        let op = match feed.source {
            Source::Array(..) => {
                kernel.accesses.push(access(feed.dtype, false));
                Inst::Load(kernel.accesses.len() as u32 - 1)
            }
            Source::Scalar(_) => {
                kernel.scalars.push(feed.dtype);
                Inst::Scalar(kernel.scalars.len() as u32 - 1)
            }
        };
        let mut reg = body.push(op, feed.dtype);
        if feed.dtype != feed.cast {
            reg = body.push(Inst::Cast(reg), feed.cast);
        }
        regs.push(reg);
    }
    let mut result = match code {
        Code::Map(ufunc) => {
            let types: SmallVec<[DType; 3]> = regs.iter().map(|r| body.dtype(*r)).collect();
            let made = ufunc.out(&types).unwrap_or(dtype);
            body.push(Inst::Map(ufunc, regs), made)
        }
        Code::Copy => regs[0],
        Code::Index(axis) => body.push(Inst::Index(axis), DType::I64),
    };
    if body.dtype(result) != dtype {
        result = body.push(Inst::Cast(result), dtype);
    }
    body.stores.push((kernel.accesses.len() as u32, result));
    kernel.accesses.push(access(dtype, true));
    kernel.body = body;
    kernel
}
