//! The graph's text form, see [`crate::text`].
//!
//! Inputs stand in the header, at the number of their node: `%0: f64[10] donated`; `_` is an input that no node reads. The few
//! input nodes that the header cannot say (a second one of the same input) are lines `%3 = input 0 : f64[10]`.

use std::fmt::{self, Write};
use std::str::FromStr;

use super::lexer::{Lexer, PResult, Span};
use super::*;
use crate::graph::Node;
use crate::{Error, Graph, Op, Value, verify};

/// The node that stands for each input in the header: its first.
fn header_nodes(graph: &Graph) -> Vec<Option<usize>> {
    let first = |n: usize| graph.nodes.iter().position(|node| node.op == Op::Input(n as u32));
    (0..graph.donated.len()).map(first).collect()
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("graph")?;
        write_name(f, &self.name)?;
        f.write_char('(')?;
        let inputs = header_nodes(self);
        list(f, inputs.iter().zip(&self.donated), |f, (node, donated)| {
            match node {
                Some(i) => write!(f, "%{i}: {}", self.nodes[*i].ty)?,
                None => f.write_char('_')?,
            }
            if *donated { f.write_str(" donated") } else { Ok(()) }
        })?;
        let mut scalars: Vec<(u32, DType)> = Vec::new();
        for node in &self.nodes {
            if let Op::Scalar(n) = node.op {
                scalars.push((n, node.ty.dtype));
            }
        }
        scalars.sort_unstable();
        scalars.dedup();
        if !inputs.is_empty() && !scalars.is_empty() {
            f.write_str(", ")?;
        }
        list(f, scalars, |f, (n, dtype)| write!(f, "${n}: {dtype}"))?;
        f.write_str(") -> ")?;
        match &self.outputs[..] {
            [one] => write!(f, "{}", self.ty(*one))?,
            all => {
                f.write_char('(')?;
                list(f, all, |f, v| write!(f, "{}", self.ty(*v)))?;
                f.write_char(')')?;
            }
        }
        f.write_str(" {\n")?;
        for (i, node) in self.nodes.iter().enumerate() {
            if !inputs.contains(&Some(i)) {
                write!(f, "  %{i} = ")?;
                write_node(f, node)?;
                f.write_char('\n')?;
            }
        }
        f.write_str("  return")?;
        for (i, v) in self.outputs.iter().enumerate() {
            write!(f, "{} %{}", if i > 0 { "," } else { "" }, v.0)?;
        }
        f.write_str("\n}\n")
    }
}

/// `add %1, %2 : f64[3]`.
fn write_node(f: &mut fmt::Formatter, node: &Node) -> fmt::Result {
    let args = |f: &mut fmt::Formatter| list(f, &node.args, |f, v| write!(f, "%{}", v.0));
    match &node.op {
        Op::Input(n) => write!(f, "input {n}")?,
        Op::Scalar(n) => write!(f, "${n}")?,
        Op::Const(s) => {
            f.write_str("const ")?;
            write_scalar(f, *s)?;
        }
        Op::Index(axis) => write!(f, "index {axis}")?,
        Op::View(view) => {
            f.write_str("view ")?;
            args(f)?;
            f.write_char(' ')?;
            write_maps(f, view)?;
        }
        Op::Reshape => {
            f.write_str("reshape ")?;
            args(f)?;
        }
        Op::Map(ufunc) => {
            write!(f, "{} ", ufunc.name())?;
            args(f)?;
        }
        Op::Cast => {
            f.write_str("cast ")?;
            args(f)?;
        }
        Op::Update(view) => {
            f.write_str("update ")?;
            args(f)?;
            f.write_char(' ')?;
            write_maps(f, view)?;
        }
        Op::Reduce(reduce) => {
            write!(f, "reduce {} ", reduce.reducer)?;
            args(f)?;
            f.write_char(' ')?;
            write_axes(f, reduce)?;
        }
        Op::Opaque(opaque) => {
            write!(f, "{opaque} ")?;
            args(f)?;
        }
    }
    write!(f, " : {}", node.ty)
}

impl FromStr for Graph {
    type Err = Error;

    fn from_str(source: &str) -> Result<Graph, Error> {
        let mut p = Lexer::new(source)?;
        let graph = parse_graph(&mut p)?;
        p.expect_end()?;
        Ok(graph)
    }
}

/// The graph under construction, with the numbers of the text.
struct Builder {
    graph: Graph,
    /// Inputs of the header that are still to come: (number in the text, input, type, place), by number, last first.
    inputs: Vec<(u32, u32, Type, Span)>,
    /// Number in the text of each node.
    numbers: Vec<u32>,
    scalars: Vec<(u32, DType)>,
}

impl Builder {
    /// The value with this number in the text.
    fn value(&mut self, p: &mut Lexer) -> PResult<Value> {
        let span = p.span();
        let number = p.value("%", "a value as %0")?;
        self.inputs_before(p, number + 1)?;
        match self.numbers.binary_search(&number) {
            Ok(i) => Ok(Value(i as u32)),
            Err(_) => Err(p.error_at(span, format!("%{number} is not defined before this line"))),
        }
    }

    /// Adds the header's inputs whose number is below the one that comes next.
    fn inputs_before(&mut self, p: &Lexer, number: u32) -> PResult<()> {
        while self.inputs.last().is_some_and(|i| i.0 < number) {
            let (number, input, ty, span) = self.inputs.pop().expect("there is a last one");
            self.add(p, number, span, Op::Input(input), &[], ty)?;
        }
        Ok(())
    }

    fn add(&mut self, p: &Lexer, number: u32, span: Span, op: Op, args: &[Value], ty: Type) -> PResult<()> {
        if self.numbers.last().is_some_and(|last| *last >= number) {
            return Err(p.error_at(span, format!("%{number} comes after %{}", self.numbers.last().expect("just seen"))));
        }
        self.numbers.push(number);
        let value = self.graph.push(op, args, ty);
        verify::node(&self.graph, value).map_err(|message| p.error_at(span, message))
    }
}

pub(crate) fn parse_graph(p: &mut Lexer) -> PResult<Graph> {
    p.expect("graph")?;
    let mut b = Builder { graph: Graph::default(), inputs: Vec::new(), numbers: Vec::new(), scalars: Vec::new() };
    b.graph.name = parse_name(p)?;
    p.expect("(")?;
    p.list(")", |p| {
        if p.peek_is("$") {
            let n = p.value("$", "a scalar as $0")?;
            p.expect(":")?;
            b.scalars.push((n, parse_dtype(p)?));
            return Ok(());
        }
        if !p.eat("_") {
            let span = p.span();
            let number = p.value("%", "an input as %0, or _")?;
            p.expect(":")?;
            b.inputs.push((number, b.graph.donated.len() as u32, parse_type(p)?, span));
        }
        b.graph.donated.push(p.eat("donated"));
        Ok(())
    })?;
    b.inputs.sort_by_key(|i| std::cmp::Reverse(i.0));
    p.expect("->")?;
    let types_at = p.span();
    let mut types = Vec::new();
    if p.eat("(") {
        p.list(")", |p| {
            types.push(parse_type(p)?);
            Ok(())
        })?;
    } else {
        types.push(parse_type(p)?);
    }
    p.expect("{")?;
    while p.peek_is("%") {
        let span = p.span();
        let number = p.value("%", "a value as %0")?;
        b.inputs_before(p, number)?;
        p.expect("=")?;
        parse_node(p, &mut b, number, span)?;
    }
    p.expect("return")?;
    b.inputs_before(p, u32::MAX)?;
    while !p.peek_is("}") {
        let v = b.value(p)?;
        b.graph.outputs.push(v);
        if !p.eat(",") {
            break;
        }
    }
    p.expect("}")?;
    let returned: Vec<&Type> = b.graph.outputs.iter().map(|v| b.graph.ty(*v)).collect();
    if !returned.iter().copied().eq(&types) {
        let returned: Vec<String> = returned.iter().map(|t| t.to_string()).collect();
        return Err(p.error_at(types_at, format!("the graph returns ({})", returned.join(", "))));
    }
    Ok(b.graph)
}

/// What stands behind the `=`.
fn parse_node(p: &mut Lexer, b: &mut Builder, number: u32, span: Span) -> PResult<()> {
    let ty = |p: &mut Lexer| {
        p.expect(":")?;
        parse_type(p)
    };
    let mut args: SmallVec<[Value; 3]> = SmallVec::new();
    let one = |p: &mut Lexer, b: &mut Builder, args: &mut SmallVec<[Value; 3]>| {
        args.push(b.value(p)?);
        Ok::<(), Error>(())
    };
    let (op, ty) = if p.peek_is("$") {
        let at = p.span();
        let n = p.value("$", "a scalar as $0")?;
        let ty = ty(p)?;
        if !b.scalars.contains(&(n, ty.dtype)) {
            return Err(p.error_at(at, format!("the header has no ${n}: {}", ty.dtype)));
        }
        (Op::Scalar(n), ty)
    } else if p.eat("input") {
        (Op::Input(p.number("an input's number")?), ty(p)?)
    } else if p.eat("const") {
        let literal = parse_literal(p)?;
        let ty = ty(p)?;
        (Op::Const(literal.of_type(p, ty.dtype)?), ty)
    } else if p.eat("index") {
        (Op::Index(p.number("an axis")?), ty(p)?)
    } else if p.eat("view") {
        one(p, b, &mut args)?;
        let axes = parse_maps(p, None)?;
        let ty = ty(p)?;
        (Op::View(View { shape: ty.shape.clone(), axes }), ty)
    } else if p.eat("reshape") {
        one(p, b, &mut args)?;
        (Op::Reshape, ty(p)?)
    } else if p.eat("cast") {
        one(p, b, &mut args)?;
        (Op::Cast, ty(p)?)
    } else if p.eat("update") {
        one(p, b, &mut args)?;
        p.expect(",")?;
        one(p, b, &mut args)?;
        let shape = b.graph.ty(args[1]).shape.clone();
        let axes = parse_maps(p, Some(shape.len()))?;
        (Op::Update(View { shape, axes }), ty(p)?)
    } else if p.eat("reduce") {
        let reducer = parse_reducer(p)?;
        one(p, b, &mut args)?;
        (Op::Reduce(parse_axes(p, reducer)?), ty(p)?)
    } else {
        let op = match parse_opaque(p)? {
            Some(opaque) => Op::Opaque(opaque),
            None => Op::Map(parse_ufunc(p)?),
        };
        loop {
            one(p, b, &mut args)?;
            if !p.eat(",") {
                break;
            }
        }
        (op, ty(p)?)
    };
    b.add(p, number, span, op, &args, ty)
}
