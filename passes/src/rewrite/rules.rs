//! The rules, by family, and the words that their conditions and computed parts are made of.

pub mod algebra;
pub mod cast;
pub mod logic;
pub mod make;
pub mod power;
pub mod reduce;
pub mod select;
pub mod view;
pub mod when;

use super::rule::Rule;

pub struct Family {
    pub name: &'static str,
    pub rules: &'static [Rule],
}

pub static FAMILIES: &[Family] = &[
    Family { name: "algebra", rules: algebra::RULES },
    Family { name: "logic", rules: logic::RULES },
    Family { name: "cast", rules: cast::RULES },
    Family { name: "view", rules: view::RULES },
    Family { name: "reduce", rules: reduce::RULES },
    Family { name: "select", rules: select::RULES },
    Family { name: "power", rules: power::RULES },
];
