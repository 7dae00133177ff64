//! Reductions over chunks, in NumPy's order: what a chunk contributes, how a long sequence is cut into chunks, and how their
//! contributions are combined, so that the bits do not depend on who computed which chunk.
//!
//! Three kinds of order exist. Float sums follow NumPy's pairwise tree, whose subtrees are the chunks ([`cut`]). Where the order
//! cannot be seen (integers, bools, `maximum` and its kin) any cut will do. The rest, like float products, goes strictly in
//! order: such a reduction cannot be split ([`splits`]), and each chunk starts from the result so far ([`reduce_from`]).
//!
//! This is a boundary file: it takes addresses of elements whose type is known only at run time.

mod arg;
pub(crate) mod array;
mod extreme;
mod fold;
pub mod open;
mod pairwise;
pub mod parts;
mod short;

use std::ops::Range;

use legate_jit_ir::graph::Reducer;
use legate_jit_ir::{DType, Ufunc};

/// One element's bits, as in `Scalar::bits`; while an argmin or argmax is under way (value, index) instead.
pub type Element = [u64; 2];

/// The most elements of a leaf of the tree.
pub const LEAF: usize = pairwise::BLOCK;

/// How a reduction must go.
enum Kind {
    /// A float sum: NumPy's pairwise tree.
    Pairwise,
    Fold(&'static fold::Fold),
    Arg(arg::Arg),
}

fn kind(reducer: Reducer, dtype: DType) -> Option<Kind> {
    match reducer {
        Reducer::Ufunc(Ufunc::Add) if dtype.is_float() || dtype.is_complex() => Some(Kind::Pairwise),
        Reducer::Ufunc(u) => fold::fold(u, dtype).map(Kind::Fold),
        Reducer::ArgMin => arg::arg(dtype, false).map(Kind::Arg),
        Reducer::ArgMax => arg::arg(dtype, true).map(Kind::Arg),
    }
}

fn known(reducer: Reducer, dtype: DType) -> Kind {
    kind(reducer, dtype).unwrap_or_else(|| panic!("no reduction {reducer:?} over {dtype}: see tree::supported"))
}

/// Whether this module can reduce elements of this type; what it cannot the recorder must not record. All binary operations
/// whose result has the arguments' type, and argmin and argmax of real numbers.
pub fn supported(reducer: Reducer, dtype: DType) -> bool {
    kind(reducer, dtype).is_some()
}

pub fn is_arg(reducer: Reducer) -> bool {
    matches!(reducer, Reducer::ArgMin | Reducer::ArgMax)
}

/// Whether it is a sum that follows NumPy's tree.
pub fn is_pairwise(reducer: Reducer, dtype: DType) -> bool {
    matches!(kind(reducer, dtype), Some(Kind::Pairwise))
}

/// The reduction of no elements, where there is one.
pub fn identity(reducer: Reducer, dtype: DType) -> Option<Element> {
    match reducer {
        Reducer::Ufunc(u) => u.props().identity.map(|i| i.scalar(dtype).bits),
        Reducer::ArgMin | Reducer::ArgMax => None,
    }
}

/// Whether chunks may be reduced apart, in any order, and then combined.
pub fn splits(reducer: Reducer, dtype: DType) -> bool {
    match reducer {
        Reducer::Ufunc(Ufunc::Add) => true,
        Reducer::Ufunc(u) => fold::associative(u, dtype),
        Reducer::ArgMin | Reducer::ArgMax => true,
    }
}

/// Whether two reductions over the same elements can use the same cut. Complex sums have a tree of their own.
pub fn same_cut(a: (Reducer, DType), b: (Reducer, DType)) -> bool {
    let sum = |r: (Reducer, DType)| r.0 == Reducer::Ufunc(Ufunc::Add) && (r.1.is_float() || r.1.is_complex());
    !sum(a) || !sum(b) || a.1.is_complex() == b.1.is_complex()
}

/// The maximal subtrees of at most `max` elements of the tree over n elements, in order. The tree halves what has more than 128
/// floats, so `max` must be at least that. A cut for complex elements differs from one for real ones.
pub fn cut(n: usize, max: usize, complex: bool) -> Vec<Range<usize>> {
    assert!(max >= pairwise::BLOCK, "a block of {} is not cut", pairwise::BLOCK);
    let mut out = Vec::with_capacity(2 * n.div_ceil(max));
    cut_into(0..n, max, complex, &mut out);
    out
}

fn cut_into(range: Range<usize>, max: usize, complex: bool, out: &mut Vec<Range<usize>>) {
    if range.len() <= max {
        out.push(range);
        return;
    }
    let middle = range.start + half(range.len(), complex);
    cut_into(range.start..middle, max, complex, out);
    cut_into(middle..range.end, max, complex, out);
}

fn half(n: usize, complex: bool) -> usize {
    if complex { pairwise::half(2 * n) / 2 } else { pairwise::half(n) }
}

fn complex_sum(reducer: Reducer, dtype: DType) -> bool {
    reducer == Reducer::Ufunc(Ufunc::Add) && dtype.is_complex()
}

/// The contribution of one chunk of `len` ≥ 1 elements; of argmin and argmax the index in the chunk (see [`arg_partial`]).
///
/// # Safety
/// `ptr` must point to `len` elements.
pub unsafe fn reduce(reducer: Reducer, dtype: DType, ptr: *const u8, len: usize) -> Element {
    let mut out: Element = [0; 2];
    // SAFETY: the caller's promise; an Element has room for every type.
    unsafe { reduce_rows(reducer, dtype, ptr, len, 1, &mut out as *mut Element as *mut u8) };
    out
}

/// Reduces each of `rows` rows of `n` ≥ 1 elements, which lie one after the other, to one element of `out` (i64 for argmin and
/// argmax).
///
/// # Safety
/// `ptr` must point to `rows * n` elements and `out` to `rows` results; they must not overlap.
pub unsafe fn reduce_rows(reducer: Reducer, dtype: DType, ptr: *const u8, n: usize, rows: usize, out: *mut u8) {
    use std::slice::{from_raw_parts, from_raw_parts_mut};
    // SAFETY: the caller's promise, for the element type that `dtype` names.
    unsafe {
        match known(reducer, dtype) {
            Kind::Pairwise => match dtype {
                DType::F32 => pairwise::rows_f32(
                    from_raw_parts(ptr as *const f32, n * rows),
                    n,
                    from_raw_parts_mut(out as *mut f32, rows),
                ),
                DType::C64 => pairwise::rows_c64(
                    from_raw_parts(ptr as *const f32, 2 * n * rows),
                    2 * n,
                    from_raw_parts_mut(out as *mut [f32; 2], rows),
                ),
                DType::C128 => pairwise::rows_c128(
                    from_raw_parts(ptr as *const f64, 2 * n * rows),
                    2 * n,
                    from_raw_parts_mut(out as *mut [f64; 2], rows),
                ),
                _ => pairwise::rows_f64(
                    from_raw_parts(ptr as *const f64, n * rows),
                    n,
                    from_raw_parts_mut(out as *mut f64, rows),
                ),
            },
            Kind::Fold(fold) => {
                let size = dtype.size();
                for row in 0..rows {
                    out.add(row * size).copy_from_nonoverlapping(ptr.add(row * n * size), size);
                }
                (fold.apart)(out, ptr.add(size), n - 1, n, rows);
            }
            Kind::Arg(arg) => {
                for row in 0..rows {
                    let index = (arg.find)(ptr.add(row * n * dtype.size()), n);
                    (out as *mut i64).add(row).write_unaligned(index as i64);
                }
            }
        }
    }
}

/// The contribution of a chunk of `n` floats from the sums of its leaves: the chunks that [`cut`] makes of it with [`LEAF`].
///
/// # Safety
/// `sums` must point to `count` numbers.
pub unsafe fn join_leaves(dtype: DType, n: usize, sums: *const u8, count: usize) -> Element {
    // SAFETY: the caller's promise.
    unsafe {
        match dtype {
            DType::F32 => {
                let sums = std::slice::from_raw_parts(sums as *const f32, count);
                [pairwise::join_f32(n, sums).to_bits() as u64, 0]
            }
            _ => [pairwise::join_f64(n, std::slice::from_raw_parts(sums as *const f64, count)).to_bits(), 0],
        }
    }
}

/// Goes on in order with `len` elements after those that gave `acc` (None: these are the first).
///
/// # Safety
/// `ptr` must point to `len` elements.
pub unsafe fn reduce_from(reducer: Reducer, dtype: DType, acc: Option<Element>, ptr: *const u8, len: usize) -> Element {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(mut acc) = acc else { return reduce(reducer, dtype, ptr, len) };
        match known(reducer, dtype) {
            Kind::Fold(fold) => {
                (fold.fold)(&mut acc as *mut Element as *mut u8, ptr, len);
                acc
            }
            Kind::Pairwise | Kind::Arg(_) => {
                panic!("{reducer:?} over {dtype} is reduced chunk by chunk, then combined")
            }
        }
    }
}

/// The contribution of a chunk to an argmin or argmax: (the value, its index in the whole), from what [`reduce`] gave for the
/// chunk that begins at index `start`.
///
/// # Safety
/// `ptr` must point to the chunk that `reduce` saw.
pub unsafe fn arg_partial(dtype: DType, ptr: *const u8, index: Element, start: usize) -> Element {
    let mut value = [0u64; 2];
    let size = dtype.size();
    // SAFETY: the index is inside the chunk; the types here have at most 8 bytes.
    unsafe {
        (&mut value as *mut Element as *mut u8).copy_from_nonoverlapping(ptr.add(index[0] as usize * size), size);
    }
    [value[0], index[0] + start as u64]
}

/// Moves a contribution's index by `offset` elements.
pub fn arg_shift(partial: Element, offset: usize) -> Element {
    [partial[0], partial[1] + offset as u64]
}

/// Whether no elements behind those that gave this contribution can change the result: a bool that decides.
pub fn decides(reducer: Reducer, dtype: DType, partial: Element) -> bool {
    let value = partial[0] as u8 != 0;
    dtype == DType::Bool
        && match reducer {
            Reducer::Ufunc(Ufunc::LogicalOr | Ufunc::BitwiseOr | Ufunc::Maximum) | Reducer::ArgMax => value,
            Reducer::Ufunc(Ufunc::LogicalAnd | Ufunc::BitwiseAnd | Ufunc::Minimum) | Reducer::ArgMin => !value,
            Reducer::Ufunc(_) => false,
        }
}

/// The result of a reduction of bools that begin with `len` ≥ 1 elements, where these decide it.
///
/// # Safety
/// `ptr` must point to `len` bools.
pub unsafe fn decided_by(reducer: Reducer, ptr: *const u8, len: usize) -> Option<Element> {
    // SAFETY: the caller's promise.
    let partial = unsafe {
        let partial = reduce(reducer, DType::Bool, ptr, len);
        if is_arg(reducer) { arg_partial(DType::Bool, ptr, partial, 0) } else { partial }
    };
    decides(reducer, DType::Bool, partial).then(|| finish(reducer, partial))
}

/// Two contributions, the first's elements coming first.
pub fn pair(reducer: Reducer, dtype: DType, a: Element, b: Element) -> Element {
    let mut acc = a;
    let (to, from) = (&mut acc as *mut Element as *mut u8, &b as *const Element as *const u8);
    match known(reducer, dtype) {
        // SAFETY: one element at each address.
        Kind::Pairwise => unsafe { add(dtype)(to, from, 1, 1, 1, 1) },
        // SAFETY: as above.
        Kind::Fold(fold) => unsafe { (fold.fold)(to, from, 1) },
        Kind::Arg(arg) => {
            if (arg.better)([a[0], 0], [b[0], 0]) {
                acc = b;
            }
        }
    }
    acc
}

/// Adds rows, see [`fold::Fold::rows`].
type Add = unsafe fn(*mut u8, *const u8, usize, usize, usize, usize);

fn add(dtype: DType) -> Add {
    fold::fold(Ufunc::Add, dtype).expect("every number can be added").rows
}

/// The contributions of all chunks of `cut(n, max, …)`, combined as the tree says. Still a contribution (see [`finish`]).
pub fn combine_partial(reducer: Reducer, dtype: DType, n: usize, max: usize, partials: &[Element]) -> Element {
    let Kind::Pairwise = known(reducer, dtype) else {
        return partials[1..].iter().fold(partials[0], |a, b| pair(reducer, dtype, a, *b));
    };
    let complex = complex_sum(reducer, dtype);
    let add = add(dtype);
    let mut rest = partials.iter();
    let total = subtree(n, max, complex, &mut || *rest.next().expect("one contribution for each chunk"), add);
    assert!(rest.next().is_none(), "more contributions than chunks");
    total
}

fn subtree(n: usize, max: usize, complex: bool, next: &mut dyn FnMut() -> Element, add: Add) -> Element {
    if n <= max {
        return next();
    }
    let first = half(n, complex);
    let mut a = subtree(first, max, complex, next, add);
    let b = subtree(n - first, max, complex, next, add);
    // SAFETY: one element at each address.
    unsafe { add(&mut a as *mut Element as *mut u8, &b as *const Element as *const u8, 1, 1, 1, 1) };
    a
}

/// As [`combine_partial`], finished.
pub fn combine(reducer: Reducer, dtype: DType, n: usize, max: usize, partials: &[Element]) -> Element {
    finish(reducer, combine_partial(reducer, dtype, n, max, partials))
}

/// The reduction's result from the contribution of all elements: the index alone for argmin and argmax.
pub fn finish(reducer: Reducer, value: Element) -> Element {
    if is_arg(reducer) { [value[1], 0] } else { value }
}

/// Rows in memory: the first one, elements from one to the next, how many there are, and whether they come from beyond the
/// second-level cache.
#[derive(Clone, Copy)]
pub struct Lines {
    pub first: *const u8,
    pub step: usize,
    pub count: usize,
    pub far: bool,
}

/// Rows that are read side by side at most.
const TOGETHER: usize = 32;
/// The same of rows that come from memory, where each is a stream of its own: of 2000 rows of 2000 f64 a core reads 40 GB/s with
/// eight at a time, 19 with 32 or one by one.
const STREAMS: usize = 8;
/// Bytes of a row from which on that is so where rows lie one after the other. Shorter ones are read as they lie: pieces of several
/// rows within a page are no pattern to the processor's prefetching (40 000 rows of 100: 28 GB/s, 13 with two or more at a time).
const STREAM_BYTES: usize = 8 << 10;
/// The same of parts of rows: of 256 columns of 504 a core reads 33 GB/s with eight rows at a time, 13 row by row.
pub const PART_BYTES: usize = 1536;
/// Bytes of a row that is one piece.
const PIECE_BYTES: usize = 256;

impl Lines {
    /// How many rows of n elements had better be read side by side.
    fn together(&self, n: usize, size: usize) -> usize {
        let enough = if self.step > n { PART_BYTES } else { STREAM_BYTES };
        match n * size {
            bytes if !self.far || bytes <= PIECE_BYTES => TOGETHER,
            bytes if bytes >= enough => STREAMS,
            _ => 1,
        }
    }
}

/// Combines rows, of which the first has number `index`, into the results of the rows before them, element by element:
/// `acc[j] = op(acc[j], row[j])`, for j < n. Row 0 begins. For argmin and argmax `acc` are the i64 results, and `best` is room for
/// n elements of 16 bytes that is kept between the calls; the other reductions do not touch it.
///
/// # Safety
/// There are `rows.count` ≥ 1 rows of n elements, and n results at `acc`; they must not overlap.
pub unsafe fn accumulate(
    reducer: Reducer,
    dtype: DType,
    acc: *mut u8,
    best: *mut u8,
    rows: Lines,
    n: usize,
    index: usize,
) {
    let Lines { mut first, step, mut count, .. } = rows;
    // SAFETY: the caller's promise.
    unsafe {
        let fold = match known(reducer, dtype) {
            Kind::Arg(arg) => {
                for i in 0..count {
                    let row = first.add(i * step * dtype.size());
                    (arg.rows)(acc as *mut i64, best as *mut Element, row, n, (index + i) as i64);
                }
                return;
            }
            Kind::Pairwise => {
                if index == 0 {
                    // All bits zero is 0.0, and 0.0 + -0.0 is 0.0, as in NumPy.
                    acc.write_bytes(0, n * dtype.size());
                }
                add(dtype)
            }
            Kind::Fold(fold) => {
                if index == 0 {
                    acc.copy_from_nonoverlapping(first, n * dtype.size());
                    (first, count) = (first.add(step * dtype.size()), count - 1);
                }
                fold.rows
            }
        };
        if count > 0 {
            fold(acc, first, n, step, count, rows.together(n, dtype.size()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legate_jit_ir::Scalar;

    /// Values of a type that tempt: zeros of both signs, NaNs, infinities and the ends of the range.
    fn element(dtype: DType, seed: u64) -> Scalar {
        let r = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        let special = [0.0, -0.0, 1.5, -2.25, f64::INFINITY, 1e-3, 3.0, -1.0];
        let real = |r: u64, nan: bool| match r % 16 {
            15 if nan => f64::NAN,
            k if k < 8 => special[k as usize],
            _ => (r % 1000) as f64 * 0.37 - 150.0,
        };
        match dtype {
            DType::F64 => Scalar::f64(real(r, seed.is_multiple_of(3))),
            DType::F32 => Scalar::f32(real(r, seed.is_multiple_of(3)) as f32),
            DType::C64 => Scalar::c64(real(r, false) as f32, real(r / 7, false) as f32),
            DType::C128 => Scalar::c128(real(r, false), real(r / 7, false)),
            _ => Scalar::int(dtype, r as i128 - (1 << 30)),
        }
    }

    fn bytes(x: &[Scalar]) -> Vec<u8> {
        x.iter().flat_map(|s| s.to_bytes()[..s.dtype.size()].to_vec()).collect()
    }

    fn same(dtype: DType, a: Element, b: Element) -> bool {
        let (a, b) = (Scalar { dtype, bits: a }.as_c128(), Scalar { dtype, bits: b }.as_c128());
        let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        same(a.0, b.0) && same(a.1, b.1)
    }

    #[test]
    fn every_operation_in_order() {
        let mut seen = 0;
        for &u in Ufunc::ALL {
            for dtype in DType::ALL {
                let reducer = Reducer::Ufunc(u);
                if matches!(kind(reducer, dtype), None | Some(Kind::Pairwise)) {
                    continue;
                }
                seen += 1;
                for n in [1usize, 2, 7, 8, 9, 31, 33, 129, 300] {
                    let x: Vec<Scalar> = (0..n as u64).map(|i| element(dtype, i * n as u64 + u as u64)).collect();
                    // Integer powers of what is negative raise an error, and are not asked for.
                    let Some(want) =
                        x[1..].iter().try_fold(x[0], |a, b| u.eval(&[a, *b])).filter(|_| u != Ufunc::Power)
                    else {
                        continue;
                    };
                    let data = bytes(&x);
                    let aligned: Vec<u128> = vec![0; data.len() / 16 + 1];
                    let at = aligned.as_ptr() as *mut u8;
                    // SAFETY: room for the data was made, aligned for every type.
                    let (got, split) = unsafe {
                        at.copy_from_nonoverlapping(data.as_ptr(), data.len());
                        let first = n.div_ceil(3);
                        let a = reduce_from(reducer, dtype, None, at, first);
                        (
                            reduce(reducer, dtype, at, n),
                            reduce_from(reducer, dtype, Some(a), at.add(first * dtype.size()), n - first),
                        )
                    };
                    assert!(same(dtype, got, want.bits), "{} {dtype} {n}: {got:x?} {:x?} {x:?}", u.name(), want.bits);
                    assert!(same(dtype, split, want.bits), "{} {dtype} {n} in two parts", u.name());
                    if splits(reducer, dtype) && n > 2 {
                        let first = n / 2;
                        // SAFETY: as above.
                        let parts = unsafe {
                            [
                                reduce(reducer, dtype, at, first),
                                reduce(reducer, dtype, at.add(first * dtype.size()), n - first),
                            ]
                        };
                        assert!(
                            same(dtype, pair(reducer, dtype, parts[0], parts[1]), want.bits),
                            "{} {dtype} {n} apart",
                            u.name()
                        );
                    }
                }
            }
        }
        assert!(seen > 150, "only {seen} reductions were tried");
    }

    #[test]
    fn sums_do_not_depend_on_the_cut() {
        let x: Vec<f64> = (0..70_000u64).map(|i| ((i * 2654435761) % 1000003) as f64 * 1e-3 - 300.0).collect();
        let sum = Reducer::Ufunc(Ufunc::Add);
        for (dtype, width) in [(DType::F64, 1), (DType::C128, 2)] {
            for n in [1, 100, 128, 129, 1000, 4096, 4097, 10_001, 35_000 / width, 70_000 / width] {
                let at = x.as_ptr() as *const u8;
                // SAFETY: n elements of `width` numbers each lie at x.
                let whole = unsafe { reduce(sum, dtype, at, n) };
                for max in [128, 200, 1000, 4096, 1 << 20] {
                    let ranges = cut(n, max, dtype.is_complex());
                    assert_eq!((ranges[0].start, ranges.last().unwrap().end), (0, n));
                    assert!(ranges.windows(2).all(|w| w[0].end == w[1].start) && ranges.iter().all(|r| r.len() <= max));
                    let parts: Vec<Element> = ranges
                        .iter()
                        // SAFETY: the ranges lie in 0..n.
                        .map(|r| unsafe { reduce(sum, dtype, at.add(r.start * dtype.size()), r.len()) })
                        .collect();
                    assert_eq!(combine(sum, dtype, n, max, &parts), whole, "{dtype} {n} in chunks of {max}");
                }
            }
        }
    }

    /// However the rows come together, and however wide they are.
    #[test]
    fn rows_at_once_are_rows_one_by_one() {
        for (reducer, dtype) in Ufunc::ALL
            .iter()
            .map(|&u| Reducer::Ufunc(u))
            .chain([Reducer::ArgMax])
            .flat_map(|r| DType::ALL.into_iter().map(move |d| (r, d)))
            .filter(|&(r, d)| supported(r, d) && r != Reducer::Ufunc(Ufunc::Power))
        {
            for n in [1usize, 3, 4, 5, 16, 23, 40] {
                let (step, rows, size) = (n + 2, 7, dtype.size());
                let x: Vec<Scalar> = (0..(step * rows) as u64).map(|i| element(dtype, i * 31 + n as u64)).collect();
                let data = bytes(&x);
                let aligned: Vec<u128> = vec![0; data.len() / 16 + 1];
                let at = aligned.as_ptr() as *mut u8;
                let run = |cuts: &[usize]| {
                    let (mut acc, mut best) = (vec![[0u64; 2]; n], vec![[0u64; 2]; n]);
                    for w in cuts.windows(2) {
                        let (out, best) = (acc.as_mut_ptr() as *mut u8, best.as_mut_ptr() as *mut u8);
                        // SAFETY: rows of the data, which was made aligned for every type.
                        unsafe {
                            let rows =
                                Lines { first: at.add(w[0] * step * size), step, count: w[1] - w[0], far: n % 2 == 0 };
                            accumulate(reducer, dtype, out, best, rows, n, w[0]);
                        }
                    }
                    let out = if is_arg(reducer) { DType::I64 } else { dtype };
                    // SAFETY: results of this type, side by side.
                    let all = unsafe { std::slice::from_raw_parts(acc.as_ptr() as *const u8, n * out.size()) };
                    let result = |k: usize| {
                        let mut element: Element = [0; 2];
                        let bytes = &all[k * out.size()..(k + 1) * out.size()];
                        // SAFETY: an Element has room for every type.
                        unsafe {
                            (&mut element as *mut Element as *mut u8)
                                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len())
                        };
                        (out, element)
                    };
                    (0..n).map(result).collect::<Vec<(DType, Element)>>()
                };
                // SAFETY: as above.
                unsafe { at.copy_from_nonoverlapping(data.as_ptr(), data.len()) };
                let single = run(&[0, 1, 2, 3, 4, 5, 6, 7]);
                for cuts in [&[0, 7][..], &[0, 1, 4, 7]] {
                    for (&(out, a), &(_, b)) in run(cuts).iter().zip(&single) {
                        assert!(same(out, a, b), "{reducer:?} {dtype} {n}: {a:?} {b:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_first_of_the_best() {
        for dtype in DType::ALL {
            for (reducer, sign) in [(Reducer::ArgMin, -1.0), (Reducer::ArgMax, 1.0)] {
                if !supported(reducer, dtype) {
                    assert!(dtype.is_complex());
                    continue;
                }
                for n in [1usize, 2, 31, 32, 33, 200] {
                    for seed in 0..20 {
                        let x: Vec<Scalar> = (0..n as u64).map(|i| element(dtype, i * 31 + seed)).collect();
                        let mut want = 0;
                        for i in 1..n {
                            let (a, b) = (x[want].as_f64() * sign, x[i].as_f64() * sign);
                            if b > a || b.is_nan() && !a.is_nan() {
                                want = i;
                            }
                        }
                        let data = bytes(&x);
                        let mut room: Vec<u128> = vec![0; data.len() / 16 + 1];
                        let at = room.as_mut_ptr() as *mut u8;
                        let size = dtype.size();
                        let first = n.div_ceil(2);
                        let mut best = vec![[0u64; 2]; 1];
                        let mut place = [-1i64];
                        // SAFETY: room for the data was made, aligned for every type.
                        unsafe {
                            at.copy_from_nonoverlapping(data.as_ptr(), data.len());
                            assert_eq!(reduce(reducer, dtype, at, n)[0] as usize, want, "{dtype} {x:?}");
                            let mut whole = arg_partial(dtype, at, reduce(reducer, dtype, at, first), 0);
                            if n > first {
                                let second = at.add(first * size);
                                let part = arg_partial(dtype, second, reduce(reducer, dtype, second, n - first), first);
                                whole = pair(reducer, dtype, whole, part);
                            }
                            assert_eq!(finish(reducer, whole)[0] as usize, want, "{dtype} in two parts {x:?}");
                            for i in 0..n {
                                let (out, best) = (place.as_mut_ptr() as *mut u8, best.as_mut_ptr() as *mut u8);
                                let row = Lines { first: at.add(i * size), step: 1, count: 1, far: false };
                                accumulate(reducer, dtype, out, best, row, 1, i);
                            }
                            assert_eq!(place[0] as usize, want, "{dtype} row by row {x:?}");
                        }
                    }
                }
            }
        }
    }
}
