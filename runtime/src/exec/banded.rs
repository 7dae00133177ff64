//! A matrix read once for two products: `z = A x`, elementwise work on z, and `Aᵀ e`, with what came of it or with another vector.
//!
//! A step of gradient descent is such a run: every row of A gives an element of z, that gives one of e, and e's element says how
//! much of the row goes into the result. So are the two products of a biconjugate gradient, which know nothing of each other.
//! One after the other, the two products read the matrix from memory twice. Here a block of rows does all three while it is in
//! the second-level cache.
//!
//! The bits are those of the steps one by one: rows of the first product know nothing of each other, the launch runs by points
//! or by the chunks of its reductions' trees, and the second product's sums are cut into the same parts ([`gemv::TERMS`] rows),
//! to which blocks add their rows in order. Where chunks say where tasks end, a part that reaches over the edge between two of
//! them is formed when all are done.
//!
//! A boundary file: it hands the operands' addresses to the products' loops.

use std::cell::UnsafeCell;
use std::ops::Range;

use legate_jit_ir::DType;
use legate_jit_ir::graph::Opaque;
use legate_jit_ir::plan::{BufferId, Launch, Operand, Plan, Step, Target};
use legate_jit_ir::shape::size;
use legate_jit_passes::schedule::written_by;

use super::Frame;
use super::launch::PreparedLaunch;
use super::operand::OpaqueOperand;
use crate::library::gemv::{self, Out, ROWS, Real, Rows, STRIP, TERMS};
use crate::library::{self, matmul::OWN_MATRIX};
use crate::{Error, Result, Tier, pool};

/// Bytes of a matrix from which it is not in a cache when it is read for the second time. (Tests have small arrays.)
const WORTHWHILE_BYTES: usize = if cfg!(test) { 1 << 10 } else { 4 << 20 };
/// Bytes that the rows of a part may take, to be found in a cache again, where a block has whole parts.
const PART_BYTES: usize = if cfg!(test) { 1 << 18 } else { 2 << 20 };
/// Bytes of the matrix that a block of rows should have at least, at most, and a task.
const BLOCK_BYTES: usize = if cfg!(test) { 1 << 10 } else { 128 << 10 };
const MOST_BLOCK_BYTES: usize = if cfg!(test) { 1 << 14 } else { 1 << 20 };
const TASK_BYTES: usize = if cfg!(test) { 1 << 14 } else { 1 << 20 };
/// Tasks for each thread.
const TASKS_A_THREAD: usize = 8;

pub struct Banded {
    /// Between the products.
    launch: Option<PreparedLaunch>,
    /// Of products in the other order: with what the first one gave.
    behind: Option<PreparedLaunch>,
    /// The launch's chunks, where it reduces.
    chunks: Vec<Range<usize>>,
    /// Arguments and result of the two products, in the order of the steps.
    products: [[OpaqueOperand; 3]; 2],
    /// Which of them is the one along the rows.
    along: usize,
    dtype: DType,
    rows: usize,
    columns: usize,
}

/// The number of steps from `at` on that can be worked off together, if they are such a run. `memory` names the first buffer of
/// each memory.
pub fn run_length(plan: &Plan, memory: &[BufferId], at: usize) -> Option<usize> {
    let home = |b: BufferId| memory[b.0 as usize];
    let first = Product::of(plan, plan.steps.get(at)?)?;
    let mut launch = None;
    let mut next = at + 1;
    let last = loop {
        match plan.steps.get(next)? {
            Step::Free(_) => {}
            Step::Launch(l) if launch.is_none() => launch = Some(l),
            Step::Launch(_) => return None,
            step => break Product::of(plan, step)?,
        }
        next += 1;
    };
    // Products that do not wait for each other may come in either order.
    let swapped = first.down;
    let (along, down) = if swapped { (last, first) } else { (first, last) };
    if along.down || !down.down || along.matrix.buffer != down.matrix.buffer {
        return None;
    }
    let &[m, n] = &plan.buffer(along.matrix.buffer).ty.shape[..] else { return None };
    let item = plan.buffer(along.matrix.buffer).ty.dtype.size();
    let chunked = !swapped && launch.is_some_and(|l| !l.streams.is_empty());
    let fits = n >= 2
        && m * n >= OWN_MATRIX
        && m >= 2 * TERMS
        && m * n * item >= WORTHWHILE_BYTES
        && if chunked || TERMS * n * item <= PART_BYTES {
            TERMS * n * item <= PART_BYTES
        } else {
            // A task has whole parts, and steps of a part fit the cache.
            m.div_ceil(TERMS) >= 2 * pool::threads() && ROWS * n * item <= MOST_BLOCK_BYTES
        };
    if !fits || !element_a_row(plan, down.vector, m) {
        return None;
    }
    let (x, z, e, result) = (along.vector.buffer, along.out, down.vector.buffer, down.out);
    let inputs = [home(along.matrix.buffer), home(x)];
    if inputs.contains(&home(z)) || inputs.contains(&home(result)) {
        return None;
    }
    if swapped {
        // z is written before e has been read to its end, and before the launch, which has what the first product gave.
        let touched = |launch: &Launch, b: BufferId| {
            let target = |t: &Target| matches!(t, Target::Buffer(o) if home(o.buffer) == b);
            launch.targets.iter().any(target) || launch.streams.iter().any(|s| home(s.out) == b)
        };
        let behind = |launch: &Launch| {
            let written: Vec<BufferId> = written_by(plan, launch).into_iter().map(home).collect();
            !touched(launch, home(z)) && !inputs.iter().any(|i| written.contains(i))
        };
        return (home(z) != home(e) && launch.is_none_or(behind)).then_some(next + 1 - at);
    }
    match launch {
        None => Some(next + 1 - at),
        Some(launch) => {
            // Every row of the launch reads of z, and writes of e, its own element.
            let shared = [home(z), home(e)];
            let own = |t: &Target| match t {
                Target::Buffer(o) => !shared.contains(&home(o.buffer)) || element_a_row(plan, o, m),
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

/// A product of a whole matrix in memory and a vector, written as a row or as a column.
struct Product<'a> {
    matrix: &'a Operand,
    vector: &'a Operand,
    out: BufferId,
    /// Whether it sums down the columns.
    down: bool,
}

impl Product<'_> {
    fn of<'a>(plan: &'a Plan, step: &'a Step) -> Option<Product<'a>> {
        let Step::Opaque { op: Opaque::Matmul(_), args, out } = step else { return None };
        let ty = &plan.buffer(*out).ty;
        let same = args.iter().all(|a| plan.buffer(a.buffer).ty.dtype == ty.dtype);
        if !same || !matches!(ty.dtype, DType::F32 | DType::F64) {
            return None;
        }
        let (matrix, vector, column) = match ty.shape[..] {
            [rows, 1] if rows > 1 => (&args[0], &args[1], true),
            [1, columns] if columns > 1 => (&args[1], &args[0], false),
            _ => return None,
        };
        let shape = &plan.buffer(matrix.buffer).ty.shape;
        let whole = matrix.view.is_identity(shape);
        let turned = || {
            let at = |k: usize, d: u32| matrix.view.axes[k].start == 0 && matrix.view.axes[k].terms[..] == [(d, 1)];
            shape.len() == 2 && matrix.view.shape[..] == [shape[1], shape[0]] && at(0, 1) && at(1, 0)
        };
        (whole || turned()).then_some(Product { matrix, vector, out: *out, down: whole != column })
    }
}

/// Whether a view of a buffer with one element for each of m rows gives row i its element i: the rows are the only axis that has
/// more than one index.
fn element_a_row(plan: &Plan, operand: &Operand, m: usize) -> bool {
    let shape = &plan.buffer(operand.buffer).ty.shape;
    let view = &operand.view;
    let long = |shape: &[usize]| shape.iter().position(|&extent| extent == m);
    let (Some(d), Some(k)) = (long(&view.shape), long(shape)) else { return false };
    size(shape) == m && size(&view.shape) == m && view.axes[k].start == 0 && view.axes[k].terms[..] == [(d as u32, 1)]
}

/// A launch over m points, all alike.
fn by_rows(launch: &Launch, m: usize) -> bool {
    let [piece] = &launch.pieces[..] else { return false };
    let all = piece.lo.iter().all(|&lo| lo == 0) && piece.hi == launch.domain;
    launch.domain.contains(&m) && size(&launch.domain) == m && all
}

impl Banded {
    pub fn launches(&self) -> &[PreparedLaunch] {
        self.launch.as_ref().or(self.behind.as_ref()).map_or(&[], std::slice::from_ref)
    }

    /// For a run that [`run_length`] found. None where the launch's reductions cannot be cut.
    pub fn new(plan: &Plan, steps: &[Step], tier: Tier) -> Result<Option<Banded>> {
        let (mut launch, mut behind) = (None, None);
        let mut products = Vec::new();
        let mut shape = [0; 2];
        let (mut along, mut swapped) = (0, false);
        for step in steps {
            match step {
                Step::Launch(l) if swapped => behind = Some(PreparedLaunch::new(plan, l, tier)?),
                Step::Launch(l) => {
                    launch = Some((PreparedLaunch::new(plan, l, tier)?.cut_finely(), !l.streams.is_empty()))
                }
                Step::Opaque { args, out, .. } => {
                    let product = Product::of(plan, step).expect("run_length found one");
                    swapped = products.is_empty() && product.down;
                    shape.copy_from_slice(&plan.buffer(product.matrix.buffer).ty.shape);
                    if !product.down {
                        along = products.len();
                    }
                    products.push([
                        OpaqueOperand::new(plan, &args[0]),
                        OpaqueOperand::new(plan, &args[1]),
                        OpaqueOperand::whole(plan, *out),
                    ])
                }
                Step::Free(_) => {}
            }
        }
        let chunks = match &launch {
            Some((launch, true)) => launch.chunks(),
            _ => Vec::new(),
        };
        let cut = |(launch, chunked): &(PreparedLaunch, bool)| match chunked {
            true => !chunks.is_empty(),
            false => launch.divides(shape[0], 1),
        };
        if !launch.as_ref().is_none_or(cut) {
            return Ok(None);
        }
        let Ok(products) = <[[OpaqueOperand; 3]; 2]>::try_from(products) else { return Ok(None) };
        let dtype = products[0][2].dtype();
        let [rows, columns] = shape;
        Ok(Some(Banded { launch: launch.map(|l| l.0), behind, chunks, products, along, dtype, rows, columns }))
    }

    pub fn run(&self, frame: &Frame) -> Result<()> {
        match self.dtype {
            DType::F32 => self.run_as::<f32>(frame),
            _ => self.run_as::<f64>(frame),
        }
    }

    fn run_as<T: Real>(&self, frame: &Frame) -> Result<()> {
        let item = size_of::<T>() as i64;
        // The matrix, the vector and the result, of which the latter two may lie as rows or as columns.
        let operands = |product: &'_ [OpaqueOperand; 3]| {
            let [a, b, out] = product.each_ref().map(|o| o.at(frame));
            let column = out.shape[1] == 1;
            let (matrix, vector) = if column { (a, b) } else { (b, a) };
            let step = |s: &library::Strided| s.strides[usize::from(!column)];
            let fits = [&vector, &out].iter().all(|s| step(s) == item && s.ptr.cast::<T>().is_aligned());
            (matrix.ptr, vector.ptr, out.ptr, fits && matrix.ptr.cast::<T>().is_aligned())
        };
        let (a, x, z, first_fits) = operands(&self.products[self.along]);
        let (_, e, out, last_fits) = operands(&self.products[1 - self.along]);
        // (Arrays that foreign code has made may lie anywhere.)
        if !(first_fits && last_fits) {
            return self.one_by_one(frame);
        }
        let matrix =
            Rows { ptr: a as *const T, rows: self.rows, columns: self.columns, step: self.columns as isize, stride: 1 };
        // SAFETY: the plan's operands are valid; nobody writes x meanwhile.
        let x = unsafe { std::slice::from_raw_parts(x as *const T, self.columns) };
        let e = Element(e as *const T);
        let z = Out { ptr: z.cast::<T>(), step: 1 };
        let parts = self.rows.div_ceil(TERMS);
        let sums = Sums::<T>((0..parts * self.columns).map(|_| UnsafeCell::new(T::ZERO)).collect());
        // SAFETY (of who calls it): each part is formed by one task, in order, each of its rows after their elements of e.
        let add = |p: usize, rows: Range<usize>, e: Element<T>| unsafe {
            let e = std::slice::from_raw_parts(e.0, self.rows);
            let sums = sums.part(p, self.columns);
            for (strip, sums) in sums.chunks_mut(STRIP).enumerate() {
                gemv::add_some(e, matrix, rows.clone(), strip * STRIP..strip * STRIP + sums.len(), sums);
            }
        };
        let end_of_part = |p: usize| ((p + 1) * TERMS).min(self.rows);
        let partials = self.launch.as_ref().map(PreparedLaunch::room_for_partials);
        let chunked = !self.chunks.is_empty();
        // Units of which a task has some: the launch's chunks, or parts of the sums.
        let units = if chunked { self.chunks.len() } else { parts };
        let end_of = |unit: usize| self.chunks.get(unit).map_or_else(|| end_of_part(unit), |chunk| chunk.end);
        let bytes = |rows: usize| rows * self.columns * size_of::<T>();
        let tasks = (bytes(self.rows) / TASK_BYTES).min(TASKS_A_THREAD * pool::threads()).clamp(1, units);
        let units_of = |task: usize| units * task / tasks..units * (task + 1) / tasks;
        let first_row = |task: usize| match units_of(task).start {
            0 => 0,
            unit => end_of(unit - 1),
        };
        // Parts of long rows take several blocks.
        let most = (MOST_BLOCK_BYTES / bytes(ROWS).max(1) * ROWS).max(ROWS);
        pool::run(tasks, &|task, _| {
            let mut done = first_row(task);
            // Parts that begin in this task, and how far they are added up.
            let mut next = done.div_ceil(TERMS);
            let mut added = next * TERMS;
            let mine = units_of(task);
            let end = end_of(mine.end - 1);
            let mut unit = mine.start;
            while done < end {
                let (from, start) = (unit, done);
                while unit < mine.end && (unit == from || bytes(end_of(unit - 1) - start) < BLOCK_BYTES) {
                    unit += 1;
                }
                done = end_of(unit - 1);
                if !chunked && done - start > most {
                    // (The part that is begun may be the one to go on with.)
                    done = start + most;
                    unit = done / TERMS;
                }
                let rows = start..done;
                // SAFETY: rows of the matrix, whose results this task alone writes.
                unsafe { gemv::rows_times_vector(matrix, rows.clone(), x, z) };
                if let (Some(launch), Some(partials)) = (&self.launch, &partials) {
                    match chunked {
                        false => drop(launch.run_rows_here(frame, rows.clone(), self.rows, 1)),
                        true => launch.run_chunks_here(frame, &self.chunks, from..unit, partials, 0),
                    }
                }
                while next < parts && end_of_part(next) <= done {
                    add(next, added..end_of_part(next), e);
                    next += 1;
                    added = next * TERMS;
                }
                if !chunked && added < done {
                    // (Such a block is a number of whole steps.)
                    add(next, added..done, e);
                    added = done;
                }
            }
        })
        .map_err(Error::Runtime)?;
        let mut over_edges: Vec<usize> =
            (1..tasks).map(first_row).filter(|row| row % TERMS != 0).map(|row| row / TERMS).collect();
        over_edges.dedup();
        let over_edge = |i: usize| {
            let p = over_edges[i];
            add(p, p * TERMS..end_of_part(p), e);
        };
        pool::run(over_edges.len(), &|i, _| over_edge(i)).map_err(Error::Runtime)?;
        if let (Some(launch), Some(partials)) = (&self.launch, &partials) {
            launch.finish(frame, partials.as_slice());
        }
        let mut sums = sums.into_vec();
        // SAFETY: a result for each column, which nobody reads or writes now.
        unsafe { gemv::add_parts(&mut sums, self.columns, Out { ptr: out.cast::<T>(), step: 1 }) };
        self.behind.as_ref().map_or(Ok(()), |launch| launch.run(frame))
    }

    fn one_by_one(&self, frame: &Frame) -> Result<()> {
        let product = |operands: &[OpaqueOperand; 3]| {
            let [a, b, out] = operands.each_ref().map(|o| o.at(frame));
            library::matmul(&a, &b, &out)
        };
        product(&self.products[0])?;
        if let Some(launch) = self.launch.as_ref().or(self.behind.as_ref()) {
            launch.run(frame)?;
        }
        product(&self.products[1])
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
