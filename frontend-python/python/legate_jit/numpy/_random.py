"""`numpy.random` seen through our module: NumPy's own generators fill the buffers, so the same seed gives the same numbers.

The arrays they return become ours without a copy. This is the design, not a fallback, and is not counted.

Many numbers of NumPy's default generator (PCG64) are drawn by all threads (`runtime/src/random.rs`): the same numbers, and the
generator is left in the state in which NumPy leaves it.
"""

import copy
import math
import sys
import types

import numpy as _np

from .. import _fallback, _native

_real = _np.random


def _drawing(name, function):
    return _fallback._dress(_fallback.passed(function), name, function)


def _draws(generator, law, a, b, size):
    bits = generator._real.bit_generator
    if type(bits) is not _real.PCG64:
        return NotImplemented
    shape = size if type(size) is tuple else (size,)
    if math.prod(shape) >> 48:
        return NotImplemented
    with bits.lock:
        state = bits.state
        lcg = state["state"]
        given = lcg["state"], lcg["inc"], bool(state["has_uint32"]), state["uinteger"]
        array, (lcg["state"], _, state["has_uint32"], state["uinteger"]) = _native.draw(law, (a, b), given, shape)
        bits.state = state
    return array


def _is_number(x):
    return type(x) is float or type(x) is int and abs(x) < 1 << 53


def _random(generator, size=None, dtype=_np.float64, out=None):
    if out is not None or dtype is not _np.float64 and dtype is not float:
        return NotImplemented
    return _draws(generator, "unit", 0, 0, size)


def _uniform(generator, low=0.0, high=1.0, size=None):
    if not (_is_number(low) and _is_number(high)) or not 0 <= float(high) - float(low) < math.inf:
        return NotImplemented
    return _draws(generator, "uniform", float(low), float(high) - float(low), size)


def _standard_normal(generator, size=None, dtype=_np.float64, out=None):
    if out is not None or dtype is not _np.float64 and dtype is not float:
        return NotImplemented
    return _draws(generator, "standard", 0, 0, size)


def _normal(generator, loc=0.0, scale=1.0, size=None):
    if not (_is_number(loc) and _is_number(scale)) or not scale > 0:
        return NotImplemented
    return _draws(generator, "normal", float(loc), float(scale), size)


def _integers(generator, low, high=None, size=None, dtype=_np.int64, endpoint=False):
    if high is None:
        low, high = 0, low
    whole = type(low) is int and type(high) is int and type(endpoint) is bool
    if not whole or dtype is not _np.int64 and dtype is not int:
        return NotImplemented
    last = high if endpoint else high - 1
    if not -(1 << 63) <= low <= last < 1 << 63:
        return NotImplemented
    # Halves of raw numbers take a thread longer than they take NumPy: of fewer all threads together have them no sooner.
    many = math.prod(size) if type(size) is tuple else size
    if last - low < 1 << 32 and many < 1 << 19:
        return NotImplemented
    return _draws(generator, "integers", low, last - low, size)


# What is drawn by all threads, and which argument says how much (the generator is the first).
_MANY = {
    "random": (_random, 1),
    "uniform": (_uniform, 3),
    "standard_normal": (_standard_normal, 1),
    "normal": (_normal, 3),
    "integers": (_integers, 3),
}


def _method(name, real, many):
    # (Few numbers of these are drawn without NumPy, too.)
    few = name if many else None
    return _fallback._dress(_fallback.passed(real, many=many, of_sources=True, few=few), name, real)


def _attribute(name, real):
    def get(self):
        return getattr(self._real, name)

    def set(self, new):
        setattr(self._real, name, new)

    return property(get, set, doc=getattr(real, "__doc__", None))


def _spawn(self, n_children):
    return [_native.around(type(self), made) for made in self._real.spawn(n_children)]


def _set(self, name, value):
    setattr(self._real, name, value)


def _copy(self):
    return _native.around(type(self), copy.copy(self._real))


def _deepcopy(self, memo):
    return _native.around(type(self), copy.deepcopy(self._real, memo))


def _class(name):
    """The class whose objects stand for those of NumPy's class of this name: their arrays are ours, everything else is NumPy's."""
    made, real = _native.source_class(name), getattr(_real, name)
    made._class, made.__doc__, made.__module__ = real, real.__doc__, __name__
    many = _MANY if real is _real.Generator else {}
    for attribute in dir(real):
        if attribute.startswith("__"):
            continue
        value = getattr(real, attribute)
        setattr(made, attribute, _method(attribute, value, many.get(attribute)) if callable(value) else _attribute(attribute, value))
    if hasattr(real, "spawn"):
        _spawn.__doc__ = real.spawn.__doc__
        made.spawn = _spawn
    made.__repr__ = lambda self: repr(self._real)
    made.__str__ = lambda self: str(self._real)
    made.__reduce__ = lambda self: (_restore, (type(self), self._real))
    made.__copy__, made.__deepcopy__, made.__setattr__ = _copy, _deepcopy, _set
    return made


Generator, RandomState = _class("Generator"), _class("RandomState")


def _restore(cls, real):
    return _native.around(cls, real)


def default_rng(seed=None):
    if type(seed) is int or seed is None:
        return _native.around(Generator, _real.default_rng(seed))
    if isinstance(seed, Generator):
        return seed
    if isinstance(seed, RandomState):
        seed = seed._real
    return _native.around(Generator, _real.default_rng(_fallback.unwrap(seed)))


class _Random(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(_real, name)
        if isinstance(value, types.ModuleType):
            return _fallback.module(f"legate_jit.numpy.random.{name}", value, f"random.{name}.")
        if callable(value) and not isinstance(value, type):
            value = _drawing(name, value)
        setattr(self, name, value)
        return value

    def __dir__(self):
        return dir(_real)


random = _Random("legate_jit.numpy.random", _real.__doc__)
random.__path__ = []
random.Generator, random.RandomState, random.default_rng = Generator, RandomState, default_rng
sys.modules["legate_jit.numpy.random"] = random
