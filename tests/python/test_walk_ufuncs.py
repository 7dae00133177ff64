"""Every ufunc of NumPy's, on every pair of types, with special values, in every layout."""

import itertools
import warnings

import numpy
import pytest
from same import assert_same, outcome

import legate_jit.numpy as ours

TYPES = "? b h i l B H I L f d F D".split()
UFUNCS = sorted(n for n in dir(numpy) if isinstance(getattr(numpy, n), numpy.ufunc) and n not in ("isnat",))
UNARY = [n for n in UFUNCS if getattr(numpy, n).nin == 1]
BINARY = [n for n in UFUNCS if getattr(numpy, n).nin == 2 and getattr(numpy, n).signature is None]

# Functions that a math library computes: NumPy's own are within 4 units in the last place of the true value, ours
# within 1, so that the two are at most 5 apart. Everything else is equal to the bit.
LIBRARY = set(
    "acos acosh arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh cbrt cos cosh exp exp2 expm1 "
    "float_power hypot log log10 log1p log2 logaddexp logaddexp2 pow power sin sinh tan tanh".split()
)
# The difference of two logarithms that are almost equal.
CANCELLING = {"logaddexp", "logaddexp2"}
COMPLEX_LIBRARY = LIBRARY | set("abs absolute divide true_divide reciprocal sqrt square sign multiply".split())


def values(code):
    """Special values of a type and some plain ones."""
    dtype = numpy.dtype(code)
    if dtype.kind == "b":
        return numpy.array([False, True, True, False, True])
    if dtype.kind in "iu":
        info = numpy.iinfo(dtype)
        extra = [info.min + 1, -1, -2, -7] if dtype.kind == "i" else []
        return numpy.array([0, 1, 2, 3, 5, 7, 100, info.max, info.max - 1, info.min, *extra], dtype)
    info = numpy.finfo(dtype)
    plain = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 0.1, 10.0, 0.75, 1e-3, 700.0, 20.25]
    special = [0.0, info.tiny, info.smallest_subnormal, info.max, info.eps, numpy.inf, numpy.nan]
    real = numpy.array(plain + special)
    real = numpy.concatenate([real, -real]).astype(info.dtype)
    if dtype.kind == "f":
        return real
    parts = numpy.array([0.0, -0.0, 0.5, 1.0, -2.0, 3.25, numpy.inf, -numpy.inf, numpy.nan])
    re, im = numpy.meshgrid(parts, parts)
    out = numpy.empty(re.size, dtype)
    out.real, out.imag = re.ravel(), im.ravel()
    return out


def bound(name, *codes):
    kinds = {numpy.dtype(c).kind for c in codes}
    if "c" in kinds:
        # Complex functions are built of several real ones, here and in NumPy, in different ways.
        return 64 if name in COMPLEX_LIBRARY else 0
    return 64 if name in CANCELLING else 5 if name in LIBRARY else 0


def finite_only(name, codes):
    """Complex library functions at infinities and NaNs differ between C libraries; only finite values are compared."""
    return any(numpy.dtype(c).kind == "c" for c in codes) and name in COMPLEX_LIBRARY


def run_both(name, args, ulps, context):
    want, e = outcome(getattr(numpy, name), *args)
    got, f = outcome(lambda: _computed(getattr(ours, name)(*[ours.asarray(a) for a in args])))
    if e is not None:
        assert f is not None, f"{context}: NumPy raises {e!r}, we gave {got!r}"
        assert isinstance(f, type(e).__mro__[0] if type(e).__module__ == "builtins" else TypeError), (context, e, f)
        return
    if f is not None:
        raise AssertionError(f"{context}: {type(f).__name__}: {f}")
    assert_same(got, want, ulps, context)


def _computed(x):
    for part in x if isinstance(x, tuple) else (x,):
        numpy.asarray(part)
    return x


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    for code in TYPES:
        x = values(code)
        if finite_only(name, [code]):
            x = x[numpy.isfinite(x)]
            x = x[abs(x) < 50]
        run_both(name, [x], bound(name, code), f"{name}({code})")


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    if name in ("left_shift", "right_shift", "bitwise_left_shift", "bitwise_right_shift", "power", "pow", "float_power"):
        limit = lambda y: y[(numpy.abs(y.astype(complex)) < 60) & (y.real >= 0)]
    else:
        limit = lambda y: y
    for a, b in itertools.product(TYPES, TYPES):
        x, y = values(a), limit(values(b))
        if finite_only(name, [a, b]):
            x, y = x[numpy.isfinite(x)], y[numpy.isfinite(y)]
            x, y = x[abs(x.astype(complex)) < 1e3][:24], y[abs(y.astype(complex)) < 20][:24]
        if name in ("lcm",) and (x.dtype.itemsize == 8 or y.dtype.itemsize == 8):
            x, y = x[abs(x.astype(object)) < 2**31], y[abs(y.astype(object)) < 2**31]
        run_both(name, [x[:, None], y[None, :]], bound(name, a, b), f"{name}({a}, {b})")


def layouts(x):
    """The same elements, differently placed."""
    n = x.size
    wide = numpy.zeros((n, 3), x.dtype)
    wide[:, 1] = x
    square = numpy.resize(x, (4, 5))
    yield "contiguous", x
    yield "strided", wide[:, 1]
    yield "reversed", x[::-1]
    yield "two axes", square
    yield "transposed", square.T
    yield "window", square[1:-1, 1:-1]
    yield "every other column reversed", square[:, ::-2]
    yield "broadcast", numpy.broadcast_to(x[:4, None], (4, 3))
    yield "0-d", x[:1].reshape(())
    yield "empty", x[:0]
    yield "empty, two axes", square[:, :0]


@pytest.mark.parametrize("code", ["?", "i", "B", "f", "d", "D"])
@pytest.mark.parametrize("name", ["negative", "absolute", "sqrt", "sin", "add", "multiply", "maximum", "less", "floor_divide"])
def test_layouts(name, code):
    f = getattr(numpy, name)
    for where, x in layouts(values(code)):
        if name in COMPLEX_LIBRARY and code == "D":
            x = numpy.where(numpy.isfinite(x), x, 1)
        args = [x] if f.nin == 1 else [x, x[..., ::-1] if x.ndim else x]
        # Our own views of our own base, not copies of NumPy's.
        mine = [_as_ours(a) for a in args]
        want, e = outcome(f, *args)
        got, g = outcome(lambda: _computed(getattr(ours, name)(*mine)))
        assert (e is None) == (g is None), f"{name}({code}) {where}: {e!r} {g!r}"
        if e is None:
            assert_same(got, want, bound(name, code), f"{name}({code}) {where}")


def _as_ours(a):
    """A view of ours with the strides of NumPy's."""
    base = a
    while base.base is not None and isinstance(base.base, numpy.ndarray):
        base = base.base
    whole = ours.array(base.ravel(order="K"))
    offset = (a.__array_interface__["data"][0] - base.__array_interface__["data"][0]) // a.itemsize
    if a.size == 0:
        return ours.asarray(a)
    real = numpy.lib.stride_tricks.as_strided(numpy.asarray(whole)[offset:], a.shape, a.strides)
    back = ours.asarray(real)
    assert back.strides == a.strides and back.shape == a.shape
    return back


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum", "logical_and", "logical_or", "bitwise_xor"])
def test_reduce_and_accumulate(name):
    f, g = getattr(numpy, name), getattr(ours, name)
    for code in ["?", "b", "l", "B", "f", "d"]:
        if name == "bitwise_xor" and code in "fd":
            continue
        x = numpy.resize(values(code), (4, 6))
        if code in "fd":
            x = numpy.where(numpy.isfinite(x), x, 3)
        mine = ours.array(x)
        for axis in (0, 1, None, (0, 1)):
            for keepdims in (False, True):
                assert_same(
                    g.reduce(mine, axis=axis, keepdims=keepdims),
                    f.reduce(x, axis=axis, keepdims=keepdims),
                    context=f"{name}.reduce({code}, {axis}, {keepdims})",
                )
        if name in ("add", "multiply"):
            for axis in (0, 1):
                assert_same(g.accumulate(mine, axis), f.accumulate(x, axis), context=f"{name}.accumulate({code}, {axis})")
        assert_same(g.outer(mine[0], mine[1]), f.outer(x[0], x[1]), context=f"{name}.outer({code})")


def test_attributes_are_numpys():
    for name in UFUNCS:
        f, g = getattr(numpy, name), getattr(ours, name)
        for attribute in ("nin", "nout", "nargs", "ntypes", "types", "identity", "signature", "__name__", "__doc__"):
            assert getattr(g, attribute) == getattr(f, attribute), (name, attribute)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D", "i"])
def test_out_where_dtype_casting(dtype):
    x = numpy.arange(12, dtype=dtype).reshape(3, 4)
    mask = numpy.arange(12).reshape(3, 4) % 3 == 0
    for numbers in (numpy, ours):
        a, m = numbers.array(x), numbers.array(mask)
        out = numbers.zeros((3, 4), dtype)
        r1 = numbers.add(a, a, out=out)
        assert r1 is out
        out2 = numbers.ones((3, 4), dtype)
        numbers.multiply(a, 3, out=out2, where=m)
        out3 = numbers.ones((3, 4), "D")
        numbers.subtract(a, 1, out3)
        r4 = numbers.add(a, a, dtype="D")
        r5 = numbers.add(a, 1, casting="safe")
        if numbers is numpy:
            want = out, out2, out3, r4, r5
    for g, w in zip((out, out2, out3, r4, r5), want):
        assert_same(g, w)


def test_two_results():
    x = numpy.array([3.75, -2.5, 0.0, -0.0, numpy.inf, numpy.nan, 1e300])
    for name in ("modf", "frexp"):
        assert_same(getattr(ours, name)(ours.array(x)), getattr(numpy, name)(x), context=name)
    y = numpy.array([2.0, 3.0, -1.5, 1.0, 2.0, 1.0, 7.0])
    assert_same(ours.divmod(ours.array(x), ours.array(y)), numpy.divmod(x, y))
    assert_same(divmod(ours.array(x), 2.0), divmod(x, 2.0))
    assert_same(ours.ldexp(ours.array(y), ours.arange(7)), numpy.ldexp(y, numpy.arange(7)))


WEAK = [0, 1, 2, -1, 3.5, -0.0, True, 1j, numpy.float32(1.5), numpy.int8(3), numpy.uint64(7), numpy.float64(2.25)]


@pytest.mark.parametrize("code", TYPES)
def test_promotion_with_numbers(code):
    x = values(code)[:5]
    for number in WEAK:
        for op in ("__add__", "__mul__", "__sub__", "__rsub__", "__truediv__", "__lt__", "__eq__", "__and__", "__pow__"):
            if op == "__pow__" and (number == -1 or isinstance(number, complex)):
                continue
            want, e = outcome(lambda: getattr(x, op)(number))
            got, f = outcome(lambda: _computed(getattr(ours.array(x), op)(number)))
            context = f"array({code}).{op}({number!r})"
            assert (e is None) == (f is None), f"{context}: {e!r} {f!r}"
            if want is NotImplemented or got is NotImplemented:
                continue
            if e is None:
                ulps = 64 if numpy.result_type(got.dtype).kind == "c" else 5 if op == "__pow__" else 0
                assert_same(got, want, ulps, context)
