//! Functions of f32 that are 1 from some number on: polynomials of the distance from the centres of 16 intervals, half a
//! binade each. What the centres' values lack of being f32 is nothing, as the centres were chosen for it. Below 1/4
//! the polynomial is what the argument itself lacks.

use crate::coefficients::*;
use crate::lanes32::Singles;

#[inline(always)]
fn piecewise<V: Singles, const K: usize>(x: V, highest: f32, table: &Pieces<K>) -> V {
    let a = V::all(highest).min(x.abs());
    let i = a.max(V::all(0.1875)).shr::<22>();
    let d = a - i.lookup16(&table.centre);
    let mut r = i.lookup16(&table.terms[K - 1]);
    for k in (1..K - 1).rev() {
        r = r.fma(d, i.lookup16(&table.terms[k]));
    }
    let start = V::select(a.lt(V::all(0.25)), a, i.lookup16(&table.terms[0]));
    r.fma(d, start).with_sign(x)
}

#[inline(always)]
pub fn tanh<V: Singles>(x: V) -> V {
    piecewise(x, 10.0, &TANH_F32)
}

#[inline(always)]
pub fn erf<V: Singles>(x: V) -> V {
    piecewise(x, 4.0, &ERF_F32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A subnormal coefficient, which was there once, costs every vector that meets it a hundred cycles.
    #[test]
    fn no_coefficient_is_subnormal() {
        let terms = TANH_F32.terms.iter().chain(&ERF_F32.terms).flat_map(|t| t.0);
        let centres = TANH_F32.centre.0.into_iter().chain(ERF_F32.centre.0);
        assert!(terms.chain(centres).all(|v| v == 0.0 || v.is_normal()));
    }
}
