//! Rounds of which both ways of every branch are gone, and what they compute is chosen from (if-conversion; Allen, Kennedy, Porterfield
//! & Warren 1983): a branch that nobody can foretell costs more than a few additions that nobody needs.

use legate_jit_ir::nest::Foreseen;

use super::foreseen::element_of;
use super::*;

/// When a way is gone: where all of these branches go these ways, or all of others.
type Condition = BTreeSet<BTreeSet<(usize, bool)>>;

/// What registers have on a way, where that is not what they had when the round began, and what is stored at its end.
#[derive(Clone, Default)]
pub(super) struct Way<'c> {
    pub(super) ints: BTreeMap<u16, V<'c>>,
    pub(super) floats: BTreeMap<u16, V<'c>>,
    stored: Option<V<'c>>,
    /// Whether the way is gone at all, if it is not sure.
    pub(super) gone: Option<V<'c>>,
}

/// Which ways the branches go.
type Truths<'c> = BTreeMap<usize, V<'c>>;

/// For an operation whose second operand may be one that makes no difference: its name, and that one.
fn neutral(op: Op) -> Option<(&'static str, f64)> {
    match op {
        Op::Add => Some(("arith.addf", 0.0)),
        Op::Subtract => Some(("arith.subf", 0.0)),
        Op::Multiply => Some(("arith.mulf", 1.0)),
        _ => None,
    }
}

fn always() -> Condition {
    Condition::from([BTreeSet::new()])
}

fn and(condition: &Condition, branch: (usize, bool)) -> Condition {
    condition.iter().map(|all| all.iter().copied().chain([branch]).collect()).collect()
}

/// One or the other, without branches that go either way.
fn or(x: &Condition, y: &Condition) -> Condition {
    let mut any = x | y;
    loop {
        let found = any.iter().find_map(|all| {
            all.iter().find_map(|&(branch, way)| {
                let mut rest = all.clone();
                rest.remove(&(branch, way));
                let mut other = rest.clone();
                other.insert((branch, !way));
                any.contains(&other).then(|| (all.clone(), other, rest))
            })
        });
        let Some((one, other, rest)) = found else { return any };
        any.remove(&one);
        any.remove(&other);
        any.insert(rest);
    }
}

impl<'c> Nest<'c, '_> {
    /// A round of which all ways are gone.
    pub(super) fn flat_round(&mut self, plan: &Foreseen) {
        let mut truths = Truths::new();
        let mut arrived: BTreeMap<usize, Vec<(Condition, Way<'c>)>> =
            BTreeMap::from([(plan.first, vec![(always(), Way::default())])]);
        let mut ends = Vec::new();
        for &n in &plan.body {
            let ins = self.program.code[n];
            let (condition, mut way) = self.met(arrived.remove(&n).unwrap_or_default(), &truths, plan);
            let mut goes = |to: usize, condition: Condition, way: Way<'c>| {
                arrived.entry(to).or_default().push((condition, way));
            };
            match ins.op {
                Op::Jump => goes(ins.a as usize, condition, way),
                Op::JumpIf | Op::JumpUnless => {
                    let number = way.ints.get(&ins.a).copied().unwrap_or_else(|| self.int(ins.a));
                    let b = self.b;
                    truths.insert(n, b.compare("arith.cmpi", NOT_EQUAL, number, b.int(Elem::I64, 0)));
                    let jumps = ins.op == Op::JumpIf;
                    goes(ins.b as usize, and(&condition, (n, jumps)), way.clone());
                    goes(n + 1, and(&condition, (n, !jumps)), way);
                }
                Op::Again => ends.push((condition, way)),
                _ if ins.op.notes_one() => {
                    self.way.replace(Some(way));
                    let value = self.stored_value(&ins, element_of(ins.op));
                    way = self.way.take().expect("what was put there");
                    way.stored = Some(value);
                    goes(n + 1, condition, way);
                }
                _ => {
                    way.gone = (condition != always()).then(|| self.holds(&condition, &truths));
                    let gone = way.gone;
                    self.way.replace(Some(way));
                    match (gone, neutral(ins.op)) {
                        (Some(gone), Some(neutral)) => self.arithmetic(n, &ins, gone, neutral),
                        _ => drop(self.step(n, &ins)),
                    }
                    way = self.way.take().expect("what was put there");
                    goes(n + 1, condition, way);
                }
            }
        }
        let (_, way) = self.met(ends, &truths, plan);
        way.ints.iter().for_each(|(&r, &value)| self.set_int(r, value));
        way.floats.iter().for_each(|(&r, &value)| self.set_float(r, value));
        if let (Some(value), Some(n)) = (way.stored, stores(self.program, plan)) {
            let item = element_of(self.program.code[n].op);
            let at = self.known_address(n).expect("a store to what is known");
            self.b.effect("llvm.store", &[value, at], &self.memory(item, self.scopes.elements, self.scopes.log));
            self.carry_on(n, item, value);
        }
        let end = self.fast.as_ref().expect("rounds that are built").end;
        self.jump(end);
    }

    /// An operation on floats that may raise one of the processor's exceptions, of which nobody may see one where the way is not gone:
    /// there it is done with a number that makes no difference.
    fn arithmetic(&self, n: usize, ins: &Ins, gone: V<'c>, (name, neutral): (&str, f64)) {
        let b = self.b;
        let with = b.select(gone, self.float(ins.c), b.float(Elem::F64, neutral));
        let value = b.op(name, &[self.float(ins.b), with], Elem::F64);
        self.set_float(ins.a, value);
        if !self.is_used(n, ins.a) {
            self.use_of(value);
        }
    }

    /// Several ways become one.
    fn met(&self, mut ways: Vec<(Condition, Way<'c>)>, truths: &Truths<'c>, plan: &Foreseen) -> (Condition, Way<'c>) {
        let (mut condition, mut met) = ways.pop().expect("a way to every instruction");
        while let Some((other, way)) = ways.pop() {
            let by = self.tells_apart(&other, &condition, truths);
            let choose = |x: V<'c>, y: V<'c>| {
                if x == y { x } else { self.b.select(by, x, y) }
            };
            for &r in way.ints.keys().chain(met.ints.clone().keys()) {
                let of = |way: &Way<'c>| way.ints.get(&r).copied().unwrap_or_else(|| self.int(r));
                let value = choose(of(&way), of(&met));
                met.ints.insert(r, value);
            }
            for &r in way.floats.keys().chain(met.floats.clone().keys()) {
                let of = |way: &Way<'c>| way.floats.get(&r).copied().unwrap_or_else(|| self.float(r));
                let value = choose(of(&way), of(&met));
                met.floats.insert(r, value);
            }
            if way.stored.is_some() || met.stored.is_some() {
                let value = choose(self.to_be_stored(&way, plan), self.to_be_stored(&met, plan));
                met.stored = Some(value);
            }
            condition = or(&condition, &other);
        }
        met.gone = None;
        (condition, met)
    }

    /// What is stored on a way, or is there already.
    fn to_be_stored(&self, way: &Way<'c>, plan: &Foreseen) -> V<'c> {
        way.stored.unwrap_or_else(|| {
            let n = stores(self.program, plan).expect("a store on another way");
            let at = self.known_address(n).expect("a store to what is known");
            self.load_element(element_of(self.program.code[n].op), at)
        })
    }

    /// What is true if the first of two conditions holds that cannot hold both, and not the second. (One truth where that is enough.)
    fn tells_apart(&self, x: &Condition, y: &Condition, truths: &Truths<'c>) -> V<'c> {
        let all = |condition: &Condition, branch| condition.iter().all(|all| all.contains(&branch));
        let branches = || x.iter().flatten().copied();
        let telling = branches().find(|&(branch, way)| all(x, (branch, way)) && all(y, (branch, !way)));
        match telling {
            Some((branch, true)) => truths[&branch],
            Some((branch, false)) => self.not(truths[&branch]),
            None => self.holds(x, truths),
        }
    }

    fn not(&self, truth: V<'c>) -> V<'c> {
        self.b.op("arith.xori", &[truth, self.b.int(Elem::I1, 1)], Elem::I1)
    }

    /// Whether a condition holds.
    fn holds(&self, condition: &Condition, truths: &Truths<'c>) -> V<'c> {
        let b = self.b;
        let literal = |&(branch, way): &(usize, bool)| if way { truths[&branch] } else { self.not(truths[&branch]) };
        let all = |all: &BTreeSet<(usize, bool)>| {
            all.iter().map(literal).reduce(|x, y| self.both(x, y)).unwrap_or_else(|| b.int(Elem::I1, 1))
        };
        let any = condition.iter().map(all).reduce(|x, y| b.op("arith.ori", &[x, y], Elem::I1));
        any.unwrap_or_else(|| b.int(Elem::I1, 0))
    }
}

/// One of the instructions that store.
fn stores(program: &Program, plan: &Foreseen) -> Option<usize> {
    plan.body.iter().copied().find(|&n| program.code[n].op.notes_one())
}
