"""`einsum` of one or two arrays as views, products of matrices and sums; `kron` and `cross` as NumPy composes them.

NumPy's own `einsum` is a loop over all indices, which no product of matrices is. What is written more strangely than usual
(an ellipsis, lists of axes, more operands, `out=`) runs there, and so does what it refuses.
"""

import functools
import math

import numpy as _np

from .. import _fallback
from .._native import asarray, empty, matmul, ndarray, ufuncs
from .._native import sum as _sum

_multiply, _subtract = ufuncs()["multiply"], ufuncs()["subtract"]


@functools.lru_cache(maxsize=512)
def _parsed(subscripts, axes):
    """The letters of each operand and of the result; `None` where that is not all there is to say."""
    text, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = text.split(",")
    letters = "".join(terms)
    if not arrow:
        result = "".join(c for c in sorted(letters) if letters.count(c) == 1)
    if len(terms) != len(axes) or not (letters + result).isalpha() and letters + result:
        return None
    if any(len(t) != n or len(set(t)) < len(t) for t, n in zip(terms, axes)):
        return None
    if len(set(result)) < len(result) or not set(result) <= set(letters):
        return None
    return terms, result


@functools.lru_cache(maxsize=512)
def _turned(ta, tb, result):
    """For a product of two matrices, which of them and of the result are transposed; else `None`."""
    common = set(ta) & set(tb) - set(result)
    if not len(ta) == len(tb) == len(result) == 2 or len(common) != 1 or not set(ta) ^ set(tb) == set(result):
        return None
    return ta[0] in common, tb[1] in common, result[0] in tb


def _summed(a, term, away):
    """`a` without some of its letters, and the letters that are left."""
    axes = tuple(i for i, c in enumerate(term) if c in away)
    if not axes:
        return a, term
    return _sum(a, axis=axes, dtype=a.dtype), "".join(c for c in term if c not in away)


def _ordered(a, term, order):
    return a if term == order else a.transpose([term.index(c) for c in order])


def _of_two(a, ta, b, tb, result):
    if ta == tb and not result:
        return matmul(a.reshape(-1), b.reshape(-1))
    a, ta = _summed(a, ta, set(ta) - set(tb) - set(result))
    b, tb = _summed(b, tb, set(tb) - set(ta) - set(result))
    sizes = dict(zip(ta, a.shape)) | dict(zip(tb, b.shape))
    both = [c for c in ta if c in tb]
    common = "".join(c for c in both if c not in result)
    stack = "".join(c for c in result if c in both)
    left = "".join(c for c in result if c in ta and c not in tb)
    right = "".join(c for c in result if c in tb and c not in ta)
    if not result:
        return matmul(a.reshape(-1), _ordered(b, tb, ta).reshape(-1))
    if not common:
        # Elementwise, with the letters that an operand has not broadcast. NumPy adds each product to a zero.
        spread = [
            _ordered(x, t, "".join(c for c in result if c in t))[tuple(slice(None) if c in t else None for c in result)]
            for x, t in ((a, ta), (b, tb))
        ]
        return _multiply(*spread) + 0
    if not left and not right and stack:
        product = _multiply(_ordered(a, ta, stack + common), _ordered(b, tb, stack + common))
        total = _sum(product, axis=tuple(range(len(stack), product.ndim)), dtype=product.dtype)
        return _ordered(total, stack, result)

    def sizes_of(letters):
        return [sizes[c] for c in letters]

    x = _ordered(a, ta, stack + left + common).reshape(sizes_of(stack) + [math.prod(sizes_of(s)) for s in (left, common)])
    y = _ordered(b, tb, stack + common + right).reshape(sizes_of(stack) + [math.prod(sizes_of(s)) for s in (common, right)])
    return _ordered(matmul(x, y).reshape(sizes_of(stack + left + right)), stack + left + right, result)


@functools.lru_cache(maxsize=512)
def _product(subscripts, m, n):
    """For a product of a matrix with a matrix or a vector: which axes are summed up, and which of the operands and of the result
    are transposed; else `None`."""
    parsed = _parsed(subscripts, (m, n))
    if parsed is None or m != 2 or n not in (1, 2):
        return None
    (ta, tb), result = parsed
    if n == 2:
        turned = _turned(ta, tb, result)
        return turned and (0 if turned[0] else 1, 1 if turned[1] else 0, *turned)
    if len(result) == 1 and tb != result and tb in ta and result in ta:
        return ta.index(tb), 0, ta[0] != result, False, False
    return None


def einsum(subscripts, /, *operands, out=None, optimize=False, **kwargs):
    if len(operands) == 2 and type(subscripts) is str and out is None and not kwargs:
        a, b = operands
        if type(a) is ndarray and type(b) is ndarray and (way := _product(subscripts, a.ndim, b.ndim)):
            i, j, turn_a, turn_b, turn = way
            if a.shape[i] == b.shape[j] and a.dtype.kind != "b" != b.dtype.kind:
                product = matmul(a.T if turn_a else a, b.T if turn_b else b)
                return product.T if turn else product
    ours = out is None and not kwargs and type(subscripts) is str and len(operands) in (1, 2)
    ours = ours and all(type(a) is ndarray and a.dtype.kind != "b" for a in operands)
    if ours and (parsed := _parsed(subscripts, tuple([a.ndim for a in operands]))):
        terms, result = parsed
        if len(operands) == 1:
            a, term = _summed(operands[0], terms[0], set(terms[0]) - set(result))
            return _ordered(a, term, result)
        (a, b), (ta, tb) = operands, terms
        sizes = dict(zip(ta, a.shape))
        if all(sizes.get(c, n) == n for c, n in zip(tb, b.shape)):
            return _of_two(a, ta, b, tb, result)
    if out is not None:
        kwargs["out"] = out
    return _fallback.run("einsum", _np.einsum, (subscripts, *operands), dict(kwargs, optimize=optimize))


def kron(a, b):
    if type(a) is not ndarray or type(b) is not ndarray or a.ndim == 0 or b.ndim == 0:
        return _fallback.run("kron", _np.kron, (a, b), {})
    n = max(a.ndim, b.ndim)
    a, b = (x if x.ndim == n else x.reshape((1,) * (n - x.ndim) + tuple(x.shape)) for x in (a, b))
    first = a[(slice(None), None) * n]
    second = b[(None, slice(None)) * n]
    return _multiply(first, second).reshape([p * q for p, q in zip(a.shape, b.shape)])


def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    if axis is None and axisa == axisb == axisc == -1:
        a, b = asarray(a), asarray(b)
        plain = type(a) is ndarray and type(b) is ndarray and a.ndim > 0 and a.shape == b.shape and a.shape[-1] == 3
        if plain and a.dtype == b.dtype and a.dtype.kind in "fc":
            x, y = ([v[..., i] for i in range(3)] for v in (a, b))
            c = empty(a.shape, a.dtype)
            for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
                c[..., i] = _subtract(_multiply(x[j], y[k]), _multiply(x[k], y[j]))
            return c
    return _fallback.run("cross", _np.cross, (a, b, axisa, axisb, axisc, axis), {})


for _function in (einsum, kron, cross):
    _fallback._dress(_function, _function.__name__, getattr(_np, _function.__name__))
