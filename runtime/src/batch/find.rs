//! Finds rounds that can run together.

use std::cell::Cell;

use legate_jit_ir::Ufunc;
use legate_jit_ir::graph::Order;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{Group, Role, Rows, Step, Write};
use crate::layout::{Layout, mix};
use crate::trace::{Arg, Op, Rec, Src, Trace, reduce_word};

/// Records that a loop must have; fewer are not worth a look.
const WORTH: usize = 16;
/// Rounds that a group must have.
pub(crate) const MIN_ROUNDS: usize = 4;
/// Records of a round, at most.
const LONGEST: usize = 200;
/// Places at which a loop is tried to be found, and ways to cut it into rounds.
const TRIES: usize = 12;
const CUTS: usize = 4;
/// Rounds one after the other from which no group begins. (Of three that the program did itself its names may still hold
/// something.)
const FAILURES: usize = 4;
/// Records that are looked at in vain, for each that the trace has: a loop that cannot go together is to be found out soon.
const IN_VAIN: usize = 6;
/// Elements of a value from which on rounds are better off by themselves: what they compute would leave the caches before it is
/// put in its place.
const LARGE: usize = 1 << 17;
/// Nobody reads it.
const NEVER: usize = 0;

/// What is known of a trace's values.
pub(crate) struct Uses {
    /// Whether somebody outside the trace holds the record's result.
    pub(crate) live: Vec<bool>,
    /// One more than the last record that reads each record's result, and each input.
    pub(crate) records: Vec<usize>,
    pub(crate) inputs: Vec<usize>,
}

impl Uses {
    pub(crate) fn of(trace: &Trace, outputs: &[u32]) -> Uses {
        let mut uses = Uses {
            live: vec![false; trace.recs.len()],
            records: vec![NEVER; trace.recs.len()],
            inputs: vec![NEVER; trace.inputs.len()],
        };
        outputs.iter().for_each(|&o| uses.live[o as usize] = true);
        for (i, rec) in trace.recs.iter().enumerate() {
            for arg in rec.args() {
                match arg.src {
                    Src::Node(n) => uses.records[n as usize] = i + 1,
                    Src::Input(n) => uses.inputs[n as usize] = i + 1,
                    Src::Scalar(_) | Src::Const(_) => {}
                }
            }
        }
        uses
    }

    /// Whether a record's result is needed after so many records.
    pub(crate) fn needed_after(&self, record: usize, end: usize) -> bool {
        self.live[record] || self.records[record] > end
    }

    pub(crate) fn last(&self, src: Src) -> usize {
        match src {
            Src::Node(n) => self.records[n as usize],
            Src::Input(n) => self.inputs[n as usize],
            Src::Scalar(_) | Src::Const(_) => NEVER,
        }
    }
}

/// For each record what it does, whatever the places and the numbers.
pub(crate) fn words(trace: &Trace) -> Vec<u64> {
    let layouts: Vec<u64> = trace.layouts.iter().map(|l| placeless(l)).collect();
    let word = |rec: &Rec| {
        let mut word = mix(rec.op.word() | (rec.dtype as u64) << 40, rec.perm);
        if let Op::Reduce(n) = rec.op {
            word = mix(word, reduce_word(&trace.reduces[n as usize]));
        }
        for arg in rec.args() {
            let seen = match arg.src {
                Src::Node(_) | Src::Input(_) => layouts[arg.layout as usize],
                Src::Scalar(_) | Src::Const(_) => 1,
            };
            word = mix(word, seen ^ (arg.cast as u64) << 48 ^ (arg.part as u64) << 60);
        }
        mix(word, layouts[rec.shape as usize])
    };
    trace.recs.iter().map(word).collect()
}

/// A layout's hash without where it begins.
pub(crate) fn placeless(layout: &Layout) -> u64 {
    let mut h = mix(layout.lshape.len() as u64, layout.view.shape.len() as u64);
    for &n in layout.lshape.iter().chain(layout.view.shape.iter()) {
        h = mix(h, n as u64);
    }
    for m in &layout.view.axes {
        for &(d, s) in &m.terms {
            h = mix(h, mix(d as u64 + 1, s as u64));
        }
        h = mix(h, 0x5eed);
    }
    h
}

/// The groups of rounds in a trace, from the first on.
pub(crate) fn groups(trace: &Trace, uses: &Uses) -> Vec<Group> {
    let n = trace.recs.len();
    let mut found = Vec::new();
    if n < WORTH {
        return found;
    }
    let words = words(trace);
    let roots = roots(trace);
    let mut met: FxHashMap<u64, SmallVec<[usize; 4]>> = FxHashMap::default();
    let (mut i, mut tries) = (0, 0);
    let left = Cell::new(IN_VAIN * n);
    while i < n && tries < TRIES && left.get() > 0 {
        let before = met.entry(words[i]).or_default();
        let repeats = |&from: &usize| {
            let period = i - from;
            let same = (i..n).take_while(|&j| words[j] == words[j - period]).count();
            let enough = same >= (MIN_ROUNDS - 1) * period && same + period >= WORTH && period <= LONGEST;
            enough.then_some((from, period, i + same))
        };
        if let Some((start, period, end)) = before.iter().rev().find_map(repeats) {
            tries += 1;
            let region = Region { trace, uses, roots: &roots, start, period, end, left: &left, rows: None };
            let groups = region.groups();
            if !groups.is_empty() {
                found.extend(groups);
                met.clear();
                i = end;
                continue;
            }
        }
        if before.len() == 4 {
            before.remove(0);
        }
        before.push(i);
        i += 1;
    }
    found
}

/// The groups of a trace that ends with rounds from record `start` on, to which more can be added of which there are no records;
/// perhaps with whole rows of rounds.
pub(crate) fn before_more(
    trace: &Trace,
    uses: &Uses,
    start: usize,
    period: usize,
    rows: Option<&Rows>,
) -> Option<Vec<Group>> {
    let (end, words, roots) = (trace.recs.len(), words(trace), roots(trace));
    let repeats = (start + period..end).all(|i| words[i] == words[i - period]);
    if end < start + MIN_ROUNDS * period || period > LONGEST || !repeats {
        return None;
    }
    let left = Cell::new(period);
    let last = Region { trace, uses, roots: &roots, start, period, end, left: &left, rows }.group(start)?;
    let varies = |role: &Role| matches!(role, Role::Scalar { varies: true });
    let alone = last.kept.is_empty() && !last.carried.contains(&true) && !last.roles.iter().flatten().any(varies);
    if !alone || last.end() != end {
        return None;
    }
    let mut found = if start < WORTH { Vec::new() } else { groups(trace, uses) };
    found.retain(|group| group.end() <= start);
    found.push(last);
    Some(found)
}

/// For each write the value that it and the writes before it change.
fn roots(trace: &Trace) -> Vec<Option<Src>> {
    let mut roots: Vec<Option<Src>> = Vec::with_capacity(trace.recs.len());
    for rec in &trace.recs {
        let root = (rec.op == Op::Update).then(|| match rec.args[0].src {
            Src::Node(d) => roots[d as usize].unwrap_or(Src::Node(d)),
            other => other,
        });
        roots.push(root);
    }
    roots
}

/// Records that do the same again and again with this period.
struct Region<'a> {
    trace: &'a Trace,
    uses: &'a Uses,
    roots: &'a [Option<Src>],
    start: usize,
    period: usize,
    end: usize,
    /// Records that may still be looked at in vain.
    left: &'a Cell<usize>,
    /// Where the records are the first of several rows of rounds.
    rows: Option<&'a Rows<'a>>,
}

/// By how much a layout begins later than another one along each axis of the base.
pub(crate) type Shift = SmallVec<[i64; 4]>;

pub(crate) fn shift(from: &Layout, to: &Layout) -> Option<Shift> {
    if from.lshape != to.lshape || from.view.axes.len() != to.view.axes.len() {
        return None;
    }
    Some(from.view.axes.iter().zip(&to.view.axes).map(|(a, b)| b.start - a.start).collect())
}

/// An access to a base that the rounds write to, in the first of them.
struct Access<'a> {
    layout: &'a Layout,
    shift: Shift,
    /// By how much it lies elsewhere in the next row of rounds.
    by_row: Option<&'a Shift>,
}

impl Access<'_> {
    /// The first and the last place along an axis of the base.
    fn reach(&self, axis: usize) -> (i64, i64) {
        let map = &self.layout.view.axes[axis];
        let (mut low, mut high) = (map.start, map.start);
        for &(d, s) in &map.terms {
            let far = s * (self.layout.view.shape[d as usize] as i64 - 1);
            if far < 0 { low += far } else { high += far }
        }
        (low, high)
    }

    /// Whether no round's access touches what another round's other access does, with so many rounds in a row.
    fn is_apart(&self, other: &Access, rounds: usize) -> bool {
        if self.layout.lshape != other.layout.lshape {
            return false;
        }
        let far = |d: usize| {
            let ((low, high), (from, to)) = (self.reach(d), other.reach(d));
            (high - from).max(to - low)
        };
        let moves_alike = |d: usize| self.shift[d] == other.shift[d];
        let mut axes = 0..self.shift.len();
        let in_a_row = axes.clone().any(|d| moves_alike(d) && self.shift[d].abs() > far(d));
        let rows = match (self.by_row, other.by_row) {
            (None, None) => return in_a_row,
            (Some(one), Some(other)) => (one, other),
            (Some(_), None) | (None, Some(_)) => return false,
        };
        // (Rounds of two rows differ by any number of rounds.)
        let most = |d: usize| far(d) as i128 + (rounds as i128 - 1) * self.shift[d].unsigned_abs() as i128;
        let row_by_row = axes.any(|d| moves_alike(d) && rows.0[d] == rows.1[d] && rows.0[d].abs() as i128 > most(d));
        in_a_row && row_by_row
    }

    /// Whether the two touch nothing in common in one round.
    fn is_elsewhere(&self, other: &Access) -> bool {
        self.layout.lshape == other.layout.lshape
            && (0..self.shift.len()).any(|d| {
                let ((low, high), (from, to)) = (self.reach(d), other.reach(d));
                high < from || to < low
            })
    }
}

/// What the rounds of a group do.
struct Plan {
    roles: Vec<[Role; 3]>,
    writes: SmallVec<[Write; 2]>,
}

/// What an argument of a round other than the first one is.
#[derive(Clone, Copy, PartialEq)]
enum Link {
    Local(u32),
    /// What the round before left of a base: the record that wrote to it last.
    Left(u32),
    Outer(Src),
    Scalar,
    /// The record is one that goes on from the round before.
    Carried,
}

impl Region<'_> {
    fn groups(&self) -> Vec<Group> {
        let cuts = self.cuts().into_iter().take(CUTS);
        cuts.map(|c| self.groups_from(self.start + c)).find(|found| !found.is_empty()).unwrap_or_default()
    }

    /// Whether a record writes into what was there before the region.
    fn is_lasting(&self, record: usize) -> bool {
        match self.roots[record] {
            Some(Src::Node(r)) => (r as usize) < self.start,
            Some(Src::Input(_)) => true,
            _ => false,
        }
    }

    /// Where the period is best cut into rounds: where the fewest values, but for what was written, cross from one to the next.
    fn cuts(&self) -> Vec<usize> {
        let mut crossing = vec![0usize; self.period];
        for i in self.start..self.end {
            for arg in self.trace.recs[i].args() {
                let Src::Node(d) = arg.src else { continue };
                let d = d as usize;
                if d < self.start || self.is_lasting(d) {
                    continue;
                }
                (d + 1..=i).take(self.period).for_each(|b| crossing[(b - self.start) % self.period] += 1);
            }
        }
        let mut cuts: Vec<usize> = (0..self.period).collect();
        cuts.sort_by_key(|&c| (crossing[c], c));
        cuts
    }

    fn groups_from(&self, first: usize) -> Vec<Group> {
        let mut found = Vec::new();
        let mut start = first;
        let mut failures = 0;
        while start + MIN_ROUNDS * self.period <= self.end && failures < FAILURES && self.left.get() > 0 {
            match self.group(start) {
                Some(group) => {
                    start = group.end();
                    found.push(group);
                    failures = 0;
                }
                None => {
                    self.left.set(self.left.get().saturating_sub(self.period));
                    start += self.period;
                    failures += 1;
                }
            }
        }
        found
    }

    /// A round's argument, seen from that round.
    fn link(&self, arg: &Arg, start: usize) -> Link {
        match arg.src {
            Src::Node(n) => match n as usize {
                n if n >= start => Link::Local((n - start) as u32),
                n if n + self.period >= start && self.is_lasting(n) => Link::Left((n + self.period - start) as u32),
                _ => Link::Outer(arg.src),
            },
            Src::Input(_) => Link::Outer(arg.src),
            Src::Scalar(_) | Src::Const(_) => Link::Scalar,
        }
    }

    fn layout(&self, arg: &Arg) -> &Layout {
        &self.trace.layouts[arg.layout as usize]
    }

    fn args(&self, start: usize) -> impl Iterator<Item = (usize, usize, &Arg)> {
        let recs = &self.trace.recs[start..start + self.period];
        recs.iter().enumerate().flat_map(|(j, rec)| rec.args().iter().enumerate().map(move |(q, arg)| (j, q, arg)))
    }

    /// The rounds that go together from this record on.
    fn group(&self, start: usize) -> Option<Group> {
        let records = &self.trace.recs[start..start + self.period];
        let large = |rec: &Rec| rec.op != Op::Update && self.trace.layouts[rec.shape as usize].size > LARGE;
        let is_empty = |arg: &Arg| !matches!(arg.src, Src::Scalar(_) | Src::Const(_)) && self.layout(arg).size == 0;
        if records.iter().any(large) || self.args(start).any(|(_, _, arg)| is_empty(arg)) {
            return None;
        }
        let second = start + self.period;
        let links = self.links(second);
        let carried = self.carried(start, &links)?;
        let none_carried = !carried.contains(&true);
        let kept = self.kept(start, start, &carried)?;
        let links: Vec<Link> =
            self.args(start).zip(links).map(|((j, ..), link)| if carried[j] { Link::Carried } else { link }).collect();
        let shifts: Vec<Shift> = self
            .args(start)
            .zip(self.args(second))
            .zip(&links)
            .map(|(((_, _, a), (_, _, b)), link)| match link {
                Link::Local(_) | Link::Left(_) | Link::Outer(_) => shift(self.layout(a), self.layout(b)),
                Link::Scalar | Link::Carried => Some(Shift::new()),
            })
            .collect::<Option<_>>()?;
        let bases = self.bases(start, &links)?;
        let Plan { mut roles, writes } = self.plan(start, &links, &shifts, &bases)?;
        if writes.is_empty() && kept.is_empty() || self.passes_on_much(start, &kept, &roles) {
            return None;
        }
        let mut varies = vec![false; links.len()];
        let mut rounds = 1;
        while !self.must_end(start, start + (rounds - 1) * self.period, &carried)
            && start + (rounds + 1) * self.period <= self.end
            && self.goes_on(start, rounds, &links, &shifts, &mut varies)
            && (none_carried || self.carries(start, rounds, &carried))
            && self.kept(start, start + rounds * self.period, &carried).as_ref() == Some(&kept)
        {
            rounds += 1;
        }
        if rounds < MIN_ROUNDS {
            return None;
        }
        for ((j, q, _), varies) in self.args(start).zip(varies) {
            if let Role::Scalar { varies: known } = &mut roles[j][q] {
                *known = varies;
            }
        }
        Some(Group { start, period: self.period, rounds, rows: None, recorded: rounds, roles, writes, kept, carried })
    }

    /// Whether there may be an axis more.
    fn goes_together(&self, rec: &Rec) -> bool {
        match rec.op {
            Op::Reduce(n) => !matches!(self.trace.reduces[n as usize].order, Order::Blocks { .. }),
            Op::Matmul => false,
            Op::Map(_) | Op::Copy | Op::Update | Op::Scan(..) | Op::Index(_) => {
                rec.perm.leading_zeros() >= if self.rows.is_some() { 8 } else { 4 }
            }
        }
    }

    /// Whether the values that rounds give to their carried records are more than what the rounds read anew: sums of one array
    /// moved about (a filter, tap by tap) are one pass over it if they are not taken apart.
    fn passes_on_much(&self, start: usize, kept: &[u32], roles: &[[Role; 3]]) -> bool {
        let size = |j: &u32| self.trace.versions[start + *j as usize].full.size;
        let passed: usize = kept.iter().filter(|j| !self.uses.live[start + **j as usize]).map(size).sum();
        let mut read: SmallVec<[(Src, usize); 4]> = SmallVec::new();
        for (j, q, arg) in self.args(start) {
            let Role::Store { src, step } = roles[j][q] else { continue };
            let new = self.layout(arg).size.min(step.round.unsigned_abs() as usize);
            match read.iter_mut().find(|(known, _)| *known == src) {
                Some((_, most)) => *most = new.max(*most),
                None => read.push((src, new)),
            }
        }
        passed > 8 * read.iter().map(|(_, new)| new).sum::<usize>().max(1)
    }

    /// Whether the same records of round number `round` go on from the round before.
    fn carries(&self, first: usize, round: usize, carried: &[bool]) -> bool {
        let before = first + (round - 1) * self.period;
        self.carried(before, &self.links(before + self.period)).as_deref() == Some(carried)
    }

    /// The arguments of a round that is not the first one.
    fn links(&self, start: usize) -> Vec<Link> {
        self.args(start).map(|(_, _, arg)| self.link(arg, start)).collect()
    }

    /// The records of a round that go on from what the round before computed (sums over all rounds, say), and so run one after
    /// the other; none of the others needs them.
    fn carried(&self, start: usize, links: &[Link]) -> Option<Vec<bool>> {
        let records = &self.trace.recs[start..start + self.period];
        let mut carried: Vec<bool> = records.iter().map(|rec| !self.goes_together(rec)).collect();
        let mut more = true;
        while more {
            more = false;
            for ((j, ..), link) in self.args(start).zip(links) {
                let goes_on = match *link {
                    Link::Local(d) | Link::Left(d) => carried[d as usize],
                    Link::Outer(Src::Node(n)) => n as usize >= start,
                    Link::Outer(_) | Link::Scalar | Link::Carried => false,
                };
                more |= goes_on && !carried[j];
                carried[j] |= goes_on;
            }
        }
        if 2 * carried.iter().filter(|&&c| c).count() > self.period {
            return None;
        }
        // What the others write is complete only when all of them have run.
        let lasting = |j: usize| self.is_lasting(start + j);
        let mixed = self.args(start).zip(links).any(|((j, ..), link)| match *link {
            Link::Local(d) | Link::Left(d) => carried[j] && lasting(d as usize) && !carried[d as usize],
            Link::Outer(_) | Link::Scalar | Link::Carried => false,
        });
        let shared = |j: usize| {
            let root = self.roots[start + j];
            carried[j] && lasting(j) && (0..self.period).any(|k| !carried[k] && self.roots[start + k] == root)
        };
        if mixed || (0..self.period).any(shared) {
            return None;
        }
        Some(carried)
    }

    /// The records of a round whose results are used elsewhere, too; `None` where that cannot be.
    fn kept(&self, first: usize, start: usize, carried: &[bool]) -> Option<Vec<u32>> {
        let end = start + self.period;
        let mut kept: Vec<u32> = Vec::new();
        for j in (0..self.period).filter(|&j| !carried[j]) {
            let needed = self.uses.needed_after(start + j, end);
            if !self.is_lasting(start + j) {
                if needed {
                    kept.push(j as u32);
                }
            } else if needed && !self.is_last_write(first, j) {
                return None;
            }
        }
        for (j, _, arg) in self.args(start) {
            if let Link::Local(d) = self.link(arg, start)
                && carried[j]
                && !carried[d as usize]
                && !kept.contains(&d)
            {
                kept.push(d);
            }
        }
        kept.sort_unstable();
        Some(kept)
    }

    /// Whether no write of a round's later records changes the same base.
    fn is_last_write(&self, first: usize, record: usize) -> bool {
        let root = self.roots[first + record];
        (record + 1..self.period).all(|j| self.roots[first + j] != root)
    }

    /// Whether somebody keeps what this round has left, so that no round may go together with it after it.
    fn must_end(&self, first: usize, start: usize, carried: &[bool]) -> bool {
        (0..self.period).any(|j| {
            !carried[j]
                && self.is_lasting(start + j)
                && self.is_last_write(first, j)
                && self.uses.needed_after(start + j, start + 2 * self.period)
        })
    }

    /// For each record that writes to what outlives the round, that base as it is before the first round.
    fn bases(&self, start: usize, links: &[Link]) -> Option<Vec<Option<Src>>> {
        let mut bases: Vec<Option<Src>> = vec![None; self.period];
        for ((j, q, arg), link) in self.args(start).zip(links) {
            if q == 0 && self.is_lasting(start + j) && *link != Link::Carried {
                bases[j] = match *link {
                    Link::Local(d) => bases[d as usize],
                    Link::Left(_) => Some(arg.src),
                    Link::Outer(_) | Link::Scalar | Link::Carried => return None,
                };
            }
        }
        // What the first round sees of a base is what the others find left by the one before.
        for ((_, _, arg), link) in self.args(start).zip(links) {
            let fits = match *link {
                Link::Left(d) => {
                    self.is_last_write(start, d as usize) && bases[d as usize].is_some_and(|base| base == arg.src)
                }
                Link::Local(d) => arg.src == Src::Node(start as u32 + d),
                Link::Outer(src) => arg.src == src,
                Link::Scalar => matches!(arg.src, Src::Scalar(_) | Src::Const(_)),
                Link::Carried => true,
            };
            if !fits {
                return None;
            }
        }
        Some(bases)
    }

    /// Whether round number `round` does what the others do, at its place.
    fn goes_on(&self, first: usize, round: usize, links: &[Link], shifts: &[Shift], varies: &mut [bool]) -> bool {
        let start = first + round * self.period;
        let all = self.args(first).zip(self.args(start)).zip(links.iter().zip(shifts)).enumerate();
        let mut differ: SmallVec<[usize; 8]> = SmallVec::new();
        for (k, (((j, _, a), (_, _, b)), (link, by))) in all {
            if *link == Link::Carried {
                continue;
            }
            if self.link(b, start) != *link {
                return false;
            }
            if *link == Link::Scalar {
                if self.trace.number(a.src) != self.trace.number(b.src) {
                    // Whether a power is a square or a root is no matter of numbers alone.
                    if matches!(self.trace.recs[first + j].op, Op::Map(Ufunc::Power | Ufunc::FloatPower)) {
                        return false;
                    }
                    differ.push(k);
                }
                continue;
            }
            if a.layout == b.layout {
                if by.iter().any(|&s| s != 0) {
                    return false;
                }
                continue;
            }
            let Some(here) = shift(self.layout(a), self.layout(b)) else { return false };
            if here.iter().zip(by).any(|(h, s)| *h != s * round as i64) {
                return false;
            }
        }
        differ.iter().for_each(|&k| varies[k] = true);
        true
    }

    /// What the rounds do, if none reads what another one writes.
    fn plan(&self, start: usize, links: &[Link], shifts: &[Shift], bases: &[Option<Src>]) -> Option<Plan> {
        // The writes so far, each with the base and the record.
        let mut writes: Vec<(Src, u32, Access)> = Vec::new();
        let mut reads: Vec<(Src, Access)> = Vec::new();
        let mut roles = vec![const { [Role::None, Role::None, Role::None] }; self.period];
        for (k, ((j, q, arg), link)) in self.args(start).zip(links).enumerate() {
            let by_row = self.rows.map(|rows| &rows.shifts[k]);
            let access = || Access { layout: self.layout(arg), shift: shifts[k].clone(), by_row };
            let step = || self.step(arg, &shifts[k], by_row);
            if q == 0
                && let Some(base) = bases[j]
            {
                writes.push((base, j as u32, access()));
                roles[j][q] = Role::Store { src: base, step: step() };
                continue;
            }
            let still = shifts[k].iter().chain(by_row.into_iter().flatten()).all(|&s| s == 0);
            roles[j][q] = match *link {
                Link::Local(d) => match bases[d as usize] {
                    None if still => Role::Local(d),
                    None => return None,
                    Some(base) => {
                        let access = access();
                        let role = self.written(&writes, base, &access)?;
                        reads.push((base, access));
                        role.unwrap_or_else(|| Role::Store { src: base, step: step() })
                    }
                },
                Link::Left(d) => {
                    let base = bases[d as usize]?;
                    reads.push((base, access()));
                    Role::Store { src: base, step: step() }
                }
                Link::Outer(src) => Role::Store { src, step: step() },
                Link::Scalar => Role::Scalar { varies: false },
                Link::Carried => continue,
            };
        }
        let rounds = self.rows.map_or(1, |rows| rows.rounds);
        let apart = |(base, _, write): &(Src, u32, Access)| {
            writes.iter().all(|(other, _, w)| other != base || write.is_apart(w, rounds))
                && reads.iter().all(|(other, read)| other != base || write.is_apart(read, rounds))
        };
        if !writes.iter().all(apart) {
            return None;
        }
        let writes = writes
            .iter()
            .map(|&(base, record, ref access)| Write {
                record,
                base,
                step: step_of(access.layout, &access.shift, access.by_row),
                last: self.is_last_write(start, record as usize),
            })
            .collect();
        Some(Plan { roles, writes })
    }

    /// What a round reads of a base after it has written to it: `Some(None)` where it has not written there.
    fn written(&self, writes: &[(Src, u32, Access)], base: Src, access: &Access) -> Option<Option<Role>> {
        for (other, record, write) in writes.iter().rev() {
            if *other != base {
                continue;
            }
            let moves_alike = write.shift == access.shift && write.by_row == access.by_row;
            if write.layout.hash == access.layout.hash && moves_alike {
                return Some(Some(Role::Written(*record)));
            }
            if !write.is_elsewhere(access) {
                return None;
            }
        }
        Some(None)
    }

    fn step(&self, arg: &Arg, by: &Shift, by_row: Option<&Shift>) -> Step {
        step_of(self.layout(arg), by, by_row)
    }
}

/// Shifts in elements of the base.
fn step_of(layout: &Layout, by: &Shift, by_row: Option<&Shift>) -> Step {
    debug_assert_eq!(layout.view.axes.len(), by.len());
    let strides = legate_jit_ir::shape::c_strides(&layout.lshape);
    let elements = |by: &Shift| strides.iter().zip(by).map(|(stride, s)| stride * s).sum();
    Step { round: elements(by), row: by_row.map_or(0, elements) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Array;
    use crate::array::index::Index;
    use legate_jit_ir::DType;

    /// Whether an element that moves by so much a round and a row is another one in every round.
    fn is_apart(shape: &[usize], round: &[i64], row: &[i64], rounds: usize) -> bool {
        let whole = Array::zeros(shape, DType::F64).unwrap();
        let first: Vec<Index> = shape.iter().map(|&n| Index::Int(n as i64 / 2)).collect();
        let layout = whole.index(&first).unwrap().layout.clone();
        let (shift, row) = (Shift::from_slice(round), Shift::from_slice(row));
        let access = || Access { layout: &layout, shift: shift.clone(), by_row: Some(&row) };
        access().is_apart(&access(), rounds)
    }

    #[test]
    fn rows_are_apart_whatever_their_rounds() {
        assert!(is_apart(&[9, 9], &[0, 1], &[1, 0], 9));
        assert!(is_apart(&[9, 9], &[-1, 0], &[0, -2], 9));
        assert!(!is_apart(&[9, 9], &[0, 1], &[0, 1], 9));
        assert!(!is_apart(&[9, 9], &[0, 1], &[0, 0], 9));
        assert!(!is_apart(&[9, 9], &[0, 0], &[1, 0], 9));
        // In one axis a row begins where the one before has ended.
        assert!(is_apart(&[99], &[1], &[10], 10));
        assert!(!is_apart(&[99], &[1], &[10], 11));
        assert!(is_apart(&[99], &[2], &[-19], 10));
        // (The next round is where the last row's was.)
        assert!(!is_apart(&[9, 9], &[1, 1], &[1, 1], 3));
    }
}
