//! Inner loops of which is known before their first round which elements their rounds use.
//!
//! Where an index follows the round's number by a factor that is known, or stays, the first and the last round say whether all of
//! them are within bounds, and what rounds write can be noted for many of them in one piece. Whoever does so has still to look at
//! shapes; where an index is out of bounds, the rounds are done one by one, and every index is compared when it is used.

use std::collections::{BTreeMap, BTreeSet};

use super::Program;
use super::code::{Ins, Op, Operand};

/// Instructions of a round, at most.
const LONGEST_BODY: usize = 64;
/// How far from the round's number an index may be, how often it may have it, and how large what stays may be, as powers of two.
const NEAR: u32 = 32;
const OFTEN: u32 = 10;
const STAYING: u32 = 60;
/// The round's number itself.
const NUMBER: u32 = 50;
/// How far from an element that every round uses one may be that only some rounds use, so that it is within bounds where that is.
const BESIDE: u64 = 8;
/// Instructions of a round that goes both ways, at most.
const LONGEST_FLAT: usize = 40;

/// An index: so many times the round's number, a number that stays (or its negative), and a constant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Index {
    pub times: i64,
    pub base: Option<(u16, bool)>,
    pub by: i64,
}

/// Elements of a view that stays. Where an index is none, it may be any.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    pub view: u16,
    pub indices: Vec<Option<Index>>,
}

/// A loop with what is known of its rounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreseen {
    /// Where a round begins.
    pub first: usize,
    /// Its instructions, each after all that may come before it; the last ones go back to the loop's head.
    pub body: Vec<usize>,
    /// For instructions that load or store an element of a view that stays where that is.
    pub elements: BTreeMap<usize, Place>,
    /// For those that store what can be noted before: that element, or all along one axis.
    pub noted: BTreeMap<usize, Place>,
    /// Of these elements, the first is the one that the round before has stored to the second, and nothing else is stored. (Where
    /// it is the same one in every round, not all rounds need store to it.)
    pub carried: Option<(Place, Place)>,
    /// Both ways of every branch can be gone, and what they compute be chosen from then.
    pub flat: bool,
}

impl Index {
    /// Whether rounds use different elements by it.
    pub fn follows(&self) -> bool {
        self.times != 0
    }

    fn constant(by: i64) -> Option<Index> {
        Index { by, ..Index::default() }.in_reach()
    }

    fn in_reach(self) -> Option<Index> {
        let fits = self.by.unsigned_abs() < 1 << NEAR && self.times.unsigned_abs() < 1 << OFTEN;
        fits.then_some(self)
    }

    fn negated(self) -> Index {
        Index { times: -self.times, base: self.base.map(|(r, negative)| (r, !negative)), by: -self.by }
    }

    fn plus(self, other: Index) -> Option<Index> {
        let base = match (self.base, other.base) {
            (Some((x, p)), Some((y, q))) => (x == y && p != q).then_some(None)?,
            (x, y) => x.or(y),
        };
        Index { times: self.times + other.times, base, by: self.by + other.by }.in_reach()
    }

    fn multiplied(self, by: i64) -> Option<Index> {
        let Index { times, base, by: own } = self;
        (base.is_none() || by == 1).then_some(())?;
        Index { times: times.checked_mul(by)?, base, by: own.checked_mul(by)? }.in_reach()
    }
}

impl Place {
    /// Whether all its indices are known.
    fn is_known(&self) -> bool {
        self.indices.iter().all(Option::is_some)
    }

    /// Whether it is another one by no more than small constants.
    fn is_beside(&self, other: &Place) -> bool {
        let near = |x: &Option<Index>, y: &Option<Index>| match (x, y) {
            (Some(x), Some(y)) => x.times == y.times && x.base == y.base && x.by.abs_diff(y.by) <= BESIDE,
            _ => false,
        };
        self.view == other.view && self.indices.iter().zip(&other.indices).all(|(x, y)| near(x, y))
    }

    /// Whether it is the element that another place was in the round before, for a step of the round's number.
    fn follows(&self, other: &Place, step: i64) -> bool {
        let next = |x: &Option<Index>, y: &Option<Index>| match (x, y) {
            (Some(x), Some(y)) => x.times == y.times && x.base == y.base && y.by - y.times * step == x.by,
            _ => false,
        };
        self.view == other.view && self.indices.iter().zip(&other.indices).all(|(x, y)| next(x, y))
    }

    /// Whether it is the same element in every round.
    pub fn stays(&self) -> bool {
        self.indices.iter().all(|i| i.is_some_and(|i| !i.follows()))
    }
}

/// What is known of integers that the rounds write.
type Known = BTreeMap<u16, Index>;

struct Rounds<'a> {
    program: &'a Program,
    /// Instructions in an order in which they may come.
    body: Vec<usize>,
    inside: BTreeSet<usize>,
    ends: BTreeSet<usize>,
    written: [BTreeSet<usize>; 3],
    ever_written: [Vec<bool>; 3],
    bits: Vec<u32>,
}

impl Program {
    /// The instruction that is done next, behind jumps.
    pub fn followed(&self, mut n: usize) -> usize {
        while let Ins { op: Op::Jump, a, .. } = self.code[n]
            && a as usize > n
        {
            n = a as usize;
        }
        n
    }

    /// The same behind jumps back, which count.
    fn reached(&self, mut n: usize) -> usize {
        for _ in 0..self.code.len() {
            match self.code[n] {
                Ins { op: Op::Jump | Op::JumpBack, a, .. } => n = a as usize,
                _ => break,
            }
        }
        n
    }

    /// What is known of the rounds of the loop whose head is here, if it has no other loop in it.
    pub fn foreseen(&self, head: usize) -> Option<Foreseen> {
        let Ins { op: Op::NextOfRange, a: range, b: number, .. } = self.code[head] else { return None };
        let first = self.followed(head + 1);
        let bits = self.bits(true);
        if bits[range as usize] > NUMBER {
            return None;
        }
        let rounds = Rounds::new(self, head, first, bits)?;
        let elements = rounds.elements(number, first);
        let (sure, on_every_way) = rounds.sure(&elements, first);
        let near = |place: &Place| place.is_known() && sure.iter().any(|known| place.is_beside(known));
        let known: BTreeMap<usize, Place> =
            elements.iter().filter(|(_, place)| near(place)).map(|(&n, place)| (n, place.clone())).collect();
        let stores = || elements.iter().filter(|&(&n, _)| self.code[n].op.notes_one());
        let along_one = |place: &Place| {
            let others = place.indices.iter().flatten();
            place.indices.iter().filter(|i| i.is_none()).count() == 1 && others.clone().all(|i| !i.follows())
        };
        let can_be = |n: usize, place: &Place| known.contains_key(&n) || along_one(place);
        let noted: BTreeMap<usize, Place> =
            stores().filter(|&(&n, place)| can_be(n, place)).map(|(&n, place)| (n, place.clone())).collect();
        if known.is_empty() && noted.is_empty() {
            return None;
        }
        let step = self.step_of(range);
        let carried = step.and_then(|step| rounds.carried(&known, &sure, step));
        let flat = rounds.is_flat(&known, &on_every_way);
        Some(Foreseen { first, body: rounds.body, elements: known, noted, carried, flat })
    }

    /// By how much a range's numbers go on, where that is always the same.
    fn step_of(&self, range: u16) -> Option<i64> {
        let [ever, ..] = self.written();
        let constant = |r: u16| {
            let constant = self.int_constants.iter().find(|c| c.0 == r as usize)?.1;
            (!ever[r as usize]).then_some(constant)
        };
        let mut steps =
            self.code.iter().filter(|ins| ins.op == Op::StartRange && ins.a == range).map(|ins| constant(ins.d));
        let step = steps.next()??;
        (step.unsigned_abs() < 1 << OFTEN && steps.all(|other| other == Some(step))).then_some(step)
    }
}

impl<'a> Rounds<'a> {
    fn new(program: &'a Program, head: usize, first: usize, bits: Vec<u32>) -> Option<Rounds<'a>> {
        let code = &program.code;
        let Ins { a: range, b: number, c: over, .. } = code[head];
        let over = program.reached(over as usize);
        let is_end = |n: usize| {
            let ins = &code[n];
            let again = ins.op == Op::Again && (ins.a, ins.b) == (range, number);
            again && program.followed(ins.c as usize) == first && program.reached(n + 1) == over
        };
        // All that can come after the head without it, and what of that can come before an end.
        let (mut found, mut todo, mut before) = (BTreeSet::from([first]), vec![first], BTreeMap::<_, Vec<_>>::new());
        let mut ends = BTreeSet::new();
        while let Some(n) = todo.pop() {
            if is_end(n) {
                ends.insert(n);
                continue;
            }
            for next in code[n].next(n).filter(|&next| next != head) {
                before.entry(next).or_default().push(n);
                if found.insert(next) {
                    todo.push(next);
                }
            }
        }
        let (mut inside, mut todo) = (ends.clone(), ends.iter().copied().collect::<Vec<_>>());
        while let Some(n) = todo.pop() {
            todo.extend(before.get(&n).into_iter().flatten().filter(|&&n| inside.insert(n)));
        }
        let loops = |n: &usize| matches!(code[*n].op, Op::StartRange | Op::NextOfRange | Op::JumpBack);
        // (What goes back to the head would find all that is known once more.)
        let others =
            |n: &usize| !ends.contains(n) && (code[*n].op == Op::Again || code[*n].next(*n).any(|next| next == head));
        if !inside.contains(&first) || inside.len() > LONGEST_BODY || inside.iter().any(|n| loops(n) || others(n)) {
            return None;
        }
        let mut written = [const { BTreeSet::new() }; 3];
        for &n in inside.difference(&ends) {
            code[n].writes(|bank, r| {
                written[bank].insert(r);
            });
        }
        if (range as usize..range as usize + 3).any(|r| written[0].contains(&r)) {
            return None;
        }
        written[0].insert(number as usize);
        let mut rounds =
            Rounds { program, body: Vec::new(), inside, ends, written, ever_written: program.written(), bits };
        rounds.body = rounds.in_order(first);
        Some(rounds)
    }

    /// Where a round goes on after an instruction.
    fn next(&self, n: usize) -> impl Iterator<Item = usize> {
        let ends = self.ends.contains(&n);
        self.program.code[n].next(n).filter(move |next| !ends && self.inside.contains(next))
    }

    /// The instructions, each after all that may come before it. (There is no way round: every loop has an instruction that goes back.)
    fn in_order(&self, first: usize) -> Vec<usize> {
        let (mut seen, mut done) = (BTreeSet::new(), Vec::new());
        let mut way = vec![(first, false)];
        while let Some((n, left)) = way.pop() {
            if left {
                done.push(n);
            } else if seen.insert(n) {
                way.push((n, true));
                way.extend(self.next(n).map(|next| (next, false)));
            }
        }
        done.reverse();
        done
    }

    fn index(&self, known: &Known, r: u16) -> Option<Index> {
        if self.written[0].contains(&(r as usize)) {
            return known.get(&r).copied();
        }
        let constant = self.program.int_constants.iter().find(|c| c.0 == r as usize);
        match constant.filter(|_| !self.ever_written[0][r as usize]) {
            Some(&(_, n)) => Index::constant(n),
            None => (self.bits[r as usize] <= STAYING).then_some(Index { base: Some((r, false)), ..Index::default() }),
        }
    }

    /// The elements of views that stay, by what loads or stores them.
    fn elements(&self, number: u16, first: usize) -> BTreeMap<usize, Place> {
        let mut elements = BTreeMap::new();
        let mut before: BTreeMap<usize, Known> =
            BTreeMap::from([(first, Known::from([(number, Index { times: 1, ..Index::default() })]))]);
        for &n in &self.body {
            let mut known = before.remove(&n).unwrap_or_default();
            let ins = &self.program.code[n];
            if ins.op.indices() > 0 && !self.written[2].contains(&(ins.b as usize)) {
                let indices = [ins.c, ins.d][..ins.op.indices()].iter().map(|&r| self.index(&known, r)).collect();
                elements.insert(n, Place { view: ins.b, indices });
            }
            let of = |r| self.index(&known, r);
            let made = match ins.op {
                Op::MoveInt => of(ins.b),
                Op::NegateInt => of(ins.b).map(Index::negated),
                Op::AddInt => of(ins.b).zip(of(ins.c)).and_then(|(x, y)| x.plus(y)),
                Op::SubtractInt => of(ins.b).zip(of(ins.c)).and_then(|(x, y)| x.plus(y.negated())),
                Op::MultiplyInt => of(ins.b).zip(of(ins.c)).and_then(|(x, y)| match (x, y) {
                    (Index { times: 0, base: None, by }, other) | (other, Index { times: 0, base: None, by }) => {
                        other.multiplied(by)
                    }
                    _ => None,
                }),
                _ => None,
            };
            ins.writes(|bank, r| {
                if bank == 0 {
                    known.remove(&(r as u16));
                }
            });
            if let Some(made) = made {
                known.insert(ins.a, made);
            }
            for next in self.next(n) {
                match before.get_mut(&next) {
                    Some(there) => there.retain(|r, index| known.get(r) == Some(index)),
                    None => drop(before.insert(next, known.clone())),
                }
            }
        }
        elements
    }

    /// The elements that every round uses that does not leave the loop, and the instructions that it does.
    fn sure(&self, elements: &BTreeMap<usize, Place>, first: usize) -> (BTreeSet<Place>, BTreeSet<usize>) {
        let mut after: BTreeMap<usize, (BTreeSet<Place>, BTreeSet<usize>)> = BTreeMap::new();
        for &n in self.body.iter().rev() {
            let ways = self.next(n).filter_map(|next| after.get(&next)).cloned();
            let common = ways.reduce(|x, y| (&x.0 & &y.0, &x.1 & &y.1));
            let (mut places, mut instructions) = common.unwrap_or_default();
            places.extend(elements.get(&n).cloned());
            instructions.insert(n);
            after.insert(n, (places, instructions));
        }
        after.remove(&first).unwrap_or_default()
    }

    /// What the round before has stored, where it is all that is stored.
    fn carried(&self, known: &BTreeMap<usize, Place>, sure: &BTreeSet<Place>, step: i64) -> Option<(Place, Place)> {
        let code = &self.program.code;
        let mut stores = self.body.iter().filter(|&&n| writes_memory(&code[n]));
        let to = known.get(stores.next()?)?;
        let always = to.stays() || sure.contains(to);
        if !always || !stores.all(|n| known.get(n) == Some(to)) {
            return None;
        }
        let mut loads = known.iter().filter(|&(&n, _)| !code[n].op.notes_one()).map(|(_, place)| place);
        let from = loads.find(|place| place.follows(to, step))?;
        Some((from.clone(), to.clone()))
    }

    /// Whether both ways of every branch can be gone: they do little with numbers, which all rounds load before they store to one
    /// element.
    fn is_flat(&self, known: &BTreeMap<usize, Place>, on_every_way: &BTreeSet<usize>) -> bool {
        use Op::*;
        let code = &self.program.code;
        let light = |&n: &usize| {
            let ins = &code[n];
            match ins.op {
                MoveInt | AddInt | SubtractInt | MultiplyInt | NegateInt | AbsoluteInt | LessInt | LessEqualInt
                | EqualInt | Not | MoveFloat | Less | LessEqual | Equal | Jump | JumpIf | JumpUnless => true,
                Add | Subtract | Multiply | Negate | Absolute | ToFloat => true,
                Divide | Sqrt | ToInt | Round => on_every_way.contains(&n),
                _ if ins.op.is_element() => known.contains_key(&n),
                _ => self.ends.contains(&n),
            }
        };
        let leaves = |&n: &usize| !self.ends.contains(&n) && code[n].next(n).any(|next| !self.inside.contains(&next));
        let branches = |n: &&usize| matches!(code[**n].op, JumpIf | JumpUnless);
        let stores: BTreeSet<&Place> =
            self.body.iter().filter(|&&n| code[n].op.notes_one()).filter_map(|n| known.get(n)).collect();
        let mut stored = BTreeSet::new();
        let mut loads_after = false;
        for &n in &self.body {
            loads_after |= stored.contains(&n) && code[n].op.is_element() && !code[n].op.notes_one();
            if stored.contains(&n) || code[n].op.notes_one() {
                stored.extend(self.next(n));
            }
        }
        self.body.len() <= LONGEST_FLAT
            && self.body.iter().filter(branches).count() > 0
            && stores.len() <= 1
            && !loads_after
            && self.body.iter().all(light)
            && !self.body.iter().any(leaves)
    }
}

/// Whether an instruction writes to elements, or to memory of its own that a view may name.
fn writes_memory(ins: &Ins) -> bool {
    let has_memory = ins.named().any(|(kind, _)| kind == Operand::Memory);
    has_memory || ins.op.notes_one() || matches!(ins.op, Op::UpdateF64 | Op::UpdateF32 | Op::Assign)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds of an inner loop over `i9`, whose range is `i6`: with a matrix of integers `v0`, two of floats `v1` and `v2`, and vectors of
    /// integers `v3` and of floats `v4`; `i1` to `i3` stay, `i4` is 1, and the rest may be written.
    fn foreseen(body: &[&str]) -> Option<Foreseen> {
        let mut lines =
            vec!["start_range i6 i1 i2 i4".to_string(), format!("next_of_range i6 i9 ->{}", body.len() + 2)];
        lines.extend(body.iter().map(|line| line.to_string()));
        lines.push("end_round".into());
        let code: Vec<String> = lines.iter().enumerate().map(|(n, line)| format!("  {n}: {line}\n")).collect();
        let arrays = "  v0 = i64 2 written\n  v1 = f64 2 written\n  v2 = f64 2\n  v3 = i64 1\n  v4 = f64 1 written\n";
        let text = format!(
            "nest ints 20 floats 9 views 9 memories 1 variable i0 {{\n{arrays}  i4 = 1\n  i5 = 3\n{}}}\n",
            code.concat()
        );
        text.parse::<Program>().unwrap().foreseen(1)
    }

    fn number(by: i64) -> Option<Index> {
        Some(Index { times: 1, base: None, by })
    }

    fn stays(r: u16, by: i64) -> Option<Index> {
        Some(Index { times: 0, base: Some((r, false)), by })
    }

    #[test]
    fn indices_that_follow_the_number_or_stay() {
        let body = [
            "multiply_int i10 i5 i9",
            "subtract_int i10 i10 i4",
            "subtract_int i11 i3 i9",
            "add_int i11 i11 i4",
            "load_f64_2 f1 v1 i10 i11",
            "load_f64_2 f2 v2 i1 i1",
            "store_f64_1 f1 v4 i9",
            "again i6 i9 ->2",
        ];
        let known = foreseen(&body).unwrap();
        let backwards = Index { times: -1, base: Some((3, false)), by: 1 };
        assert_eq!(
            known.elements[&6],
            Place { view: 1, indices: vec![Some(Index { times: 3, base: None, by: -1 }), Some(backwards)] }
        );
        assert!(known.elements[&7].stays());
        assert_eq!(known.noted.keys().collect::<Vec<_>>(), [&8]);
        assert!(!known.flat && known.carried.is_none());
    }

    #[test]
    fn what_differs_by_the_way_is_not_known() {
        let body = |first: &'static str, second: &'static str| {
            ["less i10 f0 f1", "jump_if i10 ->6", first, "jump ->7", second, "load_f64_1 f2 v4 i11", "again i6 i9 ->2"]
        };
        // (The load is at 7; a store has to be there, too, so that anything is foreseen.)
        let known = |first, second| foreseen(&body(first, second)).map(|known| known.elements[&7].indices[0]);
        assert_eq!(known("add_int i11 i9 i4", "add_int i11 i9 i4"), Some(number(1)));
        assert_eq!(known("add_int i11 i9 i4", "add_int i11 i9 i5"), None);
        assert_eq!(known("add_int i11 i9 i4", "move_float f3 f1"), None);
    }

    #[test]
    fn what_only_some_rounds_use_is_beside_what_all_use() {
        let body = |index: &'static str| {
            [
                "load_f64_1 f1 v4 i9",
                "less i10 f0 f1",
                "jump_unless i10 ->7",
                index,
                "load_f64_1 f2 v4 i11",
                "add f3 f3 f2",
                "again i6 i9 ->2",
            ]
        };
        // (After the last instruction comes another end.)
        assert_eq!(foreseen(&body("add_int i11 i9 i4")).unwrap().elements.len(), 2);
        assert_eq!(foreseen(&body("add_int i11 i9 i3")).unwrap().elements.len(), 1);
    }

    /// The longest common subsequence.
    const BOTH_WAYS: [&str; 19] = [
        "load_i64_1 i10 v3 i9",
        "equal_int i10 i10 i3",
        "jump_unless i10 ->11",
        "load_i64_2 i11 v0 i1 i9",
        "add_int i11 i11 i4",
        "add_int i12 i1 i4",
        "add_int i13 i9 i4",
        "store_i64_2 i11 v0 i12 i13",
        "jump ->20",
        "add_int i13 i9 i4",
        "load_i64_2 i14 v0 i1 i13",
        "add_int i12 i1 i4",
        "load_i64_2 i15 v0 i12 i9",
        "move_int i16 i14",
        "less_int i10 i14 i15",
        "jump_unless i10 ->19",
        "move_int i16 i15",
        "store_i64_2 i16 v0 i12 i13",
        "again i6 i9 ->2",
    ];

    #[test]
    fn both_ways_are_gone_and_the_last_element_is_carried() {
        let known = foreseen(&BOTH_WAYS).unwrap();
        assert_eq!(known.elements.len(), 6);
        assert!(known.flat);
        let to = Place { view: 0, indices: vec![stays(1, 1), number(1)] };
        assert_eq!(known.carried, Some((Place { indices: vec![stays(1, 1), number(0)], ..to.clone() }, to)));
        // Not where it is stored to something else, too, or read after that.
        let mut other = BOTH_WAYS;
        other[7] = "store_i64_2 i11 v0 i12 i9";
        let known = foreseen(&other).unwrap();
        assert!(!known.flat && known.carried.is_none());
        let mut later = BOTH_WAYS;
        later[8] = "load_i64_2 i11 v0 i1 i9";
        later[9] = "jump ->20";
        later[2] = "jump_unless i10 ->20";
        assert!(!foreseen(&later).unwrap().flat);
    }

    #[test]
    fn any_element_of_a_row_may_be_written() {
        let body = [
            "to_int i10 f1",
            "load_i64_2 i11 v0 i1 i10",
            "add_int i11 i11 i4",
            "store_i64_2 i11 v0 i1 i10",
            "again i6 i9 ->2",
        ];
        let known = foreseen(&body).unwrap();
        assert!(known.elements.is_empty());
        assert_eq!(known.noted[&5], Place { view: 0, indices: vec![stays(1, 0), None] });
        // Not of rows that differ by the round.
        let body = ["to_int i10 f1", "store_i64_2 i11 v0 i9 i10", "again i6 i9 ->2"];
        assert_eq!(foreseen(&body), None);
    }

    #[test]
    fn a_loop_at_the_end_of_another_ends_where_that_goes_on() {
        // (What leaves it at its head is a jump back that counts, and what leaves it at its end is one that does not.)
        let code = [
            "start_range i10 i1 i2 i4",
            "next_of_range i10 i13 ->8",
            "start_range i6 i1 i2 i4",
            "next_of_range i6 i9 ->7",
            "load_f64_1 f1 v4 i9",
            "again i6 i9 ->4",
            "jump ->1",
            "jump_back ->1",
            "end_round",
        ];
        let code: Vec<String> = code.iter().enumerate().map(|(n, line)| format!("  {n}: {line}\n")).collect();
        let head = "nest ints 20 floats 9 views 9 memories 1 variable i0 {\n  v4 = f64 1\n  i4 = 1\n";
        let program = format!("{head}{}}}\n", code.concat()).parse::<Program>().unwrap();
        assert_eq!(program.foreseen(3).unwrap().body, [4, 5]);
    }

    #[test]
    fn loops_with_others_in_them_are_left_alone() {
        let body = [
            "load_f64_1 f1 v4 i9",
            "start_range i10 i1 i2 i4",
            "next_of_range i10 i13 ->6",
            "again i10 i13 ->5",
            "again i6 i9 ->2",
        ];
        assert_eq!(foreseen(&body), None);
    }
}
