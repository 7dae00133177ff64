//! Which elements of an array lie between two others, 64 places a word; and what is known of 64 elements beforehand, so that most of
//! them need no look.
//!
//! A boundary file: it uses the processor's vectors.

use std::arch::x86_64::*;

use legate_jit_vmath::{Isa, isa};

use super::interval::Element;
use super::selection::CHUNK;

/// Words that are asked for before their turn comes.
const AHEAD: usize = 4;

/// Elements of which 64 are compared at a time.
pub(super) trait Between: Element {
    /// # Safety
    /// AVX-512 is there.
    unsafe fn word_avx512(x: &[Self; 64], lo: Self, hi: Self) -> u64;

    /// # Safety
    /// AVX2 is there.
    #[inline(always)]
    unsafe fn word_avx2(x: &[Self; 64], lo: Self, hi: Self) -> u64 {
        word(x, lo, hi)
    }
}

macro_rules! in_vectors {
    ($($t:ident $set:ident $load:ident $compare:ident<$ge:ident> $under:ident<$le:ident> $lanes:literal $({ $avx2:item })?;)*) => { $(
        impl Between for $t {
            #[inline]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2")]
            unsafe fn word_avx512(x: &[$t; 64], lo: $t, hi: $t) -> u64 {
                let (lo, hi) = ($set(lo), $set(hi));
                (0..64 / $lanes).fold(0, |word, k| {
                    // SAFETY: a vector of the 64 elements.
                    let part = unsafe { $load(x.as_ptr().add($lanes * k).cast()) };
                    let least = $compare::<$ge>(part, lo);
                    word | ($under::<$le>(least, part, hi) as u64) << ($lanes * k)
                })
            }

            $($avx2)?
        }
    )* };
}

/// The same in vectors of half the length, whose comparisons give vectors.
macro_rules! in_halves {
    ($t:ident $set:ident $load:ident $compare:ident $and:ident $bits:ident $lanes:literal) => {
        #[inline]
        #[target_feature(enable = "avx2")]
        unsafe fn word_avx2(x: &[$t; 64], lo: $t, hi: $t) -> u64 {
            let (lo, hi) = ($set(lo), $set(hi));
            (0..64 / $lanes).fold(0, |word, k| {
                // SAFETY: a vector of the 64 elements.
                let part = unsafe { $load(x.as_ptr().add($lanes * k)) };
                let both = $and($compare::<_CMP_GE_OQ>(part, lo), $compare::<_CMP_LE_OQ>(part, hi));
                word | ($bits(both) as u64) << ($lanes * k)
            })
        }
    };
}

in_vectors! {
    f64 _mm512_set1_pd _mm512_loadu_pd _mm512_cmp_pd_mask<_CMP_GE_OQ> _mm512_mask_cmp_pd_mask<_CMP_LE_OQ> 8 {
        in_halves!(f64 _mm256_set1_pd _mm256_loadu_pd _mm256_cmp_pd _mm256_and_pd _mm256_movemask_pd 4);
    };
    f32 _mm512_set1_ps _mm512_loadu_ps _mm512_cmp_ps_mask<_CMP_GE_OQ> _mm512_mask_cmp_ps_mask<_CMP_LE_OQ> 16 {
        in_halves!(f32 _mm256_set1_ps _mm256_loadu_ps _mm256_cmp_ps _mm256_and_ps _mm256_movemask_ps 8);
    };
    i64 _mm512_set1_epi64 _mm512_loadu_epi64 _mm512_cmp_epi64_mask<_MM_CMPINT_NLT> _mm512_mask_cmp_epi64_mask<_MM_CMPINT_LE> 8;
    i32 _mm512_set1_epi32 _mm512_loadu_epi32 _mm512_cmp_epi32_mask<_MM_CMPINT_NLT> _mm512_mask_cmp_epi32_mask<_MM_CMPINT_LE> 16;
}

macro_rules! in_bytes {
    ($($t:ident)*) => { $(
        impl Between for $t {
            #[inline]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2")]
            unsafe fn word_avx512(x: &[$t; 64], lo: $t, hi: $t) -> u64 {
                word(x, lo, hi)
            }
        }
    )* };
}
in_bytes!(i16 u16 u8);

/// The places of up to 64 elements that lie between two others.
#[inline(always)]
pub(super) fn word<T: Element>(x: &[T], lo: T, hi: T) -> u64 {
    let f = |x: T| (x >= lo) & (x <= hi);
    let Ok(x) = <&[T; 64]>::try_from(x) else {
        return x.iter().take(64).enumerate().fold(0, |w, (k, &x)| w | (f(x) as u64) << k);
    };
    // Bytes first, which are made in vectors.
    let mut bytes = [0u8; 64];
    bytes.iter_mut().zip(x).for_each(|(byte, &x)| *byte = f(x) as u8);
    bytes.as_chunks::<8>().0.iter().enumerate().fold(0, |word, (k, eight)| {
        // The product has the lowest bit of each byte in its highest byte, the first one's lowest.
        word | (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * k)
    })
}

/// The least and the largest of each 64 elements, one after the other; NaN for both where one of the elements is.
pub(super) struct Zones<'a, T> {
    pub(super) least: &'a [T],
    pub(super) most: &'a [T],
}

/// What to look for, and what there is to be found out without looking.
#[derive(Clone, Copy)]
pub(super) struct Search<'a, T> {
    pub(super) lo: T,
    pub(super) hi: T,
    pub(super) zones: Option<&'a Zones<'a, T>>,
}

/// Finds the places of `x`, at most a chunk of elements, 64 a word; how many words had to be looked at.
pub(super) fn words<T: Between>(x: &[T], search: Search<T>, out: &mut [u64]) -> usize {
    match isa() {
        // SAFETY: the processor has it.
        Isa::Avx512 => unsafe { words_avx512(x, search, out) },
        // SAFETY: as above.
        Isa::Avx2 => unsafe { words_avx2(x, search, out) },
        Isa::Base => each(x, search, out, |x, lo, hi| word(x, lo, hi)),
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,popcnt,bmi1,bmi2")]
fn words_avx512<T: Between>(x: &[T], search: Search<T>, out: &mut [u64]) -> usize {
    each(x, search, out, |x, lo, hi| match x.try_into() {
        // SAFETY: this function has AVX-512.
        Ok(x) => unsafe { T::word_avx512(x, lo, hi) },
        Err(_) => word(x, lo, hi),
    })
}

#[target_feature(enable = "avx2")]
fn words_avx2<T: Between>(x: &[T], search: Search<T>, out: &mut [u64]) -> usize {
    each(x, search, out, |x, lo, hi| match x.try_into() {
        // SAFETY: this function has AVX2.
        Ok(x) => unsafe { T::word_avx2(x, lo, hi) },
        Err(_) => word(x, lo, hi),
    })
}

#[inline(always)]
fn each<T: Element>(x: &[T], search: Search<T>, out: &mut [u64], word: impl Fn(&[T], T, T) -> u64) -> usize {
    let Search { lo, hi, zones } = search;
    let Some(zones) = zones else {
        out.iter_mut().zip(x.chunks(64)).for_each(|(w, x)| *w = word(x, lo, hi));
        return out.len();
    };
    // Words that have to be looked at. They lie apart, so that only who asks for them ahead does not wait for each.
    let (mut look, mut n) = ([0u16; CHUNK / 64], 0);
    for (k, out) in out.chunks_mut(64).enumerate() {
        let (least, most) = (&zones.least[64 * k..][..out.len()], &zones.most[64 * k..][..out.len()]);
        // (What lies beyond an end. Of NaNs nothing is known.)
        let beyond = hi.above().map_or(0, |above| word(least, above, T::MOST));
        let before = lo.below().map_or(0, |below| word(most, T::LEAST, below));
        let some = u64::MAX >> (64 - out.len()) & !(beyond | before);
        out.fill(0);
        if some == 0 {
            continue;
        }
        let inside = word(least, lo, hi) & word(most, lo, hi);
        each_bit(inside, |at| out[at] = u64::MAX >> (64 - (x.len() - 64 * (64 * k + at)).min(64)));
        each_bit(some & !inside, |at| {
            look[n] = (64 * k + at) as u16;
            n += 1;
        });
    }
    for (k, &at) in look[..n].iter().enumerate() {
        if let Some(&soon) = look[..n].get(k + AHEAD) {
            for line in (0..64).step_by(64 / size_of::<T>()) {
                // SAFETY: a hint about an address: no memory is touched.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(64 * soon as usize + line).cast()) };
            }
        }
        let from = 64 * at as usize;
        out[at as usize] = word(&x[from..x.len().min(from + 64)], lo, hi);
    }
    n
}

#[inline(always)]
fn each_bit(mut bits: u64, mut f: impl FnMut(usize)) {
    while bits != 0 {
        f(bits.trailing_zeros() as usize);
        bits &= bits - 1;
    }
}

/// The least and the largest of each 64 elements.
pub(super) fn zones<T: Element>(x: &[T], least: &mut [T], most: &mut [T]) {
    match isa() {
        // SAFETY: the processor has it.
        Isa::Avx512 | Isa::Avx2 => unsafe { zones_avx2(x, least, most) },
        Isa::Base => zones_of(x, least, most),
    }
}

#[target_feature(enable = "avx2")]
fn zones_avx2<T: Element>(x: &[T], least: &mut [T], most: &mut [T]) {
    zones_of(x, least, most);
}

#[inline(always)]
fn zones_of<T: Element>(x: &[T], least: &mut [T], most: &mut [T]) {
    const LANES: usize = 8;
    for ((x, least), most) in x.chunks(64).zip(least).zip(most) {
        let (mut lo, mut hi, mut odd) = ([x[0]; LANES], [x[0]; LANES], [false; LANES]);
        let mut take = |l: usize, x: T| {
            lo[l] = if x < lo[l] { x } else { lo[l] };
            hi[l] = if x > hi[l] { x } else { hi[l] };
            odd[l] |= x.partial_cmp(&x).is_none();
        };
        let (whole, rest) = x.as_chunks::<LANES>();
        whole.iter().for_each(|x| (0..LANES).for_each(|l| take(l, x[l])));
        rest.iter().for_each(|&x| take(0, x));
        *least = lo.into_iter().fold(x[0], |a, b| if b < a { b } else { a });
        *most = hi.into_iter().fold(x[0], |a, b| if b > a { b } else { a });
        if odd.contains(&true)
            && let Some(&nan) = x.iter().find(|x| x.partial_cmp(x).is_none())
        {
            (*least, *most) = (nan, nan);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_change_nothing_but_how_much_is_looked_at() {
        let mut x: Vec<f64> = (0..64 * 200 + 13).map(|i| (i as f64 * 0.001).sin()).collect();
        for (k, odd) in [f64::NAN, f64::INFINITY, -0.0, f64::NEG_INFINITY].into_iter().enumerate() {
            x[64 * 7 * k + 5] = odd;
        }
        let n = x.len().div_ceil(64);
        let (mut least, mut most) = (vec![0.0; n], vec![0.0; n]);
        zones(&x, &mut least, &mut most);
        assert!(least[0].is_nan() && most[0].is_nan() && most[7] == f64::INFINITY);
        let zones = Zones { least: &least, most: &most };
        let (mut plain, mut zoned) = (vec![0; n], vec![0; n]);
        let ends = [-2.0, -1.0, -0.3, -0.0, 0.0, 0.25, 0.3, 1.0, f64::INFINITY, f64::NEG_INFINITY, 5.0];
        let mut least_looked = n;
        for lo in ends {
            for hi in ends {
                assert_eq!(words(&x, Search { lo, hi, zones: None }, &mut plain), n);
                let looked = words(&x, Search { lo, hi, zones: Some(&zones) }, &mut zoned);
                assert_eq!(plain, zoned, "{lo} to {hi}");
                let all: Vec<u64> = x.chunks(64).map(|x| word(x, lo, hi)).collect();
                assert_eq!(plain, all);
                let short: Vec<f32> = x.iter().map(|&x| x as f32).collect();
                let (lo, hi) = (lo as f32, hi as f32);
                assert_eq!(words(&short, Search { lo, hi, zones: None }, &mut plain), n);
                let all: Vec<u64> = short.chunks(64).map(|x| word(x, lo, hi)).collect();
                assert_eq!(plain, all);
                least_looked = least_looked.min(looked);
            }
        }
        // That of the NaN always.
        assert_eq!(least_looked, 1);
    }
}
