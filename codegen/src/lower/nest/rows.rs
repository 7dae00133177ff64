//! Operations on rows: loops of vectors over what a chain of maps computes, for views of any number of axes.
//!
//! Whether the rows can be gone through element by element is seen at run time: how long they are, how far apart their elements,
//! and that what is written shares no memory with what is read, unless both are the same elements. Where it is not so, the
//! interpreter does the instructions one by one.

use legate_jit_ir::nest::OLD_ROW;
use legate_jit_ir::nest::code::Map;

use super::chains::{item, sources};
use super::*;

/// Views that memory for a result is to lie apart from, at most.
const APART: usize = 4;

/// What an instruction that is put off was given.
pub(super) enum Kept<'c> {
    Number(V<'c>),
    Operands(Vec<Source<'c>>),
}

pub(super) enum Source<'c> {
    View(Seen<'c>),
    /// The result of an instruction that is put off.
    Inner(usize),
}

/// What is computed for each element.
pub(super) enum Row<'c> {
    /// That of a view, by its number among the leaves.
    Leaf(usize),
    Number(V<'c>),
    Map(Map, Box<Row<'c>>, Box<Row<'c>>),
}

/// A view with as many axes as what is written.
#[derive(Clone)]
pub(super) struct Leaf<'c> {
    pub(super) ptr: V<'c>,
    pub(super) strides: Vec<V<'c>>,
}

/// What is computed for all elements of a shape, and where it goes.
#[derive(Clone, Copy)]
pub(super) struct Rows<'c, 'r> {
    pub(super) elem: Elem,
    pub(super) shape: &'r [V<'c>],
    pub(super) leaves: &'r [Leaf<'c>],
    /// Those of them that may well run backwards.
    turned: &'r [usize],
    pub(super) row: &'r Row<'c>,
    pub(super) to: &'r Leaf<'c>,
    /// With what was there, by this operation.
    pub(super) update: Option<Map>,
}

impl<'c> Row<'c> {
    /// With the numbers in all lanes.
    pub(super) fn spread(&self, b: &Build<'c, '_>, elem: Elem) -> Row<'c> {
        match self {
            Row::Leaf(k) => Row::Leaf(*k),
            Row::Number(value) => Row::Number(b.splat(elem, *value)),
            Row::Map(map, x, y) => Row::Map(*map, Box::new(x.spread(b, elem)), Box::new(y.spread(b, elem))),
        }
    }
}

/// How a row is gone through.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// All elements are neighbours.
    Vectors,
    /// The same, but for leaves that run backwards.
    Turned,
    /// Those that are written are, and the others are put into vectors one by one.
    Gathered,
    Single,
}

pub(super) fn operation(map: Map) -> &'static str {
    match map {
        Map::Add => "arith.addf",
        Map::Subtract => "arith.subf",
        Map::Multiply => "arith.mulf",
        Map::Divide => "arith.divf",
    }
}

impl<'c, 'b> Nest<'c, 'b> {
    /// Keeps what an instruction is given that is done within a later one.
    pub(super) fn put_off(&mut self, n: usize, ins: &Ins) {
        let kept = match ins.op {
            Op::NumberF64 => Kept::Number(self.float(ins.b)),
            Op::NumberF32 => Kept::Number(self.b.op("arith.truncf", &[self.float(ins.b)], Elem::F32)),
            Op::Take => Kept::Operands([ins.b, ins.c].map(|r| Source::View(self.view(r, 1))).into()),
            _ => Kept::Operands(self.sources(n, ins)),
        };
        self.kept.insert(n, kept);
    }

    fn sources(&self, n: usize, ins: &Ins) -> Vec<Source<'c>> {
        let source = |r| match self.chains.maker(n, r) {
            Some(inner) => Source::Inner(inner),
            None => Source::View(self.view(r, 0)),
        };
        sources(ins).into_iter().map(source).collect()
    }

    /// The element that a source computes; views become leaves. `inner`: the instructions within.
    fn computed(&self, source: &Source<'c>, views: &mut Vec<Seen<'c>>, inner: &mut Vec<usize>) -> Row<'c> {
        match source {
            Source::View(seen) => {
                views.push(seen.clone());
                Row::Leaf(views.len() - 1)
            }
            Source::Inner(m) => {
                inner.push(*m);
                match &self.kept[m] {
                    Kept::Number(value) => Row::Number(*value),
                    Kept::Operands(sources) => self.mapped(&self.program.code[*m], sources, views, inner),
                }
            }
        }
    }

    fn mapped(&self, ins: &Ins, sources: &[Source<'c>], views: &mut Vec<Seen<'c>>, inner: &mut Vec<usize>) -> Row<'c> {
        let map = Map::numbered(ins.e).expect("an operation that `check` accepts");
        let [x, y] = sources else { unreachable!("a map has two operands") };
        let x = self.computed(x, views, inner);
        Row::Map(map, Box::new(x), Box::new(self.computed(y, views, inner)))
    }

    /// The views that an operation on rows reads with all that is put off for it.
    pub(super) fn read(&self, n: usize) -> Vec<u16> {
        let of = |r| self.chains.maker(n, r).map_or_else(|| vec![r], |m| self.read(m));
        sources(&self.program.code[n]).into_iter().flat_map(of).collect()
    }

    /// Whether the elements of a view are those of another one from its end.
    pub(super) fn runs_backwards(&self, r: u16) -> bool {
        self.program.code.iter().filter(|ins| ins.op == Op::Index && ins.a == r).any(|ins| {
            let items = &self.program.items[ins.c as usize..][..ins.d as usize];
            matches!(items.last(), Some(Item::Slice(_, _, -1)))
        })
    }

    /// Whether an operation on rows is done here.
    pub(super) fn is_row(&self, ins: &Ins) -> bool {
        let rows = sources(ins);
        let Some(to) = rows.first().and_then(|_| self.axes(ins.a)).filter(|&n| n > 0) else { return false };
        rows.iter().all(|&r| self.axes(r).is_some_and(|n| n <= to)) && item(ins) <= 8
    }

    /// An operation on rows with all that is put off for it.
    pub(super) fn do_rows(&mut self, n: usize, ins: &Ins) {
        let given = self.sources(n, ins);
        let (mut views, mut inner) = (Vec::new(), Vec::new());
        let row = match ins.op {
            Op::MapF64 | Op::MapF32 => self.mapped(ins, &given, &mut views, &mut inner),
            _ => self.computed(&given[0], &mut views, &mut inner),
        };
        inner.sort_unstable();
        let turned: Vec<usize> =
            self.read(n).into_iter().enumerate().filter(|&(_, r)| self.runs_backwards(r)).map(|(k, _)| k).collect();
        let axes = self.axes(ins.a).expect("a view whose axes are known");
        let makes = ins.op.writes_first();
        if makes && (views.len() > APART || views.iter().all(|seen| seen.shape.len() < axes)) {
            return self.one_by_one(n, ins, &given, &inner);
        }
        let (slow, done) = (self.new_block(), self.new_block());
        if makes {
            self.make_rows(ins, &views, (&row, &turned), &inner, slow);
        } else {
            self.write_rows(n, ins, &views, (&row, &turned), &inner, [slow, done]);
        }
        self.jump(done);
        self.b.block = slow;
        self.one_by_one(n, ins, &given, &inner);
        self.jump(done);
        self.b.block = done;
    }

    /// Has the interpreter do an instruction and those that were put off for it.
    fn one_by_one(&mut self, n: usize, ins: &Ins, given: &[Source<'c>], inner: &[usize]) {
        for &m in inner {
            let maker = &self.program.code[m];
            match &self.kept[&m] {
                // (In single precision it is rounded once more, to the same number.)
                Kept::Number(value) => {
                    if let Place::Room(_) = self.floats[maker.b as usize] {
                        let b = self.b;
                        let at = b.offset_bytes(self.float_file, 8 * maker.b as i32);
                        let single = maker.op == Op::NumberF32;
                        let value = if single { b.op("arith.extf", &[*value], Elem::F64) } else { *value };
                        b.store(Elem::F64, value, at);
                    }
                }
                Kept::Operands(sources) => self.put_sources(maker, sources),
            }
            self.called(m);
        }
        self.put_sources(ins, given);
        if !ins.op.writes_first() {
            self.put_view(ins.a as usize);
        }
        self.called(n);
        if ins.op.writes_first() {
            self.take_view(ins.a as usize);
        }
    }

    fn put_sources(&self, ins: &Ins, given: &[Source<'c>]) {
        for (r, source) in sources(ins).into_iter().zip(given) {
            if let (Source::View(seen), ViewPlace::Rooms(_)) = (source, &self.views[r as usize]) {
                self.put_seen(r as usize, seen);
            }
        }
    }

    fn elem(&self, ins: &Ins, inner: &[usize]) -> Elem {
        let floats = ins.op != Op::Assign || !inner.is_empty();
        match (item(ins), floats) {
            (8, true) => Elem::F64,
            (4, true) => Elem::F32,
            (8, false) => Elem::I64,
            (4, false) => Elem::I32,
            (2, _) => Elem::I16,
            _ => Elem::I8,
        }
    }

    /// Views as leaves for a shape; goes to `slow` where they do not fit it.
    fn leaves(&mut self, views: &[Seen<'c>], shape: &[V<'c>], slow: BlockRef<'c, 'c>) -> Vec<Leaf<'c>> {
        let mut leaves = Vec::new();
        for seen in views {
            let lead = shape.len() - seen.shape.len();
            let zero = self.b.int(Elem::I64, 0);
            let mut strides = vec![zero; lead];
            for (k, (&n, &stride)) in seen.shape.iter().zip(&seen.strides).enumerate() {
                let b = self.b;
                let same = b.compare("arith.cmpi", EQUAL, n, shape[lead + k]);
                let other = b.compare("arith.cmpi", NOT_EQUAL, n, b.int(Elem::I64, 1));
                let unfit = self.both(b.compare("arith.cmpi", NOT_EQUAL, n, shape[lead + k]), other);
                self.unlikely(unfit, slow);
                strides.push(self.b.select(same, stride, zero));
            }
            leaves.push(Leaf { ptr: seen.ptr, strides });
        }
        leaves
    }

    /// How many elements there are; goes to `slow` where they are too many for a row.
    fn count(&mut self, shape: &[V<'c>], slow: BlockRef<'c, 'c>) -> V<'c> {
        let mut size = shape[0];
        let most = |b: Build<'c, 'b>| b.int(Elem::I64, LONGEST as i64 + 1);
        for &n in &shape[1..] {
            // (So that the product has room.)
            let b = self.b;
            let long = b.compare("arith.cmpi", NOT_BELOW, size, most(b));
            self.unlikely(long, slow);
            let b = self.b;
            let long = b.compare("arith.cmpi", NOT_BELOW, n, most(b));
            self.unlikely(long, slow);
            size = self.surely("arith.muli", [size, n]);
        }
        let long = self.b.compare("arith.cmpi", NOT_BELOW, size, most(self.b));
        self.unlikely(long, slow);
        size
    }

    /// So many operations on so many elements are done: uses fuel, and counts them.
    pub(super) fn worked(&self, operations: usize, size: V<'c>) {
        let b = self.b;
        let int = |n: usize| b.int(Elem::I64, n as i64);
        let times = |x| if operations == 1 { x } else { b.op("arith.muli", &[x, int(operations)], Elem::I64) };
        let fuel = times(b.op("arith.divui", &[size, int(ELEMENTS)], Elem::I64));
        let left = b.op("arith.subi", &[b.load(Elem::I64, self.fuel), fuel], Elem::I64);
        b.store(Elem::I64, left, self.fuel);
        for (at, more) in
            [(std::mem::offset_of!(Frame, mapped), times(size)), (std::mem::offset_of!(Frame, maps), int(operations))]
        {
            let at = self.field(at);
            b.store(Elem::I64, b.op("arith.addi", &[b.load(Elem::I64, at), more], Elem::I64), at);
        }
    }

    /// How many of some instructions are maps.
    fn maps(&self, inner: &[usize]) -> usize {
        inner.iter().filter(|&&m| matches!(self.kept[&m], Kept::Operands(_))).count()
    }

    /// Memory of an instruction's for so many bytes, apart from the leaves: what it had last, or what the runtime gives.
    fn memory_for(&mut self, memory: u16, bytes: V<'c>, leaves: &[Leaf<'c>]) -> V<'c> {
        let b = self.b;
        let [at, most] = self.pieces[memory as usize];
        let (begin, room) = (b.op("llvm.ptrtoint", &[b.load_ptr(at)], Elem::I64), b.load(Elem::I64, most));
        let mut fits = b.compare("arith.cmpi", LESS_EQUAL, bytes, room);
        for leaf in leaves {
            let inside = b.op("arith.subi", &[b.op("llvm.ptrtoint", &[leaf.ptr], Elem::I64), begin], Elem::I64);
            fits = self.both(fits, b.compare("arith.cmpi", NOT_BELOW, inside, room));
        }
        let (ask, on) = (self.new_block(), self.new_block());
        self.branch("llvm.cond_br", &[fits], &[on, ask], Some([100, 1]));
        self.b.block = ask;
        // (Rows often grow by one element.)
        const STEP: i64 = 1 << 10;
        let b = self.b;
        let more = b.op("arith.ori", &[bytes, b.int(Elem::I64, STEP - 1)], Elem::I64);
        let more = b.op("arith.addi", &[more, b.int(Elem::I64, 1)], Elem::I64);
        let run = b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
        let mut arguments = vec![run, b.int(Elem::I64, memory as i64), more];
        arguments.extend(leaves.iter().map(|leaf| leaf.ptr));
        let none = b.op_typed("llvm.mlir.zero", &[], &[], b.common.ptr);
        arguments.resize(3 + APART, none);
        let piece = self.call_pointer_typed(std::mem::offset_of!(Frame, memory), &arguments, b.common.ptr);
        let null = b.compare("arith.cmpi", EQUAL, b.op("llvm.ptrtoint", &[piece], Elem::I64), b.int(Elem::I64, 0));
        self.leave_if(null);
        let b = self.b;
        b.effect("llvm.store", &[piece, at], &[]);
        b.store(Elem::I64, more, most);
        self.jump(on);
        self.b.block = on;
        self.b.load_ptr(at)
    }

    /// New elements.
    fn make_rows(
        &mut self,
        ins: &Ins,
        views: &[Seen<'c>],
        (row, turned): (&Row<'c>, &[usize]),
        inner: &[usize],
        slow: BlockRef<'c, 'c>,
    ) {
        let axes = self.axes(ins.a).expect("a view whose axes are known");
        let b = self.b;
        let one = b.int(Elem::I64, 1);
        let length = |axis: usize| {
            let lengths = views.iter().filter_map(|seen| {
                let lead = axes - seen.shape.len();
                (axis >= lead).then(|| seen.shape[axis - lead])
            });
            lengths.reduce(|n, m| b.select(b.compare("arith.cmpi", EQUAL, n, one), m, n)).expect("the longest view")
        };
        let shape: Vec<V<'c>> = (0..axes).map(length).collect();
        let leaves = self.leaves(views, &shape, slow);
        let size = self.count(&shape, slow);
        let none = self.b.compare("arith.cmpi", EQUAL, size, self.b.int(Elem::I64, 0));
        self.unlikely(none, slow);
        let elem = self.elem(ins, inner);
        self.worked(1 + self.maps(inner), size);
        let memory = if ins.op == Op::Copy { ins.c } else { ins.d };
        let to = self.packed(memory, &shape, size, elem, &leaves);
        self.go_through(&Rows { elem, shape: &shape, leaves: &leaves, turned, row, to: &to, update: None });
        self.set_view(ins.a, &Seen { ptr: to.ptr, shape, strides: to.strides });
    }

    /// Those elements of a vector that another one tells.
    pub(super) fn take(&mut self, n: usize, ins: &Ins, from: &Seen<'c>, of: &Seen<'c>) {
        let elem = match ins.e {
            8 => Elem::I64,
            4 => Elem::I32,
            2 => Elem::I16,
            _ => Elem::I8,
        };
        let (slow, done) = (self.new_block(), self.new_block());
        let leaves = [from, of].map(|seen| Leaf { ptr: seen.ptr, strides: seen.strides.clone() });
        let (length, shape) = (from.shape[0], of.shape.clone());
        let size = self.count(&shape, slow);
        for n in [size, length] {
            self.unlikely(self.b.compare("arith.cmpi", EQUAL, n, self.b.int(Elem::I64, 0)), slow);
        }
        self.worked(1, size);
        let to = self.packed(ins.d, &shape, size, elem, &leaves);
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let out = b.for_state(int(0), size, int(1), &[b.int(Elem::I1, 0)], |b, i, out| {
            let at = b.offset(of.ptr, b.op("arith.muli", &[i, of.strides[0]], Elem::I64), Elem::I8);
            let index = self.load_at(b, Elem::I64, at);
            let from_end = b.op("arith.addi", &[index, length], Elem::I64);
            let index = b.select(b.compare("arith.cmpi", LESS, index, int(0)), from_end, index);
            let outside = b.compare("arith.cmpi", NOT_BELOW, index, length);
            let index = b.select(outside, int(0), index);
            let at = b.offset(from.ptr, b.op("arith.muli", &[index, from.strides[0]], Elem::I64), Elem::I8);
            let attributes = self.memory(elem, self.scopes.elements, self.scopes.log);
            b.effect("llvm.store", &[self.load_at(b, elem, at), b.offset(to.ptr, i, elem)], &attributes);
            vec![b.op("arith.ori", &[out[0], outside], Elem::I1)]
        });
        self.leave_if(out[0]);
        self.set_view(ins.a, &Seen { ptr: to.ptr, shape, strides: to.strides });
        self.jump(done);
        self.b.block = slow;
        for (r, seen) in [(ins.b, from), (ins.c, of)] {
            if let ViewPlace::Rooms(_) = &self.views[r as usize] {
                self.put_seen(r as usize, seen);
            }
        }
        self.called(n);
        self.take_view(ins.a as usize);
        self.jump(done);
        self.b.block = done;
    }

    /// Elements one behind the other in an instruction's memory.
    fn packed(&mut self, memory: u16, shape: &[V<'c>], size: V<'c>, elem: Elem, leaves: &[Leaf<'c>]) -> Leaf<'c> {
        let item = self.b.int(Elem::I64, elem.bytes() as i64);
        let bytes = self.surely("arith.muli", [size, item]);
        let ptr = self.memory_for(memory, bytes, leaves);
        let item = self.b.int(Elem::I64, elem.bytes() as i64);
        let mut strides = vec![item; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = self.surely("arith.muli", [strides[axis], shape[axis]]);
        }
        Leaf { ptr, strides }
    }

    /// An update or an assignment.
    fn write_rows(
        &mut self,
        n: usize,
        ins: &Ins,
        views: &[Seen<'c>],
        (row, turned): (&Row<'c>, &[usize]),
        inner: &[usize],
        [slow, done]: [BlockRef<'c, 'c>; 2],
    ) {
        let Seen { ptr, shape, strides } = self.view(ins.a, 0);
        let to = Leaf { ptr, strides };
        let leaves = self.leaves(views, &shape, slow);
        let size = self.count(&shape, slow);
        let none = self.b.compare("arith.cmpi", EQUAL, size, self.b.int(Elem::I64, 0));
        self.go_if(none, done);
        let elem = self.elem(ins, inner);
        let mut crosses = self.b.int(Elem::I1, 0);
        // The same of leaves that do not run backwards.
        let mut others_cross = crosses;
        let (to_low, to_high) = self.span(&to, &shape, elem);
        for (k, leaf) in leaves.iter().enumerate() {
            let same = self.same(leaf, &to);
            if let (Op::Assign, Row::Leaf(_)) = (ins.op, row) {
                self.go_if(same, done);
            }
            let (low, high) = self.span(leaf, &shape, elem);
            let b = self.b;
            let before = b.compare("arith.cmpi", LESS_EQUAL, high, to_low);
            let after = b.compare("arith.cmpi", LESS_EQUAL, to_high, low);
            let fine = b.op("arith.ori", &[b.op("arith.ori", &[before, after], Elem::I1), same], Elem::I1);
            let bad = b.op("arith.xori", &[fine, b.int(Elem::I1, 1)], Elem::I1);
            crosses = b.op("arith.ori", &[crosses, bad], Elem::I1);
            if !turned.contains(&k) {
                others_cross = b.op("arith.ori", &[others_cross, bad], Elem::I1);
            }
        }
        let may_cross = self.read(n).iter().any(|&r| self.chains.may_cross(r, ins.a));
        // What must not be written at once has memory: that of the chain's last map.
        let last = match (self.chains.maker(n, ins.b), row) {
            (Some(last), Row::Map(..)) if leaves.len() <= APART && may_cross => Some(last),
            _ => None,
        };
        if last.is_none() {
            self.unlikely(crosses, slow);
        }
        self.note_rows(n, &to, &shape, size, elem, slow);
        self.worked(1 + self.maps(inner), size);
        let update = match ins.op {
            Op::Assign => None,
            _ => Some(Map::numbered(ins.c).expect("an operation that `check` accepts")),
        };
        let at_once = Rows { elem, shape: &shape, leaves: &leaves, turned, row, to: &to, update };
        if let Some(last) = last {
            let (apart, on) = (self.new_block(), self.new_block());
            self.branch("llvm.cond_br", &[crosses], &[apart, on], Some([1, 100]));
            self.b.block = apart;
            if let (&[k], 1) = (turned, shape.len()) {
                let (by_pairs, at_last) = (self.new_block(), self.new_block());
                let alone = self.b.op("arith.xori", &[others_cross, self.b.int(Elem::I1, 1)], Elem::I1);
                let mirrored = self.both(alone, self.is_mirrored(&at_once, k));
                self.jump_if(mirrored, by_pairs, at_last);
                self.b.block = by_pairs;
                self.mirrored(&at_once, k);
                self.jump(done);
                self.b.block = at_last;
            }
            let packed = self.packed(self.program.code[last].d, &shape, size, elem, &leaves);
            self.go_through(&Rows { to: &packed, update: None, ..at_once });
            self.go_through(&Rows { leaves: &[packed], turned: &[], row: &Row::Leaf(0), ..at_once });
            self.jump(done);
            self.b.block = on;
        }
        self.go_through(&at_once);
    }

    /// From which address to which the elements of a leaf lie.
    pub(super) fn span(&self, leaf: &Leaf<'c>, shape: &[V<'c>], elem: Elem) -> (V<'c>, V<'c>) {
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let mut low = b.op("llvm.ptrtoint", &[leaf.ptr], Elem::I64);
        let mut high = b.op("arith.addi", &[low, int(elem.bytes() as i64)], Elem::I64);
        for (&n, &stride) in shape.iter().zip(&leaf.strides) {
            let reach = b.op("arith.muli", &[stride, b.op("arith.subi", &[n, int(1)], Elem::I64)], Elem::I64);
            low = b.op("arith.addi", &[low, b.op("arith.minsi", &[reach, int(0)], Elem::I64)], Elem::I64);
            high = b.op("arith.addi", &[high, b.op("arith.maxsi", &[reach, int(0)], Elem::I64)], Elem::I64);
        }
        (low, high)
    }

    /// Whether two leaves are the same elements in the same order. (Where it says no, they may still be: of one element.)
    fn same(&self, x: &Leaf<'c>, y: &Leaf<'c>) -> V<'c> {
        let b = self.b;
        let address = |leaf: &Leaf<'c>| b.op("llvm.ptrtoint", &[leaf.ptr], Elem::I64);
        let begin = b.compare("arith.cmpi", EQUAL, address(x), address(y));
        let steps = x.strides.iter().zip(&y.strides);
        steps.fold(begin, |same, (&x, &y)| self.both(same, b.compare("arith.cmpi", EQUAL, x, y)))
    }

    /// Notes the elements of a view that is about to be written; goes to `slow` where there is no room. What this instruction has
    /// noted of a row since machine code was called is not noted again: taken back are all rounds since then.
    pub(super) fn note_rows(
        &mut self,
        n: usize,
        to: &Leaf<'c>,
        shape: &[V<'c>],
        size: V<'c>,
        elem: Elem,
        slow: BlockRef<'c, 'c>,
    ) {
        let (whole, axes) = (shape[shape.len() - 1], shape.len());
        let stride = to.strides[axes - 1];
        let on = self.new_block();
        let (mut ptr, mut length) = (to.ptr, whole);
        let noted = self.noted.get(&n).copied().filter(|_| axes == 1);
        if let Some([at, most, step]) = noted {
            let b = self.b;
            let same = |x, room| b.compare("arith.cmpi", EQUAL, x, b.load(Elem::I64, room));
            let begins = same(b.op("llvm.ptrtoint", &[ptr], Elem::I64), at);
            let again = self.both(begins, same(stride, step));
            let before = b.select(again, b.load(Elem::I64, most), b.int(Elem::I64, 0));
            length = b.op("arith.subi", &[whole, before], Elem::I64);
            self.go_if(b.compare("arith.cmpi", LESS_EQUAL, length, b.int(Elem::I64, 0)), on);
            ptr = self.stepped(ptr, before, stride);
        }
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let old = size_of::<Old>() as i64;
        let bytes = self.surely("arith.muli", [length, int(elem.bytes() as i64)]);
        let places = b.op("arith.divui", &[self.surely("arith.addi", [bytes, int(old - 1)]), int(old)], Elem::I64);
        let data = self.surely("arith.muli", [places, int(old)]);
        let each = self.surely("arith.addi", [data, int(2 * old)]);
        let all = match axes {
            1 => each,
            _ => self.surely("arith.muli", [each, b.op("arith.divui", &[size, length], Elem::I64)]),
        };
        let field = self.field(std::mem::offset_of!(Frame, room));
        let room = b.op("arith.subi", &[b.load(Elem::I64, field), all], Elem::I64);
        self.unlikely(b.compare("arith.cmpi", LESS, room, int(0)), slow);
        let b = self.b;
        b.store(Elem::I64, room, field);
        self.for_rows(&b, &shape[..axes - 1], std::slice::from_ref(to), &[ptr], &mut |b, ptrs| {
            self.note_row(b, ptrs[0], stride, length, data, elem);
        });
        if let Some([at, most, step]) = noted {
            b.store(Elem::I64, b.op("llvm.ptrtoint", &[to.ptr], Elem::I64), at);
            b.store(Elem::I64, whole, most);
            b.store(Elem::I64, stride, step);
        }
        self.jump(on);
        self.b.block = on;
    }

    /// Notes a row: its elements, and behind them where they were. (See `Log` of the runtime.)
    fn note_row(&self, b: &Build<'c, 'b>, ptr: V<'c>, stride: V<'c>, n: V<'c>, data: V<'c>, elem: Elem) {
        let elem = match elem {
            Elem::F64 => Elem::I64,
            Elem::F32 => Elem::I32,
            other => other,
        };
        let log = b.load_ptr(self.log);
        let attributes = self.memory(Elem::I64, self.scopes.log, self.scopes.elements);
        let store =
            |value, at, bytes: usize| b.effect("llvm.store", &[value, b.offset_bytes(at, bytes as i32)], &attributes);
        let end = b.offset(log, data, Elem::I8);
        // (Elements may end within a place.)
        let before = b.offset_bytes(end, -(size_of::<Old>() as i32));
        let zero = b.int(Elem::I64, 0);
        store(zero, before, 0);
        store(zero, before, 8);
        let leaf = Leaf { ptr, strides: vec![stride] };
        let to = Leaf { ptr: log, strides: vec![b.int(Elem::I64, elem.bytes() as i64)] };
        let rows = Rows { elem, shape: &[n], leaves: &[leaf], turned: &[], row: &Row::Leaf(0), to: &to, update: None };
        self.rows(b, &rows, true);
        let address = b.op("llvm.ptrtoint", &[ptr], Elem::I64);
        let tag = b.int(Elem::I64, ((OLD_ROW | elem.bytes() as u64) << OLD_BYTES) as i64);
        store(stride, end, 0);
        store(n, end, 8);
        store(b.op("arith.ori", &[address, tag], Elem::I64), end, size_of::<Old>());
        store(zero, end, size_of::<Old>() + 8);
        b.effect("llvm.store", &[b.offset_bytes(end, 2 * size_of::<Old>() as i32), self.log], &[]);
    }

    fn go_through(&self, rows: &Rows<'c, '_>) {
        self.rows(&self.b, rows, false);
    }

    /// Computes and writes all elements.
    fn rows(&self, b: &Build<'c, 'b>, rows: &Rows<'c, '_>, noted: bool) {
        let axes = rows.shape.len();
        let mut all = rows.leaves.to_vec();
        all.push(rows.to.clone());
        let item = b.int(Elem::I64, rows.elem.bytes() as i64);
        let unit = |leaf: &Leaf<'c>| b.compare("arith.cmpi", EQUAL, leaf.strides[axes - 1], item);
        let both = |x, y| b.op("arith.andi", &[x, y], Elem::I1);
        let units = all.iter().map(unit).reduce(both).expect("what is written");
        let ptrs: Vec<V<'c>> = all.iter().map(|leaf| leaf.ptr).collect();
        let go = |b: &Build<'c, 'b>, way: Way| {
            self.for_rows(b, &rows.shape[..axes - 1], &all, &ptrs, &mut |b, ptrs| {
                self.one_row(b, rows, ptrs, way, noted);
            });
            Vec::new()
        };
        let other = |b: &Build<'c, 'b>| match rows.row {
            // (There is nothing to compute.)
            Row::Leaf(_) if rows.update.is_none() => go(b, Way::Single),
            _ => b.if_else(unit(rows.to), |b| go(b, Way::Gathered), |b| go(b, Way::Single)),
        };
        let back = b.int(Elem::I64, -(rows.elem.bytes() as i64));
        let fits = |(k, leaf): (usize, &Leaf<'c>)| match rows.turned.contains(&k) {
            true => b.compare("arith.cmpi", EQUAL, leaf.strides[axes - 1], back),
            false => unit(leaf),
        };
        let turned = |b: &Build<'c, 'b>| match rows.turned {
            [] => other(b),
            _ => {
                let all = all.iter().enumerate().map(fits).reduce(both).expect("what is written");
                b.if_else(all, |b| go(b, Way::Turned), other)
            }
        };
        b.if_else(units, |b| go(b, Way::Vectors), turned);
    }

    /// Calls `f` with where each row of some leaves begins.
    fn for_rows(
        &self,
        b: &Build<'c, 'b>,
        outer: &[V<'c>],
        leaves: &[Leaf<'c>],
        ptrs: &[V<'c>],
        f: &mut dyn FnMut(&Build<'c, 'b>, &[V<'c>]),
    ) {
        let Some((&n, further)) = outer.split_first() else { return f(b, ptrs) };
        let int = |n: i64| b.int(Elem::I64, n);
        b.for_each(int(0), n, int(1), |b, i| {
            let step = |(leaf, &ptr): (&Leaf<'c>, &V<'c>)| {
                let stride = leaf.strides[leaf.strides.len() - 1 - outer.len()];
                b.offset(ptr, b.op("arith.muli", &[i, stride], Elem::I64), Elem::I8)
            };
            let ptrs: Vec<V<'c>> = leaves.iter().zip(ptrs).map(step).collect();
            self.for_rows(b, further, leaves, &ptrs, f);
        });
    }

    /// Computes and writes a row. `ptrs`: where the leaves begin, and what is written.
    fn one_row(&self, b: &Build<'c, 'b>, rows: &Rows<'c, '_>, ptrs: &[V<'c>], way: Way, noted: bool) {
        let (elem, axes) = (rows.elem, rows.shape.len());
        let n = rows.shape[axes - 1];
        let int = |n: i64| b.int(Elem::I64, n);
        // Leaf number `k` from element `i` on; the last is what is written.
        let at = |b: &Build<'c, 'b>, k: usize, i: V<'c>, way: Way| {
            if way == Way::Turned && rows.turned.contains(&k) {
                let one = b.with_lanes(1);
                let last = one.op("arith.addi", &[i, one.int(Elem::I64, b.lanes as i64 - 1)], Elem::I64);
                let back = one.op("arith.subi", &[one.int(Elem::I64, 0), last], Elem::I64);
                return b.offset(ptrs[k], back, elem);
            }
            if matches!(way, Way::Vectors | Way::Turned) || way == Way::Gathered && k == rows.leaves.len() {
                return b.offset(ptrs[k], i, elem);
            }
            let stride = rows.leaves.get(k).unwrap_or(rows.to).strides[axes - 1];
            let one = b.with_lanes(1);
            one.offset(ptrs[k], one.op("arith.muli", &[i, stride], Elem::I64), Elem::I8)
        };
        let load = |b: &Build<'c, 'b>, k: usize, i: V<'c>| {
            let first = at(b, k, i, way);
            if b.lanes == 1 || way == Way::Vectors || k == rows.leaves.len() {
                return self.load_at(b, elem, first);
            }
            if way == Way::Turned {
                let vector = self.load_at(b, elem, first);
                let back: Vec<i32> = (0..b.lanes as i32).rev().collect();
                return if rows.turned.contains(&k) { b.shuffle(elem, vector, vector, &back) } else { vector };
            }
            let one = b.with_lanes(1);
            let mut place = first;
            (0..b.lanes).fold(b.poison(elem), |vector, lane| {
                if lane > 0 {
                    place = one.offset(place, rows.leaves[k].strides[axes - 1], Elem::I8);
                }
                b.insert(vector, self.load_at(&one, elem, place), lane)
            })
        };
        let element = |b: &Build<'c, 'b>, row: &Row<'c>, i: V<'c>| {
            let mut value = self.value(b, elem, row, &|k| load(b, k, i));
            let last = rows.leaves.len();
            if let Some(map) = rows.update {
                value = b.op(operation(map), &[load(b, last, i), value], elem);
            }
            let (mine, others) = match noted {
                true => (self.scopes.log, self.scopes.elements),
                false => (self.scopes.elements, self.scopes.log),
            };
            b.effect("llvm.store", &[value, at(b, last, i, way)], &self.memory(elem, mine, others));
        };
        let mut first = int(0);
        if way != Way::Single {
            let lanes = self.vector_bytes / elem.bytes();
            let row = rows.row.spread(&b.with_lanes(lanes), elem);
            let whole = b.op("arith.andi", &[n, int(-(lanes as i64))], Elem::I64);
            b.for_each(first, whole, int(lanes as i64), |b, i| element(&b.with_lanes(lanes), &row, i));
            first = whole;
        }
        b.for_each(first, n, int(1), |b, i| element(b, rows.row, i));
    }

    pub(super) fn value(&self, b: &Build<'c, 'b>, elem: Elem, row: &Row<'c>, leaf: &dyn Fn(usize) -> V<'c>) -> V<'c> {
        match row {
            Row::Leaf(k) => leaf(*k),
            Row::Number(value) => *value,
            Row::Map(map, x, y) => {
                let x = self.value(b, elem, x, leaf);
                b.op(operation(*map), &[x, self.value(b, elem, y, leaf)], elem)
            }
        }
    }

    pub(super) fn load_at(&self, b: &Build<'c, 'b>, e: Elem, at: V<'c>) -> V<'c> {
        let attributes = self.memory(e, self.scopes.elements, self.scopes.log);
        b.op_typed("llvm.load", &[at], &attributes, b.ty(e))
    }
}
