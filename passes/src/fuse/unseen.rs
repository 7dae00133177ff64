//! Leaves out pieces of which nobody sees what they write.
//!
//! A window that is written over an array makes a launch over the whole array, whose pieces around the window copy what was there. Where
//! boundaries are written next, all of that may be gone before anybody reads it. Each such piece costs a call and a pass over its rows,
//! of small arrays as much as the window itself: a relaxation with periodic columns and two walls was eight pieces, and is four.
//!
//! Before and after: a plan as `fuse` builds it; what is left out are whole pieces of launches that keep others.

use legate_jit_ir::plan::{BufferId, Launch, Operand, Piece, Plan, Source, Step, Target};
use legate_jit_ir::view::AxisMap;
use smallvec::SmallVec;

use crate::schedule::memories;

/// Steps after a piece that are looked at, and the most boxes that its elements are taken apart into.
const FAR: usize = 16;
const MANY: usize = 32;

/// Elements of a buffer, from the first to the last of each axis and one more.
type Elements = SmallVec<[(i64, i64); 4]>;

/// See the module's documentation.
pub fn leave_out(plan: &mut Plan) {
    let memory = memories(plan);
    let simple = simple_memories(plan, &memory);
    let look = Look { plan, memory: &memory, simple: &simple };
    let unseen: Vec<Vec<bool>> = (0..plan.steps.len()).map(|s| look.unseen(s)).collect();
    let mut changed = false;
    for (step, unseen) in plan.steps.iter_mut().zip(&unseen) {
        if let Step::Launch(launch) = step
            && unseen.contains(&true)
        {
            let mut unseen = unseen.iter();
            launch.pieces.retain(|_| !unseen.next().expect("one a piece"));
            drop_targets(launch);
            changed = true;
        }
    }
    if changed {
        drop_kernels(plan);
    }
}

/// Of each memory, whether all of its buffers have one shape, so that their elements are known by the same indices.
fn simple_memories(plan: &Plan, memory: &[BufferId]) -> Vec<bool> {
    let mut simple = vec![true; plan.buffers.len()];
    for (buffer, home) in plan.buffers.iter().zip(memory) {
        let same = plan.buffer(*home).ty.shape == buffer.ty.shape;
        simple[home.0 as usize] &= same && !matches!(buffer.source, Source::Alias(_));
    }
    simple
}

struct Look<'a> {
    plan: &'a Plan,
    /// The buffer that first held the memory of each buffer.
    memory: &'a [BufferId],
    simple: &'a [bool],
}

impl Look<'_> {
    /// For each piece of a step, whether nobody sees what it writes; at least one is kept.
    fn unseen(&self, s: usize) -> Vec<bool> {
        let Step::Launch(launch) = &self.plan.steps[s] else { return Vec::new() };
        if launch.pieces.len() < 2 || !launch.streams.is_empty() {
            return vec![false; launch.pieces.len()];
        }
        let mut unseen: Vec<bool> = launch.pieces.iter().map(|piece| self.is_unseen(s, launch, piece)).collect();
        if !unseen.contains(&false) {
            unseen[0] = false;
        }
        unseen
    }

    fn is_unseen(&self, s: usize, launch: &Launch, piece: &Piece) -> bool {
        self.operands(launch, piece, true).all(|operand| {
            let home = self.memory[operand.buffer.0 as usize];
            let elements = written(operand, piece).filter(|_| self.simple[home.0 as usize]);
            elements.is_some_and(|elements| self.is_lost(s, home, elements))
        })
    }

    fn operands<'b>(&self, launch: &'b Launch, piece: &'b Piece, write: bool) -> impl Iterator<Item = &'b Operand> {
        let accesses = &self.plan.kernels[piece.kernel as usize].accesses;
        let these = piece.accesses.iter().zip(accesses).filter(move |(_, access)| access.write == write);
        these.filter_map(|(&t, _)| match &launch.targets[t as usize] {
            Target::Buffer(operand) => Some(operand),
            Target::Stream(_) => None,
        })
    }

    /// Whether these elements of a memory are written again, all of them, before anybody reads one.
    fn is_lost(&self, s: usize, home: BufferId, elements: Elements) -> bool {
        let is_it = |b: BufferId| self.memory[b.0 as usize] == home;
        let mut left = vec![elements];
        for step in self.plan.steps[s + 1..].iter().take(FAR) {
            let launch = match step {
                Step::Launch(launch) => launch,
                Step::Opaque { args, out, .. } if args.iter().any(|a| is_it(a.buffer)) || is_it(*out) => return false,
                Step::Opaque { .. } | Step::Free(_) => continue,
            };
            if launch.streams.iter().any(|stream| is_it(stream.out)) {
                return false;
            }
            let reads = |piece: &Piece| {
                let mut reads = self.operands(launch, piece, false).filter(|o| is_it(o.buffer));
                reads.any(|o| left.iter().any(|elements| may_meet(elements, &reach(o, piece))))
            };
            if launch.pieces.iter().any(reads) {
                return false;
            }
            for piece in &launch.pieces {
                for over in self.operands(launch, piece, true).filter(|o| is_it(o.buffer)) {
                    if let Some(over) = written(over, piece) {
                        left = left.iter().flat_map(|elements| without(elements, &over)).collect();
                    }
                }
            }
            if left.is_empty() {
                return true;
            }
            if left.len() > MANY {
                return false;
            }
        }
        false
    }
}

/// The first and the last index that a map takes over a piece.
fn range(map: &AxisMap, piece: &Piece) -> (i64, i64) {
    map.terms.iter().fold((map.start, map.start), |(lo, hi), &(d, step)| {
        let (first, last) = (step * piece.lo[d as usize] as i64, step * (piece.hi[d as usize] as i64 - 1));
        (lo + first.min(last), hi + first.max(last))
    })
}

/// Elements among which are all that a piece touches through an operand.
fn reach(operand: &Operand, piece: &Piece) -> Elements {
    let ends = |map: &AxisMap| {
        let (first, last) = range(map, piece);
        (first, last + 1)
    };
    operand.view.axes.iter().map(ends).collect()
}

/// The elements that a piece writes through an operand; `None` where they are no box.
fn written(operand: &Operand, piece: &Piece) -> Option<Elements> {
    let mut taken: SmallVec<[u32; 4]> = SmallVec::new();
    for map in &operand.view.axes {
        match map.terms[..] {
            [] => {}
            [(d, 1 | -1)] if !taken.contains(&d) => taken.push(d),
            _ => return None,
        }
    }
    let has_points = piece.lo.iter().zip(&piece.hi).all(|(lo, hi)| lo < hi);
    has_points.then(|| reach(operand, piece))
}

fn may_meet(a: &Elements, b: &Elements) -> bool {
    a.iter().zip(b).all(|(a, b)| a.0.max(b.0) < a.1.min(b.1))
}

/// The elements of a box that are not in another one, as boxes.
fn without(elements: &Elements, other: &Elements) -> Vec<Elements> {
    if !may_meet(elements, other) {
        return vec![elements.clone()];
    }
    let (mut rest, mut apart) = (elements.clone(), Vec::new());
    for (axis, &(from, to)) in other.iter().enumerate() {
        let (first, end) = rest[axis];
        for (lo, hi) in [(first, from), (to, end)] {
            if lo < hi {
                let mut part = rest.clone();
                part[axis] = (lo, hi);
                apart.push(part);
            }
        }
        rest[axis] = (first.max(from), end.min(to));
    }
    apart
}

/// Drops the targets that no piece uses.
fn drop_targets(launch: &mut Launch) {
    let is_used = |t: usize| launch.pieces.iter().any(|p| p.accesses.contains(&(t as u32)));
    let used: Vec<bool> = (0..launch.targets.len()).map(is_used).collect();
    let place = numbers(&used);
    let mut all = used.iter();
    launch.targets.retain(|_| *all.next().expect("one a target"));
    launch.pieces.iter_mut().flat_map(|p| &mut p.accesses).for_each(|t| *t = place[*t as usize]);
}

/// Drops the kernels that no piece runs.
fn drop_kernels(plan: &mut Plan) {
    let mut used = vec![false; plan.kernels.len()];
    for step in &plan.steps {
        if let Step::Launch(launch) = step {
            launch.pieces.iter().for_each(|p| used[p.kernel as usize] = true);
        }
    }
    let place = numbers(&used);
    let mut all = used.iter();
    plan.kernels.retain(|_| *all.next().expect("one a kernel"));
    for step in &mut plan.steps {
        if let Step::Launch(launch) = step {
            launch.pieces.iter_mut().for_each(|p| p.kernel = place[p.kernel as usize]);
        }
    }
}

/// The number of each item that is kept among those.
fn numbers(kept: &[bool]) -> Vec<u32> {
    let mut next = 0;
    let mut number = |&kept: &bool| {
        next += kept as u32;
        next.saturating_sub(1)
    };
    kept.iter().map(&mut number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(elements: &Elements) -> Vec<(i64, i64)> {
        let [rows, columns] = elements[..] else { panic!("two axes") };
        (rows.0..rows.1).flat_map(|y| (columns.0..columns.1).map(move |x| (y, x))).collect()
    }

    #[test]
    fn what_is_left_of_a_box() {
        let a: Elements = [(0, 4), (0, 5)].into_iter().collect();
        for y in -1..5 {
            for x in -1..6 {
                for (h, w) in [(1, 1), (2, 9), (9, 2), (3, 3), (9, 9)] {
                    let b: Elements = [(y, y + h), (x, x + w)].into_iter().collect();
                    let inside = cells(&b);
                    let mut expected = cells(&a);
                    expected.retain(|cell| !inside.contains(cell));
                    let mut left: Vec<_> = without(&a, &b).iter().flat_map(cells).collect();
                    left.sort_unstable();
                    assert_eq!(left, expected, "{b:?}");
                }
            }
        }
    }
}
