"""Rows selected by label, one label after the other: their number, their sums and means, and the rows themselves."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from same import assert_equal

import legate_jit.numpy as ours

N = 20_000


def table(np, width, dtype="f8", labels="i8", groups=6, seed=1):
    rng = numpy.random.default_rng(seed)
    rows = (rng.standard_normal((N, width)) * 10.0 ** rng.integers(-8, 8, (N, 1))).astype(dtype)
    return np.array(rows), np.array(rng.integers(0, groups, N).astype(labels))


def means(np, rows, labels, groups):
    out = []
    for k in range(groups):
        mine = rows[labels == k]
        out.append(len(mine))
        if len(mine) > 0:
            out.append(mine.mean(axis=0))
            out.append(np.sum(mine, 0))
    return out


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 8, 40])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8"])
@pytest.mark.parametrize("labels", ["i8", "i4", "u1", "i2"])
def test_means_of_rows(width, dtype, labels):
    for _ in range(2):
        want = means(numpy, *table(numpy, width, dtype, labels), groups=8)
        assert_equal(means(ours, *table(ours, width, dtype, labels), groups=8), want)


def clusters(np, iters=4):
    points, _ = table(np, 4, seed=2)
    points = points / (1.0 + np.abs(points))
    centers = points[:5].copy()
    seen = []
    for _ in range(iters):
        distances = np.sum((points - centers[:, np.newaxis]) ** 2, axis=2)
        labels = np.argmin(distances, axis=0)
        moved = centers.copy()
        for k in range(len(centers)):
            mine = points[labels == k]
            if len(mine) > 0:
                moved[k] = mine.mean(axis=0)
        seen.append(float(np.max(np.abs(moved - centers))))
        centers = moved
    return seen, centers, labels


def test_clusters():
    assert_equal(clusters(ours), clusters(numpy))


def test_negative_zeros_nans_and_single_rows():
    def run(np):
        rows = numpy.full((N, 3), -0.0)
        rows[7] = [numpy.nan, numpy.inf, -0.0]
        labels = numpy.zeros(N, dtype=int)
        labels[[3, 7, 9]] = [1, 2, 3]
        rows, labels = np.array(rows), np.array(labels)
        return [f(axis=0) for k in range(6) for mine in [rows[labels == k]] if len(mine) for f in (mine.mean, mine.sum)]

    assert_equal(run(ours), run(numpy))


@pytest.mark.parametrize("odd", [-1, 2**40, 5000])
def test_labels_that_are_no_small_numbers(odd):
    def run(np):
        rows, labels = table(np, 4)
        labels[N - 1] = odd
        out = means(np, rows, labels, 7)
        mine = rows[labels == odd]
        return [*out, len(mine), mine.mean(axis=0)]

    assert_equal(run(ours), run(numpy))


STEPS = {
    "length": lambda np, p, l, k: len(p[l == k]),
    "rows": lambda np, p, l, k: p[l == k],
    "mean": lambda np, p, l, k: p[l == k].mean(axis=0) if len(p[l == k]) else None,
    "sum": lambda np, p, l, k: p[l == k].sum(axis=0),
    "sum of all": lambda np, p, l, k: p[l == k].sum(),
    "of what was made": lambda np, p, l, k: (p * 2.0)[l == k].sum(axis=0),
    "mask": lambda np, p, l, k: l == k,
    "any": lambda np, p, l, k: bool(np.any(l == k)),
    "write rows": lambda np, p, l, k: p.__setitem__(l == k, 0.5 * k),
    "scale rows": lambda np, p, l, k: p.__setitem__(l == k, p[l == k] * 2.0),
    "write a row": lambda np, p, l, k: p.__setitem__(k, p[k + 1] * 3.0),
    "write an element": lambda np, p, l, k: p.__setitem__((k, 1), 9.0),
    "write labels": lambda np, p, l, k: l.__setitem__(slice(100, 200), k),
    "write a label": lambda np, p, l, k: l.__setitem__(k, k),
    "new labels": lambda np, p, l, k: l.__setitem__(slice(None), (l + k) % 5),
    "labels in place": lambda np, p, l, k: np.remainder(l + 1, 4, out=l) is None,
}


def steps(np, chosen):
    points, labels = table(np, 3)
    out = []
    for name, k in chosen:
        mine = points[labels == k]
        out.append(STEPS[name](np, points, labels, k))
        if name.startswith("write"):
            out.append(len(mine))
            out.append(mine)
    return [*out, points, labels]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 6)), min_size=3, max_size=25))
def test_random_steps(chosen):
    assert_equal(steps(ours, chosen), steps(numpy, chosen))


def test_foreign_writes_are_seen():
    points, labels = table(ours, 4)
    for k in range(4):
        len(points[labels == k])
    shared = numpy.asarray(labels)
    shared[:] = 9
    assert [len(points[labels == k]) for k in range(8, 11)] == [0, N, 0]
    mine = points[labels == 9]
    shared[:] = 3
    assert len(mine) == N and len(points[labels == 9]) == 0
    rows = numpy.asarray(points)
    rows[:] = 1.5
    assert_equal(points[labels == 3].sum(axis=0), rows[numpy.asarray(labels) == 3].sum(axis=0))
