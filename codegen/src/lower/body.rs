//! The kernel's body at a vector of points.

use legate_jit_ir::kernel::Op;
use legate_jit_ir::ufunc::emit;
use legate_jit_ir::{DType, Reg, Scalar};

use super::Val;
use super::build::{Build, Elem, V};
use super::course::{Code, Course, Exit, Known};
use super::emitter::{Emitter, OfTwo};
use super::memory::{self, At, Row};
use super::near::Windows;
use super::power::{self, Far};
use super::quotient::Quotients;
use super::rounds::{Unflat, some};
use crate::{Error, Result};

pub struct Body<'c, 'b> {
    pub build: &'b Build<'c, 'b>,
    pub course: &'b Course,
    pub row: &'b Row<'c>,
    /// Where powers are taken to be near: what tells afterwards whether they all were.
    pub far: Option<&'b Far<'c>>,
    /// For each of the vectors, what loads near each other share.
    pub near: &'b [Windows<'c>],
}

/// For each of several vectors, the instructions' values so far.
pub type Values<'c> = Vec<Vec<Option<Val<'c>>>>;

impl<'c, 'b> Body<'c, 'b> {
    pub fn new(build: &'b Build<'c, 'b>, course: &'b Course, row: &'b Row<'c>) -> Body<'c, 'b> {
        Body { build, course, row, far: None, near: &[] }
    }

    /// Runs the body at several vectors: all loads, then each instruction for all of them, then all stores. Chains that wait
    /// for their own results so stand side by side.
    pub fn run(&self, parts: &[At<'c>]) -> Result<()> {
        let kernel = &self.course.kernel;
        let stored = self.values(parts)?;
        for (at, stored) in parts.iter().zip(&stored) {
            for (&(a, _), &value) in kernel.body.stores.iter().zip(stored) {
                self.row.store(self.build, kernel, a, at, value);
            }
        }
        Ok(())
    }

    /// What is to be stored, for each vector.
    pub fn values(&self, parts: &[At<'c>]) -> Result<Vec<Vec<Val<'c>>>> {
        let kernel = &self.course.kernel;
        let insts = &kernel.body.insts;
        let mut values: Values = vec![vec![None; insts.len()]; parts.len()];
        for (k, (at, values)) in parts.iter().zip(&mut values).enumerate() {
            let mut shared = self.row.shared(self.build, kernel, at);
            shared.near = self.near.get(k).cloned().unwrap_or_default();
            for (inst, value) in insts.iter().zip(values) {
                if let Op::Load(a) = inst.op {
                    *value = Some(self.row.load(self.build, kernel, a, at, &shared));
                }
            }
        }
        if let Some(rounds) = &self.course.rounds {
            let after = &rounds.rounds.after;
            self.some_of(&self.course.code, parts, &mut values, |k| !after[k])?;
            self.rounds(rounds, parts, &mut values)?;
        }
        self.rest(parts, 0, &self.course.exits, values)
    }

    /// The instructions from number `from` on. For each vector, what is stored.
    fn rest(&self, parts: &[At<'c>], from: usize, exits: &[Exit], mut values: Values<'c>) -> Result<Vec<Vec<Val<'c>>>> {
        let body = &self.course.kernel.body;
        let end = exits.first().map_or(body.insts.len(), |e| e.condition.0 as usize + 1);
        self.some_of(&self.course.code, parts, &mut values, |k| (from..end).contains(&k))?;
        let value = |values: &[Option<Val<'c>>], r: Reg| values[r.0 as usize].expect("every instruction has run");
        let Some((exit, later)) = exits.split_first() else {
            return Ok(values.iter().map(|v| body.stores.iter().map(|&(_, r)| value(v, r)).collect()).collect());
        };
        let b = self.build;
        let some_go_on = some(b, &values, exit.condition, exit.holds);
        let types: Vec<DType> = body.stores.iter().map(|&(_, r)| body.dtype(r)).collect();
        let mut result = Ok(());
        let chosen = b.if_else(
            some_go_on,
            |inner| {
                let body = Body { build: inner, ..*self };
                let stored = body.rest(parts, end, later, values.clone());
                stored.map(|s| flat(&s)).unwrap_or_else(|e| {
                    result = Err(e);
                    Vec::new()
                })
            },
            |inner| {
                let stored = values.iter().map(|v| {
                    let known = exit.stores.iter().map(|known| match *known {
                        Known::Reg(r) => value(v, r),
                        Known::Const(c) => constant(inner, c),
                    });
                    known.collect()
                });
                flat(&stored.collect::<Vec<_>>())
            },
        );
        result?;
        let mut chosen = Unflat(chosen.iter());
        Ok(parts.iter().map(|_| types.iter().map(|&t| chosen.next(t)).collect()).collect())
    }

    /// All instructions of a code, for each vector.
    pub fn code(&self, code: &Code, parts: &[At<'c>], values: &mut Values<'c>) -> Result<()> {
        self.some_of(code, parts, values, |_| true)
    }

    /// Some of a code's instructions, for each vector; those that are needed and have no value yet.
    fn some_of(
        &self,
        code: &Code,
        parts: &[At<'c>],
        values: &mut Values<'c>,
        which: impl Fn(usize) -> bool,
    ) -> Result<()> {
        // (A loop's rounds may have another divisor each.)
        let quotients = match self.course.rounds {
            None if self.course.reciprocals => Quotients::of(&self.course.kernel, &code.body),
            None | Some(_) => None,
        };
        let powers = power::pays(&code.body);
        for k in (0..code.body.insts.len()).filter(|&k| code.needed[k] && which(k)) {
            if let Some(all) = quotients.as_ref().filter(|_| values.iter().all(|values| values[k].is_none())) {
                let value = |v: usize, r: Reg| values[v][r.0 as usize].expect("operands come first").one();
                let quotients = all.lower(self.build, self.row, k, values.len(), value);
                for (values, quotient) in values.iter_mut().zip(quotients.into_iter().flatten()) {
                    values[k] = Some(Val::One(quotient));
                }
            }
            if let Some(rounded) = code.rounded.get(k).copied().flatten()
                && values.iter().all(|values| values[k].is_none())
            {
                let dividend =
                    |values: &Vec<Option<Val<'c>>>| values[rounded.args()[0].0 as usize].expect("it comes first");
                let dividends: Vec<V<'c>> = values.iter().map(|values| dividend(values).one()).collect();
                let nearest = rounded.lower(self.build, self.row, &code.body, &dividends);
                for (values, nearest) in values.iter_mut().zip(nearest) {
                    values[k] = Some(Val::One(nearest));
                }
            }
            if powers && values.iter().all(|values| values[k].is_none()) {
                let value = |v: usize, r: Reg| values[v][r.0 as usize].expect("operands come first").one();
                let powers = power::lower(self.build, &code.body, k, values.len(), value, self.far);
                for (values, power) in values.iter_mut().zip(powers.into_iter().flatten()) {
                    values[k] = Some(Val::One(power));
                }
            }
            if let [a, b] = &mut values[..]
                && let Some(of_two) = self.of_two(code, k, a, b)
            {
                (a[k], b[k]) = of_two?;
            }
            for (at, values) in parts.iter().zip(&mut *values) {
                if values[k].is_none() {
                    values[k] = Some(self.inst(code, k, values, at)?);
                }
            }
        }
        Ok(())
    }

    fn inst(&self, code: &Code, k: usize, values: &[Option<Val<'c>>], at: &At<'c>) -> Result<Val<'c>> {
        let b = self.build;
        let body = &code.body;
        let inst = &body.insts[k];
        let dtype = inst.dtype;
        let value = |r: Reg| values[r.0 as usize].expect("operands come first");
        Ok(match &inst.op {
            Op::Load(_) => unreachable!("loads come first"),
            Op::Scalar(s) => memory::splat(b, dtype, self.row.scalars[*s as usize]),
            Op::Const(c) => constant(b, *c),
            Op::Index(d) => self.index(*d, at),
            Op::Map(f, args) => {
                if let Some(length) = &code.lengths[k] {
                    return Ok(Val::One(length.lower(b, body.dtype(length.of), value(length.of))));
                }
                let types: Vec<DType> = args.iter().map(|&r| body.dtype(r)).collect();
                let values: Vec<Val> = args.iter().map(|&r| value(r)).collect();
                emit::lower(&mut Emitter::new(*b), *f, &types, &values)
                    .ok_or_else(|| Error::Unsupported(format!("{} of {types:?} has no vector form", f.name())))?
            }
            Op::Cast(r) => emit::cast(&mut Emitter::new(*b), value(*r), body.dtype(*r), dtype),
        })
    }

    /// A call for two vectors at once.
    fn of_two(
        &self,
        code: &Code,
        k: usize,
        a: &[Option<Val<'c>>],
        b: &[Option<Val<'c>>],
    ) -> Option<Result<OfEach<'c>>> {
        let Op::Map(f, args) = &code.body.insts[k].op else { return None };
        if a[k].is_some() || b[k].is_some() || code.lengths[k].is_some() {
            return None;
        }
        let value = |values: &[Option<Val<'c>>], r: Reg| values[r.0 as usize].expect("operands come first");
        let types: Vec<DType> = args.iter().map(|&r| code.body.dtype(r)).collect();
        let values: Vec<emit::Val<[V<'c>; 2]>> = args.iter().map(|&r| join(value(a, r), value(b, r))).collect();
        let result = emit::lower(&mut OfTwo(Emitter::new(*self.build)), *f, &types, &values);
        Some(match result {
            Some(emit::Val::One([x, y])) => Ok((Some(Val::One(x)), Some(Val::One(y)))),
            Some(emit::Val::Pair([xr, yr], [xi, yi])) => Ok((Some(Val::Pair(xr, xi)), Some(Val::Pair(yr, yi)))),
            None => Err(Error::Unsupported(format!("{} of {types:?} has no vector form", f.name()))),
        })
    }

    fn index(&self, d: u32, at: &At<'c>) -> Val<'c> {
        let b = self.build;
        let one = b.with_lanes(1);
        let start = self.row.index[d as usize].expect("a coordinate that is used");
        if d + 1 < self.course.kernel.rank {
            return Val::One(b.splat(Elem::I64, start));
        }
        let first = b.splat(Elem::I64, one.op("arith.addi", &[start, at.i], Elem::I64));
        Val::One(if b.lanes == 1 { first } else { b.op("arith.addi", &[first, b.iota()], Elem::I64) })
    }
}

/// A value of each of two vectors.
type OfEach<'c> = (Option<Val<'c>>, Option<Val<'c>>);

fn join<'c>(a: Val<'c>, b: Val<'c>) -> emit::Val<[V<'c>; 2]> {
    match (a, b) {
        (Val::One(a), Val::One(b)) => emit::Val::One([a, b]),
        _ => {
            let ((ar, ai), (br, bi)) = (a.pair(), b.pair());
            emit::Val::Pair([ar, br], [ai, bi])
        }
    }
}

/// The values of several vectors one behind the other, complex ones as two.
pub fn flat<'c>(values: &[Vec<Val<'c>>]) -> Vec<V<'c>> {
    let parts = |v: &Val<'c>| match *v {
        Val::One(v) => vec![v],
        Val::Pair(re, im) => vec![re, im],
    };
    values.iter().flatten().flat_map(parts).collect()
}

/// A constant in every lane; a complex one's parts.
fn constant<'c>(b: &Build<'c, '_>, c: Scalar) -> Val<'c> {
    match c.dtype {
        DType::C64 => Val::Pair(b.scalar(DType::F32, c.bits[0] & 0xffff_ffff), b.scalar(DType::F32, c.bits[0] >> 32)),
        DType::C128 => Val::Pair(b.scalar(DType::F64, c.bits[0]), b.scalar(DType::F64, c.bits[1])),
        dtype => Val::One(b.scalar(dtype, c.bits[0])),
    }
}
