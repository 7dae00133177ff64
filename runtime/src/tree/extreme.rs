//! The largest and the smallest of many numbers, in vectors: what `maximum` and its kin, argmin and argmax share.

/// Numbers that can be compared, with what is below and above all of them.
pub trait Ordered: Copy + PartialOrd {
    const LOWEST: Self;
    const HIGHEST: Self;
    fn is_nan(self) -> bool;
}

macro_rules! ordered {
    ($($t:ident $lowest:expr, $highest:expr, |$v:ident| $nan:expr;)*) => {
        $(impl Ordered for $t {
            const LOWEST: $t = $lowest;
            const HIGHEST: $t = $highest;

            #[inline(always)]
            fn is_nan(self) -> bool {
                let $v = self;
                $nan
            }
        })*
    };
}
ordered! {
    bool false, true, |_v| false;
    i8 i8::MIN, i8::MAX, |_v| false;
    i16 i16::MIN, i16::MAX, |_v| false;
    i32 i32::MIN, i32::MAX, |_v| false;
    i64 i64::MIN, i64::MAX, |_v| false;
    u8 u8::MIN, u8::MAX, |_v| false;
    u16 u16::MIN, u16::MAX, |_v| false;
    u32 u32::MIN, u32::MAX, |_v| false;
    u64 u64::MIN, u64::MAX, |_v| false;
    f32 f32::NEG_INFINITY, f32::INFINITY, |v| v.is_nan();
    f64 f64::NEG_INFINITY, f64::INFINITY, |v| v.is_nan();
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
    // Sixteen registers of 16 bytes, or four of 64.
    match size_of::<T>() {
        1 => in_lanes::<T, MAX, 128>(x),
        2 => in_lanes::<T, MAX, 64>(x),
        4 => in_lanes::<T, MAX, 32>(x),
        _ => in_lanes::<T, MAX, 16>(x),
    }
}

#[inline(always)]
fn in_lanes<T: Ordered, const MAX: bool, const LANES: usize>(x: &[T]) -> (T, bool) {
    let none = if MAX { T::LOWEST } else { T::HIGHEST };
    let (groups, rest) = x.as_chunks::<LANES>();
    let (pairs, odd) = groups.as_chunks::<2>();
    let (mut a, mut b) = ([none; LANES], [none; LANES]);
    // A number of the pair's lane that was NaN, for which no comparison holds.
    let mut strange = [false; LANES];
    for [p, q] in pairs {
        for i in 0..LANES {
            a[i] = if beats::<T, MAX>(a[i], p[i]) { p[i] } else { a[i] };
            b[i] = if beats::<T, MAX>(b[i], q[i]) { q[i] } else { b[i] };
            strange[i] |= p[i].is_nan() | q[i].is_nan();
        }
    }
    let mut best = none;
    let mut nan = strange.contains(&true);
    for &v in a.iter().chain(&b).chain(odd.as_flattened()).chain(rest) {
        best = if beats::<T, MAX>(best, v) { v } else { best };
        nan |= v.is_nan();
    }
    (best, nan)
}
