//! A piece of a launch made ready, and its kernel run on boxes of it.
//!
//! A boundary file: it calls kernels on the addresses that it puts together.

use std::ops::Range;

use smallvec::SmallVec;

use super::Frame;
use super::packing::Packing;
use super::runner::Runner;
use super::space::Walk;
use crate::tree::open::Open;

/// What an access of a prepared piece names.
#[derive(Clone, Copy, PartialEq)]
pub enum Place {
    Buffer(u32),
    Stream(u32),
}

/// A piece whose kernel, walk and operands are settled.
pub struct PreparedPiece {
    pub walk: Walk,
    /// Steps along the walk's first two axes for one along the domain's: more than 1 where axes were merged. The second is of
    /// use only where it was kept apart from the first.
    pub(super) per_axis: [i64; 2],
    pub(super) runner: Runner,
    /// The walk's axes that the kernel iterates over, and its strides along them.
    pub(super) axes: SmallVec<[u32; 4]>,
    pub(super) strides: SmallVec<[i64; 16]>,
    /// Some of what the kernel reads is packed first.
    pub(super) packing: Option<Packing>,
    pub(super) places: SmallVec<[Place; 8]>,
    pub(super) scalars: SmallVec<[u32; 4]>,
    /// Nanoseconds for a point, about, with operands in the second-level cache.
    pub(super) near_ns: f64,
}

/// How a piece that is the whole domain is cut into rows.
pub(super) struct Cut {
    pub(super) axis: usize,
    /// Points of this axis for each row.
    pub(super) each: i64,
    /// How many times the axis has all rows.
    pub(super) runs: usize,
}

impl PreparedPiece {
    /// `None` where its merged axes don't show the rows.
    pub(super) fn cut(&self, rows: usize, layers: usize) -> Option<Cut> {
        let extent = |axis: usize| self.walk.hi.get(axis).map_or(0, |&n| n as usize);
        if extent(0).is_multiple_of(layers * rows) {
            return Some(Cut { axis: 0, each: (extent(0) / (layers * rows)) as i64, runs: layers });
        }
        (extent(0) == layers && extent(1) > 0 && extent(1).is_multiple_of(rows)).then(|| Cut {
            axis: 1,
            each: (extent(1) / rows) as i64,
            runs: 1,
        })
    }

    /// Bytes from the start of an operand to a point of the walk.
    #[inline(always)]
    fn offset(&self, a: usize, at: &[i64]) -> isize {
        let rank = self.walk.rank();
        let mut offset = self.walk.offset[a];
        for (l, s) in at.iter().zip(&self.walk.strides[a * rank..(a + 1) * rank]) {
            offset += l * s;
        }
        offset as isize
    }

    /// Runs the kernel on a box of this piece's walk, which must lie in the piece. `streams[k]` is where the domain's first
    /// point of stream k would lie, were the stream as large as the domain.
    ///
    /// # Safety
    /// The accesses of the box's points must be valid memory that no other thread writes.
    pub unsafe fn run(&self, frame: &Frame, lo: &[i64], hi: &[i64], streams: &[*mut u8]) {
        if lo.iter().zip(hi).any(|(l, h)| h <= l) {
            return;
        }
        let (mut first, mut extent) = (Short::<_, 4>::of(0), Short::<_, 4>::of(0));
        let (mut ptrs, mut scalars) = (Short::<_, 16>::of(std::ptr::null_mut()), Short::<_, 4>::of([0; 2]));
        let first = first.fill(self.axes.len(), |k| lo[self.axes[k] as usize]);
        let extent = extent.fill(self.axes.len(), |k| {
            let d = self.axes[k] as usize;
            hi[d] - lo[d]
        });
        let ptrs = ptrs.fill(self.places.len(), |a| {
            let base = match self.places[a] {
                Place::Buffer(b) => frame.bases[b as usize],
                Place::Stream(k) => streams[k as usize],
            };
            base.wrapping_offset(self.offset(a, lo))
        });
        let scalars = scalars.fill(self.scalars.len(), |k| frame.scalars[self.scalars[k] as usize]);
        let call = |ptrs: &[*mut u8], strides: &[i64], first: &[i64], extent: &[i64]| {
            // SAFETY: the caller's promise; what is packed lies where the packing says.
            unsafe {
                self.runner.call(ptrs.as_ptr(), strides.as_ptr(), scalars.as_ptr(), first.as_ptr(), extent.as_ptr())
            }
        };
        match &self.packing {
            None => call(ptrs, &self.strides, first, extent),
            // SAFETY: the caller's promise.
            Some(packing) => unsafe {
                packing.run(ptrs, &self.strides, first, extent, |ptrs, first, extent| {
                    call(ptrs, packing.strides(), first, extent)
                })
            },
        }
    }

    /// Whether the kernel takes its operands where they are.
    pub(super) fn is_plain(&self) -> bool {
        self.packing.is_none()
    }

    /// The buffer of each operand, and the bytes from its start to a point of the walk.
    pub(super) fn operands(&self, at: &[i64]) -> impl Iterator<Item = (u32, i64)> {
        self.places.iter().enumerate().map(|(a, place)| {
            let Place::Buffer(buffer) = *place else { unreachable!("a launch without streams") };
            (buffer, self.offset(a, at) as i64)
        })
    }

    /// The buffer of each operand, and where its first and its last element lie that a box reads or writes.
    pub(super) fn spans(&self, lo: &[i64], hi: &[i64]) -> impl Iterator<Item = (u32, Range<i64>)> {
        let rank = self.walk.rank();
        self.operands(lo).enumerate().map(move |(a, (buffer, from))| {
            let strides = &self.walk.strides[a * rank..(a + 1) * rank];
            let ends = strides.iter().zip(lo.iter().zip(hi)).map(|(s, (l, h))| s * (h - l - 1));
            let (below, above) = ends.fold((0, 0), |(below, above), end| (below + end.min(0), above + end.max(0)));
            (buffer, from + below..from + above)
        })
    }

    /// Something of each of the kernel's axes, which are axes of the walk.
    pub(super) fn along_axes(&self, f: impl Fn(usize) -> i64) -> SmallVec<[i64; 16]> {
        self.axes.iter().map(|&d| f(d as usize)).collect()
    }

    /// Whether the kernel adds up what it would store by now.
    pub fn adds_up(&self) -> bool {
        self.runner.sums().is_some()
    }

    /// Adds up leaves, the first of which begins at point `lo` of the walk (or goes on there) and which follow each other along its
    /// last axis; `sums[k]` gets those of stream k.
    ///
    /// # Safety
    /// The kernel [adds up](Self::adds_up) leaves, the leaves lie in the walk, and there is room for their sums. No other
    /// thread writes what is read or written.
    pub unsafe fn run_leaves(&self, frame: &Frame, lo: &[i64], leaves: LeafRun, sums: &[*mut u8]) {
        // SAFETY: the caller's promise.
        unsafe { self.run_rows_of_leaves(frame, lo, leaves, sums, 1, |_| ()) }
    }

    /// The same of each of `rows` rows that follow each other along the walk's last axis but one; `each` is told which one's sums are there.
    ///
    /// # Safety
    /// As for [`run_leaves`](Self::run_leaves), of all rows.
    pub unsafe fn run_rows_of_leaves(
        &self,
        frame: &Frame,
        lo: &[i64],
        leaves: LeafRun,
        sums: &[*mut u8],
        rows: usize,
        each: impl FnMut(usize),
    ) {
        let (mut begins, mut ends) = (Short::<_, 16>::of(0), Short::<_, 16>::of(0));
        let table = |short: &mut Short<i64, 16>, of: &dyn Fn(usize) -> i64| -> i64 {
            let fill = |a: usize| match self.places[a] {
                Place::Stream(k) => of(k as usize),
                Place::Buffer(_) => 0,
            };
            short.fill(self.places.len(), fill).as_ptr() as i64
        };
        let state = |k: usize| leaves.states[k] as i64;
        let fresh = |k: usize| &raw const *leaves.fresh[k] as i64;
        let begins = if leaves.begun > 0 { table(&mut begins, &state) } else { table(&mut begins, &fresh) };
        let ends = if leaves.open > 0 { table(&mut ends, &state) } else { begins };
        let (lengths, [begun, open]) = (leaves.lengths, [leaves.begun, leaves.open].map(|n| n as i64));
        let extent = [lengths.len() as i64, lengths.as_ptr() as i64, begun, begins, open, ends];
        // SAFETY: the caller's promise. (The strides along the one axis of such a kernel are known to it.)
        unsafe { self.add_up(frame, lo, &self.strides, &extent, sums, rows, each) };
    }

    /// Adds up rows of the box that begins at `lo`, as far as `extent` says along the kernel's own axes; `sums[k]` gets the first
    /// of stream k.
    ///
    /// # Safety
    /// The kernel [adds up](Self::adds_up) rows with these strides, the box lies in the walk, and there is room for the sums. No
    /// other thread writes what is read or written.
    pub unsafe fn run_down(&self, frame: &Frame, lo: &[i64], strides: &[i64], extent: &[i64], sums: &[*mut u8]) {
        // SAFETY: the caller's promise.
        unsafe { self.add_up(frame, lo, strides, extent, sums, 1, |_| ()) };
    }

    /// Calls the kernel that adds up, if it is there, for each of `rows` rows along the walk's last axis but one.
    ///
    /// # Safety
    /// As for the three above; `extent` is what the kernel takes for it. (Where the box begins in the domain it does not ask.)
    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    unsafe fn add_up(
        &self,
        frame: &Frame,
        lo: &[i64],
        strides: &[i64],
        extent: &[i64],
        sums: &[*mut u8],
        rows: usize,
        mut each: impl FnMut(usize),
    ) {
        let Some(entry) = self.runner.sums() else { return };
        let count = self.places.len();
        let mut ptrs = Short::<_, 16>::of(std::ptr::null_mut());
        let ptrs = ptrs.fill(count, |a| match self.places[a] {
            Place::Buffer(b) => frame.bases[b as usize].wrapping_offset(self.offset(a, lo)),
            Place::Stream(k) => sums[k as usize],
        });
        let mut scalars = Short::<_, 4>::of([0; 2]);
        let scalars = scalars.fill(self.scalars.len(), |k| frame.scalars[self.scalars[k] as usize]);
        let mut steps = Short::<_, 16>::of(0);
        let rank = self.walk.rank();
        let steps = match rows {
            0 | 1 => &[],
            _ => &*steps.fill(count, |a| match self.places[a] {
                Place::Buffer(_) => self.walk.strides[a * rank + rank - 2] as isize,
                Place::Stream(_) => 0,
            }),
        };
        for row in 0..rows {
            // SAFETY: the caller's promise.
            unsafe { entry(ptrs.as_ptr(), strides.as_ptr(), scalars.as_ptr(), lo.as_ptr(), extent.as_ptr()) };
            each(row);
            ptrs.iter_mut().zip(steps).for_each(|(ptr, &step)| *ptr = ptr.wrapping_offset(step));
        }
    }
}

/// Leaves that follow each other, see `KernelFn`.
#[derive(Clone, Copy)]
pub struct LeafRun<'a> {
    pub lengths: &'a [i64],
    /// Points of the first leaf that come before these.
    pub begun: usize,
    /// For each stream what a leaf begins with.
    pub fresh: &'a [&'static Open],
    /// Points behind the leaves, of one that does not end there.
    pub open: usize,
    /// For each stream where a leaf that goes on has its accumulators.
    pub states: &'a [*mut Open],
}

/// Room for a list that is mostly short. Small launches are made of little else than such lists: extending a vector element by
/// element costs more than all the elements, and so does moving one that was just written.
pub(super) struct Short<T, const N: usize> {
    short: [T; N],
    long: Vec<T>,
}

impl<T: Copy, const N: usize> Short<T, N> {
    #[inline(always)]
    pub(super) fn of(any: T) -> Short<T, N> {
        Short { short: [any; N], long: Vec::new() }
    }

    /// `f(0), f(1) … f(n - 1)`.
    #[inline(always)]
    pub(super) fn fill(&mut self, n: usize, mut f: impl FnMut(usize) -> T) -> &mut [T] {
        if n > N {
            self.long = (0..n).map(f).collect();
            return &mut self.long;
        }
        for (k, item) in self.short[..n].iter_mut().enumerate() {
            *item = f(k);
        }
        &mut self.short[..n]
    }
}
