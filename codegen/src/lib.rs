//! Code generation: one kernel becomes native code (or PTX), and the kernel cache keeps it.
//!
//! The way: `lower` builds MLIR, `mlir` lowers that to the LLVM dialect, `llvm` makes an object of it, `load` puts it into memory.
//! `compiler` is the service around them: it never makes a caller wait. Only this crate knows MLIR and LLVM.

pub mod cache;
mod calls;
mod compiler;
mod elf;
mod error;
pub mod fork;
mod gpu;
mod llvm;
mod load;
mod lower;
mod mlir;
mod source;
pub mod target;
pub mod warm;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use melior::ir::operation::OperationLike;

use legate_jit_ir::Kernel;

pub use compiler::{Compiler, Counters, Options, SinkFor, Slot};
pub use error::{Error, Result};
pub use gpu::ptx;
pub use load::{Loaded, load};
pub use source::Source;
pub use target::CpuTarget;

/// The stages whose text a sink can have, in the order in which they come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// What `lower` built.
    Mlir,
    /// LLVM IR after its passes.
    Llvm,
    /// Assembly.
    Asm,
}

/// Takes the texts of the stages, for dumps and tests.
pub trait Sink {
    fn wants(&self, stage: Stage) -> bool;
    fn take(&mut self, stage: Stage, text: &str);
    /// There will be no code, and the prebuilt loops stay.
    fn refused(&mut self, _why: &Error) {}
}

/// A sink that wants nothing.
impl Sink for () {
    fn wants(&self, _: Stage) -> bool {
        false
    }

    fn take(&mut self, _: Stage, _: &str) {}
}

/// A compiled kernel or nest, not yet in executable memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// The function's symbol.
    pub name: String,
    /// A relocatable object file.
    pub bytes: Vec<u8>,
    /// The instruction set level it needs.
    pub features: String,
    /// The functions outside that it calls.
    pub calls: BTreeSet<String>,
    /// What it was made from.
    pub ir_text: String,
    pub times: Times,
}

/// Where the time of a compilation went.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Times {
    pub lower: Duration,
    pub mlir: Duration,
    pub translate: Duration,
    pub llvm: Duration,
    pub emit: Duration,
}

/// What a thread that compiles keeps from one kernel to the next.
pub struct Workshop {
    mlir: mlir::Mlir,
    machine: llvm::Machine,
    target: CpuTarget,
    compiled: Cell<u32>,
}

impl Workshop {
    /// MLIR's context keeps every type and constant it ever saw; after this many kernels it is worth a new one.
    const WORN: u32 = 256;

    pub fn new(target: &CpuTarget) -> Result<Workshop> {
        let machine = llvm::Machine::cpu(target)?;
        Ok(Workshop { mlir: mlir::Mlir::new(), machine, target: target.clone(), compiled: Cell::new(0) })
    }

    pub(crate) fn is_worn(&self) -> bool {
        self.compiled.get() >= Self::WORN
    }

    /// Compiles one kernel.
    pub fn compile(&self, kernel: &Kernel, sink: &mut dyn Sink) -> Result<Object> {
        self.compile_source(&Source::Kernel(kernel.clone()), sink)
    }

    /// Compiles a kernel or a nest.
    pub fn compile_source(&self, source: &Source, sink: &mut dyn Sink) -> Result<Object> {
        let _inside = fork::inside();
        self.compile_inside(source, sink)
    }

    /// The same, for a caller that has the gate.
    pub(crate) fn compile_inside(&self, source: &Source, sink: &mut dyn Sink) -> Result<Object> {
        self.compiled.set(self.compiled.get() + 1);
        let mut times = Times::default();
        let name = "kernel";
        let mut clock = Instant::now();
        let mut lap = |to: &mut Duration| {
            *to = clock.elapsed();
            clock = Instant::now();
        };
        let context = &self.mlir.context;
        let lower::Lowered { mut module, calls, vector_bytes } = match source {
            Source::Kernel(kernel) => lower::lower(context, kernel, &self.target, name)?,
            Source::Nest(program) => lower::lower_nest(context, program, &self.target, name)?,
        };
        let passes = match source {
            Source::Kernel(_) => llvm::Passes::Kernel,
            Source::Nest(_) => llvm::Passes::Nest,
        };
        if cfg!(debug_assertions) && !module.as_operation().verify() {
            return Err(self.mlir.error("the lowered kernel is not valid"));
        }
        if sink.wants(Stage::Mlir) {
            sink.take(Stage::Mlir, &module.as_operation().to_string());
        }
        lap(&mut times.lower);
        self.mlir.run_passes(&mut module)?;
        lap(&mut times.mlir);
        let module = llvm::LlvmModule::translate(module.as_operation())
            .ok_or_else(|| self.mlir.error("no translation to LLVM IR"))?;
        module.set_machine(&self.machine, vector_bytes, !calls.is_empty());
        lap(&mut times.translate);
        module.optimize(&self.machine, passes)?;
        lap(&mut times.llvm);
        if sink.wants(Stage::Llvm) {
            sink.take(Stage::Llvm, &module.text());
        }
        if sink.wants(Stage::Asm) {
            sink.take(Stage::Asm, &module.assembly(&self.machine)?);
        }
        lap(&mut Duration::ZERO.clone());
        let bytes = module.object(&self.machine)?;
        lap(&mut times.emit);
        Ok(Object {
            name: name.to_string(),
            bytes,
            features: self.target.level.name().to_string(),
            calls,
            ir_text: source.to_string(),
            times,
        })
    }
}

/// Compiles one kernel. Who compiles several keeps a [`Workshop`].
pub fn compile(kernel: &Kernel, target: &CpuTarget, sink: &mut dyn Sink) -> Result<Object> {
    Workshop::new(target)?.compile(kernel, sink)
}
