//! Many random numbers at once (`runtime/src/random.rs`), for the generators of `numpy/_random.py`.

use legate_jit_ir::DType;
use legate_jit_runtime::Array;
use legate_jit_runtime::random::{self, Law, State};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::guarded;
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
