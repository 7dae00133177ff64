//! Which tiers run kernels: `LEGATE_JIT_TIER`, read once, and the process's one compiler.

use std::sync::Arc;

use legate_jit_codegen::Compiler;
use once_cell::sync::OnceCell;

static COMPILER: OnceCell<Option<Arc<Compiler>>> = OnceCell::new();

/// The compiler, unless only the prebuilt loops are wanted.
pub fn compiler() -> Option<&'static Arc<Compiler>> {
    COMPILER.get().and_then(|c| c.as_ref())
}

/// Sets the process's compiler; the first call counts.
pub fn set_compiler(compiler: Option<Arc<Compiler>>) {
    let _ = COMPILER.set(compiler);
}
