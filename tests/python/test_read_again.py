"""Operands that are read again for every row, rows of few columns, and matrices that two products share: NumPy's bits."""

import numpy
import pytest

import legate_jit.numpy as np


def same(ours, theirs):
    ours, theirs = numpy.asarray(ours), numpy.asarray(theirs)
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("n", [1000, 33_000, 100_003])
def test_long_rows_spread_over_a_few(n):
    rng = numpy.random.default_rng(n)
    row, column, points = rng.random(n), rng.random((5, 1)), rng.random((n, 4))
    a, c, p = np.asarray(row), np.asarray(column), np.asarray(points)
    same(a * c + 1.0, row * column + 1.0)
    same((p[:, 0] - c) * p[:, 3], (points[:, 0] - column) * points[:, 3])
    same(c - a[::-1], column - row[::-1])


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 16, 17, 23, 40])
def test_rows_of_few_columns(columns):
    x = numpy.random.default_rng(columns).standard_normal((4099, columns))
    ours = np.asarray(x)
    for name in ("sum", "mean", "max", "argmin"):
        same(getattr(ours, name)(axis=0), getattr(x, name)(axis=0))
        same(getattr(ours * 2.0 + 1.0, name)(axis=0), getattr(x * 2.0 + 1.0, name)(axis=0))
    same(np.sum(ours[::3], axis=0), numpy.sum(x[::3], axis=0))
    same(np.sum(ours.reshape(-1, 1, columns), axis=(0, 1)), numpy.sum(x.reshape(-1, 1, columns), axis=(0, 1)))


@pytest.mark.parametrize("rows, columns", [(20_000, 32), (70_001, 9)])
def test_a_matrix_and_its_transpose(rows, columns):
    """Whether both products go over the matrix in one pass or each in its own, a result has the same bits."""
    rng = numpy.random.default_rng(rows)
    a, w, y = (np.asarray(v) for v in (rng.standard_normal((rows, columns)), rng.random(columns), rng.random(rows)))
    error = a @ w - y
    together = [np.asarray(v) for v in (a.T @ error, np.sum(error**2))]
    numpy.asarray(together[0])
    z = a @ w
    numpy.asarray(z)
    apart = z - y
    numpy.asarray(apart)
    same(together[0], a.T @ apart)
    same(together[1], np.sum(apart**2))
    x, v, t = (numpy.asarray(u) for u in (a, w, y))
    numpy.testing.assert_allclose(numpy.asarray(together[0]), x.T @ (x @ v - t), rtol=0, atol=1e-9 * rows)


@pytest.mark.parametrize("every", [2, 9, 200])
def test_rows_that_a_mask_selects(every):
    x = numpy.random.default_rng(every).standard_normal((70_000, 5))
    mask = numpy.arange(len(x)) % every == every // 2
    mask[-100:] = True
    same(np.asarray(x)[np.asarray(mask)], x[mask])
