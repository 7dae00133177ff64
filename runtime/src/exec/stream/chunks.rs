//! Reductions to one element, whose chunks anybody may compute: threads, the bands of a wavefront, ranks.

use std::cell::UnsafeCell;
use std::ops::Range;

use super::{CHUNK, Element, Info, Mode, Streams};
use crate::exec::Frame;
use crate::exec::launch::PreparedLaunch;
use crate::{Result, pool, tree};

/// Partial results that several tasks write, each its own.
pub struct Partials(Box<[UnsafeCell<Element>]>);

// SAFETY: no index is written by two tasks, and none is read before all tasks have ended.
unsafe impl Sync for Partials {}

impl Partials {
    pub fn new(n: usize) -> Partials {
        Partials((0..n).map(|_| UnsafeCell::new([0; 2])).collect())
    }

    pub(super) fn set(&self, index: usize, value: Element) {
        // SAFETY: see the type.
        unsafe { *self.0[index].get() = value };
    }

    /// Some of them, when all tasks that write those have ended.
    pub fn of(&self, some: Range<usize>) -> &[Element] {
        let cells = &self.0[some];
        // SAFETY: see the type; a cell is laid out like what is in it.
        unsafe { std::slice::from_raw_parts(cells.as_ptr() as *const Element, cells.len()) }
    }

    /// All of them.
    pub fn as_slice(&self) -> &[Element] {
        self.of(0..self.0.len())
    }

    pub(super) fn into_vec(self) -> Vec<Element> {
        self.0.into_iter().map(UnsafeCell::into_inner).collect()
    }
}

impl Streams {
    /// The most elements of a chunk after [`cut_finely`](Self::cut_finely). (Tests have small arrays.)
    pub const FINE_CHUNK: usize = if cfg!(test) { 128 } else { CHUNK.end };

    /// Small chunks, so that several ranks have some to do, and a wavefront can go from one to the next.
    pub fn cut_finely(&mut self) {
        self.chunk = self.fine.min(Streams::FINE_CHUNK);
        if !std::mem::take(&mut self.leaves).is_empty() {
            self.expect_leaves();
        }
    }

    /// So many chunks at least, where everything is one, if it can be [cut](Self::divisible).
    pub fn cut_into(&mut self, parts: usize) {
        if self.points > self.chunk || self.cuts.is_some() {
            return;
        }
        self.chunk = (self.points / parts).next_power_of_two().max(CHUNK.start);
        if !std::mem::take(&mut self.leaves).is_empty() {
            self.expect_leaves();
        }
    }

    /// How many parts there are for different threads at most: chunks, or outputs that differ in axes before the reduced ones.
    pub fn divisible(&self) -> usize {
        match self.mode {
            Mode::Rows { n: 0, .. } => 1,
            Mode::Rows { outputs: 1, n } if self.splits() => n / CHUNK.start,
            Mode::Rows { outputs: 1, .. } => 1,
            Mode::Chunked => self.chunks().len(),
            Mode::Rows { .. } | Mode::InOrder { .. } => self.outer(),
        }
    }

    /// The buffers of the results.
    pub fn results(&self) -> impl Iterator<Item = u32> {
        self.list.iter().map(|info| info.out)
    }

    /// The number of partial results of all [`chunks`](Self::chunks).
    pub fn room(&self) -> usize {
        self.chunks().len() * self.list.len()
    }

    /// Where everything is reduced to one element: the chunks of the domain, each a subtree, whose partial results anybody
    /// may compute. Empty where the reduction cannot be cut.
    pub fn chunks(&self) -> Vec<Range<usize>> {
        match self.mode {
            Mode::Rows { outputs: 1, n } if n > self.chunk && self.splits() => self.cut(n),
            Mode::Chunked if self.splits() => self.cut(self.points),
            _ => Vec::new(),
        }
    }

    /// The partial results of some of the [`chunks`](Self::chunks), those of each stream together.
    pub fn partials(&self, launch: &PreparedLaunch, frame: &Frame, chunks: Range<usize>) -> Result<Vec<Element>> {
        let ranges = &self.chunks()[chunks];
        let partials = Partials::new(ranges.len() * self.list.len());
        let group = ranges.len().div_ceil(pool::threads() * 16).max(1);
        self.tasks(ranges.len().div_ceil(group), &|task| {
            let some = task * group..((task + 1) * group).min(ranges.len());
            self.run_chunks(launch, frame, ranges, some, &partials, 0);
        })?;
        Ok(partials.into_vec())
    }

    /// Runs some of the chunks `all` on the calling thread. Their partial results are those from number `first` on.
    pub fn run_chunks(
        &self,
        launch: &PreparedLaunch,
        frame: &Frame,
        all: &[Range<usize>],
        chunks: Range<usize>,
        partials: &Partials,
        first: usize,
    ) {
        for c in chunks {
            let range = &all[c];
            if self.adds_leaves(launch) {
                let set = |s: usize, partial| partials.set(first + s * all.len() + c, partial);
                self.sum_leaves(launch, frame, 0..1, range.clone(), |_, s, partial| set(s, partial));
                continue;
            }
            self.compute(launch, frame, range.clone(), |ptrs| {
                for (s, info) in self.list.iter().enumerate() {
                    // SAFETY: the chunk has `range.len()` elements.
                    partials.set(first + s * all.len() + c, unsafe { info.partial(ptrs[s], range.len(), range.start) });
                }
            });
        }
    }

    /// Combines the partial results of all chunks and writes the outputs.
    pub fn finish(&self, frame: &Frame, partials: &[Element]) {
        let chunks = partials.len() / self.list.len();
        for (s, info) in self.list.iter().enumerate() {
            let total = self.combine(info, self.points, &partials[s * chunks..(s + 1) * chunks]);
            self.write(frame, info, 0, total);
        }
    }

    /// What one rank's partial results of some chunks leave for the root: as few numbers as the order of combination allows.
    pub fn contract(&self, chunks: &Range<usize>, partials: Vec<Element>) -> Vec<Element> {
        if self.cuts.is_some() {
            return partials;
        }
        let of_stream = |(s, info): (usize, &Info)| {
            let own = &partials[s * chunks.len()..(s + 1) * chunks.len()];
            tree::parts::contract(info.reducer, info.dtype, self.points, self.chunk, chunks, own)
        };
        self.list.iter().enumerate().flat_map(of_stream).collect()
    }

    /// For each stream, how many numbers [`contract`](Self::contract) leaves of these chunks.
    pub fn parts(&self, chunks: &Range<usize>) -> Vec<usize> {
        let of_stream = |info: &Info| match self.cuts {
            Some(_) => chunks.len(),
            None => tree::parts::parts(info.reducer, info.dtype, self.points, self.chunk, chunks),
        };
        self.list.iter().map(of_stream).collect()
    }

    /// Combines what all ranks have left and writes the outputs. `left[r]` belongs to the chunks `owners[r]`.
    pub fn join(&self, frame: &Frame, owners: &[Range<usize>], left: &[Vec<Element>]) {
        let counts: Vec<Vec<usize>> = owners.iter().map(|o| self.parts(o)).collect();
        for (s, info) in self.list.iter().enumerate() {
            let of_rank = |(l, c): (&'_ Vec<Element>, &Vec<usize>)| {
                let start: usize = c[..s].iter().sum();
                l[start..start + c[s]].to_vec()
            };
            let parts: Vec<Vec<Element>> = left.iter().zip(&counts).map(of_rank).collect();
            let total = match self.cuts {
                Some(_) => self.combine(info, self.points, &parts.concat()),
                None => {
                    let parts: Vec<&[Element]> = parts.iter().map(|p| &p[..]).collect();
                    tree::parts::join(info.reducer, info.dtype, self.points, self.chunk, owners, &parts)
                }
            };
            self.write(frame, info, 0, total);
        }
    }

    /// Runs the launch on points of the domain for what it writes to buffers alone.
    pub fn discard(&self, launch: &PreparedLaunch, frame: &Frame, points: Range<usize>) {
        points.clone().step_by(self.chunk).for_each(|from| {
            self.compute(launch, frame, from..(from + self.chunk).min(points.end), |_| ());
        });
    }
}
