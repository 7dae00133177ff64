//! The kernel's text form:
//!
//! ```text
//! kernel(#0: f64 unit, #1: f64 unit write, $0: f64) rank 2 {
//!   %0 = load #0 : f64
//!   %1 = $0 : f64
//!   %2 = add %0, %1 : f64
//!   store #1, %2
//! }
//! ```

use std::fmt;
use std::str::FromStr;

use super::lexer::{Lexer, PResult};
use super::*;
use crate::kernel::{Access, InnerStride, Kernel, Op, Reg};
use crate::{Error, Inst, verify};

impl fmt::Display for InnerStride {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            InnerStride::Apart { step, at, of } => return write!(f, "apart {step} at {at} of #{of}"),
            InnerStride::Near { by, of } => return write!(f, "near {by} of #{of}"),
            InnerStride::Unit => "unit",
            InnerStride::Zero => "zero",
            InnerStride::Two => "two",
            InnerStride::Any => "any",
            InnerStride::Past => "past",
            InnerStride::Leaves => "leaves",
            InnerStride::Down => "down",
        })
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write_kernel(f, "kernel", self, "")
    }
}

/// With the words it begins with, and each line after the first behind `indent`.
pub(crate) fn write_kernel(f: &mut fmt::Formatter, head: &str, kernel: &Kernel, indent: &str) -> fmt::Result {
    write!(f, "{head}(")?;
    list(f, kernel.accesses.iter().enumerate(), |f, (i, a)| {
        write!(f, "#{i}: {} {}{}", a.dtype, a.inner, if a.write { " write" } else { "" })
    })?;
    if !kernel.accesses.is_empty() && !kernel.scalars.is_empty() {
        f.write_str(", ")?;
    }
    list(f, kernel.scalars.iter().enumerate(), |f, (i, d)| write!(f, "${i}: {d}"))?;
    writeln!(f, ") rank {} {{", kernel.rank)?;
    for (i, inst) in kernel.body.insts.iter().enumerate() {
        write!(f, "{indent}  %{i} = ")?;
        match &inst.op {
            Op::Load(a) => write!(f, "load #{a}")?,
            Op::Scalar(s) => write!(f, "${s}")?,
            Op::Const(s) => {
                f.write_str("const ")?;
                write_scalar(f, *s)?;
            }
            Op::Index(d) => write!(f, "index {d}")?,
            Op::Map(ufunc, args) => {
                write!(f, "{} ", ufunc.name())?;
                list(f, args, |f, r| write!(f, "%{}", r.0))?;
            }
            Op::Cast(r) => write!(f, "cast %{}", r.0)?,
        }
        writeln!(f, " : {}", inst.dtype)?;
    }
    for (access, value) in &kernel.body.stores {
        writeln!(f, "{indent}  store #{access}, %{}", value.0)?;
    }
    writeln!(f, "{indent}}}")
}

impl FromStr for Kernel {
    type Err = Error;

    fn from_str(source: &str) -> Result<Kernel, Error> {
        let mut p = Lexer::new(source)?;
        p.expect("kernel")?;
        let kernel = parse_kernel(&mut p)?;
        p.expect_end()?;
        Ok(kernel)
    }
}

/// What follows the head.
pub(crate) fn parse_kernel(p: &mut Lexer) -> PResult<Kernel> {
    let start = p.span();
    let mut kernel = Kernel::default();
    p.expect("(")?;
    p.list(")", |p| {
        let span = p.span();
        let is_access = p.peek_is("#");
        let number = if is_access { p.value("#", "an access")? } else { p.value("$", "an access or a scalar")? };
        let next = if is_access { kernel.accesses.len() } else { kernel.scalars.len() };
        if number as usize != next {
            return Err(p.error_at(span, format!("expected number {next}")));
        }
        p.expect(":")?;
        let dtype = parse_dtype(p)?;
        if !is_access {
            kernel.scalars.push(dtype);
            return Ok(());
        }
        let inner = match () {
            () if p.eat("unit") => InnerStride::Unit,
            () if p.eat("zero") => InnerStride::Zero,
            () if p.eat("two") => InnerStride::Two,
            () if p.eat("apart") => {
                let step = p.number("a step")?;
                p.expect("at")?;
                let at = p.number("a place")?;
                p.expect("of")?;
                InnerStride::Apart { step, at, of: p.value("#", "an access")? }
            }
            () if p.eat("near") => {
                let by = p.number("a place")?;
                p.expect("of")?;
                InnerStride::Near { by, of: p.value("#", "an access")? }
            }
            () if p.eat("any") => InnerStride::Any,
            () if p.eat("past") => InnerStride::Past,
            () if p.eat("leaves") => InnerStride::Leaves,
            () if p.eat("down") => InnerStride::Down,
            () => return Err(p.expected("unit, zero, two, apart, near, any, past, leaves or down")),
        };
        kernel.accesses.push(Access { dtype, inner, write: p.eat("write") });
        Ok(())
    })?;
    p.expect("rank")?;
    kernel.rank = p.number("a rank")?;
    p.expect("{")?;
    while p.peek_is("%") {
        let span = p.span();
        let number = p.value("%", "a value")?;
        let next = kernel.body.insts.len();
        if number as usize != next {
            return Err(p.error_at(span, format!("expected %{next}")));
        }
        p.expect("=")?;
        let inst = parse_inst(p)?;
        // As it stands: `Body::push` would merge equal instructions.
        kernel.body.insts.push(inst);
        verify::instruction(&kernel, next).map_err(|message| p.error_at(span, message))?;
    }
    while p.eat("store") {
        let access = p.value("#", "an access")?;
        p.expect(",")?;
        kernel.body.stores.push((access, Reg(p.value("%", "a value")?)));
    }
    p.expect("}")?;
    verify::kernel(&kernel).map_err(|e| p.error_at(start, e.to_string()))?;
    Ok(kernel)
}

fn parse_inst(p: &mut Lexer) -> PResult<Inst> {
    let register = |p: &mut Lexer| p.value("%", "a value").map(Reg);
    let mut literal = None;
    let op = if p.peek_is("$") {
        Op::Scalar(p.value("$", "a scalar")?)
    } else if p.eat("load") {
        Op::Load(p.value("#", "an access")?)
    } else if p.eat("const") {
        literal = Some(parse_literal(p)?);
        Op::Const(Scalar::bool(false))
    } else if p.eat("index") {
        Op::Index(p.number("an axis")?)
    } else if p.eat("cast") {
        Op::Cast(register(p)?)
    } else {
        let ufunc = parse_ufunc(p)?;
        let mut args = SmallVec::new();
        loop {
            args.push(register(p)?);
            if !p.eat(",") {
                break;
            }
        }
        Op::Map(ufunc, args)
    };
    p.expect(":")?;
    let dtype = parse_dtype(p)?;
    let op = match literal {
        Some(literal) => Op::Const(literal.of_type(p, dtype)?),
        None => op,
    };
    Ok(Inst { op, dtype })
}
