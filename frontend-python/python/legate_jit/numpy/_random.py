"""`numpy.random` seen through our module: NumPy's own generators fill the buffers, so the same seed gives the same numbers.

The arrays they return become ours without a copy. This is the design, not a fallback, and is not counted.

Many numbers of NumPy's default generator (PCG64) are drawn by all threads (`runtime/src/random.rs`): the same numbers, and the
generator is left in the state in which NumPy leaves it.
"""

import functools
import math
import sys
import types

import numpy as _np

from .. import _fallback, _native

_real = _np.random


def _drawing(name, function, many=None):
    return _fallback._dress(_fallback.passed(function, many=many), name, function)


def _draws(generator, law, a, b, size):
    bits = generator.bit_generator
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


# What is drawn by all threads, and which argument says how much.
_MANY = {
    "random": (_random, 0),
    "uniform": (_uniform, 2),
    "standard_normal": (_standard_normal, 0),
    "normal": (_normal, 2),
    "integers": (_integers, 2),
}


class _Source:
    """A generator object whose arrays are ours; everything else is the real one's."""

    __slots__ = ("_real", "__dict__")

    def __init__(self, *args, **kwargs):
        object.__setattr__(self, "_real", type(self)._class(*args, **kwargs))

    @classmethod
    def _of(cls, real):
        self = object.__new__(cls)
        object.__setattr__(self, "_real", real)
        return self

    def __getattr__(self, name):
        value = getattr(self._real, name)
        if isinstance(value, (types.BuiltinMethodType, types.MethodType)):
            if name == "spawn":
                return lambda n: [type(self)._of(g) for g in value(n)]
            value = self.__dict__[name] = _drawing(name, value, self._many(name))
        return value

    def _many(self, name):
        return None

    def __setattr__(self, name, value):
        setattr(self._real, name, value)

    def __repr__(self):
        return repr(self._real)

    def __dir__(self):
        return dir(self._real)

    def __reduce__(self):
        return _restore, (type(self), self._real)

    def __copy__(self):
        import copy

        return type(self)._of(copy.copy(self._real))

    def __deepcopy__(self, memo):
        import copy

        return type(self)._of(copy.deepcopy(self._real, memo))


class Generator(_Source):
    _class = _real.Generator

    def _many(self, name):
        if name not in _MANY or type(self._real.bit_generator) is not _real.PCG64:
            return None
        draw, at = _MANY[name]
        return functools.partial(draw, self._real), at


class RandomState(_Source):
    _class = _real.RandomState


def _restore(cls, real):
    return cls._of(real)


def default_rng(seed=None):
    if type(seed) is int or seed is None:
        return Generator._of(_real.default_rng(seed))
    if isinstance(seed, Generator):
        return seed
    if isinstance(seed, RandomState):
        seed = seed._real
    return Generator._of(_real.default_rng(_fallback.unwrap(seed)))


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
