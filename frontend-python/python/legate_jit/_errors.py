"""Exceptions of NumPy's that cannot be made from their message alone."""

from numpy._core._exceptions import UFuncTypeError as _Base


class UFuncTypeError(_Base):
    """NumPy's UFuncTypeError with a finished message."""

    def __init__(self, message):
        Exception.__init__(self, message)
        self.message = message

    def __str__(self):
        return self.message

    def __reduce__(self):
        return type(self), (self.message,)
