"""What of `numpy.linalg` is ours; the rest runs in NumPy (see `_fallback`).

Factorisations are LAPACK's, through the inner loops that NumPy's own functions call: for arrays of doubles nothing has to be
looked up or converted before, so that small ones do not pay more for it than for the arithmetic.
"""

import numpy as _np

from .. import _fallback, _native
from .._native import adopt_array, host, ndarray
from ._math import triu as _triu

_ufuncs = _native.ufuncs()
_sqrt, _multiply, _matmul, _absolute = (_ufuncs[name] for name in ("sqrt", "multiply", "matmul", "absolute"))

# Of a complex number's bytes, the type of its parts.
_PARTS = {8: _np.dtype("f4"), 16: _np.dtype("f8")}


def norm(x, ord=None, axis=None, keepdims=False):
    if type(x) is ndarray and type(ord) is int and x.ndim == 1 and axis is None and not keepdims and x.dtype.kind == "f":
        if ord == 1:
            return _absolute(x).sum()
        ord = None if ord == 2 else ord
    if type(x) is ndarray and ord is None and not keepdims:
        kind, size = x.dtype.kind, x.dtype.itemsize
        if kind in "biu":
            x, kind, size = x.astype(float), "f", 8
        if kind == "c" and axis is None:
            # The parts of all numbers are numbers of their own.
            x, kind, size = x.ravel().view(_PARTS[size]), "f", size // 2
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
    no_qr = errors(_linalg._raise_linalgerror_qr)
    no_lstsq = errors(_linalg._raise_linalgerror_lstsq)
    epsilon = float(_np.finfo(float).eps)
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
        return adopt_array(typed(x, a, real), False)

    def typed(x, a, real=False):
        """NumPy's array or scalar in the type that NumPy gives for `a`."""
        char = a.dtype.char
        if real:
            char = char.lower()
        # (Even where it has nothing to do, a scalar's astype takes half a microsecond.)
        return x if char in "dD" else x.astype(char)

    def square(a):
        if type(a) is ndarray and len(shape := a.shape) > 1 and shape[-1] == shape[-2]:
            return computed_in.get(a.dtype.char)

    def singular_values(a, k):
        return typed(run(no_svd, lapack.svd, k + "->d", host(a)), a, True)

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
        return typed(d, a) if a.ndim == 2 else result(d, a)

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
            return adopt_array(singular_values(a, k), False)
        f = lapack.svd_f if full_matrices else lapack.svd_s
        u, s, vh = run(no_svd, f, f"{k}->{k}d{k}", host(a))
        return _linalg.SVDResult(result(u, a), result(s, a, real=True), result(vh, a))

    def svdvals(x, /):
        return svd(x, compute_uv=False) if kind(x) else _fallback.run("linalg.svdvals", _np.linalg.svdvals, (x,), {})

    def slogdet(a):
        if not (k := square(a)):
            return fall_back(_np.linalg.slogdet, a)
        sign, logdet = lapack.slogdet(host(a), signature=f"{k}->{k}d")
        made = typed if a.ndim == 2 else result
        return _linalg.SlogdetResult(made(sign, a), made(logdet, a, True))

    def values_of(w, a, v=None):
        """Eigenvalues (and vectors) as ours: real where all values of a real matrix are."""
        char = a.dtype.char
        if char in "fd":
            if (w.imag == 0.0).all():
                w, v = w.real, None if v is None else v.real
            else:
                char = char.upper()
        made = [adopt_array(x if x.dtype.char == char else x.astype(char), False) for x in (w, v) if x is not None]
        return made[0] if v is None else _linalg.EigResult(*made)

    def eig(a):
        # (What is not finite is refused there.)
        if not (k := square(a)) or not _np.isfinite(h := host(a)).all():
            return fall_back(_np.linalg.eig, a)
        w, v = run(no_eigenvalues, lapack.eig, k + "->DD", h)
        return values_of(w, a, v)

    def eigvals(a):
        if not (k := square(a)) or not _np.isfinite(h := host(a)).all():
            return fall_back(_np.linalg.eigvals, a)
        return values_of(run(no_eigenvalues, lapack.eigvals, k + "->D", h), a)

    def qr(a, mode="reduced"):
        if not (k := kind(a)) or mode not in ("reduced", "complete", "r", "raw"):
            return fall_back(_np.linalg.qr, a, mode)
        # Householder's vectors and R take the copy's place.
        h = host(a).astype(k)
        tau = run(no_qr, lapack.qr_r_raw, f"{k}->{k}", h)
        rows, columns = h.shape[-2:]
        if mode == "raw":
            return result(h.swapaxes(-1, -2), a), result(tau, a)
        kept = rows if mode == "complete" and rows > columns else min(rows, columns)
        if mode != "r":
            f = lapack.qr_complete if kept > columns else lapack.qr_reduced
            q = result(run(no_qr, f, f"{k}{k}->{k}", h, tau), a)
        r = _triu(result(h[..., :kept, :], a))
        return r if mode == "r" else _linalg.QRResult(q, r)

    def lstsq(a, b, rcond=None):
        k = kind(a)
        if (
            not k
            or type(b) is not ndarray
            or b.dtype != a.dtype
            or a.ndim != 2
            or not 0 < b.ndim < 3
            or a.shape[0] != b.shape[0]
            or not (a.size and b.size)
            or not (rcond is None or type(rcond) in (int, float, _np.float64))
        ):
            return fall_back(_np.linalg.lstsq, a, b, rcond)
        m, n = a.shape
        if rcond is None:
            rcond = epsilon * max(m, n)
        right = host(b)
        if b.ndim == 1:
            right = right[:, None]
        x, rest, rank, s = run(no_lstsq, lapack.lstsq, f"{k}{k}d->{k}did", host(a), right, rcond)
        if b.ndim == 1:
            x = x[:, 0]
        if rank != n or m <= n:
            rest = _np.empty(0)
        # (A copy, or the whole array that LAPACK wrote stays in memory.)
        return result(x.copy(), a), result(rest, a, real=True), rank, result(s, a, real=True)

    def is_number(x):
        return x is None or type(x) in (int, float, _np.float64)

    def pinv(a, rcond=None, hermitian=False, *, rtol=_np._NoValue):
        plain = is_number(rcond) and (rtol is _np._NoValue or rcond is None and is_number(rtol))
        if not (k := kind(a)) or hermitian or not a.size or not plain:
            more = {} if rtol is _np._NoValue else dict(rtol=rtol)
            return _fallback.run("linalg.pinv", _np.linalg.pinv, (a, rcond, hermitian), more)
        if rcond is None:
            rcond = 1e-15 if rtol is _np._NoValue else rtol
        if rcond is None:
            rcond = max(a.shape[-2:]) * float(_np.finfo(a.dtype).eps)
        h = host(a)
        u, s, vh = run(no_svd, lapack.svd_s, f"{k}->{k}d{k}", h.conj() if k == "D" else h)
        s = typed(s, a, True)
        large = s > float(rcond) * s.max(axis=-1, keepdims=True).astype("d")
        s = _np.divide(1, s, where=large, out=_np.zeros_like(s))
        scaled = s[..., None] * typed(u, a).swapaxes(-1, -2)
        return _matmul(result(vh.swapaxes(-1, -2), a), adopt_array(scaled, False))

    def cond(x, p=None):
        if (k := kind(x)) and x.size and (p is None or type(p) is int and p in (2, -2)):
            s = singular_values(x, k)
            first, last = s[..., 0], s[..., -1]
            # What is singular is NumPy's to say something about.
            if s.ndim == 1:
                if last > 0 and first < _np.inf:
                    return last / first if p == -2 else first / last
            elif (last > 0).all() and (first < _np.inf).all():
                return adopt_array(last / first if p == -2 else first / last, False)
        return fall_back(_np.linalg.cond, x, p)

    def matrix_rank(A, tol=None, hermitian=False, *, rtol=None):
        plain = is_number(tol) and is_number(rtol) and None in (tol, rtol)
        if not (k := kind(A)) or hermitian or not A.size or not plain:
            return _fallback.run("linalg.matrix_rank", _np.linalg.matrix_rank, (A, tol, hermitian), dict(rtol=rtol))
        s = singular_values(A, k)
        if tol is None:
            if rtol is None:
                rtol = max(A.shape[-2:]) * _np.finfo(s.dtype).eps
            else:
                rtol = _np.float64(rtol)
            tol = s.max(axis=-1, keepdims=True) * rtol
        rank = (s > tol).sum(axis=-1, dtype=_np.intp)
        return adopt_array(rank, False) if s.ndim > 1 else rank

    def matrix_power(a, n):
        if not square(a) or type(n) is not int or n == 0:
            return fall_back(_np.linalg.matrix_power, a, n)
        if n < 0:
            a, n = inv(a), -n
        if n < 4:
            return a if n == 1 else _matmul(a, a) if n == 2 else _matmul(_matmul(a, a), a)
        power, product = a, None
        while True:
            n, bit = divmod(n, 2)
            if bit:
                product = power if product is None else _matmul(product, power)
            if n == 0:
                return product
            power = _matmul(power, power)

    def multi_dot(arrays, *, out=None):
        arrays = list(arrays)
        chars = {x.dtype.char if type(x) is ndarray else None for x in arrays}
        inner = [x.ndim for x in arrays[1:-1]] if None not in chars else []
        if out is not None or len(arrays) < 3 or not chars < set(computed_in) or len(chars) > 1 or any(d != 2 for d in inner):
            return _fallback.run("linalg.multi_dot", _np.linalg.multi_dot, (arrays,), dict(out=out))
        if not (0 < arrays[0].ndim < 3 and 0 < arrays[-1].ndim < 3):
            return _fallback.run("linalg.multi_dot", _np.linalg.multi_dot, (arrays,), {})
        first, last = arrays[0].ndim, arrays[-1].ndim
        if first == 1:
            arrays[0] = arrays[0][None, :]
        if last == 1:
            arrays[-1] = arrays[-1][:, None]
        order = _linalg._multi_dot_matrix_chain_order(arrays)

        def product(i, j):
            return arrays[i] if i == j else _matmul(product(i, order[i, j]), product(order[i, j] + 1, j))

        whole = product(0, len(arrays) - 1)
        if first == 1 and last == 1:
            return whole[0, 0]
        return whole.ravel() if first == 1 or last == 1 else whole

    for function in (inv, solve, det, cholesky, eigh, eigvalsh, svd, svdvals, slogdet, eig, eigvals):
        _own(function)
    for function in (qr, lstsq, pinv, cond, matrix_rank, matrix_power, multi_dot):
        _own(function)


try:
    _factorisations()
except (ImportError, AttributeError):
    # Another NumPy, whose insides have other names.
    pass
