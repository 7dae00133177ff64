//! What a rewrite rule is, and the table of compiled rules.
//!
//! How to add a rule: one line in the family of [`super::rules`] that it belongs to,
//!
//! ```text
//! rule!("mul-one": "(multiply ?x ?c)" => "?x" if real(x) if one(c), Exact),
//! rule!("view-of-view": "(view (view ?x ?a) ?b)" => "(view ?x ?c)" where c = compose(x, a, b), Exact),
//! ```
//!
//! and two graphs in `tests/filetests/rewrite/`: one named as the rule, where it fires, and one with `.not` after the name, where
//! it must not. `if` asks the functions of [`super::rules::when`], `where` those of [`super::rules::make`], which may decline. The words `map1`,
//! `map2` and `map3` stand for every elementwise operation of so many arguments, the same one on both sides. A rule is
//! `Exact` only if both sides have the same bits for every input, the sign of a NaN included; what is left open is which of
//! two NaNs an operation returns, and whether a NaN is signalling. Point rules towards what is cheaper.

use std::sync::{LazyLock, OnceLock};

use egg::{Id, Pattern, PatternAst, Subst, Var};
use legate_jit_ir::Ufunc;

use super::analysis::EGraph;
use super::language::{KINDS, Term};
use super::rules::FAMILIES;

/// What a rule keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bits {
    /// The same bits for every input.
    Exact,
    /// The same value in real arithmetic; only under `Math::Relaxed`.
    Relaxed,
}

/// A rule as it is written down.
pub struct Rule {
    pub name: &'static str,
    pub lhs: &'static str,
    pub rhs: &'static str,
    pub bits: Bits,
    /// Checks the conditions and binds the computed variables; false where the rule does not apply.
    pub bind: fn(&mut EGraph, &mut Bound) -> bool,
}

macro_rules! rule {
    ($name:literal : $lhs:literal => $rhs:literal
        $(if $test:ident($($t:ident),*))* $(where $new:ident = $make:ident($($m:ident),*))*, $bits:ident) => {
        $crate::rewrite::rule::Rule {
            name: $name,
            lhs: $lhs,
            rhs: $rhs,
            bits: $crate::rewrite::rule::Bits::$bits,
            bind: |_g, _b| {
                $(if !$crate::rewrite::rules::when::$test(_g, $(_b.get(stringify!($t))),*) { return false; })*
                $(
                    let Some(id) = $crate::rewrite::rules::make::$make(_g, $(_b.get(stringify!($m))),*) else { return false };
                    _b.set(stringify!($new), id);
                )*
                true
            },
        }
    };
}
pub(crate) use rule;

/// The variables of one match.
pub struct Bound<'a> {
    names: &'a [(String, Var)],
    pub subst: Subst,
}

impl Bound<'_> {
    fn var(&self, name: &str) -> Var {
        match self.names.iter().find(|(n, _)| n == name) {
            Some(&(_, var)) => var,
            None => panic!("a rule speaks of ?{name}, which it does not have"),
        }
    }

    pub fn get(&self, name: &str) -> Id {
        self.subst[self.var(name)]
    }

    pub fn set(&mut self, name: &str, id: Id) {
        self.subst.insert(self.var(name), id);
    }
}

/// A rule ready to run, for one operation where it is written for many. Patterns are compiled when a graph first has the
/// operations that the left side needs.
pub struct Slot {
    pub rule: &'static Rule,
    ufunc: Option<Ufunc>,
    /// The kinds of heads on the left side, as bits.
    pub needs: u128,
    compiled: OnceLock<Compiled>,
}

pub struct Compiled {
    pub lhs: Pattern<Term>,
    pub rhs: PatternAst<Term>,
    names: Vec<(String, Var)>,
}

const _: () = assert!(KINDS <= 128, "the kinds no longer fit the bits of Slot::needs");

impl Slot {
    fn new(rule: &'static Rule, ufunc: Option<Ufunc>) -> Slot {
        let mut needs = 0;
        for word in rule.lhs.split('(').skip(1) {
            let word = word.split([' ', ')']).next().unwrap_or_default();
            needs |= match (word, ufunc) {
                ("map1" | "map2" | "map3", Some(ufunc)) => 1 << kind_of(ufunc.name()),
                _ => 1u128 << kind_of(word),
            };
        }
        Slot { rule, ufunc, needs, compiled: OnceLock::new() }
    }

    fn text(&self, pattern: &str) -> String {
        match self.ufunc {
            Some(ufunc) => pattern.replace(&format!("map{}", ufunc.nin()), ufunc.name()),
            None => pattern.to_owned(),
        }
    }

    pub fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| {
            let parse = |text: &str| -> PatternAst<Term> {
                self.text(text).parse().unwrap_or_else(|e| panic!("rule {}: {e}", self.rule.name))
            };
            let (lhs, rhs) = (parse(self.rule.lhs), parse(self.rule.rhs));
            let mut names = Vec::new();
            for node in lhs.iter().chain(rhs.iter()) {
                if let egg::ENodeOrVar::Var(var) = node
                    && names.iter().all(|(_, v)| v != var)
                {
                    names.push((var.to_string()[1..].to_owned(), *var));
                }
            }
            Compiled { lhs: Pattern::new(lhs), rhs, names }
        })
    }

    /// Unites the class with the right side under one match; false where conditions or types forbid it or nothing changes.
    pub fn apply(&self, egraph: &mut EGraph, class: Id, subst: &Subst) -> bool {
        let compiled = self.compiled();
        let mut bound = Bound { names: &compiled.names, subst: subst.clone() };
        if !(self.rule.bind)(egraph, &mut bound) {
            return false;
        }
        let new = egraph.add_instantiation(&compiled.rhs, &bound.subst);
        let fits = match (egraph[new].data.ty(), egraph[class].data.ty()) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        };
        fits && egraph.union(class, new)
    }
}

fn kind_of(word: &str) -> u8 {
    // The structural kinds stand in the order of `Head::kind`.
    const STRUCTURAL: [&str; 7] = ["", "view", "reshape", "cast", "update", "reduce", "opaque"];
    if let Some(k) = STRUCTURAL.iter().position(|s| *s == word) {
        return k as u8;
    }
    static NAMES: LazyLock<std::collections::HashMap<&str, u8>> =
        LazyLock::new(|| Ufunc::ALL.iter().map(|u| (u.name(), super::language::Head::Map(*u).kind())).collect());
    *NAMES.get(word).unwrap_or_else(|| panic!("a rule names {word}, which is no operation"))
}

/// All rules, in the order of their families.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.iter().flat_map(|f| f.rules)
}

/// Every rule once for each operation that it is written for.
pub static SLOTS: LazyLock<Vec<Slot>> = LazyLock::new(|| {
    let mut slots = Vec::new();
    for rule in rules() {
        match (1..=3).find(|n| rule.lhs.contains(&format!("map{n}"))) {
            Some(n) => {
                let of_arity = Ufunc::ALL.iter().filter(|u| u.nin() == n);
                slots.extend(of_arity.map(|&u| Slot::new(rule, Some(u))));
            }
            None => slots.push(Slot::new(rule, None)),
        }
    }
    slots
});

/// The kind's bit, as in [`Slot::needs`].
pub fn bit(kind: u8) -> u128 {
    1 << kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles_and_names_are_unique() {
        let mut names: Vec<_> = rules().map(|r| r.name).collect();
        SLOTS.iter().for_each(|s| drop(s.compiled().lhs.vars()));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
