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

    /// The sum of products of two vectors: by BLAS, or by the runtime where BLAS cannot step through them as they lie.
    pub(super) fn dot(&mut self, ins: &Ins) {
        let (x, y) = (self.view(ins.b, 1), self.view(ins.c, 1));
        let n = x.shape[0];
        self.leave_if(self.b.compare("arith.cmpi", NOT_EQUAL, n, y.shape[0]));
        let single = matches!(ins.op, Op::DotF32) as usize;
        let elem = if single == 1 { Elem::F32 } else { Elem::F64 };
        let (other, done) = (self.new_block(), self.new_block());
        let b = self.b;
        let int = |n: usize| b.int(Elem::I64, n as i64);
        let at = std::mem::offset_of!(Frame, dots) + 8 * single;
        let none = b.op("llvm.ptrtoint", &[b.load_ptr(self.field(at))], Elem::I64);
        let few = b.op("arith.subi", &[n, int(1)], Elem::I64);
        self.unlikely(b.compare("arith.cmpi", NOT_BELOW, few, int(DOT_ALONE)), other);
        for stride in [x.strides[0], y.strides[0]] {
            let b = self.b;
            self.go_if(b.compare("arith.cmpi", LESS_EQUAL, stride, b.int(Elem::I64, 0)), other);
        }
        self.unlikely(self.b.compare("arith.cmpi", EQUAL, none, self.b.int(Elem::I64, 0)), other);
        self.worked(1, n);
        // (Without the instruction it would be a call, too.)
        if single == 0 && self.b.math != Math::Cpu(Level::V2) {
            self.short_dot(ins, [&x, &y], n, done);
        }
        let b = self.b;
        let step = |stride| b.op("arith.divui", &[stride, b.int(Elem::I64, elem.bytes() as i64)], Elem::I64);
        let arguments = [n, x.ptr, step(x.strides[0]), y.ptr, step(y.strides[0])];
        let value = self.call_pointer(at, &arguments, elem);
        let value = if single == 1 { b.op("arith.extf", &[value], Elem::F64) } else { value };
        self.set_float(ins.a, value);
        self.jump(done);
        self.b.block = other;
        self.row(n);
        let b = self.b;
        let kind = b.int(Elem::I64, (ins.d as usize | single << 1) as i64);
        let run = b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
        let arguments = [run, kind, n, x.ptr, x.strides[0], y.ptr, y.strides[0]];
        let value = self.call_pointer(std::mem::offset_of!(Frame, dot), &arguments, Elem::F64);
        self.set_float(ins.a, value);
        self.jump(done);
        self.b.block = done;
    }

    /// Adds the products of few elements up as BLAS does it, and goes on with `done`; or goes on here where it cannot.
    fn short_dot(&mut self, ins: &Ins, [x, y]: [&Seen<'c>; 2], n: V<'c>, done: BlockRef<'c, 'c>) {
        let b = self.b;
        let int = |n: usize| b.int(Elem::I64, n as i64);
        let packed = |seen: &Seen<'c>| b.compare("arith.cmpi", EQUAL, seen.strides[0], int(Elem::F64.bytes() as usize));
        let known = b.load(Elem::I64, self.field(std::mem::offset_of!(Frame, short)));
        let known = b.compare("arith.cmpi", NOT_EQUAL, known, int(0));
        let short = self.both(b.compare("arith.cmpi", LESS, n, int(SHORT)), known);
        let (here, on) = (self.new_block(), self.new_block());
        self.jump_if(self.both(short, self.both(packed(x), packed(y))), here, on);
        self.b.block = here;
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let sum = b.for_state(int(0), n, int(1), &[b.float(Elem::F64, 0.0)], |b, i, sum| {
            let at = |seen: &Seen<'c>| self.load_at(b, Elem::F64, b.offset(seen.ptr, i, Elem::F64));
            vec![b.op("llvm.intr.fma", &[at(x), at(y), sum[0]], Elem::F64)]
        });
        self.set_float(ins.a, sum[0]);
        self.jump(done);
        self.b.block = on;
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
