//! `lower_nest`: the code of a nest becomes a function with the C interface of `ir::nest::NestFn`.
//!
//! Before: a program that `check` accepts. After: a module with one public function. Registers that the code writes are places in
//! the function's frame, which LLVM makes values of; the rest are loaded once. Numbers, single elements and operations on rows are
//! computed here; the rest is the interpreter's, which is called for it.
//!
//! The result of every operation that may raise one of the processor's floating-point exceptions is used, or said to be, so that
//! LLVM leaves none out: NumPy would warn of it, and whoever runs the code looks at the exceptions.

mod beside;
mod calls;
mod chains;
mod control;
mod flat;
mod foreseen;
mod jam;
mod lanes;
mod mirrored;
mod numbers;
mod products;
mod rows;
mod views;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use melior::Context;
use melior::dialect::llvm;
use melior::ir::attribute::{
    ArrayAttribute, DenseI32ArrayAttribute, DenseI64ArrayAttribute, StringAttribute, TypeAttribute,
};
use melior::ir::block::{BlockLike, BlockRef};
use melior::ir::operation::OperationBuilder;
use melior::ir::{Attribute, Block, Identifier, Module, Region, RegionLike, Type};

use legate_jit_ir::nest::code::{Ins, Op, Operand};
use legate_jit_ir::nest::{
    AXES, DOT_ALONE, ELEMENTS, Foreseen, Frame, GO_ON, Item, LEFT, LONG, LONGEST, OLD_BYTES, Old, Program, SHORT, fits,
    view,
};

use super::build::{Build, Common, Elem, Math, V};
use super::{Lowered, add_function};
use crate::Result;
use crate::target::{CpuTarget, Level};
use beside::Own;
use chains::Chains;
use flat::Way;
use foreseen::Fast;
use rows::Kept;
use views::{axes, filed};

/// Integers that a float can tell from their neighbours.
const EXACT: i64 = 1 << 53;

// MLIR's numbers of comparisons.
const EQUAL: i64 = 0;
const NOT_EQUAL: i64 = 1;
const LESS: i64 = 2;
const LESS_EQUAL: i64 = 3;
const GREATER: i64 = 4;
const BELOW: i64 = 6;
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
    /// How many rounds of a loop are done that are done side by side.
    done: V<'c>,
    /// Ends of ranges' rounds, by the instruction's operands and where it goes on after the last.
    again: BTreeMap<([u16; 3], usize), BlockRef<'c, 'c>>,
    /// Bytes of a vector.
    vector_bytes: u32,
    /// Maps that are done within other instructions, and what they were given.
    chains: Chains,
    kept: BTreeMap<usize, Kept<'c>>,
    /// For each instruction that writes to rows the one that it has noted last, in the function's frame: where it begins, its length
    /// and its stride.
    noted: BTreeMap<usize, [V<'c>; 3]>,
    /// The same for those that write several columns at once: from where to where the first elements of columns lie, their length and
    /// their stride.
    noted_columns: BTreeMap<usize, [V<'c>; 4]>,
    /// Inner loops of which is known before where their elements are, by their heads.
    foreseen: BTreeMap<usize, Foreseen>,
    /// The rounds of such a loop that are being built, and what registers have on the way that is gone of them.
    fast: Option<Fast<'c>>,
    way: RefCell<Option<Way<'c>>>,
    /// For loops whose rounds carry an element on, its type and where it is in the function's frame.
    carried: BTreeMap<usize, (Elem, V<'c>)>,
    /// What belongs to each of several rounds that are done beside each other, but for the first.
    others: Vec<Own<'c>>,
    /// For each piece of memory where it is and how many bytes it has, in the function's frame.
    pieces: Vec<[V<'c>; 2]>,
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
    let mut nest = Nest::begin(program, &region, b, target.vector_bytes(false));
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

/// Whether an instruction can raise one of the processor's exceptions.
fn may_raise(op: Op) -> bool {
    matches!(op, Op::Add | Op::Subtract | Op::Multiply | Op::Divide | Op::Round | Op::Sqrt)
}

/// Whether the value of a float register is surely used where this instruction is done.
fn uses(ins: &Ins, r: u16) -> bool {
    use Op::*;
    match ins.op {
        Add | Subtract | Multiply | Divide | Power => ins.b == r || ins.c == r,
        // (Whether the round is left depends on it, or it is handed on.)
        Round | Sqrt | ToInt | Function => ins.b == r,
        StoreF64At0 | StoreF64At1 | StoreF64At2 | StoreF32At0 | StoreF32At1 | StoreF32At2 => ins.a == r,
        _ => false,
    }
}

impl<'c, 'b> Nest<'c, 'b> {
    /// With the registers loaded, at the function's beginning.
    fn begin(program: &'b Program, region: &'b Region<'c>, b: Build<'c, 'b>, vector_bytes: u32) -> Nest<'c, 'b> {
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
        let known = axes(program);
        let begins = leaders(&program.code);
        let chains = Chains::of(program, &known, |n| begins.contains(&n));
        let views = known.into_iter().enumerate().map(|(r, axes)| {
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
        let writes = |ins: &Ins| matches!(ins.op, Op::UpdateF64 | Op::UpdateF32 | Op::Assign);
        let zero = || {
            let room = room(b.ty(Elem::I64));
            b.store(Elem::I64, b.int(Elem::I64, 0), room);
            room
        };
        let writers = || program.code.iter().enumerate().filter(|(_, ins)| writes(ins)).map(|(n, _)| n);
        let heads = program.code.iter().enumerate().filter(|(_, ins)| ins.op == Op::NextOfRange).map(|(n, _)| n);
        let foreseen: BTreeMap<usize, Foreseen> =
            heads.filter_map(|head| Some((head, program.foreseen(head)?))).collect();
        let of_elements = foreseen.values().flat_map(|plan| plan.noted.keys().copied());
        let noted = writers().chain(of_elements).map(|n| (n, [(); 3].map(|()| zero()))).collect();
        let carried = foreseen.iter().filter_map(|(&head, plan)| {
            let (_, to) = plan.carried.as_ref()?;
            let n = plan.elements.keys().find(|n| program.code[**n].op.notes_one() && plan.elements[n] == *to)?;
            let elem = foreseen::element_of(program.code[*n].op);
            Some((head, (elem, room(b.ty(elem)))))
        });
        let carried = carried.collect();
        let noted_columns = writers().map(|n| (n, [(); 4].map(|()| zero()))).collect();
        let pieces = (0..program.memories).map(|_| {
            let (at, most) = (room(b.common.ptr), room(b.ty(Elem::I64)));
            b.effect("llvm.store", &[b.op_typed("llvm.mlir.zero", &[], &[], b.common.ptr), at], &[]);
            b.store(Elem::I64, b.int(Elem::I64, 0), most);
            [at, most]
        });
        let pieces = pieces.collect();
        let of_frame = |at: usize| {
            let room = room(b.ty(Elem::I64));
            b.store(Elem::I64, b.load(Elem::I64, field(at)), room);
            room
        };
        let fuel = of_frame(std::mem::offset_of!(Frame, fuel));
        let next = of_frame(std::mem::offset_of!(Frame, next));
        let left = of_frame(std::mem::offset_of!(Frame, rounds));
        let done = room(b.ty(Elem::I64));
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
            done,
            again: BTreeMap::new(),
            vector_bytes,
            chains,
            kept: BTreeMap::new(),
            noted,
            noted_columns,
            foreseen,
            fast: None,
            way: RefCell::new(None),
            carried,
            others: Vec::new(),
            pieces,
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
        let beside = self.beside_of().map(|(plan, others)| {
            self.others = others;
            plan
        });
        self.jump(self.head);
        self.b.block = self.head;
        let next = self.b.load(Elem::I64, self.next);
        self.set_int(self.program.variable as u16, next);
        match beside {
            Some(plan) => self.do_beside(&plan, self.target(0)),
            None => self.jump(self.target(0)),
        }
        self.instructions(0..code.len(), false);
        for (block, end) in [(self.leave.get(), LEFT), (self.long.get(), LONG)] {
            if let Some(block) = block {
                self.b.block = block;
                self.end(end);
            }
        }
    }

    /// Some instructions, in their order. `open`: the block at hand is to go on with the first.
    fn instructions(&mut self, which: impl Iterator<Item = usize>, mut open: bool) {
        for n in which {
            if self.blocks[n].is_some() {
                let block = self.target(n);
                if open {
                    self.jump(block);
                }
                self.b.block = block;
                open = true;
                self.forget_indices(|_| true);
            }
            // (What cannot be reached is left out.)
            if open {
                let ins = self.program.code[n];
                open = self.step(n, &ins);
            }
        }
    }

    /// One instruction, whose result is used; whether the next one may come after it.
    fn step(&mut self, n: usize, ins: &Ins) -> bool {
        let open = self.instruction(n, ins);
        if self.fast.is_some() {
            ins.writes(|bank, written| {
                if bank == 0 {
                    self.forget_indices(|r| r as usize == written);
                }
            });
        }
        if open && may_raise(ins.op) && !self.is_used(n, ins.a) {
            let value = self.float(ins.a);
            self.use_of(value);
        }
        open
    }

    /// Whether what the instruction at `n` computes is surely used: by one after it that is done whenever it is, before anything
    /// else is in the register.
    fn is_used(&self, n: usize, r: u16) -> bool {
        let code = &self.program.code;
        for (k, ins) in code.iter().enumerate().skip(n + 1) {
            if self.blocks[k].is_some() {
                return false;
            }
            if uses(ins, r) || ins.op == Op::MoveFloat && ins.b == r && self.is_used(k, ins.a) {
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
                if !self.is_foreseen(n) {
                    self.leave_if(self.is_inexact(x));
                }
                self.set_float(ins.a, self.b.op("arith.sitofp", &[x], Elem::F64));
            }
            Op::ToInt => {
                // (From that size on all floats are integers.)
                let x = self.float(ins.b);
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
                if let Some(plan) = self.side_by_side(n) {
                    match plan.row {
                        Some(row) => self.jam(n, &plan, row),
                        None => self.in_lanes(n, &plan, end),
                    }
                } else if let Some(plan) = self.foreseen.get(&n).cloned() {
                    self.foresee(n, &plan, end);
                }
                self.next_number(ins.a, ins.b, true);
                self.jump(after);
                return false;
            }
            Op::Again if self.fast.is_some() => {
                let end = self.fast.as_ref().expect("rounds that are built").end;
                self.jump(end);
                return false;
            }
            Op::Again => {
                // One jump back for all ends of a body, so that LLVM sees one number that is counted up.
                let after = self.program.followed(n + 1);
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
                self.end_rounds(1);
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
            Op::DotF64 | Op::DotF32 => self.dot(n, ins),
            Op::Take if self.chains.is_put_off(n) => self.put_off(n, ins),
            Op::SumF64 | Op::SumF32 | Op::MaximumF64 | Op::MaximumF32 | Op::MinimumF64 | Op::MinimumF32
                if self.axes(ins.b) == Some(1) =>
            {
                self.reduce(ins);
            }
            Op::Take if ins.e <= 8 && [ins.a, ins.b, ins.c].iter().all(|&v| self.axes(v) == Some(1)) => {
                let (from, of) = (self.view(ins.b, 1), self.view(ins.c, 1));
                self.take(n, ins, &from, &of);
            }
            Op::LoadF64At0 => self.load(n, ins, &[], Elem::F64),
            Op::LoadF64At1 => self.load(n, ins, &[ins.c], Elem::F64),
            Op::LoadF64At2 => self.load(n, ins, &[ins.c, ins.d], Elem::F64),
            Op::LoadF32At0 => self.load(n, ins, &[], Elem::F32),
            Op::LoadF32At1 => self.load(n, ins, &[ins.c], Elem::F32),
            Op::LoadF32At2 => self.load(n, ins, &[ins.c, ins.d], Elem::F32),
            Op::LoadI64At0 => self.load(n, ins, &[], Elem::I64),
            Op::LoadI64At1 => self.load(n, ins, &[ins.c], Elem::I64),
            Op::LoadI64At2 => self.load(n, ins, &[ins.c, ins.d], Elem::I64),
            Op::LoadBoolAt0 => self.load(n, ins, &[], Elem::I8),
            Op::LoadBoolAt1 => self.load(n, ins, &[ins.c], Elem::I8),
            Op::LoadBoolAt2 => self.load(n, ins, &[ins.c, ins.d], Elem::I8),
            Op::StoreF64At0 => self.store(n, ins, &[], Elem::F64),
            Op::StoreF64At1 => self.store(n, ins, &[ins.c], Elem::F64),
            Op::StoreF64At2 => self.store(n, ins, &[ins.c, ins.d], Elem::F64),
            Op::StoreF32At0 => self.store(n, ins, &[], Elem::F32),
            Op::StoreF32At1 => self.store(n, ins, &[ins.c], Elem::F32),
            Op::StoreF32At2 => self.store(n, ins, &[ins.c, ins.d], Elem::F32),
            Op::StoreI64At0 => self.store(n, ins, &[], Elem::I64),
            Op::StoreI64At1 => self.store(n, ins, &[ins.c], Elem::I64),
            Op::StoreI64At2 => self.store(n, ins, &[ins.c, ins.d], Elem::I64),
            Op::StoreBoolAt0 => self.store(n, ins, &[], Elem::I8),
            Op::StoreBoolAt1 => self.store(n, ins, &[ins.c], Elem::I8),
            Op::StoreBoolAt2 => self.store(n, ins, &[ins.c, ins.d], Elem::I8),
            _ if self.chains.is_put_off(n) => self.put_off(n, ins),
            _ if self.is_row(ins) => self.do_rows(n, ins),
            _ => self.call_for(n, ins),
        }
        true
    }
}
