//! The plan's text form, which is also what the controller sends to the other ranks:
//!
//! ```text
//! plan @name {
//!   scalar $0: f64
//!   buffer b0: f64[10] = input 0
//!   buffer b1: f64[] = fresh
//!   kernel k0(#0: f64 unit, #1: f64 unit write) rank 1 {
//!     %0 = load #0 : f64
//!     %1 = square %0 : f64
//!     store #1, %1
//!   }
//!   launch [10] {
//!     target t0 = b0 [d0]
//!     target t1 = stream s0
//!     stream s0: f64 reduce add [0] -> b1
//!     piece [0:10] k0(t0, t1, $0)
//!   }
//!   matmul b2 [d0, d1] : [3, 4], b3 [d0, d1] : [4, 5] -> b4
//!   free b0
//!   return b1
//! }
//! ```

use std::fmt::{self, Write};
use std::str::FromStr;

use super::kernel::{parse_kernel, write_kernel};
use super::lexer::{Lexer, PResult};
use super::*;
use crate::plan::{Buffer, BufferId, Launch, Operand, Piece, Plan, Source, Step, Stream, Target};
use crate::{Error, verify};

impl fmt::Display for BufferId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Source::Input(n) => write!(f, "input {n}"),
            Source::Fresh => f.write_str("fresh"),
            Source::TakeOver(b) => write!(f, "takeover {b}"),
            Source::Alias(b) => write!(f, "alias {b}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("plan")?;
        write_name(f, &self.name)?;
        f.write_str(" {\n")?;
        for (i, dtype) in self.scalars.iter().enumerate() {
            writeln!(f, "  scalar ${i}: {dtype}")?;
        }
        for (i, buffer) in self.buffers.iter().enumerate() {
            writeln!(f, "  buffer b{i}: {} = {}", buffer.ty, buffer.source)?;
        }
        for (i, kernel) in self.kernels.iter().enumerate() {
            f.write_str("  ")?;
            write_kernel(f, &format!("kernel k{i}"), kernel, "  ")?;
        }
        for step in &self.steps {
            match step {
                Step::Launch(launch) => write_launch(f, launch)?,
                Step::Opaque { op, args, out } => {
                    write!(f, "  {op} ")?;
                    list(f, args, |f, operand| {
                        write_operand(f, operand)?;
                        f.write_str(" : ")?;
                        write_shape(f, &operand.view.shape)
                    })?;
                    writeln!(f, " -> {out}")?;
                }
                Step::Free(b) => writeln!(f, "  free {b}")?,
            }
        }
        f.write_str("  return")?;
        for (i, b) in self.outputs.iter().enumerate() {
            write!(f, "{} {b}", if i > 0 { "," } else { "" })?;
        }
        f.write_str("\n}\n")
    }
}

fn write_operand(f: &mut fmt::Formatter, operand: &Operand) -> fmt::Result {
    write!(f, "{} ", operand.buffer)?;
    write_maps(f, &operand.view)
}

fn write_launch(f: &mut fmt::Formatter, launch: &Launch) -> fmt::Result {
    f.write_str("  launch ")?;
    write_shape(f, &launch.domain)?;
    f.write_str(" {\n")?;
    for (i, target) in launch.targets.iter().enumerate() {
        write!(f, "    target t{i} = ")?;
        match target {
            Target::Buffer(operand) => write_operand(f, operand)?,
            Target::Stream(n) => write!(f, "stream s{n}")?,
        }
        f.write_char('\n')?;
    }
    for (i, stream) in launch.streams.iter().enumerate() {
        write!(f, "    stream s{i}: {} reduce {} ", stream.dtype, stream.reduce.reducer)?;
        write_axes(f, &stream.reduce)?;
        writeln!(f, " -> {}", stream.out)?;
    }
    for piece in &launch.pieces {
        f.write_str("    piece [")?;
        list(f, piece.lo.iter().zip(&piece.hi), |f, (lo, hi)| write!(f, "{lo}:{hi}"))?;
        write!(f, "] k{}(", piece.kernel)?;
        list(f, &piece.accesses, |f, t| write!(f, "t{t}"))?;
        if !piece.accesses.is_empty() && !piece.scalars.is_empty() {
            f.write_str(", ")?;
        }
        list(f, &piece.scalars, |f, s| write!(f, "${s}"))?;
        f.write_str(")\n")?;
    }
    f.write_str("  }\n")
}

impl FromStr for Plan {
    type Err = Error;

    fn from_str(source: &str) -> Result<Plan, Error> {
        let mut p = Lexer::new(source)?;
        let start = p.span();
        let plan = parse_plan(&mut p)?;
        p.expect_end()?;
        verify::plan(&plan).map_err(|e| p.error_at(start, e.to_string()))?;
        Ok(plan)
    }
}

fn parse_buffer(p: &mut Lexer) -> PResult<BufferId> {
    p.numbered("b", "a buffer as b0").map(BufferId)
}

/// A prefixed number that must be the next one.
fn parse_next(p: &mut Lexer, prefix: &str, next: usize) -> PResult<()> {
    let span = p.span();
    match p.numbered(prefix, &format!("{prefix}{next}"))? {
        n if n as usize == next => Ok(()),
        _ => Err(p.error_at(span, format!("expected {prefix}{next}"))),
    }
}

fn parse_plan(p: &mut Lexer) -> PResult<Plan> {
    p.expect("plan")?;
    let mut plan = Plan { name: parse_name(p)?, ..Plan::default() };
    p.expect("{")?;
    loop {
        if p.eat("scalar") {
            let span = p.span();
            let n = p.value("$", "a scalar as $0")? as usize;
            if n != plan.scalars.len() {
                return Err(p.error_at(span, format!("expected ${}", plan.scalars.len())));
            }
            p.expect(":")?;
            plan.scalars.push(parse_dtype(p)?);
        } else if p.eat("buffer") {
            parse_next(p, "b", plan.buffers.len())?;
            p.expect(":")?;
            let ty = parse_type(p)?;
            p.expect("=")?;
            let source = match () {
                () if p.eat("input") => Source::Input(p.number("an input's number")?),
                () if p.eat("fresh") => Source::Fresh,
                () if p.eat("takeover") => Source::TakeOver(parse_buffer(p)?),
                () if p.eat("alias") => Source::Alias(parse_buffer(p)?),
                () => return Err(p.expected("input, fresh, takeover or alias")),
            };
            plan.buffers.push(Buffer { ty, source });
        } else if p.eat("kernel") {
            parse_next(p, "k", plan.kernels.len())?;
            plan.kernels.push(parse_kernel(p)?);
        } else if p.eat("launch") {
            plan.steps.push(Step::Launch(parse_launch(p)?));
        } else if p.eat("free") {
            plan.steps.push(Step::Free(parse_buffer(p)?));
        } else if p.eat("return") {
            break;
        } else if let Some(op) = parse_opaque(p)? {
            let mut args = Vec::new();
            loop {
                let buffer = parse_buffer(p)?;
                let axes = parse_maps(p, None)?;
                p.expect(":")?;
                args.push(Operand { buffer, view: View { shape: parse_shape(p)?, axes } });
                if !p.eat(",") {
                    break;
                }
            }
            p.expect("->")?;
            plan.steps.push(Step::Opaque { op, args, out: parse_buffer(p)? });
        } else {
            return Err(p.expected("scalar, buffer, kernel, launch, free, return or an opaque operation"));
        }
    }
    while !p.peek_is("}") {
        plan.outputs.push(parse_buffer(p)?);
        if !p.eat(",") {
            break;
        }
    }
    p.expect("}")?;
    Ok(plan)
}

fn parse_launch(p: &mut Lexer) -> PResult<Launch> {
    let mut launch = Launch { domain: parse_shape(p)?, ..Launch::default() };
    p.expect("{")?;
    while !p.eat("}") {
        if p.eat("target") {
            parse_next(p, "t", launch.targets.len())?;
            p.expect("=")?;
            launch.targets.push(if p.eat("stream") {
                Target::Stream(p.numbered("s", "a stream as s0")?)
            } else {
                let buffer = parse_buffer(p)?;
                let axes = parse_maps(p, Some(launch.domain.len()))?;
                Target::Buffer(Operand { buffer, view: View { shape: launch.domain.clone(), axes } })
            });
        } else if p.eat("stream") {
            parse_next(p, "s", launch.streams.len())?;
            p.expect(":")?;
            let dtype = parse_dtype(p)?;
            p.expect("reduce")?;
            let reducer = parse_reducer(p)?;
            let reduce = parse_axes(p, reducer)?;
            p.expect("->")?;
            launch.streams.push(Stream { dtype, reduce, out: parse_buffer(p)? });
        } else if p.eat("piece") {
            launch.pieces.push(parse_piece(p)?);
        } else {
            return Err(p.expected("target, stream, piece or `}`"));
        }
    }
    Ok(launch)
}

fn parse_piece(p: &mut Lexer) -> PResult<Piece> {
    let (mut lo, mut hi) = (Shape::new(), Shape::new());
    p.expect("[")?;
    p.list("]", |p| {
        lo.push(p.number("the first coordinate")?);
        p.expect(":")?;
        hi.push(p.number("the end coordinate")?);
        Ok(())
    })?;
    let kernel = p.numbered("k", "a kernel as k0")?;
    let mut piece = Piece { lo, hi, kernel, accesses: Default::default(), scalars: Default::default() };
    p.expect("(")?;
    p.list(")", |p| {
        if p.peek_is("$") {
            piece.scalars.push(p.value("$", "a scalar")?);
        } else {
            piece.accesses.push(p.numbered("t", "a target as t0, or a scalar as $0")?);
        }
        Ok(())
    })?;
    Ok(piece)
}
