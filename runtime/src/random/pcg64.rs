//! PCG64: a linear congruential generator of 128 bits with a permuted output (XSL-RR), O'Neill, "PCG: A Family of Simple Fast
//! Space-Efficient Statistically Good Algorithms for Random Number Generation", 2014; with NumPy's multiplier.
//!
//! A boundary file: it makes numbers with AVX-512 where the processor has that.

use std::arch::x86_64::*;
use std::num::Wrapping;

use legate_jit_vmath::{Isa, isa};

type Word = Wrapping<u128>;

const MULTIPLIER: Word = Wrapping(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645);

#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Pcg64 {
    state: Word,
    increment: Word,
}

impl Pcg64 {
    pub fn new(state: u128, increment: u128) -> Pcg64 {
        Pcg64 { state: Wrapping(state), increment: Wrapping(increment) }
    }

    pub fn state(&self) -> u128 {
        self.state.0
    }

    /// So many numbers further. (Brown, "Random number generation with arbitrary strides", 1994.)
    pub fn after(mut self, mut steps: u64) -> Pcg64 {
        let (mut times, mut plus) = (MULTIPLIER, self.increment);
        while steps > 0 {
            if steps & 1 == 1 {
                self.state = self.state * times + plus;
            }
            plus *= times + Wrapping(1);
            times *= times;
            steps >>= 1;
        }
        self
    }
}

/// The numbers of a generator: eight sequences of every eighth number each, because a step waits for the one before.
pub struct Numbers {
    /// The halves of the sequences' next states.
    low: [u64; LANES],
    high: [u64; LANES],
    /// What takes a state eight steps forward, by halves.
    times: [u64; 2],
    plus: [u64; 2],
}

/// Numbers that are made at a time.
const LANES: usize = 8;

impl Numbers {
    pub fn of(generator: Pcg64) -> Numbers {
        let halves = |x: Word| [x.0 as u64, (x.0 >> 64) as u64];
        let first: [_; LANES] = std::array::from_fn(|k| halves(generator.after(k as u64 + 1).state));
        let forward = |state, increment| Pcg64 { state, increment }.after(LANES as u64).state;
        Numbers {
            low: first.map(|state| state[0]),
            high: first.map(|state| state[1]),
            times: halves(forward(Wrapping(1), Wrapping(0))),
            plus: halves(forward(Wrapping(0), generator.increment)),
        }
    }

    /// The next numbers. If they are no multiple of eight, they are the last ones.
    pub fn fill(&mut self, numbers: &mut [u64]) {
        let (groups, rest) = numbers.as_chunks_mut();
        match isa() {
            // SAFETY: the processor has these instructions.
            Isa::Avx512 => unsafe { self.groups_avx512(groups) },
            _ => self.groups(groups),
        }
        for (number, (&low, &high)) in rest.iter_mut().zip(self.low.iter().zip(&self.high)) {
            *number = output(low, high);
        }
    }

    /// Two sequences at a time: as many as there are registers for.
    fn groups(&mut self, groups: &mut [[u64; LANES]]) {
        let lanes = self.low.as_chunks_mut::<2>().0.iter_mut().zip(self.high.as_chunks_mut::<2>().0);
        for (pair, (low, high)) in lanes.enumerate() {
            for group in groups.iter_mut() {
                for k in 0..2 {
                    group[2 * pair + k] = output(low[k], high[k]);
                    let product = low[k] as u128 * self.times[0] as u128;
                    let cross = low[k].wrapping_mul(self.times[1]).wrapping_add(high[k].wrapping_mul(self.times[0]));
                    let (sum, carry) = (product as u64).overflowing_add(self.plus[0]);
                    let above = ((product >> 64) as u64).wrapping_add(cross).wrapping_add(self.plus[1]);
                    (low[k], high[k]) = (sum, above.wrapping_add(carry as u64));
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512dq")]
    fn groups_avx512(&mut self, groups: &mut [[u64; LANES]]) {
        let all = |x: u64| _mm512_set1_epi64(x as i64);
        // SAFETY: eight numbers each.
        let load = |x: &[u64; LANES]| unsafe { _mm512_loadu_si512(x.as_ptr().cast()) };
        let store = |x: &mut [u64; LANES], v| unsafe { _mm512_storeu_si512(x.as_mut_ptr().cast(), v) };
        let upper = |x| _mm512_srli_epi64::<32>(x);
        let (times, cross_times, upper_times) = (all(self.times[0]), all(self.times[1]), all(self.times[0] >> 32));
        let (plus, upper_plus) = (all(self.plus[0]), all(self.plus[1]));
        let (lower_half, one) = (all(u32::MAX as u64), all(1));
        let (mut low, mut high) = (load(&self.low), load(&self.high));
        for group in groups {
            let number = _mm512_rorv_epi64(_mm512_xor_si512(high, low), _mm512_srli_epi64::<58>(high));
            store(group, number);
            // The product of the lower halves, by quarters.
            let upper_low = upper(low);
            let quarters = _mm512_add_epi64(_mm512_mul_epu32(upper_low, times), upper(_mm512_mul_epu32(low, times)));
            let others = _mm512_add_epi64(_mm512_mul_epu32(low, upper_times), _mm512_and_si512(quarters, lower_half));
            let carried = _mm512_add_epi64(upper(quarters), upper(others));
            let above = _mm512_add_epi64(_mm512_mul_epu32(upper_low, upper_times), carried);
            let cross = _mm512_add_epi64(_mm512_mullo_epi64(low, cross_times), _mm512_mullo_epi64(high, times));
            low = _mm512_add_epi64(_mm512_mullo_epi64(low, times), plus);
            let carry = _mm512_cmplt_epu64_mask(low, plus);
            let sum = _mm512_add_epi64(_mm512_add_epi64(above, cross), upper_plus);
            high = _mm512_mask_add_epi64(sum, carry, sum, one);
        }
        store(&mut self.low, low);
        store(&mut self.high, high);
    }
}

#[inline(always)]
fn output(low: u64, high: u64) -> u64 {
    (high ^ low).rotate_right((high >> 58) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_the_numbers_give_the_same() {
        let generator = Pcg64::new(0xdead_beef << 90 | 12345, 0xf00d << 70 | 7);
        let mut groups = vec![[0; LANES]; 50];
        Numbers::of(generator).groups(&mut groups);
        for (k, &number) in groups.as_flattened().iter().enumerate() {
            let state = generator.after(k as u64 + 1).state.0;
            assert_eq!(number, output(state as u64, (state >> 64) as u64));
        }
        let mut numbers = vec![0; 400];
        Numbers::of(generator).fill(&mut numbers);
        assert_eq!(numbers, groups.as_flattened());
    }
}
