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
mod flags;
mod log;
mod run;
mod vector;
mod view;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use legate_jit_ir::{DType, Scalar, Ufunc};
use smallvec::SmallVec;

use crate::base::{State, Version};
use crate::session::{Session, lock_to_look};
use crate::shared::Shared;
use crate::trace::Part;
use crate::{Array, Error, Result, Store};
use code::{Ins, Map, Op, Operand};
use run::Run;
pub use view::Item;
use view::{AXES, View};

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
        // (What fails there the program meets when it asks for that value.)
        let Ok(Some((views, stores))) = at_hand(&mut s, arrays, &self.arrays) else { return Ok((0, Stop::Elsewhere)) };
        let mut run = Run::new(self, numbers, &views);
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
