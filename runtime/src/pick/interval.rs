//! Comparisons with numbers as intervals.
//!
//! Every comparison with a number says that an element lies in a closed interval or outside of one: `x > 2` is what lies between the
//! float behind 2 and infinity, and `x != 2` is what is not between 2 and 2. Comparisons that hold together are one interval, so that
//! `(x >= a) & (x < b)` takes one look at each element.

use legate_jit_ir::{DType, Scalar, Ufunc};

/// What lies between `lo` and `hi`, both included, or what does not. NaNs lie in no interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Interval {
    lo: Scalar,
    hi: Scalar,
    outside: bool,
}

/// Calls `$f::<T>($args)` with the type of the elements.
macro_rules! by_type {
    ($dtype:expr, $f:ident($($arg:expr),*), else $other:expr) => {
        match $dtype {
            DType::F64 => $f::<f64>($($arg),*),
            DType::F32 => $f::<f32>($($arg),*),
            DType::I64 => $f::<i64>($($arg),*),
            DType::I32 => $f::<i32>($($arg),*),
            DType::I16 => $f::<i16>($($arg),*),
            DType::U16 => $f::<u16>($($arg),*),
            DType::U8 => $f::<u8>($($arg),*),
            _ => $other,
        }
    };
}
pub(super) use by_type;

/// Elements that intervals are made of.
pub(super) trait Element: Copy + PartialOrd + Send + Sync + 'static {
    const LEAST: Self;
    const MOST: Self;
    fn of(bits: u64) -> Self;
    fn bits(self) -> u64;
    /// The next larger one, the next smaller one.
    fn above(self) -> Option<Self>;
    fn below(self) -> Option<Self>;
}

macro_rules! integer {
    ($($t:ident),*) => { $(
        impl Element for $t {
            const LEAST: $t = $t::MIN;
            const MOST: $t = $t::MAX;
            fn of(bits: u64) -> $t {
                bits as $t
            }
            fn bits(self) -> u64 {
                // (Scalars have no bits beyond their element.)
                self as u64 & (u64::MAX >> (64 - $t::BITS))
            }
            fn above(self) -> Option<$t> {
                self.checked_add(1)
            }
            fn below(self) -> Option<$t> {
                self.checked_sub(1)
            }
        }
    )* };
}
integer!(i64, i32, i16, u16, u8);

macro_rules! float {
    ($t:ident, $bits:ident) => {
        impl Element for $t {
            const LEAST: $t = $t::NEG_INFINITY;
            const MOST: $t = $t::INFINITY;
            fn of(bits: u64) -> $t {
                $t::from_bits(bits as $bits)
            }
            fn bits(self) -> u64 {
                self.to_bits() as u64
            }
            fn above(self) -> Option<$t> {
                (self < Self::MOST).then(|| self.next_up())
            }
            fn below(self) -> Option<$t> {
                (self > Self::LEAST).then(|| self.next_down())
            }
        }
    };
}
float!(f64, u64);
float!(f32, u32);

impl Interval {
    /// What `x op number` says of x, `number` being of x's type.
    pub(super) fn of(op: Ufunc, number: Scalar) -> Option<Interval> {
        by_type!(number.dtype, of(op, number), else None)
    }

    /// What `number op x` says of x.
    pub(super) fn of_turned(op: Ufunc, number: Scalar) -> Option<Interval> {
        let turned = match op {
            Ufunc::Greater => Ufunc::Less,
            Ufunc::GreaterEqual => Ufunc::LessEqual,
            Ufunc::Less => Ufunc::Greater,
            Ufunc::LessEqual => Ufunc::GreaterEqual,
            other => other,
        };
        Interval::of(turned, number)
    }

    /// What lies in both, where that is one interval.
    pub(super) fn and(self, other: Interval) -> Option<Interval> {
        if self.outside || other.outside || self.lo.dtype != other.lo.dtype {
            return None;
        }
        by_type!(self.lo.dtype, and(self, other), else None)
    }

    /// What does not lie in it.
    pub(super) fn not(self) -> Interval {
        Interval { outside: !self.outside, ..self }
    }

    /// The only element in it.
    pub(super) fn only(&self) -> Option<Scalar> {
        (self.lo == self.hi && !self.outside).then_some(self.lo)
    }

    /// Whether it is what is not in `lo` to `hi`.
    pub(super) fn outside(&self) -> bool {
        self.outside
    }

    pub(super) fn dtype(&self) -> DType {
        self.lo.dtype
    }

    /// Its ends as elements of its type.
    pub(super) fn ends<T: Element>(&self) -> (T, T) {
        (T::of(self.lo.bits[0]), T::of(self.hi.bits[0]))
    }
}

fn of<T: Element>(op: Ufunc, number: Scalar) -> Option<Interval> {
    let scalar = |x: T| Scalar { dtype: number.dtype, bits: [x.bits(), 0] };
    let x = T::of(number.bits[0]);
    // What no element can be: an interval that ends before it begins.
    let none = (T::MOST, T::LEAST);
    let is_number = x.partial_cmp(&x).is_some();
    let (lo, hi) = match op {
        Ufunc::Greater => x.above().map_or(none, |x| (x, T::MOST)),
        Ufunc::GreaterEqual if is_number => (x, T::MOST),
        Ufunc::Less => x.below().map_or(none, |x| (T::LEAST, x)),
        Ufunc::LessEqual if is_number => (T::LEAST, x),
        Ufunc::Equal | Ufunc::NotEqual if is_number => (x, x),
        Ufunc::GreaterEqual | Ufunc::LessEqual | Ufunc::Equal | Ufunc::NotEqual => none,
        _ => return None,
    };
    Some(Interval { lo: scalar(lo), hi: scalar(hi), outside: op == Ufunc::NotEqual })
}

fn and<T: Element>(a: Interval, b: Interval) -> Option<Interval> {
    let (x, y) = (a.ends::<T>(), b.ends::<T>());
    Some(Interval {
        lo: if x.0 >= y.0 { a.lo } else { b.lo },
        hi: if x.1 <= y.1 { a.hi } else { b.hi },
        outside: false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::between::{Between, Search, word, words};
    use super::*;

    /// What `op` says of x and number by the language's own comparison.
    fn compare<T: Element>(op: Ufunc, x: T, number: T) -> bool {
        match op {
            Ufunc::Greater => x > number,
            Ufunc::GreaterEqual => x >= number,
            Ufunc::Less => x < number,
            Ufunc::LessEqual => x <= number,
            Ufunc::Equal => x == number,
            _ => x != number,
        }
    }

    const ALL: [Ufunc; 6] =
        [Ufunc::Greater, Ufunc::GreaterEqual, Ufunc::Less, Ufunc::LessEqual, Ufunc::Equal, Ufunc::NotEqual];

    fn all_pairs<T: Between + std::fmt::Debug>(dtype: DType, values: &[T]) {
        // More than a word, and a rest.
        let x: Vec<T> = values.iter().cycle().take(200).copied().collect();
        let mut out = vec![0; x.len().div_ceil(64)];
        let mut places = |interval: Interval| {
            let (lo, hi) = interval.ends::<T>();
            words(&x, Search { lo, hi, zones: None }, &mut out);
            let base: Vec<u64> = x.chunks(64).map(|x| word(x, lo, hi)).collect();
            assert_eq!(out, base);
            (0..x.len()).map(|i| (out[i / 64] >> (i % 64) & 1 == 1) != interval.outside).collect::<Vec<bool>>()
        };
        for &number in values {
            let scalar = Scalar { dtype, bits: [number.bits(), 0] };
            for op in ALL {
                let expect: Vec<bool> = x.iter().map(|&x| compare(op, x, number)).collect();
                assert_eq!(places(Interval::of(op, scalar).unwrap()), expect, "x {op:?} {number:?}");
                let turned: Vec<bool> = x.iter().map(|&x| compare(op, number, x)).collect();
                assert_eq!(places(Interval::of_turned(op, scalar).unwrap()), turned, "{number:?} {op:?} x");
                for &other in values {
                    let second = Scalar { dtype, bits: [other.bits(), 0] };
                    let first = Interval::of(op, scalar).unwrap();
                    let Some(both) = first.and(Interval::of(Ufunc::LessEqual, second).unwrap()) else {
                        assert!(op == Ufunc::NotEqual);
                        continue;
                    };
                    let expect: Vec<bool> = x.iter().map(|&x| compare(op, x, number) && x <= other).collect();
                    assert_eq!(places(both), expect, "x {op:?} {number:?} and x <= {other:?}");
                }
            }
        }
    }

    #[test]
    fn comparisons_are_intervals() {
        let tiny = f64::from_bits(1);
        let inf = f64::INFINITY;
        all_pairs(DType::F64, &[0.0, -0.0, 1.5, -2.0, tiny, -tiny, f64::MAX, f64::MIN, inf, -inf, f64::NAN]);
        all_pairs(DType::F32, &[0.0, -0.0, 1.5, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 3.25]);
        all_pairs(DType::I64, &[0, -1, 1, i64::MAX, i64::MIN, 77]);
        all_pairs(DType::I32, &[0, -1, 1, i32::MAX, i32::MIN]);
        all_pairs(DType::I16, &[0, -1, i16::MAX, i16::MIN]);
        all_pairs(DType::U16, &[0, 1, u16::MAX, 300]);
        all_pairs(DType::U8, &[0u8, 1, 128, 255]);
    }
}
