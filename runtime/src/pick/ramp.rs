//! Arrays of integers that count up evenly: `np.arange(n)`, the left and the right ends of the elements of a bar, every third row.
//! As an index such an array is a slice. So what it names is a view, which is computed where it is used and fuses with what is
//! around it, and no place is named twice, so that `np.add.at` is an addition.
//!
//! A boundary file: it reads integers by address.
//!
//! They are recognised by looking at them. What is no ramp shows it in its first elements, nearly always. Of large ones it is
//! remembered for a while, because to look takes as long as an operation on arrays of that length. The value is held meanwhile, and
//! nobody writes to memory of which somebody else holds the value.

use std::sync::atomic::{AtomicBool, Ordering};

use legate_jit_ir::DType;
use legate_jit_vmath::{Isa, isa};

use super::moves::parallel;
use crate::array::Array;
use crate::base::{State, Version};
use crate::session::{Session, lock};
use crate::shared::Shared;
use crate::{Index, Result};

/// Elements that are looked at before anything else.
const FIRST: usize = 32;
/// Elements that a thread looks at at a time.
const CHUNK: usize = 1 << 15;
/// Elements of ramps that are remembered.
const LARGE: usize = 1 << 12;
/// Ramps that are remembered.
const MANY: usize = 8;

/// first, first + step, … : so many integers. The step is positive, and the last one of them is no larger than integers are.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Ramp {
    first: i64,
    step: i64,
    n: usize,
}

/// The large ramps that were used as an index lately. Lives with the session.
#[derive(Default)]
pub(crate) struct Ramps {
    known: Vec<Known>,
}

struct Known {
    version: Shared<Version>,
    /// Hash of the layout that shows it.
    layout: u64,
    ramp: Ramp,
    /// Since the last flush.
    used: bool,
}

impl Ramps {
    fn find(&mut self, version: &Shared<Version>, layout: u64) -> Option<Ramp> {
        let known = self.known.iter_mut().find(|k| k.layout == layout && Shared::ptr_eq(&k.version, version))?;
        known.used = true;
        Some(known.ramp)
    }

    fn insert(&mut self, version: Shared<Version>, layout: u64, ramp: Ramp) {
        if self.known.len() == MANY {
            self.known.remove(0);
        }
        self.known.push(Known { version, layout, ramp, used: true });
    }

    /// A flush: what was not used since the one before is let go of.
    #[inline]
    pub(crate) fn flushed(&mut self) {
        if !self.known.is_empty() {
            self.let_go();
        }
    }

    #[cold]
    fn let_go(&mut self) {
        self.known.retain_mut(|k| std::mem::take(&mut k.used));
    }

    /// Foreign code may write to memory from now on.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }
}

impl Session {
    /// The value of an array that is in memory which nobody writes to, if it may be remembered.
    fn lasting(&self, index: &Array) -> Option<Shared<Version>> {
        let version = index.base.current.get(&self.token);
        match version.state.get(&self.token) {
            State::Store(store) if index.size() >= LARGE && !store.is_exported() => Some(version.clone()),
            State::Store(_) | State::Pending(_) | State::Failed(_) => None,
        }
    }
}

/// The slice of an axis of `extent` elements that an array of integers names, in this order. None where the integers don't count up
/// evenly, go from the axis' end over to its beginning, or leave it.
pub(super) fn slice(index: &Array, extent: usize) -> Result<Option<Index>> {
    if index.ndim() != 1 || index.size() < 2 || index.dtype() != DType::I64 || !index.c_contiguous() {
        return Ok(None);
    }
    if index.offset() % 8 != 0 {
        return Ok(None);
    }
    let layout = index.layout.hash;
    {
        let mut s = lock();
        let s = &mut *s;
        if let Some(version) = s.lasting(index)
            && let Some(ramp) = s.ramps.find(&version, layout)
        {
            return Ok(ramp.within(extent));
        }
    }
    let view = index.host()?;
    // SAFETY: the view is of this many 64-bit integers one after the other, aligned as stores are, and kept.
    let indices = unsafe { std::slice::from_raw_parts(view.ptr.cast::<i64>(), index.size()) };
    let Some(ramp) = Ramp::of(indices)? else { return Ok(None) };
    let mut s = lock();
    if let Some(version) = s.lasting(index) {
        s.ramps.insert(version, layout, ramp);
    }
    Ok(ramp.within(extent))
}

impl Ramp {
    /// What these integers are, if they count up evenly.
    fn of(indices: &[i64]) -> Result<Option<Ramp>> {
        let (&[first, second, ..], &[.., last]) = (indices, indices) else { return Ok(None) };
        let n = indices.len();
        let Some(step) = second.checked_sub(first).filter(|&s| s > 0) else { return Ok(None) };
        if (n as i64 - 1).checked_mul(step).and_then(|s| s.checked_add(first)) != Some(last) {
            return Ok(None);
        }
        if !is_even(&indices[..n.min(FIRST)], step) {
            return Ok(None);
        }
        let even = AtomicBool::new(true);
        parallel(n.div_ceil(CHUNK), &|c| {
            // A chunk ends with the first element of the next one.
            let chunk = &indices[c * CHUNK..n.min((c + 1) * CHUNK + 1)];
            if even.load(Ordering::Relaxed) && !is_even(chunk, step) {
                even.store(false, Ordering::Relaxed);
            }
        })?;
        Ok(even.into_inner().then_some(Ramp { first, step, n }))
    }

    /// As a slice of an axis of so many elements.
    fn within(self, extent: usize) -> Option<Index> {
        let Ramp { first, step, n } = self;
        let (extent, last) = (extent as i64, first + (n as i64 - 1) * step);
        let within = -extent <= first && last < extent && (first >= 0 || last < 0);
        let start = if first < 0 { first + extent } else { first };
        within.then(|| Index::Slice { start, stop: start + (last - first) + 1, step })
    }
}

/// Whether each element is so much larger than the one before.
fn is_even(x: &[i64], step: i64) -> bool {
    match isa() {
        Isa::Base => even(x, step),
        // SAFETY: the processor has it.
        Isa::Avx2 => unsafe { even_avx2(x, step) },
        // SAFETY: as above.
        Isa::Avx512 => unsafe { even_avx512(x, step) },
    }
}

#[target_feature(enable = "avx2")]
unsafe fn even_avx2(x: &[i64], step: i64) -> bool {
    even(x, step)
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2")]
unsafe fn even_avx512(x: &[i64], step: i64) -> bool {
    even(x, step)
}

#[inline(always)]
fn even(x: &[i64], step: i64) -> bool {
    let differs = |(&a, &b): (&i64, &i64)| b.wrapping_sub(a) ^ step;
    x.iter().zip(&x[1..]).map(differs).fold(0, |all, d| all | d) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(indices: &[i64], extent: usize) -> Option<Index> {
        Ramp::of(indices).unwrap()?.within(extent)
    }

    #[test]
    fn what_counts_up_evenly_within_the_axis_is_a_slice() {
        let at = |start, stop, step| Some(Index::Slice { start, stop, step });
        assert_eq!(named(&[3, 4, 5], 6), at(3, 6, 1));
        assert_eq!(named(&[0, 3, 6], 7), at(0, 7, 3));
        assert_eq!(named(&[-4, -3, -2], 6), at(2, 5, 1));
        assert_eq!(named(&[-3, -2, -1], 3), at(0, 3, 1));
        // From the end over to the beginning, out of the axis, backwards, the same place twice, one index, none.
        for no in [&[-1, 0, 1][..], &[4, 5, 6], &[-7, -6], &[5, 4, 3], &[2, 2, 2], &[0, 2, 3], &[0, 1, 3], &[4], &[]] {
            assert_eq!(named(no, 6), None, "{no:?}");
        }
        assert_eq!(named(&[i64::MIN, i64::MAX], 6), None);
        assert_eq!(named(&[0, i64::MAX], usize::MAX >> 1), None);
    }

    #[test]
    fn one_element_out_of_place_is_seen_wherever_it_is() {
        let n = 9 * CHUNK as i64 + 17;
        let mut indices: Vec<i64> = (0..n).map(|i| 5 + 2 * i).collect();
        let extent = 2 * n as usize + 9;
        assert_eq!(named(&indices, extent), Some(Index::Slice { start: 5, stop: 2 * n + 4, step: 2 }));
        for at in [1, FIRST, CHUNK - 1, CHUNK, CHUNK + 1, 7 * CHUNK, n as usize - 2] {
            indices[at] += 1;
            assert_eq!(named(&indices, extent), None, "{at}");
            indices[at] -= 1;
        }
    }
}
