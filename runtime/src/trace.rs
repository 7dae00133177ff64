//! The trace: the calls recorded since the last flush, in a form that costs little to make.
//!
//! Records are plain data. Stores, layouts and scalars are kept in tables and named by number; a store or layout carries a
//! note of its number, so that naming it again costs one comparison. A 128-bit hash of all that decides what the trace
//! computes (operations, types, layouts, which operand is which) is kept as the records come; values of scalars are no part
//! of it, but for the few constants that rewrite rules look for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use legate_jit_ir::graph::Reduce;
use legate_jit_ir::{DType, Scalar, Ufunc};
use legate_jit_vmath::powers::Exponent;

use crate::Store;
use crate::base::{State, Token, Version};
use crate::layout::{Layout, mix};
use crate::shared::Shared;

/// What a record does with its arguments. Before it does so, each argument is seen through its layout, broadcast to the
/// record's shape, its axes permuted as the record says, and cast to the type the operation works in.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Op {
    Map(Ufunc),
    /// The argument itself: a copy of a view, a broadcast, a cast.
    Copy,
    /// (base, value): the elements that the base's layout shows are replaced.
    Update,
    /// Index into `Trace::reduces`.
    Reduce(u32),
    Matmul,
    /// `ufunc.accumulate` along an axis.
    Scan(Ufunc, u32),
    /// The index along an axis, i64.
    Index(u32),
}

impl Op {
    /// Whether argument k is a power's exponent.
    #[inline(always)]
    pub(crate) fn has_exponent(self, k: usize) -> bool {
        k == 1 && matches!(self, Op::Map(Ufunc::Power | Ufunc::FloatPower))
    }

    pub(crate) fn word(self) -> u64 {
        match self {
            Op::Map(u) => u as u64,
            Op::Copy => 0x100,
            Op::Update => 0x101,
            Op::Reduce(_) => 0x102,
            Op::Matmul => 0x103,
            Op::Scan(u, axis) => 0x200 + u as u64 + ((axis as u64) << 16),
            Op::Index(axis) => 0x104 + ((axis as u64) << 16),
        }
    }
}

/// Where an argument's elements come from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Src {
    Node(u32),
    Input(u32),
    /// A scalar argument of the plan.
    Scalar(u32),
    /// A scalar whose value is part of the key.
    Const(u32),
}

impl Src {
    fn word(self) -> u64 {
        match self {
            Src::Node(n) => (n as u64) << 2,
            Src::Input(n) => (n as u64) << 2 | 1,
            Src::Scalar(n) => (n as u64) << 2 | 2,
            // Its value is in the key.
            Src::Const(_) => 3,
        }
    }
}

/// Which part of a complex element a handle shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Whole,
    Real,
    Imag,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Arg {
    pub(crate) src: Src,
    /// Index into `Trace::layouts`; of no meaning for scalars.
    pub(crate) layout: u32,
    /// The element type that the operation sees.
    pub(crate) cast: DType,
    pub(crate) part: Part,
}

impl Arg {
    /// Fills the places that a record does not use.
    pub(crate) const NONE: Arg = Arg { src: Src::Const(0), layout: 0, cast: DType::Bool, part: Part::Whole };
}

/// An order of axes packed into a word, four bits an axis (so at most 16 axes); 0 is the order as it is.
pub(crate) type PackedPerm = u64;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rec {
    pub(crate) op: Op,
    pub(crate) dtype: DType,
    pub(crate) nargs: u8,
    pub(crate) args: [Arg; 3],
    /// The shape before `perm`, by its identity layout.
    pub(crate) shape: u32,
    pub(crate) perm: PackedPerm,
}

impl Rec {
    #[inline]
    pub(crate) fn args(&self) -> &[Arg] {
        &self.args[..self.nargs as usize]
    }
}

/// What is known of an input besides its store.
pub(crate) struct InputType {
    /// The shape, by its identity layout.
    pub(crate) layout: u32,
    pub(crate) dtype: DType,
}

/// The 128-bit hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key(pub(crate) u64, pub(crate) u64);

impl Key {
    const START: Key = Key(0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344);

    #[inline(always)]
    pub(crate) fn add(&mut self, word: u64) {
        self.0 = mix(self.0, word);
        self.1 = mix(self.1 ^ 0xa409_3822_299f_31d0, word.rotate_left(29));
    }
}

#[derive(Default)]
pub(crate) struct Trace {
    /// Number of this trace, from 1; it tells the notes of this trace from those of former ones.
    pub(crate) epoch: u32,
    pub(crate) recs: Vec<Rec>,
    /// The result of each record.
    pub(crate) versions: Vec<Shared<Version>>,
    pub(crate) inputs: Vec<Arc<Store>>,
    pub(crate) input_types: Vec<InputType>,
    pub(crate) layouts: Vec<Shared<Layout>>,
    pub(crate) scalars: Vec<[u64; 2]>,
    pub(crate) scalar_types: Vec<DType>,
    pub(crate) consts: Vec<Scalar>,
    pub(crate) reduces: Vec<Reduce>,
    /// For each record what it does, without saying to which value: repeats show in it.
    pub(crate) shapes_of: Vec<u64>,
    pub(crate) key: Key,
    /// Elements that the records make and reduce: how much work is pending, roughly.
    pub(crate) elements: usize,
    /// Records over next to no elements.
    pub(crate) tiny: usize,
    /// Single elements of pending values that somebody asked for.
    pub(crate) element_reads: u32,
    /// An input is visible to foreign code: run at once.
    pub(crate) exported: bool,
    /// Records of arrays whose elements nobody has given (`np.empty`). They are zeros where that costs nothing.
    pub(crate) unset: Vec<u32>,
    /// Records of arrays of which every element is written before anybody reads it, in the order of the records.
    pub(crate) covered: Vec<u32>,
}

impl Default for Key {
    fn default() -> Key {
        Key::START
    }
}

/// The bit of a trace's number that says that it is part of another one.
const OF_A_PART: u32 = 1 << 31;

/// Elements of a record that are worked through in less time than it takes to record them.
pub(crate) const TINY: usize = 256;

/// Constants that rewrite rules look for.
fn is_special(s: Scalar) -> bool {
    if s.dtype.is_complex() {
        return false;
    }
    matches!(s.as_f64(), 0.0 | 1.0 | -1.0 | 2.0 | 0.5)
}

impl Trace {
    pub(crate) fn is_empty(&self) -> bool {
        self.recs.is_empty()
    }

    /// Starts the next trace. The tables' memory is kept.
    pub(crate) fn clear(&mut self) {
        self.clear_for(((self.epoch + 1) & !OF_A_PART).max(1));
    }

    /// The same for a trace that is part of another one, whose notes stay good.
    pub(crate) fn clear_part(&mut self) {
        self.clear_for(self.epoch.wrapping_add(1) | OF_A_PART);
    }

    fn clear_for(&mut self, epoch: u32) {
        self.epoch = epoch;
        self.recs.clear();
        self.versions.clear();
        self.inputs.clear();
        self.input_types.clear();
        self.layouts.clear();
        self.scalars.clear();
        self.scalar_types.clear();
        self.consts.clear();
        self.reduces.clear();
        self.shapes_of.clear();
        self.key = Key::START;
        self.elements = 0;
        self.tiny = 0;
        self.element_reads = 0;
        self.exported = false;
        self.unset.clear();
        self.covered.clear();
    }

    #[inline]
    pub(crate) fn layout(&mut self, layout: &Shared<Layout>) -> u32 {
        let note = layout.note();
        if (note >> 32) as u32 == self.epoch {
            return note as u32;
        }
        let id = self.layouts.len() as u32;
        layout.set_note((self.epoch as u64) << 32 | id as u64);
        self.layouts.push(layout.clone());
        id
    }

    #[inline]
    pub(crate) fn input(&mut self, store: &Arc<Store>, full: &Shared<Layout>, dtype: DType) -> u32 {
        let note = store.mark.load(Ordering::Relaxed);
        if (note >> 32) as u32 == self.epoch {
            return note as u32;
        }
        let id = self.inputs.len() as u32;
        store.mark.store((self.epoch as u64) << 32 | id as u64, Ordering::Relaxed);
        let layout = self.layout(full);
        self.inputs.push(store.clone());
        self.input_types.push(InputType { layout, dtype });
        self.key.add(full.hash ^ (dtype as u64 + 1) << 56);
        self.exported |= store.is_exported();
        id
    }

    /// An argument that reads a version through a layout.
    #[inline(always)]
    pub(crate) fn array(
        &mut self,
        token: &Token,
        version: &Shared<Version>,
        layout: &Shared<Layout>,
        part: Part,
        cast: DType,
    ) -> Arg {
        let src = match version.state.get(token) {
            State::Pending(n) => Src::Node(*n),
            State::Store(store) => Src::Input(self.input(store, &version.full, version.dtype)),
            // Callers look for failures before they record.
            State::Failed(_) => unreachable!("a failed value was recorded"),
        };
        Arg { src, layout: self.layout(layout), cast, part }
    }

    /// An argument that is a scalar of the type the operation works in.
    #[inline(always)]
    pub(crate) fn scalar(&mut self, value: Scalar) -> Arg {
        let src = if is_special(value) { self.constant(value) } else { Src::Scalar(self.argument(value)) };
        Arg { src, layout: u32::MAX, cast: value.dtype, part: Part::Whole }
    }

    /// The same of a power's exponent: code that knows it is shorter.
    pub(crate) fn exponent(&mut self, value: Scalar) -> Arg {
        if value.dtype.is_complex() || Exponent::of(value.as_f64()).is_none() {
            return self.scalar(value);
        }
        Arg { src: self.constant(value), layout: u32::MAX, cast: value.dtype, part: Part::Whole }
    }

    fn constant(&mut self, value: Scalar) -> Src {
        self.consts.push(value);
        Src::Const(self.consts.len() as u32 - 1)
    }

    /// The number of a scalar argument. Numbers that come again after a few others, as a loop's do, are one argument, so that
    /// what is computed from them is seen to be the same.
    #[inline(always)]
    fn argument(&mut self, value: Scalar) -> u32 {
        const FEW: usize = 8;
        let first = self.scalars.len().saturating_sub(FEW);
        for k in (first..self.scalars.len()).rev() {
            if self.scalars[k] == value.bits && self.scalar_types[k] == value.dtype {
                return k as u32;
            }
        }
        self.scalars.push(value.bits);
        self.scalar_types.push(value.dtype);
        self.scalars.len() as u32 - 1
    }

    /// The value of an argument that is a number.
    pub(crate) fn number(&self, src: Src) -> Option<Scalar> {
        match src {
            Src::Scalar(n) => Some(Scalar { dtype: self.scalar_types[n as usize], bits: self.scalars[n as usize] }),
            Src::Const(n) => Some(self.consts[n as usize]),
            Src::Node(_) | Src::Input(_) => None,
        }
    }

    pub(crate) fn reduce(&mut self, reduce: Reduce) -> Op {
        self.reduces.push(reduce);
        Op::Reduce(self.reduces.len() as u32 - 1)
    }

    /// Adds a record; `shape` is the result's shape before the permutation, `full` after it.
    #[inline]
    pub(crate) fn push(
        &mut self,
        op: Op,
        dtype: DType,
        args: &[Arg],
        shape: &Shared<Layout>,
        perm: PackedPerm,
        full: Shared<Layout>,
    ) -> Shared<Version> {
        let mut local = mix(op.word() | (dtype as u64) << 40, perm);
        if let Op::Reduce(n) = op {
            local = mix(local, reduce_word(&self.reduces[n as usize]));
        }
        let mut three = [Arg::NONE; 3];
        let mut links = 0;
        for (slot, arg) in three.iter_mut().zip(args) {
            *slot = *arg;
            let seen = match arg.src {
                Src::Node(_) | Src::Input(_) => self.layouts[arg.layout as usize].hash,
                Src::Scalar(_) => 1,
                Src::Const(n) => self.consts[n as usize].bits[0],
            };
            local = mix(local, seen ^ (arg.cast as u64) << 48 ^ (arg.part as u64) << 60);
            links = mix(links, arg.src.word());
        }
        local = mix(local, shape.hash);
        let seen = |arg: &Arg| &self.layouts[arg.layout as usize];
        let elements = match op {
            Op::Map(_) | Op::Copy | Op::Index(_) => shape.size,
            Op::Update => seen(&args[0]).size,
            Op::Reduce(_) | Op::Scan(..) => shape.size + seen(&args[0]).size,
            Op::Matmul => shape.size * (1 + seen(&args[0]).shape().last().copied().unwrap_or(1)),
        };
        self.elements += elements;
        self.tiny += (elements <= TINY) as usize;
        self.shapes_of.push(local);
        self.key.add(local);
        self.key.add(links);
        let shape = self.layout(shape);
        self.recs.push(Rec { op, dtype, nargs: args.len() as u8, args: three, shape, perm });
        let version = Version::new(State::Pending(self.recs.len() as u32 - 1), full, dtype);
        self.versions.push(version.clone());
        version
    }
}

pub(crate) fn reduce_word(r: &Reduce) -> u64 {
    use legate_jit_ir::graph::{Order, Reducer};
    let mut h = match r.reducer {
        Reducer::Ufunc(u) => u as u64,
        Reducer::ArgMin => 1000,
        Reducer::ArgMax => 1001,
    };
    h = mix(
        h,
        match r.order {
            Order::Tree => 0,
            Order::Chunked(n) => n as u64 + 1,
            Order::Blocks { block, chunk } => mix(block, chunk as u64),
        },
    );
    r.axes.iter().fold(h, |h, &a| mix(h, a as u64))
}

pub(crate) fn pack(perm: &[u32]) -> PackedPerm {
    if crate::layout::is_sorted(perm) {
        return 0;
    }
    perm.iter().enumerate().fold(0, |w, (k, &d)| w | (d as u64) << (4 * k))
}

pub(crate) fn unpack(perm: PackedPerm, ndim: usize) -> crate::layout::Perm {
    if perm == 0 { (0..ndim as u32).collect() } else { (0..ndim).map(|k| (perm >> (4 * k) & 15) as u32).collect() }
}
