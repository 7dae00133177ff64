"""Reductions that leave NaNs out, and weighted averages: NumPy's bits, its warnings and its errors."""

import itertools
import warnings

import numpy
import pytest
from same import assert_same

import legate_jit.numpy as ours


def numbers(shape, dtype, share, seed):
    rng = numpy.random.default_rng(seed)
    a = rng.uniform(-3, 3, shape).astype(dtype)
    a[rng.random(shape) < share] = numpy.nan
    return a


def layouts(a):
    yield "whole", a, ours.array(a)
    if a.ndim > 1:
        yield "turned", a.T, ours.array(a).T
        yield "with gaps", a[:, ::2], ours.array(a)[:, ::2]


def told(f):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        result = f()
    return result, [(w.category, str(w.message)) for w in seen]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("shape", [(9,), (1000,), (30, 40), (4, 5, 6)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_nan_reductions(dtype, shape, share):
    a = numbers(shape, dtype, share, 3)
    for name, theirs, mine in layouts(a):
        axes = [None, 0, -1] + ([(0, 1)] if len(shape) > 1 else [])
        for function, axis, keepdims in itertools.product(("nansum", "nanmean", "nanmax", "nanmin"), axes, (False, True)):
            def call(np, x):
                return getattr(np, function)(x, axis=axis, keepdims=keepdims)

            want, warned = told(lambda: call(numpy, theirs))
            got, own = told(lambda: call(ours, mine))
            assert_same(got, want, context=f"{function} over {axis} of {name}")
            assert own == warned, (function, axis, name)


def test_other_types_and_options():
    a = numbers((6, 7), "f8", 0.3, 5)
    for text in (
        "np.nansum(np.arange(7))", "np.nansum([1.0, np.nan])", "np.nansum(a, dtype='f4')", "np.nansum(a, initial=3.0)",
        "np.nanmean(np.arange(7))", "np.nanmean(a, dtype='f4')", "np.nanmax(a, initial=9.0)", "np.nanmin(np.arange(7))",
        "np.nansum(a, axis=0, where=a > 0)", "np.nansum(a * 1j)", "np.nansum(a[:0])", "np.nansum(a[0, 0])",
    ):  # fmt: skip
        assert_same(eval(text, {"np": ours, "a": ours.array(a)}), eval(text, {"np": numpy, "a": a}), context=text)
    for np in (numpy, ours):
        with pytest.raises(ValueError, match="zero-size array"):
            np.nanmax(np.zeros(0))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_weighted_averages(dtype):
    a, w = numbers((30, 40), dtype, 0, 7), abs(numbers((30, 40), dtype, 0, 8))
    oa, ow = ours.array(a), ours.array(w)
    for axis, keepdims in itertools.product((None, 0, 1, -1, (0, 1)), (False, True)):
        want = numpy.average(a, axis=axis, weights=w, keepdims=keepdims)
        assert_same(ours.average(oa, axis=axis, weights=ow, keepdims=keepdims), want)
    assert_same(ours.average(oa.T, weights=ow.T), numpy.average(a.T, weights=w.T))
    w[3] = 0
    for np, x, weights in ((numpy, a, w), (ours, oa, ours.array(w))):
        with pytest.raises(ZeroDivisionError):
            np.average(x, axis=1, weights=weights)
