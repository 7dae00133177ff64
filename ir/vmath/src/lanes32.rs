//! Vectors of f32 lanes, for the functions that are computed in f32 arithmetic: what [`crate::lanes`] is for f64.

use std::arch::x86_64::*;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Not, Sub};

use crate::lanes::{self, Both, Table, Two, compare_halves, halves};

pub trait Singles: Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> {
    /// One truth value a lane.
    type Mask: Copy + BitAnd<Output = Self::Mask> + BitOr<Output = Self::Mask> + Not<Output = Self::Mask>;

    fn all(x: f32) -> Self;
    /// The first lane's number.
    fn first(self) -> f32;
    /// The lanes of `mask` computed anew, one by one, in f64.
    fn mend2(self, mask: Self::Mask, x: Self, y: Self, f: impl Fn(f64, f64) -> f64) -> Self;

    /// `self * y + z`, rounded once.
    fn fma(self, y: Self, z: Self) -> Self;
    /// `z - self * y`, rounded once.
    fn fnma(self, y: Self, z: Self) -> Self;
    /// `self * y - z`, rounded once.
    fn fms(self, y: Self, z: Self) -> Self;
    fn sqrt(self) -> Self;
    /// `self < y ? self : y`: y where one is NaN.
    fn min(self, y: Self) -> Self;
    /// `self > y ? self : y`: y where one is NaN.
    fn max(self, y: Self) -> Self;
    /// The bits of both.
    fn and(self, y: Self) -> Self;
    fn or(self, y: Self) -> Self;
    fn xor(self, y: Self) -> Self;

    fn lt(self, y: Self) -> Self::Mask;
    fn le(self, y: Self) -> Self::Mask;
    fn eq(self, y: Self) -> Self::Mask;
    /// Not less, or one is NaN.
    fn not_lt(self, y: Self) -> Self::Mask;
    fn any(mask: Self::Mask) -> bool;
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// The lanes as 32-bit integers.
    fn iadd(self, y: Self) -> Self;
    fn isub(self, y: Self) -> Self;
    fn shl<const K: u32>(self) -> Self;
    fn shr<const K: u32>(self) -> Self;
    /// The number that the lane is as a signed integer.
    fn integer_value(self) -> Self;
    /// The lane's nearest integer (ties to even), as an integer.
    fn nearest_integer(self) -> Self;

    /// The entry that the lowest four bits of each lane name.
    fn lookup16(self, table: &Table<f32, 16>) -> Self;
    /// The same with five bits.
    fn lookup32(self, table: &Table<f32, 32>) -> Self;

    /// `self * 2^n`, rounded once, for a normal `self` near 1 and an integer n within ±250.
    fn scale(self, n: Self) -> Self;
    /// True where the lane is no positive normal number.
    fn odd(self) -> Self::Mask;
    /// The highest nine bits as a signed number.
    fn high_bits(self) -> Self;
    /// True where the lane's lowest bit is set.
    fn is_odd(self) -> Self::Mask;
    /// k and m in [3/4, 3/2) of a positive number 2^k m, subnormal ones included; anything where there are none.
    fn exponent_and_rest(self) -> (Self, Self);
    /// A logarithm where x is positive and finite, and what belongs to other x: NaN, infinity, and minus infinity of zero.
    fn log_of_odd(self, x: Self) -> Self;

    #[inline(always)]
    fn bits(x: u32) -> Self {
        Self::all(f32::from_bits(x))
    }

    #[inline(always)]
    fn abs(self) -> Self {
        self.and(Self::bits(0x7fff_ffff))
    }

    #[inline(always)]
    fn sign(self) -> Self {
        self.and(Self::all(-0.0))
    }

    /// The magnitude of a number that is not negative, with the sign of another.
    #[inline(always)]
    fn with_sign(self, of: Self) -> Self {
        self.or(of.sign())
    }

    /// 2^n for an integer n in [-126, 127].
    #[inline(always)]
    fn power(n: Self) -> Self {
        (n + Self::all(MAGIC + 127.0)).shl::<23>()
    }

    /// The same for functions of one argument.
    #[inline(always)]
    fn mend(self, mask: Self::Mask, x: Self, f: impl Fn(f64) -> f64) -> Self {
        self.mend2(mask, x, x, |x, _| f(x))
    }
}

#[cold]
#[inline(never)]
fn mend(r: &mut [f32], chosen: &[f32], x: &[f32], y: &[f32], f: impl Fn(f64, f64) -> f64) {
    for (i, r) in r.iter_mut().enumerate().filter(|(i, _)| chosen[*i] != 0.0) {
        let mut new = [0.0];
        lanes::mend(&mut new, 1, &[x[i] as f64], &[y[i] as f64], &f);
        *r = new[0] as f32;
    }
}

/// 1.5 · 2^23: adding it rounds to an integer, which then stands in the lowest bits.
pub const MAGIC: f32 = 12_582_912.0;

/// c\[0\] + c\[1\] x + …, even and odd terms apart.
#[inline(always)]
pub fn poly<V: Singles, const K: usize>(x: V, c: &[f32; K]) -> V {
    let z = x * x;
    let (mut a, mut b) = (V::all(c[K - 1]), V::all(c[K - 2]));
    for i in (0..K - 2).rev() {
        let r = a.fma(z, V::all(c[i]));
        (a, b) = (b, r);
    }
    a.fma(x, b)
}

/// The same in one chain.
#[inline(always)]
pub fn horner<V: Singles, const K: usize>(x: V, c: &[f32; K]) -> V {
    let mut r = V::all(c[K - 1]);
    for i in (0..K - 1).rev() {
        r = r.fma(x, V::all(c[i]));
    }
    r
}

/// a · b exactly: the product and what it lacks.
#[inline(always)]
pub fn two_product<V: Singles>(a: V, b: V) -> (V, V) {
    let hi = a * b;
    (hi, a.fms(b, hi))
}

/// a + b exactly where a is 0 or not smaller than b: the sum and what it lacks.
#[inline(always)]
pub fn fast_two_sum<V: Singles>(a: V, b: V) -> (V, V) {
    let hi = a + b;
    (hi, b - (hi - a))
}

/// [`Singles::exponent_and_rest`] by the bits.
#[inline(always)]
fn exponent_and_rest<V: Singles>(x: V) -> (V, V) {
    if !V::any(x.odd()) {
        return parts_of_normal(x);
    }
    let small = x.lt(V::all(f32::MIN_POSITIVE));
    let (k, m) = parts_of_normal(V::select(small, x * V::bits((127 + 24) << 23), x));
    (V::select(small, k - V::all(24.0), k), m)
}

// (A function: closures need not be put in line, and where they are not, neither are the instructions in them.)
#[inline(always)]
fn parts_of_normal<V: Singles>(x: V) -> (V, V) {
    let offset = x.isub(V::all(0.75));
    (offset.high_bits(), x.isub(offset.and(V::bits(0x1ff << 23))))
}

#[inline(always)]
fn log_of_odd<V: Singles>(r: V, x: V) -> V {
    if !V::any(x.odd()) {
        return r;
    }
    let r = V::select(x.lt(V::all(f32::INFINITY)), r, x);
    // The NaN that the processors themselves make.
    let r = V::select(x.lt(V::all(0.0)), V::bits(0xffc0_0000), r);
    V::select(x.eq(V::all(0.0)), V::all(f32::NEG_INFINITY), r)
}

/// The first product is exact, the second rounds.
#[inline(always)]
fn scale_in_two<V: Singles>(x: V, n: V) -> V {
    let magic = V::all(MAGIC);
    let half = (n * V::all(0.5) + magic) - magic;
    x * V::power(half) * V::power(n - half)
}

impl Singles for f32 {
    type Mask = bool;

    #[inline(always)]
    fn first(self) -> f32 {
        self
    }
    #[inline(always)]
    fn all(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    fn mend2(self, mask: bool, x: f32, y: f32, f: impl Fn(f64, f64) -> f64) -> f32 {
        if mask {
            let mut r = [self];
            mend(&mut r, &[1.0], &[x], &[y], f);
            r[0]
        } else {
            self
        }
    }
    #[inline(always)]
    fn fma(self, y: f32, z: f32) -> f32 {
        f32::mul_add(self, y, z)
    }
    #[inline(always)]
    fn fnma(self, y: f32, z: f32) -> f32 {
        f32::mul_add(-self, y, z)
    }
    #[inline(always)]
    fn fms(self, y: f32, z: f32) -> f32 {
        f32::mul_add(self, y, -z)
    }
    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn min(self, y: f32) -> f32 {
        if self < y { self } else { y }
    }
    #[inline(always)]
    fn max(self, y: f32) -> f32 {
        if self > y { self } else { y }
    }
    #[inline(always)]
    fn and(self, y: f32) -> f32 {
        f32::from_bits(self.to_bits() & y.to_bits())
    }
    #[inline(always)]
    fn or(self, y: f32) -> f32 {
        f32::from_bits(self.to_bits() | y.to_bits())
    }
    #[inline(always)]
    fn xor(self, y: f32) -> f32 {
        f32::from_bits(self.to_bits() ^ y.to_bits())
    }
    #[inline(always)]
    fn lt(self, y: f32) -> bool {
        self < y
    }
    #[inline(always)]
    fn le(self, y: f32) -> bool {
        self <= y
    }
    #[inline(always)]
    fn eq(self, y: f32) -> bool {
        self == y
    }
    #[inline(always)]
    #[allow(clippy::neg_cmp_op_on_partial_ord)]
    fn not_lt(self, y: f32) -> bool {
        !(self < y)
    }
    #[inline(always)]
    fn any(mask: bool) -> bool {
        mask
    }
    #[inline(always)]
    fn select(mask: bool, yes: f32, no: f32) -> f32 {
        if mask { yes } else { no }
    }
    #[inline(always)]
    fn iadd(self, y: f32) -> f32 {
        f32::from_bits(self.to_bits().wrapping_add(y.to_bits()))
    }
    #[inline(always)]
    fn isub(self, y: f32) -> f32 {
        f32::from_bits(self.to_bits().wrapping_sub(y.to_bits()))
    }
    #[inline(always)]
    fn shl<const K: u32>(self) -> f32 {
        f32::from_bits(self.to_bits() << K)
    }
    #[inline(always)]
    fn shr<const K: u32>(self) -> f32 {
        f32::from_bits(self.to_bits() >> K)
    }
    #[inline(always)]
    fn integer_value(self) -> f32 {
        self.to_bits() as i32 as f32
    }
    #[inline(always)]
    fn nearest_integer(self) -> f32 {
        f32::from_bits(self.round_ties_even() as i32 as u32)
    }
    #[inline(always)]
    fn lookup16(self, table: &Table<f32, 16>) -> f32 {
        table.0[(self.to_bits() & 15) as usize]
    }
    #[inline(always)]
    fn lookup32(self, table: &Table<f32, 32>) -> f32 {
        table.0[(self.to_bits() & 31) as usize]
    }
    #[inline(always)]
    fn scale(self, n: f32) -> f32 {
        scale_in_two(self, n)
    }
    #[inline(always)]
    fn odd(self) -> bool {
        !(f32::MIN_POSITIVE..f32::INFINITY).contains(&self)
    }
    #[inline(always)]
    fn high_bits(self) -> f32 {
        (self.to_bits() as i32 >> 23) as f32
    }
    #[inline(always)]
    fn is_odd(self) -> bool {
        self.to_bits() & 1 != 0
    }
    #[inline(always)]
    fn exponent_and_rest(self) -> (Self, Self) {
        exponent_and_rest(self)
    }
    #[inline(always)]
    fn log_of_odd(self, x: Self) -> Self {
        log_of_odd(self, x)
    }
}

macro_rules! vector {
    ($name:ident, $raw:ty, $lanes:literal, $mask:ty, {$($body:tt)*}, $($op:ident $trait:ident $f:ident,)*) => {
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub struct $name(pub $raw);

        $(
            impl $trait for $name {
                type Output = $name;
                #[inline(always)]
                fn $op(self, y: $name) -> $name {
                    // SAFETY: values of this type exist only below functions that enable its instruction set.
                    unsafe { $name($f(self.0, y.0)) }
                }
            }
        )*

        impl Singles for $name {
            type Mask = $mask;

            #[inline(always)]
            fn mend2(self, mask: $mask, x: Self, y: Self, f: impl Fn(f64, f64) -> f64) -> Self {
                if !Self::any(mask) {
                    return self;
                }
                let chosen = Self::select(mask, Self::all(1.0), Self::all(0.0));
                // SAFETY: registers and arrays are plain bits of one size.
                unsafe {
                    let mut r: [f32; $lanes] = std::mem::transmute(self.0);
                    let [chosen, x, y]: [[f32; $lanes]; 3] = std::mem::transmute([chosen.0, x.0, y.0]);
                    mend(&mut r, &chosen, &x, &y, f);
                    $name(std::mem::transmute::<[f32; $lanes], $raw>(r))
                }
            }
            $($body)*
        }
    };
}

macro_rules! methods {
    // No closures: one that is not inlined passes its vectors through memory.
    ($($name:ident($x:ident $(, $arg:ident)*) = $body:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self $(, $arg: Self)*) -> Self {
                let ($x, $($arg,)*) = (self.0, $($arg.0,)*);
                // SAFETY: values of this type exist only below functions that enable its instruction set.
                unsafe { Self($body) }
            }
        )*
    };
}

vector!(F32x16, __m512, 16, u16, {
    methods! {
        fma(x, y, z) = _mm512_fmadd_ps(x, y, z);
        fnma(x, y, z) = _mm512_fnmadd_ps(x, y, z);
        fms(x, y, z) = _mm512_fmsub_ps(x, y, z);
        sqrt(x) = _mm512_sqrt_ps(x);
        min(x, y) = _mm512_min_ps(x, y);
        max(x, y) = _mm512_max_ps(x, y);
        and(x, y) = _mm512_and_ps(x, y);
        or(x, y) = _mm512_or_ps(x, y);
        xor(x, y) = _mm512_xor_ps(x, y);
        scale(x, n) = _mm512_scalef_ps(x, n);
        iadd(x, y) = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(x), _mm512_castps_si512(y)));
        isub(x, y) = _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(x), _mm512_castps_si512(y)));
        high_bits(x) = _mm512_cvtepi32_ps(_mm512_srai_epi32::<23>(_mm512_castps_si512(x)));
        integer_value(x) = _mm512_cvtepi32_ps(_mm512_castps_si512(x));
        nearest_integer(x) = _mm512_castsi512_ps(_mm512_cvtps_epi32(x));
    }
    #[inline(always)]
    fn first(self) -> f32 {
        // SAFETY: as for the operations.
        unsafe { _mm512_cvtss_f32(self.0) }
    }
    #[inline(always)]
    fn all(x: f32) -> Self {
        // SAFETY: as for the operations.
        unsafe { F32x16(_mm512_set1_ps(x)) }
    }
    #[inline(always)]
    fn lt(self, y: Self) -> u16 {
        // SAFETY: as for the operations.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, y.0) }
    }
    #[inline(always)]
    fn le(self, y: Self) -> u16 {
        // SAFETY: as for the operations.
        unsafe { _mm512_cmp_ps_mask::<_CMP_LE_OQ>(self.0, y.0) }
    }
    #[inline(always)]
    fn eq(self, y: Self) -> u16 {
        // SAFETY: as for the operations.
        unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0, y.0) }
    }
    #[inline(always)]
    fn not_lt(self, y: Self) -> u16 {
        // SAFETY: as for the operations.
        unsafe { _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(self.0, y.0) }
    }
    #[inline(always)]
    fn any(mask: u16) -> bool {
        mask != 0
    }
    #[inline(always)]
    fn select(mask: u16, yes: Self, no: Self) -> Self {
        // SAFETY: as for the operations.
        unsafe { F32x16(_mm512_mask_blend_ps(mask, no.0, yes.0)) }
    }
    #[inline(always)]
    fn shl<const K: u32>(self) -> Self {
        // SAFETY: as for the operations.
        unsafe { F32x16(_mm512_castsi512_ps(_mm512_slli_epi32::<K>(_mm512_castps_si512(self.0)))) }
    }
    #[inline(always)]
    fn shr<const K: u32>(self) -> Self {
        // SAFETY: as for the operations.
        unsafe { F32x16(_mm512_castsi512_ps(_mm512_srli_epi32::<K>(_mm512_castps_si512(self.0)))) }
    }
    #[inline(always)]
    fn lookup16(self, table: &Table<f32, 16>) -> Self {
        // SAFETY: as for the operations; the table has 16 entries.
        unsafe { F32x16(_mm512_permutexvar_ps(_mm512_castps_si512(self.0), _mm512_loadu_ps(table.0.as_ptr()))) }
    }
    #[inline(always)]
    fn lookup32(self, table: &Table<f32, 32>) -> Self {
        // SAFETY: as for the operations; the table has 32 entries.
        unsafe {
            let (p, i) = (table.0.as_ptr(), _mm512_castps_si512(self.0));
            F32x16(_mm512_permutex2var_ps(_mm512_loadu_ps(p), i, _mm512_loadu_ps(p.add(16))))
        }
    }
    #[inline(always)]
    fn odd(self) -> u16 {
        // SAFETY: as for the operations. All classes: NaN, zeros, infinities, subnormals, negative numbers.
        unsafe { _mm512_fpclass_ps_mask::<0xff>(self.0) }
    }
    #[inline(always)]
    fn is_odd(self) -> u16 {
        // SAFETY: as for the operations.
        unsafe { _mm512_test_epi32_mask(_mm512_castps_si512(self.0), _mm512_set1_epi32(1)) }
    }
    #[inline(always)]
    fn exponent_and_rest(self) -> (Self, Self) {
        // SAFETY: as for the operations.
        unsafe {
            let m = _mm512_getmant_ps::<_MM_MANT_NORM_P75_1P5, _MM_MANT_SIGN_ZERO>(self.0);
            (F32x16(_mm512_sub_ps(_mm512_getexp_ps(self.0), _mm512_getexp_ps(m))), F32x16(m))
        }
    }
    #[inline(always)]
    fn log_of_odd(self, x: Self) -> Self {
        // What to put in place of the result for each class of x, four bits each, from the lowest: NaN of both kinds x itself, zero
        // minus infinity, one nothing, minus infinity NaN, infinity itself, negative numbers NaN, positive ones nothing.
        const CHANGES: i32 = 0x0353_0422;
        // SAFETY: as for the operations.
        unsafe { F32x16(_mm512_fixupimm_ps::<0>(self.0, x.0, _mm512_set1_epi32(CHANGES))) }
    }
}, add Add _mm512_add_ps, sub Sub _mm512_sub_ps, mul Mul _mm512_mul_ps, div Div _mm512_div_ps,);

/// A ymm register whose lanes are all ones or all zeros.
#[derive(Clone, Copy)]
pub struct Mask8(__m256);

macro_rules! mask {
    ($($trait:ident $op:ident $f:ident;)*) => {
        $(
            impl $trait for Mask8 {
                type Output = Mask8;
                #[inline(always)]
                fn $op(self, y: Mask8) -> Mask8 {
                    // SAFETY: masks exist only below functions that enable their instruction set.
                    unsafe { Mask8($f(self.0, y.0)) }
                }
            }
        )*
    };
}
mask! { BitAnd bitand _mm256_and_ps; BitOr bitor _mm256_or_ps; }

impl Not for Mask8 {
    type Output = Mask8;
    #[inline(always)]
    fn not(self) -> Mask8 {
        // SAFETY: masks exist only below functions that enable their instruction set.
        unsafe { Mask8(_mm256_xor_ps(self.0, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))) }
    }
}

vector!(F32x8, __m256, 8, Mask8, {
    methods! {
        fma(x, y, z) = _mm256_fmadd_ps(x, y, z);
        fnma(x, y, z) = _mm256_fnmadd_ps(x, y, z);
        fms(x, y, z) = _mm256_fmsub_ps(x, y, z);
        sqrt(x) = _mm256_sqrt_ps(x);
        min(x, y) = _mm256_min_ps(x, y);
        max(x, y) = _mm256_max_ps(x, y);
        and(x, y) = _mm256_and_ps(x, y);
        or(x, y) = _mm256_or_ps(x, y);
        xor(x, y) = _mm256_xor_ps(x, y);
        iadd(x, y) = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), _mm256_castps_si256(y)));
        isub(x, y) = _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(x), _mm256_castps_si256(y)));
        high_bits(x) = _mm256_cvtepi32_ps(_mm256_srai_epi32::<23>(_mm256_castps_si256(x)));
        integer_value(x) = _mm256_cvtepi32_ps(_mm256_castps_si256(x));
        nearest_integer(x) = _mm256_castsi256_ps(_mm256_cvtps_epi32(x));
    }
    #[inline(always)]
    fn first(self) -> f32 {
        // SAFETY: as for the operations.
        unsafe { _mm256_cvtss_f32(self.0) }
    }
    #[inline(always)]
    fn all(x: f32) -> Self {
        // SAFETY: as for the operations.
        unsafe { F32x8(_mm256_set1_ps(x)) }
    }
    #[inline(always)]
    fn lt(self, y: Self) -> Mask8 {
        // SAFETY: as for the operations.
        unsafe { Mask8(_mm256_cmp_ps::<_CMP_LT_OQ>(self.0, y.0)) }
    }
    #[inline(always)]
    fn le(self, y: Self) -> Mask8 {
        // SAFETY: as for the operations.
        unsafe { Mask8(_mm256_cmp_ps::<_CMP_LE_OQ>(self.0, y.0)) }
    }
    #[inline(always)]
    fn eq(self, y: Self) -> Mask8 {
        // SAFETY: as for the operations.
        unsafe { Mask8(_mm256_cmp_ps::<_CMP_EQ_OQ>(self.0, y.0)) }
    }
    #[inline(always)]
    fn not_lt(self, y: Self) -> Mask8 {
        // SAFETY: as for the operations.
        unsafe { Mask8(_mm256_cmp_ps::<_CMP_NLT_UQ>(self.0, y.0)) }
    }
    #[inline(always)]
    fn any(mask: Mask8) -> bool {
        // SAFETY: as for the operations.
        unsafe { _mm256_movemask_ps(mask.0) != 0 }
    }
    #[inline(always)]
    fn select(mask: Mask8, yes: Self, no: Self) -> Self {
        // SAFETY: as for the operations.
        unsafe { F32x8(_mm256_blendv_ps(no.0, yes.0, mask.0)) }
    }
    #[inline(always)]
    fn shl<const K: u32>(self) -> Self {
        // SAFETY: as for the operations.
        unsafe {
            let count = _mm_cvtsi32_si128(K as i32);
            F32x8(_mm256_castsi256_ps(_mm256_sll_epi32(_mm256_castps_si256(self.0), count)))
        }
    }
    #[inline(always)]
    fn shr<const K: u32>(self) -> Self {
        // SAFETY: as for the operations.
        unsafe {
            let count = _mm_cvtsi32_si128(K as i32);
            F32x8(_mm256_castsi256_ps(_mm256_srl_epi32(_mm256_castps_si256(self.0), count)))
        }
    }
    #[inline(always)]
    fn lookup16(self, table: &Table<f32, 16>) -> Self {
        // SAFETY: as for the operations; the table has 16 entries. Both halves are searched by the lowest three bits, and
        // the fourth, moved to the sign, chooses.
        unsafe {
            let (p, i) = (table.0.as_ptr(), _mm256_castps_si256(self.0));
            let low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p), i);
            let high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(p.add(8)), i);
            F32x8(_mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(i))))
        }
    }
    #[inline(always)]
    fn lookup32(self, table: &Table<f32, 32>) -> Self {
        // SAFETY: as for the operations; the mask keeps the index inside the table.
        unsafe {
            let i = _mm256_and_si256(_mm256_castps_si256(self.0), _mm256_set1_epi32(31));
            F32x8(_mm256_i32gather_ps::<4>(table.0.as_ptr(), i))
        }
    }
    #[inline(always)]
    fn odd(self) -> Mask8 {
        !(Self::all(f32::MIN_POSITIVE).le(self) & self.lt(Self::all(f32::INFINITY)))
    }
    #[inline(always)]
    fn is_odd(self) -> Mask8 {
        let one = Self::bits(1);
        // SAFETY: as for the operations.
        unsafe {
            let (bit, one) = (_mm256_castps_si256(self.and(one).0), _mm256_castps_si256(one.0));
            Mask8(_mm256_castsi256_ps(_mm256_cmpeq_epi32(bit, one)))
        }
    }
    #[inline(always)]
    fn exponent_and_rest(self) -> (Self, Self) {
        exponent_and_rest(self)
    }
    #[inline(always)]
    fn log_of_odd(self, x: Self) -> Self {
        log_of_odd(self, x)
    }
    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        scale_in_two(self, n)
    }
}, add Add _mm256_add_ps, sub Sub _mm256_sub_ps, mul Mul _mm256_mul_ps, div Div _mm256_div_ps,);

impl<V: Singles> Singles for Two<V> {
    type Mask = Both<V::Mask>;

    halves! {
        fma(y, z); fnma(y, z); fms(y, z); sqrt(); min(y); max(y); and(y); or(y); xor(y); iadd(y); isub(y); scale(n); high_bits();
        integer_value(); nearest_integer(); log_of_odd(x);
    }
    compare_halves! { lt le eq not_lt }
    #[inline(always)]
    fn first(self) -> f32 {
        self.0.first()
    }
    #[inline(always)]
    fn all(x: f32) -> Self {
        Two(V::all(x), V::all(x))
    }
    #[inline(always)]
    fn mend2(self, mask: Self::Mask, x: Self, y: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        if Self::any(mask) { Two(self.0.mend2(mask.0, x.0, y.0, &f), self.1.mend2(mask.1, x.1, y.1, &f)) } else { self }
    }
    #[inline(always)]
    fn any(mask: Self::Mask) -> bool {
        V::any(mask.0 | mask.1)
    }
    #[inline(always)]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        Two(V::select(mask.0, yes.0, no.0), V::select(mask.1, yes.1, no.1))
    }
    #[inline(always)]
    fn shl<const K: u32>(self) -> Self {
        Two(self.0.shl::<K>(), self.1.shl::<K>())
    }
    #[inline(always)]
    fn shr<const K: u32>(self) -> Self {
        Two(self.0.shr::<K>(), self.1.shr::<K>())
    }
    #[inline(always)]
    fn lookup16(self, table: &Table<f32, 16>) -> Self {
        Two(self.0.lookup16(table), self.1.lookup16(table))
    }
    #[inline(always)]
    fn lookup32(self, table: &Table<f32, 32>) -> Self {
        Two(self.0.lookup32(table), self.1.lookup32(table))
    }
    #[inline(always)]
    fn odd(self) -> Self::Mask {
        Both(self.0.odd(), self.1.odd())
    }
    #[inline(always)]
    fn is_odd(self) -> Self::Mask {
        Both(self.0.is_odd(), self.1.is_odd())
    }
    #[inline(always)]
    fn exponent_and_rest(self) -> (Self, Self) {
        let ((j, m), (k, n)) = (self.0.exponent_and_rest(), self.1.exponent_and_rest());
        (Two(j, k), Two(m, n))
    }
}
