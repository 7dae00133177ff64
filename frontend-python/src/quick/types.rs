//! Questions about types alone.

use legate_jit_ir::DType;
use legate_jit_ir::promote::{can_cast as castable, promote};
use legate_jit_runtime::Casting;
use pyo3::prelude::*;
use pyo3::types::PyBool;

use super::args::{Args, Done, NOT_PLAIN};
use crate::{dtypes, value};

/// The type of what is an array of ours, or names a type.
fn type_of(x: &Bound<PyAny>) -> Option<DType> {
    value::value(x).map(|v| v.element_type()).or_else(|| dtypes::quick(x))
}

/// `np.result_type(a, b)` of arrays and types
pub(super) fn result_type(py: Python, args: Args) -> Done {
    if args.len() == 0 || args.has_names() {
        return NOT_PLAIN;
    }
    let mut common = None;
    for i in 0..args.len() {
        let Some(dtype) = type_of(&args.get(py, i)) else { return NOT_PLAIN };
        common = Some(common.map_or(dtype, |before| promote(before, dtype)));
    }
    Ok(common.map(|dtype| dtypes::descr(py, dtype).clone_ref(py)))
}

/// `np.can_cast(from, to)`
pub(super) fn can_cast(py: Python, args: Args) -> Done {
    if args.len() != 2 || args.has_names() {
        return NOT_PLAIN;
    }
    let (Some(from), Some(to)) = (type_of(&args.get(py, 0)), dtypes::quick(&args.get(py, 1))) else { return NOT_PLAIN };
    Ok(Some(PyBool::new(py, castable(from, to, Casting::Safe)).to_owned().into_any().unbind()))
}
