//! Powers to the exponents that programs write: whole numbers up to 8 (x³, r⁻⁶) and halves up to 7/2 (1/r³ as (r²)^-1.5, roots), by
//! products whose rounding errors are carried along. They take a tenth to a third of the general way's time, and are within 0.56 ulp.
//!
//! The steps are written once, in terms of [`Number`]: the vector math library runs them on vectors, and compiled kernels that know
//! the exponent contain them. They hold for numbers within [`Exponent::reach`]; the others go the general way ([`crate::pow`]).

use std::ops::{Add, Div, Mul, Sub};

use crate::lanes::Lanes;
use crate::lanes32::Singles;

/// What the steps are made of: numbers, vectors of them, or code that computes such.
pub trait Number: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// f32, not f64.
    const SINGLE: bool;

    /// A constant.
    fn like(self, x: f64) -> Self;
    /// `self * y + z`, rounded once.
    fn fma(self, y: Self, z: Self) -> Self;
    /// `z - self * y`, rounded once.
    fn fnma(self, y: Self, z: Self) -> Self;
    /// `self * y - z`, rounded once.
    fn fms(self, y: Self, z: Self) -> Self;
    fn sqrt(self) -> Self;
    /// `bits` less half of the number's bits, as integers.
    fn less_half_of_its_bits(self, bits: u64) -> Self;
    /// The number without its last `n` bits.
    fn without_last(self, n: u32) -> Self;
}

/// Lanes of f64 as such numbers.
#[derive(Clone, Copy)]
pub(crate) struct Double<V>(pub V);

/// Lanes of f32.
#[derive(Clone, Copy)]
pub(crate) struct Single<V>(pub V);

macro_rules! operators {
    ($($type:ident $bound:ident: $($trait:ident $op:ident)*;)*) => {
        $($(
            impl<V: $bound> $trait for $type<V> {
                type Output = $type<V>;
                #[inline(always)]
                fn $op(self, y: $type<V>) -> $type<V> {
                    $type($trait::$op(self.0, y.0))
                }
            }
        )*)*
    };
}
operators! { Double Lanes: Add add Sub sub Mul mul Div div; Single Singles: Add add Sub sub Mul mul Div div; }

macro_rules! number {
    ($type:ident $bound:ident $single:literal $elem:ident $bits:ident) => {
        impl<V: $bound> Number for $type<V> {
            const SINGLE: bool = $single;

            #[inline(always)]
            fn like(self, x: f64) -> Self {
                $type(V::all(x as $elem))
            }
            #[inline(always)]
            fn fma(self, y: Self, z: Self) -> Self {
                $type(self.0.fma(y.0, z.0))
            }
            #[inline(always)]
            fn fnma(self, y: Self, z: Self) -> Self {
                $type(self.0.fnma(y.0, z.0))
            }
            #[inline(always)]
            fn fms(self, y: Self, z: Self) -> Self {
                $type(self.0.fms(y.0, z.0))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $type(self.0.sqrt())
            }
            #[inline(always)]
            fn less_half_of_its_bits(self, bits: u64) -> Self {
                $type(V::bits(bits as $bits).isub(self.0.shr::<1>()))
            }
            #[inline(always)]
            fn without_last(self, n: u32) -> Self {
                $type(self.0.and(V::bits(<$bits>::MAX << n)))
            }
        }
    };
}
number!(Double Lanes false f64 u64);
number!(Single Singles true f32 u32);

/// An exponent with a way of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exponent {
    twice: i32,
}

/// The largest exponents, twice: of whole numbers, and of numbers and a half.
pub(crate) const WHOLE: i32 = 16;
const HALVES: i32 = 7;

impl Exponent {
    #[inline(always)]
    pub fn of(y: f64) -> Option<Exponent> {
        let twice = (y + y) as i32;
        let exact = twice as f64 == y + y;
        let most = if twice % 2 == 0 { WHOLE } else { HALVES };
        (exact && twice.abs() <= most).then_some(Exponent { twice })
    }

    #[inline(always)]
    pub fn value(self) -> f64 {
        self.twice as f64 / 2.0
    }

    /// Whether it is a whole number.
    #[inline(always)]
    pub fn is_whole(self) -> bool {
        self.twice % 2 == 0
    }

    /// Numbers have ways of their own if the exponent of their leading bit is within plus or minus this, and, where the exponent is no
    /// whole number, if they are positive: no product overflows then, and none loses bits of its rounding error.
    #[inline(always)]
    pub fn reach(self, single: bool) -> i32 {
        let (of_products, most) = if single { (156, 60) } else { (1800, 600) };
        // (A positive half has one factor more, and a root of which it takes off.)
        let factors = if self.is_whole() { self.twice.abs() } else { self.twice.abs() + 1 };
        (of_products / factors.max(1)).min(most)
    }
}

/// An unevaluated sum, the second part of which is a few units in the last place of the first at most.
#[derive(Clone, Copy)]
pub(crate) struct Pair<N> {
    pub hi: N,
    pub lo: N,
}

#[inline(always)]
fn two_product<N: Number>(a: N, b: N) -> Pair<N> {
    let hi = a * b;
    Pair { hi, lo: a.fms(b, hi) }
}

#[inline(always)]
fn square<N: Number>(x: N) -> Pair<N> {
    two_product(x, x)
}

impl<N: Number> Pair<N> {
    #[inline(always)]
    pub fn of(x: N) -> Pair<N> {
        Pair { hi: x, lo: x.like(0.0) }
    }

    #[inline(always)]
    pub fn squared(self) -> Pair<N> {
        let p = two_product(self.hi, self.hi);
        Pair { hi: p.hi, lo: (self.hi + self.hi).fma(self.lo, p.lo) }
    }

    #[inline(always)]
    pub fn times(self, x: N) -> Pair<N> {
        let p = two_product(self.hi, x);
        Pair { hi: p.hi, lo: self.lo.fma(x, p.lo) }
    }

    #[inline(always)]
    pub fn sum(self) -> N {
        self.hi + self.lo
    }

    /// 1 / self, rounded. The quotient's own error is a product's and so is had exactly.
    #[inline(always)]
    pub fn reciprocal(self) -> N {
        let one = self.hi.like(1.0);
        let y = one / self.hi;
        let rest = y.fnma(self.lo, y.fnma(self.hi, one));
        rest.fma(y, y)
    }

    /// self (1 + r), rounded.
    #[inline(always)]
    fn grown(self, r: N) -> N {
        self.hi + self.hi.fma(r, self.lo)
    }
}

/// x^n: squares from the highest bit of n on, and a factor for each bit that is set.
#[inline(always)]
fn whole<N: Number>(x: N, n: i32) -> Pair<N> {
    match n {
        1 => Pair::of(x),
        2 => square(x),
        3 => square(x).times(x),
        4 => square(x).squared(),
        5 => square(x).squared().times(x),
        6 => square(x).times(x).squared(),
        7 => square(x).times(x).squared().times(x),
        8 => square(x).squared().squared(),
        _ => Pair::of(x.like(1.0)),
    }
}

/// y near x^-1/2, y² and e = 1 - x y², both exact. |e| is at most 2^-13.9 (f64) or 2^-10.9 (f32).
///
/// y has so few bits that its square needs no second number, and of an f64 its third power doesn't either. These are a quarter of the
/// multiplications, which is what bodies with such a power wait for.
#[inline(always)]
fn inverse_root<N: Number>(x: N) -> (N, N, N) {
    // Halving the bits halves the exponent; that is within 3.5 %. Then one step of third order, whose constants make the largest error
    // smallest: 2^-15.4, around the middle of what cutting off the last bits takes away.
    let (bits, [middle, c1, c2], cut) = if N::SINGLE {
        (0x5f37_62db, [1.000_488_44, 0.500_853_29, 0.375_278_68], 12)
    } else {
        (0x5fe6_d40c_9197_eefd, [1.0, 0.501_007, 0.382_62], 36)
    };
    let y = x.less_half_of_its_bits(bits);
    let e = (y * y).fnma(x, x.like(middle));
    let y = (y * e).fma(e.fma(x.like(c2), x.like(c1)), y).without_last(cut);
    let square = y * y;
    (y, square, x.fnma(square, x.like(1.0)))
}

/// p, with which 1 + e p is (1 - e)^-a.
#[inline(always)]
fn series<N: Number>(e: N, a: f64) -> N {
    let c2 = a * (a + 1.0) / 2.0;
    if N::SINGLE {
        return e.fma(e.like(c2), e.like(a));
    }
    let c3 = c2 * (a + 2.0) / 3.0;
    let c4 = c3 * (a + 3.0) / 4.0;
    let p = if a > 1.5 {
        // The next term is a thousandth of a unit.
        e.fma(e.like(c4), e.like(c3)).fma(e, e.like(c2))
    } else {
        // e⁴ is within 3·10⁻¹⁸ of this multiple of e², which is 0.06 units of the result at most.
        e.fma(e.like(c3), e.like(c2 + 3.21e-9 * c4))
    };
    p.fma(e, e.like(a))
}

/// x to an exponent within whose reach it is.
#[inline(always)]
pub fn power<N: Number>(x: N, exponent: Exponent) -> N {
    match exponent.twice {
        -16 => whole(x, 8).reciprocal(),
        -14 => whole(x, 7).reciprocal(),
        -12 => whole(x, 6).reciprocal(),
        -10 => whole(x, 5).reciprocal(),
        -8 => whole(x, 4).reciprocal(),
        -7 => minus_and_half(x, 3),
        -6 => whole(x, 3).reciprocal(),
        -5 => minus_and_half(x, 2),
        -4 => whole(x, 2).reciprocal(),
        -3 => minus_and_half(x, 1),
        -2 => x.like(1.0) / x,
        -1 => minus_and_half(x, 0),
        0 => x.like(1.0),
        1 => x.sqrt(),
        2 => x,
        3 => and_half(x, 1),
        4 => x * x,
        5 => and_half(x, 2),
        6 => whole(x, 3).sum(),
        7 => and_half(x, 3),
        8 => whole(x, 4).sum(),
        10 => whole(x, 5).sum(),
        12 => whole(x, 6).sum(),
        14 => whole(x, 7).sum(),
        _ => whole(x, 8).sum(),
    }
}

/// x^(n + 1/2) as x^(n + 1) x^(-1/2).
#[inline(always)]
fn and_half<N: Number>(x: N, n: i32) -> N {
    let (y, _, e) = inverse_root(x);
    whole(x, n + 1).times(y).grown(e * series(e, 0.5))
}

/// x^-(n + 1/2) as y^(2n + 1) (1 - e)^-(n + 1/2).
#[inline(always)]
fn minus_and_half<N: Number>(x: N, n: i32) -> N {
    let (y, square, e) = inverse_root(x);
    let series = series(e, n as f64 + 0.5);
    // An f32's has 36 bits.
    let cube = square * y;
    let power = match n {
        0 => return (y * e).fma(series, y),
        1 if !N::SINGLE => return (cube * e).fma(series, cube),
        1 => two_product(square, y),
        2 if !N::SINGLE => two_product(cube, square),
        2 => two_product(square, square).times(y),
        _ if !N::SINGLE => two_product(cube, cube).times(y),
        _ => two_product(square, y).squared().times(y),
    };
    power.grown(e * series)
}
