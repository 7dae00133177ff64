//! Who owns which bytes of a store, and who holds current copies of whose. Pure: the same questions get the same answers on
//! every rank, so nobody has to ask anybody.
//!
//! Tilings count bytes, not rows, because a store has no shape: the next plan may see the same memory as another array.

use std::ops::Range;
use std::sync::Arc;

/// Rank r owns bytes `offsets[r]..offsets[r + 1]`. The blocks may be uneven and empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tiling {
    offsets: Arc<[usize]>,
}

impl Tiling {
    /// `offsets` has one more element than there are ranks, begins with 0 and never falls.
    pub fn new(offsets: Vec<usize>) -> Tiling {
        debug_assert!(offsets[0] == 0 && offsets.is_sorted());
        Tiling { offsets: offsets.into() }
    }

    /// Rank 0 owns everything: what small stores and those that Python has made are.
    pub fn root(bytes: usize, ranks: usize) -> Tiling {
        Tiling::all_at(0, bytes, ranks)
    }

    /// One rank owns everything.
    pub fn all_at(owner: usize, bytes: usize, ranks: usize) -> Tiling {
        Tiling::new((0..=ranks).map(|r| if r <= owner { 0 } else { bytes }).collect())
    }

    pub fn ranks(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn bytes(&self) -> usize {
        self.offsets[self.ranks()]
    }

    pub fn owned(&self, rank: usize) -> Range<usize> {
        self.offsets[rank]..self.offsets[rank + 1]
    }

    /// Where rank r's block begins, for each rank, and where the last one ends.
    pub fn offsets(&self) -> &[usize] {
        &self.offsets
    }

    /// The one rank that owns everything, if there is one.
    pub fn single_owner(&self) -> Option<usize> {
        (0..self.ranks()).find(|&r| self.owned(r) == (0..self.bytes()))
    }
}

/// A store as the ranks hold it: each owns its block and may hold current copies of bytes around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    pub tiling: Tiling,
    /// For each rank, what it may read without asking; always contains what it owns.
    valid: Vec<Range<usize>>,
}

/// Bytes of one store that one rank sends to another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    pub peer: usize,
    pub bytes: Range<usize>,
}

impl Held {
    /// Right after all owners have written their blocks: no copies yet.
    pub fn new(tiling: Tiling) -> Held {
        let valid = (0..tiling.ranks()).map(|r| tiling.owned(r)).collect();
        Held { tiling, valid }
    }

    /// The owners have written into their blocks: copies elsewhere are stale.
    pub fn written(&mut self) {
        for (rank, valid) in self.valid.iter_mut().enumerate() {
            *valid = self.tiling.owned(rank);
        }
    }

    /// The parts of `need` that a rank lacks, before and after what it has.
    fn missing(&self, rank: usize, need: &Range<usize>) -> [Range<usize>; 2] {
        let valid = &self.valid[rank];
        if need.is_empty() {
            return [0..0, 0..0];
        }
        if valid.is_empty() || need.end <= valid.start || valid.end <= need.start {
            return [need.clone(), 0..0];
        }
        [need.start..valid.start.max(need.start), valid.end.min(need.end)..need.end]
    }

    /// What this rank sends, so that every rank r can read `needs[r]`.
    pub fn sends(&self, me: usize, needs: &[Range<usize>]) -> Vec<Transfer> {
        let owned = self.tiling.owned(me);
        let mut sends = Vec::new();
        for (peer, need) in needs.iter().enumerate() {
            if peer != me {
                sends.extend(
                    self.missing(peer, need)
                        .iter()
                        .filter_map(|m| overlap(m, &owned))
                        .map(|bytes| Transfer { peer, bytes }),
                );
            }
        }
        sends
    }

    /// What this rank receives, so that it can read `need`. Between two ranks the order is that of the sender's [`sends`].
    ///
    /// [`sends`]: Held::sends
    pub fn recvs(&self, me: usize, need: &Range<usize>) -> Vec<Transfer> {
        let missing = self.missing(me, need);
        let mut recvs = Vec::new();
        for peer in (0..self.tiling.ranks()).filter(|&p| p != me) {
            let owned = self.tiling.owned(peer);
            recvs.extend(missing.iter().filter_map(|m| overlap(m, &owned)).map(|bytes| Transfer { peer, bytes }));
        }
        recvs
    }

    /// The transfers for `needs` have been made: the copies are current.
    pub fn fetched(&mut self, needs: &[Range<usize>]) {
        for (valid, need) in self.valid.iter_mut().zip(needs) {
            if valid.start >= valid.end {
                *valid = need.clone();
            } else if !need.is_empty() && need.start <= valid.end && valid.start <= need.end {
                *valid = valid.start.min(need.start)..valid.end.max(need.end);
            }
        }
    }

    /// Whether a rank can read all of the store without asking.
    pub fn is_whole_at(&self, rank: usize) -> bool {
        self.valid[rank] == (0..self.tiling.bytes())
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> Option<Range<usize>> {
    let both = a.start.max(b.start)..a.end.min(b.end);
    (!both.is_empty()).then_some(both)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every rank's receives are exactly the others' sends to it, in the same order for each pair.
    fn check_exchange(held: &Held, needs: &[Range<usize>]) {
        let ranks = held.tiling.ranks();
        for me in 0..ranks {
            for peer in 0..ranks {
                let of = |list: Vec<Transfer>, p| -> Vec<_> {
                    list.into_iter().filter(|t| t.peer == p).map(|t| t.bytes).collect()
                };
                assert_eq!(of(held.recvs(me, &needs[me]), peer), of(held.sends(peer, needs), me));
            }
            // What was valid and what arrives cover the need, without a byte twice.
            let mut have = vec![0; held.tiling.bytes()];
            held.valid[me].clone().for_each(|b| have[b] += 1);
            held.recvs(me, &needs[me]).into_iter().flat_map(|t| t.bytes).for_each(|b| have[b] += 1);
            assert!(needs[me].clone().all(|b| have[b] == 1), "rank {me} needs {:?}", needs[me]);
        }
    }

    #[test]
    fn a_halo_comes_from_the_neighbours() {
        let held = Held::new(Tiling::new(vec![0, 40, 80, 120]));
        let needs = [0..50, 30..90, 70..120];
        assert_eq!(
            held.recvs(1, &needs[1]),
            [Transfer { peer: 0, bytes: 30..40 }, Transfer { peer: 2, bytes: 80..90 }]
        );
        check_exchange(&held, &needs);
    }

    #[test]
    fn copies_are_not_fetched_twice_and_are_stale_after_a_write() {
        let mut held = Held::new(Tiling::new(vec![0, 40, 80]));
        let needs = [0..50, 30..80];
        held.fetched(&needs);
        check_exchange(&held, &needs);
        assert!(held.recvs(0, &needs[0]).is_empty());
        assert_eq!(held.recvs(0, &(0..60)), [Transfer { peer: 1, bytes: 50..60 }]);
        held.written();
        assert_eq!(held.recvs(0, &needs[0]), [Transfer { peer: 1, bytes: 40..50 }]);
    }

    #[test]
    fn uneven_and_empty_blocks_and_needs_far_away() {
        let mut held = Held::new(Tiling::new(vec![0, 0, 7, 7, 100]));
        for needs in [[0..100, 0..0, 50..60, 3..9], [2..3, 0..100, 0..7, 0..100]] {
            check_exchange(&held, &needs);
            held.fetched(&needs);
        }
        assert!(held.is_whole_at(0) && held.is_whole_at(1) && !held.is_whole_at(2));
    }

    #[test]
    fn a_store_of_the_root_goes_to_whoever_reads_it() {
        let held = Held::new(Tiling::root(64, 3));
        assert_eq!(held.tiling.single_owner(), Some(0));
        check_exchange(&held, &[0..0, 8..16, 0..64]);
        assert_eq!(held.sends(0, &[0..0, 8..16, 0..64]).len(), 2);
        assert_eq!(Tiling::all_at(2, 64, 3).owned(2), 0..64);
    }
}
