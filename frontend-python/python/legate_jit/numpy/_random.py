"""`numpy.random` seen through our module: NumPy's own generators fill the buffers, so the same seed gives the same numbers.

The arrays they return become ours without a copy. This is the design, not a fallback, and is not counted.
"""

import sys
import types

import numpy as _np

from .. import _fallback

_real = _np.random


def _drawing(name, function):
    return _fallback._dress(_fallback.passed(function), name, function)


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
            value = self.__dict__[name] = _drawing(name, value)
        return value

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
