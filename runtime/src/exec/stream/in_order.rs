//! Reduced axes before kept ones: for each output, what the trailing axes leave is combined in order of the others.

use std::ops::Range;

use smallvec::SmallVec;

use super::boxes::{flatten, unflatten};
use super::{Blocks, Element, Info, Streams, with_scratch};
use crate::exec::Frame;
use crate::exec::launch::PreparedLaunch;
use crate::{Result, machine, pool, tree};

impl Streams {
    /// The last axis is kept: rows are combined in order, in blocks of columns.
    pub(super) fn columns(
        &self,
        launch: &PreparedLaunch,
        frame: &Frame,
        reduced: &[bool],
        at_a_time: &Blocks,
        range: Range<usize>,
    ) -> Result<()> {
        let &Blocks { columns, axis, steps, inner } = at_a_time;
        let rank = self.domain.len();
        let width = self.domain[rank - 1] as usize;
        let outer: Vec<usize> = (0..rank - 1).filter(|&d| !reduced[d]).collect();
        // Reduced axes in C order; those next to the columns go in blocks.
        let blocked = rank >= 2 && reduced[axis];
        let end = if blocked { axis } else { rank - 1 };
        let walked: Vec<usize> = (0..end).filter(|&d| reduced[d]).collect();
        let walked_count: usize = walked.iter().map(|&d| self.domain[d] as usize).product();
        let height = if blocked { self.domain[axis] as usize } else { 1 };
        let blocks = width.div_ceil(columns);
        if walked_count * height * inner == 0 {
            for info in &self.list {
                let identity = info.identity()?;
                (range.start * width..range.end * width).for_each(|k| self.write(frame, info, k, identity));
            }
            return Ok(());
        }
        if let Some(down) = self.adds_down(launch) {
            return self.sum_down(launch, frame, down, range);
        }
        // Short columns several at a time: a task costs as much as some hundred elements.
        let together = (self.chunk / (walked_count * height * inner * columns)).max(1);
        let all = range.len() * blocks;
        let bytes: usize = self.list.iter().map(|info| info.dtype.size()).sum();
        let far = self.direct.is_some() && self.points * bytes > machine::second_level_cache();
        self.tasks(all.div_ceil(together), &|task| {
            for task in task * together..((task + 1) * together).min(all) {
                let (k, block) = (range.start + task / blocks, task % blocks);
                let from = block * columns;
                let to = (from + columns).min(width);
                let mut lo: SmallVec<[i64; 4]> = SmallVec::from_elem(0, rank);
                let mut hi: SmallVec<[i64; 4]> = SmallVec::from_elem(1, rank);
                unflatten(k, &outer, &self.domain, &mut lo, &mut hi);
                if blocked {
                    hi[axis + 1..rank - 1].copy_from_slice(&self.domain[axis + 1..rank - 1]);
                }
                (lo[rank - 1], hi[rank - 1]) = (from as i64, to as i64);
                let room = if self.direct.is_some() { 0 } else { steps * inner * columns };
                let bytes = |info: &Info| (room * info.dtype.size() + 127) & !63;
                let arg = self.list.iter().any(|i| tree::is_arg(i.reducer));
                let values = if arg { columns * 16 * self.list.len() } else { 0 };
                with_scratch(self.list.iter().map(bytes).sum::<usize>() + values, |scratch| {
                    let mut next = scratch.wrapping_add(values);
                    let starts: SmallVec<[*mut u8; 4]> = self
                        .list
                        .iter()
                        .map(|info| {
                            let start = next;
                            next = next.wrapping_add(bytes(info));
                            start
                        })
                        .collect();
                    let mut seen = 0;
                    for w in 0..walked_count {
                        unflatten(w, &walked, &self.domain, &mut lo, &mut hi);
                        for top in (0..height).step_by(steps) {
                            let count = steps.min(height - top);
                            if blocked {
                                (lo[axis], hi[axis]) = (top as i64, (top + count) as i64);
                            }
                            // Where the rows are in memory, and elements from one to the next.
                            let lines: SmallVec<[(*mut u8, usize); 4]> = match &self.direct {
                                Some(direct) => {
                                    (0..self.list.len()).map(|s| direct.line(s, frame.bases, &lo)).collect()
                                }
                                None => {
                                    let above = if rank >= 2 { lo[axis] as usize * inner * columns } else { 0 };
                                    let origin = |(&s, info): (&*mut u8, &Info)| {
                                        s.wrapping_sub((from + above) * info.dtype.size())
                                    };
                                    let origins: SmallVec<[*mut u8; 4]> =
                                        starts.iter().zip(&self.list).map(origin).collect();
                                    self.run_box(launch, frame, &lo, &hi, &origins);
                                    starts.iter().map(|&s| (s, columns)).collect()
                                }
                            };
                            let count = count * inner;
                            for (s, info) in self.list.iter().enumerate() {
                                let out =
                                    frame.bases[info.out as usize].wrapping_add((k * width + from) * info.out_size);
                                let best = scratch.wrapping_add(s * columns * 16);
                                let rows = tree::Lines { first: lines[s].0, step: lines[s].1, count, far };
                                // SAFETY: each row holds to - from elements, computed or read from memory; out and best
                                // have room for as many, and this task alone writes these columns.
                                unsafe { tree::accumulate(info.reducer, info.dtype, out, best, rows, to - from, seen) };
                            }
                            seen += count;
                        }
                    }
                });
            }
        })
    }

    /// Short trees over the trailing axes: those of neighbouring outputs lie one after the other and are computed together, then
    /// combined with what the other reduced axes have given so far.
    fn short_trees(
        &self,
        launch: &PreparedLaunch,
        frame: &Frame,
        reduced: &[bool],
        range: Range<usize>,
        n: usize,
        walked: &[usize],
    ) -> Result<()> {
        let count = |axes: &[usize]| axes.iter().map(|&d| self.domain[d] as usize).product::<usize>();
        let end = self.domain.len() - reduced.iter().rev().take_while(|&&r| r).count();
        let outer: Vec<usize> = (0..end).filter(|&d| !reduced[d]).collect();
        // Outputs that differ in the kept axes next to the trees.
        let next: Vec<usize> = (0..end).rev().take_while(|&d| !reduced[d]).collect();
        let neighbours = count(&next);
        let most = (self.chunk / n).min(range.len().div_ceil(pool::threads() * 4)).max(1);
        let groups: Vec<Range<usize>> = (range.start / neighbours..range.end.div_ceil(neighbours))
            .flat_map(|k| {
                let (from, to) = ((k * neighbours).max(range.start), ((k + 1) * neighbours).min(range.end));
                (from..to).step_by(most).map(move |k| k..(k + most).min(to))
            })
            .collect();
        self.tasks(groups.len(), &|task| {
            let outputs = &groups[task];
            let rank = self.domain.len();
            let mut lo: SmallVec<[i64; 4]> = SmallVec::from_elem(0, rank);
            let mut hi: SmallVec<[i64; 4]> = SmallVec::from_elem(1, rank);
            unflatten(outputs.start, &outer, &self.domain, &mut lo, &mut hi);
            let mut values: Vec<Element> = vec![[0; 2]; outputs.len()];
            for w in 0..count(walked) {
                unflatten(w, walked, &self.domain, &mut lo, &mut hi);
                let start = flatten(&lo[..end], &self.domain) * n;
                self.compute(launch, frame, start..start + outputs.len() * n, |ptrs| {
                    for (info, ptr) in self.list.iter().zip(ptrs) {
                        let out = frame.bases[info.out as usize].wrapping_add(outputs.start * info.out_size);
                        let to = if w == 0 { out } else { values.as_mut_ptr() as *mut u8 };
                        // SAFETY: the chunk holds these trees; an Element has room for every result, the output one place
                        // for each tree, and this task alone writes these.
                        unsafe {
                            tree::reduce_rows(info.reducer, info.dtype, *ptr, n, outputs.len(), to);
                            if w > 0 {
                                let lines = tree::Lines { first: to, step: outputs.len(), count: 1, far: false };
                                let none = std::ptr::null_mut();
                                tree::accumulate(info.reducer, info.dtype, out, none, lines, outputs.len(), w);
                            }
                        }
                    }
                });
            }
        })
    }

    /// Trees over the trailing reduced axes, combined in order of the other reduced ones.
    pub(super) fn trees_in_order(
        &self,
        launch: &PreparedLaunch,
        frame: &Frame,
        reduced: &[bool],
        range: Range<usize>,
    ) -> Result<()> {
        let rank = self.domain.len();
        let trailing = reduced.iter().rev().take_while(|&&r| r).count();
        let n: usize = self.domain[rank - trailing..].iter().product::<i64>() as usize;
        let outer: Vec<usize> = (0..rank - trailing).filter(|&d| !reduced[d]).collect();
        let walked: Vec<usize> = (0..rank - trailing).filter(|&d| reduced[d]).collect();
        let count = |axes: &[usize]| axes.iter().map(|&d| self.domain[d] as usize).product::<usize>();
        let steps = count(&walked);
        if n * steps == 0 {
            for info in &self.list {
                let identity = info.identity()?;
                range.clone().for_each(|k| self.write(frame, info, k, identity));
            }
            return Ok(());
        }
        if n <= self.chunk && self.list.iter().all(|i| tree::splits(i.reducer, i.dtype) && !tree::is_arg(i.reducer)) {
            return self.short_trees(launch, frame, reduced, range, n, &walked);
        }
        let ranges = tree::cut(n, self.chunk, self.complex);
        self.tasks(range.len(), &|k| {
            let k = range.start + k;
            let mut lo: SmallVec<[i64; 4]> = SmallVec::from_elem(0, rank);
            let mut hi: SmallVec<[i64; 4]> = SmallVec::from_elem(1, rank);
            unflatten(k, &outer, &self.domain, &mut lo, &mut hi);
            let mut total: SmallVec<[Option<Element>; 4]> = SmallVec::from_elem(None, self.list.len());
            for w in 0..steps {
                unflatten(w, &walked, &self.domain, &mut lo, &mut hi);
                let start = flatten(&lo[..rank - trailing], &self.domain) * n;
                let mut partials: Vec<SmallVec<[Element; 4]>> = vec![SmallVec::new(); self.list.len()];
                for range in &ranges {
                    self.compute(launch, frame, start + range.start..start + range.end, |ptrs| {
                        for (s, info) in self.list.iter().enumerate() {
                            // SAFETY: the chunk has `range.len()` elements. (Strictly in order, a row goes on where the last one
                            // ended.)
                            unsafe { info.take(ptrs[s], range, &mut partials[s], &mut total[s]) };
                        }
                    });
                }
                for (s, info) in self.list.iter().enumerate() {
                    if partials[s].is_empty() {
                        continue;
                    }
                    let mut value = tree::combine_partial(info.reducer, info.dtype, n, self.chunk, &partials[s]);
                    if tree::is_arg(info.reducer) {
                        value = tree::arg_shift(value, w * n);
                    }
                    total[s] = Some(match total[s] {
                        None => value,
                        Some(t) => tree::pair(info.reducer, info.dtype, t, value),
                    });
                }
            }
            for (s, info) in self.list.iter().enumerate() {
                let value = total[s].expect("there is at least one step");
                self.write(frame, info, k, tree::finish(info.reducer, value));
            }
        })
    }
}
