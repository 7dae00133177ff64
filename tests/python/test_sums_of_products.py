"""Sums of products in translated loops, of rows that run backwards and of elements that indices tell: with BLAS's bits, whichever kernels
it has."""

import os
import subprocess
import sys

import pytest

import legate_jit

pytestmark = pytest.mark.skipif(legate_jit.config()["LEGATE_JIT_LOOPS"][0] == "off", reason="loops are left to Python here")

GATHERED = """
import numpy, legate_jit, legate_jit.numpy as np

def products(np, starts, columns, values, x, y):
    try:
        for i in range(len(y)):
            row = slice(starts[i], starts[i + 1])
            y[i] = values[row] @ x[columns[row]]
    except (IndexError, ValueError) as e:
        return y.tolist(), i, str(e)
    return y.tolist(), i, ""

def backwards(np, starts, columns, values, x, y):
    for i in range(2, len(y)):
        k = starts[i] % 97
        y[i] = np.dot(values[:k][::-1], x[:k]) + np.dot(x[1:k], values[1:k]) + values[:k][::-1] @ x[:k]
        y[i - 1] += np.dot(values[:k][::-1], x[:k][::-1]) - np.dot(values[i : i + k][::-1], x[3 : k + 3])
    return y.tolist()

rng = numpy.random.default_rng(6)
lengths = rng.integers(0, 40, 300)
starts = numpy.concatenate([[0], numpy.cumsum(lengths)])
values, x = rng.standard_normal(starts[-1]), rng.standard_normal(100)
columns = rng.integers(-100, 100, starts[-1])
outside = columns.copy()
outside[2500] = 100
for taken in (columns, abs(columns) % 100, outside):
    given = (starts, taken, values, x, numpy.zeros(300))
    for way in (products, backwards):
        want = way(numpy, *map(numpy.array, given))
        for _ in range(2):
            legate_jit._native.look_for_loops()
            assert way(np, *map(np.array, given)) == want, way
print(legate_jit.stats()["rounds_compiled"] > 0)
"""


def test_products_with_gathered_and_turned_rows():
    env = {**os.environ, "LEGATE_JIT_TIER": "compiled", "LEGATE_JIT_CACHE": "off"}
    for core in ({}, {"OPENBLAS_CORETYPE": "Haswell"}):
        env_of = {**env, **core}
        done = subprocess.run([sys.executable, "-c", GATHERED], env=env_of, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["True"]
