//! How ranks talk: bytes from one to another, in order. Knows nothing of arrays, plans or Python.
//!
//! Messages between two ranks with the same tag arrive in the order in which they were sent; nothing else is promised. All
//! that ranks do is deterministic, so a few fixed tags are enough and no message needs a header that says what it is for.

use std::fmt;

pub mod local;
pub mod mpi;
pub mod threads;

/// What a message belongs to. Messages with different tags never wait for each other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Tag {
    /// The controller's commands, down the broadcast tree.
    Command = 1,
    /// Rows of arrays.
    Rows = 2,
    /// Partial results of reductions.
    Partials = 3,
    /// Barriers and the like.
    Control = 4,
    /// Errors that workers report to the controller.
    Status = 5,
}

/// Bytes for another rank, whose receiver knows their number.
pub struct Outgoing<'a> {
    pub to: usize,
    pub bytes: &'a [u8],
}

/// Room for the bytes of another rank, of exactly the length that is sent.
pub struct Incoming<'a> {
    pub from: usize,
    pub bytes: &'a mut [u8],
}

/// The other ranks are lost, or one of them is: the job cannot go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lost {
    /// The rank at fault, where it is known.
    pub rank: Option<usize>,
    pub why: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.rank {
            Some(rank) => write!(f, "rank {rank}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

impl std::error::Error for Lost {}

pub type Result<T> = std::result::Result<T, Lost>;

/// One rank's end of the connection to all the others.
pub trait Transport: Send + Sync {
    fn rank(&self) -> usize;

    /// The number of ranks, at least 1.
    fn size(&self) -> usize;

    /// Sends a message whose length the receiver does not know. Returns when `bytes` may be changed again.
    fn send(&self, to: usize, tag: Tag, bytes: &[u8]) -> Result<()>;

    /// Waits for a message that was sent with [`send`](Transport::send).
    fn recv(&self, from: usize, tag: Tag) -> Result<Vec<u8>>;

    /// Starts all of these, runs `meanwhile`, then waits for all. Both sides know all lengths; any number of ranks may
    /// exchange in any pattern without waiting for each other in a circle. An empty message is not sent.
    fn exchange(&self, tag: Tag, sends: &[Outgoing], recvs: &mut [Incoming], meanwhile: &mut dyn FnMut())
    -> Result<()>;

    /// Ends the job: no rank waits for this one for ever. Says on which rank and why.
    fn abort(&self, message: &str);

    /// Gives every rank the root's bytes, down a binomial tree: each rank hears after at most ⌈log₂ size⌉ messages.
    fn broadcast(&self, root: usize, tag: Tag, bytes: Vec<u8>) -> Result<Vec<u8>> {
        let (parent, children) = tree(self.rank(), self.size(), root);
        let bytes = match parent {
            Some(parent) => self.recv(parent, tag)?,
            None => bytes,
        };
        for child in children {
            self.send(child, tag, &bytes)?;
        }
        Ok(bytes)
    }

    /// Returns when all ranks have called it.
    fn barrier(&self) -> Result<()> {
        let (parent, children) = tree(self.rank(), self.size(), 0);
        for &child in &children {
            self.recv(child, Tag::Control)?;
        }
        if let Some(parent) = parent {
            self.send(parent, Tag::Control, &[])?;
            self.recv(parent, Tag::Control)?;
        }
        for &child in &children {
            self.send(child, Tag::Control, &[])?;
        }
        Ok(())
    }
}

/// A rank's parent and children in the binomial tree of `size` ranks below `root`; the largest subtree comes first.
pub fn tree(rank: usize, size: usize, root: usize) -> (Option<usize>, Vec<usize>) {
    // Ranks are numbered from the root; a rank's parent is the rank without its lowest set bit.
    let own = (rank + size - root) % size;
    let parent = (own != 0).then(|| (own & (own - 1)) + root).map(|p| p % size);
    let below = if own == 0 { size.next_power_of_two() } else { own & own.wrapping_neg() };
    let mut children = Vec::new();
    let mut bit = below >> 1;
    while bit > 0 {
        if own + bit < size {
            children.push((own + bit + root) % size);
        }
        bit >>= 1;
    }
    (parent, children)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_reaches_every_rank_once() {
        for size in 1..40 {
            for root in [0, size / 2, size - 1] {
                let mut parents = vec![None; size];
                for rank in 0..size {
                    for child in tree(rank, size, root).1 {
                        assert_eq!(parents[child], None, "rank {child} of {size} has two parents");
                        parents[child] = Some(rank);
                    }
                }
                for (rank, &parent) in parents.iter().enumerate() {
                    assert_eq!(parent, tree(rank, size, root).0, "rank {rank} of {size}, root {root}");
                    assert_eq!(parent.is_none(), rank == root);
                }
            }
        }
    }
}
