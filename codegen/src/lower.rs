//! `lower`: a kernel becomes an MLIR function with the C interface of `ir::kernel::KernelFn`.
//!
//! Before: a kernel that keeps the invariants of its level. After: a module with one public function: loops over the outer
//! axes, and along the innermost axis whole vectors, then what is left, by the same operations: as one masked vector where
//! the target has masks, else point by point. Bits therefore do not depend on where in a row a point lies.
//!
//! Everything is explicit (vectors, loads, shuffles), so LLVM needs no analysis to find it again and compiles quickly.

mod alone;
mod body;
pub mod build;
mod course;
mod down;
mod emitter;
mod gpu;
mod leaves;
mod length;
mod memory;
mod near;
mod nest;
mod power;
mod quotient;
mod rounded;
mod rounds;

use std::collections::BTreeSet;

use melior::Context;
use melior::dialect::llvm;
use melior::ir::attribute::{StringAttribute, TypeAttribute};
use melior::ir::block::BlockLike;
use melior::ir::operation::OperationBuilder;
use melior::ir::{Attribute, Block, Module, Region, RegionLike, Type, Value};

use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::emit;
use legate_jit_ir::{Access, InnerStride, Kernel, Ufunc};

use crate::target::CpuTarget;
use crate::{Error, Result};
use alone::Alone;
use body::Body;
use course::Course;
pub use gpu::lower_gpu;
pub use nest::lower_nest;

use build::{Build, Common, Elem, Math, V};
use memory::Row;
use near::Near;

pub type Val<'c> = emit::Val<V<'c>>;

/// How the innermost axis is walked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Steps {
    /// The widest vector of the code.
    pub vector_bytes: u32,
    /// Points in a vector.
    pub lanes: u32,
    /// Vectors in a step of the main loop.
    pub unroll: u32,
    /// Vectors whose values are computed side by side where they are added up in registers.
    pub beside: u32,
    /// The rest of a row is masked vectors; otherwise single points.
    pub masked: bool,
    /// A row begins with as many points as bring the first store to a vector's boundary.
    pub aligned: bool,
    /// Neighbours along a row come from the same vectors.
    pub near: bool,
    /// Some stores go past the caches.
    pub past: bool,
    /// Lines are asked for before they are needed.
    pub prefetch: bool,
}

impl Steps {
    /// The widest element of the body fills a vector; strided accesses and scalar remainders get few lanes, as they cost code
    /// for each lane.
    pub fn choose(kernel: &Kernel, target: &CpuTarget) -> Steps {
        let of_access = kernel.accesses.iter().map(|a| Elem::in_memory(a.dtype).bytes());
        let of_body = kernel.body.insts.iter().map(|i| Elem::of(i.dtype).bytes());
        let widest = of_access.chain(of_body).max().unwrap_or(8);
        let strided = kernel.accesses.iter().any(|a| a.inner == InnerStride::Any);
        let calls = (0..kernel.body.insts.len()).any(|k| kernel.body.calls(k));
        let arithmetic = Arithmetic::of(kernel);
        let apart = |a: &Access| matches!(a.inner, InnerStride::Apart { .. });
        let gaps = kernel.accesses.iter().any(|a| a.inner == InnerStride::Two || apart(a));
        let masked = target.level.masks() && !strided && !gaps;
        let complex = kernel.accesses.iter().any(|a| a.dtype.is_complex());
        let is_unit = |a: &&Access| !a.write && matches!(a.inner, InnerStride::Unit | InnerStride::Near { .. });
        let loads = kernel.accesses.iter().filter(is_unit).count();
        let stencil = masked && !complex && loads >= STENCIL && kernel.body.insts.len() <= WORTH_ALIGNING;
        let any = |is: &dyn Fn(InnerStride) -> bool| kernel.accesses.iter().any(|a| is(a.inner));
        let near = stencil && any(&|i| matches!(i, InnerStride::Near { .. })) && !any(&|i| i == InnerStride::Past);
        let busy = arithmetic.slow || arithmetic.ops > ARITHMETIC_BOUND * kernel.accesses.len() as u32;
        // (Neighbours are taken from two vectors by one instruction of 64 bytes, or by two of 32.)
        let vector_bytes = target.vector_bytes(calls || near || busy || arithmetic.long);
        let vector = vector_bytes / widest;
        // Bytes change places within sixteen bytes only, on most processors.
        let narrow = kernel.accesses.iter().any(|a| apart(a) && a.dtype.size() < 4);
        let lanes = if strided || narrow { vector.min(16) } else { vector };
        let small = kernel.body.insts.len() <= 4;
        let twice = if calls { kernel.body.insts.len() <= WORTH_CALLING_TWICE } else { arithmetic.waits() };
        let unroll = if !strided && (small || twice) { 2 } else { 1 };
        let past = kernel.accesses.iter().any(|&a| memory::past(a, lanes));
        let aligned = past || stencil;
        let prefetch = past && loads == 1 || kernel.accesses.iter().any(apart) || busy;
        let side_by_side = !calls && arithmetic.depth >= LONG_CHAIN && kernel.body.insts.len() <= WORTH_ALIGNING;
        let beside = if side_by_side { 2 } else { 1 };
        Steps { vector_bytes, lanes, unroll, beside, masked, aligned, near, past, prefetch }
    }
}

/// Loads of contiguous elements from which on a body is bound by them: a stencil's inner points begin at any place in a cache
/// line, and a vector that reaches over two lines costs twice. In the second-level cache a stencil of seven points, written in C,
/// takes 0.36 ns a point where stores and most loads are aligned, and 0.60 where none is.
const STENCIL: usize = 3;
/// The most instructions of a body that is worth its code three times.
const WORTH_ALIGNING: usize = 48;
/// Vectors in a row that is worth aligning.
const LONG_ROW: u32 = 8;

/// Operations for each access to memory, from which on a body is bound by its arithmetic.
const ARITHMETIC_BOUND: u32 = 4;
/// The most operations of a body with roots or quotients that is worth its code twice.
const WORTH_TWICE: u32 = 40;
/// Operations that wait for each other, from which on a scheduler (of 64 operations on a Zen 4) does not see enough beside them in the
/// next vector: forces by (r²)^-1.5 take 1.12 ns a pair two vectors at a time and 1.27 one at a time (1.2 three or four).
const LONG_CHAIN: u32 = 10;
/// The most instructions of a body with calls whose code is worth having for two vectors: functions of two at a time take a tenth to
/// a third less time.
const WORTH_CALLING_TWICE: usize = 64;

/// Bytes by which a body that works long at each vector asks for what it reads. The processor sees further where vectors follow
/// each other quickly, but not from one page into the next. One stream of loads beside stores past the caches gains from it, too (a
/// cast to f32: 85 % of the copy bandwidth on one core, not 82); two and more already keep the core's requests busy, and lose by
/// it. Elements that lie interleaved gain: several lines go into each vector (flux: 26 ms, not 31).
const AHEAD: i32 = 1536;

/// What the body's operations ask of a core.
struct Arithmetic {
    ops: u32,
    /// Operations on the longest way from a load to a store, each of which waits for the one before.
    depth: u32,
    /// Some operation is a root or a quotient.
    slow: bool,
    /// Some operation is a power that is code of its own, or rounds a quotient (see `rounded`), which takes some ten operations.
    long: bool,
}

impl Arithmetic {
    fn of(kernel: &Kernel) -> Arithmetic {
        let insts = &kernel.body.insts;
        let mut depth = vec![0u32; insts.len()];
        let (mut ops, mut long) = (0, false);
        let slow = insts.iter().any(|i| matches!(i.op, Op::Map(Ufunc::Divide | Ufunc::Sqrt, _)));
        for (k, inst) in insts.iter().enumerate() {
            let args = inst.op.args();
            if args.is_empty() {
                continue;
            }
            // (A power is some twenty operations, of which a dozen wait for each other.)
            let power = kernel.body.power(k).is_some();
            long |= power || rounded::is_one(&kernel.body, &inst.op);
            ops += if power { 20 } else { 1 };
            depth[k] = if power { 12 } else { 1 } + args.iter().map(|r| depth[r.0 as usize]).max().unwrap_or(0);
        }
        Arithmetic { ops, depth: depth.into_iter().max().unwrap_or(0), slow, long }
    }

    /// Whether a core that looks `WINDOW` operations ahead would mostly wait for results: an operation takes some 4 cycles,
    /// and 2 of them can start in each.
    /// Roots and quotients take five times as long, and what waits for them fills the scheduler sooner: a chain of 20 operations
    /// with one of each takes 1.06 ns a point one vector at a time and 0.97 two at a time, which is what the two take alone.
    fn waits(&self) -> bool {
        const WINDOW: u32 = 256;
        if self.slow && self.ops <= WORTH_TWICE {
            return true;
        }
        let overlapping = (WINDOW / self.ops.max(1)).max(1);
        4 * self.depth > self.ops / 2 * overlapping * 3 / 2
    }
}

/// A lowered kernel.
pub struct Lowered<'c> {
    pub module: Module<'c>,
    /// The functions outside that it calls.
    pub calls: BTreeSet<String>,
    /// The widest vector of the code.
    pub vector_bytes: u32,
}

/// Builds the module of a kernel for a CPU.
pub fn lower<'c>(context: &'c Context, kernel: &Kernel, target: &CpuTarget, name: &str) -> Result<Lowered<'c>> {
    check(kernel)?;
    let common = Common::new(context);
    let module = Module::new(common.location);
    let steps = Steps::choose(kernel, target);
    let course = Course { reciprocals: quotient::pays(kernel, target), ..Course::of(kernel, true) };
    let region = Region::new();
    let block = region.append_block(Block::new(&[(common.ptr, common.location); 5]));
    let build = Build { common: &common, block, lanes: 1, math: Math::Cpu(target.level), entry: Some(block) };
    let arguments = Arguments::load(&build, kernel);
    match () {
        () if leaves::adds_up(kernel) => leaves::leaves(&build, &course, steps, &arguments)?,
        () if down::adds_up(kernel) => down::down(&build, &course, steps, &arguments)?,
        () => loops(&build, &course, steps, &arguments, 0, &arguments.ptrs, &arguments.lo)?,
    }
    if steps.past {
        build.fence();
    }
    build.effect("llvm.return", &[], &[]);
    add_function(&common, &module, name, (None, &[common.ptr; 5]), region, None)?;
    let calls = common.declare(&module);
    Ok(Lowered { module, calls, vector_bytes: steps.vector_bytes })
}

/// Adds a public function with a result of this type, if there is one, and such parameters.
fn add_function<'c>(
    common: &Common<'c>,
    module: &Module<'c>,
    name: &str,
    (result, parameters): (Option<Type<'c>>, &[Type<'c>]),
    body: Region<'c>,
    mark: Option<&str>,
) -> Result<()> {
    let context = common.context;
    let ty = llvm::r#type::function(result.unwrap_or(llvm::r#type::void(context)), parameters, false);
    let mut attributes = vec![
        (common.name("sym_name"), StringAttribute::new(context, name).into()),
        (common.name("function_type"), TypeAttribute::new(ty).into()),
        (common.name("linkage"), llvm::attributes::linkage(context, llvm::attributes::Linkage::External)),
    ];
    attributes.extend(mark.map(|m| (common.name(m), Attribute::unit(context))));
    let function = OperationBuilder::new("llvm.func", common.location).add_attributes(&attributes).add_regions([body]);
    module.body().append_operation(function.build().map_err(|e| Error::Mlir(e.to_string()))?);
    Ok(())
}

/// What lowering relies on; the verifier of `ir` says the same at length.
fn check(kernel: &Kernel) -> Result<()> {
    let broken = |what: &str| Err(Error::Kernel(what.to_string()));
    if kernel.rank == 0 {
        return broken("a kernel has at least one axis");
    }
    for (i, inst) in kernel.body.insts.iter().enumerate() {
        let earlier = |r: legate_jit_ir::Reg| (r.0 as usize) < i;
        let ok = match &inst.op {
            Op::Load(a) => kernel.accesses.get(*a as usize).is_some_and(|x| !x.write && x.dtype == inst.dtype),
            Op::Scalar(s) => kernel.scalars.get(*s as usize) == Some(&inst.dtype),
            Op::Const(c) => c.dtype == inst.dtype,
            Op::Index(d) => *d < kernel.rank && inst.dtype == legate_jit_ir::DType::I64,
            Op::Map(f, args) => args.len() == f.nin() && args.iter().all(|&r| earlier(r)),
            Op::Cast(r) => earlier(*r),
        };
        if !ok {
            return broken(&format!("instruction {i} does not fit its operands"));
        }
    }
    for &(a, r) in &kernel.body.stores {
        let fits = kernel.accesses.get(a as usize).is_some_and(|x| {
            x.write
                && x.inner != InnerStride::Zero
                && (!matches!(x.inner, InnerStride::Leaves | InnerStride::Down) || x.dtype.is_float())
                && kernel.body.insts.get(r.0 as usize).map(|i| i.dtype) == Some(x.dtype)
        });
        if !fits {
            return broken(&format!("the store to access {a} does not fit"));
        }
    }
    Ok(())
}

/// What the function's arguments point to, loaded once at its start.
pub(crate) struct Arguments<'c> {
    /// For each access, the address of its element at the box's first point.
    pub ptrs: Vec<V<'c>>,
    /// For each access and axis, bytes between neighbours; None where the kernel's type already says it.
    pub strides: Vec<Vec<Option<V<'c>>>>,
    pub scalars: Vec<Val<'c>>,
    /// Where the scalars are, if they lie in memory.
    pub numbered: Option<V<'c>>,
    /// For each axis, the first coordinate, where some instruction asks for it.
    pub lo: Vec<Option<V<'c>>>,
    pub extent: Vec<V<'c>>,
}

impl<'c> Arguments<'c> {
    pub fn load(build: &Build<'c, '_>, kernel: &Kernel) -> Arguments<'c> {
        let argument = |i: usize| -> V<'c> { Value::from(build.block.argument(i).expect("five arguments")) };
        let at = |base: V<'c>, bytes: usize| if bytes == 0 { base } else { build.offset_bytes(base, bytes as i32) };
        let rank = kernel.rank as usize;
        let ptrs = (0..kernel.accesses.len()).map(|a| build.load_ptr(at(argument(0), a * 8))).collect();
        let strides = kernel
            .accesses
            .iter()
            .enumerate()
            .map(|(a, access)| {
                (0..rank)
                    .map(|d| {
                        let known = d == rank - 1 && access.inner != InnerStride::Any;
                        (!known).then(|| build.load(Elem::I64, at(argument(1), (a * rank + d) * 8)))
                    })
                    .collect()
            })
            .collect();
        let scalars = kernel
            .scalars
            .iter()
            .enumerate()
            .map(|(s, &d)| memory::load_scalar(build, d, at(argument(2), s * 16)))
            .collect();
        let lo = (0..kernel.rank)
            .map(|d| {
                let used = kernel.body.insts.iter().any(|i| i.op == Op::Index(d));
                used.then(|| build.load(Elem::I64, at(argument(3), d as usize * 8)))
            })
            .collect();
        let extent = (0..rank).map(|d| build.load(Elem::I64, at(argument(4), d * 8))).collect();
        Arguments { ptrs, strides, scalars, numbered: Some(argument(2)), lo, extent }
    }

    /// The address of a scalar argument.
    fn scalar(&self, build: &Build<'c, '_>, number: u32) -> V<'c> {
        build.offset_bytes(self.numbered.expect("a CPU's scalars lie in memory"), 16 * number as i32)
    }
}

/// The loop over axis `d` and everything inside it. `ptrs` and `index` hold where the loops around it stand.
fn loops<'c>(
    build: &Build<'c, '_>,
    course: &Course,
    steps: Steps,
    arguments: &Arguments<'c>,
    d: usize,
    ptrs: &[V<'c>],
    index: &[Option<V<'c>>],
) -> Result<()> {
    if d + 1 == course.kernel.rank as usize {
        return row(build, course, steps, arguments, ptrs, index);
    }
    let mut result = Ok(());
    build.for_each(build.int(Elem::I64, 0), arguments.extent[d], build.int(Elem::I64, 1), |inner, i| {
        let ptrs: Vec<V<'c>> = ptrs
            .iter()
            .zip(&arguments.strides)
            .map(|(&p, s)| {
                inner.offset(p, inner.op("arith.muli", &[i, s[d].expect("an outer stride")], Elem::I64), Elem::I8)
            })
            .collect();
        let mut index = index.to_vec();
        index[d] = index[d].map(|lo| inner.op("arith.addi", &[lo, i], Elem::I64));
        result = loops(inner, course, steps, arguments, d + 1, &ptrs, &index);
    });
    result
}

/// Points of a row before the first store is at a vector's boundary; none where the row is short.
fn head<'c>(build: &Build<'c, '_>, kernel: &Kernel, steps: Steps, row: &Row<'c>, n: V<'c>) -> V<'c> {
    const GREATER_OR_EQUAL: i64 = 5;
    let zero = build.int(Elem::I64, 0);
    let Some(a) = kernel.body.stores.iter().map(|s| s.0).min() else { return zero };
    let size = kernel.accesses[a as usize].dtype.size() as i64;
    let address = build.op("llvm.ptrtoint", &[row.address(a)], Elem::I64);
    let at = build.op("arith.shrui", &[address, build.int(Elem::I64, size.trailing_zeros() as i64)], Elem::I64);
    let before = build.op("arith.subi", &[zero, at], Elem::I64);
    let head = build.op("arith.andi", &[before, build.int(Elem::I64, steps.lanes as i64 - 1)], Elem::I64);
    let long = build.int(Elem::I64, (LONG_ROW * steps.lanes) as i64);
    build.select(build.compare("arith.cmpi", GREATER_OR_EQUAL, n, long), head, zero)
}

/// The innermost axis: the points up to a vector's boundary where that pays, whole vectors, then the rest.
fn row<'c>(
    build: &Build<'c, '_>,
    course: &Course,
    steps: Steps,
    arguments: &Arguments<'c>,
    ptrs: &[V<'c>],
    index: &[Option<V<'c>>],
) -> Result<()> {
    let n = *arguments.extent.last().expect("at least one axis");
    let row = Row::new(build, &course.kernel, arguments, ptrs, index);
    if let Some(function) = Alone::of(&course.kernel).filter(|_| !steps.past) {
        function.row(build, &course.kernel, arguments, &row, n);
        return Ok(());
    }
    let mut result = Ok(());
    let head = match steps.aligned {
        true => {
            let head = head(build, &course.kernel, steps, &row, n);
            result = rest(build, course, steps, &row, build.int(Elem::I64, 0), head);
            head
        }
        false => build.int(Elem::I64, 0),
    };
    result?;
    if let Some(near) = steps.near.then(|| Near::of(&course.kernel, steps.lanes)).flatten() {
        let whole = neighbours(build, course, steps, &near, &row, head, n)?;
        return rest(build, course, steps, &row, whole, n);
    }
    let step = build.int(Elem::I64, (steps.lanes * steps.unroll) as i64);
    let mask = build.int(Elem::I64, !((steps.lanes * steps.unroll) as i64 - 1));
    let whole = match steps.aligned {
        true => {
            let rest = build.op("arith.subi", &[n, head], Elem::I64);
            build.op("arith.addi", &[head, build.op("arith.andi", &[rest, mask], Elem::I64)], Elem::I64)
        }
        false => build.op("arith.andi", &[n, mask], Elem::I64),
    };
    let main = |build: &Build<'c, '_>, past: bool| {
        let mut result = Ok(());
        build.for_each(head, whole, step, |inner, i| {
            let inner = inner.with_lanes(steps.lanes);
            let one = inner.with_lanes(1);
            let parts: Vec<_> = (0..steps.unroll)
                .map(|u| match u {
                    0 => i,
                    u => one.op("arith.addi", &[i, one.int(Elem::I64, (u * steps.lanes) as i64)], Elem::I64),
                })
                .map(|i| if past { memory::At::whole(i).past() } else { memory::At::whole(i) })
                .collect();
            if steps.prefetch {
                for (a, _) in course.kernel.accesses.iter().enumerate().filter(|(_, access)| !access.write) {
                    parts.iter().for_each(|at| row.prefetch(&inner, &course.kernel, a as u32, at, AHEAD));
                }
            }
            result = Body::new(&inner, course, &row).run(&parts);
        });
        result
    };
    if steps.past {
        let aligned = row.is_aligned(build, &course.kernel, steps.lanes, head);
        let (mut yes, mut no) = (Ok(()), Ok(()));
        build.if_else(
            aligned,
            |build| {
                yes = main(build, true);
                Vec::new()
            },
            |build| {
                no = main(build, false);
                Vec::new()
            },
        );
        yes.and(no)?;
    } else {
        main(build, false)?;
    }
    rest(build, course, steps, &row, whole, n)
}

/// Whole vectors of a row from `head` on whose neighbours come from the same loads. Gives the first point that is left.
fn neighbours<'c>(
    build: &Build<'c, '_>,
    course: &Course,
    steps: Steps,
    near: &Near,
    row: &Row<'c>,
    head: V<'c>,
    n: V<'c>,
) -> Result<V<'c>> {
    const GREATER: i64 = 4;
    let int = |n: u32| build.int(Elem::I64, n as i64);
    let step = steps.lanes * steps.unroll;
    let room = build.op("arith.subi", &[n, head], Elem::I64);
    let room = build.op("arith.subi", &[room, int(near.ahead(steps.lanes))], Elem::I64);
    let room = build.op("arith.maxsi", &[room, int(0)], Elem::I64);
    let points = build.op("arith.andi", &[room, build.int(Elem::I64, !(step as i64 - 1))], Elem::I64);
    let end = build.op("arith.addi", &[head, points], Elem::I64);
    let mut result = Ok(());
    build.if_else(
        build.compare("arith.cmpi", GREATER, points, int(0)),
        |build| {
            let wide = build.with_lanes(steps.lanes);
            let state = near.begin(&wide, row, head);
            build.for_state(head, end, build.int(Elem::I64, step as i64), &state, |inner, i, mut state| {
                let inner = inner.with_lanes(steps.lanes);
                let one = inner.with_lanes(1);
                let at = |u: u32| match u {
                    0 => i,
                    u => one.op("arith.addi", &[i, one.int(Elem::I64, (u * steps.lanes) as i64)], Elem::I64),
                };
                let at: Vec<V<'c>> = (0..steps.unroll).map(at).collect();
                let windows: Vec<_> = at.iter().map(|&i| near.step(&inner, row, i, &mut state)).collect();
                let parts: Vec<_> = at.into_iter().map(memory::At::whole).collect();
                result = Body { near: &windows, ..Body::new(&inner, course, row) }.run(&parts);
                state
            });
            Vec::new()
        },
        |_| Vec::new(),
    );
    result?;
    Ok(end)
}

/// Some points of a row, by masked vectors or one by one.
fn rest<'c>(build: &Build<'c, '_>, course: &Course, steps: Steps, row: &Row<'c>, from: V<'c>, to: V<'c>) -> Result<()> {
    let lanes = if steps.masked { steps.lanes } else { 1 };
    let mut result = Ok(());
    build.for_each(from, to, build.int(Elem::I64, lanes as i64), |inner, i| {
        let inner = inner.with_lanes(lanes);
        let at = if steps.masked { memory::At::masked(&inner, &course.kernel, i, to) } else { memory::At::whole(i) };
        result = Body::new(&inner, course, row).run(&[at]);
    });
    result
}
