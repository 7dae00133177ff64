//! Registers of numbers, and operations on them.

use super::*;

impl<'c, 'b> Nest<'c, 'b> {
    /// Puts a register's number into its memory. (Those that stay are there.)
    pub(super) fn put_int(&self, r: usize) {
        if let Place::Room(room) = self.ints[r] {
            let at = self.b.offset_bytes(self.int_file, 8 * r as i32);
            self.b.store(Elem::I64, self.b.load(Elem::I64, room), at);
        }
    }

    pub(super) fn put_float(&self, r: usize) {
        if let Place::Room(room) = self.floats[r] {
            let at = self.b.offset_bytes(self.float_file, 8 * r as i32);
            self.b.store(Elem::F64, self.b.load(Elem::F64, room), at);
        }
    }

    pub(super) fn int(&self, r: u16) -> V<'c> {
        if let Some(&value) = self.way.borrow().as_ref().and_then(|way| way.ints.get(&r)) {
            return value;
        }
        match self.ints[r as usize] {
            Place::Value(value) => value,
            Place::Room(room) => self.b.load(Elem::I64, room),
        }
    }

    pub(super) fn float(&self, r: u16) -> V<'c> {
        if let Some(&value) = self.way.borrow().as_ref().and_then(|way| way.floats.get(&r)) {
            return value;
        }
        match self.floats[r as usize] {
            Place::Value(value) => value,
            Place::Room(room) => self.b.load(Elem::F64, room),
        }
    }

    pub(super) fn set_int(&self, r: u16, value: V<'c>) {
        if let Some(way) = &mut *self.way.borrow_mut() {
            way.ints.insert(r, value);
            return;
        }
        let Place::Room(room) = self.ints[r as usize] else { unreachable!("a register that the code writes") };
        self.b.store(Elem::I64, value, room);
    }

    pub(super) fn set_float(&self, r: u16, value: V<'c>) {
        if let Some(way) = &mut *self.way.borrow_mut() {
            way.floats.insert(r, value);
            return;
        }
        let Place::Room(room) = self.floats[r as usize] else { unreachable!("a register that the code writes") };
        self.b.store(Elem::F64, value, room);
    }

    pub(super) fn set_truth(&self, r: u16, value: V<'c>) {
        self.set_int(r, self.b.op("arith.extui", &[value], Elem::I64));
    }

    /// An operation on integers that leaves the round where the result has no room.
    pub(super) fn checked(&mut self, name: &str, x: V<'c>, y: V<'c>) -> V<'c> {
        let common = self.b.common;
        let types = [common.elem(Elem::I64), common.elem(Elem::I1)];
        let pair = llvm::r#type::r#struct(common.context, &types, false);
        let both = self.b.op_typed(&format!("llvm.intr.{name}.with.overflow"), &[x, y], &[], pair);
        let part = |n: i64, e: Elem| {
            let position = DenseI64ArrayAttribute::new(common.context, &[n]).into();
            self.b.op_typed("llvm.extractvalue", &[both], &[(common.name("position"), position)], common.elem(e))
        };
        let (value, over) = (part(0, Elem::I64), part(1, Elem::I1));
        self.leave_if(over);
        value
    }

    /// Whether a float may have another value than an integer.
    pub(super) fn is_inexact(&self, x: V<'c>) -> V<'c> {
        let b = self.b;
        let shifted = b.op("arith.addi", &[x, b.int(Elem::I64, EXACT)], Elem::I64);
        b.compare("arith.cmpi", NOT_BELOW, shifted, b.int(Elem::I64, 2 * EXACT + 1))
    }

    /// Quotient and remainder as Python's: the remainder has the divisor's sign.
    pub(super) fn divided(&mut self, x: V<'c>, y: V<'c>) -> (V<'c>, V<'c>) {
        let compare = |b: Build<'c, 'b>, how, x, y| b.compare("arith.cmpi", how, x, y);
        let int = |b: Build<'c, 'b>, n| b.int(Elem::I64, n);
        let b = self.b;
        self.leave_if(compare(b, EQUAL, y, int(b, 0)));
        let b = self.b;
        let over = self.both(compare(b, EQUAL, x, int(b, i64::MIN)), compare(b, EQUAL, y, int(b, -1)));
        self.leave_if(over);
        let b = self.b;
        let q = b.op("arith.divsi", &[x, y], Elem::I64);
        let r = b.op("arith.subi", &[x, b.op("arith.muli", &[q, y], Elem::I64)], Elem::I64);
        let other_sign = compare(b, LESS, b.op("arith.xori", &[r, y], Elem::I64), int(b, 0));
        let off = self.both(compare(b, NOT_EQUAL, r, int(b, 0)), other_sign);
        let less = b.op("arith.subi", &[q, int(b, 1)], Elem::I64);
        let more = b.op("arith.addi", &[r, y], Elem::I64);
        (b.select(off, less, q), b.select(off, more, r))
    }

    /// The number in a register is less than two to this power, and so is its negative.
    pub(super) fn bits(&self, r: u16) -> u32 {
        self.bits[r as usize]
    }

    pub(super) fn constant_int(&self, r: u16) -> Option<i64> {
        let stays = matches!(self.ints[r as usize], Place::Value(_));
        self.program.int_constants.iter().find(|c| stays && c.0 == r as usize).map(|c| c.1)
    }

    /// An operation on integers whose result is known to have room.
    pub(super) fn surely(&self, name: &str, operands: [V<'c>; 2]) -> V<'c> {
        let b = self.b;
        let flags = Attribute::parse(b.common.context, "#arith.overflow<nsw>").expect("an attribute of arith's");
        b.op_typed(name, &operands, &[(b.common.name("overflowFlags"), flags)], b.ty(Elem::I64))
    }

    pub(super) fn binary(&self, ins: &Ins, name: &str) {
        let value = self.b.op(name, &[self.float(ins.b), self.float(ins.c)], Elem::F64);
        self.set_float(ins.a, value);
    }

    pub(super) fn unary(&self, ins: &Ins, name: &str) {
        self.set_float(ins.a, self.b.op(name, &[self.float(ins.b)], Elem::F64));
    }

    pub(super) fn compare_floats(&self, ins: &Ins, how: i64) {
        self.set_truth(ins.a, self.b.compare("arith.cmpf", how, self.float(ins.b), self.float(ins.c)));
    }

    pub(super) fn compare_ints(&self, ins: &Ins, how: i64) {
        self.set_truth(ins.a, self.b.compare("arith.cmpi", how, self.int(ins.b), self.int(ins.c)));
    }
}
