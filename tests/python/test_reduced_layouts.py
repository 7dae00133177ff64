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
