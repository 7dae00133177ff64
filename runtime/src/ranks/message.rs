//! What the controller tells the workers. A launch takes the same few bytes however large its arrays and its plan are.

/// The number by which all ranks know a store.
pub type StoreId = u64;

/// One command of rank 0. Every rank carries out every command, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Message {
    /// The first message: what all ranks must decide with.
    Start { partition_bytes: u64 },
    /// A plan that launches will name, as text.
    DefinePlan { plan: u64, text: String },
    /// Frees some stores, then runs a plan.
    Launch(Launch),
    /// Makes the whole of a store current on rank 0.
    Fetch { store: StoreId },
    /// Rank 0 has the whole of a store, takes it over and will write it: the other ranks forget it.
    Forget { stores: Vec<StoreId> },
    /// The job is over.
    Shutdown,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Launch {
    pub plan: u64,
    /// A store that no rank knows yet is rank 0's.
    pub inputs: Vec<StoreId>,
    /// Numbers for the outputs, in order. An output that is an input's store has its number.
    pub outputs: Vec<StoreId>,
    pub scalars: Vec<[u64; 2]>,
    /// Stores that nobody needs any more.
    pub frees: Vec<StoreId>,
}

impl Message {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let words = |out: &mut Vec<u8>, words: &[u64]| {
            out.extend_from_slice(&(words.len() as u32).to_le_bytes());
            words.iter().for_each(|w| out.extend_from_slice(&w.to_le_bytes()));
        };
        match self {
            Message::Start { partition_bytes } => {
                out.push(0);
                out.extend_from_slice(&partition_bytes.to_le_bytes());
            }
            Message::DefinePlan { plan, text } => {
                out.push(1);
                out.extend_from_slice(&plan.to_le_bytes());
                out.extend_from_slice(text.as_bytes());
            }
            Message::Launch(launch) => {
                out.push(2);
                out.extend_from_slice(&launch.plan.to_le_bytes());
                words(&mut out, &launch.inputs);
                words(&mut out, &launch.outputs);
                words(&mut out, &launch.scalars.concat());
                words(&mut out, &launch.frees);
            }
            Message::Fetch { store } => {
                out.push(3);
                out.extend_from_slice(&store.to_le_bytes());
            }
            Message::Forget { stores } => {
                out.push(4);
                words(&mut out, stores);
            }
            Message::Shutdown => out.push(5),
        }
        out
    }

    /// `None` if these are not the bytes of a message.
    pub fn decode(bytes: &[u8]) -> Option<Message> {
        let (&kind, rest) = bytes.split_first()?;
        let mut reader = Reader(rest);
        let message = match kind {
            0 => Message::Start { partition_bytes: reader.word()? },
            1 => {
                let plan = reader.word()?;
                let text = String::from_utf8(std::mem::take(&mut reader.0).to_vec()).ok()?;
                Message::DefinePlan { plan, text }
            }
            2 => Message::Launch(Launch {
                plan: reader.word()?,
                inputs: reader.words()?,
                outputs: reader.words()?,
                scalars: reader.words()?.as_chunks::<2>().0.to_vec(),
                frees: reader.words()?,
            }),
            3 => Message::Fetch { store: reader.word()? },
            4 => Message::Forget { stores: reader.words()? },
            5 => Message::Shutdown,
            _ => return None,
        };
        reader.0.is_empty().then_some(message)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }

    fn words(&mut self) -> Option<Vec<u64>> {
        let (count, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        (0..u32::from_le_bytes(*count)).map(|_| self.word()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_survives_the_journey_and_no_part_of_one_is_a_message() {
        let launch = Launch {
            plan: u64::MAX - 3,
            inputs: vec![1, 2],
            outputs: vec![3],
            scalars: vec![[4, 0], [5, 6]],
            frees: vec![7],
        };
        for message in [
            Message::Start { partition_bytes: 1 << 16 },
            Message::DefinePlan { plan: 9, text: "plan @p {}\n".into() },
            Message::Launch(launch),
            Message::Launch(Launch::default()),
            Message::Fetch { store: 12 },
            Message::Forget { stores: vec![1, 2, 3] },
            Message::Shutdown,
        ] {
            let bytes = message.encode();
            assert_eq!(Message::decode(&bytes), Some(message.clone()));
            if !matches!(message, Message::DefinePlan { .. }) {
                (0..bytes.len()).for_each(|n| assert_eq!(Message::decode(&bytes[..n]), None, "{message:?} cut at {n}"));
            }
        }
        assert_eq!(Message::decode(&[9]), None);
    }

    #[test]
    fn a_launch_of_ten_stores_is_a_short_message() {
        let launch = Launch { inputs: vec![0; 8], outputs: vec![0; 2], scalars: vec![[0; 2]; 3], ..Default::default() };
        assert!(Message::Launch(launch).encode().len() < 200);
    }
}
