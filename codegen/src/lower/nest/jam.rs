//! Rounds that all update the same row, `y += a[k] * B[k]`: a vector of the row is updated by several rounds before the next one is.
//!
//! Every element gets what it got before, in the same order; but it is read and written once for several rounds. What a row is updated
//! with may lie along the row or along the rounds, as in `y += a[k] * B[:, k]`, where squares of elements are transposed.

use legate_jit_ir::nest::Lanes;
use legate_jit_ir::nest::code::Map;

use super::lanes::Vectors;
use super::rows::{Leaf, operation};
use super::*;

/// What an element is updated with by one round after the other.
enum Row<'c> {
    /// The round's number, in all lanes.
    Numbers(Vec<V<'c>>),
    /// The elements of a view that begins here in the first of the rounds: how far the next element is, and the next round.
    Column(V<'c>, V<'c>, V<'c>),
    /// The same for all rounds.
    Same(V<'c>),
    Map(Map, Box<Row<'c>>, Box<Row<'c>>),
}

/// A row, and how much of it is left where a vector is not full.
#[derive(Clone, Copy)]
struct Part<'c> {
    /// Where it begins, and whether that many lanes have an element.
    from: V<'c>,
    some: Option<V<'c>>,
    length: V<'c>,
}

impl<'c, 'b> Nest<'c, 'b> {
    /// Whether an update reads nothing but rows, numbers, and rows of rounds.
    pub(super) fn may_jam(&self, plan: &Lanes) -> bool {
        let Some(n) = plan.row else { return false };
        let ins = &self.program.code[n];
        let dots = plan.each.iter().any(|&n| matches!(self.program.code[n].op, Op::DotF64 | Op::LoadF64At0));
        !dots && self.axes(ins.a) == Some(1) && self.flat(plan, n, ins.b)
    }

    /// Does rounds of a loop that all update one row, and goes on with those that are left, of which there is one at least.
    pub(super) fn jam(&mut self, head: usize, plan: &Lanes, n: usize) {
        let Ins { a: range, b: number, .. } = self.program.code[head];
        let lanes = self.vector_bytes / Elem::F64.bytes();
        let single = self.new_block();
        let (first, total) = self.first_round(head, plan, lanes as i64 + 1, single);
        self.in_bounds(plan, first, total, single);
        self.apart(plan, single);
        let rounds = self.elements_of(plan, lanes);
        let ins = self.program.code[n];
        let Seen { ptr, shape, strides } = self.view(ins.a, 0);
        let length = shape[0];
        let along_rounds = self.measured_row(plan, n, (length, strides[0]), single);
        self.note_rows(n, &Leaf { ptr, strides }, &[length], length, Elem::F64, single);

        let (next, some, over) = (self.new_block(), self.new_block(), self.new_block());
        let int = |b: Build<'c, 'b>, n: i64| b.int(Elem::I64, n);
        self.b.store(Elem::I64, int(self.b, 0), self.done);
        self.jump(next);
        self.b.block = next;
        let b = self.b;
        let done = b.load(Elem::I64, self.done);
        let left = b.op("arith.subi", &[total, done], Elem::I64);
        self.jump_if(b.compare("arith.cmpi", GREATER, left, int(b, lanes as i64)), some, over);
        self.b.block = some;
        let mut vectors = Vectors::new(done, None, (1, int(self.b, lanes as i64)));
        self.pay(&rounds, 1);
        for &n in plan.each.iter().filter(|&&m| m != n) {
            self.each(plan, &rounds, &mut vectors, n);
        }
        let mut maps = Vec::new();
        self.maps_within(n, ins.b, &mut maps);
        self.worked((1 + maps.len()) * lanes as usize, length);
        let row = self.row_of_rounds(plan, &vectors, n, ins.b, lanes);
        let update = Map::numbered(ins.c).expect("an operation that `check` accepts");
        let all = |b: &Build<'c, 'b>, turned: bool| {
            let whole = b.op("arith.andi", &[length, b.int(Elem::I64, -(lanes as i64))], Elem::I64);
            let step = b.int(Elem::I64, lanes as i64);
            b.for_each(b.int(Elem::I64, 0), whole, step, |b, from| {
                self.jammed(&b.with_lanes(lanes), &row, update, ptr, Part { from, some: None, length }, turned);
            });
            // (One at most.)
            b.for_each(whole, length, step, |b, from| {
                let wide = b.with_lanes(lanes);
                let left = b.op("arith.subi", &[length, from], Elem::I64);
                let some = Some(wide.compare("arith.cmpi", LESS, wide.iota(), wide.splat(Elem::I64, left)));
                self.jammed(&wide, &row, update, ptr, Part { from, some, length }, turned);
            });
            Vec::new()
        };
        self.b.if_else(along_rounds, |b| all(b, true), |b| all(b, false));
        let b = self.b;
        b.store(Elem::I64, b.op("arith.addi", &[done, int(b, lanes as i64)], Elem::I64), self.done);
        self.jump(next);

        self.b.block = over;
        let b = self.b;
        self.set_int(range, b.op("arith.addi", &[self.int(range), done], Elem::I64));
        self.set_int(range + 2, left);
        self.set_int(number, self.int(range));
        self.jump(single);
        self.b.block = single;
    }

    /// Looks whether what a row of a length is updated with fits it; whether its elements are neighbours along the rounds, where they are
    /// none along the row.
    fn measured_row(
        &mut self,
        plan: &Lanes,
        n: usize,
        (length, stride): (V<'c>, V<'c>),
        single: BlockRef<'c, 'c>,
    ) -> V<'c> {
        let ins = self.program.code[n];
        let int = |b: Build<'c, 'b>, n: i64| b.int(Elem::I64, n);
        let item = int(self.b, Elem::F64.bytes() as i64);
        let few = self.b.op("arith.subi", &[length, int(self.b, 1)], Elem::I64);
        self.go_if(self.b.compare("arith.cmpi", NOT_BELOW, few, int(self.b, LONGEST as i64)), single);
        self.go_if(self.b.compare("arith.cmpi", NOT_EQUAL, stride, item), single);
        let (mut along_row, mut along_rounds) = (int(self.b, 1), int(self.b, 1));
        for v in self.read(n).into_iter().filter(|&v| v != ins.a) {
            let view = self.view(v, 0);
            let Some(&count) = view.shape.first() else { continue };
            self.go_if(self.b.compare("arith.cmpi", NOT_EQUAL, count, length), single);
            let b = self.b;
            let fits = |stride| b.op("arith.extui", &[b.compare("arith.cmpi", EQUAL, stride, item)], Elem::I64);
            match self.next_round(plan, v) {
                Some(step) => {
                    along_row = b.op("arith.andi", &[along_row, fits(view.strides[0])], Elem::I64);
                    along_rounds = b.op("arith.andi", &[along_rounds, fits(step)], Elem::I64);
                }
                None => self.go_if(b.compare("arith.cmpi", NOT_EQUAL, view.strides[0], item), single),
            }
        }
        let b = self.b;
        let either = b.op("arith.ori", &[along_row, along_rounds], Elem::I64);
        self.go_if(b.compare("arith.cmpi", EQUAL, either, int(b, 0)), single);
        let b = self.b;
        b.compare("arith.cmpi", EQUAL, along_row, int(b, 0))
    }

    /// How many bytes a view is further in the next round, if it is elsewhere there.
    fn next_round(&self, plan: &Lanes, v: u16) -> Option<V<'c>> {
        let used = plan.uses[*plan.columns.get(&v)?];
        Some(self.view(used.view, 0).strides[used.along?.0])
    }

    fn row_of_rounds(&self, plan: &Lanes, vectors: &Vectors<'c>, n: usize, r: u16, lanes: u32) -> Row<'c> {
        let b = self.b.with_lanes(lanes);
        if let Some(m) = self.chains.maker(n, r) {
            let ins = &self.program.code[m];
            if ins.op == Op::NumberF64 {
                let numbers = vectors.numbers[&m][0];
                let of = |lane| b.splat(Elem::F64, b.extract(Elem::F64, numbers, lane));
                return Row::Numbers((0..lanes).map(of).collect());
            }
            let map = Map::numbered(ins.e).expect("an operation that `check` accepts");
            let [x, y] = [ins.b, ins.c].map(|r| Box::new(self.row_of_rounds(plan, vectors, m, r, lanes)));
            return Row::Map(map, x, y);
        }
        let view = self.view(r, 0);
        match (self.next_round(plan, r), view.strides.first()) {
            (Some(step), Some(&stride)) => Row::Column(self.stepped(view.ptr, vectors.done, step), stride, step),
            (_, Some(_)) => Row::Same(view.ptr),
            (_, None) => {
                let value = self.load_at(&self.b, Elem::F64, view.ptr);
                Row::Numbers(vec![b.splat(Elem::F64, value); lanes as usize])
            }
        }
    }

    /// A vector of a row, updated by some rounds.
    fn jammed(&self, b: &Build<'c, 'b>, row: &Row<'c>, update: Map, to: V<'c>, part: Part<'c>, turned: bool) {
        let at = b.offset(to, part.from, Elem::F64);
        let mut value = self.neighbours(b, to, part);
        for with in self.by_round(b, row, part, turned) {
            value = b.op(operation(update), &[value, with], Elem::F64);
        }
        match part.some {
            Some(mask) => b.masked_store(Elem::F64, value, at, mask),
            None => {
                b.effect("llvm.store", &[value, at], &self.memory(Elem::F64, self.scopes.elements, self.scopes.log));
            }
        }
    }

    /// Elements of a row that lie one behind the other. Where there are none any more, the last one is taken again.
    fn neighbours(&self, b: &Build<'c, 'b>, ptr: V<'c>, part: Part<'c>) -> V<'c> {
        let at = b.offset(ptr, part.from, Elem::F64);
        let Some(mask) = part.some else { return self.load_at(b, Elem::F64, at) };
        let one = b.with_lanes(1);
        let last = one.op("arith.subi", &[part.length, one.int(Elem::I64, 1)], Elem::I64);
        let last = self.load_at(&one, Elem::F64, one.offset(ptr, last, Elem::F64));
        b.masked_load(Elem::F64, at, mask, b.splat(Elem::F64, last))
    }

    /// What the elements are updated with by each of the rounds.
    fn by_round(&self, b: &Build<'c, 'b>, row: &Row<'c>, part: Part<'c>, turned: bool) -> Vec<V<'c>> {
        let one = b.with_lanes(1);
        let number = |n: u32| one.int(Elem::I64, n as i64);
        match row {
            Row::Numbers(values) => values.clone(),
            Row::Same(ptr) => vec![self.neighbours(b, *ptr, part); b.lanes as usize],
            Row::Column(ptr, _, step) if !turned => {
                let of = |k| {
                    let by = one.op("arith.muli", &[number(k), *step], Elem::I64);
                    self.neighbours(b, one.offset(*ptr, by, Elem::I8), part)
                };
                (0..b.lanes).map(of).collect()
            }
            Row::Column(ptr, stride, _) => {
                let of = |k| {
                    let mut place = one.op("arith.addi", &[part.from, number(k)], Elem::I64);
                    if part.some.is_some() {
                        let last = one.op("arith.subi", &[part.length, number(1)], Elem::I64);
                        place = one.op("arith.minsi", &[place, last], Elem::I64);
                    }
                    let by = one.op("arith.muli", &[place, *stride], Elem::I64);
                    self.load_at(b, Elem::F64, one.offset(*ptr, by, Elem::I8))
                };
                transposed(b, (0..b.lanes).map(of).collect())
            }
            Row::Map(map, x, y) => {
                let (x, y) = (self.by_round(b, x, part, turned), self.by_round(b, y, part, turned));
                x.into_iter().zip(y).map(|(x, y)| b.op(operation(*map), &[x, y], Elem::F64)).collect()
            }
        }
    }
}

/// A square of vectors, transposed (Eklundh 1972).
fn transposed<'c>(b: &Build<'c, '_>, mut square: Vec<V<'c>>) -> Vec<V<'c>> {
    let lanes = b.lanes as usize;
    let mut by = lanes / 2;
    while by > 0 {
        for k in (0..lanes).filter(|k| k & by == 0) {
            let (x, y) = (square[k], square[k + by]);
            let low: Vec<i32> = (0..lanes).map(|l| if l & by == 0 { l } else { l - by + lanes } as i32).collect();
            let high: Vec<i32> = (0..lanes).map(|l| if l & by == 0 { l + by } else { l + lanes } as i32).collect();
            square[k] = b.shuffle(Elem::F64, x, y, &low);
            square[k + by] = b.shuffle(Elem::F64, x, y, &high);
        }
        by /= 2;
    }
    square
}
