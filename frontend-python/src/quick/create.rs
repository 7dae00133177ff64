//! New arrays.
//!
//! A boundary file, as `quick.rs`.

use legate_jit_ir::cast::cast;
use legate_jit_ir::{DType, Scalar};
use legate_jit_runtime::{self as rt, Array, Casting, Operand, WeakScalar};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyFloat, PyList, PyTuple};
use pyo3::{ffi, intern};
use smallvec::SmallVec;

use super::args::{Args, Done, NOT_PLAIN, array_of, int, ints};
use super::join::arrays;
use crate::error::{attempt, direct};
use crate::slots::seen;
use crate::{convert, dtypes, value};

/// Rows and columns for which nobody runs out of memory.
const SIDE: i64 = 1 << 15;

fn matrix(py: Python, rows: Option<i64>, columns: Option<i64>, k: Option<i64>, dtype: Option<DType>) -> Done {
    match (rows, columns, k, dtype) {
        (Some(rows @ 0..SIDE), Some(columns @ 0..SIDE), Some(k), Some(dtype)) => {
            value::new_array(py, direct(py, || Array::eye(rows as usize, columns as usize, k, dtype))?).map(Some)
        }
        _ => NOT_PLAIN,
    }
}

/// `np.eye(n)`, `np.eye(n, m)`, `np.eye(n, m, k)`, with `k=` and `dtype=`
pub(super) fn eye(py: Python, args: Args) -> Done {
    if !(1..=3).contains(&args.len()) {
        return NOT_PLAIN;
    }
    let rows = int(&args.get(py, 0));
    let columns = match args.len() {
        2.. if !args.get(py, 1).is_none() => int(&args.get(py, 1)),
        _ => rows,
    };
    let (mut k, mut dtype) = (if args.len() == 3 { int(&args.get(py, 2)) } else { Some(0) }, Some(DType::F64));
    if args.has_names() {
        for (name, value) in args.names(py) {
            match () {
                _ if name.is(intern!(py, "k")) && args.len() < 3 => k = int(&value),
                _ if name.is(intern!(py, "dtype")) => dtype = dtypes::quick(&value),
                _ => return NOT_PLAIN,
            }
        }
    }
    matrix(py, rows, columns, k, dtype)
}

/// `np.identity(n)`, with a type
pub(super) fn identity(py: Python, args: Args) -> Done {
    let dtype = match (args.len(), args.has_names()) {
        (1, false) => Some(DType::F64),
        (2, false) => dtypes::quick(&args.get(py, 1)),
        (1, true) => match args.single_name(py) {
            Some((name, x)) if name.is(intern!(py, "dtype")) => dtypes::quick(&x),
            _ => return NOT_PLAIN,
        },
        _ => return NOT_PLAIN,
    };
    let n = int(&args.get(py, 0));
    matrix(py, n, n, Some(0), dtype)
}

/// `np.diag(v)`, `np.diag(v, k)`: a matrix of a line, the diagonal of a matrix
pub(super) fn diag(py: Python, args: Args) -> Done {
    let k = match (args.len(), args.has_names()) {
        (1, false) => Some(0),
        (2, false) => int(&args.get(py, 1)),
        (1, true) => match args.single_name(py) {
            Some((name, k)) if name.is(intern!(py, "k")) => int(&k),
            _ => None,
        },
        _ => None,
    };
    let (Some(k), true) = (k.filter(|k| k.abs() < SIDE), args.len() > 0) else { return NOT_PLAIN };
    let v = args.get(py, 0);
    let made = match array_of(&v) {
        Some(v) if v.ndim() == 1 => attempt(py, || v.on_diagonal(k))?,
        Some(v) if v.ndim() == 2 => Some(direct(py, || v.diagonal(k, 0, 1))?),
        _ => None,
    };
    made.map(|made| value::new_array(py, made)).transpose()
}

/// A shape of up to three axes, none so long that the size could be out of bounds: so many of `shape`.
#[inline]
fn short_shape(py: Python, x: &Bound<PyAny>, shape: &mut [usize; 3]) -> Option<usize> {
    let extent = |x: &Bound<PyAny>| int(x).filter(|n| (0..1 << 18).contains(n)).map(|n| n as usize);
    if !x.is_exact_instance_of::<PyTuple>() {
        shape[0] = extent(x)?;
        return Some(1);
    }
    // SAFETY: an exact tuple, which holds its items while the caller holds it; `i` is below its length.
    unsafe {
        let n = ffi::PyTuple_Size(x.as_ptr()) as usize;
        for (i, slot) in shape.get_mut(..n)?.iter_mut().enumerate() {
            *slot = extent(&seen(py, ffi::PyTuple_GetItem(x.as_ptr(), i as isize)))?;
        }
        Some(n)
    }
}

/// What fills a new array.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fill {
    Zero,
    One,
    Anything,
}

/// `np.zeros(n)`, `np.zeros((n, m))`, with a type behind it or as `dtype=`
#[inline]
pub(super) fn filled(py: Python, args: Args, fill: Fill) -> Done {
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
    let make = |shape: &[usize]| match fill {
        Fill::Zero => Array::zeros(shape, dtype),
        Fill::One => Array::full(shape, cast(Scalar::bool(true), dtype)),
        Fill::Anything => Array::empty(shape, dtype),
    };
    let mut shape = [0; 3];
    if let Some(ndim) = short_shape(py, &args.get(py, 0), &mut shape) {
        let shape = &shape[..ndim];
        let one = if fill == Fill::One { cast(Scalar::bool(true), dtype) } else { Scalar { dtype, bits: [0; 2] } };
        let few = match fill {
            Fill::Zero | Fill::One => Array::full_of_few(shape, &one),
            Fill::Anything => Array::unset_of_few(shape, dtype),
        };
        if let Some(array) = few {
            return value::new_array(py, array).map(Some);
        }
        return value::new_array(py, direct(py, || make(shape))?).map(Some);
    }
    let Some(shape) = ints(py, args.only_first()) else { return NOT_PLAIN };
    if shape.len() > 16 {
        return NOT_PLAIN;
    }
    let array = direct(py, || make(&rt::check_shape(&shape, dtype)?))?;
    value::new_array(py, array).map(Some)
}

pub(super) fn zeros(py: Python, args: Args) -> Done {
    filled(py, args, Fill::Zero)
}

pub(super) fn empty(py: Python, args: Args) -> Done {
    filled(py, args, Fill::Anything)
}

pub(super) fn ones(py: Python, args: Args) -> Done {
    filled(py, args, Fill::One)
}

/// `np.zeros_like(a)` and the others of few elements
fn like(py: Python, args: Args, fill: Fill) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let a = args.get(py, 0);
    let Some(array) = array_of(&a).filter(|a| a.c_contiguous()) else { return NOT_PLAIN };
    let dtype = array.dtype();
    let one = if fill == Fill::One { cast(Scalar::bool(true), dtype) } else { Scalar { dtype, bits: [0; 2] } };
    let made = match fill {
        Fill::Zero | Fill::One => array.full_like_of_few(&one),
        Fill::Anything => Array::unset_of_few(array.shape(), dtype),
    };
    made.map(|made| value::new_array(py, made)).transpose()
}

pub(super) fn zeros_like(py: Python, args: Args) -> Done {
    like(py, args, Fill::Zero)
}

pub(super) fn empty_like(py: Python, args: Args) -> Done {
    like(py, args, Fill::Anything)
}

pub(super) fn ones_like(py: Python, args: Args) -> Done {
    like(py, args, Fill::One)
}

/// `np.array(x, float)`, `np.array(x, dtype=float)` of a list or tuple of numbers, or of an array; `copy` says that it is not
/// the array itself.
fn typed(py: Python, args: Args, copy: bool) -> Done {
    let dtype = match (args.len(), args.has_names()) {
        (2, false) => args.get(py, 1),
        (1, true) => match args.single_name(py) {
            Some((name, dtype)) if name.is(intern!(py, "dtype")) => dtype,
            _ => return NOT_PLAIN,
        },
        _ => return NOT_PLAIN,
    };
    let Some(dtype) = dtypes::quick(&dtype) else { return NOT_PLAIN };
    let x = args.get(py, 0);
    match array_of(&x) {
        Some(array) if array.dtype() == dtype && !copy => Ok(Some(x.to_owned().unbind())),
        Some(array) => {
            let made = attempt(py, || array.astype(dtype, Casting::Unsafe))?;
            made.map(|made| value::new_array(py, made)).transpose()
        }
        None if dtype == DType::F64 => numbers(py, &x, true),
        None => NOT_PLAIN,
    }
}

pub(super) fn asarray(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return typed(py, args, false);
    }
    let a = args.get(py, 0);
    if value::is_array(&a) {
        return Ok(Some(a.to_owned().unbind()));
    }
    number(py, &a)
}

/// `np.ascontiguousarray(a)`
pub(super) fn ascontiguousarray(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return NOT_PLAIN;
    }
    let a = args.get(py, 0);
    match array_of(&a) {
        Some(array) if array.ndim() == 0 => NOT_PLAIN,
        Some(array) if array.c_contiguous() => Ok(Some(a.to_owned().unbind())),
        Some(array) => value::new_array(py, direct(py, || array.copy(false))?).map(Some),
        None => NOT_PLAIN,
    }
}

/// `np.fromiter(x, dtype)` of a line of elements of this type, or of a list of such numbers
pub(super) fn fromiter(py: Python, args: Args) -> Done {
    if args.len() != 2 || args.has_names() {
        return NOT_PLAIN;
    }
    let Some(dtype) = dtypes::quick(&args.get(py, 1)) else { return NOT_PLAIN };
    let x = args.get(py, 0);
    let plain = |a: &Array| a.ndim() == 1 && a.dtype() == dtype;
    match array_of(&x) {
        Some(array) if plain(array) => value::new_array(py, direct(py, || array.copy(true))?).map(Some),
        Some(_) => NOT_PLAIN,
        None => {
            if x.cast_exact::<PyList>().is_ok() {
                let Some(made) = numbers(py, &x, false)? else { return NOT_PLAIN };
                return Ok(array_of(made.bind(py)).is_some_and(plain).then_some(made));
            }
            from_any(py, &x, dtype)
        }
    }
}

/// What an iterator gives, where that is ints for integers, or ints and floats for floats of 64 bits. As soon as there is something
/// else, NumPy has the rest.
fn from_any(py: Python, x: &Bound<PyAny>, dtype: DType) -> Done {
    if !matches!(dtype, DType::F64 | DType::I64) {
        return NOT_PLAIN;
    }
    let Ok(items) = x.try_iter() else { return NOT_PLAIN };
    let (mut items, mut words) = (items, Vec::new());
    while let Some(item) = items.next() {
        let item = item?;
        let word = match convert::quick(&item) {
            Some(Operand::Weak(WeakScalar::Float(v))) if dtype == DType::F64 => Some(v.to_bits()),
            // (Larger ones may be rounded, and NumPy may refuse them.)
            Some(Operand::Weak(WeakScalar::Int(v))) if v.unsigned_abs() < 1 << 53 => Some(match dtype {
                DType::F64 => (v as f64).to_bits(),
                _ => v as i64 as u64,
            }),
            Some(Operand::Typed(v)) if v.dtype == dtype => Some(v.bits[0]),
            _ => None,
        };
        let Some(word) = word else {
            let before: Vec<Py<PyAny>> = match dtype {
                DType::F64 => words.iter().map(|&w| PyFloat::new(py, f64::from_bits(w)).into_any().unbind()).collect(),
                _ => words
                    .iter()
                    .map(|&w| Ok((w as i64).into_pyobject(py)?.into_any().unbind()))
                    .collect::<PyResult<_>>()?,
            };
            let all = py.import("itertools")?.getattr("chain")?.call1((before, (item,), items))?;
            let rest = PyTuple::new(py, [all, dtypes::descr(py, dtype).bind(py).clone()])?;
            return super::general(py, c"fromiter", &rest, None).map(Some);
        };
        words.push(word);
    }
    value::new_array(py, direct(py, || Array::from_bytes(bytes_of(&words), &[words.len()], dtype))?).map(Some)
}

/// A Python number as an array without axes, or a list as in [`numbers`].
fn number(py: Python, x: &Bound<PyAny>) -> Done {
    let number = match convert::quick(x) {
        Some(Operand::Weak(WeakScalar::Float(v))) => Scalar::f64(v),
        Some(Operand::Weak(WeakScalar::Int(v))) => match i64::try_from(v) {
            Ok(v) => Scalar::i64(v),
            Err(_) => return NOT_PLAIN,
        },
        Some(Operand::Typed(v)) => v,
        _ => match numbers(py, x, false)? {
            Some(made) => return Ok(Some(made)),
            None => return rows(py, x),
        },
    };
    value::new_array(py, direct(py, || Array::scalar(number))?).map(Some)
}

/// A list or tuple of lines of one length as the rows of a matrix.
fn rows(py: Python, x: &Bound<PyAny>) -> Done {
    match arrays(x) {
        Some(rows) if rows.iter().all(|row| row.ndim() == 1 && row.size() == rows[0].size()) => {
            let made = attempt(py, || Array::stack(&rows, 0, None))?;
            made.map(|made| value::new_array(py, made)).transpose()
        }
        _ => NOT_PLAIN,
    }
}

pub(super) fn array(py: Python, args: Args) -> Done {
    if args.len() != 1 || args.has_names() {
        return typed(py, args, true);
    }
    let a = args.get(py, 0);
    match array_of(&a) {
        Some(array) => value::new_array(py, direct(py, || array.copy(true))?).map(Some),
        None => number(py, &a),
    }
}

/// A list or tuple (of lists or tuples, …) of Python numbers of few kinds as an array, of floats where `floats` says so.
pub(super) fn numbers(py: Python, list: &Bound<PyAny>, floats: bool) -> Done {
    let Some(n) = items(list) else { return NOT_PLAIN };
    let mut found = Numbers::default();
    if !found.read(list, n, 0)? {
        return NOT_PLAIN;
    }
    let dtype = match (found.floats, found.ints, found.bools) {
        (true, _, false) => DType::F64,
        (false, true, false) => DType::I64,
        (false, false, true) => DType::Bool,
        _ => return NOT_PLAIN,
    };
    if floats && dtype != DType::F64 {
        // The truth values are integers in the same bits.
        found.values.iter_mut().for_each(|v| *v = v.to_bits() as i64 as f64);
    }
    let dtype = if floats { DType::F64 } else { dtype };
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

/// How many items a list or tuple has.
#[inline]
fn items(x: &Bound<PyAny>) -> Option<usize> {
    if let Ok(list) = x.cast_exact::<PyList>() { Some(list.len()) } else { Some(x.cast_exact::<PyTuple>().ok()?.len()) }
}

pub(super) fn bytes_of<T: Copy>(values: &[T]) -> &[u8] {
    // SAFETY: plain numbers without padding.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), std::mem::size_of_val(values)) }
}

/// What was found in a nested list. Floats are kept as they are, integers and truth values in the same 64 bits until a float
/// turns up.
#[derive(Default)]
pub(super) struct Numbers {
    shape: SmallVec<[usize; 4]>,
    values: Vec<f64>,
    floats: bool,
    ints: bool,
    bools: bool,
}

impl Numbers {
    /// False where NumPy must look at it: other objects, uneven lengths, large integers, mixtures.
    fn read(&mut self, list: &Bound<PyAny>, n: usize, depth: usize) -> PyResult<bool> {
        let is_list = list.is_exact_instance_of::<PyList>();
        if depth == self.shape.len() {
            if !self.values.is_empty() || depth >= 4 || n == 0 {
                return Ok(false);
            }
            self.shape.push(n);
        } else if self.shape[depth] != n {
            return Ok(false);
        }
        let (py, inner) = (list.py(), depth + 1 < self.shape.len());
        for i in 0..n {
            // SAFETY: an exact list or tuple of n items, which holds them, and no Python code runs here that could change it.
            let item = unsafe {
                let (list, i) = (list.as_ptr(), i as isize);
                seen(py, if is_list { ffi::PyList_GetItem(list, i) } else { ffi::PyTuple_GetItem(list, i) })
            };
            if let Some(n) = items(&item) {
                if i > 0 && self.shape.len() == depth + 1 || !self.read(&item, n, depth + 1)? {
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

/// A number that is a float or an int that floats can tell from its neighbours.
pub(super) fn float(x: &Bound<PyAny>) -> Option<f64> {
    match convert::quick(x)? {
        Operand::Weak(rt::WeakScalar::Float(v)) => Some(v),
        Operand::Weak(rt::WeakScalar::Int(v)) if v.abs() < 1 << 53 => Some(v as f64),
        Operand::Typed(s) if s.dtype == DType::F64 => Some(s.as_f64()),
        _ => None,
    }
}

/// `np.linspace(0, 1, n)`, with `num=` and `endpoint=`
pub(super) fn linspace(py: Python, args: Args) -> Done {
    if !(2..=3).contains(&args.len()) {
        return NOT_PLAIN;
    }
    let (Some(start), Some(stop)) = (float(&args.get(py, 0)), float(&args.get(py, 1))) else { return NOT_PLAIN };
    let (mut n, mut endpoint) = (if args.len() == 3 { int(&args.get(py, 2)) } else { Some(50) }, true);
    if args.has_names() {
        for (name, value) in args.names(py) {
            match value.cast_exact::<PyBool>() {
                Ok(is) if name.is(intern!(py, "endpoint")) => endpoint = is.is_true(),
                _ if name.is(intern!(py, "num")) && args.len() == 2 => n = int(&value),
                _ => return NOT_PLAIN,
            }
        }
    }
    let (Some(n), true) = (n.filter(|n| *n >= 0), (stop - start).is_finite()) else { return NOT_PLAIN };
    let array = direct(py, || Array::linspace(start, stop, n as usize, endpoint))?;
    value::new_array(py, array).map(Some)
}
