//! Sums whose values never reach memory: kernels that add up the leaves of NumPy's tree in registers (`InnerStride::Leaves`).
//!
//! For launches that go straight along their operands and sum everything to one element, or each row to one. Until such a kernel
//! is compiled, its launch computes streams with the prebuilt loops like every other.

use std::ops::Range;

use legate_jit_ir::graph::{Order, Reducer};
use legate_jit_ir::kernel::{InnerStride, Kernel, Op};
use legate_jit_ir::plan::Launch;
use legate_jit_ir::{DType, Ufunc};

use smallvec::SmallVec;

use super::{Element, Mode, Streams, with_scratch};
use crate::exec::Frame;
use crate::exec::launch::PreparedLaunch;
use crate::exec::piece::{LeafRun, Place};
use crate::exec::space::{Walk, specialise};
use crate::tree;

/// The fewest elements of one row among many: calling a kernel for less takes longer than to write what it computes.
const ROW: usize = if cfg!(test) { tree::LEAF + 1 } else { 512 };

/// Lengths of the leaves of a chunk of so many elements.
pub struct Leaves {
    elements: usize,
    lengths: Vec<i64>,
}

/// The kernel that adds up what this one would store to streams, row by row; `None` where it goes along anything but one axis of
/// contiguous numbers.
pub fn adding(launch: &Launch, kernel: &Kernel, walk: &Walk, places: &[Place]) -> Option<Kernel> {
    let is_sum = |s: &legate_jit_ir::plan::Stream| {
        s.reduce.reducer == Reducer::Ufunc(Ufunc::Add)
            && s.reduce.order == Order::Tree
            && matches!(s.dtype, DType::F32 | DType::F64)
    };
    let plain = |a: &legate_jit_ir::kernel::Access| a.inner != InnerStride::Any && !a.dtype.is_complex();
    let insts = &kernel.body.insts;
    let asks = insts.iter().any(|i| matches!(i.op, Op::Index(_)) || i.dtype.is_complex());
    // Eight accumulators are all lanes of a vector of doubles only, and functions take two vectors at a time: where many rows follow
    // each other, that counts for more than what streams cost.
    let whole = walk.rank() == 1 || launch.streams.iter().all(|s| s.dtype == DType::F64);
    let calls = walk.rank() > 1 && (0..insts.len()).any(|k| kernel.body.calls(k));
    let fits = launch.pieces.len() == 1 && !launch.streams.is_empty() && launch.streams.iter().all(is_sum);
    if !fits || asks || !whole || calls {
        return None;
    }
    let (rank, last) = (walk.rank(), walk.rank() as u32 - 1);
    let along: SmallVec<[i64; 16]> = (0..places.len()).map(|a| walk.strides[a * rank + rank - 1]).collect();
    let mut adding = specialise(kernel, walk, &[last], &along, places, |_| false);
    if !adding.accesses.iter().all(plain) {
        return None;
    }
    for (access, place) in adding.accesses.iter_mut().zip(places) {
        if matches!(place, Place::Stream(_)) {
            access.inner = InnerStride::Leaves;
        }
    }
    Some(adding)
}

impl Streams {
    /// Whether every output is a tree over a row.
    pub fn goes_by_rows(&self) -> bool {
        matches!(self.mode, Mode::Rows { .. })
    }

    /// The kernel of the launch is to add up leaves once it is compiled; whether that can be.
    pub fn expect_leaves(&mut self) -> bool {
        let Mode::Rows { outputs, n } = self.mode else { return false };
        // (Reduced axes that could not be merged are no row.)
        let is_row = self.domain.last().is_some_and(|&last| last as usize == n);
        let least = if outputs > 1 { ROW } else { tree::LEAF + 1 };
        if n < least || !is_row || self.direct.is_some() {
            return false;
        }
        let chunks = if n > self.chunk { self.cut(n) } else { std::iter::once(0..n).collect() };
        for chunk in chunks {
            if self.leaves.iter().all(|l| l.elements != chunk.len()) {
                let lengths = tree::cut(chunk.len(), tree::LEAF, false).iter().map(|l| l.len() as i64).collect();
                self.leaves.push(Leaves { elements: chunk.len(), lengths });
            }
        }
        true
    }

    /// Whether chunks can be summed without streams now.
    pub(super) fn adds_leaves(&self, launch: &PreparedLaunch) -> bool {
        !self.leaves.is_empty() && launch.pieces[0].adds_up()
    }

    /// The partial results of a chunk of each output's row, for each output and stream, where [`adds_leaves`](Self::adds_leaves)
    /// says so.
    pub(super) fn sum_leaves(
        &self,
        launch: &PreparedLaunch,
        frame: &Frame,
        outputs: Range<usize>,
        range: Range<usize>,
        mut each: impl FnMut(usize, usize, Element),
    ) {
        let shape = self.leaves.iter().find(|l| l.elements == range.len()).expect("every chunk's leaves are known");
        let bytes = |dtype: DType| (shape.lengths.len() * dtype.size() + 63) & !63;
        with_scratch(self.list.iter().map(|i| bytes(i.dtype)).sum(), |scratch| {
            let mut next = scratch;
            let sums: smallvec::SmallVec<[*mut u8; 4]> = self
                .list
                .iter()
                .map(|info| {
                    let start = next;
                    next = next.wrapping_add(bytes(info.dtype));
                    start
                })
                .collect();
            let last = self.domain.len() - 1;
            // Rows that follow each other along the axis before are one run.
            let along = if last == 0 { 1 } else { self.domain[last - 1] as usize };
            let mut from = outputs.start;
            while from < outputs.end {
                let rows = (outputs.end - from).min(along - from % along);
                let mut lo: SmallVec<[i64; 4]> = SmallVec::from_elem(0, last + 1);
                let mut rest = from;
                for (at, &n) in lo[..last].iter_mut().zip(&self.domain[..last]).rev() {
                    (*at, rest) = ((rest % n as usize) as i64, rest / n as usize);
                }
                lo[last] = range.start as i64;
                let leaves = LeafRun { lengths: &shape.lengths, begun: 0, fresh: &self.fresh, open: 0, states: &[] };
                let joined = |row: usize| {
                    for (s, info) in self.list.iter().enumerate() {
                        // SAFETY: the kernel has written a sum for each leaf.
                        let sum = unsafe { tree::join_leaves(info.dtype, range.len(), sums[s], shape.lengths.len()) };
                        each(from + row, s, sum);
                    }
                };
                // SAFETY: the range lies in rows of the domain; there is room for a sum of each leaf.
                unsafe { launch.pieces[0].run_rows_of_leaves(frame, &lo, leaves, &sums, rows, joined) };
                from += rows;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use legate_jit_ir::graph::{Graph, Op, Reduce};
    use legate_jit_ir::view::AxisMap;
    use legate_jit_ir::{Scalar, Type, Value, View};
    use legate_jit_passes::Cx;

    use super::*;
    use crate::Tier;
    use crate::exec::{Prepared, sample::input};

    /// sum((x - y)²), sum(y²) and x - y
    fn program(dtype: DType, n: usize) -> Graph {
        let mut g = Graph { donated: vec![false; 2], ..Graph::default() };
        let ty = || Type::new(dtype, &[n]);
        let x = g.push(Op::Input(0), &[], ty());
        let y = g.push(Op::Input(1), &[], ty());
        let difference = g.push(Op::Map(Ufunc::Subtract), &[x, y], ty());
        let sum = |g: &mut Graph, v: Value| {
            let square = g.push(Op::Map(Ufunc::Square), &[v], ty());
            let axes = [0].into_iter().collect();
            let reduce = Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes, order: Order::Tree };
            g.push(Op::Reduce(reduce), &[square], Type::new(dtype, &[]))
        };
        g.outputs = vec![sum(&mut g, difference), sum(&mut g, y), difference];
        g
    }

    /// The code may get ready between two chunks, or within one.
    #[test]
    fn streams_can_be_computed_when_the_code_is_there() {
        let n = 1000;
        let plan = legate_jit_passes::compile(&program(DType::F64, n), &Cx::default()).unwrap();
        let prepared = Prepared::new(plan, Tier::Compiled).unwrap();
        let launch = prepared.actions.iter().flat_map(|a| a.launches()).find(|l| l.streams().is_some()).unwrap();
        assert!(launch.pieces[0].adds_up());
        let mut memory: Vec<Vec<f64>> = prepared.plan.buffers.iter().map(|_| vec![3.0; n]).collect();
        let bases: Vec<*mut u8> = memory.iter_mut().map(|m| m.as_mut_ptr() as *mut u8).collect();
        let frame = Frame { bases: &bases, scalars: &[] };
        let sum = launch.streams().unwrap().compute(launch, &frame, 0..n, |ptrs| {
            // SAFETY: the stream of y² has n numbers.
            unsafe { std::slice::from_raw_parts(ptrs[1] as *const f64, n) }.iter().sum::<f64>()
        });
        assert_eq!(sum, 9.0 * n as f64);
    }

    #[test]
    fn leaves_that_the_kernel_adds_up_have_the_bits_of_the_stream() {
        for dtype in [DType::F64, DType::F32] {
            for n in [1, 7, 128, 129, 1000, 1003, 10_000, 40_007, 300_001] {
                let plan = legate_jit_passes::compile(&program(dtype, n), &Cx::default()).unwrap();
                let inputs = [input(dtype, n, 1), input(dtype, n, 5)];
                let run = |p: &Prepared| -> Vec<Vec<u8>> {
                    p.run(&inputs, &[]).unwrap().iter().map(|out| out.as_slice().to_vec()).collect()
                };
                let streams = run(&Prepared::new(plan.clone(), Tier::Vm).unwrap());
                let added = Prepared::new(plan.clone(), Tier::Compiled).unwrap();
                assert!(run(&added) == streams, "{dtype} {n}");
                let stepwise = Prepared::stepwise(plan, Tier::Compiled).unwrap();
                assert!(run(&stepwise) == streams, "{dtype} {n}, cut finely");
            }
        }
    }

    /// sum((x - m)²) and sum((x - m) w) over the last axis, and x - m, where m is a number for each of the first axis and w one for
    /// each of the last.
    fn by_rows(dtype: DType, shape: [usize; 3]) -> Graph {
        let mut g = Graph { donated: vec![false; 3], ..Graph::default() };
        let ty = |shape: &[usize]| Type::new(dtype, shape);
        let spread = |d: usize| {
            let axes = [AxisMap::along(0, d, 1)].into_iter().collect();
            Op::View(View { shape: shape.into_iter().collect(), axes })
        };
        let x = g.push(Op::Input(0), &[], ty(&shape));
        let m = g.push(Op::Input(1), &[], ty(&shape[..1]));
        let w = g.push(Op::Input(2), &[], ty(&shape[2..]));
        let m = g.push(spread(0), &[m], ty(&shape));
        let w = g.push(spread(2), &[w], ty(&shape));
        let d = g.push(Op::Map(Ufunc::Subtract), &[x, m], ty(&shape));
        let square = g.push(Op::Map(Ufunc::Square), &[d], ty(&shape));
        let product = g.push(Op::Map(Ufunc::Multiply), &[d, w], ty(&shape));
        let sum = |g: &mut Graph, v: Value| {
            let axes = [2].into_iter().collect();
            let reduce = Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes, order: Order::Tree };
            g.push(Op::Reduce(reduce), &[v], Type::new(dtype, &shape[..2]))
        };
        g.outputs = vec![sum(&mut g, square), sum(&mut g, product), d];
        g
    }

    #[test]
    fn leaves_of_rows_have_the_bits_of_the_stream() {
        for dtype in [DType::F64] {
            // Rows in one chunk and in several, of leaves that are whole and of others; one axis before them, and two.
            let shapes = [[7, 1, 129], [3, 5, 1000], [1, 9, 1003], [50, 2, 300], [2, 3, 40_007], [1, 1, 300_001]];
            for shape in shapes {
                let plan = legate_jit_passes::compile(&by_rows(dtype, shape), &Cx::default()).unwrap();
                let inputs =
                    [input(dtype, shape.iter().product(), 1), input(dtype, shape[0], 5), input(dtype, shape[2], 3)];
                let run = |p: &Prepared| -> Vec<Vec<u8>> {
                    p.run(&inputs, &[]).unwrap().iter().map(|out| out.as_slice().to_vec()).collect()
                };
                let streams = run(&Prepared::new(plan.clone(), Tier::Vm).unwrap());
                let added = Prepared::new(plan.clone(), Tier::Compiled).unwrap();
                let launches: Vec<_> = added.actions.iter().flat_map(|a| a.launches()).collect();
                assert!(launches.iter().any(|l| l.streams().is_some_and(|s| s.adds_leaves(l))), "{dtype} {shape:?}");
                assert!(run(&added) == streams, "{dtype} {shape:?}");
                let stepwise = Prepared::stepwise(plan, Tier::Compiled).unwrap();
                assert!(run(&stepwise) == streams, "{dtype} {shape:?}, cut finely");
            }
        }
    }

    /// Of powers that are taken to be near, some are: zeros, subnormal and very large numbers, in some leaves of some rows.
    #[test]
    fn leaves_of_powers_have_the_bits_of_the_stream() {
        let (rows, n) = (9, 1003);
        // (One that reaches less far than another decides for both.)
        for exponents in [&[-1.5][..], &[3.0], &[-0.5, 8.0], &[2.5, -3.0]] {
            let mut g = Graph { donated: vec![false; 2], ..Graph::default() };
            let ty = || Type::new(DType::F64, &[rows, n]);
            let x = g.push(Op::Input(0), &[], ty());
            let w = g.push(Op::Input(1), &[], ty());
            for &exponent in exponents {
                let y = g.push(Op::Const(Scalar::f64(exponent)), &[], Type::new(DType::F64, &[]));
                let y = g.push(Op::View(View { shape: ty().shape, axes: Default::default() }), &[y], ty());
                let power = g.push(Op::Map(Ufunc::Power), &[x, y], ty());
                let product = g.push(Op::Map(Ufunc::Multiply), &[power, w], ty());
                let axes = [1].into_iter().collect();
                let reduce = Reduce { reducer: Reducer::Ufunc(Ufunc::Add), axes, order: Order::Tree };
                let sum = g.push(Op::Reduce(reduce), &[product], Type::new(DType::F64, &[rows]));
                g.outputs.push(sum);
            }
            let far = [0.0, 5e-324, 1e-310, 1e-90, 1e90, 1e300, f64::INFINITY, 2f64.powi(-256), 2f64.powi(256)];
            let numbers: Vec<f64> = (0..rows * n)
                .map(|i| match i % 4001 {
                    // In some leaves, and in others none.
                    17 | 3000 => far[i / 4001 + i % 2],
                    _ => 0.5 + (i * 7919 % 1013) as f64 / 7.0,
                })
                .collect();
            let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
            let inputs = [crate::Store::from_bytes(&bytes).unwrap(), input(DType::F64, rows * n, 5)];
            let plan = legate_jit_passes::compile(&g, &Cx::default()).unwrap();
            let run = |tier: Tier| -> (bool, Vec<Vec<u8>>) {
                let prepared = Prepared::new(plan.clone(), tier).unwrap();
                let mut launches = prepared.actions.iter().flat_map(|a| a.launches());
                let adds = launches.any(|l| l.streams().is_some_and(|s| s.adds_leaves(l)));
                let out = prepared.run(&inputs, &[]).unwrap();
                (adds, out.iter().map(|out| out.as_slice().to_vec()).collect())
            };
            let ((_, streams), (adds, added)) = (run(Tier::Vm), run(Tier::Compiled));
            assert!(adds, "{exponents:?}");
            assert!(added == streams, "{exponents:?}");
        }
    }
}
