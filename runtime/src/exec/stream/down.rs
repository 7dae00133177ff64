//! Sums along axes before a kept last one whose values never reach memory: kernels that add up row after row in registers
//! (`InnerStride::Down`).
//!
//! For launches of sums alone whose operands lie along the last axis, or are the same all along it. A row of one vector goes beside
//! those of its neighbours along the kept axis before; of a longer row the vectors go side by side, if what is read for it stays
//! near. Until such a kernel is compiled, its launch computes streams like every other.

use std::ops::Range;

use legate_jit_ir::graph::Reducer;
use legate_jit_ir::kernel::{Access, InnerStride, Kernel, Op};
use legate_jit_ir::plan::Launch;
use legate_jit_ir::{DType, Ufunc};
use smallvec::SmallVec;

use super::boxes::unflatten;
use super::{Info, Mode, Streams};
use crate::Result;
use crate::exec::Frame;
use crate::exec::launch::PreparedLaunch;
use crate::exec::piece::Place;
use crate::exec::space::Walk;

/// Bytes of a vector.
const VECTOR: usize = 64;
/// The most instructions of a body: its code is there for four places and for one.
const INSTRUCTIONS: usize = 32;
/// Bytes that are read for a row of several vectors, at most: half of a small second-level cache.
const NEAR_BYTES: usize = 256 << 10;
/// Points of a task.
const TASK_POINTS: usize = 1 << 14;

/// How such a kernel walks the domain: a first axis, the reduced ones, the last one.
pub struct Down {
    /// The kernel's strides.
    strides: SmallVec<[i64; 16]>,
    /// Points along the reduced axes.
    reduced: SmallVec<[i64; 4]>,
    /// The kept axes but the last.
    outer: SmallVec<[usize; 4]>,
    /// Points along the reduced axes together, and along the last one.
    height: usize,
    width: usize,
    first: First,
}

/// The first axis of the kernel.
enum First {
    /// The last of the kept axes before the columns, which has so many points.
    Kept(usize),
    /// Blocks of so many columns of a row.
    Blocks(usize),
}

impl Streams {
    /// The kernel that adds up row after row what this one would store to streams, if the launch is one for it.
    pub fn expect_down(&mut self, launch: &Launch, kernel: &Kernel, walk: &Walk, places: &[Place]) -> Option<Kernel> {
        let Mode::InOrder { reduced, blocks } = &self.mode else { return None };
        let rank = self.domain.len();
        let width = self.domain[rank - 1] as usize;
        let is_sum = |s: &legate_jit_ir::plan::Stream| {
            s.reduce.reducer == Reducer::Ufunc(Ufunc::Add) && matches!(s.dtype, DType::F32 | DType::F64)
        };
        let plain = |a: &Access| matches!(a.inner, InnerStride::Unit | InnerStride::Zero) && !a.dtype.is_complex();
        let asks = kernel.body.insts.iter().any(|i| matches!(i.op, Op::Index(_)) || i.dtype.is_complex());
        if blocks.columns == 0
            || width < 2
            || self.points == 0
            || self.direct.is_some()
            || launch.pieces.len() != 1
            || asks
            || kernel.body.insts.len() > INSTRUCTIONS
            || !launch.streams.iter().all(is_sum)
            || !kernel.accesses.iter().all(plain)
        {
            return None;
        }
        let axes: SmallVec<[usize; 4]> = (0..rank - 1).filter(|&d| reduced[d]).collect();
        let outer: SmallVec<[usize; 4]> = (0..rank - 1).filter(|&d| !reduced[d]).collect();
        let stride = |a: usize, d: usize| walk.strides[a * rank + d];
        let size = |a: usize| kernel.accesses[a].dtype.size();
        let widest = (0..kernel.accesses.len()).map(size).max()?;
        let first = match VECTOR / widest {
            lanes if width <= lanes => First::Kept(outer.last().map_or(1, |&d| self.domain[d] as usize)),
            lanes => First::Blocks(lanes),
        };
        let read = |a: usize| {
            let moves = |&&d: &&usize| stride(a, d) != 0;
            axes.iter().chain([&(rank - 1)]).filter(moves).map(|&d| self.domain[d] as usize).product::<usize>()
                * size(a)
        };
        let all: usize = (0..kernel.accesses.len()).filter(|&a| !matches!(places[a], Place::Stream(_))).map(read).sum();
        if matches!(first, First::Blocks(_)) && all > NEAR_BYTES {
            return None;
        }
        let mut adding = kernel.clone();
        adding.rank = axes.len() as u32 + 2;
        let mut strides = SmallVec::new();
        for (a, access) in adding.accesses.iter_mut().enumerate() {
            let is_sum = matches!(places[a], Place::Stream(_));
            if is_sum {
                access.inner = InnerStride::Down;
            }
            strides.push(match first {
                First::Kept(_) if is_sum => (width * size(a)) as i64,
                First::Kept(_) => outer.last().map_or(0, |&d| stride(a, d)),
                First::Blocks(lanes) => lanes as i64 * stride(a, rank - 1),
            });
            strides.extend(axes.iter().map(|&d| if is_sum { 0 } else { stride(a, d) }));
            strides.push(stride(a, rank - 1));
        }
        let reduced: SmallVec<[i64; 4]> = axes.iter().map(|&d| self.domain[d]).collect();
        let height = reduced.iter().product::<i64>() as usize;
        self.down = Some(Box::new(Down { strides, reduced, outer, height, width, first }));
        Some(adding)
    }

    /// How rows can be summed without streams now.
    pub(super) fn adds_down(&self, launch: &PreparedLaunch) -> Option<&Down> {
        self.down.as_deref().filter(|_| launch.pieces[0].adds_up())
    }

    /// Sums rows for some of the outer outputs.
    pub(super) fn sum_down(
        &self,
        launch: &PreparedLaunch,
        frame: &Frame,
        down: &Down,
        range: Range<usize>,
    ) -> Result<()> {
        match down.first {
            First::Kept(n) => {
                let most = (TASK_POINTS / (down.height * down.width)).max(1).next_multiple_of(4);
                let mut tasks: SmallVec<[Range<usize>; 16]> = SmallVec::new();
                let mut at = range.start;
                while at < range.end {
                    let end = (at + most).min((at / n + 1) * n).min(range.end);
                    tasks.push(at..end);
                    at = end;
                }
                // (Runs along the first axis may be short.)
                let together = (most / n).max(1);
                self.tasks(tasks.len().div_ceil(together), &|task| {
                    for outputs in &tasks[task * together..((task + 1) * together).min(tasks.len())] {
                        self.call_down(launch, frame, down, outputs.start, 0, outputs.len(), down.width);
                    }
                })
            }
            First::Blocks(lanes) => {
                let blocks = (TASK_POINTS / (down.height * lanes)).max(1).next_multiple_of(4);
                let parts = down.width.div_ceil(blocks * lanes);
                let together = (blocks * lanes / down.width).max(1);
                let all = range.len() * parts;
                self.tasks(all.div_ceil(together), &|task| {
                    for task in task * together..((task + 1) * together).min(all) {
                        let (output, from) = (range.start + task / parts, task % parts * blocks * lanes);
                        let columns = (down.width - from).min(blocks * lanes);
                        let whole = columns / lanes;
                        if whole > 0 {
                            self.call_down(launch, frame, down, output, from, whole, lanes);
                        }
                        if columns > whole * lanes {
                            let rest = columns - whole * lanes;
                            self.call_down(launch, frame, down, output, from + whole * lanes, 1, rest);
                        }
                    }
                })
            }
        }
    }

    /// One call of the kernel: so many places of its first axis, which begin at a column of an output's row.
    #[allow(clippy::too_many_arguments)]
    fn call_down(
        &self,
        launch: &PreparedLaunch,
        frame: &Frame,
        down: &Down,
        output: usize,
        column: usize,
        places: usize,
        columns: usize,
    ) {
        let rank = self.domain.len();
        let mut lo: SmallVec<[i64; 8]> = SmallVec::from_elem(0, rank);
        let mut hi: SmallVec<[i64; 8]> = SmallVec::from_elem(0, rank);
        unflatten(output, &down.outer, &self.domain, &mut lo, &mut hi);
        lo[rank - 1] = column as i64;
        let mut extent: SmallVec<[i64; 8]> = SmallVec::new();
        extent.push(places as i64);
        extent.extend_from_slice(&down.reduced);
        extent.push(columns as i64);
        let out =
            |info: &Info| frame.bases[info.out as usize].wrapping_add((output * down.width + column) * info.out_size);
        let outs: SmallVec<[*mut u8; 4]> = self.list.iter().map(out).collect();
        // SAFETY: the box lies in the domain; there is a sum for each of its columns, and one task writes it.
        unsafe { launch.pieces[0].run_down(frame, &lo, &down.strides, &extent, &outs) };
    }
}

#[cfg(test)]
mod tests {
    use legate_jit_ir::graph::{Graph, Op, Order, Reduce};
    use legate_jit_ir::view::AxisMap;
    use legate_jit_ir::{Type, Value, View};
    use legate_jit_passes::Cx;

    use super::*;
    use crate::Tier;
    use crate::exec::{Prepared, sample::input};

    /// Of x[a, b, c, d] and y[b, c, 1 or d], the sums of x·y and of x² along b and c.
    fn program(dtype: DType, shape: [usize; 4], spread: bool) -> Graph {
        let mut g = Graph { donated: vec![false; 2], ..Graph::default() };
        let ty = |shape: &[usize]| Type::new(dtype, shape);
        let x = g.push(Op::Input(0), &[], ty(&shape));
        let last = if spread { 1 } else { shape[3] };
        let y = g.push(Op::Input(1), &[], ty(&[shape[1], shape[2], last]));
        let along = |d: usize| AxisMap::along(0, d, 1);
        let zero = AxisMap { start: 0, terms: Default::default() };
        let axes = [along(1), along(2), if spread { zero } else { along(3) }].into_iter().collect();
        let seen = g.push(Op::View(View { shape: shape.into_iter().collect(), axes }), &[y], ty(&shape));
        let product = g.push(Op::Map(Ufunc::Multiply), &[x, seen], ty(&shape));
        let square = g.push(Op::Map(Ufunc::Square), &[x], ty(&shape));
        let sum = |g: &mut Graph, v: Value| {
            let axes = [1, 2].into_iter().collect();
            let reduce = Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes, order: Order::Tree };
            g.push(Op::Reduce(reduce), &[v], ty(&[shape[0], shape[3]]))
        };
        g.outputs = vec![sum(&mut g, product), sum(&mut g, square)];
        g
    }

    #[test]
    fn sums_in_registers_have_the_bits_of_the_stream() {
        for dtype in [DType::F64, DType::F32] {
            // Rows of less than a vector, of one, and of more; one, some and many of them; first axes that are not a multiple of
            // what goes side by side. (Sums of 16 and less become chains.)
            let shapes = [
                [7, 5, 4, 16],
                [1, 4, 9, 3],
                [50, 20, 3, 7],
                [3, 5, 17, 24],
                [2, 9, 2, 100],
                [1, 9, 2, 803],
                [9, 2, 9, 2],
            ];
            for shape in shapes {
                for spread in [false, true] {
                    let plan = legate_jit_passes::compile(&program(dtype, shape, spread), &Cx::default()).unwrap();
                    let last = if spread { 1 } else { shape[3] };
                    let inputs = [input(dtype, shape.iter().product(), 1), input(dtype, shape[1] * shape[2] * last, 5)];
                    let run = |p: &Prepared| -> Vec<Vec<u8>> {
                        p.run(&inputs, &[]).unwrap().iter().map(|out| out.as_slice().to_vec()).collect()
                    };
                    let streams = run(&Prepared::new(plan.clone(), Tier::Vm).unwrap());
                    let added = Prepared::new(plan.clone(), Tier::Compiled).unwrap();
                    let launches: Vec<_> = added.actions.iter().flat_map(|a| a.launches()).collect();
                    let adds = |l: &&PreparedLaunch| l.streams().is_some_and(|s| s.adds_down(l).is_some());
                    assert!(launches.iter().any(adds), "{dtype} {shape:?} {spread}");
                    assert!(run(&added) == streams, "{dtype} {shape:?} {spread}");
                    let stepwise = Prepared::stepwise(plan, Tier::Compiled).unwrap();
                    assert!(run(&stepwise) == streams, "{dtype} {shape:?} {spread}, cut finely");
                }
            }
        }
    }
}
