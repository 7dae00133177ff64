//! Operations on what a mask selects (`x[mask]`) while nobody has asked for its elements.

use legate_jit_ir::Ufunc;
use legate_jit_runtime::{Array, Casting, Picked, PickedOperand};
use pyo3::{Bound, Py, PyAny, PyResult, Python};
use smallvec::SmallVec;

use crate::convert;
use crate::error::supported;
use crate::value::{self, Value};

/// `op(args…)` where one of them at least is picked and the others are that or numbers; `None` for anything else.
fn picked(py: Python<'_>, op: Ufunc, args: &[&Bound<PyAny>]) -> PyResult<Option<Picked>> {
    let owned: SmallVec<[Option<Picked>; 3]> = args.iter().map(|a| value::value(a).and_then(Value::picked)).collect();
    if owned.iter().all(Option::is_none) {
        return Ok(None);
    }
    let operands: Option<SmallVec<[PickedOperand; 3]>> = args
        .iter()
        .zip(&owned)
        .map(|(a, p)| match p {
            Some(p) => Some(PickedOperand::Picked(p)),
            None => convert::quick(a).map(PickedOperand::Other),
        })
        .collect();
    let Some(operands) = operands else { return Ok(None) };
    supported(py, || Picked::ufunc(op, &operands))
}

/// The result as an object; `None` where the elements are needed.
pub fn operation(py: Python<'_>, op: Ufunc, args: &[&Bound<PyAny>]) -> PyResult<Option<Py<PyAny>>> {
    picked(py, op, args)?.map(|p| value::new_picked(py, p)).transpose()
}

/// `a op= b` for a picked `a`; false where the elements are needed.
pub fn in_place(op: Ufunc, a: &Bound<PyAny>, v: &Value, args: &[&Bound<PyAny>]) -> PyResult<bool> {
    let Some(target) = v.picked() else { return Ok(false) };
    let Some(result) = picked(a.py(), op, args)? else { return Ok(false) };
    if result.dtype() != target.dtype() {
        return Ok(false);
    }
    v.set_picked(result);
    Ok(true)
}

/// `target[mask] = new` for a picked `new`; false where its elements are needed.
pub fn assign(target: &Value, mask: &Array, new: &Bound<PyAny>) -> PyResult<bool> {
    let Some(picked) = value::value(new).and_then(Value::picked) else { return Ok(false) };
    let done = supported(new.py(), || target.get().assign_picked(mask, &picked, Casting::Unsafe))?;
    Ok(done == Some(true))
}
