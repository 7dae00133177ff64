//! Rounds of an inner loop of which is known before where their elements are (`ir::nest::Foreseen`).
//!
//! The first and the last round say whether all indices are within bounds; if not, the rounds are done as others are. Else they are
//! done some at a time: jumps back are paid for and old elements noted for all of them at once. What is left of a round is what the
//! program says, and where that goes two short ways (`flat.rs`), both are gone.

use legate_jit_ir::nest::{Foreseen, Index, Place, ROWS};

use super::rows::Leaf;
use super::*;

/// Rounds for which it is worth it.
const FEWEST: i64 = 4;
/// Rounds that are done after their elements were noted.
const SOME: i64 = 1 << 9;
/// Elements along an axis that are noted because any of them may be written, at most.
const ALONG: i64 = 1 << 11;
/// Bytes of what follows a row in the log, and of what may be written behind it before.
const AROUND_ROW: i64 = 3 * size_of::<Old>() as i64;

/// See [`Nest::rows_before`].
type RowBefore<'c> = (usize, V<'c>, V<'c>, V<'c>, Elem);

/// The rounds that are being built.
pub(super) struct Fast<'c> {
    pub(super) plan: Foreseen,
    /// For instructions that are jumped to within a round, or that follow a jump.
    pub(super) blocks: BTreeMap<usize, BlockRef<'c, 'c>>,
    /// Where a round ends.
    pub(super) end: BlockRef<'c, 'c>,
    /// Where the elements of the round are.
    pub(super) addresses: BTreeMap<Place, V<'c>>,
    /// Integers that rounds write.
    pub(super) written: BTreeSet<u16>,
    /// Indices from the front that were found to be within bounds in the block at hand: by view, axis and register.
    pub(super) wrapped: BTreeMap<(u16, usize, u16), V<'c>>,
    /// The element that is carried from round to round: in the function's frame, and what it was when the round began.
    pub(super) carried: Option<(V<'c>, V<'c>)>,
}

impl<'c> Nest<'c, '_> {
    /// Does the rounds of a loop that has some and goes on with `end`, or goes on here where it cannot.
    pub(super) fn foresee(&mut self, head: usize, plan: &Foreseen, end: BlockRef<'c, 'c>) {
        let single = self.new_block();
        self.look_ahead(head, plan, single);
        self.foreseen_rounds(head, plan, 1, end, single);
        self.b.block = single;
    }

    /// Looks whether the rounds of a loop are as they have to be.
    pub(super) fn look_ahead(&mut self, head: usize, plan: &Foreseen, single: BlockRef<'c, 'c>) {
        let range = self.program.code[head].a;
        let total = self.int(range + 2);
        self.go_if(self.b.compare("arith.cmpi", LESS, total, self.b.int(Elem::I64, FEWEST)), single);
        self.within_bounds(plan, range, single);
        self.none_too_long(plan, total, single);
        let steady: Vec<usize> = plan.body.iter().copied().filter(|&n| self.is_steady(plan, n)).collect();
        for n in steady {
            let x = self.int(self.program.code[n].b);
            self.unlikely(self.is_inexact(x), single);
        }
    }

    /// The rounds of a loop, done for so many rounds of the outer loop at once.
    pub(super) fn foreseen_rounds(
        &mut self,
        head: usize,
        plan: &Foreseen,
        beside: usize,
        end: BlockRef<'c, 'c>,
        single: BlockRef<'c, 'c>,
    ) {
        let Ins { a: range, b: number, .. } = self.program.code[head];
        let (some, each, over, further) = (self.new_block(), self.new_block(), self.new_block(), self.new_block());
        let code = &self.program.code;
        let mut stores = plan.body.iter().filter(|&&n| code[n].op.notes_one());
        let paid = stores.all(|n| plan.noted.contains_key(n));
        self.jump(some);
        self.b.block = some;
        let b = self.b;
        let left = self.int(range + 2);
        let count = b.op("arith.minsi", &[left, b.int(Elem::I64, SOME)], Elem::I64);
        let step = self.int(range + 1);
        let first = b.op("arith.addi", &[self.int(range), step], Elem::I64);
        let rows: Vec<_> =
            (0..beside).map(|k| self.among(k, |nest| nest.rows_before(plan, (first, step), count))).collect();
        self.make_room(&rows, paid.then_some((count, beside)), single);
        for (k, rows) in rows.into_iter().enumerate() {
            self.among(k, |nest| {
                for (n, ptr, length, stride, elem) in rows {
                    let to = Leaf { ptr, strides: vec![stride] };
                    nest.note_rows(n, &to, &[length], length, elem, single);
                }
                if let (Some((elem, room)), Some((from, _))) = (nest.carried.get(&head).copied(), &plan.carried) {
                    let at = nest.place(from, first);
                    let value = nest.load_element(elem, at);
                    nest.b.store(elem, value, room);
                }
            });
        }
        let stop = self.b.op("arith.subi", &[left, count], Elem::I64);
        self.jump(each);

        self.b.block = each;
        self.next_number(range, number, true);
        let now = self.int(number);
        for k in 0..beside {
            let next = if k + 1 < beside { self.new_block() } else { over };
            self.among(k, |nest| nest.foreseen_round(head, plan, now, next));
            self.b.block = next;
        }

        if !paid {
            self.count_jump();
        }
        let b = self.b;
        let left = self.int(range + 2);
        self.jump_if(b.compare("arith.cmpi", NOT_EQUAL, left, stop), each, further);
        self.b.block = further;
        self.jump_if(self.has_next(range), some, end);
    }

    /// One round, for this number.
    fn foreseen_round(&mut self, head: usize, plan: &Foreseen, now: V<'c>, end: BlockRef<'c, 'c>) {
        self.set_int(self.program.code[head].b, now);
        let mut fast = Fast {
            plan: plan.clone(),
            blocks: BTreeMap::new(),
            end,
            addresses: BTreeMap::new(),
            written: self.written_in(plan),
            wrapped: BTreeMap::new(),
            carried: None,
        };
        for place in plan.elements.values() {
            if !fast.addresses.contains_key(place) {
                fast.addresses.insert(place.clone(), self.place(place, now));
            }
        }
        let carried = self.carried.get(&head).copied();
        fast.carried = carried.map(|(elem, room)| (room, self.b.load(elem, room)));
        if plan.flat {
            self.fast = Some(fast);
            self.flat_round(plan);
        } else {
            let inside = plan.body.iter().copied().filter(|&n| self.blocks[n].is_some());
            fast.blocks = inside.map(|n| (n, self.new_block())).collect();
            self.jump(fast.blocks[&plan.first]);
            self.fast = Some(fast);
            let mut body = plan.body.clone();
            body.sort_unstable();
            self.instructions(body.into_iter(), false);
        }
        self.fast = None;
    }

    /// What an index is for a round's number.
    fn index_at(&self, index: Index, number: V<'c>) -> V<'c> {
        let b = self.b;
        let mut at = b.int(Elem::I64, index.by);
        if index.follows() {
            let times = match index.times {
                1 => number,
                times => self.surely("arith.muli", [number, b.int(Elem::I64, times)]),
            };
            at = if index.by == 0 { times } else { self.surely("arith.addi", [times, at]) };
        }
        match index.base {
            None => at,
            Some((r, false)) => self.surely("arith.addi", [at, self.int(r)]),
            Some((r, true)) => self.surely("arith.subi", [at, self.int(r)]),
        }
    }

    /// An index that stays, from the front.
    fn staying(&self, index: Index, n: V<'c>) -> V<'c> {
        let b = self.b;
        let i = self.index_at(index, n);
        let negative = b.compare("arith.cmpi", LESS, i, b.int(Elem::I64, 0));
        b.select(negative, b.op("arith.addi", &[i, n], Elem::I64), i)
    }

    /// Where the element of a place is in the round with this number, or the first of those that it may be.
    fn place(&self, place: &Place, number: V<'c>) -> V<'c> {
        let seen = self.view(place.view, place.indices.len());
        let mut at = seen.ptr;
        for (axis, index) in place.indices.iter().enumerate() {
            let Some(index) = *index else { continue };
            let i = if index.follows() { self.index_at(index, number) } else { self.staying(index, seen.shape[axis]) };
            at = self.stepped(at, i, seen.strides[axis]);
        }
        at
    }

    /// Looks whether all indices of all rounds are within bounds.
    fn within_bounds(&mut self, plan: &Foreseen, range: u16, single: BlockRef<'c, 'c>) {
        let b = self.b;
        let (before, step) = (self.int(range), self.int(range + 1));
        let first = b.op("arith.addi", &[before, step], Elem::I64);
        let last =
            b.op("arith.addi", &[before, b.op("arith.muli", &[self.int(range + 2), step], Elem::I64)], Elem::I64);
        // By view, axis and what follows the number in the same way: from the least to the largest constant.
        let mut bounds: BTreeMap<(u16, usize, Index), (i64, i64)> = BTreeMap::new();
        let mut stay = BTreeSet::new();
        for place in plan.elements.values().chain(plan.noted.values()) {
            for (axis, index) in place.indices.iter().enumerate() {
                let Some(index) = *index else { continue };
                if index.follows() {
                    let key = (place.view, axis, Index { by: 0, ..index });
                    let (low, high) = bounds.entry(key).or_insert((index.by, index.by));
                    (*low, *high) = ((*low).min(index.by), (*high).max(index.by));
                } else {
                    stay.insert((place.view, axis, index));
                }
            }
        }
        for (view, axis, index) in stay {
            let n = self.view(view, axis + 1).shape[axis];
            let i = self.staying(index, n);
            self.unlikely(self.b.compare("arith.cmpi", NOT_BELOW, i, n), single);
        }
        for ((view, axis, index), (low, high)) in bounds {
            let n = self.view(view, axis + 1).shape[axis];
            for number in [first, last] {
                if low < high {
                    let b = self.b;
                    let i = self.index_at(Index { by: low, ..index }, number);
                    self.unlikely(b.compare("arith.cmpi", LESS, i, b.int(Elem::I64, 0)), single);
                }
                let b = self.b;
                let i = self.index_at(Index { by: high, ..index }, number);
                self.unlikely(b.compare("arith.cmpi", NOT_BELOW, i, n), single);
            }
        }
    }

    /// Looks whether no more elements are noted where any of them may be written than are written.
    fn none_too_long(&mut self, plan: &Foreseen, total: V<'c>, single: BlockRef<'c, 'c>) {
        let axes: BTreeSet<(u16, usize)> = plan.noted.values().filter_map(any_along).collect();
        for (view, axis) in axes {
            let b = self.b;
            let n = self.view(view, axis + 1).shape[axis];
            self.go_if(b.compare("arith.cmpi", GREATER, n, b.int(Elem::I64, ALONG)), single);
            self.go_if(self.b.compare("arith.cmpi", GREATER, n, total), single);
        }
    }

    /// What some rounds write, from one with the first number on: by an instruction that does, where it begins, how many elements it has,
    /// how many bytes the next is away, and their type.
    fn rows_before(&self, plan: &Foreseen, (first, step): (V<'c>, V<'c>), count: V<'c>) -> Vec<RowBefore<'c>> {
        // By place, with the first instruction that stores there.
        let mut places: BTreeMap<&Place, usize> = BTreeMap::new();
        for (&n, place) in &plan.noted {
            places.entry(place).or_insert(n);
        }
        let mut rows = Vec::new();
        for (&place, &n) in &places {
            let seen = self.view(place.view, place.indices.len());
            let b = self.b;
            let (length, stride) = match any_along(place) {
                Some((_, axis)) => (seen.shape[axis], seen.strides[axis]),
                None if place.stays() => (b.int(Elem::I64, 1), b.int(Elem::I64, 0)),
                None => {
                    let by = place.indices.iter().zip(&seen.strides).filter_map(|(index, &stride)| {
                        let times = index.filter(Index::follows)?.times;
                        Some(b.op("arith.muli", &[stride, b.int(Elem::I64, times)], Elem::I64))
                    });
                    let by = by.reduce(|x, y| b.op("arith.addi", &[x, y], Elem::I64)).expect("an index that follows");
                    (count, b.op("arith.muli", &[by, step], Elem::I64))
                }
            };
            rows.push((n, self.place(place, first), length, stride, element_of(self.program.code[n].op)));
        }
        rows
    }

    /// Sees to it that there is room for the notes of some rounds, and pays for so many, for so many rounds of the outer loop at once.
    fn make_room(&mut self, rows: &[Vec<RowBefore<'c>>], pays: Option<(V<'c>, usize)>, single: BlockRef<'c, 'c>) {
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let bytes = rows.iter().flatten().map(|&(_, _, length, _, elem)| {
            let bytes = b.op("arith.muli", &[length, int(elem.bytes() as i64)], Elem::I64);
            b.op("arith.addi", &[bytes, int(AROUND_ROW)], Elem::I64)
        });
        let bytes = bytes.reduce(|x, y| b.op("arith.addi", &[x, y], Elem::I64)).unwrap_or(int(0));
        self.unlikely(b.compare("arith.cmpi", GREATER, bytes, int(ROWS as i64)), single);
        let b = self.b;
        let price = pays.map(|(count, beside)| match beside {
            1 => count,
            // (After the inner loop, each of the rounds may note what it notes between two jumps.)
            _ => {
                let each = b.op("arith.addi", &[count, b.int(Elem::I64, 1)], Elem::I64);
                b.op("arith.muli", &[each, b.int(Elem::I64, beside as i64)], Elem::I64)
            }
        });
        if let Some(price) = price {
            let short = self.b.compare("arith.cmpi", LESS_EQUAL, self.b.load(Elem::I64, self.fuel), price);
            self.ask_if(short, std::mem::offset_of!(Frame, refuel));
        }
        let room = self.b.load(Elem::I64, self.field(std::mem::offset_of!(Frame, room)));
        let narrow = self.b.compare("arith.cmpi", LESS, room, bytes);
        self.ask_if(narrow, std::mem::offset_of!(Frame, widen));
        if let Some(price) = price {
            let b = self.b;
            let left = b.op("arith.subi", &[b.load(Elem::I64, self.fuel), price], Elem::I64);
            b.store(Elem::I64, left, self.fuel);
        }
    }

    /// Forgets what is known of indices in some registers.
    pub(super) fn forget_indices(&mut self, gone: impl Fn(u16) -> bool) {
        if let Some(fast) = &mut self.fast {
            fast.wrapped.retain(|key, _| !gone(key.2));
        }
    }

    /// Whether an instruction makes a float of an integer that is the same one in all rounds.
    fn is_steady(&self, plan: &Foreseen, n: usize) -> bool {
        let Ins { op: Op::ToFloat, b: of, .. } = self.program.code[n] else { return false };
        !self.written_in(plan).contains(&of)
    }

    /// The integers that rounds write.
    fn written_in(&self, plan: &Foreseen) -> BTreeSet<u16> {
        let mut written = BTreeSet::new();
        for &n in &plan.body {
            self.program.code[n].writes(|bank, r| {
                if bank == 0 {
                    written.insert(r as u16);
                }
            });
        }
        written
    }

    /// Whether it is known of an instruction in the rounds that are being built that it does not leave them.
    pub(super) fn is_foreseen(&self, n: usize) -> bool {
        self.fast.as_ref().is_some_and(|fast| self.is_steady(&fast.plan, n))
    }

    /// Whether an instruction's element is noted before the rounds that are being built.
    pub(super) fn is_noted_before(&self, n: usize) -> bool {
        self.fast.as_ref().is_some_and(|fast| fast.plan.noted.contains_key(&n))
    }

    /// Where the element of an instruction is, if that is known in the rounds that are being built.
    pub(super) fn known_address(&self, n: usize) -> Option<V<'c>> {
        let fast = self.fast.as_ref()?;
        Some(fast.addresses[fast.plan.elements.get(&n)?])
    }

    /// The element that an instruction loads, if the round before has stored it.
    pub(super) fn carried_element(&self, n: usize, item: Elem) -> Option<V<'c>> {
        let fast = self.fast.as_ref()?;
        let ((room, value), (from, to)) = (fast.carried?, fast.plan.carried.as_ref()?);
        if fast.plan.elements.get(&n)? != from {
            return None;
        }
        Some(if from == to { self.b.load(item, room) } else { value })
    }

    /// Carries an element that an instruction has stored on to the next round.
    pub(super) fn carry_on(&self, n: usize, item: Elem, value: V<'c>) {
        let Some(fast) = &self.fast else { return };
        if let (Some((room, _)), Some((_, to))) = (fast.carried, &fast.plan.carried)
            && fast.plan.elements.get(&n) == Some(to)
        {
            self.b.store(item, value, room);
        }
    }
}

/// The type of an element that an instruction loads or stores.
pub(super) fn element_of(op: Op) -> Elem {
    use Op::*;
    match op {
        LoadF64At0 | LoadF64At1 | LoadF64At2 | StoreF64At0 | StoreF64At1 | StoreF64At2 => Elem::F64,
        LoadF32At0 | LoadF32At1 | LoadF32At2 | StoreF32At0 | StoreF32At1 | StoreF32At2 => Elem::F32,
        LoadI64At0 | LoadI64At1 | LoadI64At2 | StoreI64At0 | StoreI64At1 | StoreI64At2 => Elem::I64,
        _ => Elem::I8,
    }
}

/// The view and the axis along which a place may be any element.
fn any_along(place: &Place) -> Option<(u16, usize)> {
    place.indices.iter().position(Option::is_none).map(|axis| (place.view, axis))
}
