//! Random numbers of NumPy's default generator, drawn by all threads: the same numbers as NumPy's, and the generator is left as NumPy
//! leaves it.
//!
//! A linear congruential generator can be put forward by any number of steps, so each thread begins where its part does. How many
//! raw numbers a normal one takes, or an integer of a range that is no power of two, depends on the raw numbers themselves (some are
//! rejected). There each thread draws from a block of raw numbers as if a draw began with the block's first. Where the draws of
//! the block before really end is known afterwards; nearly always, a draw of this block begins just there, and what comes after it
//! is what one thread would have drawn. Else the few draws until the two meet are made by themselves (`Block::link`).

mod pcg64;
mod tables;

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use legate_jit_ir::DType;

use crate::buffer::Fresh;
use crate::{Array, Error, Result, Store, pool};
use pcg64::{Numbers, Pcg64};

/// The ziggurat's last layer ends here, and the reciprocal of that: Doornik, "An Improved Ziggurat Method to Generate Normal Random
/// Samples", 2005, with NumPy's 256 layers.
const R: f64 = 3.654_152_885_361_009;
const R_INVERSE: f64 = 0.273_661_237_329_758_3;

/// Numbers of a task whose draws take one raw number each.
const TASK: usize = 1 << 14;
/// Raw numbers of a block, and blocks a thread draws before they are brought together.
const BLOCK: Range<u64> = if cfg!(test) { 64..65 } else { 1 << 10..1 << 14 };
const BLOCKS_A_THREAD: usize = 2;
/// Draws of a block at whose beginnings the one before may end.
const HEADS: usize = 32;
/// Draws between those of a block whose places are noted.
const MARK: usize = 128;

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub enum Law {
    /// `low + range·u`, with u in [0, 1).
    Uniform { low: f64, range: f64 },
    /// u itself.
    Unit,
    /// `mean + deviation·z`, with a standard normal z.
    Normal { mean: f64, deviation: f64 },
    /// z itself.
    Standard,
    /// `low + k`, with k from 0 to `range`, inclusive.
    Integers { low: i64, range: u64 },
}

/// The state of a generator as NumPy shows it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct State {
    pub state: u128,
    pub increment: u128,
    /// The half of the last raw number that has not been used (if `has_half`) or was used last.
    pub half: u32,
    pub has_half: bool,
}

/// Draws so many numbers of eight bytes; the store that they are in.
pub fn draw(law: Law, from: &mut State, n: usize) -> Result<Arc<Store>> {
    let mut numbers = Fresh::new(n)?;
    fill(law, from, numbers.elements()).map_err(Error::Runtime)?;
    Ok(numbers.done())
}

fn fill(law: Law, from: &mut State, numbers: &mut [u64]) -> Result<(), String> {
    match law {
        Law::Unit => each(from, numbers, |raw| unit(raw).to_bits()),
        Law::Uniform { low, range } => each(from, numbers, move |raw| (low + range * unit(raw)).to_bits()),
        Law::Standard => drawn(from, numbers, &|raw: &mut Raw| standard(raw).to_bits()),
        Law::Normal { mean, deviation } => {
            drawn(from, numbers, &move |raw: &mut Raw| (mean + deviation * standard(raw)).to_bits())
        }
        Law::Integers { low, range: 0 } => {
            numbers.fill(low as u64);
            Ok(())
        }
        Law::Integers { low, range } if range <= u32::MAX as u64 => drawn(from, numbers, &Below::new(low, range)),
        Law::Integers { low, range: u64::MAX } => each(from, numbers, move |raw| raw.wrapping_add(low as u64)),
        Law::Integers { low, range } => {
            drawn(from, numbers, &move |raw: &mut Raw| below_u64(raw, range).wrapping_add(low as u64))
        }
    }
}

/// A multiple of 2⁻⁵³.
fn unit(raw: u64) -> f64 {
    (raw >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Where raw numbers of 64 bits come from.
trait Words {
    fn next(&mut self) -> u64;
}

impl Words for Raw {
    #[inline(always)]
    fn next(&mut self) -> u64 {
        Raw::next(self)
    }
}

/// From somebody else, one by one.
struct Given<'a>(&'a mut dyn FnMut() -> u64);

impl Words for Given<'_> {
    fn next(&mut self) -> u64 {
        (self.0)()
    }
}

/// The most numbers of [`draw_few`].
pub const FEW: usize = 256;

/// So few numbers, made of raw ones as they come: those that NumPy makes of them. Not integers, for which it may have half of a raw
/// number left.
pub fn draw_few(law: Law, shape: &[usize], next: &mut dyn FnMut() -> u64) -> Result<Array> {
    let (mut bytes, n, raw) = ([[0; 8]; FEW], shape.iter().product::<usize>(), &mut Given(next));
    let numbers = &mut bytes[..n];
    match law {
        Law::Unit => numbers.fill_with(|| unit(raw.next()).to_ne_bytes()),
        Law::Uniform { low, range } => numbers.fill_with(|| (low + range * unit(raw.next())).to_ne_bytes()),
        Law::Standard => numbers.fill_with(|| standard(raw).to_ne_bytes()),
        Law::Normal { mean, deviation } => numbers.fill_with(|| (mean + deviation * standard(raw)).to_ne_bytes()),
        Law::Integers { .. } => return Err(Error::Runtime("integers are drawn from halves".into())),
    }
    Array::from_bytes(numbers.as_flattened(), shape, DType::F64)
}

/// A standard normal number by the ziggurat.
fn standard(raw: &mut impl Words) -> f64 {
    loop {
        let r = raw.next();
        let (layer, negative, r) = ((r & 0xff) as usize, r >> 8 & 1 == 1, r >> 9 & 0x000f_ffff_ffff_ffff);
        let x = r as f64 * tables::WIDTH[layer];
        let x = if negative { -x } else { x };
        if r < tables::INSIDE[layer] {
            return x;
        }
        if let Some(x) = at_the_edge(raw, layer, r, x) {
            return x;
        }
    }
}

#[cold]
fn at_the_edge(raw: &mut impl Words, layer: usize, r: u64, x: f64) -> Option<f64> {
    if layer > 0 {
        let [above, below] = [tables::DENSITY[layer - 1], tables::DENSITY[layer]];
        return ((above - below) * unit(raw.next()) + below < (-0.5 * x * x).exp()).then_some(x);
    }
    loop {
        let x = -R_INVERSE * (-unit(raw.next())).ln_1p();
        let y = -(-unit(raw.next())).ln_1p();
        if y + y > x * x {
            return Some(if r >> 8 & 1 == 1 { -(R + x) } else { R + x });
        }
    }
}

/// How a number is made of raw ones.
trait Draw<S>: Sync {
    fn one(&self, source: &mut S) -> u64;

    /// As many as one likes.
    fn many(&self, source: &mut S, numbers: &mut [u64]) {
        numbers.fill_with(|| self.one(source));
    }
}

impl<S, F: Fn(&mut S) -> u64 + Sync> Draw<S> for F {
    fn one(&self, source: &mut S) -> u64 {
        self(source)
    }
}

/// Numbers from `low` on that are less than `count` above it, at most 2³² of them: Lemire, "Fast Random Integer Generation in an
/// Interval", 2019. A half whose product's lower half is less than `least` is rejected.
struct Below {
    low: u64,
    count: u64,
    least: u64,
}

impl Below {
    /// From `low` to `low + range`, inclusive.
    fn new(low: i64, range: u64) -> Below {
        let count = range + 1;
        Below { low: low as u64, count, least: (1 << 32) % count }
    }

    /// What is made of a half, and (in the highest bit) whether it is rejected.
    #[inline(always)]
    fn of(&self, half: u64) -> (u64, u64) {
        let product = half * self.count;
        ((product >> 32).wrapping_add(self.low), (product & u32::MAX as u64).wrapping_sub(self.least))
    }
}

impl Draw<Halves> for Below {
    fn one(&self, source: &mut Halves) -> u64 {
        loop {
            let (number, rejected) = self.of(source.next() as u64);
            if rejected >> 63 == 0 {
                return number;
            }
        }
    }

    fn many(&self, source: &mut Halves, numbers: &mut [u64]) {
        let (runs, rest) = numbers.as_chunks_mut::<RUN>();
        for run in runs {
            let halves = source.run();
            let mut any = 0;
            for (number, &half) in run.iter_mut().zip(&halves) {
                let (of, rejected) = self.of(half as u64);
                *number = of;
                any |= rejected;
            }
            if any >> 63 == 0 {
                continue;
            }
            let made = halves.iter().map(|&half| self.of(half as u64)).filter(|(_, rejected)| rejected >> 63 == 0);
            let kept = run.iter_mut().zip(made).map(|(to, (number, _))| *to = number).count();
            run[kept..].fill_with(|| self.one(source));
        }
        rest.fill_with(|| self.one(source));
    }
}

/// The same with raw numbers of 64 bits, for ranges that need them.
fn below_u64(raw: &mut Raw, range: u64) -> u64 {
    let count = range + 1;
    let mut product = raw.next() as u128 * count as u128;
    if (product as u64) < count {
        let least = (u64::MAX - range) % count;
        while (product as u64) < least {
            product = raw.next() as u128 * count as u128;
        }
    }
    (product >> 64) as u64
}

/// Raw numbers from some place on.
trait Source: Sized {
    fn new(from: &State, place: u64) -> Self;
    /// The place of the next one.
    fn place(&self) -> u64;
    /// The generator once it has come to a place.
    fn left(from: &State, place: u64) -> State;
}

/// Numbers of 64 bits.
struct Raw {
    numbers: Numbers,
    ahead: [u64; AHEAD],
    used: usize,
    /// The place of the first number that is ahead.
    first: u64,
}

/// Raw numbers that are made at a time.
const AHEAD: usize = 128;
/// Halves that are looked at together.
const RUN: usize = 32;

impl Raw {
    #[inline(always)]
    fn next(&mut self) -> u64 {
        if self.used == AHEAD {
            self.more();
        }
        let number = self.ahead[self.used];
        self.used += 1;
        number
    }

    #[inline(always)]
    fn run(&mut self, numbers: &mut [u64]) {
        match self.ahead.get(self.used..self.used + numbers.len()) {
            Some(ahead) => {
                numbers.copy_from_slice(ahead);
                self.used += numbers.len();
            }
            None => numbers.fill_with(|| self.next()),
        }
    }

    #[inline(never)]
    fn more(&mut self) {
        self.numbers.fill(&mut self.ahead);
        self.first = self.first.wrapping_add(AHEAD as u64);
        self.used = 0;
    }
}

impl Source for Raw {
    fn new(from: &State, place: u64) -> Raw {
        let numbers = Numbers::of(Pcg64::new(from.state, from.increment).after(place));
        Raw { numbers, ahead: [0; AHEAD], used: AHEAD, first: place.wrapping_sub(AHEAD as u64) }
    }

    #[inline(always)]
    fn place(&self) -> u64 {
        self.first.wrapping_add(self.used as u64)
    }

    fn left(from: &State, place: u64) -> State {
        State { state: Pcg64::new(from.state, from.increment).after(place).state(), ..*from }
    }
}

/// Halves of them, the lower one first; before them the one that is left over. Places are even where a number begins.
struct Halves {
    raw: Raw,
    /// The number whose upper half comes next, if `has_half`.
    number: u64,
    has_half: bool,
    place: u64,
}

impl Halves {
    #[inline(always)]
    fn next(&mut self) -> u32 {
        self.place += 1;
        self.has_half = !self.has_half;
        if self.has_half {
            self.number = self.raw.next();
            return self.number as u32;
        }
        (self.number >> 32) as u32
    }

    /// The next ones.
    #[inline(always)]
    fn run(&mut self) -> [u32; RUN] {
        let mut words = [0; RUN / 2];
        self.raw.run(&mut words);
        self.place += RUN as u64;
        let mut halves = [0; RUN];
        if self.has_half {
            // (The lower half of the last word comes before what is left.)
            for (pair, word) in halves.as_chunks_mut::<2>().0.iter_mut().zip(words) {
                *pair = [(self.number >> 32) as u32, word as u32];
                self.number = word;
            }
        } else {
            for (pair, word) in halves.as_chunks_mut::<2>().0.iter_mut().zip(words) {
                *pair = [word as u32, (word >> 32) as u32];
            }
        }
        halves
    }

    /// Where the first half is.
    fn first(from: &State) -> u64 {
        from.has_half as u64
    }
}

impl Source for Halves {
    fn new(from: &State, place: u64) -> Halves {
        // (With a half left over, places begin with the second half of a number that came before.)
        let at = place + Halves::first(from);
        let before = if from.has_half { 1 } else { 0 };
        let mut raw = Raw::new(from, (at / 2).saturating_sub(before));
        let number = match at % 2 {
            0 => 0,
            _ if from.has_half && at == 1 => (from.half as u64) << 32,
            _ => raw.next(),
        };
        Halves { raw, number, has_half: at % 2 == 1, place }
    }

    #[inline(always)]
    fn place(&self) -> u64 {
        self.place
    }

    fn left(from: &State, place: u64) -> State {
        let at = place + Halves::first(from);
        let whole = at.div_ceil(2) - from.has_half as u64;
        let half = match whole {
            0 => from.half,
            _ => (Raw::new(from, whole - 1).next() >> 32) as u32,
        };
        State { half, has_half: at % 2 == 1, ..Raw::left(from, whole) }
    }
}

/// One number for each raw one.
fn each(from: &mut State, numbers: &mut [u64], number: impl Fn(u64) -> u64 + Sync) -> Result<(), String> {
    let n = numbers.len();
    let tasks: Vec<_> = numbers.chunks_mut(TASK).map(Mutex::new).collect();
    let start = Pcg64::new(from.state, from.increment);
    pool::run(tasks.len(), &|task, _| {
        let mut numbers = tasks[task].lock().unwrap_or_else(PoisonError::into_inner);
        let mut raw = Numbers::of(start.after((task * TASK) as u64));
        // (While they are in the first-level cache.)
        for part in numbers.chunks_mut(512) {
            raw.fill(part);
            part.iter_mut().for_each(|raw| *raw = number(*raw));
        }
    })?;
    *from = Raw::left(from, n as u64);
    Ok(())
}

/// What a block's draws have given.
#[derive(Default)]
struct Block {
    numbers: Vec<u64>,
    /// Where the first draws began, and every [`MARK`]th.
    heads: Vec<u64>,
    marks: Vec<u64>,
    /// Where the last one ended.
    end: u64,
}

/// Numbers that take as many raw ones as `one` asks for.
fn drawn<S: Source>(from: &mut State, numbers: &mut [u64], law: &impl Draw<S>) -> Result<(), String> {
    let (mut done, mut start) = (0, 0);
    let most = BLOCKS_A_THREAD * pool::threads();
    let length = (numbers.len() as u64 / most as u64).clamp(BLOCK.start, BLOCK.end);
    let mut blocks: Vec<Mutex<Block>> = Vec::new();
    while done < numbers.len() {
        // (As many as are needed if hardly any is rejected, and one.)
        let wanted = (numbers.len() - done) / length as usize + 1;
        blocks.resize_with(wanted.min(most), Default::default);
        let state = *from;
        pool::run(blocks.len(), &|k, _| {
            let first = start + k as u64 * length;
            let mut block = blocks[k].lock().unwrap_or_else(PoisonError::into_inner);
            block.draw(S::new(&state, first), first + length, law);
        })?;
        let mut rest = &mut numbers[done..];
        let mut copies = Vec::new();
        let mut drawn: Vec<&mut Block> =
            blocks.iter_mut().map(|b| b.get_mut().unwrap_or_else(PoisonError::into_inner)).collect();
        let mut at = start;
        let mut last = None;
        for block in &mut drawn {
            let begun = at;
            let (between, use_from) = block.link(&state, at, law);
            let own = &block.numbers[use_from..];
            let most = rest.len();
            let here = between.len().min(most);
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(here);
            head.copy_from_slice(&between[..here]);
            let take = own.len().min(tail.len());
            let (body, left) = tail.split_at_mut(take);
            copies.push(Mutex::new((body, &own[..take])));
            rest = left;
            at = block.end;
            if rest.is_empty() {
                last = Some(block.place_after(&state, begun, here, use_from..use_from + take, law));
                break;
            }
        }
        let left = rest.len();
        pool::run(copies.len(), &|k, _| {
            let mut copy = copies[k].lock().unwrap_or_else(PoisonError::into_inner);
            let (to, of) = &mut *copy;
            to.copy_from_slice(of);
        })?;
        drop(copies);
        done = numbers.len() - left;
        start = last.unwrap_or(at);
    }
    *from = S::left(from, start);
    Ok(())
}

impl Block {
    fn draw<S: Source>(&mut self, mut source: S, end: u64, law: &impl Draw<S>) {
        self.heads.clear();
        self.marks.clear();
        // (A draw takes a raw number at least.)
        self.numbers.resize(end.saturating_sub(source.place()) as usize, 0);
        let mut drawn = 0;
        while source.place() < end {
            self.marks.push(source.place());
            // (A draw of many takes few more raw numbers than they are.)
            let room = end - source.place();
            if drawn >= HEADS && room >= 2 * MARK as u64 {
                law.many(&mut source, &mut self.numbers[drawn..][..MARK]);
                drawn += MARK;
                continue;
            }
            for number in self.numbers[drawn..].iter_mut().take(MARK) {
                if source.place() >= end {
                    break;
                }
                if drawn < HEADS {
                    self.heads.push(source.place());
                }
                *number = law.one(&mut source);
                drawn += 1;
            }
        }
        self.numbers.truncate(drawn);
        self.end = source.place();
    }

    /// What has to be drawn from `at` on, where the block before ends, until a draw of this block begins; and the number of that draw.
    fn link<S: Source>(&mut self, from: &State, at: u64, law: &impl Draw<S>) -> (Vec<u64>, usize) {
        let mut between = Vec::new();
        let mut source: Option<S> = None;
        let mut place = at;
        loop {
            if let Some(k) = self.heads.iter().position(|&head| head == place) {
                return (between, k);
            }
            // (After the last head, or with a block that ended before it began to be needed, all of it is drawn again.)
            if self.heads.last().is_none_or(|&last| place > last) {
                let end = self.end.max(place);
                self.draw(S::new(from, at), end, law);
                return (Vec::new(), 0);
            }
            let source = source.get_or_insert_with(|| S::new(from, at));
            between.push(law.one(source));
            place = source.place();
        }
    }

    /// The place after so many numbers of those between the last block and this one, and some of the block's own.
    fn place_after<S: Source>(
        &self,
        from: &State,
        begun: u64,
        between: usize,
        own: Range<usize>,
        law: &impl Draw<S>,
    ) -> u64 {
        let (mut source, left): (S, usize) = if own.is_empty() {
            (S::new(from, begun), between)
        } else {
            (S::new(from, self.marks[(own.end - 1) / MARK]), (own.end - 1) % MARK + 1)
        };
        for _ in 0..left {
            law.one(&mut source);
        }
        source.place()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number from 0 to `range`, as Lemire has it.
    fn below_u32(raw: &mut Halves, range: u32) -> u64 {
        let count = range as u64 + 1;
        loop {
            let product = raw.next() as u64 * count;
            if product as u32 as u64 >= (1 << 32) % count {
                return product >> 32;
            }
        }
    }

    /// One number after the other.
    fn in_order<S: Source>(from: &State, n: usize, one: impl Fn(&mut S) -> u64) -> (Vec<u64>, State) {
        let mut source = S::new(from, 0);
        let numbers = (0..n).map(|_| one(&mut source)).collect();
        (numbers, S::left(from, source.place()))
    }

    fn expected(law: Law, from: &State, n: usize) -> (Vec<u64>, State) {
        match law {
            Law::Unit => in_order(from, n, |raw: &mut Raw| unit(raw.next()).to_bits()),
            Law::Uniform { low, range } => {
                in_order(from, n, |raw: &mut Raw| (low + range * unit(raw.next())).to_bits())
            }
            Law::Standard => in_order(from, n, |raw: &mut Raw| standard(raw).to_bits()),
            Law::Normal { mean, deviation } => {
                in_order(from, n, |raw: &mut Raw| (mean + deviation * standard(raw)).to_bits())
            }
            Law::Integers { low, range } if range <= u32::MAX as u64 => {
                in_order(from, n, |raw: &mut Halves| (low as u64).wrapping_add(below_u32(raw, range as u32)))
            }
            Law::Integers { low, range } => {
                in_order(from, n, |raw: &mut Raw| below_u64(raw, range).wrapping_add(low as u64))
            }
        }
    }

    #[test]
    fn few_numbers_are_the_first_of_many() {
        let from = State { state: 0x8765 << 90 | 5, increment: 0xabc << 70 | 1, half: 0, has_half: false };
        let (uniform, normal) = (Law::Uniform { low: 2.0, range: 0.5 }, Law::Normal { mean: -1.0, deviation: 3.0 });
        for law in [Law::Unit, uniform, Law::Standard, normal] {
            for n in [1, 2, 100, FEW] {
                let mut raw = Raw::new(&from, 0);
                let drawn = draw_few(law, &[n], &mut || raw.next()).unwrap();
                let (numbers, after) = expected(law, &from, n);
                let got: Vec<u64> = (0..n).map(|k| drawn.item(k).unwrap().bits[0]).collect();
                assert_eq!(got, numbers, "{n} of {law:?}");
                assert_eq!(Raw::left(&from, raw.place()), after, "{n} of {law:?}");
            }
        }
        assert!(draw_few(Law::Integers { low: 0, range: 9 }, &[1], &mut || 0).is_err());
    }

    #[test]
    fn many_integers_are_those_that_come_one_by_one() {
        for range in [1, 2, 9, 999_999, (1 << 31) + 7, u32::MAX / 3 * 2, u32::MAX - 1, u32::MAX] {
            for (n, has_half) in [(0, true), (31, false), (32, true), (64, false), (517, true), (4000, false)] {
                let from = State { state: 0x4321 << 80 | 7, increment: 0xcba << 66 | 1, half: 0x9876_5432, has_half };
                let law = Below::new(-5, range as u64);
                let (numbers, after) =
                    in_order(&from, n, |raw: &mut Halves| (-5i64 as u64).wrapping_add(below_u32(raw, range)));
                let (mut source, mut drawn) = (Halves::new(&from, 0), vec![0; n]);
                law.many(&mut source, &mut drawn);
                assert_eq!(drawn, numbers, "{n} up to {range}");
                assert_eq!(Halves::left(&from, source.place()), after, "{n} up to {range}");
            }
        }
    }

    /// Blocks of 64 raw numbers (`BLOCK`), of which some laws reject a half: draws go from one block to the next all the time.
    #[test]
    fn blocks_are_linked_to_what_one_thread_draws() {
        let laws = [
            Law::Unit,
            Law::Uniform { low: -1.5, range: 4.0 },
            Law::Standard,
            Law::Normal { mean: 3.0, deviation: 0.1 },
            Law::Integers { low: -7, range: 9 },
            Law::Integers { low: 0, range: (1 << 31) + 7 },
            Law::Integers { low: 5, range: (1 << 63) + 99 },
        ];
        for law in laws {
            for (n, has_half) in
                [(0, true), (1, false), (1, true), (63, true), (64, false), (5000, false), (70_001, true)]
            {
                let from = State {
                    state: 0x1234_5678 << 70 | 77,
                    increment: 0xabcdef1 << 66 | 1,
                    half: 0xfedc_ba98,
                    has_half,
                };
                let (numbers, after) = expected(law, &from, n);
                let mut state = from;
                let mut drawn = vec![0; n];
                fill(law, &mut state, &mut drawn).unwrap();
                assert!(drawn == numbers, "{n} of {law:?}");
                assert_eq!(state, after, "{n} of {law:?}");
            }
        }
    }

    #[test]
    fn a_generator_can_be_put_forward() {
        let from = Pcg64::new(99 << 64 | 5, 1 << 80 | 3);
        let mut numbers = [0; 103];
        let (begin, end) = numbers.split_at_mut(64);
        let mut all = Numbers::of(from);
        all.fill(begin);
        all.fill(end);
        for k in [0, 1, 4, 5, 64, 102] {
            let mut one = [0];
            Numbers::of(from.after(k)).fill(&mut one);
            assert_eq!(one[0], numbers[k as usize]);
        }
    }
}
