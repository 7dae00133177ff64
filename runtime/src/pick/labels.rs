//! Rows that belong to labels: `points[labels == k]` for one k after the other.
//!
//! Each such mask by itself reads all labels and brings together rows from everywhere. Where a program asks for a second label of the
//! same array, it is about to ask for all of them. So one pass counts how often each label occurs, and one adds up the rows of each
//! label, in the order in which they lie, which is how NumPy adds up the rows that a mask has selected. What is asked for then is how
//! many rows there are (`len(mine)`) and what they come to (`mine.mean(axis=0)`); rows themselves are brought together only if
//! somebody wants more of them.
//!
//! Lives with the session. The values are held meanwhile, and nobody writes to memory of which somebody else holds the value.

use std::sync::Arc;

use legate_jit_ir::{DType, Shape, Ufunc};
use smallvec::SmallVec;

use super::bins;
use super::condition::{self, Term};
use super::found;
use super::selection::Selection;
use crate::array::Array;
use crate::base::{State, Version};
use crate::layout::Class;
use crate::session::{Session, lock_to_look};
use crate::shared::Shared;
use crate::trace::{Op, Part, Src};
use crate::{Error, HostView, Result, Store};

/// Different labels whose rows are asked for, after which all of them are counted.
const SEVERAL: usize = 2;
/// Counters that stay near.
const MOST_LABELS: usize = 1 << 12;
/// Sums that stay near.
const MOST_SUMS: usize = 1 << 15;
/// Arrays whose rows are added up for the same labels.
const ARRAYS: usize = 2;

/// A mask that says that an array of integers, in memory, has this value.
#[derive(Clone)]
pub(super) struct Label {
    of: Arc<Store>,
    dtype: DType,
    /// How many labels there are in all.
    n: usize,
    key: i64,
    term: Term,
}

#[derive(Default)]
pub(crate) struct Labels {
    known: Option<Known>,
    /// Where the labels lie that were asked about last, and the values they were compared with.
    asked: (usize, SmallVec<[i64; SEVERAL]>),
    /// The number and type of labels of which all were asked for the last time.
    expected: Option<(usize, DType)>,
    /// And the sums of their rows.
    with_sums: bool,
}

/// For an array's store and its width, the sum of the rows of each label.
type Sums = SmallVec<[(Arc<Store>, usize, Arc<Store>); ARRAYS]>;

struct Known {
    of: Arc<Store>,
    /// How often each label occurs, from 0 on.
    counts: Arc<Vec<i64>>,
    sums: Sums,
    /// Labels that were asked for.
    keys: SmallVec<[i64; SEVERAL]>,
    /// Sums of rows were asked for.
    summed: bool,
    used: bool,
}

impl Labels {
    /// A flush: what was not used since the one before is let go of.
    #[inline]
    pub(crate) fn flushed(&mut self) {
        if self.known.is_some() {
            self.let_go();
        }
    }

    #[cold]
    fn let_go(&mut self) {
        let Some(known) = &mut self.known else { return };
        if !std::mem::take(&mut known.used) {
            self.drop_known();
        }
    }

    fn drop_known(&mut self) {
        let Some(known) = self.known.take() else { return };
        self.with_sums = known.summed;
        if known.keys.len() < SEVERAL {
            // All were counted for one of them.
            self.expected = None;
        }
    }

    /// Foreign code may write to memory from now on, or somebody wants to write to this.
    pub(crate) fn forget(&mut self, of: Option<&Arc<Store>>) {
        let concerns = |known: &Known| match of {
            None => true,
            Some(of) => Arc::ptr_eq(&known.of, of) || known.sums.iter().any(|(rows, ..)| Arc::ptr_eq(rows, of)),
        };
        if self.known.as_ref().is_some_and(concerns) {
            self.drop_known();
        }
    }

    /// Whether the rows of all labels are worth being counted, now that those of one are asked for.
    fn pays(&mut self, at: usize, n: usize, dtype: DType, key: i64) -> bool {
        if self.asked.0 != at {
            self.asked = (at, SmallVec::new());
        }
        note(&mut self.asked.1, key);
        self.expected == Some((n, dtype)) || self.asked.1.len() >= SEVERAL
    }
}

/// Notes a value, unless there are enough of them.
fn note(keys: &mut SmallVec<[i64; SEVERAL]>, key: i64) {
    if keys.len() < SEVERAL && !keys.contains(&key) {
        keys.push(key);
    }
}

/// What a pending mask says, if it asks for one of labels of which all are worth being counted. The mask itself need not be computed
/// any more: it is made from the labels if somebody wants it.
pub(super) fn label_of(mask: &Array) -> Result<Option<Label>> {
    if mask.size() < condition::MANY {
        return Ok(None);
    }
    let mut held = lock_to_look();
    let s = &mut *held;
    let Some(record) = condition::record_of(s, mask).filter(|_| condition::may_read(s)) else { return Ok(None) };
    let rec = &s.trace.recs[record as usize];
    let (Op::Map(op @ Ufunc::Equal), [a, b]) = (rec.op, rec.args()) else { return Ok(None) };
    let Some((arg, interval)) = condition::compared(&s.trace, op, a, b) else { return Ok(None) };
    let Some(key) = interval.only().filter(|key| key.dtype.is_integer()) else { return Ok(None) };
    let in_place = s.trace.layouts[arg.layout as usize].hash == s.trace.layouts[rec.shape as usize].hash;
    if !in_place || arg.part != Part::Whole || rec.perm != 0 {
        return Ok(None);
    }
    let (dtype, n, key) = (key.dtype, mask.size(), key.as_i128() as i64);
    let full = mask.base.current.get(&s.token).full.clone();
    let of = match arg.src {
        Src::Input(input) => {
            let store = s.trace.inputs[input as usize].clone();
            let known = s.trace.input_types[input as usize].dtype == dtype;
            if !known || store.is_exported() || store.is_promised() {
                return Ok(None);
            }
            if !s.labels.pays(Arc::as_ptr(&store) as usize, n, dtype, key) {
                return Ok(None);
            }
            store
        }
        Src::Node(node) => {
            // Labels that have a name are computed anyway.
            let version = s.trace.versions[node as usize].clone();
            let named = Shared::count(&version) > 2 && version.dtype == dtype;
            if !named || s.labels.expected != Some((n, dtype)) {
                return Ok(None);
            }
            // (What nobody holds is not computed with them.)
            let lost = State::Failed(Arc::new(Error::Runtime("a mask was not computed".into())));
            mask.base.current.replace(&mut s.token, Version::new(lost, full.clone(), DType::Bool));
            match s.store_of(&version) {
                Ok(store) if !store.is_exported() => {
                    s.labels.pays(Arc::as_ptr(&store) as usize, n, dtype, key);
                    store
                }
                Ok(store) => {
                    // Foreign code may write to it from now on.
                    let made = found::search(mask.shape(), &condition_of(Term { of: store, interval }), &[None])?
                        .0
                        .spread()?;
                    let made = Version::new(State::Store(made), full, DType::Bool);
                    mask.base.current.replace(&mut s.token, made);
                    return Ok(None);
                }
                Err(e) => {
                    let failed = State::Failed(Arc::new(e.clone()));
                    mask.base.current.replace(&mut s.token, Version::new(failed, full, DType::Bool));
                    return Err(e);
                }
            }
        }
        Src::Scalar(_) | Src::Const(_) => return Ok(None),
    };
    let label = Label { of: of.clone(), dtype, n, key, term: Term { of, interval } };
    let (shape, term) = (Shape::from(mask.shape()), label.term.clone());
    let spread = move || found::search(&shape, &condition_of(term.clone()), &[None])?.0.spread();
    let store = State::Store(Store::promised(n, Box::new(spread)));
    mask.base.current.replace(&mut s.token, Version::new(store, full, DType::Bool));
    Ok(Some(label))
}

fn condition_of(term: Term) -> condition::Condition {
    SmallVec::from_iter([term])
}

impl Label {
    /// The places that have it.
    pub(super) fn selection(&self, mask: &Array) -> Result<Arc<Selection>> {
        Ok(Arc::new(found::search(mask.shape(), &condition_of(self.term.clone()), &[None])?.0))
    }

    /// How many there are of it. `None` where labels are no small numbers.
    pub(super) fn count(&self, rows: Option<&Array>) -> Result<Option<usize>> {
        let Some(counts) = self.counts(rows)? else { return Ok(None) };
        Ok(Some(usize::try_from(self.key).ok().and_then(|k| counts.get(k)).map_or(0, |&n| n as usize)))
    }

    /// How many there are of each label. `rows` are those that somebody may want the sums of next: where that is what came the last
    /// time, they are added up in the same pass.
    fn counts(&self, rows: Option<&Array>) -> Result<Option<Arc<Vec<i64>>>> {
        let with_sums = {
            let mut s = lock_to_look();
            if let Some(known) = s.labels.find(&self.of) {
                note(&mut known.keys, self.key);
                return Ok(Some(known.counts.clone()));
            }
            s.labels.with_sums
        };
        if let Some(rows) = rows.filter(|_| with_sums)
            && let Some(view) = self.addable(rows)?
            && let Some((counts, sums)) = self.added(&view, None)?
        {
            let sums = SmallVec::from_iter([(view.store.clone(), view.shape[1], sums)]);
            return Ok(Some(self.remember(counts, sums)));
        }
        match bins::counted(&self.labels()?, MOST_LABELS)? {
            Some(counts) => Ok(Some(self.remember(counts, SmallVec::new()))),
            None => {
                lock_to_look().labels.expected = None;
                Ok(None)
            }
        }
    }

    fn remember(&self, counts: Vec<i64>, sums: Sums) -> Arc<Vec<i64>> {
        let counts = Arc::new(counts);
        let mut s = lock_to_look();
        s.labels.drop_known();
        s.labels.expected = Some((self.n, self.dtype));
        s.labels.known = Some(Known {
            of: self.of.clone(),
            counts: counts.clone(),
            sums,
            keys: SmallVec::from_slice(&[self.key]),
            summed: false,
            used: true,
        });
        counts
    }

    fn labels(&self) -> Result<Array> {
        Array::from_store(self.of.clone(), &[self.n], self.dtype)
    }

    /// Rows of floats that belong to the labels, in C order, of an array with two axes.
    fn addable(&self, rows: &Array) -> Result<Option<HostView>> {
        let &[n, width] = rows.shape() else { return Ok(None) };
        let whole = rows.layout.class == Class::Identity && rows.part == Part::Whole;
        // (Rows of one element are an array with one axis, whose sum has another order.)
        if !whole || n != self.n || width < 2 || !matches!(rows.dtype(), DType::F64 | DType::F32) {
            return Ok(None);
        }
        let view = rows.host()?;
        Ok((!view.store.is_exported()).then_some(view))
    }

    /// The labels' counts and sums of rows, where there are no more than these sums stay near.
    fn added(&self, rows: &HostView, bins: Option<usize>) -> Result<Option<(Vec<i64>, Arc<Store>)>> {
        let labels = self.labels()?.host()?;
        let Some(bins) = bins.map_or_else(|| bins::labels_in(&labels), |bins| Ok(Some(bins)))? else { return Ok(None) };
        if bins > MOST_LABELS || bins * rows.shape[1] > MOST_SUMS {
            return Ok(None);
        }
        bins::rows_added(&labels, rows, bins)
    }

    /// The sum of its rows, of which there are some: those of an array with two axes, the first of which the labels belong to.
    /// `None` where they had better be brought together.
    pub(super) fn sum_of_rows(&self, rows: &Array) -> Result<Option<Array>> {
        let Some(view) = self.addable(rows)? else { return Ok(None) };
        let Some(counts) = self.counts(Some(rows))? else { return Ok(None) };
        if self.count(None)?.is_none_or(|n| n == 0) {
            return Ok(None);
        }
        let width = view.shape[1];
        let known = {
            let mut s = lock_to_look();
            let known = s.labels.find(&self.of);
            known.and_then(|k| {
                k.summed = true;
                k.sums.iter().find(|(of, w, _)| Arc::ptr_eq(of, &view.store) && *w == width).map(|s| s.2.clone())
            })
        };
        let sums = match known {
            Some(sums) => sums,
            None => {
                let Some((_, sums)) = self.added(&view, Some(counts.len()))? else { return Ok(None) };
                let mut s = lock_to_look();
                s.labels.with_sums = true;
                if let Some(known) = s.labels.find(&self.of) {
                    if known.sums.len() == ARRAYS {
                        known.sums.remove(0);
                    }
                    known.sums.push((view.store.clone(), width, sums.clone()));
                }
                sums
            }
        };
        let bytes = width * rows.dtype().size();
        let at = self.key as usize * bytes;
        Array::from_bytes(&sums.as_slice()[at..at + bytes], &[width], rows.dtype()).map(Some)
    }
}

impl Labels {
    fn find(&mut self, of: &Arc<Store>) -> Option<&mut Known> {
        let known = self.known.as_mut().filter(|known| Arc::ptr_eq(&known.of, of))?;
        known.used = true;
        Some(known)
    }
}

impl Session {
    /// See `Found::forget` and `Labels::forget`.
    pub(crate) fn forget_found(&mut self, of: Option<&Arc<Store>>) {
        self.found.forget(of);
        self.labels.forget(of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::array::Operand;
    use crate::session::lock;
    use crate::ufunc::{UfuncArgs, ufunc};
    use crate::{Picked, WeakScalar};

    fn pick(rows: &Array, labels: &Array, key: i128) -> Picked {
        let key = Operand::Weak(WeakScalar::Int(key));
        rows.pick(&ufunc(Ufunc::Equal, &[Operand::Array(labels), key], &UfuncArgs::default()).unwrap()).unwrap()
    }

    #[test]
    fn the_second_label_is_the_last_that_is_looked_for() {
        let n = 30_000;
        let labels: Vec<u8> = (0..n as i64).flat_map(|i| (i % 3).to_le_bytes()).collect();
        let labels = Array::from_bytes(&labels, &[n], DType::I64).unwrap();
        let rows: Vec<u8> = (0..2 * n).flat_map(|i| (i as f64).to_le_bytes()).collect();
        let rows = Array::from_bytes(&rows, &[n, 2], DType::F64).unwrap();
        // (Other tests use the session, too, and flush.)
        let known = |of: &Picked| of.count().unwrap();
        let first = pick(&rows, &labels, 0);
        assert_eq!(known(&first), None);
        assert_eq!(first.array().unwrap().shape(), [n / 3, 2]);
        let second = pick(&rows, &labels, 1);
        assert_eq!(known(&second), Some(n / 3));
        let sum = second.of_rows(false).unwrap().unwrap().host().unwrap().to_vec();
        let expect: f64 = (0..n).filter(|i| i % 3 == 1).map(|i| 2.0 * i as f64).sum();
        assert_eq!(sum[..8], expect.to_le_bytes());
        assert_eq!(known(&pick(&rows, &labels, 7)), Some(0));
        // What is written to is forgotten.
        let store = second.array().unwrap();
        assert_eq!(store.shape(), [n / 3, 2]);
        lock().forget_found(None);
        assert!(lock().labels.known.is_none());
    }
}
