//! Which operations on rows are done together: a map whose result only one later instruction of the same block reads is done
//! element by element within that instruction, and its result never is in memory.

use std::collections::BTreeMap;

use legate_jit_ir::nest::code::{Ins, Op, Operand};

use super::Program;

/// What is done within other instructions.
pub(super) struct Chains {
    /// For a map or a number that is put off, who reads it.
    reader: BTreeMap<usize, usize>,
    /// For an instruction and one of its operands' registers, the one put off that makes it.
    maker: BTreeMap<(usize, u16), usize>,
    /// For a sum of products and one of its operands' registers, what takes the elements of that.
    gathered: BTreeMap<(usize, u16), usize>,
    /// For each view where its elements are.
    origins: Vec<Origin>,
}

/// Where the elements of a view are.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Unseen,
    /// In the array with this register, or in the memory of the instruction with this number.
    Array(usize),
    Memory(usize),
    /// Now here and now there.
    Mixed,
}

fn origins(program: &Program) -> Vec<Origin> {
    let mut all = vec![Origin::Unseen; program.views];
    let meet = |now: Origin, with: Origin| match (now, with) {
        (Origin::Unseen, other) | (other, Origin::Unseen) => other,
        _ if now == with => now,
        _ => Origin::Mixed,
    };
    for given in &program.arrays {
        all[given.register] = meet(all[given.register], Origin::Array(given.register));
    }
    loop {
        let before = all.clone();
        for (n, ins) in program.code.iter().enumerate() {
            if ins.op.writes_first() && matches!(ins.named().next(), Some((Operand::View, _))) {
                let made = match ins.op {
                    Op::Index | Op::Transpose | Op::MoveView => before[ins.b as usize],
                    _ => Origin::Memory(n),
                };
                all[ins.a as usize] = meet(all[ins.a as usize], made);
            }
        }
        if all == before {
            return all;
        }
    }
}

/// The views that an operation on rows reads, but for the one that it writes. There are none for what is no such operation.
pub(super) fn sources(ins: &Ins) -> Vec<u16> {
    match ins.op {
        Op::MapF64 | Op::MapF32 => vec![ins.b, ins.c],
        Op::UpdateF64 | Op::UpdateF32 | Op::Assign | Op::Copy => vec![ins.b],
        _ => Vec::new(),
    }
}

/// How many bytes its elements have.
pub(super) fn item(ins: &Ins) -> usize {
    match ins.op {
        Op::MapF32 | Op::UpdateF32 | Op::NumberF32 => 4,
        Op::Assign => ins.c as usize,
        Op::Copy => ins.d as usize,
        _ => 8,
    }
}

/// Whether rows that are read later may have other elements because of it.
fn disturbs(ins: &Ins) -> bool {
    let has_memory = ins.named().any(|(kind, _)| kind == Operand::Memory);
    has_memory || ins.op.notes_one() || matches!(ins.op, Op::UpdateF64 | Op::UpdateF32 | Op::Assign)
}

impl Chains {
    /// `axes`: those of each view, where they are known. `begins`: whether a block begins with an instruction.
    pub(super) fn of(program: &Program, axes: &[Option<usize>], begins: impl Fn(usize) -> bool) -> Chains {
        let code = &program.code;
        let mut reads = vec![0; program.views];
        for ins in code {
            for (k, (kind, r)) in ins.named().enumerate() {
                if kind == Operand::View && (k > 0 || !ins.op.writes_first()) {
                    reads[r] += 1;
                }
            }
        }
        let known = |ins: &Ins| {
            let rows = sources(ins);
            // (Only of operations on rows is the first operand a view.)
            let Some(to) = rows.first().and_then(|_| axes[ins.a as usize]).filter(|&n| n > 0) else { return false };
            rows.iter().all(|&r| axes[r as usize].is_some_and(|n| n <= to))
        };
        let mut reader = BTreeMap::new();
        let mut made = BTreeMap::new();
        // What was taken last, if nothing else was written since then.
        let mut taken: Option<usize> = None;
        for (n, ins) in code.iter().enumerate() {
            if begins(n) {
                made.clear();
                taken = None;
            }
            match (ins.op, taken) {
                (Op::DotF64, Some(m))
                    if (ins.b == code[m].a) != (ins.c == code[m].a) && reads[code[m].a as usize] == 1 =>
                {
                    reader.insert(m, n);
                }
                (Op::Take, _) => {
                    let vectors = [ins.a, ins.b, ins.c].iter().all(|&v| axes[v as usize] == Some(1));
                    taken = (vectors && ins.e == 8).then_some(n);
                }
                _ if disturbs(ins) => taken = None,
                _ => {}
            }
            if known(ins) {
                for r in sources(ins) {
                    match made.get(&r) {
                        Some(&m) if reads[r as usize] == 1 && item(&code[m]) == item(ins) => {
                            reader.insert(m, n);
                        }
                        _ => {}
                    }
                }
            }
            if ins.op.writes_first() && matches!(ins.named().next(), Some((Operand::View, _))) {
                match ins.op {
                    Op::NumberF64 | Op::NumberF32 => made.insert(ins.a, n),
                    Op::MapF64 | Op::MapF32 if known(ins) => made.insert(ins.a, n),
                    _ => made.remove(&ins.a),
                };
            }
        }
        // What comes between a map and the end of its chain must leave alone what the map reads.
        loop {
            let end = |mut n: usize| {
                while let Some(&next) = reader.get(&n) {
                    n = next;
                }
                n
            };
            let apart = |m: usize, k: usize| disturbs(&code[k]) && !(reader.contains_key(&k) && end(k) == end(m));
            let is_map = |m: usize| matches!(code[m].op, Op::MapF64 | Op::MapF32);
            let stopped = |&m: &usize| is_map(m) && (m + 1..end(m)).any(|k| apart(m, k));
            let Some(m) = reader.keys().copied().find(stopped) else { break };
            reader.remove(&m);
        }
        let of = |take: bool| {
            let these = reader.iter().filter(move |&(&m, _)| (code[m].op == Op::Take) == take);
            these.map(|(&m, &n)| ((n, code[m].a), m)).collect()
        };
        let (maker, gathered) = (of(false), of(true));
        Chains { reader, maker, gathered, origins: origins(program) }
    }

    /// Whether an instruction is done within a later one.
    pub(super) fn is_put_off(&self, n: usize) -> bool {
        self.reader.contains_key(&n)
    }

    /// Whether views may well be of the same elements. (Different arrays may share memory, too, but hardly ever do.)
    pub(super) fn may_cross(&self, x: u16, y: u16) -> bool {
        let of = |r: u16| self.origins[r as usize];
        of(x) == of(y) || [of(x), of(y)].contains(&Origin::Mixed)
    }

    /// What takes the elements that an operand of a product has, if they are for that alone.
    pub(super) fn gathered(&self, n: usize, r: u16) -> Option<usize> {
        self.gathered.get(&(n, r)).copied()
    }

    /// What makes an operand within an instruction.
    pub(super) fn maker(&self, n: usize, r: u16) -> Option<usize> {
        self.maker.get(&(n, r)).copied()
    }
}
