//! MLIR's side of the pipeline: a context with just the dialects, passes and translations that are used (what is
//! registered is linked), and the passes from what `lower` builds down to the LLVM dialect.

use std::sync::{Arc, Mutex, Once};

use melior::Context;
use melior::dialect::{DialectHandle, DialectRegistry};
use melior::ir::Module;
use melior::pass::PassManager;
use melior::utility::parse_pass_pipeline;
use mlir_sys as sys;

use crate::{Error, Result};

/// From the dialects of a lowered kernel to the LLVM dialect, in the order in which they run.
const PASSES: &str = "builtin.module(\
    convert-scf-to-cf,\
    convert-math-to-llvm,\
    convert-arith-to-llvm,\
    convert-cf-to-llvm,\
    reconcile-unrealized-casts)";

unsafe extern "C" {
    // MLIR's C interface has only the registration of every translation at once, which links every dialect. These are the
    // parts of it that are used; an MLIRContext& is the pointer in an MlirContext.
    #[link_name = "_ZN4mlir33registerBuiltinDialectTranslationERNS_11MLIRContextE"]
    fn register_builtin_translation(context: *mut std::ffi::c_void);
    #[link_name = "_ZN4mlir30registerLLVMDialectTranslationERNS_11MLIRContextE"]
    fn register_llvm_translation(context: *mut std::ffi::c_void);
    #[link_name = "_ZN4mlir30registerNVVMDialectTranslationERNS_11MLIRContextE"]
    fn register_nvvm_translation(context: *mut std::ffi::c_void);
}

/// An MLIR context and the messages it gave.
pub struct Mlir {
    pub context: Context,
    messages: Arc<Mutex<Vec<String>>>,
}

impl Mlir {
    pub fn new() -> Mlir {
        register_passes();
        let registry = DialectRegistry::new();
        // SAFETY: the handles are static data of MLIR.
        let (math, nvvm) = unsafe {
            (
                DialectHandle::from_raw(sys::mlirGetDialectHandle__math__()),
                DialectHandle::from_raw(sys::mlirGetDialectHandle__nvvm__()),
            )
        };
        for dialect in
            [DialectHandle::scf(), DialectHandle::cf(), DialectHandle::arith(), math, DialectHandle::llvm(), nvvm]
        {
            dialect.insert_dialect(&registry);
        }
        // One kernel is far too small for MLIR's own threads.
        let context = Context::new_with_registry(&registry, false);
        context.load_all_available_dialects();
        // SAFETY: the context is alive, and the functions only add interfaces to its registry.
        unsafe {
            register_builtin_translation(context.to_raw().ptr);
            register_llvm_translation(context.to_raw().ptr);
            register_nvvm_translation(context.to_raw().ptr);
        }
        let messages = Arc::new(Mutex::new(Vec::new()));
        let sink = messages.clone();
        context.attach_diagnostic_handler(move |d| {
            sink.lock().unwrap().push(d.to_string());
            true
        });
        Mlir { context, messages }
    }

    /// An error with what MLIR has said since the last one.
    pub fn error(&self, what: &str) -> Error {
        let said = std::mem::take(&mut *self.messages.lock().unwrap());
        Error::Mlir(format!("{what}: {}", said.join("; ")))
    }

    /// Lowers a module to the LLVM dialect, in place.
    pub fn run_passes(&self, module: &mut Module) -> Result<()> {
        let manager = PassManager::new(&self.context);
        manager.enable_verifier(cfg!(debug_assertions));
        parse_pass_pipeline(manager.as_operation_pass_manager(), PASSES).map_err(|e| Error::Mlir(e.to_string()))?;
        manager.run(module).map_err(|_| self.error("a pass failed"))
    }
}

/// Makes the names in the pipelines known. MLIR keeps them in a table of the process.
fn register_passes() {
    static ONCE: Once = Once::new();
    // SAFETY: each only adds an entry to MLIR's table of passes, once.
    ONCE.call_once(|| unsafe {
        sys::mlirRegisterConversionSCFToControlFlowPass();
        sys::mlirRegisterConversionConvertMathToLLVMPass();
        sys::mlirRegisterConversionArithToLLVMConversionPass();
        sys::mlirRegisterConversionConvertControlFlowToLLVMPass();
        sys::mlirRegisterConversionReconcileUnrealizedCastsPass();
    });
}
