//! Sums of short rows, eight rows side by side.
//!
//! A short row's own sum is mostly waiting: three additions of halves, then what is left of it in order, each after the one
//! before. Eight rows' accumulators, turned round in registers, are added as vectors with a row in each lane: the same
//! additions in the same order, so the same bits. Elements behind the groups of eight (all of them in rows of fewer than
//! eight) are gathered, one of each row at a time. Rows are read one after the other, as the prefetcher likes it.

use std::arch::x86_64::*;

use super::pairwise::BLOCK;

/// Rows that are summed side by side.
pub const ROWS: usize = 8;

/// Whether rows of this length are worth it.
pub fn is_short(n: usize) -> bool {
    n <= BLOCK
}

macro_rules! short_rows {
    (
        $name:ident,
        $t:ident,
        $features:literal,
        $vector:ident,
        $load:ident,
        $store:ident,
        $add:ident,
        $set1:ident,
        $turn:ident,
        $gather:ident,
        $index:ident
    ) => {
        /// The sums of rows of n elements; how many were summed: all but the last few.
        ///
        /// # Safety
        /// `x` holds as many rows as `out` has places, and n is 1 to 128.
        #[target_feature(enable = $features)]
        pub fn $name(x: &[$t], n: usize, out: &mut [$t]) -> usize {
            let groups = n / 8;
            let places = $index(n);
            let whole = out.len() / ROWS * ROWS;
            for at in (0..whole).step_by(ROWS) {
                let rows = x[at * n..(at + ROWS) * n].as_ptr();
                // SAFETY: every element read lies in these rows, which the slice has just been cut to; eight results have
                // room in `out`.
                unsafe {
                    let mut sum = $set1(-0.0);
                    if groups > 0 {
                        let r: [$vector; 8] = std::array::from_fn(|k| {
                            let row = rows.add(k * n);
                            let mut r = $load(row);
                            for g in 1..groups {
                                r = $add(r, $load(row.add(8 * g)));
                            }
                            r
                        });
                        let r = $turn(r);
                        sum = $add($add($add(r[0], r[1]), $add(r[2], r[3])), $add($add(r[4], r[5]), $add(r[6], r[7])));
                    }
                    for c in groups * 8..n {
                        sum = $add(sum, $gather(rows.add(c), places));
                    }
                    // 0.0 comes first, as in every sum of NumPy's: it makes -0.0 a 0.0.
                    $store(out[at..].as_mut_ptr(), $add($set1(0.0), sum));
                }
            }
            whole
        }
    };
}
short_rows!(
    rows_f64,
    f64,
    "avx512f",
    __m512d,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_add_pd,
    _mm512_set1_pd,
    turn_f64,
    gather_f64,
    places_f64
);
short_rows!(
    rows_f32,
    f32,
    "avx2",
    __m256,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_set1_ps,
    turn_f32,
    gather_f32,
    places_f32
);

#[inline]
#[target_feature(enable = "avx512f")]
fn places_f64(n: usize) -> __m512i {
    let n = n as i64;
    _mm512_setr_epi64(0, n, 2 * n, 3 * n, 4 * n, 5 * n, 6 * n, 7 * n)
}

#[inline]
#[target_feature(enable = "avx2")]
fn places_f32(n: usize) -> __m256i {
    let n = n as i32;
    _mm256_setr_epi32(0, n, 2 * n, 3 * n, 4 * n, 5 * n, 6 * n, 7 * n)
}

/// # Safety
/// The elements at these places from `x` must be there.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn gather_f64(x: *const f64, places: __m512i) -> __m512d {
    // SAFETY: the caller's promise.
    unsafe { _mm512_i64gather_pd::<8>(places, x) }
}

/// # Safety
/// The elements at these places from `x` must be there.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn gather_f32(x: *const f32, places: __m256i) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe { _mm256_i32gather_ps::<4>(x, places) }
}

/// Element k of the result's vector j is element j of vector k.
#[inline]
#[target_feature(enable = "avx512f")]
fn turn_f64(r: [__m512d; 8]) -> [__m512d; 8] {
    let low = |k: usize| _mm512_unpacklo_pd(r[2 * k], r[2 * k + 1]);
    let high = |k: usize| _mm512_unpackhi_pd(r[2 * k], r[2 * k + 1]);
    // Pairs of rows: columns 0 2 4 6, and 1 3 5 7, two rows' elements side by side.
    let (even, odd) = ([low(0), low(1), low(2), low(3)], [high(0), high(1), high(2), high(3)]);
    let columns = |p: [__m512d; 4]| {
        let near = _mm512_shuffle_f64x2::<0x44>(p[0], p[1]);
        let far = _mm512_shuffle_f64x2::<0xee>(p[0], p[1]);
        let near_below = _mm512_shuffle_f64x2::<0x44>(p[2], p[3]);
        let far_below = _mm512_shuffle_f64x2::<0xee>(p[2], p[3]);
        [
            _mm512_shuffle_f64x2::<0x88>(near, near_below),
            _mm512_shuffle_f64x2::<0xdd>(near, near_below),
            _mm512_shuffle_f64x2::<0x88>(far, far_below),
            _mm512_shuffle_f64x2::<0xdd>(far, far_below),
        ]
    };
    let (even, odd) = (columns(even), columns(odd));
    [even[0], odd[0], even[1], odd[1], even[2], odd[2], even[3], odd[3]]
}

/// Element k of the result's vector j is element j of vector k.
#[inline]
#[target_feature(enable = "avx2")]
fn turn_f32(r: [__m256; 8]) -> [__m256; 8] {
    let low = |k: usize| _mm256_unpacklo_ps(r[2 * k], r[2 * k + 1]);
    let high = |k: usize| _mm256_unpackhi_ps(r[2 * k], r[2 * k + 1]);
    let quarter = |a: __m256, b: __m256| (_mm256_shuffle_ps::<0x44>(a, b), _mm256_shuffle_ps::<0xee>(a, b));
    // Rows 0 to 3 and 4 to 7: column c in the lower half, c + 4 in the upper one.
    let (a, b) = (quarter(low(0), low(1)), quarter(high(0), high(1)));
    let (c, d) = (quarter(low(2), low(3)), quarter(high(2), high(3)));
    let lower = |x: __m256, y: __m256| _mm256_permute2f128_ps::<0x20>(x, y);
    let upper = |x: __m256, y: __m256| _mm256_permute2f128_ps::<0x31>(x, y);
    [
        lower(a.0, c.0),
        lower(a.1, c.1),
        lower(b.0, d.0),
        lower(b.1, d.1),
        upper(a.0, c.0),
        upper(a.1, c.1),
        upper(b.0, d.0),
        upper(b.1, d.1),
    ]
}
