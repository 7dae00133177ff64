//! Many random numbers at once, and few (`runtime/src/random.rs`), for the generators of `numpy/_random.py`.

use legate_jit_ir::DType;
use legate_jit_runtime::Array;
use legate_jit_runtime::random::{self, Law, State};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyTuple};
use smallvec::SmallVec;

use crate::error::{direct, guarded};
use crate::quick::{Args, int};
use crate::source::Source;
use crate::value;

/// The state of a PCG64: state, increment, whether half of a number is left over, and the half.
type Given = (u128, u128, bool, u32);

/// An array of this shape from a generator in this state, and the state after it. The law's name and two parameters: `unit`; `uniform`,
/// lower end and width; `standard`; `normal`, mean and deviation; `integers`, the smallest one and the difference to the largest.
#[pyfunction]
pub fn draw(
    py: Python<'_>,
    law: &str,
    parameters: (Bound<'_, PyAny>, Bound<'_, PyAny>),
    given: Given,
    shape: Vec<usize>,
) -> PyResult<(Py<PyAny>, Given)> {
    let (a, b) = parameters;
    let law = match law {
        "unit" => Law::Unit,
        "uniform" => Law::Uniform { low: a.extract()?, range: b.extract()? },
        "standard" => Law::Standard,
        "normal" => Law::Normal { mean: a.extract()?, deviation: b.extract()? },
        "integers" => Law::Integers { low: a.extract()?, range: b.extract()? },
        other => return Err(PyValueError::new_err(format!("no law {other}"))),
    };
    let (state, increment, has_half, half) = given;
    let mut state = State { state, increment, half, has_half };
    let dtype = if matches!(law, Law::Integers { .. }) { DType::I64 } else { DType::F64 };
    let array = guarded(py, || {
        let numbers = shape.iter().product();
        Array::from_store(random::draw(law, &mut state, numbers)?, &shape, dtype)
    })?;
    let State { state, increment, half, has_half } = state;
    Ok((value::new_array(py, array)?, (state, increment, has_half, half)))
}

/// Methods whose few numbers are drawn here: NumPy's call takes longer than that.
#[derive(Clone, Copy)]
pub enum Few {
    Random,
    Uniform,
    StandardNormal,
    Normal,
}

impl Few {
    pub fn of(name: &str) -> Option<Few> {
        match name {
            "random" => Some(Few::Random),
            "uniform" => Some(Few::Uniform),
            "standard_normal" => Some(Few::StandardNormal),
            "normal" => Some(Few::Normal),
            _ => None,
        }
    }

    /// The names of the arguments, of which the last is the size.
    fn names(self) -> &'static [&'static str] {
        match self {
            Few::Random | Few::StandardNormal => &["size"],
            Few::Uniform => &["low", "high", "size"],
            Few::Normal => &["loc", "scale", "size"],
        }
    }

    /// The law of two numbers, where they are ordinary ones.
    fn law(self, a: Option<f64>, b: Option<f64>) -> Option<Law> {
        match self {
            Few::Random => Some(Law::Unit),
            Few::StandardNormal => Some(Law::Standard),
            Few::Uniform => {
                let low = a.unwrap_or(0.0);
                let range = b.unwrap_or(1.0) - low;
                (range >= 0.0 && range.is_finite()).then_some(Law::Uniform { low, range })
            }
            Few::Normal => {
                let (mean, deviation) = (a.unwrap_or(0.0), b.unwrap_or(1.0));
                (deviation > 0.0).then_some(Law::Normal { mean, deviation })
            }
        }
    }

    /// The array of a call with a generator and plain arguments that ask for few numbers; `None` for other calls.
    pub fn draw(self, py: Python, source: &Source, args: Args) -> PyResult<Option<Py<PyAny>>> {
        let (names, mut given) = (self.names(), [None, None, None]);
        let by_position = args.len() - 1;
        if by_position > names.len() {
            return Ok(None);
        }
        given.iter_mut().enumerate().take(by_position).for_each(|(k, given)| *given = Some(args.get(py, k + 1)));
        if args.has_names() {
            for (name, x) in args.names(py) {
                match name.extract::<&str>().ok().and_then(|name| names.iter().position(|n| *n == name)) {
                    Some(k) if given[k].is_none() => given[k] = Some(x),
                    _ => return Ok(None),
                }
            }
        }
        let Some(size) = &given[names.len() - 1] else { return Ok(None) };
        let Some(shape) = shape(size) else { return Ok(None) };
        let (mut numbers, mut plain) = ([None; 2], true);
        for (number, given) in numbers.iter_mut().zip(&given[..names.len() - 1]) {
            *number = given.as_ref().and_then(|x| ordinary(x));
            plain &= number.is_some() == given.is_some();
        }
        let Some(law) = self.law(numbers[0], numbers[1]).filter(|_| plain) else { return Ok(None) };
        let drawn = source.draw(py, |next| direct(py, || random::draw_few(law, &shape, next)))?;
        drawn.map(|array| value::new_array(py, array)).transpose()
    }
}

/// A number of Python's that is a float exactly.
fn ordinary(x: &Bound<PyAny>) -> Option<f64> {
    match x.cast_exact::<PyFloat>() {
        Ok(x) => Some(x.value()),
        Err(_) => int(x).filter(|n| n.unsigned_abs() < 1 << 53).map(|n| n as f64),
    }
}

/// A size that is a number or a tuple of numbers, of few elements.
fn shape(size: &Bound<PyAny>) -> Option<SmallVec<[usize; 4]>> {
    let length = |n: &Bound<PyAny>| int(n).and_then(|n| usize::try_from(n).ok());
    let shape: SmallVec<[usize; 4]> = match size.cast_exact::<PyTuple>() {
        Ok(shape) => shape.iter_borrowed().map(|n| length(&n)).collect::<Option<_>>()?,
        Err(_) => SmallVec::from_slice(&[length(size)?]),
    };
    let n = shape.iter().try_fold(1usize, |n, &k| n.checked_mul(k))?;
    (!shape.is_empty() && (1..=random::FEW).contains(&n)).then_some(shape)
}
