//! Traces of parts of a trace: rounds as one with an axis more, and the records between them.

use std::sync::Arc;

use legate_jit_ir::view::AxisMap;
use legate_jit_ir::{DType, Shape, View};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::{Group, Role, Step, missing};
use crate::base::{State, Token, Version};
use crate::layout::{Class, Layout, Strides};
use crate::shared::Shared;
use crate::trace::{Arg, Op, PackedPerm, Part, Rec, Src, Trace};
use crate::{Result, Store};

/// The stores that a trace's values are in, so far.
pub(super) struct Values<'a> {
    pub(super) trace: &'a Trace,
    pub(super) token: &'a Token,
    /// Bases that were taken out of the trace, to be written to.
    pub(super) taken: &'a [(Src, Arc<Store>)],
}

impl Values<'_> {
    fn store(&self, src: Src) -> Result<&Arc<Store>> {
        if let Some((_, store)) = self.taken.iter().find(|(taken, _)| *taken == src) {
            return Ok(store);
        }
        match src {
            Src::Input(n) => Ok(&self.trace.inputs[n as usize]),
            Src::Node(n) => match self.trace.versions[n as usize].state.get(self.token) {
                State::Store(store) => Ok(store),
                State::Pending(_) | State::Failed(_) => Err(missing()),
            },
            Src::Scalar(_) | Src::Const(_) => Err(missing()),
        }
    }

    fn dtype(&self, src: Src) -> DType {
        match src {
            Src::Input(n) => self.trace.input_types[n as usize].dtype,
            Src::Node(n) => self.trace.versions[n as usize].dtype,
            Src::Scalar(n) => self.trace.scalar_types[n as usize],
            Src::Const(n) => self.trace.consts[n as usize].dtype,
        }
    }

    fn full(&self, src: Src) -> Shared<Layout> {
        match src {
            Src::Input(n) => self.trace.layouts[self.trace.input_types[n as usize].layout as usize].clone(),
            Src::Node(n) => self.trace.versions[n as usize].full.clone(),
            Src::Scalar(_) | Src::Const(_) => Layout::identity(&[]),
        }
    }

    fn layout(&self, arg: &Arg) -> &Shared<Layout> {
        &self.trace.layouts[arg.layout as usize]
    }
}

/// The part of a store between two elements, in which several rounds read.
struct Window {
    src: Src,
    step: Step,
    low: i64,
    high: i64,
    store: Option<Arc<Store>>,
}

/// Makes the trace of some rounds of a group.
pub(super) struct Rounds<'a> {
    values: &'a Values<'a>,
    group: &'a Group,
    from: usize,
    count: usize,
    /// The axes that the values of all rounds have before those of a round's.
    lead: SmallVec<[usize; 2]>,
    part: &'a mut Trace,
    windows: SmallVec<[Window; 4]>,
    /// Of each record of a round: its number in the part, and whether it has the rounds' axis.
    made: Vec<Option<(u32, bool)>>,
}

impl<'a> Rounds<'a> {
    /// The rounds (or rows of rounds) `from..from + count` of a group; the results are the values for each of the group's writes, and
    /// of the records whose results are kept, the rounds' axes in front.
    pub(super) fn make(
        values: &'a Values<'a>,
        group: &'a Group,
        from: usize,
        count: usize,
        part: &'a mut Trace,
    ) -> Result<SmallVec<[Shared<Version>; 2]>> {
        let made = vec![None; group.period];
        let lead = group.axes(count, Step::NONE).iter().map(|&(n, _)| n).collect();
        let mut rounds = Rounds { values, group, from, count, lead, part, windows: SmallVec::new(), made };
        rounds.open_windows()?;
        let shared = rounds.shared();
        for (j, &shared) in shared.iter().enumerate().filter(|(j, _)| !group.carried[*j]) {
            let write = group.writes.iter().any(|w| w.record as usize == j);
            let made = if write { (rounds.value(j)?, true) } else { (rounds.record(j, shared)?, !shared) };
            rounds.made[j] = Some(made);
        }
        let value = |record: u32| {
            let (node, _) = rounds.made[record as usize].expect("every record was made");
            rounds.part.versions[node as usize].clone()
        };
        Ok(group.writes.iter().map(|w| w.record).chain(group.kept.iter().copied()).map(value).collect())
    }

    fn rec(&self, j: usize) -> &'a Rec {
        &self.values.trace.recs[self.group.start + j]
    }

    /// The roles of a record's arguments that are read.
    fn read(&self, j: usize) -> impl Iterator<Item = (&'a Arg, &'a Role)> + use<'a> {
        let write = self.group.writes.iter().any(|w| w.record as usize == j);
        let (rec, roles): (&'a Rec, &'a [Role; 3]) = (self.rec(j), &self.group.roles[j]);
        rec.args().iter().zip(roles).skip(write as usize)
    }

    fn open_windows(&mut self) -> Result<()> {
        for j in 0..self.group.period {
            for (arg, role) in self.read(j) {
                let Role::Store { src, step } = *role else { continue };
                if step == Step::NONE {
                    continue;
                }
                let (low, high) = self.reach(self.values.layout(arg), step);
                match self.windows.iter_mut().find(|w| w.src == src && w.step == step) {
                    Some(w) => (w.low, w.high) = (w.low.min(low), w.high.max(high)),
                    None => self.windows.push(Window { src, step, low, high, store: None }),
                }
            }
        }
        for w in &mut self.windows {
            let (store, item) = (self.values.store(w.src)?, self.values.dtype(w.src).size());
            store.keep_promise()?;
            store.looked_at();
            w.store = Some(Store::window(store, w.low as usize * item, (w.high + 1 - w.low) as usize * item));
        }
        Ok(())
    }

    /// For each record of a round whether it is the same in all of them.
    fn shared(&self) -> Vec<bool> {
        let mut shared = vec![false; self.group.period];
        for j in 0..self.group.period {
            shared[j] = self.rec(j).op != Op::Update
                && self.read(j).all(|(_, role)| match *role {
                    Role::Local(d) => shared[d as usize],
                    Role::Store { step, .. } => step == Step::NONE,
                    Role::Scalar { varies } => !varies,
                    Role::Written(_) => false,
                    Role::None => true,
                });
        }
        // What rounds write into is each one's own.
        for j in 0..self.group.period {
            if self.rec(j).op == Op::Update
                && let Role::Local(d) = self.group.roles[j][0]
            {
                shared[d as usize] = false;
            }
        }
        // (A record that was taken for the same in all rounds may read what no longer is.)
        for j in 0..self.group.period {
            let own = |(_, role): (&Arg, &Role)| matches!(*role, Role::Local(d) if !shared[d as usize]);
            if shared[j] && self.read(j).any(own) {
                shared[j] = false;
            }
        }
        shared
    }

    /// The rounds' axes before a shape.
    fn stacked(&self, shape: &[usize]) -> Shape {
        self.lead.iter().chain(shape).copied().collect()
    }

    /// Where the first of the rounds sees what moves on by `step`.
    fn first(&self, layout: &Layout, step: Step) -> i64 {
        layout.offset + self.group.between_pieces(step) * self.from as i64
    }

    /// The first and the last element that the rounds read through a layout which moves on.
    fn reach(&self, layout: &Layout, step: Step) -> (i64, i64) {
        let first = self.first(layout, step);
        let (mut low, mut high) = (first, first);
        let axes = layout.shape().iter().copied().zip(layout.strides.iter().copied());
        for (n, stride) in axes.chain(self.group.axes(self.count, step)) {
            let far = stride * (n as i64 - 1);
            if far < 0 { low += far } else { high += far }
        }
        (low, high)
    }

    fn record(&mut self, j: usize, shared: bool) -> Result<u32> {
        let rec = self.rec(j);
        let values = self.values;
        let plain = &values.trace.layouts[rec.shape as usize];
        let full = &values.trace.versions[self.group.start + j].full;
        let mut args: SmallVec<[Arg; 3]> = SmallVec::new();
        if rec.op == Op::Update {
            let Role::Local(d) = self.group.roles[j][0] else {
                return Err(missing());
            };
            let to = values.layout(&rec.args[0]).clone();
            let src = Src::Node(self.made[d as usize].expect("a base comes first").0);
            let layout = self.part.layout(&own_axes(&to, &self.lead, 0));
            args.push(Arg { src, layout, ..rec.args[0] });
            args.push(self.operand(j, 1, to.ndim())?);
        } else {
            for q in 0..rec.args().len() {
                args.push(self.operand(j, q, plain.ndim())?);
            }
        }
        if shared {
            let op = self.op(rec.op, 0);
            return Ok(self.push(op, rec.dtype, &args, &plain.clone(), rec.perm, full.clone()));
        }
        let shape = Layout::identity(&self.stacked(plain.shape()));
        let full = Layout::identity(&self.stacked(full.shape()));
        let lead = self.lead.len() as u32;
        let op = self.op(rec.op, lead);
        Ok(self.push(op, rec.dtype, &args, &shape, moved(rec.perm, plain.ndim(), lead), full))
    }

    fn push(
        &mut self,
        op: Op,
        dtype: DType,
        args: &[Arg],
        shape: &Shared<Layout>,
        perm: PackedPerm,
        full: Shared<Layout>,
    ) -> u32 {
        self.part.push(op, dtype, args, shape, perm, full);
        self.part.recs.len() as u32 - 1
    }

    /// The operation with its axes moved on by `by`.
    fn op(&mut self, op: Op, by: u32) -> Op {
        match op {
            Op::Reduce(n) => {
                let mut reduce = self.values.trace.reduces[n as usize].clone();
                reduce.axes.iter_mut().for_each(|axis| *axis += by);
                self.part.reduce(reduce)
            }
            Op::Scan(ufunc, axis) => Op::Scan(ufunc, axis + by),
            Op::Index(axis) => Op::Index(axis + by),
            Op::Map(_) | Op::Copy | Op::Update | Op::Matmul => op,
        }
    }

    /// The value that a record writes to what outlives the round, of the shape of the place.
    fn value(&mut self, j: usize) -> Result<u32> {
        let rec = self.rec(j);
        let to = self.values.layout(&rec.args[0]).clone();
        let arg = self.operand(j, 1, to.ndim())?;
        let shape = Layout::identity(&self.stacked(to.shape()));
        if let Src::Node(n) = arg.src
            && arg.part == Part::Whole
            && arg.cast == rec.dtype
            && self.part.versions[n as usize].dtype == rec.dtype
            && self.part.layouts[arg.layout as usize].hash == shape.hash
        {
            return Ok(n);
        }
        Ok(self.push(Op::Copy, rec.dtype, &[arg], &shape.clone(), 0, shape))
    }

    /// Argument `q` of a record as all rounds have it, for an operation of this rank.
    fn operand(&mut self, j: usize, q: usize, rank: usize) -> Result<Arg> {
        let (values, group) = (self.values, self.group);
        let (arg, role) = (&self.rec(j).args[q], &group.roles[j][q]);
        Ok(match *role {
            Role::Local(d) | Role::Written(d) => {
                let (node, stacked) = self.made[d as usize].expect("what is read was made before");
                let seen = match role {
                    Role::Written(_) => values.layout(arg).full(),
                    _ => values.layout(arg).clone(),
                };
                let layout = if stacked { own_axes(&seen, &self.lead, rank - seen.ndim()) } else { seen };
                Arg { src: Src::Node(node), layout: self.part.layout(&layout), ..*arg }
            }
            Role::Store { src, step: Step::NONE } => {
                let store = values.store(src)?;
                store.keep_promise()?;
                let input = self.part.input(store, &values.full(src), values.dtype(src));
                Arg { src: Src::Input(input), layout: self.part.layout(values.layout(arg)), ..*arg }
            }
            Role::Store { src, step } => {
                let window = self.windows.iter().find(|w| w.src == src && w.step == step);
                let Some(Window { low, high, store: Some(store), .. }) = window else {
                    return Err(missing());
                };
                let total = (high + 1 - low) as usize;
                let seen = values.layout(arg);
                let lead = rank - seen.ndim();
                let mut shape = self.stacked(&[]);
                shape.extend(std::iter::repeat_n(1, lead).chain(seen.shape().iter().copied()));
                let mut strides: Strides = group.axes(self.count, step).iter().map(|&(_, by)| by).collect();
                strides.extend(std::iter::repeat_n(0, lead).chain(seen.strides.iter().copied()));
                let offset = self.first(seen, step) - low;
                let layout = Layout::from_strides(total, &shape, &strides, offset);
                let input = self.part.input(store, &Layout::identity(&[total]), values.dtype(src));
                Arg { src: Src::Input(input), layout: self.part.layout(&layout), ..*arg }
            }
            Role::Scalar { varies: false } => self.part.scalar(values.trace.number(arg.src).ok_or_else(missing)?),
            Role::Scalar { varies: true } => self.numbers(j, q, rank)?,
            Role::None => return Err(missing()),
        })
    }

    /// An argument that is a number of each round's own.
    fn numbers(&mut self, j: usize, q: usize, rank: usize) -> Result<Arg> {
        let (trace, arg) = (self.values.trace, &self.rec(j).args[q]);
        let (dtype, mut bytes) = (self.values.dtype(arg.src), Vec::new());
        for round in self.from..self.from + self.count {
            let src = trace.recs[self.group.start + round * self.group.period + j].args[q].src;
            let bits = trace.number(src).ok_or_else(missing)?.bits;
            bytes.extend(bits.iter().flat_map(|word| word.to_ne_bytes()).take(dtype.size()));
        }
        let store = Store::from_bytes(&bytes)?;
        let mut shape = self.stacked(&[]);
        let full = Layout::identity(&shape);
        let input = self.part.input(&store, &full, dtype);
        shape.extend(std::iter::repeat_n(1, rank));
        let layout = Layout::identity(&shape);
        Ok(Arg { src: Src::Input(input), layout: self.part.layout(&layout), ..*arg })
    }
}

/// A layout of a round's value where there is one value for each of the rounds: the rounds' axes and `more` axes before it.
fn own_axes(layout: &Layout, lead: &[usize], more: usize) -> Shared<Layout> {
    let stack = |shape: &[usize], more: usize| -> Shape {
        lead.iter().copied().chain(std::iter::repeat_n(1, more)).chain(shape.iter().copied()).collect()
    };
    if layout.class == Class::Identity && more == 0 {
        return Layout::identity(&stack(layout.shape(), 0));
    }
    let mut axes: SmallVec<[AxisMap; 4]> = (0..lead.len()).map(|d| AxisMap::along(0, d, 1)).collect();
    let before = (lead.len() + more) as u32;
    for map in &layout.view.axes {
        let terms = map.terms.iter().map(|&(d, s)| (d + before, s)).collect();
        axes.push(AxisMap { start: map.start, terms });
    }
    Layout::new(stack(&layout.lshape, 0), View { shape: stack(layout.shape(), more), axes })
}

/// An order of axes behind `lead` more.
fn moved(perm: PackedPerm, ndim: usize, lead: u32) -> PackedPerm {
    if perm == 0 {
        return 0;
    }
    let order: SmallVec<[u32; 8]> =
        (0..lead).chain(crate::trace::unpack(perm, ndim).into_iter().map(|d| d + lead)).collect();
    crate::trace::pack(&order)
}

/// Some records of a trace as they are. What they read of former ones are inputs, which `store` gives.
pub(super) fn plain(
    main: &Trace,
    records: &[usize],
    part: &mut Trace,
    mut store: impl FnMut(Src) -> Result<Arc<Store>>,
    values: impl Fn(Src) -> (Shared<Layout>, DType),
) -> Result<()> {
    let mut known: FxHashMap<Src, u32> = FxHashMap::default();
    let mut own: FxHashMap<u32, u32> = FxHashMap::default();
    for &i in records {
        let rec = &main.recs[i];
        let mut args: SmallVec<[Arg; 3]> = SmallVec::new();
        for arg in rec.args() {
            let src = match arg.src {
                Src::Node(n) if own.contains_key(&n) => Src::Node(own[&n]),
                Src::Node(_) | Src::Input(_) => {
                    let input = match known.get(&arg.src) {
                        Some(&input) => input,
                        None => {
                            let store = store(arg.src)?;
                            let (full, dtype) = values(arg.src);
                            let input = part.input(&store, &full, dtype);
                            known.insert(arg.src, input);
                            input
                        }
                    };
                    Src::Input(input)
                }
                Src::Scalar(_) | Src::Const(_) => {
                    args.push(part.scalar(main.number(arg.src).ok_or_else(missing)?));
                    continue;
                }
            };
            let layout = part.layout(&main.layouts[arg.layout as usize]);
            args.push(Arg { src, layout, ..*arg });
        }
        let op = match rec.op {
            Op::Reduce(n) => part.reduce(main.reduces[n as usize].clone()),
            other => other,
        };
        own.insert(i as u32, part.recs.len() as u32);
        let full = main.versions[i].full.clone();
        let shape = main.layouts[rec.shape as usize].clone();
        part.push(op, rec.dtype, &args, &shape, rec.perm, full);
    }
    Ok(())
}
