//! Kernels that add up what they would store, row after row: sums along axes before a kept last one, in NumPy's order.
//!
//! A vector of sums stays in a register from the first row to the last. Written to memory and read again, the values of a row of
//! 16 take as long as ten operations on them. Each sum waits for the one before, so four places of the first axis go side by side.

use super::body::Body;
use super::build::{Build, Elem, V};
use super::course::Course;
use super::memory::{At, Row};
use super::{Arguments, Steps, Val};
use crate::{Error, Result};
use legate_jit_ir::{InnerStride, Kernel};

/// Places of the first axis that go side by side.
const SIDE_BY_SIDE: usize = 4;

/// Whether a kernel is one of these.
pub fn adds_up(kernel: &Kernel) -> bool {
    kernel.accesses.iter().any(|a| a.inner == InnerStride::Down)
}

/// The loops over the first axis and everything inside them.
pub fn down<'c>(build: &Build<'c, '_>, course: &Course, steps: Steps, arguments: &Arguments<'c>) -> Result<()> {
    let kernel = &course.kernel;
    let strided = |inner: InnerStride| matches!(inner, InnerStride::Any | InnerStride::Two);
    if kernel.rank < 3 || kernel.accesses.iter().any(|a| strided(a.inner) || a.dtype.is_complex()) {
        return Err(Error::Kernel("rows of contiguous numbers are added up along the axes between two others".into()));
    }
    let sums = kernel
        .body
        .stores
        .iter()
        .map(|&(a, _)| (a, kernel.accesses[a as usize]))
        .filter(|(_, access)| access.inner == InnerStride::Down)
        .map(|(a, access)| (a, Elem::of(access.dtype)))
        .collect();
    let down = Down { course, steps, arguments, sums };
    let int = |n: i64| build.int(Elem::I64, n);
    let together = build.op("arith.andi", &[arguments.extent[0], int(-(SIDE_BY_SIDE as i64))], Elem::I64);
    let mut result = Ok(());
    build.for_each(int(0), together, int(SIDE_BY_SIDE as i64), |b, i| result = down.places(b, i, SIDE_BY_SIDE));
    result?;
    let mut result = Ok(());
    build.for_each(together, arguments.extent[0], int(1), |b, i| result = down.places(b, i, 1));
    result
}

struct Down<'c, 'a> {
    course: &'a Course,
    steps: Steps,
    arguments: &'a Arguments<'c>,
    /// The accesses whose values are added up.
    sums: Vec<(u32, Elem)>,
}

impl<'c> Down<'c, '_> {
    fn kernel(&self) -> &Kernel {
        &self.course.kernel
    }

    /// Some places of the first axis, from number `i` on: vector after vector of the last axis.
    fn places(&self, build: &Build<'c, '_>, i: V<'c>, count: usize) -> Result<()> {
        let ptrs: Vec<Vec<V<'c>>> = (0..count)
            .map(|u| {
                let i = build.op("arith.addi", &[i, build.int(Elem::I64, u as i64)], Elem::I64);
                self.moved(build, &self.arguments.ptrs, 0, i)
            })
            .collect();
        let n = *self.arguments.extent.last().expect("at least one axis");
        let int = |n: i64| build.int(Elem::I64, n);
        let lanes = self.steps.lanes;
        let mut result = Ok(());
        if self.steps.masked {
            build.for_each(int(0), n, int(lanes as i64), |b, j| {
                let b = b.with_lanes(lanes);
                result = self.vector(&b, &At::masked(&b, self.kernel(), j, n), &ptrs);
            });
            return result;
        }
        let whole = build.op("arith.andi", &[n, int(-(lanes as i64))], Elem::I64);
        build.for_each(int(0), whole, int(lanes as i64), |b, j| {
            result = self.vector(&b.with_lanes(lanes), &At::whole(j), &ptrs);
        });
        result?;
        let mut result = Ok(());
        build.for_each(whole, n, int(1), |b, j| result = self.vector(b, &At::whole(j), &ptrs));
        result
    }

    /// A vector of sums at each of some places of the first axis.
    fn vector(&self, build: &Build<'c, '_>, at: &At<'c>, ptrs: &[Vec<V<'c>>]) -> Result<()> {
        // -0.0 plus anything is that.
        let start = ptrs.iter().flat_map(|_| self.sums.iter().map(|&(_, e)| build.float(e, -0.0))).collect();
        let mut result = Ok(());
        let sums = self.steps_down(build, at, 1, ptrs, start, &mut result);
        result?;
        for (ptrs, sums) in ptrs.iter().zip(sums.chunks(self.sums.len())) {
            let row = self.row(build, ptrs);
            for (&(a, _), &sum) in self.sums.iter().zip(sums) {
                row.store(build, self.kernel(), a, at, Val::One(sum));
            }
        }
        Ok(())
    }

    /// The loop along axis `d` and everything inside it; the sums so far come in and go out.
    fn steps_down(
        &self,
        build: &Build<'c, '_>,
        at: &At<'c>,
        d: usize,
        ptrs: &[Vec<V<'c>>],
        sums: Vec<V<'c>>,
        result: &mut Result<()>,
    ) -> Vec<V<'c>> {
        if d + 1 == self.kernel().rank as usize {
            return match self.add(build, at, ptrs, &sums) {
                Ok(next) => next,
                Err(e) => {
                    *result = Err(e);
                    sums
                }
            };
        }
        let one = build.with_lanes(1);
        let (zero, step) = (one.int(Elem::I64, 0), one.int(Elem::I64, 1));
        build.for_state(zero, self.arguments.extent[d], step, &sums, |b, i, sums| {
            let ptrs: Vec<_> = ptrs.iter().map(|ptrs| self.moved(&b.with_lanes(1), ptrs, d, i)).collect();
            self.steps_down(b, at, d + 1, &ptrs, sums, result)
        })
    }

    /// The body at one point of the axes between, added to the sums.
    fn add(&self, build: &Build<'c, '_>, at: &At<'c>, ptrs: &[Vec<V<'c>>], sums: &[V<'c>]) -> Result<Vec<V<'c>>> {
        let mut next = Vec::new();
        for (ptrs, sums) in ptrs.iter().zip(sums.chunks(self.sums.len())) {
            let row = self.row(build, ptrs);
            let values =
                Body::new(build, self.course, &row).values(&[*at])?.pop().expect("what is stored at one place");
            let mut sums = sums.iter();
            for (&(a, _), value) in self.kernel().body.stores.iter().zip(values) {
                let access = self.kernel().accesses[a as usize];
                match (access.inner, value) {
                    (InnerStride::Down, Val::One(v)) => {
                        let sum = *sums.next().expect("a sum for each such access");
                        next.push(build.op("arith.addf", &[sum, v], Elem::of(access.dtype)));
                    }
                    _ => row.store(build, self.kernel(), a, at, value),
                }
            }
        }
        Ok(next)
    }

    fn row(&self, build: &Build<'c, '_>, ptrs: &[V<'c>]) -> Row<'c> {
        Row::new(build, self.kernel(), self.arguments, ptrs, &vec![None; self.kernel().rank as usize])
    }

    /// The addresses `i` steps further on along an axis. (Sums stay where they are along the axes between.)
    fn moved(&self, build: &Build<'c, '_>, ptrs: &[V<'c>], d: usize, i: V<'c>) -> Vec<V<'c>> {
        let moved = |(a, &p): (usize, &V<'c>)| {
            if d > 0 && self.kernel().accesses[a].inner == InnerStride::Down {
                return p;
            }
            let stride = self.arguments.strides[a][d].expect("an outer stride");
            build.offset(p, build.op("arith.muli", &[i, stride], Elem::I64), Elem::I8)
        };
        ptrs.iter().enumerate().map(moved).collect()
    }
}
