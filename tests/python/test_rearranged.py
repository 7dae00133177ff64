"""Sorting, partitions, repeats, lines between points, and views with another type, against NumPy's bits and NumPy's sharing."""

import numpy
import pytest

import legate_jit.numpy as np


def bits(ours, theirs):
    ours, theirs = numpy.asarray(ours), numpy.asarray(theirs)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    assert ours.tobytes() == theirs.tobytes()


@pytest.fixture
def rng():
    return numpy.random.default_rng(1848)


@pytest.mark.parametrize("n", [1, 2, 5, 24, 25, 1000])
def test_in_place_leaves_copies_alone(rng, n):
    for kind in ("f8", "i8", "f4"):
        for words in (lambda a: a.sort(), lambda a: a.partition(n // 2), lambda a: a.partition(-1)):
            theirs = (rng.standard_normal(n) * 100).astype(kind)
            ours = np.array(theirs)
            kept, sums = ours.copy(), ours + 1
            before = theirs.copy()
            words(ours), words(theirs)
            bits(ours, theirs)
            bits(kept, before)
            bits(sums, before + 1)


def test_in_place_on_parts_and_behind_read_only_views(rng):
    theirs = rng.standard_normal((6, 30))
    ours = np.array(theirs)
    ours.sort(), theirs.sort()
    bits(ours, theirs)
    ours[2].partition(7), theirs[2].partition(7)
    ours[:, 3].sort(), theirs[:, 3].sort()
    ours[4, ::2].partition(3), theirs[4, ::2].partition(3)
    bits(ours, theirs)
    for words in (lambda a: a.sort(), lambda a: a.partition(1)):
        shown = np.broadcast_to(np.arange(3.0), (2, 3))
        with pytest.raises(ValueError):
            words(shown)
        fixed = np.arange(3.0)
        fixed.flags.writeable = False
        with pytest.raises(ValueError):
            words(fixed)


@pytest.mark.parametrize("k", [0, 3, -1, 99, -99])
def test_partitions(rng, k):
    for shape in [(40,), (3, 40)]:
        theirs = rng.standard_normal(shape)
        for name in ("partition", "argpartition"):
            try:
                want = getattr(numpy, name)(theirs, k)
            except ValueError as e:
                with pytest.raises(ValueError) as ours:
                    getattr(np, name)(np.array(theirs), k)
                assert str(ours.value) == str(e)
                continue
            bits(getattr(np, name)(np.array(theirs), k), want)
        bits(np.partition(np.array(theirs), [1, 2]), numpy.partition(theirs, [1, 2]))
        bits(np.partition(np.array(theirs), 2, axis=0), numpy.partition(theirs, 2, axis=0))


@pytest.mark.parametrize("times", [0, 1, 3])
def test_repeats(rng, times):
    for kind in ("f8", "c16", "i2", "?"):
        theirs = (rng.standard_normal((3, 5)) * 9).astype(kind)
        ours = np.array(theirs)
        for axis in (None, 0, 1, -1):
            bits(ours.repeat(times, axis), theirs.repeat(times, axis))
            bits(ours.T.repeat(times, axis), theirs.T.repeat(times, axis))
            bits((ours + ours).repeat(times, axis), (theirs + theirs).repeat(times, axis))
        bits(np.repeat(ours[:, 2], times), numpy.repeat(theirs[:, 2], times))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 10, 50, 400])
def test_lines_between_points(rng, n):
    for m in (1, 3, 60, 900):
        for kind in range(6):
            xp, fp, x = numpy.sort(rng.standard_normal(n)), rng.standard_normal(n), 1.5 * rng.standard_normal(m)
            if kind == 1:
                rng.shuffle(xp)
            if kind == 2:
                fp[rng.integers(0, n, n // 3 + 1)], fp[n // 2] = numpy.inf, -numpy.inf
            if kind == 3:
                x[rng.integers(0, m, m // 4 + 1)] = xp[rng.integers(0, n)] = numpy.nan
            if kind == 4:
                xp, x = xp.round(1), x.round(1)
            if kind == 5:
                xp[rng.integers(0, n, n // 5)] = numpy.inf
            bits(np.interp(np.array(x), np.array(xp), np.array(fp)), numpy.interp(x, xp, fp))
            bits(np.interp(float(x[0]), np.array(xp), np.array(fp)), numpy.interp(float(x[0]), xp, fp))
    bits(np.interp(np.array(x), np.array(xp), np.array(fp), left=1.0), numpy.interp(x, xp, fp, left=1.0))
    bits(np.interp(np.array(x).reshape(30, 30), np.array(xp), np.array(fp)), numpy.interp(x.reshape(30, 30), xp, fp))


def test_lines_between_no_points():
    for call in (lambda m: m.interp(1.0, m.zeros(0), m.zeros(0)), lambda m: m.interp(1.0, m.zeros(3), m.zeros(2))):
        with pytest.raises(ValueError) as theirs:
            call(numpy)
        with pytest.raises(ValueError) as ours:
            call(np)
        assert str(ours.value) == str(theirs.value)


def test_views_with_another_type_share_what_is_written(rng):
    theirs = rng.standard_normal((4, 6))
    ours = np.array(theirs)
    kept = ours.copy()
    before = theirs.copy()
    seen, seen_theirs = ours.view(np.int64), theirs.view(numpy.int64)
    bits(seen, seen_theirs)
    seen[0, 0], seen_theirs[0, 0] = 7, 7
    bits(ours, theirs)
    ours[1] = 2.5
    theirs[1] = 2.5
    ours += 1.0
    theirs += 1.0
    bits(seen, seen_theirs)
    total = ours.sum()
    seen[2] = 0
    bits(total, theirs.sum())
    seen_theirs[2] = 0
    bits(ours.view("u1"), theirs.view("u1"))
    bits(ours[1:3].view(dtype=np.float32), theirs[1:3].view(numpy.float32))
    bits((ours * 2).view(np.complex128), (theirs * 2).view(numpy.complex128))
    bits(kept, before)
    back = seen.view(float)
    back[3, 3], theirs[3, 3] = -1.0, -1.0
    bits(ours, theirs)
    del seen, back
    ours *= 3.0
    theirs *= 3.0
    bits(ours, theirs)


def test_views_with_another_type_that_cannot_be():
    for call in (
        lambda m: m.arange(3.0).view(m.complex128),
        lambda m: m.arange(12.0).reshape(3, 4).T.view("i4"),
        lambda m: m.zeros((), float).view("i4"),
        lambda m: m.zeros(3).view("nonsense"),
    ):
        with pytest.raises(Exception) as theirs:
            call(numpy)
        with pytest.raises(type(theirs.value)) as ours:
            call(np)
        assert str(ours.value) == str(theirs.value)
    fixed = np.arange(4.0)
    fixed.flags.writeable = False
    with pytest.raises(ValueError):
        fixed.view("i8")[0] = 1


def test_a_number_is_an_array_without_axes():
    for number in (3.0, 7, True, 2**40, numpy.float32(1.5), numpy.int8(3), 1j):
        ours, theirs = np.array(number), numpy.array(number)
        bits(ours, theirs)
        bits(np.asarray(number), theirs)
        assert type(ours) is np.ndarray
        ours[...] = 1
        theirs[...] = 1
        bits(ours, theirs)
    assert np.array(2**70).dtype == object


def test_calls_that_numpy_runs_are_counted_and_give_our_arrays():
    from legate_jit import _fallback

    before = _fallback.calls["convolve"]
    a = np.arange(5.0)
    made = np.convolve(a, [1.0, 2.0], mode="same")
    assert type(made) is np.ndarray
    bits(made, numpy.convolve(numpy.arange(5.0), [1.0, 2.0], mode="same"))
    bits(np.convolve(numpy.arange(5.0), a), numpy.convolve(numpy.arange(5.0), numpy.arange(5.0)))
    assert _fallback.calls["convolve"] == before + 2
    pair = np.histogram(a, (0.0, 2.0, 4.0))
    assert type(pair) is tuple and all(type(x) is np.ndarray for x in pair)
    # What came from a real array may share it.
    real = numpy.arange(4.0)
    same = np.real_if_close(real)
    real[0] = 9.0
    assert same[0] == 9.0
    assert type(np.random.default_rng(3).random((2, 3))) is np.ndarray
    bits(np.random.default_rng(3).random((2, 3)), numpy.random.default_rng(3).random((2, 3)))


def test_the_diagonal_of_any_matrix_is_filled(rng):
    for shape in [(4, 4), (3, 7), (7, 3), (1, 1)]:
        for see in (lambda a: a, lambda a: a.T, lambda a: a[::-1], lambda a: a[:, ::2]):
            theirs = rng.standard_normal(shape)
            ours = np.array(theirs)
            np.fill_diagonal(see(ours), 5.0)
            numpy.fill_diagonal(see(theirs), 5.0)
            bits(ours, theirs)
            ours = ours * 2.0
            np.fill_diagonal(ours, np.inf)
            theirs = theirs * 2.0
            numpy.fill_diagonal(theirs, numpy.inf)
            bits(1.0 / ours, 1.0 / theirs)
    fixed = np.zeros((3, 3))
    fixed.flags.writeable = False
    with pytest.raises(ValueError):
        np.fill_diagonal(fixed, 1.0)


def test_a_scalar_of_numpys_times_ours():
    bits(numpy.float64(2.0) * np.arange(3.0), 2.0 * numpy.arange(3.0))
    bits(numpy.multiply.outer(np.arange(3.0), np.arange(2.0)), numpy.multiply.outer(numpy.arange(3.0), numpy.arange(2.0)))
    bits(numpy.add.reduce(np.arange(3.0)), numpy.float64(3.0))


def test_arrays_from_what_can_be_walked_through():
    for kind in (float, int, "f4", bool):
        for make in (
            lambda m: [1.0, 2.5, 3.0],
            lambda m: [1, 2, 3],
            lambda m: m.arange(4.0),
            lambda m: m.arange(4),
            lambda m: (k for k in range(3)),
            lambda m: [],
            lambda m: (1, 2.5),
        ):
            bits(np.fromiter(make(np), kind), numpy.fromiter(make(numpy), kind))
    bits(np.fromiter(range(9), int, 4), numpy.fromiter(range(9), int, 4))
    walked = np.arange(4.0)
    made = np.fromiter(walked, float)
    made[0] = 7.0
    assert walked[0] == 0.0
    for call in (lambda m: m.fromiter([[1.0], [2.0]], float), lambda m: m.fromiter(m.zeros((2, 2)), float)):
        with pytest.raises(ValueError):
            call(np)


def test_counts(rng):
    x, w = rng.integers(0, 9, 50), rng.random(50)
    ours, weights = np.array(x), np.array(w)
    bits(np.bincount(ours), numpy.bincount(x))
    bits(np.bincount(ours, weights), numpy.bincount(x, w))
    bits(np.bincount(ours, minlength=20), numpy.bincount(x, minlength=20))
    bits(np.bincount(ours, minlength=20, weights=weights), numpy.bincount(x, w, 20))
    bits(np.bincount(ours, None, 3), numpy.bincount(x, None, 3))
    bits(np.bincount(ours, w), numpy.bincount(x, w))
    for call in (
        lambda m: m.bincount(m.array([-1, 2])),
        lambda m: m.bincount(m.array([1, 2]), minlength=-1),
        lambda m: m.bincount(m.array([1, 2]), m.array([1.0])),
        lambda m: m.bincount(m.array([1, 2]), minlength=3.5),
        lambda m: m.bincount(m.array([1, 2]), None, weights=None),
        lambda m: m.bincount(m.array([1.5])),
    ):
        with pytest.raises((ValueError, TypeError)) as theirs:
            call(numpy)
        with pytest.raises(type(theirs.value)):
            call(np)
