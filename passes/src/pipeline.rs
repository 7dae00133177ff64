//! The passes, in the order in which they run. Dumps, timings and the headers of file tests look names up here.
//!
//! How to add a pass: a function in a file of its own, and a line in [`PASSES`]. It may rely on what the one before leaves (each
//! file says it at the top) and must leave a valid graph or plan, which is verified between passes in tests and debug builds.

use legate_jit_ir::{Error, Graph, Plan, Result, verify};

use crate::cx::{Cx, Level, Look};
use crate::{canonicalize, fuse, rewrite, schedule, stencil, unfold};

/// Lines for a dump's header.
pub type Notes = Vec<String>;

/// What a pass does to what.
pub enum Run {
    Graph(fn(&Graph, &Cx) -> Result<(Graph, Notes)>),
    /// From the graph to the plan.
    Cut(fn(&Graph, &Cx) -> Result<(Plan, Notes)>),
    Plan(fn(&Graph, Plan, &Cx) -> Result<Plan>),
}

pub struct Pass {
    /// Also the stage's name in dumps and the folder of its file tests.
    pub name: &'static str,
    pub about: &'static str,
    pub run: Run,
}

/// All passes. `canonicalize` comes first because the others rely on its form; `rewrite` leaves that form again.
pub static PASSES: &[Pass] = &[
    Pass {
        name: "canonicalize",
        about: "dead and equal nodes gone, views composed, constants folded",
        run: Run::Graph(|graph, cx| Ok((canonicalize::canonicalize(graph, cx)?, Vec::new()))),
    },
    Pass {
        name: "rewrite",
        about: "the cheapest of all forms that the rules lead to",
        run: Run::Graph(|graph, cx| {
            let (graph, fired) = rewrite::rewrite(graph, cx)?;
            Ok((graph, fired.iter().map(|(rule, times)| format!("{rule} ×{times}")).collect()))
        }),
    },
    // What the rules see are reductions and products; `fuse` has no better place for a short one than a kernel's body.
    Pass {
        name: "unfold",
        about: "short reductions are chains of operations, products of computed matrices are sums",
        run: Run::Graph(unfold::unfold),
    },
    Pass {
        name: "fuse",
        about: "cut into launches: what is computed in one pass over memory",
        run: Run::Cut(|graph, cx| {
            // Finding stencils is only for those who look.
            let notes = if cx.hook.is_some() { stencil::notes(graph) } else { Vec::new() };
            Ok((fuse::fuse(graph)?, notes))
        }),
    },
    Pass {
        name: "schedule",
        about: "every buffer has its memory, and gives it back",
        run: Run::Plan(|graph, plan, _| schedule::schedule(graph, plan)),
    },
];

/// Runs all passes.
pub fn compile(graph: &Graph, cx: &Cx) -> Result<Plan> {
    check(cx, "capture", Level::Graph(graph))?;
    look(cx, 0, "capture", "the graph as recorded", &[], Level::Graph(graph));
    let mut state = State { graph: graph.clone(), plan: None };
    for (i, pass) in PASSES.iter().enumerate() {
        let notes = state.run(pass, cx)?;
        check(cx, pass.name, state.level())?;
        look(cx, i + 1, pass.name, pass.about, &notes, state.level());
    }
    Ok(state.plan.expect("the pipeline ends with a plan"))
}

/// What the pipeline has so far: always the latest graph, and the plan once it is cut.
pub struct State {
    pub graph: Graph,
    pub plan: Option<Plan>,
}

impl State {
    /// One pass; its notes come back. Plan passes need the plan to be there.
    pub fn run(&mut self, pass: &Pass, cx: &Cx) -> Result<Notes> {
        let notes = match pass.run {
            Run::Graph(f) => {
                let (graph, notes) = f(&self.graph, cx)?;
                self.graph = graph;
                notes
            }
            Run::Cut(f) => {
                let (plan, notes) = f(&self.graph, cx)?;
                self.plan = Some(plan);
                notes
            }
            Run::Plan(f) => {
                let plan = self.plan.take().expect("a plan pass comes after the cut");
                self.plan = Some(f(&self.graph, plan, cx)?);
                Vec::new()
            }
        };
        Ok(notes)
    }

    pub fn level(&self) -> Level<'_> {
        match &self.plan {
            Some(plan) => Level::Plan(plan),
            None => Level::Graph(&self.graph),
        }
    }
}

/// In tests and debug builds: what a pass left is valid.
fn check(cx: &Cx, name: &str, level: Level) -> Result<()> {
    if !cx.verify {
        return Ok(());
    }
    let checked = match level {
        Level::Graph(graph) => verify::graph(graph),
        Level::Plan(plan) => verify::plan(plan),
    };
    checked.map_err(|e| Error::Invalid(format!("after {name}: {e}")))
}

fn look(cx: &Cx, number: usize, name: &'static str, about: &'static str, notes: &[String], level: Level) {
    if let Some(hook) = &cx.hook {
        hook(&Look { number, name, about, notes, level });
    }
}

/// The pass of this name.
pub fn pass(name: &str) -> Option<&'static Pass> {
    PASSES.iter().find(|p| p.name == name)
}
