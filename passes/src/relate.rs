//! How two views of one base lie to each other: whether they name the same elements, none in common, or one lies inside
//! the other. Reading through writes, and dropping writes that nobody sees, rest on these.

use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{Shape, View};
use smallvec::SmallVec;

/// Whether the view is the whole base, element for element. Unlike `View::is_identity` it does not care how an axis of
/// extent 1 is written.
pub fn is_whole(view: &View, base: &[usize]) -> bool {
    view.shape[..] == base[..]
        && view.axes.iter().enumerate().all(|(k, m)| base[k] == 1 || (m.start == 0 && m.terms[..] == [(k as u32, 1)]))
}

/// The one way to write a view: no term runs along an axis of extent 1, and an axis of the base that has extent 1 is read
/// at 0. `None` if it is written so already.
pub fn normal(view: &View, base: &[usize]) -> Option<View> {
    let idle = |d: u32| view.shape[d as usize] == 1;
    let off = |(k, m): (usize, &AxisMap)| {
        m.terms.iter().any(|t| idle(t.0)) || (base[k] == 1 && (m.start != 0 || !m.terms.is_empty()))
    };
    if !view.axes.iter().enumerate().any(off) {
        return None;
    }
    let mut view = view.clone();
    for (m, &extent) in view.axes.iter_mut().zip(base) {
        if extent == 1 {
            *m = AxisMap::at(0);
        } else {
            let shape = &view.shape;
            m.terms.retain(|t| shape[t.0 as usize] != 1);
        }
    }
    Some(view)
}

/// The first and the last coordinate that a map takes over a shape without empty axes.
fn range(m: &AxisMap, shape: &[usize]) -> (i64, i64) {
    let (mut lo, mut hi) = (m.start, m.start);
    for &(d, s) in &m.terms {
        let far = s * (shape[d as usize] as i64 - 1);
        lo += far.min(0);
        hi += far.max(0);
    }
    (lo, hi)
}

/// Whether the two views surely have no element in common: on some axis their ranges, or their residues modulo what all
/// their steps have in common, differ.
pub fn disjoint(a: &View, b: &View) -> bool {
    if a.shape.contains(&0) || b.shape.contains(&0) {
        return true;
    }
    a.axes.iter().zip(&b.axes).any(|(x, y)| {
        let ((x_lo, x_hi), (y_lo, y_hi)) = (range(x, &a.shape), range(y, &b.shape));
        if x_hi < y_lo || y_hi < x_lo {
            return true;
        }
        let steps = |m: &AxisMap, shape: &Shape| {
            m.terms.iter().filter(|t| shape[t.0 as usize] > 1).fold(0, |g, t| gcd(g, t.1.unsigned_abs()))
        };
        let common = gcd(steps(x, &a.shape), steps(y, &b.shape));
        common > 1 && (x.start - y.start).unsigned_abs() % common != 0
    })
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The view `u` of `outer`'s result with `outer.then(u) == inner`, where every element of `inner` is one of `outer`'s.
pub fn within(inner: &View, outer: &View) -> Option<View> {
    if inner.shape.contains(&0) || outer.shape.contains(&0) {
        return None;
    }
    let mut axes: SmallVec<[Option<AxisMap>; 4]> = SmallVec::from_elem(None, outer.shape.len());
    for (i, o) in inner.axes.iter().zip(&outer.axes) {
        let moving = o.terms.iter().filter(|t| outer.shape[t.0 as usize] > 1);
        let mut moving = moving.copied();
        let along = moving.next();
        if moving.next().is_some() {
            return None;
        }
        let Some((d, step)) = along else {
            if range(i, &inner.shape) != (o.start, o.start) {
                return None;
            }
            continue;
        };
        if (i.start - o.start) % step != 0 {
            return None;
        }
        let mut map = AxisMap::at((i.start - o.start) / step);
        for &(e, s) in i.terms.iter().filter(|t| inner.shape[t.0 as usize] > 1) {
            if s % step != 0 {
                return None;
            }
            map.terms.push((e, s / step));
        }
        let (lo, hi) = range(&map, &inner.shape);
        if lo < 0 || hi >= outer.shape[d as usize] as i64 {
            return None;
        }
        match &axes[d as usize] {
            Some(known) if *known != map => return None,
            _ => axes[d as usize] = Some(map),
        }
    }
    Some(View { shape: inner.shape.clone(), axes: axes.into_iter().map(|m| m.unwrap_or(AxisMap::at(0))).collect() })
}

/// The view that does what a reshape from `from` to `to` does, if only axes of extent 1 come or go.
pub fn of_reshape(from: &[usize], to: &[usize]) -> Option<View> {
    let mut kept = to.iter().enumerate().filter(|(_, n)| **n != 1);
    let mut axes = SmallVec::new();
    for &n in from {
        if n == 1 {
            axes.push(AxisMap::at(0));
            continue;
        }
        let (d, &m) = kept.next()?;
        if m != n {
            return None;
        }
        axes.push(AxisMap::along(0, d, 1));
    }
    if kept.next().is_some() {
        return None;
    }
    Some(View { shape: to.into(), axes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(n: usize, start: i64, step: i64) -> View {
        View { shape: [n].as_slice().into(), axes: [AxisMap::along(start, 0, step)].into_iter().collect() }
    }

    #[test]
    fn strided_halves_are_disjoint() {
        assert!(disjoint(&slice(5, 0, 2), &slice(5, 1, 2)));
        assert!(!disjoint(&slice(5, 0, 2), &slice(5, 2, 2)));
        assert!(!disjoint(&slice(5, 0, 2), &slice(3, 1, 3)));
        assert!(disjoint(&slice(5, 0, 1), &slice(5, 9, -1)));
        assert!(disjoint(&slice(5, 0, 1), &slice(0, 0, 1)));
    }

    #[test]
    fn within_inverts_then() {
        let outer = slice(5, 8, -2);
        for inner in [slice(2, 0, 2), slice(3, 8, -4), slice(1, 4, 1), slice(5, 0, 2)] {
            let u = within(&inner, &outer).unwrap();
            assert_eq!(
                normal(&outer.then(&u), &[10]).unwrap_or(outer.then(&u)),
                normal(&inner, &[10]).unwrap_or(inner)
            );
        }
        assert_eq!(within(&slice(2, 1, 2), &outer), None);
        assert_eq!(within(&slice(3, 6, 2), &outer), None);
        assert_eq!(within(&slice(2, 0, 1), &outer), None);
    }

    #[test]
    fn a_reshape_that_moves_unit_axes_is_a_view() {
        let view = of_reshape(&[1, 3, 4], &[3, 1, 4, 1]).unwrap();
        assert_eq!(view.eval(&[2, 0, 3, 0])[..], [0, 2, 3]);
        assert_eq!(of_reshape(&[3, 4], &[12]), None);
        assert_eq!(of_reshape(&[3, 4], &[4, 3]), None);
        assert!(of_reshape(&[], &[1, 1]).is_some());
    }
}
