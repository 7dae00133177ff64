//! Nests of loops over single elements and short rows, run without the program.
//!
//! `for i in range(n): for j in range(i): a[i, j] -= np.dot(a[i, :j], a[j, :j])` does so little in each of its calls that to make
//! the call takes longer than what it does, and to record it longer still; what comes next depends on what was just written. So
//! a front end that knows what a loop's body does translates it to a code of its own ([`Program`]), with a type for every
//! value, and has the runtime do whole rounds of the outermost loop at a time, straight in the memory of the arrays.
//!
//! A round is done as a whole or not at all: what it writes is noted, and where anything happens that the program would have
//! to be told of (an index out of bounds, a division by zero, whatever NumPy would warn of, the end of the loop by `break`),
//! the round is taken back and the program does it itself. So every error comes from where it always comes from.
//!
//! A boundary file: it reads and writes elements by address. Every index is compared with its axis before it is used, so what
//! the code reads or writes lies in the arrays that it was given, or in memory of its own.

mod code;
mod log;
mod vector;
mod view;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use legate_jit_ir::graph::{Opaque, Reducer};
use legate_jit_ir::{DType, Scalar, Ufunc};
use smallvec::SmallVec;

use crate::base::{State, Version};
use crate::library::{self, Strided};
use crate::session::{Session, lock_to_look};
use crate::shared::Shared;
use crate::trace::Part;
use crate::{Array, Error, Result, Store, tree};
use code::{Ins, Map, Op, Operand};
use log::Log;
use vector::{map, strided_copy, update};
pub use view::Item;
use view::{AXES, View, broadcast};

/// Elements of one operation, at most, and in the mean: longer rows are recorded, which fuses operations and uses all threads.
const LONGEST: usize = 1 << 16;
const LONG: u64 = 1 << 13;
/// Bytes of what a round writes, at most.
const NOTED: usize = 64 << 20;
/// How long a round may take: who wants to stop the program waits for its end.
const PATIENCE: Duration = Duration::from_millis(200);
/// Jumps back between two looks at the clock, and how many a round and so many elements count for.
const JUMPS: u32 = 1 << 14;
const ROUND: u32 = 1 << 6;
const ELEMENTS: usize = 1 << 6;
/// Integers that a float can tell from their neighbours.
const EXACT: u64 = 1 << 53;

/// The code of a loop's body, and what its registers hold to begin with.
pub struct Program {
    code: Vec<Ins>,
    items: Vec<Item>,
    functions: Vec<Function>,
    /// How many there are of each kind of register, and pieces of memory.
    ints: usize,
    floats: usize,
    views: usize,
    memories: usize,
    /// Registers with a number that stays.
    int_constants: Vec<(usize, i64)>,
    float_constants: Vec<(usize, f64)>,
    arrays: Vec<Given>,
    /// For the loop's own variable.
    variable: usize,
    /// What a round that is taken back must leave as it was.
    kept_ints: Vec<usize>,
    kept_floats: Vec<usize>,
}

/// An array that a program is given.
#[derive(Clone, Copy, Debug)]
pub struct Given {
    pub register: usize,
    pub dtype: DType,
    pub axes: usize,
    pub written: bool,
}

/// What a program consists of, as a front end tells it.
#[derive(Default)]
pub struct Parts {
    /// Names of instructions (`nest/code.rs`) and their operands.
    pub code: Vec<(String, Vec<u32>)>,
    pub items: Vec<Item>,
    pub functions: Vec<String>,
    pub ints: usize,
    pub floats: usize,
    pub views: usize,
    pub memories: usize,
    pub int_constants: Vec<(usize, i64)>,
    pub float_constants: Vec<(usize, f64)>,
    pub arrays: Vec<Given>,
    pub variable: usize,
    pub kept_ints: Vec<usize>,
    pub kept_floats: Vec<usize>,
}

/// A function of one number.
enum Function {
    /// NumPy's, by our arithmetic.
    Ufunc(Ufunc),
    /// The C library's.
    Math(fn(f64) -> f64),
}

impl Function {
    fn named(name: &str) -> Option<Function> {
        let Some(name) = name.strip_prefix("math.") else { return Ufunc::parse(name).map(Function::Ufunc) };
        let function = match name {
            "acos" => f64::acos,
            "asin" => f64::asin,
            "atan" => f64::atan,
            "cos" => f64::cos,
            "cosh" => f64::cosh,
            "exp" => f64::exp,
            "expm1" => f64::exp_m1,
            "fabs" => f64::abs,
            "log10" => f64::log10,
            "log2" => f64::log2,
            "log" => f64::ln,
            "sin" => f64::sin,
            "sinh" => f64::sinh,
            "tan" => f64::tan,
            "tanh" => f64::tanh,
            _ => return None,
        };
        Some(Function::Math(function))
    }

    fn of(&self, x: f64) -> Option<f64> {
        match self {
            Function::Math(f) => Some(f(x)),
            Function::Ufunc(f) => f.eval(&[Scalar::f64(x)]).filter(|v| v.dtype == DType::F64).map(|v| v.as_f64()),
        }
    }
}

/// Why rounds came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All were done that were asked for.
    Done,
    /// Others should have their turn.
    Turn,
    /// The program has to do the next round.
    Left,
    /// The rounds are long: other ways are better for them.
    Long,
    /// The arrays are not where they can be written.
    Elsewhere,
}

/// The numbers that a program's registers hold between rounds.
pub struct Numbers {
    pub ints: Vec<i64>,
    pub floats: Vec<f64>,
}

impl Program {
    /// A program, if every operand of its instructions names something that it has.
    pub fn new(parts: Parts) -> Result<Program> {
        let wrong = |what: &str| Error::Runtime(format!("a nest with {what} that it has not"));
        let mut code = Vec::with_capacity(parts.code.len());
        for (name, operands) in &parts.code {
            code.push(Ins::new(name, operands)?);
        }
        let functions: Option<Vec<Function>> = parts.functions.iter().map(|name| Function::named(name)).collect();
        let Some(functions) = functions else { return Err(wrong("a function")) };
        let register = |n: Option<u16>| n.is_none_or(|n| (n as usize) < parts.ints);
        for item in &parts.items {
            let fine = match *item {
                Item::Int(n) => register(Some(n)),
                Item::Slice(start, stop, step) => register(start) && register(stop) && step != 0 && step != i64::MIN,
                Item::New => true,
            };
            if !fine {
                return Err(wrong("an index"));
            }
        }
        for ins in &code {
            let mut first = 0;
            for (kind, n) in ins.named() {
                let fine = match kind {
                    Operand::Int => n < parts.ints,
                    Operand::Float => n < parts.floats,
                    Operand::View => n < parts.views,
                    Operand::Range => n + 3 <= parts.ints,
                    Operand::Target => n < code.len(),
                    Operand::Memory => n < parts.memories,
                    Operand::Number(u16::MAX) => n < functions.len(),
                    Operand::Number(below) => n < below as usize,
                    Operand::Indices => {
                        first = n;
                        n <= parts.items.len()
                    }
                    Operand::Count => first + n <= parts.items.len(),
                };
                if !fine {
                    return Err(wrong("an operand"));
                }
            }
            let map = match ins.op {
                Op::MapF64 | Op::MapF32 => Map::numbered(ins.e).is_some(),
                Op::UpdateF64 | Op::UpdateF32 => Map::numbered(ins.c).is_some(),
                _ => true,
            };
            if !map {
                return Err(wrong("an operation"));
            }
        }
        if !matches!(code.last(), Some(Ins { op: Op::EndRound | Op::Leave | Op::Jump | Op::JumpBack, .. })) {
            return Err(wrong("an end"));
        }
        let ints =
            parts.int_constants.iter().map(|c| c.0).chain(parts.kept_ints.iter().copied()).chain([parts.variable]);
        let floats = parts.float_constants.iter().map(|c| c.0).chain(parts.kept_floats.iter().copied());
        if ints.max().is_some_and(|n| n >= parts.ints)
            || floats.max().is_some_and(|n| n >= parts.floats)
            || parts.arrays.iter().any(|a| a.axes > AXES)
            || parts.arrays.iter().any(|a| a.register >= parts.views)
        {
            return Err(wrong("a register"));
        }
        Ok(Program {
            code,
            items: parts.items,
            functions,
            ints: parts.ints,
            floats: parts.floats,
            views: parts.views,
            memories: parts.memories,
            int_constants: parts.int_constants,
            float_constants: parts.float_constants,
            arrays: parts.arrays,
            variable: parts.variable,
            kept_ints: parts.kept_ints,
            kept_floats: parts.kept_floats,
        })
    }

    /// Its instructions, one a line.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for given in &self.arrays {
            let written = if given.written { ", written" } else { "" };
            let _ = writeln!(out, "v{} = {} of {} axes{written}", given.register, given.dtype.name(), given.axes);
        }
        for (n, item) in self.items.iter().enumerate() {
            let _ = writeln!(out, "x{n} = {item:?}");
        }
        for (n, ins) in self.code.iter().enumerate() {
            let _ = write!(out, "{n:4}  {:?}", ins.op);
            for (kind, n) in ins.named() {
                let _ = match kind {
                    Operand::Int | Operand::Range => write!(out, " i{n}"),
                    Operand::Float => write!(out, " f{n}"),
                    Operand::View => write!(out, " v{n}"),
                    Operand::Target => write!(out, " ->{n}"),
                    Operand::Memory => write!(out, " m{n}"),
                    Operand::Indices => write!(out, " x{n}"),
                    Operand::Count | Operand::Number(_) => write!(out, " {n}"),
                };
            }
            out.push('\n');
        }
        out
    }

    /// The arrays that it works on.
    pub fn given(&self) -> &[Given] {
        &self.arrays
    }

    /// Registers with their constants.
    pub fn numbers(&self) -> Numbers {
        let mut numbers = Numbers { ints: vec![0; self.ints], floats: vec![0.0; self.floats] };
        for &(r, value) in &self.int_constants {
            numbers.ints[r] = value;
        }
        for &(r, value) in &self.float_constants {
            numbers.floats[r] = value;
        }
        numbers
    }

    /// Does rounds for the numbers `next`, `next + step`, …, `rounds` of them at most; how many it did, and why no more. What the
    /// registers hold then is what the program's variables would.
    pub fn run(
        &self,
        numbers: &mut Numbers,
        arrays: &[&Array],
        (next, step): (i64, i64),
        rounds: usize,
    ) -> Result<(usize, Stop)> {
        if numbers.ints.len() != self.ints || numbers.floats.len() != self.floats || arrays.len() != self.arrays.len() {
            return Err(Error::Runtime("a nest is given other things than it has".into()));
        }
        let mut s = lock_to_look();
        let Some((views, stores)) = at_hand(&mut s, arrays, &self.arrays)? else { return Ok((0, Stop::Elsewhere)) };
        let mut run = Run {
            program: self,
            numbers,
            views: vec![View::NONE; self.views],
            memories: (0..self.memories).map(|_| Memory::default()).collect(),
            rooms: vec![0.0; self.views],
            retired: Vec::new(),
            log: Log::default(),
            jumps: JUMPS,
            since: None,
            mapped: 0,
            maps: 0,
        };
        for (given, view) in self.arrays.iter().zip(views) {
            run.views[given.register] = view;
        }
        let (done, stop) = run.rounds((next, step), rounds);
        s.counters.rounds_translated += done as u64;
        drop(stores);
        Ok((done, stop))
    }
}

/// Where the elements are, and what keeps them there.
type AtHand = (Vec<View>, Vec<Arc<Store>>);

/// The elements of arrays in memory that nobody else has where they are written, and what keeps them. `None` where they are not
/// here.
fn at_hand(s: &mut Session, arrays: &[&Array], of: &[Given]) -> Result<Option<AtHand>> {
    let as_given = |(a, g): (&&Array, &Given)| a.dtype == g.dtype && a.ndim() == g.axes && a.part == Part::Whole;
    if crate::ranks::active().is_some() || !arrays.iter().zip(of).all(as_given) {
        return Ok(None);
    }
    s.flush()?;
    s.ahead.let_go();
    for a in arrays {
        let version = a.base.current.get(&s.token).clone();
        s.store_of(&version)?;
    }
    for (a, _) in arrays.iter().zip(of).filter(|(_, given)| given.written) {
        a.check_writable()?;
        let version = a.base.current.get(&s.token);
        let State::Store(store) = version.state.get(&s.token) else { return Ok(None) };
        let alone = store.is_exported() || (Shared::count(version) == 1 && Arc::strong_count(store) == 1);
        // Whoever else had it has read it.
        fence(Ordering::Acquire);
        if !alone {
            let fresh = Version::new(State::Store(store.duplicate()?), version.full.clone(), version.dtype);
            a.base.current.replace(&mut s.token, fresh);
        }
    }
    let (mut views, mut stores) = (Vec::new(), Vec::new());
    for (a, &Given { written, .. }) in arrays.iter().zip(of) {
        let State::Store(store) = a.base.current.get(&s.token).state.get(&s.token) else { return Ok(None) };
        let item = a.dtype.size();
        let ptr = if written { store.as_mut_ptr() } else { store.as_ptr().cast_mut() };
        if !ptr.addr().is_multiple_of(item) {
            return Ok(None);
        }
        let strides: SmallVec<[isize; AXES]> = a.layout.strides.iter().map(|&s| s as isize * item as isize).collect();
        let view = View::new(ptr.wrapping_offset(a.layout.offset as isize * item as isize), a.shape(), &strides);
        let (low, high) = view.span(item);
        let start = ptr.addr();
        assert!(low == high || low >= start && high <= start + store.bytes(), "an array outside its store");
        views.push(view);
        stores.push(store.clone());
    }
    Ok(Some((views, stores)))
}

/// Memory for results of one instruction. There are two pieces, so that the one before can be an operand of the next.
#[derive(Default)]
struct Memory {
    pieces: [Vec<u64>; 2],
}

impl Memory {
    /// A piece of so many bytes that lies apart from the views.
    fn apart(&mut self, bytes: usize, views: [&View; 2], retired: &mut Vec<Vec<u64>>) -> *mut u8 {
        let inside = |piece: &Vec<u64>| {
            let range = piece.as_ptr_range();
            let (low, high) = (range.start.addr(), range.end.addr());
            views.iter().any(|v| (low..high).contains(&v.ptr.addr()))
        };
        let n = inside(&self.pieces[0]) as usize;
        let words = bytes.div_ceil(8).max(1);
        let piece = &mut self.pieces[n];
        if piece.len() < words {
            retired.push(std::mem::replace(piece, vec![0; words.next_power_of_two()]));
        }
        piece.as_mut_ptr().cast()
    }
}

struct Run<'a> {
    program: &'a Program,
    numbers: &'a mut Numbers,
    views: Vec<View>,
    memories: Vec<Memory>,
    /// Numbers that are seen as views, by the view's register.
    rooms: Vec<f64>,
    /// Memory that became too small in this round. Views may still name it.
    retired: Vec<Vec<u64>>,
    log: Log,
    /// Until the next look at the clock.
    jumps: u32,
    /// When the clock was first looked at in a round.
    since: Option<Instant>,
    /// Elements of all operations on rows, and how many operations there were.
    mapped: u64,
    maps: u64,
}

/// What ends a round before its end: `None` stands for it in what an instruction gives.
enum End {
    Round,
    Leave,
    Long,
}

impl Run<'_> {
    fn rounds(&mut self, (mut next, step): (i64, i64), rounds: usize) -> (usize, Stop) {
        let program = self.program;
        let (mut ints, mut floats) = (vec![0i64; program.kept_ints.len()], vec![0f64; program.kept_floats.len()]);
        let turn = Instant::now();
        let mut done = 0;
        while done < rounds {
            for (kept, &r) in ints.iter_mut().zip(&program.kept_ints) {
                *kept = self.numbers.ints[r];
            }
            for (kept, &r) in floats.iter_mut().zip(&program.kept_floats) {
                *kept = self.numbers.floats[r];
            }
            self.numbers.ints[program.variable] = next;
            self.since = None;
            clear_flags();
            // SAFETY: `Program::new` has compared every operand with what there is; the views that the code makes lie in the arrays
            // and pieces of memory that it has.
            let end = unsafe { self.round() };
            let stop = match end {
                End::Round if flagged() => Some(Stop::Left),
                End::Round => None,
                End::Leave => Some(Stop::Left),
                End::Long => Some(Stop::Long),
            };
            if let Some(stop) = stop {
                // SAFETY: the arrays are still there.
                unsafe { self.log.undo() };
                for (kept, &r) in ints.iter().zip(&program.kept_ints) {
                    self.numbers.ints[r] = *kept;
                }
                for (kept, &r) in floats.iter().zip(&program.kept_floats) {
                    self.numbers.floats[r] = *kept;
                }
                return (done, stop);
            }
            self.log.clear();
            self.retired.clear();
            done += 1;
            // (The last one is the last number of the range, after which there may be none.)
            next = next.wrapping_add(step);
            if self.maps > 0 && self.mapped / self.maps > LONG {
                return (done, Stop::Long);
            }
            // (To look at the clock takes longer than a short round.)
            self.jumps = self.jumps.saturating_sub(ROUND);
            if self.jumps == 0 || self.since.is_some() {
                self.jumps = JUMPS;
                if turn.elapsed() > TURN {
                    return (done, Stop::Turn);
                }
            }
        }
        (done, Stop::Done)
    }

    /// One round.
    ///
    /// # Safety
    /// The program is one of `Program::new`, and the views lie in memory that is kept.
    unsafe fn round(&mut self) -> End {
        let code = self.program.code.as_ptr();
        let (ints, floats) = (self.numbers.ints.as_mut_ptr(), self.numbers.floats.as_mut_ptr());
        let views = self.views.as_mut_ptr();
        let mut pc = 0usize;
        macro_rules! i {
            ($n:expr) => {
                *ints.add($n as usize)
            };
        }
        macro_rules! f {
            ($n:expr) => {
                *floats.add($n as usize)
            };
        }
        macro_rules! v {
            ($n:expr) => {
                *views.add($n as usize)
            };
        }
        // What an instruction needs and has not: the round is the program's.
        macro_rules! some {
            ($what:expr) => {
                match $what {
                    Some(it) => it,
                    None => return End::Leave,
                }
            };
        }
        macro_rules! store {
            ($at:expr, $type:ty, $value:expr) => {{
                let at = $at;
                self.log.single(at, size_of::<$type>() as u8);
                at.cast::<$type>().write($value);
            }};
        }
        macro_rules! long {
            ($n:expr) => {{
                let n = $n;
                self.worked(n);
                if n > LONGEST {
                    return End::Long;
                }
            }};
        }
        // SAFETY: the caller's promise: registers and instructions are there, by `Program::new`; an element is read or written where
        // its index was compared with the axis; the floating-point types and item sizes are those that the front end knows the
        // arrays to have, which `at_hand` has compared with their stores.
        unsafe {
            loop {
                // (Operands are read where they are needed.)
                let ins = &*code.add(pc);
                pc += 1;
                match ins.op {
                    Op::MoveInt => i!(ins.a) = i!(ins.b),
                    Op::AddInt => i!(ins.a) = some!(i!(ins.b).checked_add(i!(ins.c))),
                    Op::SubtractInt => i!(ins.a) = some!(i!(ins.b).checked_sub(i!(ins.c))),
                    Op::MultiplyInt => i!(ins.a) = some!(i!(ins.b).checked_mul(i!(ins.c))),
                    Op::FloorDivideInt => {
                        let (x, y) = (i!(ins.b), i!(ins.c));
                        let (q, r) = (some!(x.checked_div(y)), some!(x.checked_rem(y)));
                        i!(ins.a) = q - (r != 0 && (r < 0) != (y < 0)) as i64;
                    }
                    Op::RemainderInt => {
                        let (x, y) = (i!(ins.b), i!(ins.c));
                        let r = some!(x.checked_rem(y));
                        i!(ins.a) = if r != 0 && (r < 0) != (y < 0) { r + y } else { r };
                    }
                    Op::NegateInt => i!(ins.a) = some!(i!(ins.b).checked_neg()),
                    Op::AbsoluteInt => i!(ins.a) = some!(i!(ins.b).checked_abs()),
                    Op::LessInt => i!(ins.a) = (i!(ins.b) < i!(ins.c)) as i64,
                    Op::LessEqualInt => i!(ins.a) = (i!(ins.b) <= i!(ins.c)) as i64,
                    Op::EqualInt => i!(ins.a) = (i!(ins.b) == i!(ins.c)) as i64,
                    Op::Not => i!(ins.a) = (i!(ins.b) == 0) as i64,
                    Op::MoveFloat => f!(ins.a) = f!(ins.b),
                    Op::Add => f!(ins.a) = f!(ins.b) + f!(ins.c),
                    Op::Subtract => f!(ins.a) = f!(ins.b) - f!(ins.c),
                    Op::Multiply => f!(ins.a) = f!(ins.b) * f!(ins.c),
                    Op::Divide => {
                        let y = f!(ins.c);
                        if y == 0.0 {
                            return End::Leave;
                        }
                        f!(ins.a) = f!(ins.b) / y;
                    }
                    Op::Power => f!(ins.a) = f!(ins.b).powf(f!(ins.c)),
                    Op::Negate => f!(ins.a) = -f!(ins.b),
                    Op::Absolute => f!(ins.a) = f!(ins.b).abs(),
                    Op::Sqrt => {
                        let x = f!(ins.b);
                        if x < 0.0 {
                            return End::Leave;
                        }
                        f!(ins.a) = x.sqrt();
                    }
                    Op::Less => i!(ins.a) = (f!(ins.b) < f!(ins.c)) as i64,
                    Op::LessEqual => i!(ins.a) = (f!(ins.b) <= f!(ins.c)) as i64,
                    Op::Equal => i!(ins.a) = (f!(ins.b) == f!(ins.c)) as i64,
                    Op::ToFloat => {
                        let x = i!(ins.b);
                        if x.unsigned_abs() > EXACT {
                            return End::Leave;
                        }
                        f!(ins.a) = x as f64;
                    }
                    Op::ToInt => {
                        let x = f!(ins.b).trunc();
                        if x.is_nan() || x.abs() > EXACT as f64 {
                            return End::Leave;
                        }
                        i!(ins.a) = x as i64;
                    }
                    Op::Round => f!(ins.a) = f!(ins.b) as f32 as f64,
                    Op::Function => {
                        // (What is not finite NumPy may warn of, and Python may raise an error.)
                        f!(ins.a) =
                            some!(self.program.functions[ins.c as usize].of(f!(ins.b)).filter(|v| v.is_finite()));
                    }
                    Op::Jump => pc = ins.a as usize,
                    Op::JumpBack => {
                        pc = ins.a as usize;
                        self.jumps = self.jumps.saturating_sub(1);
                        if self.jumps == 0 && self.is_long() {
                            return End::Long;
                        }
                    }
                    Op::JumpIf => {
                        if i!(ins.a) != 0 {
                            pc = ins.b as usize;
                        }
                    }
                    Op::JumpUnless => {
                        if i!(ins.a) == 0 {
                            pc = ins.b as usize;
                        }
                    }
                    Op::StartRange => {
                        let (start, stop, step) = (i!(ins.b), i!(ins.c), i!(ins.d));
                        let wide = stop as i128 - start as i128;
                        let left = match step {
                            0 => return End::Leave,
                            1.. => (wide.max(0) as u128).div_ceil(step as u128),
                            _ => ((-wide).max(0) as u128).div_ceil(step.unsigned_abs() as u128),
                        };
                        i!(ins.a) = start;
                        i!(ins.a + 1) = step;
                        i!(ins.a + 2) = some!(i64::try_from(left).ok());
                    }
                    Op::NextOfRange => {
                        if i!(ins.a + 2) == 0 {
                            pc = ins.c as usize;
                        } else {
                            i!(ins.a + 2) -= 1;
                            let next = i!(ins.a);
                            i!(ins.b) = next;
                            i!(ins.a) = next.wrapping_add(i!(ins.a + 1));
                        }
                    }
                    Op::Again => {
                        self.jumps = self.jumps.saturating_sub(1);
                        if self.jumps == 0 && self.is_long() {
                            return End::Long;
                        }
                        if i!(ins.a + 2) != 0 {
                            i!(ins.a + 2) -= 1;
                            let next = i!(ins.a);
                            i!(ins.b) = next;
                            i!(ins.a) = next.wrapping_add(i!(ins.a + 1));
                            pc = ins.c as usize;
                        }
                    }
                    Op::EndRound => return End::Round,
                    Op::Leave => return End::Leave,
                    Op::LoadF64At0 => f!(ins.a) = v!(ins.b).ptr.cast::<f64>().read(),
                    Op::LoadF64At1 => f!(ins.a) = some!(v!(ins.b).at1(i!(ins.c))).cast::<f64>().read(),
                    Op::LoadF64At2 => f!(ins.a) = some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))).cast::<f64>().read(),
                    Op::LoadF32At0 => f!(ins.a) = v!(ins.b).ptr.cast::<f32>().read() as f64,
                    Op::LoadF32At1 => f!(ins.a) = some!(v!(ins.b).at1(i!(ins.c))).cast::<f32>().read() as f64,
                    Op::LoadF32At2 => {
                        f!(ins.a) = some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))).cast::<f32>().read() as f64
                    }
                    Op::LoadI64At0 => i!(ins.a) = v!(ins.b).ptr.cast::<i64>().read(),
                    Op::LoadI64At1 => i!(ins.a) = some!(v!(ins.b).at1(i!(ins.c))).cast::<i64>().read(),
                    Op::LoadI64At2 => i!(ins.a) = some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))).cast::<i64>().read(),
                    Op::LoadBoolAt0 => i!(ins.a) = (v!(ins.b).ptr.read() != 0) as i64,
                    Op::LoadBoolAt1 => i!(ins.a) = (some!(v!(ins.b).at1(i!(ins.c))).read() != 0) as i64,
                    Op::LoadBoolAt2 => i!(ins.a) = (some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))).read() != 0) as i64,
                    Op::StoreF64At0 => store!(v!(ins.b).ptr, f64, f!(ins.a)),
                    Op::StoreF64At1 => store!(some!(v!(ins.b).at1(i!(ins.c))), f64, f!(ins.a)),
                    Op::StoreF64At2 => store!(some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))), f64, f!(ins.a)),
                    Op::StoreF32At0 => store!(v!(ins.b).ptr, f32, f!(ins.a) as f32),
                    Op::StoreF32At1 => store!(some!(v!(ins.b).at1(i!(ins.c))), f32, f!(ins.a) as f32),
                    Op::StoreF32At2 => store!(some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))), f32, f!(ins.a) as f32),
                    Op::StoreI64At0 => store!(v!(ins.b).ptr, i64, i!(ins.a)),
                    Op::StoreI64At1 => store!(some!(v!(ins.b).at1(i!(ins.c))), i64, i!(ins.a)),
                    Op::StoreI64At2 => store!(some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))), i64, i!(ins.a)),
                    Op::StoreBoolAt0 => store!(v!(ins.b).ptr, u8, (i!(ins.a) != 0) as u8),
                    Op::StoreBoolAt1 => store!(some!(v!(ins.b).at1(i!(ins.c))), u8, (i!(ins.a) != 0) as u8),
                    Op::StoreBoolAt2 => store!(some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))), u8, (i!(ins.a) != 0) as u8),
                    Op::LoadSmall => {
                        let p = v!(ins.b).ptr;
                        i!(ins.a) = match ins.c {
                            0 => p.read() as i64,
                            1 => p.cast::<i8>().read() as i64,
                            2 => p.cast::<u16>().read() as i64,
                            3 => p.cast::<i16>().read() as i64,
                            4 => p.cast::<u32>().read() as i64,
                            _ => p.cast::<i32>().read() as i64,
                        };
                    }
                    Op::MoveView => v!(ins.a) = v!(ins.b),
                    Op::Index => {
                        let items = &self.program.items[ins.c as usize..][..ins.d as usize];
                        v!(ins.a) = some!(v!(ins.b).index(items, &self.numbers.ints));
                    }
                    Op::Transpose => v!(ins.a) = v!(ins.b).transposed(),
                    Op::Length => {
                        i!(ins.a) = some!(v!(ins.b).shape().get(ins.c as usize).map(|&n| n as i64));
                    }
                    Op::MapF64 | Op::MapF32 => {
                        let Some(op) = Map::numbered(ins.e) else { return End::Leave };
                        let item = if ins.op == Op::MapF64 { 8 } else { 4 };
                        let (x, y) = (v!(ins.b), v!(ins.c));
                        let shape = some!(broadcast(&x, &y));
                        long!(shape.iter().product::<usize>());
                        let out = self.new_view(ins.d, &shape, item, [&x, &y]);
                        let (x, y) = (some!(x.broadcast(&shape)), some!(y.broadcast(&shape)));
                        if item == 8 {
                            map::<f64>(&out, &x, &y, op)
                        } else {
                            map::<f32>(&out, &x, &y, op)
                        }
                        v!(ins.a) = out;
                    }
                    Op::UpdateF64 | Op::UpdateF32 => {
                        let Some(op) = Map::numbered(ins.c) else { return End::Leave };
                        let item = if ins.op == Op::UpdateF64 { 8 } else { 4 };
                        let to = v!(ins.a);
                        long!(to.size());
                        let mut from = some!(v!(ins.b).broadcast(to.shape()));
                        let copied;
                        if from.overlaps(&to, item) && !from.same(&to) {
                            copied = packed_copy(&from, item);
                            from = View::packed(copied.as_ptr().cast_mut().cast(), to.shape(), item);
                        }
                        let old = self.log.room(&to, item);
                        if item == 8 {
                            update::<f64>(&to, &from, &old, op)
                        } else {
                            update::<f32>(&to, &from, &old, op)
                        }
                    }
                    Op::NumberF64 => {
                        let room: *mut f64 = &mut self.rooms[ins.a as usize];
                        room.write(f!(ins.b));
                        v!(ins.a) = View::single(room.cast());
                    }
                    Op::NumberF32 => {
                        let room: *mut f64 = &mut self.rooms[ins.a as usize];
                        room.cast::<f32>().write(f!(ins.b) as f32);
                        v!(ins.a) = View::single(room.cast());
                    }
                    Op::Assign => {
                        let to = v!(ins.a);
                        let item = ins.c as usize;
                        long!(to.size());
                        let mut from = some!(v!(ins.b).broadcast(to.shape()));
                        if from.same(&to) {
                            continue;
                        }
                        let copied;
                        if from.overlaps(&to, item) {
                            copied = packed_copy(&from, item);
                            from = View::packed(copied.as_ptr().cast_mut().cast(), to.shape(), item);
                        }
                        self.log.many(&to, item);
                        strided_copy(&to, &from, item);
                    }
                    Op::Copy => {
                        let from = v!(ins.b);
                        let item = ins.d as usize;
                        long!(from.size());
                        let out = self.new_view(ins.c, from.shape(), item, [&from, &from]);
                        strided_copy(&out, &from, item);
                        v!(ins.a) = out;
                    }
                    Op::Take => {
                        let (from, of) = (v!(ins.b), v!(ins.c));
                        let item = ins.e as usize;
                        long!(of.size());
                        let out = self.new_view(ins.d, of.shape(), item, [&from, &of]);
                        for k in 0..of.shape[0] {
                            let i = of.ptr.wrapping_offset(k as isize * of.strides[0]).cast::<i64>().read();
                            let at = some!(from.at1(i));
                            out.ptr.add(k * item).copy_from_nonoverlapping(at, item);
                        }
                        v!(ins.a) = out;
                    }
                    Op::DotF64 => {
                        f!(ins.a) = f64::from_bits(some!(self.dot(DType::F64, v!(ins.b), v!(ins.c), ins.d == 1)))
                    }
                    Op::DotF32 => {
                        f!(ins.a) =
                            f32::from_bits(some!(self.dot(DType::F32, v!(ins.b), v!(ins.c), ins.d == 1)) as u32) as f64
                    }
                    Op::MatmulF64 => v!(ins.a) = some!(self.matmul(DType::F64, &v!(ins.b), &v!(ins.c), ins.d)),
                    Op::MatmulF32 => v!(ins.a) = some!(self.matmul(DType::F32, &v!(ins.b), &v!(ins.c), ins.d)),
                    Op::SumF64 | Op::MaximumF64 | Op::MinimumF64 => {
                        f!(ins.a) = f64::from_bits(some!(self.reduced(ins.op, DType::F64, &v!(ins.b))));
                    }
                    Op::SumF32 | Op::MaximumF32 | Op::MinimumF32 => {
                        f!(ins.a) = f32::from_bits(some!(self.reduced(ins.op, DType::F32, &v!(ins.b))) as u32) as f64;
                    }
                }
            }
        }
    }

    /// Looks at the clock: whether the round takes too long, or too much memory.
    #[cold]
    fn is_long(&mut self) -> bool {
        self.jumps = JUMPS;
        let since = *self.since.get_or_insert_with(Instant::now);
        since.elapsed() > PATIENCE || self.log.bytes() > NOTED
    }

    /// Counts an operation on so many elements.
    #[inline(always)]
    fn worked(&mut self, n: usize) {
        self.mapped += n as u64;
        self.maps += 1;
        self.jumps = self.jumps.saturating_sub((n / ELEMENTS) as u32);
    }

    /// New elements in a piece of memory that lies apart from two views.
    fn new_view(&mut self, memory: u16, shape: &[usize], item: usize, views: [&View; 2]) -> View {
        let bytes = shape.iter().product::<usize>() * item;
        View::packed(self.memories[memory as usize].apart(bytes, views, &mut self.retired), shape, item)
    }

    /// The sum of products of two vectors; those that run backwards are `copied` first, as `linalg::dot` does.
    fn dot(&mut self, dtype: DType, mut x: View, mut y: View, copied: bool) -> Option<u64> {
        let n = x.shape[0];
        if y.shape[0] != n || n > LONGEST {
            return None;
        }
        self.worked(n);
        if n == 0 {
            return Some(0);
        }
        let mut copies = [Vec::new(), Vec::new()];
        for (v, copy) in [&mut x, &mut y].into_iter().zip(&mut copies) {
            if copied && (v.strides[0] < 0 || v.strides[0] == 0 && n > 1) {
                *copy = packed_copy(v, dtype.size());
                *v = View::packed(copy.as_mut_ptr().cast(), &[n], dtype.size());
            }
        }
        let (x, y) = ((x.ptr, x.strides[0] as i64), (y.ptr, y.strides[0] as i64));
        // SAFETY: views of a program's, on elements of this type.
        Some(unsafe { library::dot(dtype, n, x, y) }.ok()?[0])
    }

    /// The product of a matrix and a vector, or of two matrices.
    fn matmul(&mut self, dtype: DType, x: &View, y: &View, memory: u16) -> Option<View> {
        let (rows, columns) = (x.axes == 2, y.axes == 2);
        let n = x.shape[x.axes - 1];
        let m = if rows { x.shape[0] } else { 1 };
        let p = if columns { y.shape[1] } else { 1 };
        let work = m.checked_mul(n)?.checked_mul(p)?;
        if y.shape[0] != n || work > LONGEST {
            return None;
        }
        self.worked(work);
        let mut shape: SmallVec<[usize; 2]> = SmallVec::new();
        shape.extend(rows.then_some(m));
        shape.extend(columns.then_some(p));
        let item = dtype.size();
        let result = self.new_view(memory, &shape, item, [x, y]);
        let matrix = |v: &View, as_row: bool| match (v.axes, as_row) {
            (2, _) => [v.strides[0] as i64, v.strides[1] as i64],
            (_, true) => [v.strides[0] as i64 * n as i64, v.strides[0] as i64],
            (_, false) => [v.strides[0] as i64, item as i64],
        };
        if n == 0 || m == 0 || p == 0 {
            // SAFETY: memory of its own for so many elements.
            unsafe { result.ptr.write_bytes(0, m * p * item) };
            return Some(result);
        }
        let (by_x, by_y, by) = (matrix(x, true), matrix(y, false), [(p * item) as i64, item as i64]);
        let a = Strided { ptr: x.ptr, dtype, shape: &[m, n], strides: &by_x };
        let b = Strided { ptr: y.ptr, dtype, shape: &[n, p], strides: &by_y };
        let out = Strided { ptr: result.ptr, dtype, shape: &[m, p], strides: &by };
        library::run(&Opaque::Matmul, &[a, b], &out).ok()?;
        Some(result)
    }

    /// A reduction of a vector, by NumPy's tree.
    fn reduced(&mut self, op: Op, dtype: DType, x: &View) -> Option<u64> {
        let n = x.shape[0];
        let reducer = Reducer::Ufunc(match op {
            Op::MaximumF64 | Op::MaximumF32 => Ufunc::Maximum,
            Op::MinimumF64 | Op::MinimumF32 => Ufunc::Minimum,
            _ => Ufunc::Add,
        });
        if n == 0 || n > LONGEST {
            return None;
        }
        self.worked(n);
        let item = dtype.size();
        let copied;
        let from = if x.is_packed(item) {
            x.ptr.cast_const()
        } else {
            copied = packed_copy(x, item);
            copied.as_ptr().cast()
        };
        // SAFETY: so many elements, one after the other.
        Some(unsafe { tree::reduce(reducer, dtype, from, n) }[0])
    }
}

/// For how long other threads wait.
const TURN: Duration = Duration::from_millis(20);

/// The elements of a view, one after the other.
fn packed_copy(view: &View, item: usize) -> Vec<u64> {
    let mut copied = vec![0u64; (view.size() * item).div_ceil(8).max(1)];
    let to = View::packed(copied.as_mut_ptr().cast(), view.shape(), item);
    // SAFETY: a view of a program's, and room for its elements.
    unsafe { strided_copy(&to, view, item) };
    copied
}

/// What NumPy warns of: an invalid operation, a division by zero, an overflow.
#[cfg(target_arch = "x86_64")]
const EXCEPTIONS: u32 = 0b1101;

#[cfg(target_arch = "x86_64")]
fn clear_flags() {
    let now = control() & !0b11_1111;
    // SAFETY: the register as it was, but for the flags of what happened.
    unsafe { std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const now, options(nostack)) };
}

/// Whether an operation since `clear_flags` is one that NumPy warns of.
#[cfg(target_arch = "x86_64")]
fn flagged() -> bool {
    control() & EXCEPTIONS != 0
}

#[cfg(target_arch = "x86_64")]
fn control() -> u32 {
    let mut now = 0u32;
    // SAFETY: it writes to the number.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut now, options(nostack)) };
    now
}

#[cfg(not(target_arch = "x86_64"))]
fn clear_flags() {}

/// Nothing is known of what happened, so Python does every round.
#[cfg(not(target_arch = "x86_64"))]
fn flagged() -> bool {
    true
}
