//! Operands that do not lie along the rows of a launch: transposed arrays.
//!
//! A kernel that reads such an operand element by element fetches a cache line for each: the neighbours along the rows are far
//! apart. So the box is worked off in tiles: what a tile reads of such operands is copied to a scratch in the order of the kernel's
//! axes, by whole vectors (`vm::moves`), and the kernel reads that. It is then the kernel of operands that lie along the rows, for
//! all sizes and strides the same.
//!
//! The kernel's contract allows any order of points, and no point reads what another one writes, so a tile may be read ahead.
//!
//! A boundary file: it takes addresses from the launch, whose promise about them it passes on.

use legate_jit_ir::kernel::Kernel;
use smallvec::SmallVec;

use super::stream::with_scratch;
use crate::machine;
use crate::vm::moves::{self, NEAR, Rect};

/// Points along both axes of a transposed operand, at least: fewer are not worth the tiles.
const SIDE: i64 = 16;
/// Columns of a tile with a transposed operand.
const COLUMNS: i64 = 512;
/// Bytes of a transposed operand that lie together in memory and are read for a tile: enough of them to be read at memory's speed.
const TOGETHER: i64 = 1 << 10;
/// The part of the second-level cache that such a tile takes: what the kernel reads and writes besides goes through it too.
const PART: usize = 4;

struct Packed {
    access: usize,
    size: usize,
    /// Where in the scratch its tile begins.
    at: usize,
}

/// How the boxes of a kernel are cut into tiles, and what is packed of them.
pub struct Packing {
    packed: SmallVec<[Packed; 4]>,
    /// The axis, besides the innermost, along which tiles have more than one point.
    rows: usize,
    /// Points of a tile along that axis, and along the innermost.
    tile: [i64; 2],
    /// Tiles begin at multiples of so many points where there are several.
    grain: i64,
    bytes: usize,
    /// The kernel's strides, those of what is packed in the scratch.
    strides: SmallVec<[i64; 16]>,
}

impl Packing {
    /// What is worth packing for a kernel over `extent` points; `strides[a * rank + d]` in bytes.
    pub fn of(kernel: &Kernel, strides: &[i64], extent: &[i64]) -> Option<Packing> {
        let rank = extent.len();
        let inner = rank - 1;
        let stride = |a: usize, d: usize| strides[a * rank + d];
        let reads = || kernel.accesses.iter().enumerate().filter(|(_, access)| !access.write);
        // The outer axis along which an access's neighbours are near, if along the innermost they are far.
        let turned = |a: usize| {
            let is_near = |d: &usize| stride(a, *d) != 0 && stride(a, *d).abs() < NEAR && extent[*d] >= SIDE;
            let is_far = stride(a, inner).abs() >= NEAR && extent[inner] >= SIDE;
            (0..inner).filter(is_near).min_by_key(|&d| stride(a, d).abs()).filter(|_| is_far)
        };
        let rows = reads().find_map(|(a, _)| turned(a))?;
        let accesses: SmallVec<[(usize, usize); 4]> =
            reads().filter(|&(a, _)| turned(a) == Some(rows)).map(|(a, access)| (a, access.dtype.size())).collect();
        let smallest = accesses.iter().map(|&(_, size)| size as i64).min()?;
        let grain = (NEAR / smallest).max(SIDE);
        let columns = COLUMNS.min(extent[inner]);
        // A line more a row, so that a column's elements do not all lie in the same set of a cache.
        let row_of = |size: usize| (columns * size as i64 + 2 * NEAR - 1) / NEAR * NEAR;
        let row_bytes: i64 = accesses.iter().map(|&(_, size)| row_of(size)).sum();
        let room = (machine::second_level_cache() / PART) as i64 / row_bytes / grain * grain;
        let tile_rows = room.clamp(grain, TOGETHER / smallest).min(extent[rows]);
        let mut strides: SmallVec<[i64; 16]> = strides.into();
        let mut bytes = 0;
        let mut packed = SmallVec::new();
        for (access, size) in accesses {
            packed.push(Packed { access, size, at: bytes });
            bytes += (row_of(size) * tile_rows) as usize;
            let of_access = &mut strides[access * rank..][..rank];
            of_access.fill(0);
            of_access[inner] = size as i64;
            of_access[rows] = row_of(size);
        }
        Some(Packing { packed, rows, tile: [tile_rows, columns], grain, bytes, strides })
    }

    /// The strides that the kernel sees.
    pub fn strides(&self) -> &[i64] {
        &self.strides
    }

    /// Calls the kernel (with pointers, first coordinates and extents) on the tiles of a box.
    ///
    /// # Safety
    /// The elements of the box's points are valid memory; `strides` are those that the packing was made of.
    pub unsafe fn run(
        &self,
        ptrs: &[*mut u8],
        strides: &[i64],
        lo: &[i64],
        extent: &[i64],
        call: impl Fn(&[*mut u8], &[i64], &[i64]),
    ) {
        let rank = extent.len();
        let inner = rank - 1;
        let mut step: SmallVec<[i64; 4]> = SmallVec::from_elem(1, rank);
        step[inner] = even(extent[inner], self.tile[1], self.grain);
        step[self.rows] = even(extent[self.rows], self.tile[0], self.grain);
        let mut from: SmallVec<[i64; 4]> = SmallVec::from_elem(0, rank);
        let (mut first, mut size) = (from.clone(), from.clone());
        let mut at: SmallVec<[*mut u8; 16]> = ptrs.into();
        with_scratch(self.bytes, |scratch| {
            loop {
                for d in 0..rank {
                    first[d] = lo[d] + from[d];
                    size[d] = step[d].min(extent[d] - from[d]);
                }
                for (a, at) in at.iter_mut().enumerate() {
                    let of_access = &strides[a * rank..][..rank];
                    let offset: i64 = of_access.iter().zip(&from).map(|(s, f)| s * f).sum();
                    *at = ptrs[a].wrapping_offset(offset as isize);
                }
                for packed in &self.packed {
                    let rect = |ptr: *mut u8, strides: &[i64]| {
                        let of_access = &strides[packed.access * rank..][..rank];
                        Rect { ptr, row: of_access[self.rows], column: of_access[inner] }
                    };
                    let to = scratch.wrapping_add(packed.at);
                    let (rows, columns) = (size[self.rows], size[inner]);
                    let from = rect(at[packed.access], strides);
                    // SAFETY: the tile lies in the box, and the scratch has room for one.
                    unsafe { moves::copy(packed.size, from, rect(to, &self.strides), rows as usize, columns as usize) };
                    at[packed.access] = to;
                }
                call(&at, &first, &size);
                // The next tile, the innermost axis first.
                let mut d = rank;
                loop {
                    if d == 0 {
                        return;
                    }
                    d -= 1;
                    from[d] += step[d];
                    if from[d] < extent[d] {
                        break;
                    }
                    from[d] = 0;
                }
            }
        });
    }
}

/// So many points a step of at most `most` that the steps are about equal, and begin at multiples of the grain if they can.
fn even(n: i64, most: i64, grain: i64) -> i64 {
    let parts = (n + most - 1) / most;
    let step = (n + parts - 1) / parts;
    ((step + grain - 1) / grain * grain).min(most)
}

#[cfg(test)]
mod tests {
    use super::even;

    #[test]
    fn steps_are_even() {
        assert_eq!(even(100, 128, 16), 112);
        assert_eq!(even(130, 128, 16), 80);
        assert_eq!(even(5, 5, 16), 5);
        assert_eq!(even(1000, 512, 16), 512);
    }
}
