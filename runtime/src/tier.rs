//! The process's one compiler: made with the options that the front end sets, or the defaults, when it is first needed.

use std::sync::Mutex;
use std::sync::OnceLock;

use legate_jit_codegen::{Compiler, Counters, Options};

static OPTIONS: Mutex<Option<Options>> = Mutex::new(None);
static COMPILER: OnceLock<Compiler> = OnceLock::new();

/// Sets what the compiler will be made with. No effect once there is one.
pub fn set_options(options: Options) {
    *OPTIONS.lock().unwrap_or_else(|e| e.into_inner()) = Some(options);
}

/// Whether the compiler has something to do.
pub(crate) fn is_compiling() -> bool {
    COMPILER.get().is_some_and(Compiler::is_at_work)
}

/// The compiler; `None` where it can make nothing for this machine.
pub fn compiler() -> Option<&'static Compiler> {
    let compiler = COMPILER.get_or_init(|| {
        let options = OPTIONS.lock().unwrap_or_else(|e| e.into_inner()).take().unwrap_or_default();
        #[cfg(test)]
        make_statics(&options);
        Compiler::new(options)
    });
    Some(compiler)
}

/// Compiles something once on this thread. The compiler stops its helper when the main thread ends; a test's main thread is not
/// the one that uses the compiler, so there the helper is stopped by an exit handler, which must be younger than the static
/// data that LLVM and MLIR make when they are first used.
#[cfg(test)]
fn make_statics(options: &Options) {
    use legate_jit_ir::kernel::{Access, Body, InnerStride, Kernel, Op};
    use legate_jit_ir::{DType, Ufunc};
    let access = |write| Access { dtype: DType::F64, inner: InnerStride::Unit, write };
    let mut body = Body::default();
    let x = body.push(Op::Load(0), DType::F64);
    let y = body.push(Op::Map(Ufunc::Exp, [x].into_iter().collect()), DType::F64);
    body.stores.push((1, y));
    let kernel = Kernel { rank: 1, accesses: vec![access(false), access(true)], scalars: vec![], body };
    if let Some(target) = &options.target {
        let object = legate_jit_codegen::compile(&kernel, target, &mut ()).expect("a small kernel compiles");
        legate_jit_codegen::load(&object).expect("and loads");
    }
}

/// The texts of all kernels that the program has asked for so far.
pub fn kernels() -> Vec<String> {
    COMPILER.get().map(|c| c.kernels()).unwrap_or_default()
}

/// The texts of the kernels that have no code, and why; the prebuilt loops run them.
pub fn refused() -> Vec<(String, String)> {
    COMPILER.get().map(|c| c.refused()).unwrap_or_default()
}

/// What the compiler has done; zeros where it was never needed.
pub fn counters() -> Counters {
    COMPILER.get().map(|c| c.counters()).unwrap_or_default()
}
