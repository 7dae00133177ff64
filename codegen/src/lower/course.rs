//! The course that a body takes: the order of its instructions, and the places where it may end early.
//!
//! `x = where(alive, step(x), x)` in round after round leaves every point as it is from the round on in which it is no longer
//! alive: what the next rounds compute from it is what this one has computed. So where the condition fails in all lanes of
//! a vector, the rest of the body may be left out, if all that it stores is known by then. Nothing is assumed about loops: for
//! every condition the rest of the body is simplified under the assumption that it fails (or holds) everywhere, with equal
//! computations being equal values; where this leaves only values that exist, there is an exit.

use std::collections::BTreeMap;

use legate_jit_ir::kernel::Op;
use legate_jit_ir::{Body, DType, Inst, Kernel, Reg, Scalar, Ufunc, cast};

use super::length::Length;
use super::rounded::Rounded;
use super::rounds::Loop;

/// Operations that an exit must save: a branch that is not foreseen takes as long as some of them.
const WORTH_AN_EXIT: usize = 16;
/// Operations between two exits.
const BETWEEN_EXITS: usize = 6;

/// Conditions in a row that lead to no exit, after which no more are tried: each takes time in proportion to the body.
const ATTEMPTS: usize = 16;

/// What is stored where the rest is left out.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Known {
    Reg(Reg),
    Const(Scalar),
}

pub struct Exit {
    /// The condition, and the value that all lanes must have.
    pub condition: Reg,
    pub holds: bool,
    /// For each store of the body, its value.
    pub stores: Vec<Known>,
}

/// Instructions in the order in which they run.
pub struct Code {
    pub body: Body,
    /// For each instruction, whether it is a comparison that can do without its operand.
    pub lengths: Vec<Option<Length>>,
    /// For each instruction, whether it rounds a quotient that is not needed otherwise; empty where that is not asked.
    pub rounded: Vec<Option<Rounded>>,
    /// For each instruction, whether some other one or a store needs it.
    pub needed: Vec<bool>,
}

impl Code {
    /// The code of a body, of which these values are needed.
    pub fn new(body: Body, roots: impl Iterator<Item = Reg>) -> Code {
        Code::with(body, roots, Vec::new())
    }

    fn with(body: Body, roots: impl Iterator<Item = Reg>, rounded: Vec<Option<Rounded>>) -> Code {
        let lengths: Vec<Option<Length>> = body.insts.iter().map(|i| Length::of(&body, &i.op)).collect();
        let mut needed = vec![false; body.insts.len()];
        roots.for_each(|r| needed[r.0 as usize] = true);
        for (k, inst) in body.insts.iter().enumerate().rev() {
            if !needed[k] {
                continue;
            }
            match (&lengths[k], rounded.get(k).copied().flatten()) {
                (Some(length), _) => needed[length.of.0 as usize] = true,
                (None, Some(rounded)) => rounded.args().iter().for_each(|r| needed[r.0 as usize] = true),
                (None, None) => inst.op.args().iter().for_each(|r| needed[r.0 as usize] = true),
            }
        }
        Code { body, lengths, rounded, needed }
    }
}

pub struct Course {
    pub kernel: Kernel,
    /// The kernel's body.
    pub code: Code,
    /// In the order of their conditions.
    pub exits: Vec<Exit>,
    /// A part of the body as a loop; then there are no exits but the loop's own.
    pub rounds: Option<Loop>,
    /// Quotients by a row's number are had by its reciprocal, where that can be.
    pub reciprocals: bool,
}

impl Course {
    /// The course of a kernel where scalar arguments can be asked for by number, or not.
    pub fn of(kernel: &Kernel, numbered: bool) -> Course {
        if let Some(rounds) = Loop::of(kernel, numbered) {
            return Course::with_rounds(kernel, rounds);
        }
        let mut kernel = kernel.clone();
        let body = by_depth(&kernel.body);
        let exits = exits(&body);
        // Without exits the order in which the body came keeps fewer values at a time.
        if !exits.is_empty() {
            kernel.body = body;
        }
        let body = kernel.body.clone();
        let of_exit = |known: &Known| match *known {
            Known::Reg(r) => Some(r),
            Known::Const(_) => None,
        };
        let roots = body.stores.iter().map(|s| s.1);
        let roots: Vec<Reg> = roots.chain(exits.iter().flat_map(|e| &e.stores).filter_map(of_exit)).collect();
        let rounded = Rounded::all(&kernel, &body, &roots);
        Course { code: Code::with(body, roots.into_iter(), rounded), kernel, exits, rounds: None, reciprocals: true }
    }

    fn with_rounds(kernel: &Kernel, rounds: Loop) -> Course {
        let body = kernel.body.clone();
        let inside = &rounds.rounds.inside;
        let roots: Vec<Reg> = body.stores.iter().map(|s| s.1).chain(rounds.needs()).collect();
        let mut code = Code::new(body, roots.into_iter());
        // What the loop runs is needed there and not here, and of what it runs only its results are there afterwards.
        let is_there = |r: Reg| !inside[r.0 as usize] || rounds.rounds.results.iter().any(|result| result.1 == r);
        for (length, (needed, inside)) in code.lengths.iter_mut().zip(code.needed.iter_mut().zip(inside)) {
            *needed &= !inside;
            if length.as_ref().is_some_and(|length| !is_there(length.of)) {
                *length = None;
            }
        }
        Course { kernel: kernel.clone(), code, exits: Vec::new(), rounds: Some(rounds), reciprocals: true }
    }
}

/// The same body, each instruction as soon as what it waits for is there: what hangs on a condition stands behind it and not
/// at the end.
fn by_depth(body: &Body) -> Body {
    let mut depth = vec![0u32; body.insts.len()];
    for (k, inst) in body.insts.iter().enumerate() {
        depth[k] = inst.op.args().iter().map(|r| depth[r.0 as usize] + 1).max().unwrap_or(0);
    }
    let mut order: Vec<usize> = (0..body.insts.len()).collect();
    order.sort_by_key(|&k| depth[k]);
    let mut place = vec![Reg(0); body.insts.len()];
    order.iter().enumerate().for_each(|(at, &k)| place[k] = Reg(at as u32));
    let moved = |r: Reg| place[r.0 as usize];
    let insts = order.iter().map(|&k| {
        let Inst { op, dtype } = &body.insts[k];
        Inst { op: op.with_args(|_, r| moved(r)), dtype: *dtype }
    });
    Body { insts: insts.collect(), stores: body.stores.iter().map(|&(a, r)| (a, moved(r))).collect() }
}

fn exits(body: &Body) -> Vec<Exit> {
    let mut is_condition = vec![false; body.insts.len()];
    for inst in &body.insts {
        if let Op::Map(Ufunc::Where, args) = &inst.op {
            is_condition[args[0].0 as usize] = true;
        }
    }
    let counts = |k: usize| !body.insts[k].op.args().is_empty() as usize;
    let mut left: usize = (0..body.insts.len()).map(counts).sum();
    let mut exits = Vec::new();
    let mut since = BETWEEN_EXITS;
    let mut in_vain = 0;
    for (k, is_condition) in is_condition.into_iter().enumerate() {
        left -= counts(k);
        since += counts(k);
        if !is_condition || since < BETWEEN_EXITS {
            continue;
        }
        if left < WORTH_AN_EXIT || in_vain == ATTEMPTS {
            break;
        }
        let condition = Reg(k as u32);
        let settled = [false, true].iter().find_map(|&holds| Some((holds, settled(body, condition, holds)?)));
        if let Some((holds, stores)) = settled {
            exits.push(Exit { condition, holds, stores });
            (since, in_vain) = (0, 0);
        } else {
            in_vain += 1;
        }
    }
    exits
}

/// What the body stores if the condition has this value, where that is known when the condition is.
fn settled(body: &Body, condition: Reg, holds: bool) -> Option<Vec<Known>> {
    let known = Assumed::all(body, condition, holds);
    let computed = |&(_, r): &(u32, Reg)| {
        let id = known.of[r.0 as usize];
        match known.constant.get(&id) {
            Some(&c) => Some(Known::Const(c)),
            None => (id <= condition).then_some(Known::Reg(id)),
        }
    };
    body.stores.iter().map(computed).collect()
}

/// The body's values under an assumption. Up to the condition a value's name is its instruction; later ones that equal none of
/// these get new names.
pub struct Assumed {
    /// The name of each instruction's value.
    of: Vec<Reg>,
    names: BTreeMap<Inst, Reg>,
    /// For each name, its type.
    types: Vec<DType>,
    constant: BTreeMap<Reg, Scalar>,
}

impl Assumed {
    /// The values of a whole body.
    pub fn all(body: &Body, condition: Reg, holds: bool) -> Assumed {
        let mut known = Assumed::new(body, condition, holds);
        for (k, inst) in body.insts.iter().enumerate().skip(condition.0 as usize + 1) {
            let id = known.value(inst);
            known.of[k] = id;
        }
        known
    }

    /// Whether two instructions have one value.
    pub fn is_same(&self, a: Reg, b: Reg) -> bool {
        self.of[a.0 as usize] == self.of[b.0 as usize]
    }

    fn new(body: &Body, condition: Reg, holds: bool) -> Assumed {
        let mut known = Assumed {
            of: (0..body.insts.len() as u32).map(Reg).collect(),
            names: BTreeMap::new(),
            types: body.insts.iter().map(|i| i.dtype).collect(),
            constant: BTreeMap::new(),
        };
        for (k, inst) in body.insts.iter().enumerate().take(condition.0 as usize + 1) {
            known.names.entry(inst.clone()).or_insert(Reg(k as u32));
            if let Op::Const(c) = inst.op {
                known.constant.insert(Reg(k as u32), c);
            }
        }
        known.constant.insert(condition, Scalar::bool(holds));
        known
    }

    fn constant(&mut self, c: Scalar) -> Reg {
        let id = self.name(Inst { op: Op::Const(c), dtype: c.dtype });
        self.constant.insert(id, c);
        id
    }

    fn name(&mut self, inst: Inst) -> Reg {
        let types = &mut self.types;
        let dtype = inst.dtype;
        *self.names.entry(inst).or_insert_with(|| {
            types.push(dtype);
            Reg(types.len() as u32 - 1)
        })
    }

    fn truth(&self, r: Reg) -> Option<bool> {
        self.constant.get(&r).filter(|c| c.dtype == DType::Bool).map(|c| *c == Scalar::bool(true))
    }

    fn value(&mut self, inst: &Inst) -> Reg {
        if let Op::Const(c) = inst.op {
            return self.constant(c);
        }
        let op = inst.op.with_args(|_, r| self.of[r.0 as usize]);
        let simpler = match &op {
            Op::Map(ufunc, args) => self.simpler(*ufunc, args),
            Op::Cast(arg) => self.constant.get(arg).map(|&c| cast::cast(c, inst.dtype)).map(|c| self.constant(c)),
            _ => None,
        };
        simpler.unwrap_or_else(|| self.name(Inst { op, dtype: inst.dtype }))
    }

    /// A value that the operation equals, bit by bit.
    fn simpler(&mut self, ufunc: Ufunc, args: &[Reg]) -> Option<Reg> {
        // One of two operands has this truth value: that one, and the other.
        let with = |truth: bool| {
            let at = (0..2).find(|&k| self.truth(args[k]) == Some(truth))?;
            Some((args[at], args[1 - at]))
        };
        let other = |(_, other): (Reg, Reg)| (self.types[other.0 as usize] == DType::Bool).then_some(other);
        match ufunc {
            Ufunc::Where if args[1] == args[2] => Some(args[1]),
            Ufunc::Where => self.truth(args[0]).map(|holds| args[if holds { 1 } else { 2 }]),
            Ufunc::LogicalAnd | Ufunc::BitwiseAnd => {
                with(false).map(|(no, _)| no).or_else(|| with(true).and_then(other))
            }
            Ufunc::LogicalOr | Ufunc::BitwiseOr => {
                with(true).map(|(yes, _)| yes).or_else(|| with(false).and_then(other))
            }
            Ufunc::LogicalNot => self.truth(args[0]).map(|holds| self.constant(Scalar::bool(!holds))),
            // Of integers: -0.0 + 0 is another float.
            Ufunc::Add => {
                let is_zero = |r: Reg| self.constant.get(&r).is_some_and(|c| c.dtype.is_integer() && c.bits == [0, 0]);
                (0..2).find(|&k| is_zero(args[k])).map(|k| args[1 - k])
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use legate_jit_ir::{Access, InnerStride};

    fn map(body: &mut Body, ufunc: Ufunc, args: &[Reg], dtype: DType) -> Reg {
        body.push(Op::Map(ufunc, args.iter().copied().collect()), dtype)
    }

    /// x = where(x < 4, next(x), x), twelve times.
    fn exits_of(next: impl Fn(&mut Body, Reg, usize) -> Reg, where_next: bool) -> usize {
        let body = &mut Body::default();
        let mut x = body.push(Op::Load(0), DType::F64);
        let four = body.push(Op::Const(Scalar::f64(4.0)), DType::F64);
        for k in 0..12 {
            let alive = map(body, Ufunc::Less, &[x, four], DType::Bool);
            let step = next(body, x, k);
            let [yes, no] = if where_next { [step, x] } else { [x, step] };
            x = map(body, Ufunc::Where, &[alive, yes, no], DType::F64);
        }
        body.stores.push((1, x));
        let access = |write| Access { dtype: DType::F64, inner: InnerStride::Unit, write };
        let accesses = vec![access(false), access(true)];
        Course::of(&Kernel { rank: 1, accesses, scalars: vec![], body: std::mem::take(body) }, true).exits.len()
    }

    #[test]
    fn rounds_that_settle_have_exits() {
        let square = |body: &mut Body, x, _| {
            let squared = map(body, Ufunc::Multiply, &[x, x], DType::F64);
            map(body, Ufunc::Add, &[squared, x], DType::F64)
        };
        assert!(exits_of(square, true) >= 3);
        assert!(exits_of(square, false) >= 3);
    }

    #[test]
    fn rounds_that_go_on_have_none() {
        // What is not alive changes all the same.
        let body = &mut Body::default();
        let mut x = body.push(Op::Load(0), DType::F64);
        let four = body.push(Op::Const(Scalar::f64(4.0)), DType::F64);
        for _ in 0..12 {
            let alive = map(body, Ufunc::Less, &[x, four], DType::Bool);
            let (more, less) =
                (map(body, Ufunc::Add, &[x, four], DType::F64), map(body, Ufunc::Divide, &[x, four], DType::F64));
            x = map(body, Ufunc::Where, &[alive, more, less], DType::F64);
        }
        body.stores.push((1, x));
        assert!(exits(&by_depth(body)).is_empty());
    }
}
