//! Neighbours along a row from the same vectors (`InnerStride::Near`).
//!
//! A stencil reads each element of a row several times, at the places of a vector's lanes one after the other. Loaded as they are, all
//! but one of these vectors lie in two cache lines, and each costs as much as two loads. Here each vector of the row is loaded once,
//! where the middle one of the neighbours begins, and goes from one step of the loop to the next; the others are taken from two
//! vectors that follow each other, which is one shuffle. Four points of a Jacobi sweep in the second-level cache of a Zen 4 take 0.24
//! ns with loads, 0.17 so (written in C; eight at a time 0.15).
//!
//! A step asks for the vector behind its own, which must be in the row: what is left of it in the end has loads like any other
//! remainder.

use std::collections::BTreeMap;

use legate_jit_ir::{InnerStride, Kernel};

use super::Val;
use super::build::{Build, Elem, V};
use super::memory::Row;

/// For the first of several loads near each other, the vectors that they are taken from.
pub type Windows<'c> = BTreeMap<u32, Window<'c>>;

/// Three vectors of a row that follow each other, from where the middle one of some neighbours begins.
#[derive(Clone, Copy)]
pub struct Window<'c> {
    /// None where no neighbour begins before the middle one.
    before: Option<V<'c>>,
    here: V<'c>,
    after: V<'c>,
    middle: u32,
}

impl<'c> Window<'c> {
    /// The neighbour that begins `by` elements behind the first.
    pub fn take(&self, build: &Build<'c, '_>, e: Elem, by: u8) -> Val<'c> {
        let (lanes, by, middle) = (build.lanes as i32, by as i32, self.middle as i32);
        let from = |k: i32| (0..lanes).map(|lane| k + lane).collect::<Vec<_>>();
        Val::One(match self.before {
            Some(before) if by < middle => build.shuffle(e, before, self.here, &from(lanes + by - middle)),
            _ if by == middle => self.here,
            _ => build.shuffle(e, self.here, self.after, &from(by - middle)),
        })
    }
}

/// Some neighbours.
struct Group {
    /// The access that begins first.
    of: u32,
    e: Elem,
    /// Elements from it to the middle one, and to the last.
    middle: u32,
    last: u32,
}

/// All neighbours of a kernel that are taken from shared vectors.
pub struct Near {
    groups: Vec<Group>,
}

impl Near {
    /// None where there are no neighbours, or some too far apart for so many lanes.
    pub fn of(kernel: &Kernel, lanes: u32) -> Option<Near> {
        let mut groups: BTreeMap<u32, Group> = BTreeMap::new();
        for access in &kernel.accesses {
            let InnerStride::Near { by, of } = access.inner else { continue };
            let e = Elem::in_memory(access.dtype);
            let group = groups.entry(of).or_insert(Group { of, e, middle: 0, last: 0 });
            group.last = group.last.max(by as u32);
            group.middle = group.last / 2;
        }
        let groups: Vec<Group> = groups.into_values().collect();
        let fits = |g: &Group| g.last > 0 && g.last - g.middle <= lanes;
        (!groups.is_empty() && groups.iter().all(fits)).then_some(Near { groups })
    }

    /// Points of a row behind those of a step that must be there.
    pub fn ahead(&self, lanes: u32) -> u32 {
        let behind = |g: &Group| g.last - g.middle;
        lanes - self.groups.iter().map(behind).min().unwrap_or(0)
    }

    /// What the first step, at point `i`, gets from the one before it.
    pub fn begin<'c>(&self, build: &Build<'c, '_>, row: &Row<'c>, i: V<'c>) -> Vec<V<'c>> {
        let mut state = Vec::new();
        for g in &self.groups {
            if g.middle > 0 {
                // The last lanes of the vector before are the first ones of that where the first neighbour begins.
                let first = build.load(g.e, address(build, row, g, i, 0));
                let lane = |lane: i32| lane - (build.lanes - g.middle) as i32;
                let mask: Vec<i32> = (0..build.lanes as i32).map(|l| lane(l).max(-1)).collect();
                state.push(build.shuffle(g.e, first, first, &mask));
            }
            state.push(build.load(g.e, address(build, row, g, i, g.middle)));
        }
        state
    }

    /// The windows of a vector at point `i`, given the state, which becomes that of the next one.
    pub fn step<'c>(&self, build: &Build<'c, '_>, row: &Row<'c>, i: V<'c>, state: &mut [V<'c>]) -> Windows<'c> {
        let mut windows = Windows::new();
        let mut state = state.iter_mut();
        for g in &self.groups {
            let mut next = || state.next().expect("a state for each vector that goes on");
            let before = (g.middle > 0).then(&mut next);
            let here = next();
            let after = build.load(g.e, address(build, row, g, i, g.middle + build.lanes));
            windows.insert(g.of, Window { before: before.as_deref().copied(), here: *here, after, middle: g.middle });
            if let Some(before) = before {
                *before = *here;
            }
            *here = after;
        }
        windows
    }
}

/// Where the element is that lies `behind` elements behind that of the first neighbour at point `i`.
fn address<'c>(build: &Build<'c, '_>, row: &Row<'c>, group: &Group, i: V<'c>, behind: u32) -> V<'c> {
    let one = build.with_lanes(1);
    one.offset_bytes(one.offset(row.address(group.of), i, group.e), (behind * group.e.bytes()) as i32)
}
