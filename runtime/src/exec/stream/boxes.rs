//! Ranges of a domain in C order, cut into boxes.

use std::ops::Range;

use smallvec::SmallVec;

/// Cuts a range of a domain in C order into boxes.
pub(super) fn boxes(domain: &[i64], range: Range<usize>, f: &mut impl FnMut(&[i64], &[i64])) {
    let mut lo: SmallVec<[i64; 4]> = SmallVec::from_elem(0, domain.len());
    let mut hi: SmallVec<[i64; 4]> = domain.into();
    cut_boxes(domain, 0, range.start, range.end, &mut lo, &mut hi, f);
}

fn cut_boxes(
    domain: &[i64],
    axis: usize,
    start: usize,
    end: usize,
    lo: &mut [i64],
    hi: &mut [i64],
    f: &mut impl FnMut(&[i64], &[i64]),
) {
    if start >= end {
        return;
    }
    if axis + 1 == domain.len() {
        (lo[axis], hi[axis]) = (start as i64, end as i64);
        return f(lo, hi);
    }
    let row: usize = domain[axis + 1..].iter().product::<i64>() as usize;
    let (first, last) = (start / row, (end - 1) / row);
    let mut part = |index: usize, from: usize, to: usize, f: &mut _| {
        (lo[axis], hi[axis]) = (index as i64, index as i64 + 1);
        cut_boxes(domain, axis + 1, from, to, lo, hi, f);
    };
    if first == last {
        return part(first, start - first * row, end - first * row, f);
    }
    let mut body_start = first;
    if start > first * row {
        part(first, start - first * row, row, f);
        body_start += 1;
    }
    let body_end = if end == (last + 1) * row { last + 1 } else { last };
    if body_start < body_end {
        (lo[axis], hi[axis]) = (body_start as i64, body_end as i64);
        for d in axis + 1..domain.len() {
            (lo[d], hi[d]) = (0, domain[d]);
        }
        f(lo, hi);
    }
    if body_end == last {
        let (index, to) = (last, end - last * row);
        (lo[axis], hi[axis]) = (index as i64, index as i64 + 1);
        cut_boxes(domain, axis + 1, 0, to, lo, hi, f);
    }
}

/// Sets some axes of a box to the point with this number in C order.
pub(super) fn unflatten(mut index: usize, axes: &[usize], domain: &[i64], lo: &mut [i64], hi: &mut [i64]) {
    for &d in axes.iter().rev() {
        let extent = domain[d] as usize;
        (lo[d], hi[d]) = ((index % extent) as i64, (index % extent) as i64 + 1);
        index /= extent;
    }
}

pub(super) fn flatten(index: &[i64], domain: &[i64]) -> usize {
    index.iter().zip(domain).fold(0, |at, (i, n)| at * *n as usize + *i as usize)
}
