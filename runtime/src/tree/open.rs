//! Leaves that are met in parts, as multiples of eight elements and at last the rest.
//!
//! A boundary file, as `tree.rs`.

use legate_jit_ir::DType;
use legate_jit_ir::graph::Reducer;

use super::{Element, is_pairwise, pair, reduce};

/// What some elements of a leaf have given so far: of a sum its eight accumulators, which lie one after the other, else an element,
/// and in the last place whether there is one.
pub type Open = [u64; 8];

/// Elements that are added to the accumulators at a time.
pub const GROUP: usize = 8;

/// Of no elements. (-0.0 plus anything is that.)
pub fn fresh(reducer: Reducer, dtype: DType) -> &'static Open {
    static F32: Open = [1 << 63 | 1 << 31; 8];
    static F64: Open = [1 << 63; 8];
    static NONE: Open = [0; 8];
    match (is_pairwise(reducer, dtype), dtype) {
        (true, DType::F32) => &F32,
        (true, _) => &F64,
        (false, _) => &NONE,
    }
}

/// Goes on with `n` elements, a multiple of [`GROUP`].
///
/// # Safety
/// `x` must point to as many elements, and `open` to what this gives or [`fresh`].
pub unsafe fn go_on(reducer: Reducer, dtype: DType, open: *mut Open, x: *const u8, n: usize) {
    // SAFETY: the caller's promise; all of the accumulators have room there.
    unsafe {
        match (is_pairwise(reducer, dtype), dtype) {
            (true, DType::F32) => accumulate(open.cast::<[f32; GROUP]>(), x.cast(), n),
            (true, _) => accumulate(open.cast::<[f64; GROUP]>(), x.cast(), n),
            (false, _) if n > 0 => {
                let element = with(reducer, dtype, &*open, x, n);
                *open = [element[0], element[1], 0, 0, 0, 0, 0, 1];
            }
            _ => {}
        }
    }
}

/// The leaf's contribution with its last `n` elements.
///
/// # Safety
/// As for [`go_on`].
pub unsafe fn close(reducer: Reducer, dtype: DType, open: &Open, x: *const u8, n: usize) -> Element {
    let (mut all, groups) = (*open, n / GROUP * GROUP);
    // SAFETY: the caller's promise.
    unsafe {
        if !is_pairwise(reducer, dtype) {
            return with(reducer, dtype, open, x, n);
        }
        go_on(reducer, dtype, &mut all, x, groups);
        let rest = x.add(groups * dtype.size());
        match dtype {
            DType::F32 => [total((&raw const all).cast::<[f32; GROUP]>(), rest.cast(), n - groups).to_bits() as u64, 0],
            _ => [total((&raw const all).cast::<[f64; GROUP]>(), rest.cast(), n - groups).to_bits(), 0],
        }
    }
}

/// What was there, and `n` ≥ 1 elements after it.
///
/// # Safety
/// `x` must point to as many elements.
unsafe fn with(reducer: Reducer, dtype: DType, open: &Open, x: *const u8, n: usize) -> Element {
    // SAFETY: the caller's promise.
    let new = unsafe { reduce(reducer, dtype, x, n) };
    if open[7] == 0 { new } else { pair(reducer, dtype, [open[0], open[1]], new) }
}

/// # Safety
/// `accumulators` and `x` must be readable, the first writable, for as much as they say.
unsafe fn accumulate<T: Copy + std::ops::Add<Output = T>>(accumulators: *mut [T; GROUP], x: *const T, n: usize) {
    // SAFETY: the caller's promise.
    let (sums, x) = unsafe { (&mut *accumulators, std::slice::from_raw_parts(x, n)) };
    for group in x.as_chunks::<GROUP>().0 {
        sums.iter_mut().zip(group).for_each(|(sum, &x)| *sum = *sum + x);
    }
}

/// The accumulators' sum as NumPy forms it, and then the rest in order.
///
/// # Safety
/// As for [`accumulate`].
unsafe fn total<T: Copy + std::ops::Add<Output = T>>(accumulators: *const [T; GROUP], rest: *const T, n: usize) -> T {
    // SAFETY: the caller's promise.
    let (r, rest) = unsafe { (*accumulators, std::slice::from_raw_parts(rest, n)) };
    let sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    rest.iter().fold(sum, |sum, &x| sum + x)
}

#[cfg(test)]
mod tests {
    use legate_jit_ir::Ufunc;

    use super::*;

    #[test]
    fn leaves_met_in_parts_are_leaves() {
        let x: Vec<f64> = (0..128).map(|i| ((i * 7919) % 1013) as f64 / 7.0 - 70.0).collect();
        let narrow: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let bytes = |dtype| match dtype {
            DType::F32 => narrow.as_ptr() as *const u8,
            _ => x.as_ptr() as *const u8,
        };
        for dtype in [DType::F64, DType::F32] {
            for reducer in [Ufunc::Add, Ufunc::Maximum].map(Reducer::Ufunc) {
                for n in [8, 9, 15, 16, 88, 93, 127, 128] {
                    // SAFETY: there are 128 numbers.
                    let whole = unsafe { reduce(reducer, dtype, bytes(dtype), n) };
                    for cut in (0..n).step_by(GROUP) {
                        let mut open = *fresh(reducer, dtype);
                        // SAFETY: as above.
                        let parts = unsafe {
                            go_on(reducer, dtype, &mut open, bytes(dtype), cut / 16 * 8);
                            let middle = bytes(dtype).add(cut / 16 * 8 * dtype.size());
                            go_on(reducer, dtype, &mut open, middle, cut - cut / 16 * 8);
                            close(reducer, dtype, &open, bytes(dtype).add(cut * dtype.size()), n - cut)
                        };
                        assert_eq!(parts[0] as u32, whole[0] as u32, "{reducer:?} over {dtype}, {cut} of {n}");
                        assert!(dtype == DType::F32 || parts == whole, "{reducer:?}, {cut} of {n}");
                    }
                }
            }
        }
    }
}
