//! Reductions. A float sum's bits depend on its tree, so that sums of floats are only touched under relaxed rules.

use crate::rewrite::rule::{Rule, rule};

pub static RULES: &[Rule] = &[
    rule!("reduce-of-reduce-int": "(reduce (reduce ?x ?r) ?s)" => "(reduce ?x ?t)" if discrete(x) if orderless(r) where t = both(x, r, s), Exact),
    rule!("reduce-of-repeats": "(reduce (view ?x ?v) ?r)" => "(view ?x ?u)" if idempotent(r) where u = unrepeated(x, v, r), Exact),
    rule!("reduce-of-reordered-int": "(reduce (view ?x ?v) ?r)" => "(reduce ?x ?s)" if discrete(x) if orderless(r) where s = whole(x, v, r), Exact),
    rule!("sum-of-repeats-int": "(reduce (view ?x ?v) ?r)" => "(multiply (view ?x ?u) ?n)" if integer(x) if sums(r) where u = unrepeated(x, v, r) where n = count(x, v, r), Exact),
    rule!("sum-of-negative-int": "(reduce (negative ?x) ?r)" => "(negative (reduce ?x ?r))" if integer(x) if sums(r), Exact),
    rule!("sum-of-scaled-int": "(reduce (multiply ?x ?c) ?r)" => "(multiply (reduce ?x ?r) ?d)" if integer(x) if sums(r) where d = like_reduced(c, x, r), Exact),
    rule!("sum-of-scaled-first-int": "(reduce (multiply ?c ?x) ?r)" => "(multiply (reduce ?x ?r) ?d)" if integer(x) if sums(r) where d = like_reduced(c, x, r), Exact),
    rule!("any-of-not": "(reduce (logical_not ?x) ?r)" => "(logical_not (reduce ?x ?s))" if boolean(x) if any(r) where s = all(r), Exact),
    rule!("all-of-not": "(reduce (logical_not ?x) ?r)" => "(logical_not (reduce ?x ?s))" if boolean(x) if all(r) where s = any(r), Exact),
    rule!("reduce-of-reduce": "(reduce (reduce ?x ?r) ?s)" => "(reduce ?x ?t)" if inexact(x) if orderless(r) where t = both(x, r, s), Relaxed),
    rule!("sum-of-negative": "(reduce (negative ?x) ?r)" => "(negative (reduce ?x ?r))" if inexact(x) if sums(r), Relaxed),
    rule!("sum-of-scaled": "(reduce (multiply ?x ?c) ?r)" => "(multiply (reduce ?x ?r) ?d)" if inexact(x) if sums(r) where d = like_reduced(c, x, r), Relaxed),
    rule!("sum-of-scaled-first": "(reduce (multiply ?c ?x) ?r)" => "(multiply (reduce ?x ?r) ?d)" if inexact(x) if sums(r) where d = like_reduced(c, x, r), Relaxed),
];
