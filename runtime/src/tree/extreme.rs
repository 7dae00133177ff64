//! The largest and the smallest of many numbers, in vectors: what `maximum` and its kin, argmin and argmax share.

/// Numbers that can be compared, with what is below and above all of them.
pub trait Ordered: Copy + PartialOrd {
    const LOWEST: Self;
    const HIGHEST: Self;
    /// Whether there are NaNs among them.
    const NANS: bool;
    /// Whether there are no others than the lowest and the highest.
    const TWO: bool = false;
    fn is_nan(self) -> bool;
}

macro_rules! ordered {
    ($($t:ident $lowest:expr, $highest:expr, $nans:literal, |$v:ident| $nan:expr $(, $two:literal)?;)*) => {
        $(impl Ordered for $t {
            const LOWEST: $t = $lowest;
            const HIGHEST: $t = $highest;
            const NANS: bool = $nans;
            $(const TWO: bool = $two;)?

            #[inline(always)]
            fn is_nan(self) -> bool {
                let $v = self;
                $nan
            }
        })*
    };
}
ordered! {
    bool false, true, false, |_v| false, true;
    i8 i8::MIN, i8::MAX, false, |_v| false;
    i16 i16::MIN, i16::MAX, false, |_v| false;
    i32 i32::MIN, i32::MAX, false, |_v| false;
    i64 i64::MIN, i64::MAX, false, |_v| false;
    u8 u8::MIN, u8::MAX, false, |_v| false;
    u16 u16::MIN, u16::MAX, false, |_v| false;
    u32 u32::MIN, u32::MAX, false, |_v| false;
    u64 u64::MIN, u64::MAX, false, |_v| false;
    f32 f32::NEG_INFINITY, f32::INFINITY, true, |v| v.is_nan();
    f64 f64::NEG_INFINITY, f64::INFINITY, true, |v| v.is_nan();
}

/// Whether y is beyond x; never where one is NaN.
#[inline(always)]
pub fn beats<T: Ordered, const MAX: bool>(x: T, y: T) -> bool {
    if MAX { y > x } else { y < x }
}

/// The largest (or smallest) number but for NaNs, the lowest (highest) one there is where there are none, and whether there is a
/// NaN. Of zeros it may be either.
#[inline(always)]
pub fn extreme<T: Ordered, const MAX: bool>(x: &[T]) -> (T, bool) {
    if T::TWO {
        return (furthest_of_two::<T, MAX>(x), false);
    }
    if !T::NANS {
        // A plain loop, of which the compiler makes the best vectors: of lanes by hand it makes pieces of 16 bytes. What is left over
        // is met with some before it once more.
        let none = if MAX { T::LOWEST } else { T::HIGHEST };
        let (groups, rest) = x.as_chunks::<GROUP>();
        let best = groups.as_flattened().iter().fold(none, |best, &v| further::<T, MAX>(best, v));
        let last = x.last_chunk::<GROUP>().map_or(rest, |last| last);
        return (last.iter().fold(best, |best, &v| further::<T, MAX>(best, v)), false);
    }
    // Registers by hand, because the compiler does not change the order of floats: four of 64 bytes, of short rows one of 16.
    if size_of::<T>() == 4 { by_length::<T, MAX, 32, 4>(x) } else { by_length::<T, MAX, 16, 2>(x) }
}

/// Goes no further than the first elements among which it is.
#[inline(always)]
fn furthest_of_two<T: Ordered, const MAX: bool>(x: &[T]) -> T {
    let (none, other) = if MAX { (T::LOWEST, T::HIGHEST) } else { (T::HIGHEST, T::LOWEST) };
    for some in x.chunks(LOOKED_AT) {
        let mut any = false;
        for &v in some {
            any |= v != none;
        }
        if any {
            return other;
        }
    }
    none
}

/// Elements of which there are two that are looked at before it is asked whether that is enough.
const LOOKED_AT: usize = 1024;
/// Elements of which the compiler's vectors leave none over.
const GROUP: usize = 32;

#[inline(always)]
fn by_length<T: Ordered, const MAX: bool, const LANES: usize, const FEW: usize>(x: &[T]) -> (T, bool) {
    if let Some(last) = x.last_chunk::<LANES>().filter(|_| x.len() >= 2 * LANES) {
        return in_lanes::<T, MAX, LANES>(x, last);
    }
    if let Some(last) = x.last_chunk::<FEW>() {
        return in_lanes::<T, MAX, FEW>(x, last);
    }
    let none = if MAX { T::LOWEST } else { T::HIGHEST };
    x.iter().fold((none, false), |(best, nan), &v| (further::<T, MAX>(best, v), nan | v.is_nan()))
}

#[inline(always)]
fn further<T: Ordered, const MAX: bool>(x: T, y: T) -> T {
    if beats::<T, MAX>(x, y) { y } else { x }
}

/// `last` are the last elements: what is left over is met twice.
#[inline(always)]
fn in_lanes<T: Ordered, const MAX: bool, const LANES: usize>(x: &[T], last: &[T; LANES]) -> (T, bool) {
    let none = if MAX { T::LOWEST } else { T::HIGHEST };
    let other = if MAX { T::HIGHEST } else { T::LOWEST };
    let (groups, _) = x.as_chunks::<LANES>();
    let (pairs, odd) = groups.as_chunks::<2>();
    let (mut a, mut b) = ([none; LANES], [none; LANES]);
    // Marks of the element's own width: a vector of bools would be packed and unpacked in every round.
    let mut marks = [none; LANES];
    let mut add = |p: &[T; LANES], q: &[T; LANES]| {
        for i in 0..LANES {
            a[i] = further::<T, MAX>(a[i], p[i]);
            b[i] = further::<T, MAX>(b[i], q[i]);
            marks[i] = if p[i].is_nan() | q[i].is_nan() { other } else { marks[i] };
        }
    };
    for [p, q] in pairs {
        add(p, q);
    }
    add(odd.first().unwrap_or(last), last);
    let mut width = LANES;
    for i in 0..LANES {
        a[i] = further::<T, MAX>(a[i], b[i]);
    }
    while width > 1 {
        width /= 2;
        for i in 0..width {
            a[i] = further::<T, MAX>(a[i], a[i + width]);
        }
    }
    (a[0], marks.iter().fold(false, |nan, &m| nan | (m == other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_place() {
        for n in 0..300usize {
            let x: Vec<f32> = (0..n).map(|i| ((i * 37) % 101) as f32 - 50.0).collect();
            let top = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let low = x.iter().copied().fold(f32::INFINITY, f32::min);
            assert_eq!(extreme::<f32, true>(&x), (top, false));
            assert_eq!(extreme::<f32, false>(&x), (low, false));
            for at in (0..n).step_by(7) {
                let mut x = x.clone();
                x[at] = f32::NAN;
                assert!(extreme::<f32, true>(&x).1 && extreme::<f32, false>(&x).1);
                let rest = x.iter().copied().filter(|v| !v.is_nan()).fold(f32::NEG_INFINITY, f32::max);
                assert_eq!(extreme::<f32, true>(&x).0, rest);
            }
            let x: Vec<i8> = (0..n).map(|i| (i * 89) as u8 as i8).collect();
            assert_eq!(extreme::<i8, true>(&x), (x.iter().copied().max().unwrap_or(i8::MIN), false));
        }
    }
}
