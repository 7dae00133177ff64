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

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use legate_jit_ir::cast::cast;
use legate_jit_ir::graph::{Opaque, Reduce, Reducer};
use legate_jit_ir::ufunc::Signature;
use legate_jit_ir::{DType, Scalar, Ufunc};
use smallvec::SmallVec;

use crate::array::{Array, Operand};
use crate::base::{State, Version};
use crate::layout::{Class, Layout, Strides, kept_in_order};
use crate::library::Strided;
use crate::pass::{Code, Feed, Source};
use crate::session::Session;
use crate::shared::Shared;
use crate::strided::{apart, copy, in_order, packed, reach, steps};
use crate::trace::{PackedPerm, Part, TINY, Trace};
use crate::tree::array;
use crate::vm::moves::{self, Rect};
use crate::vm::{Loop, Operation, operation};
use crate::{Config, Result, Store, Tier};

/// Elements of a result that is always computed at once: a pass over them takes less than a record does.
const ALWAYS: usize = 256;
/// The same in a program that asks for values after every operation or two: less than a flush.
const ASKING: usize = 2048;
/// The same where records run as soon as they are made: less than what other threads would need to join in.
const IMMEDIATE: usize = 1 << 15;
/// Multiplications of a product that take no longer than its record and flush.
const PRODUCT: usize = 1 << 14;
/// Elements that are taken one by one in less time than it takes to look for another way.
const GATHERED: usize = 1 << 14;
/// Bytes of a base of which a copy is made at once when somebody else keeps the old contents.
const COPIED: usize = 4096;
/// Operations between two looks at how often the program asks.
const WINDOW: u32 = 64;
/// Records between two looks at what recording has been good for.
const RECORDS: usize = 512;
/// Operations that a program is not recorded for, at first and at most.
const SPAN: (u32, u32) = (1 << 11, 1 << 17);

/// What decides how small is small.
#[derive(Default)]
pub(crate) struct Inline {
    /// Elements; 0: nothing is done at once.
    limit: usize,
    operations: u32,
    asks: u32,
    /// Somebody has looked at a value since the last operation.
    pub(crate) asked: bool,
    /// Operations to go for which records run as soon as they are made.
    immediate: u32,
    /// How many they will be the next time.
    span: u32,
    /// Records since the last look, and those of them that had better not been recorded.
    records: usize,
    useless: usize,
}

impl Inline {
    pub(crate) fn new(config: &Config) -> Inline {
        // Dumps show what is recorded, so everything is; ranks and the other tiers are there to run plans.
        let on =
            config.inline && config.tier == Tier::Auto && config.cx.hook.is_none() && crate::ranks::active().is_none();
        Inline { limit: if on { ALWAYS } else { 0 }, ..Inline::default() }
    }

    /// Whether operations may be done at once, or traces without a plan.
    pub(crate) fn is_on(&self) -> bool {
        self.limit != 0
    }

    pub(crate) fn off(&mut self) {
        (self.limit, self.immediate) = (0, 0);
    }

    /// Whether a record is to run at once. Where a program's traces are tiny, or never the same again, there is nothing to gain
    /// from having several operations in a trace, and all that has a pending operand would be recorded too.
    #[inline]
    pub(crate) fn is_immediate(&self) -> bool {
        self.immediate > 0
    }

    /// Notes what became of a trace; `new` says that none like it was met before.
    pub(crate) fn flushed(&mut self, trace: &Trace, new: bool) {
        if self.limit == 0 || self.is_immediate() {
            return;
        }
        let records = trace.recs.len();
        let all = new || trace.elements < TINY * records;
        self.records += records;
        self.useless += if all { records } else { trace.tiny };
        if self.records < RECORDS {
            return;
        }
        if self.useless > self.records / 4 * 3 {
            self.immediate = self.span.max(SPAN.0);
            self.span = (2 * self.immediate).min(SPAN.1);
            self.limit = IMMEDIATE;
        } else {
            self.span = SPAN.0;
        }
        (self.records, self.useless) = (0, 0);
    }

    /// Counts an operation.
    #[inline(always)]
    fn count(&mut self) {
        self.operations += 1;
        self.asks += self.asked as u32;
        self.asked = false;
        if self.operations == WINDOW {
            self.adapt();
        }
    }

    #[cold]
    fn adapt(&mut self) {
        if self.is_immediate() {
            self.immediate = self.immediate.saturating_sub(WINDOW);
            self.limit = if self.is_immediate() { IMMEDIATE } else { ALWAYS };
        } else if self.limit != 0 {
            // Between the two limits of the ratio all stays as it is, so that plans are not made for both ways.
            match self.operations / self.asks.max(1) {
                0..=2 => self.limit = ASKING,
                3..=5 => {}
                _ => self.limit = ALWAYS,
            }
        }
        (self.operations, self.asks) = (0, 0);
    }

    #[inline(always)]
    fn allows(&self, n: usize) -> bool {
        n.wrapping_sub(1) < self.limit
    }

    /// The same for what takes more than one pass of a loop over what lies one after the other.
    #[inline(always)]
    fn allows_more(&self, n: usize) -> bool {
        n.wrapping_sub(1) < if self.is_immediate() { self.limit } else { self.limit.min(ALWAYS) }
    }
}

/// Where the elements of a handle begin, if they are in memory here.
#[inline(always)]
fn at_rest(s: &Session, a: &Array) -> Option<*mut u8> {
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
fn own(s: &mut Session, to: &Array) -> Result<Option<*mut u8>> {
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
        self.inline.count();
        if !self.inline.allows(full.size) {
            return Ok(None);
        }
        let n = full.size;
        let mut scalars = [[0u64; 2]; 3];
        let mut single = [false; 3];
        let mut from = [std::ptr::null::<u8>(); 3];
        let mut scattered = false;
        for (k, (o, &to)) in operands.iter().zip(l.ins()).enumerate() {
            let value = match o {
                Operand::Array(a) => {
                    let Some(p) = at_rest(self, a) else { return Ok(None) };
                    if a.size() != 1 {
                        from[k] = p;
                        scattered |= !(a.layout.c_contiguous && a.size() == n && a.dtype == to);
                        continue;
                    }
                    // SAFETY: the address of its only element.
                    unsafe { only(a, p) }
                }
                Operand::Weak(w) => w.value(to)?,
                Operand::Typed(v) => *v,
            };
            scalars[k] = cast(value, to).bits;
            single[k] = true;
            from[k] = scalars[k].as_ptr().cast();
        }
        let Some(operation) = operation(op, l.ins()) else { return Ok(None) };
        let spread = match operation {
            Operation::Loops(_) if n == 1 => false,
            Operation::Loops(loops) => match single {
                [false, false, false] => false,
                [false, true, _] if loops.second_scalar.is_some() && operands.len() == 2 => false,
                [true, false, _] if loops.first_scalar.is_some() && operands.len() == 2 => false,
                _ => true,
            },
            Operation::Math1(_) => single[0] && n > 1,
            Operation::Math2(_) => false,
        };
        let one_loop = !scattered && !spread && perm == 0;
        if !one_loop && !self.inline.allows_more(n) {
            return Ok(None);
        }
        let store = Store::alloc(n * l.out.size())?;
        // (The memory is new and has room for n results.)
        let out = store.raw_ptr();
        if one_loop {
            // SAFETY: every operand is n elements, or one where `single` says so.
            unsafe { run(operation, &from, &single, out, n) };
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
        if !self.inline.allows_more(to.size()) || !writes_apart(to) || operation(op, l.ins()).is_none() {
            return Ok(false);
        }
        let at_rest = |o: &Operand| match o {
            Operand::Array(a) => at_rest(self, a).is_some(),
            Operand::Weak(_) | Operand::Typed(_) => true,
        };
        if !operands.iter().all(at_rest) {
            return Ok(false);
        }
        let Some(out) = own(self, to)? else { return Ok(false) };
        let (shape, item) = (to.shape(), to.dtype.size());
        let by = steps(&to.layout, shape, item);
        // (Only now: one may have shared the memory that was copied.)
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
    pub(crate) fn copy_now(
        &mut self,
        a: &Array,
        dtype: DType,
        full: &Shared<Layout>,
        perm: PackedPerm,
    ) -> Result<Option<Array>> {
        if !self.inline.allows_more(full.size) {
            return Ok(None);
        }
        let Some(feed) = self.feed(a, dtype, full.shape(), perm) else { return Ok(None) };
        let store = self.passed(feed, full.shape(), perm)?;
        self.counters.inline += 1;
        Ok(Some(made(store, dtype, full, perm)))
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

    /// A new array that is the same everywhere.
    #[inline]
    pub(crate) fn full_now(&mut self, value: Scalar, full: &Shared<Layout>, perm: PackedPerm) -> Result<Option<Array>> {
        if !self.inline.allows_more(full.size) {
            return Ok(None);
        }
        let (item, n) = (value.dtype.size(), full.size);
        let store = Store::alloc(n * item)?;
        // SAFETY: the memory is new and of this size.
        unsafe { moves::fill(item, value.bits.as_ptr().cast(), Rect::packed(store.raw_ptr(), item, n), 1, n) };
        self.counters.inline += 1;
        Ok(Some(made(store, value.dtype, full, perm)))
    }

    /// Writes one array into another, of whose shape it is or to which it is broadcast; false where that is to be recorded.
    pub(crate) fn write_now(&mut self, to: &Array, value: &Array) -> Result<bool> {
        if !self.inline.allows_more(to.size()) || !writes_apart(to) {
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
        // SAFETY: addresses of the first elements; the rooms hold all elements in any type.
        unsafe {
            if same && value.size() == to.size() && value.layout.c_contiguous && to.layout.c_contiguous {
                std::ptr::copy(p, out, to.size() * item);
            } else if same && apart(reach(p, &value.layout, item), reach(out, &to.layout, item)) {
                copy(shape, p, &steps(&value.layout, shape, item), out, &steps(&to.layout, shape, item), item);
            } else {
                let Some(feed) = self.feed(value, to.dtype, shape, 0) else { return Ok(false) };
                let between = self.passed(feed, shape, 0)?;
                copy(shape, between.raw_ptr(), &packed(shape, item), out, &steps(&to.layout, shape, item), item);
            }
        }
        self.counters.inline += 1;
        Ok(true)
    }

    /// Writes one value everywhere; false where that is to be recorded.
    pub(crate) fn fill_now(&mut self, to: &Array, value: Scalar) -> Result<bool> {
        if !self.inline.allows_more(to.size()) || !writes_apart(to) {
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

    /// A reduction over the axes of `a`, seen in the order `perm`; gives the elements that are left, in that order.
    pub(crate) fn reduce_now(
        &mut self,
        a: &Array,
        dtype: DType,
        result: DType,
        reduce: &Reduce,
        perm: PackedPerm,
    ) -> Result<Option<Arc<Store>>> {
        self.inline.count();
        if !self.inline.allows(a.size()) {
            return Ok(None);
        }
        let Some(p) = at_rest(self, a) else { return Ok(None) };
        let ordered = if perm == 0 { None } else { Some(in_order(a.shape(), perm)) };
        let shape = ordered.as_deref().unwrap_or(a.shape());
        let direct = a.layout.c_contiguous && perm == 0 && a.dtype == dtype;
        if !array::reduces(reduce, dtype, shape) || !direct && !self.inline.allows_more(a.size()) {
            return Ok(None);
        }
        let gathered = match (direct, self.feed(a, dtype, a.shape(), perm)) {
            (false, Some(feed)) => Some(self.passed(feed, a.shape(), perm)?),
            _ => None,
        };
        let from = gathered.as_ref().map_or(p, |g| g.raw_ptr());
        let kept: usize = (0..shape.len()).filter(|d| !reduce.axes.contains(&(*d as u32))).map(|d| shape[d]).product();
        let store = Store::alloc(kept * result.size())?;
        // SAFETY: all elements lie in C order at `from`; the new memory has room for a result for each kept place.
        unsafe { array::reduce(reduce, dtype, shape, from, result, store.raw_ptr())? };
        self.counters.inline += 1;
        Ok(Some(store))
    }

    /// The reduction of all elements to one number.
    pub(crate) fn reduce_all_now(
        &mut self,
        a: &Array,
        reducer: Reducer,
        dtype: DType,
        result: DType,
    ) -> Option<Scalar> {
        self.inline.count();
        if !self.inline.allows(a.size()) || !a.layout.c_contiguous || a.dtype != dtype {
            return None;
        }
        let p = at_rest(self, a)?;
        // SAFETY: the elements lie one after the other.
        let bits = unsafe { crate::tree::reduce(reducer, dtype, p, a.size()) };
        self.counters.inline += 1;
        Some(Scalar { dtype: result, bits: low_bits(bits, result) })
    }

    /// A product of matrices.
    pub(crate) fn matmul_now(
        &mut self,
        a: &Array,
        b: &Array,
        dtype: DType,
        full: &Shared<Layout>,
    ) -> Result<Option<Array>> {
        self.inline.count();
        let work = full.size * a.shape().last().copied().unwrap_or(1);
        if !self.inline.allows(full.size) || work > PRODUCT || work == 0 || a.dtype != dtype || b.dtype != dtype {
            return Ok(None);
        }
        let (Some(p), Some(q)) = (at_rest(self, a), at_rest(self, b)) else { return Ok(None) };
        let item = dtype.size();
        let store = Store::alloc(full.size * item)?;
        let (a_by, b_by, by) = (steps_of(a), steps_of(b), packed(full.shape(), item));
        let a = Strided { ptr: p, dtype, shape: a.shape(), strides: &a_by };
        let b = Strided { ptr: q, dtype, shape: b.shape(), strides: &b_by };
        let out = Strided { ptr: store.raw_ptr(), dtype, shape: full.shape(), strides: &by };
        crate::library::run(&Opaque::Matmul, &[a, b], &out)?;
        self.counters.inline += 1;
        Ok(Some(made(store, dtype, full, 0)))
    }

    /// `a[index]` for one array of 64-bit integers, over the first axis.
    pub(crate) fn take_now(&mut self, a: &Array, index: &Array) -> Result<Option<Array>> {
        let (n, row) = (index.size(), a.shape()[1..].iter().product::<usize>());
        if self.inline.limit == 0 || n * row > GATHERED || n * row == 0 || !index.layout.c_contiguous {
            return Ok(None);
        }
        let item = a.dtype.size();
        let together = a.ndim() == 1 || a.layout.c_contiguous;
        let (Some(from), Some(at), true) = (at_rest(self, a), at_rest(self, index), together) else { return Ok(None) };
        let (extent, by) = (a.shape()[0] as i64, a.layout.strides[0] as isize * item as isize);
        let store = Store::alloc(n * row * item)?;
        let to = store.raw_ptr();
        // SAFETY: an aligned run of n integers: stores are aligned, and so is foreign memory that is not copied.
        let index_at = unsafe { std::slice::from_raw_parts(at.cast::<i64>(), n) };
        let Some(places) = Places::new(index_at, extent) else { return Ok(None) };
        // SAFETY: places within the array, and room for each.
        unsafe {
            match (item * row, places) {
                (8, Places::Plain) => {
                    for (k, &i) in index_at.iter().enumerate() {
                        let p = from.wrapping_offset(i as isize * by);
                        to.cast::<u64>().add(k).write(p.cast::<u64>().read_unaligned());
                    }
                }
                (bytes, _) => {
                    for (k, &i) in index_at.iter().enumerate() {
                        let i = if i < 0 { i + extent } else { i };
                        to.add(k * bytes).copy_from_nonoverlapping(from.wrapping_offset(i as isize * by), bytes);
                    }
                }
            }
        }
        self.counters.inline += 1;
        let shape: SmallVec<[usize; 4]> = index.shape().iter().chain(&a.shape()[1..]).copied().collect();
        Ok(Some(made(store, a.dtype, &Layout::identity(&shape), 0)))
    }

    /// `a[index] = value` for one array of 64-bit integers and an array of one axis; false where another way is to be found.
    pub(crate) fn put_now(&mut self, a: &Array, index: &Array, value: &Operand) -> Result<bool> {
        let n = index.size();
        if self.inline.limit == 0 || n > GATHERED || n == 0 || a.ndim() != 1 || !index.layout.c_contiguous {
            return Ok(false);
        }
        if index.dtype != DType::I64 || !writes_apart(a) {
            return Ok(false);
        }
        let item = a.dtype.size();
        let (same, by_each) = match value {
            Operand::Weak(w) => match w.assigned(a.dtype) {
                Ok(v) => (v.bits, None),
                // NumPy has words for what does not fit.
                Err(_) => return Ok(false),
            },
            Operand::Typed(v) if v.dtype == a.dtype => (v.bits, None),
            Operand::Array(v)
                if v.dtype == a.dtype
                    && v.shape() == index.shape()
                    && v.layout.c_contiguous
                    && !Shared::ptr_eq(&v.base, &a.base)
                    && at_rest(self, v).is_some() =>
            {
                ([0; 2], Some(*v))
            }
            Operand::Typed(_) | Operand::Array(_) => return Ok(false),
        };
        if Shared::ptr_eq(&index.base, &a.base) || at_rest(self, index).is_none() {
            return Ok(false);
        }
        let extent = a.shape()[0] as i64;
        let indices = |s: &Session| {
            // SAFETY: as in `take_now`.
            at_rest(s, index).map(|at| unsafe { std::slice::from_raw_parts(at.cast::<i64>(), n) })
        };
        if indices(self).and_then(|i| Places::new(i, extent)).is_none() {
            return Ok(false);
        }
        let Some(to) = own(self, a)? else { return Ok(false) };
        let by = a.layout.strides[0] as isize * item as isize;
        let Some(all) = indices(self) else { return Ok(false) };
        let together =
            |p: *const u8, x: &Array| !apart(reach(p, &x.layout, x.dtype.size()), reach(to, &a.layout, item));
        if together(all.as_ptr().cast(), index) {
            return Ok(false);
        }
        let (from, step) = match by_each {
            Some(v) => match at_rest(self, v) {
                Some(p) if !together(p, v) => (p.cast_const(), item),
                Some(_) | None => return Ok(false),
            },
            None => (same.as_ptr().cast::<u8>(), 0),
        };
        // SAFETY: places within the array, which is nobody else's; a value for each of them, or one for all.
        unsafe {
            for (k, &i) in all.iter().enumerate() {
                let i = if i < 0 { i + extent } else { i };
                let (p, v) = (to.wrapping_offset(i as isize * by), from.add(k * step));
                if item == 8 {
                    p.cast::<u64>().write_unaligned(v.cast::<u64>().read_unaligned());
                } else {
                    std::ptr::copy(v, p, item);
                }
            }
        }
        self.counters.inline += 1;
        Ok(true)
    }

    /// The sum of products of two vectors.
    pub(crate) fn dot_now(&mut self, a: &Array, b: &Array) -> Result<Option<Scalar>> {
        let (dtype, n) = (a.dtype, a.size());
        if self.inline.limit == 0 || n > PRODUCT || b.dtype != dtype || a.ndim() != 1 || b.shape() != a.shape() {
            return Ok(None);
        }
        let mut bits = [0u64; 2];
        if n == 0 {
            return Ok(Some(Scalar { dtype, bits }));
        }
        let (Some(p), Some(q)) = (at_rest(self, a), at_rest(self, b)) else { return Ok(None) };
        self.inline.count();
        let item = dtype.size() as i64;
        let (by_a, by_b) = (a.layout.strides[0] * item, b.layout.strides[0] * item);
        let a = Strided { ptr: p, dtype, shape: &[1, n], strides: &[by_a * n as i64, by_a] };
        let b = Strided { ptr: q, dtype, shape: &[n, 1], strides: &[by_b, item] };
        let out = Strided { ptr: bits.as_mut_ptr().cast(), dtype, shape: &[1, 1], strides: &[item, item] };
        crate::library::run(&Opaque::Matmul, &[a, b], &out)?;
        self.counters.inline += 1;
        Ok(Some(Scalar { dtype, bits }))
    }

    /// How many elements of a boolean array are true.
    pub(crate) fn count_now(&mut self, a: &Array) -> Option<usize> {
        if self.inline.limit == 0 || a.dtype != DType::Bool || a.size() > GATHERED || !a.layout.c_contiguous {
            return None;
        }
        let p = at_rest(self, a)?;
        // SAFETY: so many bytes, one after the other.
        let all = unsafe { std::slice::from_raw_parts(p, a.size()) };
        Some(all.chunks(255).map(|c| c.iter().map(|&b| (b != 0) as u8).sum::<u8>() as usize).sum())
    }

    /// Arrays joined along an axis of a new one.
    pub(crate) fn join_now(
        &mut self,
        parts: &[Array],
        axis: usize,
        dtype: DType,
        full: &Shared<Layout>,
    ) -> Result<Option<Array>> {
        if !self.inline.allows_more(full.size) {
            return Ok(None);
        }
        if parts.iter().any(|p| at_rest(self, p).is_none()) {
            return Ok(None);
        }
        let item = dtype.size();
        let store = Store::alloc(full.size * item)?;
        let by = packed(full.shape(), item);
        let mut to = store.raw_ptr();
        for part in parts.iter().filter(|p| p.size() > 0) {
            let Some(p) = at_rest(self, part) else { return Ok(None) };
            let (shape, in_one) = (part.shape(), part.layout.c_contiguous && axis == 0);
            // SAFETY: the parts' places in the new memory; the rooms hold as many elements of any type.
            unsafe {
                if part.dtype != dtype {
                    let Some(feed) = self.feed(part, dtype, shape, 0) else { return Ok(None) };
                    self.passes.run(Code::Copy, &[feed], dtype, shape, (to, &by))?;
                } else if in_one {
                    to.copy_from_nonoverlapping(p, part.size() * item);
                } else {
                    copy(shape, p, &steps(&part.layout, shape, item), to, &by, item);
                }
            }
            to = to.wrapping_offset(part.shape()[axis] as isize * by[axis] as isize);
        }
        self.counters.inline += 1;
        Ok(Some(made(store, dtype, full, 0)))
    }

    /// `start + i * delta` for each place.
    pub(crate) fn ramp_now(&mut self, start: Scalar, delta: Scalar, full: &Shared<Layout>) -> Result<Option<Array>> {
        if !self.inline.allows_more(full.size) {
            return Ok(None);
        }
        let store = Store::alloc(full.size * 8)?;
        // SAFETY: the memory is new and has room for so many 64-bit numbers.
        unsafe {
            match start.dtype {
                DType::I64 => {
                    let (start, delta) = (start.bits[0] as i64, delta.bits[0] as i64);
                    let out = std::slice::from_raw_parts_mut(store.raw_ptr().cast::<i64>(), full.size);
                    out.iter_mut()
                        .enumerate()
                        .for_each(|(i, o)| *o = start.wrapping_add((i as i64).wrapping_mul(delta)));
                }
                DType::F64 => {
                    let (start, delta) = (start.as_f64(), delta.as_f64());
                    let out = std::slice::from_raw_parts_mut(store.raw_ptr().cast::<f64>(), full.size);
                    out.iter_mut().enumerate().for_each(|(i, o)| *o = start + i as f64 * delta);
                }
                _ => return Ok(None),
            }
        }
        self.counters.inline += 1;
        Ok(Some(made(store, start.dtype, full, 0)))
    }
}

/// The lowest bytes that a type has.
fn low_bits(bits: [u64; 2], dtype: DType) -> [u64; 2] {
    match dtype.size() {
        16 => bits,
        8 => [bits[0], 0],
        n => [bits[0] & ((1 << (8 * n)) - 1), 0],
    }
}

fn steps_of(a: &Array) -> Strides {
    a.layout.strides.iter().map(|&s| s * a.dtype.size() as i64).collect()
}

/// Indices within an axis.
enum Places {
    /// None of them counts from the end.
    Plain,
    Wrapped,
}

impl Places {
    /// `None` where one is outside.
    fn new(all: &[i64], extent: i64) -> Option<Places> {
        // The sign says whether one is below 0 or beyond the end, for all of them at once.
        if all.iter().fold(0, |bad, &i| bad | i | (extent - 1).wrapping_sub(i)) >= 0 {
            return Some(Places::Plain);
        }
        all.iter().all(|&i| (-extent..extent).contains(&i)).then_some(Places::Wrapped)
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
