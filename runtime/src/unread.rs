//! Outputs that nobody reads, put off until somebody does.
//!
//! A program names what it computes: `error = prob - y` is still there when the loss is asked for, so it is an output of the
//! flush, though the next round throws it away unread. Writing it costs a pass over memory, and what leads to it cannot stay
//! in registers. So each plan remembers what became of its large outputs. Those that were mostly dropped unread are left
//! out of the plan from then on and are *promises* (`Store::promised`): who looks at one after all has it computed, by the
//! same operations on the same inputs, which the promise keeps alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use legate_jit_ir::Graph;
use legate_jit_ir::graph::Op;
use legate_jit_ir::plan::Source;
use parking_lot::Mutex;

use crate::exec::Prepared;
use crate::plan_cache::Stores;
use crate::{Config, Error, Result, Store, Tier};

/// Bytes of an output from which on it is worth a plan of its own not to write it.
const LARGE: usize = if cfg!(test) { 1 << 10 } else { 1 << 18 };
/// Times that an output was dropped unread for each time that it was read.
const MOSTLY: u32 = 4;

static PUT_OFF: AtomicU64 = AtomicU64::new(0);
static MADE: AtomicU64 = AtomicU64::new(0);

/// Outputs that were put off, and those of them that somebody looked at.
pub(crate) fn counters() -> (u64, u64) {
    (PUT_OFF.load(Ordering::Relaxed), MADE.load(Ordering::Relaxed))
}

/// What became of the values of one output.
#[derive(Default)]
pub(crate) struct Fate {
    read: AtomicU32,
    unread: AtomicU32,
}

impl Fate {
    pub(crate) fn note(&self, read: bool) {
        let count = if read { &self.read } else { &self.unread };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn mostly_unread(&self) -> bool {
        let unread = self.unread.load(Ordering::Relaxed);
        unread > 0 && unread >= MOSTLY * self.read.load(Ordering::Relaxed)
    }
}

/// The large outputs of a plan.
pub(crate) struct Late {
    graph: Arc<Graph>,
    config: Config,
    /// (output, what became of it)
    watched: Vec<(usize, Arc<Fate>)>,
    without: Mutex<Option<Arc<Without>>>,
}

/// The plan without some outputs.
struct Without {
    late: Vec<usize>,
    /// For each input, whether a promise needs it.
    needed: Vec<bool>,
    /// None where it would not save memory.
    plan: Option<Prepared>,
}

impl Late {
    /// `None` for a graph without large results.
    pub(crate) fn new(graph: &Graph, config: &Config) -> Option<Late> {
        let is_result = |m: &usize| !matches!(graph.node(graph.outputs[*m]).op, Op::Input(_) | Op::Reshape);
        let alone = |m: &usize| graph.outputs.iter().filter(|o| **o == graph.outputs[*m]).count() == 1;
        let large = |m: &usize| graph.ty(graph.outputs[*m]).bytes() >= LARGE;
        let outputs = 0..graph.outputs.len();
        let watched: Vec<_> =
            outputs.filter(large).filter(is_result).filter(alone).map(|m| (m, Arc::default())).collect();
        // With one output there is nothing else to run the plan for.
        if watched.is_empty() || graph.outputs.len() == 1 || config.tier == Tier::Interp {
            return None;
        }
        Some(Late { graph: Arc::new(graph.clone()), config: config.clone(), watched, without: Mutex::new(None) })
    }

    /// Whether an output was mostly dropped unread.
    pub(crate) fn is_unread(&self, output: usize) -> bool {
        self.watched.iter().any(|(m, fate)| *m == output && fate.mostly_unread())
    }

    /// Begins to watch what a run of the whole plan gave.
    pub(crate) fn watch(&self, outputs: &[Arc<Store>]) {
        for (m, fate) in &self.watched {
            outputs[*m].watch(fate);
        }
    }

    /// The same for one output that somebody else gave.
    pub(crate) fn watch_one(&self, output: usize, store: &Arc<Store>) {
        self.watched.iter().filter(|(m, _)| *m == output).for_each(|(_, fate)| store.watch(fate));
    }

    /// Runs the plan without the outputs that are mostly dropped unread; `None` if there are none.
    pub(crate) fn run(&self, inputs: &[Arc<Store>], scalars: &[[u64; 2]]) -> Result<Option<Stores>> {
        if !self.watched.iter().any(|(_, fate)| fate.mostly_unread()) {
            return Ok(None);
        }
        let late: Vec<usize> = self.watched.iter().filter(|(_, f)| f.mostly_unread()).map(|(m, _)| *m).collect();
        // Nobody writes them while a promise holds them, but for foreign code that shares them.
        let keeps = |input: &Arc<Store>| !input.is_exported() && input.placed() == 0;
        if late.len() == self.graph.outputs.len() || !inputs.iter().all(keeps) {
            return Ok(None);
        }
        let without = self.without(late)?;
        let Some(plan) = &without.plan else { return Ok(None) };
        let mut made = plan.run(inputs, scalars)?.into_iter();
        let start = Arc::new(Start {
            graph: self.graph.clone(),
            config: self.config.clone(),
            inputs: inputs.iter().zip(&without.needed).map(|(input, needed)| needed.then(|| input.clone())).collect(),
            scalars: scalars.to_vec(),
        });
        let late = &without.late;
        let mut stores = Stores::new();
        for (m, output) in self.graph.outputs.iter().enumerate() {
            if !late.contains(&m) {
                stores.extend(made.next());
                continue;
            }
            let start = start.clone();
            let store = Store::promised(self.graph.ty(*output).bytes(), Box::new(move || start.compute(m)));
            stores.push(store);
        }
        PUT_OFF.fetch_add(late.len() as u64, Ordering::Relaxed);
        self.watch(&stores);
        Ok(Some(stores))
    }

    fn without(&self, late: Vec<usize>) -> Result<Arc<Without>> {
        let mut known = self.without.lock();
        if let Some(known) = known.as_ref().filter(|k| k.late == late) {
            return Ok(known.clone());
        }
        let made = Arc::new(self.make(late)?);
        *known = Some(made.clone());
        Ok(made)
    }

    fn make(&self, late: Vec<usize>) -> Result<Without> {
        let graph = &*self.graph;
        let needed = inputs_of(graph, &late);
        // Inputs that the whole plan could overwrite, and that the promises keep.
        let kept: usize = bytes_of_inputs(graph, |n| needed[n] && graph.donated[n]);
        let outputs = graph.outputs.iter().enumerate().filter(|(m, _)| !late.contains(m)).map(|(_, o)| *o).collect();
        let donated = graph.donated.iter().zip(&needed).map(|(donated, needed)| *donated && !needed).collect();
        let rest = Graph { outputs, donated, ..graph.clone() }.without_dead();
        let plan = legate_jit_passes::compile(&rest, &self.config.cx)?;
        let whole = fresh_bytes(&legate_jit_passes::compile(graph, &self.config.cx)?);
        let saves = fresh_bytes(&plan) + kept < whole;
        let plan = if saves { Some(Prepared::new(plan, self.config.tier)?) } else { None };
        Ok(Without { late, needed, plan })
    }
}

fn fresh_bytes(plan: &legate_jit_ir::Plan) -> usize {
    plan.buffers.iter().filter(|b| b.source == Source::Fresh).map(|b| b.ty.bytes()).sum()
}

fn bytes_of_inputs(graph: &Graph, counts: impl Fn(usize) -> bool) -> usize {
    graph
        .nodes
        .iter()
        .filter(|node| matches!(node.op, Op::Input(n) if counts(n as usize)))
        .map(|node| node.ty.bytes())
        .sum()
}

/// Which inputs some outputs are computed from.
fn inputs_of(graph: &Graph, outputs: &[usize]) -> Vec<bool> {
    let mut live = vec![false; graph.nodes.len()];
    outputs.iter().for_each(|m| live[graph.outputs[*m].index()] = true);
    let mut inputs = vec![false; graph.donated.len()];
    for (i, node) in graph.nodes.iter().enumerate().rev() {
        if live[i] {
            if let Op::Input(n) = node.op {
                inputs[n as usize] = true;
            }
            node.args.iter().for_each(|a| live[a.index()] = true);
        }
    }
    inputs
}

/// From what the promised outputs of a run can be computed.
struct Start {
    graph: Arc<Graph>,
    config: Config,
    /// Those that are needed.
    inputs: Vec<Option<Arc<Store>>>,
    scalars: Vec<[u64; 2]>,
}

impl Start {
    fn compute(&self, m: usize) -> Result<Arc<Store>> {
        MADE.fetch_add(1, Ordering::Relaxed);
        let graph = &*self.graph;
        let only =
            Graph { outputs: vec![graph.outputs[m]], donated: vec![false; graph.donated.len()], ..graph.clone() };
        let plan = legate_jit_passes::compile(&only.without_dead(), &self.config.cx)?;
        let nothing = Store::alloc(0)?;
        let inputs: Vec<Arc<Store>> =
            self.inputs.iter().map(|input| input.as_ref().unwrap_or(&nothing).clone()).collect();
        let mut stores = Prepared::new(plan, self.config.tier)?.run(&inputs, &self.scalars)?;
        stores.pop().ok_or_else(|| Error::Runtime("a plan gave no output".into()))
    }
}
