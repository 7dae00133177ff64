//! Moves of elements between arrays of any stride and the blocks: two nested loops over rows and columns, by element size.
//! No alignment is needed.

use super::turn::turn;

/// Elements nearer than so many bytes are mostly in one cache line.
pub const NEAR: i64 = 64;
/// Elements of a side that is worth being walked for its nearness.
const BLOCK: usize = 8;

/// A rectangle of elements: rows × columns, with their distances in bytes.
#[derive(Clone, Copy)]
pub struct Rect {
    pub ptr: *mut u8,
    pub row: i64,
    pub column: i64,
}

impl Rect {
    /// The elements one after the other, `columns` in a row.
    pub fn packed(ptr: *mut u8, size: usize, columns: usize) -> Rect {
        Rect { ptr, row: (columns * size) as i64, column: size as i64 }
    }

    /// The part that begins at an element.
    fn at(self, row: usize, column: usize) -> Rect {
        let offset = row as i64 * self.row + column as i64 * self.column;
        Rect { ptr: self.ptr.wrapping_offset(offset as isize), ..self }
    }

    /// The same elements with rows for columns.
    fn turned(self) -> Rect {
        Rect { ptr: self.ptr, row: self.column, column: self.row }
    }
}

unsafe fn copy_as<T: Copy>(from: Rect, to: Rect, rows: usize, columns: usize) {
    // SAFETY: the caller's promise (`copy`).
    unsafe {
        for r in 0..rows {
            let from_row = from.ptr.wrapping_offset((r as i64 * from.row) as isize);
            let to_row = to.ptr.wrapping_offset((r as i64 * to.row) as isize);
            if from.column == 0 {
                let v = (from_row as *const T).read_unaligned();
                for c in 0..columns {
                    (to_row.wrapping_offset((c as i64 * to.column) as isize) as *mut T).write_unaligned(v);
                }
            } else if to.column == size_of::<T>() as i64 {
                for c in 0..columns {
                    let v = (from_row.wrapping_offset((c as i64 * from.column) as isize) as *const T).read_unaligned();
                    (to_row as *mut T).add(c).write_unaligned(v);
                }
            } else {
                for c in 0..columns {
                    let v = (from_row.wrapping_offset((c as i64 * from.column) as isize) as *const T).read_unaligned();
                    (to_row.wrapping_offset((c as i64 * to.column) as isize) as *mut T).write_unaligned(v);
                }
            }
        }
    }
}

/// Copies a rectangle of elements of `size` bytes (1, 2, 4, 8 or 16).
///
/// # Safety
/// All elements of both are valid memory. They are the same elements, or do not overlap.
pub unsafe fn copy(size: usize, mut from: Rect, mut to: Rect, mut rows: usize, mut columns: usize) {
    let width = size as i64;
    // SAFETY: the caller's promise.
    unsafe {
        if from.column == width && to.column == width {
            if rows == 1 || from.row == to.row && from.row == columns as i64 * width {
                std::ptr::copy(from.ptr, to.ptr, rows * columns * size);
                return;
            }
            if columns >= 16 {
                for r in 0..rows {
                    std::ptr::copy(from.at(r, 0).ptr, to.at(r, 0).ptr, columns * size);
                }
                return;
            }
        }
        // Inside runs the side along which reading stays in a line; else the longer one.
        let near = |distance: i64| distance != 0 && distance.abs() < NEAR;
        let inside = match (near(from.row) && rows >= BLOCK, near(from.column) && columns >= BLOCK) {
            (true, false) => true,
            (false, true) => false,
            _ => rows > columns,
        };
        if inside {
            std::mem::swap(&mut rows, &mut columns);
            (from, to) = (from.turned(), to.turned());
        }
        if from.column == width
            && to.row == width
            && let Some((turn, side)) = turn(size)
        {
            let (whole_rows, whole_columns) = (rows / side * side, columns / side * side);
            turn(from.ptr, from.row as isize, to.ptr, to.column as isize, whole_columns, whole_rows);
            // What is left has less than a block along one side.
            sized(size, from.at(whole_rows, 0), to.at(whole_rows, 0), rows - whole_rows, columns);
            sized(size, from.at(0, whole_columns), to.at(0, whole_columns), whole_rows, columns - whole_columns);
            return;
        }
        sized(size, from, to, rows, columns);
    }
}

unsafe fn sized(size: usize, from: Rect, to: Rect, rows: usize, columns: usize) {
    // SAFETY: the caller's promise (`copy`).
    unsafe {
        match size {
            1 => copy_as::<u8>(from, to, rows, columns),
            2 => copy_as::<u16>(from, to, rows, columns),
            4 => copy_as::<u32>(from, to, rows, columns),
            8 => copy_as::<u64>(from, to, rows, columns),
            _ => copy_as::<[u64; 2]>(from, to, rows, columns),
        }
    }
}

/// Writes one element everywhere.
///
/// # Safety
/// `value` points to one element, `to` is valid memory that does not overlap it.
pub unsafe fn fill(size: usize, value: *const u8, to: Rect, rows: usize, columns: usize) {
    let from = Rect { ptr: value as *mut u8, row: 0, column: 0 };
    // SAFETY: the caller's promise.
    unsafe {
        if rows == 1 && to.column == size as i64 {
            let bits = std::slice::from_raw_parts(value, size);
            if bits.iter().all(|b| *b == 0) {
                return to.ptr.write_bytes(0, columns * size);
            }
        }
        copy(size, from, to, rows, columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements of a side; the distances along the sides, in elements, for so many rows and columns.
    const SIDES: [usize; 8] = [1, 3, 8, 16, 17, 33, 64, 130];

    fn layouts(rows: usize, columns: usize) -> Vec<(i64, i64)> {
        let (r, c) = (rows as i64, columns as i64);
        let mut all = vec![(c, 1), (c + 5, 1), (1, r), (1, r + 3), (-c, -1), (-1, r), (2, 2 * r + 1)];
        all.extend([2, 3, 4, 5, 6, 7, 8, 9, -2, -3, -8].map(|step: i64| (c * step.abs() + 1, step)));
        all
    }

    /// The elements of a rectangle inside an array: nothing outside may be touched, so arrays end with their last element.
    fn lay_out(array: &mut [u8], size: usize, rows: usize, columns: usize, (row, column): (i64, i64)) -> Rect {
        let back = |step: i64, n: usize| (-step).max(0) * (n as i64 - 1);
        let first = (back(row, rows) + back(column, columns)) as usize * size;
        Rect { ptr: array[first..].as_mut_ptr(), row: row * size as i64, column: column * size as i64 }
    }

    fn bytes(size: usize, rows: usize, columns: usize, (row, column): (i64, i64)) -> usize {
        ((row.abs() * (rows as i64 - 1) + column.abs() * (columns as i64 - 1) + 1) as usize) * size
    }

    fn check(size: usize, rows: usize, columns: usize, from: (i64, i64), to: (i64, i64)) {
        let mut source: Vec<u8> = (0..bytes(size, rows, columns, from)).map(|i| (i * 7 + i / 251 * 13) as u8).collect();
        let mut target = vec![0u8; bytes(size, rows, columns, to)];
        let mut want = target.clone();
        let read = lay_out(&mut source, size, rows, columns, from);
        let expected = lay_out(&mut want, size, rows, columns, to);
        for r in 0..rows {
            for c in 0..columns {
                // SAFETY: both arrays have room for all elements.
                unsafe { expected.at(r, c).ptr.copy_from_nonoverlapping(read.at(r, c).ptr, size) };
            }
        }
        // SAFETY: as above.
        unsafe { copy(size, read, lay_out(&mut target, size, rows, columns, to), rows, columns) };
        assert!(target == want, "{rows} x {columns} of {size} bytes, {from:?} to {to:?}");
    }

    #[test]
    fn every_element_comes_to_its_place() {
        for size in [1, 2, 4, 8, 16] {
            for rows in SIDES {
                for columns in SIDES {
                    for from in layouts(rows, columns) {
                        for to in [(columns as i64, 1), (columns as i64 + 8, 1), (1, rows as i64)] {
                            check(size, rows, columns, from, to);
                        }
                    }
                }
            }
        }
    }
}
