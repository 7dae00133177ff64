//! What running a plan costs, roughly: for the choice between plans of one graph.
//!
//! Sweeps over large arrays are worked off as one run where that is possible, so each array comes from memory once, and every launch
//! pays for its arithmetic or for what it takes from the near caches, whichever is more.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::plan::{BufferId, Launch, Plan, Source, Step, Target};
use legate_jit_ir::shape::size;
use legate_jit_ir::{Kernel, Ufunc};
use rustc_hash::FxHashSet;

use crate::cost;

/// What a byte costs, in tenths of the addition of a vector's share of an f64: from memory, and from the second-level cache. A core
/// adds sixteen f64 a cycle, gets some seven bytes from memory and some twenty-five from that cache.
const FROM_MEMORY: u64 = 20;
const FROM_CACHE: u64 = 7;
/// An operation, or a load or a store of a whole vector.
const OPERATION: u64 = 10;
/// Operations that a quotient or a root takes as long as.
const SLOW: u64 = 24;

/// Arrays that are all smaller together stay in the caches.
const IN_CACHE: u64 = 2 << 20;
/// An array between two launches that is worth doing without.
const LARGE: usize = 256 << 10;
/// More launches than these are a loop over time, of which a run of sweeps takes more together than recomputation could.
const MANY_LAUNCHES: usize = 8;

/// Whether another plan of the graph may be much better for having fewer arrays between its launches.
pub fn may_do_with_less(plan: &Plan) -> bool {
    let launches = launches(plan).filter(|launch| size(&launch.domain) > 1).count();
    (2..=MANY_LAUNCHES).contains(&launches) && between(plan).next().is_some()
}

/// The large arrays that are only there for later launches.
fn between(plan: &Plan) -> impl Iterator<Item = BufferId> {
    let ids = (0..plan.buffers.len() as u32).map(BufferId);
    ids.filter(|&b| plan.buffer(b).source == Source::Fresh && plan.buffer(b).ty.bytes() >= LARGE)
        .filter(|b| !plan.outputs.contains(b))
}

fn launches(plan: &Plan) -> impl Iterator<Item = &Launch> {
    plan.steps.iter().filter_map(|step| match step {
        Step::Launch(launch) => Some(launch),
        Step::Opaque { .. } | Step::Free(_) => None,
    })
}

/// The price of a plan's launches.
pub fn price(plan: &Plan) -> u64 {
    let mut touched = FxHashSet::default();
    let mut work = 0u64;
    for launch in launches(plan) {
        let here: FxHashSet<BufferId> = buffers(launch).collect();
        let bytes = here.iter().map(|&b| plan.buffer(b).ty.bytes() as u64).sum::<u64>();
        let body = |k: u32| of_body(&plan.kernels[k as usize]);
        let arithmetic: u64 = launch.pieces.iter().map(|p| points(&p.lo, &p.hi).saturating_mul(body(p.kernel))).sum();
        work = work.saturating_add(arithmetic.max(bytes * FROM_CACHE));
        touched.extend(here);
    }
    let bytes: u64 = touched.iter().map(|&b| plan.buffer(b).ty.bytes() as u64).sum();
    work.saturating_add(bytes * if bytes > IN_CACHE { FROM_MEMORY } else { FROM_CACHE })
}

fn buffers(launch: &Launch) -> impl Iterator<Item = BufferId> {
    launch.targets.iter().filter_map(|target| match target {
        Target::Buffer(operand) => Some(operand.buffer),
        Target::Stream(_) => None,
    })
}

fn points(lo: &[usize], hi: &[usize]) -> u64 {
    lo.iter().zip(hi).map(|(l, h)| h.saturating_sub(*l) as u64).product()
}

/// A point of a kernel. Its widest element fills a vector.
fn of_body(kernel: &Kernel) -> u64 {
    let insts = &kernel.body.insts;
    let of_inst = |op: &Op| match op {
        Op::Map(Ufunc::Divide | Ufunc::Sqrt, _) => SLOW,
        Op::Map(ufunc, args) => cost::work(*ufunc, insts[args[0].0 as usize].dtype),
        Op::Cast(_) => 1,
        Op::Load(_) | Op::Scalar(_) | Op::Const(_) | Op::Index(_) => 0,
    };
    let operations = insts.iter().map(|i| of_inst(&i.op)).sum::<u64>() + kernel.accesses.len() as u64;
    let in_memory = kernel.accesses.iter().map(|a| a.dtype.size());
    let widest = insts.iter().map(|i| i.dtype.size()).chain(in_memory).max().unwrap_or(8).min(8) as u64;
    operations * OPERATION * widest / 8
}
