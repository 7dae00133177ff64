//! How often each integer occurs (`np.bincount`).
//!
//! A boundary file: it reads elements by address.

use legate_jit_ir::DType;
use parking_lot::Mutex;

use super::moves::parallel;
use crate::array::Array;
use crate::{Error, HostView, Result, Store, pool};

/// Elements below which one thread counts alone.
const MANY: usize = 1 << 16;
/// So few counters are kept four times, so that equal neighbours do not wait for each other's sum.
const FEW_BINS: usize = 1 << 12;

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

/// The elements of what has one axis and lies in order.
fn elements<T: Copy>(view: &HostView) -> &[T] {
    debug_assert_eq!(view.dtype.size(), size_of::<T>());
    // SAFETY: the view keeps its memory, which holds so many elements of this size one behind the other; they are read under
    // the view's promise that nothing pending writes to them.
    unsafe { std::slice::from_raw_parts(view.ptr.cast::<T>().cast_const(), view.shape[0]) }
}

fn count<T: Copy + Into<i64> + Sync>(keys: &[T], weights: Option<&[f64]>, least: usize) -> Result<Option<Array>> {
    let blocks = if keys.len() < MANY { 1 } else { keys.len().div_ceil(MANY) };
    let block = |k: usize| &keys[k * keys.len() / blocks..(k + 1) * keys.len() / blocks];
    let bounds = Mutex::new((i64::MAX, i64::MIN));
    parallel(blocks, &|k| {
        let wide = block(k).iter().map(|&v| v.into());
        let (lo, hi) = wide.fold((i64::MAX, i64::MIN), |(lo, hi), v: i64| (lo.min(v), hi.max(v)));
        let mut all = bounds.lock();
        *all = (all.0.min(lo), all.1.max(hi));
    })?;
    let (lo, hi) = bounds.into_inner();
    if lo < 0 {
        return Ok(None);
    }
    let bins = usize::try_from(hi).ok().and_then(|hi| hi.checked_add(1)).map(|n| n.max(least));
    let bins =
        bins.filter(|n| n.checked_mul(8).is_some()).ok_or_else(|| Error::no_memory(&[hi as usize], DType::I64))?;
    if let Some(weights) = weights {
        let mut sums = zeros::<f64>(bins)?;
        keys.iter().zip(weights).for_each(|(&key, w)| sums[key.into() as usize] += w);
        return array(&sums, DType::F64).map(Some);
    }
    // As many sets of counters as there are threads, where adding them up is little beside the counting.
    let parts = if bins < keys.len() / 16 { pool::threads().min(blocks) } else { 1 };
    let part = |k: usize| &keys[k * keys.len() / parts..(k + 1) * keys.len() / parts];
    let sets = (0..parts).map(|_| zeros(bins).map(Mutex::new)).collect::<Result<Vec<_>>>()?;
    pool::run(parts, &|k, _| tally(part(k), &mut sets[k].lock())).map_err(Error::Runtime)?;
    let add = |mut total: Vec<i64>, set: Vec<i64>| {
        total.iter_mut().zip(set).for_each(|(t, count)| *t += count);
        total
    };
    let total = sets.into_iter().map(Mutex::into_inner).reduce(add).unwrap_or_default();
    array(&total, DType::I64).map(Some)
}

fn tally<T: Copy + Into<i64>>(keys: &[T], counts: &mut [i64]) {
    let at = |key: T| key.into() as usize;
    if counts.len() > FEW_BINS || keys.len() < 4 * counts.len() {
        keys.iter().for_each(|&key| counts[at(key)] += 1);
        return;
    }
    let n = counts.len();
    let mut four = vec![0u64; 4 * n];
    let mut quads = keys.chunks_exact(4);
    for quad in &mut quads {
        for (k, &key) in quad.iter().enumerate() {
            four[k * n + at(key)] += 1;
        }
    }
    quads.remainder().iter().for_each(|&key| four[at(key)] += 1);
    for (k, count) in counts.iter_mut().enumerate() {
        *count += (four[k] + four[n + k] + four[2 * n + k] + four[3 * n + k]) as i64;
    }
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
