//! The text forms of graphs, kernels and plans. Printing gives the same bytes for equal values, and what is printed parses back
//! to an equal value, so that a dump is a test input.
//!
//! ```text
//! graph @sum_of_window(%0: f64[10] donated, $0: f64) -> f64[] {
//!   %1 = $0 : f64[]
//!   %2 = view %0 [1 + d0] : f64[8]
//!   %3 = view %1 [] : f64[8]
//!   %4 = add %2, %3 : f64[8]
//!   %5 = reduce add %4 [0] : f64[]
//!   return %5
//! }
//! ```
//!
//! A view prints, for each axis of its base, where on it an element of the result lies. Comments run from `;` to the end of the
//! line. Nodes are numbered in order; numbers may have gaps, so that lines can be cut out by hand.

pub mod graph;
pub mod kernel;
pub mod lexer;
pub mod plan;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write};

use smallvec::SmallVec;

use crate::graph::{Opaque, Order, Reduce, Reducer, Strides};
use crate::shape::Shape;
use crate::view::AxisMap;
use crate::{DType, Scalar, Type, Ufunc, View};
use lexer::{Lexer, PResult, Span};

/// Items with `, ` between them.
pub(crate) fn list<T>(
    f: &mut fmt::Formatter,
    items: impl IntoIterator<Item = T>,
    mut one: impl FnMut(&mut fmt::Formatter, T) -> fmt::Result,
) -> fmt::Result {
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        one(f, item)?;
    }
    Ok(())
}

/// `@name`, in quotes where it is not a plain word; nothing for no name.
pub(crate) fn write_name(f: &mut fmt::Formatter, name: &str) -> fmt::Result {
    if name.is_empty() {
        return Ok(());
    }
    let plain =
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    if plain { write!(f, " @{name}") } else { write!(f, " @{name:?}") }
}

pub(crate) fn parse_name(p: &mut Lexer) -> PResult<String> {
    if !p.eat("@") {
        return Ok(String::new());
    }
    p.word_or_string("a name")
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}", self.dtype)?;
        write_shape(f, &self.shape)
    }
}

/// `[3, 4]`.
pub(crate) fn write_shape(f: &mut fmt::Formatter, shape: &[usize]) -> fmt::Result {
    f.write_char('[')?;
    list(f, shape, |f, n| write!(f, "{n}"))?;
    f.write_char(']')
}

pub(crate) fn parse_shape(p: &mut Lexer) -> PResult<Shape> {
    p.expect("[")?;
    let mut shape = Shape::new();
    p.list("]", |p| {
        shape.push(p.number("an extent")?);
        Ok(())
    })?;
    Ok(shape)
}

pub(crate) fn parse_dtype(p: &mut Lexer) -> PResult<DType> {
    let span = p.span();
    let word = p.word("an element type")?;
    DType::parse(&word).ok_or_else(|| {
        let known: Vec<&str> = DType::ALL.iter().map(|d| d.name()).collect();
        p.error_at(span, format!("expected an element type ({}), found {word}", known.join(" ")))
    })
}

/// `f64[3, 4]`; a 0-d type may leave out its `[]`.
pub(crate) fn parse_type(p: &mut Lexer) -> PResult<Type> {
    let dtype = parse_dtype(p)?;
    let shape = if p.peek_is("[") { parse_shape(p)? } else { Shape::new() };
    Ok(Type { dtype, shape })
}

pub(crate) fn parse_ufunc(p: &mut Lexer) -> PResult<Ufunc> {
    let span = p.span();
    let word = p.word("an elementwise operation")?;
    Ufunc::parse(&word).ok_or_else(|| p.error_at(span, format!("expected an elementwise operation, found {word}")))
}

/// `1 + d0 - 2*d1`.
impl fmt::Display for AxisMap {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut first = true;
        if self.start != 0 || self.terms.is_empty() {
            write!(f, "{}", self.start)?;
            first = false;
        }
        for &(axis, step) in &self.terms {
            match (first, step < 0) {
                (true, true) => f.write_str("-")?,
                (true, false) => {}
                (false, true) => f.write_str(" - ")?,
                (false, false) => f.write_str(" + ")?,
            }
            first = false;
            match step.unsigned_abs() {
                1 => write!(f, "d{axis}")?,
                n => write!(f, "{n}*d{axis}")?,
            }
        }
        Ok(())
    }
}

fn parse_axis_map(p: &mut Lexer, rank: Option<usize>) -> PResult<AxisMap> {
    let mut map = AxisMap::at(0);
    let mut negative = p.eat("-");
    loop {
        let span = p.span();
        let mut factor = 1;
        let mut axis = None;
        if p.peek_is_number() {
            factor = p.number::<i64>("a number")?;
            if p.eat("*") {
                axis = Some(p.numbered("d", "an axis as d0")?);
            }
        } else {
            axis = Some(p.numbered("d", "an axis as d0, or a number")?);
        }
        let factor = if negative { -factor } else { factor };
        match axis {
            None => map.start += factor,
            Some(axis) if rank.is_some_and(|rank| axis as usize >= rank) => {
                return Err(p.error_at(span, format!("d{axis} where the result has rank {}", rank.unwrap_or(0))));
            }
            Some(axis) if factor == 0 || map.terms.iter().any(|t| t.0 == axis) => {
                return Err(p.error_at(span, format!("d{axis} twice, or times 0")));
            }
            Some(axis) => map.terms.push((axis, factor)),
        }
        negative = p.peek_is("-");
        if !p.eat("+") && !p.eat("-") {
            break;
        }
    }
    map.terms.sort_unstable();
    Ok(map)
}

/// `[1 + d0, 5]`: one map for each axis of the base.
pub(crate) fn write_maps(f: &mut fmt::Formatter, view: &View) -> fmt::Result {
    f.write_char('[')?;
    list(f, &view.axes, |f, m| write!(f, "{m}"))?;
    f.write_char(']')
}

/// The maps of a view; the rank of its result is `None` where the shape comes later in the line.
pub(crate) fn parse_maps(p: &mut Lexer, rank: Option<usize>) -> PResult<SmallVec<[AxisMap; 4]>> {
    let mut axes = SmallVec::new();
    p.expect("[")?;
    p.list("]", |p| {
        axes.push(parse_axis_map(p, rank)?);
        Ok(())
    })?;
    Ok(axes)
}

/// The value alone: its type stands elsewhere in the line. Floats are the shortest decimals that read back as the same bits.
pub(crate) fn write_scalar(f: &mut fmt::Formatter, s: Scalar) -> fmt::Result {
    let float32 = |f: &mut fmt::Formatter, bits: u32| match f32::from_bits(bits) {
        v if v.is_nan() => write!(f, "nan({bits:#x})"),
        v => write!(f, "{v:?}"),
    };
    let float64 = |f: &mut fmt::Formatter, bits: u64| match f64::from_bits(bits) {
        v if v.is_nan() => write!(f, "nan({bits:#x})"),
        v => write!(f, "{v:?}"),
    };
    match s.dtype {
        DType::Bool => write!(f, "{}", s.bits[0] != 0),
        DType::F32 => float32(f, s.bits[0] as u32),
        DType::F64 => float64(f, s.bits[0]),
        DType::C64 => {
            f.write_char('(')?;
            float32(f, s.bits[0] as u32)?;
            f.write_str(", ")?;
            float32(f, (s.bits[0] >> 32) as u32)?;
            f.write_char(')')
        }
        DType::C128 => {
            f.write_char('(')?;
            float64(f, s.bits[0])?;
            f.write_str(", ")?;
            float64(f, s.bits[1])?;
            f.write_char(')')
        }
        _ => write!(f, "{}", s.as_i128()),
    }
}

/// A constant whose text has been read, but whose type comes later in the line.
pub(crate) struct Literal {
    span: Span,
    text: LiteralText,
}

enum LiteralText {
    One(String),
    Pair(String, String),
}

pub(crate) fn parse_literal(p: &mut Lexer) -> PResult<Literal> {
    fn one(p: &mut Lexer) -> PResult<String> {
        let mut text = String::new();
        if p.eat("-") {
            text.push('-');
        }
        if p.peek_is_number() {
            text += &p.raw_number();
        } else {
            text += &p.word("a number")?;
            if text == "nan" && p.eat("(") {
                text = p.raw_number();
                p.expect(")")?;
            }
        }
        Ok(text)
    }
    let span = p.span();
    let text = if p.eat("(") {
        let re = one(p)?;
        p.expect(",")?;
        let im = one(p)?;
        p.expect(")")?;
        LiteralText::Pair(re, im)
    } else {
        LiteralText::One(one(p)?)
    };
    Ok(Literal { span, text })
}

impl Literal {
    pub(crate) fn of_type(self, p: &Lexer, dtype: DType) -> PResult<Scalar> {
        fn bits64(text: &str) -> Option<u64> {
            match text.strip_prefix("0x") {
                Some(hex) => u64::from_str_radix(hex, 16).ok(),
                None => text.parse::<f64>().ok().map(f64::to_bits),
            }
        }
        fn bits32(text: &str) -> Option<u64> {
            match text.strip_prefix("0x") {
                Some(hex) => u32::from_str_radix(hex, 16).ok().map(u64::from),
                None => text.parse::<f32>().ok().map(|v| v.to_bits() as u64),
            }
        }
        let bits = match (&self.text, dtype) {
            (LiteralText::One(text), DType::Bool) => match text.as_str() {
                "false" => Some([0, 0]),
                "true" => Some([1, 0]),
                _ => None,
            },
            (LiteralText::One(text), DType::F32) => bits32(text).map(|b| [b, 0]),
            (LiteralText::One(text), DType::F64) => bits64(text).map(|b| [b, 0]),
            (LiteralText::Pair(re, im), DType::C64) => bits32(re).zip(bits32(im)).map(|(re, im)| [re | im << 32, 0]),
            (LiteralText::Pair(re, im), DType::C128) => bits64(re).zip(bits64(im)).map(|(re, im)| [re, im]),
            (LiteralText::One(text), d) if d.is_integer() => {
                let value = text.parse::<i128>().ok();
                value.filter(|v| crate::promote::int_out_of_bounds(*v, d).is_none()).map(|v| Scalar::int(d, v).bits)
            }
            _ => None,
        };
        bits.map(|bits| Scalar { dtype, bits })
            .ok_or_else(|| p.error_at(self.span, format!("no constant of type {dtype}")))
    }
}

impl fmt::Display for Reducer {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Reducer::Ufunc(ufunc) => ufunc.name(),
            Reducer::ArgMin => "argmin",
            Reducer::ArgMax => "argmax",
        })
    }
}

fn parse_reducer(p: &mut Lexer) -> PResult<Reducer> {
    Ok(match () {
        () if p.eat("argmin") => Reducer::ArgMin,
        () if p.eat("argmax") => Reducer::ArgMax,
        () => Reducer::Ufunc(parse_ufunc(p)?),
    })
}

/// What follows the reducer and the operand: `[0, 1]`, and ` chunked 8192` where the order is not the tree.
pub(crate) fn write_axes(f: &mut fmt::Formatter, reduce: &Reduce) -> fmt::Result {
    f.write_char('[')?;
    list(f, &reduce.axes, |f, a| write!(f, "{a}"))?;
    f.write_char(']')?;
    match reduce.order {
        Order::Tree => Ok(()),
        Order::Chunked(n) => write!(f, " chunked {n}"),
        Order::Blocks { block, chunk } => write!(f, " blocks {block} chunked {chunk}"),
    }
}

pub(crate) fn parse_axes(p: &mut Lexer, reducer: Reducer) -> PResult<Reduce> {
    let mut axes = SmallVec::new();
    p.expect("[")?;
    p.list("]", |p| {
        axes.push(p.number("an axis")?);
        Ok(())
    })?;
    let block = if p.eat("blocks") { Some(p.number("a block's length")?) } else { None };
    let chunk = if p.eat("chunked") { Some(p.number("a chunk's length")?) } else { None };
    let order = match (block, chunk) {
        (None, None) => Order::Tree,
        (None, Some(n)) => Order::Chunked(n),
        (Some(block), Some(chunk)) => Order::Blocks { block, chunk },
        (Some(_), None) => {
            p.expect("chunked")?;
            Order::Tree
        }
    };
    Ok(Reduce { reducer, axes, order })
}

/// The word of an opaque operation, and what stands before its arguments.
impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Opaque::Matmul(strides) => {
                f.write_str("matmul")?;
                if strides.iter().all(|s| s.is_empty()) {
                    return Ok(());
                }
                write!(f, " strides {:?} {:?}", &strides[0][..], &strides[1][..])
            }
            Opaque::Scan { ufunc, axis } => write!(f, "scan {} axis {axis}", ufunc.name()),
        }
    }
}

/// `None`, with nothing read, if no opaque operation comes.
pub(crate) fn parse_opaque(p: &mut Lexer) -> PResult<Option<Opaque>> {
    if p.eat("matmul") {
        let mut strides = [Strides::new(), Strides::new()];
        if p.eat("strides") {
            for operand in &mut strides {
                p.expect("[")?;
                p.list("]", |p| {
                    operand.push(p.signed("a stride")?);
                    Ok(())
                })?;
            }
        }
        return Ok(Some(Opaque::Matmul(strides)));
    }
    if p.eat("scan") {
        let ufunc = parse_ufunc(p)?;
        p.expect("axis")?;
        return Ok(Some(Opaque::Scan { ufunc, axis: p.number("an axis")? }));
    }
    Ok(None)
}
