"""NumPy programs, recorded, fused and compiled.

    import legate_jit.numpy as np

is all that a program changes. This module holds what a program may ask about itself: `sync`, `stats`, `report`, `config`.
"""

from . import _native
from ._native import sync

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
