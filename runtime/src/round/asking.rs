//! Rounds in which the program asks for a value: `while change > tol`.
//!
//! What such a round records has run by its end, because the program asked. So the records are noted whenever a trace is about to run, and
//! afterwards the stores that their results lie in, by which later records and the variables name them ([`Ran`]). Between
//! [`begin`] and [`end`] the program asks once. A round is repeated as a trace of its own, and counts only if the answer is
//! what it was ([`Round::ask`]): the one with another answer is left to the program, and the variables hold what they held before.
//!
//! That costs memory for all that a round writes twice over, and rounds of large arrays are better worked on ahead, several in one pass
//! over memory (`ahead.rs`). So these are for small ones.

use legate_jit_ir::Ufunc;
use legate_jit_ir::cast::cast;

use super::*;
use crate::array::Operand;
use crate::base::Token;

/// Bytes of the arrays that a round begins with and leaves behind, at most.
const SMALL: usize = 1 << 19;
/// Records of a round, at most: its trace is planned as a whole.
const LONGEST: usize = 4096;
/// Records of several rounds that are asked for at once, at most, and rounds: who asks waits for the plan, and computes for nothing what
/// comes after the loop's last round.
const SHORT_ASKED: usize = 79;
const MOST_ASKED: usize = 16;
/// Rounds one at a time after which several are.
const MANY: u32 = 32;

/// What has run of a round.
#[derive(Default)]
pub(crate) struct Ran {
    steps: Vec<Step>,
    /// How many of them have run.
    noted: usize,
    /// The number of each variable's value among the different ones when the round began, and the first variable that had each.
    value: Vec<u32>,
    firsts: Vec<u32>,
    /// Results that were kept, each with its record.
    results: Vec<(u32, Arc<Store>)>,
    asked: Option<Asks>,
    /// Something happened that cannot be repeated.
    spoiled: bool,
}

impl Ran {
    /// The record of the round that has made what is in a store.
    fn made(&self, store: usize) -> Option<u32> {
        self.results.iter().rev().find(|(_, s)| Arc::as_ptr(s) as usize == store).map(|&(n, _)| n)
    }
}

impl Seen {
    /// Whether the trace may run before the round ends.
    pub(crate) fn may_run(&self) -> bool {
        self.ran.is_some()
    }

    /// The different values that the variables held when the round began, as they are now.
    fn starts(&self, s: &Session) -> Option<Vec<Value>> {
        let ran = self.ran.as_ref()?;
        ran.firsts.iter().map(|&k| s.value(&self.held[k as usize].1)).collect()
    }

    /// Notes the records that are pending, of which those before `at` are not the round's.
    fn note(&mut self, s: &Session) {
        let starts = self.starts(s);
        let at = std::mem::take(&mut self.at);
        let Some(ran) = self.ran.as_mut().filter(|ran| !ran.spoiled) else { return };
        let so_far = ran.steps.len() as u32;
        let held = |value: Value| starts.as_ref()?.iter().position(|s| *s == value).map(|n| From::Held(n as u32));
        let from = |value: Value| match value {
            Value::Node(n) if n as usize >= at => Some(From::Local(so_far + n - at as u32)),
            Value::Node(_) => held(value),
            Value::Store(store) => ran.made(store).map(From::Local).or_else(|| held(value)),
        };
        let fits = !s.trace.exported && ran.steps.len() + s.trace.recs.len() <= LONGEST;
        match steps(&s.trace, at, from).filter(|_| fits) {
            Some(more) => ran.steps.extend(more),
            None => self.spoil(),
        }
    }

    pub(crate) fn before_it_runs(&mut self, s: &Session) {
        self.note(s);
    }

    pub(crate) fn after_it_ran(&mut self, s: &Session) {
        let Some(ran) = self.ran.as_mut().filter(|ran| !ran.spoiled) else { return };
        // (The records before the round's are of no interest.)
        let more = ran.steps.len() - ran.noted;
        let others = s.trace.versions.len() - more;
        for (n, version) in s.trace.versions[others..].iter().enumerate() {
            match version.state.get(&s.token) {
                State::Store(store) if !store.is_promised() => {
                    ran.results.push(((ran.noted + n) as u32, store.clone()))
                }
                State::Pending(_) => {}
                State::Store(_) | State::Failed(_) => return self.spoil(),
            }
        }
        ran.noted = ran.steps.len();
        if ran.results.iter().map(|(_, store)| store.bytes()).sum::<usize>() > SMALL {
            self.spoil();
        }
    }

    /// A trace ran of which nothing was noted.
    pub(crate) fn spoil(&mut self) {
        if let Some(ran) = &mut self.ran {
            *ran = Ran { spoiled: true, ..Ran::default() };
        }
    }
}

/// Notes what the variables hold, and has everything recorded until [`end`]; false where the round would not be one to repeat.
pub fn begin(held: &[&Array]) -> bool {
    let mut s = lock();
    s.seen = None;
    if s.config.plan_only || crate::ranks::active().is_some() {
        return false;
    }
    let of = |a: &&Array| ((*a).clone(), a.base.current.get(&s.token).clone());
    let held: Vec<_> = held.iter().map(of).collect();
    let Some(values) = held.iter().map(|(_, version)| s.value(version)).collect::<Option<Vec<_>>>() else {
        return false;
    };
    let (value, different) = numbers(values.into_iter());
    let first = |n: usize| value.iter().position(|&v| v as usize == n).expect("each is somebody's") as u32;
    let firsts: Vec<u32> = (0..different.len()).map(first).collect();
    let bytes = |&k: &u32| held[k as usize].1.full.size * held[k as usize].1.dtype.size();
    if firsts.iter().map(bytes).sum::<usize>() > SMALL {
        return false;
    }
    s.inline.pause();
    let ran = Some(Ran { value, firsts, ..Ran::default() });
    let (at, elements, apart) = (s.trace.recs.len(), s.trace.elements, s.apart_but_runs());
    s.seen = Some(Seen { at, elements, apart, held, looked: RefCell::default(), ran });
    true
}

/// What a program asks of a number.
#[derive(Clone, Copy)]
pub(super) enum Question {
    IsTrue,
    /// How it compares with another one: in these types, and whether it stands first.
    Compares {
        op: Ufunc,
        ins: [DType; 2],
        other: Scalar,
        first: bool,
    },
}

impl Question {
    fn answer(&self, number: Scalar) -> Option<bool> {
        match *self {
            Question::IsTrue => Some(number.bits[0] != 0),
            Question::Compares { op, ins, other, first } => {
                let operands = if first { [cast(number, ins[0]), other] } else { [other, cast(number, ins[1])] };
                op.eval(&operands).map(|answer| answer.bits[0] != 0)
            }
        }
    }
}

/// What the program asks in a round: the record whose value that is, the question, and the answer in every round but the last.
#[derive(Clone, Copy)]
pub(super) struct Asks {
    record: u32,
    question: Question,
    answer: bool,
}

impl Asks {
    pub(super) fn record(&self) -> u32 {
        self.record
    }
}

/// Notes that the program has asked whether an array is true, and what the answer was.
pub fn is_true(array: &Array, answer: bool) {
    let mut s = lock();
    let s = &mut *s;
    let Some(seen) = &mut s.seen else { return };
    let made = if array.dtype == DType::Bool { seen.made(&s.token, array) } else { None };
    // (It was read from memory.)
    seen.apart += 1;
    seen.ask(made.map(|(record, _)| Asks { record, question: Question::IsTrue, answer }));
}

/// Notes that the program has compared two numbers of which one was pending, and what the answer was.
pub fn compared(op: Ufunc, operands: &[Operand; 2], answer: bool) {
    let mut s = lock();
    let s = &mut *s;
    let Some(seen) = &mut s.seen else { return };
    let made = operands.each_ref().map(|operand| match operand {
        Operand::Array(a) => seen.made(&s.token, a),
        _ => None,
    });
    let (first, (record, store)) = match made {
        [Some(made), None] => (true, made),
        [None, Some(made)] => (false, made),
        _ => return seen.spoil(),
    };
    let signature = crate::ufunc::resolve(op, &operands.each_ref().map(Operand::arg_type)).ok();
    let question = signature.and_then(|signature| {
        let ins = [signature.ins()[0], signature.ins()[1]];
        let (to, other) = if first { (ins[1], &operands[1]) } else { (ins[0], &operands[0]) };
        let other = match other {
            Operand::Array(a) => match a.base.current.get(&s.token).state.get(&s.token) {
                State::Store(store) => cast(a.load(store, a.layout.offset), to),
                State::Pending(_) | State::Failed(_) => return None,
            },
            Operand::Typed(v) => cast(*v, to),
            Operand::Weak(w) => w.value(to).ok()?,
        };
        Some(Question::Compares { op, ins, other, first })
    });
    // (It was looked at, which is what this is about.)
    seen.looked.borrow_mut().retain(|looked| *looked != store);
    seen.ask(question.map(|question| Asks { record, question, answer }));
}

impl Seen {
    /// The record of the round that has made a number, and the address of the store.
    fn made(&self, token: &Token, array: &Array) -> Option<(u32, usize)> {
        let version = array.base.current.get(token);
        let State::Store(store) = version.state.get(token) else { return None };
        if version.full.size != 1 || array.part != Part::Whole {
            return None;
        }
        let store = Arc::as_ptr(store) as usize;
        self.ran.as_ref()?.made(store).map(|n| (n, store))
    }

    fn ask(&mut self, asks: Option<Asks>) {
        match &mut self.ran {
            Some(ran) if ran.asked.is_none() && asks.is_some() => ran.asked = asks,
            _ => self.spoil(),
        }
    }
}

/// Ends what `begin` has begun: the round between the two, if the program asked for one value in it and it can be repeated.
pub fn end(held: &[&Array]) -> Option<Round> {
    let mut s = lock();
    s.inline.resume();
    let seen = s.seen.take()?;
    let round = between(&s, seen, held);
    drop(s);
    round
}

fn between(s: &Session, mut seen: Seen, held: &[&Array]) -> Option<Round> {
    // What has been recorded since the question belongs to the round, too.
    seen.note(s);
    let starts = seen.starts(s)?;
    let ran = seen.ran.take().filter(|ran| !ran.spoiled)?;
    let asks = ran.asked?;
    if s.apart_but_runs() != seen.apart || s.trace.exported || held.len() != seen.held.len() {
        return None;
    }
    if held.iter().any(|a| is_exported(a.base.current.get(&s.token), s)) {
        return None;
    }
    let then: Vec<&Array> = seen.held.iter().map(|(a, _)| a).collect();
    let (base, bases_then) = numbers(then.iter().map(|a| address(a)));
    let values = held.iter().map(|a| s.value(a.base.current.get(&s.token))).collect::<Option<Vec<_>>>()?;
    let (value_now, ends) = numbers(values.into_iter());
    let (base_now, bases) = numbers(held.iter().map(|a| address(a)));
    let shown = Shown::all(held, &value_now, &base_now);
    if shown != Shown::all(&then, &ran.value, &base) {
        return None;
    }
    let start = |value: Value| starts.iter().position(|s| *s == value);
    let end = |value: Value| match value {
        Value::Node(n) => Some(From::Local(ran.noted as u32 + n)),
        Value::Store(store) => ran.made(store).map(From::Local).or_else(|| start(value).map(|n| From::Held(n as u32))),
    };
    let ends = ends.into_iter().map(end).collect::<Option<Vec<From>>>()?;
    let numbers = unchanged(s, &seen, &ran.value, &ends, |address| start(Value::Store(address)))?;
    Some(Round { asks: Some(asks), ..Round::of(shown, ran.steps, ends, numbers, (&bases_then, &bases)) })
}

impl Session {
    /// What happened besides recording and running what was recorded.
    fn apart_but_runs(&self) -> u64 {
        self.apart() - self.counters.flushes
    }
}

impl Round {
    /// Repeats a round that asks for a value, `most` times at most, which is a multiple of [`order`](Self::order); how often it did, and
    /// whether it goes on. It does not where a round gave another answer, or did not come to an end: that one has not happened.
    ///
    /// Where many rounds have gone well, several are computed as one trace. If one of them gave another answer, what they have
    /// computed is dropped, and those before it are done again.
    pub fn ask(&mut self, held: &[&Array], most: usize) -> Result<(usize, bool)> {
        let mut s = lock();
        let s = &mut *s;
        if !s.trace.is_empty() {
            s.make_room()?;
        }
        // These references keep the memory from being written over.
        let mut values = self.values(s, held)?;
        let several = self.several();
        let tried = several <= most && several > self.order;
        if tried && let Some(after) = self.answered(s, &values, several)? {
            self.asked(s, held, &after, several);
            return Ok((several, true));
        }
        if tried {
            self.runs = 0;
        }
        let mut done = 0;
        while done < most {
            let mut after = values.clone();
            for _ in 0..self.order {
                match self.answered(s, &after, 1)? {
                    Some(next) => after = next,
                    None => return Ok((done, false)),
                }
            }
            self.asked(s, held, &after, self.order);
            (values, done, self.runs) = (after, done + self.order, self.runs + 1);
            if !tried {
                break;
            }
        }
        Ok((done, true))
    }

    /// Rounds that may be asked for at once.
    pub fn several(&self) -> usize {
        let several = if self.runs < MANY { 1 } else { (SHORT_ASKED / self.steps.len()).min(MOST_ASKED) };
        (several - several % self.order).max(self.order)
    }

    /// The values after so many rounds, if the answer was the same in each.
    fn answered(
        &mut self,
        s: &mut Session,
        values: &[Shared<Version>],
        rounds: usize,
    ) -> Result<Option<Vec<Shared<Version>>>> {
        let Some(Asks { record, question, answer }) = self.asks else { return Ok(None) };
        let Some(stores) = in_memory(s, values) else { return Ok(None) };
        let mut whole = match self.wholes.iter().position(|whole| whole.rounds == rounds) {
            Some(n) => self.wholes.remove(n),
            None => self.whole(s, values, rounds),
        };
        let after = whole.start(&stores, values.to_vec());
        drop(stores);
        let numbers = (0..rounds).map(|k| record as usize + k * self.steps.len());
        let asked: SmallVec<[_; MOST_ASKED]> = numbers.map(|n| whole.trace.versions[n].clone()).collect();
        let result = s.run_alone(&mut whole.trace, &whole.outputs);
        let is_same = |asked: &Shared<Version>| match asked.state.get(&s.token) {
            State::Store(store) => question.answer(element::load(store, 0, asked.dtype)) == Some(answer),
            State::Pending(_) | State::Failed(_) => false,
        };
        let same = asked.iter().all(is_same);
        drop(asked);
        whole.reset(s);
        if self.wholes.len() == WHOLES {
            self.wholes.remove(0);
        }
        self.wholes.push(whole);
        result?;
        Ok(same.then_some(after))
    }

    fn asked(&self, s: &mut Session, held: &[&Array], values: &[Shared<Version>], rounds: usize) {
        self.hand_over(s, held, values);
        s.counters.recorded += (rounds * self.steps.len()) as u64;
        s.counters.rounds_repeated += rounds as u64;
    }
}
