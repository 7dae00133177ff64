"""Stacks of small matrices: every shape, order in memory and type against exact sums, NumPy's and products of one matrix alone."""

import numpy
import pytest

SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 17, 33)


def stacks(shape, dtype, seed):
    return numpy.random.default_rng(seed).integers(-9, 9, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ("float64", "float32"))
@pytest.mark.parametrize("m", SIZES)
def test_exact_sums_of_every_shape(np, m, dtype):
    for n in SIZES:
        for p in SIZES:
            a, b = stacks((5, m, n), dtype, n), stacks((5, n, p), dtype, p)
            want = a @ b
            for x, y in ((np.array(a), np.array(b)), (np.array(a.swapaxes(1, 2)).swapaxes(1, 2), np.array(b.swapaxes(1, 2)).swapaxes(1, 2))):
                got = numpy.asarray(x @ y)
                assert got.dtype == want.dtype and numpy.array_equal(got, want), (m, n, p)
            assert numpy.array_equal(numpy.asarray(np.array(a[0]) @ np.array(b[0])), want[0])


@pytest.mark.parametrize("dtype", ("float64", "float32"))
def test_parts_and_broadcasts(np, dtype):
    a, b = stacks((3, 4, 10, 12), dtype, 1), stacks((4, 14, 6), dtype, 2)
    x, y = np.array(a), np.array(b)
    for left, right in (
        (slice(None), slice(None)),
        ((Ellipsis, slice(None, None, 2), slice(None, None, -1)), (Ellipsis, slice(2, None), slice(1, 4))),
        ((0, 0), (0, slice(0, 12))),
    ):
        p, q = (a[left], b[right]) if a[left].shape[-1] == b[right].shape[-2] else (a[left], b[right][..., : a[left].shape[-1], :])
        u, v = (x[left], y[right]) if a[left].shape[-1] == b[right].shape[-2] else (x[left], y[right][..., : a[left].shape[-1], :])
        assert numpy.array_equal(numpy.asarray(u @ v), p @ q)
    vector = stacks((12,), dtype, 3)
    assert numpy.array_equal(numpy.asarray(x @ np.array(vector)), a @ vector)
    assert numpy.array_equal(numpy.asarray(np.array(vector) @ y[:, :12]), vector @ b[:, :12])


def test_many_have_the_bits_of_each_alone(np):
    rng = numpy.random.default_rng(4)
    a, b = rng.standard_normal((20_000, 6, 5)), rng.standard_normal((20_000, 5, 7))
    x, y = np.array(a), np.array(b)
    whole = numpy.asarray(x @ y)
    for i in (0, 1, 4095, 4096, 19_999):
        assert numpy.array_equal(whole[i], numpy.asarray(x[i] @ y[i]))
    numpy.testing.assert_allclose(whole, a @ b, rtol=0, atol=1e-14)


def test_special_values(np):
    a = numpy.array([[[numpy.inf, -0.0], [numpy.nan, 1.0]]] * 3)
    b = numpy.array([[[-0.0, 2.0], [-1.0, numpy.inf]]] * 3)
    with numpy.errstate(all="ignore"):
        want = a @ b
    assert numpy.array_equal(numpy.asarray(np.array(a) @ np.array(b)), want, equal_nan=True)


@pytest.mark.parametrize("dtype", ("complex128", "complex64"))
@pytest.mark.parametrize("m", SIZES)
def test_complex_products_of_every_shape(np, m, dtype):
    """Exact ones, and others with the bits that NumPy's BLAS gives on the machines whose kernels were looked at."""
    rng = numpy.random.default_rng(8)
    for n in SIZES:
        for p in SIZES:
            for exact in (True, False):
                a, b = (
                    rng.integers(-9, 9, s) + 1j * rng.integers(-9, 9, s)
                    if exact
                    else rng.standard_normal(s) + 1j * rng.standard_normal(s)
                    for s in ((5, m, n), (5, n, p))
                )
                a, b = a.astype(dtype), b.astype(dtype)
                want = a @ b
                turned = [np.array(x.swapaxes(1, 2)).swapaxes(1, 2) for x in (a, b)]
                for x, y in ((np.array(a), np.array(b)), turned):
                    got = numpy.asarray(x @ y)
                    assert got.dtype == want.dtype
                    if exact:
                        assert numpy.array_equal(got, want), (m, n, p)
                    else:
                        bound = 8 * n * numpy.finfo(dtype).eps * (abs(a) @ abs(b))
                        assert (abs(got - want) <= bound).all(), (m, n, p)
    a, b = numpy.array([[[1 + 1j, numpy.inf], [0, 2 - 3j]]] * 3, dtype), numpy.array([[[1j, 2], [-3, -0.0]]] * 3, dtype)
    with numpy.errstate(all="ignore"):
        want = a @ b
    assert numpy.array_equal(numpy.asarray(np.array(a) @ np.array(b)), want, equal_nan=True)
