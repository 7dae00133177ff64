//! What the passes may know besides the graph: settings as values, and the hook through which dumps and timings look in.
//! Only the outermost layer reads environment variables; it fills this in.

use std::fmt;
use std::sync::Arc;

use legate_jit_ir::{Graph, Plan};

/// Which rewrites are allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Math {
    /// Only what keeps every bit.
    #[default]
    Exact,
    /// Reassociation, contraction and the like.
    Relaxed,
}

/// Bounds of equality saturation. They are counts, never times, so that every rank reaches the same program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// E-nodes for each node of the graph, beyond a fixed number that small graphs always get.
    pub nodes_per_node: usize,
    pub nodes_base: usize,
    /// Matches of rules that are looked at, all rounds together.
    pub matches_per_node: usize,
    pub matches_base: usize,
    /// Rounds of matching.
    pub iterations: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { nodes_per_node: 4, nodes_base: 500, matches_per_node: 6, matches_base: 2000, iterations: 8 }
    }
}

/// What a pass left behind.
#[derive(Clone, Copy)]
pub enum Level<'a> {
    Graph(&'a Graph),
    Plan(&'a Plan),
}

/// One look at the pipeline: after a pass, or before the first one (`name` is then "capture").
pub struct Look<'a> {
    /// Position in the pipeline; 0 is the graph as captured.
    pub number: usize,
    pub name: &'static str,
    pub about: &'static str,
    /// Lines for a dump's header: what was done, how often.
    pub notes: &'a [String],
    pub level: Level<'a>,
}

/// Sees every stage.
pub type Hook = Arc<dyn Fn(&Look) + Send + Sync>;

/// The context of a compilation.
#[derive(Clone)]
pub struct Cx {
    pub math: Math,
    pub limits: Limits,
    /// Check the invariants of each level between passes.
    pub verify: bool,
    pub hook: Option<Hook>,
}

impl Default for Cx {
    fn default() -> Cx {
        Cx { math: Math::Exact, limits: Limits::default(), verify: cfg!(debug_assertions), hook: None }
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_struct("Cx")
            .field("math", &self.math)
            .field("limits", &self.limits)
            .field("verify", &self.verify)
            .field("hook", &self.hook.is_some())
            .finish()
    }
}
