"""Reductions that leave NaNs out, by NumPy's own steps, so that the bits agree; in one pass, where NumPy copies and marks first."""

import warnings

import numpy as _np

from .. import _fallback
from .._native import ndarray, ufuncs, where as _where

_u = ufuncs()
_isnan, _divide, _fmax, _fmin = (_u[n] for n in ("isnan", "divide", "fmax", "fmin"))
_NoValue = _np._NoValue


def _real(a):
    return type(a) is ndarray and a.dtype.kind == "f"


def _other(name, a, options):
    given = {k: v for k, v in options.items() if v is not _NoValue}
    return _fallback.run(name, getattr(_np, name), (a,), given)


def _keeping(keepdims):
    return False if keepdims is _NoValue else keepdims


def nansum(a, axis=None, dtype=None, out=None, keepdims=_NoValue, initial=_NoValue, where=_NoValue):
    """The sum over `axis` with NaNs as zeros, as numpy.nansum: an array or scalar of `a`'s type (or `dtype`)."""
    if not _real(a) or out is not None or initial is not _NoValue or where is not _NoValue:
        return _other("nansum", a, dict(axis=axis, dtype=dtype, out=out, keepdims=keepdims, initial=initial, where=where))
    return _where(_isnan(a), 0.0, a).sum(axis=axis, dtype=dtype, keepdims=_keeping(keepdims))


def nanmean(a, axis=None, dtype=None, out=None, keepdims=_NoValue, *, where=_NoValue):
    """The mean over `axis` of what is no NaN, as numpy.nanmean; NaN, with a RuntimeWarning, where there is nothing else."""
    if not _real(a) or dtype is not None or out is not None or where is not _NoValue:
        return _other("nanmean", a, dict(axis=axis, dtype=dtype, out=out, keepdims=keepdims, where=where))
    keepdims, missing = _keeping(keepdims), _isnan(a)
    count = (~missing).sum(axis=axis, dtype=_np.intp, keepdims=keepdims)
    total = _where(missing, 0.0, a).sum(axis=axis, keepdims=keepdims)
    with _np.errstate(invalid="ignore", divide="ignore"):
        # The count is an int64, by which NumPy divides in double precision.
        mean = _divide(total, count, dtype=_np.float64).astype(total.dtype)
    # Asked for when everything is recorded, so that one pass gives all.
    if (count == 0).any():
        warnings.warn("Mean of empty slice", RuntimeWarning, stacklevel=2)
    return mean


def _extreme(name, ufunc, a, axis, out, keepdims, initial, where):
    if not _real(a) or a.size == 0 or out is not None or initial is not _NoValue or where is not _NoValue:
        return _other(name, a, dict(axis=axis, out=out, keepdims=keepdims, initial=initial, where=where))
    result = ufunc.reduce(a, axis=axis, keepdims=_keeping(keepdims))
    if _isnan(result).any():
        warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=3)
    return result


def nanmax(a, axis=None, out=None, keepdims=_NoValue, initial=_NoValue, where=_NoValue):
    """The largest over `axis` of what is no NaN, as numpy.nanmax; NaN, with a RuntimeWarning, where there is nothing else.
    ValueError for an array without elements."""
    return _extreme("nanmax", _fmax, a, axis, out, keepdims, initial, where)


def nanmin(a, axis=None, out=None, keepdims=_NoValue, initial=_NoValue, where=_NoValue):
    """The smallest over `axis` of what is no NaN, as numpy.nanmin; see nanmax."""
    return _extreme("nanmin", _fmin, a, axis, out, keepdims, initial, where)
