//! What the processor notes of floating-point operations: the exceptions that NumPy warns of.
//!
//! A boundary file: it reads and writes a register of the processor.

/// What NumPy warns of: an invalid operation, a division by zero, an overflow.
#[cfg(target_arch = "x86_64")]
const EXCEPTIONS: u32 = 0b1101;

#[cfg(target_arch = "x86_64")]
pub(super) fn clear_flags() {
    let now = control() & !0b11_1111;
    // SAFETY: the register as it was, but for the flags of what happened.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const now, options(nostack)) };
}

/// Whether an operation since `clear_flags` is one that NumPy warns of.
#[cfg(target_arch = "x86_64")]
pub(super) fn flagged() -> bool {
    control() & EXCEPTIONS != 0
}

#[cfg(target_arch = "x86_64")]
fn control() -> u32 {
    let mut now = 0u32;
    // SAFETY: it writes to the number.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut now, options(nostack)) };
    now
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn clear_flags() {}

/// Nothing is known of what happened, so Python does every round.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn flagged() -> bool {
    true
}
