"""Programs that go row by row, on arrays large enough to be worked off in blocks of rows: NumPy's bits, block by block or not."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same import assert_same

import legate_jit.numpy as np


def softmax(np, x, axis):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def normalise(np, x, axis):
    mean = x.mean(axis=axis, keepdims=True)
    var = x.var(axis=axis, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5)


def centre_in_place(np, x, axis):
    x = x * 1.0
    x -= x.min(axis=axis, keepdims=True)
    x /= x.max(axis=axis, keepdims=True)
    return x


def ranges_and_sums(np, x, axis):
    spread = x.max(axis=axis) - x.min(axis=axis)
    return np.stack([spread, x.sum(axis=axis), (x * x).sum(axis=axis)])


def turned(np, x, axis):
    """The rows in the opposite order, so that no row has its own."""
    most = x.max(axis=axis, keepdims=True)
    return x[::-1] * 2 - most


SHAPES = [(900, 333), (8, 150, 257), (3, 1, 500, 200), (40, 20_011), (17, 30_000)]


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("program", [softmax, normalise, centre_in_place, ranges_and_sums, turned])
def test_rows_and_other_axes(program, shape, dtype):
    x = (numpy.random.default_rng(1).standard_normal(shape) * 50).astype(dtype)
    for axis in [-1, tuple(range(1, len(shape))), -2, 0]:
        want = program(numpy, x, axis)
        for _ in range(3):
            # exp is within one unit of the last place, its sum and the quotient follow it; the rest are NumPy's bits.
            assert_same(program(np, np.array(x), axis), want, ulps=4 if program is softmax else 0)


@pytest.mark.parametrize("shape", [(70, 20_011), (300, 64, 64)], ids=str)
def test_what_is_only_passed_on(shape):
    """Results of more than a part of the last cache, written over what the rows passed on from one step to the next."""
    axes = tuple(range(1, len(shape)))

    def program(np, x):
        flat = (x - 3.0) / (np.abs(x) + 1.5)
        mean = flat.mean(axis=axes, keepdims=True)
        return (flat - mean) / flat.std(axis=axes, keepdims=True), mean

    x = numpy.random.default_rng(2).standard_normal(shape) * 50
    want = program(numpy, x)
    for _ in range(3):
        assert_same(program(np, np.array(x)), want)


#: What makes a value of rows of others: of two of them, of one and what its rows have in common, of one and a row for all.
STEPS = {
    "centre": lambda np, a, b, w: a - b.mean(axis=1, keepdims=True),
    "scale": lambda np, a, b, w: a / (b.std(axis=1, keepdims=True) + 1.0),
    "shift": lambda np, a, b, w: a - b.max(axis=1, keepdims=True),
    "weigh": lambda np, a, b, w: (a - w) / (np.abs(w) + 0.5),
    "quotient": lambda np, a, b, w: a / (np.abs(b) + 1.0),
    "root": lambda np, a, b, w: np.sqrt(np.abs(a)) + b * 0.25,
    "share": lambda np, a, b, w: a / (np.abs(b).sum(axis=1, keepdims=True) + 1.0),
}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=7),
    st.sets(st.integers(0, 9), min_size=1, max_size=2),
    st.sampled_from(["f8", "f4"]),
    st.sampled_from([(260, 700), (1100, 130)]),
)
def test_random_programs_over_rows(steps, wanted, dtype, shape):
    """What a step passes on to later ones may be asked for at the end, or be needed by them alone."""
    rng = numpy.random.default_rng(3)
    x, w = rng.standard_normal(shape).astype(dtype), rng.standard_normal(shape[1]).astype(dtype)

    def program(np, x, w):
        values = [x]
        for name, a, b in steps:
            values.append(STEPS[name](np, values[a % len(values)], values[b % len(values)], w))
        return [values[k % len(values)] for k in sorted(wanted)] + [values[-1].sum(axis=1)]

    want = program(numpy, x, w)
    for _ in range(2):
        assert_same(program(np, np.array(x), np.array(w)), want)
