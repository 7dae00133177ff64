//! A matrix read once for two products: `z = A x`, elementwise work on z, and `Aᵀ e` with what came of it.
//!
//! A step of gradient descent is such a run: every row of A gives an element of z, that gives one of e, and e's element says how
//! much of the row goes into the result. One after the other, the two products read the matrix from memory twice. Here a block
//! of rows does all three while it is in the second-level cache.
//!
//! The bits are those of the steps one by one: rows of the first product know nothing of each other, the launch runs by points
//! or by the chunks of its reductions' trees, and the second product's sums are cut into the same parts ([`gemv::TERMS`] rows).
//! A part that reaches over the edge between two tasks is formed when all tasks are done.
//!
//! A boundary file: it hands the operands' addresses to the products' loops.

use std::cell::UnsafeCell;
use std::ops::Range;

use legate_jit_ir::graph::Opaque;
use legate_jit_ir::plan::{BufferId, Launch, Operand, Plan, Step, Target};
use legate_jit_ir::shape::size;
use legate_jit_ir::{DType, View};
use legate_jit_passes::schedule::written_by;

use super::Frame;
use super::launch::PreparedLaunch;
use super::operand::OpaqueOperand;
use crate::library::gemv::{self, Out, Real, Rows, TERMS};
use crate::library::{self, matmul::OWN_MATRIX};
use crate::{Error, Result, Tier, pool};

/// Bytes of a matrix from which it is not in a cache when it is read for the second time. (Tests have small arrays.)
const WORTHWHILE_BYTES: usize = if cfg!(test) { 1 << 10 } else { 4 << 20 };
/// Bytes that the rows of a part may take, to be found in a cache again.
const PART_BYTES: usize = 2 << 20;
/// Bytes of the matrix that a block of rows should have at least, and a task.
const BLOCK_BYTES: usize = if cfg!(test) { 1 << 10 } else { 128 << 10 };
const TASK_BYTES: usize = if cfg!(test) { 1 << 14 } else { 1 << 20 };
/// Tasks for each thread.
const TASKS_A_THREAD: usize = 8;

pub struct Banded {
    launch: Option<PreparedLaunch>,
    /// The launch's chunks, where it reduces.
    chunks: Vec<Range<usize>>,
    /// Arguments and result of the two products.
    first: [OpaqueOperand; 3],
    last: [OpaqueOperand; 3],
    dtype: DType,
    rows: usize,
    columns: usize,
}

/// The number of steps from `at` on that can be worked off together, if they are such a run. `memory` names the first buffer of
/// each memory.
pub fn run_length(plan: &Plan, memory: &[BufferId], at: usize) -> Option<usize> {
    let home = |b: BufferId| memory[b.0 as usize];
    let (matrix, x, z) = product(plan, plan.steps.get(at)?)?;
    let mut launch = None;
    let mut next = at + 1;
    let (transposed, e, result) = loop {
        match plan.steps.get(next)? {
            Step::Free(_) => {}
            Step::Launch(l) if launch.is_none() => launch = Some(l),
            Step::Launch(_) => return None,
            step => break product(plan, step)?,
        }
        next += 1;
    };
    let (m, n) = (matrix.view.shape[0], matrix.view.shape[1]);
    let item = plan.buffer(matrix.buffer).ty.dtype.size();
    let whole = |o: &Operand| o.view.is_identity(&plan.buffer(o.buffer).ty.shape);
    let turned = |o: &Operand| {
        let at = |k: usize, d: u32| o.view.axes[k].start == 0 && o.view.axes[k].terms[..] == [(d, 1)];
        o.buffer == matrix.buffer && o.view.shape[..] == [n, m] && at(0, 1) && at(1, 0)
    };
    let fits = n >= 2
        && m * n >= OWN_MATRIX
        && m >= 2 * TERMS
        && m * n * item >= WORTHWHILE_BYTES
        && TERMS * n * item <= PART_BYTES
        && whole(matrix)
        && turned(transposed);
    if !fits || !element_a_row(plan, e, &e.view, m) {
        return None;
    }
    let inputs = [home(matrix.buffer), home(x.buffer)];
    if inputs.contains(&home(z)) || inputs.contains(&home(result)) {
        return None;
    }
    match launch {
        None => (e.buffer == z).then_some(next + 1 - at),
        Some(launch) => {
            // Every row of the launch reads of z, and writes of e, its own element.
            let shared = [home(z), home(e.buffer)];
            let own = |t: &Target| match t {
                Target::Buffer(o) => !shared.contains(&home(o.buffer)) || element_a_row(plan, o, &o.view, m),
                Target::Stream(_) => true,
            };
            let written: Vec<BufferId> = written_by(plan, launch).into_iter().map(home).collect();
            // Its sums are written when all rows are done, and so is the second product's result.
            let results = launch.streams.iter().all(|s| !shared.contains(&home(s.out)));
            (by_rows(launch, m)
                && launch.targets.iter().all(own)
                && results
                && !inputs.iter().any(|i| written.contains(i)))
            .then_some(next + 1 - at)
        }
    }
}

/// The operands and the result of a product of a matrix and a vector.
fn product<'a>(plan: &'a Plan, step: &'a Step) -> Option<(&'a Operand, &'a Operand, BufferId)> {
    let Step::Opaque { op: Opaque::Matmul, args, out } = step else { return None };
    let ty = &plan.buffer(*out).ty;
    let column = ty.shape.len() == 2 && ty.shape[1] == 1;
    let same = args.iter().all(|a| plan.buffer(a.buffer).ty.dtype == ty.dtype);
    (column && same && matches!(ty.dtype, DType::F32 | DType::F64)).then(|| (&args[0], &args[1], *out))
}

/// Whether a view of a buffer with one element for each of m rows gives row i its element i.
fn element_a_row(plan: &Plan, operand: &Operand, view: &View, m: usize) -> bool {
    let shape = &plan.buffer(operand.buffer).ty.shape;
    size(shape) == m
        && shape[0] == m
        && view.shape.first() == Some(&m)
        && view.axes[0].start == 0
        && view.axes[0].terms[..] == [(0, 1)]
}

/// A launch over m rows of one point, all alike.
fn by_rows(launch: &Launch, m: usize) -> bool {
    let [piece] = &launch.pieces[..] else { return false };
    let all = piece.lo.iter().all(|&lo| lo == 0) && piece.hi == launch.domain;
    launch.domain.first() == Some(&m) && size(&launch.domain) == m && all
}

impl Banded {
    pub fn launches(&self) -> &[PreparedLaunch] {
        self.launch.as_slice()
    }

    /// For a run that [`run_length`] found. None where the launch's reductions cannot be cut.
    pub fn new(plan: &Plan, steps: &[Step], tier: Tier) -> Result<Option<Banded>> {
        let mut launch = None;
        let mut products = Vec::new();
        for step in steps {
            match step {
                Step::Launch(l) => {
                    launch = Some((PreparedLaunch::new(plan, l, tier)?.cut_finely(), !l.streams.is_empty()))
                }
                Step::Opaque { args, out, .. } => products.push([
                    OpaqueOperand::new(plan, &args[0]),
                    OpaqueOperand::new(plan, &args[1]),
                    OpaqueOperand::whole(plan, *out),
                ]),
                Step::Free(_) => {}
            }
        }
        let chunks = match &launch {
            Some((launch, true)) => launch.chunks(),
            _ => Vec::new(),
        };
        if launch.as_ref().is_some_and(|l| l.1) && chunks.is_empty() {
            return Ok(None);
        }
        let last = products.pop().expect("two products");
        let first = products.pop().expect("two products");
        let (dtype, rows, columns) = (first[0].dtype(), first[0].shape()[0], first[0].shape()[1]);
        Ok(Some(Banded { launch: launch.map(|l| l.0), chunks, first, last, dtype, rows, columns }))
    }

    pub fn run(&self, frame: &Frame) -> Result<()> {
        match self.dtype {
            DType::F32 => self.run_as::<f32>(frame),
            _ => self.run_as::<f64>(frame),
        }
    }

    fn run_as<T: Real>(&self, frame: &Frame) -> Result<()> {
        let [a, x, z] = self.first.each_ref().map(|o| o.at(frame));
        let [_, e, out] = self.last.each_ref().map(|o| o.at(frame));
        let item = size_of::<T>() as i64;
        let fits = |s: &library::Strided| s.strides[0] == item && s.ptr.cast::<T>().is_aligned();
        // (Arrays that foreign code has made may lie anywhere.)
        if !(fits(&x) && fits(&z) && fits(&e) && fits(&out) && a.ptr.cast::<T>().is_aligned()) {
            return self.one_by_one(frame);
        }
        let matrix = Rows {
            ptr: a.ptr as *const T,
            rows: self.rows,
            columns: self.columns,
            step: self.columns as isize,
            stride: 1,
        };
        // SAFETY: the plan's operands are valid; nobody writes x meanwhile.
        let x = unsafe { std::slice::from_raw_parts(x.ptr as *const T, self.columns) };
        let e = e.ptr as *const T;
        let z = Out { ptr: z.ptr.cast::<T>(), step: 1 };
        let parts = self.rows.div_ceil(TERMS);
        let sums = Sums::<T>((0..parts * self.columns).map(|_| UnsafeCell::new(T::ZERO)).collect());
        // SAFETY (of who calls it): each part is formed by one task, after its rows of e.
        let part = |p: usize, e: Element<T>| unsafe {
            let e = std::slice::from_raw_parts(e.0, self.rows);
            gemv::add_part(e, matrix, p, 0..self.columns, sums.part(p, self.columns));
        };
        let e = Element(e);
        let partials = self.launch.as_ref().map(PreparedLaunch::room_for_partials);
        // Units of the launch's work, some of which are a task.
        let units = if self.chunks.is_empty() { parts } else { self.chunks.len() };
        let end_of = |unit: usize| match self.chunks.get(unit) {
            Some(chunk) => chunk.end,
            None => ((unit + 1) * TERMS).min(self.rows),
        };
        let bytes = |rows: usize| rows * self.columns * size_of::<T>();
        let tasks = (bytes(self.rows) / TASK_BYTES).min(TASKS_A_THREAD * pool::threads()).clamp(1, units);
        let units_of = |task: usize| units * task / tasks..units * (task + 1) / tasks;
        let first_row = |task: usize| match units_of(task).start {
            0 => 0,
            unit => end_of(unit - 1),
        };
        pool::run(tasks, &|task, _| {
            let mut done = first_row(task);
            // Parts that begin in this task.
            let mut next = done.div_ceil(TERMS);
            let mine = units_of(task);
            let mut unit = mine.start;
            while unit < mine.end {
                let from = unit;
                while unit < mine.end && (unit == from || bytes(end_of(unit - 1) - done) < BLOCK_BYTES) {
                    unit += 1;
                }
                let rows = done..end_of(unit - 1);
                // SAFETY: rows of the matrix, whose results this task alone writes.
                unsafe { gemv::rows_times_vector(matrix, rows.clone(), x, z) };
                if let (Some(launch), Some(partials)) = (&self.launch, &partials) {
                    match self.chunks.is_empty() {
                        true => launch.run_box_here(frame, &[Some((0, rows.clone()))]),
                        false => launch.run_chunks_here(frame, &self.chunks, from..unit, partials),
                    }
                }
                done = rows.end;
                while ((next + 1) * TERMS).min(self.rows) <= done && next < parts {
                    part(next, e);
                    next += 1;
                }
            }
        })
        .map_err(Error::Runtime)?;
        let mut over_edges: Vec<usize> =
            (1..tasks).map(first_row).filter(|row| row % TERMS != 0).map(|row| row / TERMS).collect();
        over_edges.dedup();
        pool::run(over_edges.len(), &|i, _| part(over_edges[i], e)).map_err(Error::Runtime)?;
        if let (Some(launch), Some(partials)) = (&self.launch, &partials) {
            launch.finish(frame, partials);
        }
        let mut sums = sums.into_vec();
        // SAFETY: a result for each column, which nobody reads or writes now.
        unsafe { gemv::add_parts(&mut sums, self.columns, Out { ptr: out.ptr.cast::<T>(), step: 1 }) };
        Ok(())
    }

    fn one_by_one(&self, frame: &Frame) -> Result<()> {
        let product = |operands: &[OpaqueOperand; 3]| {
            let [a, b, out] = operands.each_ref().map(|o| o.at(frame));
            library::run(&Opaque::Matmul, &[a, b], &out)
        };
        product(&self.first)?;
        if let Some(launch) = &self.launch {
            launch.run(frame)?;
        }
        product(&self.last)
    }
}

/// The address of e's elements, for all threads.
#[derive(Clone, Copy)]
struct Element<T>(*const T);

// SAFETY: an element is read by the task that has written it, or when all tasks are done.
unsafe impl<T: Sync> Sync for Element<T> {}

/// The sums of all parts.
struct Sums<T>(Box<[UnsafeCell<T>]>);

// SAFETY: each part is touched by one task.
unsafe impl<T: Send> Sync for Sums<T> {}

impl<T: Real> Sums<T> {
    /// # Safety
    /// Nobody else has the part.
    #[allow(clippy::mut_from_ref)]
    unsafe fn part(&self, p: usize, columns: usize) -> &mut [T] {
        let part = &self.0[p * columns..(p + 1) * columns];
        // SAFETY: a cell is laid out like what is in it; the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(part.as_ptr() as *mut T, columns) }
    }

    fn into_vec(self) -> Vec<T> {
        self.0.into_iter().map(UnsafeCell::into_inner).collect()
    }
}

#[cfg(test)]
mod tests;
