//! Iteration spaces made simple: neighbouring axes that every access walks as one are merged, axes of one point are left out
//! of the kernel.

use legate_jit_ir::kernel::{Access, InnerStride, Kernel, Op};
use smallvec::SmallVec;

use super::piece::Place;

/// A piece of a launch in bytes: a box, and for each access where the domain's first point would be and how far apart
/// neighbours are.
#[derive(Clone, Debug)]
pub struct Walk {
    pub lo: SmallVec<[i64; 4]>,
    pub hi: SmallVec<[i64; 4]>,
    /// Byte offset of each access at the domain's origin (which may lie outside the buffer).
    pub offset: SmallVec<[i64; 8]>,
    /// `strides[a * rank + d]`.
    pub strides: SmallVec<[i64; 16]>,
    /// The domain axis that an axis of this walk was, for kernels that ask for their index.
    pub axes: SmallVec<[u32; 4]>,
}

impl Walk {
    pub fn rank(&self) -> usize {
        self.lo.len()
    }

    pub fn points(&self) -> usize {
        self.lo.iter().zip(&self.hi).map(|(l, h)| (h - l).max(0) as usize).product()
    }

    fn stride(&self, a: usize, d: usize) -> i64 {
        self.strides[a * self.rank() + d]
    }

    /// Keeps the axes for which `keep` is true.
    pub fn retain(&mut self, keep: &[bool]) {
        let rank = self.rank();
        let mut strides = SmallVec::new();
        for a in 0..self.offset.len() {
            (0..rank).filter(|&d| keep[d]).for_each(|d| strides.push(self.strides[a * rank + d]));
        }
        self.strides = strides;
        let mut d = 0;
        self.lo.retain(|_| (keep[d], d += 1).0);
        d = 0;
        self.hi.retain(|_| (keep[d], d += 1).0);
        d = 0;
        self.axes.retain(|_| (keep[d], d += 1).0);
    }

    /// Whether axes d and d+1 are one to every access, d+1 having `extent` points in the whole domain.
    pub fn can_merge(&self, d: usize, extent: i64) -> bool {
        self.lo[d + 1] == 0
            && self.hi[d + 1] == extent
            && (0..self.offset.len()).all(|a| self.stride(a, d) == self.stride(a, d + 1) * extent)
    }

    pub fn merge(&mut self, d: usize, extent: i64) {
        self.lo[d + 1] = self.lo[d] * extent;
        self.hi[d + 1] = self.hi[d] * extent;
        let mut keep: SmallVec<[bool; 4]> = SmallVec::from_elem(true, self.rank());
        keep[d] = false;
        self.retain(&keep);
    }

    /// A walk has at least one axis.
    pub fn at_least_one_axis(&mut self) {
        if self.rank() == 0 {
            self.lo.push(0);
            self.hi.push(1);
            self.axes.push(u32::MAX);
            self.strides = self.offset.iter().map(|_| 0).collect();
        }
    }

    /// The axes that the kernel of this walk iterates over: not those on which the box is one point wide, unless the kernel
    /// asks for its index there. Never empty.
    pub fn kernel_axes(&self, kernel: &Kernel) -> SmallVec<[u32; 4]> {
        let mut axes: SmallVec<[u32; 4]> = (0..self.rank())
            .filter(|&d| self.hi[d] - self.lo[d] != 1 || asks_for_index(kernel, self.axes[d]))
            .map(|d| d as u32)
            .collect();
        if axes.is_empty() {
            axes.push(self.rank() as u32 - 1);
        }
        axes
    }

    /// Puts an axis last along which the elements of all stores lie one behind the other, if there is one.
    pub fn along_stores(&self, kernel: &Kernel, axes: &mut SmallVec<[u32; 4]>) {
        let stores = (0..kernel.accesses.len()).filter(|&a| kernel.accesses[a].write);
        let lies_along = |a: usize, d: u32| self.stride(a, d as usize) == kernel.accesses[a].dtype.size() as i64;
        let Some(&last) = axes.last() else { return };
        if stores.clone().all(|a| lies_along(a, last)) {
            return;
        }
        if let Some(k) = axes.iter().position(|&d| stores.clone().all(|a| lies_along(a, d))) {
            let axis = axes.remove(k);
            axes.push(axis);
        }
    }

    /// The strides along some of the axes, as the kernel takes them. A single point gets the strides of contiguous data, so
    /// that all kernels of single points are one.
    pub fn kernel_strides(&self, kernel: &Kernel, axes: &[u32]) -> SmallVec<[i64; 16]> {
        let single = axes.len() == 1 && self.points() == 1;
        let mut strides = SmallVec::new();
        for (a, access) in kernel.accesses.iter().enumerate() {
            for &d in axes {
                strides.push(if single { access.dtype.size() as i64 } else { self.stride(a, d as usize) });
            }
        }
        strides
    }
}

/// The kernel for a walk over `axes` with `strides`: its rank, its inner stride classes, its index instructions. `past` says
/// of an access whether it is a store that may go past the caches.
pub fn specialise(
    kernel: &Kernel,
    walk: &Walk,
    axes: &[u32],
    strides: &[i64],
    places: &[Place],
    past: impl Fn(usize) -> bool,
) -> Kernel {
    let rank = axes.len();
    let mut accesses: Vec<Access> = kernel
        .accesses
        .iter()
        .enumerate()
        .map(|(a, access)| {
            let inner = match strides[a * rank + rank - 1] {
                s if s == access.dtype.size() as i64 && past(a) => InnerStride::Past,
                s if s == access.dtype.size() as i64 => InnerStride::Unit,
                0 if !access.write => InnerStride::Zero,
                s if s == 2 * access.dtype.size() as i64 && !access.write && !access.dtype.is_complex() => {
                    InnerStride::Two
                }
                _ => InnerStride::Any,
            };
            Access { inner, ..*access }
        })
        .collect();
    put_beside(&mut accesses, walk, &|a| strides[a * rank + rank - 1], places);
    put_near(&mut accesses, walk, places);
    let mut body = kernel.body.clone();
    for inst in &mut body.insts {
        if let Op::Index(asked) = &mut inst.op {
            let at = axes.iter().position(|&d| walk.axes[d as usize] == *asked);
            *asked = at.expect("axes that a kernel asks for stay") as u32;
        }
    }
    Kernel { rank: rank as u32, accesses, scalars: kernel.scalars.clone(), body }
}

/// Stencils' loads of neighbours along the rows of one array are put near the first of them.
fn put_near(accesses: &mut [Access], walk: &Walk, places: &[Place]) {
    /// Loads one element after the other from which on a kernel is bound by them.
    const MANY: usize = 3;
    /// Elements from the first of some neighbours to the last, at most: in arrays with longer rows these are neighbours along the row,
    /// so that a program's kernels are the same ones whatever its arrays' sizes.
    const REACH: i64 = 4;
    let rank = walk.rank();
    let is_unit = |&a: &usize| {
        let Access { dtype, inner, write } = accesses[a];
        inner == InnerStride::Unit && !write && !dtype.is_complex() && matches!(dtype.size(), 4 | 8)
    };
    let mut loads: SmallVec<[usize; 8]> = (0..accesses.len()).filter(is_unit).collect();
    if loads.len() < MANY {
        return;
    }
    loads.sort_by_key(|&a| walk.offset[a]);
    let along = |a: usize| &walk.strides[a * rank..(a + 1) * rank];
    let mut first: SmallVec<[(usize, usize, u8); 8]> = SmallVec::new();
    for &a in &loads {
        let behind = |&(b, of, _): &(usize, usize, u8)| {
            let (size, apart) = (accesses[a].dtype.size() as i64, walk.offset[a] - walk.offset[b]);
            let alike = places[a] == places[b] && accesses[a].dtype == accesses[b].dtype && along(a) == along(b);
            (b == of && alike && apart % size == 0 && apart / size <= REACH).then_some((a, of, (apart / size) as u8))
        };
        let found = first.iter().find_map(behind);
        first.push(found.unwrap_or((a, a, 0)));
    }
    for &(a, of, by) in &first {
        // (One that is alone, or read twice at the same place, has no neighbours.)
        if first.iter().any(|&(_, other, by)| other == of && by > 0) {
            accesses[a].inner = InnerStride::Near { by, of: of as u32 };
        }
    }
}

/// Loads with the same small steps in one array are put beside each other, where so many of the elements between are asked for that
/// whole vectors are cheaper.
fn put_beside(accesses: &mut [Access], walk: &Walk, stride: &impl Fn(usize) -> i64, places: &[Place]) {
    /// Elements for one that is asked for, at most.
    const WASTE: usize = 4;
    let rank = walk.rank();
    let step = |a: usize| stride(a) / accesses[a].dtype.size() as i64;
    let is_small = |&a: &usize| {
        let Access { dtype, inner, write } = accesses[a];
        let whole = stride(a) % dtype.size() as i64 == 0;
        inner == InnerStride::Any && !write && !dtype.is_complex() && whole && (3..=8).contains(&step(a))
    };
    let mut small: SmallVec<[usize; 8]> = (0..accesses.len()).filter(is_small).collect();
    small.sort_by_key(|&a| walk.offset[a]);
    // Accesses with their places behind the first one.
    type Group = SmallVec<[(usize, u8); 8]>;
    let mut groups: SmallVec<[Group; 4]> = SmallVec::new();
    for a in small {
        let along = |a: usize| &walk.strides[a * rank..(a + 1) * rank];
        let behind = |b: usize| {
            let (size, apart) = (accesses[a].dtype.size() as i64, walk.offset[a] - walk.offset[b]);
            let alike = places[a] == places[b] && accesses[a].dtype == accesses[b].dtype && along(a) == along(b);
            (alike && apart % size == 0 && apart / size < step(b)).then_some((apart / size) as u8)
        };
        match groups.iter_mut().find_map(|group| Some((behind(group[0].0)?, group))) {
            Some((at, group)) => group.push((a, at)),
            None => groups.push(SmallVec::from_slice(&[(a, 0)])),
        }
    }
    let worth: SmallVec<[_; 4]> = groups.into_iter().filter(|g| step(g[0].0) as usize <= WASTE * g.len()).collect();
    let steps: SmallVec<[u8; 4]> = worth.iter().map(|g| step(g[0].0) as u8).collect();
    for (group, step) in worth.iter().zip(steps) {
        for &(a, at) in group {
            accesses[a].inner = InnerStride::Apart { step, at, of: group[0].0 as u32 };
        }
    }
}

/// Whether the kernel asks for its index along a domain axis.
pub fn asks_for_index(kernel: &Kernel, axis: u32) -> bool {
    kernel.body.insts.iter().any(|i| i.op == Op::Index(axis))
}
