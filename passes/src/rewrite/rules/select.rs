//! Choices by a condition.

use crate::rewrite::rule::{Rule, rule};

pub static RULES: &[Rule] = &[
    rule!("where-same": "(where ?c ?x ?x)" => "?x", Exact),
    rule!("where-true": "(where ?c ?x ?y)" => "?x" if is_true(c), Exact),
    rule!("where-false": "(where ?c ?x ?y)" => "?y" if is_false(c), Exact),
    rule!("where-not": "(where (logical_not ?c) ?x ?y)" => "(where ?c ?y ?x)" if boolean(c), Exact),
    rule!("where-bools": "(where ?c ?t ?f)" => "?c" if is_true(t) if is_false(f), Exact),
    rule!("where-bools-reversed": "(where ?c ?f ?t)" => "(logical_not ?c)" if is_true(t) if is_false(f), Exact),
    rule!("where-where-first": "(where ?c (where ?c ?x ?y) ?z)" => "(where ?c ?x ?z)", Exact),
    rule!("where-where-second": "(where ?c ?x (where ?c ?y ?z))" => "(where ?c ?x ?z)", Exact),
    rule!("where-greater-int": "(where (greater ?x ?y) ?x ?y)" => "(maximum ?x ?y)" if discrete(x), Exact),
    rule!("where-less-int": "(where (less ?x ?y) ?x ?y)" => "(minimum ?x ?y)" if discrete(x), Exact),
    rule!("where-of-map1": "(where ?c (map1 ?x) (map1 ?y))" => "(map1 (where ?c ?x ?y))", Exact),
];
