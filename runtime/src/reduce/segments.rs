//! Reductions of ranges that indices name (`np.add.reduceat`), in NumPy's order: the first element of a range begins, then comes
//! what the operation makes of the others, which for sums of floats is a pairwise tree.
//!
//! A boundary file: it reads and writes elements by address.

use legate_jit_ir::graph::Reducer;
use legate_jit_ir::{DType, Ufunc};

use crate::array::Array;
use crate::pick::parallel;
use crate::{Error, HostView, Result, Store, tree};

/// Elements whose reduction is worth a task.
const TASK: usize = 8 << 10;
/// Numbers that NumPy's tree adds one after the other.
const IN_ORDER: usize = 8;

/// `op.reduceat(a, indices)` for arrays with one axis. `None` for what is NumPy's to answer: operations whose result has another
/// type, products of complex numbers (which it contracts), `fmax` and `fmin` (of equal zeros it keeps the first or the last,
/// depending on how many there are), indices that are not 64-bit integers, nothing to reduce.
pub fn reduceat(op: Ufunc, a: &Array, indices: &Array) -> Result<Option<Array>> {
    let dtype = a.dtype();
    // NumPy adds and multiplies small integers in wider ones.
    let theirs = match op {
        Ufunc::Add => dtype == DType::Bool || dtype.is_integer() && dtype.size() < 8,
        Ufunc::Multiply => dtype == DType::Bool || dtype.is_integer() && dtype.size() < 8 || dtype.is_complex(),
        Ufunc::Fmax | Ufunc::Fmin => true,
        _ => false,
    };
    let reducer = Reducer::Ufunc(op);
    if a.ndim() != 1
        || indices.ndim() != 1
        || indices.dtype() != DType::I64
        || theirs
        || !tree::supported(reducer, dtype)
    {
        return Ok(None);
    }
    let in_order = |a: &Array| if a.c_contiguous() { a.host() } else { a.copy(false)?.host() };
    let (view, indices) = (in_order(a)?, in_order(indices)?);
    let (n, count) = (view.shape[0], indices.shape[0]);
    // SAFETY: the view keeps its memory, which holds so many 64-bit integers one behind the other; nothing pending writes to them.
    let starts = unsafe { std::slice::from_raw_parts(indices.ptr.cast::<i64>().cast_const(), count) };
    if count == 0 {
        return Ok(None);
    }
    if let Some(bad) = starts.iter().find(|&&i| i < 0 || i as usize >= n) {
        return Err(Error::Index(format!("index {bad} out-of-bounds in {}.reduceat [0, {n})", op.name())));
    }
    let out = Store::alloc(count * dtype.size())?;
    let work = Segments { view: &view, starts, out: Out(out.as_mut_ptr()) };
    match (op, dtype) {
        (Ufunc::Add, DType::F64) => work.run(sum::<f64>)?,
        (Ufunc::Add, DType::F32) => work.run(sum::<f32>)?,
        _ => work.run(|x, n, to| {
            let size = dtype.size();
            // SAFETY: a range of at least one element, and room for one.
            unsafe {
                let mut total: tree::Element = [0; 2];
                (&raw mut total).cast::<u8>().copy_from_nonoverlapping(x, size);
                if n > 1 {
                    let rest = x.add(size);
                    total = match op {
                        Ufunc::Add => tree::pair(reducer, dtype, total, tree::reduce(reducer, dtype, rest, n - 1)),
                        _ => tree::reduce_from(reducer, dtype, Some(total), rest, n - 1),
                    };
                }
                to.copy_from_nonoverlapping((&raw const total).cast::<u8>(), size);
            }
        })?,
    }
    Array::from_store(out, &[count], dtype).map(Some)
}

/// The results, of which each task writes its own.
#[derive(Clone, Copy)]
struct Out(*mut u8);

// SAFETY: what is done with the address says who touches what.
unsafe impl Sync for Out {}

struct Segments<'a> {
    view: &'a HostView,
    starts: &'a [i64],
    out: Out,
}

impl Segments<'_> {
    /// Calls `reduce(first element, elements, result)` for each range.
    fn run(&self, reduce: impl Fn(*const u8, usize, *mut u8) + Sync) -> Result<()> {
        let (n, size, count) = (self.view.shape[0], self.view.dtype.size(), self.starts.len());
        let each = (count * TASK / n.max(count)).max(1);
        parallel(count.div_ceil(each), &|task| {
            let out = &self.out;
            for k in task * each..((task + 1) * each).min(count) {
                let from = self.starts[k] as usize;
                let to = self.starts.get(k + 1).map_or(n, |&next| next as usize);
                // A range that ends before it begins is its first element.
                let length = to.saturating_sub(from).max(1);
                reduce(self.view.ptr.wrapping_add(from * size), length, out.0.wrapping_add(k * size));
            }
        })
    }
}

/// Floats of one type.
trait Float: Copy + std::ops::Add<Output = Self> {
    const DTYPE: DType;
    const NOTHING: Self;
    fn of(element: tree::Element) -> Self;
}

impl Float for f64 {
    const DTYPE: DType = DType::F64;
    const NOTHING: f64 = -0.0;
    fn of(element: tree::Element) -> f64 {
        f64::from_bits(element[0])
    }
}

impl Float for f32 {
    const DTYPE: DType = DType::F32;
    const NOTHING: f32 = -0.0;
    fn of(element: tree::Element) -> f32 {
        f32::from_bits(element[0] as u32)
    }
}

/// The sum of `n` ≥ 1 numbers. Most ranges are short, and to look up how long ones are summed would take longer than summing them.
fn sum<T: Float>(x: *const u8, n: usize, to: *mut u8) {
    // SAFETY: `Segments::run`'s ranges lie in the view, and there is room for each result.
    unsafe {
        let x = std::slice::from_raw_parts(x.cast::<T>(), n);
        let rest = &x[1..];
        let others = if rest.len() < IN_ORDER {
            rest.iter().fold(T::NOTHING, |sum, &v| sum + v)
        } else {
            T::of(tree::reduce(Reducer::Ufunc(Ufunc::Add), T::DTYPE, rest.as_ptr().cast(), rest.len()))
        };
        to.cast::<T>().write(x[0] + others);
    }
}
