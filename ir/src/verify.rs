//! The invariants of graphs, kernels and plans, checked between passes in tests and debug builds and whenever a text form is
//! parsed. A message says which node, instruction or step is wrong and why.

mod plan;

use crate::graph::{Opaque, Reduce, Reducer};
use crate::kernel::{Access, Kernel, Op as KernelOp, Reg};
use crate::{DType, Error, Graph, InnerStride, Op, Result, Type, Ufunc, Value, View};

pub use plan::plan;

/// What is wrong, without the place.
type Check = std::result::Result<(), String>;

macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}
use ensure;

/// Types, shapes, bounds and order of a whole graph.
pub fn graph(graph: &Graph) -> Result<()> {
    for i in 0..graph.nodes.len() {
        let v = Value(i as u32);
        node(graph, v).map_err(|m| Error::Invalid(format!("graph {}: %{i}: {m}", graph.name)))?;
    }
    for v in &graph.outputs {
        if v.index() >= graph.nodes.len() {
            return Err(Error::Invalid(format!("graph {} returns %{}, which it does not have", graph.name, v.0)));
        }
    }
    Ok(())
}

/// One node, whose arguments are known to be good.
pub fn node(graph: &Graph, v: Value) -> Check {
    let node = graph.node(v);
    let ty = &node.ty;
    for a in &node.args {
        ensure!(a.0 < v.0, "uses %{}, which does not come before it", a.0);
    }
    let arity = match &node.op {
        Op::Input(_) | Op::Scalar(_) | Op::Const(_) | Op::Index(_) => 0,
        Op::View(_) | Op::Reshape | Op::Cast | Op::Reduce(_) | Op::Opaque(Opaque::Scan { .. }) => 1,
        Op::Update(_) | Op::Opaque(Opaque::Matmul(_)) => 2,
        Op::Map(ufunc) => ufunc.nin(),
    };
    ensure!(node.args.len() == arity, "expected {arity} arguments, found {}", node.args.len());
    let arg = |i: usize| graph.ty(node.args[i]);
    let has_type = |want: &Type| {
        ensure!(ty == want, "its type is {want}, not {ty}");
        Ok(())
    };
    match &node.op {
        Op::Input(n) => {
            let same = |other: &&crate::Node| other.op == Op::Input(*n) && other.ty != *ty;
            match graph.nodes[..v.index()].iter().find(same) {
                Some(other) => Err(format!("input {n} is {} elsewhere, not {ty}", other.ty)),
                None => Ok(()),
            }
        }
        Op::Scalar(n) => {
            let same = |other: &&crate::Node| other.op == Op::Scalar(*n) && other.ty.dtype != ty.dtype;
            if let Some(other) = graph.nodes[..v.index()].iter().find(same) {
                return Err(format!("scalar {n} is {} elsewhere, not {}", other.ty.dtype, ty.dtype));
            }
            has_type(&Type::new(ty.dtype, &[]))
        }
        Op::Const(s) => has_type(&Type::new(s.dtype, &[])),
        Op::Index(axis) => {
            ensure!((*axis as usize) < ty.shape.len(), "axis {axis} of {ty}");
            has_type(&Type { dtype: DType::I64, shape: ty.shape.clone() })
        }
        Op::View(view) => {
            ensure!(view.shape == ty.shape, "the view's shape is {:?}, its type {ty}", &view.shape[..]);
            view_fits(view, &arg(0).shape)?;
            has_type(&Type { dtype: arg(0).dtype, shape: view.shape.clone() })
        }
        Op::Reshape => {
            ensure!(arg(0).size() == ty.size(), "{} elements reshaped to {}", arg(0).size(), ty.size());
            has_type(&Type { dtype: arg(0).dtype, shape: ty.shape.clone() })
        }
        Op::Map(ufunc) => {
            for a in &node.args {
                let shape = &graph.ty(*a).shape;
                ensure!(*shape == ty.shape, "%{} has shape {:?}, not {:?}", a.0, &shape[..], &ty.shape[..]);
            }
            let ins: Vec<DType> = node.args.iter().map(|a| graph.ty(*a).dtype).collect();
            has_type(&Type { dtype: map_dtype(*ufunc, &ins)?, shape: ty.shape.clone() })
        }
        Op::Cast => has_type(&Type { dtype: ty.dtype, shape: arg(0).shape.clone() }),
        Op::Update(view) => {
            let value = arg(1);
            ensure!(
                value.dtype == arg(0).dtype && value.shape == view.shape,
                "the value is {value}, the place {}{:?}",
                arg(0).dtype,
                &view.shape[..]
            );
            view_fits(view, &arg(0).shape)?;
            ensure!(view.is_injective(), "two elements of the value have one place");
            has_type(arg(0))
        }
        Op::Reduce(reduce) => has_type(&reduce_type(reduce, arg(0))?),
        Op::Opaque(opaque) => {
            let args: Vec<&Type> = node.args.iter().map(|a| graph.ty(*a)).collect();
            has_type(&opaque_type(opaque, &args)?)
        }
    }
}

/// The result type of an elementwise operation on exactly these types.
fn map_dtype(ufunc: Ufunc, ins: &[DType]) -> std::result::Result<DType, String> {
    let words: Vec<&str> = ins.iter().map(|d| d.name()).collect();
    ufunc.out(ins).ok_or_else(|| format!("no {} for {}", ufunc.name(), words.join(", ")))
}

/// Every element of the view lies in the base.
fn view_fits(view: &View, base: &[usize]) -> Check {
    ensure!(view.axes.len() == base.len(), "the view is of a base of rank {}, not {}", view.axes.len(), base.len());
    let hi: Vec<usize> = view.shape.to_vec();
    view_fits_on(view, base, &vec![0; hi.len()], &hi)
}

/// Every element that a box `lo..hi` of the view's result names lies in the base.
fn view_fits_on(view: &View, base: &[usize], lo: &[usize], hi: &[usize]) -> Check {
    ensure!(view.axes.len() == base.len(), "the view is of a base of rank {}, not {}", view.axes.len(), base.len());
    let empty = lo.iter().zip(hi).any(|(l, h)| l >= h);
    for (k, map) in view.axes.iter().enumerate() {
        let (mut first, mut last) = (map.start, map.start);
        for (i, &(d, step)) in map.terms.iter().enumerate() {
            ensure!((d as usize) < view.shape.len(), "d{d} where the result has rank {}", view.shape.len());
            ensure!(step != 0 && (i == 0 || map.terms[i - 1].0 < d), "the terms of axis {k} are not in order");
            if !empty {
                let (a, b) = (step * lo[d as usize] as i64, step * (hi[d as usize] as i64 - 1));
                first += a.min(b);
                last += a.max(b);
            }
        }
        ensure!(
            empty || first >= 0 && last < base[k] as i64,
            "axis {k} of the base has {} elements, the view reaches from {first} to {last}",
            base[k]
        );
    }
    Ok(())
}

/// The type of a reduction or accumulation by a ufunc, for elements of this type.
fn reduced_dtype(ufunc: Ufunc, dtype: DType) -> std::result::Result<DType, String> {
    ensure!(ufunc.nin() == 2, "{} does not take two arguments", ufunc.name());
    let out = map_dtype(ufunc, &[dtype, dtype])?;
    ensure!(out == dtype || ufunc.props().logical, "{} of {dtype} gives {out}, which cannot go on", ufunc.name());
    Ok(out)
}

/// The type that a reduction of this type has.
pub fn reduce_type(reduce: &Reduce, arg: &Type) -> std::result::Result<Type, String> {
    let ascending = reduce.axes.windows(2).all(|w| w[0] < w[1]);
    let inside = reduce.axes.iter().all(|a| (*a as usize) < arg.shape.len());
    ensure!(ascending && inside, "axes {:?} of {arg}", &reduce.axes[..]);
    match reduce.order {
        crate::graph::Order::Tree => {}
        crate::graph::Order::Chunked(chunk) => ensure!(chunk > 0, "chunks of no elements"),
        crate::graph::Order::Blocks { block, chunk } => ensure!(block > 0 && chunk > 0, "chunks of no elements"),
    }
    let is_reduced = |i: &usize| reduce.axes.contains(&(*i as u32));
    let shape: crate::Shape = (0..arg.shape.len()).filter(|i| !is_reduced(i)).map(|i| arg.shape[i]).collect();
    let (dtype, identity) = match reduce.reducer {
        Reducer::Ufunc(ufunc) => (reduced_dtype(ufunc, arg.dtype)?, ufunc.props().identity.is_some()),
        Reducer::ArgMin | Reducer::ArgMax => (DType::I64, false),
    };
    let nothing = (0..arg.shape.len()).filter(is_reduced).any(|i| arg.shape[i] == 0);
    ensure!(identity || !nothing || shape.contains(&0), "{} of no elements", reduce.reducer);
    Ok(Type { dtype, shape })
}

/// The type of an opaque operation's result.
pub fn opaque_type(opaque: &Opaque, args: &[&Type]) -> std::result::Result<Type, String> {
    match opaque {
        Opaque::Matmul(strides) => {
            let [a, b] = args else { return Err(format!("expected 2 arguments, found {}", args.len())) };
            let rank = a.shape.len();
            ensure!(strides.iter().all(|s| s.is_empty() || s.len() == rank), "strides of {strides:?} for {rank} axes");
            let fits = rank >= 2
                && b.shape.len() == rank
                && a.dtype == b.dtype
                && a.shape[..rank - 2] == b.shape[..rank - 2]
                && a.shape[rank - 1] == b.shape[rank - 2];
            ensure!(fits, "no product of {a} and {b}");
            let mut shape = a.shape.clone();
            shape[rank - 1] = b.shape[rank - 1];
            Ok(Type { dtype: a.dtype, shape })
        }
        Opaque::Scan { ufunc, axis } => {
            let [a] = args else { return Err(format!("expected 1 argument, found {}", args.len())) };
            ensure!((*axis as usize) < a.shape.len(), "axis {axis} of {a}");
            Ok(Type { dtype: reduced_dtype(*ufunc, a.dtype)?, shape: a.shape.clone() })
        }
    }
}

/// Types and order of a kernel's body, and who may be read and written.
pub fn kernel(kernel: &Kernel) -> Result<()> {
    let check = || {
        ensure!(kernel.rank >= 1, "a kernel of rank 0");
        for (i, access) in kernel.accesses.iter().enumerate() {
            ensure!(
                access.inner != InnerStride::Leaves || access.write && access.dtype.is_float() && kernel.rank == 1,
                "#{i} is no sum along one axis"
            );
            ensure!(
                access.inner != InnerStride::Down || access.write && access.dtype.is_float() && kernel.rank >= 3,
                "#{i} is no sum along the axes between two others"
            );
            ensure!(!access.write || access.inner != InnerStride::Zero, "#{i} is written with an inner stride of zero");
            ensure!(
                access.inner != InnerStride::Two || !access.write && !access.dtype.is_complex(),
                "#{i} is no load of real numbers with gaps of one element"
            );
            ensure!(access.write || access.inner != InnerStride::Past, "#{i} is read past the caches");
            if let InnerStride::Apart { step, at, of } = access.inner {
                let first = Access { inner: InnerStride::Apart { step, at: 0, of }, ..*access };
                ensure!((3..=8).contains(&step) && at < step, "#{i} is number {at} of every {step} elements");
                ensure!(!access.write && !access.dtype.is_complex(), "#{i} is no load of real numbers, every {step}");
                ensure!(kernel.accesses.get(of as usize) == Some(&first), "#{i} is not beside #{of}");
            }
        }
        for (i, access) in kernel.accesses.iter().enumerate() {
            if let InnerStride::Near { by, of } = access.inner {
                let first = Access { inner: InnerStride::Near { by: 0, of }, ..*access };
                ensure!(!access.write && !access.dtype.is_complex(), "#{i} is no load of real numbers near others");
                ensure!(kernel.accesses.get(of as usize) == Some(&first), "#{i} is not near #{of}, by {by}");
            }
        }
        for i in 0..kernel.body.insts.len() {
            instruction(kernel, i).map_err(|m| format!("%{i}: {m}"))?;
        }
        let mut stored = vec![false; kernel.accesses.len()];
        for &(a, Reg(r)) in &kernel.body.stores {
            let Some(access) = kernel.accesses.get(a as usize) else { return Err(format!("a store to #{a}")) };
            let Some(value) = kernel.body.insts.get(r as usize) else { return Err(format!("a store of %{r}")) };
            ensure!(access.write, "a store to #{a}, which is read");
            ensure!(access.dtype == value.dtype, "#{a} is {}, the stored %{r} is {}", access.dtype, value.dtype);
            ensure!(!stored[a as usize], "two stores to #{a}");
            stored[a as usize] = true;
        }
        Ok(())
    };
    check().map_err(|m| Error::Invalid(format!("kernel: {m}")))
}

/// One instruction of a kernel.
pub fn instruction(kernel: &Kernel, i: usize) -> Check {
    let inst = &kernel.body.insts[i];
    let register = |Reg(r): Reg| {
        ensure!((r as usize) < i, "uses %{r}, which does not come before it");
        Ok(kernel.body.insts[r as usize].dtype)
    };
    let want = match &inst.op {
        KernelOp::Load(a) => {
            let Some(access) = kernel.accesses.get(*a as usize) else { return Err(format!("loads #{a}")) };
            ensure!(!access.write, "loads #{a}, which is written");
            access.dtype
        }
        KernelOp::Scalar(s) => match kernel.scalars.get(*s as usize) {
            Some(dtype) => *dtype,
            None => return Err(format!("uses ${s}")),
        },
        KernelOp::Const(s) => s.dtype,
        KernelOp::Index(axis) => {
            ensure!(*axis < kernel.rank, "axis {axis} of a kernel of rank {}", kernel.rank);
            DType::I64
        }
        KernelOp::Map(ufunc, args) => {
            ensure!(args.len() == ufunc.nin(), "expected {} arguments, found {}", ufunc.nin(), args.len());
            let ins: Vec<DType> = args.iter().map(|r| register(*r)).collect::<std::result::Result<_, String>>()?;
            map_dtype(*ufunc, &ins)?
        }
        KernelOp::Cast(r) => {
            register(*r)?;
            inst.dtype
        }
    };
    ensure!(want == inst.dtype, "its type is {want}, not {}", inst.dtype);
    Ok(())
}
