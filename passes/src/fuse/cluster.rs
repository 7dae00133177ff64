//! Puts tasks together into launches.
//!
//! Tasks are taken in the graph's order, and each joins the earliest launch over the same iteration space after everything
//! it depends on. Inside a launch a task may read what another one of it computes only at the very same point. Joining a
//! launch moves a task forward, never back, so only writes in place need care: they must not overtake a reader.

use legate_jit_ir::graph::{Graph, Op};
use legate_jit_ir::shape::Shape;
use legate_jit_ir::{Value, View};

use super::cuts::Cuts;
use super::tasks::{Kind, Read, Task, Tasks, apart};
use rustc_hash::{FxHashMap, FxHashSet};

/// Array operands of one launch: beyond this the pointers no longer fit in registers and the streams in the prefetchers.
const MAX_OPERANDS: usize = 32;

/// Values that one launch computes at each point, about; a larger body gains nothing and takes the compiler long.
pub const MAX_VALUES: usize = 400;

/// Values that a reduction computes from what is in memory, and arrays that it reads, for that to be little beside a stencil.
const SOON_MADE: usize = 8;
const FEW_READS: usize = 3;
/// Places at which a stencil reads an array, at least.
const STENCIL: usize = 3;

#[derive(Clone, Debug)]
pub enum Group {
    /// Indices of tasks over one iteration space.
    Launch {
        tasks: Vec<usize>,
        /// What it computes at each point.
        values: FxHashSet<Value>,
        /// Array operands that are not computed here.
        reads: FxHashSet<Read>,
        /// Between which cuts the values lie.
        segment: usize,
    },
    Opaque(Value),
    Reshape(Value),
}

struct State<'a> {
    graph: &'a Graph,
    tasks: &'a Tasks,
    groups: Vec<Group>,
    /// The group that computes each root; `None` for inputs.
    at: Vec<Option<usize>>,
    /// The last group that reads each memory.
    last_reader: FxHashMap<Value, usize>,
    /// Launches over each space, oldest first.
    over: FxHashMap<Shape, Vec<usize>>,
    cuts: &'a Cuts,
    full: Vec<Shape>,
}

/// The launches in the order in which they can run, and the spaces over which more could have run in one pass if that were
/// not too large.
pub fn cluster(graph: &Graph, tasks: &Tasks, cuts: &Cuts) -> (Vec<Group>, Vec<Shape>) {
    let mut state = State {
        graph,
        tasks,
        cuts,
        full: Vec::new(),
        groups: Vec::new(),
        at: vec![None; graph.nodes.len()],
        last_reader: FxHashMap::default(),
        over: FxHashMap::default(),
    };
    for (t, task) in tasks.list.iter().enumerate() {
        let group = match task.kind {
            Kind::Opaque => state.push(Group::Opaque(task.value)),
            Kind::Reshape => state.push(Group::Reshape(task.value)),
            Kind::CopyThenWrite => state.launch(t),
            Kind::Whole | Kind::InPlace | Kind::Reduce => state.join(t),
        };
        state.at[task.value.index()] = Some(group);
        for read in &task.reads {
            let last = state.last_reader.entry(tasks.memory[read.root.index()]).or_insert(0);
            *last = (*last).max(group);
        }
    }
    (state.groups, state.full)
}

/// Whether a read goes along an array: the others are single elements, read once.
fn is_array(read: &Read) -> bool {
    read.view.axes.iter().any(|axis| !axis.terms.is_empty())
}

/// Whether a task reads an array at several places around each point.
fn is_stencil(task: &Task) -> bool {
    let shifts = |read: &Read| task.reads.iter().filter(|r| r.root == read.root && is_array(r)).count();
    task.reads.iter().any(|r| is_array(r) && shifts(r) >= STENCIL)
}

impl State<'_> {
    fn push(&mut self, group: Group) -> usize {
        self.groups.push(group);
        self.groups.len() - 1
    }

    fn launch(&mut self, t: usize) -> usize {
        let task = &self.tasks.list[t];
        self.push(Group::Launch {
            tasks: vec![t],
            values: task.inlined.iter().copied().chain([task.value]).collect(),
            reads: task.reads.iter().filter(|r| is_array(r)).cloned().collect(),
            segment: self.cuts.segment(&task.domain, task.value),
        })
    }

    fn join(&mut self, t: usize) -> usize {
        let task = &self.tasks.list[t];
        let memory = &self.tasks.memory;
        // The first group that the task may run in, and whether it may share that one.
        let mut first = 0;
        let mut share = true;
        let mut after = |group: Option<usize>, may_share: bool| {
            let Some(g) = group else { return };
            if g > first || (g == first && !may_share) {
                (first, share) = (g, may_share);
            } else if g == first {
                share &= may_share;
            }
        };
        for read in &task.reads {
            let same_point = read.view.is_identity(&self.graph.ty(read.root).shape) && read.view.shape == task.domain;
            let producer = self.at[read.root.index()];
            let computed_at_each_point = producer.is_some_and(|g| match &self.groups[g] {
                Group::Launch { tasks, .. } => tasks
                    .iter()
                    .any(|&p| self.tasks.list[p].value == read.root && self.tasks.list[p].kind == Kind::Whole),
                _ => false,
            });
            after(producer, same_point && computed_at_each_point);
        }
        if task.kind == Kind::InPlace {
            let base = self.graph.node(task.value).args[0];
            after(self.at[base.index()], true);
            after(self.last_reader.get(&memory[base.index()]).copied(), true);
        }
        let candidates = self.over.get(&task.domain).map_or(&[][..], |v| v);
        let start = candidates.partition_point(|&g| if share { g < first } else { g <= first });
        // With no dependency at all (`first` is 0 and nothing was computed there) every candidate will do.
        let mut full = task.inlined.len() >= self.cuts.limit(&task.domain);
        let found = candidates[start..].iter().copied().find(|&g| {
            let has_room = self.has_room(t, g);
            let takes = (has_room || !full) && self.agrees(t, g);
            full |= takes && !has_room;
            takes && has_room
        });
        if full && !self.full.contains(&task.domain) {
            self.full.push(task.domain.clone());
        }
        match found {
            Some(g) => {
                let Group::Launch { tasks, reads, values, .. } = &mut self.groups[g] else {
                    unreachable!("only launches have a space")
                };
                tasks.push(t);
                values.extend(task.inlined.iter().copied().chain([task.value]));
                reads.extend(task.reads.iter().filter(|r| is_array(r) && self.at[r.root.index()] != Some(g)).cloned());
                g
            }
            None => {
                let g = self.launch(t);
                self.over.entry(task.domain.clone()).or_default().push(g);
                g
            }
        }
    }

    /// Whether launch `g` does not become too large with task `t`.
    fn has_room(&self, t: usize, g: usize) -> bool {
        let Group::Launch { tasks: members, values, reads, .. } = &self.groups[g] else { return false };
        let task = &self.tasks.list[t];
        if values.len() + task.inlined.iter().filter(|v| !values.contains(v)).count() >= self.cuts.limit(&task.domain) {
            return false;
        }
        let more = |r: &&Read| is_array(r) && self.at[r.root.index()] != Some(g) && !reads.contains(*r);
        let written = members.len() + 1;
        reads.len() + task.reads.iter().filter(more).count() + written <= MAX_OPERANDS
    }

    /// Whether task `t` may run in the same pass as the tasks of launch `g`, its dependencies being met.
    fn agrees(&self, t: usize, g: usize) -> bool {
        let Group::Launch { tasks: members, segment, .. } = &self.groups[g] else { return false };
        let task = &self.tasks.list[t];
        if *segment != self.cuts.segment(&task.domain, task.value) {
            return false;
        }
        if let Op::Reduce(own) = &self.graph.node(task.value).op {
            for &m in members {
                let node = self.graph.node(self.tasks.list[m].value);
                let Op::Reduce(other) = &node.op else { continue };
                // A complex sum has a tree of its own, which cuts the space elsewhere.
                let complex = |reduction: Value| self.graph.ty(self.graph.node(reduction).args[0]).dtype.is_complex();
                let alike = own.axes == other.axes && own.order == other.order;
                if !alike || complex(task.value) != complex(self.tasks.list[m].value) {
                    return false;
                }
            }
        }
        let list = || members.iter().map(|&m| &self.tasks.list[m]).chain([task]);
        // A stencil's kernel has its hands full with what it reads and writes. Sums of what is in memory then are formed faster by
        // reading that again, straight along, while it is in cache.
        if list().any(|t| self.sums_what_is_there(t)) && list().any(is_stencil) {
            return false;
        }
        // A reduction needs the launch's pieces to fill its space with every value known; a window written in place fills
        // its own space, so that holds for every kind of member.
        list().filter(|w| w.kind == Kind::InPlace).all(|writer| {
            let (memory, window) = self.written(writer);
            list().all(|other| {
                let reads_apart = other.reads.iter().all(|r| {
                    self.tasks.memory[r.root.index()] != memory
                        || (r.view == *window && self.at[r.root.index()].is_none_or(|at| at < g))
                        || apart(&r.view, window) && self.at[r.root.index()].is_none_or(|at| at < g)
                });
                let writes_apart = std::ptr::eq(other, writer)
                    || other.kind != Kind::InPlace
                    || self.tasks.memory[other.value.index()] != memory
                    || apart(self.written(other).1, window);
                reads_apart && writes_apart
            })
        }) && list().filter(|w| w.kind == Kind::InPlace).all(|w| {
            // The base must not be written whole in this very pass: the two would write the same element.
            let base = self.graph.node(w.value).args[0];
            self.at[base.index()] != Some(g)
                || members.iter().all(|&m| self.tasks.list[m].value != base || self.tasks.list[m].kind == Kind::InPlace)
        })
    }

    /// Whether a task reduces everything to one element, and reads little but what lies at its own point in whole arrays.
    fn sums_what_is_there(&self, task: &Task) -> bool {
        let Op::Reduce(reduce) = &self.graph.node(task.value).op else { return false };
        let at_its_point = |r: &Read| r.view.is_identity(&self.graph.ty(r.root).shape) && r.view.shape == task.domain;
        reduce.axes.len() == task.domain.len()
            && task.inlined.len() <= SOON_MADE
            && task.reads.iter().filter(|r| is_array(r)).count() <= FEW_READS
            && task.reads.iter().filter(|r| is_array(r)).all(at_its_point)
    }

    fn written(&self, task: &Task) -> (Value, &View) {
        match &self.graph.node(task.value).op {
            Op::Update(window) => (self.tasks.memory[task.value.index()], window),
            op => unreachable!("{op:?} is not written in place"),
        }
    }
}
