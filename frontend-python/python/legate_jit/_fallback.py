"""What NumPy has and we have not: the call runs in NumPy, on real arrays that share our memory.

Arguments that are ours (also inside lists, tuples and dicts, and as `out=`) become NumPy arrays without a copy; arrays
that come back become ours, without a copy too. Every such call is counted by name, see `legate_jit.report()`.
`LEGATE_JIT_FALLBACK=error` makes each of them an error instead, for programs that must not leave our own code.
"""

import collections.abc
import functools
import sys
import types

import numpy

from . import _native
from ._native import adopt_array, count, host, ndarray, passed, scalar
from ._native import call_numpy as run_uncounted
from ._native import run_in_numpy as run

_ours = (ndarray, scalar)


class Calls(collections.abc.Mapping):
    """How often each function ran in NumPy: name -> calls, 0 for those that did not."""

    def __getitem__(self, name):
        return _native.call_counts().get(name, 0)

    def __iter__(self):
        return iter(_native.call_counts())

    def __len__(self):
        return len(_native.call_counts())


calls = Calls()


class FallbackError(RuntimeError):
    """A call would have to run in NumPy, and LEGATE_JIT_FALLBACK=error forbids it."""


def forbid(name):
    raise FallbackError(f"{name} runs in NumPy, which LEGATE_JIT_FALLBACK=error forbids")


def unwrap(x):
    """`x` with every array of ours in it replaced by NumPy's view of the same memory."""
    kind = type(x)
    if kind in _ours:
        return host(x)
    if kind is tuple or kind is list:
        for item in x:
            if type(item) in _CONTAINERS:
                return kind([unwrap(item) for item in x])
        return x
    if kind is dict:
        return {key: unwrap(value) for key, value in x.items()}
    if kind is slice:
        if type(x.start) in _ours or type(x.stop) in _ours or type(x.step) in _ours:
            return slice(unwrap(x.start), unwrap(x.stop), unwrap(x.step))
        return x
    if isinstance(x, tuple) and hasattr(x, "_make"):
        return x._make(map(unwrap, x))
    return x


_CONTAINERS = frozenset({ndarray, scalar, tuple, list, dict, slice})


def wrap(x, shared=False):
    """`x` with every NumPy array in it that we can hold replaced by ours over the same memory. `shared`: somebody else may
    go on using that memory."""
    kind = type(x)
    if kind is numpy.ndarray:
        return adopt_array(x, shared)
    if kind is tuple or kind is list:
        return kind([wrap(item, shared) for item in x])
    if kind is dict:
        return {key: wrap(value, shared) for key, value in x.items()}
    if isinstance(x, tuple) and hasattr(x, "_make"):
        return x._make([wrap(item, shared) for item in x])
    return x


def run_method(name, self, args, kwargs):
    """Calls the method of NumPy's array (or scalar) of the same value."""
    count(("ndarray." if type(self) is ndarray else "generic.") + name)
    target = host(self)
    result = run_uncounted(getattr(target, name), args, kwargs)
    return self if result is target else result


def look(name, self, args, kwargs):
    """The same for what NumPy does on the array's own memory without arithmetic, which is not counted."""
    return run_uncounted(getattr(host(self), name), args, kwargs)


def method(name, counted=True):
    """A method of our array that NumPy's own runs."""
    real = getattr(numpy.ndarray, name)
    return _dress(passed(real, "ndarray." + name if counted else None, name), name, real)


def _dress(call, name, real):
    call.__name__ = name.rpartition(".")[2]
    call.__qualname__ = call.__name__
    call.__doc__ = getattr(real, "__doc__", None)
    call.__module__ = getattr(real, "__module__", None) or "numpy"
    call.__wrapped__ = real
    return call


def function(name, real):
    """A function that NumPy's own runs."""
    return _dress(passed(real, name), name, real)


class Callable:
    # A callable object of NumPy's (a ufunc that is not ours, an instance of `numpy.vectorize`): its calls and those of its
    # methods are counted and give arrays of ours.

    __slots__ = ("_name", "_real", "__dict__")

    def __init__(self, name, real):
        self._name = name
        self._real = real

    __doc__ = property(lambda self: self._real.__doc__)

    def __call__(self, *args, **kwargs):
        return run(self._name, self._real, args, kwargs)

    def __getattr__(self, attribute):
        if attribute == "__name__":
            return getattr(self._real, attribute, self._name)
        value = getattr(self._real, attribute)
        if callable(value):
            return function(f"{self._name}.{attribute}", value)
        return wrap(value)

    def __repr__(self):
        return repr(self._real)


# Objects whose `obj[...]` makes arrays (`np.r_`, `np.mgrid`, ...).
class Indexer(_native.source):
    __slots__ = ()

    def __getattr__(self, attribute):
        return getattr(self._real, attribute)

    def __repr__(self):
        return repr(self._real)


def _indexer(name, real):
    general = passed(type(real).__getitem__, name, of_sources=True)
    get = general
    if name in ("r_", "c_"):

        def get(self, key, columns=name == "c_"):
            made = _native.indexed_together(key, columns)
            return general(self, key) if made is None else made

    return _native.around(type("Indexer", (Indexer,), {"__slots__": (), "__getitem__": get}), real)


_INDEXERS = frozenset({"r_", "c_", "mgrid", "ogrid"})


class _Class(type):
    """The stand-in for a class of NumPy's whose instances are functions: it makes instances that give our arrays, and real
    instances count as its own."""

    def __call__(cls, *args, **kwargs):
        return Callable(cls._name, cls._class(*args, **kwargs))

    def __instancecheck__(cls, x):
        return type.__instancecheck__(cls, x) or isinstance(getattr(x, "_real", x), cls._class)


def _callable_class(name, real):
    return _Class(real.__name__, (), {"_name": name, "_class": real, "__doc__": real.__doc__})


# Functions of NumPy's modules (`linalg.norm`) that are ours.
own = {}


def attribute(name, value):
    """What our module shows for `numpy.<name>`."""
    if name in own:
        return own[name]
    if isinstance(value, types.ModuleType):
        return module(f"legate_jit.numpy.{name}", value, name + ".")
    if isinstance(value, type):
        return _callable_class(name, value) if name in ("vectorize",) else value
    if isinstance(value, numpy.ndarray):
        return wrap(value)
    if name in _INDEXERS:
        return _indexer(name, value)
    if isinstance(value, numpy.ufunc):
        return Callable(name, value)
    if callable(value):
        return function(name, value)
    return value


def _seen(name, real, prefix):
    """A module of NumPy's (SciPy's, pandas') seen through the same glass. It is a plain module, whose attributes Python finds
    quickly."""
    module = types.ModuleType(name, real.__doc__)

    def look(name):
        if name.startswith("__") and name != "__version__":
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        value = attribute(prefix + name, getattr(real, name))
        module.__dict__[name] = value
        return value

    module.__path__ = []
    module.__getattr__, module.__dir__ = look, lambda: dir(real)
    return module


def module(name, real, prefix):
    """The stand-in for a real module, registered so that `import` finds it."""
    known = sys.modules.get(name)
    if known is None:
        known = sys.modules[name] = _seen(name, real, prefix)
    return known


class Finder:
    """Imports below our packages (`import legate_jit.numpy.linalg`, `from legate_jit.scipy import ndimage`)."""

    roots = {"legate_jit.numpy.": "numpy.", "legate_jit.scipy.": "scipy.", "legate_jit.pandas.": "pandas."}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        for ours, theirs in cls.roots.items():
            if name.startswith(ours):
                import importlib.machinery
                import importlib.util

                real = theirs + name[len(ours) :]
                try:
                    found = importlib.util.find_spec(real)
                except ModuleNotFoundError:
                    found = None
                if found is None:
                    return None
                return importlib.machinery.ModuleSpec(name, cls._Loader(real, ours), is_package=True)
        return None

    class _Loader:
        def __init__(self, real, ours):
            self.real, self.ours = real, ours

        def create_module(self, spec):
            import importlib

            real = importlib.import_module(self.real)
            head, _, rest = self.real.partition(".")
            prefix = rest + "." if head == "numpy" else self.real + "."
            return _seen(spec.name, real, prefix)

        def exec_module(self, module):
            pass


def stand_in(name):
    """Puts the stand-in for SciPy or pandas in the place of our package of that name."""
    import importlib

    real = name.rpartition(".")[2]
    install()
    sys.modules[name] = _seen(name, importlib.import_module(real), real + ".")


def install():
    if Finder not in sys.meta_path:
        sys.meta_path.append(Finder)


def get_item(self, key):
    """`self[key]` with an index that is not basic."""
    count("ndarray.__getitem__")
    return wrap(host(self)[unwrap(key)])


def value_attribute(self, name):
    """An attribute of NumPy's arrays (scalars) that ours have not."""
    real = numpy.ndarray if type(self) is ndarray else self.dtype.type
    if not hasattr(real, name) or name.startswith("__array"):
        kind = "numpy.ndarray" if type(self) is ndarray else f"numpy.{self.dtype.type.__name__}"
        raise AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=self)
    if callable(getattr(real, name)):
        return functools.partial(_call_method, name, self)
    return wrap(getattr(host(self), name))


def _call_method(name, self, *args, **kwargs):
    return run_method(name, self, args, kwargs)
