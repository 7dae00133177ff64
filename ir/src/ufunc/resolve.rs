//! Which loop of an operation NumPy chooses for given argument types, and what comes out.
//!
//! The answer for each operation and pair of types is computed once and then looked up, because recording a call must cost
//! nanoseconds.

use std::sync::OnceLock;

use super::Ufunc;
use super::native::{Native, c64, c128};
use crate::dtype::Kind;
use crate::promote::{ArgType, Casting, can_cast, result_type};
use crate::{DType, Error, Result, Scalar};

/// A loop of an operation: the types that its arguments are converted to, and the result's.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    ins: [DType; 3],
    nin: u8,
    pub out: DType,
}

impl Signature {
    pub fn new(ins: &[DType], out: DType) -> Signature {
        let mut all = [DType::Bool; 3];
        all[..ins.len()].copy_from_slice(ins);
        Signature { ins: all, nin: ins.len() as u8, out }
    }

    pub fn ins(&self) -> &[DType] {
        &self.ins[..self.nin as usize]
    }

    /// In NumPy's order of `ufunc.types`.
    fn rank(&self) -> (u8, bool) {
        let order = "?bBhHiIlLfdFD";
        let place = |d: DType| order.find(d.numpy_char()).expect("every type has a place") as u8;
        let ins = self.ins();
        // The mixed loops of comparisons come behind those of one type.
        let largest = ins.iter().map(|d| place(*d)).max().expect("an operation has arguments");
        (largest, ins.iter().any(|d| *d != ins[0]))
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{:?} -> {}", self.ins(), self.out)
    }
}

/// A row of the table expanded for one element type.
pub struct Loop {
    pub signature: Signature,
    /// The meaning, on elements of exactly the signature's types.
    pub eval: fn(&[Scalar]) -> Scalar,
}

/// True if the class of the table has this element type.
pub(crate) fn class_has(class: &str, dtype: DType) -> bool {
    match class {
        "bool" => dtype == DType::Bool,
        "sint" => dtype.kind() == Kind::Int,
        "uint" => dtype.kind() == Kind::UInt,
        "int" => dtype.is_integer(),
        "float" => dtype.is_float(),
        "complex" => dtype.is_complex(),
        other => other == dtype.name(),
    }
}

/// All loops by operation, each operation's in NumPy's order.
fn loops() -> &'static [Vec<Loop>] {
    static LOOPS: OnceLock<Vec<Vec<Loop>>> = OnceLock::new();
    LOOPS.get_or_init(|| {
        use super::meaning as m;

        fn push<R: Native>(all: &mut [Vec<Loop>], op: Ufunc, ins: &[DType], eval: fn(&[Scalar]) -> Scalar) {
            all[op as usize].push(Loop { signature: Signature::new(ins, R::DTYPE), eval });
        }
        macro_rules! each {
            ([$all:ident] $op:ident ($a:ident) $o:ident $meaning:expr) => {
                push::<$o>(&mut $all, Ufunc::$op, &[<$a>::DTYPE], |s| {
                    let f: fn($a) -> $o = $meaning;
                    f(<$a>::from_scalar(s[0])).to_scalar()
                });
            };
            ([$all:ident] $op:ident ($a:ident, $b:ident) $o:ident $meaning:expr) => {
                push::<$o>(&mut $all, Ufunc::$op, &[<$a>::DTYPE, <$b>::DTYPE], |s| {
                    let f: fn($a, $b) -> $o = $meaning;
                    f(<$a>::from_scalar(s[0]), <$b>::from_scalar(s[1])).to_scalar()
                });
            };
            ([$all:ident] $op:ident ($a:ident, $b:ident, $c:ident) $o:ident $meaning:expr) => {
                push::<$o>(&mut $all, Ufunc::$op, &[<$a>::DTYPE, <$b>::DTYPE, <$c>::DTYPE], |s| {
                    let f: fn($a, $b, $c) -> $o = $meaning;
                    f(<$a>::from_scalar(s[0]), <$b>::from_scalar(s[1]), <$c>::from_scalar(s[2])).to_scalar()
                });
            };
        }
        let mut all: Vec<Vec<Loop>> = Ufunc::ALL.iter().map(|_| Vec::new()).collect();
        crate::ufunc_loops!(each, all);
        for loops in &mut all {
            loops.sort_by_key(|l| l.signature.rank());
        }
        all
    })
}

/// Codes of argument types for the lookup: the element types, then the three weak ones.
const CODES: usize = 16;

fn code(arg: ArgType) -> usize {
    match (arg.weak, arg.dtype.kind()) {
        (false, _) => arg.dtype as usize,
        (true, Kind::Complex) => 15,
        (true, Kind::Float) => 14,
        (true, _) => 13,
    }
}

fn decode(code: usize) -> ArgType {
    match code {
        13 => ArgType::weak(DType::I64),
        14 => ArgType::weak(DType::F64),
        15 => ArgType::weak(DType::C128),
        strong => ArgType::strong(DType::ALL[strong]),
    }
}

#[derive(Clone, Copy)]
enum Answer {
    Loop(Signature),
    /// NumPy raises TypeError.
    NoLoop,
    /// NumPy has a loop that we lack.
    NotOurs,
}

impl Ufunc {
    /// The loops, in NumPy's order.
    pub fn loops(self) -> &'static [Loop] {
        &loops()[self as usize]
    }

    pub fn signatures(self) -> impl Iterator<Item = Signature> {
        self.loops().iter().map(|l| l.signature)
    }

    /// The result's type for arguments of exactly these types, if there is such a loop.
    pub fn out(self, ins: &[DType]) -> Option<DType> {
        self.loops().iter().find(|l| l.signature.ins() == ins).map(|l| l.signature.out)
    }

    /// The value for elements of exactly the types of a loop.
    pub fn eval(self, args: &[Scalar]) -> Option<Scalar> {
        let matches = |l: &&Loop| l.signature.ins().iter().copied().eq(args.iter().map(|a| a.dtype));
        // Floats stand at the end, and are what is asked for most.
        self.loops().iter().rev().find(matches).map(|l| (l.eval)(args))
    }

    /// The loop that NumPy chooses. `Error::Type` is NumPy's TypeError; `Error::Unsupported` says that NumPy has a loop (for
    /// float16, say) that is not in the table.
    pub fn resolve(self, args: &[ArgType]) -> Result<&'static Signature> {
        debug_assert_eq!(args.len(), self.nin(), "{} takes {} arguments", self.name(), self.nin());
        /// Of the one operation with three arguments, by its result's type.
        static CHOICES: [OnceLock<Signature>; DType::ALL.len()] = [const { OnceLock::new() }; DType::ALL.len()];
        let answer = match *args {
            [x] => self.answer([code(x)]),
            [x, y] => self.answer([code(x), code(y)]),
            [c, x, y] if c.dtype == DType::Bool => {
                let t = result_type(&[x, y]);
                return Ok(CHOICES[t as usize].get_or_init(|| Signature::new(&[DType::Bool, t, t], t)));
            }
            _ => &Answer::NoLoop,
        };
        match answer {
            Answer::Loop(signature) => Ok(signature),
            Answer::NoLoop => Err(self.no_loop(args)),
            Answer::NotOurs => Err(Error::Unsupported(format!("{} for these types", self.name()))),
        }
    }

    /// The answer for one or two arguments, by their codes.
    fn answer<const N: usize>(self, codes: [usize; N]) -> &'static Answer {
        /// An operation's answers, each found when it is first asked for.
        type Answers = Box<[OnceLock<Answer>]>;
        static ANSWERS: [OnceLock<Answers>; Ufunc::ALL.len()] = [const { OnceLock::new() }; Ufunc::ALL.len()];
        let all = || (0..CODES.pow(N as u32)).map(|_| OnceLock::new()).collect();
        let place = codes.iter().fold(0, |place, code| place * CODES + code);
        ANSWERS[self as usize].get_or_init(all)[place].get_or_init(|| self.choose(&codes.map(decode)))
    }

    fn choose(self, args: &[ArgType]) -> Answer {
        let props = self.props();
        // Python scalars alone are arrays of their default types.
        let all_weak = args.iter().all(|a| a.weak);
        let args: Vec<ArgType> = args.iter().map(|a| ArgType { dtype: a.dtype, weak: a.weak && !all_weak }).collect();
        let exact: Vec<DType> = args.iter().map(|a| a.dtype).collect();
        if args.iter().all(|a| !a.weak)
            && let Some(out) = self.out(&exact)
        {
            return Answer::Loop(Signature::new(&exact, out));
        }
        let common = result_type(&args);
        if props.logical {
            return Answer::Loop(Signature::new(&[DType::Bool; 2], DType::Bool));
        }
        if props.compares && common == DType::F64 && exact.iter().all(|d| d.is_integer()) {
            // int64 and uint64 have no common integer type, but loops of their own.
            let wide = |d: DType| if d.kind() == Kind::Int { DType::I64 } else { DType::U64 };
            return Answer::Loop(Signature::new(&[wide(exact[0]), wide(exact[1])], DType::Bool));
        }
        if props.one_type {
            let all = vec![common; args.len()];
            return self.out(&all).map_or(Answer::NoLoop, |out| Answer::Loop(Signature::new(&all, out)));
        }
        if props.as_f64 {
            return match common.is_complex() {
                false => Answer::Loop(Signature::new(&[DType::F64; 2], DType::F64)),
                true => Answer::NotOurs,
            };
        }
        if props.ints_as_f64 && !common.is_float() && !common.is_complex() {
            return Answer::Loop(Signature::new(&[DType::F64; 2], DType::F64));
        }
        // A weak argument stands for the common type; a weak exponent is an int64, while a weak int that is to be scaled by an
        // array takes NumPy's first loop, float16.
        let scales = self.signatures().any(|s| s.ins()[0].is_float() && s.ins().last() == Some(&DType::I64));
        if scales && args[0].weak && args[0].dtype == DType::I64 {
            return Answer::NotOurs;
        }
        let stands_for = |(i, a): (usize, &ArgType)| match (a.weak, scales && i == 1) {
            (true, true) => a.dtype,
            (true, false) => common,
            (false, _) => a.dtype,
        };
        let args: Vec<DType> = args.iter().enumerate().map(stands_for).collect();
        // Bools and 8-bit integers fit into float16, which comes before our first float loop.
        let fits_f16 = |a: &DType, s: &DType| match s.is_float() {
            true => a.size() == 1,
            false => can_cast(*a, *s, Casting::Safe),
        };
        for signature in self.signatures() {
            let fits = |f: &dyn Fn(&DType, &DType) -> bool| args.iter().zip(signature.ins()).all(|(a, s)| f(a, s));
            if signature.ins()[0] == DType::F32 && fits(&fits_f16) {
                return Answer::NotOurs;
            }
            if fits(&|a, s| can_cast(*a, *s, Casting::Safe)) {
                return Answer::Loop(signature);
            }
        }
        if common.is_complex() && props.lacks_complex { Answer::NotOurs } else { Answer::NoLoop }
    }

    /// NumPy's words where it has no loop.
    fn no_loop(self, args: &[ArgType]) -> Error {
        let name = self.props().part_of.unwrap_or(self.name());
        let bools = args.iter().all(|a| a.dtype == DType::Bool);
        let message = match self {
            Ufunc::Subtract if bools => {
                "numpy boolean subtract, the `-` operator, is not supported, use the bitwise_xor, the `^` \
                 operator, or the logical_xor function instead."
                    .to_string()
            }
            Ufunc::Negative if bools => {
                "The numpy boolean negative, the `-` operator, is not supported, use the `~` operator or \
                 the logical_not function instead."
                    .to_string()
            }
            _ if self.props().one_type => {
                let types: Vec<String> =
                    args.iter().map(|a| format!("<class 'numpy.dtypes.{}'>", class_name(*a))).collect();
                let types = if types.len() == 1 { types[0].clone() } else { format!("({})", types.join(", ")) };
                format!("ufunc '{}' did not contain a loop with signature matching types {types} -> None", name)
            }
            _ => format!(
                "ufunc '{}' not supported for the input types, and the inputs could not be safely coerced to any supported \
                 types according to the casting rule ''safe''",
                name
            ),
        };
        Error::Type(message)
    }
}

/// The class of a type in NumPy's messages.
fn class_name(arg: ArgType) -> String {
    match (arg.weak, arg.dtype.kind()) {
        (true, Kind::Complex) => "_PyComplexDType".to_string(),
        (true, Kind::Float) => "_PyFloatDType".to_string(),
        (true, _) => "_PyLongDType".to_string(),
        (false, kind) => {
            let name = arg.dtype.numpy_name();
            let capitals = if kind == Kind::UInt { 2 } else { 1 };
            format!("{}{}DType", name[..capitals].to_uppercase(), &name[capitals..])
        }
    }
}
