//! The instruction sets that the library has variants for, and the one this machine gets.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// From the narrowest to the widest. `Base` has no FMA, and its results differ in the last place from the other two, which
/// agree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Isa {
    Base,
    Avx2,
    Avx512,
}

/// True where `x * y + z` rounded once is one instruction. Cheap enough to ask for every element.
#[inline(always)]
pub fn fuses() -> bool {
    // 0 until it is known.
    static FUSES: AtomicU8 = AtomicU8::new(0);
    match FUSES.load(Ordering::Relaxed) {
        0 => {
            let fuses = isa() >= Isa::Avx2;
            FUSES.store(1 + fuses as u8, Ordering::Relaxed);
            fuses
        }
        known => known == 2,
    }
}

/// The best instruction set of this machine.
pub fn isa() -> Isa {
    static ISA: OnceLock<Isa> = OnceLock::new();
    *ISA.get_or_init(|| {
        if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
            Isa::Base
        } else if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
        {
            Isa::Avx512
        } else {
            Isa::Avx2
        }
    })
}
