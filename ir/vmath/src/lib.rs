//! The one vector math library that every tier uses, so that the tier that ran never changes the bits.
//!
//! It has three doors: scalar functions for the interpreter, slice functions for the prebuilt loops, and the addresses of
//! vector functions for compiled kernels. All three, at every vector width and on every machine, give the same bits for the
//! same input: each function is one text, generic over the width (`lanes`). Machines without FMA instructions run it with
//! the C library's exact `fma`, slowly.
//!
//! The functions of f64 are in `exp`, `log`, `pow`, `trig`, `inverse`, `root` and `erf`, and `fmod` of both in `remainder`; those of f32 in `short`,
//! in f32 arithmetic, and `hypot` in `single`, in f64 lanes; `vector` makes every width of them. `sin` and `cos` of f64 have the C
//! library's bits: NumPy calls it too, and programs whose arrays begin with a sine (boundary values, phases) are to have
//! NumPy's bits from the start.
//!
//! `accuracy/README.md` gives the measured errors and how to measure them again.

mod coefficients;
mod erf;
mod exp;
mod inverse;
mod isa;
mod lanes;
mod lanes32;
mod log;
mod pow;
pub mod powers;
mod remainder;
mod root;
mod short;
mod single;
mod trig;
mod vector;

pub use isa::{Isa, isa, own_folder};
pub use vector::{Slice1, Slice2, Vector, slice1, slice2, symbol, symbol_of_two};

/// The element types of the library.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Float {
    F32,
    F64,
}

/// Calls a macro with the rows `Variant name scalar_f64 scalar_f32 module_of_f64`: first those of one argument, then those of
/// two.
macro_rules! functions {
    ($then:ident) => {
        $then! {
            unary {
                Exp exp exp_f64 exp_f32 exp,
                Exp2 exp2 exp2_f64 exp2_f32 exp,
                Expm1 expm1 expm1_f64 expm1_f32 exp,
                Log log log_f64 log_f32 log,
                Log2 log2 log2_f64 log2_f32 log,
                Log10 log10 log10_f64 log10_f32 log,
                Log1p log1p log1p_f64 log1p_f32 log,
                Cbrt cbrt cbrt_f64 cbrt_f32 root,
                Sin sin sin_f64 sin_f32 trig,
                Cos cos cos_f64 cos_f32 trig,
                Tan tan tan_f64 tan_f32 trig,
                Asin asin asin_f64 asin_f32 inverse,
                Acos acos acos_f64 acos_f32 inverse,
                Atan atan atan_f64 atan_f32 inverse,
                Sinh sinh sinh_f64 sinh_f32 exp,
                Cosh cosh cosh_f64 cosh_f32 exp,
                Tanh tanh tanh_f64 tanh_f32 exp,
                Asinh asinh asinh_f64 asinh_f32 log,
                Acosh acosh acosh_f64 acosh_f32 log,
                Atanh atanh atanh_f64 atanh_f32 log,
                Erf erf erf_f64 erf_f32 erf,
            }
            binary {
                Atan2 atan2 atan2_f64 atan2_f32 inverse,
                Hypot hypot hypot_f64 hypot_f32 root,
                Pow pow pow_f64 pow_f32 pow,
                Fmod fmod fmod_f64 fmod_f32 remainder,
            }
        }
    };
}
pub(crate) use functions;

macro_rules! declare {
    (unary { $($u:ident $un:ident $u64:ident $u32:ident $um:ident,)* } binary { $($b:ident $bn:ident $b64:ident $b32:ident $bm:ident,)* }) => {
        /// A function of the library.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Func {
            $($u,)*
            $($b,)*
        }

        impl Func {
            pub const ALL: &'static [Func] = &[$(Func::$u,)* $(Func::$b,)*];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Func::$u => stringify!($un),)*
                    $(Func::$b => stringify!($bn),)*
                }
            }

            /// The number of arguments.
            pub const fn nin(self) -> usize {
                match self {
                    $(Func::$u => 1,)*
                    $(Func::$b => 2,)*
                }
            }
        }

        $(
            pub fn $u64(x: f64) -> f64 {
                vector::one1_f64::<{ Func::$u as usize }>(x)
            }

            pub fn $u32(x: f32) -> f32 {
                vector::one1_f32::<{ Func::$u as usize }>(x)
            }
        )*
        $(
            pub fn $b64(x: f64, y: f64) -> f64 {
                vector::one2_f64::<{ Func::$b as usize }>(x, y)
            }

            pub fn $b32(x: f32, y: f32) -> f32 {
                vector::one2_f32::<{ Func::$b as usize }>(x, y)
            }
        )*
    };
}
functions!(declare);

impl Func {
    pub fn parse(name: &str) -> Option<Func> {
        Func::ALL.iter().copied().find(|f| f.name() == name)
    }
}
