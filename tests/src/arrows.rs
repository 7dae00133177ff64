//! Dependencies point down: frontend-python → runtime → {passes, codegen} → ir → ir/vmath. Read from the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What each crate may depend on, of the workspace's crates and of those that belong to one layer only.
const ALLOWED: &[(&str, &str, &[&str])] = &[
    ("ir/vmath", "legate-jit-vmath", &[]),
    ("ir", "legate-jit-ir", &["legate-jit-vmath"]),
    ("passes", "legate-jit-passes", &["legate-jit-ir", "egg"]),
    ("codegen", "legate-jit-codegen", &["legate-jit-ir", "legate-jit-vmath", "melior", "mlir-sys", "llvm-sys"]),
    (
        "runtime",
        "legate-jit-runtime",
        &["legate-jit-ir", "legate-jit-vmath", "legate-jit-passes", "legate-jit-codegen"],
    ),
    // The MPI library shares nothing with the rest but a table of C functions.
    ("runtime/mpi", "legate-jit-mpi", &["mpi"]),
    (
        "frontend-python",
        "legate-jit-python",
        &["legate-jit-ir", "legate-jit-passes", "legate-jit-codegen", "legate-jit-runtime", "legate-jit-vmath", "pyo3"],
    ),
];

/// Crates that only some layers may know.
const OF_ONE_LAYER: &[&str] = &["egg", "melior", "mlir-sys", "llvm-sys", "mpi", "pyo3", "numpy"];

fn read(folder: &str) -> String {
    // (Asked when it runs: the test may have been built where the repository lay before.)
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let path = Path::new(&here).join("..").join(folder).join("Cargo.toml");
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The names under `[dependencies]` and `[build-dependencies]`, and the `[dependencies.name]` tables. Tests may use everything.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            inside = section.ends_with("dependencies") && !section.contains("dev-");
            if let Some((table, name)) = section.rsplit_once('.')
                && table.ends_with("dependencies")
                && !table.contains("dev-")
            {
                found.insert(name.to_string());
            }
        } else if inside && let Some((name, _)) = line.split_once(['=', '.']) {
            found.insert(name.trim().to_string());
        }
    }
    found
}

#[test]
fn dependencies_point_down() {
    let mut wrong = Vec::new();
    for (folder, name, allowed) in ALLOWED {
        let manifest = read(folder);
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{folder} is not {name}");
        for dependency in dependencies(&manifest) {
            let guarded = dependency.starts_with("legate-jit-") || OF_ONE_LAYER.contains(&dependency.as_str());
            if guarded && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_crate_of_the_workspace_has_its_place() {
    let manifest = read(".");
    let members = manifest.lines().find_map(|l| l.strip_prefix("members = [")).expect("the workspace's members");
    let members: BTreeSet<&str> = members.split('"').skip(1).step_by(2).collect();
    let mut known: BTreeMap<&str, ()> = ALLOWED.iter().map(|(folder, ..)| (*folder, ())).collect();
    known.insert("tests", ());
    assert_eq!(members, known.into_keys().collect());
}

#[test]
fn a_manifest_is_read_as_cargo_reads_it() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\nb = \"1\"\n[dependencies.c]\npath = \"c\"\n\
                    [dev-dependencies]\nd = \"1\"\n[target.'cfg(unix)'.dependencies]\ne = \"1\"\n[build-dependencies]\nf = \"1\"\n";
    let found: Vec<String> = dependencies(manifest).into_iter().collect();
    assert_eq!(found, ["a", "b", "c", "e", "f"].map(String::from));
}
