"""NumPy programs, recorded, fused and compiled.

    import legate_jit.numpy as np

is all that a program changes. This module holds what a program may ask about itself: `sync`, `stats`, `report`, `config`.
"""

import os
import sys


#: How long the threads of NumPy's BLAS look for work, as a power of two of clock cycles.
_TIMEOUT = "OPENBLAS_THREAD_TIMEOUT"


def _import_native():
    """Imports NumPy, if nobody has, and what is ours, so that NumPy's BLAS leaves the processors to others when it has nothing to do.

    OpenBLAS's threads look for work for a tenth of a second (2**28 clock cycles) after they have started and after every product.
    Some milliseconds are enough not to sleep between one product and the next. Where they are there already, they may have started just
    now, and would take a processor from the first tenth of a second: they end, and those that NumPy's next product starts know better.
    """
    there, said = "numpy" in sys.modules, _TIMEOUT in os.environ
    if not said:
        os.environ[_TIMEOUT] = "24"
    try:
        import numpy  # noqa: F401

        from . import _native

        if there and not said:
            _native.end_blas_threads()
    finally:
        if not said:
            del os.environ[_TIMEOUT]
    return _native


_native = _import_native()
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
    """Prints which functions ran in NumPy and how often, which kernels have no code and why, and the counters."""
    from ._fallback import calls

    counters = stats()
    if calls:
        width = max(map(len, calls))
        print("Calls that ran in NumPy:", file=file)
        for name, count in sorted(calls.items(), key=lambda item: (-item[1], item[0])):
            print(f"  {name:<{width}}  {count}", file=file)
    else:
        print("No call ran in NumPy.", file=file)
    refused = _native.kernels_refused()
    if refused:
        print("Kernels that could not be compiled (prebuilt loops ran them):", file=file)
        for text, why in refused:
            print(f"  {why}", *text.rstrip().splitlines(), sep="\n    ", file=file)
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
