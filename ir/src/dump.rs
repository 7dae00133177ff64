//! What `LEGATE_JIT_DUMP` asks for, and where it goes.
//!
//! `rewrite,mlir` shows those stages, `all` every one, `diff:rewrite` what one stage changed, and `@DIR` behind any of them
//! writes files `DIR/0003/02-rewrite.graph` instead of printing to the standard error output. Each compiled graph gets a
//! number; its kernels are `k0`, `k1`, … in the order in which they are compiled.

use std::fmt::Write;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// A point on the way from the recorded graph to machine code at which one can look.
#[derive(Debug)]
pub struct Stage {
    /// The word that asks for it.
    pub name: &'static str,
    /// The ending of its files.
    pub ending: &'static str,
    /// What begins a comment in its text.
    pub comment: &'static str,
    pub about: &'static str,
}

/// In the order in which they come; the number of a dump's file is the stage's place here.
pub static STAGES: &[Stage] = &[
    Stage { name: "capture", ending: "graph", comment: ";", about: "the graph as recorded" },
    Stage { name: "canonicalize", ending: "graph", comment: ";", about: "dead and equal nodes gone, views composed" },
    Stage { name: "rewrite", ending: "graph", comment: ";", about: "the cheapest of all forms that the rules lead to" },
    Stage {
        name: "unfold",
        ending: "graph",
        comment: ";",
        about: "short reductions are chains of operations, products of computed matrices are sums",
    },
    Stage { name: "fuse", ending: "plan", comment: ";", about: "what is computed in one pass over memory" },
    Stage { name: "schedule", ending: "plan", comment: ";", about: "the plan, with every buffer's memory" },
    Stage { name: "kernel", ending: "kernel", comment: ";", about: "the kernel as it is compiled" },
    Stage { name: "mlir", ending: "mlir", comment: "//", about: "what the kernel becomes in MLIR" },
    Stage { name: "llvm", ending: "ll", comment: ";", about: "LLVM IR after its passes" },
    Stage { name: "asm", ending: "s", comment: "#", about: "assembly" },
    Stage { name: "ptx", ending: "ptx", comment: "//", about: "the same kernel for a GPU" },
    Stage { name: "nest", ending: "nest", comment: ";", about: "a loop of the program, translated" },
];

fn stage(name: &str) -> Option<usize> {
    STAGES.iter().position(|s| s.name == name)
}

/// The parsed value of the variable.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Request {
    /// For each stage: show it?
    shown: Vec<bool>,
    /// For each stage: show what it changed?
    diffed: Vec<bool>,
    dir: Option<PathBuf>,
}

impl FromStr for Request {
    type Err = String;

    fn from_str(text: &str) -> Result<Request, String> {
        let (words, dir) = match text.split_once('@') {
            Some((_, "")) => return Err("LEGATE_JIT_DUMP: a folder is expected behind the @".into()),
            Some((words, dir)) => (words, Some(PathBuf::from(dir))),
            None => (text, None),
        };
        let none = vec![false; STAGES.len()];
        let mut request = Request { shown: none.clone(), diffed: none, dir };
        for word in words.split(',').map(str::trim).filter(|w| !w.is_empty()) {
            let (list, name) = match word.strip_prefix("diff:") {
                Some(name) => (&mut request.diffed, name),
                None => (&mut request.shown, word),
            };
            match stage(name) {
                Some(i) => list[i] = true,
                None if name == "all" => list.fill(true),
                None => {
                    let known: Vec<&str> = STAGES.iter().map(|s| s.name).collect();
                    return Err(format!(
                        "LEGATE_JIT_DUMP: no stage {name}; there are {}, all, diff:STAGE, and @DIR for files",
                        known.join(", ")
                    ));
                }
            }
        }
        Ok(request)
    }
}

impl Request {
    /// Whether this stage's text is needed, for itself or as what the next one is compared with.
    pub fn wants(&self, name: &str) -> bool {
        let needed = |i: usize| self.shown[i] || self.diffed[i] || self.diffed.get(i + 1) == Some(&true);
        stage(name).is_some_and(needed)
    }

    /// Whether anything of the stages from `kernel` on is wanted.
    pub fn wants_kernels(&self) -> bool {
        STAGES.iter().skip_while(|s| s.name != "kernel").take_while(|s| s.name != "nest").any(|s| self.wants(s.name))
    }
}

/// Takes the texts of the stages and shows those that were asked for. It may be shared by threads.
pub struct Dumper {
    request: Request,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Number of the graph, from 1.
    unit: u32,
    kernels: u32,
    /// The latest stage's text of each label, to compare with.
    before: Vec<(String, String)>,
}

impl Dumper {
    pub fn new(request: Request) -> Dumper {
        Dumper { request, state: Mutex::default() }
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The stages that follow are another graph's.
    pub fn next_graph(&self) {
        let mut state = self.state();
        *state = State { unit: state.unit + 1, ..State::default() };
    }

    /// A label for the next kernel of the current graph.
    pub fn next_kernel(&self) -> String {
        let mut state = self.state();
        state.kernels += 1;
        format!("{:04}/k{}", state.unit, state.kernels - 1)
    }

    /// A stage of the current graph.
    pub fn graph_stage(&self, name: &str, about: &str, notes: &[String], text: &str) {
        let label = format!("{:04}", self.state().unit);
        self.stage(&label, name, about, notes, text);
    }

    /// A stage of what the label names: a graph's number, then perhaps a kernel.
    pub fn stage(&self, label: &str, name: &str, about: &str, notes: &[String], text: &str) {
        let Some(i) = stage(name) else { return };
        let mut state = self.state();
        let before = match state.before.iter_mut().find(|(l, _)| l == label) {
            Some((_, before)) => std::mem::replace(before, text.to_string()),
            None => {
                state.before.push((label.to_string(), text.to_string()));
                String::new()
            }
        };
        let stage = &STAGES[i];
        let mut head = format!("{} {label} {name}: {about}\n", stage.comment);
        for note in notes {
            let _ = writeln!(head, "{}   {note}", stage.comment);
        }
        if self.request.shown[i] {
            self.put(label, i, stage.ending, &format!("{head}{text}"));
        }
        if self.request.diffed[i] {
            self.put(label, i, "diff", &format!("{head}{}", diff(&before, text)));
        }
    }

    /// To the folder, or else to the standard error output. What cannot be written is said once there, and nothing stops.
    fn put(&self, label: &str, i: usize, ending: &str, text: &str) {
        let Some(dir) = &self.request.dir else {
            eprintln!("{text}");
            return;
        };
        let (unit, kernel) = label.split_once('/').unwrap_or((label, STAGES[i].name));
        let dir = dir.join(unit);
        let path = dir.join(format!("{i:02}-{kernel}.{ending}"));
        if let Err(e) = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&path, text)) {
            eprintln!("LEGATE_JIT_DUMP: {}: {e}", path.display());
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere leaves nothing half done here.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Texts longer than this are not aligned line by line; the table for that grows with their product.
const LONGEST_DIFF: usize = 3000;

/// What changed, line by line: `- ` was there, `+ ` is new, and the lines that stay.
pub fn diff(before: &str, after: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let mut out = String::new();
    let mut line = |sign: &str, text: &str| {
        let _ = writeln!(out, "{sign} {text}");
    };
    if a.len().max(b.len()) > LONGEST_DIFF {
        a.iter().for_each(|l| line("-", l));
        b.iter().for_each(|l| line("+", l));
        return out;
    }
    // common[i][j]: the length of the longest common subsequence of a[i..] and b[j..].
    let mut common = vec![vec![0u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            line(" ", a[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || i < a.len() && common[i + 1][j] >= common[i][j + 1] {
            line("-", a[i]);
            i += 1;
        } else {
            line("+", b[j]);
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_ask_for_stages() {
        let some: Request = "fuse, mlir".parse().unwrap();
        assert!(some.wants("fuse") && some.wants("mlir") && !some.wants("rewrite") && some.wants_kernels());
        let diff: Request = "diff:rewrite".parse().unwrap();
        assert!(diff.wants("canonicalize") && diff.wants("rewrite") && !diff.wants("fuse") && !diff.wants_kernels());
        let all: Request = "all@some/folder".parse().unwrap();
        assert!(STAGES.iter().all(|s| all.wants(s.name)));
        assert_eq!(all.dir, Some(PathBuf::from("some/folder")));
    }

    #[test]
    fn unknown_words_are_answered_with_the_known_ones() {
        let message = "fuse,fusion".parse::<Request>().unwrap_err();
        assert!(
            message.starts_with("LEGATE_JIT_DUMP: no stage fusion; there are capture, canonicalize, "),
            "{message}"
        );
        assert!("all@".parse::<Request>().is_err());
    }

    #[test]
    fn what_changed_is_told_by_lines() {
        assert_eq!(diff("a\nb\nc\n", "a\nx\nc\nd\n"), "  a\n- b\n+ x\n  c\n+ d\n");
    }

    #[test]
    fn stages_become_files() {
        let dir = std::env::temp_dir().join(format!("legate-jit-dump-{}", std::process::id()));
        let request: Request = format!("capture,diff:canonicalize,mlir@{}", dir.display()).parse().unwrap();
        let dumper = Dumper::new(request);
        for _ in 0..2 {
            dumper.next_graph();
            dumper.graph_stage("capture", "as recorded", &["a note".into()], "one\ntwo\n");
            dumper.graph_stage("canonicalize", "tidy", &[], "two\n");
            dumper.graph_stage("rewrite", "not asked for", &[], "");
        }
        let kernel = dumper.next_kernel();
        dumper.stage(&kernel, "mlir", "built", &[], "module {}\n");
        let read = |path: &str| std::fs::read_to_string(dir.join(path)).unwrap();
        assert_eq!(read("0001/00-capture.graph"), "; 0001 capture: as recorded\n;   a note\none\ntwo\n");
        assert_eq!(read("0002/01-canonicalize.diff"), "; 0002 canonicalize: tidy\n- one\n  two\n");
        assert_eq!(read("0002/07-k0.mlir"), "// 0002/k0 mlir: built\nmodule {}\n");
        assert_eq!(std::fs::read_dir(dir.join("0002")).unwrap().count(), 3);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
