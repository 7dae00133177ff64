//! Shapes: the extent of each axis, outermost first. A 0-d shape is empty and has one element.

use smallvec::SmallVec;

/// Extents in elements, C order.
pub type Shape = SmallVec<[usize; 4]>;

/// The number of elements.
pub fn size(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// C-order strides in elements.
pub fn c_strides(shape: &[usize]) -> SmallVec<[i64; 4]> {
    let mut strides: SmallVec<[i64; 4]> = SmallVec::from_elem(1, shape.len());
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1] as i64;
    }
    strides
}

/// NumPy's broadcast of two shapes, `None` where they do not fit.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Shape> {
    let rank = a.len().max(b.len());
    let mut out = Shape::from_elem(1, rank);
    for i in 0..rank {
        let x = if i + a.len() >= rank { a[i + a.len() - rank] } else { 1 };
        let y = if i + b.len() >= rank { b[i + b.len() - rank] } else { 1 };
        out[i] = match (x, y) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => return None,
        };
    }
    Some(out)
}
