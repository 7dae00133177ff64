//! Views and their elements.

use super::*;

/// How many axes the views in each register have; `None` where they have now these and now others, or that is not known.
pub(super) fn axes(program: &Program) -> Vec<Option<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Axes {
        Unseen,
        Always(usize),
        Mixed,
    }
    let mut all = vec![Axes::Unseen; program.views];
    let meet = |now: Axes, with: Axes| match (now, with) {
        (Axes::Unseen, other) | (other, Axes::Unseen) => other,
        (Axes::Always(a), Axes::Always(b)) if a == b => now,
        _ => Axes::Mixed,
    };
    for given in &program.arrays {
        all[given.register] = meet(all[given.register], Axes::Always(given.axes));
    }
    loop {
        let before = all.clone();
        for ins in &program.code {
            if !ins.op.writes_first() || !matches!(ins.named().next(), Some((Operand::View, _))) {
                continue;
            }
            let of = |r: u16| before[r as usize];
            let made = match ins.op {
                Op::MoveView | Op::Transpose | Op::Copy | Op::Full => of(ins.b),
                Op::Index => match of(ins.b) {
                    Axes::Always(axes) => {
                        let items = &program.items[ins.c as usize..][..ins.d as usize];
                        let count = |f: fn(&Item) -> bool| items.iter().filter(|i| f(i)).count();
                        let (ints, new) = (count(|i| matches!(i, Item::Int(_))), count(|i| matches!(i, Item::New)));
                        let named = items.len() - new;
                        if named <= axes && axes - ints + new <= AXES {
                            Axes::Always(axes - ints + new)
                        } else {
                            Axes::Mixed
                        }
                    }
                    other => other,
                },
                Op::MapF64 | Op::MapF32 => match (of(ins.b), of(ins.c)) {
                    (Axes::Always(a), Axes::Always(b)) => Axes::Always(a.max(b)),
                    (Axes::Mixed, _) | (_, Axes::Mixed) => Axes::Mixed,
                    _ => Axes::Unseen,
                },
                Op::NumberF64 | Op::NumberF32 => Axes::Always(0),
                Op::Take => Axes::Always(1),
                Op::MatmulF64 | Op::MatmulF32 => match (of(ins.b), of(ins.c)) {
                    (Axes::Always(a), Axes::Always(b)) if a + b >= 2 => Axes::Always(a + b - 2),
                    (Axes::Unseen, _) | (_, Axes::Unseen) => Axes::Unseen,
                    _ => Axes::Mixed,
                },
                _ => Axes::Mixed,
            };
            all[ins.a as usize] = meet(all[ins.a as usize], made);
        }
        if all == before {
            let known = |a: Axes| match a {
                Axes::Always(n) => Some(n),
                _ => None,
            };
            return all.into_iter().map(known).collect();
        }
    }
}

/// A view from the registers' own memory.
pub(super) fn filed<'c>(b: Build<'c, '_>, file: V<'c>, r: usize, axes: usize) -> Seen<'c> {
    let at = |bytes: usize| b.offset_bytes(file, (r * view::BYTES + bytes) as i32);
    let numbers = |from: usize| (0..axes).map(|k| b.load(Elem::I64, at(from + 8 * k))).collect();
    Seen { ptr: b.load_ptr(at(view::PTR)), shape: numbers(view::SHAPE), strides: numbers(view::STRIDES) }
}

impl<'c> Nest<'c, '_> {
    /// A view with its first axes, or all that are known.
    pub(super) fn view(&self, v: u16, first: usize) -> Seen<'c> {
        match &self.views[v as usize] {
            ViewPlace::Stays(seen) => seen.clone(),
            ViewPlace::Rooms(rooms) => {
                let numbers = |rooms: &[V<'c>]| rooms.iter().map(|&room| self.b.load(Elem::I64, room)).collect();
                Seen { ptr: self.b.load_ptr(rooms.ptr), shape: numbers(&rooms.shape), strides: numbers(&rooms.strides) }
            }
            ViewPlace::File => filed(self.b, self.view_file, v as usize, first),
        }
    }

    /// The number of axes, if that is known.
    pub(super) fn axes(&self, v: u16) -> Option<usize> {
        match &self.views[v as usize] {
            ViewPlace::Stays(seen) | ViewPlace::Rooms(seen) => Some(seen.shape.len()),
            ViewPlace::File => None,
        }
    }

    pub(super) fn set_view(&self, v: u16, view: &Seen<'c>) {
        let ViewPlace::Rooms(rooms) = &self.views[v as usize] else { unreachable!("a view that the code makes") };
        self.b.effect("llvm.store", &[view.ptr, rooms.ptr], &[]);
        let pairs = view.shape.iter().zip(&rooms.shape).chain(view.strides.iter().zip(&rooms.strides));
        pairs.for_each(|(&value, &room)| self.b.store(Elem::I64, value, room));
    }

    /// Puts a view into its memory. (Those that stay are there.)
    pub(super) fn put_view(&self, v: usize) {
        if let ViewPlace::Rooms(_) = &self.views[v] {
            self.put_seen(v, &self.view(v as u16, 0));
        }
    }

    pub(super) fn put_seen(&self, v: usize, seen: &Seen<'c>) {
        let b = self.b;
        let at = |bytes: usize| b.offset_bytes(self.view_file, (v * view::BYTES + bytes) as i32);
        b.effect("llvm.store", &[seen.ptr, at(view::PTR)], &[]);
        b.store(Elem::I64, b.int(Elem::I64, seen.shape.len() as i64), at(view::AXES));
        for (k, (&n, &stride)) in seen.shape.iter().zip(&seen.strides).enumerate() {
            b.store(Elem::I64, n, at(view::SHAPE + 8 * k));
            b.store(Elem::I64, stride, at(view::STRIDES + 8 * k));
        }
    }

    /// An index from the front; leaves the round where it is out of bounds.
    pub(super) fn wrapped(&mut self, i: V<'c>, n: V<'c>) -> V<'c> {
        let b = self.b;
        let from_end = b.op("arith.addi", &[i, n], Elem::I64);
        let negative = b.compare("arith.cmpi", LESS, i, b.int(Elem::I64, 0));
        let i = b.select(negative, from_end, i);
        self.leave_if(b.compare("arith.cmpi", NOT_BELOW, i, n));
        i
    }

    /// The same where it is worth the instructions that what is within bounds takes no other way than to be compared.
    fn wrapped_apart(&mut self, i: V<'c>, n: V<'c>) -> V<'c> {
        let from_end = self.b.op("arith.addi", &[i, n], Elem::I64);
        let location = self.b.common.location;
        let on = self.region.append_block(Block::new(&[(self.b.ty(Elem::I64), location)]));
        let goes_on = |block: BlockRef<'c, 'c>, i: V<'c>| {
            let jump = OperationBuilder::new("llvm.br", location).add_operands(&[i]).add_successors(&[&on]);
            block.append_operation(jump.build().expect("a branch"));
        };
        let outside = self.new_block();
        self.unlikely(self.b.compare("arith.cmpi", NOT_BELOW, i, n), outside);
        goes_on(self.b.block, i);
        self.b.block = outside;
        // (What is too large is so from the end, too.)
        self.leave_if(self.b.compare("arith.cmpi", NOT_BELOW, from_end, n));
        goes_on(self.b.block, from_end);
        self.b.block = on;
        on.argument(0).expect("an index").into()
    }

    /// The address of an element; leaves the round where it is out of bounds.
    pub(super) fn address(&mut self, v: u16, indices: &[u16]) -> V<'c> {
        let seen = self.view(v, indices.len());
        let mut at = seen.ptr;
        for (axis, &r) in indices.iter().enumerate() {
            let i = self.wrapped_in_rounds((v, axis, r), seen.shape[axis]);
            at = self.stepped(at, i, seen.strides[axis]);
        }
        at
    }

    /// An index from the front, which is compared once in foreseen rounds where several instructions use it.
    fn wrapped_in_rounds(&mut self, key: (u16, usize, u16), n: V<'c>) -> V<'c> {
        let i = self.int(key.2);
        // (What stays was compared before the rounds, which LLVM sees.)
        let changes = self.fast.as_ref().is_some_and(|fast| fast.written.contains(&key.2));
        if !changes || self.way.borrow().is_some() {
            return self.wrapped(i, n);
        }
        if let Some(&known) = self.fast.as_ref().and_then(|fast| fast.wrapped.get(&key)) {
            return known;
        }
        let i = self.wrapped_apart(i, n);
        if let Some(fast) = &mut self.fast {
            fast.wrapped.insert(key, i);
        }
        i
    }

    pub(super) fn stepped(&self, from: V<'c>, by: V<'c>, stride: V<'c>) -> V<'c> {
        self.b.offset(from, self.b.op("arith.muli", &[by, stride], Elem::I64), Elem::I8)
    }

    /// What some indices select of a view.
    pub(super) fn index(&mut self, ins: &Ins) {
        let from = self.view(ins.b, 0);
        let mut out = Seen { ptr: from.ptr, shape: Vec::new(), strides: Vec::new() };
        let mut axis = 0;
        for item in &self.program.items[ins.c as usize..][..ins.d as usize] {
            match *item {
                Item::New => {
                    out.shape.push(self.b.int(Elem::I64, 1));
                    out.strides.push(self.b.int(Elem::I64, 0));
                    continue;
                }
                Item::Int(r) => {
                    let i = self.wrapped(self.int(r), from.shape[axis]);
                    out.ptr = self.stepped(out.ptr, i, from.strides[axis]);
                }
                Item::Slice(start, stop, step) => {
                    let (start, count) = self.sliced(start, stop, step, from.shape[axis]);
                    let b = self.b;
                    let none = b.compare("arith.cmpi", EQUAL, count, b.int(Elem::I64, 0));
                    let first = b.select(none, b.int(Elem::I64, 0), start);
                    out.ptr = self.stepped(out.ptr, first, from.strides[axis]);
                    out.shape.push(count);
                    out.strides.push(b.op("arith.muli", &[from.strides[axis], b.int(Elem::I64, step)], Elem::I64));
                }
            }
            axis += 1;
        }
        out.shape.extend_from_slice(&from.shape[axis..]);
        out.strides.extend_from_slice(&from.strides[axis..]);
        self.set_view(ins.a, &out);
    }

    /// Where a slice of `n` elements begins and how many it has, as `slice.indices` of Python.
    pub(super) fn sliced(&self, start: Option<u16>, stop: Option<u16>, step: i64, n: V<'c>) -> (V<'c>, V<'c>) {
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let less = |x: V<'c>, y: V<'c>| b.compare("arith.cmpi", LESS, x, y);
        let last = b.op("arith.subi", &[n, int(1)], Elem::I64);
        let (low, high) = if step > 0 { (int(0), n) } else { (int(-1), last) };
        let clamped = |r: u16| {
            let i = self.int(r);
            let from_end = b.op("arith.addi", &[i, n], Elem::I64);
            let from_end = b.select(less(from_end, low), low, from_end);
            let from_start = b.select(less(high, i), high, i);
            b.select(less(i, int(0)), from_end, from_start)
        };
        let (first, end) = if step > 0 { (low, high) } else { (high, low) };
        let start = start.map_or(first, clamped);
        let stop = stop.map_or(end, clamped);
        let (from, to) = if step > 0 { (start, stop) } else { (stop, start) };
        let distance = b.op("arith.subi", &[to, from], Elem::I64);
        let by = step.unsigned_abs() as i64;
        let whole = b.op("arith.subi", &[distance, int(1)], Elem::I64);
        let whole = if by == 1 { whole } else { b.op("arith.divui", &[whole, int(by)], Elem::I64) };
        let count = b.op("arith.addi", &[whole, int(1)], Elem::I64);
        let none = b.compare("arith.cmpi", LESS_EQUAL, distance, int(0));
        (start, b.select(none, int(0), count))
    }

    /// The attributes of an access to memory.
    pub(super) fn memory(
        &self,
        e: Elem,
        mine: Attribute<'c>,
        others: Attribute<'c>,
    ) -> [(Identifier<'c>, Attribute<'c>); 3] {
        let common = self.b.common;
        [
            (common.name("alignment"), common.i64_attribute(e.bytes() as i64)),
            (common.name("alias_scopes"), mine),
            (common.name("noalias_scopes"), others),
        ]
    }

    pub(super) fn load_element(&self, e: Elem, at: V<'c>) -> V<'c> {
        let attributes = self.memory(e, self.scopes.elements, self.scopes.log);
        self.b.op_typed("llvm.load", &[at], &attributes, self.b.ty(e))
    }

    /// Notes what an element is, before it is written.
    pub(super) fn note(&self, at: V<'c>, item: Elem) {
        let b = self.b;
        let int = match item {
            Elem::F64 => Elem::I64,
            Elem::F32 => Elem::I32,
            other => other,
        };
        let old = self.load_element(int, at);
        let bits = if int == Elem::I64 { old } else { b.op("arith.extui", &[old], Elem::I64) };
        let address = b.op("llvm.ptrtoint", &[at], Elem::I64);
        let bytes = b.int(Elem::I64, (item.bytes() as i64) << OLD_BYTES);
        let place = b.op("arith.ori", &[address, bytes], Elem::I64);
        let log = b.load_ptr(self.log);
        let (mine, others) = (self.scopes.log, self.scopes.elements);
        for (value, at) in [(place, std::mem::offset_of!(Old, place)), (bits, std::mem::offset_of!(Old, bits))] {
            let attributes = self.memory(Elem::I64, mine, others);
            b.effect("llvm.store", &[value, b.offset_bytes(log, at as i32)], &attributes);
        }
        b.effect("llvm.store", &[b.offset_bytes(log, size_of::<Old>() as i32), self.log], &[]);
    }

    pub(super) fn load(&mut self, n: usize, ins: &Ins, indices: &[u16], item: Elem) {
        let value = self.carried_element(n, item).unwrap_or_else(|| {
            let at = self.known_address(n).unwrap_or_else(|| self.address(ins.b, indices));
            self.load_element(item, at)
        });
        match item {
            Elem::F64 => self.set_float(ins.a, value),
            Elem::F32 => self.set_float(ins.a, self.b.op("arith.extf", &[value], Elem::F64)),
            Elem::I64 => self.set_int(ins.a, value),
            other => {
                let zero = self.b.int(other, 0);
                self.set_truth(ins.a, self.b.compare("arith.cmpi", NOT_EQUAL, value, zero));
            }
        }
    }

    pub(super) fn store(&mut self, n: usize, ins: &Ins, indices: &[u16], item: Elem) {
        let at = self.known_address(n).unwrap_or_else(|| self.address(ins.b, indices));
        if !self.is_noted_before(n) {
            self.note(at, item);
        }
        let value = self.stored_value(ins, item);
        self.b.effect("llvm.store", &[value, at], &self.memory(item, self.scopes.elements, self.scopes.log));
        self.carry_on(n, item, value);
    }

    /// What an instruction stores.
    pub(super) fn stored_value(&self, ins: &Ins, item: Elem) -> V<'c> {
        let b = self.b;
        match item {
            Elem::F64 => self.float(ins.a),
            Elem::F32 => b.op("arith.truncf", &[self.float(ins.a)], Elem::F32),
            Elem::I64 => self.int(ins.a),
            other => {
                let truth = b.compare("arith.cmpi", NOT_EQUAL, self.int(ins.a), b.int(Elem::I64, 0));
                b.op("arith.extui", &[truth], other)
            }
        }
    }
}
