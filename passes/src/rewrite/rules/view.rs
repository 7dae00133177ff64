//! Views and reshapes: composed, pushed below the operations where that leaves less to compute, and lifted above them where
//! they repeat elements. What a view reads of an update is settled by `canonicalize`, which knows who else needs the update.

use crate::rewrite::rule::{Rule, rule};

pub static RULES: &[Rule] = &[
    rule!("view-whole": "(view ?x ?v)" => "?x" if whole(x, v), Exact),
    rule!("view-of-view": "(view (view ?x ?a) ?b)" => "(view ?x ?c)" where c = compose(x, a, b), Exact),
    rule!("view-of-map1": "(view (map1 ?x) ?v)" => "(map1 (view ?x ?v))" if narrows(x, v), Exact),
    rule!("view-of-map2": "(view (map2 ?x ?y) ?v)" => "(map2 (view ?x ?v) (view ?y ?v))" if narrows(x, v), Exact),
    rule!("view-of-map3": "(view (map3 ?x ?y ?z) ?v)" => "(map3 (view ?x ?v) (view ?y ?v) (view ?z ?v))" if narrows(x, v), Exact),
    rule!("view-of-cast": "(view (cast ?x ?d) ?v)" => "(cast (view ?x ?v) ?d)" if narrows(x, v), Exact),
    rule!("spread-before-map1": "(map1 (view ?x ?v))" => "(view (map1 ?x) ?v)" if spreads(x, v), Exact),
    rule!("spread-before-map2": "(map2 (view ?x ?v) (view ?y ?v))" => "(view (map2 ?x ?y) ?v)" if spreads(x, v), Exact),
    rule!("spread-before-map2-constant": "(map2 (view ?x ?v) ?c)" => "(view (map2 ?x ?d) ?v)" if known(c) if spreads(x, v) where d = like(c, x), Exact),
    rule!("spread-before-constant-map2": "(map2 ?c (view ?x ?v))" => "(view (map2 ?d ?x) ?v)" if known(c) if spreads(x, v) where d = like(c, x), Exact),
    rule!("spread-before-cast": "(cast (view ?x ?v) ?d)" => "(view (cast ?x ?d) ?v)" if spreads(x, v), Exact),
    rule!("view-of-reduce": "(view (reduce ?x ?r) ?v)" => "(reduce (view ?x ?w) ?s)" if narrows_reduced(x, r, v) where w = view_first(x, r, v) where s = reduce_then(x, r, v), Exact),
    rule!("reshape-same": "(reshape ?x ?s)" => "?x" if has_shape(x, s), Exact),
    rule!("reshape-of-reshape": "(reshape (reshape ?x ?a) ?b)" => "(reshape ?x ?b)", Exact),
    rule!("reshape-of-map1": "(reshape (map1 ?x) ?s)" => "(map1 (reshape ?x ?s))", Exact),
    rule!("reshape-of-map2": "(reshape (map2 ?x ?y) ?s)" => "(map2 (reshape ?x ?s) (reshape ?y ?s))", Exact),
    rule!("reshape-of-map3": "(reshape (map3 ?x ?y ?z) ?s)" => "(map3 (reshape ?x ?s) (reshape ?y ?s) (reshape ?z ?s))", Exact),
    rule!("reshape-of-cast": "(reshape (cast ?x ?d) ?s)" => "(cast (reshape ?x ?s) ?d)", Exact),
];
