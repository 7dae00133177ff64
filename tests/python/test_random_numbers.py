"""`np.random`: NumPy's own generators, so the same seed gives the same numbers; their arrays are ours."""

import pickle
import threading

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


FEW = [
    "random(5)", "random(size=5)", "random((2, 3))", "random(size=(2, 0))", "random(0)", "random(1)", "random(256)", "random(257)",
    "standard_normal(7)", "standard_normal(size=(2, 2, 2))", "standard_normal(256)", "normal(size=3)", "normal(2, 3, 4)",
    "normal(0.5, size=(3,))", "normal(scale=2.5, size=2)", "normal(loc=1.0, scale=3, size=5)", "normal(1.0, 2.0, size=4)",
    "uniform(size=3)", "uniform(-1, 1, 4)", "uniform(0.25, high=3, size=(2, 2))", "uniform(high=5, size=2)", "uniform(3, 3, 2)",
    "normal(0, 0, 3)", "normal(0, -1.0, 3)", "uniform(0, float('inf'), 2)", "normal(float('nan'), 1, 2)", "random(-1)", "random(2.0)",
    "random((2, -1))", "random(())", "random(3, 'f')", "random(3, dtype='f4')", "normal([0, 1], 2)", "normal(1, 2)", "uniform(1, 2, None)",
    "random(3, size=3)", "normal(1, 2, 3, 4)", "normal(mean=1, size=2)", "integers(0, 9, 3)", "random(True)", "normal(1 << 60, 1.0, 3)",
]  # fmt: skip


@pytest.mark.parametrize("bits", ["PCG64", "MT19937", "Philox"])
def test_few_numbers_and_what_comes_after(bits):
    want, got = (np.random.Generator(getattr(np.random, bits)(5)) for np in (numpy, ours))
    # (An odd number of halves, so that one is left over.)
    for call in FEW + ["integers(0, 9, 3)"] + FEW[::-1]:
        results = []
        for generator in (want, got):
            try:
                results.append(eval("r." + call, {"r": generator}))
            except Exception as error:
                results.append(type(error))
        w, g = results
        if isinstance(w, type):
            assert g is w, call
            continue
        if isinstance(w, numpy.ndarray):
            assert type(g) is ours.ndarray, call
        assert_same(numpy.asarray(g), numpy.asarray(w))
        assert repr(got.bit_generator.state) == repr(want.bit_generator.state), call


def test_few_numbers_at_the_edges_of_the_ziggurat():
    want, got = numpy.random.default_rng(8), ours.random.default_rng(8)
    # (Some hundred draws of these leave a layer's inside, and some the last layer.)
    for _ in range(200):
        assert_same(got.standard_normal(100), want.standard_normal(100))


def test_few_numbers_while_the_generator_is_locked():
    want, got = numpy.random.default_rng(8), ours.random.default_rng(8)
    assert_same(got.random(3), want.random(3))
    drawn = []
    with got.bit_generator.lock:
        thread = threading.Thread(target=lambda: drawn.append(got.random(3)))
        thread.start()
        thread.join(0.05)
        assert not drawn
    thread.join()
    assert_same(drawn[0], want.random(3))


def test_few_numbers_by_threads():
    generator = ours.random.default_rng(3)
    drawn = []

    def work():
        drawn.extend(float(x) for _ in range(200) for x in generator.random(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for step in (threading.Thread.start, threading.Thread.join):
        for thread in threads:
            step(thread)
    assert sorted(drawn) == sorted(numpy.random.default_rng(3).random(4000))
