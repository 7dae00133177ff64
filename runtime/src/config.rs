//! What can be set. Plain data: the front end reads the environment and hands the values in.

/// What runs a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tier {
    /// Plans, kernels and the thread pool.
    #[default]
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
}

impl Default for Config {
    fn default() -> Config {
        Config { tier: Tier::Compiled, max_records: 1000, max_new_bytes: 256 << 20 }
    }
}
