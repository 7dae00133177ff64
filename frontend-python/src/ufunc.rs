//! The ufunc objects: `np.add` and its kin.

use legate_jit_ir::graph::Reducer;
use legate_jit_ir::{DType, Ufunc};
use legate_jit_runtime::{self as rt, Array, Casting, Operand, UfuncArgs};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};
use pyo3::{Bound, Py, PyAny, PyResult, Python};
use smallvec::SmallVec;

use crate::convert::{self, Arg};
use crate::error::{attempt, guarded, supported};
use crate::quick::{self, Args};
use crate::reduce::{self, Options};
use crate::value;
use crate::{dtypes, fallback, operators, picked, slots};

/// What a call computes.
#[derive(Clone, Copy)]
enum Kind {
    One(Ufunc),
    /// Two results: `divmod`, `modf`, `frexp`.
    Two(Ufunc, Ufunc),
    Matmul,
}

// The class of the objects themselves derives from it (`slots.rs`), so that calls come without a tuple of arguments. No
// words of documentation here: each object has its own.
#[pyclass(frozen, subclass, name = "ufunc", module = "legate_jit")]
pub struct UfuncObject {
    name: &'static str,
    kind: Kind,
    nin: usize,
    /// NumPy's object, which knows the rest.
    real: Py<PyAny>,
}

/// Names that NumPy gives to the same operation.
const ALIASES: &[(&str, &str)] = &[
    ("abs", "absolute"),
    ("acos", "arccos"),
    ("acosh", "arccosh"),
    ("asin", "arcsin"),
    ("asinh", "arcsinh"),
    ("atan", "arctan"),
    ("atan2", "arctan2"),
    ("atanh", "arctanh"),
    ("bitwise_invert", "invert"),
    ("bitwise_left_shift", "left_shift"),
    ("bitwise_not", "invert"),
    ("bitwise_right_shift", "right_shift"),
    ("conj", "conjugate"),
    ("degrees", "rad2deg"),
    ("mod", "remainder"),
    ("pow", "power"),
    ("radians", "deg2rad"),
    ("true_divide", "divide"),
];

static ALL: PyOnceLock<Py<PyDict>> = PyOnceLock::new();

/// All ufunc objects by name.
#[pyfunction]
pub fn ufuncs(py: Python<'_>) -> PyResult<Py<PyDict>> {
    ALL.get_or_try_init(py, || make(py)).map(|d| d.clone_ref(py))
}

fn make(py: Python<'_>) -> PyResult<Py<PyDict>> {
    let numpy = py.import("numpy")?;
    let class = numpy.getattr("ufunc")?;
    let all = PyDict::new(py);
    let add = |name: &'static str, kind: Kind, nin: usize| -> PyResult<()> {
        // Operations that NumPy has not under this name (`real`, the halves of `modf`) are no ufuncs.
        if let Some(real) = numpy.getattr_opt(name)?.filter(|f| f.is_instance(&class).unwrap_or(false)) {
            all.set_item(name, slots::ufunc(py, UfuncObject { name, kind, nin, real: real.unbind() })?)?;
        }
        Ok(())
    };
    for &op in Ufunc::ALL {
        add(op.name(), Kind::One(op), op.nin())?;
    }
    add("divmod", Kind::Two(Ufunc::FloorDivide, Ufunc::Remainder), 2)?;
    add("modf", Kind::Two(Ufunc::ModfFraction, Ufunc::ModfInteger), 1)?;
    add("frexp", Kind::Two(Ufunc::FrexpMantissa, Ufunc::FrexpExponent), 1)?;
    add("matmul", Kind::Matmul, 2)?;
    for &(alias, name) in ALIASES {
        let (Some(f), Some(real)) = (all.get_item(name)?, numpy.getattr_opt(alias)?) else { continue };
        let known = f.cast::<UfuncObject>()?.get();
        if real.is(known.real.bind(py)) {
            all.set_item(alias, f)?;
        } else {
            // The same operation, but an object of its own (`degrees` beside `rad2deg`).
            let (kind, nin) = (known.kind, known.nin);
            all.set_item(alias, slots::ufunc(py, UfuncObject { name: alias, kind, nin, real: real.unbind() })?)?;
        }
    }
    Ok(all.unbind())
}

/// The operation of a ufunc object of NumPy's own.
pub fn of_numpy(ufunc: &Bound<PyAny>) -> PyResult<Option<Ufunc>> {
    /// By the objects' addresses, in order; our own objects keep them alive.
    static OF_NUMPY: PyOnceLock<Vec<(usize, Ufunc)>> = PyOnceLock::new();
    let py = ufunc.py();
    let all = OF_NUMPY.get_or_try_init(py, || {
        let mut all = Vec::new();
        for ours in ufuncs(py)?.bind(py).values() {
            let ours = ours.cast::<UfuncObject>()?.get();
            if let Kind::One(op) = ours.kind {
                all.push((ours.real.as_ptr() as usize, op));
            }
        }
        all.sort_unstable_by_key(|known| known.0);
        PyResult::Ok(all)
    })?;
    Ok(all.binary_search_by_key(&(ufunc.as_ptr() as usize), |known| known.0).ok().map(|i| all[i].1))
}

/// The result of an operation on operands as they are; `None` where more has to be looked at.
#[inline]
pub fn plain(py: Python<'_>, op: Ufunc, operands: &[Operand]) -> PyResult<Option<Py<PyAny>>> {
    if operands.iter().all(operators::is_number)
        && let Some(number) = operators::known(py, op, operands)?
    {
        return Ok(Some(number));
    }
    match attempt(py, || rt::ufunc(op, operands, &UfuncArgs::default()))? {
        Some(array) => value::result(py, array).map(Some),
        None => Ok(None),
    }
}

impl UfuncObject {
    /// A call as Python hands it over.
    #[inline]
    pub fn call(&self, py: Python<'_>, args: Args) -> PyResult<Py<PyAny>> {
        let done = match self.kind {
            Kind::One(op) => quick::ufunc(py, op, args)?,
            Kind::Matmul => quick::matmul(py, args)?,
            Kind::Two(..) => None,
        };
        if let Some(done) = done {
            return Ok(done);
        }
        let (args, named) = args.general(py, None)?;
        self.call_generally(&args, named.as_ref())
    }

    fn numpy(
        &self,
        py: Python<'_>,
        method: Option<&str>,
        args: &Bound<PyTuple>,
        kwargs: Option<&Bound<PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let real = self.real.bind(py);
        match method {
            None => fallback::run(py, self.name, real, args, kwargs),
            Some(m) => fallback::run(py, &format!("{}.{m}", self.name), &real.getattr(m)?, args, kwargs),
        }
    }

    /// A call whose arguments are plain operands.
    #[inline]
    fn record(&self, py: Python<'_>, operands: &[Operand]) -> PyResult<Option<Py<PyAny>>> {
        match self.kind {
            Kind::One(op) => plain(py, op, operands),
            Kind::Two(first, second) => {
                let both = supported(py, || {
                    Ok((
                        rt::ufunc(first, operands, &UfuncArgs::default())?,
                        rt::ufunc(second, operands, &UfuncArgs::default())?,
                    ))
                })?;
                let Some((a, b)) = both else { return Ok(None) };
                let pair = PyTuple::new(py, [value::result(py, a)?, value::result(py, b)?])?;
                Ok(Some(pair.into_any().unbind()))
            }
            Kind::Matmul => match operands {
                [Operand::Array(a), Operand::Array(b)] => {
                    let array = supported(py, || rt::matmul(a, b, None))?;
                    array.map(|a| value::result(py, a)).transpose()
                }
                _ => Ok(None),
            },
        }
    }

    /// A call with `out=`, `where=`, `dtype=` or `casting=`; `None` where NumPy must do it.
    fn record_with(
        &self,
        py: Python<'_>,
        operands: &[Operand],
        extra: &[Bound<PyAny>],
        kwargs: Option<&Bound<PyDict>>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let Kind::One(op) = self.kind else { return Ok(None) };
        let mut out: Option<Bound<PyAny>> = extra.first().filter(|o| !o.is_none()).cloned();
        let mut mask: Option<Bound<PyAny>> = None;
        let mut dtype: Option<DType> = None;
        let mut casting = None;
        for (key, x) in kwargs.into_iter().flat_map(|k| k.iter()) {
            match key.cast::<PyString>()?.to_cow()?.as_ref() {
                "out" => {
                    let single = match x.cast::<PyTuple>() {
                        Ok(t) if t.len() == 1 => t.get_item(0)?,
                        Ok(_) => return Ok(None),
                        Err(_) => x,
                    };
                    if out.is_some() && !single.is_none() {
                        return Err(PyTypeError::new_err(
                            "cannot specify 'out' as both a positional and keyword argument",
                        ));
                    }
                    out = Some(single).filter(|o| !o.is_none()).or(out);
                }
                "where" => {
                    if !x.is(PyBool::new(py, true)) {
                        mask = Some(x);
                    }
                }
                "dtype" => {
                    if !x.is_none() {
                        match dtypes::parse(&x)? {
                            Ok(d) => dtype = Some(d),
                            Err(_) => return Ok(None),
                        }
                    }
                }
                "casting" => match x.extract::<&str>().ok().and_then(Casting::parse) {
                    Some(c) => casting = Some(c),
                    None => return Ok(None),
                },
                "order" if x.extract::<&str>().is_ok_and(|o| o == "K") => {}
                "subok" => {}
                _ => return Ok(None),
            }
        }
        let target = match &out {
            None => None,
            Some(o) if value::is_array(o) => value::value(o).map(|v| v.get()),
            Some(_) => return Ok(None),
        };
        let made;
        let mask = match &mask {
            None => None,
            Some(m) => {
                made = convert::operand(m)?;
                match made.operand() {
                    Some(Operand::Array(a)) => Some(a),
                    _ => return Ok(None),
                }
            }
        };
        let args = UfuncArgs { out: target, where_: mask, dtype, casting };
        let Some(array) = supported(py, || rt::ufunc(op, operands, &args))? else { return Ok(None) };
        match out {
            Some(o) => Ok(Some(o.unbind())),
            None => value::result(py, array).map(Some),
        }
    }
}

#[pymethods]
impl UfuncObject {
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__(
        slf: &Bound<'_, Self>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        slf.get().call_generally(args, kwargs)
    }

    /// `ufunc.reduce`; without `axis` along the first.
    #[pyo3(signature = (*args, **kwargs))]
    fn reduce(
        slf: &Bound<'_, Self>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let me = slf.get();
        if let (Kind::One(op), Some(array)) = (me.kind, args.get_borrowed_item(0).ok().and_then(own)) {
            let names = ["axis", "dtype", "out", "keepdims", "initial", "where"];
            if let Some(given) = arguments(&names, args, kwargs)? {
                let first = 0i64.into_pyobject(py)?.into_any();
                let [axis, dtype, out, keepdims, initial, r#where] = [0, 1, 2, 3, 4, 5].map(|i| given[i].as_ref());
                let axis = axis.or(Some(&first));
                let options = Options { axis, dtype, out, keepdims, initial, r#where };
                // NumPy's own checks for a ufunc that cannot be reduced, an initial value of None and the like.
                let plain = op.nin() == 2 && reducible(op) && !given[4].as_ref().is_some_and(|i| i.is_none());
                if plain && let Some(done) = reduce::record(py, Reducer::Ufunc(op), &array, &options)? {
                    return Ok(done);
                }
            }
        }
        me.numpy(py, Some("reduce"), args, kwargs)
    }

    /// `ufunc.accumulate`
    #[pyo3(signature = (*args, **kwargs))]
    fn accumulate(
        slf: &Bound<'_, Self>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let me = slf.get();
        if let (Kind::One(op), Some(array)) = (me.kind, args.get_borrowed_item(0).ok().and_then(own))
            && let Some(given) = arguments(&["axis", "dtype", "out"], args, kwargs)?
        {
            let axis = match &given[0] {
                Some(a) => crate::methods::index_arg(a)?,
                None => 0,
            };
            let dtype = given[1].as_ref().filter(|d| !d.is_none()).map(dtypes::parse).transpose()?;
            let plain = given[2].as_ref().is_none_or(|o| o.is_none()) && !matches!(dtype, Some(Err(_)));
            if plain && matches!(op, Ufunc::Add | Ufunc::Multiply | Ufunc::Minimum | Ufunc::Maximum) && array.ndim() > 0
            {
                let dtype = dtype.and_then(|d| d.ok());
                if let Some(a) = supported(py, || rt::accumulate(op, &array, Some(axis), dtype))? {
                    return value::new_array(py, a);
                }
            }
        }
        me.numpy(py, Some("accumulate"), args, kwargs)
    }

    /// `ufunc.outer`
    #[pyo3(signature = (a, b, /, **kwargs))]
    fn outer<'py>(
        slf: &Bound<'py, Self>,
        a: &Bound<'py, PyAny>,
        b: &Bound<'py, PyAny>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let me = slf.get();
        let (x, y) = (convert::operand(a)?, convert::operand(b)?);
        if let (Some(x), Some(y), Kind::One(_)) = (x.operand(), y.operand(), me.kind) {
            let (x, y) = guarded(py, || Ok((Array::from_operand(x)?, Array::from_operand(y)?)))?;
            let mut wide: SmallVec<[i64; 4]> = x.shape().iter().map(|&n| n as i64).collect();
            wide.extend(std::iter::repeat_n(1, y.ndim()));
            let x = guarded(py, || x.reshape(&wide))?;
            let args = PyTuple::new(py, [value::new_array(py, x)?, value::new_array(py, y)?])?;
            return me.call_generally(&args, kwargs);
        }
        me.numpy(py, Some("outer"), &PyTuple::new(py, [a, b])?, kwargs)
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn at(slf: &Bound<'_, Self>, args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Py<PyAny>> {
        let (py, me) = (slf.py(), slf.get());
        if let (Kind::One(op), None, 3) = (me.kind, kwargs, args.len())
            && let Some(a) = own(args.get_borrowed_item(0)?)
            && let Some(index) = match own(args.get_borrowed_item(1)?) {
                Some(index) => Some(index),
                None => crate::index::int_list(&args.get_item(1)?)?,
            }
        {
            let value = args.get_item(2)?;
            if let Some(value) = convert::quick(&value)
                && let Some(true) = supported(py, || rt::apply_at(op, &a, &index, value))?
            {
                return Ok(py.None());
            }
        }
        me.numpy(py, Some("at"), args, kwargs)
    }

    /// `ufunc.reduceat(array, indices)`: the reduction of each range from one index to the next.
    #[pyo3(signature = (*args, **kwargs))]
    fn reduceat(
        slf: &Bound<'_, Self>,
        args: &Bound<'_, PyTuple>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Py<PyAny>> {
        let (py, me) = (slf.py(), slf.get());
        if let (Kind::One(op), Some(array)) = (me.kind, args.get_borrowed_item(0).ok().and_then(own))
            && reducible(op)
            && let Some(given) = arguments(&["indices", "axis", "dtype", "out"], args, kwargs)?
            && let [Some(indices), None, None, None] = &given[..]
            && let Some(indices) = own(indices.as_borrowed())
            && let Some(Some(a)) = supported(py, || rt::reduceat(op, &array, &indices))?
        {
            return value::new_array(py, a);
        }
        me.numpy(py, Some("reduceat"), args, kwargs)
    }

    fn __repr__(&self) -> String {
        format!("<ufunc '{}'>", self.name)
    }

    #[getter]
    fn __name__(&self) -> &'static str {
        self.name
    }

    #[getter]
    fn __doc__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().real.bind(slf.py()).getattr("__doc__")
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let get = py.import("legate_jit._native")?.getattr("_unpickle_ufunc")?;
        (get, (slf.get().name,)).into_pyobject(py)
    }
}

impl UfuncObject {
    /// What NumPy's object knows besides.
    pub fn attribute(&self, py: Python, name: &str) -> PyResult<Py<PyAny>> {
        self.real.bind(py).getattr(name).map(Bound::unbind)
    }

    /// `ufunc.reduce` in the forms that programs call most.
    pub fn reduce_quickly(&self, py: Python, args: quick::Args) -> PyResult<Option<Py<PyAny>>> {
        match self.kind {
            Kind::One(op) if op.nin() == 2 && reducible(op) => quick::ufunc_reduce(py, op, args),
            _ => Ok(None),
        }
    }

    fn call_generally(&self, args: &Bound<PyTuple>, kwargs: Option<&Bound<PyDict>>) -> PyResult<Py<PyAny>> {
        let (py, me) = (args.py(), self);
        let n = args.len();
        if n == me.nin && kwargs.is_none() {
            let first = args.get_borrowed_item(0)?;
            if me.nin == 1 {
                if let Some(x) = convert::quick(&first)
                    && let Some(done) = me.record(py, &[x])?
                {
                    return Ok(done);
                }
            } else {
                let second = args.get_borrowed_item(1)?;
                if let (Some(x), Some(y)) = (convert::quick(&first), convert::quick(&second))
                    && let Some(done) = me.record(py, &[x, y])?
                {
                    return Ok(done);
                }
            }
        }
        me.call_slowly(args, kwargs)
    }

    #[cold]
    fn call_slowly(&self, args: &Bound<PyTuple>, kwargs: Option<&Bound<PyDict>>) -> PyResult<Py<PyAny>> {
        let py = args.py();
        if args.len() < self.nin {
            return self.numpy(py, None, args, kwargs);
        }
        let objects: Vec<Bound<PyAny>> = args.iter().collect();
        if let (Kind::One(op), None) = (self.kind, kwargs)
            && objects.len() == self.nin
            && let Some(done) = picked::operation(py, op, &objects.iter().collect::<Vec<_>>())?
        {
            return Ok(done);
        }
        let converted: Vec<Arg> = objects[..self.nin].iter().map(convert::operand).collect::<PyResult<_>>()?;
        let operands: Option<SmallVec<[Operand; 3]>> = converted.iter().map(|c| c.operand()).collect();
        if let Some(operands) = operands {
            let done = if objects.len() == self.nin && kwargs.is_none() {
                self.record(py, &operands)?
            } else if objects.len() <= self.nin + 1 {
                self.record_with(py, &operands, &objects[self.nin..], kwargs)?
            } else {
                None
            };
            if let Some(done) = done {
                return Ok(done);
            }
        }
        self.numpy(py, None, args, kwargs)
    }
}

/// Operations with an order of combining that the runtime knows.
fn reducible(op: Ufunc) -> bool {
    use Ufunc::*;
    matches!(
        op,
        Add | Multiply | Minimum | Maximum | Fmin | Fmax | LogicalAnd | LogicalOr | BitwiseAnd | BitwiseOr | BitwiseXor
    )
}

fn own(obj: pyo3::Borrowed<'_, '_, PyAny>) -> Option<Array> {
    value::value(&obj).map(|v| v.get().clone())
}

/// Arguments after the first by place or name; `None` where there is one that we don't know.
fn arguments<'py>(
    names: &[&str],
    args: &Bound<'py, PyTuple>,
    kwargs: Option<&Bound<'py, PyDict>>,
) -> PyResult<Option<Vec<Option<Bound<'py, PyAny>>>>> {
    if args.len() > names.len() + 1 {
        return Ok(None);
    }
    let mut given: Vec<Option<Bound<PyAny>>> = args.iter().skip(1).map(Some).collect();
    given.resize(names.len(), None);
    for (key, x) in kwargs.into_iter().flat_map(|k| k.iter()) {
        let key = key.cast_into::<PyString>()?;
        match names.iter().position(|n| *n == key.to_cow().unwrap_or_default()) {
            Some(i) if given[i].is_none() => given[i] = Some(x),
            _ => return Ok(None),
        }
    }
    Ok(Some(given))
}

/// A ufunc by its name, for pickles.
#[pyfunction]
pub fn _unpickle_ufunc(py: Python<'_>, name: &str) -> PyResult<Py<PyAny>> {
    match ufuncs(py)?.bind(py).get_item(name)? {
        Some(f) => Ok(f.unbind()),
        None => Err(PyValueError::new_err(format!("no ufunc is called {name}"))),
    }
}
