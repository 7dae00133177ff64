//! What can be set. Plain data: the front end reads the environment and hands the values in.

use legate_jit_ir::DType;

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

/// NumPy's casting rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Casting {
    No,
    Equiv,
    Safe,
    SameKind,
    Unsafe,
}

impl Casting {
    pub const fn name(self) -> &'static str {
        match self {
            Casting::No => "no",
            Casting::Equiv => "equiv",
            Casting::Safe => "safe",
            Casting::SameKind => "same_kind",
            Casting::Unsafe => "unsafe",
        }
    }

    pub fn parse(name: &str) -> Option<Casting> {
        [Casting::No, Casting::Equiv, Casting::Safe, Casting::SameKind, Casting::Unsafe]
            .into_iter()
            .find(|c| c.name() == name)
    }

    /// `np.can_cast`.
    pub fn allows(self, from: DType, to: DType) -> bool {
        match self {
            Casting::No | Casting::Equiv => from == to,
            Casting::Safe => crate::promote::promote(from, to) == to,
            Casting::SameKind => {
                crate::promote::promote(from, to) == to || crate::promote::rank(from) <= crate::promote::rank(to)
            }
            Casting::Unsafe => true,
        }
    }
}
