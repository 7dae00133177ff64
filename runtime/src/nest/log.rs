//! What elements were before a round wrote them, so that the round can be taken back.
//!
//! A boundary file: it reads and writes elements by address.

use std::mem::MaybeUninit;

use legate_jit_ir::nest::{OLD_BYTES, OLD_ROW, Old, ROWS};

use super::vector::strided_copy;
use super::view::View;

/// Writes of a round, in their order.
#[derive(Default)]
pub(super) struct Log {
    singles: Vec<Old>,
    /// Each with how many singles came before it, and where its old elements are.
    many: Vec<Many>,
    old: Vec<MaybeUninit<u64>>,
}

struct Many {
    view: View,
    item: usize,
    before: usize,
    at: usize,
}

impl Log {
    pub(super) fn clear(&mut self) {
        self.singles.clear();
        self.many.clear();
        self.old.clear();
    }

    /// Where the next one goes, with room for so many more and for [`ROWS`] bytes of rows.
    pub(super) fn end(&mut self, room: usize) -> *mut Old {
        self.singles.reserve(room + ROWS / size_of::<Old>());
        self.singles.spare_capacity_mut().as_mut_ptr().cast()
    }

    /// Takes in those that were noted up to this place.
    ///
    /// # Safety
    /// They are there, and `end` gave the place where they begin.
    pub(super) unsafe fn take_in(&mut self, end: *mut Old) {
        // SAFETY: the caller's promise.
        unsafe {
            let n = end.offset_from_unsigned(self.singles.as_ptr());
            self.singles.set_len(n);
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        8 * self.old.len() + self.singles.len() * size_of::<Old>()
    }

    /// Notes an element of eight bytes, of four or of one, that is about to be written.
    ///
    /// # Safety
    /// There is such an element.
    #[inline(always)]
    pub(super) unsafe fn single(&mut self, ptr: *mut u8, item: u8) {
        // SAFETY: the caller's promise.
        let bits = unsafe {
            match item {
                8 => ptr.cast::<u64>().read_unaligned(),
                4 => ptr.cast::<u32>().read_unaligned() as u64,
                _ => ptr.read() as u64,
            }
        };
        self.singles.push(Old { place: ptr.expose_provenance() as u64 | (item as u64) << OLD_BYTES, bits });
    }

    /// Notes the elements of a view.
    ///
    /// # Safety
    /// There are such elements, of so many bytes.
    pub(super) unsafe fn many(&mut self, view: &View, item: usize) {
        let room = self.room(view, item);
        // SAFETY: the caller's promise; the room is for these.
        unsafe { strided_copy(&room, view, item) };
    }

    /// Room for the elements of a view, which whoever is about to write them puts there.
    pub(super) fn room(&mut self, view: &View, item: usize) -> View {
        let at = self.old.len();
        let words = (view.size() * item).div_ceil(8);
        self.old.reserve(words);
        // SAFETY: there is room, and it need not be initialized.
        unsafe {
            self.old.set_len(at + words);
        }
        self.many.push(Many { view: *view, item, before: self.singles.len(), at });
        View::packed(self.old[at..].as_mut_ptr().cast(), view.shape(), item)
    }

    /// Writes back what was there, the last first.
    ///
    /// # Safety
    /// The elements are still there.
    pub(super) unsafe fn undo(&mut self) {
        // SAFETY: the caller's promise, here and below.
        unsafe {
            while let Some(many) = self.many.pop() {
                self.undo_singles(many.before);
                let kept = View::packed(self.old[many.at..].as_mut_ptr().cast(), many.view.shape(), many.item);
                strided_copy(&many.view, &kept, many.item);
            }
            self.undo_singles(0);
        }
        self.clear();
    }

    /// # Safety
    /// As for `undo`.
    unsafe fn undo_singles(&mut self, down_to: usize) {
        while self.singles.len() > down_to {
            let Some(Old { place, bits }) = self.singles.pop() else { return };
            let item = place >> OLD_BYTES;
            let ptr = std::ptr::with_exposed_provenance_mut::<u8>((place & ((1 << OLD_BYTES) - 1)) as usize);
            if item & OLD_ROW != 0 {
                let item = (item & !OLD_ROW) as usize;
                let Some(Old { place: stride, bits: n }) = self.singles.pop() else { return };
                let places = (n as usize * item).div_ceil(size_of::<Old>());
                let at = self.singles.len() - places;
                // (More bytes than an element has are several, one behind the other.)
                let one = item.min(size_of::<u64>());
                let shape = [n as usize, item / one];
                let row = View::new(ptr, &shape, &[stride as isize, one as isize]);
                let kept = View::packed(self.singles[at..].as_mut_ptr().cast(), &shape, one);
                // SAFETY: the caller's promise; machine code has noted so many elements there.
                unsafe { strided_copy(&row, &kept, one) };
                self.singles.truncate(at);
                continue;
            }
            // SAFETY: the caller's promise.
            unsafe {
                match item {
                    8 => ptr.cast::<u64>().write_unaligned(bits),
                    4 => ptr.cast::<u32>().write_unaligned(bits as u32),
                    _ => ptr.write(bits as u8),
                }
            }
        }
    }
}
