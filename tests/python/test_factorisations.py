"""numpy.linalg through our own entries: NumPy's results, types, exceptions and error state."""

import warnings

import numpy
import pytest
from same import real

import legate_jit
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


MORE = ["qr", "pinv", "cond", "matrix_rank", "slogdet", "svdvals"]


def calls():
    return legate_jit.stats()["numpy_calls"]


@pytest.mark.parametrize("name", [*MORE, "eig", "eigvals"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16", "i8"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (40, 40), (5, 4, 4), (2, 3, 2, 2), (0, 3, 3), (0, 0)])
def test_of_one_square_matrix(name, dtype, shape):
    a = definite(shape, dtype)
    if name == "cond" and not a.size:
        return
    before = calls()
    got = getattr(ours.linalg, name)(ours.array(a))
    assert calls() == before or dtype == "i8" or not a.size
    assert_equal(got, getattr(numpy.linalg, name)(a))


@pytest.mark.parametrize("name", [*MORE[:-2], "svdvals"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (5, 3), (3, 5), (60, 20), (2, 5, 3), (2, 2, 3, 5)])
def test_of_one_oblong_matrix(name, dtype, shape):
    rng = numpy.random.default_rng(3)
    a = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if dtype[0] == "c" else 0)
    a = a.astype(dtype)
    before = calls()
    got = getattr(ours.linalg, name)(ours.array(a))
    assert calls() == before
    assert_equal(got, getattr(numpy.linalg, name)(a))
    turned = getattr(numpy.linalg, name)(a.swapaxes(-1, -2))
    assert_equal(getattr(ours.linalg, name)(ours.array(a).swapaxes(-1, -2)), turned)


@pytest.mark.parametrize("mode", ["reduced", "complete", "r", "raw", "economic", "full", "what"])
@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (2, 6, 3), (2, 3, 6), (0, 3), (3, 0)])
def test_modes_of_qr(mode, shape):
    a = numpy.random.default_rng(5).standard_normal(shape)
    try:
        with warnings.catch_warnings(record=True) as theirs:
            warnings.simplefilter("always")
            want = numpy.linalg.qr(a, mode)
    except ValueError as e:
        with pytest.raises(ValueError, match=str(e)):
            ours.linalg.qr(ours.array(a), mode)
        return
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        got = ours.linalg.qr(ours.array(a), mode=mode)
    assert [str(w.message) for w in said] == [str(w.message) for w in theirs]
    if isinstance(want, tuple):
        assert type(got) is type(want)
        # LAPACK is the same, and what is below the diagonal is zero.
        for g, w in zip(got, want):
            assert numpy.array_equal(real(g), w)
    else:
        assert numpy.array_equal(real(got), want)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (3, 7), (1, 1)])
@pytest.mark.parametrize("rcond", [None, -1, 1e-3, 0.5])
def test_lstsq(dtype, shape, rcond):
    rng = numpy.random.default_rng(9)
    make = lambda s: (rng.standard_normal(s) + (1j * rng.standard_normal(s) if dtype[0] == "c" else 0)).astype(dtype)
    a = make(shape)
    deficient = numpy.vstack([a[:1], a[:1], a[2:]]) if shape[0] > 2 else a
    for m in (a, deficient):
        for b in (make(shape[0]), make((shape[0], 1)), make((shape[0], 5))):
            before = calls()
            got = ours.linalg.lstsq(ours.array(m), ours.array(b), rcond)
            assert calls() == before
            want = numpy.linalg.lstsq(m, b, rcond)
            for g, w in zip(got, want):
                assert type(g) is (ours.ndarray if type(w) is numpy.ndarray else type(w))
                assert real(g).dtype == w.dtype and numpy.array_equal(real(g), w)


@pytest.mark.parametrize("options", [dict(), dict(rcond=1e-3), dict(rcond=0.9), dict(rtol=1e-3), dict(rtol=None), dict(hermitian=True)])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_options_of_pinv_and_rank(options, dtype):
    a = definite((2, 5, 5), dtype)
    a[1, 3] = a[1, 2]
    if "hermitian" in options:
        a = definite((5, 5), dtype)
    assert_equal(ours.linalg.pinv(ours.array(a), **options), numpy.linalg.pinv(a, **options))
    if "rcond" in options:
        options = dict(tol=options["rcond"])
    assert_equal(ours.linalg.matrix_rank(ours.array(a), **options), numpy.linalg.matrix_rank(a, **options))


@pytest.mark.parametrize("p", [None, 2, -2, 1, numpy.inf, "fro", "nuc"])
def test_cond(p):
    singular = numpy.zeros((3, 3)) if p not in ("nuc", "fro") else numpy.ones((3, 3)) + numpy.eye(3)
    for a in (definite((4, 4), "f8"), definite((2, 4, 4), "c8"), singular):
        assert_equal(ours.linalg.cond(ours.array(a), p), numpy.linalg.cond(a, p))


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 4, 5, 10, 13])
def test_matrix_power(n):
    for a in (definite((3, 3), "f8") / 10, definite((2, 3, 3), "c16") / 10):
        numpy.testing.assert_allclose(real(ours.linalg.matrix_power(ours.array(a), n)), numpy.linalg.matrix_power(a, n), rtol=1e-11)


def test_multi_dot():
    rng = numpy.random.default_rng(1)
    for shapes in ([(3, 4), (4, 5)], [(3, 4), (4, 5), (5, 2)], [(3, 8), (8, 2), (2, 7), (7, 4)], [3, (3, 4), (4, 5)], [3, (3, 4), 4],
                   [(3, 4), (4, 5), 5]):  # fmt: skip
        all = [rng.standard_normal(s) for s in shapes]
        got, want = ours.linalg.multi_dot([ours.array(x) for x in all]), numpy.linalg.multi_dot(all)
        numpy.testing.assert_allclose(real(got), want, rtol=1e-12)
        assert numpy.shape(real(got)) == numpy.shape(want)


@pytest.mark.parametrize("name", [*MORE, "eig", "eigvals", "lstsq"])
@pytest.mark.parametrize(
    "a", [numpy.ones((2, 3)), numpy.ones(3), numpy.zeros((3, 3)), numpy.full((3, 3), numpy.nan), numpy.full((2, 2), numpy.inf)]
)
def test_what_numpy_refuses_of_these(name, a):
    def outcome(linalg, *args):
        try:
            return getattr(linalg, name)(*args)
        except Exception as e:
            return type(e), str(e)

    more = (numpy.ones(len(a)),) if name == "lstsq" else ()
    with numpy.errstate(all="ignore"):
        want = outcome(numpy.linalg, a, *more)
        got = outcome(ours.linalg, ours.array(a), *map(ours.array, more))
    if isinstance(want, int) or isinstance(want, tuple) and isinstance(want[0], type):
        assert got == want and type(got) is type(want)
    elif name != "lstsq":
        assert_equal(got, want)
