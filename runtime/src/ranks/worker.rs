//! The other ranks: a loop that carries out the controller's commands until it says that the job is over.

use std::collections::HashMap;
use std::sync::Arc;

use super::executor::Executor;
use super::message::{Message, StoreId};
use crate::buffer::Store;
use crate::exec::Prepared;
use crate::transport::{Tag, Transport};
use crate::{Error, Result};

/// Works for rank 0 until it sends a shutdown. An error of this rank ends the whole job, with a message that names the rank.
pub fn work(transport: Arc<dyn Transport>) -> Result<()> {
    let done = serve(&transport);
    if let Err(error) = &done {
        transport.abort(&error.to_string());
    }
    done
}

fn serve(transport: &Arc<dyn Transport>) -> Result<()> {
    let mut executor = Executor::new(transport.clone(), super::PARTITION_BYTES);
    let mut plans: HashMap<u64, Prepared> = HashMap::new();
    let mut memory: HashMap<StoreId, Arc<Store>> = HashMap::new();
    loop {
        let bytes = transport.broadcast(0, Tag::Command, Vec::new())?;
        let message = Message::decode(&bytes);
        match message.ok_or_else(|| Error::Runtime("rank 0 sent a message that is none".into()))? {
            Message::Start { partition_bytes } => {
                executor = Executor::new(transport.clone(), partition_bytes as usize);
            }
            Message::DefinePlan { plan, text } => {
                let parsed = text.parse::<legate_jit_ir::Plan>()?;
                plans.insert(plan, Prepared::stepwise(parsed, crate::Tier::Auto)?);
            }
            Message::Launch(launch) => {
                for id in &launch.frees {
                    executor.forget(*id);
                    memory.remove(id);
                }
                let unknown = || Error::Runtime("rank 0 launched a plan that it has not sent".into());
                let plan = plans.get(&launch.plan).ok_or_else(unknown)?;
                let inputs = launch.inputs.iter().enumerate().map(|(n, id)| match memory.get(id) {
                    Some(store) => Ok(store.clone()),
                    None => Store::alloc(plan.input_bytes(n)),
                });
                let inputs: Vec<Arc<Store>> = inputs.collect::<Result<_>>()?;
                let outputs = executor.launch(plan, &launch, &inputs)?;
                let known = inputs.iter().zip(&launch.inputs).map(|(s, id)| (*id, s.clone()));
                let made = outputs.into_iter().map(|p| (p.id, p.store));
                memory.extend(known.chain(made).filter(|(id, _)| *id != 0));
            }
            Message::Fetch { store } => {
                if let Some(memory) = memory.get(&store) {
                    executor.fetch(store, memory)?;
                }
            }
            Message::Forget { stores } => {
                for id in &stores {
                    executor.forget(*id);
                    memory.remove(id);
                }
            }
            Message::Shutdown => return Ok(()),
        }
    }
}
