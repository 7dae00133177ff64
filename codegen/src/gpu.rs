//! PTX for NVIDIA's GPUs. No GPU and nothing of CUDA is needed to make it, except CUDA's library of mathematics
//! (`libdevice.10.bc`) where a kernel calls it.

use std::path::Path;

use legate_jit_ir::Kernel;

use crate::llvm::{LlvmModule, Machine, Passes};
use crate::mlir::Mlir;
use crate::{Error, Result, fork, lower};

/// The name of the function in the PTX.
pub const ENTRY: &str = "kernel";

/// Whether this is the name of an architecture.
pub(crate) fn check(architecture: &str) -> Result<()> {
    let number = architecture.strip_prefix("sm_").map(|n| n.trim_end_matches(['a', 'f']));
    if number.and_then(|n| n.parse::<u32>().ok()).is_none_or(|n| !(50..=130).contains(&n)) {
        return Err(Error::Target(format!(
            "unknown GPU architecture '{architecture}'; one such as sm_80 or sm_90 is meant"
        )));
    }
    Ok(())
}

/// Compiles a kernel to PTX for an architecture such as `sm_90`. Arithmetic has the bits of the CPU's; transcendental functions
/// come from CUDA's library and may differ in the last place. Its parameters are described in `lower/gpu.rs`.
pub fn ptx(kernel: &Kernel, architecture: &str, libdevice: Option<&Path>) -> Result<String> {
    check(architecture)?;
    let _inside = fork::inside();
    let machine = Machine::gpu(architecture)?;
    let mlir = Mlir::new();
    let (mut module, calls) = lower::lower_gpu(&mlir.context, kernel, ENTRY)?;
    mlir.run_passes(&mut module)?;
    let module = LlvmModule::translate(module.as_operation()).ok_or_else(|| mlir.error("no translation to LLVM IR"))?;
    module.set_machine(&machine, 0, false);
    if !calls.is_empty() {
        let names = calls.into_iter().collect::<Vec<_>>().join(", ");
        let Some(path) = libdevice else {
            return Err(Error::Missing(format!(
                "CUDA's libdevice.10.bc is needed for {names} (pip install nvidia-cuda-nvcc)"
            )));
        };
        let bitcode =
            std::fs::read(path).map_err(|e| Error::Missing(format!("{}, needed for {names}: {e}", path.display())))?;
        module.link(&bitcode)?;
    }
    module.optimize(&machine, Passes::Gpu)?;
    module.assembly(&machine)
}
