//! Powers and roots. NumPy's `x ** 2` is `square(x)` where the exponent is a scalar.

use crate::rewrite::rule::{Rule, rule};

pub static RULES: &[Rule] = &[
    rule!("power-two-int": "(power ?x ?c)" => "(square ?x)" if integer(x) if two(c), Exact),
    rule!("power-one-int": "(power ?x ?c)" => "?x" if integer(x) if one(c), Exact),
    rule!("power-zero": "(power ?x ?c)" => "?o" if zero(c) where o = ones(x), Exact),
    rule!("power-three-int": "(power ?x ?c)" => "(multiply (square ?x) ?x)" if integer(x) if three(c), Exact),
    // Exact but for the sign of a NaN.
    rule!("power-one": "(power ?x ?c)" => "?x" if float(x) if one(c), Relaxed),
    rule!("power-two": "(power ?x ?c)" => "(square ?x)" if float(x) if two(c), Relaxed),
    rule!("power-half": "(power ?x ?c)" => "(sqrt ?x)" if half(c), Relaxed),
    rule!("power-minus-one": "(power ?x ?c)" => "(reciprocal ?x)" if float(x) if minus_one(c), Relaxed),
    rule!("sqrt-square": "(sqrt (square ?x))" => "(absolute ?x)" if float(x), Relaxed),
    rule!("square-sqrt": "(square (sqrt ?x))" => "?x" if float(x), Relaxed),
    rule!("log-exp": "(log (exp ?x))" => "?x", Relaxed),
    rule!("multiply-exps": "(multiply (exp ?x) (exp ?y))" => "(exp (add ?x ?y))", Relaxed),
];
