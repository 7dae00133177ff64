//! Sums whose values never reach memory: kernels that add up the leaves of NumPy's tree in registers (`InnerStride::Leaves`).
//!
//! For launches that go straight along their operands and sum everything to one element. Until such a kernel is compiled, its
//! launch computes streams with the prebuilt loops like every other.

use std::ops::Range;

use legate_jit_ir::graph::{Order, Reducer};
use legate_jit_ir::kernel::{InnerStride, Kernel, Op};
use legate_jit_ir::plan::Launch;
use legate_jit_ir::{DType, Ufunc};

use super::{Element, Mode, Streams, with_scratch};
use crate::exec::Frame;
use crate::exec::launch::{Place, PreparedLaunch};
use crate::tree;

/// Lengths of the leaves of a chunk of so many elements.
pub struct Leaves {
    elements: usize,
    lengths: Vec<i64>,
}

/// The kernel that adds up what this one would store to streams; `None` where it goes along anything but one axis of contiguous
/// numbers.
pub fn adding(launch: &Launch, kernel: &Kernel, places: &[Place]) -> Option<Kernel> {
    let is_sum = |s: &legate_jit_ir::plan::Stream| {
        s.reduce.reducer == Reducer::Ufunc(Ufunc::Add)
            && s.reduce.order == Order::Tree
            && matches!(s.dtype, DType::F32 | DType::F64)
            && s.reduce.axes.len() == launch.domain.len()
    };
    let plain = |a: &legate_jit_ir::kernel::Access| a.inner != InnerStride::Any && !a.dtype.is_complex();
    let asks = kernel.body.insts.iter().any(|i| matches!(i.op, Op::Index(_)) || i.dtype.is_complex());
    if launch.streams.is_empty()
        || launch.pieces.len() != 1
        || kernel.rank != 1
        || asks
        || !launch.streams.iter().all(is_sum)
        || !kernel.accesses.iter().all(plain)
    {
        return None;
    }
    let mut adding = kernel.clone();
    for (access, place) in adding.accesses.iter_mut().zip(places) {
        if matches!(place, Place::Stream(_)) {
            access.inner = InnerStride::Leaves;
        }
    }
    Some(adding)
}

impl Streams {
    /// The kernel of the launch is to add up leaves once it is compiled; whether that can be.
    pub fn expect_leaves(&mut self) -> bool {
        let Mode::Rows { outputs: 1, n } = self.mode else { return false };
        if n <= tree::LEAF || self.direct.is_some() {
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

    /// The partial results of a chunk, for each stream, where [`adds_leaves`](Self::adds_leaves) says so.
    pub(super) fn sum_leaves(
        &self,
        launch: &PreparedLaunch,
        frame: &Frame,
        range: Range<usize>,
        mut each: impl FnMut(usize, Element),
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
            // SAFETY: the range lies in the domain, which has one axis; there is room for a sum of each leaf.
            unsafe { launch.pieces[0].run_leaves(frame, range.start, &shape.lengths, &sums) };
            for (s, info) in self.list.iter().enumerate() {
                // SAFETY: the kernel has written a sum for each leaf.
                each(s, unsafe { tree::join_leaves(info.dtype, range.len(), sums[s], shape.lengths.len()) });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use legate_jit_ir::graph::{Graph, Op, Reduce};
    use legate_jit_ir::{Type, Value};
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
}
