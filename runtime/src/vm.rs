//! The prebuilt tier: runs a kernel without compiling it, instruction by instruction over blocks that stay in the first-level
//! cache. It is there from the first call, and gives the bits of the compiled tier.
//!
//! A [`Program`] is made once for a kernel: a loop for each instruction, blocks for the values that are alive at the same time.
//! A run walks the box row by row, a row in blocks. An operand that lies one element after the other in its array is read in
//! place, others are gathered into a block first; a result that goes to such an array is computed into it, unless that array is
//! read in place as well. Where rows are short, several are gathered into one block.
//!
//! All loads of a block happen before its stores, which is what the kernel's meaning asks for (`ir::kernel`).
//!
//! This is a boundary file: it takes addresses from the executor and trusts the kernel's contract about them.

mod casts;
mod composed;
mod loops;
pub(crate) mod moves;
#[cfg(test)]
mod tests;
pub(crate) mod turn;

use std::cell::Cell;
use std::sync::OnceLock;

use legate_jit_ir::kernel::{Inst, Op};
use legate_jit_ir::{DType, Kernel, Reg, Ufunc};
use legate_jit_vmath::{Float, Slice1, Slice2, slice1, slice2};
use smallvec::SmallVec;

use crate::{Error, Result};
pub(crate) use loops::{Loop, cast as cast_loop};
use moves::Rect;

/// Bytes that the blocks of a kernel may take, of the 32 KiB or more of a first-level cache.
const BLOCK_BYTES: usize = 24 << 10;
/// Rows shorter than this are gathered, several to a block.
const SHORT_ROW: usize = 24;

#[derive(Clone, Copy)]
enum Run {
    Loop(loops::Loop),
    Math1(Slice1),
    /// Whether each argument steps.
    Math2(Slice2, [bool; 2]),
}

/// What runs an operation on vectors of elements.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Loops(loops::Loops),
    Math1(Slice1),
    Math2(Slice2),
}

/// What runs an operation on arguments of these types.
#[inline]
pub(crate) fn operation(op: Ufunc, types: &[DType]) -> Option<Operation> {
    /// By operation, and by type where all arguments have the same one.
    static SAME: [[OnceLock<Option<Operation>>; DType::ALL.len()]; Ufunc::ALL.len()] =
        [const { [const { OnceLock::new() }; DType::ALL.len()] }; Ufunc::ALL.len()];
    if types.iter().all(|t| *t == types[0]) {
        return *SAME[op as usize][types[0] as usize].get_or_init(|| find(op, types));
    }
    find(op, types)
}

fn find(op: Ufunc, types: &[DType]) -> Option<Operation> {
    if let (Some(func), Some(float)) = (op.vmath(), float(types[0])) {
        if let Some(f) = slice1(func, float) {
            return Some(Operation::Math1(f));
        }
        if let Some(f) = slice2(func, float) {
            return Some(Operation::Math2(f));
        }
    }
    composed::find(op, types).or_else(|| loops::find(op, types)).map(Operation::Loops)
}

/// One instruction: slots of its arguments and its result.
struct Step {
    run: Run,
    args: [u32; 3],
    out: u32,
}

struct Load {
    access: u32,
    size: usize,
    align: usize,
    slot: u32,
    block: u32,
    /// Also copied where it could be read in place: a store must not overtake it.
    keep: bool,
}

struct Store {
    access: u32,
    size: usize,
    align: usize,
    slot: u32,
    /// The slot's block, if the value is a step's result.
    block: u32,
    /// The value is one element, of a scalar slot.
    fill: bool,
    /// The value is a step's result that only this store takes, so that the step can write it in place.
    in_place: bool,
}

/// A kernel made ready for the prebuilt loops.
///
/// Slots are the addresses that a run works with: those of blocks, arrays, and scalars.
pub struct Program {
    rank: usize,
    accesses: usize,
    slots: usize,
    loads: Vec<Load>,
    stores: Vec<Store>,
    steps: Vec<Step>,
    /// (slot, axis)
    indices: Vec<(u32, u32)>,
    constants: Vec<[u64; 2]>,
    /// (slot, constant or scalar argument's number): slots of one element.
    constant_slots: Vec<(u32, u32)>,
    scalar_slots: Vec<(u32, u32)>,
    /// (block slot, scalar slot, element size): where a loop needs a scalar as a vector.
    splats: Vec<(u32, u32, usize)>,
    /// (slot, block)
    blocks: Vec<(u32, u32)>,
    /// Elements of a block.
    block: usize,
    block_bytes: usize,
    block_count: usize,
    /// Whether values live in blocks even if all arrays can be read and written in place.
    temporaries: bool,
}

/// Makes the steps of a program, one instruction after the other.
struct Builder<'k> {
    kernel: &'k Kernel,
    insts: &'k [Inst],
    slots: u32,
    /// The slot with the vector, and with the single element, of each instruction.
    vector: Vec<Option<u32>>,
    single: Vec<Option<u32>>,
    program: Program,
}

impl Program {
    /// Axes of the boxes that it runs on.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Arrays that it reads and writes.
    pub fn accesses(&self) -> usize {
        self.accesses
    }

    /// Passes over a box's points that it makes.
    pub fn operations(&self) -> u64 {
        self.steps.len().max(1) as u64
    }

    pub fn new(kernel: &Kernel) -> Result<Program> {
        let program = Program {
            rank: kernel.rank as usize,
            accesses: kernel.accesses.len(),
            slots: 0,
            loads: Vec::new(),
            stores: Vec::new(),
            steps: Vec::new(),
            indices: Vec::new(),
            constants: Vec::new(),
            constant_slots: Vec::new(),
            scalar_slots: Vec::new(),
            splats: Vec::new(),
            blocks: Vec::new(),
            block: 0,
            block_bytes: 0,
            block_count: 0,
            temporaries: false,
        };
        let mut b =
            Builder { kernel, insts: &kernel.body.insts, slots: 0, vector: Vec::new(), single: Vec::new(), program };
        for i in 0..kernel.body.insts.len() {
            b.instruction(i)?;
        }
        b.stores();
        b.assign_blocks();
        Ok(b.program)
    }

    /// Runs the kernel on a box; the arguments are those of [`legate_jit_ir::kernel::KernelFn`].
    ///
    /// # Safety
    /// As there: every element that the box's points name is valid memory, and no point reads what another one writes.
    pub unsafe fn run(
        &self,
        ptrs: *const *mut u8,
        strides: *const i64,
        scalars: *const [u64; 2],
        lo: *const i64,
        extent: *const i64,
    ) {
        // SAFETY: the caller gives as many pointers, strides and extents as the kernel has accesses and axes.
        let (ptrs, strides, extent, lo) = unsafe {
            (
                std::slice::from_raw_parts(ptrs, self.accesses),
                std::slice::from_raw_parts(strides, self.accesses * self.rank),
                std::slice::from_raw_parts(extent, self.rank),
                if self.indices.is_empty() { &[] } else { std::slice::from_raw_parts(lo, self.rank) },
            )
        };
        with_scratch(self.block_count * self.block_bytes, |scratch| {
            with_slots(self.slots, |slots| {
                for &(slot, block) in &self.blocks {
                    slots[slot as usize] = self.block_at(scratch, block);
                }
                for &(slot, k) in &self.constant_slots {
                    slots[slot as usize] = self.constants[k as usize].as_ptr() as *mut u8;
                }
                for &(slot, k) in &self.scalar_slots {
                    slots[slot as usize] = scalars.wrapping_add(k as usize) as *mut u8;
                }
                if !self.splats.is_empty() {
                    let longest = self.block.min(extent.iter().product::<i64>() as usize);
                    for &(to, from, size) in &self.splats {
                        let rect = Rect::packed(slots[to as usize], size, longest);
                        // SAFETY: a block has room for `block` elements; the scalar is one.
                        unsafe { moves::fill(size, slots[from as usize], rect, 1, longest) };
                    }
                }
                let walk = Walk { program: self, extent, strides, lo, scratch };
                // SAFETY: the caller's promise.
                unsafe {
                    if self.rank == 1 {
                        walk.row(slots, ptrs, &[]);
                    } else if self.indices.is_empty() && walk.can_merge() {
                        let (extent, strides) = walk.merged();
                        Walk { extent: &extent, strides: &strides, ..walk }.all(slots, ptrs);
                    } else {
                        walk.all(slots, ptrs);
                    }
                }
            })
        });
    }

    /// Runs the steps over so many elements.
    ///
    /// # Safety
    /// The slots hold as many, or one where a step takes one.
    #[inline]
    unsafe fn step_by_step(&self, slots: &[*mut u8], n: usize) {
        for step in &self.steps {
            let args = step.args.map(|a| slots[a as usize] as *const u8);
            let out = slots[step.out as usize];
            // SAFETY: the caller's promise.
            unsafe {
                match step.run {
                    Run::Loop(f) => f(args.as_ptr(), out, n),
                    Run::Math1(f) => f(args[0], out, n),
                    Run::Math2(f, steps) => f(args[0], steps[0] as usize, args[1], steps[1] as usize, out, n),
                }
            }
        }
    }

    fn block_at(&self, scratch: *mut u8, block: u32) -> *mut u8 {
        scratch.wrapping_add(block as usize * self.block_bytes)
    }
}

impl Builder<'_> {
    fn slot(&mut self) -> u32 {
        self.slots += 1;
        self.program.slots = self.slots as usize;
        self.slots - 1
    }

    fn instruction(&mut self, i: usize) -> Result<()> {
        let Inst { op, dtype } = self.insts[i].clone();
        let (mut vector, mut single) = (None, None);
        match op {
            Op::Load(access) => {
                let slot = self.slot();
                let (size, align) = (dtype.size(), align(dtype));
                self.program.loads.push(Load { access, size, align, slot, block: 0, keep: false });
                vector = Some(slot);
            }
            Op::Scalar(k) => {
                let slot = self.slot();
                self.program.scalar_slots.push((slot, k));
                single = Some(slot);
            }
            Op::Const(value) => {
                let slot = self.slot();
                self.program.constant_slots.push((slot, self.program.constants.len() as u32));
                self.program.constants.push(value.bits);
                single = Some(slot);
            }
            Op::Index(axis) => {
                let slot = self.slot();
                self.program.indices.push((slot, axis));
                vector = Some(slot);
            }
            Op::Cast(from) => {
                let run = Run::Loop(loops::cast(self.insts[from.0 as usize].dtype, dtype));
                let args = [self.as_vector(from), 0, 0];
                vector = Some(self.step(run, args));
            }
            Op::Map(ufunc, regs) => {
                let (run, args) = self.map(ufunc, &regs)?;
                vector = Some(self.step(run, args));
            }
        }
        self.vector.push(vector);
        self.single.push(single);
        Ok(())
    }

    fn step(&mut self, run: Run, args: [u32; 3]) -> u32 {
        let out = self.slot();
        self.program.steps.push(Step { run, args, out });
        out
    }

    fn map(&mut self, ufunc: Ufunc, regs: &[Reg]) -> Result<(Run, [u32; 3])> {
        let types: SmallVec<[DType; 3]> = regs.iter().map(|r| self.insts[r.0 as usize].dtype).collect();
        let mut args = [0; 3];
        let found = match find(ufunc, &types) {
            Some(Operation::Math1(f)) => {
                args[0] = self.as_vector(regs[0]);
                return Ok((Run::Math1(f), args));
            }
            Some(Operation::Math2(f)) => {
                let mut steps = [true; 2];
                for k in 0..2 {
                    let single = self.single[regs[k].0 as usize];
                    steps[k] = single.is_none();
                    args[k] = single.unwrap_or_else(|| self.as_vector(regs[k]));
                }
                return Ok((Run::Math2(f, steps), args));
            }
            Some(Operation::Loops(found)) => found,
            None => return Err(Error::Runtime(format!("kernel: no loop of {} for {types:?}", ufunc.name()))),
        };
        let single = |k: usize| regs.get(k).and_then(|r: &Reg| self.single[r.0 as usize]);
        let (one, other, run) = match (single(0), single(1)) {
            (None, Some(_)) if found.second_scalar.is_some() => (Some(1), 0, found.second_scalar),
            (Some(_), None) if found.first_scalar.is_some() => (Some(0), 1, found.first_scalar),
            _ => (None, 0, None),
        };
        if let (Some(one), Some(run)) = (one, run) {
            args[one] = single(one).expect("matched above");
            args[other] = self.as_vector(regs[other]);
            return Ok((Run::Loop(run), args));
        }
        for (k, r) in regs.iter().enumerate() {
            args[k] = self.as_vector(*r);
        }
        Ok((Run::Loop(found.vector), args))
    }

    /// The slot of an instruction's values as a vector; a scalar is spread over a block when a run begins.
    fn as_vector(&mut self, r: Reg) -> u32 {
        let i = r.0 as usize;
        if let Some(slot) = self.vector[i] {
            return slot;
        }
        let single = self.single[i].expect("an instruction has a value");
        let slot = self.slot();
        self.program.splats.push((slot, single, self.insts[i].dtype.size()));
        self.vector[i] = Some(slot);
        slot
    }

    fn stores(&mut self) {
        let stores = &self.kernel.body.stores;
        for &(access, reg) in stores {
            let i = reg.0 as usize;
            let dtype = self.insts[i].dtype;
            let (size, align) = (dtype.size(), align(dtype));
            let (slot, fill) = match (self.single[i], self.vector[i]) {
                (Some(slot), _) => (slot, true),
                (None, Some(slot)) => (slot, false),
                (None, None) => unreachable!("an instruction has a value"),
            };
            let stepped = self.program.steps.iter().any(|s| s.out == slot);
            let once = stores.iter().filter(|(_, r)| *r == reg).count() == 1;
            if stores.len() > 1 {
                // A load that is stored as it is must not be read after another store has changed it.
                self.program.loads.iter_mut().filter(|l| l.slot == slot).for_each(|l| l.keep = true);
            }
            self.program.stores.push(Store { access, size, align, slot, block: 0, fill, in_place: stepped && once });
        }
    }

    /// Gives every slot that may need one a block, so that those alive at the same time have different ones.
    fn assign_blocks(&mut self) {
        let p = &mut self.program;
        let end = p.steps.len();
        let mut last = vec![0; p.slots];
        for (i, step) in p.steps.iter().enumerate() {
            for &a in &step.args {
                last[a as usize] = i;
            }
        }
        for store in &p.stores {
            last[store.slot as usize] = end;
        }
        let mut free: Vec<u32> = Vec::new();
        let mut count = 0;
        let mut take = |free: &mut Vec<u32>, forever: bool| {
            if let Some(block) = free.pop().filter(|_| !forever) {
                return block;
            }
            count += 1;
            count - 1
        };
        // Scalars are spread once a run; loads and indices are ready before the first step.
        for &(slot, ..) in &p.splats {
            last[slot as usize] = usize::MAX;
            p.blocks.push((slot, take(&mut free, true)));
        }
        for slot in p.loads.iter().map(|l| l.slot).chain(p.indices.iter().map(|x| x.0)) {
            p.blocks.push((slot, take(&mut free, true)));
        }
        let mut block_of = vec![u32::MAX; p.slots];
        p.blocks.iter().for_each(|&(slot, block)| block_of[slot as usize] = block);
        for (i, step) in p.steps.iter().enumerate() {
            // The result's block is taken before the arguments' are given back: no loop works in place.
            let block = take(&mut free, false);
            p.blocks.push((step.out, block));
            block_of[step.out as usize] = block;
            let mut seen: SmallVec<[u32; 3]> = SmallVec::new();
            for &a in &step.args {
                if last[a as usize] == i && block_of[a as usize] != u32::MAX && !seen.contains(&a) {
                    seen.push(a);
                    free.push(block_of[a as usize]);
                }
            }
            if last[step.out as usize] <= i {
                // Nobody reads it.
                free.push(block);
            }
        }
        p.loads.iter_mut().for_each(|l| l.block = block_of[l.slot as usize]);
        p.stores.iter_mut().filter(|s| s.in_place).for_each(|s| s.block = block_of[s.slot as usize]);
        p.block_count = count as usize;
        p.temporaries = p.steps.len() > p.stores.iter().filter(|s| s.in_place).count()
            || !p.splats.is_empty()
            || !p.indices.is_empty();
        let types = self.insts.iter().map(|i| i.dtype.size());
        let size = types.chain(self.kernel.accesses.iter().map(|a| a.dtype.size())).max().unwrap_or(8);
        p.block = (BLOCK_BYTES / (p.block_count.max(1) * size)).clamp(256, 2048) & !63;
        // A cache line more, so that blocks do not all begin in the same set.
        p.block_bytes = p.block * size + 64;
    }
}

fn align(dtype: DType) -> usize {
    dtype.real().size()
}

fn float(dtype: DType) -> Option<Float> {
    match dtype {
        DType::F32 => Some(Float::F32),
        DType::F64 => Some(Float::F64),
        _ => None,
    }
}

/// The way of one run through its box.
#[derive(Clone, Copy)]
struct Walk<'a> {
    program: &'a Program,
    /// Of the axes; innermost last.
    extent: &'a [i64],
    /// In bytes, by access and axis.
    strides: &'a [i64],
    lo: &'a [i64],
    scratch: *mut u8,
}

impl Walk<'_> {
    fn rank(&self) -> usize {
        self.extent.len()
    }

    fn stride(&self, access: usize, axis: usize) -> i64 {
        self.strides[access * self.rank() + axis]
    }

    /// Whether the axes d - 1 and d are one to every access. Of an axis of one point the strides say nothing.
    fn joins(&self, d: usize) -> bool {
        let (outer, inner) = (self.extent[d - 1], self.extent[d]);
        outer == 1
            || inner == 1
            || (0..self.program.accesses).all(|a| self.stride(a, d - 1) == self.stride(a, d) * inner)
    }

    fn can_merge(&self) -> bool {
        (1..self.rank()).any(|d| self.joins(d))
    }

    /// Extents and strides after joining axes that every access walks as one.
    fn merged(&self) -> (SmallVec<[i64; 4]>, SmallVec<[i64; 24]>) {
        let mut extent: SmallVec<[i64; 4]> = self.extent.into();
        let mut strides: SmallVec<[i64; 24]> = self.strides.into();
        for d in (1..self.rank()).rev() {
            let walk = Walk { extent: &extent, strides: &strides, ..*self };
            if !walk.joins(d) {
                continue;
            }
            let rank = extent.len();
            let dropped = if extent[d] == 1 { d } else { d - 1 };
            let mut at = 0;
            strides.retain(|_| {
                at += 1;
                (at - 1) % rank != dropped
            });
            extent[d - 1] *= extent[d];
            extent.remove(d);
        }
        (extent, strides)
    }

    unsafe fn all(&self, slots: &mut [*mut u8], ptrs: &[*mut u8]) {
        let rank = self.rank();
        let columns = self.extent[rank - 1] as usize;
        let p = self.program;
        let short = rank > 1 && columns < SHORT_ROW && self.extent[rank - 2] > 1;
        let outer = if short { rank - 2 } else { rank - 1 };
        let straight = if short { None } else { self.straight(ptrs) };
        let mut current: SmallVec<[*mut u8; 16]> = ptrs.into();
        let mut at: SmallVec<[i64; 4]> = SmallVec::from_elem(0, outer);
        loop {
            // SAFETY: the box's elements are valid (`Program::run`).
            unsafe {
                if let Some(in_place) = &straight {
                    self.straight_row(slots, &current, in_place);
                } else if short {
                    let (rows, step) = (self.extent[rank - 2] as usize, (p.block / columns).max(1));
                    for row in (0..rows).step_by(step) {
                        self.tile(slots, &current, &at, (row, step.min(rows - row)), (0, columns));
                    }
                } else {
                    self.row(slots, &current, &at);
                }
            }
            // The next point of the outer axes.
            let mut d = outer;
            loop {
                if d == 0 {
                    return;
                }
                d -= 1;
                at[d] += 1;
                let wraps = at[d] == self.extent[d];
                for (a, current) in current.iter_mut().enumerate() {
                    let stride = self.stride(a, d);
                    let by = if wraps { -stride * (self.extent[d] - 1) } else { stride };
                    *current = current.wrapping_offset(by as isize);
                }
                if !wraps {
                    break;
                }
                at[d] = 0;
            }
        }
    }

    /// One row from the current point on, in blocks.
    unsafe fn row(&self, slots: &mut [*mut u8], current: &[*mut u8], at: &[i64]) {
        let columns = self.extent[self.rank() - 1] as usize;
        let block = self.program.block;
        // SAFETY: the box's elements are valid (`Program::run`).
        unsafe {
            if columns <= block || self.needs_no_blocks(current, columns) {
                self.tile(slots, current, at, (0, 1), (0, columns));
                return;
            }
            for column in (0..columns).step_by(block) {
                self.tile(slots, current, at, (0, 1), (column, block.min(columns - column)));
            }
        }
    }

    /// Whether all of a row's arrays can be read and written where they are, so that it need not be cut into blocks.
    fn needs_no_blocks(&self, current: &[*mut u8], columns: usize) -> bool {
        let p = self.program;
        let direct = |access: u32, size: usize, align: usize| {
            let a = access as usize;
            self.stride(a, self.rank() - 1) == size as i64 && current[a] as usize & (align - 1) == 0
        };
        !p.temporaries
            && p.loads.iter().all(|l| !l.keep && direct(l.access, l.size, l.align))
            && p.stores.iter().all(|s| {
                let to = current[s.access as usize];
                let apart = |l: &Load| !overlap(to, columns * s.size, current[l.access as usize], columns * l.size);
                s.fill || direct(s.access, s.size, s.align) && (!s.in_place || p.loads.iter().all(apart))
            })
    }

    /// Where all arrays can be read and written where they are, in every row: for each store whether its step writes to the array itself.
    /// What [`Walk::tile`] finds out for each block is known for all rows then.
    fn straight(&self, ptrs: &[*mut u8]) -> Option<SmallVec<[bool; 4]>> {
        let (p, inner) = (self.program, self.rank() - 1);
        let columns = self.extent[inner] as usize;
        let direct = |access: u32, size: usize, align: usize| {
            let a = access as usize;
            let all = (0..inner).fold(ptrs[a] as usize, |all, d| all | self.stride(a, d) as usize);
            self.stride(a, inner) == size as i64 && all & (align - 1) == 0
        };
        let fits = p.indices.is_empty()
            && p.loads.iter().all(|l| !l.keep && direct(l.access, l.size, l.align))
            && p.stores.iter().all(|s| !s.fill && direct(s.access, s.size, s.align));
        if !fits {
            return None;
        }
        // Whether a row that is written shares no memory with the same row of what is read.
        let apart = |l: &Load, s: &Store| {
            let (from, to) = (l.access as usize, s.access as usize);
            let ([low, high], [first, last]) = (self.span(ptrs, from, l.size), self.span(ptrs, to, s.size));
            high <= first
                || last <= low
                || (0..inner).all(|d| self.stride(from, d) == self.stride(to, d))
                    && !overlap(ptrs[to], columns * s.size, ptrs[from], columns * l.size)
        };
        let in_place: SmallVec<[bool; 4]> =
            p.stores.iter().map(|s| s.in_place && p.loads.iter().all(|l| apart(l, s))).collect();
        let whole = !p.temporaries && p.stores.iter().zip(&in_place).all(|(s, in_place)| *in_place || !s.in_place);
        (whole || columns <= p.block).then_some(in_place)
    }

    /// The first byte of an access's elements, and the first one behind them.
    fn span(&self, ptrs: &[*mut u8], access: usize, size: usize) -> [i64; 2] {
        let start = ptrs[access] as i64;
        let reach = |[low, high]: [i64; 2], d: usize| {
            let far = self.stride(access, d) * (self.extent[d] - 1);
            [low + far.min(0), high + far.max(0)]
        };
        (0..self.rank()).fold([start, start + size as i64], reach)
    }

    /// One whole row, where that is [straight](Walk::straight).
    unsafe fn straight_row(&self, slots: &mut [*mut u8], current: &[*mut u8], in_place: &[bool]) {
        let p = self.program;
        let n = self.extent[self.rank() - 1] as usize;
        for load in &p.loads {
            slots[load.slot as usize] = current[load.access as usize];
        }
        for (store, &in_place) in p.stores.iter().zip(in_place).filter(|(s, _)| s.in_place) {
            slots[store.slot as usize] =
                if in_place { current[store.access as usize] } else { p.block_at(self.scratch, store.block) };
        }
        // SAFETY: elements of the box are valid memory (`Program::run`); where blocks are used they have room for the row.
        unsafe {
            p.step_by_step(slots, n);
            for (store, _) in p.stores.iter().zip(in_place).filter(|(_, in_place)| !**in_place) {
                std::ptr::copy(slots[store.slot as usize], current[store.access as usize], n * store.size);
            }
        }
    }

    /// One block: (first, count) rows and columns from the current point on.
    unsafe fn tile(
        &self,
        slots: &mut [*mut u8],
        current: &[*mut u8],
        at: &[i64],
        rows: (usize, usize),
        columns: (usize, usize),
    ) {
        let p = self.program;
        let rank = self.rank();
        let n = rows.1 * columns.1;
        let rect = |access: u32| {
            let a = access as usize;
            let column = self.stride(a, rank - 1);
            let row = if rank > 1 { self.stride(a, rank - 2) } else { 0 };
            let offset = rows.0 as i64 * row + columns.0 as i64 * column;
            Rect { ptr: current[a].wrapping_offset(offset as isize), row, column }
        };
        let direct = |r: &Rect, size: usize, align: usize| {
            rows.1 == 1 && r.column == size as i64 && r.ptr as usize & (align - 1) == 0
        };
        // SAFETY: elements of the box are valid memory (`Program::run`); blocks have room for n elements.
        unsafe {
            for load in &p.loads {
                let from = rect(load.access);
                slots[load.slot as usize] = if !load.keep && direct(&from, load.size, load.align) {
                    from.ptr
                } else {
                    let block = p.block_at(self.scratch, load.block);
                    moves::copy(load.size, from, Rect::packed(block, load.size, columns.1), rows.1, columns.1);
                    block
                };
            }
            for &(slot, axis) in &p.indices {
                let out = std::slice::from_raw_parts_mut(slots[slot as usize] as *mut i64, n);
                self.index(out, axis as usize, at, rows.0, columns);
            }
            for store in p.stores.iter().filter(|s| s.in_place) {
                let to = rect(store.access);
                let apart = |l: &Load| !overlap(to.ptr, n * store.size, slots[l.slot as usize], n * l.size);
                let direct = direct(&to, store.size, store.align) && p.loads.iter().all(apart);
                slots[store.slot as usize] = if direct { to.ptr } else { p.block_at(self.scratch, store.block) };
            }
            p.step_by_step(slots, n);
            for store in &p.stores {
                let to = rect(store.access);
                let from = slots[store.slot as usize];
                if store.fill {
                    moves::fill(store.size, from, to, rows.1, columns.1);
                } else if from != to.ptr {
                    moves::copy(store.size, Rect::packed(from, store.size, columns.1), to, rows.1, columns.1);
                }
            }
        }
    }

    /// The coordinates along an axis. Axes are never merged where they are asked for.
    fn index(&self, out: &mut [i64], axis: usize, at: &[i64], row: usize, columns: (usize, usize)) {
        let rank = self.rank();
        let mut first = self.lo[axis];
        let (mut by_row, mut by_column) = (0, 0);
        if axis + 1 == rank {
            first += columns.0 as i64;
            by_column = 1;
        } else if axis < at.len() {
            first += at[axis];
        } else {
            first += row as i64;
            by_row = 1;
        }
        for (r, out) in out.chunks_mut(columns.1).enumerate() {
            for (c, v) in out.iter_mut().enumerate() {
                *v = first + r as i64 * by_row + c as i64 * by_column;
            }
        }
    }
}

fn overlap(a: *mut u8, a_bytes: usize, b: *mut u8, b_bytes: usize) -> bool {
    (a as usize) < b as usize + b_bytes && (b as usize) < a as usize + a_bytes
}

/// Slots are few, so they live on the stack; every one is set before it is read.
fn with_slots<R>(n: usize, f: impl FnOnce(&mut [*mut u8]) -> R) -> R {
    if n <= 32 { f(&mut [std::ptr::null_mut(); 32]) } else { f(&mut vec![std::ptr::null_mut(); n]) }
}

thread_local! {
    /// This thread's blocks: address and size. Taken out while a run uses them.
    static SCRATCH: Cell<Vec<[u64; 8]>> = const { Cell::new(Vec::new()) };
}

fn with_scratch<R>(bytes: usize, f: impl FnOnce(*mut u8) -> R) -> R {
    if bytes == 0 {
        return f(std::ptr::null_mut());
    }
    let mut scratch = SCRATCH.take();
    // One line more than needed: a vector of lines is aligned to 8 bytes only.
    let lines = bytes.div_ceil(64) + 1;
    if scratch.len() < lines {
        scratch.resize(lines, [0; 8]);
    }
    let start = scratch.as_mut_ptr() as *mut u8;
    let result = f(start.wrapping_add(start.align_offset(64)));
    SCRATCH.set(scratch);
    result
}
