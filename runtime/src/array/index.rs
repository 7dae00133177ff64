//! Basic indexing: integers, slices, new axes and ellipses, with NumPy's errors.

use std::cell::RefCell;

use legate_jit_ir::Shape;
use smallvec::SmallVec;

use super::{Array, too_many_indices};
use crate::layout::{Layout, Taken, mix};
use crate::shared::Shared;
use crate::{Error, Result};

/// One item of an index expression.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Index {
    Int(i64),
    /// Ends beyond the array's are the array's, so a missing end is the largest or smallest integer.
    Slice {
        start: i64,
        stop: i64,
        step: i64,
    },
    NewAxis,
    Ellipsis,
}

impl Index {
    /// `:`
    pub const ALL: Index = Index::Slice { start: 0, stop: i64::MAX, step: 1 };

    /// Python's `start:stop:step`.
    pub fn slice(start: Option<i64>, stop: Option<i64>, step: Option<i64>) -> Index {
        let step = step.unwrap_or(1);
        let (first, last) = if step < 0 { (i64::MAX, i64::MIN) } else { (0, i64::MAX) };
        Index::Slice { start: start.unwrap_or(first), stop: stop.unwrap_or(last), step }
    }

    #[inline(always)]
    fn word(self) -> u64 {
        match self {
            Index::Int(i) => i as u64 ^ 1 << 60,
            Index::Slice { start, stop, step } => mix(start as u64 ^ (step as u64) << 32, stop as u64),
            Index::NewAxis => 3 << 60,
            Index::Ellipsis => 5 << 60,
        }
    }
}

/// What an index expression said of an axis, in the program's own words.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Said {
    /// An integer or a slice, along an axis of so many elements.
    Along(usize, Index),
    /// Something else.
    Other,
}

/// Has everything noted that index expressions say from now on.
pub(crate) fn listen() {
    MEMORY.with_borrow_mut(|memory| memory.said = Some(Vec::new()));
}

/// What they said since `listen`; nothing is noted any more.
pub(crate) fn heard() -> Option<Vec<Said>> {
    MEMORY.with_borrow_mut(|memory| memory.said.take())
}

/// An index that is more than integers and slices was used.
pub fn say_other() {
    MEMORY.with_borrow_mut(|memory| memory.said.iter_mut().for_each(|said| add(said, Said::Other)));
}

/// What is noted at most, should nobody ask.
const LONGEST: usize = 4096;

fn add(said: &mut Vec<Said>, new: Said) {
    if said.len() <= LONGEST {
        said.push(if said.len() < LONGEST { new } else { Said::Other });
    }
}

/// A program's index expressions repeat, and so do the layouts they are applied to.
struct Known {
    hash: u64,
    from: Shared<Layout>,
    items: SmallVec<[Index; 4]>,
    to: Shared<Layout>,
}

/// The index expressions that were met last, by their hash. One is kept when it is met for the second time: a program whose views
/// are others in every round has nothing to find here, and what it would leave fills the caches. A loop over the rows of an
/// array has as many as there are rows: where many expressions take each other's places, there are more places, up to a number.
#[derive(Default)]
struct Memory {
    known: Vec<Option<Known>>,
    /// By place, the hash of the expression that was met there last.
    met: Vec<u64>,
    /// How often an expression has lost its place to another one.
    lost: usize,
    said: Option<Vec<Said>>,
}

const PLACES: (usize, usize) = (256, 2048);

thread_local! {
    static MEMORY: RefCell<Memory> =
        const { RefCell::new(Memory { known: Vec::new(), met: Vec::new(), lost: 0, said: None }) };
}

impl Memory {
    #[inline]
    fn find(&mut self, layout: &Shared<Layout>, items: &[Index]) -> Result<Shared<Layout>> {
        if let Some(said) = &mut self.said {
            note(said, layout, items);
        }
        let hash = items.iter().fold(layout.hash, |h, i| mix(h, i.word()));
        if let Some(Some(k)) = self.known.get(hash as usize & self.known.len().wrapping_sub(1))
            && Shared::ptr_eq(&k.from, layout)
            && k.items[..] == *items
        {
            crate::layout::used_again(&k.to);
            return Ok(k.to.clone());
        }
        let to = indexed(layout, items)?;
        self.note(hash, layout, items, &to);
        Ok(to)
    }

    #[inline(always)]
    fn note(&mut self, hash: u64, from: &Shared<Layout>, items: &[Index], to: &Shared<Layout>) {
        let place = hash as usize & self.met.len().wrapping_sub(1);
        match self.met.get_mut(place) {
            Some(met) if *met != hash => {
                self.lost += (*met != 0) as usize;
                *met = hash;
                if self.lost > PLACES.0 && self.met.len() < PLACES.1 {
                    self.grow(PLACES.1);
                }
            }
            Some(_) => {
                self.known[place] = Some(Known { hash, from: from.clone(), items: items.into(), to: to.clone() });
            }
            None => {
                self.grow(PLACES.0);
                self.met[hash as usize & (PLACES.0 - 1)] = hash;
            }
        }
    }

    #[cold]
    fn grow(&mut self, places: usize) {
        let (known, met) = (std::mem::take(&mut self.known), std::mem::take(&mut self.met));
        self.known.resize_with(places, || None);
        self.met.resize(places, 0);
        for k in known.into_iter().flatten() {
            let place = k.hash as usize & (places - 1);
            self.known[place] = Some(k);
        }
        for hash in met.into_iter().filter(|hash| *hash != 0) {
            self.met[hash as usize & (places - 1)] = hash;
        }
    }
}

impl Array {
    /// The view `self[items]`. With an integer for every axis it is 0-d.
    #[inline]
    pub fn index(&self, items: &[Index]) -> Result<Array> {
        Ok(self.seen(MEMORY.with_borrow_mut(|memory| memory.find(&self.layout, items))?))
    }

    /// `n` elements from `start` along one axis.
    pub(crate) fn slice_axis(&self, axis: usize, start: usize, n: usize) -> Array {
        let mut items: SmallVec<[Index; 4]> = SmallVec::from_elem(Index::ALL, axis);
        items.push(Index::Slice { start: start as i64, stop: (start + n) as i64, step: 1 });
        self.index(&items).expect("a part of the axis")
    }
}

#[cold]
fn note(said: &mut Vec<Said>, layout: &Layout, items: &[Index]) {
    let named = |item: &&Index| matches!(item, Index::Int(_) | Index::Slice { .. });
    let rest = layout.ndim().saturating_sub(items.iter().filter(named).count());
    let mut axis = 0;
    for item in items {
        match item {
            Index::Int(_) | Index::Slice { .. } => {
                add(said, layout.shape().get(axis).map_or(Said::Other, |&n| Said::Along(n, *item)));
                axis += 1;
            }
            Index::Ellipsis => axis += rest,
            Index::NewAxis => {}
        }
    }
}

fn indexed(layout: &Layout, items: &[Index]) -> Result<Shared<Layout>> {
    let shape = layout.shape();
    let (mut taken, mut ellipses) = (0, 0);
    for item in items {
        match item {
            Index::Int(_) | Index::Slice { .. } => taken += 1,
            Index::Ellipsis => ellipses += 1,
            Index::NewAxis => {}
        }
    }
    if ellipses > 1 {
        return Err(Error::Index("an index can only have a single ellipsis ('...')".into()));
    }
    if taken > shape.len() {
        return Err(too_many_indices(shape.len(), taken));
    }
    let rest = shape.len() - taken;
    let (mut part, mut all) = (Shape::new(), SmallVec::<[Taken; 4]>::new());
    let along = |part: &mut Shape, start, step, n| {
        part.push(n);
        Taken { start, step, axis: Some(part.len() as u32 - 1) }
    };
    for item in items {
        let axis = all.len();
        match *item {
            Index::Slice { start, stop, step } => {
                let (start, step, n) = slice(start, stop, step, shape[axis])?;
                all.push(along(&mut part, start, step, n));
            }
            Index::Int(i) => all.push(Taken { start: wrap(i, axis, shape[axis])?, step: 1, axis: None }),
            Index::NewAxis => part.push(1),
            Index::Ellipsis => (axis..axis + rest).for_each(|a| all.push(along(&mut part, 0, 1, shape[a]))),
        }
    }
    // Axes that no item names are whole.
    (all.len()..shape.len()).for_each(|a| all.push(along(&mut part, 0, 1, shape[a])));
    Ok(layout.part(part, &all))
}

/// An integer index counted from the end if negative.
pub(crate) fn wrap(i: i64, axis: usize, n: usize) -> Result<i64> {
    let at = if i < 0 { i + n as i64 } else { i };
    if at < 0 || at >= n as i64 {
        return Err(Error::Index(format!("index {i} is out of bounds for axis {axis} with size {n}")));
    }
    Ok(at)
}

/// Python's slice: (start, step, length).
fn slice(start: i64, stop: i64, step: i64, n: usize) -> Result<(i64, i64, usize)> {
    let n = n as i64;
    if step == 0 {
        return Err(Error::Value("slice step cannot be zero".into()));
    }
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let clamp = |v: i64| (if v < 0 { v.saturating_add(n) } else { v }).clamp(low, high);
    let (start, stop) = (clamp(start), clamp(stop));
    let length = if step == 1 {
        (stop - start).max(0)
    } else if step > 0 {
        if start < stop { (stop - start - 1) / step + 1 } else { 0 }
    } else if stop < start {
        (start - stop - 1) / step.wrapping_neg().max(1) + 1
    } else {
        0
    };
    // An empty slice starts nowhere; keep the map inside the base.
    let start = if length == 0 { start.clamp(0, (n - 1).max(0)) } else { start };
    Ok((start, if length <= 1 { 1 } else { step }, length as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_as_python() {
        let cut = |a, b, c, n| match Index::slice(a, b, c) {
            Index::Slice { start, stop, step } => slice(start, stop, step, n),
            other => panic!("{other:?}"),
        };
        let s = |a, b, c| cut(a, b, c, 10).unwrap();
        assert_eq!(s(None, None, None), (0, 1, 10));
        assert_eq!(s(Some(1), Some(-1), None), (1, 1, 8));
        assert_eq!(s(None, None, Some(-1)), (9, -1, 10));
        assert_eq!(s(Some(-3), None, Some(2)), (7, 2, 2));
        assert_eq!(s(Some(8), Some(2), Some(-3)), (8, -3, 2));
        assert_eq!(s(Some(5), Some(2), None).2, 0);
        assert_eq!(s(Some(100), None, None).2, 0);
        assert_eq!(s(Some(100), None, Some(-4)), (9, -4, 3));
        assert!(cut(None, None, Some(0), 3).is_err());
    }

    /// What a part takes over from where it was cut is what its map alone says.
    #[test]
    fn parts_are_what_their_maps_say() {
        let (all, one) = (Index::ALL, Index::slice(Some(1), Some(3), None));
        let (back, none) = (Index::slice(None, None, Some(-2)), Index::slice(Some(2), Some(2), None));
        let keys: [&[Index]; 8] = [
            &[all],
            &[one],
            &[back, one],
            &[Index::Int(1)],
            &[Index::NewAxis, one, Index::Ellipsis, Index::Int(-1)],
            &[none],
            &[Index::Ellipsis, back],
            &[Index::Ellipsis, Index::NewAxis],
        ];
        let whole = Layout::identity(&[4, 3, 5]);
        let spread = whole.then(&legate_jit_ir::View::broadcast(&[4, 3, 5], &[2, 4, 3, 5]));
        for from in [whole.clone(), whole.reversed(), spread] {
            for first in keys {
                for second in keys {
                    let Ok(part) = indexed(&from, first).and_then(|part| indexed(&part, second)) else { continue };
                    let said = Layout::new(part.lshape.clone(), part.view.clone());
                    assert_eq!((&part.strides, part.offset), (&said.strides, said.offset), "{first:?} {second:?}");
                    assert_eq!((part.hash, part.size, part.class), (said.hash, said.size, said.class));
                    assert_eq!((part.injective, part.c_ordered), (said.injective, said.c_ordered));
                    assert_eq!((part.c_contiguous, part.f_contiguous), (said.c_contiguous, said.f_contiguous));
                }
            }
        }
    }

    /// Expressions that come back are found; those that come once leave no trace.
    #[test]
    fn an_expression_is_kept_from_the_second_time_on() {
        let whole = Layout::identity(&[50, 60]);
        let mut memory = Memory::default();
        let mut find = |i: i64| memory.find(&whole, &[Index::Int(i), Index::slice(Some(i), Some(60), None)]).unwrap();
        for _ in 0..2 {
            (0..50).for_each(|i| drop(find(i)));
        }
        let found: Vec<_> = (0..50).map(&mut find).collect();
        let again = (0..50).filter(|&i| Shared::ptr_eq(&find(i), &found[i as usize])).count();
        assert!(again > 25, "{again} of 50");
        assert!(found.iter().enumerate().all(|(i, l)| l.offset == 61 * i as i64 && l.shape() == [60 - i]));
    }
}
