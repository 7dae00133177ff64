//! What a pending mask says: comparisons of arrays with numbers, read from the records that make it.
//!
//! Who asks for the places that such a mask selects needs no mask in memory. They are found by one look at what is compared, and of
//! arrays that are asked about again and again (`for` each ring of a picture, each bin of a histogram, each span of time) most
//! elements need no look (`between`).

use std::sync::Arc;

use legate_jit_ir::{DType, Ufunc};
use smallvec::SmallVec;

use super::interval::Interval;
use crate::array::Array;
use crate::base::State;
use crate::layout::Class;
use crate::session::Session;
use crate::trace::{Arg, Op, Part, Src, Trace};
use crate::{Store, Tier};

/// Elements below which a mask is soon made.
pub(crate) const MANY: usize = 1 << 14;
/// Operations that a mask is made of.
const DEEPEST: u32 = 8;

/// An array's elements, all of them in C order, and where they are to lie.
#[derive(Clone)]
pub(super) struct Term {
    pub(super) of: Arc<Store>,
    pub(super) interval: Interval,
}

/// What has to be true of the elements at a place.
pub(super) type Condition = SmallVec<[Term; 2]>;

/// Whether masks may be read as what they say.
pub(super) fn may_read(s: &Session) -> bool {
    // (The interpreter is a witness of what was recorded.)
    s.config.tier != Tier::Interp && !s.config.plan_only && s.inline.is_on() && crate::ranks::active().is_none()
}

/// The record that makes a mask of this handle's own shape, if it is pending.
pub(super) fn record_of(s: &Session, mask: &Array) -> Option<u32> {
    let version = mask.base.current.get(&s.token);
    match version.state.get(&s.token) {
        State::Pending(n) if mask.layout.class == Class::Identity && mask.size() >= MANY => Some(*n),
        State::Pending(_) | State::Store(_) | State::Failed(_) => None,
    }
}

/// What a pending mask says of arrays in memory; `None` where it says something else.
pub(super) fn of(s: &Session, mask: &Array) -> Option<Condition> {
    let record = record_of(s, mask).filter(|_| may_read(s))?;
    let mut terms = Condition::new();
    read(&s.trace, record, DEEPEST, &mut terms)?;
    Some(terms)
}

fn read(trace: &Trace, record: u32, deep: u32, terms: &mut Condition) -> Option<()> {
    let rec = &trace.recs[record as usize];
    let Op::Map(op) = rec.op else { return None };
    let shape = trace.layouts[rec.shape as usize].hash;
    // (Elements keep their places.)
    let plain = |arg: &Arg| arg.part == Part::Whole && trace.layouts[arg.layout as usize].hash == shape;
    if rec.perm != 0 || rec.dtype != DType::Bool || deep == 0 {
        return None;
    }
    match (op, rec.args()) {
        (Ufunc::LogicalAnd | Ufunc::BitwiseAnd, [a, b]) => {
            for arg in [a, b] {
                match arg.src {
                    Src::Node(n) if plain(arg) && arg.cast == DType::Bool => read(trace, n, deep - 1, terms)?,
                    Src::Node(_) | Src::Input(_) | Src::Scalar(_) | Src::Const(_) => return None,
                }
            }
        }
        (Ufunc::LogicalNot | Ufunc::Invert, [a]) => {
            let Src::Node(n) = a.src else { return None };
            let mut denied = Condition::new();
            if !plain(a) || a.cast != DType::Bool {
                return None;
            }
            read(trace, n, deep - 1, &mut denied)?;
            let [term] = &denied[..] else { return None };
            terms.push(Term { interval: term.interval.not(), ..term.clone() });
        }
        (_, [a, b]) => {
            let (array, interval) = compared(trace, op, a, b)?;
            let Src::Input(n) = array.src else { return None };
            let of = &trace.inputs[n as usize];
            let known = trace.input_types[n as usize].dtype == interval.dtype();
            if !known || !plain(array) || of.is_exported() || of.is_promised() {
                return None;
            }
            let same = terms.iter_mut().find(|t| Arc::ptr_eq(&t.of, of));
            match same.and_then(|t| Some((t.interval.and(interval)?, t))) {
                Some((both, term)) => term.interval = both,
                None => terms.push(Term { of: of.clone(), interval }),
            }
        }
        _ => return None,
    }
    Some(())
}

/// The array of a comparison with a number, and what it says.
pub(super) fn compared<'a>(trace: &Trace, op: Ufunc, a: &'a Arg, b: &'a Arg) -> Option<(&'a Arg, Interval)> {
    let (array, interval) = match (trace.number(a.src), trace.number(b.src)) {
        (None, Some(number)) => (a, Interval::of(op, number)?),
        (Some(number), None) => (b, Interval::of_turned(op, number)?),
        (Some(_), Some(_)) | (None, None) => return None,
    };
    (array.cast == interval.dtype()).then_some((array, interval))
}
