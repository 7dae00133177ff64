//! Launches that run at once on the calling thread, one after the other, as one list of calls.
//!
//! Of small arrays a piece takes some ten to some hundred nanoseconds, and to find out again in every run where its operands lie in their
//! buffers, where its box begins and how large it is took 70 more. Here that is settled when the plan is prepared: a call has its
//! kernel, its box and its strides, and adds offsets to addresses. Scalars are brought together once a run, and once for all pieces that
//! take the same.
//!
//! A boundary file: it calls kernels on the addresses that it puts together.

use std::ops::Range;
use std::sync::OnceLock;

use legate_jit_ir::kernel::KernelFn;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::Frame;
use super::launch::PreparedLaunch;
use super::piece::PreparedPiece;

/// Several launches, none of which is shared by threads or has streams.
pub struct Calls {
    launches: Vec<PreparedLaunch>,
    list: List,
}

/// Calls of kernels on boxes of the launches' pieces.
#[derive(Default)]
pub struct List {
    calls: Vec<Call>,
    /// For each operand of each call, its buffer and the bytes from there to the box's first point.
    operands: Vec<(u32, i64)>,
    /// Strides of all calls, then first points and extents.
    numbers: Vec<i64>,
    /// The plan's scalars that the calls take, list after list.
    scalars: Vec<u32>,
    /// Operands of the call that has most.
    most: usize,
    /// Where lists of scalars and of numbers are.
    lists: FxHashMap<SmallVec<[u32; 4]>, u32>,
    known: FxHashMap<SmallVec<[i64; 16]>, u32>,
}

/// The values of all scalars of a list.
pub type Scalars = SmallVec<[[u64; 2]; 32]>;

struct Call {
    /// The compiled code, once it has been seen to be there.
    code: OnceLock<KernelFn>,
    launch: u32,
    piece: u32,
    /// Where its part of each table begins.
    operands: u32,
    accesses: u32,
    strides: u32,
    first: u32,
    extent: u32,
    scalars: u32,
}

impl List {
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// A box of a piece, which must lie in it; what it is among the launches that the list runs with.
    pub fn add(&mut self, launch: usize, p: usize, piece: &PreparedPiece, lo: &[i64], hi: &[i64]) {
        let mut numbers = |list: SmallVec<[i64; 16]>| {
            *self.known.entry(list).or_insert_with_key(|list| {
                self.numbers.extend_from_slice(list);
                (self.numbers.len() - list.len()) as u32
            })
        };
        let first = piece.along_axes(|d| lo[d]);
        let extent = piece.along_axes(|d| hi[d] - lo[d]);
        let (strides, first, extent) = (numbers(piece.strides.clone()), numbers(first), numbers(extent));
        let scalars = *self.lists.entry(piece.scalars.clone()).or_insert_with_key(|list| {
            self.scalars.extend_from_slice(list);
            (self.scalars.len() - list.len()) as u32
        });
        let operands = self.operands.len() as u32;
        self.operands.extend(piece.operands(lo));
        self.most = self.most.max(self.operands.len() - operands as usize);
        self.calls.push(Call {
            code: OnceLock::new(),
            launch: launch as u32,
            piece: p as u32,
            operands,
            accesses: self.operands.len() as u32 - operands,
            strides,
            first,
            extent,
            scalars,
        });
    }

    pub fn scalars(&self, frame: &Frame) -> Scalars {
        self.scalars.iter().map(|&s| frame.scalars[s as usize]).collect()
    }

    /// Makes some of the calls, one after the other. Nobody else may write what they read or write meanwhile.
    pub fn run(&self, launches: &[PreparedLaunch], frame: &Frame, scalars: &Scalars, calls: Range<usize>) {
        let mut ptrs: SmallVec<[*mut u8; 32]> = SmallVec::from_elem(std::ptr::null_mut(), self.most);
        let numbers = |at: u32| self.numbers[at as usize..].as_ptr();
        for call in &self.calls[calls] {
            let from = call.operands as usize;
            for (ptr, &(buffer, offset)) in ptrs.iter_mut().zip(&self.operands[from..from + call.accesses as usize]) {
                *ptr = frame.bases[buffer as usize].wrapping_offset(offset as isize);
            }
            let scalars = scalars[call.scalars as usize..].as_ptr();
            let (strides, first, extent) = (numbers(call.strides), numbers(call.first), numbers(call.extent));
            // SAFETY: the box lies in the piece, whose views stay inside their buffers (`verify`), and every buffer that a launch
            // touches has memory by now; the tables have what the kernel asks for from these places on.
            unsafe {
                match call.code.get() {
                    Some(code) => code(ptrs.as_ptr(), strides, scalars, first, extent),
                    None => {
                        let runner = &launches[call.launch as usize].pieces[call.piece as usize].runner;
                        if let Some(code) = runner.code() {
                            let _ = call.code.set(code);
                        }
                        runner.call(ptrs.as_ptr(), strides, scalars, first, extent);
                    }
                }
            }
        }
    }
}

impl Calls {
    pub fn new(launches: Vec<PreparedLaunch>) -> Calls {
        let mut list = List::default();
        for (l, launch) in launches.iter().enumerate() {
            for (p, piece) in launch.pieces.iter().enumerate().filter(|(_, p)| p.walk.points() > 0) {
                list.add(l, p, piece, &piece.walk.lo, &piece.walk.hi);
            }
        }
        Calls { launches, list }
    }

    /// Whether a launch can be among them.
    pub fn takes(launch: &PreparedLaunch) -> bool {
        launch.runs_at_once() && launch.pieces.iter().all(PreparedPiece::is_plain)
    }

    pub fn run(&self, frame: &Frame) {
        self.list.run(&self.launches, frame, &self.list.scalars(frame), 0..self.list.len());
    }

    pub fn launches(&self) -> &[PreparedLaunch] {
        &self.launches
    }
}

#[cfg(test)]
mod tests {
    use legate_jit_ir::graph::{Graph, Op, Type};
    use legate_jit_ir::view::AxisMap;
    use legate_jit_ir::{DType, Ufunc, Value, View};
    use legate_jit_passes::Cx;

    use crate::Tier;
    use crate::exec::{Action, Prepared, sample::input};

    const SHAPE: [usize; 2] = [9, 7];

    fn window(start: [i64; 2], shape: &[usize]) -> View {
        View { shape: shape.into(), axes: start.iter().enumerate().map(|(k, &s)| AxisMap::along(s, k, 1)).collect() }
    }

    /// Windows of sums of neighbours, each times one of two scalars, and a column after each.
    fn program(steps: usize) -> Graph {
        let mut g = Graph { donated: vec![false], ..Graph::default() };
        let ty = |shape: &[usize]| Type::new(DType::F64, shape);
        let mut p = g.push(Op::Input(0), &[], ty(&SHAPE));
        for step in 0..steps {
            let times = |g: &mut Graph, v: Value, shape: &[usize]| {
                let scalar = g.push(Op::Scalar(step as u32 % 2), &[], ty(&[]));
                let scalar = g.push(Op::View(View::broadcast(&[], shape)), &[scalar], ty(shape));
                g.push(Op::Map(Ufunc::Multiply), &[scalar, v], ty(shape))
            };
            let inner = [SHAPE[0] - 2, SHAPE[1] - 2];
            let parts = [[0, 1], [2, 1]].map(|start| g.push(Op::View(window(start, &inner)), &[p], ty(&inner)));
            let sum = g.push(Op::Map(Ufunc::Add), &parts, ty(&inner));
            let value = times(&mut g, sum, &inner);
            p = g.push(Op::Update(window([1, 1], &inner)), &[p, value], ty(&SHAPE));
            let column = [SHAPE[0], 1];
            let value = g.push(Op::View(window([0, 2], &column)), &[p], ty(&column));
            let value = times(&mut g, value, &column);
            p = g.push(Op::Update(window([0, 0], &column)), &[p, value], ty(&SHAPE));
        }
        g.outputs = vec![p];
        g
    }

    #[test]
    fn launches_in_one_list_have_the_bits_of_launches_alone() {
        for steps in [1, 2, 7] {
            let plan = legate_jit_passes::compile(&program(steps), &Cx::default()).unwrap();
            let input = input(DType::F64, SHAPE[0] * SHAPE[1], 3);
            let scalars = [0.3f64, -1.7].map(|x| [x.to_bits(), 0]);
            let run = |p: &Prepared| p.run(std::slice::from_ref(&input), &scalars).unwrap()[0].as_slice().to_vec();
            let alone = run(&Prepared::stepwise(plan.clone(), Tier::Vm).unwrap());
            for tier in [Tier::Vm, Tier::Compiled] {
                let prepared = Prepared::new(plan.clone(), tier).unwrap();
                let lists = prepared.actions.iter().filter(|a| matches!(a, Action::Calls(_))).count();
                assert!(lists > 0 && prepared.actions.iter().all(|a| !matches!(a, Action::Launch(_))), "{tier:?}");
                // The second time the code is known to be there.
                assert!(run(&prepared) == alone && run(&prepared) == alone, "{steps} steps, {tier:?}");
            }
        }
    }
}
