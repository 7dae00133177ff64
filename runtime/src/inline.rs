//! Small operations on what is in memory, done at once.
//!
//! A record with its share of a flush costs a few hundred nanoseconds, which is more than the arithmetic on some hundred
//! elements. So where all operands are at rest and small, an operation runs the prebuilt loop straight away: no record, no
//! plan, no launch, and whoever asks for a value finds it. The loops are those of the other tiers, so the bits are the same.
//!
//! How small is small depends on the program: fused, a long chain saves passes over memory, which counts more the larger the
//! arrays are; a program that looks at every result pays for a flush each time. [`Inline`] counts both. What has an operand
//! that is pending is always recorded.
//!
//! A boundary file: it reads and writes elements of stores, which no one else touches while the session is held.

mod alike;
mod create;
mod pick;
mod places;
mod product;
mod reduce;
mod scan;
mod when;

use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use legate_jit_ir::cast::cast;
use legate_jit_ir::ufunc::Signature;
use legate_jit_ir::{DType, Scalar, Ufunc};
use smallvec::SmallVec;

use crate::array::{Array, Operand};
use crate::base::{State, Version};
use crate::layout::{Class, Layout, Strides, kept_in_order};
use crate::pass::{Code, Feed, Source};
use crate::session::Session;
use crate::shared::Shared;
use crate::strided::{apart, copy, in_order, interleaved, packed, reach, span, steps};
use crate::trace::{PackedPerm, Part};
use crate::vm::{Loop, Operation, cast_loop, operation};
use crate::{Result, Store};

pub(crate) use alike::{alike_now, each, find_some};
pub(crate) use when::Inline;

/// Bytes of a base of which a copy is made at once when somebody else keeps the old contents.
const COPIED: usize = 4096;

/// Elements that are brought into another order by one move: what a pass looks at first takes as long.
const MOVED: usize = 1024;
/// Elements of an array of which any part is no more than elements that are moved.
const FIELD: usize = 4 * MOVED;

/// Where the elements of a handle begin, if they are in memory here.
#[inline(always)]
pub(crate) fn at_rest(s: &Session, a: &Array) -> Option<*mut u8> {
    if a.part != Part::Whole {
        return None;
    }
    match a.base.current.get(&s.token).state.get(&s.token) {
        // (A store that is elsewhere, or only promised, has a place.)
        State::Store(store) if store.placed() == 0 => {
            store.looked_at();
            Some(store.raw_ptr().wrapping_offset((a.layout.offset * a.dtype.size() as i64) as isize))
        }
        State::Store(_) | State::Pending(_) | State::Failed(_) => None,
    }
}

/// The value of an array of one element.
#[inline(always)]
unsafe fn only(a: &Array, p: *const u8) -> Scalar {
    let mut bits = [0u64; 2];
    // SAFETY: the caller gives the address of an element of the array's type, 16 bytes at most.
    unsafe { std::ptr::copy_nonoverlapping(p, bits.as_mut_ptr().cast::<u8>(), a.dtype.size()) };
    Scalar { dtype: a.dtype, bits }
}

/// An array of its own in this memory, which is in the order `perm` of the shape.
#[inline(always)]
pub(crate) fn made(store: Arc<Store>, dtype: DType, full: &Shared<Layout>, perm: PackedPerm) -> Array {
    if perm == 0 {
        return Array::fresh(Version::new(State::Store(store), full.clone(), dtype), full.clone(), dtype);
    }
    let (layout, kept) = kept_in_order(full, perm);
    Array::fresh(Version::new(State::Store(store), kept, dtype), layout, dtype)
}

/// A writable handle's memory that nobody else sees, or that foreign code is meant to see written.
pub(crate) fn own(s: &mut Session, to: &Array) -> Result<Option<*mut u8>> {
    if at_rest(s, to).is_none() {
        return Ok(None);
    }
    let version = to.base.current.get(&s.token);
    let State::Store(store) = version.state.get(&s.token) else { return Ok(None) };
    let alone = Shared::count(version) == 1 && Arc::strong_count(store) == 1;
    // Whoever else had it has read it.
    fence(Ordering::Acquire);
    if !alone && !store.is_exported() {
        if store.bytes() > COPIED {
            return Ok(None);
        }
        let fresh = Version::new(State::Store(store.duplicate()?), version.full.clone(), version.dtype);
        to.base.current.replace(&mut s.token, fresh);
    }
    Ok(at_rest(s, to))
}

impl Session {
    /// The result of an elementwise operation whose loop and shape are settled; `None` where it has to be recorded.
    #[inline]
    pub(crate) fn map_now(
        &mut self,
        op: Ufunc,
        operands: &[Operand],
        l: &Signature,
        full: &Shared<Layout>,
        perm: PackedPerm,
    ) -> Result<Option<Arc<Store>>> {
        if !self.inline.is_on() {
            return Ok(None);
        }
        self.inline.count();
        if !self.inline.allows(full.size) {
            return Ok(None);
        }
        let n = full.size;
        let mut all = Sources::default();
        if !all.find(self, operands, l, n)? {
            return Ok(None);
        }
        let Some(operation) = operation(op, l.ins()) else { return Ok(None) };
        let one_loop = all.lie != Lie::Apart && perm == 0 && takes(operation, &all.single, operands.len(), n);
        if !one_loop && !self.inline.allows_more(n) {
            return Ok(None);
        }
        let store = Store::alloc(n * l.out.size())?;
        // (The memory is new and has room for n results.)
        let out = store.raw_ptr();
        if one_loop {
            // SAFETY: every operand is n elements, or one where `single` says so.
            unsafe {
                match all.lie {
                    Lie::InLine => run_by_blocks(operation, &all, l, out, n, false),
                    Lie::Together | Lie::Apart => run(operation, &all.from(l.ins(), 0), &all.single, out, n),
                }
            }
        } else {
            let Some(feeds) = self.feeds(operands, l.ins(), full.shape(), perm)? else { return Ok(None) };
            let ordered = if perm == 0 { None } else { Some(in_order(full.shape(), perm)) };
            let shape = ordered.as_deref().unwrap_or(full.shape());
            // SAFETY: the operands are in memory.
            unsafe {
                self.passes.run(Code::Map(op), &feeds, l.out, shape, (out, &packed(shape, l.out.size())))?;
            }
        }
        self.counters.inline += 1;
        Ok(Some(store))
    }

    /// The operands as a pass over a shape reads them; `None` where one is not in memory.
    fn feeds(
        &self,
        operands: &[Operand],
        types: &[DType],
        shape: &[usize],
        perm: PackedPerm,
    ) -> Result<Option<SmallVec<[Feed; 3]>>> {
        let mut feeds = SmallVec::new();
        for (o, &to) in operands.iter().zip(types) {
            feeds.push(match o {
                Operand::Array(a) => match self.feed(a, to, shape, perm) {
                    Some(feed) => feed,
                    None => return Ok(None),
                },
                Operand::Weak(w) => Feed::scalar(w.value(to)?.bits, to),
                Operand::Typed(v) => Feed::scalar(cast(*v, to).bits, to),
            });
        }
        Ok(Some(feeds))
    }

    fn feed(&self, a: &Array, to: DType, shape: &[usize], perm: PackedPerm) -> Option<Feed> {
        let ptr = at_rest(self, a)?;
        let by = steps(&a.layout, shape, a.dtype.size());
        let by = if perm == 0 { by } else { in_order(&by, perm) };
        Some(Feed { source: Source::Array(ptr, by), dtype: a.dtype, cast: to })
    }

    /// The result of an elementwise operation, written where `to` shows it; false where that has to be recorded.
    pub(crate) fn map_into(&mut self, op: Ufunc, operands: &[Operand], l: &Signature, to: &Array) -> Result<bool> {
        let size = to.size();
        let allowed = self.inline.allows_in_place(size)
            || self.inline.is_by_itself(size) && each(op, l).is_some_and(|each| self.inline.is_short(size, each));
        let in_one = allowed && to.layout.c_contiguous && to.dtype == l.out;
        if !(in_one || self.inline.allows_more(size)) || !writes_apart(to) {
            return Ok(false);
        }
        let Some(operation) = operation(op, l.ins()) else { return Ok(false) };
        let at_rest = |o: &Operand| match o {
            Operand::Array(a) => at_rest(self, a).is_some(),
            Operand::Weak(_) | Operand::Typed(_) => true,
        };
        if !operands.iter().all(at_rest) {
            return Ok(false);
        }
        let Some(out) = own(self, to)? else { return Ok(false) };
        let (shape, item, n) = (to.shape(), to.dtype.size(), size);
        // (Only now: one may have shared the memory that was copied.)
        let mut all = Sources::default();
        if !all.find(self, operands, l, n)? {
            return Ok(false);
        }
        if in_one
            && all.lie != Lie::Apart
            && takes(operation, &all.single, operands.len(), n)
            && let Some(in_place) = all.meet(l.ins(), out, item, n)
        {
            self.inline.count();
            // SAFETY: every operand is n elements, or one where `single` says so, and so are the results; they lie apart, or
            // where `in_place` says so at the same place.
            unsafe {
                if in_place || all.lie == Lie::InLine {
                    run_by_blocks(operation, &all, l, out, n, in_place);
                } else {
                    run(operation, &all.from(l.ins(), 0), &all.single, out, n);
                }
            }
            self.counters.inline += 1;
            return Ok(true);
        }
        if !self.inline.allows_more(n) {
            return Ok(false);
        }
        let by = steps(&to.layout, shape, item);
        let Some(feeds) = self.feeds(operands, l.ins(), shape, 0)? else { return Ok(false) };
        if !feeds.iter().all(|feed| feed.lets_write(shape, out, &by, item)) {
            return Ok(false);
        }
        self.inline.count();
        // SAFETY: the operands are in memory, and so is what `to` shows, each element once.
        unsafe { self.passes.run(Code::Map(op), &feeds, to.dtype, shape, (out, &by))? };
        self.counters.inline += 1;
        Ok(true)
    }

    /// The elements of a handle as a new array, broadcast and cast; `None` where that has to be recorded.
    #[inline(always)]
    pub(crate) fn copy_now(
        &mut self,
        a: &Array,
        dtype: DType,
        full: &Shared<Layout>,
        perm: PackedPerm,
    ) -> Result<Option<Array>> {
        Ok(self.copied_store(a, dtype, full, perm)?.map(|store| made(store, dtype, full, perm)))
    }

    /// Its memory (see `full_store`).
    fn copied_store(
        &mut self,
        a: &Array,
        dtype: DType,
        full: &Shared<Layout>,
        perm: PackedPerm,
    ) -> Result<Option<Arc<Store>>> {
        if !self.inline.allows_more(full.size) {
            return Ok(None);
        }
        let (shape, item) = (full.shape(), dtype.size());
        let as_it_is = perm == 0 && a.size() == full.size;
        let store = if as_it_is && (a.layout.c_contiguous || a.dtype == dtype && full.size <= MOVED) {
            let Some(p) = at_rest(self, a) else { return Ok(None) };
            let store = Store::alloc(full.size * item)?;
            // SAFETY: so many elements, where the layout says; the memory is new and has room for them.
            unsafe {
                match (a.layout.c_contiguous, a.dtype == dtype) {
                    (true, true) => store.raw_ptr().copy_from_nonoverlapping(p, full.size * item),
                    (true, false) => cast_loop(a.dtype, dtype)(&p.cast_const(), store.raw_ptr(), full.size),
                    (false, _) => {
                        copy(shape, p, &steps(&a.layout, shape, item), store.raw_ptr(), &packed(shape, item), item);
                    }
                }
            }
            store
        } else {
            let Some(feed) = self.feed(a, dtype, shape, perm) else { return Ok(None) };
            self.passed(feed, shape, perm)?
        };
        self.counters.inline += 1;
        Ok(Some(store))
    }

    /// What a feed gives, in new memory; the feed's steps are in the order `perm` of the shape's axes.
    fn passed(&mut self, feed: Feed, shape: &[usize], perm: PackedPerm) -> Result<Arc<Store>> {
        let ordered = if perm == 0 { None } else { Some(in_order(shape, perm)) };
        let shape = ordered.as_deref().unwrap_or(shape);
        let item = feed.cast.size();
        let store = Store::alloc(legate_jit_ir::shape::size(shape) * item)?;
        let to = (store.raw_ptr(), &packed(shape, item)[..]);
        let dtype = feed.cast;
        // SAFETY: feeds name elements in memory; the new memory has room for them.
        unsafe { self.passes.run(Code::Copy, &[feed], dtype, shape, to)? };
        Ok(store)
    }

    /// Whether elements may be brought to their places at once. A part of a larger array may be the rim of a field, and belongs to the
    /// rounds of what is done with that.
    fn moves_now(&self, to: &Array) -> bool {
        let all = to.base.current.get(&self.token).full.size;
        self.inline.allows_more(to.size()) || all <= FIELD && self.inline.allows_move(to.size())
    }

    /// Writes one array into another, of whose shape it is or to which it is broadcast; false where that is to be recorded.
    pub(crate) fn write_now(&mut self, to: &Array, value: &Array) -> Result<bool> {
        let is_move = to.dtype == value.dtype && self.moves_now(to);
        if !(is_move || self.inline.allows_more(to.size())) || !writes_apart(to) {
            return Ok(false);
        }
        if at_rest(self, value).is_none() {
            return Ok(false);
        }
        let Some(out) = own(self, to)? else { return Ok(false) };
        // (Only now: the two may have shared the memory that was copied.)
        let Some(p) = at_rest(self, value) else { return Ok(false) };
        let (shape, item) = (to.shape(), to.dtype.size());
        let same = value.dtype == to.dtype;
        let (by, to_by) = (steps(&value.layout, shape, item), steps(&to.layout, shape, item));
        // SAFETY: addresses of the first elements; the rooms hold all elements in any type.
        unsafe {
            if same && value.size() == to.size() && value.layout.c_contiguous && to.layout.c_contiguous {
                std::ptr::copy(p, out, to.size() * item);
            } else if same
                && (apart(reach(p, &value.layout, item), reach(out, &to.layout, item))
                    || interleaved((p, &by, item), (out, &to_by, item)))
            {
                copy(shape, p, &by, out, &to_by, item);
            } else if same && to.size() * item <= COPIED {
                // The two share memory, element by element in another order.
                let mut between = [MaybeUninit::<u64>::uninit(); COPIED / 8];
                let between = between.as_mut_ptr().cast::<u8>();
                let together = packed(shape, item);
                copy(shape, p, &by, between, &together, item);
                copy(shape, between, &together, out, &to_by, item);
            } else {
                let Some(feed) = self.feed(value, to.dtype, shape, 0) else { return Ok(false) };
                let between = self.passed(feed, shape, 0)?;
                copy(shape, between.raw_ptr(), &packed(shape, item), out, &to_by, item);
            }
        }
        self.counters.inline += 1;
        Ok(true)
    }

    /// Writes one value everywhere; false where that is to be recorded.
    pub(crate) fn fill_now(&mut self, to: &Array, value: Scalar) -> Result<bool> {
        if !self.moves_now(to) || !writes_apart(to) {
            return Ok(false);
        }
        let Some(out) = own(self, to)? else { return Ok(false) };
        let (shape, item) = (to.shape(), to.dtype.size());
        // SAFETY: the address of the first element; one element of its type.
        unsafe {
            let still = Strides::from_elem(0, shape.len());
            copy(shape, value.bits.as_ptr().cast(), &still, out, &steps(&to.layout, shape, item), item);
        }
        self.counters.inline += 1;
        Ok(true)
    }
}

/// How the operands' elements lie, those of all operands together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lie {
    /// One after the other.
    Together,
    /// The same, or of some at equal distances (a column, every other one, from the end to the beginning).
    InLine,
    /// Otherwise, or in a type that has to be cast.
    Apart,
}

/// Operands as one loop takes them.
struct Sources {
    arrays: [*const u8; 3],
    /// From an element to the next in bytes, where that is not the elements' size.
    steps: [i64; 3],
    /// Which operands are one element, for all results.
    single: [bool; 3],
    scalars: [[u64; 2]; 3],
    lie: Lie,
}

impl Default for Sources {
    #[inline(always)]
    fn default() -> Sources {
        Sources {
            arrays: [std::ptr::null(); 3],
            steps: [0; 3],
            single: [false; 3],
            scalars: [[0; 2]; 3],
            lie: Lie::Together,
        }
    }
}

impl Sources {
    /// Those of an operation with n results; false where one is not in memory.
    #[inline(always)]
    fn find(&mut self, s: &Session, operands: &[Operand], l: &Signature, n: usize) -> Result<bool> {
        for (k, (o, &to)) in operands.iter().zip(l.ins()).enumerate() {
            let value = match o {
                Operand::Array(a) => {
                    let Some(p) = at_rest(s, a) else { return Ok(false) };
                    if a.size() != 1 {
                        self.arrays[k] = p;
                        if a.size() != n || a.dtype != to {
                            self.lie = Lie::Apart;
                        } else if !a.layout.c_contiguous {
                            let step = if a.ndim() == 1 { a.layout.strides[0] * to.size() as i64 } else { 0 };
                            self.steps[k] = step;
                            let in_line = step != 0 && self.lie != Lie::Apart;
                            self.lie = if in_line { Lie::InLine } else { Lie::Apart };
                        }
                        continue;
                    }
                    // SAFETY: the address of its only element.
                    unsafe { only(a, p) }
                }
                Operand::Weak(w) => w.value(to)?,
                Operand::Typed(v) => *v,
            };
            self.scalars[k] = cast(value, to).bits;
            self.single[k] = true;
        }
        Ok(true)
    }

    /// Whether an operand lies where n results of `item` bytes go, each element at its result's place; `None` where they
    /// overlap otherwise.
    #[inline]
    fn meet(&self, ins: &[DType], out: *const u8, item: usize, n: usize) -> Option<bool> {
        let mut met = false;
        for (k, to) in ins.iter().enumerate().filter(|(k, _)| !self.single[*k]) {
            let (p, size) = (self.arrays[k], to.size());
            let by = if self.steps[k] == 0 { size as i64 } else { self.steps[k] };
            if p == out && size == item && by == item as i64 {
                met = true;
            } else if !apart(span(p, &[n], &[by], size), (out as usize, out as usize + n * item)) {
                return None;
            }
        }
        Some(met)
    }

    /// Where the loop finds them, from element number `at` on.
    #[inline(always)]
    fn from(&self, ins: &[DType], at: usize) -> [*const u8; 3] {
        let mut from = self.arrays;
        for (k, to) in ins.iter().enumerate() {
            from[k] = if self.single[k] {
                self.scalars[k].as_ptr().cast()
            } else {
                self.arrays[k].wrapping_add(at * to.size())
            };
        }
        from
    }
}

/// Whether the loop takes these single elements as they are.
#[inline(always)]
fn takes(operation: Operation, single: &[bool; 3], operands: usize, n: usize) -> bool {
    match operation {
        Operation::Loops(_) if n == 1 => true,
        Operation::Loops(loops) => match *single {
            [false, false, false] => true,
            [false, true, _] if operands == 2 => loops.second_scalar.is_some(),
            [true, false, _] if operands == 2 => loops.first_scalar.is_some(),
            _ => false,
        },
        Operation::Math1(_) => !single[0] || n == 1,
        Operation::Math2(_) => true,
    }
}

/// Whether every element of a handle is another one.
fn writes_apart(to: &Array) -> bool {
    to.layout.class != Class::Partial || to.layout.injective
}

/// Runs an operation over n elements.
///
/// # Safety
/// Each operand is n elements, or one where `single` says so; `out` has room for n results and overlaps no operand.
#[inline(always)]
unsafe fn run(operation: Operation, from: &[*const u8; 3], single: &[bool; 3], out: *mut u8, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        match operation {
            Operation::Loops(loops) => {
                let f: Loop = match (single[0], single[1], loops.first_scalar, loops.second_scalar) {
                    (false, true, _, Some(f)) | (true, false, Some(f), _) => f,
                    _ => loops.vector,
                };
                f(from.as_ptr(), out, n);
            }
            Operation::Math1(f) => f(from[0], out, n),
            Operation::Math2(f) => f(from[0], !single[0] as usize, from[1], !single[1] as usize, out, n),
        }
    }
}

/// The same block by block: operands whose elements lie at a distance are put together first; and where an operand lies at the
/// results' place, the results go through a block, as no loop works in place.
///
/// # Safety
/// As for `run`, but that operands may have steps, and may lie where the results go, if `in_place` says so: each element at its
/// result's place.
unsafe fn run_by_blocks(operation: Operation, all: &Sources, l: &Signature, out: *mut u8, n: usize, in_place: bool) {
    /// Elements of a block, of any size.
    const BLOCK: usize = 256;
    let mut blocks = [const { MaybeUninit::<[[u64; 2]; BLOCK]>::uninit() }; 4];
    let blocks = blocks.each_mut().map(|b| b.as_mut_ptr().cast::<u8>());
    let item = l.out.size();
    for at in (0..n).step_by(BLOCK) {
        let count = BLOCK.min(n - at);
        let mut from = all.from(l.ins(), at);
        // SAFETY: the caller's promise for some of the elements; the blocks have room for them.
        unsafe {
            for (k, to) in l.ins().iter().enumerate().filter(|(k, _)| all.steps[*k] != 0) {
                let p = all.arrays[k].wrapping_offset(at as isize * all.steps[k] as isize);
                copy(&[count], p, &[all.steps[k]], blocks[k], &[to.size() as i64], to.size());
                from[k] = blocks[k];
            }
            let to = out.add(at * item);
            if in_place {
                run(operation, &from, &all.single, blocks[3], count);
                to.copy_from_nonoverlapping(blocks[3], count * item);
            } else {
                run(operation, &from, &all.single, to, count);
            }
        }
    }
}
