//! Puts objects into executable memory of this process, and resolves what they call.
//!
//! This takes some 20 µs and nothing of LLVM, so that a process that finds its kernels in the cache never starts LLVM at all.

use std::ptr;

use legate_jit_ir::kernel::KernelFn;

use crate::calls::Call;
use crate::elf::{self, Image};
use crate::{Error, Object, Result};

/// Code that is in memory and can be called. Its memory goes when this does.
pub struct Loaded {
    start: *mut libc::c_void,
    bytes: usize,
    entry: *const (),
}

// SAFETY: the memory is never written once it is made; it is unmapped when this is dropped, and only then.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

impl Loaded {
    /// The function of a kernel. It must not be called after `self` is gone.
    pub fn entry(&self) -> KernelFn {
        // SAFETY: `lower` gives every kernel this type. (That of a nest is asked for by `Slot::nest` alone.)
        unsafe { std::mem::transmute::<*const (), KernelFn>(self.entry) }
    }

    /// Where the code begins.
    pub(crate) fn address(&self) -> *const () {
        self.entry
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: the mapping belongs to this value alone.
        unsafe { libc::munmap(self.start, self.bytes) };
    }
}

/// Address space that a compilation surely has enough of.
const ROOM: usize = 128 << 20;

/// Whether the process may have the memory that a compilation needs: LLVM ends the process where it gets none.
pub fn has_room_to_compile() -> bool {
    let (flags, none) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, -1);
    // SAFETY: a new mapping that nobody uses, and that is gone at once.
    unsafe {
        let start = libc::mmap(ptr::null_mut(), ROOM, libc::PROT_NONE, flags, none, 0);
        start != libc::MAP_FAILED && libc::munmap(start, ROOM) == 0
    }
}

/// Puts an object's code into memory.
pub fn load(object: &Object) -> Result<Loaded> {
    let Image { mut bytes, entry, outside } = elf::lay_out(&object.bytes, &object.name)?;
    for (name, slot) in outside {
        let address = object.calls.contains(&name).then(|| Call::parse(&name).and_then(Call::address)).flatten();
        let address = address.ok_or_else(|| Error::Llvm(format!("this machine has no function '{name}'")))?;
        bytes[slot..slot + 8].copy_from_slice(&(address as u64).to_le_bytes());
    }
    // SAFETY: the mapping is new and at least as long as what is copied into it; it can be written until it can be executed;
    // the entry lies inside it.
    unsafe {
        let (read_write, none) = (libc::PROT_READ | libc::PROT_WRITE, -1);
        let start =
            libc::mmap(ptr::null_mut(), bytes.len(), read_write, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, none, 0);
        if start == libc::MAP_FAILED {
            return Err(Error::Llvm(format!("no memory for code: {}", std::io::Error::last_os_error())));
        }
        ptr::copy_nonoverlapping(bytes.as_ptr(), start.cast::<u8>(), bytes.len());
        if libc::mprotect(start, bytes.len(), libc::PROT_READ | libc::PROT_EXEC) != 0 {
            let why = std::io::Error::last_os_error();
            libc::munmap(start, bytes.len());
            return Err(Error::Llvm(format!("memory that cannot be made executable: {why}")));
        }
        let entry = start.cast::<u8>().add(entry).cast_const().cast();
        Ok(Loaded { start, bytes: bytes.len(), entry })
    }
}
