//! Every rule on instances of its left side: what it claims to be equal is evaluated with the interpreter, on all pairs of
//! special values (NaN, infinities, zeros, the largest and the smallest values, the ends of the integers' ranges). Exact rules
//! must keep every bit; relaxed ones must agree on ordinary numbers up to rounding.

mod support;

use std::collections::BTreeMap;

use legate_jit_ir::arbitrary::{Choices, bytes, special};
use legate_jit_ir::{DType, Graph, verify};
use legate_jit_passes::rewrite::alternatives;
use legate_jit_passes::rewrite::rule::{Bits, SLOTS, Slot, rules};
use legate_jit_passes::{Cx, Math};
use support::instance::{instance, instance_with};
use support::witness;

/// Instances on which a rule must have applied, and attempts after which it counts as dead.
const ENOUGH: u32 = 4;
const ATTEMPTS: u64 = 3000;

#[test]
fn both_sides_of_every_rule_are_equal() {
    let mut applied: BTreeMap<&str, u32> = rules().map(|r| (r.name, 0)).collect();
    let mut wrong = BTreeMap::new();
    let mut check = |slot: &Slot, graph: &Graph| -> bool {
        let rule = slot.rule;
        let relaxed = rule.bits == Bits::Relaxed;
        let cx = Cx { math: if relaxed { Math::Relaxed } else { Math::Exact }, verify: true, ..Cx::default() };
        verify::graph(graph).unwrap_or_else(|e| panic!("{}: {e}\n{graph}", rule.name));
        let others = alternatives(graph, &cx, rule.name);
        for other in &others {
            verify::graph(other).unwrap_or_else(|e| panic!("{}: {e}\n{graph}\n{other}", rule.name));
            let difference = if relaxed { witness::apart(graph, other) } else { witness::compare(graph, other) };
            if let Some(difference) = difference {
                wrong.entry(rule.name).or_insert(format!("{}: {difference}\n{graph}\n{other}", rule.name));
            }
        }
        *applied.entry(rule.name).or_default() += !others.is_empty() as u32;
        !others.is_empty()
    };
    for (s, slot) in SLOTS.iter().enumerate() {
        let lhs = slot.rule.lhs;
        // Every special value as the constant that the rule may ask for.
        if lhs.contains("?c") && !lhs.contains("map") {
            for constant in DType::ALL.into_iter().flat_map(special) {
                if let Some(graph) = instance_with(slot, &mut Choices::new(&[3]), constant) {
                    check(slot, &graph);
                }
            }
        }
        // A rule that is written for many operations has many slots; each gets a share. Few instances of relaxed rules are in
        // double precision with ordinary constants.
        let (enough, attempts) = match (lhs.contains("map"), slot.rule.bits) {
            (true, _) => (2, ATTEMPTS / 20),
            (false, Bits::Exact) => (ENOUGH, ATTEMPTS),
            (false, Bits::Relaxed) => (10 * ENOUGH, ATTEMPTS),
        };
        let mut here = 0;
        for attempt in 0..attempts {
            let random = bytes((s as u64) << 32 | attempt, 64);
            let Some(graph) = instance(slot, &mut Choices::new(&random)) else { continue };
            here += check(slot, &graph) as u32;
            if here == enough {
                break;
            }
        }
    }
    let dead: Vec<_> = applied.iter().filter(|(_, n)| **n == 0).map(|(name, _)| name).collect();
    let wrong: Vec<_> = wrong.into_values().collect();
    assert!(wrong.is_empty(), "{} rules change values:\n{}", wrong.len(), wrong.join("\n"));
    assert!(dead.is_empty(), "rules that never applied: {dead:?}");
}
