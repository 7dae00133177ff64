//! Every rule on instances of its left side: what it claims to be equal is evaluated with the interpreter, on all pairs of
//! special values (NaN, infinities, zeros, the largest and the smallest values, the ends of the integers' ranges). Exact rules
//! must keep every bit; relaxed ones are only tried, so that their patterns and types are known to be sound.

mod support;

use std::collections::BTreeMap;

use legate_jit_ir::arbitrary::{Choices, bytes};
use legate_jit_ir::verify;
use legate_jit_passes::rewrite::alternatives;
use legate_jit_passes::rewrite::rule::{Bits, SLOTS, rules};
use legate_jit_passes::{Cx, Math};
use support::instance::instance;
use support::witness;

/// Instances on which a rule must have applied, and attempts after which it counts as dead.
const ENOUGH: u32 = 4;
const ATTEMPTS: u64 = 3000;

#[test]
fn both_sides_of_every_rule_are_equal() {
    let mut applied: BTreeMap<&str, u32> = rules().map(|r| (r.name, 0)).collect();
    let mut wrong = BTreeMap::new();
    for (s, slot) in SLOTS.iter().enumerate() {
        let rule = slot.rule;
        let relaxed = rule.bits == Bits::Relaxed;
        let cx = Cx { math: if relaxed { Math::Relaxed } else { Math::Exact }, verify: true, ..Cx::default() };
        // A rule that is written for many operations has many slots; each gets a share.
        let (enough, attempts) = if rule.lhs.contains("map") { (2, ATTEMPTS / 20) } else { (ENOUGH, ATTEMPTS) };
        let mut here = 0;
        for attempt in 0..attempts {
            let random = bytes((s as u64) << 32 | attempt, 64);
            let Some(graph) = instance(slot, &mut Choices::new(&random)) else { continue };
            verify::graph(&graph).unwrap_or_else(|e| panic!("{}: {e}\n{graph}", rule.name));
            let others = alternatives(&graph, &cx, rule.name);
            if others.is_empty() {
                continue;
            }
            for other in others {
                verify::graph(&other).unwrap_or_else(|e| panic!("{}: {e}\n{graph}\n{other}", rule.name));
                if let Some(difference) = witness::compare(&graph, &other)
                    && !relaxed
                {
                    wrong.entry(rule.name).or_insert(format!("{}: {difference}\n{graph}\n{other}", rule.name));
                }
            }
            here += 1;
            if here == enough {
                break;
            }
        }
        *applied.entry(rule.name).or_default() += here;
    }
    let dead: Vec<_> = applied.iter().filter(|(_, n)| **n == 0).map(|(name, _)| name).collect();
    let wrong: Vec<_> = wrong.into_values().collect();
    assert!(wrong.is_empty(), "{} rules change bits:\n{}", wrong.len(), wrong.join("\n"));
    assert!(dead.is_empty(), "rules that never applied: {dead:?}");
}
