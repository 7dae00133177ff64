//! Implements `ir`'s [`Emit`] over MLIR, so that the table's lowering column builds the body.

use melior::ir::ValueLike;

use legate_jit_ir::ufunc::emit::{CmpF, CmpI, Emit};
use legate_jit_ir::{DType, Scalar};
use legate_jit_vmath::{Float, Func, Vector};

use super::build::{Build, Elem, Math, V};
use crate::calls::Call;
use crate::target::Level;

pub struct Emitter<'c, 'b> {
    build: Build<'c, 'b>,
}

impl<'c, 'b> Emitter<'c, 'b> {
    pub fn new(build: Build<'c, 'b>) -> Emitter<'c, 'b> {
        Emitter { build }
    }

    /// A function of the vector math library, by the narrowest of its vectors that has room for all lanes: vectors narrower
    /// than any it has are filled up with copies of their lanes; one wider than the target's (the eight sums of a leaf) goes
    /// half by half.
    fn vmath_cpu(&self, level: Level, func: Func, dtype: DType, args: &[V<'c>]) -> V<'c> {
        let (lanes, e) = (self.build.lanes, Elem::of(dtype));
        if lanes * e.bytes() > level.vector_bytes() {
            let half = self.build.with_lanes(lanes / 2);
            let part = |a, from| self.build.shuffle(e, a, a, &(from..from + half.lanes as i32).collect::<Vec<_>>());
            let args: Vec<[V<'c>; 2]> =
                args.iter().map(|&a| [0, half.lanes as i32].map(|from| part(a, from))).collect();
            let [low, high] = Emitter::new(half).vmath_of_two(func, dtype, &args);
            return half.shuffle(e, low, high, &(0..lanes as i32).collect::<Vec<_>>());
        }
        let narrowest = if lanes == 1 { 1 } else { 16 / e.bytes() };
        let wide = self.build.with_lanes(lanes.max(narrowest));
        let float = if e == Elem::F32 { Float::F32 } else { Float::F64 };
        let name = Call::Vmath(func, Vector { float, lanes: wide.lanes as usize }).name();
        if wide.lanes == lanes {
            return wide.call(&name, args, wide.ty(e));
        }
        let filled: Vec<i32> = (0..wide.lanes).map(|k| (k % lanes) as i32).collect();
        let args: Vec<V<'c>> = args.iter().map(|&a| self.build.shuffle(e, a, a, &filled)).collect();
        let result = wide.call(&name, &args, wide.ty(e));
        let first: Vec<i32> = (0..lanes as i32).collect();
        wide.shuffle(e, result, result, &first)
    }

    /// The same of two vectors, by one call where both fill their registers.
    fn vmath_of_two(&mut self, func: Func, dtype: DType, args: &[[V<'c>; 2]]) -> [V<'c>; 2] {
        let e = Elem::of(dtype);
        let full = match self.build.math {
            Math::Cpu(level) => (32..=level.vector_bytes()).contains(&(self.build.lanes * e.bytes())),
            Math::Gpu => false,
        };
        match self.build.room().filter(|_| full) {
            Some(room) => {
                let float = if e == Elem::F32 { Float::F32 } else { Float::F64 };
                let name = Call::VmathOfTwo(func, Vector { float, lanes: self.build.lanes as usize }).name();
                let mut args: Vec<V<'c>> = args.iter().flatten().copied().collect();
                args.push(room);
                let first = self.build.call(&name, &args, self.build.ty(e));
                [first, self.build.load(e, room)]
            }
            None => [0, 1].map(|k| self.vmath(func, dtype, &args.iter().map(|a| a[k]).collect::<Vec<_>>())),
        }
    }
}

/// CUDA's name for a function on the device.
fn device_name(name: &str, e: Elem) -> String {
    format!("__nv_{name}{}", if e == Elem::F32 { "f" } else { "" })
}

impl<'c> Emit for Emitter<'c, '_> {
    type V = V<'c>;

    fn constant(&mut self, value: Scalar) -> V<'c> {
        self.build.scalar(value.dtype, value.bits[0])
    }

    fn op1(&mut self, op: &'static str, x: V<'c>) -> V<'c> {
        self.build.op_typed(op, &[x], &[], x.r#type())
    }

    fn op2(&mut self, op: &'static str, x: V<'c>, y: V<'c>) -> V<'c> {
        self.build.op_typed(op, &[x, y], &[], x.r#type())
    }

    fn mul_add(&mut self, x: V<'c>, y: V<'c>, z: V<'c>) -> V<'c> {
        if matches!(self.build.math, Math::Cpu(Level::V2)) {
            // It lacks the instruction; LLVM calls the C library for each element.
            self.build.common.calls_libm(["fma", "fmaf"]);
        }
        self.build.op_typed("math.fma", &[x, y, z], &[], x.r#type())
    }

    fn cmpi(&mut self, predicate: CmpI, x: V<'c>, y: V<'c>) -> V<'c> {
        self.build.compare("arith.cmpi", predicate as i64, x, y)
    }

    fn cmpf(&mut self, predicate: CmpF, x: V<'c>, y: V<'c>) -> V<'c> {
        self.build.compare("arith.cmpf", predicate as i64, x, y)
    }

    fn select(&mut self, mask: V<'c>, x: V<'c>, y: V<'c>) -> V<'c> {
        self.build.select(mask, x, y)
    }

    fn convert(&mut self, op: &'static str, x: V<'c>, to: DType) -> V<'c> {
        self.build.op(op, &[x], Elem::of(to))
    }

    fn vmath(&mut self, func: Func, dtype: DType, args: &[V<'c>]) -> V<'c> {
        match self.build.math {
            Math::Cpu(level) => self.vmath_cpu(level, func, dtype, args),
            Math::Gpu => {
                self.build.call(&device_name(func.name(), Elem::of(dtype)), args, self.build.ty(Elem::of(dtype)))
            }
        }
    }

    fn repeat(
        &mut self,
        n: u32,
        state: Vec<V<'c>>,
        body: &mut dyn FnMut(&mut Self, Vec<V<'c>>) -> Vec<V<'c>>,
    ) -> Vec<V<'c>> {
        let one = self.build.with_lanes(1);
        let count = |k: u32| one.int(Elem::I64, k as i64);
        self.build
            .for_state(count(0), count(n), count(1), &state, |inner, _, state| body(&mut Emitter::new(*inner), state))
    }
}

/// Builds everything for two vectors, so that the vector math library is called for both at a time.
pub struct OfTwo<'c, 'b>(pub Emitter<'c, 'b>);

impl<'c> Emit for OfTwo<'c, '_> {
    type V = [V<'c>; 2];

    fn constant(&mut self, value: Scalar) -> [V<'c>; 2] {
        [self.0.constant(value); 2]
    }

    fn op1(&mut self, op: &'static str, x: [V<'c>; 2]) -> [V<'c>; 2] {
        x.map(|x| self.0.op1(op, x))
    }

    fn op2(&mut self, op: &'static str, x: [V<'c>; 2], y: [V<'c>; 2]) -> [V<'c>; 2] {
        [0, 1].map(|k| self.0.op2(op, x[k], y[k]))
    }

    fn mul_add(&mut self, x: [V<'c>; 2], y: [V<'c>; 2], z: [V<'c>; 2]) -> [V<'c>; 2] {
        [0, 1].map(|k| self.0.mul_add(x[k], y[k], z[k]))
    }

    fn cmpi(&mut self, predicate: CmpI, x: [V<'c>; 2], y: [V<'c>; 2]) -> [V<'c>; 2] {
        [0, 1].map(|k| self.0.cmpi(predicate, x[k], y[k]))
    }

    fn cmpf(&mut self, predicate: CmpF, x: [V<'c>; 2], y: [V<'c>; 2]) -> [V<'c>; 2] {
        [0, 1].map(|k| self.0.cmpf(predicate, x[k], y[k]))
    }

    fn select(&mut self, mask: [V<'c>; 2], x: [V<'c>; 2], y: [V<'c>; 2]) -> [V<'c>; 2] {
        [0, 1].map(|k| self.0.select(mask[k], x[k], y[k]))
    }

    fn convert(&mut self, op: &'static str, x: [V<'c>; 2], to: DType) -> [V<'c>; 2] {
        x.map(|x| self.0.convert(op, x, to))
    }

    fn vmath(&mut self, func: Func, dtype: DType, args: &[[V<'c>; 2]]) -> [V<'c>; 2] {
        self.0.vmath_of_two(func, dtype, args)
    }

    fn repeat(
        &mut self,
        n: u32,
        state: Vec<[V<'c>; 2]>,
        body: &mut dyn FnMut(&mut Self, Vec<[V<'c>; 2]>) -> Vec<[V<'c>; 2]>,
    ) -> Vec<[V<'c>; 2]> {
        let paired = |state: Vec<V<'c>>| state.chunks_exact(2).map(|two| [two[0], two[1]]).collect();
        let state = state.into_iter().flatten().collect();
        paired(self.0.repeat(n, state, &mut |inner, state| {
            body(&mut OfTwo(Emitter::new(inner.build)), paired(state)).into_iter().flatten().collect()
        }))
    }
}
