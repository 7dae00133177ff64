//! What can be set. Plain data: the front end reads the environment and hands the values in.

use legate_jit_passes::Cx;

/// What runs a plan. Which one does never changes the bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tier {
    /// The prebuilt loops at once, compiled kernels as soon as they are there.
    #[default]
    Auto,
    /// The prebuilt loops alone.
    Vm,
    /// Compiled kernels; the first run of each waits for the compiler.
    Compiled,
    /// The reference interpreter runs the recorded graph: slow, a witness for tests.
    Interp,
}

#[derive(Clone, Debug)]
pub struct Config {
    pub tier: Tier,
    /// A trace of so many records is run.
    pub max_records: usize,
    /// A trace is run when stores have grown by this much since the last flush.
    pub max_new_bytes: usize,
    /// Whether several rounds of a loop that asks for a value in each are computed at once, and results that are never read put
    /// off.
    pub ahead: bool,
    /// Whether small operations on what is in memory are done at once, without being recorded (only in `Tier::Auto`).
    pub inline: bool,
    /// Whether rounds that do the same at other places are run together.
    pub batch: bool,
    /// Plans are made, and run only where a value is asked for.
    pub plan_only: bool,
    /// Settings of the passes, and the hook of the dumps.
    pub cx: Cx,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            tier: Tier::Auto,
            max_records: 1000,
            max_new_bytes: 256 << 20,
            ahead: true,
            inline: true,
            batch: true,
            plan_only: false,
            cx: Cx::default(),
        }
    }
}
