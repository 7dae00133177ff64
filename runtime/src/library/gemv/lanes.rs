//! Sums of products of real numbers in vectors, for every instruction set.
//!
//! A boundary file: it reads and writes vectors by address.

use std::ops::{Neg, Sub};

use legate_jit_vmath::{Isa, isa};

/// Rows that a step takes.
pub(crate) const ROWS: usize = 8;
/// Rows whose sums are formed side by side, each in two vectors. The processor's prefetching follows each row by itself, so that
/// reading rows side by side gets more out of memory: one row at a time 26 GB/s, four 30, eight 1 to 2 % more than four (and
/// 7 % where memory is in small pages).
pub(super) const TOGETHER: usize = 8;
/// Bytes of a short row that comes from memory from which on it is summed by itself: 100 000 rows of 200 f64 are read at 27 GB/s so on one
/// thread of a Zen 4, and at 15 several side by side. (The ends of eight sums are added up together in wide vectors; in narrow ones there
/// is nothing to gain: 500 000 rows of 32 f64 at 9.8 and 8.0 GB/s on a Zen 3.)
pub(super) fn one_by_one_bytes() -> usize {
    if isa() == Isa::Avx512 { 768 } else { 0 }
}

/// Bytes ahead that are asked for in each row where rows that lie in memory are added up.
const AHEAD: usize = 512;
/// Rows that are multiplied by two vectors at a time.
pub(super) const FEW: usize = TOGETHER / 2;

/// An element type that there are loops for.
pub(crate) trait Real: Copy + Neg<Output = Self> + Sub<Output = Self> + Send + Sync + 'static {
    const ZERO: Self;

    /// The sum of the products. Both have the same length.
    fn dot(row: &[Self], x: &[Self]) -> Self;
    /// The same for some rows side by side, each with the bits that it has alone; `near`: they are in the second-level cache.
    fn dots(rows: [&[Self]; TOGETHER], x: &[Self], near: bool) -> [Self; TOGETHER];
    /// Adds x[r] times row r to y, for the rows together. The rows are as long as y; `far`: no second-level cache has them.
    fn add_rows(y: &mut [Self], rows: [&[Self]; ROWS], x: &[Self; ROWS], far: bool);
    /// The same for several steps, with the same bits. The next row is `step` elements further.
    ///
    /// # Safety
    /// There is a row as long as y for each element of x, whose number is a multiple of [`ROWS`].
    unsafe fn add_steps(y: &mut [Self], first: *const Self, step: isize, x: &[Self]);
    fn add_row(y: &mut [Self], row: &[Self], x: Self);
    /// For each of two vectors the sum of its products with each of some rows; all are of one length.
    fn dots_of_two(rows: [&[Self]; FEW], x: [&[Self]; 2]) -> [[Self; 2]; FEW];
    /// Adds row r times x[k][r] to y[k], for each of two vectors. The next row is `step` elements further.
    ///
    /// # Safety
    /// There is a row as long as both of y for each element of x.
    unsafe fn add_steps_of_two(y: [&mut [Self]; 2], first: *const Self, step: isize, x: [&[Self]; 2]);
    fn add(y: &mut [Self], part: &[Self]);
}

/// Adds a product, in one step where the machine has it.
macro_rules! add_product {
    (base, $sum:expr, $a:expr, $b:expr) => {
        $sum += $a * $b
    };
    ($isa:ident, $sum:expr, $a:expr, $b:expr) => {
        $sum = $a.mul_add($b, $sum)
    };
}

/// `dot`: two blocks of accumulators, each a product behind the other; a block is the same lanes in every width. It is written in
/// vectors because LLVM, left alone, makes the final tree decide their width. `add_rows` reads several vectors of a row before
/// it goes to the next: reads that change the row at every vector are no pattern to the prefetcher, and take twice as long.
macro_rules! vectors {
    ($isa:ident, $t:ident, $lanes:literal, $features:literal, $vector:ident, $width:literal,
     $zero:ident $load:ident $store:ident $splat:ident $add:ident $mul:ident |$a:ident, $b:ident, $c:ident| $fma:expr) => {
        type Block = [std::arch::x86_64::$vector; $lanes / $width];

        /// The sums of the whole blocks, and where those end.
        #[inline]
        #[target_feature(enable = $features)]
        fn whole_blocks<const R: usize>(rows: &[&[$t]; R], x: &[$t]) -> ([Block; R], usize) {
            use std::arch::x86_64::*;
            const VECTORS: usize = $lanes / $width;

            let n = rows.iter().fold(x.len(), |n, row| n.min(row.len()));
            let mut sums: [[Block; 2]; R] = [[[$zero(); VECTORS]; 2]; R];
            // SAFETY: the places of a block that begins at i lie below n, as its callers see to.
            let step = |sums: &mut [[Block; 2]; R], block: usize, i: usize| unsafe {
                for v in 0..VECTORS {
                    let at = i + v * $width;
                    let $b = $load(x.as_ptr().add(at));
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        let sum = &mut sums[block][v];
                        let ($a, $c) = ($load(row.as_ptr().add(at)), *sum);
                        *sum = $fma;
                    }
                }
            };
            let mut i = 0;
            while i + 2 * $lanes <= n {
                step(&mut sums, 0, i);
                step(&mut sums, 1, i + $lanes);
                i += 2 * $lanes;
            }
            while i + $lanes <= n {
                step(&mut sums, 0, i);
                i += $lanes;
            }
            let mut totals = [[$zero(); VECTORS]; R];
            for (total, [p, q]) in totals.iter_mut().zip(sums) {
                for v in 0..VECTORS {
                    total[v] = $add(p[v], q[v]);
                }
            }
            (totals, i)
        }

        #[target_feature(enable = $features)]
        pub fn dot(row: &[$t], x: &[$t]) -> $t {
            let ([block], i) = whole_blocks(&[row], x);
            let n = x.len().min(row.len());
            across(block, &row[i..n], &x[i..n])
        }

        /// The sum of a block's lanes, and of the products of what lies behind the whole blocks: each lane and the one half of them further,
        /// until one is left.
        #[inline]
        #[target_feature(enable = $features)]
        fn across(mut block: Block, row: &[$t], x: &[$t]) -> $t {
            use std::arch::x86_64::*;
            add_rest(&mut block, row, x);
            let mut vectors = $lanes / $width;
            while vectors > 1 {
                vectors /= 2;
                for v in 0..vectors {
                    block[v] = $add(block[v], block[v + vectors]);
                }
            }
            // (Arrays of their own, so that they stay in registers.)
            let (mut sixteen, mut eight, mut four, mut two) = ([0.0; 16], [0.0; 8], [0.0; 4], [0.0; 2]);
            // SAFETY: a vector is no longer than the array.
            unsafe { $store(sixteen.as_mut_ptr(), block[0]) };
            for l in 0..8 {
                eight[l] = if $width > 8 { sixteen[l] + sixteen[l + 8] } else { sixteen[l] };
            }
            for l in 0..4 {
                four[l] = if $width > 4 { eight[l] + eight[l + 4] } else { eight[l] };
            }
            for l in 0..2 {
                two[l] = if $width > 2 { four[l] + four[l + 2] } else { four[l] };
            }
            two[0] + two[1]
        }

        /// The first vector of columns from `j` on that is not done: `N` of them at a time, whose sums stay in registers while the
        /// rows are read one after the other, and what is `SOON` bytes further in each is asked for.
        #[inline]
        #[target_feature(enable = $features)]
        fn strips<const N: usize, const SOON: usize>(
            y: &mut [$t],
            rows: &[&[$t]; ROWS],
            x: &[$t; ROWS],
            mut j: usize,
        ) -> usize {
            use std::arch::x86_64::*;
            while j + N * $width <= y.len() {
                if SOON > 0 {
                    for row in rows {
                        _mm_prefetch::<_MM_HINT_T0>(row.as_ptr().wrapping_add(j).wrapping_byte_add(SOON).cast());
                    }
                }
                // SAFETY: y and the rows are longer than the last of these columns.
                unsafe {
                    // (Closures would not have the instruction set, and would be called.)
                    let base = y.as_mut_ptr().add(j);
                    let mut first = [$zero(); N];
                    let mut second = [$zero(); N];
                    let (row, factor) = (rows[4].as_ptr().add(j), $splat(x[4]));
                    for v in 0..N {
                        first[v] = $load(base.add(v * $width));
                        second[v] = $mul($load(row.add(v * $width)), factor);
                    }
                    for r in 0..4 {
                        let (row, $b) = (rows[r].as_ptr().add(j), $splat(x[r]));
                        for v in 0..N {
                            let ($a, $c) = ($load(row.add(v * $width)), first[v]);
                            first[v] = $fma;
                        }
                    }
                    for r in 5..ROWS {
                        let (row, $b) = (rows[r].as_ptr().add(j), $splat(x[r]));
                        for v in 0..N {
                            let ($a, $c) = ($load(row.add(v * $width)), second[v]);
                            second[v] = $fma;
                        }
                    }
                    for v in 0..N {
                        $store(base.add(v * $width), $add(first[v], second[v]));
                    }
                }
                j += N * $width;
            }
            j
        }

        #[target_feature(enable = $features)]
        pub fn add_rows(y: &mut [$t], rows: [&[$t]; ROWS], x: &[$t; ROWS], far: bool) {
            const LINE: usize = 64 / size_of::<$t>() / $width;
            for row in &rows {
                assert!(row.len() >= y.len(), "rows as long as the sums");
            }
            // (Not tried with vectors of a whole line.)
            let whole =
                if far && LINE > 1 { strips::<LINE, AHEAD>(y, &rows, x, 0) } else { strips::<4, 0>(y, &rows, x, 0) };
            let whole = strips::<1, 0>(y, &rows, x, whole);
            if whole < y.len() {
                rest(y, &rows, x, whole);
            }
        }
    };
}

/// What whole vectors leave, element by element.
macro_rules! one_by_one {
    ($isa:ident, $t:ident, $features:literal) => {
        #[target_feature(enable = $features)]
        fn rest(y: &mut [$t], rows: &[&[$t]; ROWS], x: &[$t; ROWS], whole: usize) {
            for j in whole..y.len() {
                let (mut first, mut second) = (y[j], rows[4][j] * x[4]);
                for r in 0..4 {
                    add_product!($isa, first, rows[r][j], x[r]);
                }
                for r in 5..ROWS {
                    add_product!($isa, second, rows[r][j], x[r]);
                }
                y[j] = first + second;
            }
        }
    };
}

/// Adds to a block's sums the products of the elements that whole blocks leave: one by one.
macro_rules! rest_by_one {
    ($isa:ident, $t:ident, $lanes:literal, $features:literal, $width:literal, $load:ident $store:ident) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn add_rest(block: &mut Block, row: &[$t], x: &[$t]) {
            use std::arch::x86_64::*;
            let mut sums = [0.0; $lanes];
            // SAFETY: the block's vectors are as long as the array.
            unsafe {
                for (v, &sum) in block.iter().enumerate() {
                    $store(sums.as_mut_ptr().add(v * $width), sum);
                }
                for (sum, (r, x)) in sums.iter_mut().zip(row.iter().zip(x)) {
                    add_product!($isa, *sum, *r, *x);
                }
                for (v, sum) in block.iter_mut().enumerate() {
                    *sum = $load(sums.as_ptr().add(v * $width));
                }
            }
        }
    };
}

/// The same under a mask; `$masked` is a sum after the products of so many elements.
macro_rules! rest_by_mask {
    ($t:ident, $lanes:literal, $features:literal, $width:literal, $load:ident $fma:ident
     |$n:ident, $row:ident, $x:ident, $sum:ident| $masked:expr) => {
        #[inline]
        #[target_feature(enable = $features)]
        fn add_rest(block: &mut Block, row: &[$t], x: &[$t]) {
            use std::arch::x86_64::*;
            let n = row.len().min(x.len());
            for v in 0..$lanes / $width {
                let at = v * $width;
                if at >= n {
                    break;
                }
                let ($n, $sum) = (n - at, block[v]);
                // SAFETY: the elements before n.
                unsafe {
                    let ($row, $x) = (row.as_ptr().add(at), x.as_ptr().add(at));
                    block[v] = if $n >= $width { $fma($load($row), $load($x), $sum) } else { $masked };
                }
            }
        }
    };
}

/// The first elements of a vector that begins as many before the middle.
static FIRST_F32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
static FIRST_F64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

/// The same under a mask, and the sums of the rows of a step: the lanes of all of them are added up together, as one row's are.
macro_rules! masked {
    ($t:ident, $features:literal, $vector:ident, $mask:ident, $width:literal,
     $zero:ident $load:ident $store:ident $maskz:ident $mask_store:ident $splat:ident $add:ident $mul:ident $fma:ident
     $mask_fma:ident,
     |$sums:ident| $tree:expr) => {
        #[target_feature(enable = $features)]
        fn rest(y: &mut [$t], rows: &[&[$t]; ROWS], x: &[$t; ROWS], whole: usize) {
            use std::arch::x86_64::*;
            let mask = (1 << (y.len() - whole)) - 1;
            // SAFETY: the mask leaves the columns that the rows and y have.
            unsafe {
                let row = |r: usize| $maskz(mask, rows[r].as_ptr().add(whole));
                let mut first = $maskz(mask, y.as_ptr().add(whole));
                let mut second = $mul(row(4), $splat(x[4]));
                for r in 0..4 {
                    first = $fma(row(r), $splat(x[r]), first);
                }
                for r in 5..ROWS {
                    second = $fma(row(r), $splat(x[r]), second);
                }
                $mask_store(y.as_mut_ptr().add(whole), mask, $add(first, second));
            }
        }

        /// Up to `N` vectors of columns, whose sums stay in registers from the first row to the last: to store them after every
        /// step and to load them again takes as long as a fifth of the rows, and a load does not see what was stored under a
        /// mask before it is in the cache.
        ///
        /// # Safety
        /// As for `add_steps`; y ends within the last of the vectors.
        #[target_feature(enable = $features)]
        unsafe fn columns<const N: usize>(y: &mut [$t], first: *const $t, step: isize, x: &[$t]) {
            use std::arch::x86_64::*;
            let mask: $mask = $mask::MAX >> (N * $width - y.len());
            // SAFETY: the caller's promise, and the mask leaves the columns that there are.
            unsafe {
                let mut sums = [$zero(); N];
                for v in 0..N {
                    let from = y.as_ptr().add(v * $width);
                    sums[v] = if v + 1 == N { $maskz(mask, from) } else { $load(from) };
                }
                let mut row = first;
                for x in x.chunks_exact(ROWS) {
                    let mut second = [$zero(); N];
                    for r in 0..ROWS {
                        let factor = $splat(x[r]);
                        for v in 0..N {
                            let from = row.add(v * $width);
                            let a = if v + 1 == N { $maskz(mask, from) } else { $load(from) };
                            if r < 4 {
                                sums[v] = $fma(a, factor, sums[v]);
                            } else if r == 4 {
                                second[v] = $mul(a, factor);
                            } else {
                                second[v] = $fma(a, factor, second[v]);
                            }
                        }
                        row = row.wrapping_offset(step);
                    }
                    for v in 0..N {
                        sums[v] = $add(sums[v], second[v]);
                    }
                }
                for v in 0..N {
                    let to = y.as_mut_ptr().add(v * $width);
                    if v + 1 == N { $mask_store(to, mask, sums[v]) } else { $store(to, sums[v]) }
                }
            }
        }

        /// # Safety
        /// As for the trait's function.
        #[target_feature(enable = $features)]
        pub unsafe fn add_steps(y: &mut [$t], first: *const $t, step: isize, x: &[$t]) {
            const MOST: usize = 8;
            let mut done = 0;
            // As many vectors each time: few of them would wait for their sums.
            let vectors = y.len().div_ceil($width);
            let times = vectors.div_ceil(MOST);
            for t in 0..times {
                let n = (vectors * (t + 1)).div_ceil(times) - done / $width;
                let end = (done + n * $width).min(y.len());
                // SAFETY: the caller's promise.
                unsafe {
                    let (y, first) = (&mut y[done..end], first.add(done));
                    match n {
                        1 => columns::<1>(y, first, step, x),
                        2 => columns::<2>(y, first, step, x),
                        3 => columns::<3>(y, first, step, x),
                        4 => columns::<4>(y, first, step, x),
                        5 => columns::<5>(y, first, step, x),
                        6 => columns::<6>(y, first, step, x),
                        7 => columns::<7>(y, first, step, x),
                        _ => columns::<MOST>(y, first, step, x),
                    }
                }
                done = end;
            }
        }

        #[target_feature(enable = $features)]
        pub fn dots(rows: [&[$t]; TOGETHER], x: &[$t]) -> [$t; TOGETHER] {
            use std::arch::x86_64::*;
            let n = rows.iter().fold(x.len(), |n, row| n.min(row.len()));
            let (blocks, i) = whole_blocks(&rows, x);
            let mut $sums = blocks.map(|[vector]| vector);
            if i < n {
                let mask: $mask = (1 << (n - i)) - 1;
                // SAFETY: the mask leaves the elements below n.
                unsafe {
                    let x = $maskz(mask, x.as_ptr().add(i));
                    for (sum, row) in $sums.iter_mut().zip(&rows) {
                        *sum = $mask_fma($maskz(mask, row.as_ptr().add(i)), x, *sum, mask);
                    }
                }
            }
            $tree
        }

        /// See the trait's function.
        #[target_feature(enable = $features)]
        pub fn dots_of_two(rows: [&[$t]; FEW], x: [&[$t]; 2]) -> [[$t; 2]; FEW] {
            use std::arch::x86_64::*;
            let n = rows.iter().chain(&x).fold(usize::MAX, |n, v| n.min(v.len()));
            let mut $sums = [$zero(); TOGETHER];
            let mut i = 0;
            while i + $width <= n {
                // SAFETY: the places of a vector that begins at i lie below n.
                unsafe {
                    let (p, q) = ($load(x[0].as_ptr().add(i)), $load(x[1].as_ptr().add(i)));
                    for (r, row) in rows.iter().enumerate() {
                        let a = $load(row.as_ptr().add(i));
                        $sums[2 * r] = $fma(a, p, $sums[2 * r]);
                        $sums[2 * r + 1] = $fma(a, q, $sums[2 * r + 1]);
                    }
                }
                i += $width;
            }
            if i < n {
                let mask: $mask = (1 << (n - i)) - 1;
                // SAFETY: the mask leaves the elements below n.
                unsafe {
                    let (p, q) = ($maskz(mask, x[0].as_ptr().add(i)), $maskz(mask, x[1].as_ptr().add(i)));
                    for (r, row) in rows.iter().enumerate() {
                        let a = $maskz(mask, row.as_ptr().add(i));
                        $sums[2 * r] = $mask_fma(a, p, $sums[2 * r], mask);
                        $sums[2 * r + 1] = $mask_fma(a, q, $sums[2 * r + 1], mask);
                    }
                }
            }
            let totals: [$t; TOGETHER] = $tree;
            std::array::from_fn(|r| [totals[2 * r], totals[2 * r + 1]])
        }
    };
}

/// Rows side by side where the registers have no room for the sums of all: memory gives more if all are read at a time, with their sums in
/// the first-level cache; the second-level cache does not.
macro_rules! side_by_side {
    ($t:ident, $features:literal) => {
        /// See the trait's function.
        #[target_feature(enable = $features)]
        pub fn dots(rows: [&[$t]; TOGETHER], x: &[$t], near: bool) -> [$t; TOGETHER] {
            let mut results = [0.0; TOGETHER];
            if near {
                for (some, results) in rows.as_chunks::<FEW>().0.iter().zip(results.as_chunks_mut().0) {
                    *results = some_dots(some, x);
                }
            } else {
                results = some_dots(&rows, x);
            }
            results
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn some_dots<const R: usize>(rows: &[&[$t]; R], x: &[$t]) -> [$t; R] {
            let n = rows.iter().fold(x.len(), |n, row| n.min(row.len()));
            let (blocks, i) = whole_blocks(rows, x);
            let mut results = [0.0; R];
            for r in 0..R {
                results[r] = across(blocks[r], &rows[r][i..n], &x[i..n]);
            }
            results
        }
    };
}

/// What complex products are made of (`complex.rs`): rows and two vectors at a time, so that a row is read once.
macro_rules! dots_of_two {
    ($t:ident, $lanes:literal, $features:literal, $width:literal,
     $zero:ident $load:ident |$a:ident, $b:ident, $c:ident| $fma:expr) => {
        #[target_feature(enable = $features)]
        pub fn dots_of_two(rows: [&[$t]; FEW], x: [&[$t]; 2]) -> [[$t; 2]; FEW] {
            use std::arch::x86_64::*;
            const VECTORS: usize = $lanes / $width;
            let n = rows.iter().chain(&x).fold(usize::MAX, |n, v| n.min(v.len()));
            let mut sums = [[[$zero(); VECTORS]; 2]; FEW];
            let whole = n - n % $lanes;
            for i in (0..whole).step_by($lanes) {
                for v in 0..VECTORS {
                    let at = i + v * $width;
                    // SAFETY: the places lie below n.
                    unsafe {
                        let factors = [$load(x[0].as_ptr().add(at)), $load(x[1].as_ptr().add(at))];
                        for (sums, row) in sums.iter_mut().zip(&rows) {
                            let $a = $load(row.as_ptr().add(at));
                            for (sum, &$b) in sums.iter_mut().zip(&factors) {
                                let $c = sum[v];
                                sum[v] = $fma;
                            }
                        }
                    }
                }
            }
            let mut results = [[0.0; 2]; FEW];
            for (r, sums) in sums.into_iter().enumerate() {
                for (k, sum) in sums.into_iter().enumerate() {
                    results[r][k] = across(sum, &rows[r][whole..n], &x[k][whole..n]);
                }
            }
            results
        }
    };
}

/// The same of rows that are added up.
macro_rules! steps_of_two {
    ($isa:ident, $t:ident, $features:literal, $vector:ident, $width:literal,
     $zero:ident $load:ident $store:ident $splat:ident |$a:ident, $b:ident, $c:ident| $fma:expr) => {
        /// The first column from `j` on that is not done: `N` vectors of them at a time, whose sums stay in registers while the rows are
        /// read one after the other.
        ///
        /// # Safety
        /// As for `add_steps_of_two`.
        #[inline]
        #[target_feature(enable = $features)]
        unsafe fn columns_of_two<const N: usize>(
            [y, z]: [&mut [$t]; 2],
            first: *const $t,
            step: isize,
            x: [&[$t]; 2],
            mut j: usize,
        ) -> usize {
            use std::arch::x86_64::*;
            while j + N * $width <= y.len() {
                // SAFETY: the caller's promise.
                unsafe {
                    let (p, q) = (y.as_mut_ptr().add(j), z.as_mut_ptr().add(j));
                    let (mut sums, mut others) = ([$zero(); N], [$zero(); N]);
                    for v in 0..N {
                        (sums[v], others[v]) = ($load(p.add(v * $width)), $load(q.add(v * $width)));
                    }
                    let mut row = first.add(j);
                    for (&re, &im) in x[0].iter().zip(x[1]) {
                        let factors = [$splat(re), $splat(im)];
                        for v in 0..N {
                            let $a = $load(row.add(v * $width));
                            let ($b, $c) = (factors[0], sums[v]);
                            sums[v] = $fma;
                            let ($b, $c) = (factors[1], others[v]);
                            others[v] = $fma;
                        }
                        row = row.wrapping_offset(step);
                    }
                    for v in 0..N {
                        $store(p.add(v * $width), sums[v]);
                        $store(q.add(v * $width), others[v]);
                    }
                }
                j += N * $width;
            }
            j
        }

        /// # Safety
        /// As for the trait's function.
        #[target_feature(enable = $features)]
        pub unsafe fn add_steps_of_two([y, z]: [&mut [$t]; 2], first: *const $t, step: isize, x: [&[$t]; 2]) {
            assert_eq!(y.len(), z.len());
            // SAFETY: the caller's promise.
            unsafe {
                let done = columns_of_two::<4>([&mut *y, &mut *z], first, step, x, 0);
                let done = columns_of_two::<1>([&mut *y, &mut *z], first, step, x, done);
                // Less than a vector.
                let (y, z, mut row) = (&mut y[done..], &mut z[done..], first.wrapping_add(done));
                for (&re, &im) in x[0].iter().zip(x[1]) {
                    for (j, (y, z)) in y.iter_mut().zip(&mut *z).enumerate() {
                        let number = row.add(j).read();
                        add_product!($isa, *y, number, re);
                        add_product!($isa, *z, number, im);
                    }
                    row = row.wrapping_offset(step);
                }
            }
        }
    };
}

macro_rules! rows {
    ($isa:ident, $t:ident, $features:literal) => {
        #[target_feature(enable = $features)]
        pub fn add_row(y: &mut [$t], row: &[$t], x: $t) {
            for (y, r) in y.iter_mut().zip(row) {
                add_product!($isa, *y, *r, x);
            }
        }

        #[target_feature(enable = $features)]
        pub fn add(y: &mut [$t], part: &[$t]) {
            for (y, p) in y.iter_mut().zip(part) {
                *y += *p;
            }
        }
    };
}

macro_rules! real {
    ($t:ident, $lanes:literal,
     ($v128:ident, $w128:literal, $zero128:ident $load128:ident $store128:ident $splat128:ident $add128:ident $mul128:ident),
     ($v256:ident, $w256:literal, $zero256:ident $load256:ident $store256:ident $splat256:ident $add256:ident $mul256:ident $fma256:ident
      $first256:ident $maskload256:ident $blend256:ident $cast256:ident),
     ($v512:ident, $w512:literal, $zero512:ident $load512:ident $store512:ident $splat512:ident $add512:ident $mul512:ident $fma512:ident),
     ($m512:ident, $maskz512:ident $mask_store512:ident $mask_fma512:ident |$sums512:ident| $tree512:expr)) => {
        mod $t {
            pub mod base {
                use super::super::{AHEAD, FEW, ROWS};
                vectors!(base, $t, $lanes, "sse2", $v128, $w128,
                    $zero128 $load128 $store128 $splat128 $add128 $mul128 |a, b, c| $add128($mul128(a, b), c));
                rows!(base, $t, "sse2");
                steps_of_two!(base, $t, "sse2", $v128, $w128,
                    $zero128 $load128 $store128 $splat128 |a, b, c| $add128($mul128(a, b), c));
                dots_of_two!($t, $lanes, "sse2", $w128, $zero128 $load128 |a, b, c| $add128($mul128(a, b), c));
                rest_by_one!(base, $t, $lanes, "sse2", $w128, $load128 $store128);
                one_by_one!(base, $t, "sse2");
            }
            pub mod avx2 {
                use super::super::{AHEAD, FEW, ROWS, TOGETHER};
                vectors!(avx2, $t, $lanes, "avx2,fma", $v256, $w256,
                    $zero256 $load256 $store256 $splat256 $add256 $mul256 |a, b, c| $fma256(a, b, c));
                rows!(avx2, $t, "avx2,fma");
                side_by_side!($t, "avx2,fma");
                steps_of_two!(avx2, $t, "avx2,fma", $v256, $w256,
                    $zero256 $load256 $store256 $splat256 |a, b, c| $fma256(a, b, c));
                dots_of_two!($t, $lanes, "avx2,fma", $w256, $zero256 $load256 |a, b, c| $fma256(a, b, c));
                rest_by_mask!($t, $lanes, "avx2,fma", $w256, $load256 $fma256 |n, row, x, sum| {
                    let mask = _mm256_loadu_si256(super::super::$first256.as_ptr().add($w256 - n).cast());
                    let all = $fma256($maskload256(row, mask), $maskload256(x, mask), sum);
                    $blend256(sum, all, $cast256(mask))
                });
                one_by_one!(avx2, $t, "avx2,fma");
            }
            pub mod avx512 {
                use super::super::{AHEAD, FEW, ROWS, TOGETHER};
                vectors!(avx512, $t, $lanes, "avx512f,avx512vl,avx512dq,avx512bw", $v512, $w512,
                    $zero512 $load512 $store512 $splat512 $add512 $mul512 |a, b, c| $fma512(a, b, c));
                rows!(avx512, $t, "avx512f,avx512vl,avx512dq,avx512bw");
                steps_of_two!(avx512, $t, "avx512f,avx512vl,avx512dq,avx512bw", $v512, $w512,
                    $zero512 $load512 $store512 $splat512 |a, b, c| $fma512(a, b, c));
                rest_by_mask!($t, $lanes, "avx512f,avx512vl,avx512dq,avx512bw", $w512, $load512 $fma512 |n, row, x, sum| {
                    let mask: $m512 = (1 << n) - 1;
                    $mask_fma512($maskz512(mask, row), $maskz512(mask, x), sum, mask)
                });
                masked!($t, "avx512f,avx512vl,avx512dq,avx512bw", $v512, $m512, $w512,
                    $zero512 $load512 $store512 $maskz512 $mask_store512 $splat512 $add512 $mul512 $fma512 $mask_fma512, |$sums512| $tree512);
            }
        }

        impl Real for $t {
            const ZERO: $t = 0.0;

            #[inline]
            fn dot(row: &[$t], x: &[$t]) -> $t {
                // SAFETY: the machine has this instruction set.
                unsafe {
                    match isa() {
                        Isa::Base => $t::base::dot(row, x),
                        Isa::Avx2 => $t::avx2::dot(row, x),
                        Isa::Avx512 => $t::avx512::dot(row, x),
                    }
                }
            }

            #[inline]
            fn dots(rows: [&[$t]; TOGETHER], x: &[$t], near: bool) -> [$t; TOGETHER] {
                // SAFETY: as above.
                unsafe {
                    match isa() {
                        // (For these sums there is not even room in registers for two rows.)
                        Isa::Base => rows.map(|row| $t::base::dot(row, x)),
                        Isa::Avx2 => $t::avx2::dots(rows, x, near),
                        Isa::Avx512 => $t::avx512::dots(rows, x),
                    }
                }
            }

            #[inline]
            fn add_rows(y: &mut [$t], rows: [&[$t]; ROWS], x: &[$t; ROWS], far: bool) {
                // SAFETY: as above.
                unsafe {
                    match isa() {
                        Isa::Base => $t::base::add_rows(y, rows, x, far),
                        Isa::Avx2 => $t::avx2::add_rows(y, rows, x, far),
                        Isa::Avx512 => $t::avx512::add_rows(y, rows, x, far),
                    }
                }
            }

            unsafe fn add_steps(y: &mut [$t], first: *const $t, step: isize, x: &[$t]) {
                // SAFETY: the caller's promise, and the machine has this instruction set.
                unsafe {
                    if isa() == Isa::Avx512 {
                        return $t::avx512::add_steps(y, first, step, x);
                    }
                    for (s, x) in x.as_chunks().0.iter().enumerate() {
                        let row = |r: usize| first.wrapping_offset((s * ROWS + r) as isize * step);
                        let rows = std::array::from_fn(|r| std::slice::from_raw_parts(row(r), y.len()));
                        Self::add_rows(y, rows, x, false);
                    }
                }
            }

            fn dots_of_two(rows: [&[$t]; FEW], x: [&[$t]; 2]) -> [[$t; 2]; FEW] {
                // SAFETY: as above.
                unsafe {
                    match isa() {
                        Isa::Base => $t::base::dots_of_two(rows, x),
                        Isa::Avx2 => $t::avx2::dots_of_two(rows, x),
                        Isa::Avx512 => $t::avx512::dots_of_two(rows, x),
                    }
                }
            }

            unsafe fn add_steps_of_two(y: [&mut [$t]; 2], first: *const $t, step: isize, x: [&[$t]; 2]) {
                // SAFETY: the caller's promise, and the machine has this instruction set.
                unsafe {
                    match isa() {
                        Isa::Base => $t::base::add_steps_of_two(y, first, step, x),
                        Isa::Avx2 => $t::avx2::add_steps_of_two(y, first, step, x),
                        Isa::Avx512 => $t::avx512::add_steps_of_two(y, first, step, x),
                    }
                }
            }

            fn add_row(y: &mut [$t], row: &[$t], x: $t) {
                // SAFETY: as above.
                unsafe {
                    match isa() {
                        Isa::Base => $t::base::add_row(y, row, x),
                        Isa::Avx2 => $t::avx2::add_row(y, row, x),
                        Isa::Avx512 => $t::avx512::add_row(y, row, x),
                    }
                }
            }

            fn add(y: &mut [$t], part: &[$t]) {
                // SAFETY: as above.
                unsafe {
                    match isa() {
                        Isa::Base => $t::base::add(y, part),
                        Isa::Avx2 => $t::avx2::add(y, part),
                        Isa::Avx512 => $t::avx512::add(y, part),
                    }
                }
            }
        }
    };
}
real!(
    f32,
    16,
    (__m128, 4, _mm_setzero_ps _mm_loadu_ps _mm_storeu_ps _mm_set1_ps _mm_add_ps _mm_mul_ps),
    (__m256, 8, _mm256_setzero_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps _mm256_add_ps _mm256_mul_ps _mm256_fmadd_ps
     FIRST_F32 _mm256_maskload_ps _mm256_blendv_ps _mm256_castsi256_ps),
    (__m512, 16, _mm512_setzero_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps _mm512_add_ps _mm512_mul_ps _mm512_fmadd_ps),
    (__mmask16, _mm512_maskz_loadu_ps _mm512_mask_storeu_ps _mm512_mask3_fmadd_ps |sums| {
        let halves = |a, b| _mm512_add_ps(_mm512_shuffle_f32x4::<0x44>(a, b), _mm512_shuffle_f32x4::<0xee>(a, b));
        let quarters = |a, b| _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
        let [a, b, c, d, e, f, g, h] = sums;
        let (abcd, efgh) = (quarters(halves(a, b), halves(c, d)), quarters(halves(e, f), halves(g, h)));
        let (p, q) = (_mm512_castps_pd(abcd), _mm512_castps_pd(efgh));
        let low = _mm512_castpd_ps(_mm512_unpacklo_pd(p, q));
        // Of each quarter two elements of one row and two of the row four further.
        let pairs = _mm512_add_ps(low, _mm512_castpd_ps(_mm512_unpackhi_pd(p, q)));
        let total = _mm512_add_ps(pairs, _mm512_movehdup_ps(pairs));
        let places = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0);
        let mut results = [0.0; TOGETHER];
        // SAFETY: as many results as the lower half has lanes.
        unsafe {
            let total = _mm512_castps512_ps256(_mm512_permutexvar_ps(places, total));
            _mm256_storeu_ps(results.as_mut_ptr(), total);
        }
        results
    })
);
real!(
    f64,
    8,
    (__m128d, 2, _mm_setzero_pd _mm_loadu_pd _mm_storeu_pd _mm_set1_pd _mm_add_pd _mm_mul_pd),
    (__m256d, 4, _mm256_setzero_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_set1_pd _mm256_add_pd _mm256_mul_pd _mm256_fmadd_pd
     FIRST_F64 _mm256_maskload_pd _mm256_blendv_pd _mm256_castsi256_pd),
    (__m512d, 8, _mm512_setzero_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_set1_pd _mm512_add_pd _mm512_mul_pd _mm512_fmadd_pd),
    (__mmask8, _mm512_maskz_loadu_pd _mm512_mask_storeu_pd _mm512_mask3_fmadd_pd |sums| {
        let halves = |a, b| _mm512_add_pd(_mm512_shuffle_f64x2::<0x44>(a, b), _mm512_shuffle_f64x2::<0xee>(a, b));
        let quarters = |a, b| _mm512_add_pd(_mm512_shuffle_f64x2::<0x88>(a, b), _mm512_shuffle_f64x2::<0xdd>(a, b));
        let [a, b, c, d, e, f, g, h] = sums;
        let (abcd, efgh) = (quarters(halves(a, b), halves(c, d)), quarters(halves(e, f), halves(g, h)));
        let total = _mm512_add_pd(_mm512_unpacklo_pd(abcd, efgh), _mm512_unpackhi_pd(abcd, efgh));
        let places = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
        let mut results = [0.0; TOGETHER];
        // SAFETY: as many results as the vector has lanes.
        unsafe { _mm512_storeu_pd(results.as_mut_ptr(), _mm512_permutexvar_pd(places, total)) };
        results
    })
);
