"""The methods of our arrays and scalars that are not written in Rust: compositions, and those that NumPy runs."""

import json

import numpy as _np

from .. import _fallback, _native
from .._native import ndarray, scalar
from . import _index, _math, _shape

value = _native.value


def mean(self, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    return _math.mean(self, axis, dtype, out, keepdims, where=where)


def var(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, **kwargs):
    return _math.var(self, axis, dtype, out, ddof, keepdims, where=where, **kwargs)


def std(self, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, **kwargs):
    return _math.std(self, axis, dtype, out, ddof, keepdims, where=where, **kwargs)


def clip(self, min=None, max=None, out=None, **kwargs):
    return _math.clip(self, min, max, out, **kwargs)


def round(self, decimals=0, out=None):
    return _math.round(self, decimals, out)


def trace(self, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    return _math.trace(self, offset, axis1, axis2, dtype, out)


def repeat(self, repeats, axis=None):
    return _shape.repeat(self, repeats, axis)


def dot(self, b, out=None):
    return _math.dot(self, b, out)


def nonzero(self):
    return _index.nonzero(self)


def take(self, indices, axis=None, out=None, mode="raise"):
    return _index.take(self, indices, axis, out, mode)


def compress(self, condition, axis=None, out=None):
    return _index.compress(condition, self, axis, out)


def conj(self):
    return _native.ufuncs()["conjugate"](self) if self.dtype.kind == "c" else self


conjugate = conj


def swapaxes(self, axis1, axis2):
    n = self.ndim
    axis1 = _np.lib.array_utils.normalize_axis_index(axis1, n, "axis1")
    axis2 = _np.lib.array_utils.normalize_axis_index(axis2, n, "axis2")
    order = list(range(n))
    order[axis1], order[axis2] = axis2, axis1
    return self.transpose(order)


def diagonal(self, offset=0, axis1=0, axis2=1):
    if self.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    axis1 = _np.lib.array_utils.normalize_axis_index(axis1, self.ndim, "axis1")
    axis2 = _np.lib.array_utils.normalize_axis_index(axis2, self.ndim, "axis2")
    if axis1 == axis2:
        raise ValueError("axis1 and axis2 cannot be the same")
    return self._diagonal(offset, axis1, axis2)


def _host_property(name):
    def get(self):
        return _fallback.wrap(getattr(_native.host(self), name))

    def set(self, new):
        setattr(_native.host(self), name, _fallback.unwrap(new))

    return property(get, set, doc=getattr(_np.ndarray, name).__doc__)


# What NumPy does on the array's own memory without arithmetic: looked at through its view, not counted as fallback.
_LOOKS = ("tobytes", "tofile", "dump", "dumps", "setflags", "getfield", "to_device", "view", "byteswap")
_RUN = (
    "argpartition argsort choose partition put resize searchsorted setfield sort".split()
)


def _json_default(original):
    def default(self, o):
        # NumPy's float64 is a float to the encoder; a number that is not computed yet cannot be one.
        if type(o) is scalar and o.dtype == _np.float64:
            return float(o)
        return original(self, o)

    default.__doc__ = original.__doc__
    return default


def install():
    """Attaches the methods to the classes."""
    json.JSONEncoder.default = _json_default(json.JSONEncoder.default)
    for name in "mean var std clip round trace repeat dot nonzero take compress conj conjugate swapaxes diagonal".split():
        function = globals()[name]
        function.__doc__ = getattr(_np.ndarray, name).__doc__
        setattr(value, name, function)
    for name in _RUN:
        setattr(value, name, _fallback.method(name))
    for name in _LOOKS:
        setattr(value, name, _fallback.method(name, counted=False))
    for name in ("flat", "ctypes"):
        setattr(value, name, _host_property(name))
    value.flags = property(_native.flags_of)
    for name in dir(_np.ndarray):
        # What this version of NumPy has besides.
        if not name.startswith("__") and not hasattr(ndarray, name):
            real = getattr(_np.ndarray, name)
            setattr(ndarray, name, _fallback.method(name) if callable(real) else _host_property(name))
