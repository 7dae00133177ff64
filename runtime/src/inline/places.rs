//! The places of what is not zero in a short line.
//!
//! A boundary file, as `inline.rs`.

use legate_jit_ir::DType;

use super::{at_rest, made};
use crate::array::Array;
use crate::layout::Layout;
use crate::session::Session;
use crate::{Result, Store};

/// Elements of the longest line: their places are first written to the stack.
const LONGEST: usize = 256;

impl Session {
    /// The places of the elements that are not zero, of an array of one axis; `None` where that takes more.
    pub(crate) fn places_now(&mut self, a: &Array) -> Result<Option<Array>> {
        let (&[n], &[step]) = (a.shape(), &a.layout.strides[..]) else { return Ok(None) };
        if n > LONGEST || !self.inline.allows_more(n) {
            return Ok(None);
        }
        let Some(p) = at_rest(self, a) else { return Ok(None) };
        let line = (p.cast_const(), step as isize * a.dtype.size() as isize, n);
        let mut places = [0i64; LONGEST];
        // SAFETY: a line of elements in memory, of the array's type.
        let count = unsafe {
            match a.dtype {
                DType::F32 => found(line, |x: f32| x != 0.0, &mut places),
                DType::F64 => found(line, |x: f64| x != 0.0, &mut places),
                DType::C64 => found(line, |x: [f32; 2]| x != [0.0; 2], &mut places),
                DType::C128 => found(line, |x: [f64; 2]| x != [0.0; 2], &mut places),
                DType::Bool | DType::I8 | DType::U8 => found(line, |x: u8| x != 0, &mut places),
                DType::I16 | DType::U16 => found(line, |x: u16| x != 0, &mut places),
                DType::I32 | DType::U32 => found(line, |x: u32| x != 0, &mut places),
                DType::I64 | DType::U64 => found(line, |x: u64| x != 0, &mut places),
            }
        };
        let store = Store::alloc(8 * count)?;
        // SAFETY: new memory with room for so many numbers.
        unsafe { store.raw_ptr().cast::<i64>().copy_from_nonoverlapping(places.as_ptr(), count) };
        self.inline.is_asked();
        self.counters.inline += 1;
        Ok(Some(made(store, DType::I64, &Layout::identity(&[count]), 0)))
    }
}

/// Writes the places of what is so, and says how many there are.
///
/// # Safety
/// The line is an address, the bytes from an element to the next, and how many there are.
#[inline(always)]
unsafe fn found<T: Copy>(
    (p, step, n): (*const u8, isize, usize),
    is_so: impl Fn(T) -> bool,
    places: &mut [i64; LONGEST],
) -> usize {
    let mut count = 0;
    for i in 0..n.min(LONGEST) {
        // SAFETY: the caller's promise.
        let x = unsafe { p.wrapping_offset(i as isize * step).cast::<T>().read_unaligned() };
        places[count] = i as i64;
        count += is_so(x) as usize;
    }
    count
}
