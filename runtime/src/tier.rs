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

/// The compiler; `None` where it can make nothing for this machine.
pub fn compiler() -> Option<&'static Compiler> {
    let compiler = COMPILER.get_or_init(|| {
        let options = OPTIONS.lock().unwrap_or_else(|e| e.into_inner()).take();
        Compiler::new(options.unwrap_or_default())
    });
    Some(compiler)
}

/// What the compiler has done; zeros where it was never needed.
pub fn counters() -> Counters {
    COMPILER.get().map(|c| c.counters()).unwrap_or_default()
}
