//! The prebuilt loops: one for each operation and element type, expanded from the table of operations.
//!
//! A loop runs over contiguous elements. Loops of exact operations are ordinary Rust that the compiler vectorises, for the baseline,
//! for AVX2 and for AVX-512; nothing is contracted or reassociated, so all give the table's bits. The transcendental ones
//! are the vector math library's (see `Program::new`).

use std::sync::OnceLock;

use legate_jit_ir::cast::AsType;
use legate_jit_ir::ufunc::native::{Native, c64, c128};
use legate_jit_ir::ufunc::{Signature, meaning as m};
use legate_jit_ir::{DType, Ufunc, ufunc_loops, with_native};
use legate_jit_vmath::{Isa, isa};

use super::casts;

/// `dst[i] = op(args[0][i], …)` for i < n. Every address is aligned for its type, and `dst` overlaps no argument.
pub type Loop = unsafe fn(args: *const *const u8, dst: *mut u8, n: usize);

/// A loop in its forms.
#[derive(Clone, Copy)]
pub struct Loops {
    pub vector: Loop,
    /// The second argument is one element.
    pub second_scalar: Option<Loop>,
    /// The first argument is one element.
    pub first_scalar: Option<Loop>,
}

trait Op1: 'static {
    type A: Native;
    type O: Native;
    fn call(a: Self::A) -> Self::O;
}

trait Op2: 'static {
    type A: Native;
    type B: Native;
    type O: Native;
    fn call(a: Self::A, b: Self::B) -> Self::O;
}

trait Op3: 'static {
    type A: Native;
    type B: Native;
    type C: Native;
    type O: Native;
    fn call(a: Self::A, b: Self::B, c: Self::C) -> Self::O;
}

#[inline(always)]
unsafe fn slice<'a, T>(p: *const u8, n: usize) -> &'a [T] {
    // SAFETY: the caller's promise for this argument.
    unsafe { std::slice::from_raw_parts(p as *const T, n) }
}

#[inline(always)]
unsafe fn slice_mut<'a, T>(p: *mut u8, n: usize) -> &'a mut [T] {
    // SAFETY: the caller's promise for the destination.
    unsafe { std::slice::from_raw_parts_mut(p as *mut T, n) }
}

#[inline(always)]
fn map1<K: Op1>(a: &[K::A], out: &mut [K::O]) {
    for (o, &a) in out.iter_mut().zip(a) {
        *o = K::call(a);
    }
}

#[inline(always)]
fn map2<K: Op2>(a: &[K::A], b: &[K::B], out: &mut [K::O]) {
    for ((o, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *o = K::call(a, b);
    }
}

#[inline(always)]
fn map3<K: Op3>(a: &[K::A], b: &[K::B], c: &[K::C], out: &mut [K::O]) {
    for (((o, &a), &b), &c) in out.iter_mut().zip(a).zip(b).zip(c) {
        *o = K::call(a, b, c);
    }
}

macro_rules! versions {
    ($name:ident, $features:literal) => {
        mod $name {
            use super::*;

            #[target_feature(enable = $features)]
            pub unsafe fn one<K: Op1>(args: *const *const u8, dst: *mut u8, n: usize) {
                // SAFETY: as `Loop` asks.
                unsafe { map1::<K>(slice(*args, n), slice_mut(dst, n)) }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn two<K: Op2>(args: *const *const u8, dst: *mut u8, n: usize) {
                // SAFETY: as `Loop` asks.
                unsafe { map2::<K>(slice(*args, n), slice(*args.add(1), n), slice_mut(dst, n)) }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn vector_scalar<K: Op2>(args: *const *const u8, dst: *mut u8, n: usize) {
                // SAFETY: as `Loop` asks; the second argument has one element.
                unsafe {
                    let b = *(*args.add(1) as *const K::B);
                    for (o, &a) in slice_mut::<K::O>(dst, n).iter_mut().zip(slice::<K::A>(*args, n)) {
                        *o = K::call(a, b);
                    }
                }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn scalar_vector<K: Op2>(args: *const *const u8, dst: *mut u8, n: usize) {
                // SAFETY: as `Loop` asks; the first argument has one element.
                unsafe {
                    let a = *(*args as *const K::A);
                    for (o, &b) in slice_mut::<K::O>(dst, n).iter_mut().zip(slice::<K::B>(*args.add(1), n)) {
                        *o = K::call(a, b);
                    }
                }
            }

            #[target_feature(enable = $features)]
            pub unsafe fn three<K: Op3>(args: *const *const u8, dst: *mut u8, n: usize) {
                // SAFETY: as `Loop` asks.
                unsafe { map3::<K>(slice(*args, n), slice(*args.add(1), n), slice(*args.add(2), n), slice_mut(dst, n)) }
            }
        }
    };
}
versions!(base, "sse2");
versions!(avx2, "avx2,fma,bmi1,bmi2,lzcnt,popcnt");
versions!(avx512, "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,bmi1,bmi2,lzcnt,popcnt");

/// The version for this machine.
macro_rules! best {
    ($($f:tt)*) => {
        match isa() {
            Isa::Base => base::$($f)* as Loop,
            Isa::Avx2 => avx2::$($f)* as Loop,
            Isa::Avx512 => avx512::$($f)* as Loop,
        }
    };
}

fn only(vector: Loop) -> Loops {
    Loops { vector, second_scalar: None, first_scalar: None }
}

type Table = Vec<Vec<(Signature, Loops)>>;

/// The loops of an operation for arguments of these types.
pub fn find(ufunc: Ufunc, ins: &[DType]) -> Option<Loops> {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(table)[ufunc as usize].iter().find(|(s, _)| s.ins() == ins).map(|(_, l)| *l)
}

fn ascribe1<A, O, F: Fn(A) -> O>(f: F) -> F {
    f
}

fn ascribe2<A, B, O, F: Fn(A, B) -> O>(f: F) -> F {
    f
}

fn ascribe3<A, B, C, O, F: Fn(A, B, C) -> O>(f: F) -> F {
    f
}

/// Adds one loop to the table. The types that most arithmetic is done in also get forms with a scalar argument.
macro_rules! entry {
    ([$table:ident] $op:ident ($a:ident) $o:ident $meaning:expr) => {{
        struct K;
        impl Op1 for K {
            type A = $a;
            type O = $o;
            #[inline(always)]
            fn call(a: $a) -> $o {
                ascribe1::<$a, $o, _>($meaning)(a)
            }
        }
        let signature = Signature::new(&[<$a as Native>::DTYPE], <$o as Native>::DTYPE);
        $table[Ufunc::$op as usize].push((signature, only(best!(one::<K>))));
    }};
    ([$table:ident] $op:ident (f64, f64) $o:ident $meaning:expr) => { entry!(@scalar $table $op f64 $o $meaning) };
    ([$table:ident] $op:ident (f32, f32) $o:ident $meaning:expr) => { entry!(@scalar $table $op f32 $o $meaning) };
    ([$table:ident] $op:ident (i64, i64) $o:ident $meaning:expr) => { entry!(@scalar $table $op i64 $o $meaning) };
    ([$table:ident] $op:ident (c128, c128) $o:ident $meaning:expr) => { entry!(@scalar $table $op c128 $o $meaning) };
    ([$table:ident] $op:ident (c64, c64) $o:ident $meaning:expr) => { entry!(@scalar $table $op c64 $o $meaning) };
    (@scalar $table:ident $op:ident $a:ident $o:ident $meaning:expr) => {{
        entry!(@two $a $a $o $meaning);
        let signature = Signature::new(&[<$a as Native>::DTYPE; 2], <$o as Native>::DTYPE);
        let loops = Loops {
            vector: best!(two::<K>),
            second_scalar: Some(best!(vector_scalar::<K>)),
            first_scalar: Some(best!(scalar_vector::<K>)),
        };
        $table[Ufunc::$op as usize].push((signature, loops));
    }};
    ([$table:ident] $op:ident ($a:ident, $b:ident) $o:ident $meaning:expr) => {{
        entry!(@two $a $b $o $meaning);
        let signature = Signature::new(&[<$a as Native>::DTYPE, <$b as Native>::DTYPE], <$o as Native>::DTYPE);
        $table[Ufunc::$op as usize].push((signature, only(best!(two::<K>))));
    }};
    (@two $a:ident $b:ident $o:ident $meaning:expr) => {
        struct K;
        impl Op2 for K {
            type A = $a;
            type B = $b;
            type O = $o;
            #[inline(always)]
            fn call(a: $a, b: $b) -> $o {
                ascribe2::<$a, $b, $o, _>($meaning)(a, b)
            }
        }
    };
    ([$table:ident] $op:ident ($a:ident, $b:ident, $c:ident) $o:ident $meaning:expr) => {{
        struct K;
        impl Op3 for K {
            type A = $a;
            type B = $b;
            type C = $c;
            type O = $o;
            #[inline(always)]
            fn call(a: $a, b: $b, c: $c) -> $o {
                ascribe3::<$a, $b, $c, $o, _>($meaning)(a, b, c)
            }
        }
        let ins = [<$a as Native>::DTYPE, <$b as Native>::DTYPE, <$c as Native>::DTYPE];
        $table[Ufunc::$op as usize].push((Signature::new(&ins, <$o as Native>::DTYPE), only(best!(three::<K>))));
    }};
}

fn table() -> Table {
    let mut table: Table = Ufunc::ALL.iter().map(|_| Vec::new()).collect();
    ufunc_loops!(entry, table);
    table
}

/// `astype`.
pub fn cast(from: DType, to: DType) -> Loop {
    struct K<A, B>(std::marker::PhantomData<fn(A) -> B>);
    impl<A: AsType<B>, B: Native> Op1 for K<A, B> {
        type A = A;
        type O = B;
        #[inline(always)]
        fn call(a: A) -> B {
            a.astype()
        }
    }
    casts::find(from, to).unwrap_or_else(|| with_native!(from, A => with_native!(to, B => best!(one::<K<A, B>>))))
}
