//! A round of a program's loop, recorded once and repeated without the program.
//!
//! Who runs the program (a front end) shows what its variables hold at one point of a round ([`begin`]) and at the same point of
//! the next ([`end`]). If between the two everything was recorded, and the variables are alike (as many arrays, of the same
//! layouts and types, the same of them on one base or with one value), a program that does nothing but array operations
//! records the same in the next round, on what the variables then hold. That is a [`Round`]: its records, with each operand
//! named by the record of the round or by the variables that it comes from.
//!
//! Whether the program does nothing else is for the front end to know.

pub mod asking;
mod length;
pub mod places;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use crate::array::{Array, element};
use crate::base::{State, Version};
use crate::layout::Layout;
use crate::session::{Session, lock};
use crate::shared::Shared;
use crate::trace::{Arg, Op, PackedPerm, Part, Rec, Src, Trace};
use crate::{Config, Result, Store};
use legate_jit_ir::graph::Reduce;
use legate_jit_ir::{DType, Scalar};
use length::Length;

/// What the variables held at the beginning of a round. It goes with the trace, whose values it would keep alive.
pub(crate) struct Seen {
    /// Records of the trace at the time, and their elements.
    at: usize,
    elements: usize,
    /// `Session::apart` at the time.
    apart: u64,
    held: Vec<(Array, Shared<Version>)>,
    /// The addresses of numbers in memory that were looked at since.
    looked: RefCell<SmallVec<[usize; 4]>>,
    /// What has run since, of a round that asks for a value.
    ran: Option<asking::Ran>,
}

impl Seen {
    /// Notes that a record may depend on the number in a store.
    #[cold]
    pub(crate) fn look(&self, store: &Arc<Store>) {
        self.looked.borrow_mut().push(Arc::as_ptr(store) as usize);
    }
}

/// A value: a record of the trace, or the address of a store.
#[derive(Clone, Copy, PartialEq)]
enum Value {
    Node(u32),
    Store(usize),
}

/// Where what a record reads, or what a variable holds after a round, comes from.
#[derive(Clone, Copy, PartialEq, Debug)]
enum From {
    /// A record of the round, by its number in it.
    Local(u32),
    /// The value of this number among those that the variables held before the round.
    Held(u32),
    Number(Scalar),
}

struct Operand {
    from: From,
    /// Of no meaning for numbers.
    layout: Shared<Layout>,
    cast: DType,
    part: Part,
}

struct Step {
    op: Op,
    reduce: Option<Reduce>,
    dtype: DType,
    operands: SmallVec<[Operand; 2]>,
    shape: Shared<Layout>,
    perm: PackedPerm,
    full: Shared<Layout>,
}

/// How a variable shows its base.
#[derive(PartialEq)]
struct Shown {
    /// Number of its value, and of its base, among those of all variables.
    value: u32,
    base: u32,
    layout: u64,
    dtype: DType,
    part: Part,
    writable: bool,
    scalar: bool,
}

/// Several rounds as a trace of their own, which needs no recording again.
struct Whole {
    rounds: usize,
    trace: Trace,
    /// Which value each input is.
    inputs: Vec<u32>,
    /// What the values are after the rounds, with records numbered as in the trace.
    ends: Vec<From>,
    /// The records whose values somebody holds when it runs, in their order.
    outputs: Vec<u32>,
}

/// Traces that are kept of a round: of as many rounds as go into one, and of what is left.
const WHOLES: usize = 2;

/// Layouts of a round's operands in another round.
struct Moved<'a> {
    layouts: &'a [Shared<Layout>],
    /// For each operand of the round which one is its own.
    of: &'a [Option<u32>],
}

impl Moved<'_> {
    fn layout(&self, operand: usize) -> Option<&Shared<Layout>> {
        self.of[operand].map(|n| &self.layouts[n as usize])
    }
}

/// Elements of a round's records, in the mean, from which on it is not repeated: to record them takes next to nothing of what they take
/// themselves, and the program's own traces have their plans.
const LARGE: usize = 1 << 18;

/// A round that can be repeated.
pub struct Round {
    shown: Vec<Shown>,
    steps: Vec<Step>,
    /// Of each value that the variables held before the round, what the same variables hold after it.
    ends: Vec<From>,
    /// After so many rounds each variable has the base again that it had.
    order: usize,
    /// The bases that do not come back.
    replaced: Vec<bool>,
    /// Values that are numbers which the records depend on.
    numbers: SmallVec<[(u32, Number); 2]>,
    wholes: SmallVec<[Whole; WHOLES]>,
    /// Rounds that were left for the last trace when the loop was repeated before.
    rest: usize,
    length: Length,
    /// Rounds that were asked for one at a time in a row.
    runs: u32,
    /// Of a round that asks for a value.
    asks: Option<asking::Asks>,
}

/// Notes what the variables hold now, and has everything recorded until [`end`], or until the trace runs.
pub fn begin(held: &[&Array]) {
    let mut s = lock();
    s.seen = None;
    let of = |a: &&Array| ((*a).clone(), a.base.current.get(&s.token).clone());
    let held: Vec<_> = held.iter().map(of).collect();
    s.inline.pause();
    s.seen = Some(Seen {
        at: s.trace.recs.len(),
        elements: s.trace.elements,
        apart: s.apart(),
        held,
        looked: RefCell::default(),
        ran: None,
    });
}

/// Ends what `begin` has begun: the round between the two, if it can be repeated.
pub fn end(held: &[&Array]) -> Option<Round> {
    let mut s = lock();
    s.inline.resume();
    let seen = s.seen.take()?;
    let round = Round::between(&s, &seen, held);
    drop(s);
    round
}

impl Session {
    /// What happened besides recording: values computed or looked at.
    pub(crate) fn apart(&self) -> u64 {
        let c = &self.counters;
        self.looks + c.inline + c.eager_scalars + c.flushes
    }

    fn value(&self, version: &Shared<Version>) -> Option<Value> {
        match version.state.get(&self.token) {
            State::Pending(n) => Some(Value::Node(*n)),
            State::Store(store) => Some(Value::Store(Arc::as_ptr(store) as usize)),
            State::Failed(_) => None,
        }
    }
}

/// The number of each item among the different ones, in the order in which they come.
fn numbers<T: PartialEq>(items: impl Iterator<Item = T>) -> (Vec<u32>, Vec<T>) {
    let mut different: Vec<T> = Vec::new();
    let number = |item: T| match different.iter().position(|d| *d == item) {
        Some(n) => n as u32,
        None => {
            different.push(item);
            different.len() as u32 - 1
        }
    };
    let all = items.map(number).collect();
    (all, different)
}

/// The bytes of a single element.
type Number = [u8; 16];

/// The element of a value that has one, if it is in memory.
fn number_in(version: &Shared<Version>, s: &Session) -> Option<Number> {
    match version.state.get(&s.token) {
        State::Store(store) if version.full.size == 1 && !store.is_promised() => {
            let mut bytes = [0; 16];
            let element = element::load(store, 0, version.dtype).to_bytes();
            bytes[..element.len()].copy_from_slice(&element);
            Some(bytes)
        }
        _ => None,
    }
}

/// Whether foreign code may see a value, and change it.
fn is_exported(version: &Shared<Version>, s: &Session) -> bool {
    matches!(version.state.get(&s.token), State::Store(store) if store.is_exported())
}

fn address(a: &Array) -> usize {
    &*a.base as *const _ as usize
}

impl Shown {
    fn all(held: &[&Array], values: &[u32], bases: &[u32]) -> Vec<Shown> {
        let shown = |(a, (&value, &base)): (&&Array, (&u32, &u32))| Shown {
            value,
            base,
            layout: a.layout.hash,
            dtype: a.dtype,
            part: a.part,
            writable: a.writable(),
            scalar: a.is_scalar(),
        };
        held.iter().zip(values.iter().zip(bases)).map(shown).collect()
    }
}

/// The numbers that were looked at, which are to be the same in each round, by their places among the values that the variables
/// (`value` says which has which) held before it; `start` finds them there by the addresses of their stores.
fn unchanged(
    s: &Session,
    seen: &Seen,
    value: &[u32],
    ends: &[From],
    start: impl Fn(usize) -> Option<usize>,
) -> Option<SmallVec<[(u32, Number); 2]>> {
    let number = |&address: &usize| {
        let n = start(address)?;
        let number = number_in(&seen.held[value.iter().position(|&v| v as usize == n)?].1, s)?;
        (ends[n] == From::Held(n as u32)).then_some((n as u32, number))
    };
    seen.looked.borrow().iter().map(number).collect()
}

/// The records of a trace from `first` on, where it is known of all their operands what they come from.
fn steps(trace: &Trace, first: usize, from: impl Fn(Value) -> Option<From>) -> Option<Vec<Step>> {
    let step = |(rec, version): (&Rec, &Shared<Version>)| {
        let operand = |arg: &Arg| {
            let from = match arg.src {
                Src::Node(n) => from(Value::Node(n))?,
                Src::Input(n) => from(Value::Store(Arc::as_ptr(&trace.inputs[n as usize]) as usize))?,
                Src::Scalar(_) | Src::Const(_) => From::Number(trace.number(arg.src)?),
            };
            let layout = if matches!(from, From::Number(_)) { rec.shape } else { arg.layout };
            let layout = trace.layouts[layout as usize].clone();
            Some(Operand { from, layout, cast: arg.cast, part: arg.part })
        };
        Some(Step {
            op: rec.op,
            reduce: if let Op::Reduce(n) = rec.op { Some(trace.reduces[n as usize].clone()) } else { None },
            dtype: rec.dtype,
            operands: rec.args().iter().map(operand).collect::<Option<_>>()?,
            shape: trace.layouts[rec.shape as usize].clone(),
            perm: rec.perm,
            full: version.full.clone(),
        })
    };
    trace.recs[first..].iter().zip(&trace.versions[first..]).map(step).collect()
}

impl Round {
    fn between(s: &Session, seen: &Seen, held: &[&Array]) -> Option<Round> {
        let trace = &s.trace;
        let first = seen.at;
        if seen.apart != s.apart() || trace.exported || trace.recs.len() == first || held.len() != seen.held.len() {
            return None;
        }
        if trace.elements - seen.elements > LARGE * (trace.recs.len() - first) {
            return None;
        }
        if held.iter().any(|a| is_exported(a.base.current.get(&s.token), s)) {
            return None;
        }
        let then: Vec<&Array> = seen.held.iter().map(|(a, _)| a).collect();
        let values = seen.held.iter().map(|(_, version)| s.value(version)).collect::<Option<Vec<_>>>()?;
        let (value, starts) = numbers(values.into_iter());
        let (base, bases_then) = numbers(then.iter().map(|a| address(a)));
        let values = held.iter().map(|a| s.value(a.base.current.get(&s.token))).collect::<Option<Vec<_>>>()?;
        let (value_now, ends) = numbers(values.into_iter());
        let (base_now, bases) = numbers(held.iter().map(|a| address(a)));
        let shown = Shown::all(held, &value_now, &base_now);
        if shown != Shown::all(&then, &value, &base) {
            return None;
        }
        let known = |value: Value| starts.iter().position(|s| *s == value).map(|n| From::Held(n as u32));
        let from = |value: Value| match value {
            Value::Node(n) if n as usize >= first => Some(From::Local(n - first as u32)),
            other => known(other),
        };
        let ends = ends.into_iter().map(from).collect::<Option<Vec<From>>>()?;
        let start = |address: usize| starts.iter().position(|s| *s == Value::Store(address));
        let numbers = unchanged(s, seen, &value, &ends, start)?;
        let steps = steps(trace, first, from)?;
        let mut round = Round::of(shown, steps, ends, numbers, (&bases_then, &bases));
        round.length = Length::from(s.known_records);
        Some(round)
    }

    /// A round after which what lay on the first of these bases lies on the second ones.
    fn of(
        shown: Vec<Shown>,
        steps: Vec<Step>,
        ends: Vec<From>,
        numbers: SmallVec<[(u32, Number); 2]>,
        (bases_then, bases): (&[usize], &[usize]),
    ) -> Round {
        let next = |base: &usize| bases_then.iter().position(|then| then == base);
        let next: Vec<Option<usize>> = bases.iter().map(next).collect();
        let circles: Vec<Option<usize>> = (0..next.len()).map(|start| circle(&next, start)).collect();
        let order = circles.iter().flatten().copied().fold(1, lcm);
        let replaced = circles.iter().map(Option::is_none).collect();
        Round {
            shown,
            steps,
            ends,
            order,
            replaced,
            numbers,
            wholes: SmallVec::new(),
            rest: 0,
            length: Length::default(),
            runs: 0,
            asks: None,
        }
    }

    /// Whether the variables hold what the round can be repeated on.
    pub fn fits(&self, held: &[&Array]) -> bool {
        let s = lock();
        if held.len() != self.shown.len() || s.trace.exported {
            return false;
        }
        let versions = held.iter().map(|a| a.base.current.get(&s.token));
        let own = |version: &Shared<Version>| !is_exported(version, &s);
        let values = versions.clone().map(|v| s.value(v).filter(|_| own(v))).collect::<Option<SmallVec<[_; 16]>>>();
        let Some(values) = values else { return false };
        let (value, _) = numbers(values.into_iter());
        let (base, _) = numbers(held.iter().map(|a| address(a)));
        let same = |(n, number): &(u32, Number)| {
            let mut of = value.iter().zip(versions.clone()).filter(|(v, _)| *v == n);
            of.next().is_some_and(|(_, version)| number_in(version, &s) == Some(*number))
        };
        Shown::all(held, &value, &base) == self.shown && self.numbers.iter().all(same)
    }

    /// Takes over what is known of the same loop's round, which was learned before but does not fit.
    pub fn goes_on_from(&mut self, before: Round) {
        if self.steps.len() == before.steps.len() {
            self.length = before.length;
        }
    }

    /// Rounds can be repeated so many at a time.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Whether the base of this variable is another one after a round. It takes the values of its successors, so nobody else may
    /// hold it.
    pub fn replaces(&self, variable: usize) -> bool {
        self.replaced[self.shown[variable].base as usize]
    }

    /// Repeats the round, so many times at most; how often it did, which is a multiple of `order`. The variables hold then what they
    /// would after so many rounds, but that what was replaced is still the same object.
    pub fn repeat(&mut self, held: &[&Array], rounds: usize) -> Result<usize> {
        let mut s = lock();
        let s = &mut *s;
        let most = self.most(&s.config);
        let count = (rounds - rounds % self.order).min(most);
        // What is as long as it was before is a trace of its own, which is known then.
        let alone = count == most || count == self.rest;
        if count < most {
            self.rest = count;
        }
        if alone && !s.trace.is_empty() {
            s.make_room()?;
        }
        let mut values = self.values(s, held)?;
        s.counters.recorded += (count * self.steps.len()) as u64;
        s.counters.rounds_repeated += count as u64;
        if alone && let Some(stores) = in_memory(s, &values) {
            let known = self.wholes.iter().position(|w| w.rounds == count);
            let mut whole = match known {
                Some(n) => self.wholes.remove(n),
                None => self.whole(s, &values, count),
            };
            values = whole.start(&stores, values);
            drop(stores);
            self.hand_over(s, held, &values);
            drop(values);
            let (start, plans) = (Instant::now(), s.counters.plans);
            s.run_kept(&mut whole.trace, &whole.outputs)?;
            if s.counters.plans == plans {
                self.length.ran(count, start.elapsed(), count == most, s.config.max_records);
            }
            whole.reset(s);
            // The one that was not needed for longest goes.
            if self.wholes.len() == WHOLES {
                self.wholes.remove(0);
            }
            self.wholes.push(whole);
            return Ok(count);
        }
        for _ in 0..count {
            values = self.record(s, &values, None);
        }
        self.hand_over(s, held, &values);
        drop(values);
        if alone {
            s.make_room()?
        } else {
            s.after_record()?
        }
        Ok(count)
    }

    /// Rounds that go into one trace.
    fn most(&self, config: &Config) -> usize {
        let most = self.length.records(config.max_records) / self.steps.len();
        (most - most % self.order).max(self.order)
    }

    /// What the variables hold.
    fn values(&self, s: &Session, held: &[&Array]) -> Result<Vec<Shared<Version>>> {
        let mut values: Vec<Shared<Version>> = Vec::new();
        for (a, shown) in held.iter().zip(&self.shown) {
            if shown.value as usize == values.len() {
                let version = a.base.current.get(&s.token);
                if let State::Failed(e) = version.state.get(&s.token) {
                    return Err((**e).clone());
                }
                values.push(version.clone());
            }
        }
        Ok(values)
    }

    /// Gives the variables these values.
    fn hand_over(&self, s: &mut Session, held: &[&Array], values: &[Shared<Version>]) {
        for (a, shown) in held.iter().zip(&self.shown) {
            drop(a.base.current.replace(&mut s.token, values[shown.value as usize].clone()));
        }
    }

    /// So many rounds as a trace, recorded where there is none.
    fn whole(&self, s: &mut Session, values: &[Shared<Version>], rounds: usize) -> Whole {
        let mut after = values.to_vec();
        for _ in 0..rounds {
            after = self.record(s, &after, None);
        }
        let held = |state: &State| match state {
            State::Store(store) => {
                let same =
                    |v: &Shared<Version>| matches!(v.state.get(&s.token), State::Store(s) if Arc::ptr_eq(s, store));
                values.iter().position(same).expect("rounds read what variables held") as u32
            }
            State::Pending(_) | State::Failed(_) => unreachable!("everything was in memory"),
        };
        let end = |version: &Shared<Version>| match version.state.get(&s.token) {
            State::Pending(n) => From::Local(*n),
            state => From::Held(held(state)),
        };
        let ends: Vec<From> = after.iter().map(end).collect();
        // (Of a round that asks for a value, what it asks for.)
        let local = |end: &From| if let From::Local(n) = *end { Some(n) } else { None };
        let of_round = |k: usize| move |asks: &asking::Asks| asks.record() + (k * self.steps.len()) as u32;
        let asked = (0..rounds).flat_map(|k| self.asks.iter().map(of_round(k)));
        let mut outputs: Vec<u32> = ends.iter().filter_map(local).chain(asked).collect();
        outputs.sort_unstable();
        outputs.dedup();
        let inputs = s.trace.inputs.iter().map(|store| held(&State::Store(store.clone()))).collect();
        let mut trace = std::mem::take(&mut s.trace);
        // Notes of the trace that is kept are good for no other.
        s.trace.epoch = trace.epoch;
        s.trace.clear();
        trace.inputs.clear();
        Whole { rounds, trace, inputs, ends, outputs }
    }

    /// Records one round on these values, perhaps at other places; those after it.
    fn record(&self, s: &mut Session, values: &[Shared<Version>], moved: Option<&Moved>) -> Vec<Shared<Version>> {
        let trace = &mut s.trace;
        let first = trace.recs.len();
        let mut operands = 0;
        for step in &self.steps {
            let mut args = [Arg::NONE; 3];
            for (k, (arg, operand)) in args.iter_mut().zip(&step.operands).enumerate() {
                let layout = moved.and_then(|m| m.layout(operands)).unwrap_or(&operand.layout);
                operands += 1;
                *arg = match operand.from {
                    From::Number(value) if step.op.has_exponent(k) => trace.exponent(value),
                    From::Number(value) => trace.scalar(value),
                    From::Held(n) => trace.array(&s.token, &values[n as usize], layout, operand.part, operand.cast),
                    From::Local(n) => Arg {
                        src: Src::Node(first as u32 + n),
                        layout: trace.layout(layout),
                        cast: operand.cast,
                        part: operand.part,
                    },
                };
                arg.cast = operand.cast;
            }
            let op = match &step.reduce {
                Some(reduce) => trace.reduce(reduce.clone()),
                None => step.op,
            };
            let args = &args[..step.operands.len()];
            drop(trace.push(op, step.dtype, args, &step.shape, step.perm, step.full.clone()));
        }
        let after = |end: &From| match *end {
            From::Local(n) => trace.versions[first + n as usize].clone(),
            From::Held(n) => values[n as usize].clone(),
            From::Number(_) => unreachable!("variables hold arrays"),
        };
        self.ends.iter().map(after).collect()
    }
}

impl Whole {
    /// Makes the trace ready to run on these values; those after it.
    fn start(&mut self, stores: &[Arc<Store>], values: Vec<Shared<Version>>) -> Vec<Shared<Version>> {
        self.trace.inputs.extend(self.inputs.iter().map(|&n| stores[n as usize].clone()));
        let after = |end: &From| match *end {
            From::Local(n) => self.trace.versions[n as usize].clone(),
            From::Held(n) => values[n as usize].clone(),
            From::Number(_) => unreachable!("variables hold arrays"),
        };
        self.ends.iter().map(after).collect()
    }

    /// Makes the trace what it was before it ran.
    fn reset(&mut self, s: &Session) {
        self.trace.inputs.clear();
        let pending = |version: &Shared<Version>| matches!(version.state.get(&s.token), State::Pending(_));
        let again = |n: usize, version: &Shared<Version>| {
            Version::new(State::Pending(n as u32), version.full.clone(), version.dtype)
        };
        // What failed took with it all that was pending.
        let failed = |&n: &u32| matches!(self.trace.versions[n as usize].state.get(&s.token), State::Failed(_));
        if self.outputs.iter().any(failed) {
            for (n, version) in self.trace.versions.iter_mut().enumerate().filter(|(_, v)| !pending(v)) {
                *version = again(n, version);
            }
        }
        for &n in &self.outputs {
            let version = &mut self.trace.versions[n as usize];
            if !pending(version) {
                *version = again(n as usize, version);
            }
        }
    }
}

/// The stores of values that are all in memory.
fn in_memory(s: &Session, values: &[Shared<Version>]) -> Option<Vec<Arc<Store>>> {
    let store = |version: &Shared<Version>| match version.state.get(&s.token) {
        State::Store(store) => Some(store.clone()),
        State::Pending(_) | State::Failed(_) => None,
    };
    values.iter().map(store).collect()
}

/// After how many steps one is back at `start`, if ever, where `next` says where each leads.
fn circle(next: &[Option<usize>], start: usize) -> Option<usize> {
    let mut at = start;
    for steps in 1..=next.len() {
        at = next[at]?;
        if at == start {
            return Some(steps);
        }
    }
    None
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}
