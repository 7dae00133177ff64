"""`np.random`: NumPy's own generators, so the same seed gives the same numbers; their arrays are ours."""

import pickle

import numpy
import pytest
from same import assert_same

import legate_jit
import legate_jit.numpy as ours

LEGACY = [
    "rand(3, 4)", "randn(5)", "randint(0, 10, (2, 3))", "random(4)", "random_sample((2, 2))", "normal(1, 2, 5)",
    "uniform(-1, 1, (3,))", "choice(10, 4)", "choice([1.5, 2.5], 3)", "permutation(6)", "exponential(2.0, 3)",
    "standard_normal()", "rand()", "poisson(3, 4)", "binomial(10, 0.3, 5)", "multivariate_normal([0, 0], [[1, 0], [0, 1]], 2)",
]  # fmt: skip
MODERN = [
    "random((3, 2))", "standard_normal(5)", "integers(0, 9, 6)", "normal(0, 3, (2, 2))", "choice(9, 3, replace=False)",
    "permutation(5)", "uniform(size=3)", "random(4, dtype='f')", "random()", "integers(5)", "multinomial(5, [.5, .5])",
    "permuted([3, 1, 2])", "spawn(1)[0].random(3)",
]  # fmt: skip


@pytest.mark.parametrize("call", LEGACY)
def test_legacy(call):
    results = []
    for np in (numpy, ours):
        np.random.seed(12345)
        results.append((eval("r." + call, {"r": np.random}), eval("r." + call, {"r": np.random.RandomState(7)})))
    for g, w in zip(results[1], results[0]):
        if isinstance(w, numpy.ndarray):
            assert isinstance(g, ours.ndarray)
        assert_same(numpy.asarray(g), numpy.asarray(w))


@pytest.mark.parametrize("call", MODERN)
def test_generator(call):
    w, g = (eval("r." + call, {"r": np.random.default_rng(99)}) for np in (numpy, ours))
    if isinstance(w, numpy.ndarray):
        assert isinstance(g, ours.ndarray)
    assert_same(numpy.asarray(g), numpy.asarray(w))


def test_generators_as_objects():
    g = ours.random.default_rng(3)
    assert isinstance(g, ours.random.Generator)
    assert ours.random.default_rng(g) is g
    again = pickle.loads(pickle.dumps(g))
    assert_same(again.random(3), g.random(3))
    assert g.bit_generator.state["bit_generator"] == "PCG64"
    out = ours.zeros(4)
    assert g.random(out=out) is out and float(out[0]) > 0


def test_shuffle_in_place():
    w, g = numpy.arange(10), ours.arange(10)
    numpy.random.default_rng(1).shuffle(w)
    ours.random.default_rng(1).shuffle(g)
    assert_same(g, w)


def test_drawing_is_no_fallback_and_no_copy():
    before = legate_jit.stats()["numpy_calls"]
    a = ours.random.rand(1000)
    address = numpy.asarray(a).ctypes.data
    assert numpy.asarray(a).ctypes.data == address
    assert legate_jit.stats()["numpy_calls"] == before


def test_seed_state_round_trip():
    state = ours.random.get_state()
    a = ours.random.rand(3)
    ours.random.set_state(state)
    assert_same(ours.random.rand(3), numpy.asarray(a))
