//! Moves of elements between arrays of any stride and the blocks: two nested loops over rows and columns, by element size.
//! No alignment is needed.

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
                    let row = |rect: Rect| rect.ptr.wrapping_offset((r as i64 * rect.row) as isize);
                    std::ptr::copy(row(from), row(to), columns * size);
                }
                return;
            }
        }
        // The longer side runs inside.
        if rows > columns {
            std::mem::swap(&mut rows, &mut columns);
            std::mem::swap(&mut from.row, &mut from.column);
            std::mem::swap(&mut to.row, &mut to.column);
        }
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
