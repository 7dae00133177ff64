"""NumPy's own functions called with our arrays come back to us here (`__array_ufunc__`, `__array_function__`)."""

import numpy

from . import _fallback, _native
from ._native import ndarray, scalar

_ours = (ndarray, scalar)
_plain = frozenset({numpy.ndarray, int, float, complex, bool, list, tuple, type(None)})


def _known(types):
    return all(t in _ours or t in _plain or issubclass(t, numpy.generic) for t in types)


def array_ufunc(ufunc, method, inputs, kwargs):
    ours = _native.ufuncs().get(ufunc.__name__)
    outs = (kwargs or {}).get("out", ())
    if not _known({type(x) for x in inputs} | {type(x) for x in outs}):
        # Somebody else's array: let its class decide about real arrays in our place.
        return _fallback.run(ufunc.__name__, getattr(ufunc, method), inputs, kwargs or {})
    if ours is None:
        return _fallback.run(ufunc.__name__, getattr(ufunc, method), inputs, kwargs or {})
    kwargs = dict(kwargs or {})
    if outs and len(outs) == 1:
        kwargs["out"] = outs[0]
    function = ours if method == "__call__" else getattr(ours, method)
    return function(*inputs, **kwargs)


def array_function(func, types, args, kwargs):
    from . import numpy as namespace

    module, name = func.__module__, func.__name__
    if module != "numpy" and module.startswith("numpy."):
        place = namespace
        for part in module.split(".")[1:]:
            place = getattr(place, part, None)
        ours = getattr(place, name, None)
    else:
        ours = getattr(namespace, name, None)
    if ours is None or ours is func:
        return _fallback.run(f"{module}.{name}".removeprefix("numpy."), func, args, kwargs)
    return ours(*args, **kwargs)
