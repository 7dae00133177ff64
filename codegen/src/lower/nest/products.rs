//! Sums of products of two vectors, in the order in which BLAS adds them up (`ir::nest::Frame`): here where that is known, else by BLAS.

use legate_jit_ir::nest::PACKED;

use super::rows::{Kept, Source};
use super::*;

/// A vector of a product.
#[derive(Clone, Copy)]
struct Vector<'c> {
    ptr: V<'c>,
    stride: V<'c>,
    /// It may well run backwards.
    turned: bool,
}

impl<'c, 'b> Nest<'c, 'b> {
    /// Whether products may be added up here: without the instruction for it that would be a call, too.
    fn adds_products(&self) -> bool {
        self.b.math != Math::Cpu(Level::V2)
    }

    /// How many sums of `Frame::packed` BLAS is taken to have: those of its vectors for this level.
    fn sums_at_once(&self) -> u32 {
        if self.b.math == Math::Cpu(Level::V4) { 8 } else { 4 }
    }

    /// Whether it is taken to round the products that are left over.
    fn rounds_left_over(&self) -> bool {
        self.b.math == Math::Cpu(Level::V3)
    }

    /// Whether a field of the frame has this number, and BLAS adds what is left over as this code does.
    pub(super) fn has_order(&self, at: usize, number: i64) -> V<'c> {
        let b = self.b;
        let has = |at: usize, number: i64| {
            b.compare("arith.cmpi", EQUAL, b.load(Elem::I64, self.field(at)), b.int(Elem::I64, number))
        };
        self.both(has(at, number), has(std::mem::offset_of!(Frame, rounded), self.rounds_left_over() as i64))
    }

    /// Adds products that are left over to sums.
    pub(super) fn add_left_over(&self, b: &Build<'c, 'b>, x: V<'c>, y: V<'c>, sum: V<'c>) -> V<'c> {
        match self.rounds_left_over() {
            true => b.op("arith.addf", &[sum, b.op("arith.mulf", &[x, y], Elem::F64)], Elem::F64),
            false => b.op("llvm.intr.fma", &[x, y, sum], Elem::F64),
        }
    }

    /// The sum of products of two vectors.
    pub(super) fn dot(&mut self, n: usize, ins: &Ins) {
        let done = self.new_block();
        if let Some(take) = [ins.b, ins.c].into_iter().find_map(|r| self.chains.gathered(n, r)) {
            self.gathered_dot(ins, take, done);
        }
        let single = ins.op == Op::DotF32;
        let vectors = [ins.b, ins.c].map(|r| {
            let seen = self.view(r, 1);
            // (`np.dot` copies such a vector the other way round, which leaves it to BLAS as if it ran forwards.)
            Vector { ptr: seen.ptr, stride: seen.strides[0], turned: ins.d == 1 && self.runs_backwards(r) }
        });
        let [length, other] = [ins.b, ins.c].map(|r| self.view(r, 1).shape[0]);
        self.leave_if(self.b.compare("arith.cmpi", NOT_EQUAL, length, other));
        if !single && self.adds_products() {
            self.packed_dot(ins, vectors, length, done);
        }
        self.dot_by_blas(ins, vectors, length);
        self.jump(done);
        self.b.block = done;
    }

    /// The same by BLAS, or by the runtime where BLAS cannot step through them as they lie.
    fn dot_by_blas(&mut self, ins: &Ins, [x, y]: [Vector<'c>; 2], n: V<'c>) {
        let single = matches!(ins.op, Op::DotF32) as usize;
        let elem = if single == 1 { Elem::F32 } else { Elem::F64 };
        let (other, done) = (self.new_block(), self.new_block());
        let b = self.b;
        let int = |n: usize| b.int(Elem::I64, n as i64);
        let at = std::mem::offset_of!(Frame, dots) + 8 * single;
        let none = b.op("llvm.ptrtoint", &[b.load_ptr(self.field(at))], Elem::I64);
        let few = b.op("arith.subi", &[n, int(1)], Elem::I64);
        self.unlikely(b.compare("arith.cmpi", NOT_BELOW, few, int(DOT_ALONE)), other);
        for stride in [x.stride, y.stride] {
            let b = self.b;
            self.go_if(b.compare("arith.cmpi", LESS_EQUAL, stride, b.int(Elem::I64, 0)), other);
        }
        self.unlikely(self.b.compare("arith.cmpi", EQUAL, none, self.b.int(Elem::I64, 0)), other);
        self.worked(1, n);
        let b = self.b;
        let step = |stride| b.op("arith.divui", &[stride, b.int(Elem::I64, elem.bytes() as i64)], Elem::I64);
        let arguments = [n, x.ptr, step(x.stride), y.ptr, step(y.stride)];
        let value = self.call_pointer(at, &arguments, elem);
        let value = if single == 1 { b.op("arith.extf", &[value], Elem::F64) } else { value };
        self.set_float(ins.a, value);
        self.jump(done);
        self.b.block = other;
        self.row(n);
        let b = self.b;
        let kind = b.int(Elem::I64, (ins.d as usize | single << 1) as i64);
        let run = b.load_ptr(self.field(std::mem::offset_of!(Frame, run)));
        let arguments = [run, kind, n, x.ptr, x.stride, y.ptr, y.stride];
        let value = self.call_pointer(std::mem::offset_of!(Frame, dot), &arguments, Elem::F64);
        self.set_float(ins.a, value);
        self.jump(done);
        self.b.block = done;
    }

    /// Adds up the products of vectors without gaps as BLAS does, and goes on with `done`; or goes on here where it cannot.
    fn packed_dot(&mut self, ins: &Ins, vectors: [Vector<'c>; 2], n: V<'c>, done: BlockRef<'c, 'c>) {
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let item = Elem::F64.bytes() as i64;
        let fits = vectors.map(|v| b.compare("arith.cmpi", EQUAL, v.stride, int(if v.turned { -item } else { item })));
        let few = b.op("arith.subi", &[n, int(1)], Elem::I64);
        let alone = b.compare("arith.cmpi", BELOW, few, int(DOT_ALONE as i64));
        let fits = self.both(alone, self.both(fits[0], fits[1]));
        let (packed, short, long, on) = (self.new_block(), self.new_block(), self.new_block(), self.new_block());
        self.jump_if(fits, packed, on);
        self.b.block = packed;
        let b = self.b;
        let sums = self.sums_at_once();
        let in_order = self.has_order(std::mem::offset_of!(Frame, short), 1);
        let is_short = b.compare("arith.cmpi", LESS, n, b.int(Elem::I64, SHORT as i64));
        let by_lanes = self.has_order(std::mem::offset_of!(Frame, packed), sums as i64);
        let is_known = b.select(is_short, in_order, by_lanes);
        let go = self.new_block();
        self.jump_if(is_known, go, on);
        self.b.block = go;
        self.worked(1, n);
        self.jump_if(is_short, short, long);
        self.b.block = short;
        let zero = self.b.float(Elem::F64, 0.0);
        let sum = self.in_order(vectors, [self.b.int(Elem::I64, 0), n], zero);
        self.set_float(ins.a, sum);
        self.jump(done);
        self.b.block = long;
        let sum = self.by_lanes(vectors, n, sums);
        self.set_float(ins.a, sum);
        self.jump(done);
        self.b.block = on;
    }

    /// Elements of a vector that begins with the one of this number, forwards.
    fn elements(&self, b: &Build<'c, 'b>, vector: Vector<'c>, i: V<'c>) -> V<'c> {
        let one = b.with_lanes(1);
        if !vector.turned {
            return self.load_at(b, Elem::F64, one.offset(vector.ptr, i, Elem::F64));
        }
        let last = one.op("arith.addi", &[i, one.int(Elem::I64, b.lanes as i64 - 1)], Elem::I64);
        let back = one.op("arith.subi", &[one.int(Elem::I64, 0), last], Elem::I64);
        let value = self.load_at(b, Elem::F64, one.offset(vector.ptr, back, Elem::F64));
        match b.lanes {
            1 => value,
            lanes => b.shuffle(Elem::F64, value, value, &(0..lanes as i32).rev().collect::<Vec<_>>()),
        }
    }

    /// Adds products to a sum one after the other.
    fn in_order(&self, [x, y]: [Vector<'c>; 2], [from, to]: [V<'c>; 2], sum: V<'c>) -> V<'c> {
        let one = self.b.int(Elem::I64, 1);
        let sums = self.b.for_state(from, to, one, &[sum], |b, i, sum| {
            let at = |vector| self.elements(b, vector, i);
            vec![self.add_left_over(b, at(x), at(y), sum[0])]
        });
        sums[0]
    }

    /// Four vectors of so many sums (`Frame::packed`), and the products that are left, one after the other.
    fn by_lanes(&self, [x, y]: [Vector<'c>; 2], n: V<'c>, width: u32) -> V<'c> {
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let whole = |by: u32| b.op("arith.andi", &[n, int(-(by as i64))], Elem::I64);
        // Sums one behind the other, some in each of our vectors.
        let add = |lanes: u32, [from, to]: [V<'c>; 2], sums: &[V<'c>]| {
            b.for_state(from, to, int(sums.len() as i64 * lanes as i64), sums, |b, i, sums| {
                let wide = b.with_lanes(lanes);
                let added = sums.into_iter().enumerate().map(|(k, sum)| {
                    let i = b.op("arith.addi", &[i, int(k as i64 * lanes as i64)], Elem::I64);
                    let at = |vector| self.elements(&wide, vector, i);
                    wide.op("llvm.intr.fma", &[at(x), at(y), sum], Elem::F64)
                });
                added.collect()
            })
        };
        let half = |sum: V<'c>, lanes: u32| {
            let part = |from: u32| {
                let mask: Vec<i32> = (from..from + lanes / 2).map(|k| k as i32).collect();
                b.shuffle(Elem::F64, sum, sum, &mask)
            };
            b.with_lanes(lanes / 2).op("arith.addf", &[part(0), part(lanes / 2)], Elem::F64)
        };
        let lanes = (self.vector_bytes / Elem::F64.bytes()).min(width);
        let long = PACKED as u32 * width;
        let zeros = vec![b.with_lanes(lanes).float(Elem::F64, 0.0); (long / lanes) as usize];
        let mut sums = add(lanes, [int(0), whole(long)], &zeros);
        let four = b.with_lanes(4);
        let plus = |b: &Build<'c, 'b>, x, y| b.op("arith.addf", &[x, y], Elem::F64);
        let sum = if width == 8 {
            sums = match lanes {
                8 => sums.into_iter().map(|sum| half(sum, 8)).collect(),
                _ => sums.chunks(2).map(|pair| plus(&four, pair[0], pair[1])).collect(),
            };
            sums = add(4, [whole(long), whole(long / 2)], &sums);
            half(sums.into_iter().reduce(|x, y| plus(&four, x, y)).expect("four vectors"), 4)
        } else {
            let pairs: Vec<V<'c>> = sums.into_iter().map(|sum| half(sum, 4)).collect();
            let two = b.with_lanes(2);
            plus(&two, plus(&two, pairs[0], pairs[1]), plus(&two, pairs[2], pairs[3]))
        };
        let sum = plus(&b, b.extract(Elem::F64, sum, 0), b.extract(Elem::F64, sum, 1));
        self.in_order([x, y], [whole(4 * PACKED as u32), n], sum)
    }

    /// The sum of products of a few elements and of those that a vector of indices tells, where that is all that they are for; goes on
    /// with `done`, or here with what they are in memory.
    fn gathered_dot(&mut self, ins: &Ins, take: usize, done: BlockRef<'c, 'c>) {
        let taken = self.program.code[take];
        let Some(Kept::Operands(sources)) = self.kept.get(&take) else { unreachable!("elements that were put off") };
        let [Source::View(from), Source::View(of)] = &sources[..] else { unreachable!("two views") };
        let (from, of) = (from.clone(), of.clone());
        let other = self.view(if ins.b == taken.a { ins.c } else { ins.b }, 1);
        let (n, length) = (of.shape[0], from.shape[0]);
        let all = self.new_block();
        if self.adds_products() {
            let b = self.b;
            let int = |n: i64| b.int(Elem::I64, n);
            let packed = |seen: &Seen<'c>| b.compare("arith.cmpi", EQUAL, seen.strides[0], int(8));
            let known = self.has_order(std::mem::offset_of!(Frame, short), 1);
            let few = b.op("arith.subi", &[n, int(1)], Elem::I64);
            let few = b.compare("arith.cmpi", BELOW, few, int(SHORT as i64 - 1));
            let same = b.compare("arith.cmpi", EQUAL, n, other.shape[0]);
            let fits = self.both(self.both(few, same), self.both(known, self.both(packed(&of), packed(&other))));
            self.go_if(self.b.op("arith.xori", &[fits, self.b.int(Elem::I1, 1)], Elem::I1), all);
            // Whether any index is negative or too large.
            let lanes = self.vector_bytes / Elem::I64.bytes();
            let wide = self.b.with_lanes(lanes);
            let outside = (0..(SHORT as u32).div_ceil(lanes)).map(|k| {
                let b = self.b;
                let from = int_of(&b, (k * lanes) as i64);
                let left = wide.splat(Elem::I64, b.op("arith.subi", &[n, from], Elem::I64));
                let mask = wide.compare("arith.cmpi", LESS, wide.iota(), left);
                let at = b.offset(of.ptr, from, Elem::I64);
                let indices = wide.masked_load(Elem::I64, at, mask, wide.int(Elem::I64, 0));
                wide.compare("arith.cmpi", NOT_BELOW, indices, wide.splat(Elem::I64, length))
            });
            let outside = outside.reduce(|x, y| wide.op("arith.ori", &[x, y], Elem::I1)).expect("some vectors");
            self.unlikely(wide.any(outside), all);
            self.worked(2, n);
            let b = self.b;
            let sums = b.for_state(int_of(&b, 0), n, int_of(&b, 1), &[b.float(Elem::F64, 0.0)], |b, i, sum| {
                let index = self.load_at(b, Elem::I64, b.offset(of.ptr, i, Elem::I64));
                let at = b.offset(from.ptr, b.op("arith.muli", &[index, from.strides[0]], Elem::I64), Elem::I8);
                let (x, y) =
                    (self.load_at(b, Elem::F64, at), self.load_at(b, Elem::F64, b.offset(other.ptr, i, Elem::F64)));
                vec![self.add_left_over(b, x, y, sum[0])]
            });
            self.set_float(ins.a, sums[0]);
            self.jump(done);
        } else {
            self.jump(all);
        }
        self.b.block = all;
        self.take(take, &taken, &from, &of);
    }
}

fn int_of<'c>(b: &Build<'c, '_>, n: i64) -> V<'c> {
    b.int(Elem::I64, n)
}
