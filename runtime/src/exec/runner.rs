//! The kernel of a piece of a launch: compiled code once it is there, prebuilt loops until then.
//!
//! A boundary file: it calls compiled code on the addresses that the launch gives it.

use std::sync::Arc;

use legate_jit_codegen::Slot;
use legate_jit_ir::Kernel;
use smallvec::SmallVec;

use crate::vm;
use crate::{Result, Tier};

/// Operations on single elements, some milliseconds of the prebuilt loops, after which a long box is looked at again: its
/// kernel may have been compiled meanwhile.
const LOOK_AGAIN: u64 = 4_000_000;

/// A kernel in its two tiers: compiled code once it is there, prebuilt loops until then.
pub struct Runner {
    slot: Option<Arc<Slot>>,
    /// None where there was code from the beginning.
    program: Option<vm::Program>,
    /// Code that adds up leaves or rows of a sum, and so takes no boxes. Where it is asked for there is no other: until it is there, the
    /// prebuilt loops store what is to be added.
    adding: Option<Arc<Slot>>,
}

impl Runner {
    pub(super) fn new(kernel: &Kernel, tier: Tier) -> Result<Runner> {
        let slot = Runner::slot(kernel, tier);
        let ready = slot.as_ref().is_some_and(|s| s.entry().is_some());
        let program = if ready { None } else { Some(vm::Program::new(kernel)?) };
        Ok(Runner { slot, program, adding: None })
    }

    /// Has a kernel compiled that may be needed.
    pub(super) fn prepare(kernel: &Kernel, tier: Tier) {
        Runner::slot(kernel, tier);
    }

    /// One for sums, whose leaves or rows the code of `adding` adds up.
    pub(super) fn adding(kernel: &Kernel, adding: &Kernel, tier: Tier) -> Result<Runner> {
        let program = Some(vm::Program::new(kernel)?);
        Ok(Runner { slot: None, program, adding: Runner::slot(adding, tier) })
    }

    fn slot(kernel: &Kernel, tier: Tier) -> Option<Arc<Slot>> {
        let slot = match tier {
            Tier::Vm | Tier::Interp => None,
            Tier::Auto | Tier::Compiled => crate::tier::compiler().map(|c| c.get(kernel)),
        };
        if let (Tier::Compiled, Some(slot)) = (tier, &slot) {
            slot.wait();
        }
        slot
    }

    /// The compiled code that takes boxes, if it is there.
    pub(super) fn code(&self) -> Option<legate_jit_ir::kernel::KernelFn> {
        self.slot.as_ref()?.entry()
    }

    /// The code that adds up.
    pub(super) fn sums(&self) -> Option<legate_jit_ir::kernel::KernelFn> {
        self.adding.as_ref()?.entry()
    }

    /// Whether nothing better is to come.
    pub fn is_settled(&self) -> bool {
        self.slot.iter().chain(&self.adding).all(|slot| slot.is_settled())
    }

    /// Notes that so many operations on single elements were done without the code.
    pub fn ask(&self, operations: u64) {
        self.slot.iter().chain(&self.adding).for_each(|slot| slot.worked(operations));
    }

    /// Runs the kernel on a box.
    ///
    /// # Safety
    /// As for [`legate_jit_ir::kernel::KernelFn`]: every element that the box's points name is valid memory.
    #[inline]
    pub(super) unsafe fn call(
        &self,
        ptrs: *const *mut u8,
        strides: *const i64,
        scalars: *const [u64; 2],
        lo: *const i64,
        extent: *const i64,
    ) {
        // SAFETY: the caller's promise is the kernel's own.
        unsafe {
            if let Some(entry) = self.slot.as_ref().and_then(|s| s.entry()) {
                return entry(ptrs, strides, scalars, lo, extent);
            }
            let program = self.program.as_ref().expect("prebuilt loops where there is no code");
            let shape = std::slice::from_raw_parts(extent, program.rank());
            let operations = shape.iter().product::<i64>() as u64 * program.operations();
            if let Some(adding) = &self.adding {
                adding.worked(operations);
            }
            let Some(slot) = &self.slot else { return program.run(ptrs, strides, scalars, lo, extent) };
            if operations >= 2 * LOOK_AGAIN && !slot.is_settled() {
                return self.in_parts(program, slot, ptrs, strides, scalars, lo, shape);
            }
            match slot.code_or_work(operations) {
                Some(entry) => entry(ptrs, strides, scalars, lo, extent),
                None => program.run(ptrs, strides, scalars, lo, extent),
            }
        }
    }

    /// Runs the prebuilt loops on parts of a box, until the code is there.
    ///
    /// # Safety
    /// As for `call`.
    #[allow(clippy::too_many_arguments)]
    #[cold]
    unsafe fn in_parts(
        &self,
        program: &vm::Program,
        slot: &Arc<Slot>,
        ptrs: *const *mut u8,
        strides: *const i64,
        scalars: *const [u64; 2],
        lo: *const i64,
        shape: &[i64],
    ) {
        // Along the first axis that has some.
        let axis = shape.iter().position(|&n| n > 1).unwrap_or(0);
        let each = shape.iter().product::<i64>() as u64 * program.operations() / shape[axis] as u64;
        let part = (LOOK_AGAIN / each.max(1)).max(1) as i64;
        // SAFETY: the caller gives as many pointers, strides and coordinates as the kernel has accesses and axes; the parts are
        // boxes inside the caller's.
        unsafe {
            let mut at: SmallVec<[*mut u8; 8]> = std::slice::from_raw_parts(ptrs, program.accesses()).into();
            let mut lo: SmallVec<[i64; 4]> = std::slice::from_raw_parts(lo, shape.len()).into();
            let mut size: SmallVec<[i64; 4]> = shape.into();
            let mut left = shape[axis];
            while left > 0 {
                let entry = slot.code_or_work(each * part.min(left) as u64);
                size[axis] = if entry.is_some() { left } else { part.min(left) };
                match entry {
                    Some(entry) => entry(at.as_ptr(), strides, scalars, lo.as_ptr(), size.as_ptr()),
                    None => program.run(at.as_ptr(), strides, scalars, lo.as_ptr(), size.as_ptr()),
                }
                for (a, p) in at.iter_mut().enumerate() {
                    *p = p.wrapping_offset((*strides.add(a * shape.len() + axis) * size[axis]) as isize);
                }
                lo[axis] += size[axis];
                left -= size[axis];
            }
        }
    }
}
