//! Ranks that are threads of one process, for tests: the same messages in the same order as under MPI, without `mpirun`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::{Incoming, Lost, Outgoing, Result, Tag, Transport};

/// Messages by sender and tag.
type Letters = HashMap<(usize, Tag), VecDeque<Vec<u8>>>;

/// What has been sent to one rank and not been received, by sender and tag.
#[derive(Default)]
struct Mailbox {
    letters: Mutex<Letters>,
    arrived: Condvar,
}

struct World {
    mailboxes: Vec<Mailbox>,
    /// Set by the first rank that gives up.
    lost: Mutex<Option<Lost>>,
}

pub struct Thread {
    rank: usize,
    world: Arc<World>,
}

/// The ends of `size` connected ranks, in order.
pub fn connect(size: usize) -> Vec<Thread> {
    let mailboxes = (0..size).map(|_| Mailbox::default()).collect();
    let world = Arc::new(World { mailboxes, lost: Mutex::new(None) });
    (0..size).map(|rank| Thread { rank, world: world.clone() }).collect()
}

impl Transport for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.world.mailboxes.len()
    }

    fn send(&self, to: usize, tag: Tag, bytes: &[u8]) -> Result<()> {
        if let Some(lost) = self.world.lost.lock().clone() {
            return Err(lost);
        }
        let mailbox = &self.world.mailboxes[to];
        mailbox.letters.lock().entry((self.rank, tag)).or_default().push_back(bytes.to_vec());
        mailbox.arrived.notify_all();
        Ok(())
    }

    fn recv(&self, from: usize, tag: Tag) -> Result<Vec<u8>> {
        let mailbox = &self.world.mailboxes[self.rank];
        let mut letters = mailbox.letters.lock();
        loop {
            if let Some(letter) = letters.get_mut(&(from, tag)).and_then(VecDeque::pop_front) {
                return Ok(letter);
            }
            if let Some(lost) = self.world.lost.lock().clone() {
                return Err(lost);
            }
            mailbox.arrived.wait(&mut letters);
        }
    }

    fn exchange(
        &self,
        tag: Tag,
        sends: &[Outgoing],
        recvs: &mut [Incoming],
        meanwhile: &mut dyn FnMut(),
    ) -> Result<()> {
        for s in sends.iter().filter(|s| !s.bytes.is_empty()) {
            self.send(s.to, tag, s.bytes)?;
        }
        meanwhile();
        for r in recvs.iter_mut().filter(|r| !r.bytes.is_empty()) {
            let letter = self.recv(r.from, tag)?;
            if letter.len() != r.bytes.len() {
                let why = format!("sent {} bytes where {} were expected", letter.len(), r.bytes.len());
                return Err(Lost { rank: Some(r.from), why });
            }
            r.bytes.copy_from_slice(&letter);
        }
        Ok(())
    }

    fn abort(&self, message: &str) {
        self.world.lost.lock().get_or_insert(Lost { rank: Some(self.rank), why: message.into() });
        for mailbox in &self.world.mailboxes {
            // The lock makes sure that nobody is between looking at `lost` and falling asleep.
            let _letters = mailbox.letters.lock();
            mailbox.arrived.notify_all();
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.abort("panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_ranks<R: Send>(size: usize, run: impl Fn(Thread) -> R + Sync) -> Vec<R> {
        std::thread::scope(|scope| {
            let run = &run;
            let handles: Vec<_> = connect(size).into_iter().map(|t| scope.spawn(move || run(t))).collect();
            handles.into_iter().map(|h| h.join().unwrap()).collect()
        })
    }

    #[test]
    fn messages_keep_their_order_and_tags_do_not_wait_for_each_other() {
        on_ranks(2, |t| {
            if t.rank() == 0 {
                for i in 0..10u8 {
                    t.send(1, Tag::Rows, &[i]).unwrap();
                }
                t.send(1, Tag::Command, b"first").unwrap();
            } else {
                assert_eq!(t.recv(0, Tag::Command).unwrap(), b"first");
                for i in 0..10u8 {
                    assert_eq!(t.recv(0, Tag::Rows).unwrap(), [i]);
                }
            }
        });
    }

    #[test]
    fn everybody_hears_a_broadcast_and_meets_at_a_barrier() {
        for size in [1, 2, 3, 7, 8] {
            let heard = on_ranks(size, |t| {
                let own = if t.rank() == size / 2 { b"news".to_vec() } else { Vec::new() };
                let heard = t.broadcast(size / 2, Tag::Command, own).unwrap();
                t.barrier().unwrap();
                heard
            });
            assert!(heard.iter().all(|h| h == b"news"), "{size} ranks");
        }
    }

    #[test]
    fn an_exchange_in_a_circle_does_not_block() {
        let size = 5;
        let got = on_ranks(size, |t| {
            let me = t.rank() as u8;
            let (left, right) = ((t.rank() + size - 1) % size, (t.rank() + 1) % size);
            let (mut a, mut b, mut worked) = ([0; 3], [0; 2], false);
            t.exchange(
                Tag::Rows,
                &[Outgoing { to: left, bytes: &[me; 2] }, Outgoing { to: right, bytes: &[me; 3] }],
                &mut [Incoming { from: left, bytes: &mut a }, Incoming { from: right, bytes: &mut b }],
                &mut || worked = true,
            )
            .unwrap();
            assert!(worked);
            (a[2] as usize, b[1] as usize) == (left, right)
        });
        assert_eq!(got, vec![true; size]);
    }

    #[test]
    fn a_rank_that_gives_up_is_named_to_all_others() {
        let errors = on_ranks(3, |t| match t.rank() {
            2 => {
                t.abort("out of memory");
                None
            }
            _ => t.recv(2, Tag::Rows).err(),
        });
        let lost = Lost { rank: Some(2), why: "out of memory".into() };
        assert_eq!(errors, [Some(lost.clone()), Some(lost), None]);
    }
}
