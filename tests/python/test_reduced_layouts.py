"""Reductions of arrays as they lie in memory (rows apart, every other column, turned, long and short), against NumPy's bits."""

import itertools

import numpy
import pytest
from same import assert_same

import legate_jit.numpy as ours

VIEWS = {
    "whole": lambda a: a,
    "rows apart": lambda a: a[::3],
    "some columns": lambda a: a[..., 3:-2],
    "every other column": lambda a: a[..., ::2],
    "every other column from the second": lambda a: a[..., 1::2],
    "every third column": lambda a: a[..., ::3],
    "backwards": lambda a: a[::-1],
    "columns backwards": lambda a: a[..., ::-1],
    "turned": lambda a: a.T,
    "one row": lambda a: a[1:2],
}
SHAPES = [(37, 1500), (2500, 41), (5, 40_000), (3000, 7), (23, 31, 47), (2, 3, 5000), (260, 2, 130), (200_003,)]


def numbers(shape, dtype):
    rng = numpy.random.default_rng(11)
    a = rng.uniform(-9, 9, shape)
    if dtype == "?":
        return a > 0
    return a.astype(dtype)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "?"])
@pytest.mark.parametrize("shape", SHAPES)
def test_reductions(shape, dtype):
    a = numbers(shape, dtype)
    o = ours.array(a)
    axes = [None] + [c for k in range(1, len(shape)) for c in itertools.combinations(range(len(shape)), k)]
    with numpy.errstate(all="ignore"):
        for (name, view), axis in itertools.product(VIEWS.items(), axes):
            for function in ("sum", "max", "min", "prod", "any"):
                want = getattr(view(a), function)(axis=axis)
                assert_same(getattr(view(o), function)(axis=axis), want, context=f"{function} over {axis} of {name}")
            if axis is None or len(axis) == 1:
                place = axis if axis is None else axis[0]
                for function in ("argmax", "argmin"):
                    want = getattr(view(a), function)(axis=place)
                    assert_same(getattr(view(o), function)(axis=place), want, context=f"{function} over {place} of {name}")


# More than the second-level cache holds: long rows are read several at a time, short ones one by one.
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "?"])
@pytest.mark.parametrize("shape", [(700, 2011), (9000, 101), (40_000, 23), (21, 70_001), (61, 83, 300)])
def test_columns_of_many_rows(shape, dtype):
    a = numbers(shape, dtype)
    o = ours.array(a)
    for (name, view), function in itertools.product(list(VIEWS.items())[:5], ("sum", "max", "min", "argmax")):
        for axis in range(len(shape) - 1):
            want = getattr(view(a), function)(axis=axis)
            assert_same(getattr(view(o), function)(axis=axis), want, context=f"{function} over {axis} of {name}")


@pytest.mark.parametrize("n", [1, 2, 500, 1025, 8192, 8193, 40_000, 300_001])
def test_bools_that_decide(n):
    """One that is unlike all others, anywhere, or none."""
    rng = numpy.random.default_rng(n)
    for place in (None, 0, n - 1, n // 2, *rng.integers(0, n, 4)):
        for common in (False, True):
            a = numpy.full(n, common)
            if place is not None:
                a[place] = not common
            for length in (n, max(1, n - 3)):
                some = a[:length]
                o, rows = ours.array(some), ours.array(numpy.stack([some, ~some, some[::-1]]))
                for function in ("any", "all", "max", "min", "argmax", "argmin", "sum"):
                    assert_same(getattr(ours, function)(o), getattr(numpy, function)(some), context=f"{function} {place}")
                    want = getattr(numpy, function)(numpy.stack([some, ~some, some[::-1]]), axis=1)
                    assert_same(getattr(ours, function)(rows, axis=1), want, context=f"{function} {place} of rows")


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "i4", "i2", "u1"])
@pytest.mark.parametrize("n", [1, 7, 31, 32, 33, 100, 1000, 4099, 70_000])
def test_places_of_extremes(n, dtype):
    """Equal ones, NaNs and zeros of both signs, wherever they are."""
    rng = numpy.random.default_rng(n)
    for kind in range(6):
        a = rng.integers(0, 3 if kind % 2 else 100, (3, n)).astype(dtype)
        if kind > 2 and dtype[0] == "f":
            a[:, rng.integers(0, n)] = -0.0 if kind == 3 else numpy.nan
            a -= kind == 5
        o = ours.array(a)
        for function in ("argmax", "argmin", "max", "min"):
            for axis in (None, 1):
                assert_same(getattr(ours, function)(o, axis=axis), getattr(numpy, function)(a, axis=axis), context=f"{function} {kind}")
            # (From 8 bytes after a line's beginning on.)
            assert_same(getattr(ours, function)(o[1, n // 2 :]), getattr(numpy, function)(a[1, n // 2 :]), context=f"{function} {kind}")


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "i8", "?", "c16"])
@pytest.mark.parametrize("shape", [(37, 1500), (3, 5000), (7, 1), (1, 7), (0, 3), (5, 6, 7), (4, 2, 2100)])
def test_accumulations(shape, dtype):
    a = numbers(shape, dtype)
    o = ours.array(a)
    for (name, view), axis in itertools.product(VIEWS.items(), range(len(shape))):
        for function in ("cumsum", "cumprod"):
            want = getattr(view(a), function)(axis=axis)
            assert_same(getattr(view(o), function)(axis=axis), want, context=f"{function} along {axis} of {name}")


def test_several_of_one_array():
    a = numbers((400, 300), "f8")
    o = ours.array(a)
    for axis in (None, 0, 1):
        got = [f(o, axis=axis) for f in (ours.min, ours.sum, ours.max, ours.argmax, ours.any, ours.prod)]
        want = [f(a, axis=axis) for f in (numpy.min, numpy.sum, numpy.max, numpy.argmax, numpy.any, numpy.prod)]
        for g, w in zip(got, want):
            assert_same(g, w)
