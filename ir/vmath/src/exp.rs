//! Exponentials and hyperbolic functions of f64.
//!
//! x = n ln 2 + r with |r| ≤ ln 2 / 2 (Cody and Waite, *Software Manual for the Elementary Functions*, 1980): with FMA the
//! first part of n ln 2 is subtracted exactly. A minimax polynomial of e^r and a multiplication by 2^n follow. The
//! hyperbolic functions need e^r and e^-r: the odd and the even part of one polynomial give both, and no division.

use crate::coefficients::*;
use crate::lanes::{Double, Lanes, MAGIC, fast_two_sum, poly, round, round_product};

/// x within bounds; NaN stays.
#[inline(always)]
pub fn clamp<V: Lanes>(x: V, low: f64, high: f64) -> V {
    V::all(low).max(V::all(high).min(x))
}

/// n, r and what r lacks.
#[inline(always)]
fn reduce<V: Lanes>(x: V) -> (V, Double<V>) {
    let n = round_product(x, LOG2_E);
    let first = n.fnma(V::all(LN2_HI), x);
    let second = n * V::all(LN2_LO);
    let hi = first - second;
    (n, Double { hi, lo: (first - hi) - second })
}

#[inline(always)]
pub fn exp<V: Lanes>(x: V) -> V {
    let x = clamp(x, -746.0, 710.0);
    let n = round_product(x, LOG2_E);
    let r = n.fnma(V::all(LN2_LO), n.fnma(V::all(LN2_HI), x));
    let one = fast_two_sum(V::all(1.0), r);
    (one.hi + (r * r).fma(poly(r, &EXP), one.lo)).scale(n)
}

#[inline(always)]
pub fn exp2<V: Lanes>(x: V) -> V {
    let x = clamp(x, -1080.0, 1030.0);
    let n = round(x);
    let r = x - n;
    let tail = (r * r).fma(poly(r, &EXP2), r * V::all(LN2_LO));
    (V::all(1.0) + r.fma(V::all(LN2_HI), tail)).scale(n)
}

/// e^x = 2^n (hi + lo), where lo is some 2^-5 of hi at most (Tang, *Table-driven implementation of the exponential function in
/// IEEE floating-point arithmetic*, ACM TOMS 15, 1989).
pub struct Parts<V> {
    /// n in the exponent's place, modulo 2^12.
    pub shift: V,
    pub hi: V,
    pub lo: V,
}

/// The parts of e^(x + x_lo), where x_lo is below x's last place.
#[inline(always)]
pub fn parts<V: Lanes>(x: V, x_lo: V) -> Parts<V> {
    // Sixteen times as fine as n.
    let bits = x.fma(V::all(16.0 * LOG2_E), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    let r = n.fnma(V::all(LN2_16_HI), x) + n.fnma(V::all(LN2_16_LO), x_lo);
    let p = (r * r).fma(poly(r, &EXP_16), r);
    let hi = bits.lookup16(&POWER_16_HI);
    Parts { shift: bits.shr::<4>().shl::<52>(), hi, lo: hi.fma(p, bits.lookup16(&POWER_16_LO)) }
}

/// e^(x + low) for any x and a low below its last place, rounded nearly once.
#[inline(always)]
pub fn exp_double<V: Lanes>(x: Double<V>) -> V {
    let hi = clamp(x.hi, -746.0, 710.0);
    let n = round_product(hi, LOG2_E);
    let first = n.fnma(V::all(LN2_HI), hi);
    let second = n.fnma(V::all(LN2_LO), x.lo);
    let r = first + second;
    let rest = (first - r) + second;
    let one = fast_two_sum(V::all(1.0), r);
    (one.hi + (one.lo + (r * r).fma(poly(r, &EXP), rest))).scale(n)
}

/// Half of 2^n (1 + r + q) - 1, for 2^1024; 2^n - 1 and the product with r are added without error.
#[inline(always)]
pub fn expm1<V: Lanes>(x: V) -> V {
    let (n, r) = reduce(clamp(x, -60.0, 710.0));
    let half = V::all(0.5);
    let power = V::power(n - V::all(1.0));
    let base = power - half;
    let base_lo = (power - base) - half;
    // Up to a quarter of the result: its first term is rounded only once.
    let tail = ((r.hi * r.hi) * r.hi).fma(poly(r.hi, &EXPM1), r.lo);
    let q = (r.hi * half).fma(r.hi, tail);
    let sum = power.fma(r.hi, base);
    let sum_lo = power.fma(r.hi, base - sum);
    let y = sum + power.fma(q, sum_lo + base_lo);
    V::select(x.abs().lt(V::bits((1023 - 54) << 52)), x, y + y)
}

/// What sinh and cosh of x ≥ 0 are made of: P = 2^(n-3) and Q = 2^(-n-3), their sum and difference, and the odd and the even
/// part of the polynomial. The factor 1/4 keeps everything finite up to the overflow of the functions.
struct Hyperbolic<V> {
    plus: Double<V>,
    minus: Double<V>,
    /// sinh r = r + odd
    r: V,
    odd: V,
    /// cosh r = 1 + even
    even: V,
}

#[inline(always)]
fn hyperbolic<V: Lanes>(x: V) -> Hyperbolic<V> {
    let (n, r) = reduce(x);
    let z = r.hi * r.hi;
    let p = V::power(n - V::all(3.0));
    let q = V::power(V::all(-3.0) - n.min(V::all(500.0)));
    let (plus, minus) = (p + q, p - q);
    Hyperbolic {
        plus: Double { hi: plus, lo: q - (plus - p) },
        minus: Double { hi: minus, lo: (p - minus) - q },
        r: r.hi,
        odd: (r.hi * z).fma(poly(z, &SINH), r.lo),
        even: z * poly(z, &COSH),
    }
}

impl<V: Lanes> Hyperbolic<V> {
    /// a (1 + even) + b (r + odd).
    #[inline(always)]
    fn combine(&self, a: Double<V>, b: Double<V>) -> Double<V> {
        let product = b.hi * self.r;
        let product_lo = b.hi.fms(self.r, product);
        let sum = fast_two_sum(a.hi, product);
        let lo = (sum.lo + product_lo) + b.lo.fma(self.r, a.lo);
        Double { hi: sum.hi, lo: b.hi.fma(self.odd, a.hi.fma(self.even, lo)) }
    }

    #[inline(always)]
    fn sinh(&self) -> Double<V> {
        self.combine(self.minus, self.plus)
    }
}

/// Below this the functions with f(x) = x + O(x³) are x, but for a hundredth of a unit.
pub const TINY: f64 = 3.725_290_298_461_914e-9;

#[inline(always)]
pub fn sinh<V: Lanes>(x: V) -> V {
    let a = V::all(711.0).min(x.abs());
    let r = hyperbolic(a).sinh().sum() * V::all(4.0);
    V::select(a.lt(V::all(TINY)), x, r.with_sign(x))
}

/// e^|x| / 2 and its reciprocal's quarter, both halved, for the overflow.
#[inline(always)]
pub fn cosh<V: Lanes>(x: V) -> V {
    let e = parts(V::all(711.0).min(x.abs()), V::all(0.0));
    let power = V::all(0.25).iadd(e.shift);
    let (hi, lo) = (power * e.hi, power * e.lo);
    let r = hi + (lo + V::all(0.0625) / (hi + lo));
    r + r
}

/// (e^2a - 1) / (e^2a + 1) with e^2a in two parts; below 1/4 a polynomial.
#[inline(always)]
pub fn tanh<V: Lanes>(x: V) -> V {
    let a = V::all(20.0).min(x.abs());
    let e = parts(a + a, V::all(0.0));
    let one = V::all(1.0);
    let power = one.iadd(e.shift);
    let (hi, lo) = (power * e.hi, power * e.lo);
    let below = fast_two_sum(hi, one);
    let below = fast_two_sum(below.hi, below.lo + lo);
    // 1 - 2/(e^2a + 1)
    let y = one / below.hi;
    let rest = below.lo.fnma(y, y.fnma(below.hi, one)) * y;
    let far = fast_two_sum(one, V::all(-2.0) * y);
    let far = far.hi + rest.fma(V::all(-2.0), far.lo);
    let z = a * a;
    let near = (a * z).fma(poly(z, &TANH), a);
    V::select(a.lt(V::all(0.5)), near, far).with_sign(x)
}
