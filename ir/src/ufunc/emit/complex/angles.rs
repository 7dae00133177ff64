//! See the meanings' file of this name.

use super::analytic::of_type;
use super::*;
use crate::ufunc::meaning::angles::{FAR, LEVEL, SHIFT};

fn cosh<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    e.vmath(Func::Cosh, t, &[x])
}

fn sinh<E: Emit>(e: &mut E, t: DType, x: E::V) -> E::V {
    e.vmath(Func::Sinh, t, &[x])
}

/// sin a and cos a.
fn turn<E: Emit>(e: &mut E, t: DType, a: E::V) -> (E::V, E::V) {
    (e.vmath(Func::Sin, t, &[a]), e.vmath(Func::Cos, t, &[a]))
}

fn grown<E: Emit>(e: &mut E, t: DType, h: E::V) -> (E::V, E::V, E::V) {
    let k = of_type(t);
    let power = match t {
        DType::F32 => legate_jit_vmath::exp_f32(SHIFT[k] as f32) as f64,
        _ => legate_jit_vmath::exp_f64(SHIFT[k]),
    };
    let (zero, one, far) = (e.float(t, 0.0), e.float(t, 1.0), e.float(t, FAR[k]));
    let (shift, power) = (e.float(t, SHIFT[k]), e.float(t, power));
    let length = e.op1("math.absf", h);
    let is_far = e.cmpf(CmpF::Ogt, length, far);
    let (shift, scale) = (e.select(is_far, shift, zero), e.select(is_far, power, one));
    let near = subf(e, length, shift);
    let near = e.op2("math.copysign", near, h);
    (cosh(e, t, near), sinh(e, t, near), scale)
}

fn scaled<E: Emit>(e: &mut E, x: E::V, y: E::V, scale: E::V) -> E::V {
    let product = mulf(e, x, y);
    mulf(e, product, scale)
}

/// Whether h is zero, and whether it is infinite.
fn ends<E: Emit>(e: &mut E, t: DType, h: E::V) -> (E::V, E::V) {
    let zero = e.float(t, 0.0);
    (e.cmpf(CmpF::Oeq, h, zero), float::isinf(e, t, h))
}

/// `yes` where a is zero.
fn if_flat<E: Emit>(e: &mut E, t: DType, a: E::V, yes: E::V, no: E::V) -> E::V {
    let zero = e.float(t, 0.0);
    let flat = e.cmpf(CmpF::Oeq, a, zero);
    e.select(flat, yes, no)
}

fn sine<E: Emit>(e: &mut E, t: DType, h: E::V, a: E::V) -> (E::V, E::V) {
    let (cosh, sinh, scale) = grown(e, t, h);
    let (sin, cos) = turn(e, t, a);
    let (along, across) = (scaled(e, sinh, cos, scale), scaled(e, cosh, sin, scale));
    let (is_zero, is_inf) = ends(e, t, h);
    let inf = e.float(t, f64::INFINITY);
    let unturned = e.select(is_zero, h, along);
    let unturned = e.select(is_inf, inf, unturned);
    let finite = float::isfinite(e, t, a);
    (e.select(finite, along, unturned), if_flat(e, t, a, a, across))
}

fn cosine<E: Emit>(e: &mut E, t: DType, h: E::V, a: E::V) -> (E::V, E::V) {
    let (cosh, sinh, scale) = grown(e, t, h);
    let (sin, cos) = turn(e, t, a);
    let (along, across) = (scaled(e, cosh, cos, scale), scaled(e, sinh, sin, scale));
    let (zero, one, inf) = (e.float(t, 0.0), e.float(t, 1.0), e.float(t, f64::INFINITY));
    let (is_zero, is_inf) = ends(e, t, h);
    let finite = float::isfinite(e, t, a);
    let (unturned, still) = (e.select(is_inf, inf, along), e.select(is_zero, zero, across));
    let (along, across) = (e.select(finite, along, unturned), e.select(finite, across, still));
    let sign = e.op2("math.copysign", one, h);
    let flat = mulf(e, a, sign);
    let nan = float::isnan(e, t, h);
    let flat = e.select(nan, a, flat);
    (along, if_flat(e, t, a, flat, across))
}

fn tangent<E: Emit>(e: &mut E, t: DType, h: E::V, a: E::V) -> (E::V, E::V) {
    let (level, zero, one) = (e.float(t, LEVEL[of_type(t)]), e.float(t, 0.0), e.float(t, 1.0));
    let size = e.op1("math.absf", h);
    let above = e.cmpf(CmpF::Ogt, size, level);
    let length = e.select(above, level, size);
    let beyond = subf(e, size, length);
    let near = e.op2("math.copysign", length, h);
    let twice = addf(e, beyond, beyond);
    let less = e.op1("arith.negf", twice);
    let shrunk = e.vmath(Func::Exp, t, &[less]);
    let sinh = sinh(e, t, near);
    let (sin, cos) = turn(e, t, a);
    let square = mulf(e, cos, cos);
    let under = e.mul_add(sinh, sinh, square);
    let cosh = cosh(e, t, near);
    let (over, other) = (mulf(e, sinh, cosh), mulf(e, sin, cos));
    let (along, other) = (divf(e, over, under), divf(e, other, under));
    let across = mulf(e, other, shrunk);
    let across = if_flat(e, t, a, a, across);
    let (is_zero, is_inf) = ends(e, t, h);
    let (whole, none) = (e.op2("math.copysign", one, h), e.op2("math.copysign", zero, a));
    let unturned = e.select(is_zero, h, along);
    let (unturned, still) = (e.select(is_inf, whole, unturned), e.select(is_inf, none, across));
    let finite = float::isfinite(e, t, a);
    (e.select(finite, along, unturned), e.select(finite, across, still))
}

pub fn sinh_of<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let (h, a) = x.pair();
    let (re, im) = sine(e, t.real(), h, a);
    Val::Pair(re, im)
}

pub fn cosh_of<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let (h, a) = x.pair();
    let (re, im) = cosine(e, t.real(), h, a);
    Val::Pair(re, im)
}

pub fn tanh_of<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let (h, a) = x.pair();
    let (re, im) = tangent(e, t.real(), h, a);
    Val::Pair(re, im)
}

pub fn sin_of<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let (a, h) = x.pair();
    let (im, re) = sine(e, t.real(), h, a);
    Val::Pair(re, im)
}

pub fn cos_of<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let (a, h) = x.pair();
    let h = e.op1("arith.negf", h);
    let (re, im) = cosine(e, t.real(), h, a);
    Val::Pair(re, im)
}

pub fn tan_of<E: Emit>(e: &mut E, t: DType, x: C<E>) -> C<E> {
    let (a, h) = x.pair();
    let (im, re) = tangent(e, t.real(), h, a);
    Val::Pair(re, im)
}
