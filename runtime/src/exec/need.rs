//! What a plan needs in memory, known before it runs, so that one for which there is not enough is an error and not the
//! process's end.

use legate_jit_ir::plan::{Plan, Source};

use super::Action;
use crate::buffer::{CHECKED, mapped_bytes, missing, size_text};
use crate::error::shape_text;
use crate::{Error, Result};

/// The most memory that a plan's own buffers have at any time.
pub(crate) struct Need {
    bytes: usize,
    /// Buffers that have memory then.
    arrays: usize,
    /// The largest of them.
    largest: usize,
}

impl Need {
    pub(super) fn of(plan: &Plan, actions: &[Action], slot: &[u32], slots: usize) -> Need {
        let mut need = Need { bytes: 0, arrays: 0, largest: 0 };
        let mut held = vec![0; slots];
        let mut arrays = 0;
        // What donated inputs give back is had by what comes after: so it may be less than nothing.
        let mut bytes: i128 = 0;
        for (i, buffer) in plan.buffers.iter().enumerate().filter(|(_, b)| matches!(b.source, Source::Input(_))) {
            held[slot[i] as usize] = mapped_bytes(buffer.ty.bytes());
        }
        for action in actions {
            match action {
                Action::Alloc { slot: s, bytes: new } => {
                    held[*s as usize] = mapped_bytes(*new);
                    bytes += held[*s as usize] as i128;
                    arrays += 1;
                    if bytes > need.bytes as i128 {
                        (need.bytes, need.arrays) = (bytes as usize, arrays);
                    }
                    if *new > plan.buffers[need.largest].ty.bytes() || need.arrays == 1 {
                        need.largest = slot.iter().position(|t| t == s).unwrap_or(0);
                    }
                }
                Action::Free { slot } => {
                    bytes -= held[*slot as usize] as i128;
                    arrays = arrays.saturating_sub(1);
                }
                Action::Wavefront(wavefront) => {
                    let most = (bytes + wavefront.room() as i128).max(need.bytes as i128);
                    need.bytes = most as usize;
                }
                // (What it takes the place of is given back with it.)
                Action::Reuse { .. } => arrays += 1,
                Action::Launch(_)
                | Action::Calls(_)
                | Action::Team(_)
                | Action::Rowwise(_)
                | Action::Banded(_)
                | Action::Opaque { .. } => {}
            }
        }
        need
    }

    /// Bytes, and the number of arrays that they are.
    #[cfg(test)]
    pub(super) fn most(&self) -> (usize, usize) {
        (self.bytes, self.arrays)
    }

    pub(super) fn is_much(&self) -> bool {
        self.bytes > CHECKED
    }

    /// Whether the plan can run now. Costs nothing worth speaking of where it is small or finds its memory in the pool.
    pub(crate) fn check(&self, plan: &Plan) -> Result<()> {
        match missing(self.bytes) {
            None => Ok(()),
            // Ranks share the arrays, and perhaps their machines: each looks after its own part.
            Some(_) if crate::ranks::active().is_some() => Ok(()),
            Some(room) => Err(self.error(plan, room)),
        }
    }

    #[cold]
    fn error(&self, plan: &Plan, room: usize) -> Error {
        let largest = &plan.buffers[self.largest].ty;
        if self.arrays == 1 || missing(largest.bytes()).is_some() {
            return Error::no_memory(&largest.shape, largest.dtype);
        }
        Error::Memory(format!(
            "Unable to allocate {} for {} arrays at a time, the largest with shape {} and data type {}: there are {}",
            size_text(self.bytes),
            self.arrays,
            shape_text(&largest.shape, ", "),
            largest.dtype.numpy_name(),
            size_text(room)
        ))
    }
}
