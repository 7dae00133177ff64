//! Connects `LEGATE_JIT_DUMP` to the passes and the compiler: what they did is shown as text, stage by stage.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use legate_jit_codegen::{CpuTarget, Error, Options, Sink, Source, Stage};
use legate_jit_ir::dump::{Dumper, Request};
use legate_jit_passes::cx::{Level, Look};

use crate::{Config, Tier};

/// For whom the code in a dump is.
#[derive(Clone, Debug)]
pub struct Target {
    /// The GPU of the `ptx` stage, as `sm_90`.
    pub gpu: String,
    /// CUDA's device library, which PTX of transcendental functions needs.
    pub libdevice: Option<PathBuf>,
}

/// The GPU whose PTX is shown where none is named.
pub const DEFAULT_GPU: &str = "sm_90";

/// Who shows translated loops.
static NESTS: OnceLock<Arc<Dumper>> = OnceLock::new();

/// Shows a loop of the program that was translated (`nest.rs`), if that was asked for.
pub fn nest(name: &str, line: u32, text: impl FnOnce() -> String) {
    if let Some(dumper) = NESTS.get() {
        dumper.stage(&format!("loops/{name}-{line}"), "nest", "the code of its rounds", &[], &text());
    }
}

/// Makes the passes and the compiler show what was asked for. Kernels that are shown are compiled before they first run, so
/// that their stages follow their graph's, and never taken from the kernel cache, which keeps no stages.
pub fn install(request: Request, target: Target, config: &mut Config, options: &mut Options) {
    let kernels = request.wants_kernels();
    let dumper = Arc::new(Dumper::new(request));
    if dumper.request().wants("nest") {
        let _ = NESTS.set(dumper.clone());
    }
    let of_passes = dumper.clone();
    config.cx.hook = Some(Arc::new(move |look: &Look| {
        if look.number == 0 {
            of_passes.next_graph();
        }
        if of_passes.request().wants(look.name) {
            let text = match look.level {
                Level::Graph(graph) => graph.to_string(),
                Level::Plan(plan) => plan.to_string(),
            };
            of_passes.graph_stage(look.name, look.about, look.notes, &text);
        }
    }));
    if !kernels {
        return;
    }
    if config.tier == Tier::Auto {
        config.tier = Tier::Compiled;
    }
    options.sink = Some(Arc::new(move |source: &Source| {
        let label = dumper.next_kernel();
        let shown = |stage: &str| dumper.request().wants(stage);
        let text = source.to_string();
        dumper.stage(&label, "kernel", "the kernel as it is compiled", &[], &text);
        if let (true, Source::Kernel(kernel)) = (shown("ptx"), source) {
            let ptx = legate_jit_codegen::ptx(kernel, &target.gpu, target.libdevice.as_deref());
            let ptx = ptx.unwrap_or_else(|e| format!("// {e}\n"));
            dumper.stage(&label, "ptx", &format!("for {}", target.gpu), &[], &ptx);
        }
        Box::new(KernelSink { dumper: dumper.clone(), label, text })
    }));
}

struct KernelSink {
    dumper: Arc<Dumper>,
    label: String,
    /// The kernel's.
    text: String,
}

fn name(stage: Stage) -> (&'static str, &'static str) {
    match stage {
        Stage::Mlir => ("mlir", "what the kernel becomes in MLIR"),
        Stage::Llvm => ("llvm", "LLVM IR after its passes"),
        Stage::Asm => ("asm", "assembly"),
    }
}

impl Sink for KernelSink {
    fn wants(&self, stage: Stage) -> bool {
        self.dumper.request().wants(name(stage).0)
    }

    fn take(&mut self, stage: Stage, text: &str) {
        let (name, about) = name(stage);
        self.dumper.stage(&self.label, name, about, &[], text);
    }

    fn refused(&mut self, why: &Error) {
        // (Again with the text, which it takes the place of in a folder.)
        let note = format!("there is no code for it, so that the prebuilt loops run it: {why}");
        self.dumper.stage(&self.label, "kernel", "the kernel as it is compiled", &[note], &self.text);
    }
}

/// Reads `LEGATE_JIT_DUMP_TARGET`: a GPU (`sm_90`) for the ptx stage, or a processor (`x86-64-v3`) whose code the other stages
/// show, which must be able to run here.
pub fn target(text: Option<&str>, libdevice: Option<PathBuf>, options: &mut Options) -> Result<Target, String> {
    let gpu = match text {
        Some(gpu) if gpu.starts_with("sm_") => gpu,
        Some(cpu) => {
            let named = CpuTarget::named(cpu).map_err(|_| {
                format!("LEGATE_JIT_DUMP_TARGET={cpu}: expected a GPU such as sm_90, or a processor such as x86-64-v3")
            })?;
            options.target = Some(named);
            DEFAULT_GPU
        }
        None => DEFAULT_GPU,
    };
    Ok(Target { gpu: gpu.to_string(), libdevice })
}
