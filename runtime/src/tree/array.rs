//! Reductions of a whole array that lies in C order in memory, in one call: what runs without a plan.

use legate_jit_ir::DType;
use legate_jit_ir::graph::{Order, Reduce, Reducer};
use smallvec::SmallVec;

use super::Element;
use crate::{Result, Store};

/// Neighbouring axes of one kind together: (elements, whether they are reduced). Axes of one element do not count.
fn groups(shape: &[usize], reduce: &Reduce) -> SmallVec<[(usize, bool); 4]> {
    let mut groups: SmallVec<[(usize, bool); 4]> = SmallVec::new();
    for (d, &n) in shape.iter().enumerate().filter(|(_, n)| **n != 1) {
        let reduced = reduce.axes.contains(&(d as u32));
        match groups.last_mut() {
            Some(last) if last.1 == reduced => last.0 *= n,
            _ => groups.push((n, reduced)),
        }
    }
    groups
}

/// How many results there are: elements of the axes that are kept.
pub fn kept(reduce: &Reduce, shape: &[usize]) -> usize {
    (0..shape.len()).filter(|d| !reduce.axes.contains(&(*d as u32))).map(|d| shape[d]).product()
}

/// (Rows, columns, whether rows are reduced) of a matrix along one axis: it needs no groups.
#[inline]
fn of_matrix(reduce: &Reduce, shape: &[usize]) -> Option<(usize, usize, bool)> {
    match (reduce.order, shape, &reduce.axes[..]) {
        (Order::Tree, &[rows, n], &[axis]) if rows > 1 && n > 1 => Some((rows, n, axis == 1)),
        _ => None,
    }
}

/// Whether [`reduce`] does this.
pub fn reduces(reduce: &Reduce, dtype: DType, shape: &[usize]) -> bool {
    of_matrix(reduce, shape).is_some()
        || !shape.contains(&0)
            && match (reduce.order, &groups(shape, reduce)[..]) {
                (_, [] | [_] | [(_, false), (_, true)]) => true,
                (Order::Tree, [(_, true), (_, false)] | [(_, false), (_, true), (_, false)]) => true,
                // Parts of a sequence that are combined later.
                (Order::Tree, [(_, true), (_, false), (_, true)]) => {
                    !super::is_arg(reduce.reducer) && super::splits(reduce.reducer, dtype)
                }
                _ => false,
            }
}

/// Reduces elements of a type that lie at `from`; the results go to `out`.
///
/// # Safety
/// [`reduces`] says yes; there are as many elements as the shape has, and room for a result of type `result` for each place of
/// the axes that are kept.
pub unsafe fn reduce(
    reduce: &Reduce,
    dtype: DType,
    shape: &[usize],
    from: *const u8,
    result: DType,
    out: *mut u8,
) -> Result<()> {
    if let Some((rows, n, along)) = of_matrix(reduce, shape) {
        // SAFETY: the caller's promise.
        unsafe {
            match along {
                true => super::reduce_rows(reduce.reducer, dtype, from, n, rows, out),
                false => columns(reduce.reducer, dtype, from, rows, n, out)?,
            }
        }
        return Ok(());
    }
    let groups = groups(shape, reduce);
    let (reducer, item, to) = (reduce.reducer, dtype.size(), result.size());
    let of = |reduced: bool| groups.iter().filter(|g| g.1 == reduced).map(|g| g.0).product::<usize>();
    let (kept, n) = (of(false), of(true));
    // SAFETY: the caller's promise, both in C order of the groups.
    unsafe {
        match (reduce.order, &groups[..]) {
            (Order::Chunked(_) | Order::Blocks { .. }, _) => {
                for k in 0..kept {
                    let sum = chunked(reducer, dtype, from.add(k * n * item), n, reduce.order);
                    out.add(k * to).copy_from_nonoverlapping(sum.as_ptr().cast(), to);
                }
            }
            (Order::Tree, &[(rows, true), (n, false)]) => columns(reducer, dtype, from, rows, n, out)?,
            (Order::Tree, &[(k, false), (rows, true), (n, false)]) => {
                for i in 0..k {
                    columns(reducer, dtype, from.add(i * rows * n * item), rows, n, out.add(i * n * to))?;
                }
            }
            (Order::Tree, &[(rows, true), (k, false), (n, true)]) => {
                let sums = Store::alloc(rows * k * item)?;
                super::reduce_rows(reducer, dtype, from, n, rows * k, sums.raw_ptr());
                columns(reducer, dtype, sums.raw_ptr(), rows, k, out)?;
            }
            (Order::Tree, _) => super::reduce_rows(reducer, dtype, from, n, kept, out),
        }
    }
    Ok(())
}

/// Combines rows of n elements, one after the other in memory, element by element.
///
/// # Safety
/// `from` has `rows` rows, `out` room for n results.
unsafe fn columns(reducer: Reducer, dtype: DType, from: *const u8, rows: usize, n: usize, out: *mut u8) -> Result<()> {
    let best = if super::is_arg(reducer) { Some(Store::alloc(16 * n)?) } else { None };
    let room = best.as_ref().map_or(std::ptr::null_mut(), |b| b.raw_ptr());
    let lines = super::Lines { first: from, step: n, count: rows, far: false };
    // SAFETY: the caller's promise.
    unsafe { super::accumulate(reducer, dtype, out, room, lines, n, 0) };
    Ok(())
}

/// A reduction whose order cuts the sequence into chunks.
///
/// # Safety
/// There are n ≥ 1 elements at `from`.
unsafe fn chunked(reducer: Reducer, dtype: DType, from: *const u8, n: usize, order: Order) -> Element {
    let (block, chunk) = match order {
        Order::Tree => (n, n),
        Order::Chunked(chunk) => (n, chunk as usize),
        Order::Blocks { block, chunk } => (block as usize, chunk as usize),
    };
    let mut sum: Option<Element> = None;
    for first in (0..n).step_by(block) {
        let end = (first + block).min(n);
        for at in (first..end).step_by(chunk) {
            let len = chunk.min(end - at);
            // SAFETY: elements of the caller's.
            let part = unsafe {
                let ptr = from.add(at * dtype.size());
                let part = super::reduce(reducer, dtype, ptr, len);
                if super::is_arg(reducer) { super::arg_partial(dtype, ptr, part, at) } else { part }
            };
            sum = Some(sum.map_or(part, |sum| super::pair(reducer, dtype, sum, part)));
        }
    }
    super::finish(reducer, sum.expect("there is an element"))
}
