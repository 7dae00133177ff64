//! Kernels that add up what they would store: NumPy's pairwise sum of the values of a row, leaf by leaf.
//!
//! A leaf's eight accumulators are the lanes of one vector, which stays in a register until the leaf is done. Written to memory and
//! read again, even from the first-level cache, the values take twice as long. The same order as in the runtime's `tree::pairwise`.
//!
//! The first leaf may have been begun elsewhere, and the last one may end elsewhere: accumulators come from memory and go there.

use std::cell::Cell;

use melior::ir::Value;
use melior::ir::block::BlockLike;

use super::body::Body;
use super::build::{Build, Elem, V};
use super::course::Course;
use super::memory::{At, Row};
use super::power::Near;
use super::{AHEAD, Arguments, Steps, Val};
use crate::{Error, Result};
use legate_jit_ir::{InnerStride, Kernel};

/// Accumulators of a leaf.
const LANES: u32 = 8;

/// Whether a kernel is one of these.
pub fn adds_up(kernel: &Kernel) -> bool {
    kernel.accesses.iter().any(|a| a.inner == InnerStride::Leaves)
}

/// The loop over the leaves and everything inside it.
pub fn leaves<'c>(build: &Build<'c, '_>, course: &Course, steps: Steps, arguments: &Arguments<'c>) -> Result<()> {
    let kernel = &course.kernel;
    if kernel.rank != 1 || kernel.accesses.iter().any(|a| a.inner == InnerStride::Any || a.dtype.is_complex()) {
        return Err(Error::Kernel("leaves are added up along one axis of contiguous numbers".into()));
    }
    let extent = Value::from(build.block.argument(4).expect("five arguments"));
    let lengths = build.load_ptr(build.offset_bytes(extent, 8));
    let row = Row::new(build, kernel, arguments, &arguments.ptrs, &[None]);
    let sums: Vec<(u32, Elem)> = kernel
        .body
        .stores
        .iter()
        .map(|&(a, _)| (a, kernel.accesses[a as usize]))
        .filter(|(_, access)| access.inner == InnerStride::Leaves)
        .map(|(a, access)| (a, Elem::of(access.dtype)))
        .collect();
    // (A leaf that is added up again would store again what it also stores.)
    let near = Near::of(build, course).filter(|_| sums.len() == kernel.body.stores.len());
    let lines = Lines { kernel, row, sums, course, steps, near };
    // Points of the first leaf that were added elsewhere, and what they have given; and, of one that does not end here, how many
    // points there are and where its accumulators go.
    let [begun, begins, open, ends] = [16, 24, 32, 40].map(|at| build.offset_bytes(extent, at));
    let [begun, open] = [begun, open].map(|at| build.load(Elem::I64, at));
    let [begins, ends] = [begins, ends].map(|at| build.load_ptr(at));
    let of = |table: V<'c>, access: u32| build.load_ptr(build.offset_bytes(table, 8 * access as i32));
    let begin = lines.sums.iter().map(|&(a, e)| build.with_lanes(LANES).load(e, of(begins, a)));
    let ends: Vec<V<'c>> = lines.sums.iter().map(|&(a, _)| of(ends, a)).collect();
    let mut result = Ok(());
    let (zero, one) = (build.int(Elem::I64, 0), build.int(Elem::I64, 1));
    let state: Vec<V<'c>> = [zero, begun].into_iter().chain(begin).collect();
    let state = build.for_state(zero, arguments.extent[0], one, &state, |b, leaf, state| {
        let from = state[0];
        let length = b.load(Elem::I64, b.offset(lengths, leaf, Elem::I64));
        let length = b.op("arith.subi", &[length, state[1]], Elem::I64);
        let end = b.op("arith.addi", &[from, length], Elem::I64);
        let whole = b.op("arith.andi", &[length, b.int(Elem::I64, -(LANES as i64))], Elem::I64);
        let at = b.op("arith.addi", &[from, whole], Elem::I64);
        let (start, all) = (&state[2..], b.with_lanes(LANES));
        let lanes = match lines.near {
            None => lines.vectors(b, from, whole, start, None, &mut result),
            // Whether all powers of the leaf were near is asked once. Where some was not, the leaf is added up again.
            Some(near) => {
                let state: Vec<V<'c>> = start.iter().copied().chain([near.none(&all)]).collect();
                let added = lines.vectors(b, from, whole, &state, Some(near), &mut result);
                let (far, added) = added.split_last().expect("what tells whether some power is not near");
                let far = b.rarely(near.is_some_far(&all, *far));
                b.if_else(far, |b| lines.vectors(b, from, whole, start, None, &mut result), |_| added.to_vec())
            }
        };
        let total = across(b, &lines.sums, &lanes);
        // Of all leaves of a row only the last may have more than whole vectors.
        const LT: i64 = 2;
        let more = b.rarely(b.compare("arith.cmpi", LT, at, end));
        let rest = |b: &Build<'c, '_>| {
            let one = b.int(Elem::I64, 1);
            b.for_state(at, end, one, &total, |b, i, state| lines.part(b, i, 1, state, None, &mut result))
        };
        let total = b.if_else(more, rest, |_| total.clone());
        for (&(a, e), &sum) in lines.sums.iter().zip(&total) {
            b.store(e, sum, b.offset(lines.row.address(a), leaf, e));
        }
        // -0.0 plus anything is that.
        let fresh = lines.sums.iter().map(|&(_, e)| b.with_lanes(LANES).float(e, -0.0));
        [end, b.int(Elem::I64, 0)].into_iter().chain(fresh).collect()
    });
    let (from, step) = (state[0], build.int(Elem::I64, LANES as i64));
    let until = build.op("arith.addi", &[from, open], Elem::I64);
    build.for_state(from, until, step, &state[2..], |b, i, state| {
        let b = b.with_lanes(LANES);
        let state = lines.part(&b, i, 1, state, None, &mut result);
        lines.sums.iter().zip(state.iter().zip(&ends)).for_each(|(&(_, e), (&v, &to))| b.store(e, v, to));
        state
    });
    result
}

/// What a run along the leaves works on.
struct Lines<'c, 'a> {
    kernel: &'a Kernel,
    row: Row<'c>,
    /// The accesses whose values are added up.
    sums: Vec<(u32, Elem)>,
    course: &'a Course,
    steps: Steps,
    /// Where powers are taken to be near.
    near: Option<Near>,
}

impl<'c> Lines<'c, '_> {
    /// The whole vectors of a leaf from number `from` on, added to `state`: several at a time, then the others one by one; they are
    /// added in order.
    fn vectors(
        &self,
        b: &Build<'c, '_>,
        from: V<'c>,
        length: V<'c>,
        state: &[V<'c>],
        near: Option<Near>,
        result: &mut Result<()>,
    ) -> Vec<V<'c>> {
        let (mut at, mut state) = (from, state.to_vec());
        for vectors in if self.steps.beside > 1 { vec![self.steps.beside, 1] } else { vec![1] } {
            let step = (vectors * LANES) as i64;
            let whole = b.op("arith.andi", &[length, b.int(Elem::I64, -step)], Elem::I64);
            let until = b.op("arith.addi", &[from, whole], Elem::I64);
            state = b.for_state(at, until, b.int(Elem::I64, step), &state, |b, i, state| {
                self.part(&b.with_lanes(LANES), i, vectors, state, near, result)
            });
            at = until;
        }
        state
    }

    /// Some vectors of points from number `i` on, added to `state`.
    fn part(
        &self,
        b: &Build<'c, '_>,
        i: V<'c>,
        vectors: u32,
        state: Vec<V<'c>>,
        near: Option<Near>,
        result: &mut Result<()>,
    ) -> Vec<V<'c>> {
        let one = b.with_lanes(1);
        let at = |v: u32| match v {
            0 => At::whole(i),
            v => At::whole(one.op("arith.addi", &[i, one.int(Elem::I64, (v * LANES) as i64)], Elem::I64)),
        };
        let at: Vec<At<'c>> = (0..vectors).map(at).collect();
        if self.steps.prefetch && b.lanes > 1 {
            (0..self.kernel.accesses.len() as u32)
                .filter(|&a| !self.kernel.accesses[a as usize].write)
                .for_each(|a| at.iter().for_each(|at| self.row.prefetch(b, self.kernel, a, at, AHEAD)));
        }
        add(b, self.course, &self.row, &at, &state, near).unwrap_or_else(|e| {
            *result = Err(e);
            state
        })
    }
}

/// The body at some vectors of points, its results added to `state`, those of one vector after the other. Where powers are taken to be
/// near, the last of `state` tells whether they are.
fn add<'c>(
    b: &Build<'c, '_>,
    course: &Course,
    row: &Row<'c>,
    parts: &[At<'c>],
    state: &[V<'c>],
    near: Option<Near>,
) -> Result<Vec<V<'c>>> {
    let kernel = &course.kernel;
    let far = near.map(|near| (near, Cell::new(*state.last().expect("what tells whether some power is not near"))));
    let values = Body { far: far.as_ref(), ..Body::new(b, course, row) }.values(parts)?;
    let mut sums = state.to_vec();
    for (at, values) in parts.iter().zip(values) {
        let mut sum = sums.iter_mut();
        for (&(a, _), value) in kernel.body.stores.iter().zip(values) {
            let access = kernel.accesses[a as usize];
            match (access.inner, value) {
                (InnerStride::Leaves, Val::One(v)) => {
                    let sum = sum.next().expect("a sum for each such access");
                    *sum = b.op("arith.addf", &[*sum, v], Elem::of(access.dtype));
                }
                _ => row.store(b, kernel, a, at, value),
            }
        }
    }
    if let Some((_, far)) = far {
        *sums.last_mut().expect("as many as before") = far.get();
    }
    Ok(sums)
}

/// ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7)) of each vector r. Two of one type go together, side by side from the first sums on:
/// seven instructions, where each alone takes as many.
fn across<'c>(b: &Build<'c, '_>, sums: &[(u32, Elem)], lanes: &[V<'c>]) -> Vec<V<'c>> {
    let mut total = Vec::with_capacity(lanes.len());
    while let Some(&v) = lanes.get(total.len()) {
        let (at, e) = (total.len(), sums[total.len()].1);
        let other = lanes.get(at + 1).copied().filter(|_| sums[at + 1].1 == e);
        let [first, second] = across_two(b, e, v, other.unwrap_or(v));
        total.push(first);
        total.extend(other.map(|_| second));
    }
    total
}

fn across_two<'c>(b: &Build<'c, '_>, e: Elem, x: V<'c>, y: V<'c>) -> [V<'c>; 2] {
    let (all, two) = (b.with_lanes(LANES), b.with_lanes(2));
    let (even, odd) = (&[0, 8, 2, 10, 4, 12, 6, 14], &[1, 9, 3, 11, 5, 13, 7, 15]);
    // x0 + x1, y0 + y1, x2 + x3, y2 + y3 and so on.
    let pairs = all.op("arith.addf", &[all.shuffle(e, x, y, even), all.shuffle(e, x, y, odd)], e);
    let next = all.shuffle(e, pairs, pairs, &[2, 3, 0, 1, 6, 7, 4, 5]);
    let fours = all.op("arith.addf", &[pairs, next], e);
    let half = |first: i32| two.shuffle(e, fours, fours, &[first, first + 1]);
    let sums = two.op("arith.addf", &[half(0), half(4)], e);
    [0, 1].map(|lane| two.extract(e, sums, lane))
}
