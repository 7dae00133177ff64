//! The array handle: a base seen through a layout. Cheap to clone; everything a front end calls starts here.
//!
//! Operations record and return at once; errors that metadata shows are raised then, in NumPy's words. Values are computed
//! when one is asked for (`item`, `host`, `sync`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use legate_jit_ir::cast::cast;
use legate_jit_ir::promote::{ArgType, can_cast};
use legate_jit_ir::{DType, Scalar, Shape, Ufunc};

use crate::base::{Base, State, Version};
use crate::error::shape_text;
use crate::layout::{Class, Layout, Strides};
use crate::promote::WeakScalar;
use crate::session::{Session, lock};
use crate::shared::Shared;
use crate::trace::{Arg, Op, PackedPerm, Part, pack};
use crate::{Casting, Error, Result, Store};

mod create;
pub(crate) mod element;
pub(crate) mod host;
pub(crate) mod index;
pub(crate) mod shapes;

pub use element::Element;
pub use host::{Export, HostView, Loan};
pub use index::{Index, say_other};

const WRITABLE: u8 = 1;
const SCALAR: u8 = 2;

/// A handle on an array or on a view of one.
#[derive(Clone)]
pub struct Array {
    pub(crate) base: Shared<Base>,
    pub(crate) layout: Shared<Layout>,
    /// The type of what the handle shows (of the real part of a complex base: its real type).
    pub(crate) dtype: DType,
    pub(crate) part: Part,
    flags: u8,
}

/// An operand of an operation.
#[derive(Clone, Copy)]
pub enum Operand<'a> {
    Array(&'a Array),
    /// A Python int, float or complex.
    Weak(WeakScalar),
    /// A NumPy scalar or a Python bool.
    Typed(Scalar),
}

impl<'a> Operand<'a> {
    /// The type that takes part in promotion.
    #[inline(always)]
    pub(crate) fn arg_type(&self) -> ArgType {
        match self {
            Operand::Array(a) => a.dtype.into(),
            Operand::Typed(v) => v.dtype.into(),
            Operand::Weak(w) => w.arg_type(),
        }
    }

    #[inline(always)]
    pub(crate) fn array(&self) -> Option<&'a Array> {
        match *self {
            Operand::Array(a) => Some(a),
            Operand::Weak(_) | Operand::Typed(_) => None,
        }
    }
}

impl Array {
    /// A new base with this version.
    #[inline(always)]
    pub(crate) fn fresh(version: Shared<Version>, layout: Shared<Layout>, dtype: DType) -> Array {
        Array { base: Base::new(version), layout, dtype, part: Part::Whole, flags: WRITABLE }
    }

    /// A version seen as this handle sees its base, by a base of its own.
    pub(crate) fn of_version(&self, version: Shared<Version>) -> Array {
        Array { base: Base::new(version), ..self.clone() }
    }

    /// The same base seen otherwise.
    #[inline]
    pub(crate) fn seen(&self, layout: Shared<Layout>) -> Array {
        Array { base: self.base.clone(), layout, dtype: self.dtype, part: self.part, flags: self.flags & WRITABLE }
    }

    #[inline(always)]
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    #[inline(always)]
    pub fn ndim(&self) -> usize {
        self.layout.ndim()
    }

    #[inline(always)]
    pub fn size(&self) -> usize {
        self.layout.size
    }

    #[inline(always)]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    pub fn nbytes(&self) -> usize {
        self.layout.size * self.dtype.size()
    }

    fn base_itemsize(&self) -> i64 {
        match self.part {
            Part::Whole => self.dtype.size() as i64,
            Part::Real | Part::Imag => 2 * self.dtype.size() as i64,
        }
    }

    /// In bytes, as NumPy shows them.
    pub fn strides(&self) -> Strides {
        self.strides_in_bytes().collect()
    }

    /// The same, one after the other.
    #[inline]
    pub fn strides_in_bytes(&self) -> impl Iterator<Item = i64> {
        let item = self.base_itemsize();
        self.layout.strides.iter().map(move |s| s * item)
    }

    /// Of the first element from the start of the base, in bytes.
    pub fn offset(&self) -> i64 {
        self.layout.offset * self.base_itemsize() + if self.part == Part::Imag { self.dtype.size() as i64 } else { 0 }
    }

    pub fn c_contiguous(&self) -> bool {
        self.layout.c_contiguous && (self.part == Part::Whole || self.size() <= 1)
    }

    pub fn f_contiguous(&self) -> bool {
        self.layout.f_contiguous && (self.part == Part::Whole || self.size() <= 1)
    }

    #[inline(always)]
    pub fn writable(&self) -> bool {
        self.flags & WRITABLE != 0
    }

    /// Whether a view of this base may be writable: the array that it is a view of was not made read-only.
    pub fn base_writable(&self) -> bool {
        !self.base.read_only.load(Ordering::Relaxed)
    }

    /// All of the memory can only be read, whatever its views say.
    pub fn set_base_writable(&self, writable: bool) {
        self.base.read_only.store(!writable, Ordering::Relaxed);
    }

    pub fn set_writable(&mut self, writable: bool) {
        self.flags = self.flags & !WRITABLE | if writable { WRITABLE } else { 0 };
    }

    /// A 0-d result that NumPy would give as a scalar.
    #[inline(always)]
    pub fn is_scalar(&self) -> bool {
        self.flags & SCALAR != 0
    }

    pub fn set_scalar(&mut self, scalar: bool) {
        self.flags = self.flags & !SCALAR | if scalar { SCALAR } else { 0 };
    }

    pub(crate) fn with_scalar(mut self, scalar: bool) -> Array {
        self.set_scalar(scalar && self.ndim() == 0);
        self
    }

    /// Both handles see the same base (they may still not overlap).
    pub fn same_base(&self, other: &Array) -> bool {
        Shared::ptr_eq(&self.base, &other.base)
    }

    /// How many handles there are on the base, this one included.
    pub fn handles(&self) -> usize {
        Shared::count(&self.base)
    }

    /// True where `self` is a part of its base or shows it in another order: NumPy's `a.base is not None`.
    pub fn is_view(&self) -> bool {
        self.layout.class != Class::Identity || self.part != Part::Whole
    }

    /// The whole base as an array of its own shape: NumPy's `a.base`.
    pub fn whole_base(&self) -> Array {
        let s = lock();
        let version = self.base.current.get(&s.token);
        let (full, dtype) = (version.full.clone(), version.dtype);
        drop(s);
        let flags = if self.base_writable() { WRITABLE } else { 0 };
        Array { base: self.base.clone(), layout: full, dtype, part: Part::Whole, flags }
    }

    /// An array of its own with this value. Where the handle shows its base in C order this records nothing: the two share
    /// the version until one is written. `keep_order` is NumPy's order "K", else "C".
    pub fn copy(&self, keep_order: bool) -> Result<Array> {
        let mut s = lock();
        let s = &mut *s;
        let shares = self.part == Part::Whole
            && (self.layout.class == Class::Identity || keep_order && self.layout.class == Class::Permuted);
        if shares {
            let version = self.base.current.get(&s.token).clone();
            let version = match version.state.get(&s.token) {
                State::Failed(e) => return Err((**e).clone()),
                // Foreign code writes that memory when it likes.
                State::Store(store) if store.is_exported() => {
                    Version::new(State::Store(store.duplicate()?), version.full.clone(), version.dtype)
                }
                _ => version,
            };
            return Ok(Array::fresh(version, self.layout.clone(), self.dtype));
        }
        let perm = if keep_order { s.k_perm(&[&self.layout], self.shape()) } else { 0 };
        s.copied(self, self.dtype, &self.layout.full(), perm)
    }

    /// NumPy's `astype(dtype, casting=…)`, order "K"; a copy even where the type is the same.
    pub fn astype(&self, dtype: DType, casting: Casting) -> Result<Array> {
        if !can_cast(self.dtype, dtype, casting) {
            return Err(Error::Type(format!(
                "Cannot cast array data from dtype('{}') to dtype('{}') according to the rule '{}'",
                self.dtype.numpy_name(),
                dtype.numpy_name(),
                casting.name()
            )));
        }
        if dtype == self.dtype {
            return Ok(self.copy(true)?.with_scalar(self.is_scalar()));
        }
        let mut s = lock();
        let perm = s.k_perm(&[&self.layout], self.shape());
        Ok(s.copied(self, dtype, &self.layout.full(), perm)?.with_scalar(self.is_scalar()))
    }

    /// `self[...] = value`: broadcasts, and casts as the rule allows (NumPy's item assignment allows all).
    pub fn assign(&self, value: Operand, casting: Casting) -> Result<()> {
        self.check_writable()?;
        match value {
            Operand::Array(v) => {
                check_cast(v.dtype, self.dtype, casting)?;
                if v.shape() == self.shape() {
                    return lock().write_array(self, v);
                }
                let shape = leading_ones_off(v.shape(), self.ndim());
                if legate_jit_ir::shape::broadcast(shape, self.shape()).as_deref() != Some(self.shape()) {
                    return Err(Error::Value(format!(
                        "could not broadcast input array from shape {} into shape {}",
                        shape_text(v.shape(), ","),
                        shape_text(self.shape(), ",")
                    )));
                }
                if shape.len() < v.ndim() {
                    let v = v.without_leading(v.ndim() - shape.len());
                    return lock().write_array(self, &v);
                }
                lock().write_array(self, v)
            }
            Operand::Weak(w) => {
                let value = w.assigned(self.dtype)?;
                lock().write_scalar(self, value)
            }
            Operand::Typed(v) => {
                check_cast(v.dtype, self.dtype, casting)?;
                lock().write_scalar(self, cast(v, self.dtype))
            }
        }
    }

    /// `self[mask] = value` for a mask of self's shape (or of its leading axes) and a value that broadcasts to self.
    pub fn assign_where(&self, mask: &Array, value: Operand, casting: Casting) -> Result<()> {
        self.check_writable()?;
        if mask.dtype != DType::Bool {
            return Err(Error::Index("arrays used as indices must be of integer (or boolean) type".into()));
        }
        self.check_mask(mask)?;
        if let Operand::Array(v) = value {
            check_cast(v.dtype, self.dtype, casting)?;
            // A longer value is one element for each selected place: that depends on the mask's values.
            let fits = legate_jit_ir::shape::broadcast(v.shape(), &self.shape()[mask.ndim()..]);
            if fits.as_deref() != Some(&self.shape()[mask.ndim()..]) {
                return Err(Error::Unsupported("a value for each selected element".into()));
            }
        }
        let mask = mask.trailing_axes(self.ndim() - mask.ndim());
        let new = match value {
            Operand::Weak(w) => Operand::Typed(w.assigned(self.dtype)?),
            other => other,
        };
        let value = match new {
            Operand::Typed(v) => Operand::Typed(cast(v, self.dtype)),
            other => other,
        };
        let mut s = lock();
        let picked = crate::ufunc::select(&mut s, &mask, value, self)?;
        s.write_array(self, &picked)
    }

    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.writable() { Ok(()) } else { Err(Error::Value("assignment destination is read-only".into())) }
    }
}

fn check_cast(from: DType, to: DType, casting: Casting) -> Result<()> {
    if can_cast(from, to, casting) {
        return Ok(());
    }
    Err(Error::Type(format!(
        "Cannot cast array data from dtype('{}') to dtype('{}') according to the rule '{}'",
        from.numpy_name(),
        to.numpy_name(),
        casting.name()
    )))
}

/// Item assignment takes leading axes of extent 1 away that the target does not have.
fn leading_ones_off(shape: &[usize], ndim: usize) -> &[usize] {
    let mut shape = shape;
    while shape.len() > ndim && shape[0] == 1 {
        shape = &shape[1..];
    }
    shape
}

pub(crate) fn too_many_indices(ndim: usize, given: usize) -> Error {
    Error::Index(format!("too many indices for array: array is {ndim}-dimensional, but {given} were indexed"))
}

impl Session {
    /// An argument that reads what a handle shows at the moment.
    #[inline(always)]
    pub(crate) fn arg(&mut self, a: &Array, cast: DType) -> Result<Arg> {
        let version = a.base.current.get(&self.token);
        if let State::Failed(e) = version.state.get(&self.token) {
            return Err((**e).clone());
        }
        Ok(self.trace.array(&self.token, version, &a.layout, a.part, cast))
    }

    /// The order of axes in which an operation on these layouts runs, as NumPy's iterator would: 0 for C order.
    #[inline]
    pub(crate) fn k_perm(&self, layouts: &[&Shared<Layout>], shape: &[usize]) -> PackedPerm {
        if shape.len() < 2 || layouts.iter().all(|l| l.c_ordered) {
            return 0;
        }
        let first = layouts[0];
        if first.ndim() == shape.len() && layouts[1..].iter().all(|l| l.hash == first.hash) {
            return first.own_order(|| k_perm_slow(&layouts[..1], shape));
        }
        k_perm_slow(layouts, shape)
    }

    /// Records the elements of a handle as a new array, broadcast and cast.
    pub(crate) fn copied(&mut self, a: &Array, dtype: DType, full: &Shared<Layout>, perm: PackedPerm) -> Result<Array> {
        if let Some(done) = self.copy_now(a, dtype, full, perm)? {
            return Ok(done);
        }
        let arg = self.arg(a, dtype)?;
        self.record(Op::Copy, dtype, &[arg], full, perm)
    }

    /// Adds a record whose result has the shape of the identity layout `full` and is kept in memory order `perm`.
    #[inline]
    pub(crate) fn record(
        &mut self,
        op: Op,
        dtype: DType,
        args: &[Arg],
        full: &Shared<Layout>,
        perm: PackedPerm,
    ) -> Result<Array> {
        self.counters.recorded += 1;
        if perm == 0 {
            let version = self.trace.push(op, dtype, args, full, 0, full.clone());
            self.after_record()?;
            return Ok(Array::fresh(version, full.clone(), dtype));
        }
        let (layout, kept) = crate::layout::kept_in_order(full, perm);
        let version = self.trace.push(op, dtype, args, full, perm, kept);
        self.after_record()?;
        Ok(Array::fresh(version, layout, dtype))
    }

    /// Writes an array of fitting shape and type through a handle.
    pub(crate) fn write_array(&mut self, to: &Array, from: &Array) -> Result<()> {
        if to.size() == 0 {
            return Ok(());
        }
        // `a[i] += b` writes the view that it has just changed back to its place.
        if Shared::ptr_eq(&to.base, &from.base)
            && to.layout.hash == from.layout.hash
            && (to.part, to.dtype) == (from.part, from.dtype)
        {
            return Ok(());
        }
        // The whole base replaced by another whole value: the version is shared.
        if to.layout.class != Class::Partial
            && to.part == Part::Whole
            && from.part == Part::Whole
            && to.dtype == from.dtype
            && to.layout.hash == from.layout.hash
        {
            let version = from.base.current.get(&self.token).clone();
            let exported = |v: &Version, s: &Session| match v.state.get(&s.token) {
                State::Store(store) => store.is_exported(),
                _ => false,
            };
            let current = to.base.current.get(&self.token);
            if Shared::ptr_eq(current, &version) {
                return Ok(());
            }
            if !exported(&version, self) && !exported(current, self) {
                to.base.current.replace(&mut self.token, version);
                return Ok(());
            }
        }
        if self.write_now(to, from)? {
            return Ok(());
        }
        let arg = self.arg(from, from.dtype)?;
        self.write(to, arg)
    }

    pub(crate) fn write_scalar(&mut self, to: &Array, value: Scalar) -> Result<()> {
        if to.size() == 0 {
            return Ok(());
        }
        if to.size() == 1 && element::poke(self, to, to.layout.offset, value)? {
            return Ok(());
        }
        if self.fill_now(to, value)? {
            return Ok(());
        }
        let arg = self.trace.scalar(value);
        self.write(to, arg)
    }

    /// Gives the base of `to` a new version in which what `to` shows is replaced.
    fn write(&mut self, to: &Array, mut value: Arg) -> Result<()> {
        let exported = self.exported_store(to);
        let layout = &to.layout;
        if layout.class == Class::Partial && !layout.injective {
            return Err(Error::Unsupported("a write through a view whose axes overlap in memory".into()));
        }
        let dtype = match to.part {
            Part::Whole => to.dtype,
            Part::Real | Part::Imag => complex_of(to.dtype),
        };
        value.cast = to.dtype;
        if to.part != Part::Whole {
            let other = if to.part == Part::Real { Part::Imag } else { Part::Real };
            let old = Array { part: other, ..to.clone() };
            let old = self.arg(&old, to.dtype)?;
            let parts = if to.part == Part::Real { [value, old] } else { [old, value] };
            let both = self.record(Op::Map(Ufunc::Complex), dtype, &parts, &layout.full(), 0)?;
            value = self.arg(&both, dtype)?;
        }
        self.counters.recorded += 1;
        let version = if layout.class == Class::Identity {
            self.trace.push(Op::Copy, dtype, &[value], layout, 0, layout.clone())
        } else {
            let whole = Array { part: Part::Whole, dtype, ..to.clone() };
            let base = self.arg(&whole, dtype)?;
            let full = layout.whole();
            self.trace.push(Op::Update, dtype, &[base, value], &full.clone(), 0, full)
        };
        let old = to.base.current.replace(&mut self.token, version);
        drop(old);
        if let Some(store) = exported {
            return self.write_back(to, store);
        }
        self.after_record()
    }

    /// The store that foreign code sees of a handle's base.
    fn exported_store(&self, a: &Array) -> Option<Arc<Store>> {
        match a.base.current.get(&self.token).state.get(&self.token) {
            State::Store(store) if store.is_exported() => Some(store.clone()),
            _ => None,
        }
    }

    /// Computes the new version of an exported base and puts it where foreign code sees it.
    fn write_back(&mut self, a: &Array, store: Arc<Store>) -> Result<()> {
        let version = a.base.current.get(&self.token).clone();
        let new = self.store_of(&version)?;
        // SAFETY: both are stores of this base's size; the new one is complete, and foreign code that looks at the old one
        // meanwhile sees what it would see during NumPy's own write.
        unsafe { store.as_mut_ptr().copy_from(new.as_ptr(), store.bytes().min(new.bytes())) };
        let back = Version::new(State::Store(store), version.full.clone(), version.dtype);
        a.base.current.replace(&mut self.token, back);
        Ok(())
    }
}

pub(crate) fn complex_of(d: DType) -> DType {
    if d == DType::F32 { DType::C64 } else { DType::C128 }
}

#[cold]
fn k_perm_slow(layouts: &[&Shared<Layout>], shape: &[usize]) -> PackedPerm {
    if shape.len() > 16 {
        return 0;
    }
    let strides: smallvec::SmallVec<[Strides; 3]> = layouts
        .iter()
        .map(|l| {
            let lead = shape.len() - l.ndim();
            let mut s = Strides::from_elem(0, shape.len());
            for d in 0..l.ndim() {
                if l.shape()[d] != 1 {
                    s[lead + d] = l.strides[d];
                }
            }
            s
        })
        .collect();
    pack(&crate::layout::k_order(shape.len(), &strides))
}

/// NumPy's checks of a shape given by a program: no negative extents, a size that fits.
pub fn check_shape(shape: &[i64], dtype: DType) -> Result<Shape> {
    let mut bytes = dtype.size();
    let mut out = Shape::new();
    for &n in shape {
        if n < 0 {
            return Err(Error::Value("negative dimensions are not allowed".into()));
        }
        out.push(n as usize);
    }
    if !out.contains(&0) {
        for &n in &out {
            bytes = bytes
                .checked_mul(n)
                .filter(|&b| b <= isize::MAX as usize)
                .ok_or_else(|| Error::Value("Maximum allowed dimension exceeded".into()))?;
        }
    }
    Ok(out)
}
