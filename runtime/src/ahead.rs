//! Working ahead of loops that ask for a value in every round.
//!
//! `while change > tolerance:` flushes once a round, so each round would be a pass over memory of its own. But the rounds are
//! the same plan, each on what the one before has left. When a loop has shown that, several rounds are computed at once,
//! as one graph (`unroll`) whose sweeps run as a wavefront. The program gets its values one by one: the small ones (the
//! residuals) are there, of the arrays only the last round's; those in between are promises.
//!
//! When the program does something else instead, nothing is lost: what it has was computed by the same operations, and a promise
//! whose contents it asks for is computed from the arrays at the start of the batch, which are kept for that. A batch is
//! given up as soon as somebody looks at an array in between, because it may then be written.
//!
//! Loops on small arrays gain nothing from that: their sweeps stay in cache anyway. There the helper computes one flush after the
//! other while the program records the next ones (`cycle` finds such loops, `relay` runs them).

mod cycle;
mod relay;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use legate_jit_ir::Graph;
use legate_jit_ir::graph::Op;
use legate_jit_passes::unroll::{Link, unroll};
use smallvec::SmallVec;

use crate::exec::Prepared;
use crate::plan_cache::{Entry, Stores};
use crate::trace::Key;
use crate::{Config, Result, Store, helper, pool};
use cycle::Watch;
use relay::Relay;

/// Rounds of a batch: of a loop whose length is not known, at most of one that is known, and of one that is known to go on for long.
const ROUNDS: usize = 8;
const SOME_ROUNDS: usize = 12;
const MANY_ROUNDS: usize = 16;
/// Outputs of at most so many bytes are kept for every round.
const SMALL: usize = 1 << 12;
/// Arrays that change from round to round have at least so many bytes: the others stay in cache without our help.
const WORTHWHILE: usize = if cfg!(test) { 1 << 10 } else { 3 << 20 };
/// Nodes of a round, at most: longer ones have sweeps of their own to be tiled. (Ten sweeps of 7000×7000 and a look at them take
/// 97 ms a round by themselves, and 105 in batches of four rounds.)
const MAX_NODES: usize = 64;
/// Nodes of a flush that the helper computes.
const MAX_NODES_RELAYED: usize = 4096;
/// How long a cycle must take to be worth handing over, and how long a flush with library calls may take, which may use threads
/// of their own.
const RELAYED: Duration = Duration::from_nanos(if cfg!(test) { 0 } else { 1500 });
const RELAYED_CALLS: Duration = Duration::from_micros(20);
/// Flushes without the helper after it was of little use, more after each time.
const PAUSE: usize = 32;
/// Flushes that make up for starting a relay.
const USEFUL: usize = 64;

/// What is known about the loop that the flushes may come from.
#[derive(Default)]
pub(crate) struct Ahead {
    last: Option<Round>,
    batch: Option<Batch>,
    relay: Option<Relay>,
    watch: Watch,
    /// Flushes to go before the helper is asked again, and how often it was of little use of late.
    pause: usize,
    useless: u32,
    /// The flush that `look` has seen may be one of a relay.
    key: Option<Key>,
    pub(crate) counters: Counters,
}

#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counters {
    /// Rounds that were computed before they were asked for, and then were.
    pub(crate) used: u64,
    /// Those that were not.
    pub(crate) wasted: u64,
}

/// One flush that may be a round of a loop. Stores are named by their addresses, which is good enough for a guess.
struct Round {
    key: Key,
    entry: Arc<Entry>,
    /// That of the loop's first flush, which may not overwrite an input that the later ones may.
    first: Arc<Entry>,
    inputs: Addresses,
    outputs: Addresses,
    scalars: Scalars,
    links: Option<Links>,
    /// Flushes of this loop so far.
    number: usize,
}

type Addresses = SmallVec<[usize; 4]>;
type Scalars = SmallVec<[[u64; 2]; 4]>;
type Links = SmallVec<[Link; 4]>;

/// How rounds with a plan are worked ahead of.
pub(crate) enum Kind {
    Not,
    /// Several at once.
    Batch(Arc<Graph>),
    /// By the helper; the graph, if its plan may overwrite inputs.
    Relay(Option<Arc<Graph>>),
}

/// What a plan's entry remembers about the loop that it was last a round of.
#[derive(Clone)]
pub(crate) struct History {
    links: Links,
    /// Flushes; 0 if working ahead has turned out not to be possible.
    rounds: usize,
}

/// Several rounds of a loop as one plan.
pub(crate) struct Unrolled {
    links: Links,
    rounds: usize,
    plan: Prepared,
}

/// Rounds that are computed.
struct Batch {
    key: Key,
    entry: Arc<Entry>,
    links: Links,
    start: Arc<Start>,
    /// Rounds that the program has been given.
    given: usize,
    rounds: usize,
    /// The small outputs of each round, and what would be the next round's input after the last one, in order.
    results: Vec<SmallVec<[Option<Arc<Store>>; 4]>>,
    bytes: SmallVec<[usize; 4]>,
    /// The inputs that the next round must have.
    next: SmallVec<[Weak<Store>; 4]>,
}

/// From where the values of a batch can be computed again.
struct Start {
    graph: Arc<Graph>,
    links: Links,
    inputs: Vec<Arc<Store>>,
    scalars: Scalars,
    config: Config,
}

impl Ahead {
    /// The outputs of a flush, if they are computed already.
    pub(crate) fn take(&mut self, key: Key, inputs: &[Arc<Store>], scalars: &[[u64; 2]]) -> Result<Option<Stores>> {
        if let Some(relay) = &mut self.relay {
            if !relay.expects(key, inputs, scalars) {
                self.give_up();
                return Ok(None);
            }
            let used = relay.used;
            let stores = relay.take();
            self.counters.used += (relay.used - used) as u64;
            if stores.is_err() || !relay.is_alive() {
                self.give_up();
            }
            return stores.map(Some);
        }
        Ok(self.take_of_batch(key, inputs, scalars))
    }

    fn take_of_batch(&mut self, key: Key, inputs: &[Arc<Store>], scalars: &[[u64; 2]]) -> Option<Stores> {
        let batch = self.batch.as_mut()?;
        let as_foreseen = batch.key == key
            && batch.start.scalars[..] == *scalars
            && batch.next.len() == inputs.len()
            && batch.next.iter().zip(inputs).all(|(next, input)| std::ptr::eq(next.as_ptr(), Arc::as_ptr(input)))
            // Who has looked at an array in between may have written to it.
            && inputs.iter().all(|input| input.is_promised() || batch.start.inputs.iter().any(|s| Arc::ptr_eq(s, input)));
        if !as_foreseen {
            self.give_up();
            return None;
        }
        let stores = batch.give(inputs);
        self.counters.used += 1;
        if batch.given == batch.rounds {
            self.batch = None;
        }
        if let Some(last) = &mut self.last {
            last.follow(inputs, &stores);
        }
        Some(stores)
    }

    fn give_up(&mut self) {
        if let Some(batch) = self.batch.take() {
            self.counters.wasted += (batch.rounds - batch.given) as u64;
        }
        if let Some(relay) = self.relay.take() {
            self.counters.wasted += relay.wasted() as u64;
            self.watch.forget();
            self.useless = if relay.used < USEFUL || relay.is_slow() { (self.useless + 1).min(8) } else { 0 };
            self.pause = PAUSE << self.useless >> 1;
        }
    }

    /// Has the helper let go of all arrays: foreign code is going to write to some.
    pub(crate) fn let_go(&mut self) {
        if self.relay.is_some() {
            self.give_up();
            helper::wait();
        }
    }

    /// Looks at a flush that is about to run. If it is a round of a loop, several are computed, and the outputs of this one come
    /// back.
    pub(crate) fn look(
        &mut self,
        key: Key,
        entry: &Arc<Entry>,
        inputs: &[Arc<Store>],
        scalars: &[[u64; 2]],
        config: &Config,
    ) -> Option<Stores> {
        self.key = None;
        let same = self.last.as_ref().is_some_and(|last| last.key == key && last.scalars[..] == *scalars);
        if !same {
            self.end_of_loop();
        }
        let graph = match entry.kind() {
            Kind::Batch(graph) => graph,
            Kind::Relay(_) if !entry.is_brief() => {
                self.key = Some(key);
                return None;
            }
            Kind::Relay(_) | Kind::Not => {
                self.watch.forget();
                return None;
            }
        };
        let own = |store: &Arc<Store>| !store.is_exported() && store.placed() == 0;
        if !inputs.iter().all(|s| s.is_promised() || own(s)) || crate::ranks::active().is_some() {
            self.end_of_loop();
            return None;
        }
        let addresses: Addresses = inputs.iter().map(address).collect();
        // The same on other arrays is a loop of its own.
        if self.last.as_ref().is_some_and(|last| last.links_to(&addresses).is_none()) {
            self.end_of_loop();
        }
        let known = entry.history();
        let (number, links, seen, first) = match self.last.take() {
            Some(last) => {
                let links = last.links_to(&addresses);
                let seen = links.is_some() && (last.links.is_none() || last.links == links);
                (last.number + 1, links, seen, last.first)
            }
            None => (1, known.as_ref().map(|h| h.links.clone()), false, entry.clone()),
        };
        let expected = known.as_ref().map(|h| h.rounds);
        self.last = Some(Round {
            key,
            entry: entry.clone(),
            first,
            inputs: addresses,
            outputs: Addresses::new(),
            scalars: scalars.into(),
            links: links.clone(),
            number,
        });
        let links = links?;
        // A loop that was met before goes on for as long as it did then; a new one, for some rounds.
        let rounds = match expected {
            Some(0) => return None,
            Some(n) if number <= n => {
                share(n - number + 1, if n >= 3 * MANY_ROUNDS { MANY_ROUNDS } else { SOME_ROUNDS })
            }
            Some(_) if !seen => return None,
            None if !seen => return None,
            _ => ROUNDS,
        };
        if rounds < 2 || !is_carried(graph, &links, |m| entry.is_unread(m)) {
            return None;
        }
        let first = self.last.as_ref()?;
        match Batch::compute(first, graph, links, inputs, rounds, config) {
            Ok(Some(mut batch)) => {
                let stores = batch.give(inputs);
                self.batch = Some(batch);
                Some(stores)
            }
            // There is nothing to gain, or not enough memory: the round runs as every other.
            Ok(None) | Err(_) => {
                entry.remember(History { links: Links::new(), rounds: 0 });
                None
            }
        }
    }

    /// Runs the flush that `look` has seen. The inputs may be taken away.
    pub(crate) fn run(
        &mut self,
        entry: &Arc<Entry>,
        inputs: &mut Vec<Arc<Store>>,
        scalars: &[[u64; 2]],
        config: &Config,
    ) -> Result<Stores> {
        let Some(key) = self.key.take() else {
            let outputs = entry.run_taking(inputs, scalars)?;
            if let Some(last) = &mut self.last {
                last.outputs = outputs.iter().map(address).collect();
            }
            return Ok(outputs);
        };
        self.pause = self.pause.saturating_sub(1);
        if self.pause > 0 {
            return entry.run_taking(inputs, scalars);
        }
        if entry.needs_much() {
            self.watch.forget();
            return entry.run_taking(inputs, scalars);
        }
        let (start, shared) = (Instant::now(), pool::shared_jobs());
        let outputs = entry.run(inputs, scalars)?;
        let takes = start.elapsed();
        if takes < RELAYED {
            entry.was_brief();
        }
        // What several threads have shared would have to wait for one.
        if pool::shared_jobs() != shared || takes > RELAYED_CALLS && entry.has_calls() {
            self.watch.forget();
            self.pause = PAUSE;
            return Ok(outputs);
        }
        self.watch.saw(key, entry, scalars, (inputs, &outputs), (start, takes));
        if let Some((stages, left)) = self.watch.cycle() {
            let all = stages.iter().map(|s| s.takes).sum::<Duration>();
            if all < RELAYED || crate::ranks::active().is_some() {
                return Ok(outputs);
            }
            if stages.iter().filter(|stage| !stage.entry.is_careful(config)).count() == 0 {
                let period = self.watch.period(stages.len());
                self.relay = Relay::start(stages, left, period, config);
            }
            // Not at once again, whatever came in the way.
            self.pause = if self.relay.is_some() { 0 } else { PAUSE };
        }
        Ok(outputs)
    }

    /// Forgets what was seen.
    pub(crate) fn forget(&mut self) {
        self.end_of_loop();
        self.watch.forget();
    }

    /// Something else is flushed.
    pub(crate) fn end_of_loop(&mut self) {
        self.give_up();
        let Some(last) = self.last.take() else { return };
        let impossible = last.entry.history().is_some_and(|h| h.rounds == 0);
        if let (Some(links), false) = (last.links, impossible) {
            let history = History { links, rounds: last.number };
            last.first.remember(history.clone());
            last.entry.remember(history);
        }
    }
}

impl Round {
    /// Where the inputs of the flush after this one come from.
    fn links_to(&self, next: &[usize]) -> Option<Links> {
        let at = |list: &[usize], address: usize| list.iter().position(|&a| a == address).map(|n| n as u32);
        let link = |(n, &address): (usize, &usize)| match self.inputs.get(n) {
            // (An output may have taken over an input's memory.)
            _ if let Some(m) = at(&self.outputs, address) => Some(Link::Output(m)),
            Some(&same) if same == address => Some(Link::Input(n as u32)),
            _ => at(&self.inputs, address).map(Link::Input),
        };
        next.iter().enumerate().map(link).collect()
    }

    /// The next round was computed already.
    fn follow(&mut self, inputs: &[Arc<Store>], outputs: &[Arc<Store>]) {
        self.inputs = inputs.iter().map(address).collect();
        self.outputs = outputs.iter().map(address).collect();
        self.number += 1;
    }
}

fn address(store: &Arc<Store>) -> usize {
    Arc::as_ptr(store) as usize
}

/// The rounds of the next of as few batches as possible, all of about the same length.
fn share(rounds: usize, most: usize) -> usize {
    rounds.div_ceil(rounds.div_ceil(most).max(1))
}

/// Whether an output is an input of the next round.
fn goes_on(links: &[Link], output: usize) -> bool {
    links.contains(&Link::Output(output as u32))
}

/// Whether the large outputs, and only they, are inputs of the next round, but for those that nobody reads. (One of them is, or there is
/// nothing that goes on from round to round.)
fn is_carried(graph: &Graph, links: &[Link], is_unread: impl Fn(usize) -> bool) -> bool {
    let is_large = |m: usize| graph.ty(graph.outputs[m]).bytes() > SMALL;
    let carried = |m: usize| goes_on(links, m);
    let mut all = 0..graph.outputs.len();
    all.clone().any(|m| is_large(m) && carried(m))
        && all.all(|m| carried(m) == is_large(m) || !carried(m) && is_unread(m))
}

/// How rounds that are this graph are worked ahead of.
pub(crate) fn kind(graph: Graph, config: &Config) -> Kind {
    if !config.ahead {
        return Kind::Not;
    }
    let large: usize = graph.outputs.iter().map(|o| graph.ty(*o).bytes()).filter(|&b| b > SMALL).sum();
    if large < WORTHWHILE {
        return match graph.nodes.len() {
            // A dump shows what the program's own thread compiles, in its order.
            _ if pool::threads() < 2 || config.cx.hook.is_some() => Kind::Not,
            0..=MAX_NODES_RELAYED => Kind::Relay(graph.donated.contains(&true).then(|| Arc::new(graph))),
            _ => Kind::Not,
        };
    }
    let unrolls = !graph.nodes.iter().any(|n| matches!(n.op, Op::Opaque(_) | Op::Reshape));
    if graph.nodes.len() <= MAX_NODES && unrolls { Kind::Batch(Arc::new(graph)) } else { Kind::Not }
}

impl Batch {
    /// `None` where the rounds cannot be computed in fewer passes over memory.
    fn compute(
        first: &Round,
        graph: &Arc<Graph>,
        links: Links,
        inputs: &[Arc<Store>],
        rounds: usize,
        config: &Config,
    ) -> Result<Option<Batch>> {
        let Round { key, entry, scalars, .. } = first;
        let bytes: SmallVec<[usize; 4]> = graph.outputs.iter().map(|o| graph.ty(*o).bytes()).collect();
        let is_wanted = |round: usize, m: usize| bytes[m] <= SMALL || round + 1 == rounds && goes_on(&links, m);
        let make = || {
            let Some(graph) = unroll(graph, &links, rounds, is_wanted) else { return Ok(None) };
            let plan = Prepared::new(legate_jit_passes::compile(&graph, &config.cx)?, config.tier)?;
            Ok(plan.has_wavefront().then(|| Unrolled { links: links.clone(), rounds, plan }))
        };
        let is_it = |u: &Unrolled| u.rounds == rounds && u.links == links;
        let Some(unrolled) = entry.unrolled(is_it, make)? else { return Ok(None) };
        // What a promise may need later is to be there then.
        if !crate::buffer::could_fit(4 * bytes.iter().sum::<usize>()) {
            return Ok(None);
        }
        unrolled.plan.check_memory()?;
        let mut stores = unrolled.plan.run(inputs, scalars)?.into_iter();
        let results = (0..rounds)
            .map(|round| (0..bytes.len()).map(|m| if is_wanted(round, m) { stores.next() } else { None }).collect())
            .collect();
        let start = Start {
            graph: graph.clone(),
            links: links.clone(),
            inputs: inputs.to_vec(),
            scalars: scalars.clone(),
            config: config.clone(),
        };
        let (entry, start, next) = (entry.clone(), Arc::new(start), SmallVec::new());
        Ok(Some(Batch { key: *key, entry, links, start, given: 0, rounds, results, bytes, next }))
    }

    /// The outputs of the next round, whose inputs are these.
    fn give(&mut self, inputs: &[Arc<Store>]) -> Stores {
        let round = self.given;
        self.given += 1;
        let known = std::mem::take(&mut self.results[round]);
        let stores: Stores = known
            .into_iter()
            .enumerate()
            .map(|(m, store)| {
                store.unwrap_or_else(|| {
                    let start = self.start.clone();
                    Store::promised(self.bytes[m], Box::new(move || start.compute(round, m)))
                })
            })
            .collect();
        (0..stores.len()).filter(|&m| !goes_on(&self.links, m)).for_each(|m| self.entry.watch(m, &stores[m]));
        self.next = self
            .links
            .iter()
            .map(|link| match *link {
                Link::Output(m) => Arc::downgrade(&stores[m as usize]),
                Link::Input(n) => Arc::downgrade(&inputs[n as usize]),
            })
            .collect();
        stores
    }
}

impl Start {
    /// Output m of a round.
    fn compute(&self, round: usize, m: usize) -> Result<Arc<Store>> {
        let only = |r: usize, output: usize| r == round && output == m;
        let graph = unroll(&self.graph, &self.links, round + 1, only)
            .ok_or_else(|| crate::Error::Runtime("a batch of rounds has lost its links".into()))?;
        let plan = Prepared::new(legate_jit_passes::compile(&graph, &self.config.cx)?, self.config.tier)?;
        plan.check_memory()?;
        let mut stores = plan.run(&self.inputs, &self.scalars)?;
        stores.pop().ok_or_else(|| crate::Error::Runtime("a plan gave no output".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn batches_share_their_rounds() {
        // (Rounds that are left, the most of a batch, those of the next one.)
        for (rounds, most, next) in
            [(1, 12, 1), (9, 12, 9), (12, 12, 12), (13, 12, 7), (20, 12, 10), (47, 16, 16), (33, 16, 11)]
        {
            assert_eq!(share(rounds, most), next, "{rounds} rounds, {most} at most");
        }
    }
}
