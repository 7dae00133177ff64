//! Sine, cosine and tangent of f64, and the reduction of angles.
//!
//! x = n π/2 + r with |r| ≤ π/4. Up to 2^30 three parts of π/2 are enough, the first of which FMA subtracts exactly (Cody and
//! Waite). Beyond, one lane at a time, x is multiplied by those binary places of 2/π that matter (Payne and Hanek, *Radian
//! reduction for trigonometric functions*, SIGNUM 18, 1983).

use crate::coefficients::*;
use crate::exp::TINY;
use crate::lanes::{Double, Lanes, MAGIC, fast_two_sum, poly, two_product};

/// From here on angles are reduced one by one.
pub const FAR: f64 = 1_073_741_824.0;

/// n, in the lowest bits, and r.
#[inline(always)]
fn reduce<V: Lanes>(x: V) -> (V, Double<V>) {
    let bits = x.fma(V::all(TWO_OVER_PI), V::all(MAGIC));
    let n = bits - V::all(MAGIC);
    let first = n.fnma(V::all(HALF_PI_0), x);
    let second = two_product(n, V::all(HALF_PI_1));
    // The first difference is 0, or at least a unit of x, which is more than the second product.
    let sum = fast_two_sum(first, -second.hi);
    (bits, Double { hi: sum.hi, lo: n.fnma(V::all(HALF_PI_2), sum.lo - second.lo) })
}

/// True where the lowest bit is set.
#[inline(always)]
pub fn is_odd<V: Lanes>(bits: V) -> V::Mask {
    bits.shl::<63>().or(V::all(1.0)).lt(V::all(0.0))
}

/// tan(r + n π/2).
#[inline(always)]
fn tan_of<V: Lanes>(odd: V::Mask, r: Double<V>) -> V {
    let square = two_product(r.hi, r.hi);
    let z = square.hi;
    let half = V::all(0.5);
    let h = z * half;
    let one = V::all(1.0);
    let sine = fast_two_sum(r.hi, (r.hi * z).fma(poly(z, &SIN), h.fnma(r.lo, r.lo)));
    let c = one - h;
    let c_lo = square.lo.fnma(half, (one - c) - h);
    let cosine = fast_two_sum(c, (z * z).fma(poly(z, &COS), r.hi.fnma(r.lo, c_lo)));
    let pick =
        |odd, a: Double<V>, b: Double<V>| Double { hi: V::select(odd, a.hi, b.hi), lo: V::select(odd, a.lo, b.lo) };
    let over = pick(odd, Double { hi: -cosine.hi, lo: -cosine.lo }, sine);
    Double::quotient(over, pick(odd, sine, cosine)).sum()
}

#[inline(always)]
pub fn tan<V: Lanes>(x: V) -> V {
    let (bits, r) = reduce(x);
    let r = tan_of(is_odd(bits), r);
    let r = V::select(x.abs().lt(V::all(TINY)), x, r);
    r.mend(!x.abs().lt(V::all(FAR)), x, |x| {
        let (n, r) = reduce_far(x);
        tan_of(n & 1 == 1, r)
    })
}

/// sin or cos (`turn` = 0 or 1) with the C library's bits. Its results are within 0.55 units of the last place. So where the exact
/// value, known to a hundredth of a unit, is within 0.44 of a number, that is the C library's too; it is asked for the others.
#[inline(always)]
fn as_library<V: Lanes>(x: V, turn: u64, library: impl Fn(f64) -> f64) -> V {
    if V::LANES == 1 {
        return x.map(library);
    }
    let (bits, r) = reduce(x);
    let bits = bits.iadd(V::bits(turn));
    let odd = is_odd(bits);
    let z = two_product(r.hi, r.hi);
    let (s, c) = (precise_sine(r, z), precise_cosine(r, z));
    let (hi, lo) = (V::select(odd, c.hi, s.hi), V::select(odd, c.lo, s.lo));
    let sum = fast_two_sum(hi, lo);
    // The unit of a power of two is that of the numbers below it.
    let unit = (sum.hi * V::all(1.0 - f64::EPSILON / 2.0)).and(V::all(f64::INFINITY));
    let sure = sum.lo.abs().le(unit * V::all(0.44 * f64::EPSILON)) & x.abs().lt(V::all(FAR));
    sum.hi.xor(bits.shl::<62>().sign()).mend(!sure, x, library)
}

#[inline(always)]
fn precise_sine<V: Lanes>(r: Double<V>, z: Double<V>) -> Double<V> {
    let cube = two_product(r.hi, z.hi);
    let cube_lo = r.hi.fma(z.lo, cube.lo);
    let sixth = two_product(cube.hi, V::all(MINUS_SIXTH_HI));
    let sixth_lo = cube.hi.fma(V::all(MINUS_SIXTH_LO), cube_lo.fma(V::all(MINUS_SIXTH_HI), sixth.lo));
    let sum = fast_two_sum(r.hi, sixth.hi);
    let rest = (z.hi * V::all(0.5)).fnma(r.lo, r.lo) + (sum.lo + sixth_lo);
    Double { hi: sum.hi, lo: (cube.hi * z.hi).fma(poly(z.hi, &SIN_5), rest) }
}

#[inline(always)]
fn precise_cosine<V: Lanes>(r: Double<V>, z: Double<V>) -> Double<V> {
    let one = V::all(1.0);
    let half = z.hi * V::all(0.5);
    let first = one - half;
    let first_lo = (one - first) - half;
    let square = two_product(z.hi, z.hi);
    let square_lo = (z.hi + z.hi).fma(z.lo, square.lo);
    let fourth = two_product(square.hi, V::all(TWENTY_FOURTH_HI));
    let fourth_lo = square.hi.fma(V::all(TWENTY_FOURTH_LO), square_lo.fma(V::all(TWENTY_FOURTH_HI), fourth.lo));
    let sum = fast_two_sum(first, fourth.hi);
    // sin r is r, less a sixth of its cube, where it is multiplied by r's rest.
    let sine = (r.hi * z.hi).fma(V::all(MINUS_SIXTH_HI), r.hi);
    let rest = (sum.lo + first_lo) + sine.fnma(r.lo, z.lo.fnma(V::all(0.5), fourth_lo));
    Double { hi: sum.hi, lo: (square.hi * z.hi).fma(poly(z.hi, &COS_6), rest) }
}

#[inline(always)]
pub fn sin<V: Lanes>(x: V) -> V {
    // Which also keeps the sign of zero.
    V::select(x.abs().lt(V::all(TINY)), x, as_library(x, 0, f64::sin))
}

#[inline(always)]
pub fn cos<V: Lanes>(x: V) -> V {
    as_library(x, 1, f64::cos)
}

/// n mod 4 and r of a number beyond [`FAR`]. NaN for infinities and NaN.
#[inline]
pub fn reduce_far(x: f64) -> (u64, Double<f64>) {
    if !x.is_finite() {
        return (0, Double { hi: f64::NAN, lo: 0.0 });
    }
    let bits = x.abs().to_bits();
    let mantissa = (bits & ((1 << 52) - 1)) | 1 << 52;
    // x = mantissa · 2^e. Places of 2/π before place e - 1 give multiples of 4.
    let e = (bits >> 52) as i64 - 1075;
    let first = e - 2;
    let word = |w: i64| if w < 0 { 0 } else { TWO_OVER_PI_BITS[w as usize] };
    let at = |k: i64| {
        let place = first + 64 * k;
        let (w, shift) = (place.div_euclid(64), place.rem_euclid(64) as u32);
        if shift == 0 { word(w) } else { word(w) << shift | word(w + 1) >> (64 - shift) }
    };
    // mantissa · (192 places), modulo 2^192: two places before the point, 190 behind it.
    let low = mantissa as u128 * at(2) as u128;
    let middle = mantissa as u128 * at(1) as u128 + (low >> 64);
    let high = mantissa.wrapping_mul(at(0)).wrapping_add((middle >> 64) as u64);
    let words = [high, middle as u64, low as u64];
    let mut n = words[0] >> 62;
    let fraction = ((words[0] as u128) << 66) | ((words[1] as u128) << 2) | (words[2] >> 62) as u128;
    // As a signed number the fraction lies in [-1/2, 1/2).
    let fraction = fraction as i128;
    if fraction < 0 {
        n += 1;
    }
    let hi = fraction as f64;
    let lo = fraction.wrapping_sub(hi as i128) as f64;
    let unit = f64::from_bits((1023 - 128) << 52);
    let (hi, lo) = (hi * unit, lo * unit);
    let p = two_product(hi, HALF_PI_0);
    let r = fast_two_sum(p.hi, p.lo + hi.mul_add(HALF_PI_1, lo * HALF_PI_0));
    if x < 0.0 { (n.wrapping_neg() & 3, Double { hi: -r.hi, lo: -r.lo }) } else { (n & 3, r) }
}
