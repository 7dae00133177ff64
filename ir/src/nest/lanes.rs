//! Inner loops whose rounds can be done side by side, in the lanes of vectors.
//!
//! Such a loop goes straight from its head to its end, carries nothing on in registers, and of every array that it writes its rounds
//! use nothing but what lies at their own number along one axis. Whoever does several rounds at once has still to see to it that the
//! arrays lie apart, and that their elements are neighbours along that axis.

use std::collections::{BTreeMap, BTreeSet};

use super::code::{Ins, Op, Operand};
use super::{Item, Program};

/// Instructions of a round, at most.
const LONGEST_BODY: usize = 64;
/// How far from the round's number an index may be.
const NEAR: i64 = 1 << 32;

/// A loop whose rounds may be done side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lanes {
    /// Instructions that do the same in every round or follow its number: to be done once, for the first of some rounds.
    pub once: Vec<usize>,
    /// The others, in their order.
    pub each: Vec<usize>,
    /// What is used of arrays.
    pub uses: Vec<Use>,
    /// The views that have other elements in every round, and which of `uses` they come from.
    pub columns: BTreeMap<u16, usize>,
    /// Registers of integers that follow the number.
    pub counting: BTreeSet<u16>,
    /// Registers of floats that have another number in every round.
    pub various: BTreeSet<u16>,
    /// The update of a row that all rounds update, one after the other, if that is all that they write.
    pub row: Option<usize>,
}

/// A use of what a view has that stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    pub view: u16,
    /// The axis along which it follows the round's number, and how far from that it is. None: every round may use any of it.
    pub along: Option<(usize, i64)>,
    pub written: bool,
}

/// What an integer is.
#[derive(Clone, Copy, PartialEq)]
enum Number {
    Stays,
    Counts(i64),
}

/// What a view is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// The same in every round, of the elements of a view that stays.
    Stays(u16),
    /// Of what this use names.
    Column(usize),
    /// Computed element by element.
    Computed,
}

struct Walk<'a> {
    program: &'a Program,
    written: [BTreeSet<usize>; 3],
    ints: BTreeMap<usize, Number>,
    floats: BTreeMap<usize, bool>,
    views: BTreeMap<usize, Kind>,
    /// Numbers of rounds, and what is near them, are floats as well.
    small: bool,
    lanes: Lanes,
}

impl Program {
    /// The instructions of a round of the loop whose head is here, but for jumps, if it goes straight to its end.
    fn straight(&self, head: usize) -> Option<Vec<usize>> {
        let Ins { op: Op::NextOfRange, a: range, b: number, .. } = self.code[head] else { return None };
        let first = self.followed(head + 1);
        let (mut n, mut body) = (first, Vec::new());
        while body.len() <= LONGEST_BODY {
            let ins = &self.code[n];
            let target = ins.named().any(|(kind, _)| kind == Operand::Target);
            match ins.op {
                Op::Jump => match self.followed(n) {
                    on if on > n => n = on,
                    _ => return None,
                },
                Op::Again if (ins.a, ins.b) == (range, number) && self.followed(ins.c as usize) == first => {
                    return Some(body);
                }
                Op::EndRound | Op::Leave => return None,
                _ if target => return None,
                _ => {
                    body.push(n);
                    n += 1;
                }
            }
        }
        None
    }

    /// The rounds of the loop whose head is here, if they may be done side by side.
    pub fn lanes(&self, head: usize) -> Option<Lanes> {
        let body = self.straight(head)?;
        let Ins { a: range, b: number, .. } = self.code[head];
        let mut written = [const { BTreeSet::new() }; 3];
        let mut twice = false;
        for &n in &body {
            self.code[n].writes(|bank, r| twice |= !written[bank].insert(r));
        }
        let of_loop = (range as usize..range as usize + 3).chain([number as usize]);
        let bits = self.bits(true)[number as usize];
        if twice || of_loop.into_iter().any(|r| written[0].contains(&r)) || bits > 61 {
            return None;
        }
        let mut walk = Walk {
            program: self,
            written,
            ints: BTreeMap::from([(number as usize, Number::Counts(0))]),
            floats: BTreeMap::new(),
            views: BTreeMap::new(),
            small: bits < 52,
            lanes: Lanes::default(),
        };
        for &n in &body {
            // (What a round left for the next one would be read before it is written.)
            let mut fine = true;
            self.reads(&self.code[n], |bank, r| {
                let known = match bank {
                    0 => walk.ints.contains_key(&r),
                    1 => walk.floats.contains_key(&r),
                    _ => walk.views.contains_key(&r),
                };
                fine &= known || !walk.written[bank].contains(&r);
                fine &= bank > 0 || !(range as usize..range as usize + 3).contains(&r);
            });
            if !fine {
                return None;
            }
            walk.instruction(n)?;
        }
        let mut lanes = walk.lanes;
        let counts = |(&r, &kind): (&usize, &Number)| (kind != Number::Stays).then_some(r as u16);
        lanes.counting = walk.ints.iter().filter_map(counts).filter(|&r| r != number).collect();
        lanes.various = walk.floats.iter().filter(|(_, various)| **various).map(|(&r, _)| r as u16).collect();
        let column = |(&r, &kind): (&usize, &Kind)| match kind {
            Kind::Column(of) => Some((r as u16, of)),
            _ => None,
        };
        lanes.columns = walk.views.iter().filter_map(column).collect();
        lanes.are_apart().then_some(lanes)
    }
}

impl Lanes {
    /// Whether of what is written every round uses only what is its own, and something is written. Or all of them update one row and
    /// use nothing else of that array.
    fn are_apart(&self) -> bool {
        let written: Vec<&Use> = self.uses.iter().filter(|u| u.written).collect();
        let of = |w: &Use| {
            let view = w.view;
            self.uses.iter().filter(move |u| u.view == view)
        };
        match self.row {
            None => {
                !written.is_empty() && written.iter().all(|w| of(w).all(|u| u.along.is_some() && u.along == w.along))
            }
            Some(_) => written.len() == 1 && of(written[0]).count() == 1,
        }
    }
}

impl Walk<'_> {
    fn int(&self, r: u16) -> Number {
        self.ints.get(&(r as usize)).copied().unwrap_or(Number::Stays)
    }

    fn stays(&self, r: u16) -> bool {
        self.int(r) == Number::Stays
    }

    fn various(&self, r: u16) -> bool {
        self.floats.get(&(r as usize)).copied().unwrap_or(false)
    }

    fn view(&self, r: u16) -> Kind {
        self.views.get(&(r as usize)).copied().unwrap_or(Kind::Stays(r))
    }

    /// The number that an integer always is.
    fn constant(&self, r: u16) -> Option<i64> {
        let [written, ..] = self.program.written();
        let constant = self.program.int_constants.iter().find(|c| c.0 == r as usize)?.1;
        (!written[r as usize]).then_some(constant)
    }

    /// Notes a use; its number.
    fn used(&mut self, view: u16, along: Option<(usize, i64)>, written: bool) -> usize {
        self.lanes.uses.push(Use { view, along, written });
        self.lanes.uses.len() - 1
    }

    /// Where some indices of a view follow the number: nowhere, or along one axis.
    fn along(&self, indices: &[Option<u16>]) -> Option<Option<(usize, i64)>> {
        let mut found = None;
        for (axis, &r) in indices.iter().enumerate() {
            if let Some(Number::Counts(by)) = r.map(|r| self.int(r)) {
                if found.is_some() {
                    return None;
                }
                found = Some((axis, by));
            }
        }
        Some(found)
    }

    /// What a register has after an instruction, by whether that depends on the round's number.
    fn makes(&mut self, ins: &Ins, various: bool) {
        match ins.named().next().filter(|_| ins.op.writes_first()) {
            Some((Operand::Int, r)) => drop(self.ints.insert(r, Number::Stays)),
            Some((Operand::Float, r)) => drop(self.floats.insert(r, various)),
            _ => {}
        }
    }

    fn instruction(&mut self, n: usize) -> Option<()> {
        use Op::*;
        let ins = &self.program.code[n];
        let various = match ins.op {
            MoveInt | AddInt | SubtractInt => {
                let near = |by: i64| (by.abs() < NEAR).then_some(Number::Counts(by));
                let number = match (ins.op, self.int(ins.b), self.int(ins.c)) {
                    (MoveInt, number, _) => number,
                    (_, Number::Stays, Number::Stays) => Number::Stays,
                    (AddInt, Number::Counts(by), Number::Stays) => near(by.checked_add(self.constant(ins.c)?)?)?,
                    (AddInt, Number::Stays, Number::Counts(by)) => near(by.checked_add(self.constant(ins.b)?)?)?,
                    (SubtractInt, Number::Counts(by), Number::Stays) => near(by.checked_sub(self.constant(ins.c)?)?)?,
                    _ => return None,
                };
                self.ints.insert(ins.a as usize, number);
                self.lanes.once.push(n);
                return Some(());
            }
            MultiplyInt | FloorDivideInt | RemainderInt | LessInt | LessEqualInt | EqualInt => {
                (self.stays(ins.b) && self.stays(ins.c)).then_some(false)?
            }
            NegateInt | AbsoluteInt | Not => self.stays(ins.b).then_some(false)?,
            Length => (self.view(ins.b) == Kind::Stays(ins.b)).then_some(false)?,
            MoveFloat | Negate | Absolute | Sqrt => self.various(ins.b),
            Add | Subtract | Multiply | Divide => self.various(ins.b) || self.various(ins.c),
            Round | Function => (!self.various(ins.b)).then_some(false)?,
            Power | Less | LessEqual | Equal => (!self.various(ins.b) && !self.various(ins.c)).then_some(false)?,
            ToFloat if self.stays(ins.b) => false,
            ToFloat => self.small.then_some(true)?,
            LoadF64At0 | LoadF32At0 | LoadI64At0 | LoadBoolAt0 => match self.view(ins.b) {
                Kind::Column(_) if ins.op == LoadF64At0 => true,
                Kind::Stays(of) => {
                    self.used(of, None, false);
                    false
                }
                _ => return None,
            },
            LoadF64At1 | LoadF64At2 | LoadF32At1 | LoadF32At2 | LoadI64At1 | LoadI64At2 | LoadBoolAt1 | LoadBoolAt2 => {
                let Kind::Stays(of) = self.view(ins.b) else { return None };
                let along = self.along(&[Some(ins.c), Some(ins.d)][..ins.op.indices()])?;
                let apart = along.filter(|_| of == ins.b);
                if along.is_some() && (apart.is_none() || !matches!(ins.op, LoadF64At1 | LoadF64At2)) {
                    return None;
                }
                self.used(of, apart, false);
                along.is_some()
            }
            StoreF64At0 => {
                let Kind::Column(of) = self.view(ins.b) else { return None };
                self.lanes.uses[of].written = true;
                true
            }
            StoreF64At1 | StoreF64At2 => {
                let along = self.along(&[Some(ins.c), Some(ins.d)][..ins.op.indices()])?;
                if along.is_none() || self.view(ins.b) != Kind::Stays(ins.b) {
                    return None;
                }
                self.used(ins.b, along, true);
                true
            }
            Transpose => {
                let Kind::Stays(of) = self.view(ins.b) else { return None };
                self.views.insert(ins.a as usize, Kind::Stays(of));
                false
            }
            Index => self.index(ins)?,
            NumberF64 => {
                self.views.insert(ins.a as usize, Kind::Computed);
                true
            }
            MapF64 => {
                self.row(ins.b);
                self.row(ins.c);
                self.views.insert(ins.a as usize, Kind::Computed);
                true
            }
            UpdateF64 | Assign if ins.op == UpdateF64 || ins.c == 8 => {
                match self.view(ins.a) {
                    Kind::Column(of) => self.lanes.uses[of].written = true,
                    Kind::Stays(of) if ins.op == UpdateF64 && self.lanes.row.is_none() => {
                        self.used(of, None, true);
                        self.lanes.row = Some(n);
                    }
                    // (What an update in place gives is assigned to the row itself.)
                    Kind::Stays(_) if ins.op == Assign && self.are_same(ins.a, ins.b) => return Some(()),
                    _ => return None,
                }
                self.row(ins.b);
                true
            }
            DotF64 => {
                let kinds = [ins.b, ins.c].map(|v| self.view(v));
                if kinds.contains(&Kind::Computed) {
                    return None;
                }
                [ins.b, ins.c].into_iter().for_each(|v| self.row(v));
                kinds.iter().any(|k| matches!(k, Kind::Column(_)))
            }
            _ => return None,
        };
        self.makes(ins, various);
        if various {
            self.lanes.each.push(n)
        } else {
            self.lanes.once.push(n)
        }
        Some(())
    }

    /// Whether two views are surely the same.
    fn are_same(&self, x: u16, y: u16) -> bool {
        let made = |r: u16| {
            let ins = self.program.code.iter().filter(|ins| ins.op == Op::Index && ins.a == r);
            let mut made = ins.map(|ins| (ins.b, &self.program.items[ins.c as usize..][..ins.d as usize]));
            (self.written[2].contains(&(r as usize)), made.next(), made.next().is_some())
        };
        x == y || matches!((made(x), made(y)), ((true, Some(x), false), (true, Some(y), false)) if x == y)
    }

    /// A view is read, element by element.
    fn row(&mut self, v: u16) {
        if let Kind::Stays(of) = self.view(v) {
            self.used(of, None, false);
        }
    }

    /// Whether what some indices select depends on the round's number. (It is done once all the same.)
    fn index(&mut self, ins: &Ins) -> Option<bool> {
        let Kind::Stays(of) = self.view(ins.b) else { return None };
        let mut indices = Vec::new();
        for item in &self.program.items[ins.c as usize..][..ins.d as usize] {
            match *item {
                Item::Int(r) => indices.push(Some(r)),
                Item::Slice(start, stop, _) => {
                    if !start.into_iter().chain(stop).all(|r| self.stays(r)) {
                        return None;
                    }
                    indices.push(None);
                }
                Item::New => {}
            }
        }
        let kind = match self.along(&indices)? {
            None => Kind::Stays(of),
            Some(_) if of != ins.b => return None,
            along => Kind::Column(self.used(of, along, false)),
        };
        self.views.insert(ins.a as usize, kind);
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Given;
    use super::*;
    use crate::DType;

    /// What is known of an inner loop over `i8`, whose range is `i5`, with two matrices `v0` and `v1` and a vector `v2`; `i1` and `f0`
    /// stay, `i3` is 1.
    fn lanes(body: &[(&str, &[u32])], items: Vec<Item>) -> Option<Lanes> {
        let given = |register, axes| Given { register, dtype: DType::F64, axes, written: true, unit: true };
        let mut code = vec![Ins::new("start_range", &[5, 1, 2, 3]).unwrap()];
        let end = body.len() as u32 + 4;
        code.push(Ins::new("next_of_range", &[5, 8, end]).unwrap());
        // (As a front end writes it.)
        code.push(Ins::new("jump", &[3]).unwrap());
        code.extend(body.iter().map(|(name, operands)| Ins::new(name, operands).unwrap()));
        code.push(Ins::new("again", &[5, 8, 2]).unwrap());
        code.push(Ins::new("end_round", &[]).unwrap());
        let program = Program {
            code,
            items,
            ints: 12,
            floats: 6,
            views: 9,
            memories: 2,
            int_constants: vec![(3, 1)],
            arrays: vec![given(0, 2), given(1, 2), given(2, 1)],
            ..Program::default()
        };
        program.check().unwrap();
        program.lanes(1)
    }

    #[test]
    fn elements_of_the_rounds_own_number_are_apart() {
        let load: (&str, &[u32]) = ("load_f64_2", &[1, 0, 1, 8]);
        let add: (&str, &[u32]) = ("add", &[2, 1, 0]);
        let store: (&str, &[u32]) = ("store_f64_1", &[2, 2, 8]);
        let known = lanes(&[load, add, store], vec![]).unwrap();
        assert_eq!((known.once.len(), known.each.len(), known.row), (0, 3, None));
        assert_eq!(known.uses[1], Use { view: 2, along: Some((0, 0)), written: true });
        // Beside the number, by something that stays the same.
        let beside: [(&str, &[u32]); 2] = [("add_int", &[9, 8, 3]), ("store_f64_1", &[2, 2, 9])];
        let known = lanes(&[load, add, beside[0], beside[1]], vec![]).unwrap();
        assert_eq!((known.once.len(), known.uses[1].along), (1, Some((0, 1))));
        // Not what another round has written, what depends on the one before, or another axis as well.
        let before: [(&str, &[u32]); 2] = [("subtract_int", &[9, 8, 3]), ("load_f64_1", &[1, 2, 9])];
        assert_eq!(lanes(&[before[0], before[1], add, store], vec![]), None);
        assert_eq!(lanes(&[load, ("add", &[2, 2, 1]), store], vec![]), None);
        assert_eq!(lanes(&[("load_f64_2", &[1, 0, 8, 8]), add, store], vec![]), None);
        assert_eq!(lanes(&[load, add, ("store_f64_1", &[2, 2, 1])], vec![]), None);
        assert_eq!(lanes(&[load, add], vec![]), None);
        // A number that stays is read once, but not where it may have been written.
        let known = lanes(&[("load_f64_2", &[1, 0, 1, 1]), add, store], vec![]).unwrap();
        assert_eq!((known.once.len(), known.each.len()), (2, 1));
        assert_eq!(lanes(&[("load_f64_1", &[1, 2, 1]), add, store], vec![]), None);
    }

    #[test]
    fn columns_and_rows_that_all_rounds_update() {
        let column = |matrix: u32, r: u16| {
            let items = vec![Item::Slice(None, None, 1), Item::Int(r), Item::Int(1), Item::Slice(None, Some(1), 1)];
            (("index", [4, matrix, 0, 2]), items)
        };
        let ((index, operands), items) = column(0, 8);
        let known = lanes(
            &[(index, &operands), ("number_f64", &[5, 0]), ("map_f64", &[6, 2, 5, 0, 2]), ("update_f64", &[4, 6, 1])],
            items,
        );
        let known = known.unwrap();
        assert_eq!((known.columns.get(&4), known.row), (Some(&0), None));
        // A column that stays is a row of all rounds, which nothing else may use.
        let ((index, operands), items) = column(0, 1);
        let of_rounds: (&str, &[u32]) = ("load_f64_2", &[1, 1, 1, 8]);
        let number: (&str, &[u32]) = ("number_f64", &[5, 1]);
        let body: [(&str, &[u32]); 5] =
            [(index, &operands), of_rounds, number, ("map_f64", &[6, 2, 5, 0, 2]), ("update_f64", &[4, 6, 1])];
        assert_eq!(lanes(&body, items.clone()).unwrap().row, Some(7));
        let of_itself: (&str, &[u32]) = ("load_f64_2", &[1, 0, 1, 8]);
        assert_eq!(lanes(&[body[0], of_itself, number, body[3], body[4]], items.clone()), None);
        // What it gives may be assigned to the same row, but not to another one.
        let same: [(&str, &[u32]); 2] = [("index", &[7, 0, 0, 2]), ("assign", &[7, 4, 8])];
        let other: [(&str, &[u32]); 2] = [("index", &[7, 0, 2, 2]), ("assign", &[7, 4, 8])];
        let with = |more: &[(&'static str, &'static [u32])]| lanes(&[&body[..], more].concat(), items.clone());
        assert_eq!((with(&same).and_then(|known| known.row), with(&other)), (Some(7), None));
    }
}
