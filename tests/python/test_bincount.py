"""`bincount`: exact counts on any number of threads, sums in the order of the elements, NumPy's words for what is wrong."""

import numpy
import pytest

import legate_jit

TYPES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64")


def calls():
    return legate_jit.stats()["numpy_calls"]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("n", (1, 7, 1000, 300_001))
def test_counts(np, dtype, n):
    rng = numpy.random.default_rng(n)
    x = rng.integers(0, 2 if dtype == "bool" else 120, n).astype(dtype)
    before = calls()
    for least in (0, 3, 500):
        expected = numpy.bincount(x, minlength=least)
        ours = np.bincount(np.array(x), minlength=least)
        assert ours.dtype == expected.dtype and numpy.array_equal(ours, expected)
        # What does not lie in order.
        assert numpy.array_equal(np.bincount(np.array(x)[::-2], minlength=least), numpy.bincount(x[::-2], minlength=least))
    assert calls() == before


@pytest.mark.parametrize("n,top", ((10, 1_000_000), (200_000, 150_000), (200_000, 5_000), (200_000, 1)))
def test_many_bins_and_few(np, n, top):
    x = numpy.random.default_rng(top).integers(0, top, n)
    assert numpy.array_equal(np.bincount(np.array(x)), numpy.bincount(x))


@pytest.mark.parametrize("at", (0, 4095, 4096, 4097, 70_001, 199_999))
@pytest.mark.parametrize("top", (3, 900, 100_000))
def test_a_bin_that_only_a_late_element_needs(np, at, top):
    x, w = numpy.random.default_rng(at).integers(0, 3, 200_000), numpy.random.default_rng(top).standard_normal(200_000)
    x[at] = top
    for least in (0, 50):
        assert numpy.array_equal(np.bincount(np.array(x), minlength=least), numpy.bincount(x, minlength=least))
        sums = np.bincount(np.array(x), np.array(w), minlength=least)
        assert numpy.asarray(sums).tobytes() == numpy.bincount(x, w, minlength=least).tobytes()
    x[(at * 7 + 5000) % 200_000] = -1
    for args in ((np.array(x),), (np.array(x), np.array(w))):
        with pytest.raises(ValueError, match="negative"):
            np.bincount(*args)


def test_weights_are_added_in_order(np):
    rng = numpy.random.default_rng(5)
    x, w = rng.integers(0, 50, 100_000), rng.standard_normal(100_000) * 10.0 ** rng.integers(-12, 12, 100_000)
    before = calls()
    ours = np.bincount(np.array(x), np.array(w), minlength=60)
    assert ours.dtype == numpy.float64 and numpy.asarray(ours).tobytes() == numpy.bincount(x, w, minlength=60).tobytes()
    assert calls() == before
    # Weights of another type, and lists, are NumPy's.
    assert numpy.array_equal(np.bincount(np.array(x), np.array(w.astype("f4"))), numpy.bincount(x, w.astype("f4")))
    assert numpy.array_equal(np.bincount([0, 1, 1], weights=[1, 2, 3]), numpy.bincount([0, 1, 1], weights=[1, 2, 3]))


def test_pending_values_are_counted(np):
    x = np.arange(1000) % 7
    assert numpy.array_equal(np.bincount(x * 2 + 1), numpy.bincount(numpy.arange(1000) % 7 * 2 + 1))


@pytest.mark.parametrize(
    "call",
    (
        lambda np: np.bincount(np.array([1, -1, 2])),
        lambda np: np.bincount(np.array([1.0, 2.0])),
        lambda np: np.bincount(np.array([1, 2], dtype="uint64")),
        lambda np: np.bincount(np.array([[1, 2]])),
        lambda np: np.bincount(np.array([1, 2]), minlength=-1),
        lambda np: np.bincount(np.array([1, 2]), minlength=None),
        lambda np: np.bincount(np.array([1, 2]), weights=np.array([1.0])),
        lambda np: np.bincount(np.array([1, 2]), weights=np.array([1.0, 2j])),
        lambda np: np.bincount(np.array(3)),
        lambda np: np.bincount(np.zeros(0, dtype=int), minlength=4),
        lambda np: np.bincount(np.zeros(0)),
    ),
)
def test_what_is_wrong_or_empty(np, call):
    try:
        expected = call(numpy)
    except Exception as e:
        with pytest.raises(type(e)) as caught:
            call(np)
        assert str(caught.value) == str(e)
    else:
        ours = call(np)
        assert ours.dtype == expected.dtype and numpy.array_equal(ours, expected)
