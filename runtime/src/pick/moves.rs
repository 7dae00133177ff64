//! Elements brought together and spread out: those that a mask selects, those that integers name.
//!
//! A boundary file: it reads and writes elements by address.

use std::arch::x86_64::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use legate_jit_ir::shape::{c_strides, size};
use legate_jit_vmath::{Isa, isa};
use smallvec::SmallVec;

use super::selection::{Selection, Words};
use crate::array::host::gather;
use crate::{Error, HostView, Result, Store, pool};

/// Bytes between a chunk's first and last row from which it is hardly in a cache that is near.
const FAR: usize = 256 << 10;
/// Tasks fewer than this, of some ten microseconds each, are done sooner than another thread has woken up.
const FEW: usize = 6;

/// Runs `task` for each index below `count`, on all threads where that pays.
pub(crate) fn parallel(count: usize, task: &(dyn Fn(usize) + Sync)) -> Result<()> {
    if count < FEW {
        (0..count).for_each(task);
        return Ok(());
    }
    pool::run(count, &|i, _| task(i)).map_err(Error::Runtime)
}

/// An address that threads share: each touches elements of its own.
#[derive(Clone, Copy)]
struct Addr(*mut u8);
// SAFETY: what is done with the address says who touches what.
unsafe impl Send for Addr {}
// SAFETY: as above.
unsafe impl Sync for Addr {}

impl Addr {
    /// (A method, so that closures capture the whole and not the pointer in it.)
    #[inline(always)]
    fn at(self, bytes: isize) -> *mut u8 {
        self.0.wrapping_offset(bytes)
    }
}

/// The rows of an array: what lies at one index of its leading axes.
struct Rows {
    base: Addr,
    /// Extent and step in bytes of the leading axes, those merged that lie behind each other.
    axes: SmallVec<[(usize, isize); 4]>,
    /// Bytes of a row in C order.
    bytes: usize,
    /// A row that does not lie in C order: its shape and strides, and the size of an element.
    scattered: Option<(legate_jit_ir::Shape, SmallVec<[i64; 4]>, usize)>,
}

impl Rows {
    fn new(view: &HostView, leading: usize) -> Rows {
        let item = view.dtype.size();
        let mut axes: SmallVec<[(usize, isize); 4]> = SmallVec::new();
        for (&n, &step) in view.shape[..leading].iter().zip(&view.strides) {
            match axes.last_mut() {
                Some((m, outer)) if *outer == n as isize * step as isize => (*m, *outer) = (*m * n, step as isize),
                _ => axes.push((n, step as isize)),
            }
        }
        let (rest, strides) = (&view.shape[leading..], &view.strides[leading..]);
        let in_order =
            rest.iter().zip(strides).zip(c_strides(rest)).all(|((&n, &s), c)| n == 1 || s == c * item as i64);
        Rows {
            base: Addr(view.ptr),
            axes,
            bytes: size(rest) * item,
            scattered: (!in_order).then(|| (rest.into(), strides.into(), item)),
        }
    }

    /// Calls `f(first, length, address, step)` for the pieces of the places `from..from + n` in each of which the rows lie
    /// at one step; `first` counts from `from`.
    fn pieces(&self, from: usize, n: usize, mut f: impl FnMut(usize, usize, *mut u8, isize)) {
        let Some((&(inner, step), outer)) = self.axes.split_last() else {
            return f(0, n, self.base.at(0), 0);
        };
        let mut done = 0;
        while done < n {
            let place = from + done;
            let (mut line, within) = if outer.is_empty() { (0, place) } else { (place / inner, place % inner) };
            let length = if outer.is_empty() { n } else { (inner - within).min(n - done) };
            let mut at = within as isize * step;
            for &(m, s) in outer.iter().rev() {
                at += (line % m) as isize * s;
                line /= m;
            }
            f(done, length, self.base.at(at), step);
            done += length;
        }
    }
}

/// Calls `$f::<N>($args)` with N the number of bytes where it is a common one, else with 0.
macro_rules! by_size {
    ($bytes:expr, $f:ident($($arg:expr),*)) => {
        match $bytes {
            1 => $f::<1>($($arg),*),
            2 => $f::<2>($($arg),*),
            4 => $f::<4>($($arg),*),
            8 => $f::<8>($($arg),*),
            16 => $f::<16>($($arg),*),
            24 => $f::<24>($($arg),*),
            32 => $f::<32>($($arg),*),
            64 => $f::<64>($($arg),*),
            _ => $f::<0>($($arg),*),
        }
    };
}

/// Copies a row of N bytes, or of `bytes` where N is 0.
///
/// # Safety
/// Both rows are valid and do not overlap.
#[inline(always)]
unsafe fn row<const N: usize>(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if N == 0 {
            to.copy_from_nonoverlapping(from, bytes);
        } else {
            to.cast::<[u8; N]>().write_unaligned(from.cast::<[u8; N]>().read_unaligned());
        }
    }
}

/// What a mask over the leading axes selects, in C order.
pub(crate) fn compress(view: &HostView, selection: &Selection) -> Result<Arc<Store>> {
    let rows = Rows::new(view, selection.shape.len());
    let out = Store::alloc(selection.count() * rows.bytes)?;
    if out.bytes() == 0 {
        return Ok(out);
    }
    let to = Addr(out.as_mut_ptr());
    parallel(selection.chunks(), &|c| {
        let start = to.at((selection.before(c) * rows.bytes) as isize);
        match rows.scattered {
            None => by_size!(rows.bytes, compress_chunk(&rows, selection, c, start)),
            Some(_) => compress_scattered(&rows, selection, c, start),
        }
    })?;
    Ok(out)
}

fn compress_chunk<const N: usize>(rows: &Rows, selection: &Selection, chunk: usize, mut to: *mut u8) {
    let bytes = rows.bytes;
    let mut words = Words::new();
    rows.pieces(Selection::start(chunk), selection.chunk_size(chunk), |first, n, from, step| {
        let words = selection.places(chunk, first, n, &mut words);
        let near = n * step.unsigned_abs() < FAR;
        if (N == 4 || N == 8) && step == N as isize && isa() == Isa::Avx512 {
            // SAFETY: the processor has it; there are as many rows as the mask has places, and `to` has room for the chunk's own.
            unsafe {
                to = match (N, near) {
                    (4, true) => pressed_4::<true>(words.words(), from, to),
                    (4, false) => pressed_4::<false>(words.words(), from, to),
                    (_, true) => pressed_8::<true>(words.words(), from, to),
                    (_, false) => pressed_8::<false>(words.words(), from, to),
                }
            }
            return;
        }
        let copy = |at: usize, length: usize| {
            let from = from.wrapping_offset(at as isize * step);
            // SAFETY: the rows that the mask names are within the view; `to` has room for the chunk's own.
            unsafe {
                if length == 1 {
                    row::<N>(from, to, bytes);
                } else if step == bytes as isize {
                    to.copy_from_nonoverlapping(from, length * bytes);
                } else {
                    for k in 0..length {
                        row::<N>(from.wrapping_offset(k as isize * step), to.add(k * bytes), bytes);
                    }
                }
                to = to.add(length * bytes);
            }
        };
        if near {
            return words.runs(copy);
        }
        words.runs_announced(copy, |at| {
            // SAFETY: a hint about an address; no memory is touched.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(from.wrapping_offset(at as isize * step).cast()) }
        });
    });
}

/// Words with places ahead of the one that is pressed whose elements are asked for.
const SOON: usize = 6;
/// Words that are looked through for places before any of them is pressed.
const LOOKED_THROUGH: usize = 512;

/// Elements of so many bytes, one behind the other, of which those that the words name go to `to`, a vector at a time; gives the
/// address behind them.
macro_rules! pressed {
    ($name:ident, $t:ty, $mask:ty, $load:ident, $press:ident, $store:ident) => {
        /// # Safety
        /// AVX-512 is there; every place that the words name is one of an element, and `to` has room for them.
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,popcnt,bmi1,bmi2")]
        unsafe fn $name<const NEAR: bool>(words: &[u64], from: *const u8, to: *mut u8) -> *mut u8 {
            const LANES: usize = <$mask>::BITS as usize;
            let (from, mut to) = (from.cast::<$t>(), to.cast::<$t>());
            let place = |k: usize, group: usize| from.wrapping_add(64 * k + LANES * group);
            let first_of = |word: u64| word.trailing_zeros() as usize / LANES;
            let rest = |word: u64, group: usize| word & !((<$mask>::MAX as u64) << (LANES * group));
            let mut some = [0u16; LOOKED_THROUGH];
            for (block, words) in words.chunks(LOOKED_THROUGH).enumerate() {
                // Where masks select little, most words have no places.
                let mut n = 0;
                for (k, eight) in words.chunks(8).enumerate() {
                    if eight.iter().fold(0, |all, w| all | w) != 0 {
                        for (j, &word) in eight.iter().enumerate() {
                            some[n] = (8 * k + j) as u16;
                            n += (word != 0) as usize;
                        }
                    }
                }
                let some = &some[..n];
                for (k, &at) in some.iter().enumerate() {
                    if !NEAR && let Some(&soon) = some.get(k + SOON) {
                        let mut later = words[soon as usize];
                        while later != 0 {
                            let group = first_of(later);
                            // (A hint about an address: no memory is touched.)
                            _mm_prefetch::<_MM_HINT_T0>(place(LOOKED_THROUGH * block + soon as usize, group).cast());
                            later = rest(later, group);
                        }
                    }
                    let mut word = words[at as usize];
                    while word != 0 {
                        let group = first_of(word);
                        let some = (word >> (LANES * group)) as $mask;
                        // SAFETY: only elements that the word names are read and written.
                        unsafe {
                            let all = $load(some, place(LOOKED_THROUGH * block + at as usize, group).cast());
                            let n = some.count_ones();
                            let room = ((1u32 << n) - 1) as $mask;
                            $store(to.cast(), room, $press(some, all));
                            to = to.add(n as usize);
                        }
                        word = rest(word, group);
                    }
                }
            }
            to.cast()
        }
    };
}

pressed!(pressed_4, u32, u16, _mm512_maskz_loadu_epi32, _mm512_maskz_compress_epi32, _mm512_mask_storeu_epi32);
pressed!(pressed_8, u64, u8, _mm512_maskz_loadu_epi64, _mm512_maskz_compress_epi64, _mm512_mask_storeu_epi64);

fn compress_scattered(rows: &Rows, selection: &Selection, chunk: usize, mut to: *mut u8) {
    let Some((shape, strides, item)) = &rows.scattered else { return };
    let mut words = Words::new();
    rows.pieces(Selection::start(chunk), selection.chunk_size(chunk), |first, n, from, step| {
        selection.places(chunk, first, n, &mut words).runs(|at, length| {
            for k in at..at + length {
                // SAFETY: as in `compress_chunk`.
                unsafe {
                    gather(from.wrapping_offset(k as isize * step), shape, strides, *item, to);
                    to = to.add(rows.bytes);
                }
            }
        });
    });
}

/// Where values are written from.
pub(crate) enum Source {
    /// Rows in C order, one for each place.
    Each(*const u8),
    /// The same row everywhere.
    Same(*const u8),
}

impl Source {
    /// The first row's address and the step to the next.
    fn steps(&self, bytes: usize) -> (Addr, usize) {
        match *self {
            Source::Each(p) => (Addr(p.cast_mut()), bytes),
            Source::Same(p) => (Addr(p.cast_mut()), 0),
        }
    }
}

/// Writes rows to the places that a mask over the leading axes selects.
///
/// # Safety
/// `to` is writable and nobody else reads or writes it meanwhile; the source has its rows, outside of it. The rows of `to`
/// lie in C order.
pub(crate) unsafe fn scatter(source: Source, selection: &Selection, to: &HostView) -> Result<()> {
    let rows = Rows::new(to, selection.shape.len());
    if rows.scattered.is_some() {
        return Err(Error::Unsupported("a masked write to rows that are not contiguous".into()));
    }
    if rows.bytes == 0 {
        return Ok(());
    }
    let (from, step) = source.steps(rows.bytes);
    parallel(selection.chunks(), &|c| {
        let start = from.at((selection.before(c) * step) as isize);
        by_size!(rows.bytes, scatter_chunk(&rows, selection, c, start, step));
    })
}

fn scatter_chunk<const N: usize>(rows: &Rows, selection: &Selection, chunk: usize, mut from: *const u8, each: usize) {
    let bytes = rows.bytes;
    let mut words = Words::new();
    rows.pieces(Selection::start(chunk), selection.chunk_size(chunk), |first, n, to, step| {
        selection.places(chunk, first, n, &mut words).runs(|at, length| {
            for k in at..at + length {
                // SAFETY: the caller of `scatter` promises the rows on both sides.
                unsafe {
                    row::<N>(from, to.wrapping_offset(k as isize * step), bytes);
                    from = from.add(each);
                }
            }
        });
    });
}

/// Integer indices for the leading axes of an array: one contiguous run of 64-bit integers an axis, all of one length.
pub(crate) struct Indices<'a> {
    pub(crate) axes: &'a [&'a [i64]],
    pub(crate) count: usize,
}

/// Indices worked on at a time.
const BLOCK: usize = 1024;
/// Blocks that a thread takes at a time.
const BLOCKS: usize = 8;

/// The first index of each axis that is out of bounds, if one is.
struct Bad(SmallVec<[AtomicUsize; 2]>);

impl Bad {
    fn new(axes: usize) -> Bad {
        Bad((0..axes).map(|_| AtomicUsize::new(usize::MAX)).collect())
    }

    /// NumPy's words, in the order in which it looks.
    fn check(&self, indices: &Indices, shape: &[usize]) -> Result<()> {
        for (axis, first) in self.0.iter().enumerate() {
            if let Some(i) = indices.axes[axis].get(first.load(Ordering::Relaxed)) {
                return Err(Error::Index(format!(
                    "index {i} is out of bounds for axis {axis} with size {}",
                    shape[axis]
                )));
            }
        }
        Ok(())
    }
}

/// The byte offsets of the rows that a block of indices names, 0 for those out of bounds.
#[inline(always)]
fn offsets(indices: &Indices, view: &HostView, from: usize, out: &mut [isize], bad: &Bad) {
    out.fill(0);
    for (axis, all) in indices.axes.iter().enumerate() {
        let (n, step) = (view.shape[axis] as i64, view.strides[axis] as isize);
        let mut first = usize::MAX;
        for (k, (o, &i)) in out.iter_mut().zip(&all[from..]).enumerate() {
            let at = if i < 0 { i.wrapping_add(n) } else { i };
            if at < 0 || at >= n {
                first = first.min(from + k);
            } else {
                *o += at as isize * step;
            }
        }
        if first != usize::MAX {
            bad.0[axis].fetch_min(first, Ordering::Relaxed);
        }
    }
}

/// `view[i, j, …]` for arrays of integers over the leading axes, C order.
pub(crate) fn take(view: &HostView, indices: &Indices) -> Result<Arc<Store>> {
    let leading = indices.axes.len();
    let rows = Rows::new(view, leading);
    if rows.scattered.is_some() {
        return Err(Error::Unsupported("rows that are not contiguous".into()));
    }
    let out = Store::alloc(indices.count * rows.bytes)?;
    let bad = Bad::new(leading);
    // Where there is nothing to read at all, every index is out of bounds, and nothing is read.
    let nothing = view.shape.contains(&0);
    let (from, to) = (Addr(view.ptr), Addr(out.as_mut_ptr()));
    parallel(indices.count.div_ceil(BLOCK * BLOCKS), &|task| {
        let end = ((task + 1) * BLOCK * BLOCKS).min(indices.count);
        let mut at = task * BLOCK * BLOCKS;
        if let (&[all], false) = (indices.axes, nothing) {
            let to = to.at((at * rows.bytes) as isize);
            let one = (view.shape[0], view.strides[0] as isize);
            if let Some(k) = by_size!(rows.bytes, take_from_one(from.at(0), one, &all[at..end], to, rows.bytes)) {
                bad.0[0].fetch_min(at + k, Ordering::Relaxed);
            }
            return;
        }
        let mut block = [0isize; BLOCK];
        while at < end {
            let n = BLOCK.min(end - at);
            offsets(indices, view, at, &mut block[..n], &bad);
            if !nothing {
                let to = to.at((at * rows.bytes) as isize);
                by_size!(rows.bytes, take_block(from.at(0), &block[..n], to, rows.bytes));
            }
            at += n;
        }
    })?;
    bad.check(indices, &view.shape)?;
    Ok(out)
}

/// The rows that indices of one axis name; the first index out of bounds, if one is.
fn take_from_one<const N: usize>(
    from: *const u8,
    (n, step): (usize, isize),
    indices: &[i64],
    to: *mut u8,
    bytes: usize,
) -> Option<usize> {
    let mut first = None;
    for (k, &i) in indices.iter().enumerate() {
        let at = if i < 0 { i.wrapping_add(n as i64) } else { i } as usize;
        if at >= n {
            first = first.or(Some(k));
            continue;
        }
        // SAFETY: the index is within the axis; `to` has a row for each.
        unsafe { row::<N>(from.wrapping_offset(at as isize * step), to.add(k * bytes), bytes) };
    }
    first
}

fn take_block<const N: usize>(from: *const u8, offsets: &[isize], to: *mut u8, bytes: usize) {
    for (k, &o) in offsets.iter().enumerate() {
        // SAFETY: the offsets are those of rows within the view; `to` has a row for each.
        unsafe { row::<N>(from.wrapping_offset(o), to.add(k * bytes), bytes) };
    }
}

/// `to[i] = f(to[i], value)`, one index after the other. The values lie so many bytes apart.
///
/// # Safety
/// `to` has one axis and elements of type T, and is writable; nobody else reads or writes it meanwhile. The indices lie within it.
/// There is a value for each, none of them in `to`.
pub(crate) unsafe fn combine<T: Copy>(
    indices: &[i64],
    (from, step): (*const u8, isize),
    to: &HostView,
    f: impl Fn(T, T) -> T,
) {
    let (n, by) = (to.shape[0] as i64, to.strides[0] as isize);
    for (k, &i) in indices.iter().enumerate() {
        let i = if i < 0 { i + n } else { i };
        // SAFETY: the caller's promise.
        unsafe {
            let at = to.ptr.wrapping_offset(i as isize * by).cast::<T>();
            let value = from.wrapping_offset(k as isize * step).cast::<T>().read_unaligned();
            at.write_unaligned(f(at.read_unaligned(), value));
        }
    }
}

/// `to[i, j, …] = source`, in the order of the indices: of two equal ones the last stays. Nothing is written if an index is
/// out of bounds.
///
/// # Safety
/// As for [`scatter`].
pub(crate) unsafe fn put(source: Source, indices: &Indices, to: &HostView) -> Result<()> {
    let leading = indices.axes.len();
    let rows = Rows::new(to, leading);
    if rows.scattered.is_some() {
        return Err(Error::Unsupported("rows that are not contiguous".into()));
    }
    let bad = Bad::new(leading);
    let (from, each) = source.steps(rows.bytes);
    let mut block = [0isize; BLOCK];
    // A second look at the indices costs less than to write and then find that nothing should have been written.
    for write in [false, true] {
        let mut at = 0;
        while at < indices.count {
            let n = BLOCK.min(indices.count - at);
            offsets(indices, to, at, &mut block[..n], &bad);
            if write && rows.bytes > 0 {
                let from = from.at((at * each) as isize);
                by_size!(rows.bytes, put_block(from, each, &block[..n], to.ptr, rows.bytes));
            }
            at += n;
        }
        bad.check(indices, &to.shape)?;
    }
    Ok(())
}

fn put_block<const N: usize>(from: *const u8, each: usize, offsets: &[isize], to: *mut u8, bytes: usize) {
    for (k, &o) in offsets.iter().enumerate() {
        // SAFETY: the offsets are those of rows within the target; the caller of `put` promises the source.
        unsafe { row::<N>(from.add(k * each), to.wrapping_offset(o), bytes) };
    }
}

/// The index of every selected place: a row of `ndim` 64-bit integers each.
pub(crate) fn coordinates(selection: &Selection) -> Result<Arc<Store>> {
    let ndim = selection.shape.len();
    let out = Store::alloc(selection.count() * ndim * 8)?;
    let to = Addr(out.as_mut_ptr());
    parallel(selection.chunks(), &|c| {
        let mut to = to.at((selection.before(c) * ndim * 8) as isize).cast::<i64>();
        let start = Selection::start(c);
        selection.places(c, 0, selection.chunk_size(c), &mut Words::new()).runs(|at, length| {
            for place in start + at..start + at + length {
                // SAFETY: `to` has a row for each selected place, and the chunk's own begin where its first goes.
                unsafe {
                    if ndim == 1 {
                        to.write(place as i64);
                    } else {
                        let mut rest = place;
                        for d in (0..ndim).rev() {
                            to.add(d).write((rest % selection.shape[d]) as i64);
                            rest /= selection.shape[d];
                        }
                    }
                    to = to.add(ndim);
                }
            }
        });
    })?;
    Ok(out)
}
