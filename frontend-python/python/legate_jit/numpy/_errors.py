"""`np.errstate`, `np.seterr`: how floating point errors are handled.

Compiled kernels do not look for floating point errors, so arrays give no RuntimeWarning. Where a program asks for
exceptions (or for calls, prints, logs), NumPy does the arithmetic until nobody asks any more, and such calls are counted.
"""

import functools
import threading

import numpy as _np

from .. import _native

_lock = threading.Lock()
# How many `with errstate(...)` that ask are entered now, in all threads; and what `seterr` said last.
_inside = 0
_outside = False


def _asks():
    return not {"raise", "call", "print", "log"}.isdisjoint(_np.geterr().values())


def _note(change=0):
    global _inside, _outside
    with _lock:
        _inside += change
        if not change:
            _outside = _asks()
        _native.set_strict(_inside > 0 or _outside)


def seterr(all=None, divide=None, over=None, under=None, invalid=None):
    old = _np.seterr(all, divide, over, under, invalid)
    _note()
    return old


class errstate(_np.errstate):
    __slots__ = ("_asked",)

    def __enter__(self):
        result = super().__enter__()
        self._asked = _asks()
        if self._asked:
            _note(1)
        return result

    def __exit__(self, *args):
        result = super().__exit__(*args)
        if self._asked:
            _note(-1)
        return result

    def __call__(self, function):
        @functools.wraps(function)
        def noting(*args, **kwargs):
            if not _asks():
                return function(*args, **kwargs)
            _note(1)
            try:
                return function(*args, **kwargs)
            finally:
                _note(-1)

        return super().__call__(noting)


seterr.__doc__ = _np.seterr.__doc__
errstate.__doc__ = _np.errstate.__doc__
