//! Runs a trace as it was recorded, operation by operation, without a plan.
//!
//! Planning takes as long as running small arrays some hundred times, and a program whose views have another shape in every
//! round (a factorisation written by hand) never runs the same trace again. So a trace that is met for the first times runs
//! here, as NumPy would run it: each operation is one pass of the prebuilt loops, a write changes its base where nobody else
//! reads it. A trace is planned when it has run here for some times as long as planning it will take, or is so large that its first
//! run would: whatever a program does, planning takes a part of what it has spent on its work. What runs and plans really
//! take is measured as they go.
//!
//! The loops and trees are those of the other tiers, so the bits are the same.
//!
//! A boundary file: it reads and writes elements of stores, which no one else touches while the session is held.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use legate_jit_ir::graph::{Opaque, Reduce};
use legate_jit_ir::{DType, Shape, Ufunc};
use legate_jit_passes::cost;
use smallvec::SmallVec;

use crate::layout::{Class, Layout, Strides};
use crate::library::{self, Strided};
use crate::pass::{Code, Feed, Passes, Source};
use crate::plan_cache::{BuildKey, Stores};
use crate::shared::Shared;
use crate::strided::{in_order, packed, steps};
use crate::trace::{Arg, Key, Op, PackedPerm, Part, Rec, Src, Trace};
use crate::tree::array;
use crate::{Error, Result, Store, machine};

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
        self.0 = (self.0 + (seen - self.0) / 8.0).clamp(0.1, 30.0);
    }
}

/// Nanoseconds that planning the first trace of a process takes longer: what all plans use is made, threads start.
const FIRST_PLAN: f64 = 400_000.0;
/// A trace runs here for so many times as long as planning it takes, before it is planned: of the first call of a program nobody knows
/// whether there will be another one.
const WORTH: f64 = 3.0;
/// For as long as planning it takes is enough while all plans together take less than this part of what ran here.
const PART: f64 = 0.25;

/// Nanoseconds that an addition of one element takes, and a byte that lies in the second-level cache, in the last one or in memory.
const OPERATION: f64 = 0.04;
const NEAR: f64 = 0.02;
const MIDDLE: f64 = 0.03;
const FAR: f64 = 0.07;

/// Nanoseconds that planning a trace takes, its first run and the compilation of its kernels aside.
fn planning(trace: &Trace) -> f64 {
    60_000.0 + 10_000.0 * trace.recs.len() as f64
}

/// Nanoseconds that running a trace here takes.
fn running(trace: &Trace) -> f64 {
    trace.recs.iter().map(|rec| 200.0 + of_record(trace, rec)).sum()
}

/// Nanoseconds that a record's elements take.
fn of_record(trace: &Trace, rec: &Rec) -> f64 {
    let layout = |n: u32| &trace.layouts[n as usize];
    let (made, item) = (layout(rec.shape).size as f64, rec.dtype.size() as f64);
    let first = || (layout(rec.args[0].layout).size as f64, rec.args[0].cast.size() as f64);
    let (operations, bytes) = match rec.op {
        Op::Map(ufunc) => {
            let arrays = rec.args().iter().filter(|arg| matches!(arg.src, Src::Node(_) | Src::Input(_)));
            let read: usize = arrays.map(|arg| arg.cast.size()).sum();
            (made * cost::work(ufunc, rec.args[0].cast) as f64, made * (item + read as f64))
        }
        Op::Copy => (made, 2.0 * made * item),
        Op::Index(_) => (made, made * item),
        Op::Update => (first().0, 2.0 * first().0 * item),
        Op::Reduce(_) | Op::Scan(..) => (2.0 * first().0, first().0 * first().1 + made * item),
        Op::Matmul => {
            let length = layout(rec.args[0].layout).shape().last().copied().unwrap_or(1) as f64;
            (made * length * item / 8.0, made * item)
        }
    };
    let near = match bytes as usize {
        n if n < machine::second_level_cache() => NEAR,
        n if n < machine::last_level_cache() / 4 => MIDDLE,
        _ => FAR,
    };
    operations * OPERATION + bytes * near
}

/// Nanoseconds for which a trace has run here, and of its shortest run.
#[derive(Clone, Copy)]
struct Spent {
    in_all: f32,
    shortest: f32,
}

pub(crate) struct Eager {
    spent: HashMap<Key, Spent, BuildKey>,
    runs: Pace,
    plans: Pace,
    has_planned: bool,
    /// Nanoseconds for which traces have run here, and for which plans were made.
    ran: f64,
    planned: f64,
    values: Vec<Option<Arc<Store>>>,
    last_use: Vec<u32>,
    input_use: Vec<u32>,
}

impl Default for Eager {
    fn default() -> Eager {
        Eager {
            spent: HashMap::default(),
            runs: Pace(1.0),
            plans: Pace(1.0),
            has_planned: false,
            ran: 0.0,
            planned: 0.0,
            values: Vec::new(),
            last_use: Vec::new(),
            input_use: Vec::new(),
        }
    }
}

impl Eager {
    /// Runs a trace for which there is no plan, and gives the outputs; `None` where it should be planned.
    pub(crate) fn run(
        &mut self,
        key: Key,
        trace: &Trace,
        outputs: &[u32],
        donated: &[bool],
        passes: &mut Passes,
    ) -> Result<Option<Stores>> {
        let spent = self.spent.get(&key).copied().unwrap_or(Spent { in_all: 0.0, shortest: f32::INFINITY });
        let guess = running(trace);
        let plan = self.plans.expect(planning(trace)) + if self.has_planned { 0.0 } else { FIRST_PLAN };
        let worth = if self.planned + plan <= PART * self.ran { 1.0 } else { WORTH };
        if spent.in_all as f64 + self.runs.expect(guess) >= worth * plan {
            self.spent.remove(&key);
            return Ok(None);
        }
        let start = Instant::now();
        let Some(stores) = self.run_at_once(trace, outputs, donated, passes)? else { return Ok(None) };
        let took = start.elapsed();
        self.runs.learn(guess, took);
        self.ran += took.as_nanos() as f64;
        if self.spent.len() >= REMEMBERED {
            self.spent.clear();
        }
        let took = took.as_nanos() as f32;
        self.spent.insert(key, Spent { in_all: spent.in_all + took, shortest: spent.shortest.min(took) });
        Ok(Some(stores))
    }

    /// Runs a trace here, whatever would be best; `None` where that is not possible.
    pub(crate) fn run_at_once(
        &mut self,
        trace: &Trace,
        outputs: &[u32],
        donated: &[bool],
        passes: &mut Passes,
    ) -> Result<Option<Stores>> {
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
            passes,
            values: &mut self.values,
            last_use: &self.last_use,
            input_use: &self.input_use,
            donated,
        };
        let result = run.all(outputs);
        self.values.clear();
        result.map(Some)
    }

    /// Nanoseconds of the shortest run of a trace here, if there was one and it has no plan.
    pub(crate) fn shortest(&self, key: Key) -> Option<f32> {
        self.spent.get(&key).map(|spent| spent.shortest)
    }

    /// Whether a trace like this has run here.
    pub(crate) fn has_met(&self, key: Key) -> bool {
        self.spent.contains_key(&key)
    }

    /// Notes how long it took to plan a trace.
    pub(crate) fn planned(&mut self, trace: &Trace, took: Duration) {
        self.planned += took.as_nanos() as f64;
        if std::mem::replace(&mut self.has_planned, true) {
            self.plans.learn(planning(trace), took);
        }
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
        Op::Reduce(n) => array::reduces(&trace.reduces[n as usize], rec.args[0].cast, &permuted(trace, rec)),
        Op::Copy | Op::Update | Op::Matmul | Op::Scan(..) | Op::Index(_) => true,
    }
}

/// A record's shape in its order of axes.
fn permuted(trace: &Trace, rec: &Rec) -> Shape {
    let shape = trace.layouts[rec.shape as usize].shape();
    if rec.perm == 0 { shape.into() } else { in_order(shape, rec.perm).into_iter().collect() }
}

/// One run of a trace.
struct Run<'a> {
    trace: &'a Trace,
    passes: &'a mut Passes,
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
            Op::Copy if self.trace.covered.binary_search(&(i as u32)).is_ok() => {
                return Store::alloc(self.layout(rec.shape).size * rec.dtype.size());
            }
            Op::Copy => Code::Copy,
            Op::Index(axis) => Code::Index(axis),
            Op::Reduce(n) => return self.reduce(rec, &self.trace.reduces[n as usize]),
            Op::Matmul => return self.matmul(rec),
            Op::Scan(ufunc, axis) => return self.scan(rec, ufunc, axis),
            Op::Update => unreachable!("`all` calls `update`"),
        };
        if let Some(store) = self.over_an_operand(i) {
            let by = packed(self.layout(rec.shape).shape(), rec.dtype.size());
            let to = (store.raw_ptr(), &by[..]);
            // SAFETY: the operand's memory, which nobody else has, has room for the result, and each point of it is read at that point only.
            unsafe { self.pass(code, rec.args(), rec.dtype, self.layout(rec.shape).shape(), 0, to)? };
            return Ok(store);
        }
        self.fresh(code, rec.args(), rec.dtype, &permuted(self.trace, rec), rec)
    }

    /// The memory of an operand that nobody needs any more, where the result of the same kind can take its place: what two
    /// operations after each other use stays in a nearer cache so.
    fn over_an_operand(&self, i: usize) -> Option<Arc<Store>> {
        let rec = &self.trace.recs[i];
        let item = rec.dtype.size();
        let same = |arg: &Arg| {
            let layout = self.layout(arg.layout);
            layout.class == Class::Identity && layout.shape() == self.layout(rec.shape).shape()
        };
        let is_free = |arg: &&Arg| match arg.src {
            Src::Node(n) => {
                self.last_use[n as usize] == i as u32
                    && arg.part == Part::Whole
                    && self.trace.versions[n as usize].dtype.size() == item
                    && rec.args().iter().all(|other| other.src != arg.src || same(other))
                    && self.values[n as usize].as_ref().is_some_and(|store| {
                        Arc::strong_count(store) == 1 && store.bytes() == self.layout(rec.shape).size * item
                    })
            }
            Src::Input(_) | Src::Scalar(_) | Src::Const(_) => false,
        };
        let arg = rec.args().iter().find(is_free).filter(|_| rec.perm == 0)?;
        match arg.src {
            Src::Node(n) => self.values[n as usize].clone(),
            _ => None,
        }
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
    fn see(&self, arg: &Arg, shape: &[usize], perm: PackedPerm) -> Option<Feed> {
        let (store, whole) = self.source(arg)?;
        let (layout, item) = (self.layout(arg.layout), whole.size());
        let by = steps(layout, shape, item);
        let dtype = if arg.part == Part::Whole { whole } else { whole.real() };
        let inside = if arg.part == Part::Imag { item as i64 / 2 } else { 0 };
        Some(Feed {
            source: Source::Array(
                store.raw_ptr().wrapping_offset((layout.offset * item as i64 + inside) as isize),
                if perm == 0 { by } else { in_order(&by, perm) },
            ),
            dtype,
            cast: arg.cast,
        })
    }

    /// One elementwise pass over a shape whose axes are taken in the order `perm`; `to` is where the results go, with the steps
    /// along the axes in that order.
    ///
    /// # Safety
    /// As for [`Passes::run`].
    unsafe fn pass(
        &mut self,
        code: Code,
        args: &[Arg],
        dtype: DType,
        shape: &[usize],
        perm: PackedPerm,
        to: (*mut u8, &[i64]),
    ) -> Result<()> {
        let feeds: SmallVec<[Feed; 3]> = args
            .iter()
            .map(|arg| match arg.src {
                Src::Scalar(n) => Feed::scalar(self.trace.scalars[n as usize], arg.cast),
                Src::Const(n) => Feed::scalar(self.trace.consts[n as usize].bits, arg.cast),
                Src::Node(_) | Src::Input(_) => self.see(arg, shape, perm).expect("what is read is there"),
            })
            .collect();
        let ordered = if perm == 0 { None } else { Some(in_order(shape, perm)) };
        let shape = ordered.as_deref().unwrap_or(shape);
        // SAFETY: the stores hold every element that their layouts show; of the results the caller says so.
        unsafe { self.passes.run(code, &feeds, dtype, shape, to) }
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
        let mut reads = args.iter().filter_map(|arg| self.see(arg, shape, 0));
        let at_once = reads.all(|feed| feed.lets_write(shape, to, &by, item));
        // SAFETY: the layout's elements lie in the store, which nobody else reads; what is read of it is read at the point that
        // replaces it, or all of it before.
        unsafe {
            if at_once {
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
        if let Some(Feed { source: Source::Array(ptr, steps), dtype, cast }) = self.see(arg, shape, perm)
            && dtype == cast
            && steps.iter().zip(&by).zip(&extent).all(|((a, b), &n)| a == b || n == 1)
        {
            return Ok((ptr, None));
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
        let store = Store::alloc(array::kept(reduce, &shape) * rec.dtype.size())?;
        // SAFETY: `from` has all elements in C order; the memory is new and has room for a result for each kept place.
        unsafe { array::reduce(reduce, dtype, &shape, from, rec.dtype, store.raw_ptr())? };
        Ok(store)
    }

    fn matmul(&mut self, rec: &Rec) -> Result<Arc<Store>> {
        let item = rec.dtype.size();
        let mut kept: SmallVec<[Arc<Store>; 2]> = SmallVec::new();
        let mut operands: SmallVec<[(*mut u8, &Layout, Strides); 2]> = SmallVec::new();
        for arg in rec.args() {
            let layout = self.layout(arg.layout);
            let (ptr, by) = match self.see(arg, layout.shape(), 0) {
                Some(Feed { source: Source::Array(ptr, by), dtype, cast }) if dtype == cast => (ptr, by),
                _ => {
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
        library::matmul(&args[0], &args[1], &out)?;
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
