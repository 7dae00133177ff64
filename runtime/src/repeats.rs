//! Repeats in the stream of records, so that a loop that asks for no value is cut at the same place each time and needs
//! one plan however long it runs.

use std::collections::HashSet;

use crate::trace::{Src, Trace};

pub(crate) enum Cut {
    /// Flush now; while the repeat goes on, flush again after this many records.
    Now { again: Option<usize> },
    /// A better place comes after so many records.
    After(usize),
}

/// Where to cut a trace that has reached its budget.
pub(crate) fn next_cut(trace: &Trace, budget: usize) -> Cut {
    let n = trace.recs.len();
    // (Where no round is like another, they may do the same at other places.)
    let period = period(&trace.shapes_of).or_else(|| period(&crate::batch::words(trace)));
    let Some(period) = period else { return Cut::Now { again: None } };
    // How many values of the last but one round are read again at or after each place: fewest is best.
    let mut crossing = vec![0i32; n + 1];
    let mut last_use: Vec<usize> = (0..n).collect();
    for (i, rec) in trace.recs.iter().enumerate() {
        for arg in rec.args() {
            if let Src::Node(d) = arg.src {
                last_use[d as usize] = i;
            }
        }
    }
    for (d, &u) in last_use.iter().enumerate() {
        // Alive at the cuts d+1 ..= u.
        if u > d {
            crossing[d + 1] += 1;
            crossing[u + 1] -= 1;
        }
    }
    for i in 1..=n {
        crossing[i] += crossing[i - 1];
    }
    let again = Some((budget / period).max(1) * period);
    if 2 * period > n {
        return Cut::Now { again };
    }
    // Cut places n - 2*period + 1 ..= n - period cover one round whose values have been read to the end.
    let best = (n - 2 * period + 1..=n - period).min_by_key(|&c| (crossing[c], n - c)).unwrap_or(n - period);
    match (n - best) % period {
        0 => Cut::Now { again },
        past => Cut::After(period - past),
    }
}

/// Whether the trace does the same things again and again.
pub(crate) fn has_rounds(trace: &Trace) -> bool {
    let different: HashSet<u64> = trace.shapes_of.iter().copied().collect();
    2 * different.len() <= trace.shapes_of.len()
}

/// The shortest period with which the end of the stream repeats at least twice over.
fn period(words: &[u64]) -> Option<usize> {
    let n = words.len();
    let last = *words.last()?;
    (1..=n / 2).find(|&p| {
        words[n - 1 - p] == last && (n - p..n).all(|i| words[i] == words[i - p]) && {
            // A short repeat inside a longer round (two equal statements) is no loop: ask for three rounds where they fit.
            3 * p > n || (n - 2 * p..n - p).all(|i| words[i] == words[i - p])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::period;

    #[test]
    fn finds_the_round() {
        let round = [1, 2, 2, 3, 2, 2, 4];
        let words: Vec<u64> = [9, 9, 8].into_iter().chain((0..50).map(|i| round[i % 7])).collect();
        assert_eq!(period(&words), Some(7));
        assert_eq!(period(&[1, 2, 3, 4, 5]), None);
        assert_eq!(period(&[5, 5, 5]), Some(1));
    }
}
