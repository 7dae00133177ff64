//! The places that masks select, where they are known without a mask in memory; and what is remembered for that. Lives with the
//! session.
//!
//! The values that something is known of are held meanwhile, and nobody writes to memory of which somebody else holds the value.

use std::sync::Arc;

use legate_jit_ir::DType;
use smallvec::SmallVec;

use super::between::{self, Between, Search, Zones};
use super::condition::{self, Condition, Term};
use super::interval::by_type;
use super::moves::parallel;
use super::selection::{CHUNK, Selection, elements};
use crate::array::Array;
use crate::base::{State, Version};
use crate::buffer::Fresh;
use crate::layout::Class;
use crate::session::{Session, lock_to_look};
use crate::shared::Shared;
use crate::{Result, Store};

/// Masks whose places are remembered.
const MASKS: usize = 2;
/// Arrays whose zones are remembered.
const ZONED: usize = 4;
/// Arrays of which it is remembered that they were asked about.
const ASKED: usize = 8;
/// Flushes for which zones are remembered that nobody uses.
const IDLE: u32 = 8;
/// Questions about an array after which its zones are worth a look at all of it.
const SOON: u32 = 2;
/// The most questions that it takes where zones were of no use.
const LATE: u32 = 64;

/// The least and the largest of each 64 elements of a store.
pub(super) struct Zoned {
    least: Arc<Store>,
    most: Arc<Store>,
}

#[derive(Default)]
pub(crate) struct Found {
    /// Where stores lie, and how often they were asked about. (Another one may have come to lie there, which then finds its zones
    /// known to be worth while a little early.)
    asked: SmallVec<[(usize, u32); ASKED]>,
    zoned: SmallVec<[Remembered<Zoned>; ZONED]>,
    masks: SmallVec<[Remembered<Selection>; MASKS]>,
    /// Twice as long each time that zones saved nothing or were not used.
    patience: u32,
}

/// What is known of a store's elements.
struct Remembered<T> {
    of: Arc<Store>,
    what: Arc<T>,
    /// Flushes since it was used.
    idle: u32,
    /// How often it was used after it was made.
    uses: u32,
}

impl<T> Remembered<T> {
    fn find(all: &mut [Remembered<T>], of: &Arc<Store>) -> Option<Arc<T>> {
        let known = all.iter_mut().find(|k| Arc::ptr_eq(&k.of, of))?;
        known.idle = 0;
        known.uses += 1;
        Some(known.what.clone())
    }

    fn insert<const N: usize>(all: &mut SmallVec<[Remembered<T>; N]>, of: &Arc<Store>, what: Arc<T>)
    where
        [Remembered<T>; N]: smallvec::Array<Item = Remembered<T>>,
    {
        if all.len() == N {
            all.remove(0);
        }
        all.push(Remembered { of: of.clone(), what, idle: 0, uses: 0 });
    }
}

impl Found {
    /// A flush: what was not used for some of them is let go of, and what only we hold.
    #[inline]
    pub(crate) fn flushed(&mut self) {
        if !self.zoned.is_empty() || !self.masks.is_empty() {
            self.let_go();
        }
    }

    #[cold]
    fn let_go(&mut self) {
        self.keep_zones(|k| {
            k.idle += 1;
            k.idle <= IDLE && Arc::strong_count(&k.of) > 1
        });
        self.masks.retain(|k| {
            k.idle += 1;
            k.idle <= 1 && Arc::strong_count(&k.of) > 1
        });
    }

    /// Foreign code may write to memory from now on, or somebody wants to write to this.
    pub(crate) fn forget(&mut self, of: Option<&Arc<Store>>) {
        let keep = |store: &Arc<Store>| of.is_some_and(|of| !Arc::ptr_eq(of, store));
        self.keep_zones(|k| keep(&k.of));
        self.masks.retain(|k| keep(&k.of));
    }

    /// Lets go of zones. Those that nobody used after they were made were made too soon.
    fn keep_zones(&mut self, mut keep: impl FnMut(&mut Remembered<Zoned>) -> bool) {
        let Found { asked, zoned, patience, .. } = self;
        zoned.retain(|k| {
            let kept = keep(k);
            if !kept {
                asked.retain(|(store, _)| *store != Arc::as_ptr(&k.of) as usize);
                if k.uses == 0 {
                    *patience = (2 * (*patience).max(SOON)).min(LATE);
                }
            }
            kept
        });
    }

    /// How often this store was asked about before.
    fn ask(&mut self, of: &Arc<Store>) -> u32 {
        let at = Arc::as_ptr(of) as usize;
        if let Some((_, times)) = self.asked.iter_mut().find(|(store, _)| *store == at) {
            *times += 1;
            return *times - 1;
        }
        if self.asked.len() == ASKED {
            self.asked.remove(0);
        }
        self.asked.push((at, 1));
        0
    }
}

/// The places that a mask selects, where they need no mask in memory.
pub(super) fn known(mask: &Array) -> Result<Option<Arc<Selection>>> {
    find(mask, 0)
}

/// The same for a mask that is asked about for its own sake, if what it compares was asked about before; else the answer had better
/// be computed with what is pending.
pub(super) fn known_again(mask: &Array) -> Result<Option<Arc<Selection>>> {
    find(mask, 1)
}

/// The places where they are known already.
pub(super) fn remembered(s: &mut Session, mask: &Array) -> Option<Arc<Selection>> {
    if s.found.masks.is_empty() || mask.layout.class != Class::Identity {
        return None;
    }
    match mask.base.current.get(&s.token).state.get(&s.token) {
        State::Store(store) => Remembered::find(&mut s.found.masks, store),
        State::Pending(_) | State::Failed(_) => None,
    }
}

fn find(mask: &Array, times: u32) -> Result<Option<Arc<Selection>>> {
    if mask.size() < condition::MANY {
        return Ok(None);
    }
    let mut held = lock_to_look();
    let s = &mut *held;
    if let Some(selection) = remembered(s, mask) {
        return Ok(Some(selection));
    }
    let Some(condition) = condition::of(s, mask) else { return Ok(None) };
    let asked: SmallVec<[u32; 2]> = condition.iter().map(|term| s.found.ask(&term.of)).collect();
    if asked.iter().any(|&a| a < times) {
        return Ok(None);
    }
    let patience = s.found.patience.max(SOON);
    let mut zoned: SmallVec<[Option<Arc<Zoned>>; 2]> =
        condition.iter().map(|term| Remembered::find(&mut s.found.zoned, &term.of)).collect();
    let version = mask.base.current.get(&s.token).clone();
    drop(held);

    let mut made: SmallVec<[usize; 2]> = SmallVec::new();
    for (k, term) in condition.iter().enumerate() {
        if zoned[k].is_none() && asked[k] >= patience {
            let dtype = term.interval.dtype();
            zoned[k] = by_type!(dtype, zones_of(&term.of, mask.size()), else None).transpose()?;
            made.push(k);
        }
    }
    let (selection, looked) = search(mask.shape(), &condition, &zoned)?;
    let selection = Arc::new(selection);

    let mut s = lock_to_look();
    let s = &mut *s;
    // Three quarters of all words had to be looked at all the same?
    let of_use = 4 * looked <= 3 * condition.len() * mask.size().div_ceil(64);
    if made.is_empty() && of_use && zoned.iter().any(Option::is_some) {
        s.found.patience = SOON;
    }
    for k in made {
        if let Some(zones) = &zoned[k] {
            Remembered::insert(&mut s.found.zoned, &condition[k].of, zones.clone());
            if !of_use {
                s.found.patience = (2 * patience).min(LATE);
            }
        }
    }
    if Shared::ptr_eq(mask.base.current.get(&s.token), &version) {
        // Whoever wants the mask itself gets it from the places.
        let spread = selection.clone();
        let store = Store::promised(mask.size(), Box::new(move || spread.spread()));
        Remembered::insert(&mut s.found.masks, &store, selection.clone());
        let version = Version::new(State::Store(store), version.full.clone(), DType::Bool);
        mask.base.current.replace(&mut s.token, version);
    }
    Ok(Some(selection))
}

fn zones_of<T: Between>(of: &Arc<Store>, n: usize) -> Option<Result<Arc<Zoned>>> {
    // (One element a zone is nothing to gain.)
    let zones = || {
        let (mut least, mut most) = (Fresh::new(n.div_ceil(64))?, Fresh::new(n.div_ceil(64))?);
        let x = elements::<T>(of, 0..n);
        let (all_least, all_most) = (least.chunks(CHUNK / 64), most.chunks(CHUNK / 64));
        parallel(all_least.len(), &|c| {
            let x = &x[c * CHUNK..n.min((c + 1) * CHUNK)];
            between::zones(x, &mut all_least[c].lock(), &mut all_most[c].lock());
        })?;
        drop((all_least, all_most));
        Ok(Arc::new(Zoned { least: least.done(), most: most.done() }))
    };
    Some(zones())
}

/// The places at which a condition is true; and how many words of elements were looked at.
pub(super) fn search(
    shape: &[usize],
    condition: &Condition,
    zoned: &[Option<Arc<Zoned>>],
) -> Result<(Selection, usize)> {
    let n = legate_jit_ir::shape::size(shape);
    let looked = std::sync::atomic::AtomicUsize::new(0);
    let selection = Selection::of_words(shape, |c, out| {
        let mut other = [0; CHUNK / 64];
        for (k, (term, zoned)) in condition.iter().zip(zoned).enumerate() {
            let into = if k == 0 { &mut *out } else { &mut other[..out.len()] };
            let place = c * CHUNK..n.min((c + 1) * CHUNK);
            let some = by_type!(term.interval.dtype(), chunk(term, place.clone(), zoned.as_deref(), into), else 0);
            looked.fetch_add(some, std::sync::atomic::Ordering::Relaxed);
            if term.interval.outside() {
                into.iter_mut().for_each(|w| *w = !*w);
                if let (Some(last), rest @ 1..) = (into.last_mut(), place.len() % 64) {
                    *last &= (1 << rest) - 1;
                }
            }
            if k > 0 {
                out.iter_mut().zip(&other).for_each(|(w, o)| *w &= o);
            }
        }
    })?;
    Ok((selection, looked.into_inner()))
}

fn chunk<T: Between>(term: &Term, place: std::ops::Range<usize>, zoned: Option<&Zoned>, out: &mut [u64]) -> usize {
    let (lo, hi) = term.interval.ends::<T>();
    let words = place.start / 64..place.start / 64 + out.len();
    let zones =
        zoned.map(|z| Zones { least: elements::<T>(&z.least, words.clone()), most: elements::<T>(&z.most, words) });
    between::words(elements::<T>(&term.of, place), Search { lo, hi, zones: zones.as_ref() }, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_that_nobody_used_make_patient() {
        let mut found = Found::default();
        let zoned = Arc::new(Zoned { least: Store::alloc(8).unwrap(), most: Store::alloc(8).unwrap() });
        for round in 0..8 {
            let store = Store::alloc(64).unwrap();
            assert_eq!((found.ask(&store), found.ask(&store)), (0, 1));
            Remembered::insert(&mut found.zoned, &store, zoned.clone());
            found.flushed();
            assert_eq!(found.zoned.len(), 1, "somebody holds it");
            if round == 7 {
                assert!(Remembered::find(&mut found.zoned, &store).is_some());
            }
            drop(store);
            found.flushed();
            assert!(found.zoned.is_empty() && found.asked.is_empty());
            assert_eq!(found.patience, (SOON << (round + 1)).min(LATE));
        }
        let store = Store::alloc(64).unwrap();
        Remembered::insert(&mut found.zoned, &store, zoned);
        (0..=IDLE).for_each(|_| found.flushed());
        assert!(found.zoned.is_empty() && Arc::strong_count(&store) == 1);
    }
}
