//! PCG64: a linear congruential generator of 128 bits with a permuted output (XSL-RR), O'Neill, "PCG: A Family of Simple Fast
//! Space-Efficient Statistically Good Algorithms for Random Number Generation", 2014; with NumPy's multiplier.

use std::num::Wrapping;

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

/// The numbers of a generator. Four sequences of every fourth number each, because a step waits for the one before.
pub struct Numbers {
    lanes: [Word; LANES],
    times: Word,
    plus: Word,
}

/// Numbers that are made at a time.
pub const LANES: usize = 4;

impl Numbers {
    pub fn of(generator: Pcg64) -> Numbers {
        let zero = Pcg64 { state: Wrapping(0), ..generator };
        Numbers {
            lanes: [1, 2, 3, 4].map(|k| generator.after(k).state),
            times: MULTIPLIER * MULTIPLIER * MULTIPLIER * MULTIPLIER,
            plus: zero.after(LANES as u64).state,
        }
    }

    /// The next numbers. If they are no multiple of four, they are the last ones.
    #[inline]
    pub fn fill(&mut self, numbers: &mut [u64]) {
        let Numbers { mut lanes, times, plus } = *self;
        let (groups, rest) = numbers.as_chunks_mut::<LANES>();
        for group in groups {
            for (number, lane) in group.iter_mut().zip(&mut lanes) {
                *number = output(*lane);
                *lane = *lane * times + plus;
            }
        }
        for (number, lane) in rest.iter_mut().zip(&lanes) {
            *number = output(*lane);
        }
        self.lanes = lanes;
    }
}

#[inline(always)]
fn output(state: Word) -> u64 {
    let (high, low) = ((state.0 >> 64) as u64, state.0 as u64);
    (high ^ low).rotate_right((high >> 58) as u32)
}
