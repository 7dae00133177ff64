"""numpy.linalg through our own entries: NumPy's results, types, exceptions and error state."""

import numpy
import pytest
from same import real

import legate_jit.numpy as ours

ONE = ["inv", "det", "cholesky", "eigh", "eigvalsh", "svd"]


def definite(shape, dtype):
    rng = numpy.random.default_rng(7)
    a = rng.standard_normal(shape)
    if numpy.dtype(dtype).kind == "c":
        a = a + 1j * rng.standard_normal(shape)
    return (a + a.conj().swapaxes(-1, -2) + 4 * shape[-1] * numpy.eye(shape[-1])).astype(dtype)


def assert_equal(got, want):
    assert type(got).__name__ == type(want).__name__ or not isinstance(want, tuple)
    for g, w in zip(got, want) if isinstance(want, tuple) else [(got, want)]:
        assert (type(g) is ours.ndarray) == (type(w) is numpy.ndarray)
        g = real(g)
        assert g.dtype == w.dtype and g.shape == w.shape
        numpy.testing.assert_allclose(g, w, rtol=1e-5 if w.dtype.char in "fF" else 1e-12, atol=1e-6 if w.dtype.char in "fF" else 1e-12)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i8"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (40, 40), (5, 4, 4), (2, 3, 2, 2), (0, 3, 3), (0, 0)])
def test_of_one_matrix(name, dtype, shape):
    a = definite(shape, dtype)
    assert_equal(getattr(ours.linalg, name)(ours.array(a)), getattr(numpy.linalg, name)(a))
    turned = getattr(numpy.linalg, name)(a.swapaxes(-1, -2))
    assert_equal(getattr(ours.linalg, name)(ours.array(a).swapaxes(-1, -2)), turned)


@pytest.mark.parametrize("types", [("f8", "f8"), ("c16", "c16"), ("f4", "f4"), ("c8", "c8"), ("f8", "c16"), ("f4", "f8"), ("i8", "f8")])
def test_solve(types):
    a, b = definite((4, 4), types[0]), definite((4, 4), types[1])
    oa, ob = ours.array(a), ours.array(b)
    for s in (slice(None), (slice(None), 1), (slice(None), slice(1, 3))):
        assert_equal(ours.linalg.solve(oa, ob[s]), numpy.linalg.solve(a, b[s]))
    assert_equal(ours.linalg.solve(ours.stack([oa, oa]), ob), numpy.linalg.solve(numpy.stack([a, a]), b))
    assert_equal(ours.linalg.solve(oa, b[0]), numpy.linalg.solve(a, b[0]))


def test_options():
    a = definite((4, 4), "c16")
    oa = ours.array(a)
    assert_equal(ours.linalg.cholesky(oa, upper=True), numpy.linalg.cholesky(a, upper=True))
    assert_equal(ours.linalg.eigh(oa, "U"), numpy.linalg.eigh(a, "U"))
    assert_equal(ours.linalg.eigh(oa, UPLO="u"), numpy.linalg.eigh(a, UPLO="u"))
    for options in (dict(full_matrices=False), dict(compute_uv=False), dict(hermitian=True)):
        assert_equal(ours.linalg.svd(oa[:3], **options) if "hermitian" not in options else ours.linalg.svd(oa, **options),
                     numpy.linalg.svd(a[:3], **options) if "hermitian" not in options else numpy.linalg.svd(a, **options))
    assert_equal(ours.linalg.svd(oa[:, :2]), numpy.linalg.svd(a[:, :2]))


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("a", [numpy.ones((2, 3)), numpy.ones(3), numpy.zeros((3, 3)), numpy.full((3, 3), numpy.nan)])
def test_what_numpy_refuses(name, a):
    def outcome(linalg, x):
        try:
            return getattr(linalg, name)(x)
        except Exception as e:
            return type(e), str(e)

    with numpy.errstate(all="ignore"):
        state = numpy.geterr()
        want, got = outcome(numpy.linalg, a), outcome(ours.linalg, ours.array(a))
        assert numpy.geterr() == state
    if isinstance(want, tuple) and isinstance(want[0], type):
        assert got == want
    else:
        assert_equal(got, want)


def test_a_result_is_no_view_of_the_argument():
    a = ours.array([[2.0, 0.0], [0.0, 4.0]])
    b = ours.linalg.inv(a)
    a[0, 0] = 1.0
    assert b.tolist() == [[0.5, 0.0], [0.0, 0.25]]


def test_pending_operands():
    a = ours.array(definite((6, 6), "f8"))
    x = ours.linalg.solve(a * 2.0 + ours.eye(6), a[0] + 1.0)
    want = numpy.linalg.solve(real(a) * 2.0 + numpy.eye(6), real(a)[0] + 1.0)
    numpy.testing.assert_allclose(real(x), want, rtol=1e-12)
