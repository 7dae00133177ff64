//! Builds a launch: cuts its iteration space into pieces on which every window is either whole or absent, and writes the
//! kernel of each.

use legate_jit_ir::graph::Op;
use legate_jit_ir::kernel::{self, Access, Body, InnerStride, Kernel, Reg};
use legate_jit_ir::plan::{BufferId, Launch, Operand, Piece, Source, Step, Stream, Target};
use legate_jit_ir::shape::{Shape, c_strides};
use legate_jit_ir::{DType, Inst, Rounds, Scalar, Ufunc, Value, View};
use smallvec::SmallVec;

use super::cluster::MAX_VALUES;
use super::tasks::{Kind, inside_window};
use super::{Builder, Obstacle};
use rustc_hash::FxHashMap;

/// Pieces of one launch; a space that windows cut into more gets a buffer in between.
const MAX_PIECES: usize = 64;
/// Instructions of one body, for the same reason.
const MAX_INSTS: usize = 400;

/// Why a body could not be written for a box.
enum Stop {
    /// Some window begins or ends inside the box: cut it at this coordinate of this axis.
    Cut { axis: usize, at: usize },
    /// This value cannot be inlined here.
    Root(Value),
}

/// The body of one piece as it is written.
struct Writer<'b, 'a> {
    builder: &'b Builder<'a>,
    /// Roots that this launch computes at the same point.
    local: &'b [Value],
    domain: &'b Shape,
    lo: Shape,
    hi: Shape,
    body: Body,
    /// The instructions of the body.
    written: FxHashMap<Inst, Reg>,
    accesses: Vec<Access>,
    targets: Vec<Target>,
    scalars: SmallVec<[u32; 4]>,
    known: FxHashMap<(Value, View), Reg>,
    updates: Vec<Value>,
}

impl Builder<'_> {
    pub(super) fn launch(&mut self, members: &[usize]) -> Result<(), Obstacle> {
        let tasks = self.tasks;
        let graph = self.graph;
        let domain = tasks.list[members[0]].domain.clone();
        if let [only] = members
            && tasks.list[*only].kind == Kind::CopyThenWrite
        {
            return self.copy_then_write(tasks.list[*only].value);
        }
        let mut streams: Vec<Stream> = Vec::new();
        let mut jobs: Vec<(Value, Target)> = Vec::new();
        let mut local = Vec::new();
        for &m in members {
            let task = &tasks.list[m];
            let node = graph.node(task.value);
            match task.kind {
                Kind::Reduce => {
                    let Op::Reduce(reduce) = &node.op else { unreachable!("a task to reduce is a reduction") };
                    let out = self.new_buffer(task.value, Source::Fresh);
                    let argument = node.args[0];
                    jobs.push((argument, Target::Stream(streams.len() as u32)));
                    streams.push(Stream { dtype: graph.ty(argument).dtype, reduce: reduce.clone(), out });
                }
                Kind::InPlace => {
                    let Op::Update(window) = &node.op else { unreachable!("only updates work in place") };
                    let base = self.buffer_of(node.args[0]);
                    let buffer = self.new_buffer(task.value, Source::TakeOver(base));
                    jobs.push((node.args[1], Target::Buffer(Operand { buffer, view: window.clone() })));
                }
                _ => {
                    let buffer = self.new_buffer(task.value, Source::Fresh);
                    jobs.push((task.value, Target::Buffer(Operand { buffer, view: View::identity(&domain) })));
                    local.push(task.value);
                }
            }
        }
        let launch = self.pieces(domain, streams, &jobs, &local)?;
        self.plan.steps.push(Step::Launch(launch));
        Ok(())
    }

    /// An update whose window has gaps, where its base must survive: a copy, then the window over it.
    fn copy_then_write(&mut self, value: Value) -> Result<(), Obstacle> {
        let node = self.graph.node(value);
        let Op::Update(window) = &node.op else { unreachable!("only updates are copied first") };
        let buffer = self.new_buffer(value, Source::Fresh);
        for (source, view) in [(node.args[0], View::identity(&node.ty.shape)), (node.args[1], window.clone())] {
            let domain = view.shape.clone();
            let launch = self.pieces(domain, Vec::new(), &[(source, Target::Buffer(Operand { buffer, view }))], &[])?;
            self.plan.steps.push(Step::Launch(launch));
        }
        Ok(())
    }

    fn pieces(
        &mut self,
        domain: Shape,
        streams: Vec<Stream>,
        jobs: &[(Value, Target)],
        local: &[Value],
    ) -> Result<Launch, Obstacle> {
        let mut launch = Launch { domain: domain.clone(), streams, ..Launch::default() };
        let mut targets: FxHashMap<Target, u32> = FxHashMap::default();
        let mut open: Vec<(Shape, Shape)> = vec![(Shape::from_elem(0, domain.len()), domain.clone())];
        while let Some((lo, hi)) = open.pop() {
            let mut writer = Writer {
                builder: self,
                local,
                domain: &domain,
                lo: lo.clone(),
                hi: hi.clone(),
                body: Body::default(),
                written: FxHashMap::default(),
                accesses: Vec::new(),
                targets: Vec::new(),
                scalars: SmallVec::new(),
                known: FxHashMap::default(),
                updates: Vec::new(),
            };
            match writer.write(jobs) {
                Ok(()) => {
                    if writer.body.insts.len() > MAX_INSTS || launch.pieces.len() + open.len() > MAX_PIECES {
                        let roots: Vec<Value> =
                            writer.updates.iter().copied().filter(|u| !self.roots.is_root(*u)).collect();
                        if !roots.is_empty() {
                            return Err(Obstacle::NeedsRoot(roots));
                        }
                    }
                    let Writer { body, accesses, targets: own, scalars, .. } = writer;
                    // Of bodies that were not taken for rounds, the length has been limited before.
                    if self.roots.cuts.limit(&domain) > MAX_VALUES
                        && body.insts.len() > MAX_VALUES
                        && Rounds::rolled(&body) > MAX_VALUES
                    {
                        return Err(Obstacle::TooLong(domain));
                    }
                    let kernel = Kernel {
                        rank: domain.len().max(1) as u32,
                        accesses,
                        scalars: scalars.iter().map(|&s| self.plan.scalars[s as usize]).collect(),
                        body,
                    };
                    let accesses = own
                        .into_iter()
                        .map(|t| {
                            *targets.entry(t.clone()).or_insert_with(|| {
                                launch.targets.push(t);
                                launch.targets.len() as u32 - 1
                            })
                        })
                        .collect();
                    let next = self.plan.kernels.len() as u32;
                    let index = *self.kernels.entry(kernel.clone()).or_insert_with(|| {
                        self.plan.kernels.push(kernel);
                        next
                    });
                    launch.pieces.push(Piece { lo, hi, kernel: index, accesses, scalars });
                }
                Err(Stop::Cut { axis, at }) => {
                    let (mut left, mut right) = ((lo.clone(), hi.clone()), (lo, hi));
                    left.1[axis] = at;
                    right.0[axis] = at;
                    open.push(right);
                    open.push(left);
                }
                Err(Stop::Root(v)) => return Err(Obstacle::NeedsRoot(vec![v])),
            }
        }
        Ok(launch)
    }
}

impl Writer<'_, '_> {
    fn write(&mut self, jobs: &[(Value, Target)]) -> Result<(), Stop> {
        let here = View::identity(self.domain);
        let mut stores = Vec::new();
        for (value, target) in jobs {
            let reg = self.value(*value, here.clone())?;
            stores.push((reg, target));
        }
        for (reg, target) in stores {
            let dtype = self.body.dtype(reg);
            let access = self.access(target.clone(), dtype, true);
            self.body.stores.push((access, reg));
        }
        Ok(())
    }

    /// As `Body::push`, for bodies that may be long.
    fn push(&mut self, op: kernel::Op, dtype: DType) -> Reg {
        let insts = &mut self.body.insts;
        *self.written.entry(Inst { op, dtype }).or_insert_with_key(|inst| {
            insts.push(inst.clone());
            Reg(insts.len() as u32 - 1)
        })
    }

    fn access(&mut self, target: Target, dtype: DType, write: bool) -> u32 {
        let inner = match &target {
            Target::Stream(_) => InnerStride::Unit,
            Target::Buffer(operand) => match self.inner_stride(operand) {
                // A store without an inner stride runs along an axis of one element, where any stride will do.
                InnerStride::Zero if write => InnerStride::Unit,
                inner => inner,
            },
        };
        let access = Access { dtype, inner, write };
        if let Some(i) = (0..self.targets.len()).find(|&i| self.accesses[i] == access && self.targets[i] == target) {
            return i as u32;
        }
        self.accesses.push(access);
        self.targets.push(target);
        self.accesses.len() as u32 - 1
    }

    fn inner_stride(&self, operand: &Operand) -> InnerStride {
        let shape = &self.builder.plan.buffer(operand.buffer).ty.shape;
        let (_, strides) = operand.view.strided(&c_strides(shape));
        match strides.last() {
            None | Some(0) => InnerStride::Zero,
            Some(1) => InnerStride::Unit,
            Some(_) => InnerStride::Any,
        }
    }

    fn value(&mut self, v: Value, view: View) -> Result<Reg, Stop> {
        let graph = self.builder.graph;
        let (v, view) = self.builder.roots.through_views(graph, v, view);
        let key = (v, view);
        if let Some(&reg) = self.known.get(&key) {
            return Ok(reg);
        }
        let (v, view) = (key.0, &key.1);
        let local = self.local.contains(&v);
        let reg = if self.builder.roots.is_root(v) && !local {
            self.load(self.builder.buffer_of(v), graph.ty(v).dtype, view.clone())
        } else {
            self.definition(v, view)?
        };
        self.known.insert(key, reg);
        Ok(reg)
    }

    fn load(&mut self, buffer: BufferId, dtype: DType, view: View) -> Reg {
        let access = self.access(Target::Buffer(Operand { buffer, view }), dtype, false);
        self.push(kernel::Op::Load(access), dtype)
    }

    fn definition(&mut self, v: Value, view: &View) -> Result<Reg, Stop> {
        let graph = self.builder.graph;
        let node = graph.node(v);
        let dtype = node.ty.dtype;
        Ok(match &node.op {
            Op::Const(scalar) => self.push(kernel::Op::Const(*scalar), dtype),
            Op::Scalar(n) => {
                let at = self.scalars.iter().position(|s| s == n).unwrap_or_else(|| {
                    self.scalars.push(*n);
                    self.scalars.len() - 1
                });
                self.push(kernel::Op::Scalar(at as u32), dtype)
            }
            Op::Index(axis) => self.index(view, *axis as usize),
            Op::View(inner) => self.value(node.args[0], inner.then(view))?,
            Op::Map(ufunc) => {
                let mut regs: SmallVec<[Reg; 3]> = SmallVec::new();
                for &arg in &node.args {
                    regs.push(self.value(arg, view.clone())?);
                }
                self.push(kernel::Op::Map(*ufunc, regs), dtype)
            }
            Op::Cast => {
                let reg = self.value(node.args[0], view.clone())?;
                if self.body.dtype(reg) == dtype { reg } else { self.push(kernel::Op::Cast(reg), dtype) }
            }
            Op::Update(window) => {
                self.updates.push(v);
                match self.inside(v, window, view)? {
                    Some(inner) => self.value(node.args[1], inner)?,
                    None => self.value(node.args[0], view.clone())?,
                }
            }
            Op::Input(_) | Op::Reduce(_) | Op::Opaque(_) | Op::Reshape => {
                unreachable!("{:?} always has a buffer", node.op)
            }
        })
    }

    /// `start + Σ step · d` of the view's map for this axis.
    fn index(&mut self, view: &View, axis: usize) -> Reg {
        let map = &view.axes[axis];
        let mut sum = None;
        for &(d, step) in &map.terms {
            let mut term = self.push(kernel::Op::Index(d), DType::I64);
            if step != 1 {
                let step = self.push(kernel::Op::Const(Scalar::i64(step)), DType::I64);
                term = self.push(kernel::Op::Map(Ufunc::Multiply, [term, step].into_iter().collect()), DType::I64);
            }
            sum = Some(match sum {
                None => term,
                Some(s) => self.push(kernel::Op::Map(Ufunc::Add, [s, term].into_iter().collect()), DType::I64),
            });
        }
        let start = Scalar::i64(map.start);
        match sum {
            None => self.push(kernel::Op::Const(start), DType::I64),
            Some(s) if map.start == 0 => s,
            Some(s) => {
                let start = self.push(kernel::Op::Const(start), DType::I64);
                self.push(kernel::Op::Map(Ufunc::Add, [s, start].into_iter().collect()), DType::I64)
            }
        }
    }

    /// Whether the box, read through `view`, lies in the window: the view of the written value, or `None` outside of it.
    fn inside(&self, v: Value, window: &View, view: &View) -> Result<Option<View>, Stop> {
        let Some(inner) = inside_window(window, view) else { return Err(Stop::Root(v)) };
        let mut within = true;
        for (w, m) in window.axes.iter().zip(&view.axes) {
            // The window's bounds on this axis of the base.
            let (begin, end) = match w.terms[..] {
                [] => (w.start, w.start + 1),
                [(axis, step)] => {
                    let n = window.shape[axis as usize] as i64;
                    if n == 0 {
                        return Ok(None);
                    }
                    let last = w.start + step * (n - 1);
                    (w.start.min(last), w.start.max(last) + 1)
                }
                _ => return Err(Stop::Root(v)),
            };
            match m.terms[..] {
                [] => {
                    if m.start < begin || m.start >= end {
                        return Ok(None);
                    }
                }
                [(d, step)] => {
                    let d = d as usize;
                    let (first, last) = (self.lo[d] as i64, self.hi[d] as i64 - 1);
                    if first > last {
                        within = false;
                        continue;
                    }
                    // Membership changes at most twice along d: where the map crosses `begin` and where it crosses `end`.
                    let is_in = |d: i64| (begin..end).contains(&(m.start + step * d));
                    let crossing = |bound: i64| {
                        // The first d at which the map is on the other side of the bound.
                        let distance = bound - m.start;
                        if step > 0 { div_ceil(distance, step) } else { div_floor(distance, step) + 1 }
                    };
                    let mut cuts: SmallVec<[i64; 2]> = [begin, end].into_iter().map(crossing).collect();
                    cuts.sort_unstable();
                    for at in cuts {
                        if at > first && at <= last && is_in(at - 1) != is_in(at) {
                            return Err(Stop::Cut { axis: d, at: at as usize });
                        }
                    }
                    if !is_in(first) {
                        return Ok(None);
                    }
                }
                _ => return Err(Stop::Root(v)),
            }
        }
        Ok(within.then_some(inner))
    }
}

fn div_floor(a: i64, b: i64) -> i64 {
    let q = a / b;
    if a % b != 0 && (a < 0) != (b < 0) { q - 1 } else { q }
}

fn div_ceil(a: i64, b: i64) -> i64 {
    -div_floor(-a, b)
}
