"""What of `numpy.linalg` is ours; the rest runs in NumPy (see `_fallback`)."""

import numpy as _np

from .. import _fallback, _native
from .._native import ndarray

_ufuncs = _native.ufuncs()
_sqrt, _multiply, _matmul = _ufuncs["sqrt"], _ufuncs["multiply"], _ufuncs["matmul"]


def norm(x, ord=None, axis=None, keepdims=False):
    if type(x) is ndarray and ord is None and not keepdims:
        kind, size = x.dtype.kind, x.dtype.itemsize
        if kind in "biu":
            x, kind, size = x.astype(float), "f", 8
        if kind == "f" and size >= 4:
            if axis is None:
                x = x.ravel()
                return _sqrt(_matmul(x, x))
            if type(axis) is int:
                return _sqrt(_multiply(x, x).sum(axis))
    return _fallback.run("linalg.norm", _np.linalg.norm, (x, ord, axis, keepdims), {})


_fallback._dress(norm, "linalg.norm", _np.linalg.norm)
_fallback.own["linalg.norm"] = norm
