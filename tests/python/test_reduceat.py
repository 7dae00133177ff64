"""`ufunc.reduceat` of arrays of ours: NumPy's bits (the first element, then the tree over the others), its words, and no call of it."""

import numpy
import pytest

import legate_jit

TYPES = ("float64", "float32", "complex128", "complex64", "int64", "uint64")


def calls():
    return legate_jit.stats()["numpy_calls"]


def values(dtype, n):
    rng = numpy.random.default_rng(n)
    x = rng.standard_normal(n) * 10.0 ** rng.integers(-9, 9, n)
    x = x + 1j * x[::-1] if dtype.startswith("complex") else x
    return x.astype(dtype) if dtype[-2:] != "64" or "int" not in dtype else rng.integers(0, 1 << 62, n).astype(dtype)


def same(got, want):
    return got.dtype == want.dtype and got.shape == want.shape and numpy.asarray(got).tobytes() == want.tobytes()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", ("add", "multiply", "maximum", "minimum", "bitwise_xor"))
def test_ranges_of_every_length(np, name, dtype):
    if name == "bitwise_xor" and "int" not in dtype:
        return
    n = 6000
    x = values(dtype, n)
    if name == "multiply":
        x = x / abs(x) if dtype.startswith("complex") else numpy.sign(x) if "float" in dtype else x
    lengths = list(range(1, 40)) + [127, 128, 129, 130, 257, 1000]
    starts = numpy.cumsum([0, *lengths])
    a, i = np.array(x), np.array(starts)
    before = calls()
    got = getattr(np, name).reduceat(a, i)
    strided = getattr(np, name).reduceat(a[::-2], i[:-10])
    assert calls() == before or name == "multiply" and dtype.startswith("complex")
    assert same(got, getattr(numpy, name).reduceat(x, starts))
    assert same(strided, getattr(numpy, name).reduceat(x[::-2], starts[:-10]))


def test_many_short_ranges(np):
    x, starts = values("float64", 200_000), numpy.arange(0, 200_000, 7)
    got = np.add.reduceat(np.array(x), np.array(starts))
    assert same(got, numpy.add.reduceat(x, starts))


def test_ranges_that_end_before_they_begin_are_their_first_element(np):
    x, starts = values("float64", 50), numpy.array([5, 3, 3, 40, 0, 49])
    assert same(np.add.reduceat(np.array(x), np.array(starts)), numpy.add.reduceat(x, starts))


def test_special_values(np):
    x = numpy.array([-0.0, -0.0, 0.0, numpy.nan, 1.0, -numpy.inf, numpy.inf, -0.0, 0.0, -0.0, 2.0])
    starts = numpy.array([0, 1, 2, 3, 5, 7, 9])
    for name in ("add", "multiply", "maximum", "minimum", "fmax", "fmin"):
        with numpy.errstate(all="ignore"):
            assert same(getattr(np, name).reduceat(np.array(x), np.array(starts)), getattr(numpy, name).reduceat(x, starts))


@pytest.mark.parametrize("starts", ([0, 10], [-1], [3, 11]))
def test_numpys_words(np, starts):
    x, i = numpy.ones(10), numpy.array(starts)
    with pytest.raises(IndexError) as theirs:
        numpy.add.reduceat(x, i)
    with pytest.raises(IndexError) as ours:
        np.add.reduceat(np.array(x), np.array(i))
    assert str(ours.value) == str(theirs.value)


def test_what_is_numpys_to_answer(np):
    x = numpy.arange(12).reshape(3, 4)
    for a, i in ((x, numpy.array([0, 1])), (x[0].astype("int8"), numpy.array([0, 2])), (x[0] > 1, numpy.array([0, 2]))):
        assert same(np.add.reduceat(np.array(a), np.array(i)), numpy.add.reduceat(a, i))
    assert same(np.add.reduceat(np.array(x), [0, 2], axis=1), numpy.add.reduceat(x, [0, 2], axis=1))
