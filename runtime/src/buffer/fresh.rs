//! Memory that has just been made and is nobody else's yet: the one time at which it can be written like any slice.
//!
//! A boundary file: it makes slices of a store's bytes.

use std::marker::PhantomData;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Store;
use crate::{Error, Result};

/// A store of so many numbers, of any bytes, which are to be written.
pub(crate) struct Fresh<T> {
    store: Arc<Store>,
    n: usize,
    of: PhantomData<T>,
}

impl<T: Copy> Fresh<T> {
    pub(crate) fn new(n: usize) -> Result<Fresh<T>> {
        let too_many = || Error::Memory(format!("{n} elements are more than there are addresses"));
        let bytes = n.checked_mul(size_of::<T>()).filter(|&b| isize::try_from(b).is_ok()).ok_or_else(too_many)?;
        Ok(Fresh { store: Store::alloc(bytes)?, n, of: PhantomData })
    }

    pub(crate) fn elements(&mut self) -> &mut [T] {
        // SAFETY: the store has so many bytes, aligned for every element type, and nobody else has it; numbers may be any bytes.
        unsafe { std::slice::from_raw_parts_mut(self.store.as_mut_ptr().cast(), self.n) }
    }

    /// So many elements at a time, for several threads.
    pub(crate) fn chunks(&mut self, each: usize) -> Vec<Mutex<&mut [T]>> {
        self.elements().chunks_mut(each).map(Mutex::new).collect()
    }

    pub(crate) fn done(self) -> Arc<Store> {
        self.store
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_what_the_store_holds() {
        let mut fresh = Fresh::<u32>::new(10).unwrap();
        for (k, chunk) in fresh.chunks(4).into_iter().enumerate() {
            chunk.into_inner().fill(k as u32);
        }
        let expect: Vec<u8> = [0u32, 0, 0, 0, 1, 1, 1, 1, 2, 2].iter().flat_map(|x| x.to_le_bytes()).collect();
        assert_eq!(fresh.done().as_slice(), expect);
        assert!(matches!(Fresh::<u64>::new(usize::MAX / 4), Err(Error::Memory(_))));
    }
}
