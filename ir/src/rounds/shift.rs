//! Which instruction does in the next round what this one does in its own.
//!
//! Instructions that look alike for some operations back are likely to be those of one place in a round. Of such a class, each
//! is taken to correspond to the next one (or the second next, where a round has two of them); then so do their operands, and
//! the operands of these, as far as they are the same operations. Where that leads into a contradiction, the guess was wrong.
//! What corresponds to each other, in a row, is an *orbit*: one place of the round, through all rounds.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use super::Rounds;
use crate::kernel::Op;
use crate::{Inst, Reg};

/// Operations that two instructions of a class have in common, one after the other.
const ALIKE: usize = 6;
/// Instructions of one round that look alike, at most.
const MAX_ALIKE: usize = 12;
/// Classes from which a search begins.
const TRIES: usize = 4;

/// One place of the round, through all rounds.
pub struct Orbit(pub Vec<Reg>);

/// Tries correspondences, the most promising ones first, until one becomes a loop.
pub fn orbits(
    insts: &[Inst],
    min_rounds: usize,
    mut assemble: impl FnMut(&[Orbit]) -> Option<Rounds>,
) -> Option<Rounds> {
    let classes = classes(insts, min_rounds);
    let mut best: Option<Rounds> = None;
    for seed in 0..classes.len().min(TRIES) {
        for lag in 1..=MAX_ALIKE.min(classes[seed].len() / min_rounds) {
            let mut shift = Shift::new(insts);
            if !shift.guess(&classes[seed], lag) {
                continue;
            }
            // What nothing of this needs, as the count of the rounds in which something else happens.
            let rounds = classes[seed].len() / lag;
            for class in &classes {
                shift.guess(class, ((class.len() + rounds / 2) / rounds).max(1));
            }
            let found = assemble(&shift.orbits(min_rounds));
            if found.as_ref().map_or(0, Rounds::saved) > best.as_ref().map_or(0, Rounds::saved) {
                best = found;
            }
            if best.as_ref().is_some_and(|b| b.saved() > insts.len() / 2) {
                return best;
            }
        }
    }
    best
}

/// Instructions that look alike, in the order of the body; large classes first.
fn classes(insts: &[Inst], min_rounds: usize) -> Vec<Vec<Reg>> {
    let hash = |parts: &dyn Fn(&mut FxHasher)| {
        let mut hasher = FxHasher::default();
        parts(&mut hasher);
        hasher.finish()
    };
    let own: Vec<u64> = insts
        .iter()
        .map(|inst| {
            hash(&|h| {
                inst.dtype.hash(h);
                match &inst.op {
                    Op::Map(ufunc, _) => ufunc.hash(h),
                    Op::Cast(_) => 1.hash(h),
                    Op::Scalar(_) => 2.hash(h),
                    leaf => leaf.hash(h),
                }
            })
        })
        .collect();
    let mut look = own.clone();
    for _ in 0..ALIKE {
        let deeper = |k: usize| {
            hash(&|h| {
                own[k].hash(h);
                insts[k].op.args().iter().for_each(|r| look[r.0 as usize].hash(h));
            })
        };
        look = (0..insts.len()).map(deeper).collect();
    }
    let mut classes: BTreeMap<u64, Vec<Reg>> = BTreeMap::new();
    for k in (0..insts.len()).filter(|&k| !insts[k].op.args().is_empty()) {
        classes.entry(look[k]).or_default().push(Reg(k as u32));
    }
    let mut classes: Vec<Vec<Reg>> = classes.into_values().filter(|c| c.len() >= min_rounds).collect();
    classes.sort_by_key(|c| (std::cmp::Reverse(c.len()), c[0]));
    classes
}

struct Shift<'a> {
    insts: &'a [Inst],
    next: Vec<Option<Reg>>,
    previous: Vec<Option<Reg>>,
}

impl Shift<'_> {
    fn new(insts: &[Inst]) -> Shift<'_> {
        Shift { insts, next: vec![None; insts.len()], previous: vec![None; insts.len()] }
    }

    /// Takes each of a class to correspond to the one `lag` places further on. False, and nothing taken, where that
    /// contradicts what is known or itself, but for a few places: rounds at the ends may be others.
    fn guess(&mut self, class: &[Reg], lag: usize) -> bool {
        let mut taken: Vec<(Reg, Reg)> = Vec::new();
        let mut conflicts = 0;
        for (&a, &b) in class.iter().zip(&class[lag..]) {
            let mut at = taken.len();
            conflicts += !self.take(a, b, &mut taken) as usize;
            while at < taken.len() {
                let (a, b) = taken[at];
                at += 1;
                let (of_a, of_b) = (&self.insts[a.0 as usize].op, &self.insts[b.0 as usize].op);
                for (&x, &y) in of_a.args().iter().zip(of_b.args()) {
                    if self.alike(x, y) {
                        conflicts += !self.take(x, y, &mut taken) as usize;
                    }
                }
            }
            if conflicts > 3 {
                for (a, b) in taken {
                    self.next[a.0 as usize] = None;
                    self.previous[b.0 as usize] = None;
                }
                return false;
            }
        }
        true
    }

    /// Whether two different instructions may correspond to each other.
    fn alike(&self, a: Reg, b: Reg) -> bool {
        let (x, y) = (&self.insts[a.0 as usize], &self.insts[b.0 as usize]);
        a != b
            && x.dtype == y.dtype
            && match (&x.op, &y.op) {
                (Op::Map(f, _), Op::Map(g, _)) => f == g,
                (Op::Cast(r), Op::Cast(s)) => self.insts[r.0 as usize].dtype == self.insts[s.0 as usize].dtype,
                (Op::Scalar(_), Op::Scalar(_)) => true,
                _ => false,
            }
    }

    /// False where one of the two has another partner.
    fn take(&mut self, a: Reg, b: Reg, taken: &mut Vec<(Reg, Reg)>) -> bool {
        let (next, previous) = (self.next[a.0 as usize], self.previous[b.0 as usize]);
        if next.is_none() && previous.is_none() {
            self.next[a.0 as usize] = Some(b);
            self.previous[b.0 as usize] = Some(a);
            taken.push((a, b));
            return true;
        }
        next == Some(b)
    }

    /// The orbits that go through most of the rounds.
    fn orbits(&self, min_rounds: usize) -> Vec<Orbit> {
        let mut orbits = Vec::new();
        for first in (0..self.insts.len()).filter(|&k| self.previous[k].is_none() && self.next[k].is_some()) {
            let row = std::iter::successors(Some(Reg(first as u32)), |r| self.next[r.0 as usize]);
            // Of a circle nothing is first; but a row that is longer than the body would be one.
            orbits.push(Orbit(row.take(self.insts.len()).collect()));
        }
        let longest = orbits.iter().map(|o| o.0.len()).max().unwrap_or(0);
        orbits.retain(|o| o.0.len() >= min_rounds.max(longest / 2));
        orbits
    }
}
