//! How one launch is divided among ranks: which rows each does, which bytes it must be able to read for that, and who owns
//! what it writes. Pure, and the same on every rank; all of it follows from the launch's views (`View::region`).

use std::ops::Range;

use legate_jit_ir::graph::Opaque;
use legate_jit_ir::plan::{BufferId, Launch, Operand, Plan, Target};
use legate_jit_ir::shape::{c_strides, size};
use smallvec::SmallVec;

use super::tiling::{Held, Tiling};
use crate::exec::Division;

/// Rank r does rows `rows[r]` of the domain's first axis (a domain without axes has one row).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub rows: Vec<Range<usize>>,
    /// Rows that rank r also computes because a chunk that it reduces ends there; it must be able to read for them too.
    pub reach: Vec<Range<usize>>,
    /// For a launch divided in chunks: those of rank r.
    pub chunks: Vec<Range<usize>>,
    /// Owners of the bytes of buffers that this launch is the first to write, or writes as a whole.
    pub tilings: Vec<(BufferId, Tiling)>,
    /// Buffers of which some bytes are written that the writer does not own: their memory must first belong to rank 0.
    pub bring_home: Vec<BufferId>,
}

impl Split {
    /// The rank that does everything, if one does.
    pub fn alone(&self, count: usize) -> Option<usize> {
        self.rows.iter().position(|r| *r == (0..count))
    }
}

/// Rows that a library routine may treat as one group.
const GROUP: usize = 64;

/// One access of one piece.
struct Touch<'a> {
    operand: &'a Operand,
    write: bool,
    lo: &'a [usize],
    hi: &'a [usize],
}

/// What a decision needs to know besides the launch.
pub struct State<'a> {
    pub plan: &'a Plan,
    pub ranks: usize,
    /// Launches that touch fewer bytes, and have no other reason to be elsewhere, run on rank 0.
    pub partition_bytes: usize,
    /// How the memory of each buffer is held; `None` before anything has been written to it.
    pub held: &'a [Option<&'a Held>],
}

/// The first row of each rank (and the end), and for each operand the bytes that each rank must be able to read.
type Matvec = (Vec<usize>, Vec<Vec<Range<usize>>>);

impl State<'_> {
    /// Divides a launch. `division` says what its reductions allow.
    pub fn split(&self, launch: &Launch, division: &Division) -> Split {
        let touches = self.touches(launch);
        let count = launch.domain.first().copied().unwrap_or(1);
        let empty = size(&launch.domain) == 0;
        let whole = empty || matches!(division, Division::Whole);
        let candidates = if empty { Vec::new() } else { self.candidates(launch, &touches, count) };
        for cuts in candidates {
            let alone = cuts.windows(2).filter(|c| c[0] < c[1]).count() <= 1;
            if (!whole || alone)
                && let Some(tilings) = self.owners(&touches, &cuts)
            {
                return self.finish(launch, division, cuts, tilings, Vec::new());
            }
        }
        // Rank 0 does everything; what it writes into must be its own.
        let root: Vec<usize> = (0..=self.ranks).map(|r| if r == 0 { 0 } else { count }).collect();
        let written = self.written(&touches);
        let bring_home = written.iter().filter(|(_, total)| !total).map(|&(b, _)| b);
        let bring_home: Vec<_> = bring_home.filter(|&b| self.held_of(b).is_some()).collect();
        let tilings = written.iter().map(|&(b, _)| (b, Tiling::root(self.bytes(b), self.ranks))).collect();
        self.finish(launch, division, root, tilings, bring_home)
    }

    /// For each rank, the bytes of a buffer that it must be able to read, under this split.
    pub fn needs(&self, launch: &Launch, split: &Split, buffer: BufferId) -> Vec<Range<usize>> {
        let touches = self.touches(launch);
        let reads = touches.iter().filter(|t| !t.write && t.operand.buffer == buffer);
        let reads: Vec<_> = reads.collect();
        split.reach.iter().map(|rows| reads.iter().map(|t| self.hull(t, rows)).fold(0..0, join)).collect()
    }

    /// The buffers that the launch reads.
    pub fn reads(&self, launch: &Launch) -> Vec<BufferId> {
        let touches = self.touches(launch);
        let mut reads: Vec<_> = touches.iter().filter(|t| !t.write).map(|t| t.operand.buffer).collect();
        reads.sort_unstable();
        reads.dedup();
        reads
    }

    /// The rows of a matrix-vector product that each rank does, with what it must be able to read of the matrix and of the
    /// vector; `None` where one rank must do it all. Library routines work on groups of rows, and a row's bits may depend on
    /// its place in the group, so blocks begin at multiples of [`GROUP`] and are never shorter.
    pub fn matvec(&self, op: &Opaque, args: &[Operand]) -> Option<Matvec> {
        let (Opaque::Matmul(_), [matrix, vector]) = (op, args) else { return None };
        let (&[m, k], &[_, 1]) = (&matrix.view.shape[..], &vector.view.shape[..]) else { return None };
        let ty = &self.plan.buffer(matrix.buffer).ty;
        let by_rows = matches!(&matrix.view.axes[..], [a, b] if a.terms[..] == [(0, 1)] && b.terms[..] == [(1, 1)]);
        let large = m * k * ty.dtype.size() >= self.partition_bytes && m >= 2 * GROUP && k > 1;
        if !by_rows || !large || !(ty.dtype.is_float() || ty.dtype.is_complex()) {
            return None;
        }
        let even = || (0..=self.ranks).map(|r| m * r / self.ranks).collect();
        let mut cuts = self.cuts_along(matrix, m, false).unwrap_or_else(even);
        for cut in &mut cuts[1..self.ranks] {
            let near = (*cut + GROUP / 2) / GROUP * GROUP;
            *cut = if near + GROUP > m { m } else { near };
        }
        let whole = |o: &Operand, rows: Range<usize>| {
            let hi: SmallVec<[usize; 4]> = o.view.shape.iter().copied().collect();
            let touch = Touch { operand: o, write: false, lo: &[0, 0], hi: &hi };
            self.hull(&touch, &rows)
        };
        let blocks = || cuts.windows(2).map(|c| c[0]..c[1]);
        let of_matrix = blocks().map(|rows| whole(matrix, rows)).collect();
        let of_vector = blocks().map(|rows| if rows.is_empty() { 0..0 } else { whole(vector, 0..k) }).collect();
        Some((cuts, vec![of_matrix, of_vector]))
    }

    fn bytes(&self, buffer: BufferId) -> usize {
        self.plan.buffer(buffer).ty.bytes()
    }

    fn held_of(&self, buffer: BufferId) -> Option<&Held> {
        self.held[buffer.0 as usize]
    }

    fn touches<'a>(&'a self, launch: &'a Launch) -> Vec<Touch<'a>> {
        let mut touches = Vec::new();
        for piece in &launch.pieces {
            let kernel = &self.plan.kernels[piece.kernel as usize];
            for (&target, access) in piece.accesses.iter().zip(&kernel.accesses) {
                if let Target::Buffer(operand) = &launch.targets[target as usize] {
                    touches.push(Touch { operand, write: access.write, lo: &piece.lo, hi: &piece.hi });
                }
            }
        }
        touches
    }

    /// The smallest run of bytes that holds what an access touches in some rows of the domain.
    fn hull(&self, touch: &Touch, rows: &Range<usize>) -> Range<usize> {
        let (mut lo, mut hi): (SmallVec<[usize; 4]>, SmallVec<[usize; 4]>) = (touch.lo.into(), touch.hi.into());
        if let (Some(lo), Some(hi)) = (lo.first_mut(), hi.first_mut()) {
            (*lo, *hi) = ((*lo).max(rows.start), (*hi).min(rows.end));
        }
        if rows.is_empty() || lo.iter().zip(&hi).any(|(l, h)| l >= h) {
            return 0..0;
        }
        let ty = &self.plan.buffer(touch.operand.buffer).ty;
        let (from, to) = touch.operand.view.region(&lo, &hi);
        let strides = c_strides(&ty.shape);
        let first: usize = from.iter().zip(&strides).map(|(i, s)| i * *s as usize).sum();
        let last: usize = to.iter().zip(&strides).map(|(i, s)| (i - 1) * *s as usize).sum();
        first * ty.dtype.size()..(last + 1) * ty.dtype.size()
    }

    /// The buffers that pieces write, and whether they write every byte.
    fn written(&self, touches: &[Touch]) -> Vec<(BufferId, bool)> {
        let mut written: Vec<(BufferId, usize)> = Vec::new();
        for t in touches.iter().filter(|t| t.write) {
            let points: usize = t.lo.iter().zip(t.hi).map(|(l, h)| h.saturating_sub(*l)).product();
            match written.iter_mut().find(|w| w.0 == t.operand.buffer) {
                Some(w) => w.1 += points,
                None => written.push((t.operand.buffer, points)),
            }
        }
        // Pieces do not overlap and views that are written through are injective.
        written.into_iter().map(|(b, points)| (b, points == self.plan.buffer(b).ty.size())).collect()
    }

    /// Ways to cut the domain's first axis, the best first: where written bytes are already owned, where large operands lie,
    /// evenly.
    fn candidates(&self, launch: &Launch, touches: &[Touch], count: usize) -> Vec<Vec<usize>> {
        let mut candidates = Vec::new();
        let written = self.written(touches);
        let bound = |b| written.iter().any(|&(w, total)| w == b && !total);
        for t in touches.iter().filter(|t| t.write && bound(t.operand.buffer)) {
            candidates.extend(self.cuts_along(t.operand, count, true));
        }
        let mut reads: Vec<&Touch> = touches.iter().filter(|t| !t.write).collect();
        reads.sort_by_key(|t| std::cmp::Reverse(self.bytes(t.operand.buffer)));
        let item = |b: BufferId| self.plan.buffer(b).ty.dtype.size();
        let width = touches.iter().map(|t| item(t.operand.buffer)).max().unwrap_or(8);
        let large = size(&launch.domain) * width >= self.partition_bytes;
        for t in reads {
            // Reading from far away costs as much as work does.
            let far = || {
                let need = self.hull(t, &(0..count));
                need.len() >= self.partition_bytes
            };
            if large || far() {
                candidates.extend(self.cuts_along(t.operand, count, false));
            }
        }
        if large {
            candidates.push((0..=self.ranks).map(|r| count * r / self.ranks).collect());
        }
        candidates
    }

    /// The cuts with which each rank does the rows that touch its own bytes of this operand.
    fn cuts_along(&self, operand: &Operand, count: usize, write: bool) -> Option<Vec<usize>> {
        let tiling = &self.held_of(operand.buffer)?.tiling;
        if !write && tiling.single_owner().is_some() {
            return None;
        }
        let ty = &self.plan.buffer(operand.buffer).ty;
        let (&extent, axis) = (ty.shape.first()?, operand.view.axes.first()?);
        let row = (ty.bytes() / extent.max(1)).max(1);
        match axis.terms[..] {
            [] if write => {
                let at = axis.start as usize * row;
                let owner = (0..self.ranks).find(|&r| tiling.owned(r).contains(&at))?;
                Some((0..=self.ranks).map(|r| if r <= owner { 0 } else { count }).collect())
            }
            [(0, step)] if step > 0 => {
                let mut cuts: Vec<usize> = tiling
                    .offsets()
                    .iter()
                    .map(|&offset| {
                        let first = offset.div_ceil(row) as i64 - axis.start;
                        (-(-first).div_euclid(step)).clamp(0, count as i64) as usize
                    })
                    .collect();
                (cuts[0], cuts[self.ranks]) = (0, count);
                Some(cuts)
            }
            _ => None,
        }
    }

    /// Who owns what is written with these cuts; `None` if some rank would write what it cannot own.
    fn owners(&self, touches: &[Touch], cuts: &[usize]) -> Option<Vec<(BufferId, Tiling)>> {
        let mut tilings = Vec::new();
        for (buffer, total) in self.written(touches) {
            let hulls: Vec<Range<usize>> = cuts
                .windows(2)
                .map(|c| {
                    let writes = touches.iter().filter(|t| t.write && t.operand.buffer == buffer);
                    writes.map(|t| self.hull(t, &(c[0]..c[1]))).fold(0..0, join)
                })
                .collect();
            match self.held_of(buffer) {
                Some(held) if !total => {
                    let inside = |(r, h): (usize, &Range<usize>)| {
                        let owned = held.tiling.owned(r);
                        h.is_empty() || (owned.start <= h.start && h.end <= owned.end)
                    };
                    if !hulls.iter().enumerate().all(inside) {
                        return None;
                    }
                }
                _ => {
                    // The rest of a rank's first row is written later, by the same rank if it can be.
                    let bytes = self.bytes(buffer);
                    let rows = self.plan.buffer(buffer).ty.shape.first().map_or(1, |&n| n.max(1));
                    let row = (bytes / rows).max(1);
                    let whole: Vec<_> = hulls.iter().map(|h| h.start / row * row..h.end).collect();
                    tilings.push((buffer, tiling_of(&whole, bytes).or_else(|| tiling_of(&hulls, bytes))?));
                }
            }
        }
        Some(tilings)
    }

    fn finish(
        &self,
        launch: &Launch,
        division: &Division,
        cuts: Vec<usize>,
        mut tilings: Vec<(BufferId, Tiling)>,
        bring_home: Vec<BufferId>,
    ) -> Split {
        let count = cuts[self.ranks];
        let rows: Vec<Range<usize>> = cuts.windows(2).map(|c| c[0]..c[1]).collect();
        let mut split = Split { reach: rows.clone(), rows, chunks: Vec::new(), tilings: Vec::new(), bring_home };
        let alone = split.alone(count);
        for stream in &launch.streams {
            let bytes = self.bytes(stream.out);
            tilings.push((
                stream.out,
                match (alone, division) {
                    (Some(rank), _) => Tiling::all_at(rank, bytes, self.ranks),
                    (None, Division::Rows) => Tiling::new(cuts.iter().map(|c| bytes / count * c).collect()),
                    (None, _) => Tiling::root(bytes, self.ranks),
                },
            ));
        }
        if let (None, Division::Chunks(chunks)) = (alone, division) {
            let row = size(&launch.domain) / count;
            let first = |c: usize| chunks.partition_point(|chunk| chunk.start < c * row);
            split.chunks = cuts.windows(2).map(|c| first(c[0])..first(c[1])).collect();
            for (rank, chunk) in split.chunks.iter().enumerate().filter(|(_, c)| !c.is_empty()) {
                let end = chunks[chunk.end - 1].end.div_ceil(row);
                split.reach[rank].end = split.reach[rank].end.max(end);
            }
        }
        split.tilings = tilings;
        split
    }
}

/// Written blocks as a tiling; `None` if they do not follow each other.
fn tiling_of(hulls: &[Range<usize>], bytes: usize) -> Option<Tiling> {
    let ranks = hulls.len();
    let mut offsets = vec![bytes; ranks + 1];
    for r in (0..ranks).rev() {
        let hull = &hulls[r];
        if hull.end > offsets[r + 1] {
            return None;
        }
        offsets[r] = if hull.is_empty() { offsets[r + 1] } else { hull.start };
    }
    offsets[0] = 0;
    Some(Tiling::new(offsets))
}

/// The smallest run that holds both.
pub fn join(a: Range<usize>, b: Range<usize>) -> Range<usize> {
    match (a.is_empty(), b.is_empty()) {
        (true, _) => b,
        (_, true) => a,
        _ => a.start.min(b.start)..a.end.max(b.end),
    }
}
