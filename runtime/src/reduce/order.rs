//! The order in which NumPy adds up an array's elements, which follows from how its iterator walks over memory.

use legate_jit_ir::graph::{Order, Reducer};
use legate_jit_ir::{DType, Ufunc};
use smallvec::SmallVec;

use crate::array::Array;

/// NumPy buffers this many elements at a time.
const BUFFER: usize = 8192;

/// How NumPy combines the reduced axes of an array that is already seen in memory order.
pub(super) enum Combine {
    InOneStep(Order),
    /// The innermost reduced axes, this many, are one tree; the trees are added in order.
    RowsFirst(usize),
}

/// NumPy's iterator merges axes into runs where one stride steps through them. Where the innermost reduced axes are one run,
/// it is one tree. Else (or where it has to cast) the iterator may copy several inner runs into its buffer and add up each
/// filling by itself; how many it takes together, it decides by comparing the number of operands to buffer with the elements
/// gained, as below. Fillings end where the outermost of these runs ends.
pub(super) fn combine(reducer: Reducer, a: &Array, reduced: &[bool], dtype: DType) -> Combine {
    let tree = Combine::InOneStep(Order::Tree);
    let casts = a.dtype() != dtype;
    if !matches!(reducer, Reducer::Ufunc(Ufunc::Add)) || !(dtype.is_float() || dtype.is_complex()) {
        return tree;
    }
    // Runs from the innermost: (elements, axes, reduced, the stride that would continue it).
    let mut runs: SmallVec<[(usize, usize, bool, i64); 4]> = SmallVec::new();
    let mut skipped = 0;
    for d in (0..a.ndim()).rev() {
        let (n, stride) = (a.shape()[d], a.layout.strides[d]);
        match runs.last_mut() {
            _ if n == 1 => match runs.last_mut() {
                Some(run) => run.1 += 1,
                None => skipped += 1,
            },
            Some(run) if run.2 == reduced[d] && run.3 == stride => {
                *run = (run.0 * n, run.1 + 1, run.2, stride * n as i64);
            }
            _ => {
                runs.push((n, 1 + skipped, reduced[d], stride * n as i64));
                skipped = 0;
            }
        }
    }
    let inner = runs.iter().take_while(|r| r.2).count();
    let total: usize = runs[..inner].iter().map(|r| r.0).product();
    if inner == 0 || total == 0 {
        return tree;
    }
    let first_cost = 1 + casts as usize;
    let (mut cost, mut size) = (first_cost, runs[0].0);
    let (mut best, mut best_cost, mut best_size, mut core) = (0, cost, size, 1);
    let mut outer_reduce = None;
    for k in 1..runs.len() {
        if outer_reduce.is_some() || (size >= BUFFER && cost > 1) {
            break;
        }
        // The array's strides do not continue from run to run, but where only the result's change.
        let continues = runs[k - 1].3 == a.layout.strides[axis_of(a.ndim(), &runs, k)];
        if !continues && !casts && cost == first_cost {
            cost += 1;
        }
        if runs[k].2 != runs[k - 1].2 {
            cost += 1;
            outer_reduce = Some(k);
        }
        let before = size;
        size *= runs[k].0;
        let held = if cost > 1 { size.min(BUFFER) } else { size };
        if cost * best_size <= best_cost * held {
            (best, best_cost, best_size, core) = (k, cost, size, before);
        }
    }
    if outer_reduce == Some(best) {
        // The buffer holds whole rows, and each is added up by itself.
        return tree;
    }
    let single_run = best == 0;
    let filling = if single_run && !casts {
        best_size
    } else if best_size > BUFFER {
        core * (BUFFER / core)
    } else {
        best_size
    };
    if filling >= total {
        return tree;
    }
    if single_run && !casts {
        return Combine::RowsFirst(runs[0].1);
    }
    // Reduced axes beyond kept ones, and fillings within: the flattened order has no room for both.
    if runs[inner..].iter().any(|r| r.2) {
        return tree;
    }
    let chunk = filling as u32;
    Combine::InOneStep(match best_size == total || best_size % filling == 0 {
        true => Order::Chunked(chunk),
        false => Order::Blocks { block: best_size as u64, chunk },
    })
}

/// The innermost axis of more than one element in run k.
fn axis_of(ndim: usize, runs: &[(usize, usize, bool, i64)], k: usize) -> usize {
    ndim - 1 - runs[..k].iter().map(|r| r.1).sum::<usize>()
}
