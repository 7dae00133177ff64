//! Nests: what `lower` builds of one, what its code does to memory, and what LLVM must not leave out of it.

use std::ffi::c_void;
use std::sync::Arc;

use legate_jit_codegen::{Compiler, CpuTarget, Options, Sink, Source, Stage, Workshop, warm};
use legate_jit_ir::nest::{Frame, GO_ON, LEFT, OLD_BYTES, OLD_ROW, Old, PACKED, SHORT, view};

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

/// `v1 += v0 * 0.5`, whole rows.
const ROWS: &str = "nest ints 1 floats 1 views 4 memories 1 variable i0 {
  v0 = f64 1
  v1 = f64 1 written
  f0 = 0.5
  0: number_f64 v2 f0
  1: map_f64 v3 v0 v2 m0 2
  2: update_f64 v1 v3 0
  3: end_round
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

/// How often orbits visit each part of an interval: the inner loop's rounds wait for each other, the outer one's do not.
const ORBITS: &str = "nest ints 20 floats 9 views 2 memories 0 variable i0 {
  v0 = i64 2 written
  v1 = f64 1
  i4 = 1
  f0 = 0.5
  f7 = 1.0
  0: move_float f1 f0
  1: start_range i6 i1 i2 i4
  2: next_of_range i6 i9 ->13
  3: load_f64_1 f2 v1 i0
  4: multiply f3 f2 f1
  5: subtract f4 f7 f1
  6: multiply f1 f3 f4
  7: multiply f5 f1 f8
  8: to_int i10 f5
  9: load_i64_2 i11 v0 i0 i10
  10: add_int i11 i11 i4
  11: store_i64_2 i11 v0 i0 i10
  12: again i6 i9 ->3
  13: end_round
}
";

#[test]
fn rounds_that_wait_are_done_beside_each_other() {
    // Four beside each other; one alone, with its elements foreseen, and without.
    let count = |text: &str| text.matches("mulsd").count();
    assert_eq!(count(&text(ORBITS, Stage::Asm)), 3 * (4 + 1 + 1));
    // Not where a round begins with what the one before has left.
    let carried = ORBITS.replace("0: move_float f1 f0", "0: move_float f3 f0");
    assert_eq!(count(&text(&carried, Stage::Asm)), 3 * (1 + 1));
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

unsafe extern "C" fn no_memory(
    _: *mut c_void,
    _: u64,
    _: u64,
    _: *mut u8,
    _: *mut u8,
    _: *mut u8,
    _: *mut u8,
) -> *mut u8 {
    std::ptr::null_mut()
}

unsafe extern "C" fn no_dot(_: *mut c_void, _: u64, _: u64, _: *mut u8, _: isize, _: *mut u8, _: isize) -> f64 {
    f64::NAN
}

/// A frame whose calls fail.
fn frame(log: *mut Old) -> Frame {
    Frame {
        ints: std::ptr::null_mut(),
        floats: std::ptr::null_mut(),
        views: std::ptr::null_mut(),
        log,
        room: 0,
        fuel: 100,
        next: 0,
        step: 1,
        rounds: 0,
        last: 0,
        apart: 0,
        mapped: 0,
        maps: 0,
        run: std::ptr::null_mut(),
        instruction: no_instruction,
        refuel: no_refuel,
        widen: no_refuel,
        function: no_function,
        power,
        dot: no_dot,
        reduce: no_reduce,
        dots: [std::ptr::null(); 2],
        gaps: 0,
        short: 0,
        packed: 0,
        rounded: 0,
        memory: no_memory,
    }
}

unsafe extern "C" fn no_reduce(_: *mut c_void, _: u64, _: u64, _: *mut u8, _: isize) -> f64 {
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
        let mut frame = frame(log.as_mut_ptr());
        (frame.ints, frame.floats) = (ints.as_mut_ptr(), floats.as_mut_ptr());
        (frame.views, frame.fuel, frame.next, frame.rounds) = (views.as_mut_ptr().cast(), fuel, next, rounds);
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
fn maps_and_what_is_done_with_them_are_one_loop_of_vectors() {
    let vectors = |source: &str| {
        let asm = text(source, Stage::Asm);
        let of = |name: &str| asm.lines().filter(|line| line.trim().starts_with(name) && line.contains("ymm")).count();
        (of("vmulpd"), of("vaddpd"))
    };
    // With neighbours and with others.
    assert_eq!(vectors(ROWS), (2, 2));
}

#[test]
fn rows_are_noted_once_and_left_alone_where_they_do_not_fit() {
    let Some(target) = CpuTarget::host() else { return };
    let compiler = Compiler::new(Options { target: Some(target), ..Options::default() });
    let Source::Nest(program) = ROWS.parse().unwrap() else { panic!("a nest") };
    let slot = compiler.get_nest(&program);
    assert!(slot.wait().is_none(), "it is no kernel");
    let code = slot.nest().expect("code for this machine");
    let run = |from: &mut [f64], to: Vector, rounds: i64, room: i64| {
        let mut views = [Vector::of(from), to, Vector::of(&mut []), Vector::of(&mut [])];
        let (mut ints, mut floats) = ([0i64], [0.5f64]);
        let mut log = [Old { place: 0, bits: 0 }; 16];
        let mut frame = frame(log.as_mut_ptr());
        (frame.ints, frame.floats) = (ints.as_mut_ptr(), floats.as_mut_ptr());
        (frame.views, frame.rounds, frame.room) = (views.as_mut_ptr().cast(), rounds, room);
        // SAFETY: the frame has all that the code reads, and room for what it notes.
        let how = unsafe { code(&raw mut frame) };
        // SAFETY: both are places of the log.
        let noted = unsafe { frame.log.offset_from(log.as_ptr()) } as usize;
        (how, (frame.mapped, frame.maps), log[..noted].to_vec())
    };
    for n in [1usize, 4, 7] {
        let (mut x, mut y) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [10.0; 7]);
        let to = Vector::of(&mut y[..n]);
        let begin = to.ptr.addr() as u64;
        let (how, counted, log) = run(&mut x[..n], to, 2, 1000);
        assert_eq!((how, counted), (GO_ON, (4 * n as u64, 4)));
        let want: Vec<f64> = (0..7).map(|k| if k < n { 10.0 + (k + 1) as f64 } else { 10.0 }).collect();
        assert_eq!(y.to_vec(), want);
        // The old elements, in pairs, then what they were of.
        let places = n.div_ceil(2);
        let old: Vec<u64> = log[..places].iter().flat_map(|old| [old.place, old.bits]).collect();
        assert!((0..n).all(|k| old[k] == 10f64.to_bits()) && (n % 2 == 0 || old[n] == 0));
        let ends = [(8, n as u64), (begin | (OLD_ROW | 8) << OLD_BYTES, 0)];
        assert_eq!(log[places..].iter().map(|old| (old.place, old.bits)).collect::<Vec<_>>(), ends);
    }
    // No room to note them; other lengths; memory that is shared, and no memory of its own.
    let (mut x, mut y) = ([1.0; 4], [10.0; 5]);
    assert_eq!(run(&mut x, Vector::of(&mut y[..4]), 1, 63), (LEFT, (0, 0), vec![]));
    assert_eq!(run(&mut x, Vector::of(&mut y), 1, 1000), (LEFT, (0, 0), vec![]));
    let shared = Vector { ptr: x.as_mut_ptr().wrapping_add(1), shape: [3, 0, 0, 0], ..Vector::of(&mut y) };
    assert_eq!(run(&mut x[..3], shared, 1, 1000).0, LEFT);
    assert_eq!((x, y), ([1.0; 4], [10.0; 5]));
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

/// Sums of products, of the first ones from the last to the first in one vector.
const PRODUCTS: &str = "nest ints 1 floats 1 views 6 memories 0 variable i0 {
  v0 = f64 1
  v1 = f64 1
  v2 = f64 1 written
  x0 = - : i0 by 1
  x1 = - : - by -1
  0: index v3 v0 x0 1
  1: index v4 v1 x0 1
  2: index v5 v3 x1 1
  3: dot_f64 f0 v5 v4 1
  4: store_f64_1 f0 v2 i0
  5: end_round
}
";

/// Adds products that are left over to a sum, rounded ones or not.
fn left_over(sum: f64, pairs: &[(f64, f64)], rounded: bool) -> f64 {
    pairs.iter().fold(sum, |sum, &(x, y)| if rounded { sum + x * y } else { x.mul_add(y, sum) })
}

/// The sum of products in four vectors of so many sums.
fn packed<const N: usize>(pairs: &[(f64, f64)], rounded: bool) -> f64 {
    let mut sums = [[0.0f64; N]; PACKED];
    let long = pairs.len() & !(N * PACKED - 1);
    let add = |sums: &mut [[f64; N]; PACKED], pairs: &[(f64, f64)], lanes: usize| {
        for (k, &(x, y)) in pairs.iter().enumerate() {
            let sum = &mut sums[k / lanes % PACKED][k % lanes];
            *sum = x.mul_add(y, *sum);
        }
    };
    add(&mut sums, &pairs[..long], N);
    let whole = pairs.len() & !(4 * PACKED - 1);
    if N == 8 {
        sums.iter_mut().for_each(|v| (0..4).for_each(|k| v[k] += v[k + 4]));
        add(&mut sums, &pairs[long..whole], 4);
    }
    let halves = |v: [f64; 4]| [v[0] + v[2], v[1] + v[3]];
    let four = sums.map(|v| [v[0], v[1], v[2], v[3]]);
    let two = match N {
        8 => halves([0, 1, 2, 3].map(|k| ((four[0][k] + four[1][k]) + four[2][k]) + four[3][k])),
        _ => [0, 1].map(|k| {
            let of = |n: usize| halves(four[n])[k];
            (of(0) + of(1)) + (of(2) + of(3))
        }),
    };
    left_over(two[0] + two[1], &pairs[whole..], rounded)
}

#[test]
fn products_are_added_up_in_the_order_that_is_told() {
    type Sum = fn(&[(f64, f64)], bool) -> f64;
    let (fours, eights): (Sum, Sum) = (packed::<4>, packed::<8>);
    // (The last one has vectors of four elements, as others are of no use to it.)
    let targets = [("x86-64-v3", 4, true, fours), ("x86-64-v4", 8, false, eights), ("znver4", 8, false, eights)];
    for (name, width, rounded, sum) in targets {
        let target = CpuTarget::named(name).unwrap();
        if !target.runs_here() {
            continue;
        }
        let compiler = Compiler::new(Options { target: Some(target), ..Options::default() });
        let Source::Nest(program) = PRODUCTS.parse().unwrap() else { panic!("a nest") };
        let slot = compiler.get_nest(&program);
        assert!(slot.wait().is_none(), "it is no kernel");
        let code = slot.nest().expect("code for this machine");
        const ALL: usize = 150;
        let mut x: Vec<f64> = (0..ALL).map(|k| (k as f64 * 0.7).sin()).collect();
        let mut y: Vec<f64> = (0..ALL).map(|k| (k as f64 * 1.3).cos()).collect();
        let mut out = vec![0.0; ALL];
        let run = |orders: [i64; 3], x: &mut [f64], y: &mut [f64], out: &mut [f64]| {
            let mut views = [x, y, out, &mut [], &mut [], &mut []].map(Vector::of);
            let (mut ints, mut floats) = ([0i64], [0.0f64]);
            let mut log = vec![Old { place: 0, bits: 0 }; 2 * ALL];
            let mut frame = frame(log.as_mut_ptr());
            (frame.ints, frame.floats) = (ints.as_mut_ptr(), floats.as_mut_ptr());
            (frame.views, frame.next, frame.rounds, frame.fuel) = (views.as_mut_ptr().cast(), 1, ALL as i64 - 1, 1000);
            [frame.short, frame.packed, frame.rounded] = orders;
            // SAFETY: the frame has all that the code reads, and room for what it notes.
            unsafe { code(&raw mut frame) }
        };
        assert_eq!(run([1, width, rounded as i64], &mut x, &mut y, &mut out), GO_ON);
        for n in 1..ALL {
            let pairs: Vec<(f64, f64)> = (0..n).map(|k| (x[n - 1 - k], y[k])).collect();
            let want = if n < SHORT { left_over(0.0, &pairs, rounded) } else { sum(&pairs, rounded) };
            assert_eq!(out[n].to_bits(), want.to_bits(), "{name} {n}");
        }
        // Where the order is another one somebody else is asked.
        for other in [[0, 12, rounded as i64], [1, width, !rounded as i64]] {
            assert_eq!(run(other, &mut x, &mut y, &mut out), GO_ON);
            assert!(out[1..].iter().all(|sum| sum.is_nan()));
        }
    }
}
