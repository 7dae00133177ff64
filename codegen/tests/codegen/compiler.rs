//! The service around the compiler: nobody waits, equal kernels share code, a process that forks or ends stays in one piece.

use legate_jit_codegen::{Compiler, CpuTarget, Options};
use legate_jit_ir::{DType, Ufunc};

use crate::harness::one_op;

/// More operations than any kernel needs to be worth compiling.
const MUCH: u64 = 1 << 40;

fn binary(op: Ufunc) -> legate_jit_ir::Kernel {
    one_op(op, &[DType::F64, DType::F64], DType::F64)
}

#[test]
fn equal_kernels_share_a_slot() {
    let compiler = Compiler::new(Options::default());
    let a = compiler.get(&binary(Ufunc::Add));
    let b = compiler.get(&binary(Ufunc::Add));
    assert!(std::sync::Arc::ptr_eq(&a, &b));
    let c = compiler.get(&binary(Ufunc::Multiply));
    assert!(!std::sync::Arc::ptr_eq(&a, &c));
    assert!(a.wait().is_some() && c.wait().is_some());
    assert!(a.entry().is_some());
    assert_eq!(compiler.counters().kernels_compiled, 2);
    assert!(compiler.counters().compile_ns > 0);
}

#[test]
fn getting_a_slot_waits_for_nothing() {
    let compiler = Compiler::new(Options::default());
    let ops = [Ufunc::Add, Ufunc::Subtract, Ufunc::Multiply, Ufunc::Divide, Ufunc::Maximum, Ufunc::Hypot, Ufunc::Fmod];
    let slots: Vec<_> = ops.iter().map(|&op| compiler.get(&binary(op))).collect();
    slots.iter().for_each(|s| s.worked(MUCH));
    // One thread compiles them one after the other, so the last can't be there already.
    assert!(slots.last().unwrap().entry().is_none());
    compiler.wait_all();
    assert!(slots.iter().all(|s| s.entry().is_some()));
}

#[test]
fn it_is_at_work_from_the_first_kernel_to_the_last() {
    let compiler = Compiler::new(Options::default());
    let slots = [Ufunc::Add, Ufunc::Hypot].map(|op| compiler.get(&binary(op)));
    assert!(!compiler.is_at_work(), "nobody has asked for code");
    slots.iter().for_each(|s| s.worked(MUCH));
    assert!(compiler.is_at_work());
    // Who works on meanwhile goes on with what there is, however much that was, unless the processor is the only one.
    let several = std::thread::available_parallelism().unwrap().get() > 1;
    assert!(slots[1].code_or_work(1).is_none() || !several || slots[1].is_settled());
    compiler.wait_all();
    // (The last one is there a moment before it is counted.)
    let since = std::time::Instant::now();
    while compiler.is_at_work() && since.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(!compiler.is_at_work());
    let shut = compiler.get(&binary(Ufunc::Fmod));
    compiler.shut_down();
    shut.worked(MUCH);
    assert!(!compiler.is_at_work(), "nobody is left");
}

#[test]
fn only_what_works_much_is_compiled() {
    let compiler = Compiler::new(Options::default());
    let slot = compiler.get(&binary(Ufunc::Add));
    for _ in 0..100 {
        slot.worked(100);
    }
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert!(slot.entry().is_none() && compiler.counters().kernels_compiled == 0);
    slot.worked(MUCH);
    // Nobody waits, but it comes.
    let since = std::time::Instant::now();
    while slot.entry().is_none() && since.elapsed().as_secs() < 60 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    assert!(slot.entry().is_some());
}

#[test]
fn what_cannot_be_compiled_leaves_its_slot_empty() {
    let compiler = Compiler::new(Options::default());
    let gcd = compiler.get(&one_op(Ufunc::Gcd, &[DType::I64, DType::I64], DType::I64));
    assert!(gcd.wait().is_none());
    assert!(gcd.error().is_some());
    let refused = compiler.refused();
    assert!(
        refused.len() == 1 && refused[0].0.contains("gcd") && refused[0].1.contains("no vector form"),
        "{refused:?}"
    );
    assert_eq!(compiler.counters().kernels_refused, 1);
    assert!(compiler.get(&binary(Ufunc::Add)).wait().is_some(), "the service goes on");
    let nothing = Compiler::new(Options { target: None, ..Options::default() });
    assert!(nothing.get(&binary(Ufunc::Add)).wait().is_none());
}

#[test]
fn shutting_down() {
    let compiler = Compiler::new(Options::default());
    let slot = compiler.get(&binary(Ufunc::Add));
    let entry = slot.wait();
    assert!(entry.is_some());
    compiler.shut_down();
    assert!(slot.entry().is_some(), "code that is there stays");
    assert!(compiler.get(&binary(Ufunc::Divide)).wait().is_none(), "nobody is left to compile");
}

#[test]
fn a_forked_child_compiles_for_itself() {
    let compiler = Compiler::new(Options::default());
    let before = compiler.get(&binary(Ufunc::Add));
    // Left in the queue, or being compiled, when the fork comes.
    let pending: Vec<_> =
        [Ufunc::Subtract, Ufunc::Multiply, Ufunc::Divide].iter().map(|&op| compiler.get(&binary(op))).collect();
    pending.iter().for_each(|s| s.worked(MUCH));
    // SAFETY: the child only compiles, and leaves by _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // (What the parent has begun is nothing that the child's loops have to leave room for.)
        let ok = !compiler.is_at_work()
            && before.wait().is_some()
            && pending.iter().all(|s| s.wait().is_some())
            && compiler.get(&binary(Ufunc::Maximum)).wait().is_some();
        // SAFETY: ends the child without running the parent's handlers.
        unsafe { libc::_exit(if ok { 7 } else { 1 }) };
    }
    assert_eq!(exit_status(child), Some(7));
    assert!(pending.iter().all(|s| s.wait().is_some()), "the parent goes on");
}

/// What a child exits with; None where a signal ended it. One that hangs is a failure too.
fn exit_status(child: libc::pid_t) -> Option<i32> {
    let mut status = 0;
    for _ in 0..6000 {
        // SAFETY: waits for a child of this process.
        if unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == child {
            return libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // SAFETY: ends a child of this process.
    unsafe { libc::kill(child, libc::SIGKILL) };
    panic!("the child hangs");
}

#[test]
fn ending_in_the_middle_of_a_compilation() {
    // The process ends while its thread compiles, a little later each time, and no compiler is dropped.
    for ms in (0..60).step_by(3) {
        // SAFETY: the child only compiles, and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let compiler = std::mem::ManuallyDrop::new(Compiler::new(Options::default()));
            for &op in Ufunc::ALL {
                for signature in op.signatures() {
                    compiler.get(&one_op(op, signature.ins(), signature.out)).worked(MUCH);
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(ms));
            // SAFETY: this is the child's main and only thread but the compiler's.
            unsafe { libc::exit(7) };
        }
        assert_eq!(exit_status(child), Some(7), "after {ms} ms");
    }
}

#[test]
fn targets_by_name() {
    let zen = CpuTarget::named("znver4").unwrap();
    assert_eq!(zen.to_string(), "x86-64-v4 tuned for znver4");
    assert_eq!(CpuTarget::named("x86-64-v3").unwrap().to_string(), "x86-64-v3");
    let unknown = CpuTarget::named("pentium").unwrap_err().to_string();
    assert!(unknown.starts_with("target: unknown processor 'pentium'; known are x86-64-v2"), "{unknown}");
}

#[test]
fn every_target_with_a_name_compiles() {
    for name in ["nehalem", "x86-64-v2", "x86-64-v3", "haswell", "x86-64-v4", "sapphirerapids", "znver5"] {
        let target = CpuTarget::named(name).unwrap();
        let object = legate_jit_codegen::compile(&binary(Ufunc::Logaddexp), &target, &mut ()).unwrap();
        assert!(object.bytes.starts_with(b"\x7fELF"));
        assert_eq!(object.features, target.level.name());
        // Two functions: the whole vectors' variants, and those of masked vectors or of single points.
        assert_eq!(object.calls.len(), 4, "{:?}", object.calls);
    }
}
