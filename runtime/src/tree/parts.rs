//! A tree whose chunks several owners have reduced, each a run of neighbouring ones: every owner combines its chunks as far as
//! the tree allows, which leaves O(log n) contributions, and one of them combines those.

use std::collections::HashMap;
use std::ops::Range;

use legate_jit_ir::DType;
use legate_jit_ir::graph::Reducer;

use super::{Element, Kind, complex_sum, finish, half, known, pair};

/// The tree over n elements cut into chunks of at most `max`.
struct Tree {
    max: usize,
    complex: bool,
    /// Chunks below a node of so many elements; there are at most a few different nodes a level.
    counts: HashMap<usize, usize>,
}

impl Tree {
    fn new(reducer: Reducer, dtype: DType, max: usize) -> Tree {
        Tree { max, complex: complex_sum(reducer, dtype), counts: HashMap::new() }
    }

    fn chunks(&mut self, n: usize) -> usize {
        if n <= self.max {
            return 1;
        }
        if let Some(&count) = self.counts.get(&n) {
            return count;
        }
        let first = half(n, self.complex);
        let count = self.chunks(first) + self.chunks(n - first);
        self.counts.insert(n, count);
        count
    }

    /// The contribution of the node of n elements whose first chunk is number `first`. `known` gives that of a node by its
    /// chunks, and must give it for single ones.
    fn value(
        &mut self,
        n: usize,
        first: usize,
        known: &mut dyn FnMut(Range<usize>) -> Option<Element>,
        add: &dyn Fn(Element, Element) -> Element,
    ) -> Element {
        let chunks = first..first + self.chunks(n);
        if let Some(value) = known(chunks.clone()) {
            return value;
        }
        assert!(chunks.len() > 1, "chunk {first} has no owner");
        let left = half(n, self.complex);
        let middle = first + self.chunks(left);
        let a = self.value(left, first, known, add);
        let b = self.value(n - left, middle, known, add);
        add(a, b)
    }

    /// Visits the largest nodes that lie wholly in `own`, in order: (elements, first chunk).
    fn maximal(&mut self, n: usize, first: usize, own: &Range<usize>, visit: &mut dyn FnMut(&mut Tree, usize, usize)) {
        let chunks = first..first + self.chunks(n);
        if chunks.end <= own.start || own.end <= chunks.start {
            return;
        }
        if own.start <= chunks.start && chunks.end <= own.end {
            return visit(self, n, first);
        }
        let left = half(n, self.complex);
        let middle = first + self.chunks(left);
        self.maximal(left, first, own, visit);
        self.maximal(n - left, middle, own, visit);
    }
}

/// How many contributions [`contract`] leaves of the chunks `own`.
pub fn parts(reducer: Reducer, dtype: DType, n: usize, max: usize, own: &Range<usize>) -> usize {
    if !matches!(known(reducer, dtype), Kind::Pairwise) {
        return !own.is_empty() as usize;
    }
    let mut count = 0;
    Tree::new(reducer, dtype, max).maximal(n, 0, own, &mut |_, _, _| count += 1);
    count
}

/// Combines the contributions of the chunks `own` of the tree over n elements as far as the tree allows.
pub fn contract(
    reducer: Reducer,
    dtype: DType,
    n: usize,
    max: usize,
    own: &Range<usize>,
    partials: &[Element],
) -> Vec<Element> {
    let add = |a, b| pair(reducer, dtype, a, b);
    if !matches!(known(reducer, dtype), Kind::Pairwise) {
        return partials.iter().copied().reduce(add).into_iter().collect();
    }
    let mut out = Vec::new();
    Tree::new(reducer, dtype, max).maximal(n, 0, own, &mut |tree, n, first| {
        let mut single = |chunks: Range<usize>| (chunks.len() == 1).then(|| partials[chunks.start - own.start]);
        out.push(tree.value(n, first, &mut single, &add));
    });
    out
}

/// The result from what each owner's [`contract`] has left; together the owners have all chunks, in order.
pub fn join(
    reducer: Reducer,
    dtype: DType,
    n: usize,
    max: usize,
    owners: &[Range<usize>],
    parts: &[&[Element]],
) -> Element {
    let add = |a, b| pair(reducer, dtype, a, b);
    let mut rest = parts.iter().copied().flatten().copied();
    if !matches!(known(reducer, dtype), Kind::Pairwise) {
        return finish(reducer, rest.reduce(add).expect("there is at least one chunk"));
    }
    let mut owned = |chunks: Range<usize>| {
        owners.iter().any(|o| o.start <= chunks.start && chunks.end <= o.end).then(|| rest.next().expect("one a node"))
    };
    let total = Tree::new(reducer, dtype, max).value(n, 0, &mut owned, &add);
    finish(reducer, total)
}

#[cfg(test)]
mod tests {
    use legate_jit_ir::Ufunc;

    use super::super::{combine, cut};
    use super::*;

    #[test]
    fn any_owners_get_the_bits_of_one() {
        let add = Reducer::Ufunc(Ufunc::Add);
        for (reducer, dtype) in [
            (add, DType::F64),
            (add, DType::C128),
            (add, DType::I64),
            (Reducer::Ufunc(Ufunc::Maximum), DType::F64),
            (Reducer::ArgMax, DType::F64),
        ] {
            let max = 128;
            for n in [129, 1000, 4097, 100_003] {
                let chunks = cut(n, max, complex_sum(reducer, dtype)).len();
                let partial = |i: usize| [(i as f64 * 0.731).sin().to_bits(), (i as f64).cos().abs().to_bits() % 977];
                let partials: Vec<Element> = (0..chunks).map(partial).collect();
                let expected = combine(reducer, dtype, n, max, &partials);
                for ranks in [1, 2, 3, 7, 16] {
                    // Uneven runs, one of them empty.
                    let mut cuts: Vec<usize> = (0..=ranks).map(|r| chunks * r * r / (ranks * ranks)).collect();
                    cuts[ranks / 2] = cuts[ranks.div_ceil(2)];
                    cuts[0] = 0;
                    cuts.sort_unstable();
                    let owners: Vec<Range<usize>> = cuts.windows(2).map(|w| w[0]..w[1]).collect();
                    let left: Vec<Vec<Element>> =
                        owners.iter().map(|o| contract(reducer, dtype, n, max, o, &partials[o.clone()])).collect();
                    for (o, l) in owners.iter().zip(&left) {
                        assert_eq!(l.len(), parts(reducer, dtype, n, max, o));
                        assert!(l.len() <= 2 * n.ilog2() as usize, "{} contributions of {n} elements", l.len());
                    }
                    let left: Vec<&[Element]> = left.iter().map(|l| &l[..]).collect();
                    assert_eq!(
                        join(reducer, dtype, n, max, &owners, &left),
                        expected,
                        "{reducer:?} {dtype} {n} {ranks}"
                    );
                }
            }
        }
    }
}
