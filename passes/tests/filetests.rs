//! File tests: every `tests/filetests/<pass>/*.graph`, with the snapshot of what the passes leave beside it.
//!
//! A file starts with `; passes: rewrite` (names from the pipeline, in order; `; math: relaxed` may follow) and has one or more
//! graphs. For each of them the driver parses it, parses what it prints, verifies it, runs the passes, verifies what they leave, and
//! evaluates the graph and the result with the interpreter on special and ordinary values: the same bits must come out. Under
//! relaxed rules only the form is checked.
//!
//! `cargo insta review` (or `INSTA_UPDATE=always`) accepts new snapshots; read the difference first.

mod support;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use legate_jit_ir::{Graph, Plan, verify};
use legate_jit_passes::cx::Level;
use legate_jit_passes::pipeline::{State, pass};
use legate_jit_passes::rewrite::alternatives;
use legate_jit_passes::rewrite::rule::{Bits, rules};
use legate_jit_passes::{Cx, Math};
use support::witness;

fn folder() -> PathBuf {
    // (Asked when it runs: the test may have been built where the repository lay before.)
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).join("../tests/filetests")
}

/// The graphs of a file with the comments before each.
fn graphs(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current = String::new();
    for line in source.lines() {
        current.push_str(line);
        current.push('\n');
        if line.trim_end() == "}" {
            found.push(std::mem::take(&mut current));
        }
    }
    found
}

fn header<'a>(source: &'a str, key: &str) -> Option<&'a str> {
    let lines = source.lines().take_while(|l| l.starts_with(';'));
    lines.filter_map(|l| l.trim_start_matches([';', ' ']).strip_prefix(key)?.strip_prefix(':')).next().map(str::trim)
}

/// What the passes make of a file's graphs, checked on the way.
fn run(source: &str) -> String {
    let passes: Vec<_> = header(source, "passes")
        .expect("the file starts with `; passes: …`")
        .split([' ', ','])
        .filter(|name| !name.is_empty())
        .map(|name| pass(name).unwrap_or_else(|| panic!("no pass is called {name}")))
        .collect();
    let math = match header(source, "math") {
        None | Some("exact") => Math::Exact,
        Some("relaxed") => Math::Relaxed,
        Some(other) => panic!("; math: is exact or relaxed, not {other}"),
    };
    // Some notes are only made for those who look.
    let cx = Cx { math, verify: true, hook: Some(Arc::new(|_| ())), ..Cx::default() };
    let mut out = String::new();
    for text in graphs(source) {
        let graph: Graph = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
        verify::graph(&graph).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let printed = graph.to_string();
        assert_eq!(printed.parse::<Graph>().as_ref(), Ok(&graph), "what is printed parses back:\n{printed}");
        let mut state = State { graph: graph.clone(), plan: None };
        for pass in &passes {
            let notes = state.run(pass, &cx).unwrap_or_else(|e| panic!("{}: {e}\n{text}", pass.name));
            for note in notes {
                writeln!(out, "; {}: {note}", pass.name).expect("writing to a string");
            }
        }
        match state.level() {
            Level::Graph(result) => {
                verify::graph(result).unwrap_or_else(|e| panic!("{e}\n{result}"));
                assert_eq!(result.to_string().parse::<Graph>().as_ref(), Ok(result), "{result}");
                if math == Math::Exact {
                    witness::same(&graph, result);
                }
                writeln!(out, "{result}").expect("writing to a string");
            }
            Level::Plan(plan) => {
                verify::plan(plan).unwrap_or_else(|e| panic!("{e}\n{plan}"));
                assert_eq!(plan.to_string().parse::<Plan>().as_ref(), Ok(plan), "{plan}");
                if math == Math::Exact {
                    witness::same_plan(&graph, plan);
                }
                writeln!(out, "{plan}").expect("writing to a string");
            }
        }
    }
    out
}

#[test]
fn file_tests() {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("the folder of file tests") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).expect("readable").map(|e| e.expect("readable").path()));
        }
    }
    files.retain(|f| f.extension().is_some_and(|e| e == "graph"));
    files.sort();
    assert!(!files.is_empty(), "no file tests in {}", folder().display());
    for file in files {
        let source = std::fs::read_to_string(&file).expect("readable");
        println!("{}", file.display());
        let result = run(&source);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(file.parent().expect("a folder"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        let name = file.file_stem().and_then(|s| s.to_str()).expect("a plain name").to_owned();
        settings.bind(|| insta::assert_snapshot!(name, result));
    }
}

/// Every rule has a graph of its name that it changes, or at least finds an equal for, and where there is one of that name with
/// `_not`, it leaves that alone.
#[test]
fn every_rule_has_its_file_test() {
    let mut sources = String::new();
    for entry in std::fs::read_dir(folder().join("rewrite")).expect("the folder of rewrite") {
        let path = entry.expect("readable").path();
        if path.extension().is_some_and(|e| e == "graph") {
            sources.push_str(&std::fs::read_to_string(path).expect("readable"));
        }
    }
    let graphs: Vec<Graph> = graphs(&sources).iter().map(|t| t.parse().expect("checked by file_tests")).collect();
    let mut missing = Vec::new();
    for rule in rules() {
        let math = if rule.bits == Bits::Relaxed { Math::Relaxed } else { Math::Exact };
        let cx = Cx { math, ..Cx::default() };
        let name = rule.name.replace('-', "_");
        let applies = |graph: &Graph| !alternatives(graph, &cx, rule.name).is_empty();
        if !graphs.iter().any(|g| g.name == name && applies(g)) {
            missing.push(rule.name);
        }
        for graph in graphs.iter().filter(|g| g.name == format!("{name}_not")) {
            assert!(!applies(graph), "{} applies to\n{graph}", rule.name);
        }
    }
    assert!(missing.is_empty(), "rules without a graph where they apply: {missing:?}");
}
