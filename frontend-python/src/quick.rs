//! Functions and methods in the forms that programs call most, without the reading of arguments that the general ones need.
//!
//! Each entry looks whether a call has the plain form that it knows, and does it then; any other call goes on to the general
//! function of the same name (`functions.rs`, `methods.rs`, `reduce.rs`), which also has all the words for what is wrong.
//!
//! A boundary file, for the same reasons as `slots.rs`: Python calls these functions directly.

use std::ffi::CStr;
use std::marker::PhantomData;

use legate_jit_ir::cast::cast;
use legate_jit_ir::graph::Reducer;
use legate_jit_ir::{DType, Scalar, Ufunc};
use legate_jit_runtime::{self as rt, Array, Casting, Element, HostView, Operand, ReduceArgs};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use pyo3::{Borrowed, PyTypeInfo, ffi, intern};
use smallvec::SmallVec;

use crate::error::{attempt, direct};
use crate::slots::{Object, enter_object, seen};
use crate::value::{self, NdArray};
use crate::{adopt, capi, convert, dtypes, sort};

/// The arguments of a call: those by position, then those by name.
#[derive(Clone, Copy)]
pub struct Args<'a> {
    first: *const Object,
    positional: usize,
    /// A tuple of the names, or null.
    names: Object,
    alive: PhantomData<&'a ()>,
}

impl<'a> Args<'a> {
    /// # Safety
    /// As Python gives them to a function with the flags FASTCALL and KEYWORDS, for as long as the call lasts.
    pub unsafe fn new(first: *const Object, positional: usize, names: Object) -> Args<'a> {
        Args { first, positional, names, alive: PhantomData }
    }

    #[inline(always)]
    pub fn len(&self) -> usize {
        self.positional
    }

    #[inline(always)]
    pub fn has_names(&self) -> bool {
        !self.names.is_null()
    }

    /// The n-th argument, those by name included.
    #[inline(always)]
    pub fn get<'py>(&self, py: Python<'py>, n: usize) -> Borrowed<'a, 'py, PyAny> {
        // SAFETY: callers stay below the number of arguments; the objects live as long as the call.
        unsafe { seen(py, *self.first.add(n)) }
    }

    /// The only argument by name, with its name; `None` if there are others.
    #[inline(always)]
    pub fn single_name<'py>(&self, py: Python<'py>) -> Option<(Borrowed<'a, 'py, PyAny>, Borrowed<'a, 'py, PyAny>)> {
        // SAFETY: the names are a tuple; there are as many arguments behind those by position.
        unsafe {
            if ffi::PyTuple_Size(self.names) != 1 {
                return None;
            }
            Some((seen(py, ffi::PyTuple_GetItem(self.names, 0)), self.get(py, self.positional)))
        }
    }

    /// A tuple and a dict, for the general function.
    pub fn general<'py>(
        &self,
        py: Python<'py>,
        before: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyTuple>, Option<Bound<'py, PyDict>>)> {
        let mut all: Vec<Bound<PyAny>> = before.into_iter().cloned().collect();
        all.extend((0..self.positional).map(|i| self.get(py, i).to_owned()));
        let mut named = None;
        if self.has_names() {
            let dict = PyDict::new(py);
            // SAFETY: a tuple of names, see `single_name`.
            let names = unsafe { seen(py, self.names) };
            for (i, name) in names.cast::<PyTuple>()?.iter().enumerate() {
                dict.set_item(name, self.get(py, self.positional + i))?;
            }
            named = Some(dict);
        }
        Ok((PyTuple::new(py, all)?, named))
    }
}

type Done = PyResult<Option<Py<PyAny>>>;
const NOT_PLAIN: Done = Ok(None);

/// Exact integers: the arguments themselves, or the one tuple among them.
#[inline]
fn ints(py: Python, args: Args) -> Option<SmallVec<[i64; 4]>> {
    let mut all = SmallVec::new();
    if args.len() == 1
        && let Ok(tuple) = args.get(py, 0).cast_exact::<PyTuple>()
    {
        for item in tuple.iter_borrowed() {
            all.push(int(&item)?);
        }
        return Some(all);
    }
    for i in 0..args.len() {
        all.push(int(&args.get(py, i))?);
    }
    Some(all)
}

#[inline]
fn int(x: &Bound<PyAny>) -> Option<i64> {
    if !x.is_exact_instance_of::<PyInt>() {
        return None;
    }
    let mut overflow = 0;
    // SAFETY: an exact int; errors cannot occur for one.
    let v = unsafe { ffi::PyLong_AsLongLongAndOverflow(x.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(v)
}

/// The axis of `a.sum()` (none), `a.sum(0)`, `a.sum(axis=0)`; `None` for other arguments.
#[inline(always)]
fn axis_of(py: Python, args: Args) -> Option<Option<i64>> {
    match (args.len(), args.has_names()) {
        (0, false) => Some(None),
        (0, true) => match args.single_name(py) {
            Some((name, x)) if name.is(intern!(py, "axis")) => int(&x).map(Some),
            _ => None,
        },
        (1, false) => int(&args.get(py, 0)).map(Some),
        _ => None,
    }
}

#[inline]
fn reduction(py: Python, reducer: Reducer, array: &Array, axis: Args) -> Done {
    let Some(axis) = axis_of(py, axis) else { return NOT_PLAIN };
    let mut args = ReduceArgs::default();
    let axes = axis.map(|i| [i]);
    if let Some(axes) = &axes {
        if array.ndim() == 0 {
            return NOT_PLAIN;
        }
        args.axes = Some(axes);
    } else if let Some(Some(number)) = attempt(py, || Ok(rt::reduce_all_now(reducer, array)))? {
        return capi::scalar(py, number).map(Some);
    }
    match attempt(py, || rt::reduce(reducer, array, &args))? {
        Some(a) => value::result(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

macro_rules! reductions {
    ($($method:ident $function:ident = $reducer:expr;)*) => { $(
        fn $method(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
            match value::value(a) {
                Some(v) => reduction(py, $reducer, v.get(), args),
                None => NOT_PLAIN,
            }
        }

        fn $function(py: Python, args: Args) -> Done {
            if args.len() == 0 {
                return NOT_PLAIN;
            }
            match value::value(&args.get(py, 0)) {
                Some(v) => {
                    // SAFETY: the arguments behind the first.
                    let rest = unsafe { Args::new(args.first.add(1), args.positional - 1, args.names) };
                    reduction(py, $reducer, v.get(), rest)
                }
                None => NOT_PLAIN,
            }
        }
    )* };
}
reductions! {
    sum sum_of = Reducer::Ufunc(Ufunc::Add);
    prod prod_of = Reducer::Ufunc(Ufunc::Multiply);
    min min_of = Reducer::Ufunc(Ufunc::Minimum);
    max max_of = Reducer::Ufunc(Ufunc::Maximum);
    any any_of = Reducer::Ufunc(Ufunc::LogicalOr);
    all all_of = Reducer::Ufunc(Ufunc::LogicalAnd);
    argmin argmin_of = Reducer::ArgMin;
    argmax argmax_of = Reducer::ArgMax;
}

/// `a.mean()`, `a.mean(0)`, `a.mean(axis=0)`
fn mean(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), Some(axis)) = (array_of(a), axis_of(py, args)) else { return NOT_PLAIN };
    if array.size() == 0 || array.dtype().is_complex() || axis.is_some() && array.ndim() == 0 {
        return NOT_PLAIN;
    }
    let axes = axis.map(|i| [i]);
    let args = ReduceArgs { axes: axes.as_ref().map(|axes| &axes[..]), ..ReduceArgs::default() };
    match attempt(py, || rt::mean(array, &args))? {
        Some(a) => value::result(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

fn mean_of(py: Python, args: Args) -> Done {
    if args.len() == 0 {
        return NOT_PLAIN;
    }
    // SAFETY: the arguments behind the first.
    let rest = unsafe { Args::new(args.first.add(1), args.positional - 1, args.names) };
    mean(py, &args.get(py, 0), rest)
}

fn argsort(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() => sort::order(py, array),
        _ => NOT_PLAIN,
    }
}

fn argsort_of(py: Python, args: Args) -> Done {
    as_method(py, args, argsort)
}

fn sort_of(py: Python, args: Args) -> Done {
    as_method(py, args, |py, a, args| match array_of(a) {
        Some(array) if args.len() == 0 => sort::sorted(py, array),
        _ => NOT_PLAIN,
    })
}

fn searchsorted(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 1 && !args.has_names() => sort::place(py, array, &args.get(py, 0)),
        _ => NOT_PLAIN,
    }
}

fn searchsorted_of(py: Python, args: Args) -> Done {
    as_method(py, args, searchsorted)
}

fn nonzero(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() && array.ndim() > 0 => {
            let columns = crate::functions::nonzero_columns(py, array)?;
            Ok(Some(PyTuple::new(py, columns)?.into_any().unbind()))
        }
        _ => NOT_PLAIN,
    }
}

fn nonzero_of(py: Python, args: Args) -> Done {
    as_method(py, args, nonzero)
}

/// `np.eye(n)`
fn eye(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    match int(&args.get(py, 0)) {
        Some(n @ 0..1024) => value::new_array(py, direct(py, || Array::eye(n as usize, DType::F64))?).map(Some),
        _ => NOT_PLAIN,
    }
}

/// The array inside an object whose class is `ndarray`.
#[inline(always)]
fn array_of<'a>(a: &'a Bound<PyAny>) -> Option<&'a Array> {
    if value::is_array(a) { value::value(a).map(|v| v.get()) } else { None }
}

fn copy(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() => {
            value::new_array(py, direct(py, || array.copy(false))?).map(Some)
        }
        _ => NOT_PLAIN,
    }
}

fn reshape(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), false) = (array_of(a), args.has_names()) else { return NOT_PLAIN };
    let Some(shape) = ints(py, args) else { return NOT_PLAIN };
    if args.len() == 0 {
        return NOT_PLAIN;
    }
    value::new_array(py, direct(py, || array.reshape(&shape))?).map(Some)
}

fn ravel(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    match array_of(a) {
        Some(array) if args.len() == 0 && !args.has_names() => {
            value::new_array(py, direct(py, || array.ravel())?).map(Some)
        }
        _ => NOT_PLAIN,
    }
}

fn transpose(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), false) = (array_of(a), args.has_names()) else { return NOT_PLAIN };
    if args.len() == 0 {
        return value::new_array(py, array.transposed()).map(Some);
    }
    let Some(axes) = ints(py, args) else { return NOT_PLAIN };
    value::new_array(py, direct(py, || array.transpose(Some(&axes)))?).map(Some)
}

fn astype(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 1, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    let Ok(to) = dtypes::parse(&args.get(py, 0))? else { return NOT_PLAIN };
    match attempt(py, || array.astype(to, Casting::Unsafe))? {
        Some(a) => value::new_array(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

fn dot(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(x), 1, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    let other = args.get(py, 0);
    let Some(y) = array_of(&other) else { return NOT_PLAIN };
    if let Some(Some(number)) = attempt(py, || rt::dot_now(x, y))? {
        return capi::scalar(py, number).map(Some);
    }
    if x.ndim() == 0 || x.ndim() > 2 || y.ndim() == 0 || y.ndim() > 2 {
        return NOT_PLAIN;
    }
    match attempt(py, || rt::dot(x, y))? {
        Some(a) => value::result(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

fn item(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), false) = (array_of(a), args.has_names()) else { return NOT_PLAIN };
    if args.len() == 0 {
        if array.size() != 1 {
            return NOT_PLAIN;
        }
        return convert::to_python(py, adopt::item(py, array)?).map(Some);
    }
    let Some(at) = ints(py, args) else { return NOT_PLAIN };
    if at.len() != array.ndim() {
        return NOT_PLAIN;
    }
    if let Some(number) = array.peek(&at) {
        return convert::to_python(py, number).map(Some);
    }
    let number = match direct(py, || array.get_item(&at))? {
        Element::Value(number) => number,
        Element::Pending(one) => adopt::detached(py, || one.item(0))?,
    };
    convert::to_python(py, number).map(Some)
}

fn tolist(py: Python, a: &Bound<PyAny>, args: Args) -> Done {
    let (Some(array), 0, false) = (array_of(a), args.len(), args.has_names()) else { return NOT_PLAIN };
    if array.ndim() == 0 {
        return NOT_PLAIN;
    }
    let view = match array.host_at_rest() {
        Some(view) => view,
        None => {
            let array = array.clone();
            adopt::detached(py, || array.host())?
        }
    };
    list(py, &view, 0, view.ptr).map(Some)
}

/// The elements from `at` on, over the axes from `axis` on, as nested lists.
fn list(py: Python, view: &HostView, axis: usize, at: *const u8) -> PyResult<Py<PyAny>> {
    let (n, step) = (view.shape[axis], view.strides[axis] as isize);
    let last = axis + 1 == view.shape.len();
    // SAFETY: the list takes a reference for each of its n places, all of which are filled before anybody sees it; the
    // addresses are those of the view's elements, which nobody writes while the view holds them.
    unsafe {
        let made = Bound::from_owned_ptr_or_err(py, ffi::PyList_New(n as isize))?;
        for i in 0..n {
            let p = at.wrapping_offset(i as isize * step);
            let one = match view.dtype {
                _ if !last => list(py, view, axis + 1, p)?.into_ptr(),
                DType::F64 => ffi::PyFloat_FromDouble(p.cast::<f64>().read_unaligned()),
                DType::I64 => ffi::PyLong_FromLongLong(p.cast::<i64>().read_unaligned()),
                d => {
                    let bytes = std::slice::from_raw_parts(p, d.size());
                    convert::to_python(py, Scalar::from_bytes(d, bytes))?.into_ptr()
                }
            };
            if one.is_null() {
                return Err(PyErr::fetch(py));
            }
            ffi::PyList_SetItem(made.as_ptr(), i as isize, one);
        }
        Ok(made.unbind())
    }
}

/// A shape of up to three axes, none so long that the size could be out of bounds.
#[inline]
fn short_shape(py: Python, x: &Bound<PyAny>) -> Option<([usize; 3], usize)> {
    let extent = |x: &Bound<PyAny>| int(x).filter(|n| (0..1 << 18).contains(n)).map(|n| n as usize);
    let mut shape = [0; 3];
    if !x.is_exact_instance_of::<PyTuple>() {
        shape[0] = extent(x)?;
        return Some((shape, 1));
    }
    // SAFETY: an exact tuple, which holds its items while the caller holds it; `i` is below its length.
    unsafe {
        let n = ffi::PyTuple_Size(x.as_ptr()) as usize;
        for (i, slot) in shape.get_mut(..n)?.iter_mut().enumerate() {
            *slot = extent(&seen(py, ffi::PyTuple_GetItem(x.as_ptr(), i as isize)))?;
        }
        Some((shape, n))
    }
}

/// `np.zeros(n)`, `np.zeros((n, m))`, with a type behind it or as `dtype=`
#[inline]
fn filled(py: Python, args: Args, one: bool) -> Done {
    let mut dtype = DType::F64;
    let kind = match (args.len(), args.has_names()) {
        (1, false) => None,
        (2, false) => Some(args.get(py, 1)),
        (1, true) => match args.single_name(py) {
            Some((name, x)) if name.is(intern!(py, "dtype")) => Some(x),
            _ => return NOT_PLAIN,
        },
        _ => return NOT_PLAIN,
    };
    if let Some(kind) = kind {
        match dtypes::quick(&kind) {
            Some(d) => dtype = d,
            None => return NOT_PLAIN,
        }
    }
    let number = if one { cast(Scalar::bool(true), dtype) } else { Scalar { dtype, bits: [0; 2] } };
    if let Some((shape, ndim)) = short_shape(py, &args.get(py, 0)) {
        return value::new_array(py, direct(py, || Array::full(&shape[..ndim], number))?).map(Some);
    }
    // SAFETY: the first argument.
    let shape = unsafe { Args::new(args.first, 1, std::ptr::null_mut()) };
    let Some(shape) = ints(py, shape) else { return NOT_PLAIN };
    if shape.len() > 16 {
        return NOT_PLAIN;
    }
    let array = direct(py, || Array::full(&rt::check_shape(&shape, dtype)?, number))?;
    value::new_array(py, array).map(Some)
}

fn zeros(py: Python, args: Args) -> Done {
    filled(py, args, false)
}

fn ones(py: Python, args: Args) -> Done {
    filled(py, args, true)
}

fn asarray(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let a = args.get(py, 0);
    if value::is_array(&a) {
        return Ok(Some(a.to_owned().unbind()));
    }
    numbers(py, &a)
}

fn array(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let a = args.get(py, 0);
    match array_of(&a) {
        Some(array) => value::new_array(py, direct(py, || array.copy(true))?).map(Some),
        None => numbers(py, &a),
    }
}

/// A list (of lists, …) of Python numbers of few kinds as an array.
fn numbers(py: Python, list: &Bound<PyAny>) -> Done {
    let Ok(outer) = list.cast_exact::<PyList>() else { return NOT_PLAIN };
    let mut found = Numbers::default();
    if !found.read(outer, 0)? {
        return NOT_PLAIN;
    }
    let dtype = match (found.floats, found.ints, found.bools) {
        (true, _, false) => DType::F64,
        (false, true, false) => DType::I64,
        (false, false, true) => DType::Bool,
        _ => return NOT_PLAIN,
    };
    let array = direct(py, || match dtype {
        DType::F64 => Array::from_bytes(bytes_of(&found.values), &found.shape, dtype),
        DType::I64 => {
            let ints: Vec<i64> = found.values.iter().map(|v| v.to_bits() as i64).collect();
            Array::from_bytes(bytes_of(&ints), &found.shape, dtype)
        }
        _ => {
            let bools: Vec<u8> = found.values.iter().map(|v| v.to_bits() as u8).collect();
            Array::from_bytes(&bools, &found.shape, dtype)
        }
    })?;
    value::new_array(py, array).map(Some)
}

fn bytes_of<T: Copy>(values: &[T]) -> &[u8] {
    // SAFETY: plain numbers without padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), std::mem::size_of_val(values)) }
}

/// What was found in a nested list. Floats are kept as they are, integers and truth values in the same 64 bits until a float
/// turns up.
#[derive(Default)]
struct Numbers {
    shape: SmallVec<[usize; 4]>,
    values: Vec<f64>,
    floats: bool,
    ints: bool,
    bools: bool,
}

impl Numbers {
    /// False where NumPy must look at it: other objects, uneven lengths, large integers, mixtures.
    fn read(&mut self, list: &Bound<PyList>, depth: usize) -> PyResult<bool> {
        let n = list.len();
        if depth == self.shape.len() {
            if !self.values.is_empty() || depth >= 4 || n == 0 {
                return Ok(false);
            }
            self.shape.push(n);
        } else if self.shape[depth] != n {
            return Ok(false);
        }
        let inner = depth + 1 < self.shape.len();
        for i in 0..n {
            // SAFETY: the list holds its items, and no Python code runs here that could change it.
            let item = unsafe { seen(list.py(), ffi::PyList_GetItem(list.as_ptr(), i as isize)) };
            if let Ok(below) = item.cast_exact::<PyList>() {
                if i > 0 && self.shape.len() == depth + 1 || !self.read(&below, depth + 1)? {
                    return Ok(false);
                }
            } else if inner || self.shape.len() > depth + 1 || !self.number(&item) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn number(&mut self, x: &Bound<PyAny>) -> bool {
        if x.is_exact_instance_of::<PyFloat>() {
            if self.ints && !self.floats {
                // NumPy makes floats of the integers before.
                self.values.iter_mut().for_each(|v| *v = v.to_bits() as i64 as f64);
            }
            self.floats = true;
            // SAFETY: an exact float.
            self.values.push(unsafe { ffi::PyFloat_AsDouble(x.as_ptr()) });
        } else if let Some(v) = int(x) {
            self.ints = true;
            self.values.push(if self.floats { v as f64 } else { f64::from_bits(v as u64) });
        } else if let Ok(b) = x.cast_exact::<PyBool>() {
            self.bools = true;
            self.values.push(f64::from_bits(b.is_true() as u64));
        } else {
            return false;
        }
        !(self.bools && (self.floats || self.ints))
    }
}

/// `np.concatenate((a, b))` of arrays of ours.
fn concatenate(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let Some(parts) = arrays(&args.get(py, 0)) else { return NOT_PLAIN };
    match attempt(py, || Array::concatenate(&parts, 0, None))? {
        Some(a) => value::new_array(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

/// The function that is a method of its first argument, an array.
#[inline]
fn as_method(py: Python, args: Args, method: fn(Python, &Bound<PyAny>, Args) -> Done) -> Done {
    if args.len() == 0 || args.has_names() || array_of(&args.get(py, 0)).is_none() {
        return NOT_PLAIN;
    }
    // SAFETY: the arguments behind the first.
    let rest = unsafe { Args::new(args.first.add(1), args.positional - 1, std::ptr::null_mut()) };
    method(py, &args.get(py, 0), rest)
}

fn transpose_of(py: Python, args: Args) -> Done {
    as_method(py, args, transpose)
}

fn reshape_of(py: Python, args: Args) -> Done {
    if args.len() == 2 { as_method(py, args, reshape) } else { NOT_PLAIN }
}

fn ravel_of(py: Python, args: Args) -> Done {
    as_method(py, args, ravel)
}

fn dot_of(py: Python, args: Args) -> Done {
    as_method(py, args, dot)
}

/// `np.take(a, i)`, `np.take(a, i, 0)`
fn take_of(py: Python, args: Args) -> Done {
    if args.has_names() || !(2..=3).contains(&args.len()) {
        return NOT_PLAIN;
    }
    let (first, second) = (args.get(py, 0), args.get(py, 1));
    let (Some(a), Some(index)) = (array_of(&first), array_of(&second)) else { return NOT_PLAIN };
    let axis_is_first = if args.len() == 3 { int(&args.get(py, 2)) == Some(0) } else { a.ndim() == 1 };
    if !axis_is_first || a.ndim() == 0 || a.size() == 0 || index.ndim() == 0 || index.dtype() != DType::I64 {
        return NOT_PLAIN;
    }
    match attempt(py, || a.take_at(&[rt::IndexPart::Array(index)]))? {
        Some(a) => value::new_array(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

/// The arrays of ours in a tuple or list that holds nothing else.
fn arrays(all: &Bound<PyAny>) -> Option<SmallVec<[Array; 4]>> {
    let mut parts: SmallVec<[Array; 4]> = SmallVec::new();
    let mut add = |x: &Bound<PyAny>| array_of(x).map(|a| parts.push(a.clone())).is_some();
    let ours = if let Ok(tuple) = all.cast_exact::<PyTuple>() {
        tuple.iter_borrowed().all(|x| add(&x))
    } else if let Ok(list) = all.cast_exact::<PyList>() {
        list.iter().all(|x| add(&x))
    } else {
        false
    };
    (ours && !parts.is_empty()).then_some(parts)
}

/// `np.stack((a, b))`, `np.vstack`, `np.hstack` of arrays of one shape.
fn joined(py: Python, args: Args, join: fn(&[Array]) -> Result<Array, rt::Error>) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let Some(parts) = arrays(&args.get(py, 0)) else { return NOT_PLAIN };
    if parts.iter().any(|p| p.shape() != parts[0].shape() || p.ndim() == 0) {
        return NOT_PLAIN;
    }
    match attempt(py, || join(&parts))? {
        Some(a) => value::new_array(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

fn stack_of(py: Python, args: Args) -> Done {
    joined(py, args, |parts| Array::stack(parts, 0, None))
}

fn vstack_of(py: Python, args: Args) -> Done {
    joined(py, args, |p| if p[0].ndim() == 1 { Array::stack(p, 0, None) } else { Array::concatenate(p, 0, None) })
}

fn hstack_of(py: Python, args: Args) -> Done {
    joined(py, args, |parts| Array::concatenate(parts, (parts[0].ndim() > 1) as i64, None))
}

/// `np.count_nonzero(a)` of truth values.
fn count_nonzero_of(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let first = args.get(py, 0);
    match array_of(&first) {
        Some(a) if a.ndim() > 0 && a.dtype() == DType::Bool => {
            let n = adopt::detached(py, || rt::count_nonzero(a))?;
            Ok(Some(n.into_pyobject(py)?.into_any().unbind()))
        }
        _ => NOT_PLAIN,
    }
}

/// A number that is a float or an int that floats can tell from its neighbours.
fn float(x: &Bound<PyAny>) -> Option<f64> {
    match convert::quick(x)? {
        Operand::Weak(rt::WeakScalar::Float(v)) => Some(v),
        Operand::Weak(rt::WeakScalar::Int(v)) if v.abs() < 1 << 53 => Some(v as f64),
        Operand::Typed(s) if s.dtype == DType::F64 => Some(s.as_f64()),
        _ => None,
    }
}

/// `np.linspace(0, 1, n)`
fn linspace(py: Python, args: Args) -> Done {
    if !(2..=3).contains(&args.len()) || args.has_names() {
        return NOT_PLAIN;
    }
    let (Some(start), Some(stop)) = (float(&args.get(py, 0)), float(&args.get(py, 1))) else { return NOT_PLAIN };
    let n = if args.len() == 3 { int(&args.get(py, 2)) } else { Some(50) };
    let (Some(n), true) = (n.filter(|n| *n >= 0), (stop - start).is_finite()) else { return NOT_PLAIN };
    let array = direct(py, || Array::linspace(start, stop, n as usize, true))?;
    value::new_array(py, array).map(Some)
}

fn where_(py: Python, args: Args) -> Done {
    if args.len() != 3 || args.has_names() {
        return NOT_PLAIN;
    }
    let (c, x, y) = (args.get(py, 0), args.get(py, 1), args.get(py, 2));
    let Some(mask) = array_of(&c) else { return NOT_PLAIN };
    let (Some(x), Some(y)) = (convert::quick(&x), convert::quick(&y)) else { return NOT_PLAIN };
    if mask.dtype() != DType::Bool || mask.ndim() == 0 {
        return NOT_PLAIN;
    }
    match attempt(py, || rt::where_(mask, x, y))? {
        Some(a) => value::new_array(py, a).map(Some),
        None => NOT_PLAIN,
    }
}

/// NumPy's own ufunc, called with an array of ours: `s * a` with a scalar of NumPy's on the left.
fn array_ufunc(py: Python, _: &Bound<PyAny>, args: Args) -> Done {
    if args.has_names() || !(3..=4).contains(&args.len()) || !args.get(py, 1).eq(intern!(py, "__call__"))? {
        return NOT_PLAIN;
    }
    let Some(op) = crate::ufunc::of_numpy(&args.get(py, 0))? else { return NOT_PLAIN };
    // SAFETY: the arguments behind the first two.
    let operands = unsafe { Args::new(args.first.add(2), args.positional - 2, std::ptr::null_mut()) };
    ufunc(py, op, operands)
}

fn of_one(py: Python, op: Ufunc, args: Args) -> Done {
    let x = args.get(py, 0);
    let Some(x) = convert::quick(&x) else { return NOT_PLAIN };
    crate::ufunc::plain(py, op, &[x])
}

/// A call of a ufunc with one or two operands, perhaps with `out=`.
#[inline]
pub fn ufunc(py: Python, op: Ufunc, args: Args) -> Done {
    if args.len() != op.nin() {
        return NOT_PLAIN;
    }
    if !args.has_names() {
        return match op.nin() {
            1 => of_one(py, op, args),
            2 => {
                let (x, y) = (args.get(py, 0), args.get(py, 1));
                match (convert::quick(&x), convert::quick(&y)) {
                    (Some(x), Some(y)) => crate::ufunc::plain(py, op, &[x, y]),
                    _ => NOT_PLAIN,
                }
            }
            _ => NOT_PLAIN,
        };
    }
    let Some((name, target)) = args.single_name(py) else { return NOT_PLAIN };
    let (true, Some(out)) = (name.is(intern!(py, "out")), array_of(&target)) else { return NOT_PLAIN };
    let with_out = rt::UfuncArgs { out: Some(out), ..rt::UfuncArgs::default() };
    let first = args.get(py, 0);
    let Some(x) = convert::quick(&first) else { return NOT_PLAIN };
    let into = |operands: &[Operand]| {
        attempt(py, || Ok(rt::into_now(op, operands, out)? || rt::ufunc(op, operands, &with_out).map(|_| true)?))
    };
    let done = if op.nin() == 1 {
        into(&[x])?
    } else {
        let second = args.get(py, 1);
        let Some(y) = convert::quick(&second) else { return NOT_PLAIN };
        into(&[x, y])?
    };
    Ok(done.map(|_| target.to_owned().unbind()))
}

macro_rules! entries {
    (
        methods { $($method:ident $method_name:literal = $m:path;)* }
        functions { $($function:ident $name:literal = $f:path;)* }
        in_python { $($later:ident $later_name:literal $words:literal = $l:path;)* }
    ) => {
        mod c {
            use super::*;

            $(
                pub unsafe extern "C" fn $method(a: Object, args: *const Object, n: isize, names: Object) -> Object {
                    // SAFETY: Python calls this as a method of `ndarray` with the flags given below.
                    enter_object(|py| unsafe {
                        let (a, args) = (seen(py, a), Args::new(args, n as usize, names));
                        match $m(py, &a, args)? {
                            Some(done) => Ok(done),
                            None => general_method(py, $method_name, &a, args),
                        }
                    })
                }
            )*
            $(
                pub unsafe extern "C" fn $function(_: Object, args: *const Object, n: isize, names: Object) -> Object {
                    // SAFETY: Python calls this with the flags given below.
                    enter_object(|py| unsafe {
                        let args = Args::new(args, n as usize, names);
                        match $f(py, args)? {
                            Some(done) => Ok(done),
                            None => general_function(py, $name, args),
                        }
                    })
                }
            )*
            $(
                pub unsafe extern "C" fn $later(_: Object, args: *const Object, n: isize, names: Object) -> Object {
                    // SAFETY: Python calls this with the flags given below.
                    enter_object(|py| unsafe {
                        let args = Args::new(args, n as usize, names);
                        match $l(py, args)? {
                            Some(done) => Ok(done),
                            None => general_function(py, $later_name, args),
                        }
                    })
                }
            )*
        }

        /// With their arguments in words.
        fn in_python() -> Vec<(ffi::PyMethodDef, &'static str)> {
            vec![$((entry($later_name, c::$later), $words)),*]
        }

        /// The methods of `ndarray`, for its class.
        pub fn methods() -> Vec<ffi::PyMethodDef> {
            vec![$(entry($method_name, c::$method)),*]
        }

        /// The method by which NumPy's own ufuncs come here, for the class of scalars.
        pub fn protocol() -> ffi::PyMethodDef {
            entry(c"__array_ufunc__", c::m_array_ufunc)
        }

        fn functions() -> Vec<ffi::PyMethodDef> {
            vec![$(entry($name, c::$function)),*]
        }
    };
}
entries! {
    methods {
    m_sum c"sum" = sum;
    m_prod c"prod" = prod;
    m_min c"min" = min;
    m_max c"max" = max;
    m_any c"any" = any;
    m_all c"all" = all;
    m_argmin c"argmin" = argmin;
    m_argmax c"argmax" = argmax;
    m_mean c"mean" = mean;
    m_copy c"copy" = copy;
    m_reshape c"reshape" = reshape;
    m_ravel c"ravel" = ravel;
    m_transpose c"transpose" = transpose;
    m_astype c"astype" = astype;
    m_dot c"dot" = dot;
    m_item c"item" = item;
    m_tolist c"tolist" = tolist;
    m_argsort c"argsort" = argsort;
    m_searchsorted c"searchsorted" = searchsorted;
    m_nonzero c"nonzero" = nonzero;
    m_array_ufunc c"__array_ufunc__" = array_ufunc;
    }
    functions {
    f_sum c"sum" = sum_of;
    f_prod c"prod" = prod_of;
    f_min c"min" = min_of;
    f_max c"max" = max_of;
    f_any c"any" = any_of;
    f_all c"all" = all_of;
    f_argmin c"argmin" = argmin_of;
    f_argmax c"argmax" = argmax_of;
    f_zeros c"zeros" = zeros;
    f_empty c"empty" = zeros;
    f_ones c"ones" = ones;
    f_asarray c"asarray" = asarray;
    f_array c"array" = array;
    f_where c"where" = where_;
    f_concatenate c"concatenate" = concatenate;
    }
    in_python {
    p_transpose c"transpose" "(a, axes=None)" = transpose_of;
    p_reshape c"reshape" "(a, /, shape, order='C', *, copy=None)" = reshape_of;
    p_ravel c"ravel" "(a, order='C')" = ravel_of;
    p_dot c"dot" "(a, b, out=None)" = dot_of;
    p_take c"take" "(a, indices, axis=None, out=None, mode='raise')" = take_of;
    p_stack c"stack" "(arrays, axis=0, out=None, *, dtype=None, casting='same_kind')" = stack_of;
    p_vstack c"vstack" "(tup, *, dtype=None, casting='same_kind')" = vstack_of;
    p_hstack c"hstack" "(tup, *, dtype=None, casting='same_kind')" = hstack_of;
    p_mean c"mean" "(a, axis=None, dtype=None, out=None, keepdims=None, *, where=None)" = mean_of;
    p_sort c"sort" "(a, axis=-1, kind=None, order=None, *, stable=None)" = sort_of;
    p_argsort c"argsort" "(a, axis=-1, kind=None, order=None, *, stable=None)" = argsort_of;
    p_searchsorted c"searchsorted" "(a, v, side='left', sorter=None)" = searchsorted_of;
    p_nonzero c"nonzero" "(a)" = nonzero_of;
    p_eye c"eye" "(N, M=None, k=0, dtype=float, order='C', *, device=None, like=None)" = eye;
    p_count_nonzero c"count_nonzero" "(a, axis=None, *, keepdims=False)" = count_nonzero_of;
    p_linspace c"linspace" "(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None)" = linspace;
    }
}

fn entry(name: &'static CStr, function: ffi::PyCFunctionFastWithKeywords) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: function },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: std::ptr::null(),
    }
}

#[cold]
fn general_method(py: Python, name: &CStr, a: &Bound<PyAny>, args: Args) -> PyResult<Py<PyAny>> {
    let (args, named) = args.general(py, Some(a))?;
    let method = NdArray::type_object(py).getattr(name.to_str().expect("a word"))?;
    Ok(method.call(args, named.as_ref())?.unbind())
}

/// The general functions by name.
static GENERAL: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

#[cold]
fn general_function(py: Python, name: &CStr, args: Args) -> PyResult<Py<PyAny>> {
    let (args, named) = args.general(py, None)?;
    let all = GENERAL.get(py).expect("set at import").bind(py);
    let function = all.get_item(name.to_str().expect("a word"))?.expect("every function has its general form");
    Ok(function.call(args, named.as_ref())?.unbind())
}

/// A function of Python's for an entry of a table.
fn builtin<'py>(py: Python<'py>, def: &'static mut ffi::PyMethodDef) -> PyResult<Bound<'py, PyAny>> {
    let module = PyString::new(py, "legate_jit.numpy");
    // SAFETY: the table's own strings and functions; Python keeps the pointer to the entry, which lives for good.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyCFunction_NewEx(def, std::ptr::null_mut(), module.as_ptr())) }
}

/// What `help` and `inspect` show.
fn describe(def: &mut ffi::PyMethodDef, name: &str, signature: &str, rest: &str) {
    let doc = std::ffi::CString::new(format!("{name}{signature}\n--\n\n{rest}")).expect("no zero in it");
    def.ml_doc = Box::leak(doc.into_boxed_c_str()).as_ptr();
}

/// Puts the functions in front of the general ones of the module.
pub fn init(m: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = m.py();
    let general = PyDict::new(py);
    let table: &'static mut [ffi::PyMethodDef] = functions().leak();
    for def in table {
        // SAFETY: the table's own strings.
        let name = unsafe { CStr::from_ptr(def.ml_name) }.to_str().expect("a word");
        let known = m.getattr(name)?;
        general.set_item(name, &known)?;
        if let Ok(words) = known.getattr("__text_signature__")
            && let Ok(words) = words.extract::<String>()
        {
            describe(def, name, &words, &known.getattr("__doc__")?.extract::<String>().unwrap_or_default());
        }
        m.add(name, builtin(py, def)?)?;
    }
    let _ = GENERAL.set(py, general.unbind());
    Ok(())
}

/// The functions that have a plain form here in front of their general ones, which are written in Python: by name.
#[pyfunction]
pub fn in_front<'py>(general: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyDict>> {
    let py = general.py();
    let (all, made) = (GENERAL.get(py).expect("set at import").bind(py), PyDict::new(py));
    let table: &'static mut [(ffi::PyMethodDef, &str)] = in_python().leak();
    for (def, words) in table {
        // SAFETY: the table's own strings.
        let name = unsafe { CStr::from_ptr(def.ml_name) }.to_str().expect("a word");
        let Some(function) = general.get_item(name)? else { continue };
        let rest = function.getattr("__doc__")?.extract::<String>().unwrap_or_default();
        describe(def, name, words, &rest);
        all.set_item(name, function)?;
        made.set_item(name, builtin(py, def)?)?;
    }
    Ok(made)
}
