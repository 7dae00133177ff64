//! Operands of products as the program has them in memory.
//!
//! BLAS chooses its loops by how operands lie, and so their order of additions. Passes may have found that a row is one number, or that
//! half of a sum is enough; then the operand lies elsewhere than where the program has it, and is copied to memory where it lies as
//! it does there.
//!
//! A boundary file: it reads and writes operands by address.

use std::sync::Arc;

use legate_jit_ir::graph::Strides;
use legate_jit_ir::shape::c_strides;

use super::Strided;
use crate::Result;
use crate::buffer::Store;

/// A copy of an operand.
pub(super) struct Arranged {
    store: Arc<Store>,
    /// Where the first element lies, and the steps between them, in bytes.
    first: i64,
    strides: Strides,
}

impl Arranged {
    /// A copy that lies in steps of `strides` elements (in C order if there are none); `None` where the operand lies so already, or
    /// where BLAS makes no difference.
    pub(super) fn of(operand: &Strided, strides: &Strides) -> Result<Option<Arranged>> {
        let shape = operand.shape;
        let wanted = if strides.is_empty() { c_strides(shape) } else { strides.clone() };
        let item = operand.dtype.size() as i64;
        let size: usize = shape.iter().product();
        let lead = shape.len() - 2;
        if size == 0 || kind(&shape[lead..], &operand.strides[lead..], item) == kind(&shape[lead..], &wanted[lead..], 1)
        {
            return Ok(None);
        }
        let strides = compact(shape, &wanted);
        // Some run backwards from the first element, others forwards.
        let reach = |backwards: bool| -> i64 {
            let steps = shape.iter().zip(&strides).filter(|(_, s)| (**s < 0) == backwards);
            steps.map(|(&extent, s)| (extent as i64 - 1) * s).sum()
        };
        let (before, behind) = (-reach(true), reach(false));
        let store = Store::alloc(((before + behind + 1) * item) as usize)?;
        let arranged = Arranged { store, first: before * item, strides: strides.iter().map(|s| s * item).collect() };
        arranged.fill(operand);
        Ok(Some(arranged))
    }

    pub(super) fn like<'a>(&'a self, operand: &Strided<'a>) -> Strided<'a> {
        let ptr = self.store.raw_ptr().wrapping_offset(self.first as isize);
        Strided { ptr, dtype: operand.dtype, shape: operand.shape, strides: &self.strides }
    }

    fn fill(&self, operand: &Strided) {
        let to = self.like(operand);
        let item = operand.dtype.size();
        let (shape, last) = (operand.shape, operand.shape.len() - 1);
        let rows: usize = shape[..last].iter().product();
        for mut row in 0..rows {
            let (mut from, mut into) = (operand.ptr, to.ptr);
            for axis in (0..last).rev() {
                let at = (row % shape[axis]) as isize;
                row /= shape[axis];
                from = from.wrapping_offset(at * operand.strides[axis] as isize);
                into = into.wrapping_offset(at * to.strides[axis] as isize);
            }
            for i in 0..shape[last] as isize {
                let from = from.wrapping_offset(i * operand.strides[last] as isize);
                let into = into.wrapping_offset(i * to.strides[last] as isize);
                // SAFETY: `library::run`'s caller promises elements there; the store has been made for those of the copy.
                unsafe { std::ptr::copy_nonoverlapping(from, into, item) };
            }
        }
    }
}

/// What BLAS, and NumPy before it, distinguish of a step.
#[derive(PartialEq, Debug)]
enum Step {
    /// There is one index only.
    None,
    Unit,
    /// As long as the other axis, or longer: a matrix's next row or column.
    Line,
    /// Nothing of this kind: it counts as it is.
    Other(i64),
}

/// What is distinguished of a matrix whose steps count multiples of `item`.
fn kind(shape: &[usize], strides: &[i64], item: i64) -> [Step; 2] {
    [0, 1].map(|axis| {
        let (step, other) = (strides[axis] / item, 1 - axis);
        let across = strides[other] / item;
        match step {
            _ if shape[axis] <= 1 => Step::None,
            _ if strides[axis] % item != 0 => Step::Other(strides[axis]),
            1 => Step::Unit,
            _ if shape[other] > 1 && across == 1 && step >= shape[other] as i64 => Step::Line,
            // A vector's elements are apart, however far.
            _ if shape[other] <= 1 && step > 1 => Step::Other(2),
            _ => Step::Other(step),
        }
    })
}

/// Steps of the same kind within less memory.
fn compact(shape: &[usize], strides: &[i64]) -> Strides {
    let lead = shape.len() - 2;
    let mut compact = c_strides(shape);
    let (rows, columns) = (shape[lead], shape[lead + 1]);
    match kind(&shape[lead..], &strides[lead..], 1) {
        [Step::Unit, Step::Line] => (compact[lead], compact[lead + 1]) = (1, rows as i64),
        [_, Step::Unit] if rows == 1 || strides[lead] >= columns as i64 => {}
        [Step::None, Step::Other(step)] => (compact[lead], compact[lead + 1]) = (0, step),
        [Step::Other(step), Step::None] => (compact[lead], compact[lead + 1]) = (step, 0),
        _ => (compact[lead], compact[lead + 1]) = (strides[lead], strides[lead + 1]),
    }
    // Stacks lie one matrix after the other.
    let reach = |axis: usize| (shape[axis] as i64 - 1).max(0) * compact[axis].abs();
    let mut next = reach(lead) + reach(lead + 1) + 1;
    for axis in (0..lead).rev() {
        compact[axis] = next;
        next *= shape[axis] as i64;
    }
    compact
}

#[cfg(test)]
mod tests {
    use legate_jit_ir::DType;

    use super::*;

    /// Elements 0, 1, 2, … in C order, as a matrix of this shape read through these steps from the first on.
    fn arranged(shape: &[usize], given: &[i64], wanted: &[i64]) -> Option<(Vec<f64>, Strides)> {
        let memory: Vec<f64> = (0..100).map(f64::from).collect();
        let bytes: Strides = given.iter().map(|s| s * 8).collect();
        let ptr = memory[50..].as_ptr().cast_mut().cast();
        let operand = Strided { ptr, dtype: DType::F64, shape, strides: &bytes };
        let copy = Arranged::of(&operand, &wanted.iter().copied().collect()).unwrap()?;
        let seen = copy.like(&operand);
        let mut values = Vec::new();
        for i in 0..shape[0] as i64 {
            for j in 0..shape[1] as i64 {
                let at = seen.ptr.wrapping_offset((i * seen.strides[0] + j * seen.strides[1]) as isize);
                // SAFETY: an element of the copy.
                values.push(unsafe { at.cast::<f64>().read() } - 50.0);
            }
        }
        Some((values, copy.strides.iter().map(|s| s / 8).collect()))
    }

    #[test]
    fn operands_are_copied_to_where_the_program_has_them() {
        // A number for a whole row.
        assert_eq!(arranged(&[1, 3], &[0, 0], &[]), Some((vec![0.0; 3], c_strides(&[1, 3]))));
        // A number for every element of a vector that has gaps, and of one that runs backwards.
        assert_eq!(arranged(&[1, 3], &[0, 0], &[90, 30]).unwrap().1[1], 2);
        assert_eq!(arranged(&[1, 3], &[0, 1], &[0, -1]).unwrap(), (vec![0.0, 1.0, 2.0], [0, -1].into_iter().collect()));
        // Rows where the program has columns, and the other way round.
        assert_eq!(arranged(&[2, 3], &[3, 1], &[1, 9]).unwrap().0, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(arranged(&[2, 3], &[3, 1], &[1, 9]).unwrap().1[..], [1, 2]);
        assert_eq!(arranged(&[2, 3], &[1, 2], &[]).unwrap().0, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        // Windows that overlap.
        assert_eq!(arranged(&[2, 3], &[3, 1], &[1, 1]).unwrap().1[..], [1, 1]);
    }

    #[test]
    fn operands_stay_where_it_makes_no_difference() {
        for (shape, given, wanted) in [
            ([1, 3], [7, 1], [0, 1]),
            ([1, 3], [7, 5], [0, 2]),
            ([2, 3], [30, 1], [3, 1]),
            ([2, 3], [1, 2], [1, 20]),
            ([1, 1], [5, 9], [1, 1]),
            ([0, 3], [5, 9], [3, 1]),
        ] {
            assert_eq!(arranged(&shape, &given, &wanted), None, "{shape:?} {given:?} {wanted:?}");
        }
    }
}
