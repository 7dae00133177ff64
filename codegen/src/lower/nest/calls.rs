//! Calls of the interpreter and of its functions.

use super::*;

impl<'c> Nest<'c, '_> {
    pub(super) fn put_log(&self) {
        let log = self.b.load_ptr(self.log);
        self.b.effect("llvm.store", &[log, self.field(std::mem::offset_of!(Frame, log))], &[]);
    }

    /// Calls a function that the frame has at an offset.
    pub(super) fn call_pointer(&self, at: usize, arguments: &[V<'c>], result: Elem) -> V<'c> {
        self.call_pointer_typed(at, arguments, self.b.ty(result))
    }

    pub(super) fn call_pointer_typed(&self, at: usize, arguments: &[V<'c>], result: Type<'c>) -> V<'c> {
        let common = self.b.common;
        let function = self.b.load_ptr(self.field(at));
        let mut operands = vec![function];
        operands.extend_from_slice(arguments);
        let segments = DenseI32ArrayAttribute::new(common.context, &[operands.len() as i32, 0]).into();
        let attributes = [
            (common.name("operandSegmentSizes"), segments),
            (common.name("op_bundle_sizes"), DenseI32ArrayAttribute::new(common.context, &[]).into()),
        ];
        self.b.op_typed("llvm.call", &operands, &attributes, result)
    }

    /// Calls the interpreter, which may add to the log, use fuel, and end the round.
    pub(super) fn call_back(&mut self, at: usize, arguments: &[V<'c>]) {
        let b = self.b;
        self.put_log();
        let fuel = self.field(std::mem::offset_of!(Frame, fuel));
        b.store(Elem::I64, b.load(Elem::I64, self.fuel), fuel);
        let how = self.call_pointer(at, arguments, Elem::I64);
        let b = self.b;
        b.effect("llvm.store", &[b.load_ptr(self.field(std::mem::offset_of!(Frame, log))), self.log], &[]);
        b.store(Elem::I64, b.load(Elem::I64, fuel), self.fuel);
        let ended = b.compare("arith.cmpi", NOT_EQUAL, how, b.int(Elem::I64, GO_ON as i64));
        let (end, on) = (self.new_block(), self.new_block());
        self.branch("llvm.cond_br", &[ended], &[end, on], Some([1, 4000]));
        self.b.block = end;
        let is_long = self.b.compare("arith.cmpi", EQUAL, how, self.b.int(Elem::I64, LONG as i64));
        self.jump_if(is_long, self.made(&self.long), self.made(&self.leave));
        self.b.block = on;
    }

    /// Has the interpreter do an instruction.
    pub(super) fn call_for(&mut self, n: usize, ins: &Ins) {
        for (k, (kind, r)) in ins.named().enumerate() {
            match kind {
                Operand::Int if k > 0 => self.put_int(r),
                Operand::Float if k > 0 => self.put_float(r),
                Operand::View if k > 0 || !ins.op.writes_first() => self.put_view(r),
                Operand::Indices => {
                    let count = ins.d as usize;
                    for item in &self.program.items[r..r + count] {
                        match *item {
                            Item::Int(i) => self.put_int(i as usize),
                            Item::Slice(start, stop, _) => {
                                start.into_iter().chain(stop).for_each(|i| self.put_int(i as usize));
                            }
                            Item::New => {}
                        }
                    }
                }
                _ => {}
            }
        }
        self.called(n);
        match ins.named().next() {
            Some((Operand::Int, r)) => self.take_ints(r, 1),
            Some((Operand::Range, r)) => {
                self.take_ints(r, 3);
                let (next, step) = (self.int(r as u16), self.int(r as u16 + 1));
                self.set_int(r as u16, self.b.op("arith.subi", &[next, step], Elem::I64));
            }
            Some((Operand::View, r)) if ins.op.writes_first() => self.take_view(r),
            Some((Operand::Float, r)) => {
                let value = self.b.load(Elem::F64, self.b.offset_bytes(self.float_file, 8 * r as i32));
                self.set_float(r as u16, value);
            }
            _ => {}
        }
    }

    /// Has the interpreter do an instruction whose operands are in the registers' memory, where its result will be.
    pub(super) fn called(&mut self, n: usize) {
        let run = self.b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
        let at = self.b.int(Elem::I64, n as i64);
        self.call_back(std::mem::offset_of!(Frame, instruction), &[run, at]);
    }

    pub(super) fn take_view(&self, r: usize) {
        if let (Some(axes), ViewPlace::Rooms(_)) = (self.axes(r as u16), &self.views[r]) {
            self.set_view(r as u16, &filed(self.b, self.view_file, r, axes));
        }
    }

    pub(super) fn take_ints(&self, first: usize, count: usize) {
        for r in first..first + count {
            let value = self.b.load(Elem::I64, self.b.offset_bytes(self.int_file, 8 * r as i32));
            self.set_int(r as u16, value);
        }
    }

    /// A reduction of a vector.
    pub(super) fn reduce(&mut self, ins: &Ins) {
        let kind = match ins.op {
            Op::SumF64 => 0,
            Op::MaximumF64 => 1,
            Op::MinimumF64 => 2,
            Op::SumF32 => 4,
            Op::MaximumF32 => 5,
            _ => 6,
        };
        let x = self.view(ins.b, 1);
        let n = x.shape[0];
        self.leave_if(self.b.compare("arith.cmpi", EQUAL, n, self.b.int(Elem::I64, 0)));
        self.row(n);
        let b = self.b;
        let run = b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
        let arguments = [run, b.int(Elem::I64, kind), n, x.ptr, x.strides[0]];
        let value = self.call_pointer(std::mem::offset_of!(Frame, reduce), &arguments, Elem::F64);
        self.set_float(ins.a, value);
    }

    /// An operation on so many elements comes: uses fuel, or leaves where they are too many.
    pub(super) fn row(&mut self, n: V<'c>) {
        let b = self.b;
        self.leave_if(b.compare("arith.cmpi", NOT_BELOW, n, b.int(Elem::I64, LONGEST as i64 + 1)));
        let b = self.b;
        let fuel = b.op("arith.divui", &[n, b.int(Elem::I64, ELEMENTS as i64)], Elem::I64);
        let left = b.op("arith.subi", &[b.load(Elem::I64, self.fuel), fuel], Elem::I64);
        b.store(Elem::I64, left, self.fuel);
    }
}
