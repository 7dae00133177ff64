//! The code of a nest: what each instruction does, and which registers its operands name.

use std::fmt;

use crate::{Error, Result};

/// Operands of an instruction, at most.
pub const OPERANDS: usize = 5;

/// An instruction. What its operands mean is said by [`Op::operands`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ins {
    pub op: Op,
    pub a: u16,
    pub b: u16,
    pub c: u16,
    pub d: u16,
    pub e: u16,
}

/// What an operand names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A register for an integer or a truth value.
    Int,
    Float,
    View,
    /// The first of three integer registers of a range: its next number, its step, and how many are left.
    Range,
    /// An instruction to go on with.
    Target,
    /// The first of some indices, whose number follows.
    Indices,
    /// How many.
    Count,
    /// Memory for a result.
    Memory,
    /// One of the program's functions.
    Function,
    /// A number with a meaning of its own, below this.
    Number(u16),
}

macro_rules! operations {
    ($($(#[$doc:meta])* $op:ident $name:literal [$($operand:expr),*],)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Op { $($(#[$doc])* $op,)* }

        impl Op {
            pub fn named(name: &str) -> Option<Op> {
                match name { $($name => Some(Op::$op),)* _ => None }
            }

            pub fn name(self) -> &'static str {
                match self { $(Op::$op => $name,)* }
            }

            pub fn operands(self) -> &'static [Operand] {
                use Operand::*;
                match self { $(Op::$op => &[$($operand),*],)* }
            }
        }
    };
}

operations! {
    MoveInt "move_int" [Int, Int],
    AddInt "add_int" [Int, Int, Int],
    SubtractInt "subtract_int" [Int, Int, Int],
    MultiplyInt "multiply_int" [Int, Int, Int],
    FloorDivideInt "floor_divide_int" [Int, Int, Int],
    RemainderInt "remainder_int" [Int, Int, Int],
    NegateInt "negate_int" [Int, Int],
    AbsoluteInt "absolute_int" [Int, Int],
    LessInt "less_int" [Int, Int, Int],
    LessEqualInt "less_equal_int" [Int, Int, Int],
    EqualInt "equal_int" [Int, Int, Int],
    Not "not" [Int, Int],
    MoveFloat "move_float" [Float, Float],
    Add "add" [Float, Float, Float],
    Subtract "subtract" [Float, Float, Float],
    Multiply "multiply" [Float, Float, Float],
    Divide "divide" [Float, Float, Float],
    /// C's `pow`, which NumPy's and Python's numbers take.
    Power "power" [Float, Float, Float],
    Negate "negate" [Float, Float],
    Absolute "absolute" [Float, Float],
    Sqrt "sqrt" [Float, Float],
    Less "less" [Int, Float, Float],
    LessEqual "less_equal" [Int, Float, Float],
    Equal "equal" [Int, Float, Float],
    /// A float of the same value; leaves the round where there is none.
    ToFloat "to_float" [Float, Int],
    /// Towards zero.
    ToInt "to_int" [Int, Float],
    /// To single precision.
    Round "round" [Float, Float],
    /// An elementwise function of one argument, by its number, in double precision.
    Function "function" [Float, Float, Function],
    Jump "jump" [Target],
    /// To an instruction before this one.
    JumpBack "jump_back" [Target],
    JumpIf "jump_if" [Int, Target],
    JumpUnless "jump_unless" [Int, Target],
    /// Start, stop and step of a range.
    StartRange "start_range" [Range, Int, Int, Int],
    /// The next number of a range, or on with the target.
    NextOfRange "next_of_range" [Range, Int, Target],
    /// The next number of a range and back to the target, or on.
    Again "again" [Range, Int, Target],
    /// The end of a round.
    EndRound "end_round" [],
    /// Python does this round.
    Leave "leave" [],
    /// The element of a view without axes, with one, with two.
    LoadF64At0 "load_f64_0" [Float, View],
    LoadF64At1 "load_f64_1" [Float, View, Int],
    LoadF64At2 "load_f64_2" [Float, View, Int, Int],
    LoadF32At0 "load_f32_0" [Float, View],
    LoadF32At1 "load_f32_1" [Float, View, Int],
    LoadF32At2 "load_f32_2" [Float, View, Int, Int],
    LoadI64At0 "load_i64_0" [Int, View],
    LoadI64At1 "load_i64_1" [Int, View, Int],
    LoadI64At2 "load_i64_2" [Int, View, Int, Int],
    LoadBoolAt0 "load_bool_0" [Int, View],
    LoadBoolAt1 "load_bool_1" [Int, View, Int],
    LoadBoolAt2 "load_bool_2" [Int, View, Int, Int],
    StoreF64At0 "store_f64_0" [Float, View],
    StoreF64At1 "store_f64_1" [Float, View, Int],
    StoreF64At2 "store_f64_2" [Float, View, Int, Int],
    StoreF32At0 "store_f32_0" [Float, View],
    StoreF32At1 "store_f32_1" [Float, View, Int],
    StoreF32At2 "store_f32_2" [Float, View, Int, Int],
    StoreI64At0 "store_i64_0" [Int, View],
    StoreI64At1 "store_i64_1" [Int, View, Int],
    StoreI64At2 "store_i64_2" [Int, View, Int, Int],
    StoreBoolAt0 "store_bool_0" [Int, View],
    StoreBoolAt1 "store_bool_1" [Int, View, Int],
    StoreBoolAt2 "store_bool_2" [Int, View, Int, Int],
    /// The element of a view without axes of a smaller type of integers, by its number: u8, i8, u16, i16, u32, i32.
    LoadSmall "load_small" [Int, View, Number(6)],
    MoveView "move_view" [View, View],
    Index "index" [View, View, Indices, Count],
    Transpose "transpose" [View, View],
    Length "length" [Int, View, Number(4)],
    /// New elements by an operation on two operands; `e` tells it and which of them is a number ([`Map`]).
    MapF64 "map_f64" [View, View, View, Memory, Number(64)],
    MapF32 "map_f32" [View, View, View, Memory, Number(64)],
    /// The same with the first operand's elements for the result's, which are written.
    UpdateF64 "update_f64" [View, View, Number(64)],
    UpdateF32 "update_f32" [View, View, Number(64)],
    /// A view of one number, for a map.
    NumberF64 "number_f64" [View, Float],
    NumberF32 "number_f32" [View, Float],
    /// Elements of a view, of so many bytes, from another one that is broadcast.
    Assign "assign" [View, View, Number(17)],
    /// A copy of a view whose elements have so many bytes.
    Copy "copy" [View, View, Memory, Number(17)],
    /// New elements of so many bytes, as many as a view has, from another one that is broadcast.
    Full "full" [View, View, View, Memory, Number(17)],
    /// Those elements of a vector that another one (i64) tells.
    Take "take" [View, View, View, Memory, Number(17)],
    /// The sum of products of two vectors, by `np.dot` (1) or by `@` (0), which differ for what runs backwards.
    DotF64 "dot_f64" [Float, View, View, Number(2)],
    DotF32 "dot_f32" [Float, View, View, Number(2)],
    /// A product of which at least one operand is a matrix.
    MatmulF64 "matmul_f64" [View, View, View, Memory],
    MatmulF32 "matmul_f32" [View, View, View, Memory],
    SumF64 "sum_f64" [Float, View],
    SumF32 "sum_f32" [Float, View],
    MaximumF64 "maximum_f64" [Float, View],
    MaximumF32 "maximum_f32" [Float, View],
    MinimumF64 "minimum_f64" [Float, View],
    MinimumF32 "minimum_f32" [Float, View],
}

impl Op {
    /// Whether it writes a single element, which has to be noted.
    pub fn notes_one(self) -> bool {
        use Op::*;
        matches!(
            self,
            StoreF64At0
                | StoreF64At1
                | StoreF64At2
                | StoreF32At0
                | StoreF32At1
                | StoreF32At2
                | StoreI64At0
                | StoreI64At1
                | StoreI64At2
                | StoreBoolAt0
                | StoreBoolAt1
                | StoreBoolAt2
        )
    }

    /// Whether it reads or writes a single element.
    pub fn is_element(self) -> bool {
        self.notes_one() || self.is_load()
    }

    fn is_load(self) -> bool {
        use Op::*;
        let of_floats = matches!(self, LoadF64At0 | LoadF64At1 | LoadF64At2 | LoadF32At0 | LoadF32At1 | LoadF32At2);
        let of_ints = matches!(self, LoadI64At0 | LoadI64At1 | LoadI64At2 | LoadBoolAt0 | LoadBoolAt1 | LoadBoolAt2);
        of_floats || of_ints
    }

    /// How many indices the element has that it reads or writes.
    pub fn indices(self) -> usize {
        if self.is_element() { self.operands().len() - 2 } else { 0 }
    }

    /// Whether its first operand, if that is a register, is what it writes.
    pub fn writes_first(self) -> bool {
        use Op::*;
        let others = matches!(self, UpdateF64 | UpdateF32 | Assign | JumpIf | JumpUnless);
        !others && !self.notes_one()
    }
}

/// An operation on two vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Map {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Map {
    pub fn numbered(n: u16) -> Option<Map> {
        [Map::Add, Map::Subtract, Map::Multiply, Map::Divide].get(n as usize).copied()
    }
}

impl Ins {
    /// An instruction by its name and operands.
    pub fn new(name: &str, operands: &[u32]) -> Result<Ins> {
        let wrong = || Error::Invalid(format!("a nest with an instruction that is none: {name} {operands:?}"));
        let op = Op::named(name).ok_or_else(wrong)?;
        let mut all = [0u16; OPERANDS];
        if operands.len() != op.operands().len() {
            return Err(wrong());
        }
        for (to, &from) in all.iter_mut().zip(operands) {
            *to = u16::try_from(from).map_err(|_| wrong())?;
        }
        let [a, b, c, d, e] = all;
        Ok(Ins { op, a, b, c, d, e })
    }

    /// Where the code goes on after it, at place `n`.
    pub fn next(&self, n: usize) -> impl Iterator<Item = usize> {
        let on = !matches!(self.op, Op::Jump | Op::JumpBack | Op::EndRound | Op::Leave);
        let targets = self.named().filter(|(kind, _)| *kind == Operand::Target).map(|(_, target)| target);
        targets.chain(on.then_some(n + 1))
    }

    /// The registers that it writes, by their banks: integers (0), floats (1), views (2).
    pub fn writes(&self, mut write: impl FnMut(usize, usize)) {
        for (k, (kind, r)) in self.named().enumerate() {
            match kind {
                Operand::Range => (r..r + 3).for_each(|r| write(0, r)),
                Operand::Int if k == 1 && matches!(self.op, Op::NextOfRange | Op::Again) => write(0, r),
                Operand::Int if k == 0 && self.op.writes_first() => write(0, r),
                Operand::Float if k == 0 && self.op.writes_first() => write(1, r),
                Operand::View if k == 0 && self.op.writes_first() => write(2, r),
                _ => {}
            }
        }
    }

    /// The operands with what they name.
    pub fn named(&self) -> impl Iterator<Item = (Operand, usize)> {
        let all = [self.a, self.b, self.c, self.d, self.e];
        self.op.operands().iter().zip(all).map(|(&kind, n)| (kind, n as usize))
    }
}

impl fmt::Display for Ins {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.op.name())?;
        for (kind, n) in self.named() {
            match kind {
                Operand::Int | Operand::Range => write!(f, " i{n}")?,
                Operand::Float => write!(f, " f{n}")?,
                Operand::View => write!(f, " v{n}")?,
                Operand::Target => write!(f, " ->{n}")?,
                Operand::Memory => write!(f, " m{n}")?,
                Operand::Indices => write!(f, " x{n}")?,
                Operand::Function => write!(f, " g{n}")?,
                Operand::Count | Operand::Number(_) => write!(f, " {n}")?,
            }
        }
        Ok(())
    }
}
