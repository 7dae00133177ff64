"""`np.add.at` and `np.subtract.at`: equal indices one after the other, through views, and what NumPy has to answer."""

import itertools

import numpy
import pytest
from same import assert_same

import legate_jit.numpy as ours

RNG = numpy.random.default_rng(17)


def both(make, change):
    """What `change(np, ...)` leaves of the arrays that `make()` gives, by NumPy and by us."""
    results = []
    for np in (numpy, ours):
        arrays = [np.array(a) for a in make]
        change(np, *arrays)
        results.append(arrays)
    for got, want in zip(results[1], results[0]):
        assert_same(got, want)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "c16", "i4"])
@pytest.mark.parametrize("n", [1, 7, 3000, 40_000])
def test_equal_indices_add_up_in_order(dtype, n):
    a, v = RNG.standard_normal(50).astype(dtype), (9 * RNG.standard_normal(n)).astype(dtype)
    i = RNG.integers(-50, 50, n)
    for name in ("add", "subtract", "multiply", "maximum") if dtype != "c16" else ("add", "subtract"):
        both((a, i, v), lambda np, a, i, v: getattr(np, name).at(a, i, v))
    both((a, i), lambda np, a, i: np.add.at(a, i, 2))
    both((a, i), lambda np, a, i: np.add.at(a, i, a.dtype.type(3)))
    if dtype != "i8" and dtype != "i4":
        both((a, i), lambda np, a, i: np.subtract.at(a, i, 0.1))


def test_views_and_pending_operands():
    a, v, i = RNG.standard_normal(60), RNG.standard_normal(30), RNG.integers(0, 20, 30)
    for s, t in itertools.product([slice(None), slice(None, None, -1), slice(1, None, 2)], repeat=2):
        both((a, i, v), lambda np, a, i, v: np.add.at(a[s], i[t], v[t]))
    both((a, i, v), lambda np, a, i, v: np.add.at(a, i + 1, v * 2.0))

    def kept(np, a, i, v):
        before = a[3:9]
        b = a * 2.0
        np.add.at(a, i, v)
        v[:6] = before + b[3:9]

    both((a, i, v), kept)
    both((a, i), lambda np, a, i: np.add.at(a[:30], i, a[30:]))
    both((a, i), lambda np, a, i: np.add.at(a, i, a[:30]))


def test_what_numpy_answers():
    for index, value in (([0, 5], 1.0), ([0, -6], 1.0), ([0, 1], [1.0, 2.0, 3.0])):
        words = []
        for np in (numpy, ours):
            a = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
            with pytest.raises(Exception) as raised:
                np.add.at(a, np.array(index), np.array(value) if isinstance(value, list) else value)
            words.append((raised.type.__name__, str(raised.value), a.tolist()))
        assert words[0] == words[1]
    both((numpy.arange(3), numpy.array([0, 1, 1])), lambda np, a, i: np.add.at(a, i, 1.5))
    both((numpy.zeros((3, 2)), numpy.array([0, 0, 2])), lambda np, a, i: np.add.at(a, i, 1.0))
    both((numpy.zeros(3), numpy.zeros(0, int)), lambda np, a, i: np.add.at(a, i, 1.0))
