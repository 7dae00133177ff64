"""`import legate_jit.numpy.random`: stands for the module that `_random` makes, which takes its place when it is loaded."""

from . import _random  # noqa: F401
