//! Streams that are arrays in memory already: they are reduced where they lie, and no kernel copies them.

use legate_jit_ir::kernel::{Kernel, Op};
use legate_jit_ir::shape::c_strides;
use smallvec::SmallVec;

use crate::exec::piece::Place;
use crate::exec::space::Walk;

/// Where one stream lies.
struct Array {
    buffer: u32,
    /// In bytes.
    offset: i64,
    /// In bytes, along the domain's axes; none is negative.
    strides: SmallVec<[i64; 4]>,
    size: usize,
}

/// Where the streams of a launch lie.
pub struct Direct {
    arrays: Vec<Array>,
    /// So many points of the domain in C order lie one after the other in all arrays, from each multiple of this number on.
    pub(super) run: usize,
}

impl Direct {
    /// Where the launch's one piece only loads its streams, each of them one after the other at least along the last axis.
    pub fn new(kernel: &Kernel, walk: &Walk, places: &[Place], domain: &[i64]) -> Option<Direct> {
        let rank = walk.rank();
        let mut arrays: Vec<(u32, Array)> = Vec::new();
        for &(access, value) in &kernel.body.stores {
            let Place::Stream(k) = places[access as usize] else { return None };
            let Op::Load(load) = kernel.body.insts[value.0 as usize].op else { return None };
            let (load, size) = (load as usize, kernel.accesses[load as usize].dtype.size());
            let Place::Buffer(buffer) = places[load] else { return None };
            let strides: SmallVec<[i64; 4]> = walk.strides[load * rank..(load + 1) * rank].into();
            if strides.iter().zip(domain).any(|(&s, &n)| s < 0 && n > 1) {
                return None;
            }
            arrays.push((k, Array { buffer, offset: walk.offset[load], strides, size }));
        }
        arrays.sort_by_key(|&(k, _)| k);
        let arrays: Vec<Array> = arrays.into_iter().map(|(_, array)| array).collect();
        let shape: SmallVec<[usize; 4]> = domain.iter().map(|&n| n as usize).collect();
        let flat = c_strides(&shape);
        let lie_together = |d: usize| shape[d] <= 1 || arrays.iter().all(|a| a.strides[d] == flat[d] * a.size as i64);
        let run = (0..rank).rev().take_while(|&d| lie_together(d)).map(|d| shape[d]).product();
        (run >= shape.last().copied().unwrap_or(1)).then_some(Direct { arrays, run })
    }

    /// The address of a point of stream `s`, and the elements from one row (along the axis before the last) to the next.
    pub fn line(&self, s: usize, bases: &[*mut u8], point: &[i64]) -> (*mut u8, usize) {
        let array = &self.arrays[s];
        let at: i64 = point.iter().zip(&array.strides).map(|(&i, &stride)| i * stride).sum();
        let base = bases[array.buffer as usize].wrapping_offset((array.offset + at) as isize);
        (base, array.strides.iter().rev().nth(1).map_or(0, |&stride| stride.max(0) as usize / array.size))
    }

    /// The address of point number `index` of the domain in C order, of each stream.
    pub fn at(&self, bases: &[*mut u8], domain: &[i64], index: usize) -> SmallVec<[*mut u8; 4]> {
        let within = index % self.run;
        let mut first = index - within;
        let mut point: SmallVec<[i64; 4]> = SmallVec::from_elem(0, domain.len());
        if first > 0 {
            for (at, &n) in point.iter_mut().zip(domain).rev() {
                (*at, first) = ((first % n as usize) as i64, first / n as usize);
            }
        }
        let place = |(s, array): (usize, &Array)| self.line(s, bases, &point).0.wrapping_add(within * array.size);
        self.arrays.iter().enumerate().map(place).collect()
    }
}
