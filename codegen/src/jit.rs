//! Loads objects into this process with LLVM's ORC, and resolves what they call.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use llvm_sys::core::LLVMCreateMemoryBufferWithMemoryRangeCopy;
use llvm_sys::orc2::lljit::*;
use llvm_sys::orc2::*;

use legate_jit_ir::kernel::KernelFn;
use legate_jit_vmath as vmath;

use crate::llvm::{self, check};
use crate::{Error, Object, Result};

/// The process's one ORC instance. It lives as long as the process: code may be running until the very end.
struct Jit(LLVMOrcLLJITRef);

// SAFETY: LLJIT locks its session by itself; the only entry that is not safe to share, disposal, is never called.
unsafe impl Send for Jit {}
// SAFETY: as above.
unsafe impl Sync for Jit {}

fn jit() -> Result<&'static Jit> {
    static JIT: OnceLock<Result<Jit>> = OnceLock::new();
    JIT.get_or_init(|| {
        llvm::initialize();
        let mut raw = ptr::null_mut();
        // SAFETY: a null builder means the defaults for this machine; `raw` is set where no error is returned.
        unsafe { check(LLVMOrcCreateLLJIT(&mut raw, ptr::null_mut()))? };
        Ok(Jit(raw))
    })
    .as_ref()
    .map_err(Error::clone)
}

/// Code that is in memory and can be called. Its memory goes when this does.
pub struct Loaded {
    library: LLVMOrcJITDylibRef,
    entry: KernelFn,
}

// SAFETY: the library is only touched when it is dropped, under the session's lock; the entry is code.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

impl Loaded {
    /// The kernel's function. It must not be called after `self` is gone.
    pub fn entry(&self) -> KernelFn {
        self.entry
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        // SAFETY: the library belongs to this value alone. An error leaves the memory mapped, which harms nobody.
        unsafe {
            let _ = check(LLVMOrcJITDylibClear(self.library));
        }
    }
}

/// Puts an object's code into memory.
pub fn load(object: &Object) -> Result<Loaded> {
    let _inside = crate::fork::inside();
    load_inside(object)
}

/// The same, for a caller that has the gate.
pub(crate) fn load_inside(object: &Object) -> Result<Loaded> {
    // Linking takes a tenth of a millisecond; one at a time keeps the naming of libraries simple.
    static ONE: Mutex<()> = Mutex::new(());
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let addresses = resolve(&object.calls)?;
    let jit = jit()?;
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let library_name = CString::new(format!("kernel{}", COUNT.fetch_add(1, Ordering::Relaxed))).expect("no zero byte");
    let entry_name = CString::new(object.name.as_str()).map_err(|_| Error::Llvm("a zero byte in a name".into()))?;
    // SAFETY: all objects belong to the process's session; every name is interned and released as ORC asks; the buffer's
    // ownership goes to ORC; the entry has the type that `lower` gives every kernel.
    unsafe {
        let session = LLVMOrcLLJITGetExecutionSession(jit.0);
        let library = LLVMOrcExecutionSessionCreateBareJITDylib(session, library_name.as_ptr());
        let loaded = |entry| Loaded { library, entry };
        let result = (|| {
            if !addresses.is_empty() {
                let mut pairs: Vec<LLVMOrcCSymbolMapPair> = addresses
                    .iter()
                    .map(|(name, address)| LLVMOrcCSymbolMapPair {
                        Name: LLVMOrcExecutionSessionIntern(session, name.as_ptr()),
                        Sym: llvm_sys::orc2::LLVMJITEvaluatedSymbol {
                            Address: *address as u64,
                            Flags: LLVMJITSymbolFlags {
                                GenericFlags: LLVMJITSymbolGenericFlags::LLVMJITSymbolGenericFlagsExported as u8
                                    | LLVMJITSymbolGenericFlags::LLVMJITSymbolGenericFlagsCallable as u8,
                                TargetFlags: 0,
                            },
                        },
                    })
                    .collect();
                check(LLVMOrcJITDylibDefine(library, LLVMOrcAbsoluteSymbols(pairs.as_mut_ptr(), pairs.len())))?;
            }
            let bytes = &object.bytes;
            let buffer =
                LLVMCreateMemoryBufferWithMemoryRangeCopy(bytes.as_ptr().cast(), bytes.len(), c"kernel".as_ptr());
            check(LLVMOrcLLJITAddObjectFile(jit.0, library, buffer))?;
            lookup(session, library, &entry_name)
        })();
        match result {
            Ok(address) => Ok(loaded(std::mem::transmute::<usize, KernelFn>(address as usize))),
            Err(e) => {
                let _ = check(LLVMOrcJITDylibClear(library));
                Err(e)
            }
        }
    }
}

/// The address of one symbol of a library.
unsafe fn lookup(session: LLVMOrcExecutionSessionRef, library: LLVMOrcJITDylibRef, name: &CString) -> Result<u64> {
    type Answer = Result<u64>;
    extern "C" fn answer(
        error: llvm_sys::error::LLVMErrorRef,
        pairs: LLVMOrcCSymbolMapPairs,
        n: usize,
        sender: *mut libc::c_void,
    ) {
        // SAFETY: ORC calls this once, with the context given below and, where there is no error, `n` pairs.
        unsafe {
            let sender = Box::from_raw(sender.cast::<std::sync::mpsc::Sender<Answer>>());
            let found = check(error).and_then(|()| {
                let first = (n > 0).then(|| (*pairs).Sym.Address);
                first.ok_or_else(|| Error::Llvm("the object has no such symbol".into()))
            });
            let _ = sender.send(found);
        }
    }
    let (sender, receiver) = std::sync::mpsc::channel::<Answer>();
    let mut order = LLVMOrcCJITDylibSearchOrderElement {
        JD: library,
        JDLookupFlags: LLVMOrcJITDylibLookupFlags::LLVMOrcJITDylibLookupFlagsMatchExportedSymbolsOnly,
    };
    // SAFETY: ORC copies the order and the set; it takes over the interned name; the sender is freed by the answer.
    unsafe {
        let mut set = LLVMOrcCLookupSetElement {
            Name: LLVMOrcExecutionSessionIntern(session, name.as_ptr()),
            LookupFlags: LLVMOrcSymbolLookupFlags::LLVMOrcSymbolLookupFlagsRequiredSymbol,
        };
        LLVMOrcExecutionSessionLookup(
            session,
            LLVMOrcLookupKind::LLVMOrcLookupKindStatic,
            &mut order,
            1,
            &mut set,
            1,
            answer,
            Box::into_raw(Box::new(sender)).cast(),
        );
    }
    receiver.recv().unwrap_or_else(|_| Err(Error::Llvm("linking gave no answer".into())))
}

/// The addresses of the functions that an object calls.
fn resolve(calls: &BTreeSet<String>) -> Result<Vec<(CString, usize)>> {
    if !calls.is_empty() {
        vmath::load().map_err(Error::Missing)?;
    }
    calls
        .iter()
        .map(|name| {
            let address = crate::calls::Call::parse(name)
                .and_then(|c| c.address())
                .ok_or_else(|| Error::Llvm(format!("this machine has no function '{name}'")))?;
            Ok((CString::new(name.as_str()).expect("names of functions have no zero byte"), address))
        })
        .collect()
}
