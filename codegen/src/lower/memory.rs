//! Loads and stores of a kernel's accesses: whole vectors, masked vectors, strided lanes, complex numbers taken apart.

use std::collections::BTreeMap;

use legate_jit_ir::{Access, DType, InnerStride, Kernel};

use super::build::{Build, Elem, V};
use super::near::Windows;
use super::{Arguments, Val};

/// Where in a row a vector lies.
#[derive(Clone, Copy)]
pub struct At<'c> {
    /// The first point.
    pub i: V<'c>,
    /// Which lanes are points of the row, where those may be fewer than all: for values of one part, and for complex ones.
    masks: [Option<V<'c>>; 2],
    /// Stores that may go past the caches do: all lanes are points, and begin at a vector's boundary.
    past: bool,
}

impl<'c> At<'c> {
    pub fn whole(i: V<'c>) -> At<'c> {
        At { i, masks: [None; 2], past: false }
    }

    /// The same with stores past the caches.
    pub fn past(self) -> At<'c> {
        At { past: true, ..self }
    }

    /// As many lanes as are left up to `n`, at least one.
    pub fn masked(build: &Build<'c, '_>, kernel: &Kernel, i: V<'c>, n: V<'c>) -> At<'c> {
        let one = build.with_lanes(1);
        let left = one.op("arith.subi", &[n, i], Elem::I64);
        let live = one.op("arith.minsi", &[left, one.int(Elem::I64, build.lanes as i64)], Elem::I64);
        let complex = kernel.accesses.iter().any(|a| a.dtype.is_complex());
        At { i, masks: [Some(mask(build, live, 1)), complex.then(|| mask(build, live, 2))], past: false }
    }
}

/// True in the first `parts` · live lanes of `parts` · lanes.
fn mask<'c>(build: &Build<'c, '_>, live: V<'c>, parts: u32) -> V<'c> {
    let one = build.with_lanes(1);
    let lanes = build.lanes * parts;
    let live =
        if parts == 1 { live } else { one.op("arith.muli", &[live, one.int(Elem::I64, parts as i64)], Elem::I64) };
    // All bits set, shifted right until `live` are left: the shift is less than 64, as at least one lane is live.
    let gone = one.op("arith.subi", &[one.int(Elem::I64, 64), live], Elem::I64);
    let bits = one.op("arith.shrui", &[one.int(Elem::I64, -1), gone], Elem::I64);
    if lanes == 64 {
        return build.op_typed("llvm.bitcast", &[bits], &[], build.common.vector(Elem::I1, 64));
    }
    // Masks have at least 8 bits.
    let wide = lanes.max(8);
    let ty = melior::ir::r#type::IntegerType::new(build.common.context, wide).into();
    let bits = one.op_typed("arith.trunci", &[bits], &[], ty);
    let mask = build.op_typed("llvm.bitcast", &[bits], &[], build.common.vector(Elem::I1, wide));
    let first: Vec<i32> = (0..lanes as i32).collect();
    if lanes == wide { mask } else { build.shuffle(Elem::I1, mask, mask, &first) }
}

/// One row of the box: what does not change along the innermost axis.
pub struct Row<'c> {
    ptrs: Vec<V<'c>>,
    /// The byte stride of `Any` accesses.
    strides: Vec<Option<V<'c>>>,
    /// The element of `Zero` accesses.
    pub fixed: Vec<Option<Val<'c>>>,
    pub scalars: Vec<Val<'c>>,
    /// Where the scalar arguments are.
    numbered: Option<V<'c>>,
    /// The coordinate along each outer axis, and the first one along the innermost, where they are used.
    pub index: Vec<Option<V<'c>>>,
}

impl<'c> Row<'c> {
    pub fn new(
        build: &Build<'c, '_>,
        kernel: &Kernel,
        arguments: &Arguments<'c>,
        ptrs: &[V<'c>],
        index: &[Option<V<'c>>],
    ) -> Row<'c> {
        let fixed = kernel
            .accesses
            .iter()
            .zip(ptrs)
            .map(|(a, &p)| (a.inner == InnerStride::Zero && !a.write).then(|| load_scalar(build, a.dtype, p)))
            .collect();
        Row {
            ptrs: ptrs.to_vec(),
            strides: arguments.strides.iter().map(|s| *s.last().expect("at least one axis")).collect(),
            fixed,
            scalars: arguments.scalars.clone(),
            numbered: arguments.numbered,
            index: index.to_vec(),
        }
    }

    /// Where an access's first element is.
    pub fn address(&self, a: u32) -> V<'c> {
        self.ptrs[a as usize]
    }

    /// Scalar argument number `first + step * round`, in every lane.
    pub fn scalar(&self, build: &Build<'c, '_>, dtype: DType, first: u32, step: i64, round: V<'c>) -> Val<'c> {
        let one = build.with_lanes(1);
        let base = self.numbered.expect("only asked for where scalars have an address");
        let apart = one.op("arith.muli", &[round, one.int(Elem::I64, 16 * step)], Elem::I64);
        let at = one.offset(one.offset_bytes(base, 16 * first as i32), apart, Elem::I8);
        splat(build, dtype, load_scalar(build, dtype, at))
    }

    /// Whether what goes past the caches begins at a vector's boundary `head` points after the row's first.
    pub fn is_aligned(&self, build: &Build<'c, '_>, kernel: &Kernel, lanes: u32, head: V<'c>) -> V<'c> {
        const EQUAL: i64 = 0;
        let int = |n: i64| build.int(Elem::I64, n);
        let mut off = int(0);
        for (a, access) in kernel.accesses.iter().enumerate().filter(|&(_, &access)| past(access, lanes)) {
            let size = access.dtype.size() as i64;
            let address = build.op("llvm.ptrtoint", &[self.ptrs[a]], Elem::I64);
            let bytes = build.op("arith.muli", &[head, int(size)], Elem::I64);
            let address = build.op("arith.addi", &[address, bytes], Elem::I64);
            let own = build.op("arith.andi", &[address, int((size * lanes as i64).min(64) - 1)], Elem::I64);
            off = build.op("arith.ori", &[off, own], Elem::I64);
        }
        build.compare("arith.cmpi", EQUAL, off, int(0))
    }

    /// The elements of a reading access, given what several of them share.
    pub fn load(&self, build: &Build<'c, '_>, kernel: &Kernel, a: u32, at: &At<'c>, shared: &Shared<'c>) -> Val<'c> {
        let access = kernel.accesses[a as usize];
        match access.inner {
            InnerStride::Apart { step, at: place, of } => {
                let e = Elem::in_memory(access.dtype);
                let v = match build.lanes {
                    1 => build.load(e, self.apart_address(build, e, a, step, at)),
                    _ => shared.beside[&of].take(build, e, step, place),
                };
                Val::One(bool_from_memory(build, access.dtype, v))
            }
            InnerStride::Zero => splat(build, access.dtype, self.fixed[a as usize].expect("loaded once a row")),
            InnerStride::Near { by, of } if shared.near.contains_key(&of) => {
                shared.near[&of].take(build, Elem::in_memory(access.dtype), by)
            }
            InnerStride::Unit | InnerStride::Near { .. } | InnerStride::Past => {
                from_memory(build, access.dtype, self.load_unit(build, access.dtype, a, at))
            }
            InnerStride::Two => {
                Val::One(bool_from_memory(build, access.dtype, self.load_two(build, access.dtype, a, at)))
            }
            InnerStride::Any => self.load_any(build, access.dtype, a, at),
            InnerStride::Leaves | InnerStride::Down => unreachable!("sums are not read"),
        }
    }

    /// Elements that lie one behind the other; those of complex numbers still interleaved.
    fn load_unit(&self, build: &Build<'c, '_>, dtype: DType, a: u32, at: &At<'c>) -> V<'c> {
        let e = Elem::in_memory(dtype);
        let parts = if dtype.is_complex() { 2 } else { 1 };
        let wide = build.with_lanes(build.lanes * parts);
        let from = self.unit_address(build, dtype, a, at);
        match at.masks[parts as usize - 1] {
            None => wide.load(e, from),
            // 1 keeps the dead lanes away from the slow and the noisy cases of division, roots and logarithms.
            Some(mask) => wide.masked_load(e, from, mask, wide.number(e, 1.0)),
        }
    }

    /// Asks for what a reading access will need some vectors later.
    pub fn prefetch(&self, build: &Build<'c, '_>, kernel: &Kernel, a: u32, at: &At<'c>, ahead: i32) {
        let access = kernel.accesses[a as usize];
        if matches!(access.inner, InnerStride::Unit | InnerStride::Near { .. }) {
            let one = build.with_lanes(1);
            one.prefetch(one.offset_bytes(self.unit_address(build, access.dtype, a, at), ahead));
        }
        if let InnerStride::Apart { step, at: 0, .. } = access.inner {
            let (one, e) = (build.with_lanes(1), Elem::in_memory(access.dtype));
            let from = self.apart_address(build, e, a, step, at);
            let bytes = build.lanes * step as u32 * e.bytes();
            (0..bytes.div_ceil(64)).for_each(|line| one.prefetch(one.offset_bytes(from, ahead + 64 * line as i32)));
        }
    }

    fn unit_address(&self, build: &Build<'c, '_>, dtype: DType, a: u32, at: &At<'c>) -> V<'c> {
        let one = build.with_lanes(1);
        let i = if dtype.is_complex() { one.op("arith.shli", &[at.i, one.int(Elem::I64, 1)], Elem::I64) } else { at.i };
        one.offset(self.ptrs[a as usize], i, Elem::in_memory(dtype))
    }

    /// The addresses of the lanes of a strided access.
    fn lane_addresses(&self, build: &Build<'c, '_>, a: u32, at: &At<'c>) -> Vec<V<'c>> {
        let one = build.with_lanes(1);
        let stride = self.strides[a as usize].expect("a stride known at run time");
        let first = one.offset(self.ptrs[a as usize], one.op("arith.muli", &[at.i, stride], Elem::I64), Elem::I8);
        let mut addresses = vec![first];
        for _ in 1..build.lanes {
            addresses.push(one.offset(*addresses.last().expect("the first lane"), stride, Elem::I8));
        }
        addresses
    }

    /// The vectors that accesses beside each other share, loaded once.
    pub fn shared(&self, build: &Build<'c, '_>, kernel: &Kernel, at: &At<'c>) -> Shared<'c> {
        let mut shared = Shared::default();
        for (a, access) in kernel.accesses.iter().enumerate().filter(|_| build.lanes > 1) {
            let InnerStride::Apart { step, at: 0, .. } = access.inner else { continue };
            debug_assert!(at.masks[0].is_none(), "kernels with strided accesses have no masked remainder");
            let place = |other: &Access| match other.inner {
                InnerStride::Apart { at, of, .. } if of as usize == a => at,
                _ => 0,
            };
            let last = kernel.accesses.iter().map(place).max().unwrap_or(0);
            let e = Elem::in_memory(access.dtype);
            let from = self.apart_address(build, e, a as u32, step, at);
            shared.beside.insert(a as u32, Beside::load(build, e, step, last, from));
        }
        shared
    }

    fn apart_address(&self, build: &Build<'c, '_>, e: Elem, a: u32, step: u8, at: &At<'c>) -> V<'c> {
        let one = build.with_lanes(1);
        one.offset(self.ptrs[a as usize], one.op("arith.muli", &[at.i, one.int(Elem::I64, step as i64)], Elem::I64), e)
    }

    /// Every other element. The second vector overlaps the first by one, so that it ends with the last lane's element: behind that
    /// there may be no memory.
    fn load_two(&self, build: &Build<'c, '_>, dtype: DType, a: u32, at: &At<'c>) -> V<'c> {
        debug_assert!(at.masks[0].is_none(), "kernels with strided accesses have no masked remainder");
        let e = Elem::in_memory(dtype);
        let (one, lanes) = (build.with_lanes(1), build.lanes as i32);
        let first = one.offset(self.ptrs[a as usize], one.op("arith.addi", &[at.i, at.i], Elem::I64), e);
        if lanes == 1 {
            return one.load(e, first);
        }
        let (low, high) =
            (build.load(e, first), build.load(e, one.offset_bytes(first, (lanes - 1) * e.bytes() as i32)));
        // Lane `lanes + k` of both put together is element `lanes - 1 + k`.
        let lane = |k: i32| if 2 * k < lanes { 2 * k } else { 2 * k + 1 };
        build.shuffle(e, low, high, &(0..lanes).map(lane).collect::<Vec<_>>())
    }

    fn load_any(&self, build: &Build<'c, '_>, dtype: DType, a: u32, at: &At<'c>) -> Val<'c> {
        debug_assert!(at.masks[0].is_none(), "kernels with strided accesses have no masked remainder");
        let addresses = self.lane_addresses(build, a, at);
        let e = Elem::in_memory(dtype);
        let one = build.with_lanes(1);
        let gather = |offset: i32| {
            let element = |&p: &V<'c>| one.load(e, if offset == 0 { p } else { one.offset_bytes(p, offset) });
            if build.lanes == 1 {
                return element(&addresses[0]);
            }
            addresses.iter().enumerate().fold(build.poison(e), |v, (lane, p)| build.insert(v, element(p), lane as u32))
        };
        if dtype.is_complex() {
            return Val::Pair(gather(0), gather(e.bytes() as i32));
        }
        Val::One(bool_from_memory(build, dtype, gather(0)))
    }

    /// Stores to a writing access.
    pub fn store(&self, build: &Build<'c, '_>, kernel: &Kernel, a: u32, at: &At<'c>, value: Val<'c>) {
        let access = kernel.accesses[a as usize];
        let e = Elem::in_memory(access.dtype);
        if access.inner == InnerStride::Any {
            let addresses = self.lane_addresses(build, a, at);
            let one = build.with_lanes(1);
            let scatter = |v: V<'c>, offset: i32| {
                for (lane, &p) in addresses.iter().enumerate() {
                    let element = if build.lanes == 1 { v } else { build.extract(e, v, lane as u32) };
                    one.store(e, element, if offset == 0 { p } else { one.offset_bytes(p, offset) });
                }
            };
            match value {
                Val::One(v) => scatter(bool_to_memory(build, access.dtype, v), 0),
                Val::Pair(re, im) => {
                    scatter(re, 0);
                    scatter(im, e.bytes() as i32);
                }
            }
            return;
        }
        let to = self.unit_address(build, access.dtype, a, at);
        let (parts, v) = match value {
            Val::One(v) => (1, bool_to_memory(build, access.dtype, v)),
            Val::Pair(re, im) => (2, interleave(build, e, re, im)),
        };
        let wide = build.with_lanes(build.lanes * parts);
        match at.masks[parts as usize - 1] {
            None if at.past && past(access, build.lanes) => wide.store_past(e, v, to),
            None => wide.store(e, v, to),
            Some(mask) => wide.masked_store(e, v, to, mask),
        }
    }
}

/// For the first of several accesses beside or near each other, what they share.
#[derive(Default)]
pub struct Shared<'c> {
    beside: BTreeMap<u32, Beside<'c>>,
    pub near: Windows<'c>,
}

/// All elements between the first one of some accesses beside each other and the last one.
pub struct Beside<'c> {
    vectors: Vec<V<'c>>,
    /// Elements of a vector, and the first one of each.
    width: u32,
    starts: Vec<u32>,
}

impl<'c> Beside<'c> {
    /// `last` is the highest place. The last vector ends with the last element: behind that there may be no memory.
    fn load(build: &Build<'c, '_>, e: Elem, step: u8, last: u8, from: V<'c>) -> Beside<'c> {
        // Of narrow elements more than the lanes: a register has sixteen bytes at least.
        const NARROWEST: u32 = 16;
        let span = (build.lanes - 1) * step as u32 + last as u32 + 1;
        let width = build.lanes.max((NARROWEST / e.bytes()).min(1 << span.ilog2()));
        let starts: Vec<u32> = (0..span.div_ceil(width)).map(|k| (k * width).min(span - width)).collect();
        let (one, wide) = (build.with_lanes(1), build.with_lanes(width));
        let vectors = starts.iter().map(|&s| wide.load(e, one.offset_bytes(from, (s * e.bytes()) as i32))).collect();
        Beside { vectors, width, starts }
    }

    /// Element `at` of every `step`, in as many lanes as there are.
    fn take(&self, build: &Build<'c, '_>, e: Elem, step: u8, at: u8) -> V<'c> {
        let element = |lane: u32| lane * step as u32 + at as u32;
        let holds = |lane: u32| (element(lane) / self.width).min(self.vectors.len() as u32 - 1) as usize;
        let lanes = build.lanes;
        let mut used: Vec<usize> = (0..lanes).map(holds).collect();
        used.dedup();
        // One more vector at a time; what was taken before stays in its lane. -1 is a lane that nobody asks for.
        let mut taken = self.vectors[used[0]];
        for k in 1..used.len().max(2) {
            let next = used.get(k).copied().unwrap_or(used[0]);
            let lane = |lane: u32| match holds(lane) {
                v if v == next && k < used.len() => (self.width + element(lane) - self.starts[v]) as i32,
                v if v == used[0] && k == 1 => (element(lane) - self.starts[v]) as i32,
                v if k > 1 && used[..k].contains(&v) => lane as i32,
                _ => -1,
            };
            let all = if k + 1 < used.len() { self.width } else { lanes };
            let mask: Vec<i32> = (0..all).map(|l| if l < lanes { lane(l) } else { -1 }).collect();
            taken = build.shuffle(e, taken, self.vectors[next], &mask);
        }
        taken
    }
}

/// Whether vectors of a store go past the caches where they can; narrow ones do not fill a line in time.
pub fn past(access: Access, lanes: u32) -> bool {
    const NARROW: u32 = 32;
    access.write && access.inner == InnerStride::Past && lanes * access.dtype.size() as u32 >= NARROW
}

/// One element from memory (or a scalar argument's bits, which start with the element).
pub fn load_scalar<'c>(build: &Build<'c, '_>, dtype: DType, from: V<'c>) -> Val<'c> {
    let one = build.with_lanes(1);
    let e = Elem::in_memory(dtype);
    if dtype.is_complex() {
        return Val::Pair(one.load(e, from), one.load(e, one.offset_bytes(from, e.bytes() as i32)));
    }
    Val::One(bool_from_memory(&one, dtype, one.load(e, from)))
}

/// One element in every lane.
pub fn splat<'c>(build: &Build<'c, '_>, dtype: DType, v: Val<'c>) -> Val<'c> {
    let e = Elem::of(dtype);
    match v {
        Val::One(v) => Val::One(build.splat(e, v)),
        Val::Pair(re, im) => Val::Pair(build.splat(e, re), build.splat(e, im)),
    }
}

fn bool_from_memory<'c>(build: &Build<'c, '_>, dtype: DType, v: V<'c>) -> V<'c> {
    const NE: i64 = 1;
    if dtype == DType::Bool { build.compare("arith.cmpi", NE, v, build.int(Elem::I8, 0)) } else { v }
}

fn bool_to_memory<'c>(build: &Build<'c, '_>, dtype: DType, v: V<'c>) -> V<'c> {
    if dtype == DType::Bool { build.op("arith.extui", &[v], Elem::I8) } else { v }
}

/// What consecutive memory holds as an instruction's value: bools as bits, complex numbers as two vectors.
fn from_memory<'c>(build: &Build<'c, '_>, dtype: DType, v: V<'c>) -> Val<'c> {
    if !dtype.is_complex() {
        return Val::One(bool_from_memory(build, dtype, v));
    }
    let e = Elem::of(dtype);
    if build.lanes == 1 {
        let pair = build.with_lanes(2);
        return Val::Pair(pair.extract(e, v, 0), pair.extract(e, v, 1));
    }
    let every_other = |first: i32| (0..build.lanes as i32).map(|k| 2 * k + first).collect::<Vec<_>>();
    Val::Pair(build.shuffle(e, v, v, &every_other(0)), build.shuffle(e, v, v, &every_other(1)))
}

fn interleave<'c>(build: &Build<'c, '_>, e: Elem, re: V<'c>, im: V<'c>) -> V<'c> {
    if build.lanes == 1 {
        let pair = build.with_lanes(2);
        return pair.insert(pair.insert(pair.poison(e), re, 0), im, 1);
    }
    let n = build.lanes as i32;
    let mask: Vec<i32> = (0..n).flat_map(|k| [k, n + k]).collect();
    build.shuffle(e, re, im, &mask)
}
