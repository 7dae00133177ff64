//! Cuts a graph into launches: which values get memory, which are computed where they are used, and what runs in one pass.
//!
//! Before: a canonical graph. After: a plan whose buffers are all fresh (or inputs, aliases and in-place updates), in an
//! order that can run; `schedule` then reuses and frees memory.
//!
//! The words used here: a *root* is a value that gets a buffer; every other value is inlined into its users, through whatever
//! views lie between. A *task* computes one root or one reduction over an iteration space. A *launch* is a set of tasks over
//! the same space that one pass can compute.
//!
//! Roots are found by a fixpoint: start with those that must be (outputs, operands of opaque operations), form launches, and
//! make a value a root where computing it again would cost more than writing and reading it. What that costs depends on where the
//! value lies meanwhile: for a few sweeps over large arrays there is a second plan, which computes more again, and the cheaper
//! one is taken (`price`).

mod body;
mod cluster;
mod cuts;
mod joined;
mod pack;
mod price;
mod roots;
mod tasks;
#[cfg(test)]
mod tests;
mod unseen;

use legate_jit_ir::graph::{Graph, Op};
use legate_jit_ir::plan::{Buffer, BufferId, Operand, Plan, Source, Step};
use legate_jit_ir::shape::Shape;
use legate_jit_ir::{Error, Result, Value, View};

use cuts::Cuts;
use roots::{Roots, STORE_AND_LOAD, STORE_AND_LOAD_FAR};
use tasks::Tasks;

/// Rounds of the fixpoint; each makes at least one more value a root, so the bound only guards against our own mistakes.
const MAX_ROUNDS: usize = 10_000;
/// How much more one plan must cost than another that computes more values again: prices are rough.
const MUCH_BETTER: f64 = 1.3;

/// See the module's documentation.
pub fn fuse(graph: &Graph) -> Result<Plan> {
    let packed = pack::pack(graph);
    let graph = packed.as_ref().unwrap_or(graph);
    let plan = fuse_with(graph, STORE_AND_LOAD)?;
    // What fits the caches, and the sweeps of a long loop, which run as one, want little work done twice. A few sweeps over large
    // arrays may want much of it.
    if !price::may_do_with_less(&plan) {
        return Ok(plan);
    }
    let other = fuse_with(graph, STORE_AND_LOAD_FAR)?;
    let cheaper = price::price(&other) as f64 * MUCH_BETTER < price::price(&plan) as f64;
    Ok(if cheaper { other } else { plan })
}

/// The plan in which writing a value and reading it back is worth so much work.
fn fuse_with(graph: &Graph, worth: u64) -> Result<Plan> {
    let mut roots = Roots::new(graph, worth, Cuts::default());
    for _ in 0..MAX_ROUNDS {
        let tasks = Tasks::new(graph, &roots);
        let (launches, full) = cluster::cluster(graph, &tasks, &roots.cuts);
        if full.iter().filter(|shape| roots.cuts.add(graph, shape)).count() > 0 {
            roots = Roots::new(graph, worth, roots.cuts);
            continue;
        }
        if roots.add_recomputed(graph, &tasks, &launches) {
            continue;
        }
        match build(graph, &roots, &tasks, &launches) {
            Ok(mut plan) => {
                unseen::leave_out(&mut plan);
                return Ok(plan);
            }
            Err(Obstacle::TooLong(shape)) => {
                roots.cuts.add(graph, &shape);
                roots = Roots::new(graph, worth, roots.cuts);
            }
            Err(Obstacle::NeedsRoot(values)) => {
                let before = roots.count();
                values.into_iter().for_each(|v| roots.add(graph, v));
                if roots.count() == before {
                    return Err(Error::Invalid(format!("fuse makes no progress on graph {}", graph.name)));
                }
            }
        }
    }
    Err(Error::Invalid(format!("fuse does not end on graph {}", graph.name)))
}

/// Why a launch could not be built with the present roots.
enum Obstacle {
    /// These values cannot be inlined as they are used.
    NeedsRoot(Vec<Value>),
    /// A body over this shape is too long, even with its rounds as loops.
    TooLong(Shape),
}

/// The buffer of each value that has one, and the plan as it grows.
struct Builder<'a> {
    graph: &'a Graph,
    roots: &'a Roots,
    tasks: &'a Tasks,
    plan: Plan,
    buffer: Vec<Option<BufferId>>,
    kernels: rustc_hash::FxHashMap<legate_jit_ir::Kernel, u32>,
}

fn build(graph: &Graph, roots: &Roots, tasks: &Tasks, launches: &[cluster::Group]) -> Result<Plan, Obstacle> {
    let mut b = Builder {
        graph,
        roots,
        tasks,
        plan: Plan { name: graph.name.clone(), ..Plan::default() },
        buffer: vec![None; graph.nodes.len()],
        kernels: Default::default(),
    };
    for node in &graph.nodes {
        if let Op::Scalar(n) = node.op {
            let n = n as usize;
            if b.plan.scalars.len() <= n {
                b.plan.scalars.resize(n + 1, node.ty.dtype);
            }
            b.plan.scalars[n] = node.ty.dtype;
        }
    }
    for (i, node) in graph.nodes.iter().enumerate() {
        if let Op::Input(n) = node.op {
            b.new_buffer(Value(i as u32), Source::Input(n));
        }
    }
    for group in launches {
        match group {
            cluster::Group::Launch { tasks, .. } => b.launch(tasks)?,
            cluster::Group::Opaque(v) => b.opaque(*v),
            cluster::Group::Reshape(v) => {
                let of = b.buffer_of(graph.node(*v).args[0]);
                b.new_buffer(*v, Source::Alias(of));
            }
        }
    }
    b.plan.outputs = graph.outputs.iter().map(|&o| b.buffer_of(o)).collect();
    Ok(b.plan)
}

impl Builder<'_> {
    fn new_buffer(&mut self, v: Value, source: Source) -> BufferId {
        let id = BufferId(self.plan.buffers.len() as u32);
        self.plan.buffers.push(Buffer { ty: self.graph.ty(v).clone(), source });
        self.buffer[v.index()] = Some(id);
        id
    }

    fn buffer_of(&self, v: Value) -> BufferId {
        self.buffer[v.index()].expect("a root is computed before it is used")
    }

    fn opaque(&mut self, v: Value) {
        let node = self.graph.node(v);
        let Op::Opaque(op) = &node.op else { unreachable!("cluster made an opaque group of {:?}", node.op) };
        let args = node
            .args
            .iter()
            .map(|&a| {
                let shape = &self.graph.ty(a).shape;
                let (root, view) = self.roots.through_views(self.graph, a, View::identity(shape));
                Operand { buffer: self.buffer_of(root), view }
            })
            .collect();
        let out = self.new_buffer(v, Source::Fresh);
        self.plan.steps.push(Step::Opaque { op: op.clone(), args, out });
    }
}
