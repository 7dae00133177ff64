//! Rounds of an inner loop side by side, in the lanes of vectors (`ir::nest::Lanes`).
//!
//! What all rounds have in common is done before the first. Then it is looked at whether the arrays lie as they have to: neighbours
//! along the axis of the loop's number, apart from each other, all indices within bounds. If not, the rounds are done one by one.
//! A last vector that has not all rounds has the first of them in its other lanes, so that these raise no exceptions of their own.

use legate_jit_ir::nest::code::Map;
use legate_jit_ir::nest::{GAPS, Lanes, OLD_ROW, ROWS};

use super::chains::sources;
use super::rows::{Leaf, operation};
use super::*;

/// Bytes of what follows a row in the log, and of what may be written behind it before.
const AROUND_ROW: i64 = 2 * size_of::<Old>() as i64 + 64;
/// Lanes for which it is worth it.
const FEWEST: u32 = 4;
/// Vectors of rounds that are done together where all elements of columns are gone through, and else: of lines that the rounds begin
/// and end within, fewer are read twice so.
const TOGETHER_ALONG_COLUMNS: u32 = 4;
const TOGETHER: u32 = 2;

/// The rounds of a loop, while they are done.
pub(super) struct Rounds<'c> {
    /// Lanes of a vector.
    lanes: u32,
    /// For instructions that load or store an element, where that of the first round is.
    elements: BTreeMap<usize, V<'c>>,
    /// The views of the first round.
    columns: BTreeMap<u16, Seen<'c>>,
    /// For instructions on several elements, how many they are.
    lengths: BTreeMap<usize, V<'c>>,
    /// For instructions that write columns, whether all of them have been noted.
    again: BTreeMap<usize, V<'c>>,
    /// Bytes of rows that a vector of rounds notes.
    noted: V<'c>,
}

/// Some rounds, in vectors one behind the other.
pub(super) struct Vectors<'c> {
    /// Rounds that came before.
    pub(super) done: V<'c>,
    /// The lanes of the one vector that have a round, if not all have.
    some: Option<V<'c>>,
    /// How many vectors there are, and how many rounds each has.
    parts: u32,
    count: V<'c>,
    floats: BTreeMap<u16, Vec<V<'c>>>,
    /// Numbers that are seen as views, by the instruction.
    pub(super) numbers: BTreeMap<usize, Vec<V<'c>>>,
}

/// An element of a view in each lane, or the same one.
enum Row<'c> {
    Number(Vec<V<'c>>),
    Column(V<'c>, V<'c>),
    Same(V<'c>, Option<V<'c>>),
    Map(Map, Box<Row<'c>>, Box<Row<'c>>),
}

impl<'c, 'b> Nest<'c, 'b> {
    /// What may be done side by side of the loop whose head is here.
    pub(super) fn side_by_side(&self, head: usize) -> Option<Lanes> {
        let code = &self.program.code;
        let lanes = self.program.lanes(head).filter(|_| self.vector_bytes / Elem::F64.bytes() >= FEWEST)?;
        let axes =
            lanes.uses.iter().map(|u| u.view).chain(lanes.columns.keys().copied()).all(|v| self.axes(v).is_some());
        let put_off = |&n: &usize| !matches!(code[n].op, Op::MapF64 | Op::NumberF64) || self.chains.is_put_off(n);
        let rows = |&n: &usize| match code[n].op {
            Op::UpdateF64 | Op::Assign => self.axes(code[n].a) == Some(1) && self.flat(&lanes, n, code[n].b),
            Op::DotF64 => [code[n].b, code[n].c].iter().all(|&v| self.axes(v) == Some(1)),
            Op::LoadF64At0 | Op::StoreF64At0 => self.axes(code[n].b) == Some(0),
            _ => true,
        };
        let fits = lanes.row.is_some() && self.may_jam(&lanes) || lanes.row.is_none() && lanes.each.iter().all(rows);
        (axes && fits && lanes.each.iter().all(put_off)).then_some(lanes)
    }

    /// Whether what an operation on rows reads has one axis at most.
    pub(super) fn flat(&self, lanes: &Lanes, n: usize, r: u16) -> bool {
        match self.chains.maker(n, r) {
            Some(m) => sources(&self.program.code[m]).iter().all(|&r| self.flat(lanes, m, r)),
            None => self.axes(r) == Some(1) || self.axes(r) == Some(0) && !lanes.columns.contains_key(&r),
        }
    }

    /// Does all rounds of a loop that has some and goes on with `end`, or goes on here where it cannot.
    pub(super) fn in_lanes(&mut self, head: usize, plan: &Lanes, end: BlockRef<'c, 'c>) {
        let Ins { a: range, b: number, .. } = self.program.code[head];
        let lanes = self.vector_bytes / Elem::F64.bytes();
        let single = self.new_block();
        let int = |b: Build<'c, 'b>, n: i64| b.int(Elem::I64, n);
        let (first, total) = self.first_round(head, plan, lanes as i64 / 2, single);
        self.in_bounds(plan, first, total, single);
        self.apart(plan, single);
        let columns = |&n: &usize| matches!(self.program.code[n].op, Op::UpdateF64 | Op::Assign | Op::DotF64);
        let parts = if plan.each.iter().any(columns) { TOGETHER_ALONG_COLUMNS } else { TOGETHER };
        let rounds = self.measured(plan, lanes, total, single);

        let (next, some, whole, tail, over) =
            (self.new_block(), self.new_block(), self.new_block(), self.new_block(), self.new_block());
        self.b.store(Elem::I64, int(self.b, 0), self.done);
        self.jump(next);
        self.b.block = next;
        let b = self.b;
        let done = b.load(Elem::I64, self.done);
        let left = b.op("arith.subi", &[total, done], Elem::I64);
        let all = (lanes * parts) as i64;
        let much = b.compare("arith.cmpi", GREATER, rounds.noted, int(b, ROWS as i64 / parts as i64));
        let few = b.compare("arith.cmpi", LESS, left, int(b, all));
        self.jump_if(b.op("arith.ori", &[much, few], Elem::I1), some, whole);
        self.b.block = whole;
        let count = int(self.b, lanes as i64);
        self.vectors(plan, &rounds, Vectors::new(done, None, (parts, count)));
        let b = self.b;
        b.store(Elem::I64, b.op("arith.addi", &[done, int(b, all)], Elem::I64), self.done);
        self.jump(next);
        self.b.block = some;
        let b = self.b;
        self.jump_if(b.compare("arith.cmpi", EQUAL, left, int(b, 0)), over, tail);
        self.b.block = tail;
        let wide = self.b.with_lanes(lanes);
        let mask = wide.compare("arith.cmpi", LESS, wide.iota(), wide.splat(Elem::I64, left));
        let count = self.b.op("arith.minsi", &[left, int(self.b, lanes as i64)], Elem::I64);
        self.vectors(plan, &rounds, Vectors::new(done, Some(mask), (1, count)));
        let b = self.b;
        b.store(Elem::I64, b.op("arith.addi", &[done, count], Elem::I64), self.done);
        self.jump(next);
        self.b.block = over;
        self.leave_lanes(plan, &rounds, (range, number), total);
        self.jump(end);
        self.b.block = single;
    }

    /// What all rounds of a loop have in common, done for the first one: its number, and how many there are. There have to be some.
    pub(super) fn first_round(
        &mut self,
        head: usize,
        plan: &Lanes,
        least: i64,
        single: BlockRef<'c, 'c>,
    ) -> (V<'c>, V<'c>) {
        let Ins { a: range, b: number, .. } = self.program.code[head];
        let total = self.int(range + 2);
        self.go_if(self.b.compare("arith.cmpi", LESS, total, self.b.int(Elem::I64, least)), single);
        let one = self.b.int(Elem::I64, 1);
        self.go_if(self.b.compare("arith.cmpi", NOT_EQUAL, self.int(range + 1), one), single);
        let first = self.b.op("arith.addi", &[self.int(range), self.b.int(Elem::I64, 1)], Elem::I64);
        self.set_int(number, first);
        for &n in &plan.once {
            let ins = self.program.code[n];
            self.instruction(n, &ins);
            if may_raise(ins.op) {
                self.use_of(self.float(ins.a));
            }
        }
        (first, total)
    }

    /// Looks whether all indices of all rounds are within bounds, and their elements neighbours. (Where a row is updated, what it is
    /// updated with need not be.)
    pub(super) fn in_bounds(&mut self, plan: &Lanes, first: V<'c>, total: V<'c>, single: BlockRef<'c, 'c>) {
        let mut seen = BTreeSet::new();
        for (k, used) in plan.uses.iter().enumerate() {
            let Some((axis, by)) = used.along else { continue };
            let anywhere = plan.row.is_some() && plan.columns.values().any(|&of| of == k);
            if !seen.insert((used.view, axis, by, anywhere)) {
                continue;
            }
            let view = self.view(used.view, 0);
            let b = self.b;
            let from = b.op("arith.addi", &[first, b.int(Elem::I64, by)], Elem::I64);
            self.go_if(b.compare("arith.cmpi", LESS, from, b.int(Elem::I64, 0)), single);
            let b = self.b;
            let to = b.op("arith.addi", &[from, total], Elem::I64);
            self.go_if(b.compare("arith.cmpi", GREATER, to, view.shape[axis]), single);
            if anywhere {
                continue;
            }
            let b = self.b;
            let item = b.int(Elem::I64, Elem::F64.bytes() as i64);
            self.go_if(b.compare("arith.cmpi", NOT_EQUAL, view.strides[axis], item), single);
        }
    }

    /// Looks whether what is written shares no memory with other views, and none of its elements has another index.
    pub(super) fn apart(&mut self, plan: &Lanes, single: BlockRef<'c, 'c>) {
        let written: BTreeMap<u16, Option<usize>> =
            plan.uses.iter().filter(|u| u.written).map(|u| (u.view, u.along.map(|along| along.0))).collect();
        let views: BTreeSet<u16> = plan.uses.iter().map(|u| u.view).collect();
        let span = |nest: &Self, v: u16| {
            let seen = nest.view(v, 0);
            nest.span(&Leaf { ptr: seen.ptr, strides: seen.strides }, &seen.shape, Elem::I64)
        };
        for (&v, &along) in &written {
            if let Some(along) = along {
                self.once_each(&self.view(v, 0), along, single);
            }
            for &other in views.iter().filter(|&&o| o != v && !(written.contains_key(&o) && o < v)) {
                let ((low, high), (from, to)) = (span(self, v), span(self, other));
                let b = self.b;
                let meets =
                    self.both(b.compare("arith.cmpi", LESS, from, high), b.compare("arith.cmpi", LESS, low, to));
                self.go_if(meets, single);
            }
        }
    }

    /// Looks whether all elements of a view lie apart that have another index along an axis.
    fn once_each(&mut self, view: &Seen<'c>, along: usize, single: BlockRef<'c, 'c>) {
        let mut extent = self.b.op("arith.muli", &[view.shape[along], view.strides[along]], Elem::I64);
        for axis in (0..view.shape.len()).rev().filter(|&axis| axis != along) {
            let b = self.b;
            let stride = view.strides[axis];
            let negative = b.op("arith.subi", &[b.int(Elem::I64, 0), stride], Elem::I64);
            let size = b.op("arith.maxsi", &[stride, negative], Elem::I64);
            let near = b.compare("arith.cmpi", LESS, size, extent);
            let several = b.compare("arith.cmpi", GREATER, view.shape[axis], b.int(Elem::I64, 1));
            self.go_if(self.both(near, several), single);
            extent = self.b.op("arith.muli", &[size, view.shape[axis]], Elem::I64);
        }
    }

    /// Where the elements of the first round are; looks whether rows fit each other.
    fn measured(&mut self, plan: &Lanes, lanes: u32, total: V<'c>, single: BlockRef<'c, 'c>) -> Rounds<'c> {
        let mut rounds = self.elements_of(plan, lanes);
        for &n in &plan.each {
            let ins = self.program.code[n];
            match ins.op {
                Op::DotF64 => {
                    let length = self.measured_dot(&ins, &rounds, single);
                    rounds.lengths.insert(n, length);
                }
                Op::UpdateF64 | Op::Assign => {
                    let length = self.measured_write(plan, n, &rounds, single);
                    rounds.lengths.insert(n, length);
                    if self.assigns_itself(plan, n) {
                        continue;
                    }
                    let again = self.is_noted(n, &rounds.columns[&ins.a], total);
                    rounds.again.insert(n, again);
                    let b = self.b;
                    let bytes = b.op("arith.muli", &[length, b.int(Elem::I64, self.vector_bytes as i64)], Elem::I64);
                    let bytes = b.select(again, b.int(Elem::I64, 0), bytes);
                    let bytes = b.op("arith.addi", &[bytes, b.int(Elem::I64, AROUND_ROW)], Elem::I64);
                    rounds.noted = b.op("arith.addi", &[rounds.noted, bytes], Elem::I64);
                }
                _ => {}
            }
        }
        let much = self.b.compare("arith.cmpi", GREATER, rounds.noted, self.b.int(Elem::I64, ROWS as i64));
        self.go_if(much, single);
        rounds
    }

    /// Where the single elements of the first round are, and its columns.
    pub(super) fn elements_of(&mut self, plan: &Lanes, lanes: u32) -> Rounds<'c> {
        let columns = plan.columns.keys().map(|&v| (v, self.view(v, 0))).collect();
        let mut rounds = Rounds {
            lanes,
            elements: BTreeMap::new(),
            columns,
            lengths: BTreeMap::new(),
            again: BTreeMap::new(),
            noted: self.b.int(Elem::I64, 0),
        };
        for &n in &plan.each {
            let ins = self.program.code[n];
            if ins.op.is_element() {
                let indices = [ins.c, ins.d];
                let at = self.address(ins.b, &indices[..ins.op.indices()]);
                rounds.elements.insert(n, at);
            }
        }
        rounds
    }

    /// Whether an instruction has noted so many columns since machine code was called: all rounds since then are taken back together.
    fn is_noted(&self, n: usize, column: &Seen<'c>, total: V<'c>) -> V<'c> {
        let b = self.b;
        let [from, to, length, stride] = self.noted_columns[&n].map(|room| b.load(Elem::I64, room));
        let first = b.op("llvm.ptrtoint", &[column.ptr], Elem::I64);
        let end = b.op("llvm.ptrtoint", &[b.offset(column.ptr, total, Elem::F64)], Elem::I64);
        let within =
            self.both(b.compare("arith.cmpi", LESS_EQUAL, from, first), b.compare("arith.cmpi", LESS_EQUAL, end, to));
        let same = |x, y| b.compare("arith.cmpi", EQUAL, x, y);
        self.both(within, self.both(same(length, column.shape[0]), same(stride, column.strides[0])))
    }

    /// All columns of a loop's rounds are noted.
    fn have_noted(&self, rounds: &Rounds<'c>, n: usize, total: V<'c>) {
        let b = self.b;
        let column = &rounds.columns[&self.program.code[n].a];
        let first = b.op("llvm.ptrtoint", &[column.ptr], Elem::I64);
        let end = b.op("llvm.ptrtoint", &[b.offset(column.ptr, total, Elem::F64)], Elem::I64);
        let now = [first, end, column.shape[0], column.strides[0]];
        for (value, room) in now.into_iter().zip(self.noted_columns[&n]) {
            b.store(Elem::I64, b.select(rounds.again[&n], b.load(Elem::I64, room), value), room);
        }
    }

    fn column(&self, rounds: &Rounds<'c>, v: u16) -> Seen<'c> {
        rounds.columns.get(&v).cloned().unwrap_or_else(|| self.view(v, 0))
    }

    /// The length of a product's vectors, if BLAS would step through them.
    fn measured_dot(&mut self, ins: &Ins, rounds: &Rounds<'c>, single: BlockRef<'c, 'c>) -> V<'c> {
        let (x, y) = (self.column(rounds, ins.b), self.column(rounds, ins.c));
        let n = x.shape[0];
        let int = |b: Build<'c, 'b>, n: i64| b.int(Elem::I64, n);
        let known = self.has_order(std::mem::offset_of!(Frame, gaps), 1);
        self.go_if(self.b.op("arith.xori", &[known, self.b.int(Elem::I1, 1)], Elem::I1), single);
        self.go_if(self.b.compare("arith.cmpi", NOT_EQUAL, n, y.shape[0]), single);
        let few = self.b.op("arith.subi", &[n, int(self.b, 1)], Elem::I64);
        self.go_if(self.b.compare("arith.cmpi", NOT_BELOW, few, int(self.b, DOT_ALONE as i64)), single);
        for stride in [x.strides[0], y.strides[0]] {
            self.go_if(self.b.compare("arith.cmpi", LESS_EQUAL, stride, int(self.b, 0)), single);
        }
        let b = self.b;
        let packed = |v: &Seen<'c>| b.compare("arith.cmpi", EQUAL, v.strides[0], int(b, Elem::F64.bytes() as i64));
        self.go_if(self.both(packed(&x), packed(&y)), single);
        n
    }

    /// The length of what is written, if all that is read is as long. What is read of the same array must be the same elements.
    fn measured_write(&mut self, plan: &Lanes, n: usize, rounds: &Rounds<'c>, single: BlockRef<'c, 'c>) -> V<'c> {
        let ins = self.program.code[n];
        let to = self.column(rounds, ins.a);
        let length = to.shape[0];
        let int = |b: Build<'c, 'b>, n: i64| b.int(Elem::I64, n);
        let few = self.b.op("arith.subi", &[length, int(self.b, 1)], Elem::I64);
        self.go_if(self.b.compare("arith.cmpi", NOT_BELOW, few, int(self.b, LONGEST as i64)), single);
        let array = |v: u16| plan.columns.get(&v).map(|&of| plan.uses[of].view);
        for v in self.read(n) {
            let from = self.column(rounds, v);
            let Some(&count) = from.shape.first() else { continue };
            self.go_if(self.b.compare("arith.cmpi", NOT_EQUAL, count, length), single);
            if array(v) == array(ins.a) {
                let b = self.b;
                let address = |seen: &Seen<'c>| b.op("llvm.ptrtoint", &[seen.ptr], Elem::I64);
                self.go_if(b.compare("arith.cmpi", NOT_EQUAL, address(&from), address(&to)), single);
                let other = self.b.compare("arith.cmpi", NOT_EQUAL, from.strides[0], to.strides[0]);
                self.go_if(other, single);
            }
        }
        length
    }

    /// Whether an assignment is one of a column to itself, which `measured_write` has seen to.
    fn assigns_itself(&self, plan: &Lanes, n: usize) -> bool {
        let ins = &self.program.code[n];
        let array = |v: u16| plan.columns.get(&v).map(|&of| plan.uses[of].view);
        ins.op == Op::Assign && self.chains.maker(n, ins.b).is_none() && array(ins.a) == array(ins.b)
    }

    /// Some rounds.
    fn vectors(&mut self, plan: &Lanes, rounds: &Rounds<'c>, mut vectors: Vectors<'c>) {
        self.pay(rounds, vectors.parts);
        for &n in &plan.each {
            self.each(plan, rounds, &mut vectors, n);
        }
        for (&r, values) in &vectors.floats {
            if self.is_read_outside(plan, r) {
                let b = self.b;
                let last = b.op("arith.subi", &[vectors.count, b.int(Elem::I64, 1)], Elem::I64);
                let value = values[values.len() - 1];
                self.set_float(r, b.op_typed("llvm.extractelement", &[value, last], &[], b.ty(Elem::F64)));
            }
        }
    }

    /// Uses fuel and room for the next rounds, after asking for more where there is too little.
    pub(super) fn pay(&mut self, rounds: &Rounds<'c>, parts: u32) {
        let b = self.b;
        let lanes = b.int(Elem::I64, (rounds.lanes * parts) as i64);
        let noted = b.op("arith.muli", &[rounds.noted, b.int(Elem::I64, parts as i64)], Elem::I64);
        let room = self.field(std::mem::offset_of!(Frame, room));
        let short = b.compare("arith.cmpi", LESS_EQUAL, b.load(Elem::I64, self.fuel), lanes);
        self.ask_if(short, std::mem::offset_of!(Frame, refuel));
        let narrow = self.b.compare("arith.cmpi", LESS, self.b.load(Elem::I64, room), noted);
        self.ask_if(narrow, std::mem::offset_of!(Frame, widen));
        let b = self.b;
        b.store(Elem::I64, b.op("arith.subi", &[b.load(Elem::I64, self.fuel), lanes], Elem::I64), self.fuel);
        b.store(Elem::I64, b.op("arith.subi", &[b.load(Elem::I64, room), noted], Elem::I64), room);
    }

    /// Calls one of the frame's functions if a condition holds, which it rarely does.
    pub(super) fn ask_if(&mut self, condition: V<'c>, function: usize) {
        let (ask, on) = (self.new_block(), self.new_block());
        self.branch("llvm.cond_br", &[condition], &[ask, on], Some([1, 100]));
        self.b.block = ask;
        let run = self.b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
        self.call_back(function, &[run]);
        self.jump(on);
        self.b.block = on;
    }

    /// Whether a float is read by anything but the rounds.
    fn is_read_outside(&self, plan: &Lanes, r: u16) -> bool {
        let mut inside = plan.once.iter().chain(&plan.each).copied().collect::<Vec<_>>();
        inside.sort_unstable();
        let reads = |ins: &Ins| {
            ins.named()
                .enumerate()
                .any(|(k, (kind, of))| kind == Operand::Float && of == r as usize && (k > 0 || !ins.op.writes_first()))
        };
        let outside = |n: &usize| inside.binary_search(n).is_err();
        self.program.kept_floats.contains(&(r as usize))
            || (0..self.program.code.len()).filter(outside).any(|n| reads(&self.program.code[n]))
    }

    /// A float in all lanes of each vector.
    fn in_all(&self, b: &Build<'c, 'b>, vectors: &Vectors<'c>, r: u16) -> Vec<V<'c>> {
        let same = || vec![b.splat(Elem::F64, self.float(r)); vectors.parts as usize];
        vectors.floats.get(&r).cloned().unwrap_or_else(same)
    }

    /// An instruction of some rounds.
    pub(super) fn each(&mut self, plan: &Lanes, rounds: &Rounds<'c>, vectors: &mut Vectors<'c>, n: usize) {
        let ins = self.program.code[n];
        let b = self.b.with_lanes(rounds.lanes);
        let operand = |nest: &Self, vectors: &Vectors<'c>, r: u16| nest.in_all(&b, vectors, r);
        let values = match ins.op {
            Op::MoveFloat => operand(self, vectors, ins.b),
            Op::Add | Op::Subtract | Op::Multiply | Op::Divide => {
                let (x, y) = (operand(self, vectors, ins.b), operand(self, vectors, ins.c));
                let name = match ins.op {
                    Op::Add => "arith.addf",
                    Op::Subtract => "arith.subf",
                    Op::Multiply => "arith.mulf",
                    _ => "arith.divf",
                };
                if ins.op == Op::Divide {
                    self.leave_if_any(rounds, &y, FLOAT_EQUAL);
                }
                let b = self.b.with_lanes(rounds.lanes);
                x.into_iter().zip(y).map(|(x, y)| b.op(name, &[x, y], Elem::F64)).collect()
            }
            Op::Negate | Op::Absolute | Op::Sqrt => {
                let x = operand(self, vectors, ins.b);
                let name = match ins.op {
                    Op::Negate => "arith.negf",
                    Op::Absolute => "llvm.intr.fabs",
                    _ => "llvm.intr.sqrt",
                };
                if ins.op == Op::Sqrt {
                    self.leave_if_any(rounds, &x, FLOAT_LESS);
                }
                let b = self.b.with_lanes(rounds.lanes);
                x.into_iter().map(|x| b.op(name, &[x], Elem::F64)).collect()
            }
            Op::ToFloat => {
                let first = self.b.op("arith.addi", &[self.int(ins.b), vectors.done], Elem::I64);
                let of_part = |part: u32| {
                    let by = self.b.int(Elem::I64, (part * rounds.lanes) as i64);
                    let first = b.splat(Elem::I64, self.b.op("arith.addi", &[first, by], Elem::I64));
                    b.op("arith.sitofp", &[b.op("arith.addi", &[first, b.iota()], Elem::I64)], Elem::F64)
                };
                (0..vectors.parts).map(of_part).collect()
            }
            Op::LoadF64At0 | Op::LoadF64At1 | Op::LoadF64At2 => {
                let at = self.b.offset(rounds.elements[&n], vectors.done, Elem::F64);
                self.load_lanes(&b, vectors, at)
            }
            Op::StoreF64At0 | Op::StoreF64At1 | Op::StoreF64At2 => {
                let values = operand(self, vectors, ins.a);
                let at = self.b.offset(rounds.elements[&n], vectors.done, Elem::F64);
                let one = self.b.int(Elem::I64, 1);
                for (part, old) in self.load_lanes(&b, vectors, at).into_iter().enumerate() {
                    let log = self.b.load_ptr(self.log);
                    b.effect("llvm.store", &[old, log], &self.memory(Elem::F64, self.scopes.log, self.scopes.elements));
                    let at = self.part(&b, at, part);
                    let data = self.noted_bytes(vectors, one);
                    let next = self.end_of_note(&self.b, vectors, (log, data), at, (one, one));
                    self.b.effect("llvm.store", &[next, self.log], &[]);
                }
                self.store_lanes(&b, vectors, &values, at);
                return;
            }
            Op::NumberF64 => {
                let values = operand(self, vectors, ins.b);
                vectors.numbers.insert(n, values);
                return;
            }
            // (It is computed where it is read.)
            Op::MapF64 => return,
            Op::UpdateF64 | Op::Assign => {
                if !self.assigns_itself(plan, n) {
                    self.write_columns(rounds, vectors, n);
                }
                return;
            }
            Op::DotF64 => {
                let values = self.dots_of(rounds, vectors, n);
                self.worked((rounds.lanes * vectors.parts) as usize, rounds.lengths[&n]);
                values
            }
            _ => unreachable!("an instruction that `Program::lanes` accepts"),
        };
        if may_raise(ins.op) && !self.is_used(n, ins.a) {
            values.iter().for_each(|&value| self.use_of(value));
        }
        vectors.floats.insert(ins.a, values);
    }

    /// Leaves the round where any lane compares so with zero.
    fn leave_if_any(&mut self, rounds: &Rounds<'c>, values: &[V<'c>], how: i64) {
        for &value in values {
            let b = self.b.with_lanes(rounds.lanes);
            let found = b.compare("arith.cmpf", how, value, b.float(Elem::F64, 0.0));
            self.leave_if(b.any(found));
        }
    }

    /// Where the elements of one of the vectors are.
    fn part(&self, b: &Build<'c, 'b>, at: V<'c>, part: usize) -> V<'c> {
        b.offset_bytes(at, (part as u32 * b.lanes * Elem::F64.bytes()) as i32)
    }

    /// The elements from an address on, one in each lane.
    fn load_lanes(&self, b: &Build<'c, 'b>, vectors: &Vectors<'c>, at: V<'c>) -> Vec<V<'c>> {
        if let Some(mask) = vectors.some {
            let first = self.load_at(&b.with_lanes(1), Elem::F64, at);
            return vec![b.masked_load(Elem::F64, at, mask, b.splat(Elem::F64, first))];
        }
        (0..vectors.parts as usize).map(|part| self.load_at(b, Elem::F64, self.part(b, at, part))).collect()
    }

    fn store_lanes(&self, b: &Build<'c, 'b>, vectors: &Vectors<'c>, values: &[V<'c>], at: V<'c>) {
        if let Some(mask) = vectors.some {
            return b.masked_store(Elem::F64, values[0], at, mask);
        }
        for (part, &value) in values.iter().enumerate() {
            let attributes = self.memory(Elem::F64, self.scopes.elements, self.scopes.log);
            b.effect("llvm.store", &[value, self.part(b, at, part)], &attributes);
        }
    }

    /// How many bytes so many elements of each round of a vector take in the log.
    fn noted_bytes(&self, vectors: &Vectors<'c>, n: V<'c>) -> V<'c> {
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let old = size_of::<Old>() as i64;
        let each = b.op("arith.muli", &[vectors.count, int(Elem::F64.bytes() as i64)], Elem::I64);
        let bytes = b.op("arith.muli", &[n, each], Elem::I64);
        b.op("arith.andi", &[b.op("arith.addi", &[bytes, int(old - 1)], Elem::I64), int(-old)], Elem::I64)
    }

    /// Notes where so many vectors of elements were that so many bytes of the log have, from an address on, so many bytes apart; where the
    /// next note begins. (Lanes that have no round are overwritten by what comes behind.)
    fn end_of_note(
        &self,
        b: &Build<'c, 'b>,
        vectors: &Vectors<'c>,
        (log, bytes): (V<'c>, V<'c>),
        at: V<'c>,
        (n, stride): (V<'c>, V<'c>),
    ) -> V<'c> {
        let int = |n: i64| b.int(Elem::I64, n);
        let attributes = self.memory(Elem::I64, self.scopes.log, self.scopes.elements);
        let store =
            |value, at, bytes: usize| b.effect("llvm.store", &[value, b.offset_bytes(at, bytes as i32)], &attributes);
        let each = b.op("arith.muli", &[vectors.count, int(Elem::F64.bytes() as i64)], Elem::I64);
        let end = b.offset(log, bytes, Elem::I8);
        let tag = b.op("arith.ori", &[each, int(OLD_ROW as i64)], Elem::I64);
        let tag = b.op("arith.shli", &[tag, int(OLD_BYTES as i64)], Elem::I64);
        let address = b.op("llvm.ptrtoint", &[at], Elem::I64);
        store(stride, end, 0);
        store(n, end, 8);
        store(b.op("arith.ori", &[address, tag], Elem::I64), end, size_of::<Old>());
        store(int(0), end, size_of::<Old>() + 8);
        b.offset_bytes(end, 2 * size_of::<Old>() as i32)
    }

    /// What an operation on rows reads, as it is computed element by element.
    fn row_of(&self, rounds: &Rounds<'c>, vectors: &Vectors<'c>, n: usize, r: u16) -> Row<'c> {
        let Some(m) = self.chains.maker(n, r) else {
            let seen = self.column(rounds, r);
            return match (rounds.columns.contains_key(&r), seen.strides.first()) {
                (true, Some(&stride)) => Row::Column(self.b.offset(seen.ptr, vectors.done, Elem::F64), stride),
                (_, stride) => Row::Same(seen.ptr, stride.copied()),
            };
        };
        let ins = &self.program.code[m];
        if ins.op == Op::NumberF64 {
            return Row::Number(vectors.numbers[&m].clone());
        }
        let map = Map::numbered(ins.e).expect("an operation that `check` accepts");
        let x = self.row_of(rounds, vectors, m, ins.b);
        Row::Map(map, Box::new(x), Box::new(self.row_of(rounds, vectors, m, ins.c)))
    }

    /// Elements number `i` of a row's.
    fn element(&self, b: &Build<'c, 'b>, vectors: &Vectors<'c>, row: &Row<'c>, i: V<'c>) -> Vec<V<'c>> {
        let one = b.with_lanes(1);
        let at = |ptr, stride| one.offset(ptr, one.op("arith.muli", &[i, stride], Elem::I64), Elem::I8);
        match row {
            Row::Number(values) => values.clone(),
            Row::Column(ptr, stride) => self.load_lanes(b, vectors, at(*ptr, *stride)),
            Row::Same(ptr, stride) => {
                let at = stride.map_or(*ptr, |stride| at(*ptr, stride));
                vec![b.splat(Elem::F64, self.load_at(&one, Elem::F64, at)); vectors.parts as usize]
            }
            Row::Map(map, x, y) => {
                let (x, y) = (self.element(b, vectors, x, i), self.element(b, vectors, y, i));
                x.into_iter().zip(y).map(|(x, y)| b.op(operation(*map), &[x, y], Elem::F64)).collect()
            }
        }
    }

    /// An update or an assignment.
    fn write_columns(&mut self, rounds: &Rounds<'c>, vectors: &Vectors<'c>, n: usize) {
        let ins = self.program.code[n];
        let length = rounds.lengths[&n];
        let row = self.row_of(rounds, vectors, n, ins.b);
        let to = self.column(rounds, ins.a);
        let ptr = self.b.offset(to.ptr, vectors.done, Elem::F64);
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let data = self.noted_bytes(vectors, length);
        let whole = b.op("arith.addi", &[data, int(2 * size_of::<Old>() as i64)], Elem::I64);
        let begin = b.load_ptr(self.log);
        let mut logs = vec![begin];
        for _ in 1..vectors.parts {
            logs.push(b.offset(logs[logs.len() - 1], whole, Elem::I8));
        }
        let each = b.op("arith.muli", &[vectors.count, int(Elem::F64.bytes() as i64)], Elem::I64);
        let go = |b: &Build<'c, 'b>, logs: &[V<'c>]| {
            b.for_each(int(0), length, int(1), |b, i| {
                let wide = b.with_lanes(rounds.lanes);
                let at = |ptr, stride| b.offset(ptr, b.op("arith.muli", &[i, stride], Elem::I64), Elem::I8);
                let place = at(ptr, to.strides[0]);
                let mut values = self.element(&wide, vectors, &row, i);
                let olds = self.load_lanes(&wide, vectors, place);
                for (&old, &log) in olds.iter().zip(logs) {
                    let attributes = self.memory(Elem::F64, self.scopes.log, self.scopes.elements);
                    wide.effect("llvm.store", &[old, at(log, each)], &attributes);
                }
                if ins.op == Op::UpdateF64 {
                    let map = Map::numbered(ins.c).expect("an operation that `check` accepts");
                    let pairs = olds.into_iter().zip(values);
                    values = pairs.map(|(old, with)| wide.op(operation(map), &[old, with], Elem::F64)).collect();
                }
                self.store_lanes(&wide, vectors, &values, place);
            });
        };
        let noted = |b: &Build<'c, 'b>| {
            go(b, &logs);
            let wide = b.with_lanes(rounds.lanes);
            let ends = logs.iter().enumerate().map(|(part, &log)| {
                self.end_of_note(b, vectors, (log, data), self.part(&wide, ptr, part), (length, to.strides[0]))
            });
            ends.last().into_iter().collect()
        };
        let again = |b: &Build<'c, 'b>| {
            go(b, &[]);
            vec![begin]
        };
        let end = b.if_else(rounds.again[&n], again, noted);
        b.effect("llvm.store", &[end[0], self.log], &[]);
        let mut inner = Vec::new();
        self.maps_within(n, ins.b, &mut inner);
        self.worked((1 + inner.len()) * (rounds.lanes * vectors.parts) as usize, length);
    }

    /// The maps that are done within an instruction.
    pub(super) fn maps_within(&self, n: usize, r: u16, maps: &mut Vec<usize>) {
        if let Some(m) = self.chains.maker(n, r).filter(|&m| self.program.code[m].op == Op::MapF64) {
            maps.push(m);
            sources(&self.program.code[m]).into_iter().for_each(|r| self.maps_within(m, r, maps));
        }
    }

    /// Sums of products, added up as BLAS does it for vectors that have gaps.
    fn dots_of(&self, rounds: &Rounds<'c>, vectors: &Vectors<'c>, n: usize) -> Vec<V<'c>> {
        let ins = &self.program.code[n];
        let (x, y) = (self.row_of(rounds, vectors, n, ins.b), self.row_of(rounds, vectors, n, ins.c));
        let length = rounds.lengths[&n];
        let (b, parts) = (self.b, vectors.parts as usize);
        let int = |n: i64| b.int(Elem::I64, n);
        let wide = b.with_lanes(rounds.lanes);
        let zeros = vec![wide.float(Elem::F64, 0.0); 2 * parts];
        let whole = b.op("arith.andi", &[length, int(-(GAPS as i64))], Elem::I64);
        let sums = b.for_state(int(0), whole, int(GAPS as i64), &zeros, |b, i, sums| {
            let wide = b.with_lanes(rounds.lanes);
            let products = |k: i64| -> Vec<V<'c>> {
                let i = b.op("arith.addi", &[i, int(k)], Elem::I64);
                let (x, y) = (self.element(&wide, vectors, &x, i), self.element(&wide, vectors, &y, i));
                x.into_iter().zip(y).map(|(x, y)| wide.op("arith.mulf", &[x, y], Elem::F64)).collect()
            };
            let [p, q, r, s] = [0, 1, 2, 3].map(products);
            let add = |x, y| wide.op("arith.addf", &[x, y], Elem::F64);
            let first = (0..parts).map(|k| add(sums[k], add(p[k], r[k])));
            first.chain((0..parts).map(|k| add(sums[parts + k], add(q[k], s[k])))).collect()
        });
        let first = b.for_state(whole, length, int(1), &sums[..parts], |b, i, sums| {
            let wide = b.with_lanes(rounds.lanes);
            let (x, y) = (self.element(&wide, vectors, &x, i), self.element(&wide, vectors, &y, i));
            let pairs = x.into_iter().zip(y).zip(sums);
            pairs.map(|((x, y), sum)| self.add_left_over(&wide, x, y, sum)).collect()
        });
        (0..parts).map(|k| wide.op("arith.addf", &[first[k], sums[parts + k]], Elem::F64)).collect()
    }

    /// All rounds are done: what their last one leaves in registers.
    fn leave_lanes(&mut self, plan: &Lanes, rounds: &Rounds<'c>, (range, number): (u16, u16), total: V<'c>) {
        let b = self.b;
        let further = b.op("arith.subi", &[total, b.int(Elem::I64, 1)], Elem::I64);
        for &r in plan.counting.iter().chain([&number]) {
            self.set_int(r, b.op("arith.addi", &[self.int(r), further], Elem::I64));
        }
        for (&v, seen) in &rounds.columns {
            self.set_view(v, &Seen { ptr: b.offset(seen.ptr, further, Elem::F64), ..seen.clone() });
        }
        self.set_int(range, self.int(number));
        self.set_int(range + 2, b.int(Elem::I64, 0));
        for &n in rounds.again.keys() {
            self.have_noted(rounds, n, total);
        }
    }
}

impl<'c> Vectors<'c> {
    pub(super) fn new(done: V<'c>, some: Option<V<'c>>, (parts, count): (u32, V<'c>)) -> Vectors<'c> {
        Vectors { done, some, parts, count, floats: BTreeMap::new(), numbers: BTreeMap::new() }
    }
}
