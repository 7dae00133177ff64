//! The f32 functions that are computed in f32 arithmetic, which has twice as many lanes as f64: all where f32's range and a few
//! exact sums are enough. Rare arguments that need more are computed one by one by [`crate::single`].

mod area;
mod exp;
mod inverse;
mod log;
mod pieces;
mod pow;
mod root;
mod trig;

pub use area::{acosh, asinh, atanh};
pub use exp::{cosh, exp, exp2, expm1, sinh};
pub use inverse::{acos, asin, atan, atan2};
pub use log::{log, log1p, log2, log10};
pub use pieces::{erf, tanh};
pub use pow::{general as other_power, pow};
pub use root::cbrt;
pub use trig::{cos, sin, tan};
