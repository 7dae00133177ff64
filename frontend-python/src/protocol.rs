//! The rarer operators of every value, array or scalar, and those that only arrays have (in place). The common ones are in
//! `slots.rs`.

use legate_jit_ir::Ufunc;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{Bound, Py, PyAny, PyResult};

use crate::operators;
use crate::value::{NdArray, Value};

type Obj<'a, 'py> = &'a Bound<'py, PyAny>;

#[pymethods]
impl Value {
    fn __lshift__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::LeftShift, slf.as_any(), other)
    }

    fn __rlshift__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::LeftShift, other, slf.as_any())
    }

    fn __rshift__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::RightShift, slf.as_any(), other)
    }

    fn __rrshift__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::RightShift, other, slf.as_any())
    }

    fn __divmod__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        let both =
            [operators::binary(Ufunc::FloorDivide, slf, other)?, operators::binary(Ufunc::Remainder, slf, other)?];
        Ok(PyTuple::new(slf.py(), both)?.into_any().unbind())
    }

    fn __rdivmod__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        let both =
            [operators::binary(Ufunc::FloorDivide, other, slf)?, operators::binary(Ufunc::Remainder, other, slf)?];
        Ok(PyTuple::new(slf.py(), both)?.into_any().unbind())
    }

    fn __pos__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        operators::unary(Ufunc::Positive, slf, slf.get())
    }
}

#[pymethods]
impl NdArray {
    fn __ifloordiv__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::FloorDivide, slf, slf.as_super().get(), other)
    }

    fn __imod__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::Remainder, slf, slf.as_super().get(), other)
    }

    fn __iand__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::BitwiseAnd, slf, slf.as_super().get(), other)
    }

    fn __ior__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::BitwiseOr, slf, slf.as_super().get(), other)
    }

    fn __ixor__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::BitwiseXor, slf, slf.as_super().get(), other)
    }

    fn __ilshift__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::LeftShift, slf, slf.as_super().get(), other)
    }

    fn __irshift__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::RightShift, slf, slf.as_super().get(), other)
    }

    fn __ipow__(slf: &Bound<'_, Self>, other: Obj<'_, '_>, _modulo: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place_power(slf, slf.as_super().get(), other)
    }

    fn __imatmul__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place_matmul(slf, slf.as_super().get(), other)
    }
}
