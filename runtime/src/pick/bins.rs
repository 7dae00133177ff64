//! How often each integer occurs (`np.bincount`).
//!
//! A boundary file: it reads elements by address.

use std::sync::Arc;

use legate_jit_ir::DType;
use parking_lot::Mutex;

use crate::array::Array;
use crate::buffer::Fresh;
use crate::{Error, HostView, Result, Store, pool};

/// Elements below which one thread counts alone.
const MANY: usize = 1 << 16;
/// Elements that are looked at first, to see how many counters there are.
const SAMPLE: usize = 1 << 12;
/// So few counters are kept twice, and so few four times, so that equal neighbours do not wait for each other's sum.
const FEW_BINS: usize = 1 << 11;
const VERY_FEW_BINS: usize = 1 << 8;
/// The most keys that a set of counters takes.
const MOST_COUNTED: usize = if cfg!(test) { 1000 } else { 1 << 31 };

/// How often each value occurs in an array with one axis, at least `least` counts (64-bit integers); or the sum of the weights
/// that stand beside it (`weights`: f64, as many), added in the order of the elements as NumPy does. `None` for what is NumPy's to
/// answer: negative values, types that are not safely 64-bit integers, nothing to count.
pub fn bincount(x: &Array, weights: Option<&Array>, least: usize) -> Result<Option<Array>> {
    let in_order = |a: &Array| if a.c_contiguous() { Ok(a.clone()) } else { a.copy(false) };
    if x.ndim() != 1 || x.size() == 0 || !x.dtype().is_integer() && x.dtype() != DType::Bool || x.dtype() == DType::U64
    {
        return Ok(None);
    }
    let keys = in_order(x)?.host()?;
    let weights = match weights {
        Some(w) if w.ndim() != 1 || w.size() != x.size() || w.dtype() != DType::F64 => return Ok(None),
        Some(w) => Some(in_order(w)?.host()?),
        None => None,
    };
    let weights = weights.as_ref().map(elements::<f64>);
    match x.dtype() {
        DType::Bool | DType::U8 => count(elements::<u8>(&keys), weights, least),
        DType::I8 => count(elements::<i8>(&keys), weights, least),
        DType::I16 => count(elements::<i16>(&keys), weights, least),
        DType::U16 => count(elements::<u16>(&keys), weights, least),
        DType::I32 => count(elements::<i32>(&keys), weights, least),
        DType::U32 => count(elements::<u32>(&keys), weights, least),
        DType::I64 => count(elements::<i64>(&keys), weights, least),
        other => unreachable!("{other} is no integer type"),
    }
}

/// How often each of so many integers from 0 on occurs at most, in an array with one axis; `None` where there are others.
pub(super) fn counted(x: &Array, most: usize) -> Result<Option<Vec<i64>>> {
    let keys = x.host()?;
    macro_rules! counted {
        ($t:ty) => {{
            let keys = elements::<$t>(&keys);
            match bins_for(&keys[..keys.len().min(SAMPLE)], 0)? {
                Some(bins) if bins <= most => totals(keys, bins, most),
                Some(_) | None => Ok(None),
            }
        }};
    }
    match x.dtype() {
        DType::U8 => counted!(u8),
        DType::I32 => counted!(i32),
        DType::I64 => counted!(i64),
        _ => Ok(None),
    }
}

/// For each of so many labels, how often it occurs and the sum of the rows that have it, added in their order; `None` where there are
/// other labels.
pub(super) fn rows_added(labels: &HostView, rows: &HostView, bins: usize) -> Result<Option<(Vec<i64>, Arc<Store>)>> {
    let &[n, width] = &rows.shape[..] else { unreachable!("rows have two axes") };
    let mut counts = vec![0; bins];
    macro_rules! added {
        ($label:ty, $t:ty) => {{
            let mut sums = Fresh::<$t>::new(bins * width)?;
            // SAFETY: the view keeps its memory, which holds so many elements in C order, and nobody writes them.
            let rows = unsafe { std::slice::from_raw_parts(rows.ptr.cast::<$t>().cast_const(), n * width) };
            let all = add_rows(elements::<$label>(labels), rows, width, sums.elements(), &mut counts);
            (all, sums.done())
        }};
    }
    let (all, sums) = match (labels.dtype, rows.dtype) {
        (DType::I64, DType::F64) => added!(i64, f64),
        (DType::I32, DType::F64) => added!(i32, f64),
        (DType::U8, DType::F64) => added!(u8, f64),
        (DType::I64, DType::F32) => added!(i64, f32),
        (DType::I32, DType::F32) => added!(i32, f32),
        (DType::U8, DType::F32) => added!(u8, f32),
        (labels, rows) => unreachable!("{rows} rows of {labels} labels"),
    };
    Ok(all.then_some((counts, sums)))
}

/// The first so many keys say how many labels there probably are.
pub(super) fn labels_in(labels: &HostView) -> Result<Option<usize>> {
    macro_rules! first {
        ($t:ty) => {{
            let keys = elements::<$t>(labels);
            bins_for(&keys[..keys.len().min(SAMPLE)], 0)
        }};
    }
    match labels.dtype {
        DType::I64 => first!(i64),
        DType::I32 => first!(i32),
        DType::U8 => first!(u8),
        _ => Ok(None),
    }
}

fn add_rows<T: Copy + Into<i64>, F: Number>(
    labels: &[T],
    rows: &[F],
    width: usize,
    sums: &mut [F],
    counts: &mut [i64],
) -> bool {
    // (As in every sum of NumPy's, 0.0 comes first.)
    sums.fill(F::default());
    match width {
        2 => add_short_rows::<T, F, 2>(labels, rows, sums, counts),
        3 => add_short_rows::<T, F, 3>(labels, rows, sums, counts),
        4 => add_short_rows::<T, F, 4>(labels, rows, sums, counts),
        8 => add_short_rows::<T, F, 8>(labels, rows, sums, counts),
        _ => labels.iter().zip(rows.chunks_exact(width)).all(|(&label, row)| {
            let label = label.into() as u64 as usize;
            let Some(count) = counts.get_mut(label) else { return false };
            *count += 1;
            sums[label * width..][..width].iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
            true
        }),
    }
}

fn add_short_rows<T: Copy + Into<i64>, F: Number, const N: usize>(
    labels: &[T],
    rows: &[F],
    sums: &mut [F],
    counts: &mut [i64],
) -> bool {
    let ((rows, _), (sums, _)) = (rows.as_chunks::<N>(), sums.as_chunks_mut::<N>());
    // (As many of both.)
    let counts = &mut counts[..sums.len()];
    labels.iter().zip(rows).all(|(&label, row)| {
        let label = label.into() as u64 as usize;
        if label >= sums.len() {
            return false;
        }
        counts[label] += 1;
        let sum = &mut sums[label];
        *sum = std::array::from_fn(|k| sum[k] + row[k]);
        true
    })
}

/// What rows are made of.
trait Number: Copy + Default + std::ops::Add<Output = Self> + std::ops::AddAssign {}

impl Number for f64 {}
impl Number for f32 {}

/// The elements of what has one axis and lies in order.
fn elements<T: Copy>(view: &HostView) -> &[T] {
    debug_assert_eq!(view.dtype.size(), size_of::<T>());
    // SAFETY: the view keeps its memory, which holds so many elements of this size one behind the other; they are read under
    // the view's promise that nothing pending writes to them.
    unsafe { std::slice::from_raw_parts(view.ptr.cast::<T>().cast_const(), view.shape[0]) }
}

/// The keys are read once: what is counted says how many bins there must be, and where one more is found, the rest is looked
/// through before it goes on.
fn count<T: Copy + Into<i64> + Sync>(keys: &[T], weights: Option<&[f64]>, least: usize) -> Result<Option<Array>> {
    let Some(bins) = bins_for(&keys[..keys.len().min(SAMPLE)], least)? else { return Ok(None) };
    if let Some(weights) = weights {
        let sums = grown(keys, bins, usize::MAX, |keys, at, sums| add(keys, &weights[at..at + keys.len()], sums))?;
        return sums.map(|sums| array(&sums, DType::F64)).transpose();
    }
    totals(keys, bins, usize::MAX)?.map(|total| array(&total, DType::I64)).transpose()
}

/// How often each key occurs, where as many counters as are expected are a beginning; `None` if more are needed than `most`.
fn totals<T: Copy + Into<i64> + Sync>(keys: &[T], bins: usize, most: usize) -> Result<Option<Vec<i64>>> {
    // As many sets of counters as there are threads, where adding them up is little beside the counting.
    let parts = if bins < keys.len() / 16 { pool::threads().min(keys.len().div_ceil(MANY)) } else { 1 };
    let part = |k: usize| &keys[k * keys.len() / parts..(k + 1) * keys.len() / parts];
    let sets: Vec<Mutex<Result<Option<Vec<i64>>>>> = (0..parts).map(|_| Mutex::new(Ok(None))).collect();
    let one = |k: usize| *sets[k].lock() = grown(part(k), bins, most, |keys, _, counts| tally(keys, counts));
    pool::run(parts, &|k, _| one(k)).map_err(Error::Runtime)?;
    let mut total: Vec<i64> = Vec::new();
    for set in sets {
        let Some(mut set) = set.into_inner()? else { return Ok(None) };
        if set.len() > total.len() {
            std::mem::swap(&mut set, &mut total);
        }
        total.iter_mut().zip(set).for_each(|(t, count)| *t += count);
    }
    Ok(Some(total))
}

/// The bins that keys need, at least `least`; `None` if one is negative.
fn bins_for<T: Copy + Into<i64>>(keys: &[T], least: usize) -> Result<Option<usize>> {
    // (Negative ones are the largest of all so.)
    let most = keys.iter().map(|&key| key.into() as u64).max().unwrap_or(0);
    if most > i64::MAX as u64 {
        return Ok(None);
    }
    let bins = usize::try_from(most).ok().and_then(|most| most.checked_add(1)).map(|n| n.max(least));
    let fits = bins.filter(|n| n.checked_mul(8).is_some());
    fits.map(Some).ok_or_else(|| Error::no_memory(&[most as usize], DType::I64))
}

/// Goes through the keys with `f`, which gets some of them, the number of the first, and the bins, and says how many of the keys it
/// has taken until one had no bin. `None` if a key is negative or there would be more than `most` bins.
fn grown<T: Copy + Into<i64>, B: Clone + Default>(
    keys: &[T],
    bins: usize,
    most: usize,
    f: impl Fn(&[T], usize, &mut [B]) -> usize,
) -> Result<Option<Vec<B>>> {
    let mut all = zeros::<B>(bins)?;
    let mut at = f(keys, 0, &mut all);
    if at < keys.len() {
        let Some(bins) = bins_for(&keys[at..], bins)?.filter(|&bins| bins <= most) else { return Ok(None) };
        all.try_reserve_exact(bins - all.len()).map_err(|_| Error::no_memory(&[bins], DType::I64))?;
        all.resize(bins, B::default());
        at += f(&keys[at..], at, &mut all);
    }
    debug_assert_eq!(at, keys.len());
    Ok(Some(all))
}

/// Adds the weight of each key to its bin.
fn add<T: Copy + Into<i64>>(keys: &[T], weights: &[f64], sums: &mut [f64]) -> usize {
    for (k, (&key, w)) in keys.iter().zip(weights).enumerate() {
        let Some(sum) = sums.get_mut(key.into() as u64 as usize) else { return k };
        *sum += w;
    }
    keys.len()
}

fn tally<T: Copy + Into<i64>>(keys: &[T], counts: &mut [i64]) -> usize {
    let taken = match counts.len() {
        n if n > FEW_BINS || keys.len() < 4 * n => 0,
        n if n > VERY_FEW_BINS => tally_apart::<T, 2>(keys, counts),
        _ => tally_apart::<T, 4>(keys, counts),
    };
    for (k, &key) in keys.iter().enumerate().skip(taken) {
        let Some(count) = counts.get_mut(key.into() as u64 as usize) else { return k };
        *count += 1;
    }
    keys.len()
}

/// Counts keys in so many sets of counters by turns; how many keys it has taken. Counters of 32 bits, as all sets together had better be
/// much smaller than the first-level cache, through which the keys go as well: 1000 bins in two sets take 0.37 ns a key, and 1.07 in
/// four of 64 bits.
fn tally_apart<T: Copy + Into<i64>, const SETS: usize>(keys: &[T], counts: &mut [i64]) -> usize {
    let n = counts.len();
    let mut taken = 0;
    for part in keys.chunks(MOST_COUNTED) {
        let mut counters = vec![0u32; SETS * n];
        let mut rest = counters.chunks_exact_mut(n);
        let mut sets: [&mut [u32]; SETS] = std::array::from_fn(|_| rest.next().expect("as many sets"));
        let mut done = 0;
        for keys in part.as_chunks::<SETS>().0 {
            let keys = keys.map(|key| key.into() as u64 as usize);
            if keys.iter().any(|&key| key >= n) {
                break;
            }
            for (set, key) in sets.iter_mut().zip(keys) {
                set[key] += 1;
            }
            done += SETS;
        }
        for set in sets {
            counts.iter_mut().zip(set).for_each(|(count, more)| *count += *more as i64);
        }
        taken += done;
        if done < part.len() {
            break;
        }
    }
    taken
}

fn zeros<T: Clone + Default>(n: usize) -> Result<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(n).map_err(|_| Error::no_memory(&[n], DType::I64))?;
    all.resize(n, T::default());
    Ok(all)
}

fn array<T: Copy>(values: &[T], dtype: DType) -> Result<Array> {
    debug_assert_eq!(dtype.size(), size_of::<T>());
    // SAFETY: numbers have no padding, and every one of them is bytes.
    let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), size_of_val(values)) };
    Array::from_store(Store::from_bytes(bytes)?, &[values.len()], dtype)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many sets of counters there are, and where a key without a bin comes among the others.
    #[test]
    fn sets_of_counters_count_every_key_up_to_one_without_a_bin() {
        for bins in [1, 3, VERY_FEW_BINS, VERY_FEW_BINS + 1, FEW_BINS, FEW_BINS + 1] {
            let keys: Vec<i64> = (0..5 * bins as i64 + 2003).map(|k| k * 7919 % bins as i64).collect();
            for stranger in [None, Some(0), Some(1), Some(1000), Some(2001), Some(keys.len() - 1)] {
                let mut keys = keys.clone();
                if let Some(at) = stranger {
                    keys[at] = if at % 2 == 0 { bins as i64 } else { -1 };
                }
                let taken = stranger.unwrap_or(keys.len());
                let mut expected = vec![0; bins];
                keys[..taken].iter().for_each(|&key| expected[key as usize] += 1);
                let mut counts = vec![0; bins];
                assert_eq!(tally(&keys, &mut counts), taken, "{bins} bins, {stranger:?}");
                assert_eq!(counts, expected, "{bins} bins, {stranger:?}");
            }
        }
    }
}
