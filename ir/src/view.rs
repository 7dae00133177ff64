//! Views: affine maps from a result's index to its base's index. Slices, transposes, broadcasts, new axes, integer
//! indices and diagonals are all views, and views compose.

use smallvec::SmallVec;

use crate::shape::Shape;

/// One axis of the base: `start + Σ step_k · d_k` over the result's axes `d_k`. NumPy's basic indexing gives at most one
/// term; a diagonal gives two terms on two base axes with the same `d`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AxisMap {
    pub start: i64,
    /// (result axis, step); steps are never 0; ordered by result axis.
    pub terms: SmallVec<[(u32, i64); 1]>,
}

/// The element of the result at index d is the element of the base at index `axes[k].start + Σ step · d`, for each base
/// axis k. A result axis that no base axis mentions is a broadcast.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct View {
    /// The result's shape.
    pub shape: Shape,
    /// One map for each axis of the base.
    pub axes: SmallVec<[AxisMap; 4]>,
}

impl AxisMap {
    pub fn at(start: i64) -> AxisMap {
        AxisMap { start, terms: SmallVec::new() }
    }

    pub fn along(start: i64, axis: usize, step: i64) -> AxisMap {
        let mut terms = SmallVec::new();
        if step != 0 {
            terms.push((axis as u32, step));
        }
        AxisMap { start, terms }
    }

    /// The base coordinate for a result index.
    pub fn eval(&self, index: &[usize]) -> i64 {
        self.start + self.terms.iter().map(|&(d, s)| s * index[d as usize] as i64).sum::<i64>()
    }
}

impl View {
    /// The whole of a base of this shape.
    pub fn identity(shape: &[usize]) -> View {
        View { shape: shape.into(), axes: (0..shape.len()).map(|k| AxisMap::along(0, k, 1)).collect() }
    }

    pub fn is_identity(&self, base: &[usize]) -> bool {
        self.shape[..] == base[..]
            && self.axes.iter().enumerate().all(|(k, m)| m.start == 0 && m.terms[..] == [(k as u32, 1)])
    }

    /// NumPy's broadcast of a base of shape `base` to `to` (which it must fit).
    pub fn broadcast(base: &[usize], to: &[usize]) -> View {
        let lead = to.len() - base.len();
        View {
            shape: to.into(),
            axes: base
                .iter()
                .enumerate()
                .map(|(k, &n)| if n == 1 { AxisMap::at(0) } else { AxisMap::along(0, lead + k, 1) })
                .collect(),
        }
    }

    /// The view that reads `self` (a view of some base) through `outer` (a view of `self`'s result).
    pub fn then(&self, outer: &View) -> View {
        let axes = self
            .axes
            .iter()
            .map(|m| {
                let mut start = m.start;
                let mut terms: SmallVec<[(u32, i64); 1]> = SmallVec::new();
                for &(d, step) in &m.terms {
                    let inner = &outer.axes[d as usize];
                    start += step * inner.start;
                    for &(e, s) in &inner.terms {
                        match terms.iter_mut().find(|t| t.0 == e) {
                            Some(t) => t.1 += step * s,
                            None => terms.push((e, step * s)),
                        }
                    }
                }
                terms.retain(|t| t.1 != 0);
                terms.sort_unstable();
                AxisMap { start, terms }
            })
            .collect();
        View { shape: outer.shape.clone(), axes }
    }

    /// Offset and strides in elements, for a base whose own strides are `base_strides`.
    pub fn strided(&self, base_strides: &[i64]) -> (i64, SmallVec<[i64; 4]>) {
        let mut offset = 0;
        let mut strides: SmallVec<[i64; 4]> = SmallVec::from_elem(0, self.shape.len());
        for (m, &b) in self.axes.iter().zip(base_strides) {
            offset += m.start * b;
            for &(d, s) in &m.terms {
                strides[d as usize] += s * b;
            }
        }
        (offset, strides)
    }

    /// The base's index for a result's index.
    pub fn eval(&self, index: &[usize]) -> SmallVec<[usize; 4]> {
        self.axes.iter().map(|m| m.eval(index) as usize).collect()
    }

    /// The smallest box of the base that a box `lo..hi` of the result reads; empty boxes give empty boxes.
    /// This is the region rule of every affine operand: fusion, halos and partitions follow from it.
    pub fn region(&self, lo: &[usize], hi: &[usize]) -> (SmallVec<[usize; 4]>, SmallVec<[usize; 4]>) {
        let empty = lo.iter().zip(hi).any(|(l, h)| l >= h);
        let mut out_lo = SmallVec::new();
        let mut out_hi = SmallVec::new();
        for m in &self.axes {
            let (mut a, mut b) = (m.start, m.start);
            if !empty {
                for &(d, s) in &m.terms {
                    let (first, last) = (s * lo[d as usize] as i64, s * (hi[d as usize] as i64 - 1));
                    a += first.min(last);
                    b += first.max(last);
                }
            }
            out_lo.push(a as usize);
            out_hi.push(if empty { a as usize } else { b as usize + 1 });
        }
        (out_lo, out_hi)
    }

    /// True where two indices of the result never name the same element of the base, so that it can be written through.
    /// (Broadcast axes of extent 1 are harmless.)
    pub fn is_injective(&self) -> bool {
        let mut seen: SmallVec<[bool; 4]> = self.shape.iter().map(|&n| n <= 1).collect();
        for m in &self.axes {
            if m.terms.len() == 1 {
                seen[m.terms[0].0 as usize] = true;
            }
        }
        seen.iter().all(|&s| s) || self.shape.contains(&0)
    }
}
