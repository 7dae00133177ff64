//! Runs a trace as it was recorded, operation by operation, without a plan.
//!
//! Planning takes as long as running small arrays some hundred times, and a program whose views have another shape in every
//! round (a factorisation written by hand) never runs the same trace again. So a trace that is met for the first times runs
//! here, as NumPy would run it: each operation is one pass of the prebuilt loops, a write changes its base where nobody else
//! reads it. A trace is planned when it has run here for as long as planning it will take, or is so large that its first run
//! would: whatever a program does, it loses at most as much to planning as it spent on its work. What runs and plans really
//! take is measured as they go.
//!
//! The loops and trees are those of the other tiers, so the bits are the same.
//!
//! A boundary file: it reads and writes elements of stores, which no one else touches while the session is held.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use legate_jit_ir::graph::{Opaque, Order, Reduce, Reducer};
use legate_jit_ir::kernel::{Access, Body, InnerStride, Kernel, Op as Inst};
use legate_jit_ir::{DType, Shape, Ufunc};
use smallvec::SmallVec;

use crate::layout::{Class, Layout, Strides};
use crate::library::{self, Strided};
use crate::plan_cache::{BuildKey, Stores};
use crate::shared::Shared;
use crate::strided::{apart, in_order, packed, span, steps};
use crate::trace::{Arg, Key, Op, PackedPerm, Part, Rec, Src, Trace};
use crate::tree::{self, Lines};
use crate::vm::Program;
use crate::{Error, Result, Store};

/// Traces whose time is remembered; beyond it all are forgotten.
const REMEMBERED: usize = 1 << 16;

/// No live record reads the value.
const DEAD: u32 = u32::MAX;
/// The value is an output.
const KEPT: u32 = u32::MAX - 1;

/// What something takes: a guess in nanoseconds, and how long it really took for each of those, of late.
struct Pace(f64);

impl Pace {
    fn expect(&self, guess: f64) -> f64 {
        self.0 * guess
    }

    /// A single measurement may be far off (another process ran), so it counts for little and never for more than a few times
    /// what was expected.
    fn learn(&mut self, guess: f64, took: Duration) {
        let seen = (took.as_nanos() as f64 / guess.max(1.0)).min(4.0 * self.0);
        self.0 = (self.0 + (seen - self.0) / 16.0).clamp(0.1, 30.0);
    }
}

/// Nanoseconds that running a trace here takes: for each record, and for each element of what it makes.
fn running(trace: &Trace) -> f64 {
    200.0 * trace.recs.len() as f64 + 0.5 * trace.elements as f64
}

/// Nanoseconds that planning a trace takes, its first run and the compilation of its kernels aside.
fn planning(trace: &Trace) -> f64 {
    60_000.0 + 12_000.0 * trace.recs.len() as f64
}

pub(crate) struct Eager {
    /// One operation each, by [`Code`].
    programs: HashMap<u64, Program>,
    /// Nanoseconds for which a trace has run here.
    spent: HashMap<Key, f32, BuildKey>,
    runs: Pace,
    plans: Pace,
    values: Vec<Option<Arc<Store>>>,
    last_use: Vec<u32>,
    input_use: Vec<u32>,
}

impl Default for Eager {
    fn default() -> Eager {
        Eager {
            programs: HashMap::new(),
            spent: HashMap::default(),
            runs: Pace(1.0),
            plans: Pace(1.0),
            values: Vec::new(),
            last_use: Vec::new(),
            input_use: Vec::new(),
        }
    }
}

impl Eager {
    /// Runs a trace for which there is no plan, and gives the outputs; `None` where it should be planned.
    pub(crate) fn run(&mut self, key: Key, trace: &Trace, outputs: &[u32], donated: &[bool]) -> Result<Option<Stores>> {
        let spent = self.spent.get(&key).copied().unwrap_or(0.0);
        let guess = running(trace);
        if spent as f64 + self.runs.expect(guess) >= self.plans.expect(planning(trace)) {
            self.spent.remove(&key);
            return Ok(None);
        }
        let start = Instant::now();
        let Some(stores) = self.run_at_once(trace, outputs, donated)? else { return Ok(None) };
        let took = start.elapsed();
        self.runs.learn(guess, took);
        if self.spent.len() >= REMEMBERED {
            self.spent.clear();
        }
        self.spent.insert(key, spent + took.as_nanos() as f32);
        Ok(Some(stores))
    }

    /// Runs a trace here, whatever would be best; `None` where that is not possible.
    pub(crate) fn run_at_once(&mut self, trace: &Trace, outputs: &[u32], donated: &[bool]) -> Result<Option<Stores>> {
        self.look_for_uses(trace, outputs);
        let live = |i: &usize| self.last_use[*i] != DEAD;
        if trace.inputs.iter().any(|store| store.placed() != 0)
            || !(0..trace.recs.len()).filter(live).all(|i| supported(trace, &trace.recs[i]))
        {
            return Ok(None);
        }
        self.values.clear();
        self.values.resize(trace.recs.len(), None);
        let run = Run {
            trace,
            programs: &mut self.programs,
            values: &mut self.values,
            last_use: &self.last_use,
            input_use: &self.input_use,
            donated,
        };
        let result = run.all(outputs);
        self.values.clear();
        result.map(Some)
    }

    /// Whether a trace like this has run here.
    pub(crate) fn has_met(&self, key: Key) -> bool {
        self.spent.contains_key(&key)
    }

    /// Notes how long it took to plan a trace.
    pub(crate) fn planned(&mut self, trace: &Trace, took: Duration) {
        self.plans.learn(planning(trace), took);
    }

    /// The last live record that reads each record's result and each input.
    fn look_for_uses(&mut self, trace: &Trace, outputs: &[u32]) {
        self.last_use.clear();
        self.last_use.resize(trace.recs.len(), DEAD);
        self.input_use.clear();
        self.input_use.resize(trace.inputs.len(), DEAD);
        outputs.iter().for_each(|&o| self.last_use[o as usize] = KEPT);
        for (i, rec) in trace.recs.iter().enumerate().rev() {
            if self.last_use[i] == DEAD {
                continue;
            }
            for arg in rec.args() {
                let last = match arg.src {
                    Src::Node(n) => &mut self.last_use[n as usize],
                    Src::Input(n) => &mut self.input_use[n as usize],
                    Src::Scalar(_) | Src::Const(_) => continue,
                };
                if *last == DEAD {
                    *last = i as u32;
                }
            }
        }
    }
}

/// Whether a record can run here.
fn supported(trace: &Trace, rec: &Rec) -> bool {
    match rec.op {
        Op::Map(ufunc) => {
            let types: SmallVec<[DType; 3]> = rec.args().iter().map(|a| a.cast).collect();
            crate::vm::operation(ufunc, &types).is_some()
        }
        Op::Reduce(n) => {
            let reduce = &trace.reduces[n as usize];
            let shape = permuted(trace, rec);
            let is: SmallVec<[bool; 4]> = groups(&shape, reduce).iter().map(|g| g.1).collect();
            !shape.contains(&0)
                && match (reduce.order, &is[..]) {
                    (_, [] | [true] | [false] | [false, true]) => true,
                    (Order::Tree, [true, false] | [false, true, false]) => true,
                    // Parts of a sequence that are combined later.
                    (Order::Tree, [true, false, true]) => {
                        !tree::is_arg(reduce.reducer) && tree::splits(reduce.reducer, rec.args[0].cast)
                    }
                    _ => false,
                }
        }
        Op::Copy | Op::Update | Op::Matmul | Op::Scan(..) | Op::Index(_) => true,
    }
}

/// A record's shape in its order of axes.
fn permuted(trace: &Trace, rec: &Rec) -> Shape {
    let shape = trace.layouts[rec.shape as usize].shape();
    if rec.perm == 0 { shape.into() } else { in_order(shape, rec.perm).into_iter().collect() }
}

/// Neighbouring axes of one kind together: (elements, whether they are reduced). Axes of one element do not count.
fn groups(shape: &[usize], reduce: &Reduce) -> SmallVec<[(usize, bool); 4]> {
    let mut groups: SmallVec<[(usize, bool); 4]> = SmallVec::new();
    for (d, &n) in shape.iter().enumerate().filter(|(_, n)| **n != 1) {
        let reduced = reduce.axes.contains(&(d as u32));
        match groups.last_mut() {
            Some(last) if last.1 == reduced => last.0 *= n,
            _ => groups.push((n, reduced)),
        }
    }
    groups
}

/// What an elementwise pass computes.
#[derive(Clone, Copy)]
enum Code {
    Map(Ufunc),
    Copy,
    Index(u32),
}

/// An argument as an operation sees it.
struct Seen {
    ptr: *mut u8,
    dtype: DType,
    /// In bytes.
    by: Strides,
}

/// One run of a trace.
struct Run<'a> {
    trace: &'a Trace,
    programs: &'a mut HashMap<u64, Program>,
    /// The results that somebody still reads.
    values: &'a mut Vec<Option<Arc<Store>>>,
    last_use: &'a [u32],
    input_use: &'a [u32],
    donated: &'a [bool],
}

impl<'a> Run<'a> {
    fn all(mut self, outputs: &[u32]) -> Result<Stores> {
        let mut i = 0;
        while i < self.trace.recs.len() {
            if self.last_use[i] == DEAD {
                i += 1;
                continue;
            }
            // What is only computed to be written somewhere is computed there.
            let into = self.is_only_written(i);
            let at = i + into as usize;
            let store = match self.trace.recs[at].op {
                Op::Update => self.update(at, into)?,
                _ => self.record(at)?,
            };
            self.values[at] = Some(store);
            for i in i..=at {
                self.release(i);
            }
            i = at + 1;
        }
        Ok(outputs.iter().map(|&o| self.values[o as usize].clone().expect("an output is live")).collect())
    }

    /// Lets go of what only this record still had to read.
    fn release(&mut self, i: usize) {
        for arg in self.trace.recs[i].args() {
            if let Src::Node(n) = arg.src
                && self.last_use[n as usize] == i as u32
            {
                self.values[n as usize] = None;
            }
        }
    }

    fn layout(&self, n: u32) -> &'a Shared<Layout> {
        &self.trace.layouts[n as usize]
    }

    /// Whether the next record writes this elementwise result somewhere, as it is, and nobody else reads it.
    fn is_only_written(&self, i: usize) -> bool {
        let (rec, Some(next)) = (&self.trace.recs[i], self.trace.recs.get(i + 1)) else { return false };
        let value = &next.args[1];
        matches!(rec.op, Op::Map(_))
            && next.op == Op::Update
            && self.last_use[i] == i as u32 + 1
            && value.src == Src::Node(i as u32)
            && next.args[0].src != value.src
            && value.part == Part::Whole
            && value.cast == rec.dtype
            && next.dtype == rec.dtype
            && rec.perm == 0
            && self.layout(value.layout).class == Class::Identity
            && self.layout(value.layout).shape() == self.layout(next.args[0].layout).shape()
    }

    fn record(&mut self, i: usize) -> Result<Arc<Store>> {
        let rec = &self.trace.recs[i];
        let code = match rec.op {
            Op::Map(ufunc) => Code::Map(ufunc),
            Op::Copy => Code::Copy,
            Op::Index(axis) => Code::Index(axis),
            Op::Reduce(n) => return self.reduce(rec, &self.trace.reduces[n as usize]),
            Op::Matmul => return self.matmul(rec),
            Op::Scan(ufunc, axis) => return self.scan(rec, ufunc, axis),
            Op::Update => unreachable!("`all` calls `update`"),
        };
        self.fresh(code, rec.args(), rec.dtype, &permuted(self.trace, rec), rec)
    }

    /// The result of an elementwise pass in memory of its own.
    fn fresh(&mut self, code: Code, args: &[Arg], dtype: DType, shape: &[usize], rec: &Rec) -> Result<Arc<Store>> {
        let item = dtype.size();
        let store = Store::alloc(legate_jit_ir::shape::size(shape) * item)?;
        let plain = self.layout(rec.shape).shape();
        // SAFETY: the memory is new and of this size.
        unsafe { self.pass(code, args, dtype, plain, rec.perm, (store.raw_ptr(), &packed(shape, item)))? };
        Ok(store)
    }

    /// The store that an argument reads, and its element type.
    fn source(&self, arg: &Arg) -> Option<(&Arc<Store>, DType)> {
        match arg.src {
            Src::Node(n) => Some((self.values[n as usize].as_ref()?, self.trace.versions[n as usize].dtype)),
            Src::Input(n) => Some((&self.trace.inputs[n as usize], self.trace.input_types[n as usize].dtype)),
            Src::Scalar(_) | Src::Const(_) => None,
        }
    }

    /// An argument that is an array, broadcast to a shape and in this order of axes.
    fn see(&self, arg: &Arg, shape: &[usize], perm: PackedPerm) -> Option<Seen> {
        let (store, whole) = self.source(arg)?;
        let (layout, item) = (self.layout(arg.layout), whole.size());
        let by = steps(layout, shape, item);
        let dtype = if arg.part == Part::Whole { whole } else { whole.real() };
        let inside = if arg.part == Part::Imag { item as i64 / 2 } else { 0 };
        Some(Seen {
            ptr: store.raw_ptr().wrapping_offset((layout.offset * item as i64 + inside) as isize),
            dtype,
            by: if perm == 0 { by } else { in_order(&by, perm) },
        })
    }

    /// One elementwise pass over a shape whose axes are taken in the order `perm`; `to` is where the results go, with the steps
    /// along the axes in that order.
    ///
    /// # Safety
    /// There is valid memory for every result. Where a result lies over an element that is read, it is at the same point.
    unsafe fn pass(
        &mut self,
        code: Code,
        args: &[Arg],
        dtype: DType,
        shape: &[usize],
        perm: PackedPerm,
        to: (*mut u8, &[i64]),
    ) -> Result<()> {
        if shape.contains(&0) {
            return Ok(());
        }
        let rank = shape.len().max(1);
        let mut ptrs: SmallVec<[*mut u8; 4]> = SmallVec::new();
        let mut strides: SmallVec<[i64; 16]> = SmallVec::new();
        let mut scalars: SmallVec<[[u64; 2]; 3]> = SmallVec::new();
        // The type of each argument, and whether it is an array.
        let mut loads: SmallVec<[(DType, bool); 3]> = SmallVec::new();
        for arg in args {
            match arg.src {
                Src::Scalar(n) => scalars.push(self.trace.scalars[n as usize]),
                Src::Const(n) => scalars.push(self.trace.consts[n as usize].bits),
                Src::Node(_) | Src::Input(_) => {
                    let seen = self.see(arg, shape, perm).expect("what is read is there");
                    loads.push((seen.dtype, true));
                    ptrs.push(seen.ptr);
                    strides.extend_from_slice(&seen.by);
                    if shape.is_empty() {
                        strides.push(0);
                    }
                    continue;
                }
            }
            loads.push((arg.cast, false));
        }
        ptrs.push(to.0);
        strides.extend_from_slice(to.1);
        let mut extent: SmallVec<[i64; 4]> = shape.iter().map(|&n| n as i64).collect();
        if perm != 0 {
            extent = in_order(&extent, perm);
        }
        if shape.is_empty() {
            strides.push(0);
            extent.push(1);
        }
        let program = self.program(code, args, &loads, dtype, rank)?;
        let lo: SmallVec<[i64; 4]> = SmallVec::from_elem(0, rank);
        // SAFETY: the stores hold every element that their layouts show; of the results the caller says so.
        unsafe { program.run(ptrs.as_ptr(), strides.as_ptr(), scalars.as_ptr(), lo.as_ptr(), extent.as_ptr()) };
        Ok(())
    }

    fn program(
        &mut self,
        code: Code,
        args: &[Arg],
        loads: &[(DType, bool)],
        dtype: DType,
        rank: usize,
    ) -> Result<&Program> {
        // All that decides the program, nine bits an argument.
        let mut word = match code {
            Code::Map(ufunc) => ufunc as u64,
            Code::Copy => 0x100,
            Code::Index(axis) => 0x200 + axis as u64,
        };
        for (arg, &(load, array)) in args.iter().zip(loads) {
            word = word << 9 | (load as u64) << 5 | (arg.cast as u64) << 1 | array as u64;
        }
        word = (word << 2 | args.len() as u64) << 9 | (dtype as u64) << 5 | rank as u64;
        if !self.programs.contains_key(&word) {
            self.programs.insert(word, Program::new(&kernel(code, args, loads, dtype, rank))?);
        }
        Ok(&self.programs[&word])
    }

    /// The base of a write with what the write shows replaced; `mapped` says that the value is what the record before computes.
    fn update(&mut self, i: usize, mapped: bool) -> Result<Arc<Store>> {
        let rec = &self.trace.recs[i];
        let [base, value, _] = &rec.args;
        let (store, mine) = match base.src {
            Src::Node(n) => (self.values[n as usize].clone(), self.last_use[n as usize] == i as u32),
            Src::Input(n) => (
                Some(self.trace.inputs[n as usize].clone()),
                self.donated[n as usize] && self.input_use[n as usize] == i as u32,
            ),
            Src::Scalar(_) | Src::Const(_) => (None, false),
        };
        let store = store.ok_or_else(|| Error::Runtime("a write to what is no array".into()))?;
        let store = if mine { store } else { store.duplicate()? };
        let layout = self.layout(base.layout);
        let (shape, item) = (layout.shape(), rec.dtype.size());
        let to = store.raw_ptr().wrapping_offset((layout.offset * item as i64) as isize);
        let by = steps(layout, shape, item);
        if layout.size == 0 {
            return Ok(store);
        }
        let source = &self.trace.recs[i - mapped as usize];
        let (code, args) = match source.op {
            Op::Map(ufunc) if mapped => (Code::Map(ufunc), source.args()),
            _ => (Code::Copy, std::slice::from_ref(value)),
        };
        let target = span(to, shape, &by, item);
        let in_the_way = args.iter().filter_map(|arg| self.see(arg, shape, 0)).any(|seen| {
            let same_points = seen.ptr == to && seen.by == by && seen.dtype.size() == item;
            !same_points && !apart(span(seen.ptr, shape, &seen.by, seen.dtype.size()), target)
        });
        // SAFETY: the layout's elements lie in the store, which nobody else reads; what is read of it is read at the point that
        // replaces it, or all of it before.
        unsafe {
            if !in_the_way {
                self.pass(code, args, rec.dtype, shape, 0, (to, &by))?;
            } else {
                let between = Store::alloc(layout.size * item)?;
                let by_packed = packed(shape, item);
                self.pass(code, args, rec.dtype, shape, 0, (between.raw_ptr(), &by_packed))?;
                crate::strided::copy(shape, between.raw_ptr(), &by_packed, to, &by, item);
            }
        }
        Ok(store)
    }

    /// An argument's elements one after the other, in the type that the operation works in; a store where they had to be copied.
    fn together(&mut self, arg: &Arg, shape: &[usize], perm: PackedPerm) -> Result<(*mut u8, Option<Arc<Store>>)> {
        let item = arg.cast.size();
        let by = if perm == 0 { packed(shape, item) } else { packed(&in_order(shape, perm), item) };
        let extent: SmallVec<[usize; 4]> = if perm == 0 { shape.into() } else { in_order(shape, perm) };
        if let Some(seen) = self.see(arg, shape, perm)
            && seen.dtype == arg.cast
            && seen.by.iter().zip(&by).zip(&extent).all(|((a, b), &n)| a == b || n == 1)
        {
            return Ok((seen.ptr, None));
        }
        let store = Store::alloc(legate_jit_ir::shape::size(shape) * item)?;
        // SAFETY: the memory is new and of this size.
        unsafe { self.pass(Code::Copy, std::slice::from_ref(arg), arg.cast, shape, perm, (store.raw_ptr(), &by))? };
        Ok((store.raw_ptr(), Some(store)))
    }

    fn reduce(&mut self, rec: &Rec, reduce: &Reduce) -> Result<Arc<Store>> {
        let (arg, dtype) = (&rec.args[0], rec.args[0].cast);
        let plain = self.layout(rec.shape);
        let (from, _copied) = self.together(arg, plain.shape(), rec.perm)?;
        let shape = permuted(self.trace, rec);
        let groups = groups(&shape, reduce);
        let (item, to) = (dtype.size(), rec.dtype.size());
        let kept: usize = groups.iter().filter(|g| !g.1).map(|g| g.0).product();
        let store = Store::alloc(kept * to)?;
        let out = store.raw_ptr();
        let reducer = reduce.reducer;
        // SAFETY: `from` has all elements, `out` room for the results; both in C order of the groups.
        unsafe {
            match (reduce.order, &groups[..]) {
                (Order::Chunked(_) | Order::Blocks { .. }, _) => {
                    let n = groups.iter().filter(|g| g.1).map(|g| g.0).product();
                    for k in 0..kept {
                        let row = from.add(k * n * item);
                        let sum = chunked(reducer, dtype, row, n, reduce.order);
                        out.add(k * to).copy_from_nonoverlapping(sum.as_ptr().cast(), to);
                    }
                }
                (Order::Tree, &[(rows, true), (n, false)]) => columns(reducer, dtype, from, rows, n, out)?,
                (Order::Tree, &[(k, false), (rows, true), (n, false)]) => {
                    for i in 0..k {
                        columns(reducer, dtype, from.add(i * rows * n * item), rows, n, out.add(i * n * to))?;
                    }
                }
                (Order::Tree, &[(rows, true), (k, false), (n, true)]) => {
                    let sums = Store::alloc(rows * k * item)?;
                    tree::reduce_rows(reducer, dtype, from, n, rows * k, sums.raw_ptr());
                    columns(reducer, dtype, sums.raw_ptr(), rows, k, out)?;
                }
                (Order::Tree, groups) => {
                    let n = groups.iter().filter(|g| g.1).map(|g| g.0).product();
                    tree::reduce_rows(reducer, dtype, from, n, kept, out);
                }
            }
        }
        Ok(store)
    }

    fn matmul(&mut self, rec: &Rec) -> Result<Arc<Store>> {
        let item = rec.dtype.size();
        let mut kept: SmallVec<[Arc<Store>; 2]> = SmallVec::new();
        let mut operands: SmallVec<[(*mut u8, &Layout, Strides); 2]> = SmallVec::new();
        for arg in rec.args() {
            let layout = self.layout(arg.layout);
            let seen = self.see(arg, layout.shape(), 0).filter(|seen| seen.dtype == arg.cast);
            let (ptr, by) = match seen {
                Some(seen) => (seen.ptr, seen.by),
                None => {
                    let (ptr, copied) = self.together(arg, layout.shape(), 0)?;
                    kept.extend(copied);
                    (ptr, packed(layout.shape(), arg.cast.size()))
                }
            };
            operands.push((ptr, layout, by));
        }
        let full = self.layout(rec.shape);
        let store = Store::alloc(full.size * item)?;
        let args: SmallVec<[Strided; 2]> = operands
            .iter()
            .map(|(ptr, layout, by)| Strided { ptr: *ptr, dtype: rec.dtype, shape: layout.shape(), strides: by })
            .collect();
        let by = packed(full.shape(), item);
        let out = Strided { ptr: store.raw_ptr(), dtype: rec.dtype, shape: full.shape(), strides: &by };
        library::run(&Opaque::Matmul, &args, &out)?;
        Ok(store)
    }

    fn scan(&mut self, rec: &Rec, ufunc: Ufunc, axis: u32) -> Result<Arc<Store>> {
        let (arg, plain) = (&rec.args[0], self.layout(rec.shape));
        let shape = permuted(self.trace, rec);
        let by = packed(&shape, rec.dtype.size());
        let (from, _copied) = self.together(arg, plain.shape(), rec.perm)?;
        let store = Store::alloc(plain.size * rec.dtype.size())?;
        let from_by = packed(&shape, arg.cast.size());
        let from = Strided { ptr: from, dtype: arg.cast, shape: &shape, strides: &from_by };
        let out = Strided { ptr: store.raw_ptr(), dtype: rec.dtype, shape: &shape, strides: &by };
        library::run(&Opaque::Scan { ufunc, axis }, &[from], &out)?;
        Ok(store)
    }
}

/// The body of one elementwise pass.
fn kernel(code: Code, args: &[Arg], loads: &[(DType, bool)], dtype: DType, rank: usize) -> Kernel {
    let mut kernel = Kernel { rank: rank as u32, ..Kernel::default() };
    let mut body = Body::default();
    let access = |dtype, write| Access { dtype, inner: InnerStride::Any, write };
    let mut regs = SmallVec::new();
    for (arg, &(load, array)) in args.iter().zip(loads) {
        let op = if array {
            kernel.accesses.push(access(load, false));
            Inst::Load(kernel.accesses.len() as u32 - 1)
        } else {
            kernel.scalars.push(load);
            Inst::Scalar(kernel.scalars.len() as u32 - 1)
        };
        let mut reg = body.push(op, load);
        if load != arg.cast {
            reg = body.push(Inst::Cast(reg), arg.cast);
        }
        regs.push(reg);
    }
    let mut result = match code {
        Code::Map(ufunc) => body.push(Inst::Map(ufunc, regs), dtype),
        Code::Copy => regs[0],
        Code::Index(axis) => body.push(Inst::Index(axis), DType::I64),
    };
    if body.dtype(result) != dtype {
        result = body.push(Inst::Cast(result), dtype);
    }
    body.stores.push((kernel.accesses.len() as u32, result));
    kernel.accesses.push(access(dtype, true));
    kernel.body = body;
    kernel
}

/// Combines rows of n elements, one after the other in memory, element by element.
///
/// # Safety
/// `from` has `rows` rows, `out` room for n results.
unsafe fn columns(reducer: Reducer, dtype: DType, from: *const u8, rows: usize, n: usize, out: *mut u8) -> Result<()> {
    let best = if tree::is_arg(reducer) { Some(Store::alloc(16 * n)?) } else { None };
    let room = best.as_ref().map_or(std::ptr::null_mut(), |b| b.raw_ptr());
    // SAFETY: the caller's promise.
    unsafe { tree::accumulate(reducer, dtype, out, room, Lines { first: from, step: n, count: rows }, n, 0) };
    Ok(())
}

/// A reduction whose order cuts the sequence into chunks.
///
/// # Safety
/// There are n ≥ 1 elements at `from`.
unsafe fn chunked(reducer: Reducer, dtype: DType, from: *const u8, n: usize, order: Order) -> tree::Element {
    let (block, chunk) = match order {
        Order::Tree => (n, n),
        Order::Chunked(chunk) => (n, chunk as usize),
        Order::Blocks { block, chunk } => (block as usize, chunk as usize),
    };
    let mut sum: Option<tree::Element> = None;
    for first in (0..n).step_by(block) {
        let end = (first + block).min(n);
        for at in (first..end).step_by(chunk) {
            let len = chunk.min(end - at);
            // SAFETY: elements of the caller's.
            let part = unsafe {
                let ptr = from.add(at * dtype.size());
                let part = tree::reduce(reducer, dtype, ptr, len);
                if tree::is_arg(reducer) { tree::arg_partial(dtype, ptr, part, at) } else { part }
            };
            sum = Some(sum.map_or(part, |sum| tree::pair(reducer, dtype, sum, part)));
        }
    }
    tree::finish(reducer, sum.expect("there is an element"))
}
