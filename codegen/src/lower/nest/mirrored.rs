//! Rows that are computed of themselves the other way round, `y += a * y[::-1]`: a vector at the front and one at the back give both of
//! those that take their place, so that nothing has to be kept elsewhere until the row is done.

use super::rows::{Row, Rows, operation};
use super::*;

impl<'c, 'b> Nest<'c, 'b> {
    /// Whether leaf number `k` is what is written, the other way round, and all of them are gone through vector by vector.
    pub(super) fn is_mirrored(&self, rows: &Rows<'c, '_>, k: usize) -> V<'c> {
        let b = self.b;
        let item = rows.elem.bytes() as i64;
        let int = |n: i64| b.int(Elem::I64, n);
        let address = |ptr: V<'c>| b.op("llvm.ptrtoint", &[ptr], Elem::I64);
        let last = b.op("arith.subi", &[rows.shape[0], int(1)], Elem::I64);
        let last = address(b.offset(rows.to.ptr, last, rows.elem));
        let begins = b.compare("arith.cmpi", EQUAL, address(rows.leaves[k].ptr), last);
        let steps = |(n, leaf): (usize, &super::rows::Leaf<'c>)| {
            b.compare("arith.cmpi", EQUAL, leaf.strides[0], int(if n == k { -item } else { item }))
        };
        let all = rows.leaves.iter().enumerate().map(steps).fold(begins, |all, one| self.both(all, one));
        self.both(all, b.compare("arith.cmpi", EQUAL, rows.to.strides[0], int(item)))
    }

    /// Computes and writes all elements of such a row.
    pub(super) fn mirrored(&self, rows: &Rows<'c, '_>, k: usize) {
        let b = &self.b;
        let (elem, n) = (rows.elem, rows.shape[0]);
        let int = |n: i64| b.int(Elem::I64, n);
        let lanes = self.vector_bytes / elem.bytes();
        let half = b.op("arith.divui", &[n, int(2)], Elem::I64);
        let whole = b.op("arith.andi", &[half, int(-(lanes as i64))], Elem::I64);
        let spread = rows.row.spread(&b.with_lanes(lanes), elem);
        b.for_each(int(0), whole, int(lanes as i64), |b, i| {
            self.pair(&b.with_lanes(lanes), (rows, &spread), k, i);
        });
        b.for_each(whole, half, int(1), |b, i| self.pair(b, (rows, rows.row), k, i));
        // (An odd one is its own counterpart.)
        b.for_each(half, b.op("arith.subi", &[n, half], Elem::I64), int(1), |b, i| {
            let own = self.load_at(b, elem, b.offset(rows.to.ptr, i, elem));
            self.counterpart(b, (rows, rows.row), k, i, [own, own]);
        });
    }

    /// A vector from some element on, and its counterpart.
    fn pair(&self, b: &Build<'c, 'b>, row: (&Rows<'c, '_>, &Row<'c>), k: usize, i: V<'c>) {
        let (one, elem) = (b.with_lanes(1), row.0.elem);
        let end = one.op("arith.subi", &[row.0.shape[0], one.int(Elem::I64, b.lanes as i64)], Elem::I64);
        let j = one.op("arith.subi", &[end, i], Elem::I64);
        let [front, back] = [i, j].map(|at| self.load_at(b, elem, one.offset(row.0.to.ptr, at, elem)));
        let turned = |vector| match b.lanes {
            1 => vector,
            lanes => b.shuffle(elem, vector, vector, &(0..lanes as i32).rev().collect::<Vec<_>>()),
        };
        self.counterpart(b, row, k, i, [front, turned(back)]);
        self.counterpart(b, row, k, j, [back, turned(front)]);
    }

    /// Computes and writes a vector from some element on, of what was there and its counterpart.
    fn counterpart(
        &self,
        b: &Build<'c, 'b>,
        (rows, row): (&Rows<'c, '_>, &Row<'c>),
        k: usize,
        i: V<'c>,
        [own, other]: [V<'c>; 2],
    ) {
        let (one, elem) = (b.with_lanes(1), rows.elem);
        let leaf = |n: usize| match n == k {
            true => other,
            false => self.load_at(b, elem, one.offset(rows.leaves[n].ptr, i, elem)),
        };
        let mut value = self.value(b, elem, row, &leaf);
        if let Some(map) = rows.update {
            value = b.op(operation(map), &[own, value], elem);
        }
        let attributes = self.memory(elem, self.scopes.elements, self.scopes.log);
        b.effect("llvm.store", &[value, one.offset(rows.to.ptr, i, elem)], &attributes);
    }
}
