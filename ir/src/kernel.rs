//! The kernel: one elementwise body, run at every point of a box of its iteration space.
//!
//! A kernel knows its rank, the element type and inner stride class of each array access, and the scalars it takes; it
//! knows neither shapes nor buffers, so one compiled kernel serves every size, and threads, tiles, ranks and devices call
//! it on different boxes. Reductions are not inside it: a body *stores to a stream*, and the executor sums the stream in
//! NumPy's order while it is still in the first-level cache (see `plan`).
//!
//! Meaning: at each point, in any order, run the instructions in order, then do the stores. All loads of a point happen
//! before its stores, and a store may name the element that the same point loaded (in-place work). No point reads what
//! another point writes.

use legate_jit_vmath::powers::Exponent;
use smallvec::SmallVec;

use crate::{DType, Scalar, Ufunc};

/// The result of an instruction: its index in the body.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Reg(pub u32);

/// The distance in memory between neighbours along the innermost iteration axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum InnerStride {
    /// One element: full vectors are loaded.
    Unit,
    /// None: one element is loaded and spread over the vector. Never for a store.
    Zero,
    /// Two elements, for a load: two full vectors are loaded, and every other lane is taken.
    Two,
    /// `step` elements, three to eight, for a load. It begins `at` elements behind access number `of`, which has the same steps and
    /// begins at 0 (maybe it is that one), in the same array: whole vectors are loaded once for all of them, and each takes
    /// its lanes.
    Apart { step: u8, at: u8, of: u32 },
    /// One element, for a load. It begins `by` elements behind access number `of`, which has the same steps along all axes and begins
    /// at 0 (maybe it is that one), in the same array: a stencil's neighbours along the row, which may come from the same vectors.
    Near { by: u8, of: u32 },
    /// Anything else, known at run time.
    Any,
    /// One element, for a store of more than the caches hold: it goes past them, so that no line is read to be overwritten.
    Past,
    /// For a store only: what it would store is added up, leaf by leaf of NumPy's pairwise sum, and the array gets one sum after the
    /// other. The kernel has one axis; its points are those of the leaves, one behind the other. See [`KernelFn`].
    Leaves,
    /// For a store only: what it would store is added up in order, step after step along all axes but the first and the last, and the
    /// array gets a row of sums for each step along the first axis. The kernel has three axes at least.
    Down,
}

/// One array operand of the kernel. At run time it is a pointer to the element at the box's first point and one byte
/// stride for each iteration axis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Access {
    pub dtype: DType,
    pub inner: InnerStride,
    /// Read by `Load`, or written by a store; never both (an element read and written in place has two accesses).
    pub write: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Op {
    /// The element of a reading access at this point.
    Load(u32),
    /// A scalar argument of the launch.
    Scalar(u32),
    Const(Scalar),
    /// The point's coordinate along an iteration axis (of the launch's whole domain, not of the box), i64.
    Index(u32),
    Map(Ufunc, SmallVec<[Reg; 3]>),
    /// NumPy's `astype` to the instruction's dtype.
    Cast(Reg),
}

impl Op {
    /// The instructions whose values it takes.
    pub fn args(&self) -> &[Reg] {
        match self {
            Op::Map(_, args) => args,
            Op::Cast(arg) => std::slice::from_ref(arg),
            _ => &[],
        }
    }

    /// The same operation on other values: `f` gets each argument's place and what it is now.
    pub fn with_args(&self, mut f: impl FnMut(usize, Reg) -> Reg) -> Op {
        match self {
            Op::Map(ufunc, args) => Op::Map(*ufunc, args.iter().enumerate().map(|(k, &r)| f(k, r)).collect()),
            Op::Cast(arg) => Op::Cast(f(0, *arg)),
            other => other.clone(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Inst {
    pub op: Op,
    /// The result's type.
    pub dtype: DType,
}

/// What happens at each point.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Body {
    pub insts: Vec<Inst>,
    /// (writing access, value): the types agree.
    pub stores: Vec<(u32, Reg)>,
}

/// One compiled function. Two launches whose kernels are equal share the code.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Kernel {
    /// Iteration axes, innermost last; at least 1 (a 0-d domain runs as one point of rank 1).
    pub rank: u32,
    pub accesses: Vec<Access>,
    /// Types of the scalar arguments.
    pub scalars: Vec<DType>,
    pub body: Body,
}

impl Body {
    pub fn push(&mut self, op: Op, dtype: DType) -> Reg {
        let inst = Inst { op, dtype };
        // Bodies are small; a linear search keeps equal instructions equal.
        if let Some(i) = self.insts.iter().position(|x| *x == inst) {
            return Reg(i as u32);
        }
        self.insts.push(inst);
        Reg(self.insts.len() as u32 - 1)
    }

    pub fn dtype(&self, r: Reg) -> DType {
        self.insts[r.0 as usize].dtype
    }

    /// The base and the exponent of instruction k, if it is a power of floats to a number that has a way of its own.
    pub fn power(&self, k: usize) -> Option<(Reg, Exponent)> {
        let inst = &self.insts[k];
        let Op::Map(Ufunc::Power | Ufunc::FloatPower, args) = &inst.op else { return None };
        let &[x, y] = &args[..] else { return None };
        let Op::Const(c) = self.insts[y.0 as usize].op else { return None };
        let floats = inst.dtype.is_float() && self.dtype(x) == inst.dtype && c.dtype == inst.dtype;
        Some((x, Exponent::of(c.as_f64())?)).filter(|_| floats)
    }

    /// Whether instruction k calls the vector math library, in code for processors that can multiply and add at once.
    pub fn calls(&self, k: usize) -> bool {
        matches!(self.insts[k].op, Op::Map(f, _) if f.vmath().is_some()) && self.power(k).is_none()
    }
}

/// The native entry point of a compiled kernel, the same for every tier and target.
///
/// * `ptrs[a]`: address of the element that access `a` names at the box's first point;
/// * `strides[a * rank + d]`: bytes between neighbours of access `a` along axis `d` (for `InnerStride::Unit` and `Near` the
///   innermost one equals the element size, for `Zero` it is 0, for `Apart` it is `step` elements);
/// * `scalars[s]`: bits of scalar argument `s` as in [`Scalar::bits`];
/// * `lo[d]`: the box's first coordinate in the launch's domain (only `Index` looks at it);
/// * `extent[d]`: points along each axis, all ≥ 1. Strides of an [`InnerStride::Down`] access along the axes between do not matter.
///
/// Of a kernel with [`InnerStride::Leaves`], which has one axis, `extent` is: the number of leaves; the address of their lengths,
/// i64; how many points of the first one were added elsewhere, a multiple of eight, which lie before the box; the address of one
/// address for each access, of the eight accumulators with which it goes on (or begins: -0.0); the number of points behind these
/// leaves, of one that does not end here, a multiple of eight; and the address of one address for each access, where its accumulators
/// go (not looked at if there are no such points). Of accesses that are read there is anything in both tables.
pub type KernelFn = unsafe extern "C" fn(
    ptrs: *const *mut u8,
    strides: *const i64,
    scalars: *const [u64; 2],
    lo: *const i64,
    extent: *const i64,
);
