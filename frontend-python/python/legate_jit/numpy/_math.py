"""Functions that NumPy itself composes of ufuncs and sums: the same steps here, so that the bits agree."""

import math
import operator
import warnings

import numpy as _np

from .. import _fallback
from .._native import (
    arange,
    array,
    asarray,
    asvalue,
    concatenate,
    count_of,
    empty,
    matmul,
    ndarray,
    scalar,
    ufuncs,
    where,
    zeros,
)

_ours = (ndarray, scalar)
_u = ufuncs()
_add, _subtract, _multiply, _divide, _rint = (_u[n] for n in ("add", "subtract", "multiply", "divide", "rint"))
_FLOAT = _np.dtype(float)
_NoValue = _np._NoValue
_normalize_axis = _np.lib.array_utils.normalize_axis_index
_normalize_axes = _np.lib.array_utils.normalize_axis_tuple


def _count(a, axis):
    """The number of elements that a reduction over `axis` combines."""
    if axis is None:
        return a.size
    count = 1
    for ax in axis if type(axis) is tuple else (axis,):
        count *= a.shape[_normalize_axis(operator.index(ax), a.ndim)]
    return count


def _given(**kwargs):
    return {k: v for k, v in kwargs.items() if v is not _NoValue and v is not None}


def _simple(a, *options):
    """True where our own steps apply: an array of ours and none of the rare options."""
    if type(a) not in _ours:
        return False
    for o in options:
        if o is not None and o is not _NoValue and o is not True:
            return False
    return True


def _average(total, n):
    """`total / n` in the type of `total`. NumPy's count is an int64, by which it divides in double precision."""
    if total.dtype.kind not in "fc":
        return _divide(total, n).astype(total.dtype)
    if total.dtype.char == "F":
        return _divide(total, n, dtype=_np.complex128).astype(total.dtype)
    if total.dtype.char == "f" and not (type(n) is int and n <= 1 << 24):
        return _divide(total, n, dtype=_np.float64).astype(total.dtype)
    # A quotient of floats that is rounded twice, first to double, is the one that is rounded once.
    return _divide(total, n, dtype=total.dtype)


def _is_whole(dtype):
    """Whether a type is asked for to which NumPy rounds in between."""
    return dtype is not None and _np.dtype(dtype).kind not in "fc"


def mean(a, axis=None, dtype=None, out=None, keepdims=_NoValue, *, where=_NoValue):
    a = asvalue(a)
    if not _simple(a, where, out):
        return _fallback.run("mean", _np.mean, (a,), _given(axis=axis, dtype=dtype, out=out, keepdims=keepdims, where=where))
    keepdims = False if keepdims is _NoValue else keepdims
    n = _count(a, axis)
    if n == 0:
        warnings.warn("Mean of empty slice", RuntimeWarning, stacklevel=2)
    if dtype is None and a.dtype.kind in "biu":
        dtype = _np.float64
    total = a.sum(axis=axis, dtype=dtype, keepdims=keepdims)
    if n == 0:
        return _divide(total, _np.float64(0).astype(total.dtype)) if total.dtype.kind in "fc" else total / 0
    return _average(total, n)


def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=_NoValue, *, where=_NoValue, mean=_NoValue, correction=_NoValue):
    a = asvalue(a)
    if correction is not _NoValue:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    if not _simple(a, where, out) or mean is not _NoValue or _is_whole(dtype):
        return _fallback.run(
            "var", _np.var, (a,), _given(axis=axis, dtype=dtype, out=out, ddof=ddof, keepdims=keepdims, where=where, mean=mean)
        )
    keepdims = False if keepdims is _NoValue else keepdims
    n = _count(a, axis)
    if ddof >= n:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
    if dtype is None and a.dtype.kind in "biu":
        dtype = _np.float64
    total = a.sum(axis=axis, dtype=dtype, keepdims=True)
    centre = _average(total, n)
    x = _subtract(a, centre)
    if x.dtype.kind == "c":
        re, im = x.real, x.imag
        x = _add(_multiply(re, re), _multiply(im, im))
    else:
        x = _multiply(x, x)
    total = x.sum(axis=axis, dtype=dtype, keepdims=keepdims)
    return _average(total, max(n - ddof, 0)) if total.dtype.kind in "fc" else total / max(n - ddof, 0)


def std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=_NoValue, *, where=_NoValue, mean=_NoValue, correction=_NoValue):
    a = asvalue(a)
    if not _simple(a, where, out) or mean is not _NoValue or _is_whole(dtype):
        return _fallback.run(
            "std", _np.std, (a,), _given(axis=axis, dtype=dtype, out=out, ddof=ddof, keepdims=keepdims, where=where, mean=mean)
        )
    return _u["sqrt"](var(a, axis, dtype, None, ddof, keepdims, correction=correction))


def ptp(a, axis=None, out=None, keepdims=_NoValue):
    a = asvalue(a)
    if not _simple(a, out):
        return _fallback.run("ptp", _np.ptp, (a,), _given(axis=axis, out=out, keepdims=keepdims))
    keepdims = False if keepdims is _NoValue else keepdims
    return _subtract(a.max(axis=axis, keepdims=keepdims), a.min(axis=axis, keepdims=keepdims))


def clip(a, a_min=_NoValue, a_max=_NoValue, out=None, *, min=_NoValue, max=_NoValue, **kwargs):
    if a_min is _NoValue and a_max is _NoValue:
        a_min = None if min is _NoValue else min
        a_max = None if max is _NoValue else max
    elif a_min is _NoValue:
        raise TypeError("clip() missing 1 required positional argument: 'a_min'")
    elif a_max is _NoValue:
        raise TypeError("clip() missing 1 required positional argument: 'a_max'")
    elif min is not _NoValue or max is not _NoValue:
        raise ValueError("Passing `min` or `max` keyword argument when `a_min` and `a_max` are provided is forbidden.")
    a = asvalue(a)
    plain = type(a) in _ours and not kwargs and a.dtype.kind in "fiu"
    if a_min is None and a_max is None and plain:
        return _u["positive"](a, out=out) if out is not None else _u["positive"](a)
    if not plain:
        return _fallback.run("clip", _np.clip, (a, a_min, a_max), {"out": out, **kwargs} if out is not None else kwargs)
    if a.dtype.kind in "iu":
        # NumPy's loop has one type for all three; a Python integer that does not fit is its error to raise.
        for bound in (a_min, a_max):
            if type(bound) is int and not _np.iinfo(a.dtype).min <= bound <= _np.iinfo(a.dtype).max:
                return _fallback.run("clip", _np.clip, (a, a_min, a_max), {"out": out} if out is not None else {})
    if a_min is None:
        return _u["minimum"](a, a_max, **({"out": out} if out is not None else {}))
    if a_max is None:
        return _u["maximum"](a, a_min, **({"out": out} if out is not None else {}))
    return _u["minimum"](_u["maximum"](a, a_min), a_max, **({"out": out} if out is not None else {}))


def round(a, decimals=0, out=None):
    if type(a) is ndarray and out is None and type(decimals) is int and 0 < decimals < 23 and a.dtype is _FLOAT:
        scale = 10.0**decimals
        return _divide(_rint(_multiply(a, scale)), scale)
    a = asvalue(a)
    if not _simple(a, out) or a.dtype.kind not in "iuf":
        return _fallback.run("round", _np.round, (a, decimals), _given(out=out))
    if a.dtype.kind in "iu":
        if decimals >= 0:
            return a.copy() if type(a) is ndarray and a.ndim else a[()]
        return _fallback.run("round", _np.round, (a, decimals), {})
    rint = _u["rint"]
    if decimals == 0:
        return rint(a)
    scale = float(10 ** abs(decimals))
    if decimals > 0:
        return _divide(rint(_multiply(a, scale)), scale)
    return _multiply(rint(_divide(a, scale)), scale)


around = round


def diff(a, n=1, axis=-1, prepend=_NoValue, append=_NoValue):
    if n == 0:
        return a
    if n < 0:
        raise ValueError("order must be non-negative but got " + repr(n))
    a = asarray(a)
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = _normalize_axis(axis, a.ndim)
    parts = []
    for extra in (prepend, append):
        if extra is _NoValue:
            parts.append(None)
            continue
        extra = asarray(extra)
        if extra.ndim == 0:
            extra = extra._broadcast_to(tuple(1 if k == axis else m for k, m in enumerate(a.shape)))
        parts.append(extra)
    if parts != [None, None]:
        a = concatenate([x for x in (parts[0], a, parts[1]) if x is not None], axis)
    at = (slice(None),) * axis
    op = _u["not_equal"] if a.dtype == bool else _subtract
    for _ in range(n):
        a = op(a[at + (slice(1, None),)], a[at + (slice(None, -1),)])
    return a


def ediff1d(ary, to_end=None, to_begin=None):
    if type(ary) is ndarray and to_end is None and to_begin is None and ary.dtype.kind != "b":
        a = ary.ravel()
        return a[1:] - a[:-1]
    return _fallback.run("ediff1d", _np.ediff1d, (ary, to_end, to_begin), {})


def fromiter(iter, dtype, count=-1, *, like=None):
    return _fallback.run("fromiter", _np.fromiter, (iter, dtype, count), {} if like is None else {"like": like})


def interp(x, xp, fp, left=None, right=None, period=None):
    return _fallback.run("interp", _np.interp, (x, xp, fp, left, right, period), {})


def trapezoid(y, x=None, dx=1.0, axis=-1):
    y = asarray(y)
    if x is None:
        d = dx
    else:
        x = asarray(x)
        if x.ndim == 1:
            d = diff(x)
            shape = [1] * y.ndim
            shape[axis] = d.shape[0]
            d = d.reshape(shape)
        else:
            d = diff(x, axis=axis)
    at = (slice(None),) * (axis % y.ndim)
    return (d * (y[at + (slice(1, None),)] + y[at + (slice(None, -1),)]) / 2.0).sum(axis)


def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    if type(a) is ndarray and a.ndim == 2 and offset == axis1 == 0 and axis2 == 1 and dtype is None and out is None:
        return a._diagonal(0, 0, 1).sum()
    a = asarray(a)
    if not _simple(a, out):
        return _fallback.run("trace", _np.trace, (a, offset, axis1, axis2), _given(dtype=dtype, out=out))
    if a.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    return a.diagonal(offset, axis1, axis2).sum(-1, dtype=dtype)


def outer(a, b, out=None):
    a, b = asarray(a).ravel(), asarray(b).ravel()
    return _multiply(a[:, None], b[None, :], **({"out": out} if out is not None else {}))


def dot(a, b, out=None):
    a, b = asarray(a), asarray(b)
    if type(a) not in _ours or type(b) not in _ours or out is not None:
        return _fallback.run("dot", _np.dot, (a, b), _given(out=out))
    if a.ndim == 0 or b.ndim == 0:
        return _multiply(a, b)
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        one, two = a.ndim - 1, max(b.ndim - 2, 0)
        show = lambda s: "(" + ",".join(map(str, s)) + (",)" if len(s) == 1 else ")")
        raise ValueError(
            f"shapes {show(a.shape)} and {show(b.shape)} not aligned: {a.shape[one]} (dim {one}) != {b.shape[two]} (dim {two})"
        )
    if b.ndim <= 2 and a.ndim <= 2 or b.ndim == 1:
        return matmul(a, b)
    if b.ndim == 2:
        return matmul(a.reshape(-1, a.shape[-1]), b).reshape(tuple(a.shape[:-1]) + (b.shape[1],))
    return tensordot(a, b, ((a.ndim - 1,), (b.ndim - 2,)))


def vdot(a, b, /):
    a, b = asarray(a), asarray(b)
    if type(a) not in _ours or type(b) not in _ours:
        return _fallback.run("vdot", _np.vdot, (a, b), {})
    a, b = a.ravel(), b.ravel()
    if a.size != b.size:
        raise ValueError(f"cannot reshape array of size {b.size} into shape ({a.size},)")
    return matmul(_u["conjugate"](a) if a.dtype.kind == "c" else a, b)


def inner(a, b, /):
    a, b = asarray(a), asarray(b)
    if type(a) not in _ours or type(b) not in _ours:
        return _fallback.run("inner", _np.inner, (a, b), {})
    if a.ndim == 0 or b.ndim == 0:
        return _multiply(a, b)
    if a.shape[-1] != b.shape[-1]:
        return _fallback.run("inner", _np.inner, (a, b), {})
    if a.ndim == b.ndim == 1:
        return matmul(a, b)
    return tensordot(a, b, ((a.ndim - 1,), (b.ndim - 1,)))


def tensordot(a, b, axes=2):
    a, b = asarray(a), asarray(b)
    whole, other = a.shape, b.shape
    if hasattr(axes, "__iter__"):
        left, right = axes
        left = list(left) if hasattr(left, "__iter__") else [left]
        right = list(right) if hasattr(right, "__iter__") else [right]
    else:
        left, right = list(range(-axes, 0)), list(range(axes))
    k = len(left)
    if len(set(left)) != k or len(set(right)) != len(right):
        raise ValueError("duplicate axes are not allowed in tensordot")
    if k != len(right):
        raise ValueError("shape-mismatch for sum")
    common = 1
    for i, j in zip(left, right):
        if (extent := whole[i]) != other[j]:
            raise ValueError("shape-mismatch for sum")
        common *= extent
    if k and right == list(range(k)) and left in (list(range(-k, 0)), list(range(a.ndim - k, a.ndim))):
        # What is summed up lies together in both.
        rows, columns = whole[: a.ndim - k], other[k:]
    else:
        left, right = [i % a.ndim for i in left], [j % b.ndim for j in right]
        rest, others = [i for i in range(a.ndim) if i not in left], [j for j in range(b.ndim) if j not in right]
        rows, columns = tuple([whole[i] for i in rest]), tuple([other[j] for j in others])
        a, b = a.transpose(rest + left), b.transpose(right + others)
    a, b = a.reshape(math.prod(rows), common), b.reshape(common, math.prod(columns))
    return matmul(a, b).reshape(rows + columns)


def isclose(a, b, rtol=1.0e-5, atol=1.0e-8, equal_nan=False):
    a, b = asarray(a), asarray(b)
    if type(a) not in _ours or type(b) not in _ours:
        return _fallback.run("isclose", _np.isclose, (a, b), dict(rtol=rtol, atol=atol, equal_nan=equal_nan))
    if b.dtype.kind not in "fc":
        b = b.astype(_np.float64 if a.dtype.kind not in "fc" else _np.result_type(b.dtype, 1.0))
    absolute = _u["absolute"]
    close = (absolute(a - b) <= atol + rtol * absolute(b)) & _u["isfinite"](b) | (a == b)
    if equal_nan:
        close = close | (_u["isnan"](a) & _u["isnan"](b))
    return close


def allclose(a, b, rtol=1.0e-5, atol=1.0e-8, equal_nan=False):
    return builtins_bool(isclose(a, b, rtol, atol, equal_nan).all())


builtins_bool = bool


def array_equal(a1, a2, equal_nan=False):
    try:
        a1, a2 = asarray(a1), asarray(a2)
    except Exception:
        return False
    if type(a1) not in _ours or type(a2) not in _ours:
        return _fallback.run("array_equal", _np.array_equal, (a1, a2), dict(equal_nan=equal_nan))
    if a1.shape != a2.shape:
        return False
    same = a1 == a2
    if equal_nan and a1.dtype.kind in "fc" and a2.dtype.kind in "fc":
        same = same | (_u["isnan"](a1) & _u["isnan"](a2))
    return builtins_bool(same.all())


def array_equiv(a1, a2):
    try:
        a1, a2 = asarray(a1), asarray(a2)
        _np.broadcast_shapes(a1.shape, a2.shape)
    except Exception:
        return False
    return builtins_bool((a1 == a2).all())


def eye(N, M=None, k=0, dtype=float, order="C", *, device=None, like=None):
    N = operator.index(N)
    M = N if M is None else operator.index(M)
    if like is not None or device not in (None, "cpu") or N < 0 or M < 0 or order not in ("C", "F", None):
        return _fallback.wrap(_np.eye(N, M, k, dtype, order, device=device, like=_fallback.unwrap(like)))
    m = zeros((N, M), dtype)
    if type(m) is not ndarray or order == "F":
        return _fallback.wrap(_np.eye(N, M, k, dtype, order))
    _diagonal_view(m, operator.index(k))[...] = 1
    return m


def _diagonal_view(m, k):
    """The k-th diagonal of a fresh matrix, writable: every (columns + 1)-th element."""
    rows, columns = m.shape
    n = max(min(rows, columns - k) if k >= 0 else min(rows + k, columns), 0)
    start = min(k if k >= 0 else -k * columns, m.size)
    return m.reshape(-1)[start : start + max(n - 1, 0) * (columns + 1) + 1 : columns + 1][:n]


def identity(n, dtype=None, *, like=None):
    return eye(n, dtype=float if dtype is None else dtype, like=like)


def tri(N, M=None, k=0, dtype=float, *, like=None):
    if type(N) is int and type(k) is int and (M is None or type(M) is int) and like is None:
        columns = N if M is None else M
        return (arange(N)[:, None] >= arange(-k, columns - k)).astype(dtype)
    return _fallback.run_uncounted(_np.tri, (N, M, k, dtype), {})


def indices(dimensions, dtype=int, sparse=False):
    dimensions = tuple(dimensions)
    rank = len(dimensions)
    if sparse:
        return tuple(arange(n, dtype=dtype).reshape((1,) * i + (n,) + (1,) * (rank - i - 1)) for i, n in enumerate(dimensions))
    places = empty((rank, *dimensions), dtype)
    if type(places) is not ndarray:
        return _fallback.run_uncounted(_np.indices, (dimensions, dtype), {})
    for i, n in enumerate(dimensions):
        line = arange(n)
        places[i] = line if i == rank - 1 else line.reshape(-1, *(1,) * (rank - i - 1))
    return places


def fromfunction(function, shape, *, dtype=float, like=None, **kwargs):
    if like is not None:
        return _fallback.wrap(_np.fromfunction(function, shape, dtype=dtype, like=_fallback.unwrap(like), **kwargs))
    return function(*indices(shape, dtype=dtype), **kwargs)


def _triangle(name, m, k, keep_low):
    m = asarray(m)
    if type(m) is not ndarray or m.ndim < 2:
        return _fallback.run(name, getattr(_np, name), (m, k), {})
    rows, columns = m.shape[-2:]
    k = k if keep_low else k - 1
    # Compared where it is used, so that no mask lies in memory.
    low = arange(rows)[:, None] >= arange(-k, columns - k)
    nothing = zeros((), m.dtype)
    return where(low, m, nothing) if keep_low else where(low, nothing, m)


def tril(m, k=0):
    return _triangle("tril", m, k, True)


def triu(m, k=0):
    return _triangle("triu", m, k, False)


def fill_diagonal(a, val, wrap=False):
    if (
        type(a) is ndarray
        and a.ndim == 2
        and not wrap
        and a.dtype.kind in "fc"
        and type(val) in (int, float, _np.float64)
        and a._layout()[3]
    ):
        a._main_diagonal()[...] = val
    else:
        _fallback.run("fill_diagonal", _np.fill_diagonal, (a, val, wrap), {})


def diag(v, k=0):
    v = asarray(v)
    if type(v) is not ndarray or v.ndim not in (1, 2):
        return _fallback.run("diag", _np.diag, (v, k), {})
    if v.ndim == 2:
        return v.diagonal(k)
    n = v.shape[0] + abs(k)
    m = zeros((n, n), v.dtype)
    if v.shape[0]:
        _diagonal_view(m, k)[...] = v
    return m


def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    plain = (int, float, _np.float64)
    if type(start) not in plain or type(stop) not in plain or device not in (None, "cpu"):
        result = _np.linspace(_fallback.unwrap(start), _fallback.unwrap(stop), num, endpoint, retstep, dtype, axis)
        return _fallback.wrap(result)
    return _fallback.wrap(_np.linspace(start, stop, num, endpoint, retstep, dtype, axis))


def average(a, axis=None, weights=None, returned=False, *, keepdims=_NoValue):
    """The average over `axis`, weighted by `weights` (of `a`'s shape, or along `axis`), as numpy.average. ZeroDivisionError
    where weights sum to zero."""
    if weights is None and not returned:
        return mean(a, axis, keepdims=keepdims)
    ours = type(a) is ndarray and type(weights) is ndarray and not returned
    if ours and a.dtype.kind == "f" and a.dtype == weights.dtype and a.shape == weights.shape:
        keepdims = False if keepdims is _NoValue else keepdims
        scale = weights.sum(axis=axis, keepdims=keepdims)
        total = _multiply(a, weights).sum(axis=axis, keepdims=keepdims)
        # Asked for when both sums are recorded, so that one pass gives them.
        if (scale == 0.0).any():
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        return total / scale
    return _fallback.run("average", _np.average, (a,), _given(axis=axis, weights=weights, returned=returned, keepdims=keepdims))


def count_nonzero(a, axis=None, *, keepdims=False):
    a = asarray(a)
    if type(a) not in _ours:
        return _fallback.run("count_nonzero", _np.count_nonzero, (a,), dict(axis=axis, keepdims=keepdims))
    if axis is None and not keepdims and type(a) is ndarray and a.ndim:
        return count_of(a)
    truth = a if a.dtype == bool else a != 0
    return truth.sum(axis=axis, dtype=_np.intp, keepdims=keepdims)


_NUMBERS = frozenset({int, float, complex, bool, str, scalar, _np.float64, _np.int64})


def isscalar(element):
    return type(element) in _NUMBERS or _np.isscalar(element)


def real(val):
    # (Python's numbers have one, too.)
    try:
        return val.real
    except AttributeError:
        return asarray(val).real


def imag(val):
    try:
        return val.imag
    except AttributeError:
        return asarray(val).imag


def copyto(dst, src, casting="same_kind", where=True):
    if type(dst) is not ndarray:
        return _fallback.run("copyto", _np.copyto, (dst, src), dict(casting=casting, where=where))
    return dst._copyto(src, casting, where)


def result_type(*arrays_and_dtypes):
    return _np.result_type(*[x.dtype if type(x) in _ours else x for x in arrays_and_dtypes])


def can_cast(from_, to, casting="safe"):
    return _np.can_cast(from_.dtype if type(from_) in _ours else from_, to, casting)


def iterable(y):
    if type(y) is ndarray:
        return y.ndim > 0
    return _np.iterable(y)


def iscomplexobj(x):
    return x.dtype.kind == "c" if type(x) in _ours else _np.iscomplexobj(x)


def isrealobj(x):
    return not iscomplexobj(x)


def shares_memory(a, b, max_work=None):
    return _np.shares_memory(_fallback.unwrap(a), _fallback.unwrap(b), max_work)


def may_share_memory(a, b, max_work=None):
    return _np.may_share_memory(_fallback.unwrap(a), _fallback.unwrap(b), max_work)


def from_dlpack(x, /, *, device=None, copy=None):
    return _fallback.wrap(_np.from_dlpack(_fallback.unwrap(x), device=device, copy=copy))


def _looks(name):
    # (Text is no arithmetic, and is not counted.)
    real = getattr(_np, name)
    return _fallback._dress(_fallback.passed(real), name, real)


array_repr, array_str, array2string = map(_looks, ("array_repr", "array_str", "array2string"))
