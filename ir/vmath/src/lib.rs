//! The one vector math library that every tier uses, so that the tier that ran never changes the bits.
//!
//! It is SLEEF (its 1.0-ulp variants) behind three doors: scalar functions for the interpreter, slice functions for the
//! prebuilt loops, and the addresses of vector functions for compiled kernels. All three, at every vector width, give the
//! same bits for the same input: they call SLEEF's deterministic variants, and where SLEEF leaves the range in which it
//! keeps its promise, [`fix`] mends the lane in the same way everywhere. Machines without AVX2 and FMA use the variants
//! without FMA; those agree with one another too, but not with the FMA ones.
//!
//! The library `libsleef.so.3` is opened at run time: the one that lies beside this module's own file if there is one (a
//! wheel carries it there), else the system's. [`load`] says early, and in words, if it is missing.
//!
//! `accuracy/README.md` gives the measured errors and how to measure them again.

mod fix;
mod isa;
mod sleef;
mod vector;

pub use isa::{Isa, fuses, isa};
pub use sleef::{load, own_folder};
pub use vector::{Slice1, Slice2, Vector, slice1, slice2, symbol};

/// The element types of the library.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Float {
    F32,
    F64,
}

/// Calls a macro with the rows `Variant name scalar_f64 scalar_f32 sleef_accuracy`: first those of one argument, then those of two.
macro_rules! functions {
    ($then:ident) => {
        $then! {
            unary {
                Exp exp exp_f64 exp_f32 "u10",
                Exp2 exp2 exp2_f64 exp2_f32 "u10",
                Expm1 expm1 expm1_f64 expm1_f32 "u10",
                Log log log_f64 log_f32 "u10",
                Log2 log2 log2_f64 log2_f32 "u10",
                Log10 log10 log10_f64 log10_f32 "u10",
                Log1p log1p log1p_f64 log1p_f32 "u10",
                Cbrt cbrt cbrt_f64 cbrt_f32 "u10",
                Sin sin sin_f64 sin_f32 "u10",
                Cos cos cos_f64 cos_f32 "u10",
                Tan tan tan_f64 tan_f32 "u10",
                Asin asin asin_f64 asin_f32 "u10",
                Acos acos acos_f64 acos_f32 "u10",
                Atan atan atan_f64 atan_f32 "u10",
                Sinh sinh sinh_f64 sinh_f32 "u10",
                Cosh cosh cosh_f64 cosh_f32 "u10",
                Tanh tanh tanh_f64 tanh_f32 "u10",
                Asinh asinh asinh_f64 asinh_f32 "u10",
                Acosh acosh acosh_f64 acosh_f32 "u10",
                Atanh atanh atanh_f64 atanh_f32 "u10",
                Erf erf erf_f64 erf_f32 "u10",
            }
            binary {
                Atan2 atan2 atan2_f64 atan2_f32 "u10",
                Hypot hypot hypot_f64 hypot_f32 "u05",
                Pow pow pow_f64 pow_f32 "u10",
            }
        }
    };
}
pub(crate) use functions;

macro_rules! declare {
    (unary { $($u:ident $un:ident $u64:ident $u32:ident $ua:literal,)* } binary { $($b:ident $bn:ident $b64:ident $b32:ident $ba:literal,)* }) => {
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

            /// SLEEF's name for the variant that is used.
            pub(crate) const fn accuracy(self) -> &'static str {
                match self {
                    $(Func::$u => $ua,)*
                    $(Func::$b => $ba,)*
                }
            }
        }

        $(
            pub fn $u64(x: f64) -> f64 {
                vector::scalar1_f64(Func::$u, x)
            }

            pub fn $u32(x: f32) -> f32 {
                vector::scalar1_f32(Func::$u, x)
            }
        )*
        $(
            pub fn $b64(x: f64, y: f64) -> f64 {
                vector::scalar2_f64(Func::$b, x, y)
            }

            pub fn $b32(x: f32, y: f32) -> f32 {
                vector::scalar2_f32(Func::$b, x, y)
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
