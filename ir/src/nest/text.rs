//! The text form of nests:
//!
//! ```text
//! nest ints 5 floats 2 views 1 memories 0 variable i0 {
//!   v0 = f64 1 written unit
//!   i4 = 1
//!   f1 = 0.5
//!   keep f0
//!   x0 = i3
//!   x1 = i3 : - by 2
//!   x2 = new
//!   g0 = exp
//!   0: load_f64_1 f0 v0 i0
//!   1: end_round
//! }
//! ```

use std::fmt;
use std::str::FromStr;

use super::code::Ins;
use super::{Given, Item, Program};
use crate::{DType, Error, Result};

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let bound = |n: Option<u16>| n.map_or("-".into(), |n| format!("i{n}"));
        match *self {
            Item::Int(n) => write!(f, "i{n}"),
            Item::New => f.write_str("new"),
            Item::Slice(start, stop, step) => write!(f, "{} : {} by {step}", bound(start), bound(stop)),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(
            f,
            "nest ints {} floats {} views {} memories {} variable i{} {{",
            self.ints, self.floats, self.views, self.memories, self.variable
        )?;
        for given in &self.arrays {
            let (written, unit) = (if given.written { " written" } else { "" }, if given.unit { " unit" } else { "" });
            writeln!(f, "  v{} = {} {}{written}{unit}", given.register, given.dtype.name(), given.axes)?;
        }
        for (r, n) in &self.int_constants {
            writeln!(f, "  i{r} = {n}")?;
        }
        for &(r, bits) in &self.float_constants {
            match f64::from_bits(bits) {
                // (Others than these have more than one pattern of bits.)
                x if !x.is_nan() => writeln!(f, "  f{r} = {x:?}")?,
                _ => writeln!(f, "  f{r} = bits {bits:#x}")?,
            }
        }
        if !self.kept_ints.is_empty() || !self.kept_floats.is_empty() {
            f.write_str("  keep")?;
            self.kept_ints.iter().try_for_each(|r| write!(f, " i{r}"))?;
            self.kept_floats.iter().try_for_each(|r| write!(f, " f{r}"))?;
            f.write_str("\n")?;
        }
        for (n, item) in self.items.iter().enumerate() {
            writeln!(f, "  x{n} = {item}")?;
        }
        for (n, name) in self.functions.iter().enumerate() {
            writeln!(f, "  g{n} = {name}")?;
        }
        for (n, ins) in self.code.iter().enumerate() {
            writeln!(f, "  {n}: {ins}")?;
        }
        f.write_str("}\n")
    }
}

/// The number of `i7`.
fn numbered(word: &str, prefix: &str) -> Option<usize> {
    word.strip_prefix(prefix)?.parse().ok()
}

fn bound(word: &str) -> Option<Option<u16>> {
    if word == "-" { Some(None) } else { Some(Some(numbered(word, "i")?.try_into().ok()?)) }
}

fn float_bits(words: &[&str]) -> Option<u64> {
    match *words {
        ["bits", bits] => u64::from_str_radix(bits.strip_prefix("0x")?, 16).ok(),
        [number] => number.parse().ok().map(f64::to_bits),
        _ => None,
    }
}

impl Program {
    /// Takes in one line; `None` where it is none.
    fn line(&mut self, words: &[&str]) -> Option<Result<()>> {
        if let [first, ..] = words
            && let Some(at) = first.strip_suffix(':')
        {
            let name = words.get(1)?;
            let operands: Option<Vec<u32>> =
                words[2..].iter().map(|w| w.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok()).collect();
            if at.parse() != Ok(self.code.len()) {
                return None;
            }
            return Some(Ins::new(name, &operands?).map(|ins| self.code.push(ins)));
        }
        match *words {
            ["keep", ..] => {
                for word in &words[1..] {
                    match numbered(word, "i") {
                        Some(n) => self.kept_ints.push(n),
                        None => self.kept_floats.push(numbered(word, "f")?),
                    }
                }
            }
            [item, "=", "new"] if item == format!("x{}", self.items.len()) => self.items.push(Item::New),
            [item, "=", start, ":", stop, "by", step] if item == format!("x{}", self.items.len()) => {
                self.items.push(Item::Slice(bound(start)?, bound(stop)?, step.parse().ok()?));
            }
            [item, "=", int] if item == format!("x{}", self.items.len()) => self.items.push(Item::Int(bound(int)??)),
            [function, "=", name] if function == format!("g{}", self.functions.len()) => {
                self.functions.push(name.to_string());
            }
            [view, "=", dtype, axes, ..] if view.starts_with('v') => self.arrays.push(Given {
                register: numbered(view, "v")?,
                dtype: DType::parse(dtype)?,
                axes: axes.parse().ok()?,
                written: words[4..].contains(&"written"),
                unit: words[4..].contains(&"unit"),
            }),
            [r, "=", n] if r.starts_with('i') => self.int_constants.push((numbered(r, "i")?, n.parse().ok()?)),
            [r, "=", ..] if r.starts_with('f') => {
                self.float_constants.push((numbered(r, "f")?, float_bits(&words[2..])?));
            }
            _ => return None,
        }
        Some(Ok(()))
    }
}

impl FromStr for Program {
    type Err = Error;

    fn from_str(text: &str) -> Result<Program> {
        let wrong =
            |line: usize, what: &str| Error::Parse { line: line + 1, column: 1, message: format!("expected {what}") };
        let mut program = Program::default();
        let mut lines = text.lines().enumerate();
        let head: Vec<&str> = lines.next().map(|(_, l)| l.split_whitespace().collect()).unwrap_or_default();
        let head = match head[..] {
            ["nest", "ints", i, "floats", f, "views", v, "memories", m, "variable", r, "{"] => {
                let numbers = [i, f, v, m].map(|n| n.parse().ok());
                numbered(r, "i").zip(numbers.into_iter().collect::<Option<Vec<usize>>>())
            }
            _ => None,
        };
        let Some((variable, numbers)) = head else { return Err(wrong(0, "the head of a nest")) };
        program.variable = variable;
        [program.ints, program.floats, program.views, program.memories] =
            [numbers[0], numbers[1], numbers[2], numbers[3]];
        for (n, line) in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            if words == ["}"] {
                program.check()?;
                return Ok(program);
            }
            program.line(&words).unwrap_or_else(|| Err(wrong(n, "a line of a nest")))?;
        }
        Err(wrong(text.lines().count(), "the end of a nest"))
    }
}
