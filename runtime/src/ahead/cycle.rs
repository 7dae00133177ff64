//! Finds loops among the flushes: the same plans in the same order, each on what those before it have left.
//!
//! Stores are watched by weak references: a cycle that is found can be gone on with, and nothing is kept alive for it.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::Scalars;
use crate::Store;
use crate::plan_cache::Entry;
use crate::trace::Key;

/// The most flushes of a cycle.
pub(super) const LONGEST: usize = 8;
/// Cycles that are seen before one is believed, the last one included.
const SEEN: usize = 3;

/// Where an input of a flush comes from: a flush so many flushes before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Origin {
    pub(super) back: u8,
    pub(super) output: bool,
    pub(super) number: u32,
}

type WeakStores = SmallVec<[Weak<Store>; 4]>;
pub(super) type Origins = SmallVec<[Origin; 4]>;

/// One flush of a cycle.
pub(super) struct Stage {
    pub(super) key: Key,
    pub(super) entry: Arc<Entry>,
    pub(super) scalars: Scalars,
    pub(super) origins: Origins,
    /// How long it took.
    pub(super) takes: Duration,
}

/// A flush that has run.
struct Flush {
    key: Key,
    entry: Arc<Entry>,
    scalars: Scalars,
    inputs: WeakStores,
    outputs: WeakStores,
    began: Instant,
    takes: Duration,
}

/// The stores that a flush read and made, as far as they are still there.
pub(super) struct Left {
    pub(super) inputs: SmallVec<[Option<Arc<Store>>; 4]>,
    pub(super) outputs: SmallVec<[Option<Arc<Store>>; 4]>,
}

/// The flushes so far, the newest last.
#[derive(Default)]
pub(super) struct Watch {
    recent: VecDeque<Flush>,
}

impl Watch {
    pub(super) fn forget(&mut self) {
        self.recent.clear();
    }

    pub(super) fn saw(
        &mut self,
        key: Key,
        entry: &Arc<Entry>,
        scalars: &[[u64; 2]],
        (inputs, outputs): (&[Arc<Store>], &[Arc<Store>]),
        (began, takes): (Instant, Duration),
    ) {
        if self.recent.len() == (SEEN + 1) * LONGEST {
            self.recent.pop_front();
        }
        self.recent.push_back(Flush {
            key,
            entry: entry.clone(),
            scalars: scalars.into(),
            inputs: inputs.iter().map(Arc::downgrade).collect(),
            outputs: outputs.iter().map(Arc::downgrade).collect(),
            began,
            takes,
        });
    }

    /// From the beginning of a cycle of so many flushes to that of the next one: the least of those that were seen.
    pub(super) fn period(&self, length: usize) -> Option<Duration> {
        let began = |back: usize| Some(self.recent.get(self.recent.len().checked_sub(back + 1)?)?.began);
        (0..SEEN).filter_map(|k| Some(began(k * length)? - began((k + 1) * length)?)).min()
    }

    /// The cycle that has just ended, if there is one: its flushes in order, and what each has left.
    pub(super) fn cycle(&self) -> Option<(Vec<Stage>, Vec<Left>)> {
        let length = (1..=LONGEST).find(|&length| self.repeats(length))?;
        let first = self.recent.len() - length;
        let stage = |at: usize| {
            let flush = &self.recent[at];
            let origins = self.origins(at, length)?;
            let (entry, scalars) = (flush.entry.clone(), flush.scalars.clone());
            Some(Stage { key: flush.key, entry, scalars, origins, takes: flush.takes })
        };
        let stages = (first..self.recent.len()).map(stage).collect::<Option<Vec<Stage>>>()?;
        let left = self.recent.range(first..).map(|flush| Left {
            inputs: flush.inputs.iter().map(Weak::upgrade).collect(),
            outputs: flush.outputs.iter().map(Weak::upgrade).collect(),
        });
        Some((stages, left.collect()))
    }

    /// Whether the last flushes are cycles of this length. One more than is compared must be there, for the origins.
    fn repeats(&self, length: usize) -> bool {
        let n = self.recent.len();
        let alike = |at: usize| {
            let (one, other) = (&self.recent[at], &self.recent[at - length]);
            one.key == other.key && one.scalars == other.scalars
        };
        n >= (SEEN + 1) * length
            && alike(n - 1)
            && (n - (SEEN - 1) * length..n).all(alike)
            && (n - length..n).all(|at| {
                let origins = self.origins(at, length);
                origins.is_some() && origins == self.origins(at - length, length)
            })
    }

    fn origins(&self, at: usize, length: usize) -> Option<Origins> {
        let find = |list: &WeakStores, store: &Weak<Store>| list.iter().position(|s| s.ptr_eq(store));
        let origin = |store: &Weak<Store>| {
            (1..=length).find_map(|back| {
                let flush = &self.recent[at - back];
                let from = |output: bool, number: usize| Origin { back: back as u8, output, number: number as u32 };
                let output = find(&flush.outputs, store).map(|n| from(true, n));
                output.or_else(|| find(&flush.inputs, store).map(|n| from(false, n)))
            })
        };
        self.recent[at].inputs.iter().map(origin).collect()
    }
}
