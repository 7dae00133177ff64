//! Rounds that one thread does beside each other (`ir::nest::Beside`).
//!
//! Each of them has registers of its own, and they go through the inner loop together: a round of it for the first, one for the second,
//! and so on. They all count; where one has to be left, all are taken back and done one by one.

use legate_jit_ir::nest::Beside;

use super::*;

/// What belongs to one of several rounds.
pub(super) struct Own<'c> {
    ints: Vec<Place<'c>>,
    floats: Vec<Place<'c>>,
    views: Vec<ViewPlace<'c>>,
    noted: BTreeMap<usize, [V<'c>; 3]>,
    carried: BTreeMap<usize, (Elem, V<'c>)>,
}

impl<'c> Nest<'c, '_> {
    /// Registers for each round but the first, which has those that there are.
    pub(super) fn beside_of(&self) -> Option<(Beside, Vec<Own<'c>>)> {
        let plan = self.program.beside()?;
        let known = |n: &usize| {
            let mut known = true;
            self.program.code[*n].writes(|bank, r| known &= bank < 2 || self.axes(r as u16).is_some());
            known && !matches!(self.program.code[*n].op, Op::Index) || self.axes(self.program.code[*n].b).is_some()
        };
        if !plan.before.iter().chain(&plan.after).all(known) {
            return None;
        }
        let others = (1..plan.rounds).map(|_| self.own()).collect();
        Some((plan, others))
    }

    fn own(&self) -> Own<'c> {
        let b = self.b;
        let room_of = |ty| {
            let attributes = [(b.common.name("elem_type"), TypeAttribute::new(ty).into())];
            b.op_typed("llvm.alloca", &[b.int(Elem::I64, 1)], &attributes, b.common.ptr)
        };
        let zeroed = || {
            let room = room_of(b.ty(Elem::I64));
            b.store(Elem::I64, b.int(Elem::I64, 0), room);
            room
        };
        let own = |place: &Place<'c>, elem: Elem| match *place {
            Place::Room(_) => Place::Room(room_of(b.ty(elem))),
            value => value,
        };
        let views = self.views.iter().map(|view| match view {
            ViewPlace::Stays(seen) => ViewPlace::Stays(seen.clone()),
            ViewPlace::Rooms(seen) => {
                let rooms = |of: &[V<'c>]| of.iter().map(|_| zeroed()).collect();
                let (shape, strides) = (rooms(&seen.shape), rooms(&seen.strides));
                ViewPlace::Rooms(Seen { ptr: room_of(b.common.ptr), shape, strides })
            }
            ViewPlace::File => ViewPlace::File,
        });
        Own {
            ints: self.ints.iter().map(|place| own(place, Elem::I64)).collect(),
            floats: self.floats.iter().map(|place| own(place, Elem::F64)).collect(),
            views: views.collect(),
            noted: self.noted.keys().map(|&n| (n, [(); 3].map(|()| zeroed()))).collect(),
            carried: self.carried.iter().map(|(&head, &(elem, _))| (head, (elem, room_of(b.ty(elem))))).collect(),
        }
    }

    /// Builds something for one of the rounds that are done beside each other.
    pub(super) fn among<R>(&mut self, k: usize, build: impl FnOnce(&mut Self) -> R) -> R {
        self.exchange(k);
        let built = build(self);
        self.exchange(k);
        built
    }

    fn exchange(&mut self, k: usize) {
        let Some(own) = k.checked_sub(1).map(|k| &mut self.others[k]) else { return };
        std::mem::swap(&mut self.ints, &mut own.ints);
        std::mem::swap(&mut self.floats, &mut own.floats);
        std::mem::swap(&mut self.views, &mut own.views);
        std::mem::swap(&mut self.noted, &mut own.noted);
        std::mem::swap(&mut self.carried, &mut own.carried);
    }

    /// Does several rounds beside each other, the first of which is the next one, and goes on with the rest; or goes on at `plain`, where
    /// nothing is done yet.
    pub(super) fn do_beside(&mut self, plan: &Beside, plain: BlockRef<'c, 'c>) {
        let b = self.b;
        let int = |n: i64| b.int(Elem::I64, n);
        let many = plan.rounds as i64;
        let apart = b.load(Elem::I64, self.field(std::mem::offset_of!(Frame, apart)));
        let enough = b.compare("arith.cmpi", NOT_BELOW, b.load(Elem::I64, self.left), int(many));
        let start = self.new_block();
        self.jump_if(self.both(b.compare("arith.cmpi", NOT_EQUAL, apart, int(0)), enough), start, plain);

        // What comes before the inner loop, and whether it is the same for all.
        self.b.block = start;
        let (leave, long) = (self.leave.replace(Some(plain)), self.long.replace(Some(plain)));
        let variable = self.program.variable as u16;
        let next = self.b.load(Elem::I64, self.next);
        let step = self.b.load(Elem::I64, self.field(std::mem::offset_of!(Frame, step)));
        let range = self.program.code[plan.head].a;
        for k in 0..plan.rounds {
            let b = self.b;
            let ahead = b.op("arith.muli", &[step, b.int(Elem::I64, k as i64)], Elem::I64);
            let number = b.op("arith.addi", &[next, ahead], Elem::I64);
            self.among(k, |nest| {
                nest.set_int(variable, number);
                for &n in &plan.before {
                    let ins = nest.program.code[n];
                    nest.step(n, &ins);
                }
            });
        }
        let of_range = |nest: &mut Self| [range, range + 1, range + 2].map(|r| nest.int(r));
        let first = of_range(self);
        for k in 1..plan.rounds {
            let other = self.among(k, |nest| of_range(nest));
            for (x, y) in first.into_iter().zip(other) {
                self.unlikely(self.b.compare("arith.cmpi", NOT_EQUAL, x, y), plain);
            }
        }
        for k in 0..plan.rounds {
            self.among(k, |nest| nest.look_ahead(plan.head, &plan.inner, plain));
        }

        // From here on something is done.
        let left = self.new_block();
        self.leave.set(Some(left));
        self.long.set(Some(left));
        let end = self.new_block();
        self.foreseen_rounds(plan.head, &plan.inner, plan.rounds, end, left);
        self.b.block = end;
        for k in 0..plan.rounds {
            self.among(k, |nest| {
                for &n in &plan.after {
                    let ins = nest.program.code[n];
                    nest.step(n, &ins);
                }
            });
        }
        // The last one's numbers are those that stay.
        let program = self.program;
        let (ints, floats) = self.among(plan.rounds - 1, |nest| {
            let ints: Vec<_> = program.kept_ints.iter().map(|&r| nest.int(r as u16)).collect();
            let floats: Vec<_> = program.kept_floats.iter().map(|&r| nest.float(r as u16)).collect();
            (ints, floats)
        });
        program.kept_ints.iter().zip(ints).for_each(|(&r, value)| self.set_int(r as u16, value));
        program.kept_floats.iter().zip(floats).for_each(|(&r, value)| self.set_float(r as u16, value));
        self.end_rounds(many);
        self.leave.set(leave);
        self.long.set(long);

        // The rounds that are left are those after the first of these: so whoever does them one by one does all of them so.
        self.b.block = left;
        let b = self.b;
        let fewer = b.op("arith.subi", &[b.load(Elem::I64, self.left), b.int(Elem::I64, many - 1)], Elem::I64);
        b.store(Elem::I64, fewer, self.left);
        self.end(LEFT);
    }
}
