"""What of `numpy.linalg` is ours; the rest runs in NumPy (see `_fallback`).

Factorisations are LAPACK's, through the inner loops that NumPy's own functions call: for arrays of doubles nothing has to be
looked up or converted before, so that small ones do not pay more for it than for the arithmetic.
"""

import numpy as _np

from .. import _fallback, _native
from .._native import adopt_array, host, ndarray

_ufuncs = _native.ufuncs()
_sqrt, _multiply, _matmul = _ufuncs["sqrt"], _ufuncs["multiply"], _ufuncs["matmul"]


def norm(x, ord=None, axis=None, keepdims=False):
    if type(x) is ndarray and ord is None and not keepdims:
        kind, size = x.dtype.kind, x.dtype.itemsize
        if kind in "biu":
            x, kind, size = x.astype(float), "f", 8
        if kind == "f" and size >= 4:
            if axis is None:
                x = x.ravel()
                return _sqrt(_matmul(x, x))
            if type(axis) is int:
                return _sqrt(_multiply(x, x).sum(axis))
    return _fallback.run("linalg.norm", _np.linalg.norm, (x, ord, axis, keepdims), {})


def _own(function):
    name = "linalg." + function.__name__
    _fallback._dress(function, name, getattr(_np.linalg, function.__name__))
    _fallback.own[name] = function


_own(norm)


def _factorisations():
    from numpy._core.umath import _extobj_contextvar, _make_extobj
    from numpy.linalg import _linalg, _umath_linalg as lapack

    def errors(raising):
        # What `errstate` would set, made once.
        return _make_extobj(call=raising, all="ignore", invalid="call")

    singular = errors(_linalg._raise_linalgerror_singular)
    indefinite = errors(_linalg._raise_linalgerror_nonposdef)
    no_eigenvalues = errors(_linalg._raise_linalgerror_eigenvalues_nonconvergence)
    no_svd = errors(_linalg._raise_linalgerror_svd_nonconvergence)

    def run(raising, f, signature, *args):
        token = _extobj_contextvar.set(raising)
        try:
            return f(*args, signature=signature)
        finally:
            _extobj_contextvar.reset(token)

    def kind(a):
        """"d" or "D" for a matrix of ours, or a stack of them: what NumPy computes in, whatever the elements; else nothing."""
        return computed_in.get(a.dtype.char) if type(a) is ndarray and a.ndim > 1 else None

    computed_in = {"f": "d", "d": "d", "F": "D", "D": "D"}

    def result(x, a, real=False):
        """What was computed, as ours in the type that NumPy gives for `a`."""
        char = a.dtype.char
        return adopt_array(x.astype(char.lower() if real else char, copy=False), False)

    def square(a):
        return kind(a) if type(a) is ndarray and a.shape[-2:-1] == a.shape[-1:] else None

    def fall_back(function, *args):
        return _fallback.run("linalg." + function.__name__, function, args, {})

    def inv(a):
        if not (k := square(a)):
            return fall_back(_np.linalg.inv, a)
        return result(run(singular, lapack.inv, k + "->" + k, host(a)), a)

    def solve(a, b):
        if not (k := square(a)) or type(b) is not ndarray or b.ndim == 0 or b.dtype != a.dtype:
            return fall_back(_np.linalg.solve, a, b)
        f = lapack.solve1 if b.ndim == 1 else lapack.solve
        return result(run(singular, f, k + k + "->" + k, host(a), host(b)), a)

    def det(a):
        if not (k := square(a)):
            return fall_back(_np.linalg.det, a)
        d = lapack.det(host(a), signature=k + "->" + k)
        return d.astype(a.dtype, copy=False) if a.ndim == 2 else result(d, a)

    def cholesky(a, /, *, upper=False):
        if not (k := square(a)):
            return _fallback.run("linalg.cholesky", _np.linalg.cholesky, (a,), dict(upper=upper))
        f = lapack.cholesky_up if upper else lapack.cholesky_lo
        return result(run(indefinite, f, k + "->" + k, host(a)), a)

    def eigh(a, UPLO="L"):
        if not (k := square(a)) or UPLO not in ("L", "U"):
            return fall_back(_np.linalg.eigh, a, UPLO)
        f = lapack.eigh_lo if UPLO == "L" else lapack.eigh_up
        w, v = run(no_eigenvalues, f, k + "->d" + k, host(a))
        return _linalg.EighResult(result(w, a, real=True), result(v, a))

    def eigvalsh(a, UPLO="L"):
        if not (k := square(a)) or UPLO not in ("L", "U"):
            return fall_back(_np.linalg.eigvalsh, a, UPLO)
        f = lapack.eigvalsh_lo if UPLO == "L" else lapack.eigvalsh_up
        return result(run(no_eigenvalues, f, k + "->d", host(a)), a, real=True)

    def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
        if not (k := kind(a)) or hermitian:
            return fall_back(_np.linalg.svd, a, full_matrices, compute_uv, hermitian)
        if not compute_uv:
            return result(run(no_svd, lapack.svd, k + "->d", host(a)), a, real=True)
        f = lapack.svd_f if full_matrices else lapack.svd_s
        u, s, vh = run(no_svd, f, f"{k}->{k}d{k}", host(a))
        return _linalg.SVDResult(result(u, a), result(s, a, real=True), result(vh, a))

    for function in (inv, solve, det, cholesky, eigh, eigvalsh, svd):
        _own(function)


try:
    _factorisations()
except (ImportError, AttributeError):
    # Another NumPy, whose insides have other names.
    pass
