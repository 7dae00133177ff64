//! `a[mask]`, `a[integers]`, and writing to either.
//!
//! How many elements a mask selects is not known before the mask is, but a program rarely asks: it computes with what it
//! selected and writes the result back under the same mask. So a masked read is a [`Picked`]: an expression over what is to be
//! selected. Written back under the same mask it is computed for all elements and chosen by `where`, which fuses with
//! everything around it, and nothing is ever brought together. Asked for its shape or its elements, what it reads is brought
//! together first (`moves`) and it is computed for the selected elements only.

use std::sync::{Arc, OnceLock};

use legate_jit_ir::{DType, Scalar, Ufunc};
use smallvec::SmallVec;

use crate::array::{Array, Operand, too_many_indices};
use crate::base::{State, Version};
use crate::layout::Layout;
use crate::promote::WeakScalar;
use crate::session::lock;
use crate::shared::Shared;
use crate::ufunc::{UfuncArgs, signature, ufunc};
use crate::{Casting, Error, Result};

mod between;
mod bins;
mod condition;
mod found;
mod integers;
mod interval;
mod labels;
mod masked;
mod moves;
mod ramp;
mod selection;

pub use bins::bincount;
pub(crate) use condition::MANY;
pub(crate) use found::Found;
pub use integers::{IndexPart, apply_at, count_nonzero, nonzero, nonzero_of_line};
pub(crate) use labels::Labels;
pub(crate) use moves::parallel;
pub(crate) use ramp::Ramps;
use selection::{Selection, is_sparse};

/// How many elements of a mask are true, where that is known or found without the mask in memory, and what it compares was asked
/// about before.
pub(crate) fn counted_again(mask: &Array) -> Result<Option<usize>> {
    Ok(found::known_again(mask)?.map(|selection| selection.count()))
}

/// Operations that a picked value may be made of before its operands are computed: enough for any line of a program, and a
/// bound for the recursion below.
const DEEPEST: u32 = 48;

/// `a[mask]`, or what was computed from it, before anybody asked for elements. Cheap to clone.
#[derive(Clone)]
pub struct Picked(Arc<Node>);

struct Node {
    /// A snapshot: later writes to the program's mask are not seen.
    mask: Array,
    dtype: DType,
    kind: Kind,
    depth: u32,
    /// Operations in it that cost more than memory does.
    costly: bool,
    /// The selected elements, once somebody asked.
    selected: OnceLock<Array>,
    /// What the mask says, once somebody asked: that something has one of several labels.
    label: OnceLock<Option<labels::Label>>,
}

enum Kind {
    /// A snapshot of the array that was indexed.
    Read(Array),
    Map(Ufunc, SmallVec<[Part; 2]>),
}

/// An operand inside a picked value.
#[derive(Clone)]
enum Part {
    Picked(Picked),
    Weak(WeakScalar),
    Typed(Scalar),
    /// A snapshot of a 0-d array.
    Zero(Array),
}

/// An operand of an operation in which picked values take part.
#[derive(Clone, Copy)]
pub enum PickedOperand<'a> {
    Picked(&'a Picked),
    Other(Operand<'a>),
}

impl Array {
    /// This array's present value, which no later write changes. `None` where foreign code may write it at any time.
    fn snapshot(&self) -> Result<Option<Array>> {
        let s = lock();
        let version = self.base.current.get(&s.token);
        match version.state.get(&s.token) {
            State::Store(store) if store.is_exported() => Ok(None),
            State::Failed(e) => Err((**e).clone()),
            State::Store(_) | State::Pending(_) => {
                let version = version.clone();
                drop(s);
                Ok(Some(self.of_version(version)))
            }
        }
    }

    /// True where the value is in memory.
    pub(crate) fn at_rest(&self) -> bool {
        let mut s = lock();
        let at_rest = matches!(self.base.current.get(&s.token).state.get(&s.token), State::Store(_));
        // (What is at rest is about to be looked at.)
        s.looks += at_rest as u64;
        at_rest
    }

    /// The same elements of the same version.
    fn same_value(&self, other: &Array) -> bool {
        let s = lock();
        Shared::ptr_eq(self.base.current.get(&s.token), other.base.current.get(&s.token))
            && self.part == other.part
            && (Shared::ptr_eq(&self.layout, &other.layout) || self.layout.hash == other.layout.hash)
    }

    /// What stands for a value that could not be computed: asking for it gives the error.
    pub fn failed(error: Error, shape: &[usize], dtype: DType) -> Array {
        let full = Layout::identity(shape);
        Array::fresh(Version::new(State::Failed(Arc::new(error)), full.clone(), dtype), full, dtype)
    }

    /// NumPy's checks of a boolean index over the leading axes.
    pub(crate) fn check_mask(&self, mask: &Array) -> Result<()> {
        if mask.ndim() > self.ndim() {
            return Err(too_many_indices(self.ndim(), mask.ndim()));
        }
        for (axis, (&m, &n)) in mask.shape().iter().zip(self.shape()).enumerate() {
            if m != n {
                return Err(Error::Index(format!(
                    "boolean index did not match indexed array along axis {axis}; size of axis is {n} but size of \
                     corresponding boolean axis is {m}"
                )));
            }
        }
        Ok(())
    }

    /// `self[mask]`, of which nothing is computed yet. `mask` is boolean and has axes.
    pub fn pick(&self, mask: &Array) -> Result<Picked> {
        self.check_mask(mask)?;
        if mask.dtype() != DType::Bool || mask.ndim() == 0 {
            return Err(Error::Unsupported("an index that is no mask".into()));
        }
        if self.ndim() > mask.ndim() && !self.layout.c_ordered {
            // NumPy keeps the order in memory of the axes that are not selected from.
            return Err(Error::Unsupported("a masked read of rows in another order".into()));
        }
        let read = self.snapshot()?;
        let seen = mask.snapshot()?;
        let at_once = read.is_none() || seen.is_none();
        let node = Node {
            mask: seen.unwrap_or_else(|| mask.clone()),
            dtype: self.dtype,
            kind: Kind::Read(read.unwrap_or_else(|| self.clone())),
            depth: 0,
            costly: false,
            selected: OnceLock::new(),
            label: OnceLock::new(),
        };
        let picked = Picked(Arc::new(node));
        if at_once {
            // Whoever else holds the memory may change it after this call.
            picked.array()?;
        }
        Ok(picked)
    }
}

impl Picked {
    pub fn dtype(&self) -> DType {
        self.0.dtype
    }

    /// The axes of the result beyond the first.
    fn rest(&self) -> &[usize] {
        let mut node = self;
        loop {
            match &node.0.kind {
                Kind::Read(a) => return &a.shape()[node.0.mask.ndim()..],
                // Other parts have no axes.
                Kind::Map(_, parts) => {
                    match parts.iter().find_map(|p| if let Part::Picked(p) = p { Some(p) } else { None }) {
                        Some(p) => node = p,
                        None => return &[],
                    }
                }
            }
        }
    }

    /// `op(operands…)` on the selected elements, of which one operand at least is picked. `Unsupported` where that has to be done on
    /// the elements themselves.
    pub fn ufunc(op: Ufunc, operands: &[PickedOperand]) -> Result<Picked> {
        use PickedOperand::*;
        let unsupported = || Error::Unsupported("an operation on what a mask selects".into());
        let first =
            operands.iter().find_map(|o| if let Picked(p) = o { Some(*p) } else { None }).ok_or_else(unsupported)?;
        let plain: SmallVec<[Operand; 3]> = operands
            .iter()
            .map(|o| match o {
                // Only the type counts here.
                Picked(p) => Operand::Typed(Scalar { dtype: p.0.dtype, bits: [0; 2] }),
                Other(o) => *o,
            })
            .collect();
        let l = signature(op, &plain)?;
        if l.out.is_integer() && op == Ufunc::Power || op == Ufunc::Where {
            // NumPy looks at the exponents.
            return Err(unsupported());
        }
        let mut parts: SmallVec<[Part; 2]> = SmallVec::new();
        let (mut depth, mut costly) = (0, op.flops() > 10);
        for (o, &to) in operands.iter().zip(l.ins()) {
            parts.push(match o {
                Picked(p) => {
                    let same =
                        Arc::ptr_eq(&p.0, &first.0) || p.0.mask.same_value(&first.0.mask) && p.rest() == first.rest();
                    if !same {
                        return Err(unsupported());
                    }
                    depth = depth.max(p.0.depth + 1);
                    costly |= p.0.costly;
                    Part::Picked((*p).clone())
                }
                Other(Operand::Weak(w)) => {
                    // Whether the number fits is said on this line.
                    w.value(to).map_err(|_| unsupported())?;
                    Part::Weak(*w)
                }
                Other(Operand::Typed(s)) => Part::Typed(*s),
                Other(Operand::Array(a)) if a.ndim() == 0 => Part::Zero(a.snapshot()?.ok_or_else(unsupported)?),
                Other(Operand::Array(_)) => return Err(unsupported()),
            });
        }
        if depth > DEEPEST {
            return Err(unsupported());
        }
        let mask = first.0.mask.clone();
        Ok(self::Picked(Arc::new(Node {
            mask,
            dtype: l.out,
            kind: Kind::Map(op, parts),
            depth,
            costly,
            selected: OnceLock::new(),
            label: OnceLock::new(),
        })))
    }

    /// The selected elements as an array: 1-d, or with the axes that the mask does not cover behind.
    pub fn array(&self) -> Result<Array> {
        if let Some(a) = self.0.selected.get() {
            return Ok(a.clone());
        }
        let selection = match self.label()? {
            Some(label) => label.selection(&self.0.mask)?,
            None => Selection::of(&self.0.mask)?,
        };
        self.select(&selection)
    }

    fn label(&self) -> Result<Option<&labels::Label>> {
        if self.0.label.get().is_none() {
            let label = labels::label_of(&self.0.mask)?;
            // (Who was sooner has the same.)
            let _ = self.0.label.set(label);
        }
        Ok(self.0.label.get().and_then(Option::as_ref))
    }

    /// How many elements or rows are selected, where that is known or found sooner than they are brought together.
    pub fn count(&self) -> Result<Option<usize>> {
        if let Some(a) = self.0.selected.get() {
            return Ok(Some(a.shape()[0]));
        }
        let rows = if let Kind::Read(rows) = &self.0.kind { Some(rows) } else { None };
        self.label()?.map_or(Ok(None), |label| label.count(rows))
    }

    /// The sum, or the mean, of the selected rows of an array with two axes, where that is known or found sooner than they are brought
    /// together.
    pub fn of_rows(&self, mean: bool) -> Result<Option<Array>> {
        let Kind::Read(rows) = &self.0.kind else { return Ok(None) };
        if self.0.selected.get().is_some() || self.0.mask.ndim() != 1 || rows.ndim() != 2 {
            return Ok(None);
        }
        let Some(label) = self.label()? else { return Ok(None) };
        let Some(sum) = label.sum_of_rows(rows)? else { return Ok(None) };
        match label.count(None)? {
            Some(n) if mean => crate::reduce::by_count(&sum, Scalar::i64(n as i64), None).map(Some),
            Some(_) | None => Ok(Some(sum)),
        }
    }

    /// An array that gives this error when it is asked for elements.
    pub fn failure(&self, error: Error) -> Array {
        let shape: SmallVec<[usize; 4]> = [0].into_iter().chain(self.rest().iter().copied()).collect();
        Array::failed(error, &shape, self.0.dtype)
    }

    fn select(&self, selection: &Selection) -> Result<Array> {
        if let Some(a) = self.0.selected.get() {
            return Ok(a.clone());
        }
        let made = match &self.0.kind {
            Kind::Read(a) => masked::compressed(a, selection)?,
            Kind::Map(op, parts) => {
                let arrays: SmallVec<[Option<Array>; 2]> = parts
                    .iter()
                    .map(|p| match p {
                        Part::Picked(p) => p.select(selection).map(Some),
                        _ => Ok(None),
                    })
                    .collect::<Result<_>>()?;
                ufunc(*op, &operands(parts, &arrays), &UfuncArgs::default())?
            }
        };
        let _ = self.0.selected.set(made.clone());
        Ok(made)
    }

    /// The expression for every element, selected or not.
    fn everywhere(&self, known: &mut SmallVec<[(*const Node, Array); 8]>) -> Result<Array> {
        let made = match &self.0.kind {
            Kind::Read(a) => return Ok(a.clone()),
            Kind::Map(op, parts) => {
                // An operand that is used twice is computed once. Expressions are short.
                if let Some((_, a)) = known.iter().find(|(node, _)| *node == Arc::as_ptr(&self.0)) {
                    return Ok(a.clone());
                }
                let mut arrays: SmallVec<[Option<Array>; 2]> = SmallVec::new();
                for p in parts {
                    arrays.push(match p {
                        Part::Picked(p) => Some(p.everywhere(known)?),
                        _ => None,
                    });
                }
                ufunc(*op, &operands(parts, &arrays), &UfuncArgs::default())?
            }
        };
        known.push((Arc::as_ptr(&self.0), made.clone()));
        Ok(made)
    }

    /// True where to compute for every element costs less than to bring together what is selected.
    fn is_better_everywhere(&self) -> bool {
        self.0.selected.get().is_none() && !self.0.costly && !is_sparse(&self.0.mask)
    }
}

fn operands<'a>(parts: &'a [Part], arrays: &'a [Option<Array>]) -> SmallVec<[Operand<'a>; 3]> {
    parts
        .iter()
        .zip(arrays)
        .map(|(p, a)| match (p, a) {
            (_, Some(a)) => Operand::Array(a),
            (Part::Zero(a), _) => Operand::Array(a),
            (Part::Weak(w), _) => Operand::Weak(*w),
            (Part::Typed(s), _) => Operand::Typed(*s),
            (Part::Picked(_), None) => unreachable!("picked parts have arrays"),
        })
        .collect()
}

impl Array {
    /// `self[mask] = picked`, if the picked value is of this very mask and fits: computed everywhere, chosen by the mask.
    /// False where the selected elements have to be written one by one.
    pub fn assign_picked(&self, mask: &Array, picked: &Picked, casting: Casting) -> Result<bool> {
        self.check_writable()?;
        self.check_mask(mask)?;
        if picked.rest() != &self.shape()[mask.ndim()..]
            || !legate_jit_ir::promote::can_cast(picked.dtype(), self.dtype, casting)
            || !picked.0.mask.same_value(mask)
            || !picked.is_better_everywhere()
        {
            return Ok(false);
        }
        let everywhere = picked.everywhere(&mut SmallVec::new())?;
        let mask = mask.trailing_axes(self.ndim() - mask.ndim());
        let mut s = lock();
        let chosen = crate::ufunc::select(&mut s, &mask, Operand::Array(&everywhere), self)?;
        s.write_array(self, &chosen)?;
        Ok(true)
    }
}
