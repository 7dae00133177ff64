//! Runs a trace in parts: rounds that go together, and what lies between them.
//!
//! A boundary file: it writes to stores that nobody else holds.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use legate_jit_ir::{DType, Shape};
use rustc_hash::FxHashMap;

use super::find::{self, Uses, groups};
use super::part::{Rounds, Values, plain};
use super::{Group, Role, Rows, Write, missing};
use crate::base::State;
use crate::layout::{Layout, Strides};
use crate::plan_cache::Stores;
use crate::session::Session;
use crate::shared::Shared;
use crate::strided::packed;
use crate::trace::{Op, Src, Trace};
use crate::{Error, Result, Store, Tier};

/// Elements of the largest value of the rounds that run together where that does not go block by block: what they compute stays near.
const TOGETHER: usize = 1 << 17;
/// Elements of a round's values that are worth being shared by the threads where they are put.
const SHARED: usize = 1 << 16;

impl Session {
    fn may_batch(&self) -> bool {
        // (The interpreter is a witness of what was recorded.)
        let off = !self.config.batch || self.config.tier == Tier::Interp;
        !off && !self.trace.exported && crate::ranks::active().is_none()
    }

    /// Runs the trace as if the rounds of a loop with which it ends, from record `first` on, were followed by so many more; false
    /// where those have to be recorded; or as if the rounds were the first ones of `rows`, all of which run. What is alive of the last
    /// round is then what the last of all has left.
    pub(crate) fn run_with_more(
        &mut self,
        first: usize,
        period: usize,
        more: usize,
        rows: Option<&Rows>,
    ) -> Result<bool> {
        if !self.may_batch() || self.config.plan_only {
            return Ok(false);
        }
        let live = self.trace.versions.iter().enumerate().filter(|(_, v)| Shared::count(v) > 1);
        let outputs: Vec<u32> = live.map(|(i, _)| i as u32).collect();
        let uses = Uses::of(&self.trace, &outputs);
        let Some(mut groups) = find::before_more(&self.trace, &uses, first, period, rows) else { return Ok(false) };
        let last = groups.last_mut().ok_or_else(missing)?;
        last.rounds += more;
        last.rows = rows.map(|rows| rows.count);
        if rows.is_some() && last.rounds * largest(&self.trace, last) > TOGETHER {
            // Rows as long as that are cut themselves.
            return Ok(false);
        }
        self.counters.flushes += 1;
        self.run_apart(&uses, &groups)?;
        Ok(true)
    }

    fn run_apart(&mut self, uses: &Uses, groups: &[Group]) -> Result<()> {
        self.ahead.forget();
        std::mem::swap(&mut self.trace, &mut self.part);
        self.in_part = true;
        let result = Parts { session: self, uses }.all(groups);
        self.in_part = false;
        self.trace.clear_part();
        std::mem::swap(&mut self.trace, &mut self.part);
        result
    }

    /// Runs the trace in parts, if it has rounds that go together; the outputs' stores.
    pub(crate) fn run_in_parts(&mut self, outputs: &[u32]) -> Result<Option<Stores>> {
        if !self.may_batch() {
            return Ok(None);
        }
        let uses = Uses::of(&self.trace, outputs);
        let groups = groups(&self.trace, &uses);
        if groups.is_empty() {
            return Ok(None);
        }
        self.run_apart(&uses, &groups)?;
        let store = |&i: &u32| match self.trace.versions[i as usize].state.get(&self.token) {
            State::Store(store) => Ok(store.clone()),
            State::Pending(_) | State::Failed(_) => Err(missing()),
        };
        outputs.iter().map(store).collect::<Result<Stores>>().map(Some)
    }
}

/// The run of a trace in parts. The session's trace is the part that runs, its `part` the whole.
struct Parts<'a> {
    session: &'a mut Session,
    uses: &'a Uses,
}

impl Parts<'_> {
    fn all(&mut self, groups: &[Group]) -> Result<()> {
        let mut at = 0;
        for group in groups {
            self.apart(&(at..group.start).collect::<Vec<_>>(), group.start)?;
            self.group(group)?;
            at = group.end();
        }
        let end = self.main().recs.len();
        self.apart(&(at..end).collect::<Vec<_>>(), end)
    }

    fn main(&self) -> &Trace {
        &self.session.part
    }

    /// Records that go together with no others, the last of them before record `end`.
    fn apart(&mut self, records: &[usize], end: usize) -> Result<()> {
        let others;
        let records = match self.main().unset.is_empty() {
            true => records,
            false => {
                others = self.without_unset(records, end)?;
                &others
            }
        };
        let needed: Vec<usize> = (0..records.len()).filter(|&k| self.uses.needed_after(records[k], end)).collect();
        if needed.is_empty() {
            return Ok(());
        }
        let Session { trace: part, part: main, token, .. } = &mut *self.session;
        part.clear_part();
        // What is read for the last time is given away.
        let mut given: FxHashMap<Src, Arc<Store>> = FxHashMap::default();
        for src in records.iter().flat_map(|&i| main.recs[i].args()).map(|arg| arg.src) {
            let own = |n: u32| records.binary_search(&(n as usize)).is_ok();
            if matches!(src, Src::Node(n) if own(n)) || given.contains_key(&src) {
                continue;
            }
            let last = self.uses.last(src) <= end;
            let store = match src {
                Src::Input(n) if last => std::mem::replace(&mut main.inputs[n as usize], Store::alloc(0)?),
                Src::Input(n) => main.inputs[n as usize].clone(),
                Src::Node(n) => {
                    let version = &main.versions[n as usize];
                    let State::Store(store) = version.state.get(token).clone() else { return Err(missing()) };
                    if last && !self.uses.live[n as usize] {
                        version.state.replace(token, State::Pending(n));
                    }
                    store
                }
                Src::Scalar(_) | Src::Const(_) => continue,
            };
            given.insert(src, store);
        }
        let types = |src: Src| match src {
            Src::Input(n) => {
                let ty = &main.input_types[n as usize];
                (main.layouts[ty.layout as usize].clone(), ty.dtype)
            }
            Src::Node(n) => (main.versions[n as usize].full.clone(), main.versions[n as usize].dtype),
            Src::Scalar(_) | Src::Const(_) => unreachable!("numbers are no inputs"),
        };
        let store = |src: Src| given.remove(&src).ok_or_else(missing);
        plain(main, records, part, store, types)?;
        let held: Vec<_> = needed.iter().map(|&k| part.versions[k].clone()).collect();
        self.session.run_trace()?;
        let Session { trace: part, part: main, token, .. } = &mut *self.session;
        for (&k, version) in needed.iter().zip(held) {
            let State::Store(store) = version.state.get(token).clone() else {
                return Err(missing());
            };
            main.versions[records[k]].state.replace(token, State::Store(store));
        }
        part.clear_part();
        Ok(())
    }

    /// The records but for arrays whose elements nobody has given and that only later ones write to: those get memory as it is.
    fn without_unset(&mut self, records: &[usize], end: usize) -> Result<Vec<usize>> {
        let Session { part: main, token, .. } = &mut *self.session;
        let from = |j: usize, q: usize| main.recs[j].args().get(q).map(|arg| arg.src);
        let is_unset = |i: usize| {
            let (rec, src) = (&main.recs[i], Some(Src::Node(i as u32)));
            // To write over a part of it is not to read it.
            let is_base = |&j: &usize| main.recs[j].op == Op::Update && from(j, 0) == src;
            let reads = |&j: &usize| (is_base(&j) as usize..3).any(|q| from(j, q) == src);
            let is_needed = self.uses.needed_after(i, end) || records.iter().any(is_base);
            // (Bools are 0 or 1.)
            main.unset.contains(&(i as u32)) && rec.dtype != DType::Bool && is_needed && !records.iter().any(reads)
        };
        let (unset, others): (Vec<usize>, Vec<usize>) = records.iter().partition(|&&i| is_unset(i));
        for i in unset {
            let version = &main.versions[i];
            let store = Store::alloc(version.full.size * version.dtype.size())?;
            version.state.replace(token, State::Store(store));
        }
        Ok(others)
    }

    fn group(&mut self, group: &Group) -> Result<()> {
        let mut bases: Vec<(Src, Arc<Store>)> = Vec::new();
        let mut taken: Vec<(Src, Arc<Store>)> = Vec::new();
        for write in group.writes.iter().filter(|w| w.last) {
            let (store, ours) = self.base(write.base, group)?;
            if ours {
                taken.push((write.base, store.clone()));
            }
            bases.push((write.base, store));
        }
        let (pieces, rounds) = group.pieces();
        let most = (TOGETHER / (rounds * largest(self.main(), group))).max(1);
        let main = self.main();
        let mut tries = !group.carried.contains(&true) && group.writes.iter().all(|w| is_direct(main, group, w));
        let mut from = 0;
        while from < pieces {
            let left = pieces - from;
            // The others at once, if the first of them have shown that there is code for them.
            let may = from > 0 && left > most && self.session.planned_last && std::mem::take(&mut tries);
            if may && self.rounds(group, from, left, &taken, &bases, true)? {
                break;
            }
            let count = left.div_ceil(left.div_ceil(most));
            self.rounds(group, from, count, &taken, &bases, false)?;
            self.carried(group, from, from + count)?;
            from += count;
        }
        let Session { part: main, token, counters, .. } = &mut *self.session;
        counters.rounds_together += (pieces * rounds) as u64;
        for write in group.writes.iter().filter(|w| w.last) {
            let last = group.end() - group.period + write.record as usize;
            let at = bases.iter().position(|(src, _)| *src == write.base);
            let Some(at) = at else { continue };
            main.versions[last].state.replace(token, State::Store(bases.swap_remove(at).1));
        }
        Ok(())
    }

    /// What the rounds `from..to` pass on to the next ones.
    fn carried(&mut self, group: &Group, from: usize, to: usize) -> Result<()> {
        let first = |round: usize| group.start + round * group.period;
        let carried = (0..group.period).filter(|&j| group.carried[j]);
        let records: Vec<usize> = (from..to).flat_map(|round| carried.clone().map(move |j| first(round) + j)).collect();
        self.apart(&records, first(to))
    }

    /// The store that a group writes to, and whether it is the one that the group's rounds read as well. Nobody else reads it
    /// from now on.
    fn base(&mut self, src: Src, group: &Group) -> Result<(Arc<Store>, bool)> {
        let Session { part: main, token, .. } = &mut *self.session;
        // The first of the carried records may begin with what the rounds write to, and run behind them.
        let first = &main.recs[group.start..group.start + group.period];
        let begins = first.iter().zip(&group.carried).any(|(rec, &c)| c && rec.args().iter().any(|a| a.src == src));
        let last = self.uses.last(src) <= group.start + group.period && !begins;
        let store = match src {
            Src::Input(n) => main.inputs[n as usize].clone(),
            Src::Node(n) => match main.versions[n as usize].state.get(token) {
                State::Store(store) => store.clone(),
                State::Pending(_) | State::Failed(_) => return Err(missing()),
            },
            Src::Scalar(_) | Src::Const(_) => return Err(missing()),
        };
        store.keep_promise()?;
        store.looked_at();
        let held = match src {
            Src::Node(n) => self.uses.live[n as usize],
            _ => false,
        };
        // (One reference is the trace's, one is here.)
        if last && !held && Arc::strong_count(&store) == 2 && !store.is_foreign() {
            fence(Ordering::Acquire);
            match src {
                Src::Input(n) => main.inputs[n as usize] = Store::alloc(0)?,
                Src::Node(n) => drop(main.versions[n as usize].state.replace(token, State::Pending(n))),
                Src::Scalar(_) | Src::Const(_) => {}
            }
            return Ok((store, true));
        }
        Ok((store.duplicate()?, false))
    }

    /// Runs the rounds (or rows) `from..from + count`; with `by_blocks` only if that goes block by block. Whether it did.
    fn rounds(
        &mut self,
        group: &Group,
        from: usize,
        count: usize,
        taken: &[(Src, Arc<Store>)],
        bases: &[(Src, Arc<Store>)],
        by_blocks: bool,
    ) -> Result<bool> {
        let Session { trace: part, part: main, token, .. } = &mut *self.session;
        part.clear_part();
        let values = Values { trace: main, token, taken };
        let results = Rounds::make(&values, group, from, count, part)?;
        if by_blocks && !self.session.goes_by_blocks()? {
            self.session.trace.clear_part();
            return Ok(false);
        }
        let Session { part: main, token, .. } = &mut *self.session;
        let base = |w: &Write| bases.iter().find(|(src, _)| *src == w.base).map(|(_, base)| base);
        let direct = group.writes.iter().zip(&results).filter(|(w, _)| is_direct(main, group, w));
        self.session.places = direct
            .filter_map(|(w, version)| {
                let &State::Pending(node) = version.state.get(token) else { return None };
                let (layout, item) = target(main, group, w);
                let first = (layout.offset + group.between_pieces(w.step) * from as i64) as usize;
                let elements = count * group.pieces().1 * layout.size;
                Some((node, Store::window(base(w)?, first * item, elements * item)))
            })
            .collect();
        let done = self.session.run_trace();
        self.session.places.clear();
        done?;
        let Session { trace: part, part: main, token, .. } = &mut *self.session;
        part.clear_part();
        let mut results = results.into_iter();
        for (k, (write, version)) in group.writes.iter().zip(results.by_ref()).enumerate() {
            let State::Store(value) = version.state.get(token).clone() else {
                return Err(missing());
            };
            let (layout, item) = target(main, group, write);
            let again = |later: &Write| later.base == write.base && target(main, group, later).0.hash == layout.hash;
            if group.writes[k + 1..].iter().any(again) {
                continue;
            }
            if let Some(base) = base(write) {
                let first = layout.offset + group.between_pieces(write.step) * from as i64;
                put(&value, base, layout, &group.axes(count, write.step), first, item)?;
            }
        }
        for (&record, version) in group.kept.iter().zip(results) {
            let State::Store(all) = version.state.get(token).clone() else {
                return Err(missing());
            };
            // (What is a window itself may be written to by others.)
            let all = if all.is_foreign() { all.duplicate()? } else { all };
            all.keep_promise()?;
            for round in 0..count {
                let i = group.start + (from + round) * group.period + record as usize;
                let main = &main.versions[i];
                let bytes = main.full.size * main.dtype.size();
                // One value for all rounds is shared by them.
                let one = if all.bytes() == bytes { all.clone() } else { Store::window(&all, round * bytes, bytes) };
                main.state.replace(token, State::Store(one));
            }
        }
        Ok(true)
    }
}

/// Elements of the largest value of a round that will be in memory.
fn largest(main: &Trace, group: &Group) -> usize {
    let records = &main.recs[group.start..group.start + group.period];
    let lasting = |j: usize| group.writes.iter().any(|w| w.record as usize == j);
    // What only reductions read, perhaps by way of elementwise operations, is reduced as it is computed.
    let mut passing: Vec<bool> =
        records.iter().map(|rec| matches!(rec.op, Op::Map(_) | Op::Copy | Op::Index(_))).collect();
    group.kept.iter().for_each(|&j| passing[j as usize] = false);
    for j in (0..records.len()).rev() {
        let streams = matches!(records[j].op, Op::Reduce(_)) && !group.carried[j] || passing[j];
        for role in group.roles[j].iter().filter(|_| !streams) {
            if let Role::Local(d) | Role::Written(d) = *role {
                passing[d as usize] = false;
            }
        }
    }
    let size = |(j, rec): (usize, &crate::trace::Rec)| match lasting(j) {
        true => main.layouts[rec.args[0].layout as usize].size,
        false if passing[j] => 0,
        // (A reduction's shape is what it reads.)
        false if matches!(rec.op, Op::Reduce(_)) => main.versions[group.start + j].full.size,
        false => main.layouts[rec.shape as usize].size,
    };
    records.iter().enumerate().map(size).max().unwrap_or(1).max(1)
}

/// Where the first round writes, and the bytes of an element.
fn target<'a>(main: &'a Trace, group: &Group, write: &Write) -> (&'a Layout, usize) {
    let rec = &main.recs[group.start + write.record as usize];
    (&main.layouts[rec.args[0].layout as usize], rec.dtype.size())
}

/// Whether the rounds' values can be computed where they are written: they lie there one after the other, and the rounds
/// touch the base in no other way.
fn is_direct(main: &Trace, group: &Group, write: &Write) -> bool {
    let (layout, _) = target(main, group, write);
    let touches = |role: &&Role| matches!(role, Role::Store { src, .. } if *src == write.base);
    let mut size = layout.size as i64;
    let follow = group.axes(1, write.step).iter().rev().all(|&(n, by)| {
        let follows = by == size;
        size *= n as i64;
        follows
    });
    layout.c_contiguous && follow && group.roles.iter().flatten().filter(touches).count() == 1
}

/// Puts the rounds' values where they write them: `axes` are those of the rounds, each with how far apart its places lie, the first
/// place begins at element `first`.
fn put(value: &Store, base: &Store, layout: &Layout, axes: &[(usize, i64)], first: i64, item: usize) -> Result<()> {
    let bytes = item as i64;
    let shape: Shape = axes.iter().map(|&(n, _)| n).chain(layout.shape().iter().copied()).collect();
    let by = packed(&shape, item);
    let to_by: Strides =
        axes.iter().map(|&(_, step)| step).chain(layout.strides.iter().copied()).map(|s| s * bytes).collect();
    let to = base.as_mut_ptr().wrapping_offset((first * bytes) as isize);
    let count = shape[0];
    if to.cast_const() == value.as_ptr() {
        return Ok(());
    }
    let (to, read) = (to as usize, value.as_ptr() as usize);
    let copy = |first: usize, rounds: usize| {
        let mut shape = shape.clone();
        shape[0] = rounds;
        let (to, read) = (to as *mut u8, read as *const u8);
        let to = to.wrapping_offset(first as isize * to_by[0] as isize);
        let read = read.wrapping_offset(first as isize * by[0] as isize);
        // SAFETY: the value has one element for each place; the places lie in the base, which nobody else holds, and differ from
        // round to round.
        unsafe { crate::strided::copy(&shape, read, &by, to, &to_by, item) };
    };
    if count == 1 || shape.iter().product::<usize>() < SHARED {
        copy(0, count);
        return Ok(());
    }
    let threads = crate::pool::threads().min(count);
    let cut = |k: usize| k * count / threads;
    crate::pool::run(threads, &|k, _| copy(cut(k), cut(k + 1) - cut(k))).map_err(Error::Runtime)
}
