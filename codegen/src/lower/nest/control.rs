//! Blocks, jumps, ends of rounds, and ranges.

use super::*;

impl<'c> Nest<'c, '_> {
    pub(super) fn new_block(&self) -> BlockRef<'c, 'c> {
        self.region.append_block(Block::new(&[]))
    }

    pub(super) fn made(&self, place: &Cell<Option<BlockRef<'c, 'c>>>) -> BlockRef<'c, 'c> {
        place.get().unwrap_or_else(|| {
            let block = self.new_block();
            place.set(Some(block));
            block
        })
    }

    pub(super) fn target(&self, n: usize) -> BlockRef<'c, 'c> {
        let of_round = self.fast.as_ref().and_then(|fast| fast.blocks.get(&n)).copied();
        of_round.or(self.blocks[n]).expect("a block for every target")
    }

    pub(super) fn branch(&self, name: &str, operands: &[V<'c>], to: &[BlockRef<'c, 'c>], weights: Option<[i32; 2]>) {
        let common = self.b.common;
        let mut builder = OperationBuilder::new(name, common.location).add_operands(operands);
        for block in to {
            builder = builder.add_successors(&[block]);
        }
        if !operands.is_empty() {
            let segments = DenseI32ArrayAttribute::new(common.context, &[1, 0, 0]).into();
            builder = builder.add_attributes(&[(common.name("operandSegmentSizes"), segments)]);
        }
        if let Some(weights) = weights {
            let weights = DenseI32ArrayAttribute::new(common.context, &weights).into();
            builder = builder.add_attributes(&[(common.name("branch_weights"), weights)]);
        }
        self.b.block.append_operation(builder.build().expect("a branch"));
    }

    pub(super) fn jump(&self, to: BlockRef<'c, 'c>) {
        self.branch("llvm.br", &[], &[to], None);
    }

    pub(super) fn jump_if(&self, condition: V<'c>, yes: BlockRef<'c, 'c>, no: BlockRef<'c, 'c>) {
        self.branch("llvm.cond_br", &[condition], &[yes, no], None);
    }

    /// Goes on in a new block unless the condition holds, which it hardly ever does.
    pub(super) fn unlikely(&mut self, condition: V<'c>, to: BlockRef<'c, 'c>) {
        let on = self.new_block();
        self.branch("llvm.cond_br", &[condition], &[to, on], Some([1, 4000]));
        self.b.block = on;
    }

    /// Goes on in a new block unless the condition holds.
    pub(super) fn go_if(&mut self, condition: V<'c>, to: BlockRef<'c, 'c>) {
        let on = self.new_block();
        self.jump_if(condition, to, on);
        self.b.block = on;
    }

    pub(super) fn leave_if(&mut self, condition: V<'c>) {
        let gone = self.way.borrow().as_ref().and_then(|way| way.gone);
        let condition = gone.map_or(condition, |gone| self.both(condition, gone));
        self.unlikely(condition, self.made(&self.leave));
    }

    pub(super) fn field(&self, at: usize) -> V<'c> {
        self.b.offset_bytes(self.frame, at as i32)
    }

    /// Leaves the function.
    pub(super) fn end(&self, how: u64) {
        let b = self.b;
        self.put_log();
        b.store(Elem::I64, b.load(Elem::I64, self.left), self.field(std::mem::offset_of!(Frame, rounds)));
        b.store(Elem::I64, b.load(Elem::I64, self.fuel), self.field(std::mem::offset_of!(Frame, fuel)));
        b.effect("llvm.return", &[b.int(Elem::I64, how as i64)], &[]);
    }

    /// The end of so many rounds.
    pub(super) fn end_rounds(&mut self, rounds: i64) {
        let b = self.b;
        let next = b.load(Elem::I64, self.next);
        let step = b.load(Elem::I64, self.field(std::mem::offset_of!(Frame, step)));
        let by = if rounds == 1 { step } else { b.op("arith.muli", &[step, b.int(Elem::I64, rounds)], Elem::I64) };
        b.store(Elem::I64, b.op("arith.addi", &[next, by], Elem::I64), self.next);
        let left = self.less(self.left, rounds);
        let fuel = self.less(self.fuel, rounds);
        let zero = b.int(Elem::I64, 0);
        let last = b.load(Elem::I64, self.field(std::mem::offset_of!(Frame, last)));
        let fresh = self.both(b.compare("arith.cmpi", EQUAL, last, zero), b.compare("arith.cmpi", GREATER, fuel, zero));
        let go_on = self.both(b.compare("arith.cmpi", GREATER, left, zero), fresh);
        let done = self.new_block();
        self.jump_if(go_on, self.head, done);
        self.b.block = done;
        for &r in &self.program.kept_ints {
            self.put_int(r);
        }
        for &r in &self.program.kept_floats {
            self.put_float(r);
        }
        self.end(GO_ON);
    }

    fn less(&self, room: V<'c>, by: i64) -> V<'c> {
        let b = self.b;
        let less = b.op("arith.subi", &[b.load(Elem::I64, room), b.int(Elem::I64, by)], Elem::I64);
        b.store(Elem::I64, less, room);
        less
    }

    /// Counts a jump back.
    pub(super) fn count_jump(&mut self) {
        let fuel = self.less(self.fuel, 1);
        let out = self.b.compare("arith.cmpi", LESS_EQUAL, fuel, self.b.int(Elem::I64, 0));
        let (refuel, on) = (self.new_block(), self.new_block());
        self.branch("llvm.cond_br", &[out], &[refuel, on], Some([1, 4000]));
        self.b.block = refuel;
        let run = self.b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
        self.call_back(std::mem::offset_of!(Frame, refuel), &[run]);
        self.jump(on);
        self.b.block = on;
    }

    pub(super) fn both(&self, x: V<'c>, y: V<'c>) -> V<'c> {
        self.b.op("arith.andi", &[x, y], Elem::I1)
    }

    /// The next number of a range goes to register `to`. (The range's own register has the last one here, not the next, so that
    /// LLVM sees one number that is counted up.)
    pub(super) fn next_number(&self, range: u16, to: u16, first: bool) {
        let b = self.b;
        let operands = [self.int(range), self.int(range + 1)];
        // (There is such a number, but before the first one there may be none.)
        let next = if first { b.op("arith.addi", &operands, Elem::I64) } else { self.surely("arith.addi", operands) };
        self.set_int(range, next);
        self.set_int(to, next);
        let one = b.int(Elem::I64, 1);
        self.set_int(range + 2, b.op("arith.subi", &[self.int(range + 2), one], Elem::I64));
    }

    pub(super) fn has_next(&self, range: u16) -> V<'c> {
        self.b.compare("arith.cmpi", NOT_EQUAL, self.int(range + 2), self.b.int(Elem::I64, 0))
    }

    /// A range with a step that is known.
    pub(super) fn start_range(&mut self, ins: &Ins, step: i64) {
        let (start, stop) = (self.int(ins.b), self.int(ins.c));
        let (low, high) = if step > 0 { (start, stop) } else { (stop, start) };
        let wide = match self.bits(ins.b).max(self.bits(ins.c)) < 62 {
            true => self.surely("arith.subi", [high, low]),
            false => self.checked("ssub", high, low),
        };
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let none = b.compare("arith.cmpi", LESS_EQUAL, wide, int(0));
        let by = step.unsigned_abs() as i64;
        let last = b.op("arith.subi", &[wide, int(1)], Elem::I64);
        let whole = if by == 1 { last } else { b.op("arith.divui", &[last, int(by)], Elem::I64) };
        let left = b.select(none, int(0), b.op("arith.addi", &[whole, int(1)], Elem::I64));
        self.set_int(ins.a, b.op("arith.subi", &[start, int(step)], Elem::I64));
        self.set_int(ins.a + 1, int(step));
        self.set_int(ins.a + 2, left);
    }
}
