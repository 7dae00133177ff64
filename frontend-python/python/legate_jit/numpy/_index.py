"""Functions that select elements by masks and integers: each is made of indexing. What is rare in them runs in NumPy."""

import numpy as _np

from .. import _fallback
from .._native import asarray, asvalue, bincount_of, coordinates, ndarray, nonzero_of

_integers = (int, _np.integer)


def _ours(x):
    """An array of ours with axes."""
    return type(x) is ndarray and x.ndim > 0


def nonzero(a):
    a = asvalue(a)
    if not _ours(a):
        return _fallback.run("nonzero", _np.nonzero, (a,), {})
    return nonzero_of(a)


def sort(a, axis=-1, kind=None, order=None, *, stable=None):
    return _fallback.run("sort", _np.sort, (a, axis, kind, order), {} if stable is None else {"stable": stable})


def argsort(a, axis=-1, kind=None, order=None, *, stable=None):
    return _fallback.run("argsort", _np.argsort, (a, axis, kind, order), {} if stable is None else {"stable": stable})


def searchsorted(a, v, side="left", sorter=None):
    return _fallback.run("searchsorted", _np.searchsorted, (a, v, side, sorter), {})


def partition(a, kth, axis=-1, kind="introselect", order=None):
    return _fallback.run("partition", _np.partition, (a, kth, axis, kind, order), {})


def argpartition(a, kth, axis=-1, kind="introselect", order=None):
    return _fallback.run("argpartition", _np.argpartition, (a, kth, axis, kind, order), {})


def flatnonzero(a):
    return nonzero(asarray(a).ravel())[0]


def argwhere(a):
    a = asvalue(a)
    if not _ours(a):
        return _fallback.run("argwhere", _np.argwhere, (a,), {})
    at = coordinates(a)
    # NumPy joins one array for each axis: they lie one behind the other.
    return at.T.copy().T if a.ndim > 1 else at


def bincount(x, /, weights=None, minlength=0):
    a, w = asvalue(x), None if weights is None else asvalue(weights)
    if _ours(a) and (w is None or _ours(w)) and type(minlength) is int and minlength >= 0:
        counts = bincount_of(a, w, minlength)
        if counts is not None:
            return counts
    return _fallback.run("bincount", _np.bincount, (x,), dict(weights=weights, minlength=minlength))


def take(a, indices, axis=None, out=None, mode="raise"):
    a = asvalue(a)
    if not (_ours(a) and out is None and mode == "raise" and a.size and type(axis) in (int, type(None))):
        return _take(a, indices, axis, out, mode)
    if axis is None:
        a, axis = a.ravel(), 0
    if isinstance(indices, _integers) and axis == 0 and a.ndim == 1:
        return a[indices]
    at = asarray(indices)
    axis = _np.lib.array_utils.normalize_axis_index(axis, a.ndim)
    if not (_ours(at) and at.dtype.kind in "iu" and a.flags.c_contiguous):
        return _take(a, indices, axis, None, mode)
    if axis == 0:
        return a[at]
    outer, n, inner = (int(_np.prod(s, dtype=_np.int64)) for s in (a.shape[:axis], a.shape[axis], a.shape[axis + 1 :]))
    blocks = a.reshape(outer, n, inner)
    try:
        taken = blocks[asarray(_np.arange(outer)[:, None]), at.reshape(1, -1)]
    except IndexError:
        # NumPy names the axis.
        return _take(a, indices, axis, None, mode)
    return taken.reshape(a.shape[:axis] + at.shape + a.shape[axis + 1 :])


def _take(a, indices, axis, out, mode):
    return _fallback.run("take", _np.take, (a, indices), {"axis": axis, "out": out, "mode": mode})


def compress(condition, a, axis=None, out=None):
    condition, a = asarray(condition), asarray(a)
    if not (_ours(condition) and condition.ndim == 1 and _ours(a) and out is None):
        return _fallback.run("compress", _np.compress, (condition, a), {"axis": axis, "out": out})
    if axis is None:
        a, axis = a.ravel(), 0
    if axis == 0 and condition.shape[0] == a.shape[0]:
        return a[_mask(condition)]
    return take(a, nonzero(condition)[0], axis)


def _mask(condition):
    return condition if condition.dtype == bool else condition != 0


def extract(condition, arr):
    condition, arr = asarray(condition).ravel(), asarray(arr).ravel()
    if condition.shape == arr.shape:
        return arr[_mask(condition)]
    return take(arr, nonzero(condition)[0])


def place(arr, mask, vals):
    if _ours(arr) and arr.flags.writeable:
        where, value = asarray(mask), asarray(vals)
        if _ours(where) and where.shape == arr.shape and value.size == 1 and value.dtype == arr.dtype:
            arr[_mask(where)] = value.reshape(())
            return
    _fallback.run("place", _np.place, (arr, mask, vals), {})


def putmask(a, /, mask, values):
    if _ours(a) and a.flags.writeable:
        where, new = asarray(mask), asarray(values)
        if _ours(where) and where.shape == a.shape and new.dtype == a.dtype:
            if new.size == 1:
                a[_mask(where)] = new.reshape(())
                return
            if new.shape == a.shape:
                where = _mask(where)
                a[where] = new[where]
                return
    _fallback.run("putmask", _np.putmask, (a, mask, values), {})


lexsort = _fallback.function("lexsort", _np.lexsort)

for _f in (sort, argsort, searchsorted):
    _f.__doc__ = getattr(_np, _f.__name__).__doc__
