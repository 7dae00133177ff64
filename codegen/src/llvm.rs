//! LLVM's side of the pipeline: from a module in the LLVM dialect to LLVM IR, a short list of passes, and an object or
//! assembly in memory. Everything here is behind LLVM's C interface, so this is one of the files with `unsafe`.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::Once;

use llvm_sys::bit_reader::LLVMParseBitcodeInContext2;
use llvm_sys::core::*;
use llvm_sys::error::{LLVMDisposeErrorMessage, LLVMErrorRef, LLVMGetErrorMessage};
use llvm_sys::linker::LLVMLinkModules2;
use llvm_sys::prelude::*;
use llvm_sys::target::*;
use llvm_sys::target_machine::*;
use llvm_sys::transforms::pass_builder::*;
use melior::ir::OperationRef;

use crate::target::CpuTarget;
use crate::{Error, Result};

/// What runs on the LLVM IR. The bodies come as explicit vectors with their loads and stores placed, so what is left to do is
/// scalar: loops bottom-tested, address arithmetic out of them, duplicates merged.
const PASSES: &str = "function(lower-expect,early-cse,simplifycfg,loop-mssa(loop-rotate,licm),early-cse,instcombine<max-iterations=1;no-verify-fixpoint>,simplifycfg)";

/// Nests come as single instructions on registers in the function's frame.
const NEST_PASSES: &str = "function(sroa,early-cse<memssa>,simplifycfg,instcombine<max-iterations=1;no-verify-fixpoint>,\
    loop-mssa(loop-rotate,licm),gvn,indvars,instcombine<max-iterations=1;no-verify-fixpoint>,loop-mssa(licm),adce,simplifycfg)";

/// On a GPU, functions of CUDA's library have to be inlined and simplified, and nobody waits for it.
const GPU_PASSES: &str = "default<O2>";

/// Which passes a module gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passes {
    Kernel,
    Nest,
    Gpu,
}

/// LLVM's name for the processor this runs on.
pub fn host_cpu_name() -> String {
    // SAFETY: LLVM returns a message that is freed below.
    unsafe { take_message(LLVMGetHostCPUName()) }
}

pub(crate) fn initialize() {
    static ONCE: Once = Once::new();
    // SAFETY: these fill LLVM's table of targets, once.
    ONCE.call_once(|| unsafe {
        LLVMInitializeX86TargetInfo();
        LLVMInitializeX86Target();
        LLVMInitializeX86TargetMC();
        LLVMInitializeX86AsmPrinter();
        LLVMInitializeNVPTXTargetInfo();
        LLVMInitializeNVPTXTarget();
        LLVMInitializeNVPTXTargetMC();
        LLVMInitializeNVPTXAsmPrinter();
    });
}

/// Takes over a string that LLVM allocated.
unsafe fn take_message(message: *mut c_char) -> String {
    if message.is_null() {
        return String::new();
    }
    // SAFETY: the caller got the string from LLVM and gives it away.
    unsafe {
        let s = CStr::from_ptr(message).to_string_lossy().into_owned();
        LLVMDisposeMessage(message);
        s
    }
}

/// Turns LLVM's error object, if there is one, into ours.
pub(crate) unsafe fn check(error: LLVMErrorRef) -> Result<()> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: getting the message consumes the error; the message is freed after it was copied.
    unsafe {
        let message = LLVMGetErrorMessage(error);
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        LLVMDisposeErrorMessage(message);
        Err(Error::Llvm(text))
    }
}

/// An LLVM target machine: what turns LLVM IR into instructions.
pub struct Machine {
    raw: LLVMTargetMachineRef,
    /// None for a GPU.
    cpu: Option<CpuTarget>,
}

impl Machine {
    pub fn cpu(target: &CpuTarget) -> Result<Machine> {
        let raw = machine(c"x86_64-unknown-linux-gnu", target.level.name())?;
        Ok(Machine { raw, cpu: Some(target.clone()) })
    }

    /// An NVIDIA GPU of this architecture (`sm_90`).
    pub fn gpu(architecture: &str) -> Result<Machine> {
        Ok(Machine { raw: machine(c"nvptx64-nvidia-cuda", architecture)?, cpu: None })
    }
}

fn machine(triple: &CStr, cpu: &str) -> Result<LLVMTargetMachineRef> {
    initialize();
    let name = CString::new(cpu).map_err(|_| Error::Target("a zero byte in a name".into()))?;
    // SAFETY: the strings live through the calls, `found` is set where the lookup succeeds, and the options are freed.
    unsafe {
        let mut found = ptr::null_mut();
        let mut message = ptr::null_mut();
        if LLVMGetTargetFromTriple(triple.as_ptr(), &mut found, &mut message) != 0 {
            return Err(Error::Llvm(take_message(message)));
        }
        let options = LLVMCreateTargetMachineOptions();
        LLVMTargetMachineOptionsSetCPU(options, name.as_ptr());
        LLVMTargetMachineOptionsSetCodeGenOptLevel(options, LLVMCodeGenOptLevel::LLVMCodeGenLevelDefault);
        LLVMTargetMachineOptionsSetRelocMode(options, LLVMRelocMode::LLVMRelocPIC);
        LLVMTargetMachineOptionsSetCodeModel(options, LLVMCodeModel::LLVMCodeModelSmall);
        let raw = LLVMCreateTargetMachineWithOptions(found, triple.as_ptr(), options);
        LLVMDisposeTargetMachineOptions(options);
        if raw.is_null() { Err(Error::Llvm(format!("no machine for {cpu}"))) } else { Ok(raw) }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: `raw` is owned and not used afterwards.
        unsafe { LLVMDisposeTargetMachine(self.raw) }
    }
}

/// A module of LLVM IR with the context it lives in.
pub struct LlvmModule {
    context: LLVMContextRef,
    raw: LLVMModuleRef,
}

impl LlvmModule {
    /// Translates a module of the LLVM dialect. None where MLIR could not (its diagnostics say why).
    pub fn translate(module: OperationRef<'_, '_>) -> Option<LlvmModule> {
        // SAFETY: the operation is alive; the two bindings' pointers to an LLVM context and module are the same C types.
        unsafe {
            let context = LLVMContextCreate();
            let raw = mlir_sys::mlirTranslateModuleToLLVMIR(module.to_raw(), context.cast()).cast();
            let made = LlvmModule { context, raw };
            (!made.raw.is_null()).then_some(made)
        }
    }

    /// Prepares the module for a machine: layout, and for CPUs how wide the vectors are. `calls`: its functions call others.
    pub fn set_machine(&self, machine: &Machine, vector_bytes: u32, calls: bool) {
        // SAFETY: module, machine and the strings are alive; the layout is freed after LLVM copied it.
        unsafe {
            let layout = LLVMCreateTargetDataLayout(machine.raw);
            LLVMSetModuleDataLayout(self.raw, layout);
            LLVMDisposeTargetData(layout);
            let triple = LLVMGetTargetMachineTriple(machine.raw);
            LLVMSetTarget(self.raw, triple);
            LLVMDisposeMessage(triple);
            let Some(target) = &machine.cpu else { return };
            let bits = (vector_bytes * 8).to_string();
            let mut function = LLVMGetFirstFunction(self.raw);
            while !function.is_null() {
                if LLVMIsDeclaration(function) == 0 {
                    if !target.tune.is_empty() {
                        self.attribute(function, "tune-cpu", &target.tune);
                    }
                    // The vectors are as wide as they were built, whatever the model would prefer.
                    self.attribute(function, "prefer-vector-width", &bits);
                    self.attribute(function, "min-legal-vector-width", &bits);
                    // Vectors that live across a call are kept on the stack, which is aligned for them only where LLVM
                    // knew of a frame pointer from the start. One that crosses a cache line costs a call's whole time.
                    if calls {
                        self.attribute(function, "frame-pointer", "all");
                    }
                }
                function = LLVMGetNextFunction(function);
            }
        }
    }

    unsafe fn attribute(&self, function: LLVMValueRef, key: &str, value: &str) {
        // SAFETY: the function belongs to this module; LLVM copies the strings.
        unsafe {
            let attribute = LLVMCreateStringAttribute(
                self.context,
                key.as_ptr().cast(),
                key.len() as u32,
                value.as_ptr().cast(),
                value.len() as u32,
            );
            LLVMAddAttributeAtIndex(function, llvm_sys::LLVMAttributeFunctionIndex, attribute);
        }
    }

    /// Runs the short list of passes.
    pub fn optimize(&self, machine: &Machine, passes: Passes) -> Result<()> {
        self.run(
            machine,
            match passes {
                Passes::Kernel => PASSES,
                Passes::Nest => NEST_PASSES,
                Passes::Gpu => GPU_PASSES,
            },
        )
    }

    fn run(&self, machine: &Machine, passes: &str) -> Result<()> {
        let passes = CString::new(passes).expect("no zero byte in the pass list");
        // SAFETY: module and machine are alive; the options are freed afterwards.
        unsafe {
            let options = LLVMCreatePassBuilderOptions();
            LLVMPassBuilderOptionsSetVerifyEach(options, cfg!(debug_assertions) as i32);
            let error = LLVMRunPasses(self.raw, passes.as_ptr(), machine.raw, options);
            LLVMDisposePassBuilderOptions(options);
            check(error)
        }
    }

    /// Links a library of bitcode in; of its functions only those stay that the kernel needs.
    pub fn link(&self, bitcode: &[u8]) -> Result<()> {
        // SAFETY: the buffer outlives the parsing, which copies it; linking consumes the parsed module.
        unsafe {
            let buffer =
                LLVMCreateMemoryBufferWithMemoryRangeCopy(bitcode.as_ptr().cast(), bitcode.len(), c"library".as_ptr());
            let mut library = ptr::null_mut();
            let failed = LLVMParseBitcodeInContext2(self.context, buffer, &mut library) != 0;
            LLVMDisposeMemoryBuffer(buffer);
            if failed {
                return Err(Error::Llvm("the library is no bitcode that this LLVM reads".into()));
            }
            // Layouts and triples of libraries are of older compilers; what is in them is the same.
            LLVMSetTarget(library, LLVMGetTarget(self.raw));
            LLVMSetDataLayout(library, LLVMGetDataLayoutStr(self.raw));
            let mut function = LLVMGetFirstFunction(library);
            let mut names = Vec::new();
            while !function.is_null() {
                if LLVMIsDeclaration(function) == 0 {
                    let mut n = 0;
                    let name = LLVMGetValueName2(function, &mut n);
                    names.push(std::slice::from_raw_parts(name.cast::<u8>(), n).to_vec());
                }
                function = LLVMGetNextFunction(function);
            }
            if LLVMLinkModules2(self.raw, library) != 0 {
                return Err(Error::Llvm("the library could not be linked".into()));
            }
            for name in names {
                let name = CString::new(name).expect("names of functions have no zero byte");
                let function = LLVMGetNamedFunction(self.raw, name.as_ptr());
                if !function.is_null() {
                    LLVMSetLinkage(function, llvm_sys::LLVMLinkage::LLVMInternalLinkage);
                }
            }
            Ok(())
        }
    }

    /// The module's text.
    pub fn text(&self) -> String {
        // SAFETY: LLVM allocates the text, which is freed once copied.
        unsafe { take_message(LLVMPrintModuleToString(self.raw)) }
    }

    /// The module as assembly, leaving it as it is.
    pub fn assembly(&self, machine: &Machine) -> Result<String> {
        // SAFETY: the copy lives in this module's context, which outlives it.
        unsafe {
            let copy = LLVMCloneModule(self.raw);
            let out = emit(copy, machine, LLVMCodeGenFileType::LLVMAssemblyFile);
            LLVMDisposeModule(copy);
            out.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
    }

    /// The module as a relocatable object. Code generation consumes the module.
    pub fn object(self, machine: &Machine) -> Result<Vec<u8>> {
        // SAFETY: the module is owned and not used afterwards.
        unsafe { emit(self.raw, machine, LLVMCodeGenFileType::LLVMObjectFile) }
    }
}

/// Generates code, which changes the module.
unsafe fn emit(module: LLVMModuleRef, machine: &Machine, kind: LLVMCodeGenFileType) -> Result<Vec<u8>> {
    // SAFETY: the caller gives a live module; the buffer is freed once copied.
    unsafe {
        let mut message = ptr::null_mut();
        let mut buffer = ptr::null_mut();
        if LLVMTargetMachineEmitToMemoryBuffer(machine.raw, module, kind, &mut message, &mut buffer) != 0 {
            return Err(Error::Llvm(take_message(message)));
        }
        let start = LLVMGetBufferStart(buffer).cast::<u8>();
        let bytes = std::slice::from_raw_parts(start, LLVMGetBufferSize(buffer)).to_vec();
        LLVMDisposeMemoryBuffer(buffer);
        Ok(bytes)
    }
}

impl Drop for LlvmModule {
    fn drop(&mut self) {
        // SAFETY: both are owned; the module goes before the context it lives in.
        unsafe {
            if !self.raw.is_null() {
                LLVMDisposeModule(self.raw);
            }
            LLVMContextDispose(self.context);
        }
    }
}
