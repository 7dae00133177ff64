//! Gives every buffer its memory: results take over operands that die at the same point, and memory is freed after its last
//! use.
//!
//! Before: buffers are inputs, fresh, aliases, or in-place updates. After: some fresh ones have become `TakeOver`, and a
//! `Free` follows the last step that uses each memory which is neither an output nor a kept input.

use legate_jit_ir::graph::Graph;
use legate_jit_ir::plan::{BufferId, Launch, Plan, Source, Step, Target};
use legate_jit_ir::{Result, Type, View};

/// Results take over memory that is larger than they are by so much of it at most, and of so many bytes at least.
const LARGER: usize = 8;
const WORTH_SHARING: usize = 64 << 10;
/// How many of the buffers computed last are looked at for memory to take over.
const LOOK_BACK: usize = 64;

/// See the module's documentation.
pub fn schedule(graph: &Graph, mut plan: Plan) -> Result<Plan> {
    take_over(graph, &mut plan);
    insert_frees(graph, &mut plan);
    Ok(plan)
}

/// The buffer that first held the memory of each buffer.
pub fn memories(plan: &Plan) -> Vec<BufferId> {
    let mut memory: Vec<BufferId> = Vec::with_capacity(plan.buffers.len());
    for (i, buffer) in plan.buffers.iter().enumerate() {
        memory.push(match buffer.source {
            Source::Input(_) | Source::Fresh => BufferId(i as u32),
            Source::TakeOver(of) | Source::Alias(of) => memory[of.0 as usize],
        });
    }
    memory
}

/// The buffers that a step reads or writes.
pub fn uses(step: &Step) -> Vec<BufferId> {
    match step {
        Step::Launch(launch) => launch
            .targets
            .iter()
            .filter_map(|t| match t {
                Target::Buffer(operand) => Some(operand.buffer),
                Target::Stream(_) => None,
            })
            .chain(launch.streams.iter().map(|s| s.out))
            .collect(),
        Step::Opaque { args, out, .. } => args.iter().map(|a| a.buffer).chain([*out]).collect(),
        Step::Free(_) => Vec::new(),
    }
}

/// For each memory, the last step that uses it; `usize::MAX` where it outlives the plan.
fn last_uses(graph: &Graph, plan: &Plan, memory: &[BufferId]) -> Vec<usize> {
    let mut last = vec![0; plan.buffers.len()];
    for (s, step) in plan.steps.iter().enumerate() {
        for b in uses(step) {
            last[memory[b.0 as usize].0 as usize] = s;
        }
    }
    for (i, buffer) in plan.buffers.iter().enumerate() {
        if let Source::Input(n) = buffer.source
            && !graph.donated.get(n as usize).copied().unwrap_or(false)
        {
            last[i] = usize::MAX;
        }
    }
    for out in &plan.outputs {
        last[memory[out.0 as usize].0 as usize] = usize::MAX;
    }
    last
}

fn take_over(graph: &Graph, plan: &mut Plan) {
    let mut memory = memories(plan);
    let mut last = last_uses(graph, plan, &memory);
    let mut first = first_uses(plan, &memory);
    for s in 0..plan.steps.len() {
        let Step::Launch(launch) = &plan.steps[s] else { continue };
        let outs: Vec<BufferId> = launch
            .targets
            .iter()
            .filter_map(|t| match t {
                Target::Buffer(o)
                    if plan.buffer(o.buffer).source == Source::Fresh
                        && memory[o.buffer.0 as usize] == o.buffer
                        && o.view.is_identity(&plan.buffer(o.buffer).ty.shape)
                        && launch.domain == plan.buffer(o.buffer).ty.shape
                        && writes(plan, launch, o.buffer) =>
                {
                    Some(o.buffer)
                }
                _ => None,
            })
            .collect();
        for out in outs {
            let Step::Launch(launch) = &plan.steps[s] else { unreachable!("it was one above") };
            let ty = &plan.buffer(out).ty;
            // Buffers are numbered in the order of computation, so whoever can be taken over has a smaller number.
            let fits = |b: BufferId| {
                let from = plan.buffer(b);
                let home = memory[b.0 as usize];
                let same = from.ty.bytes() == ty.bytes();
                home != out
                    && (same || !plan.outputs.contains(&out) && is_within(ty, &plan.buffer(home).ty))
                    && from.ty.dtype.size() == ty.dtype.size()
                    && (last[home.0 as usize] < s && first[home.0 as usize] < s
                        || last[home.0 as usize] == s && read_only_in_place(plan, launch, &memory, home))
            };
            // What dies here is in cache; what died last before is next best.
            let taken = (0..out.0)
                .rev()
                .take(LOOK_BACK)
                .map(BufferId)
                .filter(|&b| fits(b))
                .max_by_key(|b| (plan.buffer(*b).ty.bytes() == ty.bytes(), last[memory[b.0 as usize].0 as usize]));
            if let Some(from) = taken {
                plan.buffers[out.0 as usize].source = Source::TakeOver(from);
                let home = memory[from.0 as usize];
                last[home.0 as usize] = last[out.0 as usize];
                first[home.0 as usize] = first[home.0 as usize].min(s);
                memory.iter_mut().filter(|m| **m == out).for_each(|m| *m = home);
            }
        }
    }
}

/// Whether an array is a little smaller than another one, along some axes: windows of windows, as of stencils without a rim. Their sizes
/// all differ, and each of them in memory of its own would leave the caches.
fn is_within(ty: &Type, of: &Type) -> bool {
    let (bytes, most) = (ty.bytes(), of.bytes());
    let fits = ty.shape.len() == of.shape.len() && ty.shape.iter().zip(&of.shape).all(|(n, m)| n <= m);
    fits && bytes >= WORTH_SHARING && bytes <= most && (most - bytes) * LARGER <= most
}

/// For each memory, the first step that uses it; inputs are there from the beginning.
fn first_uses(plan: &Plan, memory: &[BufferId]) -> Vec<usize> {
    let mut first = vec![usize::MAX; plan.buffers.len()];
    for (s, step) in plan.steps.iter().enumerate().rev() {
        uses(step).iter().for_each(|b| first[memory[b.0 as usize].0 as usize] = s);
    }
    for (i, buffer) in plan.buffers.iter().enumerate() {
        if matches!(buffer.source, Source::Input(_)) {
            first[i] = 0;
        }
    }
    first
}

fn writes(plan: &Plan, launch: &Launch, buffer: BufferId) -> bool {
    launch.pieces.iter().any(|piece| {
        plan.kernels[piece.kernel as usize].body.stores.iter().any(|&(access, _)| {
            matches!(&launch.targets[piece.accesses[access as usize] as usize], Target::Buffer(o) if o.buffer == buffer)
        })
    })
}

/// Whether the launch touches this memory only by reading, at each point, the element of that very point.
fn read_only_in_place(plan: &Plan, launch: &Launch, memory: &[BufferId], home: BufferId) -> bool {
    launch.targets.iter().all(|target| match target {
        Target::Stream(_) => true,
        Target::Buffer(operand) => {
            memory[operand.buffer.0 as usize] != home
                || (operand.view == View::identity(&launch.domain)
                    && plan.buffer(operand.buffer).ty.shape == launch.domain
                    && !writes(plan, launch, operand.buffer))
        }
    })
}

fn insert_frees(graph: &Graph, plan: &mut Plan) {
    let memory = memories(plan);
    let last = last_uses(graph, plan, &memory);
    let mut frees: Vec<Vec<BufferId>> = vec![Vec::new(); plan.steps.len()];
    for (i, &home) in memory.iter().enumerate() {
        let id = BufferId(i as u32);
        if home == id && last[i] != usize::MAX && !plan.steps.is_empty() {
            frees[last[i]].push(id);
        }
    }
    let steps = std::mem::take(&mut plan.steps);
    for (step, frees) in steps.into_iter().zip(frees) {
        plan.steps.push(step);
        plan.steps.extend(frees.into_iter().map(Step::Free));
    }
}

/// The buffers that a step writes.
pub fn written(plan: &Plan, step: &Step) -> Vec<BufferId> {
    match step {
        Step::Launch(launch) => written_by(plan, launch),
        Step::Opaque { out, .. } => vec![*out],
        Step::Free(_) => Vec::new(),
    }
}

/// The buffers that a launch writes.
pub fn written_by(plan: &Plan, launch: &Launch) -> Vec<BufferId> {
    let outs = launch.streams.iter().map(|s| s.out);
    let targets = launch.targets.iter().filter_map(|t| match t {
        Target::Buffer(o) if writes(plan, launch, o.buffer) => Some(o.buffer),
        _ => None,
    });
    targets.chain(outs).collect()
}
