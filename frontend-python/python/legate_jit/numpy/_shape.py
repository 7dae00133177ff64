"""Functions that only move or join elements. Each is made of our own views, copies and `concatenate`."""

import operator

import numpy as _np
from numpy.exceptions import AxisError

from .. import _fallback
from .._native import asarray, asvalue, concatenate, empty, ndarray, scalar

_ours = (ndarray, scalar)
_normalize_axis = _np.lib.array_utils.normalize_axis_index
_normalize_axes = _np.lib.array_utils.normalize_axis_tuple


def _arrays(x):
    return [a if type(a) is ndarray else asarray(a) for a in x]


def _native_all(arrays):
    return all(type(a) is ndarray for a in arrays)


def _each(arrays):
    return arrays[0] if len(arrays) == 1 else tuple(arrays)


def _sequence(arrays, name):
    """NumPy's refusal of anything but a sequence of arrays."""
    if isinstance(arrays, _ours) or isinstance(arrays, _np.ndarray):
        return list(arrays)
    if not hasattr(arrays, "__getitem__"):
        raise TypeError('arrays to stack must be passed as a "sequence" type such as list or tuple.')
    return arrays


def reshape(a, /, shape, order="C", *, copy=None):
    a = asvalue(a)
    if copy is not None:
        return a.reshape(shape, order=order, copy=copy)
    return a.reshape(shape, order=order)


def ravel(a, order="C"):
    return asvalue(a).ravel(order=order)


def transpose(a, axes=None):
    return asvalue(a).transpose(axes)


permute_dims = transpose


def matrix_transpose(x, /):
    x = asarray(x)
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return x.swapaxes(-1, -2)


def swapaxes(a, axis1, axis2):
    return asvalue(a).swapaxes(axis1, axis2)


def moveaxis(a, source, destination):
    a = asarray(a)
    if type(source) is int and type(destination) is int and -a.ndim <= source < a.ndim and -a.ndim <= destination < a.ndim:
        order = list(range(a.ndim))
        order.insert(destination % a.ndim, order.pop(source))
        return a.transpose(*order)
    source = _normalize_axes(source, a.ndim, "source")
    destination = _normalize_axes(destination, a.ndim, "destination")
    if len(source) != len(destination):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [n for n in range(a.ndim) if n not in source]
    for to, axis in sorted(zip(destination, source)):
        order.insert(to, axis)
    return a.transpose(order)


def rollaxis(a, axis, start=0):
    a = asarray(a)
    n = a.ndim
    axis = _normalize_axis(axis, n)
    if start < 0:
        start += n
    if not 0 <= start < n + 1:
        raise AxisError(f"'start' arg requires {-n} <= start < {n + 1}, but {start} was passed in")
    if axis < start:
        start -= 1
    order = [k for k in range(n) if k != axis]
    order.insert(start, axis)
    return a.transpose(order)


def squeeze(a, axis=None):
    return asvalue(a).squeeze(axis=axis)


def expand_dims(a, axis):
    a = asarray(a)
    axes = _normalize_axes(axis if type(axis) in (tuple, list) else (axis,), a.ndim + (len(axis) if type(axis) in (tuple, list) else 1))
    rank = a.ndim + len(axes)
    return a[tuple(None if k in axes else slice(None) for k in range(rank))]


def atleast_1d(*arys):
    return _each([a.reshape(1) if a.ndim == 0 else a for a in _arrays(arys)])


def atleast_2d(*arys):
    if len(arys) == 1 and type(arys[0]) is ndarray:
        a = arys[0]
        if a.ndim > 1:
            return a
        if a.ndim == 1:
            return a[None]
    out = []
    for a in _arrays(arys):
        if a.ndim == 0:
            a = a.reshape(1, 1)
        elif a.ndim == 1:
            a = a[None, :]
        out.append(a)
    return _each(out)


def atleast_3d(*arys):
    out = []
    for a in _arrays(arys):
        if a.ndim == 0:
            a = a.reshape(1, 1, 1)
        elif a.ndim == 1:
            a = a[None, :, None]
        elif a.ndim == 2:
            a = a[:, :, None]
        out.append(a)
    return _each(out)


def _list(x):
    return x if type(x) is tuple else (x,)


def stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    arrays = _arrays(_sequence(arrays, "stack"))
    if not arrays:
        raise ValueError("need at least one array to stack")
    if any(a.shape != arrays[0].shape for a in arrays):
        raise ValueError("all input arrays must have the same shape")
    rank = arrays[0].ndim + 1
    axis = _normalize_axis(axis, rank)
    at = (slice(None),) * axis + (None,)
    return concatenate([a[at] for a in arrays], axis, out, dtype=dtype, casting=casting)


def vstack(tup, *, dtype=None, casting="same_kind"):
    return concatenate(_list(atleast_2d(*_sequence(tup, "vstack"))), 0, dtype=dtype, casting=casting)


row_stack = vstack


def hstack(tup, *, dtype=None, casting="same_kind"):
    arrays = _list(atleast_1d(*_sequence(tup, "hstack")))
    axis = 0 if arrays and arrays[0].ndim == 1 else 1
    return concatenate(arrays, axis, dtype=dtype, casting=casting)


def dstack(tup):
    return concatenate(_list(atleast_3d(*_sequence(tup, "dstack"))), 2)


def column_stack(tup):
    columns = [a.reshape(-1, 1) if a.ndim < 2 else a for a in _arrays(_sequence(tup, "column_stack"))]
    return concatenate(columns, 1)


def unstack(x, /, *, axis=0):
    x = asarray(x)
    if x.ndim == 0:
        raise ValueError("Input array must be at least 1-d.")
    return tuple(moveaxis(x, axis, 0))


def broadcast_to(array, shape, subok=False):
    array = asarray(array)
    if type(array) is ndarray or type(array) is scalar:
        return array._broadcast_to(shape)
    return _fallback.run("broadcast_to", _np.broadcast_to, (array, shape), {})


def broadcast_arrays(*args, subok=False):
    arrays = _arrays(args)
    shape = _np.broadcast_shapes(*[a.shape for a in arrays])
    return tuple(a if a.shape == shape else broadcast_to(a, shape) for a in arrays)


def append(arr, values, axis=None):
    arr = asarray(arr)
    if axis is None:
        if arr.ndim != 1:
            arr = arr.ravel()
        values = asarray(values).ravel()
        axis = arr.ndim - 1
    return concatenate((arr, values), axis)


def flip(m, axis=None):
    m = asarray(m)
    if axis is None:
        return m[(slice(None, None, -1),) * m.ndim]
    axes = _normalize_axes(axis, m.ndim)
    return m[tuple(slice(None, None, -1) if k in axes else slice(None) for k in range(m.ndim))]


def flipud(m):
    m = asarray(m)
    if m.ndim < 1:
        raise ValueError("Input must be >= 1-d.")
    return m[::-1, ...]


def fliplr(m):
    m = asarray(m)
    if m.ndim < 2:
        raise ValueError("Input must be >= 2-d.")
    return m[:, ::-1]


def rot90(m, k=1, axes=(0, 1)):
    axes = tuple(axes)
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    m = asarray(m)
    if axes[0] == axes[1] or abs(axes[0] - axes[1]) == m.ndim:
        raise ValueError("Axes must be different.")
    if not all(-m.ndim <= x < m.ndim for x in axes):
        raise ValueError(f"Axes={axes} out of range for array of ndim={m.ndim}.")
    k %= 4
    if k == 0:
        return m[:]
    if k == 2:
        return flip(flip(m, axes[0]), axes[1])
    order = list(range(m.ndim))
    order[axes[0]], order[axes[1]] = order[axes[1]], order[axes[0]]
    if k == 1:
        return flip(m, axes[1]).transpose(order)
    return flip(m.transpose(order), axes[1])


def roll(a, shift, axis=None):
    a = asarray(a)
    if axis is None:
        return roll(a.ravel(), shift, 0).reshape(a.shape)
    if type(shift) is int and type(axis) is int and -1 <= axis < a.ndim:
        # The usual call: what stands below takes as long as the rest of it.
        shape = a.shape
        n = shape[axis]
        at = n - shift % n if n else 0
        if at == n:
            return a.copy()
        if axis == 0:
            return concatenate((a[at:], a[:at]))
        if axis == -1 or axis == len(shape) - 1:
            return concatenate((a[..., at:], a[..., :at]), axis)
        before = (slice(None),) * axis
        return concatenate((a[(*before, slice(at, None))], a[(*before, slice(at))]), axis)
    axes = _normalize_axes(axis, a.ndim, allow_duplicate=True)
    pairs = _np.broadcast(shift, axes)
    if pairs.ndim > 1:
        raise ValueError("'shift' and 'axis' should be scalars or 1D sequences")
    by = {}
    for s, ax in pairs:
        by[int(ax)] = by.get(int(ax), 0) + int(s)
    for ax, s in by.items():
        n = a.shape[ax]
        s = s % n if n else 0
        if s:
            at = (slice(None),) * ax
            a = concatenate((a[at + (slice(n - s, None),)], a[at + (slice(None, n - s),)]), ax)
    return a if by and any(s % (a.shape[ax] or 1) for ax, s in by.items()) else a.copy()


def tile(A, reps):
    if type(A) is ndarray and type(reps) is int and 0 < reps <= 16 and A.ndim == 1:
        return concatenate((A,) * reps)
    reps = tuple(reps) if hasattr(reps, "__iter__") else (operator.index(reps),)
    a = asarray(A)
    if any(r < 0 for r in reps):
        raise ValueError("negative dimensions are not allowed")
    rank = max(a.ndim, len(reps))
    reps = (1,) * (rank - len(reps)) + tuple(operator.index(r) for r in reps)
    shape = (1,) * (rank - a.ndim) + tuple(a.shape)
    split = tuple(x for n in shape for x in (1, n))
    wide = tuple(x for r, n in zip(reps, shape) for x in (r, n))
    return broadcast_to(a.reshape(split), wide).copy().reshape(tuple(r * n for r, n in zip(reps, shape)))


def repeat(a, repeats, axis=None):
    a = asarray(a)
    if type(repeats) is not int or type(a) not in _ours:
        return _fallback.run("repeat", _np.repeat, (a, repeats), {"axis": axis})
    if repeats < 0:
        raise ValueError("negative dimensions are not allowed")
    if axis is None:
        a, axis = a.ravel(), 0
    axis = _normalize_axis(axis, a.ndim)
    shape = tuple(a.shape)
    wide = shape[: axis + 1] + (repeats,) + shape[axis + 1 :]
    long = shape[:axis] + (shape[axis] * repeats,) + shape[axis + 1 :]
    at = (slice(None),) * (axis + 1) + (None,)
    return broadcast_to(a[at], wide).copy().reshape(long)


def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    rank = len(xi)
    out = [asarray(x).reshape((1,) * i + (-1,) + (1,) * (rank - i - 1)) for i, x in enumerate(xi)]
    if indexing == "xy" and rank > 1:
        out[0] = out[0].reshape((1, -1) + (1,) * (rank - 2))
        out[1] = out[1].reshape((-1, 1) + (1,) * (rank - 2))
    if not sparse:
        out = list(broadcast_arrays(*out))
    return tuple(x.copy() for x in out) if copy else tuple(out)


def diagonal(a, offset=0, axis1=0, axis2=1):
    return asvalue(a).diagonal(offset=offset, axis1=axis1, axis2=axis2)


def split(ary, indices_or_sections, axis=0):
    ary = asarray(ary)
    try:
        len(indices_or_sections)
    except TypeError:
        if ary.shape[axis] % indices_or_sections:
            raise ValueError("array split does not result in an equal division") from None
    return array_split(ary, indices_or_sections, axis)


def array_split(ary, indices_or_sections, axis=0):
    ary = asarray(ary)
    n = ary.shape[axis]
    try:
        len(indices_or_sections)
    except TypeError:
        parts = int(indices_or_sections)
        if parts <= 0:
            raise ValueError("number sections must be larger than 0.") from None
        each, extra = divmod(n, parts)
        cuts = [0]
        for k in range(parts):
            cuts.append(cuts[-1] + each + (k < extra))
    else:
        cuts = [0, *[int(i) for i in indices_or_sections], n]
    at = (slice(None),) * (axis % ary.ndim)
    return [ary[at + (slice(lo, hi),)] for lo, hi in zip(cuts, cuts[1:])]


def hsplit(ary, indices_or_sections):
    ary = asarray(ary)
    if ary.ndim == 0:
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return split(ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


def vsplit(ary, indices_or_sections):
    ary = asarray(ary)
    if ary.ndim < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(ary, indices_or_sections, 0)


def dsplit(ary, indices_or_sections):
    ary = asarray(ary)
    if ary.ndim < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(ary, indices_or_sections, 2)


def ndim(a):
    return a.ndim if hasattr(a, "ndim") else asarray(a).ndim


def shape(a):
    return a.shape if hasattr(a, "shape") else asarray(a).shape


def size(a, axis=None):
    a = asarray(a)
    if axis is None:
        return a.size
    count = 1
    for ax in _normalize_axes(axis, a.ndim):
        count *= a.shape[ax]
    return count
