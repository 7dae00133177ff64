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

mod calls;
mod flags;
mod log;
mod rounds;
mod run;
mod vector;
mod view;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};

use legate_jit_codegen::Slot;
use legate_jit_ir::nest::code::Op;
use legate_jit_ir::nest::{self as ir, AXES, Given, SMALL_BITS};
use legate_jit_ir::{DType, Scalar, Ufunc};
use smallvec::SmallVec;

use crate::base::{State, Version};
use crate::library::blas;
use crate::session::{Session, lock_to_look};
use crate::shared::Shared;
use crate::trace::Part;
use crate::{Array, Error, Result, Store, Tier};
use rounds::LONG;
pub use rounds::LONG_IF_ALL_ARE_ROWS;
use run::Run;
use view::View;

/// A nest with what it takes to run it.
pub struct Program {
    ir: Arc<ir::Program>,
    functions: Vec<Function>,
    /// Registers of integers that it is given and that stay.
    steady: Vec<usize>,
    /// Elements of one operation in the mean, at most.
    long: u64,
    /// Where several threads may do rounds at once: integers that a round may leave as they are.
    independent: Option<Vec<usize>>,
    /// Machine code, by which of the arrays lie one element behind the other along their last axis, as bits.
    compiled: Mutex<Vec<(u64, Arc<Slot>)>>,
    /// Rounds that machine code could not do and the interpreter could.
    doubts: AtomicU32,
}

/// Whether threads share rounds that are not worth it: for tests.
static EAGER: AtomicBool = AtomicBool::new(false);

/// From now on threads share rounds however short they are: for tests.
pub fn share_short_rounds() {
    EAGER.store(true, Ordering::Relaxed);
}

/// Instructions of a program that is compiled, at most: LLVM's time grows faster than their number.
const LARGEST: usize = 1 << 12;
/// Kinds of arrays for which a program is compiled, at most.
const KINDS: usize = 4;
/// Rounds that machine code may leave in vain: LLVM may divide before it is asked whether to, and only the exceptions say so.
const DOUBTS: u32 = 8;

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

/// What came of rounds: how many were done, why no more, and whether machine code did some.
#[derive(Clone, Copy, Debug)]
pub struct Ran {
    pub done: usize,
    pub stop: Stop,
    pub compiled: bool,
}

/// The numbers that a program's registers hold between rounds.
#[derive(Clone)]
pub struct Numbers {
    pub ints: Vec<i64>,
    pub floats: Vec<f64>,
}

impl Program {
    /// A program, if every operand of its instructions names something that it has.
    pub fn new(ir: ir::Program) -> Result<Program> {
        ir.check().map_err(|e| Error::Runtime(e.to_string()))?;
        let functions: Option<Vec<Function>> = ir.functions.iter().map(|name| Function::named(name)).collect();
        let Some(functions) = functions else {
            return Err(Error::Runtime("a nest with a function that there is not".into()));
        };
        let [written, ..] = ir.written();
        let constant = |r: usize| ir.int_constants.iter().any(|c| c.0 == r);
        let steady = (0..ir.ints).filter(|&r| !written[r] && !constant(r)).collect();
        let independent = ir.independent();
        Ok(Program {
            ir: Arc::new(ir),
            functions,
            steady,
            long: LONG,
            independent,
            compiled: Mutex::default(),
            doubts: AtomicU32::new(0),
        })
    }

    /// A frame with what machine code may call. (No BLAS is loaded for those who need none.)
    fn frame(&self) -> ir::Frame {
        let needed = self.ir.code.iter().any(|ins| matches!(ins.op, Op::DotF64 | Op::DotF32));
        match if needed { blas::dots() } else { None } {
            Some(dots) => {
                let blas::Orders { gaps, short, packed, rounded } = blas::orders();
                let [gaps, short, rounded] = [gaps, short, rounded].map(i64::from);
                ir::Frame { dots, gaps, short, packed, rounded, ..calls::FRAME }
            }
            None => calls::FRAME,
        }
    }

    /// Says that all rounds do the same, of which recording knows how to do it.
    pub fn repeats(&mut self) {
        if !self.ir.code.iter().any(|ins| ins.op.is_element()) {
            self.long = LONG_IF_ALL_ARE_ROWS;
        }
    }

    /// Its instructions, one a line.
    pub fn text(&self) -> String {
        self.ir.to_string()
    }

    /// The arrays that it works on.
    pub fn given(&self) -> &[Given] {
        &self.ir.arrays
    }

    /// Registers with their constants.
    pub fn numbers(&self) -> Numbers {
        let mut numbers = Numbers { ints: vec![0; self.ir.ints], floats: vec![0.0; self.ir.floats] };
        for &(r, value) in &self.ir.int_constants {
            numbers.ints[r] = value;
        }
        for &(r, bits) in &self.ir.float_constants {
            numbers.floats[r] = f64::from_bits(bits);
        }
        numbers
    }

    /// Does rounds for the numbers `next`, `next + step`, …, `rounds` of them at most. What the
    /// registers hold then is what the program's variables would.
    pub fn run(
        &self,
        numbers: &mut Numbers,
        arrays: &[&Array],
        (next, step): (i64, i64),
        rounds: usize,
    ) -> Result<Ran> {
        let ir = &*self.ir;
        if numbers.ints.len() != ir.ints || numbers.floats.len() != ir.floats || arrays.len() != ir.arrays.len() {
            return Err(Error::Runtime("a nest is given other things than it has".into()));
        }
        let mut s = lock_to_look();
        // (What fails there the program meets when it asks for that value.)
        let Ok(Some((views, stores))) = at_hand(&mut s, arrays, &ir.arrays) else {
            return Ok(Ran { done: 0, stop: Stop::Elsewhere, compiled: false });
        };
        let small = |n: i64| n.unsigned_abs() < 1 << SMALL_BITS;
        let last = i64::try_from(rounds).ok().and_then(|n| step.checked_mul(n)?.checked_add(next));
        let compiles = self.steady.iter().all(|&r| small(numbers.ints[r])) && small(next) && last.is_some_and(small);
        let slot = if compiles { self.slot(&views, s.config.tier) } else { None };
        let mut run = Run::new(self, numbers, &views);
        run.eager = EAGER.load(Ordering::Relaxed);
        run.shares =
            self.independent.is_some() && next >= 0 && last.is_some_and(|n| n >= 0) && are_apart(&views, &ir.arrays);
        let (done, stop) = run.rounds((next, step), rounds, slot.as_ref());
        s.counters.rounds_translated += done as u64;
        s.counters.rounds_compiled += run.compiled as u64;
        s.counters.rounds_shared += run.shared as u64;
        drop(stores);
        Ok(Ran { done, stop, compiled: run.compiled > 0 })
    }
}

impl Program {
    /// The place of the machine code for arrays that lie as these do, if there is to be any.
    fn slot(&self, views: &[View], tier: Tier) -> Option<Arc<Slot>> {
        let large = self.ir.code.len() > LARGEST;
        if large || matches!(tier, Tier::Vm | Tier::Interp) || self.doubts.load(Ordering::Relaxed) >= DOUBTS {
            return None;
        }
        let unit = |(view, given): (&View, &Given)| {
            view.strides().last().is_some_and(|&step| step == given.dtype.size() as isize)
        };
        if views.len() > 64 {
            return None;
        }
        let bits = views.iter().zip(&self.ir.arrays).enumerate().map(|(n, pair)| (unit(pair) as u64) << n);
        let units = bits.fold(0, |all, bit| all | bit);
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = compiled.iter().find(|(of, _)| *of == units) {
            return Some(slot.clone());
        }
        if compiled.len() == KINDS {
            return None;
        }
        let mut ir = (*self.ir).clone();
        ir.arrays.iter_mut().enumerate().for_each(|(n, given)| given.unit = units >> n & 1 == 1);
        let slot = crate::tier::compiler()?.get_nest(&Arc::new(ir));
        if matches!(tier, Tier::Compiled) {
            slot.wait();
        }
        compiled.push((units, slot.clone()));
        Some(slot)
    }
}

/// Whether arrays that are written share no memory with others, and no row of theirs with another.
fn are_apart(views: &[View], given: &[Given]) -> bool {
    let span = |n: usize| views[n].span(given[n].dtype.size());
    (0..views.len()).filter(|&n| given[n].written).all(|n| {
        let (low, high) = span(n);
        let others = (0..views.len()).filter(|&k| k != n).map(span);
        let view = &views[n];
        let rows = view.axes > 0 && {
            let row = View::new(view.ptr, &view.shape()[1..], &view.strides()[1..]).span(given[n].dtype.size());
            row.1 - row.0 <= view.strides[0].unsigned_abs() || view.shape[0] < 2
        };
        rows && others.into_iter().all(|(from, to)| to <= low || high <= from)
    })
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
