//! `lower` for a GPU: the same body, one point a thread.
//!
//! The threads' x runs along the innermost axis, so that neighbours read neighbouring elements; their y runs over all other
//! axes together. Both go on by the grid's extent, so any launch covers any box. Every parameter is one 8-byte word, in the
//! order of `KernelFn`'s arguments: the accesses' addresses, their strides, two words for each scalar, `lo`, `extent`.

use std::collections::BTreeSet;

use melior::Context;
use melior::ir::block::BlockLike;
use melior::ir::{Block, Module, Region, RegionLike};

use legate_jit_ir::{DType, InnerStride, Kernel};

use super::body::Body;
use super::build::{Build, Common, Elem, Math, V};
use super::course::Course;
use super::memory::{At, Row};
use super::{Arguments, Val, add_function, check};
use crate::{Error, Result};

/// Builds the module of a kernel for a GPU, and says what it calls of CUDA's library.
pub fn lower_gpu<'c>(context: &'c Context, kernel: &Kernel, name: &str) -> Result<(Module<'c>, BTreeSet<String>)> {
    if super::leaves::adds_up(kernel) || super::down::adds_up(kernel) {
        return Err(Error::Unsupported("sums on a GPU".into()));
    }
    check(kernel)?;
    let common = Common::new(context);
    let module = Module::new(common.location);
    let rank = kernel.rank as usize;
    let words = kernel.accesses.len() * rank + 2 * kernel.scalars.len() + 2 * rank;
    let mut types = vec![common.ptr; kernel.accesses.len()];
    types.extend(vec![common.elem(Elem::I64); words]);
    let parameters: Vec<_> = types.iter().map(|&t| (t, common.location)).collect();

    let region = Region::new();
    let block = region.append_block(Block::new(&parameters));
    let build = Build { common: &common, block, lanes: 1, math: Math::Gpu, entry: None };
    let arguments = parameters_as_arguments(&build, kernel);
    let course = Course::of(kernel, false);
    let mut result = Ok(());
    let (first, step) = (thread(&build, "y"), threads(&build, "y"));
    let rows = arguments.extent[..rank - 1]
        .iter()
        .fold(build.int(Elem::I64, 1), |n, &e| build.op("arith.muli", &[n, e], Elem::I64));
    build.for_each(first, rows, step, |build, row| {
        let (ptrs, index) = row_start(build, &arguments, rank, row);
        let row = Row::new(build, kernel, &arguments, &ptrs, &index);
        let n = arguments.extent[rank - 1];
        build.for_each(thread(build, "x"), n, threads(build, "x"), |build, i| {
            result = Body::new(build, &course, &row).run(&[At::whole(i)]);
        });
    });
    result?;
    build.effect("llvm.return", &[], &[]);
    add_function(&common, &module, name, (None, &types), region, Some("nvvm.kernel"))?;
    let calls = common.declare(&module);
    Ok((module, calls))
}

fn parameters_as_arguments<'c>(build: &Build<'c, '_>, kernel: &Kernel) -> Arguments<'c> {
    let rank = kernel.rank as usize;
    let mut next = 0;
    let mut word = || {
        next += 1;
        V::from(build.block.argument(next - 1).expect("a parameter for each word"))
    };
    let ptrs = kernel.accesses.iter().map(|_| word()).collect();
    let strides = kernel
        .accesses
        .iter()
        .map(|a| {
            let all: Vec<V<'c>> = (0..rank).map(|_| word()).collect();
            let known = |d: usize| d == rank - 1 && a.inner != InnerStride::Any;
            all.into_iter().enumerate().map(|(d, v)| (!known(d)).then_some(v)).collect()
        })
        .collect();
    let scalars = kernel.scalars.iter().map(|&d| scalar(build, d, word(), word())).collect();
    let lo = (0..rank).map(|_| Some(word())).collect();
    let extent = (0..rank).map(|_| word()).collect();
    Arguments { ptrs, strides, scalars, numbered: None, lo, extent }
}

/// A scalar argument from its bits.
fn scalar<'c>(build: &Build<'c, '_>, dtype: DType, low: V<'c>, high: V<'c>) -> Val<'c> {
    let e = Elem::of(dtype);
    let float = |bits: V<'c>| match e {
        Elem::F64 => build.op("arith.bitcast", &[bits], e),
        _ => build.op("arith.bitcast", &[build.op("arith.trunci", &[bits], Elem::I32)], e),
    };
    match dtype {
        DType::C128 => Val::Pair(float(low), float(high)),
        DType::C64 => {
            let half = build.op("arith.shrui", &[low, build.int(Elem::I64, 32)], Elem::I64);
            Val::Pair(float(low), float(half))
        }
        DType::F32 | DType::F64 => Val::One(float(low)),
        DType::I64 | DType::U64 => Val::One(low),
        _ => Val::One(build.op("arith.trunci", &[low], e)),
    }
}

/// Where the row begins whose number among all rows of the box is given.
fn row_start<'c>(
    build: &Build<'c, '_>,
    arguments: &Arguments<'c>,
    rank: usize,
    row: V<'c>,
) -> (Vec<V<'c>>, Vec<Option<V<'c>>>) {
    let mut ptrs = arguments.ptrs.clone();
    let mut index = arguments.lo.clone();
    let mut left = row;
    for d in (0..rank - 1).rev() {
        let i = if d == 0 {
            left
        } else {
            let i = build.op("arith.remui", &[left, arguments.extent[d]], Elem::I64);
            left = build.op("arith.divui", &[left, arguments.extent[d]], Elem::I64);
            i
        };
        for (p, s) in ptrs.iter_mut().zip(&arguments.strides) {
            let bytes = build.op("arith.muli", &[i, s[d].expect("an outer stride")], Elem::I64);
            *p = build.offset(*p, bytes, Elem::I8);
        }
        index[d] = index[d].map(|lo| build.op("arith.addi", &[lo, i], Elem::I64));
    }
    (ptrs, index)
}

/// A special register of the thread, as i64.
fn register<'c>(build: &Build<'c, '_>, name: &str, axis: &str) -> V<'c> {
    let value = build.op(&format!("nvvm.read.ptx.sreg.{name}.{axis}"), &[], Elem::I32);
    build.op("arith.extui", &[value], Elem::I64)
}

/// The thread's number along an axis of the whole grid.
fn thread<'c>(build: &Build<'c, '_>, axis: &str) -> V<'c> {
    let (block, size, own) =
        (register(build, "ctaid", axis), register(build, "ntid", axis), register(build, "tid", axis));
    build.op("arith.addi", &[build.op("arith.muli", &[block, size], Elem::I64), own], Elem::I64)
}

/// The number of threads along an axis of the whole grid.
fn threads<'c>(build: &Build<'c, '_>, axis: &str) -> V<'c> {
    build.op("arith.muli", &[register(build, "nctaid", axis), register(build, "ntid", axis)], Elem::I64)
}
