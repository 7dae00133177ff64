//! What processor code is made for.
//!
//! A CPU target is one of the x86-64 levels, because those are what an object can need: every machine of the level runs it,
//! so a cache may be shared between machines. The model of the processor only tunes.

use std::fmt;

use crate::{Error, Result};

/// The instruction set levels of x86-64, narrowest first. The first level lacks rounding and is older than any machine worth
/// compiling for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    V2,
    V3,
    V4,
}

impl Level {
    pub const ALL: [Level; 3] = [Level::V2, Level::V3, Level::V4];

    /// LLVM's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Level::V2 => "x86-64-v2",
            Level::V3 => "x86-64-v3",
            Level::V4 => "x86-64-v4",
        }
    }

    /// Bytes of the widest vector.
    pub const fn vector_bytes(self) -> u32 {
        match self {
            Level::V2 => 16,
            Level::V3 => 32,
            Level::V4 => 64,
        }
    }

    /// True where loads and stores of part of a vector are single instructions for every element type.
    pub const fn masks(self) -> bool {
        matches!(self, Level::V4)
    }

    fn host() -> Option<Level> {
        let v2 = is_x86_feature_detected!("sse4.2") && is_x86_feature_detected!("popcnt");
        let v3 = v2
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("f16c")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("movbe");
        let v4 = v3
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        let level = match (v2, v3, v4) {
            (_, _, true) => Level::V4,
            (_, true, _) => Level::V3,
            (true, _, _) => Level::V2,
            _ => return None,
        };
        Some(level)
    }
}

/// A processor to compile for.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct CpuTarget {
    pub level: Level,
    /// LLVM's name of the processor whose costs steer instruction selection, or empty.
    pub tune: String,
}

/// Processors with a name, and their level: what `named` takes besides the levels.
const MODELS: &[(&str, Level)] = &[
    ("nehalem", Level::V2),
    ("sandybridge", Level::V2),
    ("ivybridge", Level::V2),
    ("haswell", Level::V3),
    ("broadwell", Level::V3),
    ("skylake", Level::V3),
    ("alderlake", Level::V3),
    ("arrowlake", Level::V3),
    ("znver1", Level::V3),
    ("znver2", Level::V3),
    ("znver3", Level::V3),
    ("skylake-avx512", Level::V4),
    ("cascadelake", Level::V4),
    ("icelake-client", Level::V4),
    ("icelake-server", Level::V4),
    ("tigerlake", Level::V4),
    ("sapphirerapids", Level::V4),
    ("emeraldrapids", Level::V4),
    ("graniterapids", Level::V4),
    ("znver4", Level::V4),
    ("znver5", Level::V4),
];

impl CpuTarget {
    /// This machine; None where it is older than all levels (then nothing is compiled, the prebuilt loops do all).
    pub fn host() -> Option<CpuTarget> {
        Some(CpuTarget { level: Level::host()?, tune: crate::llvm::host_cpu_name() })
    }

    /// A level (`x86-64-v3`) or a processor (`znver4`).
    pub fn named(name: &str) -> Result<CpuTarget> {
        if let Some(level) = Level::ALL.into_iter().find(|l| l.name() == name) {
            return Ok(CpuTarget { level, tune: String::new() });
        }
        if let Some(&(_, level)) = MODELS.iter().find(|m| m.0 == name) {
            return Ok(CpuTarget { level, tune: name.to_string() });
        }
        let known: Vec<&str> = Level::ALL.iter().map(|l| l.name()).chain(MODELS.iter().map(|m| m.0)).collect();
        Err(Error::Target(format!("unknown processor '{name}'; known are {}", known.join(", "))))
    }

    /// Bytes of the vectors that pay on this processor, for bodies that are bound by arithmetic (or call the vector math
    /// library) or not. Some processors have 512-bit instructions but load 256 bits at a time (and then wait longer where a
    /// vector lies across cache lines), or clock lower for them: a stencil in the first-level cache runs 1.2 times as fast on a
    /// Zen 4 with 256 bits. But a call costs the same for twice the lanes, and half as many instructions leave room for those
    /// that wait: a chain of 20 operations with a root and a division takes 1.48 ns a point with 256 bits and 0.97 with 512,
    /// which is what the root and the division take alone; these two alone 0.96 and 0.89. The instructions' masks are used all the same.
    pub fn vector_bytes(&self, arithmetic: bool) -> u32 {
        match self.tune.as_str() {
            "znver4" | "skylake-avx512" | "cascadelake" if !arithmetic => 32,
            _ => self.level.vector_bytes(),
        }
    }

    /// Operations and accesses for each division that hide what it takes, where the divider is that quick: four doubles in less than
    /// five cycles, with everything else going on meanwhile. (Emerald Rapids takes twice as long for as many.)
    pub fn work_beside_a_division(&self) -> Option<u32> {
        (self.tune == "znver4").then_some(4)
    }

    /// True where this machine can run code for the target.
    pub fn runs_here(&self) -> bool {
        Level::host().is_some_and(|host| self.level <= host)
    }
}

impl fmt::Display for CpuTarget {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.level.name())?;
        if !self.tune.is_empty() {
            write!(f, " tuned for {}", self.tune)?;
        }
        Ok(())
    }
}
