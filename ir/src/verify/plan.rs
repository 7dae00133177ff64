//! The plan's invariants: pieces that stay inside the domain and apart, views that stay inside their buffers, points that do
//! not read what others write, and memory that nobody uses before it is written or after it is gone.

use super::{Check, ensure, opaque_type, reduce_type, view_fits, view_fits_on};
use crate::plan::{BufferId, Launch, Operand, Piece, Plan, Source, Step, Target};
use crate::shape::{c_strides, size};
use crate::{Error, Result, Type};

/// See the module's documentation.
pub fn plan(plan: &Plan) -> Result<()> {
    let name = |m: String| Error::Invalid(format!("plan {}: {m}", plan.name));
    for (i, kernel) in plan.kernels.iter().enumerate() {
        super::kernel(kernel).map_err(|e| name(format!("k{i}: {e}")))?;
    }
    buffers(plan).map_err(name)?;
    for (i, step) in plan.steps.iter().enumerate() {
        let check = match step {
            Step::Launch(l) => launch(plan, l),
            Step::Opaque { op, args, out } => opaque(plan, op, args, *out),
            Step::Free(b) => known(plan, *b),
        };
        check.map_err(|m| name(format!("step {i}: {m}")))?;
    }
    lifetimes(plan).map_err(name)
}

fn known(plan: &Plan, b: BufferId) -> Check {
    ensure!((b.0 as usize) < plan.buffers.len(), "there is no {b}");
    Ok(())
}

fn buffers(plan: &Plan) -> Check {
    for (i, buffer) in plan.buffers.iter().enumerate() {
        match buffer.source {
            Source::Input(n) => {
                let same = plan.buffers[..i].iter().position(|b| b.source == Source::Input(n));
                ensure!(same.is_none(), "b{i} and b{} are both input {n}", same.unwrap_or(0));
            }
            Source::Fresh => {}
            Source::TakeOver(of) => {
                ensure!((of.0 as usize) < i, "b{i} takes over {of}, which does not come before it");
                let from = &plan.buffer(of).ty;
                ensure!(from.bytes() >= buffer.ty.bytes(), "b{i} ({}) takes over the smaller {of} ({from})", buffer.ty);
            }
            Source::Alias(of) => {
                ensure!((of.0 as usize) < i, "b{i} is an alias of {of}, which does not come before it");
                let from = &plan.buffer(of).ty;
                let same = from.dtype == buffer.ty.dtype && from.size() == buffer.ty.size();
                ensure!(same, "b{i} ({}) is an alias of {of} ({from})", buffer.ty);
            }
        }
    }
    Ok(())
}

fn opaque(plan: &Plan, op: &crate::graph::Opaque, args: &[Operand], out: BufferId) -> Check {
    known(plan, out)?;
    let mut types = Vec::new();
    for arg in args {
        known(plan, arg.buffer)?;
        let base = &plan.buffer(arg.buffer).ty;
        view_fits(&arg.view, &base.shape).map_err(|m| format!("{}: {m}", arg.buffer))?;
        types.push(Type { dtype: base.dtype, shape: arg.view.shape.clone() });
        let apart = memory(plan, arg.buffer) != memory(plan, out);
        ensure!(apart, "{op} reads {} and writes {out}, which is the same memory", arg.buffer);
    }
    let ty = opaque_type(op, &types.iter().collect::<Vec<_>>())?;
    ensure!(plan.buffer(out).ty == ty, "the result is {ty}, {out} is {}", plan.buffer(out).ty);
    Ok(())
}

/// The buffer whose memory this one uses in the end.
fn memory(plan: &Plan, b: BufferId) -> BufferId {
    match plan.buffer(b).source {
        Source::Input(_) | Source::Fresh => b,
        Source::TakeOver(of) | Source::Alias(of) => memory(plan, of),
    }
}

/// One access of a piece, as it is used.
struct Use<'a> {
    operand: &'a Operand,
    piece: usize,
    write: bool,
}

fn launch(plan: &Plan, launch: &Launch) -> Check {
    for target in &launch.targets {
        match target {
            Target::Buffer(operand) => {
                known(plan, operand.buffer)?;
                let rank = plan.buffer(operand.buffer).ty.shape.len();
                ensure!(
                    operand.view.shape == launch.domain,
                    "a view of {} is not of the domain's shape",
                    operand.buffer
                );
                ensure!(operand.view.axes.len() == rank, "a view of {} has another rank", operand.buffer);
            }
            Target::Stream(s) => ensure!((*s as usize) < launch.streams.len(), "there is no s{s}"),
        }
    }
    let mut uses: Vec<Use> = Vec::new();
    for (p, piece) in launch.pieces.iter().enumerate() {
        check_piece(plan, launch, piece).map_err(|m| format!("piece {p}: {m}"))?;
        for (a, t) in piece.accesses.iter().enumerate() {
            if let Target::Buffer(operand) = &launch.targets[*t as usize] {
                let write = plan.kernels[piece.kernel as usize].accesses[a].write;
                uses.push(Use { operand, piece: p, write });
            }
        }
        for (q, other) in launch.pieces[..p].iter().enumerate() {
            let (lo, hi) = (piece.lo.iter().zip(&other.lo), piece.hi.iter().zip(&other.hi));
            let overlap = lo.zip(hi).all(|((al, bl), (ah, bh))| al.max(bl) < ah.min(bh));
            ensure!(!overlap, "pieces {q} and {p} overlap");
        }
    }
    if !launch.streams.is_empty() {
        let points: usize = launch.pieces.iter().map(points).sum();
        ensure!(points == size(&launch.domain), "the pieces do not fill the domain, as the streams need");
    }
    for (s, stream) in launch.streams.iter().enumerate() {
        known(plan, stream.out)?;
        let first = &launch.streams[0].reduce;
        let alike = first.axes == stream.reduce.axes && first.order == stream.reduce.order;
        ensure!(alike, "s{s} is reduced over other axes, or in another order, than s0");
        let ty =
            reduce_type(&stream.reduce, &Type::new(stream.dtype, &launch.domain)).map_err(|m| format!("s{s}: {m}"))?;
        ensure!(plan.buffer(stream.out).ty == ty, "s{s} gives {ty}, {} is {}", stream.out, plan.buffer(stream.out).ty);
    }
    for (i, a) in uses.iter().enumerate() {
        for b in &uses[..i] {
            if a.write || b.write {
                ensure!(
                    !conflict(plan, launch, a, b),
                    "pieces {} and {}: a point may touch what another writes ({} and {})",
                    b.piece,
                    a.piece,
                    b.operand.buffer,
                    a.operand.buffer
                );
            }
        }
        for (s, stream) in launch.streams.iter().enumerate() {
            let apart = memory(plan, stream.out) != memory(plan, a.operand.buffer);
            ensure!(apart, "{} is used by the launch and written by s{s}", a.operand.buffer);
        }
    }
    Ok(())
}

fn points(piece: &Piece) -> usize {
    piece.lo.iter().zip(&piece.hi).map(|(lo, hi)| hi.saturating_sub(*lo)).product()
}

fn check_piece(plan: &Plan, launch: &Launch, piece: &Piece) -> Check {
    let rank = launch.domain.len();
    ensure!(piece.lo.len() == rank && piece.hi.len() == rank, "its rank is not the domain's");
    let inside = piece.lo.iter().zip(&piece.hi).zip(&launch.domain).all(|((lo, hi), n)| lo <= hi && hi <= n);
    ensure!(inside, "it is not inside the domain");
    let Some(kernel) = plan.kernels.get(piece.kernel as usize) else {
        return Err(format!("there is no k{}", piece.kernel));
    };
    ensure!(kernel.rank as usize == rank.max(1), "k{} has rank {}, the domain {rank}", piece.kernel, kernel.rank);
    ensure!(kernel.accesses.len() == piece.accesses.len(), "k{} has {} accesses", piece.kernel, kernel.accesses.len());
    ensure!(kernel.scalars.len() == piece.scalars.len(), "k{} has {} scalars", piece.kernel, kernel.scalars.len());
    for (s, dtype) in piece.scalars.iter().zip(&kernel.scalars) {
        let have = plan.scalars.get(*s as usize);
        ensure!(have == Some(dtype), "${s} is not a scalar of type {dtype}");
    }
    let mut written = vec![0; launch.streams.len()];
    for (a, (t, access)) in piece.accesses.iter().zip(&kernel.accesses).enumerate() {
        let Some(target) = launch.targets.get(*t as usize) else { return Err(format!("there is no t{t}")) };
        let dtype = match target {
            Target::Buffer(operand) => {
                let base = &plan.buffer(operand.buffer).ty;
                view_fits_on(&operand.view, &base.shape, &piece.lo, &piece.hi).map_err(|m| format!("t{t}: {m}"))?;
                ensure!(!access.write || operand.view.is_injective(), "t{t}: two points write one element");
                base.dtype
            }
            Target::Stream(s) => {
                ensure!(access.write, "it reads s{s}");
                written[*s as usize] += 1;
                launch.streams[*s as usize].dtype
            }
        };
        ensure!(dtype == access.dtype, "#{a} is {}, t{t} is {dtype}", access.dtype);
    }
    for (s, n) in written.iter().enumerate() {
        ensure!(*n == 1, "it writes s{s} {n} times");
    }
    Ok(())
}

/// Whether some point through `a` may touch an element that another point touches through `b`.
fn conflict(plan: &Plan, launch: &Launch, a: &Use, b: &Use) -> bool {
    if memory(plan, a.operand.buffer) != memory(plan, b.operand.buffer) {
        return false;
    }
    let (pa, pb) = (&launch.pieces[a.piece], &launch.pieces[b.piece]);
    if points(pa) == 0 || points(pb) == 0 {
        return false;
    }
    let layout = |u: &Use| {
        let ty = &plan.buffer(u.operand.buffer).ty;
        let (offset, strides) = u.operand.view.strided(&c_strides(&ty.shape));
        (ty.dtype.size(), offset, strides)
    };
    // The same element at the same point, and other points have other elements.
    if layout(a) == layout(b) && a.operand.view.is_injective() && b.operand.view.is_injective() {
        return a.piece == b.piece && a.write && b.write;
    }
    if plan.buffer(a.operand.buffer).ty.shape != plan.buffer(b.operand.buffer).ty.shape {
        return true;
    }
    // Apart along some axis of the base, by range or by step.
    let apart = a.operand.view.axes.iter().zip(&b.operand.view.axes).any(|(ma, mb)| {
        let range = |m: &crate::view::AxisMap, p: &Piece| {
            m.terms.iter().fold((m.start, m.start), |(lo, hi), &(d, step)| {
                let (x, y) = (step * p.lo[d as usize] as i64, step * (p.hi[d as usize] as i64 - 1));
                (lo + x.min(y), hi + x.max(y))
            })
        };
        let ((a_lo, a_hi), (b_lo, b_hi)) = (range(ma, pa), range(mb, pb));
        let step = ma.terms.iter().chain(&mb.terms).fold(0, |g, t| gcd(g, t.1.abs()));
        a_hi < b_lo || b_hi < a_lo || step > 1 && (ma.start - mb.start) % step != 0
    });
    !apart
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// (buffers read, buffers written) by a step.
fn touched(plan: &Plan, step: &Step) -> (Vec<BufferId>, Vec<BufferId>) {
    let (mut read, mut written) = (Vec::new(), Vec::new());
    match step {
        Step::Launch(launch) => {
            for piece in &launch.pieces {
                let kernel = &plan.kernels[piece.kernel as usize];
                for (t, access) in piece.accesses.iter().zip(&kernel.accesses) {
                    if let Target::Buffer(operand) = &launch.targets[*t as usize] {
                        if access.write { &mut written } else { &mut read }.push(operand.buffer);
                    }
                }
            }
            written.extend(launch.streams.iter().map(|s| s.out));
        }
        Step::Opaque { args, out, .. } => {
            read.extend(args.iter().map(|a| a.buffer));
            written.push(*out);
        }
        Step::Free(_) => {}
    }
    (read, written)
}

/// Follows the memories through the steps.
fn lifetimes(plan: &Plan) -> Check {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        /// Fresh and not written yet.
        Empty,
        Filled,
        /// Another buffer has taken over the memory and written to it.
        Lost(BufferId),
        Freed,
    }
    // An alias has the state of what it is an alias of.
    let real = |mut b: BufferId| {
        while let Source::Alias(of) = plan.buffer(b).source {
            b = of;
        }
        b
    };
    let start = |i: usize| match plan.buffers[i].source {
        Source::Input(_) => State::Filled,
        _ if plan.buffers[i].ty.size() == 0 => State::Filled,
        _ => State::Empty,
    };
    let mut state: Vec<State> = (0..plan.buffers.len()).map(start).collect();
    // Until it writes itself, a buffer that takes over has what is there.
    fn content(state: &[State], plan: &Plan, b: BufferId) -> State {
        match (state[b.0 as usize], plan.buffer(b).source) {
            (State::Empty, Source::TakeOver(of) | Source::Alias(of)) => content(state, plan, of),
            (s, _) => s,
        }
    }
    let usable = |state: &[State], b: BufferId, verb: &str| match content(state, plan, b) {
        State::Filled => Ok(()),
        State::Empty => Err(format!("{b} is {verb} before it is written")),
        State::Lost(to) => Err(format!("{b} is {verb} after {to} has taken over its memory")),
        State::Freed => Err(format!("{b} is {verb} after it was freed")),
    };
    for (i, step) in plan.steps.iter().enumerate() {
        let (read, written) = touched(plan, step);
        for b in read {
            usable(&state, real(b), "read").map_err(|m| format!("step {i}: {m}"))?;
        }
        for b in written {
            let b = real(b);
            match state[b.0 as usize] {
                State::Lost(to) => {
                    return Err(format!("step {i}: {b} is written after {to} has taken over its memory"));
                }
                State::Freed => return Err(format!("step {i}: {b} is written after it was freed")),
                State::Empty | State::Filled => state[b.0 as usize] = State::Filled,
            }
            // Whoever had the memory before has lost it.
            let mut previous = b;
            while let Source::TakeOver(of) | Source::Alias(of) = plan.buffer(previous).source {
                if real(of) != b && state[real(of).0 as usize] != State::Freed {
                    state[real(of).0 as usize] = State::Lost(b);
                }
                previous = of;
            }
        }
        if let Step::Free(b) = step {
            let b = real(*b);
            ensure!(state[b.0 as usize] != State::Freed, "step {i}: {b} is freed twice");
            state[b.0 as usize] = State::Freed;
        }
    }
    for out in &plan.outputs {
        known(plan, *out)?;
        usable(&state, real(*out), "returned")?;
    }
    Ok(())
}
