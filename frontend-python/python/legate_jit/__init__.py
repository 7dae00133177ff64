"""NumPy programs, recorded, fused and compiled.

    import legate_jit.numpy as np

is all that a program changes. This module holds what a program may ask about itself: `sync`, `stats`, `report`, `config`.
"""

import os
import sys


def _import_numpy():
    """Imports NumPy, if nobody has, so that its BLAS leaves the processors to others when it has nothing to do.

    OpenBLAS's threads look for work for a tenth of a second (2**28 clock cycles) after they have started and after every product.
    Some milliseconds are enough not to sleep between one product and the next.
    """
    setting = "OPENBLAS_THREAD_TIMEOUT"
    if "numpy" in sys.modules or setting in os.environ:
        return
    os.environ[setting] = "24"
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[setting]


_import_numpy()

from . import _native  # noqa: E402
from ._native import sync  # noqa: E402

__version__ = _native.__version__
__all__ = ["FallbackError", "config", "report", "stats", "sync", "__version__"]


def stats():
    """Counters since the start of the process, as a dict."""
    from ._fallback import calls

    counters = dict(_native.stats())
    counters["numpy_calls"] = sum(calls.values())
    return counters


def report(file=None):
    """Prints which functions ran in NumPy and how often, and the counters."""
    from ._fallback import calls

    counters = stats()
    if calls:
        width = max(map(len, calls))
        print("Calls that ran in NumPy:", file=file)
        for name, count in sorted(calls.items(), key=lambda item: (-item[1], item[0])):
            print(f"  {name:<{width}}  {count}", file=file)
    else:
        print("No call ran in NumPy.", file=file)
    width = max(map(len, counters))
    print("Counters:", file=file)
    for name, count in counters.items():
        print(f"  {name:<{width}}  {count}", file=file)


def config():
    """The settings (environment variables LEGATE_JIT_*) as this process sees them: name -> (value, what it means)."""
    return _native.config()


def __getattr__(name):
    if name == "FallbackError":
        from ._fallback import FallbackError

        return FallbackError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
