//! Conversions of the element type.

use crate::rewrite::rule::{Rule, rule};

pub static RULES: &[Rule] = &[
    rule!("cast-same": "(cast ?x ?d)" => "?x" if has_dtype(x, d), Exact),
    rule!("cast-of-cast": "(cast (cast ?x ?a) ?b)" => "(cast ?x ?b)" if passes_through(x, a, b), Exact),
    rule!("where-of-casts": "(where ?c (cast ?x ?d) (cast ?y ?d))" => "(cast (where ?c ?x ?y) ?d)", Exact),
    rule!("negative-of-not": "(logical_not (cast ?x ?d))" => "(logical_not ?x)" if boolean(x), Exact),
    rule!("and-of-casts": "(logical_and (cast ?x ?d) (cast ?y ?d))" => "(logical_and ?x ?y)" if boolean(x) if boolean(y), Exact),
    rule!("or-of-casts": "(logical_or (cast ?x ?d) (cast ?y ?d))" => "(logical_or ?x ?y)" if boolean(x) if boolean(y), Exact),
];
