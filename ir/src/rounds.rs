//! Equal rounds in a kernel's body: `for _ in range(100): z = z * z + c` arrives here as two hundred instructions, and is
//! found again as two of them, run a hundred times.
//!
//! Nothing is known of loops: a correspondence between instructions (`shift`) says which one does in the next round what
//! this one does in its own. Here the correspondence becomes rounds that are equal to the last operand: what a round takes is
//! a value of its own or of the round before, or a value from outside that all rounds share, or a scalar argument whose
//! number goes up evenly. Instructions that fit no round (the first of a loop is often simplified) stay outside. The body means
//! what it meant; who runs it may run the rounds as a loop.

mod shift;
#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use crate::kernel::Op;
use crate::{Body, Inst, Reg};
use shift::Orbit;

/// Instructions that a loop must save; fewer are compiled as they are.
const WORTH_A_LOOP: usize = 100;
/// Rounds of a loop, at least.
const MIN_ROUNDS: usize = 4;

/// What a round takes from outside of it.
#[derive(Clone, PartialEq, Debug)]
pub enum Input {
    /// An instruction outside the loop.
    Same(Reg),
    /// What the round before computed as `next` (an instruction of the round); in the first one an instruction outside.
    Carried { first: Reg, next: Reg },
    /// A scalar argument, another one in each round.
    Scalar { first: u32, step: i64 },
}

pub type Results = Vec<(Reg, Reg)>;

/// A part of a body as a loop.
#[derive(Clone, Debug)]
pub struct Rounds {
    pub count: u32,
    /// One round, whose loads are its inputs. It stores nothing.
    pub body: Body,
    pub inputs: Vec<Input>,
    /// What is used after the loop: the instruction of the round, and the one of the whole body that has its last value.
    pub results: Results,
    /// For each instruction of the whole body, whether the loop runs it.
    pub inside: Vec<bool>,
    /// For each instruction outside the loop, whether it needs the loop's results.
    pub after: Vec<bool>,
}

impl Rounds {
    /// The loop that saves most of a body's instructions, if there is one that is worth it.
    pub fn of(body: &Body) -> Option<Rounds> {
        if body.insts.len() <= WORTH_A_LOOP {
            return None;
        }
        shift::orbits(&body.insts, MIN_ROUNDS, |orbits| assemble(body, orbits))
    }

    /// Instructions that the loop does not write out.
    pub fn saved(&self) -> usize {
        let inside = self.inside.iter().filter(|&&i| i).count();
        inside - inside / self.count as usize
    }

    /// Instructions that are left of a body whose rounds are a loop.
    pub fn rolled(body: &Body) -> usize {
        body.insts.len() - Rounds::of(body).map_or(0, |r| r.saved())
    }
}

/// What an instruction takes, in every round.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Arg {
    Same(Reg),
    /// The orbit's value, of this round or so many rounds before.
    Orbit {
        orbit: usize,
        before: usize,
    },
}

/// The orbits, each with the round of its first instruction.
struct Plan<'a> {
    body: &'a Body,
    orbits: &'a [Orbit],
    start: Vec<usize>,
    /// For each instruction, its orbit and its round.
    place: FxHashMap<Reg, (usize, usize)>,
}

impl Plan<'_> {
    fn at(&self, orbit: usize, round: usize) -> Reg {
        self.orbits[orbit].0[round - self.start[orbit]]
    }

    fn inst(&self, r: Reg) -> &Inst {
        &self.body.insts[r.0 as usize]
    }

    fn args(&self, orbit: usize, round: usize) -> Option<Vec<Arg>> {
        let of = |round: usize| self.inst(self.at(orbit, round)).op.args();
        let arg = |(&r, &before): (&Reg, &Reg)| match self.place.get(&r) {
            Some(&(o, at)) if r != before => {
                (at == round || at + 1 == round).then(|| Arg::Orbit { orbit: o, before: round - at })
            }
            _ => Some(Arg::Same(r)),
        };
        of(round).iter().zip(of(round - 1)).map(arg).collect()
    }
}

fn assemble(body: &Body, orbits: &[Orbit]) -> Option<Rounds> {
    let start = align(&body.insts, orbits)?;
    let first = *start.iter().max()?;
    let end = orbits.iter().zip(&start).map(|(o, s)| o.0.len() + s).min()?;
    if end < first + MIN_ROUNDS {
        return None;
    }
    let place = orbits
        .iter()
        .zip(&start)
        .enumerate()
        .flat_map(|(o, (orbit, s))| orbit.0.iter().enumerate().map(move |(k, &r)| (r, (o, s + k))))
        .collect();
    let plan = Plan { body, orbits, start, place };
    let middle = (first + end) / 2;
    let mut forms = Vec::new();
    for orbit in 0..orbits.len() {
        forms.push(plan.args(orbit, middle)?);
    }
    let steps: Vec<i64> = (0..orbits.len()).map(|o| plan.step(o, middle)).collect();

    // Rounds that are as the middle one is; the first of a loop may take anything for what the others carry.
    let fits = |round: usize, as_first: bool| {
        (0..orbits.len()).all(|o| {
            let found = plan.inst(plan.at(o, round)).op.args();
            let agrees = |(&form, &r): (&Arg, &Reg)| match form {
                Arg::Same(same) => r == same,
                Arg::Orbit { orbit, before: 0 } => r == plan.at(orbit, round),
                Arg::Orbit { orbit, .. } => as_first || round > first && r == plan.at(orbit, round - 1),
            };
            (as_first || plan.step(o, round) == steps[o]) && forms[o].iter().zip(found).all(agrees)
        })
    };
    let mut from = middle;
    while from > first && fits(from, false) {
        from -= 1;
    }
    if !fits(from, true) {
        from += 1;
    }
    let mut to = middle + 1;
    while to < end && fits(to, false) {
        to += 1;
    }
    plan.rounds(&forms, from, to).or_else(|| plan.rounds(&forms, from + 1, to))
}

impl Plan<'_> {
    /// By how much the number of an orbit's scalar argument differs from the round before.
    fn step(&self, orbit: usize, round: usize) -> i64 {
        let number = |round: usize| match self.inst(self.at(orbit, round)).op {
            Op::Scalar(k) => Some(k as i64),
            _ => None,
        };
        match number(round) {
            Some(now) if round > self.start[orbit] => now - number(round - 1).expect("an orbit is of one kind"),
            _ => 0,
        }
    }

    /// The rounds `from..to` as a loop.
    fn rounds(&self, forms: &[Vec<Arg>], from: usize, to: usize) -> Option<Rounds> {
        if to < from + MIN_ROUNDS {
            return None;
        }
        let insts = &self.body.insts;
        let orbits = 0..self.orbits.len();
        let is_leaf = |o: usize| self.inst(self.at(o, from)).op.args().is_empty();
        let mut inside = vec![false; insts.len()];
        for o in orbits.clone().filter(|&o| !is_leaf(o)) {
            (from..to).for_each(|round| inside[self.at(o, round).0 as usize] = true);
        }

        // One round, in the order of the body.
        let mut order: Vec<usize> = orbits.clone().collect();
        order.sort_by_key(|&o| self.at(o, to - 1));
        let mut writer = Writer::default();
        let mut now: Vec<Option<Reg>> = vec![None; self.orbits.len()];
        for &o in &order {
            let inst = self.inst(self.at(o, from));
            if let Op::Scalar(first) = inst.op {
                let step = self.step(o, from + 1);
                now[o] = Some(writer.input(Input::Scalar { first, step }, inst));
            }
        }
        // What the round before left comes first; which of the round's instructions that was is known at the end.
        let mut carried: Vec<(usize, Reg, Reg)> = Vec::new();
        for &o in &order {
            let found = self.inst(self.at(o, from)).op.args();
            for (form, &first) in forms[o].iter().zip(found) {
                let Arg::Orbit { orbit, before: 1 } = *form else { continue };
                match carried.iter().find(|c| c.0 == orbit) {
                    Some(known) if known.1 != first => return None,
                    Some(_) => {}
                    None => {
                        let input = Input::Carried { first, next: Reg(0) };
                        carried.push((orbit, first, writer.input(input, self.inst(first))));
                    }
                }
            }
        }
        for &o in order.iter().filter(|&&o| !is_leaf(o)) {
            let inst = self.inst(self.at(o, from));
            let op = inst.op.with_args(|k, _| match forms[o][k] {
                Arg::Same(r) => writer.same(r, self.inst(r)),
                Arg::Orbit { orbit, before: 0 } => now[orbit].expect("a round's instructions are in order"),
                Arg::Orbit { orbit, .. } => {
                    carried.iter().find(|c| c.0 == orbit).map(|c| c.2).expect("collected before")
                }
            });
            now[o] = Some(writer.push(Inst { op, dtype: inst.dtype }));
        }
        for &(orbit, first, at) in &carried {
            let next = now[orbit].expect("every orbit has an instruction");
            let Op::Load(input) = writer.body.insts[at.0 as usize].op else { unreachable!("inputs are loads") };
            writer.inputs[input as usize] = Input::Carried { first, next };
        }

        let (after, results) = self.around(&inside, &now, to)?;
        let outside = |r: &Reg| !inside[r.0 as usize] && !after[r.0 as usize];
        let ready = writer.inputs.iter().all(|input| match input {
            Input::Same(r) | Input::Carried { first: r, .. } => outside(r),
            Input::Scalar { .. } => true,
        });
        let count = (to - from) as u32;
        let rounds = Rounds { count, body: writer.body, inputs: writer.inputs, results, inside, after };
        (ready && rounds.saved() >= WORTH_A_LOOP).then_some(rounds)
    }

    /// What waits for the loop, and which of its values are used outside: only those of the last round may be.
    fn around(&self, inside: &[bool], now: &[Option<Reg>], to: usize) -> Option<(Vec<bool>, Results)> {
        let mut after = vec![false; inside.len()];
        let mut results = Results::new();
        let mut uses = |r: Reg| {
            let (orbit, round) = self.place[&r];
            let result = (now[orbit].expect("every orbit has an instruction"), r);
            if !results.contains(&result) {
                results.push(result);
            }
            round + 1 == to
        };
        for (k, inst) in self.body.insts.iter().enumerate().filter(|(k, _)| !inside[*k]) {
            for &r in inst.op.args() {
                if inside[r.0 as usize] {
                    if !uses(r) {
                        return None;
                    }
                    after[k] = true;
                }
                after[k] |= after[r.0 as usize];
            }
        }
        let mut stored = self.body.stores.iter().map(|s| s.1).filter(|r| inside[r.0 as usize]);
        stored.all(uses).then_some((after, results))
    }
}

/// Writes a round.
#[derive(Default)]
struct Writer {
    body: Body,
    inputs: Vec<Input>,
    same: FxHashMap<Reg, Reg>,
}

impl Writer {
    fn push(&mut self, inst: Inst) -> Reg {
        self.body.insts.push(inst);
        Reg(self.body.insts.len() as u32 - 1)
    }

    fn input(&mut self, input: Input, of: &Inst) -> Reg {
        self.inputs.push(input);
        self.push(Inst { op: Op::Load(self.inputs.len() as u32 - 1), dtype: of.dtype })
    }

    /// A value that all rounds share. Constants stay constants.
    fn same(&mut self, r: Reg, inst: &Inst) -> Reg {
        if let Some(&known) = self.same.get(&r) {
            return known;
        }
        let at = match inst.op {
            Op::Const(_) => self.push(inst.clone()),
            _ => self.input(Input::Same(r), inst),
        };
        self.same.insert(r, at);
        at
    }
}

/// For each orbit the round of its first instruction, so that a round takes what it or the one before has computed.
fn align(insts: &[Inst], orbits: &[Orbit]) -> Option<Vec<usize>> {
    let place: FxHashMap<Reg, (usize, i64)> = orbits
        .iter()
        .enumerate()
        .flat_map(|(o, orbit)| orbit.0.iter().enumerate().map(move |(k, &r)| (r, (o, k as i64))))
        .collect();
    // (user, operand, places of the user in its orbit after the operand's in its own)
    let mut edges: Vec<(usize, usize, i64)> = Vec::new();
    for (o, orbit) in orbits.iter().enumerate() {
        let at = orbit.0.len() / 2;
        for r in insts[orbit.0[at].0 as usize].op.args() {
            if let Some(&(operand, k)) = place.get(r) {
                edges.push((o, operand, at as i64 - k));
            }
        }
    }
    let mut users: Vec<Vec<(usize, i64)>> = vec![Vec::new(); orbits.len()];
    for &(user, operand, apart) in &edges {
        // Rounds of neighbours, if both are in one round.
        users[user].push((operand, apart));
        users[operand].push((user, -apart));
    }
    let mut start: Vec<Option<i64>> = vec![None; orbits.len()];
    for root in 0..orbits.len() {
        if start[root].is_some() {
            continue;
        }
        start[root] = Some(0);
        let mut open = std::collections::VecDeque::from([root]);
        while let Some(o) = open.pop_front() {
            let own = start[o].expect("set when it was found");
            for &(other, apart) in &users[o] {
                if start[other].is_none() {
                    start[other] = Some(own + apart);
                    open.push_back(other);
                }
            }
        }
    }
    let mut start: Vec<i64> = start.into_iter().map(|s| s.expect("every orbit was visited")).collect();
    for _ in 0..=orbits.len() {
        let mut moved = false;
        for &(user, operand, apart) in &edges {
            let before = apart + start[user] - start[operand];
            if before < 0 {
                start[user] -= before;
            } else if before > 1 {
                start[operand] += before - 1;
            }
            moved |= !(0..=1).contains(&before);
        }
        if !moved {
            carry_less(&edges, &mut start);
            let least = start.iter().min().copied().unwrap_or(0);
            return Some(start.iter().map(|s| (s - least) as usize).collect());
        }
    }
    None
}

/// Moves what is computed for the next round alone into that round, where it takes no more values there than before: `|z|` is
/// compared in the round after the one that computes z, and then it is z that goes from round to round, and nothing else.
fn carry_less(edges: &[(usize, usize, i64)], start: &mut [i64]) {
    let mut carried: Vec<usize> = vec![0; start.len()];
    let before = |start: &[i64], &(user, operand, apart): &(usize, usize, i64)| apart + start[user] - start[operand];
    edges.iter().filter(|e| before(start, e) == 1).for_each(|e| carried[e.1] += 1);
    let mut moved = vec![false; start.len()];
    let mut again = true;
    while again {
        again = false;
        for o in 0..start.len() {
            let of = |e: &&(usize, usize, i64)| e.0 == o || e.1 == o;
            let own = || edges.iter().filter(of);
            let may = own().all(|e| e.0 != e.1 && before(start, e) == (e.1 == o) as i64);
            let more = own().filter(|e| e.0 == o && carried[e.1] == 0).count();
            if moved[o] || carried[o] == 0 || !may || more > 1 {
                continue;
            }
            start[o] += 1;
            carried[o] = 0;
            own().filter(|e| e.0 == o).for_each(|e| carried[e.1] += 1);
            (moved[o], again) = (true, true);
        }
    }
}
