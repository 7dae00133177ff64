//! Inverse trigonometric functions of f64.
//!
//! asin and acos: a polynomial up to 1/2, and asin x = π/2 - 2 asin √((1-x)/2) above. atan x = atan c + atan((x-c)/(1+cx)),
//! with c from a table whose 14 intervals are half a binade wide, so that the quotient stays below 1/6; above 8 it is
//! π/2 - atan(1/x). One division, its rest included, serves numerator and denominator (atan2 has them from the start).

use crate::coefficients::*;
use crate::lanes::{Double, Lanes, fast_two_sum, poly, two_product, two_sum};

#[inline(always)]
pub fn asin<V: Lanes>(x: V) -> V {
    let a = x.abs();
    let big = V::all(0.5).lt(a);
    let z = V::select(big, a.fnma(V::all(0.5), V::all(0.5)), a * a);
    let s = V::select(big, z.sqrt(), a);
    let tail = (s * z) * poly(z, &ASIN);
    // Above 1/2 the error of the square root counts twice.
    let s_lo = s.fnma(s, z) * half_reciprocal(s);
    let hi = fast_two_sum(V::all(HALF_PI_HI), -(s + s));
    let far = hi.hi + (hi.lo + (tail + s_lo).fnma(V::all(2.0), V::all(HALF_PI_LO)));
    V::select(big, far, s + tail).with_sign(x)
}

#[inline(always)]
pub fn acos<V: Lanes>(x: V) -> V {
    let a = x.abs();
    let big = V::all(0.5).lt(a);
    let z = V::select(big, a.fnma(V::all(0.5), V::all(0.5)), a * a);
    let s = z.sqrt();
    let s_lo = s.fnma(s, z) * half_reciprocal(s);
    let negative = x.lt(V::all(0.0));
    // ±2 asin √z, or -asin x.
    let minus = x.xor(V::all(-0.0));
    let v = V::select(big, (s + s).or(x.sign()), minus);
    let v_lo = V::select(big, (s_lo + s_lo).xor(x.sign()), V::all(0.0));
    let zero = V::all(0.0);
    let base = |whole: f64, half: f64| V::select(big, V::select(negative, V::all(whole), zero), V::all(half));
    let sum = fast_two_sum(base(PI_HI, HALF_PI_HI), v);
    sum.hi + (v * z).fma(poly(z, &ASIN), v_lo + (sum.lo + base(PI_LO, HALF_PI_LO)))
}

/// 1/(2s) to 12 %, from the bits: what the rest of a square root is multiplied by, which is half a unit of it at most.
#[inline(always)]
fn half_reciprocal<V: Lanes>(s: V) -> V {
    V::bits(0x7fce_6238_22fc_16e6).isub(s)
}

/// What an interval adds, and its c.
struct Piece<V: Lanes> {
    c: V,
    hi: V,
    lo: V,
    /// Beyond 8, where -1/x is taken.
    far: V::Mask,
}

/// The piece for a number that is near the quotient (12 % are allowed).
#[inline(always)]
fn piece<V: Lanes>(q: V) -> Piece<V> {
    // Exponent and first place, modulo 16, name the interval.
    let q = q.min(V::all(9.0)).max(V::all(0.11));
    let i = q.shr::<51>();
    Piece { c: i.lookup16(&ATAN_C), hi: i.lookup16(&ATAN_HI), lo: i.lookup16(&ATAN_LO), far: V::all(8.0).le(q) }
}

#[inline(always)]
pub fn atan<V: Lanes>(x: V) -> V {
    let a = V::all(1e300).min(x.abs());
    let p = piece(a);
    let one = V::all(1.0);
    // a - c is exact.
    let over = V::select(p.far, V::all(-1.0), a - p.c);
    let under = p.c.fma(a, one);
    let under_lo = p.c.fma(a, one - under);
    let t = quotient(over, Double { hi: V::select(p.far, a, under), lo: under_lo });
    let sum = fast_two_sum(p.hi, t.hi);
    let z = t.hi * t.hi;
    let r = sum.hi + (t.hi * z).fma(poly(z, &ATAN), sum.lo + (p.lo + t.lo));
    r.with_sign(x)
}

#[inline(always)]
fn quotient<V: Lanes>(over: V, under: Double<V>) -> Double<V> {
    let y = V::all(1.0) / under.hi;
    let q = over * y;
    Double { hi: q, lo: under.lo.fnma(q, q.fnma(under.hi, over)) * y }
}

#[inline(always)]
pub fn atan2<V: Lanes>(y: V, x: V) -> V {
    let r = quadrants(y, x);
    // Where a product below would lose bits, or the quotient's bits wrap round.
    let (a, b) = (y.abs(), x.abs());
    let plain = |v: V| V::all(1e-140).le(v) & v.le(V::all(1e140));
    r.mend2(!((plain(a) | a.eq(V::all(0.0))) & plain(b)), y, x, far)
}

#[inline(always)]
fn quadrants<V: Lanes>(y: V, x: V) -> V {
    let (a, b) = (y.abs(), x.abs());
    // The difference of the bits is near the bits of the quotient.
    let p = piece(a.max(V::all(1e-150)).isub(b).iadd(V::all(1.0)));
    let zero = V::all(0.0);
    let cb = two_product(p.c, b);
    let ca = two_product(p.c, a);
    let over = two_sum(a, -cb.hi);
    let under = two_sum(b, ca.hi);
    let over = Double { hi: V::select(p.far, -b, over.hi), lo: V::select(p.far, zero, over.lo - cb.lo) };
    let under = Double { hi: V::select(p.far, a, under.hi), lo: V::select(p.far, zero, under.lo + ca.lo) };
    let t = Double::quotient(over, under);
    let sum = fast_two_sum(p.hi, t.hi);
    let z = t.hi * t.hi;
    let lo = (t.hi * z).fma(poly(z, &ATAN), sum.lo + (p.lo + t.lo));
    // The angle, or π less the angle.
    let sign = x.sign();
    let negative = sign.or(V::all(1.0)).lt(zero);
    let base = V::select(negative, V::all(PI_HI), zero);
    let base_lo = V::select(negative, V::all(PI_LO), zero);
    let whole = fast_two_sum(base, sum.hi.xor(sign));
    (whole.hi + (whole.lo + (base_lo + lo.xor(sign)))).abs().with_sign(y)
}

/// Zeros, infinities, NaN, and numbers whose products would overflow or lose bits.
#[inline]
fn far(y: f64, x: f64) -> f64 {
    if y.is_nan() || x.is_nan() {
        return x + y;
    }
    let (a, b) = (y.abs(), x.abs());
    let behind = x.is_sign_negative();
    let half = HALF_PI_HI;
    let size = if a == 0.0 {
        if behind { PI_HI } else { 0.0 }
    } else if b == 0.0 {
        half
    } else if a == f64::INFINITY {
        match (b == f64::INFINITY, behind) {
            (false, _) => half,
            (true, false) => half / 2.0,
            (true, true) => 3.0 * half / 2.0,
        }
    } else if b == f64::INFINITY {
        if behind { PI_HI } else { 0.0 }
    } else {
        // Powers of two bring the larger one near 1.
        let power = |n: i64| f64::from_bits(((1023 + n) as u64) << 52);
        let exponent = |v: f64| {
            ((v * power(if v < f64::MIN_POSITIVE { 60 } else { 0 })).to_bits() >> 52) as i64
                - 1023
                - if v < f64::MIN_POSITIVE { 60 } else { 0 }
        };
        let (ea, eb) = (exponent(a), exponent(b));
        if eb - ea > 100 {
            if behind { PI_HI } else { a / b }
        } else if ea - eb > 100 {
            half
        } else {
            let n = -ea.max(eb);
            let by = |v: f64| v * power(n / 2) * power(n - n / 2);
            return quadrants(by(y), by(x));
        }
    };
    size.copysign(y)
}
