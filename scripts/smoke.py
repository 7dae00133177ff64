"""Tries an installed legate_jit: recorded, compiled and looked up numbers must be NumPy's."""

import subprocess
import sys
from pathlib import Path

import numpy
from numpy.testing import assert_allclose

import legate_jit
import legate_jit.numpy as np


def jacobi(np, n, steps):
    p = np.zeros((n, n))
    p[:, -1] = np.sin(1.5 * np.pi * np.linspace(0, 1, n))
    for _ in range(steps):
        pn = p.copy()
        p[1:-1, 1:-1] = 0.25 * (pn[1:-1, 2:] + pn[1:-1, :-2] + pn[2:, 1:-1] + pn[:-2, 1:-1])
    return p, float(np.sqrt(np.sum((p - pn) ** 2) / np.sum(pn**2)))


field, l2 = jacobi(np, 400, 50)
expected, expected_l2 = jacobi(numpy, 400, 50)
assert l2 == expected_l2, (l2, expected_l2)
assert (numpy.asarray(field) == expected).all()

a = np.linspace(0, 3, 100_000)
assert_allclose(numpy.asarray(np.exp(-a) * np.sin(a)), numpy.exp(-numpy.asarray(a)) * numpy.sin(numpy.asarray(a)), rtol=1e-14)
assert float((np.ones((300, 200)) @ np.ones(200)).sum()) == 300 * 200

here = Path(legate_jit.__file__).parent
done = subprocess.run([sys.executable, "-m", "legate_jit.cli", "--version"], capture_output=True, text=True, check=True)
print(f"smoke: {done.stdout.strip()} in {here}: NumPy's numbers; counters {legate_jit.stats()['plans']} plans")
