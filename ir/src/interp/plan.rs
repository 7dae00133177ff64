//! What a plan means: its steps one after the other, each launch point by point.

use super::{Tensor, evaluate, indices_of, read, reduce};
use crate::graph::Op as GraphOp;
use crate::kernel::Op;
use crate::plan::{BufferId, Launch, Operand, Piece, Plan, Source, Step, Target};
use crate::{Error, Result, Scalar, Type, cast};

/// The values of the plan's outputs.
pub fn run_plan(plan: &Plan, inputs: &[Tensor], scalars: &[Scalar]) -> Result<Vec<Tensor>> {
    let mut memory = Memory { plan, contents: Vec::new() };
    for (i, buffer) in plan.buffers.iter().enumerate() {
        let bytes = match buffer.source {
            Source::Input(n) => match inputs.get(n as usize) {
                Some(t) if t.ty() == buffer.ty => t.bytes.clone(),
                Some(t) => return Err(Error::Invalid(format!("input {n} is {}, b{i} is {}", t.ty(), buffer.ty))),
                None => return Err(Error::Invalid(format!("there is no input {n}"))),
            },
            // What is read before it is written is seen.
            Source::Fresh => vec![0xAB; buffer.ty.bytes()],
            Source::TakeOver(_) | Source::Alias(_) => Vec::new(),
        };
        memory.contents.push(bytes);
    }
    for (i, step) in plan.steps.iter().enumerate() {
        let done = match step {
            Step::Launch(l) => launch(&mut memory, l, scalars),
            Step::Opaque { op, args, out } => {
                let args: Vec<Tensor> = args.iter().map(|o| read(&memory.get(o.buffer), &o.view)).collect();
                let args: Vec<&Tensor> = args.iter().collect();
                evaluate(&GraphOp::Opaque(op.clone()), &args, &plan.buffer(*out).ty, &[], &[])
                    .map(|value| memory.put(*out, &value))
            }
            Step::Free(_) => Ok(()),
        };
        done.map_err(|m| Error::Invalid(format!("plan {}: step {i}: {m}", plan.name)))?;
    }
    Ok(plan.outputs.iter().map(|b| memory.get(*b)).collect())
}

/// The bytes of each buffer that has its own.
struct Memory<'a> {
    plan: &'a Plan,
    contents: Vec<Vec<u8>>,
}

impl Memory<'_> {
    /// Whose bytes this buffer uses.
    fn home(&self, b: BufferId) -> usize {
        match self.plan.buffer(b).source {
            Source::Input(_) | Source::Fresh => b.0 as usize,
            Source::TakeOver(of) | Source::Alias(of) => self.home(of),
        }
    }

    fn get(&self, b: BufferId) -> Tensor {
        let Type { dtype, shape } = self.plan.buffer(b).ty.clone();
        let bytes = self.contents[self.home(b)][..self.plan.buffer(b).ty.bytes()].to_vec();
        Tensor { dtype, shape, bytes }
    }

    fn put(&mut self, b: BufferId, value: &Tensor) {
        let home = self.home(b);
        self.contents[home][..value.bytes.len()].copy_from_slice(&value.bytes);
    }

    fn place(&self, o: &Operand, point: &[usize]) -> (usize, std::ops::Range<usize>) {
        let ty = &self.plan.buffer(o.buffer).ty;
        let start = super::flat(&ty.shape, &o.view.eval(point)) * ty.dtype.size();
        (self.home(o.buffer), start..start + ty.dtype.size())
    }
}

fn launch(memory: &mut Memory, launch: &Launch, scalars: &[Scalar]) -> std::result::Result<(), String> {
    let mut streams: Vec<Tensor> = launch.streams.iter().map(|s| Tensor::zeros(s.dtype, &launch.domain)).collect();
    for piece in &launch.pieces {
        for point in indices_of(&piece.lo, &piece.hi) {
            run_point(memory, launch, piece, &point, scalars, &mut streams)?;
        }
    }
    for (stream, values) in launch.streams.iter().zip(&streams) {
        let result = reduce(&stream.reduce, values)?;
        memory.put(stream.out, &result);
    }
    Ok(())
}

fn run_point(
    memory: &mut Memory,
    launch: &Launch,
    piece: &Piece,
    point: &[usize],
    scalars: &[Scalar],
    streams: &mut [Tensor],
) -> std::result::Result<(), String> {
    let kernel = &memory.plan.kernels[piece.kernel as usize];
    let target = |access: u32| &launch.targets[piece.accesses[access as usize] as usize];
    let mut values: Vec<Scalar> = Vec::with_capacity(kernel.body.insts.len());
    for inst in &kernel.body.insts {
        let value = match &inst.op {
            Op::Load(access) => match target(*access) {
                Target::Buffer(o) => {
                    let (home, bytes) = memory.place(o, point);
                    Scalar::from_bytes(inst.dtype, &memory.contents[home][bytes])
                }
                Target::Stream(s) => return Err(format!("a load from s{s}")),
            },
            Op::Scalar(s) => {
                let n = piece.scalars[*s as usize];
                *scalars.get(n as usize).ok_or_else(|| format!("there is no scalar {n}"))?
            }
            Op::Const(s) => *s,
            Op::Index(axis) => Scalar::i64(point.get(*axis as usize).map_or(0, |i| *i as i64)),
            Op::Map(ufunc, args) => {
                let args: Vec<Scalar> = args.iter().map(|r| values[r.0 as usize]).collect();
                ufunc.eval(&args).ok_or_else(|| format!("no {} for these types", ufunc.name()))?
            }
            Op::Cast(r) => cast::cast(values[r.0 as usize], inst.dtype),
        };
        if value.dtype != inst.dtype {
            return Err(format!("a value of type {} where {} was expected", value.dtype, inst.dtype));
        }
        values.push(value);
    }
    for (access, r) in &kernel.body.stores {
        let value = values[r.0 as usize];
        match target(*access) {
            Target::Buffer(o) => {
                let (home, bytes) = memory.place(o, point);
                let n = bytes.len();
                memory.contents[home][bytes].copy_from_slice(&value.to_bytes()[..n]);
            }
            Target::Stream(s) => streams[*s as usize].set_at(point, value),
        }
    }
    Ok(())
}
