"""Functions of our own in the place of NumPy's Python code: rolls, triangles, diagonals that are filled, norms."""

import numpy
import pytest

import legate_jit
import legate_jit.numpy as ours
from same import assert_same

SHAPES = [(0,), (1,), (7,), (3, 5), (5, 3), (4, 4), (0, 3), (3, 0), (2, 3, 4)]


def filled(shape, dtype=float):
    a = numpy.arange(1.0, 1.0 + numpy.prod(shape, dtype=int)).reshape(shape) * 1.25 - 7
    return a.astype(dtype)


def left_to_numpy(call):
    before = legate_jit.stats()["numpy_calls"]
    call()
    return legate_jit.stats()["numpy_calls"] - before


@pytest.mark.parametrize("shape", SHAPES)
def test_roll(shape):
    a = filled(shape)
    for shift in (0, 1, -1, 2, 3, -4, 100, -100, numpy.int64(1), True):
        for axis in (None, *range(-len(shape), len(shape)), (0, -1)):
            want = numpy.roll(a, shift, axis)
            b = ours.array(a)
            got = ours.roll(b, shift, axis)
            assert_same(got, want, context=f"{shape} by {shift} along {axis}")
            # It is no view, and what it came from may change.
            b += 1
            assert_same(got, want, context=f"{shape} by {shift} along {axis}, afterwards")
            got += 1
            assert_same(b, a + 1)


def test_roll_of_other_things():
    assert_same(ours.roll([1, 2, 3], 1), numpy.roll([1, 2, 3], 1))
    a = filled((3, 5), numpy.uint8)
    assert_same(ours.roll(ours.array(a)[:, ::-2], 2, 1), numpy.roll(a[:, ::-2], 2, 1))
    assert_same(ours.roll(ours.array(5.0), 1), numpy.roll(numpy.array(5.0), 1))
    for axis in (2, -3, "x"):
        with pytest.raises(Exception) as want:
            numpy.roll(filled((3, 5)), 1, axis)
        with pytest.raises(type(want.value)) as got:
            ours.roll(ours.array(filled((3, 5))), 1, axis)
        assert str(got.value) == str(want.value)


@pytest.mark.parametrize("shape", [s for s in SHAPES if len(s) > 1])
@pytest.mark.parametrize("dtype", [float, numpy.float32, complex, int, bool])
def test_triangles(shape, dtype):
    a = filled(shape, dtype)
    for k in (0, 1, -1, 2, -3, 9, -9, numpy.int64(1)):
        assert_same(ours.tril(ours.array(a), k), numpy.tril(a, k), context=f"tril {k}")
        assert_same(ours.triu(ours.array(a), k), numpy.triu(a, k), context=f"triu {k}")
    assert left_to_numpy(lambda: ours.triu(ours.tril(ours.array(a), 1), -1)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 5), (7, 3), (0, 3), (3, 0), (3, 3, 3)])
@pytest.mark.parametrize("dtype", [float, numpy.float32, complex, int, numpy.uint8, bool])
def test_fill_diagonal(shape, dtype):
    for value in (2, 1.5, numpy.inf, numpy.float64(-0.0), numpy.nan, [1, 2], 1j, 300):
        for wrap in (False, True):
            a = filled(shape, dtype)
            b = ours.array(a)
            c = ours.asarray(b)
            try:
                numpy.fill_diagonal(a, value, wrap)
            except Exception as want:
                with pytest.raises(type(want)) as got:
                    ours.fill_diagonal(b, value, wrap)
                assert str(got.value) == str(want)
            else:
                assert ours.fill_diagonal(b, value, wrap) is None
            assert_same(c, a, context=f"{shape} {dtype} {value} {wrap}")


def test_fill_diagonal_of_views():
    for view in (lambda a: a.T, lambda a: a[:, ::2], lambda a: a[1:], lambda a: a[::-1], lambda a: a[0]):
        a = filled((6, 6))
        b = ours.array(a)
        try:
            numpy.fill_diagonal(view(a), 0.5)
        except ValueError as want:
            with pytest.raises(ValueError) as got:
                ours.fill_diagonal(view(b), 0.5)
            assert str(got.value) == str(want)
        else:
            ours.fill_diagonal(view(b), 0.5)
        assert_same(b, a)
    b = ours.zeros((3, 3))
    b.flags.writeable = False
    with pytest.raises(ValueError):
        ours.fill_diagonal(b, 1.0)
    assert_same(b, numpy.zeros((3, 3)))
    b = ours.zeros((3, 3))
    assert left_to_numpy(lambda: ours.fill_diagonal(b, 1.0)) == 0
    assert_same(b, numpy.eye(3))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [float, numpy.float32, int, numpy.uint8, bool, complex])
def test_norm(shape, dtype):
    a = filled(shape, dtype)
    b = ours.array(a)
    got, want = ours.linalg.norm(b), numpy.linalg.norm(a)
    assert got.dtype == want.dtype and isinstance(got, numpy.generic) == isinstance(want, numpy.generic)
    # A dot product's order of additions is a BLAS's own.
    numpy.testing.assert_allclose(numpy.asarray(got), want, rtol=1e-6 if want.dtype == numpy.float32 else 1e-14)
    for axis in range(-len(shape), len(shape)):
        want = numpy.linalg.norm(a, axis=axis)
        if dtype is complex:
            numpy.testing.assert_allclose(numpy.asarray(ours.linalg.norm(b, axis=axis)), want, rtol=1e-14)
        else:
            assert_same(ours.linalg.norm(b, axis=axis), want, context=f"{shape} along {axis}")
        assert_same(ours.linalg.norm(b, axis=axis, keepdims=True), numpy.linalg.norm(a, axis=axis, keepdims=True))


def test_norms_with_an_order():
    a = filled((4, 4))
    for order in (None, 1, 2, -1, numpy.inf, -numpy.inf, "fro", "nuc"):
        numpy.testing.assert_allclose(
            numpy.asarray(ours.linalg.norm(ours.array(a), order)), numpy.linalg.norm(a, order), rtol=1e-12
        )
    for order in (0, 1, 3, numpy.inf):
        for axis in (0, 1):
            got, want = ours.linalg.norm(ours.array(a), order, axis), numpy.linalg.norm(a, order, axis)
            numpy.testing.assert_allclose(numpy.asarray(got), want, rtol=1e-12)
    numpy.testing.assert_allclose(ours.linalg.norm([3.0, 4.0]), 5.0)
    for x, args in ((filled((3, 3)), ("what",)), (filled((3,)), (None, 1)), (filled((2, 2, 2)), (2,))):
        with pytest.raises(Exception) as want:
            numpy.linalg.norm(x, *args)
        with pytest.raises(type(want.value)) as got:
            ours.linalg.norm(ours.array(x), *args)
        assert str(got.value) == str(want.value)


def test_norms_are_recorded():
    import legate_jit.numpy.linalg as linalg

    assert linalg.norm is ours.linalg.norm and linalg.norm.__doc__ == numpy.linalg.norm.__doc__
    b = ours.array(filled((5, 4)))
    assert left_to_numpy(lambda: (linalg.norm(b), linalg.norm(b, axis=1), linalg.norm(b[0] - b[1]))) == 0
