//! Vectors of f64 lanes: what the algorithms are written in. Three types implement [`Lanes`], one number, a ymm and a zmm
//! register, and every operation gives the same bits in all of them, so that one text of a function serves every width.
//!
//! The vector types are made and used only below functions that enable their instruction sets (see [`crate::vector`]);
//! that is what makes the intrinsics here sound. `f64` needs nothing: without FMA instructions its `fma` is the C library's
//! exact one, slow but equal.

use std::arch::x86_64::*;
use std::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use crate::{Isa, isa};

pub trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// One truth value a lane.
    type Mask: Copy + BitAnd<Output = Self::Mask> + BitOr<Output = Self::Mask> + Not<Output = Self::Mask>;

    /// How many.
    const LANES: usize;

    fn all(x: f64) -> Self;
    /// The first lane's number.
    fn first(self) -> f64;
    /// A function of each lane.
    fn map(self, f: impl Fn(f64) -> f64) -> Self;
    /// The lanes of `mask` computed anew, one by one.
    fn mend2(self, mask: Self::Mask, x: Self, y: Self, f: impl Fn(f64, f64) -> f64) -> Self;

    /// `self * y + z`, rounded once.
    fn fma(self, y: Self, z: Self) -> Self;
    /// `z - self * y`, rounded once.
    fn fnma(self, y: Self, z: Self) -> Self;
    /// `self * y - z`, rounded once.
    fn fms(self, y: Self, z: Self) -> Self;
    fn sqrt(self) -> Self;
    fn abs(self) -> Self;
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
    fn any(mask: Self::Mask) -> bool;
    /// A bit for each lane, the first one lowest.
    fn chosen(mask: Self::Mask) -> u32;
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// The lanes as 64-bit integers.
    fn iadd(self, y: Self) -> Self;
    fn isub(self, y: Self) -> Self;
    fn shl<const K: u32>(self) -> Self;
    fn shr<const K: u32>(self) -> Self;

    /// The entry that the lowest four bits of each lane name.
    fn lookup16(self, table: &Table<f64, 16>) -> Self;
    /// The same with five bits.
    fn lookup32(self, table: &Table<f64, 32>) -> Self;
    /// True where the lane is no positive normal number.
    fn odd(self) -> Self::Mask;
    /// The highest twelve bits as a signed number.
    fn high_bits(self) -> Self;
    /// `self * 2^n`, rounded once, for a normal `self` near 1 and an integer n within ±2040.
    fn scale(self, n: Self) -> Self;

    #[inline(always)]
    fn bits(x: u64) -> Self {
        Self::all(f64::from_bits(x))
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

    /// 2^n for an integer n in [-1022, 1023].
    #[inline(always)]
    fn power(n: Self) -> Self {
        (n + Self::all(MAGIC + 1023.0)).shl::<52>()
    }

    #[inline(always)]
    fn mend(self, mask: Self::Mask, x: Self, f: impl Fn(f64) -> f64) -> Self {
        self.mend2(mask, x, x, |x, _| f(x))
    }
}

/// A table that begins a line of the cache, so that no load of a whole register crosses one.
#[repr(align(64))]
pub struct Table<T, const N: usize>(pub [T; N]);

/// Never inlined, so that the usual path spills nothing for it.
#[cold]
#[inline(never)]
pub fn mend(r: &mut [f64], chosen: u32, x: &[f64], y: &[f64], f: impl Fn(f64, f64) -> f64) {
    if isa() >= Isa::Avx2 {
        // SAFETY: the machine has these instructions.
        unsafe { mend_fma(r, chosen, x, y, f) }
    } else {
        mend_each(r, chosen, x, y, f);
    }
}

#[target_feature(enable = "avx2,fma")]
fn mend_fma(r: &mut [f64], chosen: u32, x: &[f64], y: &[f64], f: impl Fn(f64, f64) -> f64) {
    mend_each(r, chosen, x, y, f);
}

#[inline(always)]
fn mend_each(r: &mut [f64], mut chosen: u32, x: &[f64], y: &[f64], f: impl Fn(f64, f64) -> f64) {
    while chosen != 0 {
        let i = chosen.trailing_zeros() as usize;
        r[i] = f(x[i], y[i]);
        chosen &= chosen - 1;
    }
}

/// 1.5 · 2^52: adding it rounds to an integer, which then stands in the lowest bits.
pub const MAGIC: f64 = 6_755_399_441_055_744.0;

/// The nearest integer (ties to even) of x below 2^51.
#[inline(always)]
pub fn round<V: Lanes>(x: V) -> V {
    (x + V::all(MAGIC)) - V::all(MAGIC)
}

/// The nearest integer to x·y.
#[inline(always)]
pub fn round_product<V: Lanes>(x: V, y: f64) -> V {
    x.fma(V::all(y), V::all(MAGIC)) - V::all(MAGIC)
}

/// c\[0\] + c\[1\] x + …, even and odd terms apart, which halves the length of the chain of operations.
#[inline(always)]
pub fn poly<V: Lanes, const K: usize>(x: V, c: &[f64; K]) -> V {
    if K < 5 {
        let mut r = V::all(c[K - 1]);
        for i in (0..K - 1).rev() {
            r = r.fma(x, V::all(c[i]));
        }
        return r;
    }
    let z = x * x;
    let (top, below) = (V::all(c[K - 1]), V::all(c[K - 2]));
    let (mut a, mut b) = (top, below);
    for i in (0..K - 2).rev() {
        // a holds the terms of the parity of i.
        let r = a.fma(z, V::all(c[i]));
        (a, b) = (b, r);
    }
    // The last one computed, b, is the even part.
    a.fma(x, b)
}

/// A number as an unevaluated sum.
#[derive(Clone, Copy)]
pub struct Double<V> {
    pub hi: V,
    pub lo: V,
}

/// a + b exactly (Knuth).
#[inline(always)]
pub fn two_sum<V: Lanes>(a: V, b: V) -> Double<V> {
    let hi = a + b;
    let t = hi - a;
    Double { hi, lo: (a - (hi - t)) + (b - t) }
}

/// a + b exactly where a is 0 or not smaller than b (Dekker).
#[inline(always)]
pub fn fast_two_sum<V: Lanes>(a: V, b: V) -> Double<V> {
    let hi = a + b;
    Double { hi, lo: b - (hi - a) }
}

/// a · b exactly.
#[inline(always)]
pub fn two_product<V: Lanes>(a: V, b: V) -> Double<V> {
    let hi = a * b;
    Double { hi, lo: a.fms(b, hi) }
}

impl<V: Lanes> Double<V> {
    /// n / d to some 100 bits, with one division.
    #[inline(always)]
    pub fn quotient(n: Double<V>, d: Double<V>) -> Double<V> {
        let y = V::all(1.0) / d.hi;
        let q = n.hi * y;
        let rest = q.fnma(d.hi, n.hi) + q.fnma(d.lo, n.lo);
        Double { hi: q, lo: rest * y }
    }

    #[inline(always)]
    pub fn sum(self) -> V {
        self.hi + self.lo
    }
}

impl Lanes for f64 {
    const LANES: usize = 1;
    type Mask = bool;

    #[inline(always)]
    fn all(x: f64) -> f64 {
        x
    }
    #[inline(always)]
    fn first(self) -> f64 {
        self
    }
    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> f64 {
        f(self)
    }
    #[inline(always)]
    fn mend2(self, mask: bool, x: f64, y: f64, f: impl Fn(f64, f64) -> f64) -> f64 {
        if mask {
            let mut r = [self];
            mend(&mut r, 1, &[x], &[y], f);
            r[0]
        } else {
            self
        }
    }
    #[inline(always)]
    fn fma(self, y: f64, z: f64) -> f64 {
        f64::mul_add(self, y, z)
    }
    #[inline(always)]
    fn fnma(self, y: f64, z: f64) -> f64 {
        f64::mul_add(-self, y, z)
    }
    #[inline(always)]
    fn fms(self, y: f64, z: f64) -> f64 {
        f64::mul_add(self, y, -z)
    }
    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> f64 {
        f64::abs(self)
    }
    #[inline(always)]
    fn min(self, y: f64) -> f64 {
        if self < y { self } else { y }
    }
    #[inline(always)]
    fn max(self, y: f64) -> f64 {
        if self > y { self } else { y }
    }
    #[inline(always)]
    fn and(self, y: f64) -> f64 {
        f64::from_bits(self.to_bits() & y.to_bits())
    }
    #[inline(always)]
    fn or(self, y: f64) -> f64 {
        f64::from_bits(self.to_bits() | y.to_bits())
    }
    #[inline(always)]
    fn xor(self, y: f64) -> f64 {
        f64::from_bits(self.to_bits() ^ y.to_bits())
    }
    #[inline(always)]
    fn lt(self, y: f64) -> bool {
        self < y
    }
    #[inline(always)]
    fn le(self, y: f64) -> bool {
        self <= y
    }
    #[inline(always)]
    fn eq(self, y: f64) -> bool {
        self == y
    }
    #[inline(always)]
    fn any(mask: bool) -> bool {
        mask
    }
    #[inline(always)]
    fn chosen(mask: bool) -> u32 {
        mask as u32
    }
    #[inline(always)]
    fn select(mask: bool, yes: f64, no: f64) -> f64 {
        if mask { yes } else { no }
    }
    #[inline(always)]
    fn iadd(self, y: f64) -> f64 {
        f64::from_bits(self.to_bits().wrapping_add(y.to_bits()))
    }
    #[inline(always)]
    fn isub(self, y: f64) -> f64 {
        f64::from_bits(self.to_bits().wrapping_sub(y.to_bits()))
    }
    #[inline(always)]
    fn shl<const K: u32>(self) -> f64 {
        f64::from_bits(self.to_bits() << K)
    }
    #[inline(always)]
    fn shr<const K: u32>(self) -> f64 {
        f64::from_bits(self.to_bits() >> K)
    }
    #[inline(always)]
    fn lookup16(self, table: &Table<f64, 16>) -> f64 {
        table.0[(self.to_bits() & 15) as usize]
    }
    #[inline(always)]
    fn lookup32(self, table: &Table<f64, 32>) -> Self {
        table.0[(self.to_bits() & 31) as usize]
    }
    #[inline(always)]
    fn odd(self) -> Self::Mask {
        !(Self::all(f64::MIN_POSITIVE).le(self) & self.lt(Self::all(f64::INFINITY)))
    }
    #[inline(always)]
    fn high_bits(self) -> Self {
        high_bits(self)
    }
    #[inline(always)]
    fn scale(self, n: f64) -> f64 {
        scale_in_two(self, n)
    }
}

/// The shifted bits, with a bias that makes them positive, become the last ones of a number near 2^52.
#[inline(always)]
fn high_bits<V: Lanes>(x: V) -> V {
    const TWO_52: f64 = 4_503_599_627_370_496.0;
    x.xor(V::bits(1 << 63)).shr::<52>().or(V::all(TWO_52)) - V::all(TWO_52 + 2048.0)
}

/// The first product is exact, the second rounds.
#[inline(always)]
fn scale_in_two<V: Lanes>(x: V, n: V) -> V {
    let half = round(n * V::all(0.5));
    x * V::power(half) * V::power(n - half)
}

macro_rules! vector {
    ($name:ident, $raw:ty, $lanes:literal, $mask:ty, {$($body:tt)*},
     $($op:ident $trait:ident $f:ident,)*) => {
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

        impl Neg for $name {
            type Output = $name;
            #[inline(always)]
            fn neg(self) -> $name {
                self.xor(Self::all(-0.0))
            }
        }

        impl Lanes for $name {
            const LANES: usize = $lanes;
            type Mask = $mask;

            #[inline(always)]
            fn map(self, f: impl Fn(f64) -> f64) -> Self {
                // SAFETY: both are plain bits of one size.
                unsafe {
                    let a: [f64; $lanes] = std::mem::transmute(self.0);
                    $name(std::mem::transmute::<[f64; $lanes], $raw>(a.map(f)))
                }
            }
            #[inline(always)]
            fn mend2(self, mask: $mask, x: Self, y: Self, f: impl Fn(f64, f64) -> f64) -> Self {
                if !Self::any(mask) {
                    return self;
                }
                // SAFETY: registers and arrays are plain bits of one size.
                unsafe {
                    let mut r: [f64; $lanes] = std::mem::transmute(self.0);
                    let [x, y]: [[f64; $lanes]; 2] = std::mem::transmute([x.0, y.0]);
                    mend(&mut r, Self::chosen(mask), &x, &y, f);
                    $name(std::mem::transmute::<[f64; $lanes], $raw>(r))
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

macro_rules! compares {
    ($wrap:expr; $($name:ident = $f:expr;)*) => {
        $(
            #[inline(always)]
            fn $name(self, y: Self) -> Self::Mask {
                // SAFETY: values of this type exist only below functions that enable its instruction set.
                unsafe { $wrap($f(self.0, y.0)) }
            }
        )*
    };
}

vector!(F64x8, __m512d, 8, u8, {
    methods! {
        fma(x, y, z) = _mm512_fmadd_pd(x, y, z);
        fnma(x, y, z) = _mm512_fnmadd_pd(x, y, z);
        fms(x, y, z) = _mm512_fmsub_pd(x, y, z);
        sqrt(x) = _mm512_sqrt_pd(x);
        abs(x) = _mm512_abs_pd(x);
        min(x, y) = _mm512_min_pd(x, y);
        max(x, y) = _mm512_max_pd(x, y);
        and(x, y) = _mm512_and_pd(x, y);
        or(x, y) = _mm512_or_pd(x, y);
        xor(x, y) = _mm512_xor_pd(x, y);
        scale(x, n) = _mm512_scalef_pd(x, n);
        iadd(x, y) = _mm512_castsi512_pd(_mm512_add_epi64(_mm512_castpd_si512(x), _mm512_castpd_si512(y)));
        isub(x, y) = _mm512_castsi512_pd(_mm512_sub_epi64(_mm512_castpd_si512(x), _mm512_castpd_si512(y)));
    }
    compares! { |m| m;
        lt = _mm512_cmp_pd_mask::<_CMP_LT_OQ>;
        le = _mm512_cmp_pd_mask::<_CMP_LE_OQ>;
        eq = _mm512_cmp_pd_mask::<_CMP_EQ_OQ>;
    }
    #[inline(always)]
    fn first(self) -> f64 {
        // SAFETY: as for the operations.
        unsafe { _mm512_cvtsd_f64(self.0) }
    }
    #[inline(always)]
    fn all(x: f64) -> Self {
        // SAFETY: as for the operations.
        unsafe { F64x8(_mm512_set1_pd(x)) }
    }
    #[inline(always)]
    fn any(mask: u8) -> bool {
        mask != 0
    }
    #[inline(always)]
    fn chosen(mask: u8) -> u32 {
        mask as u32
    }
    #[inline(always)]
    fn select(mask: u8, yes: Self, no: Self) -> Self {
        // SAFETY: as for the operations.
        unsafe { F64x8(_mm512_mask_blend_pd(mask, no.0, yes.0)) }
    }
    #[inline(always)]
    fn shl<const K: u32>(self) -> Self {
        // SAFETY: as for the operations.
        unsafe { F64x8(_mm512_castsi512_pd(_mm512_slli_epi64::<K>(_mm512_castpd_si512(self.0)))) }
    }
    #[inline(always)]
    fn shr<const K: u32>(self) -> Self {
        // SAFETY: as for the operations.
        unsafe { F64x8(_mm512_castsi512_pd(_mm512_srli_epi64::<K>(_mm512_castpd_si512(self.0)))) }
    }
    #[inline(always)]
    fn lookup16(self, table: &Table<f64, 16>) -> Self {
        // SAFETY: as for the operations; the table has 16 entries.
        unsafe {
            let (p, i) = (table.0.as_ptr(), _mm512_castpd_si512(self.0));
            F64x8(_mm512_permutex2var_pd(_mm512_loadu_pd(p), i, _mm512_loadu_pd(p.add(8))))
        }
    }
    #[inline(always)]
    fn lookup32(self, table: &Table<f64, 32>) -> Self {
        // SAFETY: as for the operations; the table has 32 entries.
        unsafe {
            let (p, i) = (table.0.as_ptr(), _mm512_castpd_si512(self.0));
            let low = _mm512_permutex2var_pd(_mm512_loadu_pd(p), i, _mm512_loadu_pd(p.add(8)));
            let high = _mm512_permutex2var_pd(_mm512_loadu_pd(p.add(16)), i, _mm512_loadu_pd(p.add(24)));
            F64x8(_mm512_mask_blend_pd(_mm512_test_epi64_mask(i, _mm512_set1_epi64(16)), low, high))
        }
    }
    #[inline(always)]
    fn odd(self) -> u8 {
        // SAFETY: as for the operations. All classes: NaN, zeros, infinities, subnormals, negative numbers.
        unsafe { _mm512_fpclass_pd_mask::<0xff>(self.0) }
    }
    #[inline(always)]
    fn high_bits(self) -> Self {
        // SAFETY: as for the operations.
        unsafe { F64x8(_mm512_cvtepi64_pd(_mm512_srai_epi64::<52>(_mm512_castpd_si512(self.0)))) }
    }
}, add Add _mm512_add_pd, sub Sub _mm512_sub_pd, mul Mul _mm512_mul_pd, div Div _mm512_div_pd,);

/// A ymm register whose lanes are all ones or all zeros.
#[derive(Clone, Copy)]
pub struct Mask4(__m256d);

macro_rules! mask {
    ($($trait:ident $op:ident $f:ident;)*) => {
        $(
            impl $trait for Mask4 {
                type Output = Mask4;
                #[inline(always)]
                fn $op(self, y: Mask4) -> Mask4 {
                    // SAFETY: masks exist only below functions that enable their instruction set.
                    unsafe { Mask4($f(self.0, y.0)) }
                }
            }
        )*
    };
}
mask! { BitAnd bitand _mm256_and_pd; BitOr bitor _mm256_or_pd; }

impl Not for Mask4 {
    type Output = Mask4;
    #[inline(always)]
    fn not(self) -> Mask4 {
        // SAFETY: masks exist only below functions that enable their instruction set.
        unsafe { Mask4(_mm256_xor_pd(self.0, _mm256_castsi256_pd(_mm256_set1_epi64x(-1)))) }
    }
}

vector!(F64x4, __m256d, 4, Mask4, {
    methods! {
        fma(x, y, z) = _mm256_fmadd_pd(x, y, z);
        fnma(x, y, z) = _mm256_fnmadd_pd(x, y, z);
        fms(x, y, z) = _mm256_fmsub_pd(x, y, z);
        sqrt(x) = _mm256_sqrt_pd(x);
        abs(x) = _mm256_andnot_pd(_mm256_set1_pd(-0.0), x);
        min(x, y) = _mm256_min_pd(x, y);
        max(x, y) = _mm256_max_pd(x, y);
        and(x, y) = _mm256_and_pd(x, y);
        or(x, y) = _mm256_or_pd(x, y);
        xor(x, y) = _mm256_xor_pd(x, y);
        iadd(x, y) = _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(x), _mm256_castpd_si256(y)));
        isub(x, y) = _mm256_castsi256_pd(_mm256_sub_epi64(_mm256_castpd_si256(x), _mm256_castpd_si256(y)));
    }
    compares! { Mask4;
        lt = _mm256_cmp_pd::<_CMP_LT_OQ>;
        le = _mm256_cmp_pd::<_CMP_LE_OQ>;
        eq = _mm256_cmp_pd::<_CMP_EQ_OQ>;
    }
    #[inline(always)]
    fn first(self) -> f64 {
        // SAFETY: as for the operations.
        unsafe { _mm256_cvtsd_f64(self.0) }
    }
    #[inline(always)]
    fn all(x: f64) -> Self {
        // SAFETY: as for the operations.
        unsafe { F64x4(_mm256_set1_pd(x)) }
    }
    #[inline(always)]
    fn any(mask: Mask4) -> bool {
        // SAFETY: as for the operations.
        unsafe { _mm256_movemask_pd(mask.0) != 0 }
    }
    #[inline(always)]
    fn chosen(mask: Mask4) -> u32 {
        // SAFETY: as for the operations.
        unsafe { _mm256_movemask_pd(mask.0) as u32 }
    }
    #[inline(always)]
    fn select(mask: Mask4, yes: Self, no: Self) -> Self {
        // SAFETY: as for the operations.
        unsafe { F64x4(_mm256_blendv_pd(no.0, yes.0, mask.0)) }
    }
    #[inline(always)]
    fn shl<const K: u32>(self) -> Self {
        // SAFETY: as for the operations.
        unsafe {
            let count = _mm_cvtsi32_si128(K as i32);
            F64x4(_mm256_castsi256_pd(_mm256_sll_epi64(_mm256_castpd_si256(self.0), count)))
        }
    }
    #[inline(always)]
    fn shr<const K: u32>(self) -> Self {
        // SAFETY: as for the operations.
        unsafe {
            let count = _mm_cvtsi32_si128(K as i32);
            F64x4(_mm256_castsi256_pd(_mm256_srl_epi64(_mm256_castpd_si256(self.0), count)))
        }
    }
    #[inline(always)]
    fn lookup16(self, table: &Table<f64, 16>) -> Self {
        // SAFETY: as for the operations; the mask keeps the index inside the table.
        unsafe {
            let i = _mm256_and_si256(_mm256_castpd_si256(self.0), _mm256_set1_epi64x(15));
            F64x4(_mm256_i64gather_pd::<8>(table.0.as_ptr(), i))
        }
    }
    #[inline(always)]
    fn lookup32(self, table: &Table<f64, 32>) -> Self {
        // SAFETY: as for the operations; the mask keeps the index inside the table.
        unsafe {
            let i = _mm256_and_si256(_mm256_castpd_si256(self.0), _mm256_set1_epi64x(31));
            F64x4(_mm256_i64gather_pd::<8>(table.0.as_ptr(), i))
        }
    }
    #[inline(always)]
    fn odd(self) -> Self::Mask {
        !(Self::all(f64::MIN_POSITIVE).le(self) & self.lt(Self::all(f64::INFINITY)))
    }
    #[inline(always)]
    fn high_bits(self) -> Self {
        high_bits(self)
    }
    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        scale_in_two(self, n)
    }
}, add Add _mm256_add_pd, sub Sub _mm256_sub_pd, mul Mul _mm256_mul_pd, div Div _mm256_div_pd,);

/// Two vectors as one of twice the lanes: their operations alternate, and while one waits for a result the other goes on.
#[derive(Clone, Copy)]
pub struct Two<V>(pub V, pub V);

/// Masks of two vectors.
#[derive(Clone, Copy)]
pub struct Both<M>(pub M, pub M);

macro_rules! pairwise {
    ($type:ident: $bound:ident; $($trait:ident $op:ident;)*) => {
        $(
            impl<T: $bound + $trait<Output = T>> $trait for $type<T> {
                type Output = $type<T>;
                #[inline(always)]
                fn $op(self, y: $type<T>) -> $type<T> {
                    $type($trait::$op(self.0, y.0), $trait::$op(self.1, y.1))
                }
            }
        )*
    };
}
pairwise! { Two: Copy; Add add; Sub sub; Mul mul; Div div; }
pairwise! { Both: Copy; BitAnd bitand; BitOr bitor; }

impl<V: Neg<Output = V>> Neg for Two<V> {
    type Output = Two<V>;
    #[inline(always)]
    fn neg(self) -> Two<V> {
        Two(-self.0, -self.1)
    }
}

impl<M: Not<Output = M>> Not for Both<M> {
    type Output = Both<M>;
    #[inline(always)]
    fn not(self) -> Both<M> {
        Both(!self.0, !self.1)
    }
}

macro_rules! halves {
    ($($name:ident($($arg:ident),*);)*) => {
        $(
            #[inline(always)]
            fn $name(self $(, $arg: Self)*) -> Self {
                Two(self.0.$name($($arg.0),*), self.1.$name($($arg.1),*))
            }
        )*
    };
}
pub(crate) use halves;

macro_rules! compare_halves {
    ($($name:ident)*) => {
        $(
            #[inline(always)]
            fn $name(self, y: Self) -> Self::Mask {
                Both(self.0.$name(y.0), self.1.$name(y.1))
            }
        )*
    };
}
pub(crate) use compare_halves;

impl<V: Lanes> Lanes for Two<V> {
    const LANES: usize = 2 * V::LANES;
    type Mask = Both<V::Mask>;

    halves! {
        fma(y, z); fnma(y, z); fms(y, z); sqrt(); abs(); min(y); max(y); and(y); or(y); xor(y); iadd(y); isub(y); scale(n);
        high_bits();
    }
    #[inline(always)]
    fn all(x: f64) -> Self {
        Two(V::all(x), V::all(x))
    }
    #[inline(always)]
    fn first(self) -> f64 {
        self.0.first()
    }
    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Two(self.0.map(&f), self.1.map(&f))
    }
    #[inline(always)]
    fn mend2(self, mask: Self::Mask, x: Self, y: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        if Self::any(mask) { Two(self.0.mend2(mask.0, x.0, y.0, &f), self.1.mend2(mask.1, x.1, y.1, &f)) } else { self }
    }
    compare_halves! { lt le eq }
    #[inline(always)]
    fn any(mask: Self::Mask) -> bool {
        V::any(mask.0 | mask.1)
    }
    #[inline(always)]
    fn chosen(mask: Self::Mask) -> u32 {
        V::chosen(mask.0) | V::chosen(mask.1) << V::LANES
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
    fn lookup16(self, table: &Table<f64, 16>) -> Self {
        Two(self.0.lookup16(table), self.1.lookup16(table))
    }
    #[inline(always)]
    fn lookup32(self, table: &Table<f64, 32>) -> Self {
        Two(self.0.lookup32(table), self.1.lookup32(table))
    }
    #[inline(always)]
    fn odd(self) -> Self::Mask {
        Both(self.0.odd(), self.1.odd())
    }
}
