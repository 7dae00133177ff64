//! Rounds, one instruction after the other.
//!
//! A boundary file: it reads and writes elements by address. See the head of `nest.rs`.

use std::any::Any;
use std::time::{Duration, Instant};

use legate_jit_ir::graph::Reducer;
use legate_jit_ir::nest::code::{Map, Op};
use legate_jit_ir::nest::{ELEMENTS, Frame, LONGEST};
use legate_jit_ir::{DType, Ufunc};
use smallvec::SmallVec;

use super::log::Log;
use super::vector::{map, strided_copy, take, update};
use super::view::{View, broadcast};
use super::{Numbers, Program};
use crate::library::{self, Strided};
use crate::tree;

/// Bytes of what a round writes, at most.
pub(super) const NOTED: usize = 64 << 20;
/// How long a round may take: who wants to stop the program waits for its end.
const PATIENCE: Duration = Duration::from_millis(200);
/// Jumps back between two looks at the clock.
pub(super) const JUMPS: i64 = 1 << 14;
/// Integers that a float can tell from their neighbours.
const EXACT: u64 = 1 << 53;

/// Memory for results of one instruction. There are two pieces, so that the one before can be an operand of the next.
#[derive(Default)]
struct Memory {
    pieces: [Vec<u64>; 2],
}

impl Memory {
    /// A piece of so many bytes in which none of the views begins.
    fn apart(&mut self, bytes: usize, views: &[*mut u8], retired: &mut Vec<Vec<u64>>) -> *mut u8 {
        let inside = |piece: &Vec<u64>| {
            let range = piece.as_ptr_range();
            let (low, high) = (range.start.addr(), range.end.addr());
            views.iter().any(|v| (low..high).contains(&v.addr()))
        };
        let n = inside(&self.pieces[0]) as usize;
        let words = bytes.div_ceil(8).max(1);
        let piece = &mut self.pieces[n];
        if piece.len() < words {
            retired.push(std::mem::replace(piece, vec![0; words.next_power_of_two()]));
        }
        piece.as_mut_ptr().cast()
    }
}

/// Memory that can be used again.
#[derive(Default)]
pub(super) struct Rooms {
    log: Log,
    memories: Vec<Memory>,
}

pub(super) struct Run<'a> {
    pub(super) program: &'a Program,
    pub(super) numbers: &'a mut Numbers,
    /// What it was given.
    pub(super) arrays: &'a [View],
    pub(super) views: Vec<View>,
    /// All arrays lie in the order of their indices, and so does whatever is made of them.
    ordered: bool,
    /// Rounds may be done by several threads at once.
    pub(super) shares: bool,
    /// However short they are.
    pub(super) eager: bool,
    memories: Vec<Memory>,
    /// Numbers that are seen as views, by the view's register.
    rooms: Vec<f64>,
    /// Memory that became too small in this round. Views may still name it.
    pub(super) retired: Vec<Vec<u64>>,
    pub(super) log: Log,
    /// Operands of a product that run backwards, the other way round.
    copies: [Vec<u64>; 2],
    /// What machine code is called with; its fuel is what is left until the next look at the clock here, too.
    pub(super) frame: Frame,
    /// All fuel that machine code was given for the rounds at hand.
    pub(super) given: i64,
    /// For those that do rounds beside each other.
    pub(super) rooms_of_parts: Vec<Rooms>,
    /// Instructions that note single elements: so many are noted between two jumps back, at most.
    pub(super) notes: usize,
    /// Something went wrong in a call from machine code, which does not know of it: the rounds at hand do not count.
    pub(super) failed: bool,
    /// What went wrong.
    pub(super) panic: Option<Box<dyn Any + Send>>,
    /// When the clock was first looked at in a round.
    pub(super) since: Option<Instant>,
    /// Rounds that machine code did, and those of them that threads did beside each other.
    pub(super) compiled: i64,
    pub(super) shared: i64,
}

// SAFETY: its addresses are those of arrays that outlive it and of memory of its own.
unsafe impl Send for Run<'_> {}

/// What ends a round.
pub(super) enum End {
    Round,
    Leave,
    Long,
}

impl<'a> Run<'a> {
    /// For arrays whose elements the views name, as long as it lives.
    pub(super) fn new(program: &'a Program, numbers: &'a mut Numbers, arrays: &'a [View]) -> Run<'a> {
        Run::with_rooms(program, numbers, arrays, Rooms::default())
    }

    /// The same with the rooms of an earlier one of this program.
    pub(super) fn with_rooms(
        program: &'a Program,
        numbers: &'a mut Numbers,
        arrays: &'a [View],
        Rooms { log, mut memories }: Rooms,
    ) -> Run<'a> {
        memories.resize_with(program.ir.memories, Memory::default);
        let mut views = vec![View::NONE; program.ir.views];
        for (given, &view) in program.ir.arrays.iter().zip(arrays) {
            views[given.register] = view;
        }
        let ordered = arrays.iter().all(View::is_ordered) && program.ir.code.iter().all(|ins| ins.op != Op::Transpose);
        Run {
            program,
            numbers,
            arrays,
            views,
            ordered,
            shares: false,
            eager: false,
            memories,
            rooms_of_parts: Vec::new(),
            rooms: vec![0.0; program.ir.views],
            retired: Vec::new(),
            log,
            copies: Default::default(),
            frame: program.frame(),
            given: 0,
            compiled: 0,
            shared: 0,
            notes: program.ir.code.iter().filter(|ins| ins.op.notes_one()).count(),
            failed: false,
            panic: None,
            since: None,
        }
    }

    /// One round from some instruction on, or only that instruction, which must not be a jump.
    ///
    /// # Safety
    /// The program is one of `Program::new`, and the views lie in memory that is kept.
    pub(super) unsafe fn round<const ONE: bool>(&mut self, mut pc: usize) -> End {
        let code = self.program.ir.code.as_ptr();
        let (ints, floats) = (self.numbers.ints.as_mut_ptr(), self.numbers.floats.as_mut_ptr());
        let views = self.views.as_mut_ptr();
        let only = pc;
        macro_rules! i {
            ($n:expr) => {
                *ints.add($n as usize)
            };
        }
        macro_rules! f {
            ($n:expr) => {
                *floats.add($n as usize)
            };
        }
        macro_rules! v {
            ($n:expr) => {
                *views.add($n as usize)
            };
        }
        // What an instruction needs and has not: the round is the program's.
        macro_rules! some {
            ($what:expr) => {
                match $what {
                    Some(it) => it,
                    None => return End::Leave,
                }
            };
        }
        macro_rules! store {
            ($at:expr, $type:ty, $value:expr) => {{
                let at = $at;
                self.log.single(at, size_of::<$type>() as u8);
                at.cast::<$type>().write($value);
            }};
        }
        macro_rules! long {
            ($n:expr) => {{
                let n = $n;
                self.worked(n);
                if n > LONGEST {
                    return End::Long;
                }
            }};
        }
        // SAFETY: the caller's promise: registers and instructions are there, by `Program::new`; an element is read or written where
        // its index was compared with the axis; the floating-point types and item sizes are those that the front end knows the
        // arrays to have, which `at_hand` has compared with their stores.
        unsafe {
            loop {
                if ONE && pc != only {
                    return End::Round;
                }
                // (Operands are read where they are needed.)
                let ins = &*code.add(pc);
                pc += 1;
                match ins.op {
                    Op::MoveInt => i!(ins.a) = i!(ins.b),
                    Op::AddInt => i!(ins.a) = some!(i!(ins.b).checked_add(i!(ins.c))),
                    Op::SubtractInt => i!(ins.a) = some!(i!(ins.b).checked_sub(i!(ins.c))),
                    Op::MultiplyInt => i!(ins.a) = some!(i!(ins.b).checked_mul(i!(ins.c))),
                    Op::FloorDivideInt => {
                        let (x, y) = (i!(ins.b), i!(ins.c));
                        let (q, r) = (some!(x.checked_div(y)), some!(x.checked_rem(y)));
                        i!(ins.a) = q - (r != 0 && (r < 0) != (y < 0)) as i64;
                    }
                    Op::RemainderInt => {
                        let (x, y) = (i!(ins.b), i!(ins.c));
                        let r = some!(x.checked_rem(y));
                        i!(ins.a) = if r != 0 && (r < 0) != (y < 0) { r + y } else { r };
                    }
                    Op::NegateInt => i!(ins.a) = some!(i!(ins.b).checked_neg()),
                    Op::AbsoluteInt => i!(ins.a) = some!(i!(ins.b).checked_abs()),
                    Op::LessInt => i!(ins.a) = (i!(ins.b) < i!(ins.c)) as i64,
                    Op::LessEqualInt => i!(ins.a) = (i!(ins.b) <= i!(ins.c)) as i64,
                    Op::EqualInt => i!(ins.a) = (i!(ins.b) == i!(ins.c)) as i64,
                    Op::Not => i!(ins.a) = (i!(ins.b) == 0) as i64,
                    Op::MoveFloat => f!(ins.a) = f!(ins.b),
                    Op::Add => f!(ins.a) = f!(ins.b) + f!(ins.c),
                    Op::Subtract => f!(ins.a) = f!(ins.b) - f!(ins.c),
                    Op::Multiply => f!(ins.a) = f!(ins.b) * f!(ins.c),
                    Op::Divide => {
                        let y = f!(ins.c);
                        if y == 0.0 {
                            return End::Leave;
                        }
                        f!(ins.a) = f!(ins.b) / y;
                    }
                    Op::Power => f!(ins.a) = f!(ins.b).powf(f!(ins.c)),
                    Op::Negate => f!(ins.a) = -f!(ins.b),
                    Op::Absolute => f!(ins.a) = f!(ins.b).abs(),
                    Op::Sqrt => {
                        let x = f!(ins.b);
                        if x < 0.0 {
                            return End::Leave;
                        }
                        f!(ins.a) = x.sqrt();
                    }
                    Op::Less => i!(ins.a) = (f!(ins.b) < f!(ins.c)) as i64,
                    Op::LessEqual => i!(ins.a) = (f!(ins.b) <= f!(ins.c)) as i64,
                    Op::Equal => i!(ins.a) = (f!(ins.b) == f!(ins.c)) as i64,
                    Op::ToFloat => {
                        let x = i!(ins.b);
                        if x.unsigned_abs() > EXACT {
                            return End::Leave;
                        }
                        f!(ins.a) = x as f64;
                    }
                    Op::ToInt => {
                        let x = f!(ins.b).trunc();
                        if x.is_nan() || x.abs() > EXACT as f64 {
                            return End::Leave;
                        }
                        i!(ins.a) = x as i64;
                    }
                    Op::Round => f!(ins.a) = f!(ins.b) as f32 as f64,
                    Op::Function => {
                        // (What is not finite NumPy may warn of, and Python may raise an error.)
                        f!(ins.a) =
                            some!(self.program.functions[ins.c as usize].of(f!(ins.b)).filter(|v| v.is_finite()));
                    }
                    Op::Jump => pc = ins.a as usize,
                    Op::JumpBack => {
                        pc = ins.a as usize;
                        self.frame.fuel -= 1;
                        if self.frame.fuel <= 0 && self.is_long() {
                            return End::Long;
                        }
                    }
                    Op::JumpIf => {
                        if i!(ins.a) != 0 {
                            pc = ins.b as usize;
                        }
                    }
                    Op::JumpUnless => {
                        if i!(ins.a) == 0 {
                            pc = ins.b as usize;
                        }
                    }
                    Op::StartRange => {
                        let (start, stop, step) = (i!(ins.b), i!(ins.c), i!(ins.d));
                        let wide = stop as i128 - start as i128;
                        let left = match step {
                            0 => return End::Leave,
                            1.. => (wide.max(0) as u128).div_ceil(step as u128),
                            _ => ((-wide).max(0) as u128).div_ceil(step.unsigned_abs() as u128),
                        };
                        i!(ins.a) = start;
                        i!(ins.a + 1) = step;
                        i!(ins.a + 2) = some!(i64::try_from(left).ok());
                    }
                    Op::NextOfRange => {
                        if i!(ins.a + 2) == 0 {
                            pc = ins.c as usize;
                        } else {
                            i!(ins.a + 2) -= 1;
                            let next = i!(ins.a);
                            i!(ins.b) = next;
                            i!(ins.a) = next.wrapping_add(i!(ins.a + 1));
                        }
                    }
                    Op::Again => {
                        self.frame.fuel -= 1;
                        if self.frame.fuel <= 0 && self.is_long() {
                            return End::Long;
                        }
                        if i!(ins.a + 2) != 0 {
                            i!(ins.a + 2) -= 1;
                            let next = i!(ins.a);
                            i!(ins.b) = next;
                            i!(ins.a) = next.wrapping_add(i!(ins.a + 1));
                            pc = ins.c as usize;
                        }
                    }
                    Op::EndRound => return End::Round,
                    Op::Leave => return End::Leave,
                    Op::LoadF64At0 => f!(ins.a) = v!(ins.b).ptr.cast::<f64>().read(),
                    Op::LoadF64At1 => f!(ins.a) = some!(v!(ins.b).at1(i!(ins.c))).cast::<f64>().read(),
                    Op::LoadF64At2 => f!(ins.a) = some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))).cast::<f64>().read(),
                    Op::LoadF32At0 => f!(ins.a) = v!(ins.b).ptr.cast::<f32>().read() as f64,
                    Op::LoadF32At1 => f!(ins.a) = some!(v!(ins.b).at1(i!(ins.c))).cast::<f32>().read() as f64,
                    Op::LoadF32At2 => {
                        f!(ins.a) = some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))).cast::<f32>().read() as f64
                    }
                    Op::LoadI64At0 => i!(ins.a) = v!(ins.b).ptr.cast::<i64>().read(),
                    Op::LoadI64At1 => i!(ins.a) = some!(v!(ins.b).at1(i!(ins.c))).cast::<i64>().read(),
                    Op::LoadI64At2 => i!(ins.a) = some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))).cast::<i64>().read(),
                    Op::LoadBoolAt0 => i!(ins.a) = (v!(ins.b).ptr.read() != 0) as i64,
                    Op::LoadBoolAt1 => i!(ins.a) = (some!(v!(ins.b).at1(i!(ins.c))).read() != 0) as i64,
                    Op::LoadBoolAt2 => i!(ins.a) = (some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))).read() != 0) as i64,
                    Op::StoreF64At0 => store!(v!(ins.b).ptr, f64, f!(ins.a)),
                    Op::StoreF64At1 => store!(some!(v!(ins.b).at1(i!(ins.c))), f64, f!(ins.a)),
                    Op::StoreF64At2 => store!(some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))), f64, f!(ins.a)),
                    Op::StoreF32At0 => store!(v!(ins.b).ptr, f32, f!(ins.a) as f32),
                    Op::StoreF32At1 => store!(some!(v!(ins.b).at1(i!(ins.c))), f32, f!(ins.a) as f32),
                    Op::StoreF32At2 => store!(some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))), f32, f!(ins.a) as f32),
                    Op::StoreI64At0 => store!(v!(ins.b).ptr, i64, i!(ins.a)),
                    Op::StoreI64At1 => store!(some!(v!(ins.b).at1(i!(ins.c))), i64, i!(ins.a)),
                    Op::StoreI64At2 => store!(some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))), i64, i!(ins.a)),
                    Op::StoreBoolAt0 => store!(v!(ins.b).ptr, u8, (i!(ins.a) != 0) as u8),
                    Op::StoreBoolAt1 => store!(some!(v!(ins.b).at1(i!(ins.c))), u8, (i!(ins.a) != 0) as u8),
                    Op::StoreBoolAt2 => store!(some!(v!(ins.b).at2(i!(ins.c), i!(ins.d))), u8, (i!(ins.a) != 0) as u8),
                    Op::LoadSmall => {
                        let p = v!(ins.b).ptr;
                        i!(ins.a) = match ins.c {
                            0 => p.read() as i64,
                            1 => p.cast::<i8>().read() as i64,
                            2 => p.cast::<u16>().read() as i64,
                            3 => p.cast::<i16>().read() as i64,
                            4 => p.cast::<u32>().read() as i64,
                            _ => p.cast::<i32>().read() as i64,
                        };
                    }
                    Op::MoveView => v!(ins.a) = v!(ins.b),
                    Op::Index => {
                        let items = &self.program.ir.items[ins.c as usize..][..ins.d as usize];
                        v!(ins.a) = some!(v!(ins.b).index(items, &self.numbers.ints));
                    }
                    Op::Transpose => v!(ins.a) = v!(ins.b).transposed(),
                    Op::Length => {
                        i!(ins.a) = some!(v!(ins.b).shape().get(ins.c as usize).map(|&n| n as i64));
                    }
                    Op::MapF64 | Op::MapF32 => {
                        let Some(op) = Map::numbered(ins.e) else { return End::Leave };
                        let item = if ins.op == Op::MapF64 { 8 } else { 4 };
                        let (x, y) = (v!(ins.b), v!(ins.c));
                        let shape = some!(broadcast(&x, &y));
                        long!(shape.iter().product::<usize>());
                        let out = self.new_view(ins.d, &shape, item, [&x, &y]);
                        let (x, y) = (some!(x.broadcast(&shape)), some!(y.broadcast(&shape)));
                        if item == 8 {
                            map::<f64>(&out, &x, &y, op)
                        } else {
                            map::<f32>(&out, &x, &y, op)
                        }
                        v!(ins.a) = out;
                    }
                    Op::UpdateF64 | Op::UpdateF32 => {
                        let Some(op) = Map::numbered(ins.c) else { return End::Leave };
                        let item = if ins.op == Op::UpdateF64 { 8 } else { 4 };
                        let to = v!(ins.a);
                        long!(to.size());
                        let mut from = some!(v!(ins.b).broadcast(to.shape()));
                        let copied;
                        if from.overlaps(&to, item) && !from.same(&to) {
                            copied = packed_copy(&from, item);
                            from = View::packed(copied.as_ptr().cast_mut().cast(), to.shape(), item);
                        }
                        let old = self.log.room(&to, item);
                        if item == 8 {
                            update::<f64>(&to, &from, &old, op)
                        } else {
                            update::<f32>(&to, &from, &old, op)
                        }
                    }
                    Op::NumberF64 => {
                        let room: *mut f64 = &mut self.rooms[ins.a as usize];
                        room.write(f!(ins.b));
                        v!(ins.a) = View::single(room.cast());
                    }
                    Op::NumberF32 => {
                        let room: *mut f64 = &mut self.rooms[ins.a as usize];
                        room.cast::<f32>().write(f!(ins.b) as f32);
                        v!(ins.a) = View::single(room.cast());
                    }
                    Op::Assign => {
                        let to = v!(ins.a);
                        let item = ins.c as usize;
                        long!(to.size());
                        let mut from = some!(v!(ins.b).broadcast(to.shape()));
                        if from.same(&to) {
                            continue;
                        }
                        let copied;
                        if from.overlaps(&to, item) {
                            copied = packed_copy(&from, item);
                            from = View::packed(copied.as_ptr().cast_mut().cast(), to.shape(), item);
                        }
                        self.log.many(&to, item);
                        strided_copy(&to, &from, item);
                    }
                    Op::Copy => {
                        let from = v!(ins.b);
                        let item = ins.d as usize;
                        long!(from.size());
                        let out = self.new_view(ins.c, from.shape(), item, [&from, &from]);
                        strided_copy(&out, &from, item);
                        v!(ins.a) = out;
                    }
                    Op::Full => {
                        let like = v!(ins.b);
                        let item = ins.e as usize;
                        long!(like.size());
                        let from = some!(v!(ins.c).broadcast(like.shape()));
                        let out = self.new_view(ins.d, like.shape(), item, [&like, &from]);
                        strided_copy(&out, &from, item);
                        v!(ins.a) = out;
                    }
                    Op::Take => {
                        let (from, of) = (v!(ins.b), v!(ins.c));
                        let item = ins.e as usize;
                        long!(of.size());
                        let out = self.new_view(ins.d, of.shape(), item, [&from, &of]);
                        some!(match item {
                            8 => take::<u64>(&out, &from, &of),
                            4 => take::<u32>(&out, &from, &of),
                            2 => take::<u16>(&out, &from, &of),
                            _ => take::<u8>(&out, &from, &of),
                        });
                        v!(ins.a) = out;
                    }
                    Op::DotF64 => {
                        f!(ins.a) = f64::from_bits(some!(self.dot(DType::F64, v!(ins.b), v!(ins.c), ins.d == 1)))
                    }
                    Op::DotF32 => {
                        f!(ins.a) =
                            f32::from_bits(some!(self.dot(DType::F32, v!(ins.b), v!(ins.c), ins.d == 1)) as u32) as f64
                    }
                    Op::MatmulF64 => v!(ins.a) = some!(self.matmul(DType::F64, &v!(ins.b), &v!(ins.c), ins.d)),
                    Op::MatmulF32 => v!(ins.a) = some!(self.matmul(DType::F32, &v!(ins.b), &v!(ins.c), ins.d)),
                    Op::SumF64 | Op::MaximumF64 | Op::MinimumF64 => {
                        f!(ins.a) = f64::from_bits(some!(self.reduced(reducer(ins.op), DType::F64, &v!(ins.b))));
                    }
                    Op::SumF32 | Op::MaximumF32 | Op::MinimumF32 => {
                        let bits = some!(self.reduced(reducer(ins.op), DType::F32, &v!(ins.b)));
                        f!(ins.a) = f32::from_bits(bits as u32) as f64;
                    }
                }
            }
        }
    }

    /// Its memory, for another one.
    pub(super) fn rooms(self) -> Rooms {
        Rooms { log: self.log, memories: self.memories }
    }

    /// Looks at the clock: whether the round takes too long, or too much memory.
    #[cold]
    pub(super) fn is_long(&mut self) -> bool {
        self.frame.fuel = JUMPS;
        let since = *self.since.get_or_insert_with(Instant::now);
        since.elapsed() > PATIENCE || self.log.bytes() > NOTED
    }

    /// How many elements machine code may note until its fuel is used up.
    pub(super) fn room(&self) -> usize {
        (self.frame.fuel.max(0) as usize + 1) * self.notes
    }

    /// Counts an operation on so many elements.
    #[inline(always)]
    fn worked(&mut self, n: usize) {
        self.frame.mapped += n as u64;
        self.frame.maps += 1;
        self.frame.fuel -= (n / ELEMENTS) as i64;
    }

    /// New elements in a piece of memory that lies apart from two views.
    fn new_view(&mut self, memory: u16, shape: &[usize], item: usize, views: [&View; 2]) -> View {
        let bytes = shape.iter().product::<usize>() * item;
        View::packed(self.memory(memory as usize, bytes, &views.map(|v| v.ptr)), shape, item)
    }

    /// Memory of an instruction's in which none of some views begins.
    pub(super) fn memory(&mut self, memory: usize, bytes: usize, views: &[*mut u8]) -> *mut u8 {
        self.memories[memory].apart(bytes, views, &mut self.retired)
    }

    /// The sum of products of two vectors; those that run backwards are `copied` first, as `linalg::dot` does.
    pub(super) fn dot(&mut self, dtype: DType, mut x: View, mut y: View, copied: bool) -> Option<u64> {
        let n = x.shape[0];
        if y.shape[0] != n || n > LONGEST {
            return None;
        }
        self.worked(n);
        if n == 0 {
            return Some(0);
        }
        let mut copies = std::mem::take(&mut self.copies);
        for (v, copy) in [&mut x, &mut y].into_iter().zip(&mut copies) {
            if copied && (v.strides[0] < 0 || v.strides[0] == 0 && n > 1) {
                packed_into(copy, v, dtype.size());
                *v = View::packed(copy.as_mut_ptr().cast(), &[n], dtype.size());
            }
        }
        let (x, y) = ((x.ptr, x.strides[0] as i64), (y.ptr, y.strides[0] as i64));
        // SAFETY: views of a program's, on elements of this type.
        let sum = unsafe { library::dot(dtype, n, x, y) };
        self.copies = copies;
        Some(sum.ok()?[0])
    }

    /// The product of a matrix and a vector, or of two matrices.
    fn matmul(&mut self, dtype: DType, x: &View, y: &View, memory: u16) -> Option<View> {
        let (rows, columns) = (x.axes == 2, y.axes == 2);
        let n = x.shape[x.axes - 1];
        let m = if rows { x.shape[0] } else { 1 };
        let p = if columns { y.shape[1] } else { 1 };
        let work = m.checked_mul(n)?.checked_mul(p)?;
        if y.shape[0] != n || work > LONGEST {
            return None;
        }
        self.worked(work);
        let mut shape: SmallVec<[usize; 2]> = SmallVec::new();
        shape.extend(rows.then_some(m));
        shape.extend(columns.then_some(p));
        let item = dtype.size();
        let result = self.new_view(memory, &shape, item, [x, y]);
        let matrix = |v: &View, as_row: bool| match (v.axes, as_row) {
            (2, _) => [v.strides[0] as i64, v.strides[1] as i64],
            (_, true) => [v.strides[0] as i64 * n as i64, v.strides[0] as i64],
            (_, false) => [v.strides[0] as i64, item as i64],
        };
        if n == 0 || m == 0 || p == 0 {
            // SAFETY: memory of its own for so many elements.
            unsafe { result.ptr.write_bytes(0, m * p * item) };
            return Some(result);
        }
        let (by_x, by_y, by) = (matrix(x, true), matrix(y, false), [(p * item) as i64, item as i64]);
        let a = Strided { ptr: x.ptr, dtype, shape: &[m, n], strides: &by_x };
        let b = Strided { ptr: y.ptr, dtype, shape: &[n, p], strides: &by_y };
        let out = Strided { ptr: result.ptr, dtype, shape: &[m, p], strides: &by };
        library::matmul(&a, &b, &out).ok()?;
        Some(result)
    }

    /// A reduction of all elements, by NumPy's tree.
    pub(super) fn reduced(&mut self, ufunc: Ufunc, dtype: DType, x: &View) -> Option<u64> {
        let n = x.size();
        // (NumPy's temporaries lie as their operands do, and it goes through elements as they lie.)
        if x.axes == 0 || x.axes > 1 && !(self.ordered && x.is_packed(dtype.size())) {
            return None;
        }
        if n == 0 || n > LONGEST {
            return None;
        }
        self.worked(n);
        let item = dtype.size();
        let copied;
        let from = if x.is_packed(item) {
            x.ptr.cast_const()
        } else {
            copied = packed_copy(x, item);
            copied.as_ptr().cast()
        };
        // SAFETY: so many elements, one after the other.
        Some(unsafe { tree::reduce(Reducer::Ufunc(ufunc), dtype, from, n) }[0])
    }
}

/// The operation of a reduction.
fn reducer(op: Op) -> Ufunc {
    match op {
        Op::MaximumF64 | Op::MaximumF32 => Ufunc::Maximum,
        Op::MinimumF64 | Op::MinimumF32 => Ufunc::Minimum,
        _ => Ufunc::Add,
    }
}

/// The elements of a view, one after the other: where they are, and not how many.
fn packed_copy(view: &View, item: usize) -> Vec<u64> {
    let mut copied = Vec::new();
    packed_into(&mut copied, view, item);
    copied
}

/// The same in memory that there may be.
fn packed_into(copied: &mut Vec<u64>, view: &View, item: usize) {
    copied.reserve((view.size() * item).div_ceil(8).max(1));
    let to = View::packed(copied.as_mut_ptr().cast(), view.shape(), item);
    // SAFETY: a view of a program's, and room for its elements.
    unsafe { strided_copy(&to, view, item) };
}
