//! Arrays of ours shown to NumPy for the length of a call.
//!
//! To keep an array's memory for foreign code takes an object of its own behind NumPy's array, and longer than many a call. So what
//! a call gets is lent: when the call has returned, nearly always nobody else has the array that was shown, and it is taken
//! back. What somebody has kept (a view that is returned, an iterator) is given its owner then.
//!
//! A boundary file: it hands addresses over, with something that keeps them good.

use legate_jit_runtime::{Array, Loan};
use pyo3::prelude::*;
use pyo3::{Bound, PyAny, PyResult};
use smallvec::SmallVec;

use crate::adopt::{self, Owner};
use crate::capi::lent;
use crate::error::direct;
use crate::lean;
use crate::value;

/// What a call has been lent.
#[derive(Default)]
pub struct Lending<'py>(SmallVec<[Lent<'py>; 3]>);

struct Lent<'py> {
    shown: Bound<'py, PyAny>,
    of: Bound<'py, PyAny>,
    /// None for what has an owner from the beginning.
    loan: Option<Loan>,
}

impl<'py> Lending<'py> {
    /// NumPy's array over the memory of ours, an array; the same one for the same object.
    #[inline]
    pub fn show(&mut self, obj: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(known) = self.0.iter().find(|lent| lent.of.is(obj)) {
            return Ok(known.shown.clone());
        }
        let lent = match value::value(obj) {
            Some(value) => shown(obj.py(), value.get())?,
            None => None,
        };
        let (shown, loan) = match lent {
            Some((shown, loan)) => (shown, Some(loan)),
            None => (adopt::host_array(obj.cast()?)?, None),
        };
        self.0.push(Lent { shown: shown.clone(), of: obj.clone(), loan });
        Ok(shown)
    }

    /// The object of ours as which NumPy's array was shown.
    pub fn original(&self, shown: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
        self.0.iter().find(|lent| lent.shown.is(shown)).map(|lent| lent.of.clone())
    }

    /// The call has returned, and its arguments are gone.
    pub fn end(&mut self) {
        while let Some(Lent { shown, of, loan }) = self.0.pop() {
            let Some(loan) = loan else { continue };
            if let Some(kept) = lent::take_back(shown) {
                // (Nobody can be told that there is no memory left.)
                let _ = keep(&kept, &of, loan);
            }
        }
    }
}

/// NumPy's array over the memory of ours, with what has to be kept for it; `None` for what is not simply in memory.
#[inline]
pub fn shown<'py>(py: Python<'py>, array: &Array) -> PyResult<Option<(Bound<'py, PyAny>, Loan)>> {
    match direct(py, || array.lend())? {
        Some(loan) if (loan.first(array) as usize).is_multiple_of(array.dtype().size().min(8)) => {
            // SAFETY: the callers keep the loan until the array has been taken back, or with its owner.
            Ok(Some((unsafe { lent::show(py, array, loan.first(array))? }, loan)))
        }
        _ => Ok(None),
    }
}

/// Gives an array of `shown` an owner.
pub fn keep(array: &Bound<PyAny>, of: &Bound<PyAny>, loan: Loan) -> PyResult<()> {
    let Some(value) = value::value(of) else {
        // (Only arrays of ours are lent.)
        std::mem::forget(loan);
        return Ok(());
    };
    match Owner::of(loan, value.get()) {
        Ok(owner) => lent::own(array, lean::object(of.py(), owner)?.into_bound(of.py())),
        // The object has become another array meanwhile. The memory stays.
        Err(loan) => std::mem::forget(loan),
    }
    Ok(())
}

impl Drop for Lending<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
