//! Reductions in the order that [`crate::graph::Order`] fixes, NumPy's.

use super::{Tensor, combine, indices};
use crate::cast::cast;
use crate::graph::{Order, Reduce, Reducer};
use crate::shape::Shape;
use crate::ufunc::native::{Complex, Float, Native, c64, c128};
use crate::{DType, Scalar, Ufunc};

type Result<T> = std::result::Result<T, String>;

/// The reduction of an array.
pub fn reduce(r: &Reduce, a: &Tensor) -> Result<Tensor> {
    let reduced: Vec<usize> = r.axes.iter().map(|x| *x as usize).collect();
    let kept: Vec<usize> = (0..a.shape.len()).filter(|d| !reduced.contains(d)).collect();
    let extents = |axes: &[usize]| axes.iter().map(|d| a.shape[*d]).collect::<Shape>();
    // Elements of one tree lie next to each other along these axes; what is left is combined in order. Kept axes of extent 1 are
    // not there for NumPy.
    let last_kept = kept.iter().rfind(|d| a.shape[**d] != 1);
    let first = match (r.order, last_kept) {
        (Order::Tree, Some(last)) => reduced.partition_point(|d| d < last),
        (Order::Tree, None) | (Order::Chunked(_) | Order::Blocks { .. }, _) => 0,
    };
    let (outer, inner) = reduced.split_at(first);
    let mut results = Vec::new();
    for place in indices(&extents(&kept)) {
        // One list of elements for each tree.
        let mut runs: Vec<Vec<Scalar>> = Vec::new();
        for at in indices(&extents(outer)) {
            let mut run = Vec::new();
            for within in indices(&extents(inner)) {
                let mut index = vec![0; a.shape.len()];
                for (axes, at) in [(&kept[..], &place), (outer, &at), (inner, &within)] {
                    axes.iter().zip(at).for_each(|(d, i)| index[*d] = *i);
                }
                run.push(a.at(&index));
            }
            match r.order {
                Order::Tree => runs.push(run),
                Order::Chunked(n) => runs.extend(run.chunks(n as usize).map(|c| c.to_vec())),
                Order::Blocks { block, chunk } => {
                    let blocks = run.chunks(block as usize);
                    runs.extend(blocks.flat_map(|b| b.chunks(chunk as usize)).map(|c| c.to_vec()));
                }
            }
        }
        runs.retain(|run| !run.is_empty());
        results.push(reduce_runs(r.reducer, a.dtype, &runs)?);
    }
    let dtype = match r.reducer {
        Reducer::Ufunc(u) => u.out(&[a.dtype, a.dtype]).ok_or_else(|| format!("no {} for {}", u.name(), a.dtype))?,
        Reducer::ArgMin | Reducer::ArgMax => DType::I64,
    };
    Ok(Tensor::from_elements(dtype, &extents(&kept), results))
}

/// A float sum is the sum in order of its runs' trees, after a 0.0 that makes -0.0 a 0.0. Everything else goes through the
/// elements in order.
fn reduce_runs(reducer: Reducer, dtype: DType, runs: &[Vec<Scalar>]) -> Result<Scalar> {
    let elements = || runs.iter().flatten().copied();
    match reducer {
        Reducer::ArgMin => arg(elements().collect(), Ufunc::Less),
        Reducer::ArgMax => arg(elements().collect(), Ufunc::Greater),
        Reducer::Ufunc(ufunc) => {
            let out = ufunc.out(&[dtype, dtype]).ok_or_else(|| format!("no {} for {dtype}", ufunc.name()))?;
            let step = combine(ufunc, out)?;
            let total = if ufunc == Ufunc::Add && (dtype.is_float() || dtype.is_complex()) {
                let zero = cast(Scalar::i64(0), out);
                Some(runs.iter().map(|run| pairwise_sum(run)).fold(zero, step))
            } else {
                elements().map(|s| cast(s, out)).reduce(step)
            };
            let identity = || ufunc.props().identity.map(|i| i.scalar(out));
            total.or_else(identity).ok_or_else(|| format!("{} of no elements", ufunc.name()))
        }
    }
}

/// The index of the first element that is NaN, or else that none beats.
fn arg(elements: Vec<Scalar>, beats: Ufunc) -> Result<Scalar> {
    let is = |ufunc: Ufunc, args: &[Scalar]| ufunc.eval(args).is_some_and(|b| b == Scalar::bool(true));
    let mut best = 0;
    if elements.is_empty() {
        return Err("the place of the best of no elements".into());
    }
    for (i, x) in elements.iter().enumerate() {
        if is(Ufunc::Isnan, &[*x]) {
            best = i;
            break;
        }
        if is(beats, &[*x, elements[best]]) {
            best = i;
        }
    }
    Ok(Scalar::i64(best as i64))
}

/// NumPy's sum of floats or complex numbers that lie next to each other; there is at least one.
pub fn pairwise_sum(elements: &[Scalar]) -> Scalar {
    fn natives<T: Native>(elements: &[Scalar]) -> Vec<T> {
        elements.iter().map(|s| T::from_scalar(*s)).collect()
    }
    match elements[0].dtype {
        DType::F32 => sum_floats::<f32>(&natives(elements)).to_scalar(),
        DType::F64 => sum_floats::<f64>(&natives(elements)).to_scalar(),
        DType::C64 => sum_complex::<f32>(&natives::<c64>(elements)).to_scalar(),
        DType::C128 => sum_complex::<f64>(&natives::<c128>(elements)).to_scalar(),
        other => panic!("a pairwise sum of {other}"),
    }
}

/// Fewer than 8: in order. Up to 128: eight sums of every eighth element, then what is left in order. More: two halves, the
/// first of a multiple of 8.
fn sum_floats<T: Float>(x: &[T]) -> T {
    let n = x.len();
    if n < 8 {
        x.iter().fold(-T::ZERO, |sum, v| sum + *v)
    } else if n <= 128 {
        let groups = n / 8 * 8;
        let mut r = [T::ZERO; 8];
        r.copy_from_slice(&x[..8]);
        for group in x[8..groups].chunks(8) {
            for (sum, v) in r.iter_mut().zip(group) {
                *sum = *sum + *v;
            }
        }
        let sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
        x[groups..].iter().fold(sum, |sum, v| sum + *v)
    } else {
        let half = n / 2 / 8 * 8;
        sum_floats(&x[..half]) + sum_floats(&x[half..])
    }
}

/// The same with the parts side by side. The lengths that decide count floats, two for each element.
fn sum_complex<T: Float>(x: &[Complex<T>]) -> Complex<T> {
    let n = 2 * x.len();
    let start = Complex::new(-T::ZERO, -T::ZERO);
    if n < 8 {
        x.iter().fold(start, |sum, v| sum + *v)
    } else if n <= 128 {
        let groups = x.len() / 4 * 4;
        let mut r = [start; 4];
        r.copy_from_slice(&x[..4]);
        for group in x[4..groups].chunks(4) {
            for (sum, v) in r.iter_mut().zip(group) {
                *sum = *sum + *v;
            }
        }
        let sum = (r[0] + r[1]) + (r[2] + r[3]);
        x[groups..].iter().fold(sum, |sum, v| sum + *v)
    } else {
        let half = n / 2 / 8 * 8 / 2;
        sum_complex(&x[..half]) + sum_complex(&x[half..])
    }
}
