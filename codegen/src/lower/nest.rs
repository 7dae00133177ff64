//! `lower_nest`: the code of a nest becomes a function with the C interface of `ir::nest::NestFn`.
//!
//! Before: a program that `check` accepts. After: a module with one public function. Registers that the code writes are places in
//! the function's frame, which LLVM makes values of; the rest are loaded once. Numbers and single elements are computed here; what
//! is done to whole rows is the interpreter's, which is called for it.
//!
//! The result of every operation that may raise one of the processor's floating-point exceptions is used, or said to be, so that
//! LLVM leaves none out: NumPy would warn of it, and whoever runs the code looks at the exceptions.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use melior::Context;
use melior::dialect::llvm;
use melior::ir::attribute::{
    ArrayAttribute, DenseI32ArrayAttribute, DenseI64ArrayAttribute, StringAttribute, TypeAttribute,
};
use melior::ir::block::{BlockLike, BlockRef};
use melior::ir::operation::OperationBuilder;
use melior::ir::{Attribute, Block, Identifier, Module, Region, RegionLike};

use legate_jit_ir::nest::code::{Ins, Op, Operand};
use legate_jit_ir::nest::{
    AXES, ELEMENTS, Frame, GO_ON, Item, LEFT, LONG, LONGEST, OLD_BYTES, Old, Program, fits, view,
};

use super::build::{Build, Common, Elem, Math, V};
use super::{Lowered, add_function};
use crate::Result;
use crate::target::CpuTarget;

/// Integers that a float can tell from their neighbours.
const EXACT: i64 = 1 << 53;

// MLIR's numbers of comparisons.
const EQUAL: i64 = 0;
const NOT_EQUAL: i64 = 1;
const LESS: i64 = 2;
const LESS_EQUAL: i64 = 3;
const GREATER: i64 = 4;
const NOT_BELOW: i64 = 9;
const FLOAT_EQUAL: i64 = 1;
const FLOAT_LESS: i64 = 4;
const FLOAT_LESS_EQUAL: i64 = 5;

/// Where a register is.
#[derive(Clone, Copy)]
enum Place<'c> {
    /// It stays as it is.
    Value(V<'c>),
    /// In the function's frame.
    Room(V<'c>),
}

/// What is known of a view: where it begins, and for each axis how long it is and how many bytes the next element is away.
#[derive(Clone)]
struct Seen<'c> {
    ptr: V<'c>,
    shape: Vec<V<'c>>,
    strides: Vec<V<'c>>,
}

/// Where a view is.
enum ViewPlace<'c> {
    /// It stays as it is.
    Stays(Seen<'c>),
    /// Its parts are in the function's frame.
    Rooms(Seen<'c>),
    /// In the registers' own memory, as it has now these axes and now others.
    File,
}

/// The log and the arrays lie apart, as LLVM cannot know.
struct Scopes<'c> {
    log: Attribute<'c>,
    elements: Attribute<'c>,
}

impl<'c> Scopes<'c> {
    fn new(context: &'c Context) -> Scopes<'c> {
        let scope = |n: u32| format!("#llvm.alias_scope<id = distinct[{n}]<>, domain = <id = distinct[0]<>>>");
        // (What is parsed together is of one domain.)
        let both = Attribute::parse(context, &format!("[[{}], [{}]]", scope(1), scope(2)));
        let both = both.and_then(|both| ArrayAttribute::try_from(both).ok()).expect("attributes of LLVM's");
        let at = |n: usize| both.element(n).expect("one of two");
        Scopes { log: at(0), elements: at(1) }
    }
}

struct Nest<'c, 'b> {
    program: &'b Program,
    region: &'b Region<'c>,
    b: Build<'c, 'b>,
    frame: V<'c>,
    ints: Vec<Place<'c>>,
    floats: Vec<Place<'c>>,
    views: Vec<ViewPlace<'c>>,
    /// See [`Nest::bits`].
    bits: Vec<u32>,
    /// The registers' own memory.
    int_file: V<'c>,
    float_file: V<'c>,
    view_file: V<'c>,
    /// Which memory an access is to.
    scopes: Scopes<'c>,
    // In the function's frame.
    log: V<'c>,
    fuel: V<'c>,
    next: V<'c>,
    left: V<'c>,
    /// Ends of ranges' rounds, by the instruction's operands and where it goes on after the last.
    again: BTreeMap<([u16; 3], usize), BlockRef<'c, 'c>>,
    /// For each instruction that is jumped to, or that follows a jump.
    blocks: Vec<Option<BlockRef<'c, 'c>>>,
    head: BlockRef<'c, 'c>,
    // Made when they are needed: MLIR converts nothing in blocks that cannot be reached.
    leave: Cell<Option<BlockRef<'c, 'c>>>,
    long: Cell<Option<BlockRef<'c, 'c>>>,
}

/// The module of a nest for a CPU.
pub fn lower_nest<'c>(context: &'c Context, program: &Program, target: &CpuTarget, name: &str) -> Result<Lowered<'c>> {
    program.check().map_err(|e| crate::Error::Kernel(e.to_string()))?;
    let common = Common::new(context);
    let module = Module::new(common.location);
    let region = Region::new();
    let entry: BlockRef<'c, 'c> = region.append_block(Block::new(&[(common.ptr, common.location)]));
    let b = Build { common: &common, block: entry, lanes: 1, math: Math::Cpu(target.level), entry: None };
    let mut nest = Nest::begin(program, &region, b);
    nest.rounds();
    let i64 = common.elem(Elem::I64);
    add_function(&common, &module, name, (Some(i64), &[common.ptr]), region, None)?;
    Ok(Lowered { module, calls: BTreeSet::new(), vector_bytes: target.vector_bytes(false) })
}

/// Where blocks begin: the instructions that can be reached by a jump, or after one.
fn leaders(code: &[Ins]) -> BTreeSet<usize> {
    let mut leaders = BTreeSet::from([0]);
    let mut todo = vec![0];
    while let Some(start) = todo.pop() {
        for (n, ins) in code.iter().enumerate().skip(start) {
            let falls = !matches!(ins.op, Op::Jump | Op::JumpBack | Op::EndRound | Op::Leave);
            let ends = !falls || ins.named().any(|(kind, _)| kind == Operand::Target);
            if ends {
                todo.extend(ins.next(n).filter(|&n| leaders.insert(n)));
                break;
            }
        }
    }
    leaders
}

/// How many axes the views in each register have; `None` where they have now these and now others, or that is not known.
fn axes(program: &Program) -> Vec<Option<usize>> {
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
                Op::MoveView | Op::Transpose | Op::Copy => of(ins.b),
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
fn filed<'c>(b: Build<'c, '_>, file: V<'c>, r: usize, axes: usize) -> Seen<'c> {
    let at = |bytes: usize| b.offset_bytes(file, (r * view::BYTES + bytes) as i32);
    let numbers = |from: usize| (0..axes).map(|k| b.load(Elem::I64, at(from + 8 * k))).collect();
    Seen { ptr: b.load_ptr(at(view::PTR)), shape: numbers(view::SHAPE), strides: numbers(view::STRIDES) }
}

/// Whether an instruction can raise one of the processor's exceptions.
fn may_raise(op: Op) -> bool {
    matches!(op, Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Round | Op::Sqrt)
}

/// Whether the value of a float register is surely used where this instruction is done.
fn uses(ins: &Ins, r: u16) -> bool {
    use Op::*;
    match ins.op {
        Add | Subtract | Multiply | Divide => ins.b == r || ins.c == r,
        Round | Sqrt => ins.b == r,
        StoreF64At0 | StoreF64At1 | StoreF64At2 | StoreF32At0 | StoreF32At1 | StoreF32At2 => ins.a == r,
        _ => false,
    }
}

impl<'c, 'b> Nest<'c, 'b> {
    /// With the registers loaded, at the function's beginning.
    fn begin(program: &'b Program, region: &'b Region<'c>, b: Build<'c, 'b>) -> Nest<'c, 'b> {
        let frame: V<'c> = b.block.argument(0).expect("the frame").into();
        let field = |at: usize| b.offset_bytes(frame, at as i32);
        let int_file = b.load_ptr(field(std::mem::offset_of!(Frame, ints)));
        let float_file = b.load_ptr(field(std::mem::offset_of!(Frame, floats)));
        let view_file = b.load_ptr(field(std::mem::offset_of!(Frame, views)));
        let one = b.int(Elem::I64, 1);
        let room = |ty| {
            let attributes = [(b.common.name("elem_type"), TypeAttribute::new(ty).into())];
            b.op_typed("llvm.alloca", &[one], &attributes, b.common.ptr)
        };
        let [written_ints, written_floats, written_views] = program.written();
        let constant_int = |r: usize| program.int_constants.iter().find(|c| c.0 == r).map(|c| c.1);
        let constant_float = |r: usize| program.float_constants.iter().find(|c| c.0 == r).map(|c| c.1);
        let mut ints = Vec::new();
        for (r, &written) in written_ints.iter().enumerate() {
            let at = b.offset_bytes(int_file, 8 * r as i32);
            ints.push(match (written, constant_int(r)) {
                (false, Some(n)) => Place::Value(b.int(Elem::I64, n)),
                (false, None) => Place::Value(b.load(Elem::I64, at)),
                (true, _) => {
                    let room = room(b.ty(Elem::I64));
                    b.store(Elem::I64, b.load(Elem::I64, at), room);
                    Place::Room(room)
                }
            });
        }
        let mut floats = Vec::new();
        for (r, &written) in written_floats.iter().enumerate() {
            let at = b.offset_bytes(float_file, 8 * r as i32);
            floats.push(match (written, constant_float(r)) {
                (false, Some(bits)) => Place::Value(b.float(Elem::F64, f64::from_bits(bits))),
                (false, None) => Place::Value(b.load(Elem::F64, at)),
                (true, _) => {
                    let room = room(b.ty(Elem::F64));
                    b.store(Elem::F64, b.load(Elem::F64, at), room);
                    Place::Room(room)
                }
            });
        }
        let views = axes(program).into_iter().enumerate().map(|(r, axes)| {
            let Some(axes) = axes else { return ViewPlace::File };
            let given = program.arrays.iter().find(|g| g.register == r);
            let mut seen = filed(b, view_file, r, axes);
            match given {
                Some(given) if !written_views[r] => {
                    if given.unit && axes > 0 {
                        seen.strides[axes - 1] = b.int(Elem::I64, given.dtype.size() as i64);
                    }
                    ViewPlace::Stays(seen)
                }
                _ => {
                    let rooms = |values: &[V<'c>]| {
                        let room_for = |&value: &V<'c>| {
                            let room = room(b.ty(Elem::I64));
                            b.store(Elem::I64, value, room);
                            room
                        };
                        values.iter().map(room_for).collect()
                    };
                    let ptr = room(b.common.ptr);
                    b.effect("llvm.store", &[seen.ptr, ptr], &[]);
                    ViewPlace::Rooms(Seen { ptr, shape: rooms(&seen.shape), strides: rooms(&seen.strides) })
                }
            }
        });
        let views = views.collect();
        let of_frame = |at: usize| {
            let room = room(b.ty(Elem::I64));
            b.store(Elem::I64, b.load(Elem::I64, field(at)), room);
            room
        };
        let fuel = of_frame(std::mem::offset_of!(Frame, fuel));
        let next = of_frame(std::mem::offset_of!(Frame, next));
        let left = of_frame(std::mem::offset_of!(Frame, rounds));
        let log = room(b.common.ptr);
        b.effect("llvm.store", &[b.load_ptr(field(std::mem::offset_of!(Frame, log))), log], &[]);
        Nest {
            program,
            region,
            b,
            frame,
            ints,
            floats,
            views,
            bits: program.bits(true),
            scopes: Scopes::new(b.common.context),
            int_file,
            float_file,
            view_file,
            log,
            fuel,
            next,
            left,
            again: BTreeMap::new(),
            blocks: vec![None; program.code.len()],
            head: region.append_block(Block::new(&[])),
            leave: Cell::new(None),
            long: Cell::new(None),
        }
    }

    /// The whole function after its beginning.
    fn rounds(&mut self) {
        let code = &self.program.code;
        for n in leaders(code) {
            self.blocks[n] = Some(self.new_block());
        }
        self.jump(self.head);
        self.b.block = self.head;
        let next = self.b.load(Elem::I64, self.next);
        self.set_int(self.program.variable as u16, next);
        self.jump(self.target(0));
        let mut open = false;
        for (n, ins) in code.iter().enumerate() {
            if let Some(block) = self.blocks[n] {
                if open {
                    self.jump(block);
                }
                self.b.block = block;
                open = true;
            }
            // (What cannot be reached is left out.)
            if open {
                open = self.instruction(n, ins);
                if open && may_raise(ins.op) && !self.is_used(n, ins.a) {
                    let value = self.float(ins.a);
                    self.use_of(value);
                }
            }
        }
        for (block, end) in [(self.leave.get(), LEFT), (self.long.get(), LONG)] {
            if let Some(block) = block {
                self.b.block = block;
                self.end(end);
            }
        }
    }

    /// Whether what the instruction at `n` computes is surely used: by one after it that is done whenever it is, before anything
    /// else is in the register.
    fn is_used(&self, n: usize, r: u16) -> bool {
        let code = &self.program.code;
        for (k, ins) in code.iter().enumerate().skip(n + 1) {
            if self.blocks[k].is_some() {
                return false;
            }
            if uses(ins, r) {
                return true;
            }
            let first = ins.named().next();
            if ins.op.writes_first() && first == Some((Operand::Float, r as usize)) {
                return false;
            }
        }
        false
    }

    /// Says that a value is used.
    fn use_of(&self, value: V<'c>) {
        let context = self.b.common.context;
        let text = |s: &str| StringAttribute::new(context, s).into();
        let attributes = [
            (self.b.common.name("asm_string"), text("")),
            (self.b.common.name("constraints"), text("x")),
            (self.b.common.name("has_side_effects"), Attribute::unit(context)),
        ];
        self.b.effect("llvm.inline_asm", &[value], &attributes);
    }

    // Control.

    fn new_block(&self) -> BlockRef<'c, 'c> {
        self.region.append_block(Block::new(&[]))
    }

    fn made(&self, place: &Cell<Option<BlockRef<'c, 'c>>>) -> BlockRef<'c, 'c> {
        place.get().unwrap_or_else(|| {
            let block = self.new_block();
            place.set(Some(block));
            block
        })
    }

    /// The instruction that is done next, behind jumps.
    fn followed(&self, mut n: usize) -> usize {
        while let Ins { op: Op::Jump, a, .. } = self.program.code[n]
            && a as usize > n
        {
            n = a as usize;
        }
        n
    }

    fn target(&self, n: usize) -> BlockRef<'c, 'c> {
        self.blocks[n].expect("a block for every target")
    }

    fn branch(&self, name: &str, operands: &[V<'c>], to: &[BlockRef<'c, 'c>], weights: Option<[i32; 2]>) {
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

    fn jump(&self, to: BlockRef<'c, 'c>) {
        self.branch("llvm.br", &[], &[to], None);
    }

    fn jump_if(&self, condition: V<'c>, yes: BlockRef<'c, 'c>, no: BlockRef<'c, 'c>) {
        self.branch("llvm.cond_br", &[condition], &[yes, no], None);
    }

    /// Goes on in a new block unless the condition holds, which it hardly ever does.
    fn unlikely(&mut self, condition: V<'c>, to: BlockRef<'c, 'c>) {
        let on = self.new_block();
        self.branch("llvm.cond_br", &[condition], &[to, on], Some([1, 4000]));
        self.b.block = on;
    }

    fn leave_if(&mut self, condition: V<'c>) {
        self.unlikely(condition, self.made(&self.leave));
    }

    fn field(&self, at: usize) -> V<'c> {
        self.b.offset_bytes(self.frame, at as i32)
    }

    /// Leaves the function.
    fn end(&self, how: u64) {
        let b = self.b;
        self.put_log();
        b.store(Elem::I64, b.load(Elem::I64, self.left), self.field(std::mem::offset_of!(Frame, rounds)));
        b.store(Elem::I64, b.load(Elem::I64, self.fuel), self.field(std::mem::offset_of!(Frame, fuel)));
        b.effect("llvm.return", &[b.int(Elem::I64, how as i64)], &[]);
    }

    fn end_round(&mut self) {
        let b = self.b;
        let next = b.load(Elem::I64, self.next);
        let step = b.load(Elem::I64, self.field(std::mem::offset_of!(Frame, step)));
        b.store(Elem::I64, b.op("arith.addi", &[next, step], Elem::I64), self.next);
        let left = self.less_one(self.left);
        let fuel = self.less_one(self.fuel);
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

    fn less_one(&self, room: V<'c>) -> V<'c> {
        let b = self.b;
        let less = b.op("arith.subi", &[b.load(Elem::I64, room), b.int(Elem::I64, 1)], Elem::I64);
        b.store(Elem::I64, less, room);
        less
    }

    /// Counts a jump back.
    fn count_jump(&mut self) {
        let fuel = self.less_one(self.fuel);
        let out = self.b.compare("arith.cmpi", LESS_EQUAL, fuel, self.b.int(Elem::I64, 0));
        let (refuel, on) = (self.new_block(), self.new_block());
        self.branch("llvm.cond_br", &[out], &[refuel, on], Some([1, 4000]));
        self.b.block = refuel;
        let run = self.b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
        self.call_back(std::mem::offset_of!(Frame, refuel), &[run]);
        self.jump(on);
        self.b.block = on;
    }

    fn both(&self, x: V<'c>, y: V<'c>) -> V<'c> {
        self.b.op("arith.andi", &[x, y], Elem::I1)
    }

    // Calls.

    fn put_log(&self) {
        let log = self.b.load_ptr(self.log);
        self.b.effect("llvm.store", &[log, self.field(std::mem::offset_of!(Frame, log))], &[]);
    }

    /// Calls a function that the frame has at an offset.
    fn call_pointer(&self, at: usize, arguments: &[V<'c>], result: Elem) -> V<'c> {
        let common = self.b.common;
        let function = self.b.load_ptr(self.field(at));
        let mut operands = vec![function];
        operands.extend_from_slice(arguments);
        let segments = DenseI32ArrayAttribute::new(common.context, &[operands.len() as i32, 0]).into();
        let attributes = [
            (common.name("operandSegmentSizes"), segments),
            (common.name("op_bundle_sizes"), DenseI32ArrayAttribute::new(common.context, &[]).into()),
        ];
        self.b.op_typed("llvm.call", &operands, &attributes, self.b.ty(result))
    }

    /// Calls the interpreter, which may add to the log, use fuel, and end the round.
    fn call_back(&mut self, at: usize, arguments: &[V<'c>]) {
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
    fn call_for(&mut self, n: usize, ins: &Ins) {
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
        let run = self.b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
        let at = self.b.int(Elem::I64, n as i64);
        self.call_back(std::mem::offset_of!(Frame, instruction), &[run, at]);
        match ins.named().next() {
            Some((Operand::Int, r)) => self.take_ints(r, 1),
            Some((Operand::Range, r)) => {
                self.take_ints(r, 3);
                let (next, step) = (self.int(r as u16), self.int(r as u16 + 1));
                self.set_int(r as u16, self.b.op("arith.subi", &[next, step], Elem::I64));
            }
            Some((Operand::View, r)) if ins.op.writes_first() => {
                if let (Some(axes), ViewPlace::Rooms(_)) = (self.axes(r as u16), &self.views[r]) {
                    self.set_view(r as u16, &filed(self.b, self.view_file, r, axes));
                }
            }
            Some((Operand::Float, r)) => {
                let value = self.b.load(Elem::F64, self.b.offset_bytes(self.float_file, 8 * r as i32));
                self.set_float(r as u16, value);
            }
            _ => {}
        }
    }

    fn take_ints(&self, first: usize, count: usize) {
        for r in first..first + count {
            let value = self.b.load(Elem::I64, self.b.offset_bytes(self.int_file, 8 * r as i32));
            self.set_int(r as u16, value);
        }
    }

    /// Puts a register's number into its memory. (Those that stay are there.)
    fn put_int(&self, r: usize) {
        if let Place::Room(room) = self.ints[r] {
            let at = self.b.offset_bytes(self.int_file, 8 * r as i32);
            self.b.store(Elem::I64, self.b.load(Elem::I64, room), at);
        }
    }

    fn put_float(&self, r: usize) {
        if let Place::Room(room) = self.floats[r] {
            let at = self.b.offset_bytes(self.float_file, 8 * r as i32);
            self.b.store(Elem::F64, self.b.load(Elem::F64, room), at);
        }
    }

    // Registers.

    fn int(&self, r: u16) -> V<'c> {
        match self.ints[r as usize] {
            Place::Value(value) => value,
            Place::Room(room) => self.b.load(Elem::I64, room),
        }
    }

    fn float(&self, r: u16) -> V<'c> {
        match self.floats[r as usize] {
            Place::Value(value) => value,
            Place::Room(room) => self.b.load(Elem::F64, room),
        }
    }

    fn set_int(&self, r: u16, value: V<'c>) {
        let Place::Room(room) = self.ints[r as usize] else { unreachable!("a register that the code writes") };
        self.b.store(Elem::I64, value, room);
    }

    fn set_float(&self, r: u16, value: V<'c>) {
        let Place::Room(room) = self.floats[r as usize] else { unreachable!("a register that the code writes") };
        self.b.store(Elem::F64, value, room);
    }

    fn set_truth(&self, r: u16, value: V<'c>) {
        self.set_int(r, self.b.op("arith.extui", &[value], Elem::I64));
    }

    // Elements.

    /// A view with its first axes, or all that are known.
    fn view(&self, v: u16, first: usize) -> Seen<'c> {
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
    fn axes(&self, v: u16) -> Option<usize> {
        match &self.views[v as usize] {
            ViewPlace::Stays(seen) | ViewPlace::Rooms(seen) => Some(seen.shape.len()),
            ViewPlace::File => None,
        }
    }

    fn set_view(&self, v: u16, view: &Seen<'c>) {
        let ViewPlace::Rooms(rooms) = &self.views[v as usize] else { unreachable!("a view that the code makes") };
        self.b.effect("llvm.store", &[view.ptr, rooms.ptr], &[]);
        let pairs = view.shape.iter().zip(&rooms.shape).chain(view.strides.iter().zip(&rooms.strides));
        pairs.for_each(|(&value, &room)| self.b.store(Elem::I64, value, room));
    }

    /// Puts a view into its memory. (Those that stay are there.)
    fn put_view(&self, v: usize) {
        let ViewPlace::Rooms(_) = &self.views[v] else { return };
        let b = self.b;
        let seen = self.view(v as u16, 0);
        let at = |bytes: usize| b.offset_bytes(self.view_file, (v * view::BYTES + bytes) as i32);
        b.effect("llvm.store", &[seen.ptr, at(view::PTR)], &[]);
        b.store(Elem::I64, b.int(Elem::I64, seen.shape.len() as i64), at(view::AXES));
        for (k, (&n, &stride)) in seen.shape.iter().zip(&seen.strides).enumerate() {
            b.store(Elem::I64, n, at(view::SHAPE + 8 * k));
            b.store(Elem::I64, stride, at(view::STRIDES + 8 * k));
        }
    }

    /// An index from the front; leaves the round where it is out of bounds.
    fn wrapped(&mut self, i: V<'c>, n: V<'c>) -> V<'c> {
        let b = self.b;
        let from_end = b.op("arith.addi", &[i, n], Elem::I64);
        let negative = b.compare("arith.cmpi", LESS, i, b.int(Elem::I64, 0));
        let i = b.select(negative, from_end, i);
        self.leave_if(b.compare("arith.cmpi", NOT_BELOW, i, n));
        i
    }

    /// The address of an element; leaves the round where it is out of bounds.
    fn address(&mut self, v: u16, indices: &[u16]) -> V<'c> {
        let seen = self.view(v, indices.len());
        let mut at = seen.ptr;
        for (axis, &r) in indices.iter().enumerate() {
            let i = self.wrapped(self.int(r), seen.shape[axis]);
            at = self.stepped(at, i, seen.strides[axis]);
        }
        at
    }

    fn stepped(&self, from: V<'c>, by: V<'c>, stride: V<'c>) -> V<'c> {
        self.b.offset(from, self.b.op("arith.muli", &[by, stride], Elem::I64), Elem::I8)
    }

    /// What some indices select of a view.
    fn index(&mut self, ins: &Ins) {
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
    fn sliced(&self, start: Option<u16>, stop: Option<u16>, step: i64, n: V<'c>) -> (V<'c>, V<'c>) {
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

    /// The sum of products of two vectors.
    fn dot(&mut self, ins: &Ins) {
        let (x, y) = (self.view(ins.b, 1), self.view(ins.c, 1));
        let n = x.shape[0];
        self.leave_if(self.b.compare("arith.cmpi", NOT_EQUAL, n, y.shape[0]));
        self.row(n);
        let single = matches!(ins.op, Op::DotF32) as i64;
        let b = self.b;
        let kind = b.int(Elem::I64, ins.d as i64 | single << 1);
        let run = b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
        let arguments = [run, kind, n, x.ptr, x.strides[0], y.ptr, y.strides[0]];
        let value = self.call_pointer(std::mem::offset_of!(Frame, dot), &arguments, Elem::F64);
        self.set_float(ins.a, value);
    }

    /// An operation on so many elements comes: uses fuel, or leaves where they are too many.
    fn row(&mut self, n: V<'c>) {
        let b = self.b;
        self.leave_if(b.compare("arith.cmpi", NOT_BELOW, n, b.int(Elem::I64, LONGEST as i64 + 1)));
        let b = self.b;
        let fuel = b.op("arith.divui", &[n, b.int(Elem::I64, ELEMENTS as i64)], Elem::I64);
        let left = b.op("arith.subi", &[b.load(Elem::I64, self.fuel), fuel], Elem::I64);
        b.store(Elem::I64, left, self.fuel);
    }

    /// The attributes of an access to memory.
    fn memory(&self, e: Elem, mine: Attribute<'c>, others: Attribute<'c>) -> [(Identifier<'c>, Attribute<'c>); 3] {
        let common = self.b.common;
        [
            (common.name("alignment"), common.i64_attribute(e.bytes() as i64)),
            (common.name("alias_scopes"), mine),
            (common.name("noalias_scopes"), others),
        ]
    }

    fn load_element(&self, e: Elem, at: V<'c>) -> V<'c> {
        let attributes = self.memory(e, self.scopes.elements, self.scopes.log);
        self.b.op_typed("llvm.load", &[at], &attributes, self.b.ty(e))
    }

    /// Notes what an element is, before it is written.
    fn note(&self, at: V<'c>, item: Elem) {
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

    fn load(&mut self, ins: &Ins, indices: &[u16], item: Elem) {
        let at = self.address(ins.b, indices);
        let value = self.load_element(item, at);
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

    fn store(&mut self, ins: &Ins, indices: &[u16], item: Elem) {
        let at = self.address(ins.b, indices);
        self.note(at, item);
        let b = self.b;
        let value = match item {
            Elem::F64 => self.float(ins.a),
            Elem::F32 => b.op("arith.truncf", &[self.float(ins.a)], Elem::F32),
            Elem::I64 => self.int(ins.a),
            other => {
                let truth = b.compare("arith.cmpi", NOT_EQUAL, self.int(ins.a), b.int(Elem::I64, 0));
                b.op("arith.extui", &[truth], other)
            }
        };
        b.effect("llvm.store", &[value, at], &self.memory(item, self.scopes.elements, self.scopes.log));
    }

    // Numbers.

    /// An operation on integers that leaves the round where the result has no room.
    fn checked(&mut self, name: &str, x: V<'c>, y: V<'c>) -> V<'c> {
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

    /// Quotient and remainder as Python's: the remainder has the divisor's sign.
    fn divided(&mut self, x: V<'c>, y: V<'c>) -> (V<'c>, V<'c>) {
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
    fn bits(&self, r: u16) -> u32 {
        self.bits[r as usize]
    }

    fn constant_int(&self, r: u16) -> Option<i64> {
        let stays = matches!(self.ints[r as usize], Place::Value(_));
        self.program.int_constants.iter().find(|c| stays && c.0 == r as usize).map(|c| c.1)
    }

    /// The next number of a range goes to register `to`. (The range's own register has the last one here, not the next, so that
    /// LLVM sees one number that is counted up.)
    fn next_number(&self, range: u16, to: u16, first: bool) {
        let b = self.b;
        let operands = [self.int(range), self.int(range + 1)];
        // (There is such a number, but before the first one there may be none.)
        let next = if first { b.op("arith.addi", &operands, Elem::I64) } else { self.surely("arith.addi", operands) };
        self.set_int(range, next);
        self.set_int(to, next);
        let one = b.int(Elem::I64, 1);
        self.set_int(range + 2, b.op("arith.subi", &[self.int(range + 2), one], Elem::I64));
    }

    /// An operation on integers whose result is known to have room.
    fn surely(&self, name: &str, operands: [V<'c>; 2]) -> V<'c> {
        let b = self.b;
        let flags = Attribute::parse(b.common.context, "#arith.overflow<nsw>").expect("an attribute of arith's");
        b.op_typed(name, &operands, &[(b.common.name("overflowFlags"), flags)], b.ty(Elem::I64))
    }

    fn has_next(&self, range: u16) -> V<'c> {
        self.b.compare("arith.cmpi", NOT_EQUAL, self.int(range + 2), self.b.int(Elem::I64, 0))
    }

    /// A range with a step that is known.
    fn start_range(&mut self, ins: &Ins, step: i64) {
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

    fn binary(&self, ins: &Ins, name: &str) {
        let value = self.b.op(name, &[self.float(ins.b), self.float(ins.c)], Elem::F64);
        self.set_float(ins.a, value);
    }

    fn unary(&self, ins: &Ins, name: &str) {
        self.set_float(ins.a, self.b.op(name, &[self.float(ins.b)], Elem::F64));
    }

    fn compare_floats(&self, ins: &Ins, how: i64) {
        self.set_truth(ins.a, self.b.compare("arith.cmpf", how, self.float(ins.b), self.float(ins.c)));
    }

    fn compare_ints(&self, ins: &Ins, how: i64) {
        self.set_truth(ins.a, self.b.compare("arith.cmpi", how, self.int(ins.b), self.int(ins.c)));
    }

    /// One instruction; whether the next one may come after it.
    fn instruction(&mut self, n: usize, ins: &Ins) -> bool {
        let on = |n: u16| self.target(n as usize);
        let b = self.b;
        match ins.op {
            Op::MoveInt => self.set_int(ins.a, self.int(ins.b)),
            Op::AddInt | Op::SubtractInt | Op::MultiplyInt => {
                let name = match ins.op {
                    Op::AddInt => "sadd",
                    Op::SubtractInt => "ssub",
                    _ => "smul",
                };
                let (x, y) = (self.int(ins.b), self.int(ins.c));
                let value = match (fits(ins.op, self.bits(ins.b), self.bits(ins.c)), ins.op) {
                    (false, _) => self.checked(name, x, y),
                    (true, Op::AddInt) => self.surely("arith.addi", [x, y]),
                    (true, Op::SubtractInt) => self.surely("arith.subi", [x, y]),
                    (true, _) => self.surely("arith.muli", [x, y]),
                };
                self.set_int(ins.a, value);
            }
            Op::FloorDivideInt => {
                let (q, _) = self.divided(self.int(ins.b), self.int(ins.c));
                self.set_int(ins.a, q);
            }
            Op::RemainderInt => {
                let (_, r) = self.divided(self.int(ins.b), self.int(ins.c));
                self.set_int(ins.a, r);
            }
            Op::NegateInt => {
                let value = self.checked("ssub", b.int(Elem::I64, 0), self.int(ins.b));
                self.set_int(ins.a, value);
            }
            Op::AbsoluteInt => {
                let x = self.int(ins.b);
                let negated = self.checked("ssub", b.int(Elem::I64, 0), x);
                let b = self.b;
                let negative = b.compare("arith.cmpi", LESS, x, b.int(Elem::I64, 0));
                self.set_int(ins.a, b.select(negative, negated, x));
            }
            Op::LessInt => self.compare_ints(ins, LESS),
            Op::LessEqualInt => self.compare_ints(ins, LESS_EQUAL),
            Op::EqualInt => self.compare_ints(ins, EQUAL),
            Op::Not => self.set_truth(ins.a, b.compare("arith.cmpi", EQUAL, self.int(ins.b), b.int(Elem::I64, 0))),
            Op::MoveFloat => self.set_float(ins.a, self.float(ins.b)),
            Op::Add => self.binary(ins, "arith.addf"),
            Op::Subtract => self.binary(ins, "arith.subf"),
            Op::Multiply => self.binary(ins, "arith.mulf"),
            Op::Divide => {
                let zero = b.float(Elem::F64, 0.0);
                self.leave_if(b.compare("arith.cmpf", FLOAT_EQUAL, self.float(ins.c), zero));
                self.binary(ins, "arith.divf");
            }
            Op::Power => {
                let value = self.call_pointer(
                    std::mem::offset_of!(Frame, power),
                    &[self.float(ins.b), self.float(ins.c)],
                    Elem::F64,
                );
                self.set_float(ins.a, value);
            }
            Op::Negate => self.unary(ins, "arith.negf"),
            Op::Absolute => self.unary(ins, "llvm.intr.fabs"),
            Op::Sqrt => {
                let x = self.float(ins.b);
                self.leave_if(b.compare("arith.cmpf", FLOAT_LESS, x, b.float(Elem::F64, 0.0)));
                self.unary(ins, "llvm.intr.sqrt");
            }
            Op::Less => self.compare_floats(ins, FLOAT_LESS),
            Op::LessEqual => self.compare_floats(ins, FLOAT_LESS_EQUAL),
            Op::Equal => self.compare_floats(ins, FLOAT_EQUAL),
            Op::ToFloat => {
                let x = self.int(ins.b);
                let shifted = b.op("arith.addi", &[x, b.int(Elem::I64, EXACT)], Elem::I64);
                let most = b.int(Elem::I64, 2 * EXACT + 1);
                self.leave_if(b.compare("arith.cmpi", NOT_BELOW, shifted, most));
                self.set_float(ins.a, self.b.op("arith.sitofp", &[x], Elem::F64));
            }
            Op::ToInt => {
                let x = b.op("llvm.intr.trunc", &[self.float(ins.b)], Elem::F64);
                let size = b.op("llvm.intr.fabs", &[x], Elem::F64);
                let fits = b.compare("arith.cmpf", FLOAT_LESS_EQUAL, size, b.float(Elem::F64, EXACT as f64));
                let out = b.op("arith.xori", &[fits, b.int(Elem::I1, 1)], Elem::I1);
                self.leave_if(out);
                self.set_int(ins.a, self.b.op("arith.fptosi", &[x], Elem::I64));
            }
            Op::Round => {
                let single = b.op("arith.truncf", &[self.float(ins.b)], Elem::F32);
                self.set_float(ins.a, b.op("arith.extf", &[single], Elem::F64));
            }
            Op::Function => {
                let run = b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
                let arguments = [run, b.int(Elem::I64, ins.c as i64), self.float(ins.b)];
                let value = self.call_pointer(std::mem::offset_of!(Frame, function), &arguments, Elem::F64);
                let size = b.op("llvm.intr.fabs", &[value], Elem::F64);
                let finite = b.compare("arith.cmpf", FLOAT_LESS, size, b.float(Elem::F64, f64::INFINITY));
                self.leave_if(b.op("arith.xori", &[finite, b.int(Elem::I1, 1)], Elem::I1));
                self.set_float(ins.a, value);
            }
            Op::Jump => {
                self.jump(on(ins.a));
                return false;
            }
            Op::JumpBack => {
                let to = on(ins.a);
                self.count_jump();
                self.jump(to);
                return false;
            }
            Op::JumpIf | Op::JumpUnless => {
                let (to, after) = (on(ins.b), on(n as u16 + 1));
                let truth = b.compare("arith.cmpi", NOT_EQUAL, self.int(ins.a), b.int(Elem::I64, 0));
                let (yes, no) = if ins.op == Op::JumpIf { (to, after) } else { (after, to) };
                self.jump_if(truth, yes, no);
                return false;
            }
            Op::StartRange => match self.constant_int(ins.d) {
                Some(step) if step != 0 && step != i64::MIN => self.start_range(ins, step),
                _ => self.call_for(n, ins),
            },
            Op::NextOfRange => {
                let (end, after) = (on(ins.c), on(n as u16 + 1));
                let take = self.new_block();
                self.jump_if(self.has_next(ins.a), take, end);
                self.b.block = take;
                self.next_number(ins.a, ins.b, true);
                self.jump(after);
                return false;
            }
            Op::Again => {
                // One jump back for all ends of a body, so that LLVM sees one number that is counted up.
                let after = self.followed(n + 1);
                let key = ([ins.a, ins.b, ins.c], after);
                if let Some(&block) = self.again.get(&key) {
                    self.jump(block);
                    return false;
                }
                let (to, after) = (self.target(ins.c as usize), self.target(after));
                let block = self.new_block();
                self.again.insert(key, block);
                self.jump(block);
                self.b.block = block;
                self.count_jump();
                let take = self.new_block();
                self.jump_if(self.has_next(ins.a), take, after);
                self.b.block = take;
                self.next_number(ins.a, ins.b, false);
                self.jump(to);
                return false;
            }
            Op::EndRound => {
                self.end_round();
                return false;
            }
            Op::Leave => {
                self.jump(self.made(&self.leave));
                return false;
            }
            Op::Length if self.axes(ins.b).is_some_and(|axes| (ins.c as usize) < axes) => {
                let seen = self.view(ins.b, 0);
                self.set_int(ins.a, seen.shape[ins.c as usize]);
            }
            Op::MoveView if self.axes(ins.a).is_some() && self.axes(ins.a) == self.axes(ins.b) => {
                self.set_view(ins.a, &self.view(ins.b, 0));
            }
            Op::Transpose if self.axes(ins.a).is_some() && self.axes(ins.a) == self.axes(ins.b) => {
                let mut seen = self.view(ins.b, 0);
                seen.shape.reverse();
                seen.strides.reverse();
                self.set_view(ins.a, &seen);
            }
            Op::Index if self.axes(ins.a).is_some() && self.axes(ins.b).is_some() => self.index(ins),
            Op::DotF64 | Op::DotF32 => self.dot(ins),
            Op::LoadF64At0 => self.load(ins, &[], Elem::F64),
            Op::LoadF64At1 => self.load(ins, &[ins.c], Elem::F64),
            Op::LoadF64At2 => self.load(ins, &[ins.c, ins.d], Elem::F64),
            Op::LoadF32At0 => self.load(ins, &[], Elem::F32),
            Op::LoadF32At1 => self.load(ins, &[ins.c], Elem::F32),
            Op::LoadF32At2 => self.load(ins, &[ins.c, ins.d], Elem::F32),
            Op::LoadI64At0 => self.load(ins, &[], Elem::I64),
            Op::LoadI64At1 => self.load(ins, &[ins.c], Elem::I64),
            Op::LoadI64At2 => self.load(ins, &[ins.c, ins.d], Elem::I64),
            Op::LoadBoolAt0 => self.load(ins, &[], Elem::I8),
            Op::LoadBoolAt1 => self.load(ins, &[ins.c], Elem::I8),
            Op::LoadBoolAt2 => self.load(ins, &[ins.c, ins.d], Elem::I8),
            Op::StoreF64At0 => self.store(ins, &[], Elem::F64),
            Op::StoreF64At1 => self.store(ins, &[ins.c], Elem::F64),
            Op::StoreF64At2 => self.store(ins, &[ins.c, ins.d], Elem::F64),
            Op::StoreF32At0 => self.store(ins, &[], Elem::F32),
            Op::StoreF32At1 => self.store(ins, &[ins.c], Elem::F32),
            Op::StoreF32At2 => self.store(ins, &[ins.c, ins.d], Elem::F32),
            Op::StoreI64At0 => self.store(ins, &[], Elem::I64),
            Op::StoreI64At1 => self.store(ins, &[ins.c], Elem::I64),
            Op::StoreI64At2 => self.store(ins, &[ins.c, ins.d], Elem::I64),
            Op::StoreBoolAt0 => self.store(ins, &[], Elem::I8),
            Op::StoreBoolAt1 => self.store(ins, &[ins.c], Elem::I8),
            Op::StoreBoolAt2 => self.store(ins, &[ins.c, ins.d], Elem::I8),
            _ => self.call_for(n, ins),
        }
        true
    }
}
