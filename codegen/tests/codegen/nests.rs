//! Nests: what `lower` builds of one, what its code does to memory, and what LLVM must not leave out of it.

use std::ffi::c_void;
use std::sync::Arc;

use legate_jit_codegen::{Compiler, CpuTarget, Options, Sink, Source, Stage, Workshop, warm};
use legate_jit_ir::nest::{Frame, GO_ON, LEFT, OLD_BYTES, Old, view};

/// `v1[i] += v0[i - 1] * 0.5` for each round's `i`, and a product that nobody uses.
const ADDS: &str = "nest ints 3 floats 6 views 2 memories 0 variable i0 {
  v0 = f64 1
  v1 = f64 1 written unit
  i1 = 1
  f1 = 0.5
  0: subtract_int i2 i0 i1
  1: load_f64_1 f0 v0 i2
  2: multiply f2 f0 f1
  3: load_f64_1 f3 v1 i0
  4: add f4 f3 f2
  5: store_f64_1 f4 v1 i0
  6: multiply f5 f3 f3
  7: end_round
}
";

struct Texts(Vec<(Stage, String)>);

impl Sink for Texts {
    fn wants(&self, _: Stage) -> bool {
        true
    }

    fn take(&mut self, stage: Stage, text: &str) {
        self.0.push((stage, text.to_string()));
    }
}

fn text(source: &str, stage: Stage) -> String {
    let source: Source = source.parse().unwrap();
    let mut texts = Texts(Vec::new());
    Workshop::new(&CpuTarget::named("x86-64-v3").unwrap()).unwrap().compile_source(&source, &mut texts).unwrap();
    texts.0.into_iter().find(|(s, _)| *s == stage).unwrap().1
}

#[test]
fn elements_are_checked_and_noted() {
    insta::assert_snapshot!(text(ADDS, Stage::Mlir));
}

#[test]
fn a_product_that_nobody_uses_is_computed() {
    let count = |text: &str| text.matches("mulsd").count();
    let without = ADDS.replace("  6: multiply f5 f3 f3\n  7:", "  6:");
    assert_eq!(count(&text(ADDS, Stage::Asm)), 1 + count(&text(&without, Stage::Asm)));
}

unsafe extern "C" fn no_instruction(_: *mut c_void, _: u64) -> u64 {
    LEFT
}

unsafe extern "C" fn no_refuel(_: *mut c_void) -> u64 {
    LEFT
}

unsafe extern "C" fn no_function(_: *mut c_void, _: u64, _: f64) -> f64 {
    f64::NAN
}

extern "C" fn power(x: f64, y: f64) -> f64 {
    x.powf(y)
}

unsafe extern "C" fn no_dot(_: *mut c_void, _: u64, _: u64, _: *mut u8, _: isize, _: *mut u8, _: isize) -> f64 {
    f64::NAN
}

#[repr(C)]
struct Vector {
    ptr: *mut f64,
    axes: usize,
    shape: [usize; 4],
    strides: [isize; 4],
}

impl Vector {
    fn of(numbers: &mut [f64]) -> Vector {
        Vector { ptr: numbers.as_mut_ptr(), axes: 1, shape: [numbers.len(), 0, 0, 0], strides: [8, 0, 0, 0] }
    }
}

#[test]
fn rounds_write_and_note_and_stop_at_the_end_of_an_array() {
    assert_eq!(size_of::<Vector>(), view::BYTES);
    let Some(target) = CpuTarget::host() else { return };
    let compiler = Compiler::new(Options { target: Some(target), ..Options::default() });
    let Source::Nest(program) = ADDS.parse().unwrap() else { panic!("a nest") };
    let slot = compiler.get_nest(&program);
    assert!(slot.wait().is_none(), "it is no kernel");
    let code = slot.nest().expect("code for this machine");
    let (mut x, mut y) = ([1.0, 2.0, 3.0, 4.0], [10.0, 20.0, 30.0, 40.0]);
    let mut views = [Vector::of(&mut x), Vector::of(&mut y)];
    let (mut ints, mut floats) = ([0i64, 1, 0], [0.0f64; 6]);
    let mut log = [Old { place: 0, bits: 0 }; 8];
    let mut run = |next: i64, rounds: i64, fuel: i64| {
        let mut frame = Frame {
            ints: ints.as_mut_ptr(),
            floats: floats.as_mut_ptr(),
            views: views.as_mut_ptr().cast(),
            log: log.as_mut_ptr(),
            fuel,
            next,
            step: 1,
            rounds,
            last: 0,
            run: std::ptr::null_mut(),
            instruction: no_instruction,
            refuel: no_refuel,
            function: no_function,
            power,
            dot: no_dot,
        };
        // SAFETY: the frame has all that the code reads, and room for what it notes.
        let how = unsafe { code(&raw mut frame) };
        // SAFETY: both are places of the log.
        let noted = unsafe { frame.log.offset_from(log.as_ptr()) };
        (how, frame.rounds, noted, log[0])
    };
    let (how, left, noted, first) = run(0, 2, 100);
    assert_eq!((how, left, noted), (GO_ON, 0, 2));
    // (The index -1 is the last element.)
    assert_eq!((first.place >> OLD_BYTES, first.bits), (8, 10f64.to_bits()));
    // Out of bounds after two rounds, and out of fuel after one.
    assert_eq!(
        {
            let (how, left, noted, _) = run(2, 5, 100);
            (how, left, noted)
        },
        (LEFT, 3, 2)
    );
    assert_eq!(
        {
            let (how, left, noted, _) = run(1, 2, 1);
            (how, left, noted)
        },
        (GO_ON, 1, 1)
    );
    assert_eq!(y, [12.0, 21.0, 31.0, 41.5]);
}

#[test]
fn nests_are_compiled_ahead() {
    let dir = std::env::temp_dir().join(format!("legate-jit-nests-{}", std::process::id()));
    let Some(target) = CpuTarget::host() else { return };
    let texts = [ADDS.to_string()];
    let targets = [warm::Target::Cpu(target.clone()), warm::Target::Gpu("sm_90".into())];
    let made = warm::compile_all(&dir, &texts, &targets, 1, None).unwrap();
    assert_eq!((made.compiled, made.present, made.refused), (1, 0, vec![]));
    let compiler = Compiler::new(Options { target: Some(target), cache: Some(dir.clone()), ..Options::default() });
    let program: legate_jit_ir::nest::Program = ADDS.parse().unwrap();
    assert!(compiler.get_nest(&Arc::new(program)).nest().is_some());
    assert_eq!((compiler.counters().cache_hits, compiler.kernels()), (1, vec![ADDS.to_string()]));
    drop(compiler);
    std::fs::remove_dir_all(dir).unwrap();
}
