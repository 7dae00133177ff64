//! Where SLEEF's functions leave the range in which they are right, and what takes their place there.
//!
//! A lane for which `unusual` holds is computed by `mend` instead; `unusual` is a few compares, which vectorise. As it looks
//! only at the lane's own arguments, every vector width gives the same bits.

use crate::Func;

/// True where some arguments of the function need mending at all.
pub const fn any(_func: Func) -> bool {
    false
}

#[inline(always)]
pub fn unusual_f64(_func: Func, _x: f64, _y: f64) -> bool {
    false
}

#[inline(always)]
pub fn unusual_f32(_func: Func, _x: f32, _y: f32) -> bool {
    false
}

#[cold]
pub fn mend_f64(_func: Func, _x: f64, _y: f64, r: f64) -> f64 {
    r
}

#[cold]
pub fn mend_f32(_func: Func, _x: f32, _y: f32, r: f32) -> f32 {
    r
}
