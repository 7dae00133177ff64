//! Nests: what the rounds of a loop over single elements and short rows do, as a code of its own.
//!
//! A front end translates a loop to a [`Program`]: registers for integers (and truth values), floats and views of arrays, and
//! instructions that name them. The runtime interprets it, and codegen makes machine code of it. A round is done as a whole or not
//! at all: it can be left at any point, and what it wrote is then taken back.

mod apart;
mod beside;
mod bits;
pub mod code;
mod foreseen;
mod lanes;
mod text;

use std::ffi::c_void;

use crate::{DType, Error, Result};
pub use apart::UNWRITTEN;
pub use beside::Beside;
pub use bits::fits;
use code::{Ins, Map, Op, Operand};
pub use foreseen::{Foreseen, Index, Place};
pub use lanes::{Lanes, Use};

/// Axes of a view, at most.
pub const AXES: usize = 4;

/// The code of a loop's body, and what its registers hold to begin with.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Program {
    pub code: Vec<Ins>,
    pub items: Vec<Item>,
    /// Functions of one number, by their names: NumPy's, or the C library's as `math.sin`.
    pub functions: Vec<String>,
    /// How many there are of each kind of register, and pieces of memory.
    pub ints: usize,
    pub floats: usize,
    pub views: usize,
    pub memories: usize,
    /// Registers with a number that stays; of floats the bits.
    pub int_constants: Vec<(usize, i64)>,
    pub float_constants: Vec<(usize, u64)>,
    pub arrays: Vec<Given>,
    /// For the loop's own variable.
    pub variable: usize,
    /// What a round leaves behind, and what it must leave as it was where it is taken back.
    pub kept_ints: Vec<usize>,
    pub kept_floats: Vec<usize>,
}

/// An array that a program is given.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Given {
    pub register: usize,
    pub dtype: DType,
    pub axes: usize,
    pub written: bool,
    /// Its elements lie one behind the other along the last axis. Code that is made for this is only good for such arrays.
    pub unit: bool,
}

/// One index of several.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Item {
    /// The number in this register.
    Int(u16),
    /// From the number in a register to that in another, by a step.
    Slice(Option<u16>, Option<u16>, i64),
    /// A new axis.
    New,
}

impl Program {
    /// Checks that every operand names something that there is.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::Invalid(format!("a nest with {what} that it has not")));
        let register = |n: Option<u16>| n.is_none_or(|n| (n as usize) < self.ints);
        for item in &self.items {
            let fine = match *item {
                Item::Int(n) => register(Some(n)),
                Item::Slice(start, stop, step) => register(start) && register(stop) && step != 0 && step != i64::MIN,
                Item::New => true,
            };
            if !fine {
                return wrong("an index");
            }
        }
        for ins in &self.code {
            let mut first = 0;
            for (kind, n) in ins.named() {
                let fine = match kind {
                    Operand::Int => n < self.ints,
                    Operand::Float => n < self.floats,
                    Operand::View => n < self.views,
                    Operand::Range => n + 3 <= self.ints,
                    Operand::Target => n < self.code.len(),
                    Operand::Memory => n < self.memories,
                    Operand::Function => n < self.functions.len(),
                    Operand::Number(below) => n < below as usize,
                    Operand::Indices => {
                        first = n;
                        n <= self.items.len()
                    }
                    Operand::Count => first + n <= self.items.len(),
                };
                if !fine {
                    return wrong("an operand");
                }
            }
            let map = match ins.op {
                Op::MapF64 | Op::MapF32 => Map::numbered(ins.e).is_some(),
                Op::UpdateF64 | Op::UpdateF32 => Map::numbered(ins.c).is_some(),
                _ => true,
            };
            if !map {
                return wrong("an operation");
            }
        }
        if !matches!(self.code.last(), Some(Ins { op: Op::EndRound | Op::Leave | Op::Jump | Op::JumpBack, .. })) {
            return wrong("an end");
        }
        let ints = self.int_constants.iter().map(|c| c.0).chain(self.kept_ints.iter().copied()).chain([self.variable]);
        let floats = self.float_constants.iter().map(|c| c.0).chain(self.kept_floats.iter().copied());
        if ints.max().is_some_and(|n| n >= self.ints)
            || floats.max().is_some_and(|n| n >= self.floats)
            || self.arrays.iter().any(|a| a.axes > AXES)
            || self.arrays.iter().any(|a| a.register >= self.views)
        {
            return wrong("a register");
        }
        if self.goes_round_uncounted() {
            return Err(Error::Invalid("a nest that goes round in circles without counting".into()));
        }
        Ok(())
    }

    /// Whether code can go round in circles without an instruction that counts jumps: `jump_back` or `again`. Between two of them
    /// every instruction is done at most once.
    fn goes_round_uncounted(&self) -> bool {
        // By instruction: not seen yet, on the way here, done with.
        let mut seen = vec![0u8; self.code.len()];
        for start in 0..self.code.len() {
            let mut way = vec![(start, false)];
            while let Some((n, left)) = way.pop() {
                match (left, seen[n]) {
                    (true, _) => seen[n] = 2,
                    (false, 0) => {
                        seen[n] = 1;
                        way.push((n, true));
                        let ins = &self.code[n];
                        if !matches!(ins.op, Op::JumpBack | Op::Again) {
                            way.extend(ins.next(n).map(|next| (next, false)));
                        }
                    }
                    (false, 1) => return true,
                    _ => {}
                }
            }
        }
        false
    }

    /// The registers that rounds write: integers, floats, views.
    pub fn written(&self) -> [Vec<bool>; 3] {
        let mut ints = vec![false; self.ints];
        let mut floats = vec![false; self.floats];
        let views = vec![false; self.views];
        ints[self.variable] = true;
        for &r in &self.kept_ints {
            ints[r] = true;
        }
        for &r in &self.kept_floats {
            floats[r] = true;
        }
        let mut all = [ints, floats, views];
        self.code.iter().for_each(|ins| ins.writes(|bank, r| all[bank][r] = true));
        all
    }
}

/// Where the parts of a view lie in memory, in bytes: the address of its first element, how many axes it has, its shape, and its strides in bytes.
pub mod view {
    pub const BYTES: usize = 16 + 16 * super::AXES;
    pub const PTR: usize = 0;
    pub const AXES: usize = 8;
    pub const SHAPE: usize = 16;
    pub const STRIDES: usize = 16 + 8 * super::AXES;
}

/// What an element was before a round wrote it, or the end of what a row was: its elements come first, one behind the other from a
/// place of the log on, then its stride (in `place`) and its length, then where it begins.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Old {
    /// Its address, and in the topmost byte how many bytes it has.
    pub place: u64,
    pub bits: u64,
}

/// The bit of [`Old::place`] where the number of bytes begins. (Addresses of programs have at most 56 bits.)
pub const OLD_BYTES: u32 = 56;
/// In the topmost byte of [`Old::place`] beside the number of bytes: it is a row.
pub const OLD_ROW: u64 = 1 << 7;

/// What machine code is called with, and what it calls.
#[repr(C)]
#[derive(Debug)]
pub struct Frame {
    /// The registers. Of the views all are here, of the numbers those that are constant, that the loop begins with, and that an
    /// instruction below is about.
    pub ints: *mut i64,
    pub floats: *mut f64,
    pub views: *mut c_void,
    /// Where the next old element is noted. There is always room until `fuel` is used up, and for so many bytes of rows.
    pub log: *mut Old,
    pub room: i64,
    /// Jumps back until `refuel` must be called.
    pub fuel: i64,
    /// The loop's next number, its step, and rounds to go.
    pub next: i64,
    pub step: i64,
    pub rounds: i64,
    /// Not zero: the round at hand is the last for now.
    pub last: i64,
    /// Not zero: rounds have nothing to do with each other, as [`Program::independent`] means it.
    pub apart: i64,
    /// Elements of all operations on rows, and how many operations there were.
    pub mapped: u64,
    pub maps: u64,
    /// The interpreter, for the calls.
    pub run: *mut c_void,
    /// Does the instruction at this place; how the round ends because of it, or [`GO_ON`].
    pub instruction: unsafe extern "C" fn(*mut c_void, u64) -> u64,
    /// Makes room and fuel; how the round ends, or [`GO_ON`].
    pub refuel: unsafe extern "C" fn(*mut c_void) -> u64,
    /// Makes room for [`ROWS`] bytes of rows; how the round ends, or [`GO_ON`].
    pub widen: unsafe extern "C" fn(*mut c_void) -> u64,
    /// One of the program's functions; not a number where it has none.
    pub function: unsafe extern "C" fn(*mut c_void, u64, f64) -> f64,
    pub power: extern "C" fn(f64, f64) -> f64,
    /// The sum of products of two vectors of so many elements, given by their addresses and how many bytes the next element is
    /// away. The second argument is 1 for `np.dot`, else 0, and 2 more for single precision.
    pub dot: unsafe extern "C" fn(*mut c_void, u64, u64, *mut u8, isize, *mut u8, isize) -> f64,
    /// A reduction of a vector of at least one element, given like one of `dot`'s. The second argument is 0 for the sum, 1 for the
    /// largest, 2 for the smallest, and 4 more for single precision.
    pub reduce: unsafe extern "C" fn(*mut c_void, u64, u64, *mut u8, isize) -> f64,
    /// BLAS's functions for such a sum in double and in single precision, or null: machine code calls them where both vectors run
    /// forwards and have at most [`DOT_ALONE`] elements.
    pub dots: [*const c_void; 2],
    /// 1: BLAS adds the products of double precision up as [`GAPS`] says where the elements of a vector have others between them.
    pub gaps: i64,
    /// The same for less than [`SHORT`] products of vectors without gaps: one after the other, as those that are left over.
    pub short: i64,
    /// The same for more of them: in [`PACKED`] vectors of so many sums; 0 where it is another order.
    pub packed: i64,
    /// 1: the products that are left over are rounded before they are added.
    pub rounded: i64,
    /// Memory of an instruction's, by its number, for so many bytes, in which none of the addresses lies. Null where there is none.
    pub memory: unsafe extern "C" fn(*mut c_void, u64, u64, *mut u8, *mut u8, *mut u8, *mut u8) -> *mut u8,
}

/// Machine code is only for integers that stay, and numbers of the loop, less than two to this power.
pub const SMALL_BITS: u32 = 48;

/// Elements of one operation on rows, at most: longer rows are recorded, which fuses operations and uses all threads.
pub const LONGEST: usize = 1 << 16;
/// How many of them use as much fuel as a jump back.
pub const ELEMENTS: usize = 1 << 6;

/// Elements of two vectors whose products BLAS adds up on one thread, whatever their number below that.
pub const DOT_ALONE: usize = 1 << 12;

/// How many products BLAS takes at a time where the elements of a vector have others between them, as machine code does it for several
/// vectors side by side: of four products the first and the third are added and then added to one sum, the second and the fourth to
/// another; the products that are left over are added to the first sum one after the other, and at last the two sums.
pub const GAPS: usize = 4;

/// See [`Frame::short`].
pub const SHORT: usize = 16;

/// In how many vectors BLAS adds up the products of vectors without gaps, without rounding them: the k-th product of a vector goes to its
/// k-th sum. Of sums in vectors of eight, the upper halves are added to the lower ones; then once more so many vectors of half as many
/// products may follow; then the vectors are added one after the other, and of that the upper half to the lower one. Of sums in vectors of
/// four, the upper halves are added to the lower ones, then the first to the second, the third to the fourth, and these. Then the second
/// sum is added to the first, and what is left over after multiples of 16 one after the other.
pub const PACKED: usize = 4;

/// Bytes of rows that machine code may note before it asks for more room.
pub const ROWS: usize = 1 << 17;

pub const GO_ON: u64 = 0;
/// The round has to be done by the program.
pub const LEFT: u64 = 1;
/// The round takes too long.
pub const LONG: u64 = 2;

/// The machine code of a nest: does rounds until none is to go, the fuel is used up or `last` is set ([`GO_ON`]), or one ends otherwise.
///
/// In the frame are then the rounds to go, that one included, and the end of the log. Kept registers are written only where all
/// rounds were done.
pub type NestFn = unsafe extern "C" fn(*mut Frame) -> u64;

#[cfg(test)]
mod tests;
