//! The operators of every value, array or scalar, and those that only arrays have (in place).

use legate_jit_ir::Ufunc;
use pyo3::basic::CompareOp;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use pyo3::{Bound, Py, PyAny, PyResult};

use crate::operators;
use crate::value::{NdArray, Value};

type Obj<'a, 'py> = &'a Bound<'py, PyAny>;

#[pymethods]
impl Value {
    fn __add__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::Add, slf.as_any(), other)
    }

    fn __radd__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::Add, other, slf.as_any())
    }

    fn __sub__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::Subtract, slf.as_any(), other)
    }

    fn __rsub__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::Subtract, other, slf.as_any())
    }

    fn __mul__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::Multiply, slf.as_any(), other)
    }

    fn __rmul__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::Multiply, other, slf.as_any())
    }

    fn __truediv__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::Divide, slf.as_any(), other)
    }

    fn __rtruediv__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::Divide, other, slf.as_any())
    }

    fn __floordiv__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::FloorDivide, slf.as_any(), other)
    }

    fn __rfloordiv__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::FloorDivide, other, slf.as_any())
    }

    fn __mod__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::Remainder, slf.as_any(), other)
    }

    fn __rmod__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::Remainder, other, slf.as_any())
    }

    fn __and__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::BitwiseAnd, slf.as_any(), other)
    }

    fn __rand__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::BitwiseAnd, other, slf.as_any())
    }

    fn __or__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::BitwiseOr, slf.as_any(), other)
    }

    fn __ror__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::BitwiseOr, other, slf.as_any())
    }

    fn __xor__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::BitwiseXor, slf.as_any(), other)
    }

    fn __rxor__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::binary(Ufunc::BitwiseXor, other, slf.as_any())
    }

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

    fn __pow__(slf: &Bound<'_, Self>, other: Obj<'_, '_>, modulo: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        if !modulo.is_none() {
            return Ok(slf.py().NotImplemented());
        }
        operators::power(slf, other)
    }

    fn __rpow__(slf: &Bound<'_, Self>, other: Obj<'_, '_>, modulo: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        if !modulo.is_none() {
            return Ok(slf.py().NotImplemented());
        }
        operators::power(other, slf.as_any())
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

    fn __matmul__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::matmul(slf, other)
    }

    fn __rmatmul__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<Py<PyAny>> {
        operators::matmul(other, slf)
    }

    fn __neg__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        operators::unary(Ufunc::Negative, slf, slf.get())
    }

    fn __pos__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        operators::unary(Ufunc::Positive, slf, slf.get())
    }

    fn __abs__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        operators::unary(Ufunc::Absolute, slf, slf.get())
    }

    fn __invert__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        operators::unary(Ufunc::Invert, slf, slf.get())
    }

    fn __richcmp__(slf: &Bound<'_, Self>, other: Obj<'_, '_>, op: CompareOp) -> PyResult<Py<PyAny>> {
        operators::compare(slf, other, op)
    }
}

#[pymethods]
impl NdArray {
    fn __iadd__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::Add, slf, slf.as_super().get(), other)
    }

    fn __isub__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::Subtract, slf, slf.as_super().get(), other)
    }

    fn __imul__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::Multiply, slf, slf.as_super().get(), other)
    }

    fn __itruediv__(slf: &Bound<'_, Self>, other: Obj<'_, '_>) -> PyResult<()> {
        operators::in_place(Ufunc::Divide, slf, slf.as_super().get(), other)
    }

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
